"""The rows of a table on their way into the ledger: each once, whatever was imported before."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import msgspec

from domain.bulk import Recording
from domain.law import Law
from domain.ledger import Ledger, Receipt
from domain.order import fold
from domain.refusals import CommandIdReused, Refusal
from domain.terms import Actor, PolicyRef, Role, Step
from scripts.importing.mapping import Mapping
from scripts.importing.reconciling import Reconciliation
from scripts.importing.summary import (
    STOPS,
    BadSource,
    Progress,
    Rejects,
    RowChanged,
    Summary,
    finish,
    side_by_side,
    tally,
)
from scripts.importing.tables import Table


async def import_table(
    ledger: Ledger,
    path: Path,
    mapping: Mapping,
    *,
    assume: str | None,
    rejects: Path,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Record the rows of an old system's table as facts, each row one order, page by page in the file's order.

    `assume` names a published pack that history is run under outside its validity; each order is stamped so (8.15).
    A row is known by its old number: a corrected file brings in only what was not there yet.
    Raises BadSource, and Stopped where the ledger takes no more.
    """
    noted = Rejects(rejects, path)
    content = await asyncio.to_thread(path.read_bytes)
    law: Law = await ledger.law()
    table = Table(mapping, law, _assumed(law, assume))
    done, compared = Summary(file=str(path), dry_run=dry_run), Reconciliation()
    rows = list(table.rows(content))
    seen: set[str] = set()
    turn = asyncio.Semaphore(AHEAD)

    async def page(some: Sequence[tuple[int, dict[str, str]]]) -> None:
        async with turn:
            read = [_read(table, seen, line, row) for line, row in some]
            told = iter(await ledger.record_all([one for row in read for one in row.recordings], dry_run=dry_run))
            for row in read:
                _settle(row, [next(told) for _ in row.recordings], table, noted, done, compared)
            done.lines += len(some)
            if progress is not None:
                progress(done.lines, len(rows))

    try:
        await side_by_side(page(rows[start : start + PAGE]) for start in range(0, len(rows), PAGE))
    except BaseException:
        noted.write()
        raise
    done.reconciliation = compared.table()
    return await finish(ledger, {}, noted, done)


PAGE = 512
"""Rows that are read, decided and written together."""

AHEAD = 2
"""Pages under way at once: one is decided while the other is being written."""


class _Row(NamedTuple):
    """A row on its way: what is to be recorded of it, or why nothing can be."""

    line: int
    cells: dict[str, str]
    recordings: Sequence[Recording] = ()
    fault: Exception | None = None


def _read(table: Table, seen: set[str], line: int, cells: dict[str, str]) -> _Row:
    try:
        table.check(cells)
        key = cells[table.mapping.key]
        if key in seen:
            raise msgspec.ValidationError(f"{table.mapping.key}: {key!r} 在本文件中重复 is in this file twice")
        seen.add(key)
        return _Row(line, cells, _recordings(table.mapping, key, table.facts(cells)))
    except (Refusal, msgspec.ValidationError) as error:
        return _Row(line, cells, fault=error)


def _recordings(mapping: Mapping, key: str, facts: Sequence[tuple[Step, datetime]]) -> list[Recording]:
    """Return a row's commits: one an instant, since a commit's running numbers are of the day it happened on."""
    # The order's id follows from mapping and old number, so the same row from a corrected file is not a second order.
    stream = f"order:{order_id(mapping.name, key, facts[0][1])}"
    actor = Actor(user=f"import-{mapping.name}", role=Role.SYSTEM)
    turns = [list(together) for _, together in groupby(facts, key=lambda pair: pair[1])]
    return [
        Recording(
            [fact for fact, _ in together],
            stream=stream,
            actor=actor,
            command_id=f"table:{mapping.name}:{key}:{turn}",
            occurred_at=[at for _, at in together],
        )
        for turn, together in enumerate(turns)
    ]


def _settle(
    row: _Row,
    told: Sequence[Receipt | Refusal],
    table: Table,
    noted: Rejects,
    done: Summary,
    compared: Reconciliation,
) -> None:
    """Count what became of a row. Raises a refusal that says nothing about the row: there the import stops."""
    month, unit, state = table.seen(row.cells)
    compared.row(month, unit)
    refusal = next((one for one in told if isinstance(one, Refusal)), None)
    if isinstance(refusal, STOPS):
        raise refusal
    fault = row.fault or (_row_changed(refusal) if isinstance(refusal, CommandIdReused) else refusal)
    if fault is not None:
        compared.refused(state)
        noted.add(row.line, fault, {name: _shown(cell) for name, cell in row.cells.items()})
        return
    receipts = [one for one in told if isinstance(one, Receipt)]
    tally(done, *receipts)
    order = fold([entry for receipt in receipts for entry in receipt.events if entry.stream == receipt.stream])
    if order is not None:
        compared.order(order, state)


def _row_changed(refusal: CommandIdReused) -> RowChanged:
    return RowChanged(refusal.detail)


def _shown(cell: str) -> str:
    return cell.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def order_id(mapping: str, key: str, at: datetime) -> UUID:
    """Return the id of an imported order: a UUIDv7 of its registration, the rest from mapping and old number."""
    millis = int(at.timestamp() * 1000)
    tail = int.from_bytes(hashlib.sha256(f"{mapping}\n{key}".encode()).digest()[:10])
    value = (millis & (1 << 48) - 1) << 80 | tail
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def _assumed(law: Law, name: str | None) -> PolicyRef | None:
    """Return the pack to assume. Raises BadSource where it was never published in this city."""
    if name is None:
        return None
    wanted = name.upper()
    for publication in law.policies.publications:
        if wanted in (publication.pack.id, publication.pack.id.split("-")[0]):
            return publication.ref
    known = ", ".join(p.pack.id for p in law.policies.publications)
    raise BadSource(f"本城市未公布此政策 this city has not published {name}; 已公布 published: {known}")
