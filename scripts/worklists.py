"""What a supervisory office works through: clocks, appeals against figures, matters that are no orders; also as tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from api import sheets
from api.offices import AppealState
from domain.clocks import Status
from domain.ledger import Ledger
from domain.matters.matter import MatterKind, MatterState
from domain.terms import SHANGHAI, AppealGround, ClockName
from projections.answers import ClockState, Listing, Projections
from projections.appeals import AppealRow
from projections.matters import MatterRow
from scripts import printing, wiring
from scripts.desk import city_option, json_option, with_city
from scripts.lawbook import answer

_LIMIT = click.option(
    "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="最多 at most so many."
)
_UNIT = click.option("--unit", metavar="UNIT", help="只列此单位 of this unit, and of those it succeeded.")
_FROM = click.option("--from", "since", metavar="T", help="起 from this day or instant on.")
_TO = click.option("--to", "until", metavar="T", help="止 to this day, included, or before this instant.")
_CSV = click.option(
    "--csv",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="写成表格 write them as a table for spreadsheets.",
)


def span(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """Return the instants between which something lies; a day at the end is included whole. Raises UsageError."""
    first = wiring.parse_instant(since) if since else None
    last = wiring.parse_instant(until) if until else None
    if last is not None and until is not None and len(until) <= 10:
        last += timedelta(days=1)
    if first is not None and last is not None and first >= last:
        raise click.UsageError("--from 晚于 --to the end lies before the beginning")
    return first, last


def shown(
    found: Listing[Any],
    kind: type[msgspec.Struct],
    lines: RenderableType,
    *,
    what: str,
    file: Path | None,
    as_json: bool,
) -> None:
    """Print a list, or write it as a table."""
    if as_json:
        answer(found)
        return
    if file is not None:
        file.write_bytes(sheets.table(kind, found.rows))
        click.echo(f"✓ {file}: {len(found.rows)} 行 lines, 截至位置 true at position {found.position}")
        return
    if not found.rows:
        click.echo(f"没有{what}, 截至位置 true at position {found.position}")
        return
    printing.console().print(lines)
    more = ", 还有更多 and more (--limit)" if found.more else ""
    click.echo(f"{len(found.rows)} 项{what}{more}, 截至位置 true at position {found.position}")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> RenderableType:
    """Return rows under headings; where the terminal is narrow, a block of lines each."""
    if printing.console().width < printing.NARROW:
        said = [[cell for cell in row if cell] for row in rows]
        return Group(*(Text.from_markup(f"[bold]{row[0]}[/]\n  " + " · ".join(row[1:])) for row in said))
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column.startswith(("到期", "工单", "文号")))
    for row in rows:
        table.add_row(*row)
    return table


def _late(due: datetime | None, now: datetime) -> str:
    return f"[red]超期 late {printing.show_span(now - due)}[/]" if due is not None and due < now else ""


# --- clocks ------------------------------------------------------------------------------------------------------


@click.command("clocks")
@_UNIT
@click.option(
    "--name", "names", multiple=True, type=click.Choice([str(n) for n in ClockName]), help="时钟 (repeatable)."
)
@click.option(
    "--state", "states", multiple=True, type=click.Choice([str(s) for s in Status]), help="状态 (repeatable)."
)
@_FROM
@_TO
@click.option("--breached", is_flag=True, help="只列超期 only duties that are or were late.")
@_LIMIT
@_CSV
@city_option
@json_option
def clocks_command(
    unit: str | None,
    names: tuple[str, ...],
    states: tuple[str, ...],
    since: str | None,
    until: str | None,
    breached: bool,
    limit: int,
    file: Path | None,
    city: str | None,
    as_json: bool,
) -> None:
    """时钟: clocks by due instant, each as it stands now; --from and --to are about the due instant."""
    first, last = span(since, until)
    now = wiring.process_now()

    async def work(_: Ledger, tables: Projections) -> None:
        found = await tables.list_clocks(
            now,
            unit=unit,
            names=[ClockName(name) for name in names] or None,
            states=[Status(state) for state in states] or None,
            since=first,
            until=last,
            breached=breached,
            limit=limit,
        )
        columns = ("到期 due", "时钟 clock", "工单 order", "单位 unit", "状态 state", "")
        lines = _table(columns, [_clock_cells(row) for row in found.rows])
        shown(found, ClockState, lines, what="时钟 clocks", file=file, as_json=as_json)

    with_city(city, work)


def _clock_cells(row: ClockState) -> tuple[str, ...]:
    return (
        printing.show_end(row.due) + (" 暂定" if row.provisional else ""),
        f"{ClockName(row.name).zh} {row.key}",
        row.number or str(row.order_id)[:13],
        escape(row.unit) or "热线",
        f"{sheets.STATUS[row.status]} {row.status}",
        "系统中断期间 in an outage" if row.during_outage else "",
    )


# --- appeals -----------------------------------------------------------------------------------------------------


@click.command("appeals")
@_UNIT
@click.option(
    "--state", "states", multiple=True, type=click.Choice([str(s) for s in AppealState]), help="状态 (repeatable)."
)
@click.option("--indicator", "indicators", multiple=True, metavar="CODE", help="指标 such as I8 (repeatable).")
@click.option("--order", metavar="ORDER", help="工单 of this order.")
@_LIMIT
@_CSV
@city_option
@json_option
def appeals_command(
    unit: str | None,
    states: tuple[str, ...],
    indicators: tuple[str, ...],
    order: str | None,
    limit: int,
    file: Path | None,
    city: str | None,
    as_json: bool,
) -> None:
    """考核申诉: appeals against published figures, what was filed first first, with the time to decide them."""
    now = wiring.process_now()

    async def work(_: Ledger, tables: Projections) -> None:
        case = None if order is None else (await tables.order_by_number(order)).id
        found = await tables.list_appeals(
            unit=unit, states=states or None, indicators=indicators or None, order=case, limit=limit
        )
        columns = ("到期 due", "指标", "工单 order", "单位 unit", "理由 ground", "结果 outcome", "")
        lines = _table(columns, [_appeal_cells(row, now) for row in found.rows])
        shown(found, AppealRow, lines, what="申诉 appeals", file=file, as_json=as_json)
        if not as_json and file is None:
            both = await tables.contested(found.rows)
            numbers = {row.order_id: row.number or str(row.order_id)[:13] for row in found.rows}
            open_ones = {(row.order_id, row.no) for row in found.rows if row.decided_at is None}
            for one in both:
                said = "若支持 if upheld" if (one.order_id, one.no) in open_ones else "剔除后 without"
                click.echo(
                    f"  {numbers[one.order_id]} #{one.no} {one.code} {one.since.astimezone(SHANGHAI):%Y-%m}: "
                    f"含本件 with it {_counted(one.above, one.below)}, {said} "
                    f"{_counted(one.above_without, one.below_without)}"
                )

    with_city(city, work)


def _counted(above: int, below: int | None) -> str:
    return f"{above}" if below is None else f"{above}/{below}"


def _appeal_cells(row: AppealRow, now: datetime) -> tuple[str, ...]:
    outcome = "待裁定 open" if row.decided_at is None else "支持 upheld" if row.upheld else "不支持 rejected"
    left_out = f" 剔除 {escape(row.exclusion)}" if row.exclusion else ""
    return (
        printing.show_end(row.due),
        escape(row.indicator),
        f"{row.number or str(row.order_id)[:13]} #{row.no}",
        escape(row.unit),
        AppealGround(row.ground).zh if row.ground else "",
        outcome + left_out + (" (逾期提出 filed late)" if row.late else ""),
        _late(row.due, now) if row.decided_at is None else "",
    )


# --- matters -----------------------------------------------------------------------------------------------------


@click.command("matters")
@_UNIT
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice([str(k) for k in MatterKind]), help="种类 (repeatable)."
)
@click.option("--open", "only_open", is_flag=True, help="只列未结 only those still open.")
@click.option("--late", is_flag=True, help="只列逾期 only those about which somebody is late.")
@_FROM
@_TO
@_LIMIT
@_CSV
@city_option
@json_option
def matters_command(
    unit: str | None,
    kinds: tuple[str, ...],
    only_open: bool,
    late: bool,
    since: str | None,
    until: str | None,
    limit: int,
    file: Path | None,
    city: str | None,
    as_json: bool,
) -> None:
    """督办事项: circulars, notices to units, meetings, inspections, referrals and shifts, the newest first.

    --from and --to are about when they were opened. `huiyin show` has orders; a matter is read with
    `huiyin history matter:ID`.
    """
    first, last = span(since, until)
    now = wiring.process_now()

    async def work(_: Ledger, tables: Projections) -> None:
        found = await tables.list_matters(
            unit=unit,
            kinds=kinds or None,
            only_open=only_open,
            late_at=now if late else None,
            since=first,
            until=last,
            limit=limit,
        )
        columns = ("文号 number", "种类", "标题 title", "状态", "单位 units", "待办 waits for", "到期 due", "")
        lines = _table(columns, [_matter_cells(row, now) for row in found.rows])
        shown(found, MatterRow, lines, what="督办事项 matters", file=file, as_json=as_json)

    with_city(city, work)


def _matter_cells(row: MatterRow, now: datetime) -> tuple[str, ...]:
    duties = f" ({row.done}/{row.duties})" if row.duties else ""
    return (
        row.number or str(row.id)[:13],
        MatterKind(row.kind).zh,
        escape(row.title),
        MatterState(row.state).zh + duties,
        "、".join(map(escape, row.units)),
        "、".join(escape(unit) or "热线" for unit in row.waits_for),
        printing.show_end(row.due) if row.due else "",
        _late(row.due, now),
    )


COMMANDS = (clocks_command, appeals_command, matters_command)
