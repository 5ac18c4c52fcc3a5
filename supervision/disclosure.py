"""披露控制 (DOMAIN 4.2, A-18). Which counts of a closed quarter overseers are shown, so that no small number can be told.

What is published of a quarter is fixed for ever: each measure's total, its months, its outcomes, and by each of unit,
type, area and category the rows that are large enough, everything else being one remainder. `docs/decisions/0017` argues
why sums and differences of these, over any number of questions, single out no count below the least one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from domain.terms import Hindrance, Outcome
from domain.units import day_start
from projections.figures import Asked
from projections.indicators import FactRow

LEAST: Final = 5
"""The smallest count that is told of anything; a city's pack may ask for more, never for less."""


# --- what is counted ---------------------------------------------------------------------------------------------


class Ending(NamedTuple):
    """One of the ways in which what is counted came out; the first that fits is the one."""

    code: str
    title: str
    hit: bool | None = None
    also: bool | None = None
    words: tuple[str, ...] = ()


class Happened(NamedTuple):
    """What indicators do not count of a case: a reply with its outcome, a notice with what became of it."""

    kind: str
    word: str
    at: datetime
    order: UUID
    unit: str
    demand_type: str
    district: str
    category: str
    notice: str = ""
    reason: str = ""


REPLY: Final = "reply"
NOTICE: Final = "notice_issued"


class Measure(NamedTuple):
    """监督统计项. Facts of one kind, and how they came out: one partition of them, so that two never cross."""

    code: str
    title: str
    english: str
    kind: str
    endings: tuple[Ending, ...]
    leaves: str = ""  # the indicator whose upheld appeals take facts out
    counts_exempt: bool = True
    shown: bool = True  # whether a timeline shows these facts, so that orders behind a count can be listed
    by: tuple[str, ...] = ("unit", "type", "area")
    reasons: tuple[Ending, ...] = ()  # why what ended as one of `reasoned` did: told of the whole city alone
    reasoned: tuple[str, ...] = ()


UNSAID: Final = "unsaid"

_IN_TIME: Final = (Ending("in_time", "按时", hit=True), Ending("late", "逾期"))

MEASURES: Final[Sequence[Measure]] = (
    Measure(
        "registered",
        "登记",
        "registered",
        "registered",
        (Ending("direct", "直接答复", also=True), Ending("repeated", "重复", hit=True), Ending("taken", "受理派办")),
        "I3",
        by=("type", "area", "category"),
    ),
    Measure(
        "dispatched",
        "派单",
        "dispatched",
        "given_back",
        (Ending("returned", "退单", also=True), Ending("asked", "申请退单未准", hit=True), Ending("kept", "未退")),
        "I12",
    ),
    Measure("signed", "签收到期", "due to be signed", "sign", _IN_TIME, "I6"),
    Measure(
        "due",
        "办理到期",
        "due to be handled",
        "overdue",
        (Ending("late", "超期", hit=True), Ending("in_time", "按时")),
        "I11",
    ),
    Measure(
        "extension",
        "延期申请",
        "extensions asked for",
        "extension",
        (Ending("approved", "同意", hit=True), Ending("refused", "未同意")),
        "I15",
    ),
    Measure(
        "answered",
        "答复",
        "answered",
        REPLY,
        tuple(Ending(str(outcome), outcome.zh, words=(str(outcome),)) for outcome in Outcome),
        by=("unit", "type", "area", "category"),
        reasons=(
            *(Ending(str(one), one.zh, words=(str(one),)) for one in Hindrance),
            Ending(UNSAID, "原因类别未注明", words=("",)),
        ),
        reasoned=(str(Outcome.UNRESOLVED), str(Outcome.UNSOLVABLE)),
    ),
    Measure(
        "visited",
        "回访解决情况",
        "resolved, by return visits",
        "resolved",
        (Ending("resolved", "已解决", hit=True), Ending("unresolved", "未解决")),
        "I8",
        counts_exempt=False,
        shown=False,
    ),
    Measure(
        "rated",
        "有效评价",
        "rated",
        "evaluated",
        (
            Ending("deemed", "视为满意", hit=True, also=True),
            Ending("satisfied", "满意", hit=True),
            Ending("not", "不满意"),
        ),
        "I9",
        counts_exempt=False,
        shown=False,
    ),
    Measure("redone", "重办", "done again", "redo", (), "I16", counts_exempt=False),
    Measure(
        "closed",
        "办结",
        "closed",
        "closed",
        (Ending("once", "一次办结", hit=True), Ending("otherwise", "其他方式办结")),
        "I17",
    ),
    Measure("noticed", "督办回复到期", "notices due to be replied to", "notice", _IN_TIME, "I23"),
    Measure(
        "issued",
        "督办文书",
        "notices issued",
        NOTICE,
        (
            Ending("settled", "已认可或了结", words=("accepted", "closed")),
            Ending("escalated", "已升级", words=("escalated",)),
            Ending("withdrawn", "已撤销", words=("withdrawn",)),
            Ending("open", "未了结", words=("issued", "served", "replied", "rejected")),
        ),
        by=("unit", "notice"),
    ),
    Measure("promised", "承诺到期", "promises due", "follow_up", _IN_TIME, "I27"),
)
"""What overseers are shown counts of. No two of them are counts of the same facts: else their difference would be another
count, which nobody looked after (0017)."""

BY_CODE: Final[Mapping[str, Measure]] = {measure.code: measure for measure in MEASURES}

DIMENSIONS: Final[Mapping[str, str]] = {
    "unit": "单位",
    "type": "诉求类型",
    "area": "区域",
    "category": "类别",
    "notice": "文书种类",
}


class Quarter(NamedTuple):
    """季度."""

    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.year}Q{self.number}"

    @property
    def months(self) -> tuple[datetime, datetime, datetime, datetime]:
        """Where its months begin, and where the last one ends."""
        first = 3 * self.number - 2
        days = [date(self.year + (first + n > 12), (first + n - 1) % 12 + 1, 1) for n in range(4)]
        return (day_start(days[0]), day_start(days[1]), day_start(days[2]), day_start(days[3]))

    @property
    def since(self) -> datetime:
        """Its first instant."""
        return self.months[0]

    @property
    def until(self) -> datetime:
        """The first instant after it."""
        return self.months[3]


def quarter_of(first: date, last: date) -> Quarter | None:
    """Return the quarter that two days begin and end; None where they do not."""
    found = Quarter(first.year, (first.month + 2) // 3)
    days = (day_start(first), day_start(last + timedelta(days=1)))
    return found if days == (found.since, found.until) else None


class Counted(NamedTuple):
    """One fact that a measure counts: of which order, in which month, how it came out, of whom, what and where."""

    order: UUID
    month: int
    ending: int
    parts: Mapping[str, str]
    reason: int = -1  # why, where what ended so has a reason


def counted(facts: Iterable[FactRow], quarter: Quarter, more: Iterable[Happened] = ()) -> dict[str, list[Counted]]:
    """Return what each measure counts of a quarter: what indicators count, orders under an assumed pack left out."""
    months = quarter.months
    asked = Asked(quarter.since, quarter.until, assumed=False)
    found: dict[str, list[Counted]] = {measure.code: [] for measure in MEASURES}
    of_kind = {measure.kind: measure for measure in MEASURES}
    for fact in facts:
        measure = of_kind.get(fact.kind)
        if measure is None or not asked.takes(fact) or (fact.exempt and not measure.counts_exempt):
            continue
        if measure.leaves in fact.excluded.split(","):
            continue
        month = sum(fact.at >= start for start in months[1:3])
        parts = {"unit": fact.unit, "type": fact.demand_type, "area": fact.district, "category": fact.category}
        fits = (ending.hit in (None, fact.hit) and ending.also in (None, fact.also) for ending in measure.endings)
        found[measure.code].append(Counted(fact.order_id, month, _first(fits), parts))
    for one in more:
        measure = of_kind[one.kind]
        if quarter.since <= one.at < quarter.until:
            month = sum(one.at >= start for start in months[1:3])
            parts = {"unit": one.unit, "type": one.demand_type, "area": one.district, "category": one.category}
            ending = _first(one.word in ending.words for ending in measure.endings)
            why = (
                _first(one.reason in reason.words for reason in measure.reasons) if one.word in measure.reasoned else -1
            )
            found[measure.code].append(Counted(one.order, month, ending, {**parts, "notice": one.notice}, why))
    return found


def _first(fits: Iterable[bool]) -> int:
    """Return the number of the ending that fits first."""
    return next((number for number, fit in enumerate(fits) if fit), 0)


# --- what is told ------------------------------------------------------------------------------------------------


class Share(msgspec.Struct, frozen=True):
    """How many came out so: one ending, or several of which one would be a small number, counted together."""

    endings: tuple[str, ...]
    title: str
    count: int


class Line(msgspec.Struct, frozen=True):
    """行. A unit, type, area or category that is large enough; `outcomes` in the order of the total's, or not told."""

    part: str
    count: int
    outcomes: tuple[int, ...] = ()


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """分项. `rest` is everything that has no line: nothing, or no small number, of parts that are not told apart."""

    by: str
    lines: tuple[Line, ...]
    rest: int


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """监督统计表. One measure of a quarter or a year. `count` is None where the whole city's is too small to tell."""

    measure: str
    title: str
    english: str
    count: int | None
    months: tuple[int, ...] = ()  # of a quarter: none where one of them would be small
    outcomes: tuple[Share, ...] = ()  # none where they cannot be told apart
    reasons: tuple[Share, ...] = ()  # why what is told to be unresolved or unsolvable is; none where they cannot be
    tables: tuple[Table, ...] = ()
    hidden: int = 0  # numbers that are not told


class Tally(NamedTuple):
    """A count, and how much of it is of orders that were never listed one by one: what protection is measured by."""

    all: int
    kept: int

    def small(self, least: int) -> bool:
        """Tell whether it must not be told by itself."""
        return self.all > 0 and self.kept < least


_NONE = Tally(0, 0)


def _sum(tallies: Iterable[Tally]) -> Tally:
    every, kept = 0, 0
    for one in tallies:
        every, kept = every + one.all, kept + one.kept
    return Tally(every, kept)


def together(tallies: Mapping[str, Tally], least: int) -> frozenset[str]:
    """Return the parts that are not told apart: the small ones, and of the others the smallest until all are enough.

    With small ones alone their sum might be small; with one alone the sum would be it; and of a sum so small that each
    can have one only, each would be known.
    """
    hidden = {name for name, one in tallies.items() if one.small(least)}
    if not hidden:
        return frozenset()
    others = sorted((n for n, one in tallies.items() if one.all and n not in hidden), key=lambda n: (tallies[n], n))
    for name in others:
        if len(hidden) > 1 and _sum(tallies[n] for n in hidden).kept >= least + len(hidden):
            break
        hidden.add(name)
    return frozenset(hidden)


def told_apart(rows: Mapping[str, Sequence[Tally]], left: Sequence[Tally], least: int) -> frozenset[str]:
    """Return the rows whose columns are told: each of them nothing or enough, and what is left of each column too.

    `left` is what the rows without a line have in each column. Of a column that rows not told share, there must remain
    so much that each of them may have little of it and still none is known to.
    """
    told = {name for name, row in rows.items() if not any(one.small(least) for one in row)}
    while True:
        column = _betraying(rows, told, left, least)
        if column is None:
            return frozenset(told)
        having = [name for name in told if rows[name][column].all]
        if not having:
            return frozenset()
        told.remove(min(having, key=lambda name: (_sum(rows[name]), name)))


def _betraying(rows: Mapping[str, Sequence[Tally]], told: set[str], left: Sequence[Tally], least: int) -> int | None:
    """Return a column whose remainder would tell of rows that are not told; None where there is none."""
    secret = [row for name, row in rows.items() if name not in told]
    for column, rest in enumerate(left):
        remainder = _sum((rest, *(row[column] for row in secret)))
        having = sum(row[column].all > 0 for row in secret)
        if remainder.all and remainder.kept < least + having:
            return column
    return None


# --- one quarter -------------------------------------------------------------------------------------------------


class Block(NamedTuple):
    """A number that is told, or what is left over of one: its measure, quarter, dimension and part."""

    measure: str
    period: str
    by: str
    part: str
    ending: int = -1


Rest = Mapping[str, Mapping[str, Sequence[UUID]]]
"""By dimension the parts that have no line, each with the order of every fact in it."""


class Worked(NamedTuple):
    """A sheet, and which of the told numbers each fact is in."""

    sheet: Sheet
    blocks: Mapping[UUID, Sequence[Block]]  # by order
    rest: Rest
    secret: frozenset[UUID] = frozenset()  # orders of which nothing may be listed: their measure is not told at all


def worked(
    measure: Measure, quarter: Quarter, found: Sequence[Counted], listed: frozenset[UUID] | set[UUID], least: int
) -> Worked:
    """Return what is told of one measure of a quarter; `listed` are the orders that were listed before."""
    blank = Sheet(measure=measure.code, title=measure.title, english=measure.english, count=None, hidden=1)
    every = _tally(found, listed)
    if every.kept < least:
        return Worked(blank, {}, {}, frozenset(one.order for one in found))
    blocks: dict[UUID, list[Block]] = defaultdict(list)
    months = tuple(_tally((one for one in found if one.month == n), listed) for n in range(3))
    by_month = not any(month.small(least) for month in months)
    if by_month:
        for one in found:
            blocks[one.order].append(Block(measure.code, str(quarter), "month", str(one.month)))
    shares, column_of = _shares(measure.endings, [(one, one.ending) for one in found], listed, least)
    reasons, reason_of = _reasons(measure, found, shares, listed, least)
    for one in found if reasons else ():
        if one.reason >= 0:
            blocks[one.order].append(Block(measure.code, str(quarter), "reason", "", reason_of[one.reason]))
    tables: list[Table] = []
    rests: dict[str, Mapping[str, Sequence[UUID]]] = {}
    hidden = 0
    for by in measure.by:
        table, rest, places = _table(by, found, column_of, len(shares), listed, least)
        tables.append(table)
        rests[by] = rest
        hidden += len(rest) + sum(len(shares) for line in table.lines if shares and not line.outcomes)
        for one, (part, column) in zip(found, places, strict=True):
            blocks[one.order].extend(_blocks(measure, quarter, by, part, column, column_of[one.ending]))
    sheet = msgspec.structs.replace(
        blank,
        count=every.all,
        months=tuple(month.all for month in months) if by_month else (),
        outcomes=shares,
        reasons=reasons,
        tables=tuple(tables),
        hidden=hidden + (0 if by_month else 3) + (0 if shares or not measure.endings else len(measure.endings)),
    )
    return Worked(sheet, blocks, rests)


def _blocks(measure: Measure, quarter: Quarter, by: str, part: str | None, told: bool, column: int) -> Iterable[Block]:
    """Yield the numbers that a fact is in, of one dimension: its cell, or its row and what is left of its column."""
    place = (measure.code, str(quarter), by)
    row = "" if part is None else f"={part}"
    if told:
        yield Block(*place, row, column)
        return
    yield Block(*place, row)
    if column >= 0:
        yield Block(*place, "left", column)


def _tally(found: Iterable[Counted], listed: frozenset[UUID] | set[UUID]) -> Tally:
    every, kept = 0, 0
    for one in found:
        every += 1
        kept += one.order not in listed
    return Tally(every, kept)


def _reasons(
    measure: Measure,
    found: Sequence[Counted],
    shares: Sequence[Share],
    listed: frozenset[UUID] | set[UUID],
    least: int,
) -> tuple[tuple[Share, ...], Mapping[int, int]]:
    """Return why those are unresolved that are, where it is told how many they are and nothing else is counted with them."""
    reasoned = set(measure.reasoned)
    mixed = any(reasoned & set(share.endings) and not reasoned >= set(share.endings) for share in shares)
    if not shares or mixed or not reasoned:
        return (), {}
    told, column_of = _shares(measure.reasons, [(one, one.reason) for one in found if one.reason >= 0], listed, least)
    return tuple(share for share in told if share.count), _without_empty(told, column_of)


def _without_empty(told: Sequence[Share], column_of: Mapping[int, int]) -> Mapping[int, int]:
    """Return the columns as they stand when those that nobody is in are left out."""
    kept = [n for n, share in enumerate(told) if share.count]
    return {reason: kept.index(column) for reason, column in column_of.items() if column in kept}


def _shares(
    named: Sequence[Ending],
    found: Sequence[tuple[Counted, int]],
    listed: frozenset[UUID] | set[UUID],
    least: int,
) -> tuple[tuple[Share, ...], Mapping[int, int]]:
    """Return how all of them came out, and in which column each ending is counted; -1 where none is told."""
    endings = range(max(1, len(named)))
    tallies = {str(n): _tally((one for one, ending in found if ending == n), listed) for n in endings}
    hidden = together(tallies, least)
    apart = [(n,) for n in endings if str(n) not in hidden]
    groups = [*apart, tuple(n for n in endings if str(n) in hidden)] if hidden else apart
    if sum(any(tallies[str(n)].all for n in group) for group in groups) < 2:
        return (), dict.fromkeys(endings, -1)
    shares = tuple(
        Share(
            tuple(named[n].code for n in group),
            "、".join(named[n].title for n in group),
            sum(tallies[str(n)].all for n in group),
        )
        for group in groups
    )
    return shares, {n: column for column, group in enumerate(groups) for n in group}


def _table(
    by: str,
    found: Sequence[Counted],
    column_of: Mapping[int, int],
    columns: int,
    listed: frozenset[UUID] | set[UUID],
    least: int,
) -> tuple[Table, Mapping[str, Sequence[UUID]], Sequence[tuple[str | None, bool]]]:
    """Return the table of one dimension, the parts without a line, and where each fact is: its line, told by outcome."""
    of: dict[str, list[Counted]] = defaultdict(list)
    for one in found:
        of[one.parts[by]].append(one)
    tallies = {part: _tally(some, listed) for part, some in of.items()}
    hidden = together(tallies, least)

    def by_column(some: Iterable[Counted]) -> tuple[Tally, ...]:
        cells: list[list[Counted]] = [[] for _ in range(columns)]
        for one in some:
            if columns:
                cells[column_of[one.ending]].append(one)
        return tuple(_tally(cell, listed) for cell in cells)

    rows = {part: by_column(some) for part, some in of.items() if part not in hidden}
    left = by_column(one for part in hidden for one in of[part])
    told = told_apart(rows, left, least) if columns else frozenset[str]()
    lines = tuple(
        Line(part, tallies[part].all, tuple(cell.all for cell in rows[part]) if part in told else ())
        for part in sorted(rows, key=lambda part: (-tallies[part].all, part))
    )
    rest = {part: [one.order for one in of[part]] for part in hidden}
    places = [(None, False) if one.parts[by] in hidden else (one.parts[by], one.parts[by] in told) for one in found]
    return Table(by=by, lines=lines, rest=sum(map(len, rest.values()))), rest, places


# --- a year ------------------------------------------------------------------------------------------------------


def year_of(
    name: str, quarters: Sequence[tuple[Sheet, Rest]], listed: set[UUID], least: int
) -> tuple[Sheet, Mapping[UUID, Sequence[Block]]]:
    """Return what is told of a measure's year, and the numbers in it that no quarter tells, by order.

    It is the sum of what its four quarters tell, and of each dimension the parts that had no line in any of them.
    """
    sheets = [sheet for sheet, _ in quarters]
    first = sheets[0]
    blank = Sheet(measure=first.measure, title=first.title, english=first.english, count=None, hidden=1)
    counts = [sheet.count for sheet in sheets if sheet.count is not None]
    if len(counts) < len(sheets):
        return blank, {}
    same = len({tuple(share.endings for share in sheet.outcomes) for sheet in sheets}) == 1
    shares = tuple(
        msgspec.structs.replace(share, count=sum(sheet.outcomes[n].count for sheet in sheets))
        for n, share in enumerate(first.outcomes if same else ())
    )
    reasons = _year_reasons(sheets)
    blocks: dict[UUID, list[Block]] = defaultdict(list)
    tables: list[Table] = []
    for n, table in enumerate(first.tables):
        rests = [rest[table.by] for _, rest in quarters]
        made, apart = _year_table([sheet.tables[n] for sheet in sheets], rests, same, listed, least)
        tables.append(made)
        for part, orders in ((part, orders) for rest in rests for part, orders in rest.items()):
            row = f"={part}" if part in apart else ""
            for order in orders if apart else ():
                blocks[order].append(Block(first.measure, name, table.by, row))
    year = msgspec.structs.replace(
        blank, count=sum(counts), outcomes=shares, reasons=reasons, tables=tuple(tables), hidden=0
    )
    return year, blocks


def _year_reasons(sheets: Sequence[Sheet]) -> tuple[Share, ...]:
    """Return the sums of reasons that each quarter tells in the same way."""
    said = [{share.endings: share for share in sheet.reasons} for sheet in sheets]
    if not all(said):
        return ()
    return tuple(
        msgspec.structs.replace(share, count=sum(one[endings].count for one in said))
        for endings, share in said[0].items()
        if all(endings in one for one in said)
    )


def _year_table(
    tables: Sequence[Table], rests: Sequence[Mapping[str, Sequence[UUID]]], same: bool, listed: set[UUID], least: int
) -> tuple[Table, frozenset[str]]:
    """Return the year's table of one dimension, and the parts in it that had no line in any quarter.

    A part told in every quarter is told as their sum. One told in some only is not: the others would be told with it.
    """
    of: dict[str, list[Line]] = defaultdict(list)
    for line in (line for table in tables for line in table.lines):
        of[line.part].append(line)
    lines: list[Line] = []
    for part, some in of.items():
        if len(some) == len(tables):
            whole = same and all(line.outcomes for line in some)
            outcomes = tuple(map(sum, zip(*(line.outcomes for line in some), strict=True))) if whole else ()
            lines.append(Line(part, sum(line.count for line in some), outcomes))
    apart = _never_told(set(of), rests, listed, least)
    lines += [Line(part, one.all) for part, one in apart.items()]
    lines.sort(key=lambda line: (-line.count, line.part))
    every = sum(line.count for table in tables for line in table.lines) + sum(table.rest for table in tables)
    table = Table(by=tables[0].by, lines=tuple(lines), rest=every - sum(line.count for line in lines))
    return table, frozenset(apart)


def _never_told(
    told: set[str], rests: Sequence[Mapping[str, Sequence[UUID]]], listed: set[UUID], least: int
) -> dict[str, Tally]:
    """Return the parts without a line in every quarter whose year is enough, as long as enough of others is left."""
    year: dict[str, Tally] = defaultdict(lambda: _NONE)
    for part, orders in ((part, orders) for rest in rests for part, orders in rest.items() if part not in told):
        kept = sum(order not in listed for order in orders)
        year[part] = _sum((year[part], Tally(len(orders), kept)))
    apart = dict(sorted(((part, one) for part, one in year.items() if not one.small(least)), key=lambda row: row[::-1]))
    while apart and _sum(one for part, one in year.items() if part not in apart).kept < least:
        del apart[next(iter(apart))]  # the smallest goes back to the others
    return apart
