"""How a case, its clocks and the law are shown in a terminal: Chinese first, English second.

Everything here takes what the domain derived and returns rich renderables; it decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise

import click
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from domain.clocks import Clock, OverdueItem, Status, overdue_items
from domain.explanation import STATUS_WORDS, Explanation, MoveExplained, cause_words
from domain.guards import UNPLAIN
from domain.policy import LimitSource, Pack
from domain.state import WorkOrder
from domain.terms import ClosureKind, Entry, OrderState, Origin, Start, Stop
from domain.wording import day_steps as day_steps
from domain.wording import event_details as event_details
from domain.wording import event_title as event_title
from domain.wording import show_citation as show_citation
from domain.wording import show_end as show_end
from domain.wording import show_instant as show_instant
from domain.wording import show_span as show_span
from domain.wording import weekday as weekday
from scripts import wiring

_COLOURS = {
    Status.RUNNING: "cyan",
    Status.PENDING_EXTENSION: "yellow",
    Status.OVERDUE: "bold red",
    Status.ON_TIME: "green",
    Status.LATE: "red",
    Status.CANCELLED: "dim",
    Status.CANCELLED_LATE: "red",
    Status.LAPSED: "magenta",
    Status.MEASURED: "dim",
}


def state_words(state: str, closure: str = "") -> str:
    """Show where an order stands: `办理中 working`, `已办结 closed · 满意办结`."""
    kind = f" · {ClosureKind(closure).zh}" if closure else ""
    return f"{OrderState(state).zh} {state}{kind}"


def timeline(entries: Sequence[Entry], *, corrections: dict[int, str] | None = None) -> RenderableType:
    """Show a history: version, position, instant, what happened, who did it. On a narrow terminal two lines each."""
    rows = [_entry_cells(entry, before, corrections or {}) for before, entry in pairwise((None, *entries))]
    if console().width < NARROW:
        return Group(
            Text("办理过程 history", style="italic"),
            *(line for cells in rows for line in _entry_lines(*cells)),
        )
    table = Table(title="办理过程 history", title_justify="left", show_lines=False, pad_edge=False, box=None)
    table.add_column("#", justify="right", style="dim")
    table.add_column("位置 pos", justify="right", style="dim")
    table.add_column("时间 at", no_wrap=True)
    table.add_column("事件 event", no_wrap=True, style="bold")
    table.add_column("操作人 by", no_wrap=True)
    table.add_column("内容 details", overflow="fold")
    for cells in rows:
        table.add_row(*cells)
    return table


def _entry_cells(
    entry: Entry | None, before: Entry | None, corrections: dict[int, str]
) -> tuple[str, str, str, str, str, str]:
    assert entry is not None
    at = show_instant(entry.at)
    if entry.origin is not Origin.LIVE:
        at += " ᴵ" if entry.origin is Origin.IMPORT else " ᴮ"
    by = f"{entry.actor.role.zh} {entry.actor.user}" + (f"@{entry.actor.unit}" if entry.actor.unit else "")
    details = escape(event_details(entry.event))
    numbers = " ".join(f"{journal} № {', '.join(map(str, given))}" for journal, given in entry.numbers.items())
    # A commit's numbers belong to all of its events: they are shown with the first.
    if numbers and (before is None or before.command_id != entry.command_id):
        details += f" [cyan]{escape(numbers)}[/]"
    if entry.version in corrections:
        details += f" [yellow]更正 corrected: {escape(corrections[entry.version])}[/]"
    position = str(entry.position or "—")
    return str(entry.version), position, at, event_title(entry.event), escape(by), details


def _entry_lines(
    version: str, position: str, at: str, title: str, by: str, details: str
) -> tuple[RenderableType, RenderableType]:
    head = Text.from_markup(f"[dim]#{version}[/] {at} [bold]{title}[/] {by} [dim]位置 {position}[/]")
    return head, Padding(Text.from_markup(details), (0, 0, 0, 3))


def _move_line(move: MoveExplained) -> str:
    return (
        f"{show_instant(move.at.at)} 位置 {move.at.position}: {move.why.zh} {move.why} {move.limit} → "
        f"{show_end(move.after)}\n  {day_steps(move.steps)}\n  {show_citation(move.basis)}"
    )


_SOURCES = {
    LimitSource.WRITTEN: " · 派单或文书载明 written on the instrument",
    LimitSource.TOLERANCE: " · 立即, 以容差计 immediately, within the tolerance (A-01)",
    LimitSource.RELATIVE: " · 依另一时限推定 follows another limit",
}


def _happened(really: str, ruled: Start | Stop) -> str:
    """Say what really began or stopped a clock, with the rule's own word where that is another."""
    return f"{cause_words(really)} [dim](规则 rule: {ruled.zh} {ruled})[/]" if really else f"{ruled.zh} {ruled}"


def explanation(explained: Explanation, clock: Clock, now: datetime) -> Panel:
    """Show one deadline with everything it rests on."""
    status = clock.status(now)
    chinese, english = STATUS_WORDS[status]
    rows = Table.grid(padding=(0, 1))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    rows.add_row("依据 article", escape(show_citation(explained.article)))
    if explained.article.quote:
        rows.add_row("", f"“{escape(explained.article.quote)}”")
    position = f" (位置 {explained.start.position})" if explained.start.position else ""
    started = _happened(explained.began, explained.starts)
    rows.add_row("起算 start", f"{show_instant(explained.start.at)} {started}{position}")
    source = _SOURCES.get(explained.source, "")
    rows.add_row("时限 limit", explained.limit_words + source + (f" · {explained.note}" if explained.note else ""))
    if explained.steps:
        rows.add_row("计日 days", day_steps(explained.steps))
    for move in explained.moves:
        rows.add_row("变动 moved", escape(_move_line(move)))
    if explained.due is not None:
        provisional = " [yellow]暂定: 该年日历未公布 provisional[/]" if explained.provisional else ""
        outage = " [yellow]系统中断期间 during an outage[/]" if explained.during_outage else ""
        rows.add_row("到期 due", f"[bold]{weekday(explained.due_words)}[/]{provisional}{outage}")
    if explained.stop is not None:
        rows.add_row(
            "停止 stop",
            f"{show_instant(explained.stop.at)} {_happened(explained.ended, explained.stops)} "
            f"(位置 {explained.stop.position})",
        )
    if explained.cancel is not None:
        rows.add_row(
            "取消 cancelled",
            f"{show_instant(explained.cancel.at)} {cause_words(explained.cancelled_by)} "
            f"(位置 {explained.cancel.position})",
        )
    for notice in explained.calendars:
        rows.add_row("日历 calendar", escape(show_citation(notice)))
    late = clock.late_by(now)
    verdict = f"{chinese} {english}" + (f" {show_span(late)}" if late is not None else "")
    title = f"[bold]{explained.title}[/] {explained.clock} · {explained.key or '—'} · {explained.unit or '热线'}"
    return Panel(rows, title=title, subtitle=f"[{_COLOURS[status]}]{verdict}[/]", title_align="left")


def clocks_table(found: Sequence[Clock], now: datetime) -> RenderableType:
    """Show every clock of a case, a line each; on a narrow terminal two lines."""
    if console().width < NARROW:
        return Group(
            Text("时限 clocks", style="italic"), *(line for clock in found for line in _clock_lines(clock, now))
        )
    table = Table(title="时限 clocks", title_justify="left", box=None, pad_edge=False)
    for column in ("时限 clock", "项 key", "责任 unit", "起算 start", "到期 due", "停止 stop", "状态 status"):
        table.add_column(column, no_wrap=True)
    for clock in found:
        end = clock.stop or clock.cancel
        table.add_row(
            f"{clock.rule.title} {clock.name}",
            clock.key,
            clock.unit or "热线",
            show_instant(clock.start.at),
            show_end(clock.due) + (" 暂定" if clock.provisional else ""),
            show_instant(end.at) if end is not None else "—",
            _clock_status(clock, now),
        )
    return table


def _clock_status(clock: Clock, now: datetime) -> str:
    status, late = clock.status(now), clock.late_by(now)
    words = " ".join(STATUS_WORDS[status]) + (f" {show_span(late)}" if late is not None else "")
    return f"[{_COLOURS[status]}]{words}[/]"


def _clock_lines(clock: Clock, now: datetime) -> tuple[Text, Text]:
    end = clock.stop or clock.cancel
    due = show_end(clock.due) + (" 暂定" if clock.provisional else "")
    stop = f" · 止 {show_instant(end.at)}" if end is not None else ""
    unit = escape(clock.unit) or "热线"
    return (
        Text.from_markup(f"[bold]{clock.rule.title} {clock.name}[/] {clock.key} {unit} {_clock_status(clock, now)}"),
        Text.from_markup(f"   起 {show_instant(clock.start.at)}{stop} · 到期 {due}"),
    )


def order_head(order: WorkOrder, pack: Pack, overdue: Sequence[OverdueItem] = ()) -> Panel:
    """Show what an order is and where it stands."""
    demand = order.demand
    rows = Table.grid(padding=(0, 1))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    number = order.number + (f" (旧号 old: {demand.old_number})" if demand.old_number else "")
    rows.add_row("工单 order", f"[bold]{escape(number)}[/]  {order.id}")
    rows.add_row("标题 title", escape(demand.title))
    kind = f"{order.attributes.demand_type.zh} · {demand.category} · {demand.channel.zh}"
    place = f" · {demand.place}" if demand.place else ""
    rows.add_row("诉求 demand", escape(kind + place))
    applicant = demand.applicant
    who = "匿名 anonymous" if demand.anonymous else (f"{applicant.kind.zh} · ▒▒▒" if applicant else "—")
    rows.add_row("诉求人", f"{who} · {order.confidentiality.zh} {order.confidentiality}")
    closure = f" · {order.filing.kind.zh} {order.filing.kind}" if order.filing.kind else ""
    rows.add_row(
        "状态 state", f"[bold]{order.state.zh} {order.state}[/]{closure} · 第{order.round}轮 round {order.round}"
    )
    assumed = " · [yellow]推定适用 assumed[/]" if order.assumed_policy else ""
    rows.add_row("政策 policy", f"{pack.id} {pack.version} {order.policy.digest[:19]}…{assumed}")
    if order.lead:
        rows.add_row("主办 lead", order.lead)
    if overdue:
        late = ", ".join(f"第{item.episode}次派单 episode {item.episode} {item.unit}" for item in overdue)
        rows.add_row("超期办理件", f"[red]overdue item[/] {escape(late)} (S1-20)")
    if demand.derived:
        mapping, *fields = demand.derived
        rows.add_row("推得 derived", f"按映射 by the mapping {escape(mapping)}: {escape(', '.join(fields))}")
    return Panel(rows, title="Huiyin 回音", title_align="left")


def story(
    order: WorkOrder,
    pack: Pack,
    entries: Sequence[Entry],
    explained: Sequence[tuple[Clock, Explanation]],
    now: datetime,
    *,
    brief: bool = False,
) -> RenderableType:
    """Show a case whole: head, history, clocks, and (unless `brief`) each deadline explained."""
    corrections = {c.version: f"{c.field}: {c.old} → {c.new}" for c in order.corrections}
    parts: list[RenderableType] = [
        order_head(order, pack, overdue_items(clock for clock, _ in explained)),
        timeline(entries, corrections=corrections),
        Text(""),
        clocks_table([clock for clock, _ in explained], now),
        Text(""),
    ]
    if not brief:
        parts += [explanation(e, clock, now) for clock, e in explained]
    return Group(*parts)


def bar(title: str) -> Progress:
    """Return a progress bar on stderr; nothing where that is no terminal."""
    out = console(stderr=True)
    return Progress(
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("余 left"),
        TimeRemainingColumn(),
        console=out,
        transient=True,
        disable=not out.is_terminal,
    )


def counts(title: str, rows: Iterable[Sequence[object]], columns: Sequence[str]) -> Group:
    """Show a table of figures: the first column names, the others right-aligned."""
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    return Group(Text(title, style="italic"), table)


class HelpFormatter(click.HelpFormatter):
    """Help that measures Chinese as wide as it is shown."""

    def write_text(self, text: str) -> None:
        """Write paragraphs; one that begins with \\b as it stands."""
        paragraphs = re.split(r"\n{2,}", text)
        for number, paragraph in enumerate(paragraphs):
            if number:
                self.write("\n")
            raw = paragraph.startswith("\b\n")
            for line in paragraph[2:].splitlines() if raw else self._wrapped(" ".join(paragraph.split()), self.width):
                self.write(f"{'':>{self.current_indent}}{line}\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write terms with what they mean beside them, or below where a term is long."""
        rows = list(rows)
        column = min(max((cell_len(term) for term, _ in rows), default=0), col_max) + col_spacing
        for term, meaning in rows:
            self.write(f"{'':>{self.current_indent}}{term}")
            lines = self._wrapped(meaning, self.width - column)
            if cell_len(term) > column - col_spacing:
                self.write("\n" + " " * (self.current_indent + column))
            else:
                self.write(" " * (column - cell_len(term)))
            self.write(("\n" + " " * (self.current_indent + column)).join(lines) + "\n")

    def _wrapped(self, text: str, width: int) -> list[str]:
        lines = Text(text).wrap(Console(width=200), max(width - self.current_indent, 20))
        return [line.plain.rstrip() for line in lines]


NARROW = 120
"""Columns below which a table's rows are written as two lines each."""


class _Plain(Console):
    """A terminal to which what was written elsewhere is only text: it repaints nothing and turns no writing."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render, with every character that a screen would obey shown as a box."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                lines = segment.text.split("\n")
                yield Segment("\n".join(UNPLAIN.sub("␦", line) for line in lines), segment.style)


def console(*, stderr: bool = False) -> Console:
    """Return the terminal; wide enough for tables when the output is a file or a pipe, unless COLUMNS says how wide."""
    out = _Plain(stderr=stderr, highlight=False)
    if not out.is_terminal and not wiring.environment().get("COLUMNS", "").isdecimal():
        out = _Plain(stderr=stderr, highlight=False, width=160)
    return out
