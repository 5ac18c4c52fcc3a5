"""How a kind of stream beside the orders is put together from its tables: births, folds and rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid5

import msgspec

from domain import guards
from domain.context import Context, StreamKind
from domain.refusals import NotForThisStream, RoleNotAllowed, UnknownStream
from domain.terms import Act, Entry, Fact, Mark, Step

_SPACE = UUID("8a1f1f0e-6f5d-5f0a-9d57-3c0f7f5b1c11")
"""What ids that follow from a name are derived with; chosen once, since the ids are stored."""


class Folded(msgspec.Struct, frozen=True, kw_only=True):
    """The base of every folded stream here."""

    stream: str
    version: int = 0


def derived(kind: str, *names: object) -> str:
    """Return the stream whose id follows from names, so that the same thing is never recorded in two streams."""
    return f"{kind}:{uuid5(_SPACE, '/'.join(str(name) for name in (kind, *names)))}"


def id_of(stream: str) -> UUID:
    """Return the id in a stream's name."""
    return UUID(stream.partition(":")[2])


def here(context: Context, stream: str) -> None:
    """Refuse a command that was sent to another stream than the one its content names. Raises NotForThisStream."""
    if context.stream != stream:
        raise NotForThisStream(f"{context.stream}; 应为 expected: {stream}")


def mark(entry: Entry) -> Mark:
    """Return the moment of an entry."""
    return Mark(entry.at, entry.position)


Fold = Callable[[Any, Any, Entry], Folded]
Rule = Callable[[Any, Any, Context], Sequence[Step]]


def kind(
    name: str,
    *,
    births: Mapping[type[Fact], Fold],
    evolves: Mapping[type[Fact], Fold],
    opens: Mapping[type[Act], Rule],
    decides: Mapping[type[Act], Rule],
) -> StreamKind:
    """Return the stream kind. `births` fold with or without a state, `opens` decide so; the others need one."""

    def evolve(state: Any, entry: Entry) -> Any:
        event: Fact = entry.event
        fold = births.get(type(event))
        if fold is None and state is not None:
            fold = evolves.get(type(event))
        if fold is None:
            return state
        return msgspec.structs.replace(fold(state, event, entry), version=entry.version)

    def decide(state: Any, act: Act, context: Context) -> Sequence[Step]:
        if context.actor.role not in act.roles:
            allowed = ", ".join(sorted(act.roles))
            raise RoleNotAllowed(f"{context.actor.role}; 可由 allowed: {allowed}", role=context.actor.role)
        rule = opens.get(type(act))
        if rule is None:
            if state is None:
                raise UnknownStream(context.stream)
            rule = decides[type(act)]
        guards.datable(context.now)
        guards.countable(act)
        guards.still_there(context)
        return rule(state, act, context)

    return StreamKind(
        name=name,
        events=(*births, *evolves),
        commands=(*opens, *decides),
        evolve=evolve,
        decide=decide,
    )
