"""How fast a city's old cases come in, are reconciled, leave as a file and come back.

    python -m scripts.bench.importing [--table FILE --mapping NAME] [--copies 1] [--jobs N] [--json]

Without --table: a quarter of Boston's requests, from the trial data. Each copy is the table once more under other old
numbers. Events are those of cases; a number given on paper is one more position each. What every row is asked is asked
here too: nothing is left out for being measured. An embedded PostgreSQL of its own, removed afterwards.
"""

from __future__ import annotations

import asyncio
import csv
import os
import resource
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from rich.table import Table

from domain.ledger import Ledger
from projections.answers import Projections
from scripts import embedded, importing, printing, transfer, wiring
from scripts.bench import trial
from scripts.lawbook import answer

CITY = "benched"
T = TypeVar("T")


class Figure(msgspec.Struct):
    """One step: how much of what in how many seconds, by the clock and of processors of ours."""

    what: str
    of: str
    count: int
    seconds: float
    processor: float

    @property
    def per_second(self) -> float:
        """How many a second, by the clock."""
        return self.count / self.seconds


def _processor() -> float:
    """Return the processor's seconds of this process and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


class Course:
    """The steps, one after the other, each measured."""

    def __init__(self, database: embedded.Database, table: Path, mapping: importing.Mapping, jobs: int | None) -> None:
        self.figures: list[Figure] = []
        self.summary = importing.Summary(file=str(table))
        self._database = database
        self._table = table
        self._mapping = mapping
        self._jobs = jobs

    async def run(self) -> None:
        """Take every step."""
        pack = wiring.completed("S0")
        await wiring.found_city(self._database, CITY, code="BO", name="波士顿", packs=[(pack, None)])
        async with await wiring.open_city(self._database, CITY) as ledger:
            self.summary = await self._measured("import", "events", self._import(ledger), lambda s: s.events)
            rows = self.summary.lines
            await self._measured("import again", "rows", self._import(ledger), lambda _: rows)
            reviewing = importing.review_table(ledger, self._table, self._mapping)
            await self._measured("reconcile", "rows", reviewing, lambda _: rows)
            positions = (await ledger.head())[0]
            await self._measured("verify", "positions", ledger.verify_all(), lambda _: positions)
        file = self._table.with_suffix(".jsonl")
        exporting = transfer.export_city(self._database.app, CITY, file)
        await self._measured("export", "positions", exporting, lambda _: positions)
        restoring = transfer.restore_city(self._database.owner, f"{CITY}2", file, wiring.read_keyring(CITY))
        await self._measured("restore", "positions", restoring, lambda _: positions)
        async with Projections(self._database.app, CITY) as shown:
            await self._measured("follow tables", "positions", shown.follow_until(), lambda _: positions)

    async def _import(self, ledger: Ledger) -> importing.Summary:
        rejects = self._table.with_suffix(".rejects")
        return await importing.import_table(
            ledger, self._table, self._mapping, assume=None, rejects=rejects, jobs=self._jobs
        )

    async def _measured(self, what: str, of: str, work: Coroutine[Any, Any, T], count: Callable[[T], int]) -> T:
        began, used = time.perf_counter(), _processor()
        done = await work
        self.figures.append(Figure(what, of, count(done), time.perf_counter() - began, _processor() - used))
        click.echo(f"{what}: {self.figures[-1].seconds:.1f} s", err=True)
        return done


def _copied(source: Path, target: Path, mapping: importing.Mapping, copies: int) -> None:
    """Write a table so many times over, each time under other old numbers."""
    with source.open(encoding=mapping.encoding, newline="") as file:
        rows = [*csv.DictReader(file, delimiter=mapping.delimiter)]
    with target.open("w", encoding=mapping.encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=mapping.delimiter)
        writer.writeheader()
        for copy in range(copies):
            writer.writerows(row | {mapping.key: f"{row[mapping.key]}{f'-{copy}' if copy else ''}"} for row in rows)


@click.command()
@click.option("--table", "source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--mapping", default="boston311", show_default=True)
@click.option("--copies", default=1, show_default=True)
@click.option("--jobs", type=int)
@click.option("--json", "as_json", is_flag=True)
def main(source: Path | None, mapping: str, copies: int, jobs: int | None, as_json: bool) -> None:
    """Measure each step and print them as a table."""
    read = importing.read_mapping(mapping)
    source = source or wiring.trial_data() / "boston311_2011q3.csv"
    if not source.is_file():
        raise click.UsageError(f"没有此表 no such table: {source}; 请用 use --table or HUIYIN_TRIAL_DATA")
    with trial.directory() as root:
        os.environ["HUIYIN_HOME"] = str(root / "home")  # where processes beside this one find the city too
        os.environ.pop("HUIYIN_DATABASE_URL", None)
        table = root / "table.csv"
        _copied(source, table, read, copies)
        try:
            course = Course(wiring.database(), table, read, jobs)
            asyncio.run(course.run())
        finally:
            embedded.stop(root / "home", at_once=True)
    if as_json:
        answer({"figures": [_told(one) for one in course.figures], "kept": course.summary.kept})
        return
    _print(course)


def _told(figure: Figure) -> dict[str, Any]:
    return {**msgspec.structs.asdict(figure), "per_second": figure.per_second}


def _print(course: Course) -> None:
    shown = Table(box=None, pad_edge=False)
    for number, name in enumerate(("", "", "count", "seconds", "a second", "processor s")):
        shown.add_column(name, justify="left" if number < 2 else "right")
    for one in course.figures:
        shown.add_row(
            one.what, one.of, f"{one.count:,}", f"{one.seconds:.1f}", f"{one.per_second:,.0f}", f"{one.processor:.1f}"
        )
    printing.console().print(shown)
    kept = course.summary.kept
    if kept is not None and kept.rate is not None:
        click.echo(f"promises: both agree on {kept.agreed:,} of {kept.compared:,} ({kept.rate:.2%})")


if __name__ == "__main__":
    main()
