"""What an import says of itself: the summary, the rejects file, and why it stopped."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from domain.journals import is_journal
from domain.ledger import Ledger, Receipt
from domain.refusals import (
    Busy,
    ClockAhead,
    ClosedDoor,
    ConcurrencyConflict,
    OutcomeUnknown,
    Refusal,
    Unavailable,
)
from scripts import wiring

Progress = Callable[[int, int], None]

STOPS = (Busy, ClockAhead, ClosedDoor, ConcurrencyConflict, OutcomeUnknown, Unavailable)
"""Refusals that say nothing about the line: the import stops there, and goes on when it is given again."""


class Reject(msgspec.Struct):
    """A line that was not imported, and why."""

    line: int
    code: str
    reason: str
    content: Any = None


class Reconciled(msgspec.Struct):
    """One line of the reconciliation of a table: how many rows the old system has, and how many orders came of them."""

    by: str  # month, unit or state
    name: str  # of the state: the old system's word → ours
    rows: int
    orders: int


class Disagreement(msgspec.Struct):
    """A promise of which the old system says otherwise than our own clock."""

    number: str  # the old one
    due: datetime
    ended: datetime
    old: str
    ours: str


class Kept(msgspec.Struct):
    """Promises kept: rows that were promised and ended, and of how many both say the same."""

    compared: int = 0
    agreed: int = 0
    differing: list[Disagreement] = []

    @property
    def rate(self) -> float | None:
        """The part on which both agree; None where nothing was compared."""
        return self.agreed / self.compared if self.compared else None


class Summary(msgspec.Struct):
    """What an import did."""

    file: str
    lines: int = 0
    imported: int = 0
    events: int = 0
    already: int = 0
    expected_refusals: int = 0
    rejected: int = 0
    by_reason: dict[str, int] = {}
    orders: dict[str, str] = {}  # label -> printed number or id
    reconciliation: list[Reconciled] = []
    kept: Kept | None = None
    rejects_file: str = ""
    dry_run: bool = False


class BadSource(Exception):
    """The file as a whole cannot be imported; the message says what to do."""


class Stopped(Exception):
    """The import could not go on to its end; what was imported stays, and the same command goes on from there."""


class Rejects:
    """The rejects file: JSON Lines beside the imported file unless named; made only when there is something to say."""

    def __init__(self, path: Path, source: Path) -> None:
        """Make sure of the file before anything is imported. Raises BadSource where nothing could be written to it."""
        self.path = path
        self.rows: list[Reject] = []
        self.unreadable: list[int] = []  # lines that are not even lines of a script
        if path.exists() and path.samefile(source):
            raise BadSource(f"退回文件不能是导入文件本身 the rejects file cannot be the imported file: {path}")
        try:
            with path.open("ab") as file:
                empty = file.tell() == 0
            if empty:
                path.unlink()
        except OSError as error:
            raise BadSource(
                f"无法写入退回文件, 尚未导入任何内容 cannot write the rejects file, nothing was imported: {path}: "
                f"{error.strerror}; 另指一处 name another: --rejects FILE"
            ) from error

    def add(self, line: int, error: Exception, content: Any = None) -> None:
        """Note a line that was not imported."""
        self.rows.append(rejected(line, error, content))

    def write(self) -> str:
        """Write what was noted, for its owner's eyes: rows hold what people wrote. Return the file's name, or nothing."""
        if not self.rows:
            self.path.unlink(missing_ok=True)  # of an earlier run: none of it is true any more
            return ""
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_bytes(msgspec.json.Encoder().encode_lines(sorted(self.rows, key=lambda r: r.line)))
        draft.replace(self.path)
        return str(self.path)


def rejected(line: int, error: Exception, content: Any = None) -> Reject:
    """Return why a line was not imported."""
    said = wiring.problem(error)
    reason = " · ".join(part for part in (said["sentence"], said["detail"], said.get("basis", "")) if part)
    return Reject(line=line, code=said["code"], reason=reason, content=content)


class WasNotRefused(Refusal):
    """脚本写明应被拒绝的命令未被拒绝。The script says this command is refused, but it was carried out."""


class AnotherRefusal(Refusal):
    """命令被拒绝, 但不是脚本写明的理由。The command was refused, but not for the reason the script states."""


class RefusedBefore(Refusal):
    """此行在先前导入时已被拒绝, 其后各行已经执行。Refused when this file was imported before; the lines after it were carried out."""


class RowChanged(Refusal):
    """此行先前已导入, 而内容、映射或政策与当时不同; 请在账本中更正。This row was imported before, from other content, by another mapping or under another policy: correct it in the ledger."""


class TimeDisorder(Refusal):
    """时间先后矛盾。The times of this row contradict each other."""


@contextmanager
def stopping() -> Iterator[None]:
    """Raise the first of several tasks' errors alone, as Stopped where it says nothing about a line."""
    try:
        yield
    except BaseExceptionGroup as several:
        first = several.exceptions[0]
        raise Stopped(str(first)) if isinstance(first, STOPS) else first from None
    except STOPS as error:
        raise Stopped(str(error)) from error


async def side_by_side(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do several things at once. The first that cannot go on ends the others, and is raised."""
    with stopping():
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)


def tally(done: Summary, *receipts: Receipt) -> None:
    new = [receipt for receipt in receipts if not receipt.replayed]
    done.imported += bool(new)
    done.already += not new
    done.events += sum(not is_journal(entry.stream) for receipt in new for entry in receipt.events)


async def finish(ledger: Ledger, labels: dict[str, str], noted: Rejects, done: Summary) -> Summary:
    for label, stream in labels.items():
        if stream.startswith("order:") and (order := await ledger.fold(stream)) is not None:
            done.orders[label] = order.number or stream
    done.rejected = len(noted.rows)
    done.by_reason = dict(Counter(row.code for row in noted.rows))
    done.rejects_file = noted.write()
    return done
