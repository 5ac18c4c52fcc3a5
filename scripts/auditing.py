"""What is wrong with a city's cases, by their own packs: `huiyin audit`, as a table, JSON or CSV."""

from __future__ import annotations

import heapq
import itertools
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import click
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from domain.law import Law
from domain.ledger import Ledger
from domain.terms import SHANGHAI, UnitId
from domain.units import day_of
from domain.wording import day_words, instant_words
from projections.answers import Projections
from scripts import papers, printing, wiring
from scripts.desk import city_option, json_option, with_city
from scripts.lawbook import answer
from scripts.office import day_after
from scripts.wiring import SettingError
from supervision import reports, sheet, sheets
from supervision.audit import Part, Question, audited, units_of
from supervision.catalogue import KINDS, Family, Kind, Severity
from supervision.findings import Exemption, Finding

_GRAVITY = tuple(Severity)
_STARS = {Severity.SERIOUS: "red", Severity.ORDINARY: "yellow", Severity.HINT: "cyan"}


class Tally:
    """What an audit came to, in as much memory as there are kinds and units; and the gravest findings of all."""

    def __init__(self, keep: int) -> None:
        self.cases = self.events = self.total = 0
        self.kinds: Counter[str] = Counter()
        self.orders: Counter[str] = Counter()  # by kind, each order once
        self.units: dict[UnitId, Counter[str]] = {}
        self._keep = keep
        self._gravest: list[tuple[int, int, int, Finding]] = []
        self._turn = itertools.count()

    def add(self, found: Iterable[Finding]) -> None:
        """Count findings; those of one order come one after another."""
        last: dict[str, Any] = {}
        for finding in found:
            self.total += 1
            self.kinds[finding.code] += 1
            self.orders[finding.code] += last.get(finding.code) != finding.order
            last[finding.code] = finding.order
            self.units.setdefault(finding.unit, Counter())[str(finding.severity)] += 1
            grave = (-_GRAVITY.index(finding.severity), finding.late_seconds or 0, -next(self._turn), finding)
            if len(self._gravest) < self._keep:
                heapq.heappush(self._gravest, grave)
            elif self._gravest and grave[:3] > self._gravest[0][:3]:
                heapq.heapreplace(self._gravest, grave)

    @property
    def gravest(self) -> list[Finding]:
        """Return the findings kept, the gravest and latest first."""
        return [finding for *_, finding in sorted(self._gravest, key=lambda one: one[:3], reverse=True)]


@click.command("audit")
@click.option("--unit", metavar="UNIT", help="只查此单位及其下级 of this unit and those below it.")
@click.option("--from", "since", metavar="DATE", help="计入日期起 that count from this day on: due, or broken, then.")
@click.option("--to", "until", metavar="DATE", help="计入日期止 to this day, included.")
@click.option("--kind", "codes", multiple=True, metavar="CODE", help="只列此类 such as late-handle (repeatable).")
@click.option(
    "--family", "families", multiple=True, type=click.Choice([str(f) for f in Family]), help="大类 (repeatable)."
)
@click.option(
    "--severity", "severities", multiple=True, type=click.Choice([str(s) for s in Severity]), help="轻重 (repeatable)."
)
@click.option(
    "--as-of", "position", type=click.IntRange(1), help="截至位置 up to this position, as seen when it was recorded."
)
@click.option("--at", metavar="T", help="以此时刻计超期 the instant lateness is judged at; without: now.")
@click.option(
    "--assume-policy", metavar="PACK", help="假定适用的规则 under this pack instead of their own; never published."
)
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="进程数 in so many processes.")
@click.option(
    "--limit", type=click.IntRange(0, 100_000), default=20, show_default=True, help="最多列 list so many, the gravest."
)
@click.option(
    "--csv",
    "target",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="全部写入此文件 all of them into this file; -: here.",
)
@click.option(
    "--out",
    "paper",
    type=click.Path(dir_okay=False, path_type=Path),
    help="问题清单 kinds, units and the gravest as a paper: .pdf or .html.",
)
@click.option("--exit-code", is_flag=True, help="有问题则以1结束 end with 1 where anything was found.")
@city_option
@json_option
def audit_command(
    unit: str | None,
    since: str | None,
    until: str | None,
    codes: tuple[str, ...],
    families: tuple[str, ...],
    severities: tuple[str, ...],
    position: int | None,
    at: str | None,
    assume_policy: str | None,
    jobs: int,
    limit: int,
    target: str | None,
    paper: Path | None,
    exit_code: bool,
    city: str | None,
    as_json: bool,
) -> None:
    """核查: what is wrong with each case by its own pack, with rule, clock, evidence, unit, and how late.

    Late duties, rules that what was brought over broke, and what a person must judge. Read from the events; nothing is
    written. A finding counts at its due instant, or when the rule was broken.
    """
    if unknown := sorted(set(codes) - set(KINDS)):
        raise click.UsageError(
            f"没有此类问题 no such kind: {', '.join(unknown)}; 可用 there are: {', '.join(sorted(KINDS))}"
        )
    if paper is not None and paper.suffix not in (".pdf", ".html"):
        raise SettingError("--out: 写明 .pdf 或 .html 文件 name a .pdf or .html file")
    first = wiring.parse_instant(since) if since else None
    last = day_after(until) if until else None
    if first is not None and last is not None and first >= last:
        raise click.UsageError("期末早于期初 the period ends before it begins")
    pack = None if assume_policy is None else wiring.completed(assume_policy)
    if pack is not None and pack.overlay:
        raise SettingError(f"{pack.id}: 叠加规则不约束工单 an overlay binds no order")

    async def work(ledger: Ledger, shown: Projections) -> Tally:
        _, law, task = await shown.of_all_cases(position)
        head = task.head  # the cut-off
        now = await _seen_at(ledger, at, position, head)
        if unit and law.unit(unit) is None and not await shown.has_unit(unit):
            raise SettingError(f"没有此单位 no such unit: {unit!r}; 见 see: huiyin units")
        question = Question(
            now=now,
            units=None if unit is None else units_of(law, unit, now),
            since=first,
            until=last,
            codes=frozenset(codes),
            families=frozenset(families),
            severities=frozenset(severities),
            assume=pack,
        )
        total = sum((await shown.counts_by_state())[1].values())
        tally = _gone_through(audited(task, law, question, jobs), law, Tally(limit), total, target)
        if paper is not None:
            await papers.write(paper, _sheet(tally, law, head, now, pack.id if pack is not None else ""))
        if as_json:
            answer(_said(tally, head, now, assume_policy))
        elif target != "-":
            _print(tally, law, head, now, pack.id if pack is not None else "")
        return tally

    tally = with_city(city, work)
    if exit_code and tally.total:
        sys.exit(1)


def _gone_through(parts: Iterable[Part], law: Law, tally: Tally, total: int, target: str | None) -> Tally:
    """Count what each range came to, and write it out as it comes."""
    with ExitStack() as open_now:
        out = _opened(open_now, target)
        bar = open_now.enter_context(printing.bar("核查 auditing"))
        row = bar.add_task("", total=total)
        for part in parts:
            tally.cases += part.cases
            tally.events += part.events
            tally.add(part.findings)
            if out is not None:
                out.write(sheet.lines(part.findings, law))
            bar.advance(row, part.cases)
    return tally


async def _seen_at(ledger: Ledger, at: str | None, position: int | None, head: int) -> datetime:
    """Return the instant lateness is judged at: as said, else when the cut-off was recorded, else now."""
    if at is not None:
        return wiring.parse_instant(at)
    if position is None:
        return wiring.process_now()
    return (await ledger.read(head - 1, 1))[0].recorded_at


def _opened(open_now: ExitStack, target: str | None) -> TextIO | None:
    """Return where lines are written to, with the heading written."""
    if target is None:
        return None
    if target == "-":
        out: TextIO = sys.stdout
    else:
        try:
            out = open_now.enter_context(Path(target).open("w", encoding="utf-8", newline=""))  # noqa: SIM115  the stack closes it
        except OSError as error:
            raise SettingError(f"--csv {target}: {error.strerror}") from error
    out.write(sheet.heading())
    return out


def _said(tally: Tally, position: int, now: datetime, assumed: str | None) -> dict[str, object]:
    return {
        "position": position,
        "seen_at": now,
        "assumed_policy": assumed,
        "cases": tally.cases,
        "events": tally.events,
        "total": tally.total,
        "kinds": dict(tally.kinds),
        "units": tally.units,
        "findings": tally.gravest,
        "more": tally.total > len(tally.gravest),
    }


# --- on paper ---------------------------------------------------------------------------------------------------------


def _sheet(tally: Tally, law: Law, position: int, now: datetime, assumed: str) -> str:
    """Return kinds, units and the gravest findings as a document."""
    kinds = [
        (KINDS[code].zh, KINDS[code].family.zh, KINDS[code].severity.zh, tally.kinds[code], tally.orders[code])
        for code in sorted(tally.kinds, key=lambda c: (_GRAVITY.index(KINDS[c].severity), -tally.kinds[c], c))
    ]
    ordered = sorted(tally.units.items(), key=lambda one: (-one[1]["serious"], -one[1].total(), one[0]))
    units = [
        (law.unit_name(unit or law.hotline_unit, now), *(of[str(s)] for s in _GRAVITY), of.total())
        for unit, of in ordered[:_MOST_UNITS]
    ]
    listed = [_line(finding, law) for finding in tally.gravest]
    columns = ("工单", "问题", "轻重", "单位", "到期或发生", "超期", "依据", "证据位置", "说明")
    tables = (
        reports.Table(caption="问题种类", columns=("问题", "大类", "轻重", "项", "件"), rows=tuple(kinds)),
        reports.Table(caption="责任单位", columns=("单位", *(s.zh for s in _GRAVITY), "合计"), rows=tuple(units)),
        reports.Table(caption="问题", columns=columns, rows=tuple(listed)),
    )
    return sheets.findings(
        {
            "title": f"{law.city_name}12345热线问题清单" + ("（推演）" if assumed else ""),
            "issuer": law.unit_name(law.hotline_unit, now),
            "assumed": assumed,
            "at": now.astimezone(SHANGHAI),
            "position": position,
            "cases": tally.cases,
            "total": tally.total,
            "shown": len(listed),
            "tables": tables,
        }
    )


def _line(finding: Finding, law: Law) -> tuple[str, ...]:
    """Return what the paper says of a finding; what its unit stated stands in the case, sealed, and is named here."""
    late = "" if finding.late_seconds is None else printing.show_span(timedelta(seconds=finding.late_seconds))
    unit = law.unit_name(finding.unit or law.hotline_unit, finding.at)
    when = instant_words(finding.due or finding.at)
    number = finding.number or str(finding.order)[:13]
    rule = finding.rule.article or finding.rule.text
    seen = "、".join(f"{one.position}" for one in finding.evidence)
    stated = "；".join(f"{day_words(day_of(one.stated.at))}已说明（第{one.version}项）" for one in finding.statements)
    return (number, finding.title, finding.severity.zh, unit, when, late, rule, seen, stated or "—")


# --- as an official reads it ------------------------------------------------------------------------------------------


def _print(tally: Tally, law: Law, position: int, now: datetime, assumed: str) -> None:
    out = printing.console()
    if assumed:
        click.echo(f"! 假定适用 assumed policy {assumed}: 仅供推演, 不得公布 not for publication")
    if tally.total:
        out.print(_kinds(tally))
        out.print(Text(""))
        out.print(_units(tally, law, now))
        out.print(Text(""))
        out.print(_listed(tally.gravest, law))
        if tally.total > len(tally.gravest):
            click.echo(f"… 共 {tally.total:,} 项 in all (--limit, --csv)")
    click.echo(
        f"✓ 核查 audited {tally.cases:,} 件工单 cases, {tally.events:,} 条记录 events: {tally.total:,} 项问题 findings; "
        f"以 {printing.show_instant(now)} 计, 截至位置 up to position {position}; 未写入 nothing was written"
    )


def _kinds(tally: Tally) -> RenderableType:
    table = Table(box=None, pad_edge=False, title="问题种类 kinds", title_justify="left")
    for name, side in (("问题 finding", "left"), ("编码 code", "left"), ("大类", "left"), ("轻重", "left")):
        table.add_column(name, justify=side, overflow="fold")  # type: ignore[arg-type]
    table.add_column("项 findings", justify="right")
    table.add_column("件 orders", justify="right")
    for code in sorted(tally.kinds, key=lambda code: (_GRAVITY.index(KINDS[code].severity), -tally.kinds[code], code)):
        kind = KINDS[code]
        table.add_row(
            kind.zh, code, kind.family.zh, _gravity(kind), f"{tally.kinds[code]:,}", f"{tally.orders[code]:,}"
        )
    return table


def _gravity(kind: Kind | Finding) -> str:
    return f"[{_STARS[kind.severity]}]{kind.severity.zh}[/]"


_MOST_UNITS = 20


def _units(tally: Tally, law: Law, now: datetime) -> RenderableType:
    ordered = sorted(tally.units.items(), key=lambda one: (-one[1]["serious"], -one[1].total(), one[0]))
    rows = [
        (_unit(law, unit, now), *(f"{of[str(s)]:,}" for s in _GRAVITY), f"{of.total():,}")
        for unit, of in ordered[:_MOST_UNITS]
    ]
    columns = ("责任单位 unit", *(f"{s.zh} {s}" for s in _GRAVITY), "合计 total")
    title = "责任单位 units"
    if len(ordered) > _MOST_UNITS:
        title += f" (前 {_MOST_UNITS} 个, 共 first of {len(ordered)})"
    return printing.counts(title, rows, columns)


def _unit(law: Law, unit: UnitId, now: datetime) -> str:
    code = unit or law.hotline_unit
    name = law.unit_name(code, now)
    return code if name == code else f"{code} {name}"


def _listed(found: list[Finding], law: Law) -> RenderableType:
    shared = frozenset.intersection(*(frozenset(finding.marks) for finding in found)) if found else frozenset()
    if printing.console().width < printing.NARROW:
        return Group(Text(_heading(shared)), *(line for finding in found for line in _lines(finding, law, shared)))
    table = Table(box=None, pad_edge=False, title=_heading(shared), title_justify="left")
    for column in (
        "工单 order",
        "问题 finding",
        "单位 unit",
        "到期/发生 at",
        "超期 late",
        "依据 rule",
        "证据",
        "标记 marks",
    ):
        table.add_column(column, overflow="fold")
    for finding in found:
        table.add_row(*_cells(finding, law, shared))
    return table


def _heading(shared: frozenset[Exemption]) -> str:
    """Return the title; what is to be said beside every finding is said once."""
    marks = ", ".join(mark.zh for mark in Exemption if mark in shared)
    return "问题 findings" + (f" · 均为 all of them: {marks}" if marks else "")


def _cells(finding: Finding, law: Law, shared: frozenset[Exemption]) -> tuple[str, ...]:
    late = "" if finding.late_seconds is None else printing.show_span(timedelta(seconds=finding.late_seconds))
    return (
        escape(finding.number or str(finding.order)[:13]),
        f"{_gravity(finding)} {finding.title} [dim]{escape(finding.id)}[/]",
        escape(_unit(law, finding.unit, finding.at)),
        printing.show_end(finding.due) if finding.due else printing.show_instant(finding.at),
        late,
        escape(finding.rule.article or finding.rule.text),
        " ".join(f"{e.version}@{e.position}" for e in finding.evidence),
        ", ".join(mark.zh for mark in finding.marks if mark not in shared),
    )


def _lines(finding: Finding, law: Law, shared: frozenset[Exemption]) -> tuple[Text, Text]:
    number, what, unit, when, late, rule, evidence, marks = _cells(finding, law, shared)
    said = [f"{unit}", when, f"超期 {late}" if late else "", rule, evidence, marks]
    return Text.from_markup(f"{number}  {what}"), Text.from_markup("  " + " · ".join(one for one in said if one))


COMMANDS = (audit_command,)
