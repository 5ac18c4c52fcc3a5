"""The command about oversight: what deputies and members are told of a closed quarter or year, for who answers for it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from domain.law import Law
from domain.ledger import Ledger
from domain.terms import DemandType, NoticeKind
from projections.answers import Projections
from scripts import printing
from scripts.desk import city_option, json_option, with_city
from scripts.lawbook import answer
from supervision.disclosure import BY_CODE, DIMENSIONS, Sheet, Table
from supervision.oversight import Annual, Course, Overseen, PeriodNotClosed, Release

UNTOLD = "*"


@click.command("oversight")
@click.argument("period", required=False)
@click.option("--measure", "measures", type=click.Choice(list(BY_CODE)), multiple=True, help="统计项 (repeatable).")
@click.option("--by", "parts", type=click.Choice(list(DIMENSIONS)), multiple=True, help="分项 (repeatable).")
@city_option
@json_option
def oversight_command(
    period: str | None, measures: tuple[str, ...], parts: tuple[str, ...], city: str | None, as_json: bool
) -> None:
    """监督公开: what overseers are told, and nothing else.

    PERIOD: 2026Q3, or 2026; without it, which periods are closed. A quarter is closed by the first published report of
    exactly its days, and told as the ledger was at that report's cut-off.
    """

    async def work(_: Ledger, shown: Projections) -> None:
        course = await Overseen(shown).course()
        if period is None:
            _periods(course, as_json=as_json)
            return
        told = course.releases.get(period.upper()) or course.years.get(period)
        if told is None:
            raise PeriodNotClosed(period)
        sheets = [sheet for sheet in told.sheets if not measures or sheet.measure in measures]
        if as_json:
            answer({"period": told.period, "cut_off": told.cut_off, "sheets": sheets})
            return
        law = await shown.law_at(told.cut_off)
        _print(told, sheets, parts, law)

    with_city(city, work)


def _periods(course: Course, *, as_json: bool) -> None:
    rows = [(one.period, one.cut_off, len(one.orders)) for one in course.releases.values()]
    rows += [(one.period, one.cut_off, 0) for one in course.years.values()]
    if as_json:
        answer([{"period": period, "cut_off": cut_off, "orders": orders} for period, cut_off, orders in rows])
        return
    if not rows:
        click.echo("没有已公布的季度 no quarter is closed: huiyin submission 2026Q3 …")
        return
    columns = ("期间 period", "截止位置 cut-off", "可查工单 orders")
    printing.console().print(printing.counts("监督公开 told to overseers", rows, columns))


def _print(told: Release | Annual, sheets: Sequence[Sheet], parts: Sequence[str], law: Law) -> None:
    console = printing.console()
    rows = [
        (
            f"{sheet.title} {sheet.english}",
            UNTOLD if sheet.count is None else f"{sheet.count:,}",
            "、".join(map(str, sheet.months)),
            "，".join(f"{share.title} {share.count:,}" for share in sheet.outcomes),
        )
        for sheet in sheets
    ]
    title = f"监督公开 told to overseers {told.period} (位置 {told.cut_off})"
    console.print(printing.counts(title, rows, ("统计项 measure", "件数 count", "各月 months", "结果 outcomes")))
    reasons = [(share.title, f"{share.count:,}") for sheet in sheets for share in sheet.reasons]
    if reasons:
        console.print(
            printing.counts("未解决、客观无法解决的原因 why unresolved", reasons, ("原因 reason", "件数 count"))
        )
    for sheet in sheets:
        for table in sheet.tables:
            if table.by in parts:
                console.print(printing.counts(f"{sheet.title} · {DIMENSIONS[table.by]}", *_table(sheet, table, law)))
    click.echo("* 不能单列 not told apart; 小的项合并为“其余” small parts are counted together (docs/decisions/0017)")


def _table(sheet: Sheet, table: Table, law: Law) -> tuple[list[tuple[str, ...]], Sequence[str]]:
    outcomes = [share.title for share in sheet.outcomes]
    rows = [
        (
            _part(table.by, line.part, law),
            f"{line.count:,}",
            *(map(str, line.outcomes) if line.outcomes else (UNTOLD for _ in outcomes)),
        )
        for line in table.lines
    ]
    rows.append(("其余 the rest", f"{table.rest:,}", *(UNTOLD for _ in outcomes)))
    return rows, (DIMENSIONS[table.by], "件数 count", *outcomes)


def _part(by: str, part: str, law: Law) -> str:
    if by == "unit":
        held = law.units.get(part or law.hotline_unit)
        return part if held is None else held.versions[-1].name
    words = {"type": DemandType, "notice": NoticeKind}.get(by)
    return words(part).zh if words is not None else part or "未注明"


COMMANDS = (oversight_command,)
