"""指标. The indicators of DOMAIN 5.2 and 8.9 that cases decide, as quotients of counted facts, each with its definition.

Numerator and denominator stay whole numbers: a threshold is tested on them, and a quotient is rounded when it is shown.
A side of an indicator is a list of terms, so that what is counted and which orders stand behind it cannot differ.
Telephone figures (I1, I2, I20, I21) are not facts of cases: `supervision.telephony`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from domain.terms import Word
from domain.units import day_of, day_start
from projections.indicators import RATED, FactRow, family


class Side(StrEnum):
    """Which orders stand behind a figure: those above its line, below it, or below and not above."""

    ABOVE = "above"
    BELOW = "below"
    MISSED = "missed"


class Shape(Word):
    """指标形式. What the quotient is."""

    RATE = "rate", "比率"
    NUMBER = "number", "件数"
    MEAN = "mean", "平均时长"
    MEDIAN = "median", "中位时长"
    WEIGHED = "weighed", "折算比率"


class Of(NamedTuple):
    """One term of a side: facts of a kind, all of them or those that hit or are also something."""

    kind: str
    hit: bool | None = None
    also: bool | None = None


class Indicator(msgspec.Struct, frozen=True, kw_only=True):
    """指标. What is counted above and below the line, when it is attributed, and the text it rests on."""

    code: str
    title: str
    english: str
    above: tuple[Of, ...]
    below: tuple[Of, ...] = ()
    shape: Shape = Shape.RATE
    counts_exempt: bool = True  # the rates of satisfaction and of doing again leave out exempt orders (5.1)
    once: bool = False  # an order counts once however often (I16)
    formula: str  # 公式
    meaning: str  # the same in English
    attribution: str  # 归属时点
    source: str


def _rate(code: str, title: str, english: str, kind: str, of: str = "hit", **said: Any) -> Indicator:
    """Return the share of one kind's facts that are `of`."""
    above = Of(kind, hit=True) if of == "hit" else Of(kind, also=True)
    return Indicator(code=code, title=title, english=english, above=(above,), below=(Of(kind),), **said)


_SATISFIED: Final = {"counts_exempt": False, "source": "S4-45, S1-33, S1-40, 8.9"}
_DUE: Final = "时限到期日(24:00 到期的计入当日) the day it falls due; 24:00 belongs to that day"

_BESIDE: Final = tuple(
    _rate(
        f"I9{letter}",
        f"满意率·{dimension.zh}",
        f"satisfied with {dimension.value.replace('_', ' ')}",
        kind,
        formula=f"有效评价中“{dimension.zh}”为基本满意及以上 ÷ 有效评价中评了该项的",
        meaning="effective evaluations that rate this dimension at least basically satisfied, of those that rate it",
        attribution="评价时刻 the evaluation",
        **_SATISFIED,
    )
    for letter, (dimension, kind) in zip("cdef", RATED.items(), strict=True)
)

INDICATORS: Final[Sequence[Indicator]] = (
    _rate(
        "I3",
        "直接答复率",
        "answered directly",
        "registered",
        "also",
        formula="直接答复办结的 ÷ 登记的诉求",
        meaning="orders closed by a direct answer, of those registered",
        attribution="登记时刻 registration",
        source="S0-17",
    ),
    _rate(
        "I4",
        "派单及时率",
        "dispatched in time",
        "dispatch",
        formula="到期前派单(或以其他方式处置)的 ÷ 期内到期的派单时限",
        meaning="DISPATCH stopped by its due, of those due",
        attribution=_DUE,
        source="S4-11…13, 8.9",
    ),
    _rate(
        "I5",
        "派单准确率",
        "dispatched to the right unit",
        "dispatched",
        formula="未因职责不符同意退单、也未改裁他单位的 ÷ 派单",
        meaning="dispatches that no approved return for want of duty and no ruling corrected, of all",
        attribution="派单时刻 the dispatch",
        source="S3-19",
    ),
    _rate(
        "I6",
        "签收及时率",
        "signed in time",
        "sign",
        formula="到期前签收的 ÷ 期内到期的主办签收时限",
        meaning="lead assignments signed by the due, of those due",
        attribution=_DUE,
        source="S1-22, S4-15…17",
    ),
    _rate(
        "I7",
        "响应率",
        "responded",
        "response",
        formula="响应时限内联系到诉求人、提交初步响应、告知结果或按规定多次联系并留痕的 ÷ 期内办理到期的承办(匿名除外)",
        meaning="episodes with the applicant reached, or duly tried, within the time to respond, of those due",
        attribution="办理时限到期日 the day handling falls due",
        source="S4-45",
    ),
    _rate(
        "I7s",
        "响应率(回访)",
        "responded, by return visits",
        "contacted",
        formula="回访中诉求人称已联系的 ÷ 回访中答了此问的",
        meaning="completed visits whose applicant says to have been contacted, of those who answered",
        attribution="回访完成时刻 the visit",
        source="S4-45, 8.9",
    ),
    _rate(
        "I8",
        "解决率(回访)",
        "resolved, by return visits",
        "resolved",
        counts_exempt=False,
        formula="回访中诉求人称已解决的 ÷ 回访中答了此问的(部分解决计 0)",
        meaning="completed visits whose applicant says resolved, of those who answered; partly counts 0 (A-12)",
        attribution="回访完成时刻 the visit",
        source="S4-45, A-12",
    ),
    Indicator(
        code="I8w",
        title="解决率(回访, 部分解决折算)",
        english="resolved, by return visits, partly ones in part",
        shape=Shape.WEIGHED,
        above=(Of("partly", hit=True),),
        below=(Of("partly"),),
        counts_exempt=False,
        formula="Σ(已解决计 100, 部分解决计政策所定百分数) ÷ (100 × 回访中答了此问的)",
        meaning="resolved counts 100, partly what the pack says, of 100 for each who answered; nothing where no pack says it",
        attribution="回访完成时刻 the visit",
        source="S4-45, A-12",
    ),
    _rate(
        "I8l",
        "解决率(答复)",
        "resolved, by the reply",
        "outcome",
        counts_exempt=False,
        formula="各轮最后答复为已解决的 ÷ 各轮最后答复写明结果的",
        meaning="last replies of rounds that say resolved, of those that say a result",
        attribution="答复时刻 the reply",
        source="S4-45",
    ),
    _rate(
        "I9a",
        "满意率(含视为)",
        "satisfied, deemed included",
        "evaluated",
        formula="有效评价为基本满意及以上的(含视为) ÷ 有效评价(含视为)",
        meaning="effective evaluations at least basically satisfied, of all, with deemed ones",
        attribution="评价时刻, 视为的为其生效时刻 the evaluation, of a deemed one when it takes effect",
        **_SATISFIED,
    ),
    Indicator(
        code="I9b",
        title="满意率(不含视为)",
        english="satisfied, deemed left out",
        above=(Of("evaluated", hit=True, also=False),),
        below=(Of("evaluated", also=False),),
        formula="有效评价为基本满意及以上的 ÷ 有效评价, 均不含视为",
        meaning="effective evaluations at least basically satisfied, of all, without deemed ones",
        attribution="评价时刻 the evaluation",
        **_SATISFIED,
    ),
    _rate(
        "I9r",
        "满意率(回访)",
        "satisfied, by return visits",
        "rated_at_visit",
        formula="回访所得有效评价为基本满意及以上的 ÷ 回访所得有效评价",
        meaning="effective evaluations of return visits at least basically satisfied, of all of these",
        attribution="评价时刻 the evaluation",
        **_SATISFIED,
    ),
    *_BESIDE,
    _rate(
        "I10",
        "按时办结率",
        "answered in time",
        "handle",
        formula="到期前答复(须告知的并已告知)且未被退回的 ÷ 期内到期的办理时限",
        meaning="HANDLE stopped by its effective due through the first reply not sent back, of those due",
        attribution=_DUE,
        source="S0-27, S1-24, S2-25, S4-25, 8.9",
    ),
    _rate(
        "I11",
        "超期率",
        "overdue",
        "overdue",
        formula="办理超期或逾期退单(超期办理件)的承办 ÷ 期内到期的承办",
        meaning="episodes late in handling or returned too late where that counts as overdue, of those due",
        attribution="办理到期日; 已退回的为退单到期日 the day handling, or the right to return, ends",
        source="S1-20, R-34",
    ),
    Indicator(
        code="I11s",
        title="平均超期时长",
        english="how late on average",
        shape=Shape.MEAN,
        above=(Of("overdue"),),
        below=(Of("overdue"),),
        formula="Σ(办理停止 − 到期) ÷ 超期后办结的承办",
        meaning="the sum of what handling took beyond its due, of those answered late",
        attribution=_DUE,
        source="S1-20",
    ),
    _rate(
        "I12a",
        "申请退单率",
        "return asked for",
        "given_back",
        formula="申请过退单的 ÷ 派至该单位的派单",
        meaning="dispatches whose return was asked for, of those to the unit",
        attribution="派单时刻 the dispatch",
        source="S1-19",
    ),
    _rate(
        "I12b",
        "退单率",
        "returned",
        "given_back",
        "also",
        formula="同意退单的 ÷ 派至该单位的派单",
        meaning="dispatches that were returned, of those to the unit",
        attribution="派单时刻 the dispatch",
        source="S1-19",
    ),
    _rate(
        "I13",
        "不当退单率",
        "improper returns",
        "return",
        formula="被驳回或逾期的退单申请 ÷ 退单申请",
        meaning="requests rejected or late, of all requests; one that is both counts once",
        attribution="申请时刻 the request",
        source="53号, 8.9",
    ),
    _rate(
        "I14",
        "转派及时率",
        "passed on in time",
        "transfer",
        formula="到期前转派、自办或申请退单的 ÷ 期内到期的转派时限",
        meaning="TRANSFER stopped by its due, of those due",
        attribution=_DUE,
        source="S0-24",
    ),
    _rate(
        "I15a",
        "延期率",
        "extended",
        "dispatched",
        "also",
        formula="同意过延期的 ÷ 派单",
        meaning="dispatches with an extension approved, of all",
        attribution="派单时刻 the dispatch",
        source="S0-29",
    ),
    _rate(
        "I15b",
        "延期同意率",
        "extensions approved",
        "extension",
        formula="同意的 ÷ 延期申请",
        meaning="approved, of the extensions asked for",
        attribution="申请时刻 the request",
        source="S0-30",
    ),
    Indicator(
        code="I16",
        title="重办率",
        english="done again",
        above=(Of("redo"),),
        below=(Of("redo"), Of("closing")),
        counts_exempt=False,
        once=True,
        formula="责令重办的工单 ÷ 办结或重办的工单, 一件计一次",
        meaning="orders ordered to be done again, of those closed or done again, each once",
        attribution="重办、办结时刻 the redo or the closure",
        source="S1-34",
    ),
    _rate(
        "I17",
        "一次办结率",
        "closed the first time",
        "closed",
        formula="首轮办结且仅一次通过的答复的 ÷ 办结的工单",
        meaning="orders closed in round 1 with one accepted reply, of those closed; merged and withdrawn ones apart",
        attribution="办结时刻 the closure",
        source="5.2",
    ),
    _rate(
        "I18a",
        "回访率",
        "sampled for a visit",
        "replied",
        formula="抽中回访的 ÷ 已答复可回访的轮次(匿名除外)",
        meaning="rounds sampled, of those answered whose applicant is known",
        attribution="答复时刻 the reply",
        source="S4-40",
    ),
    _rate(
        "I18b",
        "回访成功率",
        "visits completed",
        "visit",
        formula="完成的 ÷ 有结果的回访",
        meaning="completed, of the visits attempted",
        attribution="回访结束时刻 the end of the visit",
        source="S4-41",
    ),
    _rate(
        "I18c",
        "拒访率",
        "visits refused",
        "visit",
        "also",
        formula="拒访的 ÷ 有结果的回访",
        meaning="refused, of the visits attempted",
        attribution="回访结束时刻 the end of the visit",
        source="S4-42",
    ),
    Indicator(
        code="I19",
        title="视为满意占比",
        english="share deemed",
        above=(Of("deemed"),),
        below=(Of("evaluated"),),
        formula="视为评价(含后被回访取代的) ÷ 有效评价",
        meaning="deemed evaluations, those a visit replaced with them, to effective evaluations",
        attribution="视为生效时刻、评价时刻 when the deeming takes effect, the evaluation",
        source="5.1, 8.9",
    ),
    _rate(
        "I22",
        "重复诉求率",
        "repeated demands",
        "registered",
        formula="关联为同一事项重复的 ÷ 登记的诉求",
        meaning="orders linked as duplicates of the same matter, of those registered",
        attribution="登记时刻 registration",
        source="S4-33",
    ),
    Indicator(
        code="I23",
        title="督办回复及时率",
        english="supervision replied to in time",
        above=(Of("notice", hit=True), Of("unit_notice", hit=True)),
        below=(Of("notice"), Of("unit_notice")),
        formula="到期前回复的 ÷ 期内到期的督办回复时限(工单督办、致单位督办)",
        meaning="notices about orders, and to units, replied to by the due, of those due",
        attribution=_DUE,
        source="S2-29, S4-31",
    ),
    Indicator(
        code="I24",
        title="未按规定办理件数",
        english="deemed not handled",
        shape=Shape.NUMBER,
        above=(Of("not_handled"),),
        formula="视为未按规定办理的件数",
        meaning="orders deemed not handled as required",
        attribution="认定时刻 the finding",
        source="S1-37",
    ),
    Indicator(
        code="I25",
        title="平均办理时长",
        english="handling on average",
        shape=Shape.MEAN,
        above=(Of("closed"),),
        below=(Of("closed"),),
        formula="Σ(末次办理停止 − 其派单) ÷ 办结且经派单答复的工单",
        meaning="from the last dispatch to its reply, of orders closed",
        attribution="办结时刻 the closure",
        source="5.2",
    ),
    Indicator(
        code="I25m",
        title="中位办理时长",
        english="handling, the median",
        shape=Shape.MEDIAN,
        above=(Of("closed"),),
        below=(Of("closed"),),
        formula="同上的中位数; 偶数件取居中两值的平均",
        meaning="the median of the same; the mean of the middle two where they are even in number",
        attribution="办结时刻 the closure",
        source="5.2",
    ),
    Indicator(
        code="I25a",
        title="平均工单存续",
        english="age of orders on average",
        shape=Shape.MEAN,
        above=(Of("age"),),
        below=(Of("age"),),
        formula="Σ(办结 − 登记) ÷ 办结的工单",
        meaning="from registration to the closure, of orders closed",
        attribution="办结时刻 the closure",
        source="5.2, R-08",
    ),
    Indicator(
        code="I25b",
        title="中位工单存续",
        english="age of orders, the median",
        shape=Shape.MEDIAN,
        above=(Of("age"),),
        below=(Of("age"),),
        formula="同上的中位数",
        meaning="the median of the same",
        attribution="办结时刻 the closure",
        source="5.2, R-08",
    ),
    _rate(
        "I26",
        "协办及时率",
        "co-organizers in time",
        "co_reply",
        formula="到期前提交协办意见的 ÷ 期内到期的协办时限",
        meaning="CO_REPLY stopped by its due, of those due",
        attribution=_DUE,
        source="S1-13",
    ),
    _rate(
        "I27",
        "承诺兑现率",
        "promises kept",
        "follow_up",
        formula="承诺日(含当日)前兑现的 ÷ 期内到承诺日的后续承诺",
        meaning="follow-ups done by the promised day, of those promised for the period",
        attribution="承诺日 the promised day",
        source="S4-27",
    ),
    _rate(
        "I28",
        "告知率",
        "told",
        "told",
        formula="已告知诉求人的 ÷ 办结且可联系的工单(匿名、撤回、无法联系除外)",
        meaning="orders closed whose applicant was told, of those who can be; merged ones with their own applicant",
        attribution="办结时刻 the closure",
        source="S2-13, R-29",
    ),
    _rate(
        "I29",
        "一次审核通过率",
        "accepted at first review",
        "first_reply",
        formula="首次答复审核即通过的 ÷ 经审核的首次答复",
        meaning="first replies of rounds accepted at once, of those reviewed",
        attribution="审核时刻 the review",
        source="8.9",
    ),
)
"""In the order of DOMAIN 5.2; I29 is that of 8.9. Means and medians are of seconds."""

BY_CODE: Final[Mapping[str, Indicator]] = {indicator.code: indicator for indicator in INDICATORS}

HEADLINES: Final[Mapping[str, tuple[str, str, str]]] = {
    "ledger": ("I7", "I8", "I9a"),
    "revisit": ("I7s", "I8", "I9r"),
}
"""Which variant of response, resolution and satisfaction a pack's `headline` puts first (8.9)."""


def terms(indicator: Indicator, side: Side) -> tuple[tuple[Of, ...], tuple[Of, ...]]:
    """Return the terms of the orders behind a side, and those that they must not fit."""
    if side is Side.ABOVE:
        return indicator.above, ()
    if side is Side.BELOW:
        return indicator.below, ()
    return indicator.below, indicator.above


# --- counting ----------------------------------------------------------------------------------------------------


class Cell(NamedTuple):
    """What was counted: facts, those of them that say how long, and how long together."""

    facts: int
    timed: int
    seconds: int

    def plus(self, other: Cell) -> Cell:
        """Return both together."""
        return Cell(self.facts + other.facts, self.timed + other.timed, self.seconds + other.seconds)


_NOTHING = Cell(0, 0, 0)

Key = tuple[str, bool, bool, bool, str]
"""kind, hit, also, exempt, and what the facts were taken out of."""


class Tally:
    """The counts of a period and a part."""

    __slots__ = ("_cells", "medians", "redone", "redone_or_closed")

    def __init__(self) -> None:
        self._cells: dict[Key, Cell] = {}
        self.redone = 0  # orders, each once (I16)
        self.redone_or_closed = 0
        self.medians: dict[str, tuple[int, int, int]] = {}  # by kind: how many, and the two in the middle

    def add(self, key: Key, cell: Cell) -> None:
        """Add what was counted."""
        held = self._cells.get(key)
        self._cells[key] = cell if held is None else held.plus(cell)

    def of(self, indicator: Indicator, side: tuple[Of, ...]) -> Cell:
        """Return what a side of an indicator counts."""
        found, left = _NOTHING, family(indicator.code)
        for (kind, hit, also, exempt, excluded), cell in self._cells.items():
            if (exempt and not indicator.counts_exempt) or (excluded and left in excluded.split(",")):
                continue
            for term in side:
                if term.kind == kind and term.hit in (None, hit) and term.also in (None, also):
                    found = found.plus(cell)
        return found


class Figure(msgspec.Struct, frozen=True):
    """指标值. `below` is None for a plain number; a rate with nothing below it has no value, neither 0 nor 1 (5.1)."""

    code: str
    title: str
    part: str  # the unit, type or area it is about; empty: all, or the hotline centre's own
    above: int
    below: int | None

    @property
    def counted(self) -> int | None:
        """How many facts stand below the line; of a weighed one each of them is a hundred there."""
        weighed = self.code in BY_CODE and BY_CODE[self.code].shape is Shape.WEIGHED
        return self.below // 100 if weighed and self.below is not None else self.below

    @property
    def value(self) -> float | None:
        """The quotient; None where nothing stands below it."""
        return None if not self.below else self.above / self.below


def percent(above: int, below: int) -> str:
    """Return a quotient as it is shown: per cent, rounded half up to two decimals, on whole numbers (5.1)."""
    hundredths = (abs(above) * 20_000 + below) // (2 * below)
    return f"{'-' if above < 0 else ''}{hundredths // 100}.{hundredths % 100:02}%"


def figures(tallies: Iterable[tuple[str, Tally]]) -> tuple[Figure, ...]:
    """Return every indicator of every part, in the order of `INDICATORS`."""
    return tuple(Figure(i.code, i.title, part, *_counted(i, tally)) for part, tally in tallies for i in INDICATORS)


def _counted(indicator: Indicator, tally: Tally) -> tuple[int, int | None]:
    if indicator.once:
        return tally.redone, tally.redone_or_closed
    above = tally.of(indicator, indicator.above)
    match indicator.shape:
        case Shape.NUMBER:
            return above.facts, None
        case Shape.MEAN:
            return above.seconds, above.timed
        case Shape.MEDIAN:
            count, lower, upper = tally.medians.get(indicator.above[0].kind, (0, 0, 0))
            return (lower, min(count, 1)) if lower == upper else (lower + upper, 2)
        case Shape.WEIGHED:
            return above.seconds, 100 * tally.of(indicator, indicator.below).facts
        case _:
            return above.facts, tally.of(indicator, indicator.below).facts


def tallied(
    counted: Iterable[tuple[Any, ...]], redone: Iterable[tuple[Any, ...]], medians: Iterable[tuple[Any, ...]]
) -> dict[str, Tally]:
    """Return tallies by part from the rows of the statements `tally`, `redone` and `medians`."""
    tallies: dict[str, Tally] = {}
    for part, kind, hit, also, exempt, excluded, *numbers in counted:
        tallies.setdefault(part, Tally()).add((kind, hit, also, exempt, excluded), Cell(*numbers))
    for part, again, either in redone:
        tally = tallies.setdefault(part, Tally())
        tally.redone, tally.redone_or_closed = again, either
    for part, kind, *middle in medians:
        tallies.setdefault(part, Tally()).medians[kind] = (middle[0], middle[1], middle[2])
    return tallies


# --- counting rows at hand ---------------------------------------------------------------------------------------


class Asked(NamedTuple):
    """What is asked: a period [since, until), by unit, type or area, of some of them alone."""

    since: datetime
    until: datetime
    by: str = ""
    units: Sequence[str] | None = None
    demand_type: str | None = None
    district: str | None = None
    assumed: bool = True

    def part(self, fact: FactRow) -> str:
        """Return the part that a fact belongs to."""
        return {"unit": fact.unit, "type": fact.demand_type, "area": fact.district}.get(self.by, "")

    def takes(self, fact: FactRow) -> bool:
        """Tell whether a fact is asked for: as the statements of the table do."""
        return (
            self.since <= fact.at < self.until
            and not fact.provisional
            and (fact.settles is None or fact.settles < self.until)
            and (self.units is None or fact.unit in self.units)
            and self.demand_type in (None, fact.demand_type)
            and self.district in (None, fact.district)
            and (self.assumed or not fact.assumed)
        )


def counted(facts: Iterable[FactRow], asked: Asked) -> dict[str, Tally]:
    """Return tallies by part of facts at hand: what the statements count in a table, of any past position."""
    tallies: dict[str, Tally] = {}
    redone: dict[str, tuple[set[object], set[object]]] = {}
    durations: dict[tuple[str, str], list[int]] = {}
    for fact in filter(asked.takes, facts):
        part, left = asked.part(fact), fact.excluded.split(",")
        timed = fact.seconds is not None
        cell = Cell(1, int(timed), fact.seconds or 0)
        tallies.setdefault(part, Tally()).add((fact.kind, fact.hit, fact.also, fact.exempt, fact.excluded), cell)
        if fact.kind in ("redo", "closing") and not fact.exempt and "I16" not in left:
            again, either = redone.setdefault(part, (set(), set()))
            either.add(fact.order_id)
            if fact.kind == "redo":
                again.add(fact.order_id)
        if fact.kind in ("closed", "age") and fact.seconds is not None and "I25" not in left:
            durations.setdefault((part, fact.kind), []).append(fact.seconds)
    for part, (again, either) in redone.items():
        tallies[part].redone, tallies[part].redone_or_closed = len(again), len(either)
    for (part, kind), seconds in durations.items():
        seconds.sort()
        count = len(seconds)
        tallies[part].medians[kind] = (count, seconds[(count - 1) // 2], seconds[count // 2])
    return tallies


def is_long(indicator: Indicator) -> bool:
    """Tell whether only facts that say how long count: of means and medians."""
    return indicator.shape in (Shape.MEAN, Shape.MEDIAN)


def behind(facts: Iterable[FactRow], asked: Asked, indicator: Indicator, side: Side) -> list[FactRow]:
    """Return the facts at hand that a side of a figure counts, the earliest first; each order once where it counts so."""
    wanted, unwanted = terms(indicator, side)

    def fits(fact: FactRow, some: Sequence[Of]) -> bool:
        return any(t.kind == fact.kind and t.hit in (None, fact.hit) and t.also in (None, fact.also) for t in some)

    def counts(fact: FactRow) -> bool:
        return (
            asked.takes(fact)
            and (indicator.counts_exempt or not fact.exempt)
            and family(indicator.code) not in fact.excluded.split(",")
            and (fact.seconds is not None or not is_long(indicator))
        )

    own = sorted(filter(counts, facts), key=lambda fact: (fact.at, fact.order_id, fact.no))
    found = [fact for fact in own if fits(fact, wanted) and not fits(fact, unwanted)]
    if not indicator.once:
        return found
    others = {fact.order_id for fact in own if fits(fact, unwanted)}
    first = {fact.order_id: fact for fact in reversed(found) if fact.order_id not in others}
    return sorted(first.values(), key=lambda fact: (fact.at, fact.order_id, fact.no))


# --- what changed ------------------------------------------------------------------------------------------------


class Adjustment(msgspec.Struct, frozen=True):
    """调整. A figure of a closed period as it was published, and as it is now (8.14)."""

    code: str
    title: str
    part: str
    above: int
    below: int | None
    above_now: int
    below_now: int | None


def adjustments(published: Iterable[Figure], now: Iterable[Figure]) -> tuple[Adjustment, ...]:
    """Return the figures that differ, in the order of `INDICATORS`."""
    before = {(f.part, f.code): f for f in published}
    after = {(f.part, f.code): f for f in now}
    found: list[Adjustment] = []
    for part, code in sorted(before.keys() | after.keys(), key=lambda key: (key[0], _PLACE[key[1]])):
        was, be = before.get((part, code)), after.get((part, code))
        one = was or be
        assert one is not None
        none = None if one.below is None else 0
        old = (0, none) if was is None else (was.above, was.below)
        new = (0, none) if be is None else (be.above, be.below)
        if old != new:
            found.append(Adjustment(code, one.title, part, *old, *new))
    return tuple(found)


class Contested(msgspec.Struct, frozen=True):
    """申诉前后. A unit's figure of the month that was published, with one order in it and without that order (8.11).

    Of an upheld appeal `without` is what stands; of an open one what would, were it upheld. Told of the appeal alone: what
    else may keep the order out, a demand judged unreasonable, is not looked at.
    """

    order_id: UUID
    no: int
    code: str
    since: datetime
    until: datetime
    above: int
    below: int | None
    above_without: int
    below_without: int | None


def month_before(published_at: datetime) -> tuple[datetime, datetime]:
    """Return the calendar month that had ended when a figure was published: [since, until)."""
    until = day_start(day_of(published_at).replace(day=1))
    return day_start((day_of(until) - timedelta(days=1)).replace(day=1)), until


def contested(facts: Iterable[FactRow], asked: Asked, order_id: UUID, said: str) -> tuple[Figure, Figure] | None:
    """Return the figure that is meant, with an order and without it; None where no such figure is counted.

    A name without its variant means the first of them.
    """
    own = family(said)
    code = said if said in BY_CODE else next((one for one in BY_CODE if family(one) == own), "")

    def apart(fact: FactRow, *, leaves: bool) -> FactRow:
        left = {one for one in fact.excluded.split(",") if one and one != own} | ({own} if leaves else set[str]())
        return msgspec.structs.replace(fact, excluded=",".join(sorted(left)))

    rows = list(facts)
    found: list[Figure] = []
    for leaves in (False, True):
        some = (apart(fact, leaves=leaves) if fact.order_id == order_id else fact for fact in rows)
        tally = counted(some, asked).get("", Tally())
        found += [figure for figure in figures([("", tally)]) if figure.code == code]
    return (found[0], found[1]) if len(found) == 2 else None


_PLACE: Final = {indicator.code: n for n, indicator in enumerate(INDICATORS)}
