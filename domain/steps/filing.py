"""⑤ 立卷归档. What being closed means, what every closing and filing asks, and filing itself: archive, seal, hand over.

`OrderClosed` is emitted by whichever step closes: triage for direct answers, evaluation for deeming, `closing` for
what people and the timer close.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal
from uuid import UUID

import msgspec

from domain import guards, refusals
from domain.context import Context
from domain.law import Law
from domain.policy import RetentionRule
from domain.state import (
    Filing,
    Proposal,
    Reply,
    Wait,
    WorkOrder,
    ended_episodes,
    pending,
    put,
    settle,
)
from domain.terms import (
    SHANGHAI,
    Act,
    AssignmentState,
    Citation,
    ClockName,
    ClosureKind,
    Code,
    Confidentiality,
    DemandType,
    Digest,
    Entry,
    Fact,
    Mark,
    Medium,
    NoteReason,
    Number,
    OrderState,
    Period,
    Private,
    Role,
    Step,
    Struct,
    TerminationGround,
    UserId,
)
from domain.units import Instant

Keep = Literal["dossier", "register_line", "not_filed"]
"""归档范围: 一事一卷, a line of the yearly register, or not filed (8.13)."""

Retention = Literal["Y", "D30", "D10", ""]
"""保管期限: 永久, 30年, 10年; empty where nothing is filed."""


# --- events ----------------------------------------------------------------------------------------------------------


class OrderClosed(Fact, frozen=True, tag="order.order_closed"):
    """办结. The order is closed, in one of the ways the rules know.

    `accepts_reply` says that closing accepted the newest reply, which nobody had reviewed until then (8.3): reviewing
    belongs to an earlier step, whose events this one cannot write, so the acceptance is part of the closure.
    `effective_at` is when a time that ran out closed it, however late that was recorded (K13).
    """

    kind: ClosureKind
    accepts_reply: bool = False
    note_reason: NoteReason | None = None  # 备注办结
    facts_clear: bool = False  # 备注办结: 事实清楚
    termination_ground: TerminationGround | None = None  # 终止办理
    article: Citation | None = None  # the law or policy the reply, note or termination conforms to
    words: Private | None = None
    follow_up_result: Private | None = None  # of an order that asked for no reply (S2-25)
    told: Medium | None = None  # how the applicant was told of a termination
    master: UUID | None = None  # 并单: the order whose result was told
    derived: tuple[Code, ...] = ()  # what a mapping set because the source lacks it (8.15)
    effective_at: Instant | None = None  # None: as it was recorded


class OrderArchived(Fact, frozen=True, tag="order.order_archived"):
    """归档. The file was found complete and filed; its number is the commit's (档号: year of closure, number at filing)."""

    keep: Keep
    period: Retention
    basis: Citation
    verified_to: int | None = None  # the ledger's position up to which the chain was verified; None: not yet
    file_number: Code | None = None  # kept from an earlier filing, or given by another system
    gaps: tuple[Code, ...] = ()  # what the history of an imported order lacks for good
    words: Private | None = None  # 备考


class Volume(Struct, frozen=True):
    """分卷. A volume of a file that has several: its bytes, its pages."""

    digest: Digest
    pages: int


DossierEdition = Literal["full", "masked", "sealed", "identity"]
"""Editions of a file; `sealed` is an informant's identity (密封件) closed for two persons, `identity` the same opened by them."""


class DossierRendered(Fact, frozen=True, tag="order.dossier_rendered"):
    """卷宗成文. The file was printed; the same template, fonts and history give the same bytes.

    All its volumes are recorded at once, `digest` and `pages` being those of the first: a copy is there wholly, or not at all.
    """

    digest: Digest
    template_version: Code
    fonts: tuple[Digest, ...]
    upto: int  # the version of the case it shows
    pages: int
    edition: DossierEdition
    further: tuple[Volume, ...] = ()  # from the second on, of a case too long for one

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """Every volume, the first of them first."""
        return (Volume(digest=self.digest, pages=self.pages), *self.further)


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
    handover: UUID | None = None  # the batch it went with
    packet: Digest | None = None  # what it went in
    receipt_number: Code | None = None  # the archives' own


class UseCopyIssued(Fact, frozen=True, tag="order.use_copy_issued"):
    """利用登记. A copy of the file was made for somebody; its number is the commit's, and stands on the copy.

    It shows no more than what was said, never who people are; `approver` agreed to it.
    """

    receiver: Code
    purpose: Code
    edition: Literal["texts", "masked"]
    upto: int  # the version of the case it shows
    approver: UserId
    words: Private | None = None


# --- what closing and filing ask -------------------------------------------------------------------------------------

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
    """Tell whether the applicant was tried often enough: so many times, on so many days, at different hours (A-05).

    What was tried before the applicant was last reached, or for a reply that was sent back, says nothing of now.
    """
    options = law.rules(order.policy).options
    contacts = [c for e in order.episodes if e.round == order.round for c in e.contacts]
    over = [c.at for c in contacts if c.reached]
    over += [r.reviewed for r in order.replies if r.round == order.round and r.sent_back and r.reviewed is not None]
    missed = [
        c.at.at.astimezone(SHANGHAI) for c in contacts if not c.reached and all(c.at > earlier for earlier in over)
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


def open_duties(order: WorkOrder) -> tuple[str, ...]:
    """Return what still has to happen about an order after its closing: `follow_up 1`, `notice 2` …."""
    seen = order.oversight
    missing = [f"follow_up {f.no}" for f in order.follow_ups if f.done is None]
    missing += [f"notice {n.no}" for n in seen.notices if n.open]
    missing += [f"instruction {i.no}" for i in seen.instructions if i.recorded is not None and i.reported is None]
    missing += [f"appeal {a.no}" for a in seen.appeals if a.decided is None]
    missing += [
        f"correction {p.subject or p.no}" for p in order.proposals if p.about == "correction" and p.decided is None
    ]
    merge = order.links.merge
    if merge is not None and merge.undone is None and merge.told is None:
        missing.append("citizen_reply")
    return tuple(missing)


def complete(order: WorkOrder, law: Law) -> tuple[str, ...]:
    """Return what a closed order's file lacks (5.4); empty if it can be filed.

    Asked before the closing event too (deeming closes and files in one commit), so it does not ask for the closure.
    Beside the open duties: what should have happened and did not, as `reply`, `informed` ….
    """
    missing = [*open_duties(order)]
    kind = order.filing.kind
    if kind is ClosureKind.NOT_ACCEPTED or order.state is OrderState.NOT_ACCEPTED:
        return (*missing, *(() if order.filing.refusal else ("refusal_reason",)))
    dispatched = order.episode is not None and order.episode.reply_required
    if dispatched and (kind is None or kind in _REPLIED_KINDS):
        if reply_now(order) is None:
            missing.append("reply")
        if kind is not ClosureKind.UNREACHABLE and not (told(order) or tried(order, law)):
            missing.append("informed")
        missing += [f"emergency {recipient}" for recipient in emergency_untold(order, law)]
    return tuple(missing)


def retention_ends(order: WorkOrder) -> datetime | None:
    """Return the instant at which a filed case's retention ends: from the year after its closure, for the years of its
    period, or as long as an appraisal said; None for what is kept for good.
    """
    filing = order.filing
    if not filing.period.startswith("D"):
        return None
    closed_at = (filing.closed or filing.filed or order.registered).at.astimezone(SHANGHAI)
    ends = datetime(closed_at.year + 1 + int(filing.period.removeprefix("D")), 1, 1, tzinfo=SHANGHAI)
    if filing.kept_until is None:
        return ends
    kept = filing.kept_until
    return max(ends, datetime(kept.year, kept.month, kept.day, tzinfo=SHANGHAI) + timedelta(days=1))


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


def _visited(order: WorkOrder) -> bool:
    """Tell whether the round's return visit is over; for the anonymous, publishing replaces it (8.3)."""
    visit = order.revisit
    return (visit is not None and visit.over is not None) or (order.demand.anonymous and told(order))


def closable(order: WorkOrder, context: Context, *, terminating: bool = False) -> None:
    """Refuse what no way of closing a handled order may pass over; deeming asks it too.

    A termination says itself how the applicant was told, and accepts no reply. The visit of a further round asks
    about that round's reply: where there is none yet, a termination has nothing that could be visited.
    """
    episode, reply, law = order.episode, reply_now(order), context.law
    if episode is not None and any(d.ruled is None for d in episode.disputes):
        raise refusals.DisputeOpen
    untold = emergency_untold(order, law)
    if untold:
        raise refusals.EmergencyNotTold(", ".join(untold), recipients=untold)
    if reply is not None and reply.policy_fit is False and not explained(order):
        raise refusals.ExplanationMissing
    redone = order.round >= 2 and not (terminating and reply is None)
    if redone and guards.binding(order, context).options.redo_revisit and not _visited(order):
        raise refusals.RevisitMissing
    if terminating:
        return
    unread = reply is not None and reply.accepted is None
    if unread and order.confidentiality is Confidentiality.INFORMANT:
        raise refusals.IdentityNotChecked  # only who read it can say that it gives nobody away (3.5): never by itself
    if _must_hear(order) and not (tried(order, law) or _heard(order)):
        raise refusals.ResultNotTold


def _must_hear(order: WorkOrder) -> bool:
    """Tell whether the law wants this reporter told in person: a real name, with facts and evidence (S2-41)."""
    return order.demand.real_name_with_evidence and order.attributes.demand_type is DemandType.REPORT


def _heard(order: WorkOrder) -> bool:
    reply, episode = reply_now(order), order.episode
    if reply is not None and reply.informed is not None:
        return True
    return episode is not None and episode.round == order.round and episode.informed_result is not None


def second_person(order: WorkOrder, context: Context, about: str, subject: int | None = None) -> Proposal:
    """Return the proposal that waits, if somebody else made it (8.12)."""
    proposal = pending(order, about, subject)
    if proposal is None:
        raise refusals.NoSuchProposal
    guards.another_person(context, proposal.by)
    return proposal


# --- folding: closing --------------------------------------------------------------------------------------------

_STOPS = {
    ClosureKind.DIRECT: "direct",
    ClosureKind.TRANSFERRED: "transferred",
    ClosureKind.MERGED: "merged",
    ClosureKind.NOT_ACCEPTED: "refused",
}
"""Closures that are what DISPATCH waits for; every other one cancels it (2.9)."""

_ENDED_AS = {ClosureKind.WITHDRAWN: "withdrawn", ClosureKind.MERGED: "merged"}


def mark(entry: Entry) -> Mark:
    """Return the moment of an entry."""
    return Mark(entry.at, entry.position)


def _ended_wait(wait: Wait, kind: ClosureKind, at: Mark) -> Wait:
    if wait.until is not None:
        return wait
    by = _STOPS.get(kind, _ENDED_AS.get(kind, "closed"))
    return msgspec.structs.replace(wait, until=at, by=by, cancelled=kind not in _STOPS)


def closed(order: WorkOrder, kind: ClosureKind, entry: Entry, effective_at: datetime | None = None) -> WorkOrder:
    """Return the order closed: its episode ended, its waiting over, its filing begun. Also what a refusal folds to."""
    at = mark(entry)
    refused = kind is ClosureKind.NOT_ACCEPTED
    filing = msgspec.structs.replace(
        order.filing,
        closed=at,
        kind=kind,
        closed_by=entry.actor.user,
        closures=(*order.filing.closures, (at, kind)),
        held=(*order.filing.held, at if effective_at is None else Mark(effective_at, at.position)),
    )
    return msgspec.structs.replace(
        order,
        state=OrderState.NOT_ACCEPTED if refused else OrderState.CLOSED,
        resume=None,
        waits=tuple([_ended_wait(w, kind, at) for w in order.waits]),
        episodes=ended_episodes(order, _ENDED_AS.get(kind, "closed"), AssignmentState.DONE, at),
        filing=filing,
    )


def on_order_closed(order: WorkOrder, event: OrderClosed, entry: Entry) -> WorkOrder:
    """Fold the closure, and with it the acceptance of a reply that nobody had reviewed."""
    reply = order.reply
    if event.accepts_reply and reply is not None and reply.accepted is None:
        accepted = put(order.replies, reply.no, reviewed=mark(entry), accepted=True, accepted_by=entry.actor.user)
        order = msgspec.structs.replace(order, replies=accepted)
    if event.kind is ClosureKind.NOTED:
        order = settle(order, entry, "noted_closure", approved=True)
    if event.kind is ClosureKind.TERMINATED:
        order = settle(order, entry, "termination", approved=True)
    return closed(order, event.kind, entry, event.effective_at)


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
    at, filing = mark(entry), order.filing
    number = event.file_number or _number_given(entry)
    earlier = filing.earlier_numbers
    if filing.file_number and filing.file_number != number:
        earlier = (*earlier, filing.file_number)
    if filing.closed is None:  # imported history that closed without saying so
        refused = order.state is OrderState.NOT_ACCEPTED
        order = closed(order, ClosureKind.NOT_ACCEPTED if refused else ClosureKind.COMPLETED, entry)
        filing = order.filing
    filing = msgspec.structs.replace(
        filing,
        filed=at,
        keep=event.keep,
        period=event.period,
        file_number=number,
        earlier_numbers=earlier,
        record_copies=(),
    )
    return msgspec.structs.replace(order, state=OrderState.ARCHIVED, filing=filing)


def on_file(order: WorkOrder, **changes: object) -> WorkOrder:
    """Return the order with its filing changed."""
    filing: Filing = msgspec.structs.replace(order.filing, **changes)
    return msgspec.structs.replace(order, filing=filing)


def on_dossier_rendered(order: WorkOrder, event: DossierRendered, entry: Entry) -> WorkOrder:
    """Fold the digest of one more rendering; a full one of a filed order can become its record copy."""
    filing, copies = order.filing, order.filing.record_copies
    if event.edition == "full" and filing.filed is not None:
        copies = (*copies, event.digest)
    return on_file(order, dossiers=(*filing.dossiers, event.digest), record_copies=copies)


def on_use_copy_issued(order: WorkOrder, event: UseCopyIssued, entry: Entry) -> WorkOrder:
    """Fold a copy for use: the file is as it was."""
    return order


def on_archive_package_sealed(order: WorkOrder, event: ArchivePackageSealed, entry: Entry) -> WorkOrder:
    """Fold the sealing."""
    return on_file(order, sealed=mark(entry))


def on_archive_transferred(order: WorkOrder, event: ArchiveTransferred, entry: Entry) -> WorkOrder:
    """Fold the hand-over."""
    return on_file(order, moved=mark(entry))


EVOLVES: Mapping[type[Fact], Callable[[WorkOrder, Any, Entry], WorkOrder]] = {
    OrderClosed: on_order_closed,
    OrderArchived: on_order_archived,
    DossierRendered: on_dossier_rendered,
    UseCopyIssued: on_use_copy_issued,
    ArchivePackageSealed: on_archive_package_sealed,
    ArchiveTransferred: on_archive_transferred,
}


# --- commands --------------------------------------------------------------------------------------------------------

_FILERS = frozenset({Role.SYSTEM, Role.ARCHIVIST})


class Archive(Act, frozen=True, tag="archive"):
    """归档. File a closed order whose file is complete; the chain was verified up to a position.

    `keep`, `period` and `basis` only where the retention table is silent, or to file anew under another period; `gaps`
    only for what the history of an imported order lacks for good.
    """

    roles: ClassVar[frozenset[Role]] = _FILERS
    verified_to: int
    keep: Keep | None = None
    period: Retention | None = None
    basis: Citation | None = None
    gaps: tuple[Code, ...] = ()
    words: Private | None = None


class RecordDossier(Act, frozen=True, tag="record_dossier"):
    """登记卷宗成文. Record the digest of a rendered file; of one in several volumes those of all, the first apart."""

    roles: ClassVar[frozenset[Role]] = _FILERS
    digest: Digest
    template_version: Code
    fonts: tuple[Digest, ...]
    upto: int
    pages: int
    edition: DossierEdition
    further: tuple[Volume, ...] = ()


class IssueUseCopy(Act, frozen=True, tag="issue_use_copy"):
    """提供利用. Enter in the use register that a copy is made: for whom, why, what it shows, and who agreed.

    A file is used once its case is closed; whoever makes the copy is not who agrees to it.
    """

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ARCHIVIST})
    receiver: Code
    purpose: Code
    upto: int
    approver: UserId
    edition: Literal["texts", "masked"] = "masked"
    words: Private | None = None


class Seal(Act, frozen=True, tag="seal"):
    """档案封存. After the time in which a redo or reopening is still possible (A-17)."""

    roles: ClassVar[frozenset[Role]] = _FILERS
    verified_to: int
    dossier: Digest | None = None


class TransferArchive(Act, frozen=True, tag="transfer_archive"):
    """档案移交. With a packet (`handover`) once the archives have given their receipt; else as an agreement on paper says."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ARCHIVIST})
    receiver: Code
    batch: Code
    receipt: Digest | None = None
    sealed_part: Digest | None = None
    handover: UUID | None = None

    def reads(self) -> tuple[str, ...]:
        """Name the batch."""
        return () if self.handover is None else (f"batch:{self.handover}",)


# --- deciding --------------------------------------------------------------------------------------------------------

_MAY_BE_LOST = ("reply", "informed", "refusal_reason", "emergency")
"""What an imported history can lack for good. Open duties are never among it."""


def archive(order: WorkOrder, command: Archive, context: Context) -> list[Step]:
    """File the order; again from the file, where the archivist changes its retention."""
    guards.unsealed(order)
    guards.in_state(order, OrderState.CLOSED, OrderState.NOT_ACCEPTED, OrderState.ARCHIVED)
    _covered(order, command.verified_to, context)
    missing = complete(order, context.law)
    if order.imported:
        missing = tuple(m for m in missing if not (m in command.gaps and m.startswith(_MAY_BE_LOST)))
    if missing:
        raise refusals.FileIncomplete(", ".join(missing), missing=missing)
    keep, period, basis = _retained(order, command, context)
    filing = order.filing
    if order.state is OrderState.ARCHIVED and (keep, period) == (filing.keep, filing.period):
        raise refusals.NothingChanged
    year = (filing.closed or order.registered).at.astimezone(SHANGHAI).year
    number = _file_number(keep, period, year)
    kept = None
    if filing.file_number and _same_series(filing.file_number, keep, period, year):
        number, kept = [], filing.file_number
    filed = OrderArchived(
        keep=keep,
        period=period,
        basis=basis,
        verified_to=command.verified_to,
        file_number=kept,
        gaps=command.gaps if order.imported else (),
        words=command.words,
    )
    return [filed, *number]


def _same_series(number: str, keep: Keep, period: str, year: int) -> bool:
    line = number.startswith(f"{year}-{period}-L")
    return keep != "not_filed" and number.startswith(f"{year}-{period}-") and line == (keep == "register_line")


def _covered(order: WorkOrder, verified_to: int, context: Context) -> None:
    """Refuse a verification that stops before the closure, or claims more than the ledger holds."""
    closed_at = order.filing.closed.position if order.filing.closed is not None else order.registered.position
    if verified_to < closed_at or (context.position and verified_to > context.position):
        raise refusals.ChainNotVerified(f"verified_to: {verified_to}")


def _retained(order: WorkOrder, command: Archive, context: Context) -> tuple[Keep, Retention, Citation]:
    """Return how the file is kept: as the archivist states with a basis, else as the pack's table says."""
    if command.keep is not None or command.period is not None:
        stated = context.actor.role is Role.ARCHIVIST and command.basis is not None and command.keep is not None
        if not stated or (command.keep == "not_filed") != (not command.period):
            raise refusals.RetentionUnknown
        assert command.keep is not None
        assert command.basis is not None
        return command.keep, command.period or "", command.basis
    kind = order.filing.kind or ClosureKind.NOT_ACCEPTED
    rule = retention(order, context.law, kind)
    if rule is None:
        raise refusals.RetentionUnknown(kind)
    return rule.keep, rule.period, rule.basis


def record_dossier(order: WorkOrder, command: RecordDossier, context: Context) -> list[Step]:
    """Record one rendering."""
    if command.edition in ("full", "sealed"):
        _there_still(order)
    if not 1 <= command.upto <= order.version:
        raise refusals.UnknownVersion(f"upto: {command.upto}")
    digests = [command.digest, *(one.digest for one in command.further)]
    if len(set(digests)) < len(digests):
        raise refusals.VolumeTwice(next(one for one in digests if digests.count(one) > 1))
    return [
        DossierRendered(
            digest=command.digest,
            template_version=command.template_version,
            fonts=command.fonts,
            upto=command.upto,
            pages=command.pages,
            edition=command.edition,
            further=command.further,
        )
    ]


def issue_use_copy(order: WorkOrder, command: IssueUseCopy, context: Context) -> list[Step]:
    """Register a copy for use, under the next number of the year."""
    guards.in_state(order, OrderState.CLOSED, OrderState.ARCHIVED, OrderState.NOT_ACCEPTED)
    _there_still(order)
    guards.another_person(context, command.approver)
    if not 1 <= command.upto <= order.version:
        raise refusals.UnknownVersion(f"upto: {command.upto}")
    issued = UseCopyIssued(
        receiver=command.receiver,
        purpose=command.purpose,
        edition=command.edition,
        upto=command.upto,
        approver=command.approver,
        words=command.words,
    )
    return [issued, Number("use_copy")]


def _there_still(order: WorkOrder) -> None:
    """Refuse a file that was destroyed: nothing of it is lent, handed over, or made again."""
    if order.filing.disposed is not None:
        raise refusals.WrongState("已销毁 destroyed", state=order.state)


def seal(order: WorkOrder, command: Seal, context: Context) -> list[Step]:
    """Seal a filed order once its time has passed and nothing about it is open."""
    guards.unsealed(order)
    guards.in_state(order, OrderState.ARCHIVED)
    due = guards.due(order, context, ClockName.SEAL)
    if due is not None and not context.passed(due):
        raise refusals.NotYetDue(f"seal: {due}")
    _covered(order, command.verified_to, context)
    still_open = open_duties(order)
    if still_open:
        raise refusals.FileIncomplete(", ".join(still_open), missing=still_open)
    if order.filing.keep == "dossier" and command.dossier not in order.filing.record_copies:
        raise refusals.DossierMissing
    return [ArchivePackageSealed(verified_to=command.verified_to, dossier=command.dossier)]


def transfer_archive(order: WorkOrder, command: TransferArchive, context: Context) -> list[Step]:
    """Hand a sealed file over to the archives."""
    filing = order.filing
    if filing.sealed is None:
        raise refusals.NotSealed
    if filing.moved is not None:
        raise refusals.WrongState("已移交 handed over", state=order.state)
    _there_still(order)
    if order.confidentiality is Confidentiality.INFORMANT and command.sealed_part is None:
        raise refusals.SealedPartMissing
    packet, receipt_number = _received(order, command, context)
    return [
        ArchiveTransferred(
            receiver=command.receiver,
            batch=command.batch,
            receipt=command.receipt,
            sealed_part=command.sealed_part,
            handover=command.handover,
            packet=packet,
            receipt_number=receipt_number,
        )
    ]


def _received(order: WorkOrder, command: TransferArchive, context: Context) -> tuple[str | None, str | None]:
    """Return in which packet, and with which receipt, a file went; nothing where it went with none.

    Raises UnknownStream, ReceiptMissing, ReceiptDiffers, NotInPacket, PieceRefused.
    """
    if command.handover is None:
        return None, None
    number, batch = order.filing.file_number, context.other(f"batch:{command.handover}")
    if batch is None:
        raise refusals.UnknownStream(f"batch:{command.handover}")
    if batch.received is None:
        raise refusals.ReceiptMissing(batch.number)
    if command.receiver != batch.receiver:
        raise refusals.ReceiptDiffers(f"receiver: {command.receiver} ≠ {batch.receiver}", field="receiver")
    if not batch.holds(number):
        raise refusals.NotInPacket(f"{number} · {batch.packet}")
    if why := batch.why_refused(number):
        raise refusals.PieceRefused(f"{number}: {why}")
    return batch.digest, batch.receipt


DECIDES: Mapping[type[Act], Callable[[WorkOrder, Any, Context], Sequence[Step]]] = {
    Archive: archive,
    RecordDossier: record_dossier,
    IssueUseCopy: issue_use_copy,
    Seal: seal,
    TransferArchive: transfer_archive,
}
