"""What is said of a period: at a position, closed once published, with what changed since, and the orders behind it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from domain.matters.publications import PrivacyClass, PublishReport, ReportKind, ReportPublished, report_stream
from domain.refusals import CutOffAhead
from domain.steps.correcting import CorrectionRecorded
from domain.steps.evaluation import EvaluationDeemed, EvaluationRecorded, RedoOrdered, SatisfactionExemptSet
from domain.steps.recourse import AppealDecided, AppealFiled
from domain.terms import (
    AppealGround,
    Citation,
    Dimension,
    EvaluationSource,
    ExemptCategory,
    Fact,
    Rating,
    RedoGround,
)
from projections import figures
from projections.answers import Projections
from projections.figures import BY_CODE, INDICATORS, Figure, Side, percent
from projections.indicators import FACTS, counted_at
from supervision import indicators, reports
from supervision.indicators import NoOrdersBehind, Question
from supervision.reports import CutOffEarly
from tests.conftest import City
from tests.given import at
from tests.test_projections import (
    ACCEPTED,
    CLOSED,
    EVALUATED,
    INFORMED,
    REPLIED,
    SIGNED,
    World,
    a_history,
    dispatched,
    one_case,
    registered,
    stream,
    world,
)

SEPTEMBER = Question(since=at("2025-09-01 00:00"), until=at("2025-10-01 00:00"))
LATER = at("2026-06-01 00:00")
WHOLE = (at("2025-08-01 00:00"), at("2025-12-01 00:00"))


def of(found: Sequence[Figure], code: str, part: str = "") -> tuple[int, int | None]:
    return next(((f.above, f.below) for f in found if (f.code, f.part) == (code, part)), (0, 0))


# --- a position --------------------------------------------------------------------------------------------------


async def test_figures_of_a_position_are_those_that_the_table_had_there_and_stay_so(city: City):
    async with world(city) as here, here.projections() as p:
        told = a_history(5, 25)
        for name, when, facts in told[: len(told) // 2]:
            await here.record(name, when, *facts)
        then = (await p.follow_until()).position
        asked: list[dict[str, Any]] = [{"by": by} for by in ("", "unit", "type", "area")] + [
            {"unit": "B"},
            {"demand_type": "help"},
        ]
        held = [(await p.indicators(*WHOLE, **one)).rows for one in asked]
        assert [(await p.indicators(*WHOLE, **one, cut_off=then)).rows for one in asked] == held
        for name, when, facts in told[len(told) // 2 :]:
            await here.record(name, when, *facts)
        now = (await p.follow_until()).position
        assert [(await p.indicators(*WHOLE, **one, cut_off=then)).rows for one in asked] == held
        async with here.projections() as afresh:
            assert (await afresh.indicators(*WHOLE, cut_off=then)).rows == held[0], "read again from the events"
        assert (await p.indicators(*WHOLE)).rows != held[0]
        with pytest.raises(CutOffAhead):
            await p.indicators(*WHOLE, cut_off=now + 1)


async def test_the_orders_behind_each_figure_are_as_many_as_it_says(city: City):
    async with world(city) as here, here.projections() as p:
        for name, when, facts in a_history(8, 30):
            await here.record(name, when, *facts)
        again = [RedoOrdered(round=n, ground=RedoGround.NOT_DONE, requirements="重做") for n in (2, 3)]
        await one_case(
            here, 100, dispatched(), SIGNED, REPLIED, INFORMED, ACCEPTED, CLOSED, *again, since="2025-10-08 09:00"
        )
        position = (await p.follow_until()).position
        for unit in (None, "B"):
            found = {f.code: f for f in (await p.indicators(*WHOLE, unit=unit)).rows}
            for indicator in INDICATORS:
                figure = found[indicator.code]
                for side in Side:
                    rows = await every(p, indicator.code, side, unit)
                    past = (await p.behind(indicator.code, side, *WHOLE, unit=unit, cut_off=position, limit=999)).rows
                    assert rows == [*past], (indicator.code, side)
                    match figures.is_long(indicator), indicator.shape.value, side:
                        case False, "weighed", Side.ABOVE:
                            assert sum(row.seconds or 0 for row in rows) == figure.above
                        case False, "weighed", Side.BELOW:
                            assert 100 * len(rows) == figure.below
                        case True, "mean", Side.ABOVE:
                            assert sum(row.seconds or 0 for row in rows) == figure.above
                        case True, "mean", Side.BELOW:
                            assert len(rows) == figure.below
                        case False, _, Side.ABOVE:
                            assert len(rows) == figure.above, indicator.code
                        case False, "rate", Side.BELOW:
                            assert len(rows) == figure.below, indicator.code
                        case False, "rate", Side.MISSED if indicator.code != "I19":
                            assert len(rows) == (figure.below or 0) - figure.above, indicator.code
                        case _:
                            pass


async def every(p: Projections, code: str, side: Side, unit: str | None) -> list[Any]:
    found: list[Any] = []
    after = None
    while True:
        page = await p.behind(code, side, *WHOLE, unit=unit, limit=7, after=after)
        found += page.rows
        if not page.more:
            return found
        after = (page.rows[-1].at, page.rows[-1].order_id, page.rows[-1].no)


# --- closed periods ----------------------------------------------------------------------------------------------

RATED = {Dimension.RESULT: Rating.SATISFIED, Dimension.ATTITUDE: Rating.DISSATISFIED}
HANDLED = (dispatched(), SIGNED, REPLIED, INFORMED, ACCEPTED)


def published(cut_off: int, kind: ReportKind = ReportKind.ASSESSMENT, **said: Any) -> tuple[str, ReportPublished]:
    first, last = said.pop("period", (date(2025, 9, 1), date(2025, 9, 30)))
    event = ReportPublished(
        report=kind,
        title="九月考评",
        period_from=first,
        period_until=last,
        cut_off=cut_off,
        template_version="1",
        content_hash="sha256:" + "0" * 64,
        approver="manager",
        prepared_by="wang",
        recipients=("gov",),
        privacy_class=PrivacyClass.GOVERNMENT,
        **said,
    )
    return report_stream(kind, first, last, said.get("scope") or ""), event


async def test_a_published_month_keeps_its_figures_and_shows_what_came_later_as_adjustments(city: City):
    async with world(city) as here, here.projections() as p:
        name = await one_case(here, 1, *HANDLED, since="2025-09-03 09:00")
        await one_case(here, 2, dispatched("S"), since="2025-09-04 09:00")
        cut_off = (await p.follow_until()).position
        before = await indicators.answer(p, SEPTEMBER, LATER)
        assert (before.closed, before.closing, of(before.figures, "I10")) == (False, None, (1, 2))
        report, told = published(cut_off)
        await here.record(report, "2025-10-08 09:00", told)
        await p.follow_until()
        after = await indicators.answer(p, SEPTEMBER, LATER)
        assert (after.closed, after.position, after.adjustments) == (True, cut_off, ())
        assert after.figures == before.figures
        contest = AppealFiled(
            unit="S",
            indicator="I10",
            ground=AppealGround.FORCE_MAJEURE,
            published_at=at("2025-10-08 09:00"),
            issuer="manager",
            words="停电",
        )
        await here.record(stream(2), "2025-10-09 09:00", contest)
        await here.record(
            stream(2), "2025-10-10 09:00", AppealDecided(appeal=1, upheld=True, words="属实", exclusion="I10")
        )
        late = CorrectionRecorded(
            correction=1, version=4, field="at", basis="误记", new=at("2025-09-29 09:00").isoformat()
        )
        await here.record(name, "2025-10-11 09:00", late)
        position = (await p.follow_until()).position
        closed = await indicators.answer(p, SEPTEMBER, LATER)
        assert closed.figures == before.figures, "what was published stays"
        changed = {one.code: (one.above, one.below, one.above_now, one.below_now) for one in closed.adjustments}
        assert changed["I10"] == (1, 2, 0, 1), "the appeal took one late one out, the correction made another"
        assert changed["I11"] == (1, 2, 2, 2), "an appeal against I10 is against I10 alone"
        now = await indicators.answer(p, Question(since=SEPTEMBER.since, until=SEPTEMBER.until, current=True), LATER)
        assert (now.closed, now.position, of(now.figures, "I10")) == (False, position, (0, 1))
        (adjusted,) = await indicators.adjusted(p, date(2025, 10, 1))
        assert adjusted.closing.cut_off == cut_off
        assert {one.code for one in adjusted.changes} == set(changed)
        assert await indicators.adjusted(p, date(2025, 9, 30)) == ()
        october = (date(2025, 10, 1), date(2025, 10, 31))
        for kind in (ReportKind.BRIEFING, ReportKind.PERIODIC_CIRCULAR, ReportKind.ASSESSMENT):
            printed = await reports.made(p, kind, *october, cut_off=position)
            (part,) = [part for part in printed.parts if part.heading == "已公布数据的调整"]
            rows = {str(row[0]): row[1:] for row in part.tables[0].rows}
            assert rows["2025-09-01至2025-09-30 按时办结率"] == ("1/2", "0/1"), "what was published, and what it is now"
        earlier = await reports.made(p, ReportKind.BRIEFING, *october, cut_off=cut_off)
        assert not [part for part in earlier.parts if part.heading == "已公布数据的调整"], "not known at that position"


async def test_days_whose_summaries_were_published_are_adjusted_with_the_month_that_holds_them(city: City):
    async with world(city) as here, here.projections() as p:
        name = await one_case(here, 1, *HANDLED, since="2025-09-03 09:00")
        cut_off = (await p.follow_until()).position
        day = date(2025, 9, 3)
        for when, told in (
            ("2025-09-04 07:00", published(cut_off, ReportKind.DAILY_DUTY, period=(day, day))),
            ("2025-10-08 09:00", published(cut_off)),
        ):
            await here.record(told[0], when, told[1])
        late = CorrectionRecorded(correction=1, version=4, field="at", basis="误记", new="2025-09-29T09:00:00+08:00")
        await here.record(name, "2025-10-11 09:00", late)
        position = (await p.follow_until()).position
        summary_now = await indicators.answer(
            p, Question(since=at("2025-09-03 00:00"), until=at("2025-09-04 00:00")), LATER
        )
        assert summary_now.adjustments, "whoever asks for the day itself is shown what became of it"
        closed = {(one.period_from, one.kind) for one in await indicators.closings(p)}
        assert (day, ReportKind.DAILY_DUTY) in closed
        assert [one.closing.period_from for one in await indicators.adjusted(p, date(2025, 10, 1))] == [
            date(2025, 9, 1)
        ]
        summary = await reports.made(p, ReportKind.DAILY_DUTY, date(2025, 10, 12), date(2025, 10, 12), cut_off=position)
        assert not [part for part in summary.parts if part.heading == "已公布数据的调整"]


async def test_a_period_is_not_closed_as_the_ledger_was_before_it_was_over(city: City):
    async with world(city) as here:
        await one_case(here, 1, dispatched(), since="2025-09-03 09:00")
        head, now = await here.ledger.head()

        def closing(cut_off: int, days: int, kind: ReportKind = ReportKind.BRIEFING) -> PublishReport:
            last = now.date() + timedelta(days=days)
            _, event = published(cut_off, kind, period=(date(2025, 9, 1), last))
            said = {n: getattr(event, n) for n in PublishReport.__struct_fields__}
            return PublishReport(**said)

        with pytest.raises(CutOffEarly):
            await reports.refuse_early(closing(head - 1, 2), here.ledger)
        await reports.refuse_early(closing(head, 2), here.ledger)
        await reports.refuse_early(closing(1, -2), here.ledger)  # what came to the ledger later was written after it
        await reports.refuse_early(closing(1, 2, ReportKind.SPECIAL_INFO), here.ledger)


async def test_only_the_citys_own_report_of_exactly_the_period_closes_it_and_the_first_one_stands(city: City):
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1, dispatched(), since="2025-09-03 09:00")
        head = (await p.follow_until()).position
        for when, told in (
            ("2025-10-02 09:00", published(1, ReportKind.FEATURE_DATA)),
            ("2025-10-03 09:00", published(2, scope="S")),
            ("2025-10-04 09:00", published(3, period=(date(2025, 9, 1), date(2025, 9, 29)))),
        ):
            await here.record(told[0], when, told[1])
        assert (await indicators.answer(p, SEPTEMBER, LATER)).closing is None
        for when, told in (
            ("2025-10-05 09:00", published(head, ReportKind.BRIEFING)),
            ("2025-10-06 09:00", published(head + 1)),
        ):
            await here.record(told[0], when, told[1])
        closing = (await indicators.answer(p, SEPTEMBER, LATER)).closing
        assert closing is not None
        assert (closing.kind, closing.cut_off) == (ReportKind.BRIEFING, head)


# --- what counts, and what does not ------------------------------------------------------------------------------


async def test_a_period_that_runs_counts_what_fell_due_by_now(city: City):
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1, dispatched(), since="2025-09-03 09:00")
        await p.follow_until()
        asked = Question(since=at("2025-09-01 00:00"), until=at("2025-12-01 00:00"))
        early = await indicators.answer(p, asked, at("2025-09-05 00:00"))
        assert (early.counted_to, of(early.figures, "I10")) == (at("2025-09-05 00:00"), (0, 0))
        assert of((await indicators.answer(p, asked, LATER)).figures, "I10") == (0, 1)
        none = await indicators.answer(p, asked, at("2025-08-01 00:00"))
        assert of(none.figures, "I3") == (0, 0)


async def test_what_falls_due_at_24_belongs_to_the_day_it_ends(city: City):
    assert counted_at(at("2025-10-01 00:00")) == at("2025-10-01 00:00") - timedelta(milliseconds=1)
    assert counted_at(at("2025-10-01 00:01")) == at("2025-10-01 00:01")
    async with world(city) as here, here.projections() as p:
        # Transfer is due on the working day after: Tuesday the 30th, 24:00.
        await one_case(here, 1, dispatched(), since="2025-09-29 09:00")
        await p.follow_until()
        assert of((await p.indicators(SEPTEMBER.since, SEPTEMBER.until)).rows, "I14") == (0, 1)
        assert of((await p.indicators(at("2025-10-01 00:00"), at("2025-11-01 00:00"))).rows, "I14") == (0, 0)


async def test_exempt_orders_leave_satisfaction_and_redo_and_stay_in_time(city: City):
    async with world(city) as here, here.projections() as p:
        exempt = SatisfactionExemptSet(category=ExemptCategory.MEDIATION, article=Citation(text="调解"))
        rated = EvaluationRecorded(round=1, reply=1, source=EvaluationSource.CITIZEN_SELF, ratings=RATED)
        again = RedoOrdered(round=2, ground=RedoGround.NOT_DONE, requirements="重做")
        await one_case(here, 1, *HANDLED, exempt, rated, again, since="2025-09-03 09:00")
        await p.follow_until()
        found = (await p.indicators(SEPTEMBER.since, SEPTEMBER.until)).rows
        assert [of(found, code) for code in ("I9a", "I9b", "I16", "I10", "I7")] == [
            (0, 0),
            (0, 0),
            (0, 0),
            (1, 1),
            (1, 1),
        ]


async def test_dimensions_stand_beside_the_result_and_deemed_ones_apart(city: City):
    async with world(city, EVALUATED) as here, here.projections() as p:
        rated = EvaluationRecorded(round=1, reply=1, source=EvaluationSource.REVISIT, ratings=RATED)
        deemed = EvaluationDeemed(
            round=1, reply=1, rating=Rating.BASICALLY_SATISFIED, effective_at=at("2025-09-20 00:00")
        )
        await self_evaluated(here, 1, rated)
        await self_evaluated(here, 2, deemed)
        await self_evaluated(here, 3, deemed, rated)
        await p.follow_until()
        found = (await p.indicators(SEPTEMBER.since, SEPTEMBER.until)).rows
        assert of(found, "I9a") == (3, 3)
        assert of(found, "I9b") == (2, 2), "a return visit replaced one of the deemed"
        assert of(found, "I9r") == (2, 2)
        assert of(found, "I9d") == (0, 2), "attitude"
        assert of(found, "I9c") == (0, 0), "nobody rated the content"
        assert of(found, "I19") == (2, 3), "both events stay"


async def self_evaluated(here: World, number: int, *facts: Fact) -> None:
    when = at("2025-09-03 09:00")
    for fact in (registered(EVALUATED), *HANDLED, *facts):
        await here.record(stream(number), when, fact)
        when += timedelta(minutes=15)


# --- how it is said ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("above", "below", "shown"),
    [
        (1, 3, "33.33%"),
        (2, 3, "66.67%"),
        (1, 800, "0.13%"),
        (1, 8000, "0.01%"),
        (5, 5, "100.00%"),
        (99_995, 100_000, "100.00%"),
    ],
)
def test_shares_are_rounded_half_up_on_whole_numbers(above: int, below: int, shown: str):
    assert percent(above, below) == shown


def test_every_indicator_says_how_it_is_counted_and_counts_facts_that_there_are():
    found = {one.code: one for one in indicators.definitions()}
    assert list(found)[: len(INDICATORS)] == [*BY_CODE]
    for one in found.values():
        assert all((one.title, one.english, one.formula, one.meaning, one.attribution, one.source)), one.code
    counted = {term.kind for i in INDICATORS for term in (*i.above, *i.below)}
    assert counted == set(FACTS), "no fact that no indicator counts, no indicator of a fact that there is not"
    wanted = {f"I{n}" for n in range(1, 30)}
    assert {figures.family(code) for code in found} == wanted


def test_an_indicator_is_contested_by_its_code_or_by_what_it_is_called():
    for one in INDICATORS:
        assert figures.family(one.title) == figures.family(one.code), one.title
    assert figures.family("满意率（含视为）") == figures.family("满意率") == "I9"
    assert figures.family("群众口碑") == "群众口碑"


async def test_csv_is_what_a_spreadsheet_reads(city: City):
    async with world(city) as here, here.projections() as p:
        await one_case(here, 1, *HANDLED, since="2025-09-03 09:00")
        await p.follow_until()
        found = await indicators.answer(p, SEPTEMBER, LATER)
        text = indicators.as_csv(found, found.figures)
        assert text.startswith("\ufeff指标,")
        rows = {row["指标"]: row for row in csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))) if not row["部分"]}
        assert (rows["I10"]["分子"], rows["I10"]["分母"], rows["I10"]["值"]) == ("1", "1", "100.00%")
        assert rows["I8"]["值"] == "—"
        assert rows["I24"]["分母"] == ""
        with pytest.raises(NoOrdersBehind):
            await indicators.behind(p, SEPTEMBER, "I1", Side.ABOVE, LATER)
        held = await indicators.behind(p, SEPTEMBER, "I10", Side.ABOVE, LATER)
        assert len(held.rows) == 1
