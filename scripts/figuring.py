"""The commands about figures: `indicators` with what stands behind each, and the telephone system's counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import click
import msgspec
from rich.markup import escape

from domain.ledger import Ledger
from domain.terms import DemandType
from projections.answers import Listing, Projections
from projections.figures import BY_CODE, INDICATORS, Figure, Shape, Side
from projections.indicators import FACTS, FactRow
from scripts import desk, printing, wiring
from scripts.desk import city_option, json_option, with_city
from scripts.lawbook import answer
from scripts.office import day_after
from scripts.wiring import SettingError
from supervision import indicators, telephony
from supervision.indicators import Answered, Question
from supervision.telephony import TELEPHONY

CODES = (*(indicator.code for indicator in INDICATORS), *TELEPHONY)


def _period(since: str | None, until: str | None) -> tuple[datetime, datetime]:
    if since is None or until is None:
        raise click.UsageError("请给出期间 say the period: --from DATE --to DATE")
    first, last = wiring.parse_instant(since), day_after(until)
    if first >= last:
        raise click.UsageError("期末早于期初 the period ends before it begins")
    return first, last


# --- indicators --------------------------------------------------------------------------------------------------


@click.command("indicators")
@click.option("--from", "since", metavar="DATE", help="期初 the first day of the period.")
@click.option("--to", "until", metavar="DATE", help="期末 its last day, included.")
@click.option(
    "--by",
    type=click.Choice(["unit", "type", "area"]),
    default=None,
    help="按单位、诉求类型或区县 a line a unit, type of demand, or area.",
)
@click.option("--unit", metavar="UNIT", help="只计此单位 of this unit alone.")
@click.option(
    "--type", "demand_type", type=click.Choice([str(t) for t in DemandType]), help="只计此类诉求 of this type."
)
@click.option("--area", "district", metavar="DISTRICT", help="只计此区县 of this area.")
@click.option("--only", "only", multiple=True, metavar="CODE", help="只列此指标 such as I10 (repeatable).")
@click.option("--cut-off", type=click.IntRange(1), metavar="POSITION", help="截至账本此位置 as the ledger was then.")
@click.option("--current", is_flag=True, help="已公布的期间也按现况 as it is now, though the period is closed.")
@click.option("--behind", metavar="CODE", help="列出构成该指标的工单 the orders behind this figure.")
@click.option(
    "--side",
    type=click.Choice([str(side) for side in Side]),
    default=None,
    help="分子、分母或未达 above the line, below it, or below and not above.",
)
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="最多 at most so many.")
@click.option("--after", metavar="CURSOR", help="接上一页 go on where the page before ended.")
@click.option("--csv", "as_csv", is_flag=True, help="表格 CSV (带 BOM) for a spreadsheet.")
@click.option("--definitions", is_flag=True, help="统计口径 how each is counted.")
@city_option
@json_option
def indicators_command(
    since: str | None,
    until: str | None,
    by: str | None,
    unit: str | None,
    demand_type: str | None,
    district: str | None,
    only: tuple[str, ...],
    cut_off: int | None,
    current: bool,
    behind: str | None,
    side: str | None,
    limit: int,
    after: str | None,
    as_csv: bool,
    definitions: bool,
    city: str | None,
    as_json: bool,
) -> None:
    """指标: the indicators of a period, each with what stands above and below its line.

    A rate with nothing below its line has no value (—), neither 0% nor 100%. A period whose report is published is
    closed: its figures are those published, and what changed since is listed as adjustments.
    """
    if unknown := sorted({*only, *([behind] if behind else [])} - set(CODES)):
        raise click.UsageError(
            f"没有此指标 no such indicator: {', '.join(unknown)}; 可用 there are: {', '.join(CODES)}"
        )
    if definitions:
        _print_definitions(only, as_json=as_json)
        return
    first, last = _period(since, until)
    question = Question(
        since=first,
        until=last,
        by=by or "",
        unit=unit,
        demand_type=demand_type,
        district=district,
        cut_off=cut_off,
        current=current,
    )

    async def work(_: Ledger, shown: Projections) -> None:
        now = wiring.process_now()
        if behind:
            chosen = Side(side) if side else Side.ABOVE
            found = await indicators.behind(
                shown, question, behind, chosen, now, limit=limit, after=_cursor(after) if after else None
            )
            _print_behind(found, behind, chosen, as_json=as_json)
            return
        with printing.bar("指标 counting") as bar:
            task = bar.add_task("", total=None)
            found = await indicators.answer(shown, question, now, lambda cases: bar.advance(task, cases))
        wanted = [figure for figure in found.figures if not only or figure.code in only]
        if as_json:
            answer({**msgspec.structs.asdict(found), "from": first, "figures": wanted})
        elif as_csv:
            click.echo(indicators.as_csv(found, wanted), nl=False)
        else:
            _print_figures(found, wanted, by)

    with_city(city, work)


def _print_figures(found: Answered, wanted: Sequence[Figure], by: str | None) -> None:
    last = found.until - timedelta(days=1)
    state = (
        "已公布 closed" if found.closed else "至今 so far" if found.counted_to < found.until else "现况 as it is now"
    )
    title = f"指标 indicators {found.since:%Y-%m-%d} – {last:%Y-%m-%d} (位置 {found.position}, {state})"
    parts = by is not None or any(figure.part for figure in wanted)
    rows = [(*_figure_name(figure, by, found, parts=parts), *_figure_cells(figure)) for figure in wanted]
    columns = ("指标 indicator", *(("部分 part",) if parts else ()), "分子 above", "分母 below", "值 value")
    printing.console().print(printing.counts(title, rows, columns))
    for window in found.windows:
        where = window.part or "全部 all"
        click.echo(
            f"I1 {where}: {window.since:%Y-%m-%d %H:%M} – {window.until:%Y-%m-%d %H:%M}, "
            f"{window.above:,} / {window.below:,}"
        )
    for threshold in found.thresholds:
        met = {True: "达标 met", False: "未达标 not met", None: "无数据 nothing to test"}[threshold.met]
        click.echo(f"{threshold.code} {threshold.part or '全部 all'} {threshold.asks}: {met}")
    if found.closing is not None:
        click.echo(
            f"已由报告公布 published by {found.closing.number or found.closing.report}, "
            f"截至位置 cut-off {found.closing.cut_off}; 此后调整 adjustments since: {len(found.adjustments)}"
        )
        for one in found.adjustments:
            click.echo(
                f"  {one.code} {one.title} {one.part}: {one.above}/{one.below} → {one.above_now}/{one.below_now}"
            )
    click.echo(f"政策 policies: {', '.join(dict.fromkeys(p.pack for p in found.policies))}; 口径 see: --definitions")


def _figure_name(figure: Figure, by: str | None, found: Answered, *, parts: bool) -> tuple[str, ...]:
    name = f"{figure.code}{'*' if figure.code in found.headline else ''} {figure.title}"
    if not parts:
        return (name,)
    if by == "type":
        return (name, DemandType(figure.part).zh)
    return (name, escape(figure.part) or ("热线" if by == "unit" else "未载明" if by else "全部"))


def _figure_cells(figure: Figure) -> tuple[str, str, str]:
    below = "—" if figure.below is None else f"{figure.below:,}"
    indicator = BY_CODE.get(figure.code)
    if figure.value is not None and indicator is not None and indicator.shape in (Shape.MEAN, Shape.MEDIAN):
        return f"{figure.above:,}", below, printing.show_span(timedelta(seconds=round(figure.value)))
    return f"{figure.above:,}", below, indicators.shown_value(figure)


def _print_behind(found: Listing[FactRow], code: str, side: Side, *, as_json: bool) -> None:
    more = _cursor_of(found.rows[-1]) if found.more else None
    if as_json:
        answer({"code": code, "side": side, "position": found.position, "orders": found.rows, "next": more})
        return
    if not found.rows:
        click.echo(f"没有工单 no orders, 截至位置 true at position {found.position}")
        return
    title = f"{code} {BY_CODE[code].title}: {_SIDES[side]} (位置 {found.position})"
    rows = [(str(f.order_id), f"{f.at:%Y-%m-%d %H:%M}", f.unit or "热线", _what(f)) for f in found.rows]
    printing.console().print(printing.counts(title, rows, ("工单 order", "归属 at", "单位 unit", "事实 fact")))
    click.echo(f"{len(rows)} 项" + (f", 还有更多 and more: --after {more}" if more else ""))


_SIDES = {Side.ABOVE: "分子 above the line", Side.BELOW: "分母 below the line", Side.MISSED: "未达 missed"}


def _what(fact: FactRow) -> str:
    words = [FACTS[fact.kind].partition(" ")[0], "是" if fact.hit else "否"]
    if fact.seconds is not None:
        words.append(printing.show_span(timedelta(seconds=fact.seconds)))
    if fact.in_outage:
        words.append("中断期间")
    return " ".join(words)


def _cursor_of(fact: FactRow) -> str:
    return f"{fact.at.isoformat()},{fact.order_id},{fact.no}"


def _cursor(said: str) -> tuple[datetime, UUID, int]:
    try:
        at, order, number = said.split(",")
        return datetime.fromisoformat(at), UUID(order), int(number)
    except ValueError as error:
        raise click.UsageError("--after: 从上一页取得 take it from the page before") from error


def _print_definitions(only: Sequence[str], *, as_json: bool) -> None:
    found = [one for one in indicators.definitions() if not only or one.code in only]
    if as_json:
        answer({"definitions": found, "rules": indicators.RULES})
        return
    for one in found:
        click.secho(f"{one.code} {one.title}  {one.english}", bold=True)
        click.echo(f"  公式 {one.formula}\n       {one.meaning}")
        left = f"; 剔除 left out: {one.exclusions}" if one.exclusions else ""
        click.echo(f"  归属 {one.attribution}{left}; 依据 {one.source}")
    for rule in indicators.RULES:
        click.echo(f"· {rule}")


# --- telephony ---------------------------------------------------------------------------------------------------


@click.group("telephony")
def telephony_group() -> None:
    """话务: the telephone system's counts by sub-centre, taken in from files, and the figures they come to."""


@telephony_group.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--correct", is_flag=True, help="更正已导入的区段 replace what is known of an interval.")
@click.option("--as", "actor", metavar="USER/ROLE[@UNIT]", help="操作人 who takes it in; without: system.")
@city_option
@json_option
def import_command(file: Path, correct: bool, actor: str | None, city: str | None, as_json: bool) -> None:
    """导入话务统计: counts of intervals by sub-centre, from a CSV file in UTF-8.

    Columns, in any order, in English or Chinese: source 分中心, from_at 起, until 止, queued 进入人工, answered 人工接通,
    answered_in_15s 15秒内接通, abandoned 放弃; and abandoned_in_5s 5秒内放弃, abandoned_after_15s 15秒后放弃, self_service
    自助, rated 评价. The same file again changes nothing; a line that says otherwise than before is refused, unless it
    corrects (--correct).
    """
    try:
        rows = telephony.read(file.read_bytes())
    except OSError as error:
        raise SettingError(f"无法读取文件 the file cannot be read: {file}: {error.strerror}") from error
    who = desk.parse_actor(actor) if actor else wiring.SYSTEM

    async def work(ledger: Ledger, shown: Projections) -> int:
        taken = await telephony.take(ledger, shown, rows, who, correct=correct)
        if as_json:
            answer(msgspec.structs.asdict(taken))
        else:
            click.echo(
                f"新记 recorded {taken.recorded}, 已有 known {taken.known}, 更正 corrected {taken.corrected}, "
                f"未收 refused {len(taken.refused)} (位置 {taken.position})"
            )
            for line, _, words in taken.refused:
                click.echo(f"第 {line} 行 line: {words}", err=True)
        return 1 if taken.refused else 0

    raise SystemExit(with_city(city, work, follow=False))


@telephony_group.command("show")
@click.option("--from", "since", required=True, metavar="DATE", help="期初 the first day of the period.")
@click.option("--to", "until", required=True, metavar="DATE", help="期末 its last day, included.")
@click.option("--cut-off", type=click.IntRange(1), metavar="POSITION", help="截至账本此位置 as the ledger was then.")
@city_option
@json_option
def show_command(since: str, until: str, cut_off: int | None, city: str | None, as_json: bool) -> None:
    """话务指标: connection, answering within 15 seconds, valid complaints and ratings, whole and by sub-centre."""
    first, last = _period(since, until)

    async def work(_: Ledger, shown: Projections) -> None:
        question = Question(since=first, until=last, cut_off=cut_off, current=True)
        found = await indicators.answer(shown, question, wiring.process_now())
        wanted = [figure for figure in found.figures if figure.code in TELEPHONY]
        if as_json:
            said = {"position": found.position, "from": first, "until": last, "figures": wanted}
            answer({**said, "windows": found.windows, "thresholds": found.thresholds})
        else:
            _print_figures(found, wanted, None)

    with_city(city, work, follow=False)


COMMANDS = (indicators_command, telephony_group)
