"""The rows of a table on their way into the ledger: each once, whatever was imported before."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from uuid import UUID

import msgspec

from domain.law import Law
from domain.ledger import Ledger, Receipt
from domain.order import fold
from domain.refusals import CommandIdReused, Refusal
from domain.terms import Actor, Entry, PolicyRef, Role, Step
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
    at_once: int = 64,
) -> Summary:
    """Record the rows of an old system's table as facts, each row one order, `at_once` rows under way together.

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
    told = 0
    turn = asyncio.Semaphore(at_once)

    async def one(line: int, row: dict[str, str]) -> None:
        nonlocal told
        async with turn:
            told += 1
            if progress is not None:
                progress(told, len(rows))
            month, unit, state = table.seen(row)
            compared.row(month, unit)
            try:
                table.check(row)
                _once(seen, mapping.key, row[mapping.key])
                receipts = await _record(ledger, mapping, row[mapping.key], table.facts(row), dry_run=dry_run)
            except STOPS:
                raise
            except (Refusal, msgspec.ValidationError) as error:
                compared.refused(state)
                noted.add(line, error, {name: _shown(cell) for name, cell in row.items()})
                return
            tally(done, *receipts)
            order = fold([entry for receipt in receipts for entry in _of_the_order(receipt)])
            if order is not None:
                compared.order(order, state)

    try:
        for start in range(0, len(rows), 1024):
            page = rows[start : start + 1024]
            done.lines += len(page)
            await side_by_side(one(line, row) for line, row in page)
    except BaseException:
        noted.write()
        raise
    done.reconciliation = compared.table()
    return await finish(ledger, {}, noted, done)


def _of_the_order(receipt: Receipt) -> list[Entry]:
    return [entry for entry in receipt.events if entry.stream == receipt.stream]


def _shown(cell: str) -> str:
    return cell.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _once(seen: set[str], column: str, key: str) -> None:
    if key in seen:
        raise msgspec.ValidationError(f"{column}: {key!r} 在本文件中重复 is in this file twice")
    seen.add(key)


async def _record(
    ledger: Ledger, mapping: Mapping, key: str, facts: Sequence[tuple[Step, datetime]], *, dry_run: bool
) -> list[Receipt]:
    """Record a row: one commit an instant, since a commit's running numbers are of the day it happened on.

    Raises RowChanged where the row was imported before with other content.
    """
    # The order's id follows from mapping and old number, so the same row from a corrected file is not a second order.
    stream = f"order:{order_id(mapping.name, key, facts[0][1])}"
    receipts: list[Receipt] = []
    turns = [list(together) for _, together in groupby(facts, key=lambda pair: pair[1])]
    for turn, together in enumerate(turns):
        name = f"table:{mapping.name}:{key}:{turn}"
        receipt = await _commit(ledger, stream, mapping, name, together, dry_run=dry_run)
        if dry_run and not receipt.replayed and turn + 1 < len(turns):
            # What follows builds on what was not written: the rest of the row is tried as one.
            rest = [pair for later in turns[turn:] for pair in later]
            receipts.append(await _commit(ledger, stream, mapping, f"{name}:dry", rest, dry_run=True))
            break
        receipts.append(receipt)
    return receipts


async def _commit(
    ledger: Ledger,
    stream: str,
    mapping: Mapping,
    command_id: str,
    facts: Sequence[tuple[Step, datetime]],
    *,
    dry_run: bool,
) -> Receipt:
    try:
        return await ledger.record(
            [fact for fact, _ in facts],
            stream=stream,
            actor=Actor(user=f"import-{mapping.name}", role=Role.SYSTEM),
            command_id=command_id,
            occurred_at=[at for _, at in facts],
            dry_run=dry_run,
        )
    except CommandIdReused as error:
        raise RowChanged(command_id) from error


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
