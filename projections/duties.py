"""待办表. One row a duty of an order or a matter: what each unit has to do next, of whatever kind, by due."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from uuid import UUID

from domain.duties import Duty, duties, of_matter
from domain.matters.matter import Matter, state_of
from projections.case import Beside, Case, Projection, Row


class DutyRow(Row, frozen=True):
    """待办. `by` sorts: its due instant, or the end of time where no rule text gives one."""

    order_id: UUID  # or the matter's, as `kind` says
    kind: str
    no: int
    number: str  # of the order, or of the paper of a matter
    title: str
    state: str
    unit: str  # whose duty; empty: the hotline centre's
    command: str  # what does it
    roles: list[str]  # who may give that command
    not_by: str  # a person who may not: it takes another one (8.12)
    clock: str  # empty: no rule text gives it a time
    key: str
    since: datetime
    due: datetime | None
    late_after: datetime | None
    provisional: bool
    of_class: str
    urgency: str


def derive(case: Case) -> tuple[DutyRow, ...]:
    """Return a row a duty."""
    order = case.order
    found = duties(order, case.clocks, case.law)
    if not found:
        return ()
    of_class = case.law.rules(order.policy).class_of(order.attributes)
    return tuple(
        DutyRow(
            order_id=order.id,
            kind="order",
            no=no,
            number=order.number,
            title=order.demand.title,
            state=order.state,
            unit=duty.unit,
            command=str(duty.command.__struct_config__.tag),
            roles=sorted(duty.roles),
            not_by=duty.not_by,
            clock=duty.clock or "",
            key=duty.key,
            since=duty.since.at,
            due=duty.due,
            late_after=_late_after(duty),
            provisional=duty.provisional,
            of_class="" if of_class is None else of_class.name,
            urgency=order.attributes.urgency,
        )
        for no, duty in enumerate(found, 1)
    )


def of_matters(record: Beside) -> tuple[DutyRow, ...]:
    """Return a row a duty of a matter that is no order: what a meeting decided, what an inspection found …"""
    matter: Matter = record.state
    return tuple(
        DutyRow(
            order_id=record.id,
            kind=record.kind,
            no=no,
            number=matter.number,
            title=matter.title or matter.what.zh,
            state=state_of(matter),
            unit=duty.unit,
            command=str(duty.command.__struct_config__.tag),
            roles=sorted(duty.roles),
            not_by=duty.not_by,
            clock="",
            key=duty.key,
            since=duty.since.at,
            due=duty.due,
            late_after=_late_after(duty),
            provisional=duty.provisional,
            of_class="",
            urgency="",
        )
        for no, duty in enumerate(of_matter(matter, record.law), 1)
    )


def _late_after(duty: Duty) -> datetime | None:
    return None if duty.due is None else max(duty.due, duty.grace or duty.due)


PROJECTION = Projection("duties", 4, DutyRow, derive, Path(__file__).with_suffix(".sql"), beside={"matter": of_matters})
