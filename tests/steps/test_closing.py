"""⑤ The ways of closing, each with its guards; termination; reopening."""

from datetime import date
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain import institution, refusals
from domain.clocks import clocks
from domain.institution import PolicyPackPublished
from domain.journals import series
from domain.policy import LimitSource, Pack, ref
from domain.state import (
    Contact,
    Dispute,
    Evaluation,
    FollowUp,
    Links,
    Merge,
    Quality,
    Reply,
    Revisit,
    WorkOrder,
)
from domain.steps.closing import (
    ApproveNotedClosure,
    Close,
    CloseAfter,
    CloseMerged,
    DecideTermination,
    NotedClosureProposed,
    NotedClosureRejected,
    OrderReopened,
    ProposeNotedClosure,
    ProposeTermination,
    RejectNotedClosure,
    Reopen,
    TerminationProposed,
    TerminationRejected,
)
from domain.steps.filing import ArchivePackageSealed, OrderArchived, OrderClosed
from domain.terms import (
    ClockName,
    ClosureKind,
    DemandType,
    Dimension,
    DispatchType,
    EmergencyRecipient,
    Entry,
    EvaluationSource,
    Limit,
    LimitUnit,
    Mark,
    Medium,
    NoteReason,
    Number,
    OrderState,
    Outcome,
    Rating,
    ReopenGround,
    Role,
    TerminationGround,
    Urgency,
)
from domain.units import UnitSucceeded
from tests.given import (
    APPROVER,
    BASIS,
    HANDLER,
    MANAGER,
    PROOF,
    REVIEWER,
    SYSTEM,
    Case,
    approver,
    at,
    dispatched,
    given,
    registered,
    working,
)

REPLIED_AT = Mark(at("2025-06-17 11:00"), 5)
MASTER = UUID("019777c0-0000-7000-8000-0000000000aa")


def replied(
    pack: str = "S4-BEIJING", *, case: Case | None = None, outcome: Outcome = Outcome.RESOLVED, **said: Any
) -> Case:
    """Answered and told; `said` changes the reply."""
    case = case or given(working(pack))
    order = case.order
    reply = Reply(
        **{
            "no": len(order.replies) + 1,
            "round": order.round,
            "episode": order.episodes[-1].no,
            "unit": "B",
            "submitted": REPLIED_AT,
            "outcome": outcome,
            "approved_by": APPROVER.user,
            "drafted_by": HANDLER.user,
            "informed": REPLIED_AT,
            "counted_informed": REPLIED_AT,
            **said,
        }
    )
    return case.having(replies=(*order.replies, reply), state=OrderState.REPLIED).at("2025-06-18 10:00")


def rated(case: Case, rating: Rating, source: EvaluationSource = EvaluationSource.CITIZEN_SELF, **said: Any) -> Case:
    order = case.order
    given_ = Evaluation(
        **{
            "no": len(order.quality.evaluations) + 1,
            "round": order.round,
            "reply": len(order.replies),
            "source": source,
            "ratings": {Dimension.RESULT: rating},
            "at": Mark(case.now, 6),
            **said,
        }
    )
    return quality(case, evaluations=(*order.quality.evaluations, given_))


def quality(case: Case, **changes: Any) -> Case:
    return case.having(quality=msgspec.structs.replace(case.order.quality, **changes))


def visited(case: Case, **changes: Any) -> Case:
    return quality(case, revisits=(Revisit(round=case.order.round, **changes),))


def missed(case: Case, *when: str) -> Case:
    episode = case.order.episodes[-1]
    tried = tuple(Contact(at=Mark(at(w), 4), reached=False, unit="B") for w in when)
    return case.having(episodes=(*case.order.episodes[:-1], msgspec.structs.replace(episode, contacts=tried)))


TRIED = ("2025-06-17 10:00", "2025-06-18 15:00", "2025-06-19 19:00")  # T86


def closes(kind: ClosureKind, **said: Any) -> Close:
    return Close(kind=kind, **said)


def closed_as(case: Case) -> tuple[OrderState, ClosureKind | None]:
    return case.order.state, case.order.filing.kind


def disputed(case: Case) -> Case:
    raised = Dispute(no=1, unit="B", by=APPROVER.user, raised=REPLIED_AT)
    episode = msgspec.structs.replace(case.order.episodes[-1], disputes=(raised,))
    return case.having(episodes=(*case.order.episodes[:-1], episode))


def bound_to(case: Case, pack: Pack) -> Case:
    """The same under a pack of its own."""
    same = case.having(policy=ref(pack))
    published = PolicyPackPublished(pack=pack, digest=ref(pack).digest, valid_from=None)
    entry = Entry(
        event=published,
        stream="institution",
        version=case.law.version + 1,
        position=1,
        recorded_at=at("2010-01-02 00:00"),
        actor=SYSTEM,
    )
    same.law = institution.evolve(case.law, entry)
    return same


class TestFoldingTheClosure:
    def test_it_ends_the_episode_and_notes_who_when_and_how(self):
        case = replied().after(OrderClosed(kind=ClosureKind.SATISFIED), by=REVIEWER)
        episode = case.order.episodes[-1]
        assert closed_as(case) == (OrderState.CLOSED, ClosureKind.SATISFIED)
        assert (episode.ended_as, case.order.filing.closed_by) == ("closed", REVIEWER.user)
        assert episode.ended == case.order.filing.closed
        assert case.order.lead == ""

    def test_a_reply_nobody_reviewed_is_accepted_by_who_closes(self):
        case = replied().after(OrderClosed(kind=ClosureKind.COMPLETED, accepts_reply=True), by=SYSTEM)
        reply = case.order.replies[-1]
        assert (reply.accepted, reply.accepted_by) == (True, "system")
        assert reply.reviewed == case.order.filing.closed

    def test_a_review_that_was_made_stays_the_reviewers(self):
        case = replied(accepted=True, accepted_by="earlier", reviewed=REPLIED_AT)
        case = case.after(OrderClosed(kind=ClosureKind.COMPLETED, accepts_reply=True), by=SYSTEM)
        assert case.order.replies[-1].accepted_by == "earlier"

    @pytest.mark.parametrize(
        ("kind", "by", "cancelled"),
        [
            (ClosureKind.DIRECT, "direct", False),
            (ClosureKind.TRANSFERRED, "transferred", False),
            (ClosureKind.WITHDRAWN, "withdrawn", True),
            (ClosureKind.TERMINATED, "closed", True),
        ],
    )
    def test_what_the_hotline_itself_answers_stops_dispatching_and_anything_else_cancels_it(self, kind, by, cancelled):
        case = given(registered("S4-BEIJING")).at("2025-06-16 08:30").after(OrderClosed(kind=kind))
        wait = case.order.waits[-1]
        assert (wait.by, wait.cancelled) == (by, cancelled)
        assert wait.until == case.order.filing.closed
        clock = case.clock(ClockName.DISPATCH)
        assert (clock.stop is None, clock.cancel is None) == (cancelled, not cancelled)

    def test_the_shortest_stored_closure_says_only_its_kind(self):
        assert msgspec.json.encode(OrderClosed(kind=ClosureKind.DIRECT)) == (
            b'{"type":"order.order_closed","kind":"direct"}'
        )

    def test_it_folds_onto_an_order_that_was_never_dispatched_or_answered(self):
        case = given(registered()).after(OrderClosed(kind=ClosureKind.SATISFIED, accepts_reply=True))
        assert closed_as(case) == (OrderState.CLOSED, ClosureKind.SATISFIED)


class TestClosingByJudgement:
    def test_satisfied_needs_an_effective_evaluation_that_is_positive(self):
        command = closes(ClosureKind.SATISFIED)
        replied().when(command, by=REVIEWER).refused(refusals.NotSatisfied)
        rated(replied(), Rating.DISSATISFIED).when(command, by=REVIEWER).refused(refusals.NotSatisfied)
        rated(replied(), Rating.NOT_RATED).when(command, by=REVIEWER).refused(refusals.NotSatisfied)
        case = rated(replied(), Rating.BASICALLY_SATISFIED).when(command, by=REVIEWER)
        case.then(OrderClosed(kind=ClosureKind.SATISFIED, accepts_reply=True))

    def test_the_return_visit_counts_before_what_the_citizen_said(self):
        case = rated(replied(), Rating.SATISFIED)
        case = rated(case, Rating.DISSATISFIED, EvaluationSource.REVISIT)
        case.when(closes(ClosureKind.SATISFIED), by=REVIEWER).refused(refusals.NotSatisfied)

    def test_a_voided_or_late_rating_of_the_citizen_counts_for_nothing(self):
        for said in ({"voided": True}, {"late": True}):
            case = rated(replied(), Rating.SATISFIED, EvaluationSource.CITIZEN_SELF, **said)
            case.when(closes(ClosureKind.SATISFIED), by=REVIEWER).refused(refusals.NotSatisfied)

    def test_conforming_names_the_article_and_does_not_ask_for_satisfaction(self):
        case = rated(replied(), Rating.DISSATISFIED)
        case.when(closes(ClosureKind.CONFORMING), by=REVIEWER).refused(refusals.ArticleMissing)
        case.when(closes(ClosureKind.CONFORMING, article=BASIS), by=REVIEWER).then(OrderClosed)

    def test_unresolved_closes_only_with_its_promise_followed_up(self):
        case = rated(replied(outcome=Outcome.UNRESOLVED), Rating.SATISFIED)
        case.when(closes(ClosureKind.SATISFIED), by=REVIEWER).refused(refusals.UnresolvedNeedsFollowUp)
        case.when(closes(ClosureKind.UNRESOLVED_FOLLOW_UP), by=REVIEWER).refused(refusals.FollowUpMissing)
        promise = FollowUp(no=1, reply=1, unit="B", promised=REPLIED_AT, implement_by=date(2025, 7, 15))
        case.having(follow_ups=(promise,)).when(closes(ClosureKind.UNRESOLVED_FOLLOW_UP), by=REVIEWER).then(OrderClosed)
        replied().when(closes(ClosureKind.UNRESOLVED_FOLLOW_UP), by=REVIEWER).refused(refusals.OutcomeDiffers)

    def test_unsolvable_must_have_been_explained(self):
        command = closes(ClosureKind.UNSOLVABLE_EXPLAINED)
        replied().when(command, by=REVIEWER).refused(refusals.OutcomeDiffers)
        case = replied(outcome=Outcome.UNSOLVABLE)
        case.when(command, by=REVIEWER).refused(refusals.ExplanationMissing)
        quality(case, explained=(1,)).when(command, by=REVIEWER).then(OrderClosed)
        quality(case, explained=(0,)).when(command, by=REVIEWER).then(OrderClosed)

    def test_unreachable_needs_the_attempts_and_a_reviewer(self):
        command = closes(ClosureKind.UNREACHABLE)
        case = replied(informed=None)
        case.when(command, by=REVIEWER).refused(refusals.AttemptsMissing)
        missed(case, *TRIED[:2]).when(command, by=REVIEWER).refused(refusals.AttemptsMissing)
        one_day = ("2025-06-17 10:00", "2025-06-17 14:00", "2025-06-17 18:00")
        missed(case, *one_day).when(command, by=REVIEWER).refused(refusals.AttemptsMissing)
        same_hour = ("2025-06-17 10:00", "2025-06-18 10:10", "2025-06-19 10:20")
        missed(case, *same_hour).when(command, by=REVIEWER).refused(refusals.AttemptsMissing)
        missed(case, *TRIED).when(command, by=MANAGER).refused(refusals.NotQcReviewer)
        missed(case, *TRIED).when(command, by=REVIEWER).then(OrderClosed)
        missed(replied(), *TRIED).when(command, by=REVIEWER).refused(refusals.AttemptsMissing)  # told after all

    def test_completed_is_for_what_nobody_evaluated_and_no_visit_waits_for(self):
        command = closes(ClosureKind.COMPLETED)
        rated(replied(), Rating.SATISFIED).when(command, by=REVIEWER).refused(refusals.AlreadyEvaluated)
        waiting = visited(replied(), sampled=REPLIED_AT)
        waiting.when(command, by=REVIEWER).refused(refusals.RevisitPending)
        for over in ("refused", "unreachable", "completed"):
            visited(replied(), sampled=REPLIED_AT, **{over: REPLIED_AT}).when(command, by=REVIEWER).then(OrderClosed)
        replied().when(command, by=REVIEWER).then(OrderClosed(kind=ClosureKind.COMPLETED, accepts_reply=True))
        replied(accepted=True).when(command, by=REVIEWER).then(OrderClosed(kind=ClosureKind.COMPLETED))

    def test_nothing_closes_that_the_applicant_was_not_told(self):
        case = replied(informed=None, counted_informed=None)
        case.when(closes(ClosureKind.COMPLETED), by=REVIEWER).refused(refusals.ResultNotTold)
        missed(case, *TRIED).when(closes(ClosureKind.COMPLETED), by=REVIEWER).then(OrderClosed)

    def test_without_a_reply_nothing_closes(self):
        given(working()).when(closes(ClosureKind.CONFORMING), by=REVIEWER).refused(refusals.WrongState)
        case = given(working()).having(state=OrderState.REPLIED)
        case.when(closes(ClosureKind.COMPLETED), by=REVIEWER).refused(refusals.ReplyMissing)

    def test_who_wrote_or_signed_off_the_reply_does_not_close(self):
        same = msgspec.structs.replace(REVIEWER, user=APPROVER.user)
        replied().when(closes(ClosureKind.COMPLETED), by=same).refused(refusals.ReviewerHandled)

    @pytest.mark.parametrize(
        "kind",
        [
            ClosureKind.DIRECT,
            ClosureKind.WITHDRAWN,
            ClosureKind.MERGED,
            ClosureKind.TERMINATED,
            ClosureKind.NOT_ACCEPTED,
            ClosureKind.DEEMED_BASICALLY_SATISFIED,
            ClosureKind.NOTED,
        ],
    )
    def test_ways_with_a_command_of_their_own_are_not_taken_here(self, kind):
        replied().when(closes(kind), by=MANAGER).refused(refusals.ClosureNotHere)

    def test_a_reviewer_does_not_close_with_a_note(self):
        replied().when(closes(ClosureKind.NOTED), by=REVIEWER).refused(refusals.NotHotlineManager)


class TestWhatEveryClosingAsks:
    COMMAND = closes(ClosureKind.CONFORMING, article=BASIS)

    def test_an_open_dispute_is_ruled_first(self):
        case = replied()
        episode = case.order.episodes[-1]
        dispute = Dispute(no=1, unit="B", by=APPROVER.user, raised=REPLIED_AT)
        for ruled, refused in ((None, True), (REPLIED_AT, False)):
            raised = msgspec.structs.replace(dispute, ruled=ruled)
            with_it = case.having(episodes=(msgspec.structs.replace(episode, disputes=(raised,)),))
            closing = with_it.when(self.COMMAND, by=REVIEWER)
            closing.refused(refusals.DisputeOpen) if refused else closing.then(OrderClosed)

    def test_what_policy_does_not_allow_is_explained_first(self):
        case = replied(policy_fit=False)
        case.when(self.COMMAND, by=REVIEWER).refused(refusals.ExplanationMissing)
        quality(case, explained=(1,)).when(self.COMMAND, by=REVIEWER).then(OrderClosed)

    def test_a_redo_is_visited_again(self):
        case = given(working("S4-BEIJING", round=2))
        case = replied(case=case)
        case.when(self.COMMAND, by=REVIEWER).refused(refusals.RevisitMissing)
        visited(case, sampled=REPLIED_AT).when(self.COMMAND, by=REVIEWER).refused(refusals.RevisitMissing)
        visited(case, refused=REPLIED_AT).when(self.COMMAND, by=REVIEWER).then(OrderClosed)
        case.under(redo_revisit=False).when(self.COMMAND, by=REVIEWER).then(OrderClosed)

    def test_for_the_anonymous_publishing_replaces_the_visit(self):
        case = given(working("S4-BEIJING", round=2, anonymous=True))
        replied(case=case, informed=None).when(self.COMMAND, by=REVIEWER).then(OrderClosed)

    def test_an_emergency_closes_when_everybody_was_told(self):
        case = replied(case=given(working("S1-CHENGDU", urgency=Urgency.EMERGENCY_LIFE)))
        case.when(self.COMMAND, by=REVIEWER).refused(refusals.EmergencyNotTold)
        told = frozenset({r.value for r in EmergencyRecipient})
        seen = msgspec.structs.replace(case.order.oversight, told=told)
        case.having(oversight=seen).when(self.COMMAND, by=REVIEWER).then(OrderClosed)

    def test_a_real_name_alone_or_another_demand_is_told_as_any_other(self):
        sayings: tuple[dict[str, Any], ...] = ({"demand_type": DemandType.REPORT}, {"real_name_with_evidence": True})
        for said in sayings:
            case = replied(case=given(working("S4-BEIJING", **said)), informed=None)
            case.when(self.COMMAND, by=REVIEWER).then(OrderClosed)

    def test_a_real_name_report_with_evidence_is_told_in_person(self):
        said = {"demand_type": DemandType.REPORT, "real_name_with_evidence": True}
        case = replied(case=given(working("S4-BEIJING", **said)), informed=None)
        case.when(self.COMMAND, by=REVIEWER).refused(refusals.ResultNotTold)
        missed(case, *TRIED).when(self.COMMAND, by=REVIEWER).then(OrderClosed)
        replied(case=given(working("S4-BEIJING", **said))).when(self.COMMAND, by=REVIEWER).then(OrderClosed)


class TestOrdersThatAskedForNoReply:
    def order(self) -> Case:
        return given(dispatched("S2-CHONGQING-MPT", reply_required=False)).at("2025-06-20 10:00")

    def test_the_management_closes_them_with_the_result_of_the_follow_up(self):
        closing = closes(ClosureKind.COMPLETED, follow_up_result="已向诉求人核实")
        case = self.order().when(closing, by=MANAGER)
        case = case.then(OrderClosed(kind=ClosureKind.COMPLETED, follow_up_result="已向诉求人核实"))
        assert closed_as(case) == (OrderState.CLOSED, ClosureKind.COMPLETED)

    def test_without_the_result_or_by_another_they_stay_open(self):
        case = self.order()
        case.when(closes(ClosureKind.COMPLETED), by=MANAGER).refused(refusals.FollowUpResultMissing)
        told = closes(ClosureKind.COMPLETED, follow_up_result="x")
        case.when(told, by=REVIEWER).refused(refusals.NotHotlineManager)
        case.when(closes(ClosureKind.SATISFIED), by=MANAGER).refused(refusals.ReplyMissing)

    def test_a_pending_return_or_a_dispute_is_settled_first(self):
        told = closes(ClosureKind.COMPLETED, follow_up_result="x")
        returning = self.order().having(state=OrderState.RETURN_REVIEW)
        returning.when(told, by=MANAGER).refused(refusals.WrongState)
        disputed(self.order()).when(told, by=MANAGER).refused(refusals.DisputeOpen)


class TestClosingByItself:
    def late(self, **said: Any) -> Case:
        return replied(**said).at("2025-06-25 00:00:00.001")  # 06-17 and five working days: 06-24 24:00

    def test_nobody_evaluated_and_the_time_has_passed(self):
        replied().at("2025-06-25 00:00").when(CloseAfter(), by=SYSTEM).refused(refusals.NotYetDue)
        case = self.late().when(CloseAfter(), by=SYSTEM)
        done = case.then(
            OrderClosed(kind=ClosureKind.COMPLETED, accepts_reply=True, effective_at=at("2025-06-25 00:00"))
        )
        assert done.order.filing.ended is not None
        assert done.order.filing.ended.at == at("2025-06-25 00:00")  # counted from then, however late it was recorded

    def test_what_was_rated_well_closes_satisfied_and_what_was_rated_badly_waits_for_a_person(self):
        case = rated(self.late(), Rating.SATISFIED).does(CloseAfter(), by=SYSTEM)
        assert closed_as(case)[1] is ClosureKind.SATISFIED
        rated(self.late(), Rating.DISSATISFIED).when(CloseAfter(), by=SYSTEM).refused(refusals.DecisionNeeded)

    def test_a_visit_that_is_due_comes_first(self):
        visited(self.late(), sampled=REPLIED_AT).when(CloseAfter(), by=SYSTEM).refused(refusals.RevisitPending)

    def test_unresolved_and_unsolvable_keep_their_names(self):
        promise = FollowUp(no=1, reply=1, unit="B", promised=REPLIED_AT, implement_by=date(2025, 7, 15))
        case = self.late(outcome=Outcome.UNRESOLVED)
        case.when(CloseAfter(), by=SYSTEM).refused(refusals.FollowUpMissing)
        assert closed_as(case.having(follow_ups=(promise,)).does(CloseAfter(), by=SYSTEM))[1] is (
            ClosureKind.UNRESOLVED_FOLLOW_UP
        )
        case = quality(self.late(outcome=Outcome.UNSOLVABLE), explained=(1,)).does(CloseAfter(), by=SYSTEM)
        assert closed_as(case)[1] is ClosureKind.UNSOLVABLE_EXPLAINED

    def test_it_asks_what_every_closing_asks_and_closes_once(self):
        disputed(self.late()).when(CloseAfter(), by=SYSTEM).refused(refusals.DisputeOpen)
        self.late().does(CloseAfter(), by=SYSTEM).when(CloseAfter(), by=SYSTEM).refused(refusals.WrongState)

    def test_what_was_not_explained_is_only_completed(self):
        assert closed_as(self.late(outcome=Outcome.UNSOLVABLE).does(CloseAfter(), by=SYSTEM))[1] is (
            ClosureKind.COMPLETED
        )
        assert closed_as(quality(self.late(), explained=(1,)).does(CloseAfter(), by=SYSTEM))[1] is (
            ClosureKind.COMPLETED
        )

    def test_where_nobody_was_told_nothing_runs_out(self):
        case = self.late(informed=None, counted_informed=None)
        case.when(CloseAfter(), by=SYSTEM).refused(refusals.NotYetDue)
        given(working()).having(state=OrderState.REPLIED).when(CloseAfter(), by=SYSTEM).refused(refusals.ReplyMissing)

    def test_where_the_pack_files_by_itself_the_file_is_made_in_the_same_commit(self):
        decided = self.late().under(auto_file=True).when(CloseAfter(), by=SYSTEM).decide()
        assert [type(step) for step in decided] == [OrderClosed, OrderArchived, Number]
        wish = decided[-1]
        assert isinstance(wish, Number)
        assert (wish.journal, series(wish, at("2025-06-25 09:00"))) == ("file", "D30-2025")


class TestClosingMerged:
    def child(self, told: Mark | None) -> Case:
        merge = Merge(master=MASTER, at=REPLIED_AT, state_before=OrderState.AWAITING_DISPATCH, told=told)
        return given(registered(links=Links(merge=merge), state=OrderState.MERGED)).at("2025-06-20 10:00")

    def master(self, *, closed: bool) -> dict[str, WorkOrder]:
        case = replied()
        case = case.after(OrderClosed(kind=ClosureKind.SATISFIED)) if closed else case
        return {f"order:{MASTER}": case.order}

    def test_it_closes_once_the_master_is_closed_and_its_applicant_told(self):
        command = CloseMerged(master=MASTER)
        case = self.child(REPLIED_AT).beside(self.master(closed=True)).when(command, by=SYSTEM)
        case = case.then(OrderClosed(kind=ClosureKind.MERGED, master=MASTER))
        assert closed_as(case) == (OrderState.CLOSED, ClosureKind.MERGED)

    def test_until_then_it_stays(self):
        command = CloseMerged(master=MASTER)
        self.child(REPLIED_AT).beside(self.master(closed=False)).when(command, by=SYSTEM).refused(refusals.MasterOpen)
        self.child(None).beside(self.master(closed=True)).when(command, by=SYSTEM).refused(refusals.ResultNotTold)
        self.child(None).when(command, by=SYSTEM).refused(refusals.UnknownOrder)
        other = CloseMerged(master=UUID(int=1))
        self.child(REPLIED_AT).when(other, by=SYSTEM).refused(refusals.NotItsMaster)

    def test_what_follows_its_master_no_longer_is_not_closed_with_it(self):
        merge = Merge(
            master=MASTER, at=REPLIED_AT, state_before=OrderState.AWAITING_DISPATCH, told=REPLIED_AT, undone=REPLIED_AT
        )
        undone = given(registered(links=Links(merge=merge), state=OrderState.MERGED))
        undone = undone.beside(self.master(closed=True))
        undone.when(CloseMerged(master=MASTER), by=SYSTEM).refused(refusals.NotItsMaster)
        alone = given(registered(state=OrderState.MERGED)).beside(self.master(closed=True))
        alone.when(CloseMerged(master=MASTER), by=SYSTEM).refused(refusals.NotItsMaster)
        free = self.child(REPLIED_AT).having(state=OrderState.AWAITING_DISPATCH).beside(self.master(closed=True))
        free.when(CloseMerged(master=MASTER), by=SYSTEM).refused(refusals.WrongState)


class TestNotedClosure:
    PROPOSE = ProposeNotedClosure(reason=NoteReason.POLICY_LIMIT, facts_clear=True)
    APPROVE = ApproveNotedClosure(reason=NoteReason.POLICY_LIMIT, words="受政策所限", facts_clear=True)

    def ready(self, **changes: Any) -> Case:
        case = quality(rated(replied("S1-CHENGDU"), Rating.DISSATISFIED), **{"explained": (1,), **changes})
        return case.does(self.PROPOSE, by=APPROVER)

    def test_the_unit_proposes_and_the_management_closes(self):
        case = rated(replied(), Rating.DISSATISFIED).when(self.PROPOSE, by=APPROVER).then(NotedClosureProposed)
        case.when(self.PROPOSE, by=APPROVER).refused(refusals.AlreadyProposed)
        closing = self.ready().when(self.APPROVE, by=MANAGER)
        closed = closing.then(OrderClosed)
        assert closed_as(closed) == (OrderState.CLOSED, ClosureKind.NOTED)
        assert closed.order.proposals[-1].approved

    def test_without_explanation_or_clear_facts_or_by_the_handler_it_is_refused(self):  # T46
        self.ready(explained=()).when(self.APPROVE, by=MANAGER).refused(refusals.ExplanationMissing)
        unclear = msgspec.structs.replace(self.APPROVE, facts_clear=False)
        self.ready().when(unclear, by=MANAGER).refused(refusals.FactsNotClear)
        self.ready().when(self.APPROVE, by=HANDLER).refused(refusals.NotHotlineManager)

    def test_it_answers_an_effective_dissatisfaction(self):
        self.ready(evaluations=()).when(self.APPROVE, by=MANAGER).refused(refusals.NotDissatisfied)

    def test_it_needs_a_proposal_of_another_person_and_a_reply(self):
        case = quality(rated(replied(), Rating.DISSATISFIED), explained=(1,))
        case.when(self.APPROVE, by=MANAGER).refused(refusals.NoSuchProposal)
        same = msgspec.structs.replace(MANAGER, user=APPROVER.user)
        self.ready().when(self.APPROVE, by=same).refused(refusals.SelfApproval)
        self.ready().having(replies=()).when(self.APPROVE, by=MANAGER).refused(refusals.ReplyMissing)

    def test_another_unit_does_not_propose_it_and_where_the_hotline_leads_a_reviewer_does(self):
        replied().when(self.PROPOSE, by=approver("E")).refused(refusals.NotYourUnit)
        replied().when(self.PROPOSE, by=REVIEWER).refused(refusals.NotYourUnit)
        led = replied(case=given(dispatched("S2-CHONGQING-MPT", lead="", co=("B", "E"))))
        led.when(self.PROPOSE, by=REVIEWER).then(NotedClosureProposed)
        led.when(self.PROPOSE, by=APPROVER).refused(refusals.NotYourUnit)

    def test_only_an_answered_order_without_an_open_dispute_is_closed_with_a_note(self):
        given(working()).when(self.PROPOSE, by=APPROVER).refused(refusals.WrongState)
        given(registered()).having(state=OrderState.REPLIED).when(self.PROPOSE, by=APPROVER).refused(
            refusals.NotYourUnit
        )
        back = self.ready().having(state=OrderState.WORKING)
        back.when(self.APPROVE, by=MANAGER).refused(refusals.WrongState)
        disputed(self.ready()).when(self.APPROVE, by=MANAGER).refused(refusals.DisputeOpen)

    def test_the_management_may_turn_it_down(self):
        case = self.ready().when(RejectNotedClosure(words="尚可解决"), by=MANAGER).then(NotedClosureRejected)
        assert case.order.proposals[-1].decided is not None
        case.when(RejectNotedClosure(words="x"), by=MANAGER).refused(refusals.NoSuchProposal)


class TestTermination:
    PROPOSE = ProposeTermination(ground=TerminationGround.NO_COOPERATION, words="拒不提供地址", evidence=(PROOF,))

    def test_the_lead_proposes_with_evidence_and_a_reviewer_decides_telling_the_applicant(self):
        case = given(working()).when(self.PROPOSE, by=APPROVER).then(TerminationProposed)
        grant = DecideTermination(approve=True, words="同意", told=Medium.PHONE)
        closed = case.when(grant, by=REVIEWER).then(
            OrderClosed(
                kind=ClosureKind.TERMINATED,
                termination_ground=TerminationGround.NO_COOPERATION,
                words="同意",
                told=Medium.PHONE,
            )
        )
        assert closed_as(closed) == (OrderState.CLOSED, ClosureKind.TERMINATED)

    def test_it_is_refused_without_evidence_without_telling_or_to_another_unit(self):
        case = given(working())
        bare = msgspec.structs.replace(self.PROPOSE, evidence=())
        case.when(bare, by=APPROVER).refused(refusals.EvidenceMissing)
        case.when(self.PROPOSE, by=approver("E")).refused(refusals.NotYourUnit)
        proposed = case.does(self.PROPOSE, by=APPROVER)
        proposed.when(self.PROPOSE, by=APPROVER).refused(refusals.AlreadyProposed)
        untold = DecideTermination(approve=True, words="同意")
        proposed.when(untold, by=REVIEWER).refused(refusals.ResultNotTold)
        given(registered()).when(self.PROPOSE, by=APPROVER).refused(refusals.WrongState)

    def test_no_guard_of_closing_is_passed_over(self):
        grant = DecideTermination(approve=True, words="同意", told=Medium.PHONE)
        proposed = given(working()).does(self.PROPOSE, by=APPROVER)
        disputed(proposed).when(grant, by=REVIEWER).refused(refusals.DisputeOpen)
        urgent = given(working("S1-CHENGDU", urgency=Urgency.EMERGENCY_LIFE)).does(self.PROPOSE, by=APPROVER)
        urgent.when(grant, by=REVIEWER).refused(refusals.EmergencyNotTold)
        redone = replied(case=given(working("S4-BEIJING", round=2))).does(self.PROPOSE, by=APPROVER)
        redone.when(grant, by=REVIEWER).refused(refusals.RevisitMissing)
        visited(redone, refused=REPLIED_AT).when(grant, by=REVIEWER).then(OrderClosed)
        unanswered = given(working("S4-BEIJING", round=2)).does(self.PROPOSE, by=APPROVER)
        unanswered.when(grant, by=REVIEWER).then(OrderClosed)  # no reply that a visit could ask about

    def test_what_closed_meanwhile_is_not_terminated(self):
        proposed = given(working()).does(self.PROPOSE, by=APPROVER).after(OrderClosed(kind=ClosureKind.WITHDRAWN))
        grant = DecideTermination(approve=True, words="同意", told=Medium.PHONE)
        proposed.when(grant, by=REVIEWER).refused(refusals.WrongState)

    def test_refusing_it_changes_nothing_else(self):
        proposed = given(working()).does(self.PROPOSE, by=APPROVER)
        refusal = DecideTermination(approve=False, words="继续办理")
        case = proposed.when(refusal, by=REVIEWER).then(TerminationRejected)
        assert case.order.state is OrderState.WORKING


class TestTrying:
    def test_what_was_tried_before_the_applicant_was_reached_says_nothing_of_now(self):
        case = missed(replied(informed=None, counted_informed=None), *TRIED).at("2025-06-20 10:00")
        case.when(closes(ClosureKind.UNREACHABLE), by=REVIEWER).then(OrderClosed)
        episode = case.order.episodes[-1]
        reached = Contact(at=Mark(at("2025-06-19 20:00"), 4), reached=True, unit="B")
        since = msgspec.structs.replace(episode, contacts=(*episode.contacts, reached))
        found = case.having(episodes=(*case.order.episodes[:-1], since))
        found.when(closes(ClosureKind.UNREACHABLE), by=REVIEWER).refused(refusals.AttemptsMissing)

    def test_nor_what_was_tried_for_a_reply_that_was_sent_back(self):
        case = missed(replied(informed=None, counted_informed=None), *TRIED)
        first = case.order.replies[0]
        back = msgspec.structs.replace(first, accepted=False, reviewed=Mark(at("2025-06-19 21:00"), 9))
        second = msgspec.structs.replace(first, no=2, submitted=Mark(at("2025-06-20 09:00"), 10))
        case = case.having(replies=(back, second)).at("2025-06-20 10:00")
        case.when(closes(ClosureKind.UNREACHABLE), by=REVIEWER).refused(refusals.AttemptsMissing)


class TestReopening:
    COMMAND = Reopen(ground=ReopenGround.NEW_FACTS, words="再次漏水")

    def closed(self, pack: str = "S4-BEIJING", **said: Any) -> Case:
        case = replied(case=given(working(pack, **said)))
        return case.after(OrderClosed(kind=ClosureKind.COMPLETED)).at("2025-07-01 10:00")

    def test_the_last_lead_works_on_in_a_new_round_with_the_full_limit(self):
        case = self.closed().when(self.COMMAND, by=MANAGER)
        case = case.then(OrderReopened(ground=ReopenGround.NEW_FACTS, words="再次漏水", lead="B", lead_parent="D"))
        episode = case.order.episodes[-1]
        assert (case.order.state, case.order.round, episode.lead) == (OrderState.WORKING, 2, "B")
        assert case.order.filing.closed is None
        assert case.clock(ClockName.HANDLE).due == at("2025-07-09 00:00")  # 7 natural days
        assert case.clock(ClockName.HANDLE).key == "e2"

    def test_a_shorter_limit_holds_and_a_longer_one_is_refused(self):
        def with_limit(days: int) -> Reopen:
            limit = Limit(amount=days, unit=LimitUnit.NATURAL_DAYS)
            return msgspec.structs.replace(self.COMMAND, limit=limit)

        case = self.closed().does(with_limit(2), by=MANAGER)
        assert case.clock(ClockName.HANDLE).due == at("2025-07-04 00:00")
        self.closed().when(with_limit(8), by=MANAGER).refused(refusals.LimitLonger)
        past = msgspec.structs.replace(self.COMMAND, limit=Limit(until=at("2025-07-01 09:00")))
        self.closed().when(past, by=MANAGER).refused(refusals.LimitInPast)

    def test_a_lead_that_is_complained_of_meanwhile_does_not_get_it_back(self):
        report = {"demand_type": DemandType.REPORT, "accused": ("D",)}
        case = self.closed(**report).when(self.COMMAND, by=MANAGER)
        case = case.then(OrderReopened(ground=ReopenGround.NEW_FACTS, words="再次漏水"))
        assert (case.order.state, case.order.lead) == (OrderState.AWAITING_DISPATCH, "")

    def test_the_limit_for_a_dispatch_that_follows_is_no_longer_than_the_classs(self):
        longer = msgspec.structs.replace(self.COMMAND, limit=Limit(amount=8, unit=LimitUnit.NATURAL_DAYS))
        self.closed(demand_type=DemandType.REPORT, accused=("B",)).when(longer, by=MANAGER).refused(
            refusals.LimitLonger
        )

    def test_a_pack_without_a_figure_wants_the_limit_written(self):
        case = self.closed()
        rules = case.law.rules(case.order.policy)
        bare = tuple(
            msgspec.structs.replace(c, source=LimitSource.REQUIRED, limit={}) if c.name is ClockName.HANDLE else c
            for c in rules.pack.clocks
        )
        case = bound_to(case, msgspec.structs.replace(rules.pack, clocks=bare))
        case.when(self.COMMAND, by=MANAGER).refused(refusals.LimitRequired)
        limit = Limit(amount=2, unit=LimitUnit.NATURAL_DAYS)
        case.when(msgspec.structs.replace(self.COMMAND, limit=limit), by=MANAGER).then(OrderReopened)

    def test_what_was_erased_is_not_reopened(self):
        erased = msgspec.structs.replace(self.closed().order.filing, erased=REPLIED_AT)
        self.closed().having(filing=erased).when(self.COMMAND, by=MANAGER).refused(refusals.WrongState)
        refused = given(registered()).after(
            OrderClosed(kind=ClosureKind.NOT_ACCEPTED), OrderArchived(keep="dossier", period="D10", basis=BASIS)
        )
        refused.when(self.COMMAND, by=MANAGER).refused(refusals.WrongState)

    def test_after_a_direct_answer_it_waits_for_a_dispatch(self):
        case = given(registered("S4-BEIJING")).after(OrderClosed(kind=ClosureKind.DIRECT)).at("2025-07-01 10:00")
        case = case.does(self.COMMAND, by=MANAGER)
        assert (case.order.state, case.order.round) == (OrderState.AWAITING_DISPATCH, 2)
        assert case.order.waits[-1].cause == "reopening"
        assert case.clock(ClockName.DISPATCH).due == at("2025-07-02 10:00")

    def test_the_heir_of_the_last_lead_takes_it_over(self):
        case = self.closed()
        succeeded = UnitSucceeded(from_units=("B",), to_units=("B2",), at=at("2025-06-30 00:00"), basis=BASIS)
        entry = Entry(
            event=succeeded,
            stream="institution",
            version=case.law.version + 1,
            position=1,
            recorded_at=at("2025-06-20 00:00"),
            actor=SYSTEM,
        )
        case.law = institution.evolve(case.law, entry)
        case = case.does(self.COMMAND, by=MANAGER)
        assert case.order.episodes[-1].lead == "B2"

    def test_where_the_hotline_led_it_waits_for_a_dispatch(self):
        led = given(dispatched("S2-CHONGQING-MPT", lead="", co=("B", "E")))
        case = replied(case=led).after(OrderClosed(kind=ClosureKind.COMPLETED)).does(self.COMMAND, by=MANAGER)
        assert case.order.state is OrderState.AWAITING_DISPATCH

    def test_a_filed_order_can_be_reopened_and_a_sealed_one_cannot(self):  # T81
        filed = self.closed().after(
            OrderArchived(keep="dossier", period="D30", basis=BASIS), numbers={"file/D30-2025": (7,)}
        )
        again = filed.does(self.COMMAND, by=MANAGER)
        assert again.order.filing.file_number == "2025-D30-0007"
        assert again.order.filing.filed is None
        sealed = filed.after(ArchivePackageSealed(verified_to=100))
        sealed.when(self.COMMAND, by=MANAGER).refused(refusals.OrderSealed)

    def test_only_what_was_closed_is_reopened_and_a_refusal_is_not(self):
        given(working()).when(self.COMMAND, by=MANAGER).refused(refusals.WrongState)
        refused = given(registered()).after(OrderClosed(kind=ClosureKind.NOT_ACCEPTED))
        assert refused.order.state is OrderState.NOT_ACCEPTED
        refused.when(self.COMMAND, by=MANAGER).refused(refusals.WrongState)

    @pytest.mark.parametrize("pack", ["S0-CHUANYU", "S1-CHENGDU", "S2-CHONGQING-MPT", "S4-BEIJING"])
    def test_no_clock_of_the_round_before_runs_again(self, pack: str):
        case = self.closed(pack).does(self.COMMAND, by=MANAGER)
        assert {clock.key for clock in clocks(case.order, case.law) if clock.running} <= {"e2", "e2.a1"}

    def test_a_merged_child_follows_its_master_no_longer(self):
        merge = Merge(master=MASTER, at=REPLIED_AT, state_before=OrderState.AWAITING_DISPATCH, told=REPLIED_AT)
        case = given(registered(links=Links(merge=merge), state=OrderState.MERGED))
        case = case.after(OrderClosed(kind=ClosureKind.MERGED)).does(self.COMMAND, by=MANAGER)
        assert case.order.links.merge is not None
        assert case.order.links.merge.undone is not None


def test_only_the_named_roles_close():
    for role in Role:
        actor = msgspec.structs.replace(REVIEWER, role=role)
        allowed = role in {Role.QC_REVIEWER, Role.HOTLINE_MANAGER}
        asked = replied().when(closes(ClosureKind.COMPLETED), by=actor)
        asked.then(OrderClosed) if allowed else asked.refused(refusals.RoleNotAllowed)


def test_the_first_reply_of_a_new_round_is_what_closing_looks_at():
    case = given(working("S4-BEIJING", round=2))
    old = Reply(no=1, round=1, episode=1, unit="B", submitted=REPLIED_AT, outcome=Outcome.RESOLVED, informed=REPLIED_AT)
    case = case.having(replies=(old,), state=OrderState.REPLIED, quality=Quality())
    case.when(closes(ClosureKind.COMPLETED), by=REVIEWER).refused(refusals.ReplyMissing)


def test_a_dispatch_type_is_kept_by_a_reopening():
    case = given(working("S4-BEIJING"))
    designated = msgspec.structs.replace(case.order.episodes[-1], type=DispatchType.DESIGNATED)
    case = replied(case=case.having(episodes=(designated,))).after(OrderClosed(kind=ClosureKind.COMPLETED))
    case = case.does(TestReopening.COMMAND, by=MANAGER)
    assert case.order.episodes[-1].type is DispatchType.DESIGNATED
