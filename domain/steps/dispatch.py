"""② 派单. Who handles the order: dispatched, passed on, returned, disputed, ruled, joined by others.

Signing belongs to `handling`; here a unit's act implies its signature where the rules know no signing (8.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from domain import guards, refusals
from domain.context import Context
from domain.policy import ClassRule, Rules
from domain.state import (
    Assignment,
    Dispute,
    Episode,
    Escalation,
    Return,
    Whistle,
    WorkOrder,
    begin_wait,
    end_episode,
    end_wait,
    latest_episode,
    put,
)
from domain.steps.handling import implied_signature
from domain.terms import (
    Act,
    AssignmentRole,
    AssignmentState,
    Attributes,
    Citation,
    CitedText,
    ClockName,
    Code,
    Confidentiality,
    DemandType,
    DispatchBasis,
    DispatchType,
    Entry,
    Fact,
    Limit,
    Mark,
    Medium,
    Number,
    OrderState,
    PolicyRef,
    Private,
    RefusalReason,
    ReturnGround,
    Role,
    Step,
    Struct,
    UnitId,
    UnitKind,
    UserId,
)

FINAL = frozenset({DispatchType.DESIGNATED, DispatchType.TERRITORIAL, DispatchType.INSTRUCTION})
"""Kinds of dispatch that fix the unit: it may not return the order (R-22)."""

WRITABLE = frozenset(
    {
        ClockName.SIGN,
        ClockName.TRANSFER,
        ClockName.RETURN,
        ClockName.INIT_RESPONSE,
        ClockName.PROGRESS,
        ClockName.HANDLE,
    }
)
"""Limits that a dispatch may write; a statute's is not among them."""


# --- events ------------------------------------------------------------------------------------------------------


class CoPart(Struct, frozen=True):
    """协办分工. A co-organizer, its part of the duty, and its own limit where one is written."""

    unit: UnitId
    duty: Private | None = None
    limit: Limit | None = None


class OrderDispatched(Fact, frozen=True, tag="order.order_dispatched"):
    """派单. The hotline gives the order to a lead unit, or leads itself; the slip (交办单) has the commit's number.

    Everything that handling is measured by is written here as it was: kind, attributes and class, the units, the lead's
    next-higher unit, the limits on the slip.
    """

    kind: DispatchType
    attributes: Attributes
    of_class: Code
    medium: Medium
    lead: UnitId = ""  # empty: the hotline leads (S2-23)
    lead_parent: UnitId = ""
    co: tuple[CoPart, ...] = ()
    supervising: tuple[UnitId, ...] = ()  # 督促协调, e.g. the district of a street
    basis: DispatchBasis | None = None
    directory: Code = ""  # version of the dispatch directory (S4-7)
    limits: dict[ClockName, Limit] = {}
    reply_required: bool | None = None  # None: yes
    instruction: int | None = None  # the leadership instruction it carries out
    meeting: int | None = None  # the coordination meeting that named the unit
    dispute: int | None = None  # the ruling that it carries out
    policy: PolicyRef | None = None  # where a city binds orders at dispatch (K12)
    note: Private | None = None


class DispatchRecalled(Fact, frozen=True, tag="order.dispatch_recalled"):
    """撤回派单. The hotline's own slip: it gets no new time by it (8.4)."""

    reason: Private
    unit_consent: CitedText | None = None  # after signing


class AssignmentTransferred(Fact, frozen=True, tag="order.assignment_transferred"):
    """转派. Passed on to a unit below; the handling limit runs on."""

    assignment: int
    from_unit: UnitId
    unit: UnitId
    parent: UnitId = ""  # the new unit's next-higher unit as it was
    words: Private | None = None


class ReturnEscalated(Fact, frozen=True, tag="order.return_escalated"):
    """逐级上报. A unit asks the one above to take the assignment back (S0-25)."""

    assignment: int
    from_unit: UnitId
    unit: UnitId  # the unit above
    reason: Private
    basis: Citation | None = None
    suggested_unit: UnitId | None = None


class ReturnEscalationAccepted(Fact, frozen=True, tag="order.return_escalation_accepted"):
    """同意上报. The unit above holds the assignment again (8.8)."""

    escalation: int
    unit: UnitId
    parent: UnitId = ""  # its own next-higher unit as it was


class ReturnEscalationRejected(Fact, frozen=True, tag="order.return_escalation_rejected"):
    """不同意上报."""

    escalation: int
    reason: Private


class SuggestedDisposal(Struct, frozen=True):
    """处置建议. Why the demand is out of scope, and where the applicant should turn."""

    reason: RefusalReason
    turn_to: Code


class ReturnRequested(Fact, frozen=True, tag="order.return_requested"):
    """申请退单. The unit holds that the order is not its own; the handling limit runs on (R-07)."""

    assignment: int
    unit: UnitId
    ground: ReturnGround
    reason: Private
    basis: Citation
    late: bool = False
    suggested_unit: UnitId | None = None
    suggested_disposal: SuggestedDisposal | None = None
    duplicate_of: UUID | None = None
    new_facts: Private | None = None


class ReturnWithdrawn(Fact, frozen=True, tag="order.return_withdrawn"):
    """撤回退单申请."""

    return_no: int
    words: Private | None = None


class LateReturnConsented(Fact, frozen=True, tag="order.late_return_consented"):
    """同意逾期退单. The next-higher unit lets a late return go ahead; it stays late (S0-T3)."""

    return_no: int
    unit: UnitId  # that returns
    approval: CitedText | None = None


class ReturnApproved(Fact, frozen=True, tag="order.return_approved"):
    """同意退单. The episode ends and the order waits for another dispatch; a co-organizer just leaves."""

    return_no: int
    reason: Private | None = None
    dispute: int | None = None  # decided by a ruling


class ReturnRejected(Fact, frozen=True, tag="order.return_rejected"):
    """驳回退单. The unit keeps the order and its limits."""

    return_no: int
    reason: Private
    dispute: int | None = None


class DisputeRaised(Fact, frozen=True, tag="order.dispute_raised"):
    """派单异议. Units disagree about whose duty it is; no clock stops for it (K9)."""

    unit: UnitId
    reason: Private
    basis: Citation | None = None
    others: tuple[UnitId, ...] = ()  # whose duty it is held to be


class DisputeRuled(Fact, frozen=True, tag="order.dispute_ruled"):
    """异议裁定. Who handles it, on what basis; final for that unit (R-22)."""

    dispute: int
    unit: UnitId
    basis: Citation
    reason: Private
    stays: bool = False  # the present lead keeps the order
    minutes: CitedText | None = None
    instruction: int | None = None  # as leaders instructed (S2-31)
    on_site: bool = False  # divided on the spot (S4-1)


class RulingReopened(Fact, frozen=True, tag="order.ruling_reopened"):
    """裁定重开. A supervisor found new facts: the unit may return the order after all (R-22)."""

    new_facts: Private
    basis: Citation | None = None


class Decision(Struct, frozen=True):
    """会商决定. What a unit has to do, and by when."""

    unit: UnitId
    what: Private
    by: date | None = None


class CoordinationMeetingHeld(Fact, frozen=True, tag="order.coordination_meeting_held"):
    """协调会商. Who met, and what they decided; the minutes (会议纪要) have the commit's number."""

    units: tuple[UnitId, ...]
    minutes: CitedText
    decisions: tuple[Decision, ...] = ()
    designates: UnitId | None = None
    participants: Private | None = None
    held_at: datetime | None = None
    place: Code = ""


class CoOrganizerAdded(Fact, frozen=True, tag="order.co_organizer_added"):
    """增加协办."""

    unit: UnitId
    duty: Private | None = None
    limit: Limit | None = None
    asked_by_lead: bool = False


class CoOrganizerRemoved(Fact, frozen=True, tag="order.co_organizer_removed"):
    """减少协办."""

    assignment: int
    unit: UnitId
    reason: Private


class CoObjectionRaised(Fact, frozen=True, tag="order.co_objection_raised"):
    """协办异议. A co-organizer holds that it has no part in it; decided like a return."""

    assignment: int
    unit: UnitId
    ground: ReturnGround
    reason: Private
    basis: Citation
    suggested_unit: UnitId | None = None


class WhistleBlown(Fact, frozen=True, tag="order.whistle_blown"):
    """吹哨. A street calls one department to the spot (S4-20)."""

    by_unit: UnitId
    unit: UnitId
    arrive_by: datetime
    matter: Private
    place: Code = ""


class WhistleResponded(Fact, frozen=True, tag="order.whistle_responded"):
    """报到. The department came; its time is measured."""

    whistle: int
    unit: UnitId
    result: Private
    people: Private | None = None
    arrived_at: datetime | None = None


class ExpediteAssigned(Fact, frozen=True, tag="order.expedite_assigned"):
    """提速处置. A task force takes the matter in hand (S1-21); no limit changes."""

    task_force: Code
    owner: UserId | None = None
    reason: Private | None = None


# --- commands ----------------------------------------------------------------------------------------------------

_MANAGER = frozenset({Role.HOTLINE_MANAGER})
_DISPATCH = frozenset({Role.DISPATCHER, Role.HOTLINE_MANAGER})
_APPROVER = frozenset({Role.ORG_APPROVER})
_UNIT = frozenset({Role.ORG_HANDLER, Role.ORG_APPROVER})
_PARENT = frozenset({Role.MGMT_UNIT, Role.ORG_APPROVER})
_RULERS = frozenset({Role.HOTLINE_MANAGER, Role.COORDINATOR, Role.LEADER})
_COORDINATORS = frozenset({Role.HOTLINE_MANAGER, Role.COORDINATOR})


class Dispatch(Act, frozen=True, tag="dispatch"):
    """派单. Ordinary ones by a dispatcher; whoever designates a unit is the management or the government's office."""

    roles: ClassVar[frozenset[Role]] = _DISPATCH | {Role.COORDINATOR}

    kind: DispatchType
    lead: UnitId | None = None
    lead_by_hotline: bool = False
    co: tuple[CoPart, ...] = ()
    supervising: tuple[UnitId, ...] = ()
    medium: Medium = Medium.SYSTEM
    basis: DispatchBasis | None = None
    directory: Code = ""
    limits: dict[ClockName, Limit] = {}
    reply_required: bool = True
    instruction: int | None = None
    meeting: int | None = None
    note: Private | None = None


class RecallDispatch(Act, frozen=True, tag="recall_dispatch"):
    """撤回派单."""

    roles: ClassVar[frozenset[Role]] = _DISPATCH

    reason: Private
    unit_consent: CitedText | None = None


class Transfer(Act, frozen=True, tag="transfer"):
    """转派."""

    roles: ClassVar[frozenset[Role]] = _APPROVER

    unit: UnitId
    words: Private | None = None


class EscalateReturn(Act, frozen=True, tag="escalate_return"):
    """逐级上报."""

    roles: ClassVar[frozenset[Role]] = _APPROVER

    reason: Private
    basis: Citation | None = None
    suggested_unit: UnitId | None = None


class AcceptEscalation(Act, frozen=True, tag="accept_escalation"):
    """同意上报."""

    roles: ClassVar[frozenset[Role]] = _PARENT

    escalation: int


class RejectEscalation(Act, frozen=True, tag="reject_escalation"):
    """不同意上报."""

    roles: ClassVar[frozenset[Role]] = _PARENT

    escalation: int
    reason: Private


class RequestReturn(Act, frozen=True, tag="request_return"):
    """申请退单. Late ones are recorded as late, never refused for it (R-25)."""

    roles: ClassVar[frozenset[Role]] = _APPROVER

    ground: ReturnGround
    reason: Private
    basis: Citation | None = None
    suggested_unit: UnitId | None = None
    suggested_disposal: SuggestedDisposal | None = None
    duplicate_of: UUID | None = None
    new_facts: Private | None = None


class WithdrawReturn(Act, frozen=True, tag="withdraw_return"):
    """撤回退单申请, or a co-organizer's objection."""

    roles: ClassVar[frozenset[Role]] = _APPROVER

    words: Private | None = None


class ConsentLateReturn(Act, frozen=True, tag="consent_late_return"):
    """同意逾期退单, by the unit above; above a first-level unit stands the hotline's management (R-37)."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.MGMT_UNIT, Role.HOTLINE_MANAGER})

    return_no: int
    approval: CitedText | None = None


class DecideReturn(Act, frozen=True, tag="decide_return"):
    """审核退单. Of a designated unit's return the management decides."""

    roles: ClassVar[frozenset[Role]] = _DISPATCH

    return_no: int
    approve: bool
    reason: Private | None = None


class RaiseDispute(Act, frozen=True, tag="raise_dispute"):
    """提出派单异议."""

    roles: ClassVar[frozenset[Role]] = _APPROVER

    reason: Private
    basis: Citation | None = None
    others: tuple[UnitId, ...] = ()


class RuleDispute(Act, frozen=True, tag="rule_dispute"):
    """裁定异议. Decides a pending return with it."""

    roles: ClassVar[frozenset[Role]] = _RULERS

    dispute: int
    unit: UnitId
    basis: Citation
    reason: Private
    minutes: CitedText | None = None
    instruction: int | None = None
    on_site: bool = False


class ReopenRuling(Act, frozen=True, tag="reopen_ruling"):
    """重开裁定. For new facts."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.SUPERVISOR})

    new_facts: Private
    basis: Citation | None = None


class HoldMeeting(Act, frozen=True, tag="hold_meeting"):
    """登记协调会商."""

    roles: ClassVar[frozenset[Role]] = _COORDINATORS

    units: tuple[UnitId, ...]
    minutes: CitedText
    decisions: tuple[Decision, ...] = ()
    designates: UnitId | None = None
    participants: Private | None = None
    held_at: datetime | None = None
    place: Code = ""


class AddCo(Act, frozen=True, tag="add_co"):
    """增加协办."""

    roles: ClassVar[frozenset[Role]] = _MANAGER

    unit: UnitId
    duty: Private | None = None
    limit: Limit | None = None
    asked_by_lead: bool = False


class RemoveCo(Act, frozen=True, tag="remove_co"):
    """减少协办."""

    roles: ClassVar[frozenset[Role]] = _MANAGER

    unit: UnitId
    reason: Private


class ObjectCo(Act, frozen=True, tag="object_co"):
    """提出协办异议."""

    roles: ClassVar[frozenset[Role]] = _APPROVER

    ground: ReturnGround
    reason: Private
    basis: Citation | None = None
    suggested_unit: UnitId | None = None


class BlowWhistle(Act, frozen=True, tag="whistle"):
    """吹哨. Calls each of the departments named."""

    roles: ClassVar[frozenset[Role]] = _UNIT

    departments: tuple[UnitId, ...]
    arrive_by: datetime
    matter: Private
    place: Code = ""


class RespondWhistle(Act, frozen=True, tag="respond_whistle"):
    """报到."""

    roles: ClassVar[frozenset[Role]] = _UNIT

    whistle: int
    result: Private
    people: Private | None = None
    arrived_at: datetime | None = None


class Expedite(Act, frozen=True, tag="expedite"):
    """提速处置."""

    roles: ClassVar[frozenset[Role]] = _MANAGER

    task_force: Code
    owner: UserId | None = None
    reason: Private | None = None


# --- deciding: dispatching ---------------------------------------------------------------------------------------


def accused(order: WorkOrder, context: Context, unit: UnitId) -> bool:
    """Tell whether `unit` is one complained of, or stands below one, where that bars it from the order (8.14)."""
    if not any(context.law.is_within(unit, against, context.now) for against in order.demand.accused):
        return False
    protected = order.confidentiality is Confidentiality.INFORMANT
    report = order.attributes.demand_type is DemandType.REPORT
    return protected or report or not guards.binding(order, context).options.accused_may_handle


def _takes_part(order: WorkOrder, context: Context, unit: UnitId) -> None:
    """Refuse a unit that cannot handle the order. Raises UnknownUnit, UnitInactive, AccusedUnit, HotlineNotOrganizer."""
    guards.active_unit(unit, context)
    if unit == context.law.hotline_unit:
        raise refusals.HotlineNotOrganizer(unit)
    if accused(order, context, unit):
        raise refusals.AccusedUnit(unit)


def dispatch(order: WorkOrder, command: Dispatch, context: Context) -> list[Step]:
    """Give the order to those who are to handle it."""
    guards.in_state(order, *guards.UNDISPATCHED)
    law, rules = context.law, guards.binding(order, context)
    policy = None
    if not order.episodes and rules.options.bind_policy_at == "dispatch" and not order.assumed_policy:
        context.until(law.next_policy_change(context.now))
        policy = law.policy_at(context.now)
        rules = law.rules(policy)
    of_class = rules.class_of(order.attributes)
    assert of_class is not None, "a city's pack has a class for every demand"
    _entitled(command, context)
    _leading(order, command, rules, context)
    units = [*((command.lead,) if command.lead else ()), *(c.unit for c in command.co), *command.supervising]
    for unit in units:
        _takes_part(order, context, unit)
    if len(set(units)) < len(units):
        raise refusals.UnitNamedTwice(", ".join(units))
    ruling = _ruling(order, command, context)
    _grounded(order, command, rules, context)
    _limited(command, rules, of_class, context)
    if not command.reply_required and not rules.options.reply_optional:
        raise refusals.ReplyNotOptional
    dispatched = OrderDispatched(
        kind=command.kind,
        attributes=order.attributes,
        of_class=of_class.name,
        medium=command.medium,
        lead=command.lead or "",
        lead_parent=_parent(command.lead, context) if command.lead else "",
        co=command.co,
        supervising=command.supervising,
        basis=command.basis,
        directory=command.directory,
        limits=command.limits,
        reply_required=None if command.reply_required else False,
        instruction=command.instruction,
        meeting=command.meeting,
        dispute=ruling,
        policy=policy,
        note=command.note,
    )
    return [dispatched, Number("dispatch_slip", law.city_code)]


def _parent(unit: UnitId, context: Context) -> UnitId:
    """Return the next-higher unit; above a first-level unit stands the hotline's management (R-37)."""
    context.until(context.law.next_unit_change(context.now))
    return context.law.parent(unit, context.now) or context.law.hotline_unit


def _entitled(command: Dispatch, context: Context) -> None:
    """Refuse who may not dispatch this way: designating is the management's or the government office's (DOMAIN 3.3)."""
    role = context.actor.role
    designates = command.kind in (DispatchType.DESIGNATED, DispatchType.TERRITORIAL)
    if (designates or command.lead_by_hotline) and role is Role.DISPATCHER:
        raise refusals.NotHotlineManager(command.kind)
    if role is Role.COORDINATOR and not designates:
        raise refusals.RoleNotAllowed(f"{command.kind}", role=role)


def _leading(order: WorkOrder, command: Dispatch, rules: Rules, context: Context) -> None:
    """Refuse a dispatch that leaves open who leads: with several departments an ordinary one does (R-20, R-21)."""
    if bool(command.lead) is command.lead_by_hotline:
        raise refusals.LeadMissing
    if command.lead_by_hotline and not command.co:
        raise refusals.LeadMissing("热线牵头须有协办 the hotline leads others")
    several = max(order.demand.involved_units, len(command.co) + 1) >= rules.options.lead_from
    if several and command.kind is DispatchType.ORDINARY and not command.lead_by_hotline:
        raise refusals.LeadMissing("两个以上部门 several departments: designate")


def _ruling(order: WorkOrder, command: Dispatch, context: Context) -> int | None:
    """Return the ruling that the dispatch carries out. Raises RuledElsewhere where it does not."""
    last = order.episode
    ruled = next((d for d in reversed(last.disputes) if d.ruled is not None), None) if last is not None else None
    if ruled is None or last is None or last.ended_as not in ("ruled", "returned"):
        return None
    heir = context.law.successor(ruled.ruled_unit, context.now)
    if command.lead != heir:
        raise refusals.RuledElsewhere(heir, unit=heir)
    return ruled.no


def _grounded(order: WorkOrder, command: Dispatch, rules: Rules, context: Context) -> None:
    """Refuse a dispatch without the instruction or meeting that its kind rests on."""
    options = rules.options
    instructed = [i.no for i in order.oversight.instructions if i.recorded is not None]
    hot = options.instruction_for_hot_issues and "hot_issue" in order.attributes.tags
    needed = hot or command.kind is DispatchType.INSTRUCTION or command.instruction is not None
    if needed and command.instruction not in instructed:
        raise refusals.InstructionMissing
    if command.meeting is not None and not 0 < command.meeting <= len(order.oversight.meetings):
        raise refusals.MeetingMissing(f"{command.meeting}")
    if command.kind is not DispatchType.TERRITORIAL or order.oversight.meetings:
        return
    unit = context.law.unit(command.lead) if command.lead else None
    version = unit.version(context.now) if unit is not None else None
    district = version is not None and version.kind is UnitKind.DISTRICT_GOVERNMENT
    if not (options.territorial_to_district and district):
        raise refusals.MeetingMissing


def _limited(command: Dispatch, rules: Rules, of_class: ClassRule, context: Context) -> None:
    """Refuse limits that may not be written, are over already or too long, and their lack where no text has one."""
    for name, limit in command.limits.items():
        if name not in WRITABLE:
            raise refusals.LimitNotWritable(name)
        _fits(limit, rules, context)
    for co in command.co:
        if co.limit is not None:
            _fits(co.limit, rules, context)
    figure = command.limits.get(ClockName.HANDLE) or rules.limit(ClockName.HANDLE, of_class)
    covered = command.lead_by_hotline and all(co.limit is not None for co in command.co)
    if command.reply_required and figure is None and not covered and rules.needs_limit(of_class):
        raise refusals.LimitRequired(of_class.title)


def _fits(limit: Limit, rules: Rules, context: Context) -> None:
    if (limit.until is None) is (limit.unit is None) or (limit.until is None and limit.amount < 1):
        raise refusals.LimitRequired("时限不明 unclear")
    if limit.until is not None and context.passed(limit.until):
        raise refusals.LimitRequired(f"已过 over: {limit.until.isoformat()}")
    longest = rules.options.max_total
    if longest is None:
        return
    calendar = context.law.calendar()
    cap = calendar.due(context.now, longest, rules.kernel).at
    if calendar.due(context.now, limit, rules.kernel).at > cap:
        raise refusals.LimitTooLong(f"{cap.isoformat()}", cap=cap)


def recall_dispatch(order: WorkOrder, command: RecallDispatch, context: Context) -> list[Step]:
    """Take a dispatch back: the hotline's own until it is signed for, afterwards with the unit's consent (8.3)."""
    guards.in_state(order, OrderState.DISPATCHED, OrderState.WORKING)
    episode = guards.episode_of(order)
    if any(r.episode == episode.no for r in order.replies):
        raise refusals.WrongState("已有答复 replied already", state=order.state)
    signed = episode.first_signed is not None
    if signed and context.actor.role is Role.DISPATCHER and command.unit_consent is None:
        raise refusals.RecallNeedsConsent
    if not guards.said(command.reason):
        raise refusals.ReasonMissing
    return [DispatchRecalled(reason=command.reason, unit_consent=command.unit_consent)]


# --- deciding: inside an organizer -------------------------------------------------------------------------------


def _no_escalation(order: WorkOrder, held: Assignment) -> None:
    pending = (e for e in guards.episode_of(order).escalations if e.assignment == held.no and e.decided is None)
    if next(pending, None) is not None:
        raise refusals.EscalationPending(held.unit)


def transfer(order: WorkOrder, command: Transfer, context: Context) -> list[Step]:
    """Pass the assignment on to a unit below, which needs no signature of one's own."""
    guards.in_state(order, OrderState.DISPATCHED, OrderState.WORKING)
    held = guards.holding(order, context)
    _no_escalation(order, held)
    _takes_part(order, context, command.unit)
    if command.unit == held.unit or not context.law.is_within(command.unit, held.unit, context.now):
        raise refusals.NotADescendant(command.unit)
    if guards.episode_of(order).holder(command.unit) is not None:
        raise refusals.UnitNamedTwice(command.unit)
    return [
        AssignmentTransferred(
            assignment=held.no,
            from_unit=held.unit,
            unit=command.unit,
            parent=_parent(command.unit, context),
            words=command.words,
        )
    ]


def _signed(order: WorkOrder, context: Context, held: Assignment) -> list[Step]:
    """Return the signature that an act implies. Raises NotSigned where the rules want it first (R-06)."""
    if held.signed is None and guards.binding(order, context).options.return_needs_signature:
        raise refusals.NotSigned(f"unit: {held.unit}")
    return implied_signature(order, context, held)


def escalate_return(order: WorkOrder, command: EscalateReturn, context: Context) -> list[Step]:
    """Ask the unit above to take the assignment back."""
    guards.in_state(order, OrderState.DISPATCHED, OrderState.WORKING)
    held = guards.holding(order, context)
    if held.transferred_from is None:
        raise refusals.FirstLevelReturns(held.unit)
    _no_escalation(order, held)
    if not guards.said(command.reason):
        raise refusals.ReasonMissing
    escalated = ReturnEscalated(
        assignment=held.no,
        from_unit=held.unit,
        unit=_parent(held.unit, context),
        reason=command.reason,
        basis=command.basis,
        suggested_unit=command.suggested_unit,
    )
    return [*_signed(order, context, held), escalated]


def _escalation(order: WorkOrder, context: Context, no: int) -> Escalation:
    """Return an undecided request to the actor's unit, or to one whose duties it took over."""
    episode = guards.episode_of(order)
    found = next((e for e in episode.escalations if e.no == no and e.decided is None), None)
    if found is None or context.law.successor(found.to, context.now) != context.actor.unit:
        raise refusals.NoSuchEscalation(f"{no}")
    guards.another_person(context, found.by)
    return found


def accept_escalation(order: WorkOrder, command: AcceptEscalation, context: Context) -> list[Step]:
    """Take the assignment back: to pass it to another, to handle it, or to return it to the hotline."""
    guards.in_state(order, *guards.HANDLED)
    _escalation(order, context, command.escalation)
    unit = context.actor.unit
    return [
        ReturnEscalationAccepted(escalation=command.escalation, unit=unit, parent=_parent(unit, context))
    ]


def reject_escalation(order: WorkOrder, command: RejectEscalation, context: Context) -> list[Step]:
    """Leave the assignment where it is."""
    guards.in_state(order, *guards.HANDLED)
    _escalation(order, context, command.escalation)
    if not guards.said(command.reason):
        raise refusals.ReasonMissing
    return [ReturnEscalationRejected(escalation=command.escalation, reason=command.reason)]


# --- deciding: returning -----------------------------------------------------------------------------------------


def request_return(order: WorkOrder, command: RequestReturn, context: Context) -> list[Step]:
    """Ask the hotline to take the order back."""
    if order.state is OrderState.RETURN_REVIEW:
        raise refusals.ReturnUndecided
    guards.in_state(order, OrderState.DISPATCHED, OrderState.WORKING)
    held = guards.leading(order, context)
    episode = guards.episode_of(order)
    options = guards.binding(order, context).options
    if any(r.episode == episode.no for r in order.replies):
        raise refusals.ReturnAfterReply
    if episode.ruled_final and options.ruled_final:
        raise refusals.RuledFinal(episode.type)
    if held.transferred_from is not None:
        raise refusals.EscalateFirst(held.unit)
    basis = _reasoned(command.reason, command.basis)
    _suggested(command, options.return_needs_suggestion, context)
    steps = _signed(order, context, held)
    # A request refused before leaves no second window (T22); one withdrawn does.
    again = any(r.decided is not None and not r.approved and not r.co for r in episode.returns)
    late = again or context.passed(guards.due(order, context, ClockName.RETURN))
    requested = ReturnRequested(
        assignment=held.no,
        unit=held.unit,
        ground=command.ground,
        reason=command.reason,
        basis=basis,
        late=late,
        suggested_unit=command.suggested_unit,
        suggested_disposal=command.suggested_disposal,
        duplicate_of=command.duplicate_of,
        new_facts=command.new_facts,
    )
    return [*steps, requested]


def _reasoned(reason: Private, basis: Citation | None) -> Citation:
    if not guards.said(reason):
        raise refusals.ReasonMissing
    if basis is None:
        raise refusals.ReturnBasisMissing
    return basis


def _suggested(command: RequestReturn, always: bool, context: Context) -> None:
    """Refuse a return that does not say what should become of the order (8.2)."""
    unit = command.suggested_unit
    if unit is not None:
        guards.active_unit(unit, context)
        if unit == context.actor.unit:
            raise refusals.SuggestionMissing(unit)
    any_said = unit is not None or command.suggested_disposal is not None or command.duplicate_of is not None
    match command.ground:
        case ReturnGround.NOT_OUR_DUTY:
            enough = unit is not None
        case ReturnGround.OUT_OF_SCOPE:
            enough = command.suggested_disposal is not None
        case ReturnGround.DUPLICATE:
            enough = command.duplicate_of is not None
        case ReturnGround.RULED_ELSEWHERE:
            enough = any_said or not always
    if not enough:
        raise refusals.SuggestionMissing(command.ground)


def withdraw_return(order: WorkOrder, command: WithdrawReturn, context: Context) -> list[Step]:
    """Take one's own return or objection back."""
    episode = guards.episode_of(order)
    own = [r for r in episode.returns if r.pending and r.unit == context.actor.unit]
    if not own:
        raise refusals.NoSuchReturn
    return [ReturnWithdrawn(return_no=own[-1].no, words=command.words)]


def _pending_return(order: WorkOrder, no: int) -> Return:
    episode = guards.episode_of(order)
    if not 0 < no <= len(episode.returns) or not episode.returns[no - 1].pending:
        raise refusals.NoSuchReturn(f"{no}")
    return episode.returns[no - 1]


def consent_late_return(order: WorkOrder, command: ConsentLateReturn, context: Context) -> list[Step]:
    """Let a late return go ahead, as the next-higher unit of the one that returns."""
    asked = _pending_return(order, command.return_no)
    if not asked.late:
        raise refusals.ReturnNotLate
    if asked.consent is not None:
        raise refusals.NothingChanged
    guards.another_person(context, asked.by)
    parent = _parent(asked.unit, context)
    role = Role.HOTLINE_MANAGER if parent == context.law.hotline_unit else Role.MGMT_UNIT
    if context.actor.unit != parent or context.actor.role is not role:
        raise refusals.NotNextHigherUnit(f"unit: {parent}", unit=parent)
    return [LateReturnConsented(return_no=asked.no, unit=asked.unit, approval=command.approval)]


def decide_return(order: WorkOrder, command: DecideReturn, context: Context) -> list[Step]:
    """Approve or reject a return or a co-organizer's objection."""
    asked = _pending_return(order, command.return_no)
    guards.another_person(context, asked.by)
    fixed = guards.episode_of(order).type is not DispatchType.ORDINARY
    if fixed and context.actor.role is not Role.HOTLINE_MANAGER:
        raise refusals.NotHotlineManager(guards.episode_of(order).type)
    if not command.approve:
        if command.reason is None or not guards.said(command.reason):
            raise refusals.ReasonMissing
        return [ReturnRejected(return_no=asked.no, reason=command.reason)]
    consent = guards.binding(order, context).options.late_return == "consent"
    if consent and asked.late and not asked.co and asked.consent is None:
        raise refusals.LateReturnNeedsConsent
    return [ReturnApproved(return_no=asked.no, reason=command.reason)]


# --- deciding: disputes, meetings --------------------------------------------------------------------------------


def raise_dispute(order: WorkOrder, command: RaiseDispute, context: Context) -> list[Step]:
    """Dispute whose duty it is; the order stays with the unit meanwhile."""
    guards.in_state(order, *guards.HANDLED)
    held = guards.holding(order, context)
    if any(d.unit == held.unit and d.ruled is None for d in guards.episode_of(order).disputes):
        raise refusals.DisputeOpen(held.unit)
    if not guards.said(command.reason):
        raise refusals.ReasonMissing
    for unit in command.others:
        guards.active_unit(unit, context)
    raised = DisputeRaised(unit=held.unit, reason=command.reason, basis=command.basis, others=command.others)
    return [*implied_signature(order, context, held), raised]


def rule_dispute(order: WorkOrder, command: RuleDispute, context: Context) -> list[Step]:
    """Rule who handles the order; also after its return was approved, while it waits for the next dispatch."""
    guards.in_state(order, *guards.HANDLED, *guards.UNDISPATCHED)
    episode = order.episode
    found = None
    if episode is not None and 0 < command.dispute <= len(episode.disputes):
        found = episode.disputes[command.dispute - 1]
    if episode is None or found is None or found.ruled is not None:
        raise refusals.NoSuchDispute(f"{command.dispute}")
    guards.another_person(context, found.by)
    _takes_part(order, context, command.unit)
    if not guards.said(command.reason):
        raise refusals.ReasonMissing
    instructed = {i.no for i in order.oversight.instructions if i.recorded is not None}
    if command.instruction is not None and command.instruction not in instructed:
        raise refusals.InstructionMissing(f"{command.instruction}")
    running = episode.ended is None
    lead = episode.lead
    stays = running and lead != "" and context.law.is_within(lead, command.unit, context.now)
    ruled = DisputeRuled(
        dispute=found.no,
        unit=command.unit,
        basis=command.basis,
        reason=command.reason,
        stays=stays,
        minutes=command.minutes,
        instruction=command.instruction,
        on_site=command.on_site,
    )
    asked = next((r for r in episode.returns if r.pending and not r.co), None) if running else None
    if asked is None:
        return [ruled]
    if stays:
        return [ruled, ReturnRejected(return_no=asked.no, reason=command.reason, dispute=found.no)]
    return [ReturnApproved(return_no=asked.no, reason=command.reason, dispute=found.no), ruled]


def reopen_ruling(order: WorkOrder, command: ReopenRuling, context: Context) -> list[Step]:
    """Let a unit that was fixed return the order after all, because new facts came up."""
    guards.in_state(order, *guards.HANDLED)
    if not guards.episode_of(order).ruled_final:
        raise refusals.NothingRuled
    if not guards.said(command.new_facts):
        raise refusals.ReasonMissing
    return [RulingReopened(new_facts=command.new_facts, basis=command.basis)]


def hold_meeting(order: WorkOrder, command: HoldMeeting, context: Context) -> list[Step]:
    """Record a meeting; an undispatched order is being coordinated from then on."""
    guards.in_state(order, *guards.OPEN)
    named = (*command.units, *(d.unit for d in command.decisions))
    for unit in (*named, *((command.designates,) if command.designates else ())):
        guards.active_unit(unit, context)
    if command.held_at is not None:
        guards.not_ahead(context, command.held_at)
    held = CoordinationMeetingHeld(
        units=command.units,
        minutes=command.minutes,
        decisions=command.decisions,
        designates=command.designates,
        participants=command.participants,
        held_at=command.held_at,
        place=command.place,
    )
    return [held, Number("minutes", context.law.city_code)]


# --- deciding: others join ---------------------------------------------------------------------------------------


def add_co(order: WorkOrder, command: AddCo, context: Context) -> list[Step]:
    """Let another unit take part."""
    guards.in_state(order, *guards.HANDLED)
    _takes_part(order, context, command.unit)
    if guards.episode_of(order).holder(command.unit) is not None:
        raise refusals.UnitNamedTwice(command.unit)
    if command.limit is not None:
        _fits(command.limit, guards.binding(order, context), context)
    return [
        CoOrganizerAdded(
            unit=command.unit, duty=command.duty, limit=command.limit, asked_by_lead=command.asked_by_lead
        )
    ]


def _co(order: WorkOrder, unit: UnitId) -> Assignment:
    held = guards.episode_of(order).holder(unit)
    if held is None or held.role is not AssignmentRole.CO:
        raise refusals.NotCoOrganizer(unit)
    return held


def remove_co(order: WorkOrder, command: RemoveCo, context: Context) -> list[Step]:
    """Let a co-organizer go."""
    guards.in_state(order, *guards.HANDLED)
    held = _co(order, command.unit)
    if not guards.said(command.reason):
        raise refusals.ReasonMissing
    return [CoOrganizerRemoved(assignment=held.no, unit=held.unit, reason=command.reason)]


def object_co(order: WorkOrder, command: ObjectCo, context: Context) -> list[Step]:
    """Object to being a co-organizer."""
    guards.in_state(order, *guards.HANDLED)
    held = _co(order, context.actor.unit)
    if any(r.assignment == held.no and r.pending for r in guards.episode_of(order).returns):
        raise refusals.ReturnUndecided
    if held.transferred_from is not None:
        raise refusals.EscalateFirst(held.unit)
    basis = _reasoned(command.reason, command.basis)
    if command.suggested_unit is not None:
        guards.active_unit(command.suggested_unit, context)
    objection = CoObjectionRaised(
        assignment=held.no,
        unit=held.unit,
        ground=command.ground,
        reason=command.reason,
        basis=basis,
        suggested_unit=command.suggested_unit,
    )
    return [*_signed(order, context, held), objection]


def whistle(order: WorkOrder, command: BlowWhistle, context: Context) -> list[Step]:
    """Call departments to the spot, as the street that leads."""
    guards.in_state(order, OrderState.DISPATCHED, OrderState.WORKING)
    held = guards.leading(order, context)
    unit = context.law.unit(held.unit)
    version = unit.version(context.now) if unit is not None else None
    if version is None or version.kind is not UnitKind.STREET:
        raise refusals.OnlyStreetsWhistle(held.unit)
    if not command.departments:
        raise refusals.DepartmentsMissing
    if len(set(command.departments)) < len(command.departments):
        raise refusals.UnitNamedTwice(", ".join(command.departments))
    for department in command.departments:
        _takes_part(order, context, department)
    if context.passed(command.arrive_by):
        raise refusals.DayHasPassed(command.arrive_by.isoformat())
    blown = [
        WhistleBlown(
            by_unit=held.unit,
            unit=department,
            arrive_by=command.arrive_by,
            matter=command.matter,
            place=command.place,
        )
        for department in command.departments
    ]
    return [*implied_signature(order, context, held), *blown]


def respond_whistle(order: WorkOrder, command: RespondWhistle, context: Context) -> list[Step]:
    """Record that the department came; late is recorded late."""
    guards.in_state(order, *guards.OPEN)
    whistles = order.oversight.whistles
    found = whistles[command.whistle - 1] if 0 < command.whistle <= len(whistles) else None
    called = context.law.successor(found.unit, context.now) if found is not None else ""
    if found is None or found.answered is not None or called != context.actor.unit:
        raise refusals.NoSuchWhistle(f"{command.whistle}")
    if command.arrived_at is not None:
        guards.not_ahead(context, command.arrived_at)
    return [
        WhistleResponded(
            whistle=found.no,
            unit=context.actor.unit,
            result=command.result,
            people=command.people,
            arrived_at=command.arrived_at,
        )
    ]


def expedite(order: WorkOrder, command: Expedite, context: Context) -> list[Step]:
    """Put a task force on the matter."""
    guards.in_state(order, *guards.OPEN)
    if not command.task_force.strip():
        raise refusals.TaskForceMissing
    return [ExpediteAssigned(task_force=command.task_force, owner=command.owner, reason=command.reason)]


# --- folding: dispatching ----------------------------------------------------------------------------------------


def _mark(entry: Entry) -> Mark:
    return Mark(entry.at, entry.position)


def on_order_dispatched(order: WorkOrder, event: OrderDispatched, entry: Entry) -> WorkOrder:
    """Fold a new episode: whoever is named holds an assignment, the lead's first."""
    at = _mark(entry)
    order = end_episode(end_wait(order, "dispatched", at), "superseded", AssignmentState.DONE, at)
    named: list[tuple[UnitId, AssignmentRole, Limit | None]] = []
    if event.lead:
        named.append((event.lead, AssignmentRole.LEAD, None))
    named += [(co.unit, AssignmentRole.CO, co.limit) for co in event.co]
    named += [(unit, AssignmentRole.SUPERVISING, None) for unit in event.supervising]
    assignments = tuple(
        Assignment(no=no, unit=unit, role=role, given=at, limit=limit)
        for no, (unit, role, limit) in enumerate(named, 1)
    )
    episode = Episode(
        no=len(order.episodes) + 1,
        round=order.round,
        type=event.kind,
        begun=at,
        by=entry.actor.user,
        attributes=event.attributes,
        lead=event.lead,
        lead_parent=event.lead_parent,
        reply_required=event.reply_required is not False,
        limits=event.limits,
        slip=entry.numbered("dispatch_slip"),
        instruction=event.instruction,
        ruled_final=event.kind in FINAL or event.dispute is not None,
        assignments=assignments,
    )
    return msgspec.structs.replace(
        order,
        # Where the hotline leads there is nothing to sign for: it works from the dispatch on.
        state=OrderState.DISPATCHED if event.lead else OrderState.WORKING,
        resume=None,
        policy=event.policy or order.policy,
        episodes=(*order.episodes, episode),
    )


def on_dispatch_recalled(order: WorkOrder, event: DispatchRecalled, entry: Entry) -> WorkOrder:
    """Fold the recall: the order waits again, since when it waited before (8.4)."""
    at = _mark(entry)
    order = end_episode(order, "recalled", AssignmentState.RECALLED, at)
    last = order.waits[-1] if order.waits else None
    if last is None or last.by != "dispatched":
        return begin_wait(order, "recall", at)
    again = msgspec.structs.replace(last, until=None, by="", recalled=(*last.recalled, at))
    return msgspec.structs.replace(
        order, state=OrderState.AWAITING_DISPATCH, waits=(*order.waits[:-1], again)
    )


# --- folding: inside an organizer --------------------------------------------------------------------------------


def _running(order: WorkOrder) -> Episode | None:
    last = order.episode
    return last if last is not None and last.ended is None else None


def _has(parts: Sequence[object], no: int) -> bool:
    return 0 < no <= len(parts)


def _handed(order: WorkOrder, episode: Episode, old: Assignment | None, new: Assignment, parent: UnitId) -> WorkOrder:
    """Return the order with an assignment handed from one unit to another inside an organizer."""
    assignments = (*episode.assignments, new)
    order = latest_episode(order, assignments=assignments)
    if new.role is not AssignmentRole.LEAD:
        return order
    order = latest_episode(order, lead=new.unit, lead_parent=parent)
    if order.state is OrderState.RETURN_REVIEW:
        return order
    return msgspec.structs.replace(order, state=OrderState.DISPATCHED)


def on_assignment_transferred(order: WorkOrder, event: AssignmentTransferred, entry: Entry) -> WorkOrder:
    """Fold the hand-over to a unit below: its signing begins, the handling limit runs on."""
    episode, at = _running(order), _mark(entry)
    if episode is None:
        return order
    old = episode.assignment(event.assignment) if _has(episode.assignments, event.assignment) else None
    if old is not None:
        ended = put(episode.assignments, old.no, state=AssignmentState.TRANSFERRED, ended=at, acted=True)
        episode = msgspec.structs.replace(episode, assignments=ended)
    new = Assignment(
        no=len(episode.assignments) + 1,
        unit=event.unit,
        role=old.role if old is not None else AssignmentRole.LEAD,
        given=at,
        transferred_from=event.assignment,
        limit=old.limit if old is not None else None,
    )
    order = _handed(order, episode, old, new, event.parent)
    if new.role is AssignmentRole.LEAD and episode.passed_on is None:
        order = latest_episode(order, passed_on=at)
    return order


def on_return_escalated(order: WorkOrder, event: ReturnEscalated, entry: Entry) -> WorkOrder:
    """Fold the request to the unit above."""
    episode = _running(order)
    if episode is None:
        return order
    asked = Escalation(
        no=len(episode.escalations) + 1,
        assignment=event.assignment,
        unit=event.from_unit,
        to=event.unit,
        by=entry.actor.user,
        raised=_mark(entry),
    )
    return latest_episode(_acts(order, event.assignment), escalations=(*episode.escalations, asked))


def _acts(order: WorkOrder, no: int) -> WorkOrder:
    """Return the order with an assignment marked as acted on."""
    episode = _running(order)
    if episode is None or not _has(episode.assignments, no):
        return order
    return latest_episode(order, assignments=put(episode.assignments, no, acted=True))


def on_escalation_accepted(order: WorkOrder, event: ReturnEscalationAccepted, entry: Entry) -> WorkOrder:
    """Fold that the unit above holds the assignment again, as first-level as it was when it held it before."""
    episode, at = _running(order), _mark(entry)
    if episode is None or not _has(episode.escalations, event.escalation):
        return order
    asked = episode.escalations[event.escalation - 1]
    decided = put(episode.escalations, asked.no, decided=at, accepted=True)
    episode = msgspec.structs.replace(episode, escalations=decided)
    order = latest_episode(order, escalations=decided)
    if not _has(episode.assignments, asked.assignment):
        return order
    old = episode.assignment(asked.assignment)
    before = next((a for a in reversed(episode.assignments) if a.unit == event.unit and a.no < old.no), None)
    ended = put(episode.assignments, old.no, state=AssignmentState.RETURNED, ended=old.ended or at)
    again = Assignment(
        no=len(ended) + 1,
        unit=event.unit,
        role=old.role,
        given=at,
        transferred_from=before.transferred_from if before is not None else old.transferred_from,
        limit=old.limit,
    )
    return _handed(order, msgspec.structs.replace(episode, assignments=ended), old, again, event.parent)


def on_escalation_rejected(order: WorkOrder, event: ReturnEscalationRejected, entry: Entry) -> WorkOrder:
    """Fold that the assignment stays where it is."""
    episode = _running(order)
    if episode is None or not _has(episode.escalations, event.escalation):
        return order
    return latest_episode(order, escalations=put(episode.escalations, event.escalation, decided=_mark(entry)))


# --- folding: returning ------------------------------------------------------------------------------------------


def _handled_state(episode: Episode) -> OrderState:
    """Return where a handled order stands: waiting for the lead's signature, or worked on."""
    lead = episode.leading
    return OrderState.DISPATCHED if lead is not None and lead.signed is None else OrderState.WORKING


def _held_state(a: Assignment) -> AssignmentState:
    return AssignmentState.SIGNED if a.signed is not None else AssignmentState.PENDING_SIGN


def _asked(
    order: WorkOrder, event: ReturnRequested | CoObjectionRaised, entry: Entry, *, co: bool
) -> WorkOrder:
    episode = _running(order)
    if episode is None:
        return order
    asked = Return(
        no=len(episode.returns) + 1,
        assignment=event.assignment,
        unit=event.unit,
        by=entry.actor.user,
        ground=event.ground,
        requested=_mark(entry),
        late=isinstance(event, ReturnRequested) and event.late,
        co=co,
    )
    assignments = episode.assignments
    if _has(assignments, event.assignment):
        pending = AssignmentState.RETURN_PENDING
        objection = asked.no if co else assignments[event.assignment - 1].objection
        assignments = put(assignments, event.assignment, state=pending, acted=True, objection=objection)
    return latest_episode(order, returns=(*episode.returns, asked), assignments=assignments)


def on_return_requested(order: WorkOrder, event: ReturnRequested, entry: Entry) -> WorkOrder:
    """Fold the request: it arrived at the hotline, and the limits run on (R-07)."""
    episode = _running(order)
    if episode is None:
        return order
    order = _asked(order, event, entry, co=False)
    order = latest_episode(order, passed_on=episode.passed_on or _mark(entry))
    return msgspec.structs.replace(order, state=OrderState.RETURN_REVIEW)


def on_co_objection_raised(order: WorkOrder, event: CoObjectionRaised, entry: Entry) -> WorkOrder:
    """Fold a co-organizer's objection; the order goes on."""
    return _asked(order, event, entry, co=True)


def on_late_return_consented(order: WorkOrder, event: LateReturnConsented, entry: Entry) -> WorkOrder:
    """Fold the consent."""
    episode = order.episode
    if episode is None or not _has(episode.returns, event.return_no):
        return order
    return latest_episode(order, returns=put(episode.returns, event.return_no, consent=_mark(entry)))


def _stays(order: WorkOrder, no: int, **changes: object) -> WorkOrder:
    """Return the order with a return settled and the unit keeping what it holds."""
    episode = order.episode
    if episode is None or not _has(episode.returns, no):
        return order
    asked = episode.returns[no - 1]
    assignments = episode.assignments
    if _has(assignments, asked.assignment) and assignments[asked.assignment - 1].ended is None:
        held = assignments[asked.assignment - 1]
        assignments = put(assignments, held.no, state=_held_state(held))
    order = latest_episode(order, returns=put(episode.returns, no, **changes), assignments=assignments)
    if order.state is OrderState.RETURN_REVIEW and not asked.co:
        order = msgspec.structs.replace(order, state=_handled_state(order.episodes[-1]))
    return order


def on_return_withdrawn(order: WorkOrder, event: ReturnWithdrawn, entry: Entry) -> WorkOrder:
    """Fold the withdrawal."""
    return _stays(order, event.return_no, withdrawn=_mark(entry))


def on_return_rejected(order: WorkOrder, event: ReturnRejected, entry: Entry) -> WorkOrder:
    """Fold the rejection."""
    return _stays(order, event.return_no, decided=_mark(entry), approved=False)


def on_return_approved(order: WorkOrder, event: ReturnApproved, entry: Entry) -> WorkOrder:
    """Fold the approval: the lead's ends the episode, a co-organizer's only its own part."""
    episode, at = _running(order), _mark(entry)
    if episode is None or not _has(episode.returns, event.return_no):
        return order
    asked = episode.returns[event.return_no - 1]
    assignments = episode.assignments
    if _has(assignments, asked.assignment):
        assignments = put(assignments, asked.assignment, state=AssignmentState.RETURNED, ended=at)
    returns = put(episode.returns, asked.no, decided=at, approved=True)
    order = latest_episode(order, returns=returns, assignments=assignments)
    if asked.co:
        return order
    return begin_wait(end_episode(order, "returned", AssignmentState.RECALLED, at), "return", at)


# --- folding: disputes, meetings, others -------------------------------------------------------------------------


def on_dispute_raised(order: WorkOrder, event: DisputeRaised, entry: Entry) -> WorkOrder:
    """Fold the dispute."""
    episode = _running(order)
    if episode is None:
        return order
    dispute = Dispute(
        no=len(episode.disputes) + 1, unit=event.unit, by=entry.actor.user, raised=_mark(entry)
    )
    return latest_episode(order, disputes=(*episode.disputes, dispute))


def on_dispute_ruled(order: WorkOrder, event: DisputeRuled, entry: Entry) -> WorkOrder:
    """Fold the ruling: the lead keeps the order for good, or it waits for the dispatch to the unit ruled."""
    episode, at = order.episode, _mark(entry)
    if episode is None:
        return order
    if _has(episode.disputes, event.dispute):
        ruled = put(episode.disputes, event.dispute, ruled=at, ruled_unit=event.unit)
        order = latest_episode(order, disputes=ruled)
    if episode.ended is not None:
        return order
    if event.stays:
        return latest_episode(order, ruled=at, ruled_final=True)
    order = latest_episode(order, ruled=at)
    return begin_wait(end_episode(order, "ruled", AssignmentState.RECALLED, at), "ruling", at)


def on_ruling_reopened(order: WorkOrder, event: RulingReopened, entry: Entry) -> WorkOrder:
    """Fold that a return is possible again."""
    return latest_episode(order, ruled_final=False) if order.episodes else order


def on_meeting_held(order: WorkOrder, event: CoordinationMeetingHeld, entry: Entry) -> WorkOrder:
    """Fold the meeting; an order that waits for its supplement goes on waiting, to be coordinated afterwards."""
    seen = msgspec.structs.replace(order.oversight, meetings=(*order.oversight.meetings, _mark(entry)))
    order = msgspec.structs.replace(order, oversight=seen)
    if order.state is OrderState.AWAITING_SUPPLEMENT:
        return msgspec.structs.replace(order, resume=OrderState.COORDINATING)
    if order.state in guards.UNDISPATCHED:
        return msgspec.structs.replace(order, state=OrderState.COORDINATING)
    return order


def on_co_added(order: WorkOrder, event: CoOrganizerAdded, entry: Entry) -> WorkOrder:
    """Fold one more co-organizer."""
    episode = _running(order)
    if episode is None:
        return order
    new = Assignment(
        no=len(episode.assignments) + 1,
        unit=event.unit,
        role=AssignmentRole.CO,
        given=_mark(entry),
        limit=event.limit,
    )
    return latest_episode(order, assignments=(*episode.assignments, new))


def on_co_removed(order: WorkOrder, event: CoOrganizerRemoved, entry: Entry) -> WorkOrder:
    """Fold one co-organizer less; an objection of its own is settled by it."""
    episode, at = _running(order), _mark(entry)
    if episode is None or not _has(episode.assignments, event.assignment):
        return order
    assignments = put(episode.assignments, event.assignment, state=AssignmentState.RECALLED, ended=at)
    returns = tuple(
        msgspec.structs.replace(r, decided=at, approved=True)
        if r.pending and r.assignment == event.assignment
        else r
        for r in episode.returns
    )
    return latest_episode(order, assignments=assignments, returns=returns)


def on_whistle_blown(order: WorkOrder, event: WhistleBlown, entry: Entry) -> WorkOrder:
    """Fold one department called."""
    called = Whistle(
        no=len(order.oversight.whistles) + 1,
        by_unit=event.by_unit,
        unit=event.unit,
        blown=_mark(entry),
        arrive_by=event.arrive_by,
        episode=len(order.episodes),
    )
    seen = msgspec.structs.replace(order.oversight, whistles=(*order.oversight.whistles, called))
    return msgspec.structs.replace(order, oversight=seen)


def on_whistle_responded(order: WorkOrder, event: WhistleResponded, entry: Entry) -> WorkOrder:
    """Fold that the department came."""
    if not _has(order.oversight.whistles, event.whistle):
        return order
    answered = put(order.oversight.whistles, event.whistle, answered=_mark(entry))
    return msgspec.structs.replace(order, oversight=msgspec.structs.replace(order.oversight, whistles=answered))


def on_expedited(order: WorkOrder, event: ExpediteAssigned, entry: Entry) -> WorkOrder:
    """Fold the task force."""
    return msgspec.structs.replace(
        order, oversight=msgspec.structs.replace(order.oversight, expedited=_mark(entry))
    )


# --- the tables --------------------------------------------------------------------------------------------------

DECIDES: Mapping[type[Act], Callable[[WorkOrder, Any, Context], Sequence[Step]]] = {
    Dispatch: dispatch,
    RecallDispatch: recall_dispatch,
    Transfer: transfer,
    EscalateReturn: escalate_return,
    AcceptEscalation: accept_escalation,
    RejectEscalation: reject_escalation,
    RequestReturn: request_return,
    WithdrawReturn: withdraw_return,
    ConsentLateReturn: consent_late_return,
    DecideReturn: decide_return,
    RaiseDispute: raise_dispute,
    RuleDispute: rule_dispute,
    ReopenRuling: reopen_ruling,
    HoldMeeting: hold_meeting,
    AddCo: add_co,
    RemoveCo: remove_co,
    ObjectCo: object_co,
    BlowWhistle: whistle,
    RespondWhistle: respond_whistle,
    Expedite: expedite,
}

EVOLVES: Mapping[type[Fact], Callable[[WorkOrder, Any, Entry], WorkOrder]] = {
    OrderDispatched: on_order_dispatched,
    DispatchRecalled: on_dispatch_recalled,
    AssignmentTransferred: on_assignment_transferred,
    ReturnEscalated: on_return_escalated,
    ReturnEscalationAccepted: on_escalation_accepted,
    ReturnEscalationRejected: on_escalation_rejected,
    ReturnRequested: on_return_requested,
    ReturnWithdrawn: on_return_withdrawn,
    LateReturnConsented: on_late_return_consented,
    ReturnApproved: on_return_approved,
    ReturnRejected: on_return_rejected,
    DisputeRaised: on_dispute_raised,
    DisputeRuled: on_dispute_ruled,
    RulingReopened: on_ruling_reopened,
    CoordinationMeetingHeld: on_meeting_held,
    CoOrganizerAdded: on_co_added,
    CoOrganizerRemoved: on_co_removed,
    CoObjectionRaised: on_co_objection_raised,
    WhistleBlown: on_whistle_blown,
    WhistleResponded: on_whistle_responded,
    ExpediteAssigned: on_expedited,
}
