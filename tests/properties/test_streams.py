"""Streams beside the orders, the institution among them: any commands by anybody are decided or refused, never more."""

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import institution
from domain.calendar import CalendarYear
from domain.kinds import KINDS
from domain.matters.batches import handover_stream
from domain.matters.calls import call_stream
from domain.matters.publications import push_stream, report_stream, telephony_stream
from domain.refusals import Refusal
from domain.terms import Act, Role, UnitKind, UnitLevel
from domain.units import ChangeUnit, RegisterUnit, SucceedUnits
from tests.given import at, calendars, packs
from tests.properties.aims import UNITS, aims, somebody
from tests.properties.arbitrary import Aim, Maker
from tests.properties.promises import answered_alike, written_well
from tests.properties.town import BY_NAME, PACKS, Deed, Town, founded, person
from tests.properties.walking import judged

BESIDE = [kind.name for kind in KINDS if kind.name not in ("order", "institution")]
DAY = date(2025, 6, 1)


def stream_of(random: Random, kind: str, act: Act) -> str:
    """Where a command is sent: mostly to the stream that its content names."""
    if random.random() < 0.1:
        return f"{kind}:{UUID(int=random.randrange(3))}"
    match type(act).__name__:
        case "LogCall" | "RateService" | "FileServiceComplaint" | "VerifyServiceComplaint":
            return call_stream(getattr(act, "call_id", "C1"))
        case "PublishReport":
            said: Any = act
            return report_stream(said.report, said.period_from, said.period_until, said.scope or "")
        case "RecordPush":
            said = act
            return push_stream(said.consumer, said.day)
        case "ImportTelephonyStats":
            said = act
            return telephony_stream(said.source, said.day)
        case "HandOverPacket" | "RecordPacketReceipt":
            return handover_stream(getattr(act, "digest", ""))
        case _:
            return f"{kind}:{UUID(int=random.randrange(2))}"


def aimed(town: Town, stream: str, kind: type[Act]) -> dict[str | tuple[type, str], Aim]:
    """What makes sense for what is about no order."""
    return {
        **aims(town, stream, kind),
        "unit": lambda r: r.choice(UNITS),
        "units": lambda r: tuple({r.choice(UNITS) for _ in range(r.choice((1, 2)))}),
        "call_id": lambda r: r.choice(("C1", "C2")),
        "duty": lambda r: r.choice((1, 1, 2)),
        "request": lambda r: 1,
        "complaint": lambda r: 1,
        "proposal": lambda r: r.choice((town.law.proposals, 1, 2, 3)),
        "period_from": lambda r: DAY,
        "period_until": lambda r: DAY + timedelta(days=r.choice((0, 29))),
        "day": lambda r: DAY,
        "cut_off": lambda r: r.randrange(1, town.position),
        "orders": lambda r: (),
        "digest": lambda r: "sha256:" + r.choice("67") * 64,
        "first": lambda r: 1,
        "last": lambda r: 4,
        "left_out": lambda r: (3,),
        "cases": lambda r: 3,
        "refused": lambda r: (),
        "received_on": lambda r: town.now.date(),
        "answered": lambda r: 3,
        "queued": lambda r: 9,
        "calendar": some_year,
        "pack": lambda r: r.choice(list(packs().values())),
    }


def some_year(random: Random) -> CalendarYear:
    return random.choice(calendars())


def a_town(random: Random) -> Town:
    return founded(random.choice(PACKS), at("2025-07-01 09:00") + timedelta(days=random.randrange(600)))


def walked(seed: int, kinds: list[str], steps: int) -> Iterator[tuple[Town, Deed]]:
    """Yield what was accepted of random commands to streams of some kinds."""
    random = Random(seed)
    town, maker = a_town(random), Maker(random)
    for _ in range(steps):
        town = town.at(town.now + timedelta(minutes=random.choice((0, 3, 500, 9000))))
        kind = BY_NAME[random.choice(kinds)]
        command = random.choice(kind.commands)
        maker.now, maker.aims = town.now, aimed(town, kind.name, command)
        act = maker.make(command, aimed=random.random() < 0.9)
        stream = "institution" if kind.name == "institution" else stream_of(random, kind.name, act)
        deed = Deed(town.now, stream, somebody(random, town, None, sorted(command.roles)), act)
        try:
            town = judged(town, deed, [answered_alike, written_well])
        except Refusal:
            continue
        yield town, deed


@given(st.integers(0, 2**63))
def test_any_commands_to_streams_beside_the_orders_are_decided_or_refused(seed: int):
    for town, deed in walked(seed, BESIDE, 60):
        kind = BY_NAME[deed.stream.partition(":")[0]]
        state = None
        for entry in town.streams[deed.stream]:
            state = kind.evolve(state, entry)
        assert state == town.states[deed.stream]


@given(st.integers(0, 2**63))
def test_any_commands_to_the_institution_are_decided_or_refused_and_the_law_can_be_asked(seed: int):
    for town, _ in walked(seed, ["institution"], 60):
        law, now = town.law, town.now
        for unit in (*UNITS, "H", "nobody"):
            assert law.successor(law.successor(unit, now), now) == law.successor(unit, now)
            law.parent(unit, now)
            law.unit_name(unit, now)
        assert law.holders(Role.ADMIN, "H", now) or any(law.units.anybody(role, now) for role in Role)
        assert law.next_change(now) is None or law.next_change(now) > now  # type: ignore[operator]
        law.calendar(now)
        law.overlays(now)


@given(st.integers(0, 2**63))
def test_units_never_stand_above_themselves_and_the_hotline_stays_the_root(seed: int):
    random = Random(seed)
    town = a_town(random)
    for _ in range(25):
        one, other, now = *random.sample(UNITS, 2), town.now
        basis = {"basis": Maker(random).make(institution.Citation)}
        act = random.choice(
            (
                SucceedUnits(
                    from_units=(one,), to_units=(other,), at=now + timedelta(days=random.choice((-9, 0, 9))), **basis
                ),
                ChangeUnit(unit=one, parent=random.choice((other, "H"))),
                ChangeUnit(unit=one, level=random.choice(list(UnitLevel))),
                RegisterUnit(
                    unit=f"N{random.randrange(3)}", name="新", level=UnitLevel.SECOND, kind=UnitKind.STREET, parent=one
                ),
            )
        )
        try:
            town = town.does(Deed(now, "institution", person(Role.ADMIN, "H"), act))
        except Refusal:
            continue
        for when in (now, now + timedelta(days=30)):
            for unit in town.law.units.by_id:
                assert unit not in town.law.units.ancestors(unit, when)
                if unit != "H" and town.law.active(unit, when) and town.law.parent(unit, when) is None:
                    assert town.law.unit(unit).version(when).level is UnitLevel.OTHER  # type: ignore[union-attr]


OF_FILES = {"ProposeDisposal", "AgreeDisposal", "RejectDisposal"}
"""A list names files whose retention is over: a town of a few weeks has none."""


@pytest.mark.parametrize("kind", [*BESIDE, "institution"])
def test_the_walks_give_most_commands_of_every_kind(kind: str):
    done = {type(deed.act).__name__ for seed in range(60) for _, deed in walked(seed, [kind], 80)}
    wanted = {command.__name__ for command in BY_NAME[kind].commands} - OF_FILES
    never = wanted - done
    assert len(never) <= len(wanted) // 2, never
