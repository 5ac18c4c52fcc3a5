"""The tables say what the ledger says: followed, made again or folded afresh, at one position, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
import pytest

from domain import clocks as clock_rules
from domain import institution, order
from domain.calendar import MakeupDay, OffSpan
from domain.kinds import KINDS
from domain.ledger import Ledger, Receipt
from domain.matters import affairs
from domain.matters.notices import UnitNoticeIssued, UnitNoticeReplied
from domain.policy import Pack, ref
from domain.refusals import NotInitialised, Unavailable, UnknownOrder
from domain.steps.answering import ApplicantInformed, ReplySubmitted
from domain.steps.classifying import OrderReclassified
from domain.steps.correcting import CorrectionRecorded
from domain.steps.dispatch import OrderDispatched
from domain.steps.evaluation import ReplyReviewed
from domain.steps.extending import ExtensionApproved, ExtensionRequested
from domain.steps.filing import OrderClosed
from domain.steps.handling import AssignmentSigned
from domain.steps.oversight import SupervisionNoticeIssued
from domain.steps.registration import OrderRegistered
from domain.stored import Codec
from domain.terms import (
    Actor,
    Applicant,
    ApplicantKind,
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
    Outcome,
    Period,
    Role,
    Step,
    UnitKind,
    UnitLevel,
    Urgency,
)
from domain.units import BEGINNING, UnitChanged, UnitSucceeded
from projections import answers, case, engine
from projections.answers import PROJECTIONS, NumberAmbiguous, Projections
from projections.engine import NothingToGoBackTo, ProjectionBlocked, ProjectionOutdated, RebuildOvertaken
from tests import given
from tests.conftest import City
from tests.given import at

PACK = "S0-CHUANYU"
EVALUATED = "S1-CHENGDU"  # has an evaluation window
OVERLAY = "CONSUMER-COMPLAINT"
TABLES = tuple(projection.name for projection in PROJECTIONS)
CLERK = Actor(user="import", role=Role.SYSTEM)
WORDS = "诉求人说的话"
BASIS = Citation(text="依据")


class Strange(Fact, frozen=True, tag="order.strange"):
    """An event of a later release."""


LATER_KINDS = [
    msgspec.structs.replace(kind, events=(*kind.events, Strange)) if kind is order.KIND else kind for kind in KINDS
]


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
            statement = text.replace("p.", f'"{self.city.name}_projections".').encode()
            cursor = await connection.execute(statement, parameters or None)
            return await cursor.fetchall() if cursor.description else []


@contextlib.asynccontextmanager
async def world(city: City, *packs: str) -> AsyncIterator[World]:
    ledger = await Ledger.open(
        city.database.app, city.name, kinds=LATER_KINDS, keyring=city.keyring, entropy=secrets.token_bytes
    )
    async with ledger:
        made = World(ledger, city)
        await made.record("institution", "2010-01-01 00:00", *founding(*(packs or (PACK, EVALUATED))))
        yield made


def founding(*packs: str) -> Iterator[Fact]:
    yield from given._founding()
    for name in packs:
        yield published(given.pack(name))
    for year in given.calendars():
        yield (institution.CalendarPublished if year.version == 1 else institution.CalendarRevised)(calendar=year)


def published(pack: Pack) -> Fact:
    return institution.PolicyPackPublished(pack=pack, digest=ref(pack).digest, valid_from=None)


def revised(
    year: int, *, makeup: str | None = None, off: str | None = None, known: str = "2025-09-01", proposal: int = 1
) -> Fact:
    """A year's calendar as a later notice has it, with one more day to work or to rest.

    Proposed, it is known from its publication here; in a founding act (0) from its notice, before clocks that ended.
    """
    versions = [calendar for calendar in given.calendars() if calendar.year == year]
    newest = versions[-1]
    changed = msgspec.structs.replace(
        newest, version=newest.version + 1, known_from=datetime.fromisoformat(known).date()
    )
    if makeup is not None:
        day = MakeupDay(day=datetime.fromisoformat(makeup).date(), holiday=newest.off[-1].holiday)
        changed = msgspec.structs.replace(changed, makeup=tuple(sorted((*newest.makeup, day), key=lambda one: one.day)))
    if off is not None:
        day = datetime.fromisoformat(off).date()
        span = OffSpan(holiday=newest.off[-1].holiday, first=day, last=day)
        changed = msgspec.structs.replace(changed, off=tuple(sorted((*newest.off, span), key=lambda one: one.first)))
    return institution.CalendarRevised(calendar=changed, proposal=proposal)


def stream(number: int) -> str:
    """A case's stream; ids begin with the time, as the door draws them."""
    return f"order:{UUID(int=(0x0197_7000_0000 + number) << 80 | 7 << 76 | 2 << 62 | number)}"


def order_id(number: int) -> UUID:
    return UUID(stream(number).removeprefix("order:"))


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
INFORMED = ApplicantInformed(about=InformAbout.RESULT, medium=Medium.PHONE, unit="B", reached=True, reply=1)
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
        registered(dice.choice([PACK, EVALUATED]), tags=tags, urgency=urgency, old_number=f"旧{dice.randrange(10**6)}"),
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


def a_matter(dice: random.Random, begun: datetime) -> Iterator[tuple[datetime, Fact]]:
    """One matter that is no order: a meeting with decisions, an inspection, or a notice to a unit, as far as it came."""
    unit, by = dice.choice(["B", "B2", "S"]), (begun + timedelta(days=dice.randint(1, 20))).date()
    meeting = affairs.MeetingHeld(
        title="占道经营会商",
        held_at=begun,
        participants=("B", "S"),
        minutes="sha256:" + "0" * 64,
        summary=WORDS,
        decisions=(affairs.Decision(unit=unit, what=WORDS, by=by),),
    )
    asked = UnitNoticeIssued(
        kind=NoticeKind.SPECIAL,
        ground=NoticeGround.CONCENTRATED,
        unit=unit,
        facts=WORDS,
        demand=WORDS,
        limit=Limit(amount=dice.randint(3, 9), unit=LimitUnit.WORKING_DAYS),
        served_by_system=True,
    )
    reported = affairs.RectificationReported(duty=1, report=WORDS)
    lives: list[list[Fact]] = [
        [meeting, reported, affairs.RectificationRejected(duty=1, requirements=WORDS, by=by), reported],
        [meeting, reported, affairs.RectificationAccepted(duty=1)],
        [affairs.InspectionRecorded(unit=unit, inspected_on=begun.date(), findings=WORDS, rectify_by=by), reported],
        [asked, UnitNoticeReplied(report=WORDS)],
    ]
    life = dice.choice(lives)
    for turn, fact in enumerate(life[: dice.randint(1, len(life))]):
        yield begun + timedelta(hours=5 * turn), fact


def turns_of_law(dice: random.Random) -> list[Fact]:
    """What changes in the law while cases run."""
    turns = [
        revised(2025, makeup="2025-10-12", proposal=dice.choice([0, 1])),
        institution.OutageDeclared(
            proposal=0,
            from_at=at("2025-09-25 00:00"),
            until=at("2025-10-14 00:00"),
            scope=institution.OutageScope.ALL,
            basis=BASIS,
        ),
        published(given.pack(OVERLAY)),
        UnitSucceeded(from_units=("B2",), to_units=("B",), at=at("2025-09-20 00:00"), basis=BASIS),
    ]
    return dice.sample(turns, len(turns))


def a_history(seed: int, cases: int) -> list[tuple[str, datetime, tuple[Step, ...]]]:
    """Cases and turns of the law, mixed; within each stream time goes on."""
    dice = random.Random(seed)
    lives = {
        stream(number): list(a_life(dice, at("2025-09-15 08:00") + timedelta(hours=dice.randint(0, 400))))
        for number in range(1, cases + 1)
    }
    for number in range(cases // 4):
        begun = at("2025-09-15 08:00") + timedelta(hours=dice.randint(0, 400))
        lives[f"matter:{UUID(int=number + 1)}"] = list(a_matter(dice, begun))
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
    for name in dict.fromkeys(e.stream for e in entries if e.stream.startswith(("order:", "matter:"))):
        kind, _, named = name.partition(":")
        own = [e for e in entries if e.stream == name]
        made: case.Case | case.Beside
        if kind == "order":
            state = order.fold(own)
            assert state is not None
            made = case.Case(state, own[-1].position, law)
        else:
            made = case.Beside(kind, UUID(named), reduce(affairs.KIND.evolve, own, None), own[-1].position, law)
        for table in TABLES:
            if kind in p.projections[table].kinds:
                found[table] += [msgspec.structs.astuple(row) for row in p.projections[table].rows_of(made)]
    return {name: sorted(rows, key=repr) for name, rows in _as_stored(found).items()}


def _as_stored(found: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
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
        assert (len(held["orders"]), len(held["notices"]), len(held["search"])) == (2, 1, 2)
        assert held["duties"]
        assert held["indicators"]
        state = await here.ledger.fold(name)
        assert len(clock_rules.clocks(state, await here.ledger.law())) > 3


@pytest.mark.parametrize("seed", range(6))
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


async def test_another_postgresql_says_the_same(city_15: City):
    async with world(city_15) as here, here.projections(page=50) as p:
        for name, when, facts in a_history(11, 20):
            await here.record(name, when, *facts)
        await p.follow_until()
        assert [one.differences for one in await p.rebuild(compare=True)] == [0] * len(TABLES)
        assert await tables(p) == await from_scratch(here, p)
        assert (await p.clock_counts_by_unit(at("2025-10-20 00:00"))).rows


async def test_a_revised_calendar_moves_what_runs_leaves_what_ended_and_lists_what_it_moved(city: City):
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1, dispatched(), since="2025-09-29 09:00")
        ended = (dispatched(), SIGNED, REPLIED, INFORMED, ACCEPTED, CLOSED)
        await one_case(here, 2, *ended, since="2025-09-29 09:00")
        await one_case(here, 3, dispatched(), since="2025-06-16 09:00")
        await p.follow_until()
        before = await tables(p)
        receipt = await here.record("institution", "2025-09-30 12:00", revised(2025, makeup="2025-10-12"))
        expected = await p.due_changes_at(receipt.first_position)
        await p.follow_until()
        assert (await p.due_changes_at(receipt.first_position)).rows == expected.rows
        after = await tables(p)
        assert after == await from_scratch(here, p)
        moved = [new for old, new in zip(before["clocks"], after["clocks"], strict=True) if old != new]
        assert {row[0] for row in moved} == {order_id(1)}
        assert {(row[0], row[3], row[11]) for row in moved} == {
            (change.order_id, change.clock, change.new_due) for change in expected.rows
        }
        assert all(change.old_due > change.new_due for change in expected.rows if change.old_due and change.new_due)
        handle = next(change for change in expected.rows if change.clock == "handle")
        assert handle.number == "CD20250929-000001"
        assert (await p.order_by_number(handle.number)).handle_due == handle.new_due


async def test_an_outage_declared_afterwards_moves_the_evaluation_window_that_ended_inside_it(city: City):
    async with world(city, EVALUATED) as here, here.projections() as p:
        facts = (registered(EVALUATED), dispatched(), SIGNED, REPLIED, INFORMED, ACCEPTED, CLOSED)
        when = at("2025-06-16 09:00")
        for fact in facts:
            await here.record(stream(1), when, fact)
            when += timedelta(minutes=15)
        await p.follow_until()
        window = next(row for row in (await p.clocks_of(order_id(1))).rows if row.name == "eval_window")
        assert window.due is not None
        assert window.stopped_at or window.cancelled_at
        outage = institution.OutageDeclared(
            proposal=0,
            from_at=window.due - timedelta(hours=1),
            until=window.due + timedelta(hours=5),
            scope=institution.OutageScope.ALL,
            basis=BASIS,
        )
        await here.record("institution", "2025-07-16 09:00", outage)
        await p.follow_until()
        moved = next(row for row in (await p.clocks_of(order_id(1))).rows if row.name == "eval_window")
        assert moved.due is not None
        assert moved.due > window.due
        assert await tables(p) == await from_scratch(here, p)


async def test_an_outage_declared_afterwards_marks_what_a_unit_was_asked_to_reply_inside_it(city: City):
    async with world(city) as here, here.projections() as p:
        asked = UnitNoticeIssued(
            kind=NoticeKind.SPECIAL,
            ground=NoticeGround.CONCENTRATED,
            unit="B",
            facts=WORDS,
            demand=WORDS,
            limit=Limit(amount=2, unit=LimitUnit.WORKING_DAYS),
            served_by_system=True,
        )
        name = f"matter:{UUID(int=9)}"
        await here.record(name, "2025-06-16 09:00", asked)
        await p.follow_until()
        june = (at("2025-06-01 00:00"), at("2025-07-01 00:00"))
        assert (await p.left_out(*june)).rows == ()
        outage = institution.OutageDeclared(
            proposal=0,
            from_at=at("2025-06-18 08:00"),
            until=at("2025-06-19 00:00"),  # 24:00 of the day on which the reply was due
            scope=institution.OutageScope.UNITS,
            units=("D",),
            basis=BASIS,
        )
        await here.record("institution", "2025-06-20 09:00", outage)
        await p.follow_until()
        (marked,) = (await p.left_out(*june)).rows
        assert (marked.kind, marked.unit, marked.hit, marked.in_outage) == ("unit_notice", "B", False, True)
        assert next((f.above, f.below) for f in (await p.indicators(*june)).rows if f.code == "I23") == (0, 1)
        assert await tables(p) == await from_scratch(here, p)


async def test_an_overlay_published_later_binds_the_cases_it_names_also_closed_ones(city: City):
    async with world(city) as here, here.projections() as p:
        told = [registered(tags=("consumer_complaint",)), dispatched(tags=("consumer_complaint",)), SIGNED, REPLIED]
        for number, fact in enumerate([*told, CLOSED]):
            await here.record(stream(1), at("2025-06-16 09:00") + timedelta(hours=number), fact)
        await p.follow_until()
        assert "statutory" not in [row.name for row in (await p.clocks_of(order_id(1))).rows]
        await here.record("institution", "2025-07-01 09:00", published(given.pack(OVERLAY)))
        await p.follow_until()
        assert "statutory" in [row.name for row in (await p.clocks_of(order_id(1))).rows]
        assert await tables(p) == await from_scratch(here, p)


# --- exactly once, and in the open -------------------------------------------------------------------------------


async def test_a_follower_killed_between_its_rows_and_its_checkpoint_has_written_neither(
    city: City, monkeypatch: pytest.MonkeyPatch
):
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1, dispatched(), SIGNED)
        written = asyncio.Event()
        copy = p._copy

        async def slowly(connection: engine.Connection, *said: Any) -> None:
            await copy(connection, *said)
            written.set()
            await asyncio.sleep(60)

        monkeypatch.setattr(p, "_copy", slowly)
        dying = asyncio.create_task(p.follow_once())
        await written.wait()
        dying.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await dying
        assert [status.position for status in await p.status()] == [0] * len(TABLES)
        assert await tables(p) == {name: [] for name in TABLES}
        monkeypatch.setattr(p, "_copy", copy)
        await p.follow_until()
        assert await tables(p) == await from_scratch(here, p)


async def test_a_session_ended_by_the_database_leaves_nothing_half_done(city: City, monkeypatch: pytest.MonkeyPatch):
    async with world(city) as here, here.projections() as p, here.projections() as other:
        await one_case(here, 1, dispatched(), SIGNED)
        copy = p._copy

        async def cut(connection: engine.Connection, *said: Any) -> None:
            await copy(connection, *said)
            async with await psycopg.AsyncConnection.connect(city.database.superuser, autocommit=True) as killer:
                await killer.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
            await copy(connection, *said)

        monkeypatch.setattr(p, "_copy", cut)
        with pytest.raises(Unavailable):
            await p.follow_once()
        assert [status.position for status in await other.status()] == [0] * len(TABLES)
        assert (await other.follow_until()).blocked == ()
        assert await tables(other) == await from_scratch(here, other)
        monkeypatch.setattr(p, "_copy", copy)
        await p.follow_until()


async def test_two_followers_at_once_apply_every_event_once(city: City):
    async with world(city) as here, contextlib.AsyncExitStack() as stack:
        followers = [await stack.enter_async_context(here.projections(page=2)) for _ in range(3)]
        running = [asyncio.create_task(p.follow_until(120)) for p in followers]
        for number in range(1, 13):
            await one_case(here, number, dispatched(), SIGNED, notice())
        await asyncio.wait(running, timeout=1)
        head, _ = await here.ledger.head()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.gather(*(p.follow_until(head) for p in followers))
        assert await tables(followers[0]) == await from_scratch(here, followers[0])
        assert {status.position for status in await followers[1].status()} == {head}


async def test_a_poison_event_blocks_in_the_open_and_a_release_that_knows_it_goes_on(
    city: City, monkeypatch: pytest.MonkeyPatch
):
    async with world(city) as here:
        async with here.projections(page=500) as p:
            await one_case(here, 1, dispatched())
            receipt = await here.record(stream(1), "2025-06-16 12:00", Strange())
            await one_case(here, 2, dispatched())
            with pytest.raises(
                ProjectionBlocked, match=f"blocked at position {receipt.first_position}: .*order.strange"
            ):
                await p.follow_until(receipt.first_position)
            followed = await p.follow_until()
            assert len(followed.blocked) == sum("order" in p.kinds for p in PROJECTIONS)
            assert followed.position == receipt.first_position - 1
            of_orders = {one.name for one in PROJECTIONS if "order" in one.kinds}
            for status in await p.status():
                if status.name not in of_orders:
                    assert status.blocked_at is None
                    continue
                assert status.blocked_at == receipt.first_position
                assert status.lag == status.head - receipt.first_position + 1
                assert "UnknownTopic" in status.error
            assert len((await p.list_orders()).rows) == 1  # what came before it is served
            with pytest.raises(ProjectionBlocked):
                await p.rebuild()
            assert len((await p.list_orders()).rows) == 1
        async with here.projections(page=500) as p:
            monkeypatch.setattr(p, "_codec", Codec(LATER_KINDS))
            followed = await p.follow_until()
            assert followed.blocked == ()
            assert {status.blocked_at for status in await p.status()} == {None}
            assert len((await p.list_orders()).rows) == 2


async def test_a_table_whose_rows_cannot_be_derived_stops_alone(city: City):
    async with world(city) as here, here.projections() as p:
        first = await here.record(stream(1), "2025-06-16 09:00", registered())
        await here.record(stream(2), "2025-06-16 10:00", registered(title="噪声"))
        third = await here.record(stream(3), "2025-06-16 11:00", registered())
        sound = p.projections["notices"]

        def sick(of: case.Case) -> tuple[()]:
            if of.order.demand.title == "噪声":
                raise ZeroDivisionError("噪")
            return ()

        p.projections["notices"] = sound._replace(derive=sick)
        followed = await p.follow_until()
        assert followed.blocked == (f"notices: blocked at position {first.first_position + 1}: ZeroDivisionError: 噪",)
        standing = {status.name: status.position for status in await p.status()}
        assert standing.pop("notices") == first.first_position
        assert standing == {name: third.first_position for name in TABLES if name != "notices"}
        p.projections["notices"] = sound
        await p.follow_until()
        assert {status.lag for status in await p.status()} == {0}


async def test_a_page_never_ends_inside_a_commit(city: City):
    async with world(city) as here, here.projections(page=1) as p:
        await p.follow_until()
        receipt = await here.record(stream(1), "2025-06-16 09:00", registered(), dispatched(), SIGNED)
        await p.follow_once()
        assert {status.position for status in await p.status()} == {receipt.first_position + 2}


# --- making again ------------------------------------------------------------------------------------------------


async def test_a_row_changed_by_hand_is_found_and_gone_after_making_again(city: City):
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1, dispatched(), SIGNED, notice())
        await p.follow_until()
        await here.sql("UPDATE p.orders_1 SET title = '改'")
        seen: list[tuple[int, int]] = []
        made = await p.rebuild("orders", compare=True, progress=lambda done, total: seen.append((done, total)))
        assert [(one.name, one.version, one.cases, one.rows, one.differences) for one in made] == [
            ("orders", 2, 1, 1, 2)
        ]
        assert seen[-1] == (made[0].position, made[0].position)
        assert await tables(p) == await from_scratch(here, p)
        await p.drop()
        assert {(s.name, s.version, s.active) for s in await p.status()} == {
            (name, 2 if name == "orders" else 1, True) for name in TABLES
        }
        assert await here.sql("SELECT to_regclass('p.orders_1')") == [(None,)]


async def test_the_table_before_follows_on_and_can_be_gone_back_to_until_it_is_dropped(city: City):
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1, dispatched(), SIGNED)
        await p.follow_until()
        await p.rebuild("orders")
        await one_case(here, 2, dispatched("S"))
        await p.follow_until()
        assert {(s.version, s.active, s.lag) for s in await p.status() if s.name == "orders"} == {
            (1, False, 0),
            (2, True, 0),
        }
        assert (await p.rollback("orders")).version == 1
        assert len((await p.list_orders()).rows) == 2
        assert await tables(p) == await from_scratch(here, p)
        assert (await p.rollback("orders")).version == 2
        await p.rebuild("orders", compare=True)
        assert {(s.version, s.active) for s in await p.status() if s.name == "orders"} == {(2, False), (3, True)}
        await p.drop("orders")
        with pytest.raises(NothingToGoBackTo):
            await p.rollback("orders")
        assert await tables(p) == await from_scratch(here, p)


async def test_a_rebuild_broken_off_leaves_the_old_table_and_the_next_one_clears_up(
    city: City, monkeypatch: pytest.MonkeyPatch
):
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1, dispatched(), SIGNED)
        await p.follow_until()
        held = await tables(p)

        async def breaks(*_: object) -> None:
            raise ZeroDivisionError

        finish = p._finish
        monkeypatch.setattr(p, "_finish", breaks)
        with pytest.raises(ZeroDivisionError):
            await p.rebuild()
        monkeypatch.setattr(p, "_finish", finish)
        assert {(s.version, s.state) for s in await p.status()} == {(1, "following"), (2, "building")}
        assert await tables(p) == held
        await p.follow_until()
        await p.rebuild()
        assert {(s.version, s.state) for s in await p.status()} == {(1, "following"), (3, "following")}
        assert await tables(p) == held


async def test_a_rebuild_that_another_one_overtakes_says_so(city: City, monkeypatch: pytest.MonkeyPatch):
    async with world(city) as here, here.projections() as p, here.projections() as other:
        await one_case(here, 1, dispatched())
        await p.follow_until()
        begin = p._begin

        async def then_another(connection: engine.Connection, projection: case.Projection) -> int:
            version = await begin(connection, projection)
            await other.rebuild("orders")
            return version

        monkeypatch.setattr(p, "_begin", then_another)
        with pytest.raises(RebuildOvertaken):
            await p.rebuild("orders")
        found = [(s.version, s.state, s.active) for s in await p.status() if s.name == "orders"]
        assert found == [(1, "following", False), (3, "following", True)]


async def waits_for_a_lock(here: World) -> None:
    """Return when a session waits that is at the tables of this city."""
    asked = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
    for _ in range(1000):
        if await here.sql(asked, f"%{here.city.name}_projections%"):
            return
        await asyncio.sleep(0.01)
    pytest.fail("nobody waits")


async def test_who_drops_while_tables_change_places_drops_the_one_that_is_no_longer_read(
    city: City, monkeypatch: pytest.MonkeyPatch
):
    async with world(city) as here, here.projections() as p, here.projections() as other:
        await one_case(here, 1, dispatched())
        await p.follow_until()
        compared, dropping = p._differences, list[asyncio.Task[None]]()

        async def meanwhile(*said: Any) -> int:
            dropping.append(asyncio.create_task(other.drop("orders")))
            await waits_for_a_lock(here)
            return await compared(*said)

        monkeypatch.setattr(p, "_differences", meanwhile)
        assert [one.differences for one in await p.rebuild("orders", compare=True)] == [0]
        await dropping[0]
        assert [(s.version, s.active) for s in await p.status() if s.name == "orders"] == [(2, True)]
        assert len((await p.list_orders()).rows) == 1


async def test_a_table_that_was_dropped_after_it_was_looked_at_is_not_switched_to(
    city: City, monkeypatch: pytest.MonkeyPatch
):
    async with world(city) as here, here.projections() as p, here.projections() as other:
        await one_case(here, 1, dispatched())
        await p.follow_until()
        look = p._versions

        async def then_dropped(connection: engine.Connection) -> list[engine.Version]:
            found = await look(connection)
            if any(v.version == 2 and v.state == "following" for v in found):
                await other.drop("orders")
            return found

        monkeypatch.setattr(p, "_versions", then_dropped)
        with pytest.raises(RebuildOvertaken):
            await p.rebuild("orders")
        assert [(s.version, s.active) for s in await other.status() if s.name == "orders"] == [(1, True)]
        assert len((await other.list_orders()).rows) == 1


async def test_events_that_come_during_a_rebuild_are_in_the_table_it_switches_to(
    city: City, monkeypatch: pytest.MonkeyPatch
):
    async with world(city) as here, here.projections(page=2) as p:
        for number in range(1, 6):
            await one_case(here, number, dispatched(), SIGNED)
        await p.follow_until()
        finish = p._finish

        async def meanwhile(*said: Any) -> None:
            await one_case(here, 10 + len(await tables(p)), dispatched())
            await here.record("institution", "2025-09-01 12:00", revised(2025, off="2025-06-18"))
            async with here.projections() as other:
                await other.follow_until()
            await finish(*said)

        monkeypatch.setattr(p, "_finish", meanwhile)
        made = await p.rebuild("clocks", compare=True)
        assert made[0].differences == 0
        await p.follow_until()
        assert await tables(p) == await from_scratch(here, p)


async def test_a_reader_who_stays_hinders_neither_the_switch_nor_those_who_follow(city: City):
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1, dispatched())
        await p.follow_until()
        async with p._snapshot("orders") as snapshot:
            assert len(await snapshot.ask("list", None, None, None, 10)) == 1
            await p.rebuild("orders")
            await one_case(here, 2, dispatched())
            await p.follow_until()
            assert len((await p.list_orders()).rows) == 2
            assert len(await snapshot.ask("list", None, None, None, 10)) == 1
            await p.drop("orders")
            assert {(s.version, s.state) for s in await p.status() if s.name == "orders"} == {
                (1, "retired"),
                (2, "following"),
            }
        await p.drop("orders")
        assert {(s.version, s.state) for s in await p.status() if s.name == "orders"} == {(2, "following")}


async def test_a_question_that_meets_a_switch_is_answered_from_the_new_table(
    city: City, monkeypatch: pytest.MonkeyPatch
):
    async with world(city) as here, here.projections() as p, here.projections() as other:
        await one_case(here, 1, dispatched())
        await p.follow_until()
        asked: list[bytes] = []

        async def switching(connection: engine.Connection, statement: bytes, *said: object) -> list[tuple[Any, ...]]:
            found = await engine.rows(connection, statement, *said)
            if not asked:
                asked.append(statement)
                await other.rebuild("orders")
            return found

        monkeypatch.setattr(answers, "rows", switching)
        assert len((await p.list_orders()).rows) == 1
        assert asked == [p._sql["active"]]


async def test_following_goes_on_while_tables_are_made_again(city: City, monkeypatch: pytest.MonkeyPatch):
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1, dispatched())
        await p.follow_until()
        finish = p._finish

        async def slowly(*said: Any) -> None:
            await one_case(here, 2, dispatched())
            assert len((await p.counts_by_unit(at("2025-06-20 09:00"))).rows) == 1
            assert (await p.follow_until()).applied > 0
            assert len((await p.list_orders()).rows) == 2
            await finish(*said)

        monkeypatch.setattr(p, "_finish", slowly)
        made = await p.rebuild("orders", compare=True)
        assert made[0].differences == 0
        assert len((await p.list_orders()).rows) == 2


async def test_a_table_of_another_release_is_neither_followed_nor_read_until_it_is_made_again(city: City):
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1)
        await p.follow_until()
        p.projections["orders"] = p.projections["orders"]._replace(form=99)
        await one_case(here, 2)
        with pytest.raises(ProjectionOutdated):
            await p.follow_until((await here.ledger.head())[0])
        assert (await p.follow_until()).blocked == (f"orders: {ProjectionOutdated().sentence}",)
        with pytest.raises(ProjectionOutdated):
            await p.list_orders()
        assert [s.name for s in await p.status() if s.outdated] == ["orders"]
        await p.rebuild("orders", compare=True)
        await p.follow_until()
        assert len((await p.list_orders()).rows) == 2


# --- what is asked -----------------------------------------------------------------------------------------------


async def test_an_empty_city_has_empty_lists_and_no_lag(city: City):
    async with world(city) as here, here.projections() as p:
        await p.rebuild()
        followed = await p.follow_until()
        assert followed.position == followed.head > 0
        assert await p.counts_by_state() == (followed.head, {})
        assert await p.list_orders() == answers.Listing(followed.head, ())
        assert (await p.overdue(at("2025-06-16 09:00"))).rows == ()
        assert (await p.clock_counts_by_unit(at("2025-06-16 09:00"))).rows == ()
        assert {(s.lag, s.lag_seconds) for s in await p.status()} == {(0, 0.0)}


async def test_a_ledger_without_events_and_a_city_without_ledger(city: City):
    async with Projections(city.database.app, city.name) as p:
        followed = await p.follow_until()
        assert (followed.position, followed.head) == (0, 0)
    nowhere = Projections(city.database.app, "nowhere")
    with pytest.raises(NotInitialised):
        await nowhere.open()


async def test_lists_and_counts_say_what_they_are_asked(city: City):
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1, dispatched("B"), since="2025-06-16 09:00")
        await one_case(here, 2, dispatched("B2"), since="2025-06-17 09:00")
        await one_case(here, 3, dispatched("S"), since="2025-06-18 09:00")
        await one_case(here, 4, since="2025-06-19 09:00")
        await one_case(here, 5, dispatched("B"), SIGNED, REPLIED, INFORMED, ACCEPTED, CLOSED, since="2025-06-19 10:00")
        head = (await p.follow_until()).position
        assert await p.counts_by_state() == (head, {"registered": 1, "dispatched": 3, "closed": 1})

        async def numbers(**asked: Any) -> list[int]:
            return [row.id.int & 0xFFFF for row in (await p.list_orders(**asked)).rows]

        assert await numbers() == [1, 2, 3, 4, 5]
        assert await numbers(states=[OrderState.DISPATCHED]) == [1, 2, 3]
        assert await numbers(unit="B") == [1, 5]
        assert await numbers(unit="") == [4]
        dues = [row.overdue_from for row in (await p.list_orders()).rows if row.overdue_from is not None]
        assert await numbers(overdue=dues[0]) == []
        assert await numbers(overdue=dues[0] + timedelta(milliseconds=1)) == [1]
        assert await numbers(overdue=at("2026-01-01 00:00"), unit="B2") == [2]
        first = await p.list_orders(limit=2)
        assert first.more
        second = await p.list_orders(limit=3, after=first.rows[-1].id)
        assert [row.id.int & 0xFFFF for row in second.rows] == [3, 4, 5]
        assert not second.more
        by_due = [(row.due, row.id) for row in (await p.orders_by_due()).rows if row.due is not None]
        assert by_due == sorted(by_due)
        assert [row.id for row in (await p.orders_by_due(after=by_due[0])).rows] == [one for _, one in by_due[1:]]
        units = {row.unit: (row.orders, row.open) for row in (await p.counts_by_unit(at("2025-06-20 09:00"))).rows}
        assert units == {"": (1, 1), "B": (2, 1), "B2": (1, 1), "S": (1, 1)}


async def test_a_units_counts_and_lists_hold_what_its_predecessors_were_given(city: City):
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1, dispatched("B2"))
        await one_case(here, 2, dispatched("B"))
        succeeded = UnitSucceeded(from_units=("B2",), to_units=("B",), at=at("2025-07-01 00:00"), basis=BASIS)
        await here.record("institution", "2025-06-17 00:00", succeeded)
        await p.follow_until()
        before, after = at("2025-06-30 00:00"), at("2025-07-02 00:00")
        assert {row.unit for row in (await p.counts_by_unit(before)).rows} == {"B", "B2"}
        assert [(row.unit, row.orders) for row in (await p.counts_by_unit(after)).rows] == [("B", 2)]
        assert {row.unit for row in (await p.clock_counts_by_unit(after)).rows} == {"", "B"}
        assert {row.unit for row in (await p.overdue(after, unit="B")).rows} == {"B", "B2"}
        assert {row.unit for row in (await p.overdue(before, unit="B")).rows} == {"B"}


async def test_how_clocks_stand_is_counted_as_the_rules_say_at_any_instant(city: City):
    async with world(city) as here, here.projections() as p:
        for name, when, facts in a_history(7, 40):
            await here.record(name, when, *facts)
        await p.follow_until()
        law = await here.ledger.law()
        states = [order.fold(await here.ledger.history(stream(number))) for number in range(1, 41)]
        found = [c for state in states if state is not None for c in clock_rules.clocks(state, law)]
        for now in (at("2025-09-16 00:00"), at("2025-10-01 12:00"), at("2025-10-20 00:00"), at("2026-03-01 00:00")):
            duties = [c for c in found if c.name not in clock_rules.WINDOWS]
            expected = Counter((law.successor(c.unit, now), str(c.status(now))) for c in duties)
            counted = Counter(
                {
                    (row.unit, status): getattr(row, status)
                    for row in (await p.clock_counts_by_unit(now)).rows
                    for status in map(str, clock_rules.Status)
                    if getattr(row, status)
                }
            )
            assert counted == expected
            late = [c for c in found if c.running and c.breached(now)]
            listed = await p.overdue(now, limit=1000)
            assert len(listed.rows) == len(late)
            instants = [row.late_after for row in listed.rows if row.late_after is not None]
            assert len(instants) == len(late)
            assert instants == sorted(instants)
            page = await p.overdue(now, limit=5)
            rest = await p.overdue(now, limit=1000, after=page.rows[-1]) if page.more else page
            assert not page.more or page.rows + rest.rows == listed.rows


async def test_an_order_is_found_by_its_number_its_old_number_and_the_beginning_of_its_id(city: City):
    async with world(city) as here, here.projections() as p:
        await here.record(stream(1), "2025-06-16 09:00", registered(old_number="旧-1"), NUMBER)
        await here.record(stream(2), "2025-06-16 10:00", registered(old_number="旧-1"), NUMBER)
        await p.follow_until()
        found = await p.order_by_number(" CD20250616-000001 ")
        assert found.id == order_id(1)
        assert (await p.order_by_number(str(order_id(2)))).id == order_id(2)
        assert (await p.order_by_number(stream(2))).id == order_id(2)
        assert (await p.order_by_number(str(order_id(2))[:13])).id == order_id(2)
        assert len((await p.find_orders("旧-1")).rows) == 2
        with pytest.raises(NumberAmbiguous):
            await p.order_by_number("旧-1")
        with pytest.raises(NumberAmbiguous):
            await p.order_by_number(str(order_id(2))[:8])
        for unknown in ("CD20250616-000009", "0197", "ffffffff", "%"):
            with pytest.raises(UnknownOrder):
                await p.order_by_number(unknown)


async def test_notices_are_listed_with_when_their_reply_falls_due(city: City):
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1, dispatched(), SIGNED, notice(), notice(kind=NoticeKind.REMINDER, limit=None))
        head = (await p.follow_until()).position
        listed = await p.list_notices(unit="B", only_open=True)
        assert listed.position == head
        assert [(row.no, row.kind, row.reply_due is not None) for row in listed.rows] == [
            (1, "system", True),
        ]
        assert [(row.no, row.kind, row.state) for row in (await p.notices_of(order_id(1))).rows] == [
            (1, "system", "served"),
            (2, "reminder", "closed"),
        ]
        assert (await p.list_notices(unit="S")).rows == ()
        assert (await p.list_notices(limit=1)).more
        assert not (await p.list_notices(limit=1, after=(order_id(1), 1))).more


async def test_nothing_private_reaches_a_table(city: City):
    applicant = Applicant(kind=ApplicantKind.PERSON, name="王小明", phone="13800000000")
    async with world(city) as here, here.projections() as p:
        informant = registered(applicant=applicant, confidentiality=Confidentiality.PRIVACY, address="东街1号")
        await here.record(stream(1), "2025-06-16 09:00", informant)
        await here.record(stream(1), "2025-06-16 10:00", dispatched(), SIGNED, REPLIED, INFORMED, notice(facts=WORDS))
        await p.follow_until()
        held = repr(await tables(p))
        assert "路灯不亮" in held
        for private in ("王小明", "13800000000", "东街1号", WORDS, "box"):
            assert private not in held


# --- the code agrees with its tables -----------------------------------------------------------------------------


async def test_the_columns_of_a_table_are_the_fields_of_its_rows_in_their_order(city: City):
    types = {"text": "text", "int8": "bigint", "bool": "boolean", "timestamptz": "timestamp with time zone"}
    async with world(city) as here, here.projections() as p:
        for name, projection in p.projections.items():
            columns = await here.sql(
                "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute"
                f" WHERE attrelid = 'p.{name}_1'::regclass AND attnum > 0 ORDER BY attnum"
            )
            assert [column[0] for column in columns] == list(projection.row.__struct_fields__)
            assert [column[1] for column in columns] == [types.get(t, t) for t in engine.column_types(projection)]
            optional = [type(None) in getattr(f.type, "__args__", ()) for f in msgspec.structs.fields(projection.row)]
            assert [not column[2] for column in columns] == optional


def test_how_far_a_changed_calendar_reaches():
    law = given.law(PACK)
    assert not case.reach(law, law)

    def after(fact: Fact) -> case.Reach:
        entry = given.Entry(
            event=fact,
            stream="institution",
            version=9999,
            position=9999,
            recorded_at=at("2025-01-01 00:00"),
            actor=CLERK,
        )
        return case.reach(law, institution.evolve(law, entry))

    assert after(revised(2025, makeup="2025-10-12")) == case.Reach(due_from=at("2025-10-12 00:00"))
    assert after(revised(2025, off="2025-06-18")) == case.Reach(due_from=at("2025-06-18 00:00"))
    assert not after(revised(2025))
    presumed = msgspec.structs.replace(given.calendars()[-1], year=2031, version=1)
    assert after(institution.CalendarPublished(calendar=presumed)) == case.Reach(due_from=at("2031-01-01 00:00"))
    assert after(published(given.pack(OVERLAY))).everything
    named = {"unit": "B", "level": UnitLevel.SECOND, "kind": UnitKind.DEPARTMENT, "valid_from": at("2025-09-01").date()}
    assert not after(UnitChanged(name="东区住建和水务局", parent="D", **named))
    assert after(UnitChanged(name="东区住建局", parent="E", **named)) == case.Reach(units=True)
    assert after(published(given.pack("S4-BEIJING"))) == case.Reach(
        beside_from=BEGINNING
    )  # no case, only what asks for the day
