"""② 退单与异议. A unit holds that the order is not its own: reported upwards, returned, disputed, ruled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from domain import guards, refusals
from domain.context import Context
from domain.state import (
    Assignment,
    Dispute,
    Episode,
    Escalation,
    Return,
    WorkOrder,
    begin_wait,
    end_episode,
    has,
    latest_episode,
    put,
)
from domain.steps.filing import mark
from domain.steps.handling import implied_signature
from domain.terms import (
    Act,
    AssignmentRole,
    AssignmentState,
    Citation,
    CitedText,
    ClockName,
    Code,
    DispatchType,
    Entry,
    Fact,
    OrderState,
    Private,
    RefusalReason,
    ReturnGround,
    Role,
    Step,
    Struct,
    UnitId,
)

# --- events: reporting upwards -----------------------------------------------------------------------------------


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


# --- events: returning -------------------------------------------------------------------------------------------


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
    excusable: bool = False  # late only as a second request, with new facts: the next-higher unit's consent cures it
    suggested_unit: UnitId | None = None
    suggested_disposal: SuggestedDisposal | None = None
    duplicate_of: UUID | None = None
    new_facts: Private | None = None


class ReturnWithdrawn(Fact, frozen=True, tag="order.return_withdrawn"):
    """撤回退单申请."""

    return_no: int
    words: Private | None = None


class LateReturnConsented(Fact, frozen=True, tag="order.late_return_consented"):
    """同意逾期退单. The next-higher unit lets a late return go ahead; it stays late (S0-T3).

    Only a second request with new facts is late no longer by it (T22).
    """

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


class CoObjectionRaised(Fact, frozen=True, tag="order.co_objection_raised"):
    """协办异议. A co-organizer holds that it has no part in it; decided like a return."""

    assignment: int
    unit: UnitId
    ground: ReturnGround
    reason: Private
    basis: Citation
    suggested_unit: UnitId | None = None


# --- events: disputing -------------------------------------------------------------------------------------------


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


# --- commands ----------------------------------------------------------------------------------------------------


_APPROVER = frozenset({Role.ORG_APPROVER})


_PARENT = frozenset({Role.MGMT_UNIT, Role.ORG_APPROVER})


_RULERS = frozenset({Role.HOTLINE_MANAGER, Role.COORDINATOR, Role.LEADER})


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

    roles: ClassVar[frozenset[Role]] = frozenset({Role.DISPATCHER, Role.HOTLINE_MANAGER})

    return_no: int
    approve: bool
    reason: Private | None = None


class ObjectCo(Act, frozen=True, tag="object_co"):
    """提出协办异议."""

    roles: ClassVar[frozenset[Role]] = _APPROVER

    ground: ReturnGround
    reason: Private
    basis: Citation | None = None
    suggested_unit: UnitId | None = None


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


# --- deciding: reporting upwards ---------------------------------------------------------------------------------


def no_escalation(order: WorkOrder, held: Assignment) -> None:
    pending = (e for e in guards.episode_of(order).escalations if e.assignment == held.no and e.decided is None)
    if next(pending, None) is not None:
        raise refusals.EscalationPending(held.unit)


def _signed(order: WorkOrder, context: Context, held: Assignment) -> list[Step]:
    """Return the signature that an act implies. Raises NotSigned where the rules want it first (R-06)."""
    options = guards.binding(order, context).options
    if held.signed is None and (options.return_needs_signature or not options.return_from_dispatched):
        raise refusals.NotSigned(f"unit: {held.unit}")
    return implied_signature(order, context, held)


def escalate_return(order: WorkOrder, command: EscalateReturn, context: Context) -> list[Step]:
    """Ask the unit above to take the assignment back."""
    guards.in_state(order, OrderState.DISPATCHED, OrderState.WORKING)
    held = guards.holding(order, context)
    if held.transferred_from is None:
        raise refusals.FirstLevelReturns(held.unit)
    no_escalation(order, held)
    if not guards.said(command.reason):
        raise refusals.ReasonMissing
    escalated = ReturnEscalated(
        assignment=held.no,
        from_unit=held.unit,
        unit=guards.next_higher(context.actor.unit, context),
        reason=command.reason,
        basis=command.basis,
        suggested_unit=command.suggested_unit,
    )
    return [*_signed(order, context, held), escalated]


def _escalation(order: WorkOrder, context: Context, no: int) -> Escalation:
    """Return an undecided request to the actor's unit, or to one whose duties it took over."""
    episode = guards.episode_of(order)
    found = next((e for e in episode.escalations if e.no == no and e.decided is None), None)
    if found is None or not guards.acts_for(context, found.to):
        raise refusals.NoSuchEscalation(f"{no}")
    guards.another_person(context, found.by)
    return found


def accept_escalation(order: WorkOrder, command: AcceptEscalation, context: Context) -> list[Step]:
    """Take the assignment back: to pass it to another, to handle it, or to return it to the hotline."""
    guards.in_state(order, *guards.HANDLED)
    _escalation(order, context, command.escalation)
    unit = context.actor.unit
    return [
        ReturnEscalationAccepted(escalation=command.escalation, unit=unit, parent=guards.next_higher(unit, context))
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
    window = guards.clock(order, context, ClockName.RETURN, f"e{episode.no}")
    overdue = window is not None and context.passed(window.due)
    requested = ReturnRequested(
        assignment=held.no,
        unit=held.unit,
        ground=command.ground,
        reason=command.reason,
        basis=basis,
        late=again or overdue,
        excusable=again and guards.said(command.new_facts),
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


def object_co(order: WorkOrder, command: ObjectCo, context: Context) -> list[Step]:
    """Object to being a co-organizer."""
    guards.in_state(order, *guards.HANDLED)
    held = guards.joining(order, context)
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


def withdraw_return(order: WorkOrder, command: WithdrawReturn, context: Context) -> list[Step]:
    """Take one's own return or objection back."""
    episode = guards.episode_of(order)
    own = [r for r in episode.returns if r.pending and guards.acts_for(context, r.unit)]
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
    parent = guards.next_higher(context.law.successor(asked.unit, context.now), context)
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


# --- deciding: disputing -----------------------------------------------------------------------------------------


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
    """Rule who handles the order; also after its return was approved, while it waits for the next dispatch.

    After the reply only who keeps the order can be ruled: to give it to another, the reply is sent back or redone.
    """
    guards.in_state(order, *guards.HANDLED, *guards.UNDISPATCHED, *guards.ANSWERED)
    episode = order.episode
    found = None
    if episode is not None and 0 < command.dispute <= len(episode.disputes):
        found = episode.disputes[command.dispute - 1]
    if episode is None or found is None or found.ruled is not None:
        raise refusals.NoSuchDispute(f"{command.dispute}")
    guards.another_person(context, found.by)
    guards.may_handle(order, context, command.unit)
    if not guards.said(command.reason):
        raise refusals.ReasonMissing
    instructed = {i.no for i in order.oversight.instructions if i.recorded is not None}
    if command.instruction is not None and command.instruction not in instructed:
        raise refusals.InstructionMissing(f"{command.instruction}")
    running = episode.ended is None
    lead = episode.lead
    stays = running and (
        context.law.is_within(lead, command.unit, context.now) if lead else episode.holder(command.unit) is not None
    )
    if order.state in guards.ANSWERED and not stays:
        raise refusals.WrongState("已有答复 replied already", state=order.state)
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
    guards.another_person(context, asked.by)
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


# --- folding: reporting upwards ----------------------------------------------------------------------------------


def on_return_escalated(order: WorkOrder, event: ReturnEscalated, entry: Entry) -> WorkOrder:
    """Fold the request to the unit above."""
    episode = order.running
    if episode is None:
        return order
    asked = Escalation(
        no=len(episode.escalations) + 1,
        assignment=event.assignment,
        unit=event.from_unit,
        to=event.unit,
        by=entry.actor.user,
        raised=mark(entry),
    )
    return latest_episode(_acts(order, event.assignment), escalations=(*episode.escalations, asked))


def _acts(order: WorkOrder, no: int) -> WorkOrder:
    """Return the order with an assignment marked as acted on."""
    episode = order.running
    if episode is None or not has(episode.assignments, no):
        return order
    return latest_episode(order, assignments=put(episode.assignments, no, acted=True))


def handed(
    order: WorkOrder, held: tuple[Assignment, ...], new: Assignment, parent: UnitId, **changes: object
) -> WorkOrder:
    """Return the order with an assignment handed from one unit to another inside an organizer.

    `held` are the assignments before it as they now are; `changes` what else of the episode changes by it.
    """
    changes["assignments"] = (*held, new)
    if new.role is not AssignmentRole.LEAD:
        return latest_episode(order, **changes)
    changes |= {"lead": new.unit, "lead_parent": parent}
    if order.state is OrderState.RETURN_REVIEW:
        return latest_episode(order, **changes)
    last = order.episodes[-1]
    if new.signed is not None and last.first_signed is None:
        changes["first_signed"] = new.signed
    last = msgspec.structs.replace(last, **changes)
    return msgspec.structs.replace(order, episodes=(*order.episodes[:-1], last), state=_handled_state(last))


def on_escalation_accepted(order: WorkOrder, event: ReturnEscalationAccepted, entry: Entry) -> WorkOrder:
    """Fold that the unit above holds the assignment again, as first-level as it was when it held it before."""
    episode, at = order.running, mark(entry)
    if episode is None or not has(episode.escalations, event.escalation):
        return order
    asked = episode.escalations[event.escalation - 1]
    decided = put(episode.escalations, asked.no, decided=at, accepted=True)
    order = latest_episode(order, escalations=decided)
    if not has(episode.assignments, asked.assignment):
        return order
    old = episode.assignment(asked.assignment)
    before = next((a for a in reversed(episode.assignments) if a.unit == event.unit and a.no < old.no), None)
    ended = put(episode.assignments, old.no, state=AssignmentState.RETURNED, ended=old.ended or at)
    again = Assignment(  # taking it back is taking it over: there is nothing more to sign for
        no=len(ended) + 1,
        unit=event.unit,
        role=old.role,
        given=at,
        state=AssignmentState.SIGNED,
        signed=at,
        signed_by=entry.actor.user,
        implied=True,
        transferred_from=before.transferred_from if before is not None else old.transferred_from,
        since=old.since or old.given,
        limit=old.limit,
    )
    return handed(order, ended, again, event.parent)


def on_escalation_rejected(order: WorkOrder, event: ReturnEscalationRejected, entry: Entry) -> WorkOrder:
    """Fold that the assignment stays where it is."""
    episode = order.running
    if episode is None or not has(episode.escalations, event.escalation):
        return order
    return latest_episode(order, escalations=put(episode.escalations, event.escalation, decided=mark(entry)))


# --- folding: returning ------------------------------------------------------------------------------------------


def _handled_state(episode: Episode) -> OrderState:
    """Return where a handled order stands: waiting for the lead's signature, or worked on."""
    lead = episode.leading
    return OrderState.DISPATCHED if lead is not None and lead.signed is None else OrderState.WORKING


def _held_state(a: Assignment) -> AssignmentState:
    return AssignmentState.SIGNED if a.signed is not None else AssignmentState.PENDING_SIGN


def _asked(order: WorkOrder, event: ReturnRequested | CoObjectionRaised, entry: Entry, *, co: bool) -> WorkOrder:
    episode = order.running
    if episode is None:
        return order
    asked = Return(
        no=len(episode.returns) + 1,
        assignment=event.assignment,
        unit=event.unit,
        by=entry.actor.user,
        ground=event.ground,
        requested=mark(entry),
        late=isinstance(event, ReturnRequested) and event.late,
        excusable=isinstance(event, ReturnRequested) and event.excusable,
        co=co,
    )
    assignments = episode.assignments
    if has(assignments, event.assignment):
        pending = AssignmentState.RETURN_PENDING
        objection = asked.no if co else assignments[event.assignment - 1].objection
        assignments = put(assignments, event.assignment, state=pending, acted=True, objection=objection)
    return latest_episode(order, returns=(*episode.returns, asked), assignments=assignments)


def on_return_requested(order: WorkOrder, event: ReturnRequested, entry: Entry) -> WorkOrder:
    """Fold the request: it arrived at the hotline, and the limits run on (R-07)."""
    episode = order.running
    if episode is None:
        return order
    order = _asked(order, event, entry, co=False)
    order = latest_episode(order, passed_on=episode.passed_on or mark(entry))
    return msgspec.structs.replace(order, state=OrderState.RETURN_REVIEW)


def on_co_objection_raised(order: WorkOrder, event: CoObjectionRaised, entry: Entry) -> WorkOrder:
    """Fold a co-organizer's objection; the order goes on."""
    return _asked(order, event, entry, co=True)


def on_late_return_consented(order: WorkOrder, event: LateReturnConsented, entry: Entry) -> WorkOrder:
    """Fold the consent: a second request with new facts is late no longer (T22)."""
    episode = order.episode
    if episode is None or not has(episode.returns, event.return_no):
        return order
    asked = episode.returns[event.return_no - 1]
    late = asked.late and not asked.excusable
    return latest_episode(order, returns=put(episode.returns, event.return_no, consent=mark(entry), late=late))


def _stays(order: WorkOrder, no: int, **changes: object) -> WorkOrder:
    """Return the order with a return settled and the unit keeping what it holds."""
    episode = order.episode
    if episode is None or not has(episode.returns, no):
        return order
    asked = episode.returns[no - 1]
    assignments = episode.assignments
    if has(assignments, asked.assignment) and assignments[asked.assignment - 1].ended is None:
        held = assignments[asked.assignment - 1]
        assignments = put(assignments, held.no, state=_held_state(held))
    order = latest_episode(order, returns=put(episode.returns, no, **changes), assignments=assignments)
    if order.state is OrderState.RETURN_REVIEW and not asked.co:
        order = msgspec.structs.replace(order, state=_handled_state(order.episodes[-1]))
    return order


def on_return_withdrawn(order: WorkOrder, event: ReturnWithdrawn, entry: Entry) -> WorkOrder:
    """Fold the withdrawal: it is as if nobody had asked, so TRANSFER waits for what happened beside it."""
    order = _stays(order, event.return_no, withdrawn=mark(entry))
    if order.episode is None:
        return order
    last = order.episodes[-1]
    stops = [r.requested for r in last.returns if not r.co and r.withdrawn is None]
    stops += [last.taken_up] if last.taken_up is not None else []
    return latest_episode(order, passed_on=min(stops, key=lambda stop: stop.position, default=None))


def on_return_rejected(order: WorkOrder, event: ReturnRejected, entry: Entry) -> WorkOrder:
    """Fold the rejection."""
    return _stays(order, event.return_no, decided=mark(entry), approved=False)


def on_return_approved(order: WorkOrder, event: ReturnApproved, entry: Entry) -> WorkOrder:
    """Fold the approval: the lead's ends the episode, a co-organizer's only its own part."""
    episode, at = order.running, mark(entry)
    if episode is None or not has(episode.returns, event.return_no):
        return order
    asked = episode.returns[event.return_no - 1]
    assignments = episode.assignments
    if has(assignments, asked.assignment):
        assignments = put(assignments, asked.assignment, state=AssignmentState.RETURNED, ended=at)
    returns = put(episode.returns, asked.no, decided=at, approved=True)
    order = latest_episode(order, returns=returns, assignments=assignments)
    if asked.co:
        return order
    return begin_wait(end_episode(order, "returned", AssignmentState.RECALLED, at), "return", at)


# --- folding: disputing ------------------------------------------------------------------------------------------


def on_dispute_raised(order: WorkOrder, event: DisputeRaised, entry: Entry) -> WorkOrder:
    """Fold the dispute."""
    episode = order.running
    if episode is None:
        return order
    dispute = Dispute(no=len(episode.disputes) + 1, unit=event.unit, by=entry.actor.user, raised=mark(entry))
    return latest_episode(order, disputes=(*episode.disputes, dispute))


def on_dispute_ruled(order: WorkOrder, event: DisputeRuled, entry: Entry) -> WorkOrder:
    """Fold the ruling: the lead keeps the order for good, or it waits for the dispatch to the unit ruled."""
    episode, at = order.episode, mark(entry)
    if episode is None:
        return order
    if has(episode.disputes, event.dispute):
        ruled = put(episode.disputes, event.dispute, ruled=at, ruled_unit=event.unit)
        order = latest_episode(order, disputes=ruled)
    if episode.ended is not None:
        return order
    ruled = episode.ruled or at  # the first ruling ends the time for returning; a second moves nothing
    if event.stays:
        return latest_episode(order, ruled=ruled, ruled_final=True)
    order = latest_episode(order, ruled=ruled)
    return begin_wait(end_episode(order, "ruled", AssignmentState.RECALLED, at), "ruling", at)


def on_ruling_reopened(order: WorkOrder, event: RulingReopened, entry: Entry) -> WorkOrder:
    """Fold that a return is possible again."""
    return latest_episode(order, ruled_final=False, freed=mark(entry)) if order.episodes else order


# --- the tables --------------------------------------------------------------------------------------------------

DECIDES: Mapping[type[Act], Callable[[WorkOrder, Any, Context], Sequence[Step]]] = {
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
    ObjectCo: object_co,
}

EVOLVES: Mapping[type[Fact], Callable[[WorkOrder, Any, Entry], WorkOrder]] = {
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
    CoObjectionRaised: on_co_objection_raised,
}
