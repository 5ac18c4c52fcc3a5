"""② Dispatching, recalling, passing on."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from domain import refusals
from domain.state import Dispute, Filing, Instruction, Reply, WorkOrder, begin_wait
from domain.steps.closing import OrderReopened
from domain.steps.dispatch import (
    AssignmentTransferred,
    CoPart,
    Dispatch,
    DispatchRecalled,
    OrderDispatched,
    RecallDispatch,
    Transfer,
)
from domain.steps.handling import AssignmentSigned, Sign
from domain.terms import (
    AssignmentRole,
    AssignmentState,
    CitedText,
    ClockName,
    ClosureKind,
    Complexity,
    Confidentiality,
    DemandType,
    DispatchBasis,
    DispatchType,
    Limit,
    LimitUnit,
    Mark,
    Number,
    OrderState,
    Outcome,
    ReopenGround,
    Role,
    Urgency,
)
from domain.units import UnitSucceeded
from tests.given import (
    BASIS,
    COORDINATOR,
    DISPATCHER,
    HANDLER,
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

ORDINARY = Dispatch(kind=DispatchType.ORDINARY, lead="D", basis=DispatchBasis.TERRITORY, directory="2025-06")
JOINT = Dispatch(kind=DispatchType.DESIGNATED, lead="D", co=(CoPart(unit="E", duty="管网"),))
TO_DISTRICT = Dispatch(kind=DispatchType.TERRITORIAL, lead="D")
FIVE_DAYS = Limit(amount=5, unit=LimitUnit.WORKING_DAYS)
CONSENT = CitedText(number="同意函")


def changed(command: Dispatch, **said: Any) -> Dispatch:
    return msgspec.structs.replace(command, **said)


def met(order: WorkOrder) -> WorkOrder:
    """The same, after a coordination meeting."""
    seen = msgspec.structs.replace(order.oversight, meetings=(Mark(at("2025-06-16 08:30"), 3),))
    return msgspec.structs.replace(order, oversight=seen)


def instructed(order: WorkOrder) -> WorkOrder:
    """The same, with a leadership instruction on record and another only asked for."""
    mark = Mark(at("2025-06-16 08:30"), 3)
    asked = (Instruction(no=1, recorded=mark), Instruction(no=2, requested=mark))
    return msgspec.structs.replace(order, oversight=msgspec.structs.replace(order.oversight, instructions=asked))


# ── dispatching ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "state",
    [
        OrderState.REGISTERED,
        OrderState.AWAITING_SUPPLEMENT,
        OrderState.AWAITING_DISPATCH,
        OrderState.COORDINATING,
    ],
)
def test_a_dispatch_ends_the_hotlines_time_and_begins_the_units(state: OrderState):
    case = given(registered(state=state, resume=OrderState.REGISTERED)).at("2025-06-16 09:00")
    done = case.when(ORDINARY, by=DISPATCHER).then(OrderDispatched, Number("dispatch_slip", "CD"))
    order = done.order
    assert (order.state, order.resume) == (OrderState.DISPATCHED, None)
    assert done.clock(ClockName.DISPATCH).stop is not None
    episode = order.episodes[0]
    assert (episode.lead, episode.lead_parent, episode.slip) == ("D", "H", "CD2025-000001")
    assert episode.assignments[0].role is AssignmentRole.LEAD
    assert not episode.ruled_final
    done.when(ORDINARY, by=DISPATCHER).refused(refusals.WrongState)


def test_the_whole_clock_set_of_s0_starts_with_the_dispatch():  # T20
    case = given(registered("S0-CHUANYU", demand_type=DemandType.CONSULT)).at("2025-06-16 09:00")
    case = case.does(ORDINARY, by=DISPATCHER)
    assert case.clock(ClockName.TRANSFER).due == at("2025-06-18 00:00")
    assert case.clock(ClockName.RETURN).due == at("2025-06-19 00:00")
    assert case.clock(ClockName.HANDLE).due == at("2025-06-24 00:00")


def test_a_late_dispatch_does_not_eat_the_organizers_time():  # T63
    case = given(registered("S4-BEIJING", "2025-06-01 10:00")).at("2025-06-02 15:00").does(ORDINARY, by=DISPATCHER)
    late = case.clock(ClockName.DISPATCH)
    assert late.due == at("2025-06-02 10:00")
    assert late.breached(case.now)
    assert case.clock(ClockName.SIGN).due == at("2025-06-03 15:00")
    assert case.clock(ClockName.HANDLE).due == at("2025-06-10 00:00")


def test_everything_handling_is_measured_by_is_written_on_the_dispatch():
    order = registered("S4-BEIJING", complexity=Complexity.COMPLEX)
    event = given(order).when(changed(ORDINARY, lead="B"), by=DISPATCHER).decide()[0]
    assert isinstance(event, OrderDispatched)
    assert event.attributes == order.attributes
    assert (event.of_class, event.lead_parent) == ("complex", "D")
    assert event.directory == "2025-06"
    assert event.reply_required is None


def test_designating_is_the_managements_or_the_government_offices():
    case = given(met(registered()))
    for designating in (JOINT, TO_DISTRICT):
        case.when(designating, by=DISPATCHER).refused(refusals.NotHotlineManager)
        for who in (MANAGER, COORDINATOR):
            done = case.when(designating, by=who).then(OrderDispatched, Number)
            assert done.order.episodes[0].ruled_final
    case.when(ORDINARY, by=COORDINATOR).refused(refusals.RoleNotAllowed)
    leads = Dispatch(kind=DispatchType.ORDINARY, lead_by_hotline=True, co=(CoPart(unit="E"),))
    case.when(leads, by=DISPATCHER).refused(refusals.NotHotlineManager)


@pytest.mark.parametrize("pack", ["S2-CHONGQING-MPT", "S4-BEIJING"])
def test_two_departments_need_a_designated_lead_or_the_hotlines_own(pack: str):  # T52
    case = given(registered(pack, involved_units=2))
    case.when(ORDINARY, by=DISPATCHER).refused(refusals.LeadMissing)
    case.when(changed(ORDINARY, kind=DispatchType.DESIGNATED), by=MANAGER).then(OrderDispatched, Number)
    hotline = changed(ORDINARY, lead=None, lead_by_hotline=True, co=(CoPart(unit="E"), CoPart(unit="D")))
    led = case.when(hotline, by=MANAGER).then(OrderDispatched, Number)
    assert led.order.state is OrderState.WORKING
    assert led.no_clock(ClockName.HANDLE)
    given(registered(pack, involved_units=1)).when(ORDINARY, by=DISPATCHER).then(OrderDispatched, Number)


@pytest.mark.parametrize(
    "unclear",
    [
        {"lead": None},
        {"lead_by_hotline": True},
        {"lead": None, "lead_by_hotline": True},
        {"co": (CoPart(unit="E"),)},
    ],
)
def test_who_leads_is_said_and_said_once(unclear: dict[str, Any]):
    given(registered()).when(changed(ORDINARY, **unclear), by=MANAGER).refused(refusals.LeadMissing)


def test_units_must_exist_be_others_than_the_hotline_and_be_named_once():
    case = given(registered())
    case.when(changed(ORDINARY, lead="NOWHERE"), by=DISPATCHER).refused(refusals.UnknownUnit)
    case.when(changed(ORDINARY, lead="H"), by=DISPATCHER).refused(refusals.HotlineNotOrganizer)
    case.when(changed(ORDINARY, supervising=("D",)), by=DISPATCHER).refused(refusals.UnitNamedTwice)
    case.when(changed(JOINT, co=(CoPart(unit="E"), CoPart(unit="E"))), by=MANAGER).refused(refusals.UnitNamedTwice)


def test_the_district_of_a_street_is_copied_and_holds_nothing():
    case = given(registered()).does(changed(ORDINARY, lead="S", supervising=("D",)), by=DISPATCHER)
    assert [a.role for a in case.order.episodes[0].assignments] == [AssignmentRole.LEAD, AssignmentRole.SUPERVISING]
    case.when(Sign(), by=handler("D")).refused(refusals.NotYourUnit)


# ── the unit complained of ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("about", "barred"),
    [
        ({"demand_type": DemandType.REPORT}, True),
        ({"confidentiality": Confidentiality.INFORMANT}, True),
        ({"demand_type": DemandType.COMPLAINT}, False),
    ],
)
def test_a_report_never_reaches_the_unit_it_is_about_nor_those_below_it(about: dict[str, Any], barred: bool):  # T87
    case = given(registered(accused=("D",), **about))
    for unit in ("D", "B", "S"):
        try_it = case.when(changed(ORDINARY, lead=unit), by=DISPATCHER)
        if barred:
            try_it.refused(refusals.AccusedUnit)
        else:
            try_it.then(OrderDispatched, Number)
    case.when(changed(ORDINARY, lead="E"), by=DISPATCHER).then(OrderDispatched, Number)


def test_no_heir_of_the_unit_complained_of_takes_a_report_not_even_the_second():
    divided = UnitSucceeded(from_units=("D",), to_units=("G", "E"), at=at("2025-06-10 00:00"), basis=BASIS)
    case = given(registered(accused=("D",), demand_type=DemandType.REPORT)).decreed(divided)
    for heir in ("G", "E", "E1"):
        case.when(changed(ORDINARY, lead=heir), by=DISPATCHER).refused(refusals.AccusedUnit)


def test_a_city_may_bar_the_unit_from_ordinary_complaints_too():
    case = given(registered(accused=("E",), demand_type=DemandType.COMPLAINT)).under(accused_may_handle=False)
    case.when(changed(ORDINARY, lead="E"), by=DISPATCHER).refused(refusals.AccusedUnit)


# ── what a kind of dispatch rests on ────────────────────────────────────────────────────────────────────────────────


def test_a_territorial_dispatch_needs_a_meeting_or_goes_to_a_district():
    given(registered("S1-CHENGDU")).when(TO_DISTRICT, by=MANAGER).refused(refusals.MeetingMissing)
    given(met(registered("S1-CHENGDU"))).when(TO_DISTRICT, by=MANAGER).then(OrderDispatched, Number)
    given(registered("S4-BEIJING")).when(TO_DISTRICT, by=MANAGER).then(OrderDispatched, Number)
    given(registered("S4-BEIJING")).when(changed(TO_DISTRICT, lead="E"), by=MANAGER).refused(refusals.MeetingMissing)
    given(registered()).when(changed(ORDINARY, meeting=1), by=MANAGER).refused(refusals.MeetingMissing)


def test_an_instructed_dispatch_names_an_instruction_that_was_given():
    by_instruction = Dispatch(kind=DispatchType.INSTRUCTION, lead="E")
    case = given(instructed(registered()))
    case.when(by_instruction, by=MANAGER).refused(refusals.InstructionMissing)
    case.when(changed(by_instruction, instruction=2), by=MANAGER).refused(refusals.InstructionMissing)
    done = case.when(changed(by_instruction, instruction=1), by=MANAGER).then(OrderDispatched, Number)
    assert done.order.episodes[0].instruction == 1


def test_the_mayors_telephone_takes_hot_issues_to_the_leaders_first():
    case = given(instructed(registered("S2-CHONGQING-MPT", tags=("hot_issue",))))
    case.when(ORDINARY, by=DISPATCHER).refused(refusals.InstructionMissing)
    case.when(changed(ORDINARY, instruction=1), by=DISPATCHER).then(OrderDispatched, Number)


# ── limits ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_where_no_text_gives_a_limit_the_dispatch_must():  # T47
    case = given(registered("S3-NATIONAL"))
    case.when(ORDINARY, by=DISPATCHER).refused(refusals.LimitRequired)
    written = changed(ORDINARY, limits={ClockName.HANDLE: FIVE_DAYS})
    done = case.at("2025-06-16 09:00").when(written, by=DISPATCHER).then(OrderDispatched, Number)
    assert done.clock(ClockName.HANDLE).due == at("2025-06-24 00:00")
    given(registered("S1-CHENGDU")).when(ORDINARY, by=DISPATCHER).then(OrderDispatched, Number)  # filled by SC-2025


def test_co_organizers_that_all_have_limits_leave_a_leading_hotline_none_to_write():
    with_limits = (CoPart(unit="E", limit=FIVE_DAYS), CoPart(unit="D", limit=FIVE_DAYS))
    led = Dispatch(kind=DispatchType.ORDINARY, lead_by_hotline=True, co=with_limits)
    given(registered("S3-NATIONAL")).when(led, by=MANAGER).then(OrderDispatched, Number)


@pytest.mark.parametrize(
    "unclear",
    [
        Limit(),
        Limit(amount=0, unit=LimitUnit.WORKING_DAYS),
        Limit(until=at("2025-06-16 07:59")),
        Limit(amount=1, unit=LimitUnit.WORKING_DAYS, until=at("2025-07-01 00:00")),
    ],
)
def test_a_written_limit_says_one_thing_and_lies_ahead(unclear: Limit):
    written = changed(ORDINARY, limits={ClockName.HANDLE: unclear})
    given(registered()).when(written, by=DISPATCHER).refused(refusals.LimitRequired)
    joint = changed(JOINT, co=(CoPart(unit="E", limit=unclear),))
    given(registered()).when(joint, by=MANAGER).refused(refusals.LimitRequired)


def test_a_dispatch_writes_no_statutes_limit():
    written = changed(ORDINARY, limits={ClockName.STATUTORY: FIVE_DAYS})
    given(registered()).when(written, by=DISPATCHER).refused(refusals.LimitNotWritable)


def test_no_limit_on_a_slip_of_the_mayors_telephone_exceeds_thirty_working_days():
    case = given(registered("S2-CHONGQING-MPT", "2025-09-01 09:00"))
    for until, fits in (("2025-10-18 00:00", True), ("2025-10-18 00:00:00.001", False)):
        written = changed(ORDINARY, limits={ClockName.HANDLE: Limit(until=at(until))})
        if fits:
            case.when(written, by=DISPATCHER).then(OrderDispatched, Number)
        else:
            case.when(written, by=DISPATCHER).refused(refusals.LimitTooLong)


def test_a_transfer_may_ask_for_no_reply_only_where_the_rules_say_so():  # T51
    unasked = changed(ORDINARY, reply_required=False)
    given(registered()).when(unasked, by=DISPATCHER).refused(refusals.ReplyNotOptional)
    done = given(registered("S2-CHONGQING-MPT")).when(unasked, by=DISPATCHER).then(OrderDispatched, Number)
    assert done.no_clock(ClockName.HANDLE)


def test_a_slip_writes_no_limit_longer_than_the_rules_and_none_of_a_clock_they_do_not_know():
    def written(name: ClockName, amount: int, unit: LimitUnit) -> Dispatch:
        return changed(ORDINARY, limits={name: Limit(amount=amount, unit=unit)})

    case = given(registered("S4-BEIJING"))
    case.when(written(ClockName.SIGN, 25, LimitUnit.HOURS), by=MANAGER).refused(refusals.LimitNotWritable)
    case.when(written(ClockName.SIGN, 2, LimitUnit.HOURS), by=DISPATCHER).then(OrderDispatched, Number)
    unknown = written(ClockName.SIGN, 2, LimitUnit.HOURS)
    given(registered("S0-CHUANYU")).when(unknown, by=DISPATCHER).refused(refusals.LimitNotWritable)


def test_a_longer_limit_of_handling_is_the_managements_to_give():
    longer = changed(ORDINARY, limits={ClockName.HANDLE: Limit(amount=16, unit=LimitUnit.WORKING_DAYS)})
    given(registered()).when(longer, by=DISPATCHER).refused(refusals.NotHotlineManager)
    given(registered()).when(longer, by=MANAGER).then(OrderDispatched, Number)
    given(registered("S2-CHONGQING-MPT")).when(longer, by=DISPATCHER).then(OrderDispatched, Number)  # at most 30


def test_a_dispatch_that_cites_an_instruction_fixes_the_unit_whatever_its_kind():
    cited = changed(ORDINARY, instruction=1)
    case = given(instructed(registered("S2-CHONGQING-MPT"))).does(cited, by=DISPATCHER)
    assert case.order.episodes[-1].ruled_final


def redone(pack: str = "S0-CHUANYU", limit: Limit = FIVE_DAYS) -> Case:
    """An order whose redo was ordered with a limit written on it."""
    order = working(pack)
    mark = Mark(at("2025-06-20 09:00"), 50)
    quality = msgspec.structs.replace(order.quality, redo=(mark,), redo_limit=limit)
    ended = msgspec.structs.replace(order.episodes[0], ended=mark, ended_as="redo")
    order = msgspec.structs.replace(order, quality=quality, round=2, episodes=(ended,))
    return given(begin_wait(order, "redo", mark)).at("2025-06-20 10:00")


def test_the_limit_written_on_a_redo_goes_onto_its_slip_and_no_dispatcher_writes_over_it():
    case = redone().does(ORDINARY, by=DISPATCHER)
    assert case.order.episodes[1].round == 2
    assert case.clock(ClockName.HANDLE).due == at("2025-06-28 00:00")
    own = changed(ORDINARY, limits={ClockName.HANDLE: Limit(amount=9, unit=LimitUnit.WORKING_DAYS)})
    redone().when(own, by=DISPATCHER).refused(refusals.LimitNotWritable)
    redone().when(own, by=MANAGER).then(OrderDispatched, Number)
    stale = redone(limit=Limit(until=at("2025-06-20 09:30"))).does(ORDINARY, by=DISPATCHER)
    assert stale.order.episodes[1].limits == {}


def test_the_limit_written_on_a_reopening_goes_onto_the_slip_that_follows():
    mark = Mark(at("2025-06-20 09:00"), 50)
    order = msgspec.structs.replace(working("S0-CHUANYU"), filing=Filing(closed=mark, kind=ClosureKind.DIRECT))
    order = msgspec.structs.replace(order, state=OrderState.CLOSED)
    reopened = OrderReopened(ground=ReopenGround.NEW_FACTS, words="又坏了", limit=FIVE_DAYS)
    case = given(order).at("2025-06-20 09:00").after(reopened).does(ORDINARY, by=DISPATCHER)
    assert case.order.episodes[-1].limits == {ClockName.HANDLE: FIVE_DAYS}


def test_an_order_may_be_bound_to_the_pack_of_its_dispatch():
    case = given(registered()).under(bind_policy_at="dispatch")
    event = case.when(ORDINARY, by=DISPATCHER).decide()[0]
    assert isinstance(event, OrderDispatched)
    assert event.policy == case.law.policy_at(case.now)


# ── after a ruling ──────────────────────────────────────────────────────────────────────────────────────────────────


def ruled(*, ended_as: str = "ruled", stayed: bool = False, **said: Any) -> Case:
    """An order that a ruling gave to E, waiting for its dispatch."""
    order = working(**said)
    mark = Mark(at("2025-06-17 09:00"), 50)
    dispute = Dispute(no=1, unit="B", by="b-approver", raised=mark, ruled=mark, ruled_unit="E")
    last = msgspec.structs.replace(
        order.episodes[0], disputes=(dispute,), ended=mark, ended_as=ended_as, ruled=mark if stayed else None
    )
    return given(begin_wait(msgspec.structs.replace(order, episodes=(last,)), "ruling", mark))


@pytest.mark.parametrize("ended_as", ["ruled", "returned"])
def test_after_a_ruling_the_order_goes_to_the_unit_ruled_and_it_is_final(ended_as: str):
    case = ruled(ended_as=ended_as)
    case.when(ORDINARY, by=DISPATCHER).refused(refusals.RuledElsewhere)
    done = case.when(changed(ORDINARY, lead="E"), by=DISPATCHER).then(OrderDispatched, Number)
    assert done.order.episodes[1].ruled_final


def test_a_ruling_binds_no_longer_once_reopened_or_once_the_unit_is_barred():
    assert ruled(ended_as="returned", stayed=True).when(ORDINARY, by=DISPATCHER).then(OrderDispatched, Number)
    barred = ruled(accused=("E",), demand_type=DemandType.REPORT)
    assert barred.when(ORDINARY, by=DISPATCHER).then(OrderDispatched, Number)


# ── recalling ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_recalled_dispatch_gives_the_hotline_no_new_time():
    case = given(registered("S4-BEIJING")).at("2025-06-16 09:00").does(ORDINARY, by=DISPATCHER)
    back = case.at("2025-06-16 10:00").when(RecallDispatch(reason="派错"), by=DISPATCHER).then(DispatchRecalled)
    assert back.order.state is OrderState.AWAITING_DISPATCH
    clock = back.clock(ClockName.DISPATCH)
    assert (clock.running, clock.due) == (True, at("2025-06-17 08:00"))
    assert back.clock(ClockName.HANDLE).cancel is not None
    assert back.order.episodes[0].assignments[0].state is AssignmentState.RECALLED
    case.when(RecallDispatch(reason=""), by=DISPATCHER).refused(refusals.ReasonMissing)


def test_after_signing_a_recall_needs_the_unit_or_the_management():
    case = given(working())
    recall = RecallDispatch(reason="派错")
    case.when(recall, by=DISPATCHER).refused(refusals.RecallNeedsConsent)
    case.when(msgspec.structs.replace(recall, unit_consent=CONSENT), by=DISPATCHER).then(DispatchRecalled)
    case.when(recall, by=MANAGER).then(DispatchRecalled)
    case.having(state=OrderState.RETURN_REVIEW).when(recall, by=MANAGER).refused(refusals.WrongState)


def test_after_a_reply_there_is_nothing_to_recall():
    reply = Reply(
        no=1, round=1, episode=1, unit="B", submitted=Mark(at("2025-06-17 09:00"), 9), outcome=Outcome.PARTIAL
    )
    case = given(working()).having(replies=(reply,))  # sent back: the order is worked on again
    case.when(RecallDispatch(reason="派错"), by=MANAGER).refused(refusals.WrongState)


def test_history_that_lacks_the_wait_still_folds():
    case = given(dispatched()).having(waits=()).after(DispatchRecalled(reason="派错"))
    assert [w.cause for w in case.order.waits] == ["recall"]
    twice = given(dispatched()).after(
        OrderDispatched(
            kind=DispatchType.ORDINARY,
            attributes=dispatched().attributes,
            of_class="general",
            medium=ORDINARY.medium,
            lead="E",
        )
    )
    assert [e.ended_as for e in twice.order.episodes] == ["superseded", ""]


# ── passing on ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_passing_on_stops_the_transfer_clock_and_leaves_handling_as_it_was():
    case = given(dispatched(lead="D"))
    due = case.clock(ClockName.HANDLE).due
    passed = case.at("2025-06-17 09:00").when(Transfer(unit="B"), by=approver("D")).then(AssignmentTransferred)
    episode = passed.order.episodes[0]
    assert (episode.lead, episode.lead_parent) == ("B", "D")
    assert [a.state for a in episode.assignments] == [AssignmentState.TRANSFERRED, AssignmentState.PENDING_SIGN]
    assert passed.clock(ClockName.TRANSFER).stop == Mark(at("2025-06-17 09:00"), 101)
    assert passed.clock(ClockName.HANDLE).due == due
    assert passed.order.state is OrderState.DISPATCHED


def test_passing_on_begins_the_next_units_signing_and_stops_the_first_ones():
    case = given(dispatched("S4-BEIJING", lead="D")).at("2025-06-16 12:00").does(Transfer(unit="B"), by=approver("D"))
    assert case.clock(ClockName.SIGN, "e1.a1").stop is not None
    assert case.clock(ClockName.SIGN, "e1.a2").due == at("2025-06-17 12:00")
    case.when(Sign(), by=handler("D")).refused(refusals.NotYourUnit)
    signed = case.when(Sign(), by=HANDLER).then(AssignmentSigned)
    assert signed.order.state is OrderState.WORKING


def test_an_assignment_is_passed_only_downwards():
    case = given(dispatched(lead="B"))
    for elsewhere in ("B", "D", "B2", "E"):
        case.when(Transfer(unit=elsewhere), by=approver("B")).refused(refusals.NotADescendant)
    case.when(Transfer(unit="S"), by=approver("E")).refused(refusals.NotYourUnit)
    joint = given(dispatched(lead="D", co=("B",)))
    joint.when(Transfer(unit="B"), by=approver("D")).refused(refusals.UnitNamedTwice)
    barred = given(dispatched(lead="D", accused=("B",), demand_type=DemandType.REPORT))
    barred.when(Transfer(unit="B"), by=approver("D")).refused(refusals.AccusedUnit)


def test_a_co_organizer_passes_its_own_part_on_and_its_limit_with_it():
    case = given(dispatched(lead="E", co=("D",), urgency=Urgency.GENERAL))
    held = case.order.episodes[0].assignments
    limited = (held[0], msgspec.structs.replace(held[1], limit=FIVE_DAYS))
    episode = msgspec.structs.replace(case.order.episodes[0], assignments=limited)
    passed = case.having(episodes=(episode,)).does(Transfer(unit="B"), by=approver("D"))
    new = passed.order.episodes[0].assignments[2]
    assert (new.role, new.limit, new.transferred_from) == (AssignmentRole.CO, FIVE_DAYS, 2)
    assert passed.order.episodes[0].lead == "E"
    assert passed.order.episodes[0].passed_on is None


def test_a_hand_over_without_a_dispatch_folds_into_nothing():
    orphan = AssignmentTransferred(assignment=1, from_unit="D", unit="B")
    assert given(registered()).after(orphan).order.episodes == ()
    unknown = msgspec.structs.replace(orphan, assignment=9)
    assert given(dispatched(lead="D")).after(unknown).order.episodes[0].lead == "B"


def test_no_organizer_dispatches():
    organizers: Sequence[Role] = (Role.ORG_HANDLER, Role.ORG_APPROVER, Role.MGMT_UNIT, Role.CITIZEN)
    assert not set(organizers) & (Dispatch.roles | RecallDispatch.roles)
