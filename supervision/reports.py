"""报告 (DOMAIN 5.3). What leaders, departments, overseers and the public are told of a period, from the ledger at one position.

A report is data first: parts with tables, charts and words. It states period, cut-off, template and how everything is
counted; its digest is that of this content. The same kind, period and cut-off come out the same for ever. No person is in it.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

import msgspec

from domain.calendar import FIRST_YEAR, LAST_YEAR
from domain.clocks import clocks
from domain.duties import title_of
from domain.law import Law
from domain.ledger import Ledger
from domain.matters.inquiries import (
    Inquiry,
    OversightInquiryAnswered,
    OversightInquiryFiled,
    inquiry_clock,
    on_inquiry_answered,
    on_inquiry_filed,
)
from domain.matters.publications import ON_EVENT, PrivacyClass, PublishReport, ReportKind
from domain.order import fold
from domain.policy import Options, Rules
from domain.refusals import NoPolicyInForce, Refusal, UnknownOrder
from domain.state import WorkOrder
from domain.stored import tag
from domain.terms import (
    SHANGHAI,
    AppealGround,
    Channel,
    ClockName,
    ClosureKind,
    Confidentiality,
    DemandType,
    Entry,
    ExemptCategory,
    NoticeKind,
    Outcome,
    PolicyDomain,
    PolicyRef,
    Reasonableness,
    RefusalReason,
    Role,
    UnitId,
    Word,
)
from domain.units import day_of, day_start
from domain.wording import citation_words, day_words, instant_words
from projections.answers import Projections
from projections.figures import BY_CODE, Contested, Figure, Shape, percent
from projections.volumes import Appealed, Emergency, Volumes
from supervision.assessment import Score, points_words, scores
from supervision.assessment import title_of as indicator_title
from supervision.disclosure import DIMENSIONS, LEAST, Sheet, Tally, quarter_of, together
from supervision.indicators import Adjusted, adjusted
from supervision.oversight import Overseen, Release
from supervision.telephony import Telephony, telephony

TEMPLATE = "report/5"
"""The version of the template and of what each kind says: raised with every change of either."""

ONE_DAY = timedelta(days=1)
TOP = 10
SUPPRESSED = "<{least}"
HIDDEN = "*"
PROTECTED = "（依法保密，不列）"
STEPS = 40
"""Steps that are told of one case at most, the last ones."""

NOTHING = "—"


class PeriodUnfit(Refusal):
    """报告期不合要求。The period of the report is not in order: see which kind is of a day, a month or a quarter."""


class NoCaseNamed(Refusal):
    """这种报告不列名具体工单。This kind of report is about no case: name cases with a special report."""


class CutOffEarly(Refusal):
    """截至位置早于期末：期内的事项尚未全部入账，请以较后的位置公布。The ledger went on within the period after this position: publish as of a later one."""

    field = "cut_off"


async def refuse_early(command: PublishReport, ledger: Ledger) -> None:
    """Refuse to close a period as the ledger was before it was over: what it leaves out could never come in again.

    The domain does not know when a position was written; so every door asks here. Raises CutOffEarly.
    """
    if command.report in ON_EVENT or not 0 <= command.cut_off < 1 << 62:
        return  # no period is closed; or it is no position, as the domain says
    following = await ledger.read(command.cut_off, 1)
    if following and day_of(following[0].recorded_at) <= command.period_until:
        raise CutOffEarly(f"cut_off: {command.cut_off}")


# --- what a report is --------------------------------------------------------------------------------------------


class Share(msgspec.Struct, frozen=True):
    """A quotient as it is shown, with the counts that it tells."""

    shown: str
    above: int
    below: int


Cell = str | int | Share


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """表. The first column names, the others hold numbers."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    open: bool = False  # figures of the whole city, which tell of nobody: not looked through for small numbers


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """图. Bars by label, or lines over days."""

    caption: str
    shape: str  # bars, lines
    labels: tuple[str, ...]
    series: tuple[tuple[str, tuple[int, ...]], ...]
    unit: str = "件"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """部分. Words, tables and charts under a heading."""

    heading: str
    words: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """报告."""

    kind: ReportKind
    title: str
    city: str
    issuer: str
    privacy: PrivacyClass
    period_from: date
    period_until: date  # the last day, included
    cut_off: int
    counted: int  # cases looked at
    policies: tuple[PolicyRef, ...]
    parts: tuple[Part, ...]
    method: tuple[str, ...]
    template: str = TEMPLATE
    assumed: bool = False  # 推演: orders under an assumed pack are counted, so that it is never published (8.15)
    orders: tuple[UUID, ...] = ()  # cases that it is about

    @property
    def content_hash(self) -> str:
        """The digest of all that it says: what its publication is recorded with."""
        return f"sha256:{hashlib.sha256(msgspec.json.encode(self, order='deterministic')).hexdigest()}"

    def csv(self) -> bytes:
        """Return its numbers, a cell a line, for spreadsheets: UTF-8 with a byte order mark."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(("报告", "期初", "期末", "截至位置", "部分", "表", "项", "指标", "数值"))
        head = (self.title, self.period_from, self.period_until, self.cut_off)
        for part in self.parts:
            for table in part.tables:
                for row in table.rows:
                    for column, cell in zip(table.columns[1:], row[1:], strict=True):
                        writer.writerow((*head, part.heading, table.caption, _plain(row[0]), column, _plain(cell)))
        return b"\xef\xbb\xbf" + out.getvalue().encode()


def shown(cell: Cell) -> str | int:
    """Return a cell as it is read."""
    return cell.shown if isinstance(cell, Share) else cell


def _plain(said: Cell) -> str | int:
    """Return a cell that no spreadsheet takes for a formula."""
    cell = shown(said)
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


# --- what it is made from ----------------------------------------------------------------------------------------


class Inquired(NamedTuple):
    """监督事项. What an overseer asked, when it is to be answered, and the orders that it names."""

    inquiry: Inquiry
    title: str
    due: datetime | None
    orders: tuple[WorkOrder, ...]


class Named(NamedTuple):
    """工单. One that a special report is about, as it was at the position."""

    order: WorkOrder
    entries: tuple[Entry, ...]
    due: datetime | None


class Counted(NamedTuple):
    """Everything that a report is made from, all at one position."""

    kind: ReportKind
    period_from: date
    period_until: date
    law: Law
    volumes: Volumes
    figures: Sequence[Figure]  # of the city as one
    by_unit: Sequence[Figure]
    calls: Telephony
    adjusted: Sequence[Adjusted]  # published periods whose figures are others by now
    unappealed: Sequence[Figure] = ()  # of the city and by unit, as if nothing had been taken out
    contested: Sequence[
        Contested
    ] = ()  # the figure that each upheld appeal of the period is about, and without its order
    inquiries: Sequence[Inquired] = ()
    named: Sequence[Named] = ()
    release: Release | None = None  # what overseers are told of the quarter

    @property
    def at(self) -> datetime:
        """The instant by which units are named."""
        return self.volumes.until - timedelta(milliseconds=1)

    def name(self, unit: str) -> str:
        """Return what a unit was called; the hotline's own for none."""
        return self.law.unit_name(unit or self.law.hotline_unit, self.at)


async def made(
    shown: Projections,
    kind: ReportKind,
    period_from: date,
    period_until: date,
    *,
    cut_off: int,
    assumed: bool = False,
    orders: Sequence[UUID] = (),
) -> Report:
    """Return a report of a period as the ledger was at a position. Raises PeriodUnfit, CutOffAhead, NoCaseNamed.

    `assumed` counts orders under an assumed pack too: for trials, never for what is published (8.15). `orders`: cases
    that a special report is about.
    """
    if period_until < period_from or not FIRST_YEAR < period_from.year <= period_until.year < LAST_YEAR:
        raise PeriodUnfit(f"{period_from} … {period_until}")
    if kind is ReportKind.DAILY_DUTY and period_from != period_until:
        raise PeriodUnfit(f"{kind.zh}: 一日 one day")
    if orders and kind not in ON_EVENT:
        raise NoCaseNamed(kind.zh)
    since, until = day_start(period_from), day_start(period_until + ONE_DAY)
    volumes = await shown.volumes(since, until, cut_off=cut_off, assumed=assumed)
    law = await shown.law_at(cut_off)
    whole = await shown.indicators(since, until, assumed=assumed, cut_off=cut_off)
    units = await shown.indicators(since, until, by="unit", assumed=assumed, cut_off=cut_off)
    calls = await telephony(shown, since, until, options=_options(law, until), cut_off=cut_off)
    changed: Sequence[Adjusted] = ()
    if _adjustments in FORMS[kind].parts:
        changed = await adjusted(shown, period_from, cut_off=cut_off)
    counted = Counted(
        kind, period_from, period_until, law, volumes, (*calls.figures, *whole.rows), units.rows, calls, changed
    )
    if _appeals in FORMS[kind].parts:
        before = [
            figure
            for by in ("", "unit")
            for figure in (
                await shown.indicators(since, until, by=by, assumed=assumed, cut_off=cut_off, excluded=False)
            ).rows
            if by == "" or figure.part
        ]
        upheld = [one for one in volumes.appeals if one.upheld]
        both = await shown.contested(upheld, assumed=assumed, cut_off=cut_off)
        counted = counted._replace(unappealed=before, contested=both)
    if kind is ReportKind.SUBMISSION:
        inquiries = await inquired(shown, law, since, until, cut_off)
        quarter = quarter_of(period_from, period_until)
        told = None if quarter is None else await Overseen(shown).with_quarter(quarter, cut_off, until)
        counted = counted._replace(inquiries=inquiries, release=told)
    if orders:
        counted = counted._replace(named=await _named(shown, law, orders, cut_off))
    report = written(counted, cut_off)
    title = report.title + ("（推演）" if assumed else "")
    return msgspec.structs.replace(report, title=title, assumed=assumed, orders=tuple(orders))


async def _folded(shown: Projections, orders: Iterable[UUID], cut_off: int) -> dict[str, tuple[Entry, ...]]:
    streams = list(dict.fromkeys(f"order:{one}" for one in orders))
    entries = await shown.streams(streams, cut_off) if streams else ()
    return {stream: tuple(some) for stream, some in groupby(entries, key=lambda entry: entry.stream)}


async def _named(shown: Projections, law: Law, orders: Sequence[UUID], cut_off: int) -> tuple[Named, ...]:
    """Return cases as they were at a position, in the order they were named. Raises UnknownOrder."""
    found = await _folded(shown, orders, cut_off)
    told: list[Named] = []
    for one in dict.fromkeys(orders):
        entries = found.get(f"order:{one}", ())
        case = fold(entries)
        if case is None:
            raise UnknownOrder(f"{one}")
        handle = [clock.due for clock in clocks(case, law) if clock.name is ClockName.HANDLE]
        told.append(Named(case, entries, handle[-1] if handle else None))
    return tuple(told)


async def inquired(
    shown: Projections, law: Law, since: datetime, until: datetime, cut_off: int
) -> tuple[Inquired, ...]:
    """Return what overseers asked before the end of a period and was open in it, the earliest first."""
    topics = [tag(OversightInquiryFiled), tag(OversightInquiryAnswered)]
    entries = sorted((await shown.beside("inquiry", topics, cut_off)).rows, key=lambda entry: entry.position)
    asked: dict[str, tuple[Inquiry, str, list[UUID]]] = {}
    for entry in entries:
        if entry.at >= until:
            continue
        event = entry.event
        before = asked.get(entry.stream)
        if isinstance(event, OversightInquiryFiled):
            asked[entry.stream] = (on_inquiry_filed(None, event, entry), event.title, list(event.orders))
        elif before is not None:
            asked[entry.stream] = (on_inquiry_answered(before[0], event, entry), before[1], [*before[2], *event.orders])
    open_then = [one for one in asked.values() if one[0].answered is None or one[0].answered.at >= since]
    cases = await _folded(shown, (order for *_, orders in open_then for order in orders), cut_off)
    told: list[Inquired] = []
    for inquiry, title, orders in open_then:
        clock = inquiry_clock(inquiry, law)
        found = (fold(cases.get(f"order:{order}", ())) for order in dict.fromkeys(orders))
        told.append(
            Inquired(
                inquiry, title, None if clock is None else clock.due, tuple(case for case in found if case is not None)
            )
        )
    return tuple(told)


def written(counted: Counted, cut_off: int) -> Report:
    """Return the report that counts make."""
    form = FORMS[counted.kind]
    law, first, last = counted.law, counted.period_from, counted.period_until
    policies = tuple(p.ref for p in law.policies.publications if p.meets(first, last) and not p.pack.overlay)
    parts = tuple(part for write in form.parts if (part := write(counted)) is not None)
    if form.outside:
        parts = tuple(suppressed(part, _small_cell(counted)) for part in parts)
    return Report(
        kind=counted.kind,
        title=f"{law.city_name}12345热线{form.title}",
        city=law.city_name,
        issuer=law.unit_name(law.hotline_unit, counted.at),
        privacy=form.privacy,
        period_from=first,
        period_until=last,
        cut_off=cut_off,
        counted=counted.volumes.cases,
        policies=policies,
        parts=parts,
        method=_method(counted, form),
    )


def _rules(law: Law, until: datetime) -> Rules | None:
    """Return the pack in force on the last day of a period, where there is one."""
    try:
        return law.rules(law.policy_at(until - timedelta(milliseconds=1)))
    except NoPolicyInForce:
        return None


def _options(law: Law, until: datetime) -> Options:
    """Return what the pack in force on the last day chooses; where none is, what every pack begins with."""
    rules = _rules(law, until)
    return Options() if rules is None else rules.options


def _small_cell(counted: Counted) -> int:
    return _options(counted.law, counted.volumes.until).small_cell


Write = Callable[[Counted], Part | None]
"""What writes a part of a report; nothing where there is nothing to say."""


# --- small numbers -----------------------------------------------------------------------------------------------


def suppressed(part: Part, least: int) -> Part:
    """Return a part without counts of fewer than `least`, and without those that would tell them (A-18)."""
    tables = tuple(table if table.open else _suppressed(table, least) for table in part.tables)
    charts = tuple(
        chart
        for chart in part.charts
        if chart.shape == "lines" or all(v == 0 or v >= least for _, vs in chart.series for v in vs)
    )
    return msgspec.structs.replace(part, tables=tables, charts=charts)


def _suppressed(table: Table, least: int) -> Table:
    hidden: dict[tuple[int, int], str] = {}
    for column in range(1, len(table.columns)):
        numbers = [(cell, n) for n, row in enumerate(table.rows) if isinstance(cell := row[column], int)]
        tallies = {f"{n}": Tally(cell, cell) for cell, n in numbers}
        for name in together(tallies, least):  # a single one is what the sum lacks: others go with it
            small = tallies[name].all < least
            hidden[int(name), column] = SUPPRESSED.format(least=least) if small else HIDDEN
    rows = tuple(
        tuple(_left(cell, row, hidden, (n, column), least) for column, cell in enumerate(row))
        for n, row in enumerate(table.rows)
    )
    return msgspec.structs.replace(table, rows=rows)


def _left(
    cell: Cell, row: tuple[Cell, ...], hidden: Mapping[tuple[int, int], str], place: tuple[int, int], least: int
) -> Cell:
    """Return what is left of a cell: a quotient goes where it tells a number that is hidden, or a small one."""
    if place in hidden:
        return hidden[place]
    if not isinstance(cell, Share):
        return cell
    beside = {row[column] for line, column in hidden if line == place[0]}
    tells = cell.above in beside or 0 < cell.above < least or 0 < cell.below < least
    return HIDDEN if tells else cell


# --- parts -------------------------------------------------------------------------------------------------------

_WORDS: Mapping[str, type[Word]] = {
    "channel": Channel,
    "type": DemandType,
    "domain": PolicyDomain,
    "refused": RefusalReason,
    "closed": ClosureKind,
    "outcome": Outcome,
    "notice": NoticeKind,
    "exempt": ExemptCategory,
    "unreasonable": Reasonableness,
}
_UNITS = frozenset(
    {"dispatched", "presumed", "unit_closed", "overdue", "due_next", "open", "unit_notice", "returned", "disputed"}
)


def _label(counted: Counted, kind: str, part: str) -> str:
    if kind in _WORDS:
        return _WORDS[kind](part).zh
    if kind in _UNITS:
        return counted.name(part)
    return part or "未注明"


def _table(counted: Counted, kind: str, caption: str, *, top: int | None = None, first: str = "项目") -> Table:
    found = list(counted.volumes.of(kind).items())
    shown = found if top is None else found[:top]
    total = sum(number for _, number in found)
    rows: list[tuple[Cell, ...]] = [(_label(counted, kind, part), n, _percent(n, total)) for part, n in shown]
    rest = total - sum(number for _, number in shown)
    if rest:
        rows.append(("其他", rest, _percent(rest, total)))
    return Table(caption=caption, columns=(first, "件数", "占比"), rows=tuple(rows))


def _percent(above: int, below: int) -> Share:
    return Share(percent(above, below) if below else NOTHING, above, below)


def _summary(counted: Counted) -> Part:
    v = counted.volumes
    direct = next((f for f in counted.figures if f.code == "I3"), None)
    words = [
        f"报告期内共登记诉求{v.sum('channel')}件，派单{v.sum('dispatched')}件次{_presumed(v)}，办结{v.sum('closed')}件"
        + (f"，其中直接答复办结{direct.above}件。" if direct is not None else "。"),
        f"期末在办{v.sum('open')}件，逾期时限{v.sum('overdue')}项，次日到期{v.sum('due_next')}项。",
    ]
    sent_back = f"申请退单{v.sum('returned')}件次，派单异议{v.sum('disputed')}件次，重办{v.sum('redone')}件次，"
    words.append(f"{sent_back}签发督办文书{v.sum('notice')}件。")
    return Part(heading="总体情况", words=tuple(words))


def _presumed(v: Volumes) -> str:
    """Say beside dispatches how many more a mapping presumed, which the source does not tell of (8.15)."""
    number = v.sum("presumed")
    return f"（另有来源未载、推定的派单{number}件次）" if number else ""


def _given(v: Volumes) -> tuple[str, ...]:
    """Return the kinds of dispatches that there are: presumed ones stand apart."""
    return ("dispatched", "presumed") if v.of("presumed") else ("dispatched",)


_GIVEN = {"dispatched": "派单", "presumed": "推定派单"}


def _by_dispatches(v: Volumes, kinds: Iterable[str]) -> list[str]:
    """Return the units of which there is something of these kinds, those with the most dispatches first."""
    units = {unit for kind in kinds for unit in v.of(kind)}
    return sorted(units, key=lambda u: (-sum(v.counts[kind, u] for kind in _GIVEN), u))


def _given_bars(counted: Counted) -> tuple[Chart, ...]:
    return tuple(bar for kind in _given(counted.volumes) for bar in _bars(counted, kind, f"各单位{_GIVEN[kind]}件数"))


def _intake(counted: Counted) -> Part:
    v = counted.volumes
    days = v.of("day")
    charts: list[Chart] = []
    span = [
        counted.period_from + timedelta(days=n) for n in range((counted.period_until - counted.period_from).days + 1)
    ]
    if 2 <= len(span) <= 100 and days:
        values = tuple(days.get(f"{day}", 0) for day in span)
        labels = tuple(f"{day.month}-{day.day}" for day in span)
        charts.append(Chart(caption="每日登记件数", shape="lines", labels=labels, series=(("登记", values),)))
    return Part(
        heading="受理情况",
        tables=(
            _table(counted, "channel", "按渠道", first="渠道"),
            _table(counted, "type", "按诉求类型", first="类型"),
            _table(counted, "domain", "按领域", first="领域"),
        ),
        charts=tuple(charts),
    )


def _places(counted: Counted) -> Part:
    districts = _table(counted, "district", "按区域", first="区域")
    return Part(heading="区域分布", tables=(districts,), charts=_bars(counted, "district", "各区域登记件数"))


def _bars(counted: Counted, kind: str, caption: str, unit: str = "件") -> tuple[Chart, ...]:
    found = list(counted.volumes.of(kind).items())[:TOP]
    if len(found) < 2:
        return ()
    labels = tuple(_label(counted, kind, part) for part, _ in found)
    return (
        Chart(caption=caption, shape="bars", labels=labels, series=(("件数", tuple(n for _, n in found)),), unit=unit),
    )


def _hot(counted: Counted) -> Part:
    """热点: the most frequent categories beside what was usual in the seven days before."""
    v = counted.volumes
    days = (counted.period_until - counted.period_from).days + 1
    earlier = v.of("earlier")
    rows: list[tuple[Cell, ...]] = []
    for category, number in list(v.of("category").items())[:TOP]:
        before = earlier.get(category, 0)
        rows.append((category or "未注明", number, before, Share(_trend(number * 7, before * days), number, before)))
    table = Table(
        caption=f"前{TOP}类热点",
        columns=("类别", "件数", "前七日件数", "日均变化"),
        rows=tuple(rows),
    )
    return Part(heading="热点诉求", tables=(table,), charts=_bars(counted, "category", "热点类别登记件数"))


def _trend(now: int, before: int) -> str:
    if not before:
        return "新增" if now else NOTHING
    change = (now - before) * 1000 // before
    return f"{'+' if change >= 0 else '-'}{abs(change) // 10}.{abs(change) % 10}%"


def _refusals(counted: Counted) -> Part | None:
    if not counted.volumes.of("refused"):
        return None
    return Part(heading="不予受理", tables=(_table(counted, "refused", "按情形", first="情形"),))


def _emergencies(counted: Counted) -> Part:
    found = counted.volumes.emergencies
    if not found:
        return Part(heading="突发事件", words=("报告期内无突发事件登记。",))
    rows = tuple(_emergency(counted, one) for one in found)
    columns = ("工单编号", "登记时间", "类别", "区域", "主办单位", "初步响应", "办结")
    return Part(heading="突发事件", tables=(Table(caption="突发事件时间线", columns=columns, rows=rows),))


def _emergency(counted: Counted, one: Emergency) -> tuple[Cell, ...]:
    responded, closed = (instant_words(at) if at is not None else NOTHING for at in (one.responded, one.closed))
    return (
        one.number,
        instant_words(one.at),
        one.category,
        one.district or NOTHING,
        counted.name(one.unit),
        responded,
        closed,
    )


def _deadlines(counted: Counted) -> Part:
    v = counted.volumes
    units = sorted({*v.of("overdue"), *v.of("due_next")}, key=lambda u: (-v.counts["overdue", u], u))
    others = set(v.of("open")) - set(units)
    left = sum(v.counts["open", unit] for unit in others)
    words = (f"其余{len(others)}个单位在办{left}件，无逾期，次日无到期。",) if others else ()
    rows = tuple((counted.name(u), v.counts["open", u], v.counts["overdue", u], v.counts["due_next", u]) for u in units)
    table = Table(caption="期末各单位", columns=("单位", "在办件数", "逾期时限", "次日到期"), rows=rows)
    return Part(heading="时限情况", words=words, tables=(table,))


def _suggestions(counted: Counted) -> Part | None:
    if not counted.volumes.of("suggestion"):
        return None
    return Part(heading="建议类诉求", tables=(_table(counted, "suggestion", "按类别", top=TOP, first="类别"),))


def _outcomes(counted: Counted) -> Part:
    tables = [_table(counted, "closed", "办结方式", first="方式"), _table(counted, "outcome", "答复结果", first="结果")]
    if counted.volumes.of("unresolved"):
        tables.append(_table(counted, "unresolved", "未解决和客观无法解决的类别", top=TOP, first="类别"))
    return Part(heading="办理结果", tables=tuple(tables))


def _supervision(counted: Counted) -> Part:
    v = counted.volumes
    words = (f"报告期内登记领导批示{v.sum('instruction')}件，期末尚未报告{v.sum('open_instruction')}件。",)
    tables = (_table(counted, "notice", "督办文书", first="种类"),) if v.of("notice") else ()
    return Part(heading="督办情况", words=words, tables=tables)


_UNIT_COLUMNS = (
    ("I6", "签收及时"),
    ("I10", "按时办结"),
    ("I12b", "退单"),
    ("I16", "重办"),
    ("I9a", "满意(含视为)"),
    ("I9b", "满意(不含视为)"),
    ("I23", "督办回复"),
)


def _units(counted: Counted) -> Part:
    v = counted.volumes
    of = {(f.part, f.code): f for f in counted.by_unit}
    given = _given(v)
    rows: list[tuple[Cell, ...]] = []
    for unit in _by_dispatches(v, (*given, "unit_closed")):
        shares = (_share(of.get((unit, code))) for code, _ in _UNIT_COLUMNS)
        numbers = (v.counts[kind, unit] for kind in (*given, "unit_closed", "overdue", "unit_notice"))
        rows.append((counted.name(unit), *numbers, *shares))
    heads = (*(_GIVEN[kind] for kind in given), "办结", "逾期", "督办")
    columns = ("单位", *heads, *(title for _, title in _UNIT_COLUMNS))
    return Part(
        heading="各单位办理情况",
        tables=(Table(caption="各单位", columns=columns, rows=tuple(rows)),),
        charts=_given_bars(counted),
    )


_CIRCULATED = (
    ("I6", "签收及时"),
    ("I10", "按时答复"),
    ("I9a", "满意(含视为)"),
    ("I9b", "满意(不含视为)"),
    ("I23", "督办回复"),
)


def _circulated(counted: Counted) -> Part:
    """各单位办件数据: what a circular tells every unit of itself and the others (S2-34)."""
    v = counted.volumes
    of = {(f.part, f.code): f for f in counted.by_unit}
    given = _given(v)
    kinds = (*given, "overdue", "returned", "redone", "unit_notice")
    units = [unit for unit in _by_dispatches(v, kinds) if unit]
    rows: list[tuple[Cell, ...]] = []
    for unit in units:
        numbers = (v.counts[kind, unit] for kind in kinds)
        shares = (_share(of.get((unit, code))) for code, _ in _CIRCULATED)
        rows.append((counted.name(unit), *numbers, *shares))
    heads = (*(_GIVEN[kind] for kind in given), "逾期", "退单", "重办", "督办")
    columns = ("单位", *heads, *(title for _, title in _CIRCULATED))
    late = {counted.name(unit): number for unit, number in v.of("overdue").items() if unit}
    told = "，".join(
        f"向{sum(v.counts[kind, unit] > 0 for unit in units)}个单位{_GIVEN[kind]}{v.sum(kind)}件次"
        for kind in given
        if kind == "presumed" or v.of(kind) or len(given) == 1
    )
    words = [f"报告期内{told}，期末{len(late)}个单位逾期时限{sum(late.values())}项。"]
    if late:
        words.append(f"逾期较多的单位：{'、'.join(f'{name}（{n}项）' for name, n in list(late.items())[:5])}。")
    return Part(
        heading="各单位办件情况",
        words=tuple(words),
        tables=(Table(caption="各单位", columns=columns, rows=tuple(rows)),),
        charts=(*_given_bars(counted), *_bars(counted, "overdue", "期末逾期时限项数", "项")),
    )


def _share(figure: Figure | None) -> Cell:
    return NOTHING if figure is None or figure.below is None else _percent(figure.above, figure.below)


def _indicators(counted: Counted) -> Part:
    rows = tuple(
        (f.title, f.code, f.above, NOTHING if f.below is None else f.below, _value(f))
        for f in counted.figures
        if f.below != 0 and not f.part
    )
    table = Table(
        caption="全市指标（报告期内无数据的不列）", columns=("指标", "代码", "分子", "分母", "值"), rows=rows, open=True
    )
    return Part(heading="考核指标", tables=(table,))


def _value(figure: Figure) -> Cell:
    if figure.below is None:
        return figure.above
    if not figure.below:
        return NOTHING
    shape = BY_CODE[figure.code].shape if figure.code in BY_CODE else Shape.RATE
    if shape in (Shape.MEAN, Shape.MEDIAN):
        return f"{figure.above / figure.below / 3600:.1f}小时"
    return _percent(figure.above, figure.below)


def _calls(counted: Counted) -> Part:
    """话务: what the telephone system counted, with the worst twenty-four hours."""
    found = [f for f in counted.calls.figures if not f.part]
    if not any(f.below for f in found):
        return Part(heading="话务情况", words=("报告期内未导入话务统计。",))
    rows = tuple((f.title, f.above, NOTHING if f.below is None else f.below, _value(f)) for f in found)
    worst = [w for w in counted.calls.windows if not w.part][:1]
    words = tuple(
        f"接通率最低的连续24小时自{instant_words(w.since)}起：接通{w.above}，进入人工{w.below}。" for w in worst
    )
    tables = [Table(caption="话务指标", columns=("指标", "分子", "分母", "值"), rows=rows, open=True)]
    if len({f.part for f in counted.calls.figures if f.part}) > 1:
        tables.append(_sub_centres(counted))
    return Part(heading="话务情况", words=words, tables=tuple(tables))


_OF_CENTRES = (("I1", "最低24小时接通"), ("I1p", "全期接通"), ("I2", "15秒接听"), ("I20", "有效投诉"), ("I21", "好评"))


def _sub_centres(counted: Counted) -> Table:
    of = {(f.part, f.code): f for f in counted.calls.figures if f.part}
    centres = sorted({part for part, _ in of})
    rows = tuple((one, *(_share(of.get((one, code))) for code, _ in _OF_CENTRES)) for one in centres)
    return Table(caption="各分中心", columns=("分中心", *(title for _, title in _OF_CENTRES)), rows=rows, open=True)


def _adjustments(counted: Counted) -> Part | None:
    """调整: what is otherwise by now in periods that were published before (8.14)."""
    rows: list[tuple[Cell, ...]] = []
    for one in counted.adjusted:
        period = f"{one.closing.period_from}至{one.closing.period_until}"
        for change in one.changes:
            before = _pair(change.above, change.below)
            rows.append((f"{period} {change.title}", before, _pair(change.above_now, change.below_now)))
    if not rows:
        return None
    table = Table(caption="已公布数据的调整", columns=("期间与指标", "公布时", "调整后"), rows=tuple(rows), open=True)
    return Part(heading="已公布数据的调整", tables=(table,))


def _pair(above: int, below: int | None) -> Cell:
    return above if below is None else f"{above}/{below}"


_RATES = ("I7", "I8", "I8l", "I9a", "I9b")


def _three_rates(counted: Counted) -> Part:
    """三率: responded, resolved, satisfied, with and without what was deemed (S4-45)."""
    of = {f.code: f for f in counted.figures if not f.part}
    found = [of[code] for code in _RATES if code in of]
    rows = tuple((f.title, f.code, f.above, NOTHING if f.below is None else f.below, _share(f)) for f in found)
    table = Table(
        caption="响应率、解决率、满意率", columns=("指标", "代码", "分子", "分母", "值"), rows=rows, open=True
    )
    return Part(heading="三率", tables=(table,))


def _scored(counted: Counted) -> Part:
    """综合得分: by the weights of the pack, which stand beside it (5.2)."""
    rules = _rules(counted.law, counted.volumes.until)
    weights = rules.options.assessment_weights if rules is not None else {}
    if rules is None or not weights:
        return Part(heading="综合得分", words=("适用政策未设定考评权重（assessment_weights），不计综合得分。",))
    weighed = tuple((indicator_title(code), code, weight) for code, weight in weights.items())
    found = scores(weights, counted.by_unit)
    rows = tuple((f"{_place(one, found)}{counted.name(one.unit)}", *_points(one)) for one in found)
    return Part(
        heading="综合得分",
        words=(
            "得分为各指标比率乘以权重之和，按有数据的正权重折算为百分制；负权重为扣分，扣至零分为止。",
            "单位没有数据的指标不计其权重；各单位得分须与权重一并使用。",
            f"权重由期末适用的政策{packs([rules.ref])}设定，依据：{citation_words(rules.bases['assessment_weights'])}。",
        ),
        tables=(
            Table(caption="权重", columns=("指标", "代码", "权重"), rows=weighed, open=True),
            Table(caption="各单位得分", columns=("单位", "得分", *weights), rows=rows, open=True),
        ),
    )


def _place(one: Score, among: Sequence[Score]) -> str:
    """Say which place a unit has; equal points are one place, none is none."""
    if one.points is None:
        return ""
    return f"{1 + sum(other.points is not None and other.points > one.points for other in among)}. "


def _points(one: Score) -> tuple[Cell, ...]:
    shares = (NOTHING if w.share is None else percent(w.share.numerator, w.share.denominator) for w in one.weighed)
    return (points_words(one.points), *shares)


def _exemptions(counted: Counted) -> Part:
    v = counted.volumes
    if not (v.of("exempt") or v.of("unreasonable")):
        return Part(heading="免予考核", words=("报告期内办结的工单没有免予满意度考核或认定不合理的。",))
    tables = [
        _table(counted, kind, caption, first="情形")
        for kind, caption in (("exempt", "免予满意度考核"), ("unreasonable", "诉求合理性认定"))
        if v.of(kind)
    ]
    return Part(
        heading="免予考核", words=("免予考核的工单不计入满意率、解决率和重办率，时限照计。",), tables=tuple(tables)
    )


def _appeals(counted: Counted) -> Part:
    """申诉: who contested what and what came of it, and each figure before and after (8.11)."""
    found = counted.volumes.appeals
    tables: list[Table] = []
    words = "报告期内没有提出或裁定的考核申诉。"
    if found:
        upheld, rejected = (sum(one.upheld is said for one in found) for said in (True, False))
        left = len(found) - upheld - rejected
        words = f"报告期内有申诉{len(found)}件：成立{upheld}件，不成立{rejected}件，审理中{left}件。"
        rows = tuple(_appealed(counted, one) for one in found)
        tables.append(Table(caption="申诉", columns=_APPEALED, rows=rows, open=True))
    if both := tuple(_contested(counted)):
        columns = ("所涉期间与指标", "含本件", "比率", "剔除后", "比率")
        tables.append(Table(caption="成立的申诉所涉指标", columns=columns, rows=both, open=True))
    if changes := tuple(_changed(counted)):
        columns = ("本报告期指标", "剔除前", "比率", "剔除后", "比率", "剔除件次")
        tables.append(Table(caption="剔除前后", columns=columns, rows=changes, open=True))
    return Part(heading="考核申诉", words=(words,), tables=tuple(tables))


_APPEALED = ("工单编号", "单位", "指标", "理由", "提出", "结果", "剔除")


def _appealed(counted: Counted, one: Appealed) -> tuple[Cell, ...]:
    return (
        one.number,
        counted.name(one.unit),
        _indicator(one.indicator),
        AppealGround(one.ground).zh if one.ground else NOTHING,
        day_words(one.filed.astimezone(SHANGHAI).date()),
        "审理中" if one.upheld is None else "成立" if one.upheld else "不成立",
        one.exclusion or NOTHING,
    )


def _indicator(said: str) -> str:
    """Return what an appeal contests: by its code with the title, else as the unit wrote it."""
    return f"{BY_CODE[said].title} {said}" if said in BY_CODE else said


def _contested(counted: Counted) -> Iterable[tuple[Cell, ...]]:
    """Yield the figure that each upheld appeal is about, which is mostly of a month before the report's."""
    units = {(one.order_id, one.no): one for one in counted.volumes.appeals}
    for both in counted.contested:
        one = units[both.order_id, both.no]
        title = BY_CODE[both.code].title
        month = both.since.astimezone(SHANGHAI)
        name = f"{one.number} {month.year}年{month.month}月 {counted.name(one.unit)} {title}"
        with_it = Figure(both.code, title, one.unit, both.above, both.below)
        out = Figure(both.code, title, one.unit, both.above_without, both.below_without)
        yield (name, *_before_and_after(with_it, out))


def _changed(counted: Counted) -> Iterable[tuple[Cell, ...]]:
    """Yield the period's figures that appeals or judgements changed, as they would be without, and as they are."""
    units = (figure for figure in counted.by_unit if figure.part)  # the hotline's own stand in no row of their own
    after = {(f.part, f.code): f for f in (*counted.figures, *units)}
    for was in counted.unappealed:
        now = after.get((was.part, was.code))
        now = now or msgspec.structs.replace(was, above=0, below=None if was.below is None else 0)
        if (was.above, was.below) == (now.above, now.below):
            continue
        whose = counted.name(was.part) if was.part else "全市"
        left = was.above - now.above if was.below is None or now.below is None else was.below - now.below
        many = left if _is_share(was) else NOTHING  # a mean is of seconds, and says by itself nothing of orders
        yield (f"{whose} {was.title}", *_before_and_after(was, now), many)


def _is_share(figure: Figure) -> bool:
    return BY_CODE[figure.code].shape in (Shape.RATE, Shape.NUMBER)


def _before_and_after(was: Figure, now: Figure) -> tuple[Cell, Cell, Cell, Cell]:
    """Return a figure twice: its two sides where it is a share, and how it is read."""
    sides = (_pair(one.above, one.below) if _is_share(one) else NOTHING for one in (was, now))
    return next(sides), _value(was), next(sides), _value(now)


def _told_city(counted: Counted) -> Part:
    """What overseers are told of the city's quarter: the numbers that `/oversight` tells, and no others (0017)."""
    if counted.release is None:
        words = ("监督统计按季度提供；本报告期不是一个整季度，不列件数。",)
        return Part(heading="办理情况", words=words)
    rows: list[tuple[Cell, ...]] = []
    for sheet in counted.release.sheets:
        months = "、".join(map(str, sheet.months)) or NOTHING
        endings = "；".join(f"{share.title}{share.count}" for share in sheet.outcomes) or NOTHING
        rows.append((sheet.title, HIDDEN if sheet.count is None else sheet.count, months, endings))
    columns = ("统计项", "件数", "各月", "结果")
    tables = [Table(caption="全市", columns=columns, rows=tuple(rows), open=True)]
    reasons = tuple((share.title, share.count) for sheet in counted.release.sheets for share in sheet.reasons)
    if reasons:
        caption = "未解决、客观无法解决的原因"
        tables.append(Table(caption=caption, columns=("原因", "件数"), rows=reasons, open=True))
    return Part(heading="办理情况", tables=tuple(tables))


_TOLD_BY = (
    (
        "unit",
        "各单位办理情况",
        ("dispatched", "signed", "due", "answered", "rated", "redone", "issued", "noticed", "promised"),
    ),
    ("type", "诉求类型", ("registered",)),
    ("area", "区域分布", ("registered", "due")),
    ("category", "热点和未解决事项", ("registered", "answered")),
)


def _told_by(by: str, heading: str, measures: Sequence[str]) -> Write:
    """Return the part that tells one dimension of the quarter."""

    def write(counted: Counted) -> Part | None:
        sheets = [] if counted.release is None else counted.release.sheets
        tables = [_told_table(counted, sheet, by) for sheet in sheets if sheet.measure in measures and sheet.tables]
        return Part(heading=heading, tables=tuple(tables)) if tables else None

    return write


def _told_table(counted: Counted, sheet: Sheet, by: str) -> Table:
    found = next(table for table in sheet.tables if table.by == by)
    names = {"unit": counted.name, "type": lambda part: _label(counted, "type", part)}
    rows: list[tuple[Cell, ...]] = []
    for line in found.lines:
        outcomes = line.outcomes or (HIDDEN,) * len(sheet.outcomes)
        rows.append((names.get(by, lambda part: part or "未注明")(line.part), line.count, *outcomes))
    rows.append(("其余合并", found.rest, *((HIDDEN,) * len(sheet.outcomes))))
    columns = (DIMENSIONS[by], "件数", *(share.title for share in sheet.outcomes))
    return Table(caption=sheet.title, columns=columns, rows=tuple(rows), open=True)


def _inquiries(counted: Counted) -> Part:
    """代表委员意见办理: what became of what deputies and members asked before (代表法51)."""
    found = counted.inquiries
    if not found:
        return Part(heading="代表、委员意见办理", words=("报告期内没有待办或办结的代表、委员意见。",))
    answered = [one for one in found if one.inquiry.answered is not None]
    late = [one for one in found if _late(one, counted.volumes.until)]
    rows: list[tuple[Cell, ...]] = []
    for one in found:
        filed, done = one.inquiry.filed, one.inquiry.answered
        assert filed is not None
        kinds = (one.inquiry.body, one.inquiry.matter_kind)
        rows.append(
            (
                f"{one.inquiry.number} {one.title}".strip(),
                "·".join(kind.zh for kind in kinds if kind is not None),
                _day(filed.at),
                NOTHING if one.due is None else instant_words(one.due),
                ("办理中" if done is None else f"{_day(done.at)}答复") + ("，逾期" if one in late else ""),
                f"{sum(not case.is_open for case in one.orders)}/{len(one.orders)}" if one.orders else NOTHING,
            )
        )
    words = f"报告期内在办的代表、委员意见{len(found)}件，已答复{len(answered)}件，逾期{len(late)}件。"
    columns = ("意见", "主体与类别", "收到", "答复期限", "办理", "涉及工单办结")
    table = Table(caption="历次意见的办理", columns=columns, rows=tuple(rows), open=True)
    return Part(heading="代表、委员意见办理", words=(words,), tables=(table,))


def _day(at: datetime) -> str:
    return day_words(at.astimezone(SHANGHAI).date())


def _late(one: Inquired, until: datetime) -> bool:
    end = one.inquiry.answered.at if one.inquiry.answered is not None else until
    return one.due is not None and end > one.due


def _cases(counted: Counted) -> Part | None:
    """涉及工单: the cases that a special report is about, without anybody in them."""
    if not counted.named:
        return None
    tables = [Table(caption="工单", columns=_CASE, rows=tuple(_case(counted, one) for one in counted.named), open=True)]
    for one in counted.named:
        if _open_to_tell(one.order):
            rows = tuple(_steps(counted, one))
            caption = f"{one.order.number} {one.order.demand.title}：办理过程"
            tables.append(Table(caption=caption, columns=("时间", "环节", "单位"), rows=rows, open=True))
    return Part(heading="涉及工单", words=(f"本专报涉及工单{len(counted.named)}件。",), tables=tuple(tables))


_CASE = ("工单编号", "标题", "类别", "区域", "登记", "主办单位", "状态", "办理期限")


def _open_to_tell(order: WorkOrder) -> bool:
    return order.confidentiality is not Confidentiality.INFORMANT and order.filing.refusal != RefusalReason.STATE_SECRET


def _case(counted: Counted, one: Named) -> tuple[Cell, ...]:
    order = one.order
    if not _open_to_tell(order):
        return (order.number, PROTECTED, *([NOTHING] * 4), order.state.zh, NOTHING)
    lead = "" if order.episode is None else order.episode.lead
    return (
        order.number,
        order.demand.title,
        order.demand.category,
        order.demand.district or NOTHING,
        _day(order.registered.at),
        counted.name(lead),
        order.state.zh,
        NOTHING if one.due is None else instant_words(one.due),
    )


def _steps(counted: Counted, one: Named) -> Iterable[tuple[Cell, ...]]:
    """Yield what was done, when and by which unit; who did it is not said."""
    for entry in one.entries[-STEPS:]:
        unit: UnitId = getattr(entry.event, "lead", "") or getattr(entry.event, "unit", "") or entry.actor.unit
        by = Role.CITIZEN.zh if entry.actor.role is Role.CITIZEN else counted.name(unit)
        yield (instant_words(entry.at), title_of(type(entry.event)), by)


def _closures_by_unit(counted: Counted) -> Part:
    return Part(
        heading="各单位办结情况",
        tables=(_table(counted, "unit_closed", "各单位办结件数", first="单位"),),
        charts=_bars(counted, "unit_closed", "各单位办结件数"),
    )


# --- kinds -------------------------------------------------------------------------------------------------------


class Form(NamedTuple):
    """What a kind of report says, and to whom."""

    title: str
    privacy: PrivacyClass
    parts: tuple[Write, ...]
    outside: bool = False  # small numbers are left out


FORMS: Mapping[ReportKind, Form] = {
    ReportKind.DAILY_DUTY: Form(
        "值班日报",
        PrivacyClass.LEADERS,
        (_summary, _calls, _intake, _refusals, _emergencies, _hot, _deadlines, _supervision, _suggestions),
    ),
    ReportKind.DUTY_SPECIAL: Form("值班专报", PrivacyClass.LEADERS, (_cases, _summary, _emergencies, _hot, _places)),
    ReportKind.SPECIAL_INFO: Form("信息专报", PrivacyClass.LEADERS, (_cases, _hot, _places, _outcomes, _suggestions)),
    ReportKind.BRIEFING: Form(
        "工作简报",
        PrivacyClass.GOVERNMENT,
        (_summary, _calls, _intake, _places, _hot, _units, _outcomes, _supervision, _indicators, _adjustments),
    ),
    ReportKind.PERIODIC_CIRCULAR: Form(
        "情况通报", PrivacyClass.GOVERNMENT, (_summary, _circulated, _supervision, _appeals, _adjustments)
    ),
    ReportKind.FEATURE_DATA: Form("特征数据展示", PrivacyClass.PUBLIC, (_intake, _places, _hot), outside=True),
    ReportKind.ASSESSMENT: Form(
        "考评报告",
        PrivacyClass.GOVERNMENT,
        (_three_rates, _scored, _units, _exemptions, _appeals, _calls, _indicators, _deadlines, _adjustments),
    ),
    ReportKind.SUBMISSION: Form(
        "运行情况报告",
        PrivacyClass.OVERSEERS,
        (_told_city, _calls, *(_told_by(*one) for one in _TOLD_BY), _inquiries),
    ),
    ReportKind.PUBLIC: Form(
        "运行情况公告", PrivacyClass.PUBLIC, (_summary, _intake, _closures_by_unit, _hot), outside=True
    ),
}
"""Which parts each kind has (DOMAIN 5.3)."""


def _method(counted: Counted, form: Form) -> tuple[str, ...]:
    """统计口径: formula, exclusions, versions (8.14)."""
    v = counted.volumes
    told = [
        f"数据来源：12345热线办件账本，截至位置{v.position}；由{v.cases}件工单逐件计算，同一位置重新生成结果不变。",
        f"统计期间自{day_words(counted.period_from)}0时至{day_words(counted.period_until)}24时；时刻均为北京时间。",
        "登记、派单、办结按发生时刻计入；及时率按到期时刻计入，已取消的时限不计；分母为零的比率以“—”表示。",
        "期末在办、逾期、次日到期以期末时刻为准。",
        "满意率同时列示含视为评价与不含视为评价两种口径；免予满意度考核的工单不计入满意率和重办率。",
    ]
    if _appeals in form.parts:
        told.append(
            "申诉成立的，该件该单位退出所申诉指标（含各变体）；剔除前后列示全市和各单位指标在不剔除和剔除时的数值，"
            "认定不合理诉求的剔除一并列示；剔除件次为退出分母的件次。"
        )
    if presumed := v.sum("presumed"):
        told.append(
            f"来源未载派单时刻的，按导入映射推定：推定派单{presumed}件次单独列示，不计入派单件次，也不计入派单准确率、退单率、"
            "延期率和平均办理时长；办理时限自推定的时刻起算，按时办结率和超期率照计。"
        )
    if v.assumed:
        told.append(f"推定适用政策的历史工单{v.assumed}件不计入。")
    if form.outside:
        told.append(
            f"为保护个人信息，明细中小于{_small_cell(counted)}的数值不显示，必要时一并隐去相邻数值（以*表示）。"
        )
    if counted.release is not None:
        told.append(
            f"件数按向人大、政协公开的口径：小于{max(LEAST, _small_cell(counted))}的项与其他项合并为“其余”，不能单列的以*表示；"
            f"以账本位置{counted.release.cut_off}为准，此后不变。"
        )
    return tuple(told)


def packs(policies: Iterable[PolicyRef]) -> str:
    """Return the packs of a report in a line."""
    return "、".join(f"{one.pack}（{one.digest[:19]}…）" for one in policies)


def quarter(said: str) -> tuple[date, date]:
    """Return the first and last day of a quarter, written `2026Q3`. Raises PeriodUnfit."""
    year, _, number = said.upper().partition("Q")
    counted = year.isdecimal() and len(year) == 4 and FIRST_YEAR < int(year) < LAST_YEAR
    if not (counted and number in ("1", "2", "3", "4")):
        raise PeriodUnfit(f"{said}: 写作 write it as 2026Q3")
    first = date(int(year), 3 * int(number) - 2, 1)
    following = date(first.year + (first.month == 10), (first.month + 2) % 12 + 1, 1)
    return first, following - ONE_DAY
