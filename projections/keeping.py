"""手边. Cases at hand: what the last entries made of them, so that the next ones go on from there.

A case is told in some ten entries over some weeks, and a follower meets it in as many pages. Read again from its first
entry each time, a stream that grows costs the square of its length. What is kept here is a pure function of entries
that never change; it may be thrown away at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from domain.steps.correcting import CorrectionRecorded
from domain.terms import Entry
from projections.case import Row

MOST = 20_000
"""Cases kept: some hundred megabytes at most."""

Written = tuple[str, int, int]
"""A projection's name, its table's version, and since when in a row this process has written it."""


class Kept(NamedTuple):
    """A case after its entry of a version, and the rows that tables have of it, where this process wrote them."""

    state: Any
    version: int
    rows: Mapping[Written, Sequence[Row]]


def may_go_on(entries: Sequence[Entry]) -> bool:
    """Tell whether a stream's state can be gone on from: no correction in it names an entry that is yet to come."""
    return all(e.event.version < e.version for e in entries if isinstance(e.event, CorrectionRecorded))


def goes_on(entries: Sequence[Entry]) -> bool:
    """Tell whether entries can be folded on a state: a correction changes what lies before it."""
    return not any(isinstance(e.event, CorrectionRecorded) for e in entries)


class Keeping:
    """The cases met last, by stream."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: dict[str, Kept] = {}
        self._stands: dict[tuple[str, int], tuple[int, int]] = {}  # where this process left a table, and since when

    def before(self, stream: str, entry: Entry) -> Kept | None:
        """Return the case as it was right before an entry; None where that is not at hand."""
        kept = self._kept.get(stream)
        return kept if kept is not None and kept.version == entry.version - 1 else None

    def written(self, name: str, version: int, position: int) -> Written:
        """Return what rows of a table are kept under that stands at a position.

        Where this process did not leave it there, somebody else has written to it: what is kept of it holds no more.
        """
        stood, since = self._stands.get((name, version), (position, position))
        if stood != position:
            since = position
        self._stands[name, version] = position, since
        return name, version, since

    def committed(self, tables: Iterable[Written], position: int, cases: Mapping[str, Kept]) -> None:
        """Keep what a page left; what was met longest ago makes room."""
        for name, version, since in tables:
            self._stands[name, version] = position, since
        for stream, case in cases.items():
            had = self._kept.pop(stream, case)
            if had.version == case.version:  # tables that stood elsewhere have met it, too
                self._kept[stream] = case._replace(rows={**had.rows, **case.rows})
            else:
                self._kept[stream] = max(had, case, key=lambda one: one.version)
        while len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]
