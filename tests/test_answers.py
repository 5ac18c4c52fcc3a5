"""What the read models answer: search, duties page by page, units with their load, indicators as whole numbers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from itertools import product
from typing import Any

import pytest

from domain.steps.evaluation import EvaluationRecorded, RedoOrdered
from domain.steps.revisiting import RevisitCompleted
from domain.terms import Dimension, EvaluationSource, OrderState, Rating, RedoGround, Resolution, RevisitMethod, Role
from domain.units import UnitSucceeded
from projections import answers
from projections.answers import Listing, Projections
from projections.clocks import ClockRow
from projections.figures import INDICATORS, Cell, Figure, Shape, Side, Tally, figures
from projections.orders import OrderRow
from projections.search import grams, words
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
    a_history,
    dispatched,
    notice,
    one_case,
    order_id,
    registered,
    stream,
    tables,
    world,
)

MONTH = (at("2025-06-01 00:00"), at("2025-07-01 00:00"))


async def titled(here: World, number: int, title: str, **said: str) -> None:
    await here.record(stream(number), "2025-06-16 09:00", registered(title=title, **said))


# --- search ------------------------------------------------------------------------------------------------------


def test_a_text_is_found_by_its_neighbouring_characters_and_its_words():
    assert grams("路灯不亮") == {"路灯", "灯不", "不亮"}
    assert grams("树") == {"树"}
    assert grams("5G 基站ＡＢ") == {"5g", "基站", "ab"}
    assert words("东区，57号路 LED") == ["东区", "57", "号路", "led"]
    assert grams(" ，。") == set()


async def test_orders_are_found_by_words_of_title_category_and_place_the_newest_first(city: City):
    async with world(city) as here, here.projections() as p:
        await titled(here, 1, "路灯不亮", place="东区河滨街道")
        await titled(here, 2, "河滨路路灯闪烁", place="西区")
        await titled(here, 3, "灯不亮了", place="人民路12号院")
        await p.follow_until()

        async def found(text: str) -> list[int]:
            return [row.id.int & 0xFFFF for row in (await p.search(text)).rows]

        assert await found("路灯") == [2, 1]
        assert await found("不亮") == [3, 1]
        assert await found("路灯 河滨") == [2, 1]
        assert await found("河滨街道") == [1]
        assert await found("河滨路") == [2], "every pair of a longer word, and in a row"
        assert await found("12号") == await found("12号院") == [3], "a character beside a number is a word cut short"
        assert await found("2号") == []
        assert await found("闪") == [2]
        assert await found("路") == [3, 2, 1]
        assert await found("河滨 东") == [1]
        assert await found("水管") == []
        assert await found("，") == []
        page = await p.search("路灯", limit=1)
        assert (page.more, [row.id for row in page.rows]) == (True, [order_id(2)])
        rest = await p.search("路灯", limit=1, before=page.rows[-1].id)
        assert (rest.more, [row.id for row in rest.rows]) == (False, [order_id(1)])


async def test_percent_and_underscore_are_characters_like_others(city: City):
    async with world(city) as here, here.projections() as p:
        await titled(here, 1, "路灯不亮")
        await p.follow_until()
        assert (await p.search("%")).rows == ()
        assert [row.id for row in (await p.search("路灯%_\\")).rows] == [order_id(1)]


# --- duties ------------------------------------------------------------------------------------------------------


async def test_a_units_duties_come_page_by_page_the_next_due_first(city: City):
    async with world(city) as here, here.projections() as p:
        for number in range(1, 5):
            since = at("2025-06-16 09:00") + timedelta(days=number)
            await one_case(here, number, dispatched(), notice(), since=f"{since:%Y-%m-%d %H:%M}")
        await p.follow_until()
        whole = (await p.duties("B", limit=100)).rows
        assert {row.command for row in whole} >= {"reply", "reply_notice"}
        assert [row.due for row in whole if row.due] == sorted(row.due for row in whole if row.due)
        paged, after = [], None
        for _ in range(len(whole) + 1):
            page = await p.duties("B", limit=2, after=after)
            paged += page.rows
            after = page.rows[-1]
            if not page.more:
                break
        assert paged == [*whole]
        only = (await p.duties("B", roles=[Role.ORG_HANDLER], limit=100)).rows
        assert {"org_handler"} <= set.intersection(*(set(row.roles) for row in only))
        of_one = (await p.duties_of(order_id(1))).rows
        assert [row.no for row in of_one] == [*range(1, len(of_one) + 1)]


async def test_duties_without_a_time_come_last_and_one_after_another(city: City):
    async with world(city) as here, here.projections() as p:
        for number in (1, 2, 3):
            await one_case(here, number, dispatched(), SIGNED, REPLIED, INFORMED)
        await p.follow_until()
        reviews = [row for row in (await p.duties("", limit=100)).rows if row.command == "review_reply"]
        assert len(reviews) == 3
        assert all(row.due is None for row in reviews)
        seen, after = [], None
        while True:
            page = await p.duties("", limit=1, after=after)
            seen += page.rows
            if not page.more:
                break
            after = page.rows[-1]
            assert len(seen) < 50, "a page repeats"
        assert seen == [*(await p.duties("", limit=100)).rows]
        signed_by_me = (await p.duties("", user="import", limit=100)).rows
        assert not any(row.command == "review_reply" for row in signed_by_me), "who signed the reply reviews it not"


async def test_an_heir_finds_the_duties_of_the_unit_it_took_over(city: City):
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1, dispatched("B2"))
        await here.record(
            "institution",
            "2025-06-20 00:00",
            UnitSucceeded(from_units=("B2",), to_units=("B",), at=at("2025-06-20 00:00"), basis=BASIS),
        )
        await p.follow_until()
        assert {row.unit for row in (await p.duties("B")).rows} == {"B2"}
        load = {unit.unit: unit for unit in (await p.units(at("2025-06-21 00:00"))).rows}
        assert (load["B2"].heir, load["B2"].active, load["B2"].orders) == ("B", False, 1)
        assert (load["B"].heir, load["B"].active, load["B"].parent) == ("B", True, "D")
        assert load["B2"].duties > 0


# --- indicators --------------------------------------------------------------------------------------------------


def of(found: tuple[Figure, ...], code: str, part: str = "") -> tuple[int, int | None]:
    figure = next(f for f in found if f.code == code and f.part == part)
    return figure.above, figure.below


RATED = {Dimension.RESULT: Rating.SATISFIED}
VISITED = RevisitCompleted(
    round=1, method=RevisitMethod.PHONE, script_version="v1", reply=1, resolution=Resolution.RESOLVED
)
EVALUATED = EvaluationRecorded(round=1, reply=1, source=EvaluationSource.CITIZEN_SELF, ratings=RATED)


async def test_indicators_count_what_happened_in_the_period_and_nothing_else(city: City):
    async with world(city) as here, here.projections() as p:
        whole = (dispatched(), SIGNED, REPLIED, INFORMED, ACCEPTED, EVALUATED, VISITED, CLOSED)
        await one_case(here, 1, *whole, since="2025-06-03 09:00")
        await one_case(here, 2, dispatched("S"), since="2025-06-02 09:00")
        await one_case(here, 3, *whole, since="2025-05-05 09:00")
        await p.follow_until()
        found = (await p.indicators(*MONTH)).rows
        assert len(found) == len(INDICATORS)
        assert of(found, "I3") == (0, 2)
        assert of(found, "I10") == (1, 2), "the one of May fell due in May, the one of S was never answered"
        assert of(found, "I11") == (1, 2)
        assert of(found, "I9a") == (1, 1)
        assert of(found, "I9b") == (1, 1)
        assert of(found, "I8") == (1, 1)
        assert of(found, "I17") == (1, 1)
        assert of(found, "I28") == (1, 1)
        assert of(found, "I12a") == (0, 2)
        assert of(found, "I24") == (0, None)
        by_unit = (await p.indicators(*MONTH, by="unit")).rows
        assert of(by_unit, "I10", "B") == (1, 1)
        assert of(by_unit, "I10", "S") == (0, 1)
        assert {f.above for f in by_unit if f.code == "I10" and f.part not in ("B", "S")} <= {0}
        only = (await p.indicators(*MONTH, unit="S")).rows
        assert of(only, "I10") == (0, 1)
        assert of((await p.indicators(*MONTH, demand_type="consult")).rows, "I10") == (0, 0)
        behind = (await p.behind("I10", Side.MISSED, *MONTH)).rows
        assert [fact.order_id for fact in behind] == [order_id(2)]


async def test_an_order_done_again_twice_counts_once(city: City):
    async with world(city) as here, here.projections() as p:
        again = [RedoOrdered(round=n, ground=RedoGround.NOT_DONE, requirements="重做") for n in (2, 3)]
        await one_case(here, 1, dispatched(), SIGNED, REPLIED, INFORMED, ACCEPTED, *again)
        await p.follow_until()
        assert of((await p.indicators(*MONTH)).rows, "I16") == (1, 1)


async def test_parts_add_up_to_the_whole(city: City):
    async with world(city) as here, here.projections() as p:
        for number, unit in enumerate(["B", "B2", "S", "B"], 1):
            await one_case(here, number, dispatched(unit), SIGNED, REPLIED, INFORMED, ACCEPTED, CLOSED)
        await p.follow_until()
        whole = (await p.indicators(*MONTH)).rows
        for by in ("unit", "type", "area"):
            parts = (await p.indicators(*MONTH, by=by)).rows
            for indicator in INDICATORS:
                if indicator.shape is Shape.MEDIAN:
                    continue  # of all together it is not that of the parts
                own = [f for f in parts if f.code == indicator.code]
                assert sum(f.above for f in own) == of(whole, indicator.code)[0], (by, indicator.code)


def test_a_rate_with_nothing_below_it_has_no_value():
    tally = Tally()
    empty = {figure.code: figure for figure in figures([("", tally)])}
    assert {figure.value for figure in empty.values()} == {None}
    tally.add(("handle", True, False, False, ""), Cell(3, 0, 0))
    tally.add(("handle", False, False, False, ""), Cell(1, 0, 0))
    tally.add(("evaluated", True, True, False, ""), Cell(1, 0, 0))
    tally.add(("evaluated", True, False, False, ""), Cell(1, 0, 0))
    tally.add(("evaluated", False, False, True, ""), Cell(5, 0, 0))
    held = {figure.code: figure for figure in figures([("", tally)])}
    assert held["I10"].value == 0.75
    assert (held["I9a"].above, held["I9a"].below) == (2, 2)
    assert (held["I9b"].above, held["I9b"].below) == (1, 1)


async def test_a_question_of_many_things_is_true_at_one_position(city: City):
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1, dispatched())
        followed = await p.follow_until()
        answers = [await p.indicators(*MONTH), await p.duties("B"), await p.units(MONTH[1]), await p.search("路灯")]
        assert {answer.position for answer in answers} == {followed.position}


async def test_an_empty_city_has_figures_without_value_and_no_parts(city: City):
    async with world(city) as here, here.projections() as p:
        await p.follow_until()
        found = (await p.indicators(*MONTH)).rows
        assert [f.code for f in found] == [indicator.code for indicator in INDICATORS]
        assert {f.value for f in found} == {None}
        for by in ("unit", "type", "area"):
            assert (await p.indicators(*MONTH, by=by)).rows == ()


# --- page by page ------------------------------------------------------------------------------------------------


async def paged(ask: Callable[[Any], Awaitable[Listing[Any]]], key: Callable[[Any], Any]) -> list[Any]:
    """Return the rows of all pages, each asked for behind the last row of the one before."""
    found, after = list[Any](), None
    while True:
        page = await ask(after)
        found += page.rows
        if not page.more:
            return found
        after = key(page.rows[-1])


async def test_pages_of_every_list_together_are_what_a_look_at_every_row_finds(city: City):
    now = at("2025-09-27 12:00")
    async with world(city) as here, here.projections() as p:
        for name, when, facts in a_history(11, 40):
            await here.record(name, when, *facts)
        await p.follow_until()
        law = await here.ledger.law()
        every = (await p.list_orders(limit=100)).rows
        clocks = [ClockRow(*row) for row in (await tables(p))["clocks"]]
        working = [OrderState.WORKING, OrderState.DISPATCHED, OrderState.WORKING]
        assert len(every) == 40
        for unit, states, late in product((None, "", "B", "S"), (None, working), (None, now)):
            wanted = [
                row
                for row in every
                if (unit is None or law.successor(row.unit, at("2026-01-01 00:00")) == unit)
                and (states is None or row.state in states)
                and (late is None or (row.overdue_from is not None and row.overdue_from < late))
            ]
            asked = {"unit": unit, "states": states, "overdue": late, "limit": 3}
            assert await paged(partial(_orders, p, asked), lambda row: row.id) == wanted
        for unit in (None, "B", "S"):
            running = [
                row
                for row in clocks
                if row.late_after is not None
                and row.late_after < now
                and row.stopped_at is None
                and row.cancelled_at is None
                and (unit is None or law.successor(row.unit, now) == unit)
            ]
            running.sort(key=lambda row: (row.late_after, row.order_id, row.no))
            assert (
                await paged(lambda after, u=unit: p.overdue(now, unit=u, limit=2, after=after), lambda r: r) == running
            )
            due = [row for row in every if row.due is not None]
            due = [row for row in due if unit is None or law.successor(row.due_unit, at("2026-01-01 00:00")) == unit]
            due.sort(key=lambda row: (row.due, row.id))
            found = await paged(
                lambda after, u=unit: p.orders_by_due(unit=u, limit=2, after=after), lambda r: (r.due, r.id)
            )
            assert found == due


async def _orders(p: Projections, asked: dict[str, Any], after: Any) -> Listing[OrderRow]:
    return await p.list_orders(**asked, after=after)


@pytest.mark.parametrize("newest", [0, 1, 4, 5000])
async def test_a_search_finds_the_same_whether_among_the_newest_or_by_the_index(
    city: City, monkeypatch: pytest.MonkeyPatch, newest: int
):
    monkeypatch.setattr(answers, "NEWEST", newest)
    async with world(city) as here, here.projections() as p:
        for number in range(1, 10):
            await one_case(here, number)
        await p.follow_until()
        every = [row.id for row in (await p.list_orders()).rows][::-1]
        found = await paged(lambda before: p.search("路灯", limit=2, before=before), lambda row: row.id)
        assert [row.id for row in found] == every
        assert (await p.search("水管")).rows == ()
