"""拟办: what comes together is counted against the pack's figures, proposed once, and never done without a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from domain.matters.notices import IssueUnitNotice
from domain.policy import Option, Rules
from domain.state import WorkOrder
from domain.steps.coordinating import CoordinationMeetingHeld, Decision, DecisionCarriedOut
from domain.steps.linking import DuplicateLinked, OrdersMerged
from domain.steps.returning import ReturnApproved, ReturnRequested
from domain.terms import (
    Actor,
    CitedText,
    Limit,
    LimitUnit,
    Mark,
    NoticeGround,
    NoticeKind,
    OrderState,
    Origin,
    ReturnGround,
    Role,
)
from projections.answers import Crowded, Rated, Returned
from supervision.proposals import Acted, Proposal, Tied, Together, propose, proposed
from tests import given
from tests.conftest import City
from tests.given import BASIS, at, working
from tests.test_projections import NUMBER, SIGNED, World, dispatched, order_id, registered, stream, world

S0 = "S0-CHUANYU"
NOW = at("2025-06-30 09:00")
MANAGER = Actor(user="m", role=Role.HOTLINE_MANAGER, unit="H")
DAY = timedelta(days=1)


def rules(**options: Any) -> Rules:
    pack = given.pack(S0)
    kept = tuple(one for one in pack.options if one.name not in options)
    said = tuple(Option(name=name, value=value, basis=BASIS) for name, value in options.items())
    return Rules(msgspec.structs.replace(pack, options=kept + said))


def cases(*numbers: int, when: str = "2025-06-20 09:00") -> dict[UUID, WorkOrder]:
    """Cases in hand with unit B, each registered at its instant."""
    model = given.given(working(S0)).order
    begun = Mark(at(when), 1)
    return {
        order_id(n): msgspec.structs.replace(model, id=order_id(n), stream=stream(n), registered=begun) for n in numbers
    }


def told(found: Together, **options: Any) -> list[Proposal]:
    return list(propose(found, rules(**options), NOW))


# --- cases -------------------------------------------------------------------------------------------------------


def test_an_order_given_back_twice_is_proposed_for_a_meeting_or_the_site():
    (one,) = told(Together(returned=[Returned(order_id(1), 2, NOW - DAY)], cases=cases(1)))
    assert (one.ground, one.order_id, one.unit, one.count, one.threshold) == ("circulating", order_id(1), "B", 2, 2)
    assert one.kinds == (NoticeKind.MEETING, NoticeKind.ONSITE)
    assert one.by == (Role.COORDINATOR, Role.HOTLINE_MANAGER)
    assert one.article == "A-11"
    once = Together(returned=[Returned(order_id(1), 1, NOW - DAY)], cases=cases(1))
    assert told(once) == []
    assert told(once, circulating=1)[0].basis == BASIS


def test_a_case_that_is_over_calls_nobody_together():
    (open_case,) = cases(1).values()
    filed = msgspec.structs.replace(open_case.filing, closed=Mark(NOW, 2))
    over = msgspec.structs.replace(open_case, state=OrderState.CLOSED, filing=filed)
    assert told(Together(returned=[Returned(order_id(1), 3, NOW)], cases={order_id(1): over})) == []


def test_the_same_matter_three_times_in_thirty_days_is_a_repeated_complaint():
    tied = [Tied(order_id(2), order_id(1), False, NOW - 9 * DAY), Tied(order_id(3), order_id(2), False, NOW - DAY)]
    (one,) = told(Together(tied=tied, cases=cases(1, 2, 3)))
    assert (one.ground, one.order_id, one.count) == ("repeated", order_id(3), 3)
    assert set(one.orders) == {order_id(1), order_id(2), order_id(3)}
    first = cases(2, 3) | cases(1, when="2025-05-30 09:00")
    assert told(Together(tied=tied, cases=first)) == [], "the first one was thirty-one days ago"
    assert told(Together(tied=tied[:1], cases=cases(1, 2))) == []


def test_many_callers_about_one_matter_are_proposed_as_a_hot_issue():
    tied = [Tied(order_id(n), order_id(1), True, NOW - DAY) for n in range(2, 6)]
    (one,) = told(Together(tied=tied, cases=cases(1)))
    assert (one.ground, one.order_id, one.count, len(one.orders)) == ("hot_issue", order_id(1), 5, 5)
    assert told(Together(tied=tied[:-1], cases=cases(1))) == []
    assert told(Together(tied=tied, cases=cases(1)), mass=None) == []


def test_orders_that_come_back_to_each_other_end_the_walk():
    tied = [Tied(order_id(1), order_id(2), False, NOW), Tied(order_id(2), order_id(1), False, NOW)]
    assert told(Together(tied=tied, cases=cases(1, 2))) == []


# --- units -------------------------------------------------------------------------------------------------------


def test_a_unit_with_many_orders_of_one_category_is_proposed_for_special_supervision():
    crowded = [Crowded("B", "供水", 20, NOW - DAY), Crowded("C", "供水", 19, NOW - DAY)]
    (one,) = told(Together(crowded=crowded))
    assert (one.ground, one.unit, one.category, one.count, one.order_id) == ("concentrated", "B", "供水", 20, None)
    assert (one.kinds, one.by) == ((NoticeKind.SPECIAL, NoticeKind.ONSITE), (Role.HOTLINE_MANAGER,))
    assert [p.unit for p in told(Together(crowded=crowded), concentrated=19)] == ["B", "C"]
    assert told(Together(crowded=crowded), concentrated=None) == []


def test_low_evaluation_is_counted_in_whole_numbers_and_from_enough_of_them():
    def rated(satisfied: int, evaluated: int) -> list[Proposal]:
        return told(Together(rated=[Rated("B", evaluated, satisfied, NOW)]))

    (one,) = rated(5, 10)
    assert (one.ground, one.count, one.of, one.threshold) == ("low_evaluation", 5, 10, 60)
    assert rated(6, 10) == [], "sixty of a hundred are not fewer than sixty"
    assert rated(0, 9) == []


# --- once --------------------------------------------------------------------------------------------------------


def test_what_somebody_acted_on_is_not_proposed_again_until_it_happens_again():
    returned = [Returned(order_id(1), 2, NOW - 5 * DAY)]

    def after(*acted: Acted, last: int = 5) -> list[Proposal]:
        again = [returned[0]._replace(last=NOW - last * DAY)]
        return told(Together(returned=again, cases=cases(1), acted=acted))

    circulating = NoticeGround.CIRCULATING
    assert after(Acted(order_id(1), circulating, NOW - 4 * DAY)) == []
    assert after(Acted(order_id(1), None, NOW - 4 * DAY)) == [], "a meeting"
    assert len(after(Acted(order_id(1), NoticeGround.OVERDUE, NOW - 4 * DAY))) == 1
    assert len(after(Acted(order_id(1), circulating, NOW - 4 * DAY), last=1)) == 1, "given back once more since"
    crowded = [Crowded("B", "供水", 25, NOW)]
    notice = Acted("B", NoticeGround.CONCENTRATED, NOW - 10 * DAY)
    assert told(Together(crowded=crowded, acted=[notice])) == []
    assert len(told(Together(crowded=crowded, acted=[notice._replace(at=NOW - 31 * DAY)]))) == 1


# --- from the ledger ---------------------------------------------------------------------------------------------


async def given_back(here: World, number: int, times: int) -> None:
    await here.record(stream(number), "2025-06-16 09:00", registered(S0), NUMBER)
    for turn in range(1, times + 1):
        day = at("2025-06-16 10:00") + turn * DAY
        await here.record(stream(number), day, dispatched("B"))
        asked = ReturnRequested(
            assignment=1,
            unit="B",
            ground=ReturnGround.NOT_OUR_DUTY,
            reason="不属职责",
            basis=BASIS,
            suggested_unit="E",
        )
        await here.record(stream(number), day + timedelta(hours=1), SIGNED)
        await here.record(stream(number), day + timedelta(hours=2), asked)
        await here.record(stream(number), day + timedelta(hours=3), ReturnApproved(return_no=1))
    await here.record(stream(number), at("2025-06-21 10:00"), dispatched("B"))


async def test_what_lies_in_the_ledger_is_proposed_and_what_people_did_ends_it(city: City):
    async with world(city, S0) as here, here.projections() as p:
        await given_back(here, 1, 2)
        await given_back(here, 2, 1)
        for number in range(11, 15):
            await here.record(stream(number), "2025-06-22 09:00", registered(S0), NUMBER)
            await here.record(stream(number), "2025-06-22 10:00", OrdersMerged(master=order_id(2), reason="同一事项"))
        for number in range(15, 17):
            await here.record(stream(number), "2025-06-23 09:00", registered(S0), NUMBER)
            await here.record(stream(number), "2025-06-23 10:00", DuplicateLinked(original=order_id(2), new_facts=True))
        for number in range(30, 50):
            await here.record(stream(number), "2025-06-24 09:00", registered(S0, category="供水"), NUMBER)
            await here.record(stream(number), "2025-06-24 10:00", dispatched("E"))
        await p.follow_until()
        found = await proposed(here.ledger, p, NOW)
        assert found.position == (await here.ledger.head())[0]
        assert {(one.ground, one.order_id or one.unit, one.count) for one in found.proposals} == {
            ("circulating", order_id(1), 2),
            ("hot_issue", order_id(2), 5),
            ("repeated", order_id(16), 3),
            ("concentrated", "E", 20),
        }
        meeting = CoordinationMeetingHeld(units=("B", "E"), minutes=CitedText(digest="sha256:" + "0" * 64))
        await here.record(stream(1), "2025-06-25 09:00", meeting)
        act = IssueUnitNotice(
            kind=NoticeKind.SPECIAL,
            ground=NoticeGround.CONCENTRATED,
            unit="E",
            facts="供水问题集中。",
            demand="限期整改。",
            limit=Limit(amount=5, unit=LimitUnit.WORKING_DAYS),
        )
        await here.ledger.execute(act, actor=MANAGER, command_id="special", occurred_at=NOW, origin=Origin.IMPORT)
        await p.follow_until()
        left = {one.ground for one in (await proposed(here.ledger, p, NOW + DAY)).proposals}
        assert left == {"hot_issue", "repeated"}


async def test_what_a_meeting_decided_and_nobody_did_by_its_day_is_proposed_for_the_site(city: City):
    told = tuple(Decision(unit=unit, what="清理", by=day) for unit, day in (("B", NOW.date()), ("E", None)))
    meeting = CoordinationMeetingHeld(units=("B", "E"), minutes=CitedText(words="纪要"), decisions=told)
    async with world(city, S0) as here, here.projections() as p:
        await here.record(stream(1), "2025-06-20 09:00", registered(S0), NUMBER)
        await here.record(stream(1), "2025-06-20 10:00", meeting)
        await p.follow_until()
        evening = at("2025-06-30 23:59")
        assert (await proposed(here.ledger, p, evening)).proposals == ()
        (one,) = (await proposed(here.ledger, p, evening + timedelta(minutes=2))).proposals
        assert (one.order_id, one.unit, one.kinds, one.count) == (order_id(1), "B", (NoticeKind.ONSITE,), 1)
        assert (one.ground, one.by) == (NoticeGround.NOTICE_IGNORED, (Role.HOTLINE_MANAGER,))
        done = DecisionCarriedOut(decision=1, unit="B", report="已清理", late=True)
        await here.record(stream(1), "2025-07-01 09:00", done)
        await p.follow_until()
        assert (await proposed(here.ledger, p, at("2025-07-01 10:00"))).proposals == ()


async def test_a_city_without_a_pack_in_force_is_proposed_nothing(city: City):
    async with world(city, S0) as here, here.projections() as p:
        await p.follow_until()
        assert (await proposed(here.ledger, p, at("1999-01-01 09:00"))).proposals == ()
