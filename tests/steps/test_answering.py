"""③ Co-organizers' opinions, the reply, telling and explaining, promises."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain import refusals
from domain.state import Filing, Links, Merge
from domain.steps import filing
from domain.steps.answering import (
    ApplicantInformed,
    CompleteFollowUp,
    CoOpinion,
    CoOpinionSubmitted,
    Explain,
    ExplanationRecorded,
    FollowUpCommitted,
    FollowUpDone,
    FollowUpRejected,
    InformApplicant,
    RejectFollowUp,
    Reply,
    ReplySubmitted,
)
from domain.steps.evaluation import ReplyReviewed
from domain.steps.extending import ExtensionRequested
from domain.steps.handling import ApplicantContacted, AssignmentSigned, Contact
from domain.steps.triage import Withdraw
from domain.terms import (
    Actor,
    AssignmentState,
    ClockName,
    Hindrance,
    InformAbout,
    Informing,
    Mark,
    Medium,
    OrderState,
    Outcome,
    Role,
)
from tests.given import (
    AGENT,
    APPROVER,
    BASIS,
    HANDLER,
    MANAGER,
    PROOF,
    REVIEWER,
    Case,
    approver,
    at,
    dispatched,
    given,
    handler,
    registered,
    working,
)

TOLD = InformApplicant(about=InformAbout.RESULT, medium=Medium.PHONE)
MISSED = Contact(medium=Medium.PHONE, reached=False)
DONE = Reply(outcome=Outcome.RESOLVED, public_answer="路灯已修复")
OPINION = CoOpinion(opinion="已疏通")
MASTER = UUID("019777c0-0000-7000-8000-000000000009")


def told(pack: str = "S0-CHUANYU", **said: Any) -> Case:
    """A working order whose applicant was told the result on 2025-06-17 at 10:00."""
    return given(working(pack, **said)).at("2025-06-17 10:00").does(TOLD, by=HANDLER)


def tried(*instants: str) -> Case:
    case = given(working())
    for instant in instants:
        case = case.at(instant).does(MISSED, by=HANDLER)
    return case


def answered(**said: Any) -> Case:
    return told(**said).at("2025-06-17 11:00").does(DONE, by=APPROVER)


def reply_of(case: Case, command: Reply = DONE, by: Actor = APPROVER) -> ReplySubmitted:
    found = [step for step in case.when(command, by=by).decide() if isinstance(step, ReplySubmitted)]
    return found[0]


class TestReplying:
    def test_a_reply_after_telling_stops_the_handling_clock(self):
        case = told().at("2025-06-17 11:00").when(DONE, by=APPROVER)
        case = case.then(
            ReplySubmitted(
                assignment=1, unit="B", outcome=Outcome.RESOLVED, public_answer="路灯已修复", informing=Informing.TOLD
            )
        )
        assert case.order.state is OrderState.REPLIED
        stop = case.clock(ClockName.HANDLE).stop
        assert stop is not None
        assert stop.at == at("2025-06-17 11:00")
        assert case.order.replies[0].informed is not None
        assert case.order.replies[0].informed.at == at("2025-06-17 10:00")

    def test_without_telling_or_trying_there_is_no_reply(self):
        given(working()).when(DONE, by=APPROVER).refused(refusals.InformingMissing)

    def test_a_reply_says_something(self):
        told().when(Reply(outcome=Outcome.RESOLVED, public_answer=" "), by=APPROVER).refused(refusals.AnswerMissing)

    def test_a_late_reply_is_recorded_as_late(self):
        assert not reply_of(told().at("2025-07-08 00:00")).late
        assert reply_of(told().at("2025-07-08 00:00:00.001")).late

    def test_the_lead_answers_not_the_co_organizer_and_not_the_handler(self):
        case = told(co=["B2"])
        case.when(DONE, by=approver("B2")).refused(refusals.NotYourUnit)
        case.when(DONE, by=HANDLER).refused(refusals.RoleNotAllowed)
        case.when(DONE, by=MANAGER).refused(refusals.NotYourUnit)

    def test_the_first_act_signs_where_the_rules_know_no_signing(self):
        order = dispatched()
        case = given(order).at("2025-06-17 10:00")
        case = case.when(TOLD, by=HANDLER).then(AssignmentSigned, ApplicantInformed)
        case.when(DONE, by=APPROVER).then(ReplySubmitted)
        given(dispatched("S1-CHENGDU")).when(DONE, by=APPROVER).refused(refusals.NotSigned)

    def test_a_pending_return_is_withdrawn_first(self):
        told().having(state=OrderState.RETURN_REVIEW).when(DONE, by=APPROVER).refused(refusals.ReturnPending)

    @pytest.mark.parametrize("state", [OrderState.REPLIED, OrderState.CLOSED, OrderState.AWAITING_DISPATCH])
    def test_one_answers_what_one_works_on(self, state):
        told().having(state=state).when(DONE, by=APPROVER).refused(refusals.WrongState)

    def test_a_reply_ends_a_pending_extension_and_is_own_handling(self):
        asked = ExtensionRequested(assignment=1, unit="D", days=1, reason="x", due=at("2025-07-08 00:00"))
        case = told_by_district().after(asked, by=approver("D")).does(DONE, by=approver("D"))
        assert case.order.episodes[0].extensions[0].ended is not None
        assert case.order.episodes[0].passed_on is not None


def told_by_district() -> Case:
    return given(working(lead="D")).at("2025-06-17 10:00").does(TOLD, by=handler("D"))


class TestInforming:
    def test_three_attempts_on_two_days_at_different_hours_count(self):
        case = tried("2025-06-17 10:00", "2025-06-18 15:00", "2025-06-19 19:00").at("2025-06-19 19:30")
        assert reply_of(case).informing is Informing.TRIED
        case = case.does(DONE, by=APPROVER)
        assert case.clock(ClockName.HANDLE).stop is not None
        assert case.order.replies[0].informed is None

    @pytest.mark.parametrize(
        "instants",
        [
            ("2025-06-17 10:00", "2025-06-18 15:00"),
            ("2025-06-17 10:00", "2025-06-17 15:00", "2025-06-17 19:00"),
            ("2025-06-17 10:00", "2025-06-18 10:10", "2025-06-19 10:20"),
        ],
    )
    def test_fewer_or_all_on_one_day_or_at_one_hour_do_not(self, instants):
        tried(*instants).when(DONE, by=APPROVER).refused(refusals.InformingMissing)

    def test_a_failed_telling_is_an_attempt(self):
        vain = InformApplicant(about=InformAbout.RESULT, medium=Medium.PHONE, reached=False)
        case = tried("2025-06-17 10:00", "2025-06-18 15:00").at("2025-06-19 19:00").does(vain, by=HANDLER)
        assert case.order.episodes[0].informed_result is None
        assert reply_of(case).informing is Informing.TRIED

    def test_telling_after_such_a_reply_counts_for_the_applicant(self):
        case = tried("2025-06-17 10:00", "2025-06-18 15:00", "2025-06-19 19:00").at("2025-06-19 19:30")
        case = case.does(DONE, by=APPROVER)
        stop = case.clock(ClockName.HANDLE).stop
        case = case.at("2025-06-20 10:00").when(TOLD, by=HANDLER)
        case = case.then(
            ApplicantInformed(about=InformAbout.RESULT, medium=Medium.PHONE, unit="B", reached=True, reply=1)
        )
        assert case.order.replies[0].informed is not None
        assert case.clock(ClockName.HANDLE).stop == stop

    def test_an_anonymous_applicant_is_answered_by_publishing(self):
        case = given(working(anonymous=True)).at("2025-06-17 10:00")
        case.when(DONE, by=APPROVER).refused(refusals.InformingMissing)
        publish = msgspec.structs.replace(DONE, publish=True)
        submitted = reply_of(case, publish)
        assert (submitted.informing, submitted.published) == (Informing.PUBLISHED, True)
        assert case.does(publish, by=APPROVER).clock(ClockName.HANDLE).stop is not None

    def test_publishing_does_not_replace_telling_a_known_applicant(self):
        publish = msgspec.structs.replace(DONE, publish=True)
        given(working()).when(publish, by=APPROVER).refused(refusals.InformingMissing)

    def test_the_mayors_telephone_tells_by_itself(self):
        case = given(working("S2-CHONGQING-MPT")).at("2025-06-17 10:00")
        case = case.does(two_hands(case), by=APPROVER)
        assert case.order.replies[0].counted_informed is None
        assert case.clock(ClockName.HANDLE).stop is not None
        case = case.at("2025-06-18 09:00").does(TOLD, by=AGENT)
        assert case.order.replies[0].informed is not None

    def test_what_was_told_before_a_reply_was_sent_back_is_not_the_new_result(self):
        case = answered().at("2025-06-18 09:00")
        case = case.after(ReplyReviewed(reply=1, accepted=False, requirements="补充照片"), by=REVIEWER)
        assert case.order.state is OrderState.WORKING
        case.when(DONE, by=APPROVER).refused(refusals.InformingMissing)
        case.at("2025-06-18 10:00").does(TOLD, by=HANDLER).when(DONE, by=APPROVER).then(ReplySubmitted)


def two_hands(case: Case) -> Reply:
    """A reply with its drafter named where the pack wants two persons."""
    two = case.law.rules(case.order.policy).options.reply_two_persons
    return msgspec.structs.replace(DONE, drafted_by=HANDLER.user) if two else DONE


class TestTwoPersons:
    def test_one_drafts_and_another_signs_off(self):
        case = told().under(reply_two_persons=True)
        case.when(DONE, by=APPROVER).refused(refusals.TwoHandsNeeded)
        drafted = msgspec.structs.replace(DONE, drafted_by=HANDLER.user)
        case.when(drafted, by=APPROVER).then(ReplySubmitted)
        both = Actor(user=HANDLER.user, role=Role.ORG_APPROVER, unit="B")
        case.when(drafted, by=both).refused(refusals.SelfApproval)
        foreign = msgspec.structs.replace(DONE, drafted_by="b2-handler")
        case.when(foreign, by=APPROVER).refused(refusals.HandlerNotInUnit)


class TestOutcomes:
    UNRESOLVED = Reply(
        outcome=Outcome.UNRESOLVED,
        public_answer="需更换电缆",
        reason="缺备件",
        next_measures="采购后更换",
        implement_by=at("2025-07-15 00:00").date(),
        responsible_unit="B",
    )
    UNSOLVABLE = Reply(
        outcome=Outcome.UNSOLVABLE,
        public_answer="无法增设",
        reason="无权属",
        research=True,
        research_measures="纳入规划",
    )

    def test_an_unresolved_demand_makes_a_promise(self):
        case = told().when(self.UNRESOLVED, by=APPROVER)
        promise = FollowUpCommitted(
            reply=1, unit="B", implement_by=at("2025-07-15 00:00").date(), measures="采购后更换"
        )
        case = case.then(reply_of(told(), self.UNRESOLVED), promise)
        assert case.clock(ClockName.FOLLOW_UP).due == at("2025-07-16 00:00")

    @pytest.mark.parametrize("field", ["reason", "next_measures", "implement_by", "responsible_unit"])
    def test_its_four_fields_are_all_needed(self, field):
        less = msgspec.structs.replace(self.UNRESOLVED, **{field: "" if field == "responsible_unit" else None})
        told().when(less, by=APPROVER).refused(refusals.UnresolvedFieldsMissing)

    def test_a_promise_is_not_already_broken_and_its_unit_exists(self):
        past = msgspec.structs.replace(self.UNRESOLVED, implement_by=at("2025-06-16 00:00").date())
        told().when(past, by=APPROVER).refused(refusals.PromiseInPast)
        today = msgspec.structs.replace(self.UNRESOLVED, implement_by=at("2025-06-17 00:00").date())
        told().when(today, by=APPROVER).then(ReplySubmitted, FollowUpCommitted)
        nobody = msgspec.structs.replace(self.UNRESOLVED, responsible_unit="X")
        told().when(nobody, by=APPROVER).refused(refusals.UnknownUnit)

    def test_half_a_promise_is_none(self):
        half = msgspec.structs.replace(DONE, implement_by=at("2025-07-15 00:00").date())
        told().when(half, by=APPROVER).refused(refusals.UnresolvedFieldsMissing)
        whole = msgspec.structs.replace(half, outcome=Outcome.PARTIAL, next_measures="更换", responsible_unit="B")
        told().when(whole, by=APPROVER).then(ReplySubmitted, FollowUpCommitted)

    def test_an_unsolvable_demand_says_why_and_whether_it_is_being_studied(self):
        told().when(self.UNSOLVABLE, by=APPROVER).then(ReplySubmitted)
        no_study = msgspec.structs.replace(self.UNSOLVABLE, research=False, research_measures=None)
        told().when(no_study, by=APPROVER).then(ReplySubmitted)
        for less in ({"reason": None}, {"research": None}, {"research_measures": None}):
            incomplete = msgspec.structs.replace(self.UNSOLVABLE, **less)
            told().when(incomplete, by=APPROVER).refused(refusals.UnsolvableFieldsMissing)

    def test_the_kind_of_reason_goes_with_what_was_not_resolved(self):
        for reply in (self.UNRESOLVED, self.UNSOLVABLE):
            said = msgspec.structs.replace(reply, hindrance=Hindrance.PLANNING)
            case = told().when(said, by=APPROVER).then()
            assert case.order.replies[0].hindrance == "planning"
        resolved = msgspec.structs.replace(DONE, hindrance=Hindrance.PLANNING)
        told().when(resolved, by=APPROVER).refused(refusals.HindranceWithoutOne)

    def test_an_explanation_given_with_the_reply_belongs_to_it(self):
        unfit = msgspec.structs.replace(DONE, policy_fit=False, explanation="依规不能", legal_basis=BASIS)
        case = told().when(unfit, by=APPROVER).then(ReplySubmitted, ExplanationRecorded)
        assert case.order.replies[0].policy_fit is False
        assert filing.explained(case.order)


class TestCoOrganizers:
    def test_the_lead_waits_for_each_opinion_or_names_who_gave_none(self):
        case = told(co=["B2", "S"]).does(OPINION, by=handler("B2"))
        case.when(DONE, by=APPROVER).refused(refusals.CoOpinionMissing)
        named = reply_of(case, msgspec.structs.replace(DONE, missing_co=("S",)))
        assert (named.co_opinions, named.missing_co) == (("B2",), ("S",))
        both = case.does(OPINION, by=handler("S"))
        assert reply_of(both).co_opinions == ("B2", "S")

    def test_only_a_co_organizer_gives_an_opinion(self):
        told(co=["B2"]).when(OPINION, by=HANDLER).refused(refusals.NotCoOrganizer)

    def test_an_unfinished_part_says_why(self):
        case = told(co=["B2"])
        case.when(CoOpinion(opinion="在办", staged=True), by=handler("B2")).refused(refusals.ReasonMissing)
        staged = CoOpinion(opinion="在办", staged=True, reason="待材料")
        case.when(staged, by=handler("B2")).then(CoOpinionSubmitted)

    def test_it_comes_late_after_the_leads_reply_and_still_stops_the_clock(self):
        case = told(co=["B2"]).does(msgspec.structs.replace(DONE, missing_co=("B2",)), by=APPROVER)
        assert case.clock(ClockName.CO_REPLY).running
        case = case.at("2025-07-08 09:00").when(OPINION, by=handler("B2"))
        case = case.then(CoOpinionSubmitted(assignment=2, unit="B2", opinion="已疏通", late=True))
        assert case.clock(ClockName.CO_REPLY).breached(case.now)
        first = case.clock(ClockName.CO_REPLY).stop
        assert case.at("2025-07-09 09:00").does(OPINION, by=handler("B2")).clock(ClockName.CO_REPLY).stop == first

    def test_it_is_signed_for_first_where_the_rules_want_that(self):
        given(dispatched("S1-CHENGDU", co=["B2"])).when(OPINION, by=handler("B2")).refused(refusals.NotSigned)
        given(dispatched(co=["B2"])).when(OPINION, by=handler("B2")).then(AssignmentSigned, CoOpinionSubmitted)


class TestTheHotlineLeads:
    def case(self) -> Case:
        return given(dispatched("S2-CHONGQING-MPT", lead="", co=["B", "B2"])).at("2025-06-17 10:00")

    def test_its_management_collects_the_opinions_and_answers(self):
        case = self.case().does(OPINION, by=HANDLER)
        answer = two_hands(case)
        case.when(answer, by=MANAGER).refused(refusals.CoOpinionMissing)
        case = case.does(OPINION, by=handler("B2"))
        case = case.does(DONE, by=MANAGER)
        assert (case.order.replies[0].unit, case.order.state) == ("H", OrderState.REPLIED)

    def test_no_unit_answers_in_its_place(self):
        self.case().when(DONE, by=APPROVER).refused(refusals.NotYourUnit)

    def test_it_calls_and_explains_itself(self):
        case = self.case().when(MISSED, by=AGENT).then(ApplicantContacted)
        case.when(Explain(points="依规不能"), by=AGENT).then(ExplanationRecorded)


class TestTellingTheApplicant:
    def test_acceptance_or_result_is_what_the_consumer_statute_waits_for(self):
        case = given(working(tags=("consumer_complaint",))).at("2025-06-17 10:00")
        heard = InformApplicant(about=InformAbout.ACCEPTANCE, medium=Medium.SMS)
        assert case.clock(ClockName.STATUTORY).running
        progress = InformApplicant(about=InformAbout.PROGRESS, medium=Medium.SMS)
        assert case.does(progress, by=HANDLER).clock(ClockName.STATUTORY).running
        assert case.does(heard, by=AGENT).clock(ClockName.STATUTORY).stop is not None
        assert case.does(TOLD, by=AGENT).clock(ClockName.STATUTORY).stop is not None

    def test_a_unit_without_part_in_it_does_not_tell(self):
        given(working()).when(TOLD, by=handler("B2")).refused(refusals.NotYourUnit)

    def test_a_unit_that_passed_it_on_may_still_tell(self):
        case = given(dispatched("S1-CHENGDU", co=["B2"]))
        case.when(TOLD, by=HANDLER).refused(refusals.NotSigned)
        held = case.order.episodes[0].assignments
        passed = msgspec.structs.replace(held[0], ended=Mark(case.now, 3), state=AssignmentState.TRANSFERRED)
        episode = msgspec.structs.replace(case.order.episodes[0], assignments=(passed, held[1]))
        case.having(episodes=(episode,)).when(TOLD, by=HANDLER).then(ApplicantInformed)

    def test_there_is_something_to_tell_from_the_dispatch_on(self):
        given(registered()).when(TOLD, by=AGENT).refused(refusals.WrongState)

    def test_until_the_file_is_sealed(self):
        case = answered().having(state=OrderState.CLOSED)
        case.when(TOLD, by=HANDLER).then(ApplicantInformed)
        sealed = Filing(sealed=Mark(case.now, 9))
        case.having(filing=sealed).when(TOLD, by=HANDLER).refused(refusals.OrderSealed)

    def merged(self, master: Case | None) -> Case:
        merge = Merge(master=MASTER, at=Mark(at("2025-06-16 10:00"), 3), state_before=OrderState.DISPATCHED)
        child = given(registered(links=Links(merge=merge))).having(state=OrderState.MERGED)
        return child.beside({f"order:{MASTER}": master.order if master else None}).at("2025-06-17 12:00")

    def test_a_merged_orders_applicant_is_told_the_masters_result(self):
        tell = msgspec.structs.replace(TOLD, master=MASTER)
        child = self.merged(answered())
        child.when(tell, by=handler("B2")).refused(refusals.NotYourUnit)
        child = child.when(tell, by=HANDLER).then(ApplicantInformed)
        assert child.order.links.merge is not None
        assert child.order.links.merge.told is not None
        assert child.order.episodes == ()

    def test_which_needs_the_master_named_and_answered(self):
        tell = msgspec.structs.replace(TOLD, master=MASTER)
        self.merged(answered()).when(TOLD, by=AGENT).refused(refusals.UnknownOrder)
        self.merged(None).when(tell, by=AGENT).refused(refusals.UnknownOrder)
        self.merged(told()).when(tell, by=AGENT).refused(refusals.MasterNotReplied)

    def test_every_end_of_the_master_is_a_result_to_tell(self):
        tell = msgspec.structs.replace(TOLD, master=MASTER)
        withdrawn = told().does(Withdraw(identity_checked=True), by=AGENT)
        self.merged(withdrawn).when(tell, by=AGENT).then(ApplicantInformed)
        refused = told().having(state=OrderState.NOT_ACCEPTED)
        self.merged(refused).when(tell, by=AGENT).then(ApplicantInformed)


class TestExplaining:
    def test_before_and_after_the_reply(self):
        before = told().when(Explain(points="依规不能", legal_basis=BASIS), by=HANDLER).then(ExplanationRecorded)
        assert before.order.quality.explained == (0,)
        assert filing.explained(before.does(DONE, by=APPROVER).order)
        after = answered().when(Explain(points="依规不能"), by=HANDLER)
        after = after.then(ExplanationRecorded(unit="B", points="依规不能", reply=1))
        assert after.order.quality.explained == (1,)

    def test_not_once_it_is_closed_and_not_by_others(self):
        answered().having(state=OrderState.CLOSED).when(Explain(points="x"), by=HANDLER).refused(refusals.WrongState)
        answered().when(Explain(points="x"), by=handler("B2")).refused(refusals.NotYourUnit)
        answered().when(Explain(points="x"), by=AGENT).refused(refusals.NotYourUnit)


class TestPromises:
    KEPT = CompleteFollowUp(follow_up=1, result="已更换", evidence=(PROOF,))

    def promised(self) -> Case:
        return told().does(TestOutcomes.UNRESOLVED, by=APPROVER).having(state=OrderState.CLOSED).at("2025-07-15 10:00")

    def test_a_promise_is_kept_with_evidence_by_who_made_it(self):
        case = self.promised()
        case.when(self.KEPT, by=handler("B2")).refused(refusals.NotYourUnit)
        bare = msgspec.structs.replace(self.KEPT, evidence=())
        case.when(bare, by=HANDLER).refused(refusals.EvidenceMissing)
        kept = FollowUpDone(follow_up=1, unit="B", result="已更换", evidence=(PROOF,))
        case = case.when(self.KEPT, by=HANDLER).then(kept)
        assert case.clock(ClockName.FOLLOW_UP).stop is not None
        case.when(self.KEPT, by=HANDLER).refused(refusals.FollowUpAlreadyDone)

    def test_kept_nine_hours_late_is_recorded_as_late(self):
        late = FollowUpDone(follow_up=1, unit="B", result="已更换", evidence=(PROOF,), late=True)
        case = self.promised().at("2025-07-16 09:00").when(self.KEPT, by=HANDLER).then(late)
        by = case.clock(ClockName.FOLLOW_UP).late_by(case.now)
        assert by is not None
        assert by.total_seconds() == 9 * 3600

    def test_the_hotline_may_not_believe_it_and_the_clock_runs_on(self):
        case = self.promised()
        no = RejectFollowUp(follow_up=1, reason="现场未更换")
        case.when(no, by=REVIEWER).refused(refusals.FollowUpNotDone)
        case = case.does(self.KEPT, by=HANDLER)
        case.when(RejectFollowUp(follow_up=1, reason=""), by=REVIEWER).refused(refusals.ReasonMissing)
        itself = Actor(user=HANDLER.user, role=Role.HOTLINE_MANAGER, unit="H")
        case.when(no, by=itself).refused(refusals.SelfApproval)
        case = case.when(no, by=REVIEWER).then(FollowUpRejected(follow_up=1, reason="现场未更换"))
        assert case.clock(ClockName.FOLLOW_UP).running
        assert len(case.order.follow_ups[0].rejected) == 1
        case.when(self.KEPT, by=HANDLER).then(FollowUpDone)

    def test_there_is_no_second_promise_and_none_in_a_sealed_file(self):
        second = msgspec.structs.replace(self.KEPT, follow_up=2)
        self.promised().when(second, by=HANDLER).refused(refusals.NoSuchFollowUp)
        sealed = self.promised().having(filing=Filing(sealed=Mark(at("2025-07-14 00:00"), 9)))
        sealed.when(self.KEPT, by=HANDLER).refused(refusals.OrderSealed)


class TestHistoryThatLacksSteps:
    @pytest.mark.parametrize(
        "event",
        [
            CoOpinionSubmitted(assignment=4, unit="B", opinion="x"),
            ReplySubmitted(assignment=4, unit="B", outcome=Outcome.RESOLVED, public_answer="x"),
            ApplicantInformed(about=InformAbout.RESULT, medium=Medium.WEB, unit="B", reached=True, reply=4),
            ApplicantInformed(about=InformAbout.RESULT, medium=Medium.WEB, unit="B", reached=False),
            ExplanationRecorded(unit="B", points="x", reply=4),
            FollowUpCommitted(reply=4, unit="B", implement_by=at("2025-07-15 00:00").date(), measures="x"),
            FollowUpDone(follow_up=4, unit="B", result="x"),
            FollowUpRejected(follow_up=4, reason="x"),
        ],
    )
    def test_every_event_folds_all_the_same(self, event):
        given(registered(), event, by=HANDLER)
        given(dispatched(), event, by=HANDLER)

    def test_a_reply_without_a_dispatch_is_a_reply(self):
        reply = ReplySubmitted(assignment=0, unit="B", outcome=Outcome.RESOLVED, public_answer="x", published=True)
        case = given(registered(), reply, by=APPROVER)
        assert (case.order.state, case.order.replies[0].episode) == (OrderState.REPLIED, 0)

    def test_a_reply_that_the_source_published_counts_as_told_and_one_it_did_not_does_not(self):
        reply = ReplySubmitted(assignment=1, unit="B", outcome=Outcome.RESOLVED, public_answer="x", published=True)
        assert given(working(), reply, by=APPROVER).clock(ClockName.HANDLE).stop is not None
        silent = msgspec.structs.replace(reply, published=False)
        assert given(working(), silent, by=APPROVER).clock(ClockName.HANDLE).running
        assert told().after(silent, by=APPROVER).clock(ClockName.HANDLE).stop is not None

    def test_a_reply_after_the_closure_does_not_open_it(self):
        reply = ReplySubmitted(assignment=1, unit="B", outcome=Outcome.RESOLVED, public_answer="x")
        order = msgspec.structs.replace(working(), state=OrderState.CLOSED)
        assert given(order, reply, by=APPROVER).order.state is OrderState.CLOSED
