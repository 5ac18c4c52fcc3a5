"""工单表. One row an order: what a worklist shows and sorts by. Nothing sealed, nothing about the applicant."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from uuid import UUID

from domain.clocks import Clock
from domain.state import WorkOrder
from domain.terms import ClockName
from projections.case import Case, Projection, Row, late_after


class OrderRow(Row, frozen=True):
    """工单. As it is at `position`; what is overdue is a question of now, so the row holds instants only."""

    id: UUID
    stream: str
    number: str
    old_number: str
    title: str
    category: str
    place: str
    district: str
    channel: str
    demand_type: str
    urgency: str
    complexity: str
    of_class: str  # its class under its pack
    tags: list[str]
    confidentiality: str
    state: str
    closure_kind: str
    is_open: bool
    unit: str  # who leads, or led last; empty: the hotline itself
    leads: bool  # whether that unit leads still
    round: int
    episodes: int
    urged: int
    registered_at: datetime
    dispatched_at: datetime | None  # the last time
    replied_at: datetime | None  # the last time
    closed_at: datetime | None
    filed_at: datetime | None
    handle_due: datetime | None  # of the last handling, running or over
    due: datetime | None  # the earliest duty that runs
    due_clock: str
    due_unit: str  # whose duty; empty: the hotline centre's
    overdue_from: datetime | None  # later than this, some duty of it is late
    provisional: bool  # a year without a published calendar had to be presumed for `due` or `handle_due`
    policy: str
    policy_digest: str
    assumed_policy: bool
    imported: bool
    backfilled: bool
    anonymous: bool
    derived: list[str]  # fields that a mapping set or derived
    master: UUID | None  # the order it was merged into
    previous: UUID | None
    version: int
    position: int


def derive(case: Case) -> tuple[OrderRow]:
    """Return the order's row."""
    order, demand = case.order, case.order.demand
    of_class = case.law.rules(order.policy).class_of(order.attributes)
    last, merge = order.episode, order.links.merge
    duties = [(instant, c) for c in case.clocks if c.running and (instant := late_after(c)) is not None]
    next_due = min((c for _, c in duties), key=_due, default=None)
    handle = next((c for c in reversed(case.clocks) if c.name is ClockName.HANDLE), None)
    return (
        OrderRow(
            id=order.id,
            stream=order.stream,
            number=order.number,
            old_number=demand.old_number,
            title=demand.title,
            category=demand.category,
            place=demand.place,
            district=demand.district,
            channel=demand.channel,
            demand_type=order.attributes.demand_type,
            urgency=order.attributes.urgency,
            complexity=order.attributes.complexity,
            of_class="" if of_class is None else of_class.name,
            tags=list(order.attributes.tags),
            confidentiality=order.confidentiality,
            state=order.state,
            closure_kind=order.filing.kind or "",
            is_open=order.is_open,
            unit="" if last is None else last.lead,
            leads=last is not None and last.ended is None,
            round=order.round,
            episodes=len(order.episodes),
            urged=order.oversight.urged,
            registered_at=order.registered.at,
            dispatched_at=None if last is None else last.begun.at,
            replied_at=None if order.reply is None else order.reply.submitted.at,
            closed_at=None if order.filing.closed is None else order.filing.closed.at,
            filed_at=None if order.filing.filed is None else order.filing.filed.at,
            handle_due=None if handle is None else handle.due,
            due=None if next_due is None else next_due.due,
            due_clock="" if next_due is None else next_due.name,
            due_unit="" if next_due is None else next_due.unit,
            overdue_from=min((instant for instant, _ in duties), default=None),
            provisional=any(c is not None and c.provisional for c in (next_due, handle)),
            policy=order.policy.pack,
            policy_digest=order.policy.digest,
            assumed_policy=order.assumed_policy,
            imported=order.imported,
            backfilled=order.backfilled,
            anonymous=demand.anonymous,
            derived=list(demand.derived),
            master=None if merge is None or merge.undone is not None else merge.master,
            previous=_previous(order),
            version=order.version,
            position=case.position,
        ),
    )


def _due(clock: Clock) -> datetime:
    assert clock.due is not None  # a clock that somebody can be late with has one
    return clock.due


def _previous(order: WorkOrder) -> UUID | None:
    return order.links.previous or order.links.parent


PROJECTION = Projection("orders", 2, OrderRow, derive, Path(__file__).with_suffix(".sql"))
