"""④ Reviewing the reply, rating, deeming, ordering a redo, reasonableness, what counts."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain import institution, refusals
from domain.state import Dispute, Links, Merge, effective
from domain.steps.answering import (
    ApplicantInformed,
    Explain,
    FollowUpCommitted,
    InformApplicant,
    Reply,
    ReplySubmitted,
)
from domain.steps.closing import Close
from domain.steps.evaluation import (
    Deem,
    DeemedNotHandled,
    Evaluate,
    EvaluationDeemed,
    EvaluationRecorded,
    ExemptSatisfaction,
    JudgeReasonableness,
    JudgeSubstance,
    LateEvaluationRecorded,
    OrderRedo,
    ProposeReasonableness,
    ReasonablenessJudged,
    ReasonablenessProposed,
    RedoOrdered,
    RejectExemption,
    ReplyReviewed,
    ReplySubstanceJudged,
    ReviewReply,
    SatisfactionExemptProposed,
    SatisfactionExemptRejected,
    SatisfactionExemptSet,
)
from domain.steps.filing import OrderArchived, OrderClosed
from domain.steps.revisiting import RevisitCompleted, RevisitRefused
from domain.terms import (
    Actor,
    AssignmentState,
    ClockName,
    ClosureKind,
    Confidentiality,
    Dimension,
    Entry,
    EvaluationSource,
    ExemptCategory,
    InformAbout,
    Limit,
    LimitUnit,
    Mark,
    Medium,
    Number,
    OrderState,
    Outcome,
    Rating,
    Reasonableness,
    RedoGround,
    Resolution,
    RevisitMethod,
    Role,
    Substance,
    Urgency,
)
from domain.units import UnitSucceeded
from tests.given import (
    APPROVER,
    BASIS,
    CITIZEN,
    COORDINATOR,
    DISPATCHER,
    HANDLER,
    MANAGER,
    PROOF,
    REVIEWER,
    REVISITOR,
    SUPERVISOR,
    SYSTEM,
    Case,
    approver,
    at,
    dispatched,
    given,
    handler,
    registered,
    working,
)

ACCEPT = ReviewReply(reply=1, accept=True)
BACK = ReviewReply(reply=1, accept=False, requirements="补充照片")
FAIR = {Dimension.RESULT: Rating.SATISFIED}
POOR = {Dimension.RESULT: Rating.DISSATISFIED}
RATE = Evaluate(ratings=FAIR)
COMPLAIN = Evaluate(ratings=POOR)
REDO = OrderRedo(ground=RedoGround.NOT_DONE, requirements="重新修复")
EXEMPT = ExemptSatisfaction(category=ExemptCategory.MEDIATION, article=BASIS)
UNFAIR = ProposeReasonableness(words="要求违法", evidence=(PROOF,))
VISITED = RevisitCompleted(round=1, method=RevisitMethod.FACE, script_version="1", reply=1)


def answered(pack: str = "S1-CHENGDU", when: str = "2025-09-30 16:00", **said: Any) -> Case:
    """Told and answered at the same instant (T41, T42, T78: Tue 2025-09-30 16:00, the window ends 10-14 24:00)."""
    case = given(working(pack, "2025-09-29 09:00", **said)).at(when)
    case = case.does(InformApplicant(about=InformAbout.RESULT, medium=Medium.PHONE), by=HANDLER)
    drafted = HANDLER.user if case.law.rules(case.order.policy).options.reply_two_persons else ""
    outcome = Reply(outcome=Outcome.RESOLVED, public_answer="路灯已修复", drafted_by=drafted)
    return case.does(outcome, by=APPROVER)


def overdue(**said: Any) -> Case:
    """Nobody evaluated: the window's end has passed."""
    return answered(**said).at("2025-10-15 00:00:00.050")


def deemed(**said: Any) -> Case:
    return overdue(**said).does(Deem(), by=SYSTEM)


def sealed(case: Case) -> Case:
    return case.having(filing=msgspec.structs.replace(case.order.filing, sealed=Mark(case.now, 9)))


def again(case: Case, unit: str = "B") -> Case:
    """One more reply of the unit."""
    reply = ReplySubmitted(assignment=1, unit=unit, outcome=Outcome.RESOLVED, public_answer="x")
    told = ApplicantInformed(
        about=InformAbout.RESULT, medium=Medium.PHONE, unit=unit, reached=True, reply=len(case.order.replies) + 1
    )
    return case.after(reply, told, by=approver(unit))


class TestReviewing:
    def test_an_accepted_reply_waits_for_its_evaluation(self):
        case = answered().when(ACCEPT, by=REVIEWER).then(ReplyReviewed(reply=1, accepted=True))
        assert case.order.state is OrderState.EVALUATING
        assert case.order.replies[0].accepted_again is not None
        case.when(ACCEPT, by=REVIEWER).refused(refusals.AlreadyReviewed)

    def test_a_reply_sent_back_is_work_again_and_voids_what_was_said_about_it(self):
        case = answered().does(RATE, by=CITIZEN).after(VISITED, by=REVISITOR)
        case = case.when(BACK, by=REVIEWER).then(ReplyReviewed(reply=1, accepted=False, requirements="补充照片"))
        assert case.order.state is OrderState.WORKING
        assert case.order.episodes[0].assignments[0].state is AssignmentState.SIGNED
        assert effective(case.order) is None
        assert case.order.revisit is not None
        assert case.order.revisit.completed is None
        assert case.clock(ClockName.HANDLE).running
        assert case.clock(ClockName.CORRECTION).running

    def test_sending_back_says_what_is_wanted(self):
        answered().when(ReviewReply(reply=1, accept=False), by=REVIEWER).refused(refusals.RequirementsMissing)

    def test_after_the_window_a_reply_counts_as_accepted(self):
        answered().at("2025-10-15 00:00").when(BACK, by=REVIEWER).then(ReplyReviewed)
        overdue().when(BACK, by=REVIEWER).refused(refusals.ReviewWindowOver)
        overdue().when(ACCEPT, by=REVIEWER).then(ReplyReviewed)

    def test_so_does_one_whose_time_to_close_by_itself_has_come(self):
        case = answered("S0-CHUANYU")
        case.at("2025-10-16 00:00").when(BACK, by=REVIEWER).refused(refusals.ReviewWindowOver)

    def test_who_handled_does_not_review(self):
        moved = Actor(user=APPROVER.user, role=Role.QC_REVIEWER, unit="H")
        answered().when(ACCEPT, by=moved).refused(refusals.ReviewerHandled)
        drafter = Actor(user="b-second", role=Role.QC_REVIEWER, unit="H")
        reply = msgspec.structs.replace(answered().order.replies[0], drafted_by="b-second")
        answered().having(replies=(reply,)).when(ACCEPT, by=drafter).refused(refusals.ReviewerHandled)
        signer = Actor(user="b-handler", role=Role.QC_REVIEWER, unit="H")
        answered().having(signers=(), replies=(reply,)).when(ACCEPT, by=signer).refused(refusals.ReviewerHandled)

    def test_a_unit_does_not_review_a_complaint_about_itself(self):
        case = answered(accused=("H",))
        case.when(ACCEPT, by=REVIEWER).refused(refusals.AccusedUnit)
        case.under(accused_may_judge=True).when(ACCEPT, by=REVIEWER).then(ReplyReviewed)

    def test_nor_an_heir_of_that_unit_nor_one_below_it(self):
        inside = Actor(user="b2-reviewer", role=Role.QC_REVIEWER, unit="B2")
        answered(accused=("D",)).when(ACCEPT, by=inside).refused(refusals.AccusedUnit)
        answered(accused=("E",)).when(ACCEPT, by=inside).then(ReplyReviewed)
        divided = UnitSucceeded(from_units=("E",), to_units=("G", "B2"), at=at("2025-06-20 00:00"), basis=BASIS)
        answered(accused=("E",)).decreed(divided).when(ACCEPT, by=inside).refused(refusals.AccusedUnit)

    def test_of_the_hotline_itself_the_governments_office_judges_in_its_stead_and_nowhere_else(self):
        case = answered(accused=("H",))
        case.when(REDO, by=MANAGER).refused(refusals.AccusedUnit)
        case.when(REDO, by=COORDINATOR).then(RedoOrdered)
        accepted = case.when(ACCEPT, by=COORDINATOR).then(ReplyReviewed)
        conforming = Close(kind=ClosureKind.CONFORMING, article=BASIS)
        accepted.when(conforming, by=REVIEWER).refused(refusals.AccusedUnit)
        accepted.when(conforming, by=COORDINATOR).then(OrderClosed)
        for command in (ACCEPT, REDO, conforming):
            answered().when(command, by=COORDINATOR).refused(refusals.RoleNotAllowed)
            answered(accused=("H", "G")).when(command, by=COORDINATOR).refused(refusals.RoleNotAllowed)

    def test_a_reply_to_an_informant_is_checked_for_what_gives_them_away(self):
        case = answered(confidentiality=Confidentiality.INFORMANT)
        case.when(ACCEPT, by=REVIEWER).refused(refusals.IdentityNotChecked)
        checked = msgspec.structs.replace(ACCEPT, identity_checked=True)
        case.when(checked, by=REVIEWER).then(ReplyReviewed)

    def test_only_the_newest_reply_is_reviewed_and_only_an_existing_one(self):
        case = again(answered().does(BACK, by=REVIEWER))
        case.when(ACCEPT, by=REVIEWER).refused(refusals.AlreadyReviewed)
        case.when(msgspec.structs.replace(ACCEPT, reply=3), by=REVIEWER).refused(refusals.NoSuchReply)
        case.when(msgspec.structs.replace(ACCEPT, reply=2), by=REVIEWER).then(ReplyReviewed)

    def test_there_is_nothing_to_review_before_a_reply(self):
        given(working("S1-CHENGDU")).when(ACCEPT, by=REVIEWER).refused(refusals.WrongState)


def replied_under(review: str, **said: Any) -> Case:
    """Answered in a city that reviews all replies, some or none."""
    case = given(working("S1-CHENGDU", "2025-09-29 09:00", **said)).under(reply_review=review)
    case = case.at("2025-09-30 16:00").does(InformApplicant(about=InformAbout.RESULT, medium=Medium.PHONE), by=HANDLER)
    return case.does(Reply(outcome=Outcome.RESOLVED, public_answer="路灯已修复"), by=APPROVER)


class TestWhichRepliesAreReviewed:
    def test_where_none_is_a_reply_counts_as_accepted_at_once(self):
        case = replied_under("none")
        assert case.order.state is OrderState.EVALUATING
        assert case.order.replies[0].accepted
        assert case.order.replies[0].accepted_by == ""
        for command in (ACCEPT, BACK):
            case.when(command, by=REVIEWER).refused(refusals.AlreadyReviewed)
        case.when(REDO, by=MANAGER).then(RedoOrdered)
        late = case.at("2025-10-15 00:00:00.050")
        late.when(Deem(), by=SYSTEM).then(EvaluationDeemed, OrderClosed, OrderArchived, Number)

    def test_but_an_informants_is_looked_at_everywhere(self):
        case = replied_under("none", confidentiality=Confidentiality.INFORMANT)
        assert case.order.state is OrderState.REPLIED
        case.when(msgspec.structs.replace(ACCEPT, identity_checked=True), by=REVIEWER).then(ReplyReviewed)

    @pytest.mark.parametrize("review", ["sample", "all"])
    def test_where_some_or_all_are_silence_accepts_when_the_time_is_over(self, review):
        case = replied_under(review).at("2025-10-15 00:00:00.050")
        assert case.order.state is OrderState.REPLIED
        case.when(Deem(), by=SYSTEM).then(ReplyReviewed, EvaluationDeemed, OrderClosed, OrderArchived, Number)


class TestSubstance:
    UNCHANGED = JudgeSubstance(reply=2, substance=Substance.UNCHANGED, grounds="与上次相同")

    def test_the_third_reply_without_change_counts_as_not_handled(self):
        case = again(answered())
        case = case.when(self.UNCHANGED, by=REVIEWER).then(
            ReplySubstanceJudged(reply=2, substance=Substance.UNCHANGED, grounds="与上次相同")
        )
        assert case.order.quality.streak == 2
        third = msgspec.structs.replace(self.UNCHANGED, reply=3)
        case = again(case).when(third, by=SUPERVISOR)
        case = case.then(ReplySubstanceJudged, DeemedNotHandled(unit="B", reply=3, streak=3))
        assert case.order.quality.not_handled is not None

    def test_a_justified_one_begins_the_count_anew(self):
        justified = JudgeSubstance(reply=2, substance=Substance.JUSTIFIED, grounds="法律规定", basis=BASIS)
        case = again(again(answered()).does(justified, by=REVIEWER))
        third = msgspec.structs.replace(self.UNCHANGED, reply=3)
        assert case.when(third, by=REVIEWER).then(ReplySubstanceJudged).order.quality.streak == 2

    def test_justifying_names_the_basis(self):
        bare = JudgeSubstance(reply=2, substance=Substance.JUSTIFIED, grounds="法律规定")
        again(answered()).when(bare, by=REVIEWER).refused(refusals.LegalBasisMissing)

    def test_another_unit_begins_the_count_anew(self):
        case = again(answered()).does(self.UNCHANGED, by=REVIEWER)
        assert again(case, "B2").order.quality.streak == 1

    def test_a_first_reply_has_nothing_to_be_compared_with(self):
        first = msgspec.structs.replace(self.UNCHANGED, reply=1)
        answered().when(first, by=REVIEWER).refused(refusals.NothingToCompare)
        again(answered(), "B2").when(self.UNCHANGED, by=REVIEWER).refused(refusals.NothingToCompare)

    def test_it_is_judged_once_by_somebody_else(self):
        case = again(answered())
        case.does(self.UNCHANGED, by=REVIEWER).when(self.UNCHANGED, by=SUPERVISOR).refused(refusals.AlreadyJudged)
        moved = Actor(user=APPROVER.user, role=Role.SUPERVISOR, unit="H")
        case.when(self.UNCHANGED, by=moved).refused(refusals.ReviewerHandled)
        case.when(msgspec.structs.replace(self.UNCHANGED, reply=9), by=REVIEWER).refused(refusals.NoSuchReply)

    def test_other_cities_count_and_conclude_nothing(self):
        case = again(again(answered("S0-CHUANYU")))
        for number in (2, 3):
            judged = msgspec.structs.replace(self.UNCHANGED, reply=number)
            case = case.when(judged, by=REVIEWER).then(ReplySubstanceJudged)


class TestEvaluating:
    def test_the_last_instant_of_the_window_counts(self):
        case = answered().at("2025-10-14 23:59:59.900").when(COMPLAIN, by=CITIZEN)
        case = case.then(EvaluationRecorded(round=1, reply=1, source=EvaluationSource.CITIZEN_SELF, ratings=POOR))
        case.at("2025-10-15 00:00:00.050").when(Deem(), by=SYSTEM).refused(refusals.WindowOpen)

    def test_after_the_window_it_is_late_whether_or_not_the_job_has_run(self):
        overdue().at("2025-10-15 11:00").when(COMPLAIN, by=CITIZEN).then(LateEvaluationRecorded)
        case = deemed().at("2025-10-16 09:00").when(COMPLAIN, by=CITIZEN).then(LateEvaluationRecorded)
        found = effective(case.order)
        assert found is not None
        assert found.source is EvaluationSource.DEEMED

    def test_where_an_outage_declared_after_the_deeming_lengthens_the_window_a_rating_in_it_counts(self):
        """The window ended on 10-14 at 24:00, inside the outage; so it runs on to the end of Thursday 10-16."""
        case = deemed()
        down = institution.OutageDeclared(
            proposal=0,
            from_at=at("2025-10-14 20:00"),
            until=at("2025-10-15 06:00"),
            scope=institution.OutageScope.ALL,
            basis=BASIS,
        )
        declared = Entry(
            event=down,
            stream="institution",
            version=900,
            position=900,
            recorded_at=at("2025-10-15 08:00"),
            actor=SYSTEM,
        )
        law = institution.evolve(case.law, declared)
        in_time, late = case.at("2025-10-16 23:59"), case.at("2025-10-17 00:00:00.001")
        in_time.law = late.law = law
        rated = in_time.when(COMPLAIN, by=CITIZEN).then(EvaluationRecorded)
        found = effective(rated.order)
        assert found is not None
        assert (found.source, found.result) == (EvaluationSource.CITIZEN_SELF, Rating.DISSATISFIED)
        unhappy = msgspec.structs.replace(REDO, ground=RedoGround.REASONABLE_DISSATISFACTION)
        rated.when(unhappy, by=MANAGER).then(RedoOrdered)
        late.when(COMPLAIN, by=CITIZEN).then(LateEvaluationRecorded)

    def test_where_nothing_is_deemed_a_closed_orders_rating_is_late(self):
        case = answered("S0-CHUANYU").after(OrderClosed(kind=ClosureKind.COMPLETED))
        assert case.when(RATE, by=CITIZEN).then(LateEvaluationRecorded).order.quality.evaluations[0].late

    def test_each_source_rates_a_reply_once(self):
        case = answered().does(RATE, by=CITIZEN)
        case.when(COMPLAIN, by=CITIZEN).refused(refusals.AlreadyRated)
        case.when(COMPLAIN, by=HANDLER).then(EvaluationRecorded)

    def test_a_corrected_reply_is_rated_anew(self):
        case = again(answered().does(RATE, by=CITIZEN).does(BACK, by=REVIEWER))
        case.when(COMPLAIN, by=CITIZEN).then(EvaluationRecorded)

    def test_the_hotlines_visit_counts_before_the_citizens_and_that_before_the_organizers(self):
        case = answered().does(RATE, by=HANDLER)
        assert effective(case.order).source is EvaluationSource.ORGANIZER_SOLICITED  # type: ignore[union-attr]
        case = case.does(COMPLAIN, by=CITIZEN)
        assert effective(case.order).source is EvaluationSource.CITIZEN_SELF  # type: ignore[union-attr]
        case = case.after(VISITED, by=REVISITOR).does(RATE, by=REVISITOR)
        assert effective(case.order).source is EvaluationSource.REVISIT  # type: ignore[union-attr]

    def test_a_visitor_rates_after_a_visit(self):
        answered().when(RATE, by=REVISITOR).refused(refusals.RevisitNotDone)
        case = deemed().after(VISITED, by=REVISITOR)
        case.when(COMPLAIN, by=REVISITOR).then(EvaluationRecorded)
        inside = Actor(user="b-revisitor", role=Role.REVISITOR, unit="B")
        case.when(COMPLAIN, by=inside).refused(refusals.RevisitorFromHandlingUnit)

    def test_an_organizer_asks_only_where_the_rules_say_so_and_only_about_its_own_reply(self):
        answered("S0-CHUANYU").when(RATE, by=HANDLER).refused(refusals.SolicitingNotAllowed)
        answered().when(RATE, by=handler("B2")).refused(refusals.NotYourUnit)

    def test_a_rating_rates_the_result(self):
        mild = Evaluate(ratings={Dimension.ATTITUDE: Rating.SATISFIED})
        answered().when(mild, by=CITIZEN).refused(refusals.RatingMissing)

    def test_there_is_nothing_to_rate_before_a_reply_or_in_a_sealed_file(self):
        given(working("S1-CHENGDU")).when(RATE, by=CITIZEN).refused(refusals.WrongState)
        given(working("S1-CHENGDU")).having(state=OrderState.CLOSED).when(RATE, by=CITIZEN).refused(refusals.WrongState)
        sealed(deemed()).when(RATE, by=CITIZEN).refused(refusals.OrderSealed)

    def test_the_applicant_of_a_merged_order_rates_what_they_were_told(self):
        merge = Merge(master=UUID(int=9), at=Mark(at("2025-06-16 10:00"), 3), state_before=OrderState.AWAITING_DISPATCH)
        case = given(registered("S1-CHENGDU", links=Links(merge=merge))).having(state=OrderState.MERGED)
        case.when(RATE, by=CITIZEN).refused(refusals.ResultNotTold)
        told = ApplicantInformed(about=InformAbout.RESULT, medium=Medium.PHONE, unit="H", reached=True)
        case = case.after(told).when(RATE, by=CITIZEN)
        case.then(EvaluationRecorded(round=1, reply=0, source=EvaluationSource.CITIZEN_SELF, ratings=FAIR))


class TestDeeming:
    def test_nobody_evaluated_so_it_is_deemed_closed_and_filed_as_of_the_windows_end(self):
        case = deemed_at("2025-10-16 08:00")
        assert case.order.state is OrderState.ARCHIVED
        assert case.order.filing.kind is ClosureKind.DEEMED_BASICALLY_SATISFIED
        found = effective(case.order)
        assert found is not None
        assert (found.result, found.at.at) == (Rating.BASICALLY_SATISFIED, at("2025-10-15 00:00"))
        assert case.order.replies[0].accepted
        assert case.order.replies[0].accepted_again is None

    def test_an_accepted_reply_is_not_accepted_twice(self):
        case = answered().does(ACCEPT, by=REVIEWER).at("2025-10-15 00:00:00.050")
        case.when(Deem(), by=SYSTEM).then(EvaluationDeemed, OrderClosed, OrderArchived, Number)

    def test_with_an_open_duty_it_closes_and_is_not_filed(self):
        promise = FollowUpCommitted(reply=1, unit="B", implement_by=at("2025-12-01 00:00").date(), measures="更换")
        case = overdue().after(promise).when(Deem(), by=SYSTEM)
        assert case.then(ReplyReviewed, EvaluationDeemed, OrderClosed).order.state is OrderState.CLOSED

    def test_an_unresolved_demand_closes_with_its_promise_tracked(self):
        case = overdue()
        unresolved = msgspec.structs.replace(case.order.replies[0], outcome=Outcome.UNRESOLVED)
        case = case.having(replies=(unresolved,)).does(Deem(), by=SYSTEM)
        assert case.order.filing.kind is ClosureKind.UNRESOLVED_FOLLOW_UP

    def test_not_before_the_window_has_passed(self):
        answered().at("2025-10-15 00:00").when(Deem(), by=SYSTEM).refused(refusals.WindowOpen)

    def test_not_by_people(self):
        overdue().when(Deem(), by=MANAGER).refused(refusals.RoleNotAllowed)

    def test_not_in_cities_without_the_rule_nor_for_the_anonymous(self):
        overdue_elsewhere = answered("S0-CHUANYU").at("2025-11-15 00:00")
        overdue_elsewhere.when(Deem(), by=SYSTEM).refused(refusals.NoDeeming)
        case = overdue()
        demand = msgspec.structs.replace(case.order.demand, anonymous=True)
        case.having(demand=demand).when(Deem(), by=SYSTEM).refused(refusals.NoDeeming)

    def test_not_where_the_applicant_was_never_really_told(self):
        case = overdue()
        untold = msgspec.structs.replace(case.order.replies[0], informed=None)
        case.having(replies=(untold,)).when(Deem(), by=SYSTEM).refused(refusals.ResultNotTold)

    def test_not_while_a_dispute_is_open(self):
        case = overdue()
        dispute = Dispute(no=1, unit="B", by=APPROVER.user, raised=Mark(case.now, 9))
        episode = msgspec.structs.replace(case.order.episodes[0], disputes=(dispute,))
        case.having(episodes=(episode,)).when(Deem(), by=SYSTEM).refused(refusals.DisputeOpen)

    def test_not_where_policy_does_not_fit_and_nobody_explained(self):
        case = overdue()
        unfit = msgspec.structs.replace(case.order.replies[0], policy_fit=False)
        case = case.having(replies=(unfit,))
        case.when(Deem(), by=SYSTEM).refused(refusals.ExplanationMissing)
        case.does(Explain(points="依规不能"), by=HANDLER).when(Deem(), by=SYSTEM).then()

    def test_not_before_an_emergencys_recipients_were_told(self):
        case = overdue(urgency=Urgency.EMERGENCY_LIFE)
        case.when(Deem(), by=SYSTEM).refused(refusals.EmergencyNotTold)

    def test_in_a_later_round_only_after_another_visit(self):
        case = overdue()
        second = msgspec.structs.replace(case.order.replies[0], round=2)
        case = case.having(round=2, replies=(second,))
        case.when(Deem(), by=SYSTEM).refused(refusals.RevisitMissing)
        case.after(RevisitRefused(round=2), by=CITIZEN).when(Deem(), by=SYSTEM).then()

    def test_not_what_is_at_work_or_has_no_reply_of_this_round(self):
        given(working("S1-CHENGDU")).when(Deem(), by=SYSTEM).refused(refusals.WrongState)
        overdue().having(round=2).when(Deem(), by=SYSTEM).refused(refusals.WrongState)


def deemed_at(when: str) -> Case:
    case = answered().at(when).when(Deem(), by=SYSTEM)
    return case.then(
        ReplyReviewed(reply=1, accepted=True),
        EvaluationDeemed(round=1, reply=1, rating=Rating.BASICALLY_SATISFIED, effective_at=at("2025-10-15 00:00")),
        OrderClosed(kind=ClosureKind.DEEMED_BASICALLY_SATISFIED, effective_at=at("2025-10-15 00:00")),
        OrderArchived,
        Number,
    )


class TestTheRow:
    def judged(self, case: Case, reply: int, substance: Substance) -> Case:
        return case.does(JudgeSubstance(reply=reply, substance=substance, grounds="x"), by=REVIEWER)

    def test_replies_count_in_their_order_not_in_the_order_of_judging(self):
        case = self.judged(again(again(answered())), 3, Substance.CHANGED)
        case = self.judged(case, 2, Substance.UNCHANGED)
        case = self.judged(again(case), 4, Substance.UNCHANGED)
        assert case.order.quality.streak == 2
        assert case.order.quality.not_handled is None

    def test_one_that_nobody_judged_is_not_counted_as_unchanged_until_somebody_did(self):
        case = self.judged(again(again(answered())), 3, Substance.UNCHANGED)
        assert case.order.quality.not_handled is None
        late = JudgeSubstance(reply=2, substance=Substance.UNCHANGED, grounds="x")
        case.when(late, by=REVIEWER).then(ReplySubstanceJudged, DeemedNotHandled(unit="B", reply=3, streak=3))


class TestDeemingBeside:
    def test_what_somebody_rated_is_not_deemed_but_not_rated_is_no_evaluation(self):
        visited = answered().after(VISITED).does(Evaluate(ratings=FAIR), by=REVISITOR)
        visited.at("2025-10-15 00:00:00.050").when(Deem(), by=SYSTEM).refused(refusals.WindowOpen)
        said = EvaluationRecorded(round=1, reply=0, source=EvaluationSource.REVISIT, ratings=POOR)
        before = answered().after(said)  # by a visit before there was a reply: its window still runs, and ends
        before.at("2025-10-15 00:00:00.050").when(Deem(), by=SYSTEM).refused(refusals.AlreadyEvaluated)
        mute = Evaluate(ratings={Dimension.RESULT: Rating.NOT_RATED})
        silent = answered().does(mute, by=CITIZEN).at("2025-10-15 00:00:00.050")
        assert silent.when(Deem(), by=SYSTEM).then().order.filing.kind is ClosureKind.DEEMED_BASICALLY_SATISFIED


class TestRedoing:
    def test_a_redo_begins_a_new_round_that_waits_for_its_dispatch(self):
        case = answered().when(REDO, by=MANAGER)
        case = case.then(RedoOrdered(round=2, ground=RedoGround.NOT_DONE, requirements="重新修复", unit="B"))
        order = case.order
        assert (order.state, order.round) == (OrderState.AWAITING_DISPATCH, 2)
        assert order.episodes[0].ended_as == "redo"
        assert order.waits[-1].cause == "redo"
        assert not case.clock(ClockName.EVAL_WINDOW).running
        assert case.clock(ClockName.DISPATCH).running

    def test_a_filed_order_is_taken_up_again_until_it_is_sealed(self):
        case = deemed()
        assert case.order.state is OrderState.ARCHIVED
        again_ = case.does(REDO, by=MANAGER)
        assert again_.order.is_open
        assert again_.order.filing.filed is None
        assert again_.order.filing.closures != ()
        sealed(case).when(REDO, by=MANAGER).refused(refusals.OrderSealed)

    def test_only_the_hotlines_management_orders_it(self):
        for by in (REVIEWER, SUPERVISOR, APPROVER):
            answered().when(REDO, by=by).refused(refusals.RoleNotAllowed)

    def test_it_says_what_is_wanted(self):
        answered().when(msgspec.structs.replace(REDO, requirements=" "), by=MANAGER).refused(
            refusals.RequirementsMissing
        )

    def test_the_mayors_telephone_writes_a_limit_which_the_next_dispatch_finds(self):
        case = answered("S2-CHONGQING-MPT")
        case.when(REDO, by=MANAGER).refused(refusals.LimitRequired)
        limit = Limit(amount=3, unit=LimitUnit.WORKING_DAYS)
        case = case.does(msgspec.structs.replace(REDO, limit=limit), by=MANAGER)
        assert case.order.quality.redo_limit == limit

    def test_a_limit_does_not_lie_behind(self):
        past = msgspec.structs.replace(REDO, limit=Limit(until=at("2025-09-30 15:00")))
        answered().when(past, by=MANAGER).refused(refusals.LimitInPast)

    def test_nor_beyond_the_limit_of_the_class(self):  # S1-T10: the class's again, or a shorter one
        longer = msgspec.structs.replace(REDO, limit=Limit(amount=16, unit=LimitUnit.WORKING_DAYS))
        answered().when(longer, by=MANAGER).refused(refusals.LimitLonger)
        shorter = msgspec.structs.replace(REDO, limit=Limit(amount=2, unit=LimitUnit.WORKING_DAYS))
        answered().when(shorter, by=MANAGER).then(RedoOrdered)

    def test_nor_beyond_what_the_rules_allow_in_all(self):
        far = msgspec.structs.replace(REDO, limit=Limit(amount=31, unit=LimitUnit.WORKING_DAYS))
        answered("S2-CHONGQING-MPT").when(far, by=MANAGER).refused(refusals.LimitTooLong)

    def test_dissatisfaction_is_a_ground_where_there_is_some_late_or_not(self):
        unhappy = msgspec.structs.replace(REDO, ground=RedoGround.REASONABLE_DISSATISFACTION)
        answered().does(RATE, by=CITIZEN).when(unhappy, by=MANAGER).refused(refusals.NoDissatisfaction)
        answered().does(COMPLAIN, by=CITIZEN).when(unhappy, by=MANAGER).then(RedoOrdered)
        deemed().does(COMPLAIN, by=CITIZEN).when(unhappy, by=MANAGER).then(RedoOrdered)
        unresolved = msgspec.structs.replace(RATE, resolution=Resolution.UNRESOLVED)
        answered().does(unresolved, by=CITIZEN).when(unhappy, by=MANAGER).then(RedoOrdered)

    def test_unless_it_was_judged_unreasonable(self):
        unhappy = msgspec.structs.replace(REDO, ground=RedoGround.REASONABLE_DISSATISFACTION)
        case = answered().does(COMPLAIN, by=CITIZEN).does(UNFAIR, by=APPROVER)
        judge = JudgeReasonableness(proposal=1, finding=Reasonableness.UNREASONABLE, article=BASIS)
        case.does(judge, by=REVIEWER).when(unhappy, by=MANAGER).refused(refusals.JudgedUnreasonable)

    def test_there_is_a_reply_to_redo(self):
        given(working("S1-CHENGDU")).when(REDO, by=MANAGER).refused(refusals.WrongState)
        direct = given(working("S1-CHENGDU")).having(state=OrderState.CLOSED)
        direct.when(REDO, by=MANAGER).refused(refusals.WrongState)


class TestExempting:
    def test_before_an_evaluation_one_person_decides(self):
        case = answered().when(EXEMPT, by=DISPATCHER)
        case = case.then(SatisfactionExemptSet(category=ExemptCategory.MEDIATION, article=BASIS))
        assert (case.order.quality.exempt, case.order.quality.exempt_late) == ("mediation", False)
        case.when(EXEMPT, by=MANAGER).refused(refusals.AlreadyExempt)

    def test_afterwards_the_reviewer_proposes_and_the_management_agrees(self):
        case = answered().does(COMPLAIN, by=CITIZEN)
        case.when(EXEMPT, by=DISPATCHER).refused(refusals.ExemptionLate)
        case.when(EXEMPT, by=MANAGER).refused(refusals.ExemptionLate)
        case = case.when(EXEMPT, by=REVIEWER).then(SatisfactionExemptProposed)
        case.when(EXEMPT, by=REVIEWER).refused(refusals.ExemptionLate)
        both = Actor(user=REVIEWER.user, role=Role.HOTLINE_MANAGER, unit="H")
        case.when(EXEMPT, by=both).refused(refusals.SelfApproval)
        other = msgspec.structs.replace(EXEMPT, category=ExemptCategory.ENFORCEMENT)
        case.when(other, by=MANAGER).refused(refusals.ExemptionLate)
        case = case.when(EXEMPT, by=MANAGER)
        case = case.then(SatisfactionExemptSet(category=ExemptCategory.MEDIATION, article=BASIS, late=True))
        assert case.order.quality.exempt_late
        assert case.order.proposals[0].approved

    def test_or_it_does_not(self):
        case = answered().does(COMPLAIN, by=CITIZEN)
        case.when(RejectExemption(words="证据不足"), by=MANAGER).refused(refusals.NoSuchProposal)
        case = case.does(EXEMPT, by=REVIEWER)
        case = case.when(RejectExemption(words="证据不足"), by=MANAGER).then(SatisfactionExemptRejected)
        assert case.order.quality.exempt == ""
        case.when(EXEMPT, by=REVIEWER).then(SatisfactionExemptProposed)

    def test_a_sealed_file_stays_as_it_is(self):
        sealed(deemed()).when(EXEMPT, by=MANAGER).refused(refusals.OrderSealed)

    def test_who_handled_does_not_propose_it(self):
        moved = Actor(user=APPROVER.user, role=Role.QC_REVIEWER, unit="H")
        answered().does(COMPLAIN, by=CITIZEN).when(EXEMPT, by=moved).refused(refusals.ReviewerHandled)


class TestReasonableness:
    JUDGE = JudgeReasonableness(proposal=1, finding=Reasonableness.PARTLY, article=BASIS)

    def test_a_unit_shows_and_a_reviewer_judges(self):
        case = answered().when(UNFAIR, by=APPROVER)
        case = case.then(ReasonablenessProposed(round=1, unit="B", words="要求违法", evidence=(PROOF,)))
        case.when(UNFAIR, by=APPROVER).refused(refusals.ProposalPending)
        case = case.when(self.JUDGE, by=REVIEWER)
        case = case.then(ReasonablenessJudged(proposal=1, finding=Reasonableness.PARTLY, article=BASIS))
        assert case.order.quality.reasonable == "partly"
        assert case.order.proposals[0].approved
        case.when(self.JUDGE, by=REVIEWER).refused(refusals.NoSuchProposal)

    def test_with_evidence_and_a_part_in_the_matter(self):
        answered().when(msgspec.structs.replace(UNFAIR, evidence=()), by=APPROVER).refused(refusals.EvidenceMissing)
        answered().when(UNFAIR, by=approver("B2")).refused(refusals.NotYourUnit)
        given(registered("S1-CHENGDU")).when(UNFAIR, by=APPROVER).refused(refusals.WrongState)

    def test_the_judge_neither_proposed_nor_handled(self):
        case = answered().does(UNFAIR, by=APPROVER)
        itself = Actor(user=APPROVER.user, role=Role.QC_REVIEWER, unit="H")
        case.when(self.JUDGE, by=itself).refused(refusals.SelfApproval)
        colleague = Actor(user=HANDLER.user, role=Role.QC_REVIEWER, unit="H")
        case.when(self.JUDGE, by=colleague).refused(refusals.ReviewerHandled)

    def test_a_sealed_file_stays_as_it_is(self):
        sealed(deemed()).when(UNFAIR, by=APPROVER).refused(refusals.OrderSealed)
        sealed(answered().does(UNFAIR, by=APPROVER)).when(self.JUDGE, by=REVIEWER).refused(refusals.OrderSealed)


class TestHistoryThatLacksSteps:
    @pytest.mark.parametrize(
        "event",
        [
            ReplyReviewed(reply=4, accepted=True),
            ReplyReviewed(reply=0, accepted=False),
            ReplySubstanceJudged(reply=4, substance=Substance.CHANGED, grounds="x"),
            DeemedNotHandled(unit="B", reply=4, streak=3),
            EvaluationRecorded(round=4, reply=4, source=EvaluationSource.REVISIT, ratings=FAIR),
            LateEvaluationRecorded(round=4, reply=4, source=EvaluationSource.REVISIT, ratings=FAIR),
            EvaluationDeemed(round=4, reply=4, rating=Rating.BASICALLY_SATISFIED, effective_at=at("2025-10-15 00:00")),
            RedoOrdered(round=4, ground=RedoGround.CARELESS_REPLY, requirements="x"),
            SatisfactionExemptProposed(category=ExemptCategory.OTHER, article=BASIS),
            SatisfactionExemptSet(category=ExemptCategory.OTHER, article=BASIS),
            SatisfactionExemptRejected(words="x"),
            ReasonablenessProposed(round=4, unit="B", words="x", evidence=()),
            ReasonablenessJudged(proposal=4, finding=Reasonableness.REASONABLE, article=BASIS),
        ],
    )
    def test_every_event_folds_all_the_same(self, event):
        given(registered(), event, by=REVIEWER)
        given(dispatched(), event, by=REVIEWER)

    def test_a_review_after_the_closure_does_not_open_it(self):
        case = answered().having(state=OrderState.CLOSED)
        assert case.after(ReplyReviewed(reply=1, accepted=False)).order.state is OrderState.CLOSED
