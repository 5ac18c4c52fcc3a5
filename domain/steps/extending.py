"""③ 延期. Asking for more time, granting it, telling the applicant.

Who grants is the pack's word (`extension`), and so are cap, count and days; what an extension moves is asked of the
clocks themselves, by a dry run of the consent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar

import msgspec

from domain import guards, refusals
from domain.clocks import Clock
from domain.context import Context
from domain.state import (
    Extension,
    WorkOrder,
    latest_episode,
    put,
)
from domain.steps.filing import mark
from domain.steps.handling import acted, is_late, signed, worked
from domain.terms import (
    Act,
    Attachment,
    Citation,
    ClockName,
    Code,
    Entry,
    Fact,
    Medium,
    Number,
    OrderState,
    Private,
    Role,
    Step,
    UnitId,
)
from domain.units import Instant

Days = Annotated[int, msgspec.Meta(ge=1, le=1000)]


# --- events -----------------------------------------------------------------------------------------------------------


class ExtensionRequested(Fact, frozen=True, tag="order.extension_requested"):
    """延期申请. More time is asked for before the limit ends."""

    assignment: int
    unit: UnitId
    days: Days  # counted from the due day at the decision, in the pack's kind of days
    reason: Private
    due: Instant  # the limit that was running when it was asked for
    legal_basis: Citation | None = None
    evidence: tuple[Attachment, ...] = ()


class ExtensionApproved(Fact, frozen=True, tag="order.extension_approved"):
    """延期同意. Who the rules name gave more time, for a stated reason."""

    extension: int
    unit: UnitId  # whose limit it is
    days: Days  # as granted; counted from the old due day
    words: Private | None = None
    basis: Citation | None = None
    after_due: bool = False  # decided after the old limit had ended


class ExtensionRejected(Fact, frozen=True, tag="order.extension_rejected"):
    """延期不同意. The old limit stands."""

    extension: int
    unit: UnitId
    reason: Private
    after_due: bool = False


class ExtensionInformed(Fact, frozen=True, tag="order.extension_informed"):
    """延期告知. The applicant was told of the extension and of the stage reached (S0-31)."""

    extension: int
    unit: UnitId
    medium: Medium
    progress: Private
    call: Code | None = None
    late: bool = False


# --- commands ---------------------------------------------------------------------------------------------------------


_HANDLER: frozenset[Role] = frozenset({Role.ORG_HANDLER})
_APPROVER: frozenset[Role] = frozenset({Role.ORG_APPROVER})


class RequestExtension(Act, frozen=True, tag="request_extension"):
    """申请延期."""

    roles: ClassVar[frozenset[Role]] = _APPROVER

    days: Days
    reason: Private
    legal_basis: Citation | None = None
    evidence: tuple[Attachment, ...] = ()


class DecideExtension(Act, frozen=True, tag="decide_extension"):
    """审批延期. By whom the rules name: the next-higher unit, the hotline's management, or the unit's own approver."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.MGMT_UNIT, Role.HOTLINE_MANAGER, Role.ORG_APPROVER})

    extension: int
    approve: bool
    reason: Private | None = None  # needed to refuse
    days: Days | None = None  # other than asked for
    basis: Citation | None = None


class InformExtension(Act, frozen=True, tag="inform_extension"):
    """告知延期."""

    roles: ClassVar[frozenset[Role]] = _HANDLER

    extension: int
    medium: Medium
    progress: Private
    call: Code | None = None


# --- deciding ---------------------------------------------------------------------------------------------------------


def _extended_due(order: WorkOrder, context: Context, granted: ExtensionApproved) -> datetime | None:
    """Return when HANDLE would fall due with that extension granted now: a dry run of the fold and of the clocks."""
    supposed = Entry(
        event=granted, stream=order.stream, version=0, position=0, recorded_at=context.now, actor=context.actor
    )
    return guards.due(on_extension_approved(order, granted, supposed), context, ClockName.HANDLE)


def _within_cap(order: WorkOrder, context: Context, granted: ExtensionApproved, due: datetime) -> None:
    """Refuse an extension that does not move the due instant, or moves it beyond what the rules allow."""
    rules = guards.binding(order, context)
    options = rules.options
    handle = guards.clock(order, context, ClockName.HANDLE)
    later = _extended_due(order, context, granted) if granted.days > 0 else None
    if later is None or handle is None or later <= due:
        raise refusals.ExtensionNotLater(f"days: {granted.days}")
    approved = sum(x.approved for x in guards.episode_of(order).extensions)
    if options.extension_max_count is not None and approved >= options.extension_max_count:
        raise refusals.ExtensionOverCap(f"次数 count: {options.extension_max_count}", cap=options.extension_max_count)
    if options.extension_max_days is not None and granted.days > options.extension_max_days:
        raise refusals.ExtensionOverCap(f"天数 days: {options.extension_max_days}", cap=options.extension_max_days)
    if options.extension_cap is not None:
        cap = context.law.calendar().due(handle.start.at, options.extension_cap, rules.kernel).at
        if later > cap:
            raise refusals.ExtensionOverCap(f"总时限 total: {cap.isoformat()}", cap=cap)


def request_extension(order: WorkOrder, command: RequestExtension, context: Context) -> list[Step]:
    """Ask for more time, before the running limit ends (S0-29, R-14)."""
    guards.in_state(order, *guards.HANDLED)
    held = guards.leading(order, context)
    options = guards.binding(order, context).options
    if options.extension == "none":
        raise refusals.NoExtensionRule(order.policy.pack)
    handle = guards.clock(order, context, ClockName.HANDLE)
    if handle is None or handle.due is None or not handle.running:
        raise refusals.NothingToExtend(order.number)
    if context.passed(handle.due):
        raise refusals.ExtensionAfterDue(f"due: {handle.due.isoformat()}", due=handle.due)
    episode = guards.episode_of(order)
    if any(x.pending for x in episode.extensions):
        raise refusals.ExtensionPending(order.number)
    if not guards.said(command.reason):
        raise refusals.ReasonMissing
    if options.extension_needs_legal_basis and command.legal_basis is None:
        raise refusals.LegalBasisMissing
    steps = signed(order, context, held)
    requested = ExtensionRequested(
        assignment=held.no,
        unit=held.unit,
        days=command.days,
        reason=command.reason,
        due=handle.due,
        legal_basis=command.legal_basis,
        evidence=command.evidence,
    )
    asked = Entry(
        event=requested, stream=order.stream, version=0, position=0, recorded_at=context.now, actor=context.actor
    )
    granted = ExtensionApproved(extension=len(episode.extensions) + 1, unit=held.unit, days=command.days)
    _within_cap(on_extension_requested(order, requested, asked), context, granted, handle.due)
    return [*steps, requested]


def _next_higher(order: WorkOrder, context: Context, unit: UnitId) -> UnitId:
    """Return the next-higher unit: as recorded for the lead, else by law; for a first-level unit the hotline's (R-37)."""
    law, episode = context.law, order.episodes[-1]
    context.until(law.next_unit_change(context.now))
    recorded = episode.lead_parent if unit == episode.lead else ""
    parent = recorded or law.parent(unit, context.now) or law.hotline_unit
    return law.successor(parent, context.now)


def _may_decide(order: WorkOrder, context: Context, extension: Extension) -> None:
    """Refuse whoever is not the approver that the rules name. The requester never is."""
    guards.another_person(context, extension.by, order.episodes[-1].by)  # nor who dispatched it (4.1)
    actor = context.actor
    match guards.binding(order, context).options.extension:
        case "hotline_manager":
            if actor.role is not Role.HOTLINE_MANAGER:
                raise refusals.NotHotlineManager(f"role: {actor.role}")
        case "own_approver":
            if actor.role is not Role.ORG_APPROVER or not guards.acts_for(context, extension.unit):
                raise refusals.NotYourUnit(f"unit: {actor.unit or '-'}", unit=actor.unit)
        case "parent_unit":
            parent = _next_higher(order, context, extension.unit)
            expected = Role.HOTLINE_MANAGER if parent == context.law.hotline_unit else Role.MGMT_UNIT
            if actor.role is not expected or actor.unit != parent:
                raise refusals.NotNextHigherUnit(f"unit: {parent}", unit=parent)
        case "none":
            raise refusals.NoExtensionRule(order.policy.pack)


def _replied_late(order: WorkOrder, context: Context, handle: Clock) -> bool:
    """Tell whether the reply came too late for consent to cure it (R-13, 8.9).

    A request made in time keeps the limit from being overdue until it should have been decided; a reply in that time
    is not late by the approver's slowness. One after it is, and no consent given afterwards changes that.
    """
    if handle.stop is None or handle.due is None:
        return False
    decision = guards.due(order, context, ClockName.EXTENSION_DECISION)
    return handle.stop.at > (handle.due if decision is None else max(handle.due, decision))


def decide_extension(order: WorkOrder, command: DecideExtension, context: Context) -> list[Step]:
    """Grant or refuse the newest request; the reply ends its urgency, not the right to decide it (8.3).

    A reviewer's acceptance ends that right too. Where nobody reviews, the reply is accepted as it is given.
    """
    unreviewed = guards.binding(order, context).options.reply_review == "none"
    guards.in_state(order, *guards.HANDLED, *(guards.ANSWERED if unreviewed else (OrderState.REPLIED,)))
    episode = guards.episode_of(order)
    newest = episode.extensions[-1] if episode.extensions else None
    if newest is None or newest.no != command.extension or newest.decided is not None:
        raise refusals.NoSuchExtension(f"extension: {command.extension}")
    _may_decide(order, context, newest)
    options = guards.binding(order, context).options
    handle = guards.clock(order, context, ClockName.HANDLE)
    if handle is None or handle.due is None:
        raise refusals.NothingToExtend(order.number)
    after_due = context.passed(handle.due)
    if not command.approve:
        if command.reason is None or not guards.said(command.reason):
            raise refusals.ReasonMissing
        return [ExtensionRejected(extension=newest.no, unit=newest.unit, reason=command.reason, after_due=after_due)]
    if _replied_late(order, context, handle) or (after_due and options.extension_decision == "before_due"):
        raise refusals.ExtensionAfterDue(f"due: {handle.due.isoformat()}", due=handle.due)
    granted = ExtensionApproved(
        extension=newest.no,
        unit=newest.unit,
        days=command.days if command.days is not None else newest.days,
        words=command.reason,
        basis=command.basis,
        after_due=after_due,
    )
    _within_cap(order, context, granted, handle.due)
    return [granted]


def inform_extension(order: WorkOrder, command: InformExtension, context: Context) -> list[Step]:
    """Tell the applicant of the extension; the slip (延期告知) gets its number."""
    guards.in_state(order, *guards.HANDLED, *guards.ANSWERED)
    held = guards.holding(order, context)
    extensions = guards.episode_of(order).extensions
    if not 0 < command.extension <= len(extensions) or not extensions[command.extension - 1].approved:
        raise refusals.ExtensionNotApproved(f"extension: {command.extension}")
    key = f"e{guards.episode_of(order).no}.x{command.extension}"
    told = ExtensionInformed(
        extension=command.extension,
        unit=held.unit,
        medium=command.medium,
        progress=command.progress,
        call=command.call,
        late=is_late(order, context, ClockName.INFORM_EXTENSION, key),
    )
    return [told, Number("extension_slip", context.law.city_code)]


# --- folding ----------------------------------------------------------------------------------------------------------


def _extension(order: WorkOrder, no: int, **changes: object) -> WorkOrder:
    if not order.episodes or not 0 < no <= len(order.episodes[-1].extensions):
        return order
    return latest_episode(order, extensions=put(order.episodes[-1].extensions, no, **changes))


def on_extension_requested(order: WorkOrder, event: ExtensionRequested, entry: Entry) -> WorkOrder:
    """Fold the request."""
    order = worked(order, entry, event.assignment, own=True)
    if not order.episodes:
        return order
    extensions = order.episodes[-1].extensions
    asked = Extension(
        no=len(extensions) + 1, unit=event.unit, by=entry.actor.user, days=event.days, requested=mark(entry)
    )
    return latest_episode(order, extensions=(*extensions, asked))


def on_extension_approved(order: WorkOrder, event: ExtensionApproved, entry: Entry) -> WorkOrder:
    """Fold the consent, with the days as granted; consent to a request that history lacks is its own request."""
    if order.episodes and event.extension > len(order.episodes[-1].extensions):
        extensions = order.episodes[-1].extensions
        asked = Extension(no=len(extensions) + 1, unit=event.unit, by="", days=event.days, requested=mark(entry))
        order = latest_episode(order, extensions=(*extensions, asked))
    no = min(event.extension, len(order.episodes[-1].extensions)) if order.episodes else 0
    return _extension(order, no, decided=mark(entry), approved=True, decided_by=entry.actor.user, days=event.days)


def on_extension_rejected(order: WorkOrder, event: ExtensionRejected, entry: Entry) -> WorkOrder:
    """Fold the refusal."""
    return _extension(order, event.extension, decided=mark(entry), approved=False, decided_by=entry.actor.user)


def on_extension_informed(order: WorkOrder, event: ExtensionInformed, entry: Entry) -> WorkOrder:
    """Fold the informing; the first counts."""
    order = acted(order, entry)
    if not order.episodes or not 0 < event.extension <= len(order.episodes[-1].extensions):
        return order
    told = order.episodes[-1].extensions[event.extension - 1]
    slip = told.slip or entry.numbered("extension_slip")
    return _extension(order, event.extension, informed=told.informed or mark(entry), slip=slip)


EVOLVES: Mapping[type[Fact], Callable[[WorkOrder, Any, Entry], WorkOrder]] = {
    ExtensionRequested: on_extension_requested,
    ExtensionApproved: on_extension_approved,
    ExtensionRejected: on_extension_rejected,
    ExtensionInformed: on_extension_informed,
}


DECIDES: Mapping[type[Act], Callable[[WorkOrder, Any, Context], Sequence[Step]]] = {
    RequestExtension: request_extension,
    DecideExtension: decide_extension,
    InformExtension: inform_extension,
}
