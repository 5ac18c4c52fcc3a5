"""回访抽样: the same seed and frame draw the same orders for anybody, a period is drawn once, and nobody twice."""

from __future__ import annotations

import hashlib
import math
import random
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from domain.steps.evaluation import ReplyReviewed
from domain.steps.revisiting import RevisitSampled, SampleRevisit
from domain.terms import Actor, Role
from projections.answers import Projections
from supervision.sampling import Drawing, DrawingUnknown, Frame, Lot, Manner, Member, PeriodOpen, Sampled, check, sample
from tests.conftest import City
from tests.given import at
from tests.test_projections import (
    CLOSED,
    INFORMED,
    NUMBER,
    REPLIED,
    SIGNED,
    World,
    dispatched,
    registered,
    stream,
    world,
)

S0, S1, S4 = "S0-CHUANYU", "S1-CHENGDU", "S4-BEIJING"
DAY = date(2025, 6, 17)
NOW = "2025-06-18 09:00"
VISITOR = Actor(user="v", role=Role.REVISITOR, unit="HOTLINE")


def drawn_from(seed: int) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


async def answered(
    here: World, number: int, unit: str = "B", pack: str = S0, day: str = "2025-06-17", **said: Any
) -> None:
    await here.record(stream(number), "2025-06-16 09:00", registered(pack, **said), NUMBER)
    await here.record(stream(number), "2025-06-16 10:00", dispatched(unit))
    signed = msgspec.structs.replace(SIGNED, unit=unit)
    await here.record(stream(number), "2025-06-16 11:00", signed)
    reply = msgspec.structs.replace(REPLIED, unit=unit)
    await here.record(stream(number), f"{day} 10:00", reply, msgspec.structs.replace(INFORMED, unit=unit))


async def drawn(
    here: World, p: Projections, now: str = NOW, *, percent: int = 30, seed: int = 1, **said: Any
) -> Sampled:
    await p.follow_until()
    manner = Manner(simulated=True, dry_run=said.pop("dry_run", False))
    days = {"first": DAY, "last": DAY} | said
    return await sample(here.ledger, p, now=at(now), percent=percent, entropy=drawn_from(seed), manner=manner, **days)


async def sampled_events(here: World) -> dict[str, list[RevisitSampled]]:
    head, _ = await here.ledger.head()
    told: dict[str, list[RevisitSampled]] = {}
    for entry in await here.ledger.read(0, head):
        if isinstance(entry.event, RevisitSampled):
            told.setdefault(entry.stream, []).append(entry.event)
    return told


# --- drawing -----------------------------------------------------------------------------------------------------


async def test_of_each_unit_its_share_is_drawn_and_each_order_says_from_what(city: City):
    async with world(city) as here, here.projections() as p:
        for number in range(1, 31):
            await answered(here, number, "B" if number <= 21 else "C")
        await answered(here, 31, day="2025-06-18")  # another day's
        await answered(here, 32, anonymous=True)
        made = await drawn(here, p)
        assert (made.frame_size, Counter(one.unit for one in made.drawn)) == (30, {"B": 7, "C": 3})
        assert made.counts == {Lot.DRAWN: 10}
        told = await sampled_events(here)
        assert sorted(told) == [one.stream for one in made.drawn]
        for one in made.drawn:
            (event,) = told[one.stream]
            assert (event.seed, event.frame, event.frame_size, event.stratum) == (made.seed, made.frame, 30, one.unit)


async def test_anybody_draws_the_same_with_nothing_but_a_hash(city: City):
    async with world(city) as here, here.projections() as p:
        for number in range(1, 13):
            await answered(here, number, "B" if number % 3 else "C")
        made = await drawn(here, p, percent=25)
        units = {stream(number): "B" if number % 3 else "C" for number in range(1, 13)}
        text = "".join(f"{name} 1 {units[name]}\n" for name in sorted(units))
        assert made.frame == "sha256:" + hashlib.sha256(text.encode()).hexdigest()
        expected: list[str] = []
        for unit in ("B", "C"):
            own = [name for name in units if units[name] == unit]
            own.sort(key=lambda name: hashlib.sha256(f"{made.seed} {name} 1".encode()).hexdigest())
            expected += own[: math.ceil(len(own) * 0.25)]
        assert sorted(await sampled_events(here)) == sorted(expected)


async def test_a_drawing_is_the_same_from_the_same_seed_and_frame_and_another_from_another():
    members = tuple(Member(f"order:{n:04}", 1, "BC"[n % 2]) for n in range(400))
    one = Drawing(first=DAY, last=DAY, position=9, percent=10, nonce="0" * 16)
    other = msgspec.structs.replace(one, nonce="1" * 16)
    assert Frame(one, members).drawn == Frame(Drawing.read(one.seed), members).drawn
    assert len(Frame(one, members).drawn) == len(Frame(other, members).drawn) == 40
    assert Frame(one, members).drawn != Frame(other, members).drawn


async def test_a_second_run_draws_nobody_though_the_tables_and_the_entropy_moved_on(city: City):
    async with world(city) as here, here.projections() as p:
        for number in range(1, 11):
            await answered(here, number)
        first = await drawn(here, p)
        head = await here.ledger.head()
        again = await drawn(here, p, "2025-06-19 09:00", seed=2, percent=90)
        assert (again.seed, again.counts) == (first.seed, {Lot.AGAIN: 3})
        assert await here.ledger.head() == head


async def test_a_drawing_that_was_broken_off_is_ended_with_its_own_seed(city: City):
    async with world(city) as here, here.projections() as p:
        for number in range(1, 21):
            await answered(here, number)
        would = await drawn(here, p, dry_run=True)
        assert would.counts == {Lot.WOULD: 6}
        assert not await sampled_events(here)
        begun = [RevisitSampled(round=1, seed=would.seed, frame=would.frame, frame_size=20, stratum="B")]
        for one in would.drawn[:2]:
            await here.record(one.stream, NOW, *begun)
        ended = await drawn(here, p, "2025-06-18 10:00", seed=7)
        assert ended.seed == would.seed
        told = await sampled_events(here)
        assert {name: len(said) for name, said in told.items()} == {one.stream: 1 for one in would.drawn}
        assert (await check(here.ledger, p, would.seed)).holds


async def test_two_runs_at_once_draw_nobody_twice(city: City):
    async with world(city) as here, here.projections() as p:
        for number in range(1, 11):
            await answered(here, number)
        await drawn(here, p)
        wider = await drawn(here, p, "2025-06-19 09:00", seed=2, percent=100, first=DAY - timedelta(days=1))
        assert (wider.frame_size, wider.counts) == (7, {Lot.DRAWN: 7})
        assert {len(said) for said in (await sampled_events(here)).values()} == {1}


async def test_a_period_that_is_not_over_is_not_drawn(city: City):
    async with world(city) as here, here.projections() as p:
        await answered(here, 1)
        with pytest.raises(PeriodOpen):
            await drawn(here, p, "2025-06-17 23:59")
        for first, last in ((DAY, DAY - timedelta(days=1)), (DAY, date.max), (date.min, DAY)):
            with pytest.raises(PeriodOpen):
                await drawn(here, p, first=first, last=last)


# --- who may be drawn --------------------------------------------------------------------------------------------


async def test_who_was_refused_visited_or_answered_before_the_limit_ends_is_not_in_the_frame(city: City):
    """S4 opens visits when the handling limit ends, on 06-23 24:00 for what came on 06-16 (5 WD); S0 with the reply."""
    async with world(city, S0, S4) as here, here.projections() as p:
        await answered(here, 1, pack=S4)
        await answered(here, 2)
        await here.record(stream(2), "2025-06-17 12:00", ReplyReviewed(reply=1, accepted=False))
        await answered(here, 3)
        await here.record(stream(3), "2025-06-17 12:00", CLOSED)
        first = await drawn(here, p, percent=100)
        assert [one.stream for one in first.drawn] == [stream(3)], "closed early, and visited all the same"
        due = date(2025, 6, 24)
        later = await drawn(here, p, "2025-06-25 09:00", percent=100, first=DAY, last=due, seed=3)
        assert [one.stream for one in later.drawn] == [stream(1)]


# --- checking ----------------------------------------------------------------------------------------------------


async def test_what_was_drawn_is_found_again_whatever_happened_since(city: City):
    async with world(city) as here, here.projections() as p:
        for number in range(1, 21):
            await answered(here, number)
        made = await drawn(here, p)
        for number in range(1, 21):
            await here.record(stream(number), "2025-06-19 09:00", ReplyReviewed(reply=1, accepted=False))
        await p.follow_until()
        checked = await check(here.ledger, p, made.seed)
        assert checked.holds
        assert (checked.frame, checked.drawn, checked.recorded) == (made.frame, made.drawn, 6)


async def test_an_order_that_somebody_slipped_in_or_left_out_is_found(city: City):
    async with world(city) as here, here.projections() as p:
        for number in range(1, 21):
            await answered(here, number)
        would = await drawn(here, p, dry_run=True)
        taken = {one.stream for one in would.drawn}
        strange = next(stream(n) for n in range(1, 21) if stream(n) not in taken)
        missing = would.drawn[0].stream
        for name in (taken - {missing}) | {strange}:
            said = SampleRevisit(seed=would.seed, frame=would.frame, frame_size=20, stratum="B")
            await here.ledger.execute(said, stream=name, actor=VISITOR, command_id=f"by hand {name}")
        checked = await check(here.ledger, p, would.seed)
        assert (checked.missing, checked.strange, checked.holds) == ((missing,), (strange,), False)


@pytest.mark.parametrize(
    "seed",
    [
        "",
        "x",
        "20250617-20250617.p1.r30",
        "20259917-20250617.p1.r30.0000000000000000",
        "20250617-99991231.p1.r30.0000000000000000",
        "00010101-20250617.p1.r30.0000000000000000",
        "20250617-20250617.p1.r0.0000000000000000",
        f"20250617-20250617.p1.r{'9' * 400}.0000000000000000",
    ],
)
async def test_what_is_no_seed_and_what_lies_beyond_the_ledger_is_refused(city: City, seed: str):
    async with world(city) as here, here.projections() as p:
        await p.follow_until()
        with pytest.raises(DrawingUnknown):
            await check(here.ledger, p, seed)
        with pytest.raises(DrawingUnknown):
            await check(here.ledger, p, "20250617-20250617.p999999.r30.0000000000000000")
