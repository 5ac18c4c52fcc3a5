"""Clocks of passing on, giving back and asking for more time: RETURN, RETURN_REVIEW, TRANSFER, and of extensions."""

from __future__ import annotations

from typing import Final

import msgspec

from domain.calendar import due_day
from domain.clocks.case import Case, class_then, ended_by, first_of, lead_at, limit_of
from domain.policy import ClassRule, LimitSource, Plan, Ruled
from domain.state import Episode, Extension
from domain.terms import AssignmentState, ClockName, DispatchType, Limit, LimitUnit, Mark, Start
from domain.units import day_of

# Bound once: looking a member up on its Enum costs more than a whole step of a clock's derivation.
_EXTENSION_DECISION: Final = ClockName.EXTENSION_DECISION
_INFORM_EXTENSION: Final = ClockName.INFORM_EXTENSION
_RETURN: Final = ClockName.RETURN
_RETURN_REVIEW: Final = ClockName.RETURN_REVIEW
_TRANSFER: Final = ClockName.TRANSFER
_FROM_DISPATCH: Final = Start.DISPATCH
_ORDINARY: Final = DispatchType.ORDINARY
_WRITTEN: Final = LimitSource.WRITTEN
_RELATIVE: Final = LimitSource.RELATIVE


def _return_reviews(case: Case, episode: Episode, of_class: ClassRule) -> None:
    for r in episode.returns:
        asked = class_then(case, episode, of_class, r.requested)
        ruled = case.rules.plan(asked).get(_RETURN_REVIEW)
        if ruled is not None:
            rule, limit = ruled
            cancel, cause = r.withdrawn or episode.ended, "return_withdrawn" if r.withdrawn else episode.ended_as
            case.add(rule, f"e{episode.no}.b{r.no}", "", r.requested, limit, r.decided, cancel, cause, asked.name)


def returns_clocks(case: Case, episode: Episode, of_class: ClassRule, plan: Plan, replied: Mark | None) -> None:
    """RETURN of the episode, RETURN_REVIEW of each request, and TRANSFER of the first unit."""
    requested: Mark | None = None
    if episode.returns:
        # Withdrawn, it is as if nobody had asked: it does not keep the window open for another day.
        requested = next((r.requested for r in episode.returns if not r.co and r.withdrawn is None), None)
        _return_reviews(case, episode, of_class)
    if not episode.lead or episode.reopened:
        return  # the hotline passes nothing on and returns nothing to itself; reopening starts HANDLE alone (8.4)
    if plan.returning is not None or case.changes:
        _return(case, episode, of_class, plan.returning, requested, replied)
    if plan.transfer is not None and episode.assignments:
        rule, figure = plan.transfer
        stop = episode.passed_on
        limit = limit_of(case, episode, _TRANSFER, episode.begun, figure) if episode.limits else figure
        cancel, cause, passed = None, "", ""
        if stop is None:
            cancel = first_of(replied, episode.ended)
            cause = "reply" if cancel is replied else episode.ended_as
        else:
            passed = _passed_on(episode, stop)
        unit = episode.assignments[0].unit
        source = None if limit is figure else _WRITTEN
        key = f"e{episode.no}"
        case.found.append(
            case.make(rule, key, unit, episode.begun, limit, stop, cancel, cause, of_class.name, source, "", passed)
        )


def _return(
    case: Case,
    episode: Episode,
    of_class: ClassRule,
    ruled: Ruled | None,
    requested: Mark | None,
    replied: Mark | None,
) -> None:
    # A unit fixed by designation or ruling has no return to ask for: there is no window.
    barred = episode.ruled_final and case.options.ruled_final
    if barred and episode.freed is None and (episode.type is not _ORDINARY or episode.ruled is None):
        return
    rule = ruled[0] if ruled is not None else case.rules.clocks.get(_RETURN)
    start = episode.begun if rule is None or rule.starts is _FROM_DISPATCH else episode.first_signed
    if start is not None and case.changes:
        of_class = class_then(case, episode, of_class, start)
        ruled = case.rules.plan(of_class).returning
    if start is None or ruled is None:
        return
    rule, figure = ruled
    limit = limit_of(case, episode, _RETURN, start, figure) if episode.limits else figure
    source = None if limit is figure else _WRITTEN
    cancel, cause = None, ""
    if requested is None:
        cancel = first_of(episode.ruled, replied, episode.ended)
        cause = episode.ended_as if cancel is episode.ended else "reply" if cancel is replied else "ruled"
    note = ""
    if limit is not None and case.options.return_scope == "per_order":
        whole, limit = limit, _what_is_left(case, episode, limit)
        if limit != whole:
            source, note = _RELATIVE, "全程累计，此为余下时限 what is left of the time for the whole order (R-03)"
    key, name = f"e{episode.no}", of_class.name
    unit = lead_at(episode, requested or cancel)
    clock = case.make(rule, key, unit, start, limit, requested, cancel, cause, name, source)
    case.found.append(clock if not note else msgspec.structs.replace(clock, note=note))


def _passed_on(episode: Episode, at: Mark) -> str:
    """Return the word for what stopped TRANSFER: a return asked for, the transfer, or own handling."""
    if episode.returns and any(r.requested == at for r in episode.returns):
        return "return_requested"
    if len(episode.assignments) == 1:
        return "own_handling"
    return "transferred" if any(a.given == at and a.transferred_from for a in episode.assignments) else "own_handling"


def _what_is_left(case: Case, episode: Episode, limit: Limit) -> Limit:
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


def _approver(case: Case, episode: Episode, extension: Extension) -> str:
    """Return who owes the decision: as the pack says, for the unit that asked; the hotline itself where it is empty."""
    match case.options.extension:
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


def extension_clocks(case: Case, episode: Episode, of_class: ClassRule) -> None:
    decision = case.rules.clocks.get(_EXTENSION_DECISION)
    inform = case.rules.clocks.get(_INFORM_EXTENSION)
    for x in episode.extensions:
        key = f"e{episode.no}.x{x.no}"
        if decision is not None:
            asked = class_then(case, episode, of_class, x.requested)
            limit = case.rules.limit(_EXTENSION_DECISION, asked)
            stop, cancel = ended_by(x.decided, x.ended or episode.ended)
            cause = episode.ended_as if cancel == episode.ended else "reply"
            case.add(decision, key, _approver(case, episode, x), x.requested, limit, stop, cancel, cause, asked.name)
        if inform is not None and x.approved and x.decided is not None:
            granted = class_then(case, episode, of_class, x.decided)
            limit = case.rules.limit(_INFORM_EXTENSION, granted)
            cancel = episode.ended if x.informed is None else None
            case.add(
                inform, key, _teller(episode, x), x.decided, limit, x.informed, cancel, episode.ended_as, granted.name
            )
