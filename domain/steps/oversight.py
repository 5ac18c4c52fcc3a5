"""督办. Notices about one case, and the special reports that a leader approves.

A notice never changes the clock it is about. Its own duty begins when it is served (8.6). `ClockBreached` of the
catalogue is no event: a breach is a function of events and law (K13), so it is derived by `domain.clocks` and listed
by projections, and nothing has to be taken back when a calendar is revised or an outage declared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from domain import guards, refusals
from domain.clocks import Clock, clocks
from domain.context import Context
from domain.state import Notice, WorkOrder, pending, propose, put, settle
from domain.terms import (
    Act,
    Attachment,
    Citation,
    ClockName,
    Code,
    Confidentiality,
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

# --- events: notices ---------------------------------------------------------------------------------------------


class SupervisionNoticeIssued(Fact, frozen=True, tag="order.supervision_notice_issued"):
    """签发督办文书. A unit is told to act, report or come; the number on paper is the commit's."""

    kind: NoticeKind
    ground: NoticeGround
    unit: UnitId
    clock: ClockName | None = None  # the clock it is about
    clock_key: str = ""
    episode: int | None = None
    limit: Limit | None = None  # reply by; None: it is satisfied by acting
    arrive_by: datetime | None = None
    served_by_system: bool = False  # recorded as issued to the unit's system, and thereby served (8.6)
    facts: Private | None = None
    demand: Private | None = None  # what is required
    article: Citation | None = None
    copies: tuple[UnitId, ...] = ()
    place: Code | None = None  # where to come to
    participants: tuple[Participant, ...] = ()
    press_summary: Private | None = None  # what news media are given: no personal data (S2-32)
    reminder: Code | None = None  # which reminder of its clock this is
    instruction: int | None = None
    special_report: int | None = None
    follows: int | None = None  # the notice it escalates


class SupervisionNoticeServed(Fact, frozen=True, tag="order.supervision_notice_served"):
    """送达. The unit was told: by phone with the name of the person told, or by handing the paper over.

    `undelivered` says why what was sent to the unit's system did not arrive: this service then stands for it.
    """

    notice: int
    medium: Medium
    person: Private | None = None
    undelivered: Private | None = None


class SupervisionReplySubmitted(Fact, frozen=True, tag="order.supervision_reply_submitted"):
    """督办回复. The unit states the cause, what it does, and by when."""

    notice: int
    cause: Private
    measures: Private | None = None
    new_date: date | None = None
    evidence: tuple[Attachment, ...] = ()


class SupervisionReplyAccepted(Fact, frozen=True, tag="order.supervision_reply_accepted"):
    """督办回复通过."""

    notice: int
    words: Private | None = None


class SupervisionReplyRejected(Fact, frozen=True, tag="order.supervision_reply_rejected"):
    """督办回复退回. The notice is issued again, with the full time to reply."""

    notice: int
    requirements: Private
    limit: Limit
    served_by_system: bool = False


class SupervisionEscalated(Fact, frozen=True, tag="order.supervision_escalated"):
    """督办升级. The notice was ignored; the next step follows: another notice, or a circular about the unit."""

    notice: int
    to: NoticeKind
    ground: NoticeGround
    matter: UUID | None = None  # the circular's stream


class SupervisionNoticeWithdrawn(Fact, frozen=True, tag="order.supervision_notice_withdrawn"):
    """撤销督办."""

    notice: int
    reason: NoticeWithdrawal
    words: Private | None = None


class SupervisionClosed(Fact, frozen=True, tag="order.supervision_closed"):
    """销号. What the notice demanded was done."""

    notice: int
    words: Private | None = None


# --- events: special reports -----------------------------------------------------------------------------------------


class SpecialReportDrafted(Fact, frozen=True, tag="order.special_report_drafted"):
    """拟稿督办专报. Functions are blank or could not be coordinated: a leader is asked to approve a special report."""

    unit: UnitId
    ground: NoticeGround
    limit: Limit
    facts: Private
    demand: Private
    copies: tuple[UnitId, ...] = ()


class SpecialReportApproved(Fact, frozen=True, tag="order.special_report_approved"):
    """专报签批. A leader approved the draft; it may be issued."""

    special_report: int
    words: Private | None = None


class SpecialReportRejected(Fact, frozen=True, tag="order.special_report_rejected"):
    """专报不予签批."""

    special_report: int
    words: Private


# --- folding -----------------------------------------------------------------------------------------------------


def mark(entry: Entry) -> Mark:
    """Return the moment of an entry."""
    return Mark(entry.at, entry.position)


def seen(order: WorkOrder, **changes: object) -> WorkOrder:
    """Return the order with its oversight changed."""
    return msgspec.structs.replace(order, oversight=msgspec.structs.replace(order.oversight, **changes))


def _notice(order: WorkOrder, no: int, **changes: object) -> WorkOrder:
    """Return the order with notice `no` changed; unchanged where history lacks it."""
    notices = order.oversight.notices
    return seen(order, notices=put(notices, no, **changes)) if 0 < no <= len(notices) else order


def notice_of(order: WorkOrder, no: int) -> Notice | None:
    """Return the notice of that ordinal; None where there is none."""
    notices = order.oversight.notices
    return notices[no - 1] if 0 < no <= len(notices) else None


JOURNALS: Mapping[NoticeKind, str] = {
    NoticeKind.REMINDER: "urging",  # 催办单
    NoticeKind.SPECIAL_REPORT_DOWN: "special_report",  # 督办专报
}
"""The numbered series of papers; every other kind is a 督办通知书."""


def _journal(kind: NoticeKind) -> str:
    return JOURNALS.get(kind, "supervision")


def on_notice_issued(order: WorkOrder, event: SupervisionNoticeIssued, entry: Entry) -> WorkOrder:
    """Fold the notice. A reminder asks for no reply: once served, nothing has to happen about it but acting."""
    at = mark(entry)
    served = at if event.served_by_system else None
    over = served if event.kind is NoticeKind.REMINDER else None
    notice = Notice(
        no=len(order.oversight.notices) + 1,
        kind=event.kind,
        ground=event.ground,
        unit=event.unit,
        issued=at,
        issued_by=entry.actor.user,
        clock=event.clock,
        clock_key=event.clock_key,
        episode=event.episode,
        state=NoticeState.CLOSED if over else NoticeState.SERVED if served else NoticeState.ISSUED,
        limit=event.limit,
        arrive_by=event.arrive_by,
        served=served,
        by_system=event.served_by_system,
        closed=over,
        number=entry.numbered(_journal(event.kind)),
        reminder=event.reminder or "",
        instruction=event.instruction,
        special_report=event.special_report,
    )
    order = seen(order, notices=(*order.oversight.notices, notice))
    return _notice(order, event.follows, escalated_to=notice.no) if event.follows is not None else order


def on_notice_served(order: WorkOrder, event: SupervisionNoticeServed, entry: Entry) -> WorkOrder:
    """Fold the service; what did not arrive by the system was not served before."""
    notice = notice_of(order, event.notice)
    if notice is None or (notice.served is not None and event.undelivered is None):
        return order
    at = mark(entry)
    if notice.kind is NoticeKind.REMINDER:
        return _notice(order, notice.no, served=at, state=NoticeState.CLOSED, closed=at)
    return _notice(order, notice.no, served=at, by_system=False, state=NoticeState.SERVED)


def on_notice_replied(order: WorkOrder, event: SupervisionReplySubmitted, entry: Entry) -> WorkOrder:
    """Fold the reply; who replies has been served."""
    notice, at = notice_of(order, event.notice), mark(entry)
    if notice is None:
        return order
    served = notice.served or at
    return _notice(order, notice.no, served=served, replied=at, replied_by=entry.actor.user, state=NoticeState.REPLIED)


def on_notice_accepted(order: WorkOrder, event: SupervisionReplyAccepted, entry: Entry) -> WorkOrder:
    """Fold the acceptance."""
    return _notice(order, event.notice, accepted=mark(entry), state=NoticeState.ACCEPTED)


def on_notice_rejected(order: WorkOrder, event: SupervisionReplyRejected, entry: Entry) -> WorkOrder:
    """Fold the next turn: the earlier one is kept, the time to reply begins anew when it is served."""
    notice, at = notice_of(order, event.notice), mark(entry)
    if notice is None:
        return order
    return _notice(
        order,
        notice.no,
        earlier=(*notice.earlier, (notice.served, notice.replied, notice.limit)),
        turn=notice.turn + 1,
        state=NoticeState.SERVED if event.served_by_system else NoticeState.ISSUED,
        served=at if event.served_by_system else None,
        by_system=event.served_by_system,
        replied=None,
        replied_by="",
        limit=event.limit,
        number=entry.numbered(_journal(notice.kind)) or notice.number,
    )


def on_notice_escalated(order: WorkOrder, event: SupervisionEscalated, entry: Entry) -> WorkOrder:
    """Fold the end of the ignored notice."""
    return _notice(order, event.notice, state=NoticeState.ESCALATED, closed=mark(entry))


def on_notice_withdrawn(order: WorkOrder, event: SupervisionNoticeWithdrawn, entry: Entry) -> WorkOrder:
    """Fold the withdrawal."""
    return _notice(order, event.notice, state=NoticeState.WITHDRAWN, closed=mark(entry))


def on_notice_closed(order: WorkOrder, event: SupervisionClosed, entry: Entry) -> WorkOrder:
    """Fold the end of a notice that was obeyed."""
    return _notice(order, event.notice, state=NoticeState.CLOSED, closed=mark(entry))


def _reports(order: WorkOrder) -> int:
    return sum(p.about == "special_report" for p in order.proposals)


def on_special_report_drafted(order: WorkOrder, event: SpecialReportDrafted, entry: Entry) -> WorkOrder:
    """Fold the draft; its ordinal names the report."""
    return propose(order, entry, "special_report", _reports(order) + 1, event)


def on_special_report_approved(order: WorkOrder, event: SpecialReportApproved, entry: Entry) -> WorkOrder:
    """Fold the leader's approval."""
    return settle(order, entry, "special_report", approved=True, subject=event.special_report)


def on_special_report_rejected(order: WorkOrder, event: SpecialReportRejected, entry: Entry) -> WorkOrder:
    """Fold the leader's refusal."""
    return settle(order, entry, "special_report", approved=False, subject=event.special_report)


EVOLVES: Mapping[type[Fact], Callable[[WorkOrder, Any, Entry], WorkOrder]] = {
    SupervisionNoticeIssued: on_notice_issued,
    SupervisionNoticeServed: on_notice_served,
    SupervisionReplySubmitted: on_notice_replied,
    SupervisionReplyAccepted: on_notice_accepted,
    SupervisionReplyRejected: on_notice_rejected,
    SupervisionEscalated: on_notice_escalated,
    SupervisionNoticeWithdrawn: on_notice_withdrawn,
    SupervisionClosed: on_notice_closed,
    SpecialReportDrafted: on_special_report_drafted,
    SpecialReportApproved: on_special_report_approved,
    SpecialReportRejected: on_special_report_rejected,
}


# --- commands: notices -------------------------------------------------------------------------------------------

_SUPERVISING = frozenset({Role.SUPERVISOR, Role.HOTLINE_MANAGER, Role.COORDINATOR})
_TIMER_TOO = _SUPERVISING | {Role.SYSTEM}


class IssueNotice(Act, frozen=True, tag="issue_notice"):
    """签发督办文书. Who may issue depends on the kind (DOMAIN 3.6); a unit without its system is served later."""

    roles: ClassVar[frozenset[Role]] = _TIMER_TOO
    kind: NoticeKind
    ground: NoticeGround
    unit: UnitId
    clock: ClockName | None = None
    clock_key: str = ""
    limit: Limit | None = None
    arrive_by: datetime | None = None
    on_paper: bool = False  # not served by issuing
    facts: Private | None = None
    demand: Private | None = None
    article: Citation | None = None
    copies: tuple[UnitId, ...] = ()
    place: Code | None = None
    participants: tuple[Participant, ...] = ()
    press_summary: Private | None = None
    reminder: Code | None = None
    instruction: int | None = None
    special_report: int | None = None


class ServeNotice(Act, frozen=True, tag="serve_notice"):
    """送达. Record how and to whom the notice was told; also anew, where what the system sent did not arrive."""

    roles: ClassVar[frozenset[Role]] = _SUPERVISING
    notice: int
    medium: Medium
    person: Private | None = None
    undelivered: Private | None = None  # why it did not arrive: the time to reply begins with this service (8.6)


class ReplyNotice(Act, frozen=True, tag="reply_notice"):
    """回复督办. By the noticed unit; the hotline's management replies for the hotline itself."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_APPROVER, Role.HOTLINE_MANAGER})
    notice: int
    cause: Private
    measures: Private | None = None
    new_date: date | None = None
    evidence: tuple[Attachment, ...] = ()


class AcceptNoticeReply(Act, frozen=True, tag="accept_notice_reply"):
    """通过督办回复."""

    roles: ClassVar[frozenset[Role]] = _SUPERVISING
    notice: int
    words: Private | None = None


class RejectNoticeReply(Act, frozen=True, tag="reject_notice_reply"):
    """退回督办回复. Issues the notice again; without a limit, the one it had."""

    roles: ClassVar[frozenset[Role]] = _SUPERVISING
    notice: int
    requirements: Private
    limit: Limit | None = None
    on_paper: bool = False


class EscalateNotice(Act, frozen=True, tag="escalate_notice"):
    """督办升级. To the next step of an ignored notice, which is issued in the same commit unless it is a circular."""

    roles: ClassVar[frozenset[Role]] = _SUPERVISING
    notice: int
    to: NoticeKind
    ground: NoticeGround = NoticeGround.NOTICE_IGNORED
    limit: Limit | None = None
    arrive_by: datetime | None = None
    place: Code | None = None
    facts: Private | None = None
    demand: Private | None = None
    matter: UUID | None = None
    on_paper: bool = False


class WithdrawNotice(Act, frozen=True, tag="withdraw_notice"):
    """撤销督办."""

    roles: ClassVar[frozenset[Role]] = _TIMER_TOO
    notice: int
    reason: NoticeWithdrawal
    words: Private | None = None


class CloseNotice(Act, frozen=True, tag="close_notice"):
    """销号."""

    roles: ClassVar[frozenset[Role]] = _TIMER_TOO
    notice: int
    words: Private | None = None


# --- commands: special reports ---------------------------------------------------------------------------------------


class DraftSpecialReport(Act, frozen=True, tag="draft_special_report"):
    """拟稿督办专报."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.SUPERVISOR})
    unit: UnitId
    ground: NoticeGround
    limit: Limit
    facts: Private
    demand: Private
    copies: tuple[UnitId, ...] = ()


class ApproveSpecialReport(Act, frozen=True, tag="approve_special_report"):
    """签批专报."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.LEADER})
    special_report: int
    words: Private | None = None


class RejectSpecialReport(Act, frozen=True, tag="reject_special_report"):
    """不予签批专报."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.LEADER})
    special_report: int
    words: Private


# --- deciding: issuing -------------------------------------------------------------------------------------------

ISSUERS: Mapping[NoticeKind, frozenset[Role]] = {
    NoticeKind.REMINDER: frozenset({Role.SYSTEM, Role.SUPERVISOR}),
    NoticeKind.SYSTEM: frozenset({Role.SYSTEM, Role.SUPERVISOR}),
    NoticeKind.WRITTEN: frozenset({Role.SUPERVISOR}),
    NoticeKind.SPECIAL: frozenset({Role.HOTLINE_MANAGER}),
    NoticeKind.INSTRUCTION: frozenset({Role.SUPERVISOR}),
    NoticeKind.ONSITE: frozenset({Role.HOTLINE_MANAGER}),
    NoticeKind.SPECIAL_REPORT_DOWN: frozenset({Role.SUPERVISOR}),  # once a leader approved the draft
    NoticeKind.MEETING: frozenset({Role.HOTLINE_MANAGER, Role.COORDINATOR}),
}
"""签发人, by kind (DOMAIN 3.6). A circular names a unit, not a case: it is a matter of its own."""

NEXT: Mapping[NoticeKind, frozenset[NoticeKind]] = {
    NoticeKind.SYSTEM: frozenset({NoticeKind.WRITTEN}),
    NoticeKind.WRITTEN: frozenset({NoticeKind.SPECIAL, NoticeKind.CIRCULAR}),
    NoticeKind.SPECIAL: frozenset({NoticeKind.ONSITE, NoticeKind.CIRCULAR}),
    NoticeKind.INSTRUCTION: frozenset({NoticeKind.CIRCULAR}),
    NoticeKind.ONSITE: frozenset({NoticeKind.CIRCULAR}),
    NoticeKind.SPECIAL_REPORT_DOWN: frozenset({NoticeKind.CIRCULAR}),
    NoticeKind.MEETING: frozenset({NoticeKind.ONSITE}),
}
"""The step after a notice that was ignored (DOMAIN 3.6)."""

_OF_THE_CASE = frozenset({NoticeKind.REMINDER, NoticeKind.SYSTEM, NoticeKind.WRITTEN, NoticeKind.INSTRUCTION})
"""Kinds for units that hold or held the case; the others may call a unit whose part in it is what is unclear."""


def bears_duty(order: WorkOrder, unit: UnitId, context: Context) -> bool:
    """Tell whether a unit, or one it has taken over from, has or had a duty in this case; the hotline always has."""
    law, now = context.law, context.now
    held = {a.unit for e in order.episodes for a in e.assignments}
    held |= {e.lead for e in order.episodes} | {f.unit for f in order.follow_ups}
    held |= {i.unit for i in order.oversight.instructions} | {d.unit for d in order.oversight.decisions}
    held |= {law.hotline_unit}
    context.until(law.next_unit_change(now))
    return unit in held or unit in {law.successor(one, now) for one in held if one}


def _about(order: WorkOrder, command: IssueNotice, context: Context) -> Clock | None:
    """Return the clock the notice is about, if it stands as the ground says and the unit is who answers for it."""
    if command.clock is None:
        if command.kind in _OF_THE_CASE and not bears_duty(order, command.unit, context):
            raise refusals.NotResponsible(f"unit: {command.unit}", unit=command.unit)
        return None
    named = [c for c in clocks(order, context.law) if c.name is command.clock and command.clock_key in ("", c.key)]
    if not named:
        raise refusals.NoSuchClock(f"{command.clock} {command.clock_key}".strip())
    # Several units may have a clock of that name, each organizer its signing: the newest that this one answers for.
    found = next((c for c in reversed(named) if _answers(command.unit, c, context)), None)
    if found is None:
        raise refusals.NotResponsible(f"unit: {command.unit}", unit=command.unit)
    if command.ground is NoticeGround.FALLING_DUE and not (found.running and not _late(found, context)):
        raise refusals.NotFallingDue(f"{command.clock}: {found.due}")
    if command.ground is NoticeGround.OVERDUE and not _late(found, context):
        raise refusals.NotOverdue(f"{command.clock}: {found.due}")
    return found


def _answers(unit: UnitId, clock: Clock, context: Context) -> bool:
    """Tell whether a unit, or one it has taken over from, has the duty."""
    owner = clock.unit or context.law.hotline_unit
    context.until(context.law.next_unit_change(context.now))
    return unit in (owner, context.law.successor(owner, context.now))


def _late(clock: Clock, context: Context) -> bool:
    """Tell whether the duty was, or is now, late; a pending extension keeps it from counting (R-13)."""
    if clock.running:
        context.until(clock.due)
        context.until(clock.grace)
    return clock.breached(context.now)


def _episode(order: WorkOrder, clock: Clock | None) -> int | None:
    """Return the episode a notice belongs to: that of its clock, else the newest."""
    key = clock.key if clock is not None else ""
    if key.startswith("e"):
        return int(key[1:].partition(".")[0])
    return order.episode.no if order.episode is not None else None


def _reply_limit(order: WorkOrder, command: IssueNotice, context: Context) -> Limit | None:
    """Return the time to reply that the notice states: written, the instruction's, or the pack's default (A-09)."""
    kind, options = command.kind, guards.binding(order, context).options
    limit = command.limit
    if kind is NoticeKind.REMINDER:
        return None  # satisfied by acting
    if limit is None and kind is NoticeKind.INSTRUCTION and command.instruction is not None:
        limit = order.oversight.instructions[command.instruction - 1].limit
    if limit is not None:
        if context.passed(limit.until):
            raise refusals.LimitInPast(f"{limit.until}")
        return limit
    if kind is NoticeKind.ONSITE:
        return None  # to come is the duty: `arrive_by`
    if kind in options.notice_limit_mandatory:
        raise refusals.LimitRequired
    if command.clock is not None and command.clock not in options.notice_reply_required:
        return None  # listed daily (8.14)
    hours = options.notice_reply.get(f"{kind}@hours") if guards.class_now(order, context).by_the_clock else None
    return hours or options.notice_reply.get(kind)


def _only_once(order: WorkOrder, command: IssueNotice, key: str, episode: int | None) -> None:
    """Refuse a second open notice of the same kind to the same unit about the same duty (8.14)."""
    for n in order.oversight.notices:
        same = (n.kind, n.unit, n.episode, n.clock, n.clock_key) == (
            command.kind,
            command.unit,
            episode,
            command.clock,
            key,
        )
        if not same or (command.clock is None and n.ground is not command.ground):
            continue
        again = bool(command.reminder) and n.reminder == command.reminder
        if n.open or again:
            raise refusals.NoticeAlreadyOpen(f"notice: {n.no}", notice=n.no)


def _as_its_kind_asks(order: WorkOrder, command: IssueNotice, context: Context) -> None:
    """Refuse a notice that lacks what its kind must carry, or calls a unit to a place though it is no on-site one."""
    seen = order.oversight
    if command.arrive_by is not None and command.kind is not NoticeKind.ONSITE:
        raise refusals.ArrivalNotAsked(command.kind)  # nobody could record an arrival, and its clock would run on
    match command.kind:
        case NoticeKind.ONSITE:
            if command.arrive_by is None:
                raise refusals.LimitRequired("arrive_by")
            if context.passed(command.arrive_by):
                raise refusals.LimitInPast("arrive_by")
            if Participant.MEDIA in command.participants:
                if order.confidentiality is not Confidentiality.NORMAL:
                    raise refusals.MediaNotAdmitted(order.confidentiality)
                if not guards.said(command.press_summary):
                    raise refusals.PressSummaryMissing
        case NoticeKind.INSTRUCTION:
            no = command.instruction or 0
            if not 0 < no <= len(seen.instructions) or seen.instructions[no - 1].recorded is None:
                raise refusals.InstructionMissing(f"instruction: {no or '-'}")
        case NoticeKind.SPECIAL_REPORT_DOWN:
            _as_approved(order, command)
        case _:
            pass


def _as_approved(order: WorkOrder, command: IssueNotice) -> None:
    """Refuse a special report that no leader approved, that was issued before, or that differs from the draft."""
    asked = command.special_report
    draft = next((p for p in order.proposals if p.about == "special_report" and p.subject == asked), None)
    if asked is None or draft is None or not draft.approved:
        raise refusals.NotApproved(f"special_report: {asked or '-'}")
    if any(n.special_report == asked for n in order.oversight.notices):
        raise refusals.NoticeAlreadyOpen(f"special_report: {asked}")
    content = draft.content
    if isinstance(content, SpecialReportDrafted) and (content.unit, content.ground, content.limit) != (
        command.unit,
        command.ground,
        command.limit,
    ):
        raise refusals.DiffersFromApproved


def issue_notice(order: WorkOrder, command: IssueNotice, context: Context) -> list[Step]:
    """Issue a notice, and number it."""
    return _issue(order, command, context, None)


def _issue(order: WorkOrder, command: IssueNotice, context: Context, follows: int | None) -> list[Step]:
    guards.unsealed(order)
    if command.kind not in ISSUERS:
        raise refusals.NoticeKindNotHere(command.kind)
    if context.actor.role not in ISSUERS[command.kind]:
        allowed = ", ".join(sorted(ISSUERS[command.kind]))
        raise refusals.NotThisIssuer(f"{command.kind}: {allowed}")
    guards.active_unit(command.unit, context)
    found = _about(order, command, context)
    key, episode = (found.key if found is not None else ""), _episode(order, found)
    _only_once(order, command, key, episode)
    _as_its_kind_asks(order, command, context)
    issued = SupervisionNoticeIssued(
        kind=command.kind,
        ground=command.ground,
        unit=command.unit,
        clock=command.clock,
        clock_key=key,
        episode=episode,
        limit=_reply_limit(order, command, context),
        arrive_by=command.arrive_by,
        served_by_system=_served_at_once(command, context),
        facts=command.facts,
        demand=command.demand,
        article=command.article,
        copies=command.copies,
        place=command.place,
        participants=command.participants,
        press_summary=command.press_summary,
        reminder=command.reminder,
        instruction=command.instruction,
        special_report=command.special_report,
        follows=follows,
    )
    return [issued, Number(_journal(command.kind))]


def _served_at_once(command: IssueNotice, context: Context) -> bool:
    """Tell whether issuing it serves it: not on paper, nor while the unit's system is down; a reminder asks nothing."""
    if command.on_paper:
        return False
    return command.kind is NoticeKind.REMINDER or guards.within_reach(command.unit, context)


# --- deciding: the life of a notice ------------------------------------------------------------------------------


def _open_notice(order: WorkOrder, no: int) -> Notice:
    notice = notice_of(order, no)
    if notice is None:
        raise refusals.NoSuchNotice(f"notice: {no}")
    if not notice.open:
        raise refusals.NoticeOver(f"notice: {no}, {notice.state}")
    return notice


def serve_notice(order: WorkOrder, command: ServeNotice, context: Context) -> list[Step]:
    """Record the service; by phone with the name of the person told (8.6).

    What was sent to the unit's system and did not arrive is served like this too, until the unit has answered.
    """
    notice = _open_notice(order, command.notice)
    lost = notice.by_system and notice.replied is None and guards.said(command.undelivered)
    if notice.served is not None and not lost:
        raise refusals.AlreadyServed(f"notice: {notice.no}")
    until = notice.limit.until if notice.limit is not None else None
    if context.passed(until) or context.passed(notice.arrive_by):
        raise refusals.LimitInPast("须撤销后重新签发 withdraw it and issue it anew")  # its time was over when it came
    if command.medium is Medium.PHONE and not guards.said(command.person):
        raise refusals.PersonMissing(guards.reached_at(notice.unit, context))
    undelivered = command.undelivered if lost else None
    return [
        SupervisionNoticeServed(notice=notice.no, medium=command.medium, person=command.person, undelivered=undelivered)
    ]


def _noticed(order: WorkOrder, notice: Notice, context: Context) -> bool:
    """Tell whether the actor answers for the noticed unit, or for the heir of it."""
    law, unit = context.law, context.actor.unit
    context.until(law.next_unit_change(context.now))
    if context.actor.role is Role.HOTLINE_MANAGER:
        unit = law.hotline_unit
    return unit in (notice.unit, law.successor(notice.unit, context.now))


def reply_notice(order: WorkOrder, command: ReplyNotice, context: Context) -> list[Step]:
    """Record the unit's reply, late or not; about a duty still undone it says by when."""
    notice = _open_notice(order, command.notice)
    if not _noticed(order, notice, context):
        raise refusals.NotYourUnit(f"unit: {context.actor.unit or '-'}", unit=context.actor.unit)
    if notice.replied is not None:
        raise refusals.AlreadyReplied(f"notice: {notice.no}")
    if notice.kind is NoticeKind.SYSTEM and command.new_date is None and _still_runs(order, notice, context):
        raise refusals.NewDateMissing
    return [
        SupervisionReplySubmitted(
            notice=notice.no,
            cause=command.cause,
            measures=command.measures,
            new_date=command.new_date,
            evidence=command.evidence,
        )
    ]


def _still_runs(order: WorkOrder, notice: Notice, context: Context) -> bool:
    if notice.clock is None:
        return False
    found = guards.clock(order, context, notice.clock, notice.clock_key)
    return found is not None and found.running


def _replied_notice(order: WorkOrder, no: int, context: Context) -> Notice:
    notice = _open_notice(order, no)
    if notice.replied is None or notice.accepted is not None:
        raise refusals.NothingReplied(f"notice: {no}")
    guards.another_person(context, notice.replied_by)
    return notice


def accept_reply(order: WorkOrder, command: AcceptNoticeReply, context: Context) -> list[Step]:
    """Accept the unit's reply."""
    notice = _replied_notice(order, command.notice, context)
    return [SupervisionReplyAccepted(notice=notice.no, words=command.words)]


def reject_reply(order: WorkOrder, command: RejectNoticeReply, context: Context) -> list[Step]:
    """Issue the notice again, with the time it gave or the time written now."""
    notice = _replied_notice(order, command.notice, context)
    limit = command.limit or notice.limit
    if limit is None:
        raise refusals.LimitRequired
    if context.passed(limit.until):
        raise refusals.LimitInPast(f"{limit.until}")
    at_once = not command.on_paper and guards.within_reach(notice.unit, context)
    again = SupervisionReplyRejected(
        notice=notice.no, requirements=command.requirements, limit=limit, served_by_system=at_once
    )
    return [again, Number(_journal(notice.kind))]


def _ignored(order: WorkOrder, notice: Notice, context: Context) -> bool:
    """Tell whether the notice's own duty is late: the reply, the arrival, or the record of the site."""
    asked = (
        (ClockName.SUPV_REPLY, f"n{notice.no}.{notice.turn}"),
        (ClockName.ARRIVE_SITE, f"n{notice.no}"),
        (ClockName.SITE_RECORD, f"n{notice.no}"),
    )
    found = (guards.clock(order, context, name, key) for name, key in asked)
    return any(clock is not None and _late(clock, context) for clock in found)


def escalate_notice(order: WorkOrder, command: EscalateNotice, context: Context) -> list[Step]:
    """Take the next step after a notice that was ignored, or whose unit does not cooperate."""
    notice = _open_notice(order, command.notice)
    judged = command.ground is not NoticeGround.NOTICE_IGNORED and guards.said(command.facts)
    if not judged and not _ignored(order, notice, context):
        raise refusals.NotIgnored(f"notice: {notice.no}")
    if command.to not in NEXT.get(notice.kind, frozenset()):
        raise refusals.StepSkipped(f"{notice.kind} → {command.to}")
    ended = SupervisionEscalated(notice=notice.no, to=command.to, ground=command.ground, matter=command.matter)
    if command.to is NoticeKind.CIRCULAR:
        if context.actor.role is not Role.HOTLINE_MANAGER:
            raise refusals.NotHotlineManager
        return [ended]
    following = IssueNotice(
        kind=command.to,
        ground=command.ground,
        unit=context.law.successor(notice.unit, context.now),
        limit=command.limit,
        arrive_by=command.arrive_by,
        on_paper=command.on_paper,
        facts=command.facts,
        demand=command.demand,
        place=command.place,
        clock=notice.clock,
        clock_key=notice.clock_key,
    )
    return [ended, *_issue(order, following, context, notice.no)]


def withdraw_notice(order: WorkOrder, command: WithdrawNotice, context: Context) -> list[Step]:
    """Withdraw a notice; that it was issued stays on record."""
    notice = _open_notice(order, command.notice)
    by_mistake = command.reason is NoticeWithdrawal.ISSUED_IN_ERROR
    if by_mistake and (context.actor.role is Role.SYSTEM or not guards.said(command.words)):
        raise refusals.ReasonMissing
    return [SupervisionNoticeWithdrawn(notice=notice.no, reason=command.reason, words=command.words)]


def close_notice(order: WorkOrder, command: CloseNotice, context: Context) -> list[Step]:
    """Strike a notice off once what it demanded was done; without a reply to judge, the timer may."""
    notice = _open_notice(order, command.notice)
    if notice.limit is not None and notice.accepted is None:
        raise refusals.NoticeUnanswered(f"notice: {notice.no}")
    if notice.arrive_by is not None and notice.site_recorded is None:
        raise refusals.NoticeUnanswered(f"notice: {notice.no}, 现场记录 site record")
    cited = order.oversight.instructions
    no = notice.instruction or 0
    if 0 < no <= len(cited) and cited[no - 1].reported is None:
        raise refusals.NoticeUnanswered(f"notice: {notice.no}, 批示办结报告 report on the instruction")
    by_timer = context.actor.role is Role.SYSTEM
    if by_timer and notice.limit is None and (notice.clock is None or _still_runs(order, notice, context)):
        raise refusals.NoticeUnanswered(f"notice: {notice.no}")
    return [SupervisionClosed(notice=notice.no, words=command.words)]


# --- deciding: special reports ---------------------------------------------------------------------------------------


def draft_special_report(order: WorkOrder, command: DraftSpecialReport, context: Context) -> list[Step]:
    """Put a draft before a leader."""
    guards.unsealed(order)
    guards.active_unit(command.unit, context)
    if context.passed(command.limit.until):
        raise refusals.LimitInPast(f"{command.limit.until}")
    return [
        SpecialReportDrafted(
            unit=command.unit,
            ground=command.ground,
            limit=command.limit,
            facts=command.facts,
            demand=command.demand,
            copies=command.copies,
        )
    ]


def _waiting_draft(order: WorkOrder, no: int, context: Context) -> None:
    guards.unsealed(order)
    draft = pending(order, "special_report", no)
    if draft is None:
        raise refusals.NoSuchProposal(f"special_report: {no}")
    guards.another_person(context, draft.by)


def approve_special_report(order: WorkOrder, command: ApproveSpecialReport, context: Context) -> list[Step]:
    """Approve a draft somebody else wrote."""
    _waiting_draft(order, command.special_report, context)
    return [SpecialReportApproved(special_report=command.special_report, words=command.words)]


def reject_special_report(order: WorkOrder, command: RejectSpecialReport, context: Context) -> list[Step]:
    """Turn a draft down."""
    _waiting_draft(order, command.special_report, context)
    return [SpecialReportRejected(special_report=command.special_report, words=command.words)]


DECIDES: Mapping[type[Act], Callable[[WorkOrder, Any, Context], Sequence[Step]]] = {
    IssueNotice: issue_notice,
    ServeNotice: serve_notice,
    ReplyNotice: reply_notice,
    AcceptNoticeReply: accept_reply,
    RejectNoticeReply: reject_reply,
    EscalateNotice: escalate_notice,
    WithdrawNotice: withdraw_notice,
    CloseNotice: close_notice,
    DraftSpecialReport: draft_special_report,
    ApproveSpecialReport: approve_special_report,
    RejectSpecialReport: reject_special_report,
}
