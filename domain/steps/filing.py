"""⑤ 立卷归档. Closing, reopening, filing, sealing, handing over; correcting; erasing.

An order is closed once and in one of the ways of `ClosureKind`; each way has its guards. What comes later (deeming,
direct answers, withdrawals) emits `OrderClosed` from its own step; whoever closes a handled order by judgement does it
here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

import msgspec

from domain import guards, refusals
from domain.context import Context
from domain.institution import Law
from domain.policy import RetentionRule
from domain.state import (
    Assignment,
    Correction,
    Episode,
    Filing,
    Reply,
    Wait,
    WorkOrder,
    effective,
    pending,
    propose,
    put,
    settle,
)
from domain.terms import (
    SHANGHAI,
    Act,
    AssignmentRole,
    AssignmentState,
    Attachment,
    Citation,
    ClockName,
    ClosureKind,
    Code,
    DemandType,
    Digest,
    DispatchType,
    Entry,
    Fact,
    Limit,
    Mark,
    Medium,
    NoteReason,
    Number,
    OrderState,
    Outcome,
    Period,
    Private,
    ReopenGround,
    Role,
    Shred,
    Step,
    TerminationGround,
    UnitId,
    UserId,
)

Keep = Literal["dossier", "register_line", "not_filed"]
"""归档范围: 一事一卷, a line of the yearly register, or not filed (8.13)."""

Retention = Literal["Y", "D30", "D10", ""]
"""保管期限: 永久, 30年, 10年; empty where nothing is filed."""


# --- events: closing ---------------------------------------------------------------------------------------------


class OrderClosed(Fact, frozen=True, tag="order.order_closed"):
    """办结. The order is closed, in one of the ways the rules know.

    `accepts_reply` says that closing accepted the newest reply, which nobody had reviewed until then (8.3): reviewing
    belongs to an earlier step, whose events this one cannot write, so the acceptance is part of the closure.
    """

    kind: ClosureKind
    accepts_reply: bool = False
    note_reason: NoteReason | None = None  # 备注办结
    termination_ground: TerminationGround | None = None  # 终止办理
    article: Citation | None = None  # the law or policy the reply, note or termination conforms to
    words: Private | None = None
    follow_up_result: Private | None = None  # of an order that asked for no reply (S2-25)
    told: Medium | None = None  # how the applicant was told of a termination
    master: UUID | None = None  # 并单: the order whose result was told


class NotedClosureProposed(Fact, frozen=True, tag="order.noted_closure_proposed"):
    """提请备注办结. The unit asks for closure with a note: facts clear, explained, objectively limited (S1-38/39)."""

    reason: NoteReason
    facts_clear: bool = False
    article: Citation | None = None
    words: Private | None = None
    evidence: tuple[Attachment, ...] = ()


class NotedClosureRejected(Fact, frozen=True, tag="order.noted_closure_rejected"):
    """不同意备注办结."""

    words: Private


class TerminationProposed(Fact, frozen=True, tag="order.termination_proposed"):
    """提请终止办理. The unit shows that the applicant does not cooperate or demands the unreasonable (8.2)."""

    ground: TerminationGround
    words: Private
    article: Citation | None = None
    evidence: tuple[Attachment, ...] = ()


class TerminationRejected(Fact, frozen=True, tag="order.termination_rejected"):
    """不同意终止办理."""

    words: Private


class OrderReopened(Fact, frozen=True, tag="order.order_reopened"):
    """恢复办理. A closed order is worked on again, in a new round: by its last lead, or after a new dispatch."""

    ground: ReopenGround
    words: Private
    lead: UnitId = ""  # empty: the order waits for a dispatch
    lead_parent: UnitId = ""
    limit: Limit | None = None  # shorter than the class's, where one is written
    evidence: tuple[Attachment, ...] = ()


# --- events: filing ----------------------------------------------------------------------------------------------


class OrderArchived(Fact, frozen=True, tag="order.order_archived"):
    """归档. The file was found complete and filed; its number is the commit's (档号: year of closure, number at filing)."""

    keep: Keep
    period: Retention
    basis: Citation
    verified_to: int | None = None  # the ledger's position up to which the chain was verified; None: not yet
    file_number: Code | None = None  # kept from an earlier filing, or given by another system
    gaps: tuple[str, ...] = ()  # what the history of an imported order lacks for good
    words: Private | None = None  # 备考


class DossierRendered(Fact, frozen=True, tag="order.dossier_rendered"):
    """卷宗成文. The file was printed; the same template, fonts and history give the same bytes."""

    digest: Digest
    template_version: Code
    fonts: tuple[Digest, ...]
    upto: int  # the version of the case it shows
    pages: int
    edition: Literal["full", "masked"]


class ArchivePackageSealed(Fact, frozen=True, tag="order.archive_package_sealed"):
    """档案封存. From here on the file is read-only: later facts open a new order, corrections are appended."""

    verified_to: int
    dossier: Digest | None = None  # the record copy (归档件)


class ArchiveTransferred(Fact, frozen=True, tag="order.archive_transferred"):
    """档案移交. The file went to the archives; equal in effect to paper."""

    receiver: Code
    batch: Code
    receipt: Digest | None = None
    sealed_part: Digest | None = None  # an informant's identity, encrypted to the archive's key (8.10)


# --- events: correcting ------------------------------------------------------------------------------------------


class CorrectionProposed(Fact, frozen=True, tag="order.correction_proposed"):
    """提请更正. The side that recorded an event says what it should have said; nothing is altered.

    `field` names a field of the event, or `at`, its instant. Codes, figures and instants stand in `old` and `new` as
    they are stored; personal data and free text in `old_text` and `new_text`.
    """

    version: int
    field: Code
    basis: Private
    old: str = ""
    new: str = ""
    old_text: Private | None = None
    new_text: Private | None = None
    evidence: tuple[Attachment, ...] = ()


class CorrectionRecorded(Fact, frozen=True, tag="order.correction_recorded"):
    """更正. A supervisor approved; both values stay visible for ever."""

    correction: int
    version: int
    field: Code
    basis: Private
    old: str = ""
    new: str = ""
    old_text: Private | None = None
    new_text: Private | None = None


class CorrectionRejected(Fact, frozen=True, tag="order.correction_rejected"):
    """不同意更正."""

    correction: int
    words: Private


# --- events: releasing and erasing -------------------------------------------------------------------------------


class TextReleasedForOversight(Fact, frozen=True, tag="order.text_released_for_oversight"):
    """公开摘要供监督. Deputies and members may read this summary, which somebody other than its author released."""

    summary: Private
    author: UserId


class PersonalDataErasureProposed(Fact, frozen=True, tag="order.personal_data_erasure_proposed"):
    """提请销毁个人信息. Asked for by the applicant, or because the purpose is gone (个保法47)."""

    ground: Code
    basis: Citation
    words: Private | None = None


class PersonalDataErased(Fact, frozen=True, tag="order.personal_data_erased"):
    """个人信息销毁. The case's keys were destroyed in this commit; what was sealed is unreadable, the proof remains."""

    ground: Code
    basis: Citation


class PersonalDataErasureRejected(Fact, frozen=True, tag="order.personal_data_erasure_rejected"):
    """不同意销毁个人信息."""

    words: Private


class PersonalDataRestricted(Fact, frozen=True, tag="order.personal_data_restricted"):
    """限制处理个人信息. Kept because its retention runs, stored and nothing else (个保法47 II)."""

    basis: Citation
    words: Private | None = None


# --- what closing and filing ask ---------------------------------------------------------------------------------

_REPLIED_KINDS = frozenset(
    {
        ClosureKind.SATISFIED,
        ClosureKind.CONFORMING,
        ClosureKind.DEEMED_BASICALLY_SATISFIED,
        ClosureKind.NOTED,
        ClosureKind.UNRESOLVED_FOLLOW_UP,
        ClosureKind.UNSOLVABLE_EXPLAINED,
        ClosureKind.UNREACHABLE,
        ClosureKind.COMPLETED,
    }
)
"""Closures of a handled order: each rests on a reply, which the applicant was told or could not be told."""


def reply_now(order: WorkOrder) -> Reply | None:
    """Return the newest reply of the present round that was not sent back."""
    return next((r for r in reversed(order.replies) if r.round == order.round and not r.sent_back), None)


def told(order: WorkOrder) -> bool:
    """Tell whether the applicant knows the result, was tried as A-05 asks, or finds it under the query code."""
    reply = reply_now(order)
    if reply is not None and (reply.informed is not None or reply.counted_informed is not None):
        return True
    episode = order.episode
    return episode is not None and episode.round == order.round and episode.informed_result is not None


def tried(order: WorkOrder, law: Law) -> bool:
    """Tell whether the applicant was tried often enough: so many times, on so many days, at different hours (A-05)."""
    options = law.rules(order.policy).options
    missed = [
        c.at.at.astimezone(SHANGHAI)
        for e in order.episodes
        if e.round == order.round
        for c in e.contacts
        if not c.reached
    ]
    days, hours = {at.date() for at in missed}, {at.hour for at in missed}
    return len(missed) >= options.attempts and len(days) >= options.attempt_days and len(hours) > 1


def explained(order: WorkOrder) -> bool:
    """Tell whether the reasons of the newest reply were explained to the applicant, before or after it was given."""
    return any(no >= len(order.replies) - 1 for no in order.quality.explained)


def emergency_untold(order: WorkOrder, law: Law) -> tuple[str, ...]:
    """Return who must still be told of this emergency before it is closed (8.14)."""
    rules = law.rules(order.policy)
    of_class = rules.class_of(order.attributes)
    if of_class is None or of_class.name not in rules.options.emergency_classes:
        return ()
    return tuple(r for r in rules.options.emergency_recipients if r not in order.oversight.told)


def complete(order: WorkOrder, law: Law) -> tuple[str, ...]:
    """Return what a closed order's file lacks (5.4); empty if it can be filed.

    Asked before the closing event too (deeming closes and files in one commit), so it does not ask for the closure.
    Open duties come as `follow_up 1`, `notice 2` …; what should have happened as `reply`, `informed` ….
    """
    seen = order.oversight
    missing = [f"follow_up {f.no}" for f in order.follow_ups if f.done is None]
    missing += [f"notice {n.no}" for n in seen.notices if n.open]
    missing += [f"instruction {i.no}" for i in seen.instructions if i.recorded is not None and i.reported is None]
    missing += [f"appeal {a.no}" for a in seen.appeals if a.decided is None]
    missing += [f"correction {p.subject or p.no}" for p in order.proposals if p.about == "correction" and not p.decided]
    merge = order.links.merge
    if merge is not None and merge.undone is None and merge.told is None:
        missing.append("citizen_reply")
    kind = order.filing.kind
    if kind is ClosureKind.NOT_ACCEPTED or order.state is OrderState.NOT_ACCEPTED:
        return (*missing, *(() if order.filing.refusal else ("refusal_reason",)))
    dispatched = order.episode is not None and order.episode.reply_required
    if dispatched and (kind is None or kind in _REPLIED_KINDS):
        if reply_now(order) is None:
            missing.append("reply")
        if kind is not ClosureKind.UNREACHABLE and not told(order):
            missing.append("informed")
        missing += [f"emergency {recipient}" for recipient in emergency_untold(order, law)]
    return tuple(missing)


def retention(order: WorkOrder, law: Law, kind: ClosureKind) -> RetentionRule | None:
    """Return the first line of the pack's table that holds for an order closed as `kind` (8.13)."""
    instructed = any(i.recorded is not None for i in order.oversight.instructions)
    for rule in law.rules(order.policy).pack.retention:
        if (not rule.closure or kind in rule.closure) and (instructed or not rule.instruction):
            return rule
    return None


def _file_number(keep: Keep, period: str, year: int | None) -> list[Step]:
    """Return the wish for a 档号: by year of closure and period; of this year where it is closed in this commit."""
    if keep == "not_filed":
        return []
    journal = "file" if keep == "dossier" else "register"
    if year is None:
        return [Number(journal, f"{period}-", Period.YEAR)]
    return [Number(journal, f"{period}-{year}", Period.NEVER)]


def file_at_closing(order: WorkOrder, context: Context, kind: ClosureKind) -> list[Step]:
    """Return what files the order in the commit that closes it; nothing where the file is not complete (8.4)."""
    rule = retention(order, context.law, kind)
    if rule is None or complete(order, context.law):
        return []
    filed = OrderArchived(keep=rule.keep, period=rule.period, basis=rule.basis)
    return [filed, *_file_number(rule.keep, rule.period, None)]


# --- folding: closing --------------------------------------------------------------------------------------------

_STOPS = {
    ClosureKind.DIRECT: "direct",
    ClosureKind.TRANSFERRED: "transferred",
    ClosureKind.MERGED: "merged",
    ClosureKind.NOT_ACCEPTED: "refused",
}
"""Closures that are what DISPATCH waits for; every other one cancels it (2.9)."""

_ENDED_AS = {ClosureKind.WITHDRAWN: "withdrawn", ClosureKind.MERGED: "merged"}


def _mark(entry: Entry) -> Mark:
    return Mark(entry.at, entry.position)


def _ended_wait(wait: Wait, kind: ClosureKind, at: Mark) -> Wait:
    if wait.until is not None:
        return wait
    by = _STOPS.get(kind, _ENDED_AS.get(kind, "closed"))
    return msgspec.structs.replace(wait, until=at, by=by, cancelled=kind not in _STOPS)


def _ended_episode(episode: Episode, kind: ClosureKind, at: Mark) -> Episode:
    if episode.ended is not None:
        return episode
    done = tuple(
        a if a.ended is not None else msgspec.structs.replace(a, ended=at, state=AssignmentState.DONE)
        for a in episode.assignments
    )
    extensions = tuple(x if not x.pending else msgspec.structs.replace(x, ended=at) for x in episode.extensions)
    return msgspec.structs.replace(
        episode, ended=at, ended_as=_ENDED_AS.get(kind, "closed"), assignments=done, extensions=extensions
    )


def closed(order: WorkOrder, kind: ClosureKind, entry: Entry) -> WorkOrder:
    """Return the order closed: its episode ended, its waiting over, its filing begun. Also what a refusal folds to."""
    at = _mark(entry)
    refused = kind is ClosureKind.NOT_ACCEPTED
    filing = msgspec.structs.replace(
        order.filing,
        closed=at,
        kind=kind,
        closed_by=entry.actor.user,
        closures=(*order.filing.closures, (at, kind)),
    )
    return msgspec.structs.replace(
        order,
        state=OrderState.NOT_ACCEPTED if refused else OrderState.CLOSED,
        resume=None,
        waits=tuple(_ended_wait(w, kind, at) for w in order.waits),
        episodes=tuple(_ended_episode(e, kind, at) for e in order.episodes),
        filing=filing,
    )


def on_order_closed(order: WorkOrder, event: OrderClosed, entry: Entry) -> WorkOrder:
    """Fold the closure, and with it the acceptance of a reply that nobody had reviewed."""
    reply = order.reply
    if event.accepts_reply and reply is not None and reply.accepted is None:
        accepted = put(
            order.replies, reply.no, reviewed=_mark(entry), accepted=True, accepted_by=entry.actor.user
        )
        order = msgspec.structs.replace(order, replies=accepted)
    if event.kind is ClosureKind.NOTED:
        order = settle(order, entry, "noted_closure", approved=True)
    if event.kind is ClosureKind.TERMINATED:
        order = settle(order, entry, "termination", approved=True)
    return closed(order, event.kind, entry)


def on_noted_closure_proposed(order: WorkOrder, event: NotedClosureProposed, entry: Entry) -> WorkOrder:
    """Fold the proposal."""
    return propose(order, entry, "noted_closure")


def on_noted_closure_rejected(order: WorkOrder, event: NotedClosureRejected, entry: Entry) -> WorkOrder:
    """Fold the decision."""
    return settle(order, entry, "noted_closure", approved=False)


def on_termination_proposed(order: WorkOrder, event: TerminationProposed, entry: Entry) -> WorkOrder:
    """Fold the proposal."""
    return propose(order, entry, "termination")


def on_termination_rejected(order: WorkOrder, event: TerminationRejected, entry: Entry) -> WorkOrder:
    """Fold the decision."""
    return settle(order, entry, "termination", approved=False)


def on_order_reopened(order: WorkOrder, event: OrderReopened, entry: Entry) -> WorkOrder:
    """Fold the new round: work with the last lead, or waiting for a dispatch."""
    at = _mark(entry)
    filing = msgspec.structs.replace(
        order.filing, closed=None, kind=None, closed_by="", filed=None, reopened=(*order.filing.reopened, at)
    )
    links = order.links
    if links.merge is not None and links.merge.undone is None:  # no longer follows its master
        links = msgspec.structs.replace(links, merge=msgspec.structs.replace(links.merge, undone=at))
    order = msgspec.structs.replace(order, filing=filing, links=links, round=order.round + 1)
    if not event.lead:
        wait = Wait(since=at, cause="reopening")
        return msgspec.structs.replace(order, state=OrderState.AWAITING_DISPATCH, waits=(*order.waits, wait))
    lead = Assignment(
        no=1,
        unit=event.lead,
        role=AssignmentRole.LEAD,
        given=at,
        state=AssignmentState.SIGNED,
        signed=at,
        implied=True,
    )
    last = order.episode
    episode = Episode(
        no=len(order.episodes) + 1,
        round=order.round,
        type=last.type if last is not None else DispatchType.ORDINARY,
        begun=at,
        by=entry.actor.user,
        attributes=order.attributes,
        lead=event.lead,
        lead_parent=event.lead_parent,
        limits={} if event.limit is None else {ClockName.HANDLE: event.limit},
        reopened=True,
        assignments=(lead,),
        first_signed=at,
        passed_on=at,
    )
    return msgspec.structs.replace(order, state=OrderState.WORKING, episodes=(*order.episodes, episode))


# --- folding: filing ---------------------------------------------------------------------------------------------


def _number_given(entry: Entry) -> str:
    """Return the 档号 that the commit gave: year of closure, period, number; L before the number of a register line."""
    for journal, given in entry.numbers.items():
        kind, _, series = journal.partition("/")
        period, _, year = series.rpartition("-")
        if kind in ("file", "register") and given:
            return f"{year}-{period}-{'L' if kind == 'register' else ''}{given[0]:04d}"
    return ""


def on_order_archived(order: WorkOrder, event: OrderArchived, entry: Entry) -> WorkOrder:
    """Fold the filing; a new number keeps the old one as reference."""
    at, filing = _mark(entry), order.filing
    number = event.file_number or _number_given(entry)
    earlier = filing.earlier_numbers
    if filing.file_number and filing.file_number != number:
        earlier = (*earlier, filing.file_number)
    if filing.closed is None:  # imported history that closed without saying so
        refused = order.state is OrderState.NOT_ACCEPTED
        order = closed(order, ClosureKind.NOT_ACCEPTED if refused else ClosureKind.COMPLETED, entry)
        filing = order.filing
    filing = msgspec.structs.replace(
        filing, filed=at, keep=event.keep, period=event.period, file_number=number, earlier_numbers=earlier
    )
    return msgspec.structs.replace(order, state=OrderState.ARCHIVED, filing=filing)


def _filing(order: WorkOrder, **changes: object) -> WorkOrder:
    filing: Filing = msgspec.structs.replace(order.filing, **changes)
    return msgspec.structs.replace(order, filing=filing)


def on_dossier_rendered(order: WorkOrder, event: DossierRendered, entry: Entry) -> WorkOrder:
    """Fold the digest of one more rendering."""
    return _filing(order, dossiers=(*order.filing.dossiers, event.digest))


def on_archive_package_sealed(order: WorkOrder, event: ArchivePackageSealed, entry: Entry) -> WorkOrder:
    """Fold the sealing."""
    return _filing(order, sealed=_mark(entry))


def on_archive_transferred(order: WorkOrder, event: ArchiveTransferred, entry: Entry) -> WorkOrder:
    """Fold the hand-over."""
    return _filing(order, moved=_mark(entry))


def on_correction_proposed(order: WorkOrder, event: CorrectionProposed, entry: Entry) -> WorkOrder:
    """Fold the proposal; its ordinal names the correction."""
    return propose(order, entry, "correction", sum(p.about == "correction" for p in order.proposals) + 1)


def on_correction_recorded(order: WorkOrder, event: CorrectionRecorded, entry: Entry) -> WorkOrder:
    """Fold both values; applying them to what they correct is done where the history is read."""
    order = settle(order, entry, "correction", approved=True, subject=event.correction)
    made = Correction(
        no=len(order.corrections) + 1,
        version=event.version,
        field=event.field,
        old=event.old,
        new=event.new,
        old_text=event.old_text,
        new_text=event.new_text,
        recorded=_mark(entry),
    )
    return msgspec.structs.replace(order, corrections=(*order.corrections, made))


def on_correction_rejected(order: WorkOrder, event: CorrectionRejected, entry: Entry) -> WorkOrder:
    """Fold the decision."""
    return settle(order, entry, "correction", approved=False, subject=event.correction)


def on_text_released(order: WorkOrder, event: TextReleasedForOversight, entry: Entry) -> WorkOrder:
    """Fold the release."""
    return _filing(order, text_released=True)


def on_erasure_proposed(order: WorkOrder, event: PersonalDataErasureProposed, entry: Entry) -> WorkOrder:
    """Fold the proposal."""
    return propose(order, entry, "erasure")


def on_erased(order: WorkOrder, event: PersonalDataErased, entry: Entry) -> WorkOrder:
    """Fold the erasure."""
    return _filing(settle(order, entry, "erasure", approved=True), erased=_mark(entry))


def on_erasure_rejected(order: WorkOrder, event: PersonalDataErasureRejected, entry: Entry) -> WorkOrder:
    """Fold the decision."""
    return settle(order, entry, "erasure", approved=False)


def on_restricted(order: WorkOrder, event: PersonalDataRestricted, entry: Entry) -> WorkOrder:
    """Fold the restriction; a request to erase has its answer by it."""
    return _filing(settle(order, entry, "erasure", approved=False), restricted=True)


EVOLVES: Mapping[type[Fact], Callable[[WorkOrder, Any, Entry], WorkOrder]] = {
    OrderClosed: on_order_closed,
    NotedClosureProposed: on_noted_closure_proposed,
    NotedClosureRejected: on_noted_closure_rejected,
    TerminationProposed: on_termination_proposed,
    TerminationRejected: on_termination_rejected,
    OrderReopened: on_order_reopened,
    OrderArchived: on_order_archived,
    DossierRendered: on_dossier_rendered,
    ArchivePackageSealed: on_archive_package_sealed,
    ArchiveTransferred: on_archive_transferred,
    CorrectionProposed: on_correction_proposed,
    CorrectionRecorded: on_correction_recorded,
    CorrectionRejected: on_correction_rejected,
    TextReleasedForOversight: on_text_released,
    PersonalDataErasureProposed: on_erasure_proposed,
    PersonalDataErased: on_erased,
    PersonalDataErasureRejected: on_erasure_rejected,
    PersonalDataRestricted: on_restricted,
}
