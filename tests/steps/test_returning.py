"""② Reporting upwards, returning, objecting, disputing, ruling."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain import institution, refusals
from domain.state import Instruction, Reply, WorkOrder
from domain.steps.dispatch import Transfer
from domain.steps.handling import AssignmentSigned, Progress, Sign
from domain.steps.returning import (
    AcceptEscalation,
    ConsentLateReturn,
    CoObjectionRaised,
    DecideReturn,
    DisputeRaised,
    DisputeRuled,
    EscalateReturn,
    LateReturnConsented,
    ObjectCo,
    RaiseDispute,
    RejectEscalation,
    ReopenRuling,
    RequestReturn,
    ReturnApproved,
    ReturnEscalated,
    ReturnEscalationAccepted,
    ReturnEscalationRejected,
    ReturnRejected,
    ReturnRequested,
    ReturnWithdrawn,
    RuleDispute,
    RulingReopened,
    SuggestedDisposal,
    WithdrawReturn,
)
from domain.terms import (
    AssignmentState,
    ClockName,
    DemandType,
    DispatchType,
    Entry,
    Mark,
    OrderState,
    Outcome,
    RefusalReason,
    ReturnGround,
    Urgency,
)
from domain.units import UnitSucceeded
from tests.given import (
    APPROVER,
    BASIS,
    COORDINATOR,
    DISPATCHER,
    HANDLER,
    LEADER,
    MANAGER,
    PARENT,
    SUPERVISOR,
    Case,
    approver,
    at,
    dispatched,
    given,
    handler,
    management,
    registered,
    special,
    working,
)

NOT_OURS = RequestReturn(ground=ReturnGround.NOT_OUR_DUTY, reason="属市政设施", basis=BASIS, suggested_unit="E")
D, E = approver("D"), approver("E")
GIVE_BACK = EscalateReturn(reason="不属本局职责", suggested_unit="E")
APPROVE = DecideReturn(return_no=1, approve=True)
REJECT = DecideReturn(return_no=1, approve=False, reason="属本单位职责")
DISPUTE = RaiseDispute(reason="属地与行业分工不明", others=("E",))


def changed(command: Any, **said: Any) -> Any:
    return msgspec.structs.replace(command, **said)


def fixed(order: WorkOrder, **changes: Any) -> WorkOrder:
    """The same, with its running episode changed."""
    return msgspec.structs.replace(order, episodes=(msgspec.structs.replace(order.episodes[-1], **changes),))


def returned(pack: str = "S0-CHUANYU", when: str = "2025-06-17 10:00", **said: Any) -> Case:
    """An order of D's, returned and not decided."""
    return given(working(pack, lead="D", **said)).at(when).does(NOT_OURS, by=D)


# ── reporting upwards ───────────────────────────────────────────────────────────────────────────────────────────────


def passed_down(pack: str = "S0-CHUANYU") -> Case:
    """An order that D passed on to B on the first morning."""
    return given(dispatched(pack, lead="D")).at("2025-06-16 11:00").does(Transfer(unit="B"), by=D)


def test_a_return_climbs_level_by_level_within_one_running_limit():  # T22
    case = passed_down()
    case.when(NOT_OURS, by=APPROVER).refused(refusals.EscalateFirst)
    asked = case.at("2025-06-17 09:00").when(GIVE_BACK, by=APPROVER).then(AssignmentSigned, ReturnEscalated)
    took = asked.when(AcceptEscalation(escalation=1), by=D).then(ReturnEscalationAccepted)
    episode = took.order.episodes[0]
    assert (episode.lead, episode.lead_parent) == ("D", "H")
    assert [a.state for a in episode.assignments] == [
        AssignmentState.TRANSFERRED,
        AssignmentState.RETURNED,
        AssignmentState.SIGNED,
    ]
    back = took.at("2025-06-18 17:00").when(NOT_OURS, by=D).then(ReturnRequested)
    assert back.clock(ClockName.RETURN).due == at("2025-06-19 00:00")
    assert not back.order.episodes[0].returns[0].late
    no = back.at("2025-06-19 10:00").when(REJECT, by=DISPATCHER).then(ReturnRejected)
    assert no.clock(ClockName.HANDLE).due == back.clock(ClockName.HANDLE).due
    again = no.when(NOT_OURS, by=D).then(ReturnRequested)
    assert again.order.episodes[0].returns[1].late
    consent = ConsentLateReturn(return_no=2)
    assert again.does(consent, by=MANAGER).order.episodes[0].returns[1].late
    anew = no.does(msgspec.structs.replace(NOT_OURS, new_facts="界线勘定图"), by=D)
    assert anew.order.episodes[0].returns[1].late
    assert not anew.does(consent, by=MANAGER).order.episodes[0].returns[1].late


def test_who_took_an_assignment_back_may_pass_it_to_another():
    took = passed_down().does(GIVE_BACK, by=APPROVER).does(AcceptEscalation(escalation=1), by=management("D"))
    passed = took.does(Transfer(unit="B2"), by=D)
    assert passed.order.episodes[0].lead == "B2"
    assert passed.order.episodes[0].assignments[-1].transferred_from == 3


def test_an_assignment_not_taken_back_stays_where_it_is():
    asked = passed_down().does(GIVE_BACK, by=APPROVER)
    asked.when(GIVE_BACK, by=APPROVER).refused(refusals.EscalationPending)
    asked.when(RejectEscalation(escalation=1, reason=""), by=D).refused(refusals.ReasonMissing)
    stays = asked.when(RejectEscalation(escalation=1, reason="属你局职责"), by=D).then(ReturnEscalationRejected)
    assert stays.order.episodes[0].lead == "B"
    stays.when(AcceptEscalation(escalation=1), by=D).refused(refusals.NoSuchEscalation)
    stays.when(GIVE_BACK, by=APPROVER).then(ReturnEscalated)


def test_only_the_unit_above_answers_and_only_units_below_ask():
    asked = passed_down().does(GIVE_BACK, by=APPROVER)
    asked.when(AcceptEscalation(escalation=1), by=E).refused(refusals.NoSuchEscalation)
    asked.when(AcceptEscalation(escalation=2), by=D).refused(refusals.NoSuchEscalation)
    asked.when(Transfer(unit="S"), by=APPROVER).refused(refusals.EscalationPending)
    given(working(lead="D")).when(GIVE_BACK, by=D).refused(refusals.FirstLevelReturns)
    passed_down().when(changed(GIVE_BACK, reason=" "), by=APPROVER).refused(refusals.ReasonMissing)


def test_taking_an_unsigned_assignment_back_is_the_first_signature():
    case = passed_down("S4-BEIJING").does(GIVE_BACK, by=APPROVER)
    assert case.order.episodes[0].first_signed is None
    took = case.at("2025-06-16 12:00").does(AcceptEscalation(escalation=1), by=D)
    assert took.order.episodes[0].first_signed == Mark(at("2025-06-16 12:00"), 103)
    assert took.order.state is OrderState.WORKING


def test_a_co_organizers_assignment_climbs_too_and_the_lead_stays_the_lead():
    case = given(working(lead="E", co=("D",))).does(Transfer(unit="B"), by=D).does(GIVE_BACK, by=APPROVER)
    took = case.does(AcceptEscalation(escalation=1), by=D)
    assert took.order.episodes[0].lead == "E"
    assert took.order.episodes[0].holder("D") is not None


def test_in_chengdu_the_return_runs_from_the_first_signature_whoever_signs_later():
    case = given(dispatched("S1-CHENGDU", "2025-04-01 09:00", lead="D"))
    signed = case.at("2025-04-01 10:00").does(Sign(), by=handler("D"))
    down = signed.at("2025-04-02 09:00").does(Transfer(unit="B"), by=D)
    down.when(GIVE_BACK, by=APPROVER).refused(refusals.NotSigned)
    later = down.at("2025-04-03 11:00").does(Sign(), by=HANDLER)
    assert later.clock(ClockName.RETURN).due == at("2025-04-04 00:00")


# ── returning ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_return_waits_at_the_hotline_while_every_limit_runs_on():
    case = given(working(lead="D"))
    due = case.clock(ClockName.HANDLE).due
    back = case.at("2025-06-17 10:00").when(NOT_OURS, by=D).then(ReturnRequested)
    assert back.order.state is OrderState.RETURN_REVIEW
    assert back.order.episodes[0].assignments[0].state is AssignmentState.RETURN_PENDING
    assert (back.clock(ClockName.HANDLE).due, back.clock(ClockName.HANDLE).running) == (due, True)
    assert back.clock(ClockName.TRANSFER).stop is not None
    back.when(NOT_OURS, by=D).refused(refusals.ReturnUndecided)


def test_in_a_pack_without_signing_the_return_itself_implies_the_signature():
    given(dispatched(lead="D")).when(NOT_OURS, by=D).then(AssignmentSigned, ReturnRequested)


def test_in_chengdu_nobody_returns_before_signing():  # T38
    case = given(dispatched("S1-CHENGDU", "2025-04-01 09:00", lead="D")).at("2025-04-01 10:00")
    case.when(NOT_OURS, by=D).refused(refusals.NotSigned)


def test_in_beijing_an_unsigned_order_may_be_returned_and_must_still_be_signed_for():
    back = given(dispatched("S4-BEIJING", lead="D")).when(NOT_OURS, by=D).then(ReturnRequested)
    assert back.does(REJECT, by=DISPATCHER).order.state is OrderState.DISPATCHED


def test_an_approved_return_ends_the_episode_and_the_order_waits_again():
    approved = returned().at("2025-06-17 12:00").when(APPROVE, by=DISPATCHER).then(ReturnApproved)
    assert approved.order.state is OrderState.AWAITING_DISPATCH
    assert approved.order.episodes[0].ended_as == "returned"
    assert approved.clock(ClockName.HANDLE).cancel is not None
    assert [w.cause for w in approved.order.waits] == ["registration", "return"]


def test_a_return_is_decided_by_another_and_refused_with_a_reason():
    case = returned()
    case.when(APPROVE, by=changed(DISPATCHER, user=D.user)).refused(refusals.SelfApproval)
    case.when(changed(REJECT, reason=None), by=DISPATCHER).refused(refusals.ReasonMissing)
    case.when(changed(APPROVE, return_no=2), by=DISPATCHER).refused(refusals.NoSuchReturn)
    rejected = case.when(REJECT, by=DISPATCHER).then(ReturnRejected)
    assert rejected.order.state is OrderState.WORKING
    rejected.when(APPROVE, by=DISPATCHER).refused(refusals.NoSuchReturn)


def test_of_a_designated_units_return_the_management_decides():
    order = fixed(working(lead="D"), type=DispatchType.DESIGNATED)
    case = given(order).does(NOT_OURS, by=D)
    case.when(APPROVE, by=DISPATCHER).refused(refusals.NotHotlineManager)
    case.when(APPROVE, by=MANAGER).then(ReturnApproved)


def test_who_was_fixed_returns_nothing_until_a_supervisor_finds_new_facts():
    case = given(fixed(working(lead="D"), type=DispatchType.DESIGNATED, ruled_final=True))
    case.when(NOT_OURS, by=D).refused(refusals.RuledFinal)
    case.when(ReopenRuling(new_facts=""), by=SUPERVISOR).refused(refusals.ReasonMissing)
    reopened = case.when(ReopenRuling(new_facts="辖区已调整"), by=SUPERVISOR).then(RulingReopened)
    reopened.when(NOT_OURS, by=D).then(ReturnRequested)
    reopened.when(ReopenRuling(new_facts="辖区已调整"), by=SUPERVISOR).refused(refusals.NothingRuled)
    case.under(ruled_final=False).when(NOT_OURS, by=D).then(ReturnRequested)


def test_after_a_reply_there_is_no_return():
    case = given(working(lead="D"))
    reply = Reply(
        no=1, round=1, episode=1, unit="D", submitted=Mark(at("2025-06-17 09:00"), 9), outcome=Outcome.RESOLVED
    )
    case.having(replies=(reply,)).when(NOT_OURS, by=D).refused(refusals.ReturnAfterReply)
    case.having(state=OrderState.REPLIED).when(NOT_OURS, by=D).refused(refusals.WrongState)


@pytest.mark.parametrize(
    ("said", "enough"),
    [
        ({"suggested_unit": None}, False),
        ({"suggested_unit": "D"}, False),
        ({"ground": ReturnGround.OUT_OF_SCOPE}, False),
        (
            {
                "ground": ReturnGround.OUT_OF_SCOPE,
                "suggested_disposal": SuggestedDisposal(reason=RefusalReason.LITIGATION, turn_to="法院"),
            },
            True,
        ),
        ({"ground": ReturnGround.DUPLICATE}, False),
        ({"ground": ReturnGround.DUPLICATE, "duplicate_of": UUID(int=3)}, True),
        ({"ground": ReturnGround.RULED_ELSEWHERE, "suggested_unit": None}, True),
    ],
)
def test_a_return_says_what_should_become_of_the_order(said: dict[str, Any], enough: bool):
    try_it = given(working(lead="D")).when(changed(NOT_OURS, **said), by=D)
    if enough:
        try_it.then(ReturnRequested)
    else:
        try_it.refused(refusals.SuggestionMissing)


def test_in_chengdu_every_return_proposes_where_to_dispatch():
    ruled = changed(NOT_OURS, ground=ReturnGround.RULED_ELSEWHERE, suggested_unit=None)
    given(working("S1-CHENGDU", lead="D")).when(ruled, by=D).refused(refusals.SuggestionMissing)


def test_a_return_gives_reason_and_basis_and_names_units_that_exist():
    case = given(working(lead="D"))
    case.when(changed(NOT_OURS, reason=""), by=D).refused(refusals.ReasonMissing)
    case.when(changed(NOT_OURS, basis=None), by=D).refused(refusals.ReturnBasisMissing)
    case.when(changed(NOT_OURS, suggested_unit="NOWHERE"), by=D).refused(refusals.UnknownUnit)
    case.when(NOT_OURS, by=E).refused(refusals.NotYourUnit)


# ── late ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("when", "late"), [("2025-06-19 00:00", False), ("2025-06-19 00:00:00.001", True)])
def test_a_late_return_is_recorded_as_late_and_never_refused_for_it(when: str, late: bool):  # T23
    assert returned(when=when).order.episodes[0].returns[0].late is late


def test_in_s0_a_late_return_goes_through_only_with_the_next_higher_units_consent():
    case = returned(when="2025-06-19 09:00")
    case.when(APPROVE, by=DISPATCHER).refused(refusals.LateReturnNeedsConsent)
    consent = ConsentLateReturn(return_no=1)
    case.when(consent, by=PARENT).refused(refusals.NotNextHigherUnit)
    agreed = case.when(consent, by=MANAGER).then(LateReturnConsented)
    agreed.when(consent, by=MANAGER).refused(refusals.NothingChanged)
    agreed.when(APPROVE, by=DISPATCHER).then(ReturnApproved)
    case.when(REJECT, by=DISPATCHER).then(ReturnRejected)
    returned().when(consent, by=MANAGER).refused(refusals.ReturnNotLate)


def test_the_consent_to_a_bureaus_late_return_is_its_districts():
    late = given(working(lead="B")).at("2025-06-19 09:00").does(NOT_OURS, by=APPROVER)
    late.when(ConsentLateReturn(return_no=1), by=management("B")).refused(refusals.NotNextHigherUnit)
    late.when(ConsentLateReturn(return_no=1), by=changed(PARENT, user=APPROVER.user)).refused(refusals.SelfApproval)
    late.when(ConsentLateReturn(return_no=1), by=PARENT).then(LateReturnConsented)


def test_in_chengdu_a_late_return_is_an_overdue_item_and_may_be_approved():  # T37
    case = given(working("S1-CHENGDU", "2025-04-03 11:00", lead="D")).at("2025-04-09 09:00").does(NOT_OURS, by=D)
    assert case.order.episodes[0].returns[0].late
    case.when(APPROVE, by=DISPATCHER).then(ReturnApproved)


def test_a_withdrawn_return_leaves_the_window_as_it_was_and_a_rejected_one_none():
    withdrawn = returned().when(WithdrawReturn(), by=D).then(ReturnWithdrawn)
    assert withdrawn.order.state is OrderState.WORKING
    again = withdrawn.at("2025-06-18 09:00").does(NOT_OURS, by=D)
    assert not again.order.episodes[0].returns[1].late
    withdrawn.when(WithdrawReturn(), by=D).refused(refusals.NoSuchReturn)
    returned().when(WithdrawReturn(), by=E).refused(refusals.NoSuchReturn)


def test_after_a_return_withdrawn_the_unit_still_owes_passing_the_order_on():
    case = returned()
    assert case.clock(ClockName.TRANSFER).stop is not None
    withdrawn = case.at("2025-06-17 11:00").does(WithdrawReturn(), by=D)
    running = withdrawn.clock(ClockName.TRANSFER)
    assert running.running
    assert running.breached(at("2025-06-18 00:01"))
    taken = withdrawn.at("2025-06-17 15:00").does(Transfer(unit="B"), by=D).clock(ClockName.TRANSFER)
    assert taken.stop is not None
    assert taken.stop.at == at("2025-06-17 15:00")


def test_what_a_unit_did_itself_counts_for_passing_on_though_its_return_was_withdrawn():
    work = Progress(report="已到现场")
    during = returned().at("2025-06-17 11:00").does(work, by=handler("D"))
    before = given(working("S0-CHUANYU", lead="D")).at("2025-06-17 09:00").does(work, by=handler("D"))
    rejected = returned().at("2025-06-17 10:30").does(REJECT, by=DISPATCHER).does(NOT_OURS, by=D)
    stops = {
        "2025-06-17 11:00": during.at("2025-06-17 12:00").does(WithdrawReturn(), by=D),
        "2025-06-17 09:00": before.does(NOT_OURS, by=D).does(WithdrawReturn(), by=D),
        "2025-06-17 10:00": rejected.does(WithdrawReturn(), by=D),
    }
    for when, case in stops.items():
        stop = case.clock(ClockName.TRANSFER).stop
        assert stop is not None
        assert stop.at == at(when)


def test_an_approved_return_does_not_launder_a_breach():  # T91
    order = special(lead="D", when="2025-06-16 10:00")
    case = given(order).at("2025-06-16 10:05").does(Sign(), by=handler("D")).at("2025-06-16 10:10").does(NOT_OURS, by=D)
    over = case.at("2025-06-16 11:30").does(APPROVE, by=DISPATCHER)
    clock = over.clock(ClockName.INIT_RESPONSE)
    assert clock.due == at("2025-06-16 11:00")
    assert clock.breached(over.now)
    assert over.clock(ClockName.PROGRESS).cancel is not None


# ── a co-organizer's objection ──────────────────────────────────────────────────────────────────────────────────────

OBJECT = ObjectCo(ground=ReturnGround.NOT_OUR_DUTY, reason="无此职责", basis=BASIS, suggested_unit="B")


def test_a_co_organizers_objection_is_decided_like_a_return_and_takes_only_itself_out():
    case = given(working(lead="D", co=("E",)))
    objected = case.when(OBJECT, by=E).then(CoObjectionRaised)
    assert objected.order.state is OrderState.WORKING
    assert objected.clock(ClockName.RETURN_REVIEW).running
    objected.when(OBJECT, by=E).refused(refusals.ReturnUndecided)
    out = objected.when(APPROVE, by=DISPATCHER).then(ReturnApproved)
    assert out.order.state is OrderState.WORKING
    assert out.order.episodes[0].holder("E") is None
    stays = objected.when(REJECT, by=DISPATCHER).then(ReturnRejected)
    assert stays.order.episodes[0].assignments[1].state is AssignmentState.SIGNED
    taken_back = objected.does(WithdrawReturn(), by=E)
    assert taken_back.order.episodes[0].assignments[1].state is AssignmentState.SIGNED


def test_who_objects_passes_nothing_on_until_the_objection_is_decided():
    objected = given(working(lead="D", co=("E",))).does(OBJECT, by=E)
    objected.when(Transfer(unit="E1"), by=E).refused(refusals.ReturnPending)
    objected.does(WithdrawReturn(), by=E).does(Transfer(unit="E1"), by=E)


def test_a_window_to_return_that_a_reopened_ruling_gave_is_ended_by_the_next_and_not_gone():
    designated = given(fixed(working(), type=DispatchType.DESIGNATED, ruled_final=True)).at("2025-06-17 09:00")
    assert designated.no_clock(ClockName.RETURN)
    open_again = designated.does(ReopenRuling(new_facts="新证据"), by=SUPERVISOR)
    assert open_again.clock(ClockName.RETURN).running
    disputed = open_again.does(RaiseDispute(reason="不属职责"), by=APPROVER).at("2025-06-17 10:00")
    ruled = disputed.does(ruling("B"), by=COORDINATOR)
    assert ruled.clock(ClockName.RETURN).cancelled_by == "ruled"


def test_only_a_co_organizer_objects_and_says_why():
    case = given(working(lead="D", co=("E",)))
    case.when(OBJECT, by=D).refused(refusals.NotCoOrganizer)
    case.when(changed(OBJECT, reason=""), by=E).refused(refusals.ReasonMissing)
    case.when(changed(OBJECT, basis=None), by=E).refused(refusals.ReturnBasisMissing)
    case.when(changed(OBJECT, suggested_unit="NOWHERE"), by=E).refused(refusals.UnknownUnit)
    deeper = given(working(lead="D", co=("E",))).does(Transfer(unit="E1"), by=E)
    deeper.when(OBJECT, by=approver("E1")).refused(refusals.EscalateFirst)


# ── disputing and ruling ────────────────────────────────────────────────────────────────────────────────────────────


def ruling(unit: str, **said: Any) -> RuleDispute:
    return RuleDispute(dispute=1, unit=unit, basis=BASIS, reason="按三定方案", **said)


def test_a_dispute_moves_no_limit_and_leaves_the_order_with_the_unit():
    case = given(working(lead="D"))
    due = case.clock(ClockName.HANDLE).due
    disputed = case.when(DISPUTE, by=D).then(DisputeRaised)
    assert disputed.order.state is OrderState.WORKING
    assert disputed.clock(ClockName.HANDLE).due == due
    disputed.when(DISPUTE, by=D).refused(refusals.DisputeOpen)
    case.when(changed(DISPUTE, reason=""), by=D).refused(refusals.ReasonMissing)
    case.when(changed(DISPUTE, others=("NOWHERE",)), by=D).refused(refusals.UnknownUnit)


def test_a_unit_ruled_to_keep_the_order_returns_it_no_more():
    case = given(working(lead="D")).does(DISPUTE, by=D).at("2025-06-17 09:00")
    kept = case.when(ruling("D", on_site=True), by=MANAGER).then(DisputeRuled)
    assert kept.order.state is OrderState.WORKING
    kept.when(NOT_OURS, by=D).refused(refusals.RuledFinal)
    assert kept.clock(ClockName.RETURN).cancel is not None
    kept.when(ruling("D"), by=MANAGER).refused(refusals.NoSuchDispute)


def test_a_ruling_for_another_unit_takes_the_order_back():
    case = given(working(lead="D")).does(DISPUTE, by=D)
    moved = case.when(ruling("E"), by=COORDINATOR).then(DisputeRuled)
    assert moved.order.state is OrderState.AWAITING_DISPATCH
    assert (moved.order.episodes[0].ended_as, moved.order.waits[-1].cause) == ("ruled", "ruling")


def test_a_ruling_decides_a_pending_return_with_it():
    case = returned().does(DISPUTE, by=D)
    kept = case.when(ruling("D"), by=MANAGER).then(DisputeRuled, ReturnRejected)
    assert kept.order.state is OrderState.WORKING
    assert not kept.order.episodes[0].returns[0].pending
    moved = case.when(ruling("E"), by=LEADER).then(ReturnApproved, DisputeRuled)
    assert moved.order.state is OrderState.AWAITING_DISPATCH
    assert moved.order.episodes[0].disputes[0].ruled_unit == "E"


def test_a_dispute_is_still_ruled_after_the_return_was_approved():
    case = returned().does(DISPUTE, by=D).does(APPROVE, by=DISPATCHER)
    ruled = case.when(ruling("E"), by=MANAGER).then(DisputeRuled)
    assert ruled.order.state is OrderState.AWAITING_DISPATCH


def test_a_ruling_rests_on_a_reason_an_instruction_that_exists_and_a_unit_that_may():
    order = working(lead="D", accused=("E",), demand_type=DemandType.REPORT)
    mark = Mark(at("2025-06-16 08:30"), 3)
    seen = msgspec.structs.replace(order.oversight, instructions=(Instruction(no=1, recorded=mark),))
    case = given(msgspec.structs.replace(order, oversight=seen)).does(changed(DISPUTE, others=()), by=D)
    case.when(ruling("E"), by=MANAGER).refused(refusals.AccusedUnit)
    case.when(ruling("D", instruction=2), by=MANAGER).refused(refusals.InstructionMissing)
    case.when(changed(ruling("D"), reason=""), by=MANAGER).refused(refusals.ReasonMissing)
    case.when(changed(ruling("D"), dispute=2), by=MANAGER).refused(refusals.NoSuchDispute)
    case.when(ruling("D"), by=changed(MANAGER, user=D.user)).refused(refusals.SelfApproval)
    case.when(ruling("D", instruction=1), by=LEADER).then(DisputeRuled)


# ── a unit that succeeded another ──────────────────────────────────────────────────────────────────────────────────


def succeeded(case: Case, before: str, heir: str) -> Case:
    """The same case, after the city put one unit in the place of another."""
    event = UnitSucceeded(from_units=(before,), to_units=(heir,), at=at("2025-06-17 00:00"), basis=BASIS)
    entry = Entry(
        event=event,
        stream="institution",
        version=case.law.version + 1,
        position=99,
        recorded_at=at("2025-06-16 18:00"),
        actor=SUPERVISOR,
    )
    later = case.at("2025-06-17 09:00")
    later.law = institution.evolve(case.law, entry)
    return later


def test_who_succeeded_a_unit_returns_objects_withdraws_and_takes_back_in_its_place():
    case = succeeded(given(working(lead="D")), "D", "E")
    back = case.when(changed(NOT_OURS, suggested_unit="G"), by=E).then(ReturnRequested)
    back.when(WithdrawReturn(), by=E).then(ReturnWithdrawn)
    joint = succeeded(given(working(lead="G", co=("D",))), "D", "E")
    joint.when(changed(OBJECT, suggested_unit=None), by=E).then(CoObjectionRaised)
    climbing = succeeded(passed_down().does(GIVE_BACK, by=APPROVER), "D", "E")
    taken = climbing.when(AcceptEscalation(escalation=1), by=E).then(ReturnEscalationAccepted)
    assert taken.order.episodes[0].lead == "E"


def test_a_second_ruling_leaves_the_end_of_the_window_to_the_first():
    """Lapsed it would read, had it ended only now."""
    first = given(working(lead="D")).at("2025-06-17 10:00").does(DISPUTE, by=D).does(ruling("D"), by=MANAGER)
    second = first.at("2025-06-25 10:00").does(DISPUTE, by=D).does(changed(ruling("D"), dispute=2), by=MANAGER)
    for case in (first, second):
        window = case.clock(ClockName.RETURN)
        assert window.cancel is not None
        assert window.cancel.at == at("2025-06-17 10:00")


# ── history with gaps ───────────────────────────────────────────────────────────────────────────────────────────────


def test_every_event_folds_into_an_order_that_lacks_what_it_speaks_of():
    words: dict[str, Any] = {"reason": "原因"}
    orphans = (
        ReturnEscalated(assignment=1, from_unit="B", unit="D", **words),
        ReturnEscalationAccepted(escalation=1, unit="D"),
        ReturnEscalationRejected(escalation=1, **words),
        ReturnRequested(assignment=1, unit="D", ground=ReturnGround.DUPLICATE, basis=BASIS, **words),
        ReturnWithdrawn(return_no=1),
        LateReturnConsented(return_no=1, unit="D"),
        ReturnApproved(return_no=1),
        ReturnRejected(return_no=1, **words),
        CoObjectionRaised(assignment=1, unit="E", ground=ReturnGround.NOT_OUR_DUTY, basis=BASIS, **words),
        DisputeRaised(unit="D", **words),
        DisputeRuled(dispute=1, unit="D", basis=BASIS, **words),
        RulingReopened(new_facts="新情况"),
    )
    assert given(registered()).after(*orphans).order.episodes == ()
    bare = given(dispatched(lead="D", urgency=Urgency.GENERAL))
    for orphan in orphans:
        assert isinstance(bare.after(orphan).now, datetime)
    nobody = fixed(dispatched(lead="D"), assignments=())
    for orphan in orphans:
        assert given(nobody).after(orphans[0], orphan).order.episodes
