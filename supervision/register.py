"""文书登记簿. One paper read from the ledger for printing, and the papers of a kind and year by their running numbers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from domain.journals import NUMBERS, NumberGiven
from domain.ledger import Ledger
from domain.refusals import Erased
from domain.terms import Entry, UnitId
from supervision.instruments import InstrumentKind, NotAnInstrument, Paper, Shown, instruments, paper

Opener = Callable[[Sequence[Shown]], Awaitable[Mapping[str, str | Erased]]]
"""Opens what a paper shows, for whom it may, after the access journal says who looked and why."""

INSTITUTION = "institution"


async def read(ledger: Ledger, stream: str, version: int, opener: Opener | None = None) -> Paper:
    """Return the paper of one event; without an opener what is sealed stays so. Raises NotAnInstrument."""
    entries, laws = await ledger.histories([stream, INSTITUTION])
    entry = next((one for one in entries if one.version == version), None)
    if entry is None:
        raise NotAnInstrument(f"version: {version}")
    witnessed = await ledger.witnesses(entry.position - 1, entry.position)
    leaf = f"{ledger.imprint.hash}:{witnessed[0].event.leaf.hex()}"
    made, shown = paper(entries, version, laws, leaf=leaf)
    if opener is None or not shown:
        return made
    opened = await opener(shown)
    made, _ = paper(entries, version, laws, leaf=leaf, opened=opened)
    return made


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """One number of the register, and what was printed under it."""

    kind: InstrumentKind
    no: int
    number: str  # as printed
    record: str  # the stream
    version: int
    position: int
    at: datetime
    title: str
    to: tuple[str, ...]


class Page(msgspec.Struct, frozen=True):
    """Papers in the order of their series and numbers, each with the units it is for and its record's entries."""

    rows: tuple[tuple[Registered, frozenset[UnitId], tuple[Entry, ...]], ...]
    more: tuple[int, int] | None  # the series and the last number looked at, where there are more


async def numbered(
    ledger: Ledger, kind: InstrumentKind, series: Sequence[str], *, after: tuple[int, int] | None, limit: int
) -> Page:
    """Return the papers of a kind that were numbered in some series (`2026`, `HY2026`), behind where a page ended."""
    first, last = after or (0, 0)
    given: list[tuple[int, int, str]] = []  # series, number, record
    for nth, name in list(enumerate(series))[first:]:
        since = last if nth == first else 0
        rows = await ledger.rows(
            "stored_of_stream", f"{NUMBERS}{kind}/{name}", since, (1 << 62), limit + 1 - len(given)
        )
        given += [(nth, int(row[1]), msgspec.json.decode(row[3], type=NumberGiven).to) for row in rows]
        if len(given) > limit:
            break
    page = given[:limit]
    streams = list(dict.fromkeys(record for _, _, record in page))
    *histories, laws = await ledger.histories([*streams, INSTITUTION])
    of_stream = dict(zip(streams, histories, strict=True))
    found: list[tuple[Registered, frozenset[UnitId], tuple[Entry, ...]]] = []
    for nth, no, record in page:
        entries = of_stream[record]
        event = _numbered_by(entries, kind, f"{kind}/{series[nth]}", no)
        if event is None:
            continue  # a number that another record of the same commit took
        made, _ = paper(entries, event.version, laws)
        row = Registered(
            kind=kind,
            no=no,
            number=made.number,
            record=record,
            version=event.version,
            position=event.position,
            at=made.at,
            title=made.title,
            to=made.to,
        )
        found.append((row, made.units, tuple(entries)))
    return Page(tuple(found), page[-1][:2] if len(given) > limit else None)


def _numbered_by(entries: Sequence[Entry], kind: InstrumentKind, journal: str, no: int) -> Entry | None:
    """Return the event of a record whose paper has a number."""
    for entry, found in instruments(entries):
        if found is kind and no in entry.numbers.get(journal, ()):
            return entry
    return None
