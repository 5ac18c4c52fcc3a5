"""How many durable one-event commits a second the ledger takes, and how long each caller waits.

    python -m scripts.bench.append [--callers 64] [--commits 40000] [--json]

Three ways in one run, on one PostgreSQL (its own embedded one, removed afterwards; or the one HUIYIN_DATABASE_URL
names, where a schema and a table `bench…` stay behind): the door's writer fed by tasks of one loop; the same through the synchronous
face by as many threads; and the `eventsourcing` library's own PostgreSQL recorder by as many threads. Every commit is
one event of a fresh stream, on disk before it is answered.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
from eventsourcing.persistence import ApplicationRecorder, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg.conninfo import conninfo_to_dict

from domain.blocking import BlockingLedger, LedgerRecorder
from domain.ledger import Ledger, create
from domain.sealing import Keyring
from domain.writer import Draft, Proposal
from scripts import embedded

STATE = b'{"type":"bench.appended","text":"' + b"x" * 200 + b'"}'


class Figure(NamedTuple):
    """One measurement: commits a second, and milliseconds that half and 99 of 100 callers waited at most."""

    what: str
    callers: int
    per_second: float
    p50: float
    p99: float


def figure(what: str, callers: int, seconds: float, waits: list[float]) -> Figure:
    """Return the figure of a run."""
    waits.sort()
    return Figure(
        what, callers, len(waits) / seconds, waits[len(waits) // 2] * 1000, waits[len(waits) * 99 // 100] * 1000
    )


async def by_tasks(dsn: str, city: str, keyring: Keyring, callers: int, commits: int) -> Figure:
    """Measure the door's writer, fed by tasks."""
    waits: list[float] = []
    async with await Ledger.open(dsn, city, kinds=(), keyring=keyring, entropy=os.urandom) as ledger:

        async def caller() -> None:
            for _ in range(commits // callers):
                began = time.perf_counter()
                await ledger.submit(proposal())
                waits.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(callers)))
        return figure("the writer, by tasks", callers, time.perf_counter() - began, waits)


def proposal() -> Proposal:
    """Return one decided command: one event of a fresh stream."""
    stream = f"bench:{secrets.token_hex(16)}"
    return Proposal(
        command_id=secrets.token_hex(16),
        digest=bytes(32),
        stream=stream,
        now=datetime.now(UTC),
        actor='{"role":"system","user":"bench"}',
        origin="live",
        steps=(Draft(stream, "bench.appended", STATE),),
        expected={stream: 0},
    )


def by_threads(what: str, recorder: ApplicationRecorder, callers: int, commits: int, name: Callable[[], Any]) -> Figure:
    """Measure a recorder of the library's contract, by threads."""
    waits: list[float] = []
    kept = threading.Lock()

    def caller() -> None:
        mine: list[float] = []
        for _ in range(commits // callers):
            began = time.perf_counter()
            recorder.insert_events([StoredEvent(name(), 1, "bench.appended", STATE)])
            mine.append(time.perf_counter() - began)
        with kept:
            waits.extend(mine)

    began = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        for done in [pool.submit(caller) for _ in range(callers)]:
            done.result()
    return figure(what, callers, time.perf_counter() - began, waits)


def stock(dsn: str, callers: int) -> PostgresApplicationRecorder:
    """Return the library's own recorder on the same PostgreSQL, with a table of its own."""
    said = conninfo_to_dict(dsn)
    datastore = PostgresDatastore(
        dbname=str(said["dbname"]),
        host=str(said["host"]),
        port=str(said.get("port", "5432")),
        user=str(said["user"]),
        password=str(said.get("password", "")),
        pool_size=callers,
        max_overflow=0,
        originator_id_type="text",
    )
    recorder = PostgresApplicationRecorder(datastore, events_table_name=f"bench_{secrets.token_hex(6)}")
    recorder.create_table()
    return recorder


@click.command()
@click.option("--callers", default=64, show_default=True)
@click.option("--commits", default=40_000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(callers: int, commits: int, as_json: bool) -> None:
    """Measure durable one-event commits three ways and print them side by side."""
    root = Path(tempfile.mkdtemp(prefix="huiyin-bench-"))
    root.chmod(0o755)  # the database's own user must reach what lies below
    try:
        url = os.environ.get("HUIYIN_DATABASE_URL")
        figures = measure(embedded.external(url) if url else embedded.start(root / "home"), callers, commits)
    finally:
        if (root / "home").exists():
            embedded.stop(root / "home", at_once=True)
        shutil.rmtree(root)
    if as_json:
        click.echo(msgspec.json.encode([one._asdict() for one in figures]))
        return
    for one in figures:
        waits = f"p50 {one.p50:6.1f} ms  p99 {one.p99:6.1f} ms"
        click.echo(f"{one.what:24} {one.callers:4} callers {one.per_second:9,.0f}/s  {waits}")


def measure(database: embedded.Database, callers: int, commits: int) -> list[Figure]:
    """Return the figures of the three ways, one after the other."""
    city, keyring = f"bench{secrets.token_hex(6)}", Keyring(os.urandom(32))
    making = create(database.owner, city, ledger_id=city, hash_algorithm="sha256", keyring=keyring, entropy=os.urandom)
    asyncio.run(making)
    figures = [asyncio.run(by_tasks(database.app, city, keyring, callers, commits))]
    with BlockingLedger.open(database.app, city, kinds=(), keyring=keyring, entropy=os.urandom) as blocking:
        ours = LedgerRecorder(blocking)
        figures.append(
            by_threads("the face, by threads", ours, callers, commits // 4, lambda: f"bench:{secrets.token_hex(16)}")
        )
    theirs = stock(database.superuser, callers)
    figures.append(by_threads("stock, by threads", theirs, callers, commits // 20, lambda: secrets.token_hex(16)))
    theirs.datastore.close()
    return figures


if __name__ == "__main__":
    main()
