"""督办事项. What is about a unit or about several orders: circulars, notices to a unit, meetings, inspections, referrals.

One stream is one such matter; the cases it rests on are cited by id. The hand-over of a shift is one too.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

import msgspec

from domain import guards, refusals
from domain.context import Context
from domain.matters import notices
from domain.matters.folding import kind, mark
from domain.matters.matter import CircularKind, Decision, Duty, Matter, MatterKind, copied, new, of_unit, opened
from domain.terms import (
    Act,
    Attachment,
    Citation,
    Code,
    Digest,
    Entry,
    Fact,
    NoticeGround,
    Number,
    Private,
    Role,
    Step,
    Title,
    UnitId,
    UserId,
)

# --- state -------------------------------------------------------------------------------------------------------


# --- events: circulars -------------------------------------------------------------------------------------------


class CircularDrafted(Fact, frozen=True, tag="matter.circular_drafted"):
    """拟稿通报. Figures of every unit for a period, or criticism of one that does not cooperate."""

    circular: CircularKind
    title: Title
    facts: Private
    units: tuple[UnitId, ...]
    ground: NoticeGround | None = None  # of criticism
    article: Citation | None = None  # the rule breached
    period_from: date | None = None
    period_until: date | None = None
    report: UUID | None = None  # the report its figures are from
    orders: tuple[UUID, ...] = ()
    rectify_by: date | None = None  # a statement of rectification is demanded
    attachments: tuple[Attachment, ...] = ()


class CircularApproved(Fact, frozen=True, tag="matter.circular_approved"):
    """通报签批."""

    words: Private | None = None


class CircularRejected(Fact, frozen=True, tag="matter.circular_rejected"):
    """通报不予签批."""

    words: Private


class CircularPublished(Fact, frozen=True, tag="matter.circular_published"):
    """通报. The document went out; its number is the commit's."""

    recipients: tuple[Code, ...]
    content_hash: Digest


# --- events: meetings, inspections, referrals, shifts ------------------------------------------------------------


class MeetingHeld(Fact, frozen=True, tag="matter.meeting_held"):
    """协调会商. About several orders; the minutes (会议纪要) have the commit's number."""

    title: Title
    held_at: datetime
    participants: tuple[UnitId, ...]
    minutes: Digest
    summary: Private
    decisions: tuple[Decision, ...] = ()
    orders: tuple[UUID, ...] = ()


class InspectionRecorded(Fact, frozen=True, tag="matter.inspection_recorded"):
    """检查. Of how a unit works for the hotline, with what it must put right and by when (S2-3)."""

    unit: UnitId
    inspected_on: date
    findings: Private
    rectify_by: date | None = None
    evidence: tuple[Attachment, ...] = ()
    orders: tuple[UUID, ...] = ()


class RectificationReported(Fact, frozen=True, tag="matter.rectification_reported"):
    """整改落实. The unit reports what it put right or carried out."""

    duty: int
    report: Private
    evidence: tuple[Attachment, ...] = ()


class RectificationAccepted(Fact, frozen=True, tag="matter.rectification_accepted"):
    """整改验收."""

    duty: int
    words: Private | None = None


class RectificationRejected(Fact, frozen=True, tag="matter.rectification_rejected"):
    """整改退回. What was called done is not; by a new date where one is given."""

    duty: int
    requirements: Private
    by: date | None = None


class UnitReferred(Fact, frozen=True, tag="matter.unit_referred"):
    """移送问责. The evidence about a unit over several cases went to the supervisory organ (移送函)."""

    unit: UnitId
    to: Code
    ground: NoticeGround
    facts: Private
    bundle: Digest
    orders: tuple[UUID, ...] = ()
    matters: tuple[UUID, ...] = ()  # circulars and notices that were ignored
    head: int = 0  # events under the signed head that the bundle rests on; 0: it was made elsewhere


class ShiftHandedOver(Fact, frozen=True, tag="matter.shift_handed_over"):
    """值班交接. What the next shift takes over: open emergencies, promised call-backs (8.13)."""

    shift: Code
    to: UserId
    open_emergencies: tuple[UUID, ...] = ()
    pending_call_backs: tuple[UUID, ...] = ()
    words: Private | None = None


class ShiftTakenOver(Fact, frozen=True, tag="matter.shift_taken_over"):
    """接班确认. The second person has read what was handed over, and answers for it from now on (8.13)."""

    words: Private | None = None


# --- folding -----------------------------------------------------------------------------------------------------


def _duties(*rows: tuple[UnitId, date | None]) -> tuple[Duty, ...]:
    return tuple(Duty(no=no, unit=unit, by=by) for no, (unit, by) in enumerate(rows, 1))


def on_circular_drafted(matter: Matter | None, event: CircularDrafted, entry: Entry) -> Matter:
    """Fold the draft."""
    demanded = [(unit, event.rectify_by) for unit in event.units] if event.rectify_by is not None else []
    return opened(
        MatterKind.CIRCULAR,
        matter,
        entry,
        title=event.title,
        circular=event.circular,
        units=event.units,
        orders=event.orders,
        duties=_duties(*demanded),
    )


def on_circular_approved(matter: Matter, event: CircularApproved, entry: Entry) -> Matter:
    """Fold the approval."""
    return msgspec.structs.replace(matter, approved=mark(entry))


def on_circular_rejected(matter: Matter, event: CircularRejected, entry: Entry) -> Matter:
    """Fold the refusal: the draft is at its end."""
    return msgspec.structs.replace(matter, rejected=mark(entry), closed=mark(entry))


def on_circular_published(matter: Matter, event: CircularPublished, entry: Entry) -> Matter:
    """Fold the publication; nothing is left to do where no rectification was demanded."""
    over = None if matter.duties else mark(entry)
    return msgspec.structs.replace(matter, published=mark(entry), number=entry.numbered("circular"), closed=over)


def on_meeting_held(matter: Matter | None, event: MeetingHeld, entry: Entry) -> Matter:
    """Fold the meeting; each decision is a duty of its unit."""
    duties = _duties(*((d.unit, d.by) for d in event.decisions))
    return opened(
        MatterKind.MEETING,
        matter,
        entry,
        entry.numbered("minutes"),
        title=event.title,
        units=event.participants,
        orders=event.orders,
        duties=duties,
        closed=None if duties else mark(entry),
    )


def on_inspection_recorded(matter: Matter | None, event: InspectionRecorded, entry: Entry) -> Matter:
    """Fold the inspection; with a date, there is something to put right."""
    duties = _duties((event.unit, event.rectify_by)) if event.rectify_by is not None else ()
    return opened(
        MatterKind.INSPECTION,
        matter,
        entry,
        units=(event.unit,),
        orders=event.orders,
        duties=duties,
        closed=None if duties else mark(entry),
    )


def _duty(matter: Matter, no: int, **changes: object) -> Matter:
    duties = tuple(msgspec.structs.replace(d, **changes) if d.no == no else d for d in matter.duties)
    return msgspec.structs.replace(matter, duties=duties)


def on_rectification_reported(matter: Matter, event: RectificationReported, entry: Entry) -> Matter:
    """Fold the unit's report."""
    return _duty(matter, event.duty, reported=mark(entry), reported_by=entry.actor.user)


def on_rectification_accepted(matter: Matter, event: RectificationAccepted, entry: Entry) -> Matter:
    """Fold the acceptance; the last one ends the matter."""
    matter = _duty(matter, event.duty, accepted=mark(entry))
    done = all(d.accepted is not None for d in matter.duties)
    return msgspec.structs.replace(matter, closed=mark(entry)) if done else matter


def on_rectification_rejected(matter: Matter, event: RectificationRejected, entry: Entry) -> Matter:
    """Fold the refusal: the duty stands as before it was reported."""
    changes: dict[str, object] = {"reported": None, "reported_by": ""}
    if event.by is not None:
        changes["by"] = event.by
    return _duty(matter, event.duty, **changes)


def on_unit_referred(matter: Matter | None, event: UnitReferred, entry: Entry) -> Matter:
    """Fold the referral: of a matter that was ignored, or one of its own."""
    number = entry.numbered("referral")
    if matter is not None:
        return msgspec.structs.replace(matter, referred=mark(entry))
    return opened(
        MatterKind.REFERRAL, None, entry, number, units=(event.unit,), orders=event.orders, referred=mark(entry)
    )


def on_shift_handed_over(matter: Matter | None, event: ShiftHandedOver, entry: Entry) -> Matter:
    """Fold the hand-over; it stands open until the second person has taken over."""
    return opened(MatterKind.SHIFT, matter, entry, orders=event.open_emergencies, to=event.to)


def on_shift_taken_over(matter: Matter, event: ShiftTakenOver, entry: Entry) -> Matter:
    """Fold that it was taken over: nothing is left to do about it here."""
    return msgspec.structs.replace(matter, taken_over=mark(entry), closed=mark(entry))


# --- commands ----------------------------------------------------------------------------------------------------

_MANAGER = frozenset({Role.HOTLINE_MANAGER})
_SUPERVISING = frozenset({Role.SUPERVISOR, Role.HOTLINE_MANAGER, Role.COORDINATOR})


class DraftCircular(Act, frozen=True, tag="draft_circular"):
    """拟稿通报."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.HOTLINE_MANAGER, Role.SUPERVISOR})
    creates: ClassVar[str] = "matter"
    circular: CircularKind
    title: Title
    facts: Private
    units: tuple[UnitId, ...]
    ground: NoticeGround | None = None
    article: Citation | None = None
    period_from: date | None = None
    period_until: date | None = None
    report: UUID | None = None
    orders: tuple[UUID, ...] = ()
    rectify_by: date | None = None
    attachments: tuple[Attachment, ...] = ()


class ApproveCircular(Act, frozen=True, tag="approve_circular"):
    """签批通报. Criticism by a leader; figures by the hotline's management."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.LEADER, Role.HOTLINE_MANAGER})
    words: Private | None = None


class RejectCircular(Act, frozen=True, tag="reject_circular"):
    """不予签批通报."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.LEADER, Role.HOTLINE_MANAGER})
    words: Private


class PublishCircular(Act, frozen=True, tag="publish_circular"):
    """印发通报."""

    roles: ClassVar[frozenset[Role]] = _MANAGER
    recipients: tuple[Code, ...]
    content_hash: Digest


class RecordMeeting(Act, frozen=True, tag="record_meeting"):
    """登记会商. About several orders."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.HOTLINE_MANAGER, Role.COORDINATOR})
    creates: ClassVar[str] = "matter"
    title: Title
    held_at: datetime
    participants: tuple[UnitId, ...]
    minutes: Digest
    summary: Private
    decisions: tuple[Decision, ...] = ()
    orders: tuple[UUID, ...] = ()


class RecordInspection(Act, frozen=True, tag="record_inspection"):
    """登记检查."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.HOTLINE_MANAGER, Role.SUPERVISOR})
    creates: ClassVar[str] = "matter"
    unit: UnitId
    inspected_on: date
    findings: Private
    rectify_by: date | None = None
    evidence: tuple[Attachment, ...] = ()
    orders: tuple[UUID, ...] = ()


class ReportRectification(Act, frozen=True, tag="report_rectification"):
    """报告整改落实."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_APPROVER})
    duty: int
    report: Private
    evidence: tuple[Attachment, ...] = ()


class AcceptRectification(Act, frozen=True, tag="accept_rectification"):
    """整改验收."""

    roles: ClassVar[frozenset[Role]] = _SUPERVISING
    duty: int
    words: Private | None = None


class RejectRectification(Act, frozen=True, tag="reject_rectification"):
    """退回整改."""

    roles: ClassVar[frozenset[Role]] = _SUPERVISING
    duty: int
    requirements: Private
    by: date | None = None


class ReferUnit(Act, frozen=True, tag="refer_unit"):
    """移送单位问责. On a matter that was ignored, or as one of its own."""

    roles: ClassVar[frozenset[Role]] = _MANAGER
    creates: ClassVar[str] = "matter"
    unit: UnitId
    to: Code
    ground: NoticeGround
    facts: Private
    bundle: Digest
    orders: tuple[UUID, ...] = ()
    matters: tuple[UUID, ...] = ()
    head: int = 0


class HandOverShift(Act, frozen=True, tag="hand_over_shift"):
    """值班交接."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.AGENT, Role.DISPATCHER, Role.HOTLINE_MANAGER})
    creates: ClassVar[str] = "matter"
    shift: Code
    to: UserId
    open_emergencies: tuple[UUID, ...] = ()
    pending_call_backs: tuple[UUID, ...] = ()
    words: Private | None = None


class TakeOverShift(Act, frozen=True, tag="take_over_shift"):
    """接班确认. By the person that the shift was handed over to."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.AGENT, Role.DISPATCHER, Role.HOTLINE_MANAGER})
    words: Private | None = None


# --- deciding: circulars -----------------------------------------------------------------------------------------


def draft_circular(matter: Matter | None, command: DraftCircular, context: Context) -> list[Step]:
    """Draft a circular: criticism names its cause and units, figures their period."""
    new(matter)
    if not command.units:
        raise refusals.UnitsMissing
    for unit in command.units:
        guards.active_unit(unit, context)
    if command.circular is CircularKind.CRITICISM:
        if command.ground is None:
            raise refusals.ReasonMissing("ground")
    elif command.period_from is None or command.period_until is None:
        raise refusals.PeriodMissing
    if command.rectify_by is not None and guards.day_over(context, command.rectify_by):
        raise refusals.LimitInPast("rectify_by")
    return [copied(CircularDrafted, command)]


def _draft(matter: Matter, context: Context) -> None:
    """Refuse unless a draft waits for this second person: a leader for criticism, the management for figures."""
    if matter.circular is None or matter.approved is not None or matter.rejected is not None:
        raise refusals.NoSuchProposal
    wanted = Role.LEADER if matter.circular is CircularKind.CRITICISM else Role.HOTLINE_MANAGER
    if context.actor.role is not wanted:
        raise refusals.NotThisIssuer(f"{matter.circular}: {wanted}")
    guards.another_person(context, matter.opened_by)


def approve_circular(matter: Matter, command: ApproveCircular, context: Context) -> list[Step]:
    """Approve a draft somebody else wrote."""
    _draft(matter, context)
    return [CircularApproved(words=command.words)]


def reject_circular(matter: Matter, command: RejectCircular, context: Context) -> list[Step]:
    """Turn a draft down."""
    _draft(matter, context)
    return [CircularRejected(words=command.words)]


def publish_circular(matter: Matter, command: PublishCircular, context: Context) -> list[Step]:
    """Publish an approved circular once, and number it."""
    if matter.circular is None or matter.approved is None:
        raise refusals.NotApproved
    if matter.published is not None:
        raise refusals.AlreadyPublished(matter.number)
    if not command.recipients:
        raise refusals.RecipientsMissing
    published = CircularPublished(recipients=command.recipients, content_hash=command.content_hash)
    return [published, Number("circular")]


# --- deciding: meetings, inspections, rectification, referral, shifts --------------------------------------------


def record_meeting(matter: Matter | None, command: RecordMeeting, context: Context) -> list[Step]:
    """Record the meeting, and number its minutes."""
    new(matter)
    guards.not_ahead(context, command.held_at)
    if not command.participants:
        raise refusals.UnitsMissing
    for decision in command.decisions:
        guards.active_unit(decision.unit, context)
    return [copied(MeetingHeld, command), Number("minutes")]


def record_inspection(matter: Matter | None, command: RecordInspection, context: Context) -> list[Step]:
    """Record the inspection."""
    new(matter)
    guards.active_unit(command.unit, context)
    if command.rectify_by is not None and command.rectify_by < command.inspected_on:
        raise refusals.IntervalEmpty
    return [copied(InspectionRecorded, command)]


def _duty_of(matter: Matter, no: int) -> Duty:
    """Return the duty that stands; of a circular only once it is out."""
    waits = matter.circular is not None and matter.published is None
    if waits or not 0 < no <= len(matter.duties) or matter.duties[no - 1].accepted is not None:
        raise refusals.NoSuchDuty(f"duty: {no}")
    return matter.duties[no - 1]


def report_rectification(matter: Matter, command: ReportRectification, context: Context) -> list[Step]:
    """Record what the unit put right, late or not."""
    duty = _duty_of(matter, command.duty)
    of_unit(duty.unit, context)
    if duty.reported is not None:
        raise refusals.AlreadyReported(f"duty: {duty.no}")
    return [RectificationReported(duty=duty.no, report=command.report, evidence=command.evidence)]


def _reported(matter: Matter, no: int, context: Context) -> Duty:
    duty = _duty_of(matter, no)
    if duty.reported is None:
        raise refusals.NothingReplied(f"duty: {no}")
    guards.another_person(context, duty.reported_by)
    return duty


def accept_rectification(matter: Matter, command: AcceptRectification, context: Context) -> list[Step]:
    """Accept it."""
    duty = _reported(matter, command.duty, context)
    return [RectificationAccepted(duty=duty.no, words=command.words)]


def reject_rectification(matter: Matter, command: RejectRectification, context: Context) -> list[Step]:
    """Send it back."""
    duty = _reported(matter, command.duty, context)
    if command.by is not None and guards.day_over(context, command.by):
        raise refusals.LimitInPast("by")
    return [RectificationRejected(duty=duty.no, requirements=command.requirements, by=command.by)]


def refer_unit(matter: Matter | None, command: ReferUnit, context: Context) -> list[Step]:
    """Hand the evidence about a unit over to the supervisory organ, and number the letter."""
    if matter is not None and (matter.referred is not None or command.unit not in matter.units):
        raise refusals.NotResponsible(f"unit: {command.unit}", unit=command.unit)
    if context.law.unit(command.unit) is None:
        raise refusals.UnknownUnit(command.unit)
    return [copied(UnitReferred, command), Number("referral")]


def hand_over_shift(matter: Matter | None, command: HandOverShift, context: Context) -> list[Step]:
    """Record the hand-over, to another person."""
    new(matter)
    guards.another_person(context, command.to)
    return [copied(ShiftHandedOver, command)]


def take_over_shift(matter: Matter, command: TakeOverShift, context: Context) -> list[Step]:
    """Record that the next person took over, once; only whom the hand-over names can."""
    if matter.what is not MatterKind.SHIFT:
        raise refusals.NoShift
    if matter.taken_over is not None:
        raise refusals.ShiftTakenOverAlready
    guards.another_person(context, matter.opened_by)
    if context.actor.user != matter.to:
        raise refusals.HandedToAnother(f"to: {matter.to}")
    return [copied(ShiftTakenOver, command)]


KIND = kind(
    "matter",
    births={
        **notices.BIRTHS,
        CircularDrafted: on_circular_drafted,
        MeetingHeld: on_meeting_held,
        InspectionRecorded: on_inspection_recorded,
        UnitReferred: on_unit_referred,
        ShiftHandedOver: on_shift_handed_over,
    },
    evolves={
        **notices.EVOLVES,
        CircularApproved: on_circular_approved,
        CircularRejected: on_circular_rejected,
        CircularPublished: on_circular_published,
        RectificationReported: on_rectification_reported,
        RectificationAccepted: on_rectification_accepted,
        RectificationRejected: on_rectification_rejected,
        ShiftTakenOver: on_shift_taken_over,
    },
    opens={
        **notices.OPENS,
        DraftCircular: draft_circular,
        RecordMeeting: record_meeting,
        RecordInspection: record_inspection,
        ReferUnit: refer_unit,
        HandOverShift: hand_over_shift,
    },
    decides={
        **notices.DECIDES,
        ApproveCircular: approve_circular,
        RejectCircular: reject_circular,
        PublishCircular: publish_circular,
        ReportRectification: report_rectification,
        AcceptRectification: accept_rectification,
        RejectRectification: reject_rectification,
        TakeOverShift: take_over_shift,
    },
)
