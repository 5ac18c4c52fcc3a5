"""What a page of rows comes to, before anything of it is written."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

import msgspec

from domain.bulk import Foreseen, Recording
from domain.law import Law
from domain.ledger import Ledger
from domain.order import fold
from domain.refusals import CommandIdReused, Refusal
from domain.settling import Proposal
from domain.terms import Actor, PolicyRef, Role
from scripts.importing.mapping import Mapping
from scripts.importing.reconciling import Compared, compared
from scripts.importing.summary import STOPS, BadSource, Reject, RowChanged, Stopped, rejected
from scripts.importing.tables import Table

Row = tuple[int, dict[str, str]]
"""The line a row begins on, and its cells by column."""


class Decided(NamedTuple):
    """What a row comes to: its commits in their order, and how it compares; or why it is rejected."""

    line: int
    compared: Compared
    proposals: Sequence[Proposal | None] = ()  # None: recorded by an earlier import
    events: Sequence[int] = ()  # how many each of them brings
    reject: Reject | None = None


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """Look for cyclic garbage seldom: an import makes millions of small records, and hardly a cycle."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


async def open_table(ledger: Ledger, mapping: Mapping, assume: str | None) -> Table:
    """Return a table to read rows by, under the law as it is now. Raises BadSource for an unpublished pack."""
    law: Law = await ledger.law()
    return Table(mapping, law, _assumed(law, assume))


async def decide(ledger: Ledger, table: Table, rows: Sequence[Row]) -> list[Decided]:
    """Decide a page of rows, each on top of those before it. Raises Stopped where the ledger cannot be read."""
    read: list[tuple[Row, list[Recording] | Exception]] = []
    for line, cells in rows:
        try:
            read.append(((line, cells), recordings(table, cells)))
        except (Refusal, msgspec.ValidationError) as error:
            read.append(((line, cells), error))
    try:
        foreseen = iter(await ledger.foresee([one for _, row in read if isinstance(row, list) for one in row]))
    except STOPS as error:
        raise Stopped(str(error)) from error
    return [
        _rejected(table, row, fault)
        if isinstance(fault, Exception)
        else _decided(table, row, [next(foreseen) for _ in fault])
        for row, fault in read
    ]


def _decided(table: Table, row: Row, told: Sequence[Foreseen | Refusal]) -> Decided:
    refusal = next((one for one in told if isinstance(one, Refusal)), None)
    if refusal is not None:
        return _rejected(table, row, refusal)
    commits = [one for one in told if isinstance(one, Foreseen)]
    entries = [entry for commit in commits for entry in commit.entries if entry.stream.startswith("order:")]
    return Decided(
        row[0],
        compared(table, row[1], fold(entries)),
        [commit.proposal for commit in commits],
        [0 if commit.proposal is None else len(commit.entries) for commit in commits],
    )


def _rejected(table: Table, row: Row, fault: Exception) -> Decided:
    return Decided(row[0], compared(table, row[1], None), reject=reject(row, fault))


def reject(row: Row, fault: Exception) -> Reject:
    """Return why a row is rejected, with its cells as they can be shown."""
    if isinstance(fault, CommandIdReused):
        fault = RowChanged(fault.detail)
    shown = {name: cell.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for name, cell in row[1].items()}
    return rejected(row[0], fault, shown)


def recordings(table: Table, cells: dict[str, str]) -> list[Recording]:
    """Return a row's commits: one an instant, since a commit's running numbers are of the day it happened on.

    Raises ValidationError, TimeDisorder and NoPolicyInForce.
    """
    mapping, key, facts = table.mapping, cells[table.mapping.key], table.facts(cells)
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
