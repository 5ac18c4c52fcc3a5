"""⑤ 到期鉴定与销毁. What becomes of a file whose retention is over: an opinion on it, and its end where all agreed to a list.

Destroying takes the case's keys in its commit, as an erasure does (4.4): what was sealed is unreadable everywhere it was
copied to, the files beside the ledger go with it; the leaves, the list and the decision stay, and every proof holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, ClassVar
from uuid import UUID

from domain import guards, refusals
from domain.clocks import clocks
from domain.context import Context
from domain.law import Law
from domain.state import WorkOrder
from domain.steps.filing import mark, on_file, open_duties, retention_ends
from domain.terms import (
    SHANGHAI,
    Act,
    Citation,
    Digest,
    Entry,
    Fact,
    OrderState,
    Private,
    Role,
    Shred,
    Step,
    UserId,
    Word,
)


class Opinion(Word):
    """鉴定意见. What is thought of a file when it is looked at for its opening, or at the end of its retention."""

    OPEN = "open", "开放"
    CONTROLLED = "controlled", "控制使用"
    EXTENDED = "extended", "延长保管"


# --- events ------------------------------------------------------------------------------------------------------


class FileAppraised(Fact, frozen=True, tag="order.file_appraised"):
    """鉴定意见. Whether the file may be opened, or is kept longer than its period says, with the reason."""

    opinion: Opinion
    basis: Citation
    until: date | None = None  # 控制使用或延长保管: the last day of it
    words: Private | None = None


class FileDisposed(Fact, frozen=True, tag="order.file_disposed"):
    """档案销毁. The file was destroyed as its list was approved; the case's keys went in this commit, the proof remains."""

    disposal: UUID  # the batch
    digest: Digest  # of its list
    basis: Citation
    witness: UserId  # 监销人


# --- folding -----------------------------------------------------------------------------------------------------


def on_file_appraised(order: WorkOrder, event: FileAppraised, entry: Entry) -> WorkOrder:
    """Fold the opinion; the newest holds, but a promise to keep it longer stays."""
    kept = order.filing.kept_until
    if event.opinion is Opinion.EXTENDED and event.until is not None:
        kept = event.until if kept is None else max(kept, event.until)
    return on_file(order, appraised=mark(entry), opinion=event.opinion.value, kept_until=kept)


def on_file_disposed(order: WorkOrder, event: FileDisposed, entry: Entry) -> WorkOrder:
    """Fold the end of the file."""
    at = mark(entry)
    return on_file(order, disposed=at, erased=order.filing.erased or at)


EVOLVES: Mapping[type[Fact], Callable[[WorkOrder, Any, Entry], WorkOrder]] = {
    FileAppraised: on_file_appraised,
    FileDisposed: on_file_disposed,
}


# --- commands ----------------------------------------------------------------------------------------------------


class AppraiseFile(Act, frozen=True, tag="appraise_file"):
    """档案鉴定. `until`, later than its retention, where it is kept longer."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ARCHIVIST, Role.HOTLINE_MANAGER})
    opinion: Opinion
    basis: Citation
    until: date | None = None
    words: Private | None = None


class DisposeFile(Act, frozen=True, tag="dispose_file"):
    """销毁档案. A case of an approved list; destroys its keys in the same commit. `witness` watched it being done."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ARCHIVIST})
    disposal: UUID
    witness: UserId

    def reads(self) -> tuple[str, ...]:
        """Name the list."""
        return (f"batch:{self.disposal}",)


# --- what keeps a file -------------------------------------------------------------------------------------------


def held_by(order: WorkOrder, law: Law) -> tuple[str, ...]:
    """Return what keeps a file whatever its retention says: an open case, a duty, an undecided proposal, a running clock."""
    filing = order.filing
    if order.state is not OrderState.ARCHIVED or filing.keep == "not_filed":
        return (f"state {order.state}",)
    reasons = [*open_duties(order)]
    if filing.sealed is None:
        reasons.append("unsealed")
    if filing.moved is not None:
        reasons.append("handed_over")  # its end is the receiving archives' to decide
    reasons += [f"proposal {p.about}" for p in order.proposals if p.decided is None and p.about != "correction"]
    reasons += [f"clock {c.name}" for c in clocks(order, law) if c.running and c.due is not None]
    return tuple(dict.fromkeys(reasons))


def disposable(order: WorkOrder, context: Context) -> None:
    """Refuse a file that may not be destroyed now.

    Raises WrongState, PermanentFile, FileHeld, RetentionRunning, NotAppraised.
    """
    filing = order.filing
    if filing.disposed is not None:
        raise refusals.WrongState(f"已销毁 destroyed: {filing.file_number}", state=order.state)
    if held := held_by(order, context.law):
        raise refusals.FileHeld(f"{filing.file_number or order.number}: {', '.join(held)}", missing=held)
    ends = retention_ends(order)
    if ends is None:
        raise refusals.PermanentFile(filing.file_number)
    if not context.passed(ends):
        raise refusals.RetentionRunning(f"{filing.file_number}: {ends.date()}")
    if filing.appraised is None or filing.appraised.at < ends:
        raise refusals.NotAppraised(filing.file_number)


def listed(order: WorkOrder) -> str:
    """Return a file's line of the list that is agreed to: number, title, closed on, period, kept until, opinion."""
    filing, ends = order.filing, retention_ends(order)
    closed = (filing.closed or order.registered).at.astimezone(SHANGHAI).date()
    over = "" if ends is None else f"{ends.date()}"
    return "\t".join((filing.file_number, order.demand.title, f"{closed}", filing.period, over, filing.opinion))


# --- deciding ----------------------------------------------------------------------------------------------------


def appraise(order: WorkOrder, command: AppraiseFile, context: Context) -> list[Step]:
    """Give an opinion on a filed case."""
    guards.in_state(order, OrderState.ARCHIVED)
    if order.filing.disposed is not None or order.filing.keep == "not_filed":
        raise refusals.WrongState("无卷可鉴定 there is no file", state=order.state)
    if command.opinion is Opinion.EXTENDED:
        ends = retention_ends(order)
        until = command.until
        if ends is None or until is None or until <= ends.date() or guards.day_over(context, until):
            raise refusals.ExtensionUnfit(f"{until or '-'}; 原 now: {ends.date() if ends is not None else '永久'}")
    return [FileAppraised(opinion=command.opinion, basis=command.basis, until=command.until, words=command.words)]


def dispose(order: WorkOrder, command: DisposeFile, context: Context) -> list[Step]:
    """Destroy the keys of a case of an approved list in this commit, and say so."""
    batch = context.other(f"batch:{command.disposal}")
    if batch is None:
        raise refusals.UnknownStream(f"batch:{command.disposal}")
    if batch.approved is None:
        raise refusals.DisposalNotApproved(batch.number)
    if order.id not in batch.orders:
        raise refusals.NotListed(f"{order.filing.file_number or order.number} · {batch.number}")
    guards.another_person(context, command.witness)
    disposable(order, context)
    disposed = FileDisposed(disposal=command.disposal, digest=batch.digest, basis=batch.basis, witness=command.witness)
    return [disposed, Shred(stream=context.stream)]


DECIDES: Mapping[type[Act], Callable[[WorkOrder, Any, Context], Sequence[Step]]] = {
    AppraiseFile: appraise,
    DisposeFile: dispose,
}
