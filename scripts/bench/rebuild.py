"""How many events a second tables follow, and how many a second they are made again; beside the library and a bare COPY.

    python -m scripts.bench.rebuild [--events 1000000] [--models 3000] [--jobs 1,2] [--follow 300000] [--page 6000] [--json]

One run on one PostgreSQL (its own embedded one, removed afterwards; or the one HUIYIN_DATABASE_URL names, where a schema
`bench…` stays behind). The city is that of `scripts.bench.volume`. Every rate counts events of cases:

    a  the library    `ProjectionRunner` on a sample: one event a transaction (`scripts.bench.stock`)
    b  follow         from the first event in pages, as a worker does that begins with empty tables; at last every table,
                      with the rows that it wrote: those that came and those that went
    c  rebuild        from the first event by ranges of cases, with index, statistics and switch, in so many processes
    d  COPY           the events of cases in the order of their streams, into a file, as they are

Then where the time of one process goes, step by step over a few ranges; the most memory a process had; and, after the
last rebuild, how many rows differ from those of the one before, both ways.
"""

from __future__ import annotations

import contextlib
import gc
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import groupby
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import click
import msgspec
import psycopg
from psycopg import ClientCursor

from domain import order, recorder
from domain.kinds import KINDS
from domain.law import Law
from domain.stored import Codec
from projections import answers, clocks, engine, filling, orders
from projections.case import Case, Projection
from projections.engine import Engine
from projections.packing import packer
from projections.reading import copied, entry_from
from scripts import embedded
from scripts.bench import stock, trial, volume
from scripts.bench.trial import City
from scripts.lawbook import answer

SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
BOTH = (orders.PROJECTION, clocks.PROJECTION)
ALL = answers.PROJECTIONS
RANGES = 4
"""Ranges over which the steps of one process are told apart."""


class Figure(msgspec.Struct, frozen=True):
    """One measurement: events of cases, seconds, events a second."""

    what: str
    tables: str
    events: int
    seconds: float
    rate: float


class Found(msgspec.Struct, frozen=True):
    """Everything one run came to; the steps in microseconds an event, added one to the other."""

    events: int
    cases: int
    models: int
    refused: dict[str, int]
    figures: list[Figure]
    steps: dict[str, float]
    megabytes: dict[str, float]
    differences: dict[str, int]
    written: dict[str, float]  # rows that following wrote, an event of cases


def figure(what: str, tables: Sequence[Projection], events: int, seconds: float) -> Figure:
    """Return a measurement."""
    names = "all" if tables is ALL else "+".join(table.name for table in tables)
    return Figure(what, names, events, seconds, events / seconds)


# --- the ways ----------------------------------------------------------------------------------------------------


def bare_copy(city: City, events: int, file: Path) -> Figure:
    """Copy the events of cases into a file, in the order of their streams."""
    statement = recorder.statements(SQL, city.name)["copy_out"]
    with closing(filling.connect(city.database.app)) as connection, file.open("wb") as out:
        began = time.perf_counter()
        for row in copied(connection, statement):
            out.write(row)
        return figure("d COPY to a file", (), events, time.perf_counter() - began)


async def followed(city: City, tables: Sequence[Projection], events: int, share: float, page: int) -> Figure:
    """Follow from the first event until so many positions are taken in; `share` of them are events of cases."""
    async with Engine(city.database.app, city.name, tables, page=page) as one:
        began, upto = time.perf_counter(), 0
        while upto < events:
            now = await one.follow_once()
            upto = now.position
            if now.position >= now.head:
                break
        seconds = time.perf_counter() - began
    return figure("b follow", tables, round(upto * share), seconds)


def weigh(megabytes: dict[str, float]) -> None:
    """Note the most memory that this process and those of the rebuild had so far."""
    for what, pids in {
        "this process": ["self"],
        "a process of the rebuild": [str(p.pid) for p in active_children()],
    }.items():
        for pid in pids:
            with contextlib.suppress(OSError):  # it has just ended
                said = Path(f"/proc/{pid}/status").read_text()
                most = re.search(r"VmHWM:\s+(\d+)", said)
                megabytes[what] = max(megabytes.get(what, 0.0), int(most[1]) / 1024 if most else 0.0)


async def made_again(city: City, jobs: int, events: int, megabytes: dict[str, float]) -> tuple[Figure, dict[str, int]]:
    """Make both tables again; return also which version of each that was."""
    async with Engine(city.database.app, city.name, BOTH) as one:
        began = time.perf_counter()
        made = await one.rebuild(jobs=jobs, progress=lambda *_: weigh(megabytes))
        seconds = time.perf_counter() - began
    return figure(f"c rebuild, jobs {jobs}", BOTH, events, seconds), {table.name: table.version for table in made}


# --- where the time goes -----------------------------------------------------------------------------------------


def steps(city: City, law: Law, head: int) -> dict[str, float]:
    """Return what each step of making tables again adds in one process, in microseconds an event."""
    sql = engine.named(engine.SQL, city.name)
    statements = {name: sql[name].decode() for name in ("copy_range", "range_end")}
    task = filling.Task(city.database.app, statements, {}, head)
    codec, found = Codec(KINDS), dict[str, float]()
    with closing(filling.Ranges(task)) as ranges, closing(filling.connect(task.dsn)) as connection:
        spans = [span for span, _ in zip(ranges, range(RANGES), strict=False)]

        def rows() -> Iterator[bytes]:
            for first, last in spans:
                said = {"first": first, "last": last, "head": head}
                text = ClientCursor(connection).mogrify(statements["copy_range"].encode(), said)
                yield from copied(connection, text.encode())

        count, before = sum(1 for _ in rows()), 0.0
        gc.collect()
        gc.disable()
        for what, work in _steps(codec, law, rows):
            best = min(_timed(work) for _ in range(3)) / count * 1e6
            found[what], before = max(0.0, best - before), best
        gc.enable()
    return found


def _steps(codec: Codec, law: Law, rows: Callable[[], Iterator[bytes]]) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the work up to each step: what it adds is the difference to the one before."""

    def entries() -> Iterator[Any]:
        return (entry_from(codec, row) for row in rows())

    def streams() -> Iterator[Any]:
        return (list(own) for _, own in groupby(entries(), lambda entry: entry.stream))

    def cases() -> Iterator[Case]:
        return (Case(state, 0, law) for own in streams() if (state := order.fold(own)) is not None)

    def derived() -> list[list[Any]]:
        return [[row for table in BOTH for row in table.derive(case)] for case in cases()]

    def packed() -> None:
        found = list(cases())
        for table in BOTH:
            packer(table.row).pack([row for case in found for row in table.derive(case)])

    yield "read (server and driver)", lambda: sum(1 for _ in rows())
    yield "decode events", lambda: sum(1 for _ in streams())
    yield "fold", lambda: sum(1 for _ in cases())
    yield "clocks", lambda: sum(len(case.clocks) for case in cases())
    yield "rows of orders and clocks", derived
    yield "pack for COPY", packed


def _timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# --- side by side ------------------------------------------------------------------------------------------------


def written(city: City, events: int) -> dict[str, float]:
    """Return how many rows of each table were written an event; whoever wrote them has gone."""
    with psycopg.connect(city.database.app, autocommit=True) as connection:
        found = connection.execute(
            recorder.statements(SQL, city.name)["written"], [f"{city.name}_projections"]
        ).fetchall()
    return {name: rows / events for name, rows in found}


def measure(
    database: embedded.Database, events: int, models: int, jobs: Sequence[int], sample: int, follow: int, page: int
) -> Found:
    """Return what one run comes to."""
    city = trial.run(volume.founded(database))
    head, law, refused = trial.run(_made(city, events, models))
    with psycopg.connect(database.app, autocommit=True) as connection:
        said = recorder.statements(SQL, city.name)["count_cases"]
        count, cases = (connection.execute(said).fetchall())[0]
    trial.run(_opened(city))  # the library's tables take over the shape of the first ones
    figures = [figure("a the library", t, *stock.follow(city, law, t, sample)) for t in (BOTH[:1], BOTH)]
    forget(city)
    for tables in (BOTH[:1], BOTH):
        figures.append(trial.run(followed(city, tables, follow, count / head, page)))
        forget(city)
    figures.append(trial.run(followed(city, ALL, follow, count / head, page)))
    rows = written(city, figures[-1].events)
    forget(city)
    versions, megabytes = list[dict[str, int]](), dict[str, float]()
    for number in jobs:
        made, of = trial.run(made_again(city, number, count, megabytes))
        figures.append(made)
        versions.append(of)
    with trial.directory() as folder:
        figures.append(bare_copy(city, count, folder / "events"))
    differing = _differing(city, *versions[-2:]) if len(versions) > 1 else {}
    return Found(count, cases, models, refused, figures, steps(city, law, head), megabytes, differing, rows)


async def _made(city: City, events: int, models: int) -> tuple[int, Law, dict[str, int]]:
    async with await trial.open_city(city) as ledger:
        refused = await volume.lead(ledger, 1, models)
        imprint = ledger.imprint
        await volume.multiply(city.database.app, city.name, imprint, events)
        head, _ = await ledger.head()
        if findings := await ledger.verify_all():
            raise AssertionError(findings[:3])
        return head, await ledger.law(), dict(refused)


async def _opened(city: City) -> None:
    async with Engine(city.database.app, city.name, BOTH):
        return


def forget(city: City) -> None:
    """Drop the tables, so that the next one begins with none."""
    with psycopg.connect(city.database.app, autocommit=True) as connection:
        for statement in recorder.statements(SQL, city.name)["forget"].split(b";"):
            connection.execute(statement)


def _differing(city: City, before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Return how many rows two versions of each table have differently; nothing was written in between."""
    found: dict[str, int] = {}
    with psycopg.connect(city.database.app, autocommit=True) as connection:
        for table in BOTH:
            sql = engine.named(table.sql, city.name, after[table.name], before[table.name])
            found[table.name] = (connection.execute(sql["differences"]).fetchall())[0][0]
    return found


@click.command()
@click.option("--events", default=1_000_000, show_default=True, help="events beside those of the models.")
@click.option("--models", default=3000, show_default=True, help="cases that are really led.")
@click.option("--jobs", default="1,2", show_default=True, help="processes of the rebuilds, one after the other.")
@click.option("--sample", default=4000, show_default=True, help="events that the library follows.")
@click.option("--follow", default=300_000, show_default=True, help="positions that are followed.")
@click.option("--page", default=engine.PAGE, show_default=True, help="positions that are followed at once.")
@click.option("--json", "as_json", is_flag=True)
def main(events: int, models: int, jobs: str, sample: int, follow: int, page: int, as_json: bool) -> None:
    """Measure following and making again side by side."""
    with trial.database() as database:
        found = measure(database, events, models, [int(word) for word in jobs.split(",")], sample, follow, page)
    if as_json:
        answer(found)
        return
    library = {one.tables: one.rate for one in found.figures if one.what.startswith("a")}
    copy = next(one.rate for one in found.figures if one.what.startswith("d"))
    rows: list[tuple[str, ...]] = []
    for one in found.figures:
        times = f"{one.rate / library[one.tables]:.1f}" if one.tables in library else "—"
        shown = (f"{one.events:,}", f"{one.seconds:.1f}", f"{one.rate:,.0f}", times, f"{one.rate / copy:.2f}")
        rows.append((one.what, one.tables, *shown))
    columns = ("way", "tables", "events", "seconds", "events/s", "× library", "× COPY")
    trial.show(f"{found.events:,} events of {found.cases:,} cases", columns, rows)
    rows = [(name, f"{of:.2f}") for name, of in found.written.items()]
    trial.show("rows that following wrote", ("table", "an event"), rows)
    total = sum(found.steps.values())
    shares = [(what, f"{one:.2f}", f"{one / total:.0%}") for what, one in found.steps.items()]
    trial.show("one process, step by step", ("step", "µs an event", "share"), shares)
    trial.show("memory", ("most", "MB"), [(what, f"{one:.0f}") for what, one in found.megabytes.items()])
    trial.show("rows that differ", ("table", "rows"), [(name, str(rows)) for name, rows in found.differences.items()])


if __name__ == "__main__":
    main()
