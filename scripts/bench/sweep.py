"""How long a sweep takes to find what is due among a million open clocks, and how fast it then acts.

    python -m scripts.bench.sweep [--clocks 1000000] [--models 3000] [--acts 10000] [--rounds 200] [--jobs 2] [--home DIR]
        [--json]

The city: cases dispatched over the eight working days before the instant, none of them answered yet, as
`scripts.bench.volume` leads and copies them; so each stands under several clocks that run. `find` is one page of 500
orders whose moment has come, the longest waiting first, asked at instants at which none, a few or very many are due.
`act` is the real sweep at the instant by which something has come about in about so many orders: it reads each, asks the
rules, and records every notice, each in a commit of its own. Nothing follows the tables meanwhile; following what the
sweep did, and a second sweep that finds nothing, are measured after it.

The server is an embedded one, removed afterwards. With `--home` it is kept there, and what is due next is swept.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
import psycopg

from domain import recorder
from domain.ledger import Ledger
from domain.sealing import Keyring
from domain.terms import SHANGHAI
from projections import agenda, clocks
from projections.answers import Projections
from projections.engine import Engine
from scripts import embedded, simulate, wiring
from scripts.bench import trial, volume
from scripts.bench.trial import City
from scripts.lawbook import answer
from supervision.sweep import PAGE, Manner, Swept, sweep

SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
NOW = datetime(2025, 9, 24, 8, tzinfo=SHANGHAI)
"""No case is told further than that."""

SPAN = timedelta(days=12)
FINDING, ACTING = 50.0, 1000.0
"""What is expected: milliseconds that a page is found in, notices a second."""

TABLES = (clocks.PROJECTION, agenda.PROJECTION)
_OVER = frozenset({"answer_directly", "refuse", "reply"})


class Standing(msgspec.Struct):
    """A city that stands in a home."""

    city: str
    master: str


class Found(msgspec.Struct, frozen=True):
    """Everything one run came to. Milliseconds; `first` is the first question after the server was started again."""

    clocks: int
    orders: int
    first: float
    p50: float
    p95: float
    most: float
    at: datetime
    looked: int
    done: dict[str, int]
    refused: dict[str, int]
    seconds: float
    per_second: float
    of_processor: float  # seconds that this process was given meanwhile
    followed: float  # seconds
    again: float  # milliseconds of a sweep after that


# --- the city ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def standing(home: Path | None, wanted: int, models: int, jobs: int) -> Iterator[City]:
    """Yield a city with so many open clocks, on a server that was just started."""
    with contextlib.ExitStack() as stack:
        root = home or stack.enter_context(trial.directory()) / "home"
        stack.callback(embedded.stop, root, at_once=home is None)
        database = embedded.start(root)
        note = root / "sweep.json"
        if not note.exists():
            city = trial.run(_made(database, wanted, models, jobs))
            note.touch(mode=0o600)
            note.write_bytes(msgspec.json.encode(Standing(city.name, city.keyring.master.hex())))
        held = msgspec.json.decode(note.read_bytes(), type=Standing)
        city = City(database, held.city, Keyring(bytes.fromhex(held.master)))
        embedded.stop(root)
        embedded.start(root)
        yield city


async def _made(database: embedded.Database, wanted: int, models: int, jobs: int) -> City:
    _say("cases are led through the door")
    city = await volume.founded(database)
    async with await trial.open_city(city) as ledger:
        await volume.lead_all(ledger, _lives(models))
        imprint, (head, _) = ledger.imprint, await ledger.head()
    await _filled(city, 1)
    each, cases = await _asked(city, "clocks", "open_clocks")
    more = round((wanted - each) * head / each)
    _say(f"{cases:,} cases stand under {each:,} open clocks; {more:,} events are copied")
    if more > 0:
        await volume.multiply(database.app, city.name, imprint, more)
    await _filled(city, jobs)
    return city


def _lives(models: int) -> Iterator[list[simulate.Line]]:
    """Yield so many cases that are being handled at the instant."""
    chance = random.Random(1)  # noqa: S311  a simulation, not a secret
    number = 0
    while number < models:
        at = NOW - SPAN * chance.random()
        at = at.replace(hour=min(20, max(7, round(chance.gauss(13, 3)))), second=0, microsecond=0)
        lines = simulate.case(number + 1, min(at, NOW - timedelta(hours=1)), NOW, chance)
        if len(lines) > 1 and not _OVER & {line["command"]["type"] for line in lines}:
            number += 1
            yield lines


async def _filled(city: City, jobs: int) -> None:
    _say("tables are made")
    async with Engine(city.database.app, city.name, TABLES) as one:
        await one.rebuild(jobs=jobs)
        await one.drop()


def _say(what: str) -> None:
    click.echo(f"{wiring.process_now():%H:%M:%S}  {what}", err=True)


async def _asked(city: City, table: str, name: str, *parameters: Any) -> tuple[Any, ...]:
    """Return the row that a statement about a table has."""
    async with Engine(city.database.app, city.name, TABLES) as one:
        version = next(row.version for row in await one.status() if row.name == table and row.active)
    statement = recorder.statements(SQL.replace("_N", f"_{version}"), city.name)[name]
    async with await psycopg.AsyncConnection.connect(city.database.app, autocommit=True) as connection:
        return (await (await connection.execute(statement, parameters)).fetchall())[0]


# --- finding and acting ------------------------------------------------------------------------------------------


async def found_in(shown: Projections, upto: datetime, rounds: int) -> list[float]:
    """Return how long each question waited, the first one first."""
    chance = random.Random(2)  # noqa: S311  what is asked is no secret
    waits: list[float] = []
    for _ in range(rounds + 1):
        now = upto + SPAN * chance.uniform(-0.2, 1)
        began = time.perf_counter()
        await shown.due_for_sweep(now, limit=PAGE)
        waits.append((time.perf_counter() - began) * 1000)
    return waits


async def measure(city: City, acts: int, rounds: int) -> Found:
    """Find, act, follow, and find nothing more."""
    await _caught_up(city)
    open_clocks, orders = await _asked(city, "clocks", "open_clocks")
    moment: datetime = (await _asked(city, "agenda", "moment", acts))[0]
    moment = max(moment, NOW + timedelta(hours=1))  # a copy is up to an hour later than its model
    async with Projections(city.database.app, city.name) as shown, await trial.open_city(city) as ledger:
        first, *waits = await found_in(shown, moment, rounds)
        waits.sort()
        began, given = time.perf_counter(), time.process_time()
        swept = await _swept(ledger, shown, moment)
        seconds, given = time.perf_counter() - began, time.process_time() - given
        began = time.perf_counter()
        await _caught_up(city)
        followed = time.perf_counter() - began
        began = time.perf_counter()
        await _swept(ledger, shown, moment)
        again = (time.perf_counter() - began) * 1000
    return Found(
        open_clocks,
        orders,
        first,
        waits[len(waits) // 2],
        waits[len(waits) * 95 // 100],
        waits[-1],
        moment,
        swept.looked,
        dict(swept.done),
        dict(+swept.refused),
        seconds,
        swept.total / seconds,
        given,
        followed,
        again,
    )


async def _caught_up(city: City) -> None:
    async with Engine(city.database.app, city.name, TABLES) as one:
        await one.follow_until()


async def _swept(ledger: Ledger, shown: Projections, now: datetime) -> Swept:
    return await sweep(ledger, shown, now, Manner(simulated=True))


@click.command()
@click.option("--clocks", default=1_000_000, show_default=True, help="clocks that run.")
@click.option("--models", default=3000, show_default=True, help="cases that are really led.")
@click.option(
    "--acts", default=10_000, show_default=True, help="orders, at least, about which something has come about."
)
@click.option("--rounds", default=200, show_default=True, help="pages that are asked for.")
@click.option("--jobs", default=2, show_default=True, help="processes that fill the tables.")
@click.option("--home", type=click.Path(file_okay=False, path_type=Path), help="keep the server and its city here.")
@click.option("--json", "as_json", is_flag=True)
def main(clocks: int, models: int, acts: int, rounds: int, jobs: int, home: Path | None, as_json: bool) -> None:
    """Sweep a city with so many open clocks, and print how long it took to find and to act."""
    with standing(home, clocks, models, jobs) as city:
        found = asyncio.run(measure(city, acts, rounds))
    if as_json:
        answer(found)
        return
    rows = [
        ("find a page, p50 ms", f"{found.p50:.1f}", ""),
        ("find a page, p95 ms", f"{found.p95:.1f}", f"{FINDING:.0f}" + _mark(found.p95 < FINDING)),
        ("find a page, most ms", f"{found.most:.1f}", ""),
        ("find a page, the first after a start, ms", f"{found.first:.1f}", ""),
        ("orders looked at", f"{found.looked:,}", ""),
        ("notices issued", f"{sum(found.done.values()):,}", ""),
        ("notices a second", f"{found.per_second:,.0f}", f"{ACTING:,.0f}" + _mark(found.per_second >= ACTING)),
        ("notices a second of its processor time", f"{sum(found.done.values()) / found.of_processor:,.0f}", ""),
        ("follow what was done, s", f"{found.followed:.1f}", ""),
        ("sweep again, ms", f"{found.again:.1f}", ""),
    ]
    trial.show(f"{found.clocks:,} open clocks of {found.orders:,} orders", ("", "figure", "goal"), rows)
    click.echo(f"done {found.done}; refused {found.refused or 0}")


def _mark(met: bool) -> str:
    return " ✓" if met else " ✗"


if __name__ == "__main__":
    main()
