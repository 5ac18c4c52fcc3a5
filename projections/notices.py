"""督办文书表. One row a notice of an order; those of other matters come to stand beside them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from uuid import UUID

from domain.terms import ClockName
from projections.case import Case, Projection, Row


class NoticeRow(Row, frozen=True):
    """督办文书. As it is at `position`; `turn` counts how often it was issued."""

    order_id: UUID
    no: int
    number: str  # of the order
    paper_number: str  # its own, as printed
    kind: str
    ground: str
    unit: str
    clock: str  # the clock it is about, where it is about one
    clock_key: str
    episode: int | None
    state: str
    is_open: bool
    turn: int
    issued_at: datetime
    served_at: datetime | None
    reply_due: datetime | None
    replied_at: datetime | None
    accepted_at: datetime | None
    arrive_by: datetime | None
    arrived_at: datetime | None
    site_recorded_at: datetime | None
    closed_at: datetime | None
    reminder: str  # which reminder of its clock this is
    instruction: int | None
    special_report: int | None
    escalated_to: int | None
    version: int
    position: int


def derive(case: Case) -> tuple[NoticeRow, ...]:
    """Return a row a notice."""
    order = case.order
    if not order.oversight.notices:
        return ()
    replies = {c.key: c.due for c in case.clocks if c.name is ClockName.SUPV_REPLY}
    return tuple(
        NoticeRow(
            order_id=order.id,
            no=notice.no,
            number=order.number,
            paper_number=notice.number,
            kind=notice.kind,
            ground=notice.ground,
            unit=notice.unit,
            clock=notice.clock or "",
            clock_key=notice.clock_key,
            episode=notice.episode,
            state=notice.state,
            is_open=notice.open,
            turn=notice.turn,
            issued_at=notice.issued.at,
            served_at=None if notice.served is None else notice.served.at,
            reply_due=replies.get(f"n{notice.no}.{notice.turn}"),
            replied_at=None if notice.replied is None else notice.replied.at,
            accepted_at=None if notice.accepted is None else notice.accepted.at,
            arrive_by=notice.arrive_by,
            arrived_at=None if notice.arrived is None else notice.arrived.at,
            site_recorded_at=None if notice.site_recorded is None else notice.site_recorded.at,
            closed_at=None if notice.closed is None else notice.closed.at,
            reminder=notice.reminder,
            instruction=notice.instruction,
            special_report=notice.special_report,
            escalated_to=notice.escalated_to,
            version=order.version,
            position=case.position,
        )
        for notice in order.oversight.notices
    )


PROJECTION = Projection("notices", 1, NoticeRow, derive, Path(__file__).with_suffix(".sql"))
