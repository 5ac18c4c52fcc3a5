"""③ Signing, contacting the applicant, first responses, progress, visits to the site."""

from datetime import datetime

import msgspec
import pytest

from domain import refusals
from domain.state import Notice, Oversight
from domain.steps.handling import (
    ApplicantContacted,
    ArriveSite,
    AssignHandler,
    AssignmentSigned,
    Contact,
    HandlerAssigned,
    InitialResponse,
    InitialResponseSubmitted,
    Progress,
    ProgressReported,
    Sign,
    SiteArrived,
    SiteVerified,
    SiteVisited,
    VerifySite,
    VisitSite,
)
from domain.terms import (
    AssignmentRole,
    AssignmentState,
    ClockName,
    Mark,
    Medium,
    NoticeGround,
    NoticeKind,
    OrderState,
    Urgency,
)
from domain.units import UnitSucceeded
from tests.given import (
    AGENT,
    APPROVER,
    BASIS,
    HANDLER,
    MANAGER,
    PROOF,
    REVIEWER,
    SUPERVISOR,
    Case,
    at,
    dispatched,
    given,
    handler,
    registered,
    special,
    working,
)

CALL = Contact(medium=Medium.PHONE, reached=True)
SITE = VisitSite(place="河滨路口", findings="灯杆断电")


def summoned(**changes: object) -> Notice:
    notice = Notice(
        no=1,
        kind=NoticeKind.ONSITE,
        ground=NoticeGround.DIFFICULT,
        unit="B",
        issued=Mark(at("2025-06-17 09:00"), 3),
        issued_by="h-manager",
        arrive_by=at("2025-06-17 15:00"),
        served=Mark(at("2025-06-17 09:00"), 3),
    )
    return msgspec.structs.replace(notice, **changes)


def called_to_site(**changes: object) -> Case:
    seen = Oversight(notices=(summoned(**changes),))
    return given(working("S4-BEIJING", oversight=seen)).at("2025-06-17 15:20")


ARRIVE = ArriveSite(notice=1, place="河滨路口")
RECORD = VerifySite(notice=1, findings="灯杆断电", responsible=("B", "E"), division="线路归B, 灯杆归E")


class TestSigning:
    def test_signing_puts_the_order_to_work_and_stops_the_clock(self):
        case = given(dispatched("S1-CHENGDU")).at("2025-06-16 10:00").when(Sign(), by=HANDLER)
        done = case.then(AssignmentSigned(assignment=1, unit="B"))
        assert done.order.state is OrderState.WORKING
        assert done.order.episodes[0].first_signed == done.order.episodes[0].assignments[0].signed
        assert done.clock(ClockName.SIGN).stop is not None

    def test_an_assignment_is_signed_once(self):
        given(working("S1-CHENGDU")).when(Sign(), by=HANDLER).refused(refusals.AlreadySigned)

    def test_another_unit_does_not_sign(self):
        given(dispatched("S1-CHENGDU")).when(Sign(), by=handler("B2")).refused(refusals.NotYourUnit)

    def test_nothing_is_signed_before_a_dispatch(self):
        given(registered("S1-CHENGDU")).when(Sign(), by=HANDLER).refused(refusals.WrongState)

    def test_only_a_handler_signs(self):
        given(dispatched("S1-CHENGDU")).when(Sign(), by=APPROVER).refused(refusals.RoleNotAllowed)

    def test_a_late_signature_is_recorded_as_late(self):
        signed = given(dispatched("S1-CHENGDU", "2025-04-01 09:00")).at("2025-04-03 11:00").does(Sign(), by=HANDLER)
        assert signed.clock(ClockName.SIGN).breached(signed.now)
        late = AssignmentSigned(assignment=1, unit="B", late=True)
        given(dispatched("S1-CHENGDU", "2025-04-01 09:00")).at("2025-04-03 11:00").when(Sign(), by=HANDLER).then(late)

    def test_the_last_millisecond_of_fifteen_minutes_is_on_time(self):
        life = special_beijing()
        life.at("2025-06-16 09:15").when(Sign(), by=HANDLER).then(AssignmentSigned(assignment=1, unit="B"))
        late = AssignmentSigned(assignment=1, unit="B", late=True)
        life.at("2025-06-16 09:15:00.001").when(Sign(), by=HANDLER).then(late)

    def test_a_co_organizers_signature_leaves_the_order_waiting_for_the_lead(self):
        case = given(dispatched("S1-CHENGDU", co=["B2"])).does(Sign(), by=handler("B2"))
        assert case.order.state is OrderState.DISPATCHED
        assert case.order.episodes[0].first_signed is None
        assert case.order.episodes[0].assignments[1].signed is not None

    def test_a_co_organizer_may_still_sign_after_the_leads_reply(self):
        order = msgspec.structs.replace(dispatched("S1-CHENGDU", co=["B2"]), state=OrderState.REPLIED)
        given(order).when(Sign(), by=handler("B2")).then(AssignmentSigned)

    def test_a_first_level_unit_that_will_not_pass_it_on_stops_the_transfer_clock(self):
        case = given(dispatched(lead="D")).at("2025-06-16 10:00")
        signed = case.does(Sign(own_handling=True), by=handler("D"))
        assert signed.clock(ClockName.TRANSFER).stop is not None
        assert case.does(Sign(), by=handler("D")).clock(ClockName.TRANSFER).running


def special_beijing() -> Case:

    return given(dispatched("S4-BEIJING", urgency=Urgency.EMERGENCY_LIFE))


class TestImpliedSignature:
    def test_the_first_act_signs_where_the_rules_know_no_signing(self):
        implied = AssignmentSigned(assignment=1, unit="B", implied=True)
        case = given(dispatched()).at("2025-06-16 10:00").when(CALL, by=HANDLER).then(implied, ApplicantContacted)
        assert case.order.state is OrderState.WORKING
        assert case.order.episodes[0].assignments[0].implied

    def test_the_second_act_does_not_sign_again(self):
        given(dispatched()).does(CALL, by=HANDLER).when(CALL, by=HANDLER).then(ApplicantContacted)

    @pytest.mark.parametrize("command", [CALL, Progress(report="在办"), SITE, AssignHandler(handler="b-handler")])
    def test_where_they_know_it_nothing_is_done_before_signing(self, command):
        given(dispatched("S1-CHENGDU")).when(command, by=HANDLER).refused(refusals.NotSigned)

    def test_an_implied_signature_says_nothing_about_own_handling(self):
        case = given(dispatched(lead="D")).at("2025-06-16 10:00").does(CALL, by=handler("D"))
        assert case.clock(ClockName.TRANSFER).running
        own = case.does(AssignHandler(handler="d-handler"), by=handler("D"))
        assert own.clock(ClockName.TRANSFER).stop is not None


class TestWorking:
    def test_a_named_handler_is_on_record(self):
        case = given(working()).when(AssignHandler(handler="b-handler"), by=APPROVER)
        case = case.then(HandlerAssigned(assignment=1, unit="B", handler="b-handler"))
        assert case.order.episodes[0].assignments[0].handler == "b-handler"

    def test_a_stranger_is_not_named_handler(self):
        given(working()).when(AssignHandler(handler="b2-handler"), by=APPROVER).refused(refusals.HandlerNotInUnit)

    def test_each_attempt_to_reach_the_applicant_is_kept(self):
        missed = Contact(medium=Medium.PHONE, reached=False)
        case = given(working()).at("2025-06-16 10:00").does(missed, by=HANDLER)
        case = case.at("2025-06-16 15:00").does(CALL, by=HANDLER)
        assert [c.reached for c in case.order.episodes[0].contacts] == [False, True]
        assert case.order.episodes[0].assignments[0].acted

    def test_a_pending_return_does_not_stop_the_unit_from_calling(self):
        order = msgspec.structs.replace(working(), state=OrderState.RETURN_REVIEW)
        for command in (CALL, Progress(report="在办"), SITE):
            given(order).when(command, by=HANDLER).then()

    def test_the_hotline_calls_only_where_it_leads_itself(self):
        given(working()).when(CALL, by=AGENT).refused(refusals.NotYourUnit)
        case = given(dispatched(lead="", co=["B"])).when(CALL, by=AGENT)
        assert case.then(ApplicantContacted).order.episodes[0].contacts[0].unit == "H"

    def test_an_emergency_is_answered_before_it_is_signed_for(self):
        case = given(special()).at("2025-06-16 09:30").when(InitialResponse(response="已派员"), by=HANDLER)
        case = case.then(InitialResponseSubmitted(assignment=1, unit="B", response="已派员"))
        assert case.order.state is OrderState.DISPATCHED
        assert case.clock(ClockName.INIT_RESPONSE).stop is not None
        assert case.clock(ClockName.SIGN).running

    def test_an_ordinary_order_is_signed_for_first(self):
        case = given(dispatched("S1-CHENGDU")).when(InitialResponse(response="已派员"), by=HANDLER)
        case.refused(refusals.NotSigned)

    def test_only_the_lead_gives_the_first_response(self):
        case = given(special(co=["B2"])).when(InitialResponse(response="已派员"), by=handler("B2"))
        case.refused(refusals.NotYourUnit)

    def test_the_first_response_counts_and_a_late_one_says_so(self):
        case = given(special()).at("2025-06-16 10:00:00.001")
        case = case.when(InitialResponse(response="已派员"), by=HANDLER)
        case = case.then(InitialResponseSubmitted(assignment=1, unit="B", response="已派员", late=True))
        first = case.order.episodes[0].initial_response
        again = case.at("2025-06-16 11:00").does(InitialResponse(response="又派员"), by=HANDLER)
        assert again.order.episodes[0].initial_response == first

    def test_only_the_leads_progress_stops_the_progress_clock(self):
        case = given(special(co=["B2"], signed=True)).at("2025-06-17 09:00")
        case = case.does(Progress(report="正在抢修"), by=handler("B2"))
        assert case.clock(ClockName.PROGRESS).running
        case = case.when(Progress(report="正在抢修"), by=HANDLER).then(ProgressReported)
        assert case.clock(ClockName.PROGRESS).stop is not None

    def test_nothing_of_this_is_possible_after_closing(self):
        order = msgspec.structs.replace(working(), state=OrderState.CLOSED)
        for command in (Sign(), CALL, InitialResponse(response="x"), Progress(report="x"), SITE):
            given(order).when(command, by=HANDLER).refused(refusals.WrongState)


class TestAtTheSite:
    def test_a_supervisors_visit_is_nobodys_handling(self):
        case = given(dispatched("S1-CHENGDU")).when(SITE, by=SUPERVISOR).then(SiteVisited)
        assert not case.order.episodes[0].assignments[0].acted
        assert case.order.signers == ()

    def test_a_unit_visits_under_its_assignment(self):
        case = given(working()).when(SITE, by=HANDLER)
        case.then(SiteVisited(unit="B", place="河滨路口", findings="灯杆断电", assignment=1))

    def test_arriving_after_the_instant_on_the_notice_is_recorded_as_late(self):
        case = called_to_site().when(ARRIVE, by=HANDLER)
        case = case.then(SiteArrived(notice=1, unit="B", place="河滨路口", late=True))
        assert case.clock(ClockName.ARRIVE_SITE).breached(case.now)

    def test_arriving_at_that_instant_is_on_time(self):
        case = called_to_site().at("2025-06-17 15:00").when(ARRIVE, by=SUPERVISOR)
        case.then(SiteArrived(notice=1, unit="B", place="河滨路口"))

    def test_one_arrives_once(self):
        called_to_site().does(ARRIVE, by=HANDLER).when(ARRIVE, by=HANDLER).refused(refusals.AlreadyArrived)

    def test_a_unit_that_was_not_called_does_not_arrive(self):
        called_to_site().when(ARRIVE, by=handler("B2")).refused(refusals.NotYourUnit)

    @pytest.mark.parametrize(
        "changes", [{"kind": NoticeKind.WRITTEN}, {"closed": Mark(datetime.fromisoformat("2025-06-17T10:00+08:00"), 4)}]
    )
    def test_only_an_open_notice_calls_to_the_site(self, changes):
        called_to_site(**changes).when(ARRIVE, by=HANDLER).refused(refusals.NoSuchNotice)

    def test_there_is_no_notice_two(self):
        late = ArriveSite(notice=2, place="河滨路口")
        called_to_site().when(late, by=HANDLER).refused(refusals.NoSuchNotice)

    def test_what_was_found_is_recorded_after_arriving_and_once(self):
        case = called_to_site()
        case.when(RECORD, by=HANDLER).refused(refusals.NotArrived)
        case = case.does(ARRIVE, by=HANDLER)
        assert case.clock(ClockName.SITE_RECORD).running
        case = case.at("2025-06-18 10:00").when(RECORD, by=HANDLER).then(SiteVerified)
        assert case.clock(ClockName.SITE_RECORD).stop is not None
        case.when(RECORD, by=HANDLER).refused(refusals.AlreadyVerified)

    def test_a_closed_orders_site_is_still_recorded_but_a_sealed_file_is_not_touched(self):
        case = called_to_site().having(state=OrderState.CLOSED)
        case.when(ARRIVE, by=HANDLER).then(SiteArrived)
        sealed = msgspec.structs.replace(case.order.filing, sealed=Mark(case.now, 9))
        case.having(filing=sealed).when(ARRIVE, by=HANDLER).refused(refusals.OrderSealed)
        case.having(filing=sealed).when(RECORD, by=HANDLER).refused(refusals.OrderSealed)


class TestSuccession:
    """8.11: open assignments and notices pass on with the unit's duties."""

    def merged_away(self, case: Case, heir: str = "B2") -> Case:
        gone = UnitSucceeded(from_units=("B",), to_units=(heir,), at=at("2025-06-16 12:00"), basis=BASIS)
        return case.decreed(gone)

    def test_the_heir_acts_from_the_succession_on(self):
        case = self.merged_away(given(working()))
        case.at("2025-06-16 11:00").when(CALL, by=handler("B2")).refused(refusals.NotYourUnit)
        case.at("2025-06-16 13:00").when(CALL, by=handler("B2")).then(ApplicantContacted)

    def test_of_two_assignments_it_inherited_the_leads_comes_first(self):
        case = self.merged_away(given(working(lead="B", co=["E1"])), heir="S").at("2025-06-16 13:00")
        gone = UnitSucceeded(from_units=("E1",), to_units=("S",), at=at("2025-06-16 12:00"), basis=BASIS)
        made = case.decreed(gone).when(CALL, by=handler("S")).decide()[0]
        assert isinstance(made, ApplicantContacted)
        assert made.assignment == 1

    def test_it_answers_a_summons_to_the_site(self):
        self.merged_away(called_to_site()).when(ARRIVE, by=handler("B2")).then(SiteArrived)


class TestHistoryThatLacksSteps:
    @pytest.mark.parametrize(
        "event",
        [
            AssignmentSigned(assignment=3, unit="B"),
            HandlerAssigned(assignment=3, unit="B", handler="b-handler"),
            ApplicantContacted(unit="B", medium=Medium.PHONE, reached=False, assignment=3),
            InitialResponseSubmitted(assignment=3, unit="B", response="x"),
            ProgressReported(assignment=3, unit="B", report="x"),
            SiteVisited(unit="B", place="x", findings="x", assignment=3, evidence=(PROOF,)),
            SiteArrived(notice=3, unit="B", place="x"),
            SiteVerified(notice=3, unit="B", findings="x", responsible=("B",), division="x"),
        ],
    )
    def test_every_event_folds_all_the_same(self, event):
        given(registered(), event, by=HANDLER)
        given(dispatched(), event, by=HANDLER)

    def test_a_signature_without_a_dispatch_puts_the_order_to_work(self):
        case = given(registered(), AssignmentSigned(assignment=1, unit="B"), by=HANDLER)
        assert case.order.state is OrderState.WORKING

    def test_a_signature_during_a_return_leaves_it_pending(self):
        order = msgspec.structs.replace(dispatched(), state=OrderState.RETURN_REVIEW)
        case = given(order, AssignmentSigned(assignment=1, unit="B"), by=HANDLER)
        assert case.order.state is OrderState.RETURN_REVIEW
        assert case.order.episodes[0].assignments[0].state is AssignmentState.SIGNED


def test_who_handled_is_remembered_for_the_separation_of_duties():
    case = given(working()).does(CALL, by=HANDLER).does(CALL, by=HANDLER)
    assert case.order.signers == ((HANDLER.user, HANDLER.role),)


def test_others_than_organizers_do_not_handle():
    for command in (InitialResponse(response="x"), Progress(report="x")):
        for by in (AGENT, REVIEWER, APPROVER):
            given(working()).when(command, by=by).refused(refusals.RoleNotAllowed)
        given(working()).when(command, by=MANAGER).refused(refusals.NotYourUnit)  # unless the hotline itself leads


def test_a_supervising_unit_holds_nothing():
    order = dispatched()
    held = msgspec.structs.replace(order.episodes[0].assignments[0], role=AssignmentRole.SUPERVISING)
    episode = msgspec.structs.replace(order.episodes[0], assignments=(held,))
    given(msgspec.structs.replace(order, episodes=(episode,))).when(CALL, by=HANDLER).refused(refusals.NotYourUnit)
