"""A server dies and its standby takes over: the same ledger goes on there, with all that was acknowledged."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from domain.ledger import Receipt
from scripts import embedded
from tests.conftest import City, new_city
from tests.test_ledger import AGENT, NoteSlip, OpenSlip, cid, do, door, opened

pytestmark = pytest.mark.campaign


class Pair(NamedTuple):
    """A server and its synchronous standby: nothing is acknowledged that only one of them has."""

    first: Path
    second: Path
    entries: embedded.Database
    standby: embedded.Database

    def kill(self) -> None:
        """Kill the first, at once."""
        pid = int((self.first / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(pid, signal.SIGKILL)

    def promote(self) -> None:
        """Let the standby take over."""
        with psycopg.connect(self.standby.superuser, autocommit=True) as connection:
            assert connection.execute("SELECT pg_promote(true, 60)").fetchone() == (True,)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two servers of this test alone, the second a copy that follows the first."""
    root = Path(tempfile.mkdtemp(prefix="huiyin-tests-"))
    root.chmod(0o755)
    first, second = root / "first", root / "second"
    try:
        entries = embedded.start(first)
        place, until = embedded._place(second), time.monotonic() + 60
        embedded._own_directory(place.data, place.user)
        copying = ["-D", place.data, "-h", embedded._place(first).run, "-U", "postgres", "-R", "-c", "fast"]
        done = embedded._run(place, [embedded._programs(place) / "pg_basebackup", *copying], until)
        assert done.returncode == 0, done.stderr
        standby = embedded.start(second)
        with psycopg.connect(entries.superuser, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
        yield Pair(first, second, entries, standby)
    finally:
        for home in (first, second):
            embedded.stop(home, at_once=True)
        shutil.rmtree(root, ignore_errors=True)


def test_the_ledger_goes_on_at_the_standby_with_all_that_was_acknowledged(pair: Pair):
    runs = [embedded._place(home).run for home in (pair.first, pair.second)]
    hosts, ports = ",".join(map(str, runs)), "5432,5432"
    either = make_conninfo(pair.entries.app, host=hosts, port=ports, target_session_attrs="read-write")
    city = new_city(pair.entries)
    city = city._replace(database=city.database._replace(app=either))

    async def go_on() -> None:
        async with door(city, patience=60.0) as ledger:
            slip = (await opened(ledger)).stream
            receipts: list[Receipt] = []

            async def caller() -> None:
                for _ in range(30):
                    receipts.append(await opened(ledger))
                    receipts.append(await do(ledger, slip, NoteSlip()))

            async with asyncio.TaskGroup() as group:
                for _ in range(12):
                    group.create_task(caller())
                while len(receipts) < 60:  # noqa: ASYNC110  any sixty will do
                    await asyncio.sleep(0.005)
                pair.kill()
                await asyncio.to_thread(pair.promote)
            assert len({receipt.first_position for receipt in receipts}) == len(receipts) == 720
            assert not any(receipt.replayed for receipt in receipts)
            assert (await ledger.fold(slip)).notes == 360
            assert (await ledger.head())[0] == 2 + 360 * 3
            assert await ledger.verify_all() == []

    asyncio.run(go_on())


def test_a_standby_is_waited_for_until_it_takes_over(pair: Pair):
    city = new_city(pair.entries)
    there = City(pair.standby, city.name, city.keyring)

    async def wait() -> None:
        async with door(city) as ledger:
            first = await ledger.execute(OpenSlip(title="x"), actor=AGENT, command_id="c1")
        async with door(there, patience=60.0) as ledger:
            assert (await ledger.history(first.stream))[0].event == first.events[0].event  # reading goes on meanwhile
            again = await ledger.execute(OpenSlip(title="x"), actor=AGENT, command_id="c1")
            assert again == first._replace(replayed=True)
            writing = asyncio.create_task(do(ledger, first.stream, NoteSlip(), command_id=cid()))
            await asyncio.sleep(0.5)
            assert not writing.done()
            pair.kill()
            await asyncio.to_thread(pair.promote)
            assert (await writing).version == 2
            assert await ledger.verify_all() == []

    asyncio.run(wait())
