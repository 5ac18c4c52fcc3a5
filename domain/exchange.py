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
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, Format
from psycopg.pq.abc import PGresult

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""What PostgreSQL counts its instants from."""

_MICROSECOND = timedelta(microseconds=1)
_LONG = struct.Struct(">q").pack

Parameter = bytes | str | int | datetime
"""What a statement may be given: an array in binary form, a text, a bigint, an instant; its SQL says which by a cast."""

Rows = list[tuple[Any, ...]]

Sent = tuple[str, ...]
"""A round trip under way: the names of its statements, one for each answer to come."""

PREPARED = "prepare "
"""What stands before a statement's name where it is only prepared."""

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
    try:  # for each caller of each batch: a context manager would cost as much as telling
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)
    except asyncio.InvalidStateError:
        return


class Exchange:
    """A session in which named statements are said, each prepared once.

    `failed` names the statement that the server answered with an error: neither it nor any after it was carried out.
    After one, a transaction that was begun takes nothing but a rollback.
    """

    def __init__(self, connection: AsyncConnection[Any], named: Mapping[str, bytes]) -> None:
        self.failed = ""
        self._connection = connection
        self._libpq = connection.pgconn
        self._sql = named
        self._loader = Transformer(connection)
        self._prepared: set[str] = set()
        self._said: list[str] = []
        self._unsent = False  # the socket did not take all
        self._ear: asyncio.Future[None] | None = None  # of whoever listens
        self._libpq.enter_pipeline_mode()

    @property
    def gone(self) -> bool:
        """Tell whether the session has ended."""
        return self._connection.closed or self._connection.broken

    async def close(self) -> None:
        """End the session, in whatever state it is; never raises for one that is already gone."""
        with contextlib.suppress(psycopg.Error, OSError):
            await self._connection.close()

    def abandon(self) -> None:
        """End the session without a word to the server."""
        self._libpq.finish()

    def say(self, name: str, *parameters: Parameter) -> None:
        """Put a statement into the next round trip."""
        called = name.encode()
        if name not in self._prepared:
            self._libpq.send_prepare(called, self._sql[name])
            self._prepared.add(name)
            self._said.append(PREPARED + name)
        values = [binary(one) for one in parameters]
        self._libpq.send_query_prepared(called, values, [Format.BINARY] * len(values), Format.BINARY)
        self._said.append(name)

    def send(self) -> Sent:
        """Let what was said leave as one round trip, whose answers `heard` returns; those of several come in order."""
        said, self._said = tuple(self._said), []
        self._libpq.pipeline_sync()
        self._push()
        return said

    async def hear(self) -> list[Rows]:
        """Send what was said and return the rows of each statement. Raises the first error the server answered with."""
        return await self.heard(self.send())

    async def heard(self, said: Sent) -> list[Rows]:
        """Return the rows of each statement of a round trip, the first not yet heard of. Raises as `hear` does."""
        answers: list[Rows] = []
        error: psycopg.Error | None = None
        for name in said:
            result = await self._answer(error)
            if result.status == ExecStatus.FATAL_ERROR and error is None:
                error = psycopg.errors.error_from_result(result)
                if result.error_field(DiagnosticField.SQLSTATE):  # else the session ended, and who knows when
                    self.failed = name
            if name.startswith(PREPARED):
                if error is not None:
                    self._prepared.discard(name.removeprefix(PREPARED))
            elif error is None:
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
                    await self._ready()
                    self._libpq.consume_input()
                    if self._unsent:
                        self._push()
            except psycopg.OperationalError as ended:
                raise before or ended from None
            if (result := self._libpq.get_result()) is not None:
                return result
            if self._libpq.status == ConnStatus.BAD:
                raise before or psycopg.OperationalError("the session has ended")

    def _push(self) -> None:
        """Hand to the socket what it takes; for the rest, whoever listens waits for room too."""
        self._unsent = bool(self._libpq.flush())
        if self._unsent and self._ear is not None:
            asyncio.get_running_loop().add_writer(self._libpq.socket, tell, self._ear, None)

    def _rows(self, result: PGresult) -> Rows:
        if not result.ntuples:
            return []
        self._loader.set_pgresult(result, format=Format.BINARY)
        return self._loader.load_rows(0, result.ntuples, tuple)

    async def _ready(self) -> None:
        """Wait until there is something to hear, or room for what is unsent: the server may have to be heard first."""
        loop = asyncio.get_running_loop()
        ear: asyncio.Future[None] = loop.create_future()
        socket = self._libpq.socket
        loop.add_reader(socket, tell, ear, None)
        if self._unsent:
            loop.add_writer(socket, tell, ear, None)
        self._ear = ear
        try:
            await ear
        finally:
            self._ear = None
            loop.remove_reader(socket)
            loop.remove_writer(socket)
