"""What of an old system's table is in the ledger now: read there, not remembered from an import."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from domain.ledger import Ledger
from domain.order import fold
from scripts.importing.deciding import Row, open_table, order_id
from scripts.importing.mapping import Mapping
from scripts.importing.reconciling import Reconciliation, compared
from scripts.importing.summary import Kept, Progress, Reconciled
from scripts.importing.tables import Table

PAGE = 1000


class Review(msgspec.Struct):
    """How a table and the ledger compare."""

    file: str
    rows: int = 0
    orders: int = 0
    missing: list[str] = []  # old numbers of rows of which there is no order
    foreign: list[str] = []  # old numbers of orders brought over by this mapping, of which the file has no row
    reconciliation: list[Reconciled] = []
    kept: Kept | None = None


async def review_table(ledger: Ledger, path: Path, mapping: Mapping, *, progress: Progress | None = None) -> Review:
    """Compare a table with the orders that came of it, as they are now. Raises BadSource."""
    content = await asyncio.to_thread(path.read_bytes)
    table = await open_table(ledger, mapping, None)
    rows = list(table.rows(content))
    done, tally = Review(str(path), rows=len(rows)), Reconciliation(table, without="无工单 no order")
    for start in range(0, len(rows), PAGE):
        page = rows[start : start + PAGE]
        streams = [_stream(table, row) for row in page]
        asked = [stream for stream in dict.fromkeys(streams) if stream is not None]
        found = dict(zip(asked, await ledger.histories(asked), strict=True))
        for (_, cells), stream in zip(page, streams, strict=True):
            order = fold(found[stream]) if stream is not None else None
            tally.add(compared(table, cells, order))
            if order is None:
                done.missing.append(cells.get(mapping.key, ""))
            else:
                done.orders += 1
        if progress is not None:
            progress(min(start + PAGE, len(rows)), len(rows))
    done.foreign = await _foreign(ledger, mapping, rows)
    done.reconciliation, done.kept = tally.table(), tally.kept
    return done


def _stream(table: Table, row: Row) -> str | None:
    """Return the stream a row's order has; None for a row that no order can come of."""
    with suppress(msgspec.ValidationError, KeyError):
        at = table.instant(row[1][table.mapping.event[0].at])
        return f"order:{order_id(table.mapping.name, row[1][table.mapping.key], at)}"
    return None


async def _foreign(ledger: Ledger, mapping: Mapping, rows: Sequence[Row]) -> list[str]:
    ids = await ledger.rows("commands_between", f"table:{mapping.name}:", f"table:{mapping.name};")
    there = {command_id.removeprefix(f"table:{mapping.name}:").rpartition(":")[0] for (command_id,) in ids}
    return sorted(there - {cells.get(mapping.key, "") for _, cells in rows})
