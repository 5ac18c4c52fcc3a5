"""One round trip: statements that travel together, and what each of them answered.

The pipeline of psycopg hands every statement to the socket as it is said, and the server wakes up for each. Here all
of them go out at once with one sync; at one event a commit, waking up is most of what a commit costs.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.adapt import Transformer
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGresult

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""What PostgreSQL counts its instants from."""

_MICROSECOND = timedelta(microseconds=1)
_LONG = struct.Struct(">q").pack

Parameter = bytes | str | int | datetime
"""What a statement may be given: an array in binary form, a text, a bigint, an instant; its SQL says which by a cast."""

Rows = list[tuple[Any, ...]]
T = TypeVar("T")


def binary(value: Parameter) -> bytes:
    """Return a parameter in PostgreSQL's binary form."""
    match value:
        case bytes():
            return value
        case str():
            return value.encode()
        case int():
            return _LONG(value)
        case datetime():
            return _LONG((value - EPOCH) // _MICROSECOND)


def tell(answer: asyncio.Future[T], outcome: T | Exception) -> None:
    """Give a caller their answer, unless they left; an interrupt may cancel them between any two steps of ours."""
    with contextlib.suppress(asyncio.InvalidStateError):
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)


class Exchange:
    """A session in which named statements are said, each prepared once. After an error it can only be closed.

    `failed` names the statement that the server answered with an error: neither it nor any after it was carried out.
    """

    def __init__(self, connection: AsyncConnection[Any], named: Mapping[str, bytes]) -> None:
        self.failed = ""
        self._connection = connection
        self._libpq = connection.pgconn
        self._sql = named
        self._loader = Transformer(connection)
        self._prepared: set[str] = set()
        self._said: list[str] = []  # one for each answer to come; empty: that of a preparation
        self._libpq.enter_pipeline_mode()

    @property
    def gone(self) -> bool:
        """Tell whether the session has ended."""
        return self._connection.closed or self._connection.broken

    async def close(self) -> None:
        """End the session, in whatever state it is; never raises for one that is already gone."""
        with contextlib.suppress(psycopg.Error, OSError):
            await self._connection.close()

    def say(self, name: str, *parameters: Parameter) -> None:
        """Put a statement into the next round trip."""
        called = name.encode()
        if name not in self._prepared:
            self._libpq.send_prepare(called, self._sql[name])
            self._prepared.add(name)
            self._said.append("")
        values = [binary(one) for one in parameters]
        self._libpq.send_query_prepared(called, values, [Format.BINARY] * len(values), Format.BINARY)
        self._said.append(name)

    async def hear(self) -> list[Rows]:
        """Send what was said and return the rows of each statement. Raises the first error the server answered with."""
        said, self._said = self._said, []
        self._libpq.pipeline_sync()
        while self._libpq.flush():
            await self._ready(writing=True)
            self._libpq.consume_input()  # the server may have to be heard before it listens on
        answers: list[Rows] = []
        error: psycopg.Error | None = None
        for name in said:
            result = await self._answer(error)
            if result.status == ExecStatus.FATAL_ERROR and error is None:
                self.failed, error = name or "prepare", psycopg.errors.error_from_result(result)
            elif name and error is None:
                answers.append(self._rows(result))
        while (await self._answer(error)).status != ExecStatus.PIPELINE_SYNC:
            continue
        if error is not None:
            raise error
        return answers

    async def _answer(self, before: psycopg.Error | None) -> PGresult:
        """Return the next result. Raises the error heard before where the session ended with it, for it says why."""
        while True:
            try:
                while self._libpq.is_busy():
                    await self._ready(writing=False)
                    self._libpq.consume_input()
            except psycopg.OperationalError as ended:
                raise before or ended from None
            if (result := self._libpq.get_result()) is not None:
                return result
            if self._libpq.status == ConnStatus.BAD:
                raise before or psycopg.OperationalError("the session has ended")

    def _rows(self, result: PGresult) -> Rows:
        if not result.ntuples:
            return []
        self._loader.set_pgresult(result, format=Format.BINARY)
        return self._loader.load_rows(0, result.ntuples, tuple)

    async def _ready(self, *, writing: bool) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        socket = self._libpq.socket

        def wake() -> None:
            tell(ready, None)

        loop.add_reader(socket, wake)
        if writing:
            loop.add_writer(socket, wake)
        try:
            await ready
        finally:
            loop.remove_reader(socket)
            if writing:
                loop.remove_writer(socket)
