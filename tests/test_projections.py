"""The tables say what the ledger says: followed, made again or folded afresh, at one position, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
import pytest

from domain import clocks as clock_rules
from domain import institution, order
from domain.calendar import CalendarYear, MakeupDay, OffSpan
from domain.context import StreamKind
from domain.ledger import Ledger, Receipt
from domain.policy import Pack, ref
from domain.refusals import NotInitialised, UnknownOrder
from domain.stored import Codec
from domain.steps.answering import ApplicantInformed, ReplySubmitted
from domain.steps.correcting import CorrectionRecorded
from domain.steps.dispatch import OrderDispatched
from domain.steps.evaluation import ReplyReviewed
from domain.steps.extending import ExtensionApproved, ExtensionRequested
from domain.steps.filing import OrderClosed
from domain.steps.handling import AssignmentSigned
from domain.steps.oversight import SupervisionNoticeIssued
from domain.steps.registration import OrderRegistered, OrderReclassified
from domain.terms import (
    Actor,
    Attributes,
    Channel,
    Citation,
    ClockName,
    ClosureKind,
    Confidentiality,
    DemandType,
    DispatchType,
    Fact,
    InformAbout,
    Informing,
    Limit,
    LimitUnit,
    Medium,
    NoticeGround,
    NoticeKind,
    Number,
    OrderState,
    Origin,
    Outcome,
    Period,
    Role,
    Step,
    Urgency,
)
from domain.units import UnitSucceeded
from projections import answers, case, engine
from projections.answers import NumberAmbiguous, Projections
from projections.engine import ProjectionBlocked, ProjectionOutdated, RebuildOvertaken
from tests import given
from tests.conftest import City
from tests.given import at

PACK = "S0-CHUANYU"
OVERLAY = "CONSUMER-COMPLAINT"
TABLES = ("orders", "clocks", "notices")
CLERK = Actor(user="import", role=Role.SYSTEM)
WORDS = "诉求人说的话"
BASIS = Citation(text="依据")


class Strange(Fact, frozen=True, tag="order.strange"):
    """An event of a later release."""


def _never(*_: object) -> Any:
    raise NotImplementedError


CASES = StreamKind(
    name="order", events=(*order.EVENTS, Strange), commands=(), evolve=order.evolve, decide=_never
)
INSTITUTION = StreamKind(
    name="institution", events=institution.EVENTS, commands=(), evolve=institution.evolve, decide=_never
)


# --- a city with cases -------------------------------------------------------------------------------------------


class World(NamedTuple):
    """A founded city: its ledger, and how to enter its database."""

    ledger: Ledger
    city: City

    def projections(self, **settings: Any) -> Projections:
        return Projections(self.city.database.app, self.city.name, **settings)

    async def record(self, stream: str, when: str | datetime, *facts: Step) -> Receipt:
        """Record facts of one instant."""
        return await self.ledger.record(
            facts, stream=stream, actor=CLERK, command_id=secrets.token_hex(8), occurred_at=at(when)
        )

    async def sql(self, text: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Look at, or tamper with, the tables by hand; `p.` is the schema of projections."""
        async with await psycopg.AsyncConnection.connect(self.city.database.app, autocommit=True) as connection:
            cursor = await connection.execute(
                text.replace("p.", f'"{self.city.name}_projections".'), parameters or None
            )
            return await cursor.fetchall() if cursor.description else []


@contextlib.asynccontextmanager
async def world(city: City, *packs: str) -> AsyncIterator[World]:
    ledger = await Ledger.open(
        city.database.app, city.name, kinds=[CASES, INSTITUTION], keyring=city.keyring, entropy=secrets.token_bytes
    )
    async with ledger:
        made = World(ledger, city)
        await made.record("institution", "2010-01-01 00:00", *founding(*(packs or (PACK,))))
        yield made


def founding(*packs: str) -> Iterator[Fact]:
    yield from given._founding()
    for name in packs:
        yield published(given.pack(name))
    for year in given.calendars():
        yield (institution.CalendarPublished if year.version == 1 else institution.CalendarRevised)(calendar=year)


def published(pack: Pack) -> Fact:
    return institution.PolicyPackPublished(pack=pack, digest=ref(pack).digest, valid_from=None)


def revised(year: int, *, makeup: str | None = None, off: str | None = None, known: str = "2025-09-01") -> Fact:
    """A year's calendar as a later notice has it, with one more day to work or to rest."""
    versions = [calendar for calendar in given.calendars() if calendar.year == year]
    newest = versions[-1]
    changed = msgspec.structs.replace(newest, version=newest.version + 1, known_from=datetime.fromisoformat(known).date())
    if makeup is not None:
        day = MakeupDay(day=datetime.fromisoformat(makeup).date(), holiday=newest.off[-1].holiday)
        changed = msgspec.structs.replace(changed, makeup=(*newest.makeup, day))
    if off is not None:
        day = datetime.fromisoformat(off).date()
        span = OffSpan(holiday=newest.off[-1].holiday, first=day, last=day)
        changed = msgspec.structs.replace(changed, off=(*newest.off, span))
    return institution.CalendarRevised(calendar=changed)


def stream(number: int) -> str:
    """A case's stream; ids begin with the time, as the door draws them."""
    return f"order:{UUID(int=(0x0197_7000_0000 + number) << 80 | 7 << 76 | 2 << 62 | number)}"


def registered(pack: str = PACK, **said: Any) -> OrderRegistered:
    tags = said.pop("tags", ())
    attributes = Attributes(demand_type=DemandType.HELP, tags=tags, urgency=said.pop("urgency", Urgency.GENERAL))
    return OrderRegistered(
        **{
            "title": "路灯不亮",
            "category": "市政",
            "channel": Channel.PHONE,
            "attributes": attributes,
            "policy": ref(given.pack(pack)),
            "content": WORDS,
        }
        | said
    )


def dispatched(lead: str = "B", urgency: Urgency = Urgency.GENERAL, **said: Any) -> OrderDispatched:
    attributes = Attributes(demand_type=DemandType.HELP, urgency=urgency, tags=said.pop("tags", ()))
    return OrderDispatched(
        kind=DispatchType.ORDINARY,
        attributes=attributes,
        of_class="general",
        medium=Medium.SYSTEM,
        lead=lead,
        lead_parent="D",
        **said,
    )


SIGNED = AssignmentSigned(assignment=1, unit="B")
REPLIED = ReplySubmitted(
    assignment=1, unit="B", outcome=Outcome.RESOLVED, public_answer=WORDS, informing=Informing.TOLD
)
INFORMED = ApplicantInformed(
    about=InformAbout.RESULT, medium=Medium.PHONE, unit="B", reached=True, reply=1
)
ACCEPTED = ReplyReviewed(reply=1, accepted=True)
CLOSED = OrderClosed(kind=ClosureKind.SATISFIED)
NUMBER = Number("order", "CD", Period.DAY, 1)


def notice(**said: Any) -> SupervisionNoticeIssued:
    return SupervisionNoticeIssued(
        **{
            "kind": NoticeKind.SYSTEM,
            "ground": NoticeGround.OVERDUE,
            "unit": "B",
            "clock": ClockName.HANDLE,
            "limit": Limit(amount=2, unit=LimitUnit.WORKING_DAYS),
            "served_by_system": True,
        }
        | said
    )


async def one_case(here: World, number: int, *facts: Fact, since: str = "2025-06-16 09:00") -> str:
    """Register a case and let facts happen to it, a quarter of an hour apart."""
    name, when = stream(number), at(since)
    for fact in (registered(), *facts):
        await here.record(name, when, fact, *([NUMBER] if isinstance(fact, OrderRegistered) else []))
        when += timedelta(minutes=15)
    return name


# --- histories at random -----------------------------------------------------------------------------------------


def a_life(dice: random.Random, begun: datetime) -> Iterator[tuple[datetime, Fact]]:
    """One case, as long as chance has it, with everything that clocks look at."""
    tags = dice.choice([(), (), ("consumer_complaint",)])
    urgency = dice.choice([Urgency.GENERAL, Urgency.GENERAL, Urgency.LIVELIHOOD])
    due = begun + timedelta(days=5)
    life: list[Fact] = [
        registered(tags=tags, urgency=urgency, old_number=f"旧{dice.randrange(10**6)}"),
        dispatched(dice.choice(["B", "B2", "S"]), urgency, tags=tags),
        SIGNED,
        notice(),
        ExtensionRequested(assignment=1, unit="B", days=3, reason=WORDS, due=due),
        ExtensionApproved(extension=1, unit="B", days=3),
        OrderReclassified(attributes=Attributes(demand_type=DemandType.COMPLAINT, tags=tags), reason=WORDS),
        REPLIED,
        INFORMED,
        ACCEPTED,
        CLOSED,
    ]
    when, version, asked = begun, 0, False
    for fact in life[: dice.randint(1, len(life))]:
        chance = {SupervisionNoticeIssued: 0.4, ExtensionRequested: 0.3, OrderReclassified: 0.2}.get(type(fact), 1.0)
        if isinstance(fact, ExtensionApproved):
            chance = 0.7 if asked else 0.0
        if dice.random() > chance:
            continue
        asked = asked or isinstance(fact, ExtensionRequested)
        version += 1
        yield when, fact
        when += timedelta(minutes=dice.choice([5, 240, 1440, 4000]))
        if version > 2 and dice.random() < 0.15:
            earlier = (when - timedelta(hours=dice.randint(5, 50))).isoformat()
            correction = CorrectionRecorded(correction=1, version=version, field="at", basis=WORDS, new=earlier)
            version += 1
            yield when, correction


def turns_of_law(dice: random.Random) -> list[Fact]:
    """What changes in the law while cases run."""
    turns = [
        revised(2025, makeup="2025-10-12"),
        institution.OutageDeclared(
            proposal=0,
            from_at=at("2025-09-25 00:00"),
            until=at("2025-10-14 00:00"),
            scope=institution.OutageScope.ALL,
            basis=BASIS,
        ),
        published(given.pack(OVERLAY)),
        UnitSucceeded(units=("B2",), successor="B", valid_from=at("2025-09-20 00:00").date(), basis=BASIS),
    ]
    return dice.sample(turns, len(turns))


def a_history(seed: int, cases: int) -> list[tuple[str, datetime, tuple[Step, ...]]]:
    """Cases and turns of the law, mixed; within each stream time goes on."""
    dice = random.Random(seed)
    lives = {
        stream(number): list(a_life(dice, at("2025-09-15 08:00") + timedelta(hours=dice.randint(0, 400))))
        for number in range(1, cases + 1)
    }
    law = [(at("2025-09-18 08:00") + timedelta(days=3 * n), fact) for n, fact in enumerate(turns_of_law(dice))]
    lives["institution"] = law
    order_of_streams = [name for name, life in lives.items() for _ in life]
    dice.shuffle(order_of_streams)
    left = {name: iter(life) for name, life in lives.items()}
    told: list[tuple[str, datetime, tuple[Step, ...]]] = []
    for name in order_of_streams:
        when, fact = next(left[name])
        told.append((name, when, (fact, NUMBER) if isinstance(fact, OrderRegistered) else (fact,)))
    return told


async def tables(p: Projections, version: dict[str, int] | None = None) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the active tables."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    async with engine.session(p._asking) as connection:
        for name in TABLES:
            number = version[name] if version else (await engine.rows(connection, p._sql["active"], name))[0][0]
            statement = f'TABLE "{p.city}_projections"."{name}_{number}"'
            found[name] = sorted(await engine.rows(connection, statement.encode()), key=repr)
    return found


async def from_scratch(here: World, p: Projections) -> dict[str, list[tuple[Any, ...]]]:
    """What the tables must hold: every case folded from its stream, as the command side folds it."""
    head, _ = await here.ledger.head()
    entries = await here.ledger.read(0, head)
    law = await here.ledger.law()
    found: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}
    for name in dict.fromkeys(e.stream for e in entries if e.stream.startswith("order:")):
        own = [e for e in entries if e.stream == name]
        state = order.fold(own)
        assert state is not None
        made = case.Case(state, own[-1].position, law)
        for table in TABLES:
            found[table] += [msgspec.structs.astuple(row) for row in p.projections[table].derive(made)]
    return {name: sorted(rows, key=repr) for name, rows in _as_stored(found).items()}


def _as_stored(found: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    from datetime import UTC

    def stored(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        return str(value) if isinstance(value, str) else value

    return {name: [tuple(map(stored, row)) for row in rows] for name, rows in found.items()}


# --- followed, made again, folded afresh --------------------------------------------------------------------------


async def test_what_is_followed_is_what_a_fold_from_scratch_says(city: City):
    async with world(city) as here, here.projections(page=7) as p:
        name = await one_case(here, 1, dispatched(), SIGNED, notice(), REPLIED, INFORMED, ACCEPTED)
        await one_case(here, 2, dispatched("S"))
        followed = await p.follow_until()
        assert followed.position == (await here.ledger.head())[0]
        assert followed.blocked == ()
        held = await tables(p)
        assert held == await from_scratch(here, p)
        assert [len(held[table]) for table in TABLES] == [2, len(held["clocks"]), 1]
        state = await here.ledger.fold(name)
        assert len(clock_rules.clocks(state, await here.ledger.law())) > 3


@pytest.mark.parametrize("seed", range(4))
async def test_followed_and_made_again_are_the_same_through_corrections_and_changes_of_law(city: City, seed: int):
    told = a_history(seed, 30)
    dice = random.Random(seed)
    async with world(city) as here, here.projections(page=dice.choice([1, 3, 20, 500])) as p:
        for name, when, facts in told:
            await here.record(name, when, *facts)
            if dice.random() < 0.2:
                await p.follow_once()
        await p.follow_until()
        assert await tables(p) == await from_scratch(here, p)
        made = await p.rebuild(compare=True)
        assert [(one.name, one.differences) for one in made] == [(name, 0) for name in TABLES]
        assert await tables(p) == await from_scratch(here, p)
