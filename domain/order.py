"""工单. The unions of all that can happen to one case, and the hand-over to the step that decides or folds it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import msgspec

from domain import guards
from domain.context import Context, StreamKind
from domain.policy import Rules
from domain.refusals import AccusedUnit, NoPolicyInForce, Refusal, RoleNotAllowed, UnknownOrder, UnknownPolicy
from domain.state import WorkOrder
from domain.steps import (
    answering,
    classifying,
    closing,
    coordinating,
    correcting,
    dispatch,
    disposing,
    evaluation,
    extending,
    filing,
    handling,
    linking,
    oversight,
    recourse,
    registration,
    returning,
    revisiting,
    triage,
)
from domain.steps.correcting import CorrectionRecorded, corrected
from domain.terms import Act, Entry, Fact, Role, Step

STEPS = (
    registration,
    classifying,
    linking,
    triage,
    dispatch,
    returning,
    coordinating,
    answering,
    extending,
    handling,
    revisiting,
    evaluation,
    correcting,
    closing,
    disposing,
    filing,
    recourse,
    oversight,
)
"""The five steps in their order, and oversight beside them."""

EVOLVES: Mapping[type[Fact], Callable[[WorkOrder, Any, Entry], WorkOrder]] = {
    event: fold for step in STEPS for event, fold in step.EVOLVES.items()
}
DECIDES: Mapping[type[Act], Callable[[WorkOrder, Any, Context], Sequence[Step]]] = {
    command: rule for step in STEPS for command, rule in step.DECIDES.items()
}

EVENTS = tuple(EVOLVES)
COMMANDS = tuple(DECIDES)

IN_ITS_OWN_CAUSE = frozenset(
    {
        oversight.ReplyNotice,
        handling.ArriveSite,
        handling.VerifySite,
        recourse.ReportInstruction,
        recourse.FileAppeal,
        recourse.StateFinding,
        coordinating.CarryOutDecision,
        answering.CompleteFollowUp,
    }
)
"""What a unit complained of may still do: answer for itself, and keep what it promised."""

_OF_A_UNIT = (Role.ORG_HANDLER, Role.ORG_APPROVER, Role.MGMT_UNIT)
_FROM_NOTHING = (*registration.BIRTHS,)  # events and commands that need no order before them


def decide(order: WorkOrder | None, command: Act, context: Context) -> Sequence[Step]:
    """Return what the command makes happen; pure. Raises Refusal, and nothing has happened.

    Where the rule text that binds the order demands a refusal itself, the refusal cites its words.
    """
    try:
        return _decided(order, command, context)
    except Refusal as refusal:
        rules = _law_of(order, context)
        refusal.cited = rules.guards.get(refusal.code()) if rules is not None else None
        raise


def _decided(order: WorkOrder | None, command: Act, context: Context) -> Sequence[Step]:
    if context.actor.role not in command.roles:
        allowed = ", ".join(sorted(command.roles))
        raise RoleNotAllowed(f"{context.actor.role}; 可由 allowed: {allowed}", role=context.actor.role)
    if order is None and type(command) not in _FROM_NOTHING:
        raise UnknownOrder(context.stream)
    guards.datable(context.now)
    guards.countable(command)
    guards.still_there(context)
    if order is not None and context.actor.role in _OF_A_UNIT and type(command) not in IN_ITS_OWN_CAUSE:
        _not_accused(order, context)
    return DECIDES[type(command)](order, command, context)  # type: ignore[arg-type]  births take None


def _law_of(order: WorkOrder | None, context: Context) -> Rules | None:
    """Return the pack whose words a refusal may rest on: that which binds the order, or would bind a new one."""
    try:
        return context.law.rules(order.policy if order is not None else context.law.policy_at(context.now))
    except (NoPolicyInForce, UnknownPolicy):
        return None


def _not_accused(order: WorkOrder, context: Context) -> None:
    """Refuse every command of a unit complained of, also where that came out while it held the case (3.3)."""
    unit = context.actor.unit
    if unit and guards.accused(order, context, unit):
        raise AccusedUnit(f"unit: {unit}", unit=unit)


def evolve(order: WorkOrder | None, entry: Entry) -> WorkOrder | None:
    """Return the order after one more event. Never refuses and never reads law.

    An event that comes before its order was registered (a damaged import) changes nothing.
    """
    kind: type[Fact] = type(cast(Fact, entry.event))
    fold_one = EVOLVES.get(kind)
    if fold_one is None or (order is None and type(entry.event) not in _FROM_NOTHING):
        return order
    changed = fold_one(order, entry.event, entry)  # type: ignore[arg-type]  births take None
    return msgspec.structs.replace(changed, version=entry.version)


def fold(entries: Iterable[Entry], watch: Callable[[WorkOrder | None, Entry], None] | None = None) -> WorkOrder | None:
    """Return the order that a history makes, corrections applied to what they correct (DESIGN 4).

    `watch` is shown every entry beside the order as it was before it.
    """
    history = entries if isinstance(entries, list) else list(entries)
    for entry in history:
        if type(entry.event) is CorrectionRecorded:
            history = corrected(history)
            break
    order: WorkOrder | None = None
    version = 0
    for entry in history:  # as `evolve`, but that the version, which no fold reads, is set once
        if watch is not None:
            watch(order, entry)
        event: Fact = entry.event
        kind = type(event)
        fold_one = EVOLVES.get(kind)
        if fold_one is not None and (order is not None or kind in _FROM_NOTHING):
            order, version = fold_one(order, event, entry), entry.version  # type: ignore[arg-type]  births take None
    return None if order is None else msgspec.structs.replace(order, version=version)


def history(
    entries: Iterable[Entry], *, recorded_by: datetime | None = None, as_at: datetime | None = None
) -> list[Entry]:
    """Return the entries that answer an as-of question.

    `recorded_by` = what the ledger knew then: later records are left out. `as_at` = what had happened by then, as
    known: corrections are applied first, the latest of a field last, then entries with `at` later are left out. What is
    returned is corrected once and for all: folding it corrects nothing a second time.
    """
    known = [e for e in entries if recorded_by is None or e.recorded_at <= recorded_by]
    if as_at is None:
        return known
    applied = corrected(known)
    return [e for e in applied if e.at <= as_at]


KIND = StreamKind(
    name="order",
    events=EVENTS,
    commands=COMMANDS,
    evolve=evolve,
    decide=decide,
    fold=fold,
    changes_earlier=(CorrectionRecorded,),
)
