"""What every clock of a case reads and adds to, and what moves a running one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from domain.calendar import Calendar, Due
from domain.clocks.clock import Clock, Move, Why
from domain.law import Law
from domain.policy import ClassRule, ClockRule, LimitSource, Rules
from domain.state import ClassChange, Episode, Extension, WorkOrder
from domain.terms import AssignmentRole, ClockName, Limit, LimitUnit, Mark, UnitId
from domain.units import BEGINNING

_WRITTEN: Final = LimitSource.WRITTEN
_LEAD: Final = AssignmentRole.LEAD


class Case:
    """One order under one law while its clocks are derived: what every clock function reads and appends to."""

    __slots__ = (
        "attributes",
        "changes",
        "closures",
        "found",
        "kernel",
        "known",
        "law",
        "newest",
        "of_class",
        "options",
        "order",
        "plan",
        "rules",
        "since",
        "until",
    )

    def __init__(self, order: WorkOrder, law: Law, rules: Rules) -> None:
        self.order = order
        self.law = law
        self.rules = rules
        self.options = rules.options
        # As the order is now; its episodes mostly had the same, and the very object, when they were dispatched.
        self.attributes = order.attributes
        self.of_class = of_class = rules.class_of(order.attributes)
        self.plan = rules.plan(of_class) if of_class is not None else None
        self.kernel = rules.kernel
        calendars = law.calendars
        self.newest = calendars.newest
        # The calendar known when a clock ended, and the span in which it was: a case's clocks mostly share one.
        self.since, self.until, self.known = calendars.last_window
        self.changes = order.changes
        # Every closure, also those undone since: a clock of an earlier round ended with the closure of that round.
        filing = order.filing
        self.closures: Sequence[tuple[Mark, object]] = filing.closures
        if not self.closures and filing.closed is not None:
            self.closures = ((filing.closed, None),)
        self.found: list[Clock] = []

    def read_with(self, calendar: Calendar) -> Case:
        """Return the same case, every clock of which is read with one calendar."""
        twin = Case(self.order, self.law, self.rules)
        twin.newest = twin.known = calendar
        twin.since, twin.until = BEGINNING, None
        return twin

    def closed_after(self, moment: Mark) -> Mark | None:
        """Return the first closure from a moment on."""
        for at, _ in self.closures:
            if at >= moment:
                return at
        return None

    def calendar(self, end: Mark | None) -> Calendar:
        """Return the calendar a clock is read with: the newest, or the one known when it ended (K11)."""
        if end is None:
            return self.newest
        at = end.at
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
        if stop is not None:
            end, cancel, cancelled_by = stop, None, ""
        else:
            end, ended = cancel, ""
            if end is None:
                cancelled_by = ""
        if limit is None:
            at, provisional = None, False
        else:
            if end is None:
                calendar = self.newest
            elif (at := end.at) >= self.since and (self.until is None or at < self.until):
                calendar = self.known
            else:
                calendar = self.calendar(end)
            due = calendar.due(start.at, limit, self.kernel)
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
            ended,
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


def class_at(case: Case, moment: Mark) -> ClassRule | None:
    """Return the class the order had at a moment."""
    if not case.changes:
        return case.of_class
    attributes = case.order.demand.attributes
    for change in case.changes:
        if change.at <= moment:
            attributes = change.after
    return case.rules.class_of(attributes)


def class_then(case: Case, episode: Episode, of_class: ClassRule, moment: Mark) -> ClassRule:
    """Return the class at a clock's own start: the episode's, unless the order was reclassified since."""
    if not case.changes:
        return of_class
    for change in case.changes:
        if episode.begun < change.at <= moment:
            of_class = case.rules.class_of(change.after) or of_class
    return of_class


def between(changes: Iterable[ClassChange], start: Mark, end: Mark | None) -> list[ClassChange]:
    return [c for c in changes if c.at > start and (end is None or c.at <= end)]


def _shortened(
    case: Case, clock: Clock, calendar: Calendar, change: ClassChange, new: ClassRule, limit: Limit
) -> tuple[Due, datetime]:
    """Return when `clock` falls due under a shorter class from `change` on, and what that is counted from.

    Nobody becomes late retroactively (R-35): where the limit had ended before the change, it is counted from the change.
    """
    if not (new.by_the_clock or limit.in_hours):
        from_start = calendar.due(clock.start.at, limit, case.kernel)
        if from_start.at >= change.at.at:
            return from_start, clock.start.at
    return calendar.due(change.at.at, limit, case.kernel), change.at.at


def as_moved(
    case: Case, clock: Clock, extensions: Sequence[Extension] = (), *, figure: ClockName | None = None
) -> Clock:
    """Return `clock` with every change of class and every extension applied, in the order they happened.

    `figure` names the clock whose figure it has, where that is not its own. A class that gives more time does not
    lengthen a limit that a person wrote: what is written on the instrument prevails (8.14).
    """
    if clock.due is None or not (case.changes or extensions):
        return clock
    end = clock.stop or clock.cancel
    calendar = case.calendar(end)
    happened: list[tuple[Mark, ClassChange | Extension]] = [(c.at, c) for c in between(case.changes, clock.start, end)]
    happened += [(x.decided, x) for x in extensions if x.approved and x.decided is not None]
    due, provisional, moves = clock.due, clock.provisional, list(clock.moves)
    granted: list[Limit] = []
    for at, what in sorted(happened, key=lambda pair: pair[0]):
        if isinstance(what, Extension):
            granted.append(Limit(amount=what.days, unit=LimitUnit(case.options.extension_unit)))
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


def _extended(case: Case, calendar: Calendar, at: Mark, due: datetime, added: Limit) -> tuple[Move, bool]:
    """Return the move by an extension, counted from the old due day (R-11), and whether it is provisional."""
    moved = calendar.extend(due, added, case.kernel)
    return Move(at, Why.EXTENSION, due, moved.at, due, added, anchored_at_due=True), moved.provisional


def limit_of(case: Case, episode: Episode, name: ClockName, start: Mark, limit: Limit | None) -> Limit | None:
    """Return the limit of a clock: one that the dispatch wrote where it is shorter, or where the rules give none."""
    said = episode.limits.get(name)
    if said is None or limit is None:
        return limit if said is None else said
    due = case.calendar(start).due  # as whoever wrote it could count: no later notice makes the other one bind
    return said if due(start.at, said, case.kernel).at < due(start.at, limit, case.kernel).at else limit


def ended_by(stop: Mark | None, cancel: Mark | None) -> tuple[Mark | None, Mark | None]:
    """Return what stopped a clock and what cancelled it: whichever came first. What is done afterwards undoes nothing."""
    if stop is None or cancel is None:
        return stop, cancel
    return (stop, None) if stop <= cancel else (None, cancel)


def lead_at(episode: Episode, moment: Mark | None) -> UnitId:
    """Return who led an episode at a moment; None: who leads it now, or led it last."""
    if moment is None:
        return episode.lead
    led = [a.unit for a in episode.assignments if a.role is _LEAD and a.given <= moment]
    return led[-1] if led else episode.lead


def first_of(*marks: Mark | None) -> Mark | None:
    first: Mark | None = None
    for mark in marks:
        if mark is not None and (first is None or mark < first):
            first = mark
    return first
