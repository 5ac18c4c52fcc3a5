"""How many whole orders' clocks one core derives, and explains, a second; beside the bare arithmetic of their dues.

    python -m scripts.bench.clocks [--policy S1] [--orders 600] [--seconds 2] [--json]

The orders are a seeded simulated month, decided and folded by the real rules. The limit beside them is what the same
due instants cost when only the calendar is asked, without knowing which clocks there are.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import datetime

import click
import msgspec
from rich.table import Table

from domain.clocks import Clock, clocks
from domain.explanation import explain
from domain.law import Law
from domain.refusals import Refusal
from domain.state import WorkOrder
from domain.terms import SHANGHAI
from scripts import printing, simulate, wiring
from scripts.importing import cases as case_scripts
from scripts.lawbook import answer
from scripts.rehearsal import Rehearsal


class Figure(msgspec.Struct):
    """One measurement: whole orders a second, the median, least and most of its turns."""

    what: str
    per_second: float
    least: float
    most: float


def cases(policy: str, orders: int) -> tuple[Law, list[WorkOrder]]:
    """Return a simulated month's orders under a policy, and the law they are read with."""
    parents = ("SC-2025",) if policy.upper().startswith("S1") else ()
    packs = [wiring.completed(policy, parents), *(wiring.read_pack(overlay) for overlay in wiring.OVERLAYS)]
    city = Rehearsal(datetime(2026, 7, 1, tzinfo=SHANGHAI))
    city.found(packs)

    async def play() -> None:
        script = case_scripts.Script(city, "bench")
        for number, line in enumerate(simulate.month(orders=orders), 1):
            try:
                await script.carry_out(number, msgspec.convert(line, case_scripts.Line))
            except Refusal:
                continue  # a guard of another text than the one simulated: the case stays where it is

    asyncio.run(play())
    streams = [stream for stream in city.histories if stream.startswith("order:")]
    return city.law, [city.state(stream) for stream in streams]


def rate(work: Callable[[], None], count: int, seconds: float) -> Sequence[float]:
    """Return how many orders a second each of the turns came to; collection waits until a turn is over."""
    work()
    turns: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(turns) < 5:
        gc.collect()
        gc.disable()
        begun = time.process_time()
        work()
        turns.append(count / (time.process_time() - begun))
        gc.enable()
    return turns


@click.command()
@click.option("--policy", default="S0", show_default=True)
@click.option("--orders", default=600, show_default=True)
@click.option("--seconds", default=2.0, show_default=True, help="how long each figure is measured.")
@click.option("--json", "as_json", is_flag=True)
def main(policy: str, orders: int, seconds: float, as_json: bool) -> None:
    """Measure the derivation and the explanation of whole orders' clocks, in processor seconds of one core."""
    law, found = cases(policy, orders)
    all_clocks = [clocks(order, law) for order in found]
    flat: list[Clock] = [clock for one in all_clocks for clock in one]
    asked = [(c.start.at, c.limit, law.calendar((c.stop or c.cancel or c.start).at)) for c in flat if c.limit]

    def derive() -> None:
        for order in found:
            clocks(order, law)

    def tell() -> None:
        for order in found:
            for clock in clocks(order, law):
                explain(clock, law)

    def arithmetic() -> None:
        for start, limit, calendar in asked:
            calendar.due(start, limit)

    figures = [
        _figure("derived", rate(derive, len(found), seconds)),
        _figure("derived and explained", rate(tell, len(found), seconds)),
        _figure("limit: the dues alone", rate(arithmetic, len(found), seconds)),
    ]
    each = len(flat) / len(found)
    if as_json:
        answer({"policy": policy, "orders": len(found), "clocks_per_order": each, "figures": figures})
        return
    table = Table(title=f"{len(found)} orders under {policy}, {each:.1f} clocks each", title_justify="left", box=None)
    for column in ("whole orders a second", "median", "least", "most", "of the limit"):
        table.add_column(column, justify="left" if column.startswith("whole") else "right")
    for figure in figures:
        share = figure.per_second / figures[-1].per_second
        table.add_row(
            figure.what, f"{figure.per_second:,.0f}", f"{figure.least:,.0f}", f"{figure.most:,.0f}", f"{share:.2f}"
        )
    printing.console().print(table)


def _figure(what: str, turns: Sequence[float]) -> Figure:
    return Figure(what, statistics.median(turns), min(turns), max(turns))


if __name__ == "__main__":
    main()
