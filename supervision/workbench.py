"""查账. What an auditor does with histories: finds entries, puts two states side by side, and what was corrected.

Pure but for reading. An entry's lateness is derived: of the clock that it stopped, by the law that is in force for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from domain.clocks import WINDOWS, clocks
from domain.duties import title_of
from domain.law import Law
from domain.ledger import Ledger
from domain.order import fold
from domain.steps.correcting import CorrectionProposed, CorrectionRecorded
from domain.stored import tag
from domain.terms import ClockName, Entry, Private, Sealed

WINDOW = 50_000
"""Positions that one answer looks at: some tenths of a second, however few of them are found."""

_AT_ONCE = 500
"""Entries whose cases are folded for one answer."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is looked for. `types` are tags of events; `late` seconds by which an entry ended a clock too late, at least."""

    types: tuple[str, ...] = ()
    user: str = ""
    role: str = ""
    units: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    late: int | None = None


class EntryRow(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that was found; `late_seconds` and `clock`: of the clock that it stopped latest behind its due instant."""

    position: int
    at: datetime
    recorded_at: datetime
    stream: str
    number: str
    version: int
    type: str
    title: str
    user: str
    role: str
    unit: str
    reason: str
    clock: str = ""
    clock_key: str = ""
    due: datetime | None = None
    late_seconds: int | None = None


class Page(NamedTuple):
    """Entries that were found, and up to which position was looked; `more`: there is more behind it."""

    rows: list[EntryRow]
    last: int
    more: bool


class _Late(NamedTuple):
    seconds: int
    clock: ClockName
    key: str
    due: datetime


async def search(ledger: Ledger, law: Law, wanted: Wanted, *, after: int, limit: int) -> Page:
    """Return the next entries like that. A page may hold nothing, and go on: each looks at so many positions."""
    end, _ = await ledger.head()
    upto = min(end, after + WINDOW)
    most = _AT_ONCE if wanted.late is not None else limit
    found = await ledger.search(
        after,
        upto,
        most,
        topics=wanted.types,
        user=wanted.user,
        role=wanted.role,
        units=wanted.units,
        since=wanted.since,
        until=wanted.until,
    )
    cases = list(dict.fromkeys(entry.stream for entry in found if entry.stream.startswith("order:")))
    numbers: dict[str, str] = {}
    ended: dict[int, _Late] = {}
    for stream, entries in zip(cases, await ledger.histories(cases), strict=True):
        case = fold(entries)
        if case is not None:
            numbers[stream] = case.number
            ended |= _ended_late(entries, law)
    rows = [_row(entry, numbers.get(entry.stream, ""), ended.get(entry.position)) for entry in found]
    kept = [row for row in rows if wanted.late is None or ((row.late_seconds or 0) >= max(wanted.late, 1))]
    last = upto
    if len(kept) > limit:
        last = kept[limit - 1].position
    elif len(found) == most:
        last = found[-1].position
    return Page(kept[:limit], last, last < end)


def _ended_late(entries: Sequence[Entry], law: Law) -> dict[int, _Late]:
    """Return the clocks that stopped behind their due instant, by the position that stopped each: the latest of them."""
    case = fold(entries)
    found: dict[int, _Late] = {}
    for clock in clocks(case, law) if case is not None else ():
        if clock.stop is None or clock.due is None or clock.name in WINDOWS or clock.stop.at <= clock.due:
            continue
        late = _Late(int((clock.stop.at - clock.due).total_seconds()), clock.name, clock.key, clock.due)
        found[clock.stop.position] = max(late, found.get(clock.stop.position, late))
    return found


def _row(entry: Entry, number: str, late: _Late | None) -> EntryRow:
    return EntryRow(
        position=entry.position,
        at=entry.at,
        recorded_at=entry.recorded_at,
        stream=entry.stream,
        number=number,
        version=entry.version,
        type=tag(type(entry.event)),
        title=title_of(type(entry.event)),
        user=entry.actor.user,
        role=entry.actor.role,
        unit=entry.actor.unit,
        reason=entry.reason,
        clock="" if late is None else late.clock,
        clock_key="" if late is None else late.key,
        due=None if late is None else late.due,
        late_seconds=None if late is None else late.seconds,
    )


async def rows_of(ledger: Ledger, law: Law, stream: str) -> list[EntryRow]:
    """Return every entry of a record as a search shows it."""
    entries = await ledger.history(stream)
    case = fold(entries) if stream.startswith("order:") else None
    ended = _ended_late(entries, law) if case is not None else {}
    return [_row(entry, case.number if case is not None else "", ended.get(entry.position)) for entry in entries]


# --- side by side ------------------------------------------------------------------------------------------------


class Difference(msgspec.Struct, frozen=True):
    """What stands otherwise in two states: where, and what in each; nothing there: null."""

    path: str
    before: Any
    after: Any


def differences(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """Yield what two pieces of plain data have otherwise, in the order of their members."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys((*before, *after)):
            yield from differences(before.get(name), after.get(name), f"{path}.{name}".strip("."))
    elif isinstance(before, list) and isinstance(after, list):
        for number in range(max(len(before), len(after))):
            one, other = (held[number] if number < len(held) else None for held in (before, after))
            yield from differences(one, other, f"{path}.{number}")
    elif before != after:
        yield Difference(path, before, after)


class Corrected(msgspec.Struct, frozen=True, kw_only=True):
    """更正. What was recorded beside what it was corrected to, and who proposed and approved it."""

    no: int
    version: int
    position: int
    type: str
    field: str
    recorded_at: datetime
    old: Any
    new: Any
    proposed_by: str
    proposed_at: datetime
    basis: Private
    approved_by: str
    approved_at: datetime
    in_force: bool  # a later correction of the same field took its place otherwise


def corrections(entries: Sequence[Entry]) -> list[Corrected]:
    """Return the corrections of a history, in their order, each beside the entry that it corrects."""
    by_version = {entry.version: entry for entry in entries}
    proposed = [entry for entry in entries if isinstance(entry.event, CorrectionProposed)]
    made = [entry for entry in entries if isinstance(entry.event, CorrectionRecorded)]
    last = {(entry.event.version, entry.event.field): entry.version for entry in made}
    return [_corrected(entry, by_version, proposed, last) for entry in made]


def _corrected(
    made: Entry, by_version: dict[int, Entry], proposed: Sequence[Entry], last: dict[tuple[int, str], int]
) -> Corrected:
    event: CorrectionRecorded = made.event
    what, asked = by_version[event.version], proposed[event.correction - 1]
    sealed = isinstance(event.new_text, Sealed)
    return Corrected(
        no=event.correction,
        version=event.version,
        position=what.position,
        type=tag(type(what.event)),
        field=event.field,
        recorded_at=what.recorded_at,
        old=event.old_text if sealed else event.old,
        new=event.new_text if sealed else event.new,
        proposed_by=asked.actor.user,
        proposed_at=asked.at,
        basis=asked.event.basis,
        approved_by=made.actor.user,
        approved_at=made.at,
        in_force=last[event.version, event.field] == made.version,
    )


def changed(before: Iterable[Any], after: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the rows of two lists that differ, side by side, by their ids; None where there was none."""
    earlier, later = ({row.id: row for row in rows} for rows in (before, after))
    for one in sorted(earlier.keys() | later.keys()):
        if earlier.get(one) != later.get(one):
            yield earlier.get(one), later.get(one)
