"""② Meetings, co-organizers, whistles, task forces."""

from datetime import date, datetime
from typing import Any

import msgspec
import pytest

from domain import refusals
from domain.clocks import clocks
from domain.duties import duties
from domain.steps.coordinating import (
    AddCo,
    CarryOutDecision,
    CoordinationMeetingHeld,
    CoOrganizerAdded,
    CoOrganizerRemoved,
    Decision,
    DecisionCarriedOut,
    Expedite,
    ExpediteAssigned,
    HoldMeeting,
    RemoveCo,
    RespondWhistle,
    Whistle,
    WhistleBlown,
    WhistleResponded,
)
from domain.steps.handling import AssignmentSigned
from domain.steps.returning import ObjectCo
from domain.terms import (
    AssignmentRole,
    CitedText,
    ClockName,
    DemandType,
    Limit,
    LimitUnit,
    Number,
    OrderState,
    ReturnGround,
)
from tests.given import (
    BASIS,
    COORDINATOR,
    DISPATCHER,
    MANAGER,
    Case,
    approver,
    at,
    dispatched,
    given,
    handler,
    registered,
    working,
)

MEETING = HoldMeeting(
    units=("D", "E"),
    minutes=CitedText(number="纪要〔2025〕3号", dated=date(2025, 6, 16)),
    decisions=(Decision(unit="E", what="三日内修复", by=date(2025, 6, 19)),),
)
STREET = handler("S")
WHISTLE = Whistle(departments=("E", "B2"), arrive_by=at("2025-06-16 15:00"), matter="路面塌陷", place="河滨路口")
CO = AddCo(unit="E", duty="管网")


def changed(command: Any, **said: Any) -> Any:
    return msgspec.structs.replace(command, **said)


# ── meetings ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", [OrderState.REGISTERED, OrderState.AWAITING_DISPATCH, OrderState.COORDINATING])
def test_an_undispatched_order_is_being_coordinated_from_its_meeting_on(state: OrderState):
    held = given(registered(state=state)).when(MEETING, by=COORDINATOR)
    case = held.then(CoordinationMeetingHeld, Number("minutes", "CD"))
    assert case.order.state is OrderState.COORDINATING
    assert len(case.order.oversight.meetings) == 1
    assert case.clock(ClockName.DISPATCH).running


def test_a_meeting_leaves_a_handled_order_and_its_limits_where_they_are():
    case = given(working())
    due = case.clock(ClockName.HANDLE).due
    met = case.does(MEETING, by=MANAGER)
    assert met.order.state is OrderState.WORKING
    assert met.clock(ClockName.HANDLE).due == due


def test_an_order_that_waits_for_its_supplement_is_coordinated_afterwards():
    case = given(registered(state=OrderState.AWAITING_SUPPLEMENT, resume=OrderState.REGISTERED)).does(
        MEETING, by=MANAGER
    )
    assert (case.order.state, case.order.resume) == (OrderState.AWAITING_SUPPLEMENT, OrderState.COORDINATING)


def test_a_meeting_names_units_that_exist_and_has_been_held():
    case = given(registered())
    case.when(changed(MEETING, units=("NOWHERE",)), by=MANAGER).refused(refusals.UnknownUnit)
    case.when(changed(MEETING, designates="NOWHERE"), by=MANAGER).refused(refusals.UnknownUnit)
    ahead = changed(MEETING, held_at=at("2025-06-17 09:00"))
    case.when(ahead, by=MANAGER).refused(refusals.InstantAhead)
    case.having(state=OrderState.CLOSED).when(MEETING, by=MANAGER).refused(refusals.WrongState)


REPORT = CarryOutDecision(decision=1, report="已修复")


def test_what_a_meeting_decided_is_the_named_units_until_it_reports_it():
    case = given(working()).does(MEETING, by=MANAGER)

    def owed(case: Case) -> list[tuple[str, datetime | None]]:
        found = duties(case.order, clocks(case.order, case.law), case.law)
        return [(duty.unit, duty.due) for duty in found if duty.command is CarryOutDecision]

    assert owed(case) == [("E", at("2025-06-20 00:00"))], "by the 19th, its 24:00 included"
    case.when(REPORT, by=approver("B")).refused(refusals.NotYourUnit)
    case.when(changed(REPORT, decision=2), by=approver("E")).refused(refusals.NoSuchDecision)
    case.when(changed(REPORT, report=" "), by=approver("E")).refused(refusals.ReasonMissing)
    done = case.at("2025-06-19 23:59").when(REPORT, by=approver("E")).then(DecisionCarriedOut)
    assert owed(done) == []
    assert done.order.oversight.decisions[0].late is False
    done.when(REPORT, by=approver("E")).refused(refusals.DecisionCarriedOutAlready)
    late = case.at("2025-06-20 00:01").does(REPORT, by=approver("E"))
    assert late.order.oversight.decisions[0].late is True
    assert owed(case.having(state=OrderState.CLOSED)), "what was decided outlives the case"


def test_decisions_of_a_second_meeting_are_counted_on_from_the_first():
    second = changed(MEETING, decisions=(Decision(unit="B", what="进场"), Decision(unit="E", what="验收")))
    case = given(working()).does(MEETING, by=MANAGER).does(second, by=MANAGER)
    told = [(one.no, one.meeting, one.unit, one.by) for one in case.order.oversight.decisions]
    assert told == [(1, 1, "E", date(2025, 6, 19)), (2, 2, "B", None), (3, 2, "E", None)]


# ── co-organizers ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_co_organizer_joins_with_a_limit_before_the_leads_or_its_own():  # T82
    case = given(dispatched(demand_type=DemandType.CONSULT))
    joined = case.when(CO, by=MANAGER).then(CoOrganizerAdded)
    assert joined.order.episodes[0].assignments[1].role is AssignmentRole.CO
    assert joined.clock(ClockName.HANDLE).due == at("2025-06-24 00:00")
    assert joined.clock(ClockName.CO_REPLY).due == at("2025-06-21 00:00")
    own = case.does(changed(CO, limit=Limit(amount=2, unit=LimitUnit.WORKING_DAYS)), by=MANAGER)
    assert own.clock(ClockName.CO_REPLY).due == at("2025-06-19 00:00")


def test_a_co_organizer_exists_joins_once_is_not_accused_and_has_a_limit_that_says_something():
    case = given(working(co=("E",)))
    case.when(CO, by=MANAGER).refused(refusals.UnitNamedTwice)
    case.when(changed(CO, unit="NOWHERE"), by=MANAGER).refused(refusals.UnknownUnit)
    case.when(changed(CO, unit="D", limit=Limit()), by=MANAGER).refused(refusals.LimitRequired)
    report = given(working(accused=("E",), demand_type=DemandType.REPORT))
    report.when(CO, by=MANAGER).refused(refusals.AccusedUnit)
    given(registered()).when(CO, by=MANAGER).refused(refusals.WrongState)


def test_a_co_organizer_that_leaves_has_no_limit_and_no_objection_open():
    case = given(working(co=("E",)))
    objection = ObjectCo(ground=ReturnGround.NOT_OUR_DUTY, reason="无此职责", basis=BASIS)
    gone = case.does(objection, by=approver("E")).when(RemoveCo(unit="E", reason="无需协办"), by=MANAGER)
    left = gone.then(CoOrganizerRemoved)
    assert left.clock(ClockName.CO_REPLY).cancel is not None
    assert not left.order.episodes[0].returns[0].pending
    case.when(RemoveCo(unit="E", reason=""), by=MANAGER).refused(refusals.ReasonMissing)
    case.when(RemoveCo(unit="B", reason="无需"), by=MANAGER).refused(refusals.NotCoOrganizer)
    left.when(RemoveCo(unit="E", reason="无需"), by=MANAGER).refused(refusals.NotCoOrganizer)


# ── whistles ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_street_that_leads_calls_departments_and_each_answers_for_itself():
    case = given(working("S4-BEIJING", lead="S"))
    blown = case.when(WHISTLE, by=STREET).then(WhistleBlown, WhistleBlown)
    assert [w.unit for w in blown.order.oversight.whistles] == ["E", "B2"]
    assert blown.clock(ClockName.WHISTLE, "h1").due == at("2025-06-16 15:00")
    came = RespondWhistle(whistle=1, result="已封路", arrived_at=at("2025-06-16 15:20"))
    later = blown.at("2025-06-16 15:30")
    later.when(came, by=handler("B2")).refused(refusals.NoSuchWhistle)
    later.when(changed(came, whistle=3), by=handler("E")).refused(refusals.NoSuchWhistle)
    later.when(changed(came, arrived_at=at("2025-06-16 15:31")), by=handler("E")).refused(refusals.InstantAhead)
    there = later.when(came, by=handler("E")).then(WhistleResponded)
    assert there.clock(ClockName.WHISTLE, "h1").breached(there.now)
    assert there.clock(ClockName.WHISTLE, "h2").running
    there.when(came, by=handler("E")).refused(refusals.NoSuchWhistle)


def test_a_whistle_is_a_leading_streets_and_names_departments_and_a_time_ahead():
    given(working("S4-BEIJING", lead="E")).when(WHISTLE, by=handler("E")).refused(refusals.OnlyStreetsWhistle)
    case = given(working("S4-BEIJING", lead="S"))
    case.when(WHISTLE, by=handler("E")).refused(refusals.NotYourUnit)
    case.when(changed(WHISTLE, departments=()), by=STREET).refused(refusals.DepartmentsMissing)
    case.when(changed(WHISTLE, departments=("E", "E")), by=STREET).refused(refusals.UnitNamedTwice)
    case.when(changed(WHISTLE, departments=("S",)), by=STREET).refused(refusals.UnitNamedTwice)
    case.when(changed(WHISTLE, arrive_by=at("2025-06-16 08:59")), by=STREET).refused(refusals.DayHasPassed)
    report = given(working("S4-BEIJING", lead="S", accused=("E",), demand_type=DemandType.REPORT))
    report.when(WHISTLE, by=STREET).refused(refusals.AccusedUnit)


def test_in_a_pack_without_signing_a_whistle_implies_the_streets_signature():
    case = given(dispatched(lead="S")).when(WHISTLE, by=STREET)
    case.then(AssignmentSigned, WhistleBlown, WhistleBlown)


def test_an_answer_to_no_whistle_folds_into_nothing():
    answer = WhistleResponded(whistle=1, unit="E", result="已到")
    assert given(working()).after(answer).order.oversight.whistles == ()
    assert given(registered()).after(CoOrganizerAdded(unit="E")).order.episodes == ()
    gone = CoOrganizerRemoved(assignment=7, unit="E", reason="无需")
    assert len(given(working()).after(gone).order.episodes[0].assignments) == 1


# ── task forces ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_task_force_takes_the_matter_in_hand_and_no_limit_changes():
    case = given(working())
    due = case.clock(ClockName.HANDLE).due
    fast = case.when(Expedite(task_force="诉求提速处置专班"), by=MANAGER).then(ExpediteAssigned)
    assert fast.order.oversight.expedited is not None
    assert fast.clock(ClockName.HANDLE).due == due
    case.when(Expedite(task_force=" "), by=MANAGER).refused(refusals.TaskForceMissing)
    case.when(Expedite(task_force="专班"), by=DISPATCHER).refused(refusals.RoleNotAllowed)
    case.having(state=OrderState.CLOSED).when(Expedite(task_force="专班"), by=MANAGER).refused(refusals.WrongState)
