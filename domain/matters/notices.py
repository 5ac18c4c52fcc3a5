"""致单位督办. Supervision of a unit as such: concentrated problems, low evaluation, prevarication."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, NamedTuple
from uuid import UUID

import msgspec

from domain import guards, refusals
from domain.calendar import DEFAULT, Due
from domain.context import Context
from domain.law import Law
from domain.matters.folding import Fold, Rule, mark
from domain.matters.matter import Matter, MatterKind, UnitNotice, ahead, copied, new, of_unit, opened
from domain.steps.oversight import NEXT
from domain.terms import (
    Act,
    Attachment,
    Citation,
    Code,
    Entry,
    Fact,
    Limit,
    Mark,
    Medium,
    NoticeGround,
    NoticeKind,
    NoticeState,
    NoticeWithdrawal,
    Number,
    Participant,
    Private,
    Role,
    Step,
    UnitId,
)

# --- events ----------------------------------------------------------------------------------------------------------


class UnitNoticeIssued(Fact, frozen=True, tag="matter.unit_notice_issued"):
    """签发致单位督办. For concentrated problems, low evaluation, prevarication: about a unit, not one case."""

    kind: NoticeKind
    ground: NoticeGround
    unit: UnitId
    facts: Private
    demand: Private
    limit: Limit | None = None
    arrive_by: datetime | None = None
    served_by_system: bool = False
    place: Code | None = None
    article: Citation | None = None
    copies: tuple[UnitId, ...] = ()
    participants: tuple[Participant, ...] = ()
    press_summary: Private | None = None
    orders: tuple[UUID, ...] = ()
    follows: UUID | None = None  # the matter it escalates


class UnitNoticeServed(Fact, frozen=True, tag="matter.unit_notice_served"):
    """送达. Anew where what was sent to the unit's system did not arrive; `undelivered` says why."""

    medium: Medium
    person: Private | None = None
    undelivered: Private | None = None


class UnitArrived(Fact, frozen=True, tag="matter.unit_arrived"):
    """到场. The unit came to where on-site supervision called it, and responsibilities were divided."""

    arrived_at: datetime
    people: Private | None = None
    record: Private | None = None
    evidence: tuple[Attachment, ...] = ()


class UnitNoticeReplied(Fact, frozen=True, tag="matter.unit_notice_replied"):
    """整改报告. The unit's written reply."""

    report: Private
    evidence: tuple[Attachment, ...] = ()


class UnitNoticeAccepted(Fact, frozen=True, tag="matter.unit_notice_accepted"):
    """整改报告通过."""

    words: Private | None = None


class UnitNoticeRejected(Fact, frozen=True, tag="matter.unit_notice_rejected"):
    """整改报告退回. The notice is issued again with the full time to reply."""

    requirements: Private
    limit: Limit
    served_by_system: bool = False


class UnitNoticeEscalated(Fact, frozen=True, tag="matter.unit_notice_escalated"):
    """督办升级. To another matter: the next notice, or a circular."""

    to: NoticeKind
    ground: NoticeGround
    matter: UUID | None = None


class UnitNoticeWithdrawn(Fact, frozen=True, tag="matter.unit_notice_withdrawn"):
    """撤销督办."""

    reason: NoticeWithdrawal
    words: Private | None = None


class UnitNoticeClosed(Fact, frozen=True, tag="matter.unit_notice_closed"):
    """销号."""

    words: Private | None = None


# --- folding ---------------------------------------------------------------------------------------------------------


def on_unit_notice_issued(matter: Matter | None, event: UnitNoticeIssued, entry: Entry) -> Matter:
    """Fold the notice."""
    served = mark(entry) if event.served_by_system else None
    notice = UnitNotice(
        kind=event.kind,
        ground=event.ground,
        limit=event.limit,
        arrive_by=event.arrive_by,
        state=NoticeState.SERVED if served else NoticeState.ISSUED,
        served=served,
        by_system=event.served_by_system,
    )
    return opened(
        MatterKind.NOTICE,
        matter,
        entry,
        entry.numbered("supervision"),
        units=(event.unit,),
        orders=event.orders,
        notice=notice,
    )


def _notice(matter: Matter, **changes: object) -> Matter:
    if matter.notice is None:
        return matter
    return msgspec.structs.replace(matter, notice=msgspec.structs.replace(matter.notice, **changes))


def on_unit_notice_served(matter: Matter, event: UnitNoticeServed, entry: Entry) -> Matter:
    """Fold the service."""
    return _notice(matter, served=mark(entry), by_system=False, state=NoticeState.SERVED)


def on_unit_arrived(matter: Matter, event: UnitArrived, entry: Entry) -> Matter:
    """Fold the arrival, at the instant it happened."""
    return _notice(matter, arrived=Mark(event.arrived_at, entry.position))


def on_unit_notice_replied(matter: Matter, event: UnitNoticeReplied, entry: Entry) -> Matter:
    """Fold the reply; who replies has been served."""
    at = mark(entry)
    served = at if matter.notice is None else matter.notice.served or at
    return _notice(matter, served=served, replied=at, replied_by=entry.actor.user, state=NoticeState.REPLIED)


def on_unit_notice_accepted(matter: Matter, event: UnitNoticeAccepted, entry: Entry) -> Matter:
    """Fold the acceptance."""
    return _notice(matter, accepted=mark(entry), state=NoticeState.ACCEPTED)


def on_unit_notice_rejected(matter: Matter, event: UnitNoticeRejected, entry: Entry) -> Matter:
    """Fold the next turn."""
    notice = matter.notice
    if notice is None:
        return matter
    again = _notice(
        matter,
        earlier=(*notice.earlier, (notice.served, notice.replied, notice.limit)),
        turn=notice.turn + 1,
        served=mark(entry) if event.served_by_system else None,
        by_system=event.served_by_system,
        replied=None,
        replied_by="",
        limit=event.limit,
        state=NoticeState.SERVED if event.served_by_system else NoticeState.ISSUED,
    )
    return msgspec.structs.replace(again, number=entry.numbered("supervision") or matter.number)


def _over(matter: Matter, state: NoticeState, entry: Entry) -> Matter:
    return msgspec.structs.replace(_notice(matter, state=state), closed=mark(entry))


def on_unit_notice_escalated(matter: Matter, event: UnitNoticeEscalated, entry: Entry) -> Matter:
    """Fold the end of an ignored notice."""
    return _over(matter, NoticeState.ESCALATED, entry)


def on_unit_notice_withdrawn(matter: Matter, event: UnitNoticeWithdrawn, entry: Entry) -> Matter:
    """Fold the withdrawal."""
    return _over(matter, NoticeState.WITHDRAWN, entry)


def on_unit_notice_closed(matter: Matter, event: UnitNoticeClosed, entry: Entry) -> Matter:
    """Fold the end of a notice that was obeyed."""
    return _over(matter, NoticeState.CLOSED, entry)


# --- commands --------------------------------------------------------------------------------------------------------

_SUPERVISING = frozenset({Role.SUPERVISOR, Role.HOTLINE_MANAGER, Role.COORDINATOR})


class IssueUnitNotice(Act, frozen=True, tag="issue_unit_notice"):
    """签发致单位督办."""

    roles: ClassVar[frozenset[Role]] = _SUPERVISING
    creates: ClassVar[str] = "matter"
    kind: NoticeKind
    ground: NoticeGround
    unit: UnitId
    facts: Private
    demand: Private
    limit: Limit | None = None
    arrive_by: datetime | None = None
    on_paper: bool = False
    place: Code | None = None
    article: Citation | None = None
    copies: tuple[UnitId, ...] = ()
    participants: tuple[Participant, ...] = ()
    press_summary: Private | None = None
    orders: tuple[UUID, ...] = ()
    follows: UUID | None = None


class ServeUnitNotice(Act, frozen=True, tag="serve_unit_notice"):
    """送达致单位督办. Also anew, where what the system sent did not arrive."""

    roles: ClassVar[frozenset[Role]] = _SUPERVISING
    medium: Medium
    person: Private | None = None
    undelivered: Private | None = None  # why it did not arrive: the time to reply begins with this service (8.6)


class RecordUnitArrival(Act, frozen=True, tag="record_unit_arrival"):
    """登记到场. By the unit, or as seen on the spot."""

    roles: ClassVar[frozenset[Role]] = _SUPERVISING | {Role.ORG_HANDLER, Role.ORG_APPROVER}
    arrived_at: datetime
    people: Private | None = None
    record: Private | None = None
    evidence: tuple[Attachment, ...] = ()


class ReplyUnitNotice(Act, frozen=True, tag="reply_unit_notice"):
    """提交整改报告."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_APPROVER})
    report: Private
    evidence: tuple[Attachment, ...] = ()


class AcceptUnitReply(Act, frozen=True, tag="accept_unit_reply"):
    """通过整改报告."""

    roles: ClassVar[frozenset[Role]] = _SUPERVISING
    words: Private | None = None


class RejectUnitReply(Act, frozen=True, tag="reject_unit_reply"):
    """退回整改报告. Without a limit, with the one it had."""

    roles: ClassVar[frozenset[Role]] = _SUPERVISING
    requirements: Private
    limit: Limit | None = None
    on_paper: bool = False


class EscalateUnitNotice(Act, frozen=True, tag="escalate_unit_notice"):
    """升级致单位督办. Names the matter that follows, once it exists."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.HOTLINE_MANAGER})
    to: NoticeKind
    ground: NoticeGround
    matter: UUID | None = None


class WithdrawUnitNotice(Act, frozen=True, tag="withdraw_unit_notice"):
    """撤销致单位督办."""

    roles: ClassVar[frozenset[Role]] = _SUPERVISING
    reason: NoticeWithdrawal
    words: Private | None = None


class CloseUnitNotice(Act, frozen=True, tag="close_unit_notice"):
    """致单位督办销号."""

    roles: ClassVar[frozenset[Role]] = _SUPERVISING
    words: Private | None = None


# --- deciding --------------------------------------------------------------------------------------------------------


_ISSUERS: dict[NoticeKind, frozenset[Role]] = {
    NoticeKind.WRITTEN: frozenset({Role.SUPERVISOR}),
    NoticeKind.SPECIAL: frozenset({Role.HOTLINE_MANAGER}),
    NoticeKind.ONSITE: frozenset({Role.HOTLINE_MANAGER}),
    NoticeKind.MEETING: frozenset({Role.HOTLINE_MANAGER, Role.COORDINATOR}),
}


def issue_unit_notice(matter: Matter | None, command: IssueUnitNotice, context: Context) -> list[Step]:
    """Issue a notice to a unit; it states by when to reply, or by when to come."""
    new(matter)
    if command.kind not in _ISSUERS:
        raise refusals.NoticeKindNotHere(command.kind)
    if context.actor.role not in _ISSUERS[command.kind]:
        raise refusals.NotThisIssuer(f"{command.kind}: {', '.join(sorted(_ISSUERS[command.kind]))}")
    guards.active_unit(command.unit, context)
    ahead(command.limit, context)
    if command.kind is NoticeKind.ONSITE:
        if command.arrive_by is None:
            raise refusals.LimitRequired("arrive_by")
        if context.passed(command.arrive_by):
            raise refusals.LimitInPast("arrive_by")
        if Participant.MEDIA in command.participants and not guards.said(command.press_summary):
            raise refusals.PressSummaryMissing
    elif command.limit is None:
        raise refusals.LimitRequired
    at_once = not command.on_paper and guards.within_reach(command.unit, context)
    issued = copied(UnitNoticeIssued, command, served_by_system=at_once)
    return [issued, Number("supervision")]


def _standing(matter: Matter) -> UnitNotice:
    if matter.notice is None:
        raise refusals.NoSuchNotice
    if matter.closed is not None:
        raise refusals.NoticeOver(f"{matter.notice.state}")
    return matter.notice


def serve_unit_notice(matter: Matter, command: ServeUnitNotice, context: Context) -> list[Step]:
    """Record the service; also where what was sent did not arrive, until the unit has answered."""
    notice = _standing(matter)
    lost = notice.by_system and notice.replied is None and notice.arrived is None and guards.said(command.undelivered)
    if notice.served is not None and not lost:
        raise refusals.AlreadyServed
    until = None if notice.limit is None else notice.limit.until
    if context.passed(until) or context.passed(notice.arrive_by):
        raise refusals.LimitInPast("须撤销后重新签发 withdraw it and issue it anew")  # its time was over when it came
    if command.medium is Medium.PHONE and not guards.said(command.person):
        raise refusals.PersonMissing(guards.reached_at(matter.units[0], context))
    undelivered = command.undelivered if lost else None
    return [UnitNoticeServed(medium=command.medium, person=command.person, undelivered=undelivered)]


def record_unit_arrival(matter: Matter, command: RecordUnitArrival, context: Context) -> list[Step]:
    """Record the arrival, late or not."""
    notice = _standing(matter)
    if context.actor.role not in _SUPERVISING:
        of_unit(matter.units[0], context)
    if notice.arrive_by is None:
        raise refusals.NoSuchNotice
    if notice.arrived is not None:
        raise refusals.AlreadyArrived
    guards.not_ahead(context, command.arrived_at)
    if command.arrived_at < matter.opened.at:
        raise refusals.ArrivedBeforeCalled(f"{matter.opened.at.isoformat()}")
    return [copied(UnitArrived, command)]


def reply_unit_notice(matter: Matter, command: ReplyUnitNotice, context: Context) -> list[Step]:
    """Record the unit's report, late or not."""
    notice = _standing(matter)
    of_unit(matter.units[0], context)
    if notice.replied is not None:
        raise refusals.AlreadyReplied
    return [UnitNoticeReplied(report=command.report, evidence=command.evidence)]


def _replied(matter: Matter, context: Context) -> UnitNotice:
    notice = _standing(matter)
    if notice.replied is None or notice.accepted is not None:
        raise refusals.NothingReplied
    guards.another_person(context, notice.replied_by)
    return notice


def accept_unit_reply(matter: Matter, command: AcceptUnitReply, context: Context) -> list[Step]:
    """Accept the report."""
    _replied(matter, context)
    return [UnitNoticeAccepted(words=command.words)]


def reject_unit_reply(matter: Matter, command: RejectUnitReply, context: Context) -> list[Step]:
    """Issue the notice again."""
    limit = command.limit or _replied(matter, context).limit
    _replied(matter, context)
    if limit is None:
        raise refusals.LimitRequired
    ahead(limit, context)
    at_once = not command.on_paper and guards.within_reach(matter.units[0], context)
    again = UnitNoticeRejected(requirements=command.requirements, limit=limit, served_by_system=at_once)
    return [again, Number("supervision")]


def reply_due(matter: Matter, context: Context) -> datetime | None:
    """Return when the unit's reply or arrival falls due; None before service and where nothing is asked."""
    notice = matter.notice
    if notice is None or matter.closed is not None:
        return None
    if notice.arrive_by is not None and notice.arrived is None:
        return None if notice.served is None else notice.arrive_by  # nobody comes who was not called (8.6)
    return None if notice.replied is not None else answer_due(notice, context.law)


def answer_due(notice: UnitNotice, law: Law) -> datetime | None:
    """Return when the reply to a notice falls due, counted from its service; None where none is asked for."""
    found = counted_from(notice.served, notice.limit, None, law)
    return None if found is None else found.at


def counted_from(served: Mark | None, limit: Limit | None, ended: Mark | None, law: Law) -> Due | None:
    """Return when a limit falls due that is counted from the service of a notice; None before it or without a limit."""
    if served is None or limit is None:
        return None
    pack = law.policies.base.at(served.at)
    kernel = DEFAULT if pack is None else law.rules(pack).kernel  # on a day without a pack as most packs count
    return law.calendar(None if ended is None else ended.at).due(served.at, limit, kernel)


class Turn(NamedTuple):
    """答复轮次. One reply that a notice to a unit asked for: until when, and what came of it."""

    due: Due
    replied: Mark | None
    dropped: Mark | None  # withdrawn, escalated or closed while nothing had come


def turns(matter: Matter, law: Law) -> tuple[Turn, ...]:
    """Return every reply that a notice to a unit asked for: a rejected one asks for another."""
    notice = matter.notice
    if notice is None:
        return ()
    found: list[Turn] = []
    for served, replied, limit in (*notice.earlier, (notice.served, notice.replied, notice.limit)):
        dropped = matter.closed if replied is None else None
        due = counted_from(served, limit, replied or dropped, law)  # what has ended keeps the calendar of then (K11)
        if due is not None:
            found.append(Turn(due, replied, dropped))
    return tuple(found)


def escalate_unit_notice(matter: Matter, command: EscalateUnitNotice, context: Context) -> list[Step]:
    """Take the next step after an ignored notice; the following matter is opened by itself and names this one."""
    notice = _standing(matter)
    if command.ground is NoticeGround.NOTICE_IGNORED and not context.passed(reply_due(matter, context)):
        raise refusals.NotIgnored
    if command.to not in NEXT.get(notice.kind, frozenset()):
        raise refusals.StepSkipped(f"{notice.kind} → {command.to}")
    return [UnitNoticeEscalated(to=command.to, ground=command.ground, matter=command.matter)]


def withdraw_unit_notice(matter: Matter, command: WithdrawUnitNotice, context: Context) -> list[Step]:
    """Withdraw the notice; that it was issued stays on record."""
    _standing(matter)
    if command.reason is NoticeWithdrawal.ISSUED_IN_ERROR and not guards.said(command.words):
        raise refusals.ReasonMissing
    return [UnitNoticeWithdrawn(reason=command.reason, words=command.words)]


def close_unit_notice(matter: Matter, command: CloseUnitNotice, context: Context) -> list[Step]:
    """Strike it off once the report is accepted, or the unit came."""
    notice = _standing(matter)
    if notice.limit is not None and notice.accepted is None:
        raise refusals.NoticeUnanswered
    if notice.arrive_by is not None and notice.arrived is None:
        raise refusals.NoticeUnanswered
    return [UnitNoticeClosed(words=command.words)]


BIRTHS: Mapping[type[Fact], Fold] = {
    UnitNoticeIssued: on_unit_notice_issued,
}
EVOLVES: Mapping[type[Fact], Fold] = {
    UnitNoticeServed: on_unit_notice_served,
    UnitArrived: on_unit_arrived,
    UnitNoticeReplied: on_unit_notice_replied,
    UnitNoticeAccepted: on_unit_notice_accepted,
    UnitNoticeRejected: on_unit_notice_rejected,
    UnitNoticeEscalated: on_unit_notice_escalated,
    UnitNoticeWithdrawn: on_unit_notice_withdrawn,
    UnitNoticeClosed: on_unit_notice_closed,
}
OPENS: Mapping[type[Act], Rule] = {
    IssueUnitNotice: issue_unit_notice,
}
DECIDES: Mapping[type[Act], Rule] = {
    ServeUnitNotice: serve_unit_notice,
    RecordUnitArrival: record_unit_arrival,
    ReplyUnitNotice: reply_unit_notice,
    AcceptUnitReply: accept_unit_reply,
    RejectUnitReply: reject_unit_reply,
    EscalateUnitNotice: escalate_unit_notice,
    WithdrawUnitNotice: withdraw_unit_notice,
    CloseUnitNotice: close_unit_notice,
}
