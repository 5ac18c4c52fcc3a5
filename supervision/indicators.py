"""考核指标. What is said of a period: its figures, what position they are true at, whether it is closed, what changed since.

What counts and the quotients lie below (`projections.indicators`, `projections.figures`), since tables are made of them.
Here is decided which figures stand for a period: once a report of it is published, those of the report's cut-off (8.14).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

import msgspec

from domain.law import Law
from domain.matters.folding import id_of
from domain.matters.publications import ON_EVENT, ReportKind, ReportPublished
from domain.policy import Options
from domain.refusals import NoPolicyInForce, Refusal
from domain.terms import PolicyRef
from domain.units import day_of, day_start
from projections.answers import Listing, Projections
from projections.figures import BY_CODE, HEADLINES, INDICATORS, Adjustment, Figure, Shape, Side, adjustments, percent
from projections.indicators import FactRow, family
from projections.past import Progress
from supervision.telephony import TELEPHONY, Threshold, Window, telephony


class NoOrdersBehind(Refusal):
    """该指标不由工单构成，没有可列的工单。No orders stand behind this figure: telephone counts and calls make it."""


ONE_DAY = timedelta(days=1)


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """问. Which period [since, until), told apart how, of whom alone, and as of which position."""

    since: datetime
    until: datetime
    by: str = ""
    unit: str | None = None
    demand_type: str | None = None
    district: str | None = None
    cut_off: int | None = None
    current: bool = False  # as it is now, whether the period is closed or not

    @property
    def whole(self) -> bool:
        """Tell whether it is about the city as one: telephone figures know no units, types or areas."""
        return not self.by and self.unit is None and self.demand_type is None and self.district is None


class Closing(msgspec.Struct, frozen=True):
    """已公布. The first report of a period that was published: what closed it."""

    report: UUID
    kind: ReportKind
    number: str
    period_from: date
    period_until: date  # the last day, included
    cut_off: int
    published_at: datetime
    position: int  # of the publication


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """答. The figures of a period with everything that makes them checkable."""

    position: int
    since: datetime
    until: datetime
    counted_to: datetime  # of a period that still runs: until when
    closed: bool
    closing: Closing | None
    policies: tuple[PolicyRef, ...]
    headline: tuple[str, ...]  # the variants of response, resolution and satisfaction that the city puts first (8.9)
    figures: tuple[Figure, ...]
    adjustments: tuple[Adjustment, ...] = ()  # of a closed period: as published, and as it is now
    windows: tuple[Window, ...] = ()
    thresholds: tuple[Threshold, ...] = ()


async def answer(shown: Projections, question: Question, now: datetime, progress: Progress | None = None) -> Answered:
    """Return what is said of a period. Raises CutOffAhead, UnknownUnit."""
    counted_to = max(question.since, min(question.until, now))
    closing = None if question.cut_off is not None or question.current else await closing_of(shown, question)
    cut_off = question.cut_off if closing is None else closing.cut_off
    counted = await _counted(shown, question, counted_to, cut_off, closing is not None, progress)
    law = await shown.law_at(counted[0])
    options = _options(law, question)
    changed: tuple[Adjustment, ...] = ()
    if closing is not None:
        changed = adjustments(counted[1], (await _counted(shown, question, counted_to, None, True, None))[1])
    answered = Answered(
        position=counted[0],
        since=question.since,
        until=question.until,
        counted_to=counted_to,
        closed=closing is not None,
        closing=closing,
        policies=_policies(law, question),
        headline=HEADLINES[options.headline],
        figures=counted[1],
        adjustments=changed,
    )
    if not question.whole:
        return answered
    calls = await telephony(shown, question.since, counted_to, options=options, cut_off=counted[0])
    return msgspec.structs.replace(
        answered,
        figures=tuple(sorted((*calls.figures, *answered.figures), key=_place)),
        windows=calls.windows,
        thresholds=calls.thresholds,
    )


async def behind(
    shown: Projections,
    question: Question,
    code: str,
    side: Side,
    now: datetime,
    *,
    limit: int = 50,
    after: tuple[datetime, UUID, int] | None = None,
) -> Listing[FactRow]:
    """Return the facts behind a side of a figure, as it is answered: of a closed period as it was published.

    Raises NoOrdersBehind for what orders do not decide, CutOffAhead, UnknownUnit.
    """
    if code not in BY_CODE:
        raise NoOrdersBehind(code)
    counted_to = max(question.since, min(question.until, now))
    closing = None if question.cut_off is not None or question.current else await closing_of(shown, question)
    return await shown.behind(
        code,
        side,
        question.since,
        counted_to,
        unit=question.unit,
        demand_type=question.demand_type,
        district=question.district,
        assumed=closing is None,
        cut_off=question.cut_off if closing is None else closing.cut_off,
        limit=limit,
        after=after,
    )


async def _counted(
    shown: Projections,
    question: Question,
    counted_to: datetime,
    cut_off: int | None,
    published: bool,
    progress: Progress | None,
) -> tuple[int, tuple[Figure, ...]]:
    # What is published leaves out orders run under an assumed pack (8.15).
    found = await shown.indicators(
        question.since,
        counted_to,
        by=question.by,
        unit=question.unit,
        demand_type=question.demand_type,
        district=question.district,
        assumed=not published,
        cut_off=cut_off,
        progress=progress,
    )
    return found.position, found.rows


def _place(figure: Figure) -> tuple[bool, int]:
    """Return where a figure stands: the hotline's in the order of 5.2, each sub-centre's behind them."""
    return figure.code in TELEPHONY and figure.part != "", int(family(figure.code)[1:])


def _options(law: Law, question: Question) -> Options:
    """Return what the pack in force on the period's last day chooses; where none is, what every pack begins with."""
    try:
        return law.rules(law.policy_at(question.until - timedelta(milliseconds=1))).options
    except NoPolicyInForce:
        return Options()


def _policies(law: Law, question: Question) -> tuple[PolicyRef, ...]:
    """Return the packs that may bind a case of the period."""
    first, last = day_of(question.since), day_of(question.until - timedelta(milliseconds=1))
    return tuple(p.ref for p in law.policies.publications if p.meets(first, last))


# --- what is closed ----------------------------------------------------------------------------------------------


async def closings(shown: Projections, cut_off: int | None = None) -> tuple[Closing, ...]:
    """Return the first published report of each period of the whole city, by when it was published."""
    told = await shown.beside("publication", [str(ReportPublished.__struct_config__.tag)], cut_off)
    first: dict[tuple[date, date], Closing] = {}
    for entry in told.rows:
        event: ReportPublished = entry.event
        if event.report in ON_EVENT or event.scope is not None:
            continue
        period = (event.period_from, event.period_until)
        closing = Closing(
            id_of(entry.stream),
            event.report,
            entry.numbered(event.report),
            *period,
            event.cut_off,
            entry.at,
            entry.position,
        )
        first.setdefault(period, closing)
    return tuple(first.values())


async def closing_of(shown: Projections, question: Question) -> Closing | None:
    """Return what closed exactly this period; None while nothing did."""
    for one in await closings(shown):
        period = (day_start(one.period_from), day_start(one.period_until + ONE_DAY))
        if period == (question.since, question.until):
            return one
    return None


class Adjusted(msgspec.Struct, frozen=True):
    """已公布数据的调整. What changed in a closed period since it was published."""

    closing: Closing
    changes: tuple[Adjustment, ...]


async def adjusted(
    shown: Projections, before: date, *, by: str = "", cut_off: int | None = None
) -> tuple[Adjusted, ...]:
    """Return the closed periods that ended before a day and whose figures differ by now, or by a position.

    What the next report shows of corrections, appeals and facts that came late: each as published and as it is. Days
    are left to the months that hold them: every summary of a day would be read anew for every report.
    """
    found: list[Adjusted] = []
    for one in await closings(shown, cut_off):
        if one.period_until >= before or one.kind is ReportKind.DAILY_DUTY:
            continue
        since, until = day_start(one.period_from), day_start(one.period_until + ONE_DAY)
        said = await shown.indicators(since, until, by=by, assumed=False, cut_off=one.cut_off)
        now = await shown.indicators(since, until, by=by, assumed=False, cut_off=cut_off)
        if changes := adjustments(said.rows, now.rows):
            found.append(Adjusted(one, changes))
    return tuple(found)


# --- 统计口径 --------------------------------------------------------------------------------------------------------


class Definition(msgspec.Struct, frozen=True):
    """统计口径. How one indicator is counted."""

    code: str
    title: str
    english: str
    shape: str
    formula: str
    meaning: str
    attribution: str
    exclusions: str
    source: str


RULES: Sequence[str] = (
    (
        "期间 [起, 止) 按北京时间; 24:00 到期的计入当日. A period is [from, to) in Asia/Shanghai; what falls due at 24:00 "
        "belongs to the day it ends."
    ),
    (
        "办理类指标计主办承办(轮次), 并单只计主件; 诉求人类指标计工单. Handling counts lead assignments, masters alone; "
        "citizens' indicators count orders."
    ),
    (
        "分母为零的没有值, 不是 0% 也不是 100%; 门槛以整数比较, 显示时四舍五入到两位. Nothing below the line: no value. "
        "Thresholds are tested on whole numbers; what is shown is rounded half up to two decimals."
    ),
    (
        "取消的时限(退单同意、撤回、并单、撤诉)不计, 取消前已超期的仍计. A cancelled clock leaves the rates, unless it was late "
        "by then (K15)."
    ),
    (
        "暂定到期(日历未公布)的在确定前不计; 待批延期的在批复期满前不计超期. Provisional dues count when they are final; what "
        "waits for an extension is not late before the time to decide is over (R-13)."
    ),
    (
        "不计满意率的(行政调解、执法办案)不计入满意、解决、重办各率, 响应与时限照计. Exempt orders leave satisfaction, resolution "
        "and redo, not response and time."
    ),
    (
        "申诉成立的, 该件该单位退出所申诉指标(含各变体); 中断期间超期的照计, 仅由督办员裁定(申诉成立)后剔除. An upheld appeal takes "
        "the unit's part of the order out of that indicator, its variants too; breaches inside an outage count until the "
        "supervisor decides otherwise (8.11)."
    ),
    (
        "已公布的期间即关闭, 其后的更正、申诉、迟到事实在下期报告中列为调整. A published period is closed; what comes later is shown "
        "as adjustments in the next report (8.14)."
    ),
    (
        "来源未载而由映射推定的派单不计入派单、退单、延期各率和办理时长; 办理时限自推定时刻起算, 照计. Dispatches that a mapping "
        "presumed leave the rates of dispatches, returns and extensions and the length of handling; their time to handle counts "
        "(8.15)."
    ),
    "按假定政策运行的工单不进入公布的报告. Orders run under an assumed pack enter no published report (8.15).",
)
"""What holds for every indicator (5.1)."""


def definitions() -> tuple[Definition, ...]:
    """Return how every indicator is counted, telephone figures last."""
    found = [
        Definition(
            i.code,
            i.title,
            i.english,
            i.shape,
            i.formula,
            i.meaning,
            i.attribution,
            "" if i.counts_exempt else "不计满意率的工单 orders exempt from satisfaction",
            i.source,
        )
        for i in INDICATORS
    ]
    spoken = {
        "I1": "calls answered of calls queued, in the worst continuous 24 hours that end in the period",
        "I1x": "the same, calls given up within 5 seconds left out below the line",
        "I1o": "the same, what was counted while the hotline's system was down left out",
        "I1p": "calls answered of calls queued in the period",
        "I2": "answered within 15 seconds, of those answered or given up after 15 seconds",
        "I20": "complaints about the hotline's service found valid, by the call's date, to services answered",
        "I21": "calls rated 4 or 5, of calls rated, each once",
    }
    sources = {"I1": "S1-3, GB33358", "I20": "S4-39", "I21": "S4-37"}
    for code, (title, formula) in TELEPHONY.items():
        when = "区段开始时刻 the start of the interval of counts"
        when = {"I20": "通话日期 the call", "I21": "评价时刻 the rating"}.get(code, when)
        source = sources.get(code, "GB33358")
        found.append(Definition(code, title, spoken[code], Shape.RATE, formula, spoken[code], when, "", source))
    return tuple(found)


# --- CSV ---------------------------------------------------------------------------------------------------------

BOM = "\ufeff"
"""What a spreadsheet program knows UTF-8 by."""


def shown_value(figure: Figure) -> str:
    """Return a figure's value as it is shown; a dash where there is none."""
    if figure.below is None:
        return f"{figure.above}"
    if not figure.below:
        return "—"
    indicator = BY_CODE.get(figure.code)
    if indicator is not None and indicator.shape in (Shape.MEAN, Shape.MEDIAN):
        return f"{(2 * figure.above + figure.below) // (2 * figure.below)}"
    return percent(figure.above, figure.below)


def as_csv(answered: Answered, figures: Iterable[Figure]) -> str:
    """Return figures as CSV with BOM; the period, position and policies stand in every line."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["指标", "名称", "部分", "分子", "分母", "值", "期初", "期末", "截止位置", "已公布", "政策"])
    policies = " ".join(f"{p.pack}@{p.digest.removeprefix('sha256:')[:12]}" for p in answered.policies)
    last = answered.until - timedelta(milliseconds=1)
    for f in figures:
        writer.writerow(
            [
                f.code,
                f.title,
                _plain(f.part),
                f.above,
                "" if f.below is None else f.below,
                shown_value(f),
                f"{answered.since:%Y-%m-%d}",
                f"{last:%Y-%m-%d}",
                answered.position,
                "是" if answered.closed else "否",
                policies,
            ]
        )
    return BOM + out.getvalue()


def _plain(text: str) -> str:
    """Return a text that no spreadsheet program takes for a formula."""
    return f"'{text}" if text[:1] in tuple("=+-@\t\r") else text
