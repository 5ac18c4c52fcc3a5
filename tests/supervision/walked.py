"""Plays a case script as the weeks go by: people give their commands, the timer does by itself what is due.

The lines that a script writes down of the timer (`system`) are left out. Instead a sweep looks at every full hour, before
whatever somebody does from then on; so what the script says of the timer can be asked of the timer itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from domain.law import Law
from domain.ledger import Ledger
from domain.refusals import Refusal
from domain.state import WorkOrder
from domain.terms import Entry, Role
from projections.answers import Projections
from scripts import wiring
from scripts.importing.cases import Line, Script
from supervision.sweep import Line as Told
from supervision.sweep import Manner, sweep
from tests.conftest import City
from tests.test_cases import lines, opened

HOUR = timedelta(hours=1)
SIMULATED = Manner(simulated=True)


class Walked(NamedTuple):
    """What a script came to."""

    city: City
    entries: list[Entry]
    orders: Mapping[str, WorkOrder]  # by their labels
    labels: Mapping[str, str]  # every label's stream
    law: Law
    told: list[tuple[datetime, Told]]  # what each sweep did
    refused: Mapping[int, str]  # lines by number: the code of the refusal


class Walk:
    """A city in which a script is being played."""

    def __init__(self, ledger: Ledger, shown: Projections, name: str, beside: list[Ledger]) -> None:
        self.ledger = ledger
        self.shown = shown
        self.script = Script(ledger, name)
        self.sweepers = (ledger, *beside)  # which look at the same time
        self.told: list[tuple[datetime, Told]] = []
        self.refused: dict[int, str] = {}
        self.behind = True  # whether the tables are

    async def look(self, when: datetime) -> None:
        """Sweep once, as of an instant, after the tables have caught up."""
        if self.behind:
            await self.shown.follow_until()
        told: list[Told] = []
        swept = await asyncio.gather(*(sweep(one, self.shown, when, SIMULATED, told.append) for one in self.sweepers))
        self.behind = any(one.total for one in swept)
        self.told += [(when, one) for one in told]

    async def give(self, number: int, line: Line) -> None:
        """Give a line's command; a refusal that the line does not name is raised."""
        self.behind = True
        try:
            await self.script.look_up(line)
            await self.script.carry_out(number, line)
        except Refusal as refusal:
            if line.refused is None:
                raise
            self.refused[number] = refusal.code()
        else:
            assert line.refused is None, f"line {number} was to be refused: {line.refused}"


@contextlib.asynccontextmanager
async def walk(city: City, name: str, *, workers: int = 1) -> AsyncIterator[Walk]:
    """Open the doors of a founded city: one for people and a worker, one each for further workers."""
    async with contextlib.AsyncExitStack() as doors:
        ledger, *beside = [await doors.enter_async_context(opened(city)) for _ in range(workers)]
        shown = await doors.enter_async_context(Projections(city.database.app, city.name))
        yield Walk(ledger, shown, name, beside)


def by_people(name: str) -> dict[int, Line]:
    """Return the lines of a script that somebody gives: all but the timer's."""
    return {number: line for number, line in lines(name).items() if line.by.role is not Role.SYSTEM}


async def play(
    here: Walk,
    name: str,
    *,
    since: datetime,
    until: datetime,
    down: Callable[[datetime], bool] = lambda _: False,
    meanwhile: Mapping[datetime, Callable[[Walk], Awaitable[None]]] | None = None,
) -> None:
    """Play a script, a sweep at every full hour from `since` to `until`, but where the timer is `down`.

    Lines are given in the order of their instants, whichever record they are about. `meanwhile` is what a test looks at: at its hour, after the sweep.
    """
    waiting = sorted(by_people(name).items(), key=lambda one: wiring.parse_instant(one[1].at))
    hour = since
    while hour <= until:
        while waiting and wiring.parse_instant(waiting[0][1].at) < hour:
            await here.give(*waiting.pop(0))
        if not down(hour):
            await here.look(hour)
        if meanwhile and hour in meanwhile:
            await meanwhile[hour](here)
        hour += HOUR
    for number, line in waiting:
        await here.give(number, line)


async def walked(here: Walk, city: City) -> Walked:
    """Return what a script came to."""
    await here.shown.follow_until()
    head, _ = await here.ledger.head()
    entries = await here.ledger.read(0, head)
    own = {
        label: stream
        for label, stream in here.script.labels.items()
        if stream.startswith("order:") and not label.startswith("order:")
    }
    orders = {label: await here.ledger.fold(stream) for label, stream in own.items()}
    law = await here.ledger.law()
    return Walked(city, entries, orders, here.script.labels, law, here.told, here.refused)
