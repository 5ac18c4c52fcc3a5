"""Clocks of waiting for the hotline and of handling: DISPATCH, HANDLE, SIGN, CO_REPLY, INIT_RESPONSE, PROGRESS."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from domain.calendar import Due
from domain.clocks.case import Case, as_moved, between, class_at, class_then, ended_by, first_of, limit_of
from domain.clocks.clock import Clock, Move, Why
from domain.clocks.replied import reply_clocks
from domain.clocks.returning import extension_clocks, returns_clocks
from domain.policy import ClassRule, ClockRule, LimitSource, Plan, Ruled
from domain.state import Assignment, Episode, Extension, Reply, Wait
from domain.terms import AssignmentRole, AssignmentState, ClockName, Limit, LimitUnit, Mark

# Bound once: looking a member up on its Enum costs more than a whole step of a clock's derivation.
_CORRECTION: Final = ClockName.CORRECTION
_CO_REPLY: Final = ClockName.CO_REPLY
_DISPATCH: Final = ClockName.DISPATCH
_EXTENSION_DECISION: Final = ClockName.EXTENSION_DECISION
_HANDLE: Final = ClockName.HANDLE
_INIT_RESPONSE: Final = ClockName.INIT_RESPONSE
_PROGRESS: Final = ClockName.PROGRESS
_SIGN: Final = ClockName.SIGN
_LEAD: Final = AssignmentRole.LEAD
_CO: Final = AssignmentRole.CO
_SUPERVISING: Final = AssignmentRole.SUPERVISING
_WRITTEN: Final = LimitSource.WRITTEN
_RELATIVE: Final = LimitSource.RELATIVE


def dispatch_clocks(case: Case) -> None:
    """DISPATCH of each time the order waited for the hotline to dispatch it."""
    number, began = 0, ""
    for wait in case.order.waits:
        number += 1
        if number > 1:
            began = wait.cause
        of_class, plan, by = case.of_class, case.plan, wait.by
        if case.changes:
            of_class = class_at(case, wait.since)
            plan = case.rules.plan(of_class) if of_class is not None else None
        if of_class is None or plan is None or (ruled := plan.dispatch) is None or by == "derived":
            continue  # a dispatch that the source lacks says nothing of the hotline's time (8.15)
        rule, limit = ruled
        # R-01 asks where the registration lies, whichever wait it is: of a later dispatch too.
        peak = case.order.demand.peak or (bool(case.law.peaks) and _in_any_peak(case, wait, limit))
        if peak:
            limit = case.rules.limit(_DISPATCH, of_class, peak=True)
        stop, cancel = (None, wait.until) if wait.cancelled else (wait.until, None)
        clock = case.make(rule, f"w{number}", "", wait.since, limit, stop, cancel, by, of_class.name, None, began, by)
        if peak:
            clock = msgspec.structs.replace(clock, peak=True)
        case.found.append(as_moved(case, clock) if case.changes else clock)


def _in_any_peak(case: Case, wait: Wait, limit: Limit | None) -> bool:
    """Tell whether the wait meets a peak, where a city counts any overlap; else registration alone decides (R-01)."""
    if limit is None or case.options.peak_basis != "any_overlap":
        return False
    due = case.calendar(wait.until).due(wait.since.at, limit, case.kernel).at
    return case.law.peak_during(wait.since.at, min(due, wait.until.at) if wait.until is not None else due)


def _answered(case: Case, replies: Sequence[Reply]) -> tuple[Mark | None, Mark | None]:
    """Return what stopped handling: the first reply not sent back, and its informing where the pack asks for it.

    The second mark is the informing, where it was the later of the two.
    """
    for reply in replies:
        if reply.accepted is False:
            continue
        if case.options.handle_stop == "reply_to_hotline":
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


def handle_clock(
    case: Case,
    episode: Episode,
    of_class: ClassRule,
    plan: Plan,
    stop: Mark | None,
    cancel: Mark | None,
    told: Mark | None = None,
) -> Clock | None:
    """Return HANDLE of an episode; None where nobody owes a reply."""
    ruled = plan.handle
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
        clock = as_moved(case, clock, episode.extensions)
        pending = next((x for x in episode.extensions if x.pending), None)
        # Where the decision must come before the due instant, waiting for it excuses nobody (R-13, T48).
        if pending is not None and clock.due is not None and case.options.extension_decision != "before_due":
            asked = class_then(case, episode, of_class, pending.requested)
            clock = msgspec.structs.replace(clock, grace=max(clock.due, _decision_due(case, asked, pending)))
    if case.options.sent_back_due == "correction":
        clock = _after_sending_back(case, clock, episode, of_class)
    return clock


def _decision_due(case: Case, of_class: ClassRule, extension: Extension) -> datetime:
    limit = case.rules.limit(_EXTENSION_DECISION, of_class)
    if limit is None:
        return extension.requested.at
    return case.newest.due(extension.requested.at, limit, case.kernel).at


def _after_sending_back(case: Case, clock: Clock, episode: Episode, of_class: ClassRule) -> Clock:
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
    case: Case, rule: ClockRule, episode: Episode, co: Assignment, of_class: ClassRule, lead: Clock | None
) -> None:
    """CO_REPLY: the limit written for it, the lead's less A-08, or that of the order where the hotline leads (8.3)."""
    begun = co.since or co.given  # handed on inside an organizer, the same duty runs on
    stop, end = ended_by(co.opinion, co.ended or episode.ended)
    key, cause = f"e{episode.no}.a{co.no}", _cause(episode, co)
    name = of_class.name

    def made(limit: Limit | None, source: LimitSource, of: str = "") -> Clock:
        return case.make(rule, key, co.unit, begun, limit, stop, end if stop is None else None, cause, of, source)

    if lead is None and episode.led_by_hotline:
        written = co.limit or episode.limits.get(_HANDLE)
        limit = written or case.rules.limit(_HANDLE, class_then(case, episode, of_class, begun))
        clock = as_moved(case, made(limit, _WRITTEN if written is not None else _RELATIVE, name), figure=_HANDLE)
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
        anew = case.read_with(case.calendar(ended))
        again = handle_clock(anew, episode, of_class, case.rules.plan(of_class), lead.stop, lead.cancel)
        lead = lead if again is None else again
    assert lead.due is not None
    first = lead.moves[0].before if lead.moves else lead.due
    lead_due = next((m.after for m in reversed(lead.moves) if m.at <= begun), first)
    if co.limit is not None:
        clock, note = made(co.limit, _WRITTEN), ""
    else:
        ahead, note = _ahead(case, ended, lead_due, lead.start.at, begun, class_then(case, episode, of_class, begun))
        clock = made(Limit(until=ahead.at), _RELATIVE)
        clock = msgspec.structs.replace(clock, provisional=ahead.provisional or lead.provisional, note=note)
    case.found.append(_drawn_along(case, clock, episode, of_class, lead, lead_due) if lead.moves else clock)


def _ahead(
    case: Case, end: Mark | None, lead_due: datetime, since: datetime, known: Mark, of_class: ClassRule
) -> tuple[Due, str]:
    """Return when a co-organizer owes its opinion for a due instant of the lead's (A-08), and the words for it.

    Where that lies before it could know of it, it has as long as the lead: nobody is late before being asked.
    """
    options = case.options
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
    case: Case, clock: Clock, episode: Episode, of_class: ClassRule, lead: Clock, lead_due: datetime
) -> Clock:
    """Return a co-organizer's clock as the lead's due drew it nearer: an opinion after the reply serves nobody.

    What moves the lead's due later does not move the co-organizer's, whose breach stays its own (2.9, R-32).
    """
    due, moves, end = clock.due, list(clock.moves), clock.stop or clock.cancel
    for move in lead.moves:
        if move.at <= clock.start or move.after >= lead_due or (end is not None and move.at > end):
            continue
        lead_due = move.after
        new = class_then(case, episode, of_class, move.at)
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


def _assignments(case: Case, episode: Episode, of_class: ClassRule, plan: Plan, lead: Clock | None) -> None:
    """SIGN of every organizer, CO_REPLY of every co-organizer."""
    for a in episode.assignments:
        sign, role, of_then = plan.sign, a.role, of_class
        if role is _SUPERVISING or (sign is None and role is _LEAD and not case.changes):
            continue
        if case.changes and a.given != episode.begun:
            of_then = class_then(case, episode, of_class, a.given)
            sign = case.rules.plan(of_then).sign
        if sign is not None and not (a.implied and a.signed == a.given):  # taken over: there was nothing to sign for
            _sign(case, episode, a, of_then, sign)
        if role is _CO and plan.co_reply is not None:
            _co_reply(case, plan.co_reply[0], episode, a, of_class, lead)


def _sign(case: Case, episode: Episode, a: Assignment, of_class: ClassRule, ruled: Ruled) -> None:
    rule, figure = ruled
    limit = limit_of(case, episode, _SIGN, a.given, figure) if episode.limits else figure
    end = a.ended or episode.ended
    passed_on = end if a.state is AssignmentState.TRANSFERRED and a.signed is None else None
    # Passing an unsigned order on stops the first unit's signing (8.4); who signs after the end signs for nothing.
    stop, cancel = ended_by(a.signed or passed_on, None if passed_on is not None else end)
    clock = case.make(
        rule,
        f"e{episode.no}.a{a.no}",
        a.unit,
        a.given,
        limit,
        stop,
        cancel,
        _cause(episode, a) if stop is None else "",
        of_class.name,
        None if limit is figure else _WRITTEN,
        "transferred" if a.transferred_from is not None else "",
        "" if a.signed is not None else "transferred",
    )
    case.found.append(as_moved(case, clock) if case.changes else clock)


def _response(
    case: Case, episode: Episode, of_class: ClassRule, name: ClockName, said: Sequence[Mark], replied: Mark | None
) -> None:
    """INIT_RESPONSE or PROGRESS; a class that brings it later starts it at the reclassification (R-35).

    Begun by a raised class, it waits for what is said from then on: what was said about the lower class does not do.
    """
    # Reopening starts HANDLE and nothing else (8.4).
    ruled, start = None if episode.reopened else case.rules.plan(of_class).get(name), episode.begun
    if ruled is None and name in episode.limits and not episode.reopened:
        ruled = case.rules.clocks[name], None
    began, over = "", first_of(replied, episode.ended)
    if ruled is None:
        for change in between(case.changes, episode.begun, over):
            raised = case.rules.class_of(change.after)
            ruled = case.rules.plan(raised).get(name) if raised is not None else None
            if ruled is not None and raised is not None:
                start, began, of_class = change.at, "reclassification", raised
                break
    if ruled is None:
        return
    rule, figure = ruled
    limit = limit_of(case, episode, name, start, figure) if episode.limits else figure
    done = next((mark for mark in said if mark >= start), None)
    stop = first_of(done, replied)
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
    case.found.append(as_moved(case, clock) if case.changes else clock)


def episode_clocks(case: Case, episode: Episode) -> None:
    """Every clock of one episode, from its dispatch or reopening to what its replies start."""
    of_class, plan = case.of_class, case.plan
    if episode.attributes is not case.attributes:
        of_class = case.rules.class_of(episode.attributes)
        plan = case.rules.plan(of_class) if of_class is not None else None
    if of_class is None or plan is None:
        return
    replies: Sequence[Reply] = case.order.replies
    stop, told, first_reply = None, None, None
    if replies:
        no = episode.no
        replies = [r for r in replies if r.episode == no]
        if replies:
            stop, told = _answered(case, replies)
            first_reply = replies[0].submitted
    handle = handle_clock(case, episode, of_class, plan, stop, _ended(episode, replied=stop is not None), told)
    if handle is not None:
        case.found.append(handle)
    if episode.assignments and not episode.derived:
        _assignments(case, episode, of_class, plan, handle)
    may_come = bool(case.changes or episode.limits)  # a higher class, or the dispatch, brings a clock of its own
    if plan.init_response is not None or (may_come and _INIT_RESPONSE in case.rules.clocks):
        first = episode.initial_response
        said = (first, *episode.later_responses) if first is not None else ()
        _response(case, episode, of_class, _INIT_RESPONSE, said, first_reply)
    if plan.progress is not None or (may_come and _PROGRESS in case.rules.clocks):
        _response(case, episode, of_class, _PROGRESS, episode.progress, first_reply)
    if not episode.derived:
        returns_clocks(case, episode, of_class, plan, first_reply)
    if episode.extensions:
        extension_clocks(case, episode, of_class)
    for reply in replies:
        reply_clocks(case, episode, of_class, plan, reply, replies)
