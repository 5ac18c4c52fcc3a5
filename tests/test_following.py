"""Whoever dies, stands still or comes second: every table takes in every event once, and none is skipped."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from domain import recorder
from domain.refusals import Unavailable
from domain.steps.linking import ApplicantUrged
from domain.stored import Codec
from projections import case, engine
from projections.answers import PROJECTIONS, Projections
from projections.engine import ProjectionBlocked, RebuildBroken
from scripts import embedded
from scripts.bench import trial
from tests import given
from tests.conftest import City, new_city
from tests.test_projections import (
    LATER_KINDS,
    OVERLAY,
    REPLIED,
    SIGNED,
    TABLES,
    Strange,
    World,
    a_history,
    dispatched,
    from_scratch,
    notice,
    one_case,
    published,
    registered,
    stream,
    tables,
    world,
)

CHECKOUT = Path(__file__).resolve().parent.parent

FOLLOWER = """
import asyncio, sys
from projections.answers import Projections

async def main(dsn, city, name):
    async with Projections(dsn, city, page=3) as p:
        print("following", flush=True)
        await p.keep_following(name, idle=0.01)

asyncio.run(main(*sys.argv[1:]))
"""


OPENER = """
import asyncio, sys
from projections.answers import Projections

async def main(dsn, *cities):
    for city in cities:
        print("ready", flush=True)
        sys.stdin.readline()
        async with Projections(dsn, city) as p:
            await p.follow_once()
    print("done", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LEASE", 0.5)


# --- cases at hand -----------------------------------------------------------------------------------------------


async def test_a_stream_that_grows_is_not_read_again_from_its_first_event(city: City, monkeypatch: pytest.MonkeyPatch):
    async with world(city) as here, here.projections(page=10) as p:
        await one_case(here, 1, dispatched(), SIGNED)
        for _ in range(20):
            await here.record(stream(1), "2025-06-16 12:00", *[ApplicantUrged()] * 5)
        read: list[list[str]] = []
        asked = engine.rows

        async def counted(connection: engine.Connection, statement: bytes, *said: Any) -> Any:
            if statement == p._sql["read_cases"]:
                read.append(said[0])
            return await asked(connection, statement, *said)

        monkeypatch.setattr(engine, "rows", counted)
        await p.follow_until()
        assert read == []
        assert await tables(p) == await from_scratch(here, p)


@pytest.mark.parametrize("table", ["clocks", "duties", "indicators", "search"])
@pytest.mark.parametrize("anew", [False, True], ids=["the cases at hand", "a worker that starts anew"])
async def test_an_entry_changes_only_the_rows_it_changes(city: City, table: str, anew: bool):
    written = f"SELECT r::text, r.xmin::text FROM p.{table}_1 AS r"
    async with world(city) as here, here.projections() as first, here.projections() as second:
        await one_case(here, 1, dispatched(), SIGNED, notice())
        await first.follow_until()
        before = dict(await here.sql(written))
        await here.record(stream(1), "2025-06-17 09:00", ApplicantUrged())
        follower = second if anew else first
        await follower.follow_until()
        assert dict(await here.sql(written)) == before
        await here.record(stream(1), "2025-06-17 10:00", REPLIED)
        await follower.follow_until()
        after = dict(await here.sql(written))
        assert (set(before) == set(after)) is (table == "search")
        assert all(after[row] == before[row] for row in set(before) & set(after))
        assert await tables(follower) == await from_scratch(here, follower)


@pytest.mark.parametrize("seed", range(4))
async def test_followers_who_take_turns_leave_the_same_rows_as_one(city: City, seed: int):
    dice = random.Random(seed)
    async with world(city) as here, contextlib.AsyncExitStack() as stack:
        followers = [await stack.enter_async_context(here.projections(page=dice.choice([2, 5, 9]))) for _ in range(2)]
        followers[1].projections = {name: followers[1].projections[name] for name in dice.sample(TABLES, 3)}
        for name, when, facts in a_history(seed + 50, 25):
            await here.record(name, when, *facts)
            if dice.random() < 0.5:
                await dice.choice(followers).follow_once()
            if dice.random() < 0.05:
                await followers[0].rebuild(dice.choice(TABLES))
        await followers[0].follow_until()
        assert await tables(followers[0]) == await from_scratch(here, followers[0])
        assert {one.differences for one in await followers[0].rebuild(compare=True)} == {0}


async def test_rows_that_another_follower_changed_since_are_not_taken_for_ones_own(city: City):
    tags = ("consumer_complaint",)
    async with world(city) as here, here.projections() as p, here.projections() as other:
        await here.record(stream(1), "2025-06-16 09:00", registered(tags=tags), dispatched(tags=tags))
        await p.follow_until()
        await here.record("institution", "2025-06-16 10:00", published(given.pack(OVERLAY)))
        await other.follow_until()
        await one_case(here, 2)
        await p.follow_until()
        await here.record(stream(1), "2025-06-16 12:00", SIGNED)
        assert (await p.follow_until()).blocked == ()
        assert await tables(p) == await from_scratch(here, p)


@pytest.mark.parametrize("awake", [0.05, 60.0])
async def test_a_fold_that_takes_long_is_no_reason_to_be_sent_away_and_being_sent_away_is_no_poison(
    city: City, monkeypatch: pytest.MonkeyPatch, awake: float
):
    monkeypatch.setattr(engine, "AWAKE", awake)
    monkeypatch.setitem(recorder.SESSION, "idle_in_transaction_session_timeout", "1500ms")
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1)
        orders = p.projections["orders"]

        def slowly(of: case.Case) -> Any:
            time.sleep(2.5)
            return orders.derive(of)

        p.projections["orders"] = orders._replace(derive=slowly)
        if awake < 1:
            assert (await p.follow_until()).blocked == ()
            assert await tables(p) == await from_scratch(here, p)
        else:
            with pytest.raises(Unavailable):
                await p.follow_until()
            assert {s.blocked_at for s in await p.status()} == {None}


# --- several processes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
async def test_made_again_in_several_processes_the_rows_are_the_same(city: City, seed: int):
    async with world(city) as here, here.projections(page=50) as p:
        for name, when, facts in a_history(seed + 20, 40):
            await here.record(name, when, *facts)
        await p.follow_until()
        p._range = 3
        seen: list[tuple[int, int]] = []
        made = await p.rebuild(jobs=2, compare=True, progress=lambda done, total: seen.append((done, total)))
        there = {"order": 40, "matter": 10}
        assert [(one.name, one.cases, one.differences) for one in made] == [
            (table.name, sum(there[kind] for kind in table.kinds), 0) for table in PROJECTIONS
        ]
        assert len(seen) > 10
        assert await tables(p) == await from_scratch(here, p)


async def test_an_event_that_a_process_cannot_take_in_ends_the_rebuild_with_its_position(city: City):
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1, dispatched())
        await p.follow_until()
        receipt = await here.record(stream(1), "2025-06-16 12:00", Strange())
        with pytest.raises(ProjectionBlocked, match=f"position {receipt.first_position}: UnknownTopic"):
            await p.rebuild(jobs=2)
        assert len((await p.list_orders()).rows) == 1


async def test_a_process_of_the_rebuild_that_is_killed_leaves_the_old_tables(city: City):
    async with world(city) as here, here.projections() as p:
        for number in range(1, 31):
            await one_case(here, number, dispatched())
        await p.follow_until()
        held, p._range = await tables(p), 1

        def kill(*_: int) -> None:
            for process in multiprocessing.active_children():
                process.kill()

        with pytest.raises(RebuildBroken):
            await p.rebuild(jobs=2, progress=kill)
        assert await tables(p) == held
        assert {(s.version, s.state, s.active) for s in await p.status()} == {
            (1, "following", True),
            (2, "building", False),
        }
        assert {one.differences for one in await p.rebuild(compare=True)} == {0}


# --- leases ------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def working(p: Any, name: str) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(p.keep_following(name, idle=0.01))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_the_tables_are_left_to_a_worker_while_it_lives_and_no_longer(city: City):
    async with world(city) as here, here.projections() as worker, here.projections() as other:
        await one_case(here, 1)
        async with working(worker, "worker"):
            await worker_stands_at(worker, (await here.ledger.head())[0])
            assert {s.holder for s in await other.status()} == {"worker"}
            async with worker._turn:  # it lives, but is held up
                await one_case(here, 2)
                assert (await other.follow_once()).applied == 0
            await other.follow_until((await here.ledger.head())[0])
        assert {s.holder for s in await other.status()} == {""}
        await one_case(here, 3)
        assert (await other.follow_once()).applied > 0
        assert await tables(other) == await from_scratch(here, other)


async def worker_stands_at(p: Any, position: int) -> None:
    while {s.position for s in await p.status()} != {position}:  # noqa: ASYNC110  the database is another process
        await asyncio.sleep(0.01)


async def test_a_worker_that_says_nothing_any_more_is_replaced(city: City):
    async with world(city) as here, here.projections() as dead, here.projections() as heir:
        await one_case(here, 1)
        dead._holder = "dead"
        await dead.follow_once()
        tokens = await here.sql("SELECT name, token FROM p.versions ORDER BY name")
        await one_case(here, 2)
        async with working(heir, "heir"):
            await worker_stands_at(heir, (await here.ledger.head())[0])
            assert {s.holder for s in await heir.status()} == {"heir"}
            after = await here.sql("SELECT name, token FROM p.versions ORDER BY name")
            assert after == [(name, token + 1) for name, token in tokens]
        assert await tables(heir) == await from_scratch(here, heir)


async def test_a_worker_waits_for_no_table_that_is_compared(city: City):
    async with world(city) as here, here.projections() as p, here.projections() as other:
        await one_case(here, 1)
        p._holder = "worker"
        await p.follow_once()
        async with engine.session(other._work) as connection, connection.transaction():
            await engine.rows(connection, other._sql["lock"], "orders")
            await p._keep_leases()
            await one_case(here, 2)
            await p.follow_once()
            behind = [s.name for s in await p.status() if s.lag]
        assert behind == ["orders"]


async def test_a_token_that_was_overtaken_moves_no_checkpoint(city: City):
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1)
        await p.follow_until()
        position = (await here.ledger.head())[0]
        async with engine.session(p._work) as connection:
            stale = ["orders"], [1], [0], position, position + 5, 0.0, 1.0
            assert await engine.run(connection, p._sql["move"], *stale) == 0
        assert {s.position for s in await p.status()} == {position}


# --- a poison event ----------------------------------------------------------------------------------------------


async def test_a_worker_tries_a_blocked_table_again_ever_later_and_a_new_release_goes_on_at_once(
    city: City, monkeypatch: pytest.MonkeyPatch
):
    async with world(city) as here:
        await one_case(here, 1, dispatched())
        receipt = await here.record(stream(1), "2025-06-16 12:00", Strange())
        async with here.projections() as old, working(old, "old"), asyncio.timeout(60):
            while min(s.tries for s in await old.status() if s.name != "matters") < 2:  # noqa: ASYNC110  as above
                await asyncio.sleep(0.02)
            shown = await here.sql(
                "SELECT name, lag, blocked_at, error, lag_seconds > 0 FROM p.progress WHERE name <> 'matters' ORDER BY name"
            )
            assert [(row[0], row[1], row[2], row[4]) for row in shown] == [
                (name, 1, receipt.first_position, True) for name in sorted(TABLES) if name != "matters"
            ]
            assert all("order.strange" in row[3] for row in shown)
            assert await here.sql("SELECT lag, blocked_at FROM p.progress WHERE name = 'matters'") == [
                (0, None)
            ]  # reads none
            due = {key: when for key, (_, when) in old._tries.items()}
            assert all(when > asyncio.get_running_loop().time() for when in due.values())
        async with here.projections() as new, working(new, "new"):
            monkeypatch.setattr(new, "_codec", Codec(LATER_KINDS))
            await worker_stands_at(new, receipt.first_position)
            assert {(s.blocked_at, s.error, s.tries) for s in await new.status()} == {(None, "", 0)}
            assert await tables(new) == await from_scratch(here, new)


# --- under live writes -------------------------------------------------------------------------------------------


async def test_tables_are_made_again_and_gone_back_to_while_a_city_works(city: City):
    async with world(city) as here, here.projections() as reader, here.projections() as p, here.projections() as w:
        told = iter(a_history(77, 60))
        for _ in range(60):
            name, when, facts = next(told)
            await here.record(name, when, *facts)
        await p.follow_until()
        p._range = 4

        async def works() -> None:
            for name, when, facts in told:
                await here.record(name, when, *facts)
                await asyncio.sleep(0)

        async def seen(connection: engine.Connection) -> list[list[tuple[Any, ...]]]:
            named = [f'TABLE "{city.name}_projections"."{name}_1"' for name in TABLES]
            return [sorted(await engine.rows(connection, one.encode()), key=repr) for one in named]

        async with reader._snapshot("orders") as snapshot, working(w, "worker"):
            before = await seen(snapshot.connection)
            writing = asyncio.create_task(works())
            made = [*await p.rebuild(jobs=2, compare=True), *await p.rebuild(compare=True)]
            gone_back = [await p.rollback(name) for name in TABLES]
            await writing
            assert {one.differences for one in made} == {0}
            assert [one.version for one in gone_back] == [2] * len(TABLES)
            assert await seen(snapshot.connection) == before  # as it was, in tables that were switched away from
            await p.follow_until((await here.ledger.head())[0])
        assert await tables(p) == await from_scratch(here, p)
        assert {one.differences for one in await p.rebuild(compare=True)} == {0}


async def test_who_appends_waits_for_no_switch(city: City, monkeypatch: pytest.MonkeyPatch):
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1, dispatched())
        await p.follow_until()
        written: list[str] = []
        once = engine.run

        async def switching(connection: engine.Connection, statement: bytes, *said: object) -> int:
            changed = await once(connection, statement, *said)
            if statement == p._sql["activate"]:  # said, and not yet committed
                written.append(await one_case(here, 2, dispatched()))
            return changed

        monkeypatch.setattr(engine, "run", switching)
        await p.rebuild("orders")
        assert len(written) == 1
        await p.follow_until()
        assert await tables(p) == await from_scratch(here, p)


# --- real processes ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def a_process(here: World, name: str) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", FOLLOWER, here.city.database.app, here.city.name, name]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment, cwd=CHECKOUT) as process:
        assert process.stdout is not None
        try:
            yield process
        finally:
            process.kill()


async def test_followers_killed_at_any_moment_skip_nothing_and_apply_nothing_twice(city: City):
    dice = random.Random(5)
    async with world(city) as here, here.projections() as p:
        told = iter(a_history(5, 30))
        with a_process(here, "second") as second:
            assert second.stdout is not None
            await asyncio.to_thread(second.stdout.readline)
            for turn in range(3):
                with a_process(here, f"first-{turn}") as first:
                    assert first.stdout is not None
                    await asyncio.to_thread(first.stdout.readline)
                    for _ in range(25):
                        if (one := next(told, None)) is not None:
                            await here.record(one[0], one[1], *one[2])
                    await asyncio.sleep(dice.uniform(0, 0.1))
                    victim = dice.choice([first, second]) if turn == 2 else first
                    victim.send_signal(signal.SIGKILL)
            for name, when, facts in told:
                await here.record(name, when, *facts)
            await p.follow_until((await here.ledger.head())[0])
        assert await tables(p) == await from_scratch(here, p)
        assert {one.differences for one in await p.rebuild(compare=True)} == {0}


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """One that the database's own user may enter."""
    with trial.directory() as root:
        yield root


async def test_postgresql_killed_while_tables_are_made_again_leaves_the_old_ones(open_directory: Path):
    root = open_directory
    database = await asyncio.to_thread(embedded.start, root / "home")
    try:
        city = await asyncio.to_thread(new_city, database)
        async with world(city) as here:
            async with here.projections() as p:
                for number in range(1, 21):
                    await one_case(here, number, dispatched())
                await p.follow_until()
                held, p._range = await tables(p), 1
                pid = int((root / "home/data/postmaster.pid").read_text().split()[0])
                with pytest.raises(Unavailable):
                    await p.rebuild(progress=lambda *_: _killed(pid))
            await asyncio.to_thread(embedded.start, root / "home")
            async with here.projections() as p:
                assert await tables(p) == held
                assert {(s.version, s.state) for s in await p.status()} == {(1, "following"), (2, "building")}
                assert {one.differences for one in await p.rebuild(compare=True)} == {0}
                assert {(s.version, s.active) for s in await p.status()} == {(1, False), (3, True)}
    finally:
        await asyncio.to_thread(embedded.stop, root / "home", at_once=True)


async def test_a_worker_under_which_postgresql_is_killed_goes_on_where_it_was(open_directory: Path):
    root = open_directory
    database = await asyncio.to_thread(embedded.start, root / "home")
    try:
        city = await asyncio.to_thread(new_city, database)
        async with world(city) as here, here.projections(page=5) as p:
            for number in range(1, 9):
                await one_case(here, number, dispatched(), SIGNED, notice())
            head, _ = await here.ledger.head()
            pid = int((root / "home/data/postmaster.pid").read_text().split()[0])
            copied, copy = list[bytes](), p._copy

            async def copying(connection: engine.Connection, statement: bytes, packed: bytes) -> None:
                await copy(connection, statement, packed)
                copied.append(statement)
                if len(copied) == 10:  # in the midst of a page, and not the first
                    _killed(pid)

            p._copy = copying
            async with working(p, "worker") as task:
                while len(copied) < 10:  # noqa: ASYNC110  the worker tells nobody
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(embedded.start, root / "home")
                async with here.projections() as other:
                    assert min(s.position for s in await other.status()) > 0
                    await worker_stands_at(other, head)
                    assert not task.done()
                    assert await tables(other) == await from_scratch(here, other)
    finally:
        await asyncio.to_thread(embedded.stop, root / "home", at_once=True)


def _killed(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


async def test_many_who_open_a_new_city_at_once_make_its_tables_once(city: City):
    async with world(city) as here:
        opened = [here.projections() for _ in range(8)]
        try:
            await asyncio.gather(*(p.open() for p in opened))
            assert {(s.version, s.state, s.active) for s in await opened[0].status()} == {(1, "following", True)}
        finally:
            await asyncio.gather(*(p.close() for p in opened))


def test_workers_of_several_processes_that_begin_with_nothing_at_the_same_instant_all_work(
    postgres: embedded.Database,
):
    cities = [new_city(postgres) for _ in range(3)]
    words = [sys.executable, "-c", OPENER, postgres.app, *(city.name for city in cities)]
    settings: dict[str, Any] = {"text": True, "env": {**os.environ, "PYTHONPATH": str(CHECKOUT)}, "cwd": CHECKOUT}
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **settings))
            for _ in range(5)
        ]
        for worker in workers:
            stack.callback(worker.kill)
        for _ in cities:
            assert [worker.stdout.readline() for worker in workers if worker.stdout] == ["ready\n"] * 5
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.write("go\n")
                worker.stdin.flush()
        assert [worker.stdout.readline() for worker in workers if worker.stdout] == ["done\n"] * 5
        assert [worker.wait(60) for worker in workers] == [0] * 5
    for city in cities:
        assert asyncio.run(_standing(city)) == {(name, 1, "following", True) for name in TABLES}


async def _standing(city: City) -> set[tuple[str, int, str, bool]]:
    async with Projections(city.database.app, city.name) as p:
        return {(s.name, s.version, s.state, s.active) for s in await p.status()}
