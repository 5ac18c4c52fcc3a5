"""督办事项表. One row a matter: circulars, notices to a unit, meetings, inspections, referrals, shifts handed over."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from uuid import UUID

from domain.duties import of_matter
from domain.matters.matter import Matter, MatterState, state_of
from projections.case import Beside, Projection, Row, nothing


class MatterRow(Row, frozen=True):
    """督办事项. `due` is the next instant at which somebody owes something about it; `waits_for` who that is."""

    id: UUID
    kind: str
    state: str
    is_open: bool
    number: str  # on paper: of the minutes, the notice, the circular, the letter
    title: str
    units: list[str]
    orders: int  # that it rests on
    opened_at: datetime
    opened_by: str
    published_at: datetime | None
    notice_state: str  # of a notice to a unit
    duties: int  # told to units: decisions, rectification
    done: int  # of these, accepted
    waits_for: list[str]  # units that owe something now; empty text: the hotline centre
    due: datetime | None
    referred_at: datetime | None
    closed_at: datetime | None
    version: int
    position: int


def of_matters(record: Beside) -> tuple[MatterRow, ...]:
    """Return a matter's row."""
    matter: Matter = record.state
    state, owed = state_of(matter), of_matter(matter, record.law)
    row = MatterRow(
        id=record.id,
        kind=matter.what,
        state=state,
        is_open=state not in (MatterState.CLOSED, MatterState.REJECTED),
        number=matter.number,
        title=matter.title,
        units=sorted(set(matter.units)),
        orders=len(matter.orders),
        opened_at=matter.opened.at,
        opened_by=matter.opened_by,
        published_at=None if matter.published is None else matter.published.at,
        notice_state="" if matter.notice is None else matter.notice.state,
        duties=len(matter.duties),
        done=sum(duty.accepted is not None for duty in matter.duties),
        waits_for=sorted({duty.unit for duty in owed}),
        due=min((duty.due for duty in owed if duty.due is not None), default=None),
        referred_at=None if matter.referred is None else matter.referred.at,
        closed_at=None if matter.closed is None else matter.closed.at,
        version=matter.version,
        position=record.position,
    )
    return (row,)


PROJECTION = Projection(
    "matters", 2, MatterRow, nothing, Path(__file__).with_suffix(".sql"), beside={"matter": of_matters}
)
