"""How many orders a second an audit takes of a core, over a simulated city: all of it, and each of its parts.

    python -m scripts.bench.audit [--events 200000] [--models 300] [--jobs 1,2] [--json]

Model cases are led through commands under S0 and copied with other ids until there are so many events; every one is then
audited as `huiyin audit` audits it. A core's figure counts seconds of the processors that this program's processes used;
the server's, which reads meanwhile, are not in it. The parts are measured on what is in memory, one upon the other.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any, NamedTuple

import click
import msgspec

from domain import order
from domain.clocks import clocks
from domain.kinds import KINDS
from domain.law import Law
from domain.stored import Codec
from domain.terms import SHANGHAI, Entry
from projections import filling, past
from projections.answers import Projections
from projections.filling import Task
from scripts import embedded
from scripts.bench import trial, volume
from scripts.bench.trial import City
from scripts.lawbook import answer
from supervision.audit import AFTER_CASES, CASES, Question, audited
from supervision.findings import findings

GOAL = 10_000
"""Orders a second and core that the house expects of itself."""

SEEN_AT = datetime(2026, 1, 1, tzinfo=SHANGHAI)
SAMPLE = 20_000  # cases held in memory for the parts


class Audited(msgspec.Struct, frozen=True):
    """What one audit came to. `processor`: seconds of this program's processes; `seconds` by the clock."""

    jobs: int
    orders: int
    events: int
    findings: int
    seconds: float
    processor: float

    @property
    def a_core(self) -> float:
        """Orders a second and core."""
        return self.orders / self.processor


class Step(NamedTuple):
    """What one part takes, in microseconds an order."""

    what: str
    microseconds: float


async def _made(city: City, events: int, models: int) -> tuple[int, Law, Task]:
    async with await trial.open_city(city) as ledger:
        await volume.lead(ledger, 1, models)
        await volume.multiply(city.database.app, city.name, ledger.imprint, events)
    async with Projections(city.database.app, city.name) as shown:
        return await shown.of_all_cases()


def _used() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def gone_through(task: Task, law: Law, jobs: int) -> Audited:
    """Audit every case once."""
    began, used = time.perf_counter(), _used()
    cases = events = found = 0
    for part in audited(task, law, Question(SEEN_AT), jobs):
        cases, events, found = cases + part.cases, events + part.events, found + len(part.findings)
    return Audited(jobs, cases, events, found, time.perf_counter() - began, _used() - used)


def steps(task: Task, law: Law) -> list[Step]:
    """Return what reading, decoding, folding, clocks and the audit itself take, each without the ones before."""
    codec = Codec(KINDS)
    with closing(filling.connect(task.dsn)) as reading:
        span = (CASES, AFTER_CASES)
        began = time.process_time()
        held: list[list[Entry]] = []
        for entries in filling.histories(task, codec, reading, *span):
            held.append(entries)
            if len(held) == SAMPLE:
                break
        read = time.process_time() - began
    folded = [state for entries in held if (state := order.fold(entries)) is not None]
    gc.freeze()
    parts: Sequence[tuple[str, Callable[[], Any]]] = (
        ("fold", lambda: [order.fold(entries) for entries in held]),
        ("clocks", lambda: [clocks(state, law) for state in folded]),
        ("the whole pure part: fold, checks, clocks, findings", lambda: [findings(e, law, SEEN_AT) for e in held]),
    )
    return [Step("read and decode", read / len(held) * 1e6)] + [
        Step(what, min(_timed(work) for _ in range(3)) / len(held) * 1e6) for what, work in parts
    ]


def _timed(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def measure(database: embedded.Database, events: int, models: int, jobs: Sequence[int]) -> dict[str, Any]:
    """Return what one run comes to."""
    city = trial.run(volume.founded(database))
    _, law, task = trial.run(_made(city, events, models))
    next(past.histories(task, Codec(KINDS)))  # the server has looked once
    return {"audits": [gone_through(task, law, number) for number in jobs], "steps": steps(task, law)}


@click.command()
@click.option("--events", default=200_000, show_default=True)
@click.option("--models", default=300, show_default=True)
@click.option("--jobs", default="1,2", show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(events: int, models: int, jobs: str, as_json: bool) -> None:
    """Audit a simulated city and print what it takes."""
    with trial.database() as database:
        found = measure(database, events, models, [int(number) for number in jobs.split(",")])
    if as_json:
        said = [{**msgspec.structs.asdict(one), "a_core": one.a_core} for one in found["audits"]]
        answer({"audits": said, "steps": [step._asdict() for step in found["steps"]], "goal": GOAL})
        return
    rows = [
        (
            f"{one.jobs}",
            f"{one.orders:,}",
            f"{one.events:,}",
            f"{one.findings:,}",
            f"{one.seconds:.1f}",
            f"{one.orders / one.seconds:,.0f}",
            f"{one.a_core:,.0f}",
            "✓" if one.a_core >= GOAL else f"< {GOAL:,}",
        )
        for one in found["audits"]
    ]
    columns = ("processes", "orders", "events", "findings", "seconds", "orders/s", "orders/s a core", "goal")
    trial.show("audit", columns, rows)
    trial.show("parts", ("part", "µs an order"), [(s.what, f"{s.microseconds:.1f}") for s in found["steps"]])


if __name__ == "__main__":
    main()
