"""Old against new: what the rows of a table came to (8.15), and whether both say the same of promises kept."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import NamedTuple

from domain.clocks import clocks
from domain.law import Law
from domain.state import WorkOrder
from domain.terms import SHANGHAI, ClockName
from scripts.importing.summary import Disagreement, Kept, Reconciled
from scripts.importing.tables import Table

ON_TIME = "按时 on time"
LATE = "超期 late"
SILENT = "—"
"""What is shown where the old system says nothing."""


class Promise(NamedTuple):
    """How our own clock of a promise ended."""

    due: datetime
    ended: datetime
    late: bool


class Became(NamedTuple):
    """What became of a row."""

    month: str
    unit: str
    state: str
    promise: Promise | None  # None: nothing was promised, or it is still running


class Compared(NamedTuple):
    """A row as the old system has it, and what became of it here."""

    key: str
    month: str
    unit: str
    state: str
    kept: str | None  # the old system's word on its promise; None: the mapping does not read one
    became: Became | None  # None: no order


def compared(table: Table, cells: dict[str, str], order: WorkOrder | None) -> Compared:
    """Compare a row with its order."""
    month, unit, state = table.seen(cells)
    verdict = table.mapping.kept
    said = cells.get(verdict.column, "") if verdict is not None else None
    return Compared(
        cells.get(table.mapping.key, ""), month, unit, state, said, None if order is None else _became(order, table.law)
    )


def _became(order: WorkOrder, law: Law) -> Became:
    return Became(
        month=order.registered.at.astimezone(SHANGHAI).isoformat()[:7],
        unit=order.episode.lead if order.episode is not None else "—",
        state=str(order.state),
        promise=_promise(order, law),
    )


def _promise(order: WorkOrder, law: Law) -> Promise | None:
    """Return how the clock of what another system promised ended."""
    if order.demand.promised_due is None:
        return None
    (clock,) = (clock for clock in clocks(order, law) if clock.name is ClockName.EXTERNAL)
    end = clock.stop or clock.cancel
    if end is None or clock.due is None:
        return None
    return Promise(clock.due, end.at, clock.breached(end.at))


class Reconciliation:
    """The table that an import ends with."""

    def __init__(self, table: Table, without: str = "退回 rejected") -> None:
        self._without = without
        self._verdict = table.mapping.kept
        self._rows: Counter[tuple[str, str]] = Counter()
        self._orders: Counter[tuple[str, str]] = Counter()
        self.kept = Kept() if self._verdict is not None else None

    def add(self, one: Compared) -> None:
        """Count a row."""
        self._rows.update((("month", one.month), ("unit", one.unit)))
        if one.became is None:
            self._rows["state", f"{one.state} → {self._without}"] += 1
            return
        became = ("state", f"{one.state} → {one.became.state}")
        self._rows[became] += 1
        self._orders.update((("month", one.became.month), ("unit", one.became.unit), became))
        if one.became.promise is not None:
            self._judge(one, one.became.promise)

    def _judge(self, one: Compared, promise: Promise) -> None:
        """Hold our clock's verdict on an ended promise against the old system's word."""
        if self._verdict is None or self.kept is None or one.kept is None:
            return
        self.kept.compared += 1
        ours = LATE if promise.late else ON_TIME
        if one.kept in (self._verdict.late if promise.late else self._verdict.in_time):
            self.kept.agreed += 1
            return
        self.kept.differing.append(
            Disagreement(number=one.key, due=promise.due, ended=promise.ended, old=one.kept or SILENT, ours=ours)
        )

    def table(self) -> list[Reconciled]:
        """Return it, by month, unit, state."""
        names = sorted(
            self._rows.keys() | self._orders.keys(), key=lambda name: ("month", "unit", "state").index(name[0])
        )
        by_month = sorted((name for name in names if name[0] == "month"), key=lambda name: name[1])
        others = [name for name in names if name[0] != "month"]
        others.sort(key=lambda name: (name[0] == "state", -self._rows[name]))
        return [Reconciled(*name, self._rows[name], self._orders[name]) for name in (*by_month, *others)]
