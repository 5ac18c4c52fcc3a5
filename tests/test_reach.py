"""How far a change of the law reaches: each table finds by itself whatever it has to say anew."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest

from domain import institution
from domain.matters.notices import UnitNoticeIssued
from domain.policy import Option, Pack, ref
from domain.steps.extending import ExtensionRequested
from domain.steps.filing import OrderArchived
from domain.steps.recourse import AppealDecided, AppealFiled
from domain.terms import (
    AppealGround,
    Fact,
    Limit,
    LimitUnit,
    NoticeGround,
    NoticeKind,
    UnitKind,
    UnitLevel,
)
from domain.units import UnitChanged, UnitSucceeded
from projections.answers import PROJECTIONS
from projections.engine import Engine
from tests import given
from tests.conftest import City
from tests.given import at
from tests.test_projections import (
    ACCEPTED,
    BASIS,
    CLOSED,
    INFORMED,
    REPLIED,
    SIGNED,
    World,
    dispatched,
    from_scratch,
    one_case,
    published,
    registered,
    revised,
    stream,
    tables,
    world,
)

SINCE = "2025-09-15 09:00"


def with_option(name: str, **options: object) -> Pack:
    """A pack with these options changed."""
    pack = given.pack(name)
    kept = [option for option in pack.options if option.name not in options]
    changed = [Option(name=option, value=value, basis=BASIS) for option, value in options.items()]
    return msgspec.structs.replace(pack, options=(*kept, *changed))


OVERLAPPING = with_option("S4-BEIJING", peak_basis="any_overlap")
CLOSING_AT_FIVE = with_option("S1-CHENGDU", day_end="17:30")
NOTICE = UnitNoticeIssued(
    kind=NoticeKind.SPECIAL,
    ground=NoticeGround.CONCENTRATED,
    unit="B",
    facts="事实",
    demand="要求",
    limit=Limit(amount=5, unit=LimitUnit.WORKING_DAYS),
    served_by_system=True,
)
ASKED = ExtensionRequested(assignment=1, unit="B2", days=3, reason="事由", due=at("2025-09-25 00:00"))
APPEAL = AppealFiled(
    unit="B",
    indicator="I10",
    ground=AppealGround.FORCE_MAJEURE,
    published_at=at("2025-12-01 09:00"),
    issuer="h-manager",
    words="申诉",
)
UPHELD = AppealDecided(appeal=1, upheld=True, words="成立")
ARCHIVED = OrderArchived(keep="dossier", period="D10", basis=BASIS)


def outage(*units: str) -> Fact:
    return institution.OutageDeclared(
        proposal=0,
        from_at=at("2025-09-20 00:00"),
        until=at("2025-10-20 00:00"),
        scope=institution.OutageScope.UNITS if units else institution.OutageScope.ALL,
        units=units,
        basis=BASIS,
    )


PEAK = institution.PeakModeDeclared(
    peak=1, from_at=at("2025-09-15 10:00"), until=at("2025-09-16 10:00"), reason="storm", traffic_ref="t1"
)
MOVED = UnitChanged(
    unit="B2",
    name="东区水务局",
    level=UnitLevel.SECOND,
    kind=UnitKind.DEPARTMENT,
    parent="E",
    valid_from=at("2025-09-10 00:00").date(),
)
TAKEN_OVER = UnitSucceeded(from_units=("B2",), to_units=("B",), at=at("2025-09-10 00:00"), basis=BASIS)
REPLACED = institution.PolicyPackPublished(
    pack=CLOSING_AT_FIVE, digest=ref(CLOSING_AT_FIVE).digest, valid_from=at("2025-09-10 00:00").date()
)


async def cases(here: World) -> None:
    """Cases and a notice to a unit, each at a place where some change of the law meets it."""
    await here.record("institution", "2025-01-01 09:00", published(OVERLAPPING), outage("D"))
    await one_case(here, 1, dispatched("B2"), SIGNED, since=SINCE)
    await here.record(stream(2), SINCE, msgspec.structs.replace(registered(), policy=ref(OVERLAPPING)))
    await one_case(here, 3, dispatched("B"), SIGNED, ASKED, since=SINCE)
    await one_case(here, 4, dispatched("B"), SIGNED, REPLIED, INFORMED, ACCEPTED, CLOSED, ARCHIVED, since=SINCE)
    await one_case(here, 5, dispatched("B2"), REPLIED, APPEAL, UPHELD, since=SINCE)
    await one_case(here, 6, dispatched("E1"), since=SINCE)
    await here.record(f"matter:{UUID(int=1)}", SINCE, NOTICE)


async def follow_each_alone(city: City) -> None:
    for projection in PROJECTIONS:
        async with Engine(city.database.app, city.name, [projection], page=3) as alone:
            await alone.follow_until()


@pytest.mark.parametrize(
    ("change", "met"),
    [
        (outage(), {"clocks", "indicators"}),
        (MOVED, {"clocks", "duties", "indicators", "orders"}),
        (TAKEN_OVER, {"indicators"}),
        (PEAK, {"agenda", "clocks", "duties", "indicators", "orders"}),
        (REPLACED, {"duties", "indicators", "matters"}),
        (revised(2025, makeup="2025-09-20"), {"agenda", "clocks", "duties", "indicators", "matters", "orders"}),
    ],
    ids=["outage", "moved", "succeeded", "peak", "pack", "calendar"],
)
async def test_each_table_finds_by_itself_what_a_change_of_law_reaches(city: City, change: Fact, met: set[str]):
    async with world(city) as here, here.projections() as p:
        await cases(here)
        await follow_each_alone(city)
        before = await tables(p)
        assert before == await from_scratch(here, p)
        await here.record("institution", "2025-09-15 12:00", change)
        await follow_each_alone(city)
        after = await from_scratch(here, p)
        assert await tables(p) == after
        assert {name for name in after if after[name] != before[name]} == met


async def test_a_notice_served_on_a_day_without_a_pack_stops_no_table_and_follows_the_pack_said_later(city: City):
    async with world(city, "CONSUMER-COMPLAINT") as here, here.projections() as p:
        await here.record(f"matter:{UUID(int=1)}", SINCE, NOTICE)
        assert (await p.follow_until()).blocked == ()
        assert [row.due for row in (await p.list_matters()).rows] == [at("2025-09-23 00:00")]
        await here.record("institution", "2025-09-15 12:00", REPLACED)
        await p.follow_until()
        assert [row.due for row in (await p.list_matters()).rows] == [at("2025-09-22 17:30")]
        assert await tables(p) == await from_scratch(here, p)
