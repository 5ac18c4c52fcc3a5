"""读账. Entries as tables need them, from rows in binary, in the fewest steps.

Of a commit only what a fold reads is asked for: by which way it came, who acted, the numbers on paper. That a fold reads
nothing else is what the comparison of the tables with a fold of whole entries holds to.
"""

from __future__ import annotations

import select
import struct
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from domain import order
from domain.exchange import EPOCH
from domain.kinds import KINDS
from domain.law import Law
from domain.stored import Codec
from domain.terms import SHANGHAI, Actor, Entry, Origin
from projections.case import ORDERS, Beside, Case

_SINCE = EPOCH.astimezone(
    SHANGHAI
)  # in Shanghai's time from the first step on: every due instant is counted there (K1)
_ORIGINS = {origin.value: origin for origin in Origin}
_NUMBERS = msgspec.json.Decoder(dict[str, tuple[int, ...]])
_NEVER = -(1 << 63)  # minus infinity stands for an instant that was not said
_FIXED = struct.Struct(">6xq4xq4xq4xqi")  # position, version, recorded_at, occurred_at, how long the stream's name is
_UNPACK = _FIXED.unpack_from
_BEFORE = _FIXED.size
_LENGTH = struct.Struct(">i").unpack_from
_HEAD = 19  # bytes that come before the first row


class Poison(Exception):
    """Something cannot be taken in; `at` is the position, where it is known."""

    def __init__(self, cause: BaseException | str, at: int | None = None) -> None:
        super().__init__(cause if isinstance(cause, str) else f"{type(cause).__name__}: {cause}")
        self.at = at


@lru_cache(maxsize=4096)
def _actor(said: str | bytes) -> Actor:
    return msgspec.json.decode(said, type=Actor)


@lru_cache(maxsize=4096)
def _numbers(said: str | bytes) -> dict[str, tuple[int, ...]]:
    return msgspec.json.decode(said, type=dict[str, tuple[int, ...]]) if said else {}


# --- entries -----------------------------------------------------------------------------------------------------


def entry_of(codec: Codec, row: Sequence[Any]) -> Entry:
    """Return a row of `read_page` or `read_cases` as an entry. Raises Poison with its position."""
    position, version, recorded_at, occurred_at, stream, topic, state, origin, actor, numbers = row
    try:
        return Entry(
            event=codec.event(topic, state),
            stream=stream,
            version=version,
            position=position,
            recorded_at=recorded_at.astimezone(SHANGHAI),
            occurred_at=None if occurred_at is None else occurred_at.astimezone(SHANGHAI),
            origin=_ORIGINS[origin],
            actor=_actor(actor),
            numbers=_numbers(numbers),
        )
    except Exception as error:
        raise Poison(error, position) from error


def entry_from(codec: Codec, row: bytes) -> Entry:
    """Return a row of `copy_range`, as it came over the wire, as an entry. Raises Poison with its position."""
    position, version, recorded, occurred, length = _UNPACK(row)
    end = _BEFORE + length
    name = end + 4 + _LENGTH(row, end)[0]
    state = name + 4 + _LENGTH(row, name)[0]
    try:
        said = row[state:]
        origin, actor, numbers = _SAID.get(said) or _said(said)
        return Entry(
            event=codec.event(row[end + 4 : name].decode(), row[name + 4 : state]),
            stream=row[_BEFORE:end].decode(),
            version=version,
            position=position,
            recorded_at=_instant(recorded),
            occurred_at=None if occurred == _NEVER else _SINCE + timedelta(0, 0, occurred),
            origin=origin,
            actor=actor,
            numbers=numbers,
        )
    except Exception as error:
        raise Poison(error, position) from error


_SAID: dict[bytes, tuple[Origin, Actor, dict[str, tuple[int, ...]]]] = {}
"""What commits without numbers said: the last three columns of a row, which most share with others."""

_MOST = 8192


def _said(columns: bytes) -> tuple[Origin, Actor, dict[str, tuple[int, ...]]]:
    """Return what a commit said: by which way it came, who acted, the numbers on paper."""
    parts: list[bytes] = []
    end = 0
    while end < len(columns):
        begin = end + 4
        end = begin + _LENGTH(columns, end)[0]
        parts.append(columns[begin:end])
    origin, actor, numbers = parts
    if numbers:  # each commit its own
        return _ORIGINS[origin.decode()], _actor(actor), _NUMBERS.decode(numbers)
    found = _ORIGINS[origin.decode()], _actor(actor), {}
    if len(_SAID) < _MOST:
        _SAID[columns] = found
    return found


@lru_cache(maxsize=16)
def _instant(microseconds: int) -> datetime:
    return _SINCE + timedelta(0, 0, microseconds)


_KINDS = {kind.name: kind for kind in KINDS}


def kind_of(stream: str) -> str:
    """Return the kind of a stream by its name."""
    return stream.partition(":")[0]


def record_of(stream: str, state: Any, position: int, law: Law) -> Case | Beside:
    """Return what rows are derived from: a case, or a record of another kind."""
    kind, _, named = stream.partition(":")
    return Case(state, position, law) if kind == ORDERS else Beside(kind, UUID(named), state, position, law)


def folded(entries: Sequence[Entry]) -> Any:
    """Return the order, or other record, that a whole stream makes. Raises Poison with the position it fails at."""
    try:
        return _fold(entries)
    except Exception as error:
        raise Poison(error, _failing(entries)) from error


def _fold(entries: Sequence[Entry]) -> Any:
    kind = kind_of(entries[0].stream)
    if kind == ORDERS:
        return order.fold(entries)
    state: Any = None
    for entry in entries:
        state = _KINDS[kind].evolve(state, entry)
    return state


def _failing(entries: Sequence[Entry]) -> int | None:
    for count in range(1, len(entries) + 1):
        try:
            _fold(entries[:count])
        except Exception:  # noqa: BLE001  it is known to fail; this finds where
            return entries[count - 1].position
    return None


def folded_on(state: Any, entries: Iterable[Entry]) -> Any:
    """Return the order, or other record, after more entries, none of them a correction. Raises Poison."""
    found = state
    for entry in entries:
        try:
            found = _KINDS[kind_of(entry.stream)].evolve(found, entry)
        except Exception as error:
            raise Poison(error, entry.position) from error
    return found


# --- COPY out ----------------------------------------------------------------------------------------------------


def copied(connection: psycopg.Connection[Any], statement: bytes) -> Iterator[bytes]:
    """Yield the rows of a COPY … TO STDOUT (FORMAT BINARY) as they come. Raises what the server answered.

    Asked of libpq itself: the driver's own loop costs more for each row than to take it apart.
    """
    libpq = connection.pgconn
    libpq.send_query(statement)
    begun = _answer(libpq)
    if begun is None or begun.status != ExecStatus.COPY_OUT:
        _finish(libpq)
        raise _error(begun)
    skip = _HEAD
    while True:
        count, data = libpq.get_copy_data(1)
        if count > 0:
            row = bytes(data)[skip:]
            skip = 0
            if len(row) > 2:  # two bytes alone say that it is over
                yield row
        elif count == 0:
            select.select([libpq.socket], [], [])
            libpq.consume_input()
        else:
            break
    ended = _finish(libpq)
    if ended is None or ended.status != ExecStatus.COMMAND_OK:
        raise _error(ended)


def _answer(libpq: PGconn) -> PGresult | None:
    while libpq.flush():
        select.select([], [libpq.socket], [])
    while libpq.is_busy():
        select.select([libpq.socket], [], [])
        libpq.consume_input()
    return libpq.get_result()


def _finish(libpq: PGconn) -> PGresult | None:
    last = None
    while libpq.status == ConnStatus.OK and (result := _answer(libpq)) is not None:
        last = result
    return last


def _error(result: PGresult | None) -> psycopg.Error:
    if result is None:
        return psycopg.OperationalError("the session has ended")
    return psycopg.errors.error_from_result(result)
