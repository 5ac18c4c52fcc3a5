"""Old against new: what the rows of a table came to (8.15)."""

from __future__ import annotations

from collections import Counter

from domain.state import WorkOrder
from domain.terms import SHANGHAI
from scripts.importing.summary import Reconciled


class Reconciliation:
    """Old against new: what the rows of a table came to, by month, unit and state (8.15)."""

    def __init__(self) -> None:
        self._rows: Counter[tuple[str, str]] = Counter()
        self._orders: Counter[tuple[str, str]] = Counter()

    def row(self, month: str, unit: str) -> None:
        """Count a row of the file."""
        self._rows.update((("month", month), ("unit", unit)))

    def refused(self, state: str) -> None:
        """Count a row of which no order came."""
        self._rows["state", f"{state} → 退回 rejected"] += 1

    def order(self, order: WorkOrder, state: str) -> None:
        """Count what became of a row."""
        lead = order.episode.lead if order.episode is not None else ""
        became = ("state", f"{state} → {order.state}")
        self._rows[became] += 1
        registered = order.registered.at.astimezone(SHANGHAI)
        self._orders.update((("month", f"{registered:%Y-%m}"), ("unit", lead or "—"), became))

    def table(self) -> list[Reconciled]:
        """Return it, by month, unit, state."""
        names = sorted(
            self._rows.keys() | self._orders.keys(), key=lambda name: ("month", "unit", "state").index(name[0])
        )
        by_month = sorted((name for name in names if name[0] == "month"), key=lambda name: name[1])
        others = [name for name in names if name[0] != "month"]
        others.sort(key=lambda name: (name[0] == "state", -self._rows[name]))
        return [Reconciled(*name, self._rows[name], self._orders[name]) for name in (*by_month, *others)]
