"""② 派单. Who handles the order: dispatched by the hotline, recalled by it, passed on inside the organizer.

Signing belongs to `handling`; here a unit's act implies its signature where the rules know no signing (8.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from domain import guards, refusals
from domain.context import Context
from domain.policy import ClassRule, Rules
from domain.state import (
    Assignment,
    Episode,
    WorkOrder,
    begin_wait,
    end_episode,
    ended_episodes,
    has,
    put,
    taken_up,
    waited,
)
from domain.steps.filing import mark
from domain.steps.returning import handed, no_escalation
from domain.terms import (
    Act,
    AssignmentRole,
    AssignmentState,
    Attributes,
    CitedText,
    ClockName,
    Code,
    DispatchBasis,
    DispatchType,
    Entry,
    Fact,
    Limit,
    Medium,
    Number,
    OrderState,
    PolicyRef,
    Private,
    Role,
    Step,
    Struct,
    UnitId,
    UnitKind,
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
    of_class: Code = ""  # not said where another system recorded it
    medium: Medium | None = None
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
    derived: tuple[Code, ...] = ()  # what a mapping set because the source lacks it (8.15)


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


# --- commands ----------------------------------------------------------------------------------------------------


_DISPATCH = frozenset({Role.DISPATCHER, Role.HOTLINE_MANAGER})


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

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_APPROVER})

    unit: UnitId
    words: Private | None = None


# --- deciding ----------------------------------------------------------------------------------------------------


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
        guards.may_handle(order, context, unit)
    if len(set(units)) < len(units):
        raise refusals.UnitNamedTwice(", ".join(units))
    ruling = _ruling(order, command, context)
    _grounded(order, command, rules, context)
    limits = _limits(order, command, rules, of_class, context)
    if not command.reply_required and not rules.options.reply_optional:
        raise refusals.ReplyNotOptional
    dispatched = OrderDispatched(
        kind=command.kind,
        attributes=order.attributes,
        of_class=of_class.name,
        medium=command.medium,
        lead=command.lead or "",
        lead_parent=guards.next_higher(command.lead, context) if command.lead else "",
        co=command.co,
        supervising=command.supervising,
        basis=command.basis,
        directory=command.directory,
        limits=limits,
        reply_required=None if command.reply_required else False,
        instruction=command.instruction,
        meeting=command.meeting,
        dispute=ruling,
        policy=policy,
        note=command.note,
    )
    return [dispatched, Number("dispatch_slip", law.city_code)]


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
    if last.ended_as == "returned" and last.ruled is not None:  # ruled to stay, reopened, and then returned after all
        return None
    heir = context.law.successor(ruled.ruled_unit, context.now)
    if not context.law.active(heir, context.now) or guards.accused(order, context, heir):
        return None  # who was ruled to handle it no longer can
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


def _limits(
    order: WorkOrder, command: Dispatch, rules: Rules, of_class: ClassRule, context: Context
) -> dict[ClockName, Limit]:
    """Return the limits on the slip: those written, and the redo's. Raises LimitNotWritable, LimitRequired …

    Who orders a redo writes its limit (S2-T6); a dispatcher does not write another over it.
    """
    limits, redo = dict(command.limits), _redo_limit(order, context)
    if redo is not None and (ClockName.HANDLE not in limits or context.actor.role is Role.DISPATCHER):
        if ClockName.HANDLE in limits:
            raise refusals.LimitNotWritable("重办时限 the redo's limit")
        limits[ClockName.HANDLE] = redo
    for name, limit in command.limits.items():
        if name not in WRITABLE or rules.runs(name, of_class) is None:
            raise refusals.LimitNotWritable(name)
        guards.written_limit(limit, rules, context)
        _no_longer(name, limit, rules, of_class, context)
    for co in command.co:
        if co.limit is not None:
            guards.written_limit(co.limit, rules, context)
    figure = limits.get(ClockName.HANDLE) or rules.limit(ClockName.HANDLE, of_class)
    covered = command.lead_by_hotline and all(co.limit is not None for co in command.co)
    if command.reply_required and figure is None and not covered and rules.needs_limit(of_class):
        raise refusals.LimitRequired(of_class.title)
    return limits


def _no_longer(name: ClockName, limit: Limit, rules: Rules, of_class: ClassRule, context: Context) -> None:
    """Refuse a written limit longer than the rules' own: of handling it is the management's to give (8.14, S0-T8).

    Where the rules cap what a slip may say (S2-T4), the cap alone bounds handling.
    """
    if not guards.longer_than(limit, rules.limit(name, of_class), rules, context):
        return
    if name is not ClockName.HANDLE:
        raise refusals.LimitNotWritable(f"{name}: 长于规定 longer than the rules' own")
    if context.actor.role is Role.DISPATCHER and rules.options.max_total is None:
        raise refusals.NotHotlineManager("长于该类别时限 longer than the class's")


def _redo_limit(order: WorkOrder, context: Context) -> Limit | None:
    """Return the limit written on the redo or the reopening that this dispatch carries out."""
    limit = order.quality.redo_limit
    return None if limit is None or context.passed(limit.until) else limit


def recall_dispatch(order: WorkOrder, command: RecallDispatch, context: Context) -> list[Step]:
    """Take a dispatch back: the hotline's own until it is signed for, afterwards with the unit's consent (8.3)."""
    guards.in_state(order, OrderState.DISPATCHED, OrderState.WORKING)
    episode = guards.episode_of(order)
    barred = bool(episode.lead) and guards.accused(
        order, context, episode.lead
    )  # nobody could correct a reply sent back
    if any(r.episode == episode.no for r in order.replies) and not barred:
        raise refusals.WrongState("已有答复 replied already", state=order.state)
    signed = episode.first_signed is not None
    if signed and context.actor.role is Role.DISPATCHER and command.unit_consent is None:
        raise refusals.RecallNeedsConsent
    if not guards.said(command.reason):
        raise refusals.ReasonMissing
    return [DispatchRecalled(reason=command.reason, unit_consent=command.unit_consent)]


def transfer(order: WorkOrder, command: Transfer, context: Context) -> list[Step]:
    """Pass the assignment on to a unit below, which needs no signature of one's own."""
    guards.in_state(order, OrderState.DISPATCHED, OrderState.WORKING)
    held = guards.holding(order, context)
    no_escalation(order, held)
    if any(asked.pending and asked.assignment == held.no for asked in guards.episode_of(order).returns):
        raise refusals.ReturnPending  # decided later, it would take away what another unit holds by then
    guards.may_handle(order, context, command.unit)
    unit = context.actor.unit  # the holder, or who succeeded it
    if command.unit == unit or not context.law.is_within(command.unit, unit, context.now):
        raise refusals.NotADescendant(command.unit)
    if guards.episode_of(order).holder(command.unit) is not None:
        raise refusals.UnitNamedTwice(command.unit)
    return [
        AssignmentTransferred(
            assignment=held.no,
            from_unit=held.unit,
            unit=command.unit,
            parent=guards.next_higher(command.unit, context),
            words=command.words,
        )
    ]


# --- folding -----------------------------------------------------------------------------------------------------


def on_order_dispatched(order: WorkOrder, event: OrderDispatched, entry: Entry) -> WorkOrder:
    """Fold a new episode: whoever is named holds an assignment, the lead's first."""
    at = mark(entry)
    before = ended_episodes(order, "superseded", AssignmentState.DONE, at)
    named: list[tuple[UnitId, AssignmentRole, Limit | None]] = []
    if event.lead:
        named.append((event.lead, AssignmentRole.LEAD, None))
    named += [(co.unit, AssignmentRole.CO, co.limit) for co in event.co]
    named += [(unit, AssignmentRole.SUPERVISING, None) for unit in event.supervising]
    assignments = tuple(
        [
            Assignment(no=n, unit=unit, role=role, given=at, limit=limit)
            for n, (unit, role, limit) in enumerate(named, 1)
        ]
    )
    episode = Episode(
        no=len(before) + 1,
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
        derived=bool(event.derived),
        instruction=event.instruction,
        ruled_final=event.kind in FINAL or event.dispute is not None or event.instruction is not None,
        assignments=assignments,
    )
    return msgspec.structs.replace(
        order,
        # Where the hotline leads there is nothing to sign for: it works from the dispatch on.
        state=OrderState.DISPATCHED if event.lead else OrderState.WORKING,
        resume=None,
        policy=event.policy or order.policy,
        waits=waited(order, "derived" if event.derived else "dispatched", at),
        episodes=(*before, episode),
    )


def on_dispatch_recalled(order: WorkOrder, event: DispatchRecalled, entry: Entry) -> WorkOrder:
    """Fold the recall: the order waits again, since when it waited before (8.4)."""
    at = mark(entry)
    order = end_episode(order, "recalled", AssignmentState.RECALLED, at)
    last = order.waits[-1] if order.waits else None
    if last is None or last.by != "dispatched":
        return begin_wait(order, "recall", at)
    again = msgspec.structs.replace(last, until=None, by="", recalled=(*last.recalled, at))
    return msgspec.structs.replace(order, state=OrderState.AWAITING_DISPATCH, waits=(*order.waits[:-1], again))


def on_assignment_transferred(order: WorkOrder, event: AssignmentTransferred, entry: Entry) -> WorkOrder:
    """Fold the hand-over to a unit below: its signing begins, the handling limit runs on."""
    episode, at = order.running, mark(entry)
    if episode is None:
        return order
    held = episode.assignments
    old = episode.assignment(event.assignment) if has(held, event.assignment) else None
    if old is not None:
        held = put(held, old.no, state=AssignmentState.TRANSFERRED, ended=at, acted=True)
    new = Assignment(
        no=len(held) + 1,
        unit=event.unit,
        role=old.role if old is not None else AssignmentRole.LEAD,
        given=at,
        transferred_from=event.assignment,
        since=(old.since or old.given) if old is not None else None,
        limit=old.limit if old is not None else None,
    )
    changes = taken_up(episode, at) if new.role is AssignmentRole.LEAD else {}
    return handed(order, held, new, event.parent, **changes)


# --- the tables --------------------------------------------------------------------------------------------------

DECIDES: Mapping[type[Act], Callable[[WorkOrder, Any, Context], Sequence[Step]]] = {
    Dispatch: dispatch,
    RecallDispatch: recall_dispatch,
    Transfer: transfer,
}

EVOLVES: Mapping[type[Fact], Callable[[WorkOrder, Any, Entry], WorkOrder]] = {
    OrderDispatched: on_order_dispatched,
    DispatchRecalled: on_dispatch_recalled,
    AssignmentTransferred: on_assignment_transferred,
}
