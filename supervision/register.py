"""文书登记簿. One paper read from the ledger for printing, and the papers of a kind and year by their running numbers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from domain.journals import NUMBERS, NumberGiven
from domain.ledger import Ledger
from domain.refusals import Erased
from domain.terms import Entry
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
    """Numbers in their order, and the last one looked at where there are more."""

    rows: tuple[tuple[Registered, tuple[Entry, ...]], ...]  # each with its record's entries
    more: int | None


async def numbered(ledger: Ledger, journal: str, *, after: int, limit: int) -> Page:
    """Return the papers that a journal numbered (`dispatch_slip/HY2026`), in the order of their numbers."""
    found = await ledger.rows("stored_of_stream", f"{NUMBERS}{journal}", after, (1 << 62), limit + 1)
    given = [(int(row[1]), int(row[0]), msgspec.json.decode(row[3], type=NumberGiven)) for row in found]
    streams = list(dict.fromkeys(one.to for _, _, one in given[:limit]))
    *histories, laws = await ledger.histories([*streams, INSTITUTION])
    of_stream = dict(zip(streams, histories, strict=True))
    kind = InstrumentKind(journal.partition("/")[0])
    rows: list[tuple[Registered, tuple[Entry, ...]]] = []
    for no, _, one in given[:limit]:
        entries = of_stream[one.to]
        event = _numbered_by(entries, kind, journal, no)
        if event is None:
            continue  # a number that another record of the same commit took
        made, _ = paper(entries, event.version, laws)
        row = Registered(
            kind=kind,
            no=no,
            number=made.number,
            record=one.to,
            version=event.version,
            position=event.position,
            at=event.at,
            title=made.title,
            to=made.to,
        )
        rows.append((row, tuple(entries)))
    return Page(tuple(rows), given[limit - 1][0] if len(given) > limit else None)


def _numbered_by(entries: Sequence[Entry], kind: InstrumentKind, journal: str, no: int) -> Entry | None:
    """Return the event of a record whose paper has a number."""
    for entry, found in instruments(entries):
        if found is kind and no in entry.numbers.get(journal, ()):
            return entry
    return None
