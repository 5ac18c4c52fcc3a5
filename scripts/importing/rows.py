"""The rows of a table on their way into the ledger: each once, whatever was imported before."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from domain.ledger import Ledger
from domain.refusals import Refusal
from domain.settling import Before, Late, Moved, Outcome, Proposal, Written
from scripts.importing.beside import Helpers
from scripts.importing.deciding import Decided, Row, collecting_seldom, decide, open_table, recordings, reject
from scripts.importing.mapping import Mapping
from scripts.importing.reconciling import Reconciliation, compared
from scripts.importing.summary import STOPS, Progress, Rejects, Summary, finish, stopping
from scripts.importing.tables import Table

COMMITS = 1024
"""How many commits a page may come to: what is decided and written together."""

ENOUGH = 4000
"""From so many rows on, another process decides while this one writes."""

Deciding = Callable[[Sequence[Row]], Coroutine[Any, Any, list[Decided]]]


async def import_table(
    ledger: Ledger,
    path: Path,
    mapping: Mapping,
    *,
    assume: str | None,
    rejects: Path,
    dry_run: bool = False,
    progress: Progress | None = None,
    jobs: int | None = 0,
) -> Summary:
    """Record the rows of an old system's table as facts, each row one order, page by page in the file's order.

    `assume` names a published pack that history is run under outside its validity; each order is stamped so (8.15).
    `jobs` processes decide beside this one, which then only writes (None: as is worth it); they open the city as the
    environment says. A row is known by its old number: a corrected file brings in only what was not there yet.
    Raises BadSource, and Stopped where the ledger takes no more.
    """
    noted = Rejects(rejects, path)
    content = await asyncio.to_thread(path.read_bytes)
    table = await open_table(ledger, mapping, assume)
    run = _Run(ledger, table, noted, Summary(file=str(path), dry_run=dry_run), progress)
    try:
        rows = list(table.rows(content))
        jobs = _worth(len(rows)) if jobs is None else jobs
        pages = run.pages(rows)
        async with AsyncExitStack() as stack:
            stack.enter_context(collecting_seldom())
            deciding: Deciding = partial(decide, ledger, table)
            if jobs:
                deciding = (await stack.enter_async_context(Helpers(ledger.city, mapping, assume, jobs))).decide
            await run.through(pages, deciding, ahead=2 * jobs)
    except BaseException:
        noted.write()
        raise
    run.done.reconciliation, run.done.kept = run.compared.table(), run.compared.kept
    return await finish(ledger, {}, noted, run.done)


def _worth(rows: int) -> int:
    """Return how many processes are worth starting beside this one, which has less to do than two of them."""
    return min(os.cpu_count() or 1, 3) if rows >= ENOUGH else 0


class _Run:
    """One import under way."""

    def __init__(self, ledger: Ledger, table: Table, noted: Rejects, done: Summary, progress: Progress | None) -> None:
        self.done = done
        self.compared = Reconciliation(table)
        self._ledger = ledger
        self._table = table
        self._noted = noted
        self._progress = progress
        self._rows = 0

    def pages(self, rows: Sequence[Row]) -> list[list[Row]]:
        """Return the rows that may come in, page by page; what has not a row's shape is noted and left out."""
        self._rows = len(rows)
        keys: set[str] = set()
        fit: list[Row] = []
        for line, cells in rows:
            try:
                self._table.check(cells)
                key = cells[self._table.mapping.key]
                if key in keys:
                    raise msgspec.ValidationError(
                        f"{self._table.mapping.key}: {key!r} 在本文件中重复 is in this file twice"
                    )
                keys.add(key)
                fit.append((line, cells))
            except msgspec.ValidationError as error:
                self.compared.add(compared(self._table, cells, None))
                self._noted.rows.append(reject((line, cells), error))
                self.done.lines += 1
        size = max(16, COMMITS // len(self._table.mapping.event))
        return [fit[start : start + size] for start in range(0, len(fit), size)]

    async def through(self, pages: Sequence[list[Row]], deciding: Deciding, ahead: int) -> None:
        """Bring all pages through: some are being decided, ahead of the one that is being written."""
        decided: deque[tuple[list[Row], asyncio.Task[list[Decided]]]] = deque()
        writing: asyncio.Task[None] | None = None
        with stopping():
            async with asyncio.TaskGroup() as group:
                for number in range(len(pages) + ahead):
                    if number < len(pages):
                        decided.append((pages[number], group.create_task(deciding(pages[number]))))
                    if number >= ahead:
                        page, task = decided.popleft()
                        rows = await task
                        if writing is not None:
                            await writing
                        writing = group.create_task(self._write(page, rows))

    async def _write(self, page: Sequence[Row], rows: Sequence[Decided]) -> None:
        """Write a page in one go; a row of which something moved meanwhile is recorded by itself."""
        proposals = [one for row in rows for one in row.proposals if one is not None]
        outcomes: dict[str, bool | Refusal | None] = {one.command_id: True for one in proposals}
        if not self.done.dry_run:
            settled = await self._ledger.submit_all(proposals)
            outcomes = {one.command_id: _settled(one, told) for one, told in zip(proposals, settled, strict=True)}
        for (line, cells), row in zip(page, rows, strict=True):
            told = [False if one is None else outcomes[one.command_id] for one in row.proposals]
            if None in told:
                told = await self._again(cells, told)
            self._count((line, cells), row, told)
        if self._progress is not None:
            self._progress(self.done.lines, self._rows)

    async def _again(self, cells: dict[str, str], told: Sequence[bool | Refusal | None]) -> list[bool | Refusal | None]:
        after: list[bool | Refusal | None] = []
        for one, before in zip(recordings(self._table, cells), told, strict=True):
            try:
                receipt = await self._ledger.record(
                    one.facts,
                    stream=one.stream,
                    actor=one.actor,
                    command_id=one.command_id,
                    occurred_at=one.occurred_at,
                )
            except Refusal as refusal:
                return [*after, refusal]
            after.append(before is True or not receipt.replayed)
        return after

    def _count(self, row: Row, decided: Decided, told: Sequence[bool | Refusal | None]) -> None:
        """Count what became of a row. Raises a refusal that says nothing about the row: there the import stops."""
        self.done.lines += 1
        refusal = next((one for one in told if isinstance(one, Refusal)), None)
        if isinstance(refusal, STOPS):
            raise refusal
        rejected = decided.reject if refusal is None else reject(row, refusal)
        if rejected is not None:
            self._noted.rows.append(rejected)
            self.compared.add(decided.compared._replace(became=None))
            return
        self.done.imported += any(told)
        self.done.already += not any(told)
        self.done.events += sum(count for count, fresh in zip(decided.events, told, strict=True) if fresh)
        self.compared.add(decided.compared)


def _settled(proposal: Proposal, outcome: Outcome) -> bool | Refusal | None:
    """Say whether a commit is ours (True), was there before (False), is refused, or is to be tried again (None)."""
    match outcome:
        case Written():
            return True
        case Before():
            return proposal.sent
        case Moved() | Late():
            return None
        case Refusal():
            return outcome
