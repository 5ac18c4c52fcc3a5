"""接收方. How far each consumer has been told: checkpoints, leases, what failed and what was given up.

Disposable like every table: what was told is in the ledger too (`publication.data_pushed`), and being told twice does
no harm, because the id of a message never changes.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from domain import recorder
from projections.engine import MADE_MEANWHILE, Entered, rows, run, session

SQL = Path(__file__).with_suffix(".sql")


class Turn(NamedTuple):
    """A consumer that is told now: from where, under which token, and how it went lately."""

    position: int
    token: int
    tries: int
    failing_since: datetime | None
    run_from: int  # of what was delivered and is not yet written down in the ledger
    run_events: int
    run_digest: str
    run_since: datetime | None
    closing: str | None  # what is about to be written down
    now: datetime


class Standing(msgspec.Struct, frozen=True):
    """推送进度. A consumer as an operator sees it."""

    consumer: str
    position: int
    behind: int  # positions, also of what it is not told of
    holder: str
    tries: int
    failing_since: datetime | None
    retry_at: datetime | None
    error: str
    delivered: int
    delivered_at: datetime | None
    dead: int


class DeadLetter(msgspec.Struct, frozen=True):
    """死信. What was given up after a bounded time; its content is the ledger's, at that position."""

    consumer: str
    position: int
    type: str
    error: str
    tries: int
    failing_since: datetime
    dead_at: datetime


class Consumers(Entered):
    """The consumers of one city."""

    def __init__(self, dsn: str, city: str) -> None:
        super().__init__(dsn, recorder.SESSION)
        self._sql = recorder.statements(SQL.read_text(encoding="utf-8"), city)

    async def _create(self) -> None:
        for _ in range(20):
            with contextlib.suppress(*MADE_MEANWHILE):
                await self._run("create")
                return
            await asyncio.sleep(0.05)
        await self._run("create")

    async def _run(self, name: str, *parameters: object) -> int:
        async with session(self._pool) as connection:
            return await run(connection, self._sql[name], *parameters)

    async def _rows(self, name: str, *parameters: object) -> list[tuple[Any, ...]]:
        async with session(self._pool) as connection:
            return await rows(connection, self._sql[name], *parameters)

    async def take(self, consumer: str, since: int, holder: str, lease: float) -> Turn | None:
        """Return a consumer's turn, unless another worker has it or it rests after a failure. `since`: where it begins."""
        found = await self._rows("take", consumer, holder, lease)
        if not found and await self._run("begin", consumer, since):
            found = await self._rows("take", consumer, holder, lease)
        return Turn(*found[0]) if found else None

    async def move(self, consumer: str, token: int, position: int, lease: float) -> bool:
        """Move past what the consumer is not told of. False: another worker has it since."""
        return await self._run("move", consumer, token, position, lease) == 1

    async def delivered(self, consumer: str, token: int, position: int, lease: float, digest: str) -> bool:
        """Move past what was delivered; `digest` goes on from that of what was delivered before."""
        return (await self._rows("delivered", consumer, token, position, lease, digest))[0][0] == 1

    async def failed(self, consumer: str, token: int, error: str, pause: float) -> None:
        """Say what failed, and let the consumer rest."""
        await self._run("failed", consumer, token, error, pause)

    async def given_up(self, consumer: str, token: int, position: int, kind: str, error: str, tries: int) -> bool:
        """Move past what cannot be told, and keep it as a dead letter."""
        return await self._run("given_up", consumer, token, position, kind, error, tries) == 1

    async def closing(self, consumer: str, token: int, what: str) -> bool:
        """Keep what is about to be written down in the ledger, so that it is written once whatever happens."""
        return await self._run("closing", consumer, token, what) == 1

    async def closed(self, consumer: str, token: int) -> None:
        """Say that it was written down."""
        await self._run("closed", consumer, token)

    async def release(self, holder: str) -> None:
        """Leave every consumer to whoever comes."""
        await self._run("release", holder)

    async def replay(self, consumer: str, after: int) -> bool:
        """Tell a consumer again what came after a position. False: it was never told anything."""
        return await self._run("replay", consumer, after) == 1

    async def standing(self) -> tuple[Standing, ...]:
        """Return how far each consumer has been told."""
        return tuple(Standing(*row) for row in await self._rows("standing"))

    async def dead(self, consumer: str = "", limit: int = 1000) -> tuple[DeadLetter, ...]:
        """Return the dead letters, of one consumer or of all."""
        return tuple(DeadLetter(*row) for row in await self._rows("dead", consumer, limit))
