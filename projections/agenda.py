"""待巡检表. One row an order: from when on a sweep has something to do about it, and from when on a person has."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from uuid import UUID

from domain.effects import effects
from domain.terms import ClockName
from projections.case import Case, Projection, Row


class AgendaRow(Row, frozen=True):
    """待巡检. What is to be done, and whether it still is, a sweep asks of the order itself; this only finds it."""

    order_id: UUID
    no: int  # always 1
    act_at: datetime | None  # the earliest effect that comes about by itself
    left_at: datetime | None  # the earliest that takes a person
    last_due: datetime | None  # of its running clocks: how far a change of the calendar reaches


def derive(case: Case) -> tuple[AgendaRow, ...]:
    """Return the order's row; none where nothing runs and nothing is to be done."""
    found = case.clocks
    made = effects(case.order, found, case.law)
    ends = [max(c.due, c.grace or c.due) for c in found if c.running and c.due and c.name is not ClockName.SEAL]
    if not made and not ends:
        return ()
    return (
        AgendaRow(
            order_id=case.order.id,
            no=1,
            act_at=min((e.at for e in made if e.by_itself), default=None),
            left_at=min((e.at for e in made if not e.by_itself), default=None),
            last_due=max(ends, default=None),
        ),
    )


PROJECTION = Projection("agenda", 1, AgendaRow, derive, Path(__file__).with_suffix(".sql"))
