"""How many durable one-event commits a second the ledger takes, and how long each caller waits.

    python -m scripts.bench.append [--callers 1,8,64,256] [--seconds 2] [--rounds 3] [--no-door] [--profile] [--json]

Side by side in one run, on one PostgreSQL (its own embedded one, removed afterwards; or the one HUIYIN_DATABASE_URL
names, where schemas and a table `bench…` stay behind), turn by turn, so that a machine that is busy is so for all:

    the writer, by tasks    the door's writer, fed by asyncio callers of one loop
    the face, by threads    the same through the synchronous face
    stock, by threads       the `eventsourcing` library's own PostgreSQL recorder, by as many threads and sessions
    pgbench                 one INSERT a transaction into a table of the stock's shape, prepared, by as many clients
    the door                whole commands of real cases: read, fold, decide, seal, append

Every commit is on disk before it is answered. What is shown is the median of the rounds, and the waits of all of them.
`--profile` shows where the door's time goes instead.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import random
import re
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import psycopg
from eventsourcing.persistence import ApplicationRecorder, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg.conninfo import conninfo_to_dict

from domain import recorder
from domain.blocking import BlockingLedger, LedgerRecorder
from domain.ledger import Ledger
from domain.settling import Draft, Proposal
from scripts import embedded
from scripts.bench import trial
from scripts.bench.trial import City, Figure, Run
from scripts.lawbook import answer

SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
STATE = b'{"type":"bench.appended","text":"' + b"x" * 200 + b'"}'
CHANCE = random.Random()  # noqa: S311  ids to measure with, not to keep
WRITER, FACE, STOCK, PGBENCH, DOOR = (
    "the writer, by tasks",
    "the face, by threads",
    "stock, by threads",
    "pgbench",
    "the door",
)


# --- the ways ----------------------------------------------------------------------------------------------------


async def by_tasks(ledger: Ledger, callers: int, seconds: float) -> Run:
    """Measure the door's writer, fed by tasks."""
    waits: list[float] = []
    seen, now = await ledger.head()
    began = time.perf_counter()

    async def caller() -> None:
        while time.perf_counter() < began + seconds:
            asked = time.perf_counter()
            await ledger.submit(proposal(seen, now))
            waits.append(time.perf_counter() - asked)

    await asyncio.gather(*(caller() for _ in range(callers)))
    return Run(time.perf_counter() - began, waits)


def proposal(seen: int, now: datetime) -> Proposal:
    """Return one decided command: one event of a fresh stream, which nobody had written by the position `seen`."""
    stream = f"bench:{CHANCE.getrandbits(128):032x}"
    return Proposal(
        command_id=f"{CHANCE.getrandbits(128):032x}",
        digest=bytes(32),
        stream=stream,
        now=now,
        actor='{"role":"system","user":"bench"}',
        origin="live",
        steps=(Draft(stream, "bench.appended", STATE),),
        expected={stream: 0},
        seen=seen,
    )


async def by_door(ledger: Ledger, callers: int, seconds: float) -> Run:
    """Measure the whole door: each caller leads cases of its own from their registering to the reply."""
    waits: list[float] = []
    began = time.perf_counter()

    async def caller() -> None:
        while True:
            stream = None
            for actor, act in trial.one_case():
                if time.perf_counter() >= began + seconds:
                    return
                asked = time.perf_counter()
                receipt = await ledger.execute(act, stream=stream, actor=actor, command_id=secrets.token_hex(16))
                waits.append(time.perf_counter() - asked)
                stream = receipt.stream

    await asyncio.gather(*(caller() for _ in range(callers)))
    return Run(time.perf_counter() - began, waits)


def by_threads(recorder: ApplicationRecorder, callers: int, seconds: float) -> Run:
    """Measure a recorder of the library's contract, by threads."""
    waits: list[float] = []
    kept = threading.Lock()
    began = time.perf_counter()

    def caller() -> None:
        mine: list[float] = []
        while time.perf_counter() < began + seconds:
            asked = time.perf_counter()
            stream = f"bench:{CHANCE.getrandbits(128):032x}"
            recorder.insert_events([StoredEvent(stream, 1, "bench.appended", STATE)])
            mine.append(time.perf_counter() - asked)
        with kept:
            waits.extend(mine)

    with ThreadPoolExecutor(callers) as pool:
        for done in [pool.submit(caller) for _ in range(callers)]:
            done.result()
    return Run(time.perf_counter() - began, waits)


def by_pgbench(dsn: str, city: str, callers: int, seconds: float) -> Run:
    """Measure PostgreSQL's own tool: a single INSERT a transaction, without any of the ledger's promises."""
    named = recorder.statements(SQL, city)
    with trial.directory() as folder:
        script = folder / "insert.sql"
        script.write_bytes(named["insert_single"] + b";\n")
        words = [
            *(str(trial.program("pgbench")), "--no-vacuum", "--protocol=prepared", f"--file={script}"),
            *(f"--client={callers}", f"--jobs={min(callers, 2)}", f"--time={max(1, round(seconds))}"),
            *(f"--define=state={STATE.decode()}", "--log", f"--log-prefix={folder / 'waits'}", dsn),
        ]
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)
        if done.returncode:
            raise click.ClickException(f"pgbench: {done.stderr.strip()[-300:]}")
        lines = [line.split() for log in folder.glob("waits*") for line in log.read_text().splitlines()]
    waits = [int(line[2]) / 1e6 for line in lines]
    rate = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)  # what it took to connect is left out
    assert rate is not None, done.stdout
    return Run(len(waits) / float(rate[1]), waits)


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


# --- side by side ------------------------------------------------------------------------------------------------


def measure(database: embedded.Database, callers: int, seconds: float, rounds: int, *, door: bool) -> list[Figure]:
    """Return the figures of all ways for so many callers, measured turn by turn."""
    bare = trial.run(trial.bare_city(database))
    with psycopg.connect(database.app, autocommit=True) as connection:
        connection.execute(recorder.statements(SQL, bare.name)["create_single"])
    founded = trial.run(trial.founded_city(database)) if door else None
    theirs = stock(database.superuser, callers)
    runs: dict[str, list[Run]] = {}
    try:
        with BlockingLedger(lambda: trial.open_city(bare)) as blocking:
            ways: dict[str, Callable[[], Run]] = {
                WRITER: lambda: in_loop(bare, by_tasks, callers, seconds),
                FACE: lambda: by_threads(LedgerRecorder(blocking), callers, seconds),
                STOCK: lambda: by_threads(theirs, callers, seconds),
                PGBENCH: lambda: by_pgbench(database.app, bare.name, callers, seconds),
            }
            if founded is not None:
                ways[DOOR] = lambda: in_loop(founded, by_door, callers, seconds)
            for _ in range(rounds):
                for what, way in ways.items():
                    runs.setdefault(what, []).append(way())
    finally:
        theirs.datastore.close()
    return [trial.figure(what, callers, of) for what, of in runs.items()]


def in_loop(city: City, way: Callable[[Ledger, int, float], Any], callers: int, seconds: float) -> Run:
    """Run a way of tasks in a loop of its own; what opening the ledger costs is not its commits'."""

    async def work() -> Run:
        async with await trial.open_city(city) as ledger:
            await ledger.law()  # the institution is folded once
            return await way(ledger, callers, seconds)

    return trial.run(work())


def profile(database: embedded.Database, callers: int, seconds: float, most: int = 30) -> list[dict[str, Any]]:
    """Return where the door's time goes: of each function, microseconds a command of its own and with what it calls."""
    city = trial.run(trial.founded_city(database))
    profiler = cProfile.Profile()
    profiler.enable()
    run = in_loop(city, by_door, callers, seconds)
    profiler.disable()
    commands = len(run.waits)
    stats: Any = pstats.Stats(profiler)
    rows = [
        {
            "where": f"{Path(file).parent.name}/{Path(file).name}:{line} {name}",
            "calls": round(calls / commands, 1),
            "own": own / commands * 1e6,
            "with": total / commands * 1e6,
        }
        for (file, line, name), (_, calls, own, total, _) in stats.stats.items()
    ]
    return sorted(rows, key=lambda row: -row["own"])[:most]


# --- shown -------------------------------------------------------------------------------------------------------


def _rows(figures: list[Figure]) -> Iterator[tuple[str, ...]]:
    for callers in dict.fromkeys(figure.callers for figure in figures):
        rates = {figure.what: figure.per_second for figure in figures if figure.callers == callers}
        for one in figures:
            if one.callers == callers:
                shares = (f"{one.per_second / rates[STOCK]:.1f}", f"{one.per_second / rates[PGBENCH]:.2f}")
                yield one.what, str(callers), f"{one.per_second:,.0f}", f"{one.p50:.1f}", f"{one.p99:.1f}", *shares


@click.command()
@click.option("--callers", default="1,8,64,256", show_default=True, help="how many at once, one figure each.")
@click.option("--seconds", default=2.0, show_default=True, help="how long each way is measured each round.")
@click.option("--rounds", default=3, show_default=True, help="how many turns each way gets.")
@click.option("--door/--no-door", default=True, show_default=True, help="whole commands too.")
@click.option("--profile", "profiled", is_flag=True, help="where the door's time goes, at 64 callers.")
@click.option("--json", "as_json", is_flag=True)
def main(callers: str, seconds: float, rounds: int, door: bool, profiled: bool, as_json: bool) -> None:
    """Measure durable one-event commits side by side."""
    numbers = [int(word) for word in callers.split(",")]
    with trial.database(max_connections=str(2 * max(numbers) + 50)) as database:
        if profiled:
            found = profile(database, 64, seconds)
            if as_json:
                answer(found)
                return
            cells = [(r["where"], f"{r['calls']:.1f}", f"{r['own']:.1f}", f"{r['with']:.1f}") for r in found]
            trial.show("the door, 64 callers", ("function", "calls a command", "own µs", "with callees µs"), cells)
            return
        figures = [one for n in numbers for one in measure(database, n, seconds, rounds, door=door)]
    if as_json:
        answer(figures)
        return
    columns = ("way", "callers", "a second", "p50 ms", "p99 ms", "× stock", "× pgbench")
    trial.show("durable one-event commits", columns, list(_rows(figures)))


if __name__ == "__main__":
    main()
