"""申诉表. One row an appeal of a unit against a published figure, as far as one order goes into it (8.11)."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from uuid import UUID

from domain.terms import ClockName
from projections.case import Case, Projection, Row


class AppealRow(Row, frozen=True):
    """考核申诉. `due` is when it is to be decided; `decided_late` that it was, or is open, after that."""

    order_id: UUID
    no: int
    number: str  # of the order
    title: str  # of the order
    unit: str  # who contests
    indicator: str
    ground: str
    report: UUID | None
    published_at: datetime
    issuer: str  # who approved the figure, and does not decide
    filed_at: datetime
    filed_by: str
    late: bool  # filed after its time
    due: datetime | None
    provisional: bool
    decided_at: datetime | None
    upheld: bool | None
    exclusion: str  # what an upheld one leaves out
    version: int
    position: int


def derive(case: Case) -> tuple[AppealRow, ...]:
    """Return a row an appeal."""
    order = case.order
    if not order.oversight.appeals:
        return ()
    clocks = {c.key: c for c in case.clocks if c.name is ClockName.APPEAL_DECISION}
    rows: list[AppealRow] = []
    for appeal in order.oversight.appeals:
        clock = clocks.get(f"a{appeal.no}")
        row = AppealRow(
            order_id=order.id,
            no=appeal.no,
            number=order.number,
            title=order.demand.title,
            unit=appeal.unit,
            indicator=appeal.indicator,
            ground=appeal.ground or "",
            report=appeal.report,
            published_at=appeal.published_at,
            issuer=appeal.issuer,
            filed_at=appeal.filed.at,
            filed_by=appeal.filed_by,
            late=appeal.late,
            due=None if clock is None else clock.due,
            provisional=clock is not None and clock.provisional,
            decided_at=None if appeal.decided is None else appeal.decided.at,
            upheld=appeal.upheld,
            exclusion=appeal.exclusion,
            version=order.version,
            position=case.position,
        )
        rows.append(row)
    return tuple(rows)


PROJECTION = Projection("appeals", 1, AppealRow, derive, Path(__file__).with_suffix(".sql"))
