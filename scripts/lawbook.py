"""The commands that only read the law: `due`, `policy`, `calendar show`. They need no ledger and no database."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from domain.calendar import Calendar, DayKind, known
from domain.clocks import Clock
from domain.explanation import explain, limit_words
from domain.policy import LimitSource, Pack, PolicyError, Rules, digest, rules
from domain.terms import SHANGHAI, ClockName, Mark
from domain.units import day_of
from scripts import printing, wiring
from scripts.wiring import SettingError


class Commands(click.Group):
    """A group of commands that shows each one's first line whole."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  as click asks
        """List the commands by name."""
        rows = [(name, command.get_short_help_str(limit=200)) for name, command in sorted(self.commands.items())]
        with formatter.section("命令 Commands"):
            formatter.write_dl(rows)


def answer(value: Any) -> None:
    """Print a value as one line of JSON, for programs."""
    click.echo(msgspec.json.encode(value, order="sorted").decode())


def _wanted_class(bound: Rules, name: str | None) -> str:
    if name is None:
        if len(bound.classes) == 1:
            return next(iter(bound.classes))
        raise SettingError(f"请指明类别 name a class with --class: {', '.join(bound.classes)}")
    if name not in bound.classes:
        raise SettingError(f"此政策没有该类别 no class {name!r} in {bound.pack.id}: {', '.join(bound.classes)}")
    return name


def due_clock(bound: Rules, clock: str, of_class: str | None, at: datetime, calendar: Calendar, *, peak: bool) -> Clock:
    """Return the clock that would run for a class from an instant. Raises SettingError, saying what there is."""
    try:
        name = ClockName(clock.lower().replace("-", "_"))
    except ValueError as error:
        known = ", ".join(c.value for c in bound.clocks)
        raise SettingError(f"没有此时限 no such clock: {clock!r}; {bound.pack.id}: {known}") from error
    rule = bound.clocks.get(name)
    if rule is None:
        raise SettingError(f"{bound.pack.id} 没有规定 has no clock {name}")
    kind = bound.classes[_wanted_class(bound, of_class)]
    limit = bound.limit(name, kind, peak=peak)
    start = Mark(at, 0)
    if limit is None:
        return Clock(name, kind.name, "", start, None, None, rule, bound)
    due = calendar.due(at, limit, bound.kernel)
    return Clock(name, kind.name, "", start, limit, due.at, rule, bound, provisional=due.provisional)


@click.command("due")
@click.option(
    "--policy", "policy_name", required=True, help="政策 a shipped policy (S0 … S4, SC-2025, …) or a TOML file."
)
@click.option("--parent", "parents", multiple=True, help="上位规则 a policy whose content fills the gaps.")
@click.option("--clock", required=True, help="时限 handle, sign, return, transfer, dispatch, …")
@click.option("--class", "of_class", help="类别 a class of the policy; without: the only one.")
@click.option(
    "--at", "start", required=True, help="起算时刻 the starting instant, Shanghai's time: '2025-03-04 10:00'."
)
@click.option("--peak", is_flag=True, help="话务集中 registered inside a declared peak.")
@click.option("--json", "as_json", is_flag=True, help="供程序读取 JSON for programs.")
def due_command(
    policy_name: str, parents: tuple[str, ...], clock: str, of_class: str | None, start: str, peak: bool, as_json: bool
) -> None:
    """计算时限: explain a deadline without a case."""
    pack = wiring.completed(policy_name, parents)
    law, bound = wiring.law_from_files(pack), rules(pack)
    at = wiring.parse_instant(start)
    found = due_clock(bound, clock, of_class, at, law.calendar(), peak=peak)
    explained = explain(found, law)
    if as_json:
        answer(explained)
        return
    out = printing.console()
    out.print(printing.explanation(explained, found, at))
    day = day_of(at)
    early = pack.effective_from is not None and day < pack.effective_from
    if early or (pack.effective_until is not None and day > pack.effective_until):
        held = f"{pack.effective_from or '…'} – {pack.effective_until or '…'}"
        out.print(
            f"[yellow]该日不在规则施行期内, 仅作推算 the rules do not hold on that day ({held}): a calculation only[/]"
        )
    if found.due is None:
        why = {
            LimitSource.REQUIRED: "此件时限须由派单载明或由上位规则补足 the dispatch or a parent must bring the figure (--parent)",
            LimitSource.WRITTEN: "时限载于文书本身 the limit is written on the instrument itself",
            LimitSource.RELATIVE: "时限随主办时限而定 the limit follows the lead's",
        }.get(found.rule.source, "规定未设时限, 仅计时 the text gives no figure: measured only")
        out.print(f"[yellow]{why}[/]")


# --- policies ----------------------------------------------------------------------------------------------------


@click.group("policy", cls=Commands)
def policy_group() -> None:
    """政策: list, show and check the shipped rules; propose one for a city."""


@policy_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="供程序读取 JSON for programs.")
def policy_list(as_json: bool) -> None:
    """列出随软件提供的政策: id, version, title, validity, how many clocks."""
    packs = wiring.read_packs()
    if as_json:
        answer([{"id": p.id, "version": p.version, "title": p.title, "digest": digest(p)} for p in packs.values()])
        return
    table = Table(box=None, pad_edge=False)
    for column in ("代码 id", "版本 version", "名称 title", "施行 from", "时限数 clocks", "摘要 digest"):
        table.add_column(column, overflow="fold", no_wrap=column in ("代码 id", "摘要 digest"))
    for pack in packs.values():
        since = str(pack.effective_from or ("—" if pack.base else "未载明 not stated"))
        table.add_row(pack.id, pack.version, pack.title, since, str(len(pack.clocks)), digest(pack)[7:19])
    printing.console().print(table)


@policy_group.command("show")
@click.argument("name")
@click.option("--parent", "parents", multiple=True, help="上位规则 a policy whose content fills the gaps.")
@click.option("--own", is_flag=True, help="只看本文件 the file alone, gaps not filled.")
@click.option("--json", "as_json", is_flag=True, help="供程序读取 JSON for programs.")
def policy_show(name: str, parents: tuple[str, ...], own: bool, as_json: bool) -> None:
    """显示一份政策: its classes, clocks and options, each with its citation."""
    pack = wiring.read_pack(name) if own else wiring.completed(name, parents)
    if as_json:
        answer(pack)
        return
    _print_pack(pack)


def _print_pack(pack: Pack) -> None:
    out, bound = printing.console(), rules(pack)
    out.print(f"[bold]{escape(pack.title)}[/]  {pack.id} {pack.version}  {digest(pack)}")
    for citation in pack.basis:
        out.print(f"  {escape(printing.show_citation(citation))}")
    for note in pack.notes:
        out.print(f"  [yellow]注 note[/] {escape(note)}")
    classes = Table(title="类别 classes", title_justify="left", box=None, pad_edge=False)
    for column in ("类别 class", "名称 title", "依据 basis"):
        classes.add_column(column, overflow="fold")
    for c in pack.classes:
        classes.add_row(c.name, c.title, escape(printing.show_citation(c.basis)))
    out.print(classes)
    clocks = Table(title="时限 clocks", title_justify="left", box=None, pad_edge=False)
    for column in ("时限 clock", "起算 → 停止 from → to", "期限 limit", "依据 basis"):
        clocks.add_column(column, overflow="fold")
    for rule in pack.clocks:
        figures = [
            f"{c.name}: {limit_words(bound.limit(rule.name, c))}"
            for c in pack.classes
            if bound.runs(rule.name, c) and bound.limit(rule.name, c) is not None
        ]
        words = "\n".join(dict.fromkeys(figures)) or str(rule.source)
        clocks.add_row(
            f"{rule.title} {rule.name}",
            f"{rule.starts} → {rule.stops}",
            words,
            escape(printing.show_citation(rule.basis)),
        )
    out.print(clocks)
    options = Table(title="选项 options", title_justify="left", box=None, pad_edge=False)
    for column in ("选项 option", "取值 value", "依据 basis"):
        options.add_column(column, overflow="fold")
    for option in pack.options:
        value = msgspec.json.encode(option.value).decode()
        options.add_row(option.name, escape(value), escape(printing.show_citation(option.basis)))
    out.print(options)


@policy_group.command("check")
@click.argument("files", nargs=-1, required=True)
def policy_check(files: tuple[str, ...]) -> None:
    """检查政策文件: say whether they load, and where they do not.

    FILES: TOML files or shipped policies. Exit code 1 if any does not load.
    """
    failed = False
    for name in files:
        try:
            pack = wiring.read_pack(name)
            wiring.completed(name)
        except (PolicyError, SettingError) as error:
            failed = True
            click.echo(f"✗ {error}", err=True)
            continue
        click.echo(f"✓ {pack.id} {pack.version}: {len(pack.clocks)} 项时限 clocks, {len(pack.options)} 个选项 options")
    if failed:
        raise SystemExit(1)


# --- calendars ---------------------------------------------------------------------------------------------------


def print_year(calendar: Calendar, year: int) -> None:
    """Print a year as months of days: working, off, made up, with the notice it comes from."""
    out = printing.console()
    half = 16 if out.width < 140 else 31  # days in a line
    published = calendar.published(year)
    if published is None:
        out.print(
            f"[yellow]{year}年日历尚未公布, 以周末和固定节日推定 not published: weekends and fixed days presumed[/]"
        )
    else:
        for citation in published.basis:
            out.print(escape(printing.show_citation(citation)))
        out.print(f"第{published.version}版 version {published.version}, 自 known from {published.known_from}")
    day = date(year, 1, 1).toordinal()
    working = 0
    for month in range(1, 13):
        cells: list[str] = []
        while date.fromordinal(day).month == month and date.fromordinal(day).year == year:
            today = date.fromordinal(day)
            reason = calendar.reason(today)
            working += reason.working
            style, mark = "white", " "
            if reason.kind is DayKind.MAKEUP:
                style, mark = "black on yellow", "+"
            elif reason.kind in (DayKind.HOLIDAY, DayKind.PRESUMED_HOLIDAY):
                style, mark = "white on red", "x"
            elif not reason.working:
                style, mark = "dim", "."
            cells.append(f"[{style}]{today.day:2d}{mark}[/]")
            day += 1
        out.print(f"{month:2d}月 " + " ".join(cells[:half]))
        if cells[half:]:
            out.print("     " + " ".join(cells[half:]))
    marks = "[white on red] x [/] 放假 off  [black on yellow] + [/] 调休上班 make-up  [dim] . [/] 周末 weekend"
    out.print(f"工作日 working days: {working}   {marks}")


def calendar_from_files(at: datetime | None = None) -> Calendar:
    """Return the calendar of the shipped files, the newest or as it was known at an instant."""
    years = wiring.read_calendars()
    return Calendar(years if at is None else known(years, at))


def year_as_data(calendar: Calendar, year: int) -> dict[str, Any]:
    """Return a year day by day, for programs."""
    first = datetime(year, 1, 1, tzinfo=SHANGHAI).date().toordinal()
    days = [date.fromordinal(n) for n in range(first, date(year + 1, 1, 1).toordinal())]
    return {
        "year": year,
        "published": calendar.published(year),
        "days": [{"day": d, "kind": calendar.reason(d).kind, "working": calendar.reason(d).working} for d in days],
    }
