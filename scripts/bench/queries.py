"""How long a question waits where a city has a million orders: worklists, duties, indicators, search, one case as it was.

    python -m scripts.bench.queries [--orders 1000000] [--models 3000] [--jobs 2] [--rounds 200] [--only WORDS] [--home DIR]
        [--json]

The city is that of `scripts.bench.volume`, spread over twenty towns: three hundred units, twenty-one months, words that a
tenth of its cases have, a fiftieth, or some hundred. Some thousand cases are open, and a third is left for ever without its
end, which no real office does. Questions go through the functions that the API and the command line ask
(`projections.answers`, `Ledger.look` and `history`), one after the other, each about something else than the last one: the
unit, word, month, instant, page or order is drawn anew. `cold` is the first question of its kind after the server was
started again (its own memory is empty, the file system's is not); `p50`, `p95` and `most` are of the rounds after that.

The server is an embedded one, started as `huiyin` starts it and removed afterwards. With `--home` it is kept there, and the
city that stands in it is asked again. The tables are filled by `rebuild`. A million orders take 14 GB and half an hour.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
import psycopg

from domain import recorder
from domain.clocks import clocks
from domain.ledger import Ledger
from domain.order import fold, history
from domain.sealing import Keyring
from domain.terms import OrderState
from projections.answers import Projections
from scripts import embedded, simulate, wiring
from scripts.bench import trial, volume
from scripts.bench.trial import City
from scripts.lawbook import answer

SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
TOWNS = 20
NOW = volume.BEGIN + timedelta(days=volume.DAYS)
"""The instant that lateness is judged at: no case is told further than that."""

AT_WORK = (OrderState.DISPATCHED, OrderState.WORKING, OrderState.RETURN_REVIEW)
GOAL, GOAL_OF_INDICATORS = 50.0, 500.0
"""Milliseconds in which 95 of 100 are to be answered."""


class Standing(msgspec.Struct):
    """A city that stands in a home: how to enter it, and what was put into it."""

    city: str
    master: str
    orders: int
    events: int
    megabytes: float = 0.0


class Figure(msgspec.Struct, frozen=True):
    """One kind of question: milliseconds that it waited, and rows of the middle answer."""

    question: str
    rounds: int
    rows: int
    cold: float
    p50: float
    p95: float
    most: float
    goal: float

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.p95 < self.goal


class Found(msgspec.Struct, frozen=True):
    """Everything one run came to."""

    orders: int
    events: int
    megabytes: float
    figures: list[Figure]


# --- the city ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def standing(home: Path | None, orders: int, models: int, jobs: int) -> Iterator[tuple[City, Standing]]:
    """Yield a city of so many orders whose tables are filled, on a server that was just started; made where it is not there."""
    with contextlib.ExitStack() as stack:
        root = home or stack.enter_context(trial.directory()) / "home"
        stack.callback(embedded.stop, root, at_once=home is None)
        database = embedded.start(root)
        note = root / "queries.json"
        if not note.exists():
            said = trial.run(_made(database, orders, models))
            note.touch(mode=0o600)
            note.write_bytes(msgspec.json.encode(said))
        held = msgspec.json.decode(note.read_bytes(), type=Standing)
        city = City(database, held.city, Keyring(bytes.fromhex(held.master)))
        trial.run(_filled(city, jobs))
        size = float(_run(database.app, city.name, "size")[0][0]) / 1e6
        embedded.stop(root)
        embedded.start(root)
        yield city, msgspec.structs.replace(held, megabytes=size)


async def _made(database: embedded.Database, orders: int, models: int) -> Standing:
    _say("cases are led through the door")
    city = await volume.founded(database, towns=TOWNS)
    async with await trial.open_city(city) as ledger:
        await volume.lead(ledger, 1, min(models, orders), NOW)
        imprint, (head, _) = ledger.imprint, await ledger.head()
    events, cases = _counted(city)
    if orders > cases:
        wanted = round((orders - cases) * head / cases)
        _say(f"{wanted:,} events are copied")
        await volume.multiply(database.app, city.name, imprint, wanted, towns=TOWNS)
        _run(database.owner, city.name, "vacuum")
        events, cases = _counted(city)
    return Standing(city.name, city.keyring.master.hex(), cases, events)


async def _filled(city: City, jobs: int) -> None:
    """Make the tables of a city that are not there, or that another release made."""
    async with Projections(city.database.app, city.name) as shown:
        wanting = {row.name for row in await shown.status() if row.active and (row.outdated or not row.position)}
        if wanting:
            _say(f"tables are made: {', '.join(sorted(wanting))}")
            await shown.rebuild(*sorted(wanting), jobs=jobs)
            await shown.drop()


def _say(what: str) -> None:
    click.echo(f"{wiring.process_now():%H:%M:%S}  {what}", err=True)


def _run(dsn: str, city: str, name: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(recorder.statements(SQL, city)[name])
        return cursor.fetchall() if cursor.description else []


def _counted(city: City) -> tuple[int, int]:
    """Return how many events and how many cases there are."""
    events, cases = _run(city.database.app, city.name, "count_cases")[0]
    return events, cases


# --- the questions -----------------------------------------------------------------------------------------------


class Question(NamedTuple):
    """One kind of question: how it is asked, about what is drawn anew; it returns how many rows came."""

    what: str
    ask: Callable[[random.Random], Awaitable[int]]
    goal: float = GOAL


class About(NamedTuple):
    """What questions are about."""

    units: Sequence[str]
    words: Sequence[str]
    numbers: Sequence[str]


async def about(shown: Projections, chance: random.Random) -> About:
    """Return the units, words and orders that questions are drawn from."""
    listed = await shown.units(NOW)
    units = [row.unit for row in listed.rows if row.orders]
    titles = [title for title, *_ in simulate.MATTERS]
    common = sorted({title[n : n + 2] for title in titles for n in range(len(title) - 1)})
    rare = ["".join(chance.choices(volume.SYLLABLES, k=2)) for _ in range(len(common))]
    between = ["号" + syllable for syllable in chance.choices(volume.SYLLABLES, k=len(common))]
    numbers: list[str] = []
    for _ in range(40):
        page = await shown.list_orders(after=volume.drawn_id(chance), limit=10)
        numbers += [row.number for row in page.rows]
    return About(units, common + between + rare, numbers)


def questions(shown: Projections, ledger: Ledger, of: About) -> Iterator[Question]:
    """Yield every kind of question."""

    async def worklist(chance: random.Random) -> int:
        return len((await shown.list_orders(unit=chance.choice(of.units), states=AT_WORK)).rows)

    async def worklist_page(chance: random.Random) -> int:
        after = volume.drawn_id(chance)
        return len((await shown.list_orders(unit=chance.choice(of.units), after=after)).rows)

    async def worklist_by_due(chance: random.Random) -> int:
        return len((await shown.orders_by_due(unit=chance.choice(of.units))).rows)

    async def duties(chance: random.Random) -> int:
        return len((await shown.duties(chance.choice(of.units))).rows)

    async def duties_page(chance: random.Random) -> int:
        unit = chance.choice(["", chance.choice(of.units)])
        after = (await shown.duties(unit, limit=chance.randrange(1, 50))).rows
        return len((await shown.duties(unit, after=after[-1] if after else None)).rows)

    async def overdue(chance: random.Random) -> int:
        return len((await shown.overdue(NOW - timedelta(hours=chance.randrange(24 * 28)))).rows)

    async def overdue_orders(chance: random.Random) -> int:
        return len((await shown.list_orders(overdue=NOW - timedelta(hours=chance.randrange(24 * 28)))).rows)

    async def overdue_of_unit(chance: random.Random) -> int:
        return len((await shown.list_orders(overdue=NOW, unit=chance.choice(of.units))).rows)

    async def month(chance: random.Random, by: str) -> int:
        first = (volume.BEGIN + timedelta(days=31 * chance.randrange(20))).replace(day=1)
        last = (first + timedelta(days=31)).replace(day=1)
        return len((await shown.indicators(first, last, by=by)).rows)

    async def search(chance: random.Random) -> int:
        return len((await shown.search(chance.choice(of.words))).rows)

    async def search_both(chance: random.Random) -> int:
        return len((await shown.search(f"{chance.choice(of.words)} {chance.choice(of.words)}")).rows)

    async def as_of(chance: random.Random) -> int:
        row = await shown.order_by_number(chance.choice(of.numbers))
        look = await ledger.look(row.stream)
        told = history(look.entries, as_at=row.registered_at + timedelta(days=chance.randrange(30)))
        state = fold(told)
        assert state is not None
        return len(clocks(state, look.law))

    yield Question("worklist of a unit: at work on", worklist)
    yield Question("worklist of a unit: some page of all", worklist_page)
    yield Question("worklist of a unit: next due first", worklist_by_due)
    yield Question("duties of a unit", duties)
    yield Question("duties of a unit or the hotline: two pages", duties_page)
    yield Question("overdue clocks of the city", overdue)
    yield Question("overdue orders of the city", overdue_orders)
    yield Question("overdue orders of a unit", overdue_of_unit)
    yield Question("indicators of a month by unit", lambda c: month(c, "unit"), GOAL_OF_INDICATORS)
    yield Question("indicators of a month, the city's", lambda c: month(c, ""), GOAL_OF_INDICATORS)
    yield Question("search: a word of two characters", search)
    yield Question("search: two such words", search_both)
    yield Question("one order as of an instant", as_of)


async def measured(question: Question, rounds: int, seed: int) -> Figure:
    """Return how long a kind of question waited."""
    chance = random.Random(seed)  # noqa: S311  what is asked is no secret
    waits, counts = list[float](), list[int]()
    for _ in range(rounds + 1):
        began = time.perf_counter()
        counts.append(await question.ask(chance))
        waits.append((time.perf_counter() - began) * 1000)
    cold, warm = waits[0], sorted(waits[1:])
    rows = sorted(counts)[len(counts) // 2]
    p50, p95 = warm[len(warm) // 2], warm[len(warm) * 95 // 100]
    return Figure(question.what, rounds, rows, cold, p50, p95, warm[-1], question.goal)


@contextlib.asynccontextmanager
async def opened(city: City) -> AsyncIterator[tuple[Projections, Ledger]]:
    """Open the tables and the ledger of a city."""
    async with Projections(city.database.app, city.name) as shown, await trial.open_city(city) as ledger:
        yield shown, ledger


async def measure(city: City, held: Standing, rounds: int, only: str) -> Found:
    """Ask every kind of question."""
    async with opened(city) as (shown, ledger):
        of = await about(shown, random.Random(1))  # noqa: S311  as above
        asked = [question for question in questions(shown, ledger, of) if only in question.what]
        figures = [await measured(question, rounds, seed=2) for question in asked]
    return Found(held.orders, held.events, held.megabytes, figures)


@click.command()
@click.option("--orders", default=1_000_000, show_default=True)
@click.option("--models", default=3000, show_default=True, help="cases that are really led.")
@click.option("--jobs", default=2, show_default=True, help="processes that fill the tables.")
@click.option("--rounds", default=200, show_default=True, help="questions of a kind.")
@click.option("--only", default="", help="only the kinds of question whose name has this.")
@click.option("--home", type=click.Path(file_okay=False, path_type=Path), help="keep the server and its city here.")
@click.option("--json", "as_json", is_flag=True)
def main(orders: int, models: int, jobs: int, rounds: int, only: str, home: Path | None, as_json: bool) -> None:
    """Ask a city of so many orders, and print how long each kind of question waited."""
    with standing(home, orders, models, jobs) as (city, held):
        found = asyncio.run(measure(city, held, rounds, only))
    if as_json:
        answer(found)
        return
    rows = [
        (f.question, f"{f.rows:,}", *(f"{ms:.1f}" for ms in (f.cold, f.p50, f.p95, f.most)), f"{f.goal:.0f}" + _mark(f))
        for f in found.figures
    ]
    title = f"{found.orders:,} orders, {found.events:,} events, {found.megabytes:,.0f} MB: milliseconds"
    trial.show(title, ("question", "rows", "cold", "p50", "p95", "most", "goal"), rows)


def _mark(figure: Figure) -> str:
    return " ✓" if figure.met else " ✗"


if __name__ == "__main__":
    main()
