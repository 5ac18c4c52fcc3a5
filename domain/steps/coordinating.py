"""② 协同. Others join: meetings, co-organizers, whistles, task forces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, ClassVar

import msgspec

from domain import guards, refusals
from domain.context import Context
from domain.state import Assignment, MeetingDecision, WorkOrder, has, latest_episode, put
from domain.state import Whistle as Called
from domain.steps.filing import mark
from domain.steps.handling import implied_signature
from domain.terms import (
    Act,
    AssignmentRole,
    AssignmentState,
    Attachment,
    CitedText,
    ClockName,
    Code,
    Entry,
    Fact,
    Limit,
    Number,
    OrderState,
    Private,
    Role,
    Step,
    Struct,
    UnitId,
    UnitKind,
    UserId,
)

# --- events ------------------------------------------------------------------------------------------------------


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


class DecisionCarriedOut(Fact, frozen=True, tag="order.decision_carried_out"):
    """会商决定落实. A unit reports that it did what a meeting decided; `late` after the day that the minutes say."""

    decision: int
    unit: UnitId
    report: Private
    evidence: tuple[Attachment, ...] = ()
    late: bool = False


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


_UNIT = frozenset({Role.ORG_HANDLER, Role.ORG_APPROVER})


_COORDINATORS = frozenset({Role.HOTLINE_MANAGER, Role.COORDINATOR})


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


class CarryOutDecision(Act, frozen=True, tag="carry_out_decision"):
    """报告会商决定落实. By the unit that the minutes name, whether or not it handles the case."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_HANDLER, Role.ORG_APPROVER, Role.HOTLINE_MANAGER})

    decision: int
    report: Private
    evidence: tuple[Attachment, ...] = ()


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


class Whistle(Act, frozen=True, tag="whistle"):
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


# --- deciding ----------------------------------------------------------------------------------------------------


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


def carry_out_decision(order: WorkOrder, command: CarryOutDecision, context: Context) -> list[Step]:
    """Record that a unit did what was decided; a closed case releases nobody from what was decided about it."""
    decisions, no = order.oversight.decisions, command.decision
    if not has(decisions, no):
        raise refusals.NoSuchDecision(f"decision: {no}")
    told = decisions[no - 1]
    if not guards.acts_for(context, told.unit):
        raise refusals.NotYourUnit(f"unit: {context.actor.unit or '-'}", unit=context.actor.unit)
    if told.reported is not None:
        raise refusals.DecisionCarriedOutAlready(f"decision: {no}")
    if not guards.said(command.report):
        raise refusals.ReasonMissing("report")
    return [
        DecisionCarriedOut(
            decision=no,
            unit=context.actor.unit,
            report=command.report,
            evidence=command.evidence,
            late=told.by is not None and guards.day_over(context, told.by),
        )
    ]


def add_co(order: WorkOrder, command: AddCo, context: Context) -> list[Step]:
    """Let another unit take part."""
    guards.in_state(order, *guards.HANDLED)
    guards.may_handle(order, context, command.unit)
    if guards.episode_of(order).holder(command.unit) is not None:
        raise refusals.UnitNamedTwice(command.unit)
    if command.limit is not None:
        guards.written_limit(command.limit, guards.binding(order, context), context)
    else:
        handle = guards.clock(order, context, ClockName.HANDLE, f"e{guards.episode_of(order).no}")
        if handle is not None and context.passed(handle.due):  # else who joins now would be late from the start
            raise refusals.LimitRequired("主办已超期 the lead is late: who joins now needs a limit of its own")
    return [
        CoOrganizerAdded(unit=command.unit, duty=command.duty, limit=command.limit, asked_by_lead=command.asked_by_lead)
    ]


def co_of(order: WorkOrder, unit: UnitId) -> Assignment:
    """Return the open assignment of a co-organizer. Raises NotCoOrganizer."""
    held = guards.episode_of(order).holder(unit)
    if held is None or held.role is not AssignmentRole.CO:
        raise refusals.NotCoOrganizer(unit)
    return held


def remove_co(order: WorkOrder, command: RemoveCo, context: Context) -> list[Step]:
    """Let a co-organizer go."""
    guards.in_state(order, *guards.HANDLED)
    held = co_of(order, command.unit)
    if not guards.said(command.reason):
        raise refusals.ReasonMissing
    return [CoOrganizerRemoved(assignment=held.no, unit=held.unit, reason=command.reason)]


def whistle(order: WorkOrder, command: Whistle, context: Context) -> list[Step]:
    """Call departments to the spot, as the street that leads."""
    guards.in_state(order, OrderState.DISPATCHED, OrderState.WORKING)
    held = guards.leading(order, context)
    unit = context.law.unit(held.unit)
    version = unit.version(context.now) if unit is not None else None
    if version is None or version.kind is not UnitKind.STREET:
        raise refusals.OnlyStreetsWhistle(held.unit)
    if not command.departments:
        raise refusals.DepartmentsMissing
    if len({held.unit, *command.departments}) <= len(command.departments):
        raise refusals.UnitNamedTwice(", ".join(command.departments))
    for department in command.departments:
        guards.may_handle(order, context, department)
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
    if found is None or found.answered is not None or not guards.acts_for(context, found.unit):
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


# --- folding -----------------------------------------------------------------------------------------------------


def on_meeting_held(order: WorkOrder, event: CoordinationMeetingHeld, entry: Entry) -> WorkOrder:
    """Fold the meeting; an order that waits for its supplement goes on waiting, to be coordinated afterwards."""
    over, at = order.oversight, mark(entry)
    told = tuple(
        MeetingDecision(no=no, meeting=len(over.meetings) + 1, unit=decided.unit, told=at, by=decided.by)
        for no, decided in enumerate(event.decisions, len(over.decisions) + 1)
    )
    seen = msgspec.structs.replace(over, meetings=(*over.meetings, at), decisions=(*over.decisions, *told))
    order = msgspec.structs.replace(order, oversight=seen)
    if order.state is OrderState.AWAITING_SUPPLEMENT:
        return msgspec.structs.replace(order, resume=OrderState.COORDINATING)
    if order.state in guards.UNDISPATCHED:
        return msgspec.structs.replace(order, state=OrderState.COORDINATING)
    return order


def on_decision_carried_out(order: WorkOrder, event: DecisionCarriedOut, entry: Entry) -> WorkOrder:
    """Fold what a unit did of what was decided."""
    if not has(order.oversight.decisions, event.decision):
        return order
    done = put(order.oversight.decisions, event.decision, reported=mark(entry), late=event.late)
    return msgspec.structs.replace(order, oversight=msgspec.structs.replace(order.oversight, decisions=done))


def on_co_added(order: WorkOrder, event: CoOrganizerAdded, entry: Entry) -> WorkOrder:
    """Fold one more co-organizer."""
    episode = order.running
    if episode is None:
        return order
    new = Assignment(
        no=len(episode.assignments) + 1,
        unit=event.unit,
        role=AssignmentRole.CO,
        given=mark(entry),
        limit=event.limit,
    )
    return latest_episode(order, assignments=(*episode.assignments, new))


def on_co_removed(order: WorkOrder, event: CoOrganizerRemoved, entry: Entry) -> WorkOrder:
    """Fold one co-organizer less; an objection of its own is settled by it."""
    episode, at = order.running, mark(entry)
    if episode is None or not has(episode.assignments, event.assignment):
        return order
    assignments = put(episode.assignments, event.assignment, state=AssignmentState.RECALLED, ended=at)
    returns = tuple(
        msgspec.structs.replace(r, decided=at, approved=True) if r.pending and r.assignment == event.assignment else r
        for r in episode.returns
    )
    return latest_episode(order, assignments=assignments, returns=returns)


def on_whistle_blown(order: WorkOrder, event: WhistleBlown, entry: Entry) -> WorkOrder:
    """Fold one department called."""
    called = Called(
        no=len(order.oversight.whistles) + 1,
        by_unit=event.by_unit,
        unit=event.unit,
        blown=mark(entry),
        arrive_by=event.arrive_by,
        episode=len(order.episodes),
    )
    seen = msgspec.structs.replace(order.oversight, whistles=(*order.oversight.whistles, called))
    return msgspec.structs.replace(order, oversight=seen)


def on_whistle_responded(order: WorkOrder, event: WhistleResponded, entry: Entry) -> WorkOrder:
    """Fold that the department came."""
    if not has(order.oversight.whistles, event.whistle):
        return order
    answered = put(order.oversight.whistles, event.whistle, answered=mark(entry))
    return msgspec.structs.replace(order, oversight=msgspec.structs.replace(order.oversight, whistles=answered))


def on_expedited(order: WorkOrder, event: ExpediteAssigned, entry: Entry) -> WorkOrder:
    """Fold the task force."""
    return msgspec.structs.replace(order, oversight=msgspec.structs.replace(order.oversight, expedited=mark(entry)))


# --- the tables --------------------------------------------------------------------------------------------------

DECIDES: Mapping[type[Act], Callable[[WorkOrder, Any, Context], Sequence[Step]]] = {
    HoldMeeting: hold_meeting,
    CarryOutDecision: carry_out_decision,
    AddCo: add_co,
    RemoveCo: remove_co,
    Whistle: whistle,
    RespondWhistle: respond_whistle,
    Expedite: expedite,
}

EVOLVES: Mapping[type[Fact], Callable[[WorkOrder, Any, Entry], WorkOrder]] = {
    CoordinationMeetingHeld: on_meeting_held,
    DecisionCarriedOut: on_decision_carried_out,
    CoOrganizerAdded: on_co_added,
    CoOrganizerRemoved: on_co_removed,
    WhistleBlown: on_whistle_blown,
    WhistleResponded: on_whistle_responded,
    ExpediteAssigned: on_expedited,
}
