"""Well-formed instances of any struct, from its types alone: a new command or event is tried without a word here.

`Maker` fills a field from its type; where it is aimed, an `Aim` of the field's name may say what would make sense in
the case at hand. All chance comes from one `random.Random`, so that a seed tells a whole story.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from random import Random
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from msgspec import inspect as shapes

from domain.terms import SHANGHAI, Applicant, Limit, LimitUnit, Sealed

S = TypeVar("S", bound=msgspec.Struct)

Aim = Callable[[Random], Any]
"""Draws a value that makes sense for a field; `...` where it has none to offer."""

WORDS = ("路灯", "已处理", "核实", "a b", "漏水 " * 9, "0", "-", "é", "🚰", "\u200b", "'; --", "2025-06-16")
BLANKS = ("", " ", "\u3000\n")
_PATTERNS: Mapping[str, Callable[[Random], str]] = {
    r"^\S+$": lambda r: r.choice(("X", "H", "B", "nobody", "单位", "u-1")),
    r"^(sha256|sm3):[0-9a-f]{64}$": lambda r: f"{r.choice(('sha256', 'sm3'))}:{r.getrandbits(256):064x}",
    r"^[\w.+-]+/[\w.+-]+$": lambda r: r.choice(("image/jpeg", "audio/x-wav", "application/vnd.a+xml")),
    r"^[A-Z]{2,6}$": lambda r: r.choice(("CD", "BEIJNG")),
}


@cache
def shape_of(kind: type[msgspec.Struct]) -> shapes.StructType:
    """Return what a struct's fields are made of."""
    found = shapes.type_info(kind)
    assert isinstance(found, shapes.StructType)
    return found


def is_private(shape: shapes.Type) -> bool:
    """Tell whether a field is sealed in an event: text on the outside, `Sealed` within."""
    if not isinstance(shape, shapes.UnionType):
        return False
    return any(isinstance(one, shapes.StructType) and one.cls is Sealed for one in shape.types)


def fits(shape: shapes.Type, value: Any) -> bool:
    """Tell whether a value is of a type, as far as its outside goes: names of fields say more than their types."""
    match shape:
        case shapes.UnionType():
            return any(fits(one, value) for one in shape.types)
        case shapes.NoneType():
            return value is None
        case shapes.EnumType() | shapes.StructType():
            return isinstance(value, shape.cls)
        case shapes.VarTupleType() | shapes.TupleType():
            return isinstance(value, tuple)
        case shapes.LiteralType():
            return value in shape.values
        case _:
            return type(value) is _PYTHON.get(type(shape))


_PYTHON: Mapping[type, type] = {
    shapes.BoolType: bool,
    shapes.IntType: int,
    shapes.StrType: str,
    shapes.DateTimeType: datetime,
    shapes.DateType: date,
    shapes.UUIDType: UUID,
    shapes.DictType: dict,
}


class Maker:
    """Makes structs; `aims` by the name of a field, `(struct, field)` before `field`."""

    def __init__(self, random: Random, aims: Mapping[str | tuple[type, str], Aim] | None = None) -> None:
        self.random = random
        self.aims = aims or {}
        self.now = datetime(2025, 6, 16, 9, tzinfo=SHANGHAI)
        self.sealed = False  # private fields as they lie in events
        self.countable = False  # instants and limits as the ledger lets them in

    def make(self, kind: type[S], *, aimed: bool = True, inner: bool = False) -> S:
        """Return an instance. Aimed: fields that make sense most of the time, and few that are not asked for."""
        given: dict[str, Any] = {}
        for field in shape_of(kind).fields:
            if not field.required and self.random.random() < (0.6 if aimed else 0.4):
                continue
            given[field.name] = self._field(kind, field, aimed=aimed, inner=inner)
        return kind(**given)

    def _field(self, kind: type, field: shapes.Field, *, aimed: bool, inner: bool) -> Any:
        aim = self.aims.get((kind, field.name)) or (None if inner else self.aims.get(field.name))
        if aimed and aim is not None and self.random.random() < 0.9:
            found = aim(self.random)
            if found is not ... and fits(field.type, found):
                return found
        return self.value(field.type, aimed=aimed)

    def value(self, shape: shapes.Type, *, aimed: bool = False) -> Any:
        """Return a value of a type."""
        r = self.random
        match shape:
            case shapes.UnionType() if is_private(shape):
                return self._text(optional=shape.includes_none, aimed=aimed)
            case shapes.UnionType():
                return self.value(r.choice(shape.types), aimed=aimed)
            case shapes.StructType():
                return self._struct(shape, aimed=aimed)
            case shapes.VarTupleType():
                many = r.choice((0, 1, 1, 2)) if aimed else r.randrange(4)
                return tuple(self.value(shape.item_type, aimed=aimed) for _ in range(many))
            case shapes.TupleType():
                return tuple(self.value(one, aimed=aimed) for one in shape.item_types)
            case shapes.DictType():
                keys = [self.value(shape.key_type, aimed=aimed) for _ in range(r.choice((0, 0, 1, 2)))]
                return {key: self.value(shape.value_type, aimed=aimed) for key in keys}
            case shapes.EnumType():
                return r.choice(list(shape.cls))
            case shapes.LiteralType():
                return r.choice(shape.values)
            case _:
                return self._plain(shape)

    def _plain(self, shape: shapes.Type) -> Any:
        r = self.random
        match shape:
            case shapes.NoneType():
                return None
            case shapes.BoolType():
                return r.random() < 0.5
            case shapes.IntType():
                return self._int(shape)
            case shapes.StrType():
                return self._str(shape)
            case shapes.DateTimeType():
                return self.instant()
            case shapes.DateType():
                return self.day()
            case shapes.TimeType():
                return time(r.randrange(24), r.randrange(60))
            case shapes.UUIDType():
                return UUID(int=r.getrandbits(128))
            case shapes.AnyType():
                return r.choice((True, 3, "x", 1.5, [], {}))
            case _:
                raise TypeError(f"teach Maker to make {shape}")

    def _text(self, *, optional: bool, aimed: bool) -> str | Sealed | None:
        if optional and self.random.random() < 0.3:
            return None
        if self.sealed:
            return Sealed(key="k", box="path:box")
        return self.random.choice(WORDS if aimed else (*WORDS, *BLANKS))

    def _struct(self, shape: shapes.StructType, *, aimed: bool) -> msgspec.Struct:
        if self.countable and shape.cls is Limit:
            return self._limit()
        made = self.make(shape.cls, aimed=aimed, inner=True)
        if isinstance(made, Applicant):  # a subject is the door's to give: nobody names one
            subject = UUID(int=1) if self.sealed else None
            return msgspec.structs.replace(made, subject=subject)
        return made

    def _limit(self) -> Limit:
        if self.random.random() < 0.3:
            return Limit(until=self.instant())
        return Limit(amount=self.random.choice((1, 2, 15, 90)), unit=self.random.choice(list(LimitUnit)))

    def _int(self, shape: shapes.IntType) -> int:
        low = shape.ge if shape.ge is not None else -2
        high = shape.le if shape.le is not None else 10**9
        return max(low, min(high, self.random.choice((low, 0, 1, 1, 2, 3, 7, 40, high))))

    def _str(self, shape: shapes.StrType) -> str:
        if shape.pattern is not None:
            return _PATTERNS[shape.pattern](self.random)
        least, most = shape.min_length or 0, shape.max_length
        text = self.random.choice(WORDS if least else (*WORDS, *BLANKS))
        return text if most is None else text[:most]

    def instant(self) -> datetime:
        """Return an instant: near now most of the time, else anywhere; of any zone, and of none."""
        r = self.random
        far = 1 if self.countable else r.random()
        if far < 0.1:
            return datetime.fromtimestamp(r.randrange(-(10**11) // 2, 2 * 10**11), UTC)
        if far < 0.15:
            edge = r.choice((datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)))  # noqa: DTZ001
            return edge.replace(tzinfo=r.choice((UTC, SHANGHAI)))
        near = self.now + r.choice((-1, 1)) * timedelta(seconds=r.choice((0, 60, 3600, 86400, 900000)) * r.random())
        return near.astimezone(r.choice((SHANGHAI, UTC)))

    def day(self) -> date:
        """Return a day: near today most of the time, else anywhere."""
        r = self.random
        if not self.countable and r.random() < 0.1:
            return r.choice((date.min, date.max, date(1949, 10, 1), date(2101, 1, 1)))
        return self.now.date() + timedelta(days=r.randrange(-10, 30))
