"""去标识办理过程 (DOMAIN 4.3, 8.10). How one listed order went, for overseers: steps, units, codes and days, nobody and no text.

What is not named here is not told: a new event or field of the domain stays inside until somebody decides that overseers
read it. Days are counted from the registration, whose date is not said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

import msgspec

from domain.clocks import Clock, clocks
from domain.duties import title_of
from domain.law import Law
from domain.order import fold
from domain.steps.correcting import TextReleasedForOversight
from domain.terms import SHANGHAI, ClockName, Entry, Role, Word

_TOLD: Final = """
order_registered
supplement_requested
order_supplemented
direct_answered
three_way_call_held unit resolved
call_transferred unit resolved
caller_referred unit
order_dispatched lead kind
dispatch_recalled
assignment_signed unit late
assignment_transferred unit
return_escalated unit
return_escalation_accepted unit
return_escalation_rejected
return_requested unit ground late
return_withdrawn
return_approved
return_rejected
dispute_raised unit
dispute_ruled unit stays
co_organizer_added unit
co_organizer_removed unit
co_objection_raised unit ground
co_opinion_submitted late
coordination_meeting_held units
whistle_blown unit
whistle_responded unit
applicant_contacted unit reached
initial_response_submitted late
progress_reported late
site_visited unit
site_arrived unit late
site_verified unit late
extension_requested unit days
extension_approved unit days
extension_rejected unit
extension_informed late
reply_submitted unit outcome verified late research hindrance
reply_reviewed accepted
applicant_informed about reached
explanation_recorded unit
follow_up_committed unit
follow_up_done unit late
follow_up_rejected
deemed_not_handled unit
redo_ordered ground unit
order_withdrawn
order_closed kind note_reason
order_reopened ground
order_archived
supervision_notice_issued kind ground unit
supervision_notice_served
supervision_reply_submitted
supervision_reply_accepted
supervision_reply_rejected
supervision_escalated
supervision_notice_withdrawn
supervision_closed
text_released_for_oversight
"""
TOLD: Final[Mapping[str, tuple[str, ...]]] = {
    words[0]: tuple(words[1:]) for line in _TOLD.strip().split("\n") if (words := line.split())
}
"""The events of an order that overseers are told of, each with the codes, units and figures that are said with it."""

TIMED: Final = frozenset(
    {
        ClockName.DISPATCH,
        ClockName.SIGN,
        ClockName.TRANSFER,
        ClockName.RETURN,
        ClockName.INIT_RESPONSE,
        ClockName.PROGRESS,
        ClockName.HANDLE,
        ClockName.STATUTORY,
        ClockName.CO_REPLY,
        ClockName.EXTENSION_DECISION,
        ClockName.INFORM_EXTENSION,
        ClockName.FOLLOW_UP,
        ClockName.SUPV_REPLY,
    }
)
"""The clocks that overseers are told of: what the hotline and the units have to do, and by when."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """环节. On which day since the registration, which is the first; what; by whom; and the codes that say how."""

    day: int
    step: str
    title: str
    by: str  # the unit, or the applicant
    codes: dict[str, Any] = {}


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """时限. Due on which day since the registration, ended on which, and how many days late."""

    clock: str
    title: str
    unit: str
    due_day: int | None
    ended_day: int | None
    late_days: (
        int  # of one that has ended; of one that runs its status says so: days up to a known one would tell which
    )
    status: str
    article: str


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """办理过程. Of one order, up to where its period was closed."""

    title: str
    days: int  # from the registration to the last step
    steps: tuple[Step, ...]
    limits: tuple[Limit, ...]


def timeline(entries: Sequence[Entry], law: Law, at: datetime) -> Timeline:
    """Return how an order went, by its entries; units are called what they were, and clocks stand as at an instant."""
    order = fold(entries)
    assert order is not None
    first = _day(order.registered.at)
    steps = tuple(_steps(entries, law, first))
    found = tuple(_limit(clock, law, first, at) for clock in clocks(order, law) if clock.name in TIMED)
    return Timeline(title=order.demand.title, days=max(step.day for step in steps), steps=steps, limits=found)


def _steps(entries: Sequence[Entry], law: Law, first: date) -> Iterator[Step]:
    for entry in entries:
        name = str(entry.event.__struct_config__.tag).partition(".")[2]
        if name not in TOLD:
            continue
        said = {field: _said(getattr(entry.event, field), field, law, entry.at) for field in TOLD[name]}
        unit = entry.actor.unit or law.hotline_unit
        yield Step(
            day=(_day(entry.at) - first).days + 1,
            step=name,
            title=title_of(type(entry.event)),
            by=Role.CITIZEN.zh if entry.actor.role is Role.CITIZEN else law.unit_name(unit, entry.at),
            codes={field: value for field, value in said.items() if value not in (None, "", False, [])},
        )


_UNITS: Final = frozenset({"unit", "lead", "units"})


def _said(value: Any, field: str, law: Law, at: datetime) -> Any:
    """Return a code in its official words, a unit by its name; a figure as it is."""
    if field in _UNITS:
        names = [law.unit_name(unit, at) for unit in ([value] if isinstance(value, str) else value) if unit]
        return "、".join(names)
    return value.zh if isinstance(value, Word) else value


def _limit(clock: Clock, law: Law, first: date, at: datetime) -> Limit:
    end = clock.stop or clock.cancel
    late = timedelta() if clock.due is None or end is None or end.at <= clock.due else end.at - clock.due
    return Limit(
        clock=clock.name,
        title=clock.rule.title,
        unit=law.unit_name(clock.unit or law.hotline_unit, at),
        due_day=None if clock.due is None else (_day(clock.due) - first).days + 1,
        ended_day=None if end is None else (_day(end.at) - first).days + 1,
        late_days=-(-late // timedelta(days=1)),
        status=str(clock.status(at)),
        article=clock.rule.basis.article,
    )


def _day(at: datetime) -> date:
    return at.astimezone(SHANGHAI).date()


def released_text(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return the entries by which somebody released a summary for overseers, the newest last (8.10)."""
    return tuple(entry for entry in entries if isinstance(entry.event, TextReleasedForOversight))
