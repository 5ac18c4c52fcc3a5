"""规则. What is to be done about one case at an instant, as commands; and what is left to people. Pure.

The pack says what follows from a clock (`domain.effects`); the domain's own rules say whether it may happen now. So
nothing is decided twice here, and what would be refused is told instead of tried. Each command has an id made of the
case and of what it answers: given twice, late, or by two machines, it happens once.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from domain import order as orders
from domain.clocks import Clock, clocks
from domain.context import Context
from domain.effects import Effect, effects
from domain.law import Law
from domain.refusals import NoticeAlreadyOpen, Refusal
from domain.state import WorkOrder
from domain.steps.closing import CloseMerged
from domain.steps.oversight import IssueNotice
from domain.terms import Act, Actor, Citation, Role

TIMER = Actor(user="system", role=Role.SYSTEM)
"""定时器. Who acts where no judgement is asked."""


class Deed(NamedTuple):
    """举措. One command that is to be given, by the timer or, where it is `left`, by a person."""

    command: Act
    command_id: str
    basis: Citation
    at: datetime  # since when
    clock: Clock | None
    by: frozenset[Role]
    refusal: Refusal | None = None  # why the timer may not, though nobody else is named


class Plan(NamedTuple):
    """What is to be done about a case now."""

    deeds: tuple[Deed, ...] = ()
    left: tuple[Deed, ...] = ()


def reads(order: WorkOrder) -> UUID | None:
    """Return the other order that has to be known to decide about this one: the master of a child."""
    merge = order.links.merge
    return None if merge is None or merge.undone is not None else merge.master


def plan(order: WorkOrder, law: Law, now: datetime, master: WorkOrder | None = None) -> Plan:
    """Return what is to be done about an order at `now`, in the order of its clocks; `master` as `reads` names it."""
    deeds: list[Deed] = []
    left: list[Deed] = []
    for effect in effects(order, clocks(order, law), law):
        if effect.at > now or (effect.until is not None and effect.until <= now):
            continue  # still ahead; or a reminder whose moment has passed, which is not sent any more (8.6)
        command = _to_whom(effect.command, law, now)
        deed = Deed(command, _id(order, effect), effect.basis, effect.at, effect.clock, effect.by)
        if not effect.by_itself:
            left.append(deed)
            continue
        refusal = _refused(order, command, law, now, master)
        if refusal is None:
            deeds.append(deed)
        elif not isinstance(refusal, NoticeAlreadyOpen):  # what is said already is nobody's task
            left.append(deed._replace(refusal=refusal))
    return Plan(tuple(deeds), tuple(left))


def _to_whom(command: Act, law: Law, now: datetime) -> Act:
    """Return the command, to whoever bears the duty now (8.11)."""
    if isinstance(command, IssueNotice):
        return msgspec.structs.replace(command, unit=law.successor(command.unit, now))
    return command


def _id(order: WorkOrder, effect: Effect) -> str:
    return f"sweep:{order.id}:{effect.key}"


def _refused(order: WorkOrder, command: Act, law: Law, now: datetime, master: WorkOrder | None) -> Refusal | None:
    """Return why the domain would refuse the command now; None where it would not."""
    others: dict[str, Any] = {f"order:{command.master}": master} if isinstance(command, CloseMerged) else {}
    context = Context(actor=TIMER, now=now, law=law, stream=order.stream, others=others)
    try:
        orders.decide(order, command, context)
    except Refusal as refusal:
        return refusal
    return None
