"""Who would have been late under another rule, on two real files; and how many orders a second that takes a core.

    python -m scripts.bench.whatif [--by unit|class|clock] [--limit 15] [--rounds 3] [--json]

Boston's requests, had the city promised half the time that it did; and the messages of a mailbox, which come in under S0,
under SC-2025. Both files are trial data (HUIYIN_TRIAL_DATA). The candidate is tried as `huiyin whatif` tries it: every
case is read from its events, folded, and each of its clocks derived under both laws; nothing is written. A round counts seconds by the
clock and of this process's processor; that of the server, which reads meanwhile, is not in it. The best round is shown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from domain.policy import rules
from domain.terms import SHANGHAI
from projections.answers import Projections
from projections.past import Candidate, Tried
from scripts import embedded, importing, wiring
from scripts.bench import trial
from scripts.bench.trial import City
from scripts.lawbook import answer
from scripts.office import print_tried


class Trial(NamedTuple):
    """A file, and the candidate that is tried on its cases."""

    title: str
    file: str
    mapping: str
    seen_at: datetime  # the instant at which lateness is judged: after the file's end
    candidate: Candidate


class Outcome(msgspec.Struct, frozen=True):
    """What a trial came to. `seconds` by the clock, `processor` of this process."""

    title: str
    orders: int
    seconds: float
    processor: float
    tried: Tried

    @property
    def a_core(self) -> float:
        """Orders a second and core."""
        return self.orders / self.processor


def trials() -> Sequence[Trial]:
    """Return both trials."""
    halved = Candidate(promised=50)
    provincial = Candidate(rules=rules(wiring.completed("SC-2025")))
    return (
        Trial("Boston, half the time", "boston311_2011q3.csv", "boston311", _day(2012, 1), halved),
        Trial("mailbox, S0 → SC-2025", "mailbox_replies.csv", "mailbox_replies", _day(2020, 3), provincial),
    )


def _day(year: int, month: int) -> datetime:
    return datetime(year, month, 1, tzinfo=SHANGHAI)


async def brought_over(database: embedded.Database, one: Trial, rejects: Path) -> City:
    """Return a city of its own whose cases are those of a trial's file."""
    city = await trial.founded_city(database)
    async with await trial.open_city(city) as ledger:
        mapping = importing.read_mapping(one.mapping)
        await importing.import_table(ledger, wiring.trial_data() / one.file, mapping, assume="S0", rejects=rejects)
    return city


async def tried(city: City, one: Trial, rounds: int) -> Outcome:
    """Try a candidate so many times over; return the round that took this process least."""
    found: list[Outcome] = []
    async with Projections(city.database.app, city.name) as shown:
        for _ in range(rounds):
            began, used = time.perf_counter(), time.process_time()
            made = await shown.what_if(one.candidate, one.seen_at)
            seconds, processor = time.perf_counter() - began, time.process_time() - used
            found.append(Outcome(one.title, made.cases, seconds, processor, made))
    return min(found, key=lambda outcome: outcome.processor)


@click.command()
@click.option("--by", type=click.Choice(["clock", "class", "unit"]), default="unit", show_default=True)
@click.option("--limit", default=15, show_default=True, help="lines of a table.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(by: str, limit: int, rounds: int, as_json: bool) -> None:
    """Try both candidates and print who would have been late."""
    asked = trials()
    for one in asked:
        if not (wiring.trial_data() / one.file).is_file():
            raise click.UsageError(f"没有此文件 no such file: {wiring.trial_data() / one.file} (HUIYIN_TRIAL_DATA)")

    async def all_of(database: embedded.Database, folder: Path) -> list[Outcome]:
        cities = [await brought_over(database, one, folder / f"{one.mapping}.rejects") for one in asked]
        return [await tried(city, one, rounds) for city, one in zip(cities, asked, strict=True)]

    with trial.database() as database, trial.directory() as folder:
        outcomes = asyncio.run(all_of(database, folder))
    if as_json:
        answer([{**msgspec.structs.asdict(one), "a_core": one.a_core} for one in outcomes])
        return
    for one in outcomes:
        click.echo(f"\n{one.title}")
        print_tried(one.tried, by, limit, one.seconds)
    columns = ("trial", "orders", "seconds", "processor s", "orders/s", "orders/s a core")
    rows = [
        (
            one.title,
            f"{one.orders:,}",
            f"{one.seconds:.2f}",
            f"{one.processor:.2f}",
            f"{one.orders / one.seconds:,.0f}",
            f"{one.a_core:,.0f}",
        )
        for one in outcomes
    ]
    trial.show("what if", columns, rows)


if __name__ == "__main__":
    main()
