"""Cases as they were, and as they would have been: read from the events, held against what a single case says."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import msgspec

from domain.clocks import WINDOWS, clocks
from domain.order import fold, history
from domain.policy import Limit, Rules, rules
from domain.steps.correcting import CorrectionRecorded
from domain.terms import ClockName, LimitUnit, OrderState
from domain.units import UnitSucceeded
from projections.past import Candidate, Outcome, law_with, promised
from tests import given
from tests.conftest import City
from tests.given import at
from tests.test_projections import (
    ACCEPTED,
    BASIS,
    CLOSED,
    EVALUATED,
    INFORMED,
    PACK,
    REPLIED,
    SIGNED,
    World,
    a_history,
    dispatched,
    one_case,
    order_id,
    registered,
    stream,
    world,
)

LONG_AGO = at("2020-01-01 00:00")
LATER = at("2026-06-01 00:00")


def stricter(name: str = PACK, days: int = 1) -> Rules:
    """The same pack with so many working days to handle, whatever the class."""
    pack = given.pack(name)
    limit = Limit(amount=days, unit=LimitUnit.WORKING_DAYS)
    clocks_of = tuple(
        msgspec.structs.replace(rule, limit=dict.fromkeys(rule.limit, limit)) if rule.name is ClockName.HANDLE else rule
        for rule in pack.clocks
    )
    return rules(msgspec.structs.replace(pack, clocks=clocks_of))


def of(outcomes: tuple[Outcome, ...], clock: ClockName, unit: str) -> Outcome:
    return next(o for o in outcomes if (o.clock, o.unit) == (clock, unit))


# --- as of -------------------------------------------------------------------------------------------------------


async def test_a_list_as_of_an_instant_says_of_every_case_what_the_case_itself_says(city: City):
    dice = random.Random(5)
    told = a_history(5, 12)
    async with world(city) as here, here.projections() as p:
        for name, when, facts in told:
            await here.record(name, when, *facts)
        names = sorted({name for name, _, _ in told if name.startswith("order:")})
        law = await here.ledger.law()
        for _ in range(6):
            then = dice.choice(told)[1] + timedelta(hours=dice.randint(-30, 30))
            found = {row.stream: row for row in (await p.orders_as_of(as_at=then, limit=100)).rows}
            for name in names:
                state = fold(history(await here.ledger.history(name), as_at=then))
                assert (state is None) is (name not in found)
                if state is not None:
                    assert (found[name].state, found[name].version) == (state.state, state.version)
                    late = [c.due for c in clocks(state, law) if c.running and c.breached(then)]
                    overdue = found[name].overdue_from
                    assert bool(late) is (overdue is not None and overdue < then)


async def test_what_the_ledger_knew_leaves_out_what_was_recorded_since(city: City):
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1, dispatched())
        known = (await here.ledger.history(stream(1)))[-1].recorded_at
        wrong = CorrectionRecorded(correction=1, version=1, field="at", basis="误记", new="2025-06-15T09:00:00+08:00")
        await here.record(stream(1), "2025-06-17 09:00", wrong)
        await one_case(here, 2)
        assert [row.id for row in (await p.orders_as_of(recorded_by=known)).rows] == [order_id(1)]
        then = at("2025-06-15 12:00")
        assert [row.id for row in (await p.orders_as_of(as_at=then)).rows] == [order_id(1)], "as is known now"
        assert (await p.orders_as_of(as_at=then, recorded_by=known)).rows == (), "as was known then"


async def test_a_list_as_of_an_instant_is_narrowed_and_cut(city: City):
    async with world(city) as here, here.projections() as p:
        for number, unit in enumerate(["B", "S", "B"], 1):
            await one_case(here, number, dispatched(unit))
        then = at("2025-06-16 12:00")
        assert len((await p.orders_as_of(as_at=then, unit="B")).rows) == 2
        assert (await p.orders_as_of(as_at=then, states=[OrderState.CLOSED])).rows == ()
        assert (await p.orders_as_of(as_at=then, overdue=True)).rows == ()
        assert len((await p.orders_as_of(as_at=at("2026-01-01 00:00"), overdue=True)).rows) == 3
        cut = await p.orders_as_of(as_at=then, limit=2)
        assert (len(cut.rows), cut.more) == (2, True)
        assert (await p.orders_as_of(as_at=LONG_AGO)).rows == ()


async def test_a_list_as_of_an_instant_knows_a_unit_and_its_heir(city: City):
    async with world(city) as here, here.projections() as p:
        for number, unit in enumerate(["B2", "B"], 1):
            await one_case(here, number, dispatched(unit))
        heir = UnitSucceeded(from_units=("B2",), to_units=("B",), at=at("2025-07-01 00:00"), basis=BASIS)
        await here.record("institution", "2025-06-20 09:00", heir)
        found = {
            (unit, when): len((await p.orders_as_of(as_at=at(when), unit=unit)).rows)
            for unit in ("B", "B2")
            for when in ("2025-06-30 23:59", "2025-07-01 00:00")
        }
        assert found == {
            ("B", "2025-06-30 23:59"): 1,
            ("B", "2025-07-01 00:00"): 2,
            ("B2", "2025-06-30 23:59"): 1,
            ("B2", "2025-07-01 00:00"): 1,
        }


# --- what if -----------------------------------------------------------------------------------------------------


async def cases(here: World) -> None:
    """Two cases of B answered after two working days, one of S never."""
    for number in (1, 2):
        name = await one_case(here, number, dispatched(), SIGNED)
        when = at("2025-06-18 10:00")
        for fact in (REPLIED, INFORMED, ACCEPTED, CLOSED):
            await here.record(name, when, fact)
            when += timedelta(minutes=5)
    await one_case(here, 3, dispatched("S"))


async def test_a_stricter_rule_says_who_would_have_been_late_and_writes_nothing(city: City):
    async with world(city) as here, here.projections() as p:
        await cases(here)
        before = await here.ledger.head()
        tried = await p.what_if(Candidate(rules=stricter()), at("2025-06-20 00:00"))
        assert (tried.position, tried.cases) == (before[0], 3)
        own = of(tried.outcomes, ClockName.HANDLE, "B")
        assert (own.duties, own.late, own.would_be_late, own.newly_late) == (2, 0, 2, 2)
        unanswered = of(tried.outcomes, ClockName.HANDLE, "S")
        assert (unanswered.duties, unanswered.late, unanswered.would_be_late) == (1, 0, 1)
        assert await here.ledger.head() == before


async def test_the_same_rule_changes_nothing(city: City):
    async with world(city) as here, here.projections() as p:
        for name, when, facts in a_history(3, 15):
            await here.record(name, when, *facts)
        tried = await p.what_if(Candidate(promised=100), LATER)
        assert tried.cases == 15
        for outcome in tried.outcomes:
            assert (outcome.newly_late, outcome.no_longer_late, outcome.only_before, outcome.only_after) == (0, 0, 0, 0)
            assert outcome.late == outcome.would_be_late


async def test_what_was_late_is_counted_as_the_cases_themselves_say(city: City):
    async with world(city) as here, here.projections() as p:
        told = a_history(8, 15)
        for name, when, facts in told:
            await here.record(name, when, *facts)
        law = await here.ledger.law()
        tried = await p.what_if(Candidate(rules=rules(given.pack(EVALUATED))), LATER)
        found: list[Any] = []
        for name in {name for name, _, _ in told if name.startswith("order:")}:
            state = await here.ledger.fold(name)
            found += [c for c in clocks(state, law) if c.due and c.name not in {*WINDOWS, ClockName.RETURN}]
        assert sum(o.late for o in tried.outcomes) == sum(c.breached(LATER) for c in found)
        assert sum(o.duties - o.only_after for o in tried.outcomes) == len(found)


async def test_only_cases_registered_in_the_period_are_tried(city: City):
    async with world(city) as here, here.projections() as p:
        await cases(here)
        await one_case(here, 9, dispatched(), since="2025-07-01 09:00")
        candidate = Candidate(rules=stricter())
        assert (await p.what_if(candidate, LATER, since=at("2025-07-01 00:00"))).cases == 1
        assert (await p.what_if(candidate, LATER, until=at("2025-07-01 00:00"))).cases == 3
        assert (await p.what_if(candidate, LATER, until=LONG_AGO)).outcomes == ()


async def test_half_of_what_an_old_system_promised(city: City):
    async with world(city) as here, here.projections() as p:
        due = at("2025-06-20 09:00")
        await here.record(stream(1), "2025-06-16 09:00", registered(promised_due=due))
        await here.record(stream(1), "2025-06-16 10:00", dispatched())
        for fact in (REPLIED, INFORMED):
            await here.record(stream(1), "2025-06-19 09:00", fact)
        whole = await here.ledger.fold(stream(1))
        half = promised(whole, 50)
        assert half.demand.promised_due == at("2025-06-18 09:00")
        assert promised(whole, 100) is whole
        tried = await p.what_if(Candidate(promised=50), LATER)
        external = next(o for o in tried.outcomes if o.clock == ClockName.EXTERNAL)
        assert (external.duties, external.late, external.newly_late) == (1, 0, 1)


def test_a_candidate_calendar_stands_in_the_place_of_its_year():
    law = given.law(PACK)
    years = {version.calendar.year for version in law.calendars.versions}
    held = law.calendars.latest(2025)
    assert held is not None
    first = held.off[:1]  # New Year alone: every other holiday is worked
    bare = msgspec.structs.replace(held, off=first, makeup=())
    other = law_with(law, [bare])
    assert {version.calendar.year for version in other.calendars.versions} == years
    may_day = at("2025-05-01 09:00").date()
    assert other.calendars.newest.is_working_day(may_day)
    assert other.calendars.known(LONG_AGO).is_working_day(may_day), "as if it had been known always"
    assert not law.calendars.newest.is_working_day(may_day)
    assert law_with(law, []) is law
