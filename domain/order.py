"""工单. The unions of all that can happen to one case, and the hand-over to the step that decides or folds it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, cast, get_args

import msgspec

from domain import guards
from domain.context import Context, StreamKind
from domain.refusals import AccusedUnit, CorrectionUnreadable, Refusal, RoleNotAllowed, UnknownOrder
from domain.state import WorkOrder
from domain.steps import (
    answering,
    closing,
    coordinating,
    correcting,
    dispatch,
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
from domain.terms import SHANGHAI, Act, Entry, Fact, Role, Sealed, Step

STEPS = (
    registration,
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
        answering.CompleteFollowUp,
    }
)
"""What a unit complained of may still do: answer for itself, and keep what it promised."""

_OF_A_UNIT = (Role.ORG_HANDLER, Role.ORG_APPROVER, Role.MGMT_UNIT)
_FROM_NOTHING = (*registration.BIRTHS,)  # events and commands that need no order before them


def decide(order: WorkOrder | None, command: Act, context: Context) -> Sequence[Step]:
    """Return what the command makes happen; pure. Raises Refusal, and nothing has happened."""
    if context.actor.role not in command.roles:
        allowed = ", ".join(sorted(command.roles))
        raise RoleNotAllowed(f"{context.actor.role}; 可由 allowed: {allowed}", role=context.actor.role)
    if order is None and type(command) not in _FROM_NOTHING:
        raise UnknownOrder(context.stream)
    guards.datable(context.now)
    guards.countable(command)
    if isinstance(command, correcting.ProposeCorrection):
        _correctable(command)
    if order is not None and context.actor.role in _OF_A_UNIT and type(command) not in IN_ITS_OWN_CAUSE:
        _not_accused(order, context)
    return DECIDES[type(command)](order, command, context)  # type: ignore[arg-type]  births take None


@cache
def _fields() -> Mapping[str, tuple[Any, ...]]:
    """Return the types that each field name has among the events of an order."""
    found: dict[str, dict[Any, None]] = {}
    for event in EVENTS:
        for field in msgspec.structs.fields(event):
            found.setdefault(field.name, {})[field.type] = None
    return {name: tuple(types) for name, types in found.items()}


def _correctable(command: correcting.ProposeCorrection) -> None:
    """Refuse a correction of what no event says, in a form it cannot have: what is sealed is corrected sealed (8.10).

    Raises CorrectionUnreadable.
    """
    if command.field == "at":
        return
    types = _fields().get(command.field, ())
    sealed = any(Sealed in get_args(one) for one in types)
    if command.new_text is not None or command.old_text is not None:
        if not sealed:
            raise CorrectionUnreadable(f"{command.field}: 非密封字段 not a sealed field")
        return
    plain = [one for one in types if Sealed not in get_args(one)]
    for value in (command.new, command.old) if command.old else (command.new,):
        if not any(_fits(value, one) for one in plain):
            raise CorrectionUnreadable(
                f"{command.field}: 密封字段写入 sealed fields in new_text" if sealed else command.field
            )


def _fits(value: str, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind, strict=False)
    except (msgspec.ValidationError, ValueError):
        return False
    return True


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


def fold(entries: Iterable[Entry]) -> WorkOrder | None:
    """Return the order that a history makes, corrections applied to what they correct (DESIGN 4)."""
    history = list(entries)
    if any(isinstance(e.event, correcting.CorrectionRecorded) for e in history):
        history = corrected(history)
    order: WorkOrder | None = None
    for entry in history:
        order = evolve(order, entry)
    return order


def corrected(history: Sequence[Entry]) -> list[Entry]:
    """Return the history with each correction applied to the entry it names; the correction itself stays in it.

    The field `at` stands for the instant of the entry; any other names a field of the event. A value that does not
    fit the field's type, or that no clock could count, leaves the entry as it was: what was recorded is never lost to
    a mistake in its correction.
    """
    by_version = {entry.version: entry for entry in history}
    for entry in history:
        event = entry.event
        if not isinstance(event, correcting.CorrectionRecorded) or event.version not in by_version:
            continue
        if event.new_text is not None:
            continue  # a sealed text: both words stay visible beside each other, and no rule reads either
        by_version[event.version] = _correct(by_version[event.version], event.field, event.new)
    return [by_version[entry.version] for entry in history]


def _correct(entry: Entry, field: str, new: str) -> Entry:
    try:
        if field == "at":
            at = datetime.fromisoformat(new)
            guards.datable(at)
            return msgspec.structs.replace(entry, corrected_at=at.astimezone(SHANGHAI))
        kind: type[Fact] = type(cast(Fact, entry.event))
        plain = msgspec.to_builtins(entry.event)
        plain[field] = new
        event = msgspec.convert(plain, kind, strict=False)
        guards.countable(event)
        return msgspec.structs.replace(entry, event=event)
    except (ValueError, msgspec.ValidationError, Refusal):
        return entry


def history(
    entries: Iterable[Entry], *, recorded_by: datetime | None = None, as_at: datetime | None = None
) -> list[Entry]:
    """Return the entries that answer an as-of question.

    `recorded_by` = what the ledger knew then: later records are left out. `as_at` = what had happened by then, as
    known: corrections are applied first, then entries with `at` later are left out.
    """
    known = [e for e in entries if recorded_by is None or e.recorded_at <= recorded_by]
    if as_at is None:
        return known
    applied = corrected(known)
    return [e for e in applied if e.at <= as_at]


KIND = StreamKind(name="order", events=EVENTS, commands=COMMANDS, evolve=evolve, decide=decide, fold=fold)
