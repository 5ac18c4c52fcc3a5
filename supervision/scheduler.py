"""定时. Runs jobs at intervals in the worker's loop; what a job has to do it asks of the ledger, each time anew.

Nothing is kept here: a job that was missed, ran late or runs in another worker too has nothing to make up but what is
still to be done. What fails is logged, and tried again the next time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from domain.refusals import Refusal

LOG = logging.getLogger("huiyin.supervision")

PATIENCE = 20.0
"""Seconds that a job which is running when the worker ends is given to end by itself."""


class Job(NamedTuple):
    """任务. What is done, how often, and what it is called in the log."""

    name: str
    every: timedelta
    work: Callable[[], Awaitable[None]]


@asynccontextmanager
async def scheduled(jobs: Iterable[Job], *, first: datetime, patience: float = PATIENCE) -> AsyncIterator[None]:
    """Run jobs from `first` on, each never twice at a time, until the end; then let what runs end, or end it."""
    scheduler = AsyncIOScheduler()
    running: set[asyncio.Task[None]] = set()
    for job in jobs:
        scheduler.add_job(
            _run,
            "interval",
            (job, running),
            seconds=job.every.total_seconds(),
            id=job.name,
            next_run_time=first,
            coalesce=True,  # of runs that were missed, one
            max_instances=1,
            misfire_grace_time=None,  # late is better than never
        )
    scheduler.start()
    try:
        yield
    finally:
        scheduler.pause()
        if running:
            await asyncio.wait(running, timeout=patience)
        scheduler.shutdown(wait=False)
        if running:  # ended in the middle: what it did is done, the next sweep does the rest
            for task in running:
                task.cancel()
            await asyncio.wait(running)


async def _run(job: Job, running: set[asyncio.Task[None]]) -> None:
    task = asyncio.create_task(_guarded(job))
    running.add(task)
    task.add_done_callback(running.discard)
    await asyncio.wait([task])


async def _guarded(job: Job) -> None:
    try:
        await job.work()
    except (Refusal, OSError) as error:  # the database is away, say: the next time, perhaps
        LOG.warning("%s: %s", job.name, type(error).__name__)
    except Exception:  # no job ends the others
        LOG.exception("%s", job.name)
