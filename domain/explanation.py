"""时限说明. How a due instant came about: every counted and skipped day, every move, the article behind each."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

import msgspec

from domain.calendar import CalendarYear, DayStep, show_due
from domain.clocks import Clock, Move, Status, Why
from domain.law import Law
from domain.policy import LimitSource
from domain.terms import Citation, ClockName, Limit, LimitUnit, Mark, PolicyRef, Start, Stop

TITLES: dict[LimitUnit, tuple[str, str]] = {
    LimitUnit.MINUTES: ("分钟", "minute(s)"),
    LimitUnit.HOURS: ("小时", "hour(s)"),
    LimitUnit.NATURAL_DAYS: ("个自然日", "natural day(s)"),
    LimitUnit.WORKING_DAYS: ("个工作日", "working day(s)"),
    LimitUnit.MONTHS: ("个月", "month(s)"),
}

_MOVED: dict[Why, Citation] = {
    Why.EXTENSION: Citation(text="延期自原到期日起算", article="R-11"),
    Why.RECLASSIFIED: Citation(text="变更分类不使任何人追溯超期", article="R-33, R-35"),
    Why.SENT_BACK: Citation(text="退回补正期限", article="A-14, 8.9"),
    Why.OUTAGE: Citation(text="系统中断期间评价期顺延至下一工作日结束", article="8.11"),
}


class MoveExplained(msgspec.Struct, frozen=True):
    """One move of the due instant, with the days it counted."""

    at: Mark
    why: Why
    limit: str
    before: datetime
    after: datetime
    steps: tuple[DayStep, ...]
    basis: Citation


class Explanation(msgspec.Struct, frozen=True):
    """时限说明. All that is needed to contest or defend one deadline."""

    clock: ClockName
    key: str
    title: str
    unit: str
    policy: PolicyRef
    article: Citation
    starts: Start
    stops: Stop
    start: Mark
    limit: Limit | None
    limit_words: str
    source: LimitSource
    written: bool  # the limit stands on the instrument, not in the pack
    steps: tuple[DayStep, ...]
    first_due: datetime | None
    moves: tuple[MoveExplained, ...]
    due: datetime | None
    due_words: str
    provisional: bool
    stop: Mark | None
    cancel: Mark | None
    cancelled_by: str
    note: str
    calendars: tuple[Citation, ...]  # the notices of the years that were looked at


@lru_cache(maxsize=4096)
def limit_words(limit: Limit | None) -> str:
    """Say a limit in words: `5个工作日 5 working day(s)`; the instant itself where a person wrote one."""
    if limit is None:
        return "未规定 no figure"
    if limit.until is not None:
        return f"至 until {show_due(limit.until)}"
    if limit.unit is None:
        return str(limit.amount)
    chinese, english = TITLES[limit.unit]
    return f"{limit.amount}{chinese} {limit.amount} {english}"


_due_words = lru_cache(maxsize=65_536)(show_due)


def explain(clock: Clock, law: Law) -> Explanation:
    """Return how `clock` came to fall due when it does; pure, and read with the calendar the clock was read with."""
    end = clock.stop or clock.cancel
    calendar = law.calendar(end.at) if end is not None else law.calendar()
    kernel = clock.rules.kernel
    rule, limit = clock.rule, clock.limit
    steps: tuple[DayStep, ...] = ()
    first_due: datetime | None = None
    if limit is not None:
        steps = calendar.explain(clock.start.at, limit, kernel)
        first_due = steps[-1].ends if steps else None
    moves = tuple(_explain_move(move, law, clock, end) for move in clock.moves)
    notices: tuple[Citation, ...] = ()
    if steps and limit is not None and limit.unit is LimitUnit.WORKING_DAYS:
        looked_at = [steps[0].day.year, steps[-1].day.year, *(s.day.year for move in moves for s in move.steps)]
        years = range(min(looked_at), max(looked_at) + 1)
        notices = tuple(basis for year in years for basis in _notice(calendar.published(year)))
    return Explanation(
        clock=clock.name,
        key=clock.key,
        title=rule.title,
        unit=clock.unit or law.hotline_unit,
        policy=clock.rules.ref,
        article=_article(clock),
        starts=rule.starts,
        stops=rule.stops,
        start=clock.start,
        limit=limit,
        limit_words=limit_words(limit),
        source=rule.source,
        written=limit is not None and limit not in rule.limit.values() and limit not in rule.peak.values(),
        steps=steps,
        first_due=first_due,
        moves=moves,
        due=clock.due,
        due_words=_due_words(clock.due) if clock.due is not None else "",
        provisional=clock.provisional,
        stop=clock.stop,
        cancel=clock.cancel,
        cancelled_by=clock.cancelled_by,
        note=clock.note,
        calendars=notices,
    )


def _article(clock: Clock) -> Citation:
    """Return the words that the figure rests on, where the pack has some for just this class."""
    bases = clock.rule.bases
    if not bases:
        return clock.rule.basis
    keys = [key for key, figure in clock.rule.limit.items() if figure == clock.limit and key in bases]
    keys += [f"{key}@peak" for key, figure in clock.rule.peak.items() if figure == clock.limit]
    return next((bases[key] for key in keys if key in bases), clock.rule.basis)


def _notice(year: CalendarYear | None) -> tuple[Citation, ...]:
    return year.basis if year is not None else ()


def _explain_move(move: Move, law: Law, clock: Clock, end: Mark | None) -> MoveExplained:
    calendar = law.calendar(end.at) if end is not None else law.calendar()
    kernel = clock.rules.kernel
    explain_days = calendar.explain_extension if move.anchored_at_due else calendar.explain
    return MoveExplained(
        at=move.at,
        why=move.why,
        limit=limit_words(move.limit),
        before=move.before,
        after=move.after,
        steps=explain_days(move.counted_from, move.limit, kernel),
        basis=_MOVED[move.why],
    )


STATUS_WORDS: dict[Status, tuple[str, str]] = {
    Status.RUNNING: ("计时中", "running"),
    Status.PENDING_EXTENSION: ("延期审批中", "extension pending"),
    Status.OVERDUE: ("已超期", "overdue"),
    Status.ON_TIME: ("按时", "on time"),
    Status.LATE: ("超期完成", "late"),
    Status.CANCELLED: ("已取消", "cancelled"),
    Status.CANCELLED_LATE: ("取消前已超期", "late before it was cancelled"),
    Status.LAPSED: ("期满", "lapsed"),
    Status.MEASURED: ("仅计时", "measured only"),
}
"""计时状态 as people read it: Chinese, English."""
