"""③ 限时办理. Signing, contacting the applicant, first responses, progress, visits to the site.

An organizer's acts. Whatever would stop a running clock is allowed to that clock's owner in every state in which it
runs (8.3): the guards ask who holds the assignment and whether it is signed for, hardly ever for the order's state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, ClassVar

import msgspec

from domain import guards, refusals, state
from domain.context import Context
from domain.state import (
    Assignment,
    Episode,
    Notice,
    WorkOrder,
    has,
    latest_episode,
    put,
    taken_up,
)
from domain.steps.filing import mark
from domain.terms import (
    Act,
    AssignmentRole,
    AssignmentState,
    Attachment,
    ClockName,
    Code,
    Entry,
    Fact,
    Mark,
    Medium,
    NoticeKind,
    OrderState,
    Private,
    Role,
    Step,
    UnitId,
    UserId,
)

_HOTLINE = (Role.AGENT, Role.HOTLINE_MANAGER)


# --- events -----------------------------------------------------------------------------------------------------------


class AssignmentSigned(Fact, frozen=True, tag="order.assignment_signed"):
    """签收. The unit took the assignment over; once per assignment."""

    assignment: int
    unit: UnitId
    own_handling: bool = False  # 自办: a first-level unit will not pass it on (stops TRANSFER)
    implied: bool = False  # by the unit's first act, where the rules have no limit for signing (8.3)
    late: bool = False


class HandlerAssigned(Fact, frozen=True, tag="order.handler_assigned"):
    """指定承办人. A named person of the unit handles the assignment."""

    assignment: int
    unit: UnitId
    handler: UserId


class ApplicantContacted(Fact, frozen=True, tag="order.applicant_contacted"):
    """联系诉求人. One attempt to reach the applicant, successful or not (A-05, 响应率)."""

    unit: UnitId
    medium: Medium
    reached: bool
    assignment: int = 0  # 0: the hotline itself
    words: Private | None = None  # what was said, or why nobody was reached
    call: Code | None = None  # the call or message as the telephone system numbers it
    recording: Attachment | None = None


class InitialResponseSubmitted(Fact, frozen=True, tag="order.initial_response_submitted"):
    """初步响应意见. What the unit does first about a special matter (S1-15…18)."""

    assignment: int
    unit: UnitId
    response: Private
    late: bool = False


class ProgressReported(Fact, frozen=True, tag="order.progress_reported"):
    """进度反馈. How far the handling is."""

    assignment: int
    unit: UnitId
    report: Private
    expected: date | None = None  # when the unit expects to be done
    evidence: tuple[Attachment, ...] = ()
    late: bool = False


class SiteVisited(Fact, frozen=True, tag="order.site_visited"):
    """现场核实. Somebody went to see the place (S4-21)."""

    unit: UnitId
    place: Code
    findings: Private
    assignment: int = 0  # 0: not by an organizer
    people: Private | None = None
    position: Private | None = None  # coordinates
    evidence: tuple[Attachment, ...] = ()


class SiteArrived(Fact, frozen=True, tag="order.site_arrived"):
    """到场. The noticed unit arrived where on-site supervision called it (S4-3)."""

    notice: int
    unit: UnitId
    place: Code
    people: Private | None = None
    position: Private | None = None
    evidence: tuple[Attachment, ...] = ()
    late: bool = False


class SiteVerified(Fact, frozen=True, tag="order.site_verified"):
    """现场核查及责任划分记录. What was found at the site and who is responsible for what."""

    notice: int
    unit: UnitId
    findings: Private
    responsible: tuple[UnitId, ...]  # the units among whom responsibility was divided
    division: Private
    evidence: tuple[Attachment, ...] = ()
    late: bool = False


# --- commands ---------------------------------------------------------------------------------------------------------


_HANDLER: frozenset[Role] = frozenset({Role.ORG_HANDLER})
_WHO_LEADS: frozenset[Role] = frozenset({Role.ORG_HANDLER, Role.HOTLINE_MANAGER})


class Sign(Act, frozen=True, tag="sign"):
    """签收."""

    roles: ClassVar[frozenset[Role]] = _HANDLER

    own_handling: bool = False


class AssignHandler(Act, frozen=True, tag="assign_handler"):
    """指定承办人. By the unit's approver, or by the handler who passes the work to a colleague."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_APPROVER, Role.ORG_HANDLER})

    handler: UserId


class Contact(Act, frozen=True, tag="contact"):
    """联系诉求人. The hotline's own staff only where the hotline itself leads."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_HANDLER, Role.AGENT, Role.HOTLINE_MANAGER})

    medium: Medium
    reached: bool
    words: Private | None = None
    call: Code | None = None
    recording: Attachment | None = None


class InitialResponse(Act, frozen=True, tag="initial_response"):
    """初步响应. Also before signing; by the hotline's management where the hotline itself leads."""

    roles: ClassVar[frozenset[Role]] = _WHO_LEADS

    response: Private


class Progress(Act, frozen=True, tag="progress"):
    """进度反馈. By the hotline's management where the hotline itself leads."""

    roles: ClassVar[frozenset[Role]] = _WHO_LEADS

    report: Private
    expected: date | None = None
    evidence: tuple[Attachment, ...] = ()


class VisitSite(Act, frozen=True, tag="visit_site"):
    """现场核实."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_HANDLER, Role.SUPERVISOR})

    place: Code
    findings: Private
    people: Private | None = None
    position: Private | None = None
    evidence: tuple[Attachment, ...] = ()


class ArriveSite(Act, frozen=True, tag="arrive_site"):
    """到场. By the noticed unit, or as seen by the supervisor on the spot."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_HANDLER, Role.SUPERVISOR})

    notice: int
    place: Code
    people: Private | None = None
    position: Private | None = None
    evidence: tuple[Attachment, ...] = ()


class VerifySite(Act, frozen=True, tag="verify_site"):
    """现场核查及责任划分."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_HANDLER, Role.SUPERVISOR})

    notice: int
    findings: Private
    responsible: tuple[UnitId, ...]
    division: Private
    evidence: tuple[Attachment, ...] = ()


# --- deciding ---------------------------------------------------------------------------------------------------------


def implied_signature(
    order: WorkOrder, context: Context, assignment: Assignment, *, own_handling: bool = False
) -> list[Step]:
    """Return the signature that the unit's first act implies; nothing where it is signed or the rules want it said.

    A pack whose rules give the class no limit for signing knows no separate act of signing either (8.3).
    """
    rules = guards.binding(order, context)
    if assignment.signed is not None or rules.runs(ClockName.SIGN, guards.class_now(order, context)) is not None:
        return []
    return [AssignmentSigned(assignment=assignment.no, unit=assignment.unit, own_handling=own_handling, implied=True)]


def signed(order: WorkOrder, context: Context, held: Assignment) -> list[Step]:
    """Return the implied signature of an assignment about to be acted on. Raises NotSigned where it must be said."""
    steps = implied_signature(order, context, held)
    if held.signed is None and not steps:
        raise refusals.NotSigned(f"unit: {held.unit}")
    return steps


def is_late(order: WorkOrder, context: Context, name: ClockName, key: str | None = None) -> bool:
    """Tell whether what stops that clock now comes after its due instant."""
    found = guards.clock(order, context, name, key)
    return found is not None and found.running and context.passed(found.due)


def hotline_leads(order: WorkOrder, context: Context) -> bool:
    """Tell whether the actor is the hotline's and the hotline itself leads. Raises NotYourUnit for its staff else."""
    if context.actor.role not in _HOTLINE:
        return False
    if not order.episodes or not order.episodes[-1].led_by_hotline:
        raise refusals.NotYourUnit("热线未自行牵头 the hotline does not lead", unit=context.actor.unit)
    return True


def sign(order: WorkOrder, command: Sign, context: Context) -> list[Step]:
    """Sign for the assignment: once, in every state in which SIGN may run."""
    guards.in_state(order, *guards.HANDLED, *guards.ANSWERED)
    first = guards.holding(order, context)
    held = next((a for a in guards.held(order, context) if a.signed is None), first)
    if held.signed is not None:
        raise refusals.AlreadySigned(f"assignment: {held.no}")
    key = f"e{guards.episode_of(order).no}.a{held.no}"
    return [
        AssignmentSigned(
            assignment=held.no,
            unit=held.unit,
            own_handling=command.own_handling,
            late=is_late(order, context, ClockName.SIGN, key),
        )
    ]


def is_handler(context: Context, user: UserId, unit: UnitId) -> bool:
    """Tell whether a person handles orders for the unit, or for the heir of it that acts in its stead (8.11)."""
    law, now = context.law, context.now
    context.until(law.next_unit_change(now))
    return any(law.has_role(user, Role.ORG_HANDLER, one, now) for one in {unit, law.successor(unit, now)})


def assign_handler(order: WorkOrder, command: AssignHandler, context: Context) -> list[Step]:
    """Name the handler, who must hold that role in the unit."""
    guards.in_state(order, *guards.HANDLED, *guards.ANSWERED)
    held = guards.holding(order, context)
    steps = signed(order, context, held)
    if not is_handler(context, command.handler, held.unit):
        raise refusals.HandlerNotInUnit(f"{command.handler}, {held.unit}")
    return [*steps, HandlerAssigned(assignment=held.no, unit=held.unit, handler=command.handler)]


def contact(order: WorkOrder, command: Contact, context: Context) -> list[Step]:
    """Record an attempt to reach the applicant, as often as there are attempts."""
    guards.in_state(order, *guards.HANDLED, *guards.ANSWERED)
    assignment, steps = 0, list[Step]()
    if not hotline_leads(order, context):
        held = guards.holding(order, context)
        assignment, steps = held.no, signed(order, context, held)
    made = ApplicantContacted(
        unit=context.actor.unit,
        medium=command.medium,
        reached=command.reached,
        assignment=assignment,
        words=command.words,
        call=command.call,
        recording=command.recording,
    )
    return [*steps, made]


def initial_response(order: WorkOrder, command: InitialResponse, context: Context) -> list[Step]:
    """Submit the first response; an emergency does not wait for the signature."""
    guards.in_state(order, *guards.HANDLED)
    late = is_late(order, context, ClockName.INIT_RESPONSE)
    if hotline_leads(order, context):
        unit = context.actor.unit
        return [InitialResponseSubmitted(assignment=0, unit=unit, response=command.response, late=late)]
    held = guards.leading(order, context)
    steps = implied_signature(order, context, held)
    awaited = guards.binding(order, context).runs(ClockName.INIT_RESPONSE, guards.class_now(order, context))
    if held.signed is None and not steps and awaited is None:
        raise refusals.NotSigned(f"unit: {held.unit}")
    return [
        *steps,
        InitialResponseSubmitted(assignment=held.no, unit=held.unit, response=command.response, late=late),
    ]


def progress(order: WorkOrder, command: Progress, context: Context) -> list[Step]:
    """Report progress, as often as there is some."""
    guards.in_state(order, *guards.HANDLED)
    held = None if hotline_leads(order, context) else guards.holding(order, context)
    leads = held is None or held.role is AssignmentRole.LEAD
    reported = ProgressReported(
        assignment=0 if held is None else held.no,
        unit=context.actor.unit if held is None else held.unit,
        report=command.report,
        expected=command.expected,
        evidence=command.evidence,
        late=leads and is_late(order, context, ClockName.PROGRESS),
    )
    return [reported] if held is None else [*signed(order, context, held), reported]


def visit_site(order: WorkOrder, command: VisitSite, context: Context) -> list[Step]:
    """Record a visit to the place, by an organizer or a supervisor."""
    guards.in_state(order, *guards.HANDLED, *guards.ANSWERED)
    assignment, steps = 0, list[Step]()
    if context.actor.role is not Role.SUPERVISOR:
        held = guards.holding(order, context)
        assignment, steps = held.no, signed(order, context, held)
    visited = SiteVisited(
        unit=context.actor.unit,
        place=command.place,
        findings=command.findings,
        assignment=assignment,
        people=command.people,
        position=command.position,
        evidence=command.evidence,
    )
    return [*steps, visited]


def _summons(order: WorkOrder, context: Context, no: int) -> Notice:
    """Return the open on-site notice the actor may act on."""
    notices = order.oversight.notices
    if not 0 < no <= len(notices) or notices[no - 1].kind is not NoticeKind.ONSITE or not notices[no - 1].open:
        raise refusals.NoSuchNotice(f"notice: {no}")
    notice = notices[no - 1]
    if context.actor.role is not Role.SUPERVISOR and not guards.acts_for(context, notice.unit):
        raise refusals.NotYourUnit(f"unit: {context.actor.unit or '-'}", unit=context.actor.unit)
    return notice


def arrive_site(order: WorkOrder, command: ArriveSite, context: Context) -> list[Step]:
    """Record the arrival at the site that the notice names."""
    guards.unsealed(order)
    notice = _summons(order, context, command.notice)
    if notice.arrived is not None:
        raise refusals.AlreadyArrived(f"notice: {command.notice}")
    return [
        SiteArrived(
            notice=notice.no,
            unit=notice.unit,
            place=command.place,
            people=command.people,
            position=command.position,
            evidence=command.evidence,
            late=is_late(order, context, ClockName.ARRIVE_SITE, f"n{notice.no}"),
        )
    ]


def verify_site(order: WorkOrder, command: VerifySite, context: Context) -> list[Step]:
    """Record what was found and how responsibility was divided."""
    guards.unsealed(order)
    notice = _summons(order, context, command.notice)
    if notice.arrived is None:
        raise refusals.NotArrived(f"notice: {command.notice}")
    if notice.site_recorded is not None:
        raise refusals.AlreadyVerified(f"notice: {command.notice}")
    return [
        SiteVerified(
            notice=notice.no,
            unit=notice.unit,
            findings=command.findings,
            responsible=command.responsible,
            division=command.division,
            evidence=command.evidence,
            late=is_late(order, context, ClockName.SITE_RECORD, f"n{notice.no}"),
        )
    ]


# --- folding ----------------------------------------------------------------------------------------------------------


_NOTHING: Mapping[str, object] = {}


def acted(order: WorkOrder, entry: Entry) -> WorkOrder:
    """Remember who handled, in which role: they neither review nor judge it later."""
    return msgspec.structs.replace(order, signers=signers(order, entry))


def signers(order: WorkOrder, entry: Entry) -> tuple[tuple[UserId, Role], ...]:
    """Return who handled the order, the actor of an entry among them."""
    signer = (entry.actor.user, entry.actor.role)
    return order.signers if signer in order.signers else (*order.signers, signer)


def with_assignment(order: WorkOrder, no: int, **changes: object) -> WorkOrder:
    """Return the order with an assignment of its newest episode changed; as it was where history lacks it."""
    if not order.episodes or not 0 < no <= len(order.episodes[-1].assignments):
        return order
    return latest_episode(order, assignments=put(order.episodes[-1].assignments, no, **changes))


def _leads(episode: Episode, no: int) -> bool:
    """Tell whether the assignment is the lead's; one that history lacks is taken for it."""
    return not has(episode.assignments, no) or episode.assignments[no - 1].role is AssignmentRole.LEAD


def worked_on(
    order: WorkOrder,
    at: Mark,
    no: int,
    also: Mapping[str, object] = _NOTHING,
    *,
    own: bool = False,
    becomes: AssignmentState | None = None,
) -> tuple[Episode, ...]:
    """Return the episodes with a unit's act on record in the newest; own handling by the lead is what TRANSFER waits for.

    `no`, `becomes`: its assignment, and the state it is in afterwards; `also`: what else changes of the episode.
    """
    if not order.episodes:
        return ()
    last, changes = order.episodes[-1], dict(also)
    held = last.assignments
    if has(held, no):
        if becomes is not None:
            changes["assignments"] = put(held, no, acted=True, state=becomes)
        elif not held[no - 1].acted:
            changes["assignments"] = put(held, no, acted=True)
    if own and _leads(last, no):
        changes |= taken_up(last, at)
    return (*order.episodes[:-1], msgspec.structs.replace(last, **changes)) if changes else order.episodes


def worked(
    order: WorkOrder, entry: Entry, no: int, also: Mapping[str, object] = _NOTHING, *, own: bool = False
) -> WorkOrder:
    """Return the order with a unit's act on record (`worked_on`), and with who did it."""
    episodes, known = worked_on(order, mark(entry), no, also, own=own), signers(order, entry)
    if episodes is order.episodes and known is order.signers:
        return order
    return msgspec.structs.replace(order, episodes=episodes, signers=known)


_TO_BE_SIGNED = (*guards.UNDISPATCHED, OrderState.DISPATCHED)


def on_assignment_signed(order: WorkOrder, event: AssignmentSigned, entry: Entry) -> WorkOrder:
    """Fold the signature: the lead's puts the order to work."""
    at, changes, moves = mark(entry), dict[str, object](), order.state in _TO_BE_SIGNED
    episodes = order.episodes
    if episodes:
        last = episodes[-1]
        if has(last.assignments, event.assignment):
            changes["assignments"] = put(
                last.assignments,
                event.assignment,
                signed=at,
                signed_by=entry.actor.user,
                implied=event.implied,
                state=AssignmentState.SIGNED,
            )
        if _leads(last, event.assignment):
            changes["first_signed"] = last.first_signed or at
            changes |= taken_up(last, at) if event.own_handling else {}
        else:
            moves = False
        episodes = (*episodes[:-1], msgspec.structs.replace(last, **changes))
    return msgspec.structs.replace(
        order,
        state=OrderState.WORKING if moves else order.state,
        episodes=episodes,
        signers=signers(order, entry),
    )


def on_handler_assigned(order: WorkOrder, event: HandlerAssigned, entry: Entry) -> WorkOrder:
    """Fold the handler's name; naming one is own handling."""
    order = worked(order, entry, event.assignment, own=True)
    return with_assignment(order, event.assignment, handler=event.handler)


def attempted(order: WorkOrder, entry: Entry, unit: UnitId, *, reached: bool) -> WorkOrder:
    """Return the order with one more attempt to reach the applicant."""
    if not order.episodes:
        return order
    made = state.Contact(at=mark(entry), reached=reached, unit=unit)
    return latest_episode(order, contacts=(*order.episodes[-1].contacts, made))


def on_applicant_contacted(order: WorkOrder, event: ApplicantContacted, entry: Entry) -> WorkOrder:
    """Fold the attempt."""
    if not order.episodes:
        return acted(order, entry)
    made = state.Contact(at=mark(entry), reached=event.reached, unit=event.unit)
    return worked(order, entry, event.assignment, {"contacts": (*order.episodes[-1].contacts, made)})


def on_initial_response_submitted(order: WorkOrder, event: InitialResponseSubmitted, entry: Entry) -> WorkOrder:
    """Fold the response; the first counts, unless the class was raised since."""
    order = worked(order, entry, event.assignment, own=True)
    if not order.episodes:
        return order
    if order.episodes[-1].initial_response is None:
        return latest_episode(order, initial_response=mark(entry))
    return latest_episode(order, later_responses=(*order.episodes[-1].later_responses, mark(entry)))


def on_progress_reported(order: WorkOrder, event: ProgressReported, entry: Entry) -> WorkOrder:
    """Fold the report; the lead's is what PROGRESS waits for."""
    order = worked(order, entry, event.assignment, own=True)
    if not order.episodes or not _leads(order.episodes[-1], event.assignment):
        return order
    return latest_episode(order, progress=(*order.episodes[-1].progress, mark(entry)))


def on_site_visited(order: WorkOrder, event: SiteVisited, entry: Entry) -> WorkOrder:
    """Fold the visit; a supervisor's is nobody's handling."""
    if not event.assignment:
        return order
    return worked(order, entry, event.assignment, own=True)


def _notice(order: WorkOrder, no: int, **changes: object) -> WorkOrder:
    seen = order.oversight
    if not 0 < no <= len(seen.notices):
        return order
    notices = put(seen.notices, no, **changes)
    return msgspec.structs.replace(order, oversight=msgspec.structs.replace(seen, notices=notices))


def on_site_arrived(order: WorkOrder, event: SiteArrived, entry: Entry) -> WorkOrder:
    """Fold the arrival; who comes has been told."""
    notices = order.oversight.notices
    served = notices[event.notice - 1].served if 0 < event.notice <= len(notices) else None
    return _notice(order, event.notice, arrived=mark(entry), served=served or mark(entry))


def on_site_verified(order: WorkOrder, event: SiteVerified, entry: Entry) -> WorkOrder:
    """Fold the record of the site."""
    return _notice(order, event.notice, site_recorded=mark(entry))


EVOLVES: Mapping[type[Fact], Callable[[WorkOrder, Any, Entry], WorkOrder]] = {
    AssignmentSigned: on_assignment_signed,
    HandlerAssigned: on_handler_assigned,
    ApplicantContacted: on_applicant_contacted,
    InitialResponseSubmitted: on_initial_response_submitted,
    ProgressReported: on_progress_reported,
    SiteVisited: on_site_visited,
    SiteArrived: on_site_arrived,
    SiteVerified: on_site_verified,
}


DECIDES: Mapping[type[Act], Callable[[WorkOrder, Any, Context], Sequence[Step]]] = {
    Sign: sign,
    AssignHandler: assign_handler,
    Contact: contact,
    InitialResponse: initial_response,
    Progress: progress,
    VisitSite: visit_site,
    ArriveSite: arrive_site,
    VerifySite: verify_site,
}
