"""④ Drawing, planning, asking consent, visiting."""

from typing import Any

import msgspec
import pytest

from domain import refusals
from domain.state import Filing, effective
from domain.steps.answering import InformApplicant, Reply, ReplySubmitted
from domain.steps.evaluation import EvaluationDeemed, EvaluationRecorded, ReplyReviewed, ReviewReply
from domain.steps.filing import OrderClosed
from domain.steps.revisiting import (
    CompleteRevisit,
    RecordRevisitConsent,
    RecordUnreachable,
    RefuseRevisit,
    RevisitCompleted,
    RevisitConsentRecorded,
    RevisitRefused,
    RevisitSampled,
    RevisitScheduled,
    RevisitUnreachable,
    SampleRevisit,
    ScheduleRevisit,
)
from domain.terms import (
    Actor,
    ClockName,
    ClosureKind,
    Dimension,
    EvaluationSource,
    InformAbout,
    Mark,
    Medium,
    OrderState,
    Outcome,
    Rating,
    Resolution,
    RevisitMethod,
    Role,
)
from tests.given import (
    APPROVER,
    CITIZEN,
    HANDLER,
    REVIEWER,
    REVISITOR,
    SYSTEM,
    Case,
    at,
    given,
    registered,
    working,
)

DRAW = SampleRevisit(seed="20250618", frame="sha256:" + "0" * 64, frame_size=120, stratum="B")
PLAN = ScheduleRevisit(planned_at=at("2025-06-19 10:00"), method=RevisitMethod.PHONE)
AGREE = RecordRevisitConsent(medium=Medium.PHONE)
NO = RefuseRevisit(medium=Medium.PHONE)
FACE = CompleteRevisit(
    method=RevisitMethod.FACE,
    script_version="2025-1",
    contacted=True,
    informed=True,
    consistent=True,
    attitude=Rating.SATISFIED,
    resolution=Resolution.RESOLVED,
)
PHONE = msgspec.structs.replace(FACE, method=RevisitMethod.PHONE)
RATED = msgspec.structs.replace(FACE, ratings={Dimension.RESULT: Rating.DISSATISFIED})
VAIN = RecordUnreachable(
    attempts=(at("2025-06-17 10:00"), at("2025-06-18 15:00"), at("2025-06-18 19:00")), words="无人接听"
)


def answered(pack: str = "S1-CHENGDU", **said: Any) -> Case:
    case = given(working(pack, **said)).at("2025-06-17 10:00")
    case = case.does(InformApplicant(about=InformAbout.RESULT, medium=Medium.PHONE), by=HANDLER)
    drafted = HANDLER.user if case.law.rules(case.order.policy).options.reply_two_persons else ""
    reply = Reply(outcome=Outcome.RESOLVED, public_answer="路灯已修复", drafted_by=drafted)
    return case.at("2025-06-17 11:00").does(reply, by=APPROVER).at("2025-06-19 10:00")


def accepted(pack: str = "S4-BEIJING") -> Case:
    return answered(pack).does(ReviewReply(reply=1, accept=True), by=REVIEWER)


def closed(**said: Any) -> Case:
    deemed = EvaluationDeemed(round=1, reply=1, rating=Rating.BASICALLY_SATISFIED, effective_at=at("2025-06-25 00:00"))
    kind = ClosureKind.DEEMED_BASICALLY_SATISFIED
    return answered(**said).at("2025-06-25 00:01").after(deemed, OrderClosed(kind=kind)).at("2025-06-26 10:00")


class TestBeforeTheVisit:
    def test_the_draw_can_be_drawn_again(self):
        drawn = RevisitSampled(round=1, seed="20250618", frame="sha256:" + "0" * 64, frame_size=120, stratum="B")
        case = answered().when(DRAW, by=SYSTEM).then(drawn)
        assert case.order.revisit is not None
        assert case.order.revisit.sampled is not None
        assert case.order.state is OrderState.REPLIED

    def test_nobody_is_drawn_twice_in_a_round(self):
        answered().does(DRAW, by=SYSTEM).when(DRAW, by=REVISITOR).refused(refusals.RevisitAlreadySampled)

    def test_a_visit_is_planned(self):
        planned = RevisitScheduled(round=1, planned_at=at("2025-06-19 10:00"), method=RevisitMethod.PHONE)
        answered().when(PLAN, by=REVISITOR).then(planned)

    def test_consent_is_recorded(self):
        case = answered().when(AGREE, by=REVISITOR).then(RevisitConsentRecorded(round=1, medium=Medium.PHONE))
        assert case.order.revisit is not None
        assert case.order.revisit.consented is not None

    def test_there_is_none_before_the_reply(self):
        given(working("S1-CHENGDU")).when(DRAW, by=REVISITOR).refused(refusals.RevisitTooEarly)
        given(registered("S1-CHENGDU")).when(DRAW, by=REVISITOR).refused(refusals.WrongState)

    def test_where_the_limits_end_opens_it_there_may_be_one_without_a_reply(self):
        case = given(working("S4-BEIJING")).under(revisit_opens="handle_due")
        case.at("2025-06-24 00:00").when(PLAN, by=REVISITOR).refused(refusals.RevisitTooEarly)
        case.at("2025-06-24 00:00:00.001").when(PLAN, by=REVISITOR).then(RevisitScheduled)

    def test_an_anonymous_applicant_is_not_visited(self):
        case = given(working(anonymous=True)).when(DRAW, by=REVISITOR)
        case.refused(refusals.AnonymousApplicant)

    def test_the_visitor_comes_from_elsewhere_and_did_not_handle(self):
        inside = Actor(user="b-revisitor", role=Role.REVISITOR, unit="B")
        answered().when(PLAN, by=inside).refused(refusals.RevisitorFromHandlingUnit)
        moved = Actor(user=HANDLER.user, role=Role.REVISITOR, unit="H")
        answered().when(PLAN, by=moved).refused(refusals.ReviewerHandled)
        answered(accused=("H",)).when(PLAN, by=REVISITOR).refused(refusals.AccusedUnit)

    def test_where_the_hotline_may_not_visit_another_unit_that_had_no_part_does(self):
        case = answered(accused=("H",))
        for unit, role in (("D", Role.REVISITOR), ("G", Role.REVISITOR), ("G", Role.COORDINATOR)):
            case.when(PLAN, by=Actor(user="aside", role=role, unit=unit)).then(RevisitScheduled)
        inside = Actor(user="aside", role=Role.COORDINATOR, unit="B")
        case.when(PLAN, by=inside).refused(refusals.RevisitorFromHandlingUnit)

    def test_a_unit_of_an_earlier_round_may_visit(self):
        case = answered().having(round=2)
        later = ReplySubmitted(assignment=0, unit="H", outcome=Outcome.RESOLVED, public_answer="x")
        inside = Actor(user="b-revisitor", role=Role.REVISITOR, unit="B")
        case.after(later).when(PLAN, by=inside).then(RevisitScheduled)


class TestRefusing:
    def test_a_refusal_is_final_for_the_round(self):
        case = answered().when(NO, by=CITIZEN).then(RevisitRefused(round=1, medium=Medium.PHONE))
        for command in (DRAW, PLAN, AGREE, FACE, VAIN):
            case.when(command, by=REVISITOR).refused(refusals.RevisitRefusedFinal)
        case.when(NO, by=REVISITOR).refused(refusals.RevisitRefusedFinal)
        assert case.clock(ClockName.REVISIT).stop is not None

    def test_another_round_may_ask_again(self):
        case = answered().does(NO, by=CITIZEN).having(round=2)
        later = ReplySubmitted(assignment=1, unit="B", outcome=Outcome.RESOLVED, public_answer="x")
        case.after(later, by=APPROVER).when(PLAN, by=REVISITOR).then(RevisitScheduled)

    def test_one_may_refuse_beforehand(self):
        given(working("S1-CHENGDU")).when(NO, by=CITIZEN).then(RevisitRefused)

    def test_but_not_what_has_happened(self):
        answered().does(FACE, by=REVISITOR).when(NO, by=CITIZEN).refused(refusals.RevisitAlreadyDone)


class TestVain:
    def test_who_is_not_reached_was_tried_often_enough(self):
        case = answered().when(VAIN, by=REVISITOR)
        case = case.then(RevisitUnreachable(round=1, attempts=VAIN.attempts, words="无人接听"))
        assert case.order.revisit is not None
        assert case.order.revisit.over is not None
        case.does(FACE, by=REVISITOR)

    @pytest.mark.parametrize("kept", [slice(0, 2), slice(1, 3), slice(0, 0)])
    def test_two_attempts_are_too_few(self, kept):
        few = msgspec.structs.replace(VAIN, attempts=VAIN.attempts[kept])
        answered().when(few, by=REVISITOR).refused(refusals.AttemptsMissing)

    def test_three_on_one_day_or_at_one_hour_are_too_few(self):
        one_day = tuple(at(f"2025-06-18 {hour}:00") for hour in (10, 15, 19))
        answered().when(msgspec.structs.replace(VAIN, attempts=one_day), by=REVISITOR).refused(refusals.AttemptsMissing)
        one_hour = tuple(at(f"2025-06-{day} 15:{day}") for day in (17, 18, 19))
        case = answered().at("2025-06-20 10:00")
        case.when(msgspec.structs.replace(VAIN, attempts=one_hour), by=REVISITOR).refused(refusals.AttemptsMissing)

    def test_none_lies_ahead(self):
        answered().at("2025-06-18 18:00").when(VAIN, by=REVISITOR).refused(refusals.InstantAhead)


class TestTheVisit:
    def test_beijing_visits_once_the_reply_is_accepted_or_the_limit_over(self):  # S4-T16
        answered("S4-BEIJING").when(FACE, by=REVISITOR).refused(refusals.RevisitTooEarly)
        accepted().when(FACE, by=REVISITOR).then(RevisitCompleted)
        answered("S4-BEIJING").at("2025-06-24 00:00:00.001").when(FACE, by=REVISITOR).then(RevisitCompleted)

    def test_by_phone_it_needs_consent(self):
        case = accepted()
        case.when(PHONE, by=REVISITOR).refused(refusals.ConsentMissing)
        case.does(AGREE, by=REVISITOR).when(PHONE, by=REVISITOR).then(RevisitCompleted)

    def test_face_to_face_it_does_not(self):
        case = answered().when(FACE, by=REVISITOR)
        case = case.then(
            RevisitCompleted(
                round=1,
                method=RevisitMethod.FACE,
                script_version="2025-1",
                reply=1,
                contacted=True,
                informed=True,
                consistent=True,
                attitude=Rating.SATISFIED,
                resolution=Resolution.RESOLVED,
            )
        )
        assert case.clock(ClockName.REVISIT).stop is not None
        case.when(FACE, by=REVISITOR).refused(refusals.RevisitAlreadyDone)

    @pytest.mark.parametrize("question", ["contacted", "informed", "consistent", "attitude"])
    def test_chengdu_asks_four_questions(self, question):
        silent = msgspec.structs.replace(FACE, **{question: None})
        answered().when(silent, by=REVISITOR).refused(refusals.RevisitQuestionsMissing)
        accepted().when(silent, by=REVISITOR).then(RevisitCompleted)

    def test_a_rating_is_an_evaluation_of_the_highest_rank(self):
        case = answered().when(RATED, by=REVISITOR)
        case = case.then(
            RevisitCompleted,
            EvaluationRecorded(
                round=1,
                reply=1,
                source=EvaluationSource.REVISIT,
                ratings={Dimension.RESULT: Rating.DISSATISFIED},
                resolution=Resolution.RESOLVED,
            ),
        )
        found = effective(case.order)
        assert found is not None
        assert found.source is EvaluationSource.REVISIT
        assert found.resolved

    def test_a_rating_rates_the_result(self):
        partial = msgspec.structs.replace(RATED, ratings={Dimension.ATTITUDE: Rating.SATISFIED})
        answered().when(partial, by=REVISITOR).refused(refusals.RatingMissing)

    def test_before_sealing_it_replaces_what_was_deemed(self):
        case = closed()
        found = effective(case.order)
        assert found is not None
        assert found.source is EvaluationSource.DEEMED
        case = case.does(RATED, by=REVISITOR)
        found = effective(case.order)
        assert found is not None
        assert found.result is Rating.DISSATISFIED
        assert len(case.order.quality.evaluations) == 2

    def test_after_sealing_there_is_none(self):
        case = closed()
        case = case.having(filing=Filing(closed=Mark(case.now, 8), sealed=Mark(case.now, 9)))
        for command in (FACE, NO, PLAN):
            case.when(command, by=REVISITOR).refused(refusals.OrderSealed)

    def test_a_reply_sent_back_wants_a_new_visit(self):
        case = answered().does(FACE, by=REVISITOR)
        case = case.after(ReplyReviewed(reply=1, accepted=False, requirements="补充照片"), by=REVIEWER)
        again = ReplySubmitted(assignment=1, unit="B", outcome=Outcome.RESOLVED, public_answer="x")
        case.after(again, by=APPROVER).when(FACE, by=REVISITOR).then(RevisitCompleted)


@pytest.mark.parametrize(
    "event",
    [
        RevisitSampled(round=4, seed="x", frame="sha256:" + "0" * 64, frame_size=1),
        RevisitScheduled(round=4, planned_at=at("2025-06-19 10:00"), method=RevisitMethod.PHONE),
        RevisitConsentRecorded(round=4, medium=Medium.PHONE),
        RevisitRefused(round=4),
        RevisitUnreachable(round=4, attempts=()),
        RevisitCompleted(round=4, method=RevisitMethod.ONLINE, script_version="1"),
    ],
)
def test_every_event_folds_where_history_lacks_steps(event):
    case = given(registered(), event, by=REVISITOR)
    assert [v.round for v in case.order.quality.revisits] == [4]
