"""Clocks that a reply starts: CORRECTION, EVAL_WINDOW, CLOSE_AFTER and REVISIT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from domain.clocks.case import Case, class_then, first_of
from domain.clocks.clock import Clock, Move, Why
from domain.policy import ClassRule, ClockRule, Plan, Ruled
from domain.state import Episode, Reply
from domain.terms import ClockName, EvaluationSource, Limit, LimitUnit, Mark, Rating

# Bound once: looking a member up on its Enum costs more than a whole step of a clock's derivation.
_CLOSE_AFTER: Final = ClockName.CLOSE_AFTER
_CORRECTION: Final = ClockName.CORRECTION
_EVAL_WINDOW: Final = ClockName.EVAL_WINDOW
_HANDLE: Final = ClockName.HANDLE
_REVISIT: Final = ClockName.REVISIT
_DEEMED: Final = EvaluationSource.DEEMED
_NOT_RATED: Final = Rating.NOT_RATED


def reply_clocks(
    case: Case, episode: Episode, of_class: ClassRule, plan: Plan, reply: Reply, replies: Sequence[Reply]
) -> None:
    """CORRECTION, EVAL_WINDOW, CLOSE_AFTER and REVISIT of one reply."""
    submitted, redo = reply.submitted, None
    if case.order.quality.redo:
        redo = next((m for m in case.order.quality.redo if m.at >= submitted.at), None)
    closed = case.closed_after(submitted) if case.closures else None
    again, undone, sent_back = redo, "redo", None
    if reply.accepted is False and reply.reviewed is not None:
        again = sent_back = reply.reviewed
        undone = "sent_back"
        _correction(case, episode, of_class, reply, sent_back, replies)
    if case.changes:
        plan = case.rules.plan(class_then(case, episode, of_class, submitted))
    told = reply.informed
    if (ruled := plan.eval_window) is not None:
        informed = told or (None if case.options.deem_requires_informed else submitted)
        if informed is not None:
            over = first_of(again, closed)
            start = max(submitted, informed)
            _eval_window(case, ruled, reply, start, over, undone if over is again else "closed")
    told = told or reply.counted_informed
    if told is not None and (ruled := plan.close_after) is not None and case.options.close_after:
        start = max(submitted, told)
        if reply.accepted_again is not None:
            start = max(start, reply.accepted_again)
        stop = closed if again is None or (closed is not None and closed < again) else None
        case.found.append(case.make(ruled[0], f"r{reply.no}", "", start, ruled[1], stop, again, undone))
    if (ruled := plan.revisit) is not None and sent_back is None:
        over = closed if redo is None else first_of(redo, closed)
        _revisit(case, ruled[0], reply, over, "closed" if over is not redo else "redo")


def _correction(
    case: Case, episode: Episode, of_class: ClassRule, reply: Reply, sent_back: Mark, replies: Sequence[Reply]
) -> None:
    of_class = class_then(case, episode, of_class, sent_back)
    ruled = case.rules.plan(of_class).get(_CORRECTION)
    if ruled is not None:
        stop = next((r.submitted for r in replies if r.no > reply.no), None)
        key, name = f"r{reply.no}", of_class.name
        case.add(ruled[0], key, episode.lead, sent_back, ruled[1], stop, episode.ended, episode.ended_as, name)


def _eval_window(
    case: Case,
    ruled: Ruled,
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


def _through_outages(case: Case, clock: Clock) -> Clock:
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


def _revisit(case: Case, rule: ClockRule, reply: Reply, over: Mark | None, cause: str) -> None:
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
    if case.options.revisit_opens == "handle_due":
        handle = next((c for c in case.found if c.name is _HANDLE and c.key == f"e{reply.episode}"), None)
        due = handle.due if handle is not None else None
        end = stop or over
        # Opened by the end of the limit, also before a late reply; by the reply where nobody waited for it (S4-T16).
        if due is not None and (end is None or due <= end.at):
            start, began = Mark(due, start.position), ""
    case.found.append(case.make(rule, f"r{reply.no}", "", start, None, stop, over, cause, "", None, began))
