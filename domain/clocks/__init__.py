"""时钟. Every duty of a case that falls due, derived from its marks and the law; nothing here is stored.

`clocks(order, law)` is the complete list (8.4); a due instant is a function of events and law, so it can be asked
again under another calendar or another pack. How each one came about is told by `domain.explanation`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from domain.clocks.beside import external_clock, later_clocks, merged_clocks, oversight_clocks, statutory_clocks
from domain.clocks.case import Case
from domain.clocks.clock import HANDLING, WINDOWS, Clock, Move, Status, Why
from domain.clocks.handling import dispatch_clocks, episode_clocks
from domain.law import Law
from domain.policy import Rules
from domain.state import WorkOrder
from domain.terms import ClockName

__all__ = [
    "HANDLING",
    "WINDOWS",
    "Clock",
    "Move",
    "OverdueItem",
    "Status",
    "Why",
    "clock_of",
    "clocks",
    "overdue_items",
]


def clocks(order: WorkOrder, law: Law, rules: Rules | None = None) -> tuple[Clock, ...]:
    """Return every clock of the order, in the order of its life; pure.

    `rules` asks what would hold under another pack than the order's own (what-if). Due instants are aware, in
    Asia/Shanghai; a running clock is read with the newest calendar, an ended one with that known at its end (K11).
    """
    case = Case(order, law, rules or law.rules(order.policy))
    dispatch_clocks(case)
    for episode in order.episodes:
        episode_clocks(case, episode)
    demand = order.demand
    if demand.external_due is not None or demand.promised_due is not None:
        external_clock(case)
    if order.attributes.tags or (order.changes and any(change.before.tags for change in order.changes)):
        statutory_clocks(case)
    if order.links.merge is not None:
        merged_clocks(case)
    seen = order.oversight
    if seen.notices or seen.whistles or seen.instructions or seen.appeals:
        oversight_clocks(case)
    if order.follow_ups or order.filing.filed is not None:
        later_clocks(case)
    if law.outages:
        return tuple(_in_outage(clock, law) for clock in case.found)
    return tuple(case.found)


def _in_outage(clock: Clock, law: Law) -> Clock:
    """Return the clock, marked where it falls due inside an outage of its unit (8.11): a breach then carries that."""
    if clock.due is None or law.outage_over(clock.due, clock.unit or law.hotline_unit) is None:
        return clock
    return msgspec.structs.replace(clock, during_outage=True)


class OverdueItem(msgspec.Struct, frozen=True):
    """超期办理件. An episode whose unit asked for its return too late; approved or not (S1-20, R-34)."""

    episode: int
    unit: str
    since: datetime


def overdue_items(found: Iterable[Clock]) -> tuple[OverdueItem, ...]:
    """Return the overdue items among an order's clocks: each a late return under rules that call it so."""
    return tuple(
        OverdueItem(int(clock.key[1:]), clock.unit, clock.due)
        for clock in found
        if clock.name is ClockName.RETURN
        and clock.stop is not None
        and clock.due is not None
        and clock.stop.at > clock.due
        and clock.rules.options.late_return == "overdue_item"
    )


def clock_of(order: WorkOrder, law: Law, name: ClockName, key: str | None = None) -> Clock | None:
    """Return the newest clock of that name, or the one with this key; None if there is none."""
    found = [c for c in clocks(order, law) if c.name is name and (key is None or c.key == key)]
    return found[-1] if found else None
