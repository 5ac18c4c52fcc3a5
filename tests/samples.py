"""Makes a whole sample of any event from its types, and keeps the stored samples in tests/golden/events.jsonl.

python -m tests.samples        adds a line for each event that has none; lines that are there are never touched
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

from domain import journals
from domain.kinds import KINDS
from domain.terms import Fact, Sealed

STORED = Path(__file__).resolve().parent / "golden" / "events.jsonl"


def events() -> Iterator[type[Fact]]:
    """Every event of every kind of stream, and of the journals."""
    yield from journals.EVENTS
    for kind in KINDS:
        yield from kind.events


def tag(event: type[Fact]) -> str:
    """The tag an event is stored under."""
    return str(event.__struct_config__.tag)


def sample(kind: Any, *, whole: bool = True) -> Any:
    """Make a value of a type: every field filled, or only those that must be."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if Sealed in args:
            return Sealed(key="0123456789abcdef", box="content:AAAA")
        return sample(next(a for a in args if a is not types.NoneType), whole=whole)
    if origin is typing.Annotated:
        return _annotated(args[0], args[1:])
    if origin is typing.Literal:
        return args[0]
    if origin is tuple:
        return (sample(args[0], whole=whole),) if len(args) == 2 and args[1] is ... else tuple(map(sample, args))
    if origin in (dict, frozenset, list):
        inner = [sample(a, whole=whole) for a in args]
        return {inner[0]: inner[1]} if origin is dict else origin(inner)
    return _plain(kind, whole=whole)


def _plain(kind: Any, *, whole: bool) -> Any:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _struct(kind, whole=whole)
    known = {
        str: "词",
        int: 1,
        bool: True,
        float: 1.5,
        datetime: datetime(2025, 6, 16, 1, 0, tzinfo=UTC),
        date: date(2025, 6, 16),
        UUID: UUID(int=7),
        Any: "词",
    }
    return known[kind]


def _struct(kind: type[msgspec.Struct], *, whole: bool) -> msgspec.Struct:
    hints = get_type_hints(kind, include_extras=True)
    chosen = [f for f in msgspec.structs.fields(kind) if whole or f.required]
    return kind(**{f.name: sample(hints[f.name], whole=whole) for f in chosen})


def _annotated(kind: Any, meta: tuple[Any, ...]) -> Any:
    pattern = next((m.pattern for m in meta if isinstance(m, msgspec.Meta) and m.pattern), None)
    if pattern is not None and "sha256" in pattern:
        return "sha256:" + "0" * 64
    if pattern is not None and "/" in pattern:
        return "image/jpeg"
    if pattern is not None and "A-Z" in pattern:
        return "CD"
    return sample(kind)


def stored() -> list[bytes]:
    """The stored samples, a line each."""
    return STORED.read_bytes().splitlines() if STORED.exists() else []


def main() -> None:
    """Add the samples that are missing."""
    there = {msgspec.json.decode(line)["type"] for line in stored()}
    with STORED.open("ab") as file:
        for event in events():
            if tag(event) not in there:
                for whole in (True, False):
                    file.write(msgspec.json.encode(sample(event, whole=whole)) + b"\n")


if __name__ == "__main__":
    main()
