"""往日. Every case as it was, or as it would have been: read from the events by ranges, folded one after another.

What the tables hold is true now. A list as of an instant, or of what the ledger knew then, and a candidate rule tried on
past cases are answered from the events themselves, in one pass and without writing anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import datetime
from typing import TypeVar

import msgspec

from domain.calendar import CalendarYear
from domain.clocks import WINDOWS, Clock, clocks
from domain.law import Calendars, KnownYear, Law
from domain.order import fold, history
from domain.policy import Rules
from domain.state import WorkOrder
from domain.stored import Codec
from domain.terms import ClockName, Entry
from domain.units import BEGINNING
from projections import filling
from projections.case import ORDERS, Case
from projections.filling import Ranges, Task, connect
from projections.indicators import FactRow, rows_of
from projections.orders import OrderRow
from projections.orders import derive as order_row
from projections.reading import folded, record_of

T = TypeVar("T")

_NOBODYS = frozenset({*WINDOWS, ClockName.RETURN})

Progress = Callable[[int], None]
"""Told how many cases more have been read."""


def histories(
    task: Task, codec: Codec, told: Progress | None = None, kinds: Iterable[str] = (ORDERS,)
) -> Iterator[list[Entry]]:
    """Yield the entries of every case up to the task's head, in the order of ids; of records of other kinds behind them.

    Raises Poison, psycopg's errors.
    """
    with closing(Ranges(task, kinds=kinds)) as ranges, closing(connect(task.dsn)) as reading:
        for first, last in ranges:
            seen = 0
            for entries in filling.histories(task, codec, reading, first, last):
                seen += 1
                yield entries
            if told is not None:
                told(seen)


def orders_as_of(
    found: Iterable[list[Entry]], law: Law, *, as_at: datetime | None, recorded_by: datetime | None
) -> Iterator[OrderRow]:
    """Yield the row of every case that there was: by what had happened at an instant, or by what was recorded then."""
    for entries in found:
        told = history(entries, recorded_by=recorded_by, as_at=as_at)
        state = fold(told)
        if state is not None:
            yield order_row(Case(state, told[-1].position, law))[0]


def facts(found: Iterable[list[Entry]], law: Law, since: datetime, until: datetime) -> list[FactRow]:
    """Return what indicators count of a period, under a law, from every record's entries up to where they were read."""
    told: list[FactRow] = []
    for entries in found:
        state = folded(entries)
        if state is not None:
            record = record_of(entries[0].stream, state, entries[-1].position, law)
            told += [row for row in rows_of(record) if since <= row.at < until]
    return told


def of_cases(found: Iterable[list[Entry]], law: Law, read: Callable[[Case], Iterable[T]]) -> Iterator[T]:
    """Yield what is read off every case, under a law, from its entries up to where they were read."""
    for entries in found:
        order = folded(entries)
        if order is not None:
            yield from read(Case(order, entries[-1].position, law))


# --- what if -----------------------------------------------------------------------------------------------------


class Candidate(msgspec.Struct, frozen=True):
    """候选规则. What past cases are tried under: a pack, calendars, or a share of the times an old system promised."""

    rules: Rules | None = None  # None: the pack that binds each case
    years: tuple[CalendarYear, ...] = ()
    promised: int = 100  # per cent of the promised time


class Outcome(msgspec.Struct):
    """推演结果. How many duties of one clock, unit and class were late, and would have been."""

    clock: str
    unit: str
    of_class: str  # under the candidate; under the old law where the candidate does not have the duty
    duties: int = 0
    late: int = 0
    would_be_late: int = 0
    newly_late: int = 0
    no_longer_late: int = 0
    only_before: int = 0  # duties that the candidate does not have, or gives no time
    only_after: int = 0

    def count(self, was: bool | None, would: bool | None, duties: int) -> None:
        """Count so many duties more; None: one of the two laws does not have them."""
        self.duties += duties
        self.late += duties * (was is True)
        self.would_be_late += duties * (would is True)
        self.newly_late += duties * (would is True and was is not True)
        self.no_longer_late += duties * (was is True and would is not True)
        self.only_before += duties * (would is None)
        self.only_after += duties * (was is None)


class Tried(msgspec.Struct, frozen=True):
    """推演. What a candidate came to: up to which position, over how many cases, by clock, unit and class."""

    position: int
    cases: int
    outcomes: tuple[Outcome, ...]


def law_with(law: Law, years: Iterable[CalendarYear]) -> Law:
    """Return the law with candidate calendars in the place of what was published of their years."""
    added = {year.year: KnownYear(since=BEGINNING, calendar=year) for year in years}
    if not added:
        return law
    kept = tuple(version for version in law.calendars.versions if version.calendar.year not in added)
    return msgspec.structs.replace(law, calendars=Calendars(versions=(*kept, *added.values())))


def promised(order: WorkOrder, share: int) -> WorkOrder:
    """Return the order as if the old system had promised a share of the time, in per cent."""
    due, since = order.demand.promised_due, order.registered.at
    if share == 100 or due is None:
        return order
    demand = msgspec.structs.replace(order.demand, promised_due=since + (due - since) * share / 100)
    return msgspec.structs.replace(order, demand=demand)


def tried(
    found: Iterable[list[Entry]],
    law: Law,
    candidate: Candidate,
    now: datetime,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> tuple[int, tuple[Outcome, ...]]:
    """Return how many cases registered in [since, until) there were, and how their duties fared under both laws."""
    other = law_with(law, candidate.years)
    counts: Counter[tuple[ClockName, str, str, bool | None, bool | None]] = Counter()
    cases = 0
    for entries in found:
        order = fold(entries)
        if order is None or not _within(order.registered.at, since, until):
            continue
        cases += 1
        before = {(clock.name, clock.key): clock for clock in clocks(order, law) if _is_duty(clock)}
        for clock in clocks(promised(order, candidate.promised), other, candidate.rules):
            if _is_duty(clock):
                was = before.pop((clock.name, clock.key), None)
                late = None if was is None else was.breached(now)
                counts[clock.name, clock.unit, clock.of_class, late, clock.breached(now)] += 1
        for clock in before.values():
            counts[clock.name, clock.unit, clock.of_class, clock.breached(now), None] += 1
    outcomes: dict[tuple[str, str, str], Outcome] = {}
    for (clock_name, unit, of_class, was_late, would_be), count in counts.items():
        name = (str(clock_name), unit, of_class)
        outcomes.setdefault(name, Outcome(*name)).count(was_late, would_be, count)
    return cases, tuple(outcomes[name] for name in sorted(outcomes))


def _within(at: datetime, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or at >= since) and (until is None or at < until)


def _is_duty(clock: Clock) -> bool:
    """Tell whether a clock falls due and is somebody's duty: windows and the right to return are nobody's lateness."""
    return clock.due is not None and clock.name not in _NOBODYS
