"""时限说明. How a due instant came about: every counted and skipped day, every move, the article behind each."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import assert_never

import msgspec

from domain.calendar import CalendarYear, DayStep, show_due
from domain.clocks import Clock, Move, Status, Why
from domain.law import Law
from domain.policy import LimitSource, figure_of
from domain.terms import Citation, ClockName, Limit, LimitUnit, Mark, PolicyRef, Start, Stop

TITLES: dict[LimitUnit, tuple[str, str]] = {
    LimitUnit.MINUTES: ("分钟", "minute(s)"),
    LimitUnit.HOURS: ("小时", "hour(s)"),
    LimitUnit.NATURAL_DAYS: ("个自然日", "natural day(s)"),
    LimitUnit.WORKING_DAYS: ("个工作日", "working day(s)"),
    LimitUnit.MONTHS: ("个月", "month(s)"),
}

_MOVED: dict[Why, str] = {
    Why.EXTENSION: "R-11: 自原到期日起算 counted from the old due day",
    Why.RECLASSIFIED: "R-33, R-35: 变更分类不使任何人追溯超期 nobody becomes late retroactively",
    Why.SENT_BACK: "A-14, 8.9: 退回补正期限 time for correction",
    Why.OUTAGE: "8.11: 系统中断期间评价期顺延至下一工作日结束 extended to the end of the next working day",
    Why.LEAD_MOVED: "A-08, R-35: 主办到期提前，协办随之 the lead's due came nearer",
}
"""What each kind of move rests on beside the words of the pack or of the instrument that made it."""

CAUSES: dict[str, tuple[str, str]] = {
    # what began it
    "registration": ("登记", "registered"),
    "return": ("退单获准", "a return was approved"),
    "ruling": ("裁定改派", "ruled for another unit"),
    "reopening": ("重新办理", "reopened"),
    "split": ("拆分", "split off"),
    "unmerge": ("取消并单", "unmerged"),
    "recall": ("撤回派单", "the dispatch was recalled"),
    "reclassification": ("变更分类", "reclassified"),
    # what stopped it
    "dispatched": ("派单", "dispatched"),
    "direct": ("直接答复", "answered directly"),
    "refused": ("不予受理", "not accepted"),
    "merged": ("并单", "merged"),
    "duplicate": ("重复诉求关联", "linked as a duplicate"),
    "duplicate_linked": ("重复诉求关联", "linked as a duplicate"),
    "referred": ("告知应找单位", "referred elsewhere"),
    "handed_over": ("紧急移交", "handed over as an emergency"),
    "transferred": ("转出或转派", "passed on"),
    "own_handling": ("自办", "handled by itself"),
    "return_requested": ("申请退单", "a return was requested"),
    "reply": ("答复", "replied"),
    "informed": ("告知诉求人", "the applicant was told"),
    "published": ("答复即告知或公布", "told or published with the reply"),
    # what cancelled it
    "returned": ("退单", "returned"),
    "recalled": ("撤回", "recalled"),
    "ruled": ("裁定", "ruled"),
    "redo": ("重办", "redo ordered"),
    "sent_back": ("退回补正", "sent back for correction"),
    "closed": ("办结", "closed"),
    "withdrawn": ("撤回", "withdrawn"),
    "return_withdrawn": ("撤回退单申请", "the request was withdrawn"),
    "superseded": ("另行派单", "dispatched anew"),
    "removed": ("取消协办", "removed as a co-organizer"),
    "unmerged": ("取消并单", "unmerged"),
    "escalated": ("升级督办", "escalated"),
}
"""What began, stopped or cancelled a clock, where the rule's own word does not say it: Chinese, English."""


def cause_words(code: str) -> str:
    """Say a cause in both languages; a word that the table lacks stands for itself."""
    known = CAUSES.get(code)
    return " ".join(known) if known is not None else code


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
    starts: Start  # the rule's words
    stops: Stop
    began: str  # what really started and stopped it, where the rule's words do not say just that
    ended: str
    start: Mark
    limit: Limit | None
    limit_words: str
    source: LimitSource  # where the limit really comes from
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
    during_outage: bool
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
    rule, limit, source = clock.rule, clock.limit, _source(clock)
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
        article=article_of(clock),
        starts=rule.starts,
        stops=rule.stops,
        began=clock.began,
        ended=clock.ended,
        start=clock.start,
        limit=limit,
        limit_words=limit_words(limit),
        source=source,
        written=source is LimitSource.WRITTEN,
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
        during_outage=clock.during_outage,
        calendars=notices,
    )


def _source(clock: Clock) -> LimitSource:
    """Return where a limit comes from: as the clock was told, else as its rule says it."""
    if clock.source is not None:
        return clock.source
    rule, limit = clock.rule, clock.limit
    if limit is None:
        return LimitSource.MEASURED if rule.source is LimitSource.FIGURE else rule.source
    if rule.tolerance is not None and limit == rule.tolerance:
        of_class = clock.rules.classes.get(clock.of_class)
        figure = figure_of(rule.limit, of_class) if of_class is not None else None
        if figure is not None and figure.amount == 0:
            return LimitSource.TOLERANCE
    return LimitSource.FIGURE if rule.source in (LimitSource.REQUIRED, LimitSource.MEASURED) else rule.source


def article_of(clock: Clock) -> Citation:
    """Return the words that the figure rests on, where the pack has some for just this class."""
    return _basis(clock, clock.of_class) if clock.rule.bases and clock.source is None else clock.rule.basis


def _basis(clock: Clock, name: str) -> Citation:
    of_class = clock.rules.classes.get(name)
    found = clock.rules.basis(clock.name, of_class, peak=clock.peak) if of_class is not None else None
    return found or clock.rule.basis


def _moved_by(move: Move, clock: Clock) -> Citation:
    """Return what a move rests on: its own instrument, else the pack's words; our reading of them is the note."""
    match move.why:
        case Why.EXTENSION:
            found = clock.rules.bases.get("extension", clock.rule.basis)
        case Why.RECLASSIFIED:
            found = _basis(clock, move.of_class)
        case Why.SENT_BACK:
            found = clock.rules.bases.get("sent_back_due", clock.rule.basis)
        case Why.OUTAGE | Why.LEAD_MOVED:
            found = move.basis or clock.rule.basis
        case _:
            assert_never(move.why)
    reading = _MOVED[move.why]
    return msgspec.structs.replace(found, note=f"{found.note}; {reading}" if found.note else reading)


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
        basis=_moved_by(move, clock),
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
