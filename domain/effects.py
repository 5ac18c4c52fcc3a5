"""后果. What the pack attaches to a case's clocks, and from when on: reminders, supervision, deeming, closing by itself.

`effects(order, found, law)` is what has not come about yet, each with the instant from which it may and the command
that brings it about. Whether that instant has come is asked with a `now` by whoever acts (supervision); so a table
can hold the next one. Pure; a unit is the one the duty was given to, who bears it now is `law.successor`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta
from functools import cache, lru_cache
from typing import Final

import msgspec

from domain.clocks import WINDOWS, Clock, Why
from domain.law import Law
from domain.packs import parse_limit
from domain.policy import Consequence, Does, Options, Rules
from domain.state import Notice, WorkOrder
from domain.steps import filing
from domain.steps.closing import CloseAfter, CloseMerged
from domain.steps.evaluation import Deem
from domain.steps.oversight import ISSUERS, NEXT, CloseNotice, EscalateNotice, IssueNotice, WithdrawNotice
from domain.terms import (
    SHANGHAI,
    Act,
    Citation,
    ClockName,
    Limit,
    LimitUnit,
    Mark,
    NoticeGround,
    NoticeKind,
    NoticeState,
    NoticeWithdrawal,
    OrderState,
    Reading,
    Role,
)

OF_NOTICES: Final = frozenset({ClockName.SUPV_REPLY, ClockName.ARRIVE_SITE, ClockName.SITE_RECORD})
"""Duties that a notice itself brings: where they are ignored, the ladder's next step follows, never a notice beside it."""

OF_NOTICES_THEMSELVES: Final = Citation(
    text="Huiyin 参数与裁量登记表 register of assumptions and decisions", article="3.6, 8.6", reading=Reading.ASSUMED
)
"""What the life of a notice itself rests on: no pack words it."""

_ANSWERED: Final = frozenset({OrderState.REPLIED, OrderState.EVALUATING})
_MOMENT: Final = timedelta(milliseconds=1)


class Effect(msgspec.Struct, frozen=True):
    """后果. Not come about yet; `command` brings it about, given by one of `by`, from `at` on and before `until`.

    `key` tells it from every other effect of its case, earlier and later ones included.
    """

    command: Act
    by: frozenset[Role]
    at: datetime
    key: str
    basis: Citation  # the pack's own words, or the assumption that fills them
    until: datetime | None = None  # a reminder's moment passes
    clock: Clock | None = None

    @property
    def by_itself(self) -> bool:
        """Tell whether no judgement is asked, so that the timer does it."""
        return Role.SYSTEM in self.by


def effects(order: WorkOrder, found: Sequence[Clock], law: Law) -> tuple[Effect, ...]:
    """Return what has not come about yet, in the order of the clocks; `found` are the case's clocks."""
    if order.filing.sealed is not None or order.assumed_policy:
        return ()  # what is sealed is read-only; a history run under an assumed pack is nobody's duty (8.15)
    case = _Case(order, law)
    made: list[Effect] = []
    for clock in found:
        if clock.running:
            made += _of_clock(case, clock)
    made += _of_notices(case, found)
    made += _of_streak(case)
    made += _of_merge(order)
    return tuple(made)


class _Case:
    """One order under the pack that binds it."""

    def __init__(self, order: WorkOrder, law: Law) -> None:
        self.order = order
        self.law = law
        self.rules: Rules = law.rules(order.policy)
        self.options: Options = self.rules.options
        of_class = self.rules.class_of(order.attributes)
        self.of_class = "" if of_class is None else of_class.name

    def rows(self, on: str, clock: ClockName | None) -> Sequence[Consequence]:
        """Return what the pack attaches: the clock's own words, else those about any clock."""
        return _rows(self.rules, self.of_class, on, clock)

    def row(self, on: str, clock: ClockName | None, *does: Does) -> Consequence | None:
        """Return the first row that does one of these."""
        return next((c for c in self.rows(on, clock) if c.does in does), None)

    def notices(self, clock: Clock, *kinds: NoticeKind) -> list[Notice]:
        """Return the notices of these kinds, or of any, that were issued about a clock."""
        return [
            n
            for n in self.order.oversight.notices
            if (not kinds or n.kind in kinds) and n.clock is clock.name and n.clock_key == clock.key
        ]


@lru_cache(maxsize=4096)
def _rows(rules: Rules, of_class: str, on: str, clock: ClockName | None) -> tuple[Consequence, ...]:
    told = [c for c in rules.pack.consequences if c.on == on and of_class in (c.classes or (of_class,))]
    return tuple([c for c in told if c.clock is clock] or [c for c in told if c.clock is None])


# --- of a running clock ------------------------------------------------------------------------------------------


def _of_clock(case: _Case, clock: Clock) -> Iterator[Effect]:
    if clock.name in WINDOWS:
        yield from _of_window(case, clock)
    elif clock.name is ClockName.RETURN:
        return  # a right: nobody is urged to use it, and nobody is late with it
    elif clock.due is None:
        yield from _again_and_again(case, clock)
    else:
        late_after = clock.due if clock.grace is None else max(clock.due, clock.grace)
        yield from _reminders(case, clock, clock.due)
        yield from _of_breach(case, clock, max(late_after, _since(case.order, clock).at))


def _since(order: WorkOrder, clock: Clock) -> Mark:
    """Return since when whoever bears a clock now has borne it: a lead that got the order later was told of nothing."""
    if clock.key.startswith("e") and clock.key[1:].isdecimal() and int(clock.key[1:]) <= len(order.episodes):
        leading = order.episodes[int(clock.key[1:]) - 1].leading
        if leading is not None and leading.unit == clock.unit:
            return max(clock.start, leading.given)
    return clock.start


def _of_window(case: _Case, clock: Clock) -> Iterator[Effect]:
    """What the end of the time to evaluate brings (K13: it holds from the end, whenever it is recorded)."""
    order, reply = case.order, filing.reply_now(case.order)
    if clock.due is None or reply is None or order.state not in _ANSWERED or clock.key != f"r{reply.no}":
        return
    command: Act
    if clock.name is ClockName.EVAL_WINDOW:
        row, command = case.row("expiry", clock.name, Does.DEEM), Deem()
        asked = case.options.deem
    elif clock.name is ClockName.CLOSE_AFTER:
        row, command = case.row("expiry", clock.name, Does.CLOSE), CloseAfter()
        asked = case.options.close_after
    else:
        return
    if row is not None and asked:
        yield Effect(
            command, command.roles, clock.due + _MOMENT, _key(command, clock, clock.due), row.basis, clock=clock
        )


def _of_breach(case: _Case, clock: Clock, late_after: datetime) -> Iterator[Effect]:
    """What follows where a duty is late and undone, once for each unit that lets it lie."""
    if clock.name in OF_NOTICES:
        yield from _next_step(case, clock, late_after)
        return
    for row in case.rows("breach", clock.name):
        match row.does:
            case Does.SUPERVISE:
                kind, ground = NoticeKind.SYSTEM, NoticeGround.OVERDUE
            case Does.WRITTEN_NOTICE:
                kind, ground = NoticeKind.WRITTEN, NoticeGround.OVERDUE
            case Does.REMIND:
                kind = NoticeKind.REMINDER
                told = clock.name is ClockName.INFORM_EXTENSION
                ground = NoticeGround.EXT_NOT_INFORMED if told else NoticeGround.OVERDUE
            case _:
                continue  # measured, or said elsewhere: a late return is an overdue item by itself
        if any(n.issued.at > late_after for n in case.notices(clock, kind)):
            continue
        command = IssueNotice(
            kind=kind,
            ground=ground,
            unit=_unit(case, clock.unit),
            clock=clock.name,
            clock_key=clock.key,
            article=row.basis,
        )
        yield Effect(
            command, ISSUERS[kind], late_after + _MOMENT, _key(command, clock, late_after, kind), row.basis, clock=clock
        )


def _next_step(case: _Case, clock: Clock, late_after: datetime) -> Iterator[Effect]:
    """The step after a notice that was ignored: none is skipped, and a person takes it (3.6, 8.6)."""
    no = int(clock.key[1:].partition(".")[0])
    notice = case.order.oversight.notices[no - 1]
    steps = NEXT.get(notice.kind, frozenset[NoticeKind]())
    if not notice.open or not steps:
        return
    named = case.row("breach", clock.name, Does.CIRCULAR)
    if named is not None and NoticeKind.CIRCULAR in steps:
        to, row = NoticeKind.CIRCULAR, named
    else:
        to = next((k for k in map(NoticeKind, case.options.ladder) if k in steps), min(steps))
        row = case.row("ignored", None, Does.CIRCULAR)
    by = EscalateNotice.roles & ISSUERS.get(to, frozenset({Role.HOTLINE_MANAGER}))
    command = EscalateNotice(notice=no, to=to)
    basis = OF_NOTICES_THEMSELVES if row is None else row.basis
    yield Effect(command, by, late_after + _MOMENT, _key(command, clock, late_after, to), basis, clock=clock)


# --- reminders ---------------------------------------------------------------------------------------------------


def _reminders(case: _Case, clock: Clock, due: datetime) -> Iterator[Effect]:
    """The reminders still ahead or due: each is current until the next one's moment, the last until the due instant."""
    row = case.row("due", clock.name, Does.REMIND)
    if row is None:
        return
    moments = [m for m in moments_of(clock, due, case.options, case.law) if clock.start.at < m[0] < due]
    last = max((n.issued.at for n in case.notices(clock)), default=None)  # who was supervised needs no reminder
    for place, (at, code) in enumerate(moments):
        if last is None or last < at:
            until = moments[place + 1][0] if place + 1 < len(moments) else due
            yield _reminder(case, clock, row, at, until, code)


def _reminder(case: _Case, clock: Clock, row: Consequence, at: datetime, until: datetime | None, code: str) -> Effect:
    used = {n.reminder for n in case.notices(clock, NoticeKind.REMINDER)}
    if code in used:  # its due instant moved on, or a day went by: the step comes again, and says of when
        code = f"{code} {at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
    command = IssueNotice(
        kind=NoticeKind.REMINDER,
        ground=NoticeGround.FALLING_DUE,
        unit=_unit(case, clock.unit),
        clock=clock.name,
        clock_key=clock.key,
        article=row.basis,
        reminder=code,
    )
    kind = NoticeKind.REMINDER
    return Effect(command, ISSUERS[kind], at, _key(command, clock, at, kind), row.basis, until, clock)


def moments_of(clock: Clock, due: datetime, options: Options, law: Law) -> list[tuple[datetime, str]]:
    """Return when a duty is to be reminded of and what each reminder is called, the earliest first (A-10, 8.14)."""
    limit = next((m.limit for m in reversed(clock.moves) if m.why is Why.RECLASSIFIED), clock.limit)
    if limit is None:
        return []
    span = due - clock.start.at if limit.until is not None else _length(limit)
    if limit.in_hours or span < timedelta(days=1):
        ahead = max(timedelta(minutes=10), span / 5)
        return [(due - ahead, f"{round(ahead / timedelta(minutes=1))} minutes")]
    told = options.remind_before if span >= timedelta(days=options.remind_from) else ("due day 09:00",)
    return sorted((_moment(text, due, law, clock.rules), text) for text in told)


_UNITS: Final = {
    LimitUnit.MINUTES: timedelta(minutes=1),
    LimitUnit.HOURS: timedelta(hours=1),
    LimitUnit.NATURAL_DAYS: timedelta(days=1),
    LimitUnit.WORKING_DAYS: timedelta(days=1),
    LimitUnit.MONTHS: timedelta(days=30),
}
"""How long a limit is, where only long and short are told apart."""


def _length(limit: Limit) -> timedelta:
    return timedelta() if limit.unit is None else limit.amount * _UNITS[limit.unit]


_limit = cache(parse_limit)


def _moment(text: str, due: datetime, law: Law, rules: Rules) -> datetime:
    """Return the instant of one reminder; the due day is the one at whose end a limit ends (K4)."""
    if text.startswith("due day "):
        day = (due - timedelta.resolution).astimezone(SHANGHAI).date()
        return datetime.combine(day, time.fromisoformat(text.removeprefix("due day ")), SHANGHAI)
    return law.calendar().before(due, _limit(text, "remind_before"), rules.kernel).at


def _again_and_again(case: _Case, clock: Clock) -> Iterator[Effect]:
    """The next reminder of a duty without figure that the pack has reminded of at intervals (A-21).

    Its moments are counted from the duty's start, so that a late sweep sends the current one and none of those missed.
    """
    every, row = case.options.progress_reminder, case.row("due", clock.name, Does.REMIND)
    if clock.name is not ClockName.PROGRESS or every is None or row is None or row.clock is None:
        return
    step = _length(every)
    last = max((n.issued.at for n in case.notices(clock, NoticeKind.REMINDER)), default=clock.start.at)
    at = clock.start.at + ((last - clock.start.at) // step + 1) * step
    yield _reminder(case, clock, row, at, None, f"{at.astimezone(SHANGHAI):%H:%M}")


# --- of notices, findings, merging -------------------------------------------------------------------------------


def _of_notices(case: _Case, found: Sequence[Clock]) -> Iterator[Effect]:
    """The end of the timer's own notices: withdrawn where nobody is late any more, struck off where the duty is over."""
    for notice in case.order.oversight.notices:
        timers = notice.kind is NoticeKind.SYSTEM and notice.ground is NoticeGround.OVERDUE
        if not timers or notice.state not in (NoticeState.ISSUED, NoticeState.SERVED):
            continue  # a reply is judged by a person
        clock = next((c for c in found if c.name is notice.clock and c.key == notice.clock_key), None)
        if clock is None:
            continue
        command: Act
        if _not_late_after_all(clock, notice):
            command = WithdrawNotice(notice=notice.no, reason=_why_withdrawn(case.order, clock, notice))
        elif not clock.running and notice.limit is None:
            command = CloseNotice(notice=notice.no)
        else:
            continue
        key = f"{_tag(command)}:n{notice.no}.{notice.turn}"
        yield Effect(command, command.roles, notice.issued.at, key, OF_NOTICES_THEMSELVES, clock=clock)


def _not_late_after_all(clock: Clock, notice: Notice) -> bool:
    if clock.running:
        return clock.due is not None and max(clock.due, clock.grace or clock.due) > notice.issued.at
    end = clock.stop or clock.cancel
    return end is not None and not clock.breached(end.at)


def _why_withdrawn(order: WorkOrder, clock: Clock, notice: Notice) -> NoticeWithdrawal:
    if any(m.why is Why.EXTENSION and m.at > notice.issued for m in clock.moves):
        return NoticeWithdrawal.EXTENSION_APPROVED
    if any(c.recorded > notice.issued for c in order.corrections):
        return NoticeWithdrawal.CORRECTED
    return NoticeWithdrawal.CALENDAR_REVISED


def _of_streak(case: _Case) -> Iterator[Effect]:
    """Supervision of a unit whose replies brought nothing new (R-15), once for each finding."""
    quality = case.order.quality
    finding, row = quality.not_handled, case.row("hit", None, Does.SUPERVISE)
    if finding is None or row is None or not quality.streak_unit:
        return
    ground = NoticeGround.DEEMED_NOT_HANDLED
    if any(n.ground is ground and n.issued >= finding for n in case.order.oversight.notices):
        return
    command = IssueNotice(
        kind=NoticeKind.SYSTEM, ground=ground, unit=_unit(case, quality.streak_unit), article=row.basis
    )
    key = f"{_tag(command)}:{ground}:{finding.position}"
    yield Effect(command, ISSUERS[NoticeKind.SYSTEM], finding.at, key, row.basis)


def _of_merge(order: WorkOrder) -> Iterator[Effect]:
    """The closing of a child whose applicant was told; whether its master is closed, the command asks (8.4)."""
    merge = order.links.merge
    if order.state is not OrderState.MERGED or merge is None or merge.undone is not None or merge.told is None:
        return
    command = CloseMerged(master=merge.master)
    yield Effect(command, command.roles, merge.told.at, f"{_tag(command)}:{merge.at.position}", OF_NOTICES_THEMSELVES)


# --- what they are told apart by ---------------------------------------------------------------------------------


def _unit(case: _Case, unit: str) -> str:
    return unit or case.law.hotline_unit


def _tag(command: Act) -> str:
    return str(command.__struct_config__.tag)


def _key(command: Act, clock: Clock, instant: datetime, kind: NoticeKind | None = None) -> str:
    named = _tag(command) if kind is None else f"{_tag(command)}:{kind}"
    at = instant.astimezone(SHANGHAI)  # written part by part: a format of dates takes half as long again
    day, time = f"{at.year}{at.month:02}{at.day:02}", f"{at.hour:02}{at.minute:02}{at.second:02}.{at.microsecond:06}"
    return f"{named}:{clock.name}:{clock.key}:{day}T{time}"
