"""一案. What every projection derives its rows from, and how far a change of the law reaches.

A row is a function of one case's entries and of the law, both up to the same position. So a page of events touches
the cases it names; and where it changes the law, those whose rows could come out differently: `Reach`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from domain.calendar import CalendarYear
from domain.clocks import WINDOWS, Clock, clocks
from domain.law import Law
from domain.state import WorkOrder
from domain.terms import ClockName, UnitId
from domain.units import BEGINNING, Succession, day_start

ORDERS = "order"
"""The kind of stream that a case is."""


class Row(msgspec.Struct, frozen=True):
    """The base of a table's rows: its fields are the table's columns, in their order."""


class Case:
    """One order as its entries up to a position make it, with its clocks under the law of a position."""

    __slots__ = ("_clocks", "law", "order", "position")

    def __init__(self, order: WorkOrder, position: int, law: Law) -> None:
        self.order = order
        self.position = position  # of its last entry: what the rows are true at, until an entry follows
        self.law = law
        self._clocks: tuple[Clock, ...] | None = None

    @property
    def id(self) -> UUID:
        """The order's id."""
        return self.order.id

    @property
    def clocks(self) -> tuple[Clock, ...]:
        """Every clock of the case, derived once however many projections ask."""
        if self._clocks is None:
            self._clocks = clocks(self.order, self.law)
        return self._clocks


class Beside(NamedTuple):
    """One record that is no order, such as a matter, as its entries up to a position make it, with the law of one."""

    kind: str
    id: UUID
    state: Any
    position: int
    law: Law


def nothing(_: Case) -> Sequence[Row]:
    """Say nothing about cases: what a table derives that is about other records alone."""
    return ()


class Projection(NamedTuple):
    """A table and the pure functions that say what stands in it about one case, or one record of another kind.

    `form` is raised whenever columns or meaning change: a table of another form is made again, never followed.
    `beside` has the function for each kind of stream that is read beside the orders.
    """

    name: str
    form: int
    row: type[Row]
    derive: Callable[[Case], Sequence[Row]]
    sql: Path
    beside: Mapping[str, Callable[[Beside], Sequence[Row]]] = {}

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of streams that rows of the table come from."""
        return frozenset({*self.beside, *(() if self.derive is nothing else (ORDERS,))})

    def rows_of(self, record: Case | Beside) -> Sequence[Row]:
        """Return the rows about a record, of a kind that the table has."""
        return self.derive(record) if isinstance(record, Case) else self.beside[record.kind](record)


def late_after(clock: Clock) -> datetime | None:
    """Return the instant after which a duty still undone counts as late; None for what nobody is ever late with."""
    if clock.due is None or clock.name in WINDOWS or clock.name is ClockName.RETURN:
        return None
    return clock.due if clock.grace is None else max(clock.due, clock.grace)


# --- law that changed --------------------------------------------------------------------------------------------


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Which cases may have other rows since the law changed: never too few of them."""

    due_from: datetime | None = None  # those with a due instant from here on: a calendar changed no day before
    outages: tuple[tuple[datetime, datetime], ...] = ()  # those with a due instant inside (from, until]
    beside_from: datetime | None = None  # records that are no orders, by due instant: they ask for the pack of the day
    units: bool = False  # those in which something is asked of whoever stands above a unit, or took over from it
    everything: bool = False

    def __bool__(self) -> bool:
        """Tell whether any case is reached."""
        return self != _NOWHERE


_NOWHERE = Reach()


def reach(before: Law, after: Law) -> Reach:
    """Return how far the difference between two laws reaches.

    Packs reach no case: each is bound to one by its digest; a notice to a unit is counted by the pack in force when it
    was served. Overlays bind beside it, closed cases included; they change once in years, so that all is derived again.
    A peak meets waits that last into it. Roles stand in the events themselves.
    """
    if before is after:
        return _NOWHERE
    held = before.calendars.versions
    changed = [
        _first_difference(new.calendar, [v.calendar for v in held if v.calendar.year == new.calendar.year])
        for new in after.calendars.versions
        if new not in held
    ]
    since = [day_start(day) for day in changed if day is not None]
    if before.peaks != after.peaks and _counts_any_overlap(after):
        since += [peak.from_at for number, peak in after.peaks.items() if before.peaks.get(number) != peak]
    outages = [o for o in after.outages if o not in before.outages]
    moved = _places(before) != _places(after)
    if moved:  # an outage of a unit is one of those below it when it lasts, whenever that is said
        outages = [o for o in after.outages if o.units or o in outages]
    return Reach(
        due_from=min(since, default=None),
        outages=tuple((o.from_at, o.until) for o in outages),
        beside_from=_first_other_pack(before, after),
        units=moved,
        everything=_overlays(before) != _overlays(after),
    )


def _counts_any_overlap(law: Law) -> bool:
    """Tell whether some pack lengthens the wait of whoever is waiting when a peak begins (R-01)."""
    return any(law.rules(p.ref).options.peak_basis == "any_overlap" for p in law.policies.publications)


def _places(law: Law) -> dict[UnitId, tuple[list[tuple[datetime | None, UnitId]], Succession | None]]:
    """Return where each unit stands and stood, and who took over from it; what it is called moves nothing."""
    places = dict[UnitId, tuple[list[tuple[datetime | None, UnitId]], Succession | None]]()
    for unit in law.units.by_id.values():
        stood = groupby(unit.versions, lambda version: version.parent)
        places[unit.id] = [(next(versions).since, parent) for parent, versions in stood], unit.succession
    return places


def _first_other_pack(before: Law, after: Law) -> datetime | None:
    """Return the first instant at which another pack is in force than was; None where there is none."""
    if before.policies is after.policies:
        return None
    bases = before.policies.base, after.policies.base
    at = BEGINNING
    while bases[0].at(at) == bases[1].at(at):
        ahead = [change for base in bases if (change := base.next_change(at)) is not None]
        if not ahead:
            return None
        at = min(ahead)
    return at


def _overlays(law: Law) -> list[tuple[str, date | None, date | None, bool]]:
    return [(p.ref.digest, p.first, p.last, p.assumed) for p in law.policies.publications if p.pack.overlay]


def _first_difference(new: CalendarYear, held: Sequence[CalendarYear]) -> date | None:
    """Return the first day on which a year differs from any version of it known before; None where on none."""
    if not held:
        return date(new.year, 1, 1)  # presumed until now, and dues that looked at it said so
    return min((day for old in held for day, _ in _days(new) ^ _days(old)), default=None)


def _days(year: CalendarYear) -> set[tuple[date, str]]:
    off = {(day, "off") for span in year.off for day in span.days()}
    return off | {(makeup.day, "makeup") for makeup in year.makeup}
