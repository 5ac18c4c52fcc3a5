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
from domain.policy import ClassRule, ClockRule, Plan, Rules
from domain.state import Assignment, ClassChange, Episode, Extension, Notice, Reply, Wait, WorkOrder
from domain.terms import (
    AssignmentRole,
    ClockName,
    DispatchType,
    EvaluationSource,
    Limit,
    LimitUnit,
    Mark,
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
_FROM_DISPATCH: Final = Start.DISPATCH


class Why(StrEnum):
    """What moved a due instant."""

    EXTENSION = "extension"  # 延期同意
    RECLASSIFIED = "reclassified"  # 变更分类
    SENT_BACK = "sent_back"  # 退回补正
    OUTAGE = "outage"  # 系统中断


class Move(msgspec.Struct, frozen=True):
    """顺延. One change of a running clock's due instant, and what it was counted from."""

    at: Mark
    why: Why
    before: datetime
    after: datetime
    counted_from: datetime
    limit: Limit
    anchored_at_due: bool = False  # counted from the old due day, not from an instant


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


class Clock(msgspec.Struct, frozen=True):
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
        self.closures = tuple(at for at, _ in filing.closures) or ((filing.closed,) if filing.closed else ())
        self.found: list[Clock] = []

    def closed_after(self, moment: Mark) -> Mark | None:
        """Return the first closure from a moment on."""
        return next((at for at in self.closures if at >= moment), None)

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
    ) -> Clock:
        """Return a clock as it stands before anything moved it; what stopped a clock leaves nothing to cancel."""
        if stop is not None or cancel is None:
            end, cancel, cancelled_by = stop, None, ""
        else:
            end = cancel
        if limit is None:
            return Clock(rule.name, key, unit, start, None, None, rule, self.rules, stop, cancel, cancelled_by)
        due = (self.newest if end is None else self.calendar(end)).due(start[0], limit, self.kernel)
        return Clock(
            rule.name,
            key,
            unit,
            start,
            limit,
            due.at,
            rule,
            self.rules,
            stop,
            cancel,
            cancelled_by,
            (),
            due.provisional,
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
    ) -> None:
        """Add a clock that nothing moves."""
        self.found.append(self.make(rule, key, unit, start, limit, stop, cancel, cancelled_by))


# --- waiting for the hotline -------------------------------------------------------------------------------------


def _class_at(case: _Case, since: Mark) -> ClassRule | None:
    """Return the class the order had at a moment."""
    if not case.changes:
        return case.rules.class_of(case.order.attributes)
    attributes = case.order.demand.attributes
    for change in case.changes:
        if change.at <= since:
            attributes = change.after
    return case.rules.class_of(attributes)


def _dispatch(case: _Case) -> None:
    for number, wait in enumerate(case.order.waits, 1):
        of_class = _class_at(case, wait.since)
        ruled = case.rules.plan(of_class).get(_DISPATCH) if of_class is not None else None
        if of_class is None or ruled is None or wait.by == "derived":
            continue  # a dispatch that the source lacks says nothing of the hotline's time (8.15)
        rule, limit = ruled
        peak = number == 1 and (case.order.demand.peak or _in_any_peak(case, wait, limit))
        if peak:
            limit = case.rules.limit(_DISPATCH, of_class, peak=True)
        stop, cancel = (None, wait.until) if wait.cancelled else (wait.until, None)
        clock = case.make(rule, f"w{number}", "", wait.since, limit, stop, cancel, wait.by)
        case.found.append(_moved(case, clock, peak=peak) if case.changes else clock)


def _in_any_peak(case: _Case, wait: Wait, limit: Limit | None) -> bool:
    """Tell whether the wait meets a peak, where a city counts any overlap; else registration alone decides (R-01)."""
    if limit is None or not case.law.peaks or case.rules.options.peak_basis != "any_overlap":
        return False
    due = case.newest.due(wait.since.at, limit, case.kernel).at
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


def _moved(case: _Case, clock: Clock, extensions: Sequence[Extension] = (), *, peak: bool = False) -> Clock:
    """Return `clock` with every change of class and every extension applied, in the order they happened."""
    if clock.due is None or not (case.changes or extensions):
        return clock
    end = clock.stop or clock.cancel
    calendar = case.calendar(end)
    happened: list[tuple[Mark, ClassChange | Extension]] = [(c.at, c) for c in _between(case.changes, clock.start, end)]
    happened += [(x.decided, x) for x in extensions if x.approved and x.decided is not None]
    due, provisional, moves = clock.due, clock.provisional, list(clock.moves)
    for at, what in sorted(happened, key=lambda pair: pair[0]):
        if isinstance(what, Extension):
            added = Limit(amount=what.days, unit=LimitUnit(case.rules.options.extension_unit))
            moved = calendar.extend(due, added, case.kernel)
            moves.append(Move(at, Why.EXTENSION, due, moved.at, due, added, anchored_at_due=True))
            due, provisional = moved.at, provisional or moved.provisional
            continue
        new = case.rules.class_of(what.after)
        limit = case.rules.limit(clock.name, new, peak=peak) if new is not None else None
        if new is None or limit is None or (what.lengthens and at.at > due):
            continue  # what was late before is not cured by relabelling
        if what.lengthens:
            moved, counted_from = calendar.due(clock.start.at, limit, case.kernel), clock.start.at
        else:
            moved, counted_from = _shortened(case, clock, calendar, what, new, limit)
        if moved.at > due if what.lengthens else moved.at < due:
            moves.append(Move(at, Why.RECLASSIFIED, due, moved.at, counted_from, limit))
            due, provisional = moved.at, moved.provisional
    return msgspec.structs.replace(clock, due=due, moves=tuple(moves), provisional=provisional)


def _answered(case: _Case, replies: Iterable[Reply]) -> Mark | None:
    """Return what stopped handling: the first reply not sent back, and its informing where the pack asks for it."""
    to_hotline = case.rules.options.handle_stop == "reply_to_hotline"
    for reply in replies:
        if reply.accepted is False:
            continue
        if to_hotline:
            return reply.submitted
        if reply.counted_informed is not None:
            return max(reply.submitted, reply.counted_informed)
    return None


def _ended(episode: Episode, *, replied: bool) -> Mark | None:
    """Return what cancels the episode's clocks; closure does so only where no reply exists (8.3)."""
    if episode.ended is None or (replied and episode.ended_as == "closed"):
        return None
    return episode.ended


def _handle(
    case: _Case, episode: Episode, of_class: ClassRule, plan: Plan, stop: Mark | None, cancel: Mark | None
) -> Clock | None:
    ruled = plan.get(_HANDLE)
    if ruled is None or not episode.lead or not episode.reply_required:
        return None
    rule, limit = ruled
    if episode.limits:
        limit = episode.limits.get(_HANDLE, limit)  # a limit written on the dispatch prevails (8.14)
    clock = case.make(rule, f"e{episode.no}", episode.lead, episode.begun, limit, stop, cancel, episode.ended_as)
    if case.changes or episode.extensions:
        clock = _moved(case, clock, episode.extensions)
        pending = next((x for x in episode.extensions if x.pending), None)
        if pending is not None and clock.due is not None:
            clock = msgspec.structs.replace(clock, grace=max(clock.due, _decision_due(case, of_class, pending)))
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


def _co_reply_limit(case: _Case, lead: Clock | None, co: Assignment, of_class: ClassRule) -> tuple[Limit | None, str]:
    """Return a co-organizer's limit: its own, the lead's less A-08, or the class's where the hotline leads (8.3)."""
    if co.limit is not None:
        return co.limit, "written on the dispatch"
    if lead is None:
        return case.rules.limit(_HANDLE, of_class), "the class's limit, since the hotline leads"
    if lead.due is None:
        return None, ""
    options, begun = case.rules.options, co.since or co.given
    # What moves the lead's due later does not move the co-organizer's, whose breach stays its own (2.9, R-32).
    due = next((move.before for move in lead.moves if move.at > begun), lead.due)
    if of_class.by_the_clock:
        until = lead.start.at + (due - lead.start.at) * options.co_lead_share / 100
        note = f"{options.co_lead_share}% of the lead's limit (A-08)"
    else:
        ahead = Limit(amount=options.co_lead_days, unit=LimitUnit.WORKING_DAYS)
        until = case.calendar(co.opinion or co.ended).before(due, ahead, case.kernel).at
        note = f"{options.co_lead_days} working day(s) before the lead's due (A-08)"
    return Limit(until=until if until > begun.at else due), note


def _assignments(case: _Case, episode: Episode, of_class: ClassRule, plan: Plan, lead: Clock | None) -> None:
    """SIGN of every organizer, CO_REPLY of every co-organizer."""
    sign, co_reply = plan.get(_SIGN), plan.get(_CO_REPLY)
    for a in episode.assignments:
        if a.role is _SUPERVISING or (sign is None and a.role is _LEAD):
            continue
        key = f"e{episode.no}.a{a.no}"
        end = a.ended or episode.ended
        if sign is not None and not (a.implied and a.signed == a.given):  # taken over: there was nothing to sign for
            passed_on = end if a.state == "transferred" and a.signed is None else None
            stop = a.signed or passed_on  # passing an unsigned order on stops the first unit's signing (8.4)
            cancel = end if stop is None else None
            clock = case.make(sign[0], key, a.unit, a.given, sign[1], stop, cancel, episode.ended_as)
            case.found.append(_moved(case, clock) if case.changes else clock)
        if a.role is _CO and co_reply is not None:
            limit, note = _co_reply_limit(case, lead, a, of_class)
            begun = a.since or a.given  # handed on inside an organizer, the same duty runs on
            case.add(co_reply[0], key, a.unit, begun, limit, a.opinion, end if a.opinion is None else None, "removed")
            if note:
                case.found[-1] = msgspec.structs.replace(case.found[-1], note=note)


def _response(
    case: _Case, episode: Episode, of_class: ClassRule, name: ClockName, stop: Mark | None, cancel: Mark | None
) -> None:
    """INIT_RESPONSE or PROGRESS; a class that brings it later starts it at the reclassification (R-35)."""
    # Reopening starts HANDLE and nothing else (8.4).
    ruled, start = None if episode.reopened else case.rules.plan(of_class).get(name), episode.begun
    if ruled is None:
        for change in _between(case.changes, episode.begun, stop or cancel):
            raised = case.rules.class_of(change.after)
            ruled = case.rules.plan(raised).get(name) if raised is not None else None
            if ruled is not None:
                start = change.at
                break
    if ruled is None:
        return
    rule, limit = ruled
    clock = case.make(rule, f"e{episode.no}", episode.lead, start, limit, stop, cancel, episode.ended_as)
    case.found.append(_moved(case, clock))


def _first(*marks: Mark | None) -> Mark | None:
    first: Mark | None = None
    for mark in marks:
        if mark is not None and (first is None or mark < first):
            first = mark
    return first


def _returns(case: _Case, episode: Episode, plan: Plan, replied: Mark | None) -> None:
    """RETURN of the episode, RETURN_REVIEW of each request, and TRANSFER of the first unit."""
    requested: Mark | None = None
    if episode.returns:
        requested = next((r.requested for r in episode.returns if not r.co), None)
        review = plan.get(_RETURN_REVIEW)
        for r in episode.returns:
            if review is not None:
                cancel = r.withdrawn or episode.ended
                key = f"e{episode.no}.b{r.no}"
                case.add(review[0], key, "", r.requested, review[1], r.decided, cancel, "withdrawn")
    ruled = plan.get(_RETURN)
    if ruled is not None and episode.lead:
        rule, limit = ruled
        start = episode.begun if rule.starts is _FROM_DISPATCH else episode.first_signed
        # A unit fixed by designation or ruling has no return to ask for: there is no window.
        designated = episode.type is not _ORDINARY
        final = episode.ruled_final and case.rules.options.ruled_final and (designated or episode.ruled is None)
        if start is not None and not final and not episode.reopened:
            cancel = _first(episode.ruled, replied, episode.ended) if requested is None else None
            if limit is not None and case.rules.options.return_scope == "per_order":
                limit = _what_is_left(case, episode, limit)
            case.add(rule, f"e{episode.no}", episode.lead, start, limit, requested, cancel, "no return any more")
    ruled = plan.get(_TRANSFER)
    if ruled is not None and episode.assignments and not episode.reopened:
        rule, limit = ruled
        stop = episode.passed_on
        cancel = _first(replied, episode.ended) if stop is None else None
        unit = episode.assignments[0].unit
        case.add(rule, f"e{episode.no}", unit, episode.begun, limit, stop, cancel, episode.ended_as)


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


def _extensions(case: _Case, episode: Episode, of_class: ClassRule) -> None:
    decision = case.rules.clocks.get(_EXTENSION_DECISION)
    inform = case.rules.clocks.get(_INFORM_EXTENSION)
    approver = {"parent_unit": episode.lead_parent, "own_approver": episode.lead}.get(case.rules.options.extension, "")
    if approver == case.law.hotline_unit:
        approver = ""  # above a first-level unit stands the hotline itself
    for x in episode.extensions:
        key = f"e{episode.no}.x{x.no}"
        if decision is not None:
            limit = case.rules.limit(_EXTENSION_DECISION, of_class)
            cancel = (x.ended or episode.ended) if x.decided is None else None
            case.add(decision, key, approver, x.requested, limit, x.decided, cancel, "ended by the reply")
        if inform is not None and x.approved and x.decided is not None:
            limit = case.rules.limit(_INFORM_EXTENSION, of_class)
            cancel = episode.ended if x.informed is None else None
            case.add(inform, key, x.unit, x.decided, limit, x.informed, cancel, episode.ended_as)


def _episode(case: _Case, episode: Episode) -> None:
    of_class = case.rules.class_of(episode.attributes)
    if of_class is None:
        return
    plan = case.rules.plan(of_class)
    replies = [r for r in case.order.replies if r.episode == episode.no]
    stop = _answered(case, replies)
    handle = _handle(case, episode, of_class, plan, stop, _ended(episode, replied=stop is not None))
    if handle is not None:
        case.found.append(handle)
    if episode.assignments and not episode.derived:
        _assignments(case, episode, of_class, plan, handle)
    first_reply = replies[0].submitted if replies else None
    if _INIT_RESPONSE in case.rules.clocks:
        done = _first(episode.initial_response, first_reply)
        _response(case, episode, of_class, _INIT_RESPONSE, done, episode.ended)
    if _PROGRESS in case.rules.clocks:
        done = _first(episode.progress[0] if episode.progress else None, first_reply)
        _response(case, episode, of_class, _PROGRESS, done, episode.ended)
    if not episode.derived:
        _returns(case, episode, plan, first_reply)
    if episode.extensions:
        _extensions(case, episode, of_class)
    for reply in replies:
        _reply(case, episode, plan, reply, replies)


# --- after the reply ---------------------------------------------------------------------------------------------


def _reply(case: _Case, episode: Episode, plan: Plan, reply: Reply, replies: list[Reply]) -> None:
    """CORRECTION, EVAL_WINDOW, CLOSE_AFTER and REVISIT of one reply."""
    redo: Mark | None = None
    if case.order.quality.redo:
        redo = next((m for m in case.order.quality.redo if m.at >= reply.submitted.at), None)
    closed = case.closed_after(reply.submitted) if case.closures else None
    sent_back = reply.reviewed if reply.accepted is False else None
    if sent_back is not None and (ruled := plan.get(_CORRECTION)) is not None:
        stop = next((r.submitted for r in replies if r.no > reply.no), None)
        cancel = episode.ended if stop is None else None
        case.add(ruled[0], f"r{reply.no}", episode.lead, sent_back, ruled[1], stop, cancel, episode.ended_as)
    informed = reply.informed or (None if case.rules.options.deem_requires_informed else reply.submitted)
    if (ruled := plan.get(_EVAL_WINDOW)) is not None and informed is not None:
        _eval_window(case, ruled[0], ruled[1], reply, max(reply.submitted, informed), _first(sent_back or redo, closed))
    told = reply.informed or reply.counted_informed
    ruled = plan.get(_CLOSE_AFTER) if told is not None and case.rules.options.close_after else None
    if ruled is not None and told is not None:
        start = max(reply.submitted, told, reply.accepted_again or told)
        again = sent_back or redo
        stop = closed if again is None or (closed is not None and closed < again) else None
        case.add(ruled[0], f"r{reply.no}", "", start, ruled[1], stop, again, "sent back or redone")
    if (ruled := plan.get(_REVISIT)) is not None and sent_back is None:
        _revisit(case, ruled[0], reply, _first(redo, closed))


def _eval_window(
    case: _Case, rule: ClockRule, limit: Limit | None, reply: Reply, start: Mark, over: Mark | None
) -> None:
    """The time to evaluate; what comes after its end is late and does not stop it (R-17)."""
    if case.order.demand.anonymous:
        return
    for e in case.order.quality.evaluations:
        if e.reply == reply.no and e.source is not _DEEMED:
            clock = _window(case, case.make(rule, f"r{reply.no}", "", start, limit, e.at))
            if clock.due is None or e.at.at <= clock.due:
                case.found.append(clock)
                return
    clock = case.make(rule, f"r{reply.no}", "", start, limit, None, over, "closed, redone or sent back")
    case.found.append(_window(case, clock))


def _window(case: _Case, clock: Clock) -> Clock:
    """Return `clock` with its end after an outage that it would have fallen in (8.11)."""
    outage = case.law.outage_at(clock.due) if case.law.outages and clock.due is not None else None
    if outage is None or clock.due is None:
        return clock
    next_day = Limit(amount=1, unit=LimitUnit.WORKING_DAYS)
    later = case.calendar(clock.stop or clock.cancel).due(outage.until, next_day, case.kernel).at
    move = Move(Mark(outage.from_at, 0), Why.OUTAGE, clock.due, later, outage.until, next_day)
    return msgspec.structs.replace(clock, due=later, moves=(move,))


def _revisit(case: _Case, rule: ClockRule, reply: Reply, over: Mark | None) -> None:
    if case.order.demand.anonymous or any(r.no > reply.no and r.round == reply.round for r in case.order.replies):
        return  # one return visit a round: the newest reply's
    stop: Mark | None = None
    for visit in case.order.quality.revisits:
        if visit.round == reply.round:
            stop = visit.over
    start = reply.submitted
    if case.rules.options.revisit_opens == "handle_due":
        handle = next((c for c in case.found if c.name is _HANDLE and c.key == f"e{reply.episode}"), None)
        due = handle.due if handle is not None else None
        end = stop or over
        # Opened by the end of the limit, also before a late reply; by the reply where nobody waited for it (S4-T16).
        if due is not None and (end is None or due <= end.at):
            start = Mark(due, start.position)
    case.add(rule, f"r{reply.no}", "", start, None, stop, over, "closed or redone")


# --- beside handling ---------------------------------------------------------------------------------------------


def _merged(case: _Case) -> None:
    merge, rule = case.order.links.merge, case.rules.clocks.get(_CITIZEN_REPLY)
    if merge is None or merge.undone is not None or rule is None:
        return
    own = next((c for c in reversed(case.found) if c.name is _HANDLE), None)
    limit: Limit | None
    if own is not None and own.due is not None:
        limit = Limit(until=own.due)  # the child keeps its own due
    else:
        of_class = case.rules.class_of(case.order.attributes)
        limit = case.rules.limit(_HANDLE, of_class) if of_class is not None else None
    case.add(rule, "m1", "", merge.at, limit, merge.told)


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
        of_class = overlay.class_of(case.order.attributes)
        rule = overlay.clocks.get(_STATUTORY)
        if of_class is None or rule is None:
            continue
        for e in case.order.episodes:
            stop = e.informed_acceptance
            before = len(case.found)
            case.add(
                rule,
                f"e{e.no}",
                e.lead,
                e.begun,
                overlay.limit(_STATUTORY, of_class),
                stop,
                e.ended if stop is None else None,
                e.ended_as,
            )
            case.found[before] = msgspec.structs.replace(case.found[before], rules=overlay)


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
            case.add(arrive, f"n{n.no}", n.unit, told, limit, n.arrived, cancel, str(n.state))
        if record is not None and n.arrived is not None:
            _site_record(case, record, n)


def _since_told(limit: Limit, told: Mark) -> Limit:
    """Return a written limit as it binds whoever is told of it: nobody is late before they were told (8.6)."""
    return limit if limit.until is None or limit.until >= told.at else Limit(until=told.at)


def _site_record(case: _Case, rule: ClockRule, n: Notice) -> None:
    of_class = case.rules.class_of(case.order.attributes)
    if of_class is None or n.arrived is None:
        return
    limit = case.rules.limit(_SITE_RECORD, of_class)
    cancel = _first(n.closed, case.closed_after(n.arrived)) if n.site_recorded is None else None
    case.add(rule, f"n{n.no}", n.unit, n.arrived, limit, n.site_recorded, cancel, str(n.state))


def _oversight(case: _Case) -> None:
    seen, clocks = case.order.oversight, case.rules.clocks
    if seen.notices:
        _notices(case)
    whistle, instruct = clocks.get(_WHISTLE), clocks.get(_INSTRUCTION)
    for w in seen.whistles if whistle is not None else ():
        ended = case.order.episodes[w.episode - 1].ended if 0 < w.episode <= len(case.order.episodes) else None
        cancel = ended if w.answered is None else None
        assert whistle is not None
        case.add(whistle, f"h{w.no}", w.unit, w.blown, Limit(until=w.arrive_by), w.answered, cancel, "episode ended")
    for i in seen.instructions if instruct is not None else ():
        if i.recorded is not None and i.limit is not None:
            assert instruct is not None
            case.add(instruct, f"i{i.no}", i.unit, i.recorded, i.limit, i.reported)
    for a in seen.appeals:
        of_class = case.rules.class_of(case.order.attributes)
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
        of_class = case.rules.class_of(case.order.attributes)
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
    if order.attributes.tags:
        _statutory(case)
    if order.links.merge is not None:
        _merged(case)
    seen = order.oversight
    if seen.notices or seen.whistles or seen.instructions or seen.appeals:
        _oversight(case)
    if order.follow_ups or order.filing.filed is not None:
        _after_closing(case)
    return tuple(case.found)


def clock_of(order: WorkOrder, law: Law, name: ClockName, key: str | None = None) -> Clock | None:
    """Return the newest clock of that name, or the one with this key; None if there is none."""
    found = [c for c in clocks(order, law) if c.name is name and (key is None or c.key == key)]
    return found[-1] if found else None
