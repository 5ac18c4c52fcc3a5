"""装行. Rows in the binary form that COPY takes, packed column by column.

A table has some dozen columns and a city millions of rows: to pack each value alone is most of what writing them
costs. Words repeat, so that each is packed once and found again; numbers and instants are packed in one sweep.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain, repeat
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from domain.exchange import EPOCH
from domain.terms import SHANGHAI
from projections.case import Row

HEAD = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TAIL = b"\xff\xff"

_NULL = b"\xff\xff\xff\xff"
_SINCE = EPOCH.astimezone(SHANGHAI)  # in the time that folds keep, so that no offset has to be looked up
_MICROSECOND = timedelta(microseconds=1)
_LENGTH = struct.Struct(">i").pack
_LONG = struct.Struct(">iq").pack
_SHORT = struct.Struct(">h").pack
_BOOLS = {False: b"\x00\x00\x00\x01\x00", True: b"\x00\x00\x00\x01\x01"}
_OID_OF_TEXT = 25

Column = Callable[[Sequence[Any]], Iterable[bytes]]
"""What packs the values of one column, each with its length before it."""


class _Words(dict[str, bytes]):
    """Words as they are packed. Those that come once in a table do not fill it for ever."""

    most = 20_000

    def __missing__(self, word: str) -> bytes:
        said = word.encode()
        packed = _LENGTH(len(said)) + said
        if len(self) < self.most:
            self[word] = packed
        return packed


_words = _Words()


def _texts(values: Sequence[Any]) -> Iterable[bytes]:
    return map(_words.__getitem__, values)


def _longs(values: Sequence[Any]) -> Iterable[bytes]:
    return map(_LONG, repeat(8), values)


def _bools(values: Sequence[Any]) -> Iterable[bytes]:
    return map(_BOOLS.__getitem__, values)


def _instants(values: Sequence[Any]) -> Iterable[bytes]:
    return [_NULL if value is None else _LONG(8, (value - _SINCE) // _MICROSECOND) for value in values]


def _ids(values: Sequence[Any]) -> Iterable[bytes]:
    packed: list[bytes] = []
    last, said = None, b""
    for value in values:
        if value is not last:  # the rows of one case stand together
            last, said = value, b"\x00\x00\x00\x10" + value.bytes
        packed.append(said)
    return packed


def _lists(values: Sequence[Any]) -> Iterable[bytes]:
    return [_list(tuple(value)) for value in values]


@lru_cache(maxsize=4096)
def _list(words: tuple[str, ...]) -> bytes:
    if not words:
        return b"\x00\x00\x00\x0c" + struct.pack(">iii", 0, 0, _OID_OF_TEXT)
    body = struct.pack(">iiiii", 1, 0, _OID_OF_TEXT, len(words), 1) + b"".join(map(_words.__getitem__, words))
    return _LENGTH(len(body)) + body


class Type(NamedTuple):
    """How values of a Python type are kept in a table."""

    name: str  # in PostgreSQL
    pack: Column


TYPES: dict[Any, Type] = {
    str: Type("text", _texts),
    int: Type("int8", _longs),
    bool: Type("bool", _bools),
    datetime: Type("timestamptz", _instants),
    UUID: Type("uuid", _ids),
}


def _type(hint: Any) -> Type:
    members = [member for member in getattr(hint, "__args__", ()) if member is not type(None)]
    if getattr(hint, "__origin__", None) is list:
        of = TYPES[members[0]]
        if members[0] is not str:
            raise TypeError(f"no column holds a {hint}")
        return Type(f"{of.name}[]", _lists)
    return TYPES[members[0] if members else hint]


def _or_null(pack: Column) -> Column:
    if pack is _instants:
        return pack

    def packed(values: Sequence[Any]) -> Iterable[bytes]:
        there = iter(pack([value for value in values if value is not None]))
        return [_NULL if value is None else next(there) for value in values]

    return packed


class Packer:
    """Packs the rows of one table."""

    def __init__(self, row: type[Row]) -> None:
        fields = msgspec.structs.fields(row)
        self.types = tuple(_type(field.type).name for field in fields)
        self._columns = [
            _or_null(_type(field.type).pack)
            if type(None) in getattr(field.type, "__args__", ())
            else _type(field.type).pack
            for field in fields
        ]
        self._before = _SHORT(len(fields))

    def pack(self, rows: Sequence[Row]) -> bytes:
        """Return rows as COPY … (FORMAT BINARY) takes them, without its head and tail."""
        if not rows:
            return b""
        columns = zip(*map(msgspec.structs.astuple, rows), strict=True)
        packed = [pack(values) for pack, values in zip(self._columns, columns, strict=True)]
        return b"".join(chain.from_iterable(zip(repeat(self._before, len(rows)), *packed, strict=True)))


@lru_cache(maxsize=64)
def packer(row: type[Row]) -> Packer:
    """Return what packs the rows of a table."""
    return Packer(row)
