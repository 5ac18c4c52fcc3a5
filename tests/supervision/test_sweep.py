"""巡检: one sweep over a city in PostgreSQL; run twice, by two at once, late, killed in the middle, and only to look."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.clocks import clocks
from domain.ledger import Ledger, Receipt
from domain.refusals import Busy, Unavailable
from domain.state import WorkOrder
from domain.steps.answering import ApplicantInformed
from domain.steps.linking import ApplicantUrged, OrdersMerged
from domain.steps.oversight import SupervisionNoticeIssued
from domain.terms import ClockName, InformAbout, Medium, OrderState
from projections.answers import Projections
from supervision.rules import TIMER, plan
from supervision.sweep import BROKEN, Line, Manner, Outcome, Swept, sweep
from tests.conftest import City
from tests.given import at
from tests.test_projections import (
    EVALUATED,
    INFORMED,
    LATER_KINDS,
    NUMBER,
    REPLIED,
    SIGNED,
    World,
    a_history,
    dispatched,
    order_id,
    registered,
    stream,
    world,
)

CHECKOUT = Path(__file__).resolve().parent.parent.parent
S0, S1, S2, S4 = "S0-CHUANYU", EVALUATED, "S2-CHONGQING-MPT", "S4-BEIJING"
SIMULATED = Manner(simulated=True)


async def simulated(here: World, p: Projections, when: str | datetime, **said: Any) -> tuple[Swept, list[Line]]:
    """A sweep at an instant of a simulated city, after the tables have caught up."""
    await p.follow_until()
    lines: list[Line] = []
    swept = await sweep(here.ledger, p, at(when), SIMULATED._replace(**said), lines.append)
    return swept, lines


async def live(here: World, p: Projections, **said: Any) -> Swept:
    await p.follow_until()
    return await sweep(here.ledger, p, await here.ledger.now(), Manner(**said))


async def case(here: World, number: int, pack: str, lead: str = "D", since: str = "2025-06-16 09:00") -> None:
    await here.record(stream(number), since, registered(pack), NUMBER)
    await here.record(stream(number), at(since) + timedelta(hours=1), dispatched(lead))


async def order(here: World, number: int) -> WorkOrder:
    return await here.ledger.fold(stream(number))


async def issued(here: World) -> Counter[tuple[Any, ...]]:
    """How often each notice was issued."""
    head, _ = await here.ledger.head()
    told: Counter[tuple[Any, ...]] = Counter()
    for entry in await here.ledger.read(0, head):
        if isinstance(entry.event, SupervisionNoticeIssued):
            n = entry.event
            told[entry.stream, n.kind, n.clock, n.clock_key, n.reminder] += 1
    return told


# --- a month under each text -------------------------------------------------------------------------------------

LADDERS = {
    S0: [
        ("06-17 09:00", "reminder", "transfer", "closed"),
        ("06-18 06:00", "system", "transfer", "served"),
        ("07-03 00:00", "reminder", "handle", "closed"),
        ("07-05 00:00", "reminder", "handle", "closed"),
        ("07-07 09:00", "reminder", "handle", "closed"),
        ("07-08 06:00", "system", "handle", "served"),
        ("07-09 09:00", "reminder", "supv_reply", "closed"),
    ],
    S1: [
        ("06-17 09:00", "reminder", "sign", "closed"),
        ("06-18 06:00", "system", "sign", "served"),
        ("06-21 00:00", "reminder", "handle", "closed"),
        ("06-25 00:00", "reminder", "handle", "closed"),
        ("06-25 09:00", "reminder", "handle", "closed"),
        ("06-26 06:00", "system", "handle", "served"),
        ("06-27 09:00", "reminder", "supv_reply", "closed"),
    ],
    S2: [
        ("06-21 00:00", "reminder", "handle", "closed"),
        ("06-25 00:00", "reminder", "handle", "closed"),
        ("06-25 09:00", "reminder", "handle", "closed"),
    ],
    S4: [
        ("06-17 06:00", "reminder", "sign", "closed"),
        ("06-17 12:00", "system", "sign", "served"),
        ("06-19 00:00", "reminder", "handle", "closed"),
        ("06-21 00:00", "reminder", "handle", "closed"),
        ("06-23 09:00", "reminder", "handle", "closed"),
        ("06-24 06:00", "system", "handle", "served"),
        ("06-25 09:00", "reminder", "supv_reply", "closed"),
    ],
}


@pytest.mark.parametrize("pack", LADDERS)
async def test_a_case_that_nobody_touches_climbs_its_packs_ladder(city: City, pack: str):
    async with world(city, pack) as here, here.projections() as p:
        await case(here, 1, pack)
        for day in range(34):
            for hour in (12, 18, 24, 30, 33):
                await simulated(here, p, at("2025-06-16 00:00") + timedelta(days=day, hours=hour))
        notices = (await order(here, 1)).oversight.notices
        assert [(f"{n.issued.at:%m-%d %H:%M}", n.kind, n.clock, n.state) for n in notices] == LADDERS[pack]
        assert {n.issued_by for n in notices} == {TIMER.user}
        assert len({(n.kind, n.number) for n in notices}) == len(notices)


async def test_what_only_people_may_do_is_told_and_not_done(city: City):
    async with world(city, S0, S2) as here, here.projections() as p:
        await case(here, 1, S2)
        await case(here, 2, S0)
        await simulated(here, p, "2025-07-08 08:00")
        swept, lines = await simulated(here, p, "2025-07-20 08:00", left=True)
        assert swept.left == {"issue_notice:written": 1, "escalate_notice:written": 1}
        assert {(line.order_id, line.outcome, line.by) for line in lines} == {
            (order_id(1), Outcome.LEFT, ("supervisor",)),
            (order_id(2), Outcome.LEFT, ("supervisor",)),
        }
        assert (await order(here, 1)).oversight.notices == ()


# --- twice, late, only to look -----------------------------------------------------------------------------------


async def test_a_second_sweep_has_nothing_to_do_even_where_the_tables_have_not_followed(city: City):
    async with world(city) as here, here.projections() as p:
        for number in range(1, 6):
            await case(here, number, S0)
        first = await live(here, p)
        assert first.done == {"issue_notice:system": 10}
        head = await here.ledger.head()
        again = await sweep(here.ledger, p, await here.ledger.now())
        assert (again.total, again.looked, again.idle) == (0, 5, 5)
        second = await live(here, p)
        assert (second.total, second.looked) == (0, 0)
        assert await here.ledger.head() == head


async def test_looking_only_writes_nothing_and_says_what_a_sweep_then_does(city: City):
    async with world(city) as here, here.projections() as p:
        for number in range(1, 4):
            await case(here, number, S0)
        head = await here.ledger.head()
        would, foreseen = await simulated(here, p, "2025-07-07 10:00", dry_run=True)
        assert await here.ledger.head() == head
        assert {line.outcome for line in foreseen} == {Outcome.WOULD}
        done, lines = await simulated(here, p, "2025-07-07 10:00")
        assert would.done == done.done == {"issue_notice:system": 3, "issue_notice:reminder": 3}
        told = [(line.order_id, line.what, line.clock, line.due, line.since) for line in lines]
        assert sorted(told) == sorted((one.order_id, one.what, one.clock, one.due, one.since) for one in foreseen)


async def test_after_three_days_of_absence_the_current_step_is_taken_with_the_full_time_to_reply(city: City):
    """TRANSFER ends 06-17 24:00 (a reminder 06-17 09:00), silence is deemed after 06-23 24:00; nobody looks until 06-27."""
    async with world(city, S0, S1) as here, here.projections() as p:
        await case(here, 1, S0)
        await here.record(stream(2), "2025-06-13 09:00", registered(S1), NUMBER)
        for hours, fact in enumerate((dispatched(), SIGNED, REPLIED, INFORMED)):
            await here.record(stream(2), at("2025-06-16 09:00") + timedelta(hours=hours), fact)
        await simulated(here, p, "2025-06-17 08:00")
        swept, _ = await simulated(here, p, "2025-06-27 08:00")
        assert swept.done == {"issue_notice:system": 1, "deem": 1}
        (notice,) = (await order(here, 1)).oversight.notices
        assert (notice.kind, notice.clock, notice.served) == ("system", "transfer", notice.issued)
        deemed = await order(here, 2)
        assert deemed.state is OrderState.ARCHIVED
        assert deemed.quality.evaluations[0].at.at == at("2025-06-24 00:00")
        late, _ = await simulated(here, p, "2025-07-11 08:00")
        assert late.done == {"issue_notice:system": 1}
        law = await here.ledger.law()
        reply = next(c for c in clocks(await order(here, 1), law) if c.name is ClockName.SUPV_REPLY)
        assert (reply.start.at, reply.due) == (at("2025-07-11 08:00"), at("2025-07-15 00:00"))


async def test_whether_a_scheduler_never_slept_or_slept_for_days_breaches_and_deemings_are_the_same(
    city: City, other_city: City
):
    ends: list[list[Any]] = []
    for one, hours in ((city, 6), (other_city, 60)):
        async with world(one, S0, S1) as here, here.projections() as p:
            for number in range(1, 4):
                await case(here, number, S0)
            for number in range(4, 7):
                await here.record(stream(number), "2025-06-13 09:00", registered(S1), NUMBER)
                for later, fact in enumerate((dispatched(), SIGNED, REPLIED, INFORMED)):
                    await here.record(stream(number), at("2025-06-16 09:00") + timedelta(hours=later), fact)
            when = at("2025-06-16 18:00")
            while when <= at("2025-07-19 06:00"):
                await simulated(here, p, when)
                when += timedelta(hours=hours)
            law = await here.ledger.law()
            found = [await order(here, number) for number in range(1, 7)]
            own = [[c for c in clocks(o, law) if c.name not in (ClockName.SUPV_REPLY, ClockName.SEAL)] for o in found]
            ends.append(
                [
                    [[(c.name, c.key, c.due, c.breached(at("2025-07-19 06:00"))) for c in of] for of in own],
                    [[(n.kind, n.clock) for n in o.oversight.notices if n.kind == "system"] for o in found],
                    [[(e.source, e.at.at) for e in o.quality.evaluations] for o in found],
                    [o.state for o in found],
                ]
            )
            await p.follow_until()
            told = await p.indicators(at("2025-06-01 00:00"), at("2025-07-19 00:00"), by="unit")
            ends[-1].append({(f.code, f.part): (f.above, f.below) for f in told.rows})
    differing = {key for key in ends[0][-1] | ends[1][-1] if ends[0][-1].get(key) != ends[1][-1].get(key)}
    assert differing == set()
    assert sum(1 for _, below in ends[0][-1].values() if below) > 5, "figures of something"
    assert ends[0] == ends[1]


ASLEEP = (at("2025-06-25 06:00"), at("2025-06-27 06:00"))
"""Two days in which nobody sweeps: on 06-25 at 24:00 all that follows falls due."""

FALLS_DUE = {
    1: "transfer",  # S0, dispatched the day before: one working day
    2: "handle",  # S1, seven working days
    3: "handle",  # S4, seven natural days
}


async def two_days(here: World, p: Projections, *, asleep: bool) -> list[tuple[datetime, Line]]:
    """Cases that all come to something in the same two days, swept every hour, or not in those days."""
    await case(here, 1, S0, since="2025-06-24 09:00")
    await case(here, 2, S1)
    await case(here, 3, S4, since="2025-06-18 09:00")
    for number, pack in ((4, S1), (5, S0)):  # answered: silence is deemed, and what nobody evaluates is closed
        await here.record(stream(number), "2025-06-17 09:00", registered(pack), NUMBER)
        for hours, fact in enumerate((dispatched(), SIGNED, REPLIED, INFORMED)):
            await here.record(stream(number), at("2025-06-18 09:00") + timedelta(hours=hours), fact)
    told: list[tuple[datetime, Line]] = []
    when = at("2025-06-24 11:00")
    while when <= at("2025-07-02 12:00"):
        if not (asleep and ASLEEP[0] <= when < ASLEEP[1]):
            _, lines = await simulated(here, p, when)
            told += [(when, line) for line in lines if line.outcome is Outcome.DONE]
        when += timedelta(hours=1)
    return told


async def test_down_for_two_days_and_up_again_all_is_as_if_it_never_stopped_and_notices_are_the_current_ones(
    city: City, other_city: City
):
    law_says: list[Any] = []
    did: list[list[tuple[datetime, Line]]] = []
    for one, asleep in ((city, False), (other_city, True)):
        async with world(one, S0, S1, S4) as here, here.projections() as p:
            did.append(await two_days(here, p, asleep=asleep))
            law, end = await here.ledger.law(), at("2025-07-02 12:00")
            found = [await order(here, number) for number in range(1, 6)]
            own = [[c for c in clocks(o, law) if c.name not in (ClockName.SUPV_REPLY, ClockName.SEAL)] for o in found]
            figures = await p.indicators(at("2025-06-01 00:00"), at("2025-07-01 00:00"), by="unit")
            law_says.append(
                {
                    "breaches": [[(c.name, c.key, c.due, c.breached(end)) for c in of] for of in own],
                    "deemed": [[(e.source, e.result, e.at.at) for e in o.quality.evaluations] for o in found],
                    "states": [(o.state, o.filing.kind) for o in found],
                    "supervised": [
                        [(n.kind, n.clock) for n in o.oversight.notices if n.kind == "system"] for o in found
                    ],
                    "figures": {(f.code, f.part): (f.above, f.below) for f in figures.rows},
                }
            )
            assert set((await issued(here)).values()) == {1}, "each notice once"
            if asleep:
                reply = [c for o in found[1:3] for c in clocks(o, law) if c.name is ClockName.SUPV_REPLY]
                assert [(c.start.at, c.due) for c in reply] == [(ASLEEP[1], at("2025-07-01 00:00"))] * 2  # Monday's end
    assert law_says[0] == law_says[1]
    assert law_says[0]["deemed"][3] == [("deemed", "basically_satisfied", at("2025-06-26 00:00"))]
    assert [breached for of in law_says[0]["breaches"] for *_, breached in of].count(True) == 5
    assert sum(1 for _, below in law_says[0]["figures"].values() if below) > 5, "figures of something"
    never, slept = ([(when, line) for when, line in told if line.since] for told in did)
    woke = sorted((line.order_id, line.what, line.clock) for when, line in slept if when == ASLEEP[1])
    assert woke == sorted(
        [
            *((order_id(number), "issue_notice:system", clock) for number, clock in FALLS_DUE.items()),
            (order_id(4), "deem", "eval_window"),
            (order_id(5), "close_after", "close_after"),
        ]
    )
    missed = {line.order_id for when, line in never if ASLEEP[0] <= when < ASLEEP[1] and "reminder" in line.what}
    assert missed >= {order_id(number) for number in FALLS_DUE}  # which nobody makes up: their moment passed


# --- at once, killed ---------------------------------------------------------------------------------------------


async def opened(city: City) -> Ledger:
    return await Ledger.open(
        city.database.app, city.name, kinds=LATER_KINDS, keyring=city.keyring, entropy=secrets.token_bytes
    )


@pytest.fixture(params=["city", "city_15"])
def either(request: pytest.FixtureRequest) -> City:
    """A fresh ledger in the embedded PostgreSQL, and in Debian's."""
    return request.getfixturevalue(request.param)


async def test_sweeps_at_once_issue_each_notice_exactly_once(either: City):
    city = either
    async with world(city) as here, here.projections() as p, await opened(city) as second, await opened(city) as third:
        for number in range(1, 41):
            await case(here, number, S0)
        await p.follow_until()
        now = await here.ledger.now()
        swept = await asyncio.gather(*(sweep(one, p, now) for one in (here.ledger, second, third)))
        told = await issued(here)
        assert len(told) == 80
        assert set(told.values()) == {1}
        assert sum(one.total for one in swept) == 80
        papers: dict[str, list[int]] = {}
        for number in range(1, 41):
            for notice in (await order(here, number)).oversight.notices:
                papers.setdefault(notice.kind, []).append(int(notice.number.rpartition("-")[2]))
        for numbers in papers.values():
            assert sorted(numbers) == list(range(1, len(numbers) + 1)), "no number twice, none left out"
        assert (await live(here, p)).total == 0
        assert await here.ledger.verify_all() == []


SWEEPER = """
import asyncio, secrets, sys
from domain.ledger import Ledger
from domain.kinds import KINDS
from domain.sealing import Keyring
from projections.answers import Projections
from supervision.sweep import Manner, sweep

async def main(dsn, city, master):
    keyring = Keyring(bytes.fromhex(master))
    async with await Ledger.open(dsn, city, kinds=KINDS, keyring=keyring, entropy=secrets.token_bytes) as ledger:
        async with Projections(dsn, city) as shown:
            print("ready", flush=True)
            await sweep(ledger, shown, await ledger.now(), Manner(at_once=1))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_sweep_that_is_killed_is_finished_by_the_next_one(city: City):
    async with world(city) as here, here.projections() as p:
        for number in range(1, 61):
            await case(here, number, S0)
        await p.follow_until()
        before, _ = await here.ledger.head()
        arguments = (sys.executable, "-c", SWEEPER, city.database.app, city.name, city.keyring.master.hex())
        process = await asyncio.create_subprocess_exec(
            *arguments, cwd=CHECKOUT, env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, stdout=subprocess.PIPE
        )
        while (await here.ledger.head())[0] < before + 10:
            assert process.returncode is None
            await asyncio.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        done = await issued(here)
        assert 0 < len(done) < 120
        rest = await live(here, p)
        told = await issued(here)
        assert rest.total == 120 - len(done)
        assert (len(told), set(told.values())) == (120, {1})
        assert (await live(here, p)).total == 0


class Meddler:
    """A ledger in which somebody is faster: before the first command of each order, something happens to it."""

    def __init__(self, here: World, meddle: Callable[[str], Any]) -> None:
        self._here = here
        self._meddle = meddle
        self._met: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._here.ledger, name)

    async def execute(self, command: Any, *, stream: str, **said: Any) -> Receipt:
        await self._before(stream)
        return await self._here.ledger.execute(command, stream=stream, **said)

    async def foresee(self, given: Any, views: Any) -> Any:
        for name in views:
            await self._before(name)
        return await self._here.ledger.foresee(given, views)

    async def _before(self, name: str) -> None:
        if name not in self._met:
            self._met.add(name)
            await self._meddle(name)


async def test_what_happened_between_looking_and_acting_is_looked_at_again(city: City):
    async with world(city, S4) as here, here.projections() as p:
        for number in range(1, 4):
            await here.record(stream(number), "2025-06-16 09:00", registered(S4), dispatched(), NUMBER)
        await p.follow_until()

        async def sign(name: str) -> None:
            await here.record(name, "2025-06-17 11:00", SIGNED)

        lines: list[Line] = []
        meddled: Any = Meddler(here, sign)
        swept = await sweep(meddled, p, at("2025-06-17 12:00"), SIMULATED, lines.append)
        assert (swept.total, swept.refused) == (0, Counter())
        assert await issued(here) == Counter()

        async def urge(name: str) -> None:
            await here.record(name, "2025-06-24 07:00", ApplicantUrged())

        await p.follow_until()
        harmless: Any = Meddler(here, urge)
        swept = await sweep(harmless, p, at("2025-06-24 08:00"), SIMULATED)
        assert swept.done == {"issue_notice:system": 3}
        assert set((await issued(here)).values()) == {1}


# --- refusals and errors -----------------------------------------------------------------------------------------


async def test_what_is_refused_is_counted_and_keeps_nothing_else_from_being_done(city: City):
    async with world(city, S0) as here, here.projections() as p:
        await case(here, 1, S0)
        await here.record(stream(2), "2025-06-16 09:00", registered(S0), dispatched("NOBODY"), NUMBER)
        swept, lines = await simulated(here, p, "2025-06-18 08:00")
        assert swept.done == {"issue_notice:system": 1}
        assert swept.refused == {"unknown-unit": 1}
        (told,) = [line for line in lines if line.outcome is Outcome.REFUSED]
        assert (told.order_id, told.unit, told.refusal) == (order_id(2), "NOBODY", "unknown-unit")
        assert told.sentence


async def test_a_case_that_cannot_be_read_keeps_no_other_from_being_swept(
    city: City, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    async with world(city, S0) as here, here.projections() as p:
        for number in (1, 2, 3):
            await case(here, number, S0)
        await p.follow_until()
        proposer: Any = here.ledger._proposer
        fold = proposer.fold

        def broken(name: str, entries: Any) -> Any:
            if name == stream(2):
                raise KeyError(name)
            return fold(name, entries)

        monkeypatch.setattr(proposer, "fold", broken)
        swept = await sweep(here.ledger, p, at("2025-06-18 08:00"), SIMULATED)
        assert (swept.total, swept.refused) == (2, {BROKEN: 1})
        assert str(order_id(2)) in caplog.text


@pytest.mark.parametrize("kind", [Busy, Unavailable])
async def test_a_ledger_that_is_too_busy_is_asked_again_next_time_and_one_that_is_gone_ends_the_sweep(
    city: City, kind: type[Busy | Unavailable]
):
    async with world(city, S0) as here, here.projections() as p:
        await case(here, 1, S0)
        await p.follow_until()

        async def fail(*_: Any, **__: Any) -> None:
            raise kind("gone")

        failing: Any = Meddler(here, fail)
        failing.execute = fail
        if kind is Busy:
            swept = await sweep(failing, p, at("2025-06-18 08:00"), SIMULATED)
            assert swept.refused == {"busy": 1}
        else:
            with pytest.raises(Unavailable):
                await sweep(failing, p, at("2025-06-18 08:00"), SIMULATED)
        assert (await simulated(here, p, "2025-06-18 08:00"))[0].total == 1


# --- closing -----------------------------------------------------------------------------------------------------


async def test_a_master_that_is_closed_lets_its_children_close_in_the_same_sweep(city: City):
    async with world(city, S0) as here, here.projections() as p:
        told = ApplicantInformed(about=InformAbout.RESULT, medium=Medium.PHONE, unit="B", reached=True)
        await here.record(stream(1), "2025-06-16 09:00", registered(S0), NUMBER)
        await here.record(stream(1), "2025-06-16 10:00", OrdersMerged(master=order_id(2), reason="同一事项"))
        await here.record(stream(2), "2025-06-16 09:00", registered(S0), NUMBER)
        for hours, fact in enumerate((dispatched(), SIGNED, REPLIED, INFORMED)):
            await here.record(stream(2), at("2025-06-16 10:00") + timedelta(hours=hours), fact)
        await here.record(stream(1), "2025-06-17 09:00", told)
        early, _ = await simulated(here, p, "2025-06-18 09:00")
        assert early.refused == {"master-open": 1}
        swept, _ = await simulated(here, p, "2025-06-24 09:00")
        assert swept.done == {"close_after": 1, "close_merged": 1}
        assert +swept.refused == Counter()
        assert {(await order(here, number)).state for number in (1, 2)} == {OrderState.CLOSED}


# --- whatever happened -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happened_the_table_finds_all_there_is_to_do_and_a_second_sweep_nothing(city: City, seed: int):
    async with world(city) as here, here.projections(page=50) as p:
        last: dict[str, datetime] = {}
        for name, when, facts in a_history(seed + 300, 25):
            await here.record(name, when, *facts)
            last[name] = when
        await p.follow_until()
        law = await here.ledger.law()
        for when in (at("2025-09-25 09:00"), at("2025-10-20 09:00"), at("2025-12-20 09:00")):
            found = {row.order_id for row in (await p.due_for_sweep(when, limit=1000)).rows}
            left = {row.order_id for row in (await p.due_for_sweep(when, limit=1000, left=True)).rows}
            for number in range(1, 26):
                asked = await order(here, number)
                made = plan(asked, law, when)
                assert not made.deeds or asked.id in found
                assert not [deed for deed in made.left if deed.refusal is None] or asked.id in left
        # Histories of this kind may go on after an instant that is swept: only what lies behind all of them is acted on.
        for when in (max(last.values()) + timedelta(hours=1), at("2026-01-20 09:00")):
            first, _ = await simulated(here, p, when, left=True)
            second, _ = await simulated(here, p, when, left=True)
            assert second.total == 0
            assert (second.left, second.refused) == (first.left, +first.refused)
        assert set((await issued(here)).values()) <= {1}
