"""What an office asks of all its cases at once: duties, units and their load, what a word is found in, what if."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import click
import msgspec
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from domain import kinds, terms
from domain.calendar import load_calendar
from domain.duties import title_of
from domain.ledger import Ledger
from domain.policy import rules
from domain.terms import ClockName, Role, UnitLevel
from domain.units import day_of, day_start
from projections.answers import Projections, UnitLoad
from projections.duties import DutyRow
from projections.engine import ProjectionOutdated
from projections.past import Candidate, Outcome, Tried
from scripts import desk, printing, sweeping, wiring
from scripts.desk import city_option, json_option, with_city
from scripts.lawbook import answer
from scripts.wiring import SettingError
from supervision.sweep import left

_AT = click.option("--at", "at", metavar="T", help="以此时刻计超期 the instant lateness is judged at; without: now.")
_LIMIT = click.option(
    "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="最多 at most so many."
)


def _now(at: str | None) -> datetime:
    return wiring.parse_instant(at) if at else wiring.process_now()


def day_after(until: str) -> datetime:
    """Return the first instant after a day that was named as the last. Raises SettingError."""
    try:
        return day_start(day_of(wiring.parse_instant(until)) + timedelta(days=1))
    except OverflowError as error:
        raise SettingError(f"--to: 日期过远 too far away: {until}") from error


# --- duties ------------------------------------------------------------------------------------------------------


@click.command("duties")
@click.argument("unit", default="")
@click.option(
    "--role",
    "roles",
    multiple=True,
    metavar="ROLE",
    type=click.Choice([str(role) for role in Role]),
    help="角色 only what this role may do (repeatable).",
)
@click.option("--user", metavar="USER", help="工号 leave out what takes another person than this one.")
@_LIMIT
@_AT
@city_option
@json_option
def duties_command(
    unit: str, roles: tuple[str, ...], user: str | None, limit: int, at: str | None, city: str | None, as_json: bool
) -> None:
    """待办: what a unit has to do next, of whatever kind, the next due first.

    UNIT: a unit's code; without: the hotline centre itself, with the steps that take a person, each with its article.
    What no rule text gives a time stands last.
    """
    now = _now(at)

    async def work(ledger: Ledger, shown: Projections) -> None:
        law = await shown.law_at((await shown.status())[0].position)
        asked = "" if unit == law.hotline_unit else unit
        if asked and law.unit(asked) is None:
            raise SettingError(f"没有此单位 no such unit: {asked!r}; 见 see: huiyin units")
        wanted = [Role(role) for role in roles] or None
        found = await shown.duties(asked, roles=wanted, user=user, limit=limit)
        waiting = () if asked else (await left(ledger, shown, now, limit=limit)).lines
        steps = [step for step in waiting if not roles or not set(roles).isdisjoint(step.by)]
        if as_json:
            answer({**msgspec.structs.asdict(found), "steps": steps})
            return
        if not found.rows and not steps:
            click.echo(f"没有待办 nothing to do, 截至位置 true at position {found.position}")
            return
        if found.rows:
            printing.console().print(_duties(found.rows, now))
        if steps:
            printing.console().print(sweeping.listed(steps))
        more = ", 还有更多 and more (--limit)" if found.more else ""
        people = f", 待人工 for people {len(steps)} (拟办 see huiyin proposals)" if steps else ""
        click.echo(f"{len(found.rows)} 项 duties{more}{people}, 截至位置 true at position {found.position}")

    with_city(city, work)


def _duties(rows: Sequence[DutyRow], now: datetime) -> RenderableType:
    if printing.console().width < printing.NARROW:
        return Group(*(line for row in rows for line in _duty_lines(row, now)))
    table = Table(box=None, pad_edge=False)
    for column in ("到期 due", "待办 to do", "命令 command", "工单 order", "标题 title", "单位 unit", ""):
        table.add_column(column, overflow="fold", no_wrap=column.startswith(("到期", "工单")))
    for row in rows:
        table.add_row(
            printing.show_end(row.due) + (" 暂定" if row.provisional else ""),
            _what(row),
            row.command,
            row.number or str(row.order_id)[:13],
            escape(row.title),
            escape(row.unit) or "热线",
            _late(row, now),
        )
    return table


def _duty_lines(row: DutyRow, now: datetime) -> tuple[Text, Text]:
    due = f"到期 {printing.show_end(row.due)}" if row.due else "无时限 no time given"
    number = row.number or str(row.order_id)[:13]
    return (
        Text.from_markup(f"[bold]{_what(row)}[/] {row.command} · {number}  {escape(row.title)}"),
        Text.from_markup(f"  {due} · {escape(row.unit) or '热线'} {_late(row, now)}"),
    )


def _what(row: DutyRow) -> str:
    clock = f"({ClockName(row.clock).zh})" if row.clock else ""
    return f"{title_of(_COMMANDS[row.command])}{clock}"


def _late(row: DutyRow, now: datetime) -> str:
    if row.late_after is None or now <= row.late_after:
        return ""
    return f"[red]超期 late {printing.show_span(now - row.late_after)}[/]"


_COMMANDS: dict[str, type[terms.Act]] = {
    str(command.__struct_config__.tag): command for kind in kinds.KINDS for command in kind.commands
}


# --- find --------------------------------------------------------------------------------------------------------


@click.command("find")
@click.argument("text", nargs=-1, required=True)
@_LIMIT
@_AT
@city_option
@json_option
def find_command(text: tuple[str, ...], limit: int, at: str | None, city: str | None, as_json: bool) -> None:
    """检索工单: orders whose title, category or place has every word, the newest first.

    TEXT: words of two or more characters, such as 路灯 or 路灯 河滨. What is sealed is not searched.
    """
    now = _now(at)

    async def work(_: Ledger, shown: Projections) -> None:
        found = await shown.search(" ".join(text), limit=limit)
        if as_json:
            answer(found)
            return
        if not found.rows:
            click.echo(f"没有找到 nothing found, 截至位置 true at position {found.position}")
            return
        printing.console().print(desk.orders_table(found.rows, now))
        more = ", 还有更多 and more (--limit)" if found.more else ""
        click.echo(f"{len(found.rows)} 件 orders{more}, 截至位置 true at position {found.position}")

    with_city(city, work)


# --- units -------------------------------------------------------------------------------------------------------


@click.command("units")
@_AT
@city_option
@json_option
def units_command(at: str | None, city: str | None, as_json: bool) -> None:
    """单位: every unit with its parent, its heir and what lies on its desk."""
    now = _now(at)

    async def work(_: Ledger, shown: Projections) -> None:
        found = await shown.units(now)
        if as_json:
            answer(found)
            return
        columns = (
            "单位 unit",
            "工单 orders",
            "未结 open",
            "超期 overdue",
            "待办 duties",
            "24小时内 within a day",
            "超期 late",
            "值班联系 contact",
        )
        printing.console().print(
            printing.counts(f"单位 units (位置 {found.position})", map(_unit_cells, found.rows), columns)
        )

    with_city(city, work)


def _unit_cells(unit: UnitLoad) -> tuple[object, ...]:
    level = UnitLevel(unit.level).zh if unit.level else "未登记 not registered"
    heir = f" → {unit.heir}" if unit.heir != unit.unit else ""
    parent = f" ({unit.parent})" if unit.parent else ""
    contact = unit.contact.line if unit.contact is not None else "—"
    name = f"{unit.unit}{heir} {unit.name} · {level}{parent}"
    return (name, unit.orders, unit.open, unit.overdue, unit.duties, unit.due_soon, unit.late_duties, contact)


# --- what if -----------------------------------------------------------------------------------------------------


@click.command("whatif")
@click.option("--policy", "policy_name", help="候选政策 S0 … S4, SC-2025, or a TOML file; without: each case's own.")
@click.option("--parent", "parents", multiple=True, help="上位规则 a policy whose content fills the gaps (repeatable).")
@click.option(
    "--calendar",
    "calendars",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="候选日历 a calendar file in the place of its year's (repeatable).",
)
@click.option(
    "--promised",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="承诺时限的百分比 per cent of the time that an old system promised.",
)
@click.option("--from", "since", metavar="DATE", help="登记日期起 cases registered from this day on.")
@click.option("--to", "until", metavar="DATE", help="登记日期止 to this day, included.")
@click.option(
    "--by", type=click.Choice(["clock", "class", "unit"]), default="clock", show_default=True, help="分列 a line each."
)
@click.option("--limit", type=click.IntRange(1), default=40, show_default=True, help="最多 at most so many lines.")
@_AT
@city_option
@json_option
def whatif_command(
    policy_name: str | None,
    parents: tuple[str, ...],
    calendars: tuple[Path, ...],
    promised: int,
    since: str | None,
    until: str | None,
    by: str,
    limit: int,
    at: str | None,
    city: str | None,
    as_json: bool,
) -> None:
    """推演: what past cases would have come to under another rule, without writing anything.

    Every clock of every case is derived again under the candidate, and held against what it was: how many duties would
    have been late. What people did, they did under the old rule.
    """
    if policy_name is None and not calendars and promised == 100:
        raise click.UsageError("请给出候选 name a candidate: --policy, --calendar or --promised")
    pack = None if policy_name is None else wiring.completed(policy_name, parents)
    if pack is not None and pack.overlay:
        raise SettingError(
            f"{pack.id}: 叠加规则不单独约束工单 an overlay binds beside a pack and is no candidate by itself"
        )
    candidate = Candidate(
        rules=None if pack is None else rules(pack),
        years=tuple(load_calendar(wiring.read_text(path), str(path))[-1] for path in calendars),
        promised=promised,
    )
    first = wiring.parse_instant(since) if since else None
    last = day_after(until) if until else None
    now = _now(at)

    async def work(_: Ledger, shown: Projections) -> None:
        begun, total = time.monotonic(), None
        with contextlib.suppress(ProjectionOutdated):  # it only says how long the bar is
            total = sum((await shown.counts_by_state())[1].values())
        with printing.bar("推演 trying") as bar:
            task = bar.add_task("", total=total)
            tried = await shown.what_if(
                candidate, now, since=first, until=last, progress=lambda cases: bar.advance(task, cases)
            )
        took = time.monotonic() - begun
        if as_json:
            answer({"tried": tried, "seen_at": now, "seconds": round(took, 3)})
            return
        print_tried(tried, by, limit, took)

    with_city(city, work, follow=False)


def print_tried(tried: Tried, by: str, limit: int, took: float) -> None:
    """Print what a candidate came to, a line a clock, class or unit, the largest changes first."""
    if not tried.cases:
        click.echo(f"该期间没有工单 no cases in that period, 截至位置 true at position {tried.position}")
        return
    merged: dict[str, Outcome] = {}
    for outcome in tried.outcomes:
        name = {"clock": ClockName(outcome.clock).zh, "class": outcome.of_class, "unit": outcome.unit}[by] or "热线"
        into = merged.setdefault(name, Outcome(name, "", ""))
        for field in ("duties", "late", "would_be_late", "newly_late", "no_longer_late", "only_before", "only_after"):
            setattr(into, field, getattr(into, field) + getattr(outcome, field))
    ordered = sorted(merged.values(), key=lambda o: (-abs(o.would_be_late - o.late), -o.duties))
    rows = [
        (o.clock, o.duties, o.late, o.would_be_late, o.newly_late, o.no_longer_late, o.only_before, o.only_after)
        for o in ordered[:limit]
    ]
    what = {"clock": "时限 clock", "class": "类别 class", "unit": "责任单位 unit"}[by]
    columns = (what, "件 duties", "原超期 late", "将超期 would be", "新增 newly", "减少 no longer", "仅原有", "仅候选")
    title = f"推演 what if: {tried.cases:,} 件工单 cases, 截至位置 up to position {tried.position}"
    printing.console().print(printing.counts(title, rows, columns))
    if len(ordered) > limit:
        click.echo(f"还有 {len(ordered) - limit} 行 more lines (--limit)")
    if without := sum(outcome.only_before for outcome in ordered):
        click.echo(
            f"候选对 {without} 项未定时限，不等于按时 the candidate gives these no time, which is not in time (--parent)"
        )
    click.echo(
        f"{took:.1f} 秒 seconds, 每秒 {tried.cases / max(took, 0.001):,.0f} 件 cases a second; 未写入 nothing was written"
    )


COMMANDS = (duties_command, find_command, units_command, whatif_command)
