"""What the worker does at its times, in one table. A job keeps nothing: what it has to do it asks of the ledger anew."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import NamedTuple

import psycopg

from domain.ledger import Ledger
from domain.refusals import Unavailable
from projections.answers import Projections
from scripts import archiving, daily, embedded, proving, sampling, sweeping, wiring
from scripts.wiring import SettingError
from supervision.scheduler import Job

Work = Callable[[Ledger, Projections], Awaitable[None]]


class Task(NamedTuple):
    """A row of the table: what it is called, how often it is done, and what is done for one city."""

    name: str
    every: timedelta | None  # None: as often as the setting says
    work: Work


TASKS = (
    Task("sweep", None, sweeping.swept),
    Task("sample", timedelta(hours=1), sampling.sampled),
    Task("daily", timedelta(minutes=15), daily.summarised),
    Task("head", timedelta(minutes=1), proving.signed),
    Task("file", timedelta(minutes=10), archiving.filed),
)


def jobs(database: embedded.Database, cities: Iterable[Projections], sweep_every: timedelta | None) -> list[Job]:
    """Return every job of each city, by the tables that the worker follows; none where sweeping is turned off."""
    if sweep_every is None:
        return []
    return [
        Job(f"{task.name}:{shown.city}", task.every or sweep_every, partial(_done, database, shown, task.work))
        for shown in cities
        for task in TASKS
    ]


async def _done(database: embedded.Database, shown: Projections, work: Work) -> None:
    try:
        async with await wiring.open_city(database, shown.city) as ledger:
            await work(ledger, shown)
    except (psycopg.Error, SettingError) as error:
        raise Unavailable(f"{type(error).__name__}: {error}") from error
