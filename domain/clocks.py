"""时钟. Every duty of a case that falls due, derived from its marks and the law; nothing here is stored.

`clocks(order, law)` is the complete list (8.4); a due instant is a function of events and law, so it can be asked
again under another calendar or another pack. How each one came about is told by `domain.explanation`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from domain.calendar import Calendar, Due, due_day
from domain.law import Law
from domain.policy import ClassRule, ClockRule, LimitSource, Plan, Rules
from domain.state import Assignment, ClassChange, Episode, Extension, Merge, Notice, Reply, Wait, WorkOrder
from domain.terms import (
    AssignmentRole,
    AssignmentState,
    Citation,
    ClockName,
    DispatchType,
    EvaluationSource,
    Limit,
    LimitUnit,
    Mark,
    Rating,
    Start,
)
from domain.units import day_of, day_start

WINDOWS = frozenset({ClockName.EVAL_WINDOW, ClockName.CLOSE_AFTER, ClockName.SEAL, ClockName.APPEAL, ClockName.REVISIT})
"""Clocks that open a right or bring an effect: their lapse is nobody's breach."""

HANDLING = frozenset(
    {
        ClockName.DISPATCH,
        ClockName.SIGN,
        ClockName.TRANSFER,
        ClockName.RETURN,
        ClockName.RETURN_REVIEW,
        ClockName.INIT_RESPONSE,
        ClockName.PROGRESS,
        ClockName.HANDLE,
        ClockName.STATUTORY,
        ClockName.EXTERNAL,
        ClockName.CO_REPLY,
        ClockName.EXTENSION_DECISION,
        ClockName.INFORM_EXTENSION,
        ClockName.CORRECTION,
        ClockName.EVAL_WINDOW,
        ClockName.CLOSE_AFTER,
        ClockName.REVISIT,
        ClockName.ARRIVE_SITE,
        ClockName.SITE_RECORD,
        ClockName.WHISTLE,
    }
)
"""Clocks that closing the order cancels; the others run on (8.4)."""


# Bound once: looking a member up on its Enum costs more than a whole step of a clock's derivation.
_APPEAL: Final = ClockName.APPEAL
_APPEAL_DECISION: Final = ClockName.APPEAL_DECISION
_ARRIVE_SITE: Final = ClockName.ARRIVE_SITE
_CITIZEN_REPLY: Final = ClockName.CITIZEN_REPLY
_CLOSE_AFTER: Final = ClockName.CLOSE_AFTER
_CORRECTION: Final = ClockName.CORRECTION
_CO_REPLY: Final = ClockName.CO_REPLY
_DISPATCH: Final = ClockName.DISPATCH
_EVAL_WINDOW: Final = ClockName.EVAL_WINDOW
_EXTENSION_DECISION: Final = ClockName.EXTENSION_DECISION
_EXTERNAL: Final = ClockName.EXTERNAL
_FOLLOW_UP: Final = ClockName.FOLLOW_UP
_HANDLE: Final = ClockName.HANDLE
_INFORM_EXTENSION: Final = ClockName.INFORM_EXTENSION
_INIT_RESPONSE: Final = ClockName.INIT_RESPONSE
_INSTRUCTION: Final = ClockName.INSTRUCTION
_PROGRESS: Final = ClockName.PROGRESS
_RETURN: Final = ClockName.RETURN
_RETURN_REVIEW: Final = ClockName.RETURN_REVIEW
_REVISIT: Final = ClockName.REVISIT
_SEAL: Final = ClockName.SEAL
_SIGN: Final = ClockName.SIGN
_SITE_RECORD: Final = ClockName.SITE_RECORD
_STATUTORY: Final = ClockName.STATUTORY
_SUPV_REPLY: Final = ClockName.SUPV_REPLY
_TRANSFER: Final = ClockName.TRANSFER
_WHISTLE: Final = ClockName.WHISTLE
_LEAD: Final = AssignmentRole.LEAD
_ORDINARY: Final = DispatchType.ORDINARY
_CO: Final = AssignmentRole.CO
_SUPERVISING: Final = AssignmentRole.SUPERVISING
_DEEMED: Final = EvaluationSource.DEEMED
_NOT_RATED: Final = Rating.NOT_RATED
_FROM_DISPATCH: Final = Start.DISPATCH
_WRITTEN: Final = LimitSource.WRITTEN
_RELATIVE: Final = LimitSource.RELATIVE


class Why(StrEnum):
    """What moved a due instant."""

    EXTENSION = "extension"  # 延期同意
    RECLASSIFIED = "reclassified"  # 变更分类
    SENT_BACK = "sent_back"  # 退回补正
    OUTAGE = "outage"  # 系统中断
    LEAD_MOVED = "lead_moved"  # 随主办提前


class Move(msgspec.Struct, frozen=True):
    """顺延. One change of a running clock's due instant, and what it was counted from."""

    at: Mark
    why: Why
    before: datetime
    after: datetime
    counted_from: datetime
    limit: Limit
    anchored_at_due: bool = False  # counted from the old due day, not from an instant
    of_class: str = ""  # the class whose figure it brought
    basis: Citation | None = None  # where the move has an instrument of its own


class Status(StrEnum):
    """计时状态, as seen at an instant."""

    RUNNING = "running"  # 计时中
    PENDING_EXTENSION = "pending_extension"  # 延期审批中: past the old due, not counted overdue
    OVERDUE = "overdue"  # 已超期
    ON_TIME = "on_time"  # 按时
    LATE = "late"  # 超期完成
    CANCELLED = "cancelled"  # 已取消, excluded
    CANCELLED_LATE = "cancelled_late"  # 取消前已超期: the breach stays (K15)
    LAPSED = "lapsed"  # 期满: a window closed, an effect is due
    MEASURED = "measured"  # 仅计时: the rule text gives no figure


class Clock(msgspec.Struct, frozen=True, gc=False):
    """时钟. One clock of one case. `due` is None where the rule text gives no figure.

    `key` tells it from its sisters: e2 (episode 2), e2.a1 (its assignment 1), r3 (reply 3), n1.2 (notice 1, turn 2).
    """

    name: ClockName
    key: str
    unit: str  # whose duty; empty: the hotline centre's
    start: Mark
    limit: Limit | None
    due: datetime | None
    rule: ClockRule
    rules: Rules
    stop: Mark | None = None
    cancel: Mark | None = None
    cancelled_by: str = ""
    moves: tuple[Move, ...] = ()
    provisional: bool = False
    grace: datetime | None = None  # a pending extension keeps it from counting as overdue until then (8.9)
    note: str = ""
    of_class: str = ""  # the class whose figure the limit is
    peak: bool = False  # the figure for those registered in a peak
    source: LimitSource | None = None  # where the limit comes from, where not from the rule
    began: str = ""  # what really started and stopped it, where the rule's own word does not say it: a word of
    ended: str = ""  # `explanation.CAUSES`, as is `cancelled_by`
    during_outage: bool = False  # it falls due inside an outage of whoever bears it (8.11)

    @property
    def running(self) -> bool:
        """Tell whether it still runs."""
        return self.stop is None and self.cancel is None

    def breached(self, now: datetime) -> bool:
        """Tell whether the duty was, or is at `now`, late (K5: t > due); the lapse of a window is no breach."""
        due = self.due
        if due is None or self.name in WINDOWS:
            return False
        if self.stop is not None:
            return self.stop.at > due
        if self.name is ClockName.RETURN:
            return False  # a right not used in time is lost, not late
        if self.cancel is not None:
            return self.cancel.at > due
        return now > due and not (self.grace is not None and now <= self.grace)

    def late_by(self, now: datetime) -> timedelta | None:
        """Return how late it was, or is at `now`; None if it is not."""
        if not self.breached(now) or self.due is None:
            return None
        end = self.stop or self.cancel
        return (end.at if end is not None else now) - self.due

    def status(self, now: datetime) -> Status:
        """Return its state as seen at `now`."""
        if self.stop is not None:
            if self.due is None:
                return Status.MEASURED
            if self.stop.at <= self.due:
                return Status.ON_TIME
            return Status.LAPSED if self.name in WINDOWS else Status.LATE  # what a window's end brings comes after it
        window = self.name in WINDOWS or self.name is ClockName.RETURN
        if self.cancel is not None:
            if window and self.due is not None and self.cancel.at > self.due:
                return Status.LAPSED
            return Status.CANCELLED_LATE if self.breached(now) else Status.CANCELLED
        if self.due is None:
            return Status.MEASURED
        if now <= self.due:
            return Status.RUNNING
        if window:
            return Status.LAPSED
        return Status.PENDING_EXTENSION if self.grace is not None and now <= self.grace else Status.OVERDUE


class _Case:
    """One order under one law while its clocks are derived: what every clock function reads and appends to."""

    __slots__ = ("changes", "closures", "found", "kernel", "known", "law", "newest", "order", "rules", "since", "until")

    def __init__(self, order: WorkOrder, law: Law, rules: Rules) -> None:
        self.order = order
        self.law = law
        self.rules = rules
        self.kernel = rules.kernel
        self.newest = law.calendars.newest
        # The calendar known when a clock ended, and the span in which it was: a case's clocks mostly share one.
        self.since: datetime = law.calendars.last_cut
        self.until: datetime | None = None
        self.known = self.newest
        self.changes = order.changes
        filing = order.filing
        # Every closure, also those undone since: a clock of an earlier round ended with the closure of that round.
        self.closures: tuple[Mark, ...] = ()
        if filing.closures:
            self.closures = tuple([at for at, _ in filing.closures])
        elif filing.closed is not None:
            self.closures = (filing.closed,)
        self.found: list[Clock] = []

    def closed_after(self, moment: Mark) -> Mark | None:
        """Return the first closure from a moment on."""
        for at in self.closures:
            if at >= moment:
                return at
        return None

    def calendar(self, end: Mark | None) -> Calendar:
        """Return the calendar a clock is read with: the newest, or the one known when it ended (K11)."""
        if end is None:
            return self.newest
        at = end[0]
        if at < self.since or (self.until is not None and at >= self.until):
            self.since, self.until, self.known = self.law.calendars.window(at)
        return self.known

    def make(
        self,
        rule: ClockRule,
        key: str,
        unit: str,
        start: Mark,
        limit: Limit | None,
        stop: Mark | None = None,
        cancel: Mark | None = None,
        cancelled_by: str = "",
        of_class: str = "",
        source: LimitSource | None = None,
        began: str = "",
        ended: str = "",
    ) -> Clock:
        """Return a clock as it stands before anything moved it; what stopped a clock leaves nothing to cancel."""
        if stop is not None or cancel is None:
            end, cancel, cancelled_by = stop, None, ""
        else:
            end = cancel
        at, provisional = None, False
        if limit is not None:
            due = (self.newest if end is None else self.calendar(end)).due(start[0], limit, self.kernel)
            at, provisional = due.at, due.provisional
        return Clock(
            rule.name,
            key,
            unit,
            start,
            limit,
            at,
            rule,
            self.rules,
            stop,
            cancel,
            cancelled_by,
            (),
            provisional,
            None,
            "",
            of_class,
            False,
            source,
            began,
            ended if stop is not None else "",
        )

    def add(
        self,
        rule: ClockRule,
        key: str,
        unit: str,
        start: Mark,
        limit: Limit | None,
        stop: Mark | None = None,
        cancel: Mark | None = None,
        cancelled_by: str = "",
        of_class: str = "",
        source: LimitSource | None = None,
        began: str = "",
        ended: str = "",
    ) -> None:
        """Add a clock that nothing moves."""
        made = self.make(rule, key, unit, start, limit, stop, cancel, cancelled_by, of_class, source, began, ended)
        self.found.append(made)


# --- waiting for the hotline -------------------------------------------------------------------------------------


def _class_at(case: _Case, moment: Mark) -> ClassRule | None:
    """Return the class the order had at a moment."""
    if not case.changes:
        return case.rules.class_of(case.order.attributes)
    attributes = case.order.demand.attributes
    for change in case.changes:
        if change.at <= moment:
            attributes = change.after
    return case.rules.class_of(attributes)


def _class_then(case: _Case, episode: Episode, of_class: ClassRule, moment: Mark) -> ClassRule:
    """Return the class at a clock's own start: the episode's, unless the order was reclassified since."""
    if not case.changes:
        return of_class
    for change in case.changes:
        if episode.begun < change.at <= moment:
            of_class = case.rules.class_of(change.after) or of_class
    return of_class


def _dispatch(case: _Case) -> None:
    for number, wait in enumerate(case.order.waits, 1):
        of_class = _class_at(case, wait.since)
        ruled = case.rules.plan(of_class).get(_DISPATCH) if of_class is not None else None
        if of_class is None or ruled is None or wait.by == "derived":
            continue  # a dispatch that the source lacks says nothing of the hotline's time (8.15)
        rule, limit = ruled
        # R-01 asks where the registration lies, whichever wait it is: of a later dispatch too.
        peak = case.order.demand.peak or _in_any_peak(case, wait, limit)
        if peak:
            limit = case.rules.limit(_DISPATCH, of_class, peak=True)
        stop, cancel = (None, wait.until) if wait.cancelled else (wait.until, None)
        name, began = of_class.name, wait.cause if number > 1 else ""
        clock = case.make(rule, f"w{number}", "", wait.since, limit, stop, cancel, wait.by, name, None, began, wait.by)
        if peak:
            clock = msgspec.structs.replace(clock, peak=True)
        case.found.append(_moved(case, clock) if case.changes else clock)


def _in_any_peak(case: _Case, wait: Wait, limit: Limit | None) -> bool:
    """Tell whether the wait meets a peak, where a city counts any overlap; else registration alone decides (R-01)."""
    if limit is None or not case.law.peaks or case.rules.options.peak_basis != "any_overlap":
        return False
    due = case.calendar(wait.until).due(wait.since.at, limit, case.kernel).at
    return case.law.peak_during(wait.since.at, min(due, wait.until.at) if wait.until is not None else due)


# --- handling ----------------------------------------------------------------------------------------------------


def _between(changes: Iterable[ClassChange], start: Mark, end: Mark | None) -> list[ClassChange]:
    return [c for c in changes if c.at > start and (end is None or c.at <= end)]


def _shortened(
    case: _Case, clock: Clock, calendar: Calendar, change: ClassChange, new: ClassRule, limit: Limit
) -> tuple[Due, datetime]:
    """Return when `clock` falls due under a shorter class from `change` on, and what that is counted from.

    Nobody becomes late retroactively (R-35): where the limit had ended before the change, it is counted from the change.
    """
    if not (new.by_the_clock or limit.in_hours):
        from_start = calendar.due(clock.start.at, limit, case.kernel)
        if from_start.at >= change.at.at:
            return from_start, clock.start.at
    return calendar.due(change.at.at, limit, case.kernel), change.at.at


def _moved(
    case: _Case, clock: Clock, extensions: Sequence[Extension] = (), *, figure: ClockName | None = None
) -> Clock:
    """Return `clock` with every change of class and every extension applied, in the order they happened.

    `figure` names the clock whose figure it has, where that is not its own. A class that gives more time does not
    lengthen a limit that a person wrote: what is written on the instrument prevails (8.14).
    """
    if clock.due is None or not (case.changes or extensions):
        return clock
    end = clock.stop or clock.cancel
    calendar = case.calendar(end)
    happened: list[tuple[Mark, ClassChange | Extension]] = [(c.at, c) for c in _between(case.changes, clock.start, end)]
    happened += [(x.decided, x) for x in extensions if x.approved and x.decided is not None]
    due, provisional, moves = clock.due, clock.provisional, list(clock.moves)
    granted: list[Limit] = []
    for at, what in sorted(happened, key=lambda pair: pair[0]):
        if isinstance(what, Extension):
            granted.append(Limit(amount=what.days, unit=LimitUnit(case.rules.options.extension_unit)))
            move, unsure = _extended(case, calendar, at, due, granted[-1])
            moves.append(move)
            due, provisional = move.after, provisional or unsure
            continue
        new = case.rules.class_of(what.after)
        limit = case.rules.limit(figure or clock.name, new, peak=clock.peak) if new is not None else None
        if new is None or limit is None or (what.lengthens and (at.at > due or clock.source is _WRITTEN)):
            continue  # what was late before is not cured by relabelling
        if what.lengthens:
            moved, counted_from = calendar.due(clock.start.at, limit, case.kernel), clock.start.at
        else:
            moved, counted_from = _shortened(case, clock, calendar, what, new, limit)
        made = [Move(at, Why.RECLASSIFIED, due, moved.at, counted_from, limit, False, new.name)]
        unsure = moved.provisional
        # A class in days takes back no extension that was approved; one by the hour does: min(old due, t + limit).
        for added in granted if not (what.lengthens or new.by_the_clock or limit.in_hours) else ():
            move, more = _extended(case, calendar, at, made[-1].after, added)
            made.append(move)
            unsure = unsure or more
        after = made[-1].after
        if after > due if what.lengthens else after < due:
            moves += made
            due, provisional = after, unsure
    return msgspec.structs.replace(clock, due=due, moves=tuple(moves), provisional=provisional)


def _extended(case: _Case, calendar: Calendar, at: Mark, due: datetime, added: Limit) -> tuple[Move, bool]:
    """Return the move by an extension, counted from the old due day (R-11), and whether it is provisional."""
    moved = calendar.extend(due, added, case.kernel)
    return Move(at, Why.EXTENSION, due, moved.at, due, added, anchored_at_due=True), moved.provisional


def _limit(case: _Case, episode: Episode, name: ClockName, start: Mark, limit: Limit | None) -> Limit | None:
    """Return the limit of a clock: one that the dispatch wrote where it is shorter, or where the rules give none."""
    said = episode.limits.get(name)
    if said is None or limit is None:
        return limit if said is None else said
    due = case.calendar(start).due  # as whoever wrote it could count: no later notice makes the other one bind
    return said if due(start.at, said, case.kernel).at < due(start.at, limit, case.kernel).at else limit


def _answered(case: _Case, replies: Iterable[Reply]) -> tuple[Mark | None, Mark | None]:
    """Return what stopped handling: the first reply not sent back, and its informing where the pack asks for it.

    The second mark is the informing, where it was the later of the two.
    """
    to_hotline = case.rules.options.handle_stop == "reply_to_hotline"
    for reply in replies:
        if reply.accepted is False:
            continue
        if to_hotline:
            return reply.submitted, None
        told = reply.counted_informed
        if told is not None:
            return (told, told) if told > reply.submitted else (reply.submitted, None)
    return None, None


def _ended(episode: Episode, *, replied: bool) -> Mark | None:
    """Return what cancels the episode's clocks; closure does so only where no reply exists (8.3)."""
    if episode.ended is None or (replied and episode.ended_as == "closed"):
        return None
    return episode.ended


def _handle(
    case: _Case,
    episode: Episode,
    of_class: ClassRule,
    plan: Plan,
    stop: Mark | None,
    cancel: Mark | None,
    told: Mark | None = None,
) -> Clock | None:
    ruled = plan.get(_HANDLE)
    if ruled is None or not episode.lead or not episode.reply_required:
        return None
    rule, limit = ruled
    source = None
    if episode.limits and _HANDLE in episode.limits:
        limit, source = episode.limits[_HANDLE], _WRITTEN  # a limit written on the dispatch prevails (8.14)
    clock = case.make(
        rule,
        f"e{episode.no}",
        episode.lead,
        episode.begun,
        limit,
        stop,
        cancel,
        episode.ended_as,
        of_class.name,
        source,
        "reopening" if episode.reopened else "",
        "reply" if told is None or stop is not told else "informed",
    )
    if case.changes or episode.extensions:
        clock = _moved(case, clock, episode.extensions)
        pending = next((x for x in episode.extensions if x.pending), None)
        # Where the decision must come before the due instant, waiting for it excuses nobody (R-13, T48).
        if pending is not None and clock.due is not None and case.rules.options.extension_decision != "before_due":
            asked = _class_then(case, episode, of_class, pending.requested)
            clock = msgspec.structs.replace(clock, grace=max(clock.due, _decision_due(case, asked, pending)))
    if case.rules.options.sent_back_due == "correction":
        clock = _after_sending_back(case, clock, episode, of_class)
    return clock


def _decision_due(case: _Case, of_class: ClassRule, extension: Extension) -> datetime:
    limit = case.rules.limit(_EXTENSION_DECISION, of_class)
    if limit is None:
        return extension.requested.at
    return case.newest.due(extension.requested.at, limit, case.kernel).at


def _after_sending_back(case: _Case, clock: Clock, episode: Episode, of_class: ClassRule) -> Clock:
    """Return `clock` with the time that a reply sent back gives again, where the pack chose so (8.9)."""
    limit = case.rules.limit(_CORRECTION, of_class)
    calendar = case.calendar(clock.stop or clock.cancel)
    for reply in case.order.replies:
        if limit is None or clock.due is None or reply.episode != episode.no:
            continue
        if reply.accepted is False and reply.reviewed is not None:
            again = calendar.due(reply.reviewed.at, limit, case.kernel)
            if again.at > clock.due:
                move = Move(reply.reviewed, Why.SENT_BACK, clock.due, again.at, reply.reviewed.at, limit)
                clock = msgspec.structs.replace(clock, due=again.at, moves=(*clock.moves, move))
    return clock


def _co_reply(
    case: _Case, rule: ClockRule, episode: Episode, co: Assignment, of_class: ClassRule, lead: Clock | None
) -> None:
    """CO_REPLY: the limit written for it, the lead's less A-08, or that of the order where the hotline leads (8.3)."""
    begun = co.since or co.given  # handed on inside an organizer, the same duty runs on
    stop, end = co.opinion, co.ended or episode.ended
    key, cause = f"e{episode.no}.a{co.no}", _cause(episode, co)
    name = of_class.name

    def made(limit: Limit | None, source: LimitSource, of: str = "") -> Clock:
        return case.make(rule, key, co.unit, begun, limit, stop, end if stop is None else None, cause, of, source)

    if lead is None and episode.led_by_hotline:
        written = co.limit or episode.limits.get(_HANDLE)
        limit = written or case.rules.limit(_HANDLE, _class_then(case, episode, of_class, begun))
        clock = _moved(case, made(limit, _WRITTEN if written is not None else _RELATIVE, name), figure=_HANDLE)
        note = "热线牵头：适用该件办理时限 the order's limit, since the hotline leads" if co.limit is None else ""
        case.found.append(msgspec.structs.replace(clock, note=note) if note else clock)
        return
    if lead is None or lead.due is None:
        if lead is None and not episode.reply_required and co.limit is None:
            return  # who is asked for no reply needs no opinion for it (S2-25)
        case.found.append(made(co.limit, _WRITTEN if co.limit is not None else _RELATIVE))
        return
    ended = stop or end
    if case.calendar(ended) is not case.calendar(lead.stop or lead.cancel):
        # The lead's as this clock is to be read: with the newest calendar, or with that known at its end (K11).
        again = _handle(case, episode, of_class, case.rules.plan(of_class), None, ended)
        lead = lead if again is None else again
    assert lead.due is not None
    first = lead.moves[0].before if lead.moves else lead.due
    lead_due = next((m.after for m in reversed(lead.moves) if m.at <= begun), first)
    if co.limit is not None:
        clock, note = made(co.limit, _WRITTEN), ""
    else:
        ahead, note = _ahead(case, ended, lead_due, lead.start.at, begun, _class_then(case, episode, of_class, begun))
        clock = made(Limit(until=ahead.at), _RELATIVE)
        clock = msgspec.structs.replace(clock, provisional=ahead.provisional or lead.provisional, note=note)
    case.found.append(_drawn_along(case, clock, episode, of_class, lead, lead_due) if lead.moves else clock)


def _ahead(
    case: _Case, end: Mark | None, lead_due: datetime, since: datetime, known: Mark, of_class: ClassRule
) -> tuple[Due, str]:
    """Return when a co-organizer owes its opinion for a due instant of the lead's (A-08), and the words for it.

    Where that lies before it could know of it, it has as long as the lead: nobody is late before being asked.
    """
    options = case.rules.options
    if of_class.by_the_clock:
        ahead = Due(since + (lead_due - since) * options.co_lead_share / 100)
        note = f"主办时限的{options.co_lead_share}% {options.co_lead_share}% of the lead's limit (A-08)"
    else:
        days = Limit(amount=options.co_lead_days, unit=LimitUnit.WORKING_DAYS)
        ahead = case.calendar(end).before(lead_due, days, case.kernel)
        number = options.co_lead_days
        note = f"主办到期前{number}个工作日 {number} working day(s) before the lead's due (A-08)"
    if ahead.at > known.at:
        return ahead, note
    return Due(max(lead_due, known.at)), "加入过晚，与主办同时到期 the lead's own due: too late for A-08"


def _drawn_along(
    case: _Case, clock: Clock, episode: Episode, of_class: ClassRule, lead: Clock, lead_due: datetime
) -> Clock:
    """Return a co-organizer's clock as the lead's due drew it nearer: an opinion after the reply serves nobody.

    What moves the lead's due later does not move the co-organizer's, whose breach stays its own (2.9, R-32).
    """
    due, moves, end = clock.due, list(clock.moves), clock.stop or clock.cancel
    for move in lead.moves:
        if move.at <= clock.start or move.after >= lead_due or (end is not None and move.at > end):
            continue
        lead_due = move.after
        new = _class_then(case, episode, of_class, move.at)
        ahead, note = _ahead(case, end, lead_due, move.counted_from, move.at, new)
        if due is not None and ahead.at < due:
            limit = Limit(until=ahead.at)
            moves.append(Move(move.at, Why.LEAD_MOVED, due, ahead.at, move.counted_from, limit))
            due = ahead.at
            clock = msgspec.structs.replace(
                clock, due=due, moves=tuple(moves), provisional=ahead.provisional, note=note
            )
    return clock


def _cause(episode: Episode, a: Assignment) -> str:
    """Return the word for what ended an assignment: the end of its episode, or its own."""
    if a.ended is None or a.ended == episode.ended:
        return episode.ended_as
    if a.state is AssignmentState.TRANSFERRED:
        return "transferred"
    return "returned" if a.state is AssignmentState.RETURNED else "removed"


def _assignments(case: _Case, episode: Episode, of_class: ClassRule, plan: Plan, lead: Clock | None) -> None:
    """SIGN of every organizer, CO_REPLY of every co-organizer."""
    sign, co_reply = plan.get(_SIGN), plan.get(_CO_REPLY)
    for a in episode.assignments:
        if a.role is _SUPERVISING or (sign is None and a.role is _LEAD and not case.changes):
            continue
        if case.changes and a.given != episode.begun:
            of_then = _class_then(case, episode, of_class, a.given)
            sign = case.rules.plan(of_then).get(_SIGN)
        else:
            of_then = of_class
        if sign is not None and not (a.implied and a.signed == a.given):  # taken over: there was nothing to sign for
            _sign(case, episode, a, of_then, sign)
        if a.role is _CO and co_reply is not None:
            _co_reply(case, co_reply[0], episode, a, of_class, lead)


def _sign(
    case: _Case, episode: Episode, a: Assignment, of_class: ClassRule, ruled: tuple[ClockRule, Limit | None]
) -> None:
    rule, figure = ruled
    limit = _limit(case, episode, _SIGN, a.given, figure) if episode.limits else figure
    end = a.ended or episode.ended
    passed_on = end if a.state == "transferred" and a.signed is None else None
    stop = a.signed or passed_on  # passing an unsigned order on stops the first unit's signing (8.4)
    clock = case.make(
        rule,
        f"e{episode.no}.a{a.no}",
        a.unit,
        a.given,
        limit,
        stop,
        end if stop is None else None,
        _cause(episode, a) if stop is None else "",
        of_class.name,
        None if limit is figure else _WRITTEN,
        "transferred" if a.transferred_from is not None else "",
        "" if a.signed is not None else "transferred",
    )
    case.found.append(_moved(case, clock) if case.changes else clock)


def _response(
    case: _Case, episode: Episode, of_class: ClassRule, name: ClockName, said: Sequence[Mark], replied: Mark | None
) -> None:
    """INIT_RESPONSE or PROGRESS; a class that brings it later starts it at the reclassification (R-35).

    Begun by a raised class, it waits for what is said from then on: what was said about the lower class does not do.
    """
    # Reopening starts HANDLE and nothing else (8.4).
    ruled, start = None if episode.reopened else case.rules.plan(of_class).get(name), episode.begun
    if ruled is None and name in episode.limits and not episode.reopened:
        ruled = case.rules.clocks[name], None
    began, over = "", _first(replied, episode.ended)
    if ruled is None:
        for change in _between(case.changes, episode.begun, over):
            raised = case.rules.class_of(change.after)
            ruled = case.rules.plan(raised).get(name) if raised is not None else None
            if ruled is not None and raised is not None:
                start, began, of_class = change.at, "reclassification", raised
                break
    if ruled is None:
        return
    rule, figure = ruled
    limit = _limit(case, episode, name, start, figure) if episode.limits else figure
    done = next((mark for mark in said if mark >= start), None)
    stop = _first(done, replied)
    clock = case.make(
        rule,
        f"e{episode.no}",
        episode.lead,
        start,
        limit,
        stop,
        episode.ended,
        episode.ended_as,
        of_class.name,
        None if limit is figure else _WRITTEN,
        began,
        "" if stop is done else "reply",
    )
    case.found.append(_moved(case, clock) if case.changes else clock)


def _first(*marks: Mark | None) -> Mark | None:
    first: Mark | None = None
    for mark in marks:
        if mark is not None and (first is None or mark < first):
            first = mark
    return first


def _return_reviews(case: _Case, episode: Episode, of_class: ClassRule) -> None:
    for r in episode.returns:
        asked = _class_then(case, episode, of_class, r.requested)
        ruled = case.rules.plan(asked).get(_RETURN_REVIEW)
        if ruled is not None:
            rule, limit = ruled
            cancel, cause = r.withdrawn or episode.ended, "return_withdrawn" if r.withdrawn else episode.ended_as
            case.add(rule, f"e{episode.no}.b{r.no}", "", r.requested, limit, r.decided, cancel, cause, asked.name)


def _returns(case: _Case, episode: Episode, of_class: ClassRule, replied: Mark | None) -> None:
    """RETURN of the episode, RETURN_REVIEW of each request, and TRANSFER of the first unit."""
    requested: Mark | None = None
    if episode.returns:
        # Withdrawn, it is as if nobody had asked: it does not keep the window open for another day.
        requested = next((r.requested for r in episode.returns if not r.co and r.withdrawn is None), None)
        _return_reviews(case, episode, of_class)
    if not episode.lead:
        return  # the hotline passes nothing on and returns nothing to itself
    rule = case.rules.clocks.get(_RETURN)
    if rule is not None:
        start = episode.begun if rule.starts is _FROM_DISPATCH else episode.first_signed
        # A unit fixed by designation or ruling has no return to ask for: there is no window.
        designated = episode.type is not _ORDINARY
        final = episode.ruled_final and case.rules.options.ruled_final and (designated or episode.ruled is None)
        if start is not None and not final and not episode.reopened:
            _return(case, rule, episode, _class_then(case, episode, of_class, start), start, requested, replied)
    ruled = case.rules.plan(of_class).get(_TRANSFER)
    if ruled is not None and episode.assignments and not episode.reopened:
        rule, figure = ruled
        stop = episode.passed_on
        limit = _limit(case, episode, _TRANSFER, episode.begun, figure) if episode.limits else figure
        cancel = _first(replied, episode.ended) if stop is None else None
        cause = "reply" if cancel is replied else episode.ended_as
        unit = episode.assignments[0].unit
        source = None if limit is figure else _WRITTEN
        passed = "" if stop is None else _passed_on(episode, stop)
        key = f"e{episode.no}"
        case.found.append(
            case.make(rule, key, unit, episode.begun, limit, stop, cancel, cause, of_class.name, source, "", passed)
        )


def _return(
    case: _Case,
    rule: ClockRule,
    episode: Episode,
    of_class: ClassRule,
    start: Mark,
    requested: Mark | None,
    replied: Mark | None,
) -> None:
    if rule.classes and of_class.name not in rule.classes:
        return
    figure = case.rules.limit(_RETURN, of_class)
    limit = _limit(case, episode, _RETURN, start, figure) if episode.limits else figure
    source = None if limit is figure else _WRITTEN
    cancel, cause = None, ""
    if requested is None:
        cancel = _first(episode.ruled, replied, episode.ended)
        cause = episode.ended_as if cancel is episode.ended else "reply" if cancel is replied else "ruled"
    note = ""
    if limit is not None and case.rules.options.return_scope == "per_order":
        whole, limit = limit, _what_is_left(case, episode, limit)
        if limit != whole:
            source, note = _RELATIVE, "全程累计，此为余下时限 what is left of the time for the whole order (R-03)"
    key, name = f"e{episode.no}", of_class.name
    clock = case.make(rule, key, episode.lead, start, limit, requested, cancel, cause, name, source)
    case.found.append(clock if not note else msgspec.structs.replace(clock, note=note))


def _passed_on(episode: Episode, at: Mark) -> str:
    """Return the word for what stopped TRANSFER: a return asked for, the transfer, or own handling."""
    if episode.returns and any(r.requested == at for r in episode.returns):
        return "return_requested"
    if len(episode.assignments) == 1:
        return "own_handling"
    return "transferred" if any(a.given == at and a.transferred_from for a in episode.assignments) else "own_handling"


def _what_is_left(case: _Case, episode: Episode, limit: Limit) -> Limit:
    """Return what is left of the order's budget where the city counts it across units (R-03, PER_ORDER)."""
    if limit.unit is not LimitUnit.WORKING_DAYS:
        return limit
    spent = sum(
        case.calendar(e.ended).working_days(day_of(e.begun.at), due_day(e.ended.at))
        for e in case.order.episodes
        if e.no < episode.no and e.ended is not None and e.ended_as == "returned"
    )
    left = limit.amount - spent
    return Limit(amount=left, unit=limit.unit) if left > 0 else Limit(until=episode.begun.at)


def _approver(case: _Case, episode: Episode, extension: Extension) -> str:
    """Return who owes the decision: as the pack says, for the unit that asked; the hotline itself where it is empty."""
    match case.rules.options.extension:
        case "own_approver":
            return extension.unit
        case "parent_unit":
            recorded = episode.lead_parent if extension.unit == episode.lead else ""
            above = recorded or case.law.parent(extension.unit, extension.requested.at) or ""
            return "" if above == case.law.hotline_unit else above  # above a first-level unit stands the hotline
        case _:
            return ""


def _teller(episode: Episode, extension: Extension) -> str:
    """Return who owes telling the applicant: the unit that asked, or to which it passed the order on since."""
    passed_on = (AssignmentState.TRANSFERRED, AssignmentState.RETURNED)
    own = [a for a in episode.assignments if a.unit == extension.unit]
    return episode.lead if own and all(a.state in passed_on for a in own) else extension.unit


def _extensions(case: _Case, episode: Episode, of_class: ClassRule) -> None:
    decision = case.rules.clocks.get(_EXTENSION_DECISION)
    inform = case.rules.clocks.get(_INFORM_EXTENSION)
    for x in episode.extensions:
        key = f"e{episode.no}.x{x.no}"
        if decision is not None:
            asked = _class_then(case, episode, of_class, x.requested)
            limit = case.rules.limit(_EXTENSION_DECISION, asked)
            cancel = (x.ended or episode.ended) if x.decided is None else None
            cause = episode.ended_as if cancel == episode.ended else "reply"
            case.add(
                decision, key, _approver(case, episode, x), x.requested, limit, x.decided, cancel, cause, asked.name
            )
        if inform is not None and x.approved and x.decided is not None:
            granted = _class_then(case, episode, of_class, x.decided)
            limit = case.rules.limit(_INFORM_EXTENSION, granted)
            cancel = episode.ended if x.informed is None else None
            case.add(
                inform, key, _teller(episode, x), x.decided, limit, x.informed, cancel, episode.ended_as, granted.name
            )


def _episode(case: _Case, episode: Episode) -> None:
    of_class = case.rules.class_of(episode.attributes)
    if of_class is None:
        return
    plan = case.rules.plan(of_class)
    replies = [r for r in case.order.replies if r.episode == episode.no] if case.order.replies else []
    stop, told = _answered(case, replies)
    handle = _handle(case, episode, of_class, plan, stop, _ended(episode, replied=stop is not None), told)
    if handle is not None:
        case.found.append(handle)
    if episode.assignments and not episode.derived:
        _assignments(case, episode, of_class, plan, handle)
    first_reply = replies[0].submitted if replies else None
    if _INIT_RESPONSE in case.rules.clocks:
        first = episode.initial_response
        said = (first, *episode.later_responses) if first is not None else ()
        _response(case, episode, of_class, _INIT_RESPONSE, said, first_reply)
    if _PROGRESS in case.rules.clocks:
        _response(case, episode, of_class, _PROGRESS, episode.progress, first_reply)
    if not episode.derived:
        _returns(case, episode, of_class, first_reply)
    if episode.extensions:
        _extensions(case, episode, of_class)
    for reply in replies:
        _reply(case, episode, of_class, reply, replies)


# --- after the reply ---------------------------------------------------------------------------------------------


def _reply(case: _Case, episode: Episode, of_class: ClassRule, reply: Reply, replies: list[Reply]) -> None:
    """CORRECTION, EVAL_WINDOW, CLOSE_AFTER and REVISIT of one reply."""
    redo: Mark | None = None
    if case.order.quality.redo:
        redo = next((m for m in case.order.quality.redo if m.at >= reply.submitted.at), None)
    closed = case.closed_after(reply.submitted) if case.closures else None
    sent_back = reply.reviewed if reply.accepted is False else None
    again, undone = sent_back or redo, "sent_back" if sent_back is not None else "redo"
    if sent_back is not None:
        _correction(case, episode, of_class, reply, sent_back, replies)
    plan = case.rules.plan(of_class if not case.changes else _class_then(case, episode, of_class, reply.submitted))
    informed = reply.informed or (None if case.rules.options.deem_requires_informed else reply.submitted)
    if (ruled := plan.get(_EVAL_WINDOW)) is not None and informed is not None:
        over = _first(again, closed)
        start = max(reply.submitted, informed)
        _eval_window(case, ruled, reply, start, over, undone if over is again else "closed")
    told = reply.informed or reply.counted_informed
    ruled = plan.get(_CLOSE_AFTER) if told is not None and case.rules.options.close_after else None
    if ruled is not None and told is not None:
        start = max(reply.submitted, told, reply.accepted_again or told)
        stop = closed if again is None or (closed is not None and closed < again) else None
        case.found.append(case.make(ruled[0], f"r{reply.no}", "", start, ruled[1], stop, again, undone))
    if (ruled := plan.get(_REVISIT)) is not None and sent_back is None:
        over = _first(redo, closed)
        _revisit(case, ruled[0], reply, over, "redo" if over is redo else "closed")


def _correction(
    case: _Case, episode: Episode, of_class: ClassRule, reply: Reply, sent_back: Mark, replies: list[Reply]
) -> None:
    of_class = _class_then(case, episode, of_class, sent_back)
    ruled = case.rules.plan(of_class).get(_CORRECTION)
    if ruled is not None:
        stop = next((r.submitted for r in replies if r.no > reply.no), None)
        key, name = f"r{reply.no}", of_class.name
        case.add(ruled[0], key, episode.lead, sent_back, ruled[1], stop, episode.ended, episode.ended_as, name)


def _eval_window(
    case: _Case,
    ruled: tuple[ClockRule, Limit | None],
    reply: Reply,
    start: Mark,
    over: Mark | None,
    cause: str,
) -> None:
    """The time to evaluate; what comes after its end is late and does not stop it (R-17).

    Whoever gives no rating has not evaluated: it leaves the window open, and what follows from its end (8.9).
    """
    if case.order.demand.anonymous:
        return
    key = f"r{reply.no}"
    for e in case.order.quality.evaluations:
        if e.reply == reply.no and e.source is not _DEEMED and e.result is not _NOT_RATED:
            # The end first, then the due instant: it is read with the calendar known at the end (K11).
            clock = _through_outages(case, case.make(ruled[0], key, "", start, ruled[1], e.at))
            if clock.due is None or e.at.at <= clock.due:
                case.found.append(clock)
                return
    clock = case.make(ruled[0], key, "", start, ruled[1], None, over, cause)
    case.found.append(_through_outages(case, clock))


def _through_outages(case: _Case, clock: Clock) -> Clock:
    """Return a window that would end while the hotline is out, extended to the end of the next working day (8.11)."""
    next_day = Limit(amount=1, unit=LimitUnit.WORKING_DAYS)
    while case.law.outages and clock.due is not None:
        outage = case.law.outage_over(clock.due, case.law.hotline_unit)
        if outage is None:
            break
        # Counted from the day on which it ended: an outage until 24:00 ended on that day (K5).
        later = case.calendar(clock.stop or clock.cancel).extend(outage.until, next_day, case.kernel)
        at = Mark(outage.from_at, 0)
        move = Move(at, Why.OUTAGE, clock.due, later.at, outage.until, next_day, True, "", outage.basis)
        unsure = clock.provisional or later.provisional
        clock = msgspec.structs.replace(clock, due=later.at, moves=(*clock.moves, move), provisional=unsure)
    return clock


def _revisit(case: _Case, rule: ClockRule, reply: Reply, over: Mark | None, cause: str) -> None:
    replies = case.order.replies
    if case.order.demand.anonymous:
        return
    if len(replies) > 1 and any(r.no > reply.no and r.round == reply.round for r in replies):
        return  # one return visit a round: the newest reply's
    stop: Mark | None = None
    for visit in case.order.quality.revisits:
        if visit.round == reply.round:
            stop = visit.over
    start, began = reply.submitted, "reply"
    if case.rules.options.revisit_opens == "handle_due":
        handle = next((c for c in case.found if c.name is _HANDLE and c.key == f"e{reply.episode}"), None)
        due = handle.due if handle is not None else None
        end = stop or over
        # Opened by the end of the limit, also before a late reply; by the reply where nobody waited for it (S4-T16).
        if due is not None and (end is None or due <= end.at):
            start, began = Mark(due, start.position), ""
    case.found.append(case.make(rule, f"r{reply.no}", "", start, None, stop, over, cause, "", None, began))


# --- beside handling ---------------------------------------------------------------------------------------------


def _merged(case: _Case) -> None:
    """CITIZEN_REPLY of each time the order followed another: it keeps the due instant that it had (R-29).

    While it runs, that is read anew, as the due instant of its own handling would be (K11).
    """
    rule, links = case.rules.clocks.get(_CITIZEN_REPLY), case.order.links
    for number, merge in enumerate((*links.earlier_merges, links.merge), 1):
        if merge is None or rule is None:
            continue
        own = _own_handling(case, merge)
        cause = next((str(kind) for at, kind in case.order.filing.closures if at == merge.undone), "unmerged")
        if own is not None and own.due is not None:
            limit = Limit(until=own.due)
        else:
            of_class = _class_at(case, merge.at)
            limit = case.rules.limit(_HANDLE, of_class) if of_class is not None else None
        key = f"m{number}"
        clock = case.make(rule, key, "", merge.at, limit, merge.told, merge.undone, cause, "", _RELATIVE)
        if own is not None and own.provisional:
            clock = msgspec.structs.replace(clock, provisional=True)
        case.found.append(clock)


def _own_handling(case: _Case, merge: Merge) -> Clock | None:
    """Return the handling that a merge cut short, as if it had gone on; None where it cut none short."""
    for e in reversed(case.order.episodes):
        if e.begun < merge.at and (e.ended is None or e.ended >= merge.at):
            of_class = case.rules.class_of(e.attributes)
            if of_class is None:
                return None
            return _handle(case, e, of_class, case.rules.plan(of_class), merge.told, merge.undone)
    return None


def _external(case: _Case) -> None:
    demand, rule = case.order.demand, case.rules.clocks.get(_EXTERNAL)
    until = demand.external_due or demand.promised_due
    if until is None or rule is None:
        return
    closed = case.closures[0] if case.closures else None
    stop = _first(case.order.replies[0].submitted if case.order.replies else None, closed)
    if stop is None and case.order.state == "not_accepted" and case.order.waits:
        stop = case.order.waits[-1].until
    # Whoever answered it, else who has it now: while nobody has it, the hotline.
    unit = case.order.replies[0].unit if case.order.replies else case.order.lead
    case.add(rule, "x1", unit, case.order.registered, Limit(until=until), stop)


def _statutory(case: _Case) -> None:
    """The overlays that bind beside the city's pack (R-28); not movable by the hotline."""
    for overlay in case.law.overlays(case.order.registered.at):
        rule = overlay.clocks.get(_STATUTORY)
        if rule is None:
            continue
        told: Mark | None = None
        for e in case.order.episodes:
            if told is not None and told <= e.begun:
                break  # the statute asks that the applicant be told once; a new round asks it of nobody again
            told = e.informed_acceptance
            for no, (since, until, of_class) in enumerate(_spans(case, overlay, e), 1):
                if told is not None and told < since:
                    continue
                key = f"e{e.no}" if no == 1 else f"e{e.no}.{no}"
                stop = told if until is None or (told is not None and told <= until) else None
                cancel, cause = (e.ended, e.ended_as) if until is None else (until, "reclassification")
                ended = "published" if any(r.submitted == stop for r in case.order.replies) else ""
                limit, name = overlay.limit(_STATUTORY, of_class), of_class.name
                clock = case.make(rule, key, e.lead, e.begun, limit, stop, cancel, cause, name, None, "", ended)
                clock = msgspec.structs.replace(clock, rules=overlay)
                case.found.append(_not_before(case, clock, since))


def _spans(case: _Case, overlay: Rules, e: Episode) -> list[tuple[Mark, Mark | None, ClassRule]]:
    """Return when an overlay applied to an episode: from and, where a reclassification ended it, until.

    It ends there and is not gone: what was late by then stays late (K15).
    """
    spans: list[tuple[Mark, Mark | None, ClassRule]] = []
    held, since = overlay.class_of(e.attributes), e.begun
    for change in _between(case.changes, e.begun, e.ended):
        new = overlay.class_of(change.after)
        if (new is None) is (held is None):
            continue
        if held is not None:
            spans.append((since, change.at, held))
        held, since = new, change.at
    if held is not None:
        spans.append((since, None, held))
    return spans


def _not_before(case: _Case, clock: Clock, since: Mark) -> Clock:
    """Return a clock that runs from the dispatch, due no sooner than anybody knew that it applies.

    Found out later, the statute still counts from when the department received the complaint; but where its limit had
    ended by then, it is counted from the finding: nobody becomes late retroactively (8.5).
    """
    if clock.due is None or clock.limit is None or clock.due >= since.at:
        return clock
    later = case.calendar(clock.stop or clock.cancel).due(since.at, clock.limit, case.kernel)
    move = Move(since, Why.RECLASSIFIED, clock.due, later.at, since.at, clock.limit, False, clock.of_class)
    return msgspec.structs.replace(clock, due=later.at, moves=(move,), provisional=later.provisional)


def _notices(case: _Case) -> None:
    reply, arrive = case.rules.clocks.get(_SUPV_REPLY), case.rules.clocks.get(_ARRIVE_SITE)
    record = case.rules.clocks.get(_SITE_RECORD)
    for n in case.order.oversight.notices:
        turns = (*n.earlier, (n.served, n.replied, n.limit))
        if reply is not None:
            for turn, (served, replied, limit) in enumerate(turns, 1):
                if served is None or limit is None:
                    continue
                cancel = n.closed if replied is None and turn == len(turns) else None
                told_by = _since_told(limit, served)
                case.add(reply, f"n{n.no}.{turn}", n.unit, served, told_by, replied, cancel, str(n.state))
        told = next((served for served, _, _ in turns if served is not None), None)
        if arrive is not None and n.arrive_by is not None and told is not None:
            cancel = _first(n.closed, case.closed_after(told)) if n.arrived is None else None
            limit = _since_told(Limit(until=n.arrive_by), told)
            cause = str(n.state) if cancel is n.closed else "closed"
            case.add(arrive, f"n{n.no}", n.unit, told, limit, n.arrived, cancel, cause)
        if record is not None and n.arrived is not None:
            _site_record(case, record, n)


def _since_told(limit: Limit, told: Mark) -> Limit:
    """Return a written limit as it binds whoever is told of it: nobody is late before they were told (8.6)."""
    return limit if limit.until is None or limit.until >= told.at else Limit(until=told.at)


def _site_record(case: _Case, rule: ClockRule, n: Notice) -> None:
    of_class = _class_at(case, n.arrived) if n.arrived is not None else None
    if of_class is None or n.arrived is None:
        return
    limit = case.rules.limit(_SITE_RECORD, of_class)
    cancel = _first(n.closed, case.closed_after(n.arrived)) if n.site_recorded is None else None
    cause = str(n.state) if cancel is n.closed else "closed"
    case.add(rule, f"n{n.no}", n.unit, n.arrived, limit, n.site_recorded, cancel, cause, of_class.name)


def _oversight(case: _Case) -> None:
    seen, clocks = case.order.oversight, case.rules.clocks
    if seen.notices:
        _notices(case)
    whistle, instruct = clocks.get(_WHISTLE), clocks.get(_INSTRUCTION)
    for w in seen.whistles if whistle is not None else ():
        known = 0 < w.episode <= len(case.order.episodes)
        cancel, cause = None, ""
        if known:
            cancel, cause = case.order.episodes[w.episode - 1].ended, case.order.episodes[w.episode - 1].ended_as
        assert whistle is not None
        case.add(whistle, f"h{w.no}", w.unit, w.blown, Limit(until=w.arrive_by), w.answered, cancel, cause)
    for i in seen.instructions if instruct is not None else ():
        if i.recorded is not None and i.limit is not None:
            assert instruct is not None
            case.add(instruct, f"i{i.no}", i.unit, i.recorded, i.limit, i.reported)
    for a in seen.appeals:
        of_class = _class_at(case, a.filed)
        if of_class is None:
            continue
        window, decision = clocks.get(_APPEAL), clocks.get(_APPEAL_DECISION)
        if window is not None:
            start = Mark(a.published_at, a.filed.position)
            case.add(window, f"a{a.no}", a.unit, start, case.rules.limit(window.name, of_class), a.filed)
        if decision is not None:
            case.add(decision, f"a{a.no}", "", a.filed, case.rules.limit(decision.name, of_class), a.decided)


def _after_closing(case: _Case) -> None:
    follow_up, seal = case.rules.clocks.get(_FOLLOW_UP), case.rules.clocks.get(_SEAL)
    for f in case.order.follow_ups if follow_up is not None else ():
        assert follow_up is not None
        end_of_day = day_start(f.implement_by + timedelta(days=1))  # the day of the city (K1)
        case.add(follow_up, f"f{f.no}", f.unit, f.promised, Limit(until=end_of_day), f.done)
    filing = case.order.filing
    if seal is not None and filing.filed is not None:
        of_class = _class_at(case, filing.filed)
        if of_class is not None:
            case.add(seal, "s1", "", filing.filed, case.rules.limit(_SEAL, of_class), filing.sealed)


def clocks(order: WorkOrder, law: Law, rules: Rules | None = None) -> tuple[Clock, ...]:
    """Return every clock of the order, in the order of its life; pure.

    `rules` asks what would hold under another pack than the order's own (what-if). Due instants are aware, in
    Asia/Shanghai; a running clock is read with the newest calendar, an ended one with that known at its end (K11).
    """
    case = _Case(order, law, rules or law.rules(order.policy))
    _dispatch(case)
    for episode in order.episodes:
        _episode(case, episode)
    demand = order.demand
    if demand.external_due is not None or demand.promised_due is not None:
        _external(case)
    if order.attributes.tags or (order.changes and any(change.before.tags for change in order.changes)):
        _statutory(case)
    if order.links.merge is not None:
        _merged(case)
    seen = order.oversight
    if seen.notices or seen.whistles or seen.instructions or seen.appeals:
        _oversight(case)
    if order.follow_ups or order.filing.filed is not None:
        _after_closing(case)
    if law.outages:
        return tuple(_in_outage(clock, law) for clock in case.found)
    return tuple(case.found)


def _in_outage(clock: Clock, law: Law) -> Clock:
    """Return the clock, marked where it falls due inside an outage of its unit (8.11): a breach then carries that."""
    if clock.due is None or law.outage_over(clock.due, clock.unit or law.hotline_unit) is None:
        return clock
    return msgspec.structs.replace(clock, during_outage=True)


class OverdueItem(msgspec.Struct, frozen=True):
    """超期办理件. An episode whose unit asked for its return too late; approved or not (S1-20, R-34)."""

    episode: int
    unit: str
    since: datetime


def overdue_items(found: Iterable[Clock]) -> tuple[OverdueItem, ...]:
    """Return the overdue items among an order's clocks: each a late return under rules that call it so."""
    return tuple(
        OverdueItem(int(clock.key[1:]), clock.unit, clock.due)
        for clock in found
        if clock.name is _RETURN
        and clock.stop is not None
        and clock.due is not None
        and clock.stop.at > clock.due
        and clock.rules.options.late_return == "overdue_item"
    )


def clock_of(order: WorkOrder, law: Law, name: ClockName, key: str | None = None) -> Clock | None:
    """Return the newest clock of that name, or the one with this key; None if there is none."""
    found = [c for c in clocks(order, law) if c.name is name and (key is None or c.key == key)]
    return found[-1] if found else None
