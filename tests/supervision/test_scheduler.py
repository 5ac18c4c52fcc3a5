"""定时: jobs that fail, hang or are done twice; workers that sweep side by side, die and end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.refusals import Unavailable
from scripts import jobs, wiring
from scripts.wiring import SettingError
from supervision.scheduler import Job, scheduled
from supervision.sweep import sweep
from tests.conftest import City
from tests.supervision.test_sweep import CHECKOUT, S0, case, issued
from tests.test_projections import World, world

OFTEN = timedelta(milliseconds=20)


def now() -> datetime:
    return datetime.now(UTC)


async def until(reached: asyncio.Event) -> None:
    async with asyncio.timeout(60):
        await reached.wait()


@pytest.mark.parametrize("error", [Unavailable("away"), OSError("gone"), KeyError("a mistake")])
async def test_what_fails_is_logged_and_tried_again_and_keeps_no_other_job_waiting(
    error: Exception, caplog: pytest.LogCaptureFixture
):
    tried, others = 0, 0
    again = asyncio.Event()

    async def fails() -> None:
        nonlocal tried
        tried += 1
        if tried >= 3 and others >= 3:
            again.set()
        raise error

    async def works() -> None:
        nonlocal others
        others += 1

    with caplog.at_level(logging.WARNING):
        async with scheduled([Job("fails", OFTEN, fails), Job("works", OFTEN, works)], first=now()):
            await until(again)
    assert "fails" in caplog.text
    assert type(error).__name__ in caplog.text


async def test_a_job_never_runs_twice_at_a_time_and_the_end_waits_for_it():
    at_once, most, runs = 0, 0, 0
    twice, ended = asyncio.Event(), False

    async def slow() -> None:
        nonlocal at_once, most, runs, ended
        at_once, runs, ended = at_once + 1, runs + 1, False
        most = max(most, at_once)
        if runs == 2:
            twice.set()
        await asyncio.sleep(0.2)
        at_once, ended = at_once - 1, True

    async with scheduled([Job("slow", OFTEN, slow)], first=now()):
        await until(twice)
    assert (most, ended, at_once) == (1, True, 0)


async def test_a_job_that_hangs_is_ended():
    begun, cancelled = asyncio.Event(), False

    async def hangs() -> None:
        nonlocal cancelled
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    async with scheduled([Job("hangs", OFTEN, hangs)], first=now(), patience=0.05):
        await until(begun)
    assert cancelled


async def test_nothing_runs_before_it_is_to_begin_nor_after_the_end():
    runs = 0

    async def counts() -> None:
        nonlocal runs
        runs += 1

    async with scheduled([Job("later", OFTEN, counts)], first=now() + timedelta(hours=1)):
        await asyncio.sleep(0.1)
    assert runs == 0


@pytest.mark.parametrize(
    ("said", "seconds"), [(None, 60), ("1", 1), ("0", None), ("86400", 86400), ("-1", ...), ("soon", ...), ("0.5", ...)]
)
def test_how_often_is_a_setting(monkeypatch: pytest.MonkeyPatch, said: str | None, seconds: int | None):
    monkeypatch.delenv("HUIYIN_SWEEP", raising=False)
    if said is not None:
        monkeypatch.setenv("HUIYIN_SWEEP", said)
    if seconds is ...:
        with pytest.raises(SettingError, match="HUIYIN_SWEEP"):
            wiring.sweep_every()
        return
    every = wiring.sweep_every()
    assert (every.total_seconds() if every is not None else None) == seconds


# --- workers -----------------------------------------------------------------------------------------------------


@contextmanager
def worker(city: City, home: Path, *words: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process over a city."""
    (home / "key").write_text(city.keyring.master.hex())
    environment = {
        **os.environ,
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONSAFEPATH": "1",
        "HUIYIN_HOME": str(home),
        "HUIYIN_DATABASE_URL": city.database.superuser,
        "HUIYIN_MASTER_KEY_FILE": str(home / "key"),
        "HUIYIN_SWEEP": "1",
        **settings,
    }
    with (home / "log").open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts.huiyin", *words], env=environment, stdout=out, stderr=out, cwd=home
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def all_issued(here: World, wanted: int, *workers: subprocess.Popen[bytes]) -> None:
    async with asyncio.timeout(120):
        while len(await issued(here)) < wanted:
            assert [one.poll() for one in workers] == [None] * len(workers)
            await asyncio.sleep(0.1)


async def test_workers_side_by_side_issue_each_notice_once_and_the_rest_after_one_was_killed(
    city: City, tmp_path: Path
):
    async with world(city, S0) as here:
        for number in range(1, 11):
            await case(here, number, S0)
        words = ("follow", "--city", city.name)
        with worker(city, tmp_path, *words) as one, worker(city, tmp_path, *words) as other:
            await all_issued(here, 20, one, other)
            one.kill()
            for number in range(11, 21):
                await case(here, number, S0)
            await all_issued(here, 40, other)
            other.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(other.wait, 60) == 0, (tmp_path / "log").read_text()[-3000:]
        assert set((await issued(here)).values()) == {1}
        assert await here.ledger.verify_all() == []


async def test_a_worker_that_is_not_to_sweep_does_not(city: City, tmp_path: Path):
    async with world(city, S0) as here, here.projections() as p:
        await case(here, 1, S0)
        with worker(city, tmp_path, "follow", "--city", city.name, HUIYIN_SWEEP="0") as process:
            async with asyncio.timeout(60):
                while {s.position for s in await p.status()} != {(await here.ledger.head())[0]}:
                    assert process.poll() is None
                    await asyncio.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 60) == 0
        assert not await issued(here)
        assert (await sweep(here.ledger, p, await here.ledger.now())).total == 2


async def test_a_city_whose_key_is_gone_is_logged_and_tried_again(
    city: City, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("HUIYIN_MASTER_KEY_FILE", str(tmp_path / "key"))
    async with world(city, S0) as here, here.projections() as p:
        await case(here, 1, S0)
        await p.follow_until()
        (job, sampling, *_) = jobs.jobs(city.database, [p], timedelta(seconds=1))
        with pytest.raises(Unavailable, match="SettingError"):
            await job.work()
        (tmp_path / "key").write_text(city.keyring.master.hex())
        await job.work()
        head = await here.ledger.head()
        await sampling.work()
        assert await here.ledger.head() == head, "no share is said by this pack: nobody is drawn"
        assert set((await issued(here)).values()) == {1}
        assert jobs.jobs(city.database, [p], None) == []
