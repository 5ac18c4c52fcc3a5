"""时钟表. One row a clock of `clocks(order, law)` at the checkpoint; how late it is, is asked with an instant."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from uuid import UUID

from domain.clocks import WINDOWS
from domain.explanation import limit_words
from projections.case import Case, Projection, Row, late_after


class ClockRow(Row, frozen=True):
    """时钟. `no` is its place in the order of the case's life; empty `unit`: the hotline centre's duty.

    What a clock says does not name the entry its case is at: then an entry leaves most rows of its case as they are.
    """

    order_id: UUID
    no: int
    number: str  # of the order
    name: str
    key: str
    unit: str
    of_class: str
    pack: str
    starts_at: datetime
    start_position: int
    limit_words: str
    due: datetime | None
    provisional: bool
    grace: datetime | None
    late_after: datetime | None  # undone later than this is late; null for windows and rights
    duty: bool  # false: a window, whose lapse is nobody's breach
    moves: int  # how often the due instant moved
    stopped_at: datetime | None
    stop_position: int | None
    cancelled_at: datetime | None
    cancel_position: int | None
    cancelled_by: str
    note: str
    during_outage: bool  # its due instant lies inside an outage of whoever bears it


def derive(case: Case) -> tuple[ClockRow, ...]:
    """Return a row a clock."""
    order = case.order
    rows: list[ClockRow] = []
    for no, clock in enumerate(case.clocks, 1):
        of_class = clock.rules.class_of(order.attributes)
        stop, cancel = clock.stop, clock.cancel
        row = ClockRow(
            order_id=order.id,
            no=no,
            number=order.number,
            name=clock.name,
            key=clock.key,
            unit=clock.unit,
            of_class="" if of_class is None else of_class.name,
            pack=clock.rules.pack.id,
            starts_at=clock.start.at,
            start_position=clock.start.position,
            limit_words=limit_words(clock.limit),
            due=clock.due,
            provisional=clock.provisional,
            grace=clock.grace,
            late_after=late_after(clock),
            duty=clock.name not in WINDOWS,
            moves=len(clock.moves),
            stopped_at=None if stop is None else stop.at,
            stop_position=None if stop is None else stop.position,
            cancelled_at=None if cancel is None else cancel.at,
            cancel_position=None if cancel is None else cancel.position,
            cancelled_by="" if cancel is None else clock.cancelled_by,
            note=clock.note,
            during_outage=clock.during_outage,
        )
        rows.append(row)
    return tuple(rows)


PROJECTION = Projection("clocks", 5, ClockRow, derive, Path(__file__).with_suffix(".sql"))
