"""The general guards that every step asks: state, ownership, separation of duties, the law that binds the order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, cast, get_args

import msgspec

from domain.calendar import FIRST_YEAR, LAST_YEAR
from domain.clocks import Clock, clock_of
from domain.context import Context
from domain.policy import ClassRule, Pack, Rules
from domain.refusals import (
    AccusedUnit,
    HotlineNotOrganizer,
    InstantAhead,
    InstantUncountable,
    LimitInPast,
    LimitLonger,
    LimitRequired,
    LimitTooLong,
    LimitUncountable,
    NotCoOrganizer,
    NotYourUnit,
    OrderSealed,
    ReviewerHandled,
    RoleNotAllowed,
    SelfApproval,
    TextNotPlain,
    UnitInactive,
    UnknownUnit,
    WrongState,
)
from domain.state import Assignment, Episode, WorkOrder
from domain.terms import (
    SHANGHAI,
    AssignmentRole,
    ClockName,
    Confidentiality,
    DemandType,
    Limit,
    LimitUnit,
    OrderState,
    Private,
    Role,
    UnitId,
    UserId,
)

UNDISPATCHED = (
    OrderState.REGISTERED,
    OrderState.AWAITING_SUPPLEMENT,
    OrderState.AWAITING_DISPATCH,
    OrderState.COORDINATING,
)
HANDLED = (OrderState.DISPATCHED, OrderState.WORKING, OrderState.RETURN_REVIEW)
ANSWERED = (OrderState.REPLIED, OrderState.EVALUATING)
_ORGANIZERS = (Role.ORG_HANDLER, Role.ORG_APPROVER)
OPEN = (*UNDISPATCHED, *HANDLED, *ANSWERED)
ENDED = (OrderState.CLOSED, OrderState.ARCHIVED, OrderState.NOT_ACCEPTED)


# --- what can be counted at all ----------------------------------------------------------------------------------

_MOST = {
    LimitUnit.MINUTES: 5_256_000,
    LimitUnit.HOURS: 87_600,
    LimitUnit.NATURAL_DAYS: 3_650,
    LimitUnit.WORKING_DAYS: 2_500,
    LimitUnit.MONTHS: 120,
}
"""Ten years. Nothing that a hotline writes runs longer, and whatever is shorter ends inside the calendar."""


_OF_THE_PAST = "happened_at"
"""When the matter itself happened: a date of long ago is one that no clock starts from."""


def countable(said: msgspec.Struct) -> None:
    """Refuse an instant without zone or out of reach, and a limit of nothing: once recorded, no clock could be read.

    Raises InstantUncountable and LimitUncountable, naming the field.
    """
    for field, found in _times(said, ""):
        if isinstance(found, Limit):
            if not _is_limit(found):
                raise LimitUncountable(f"{field}: {found.amount} {found.unit or '-'} {found.until or ''}".strip())
        elif isinstance(found, datetime) and not field.endswith(_OF_THE_PAST):
            _datable(found, f"{field}: ")
        elif not 1900 <= found.year <= 2099 or (isinstance(found, datetime) and found.utcoffset() is None):
            raise InstantUncountable(f"{field}: {found.isoformat()}")


def datable(instant: datetime) -> None:
    """Refuse an instant at which nothing can have happened that a clock starts from. Raises InstantUncountable."""
    _datable(instant, "")


def _datable(instant: datetime, field: str) -> None:
    if instant.utcoffset() is None or not FIRST_YEAR < instant.year < LAST_YEAR:
        raise InstantUncountable(f"{field}{instant.isoformat()}")


def _is_limit(limit: Limit) -> bool:
    """Tell whether a limit says one thing: an instant, or an amount of a unit that comes to an end."""
    if limit.until is not None:
        return limit.unit is None and limit.amount == 0
    return limit.unit is not None and 1 <= limit.amount <= _MOST[limit.unit]


def _times(value: object, path: str) -> Iterator[tuple[str, datetime | date | Limit]]:
    """Yield every instant, day and limit in a struct, with its field; a pack's own are checked when it is loaded."""
    match value:
        case datetime() | date():
            yield path, value
        case Pack():
            return
        case msgspec.Struct():
            if isinstance(value, Limit):
                yield path, value
            for name in _timed_fields(type(value)):
                if (held := getattr(value, name)) is not None:
                    yield from _times(held, f"{path}.{name}" if path else name)
        case tuple():
            for index, one in enumerate(cast("tuple[Any, ...]", value)):
                yield from _times(one, f"{path}.{index}")
        case Mapping():
            for key, one in cast("Mapping[Any, Any]", value).items():
                yield from _times(one, f"{path}.{key}")
        case _:
            return


@cache
def _timed_fields(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """Return the fields of a struct in which an instant, a day or a limit may lie: most have none, and imports are long."""
    return tuple(field.name for field in msgspec.structs.fields(kind) if _may_hold_time(field.type, frozenset()))


def _may_hold_time(hint: Any, seen: frozenset[Any]) -> bool:
    if not isinstance(hint, type):
        return hint is Any or any(_may_hold_time(part, seen) for part in get_args(hint))
    if issubclass(hint, msgspec.Struct):
        if hint in seen or hint.__subclasses__():
            return hint not in seen  # one that others are made from may hold what they do
        return hint is Limit or any(_may_hold_time(field.type, seen | {hint}) for field in msgspec.structs.fields(hint))
    return issubclass(hint, date) or any(_may_hold_time(part, seen) for part in get_args(hint))


# --- the order ---------------------------------------------------------------------------------------------------


def in_state(order: WorkOrder, *states: OrderState) -> None:
    """Refuse unless the order is in one of `states`. Raises WrongState, naming the present one."""
    if order.state not in states:
        raise WrongState(f"现状 now: {order.state}; 可行 allowed: {', '.join(states)}", state=order.state)


def binding(order: WorkOrder, context: Context) -> Rules:
    """Return the pack that binds the order (K12)."""
    return context.law.rules(order.policy)


def class_now(order: WorkOrder, context: Context) -> ClassRule:
    """Return the order's class under its own pack, from its attributes as they are now."""
    found = binding(order, context).class_of(order.attributes)
    if found is None:
        raise AssertionError("a city's pack has a class for every demand; an overlay binds no order")
    return found


def episode_of(order: WorkOrder) -> Episode:
    """Return the running episode. Raises WrongState where nothing is dispatched."""
    if not order.episodes or order.episodes[-1].ended is not None:
        raise WrongState("尚未派单 not dispatched", state=order.state)
    return order.episodes[-1]


def acts_for(context: Context, unit: UnitId) -> bool:
    """Tell whether the actor's unit is this one, or has succeeded it (8.11)."""
    context.until(context.law.next_unit_change(context.now))
    return bool(unit) and context.actor.unit in (unit, context.law.successor(unit, context.now))


def held(order: WorkOrder, context: Context) -> list[Assignment]:
    """Return the open assignments of the actor's unit and of those it succeeded, the lead's first, then its own.

    A unit that takes over from another may hold several in one order, and owes what each of them owes (8.3, 8.11).
    """
    unit = context.actor.unit
    found = [
        a
        for a in episode_of(order).assignments
        if a.ended is None and a.role is not AssignmentRole.SUPERVISING and acts_for(context, a.unit)
    ]
    return sorted(found, key=lambda a: (a.role is not AssignmentRole.LEAD, a.unit != unit))


def still_there(context: Context) -> None:
    """Refuse the people of a unit that others have succeeded: its duties are theirs (8.11). Raises UnitInactive."""
    unit, law = context.actor.unit, context.law
    context.until(law.next_unit_change(context.now))
    if unit and law.successor(unit, context.now) != unit:
        raise UnitInactive(f"已由其他单位承继 succeeded: {unit}", unit=unit)


def holding(order: WorkOrder, context: Context) -> Assignment:
    """Return the first assignment that the actor's unit holds. Raises NotYourUnit."""
    found = held(order, context)
    if not found:
        raise NotYourUnit(f"unit: {context.actor.unit or '-'}", unit=context.actor.unit)
    return found[0]


def leading(order: WorkOrder, context: Context) -> Assignment:
    """Return the lead's assignment if the actor's unit holds it. Raises NotYourUnit."""
    found = holding(order, context)
    if found.role is not AssignmentRole.LEAD:
        raise NotYourUnit("须由主办单位 for the lead only", unit=context.actor.unit)
    return found


def joining(order: WorkOrder, context: Context) -> Assignment:
    """Return a co-organizer's assignment that the actor's unit holds. Raises NotYourUnit, NotCoOrganizer."""
    first = holding(order, context)
    found = next((a for a in held(order, context) if a.role is AssignmentRole.CO), None)
    if found is None:
        raise NotCoOrganizer(f"unit: {first.unit}", unit=first.unit)
    return found


def another_person(context: Context, *earlier: str) -> None:
    """Refuse the person who did the earlier half of a two-person act (8.12). Raises SelfApproval."""
    if context.actor.user in earlier and context.actor.role is not Role.SYSTEM:
        raise SelfApproval(f"user: {context.actor.user}", user=context.actor.user)


def clock(order: WorkOrder, context: Context, name: ClockName, key: str | None = None) -> Clock | None:
    """Return the newest clock of that name (or the one with this key), as it stands now."""
    return clock_of(order, context.law, name, key)


def due(order: WorkOrder, context: Context, name: ClockName) -> datetime | None:
    """Return when the newest clock of that name falls due; None where it has no figure or does not run."""
    found = clock(order, context, name)
    return found.due if found is not None else None


def said(text: Private | None) -> bool:
    """Tell whether a text says something; a sealed one was looked at before it was sealed."""
    return text is not None and (not isinstance(text, str) or bool(text.strip()))


def reached_at(unit: UnitId, context: Context) -> str:
    """Return where a unit is rung up, as a refusal names it; empty where its contact was never registered."""
    found = context.law.units.contact(unit, context.now)
    return "" if found is None else f"{unit}: {found.line}"


def within_reach(unit: UnitId, context: Context) -> bool:
    """Tell whether what is sent to a unit's system arrives: not while it is down (8.11), and then it is told by phone."""
    for outage in context.law.outages:
        context.until(outage.from_at)
        context.until(outage.until)
    return context.law.outage_at(context.now, unit) is None


def unsealed(order: WorkOrder) -> None:
    """Refuse an order whose file is sealed. Raises OrderSealed."""
    if order.filing.sealed is not None:
        raise OrderSealed(order.filing.file_number or order.number)


def active_unit(unit: UnitId, context: Context) -> None:
    """Refuse a unit that does not exist now. Raises UnknownUnit, UnitInactive."""
    if context.law.unit(unit) is None:
        raise UnknownUnit(unit)
    context.until(context.law.next_unit_change(context.now))
    if not context.law.active(unit, context.now):
        raise UnitInactive(unit)


def day_over(context: Context, day: date) -> bool:
    """Tell whether a day, its 24:00 included, lies behind (K4)."""
    return context.passed(datetime(day.year, day.month, day.day, tzinfo=SHANGHAI) + timedelta(days=1))


def not_ahead(context: Context, instant: datetime) -> None:
    """Refuse an instant that lies ahead: what is told of has happened. Raises InstantAhead."""
    if not context.passed(instant - timedelta.resolution):  # now > t − 1 µs is now ≥ t
        raise InstantAhead(instant.isoformat())


def next_higher(unit: UnitId, context: Context) -> UnitId:
    """Return the next-higher unit; above a first-level unit stands the hotline's management (R-37)."""
    context.until(context.law.next_unit_change(context.now))
    return context.law.parent(unit, context.now) or context.law.hotline_unit


def complained_of(order: WorkOrder, context: Context, unit: UnitId) -> bool:
    """Tell whether `unit` is one complained of, stands below one, or is an heir of one, the second and third included.

    Everybody stands below the hotline: a complaint about the hotline bars nobody else.
    """
    law, now = context.law, context.now
    if not order.demand.accused or not unit:
        return False
    context.until(law.next_unit_change(now))
    return any(
        unit == heir or (heir != law.hotline_unit and law.is_within(unit, heir, now))
        for against in order.demand.accused
        for heir in law.heirs(against, now)
    )


def accused(order: WorkOrder, context: Context, unit: UnitId) -> bool:
    """Tell whether `unit` is complained of in a way that keeps it from handling (8.14)."""
    if not complained_of(order, context, unit):
        return False
    protected = order.confidentiality is Confidentiality.INFORMANT
    report = order.attributes.demand_type is DemandType.REPORT
    return protected or report or not binding(order, context).options.accused_may_handle


def may_handle(order: WorkOrder, context: Context, unit: UnitId) -> None:
    """Refuse a unit that cannot take part. Raises UnknownUnit, UnitInactive, HotlineNotOrganizer, AccusedUnit."""
    active_unit(unit, context)
    if unit == context.law.hotline_unit:
        raise HotlineNotOrganizer(unit)
    if accused(order, context, unit):
        raise AccusedUnit(unit)


def handled(order: WorkOrder, user: UserId) -> bool:
    """Tell whether a person took part in handling: acted for an organizer, drafted or signed off a reply."""
    if any(signer == user and role in _ORGANIZERS for signer, role in order.signers):
        return True
    if any(user in (r.drafted_by, r.approved_by) for r in order.replies):
        return True
    return any(user in (a.handler, a.signed_by) for e in order.episodes for a in e.assignments)


def not_handled(order: WorkOrder, context: Context) -> None:
    """Refuse whoever handled the order to judge it (4.1). Raises ReviewerHandled."""
    if handled(order, context.actor.user):
        raise ReviewerHandled(f"user: {context.actor.user}", user=context.actor.user)


def manages(order: WorkOrder, context: Context) -> bool:
    """Tell whether the actor decides for the hotline's management: it does itself, or who judges in its stead."""
    return context.actor.role is Role.HOTLINE_MANAGER or instead_of_hotline(order, context)


def instead_of_hotline(order: WorkOrder, context: Context) -> bool:
    """Tell whether the actor judges in the hotline's stead, because the complaint is about the hotline itself.

    Nobody in the hotline may judge then, and only the hotline has a management: so the government's office does
    (COORDINATOR of another unit), or the case could never be closed by judgement (6.1, 8.14).
    """
    options = binding(order, context).options
    return (
        context.actor.role is Role.COORDINATOR
        and not options.accused_may_judge
        and complained_of(order, context, context.law.hotline_unit)
        and not complained_of(order, context, context.actor.unit)
    )


def judging(order: WorkOrder, context: Context) -> None:
    """Refuse whoever handled the order, and everybody of the unit complained of: no party judges itself (4.1, 8.14).

    Raises ReviewerHandled, AccusedUnit, and RoleNotAllowed for an office that has nothing to judge here.
    """
    actor = context.actor
    if actor.role is Role.COORDINATOR and not instead_of_hotline(order, context):
        raise RoleNotAllowed("只在被诉单位为热线时 only where the complaint is about the hotline", role=actor.role)
    not_handled(order, context)
    if not binding(order, context).options.accused_may_judge and complained_of(order, context, actor.unit):
        raise AccusedUnit(f"unit: {actor.unit}", unit=actor.unit)


def shorter_limit(order: WorkOrder, limit: Limit, context: Context) -> None:
    """Refuse a limit of a redo or a reopening that is over, or longer than the class's own (S1-T10, 8.4).

    Both are counted from now, so that days and hours can be compared. Raises LimitInPast, LimitTooLong, LimitLonger.
    """
    rules = binding(order, context)
    if context.passed(limit.until):
        raise LimitInPast(f"{limit.until}")
    written_limit(limit, rules, context)
    if longer_than(limit, rules.limit(ClockName.HANDLE, class_now(order, context)), rules, context):
        raise LimitLonger


def longer_than(limit: Limit, figure: Limit | None, rules: Rules, context: Context) -> bool:
    """Tell whether a written limit ends later than the rules' own figure, both counted from now."""
    if figure is None:
        return False
    calendar = context.law.calendar()
    return calendar.due(context.now, limit, rules.kernel).at > calendar.due(context.now, figure, rules.kernel).at


def written_limit(limit: Limit, rules: Rules, context: Context) -> None:
    """Refuse a written limit that says nothing, is over already, or is longer than the rules allow (S2-T4)."""
    if (limit.until is None) is (limit.unit is None) or (limit.until is None and limit.amount < 1):
        raise LimitRequired("时限不明 unclear")
    if context.passed(limit.until):
        raise LimitRequired(f"已过 over: {limit.until}")
    longest = rules.options.max_total
    if longest is None:
        return
    calendar = context.law.calendar()
    cap = calendar.due(context.now, longest, rules.kernel).at
    if calendar.due(context.now, limit, rules.kernel).at > cap:
        raise LimitTooLong(cap.isoformat(), cap=cap)


def units_known(units: Iterable[UnitId], context: Context) -> None:
    """Refuse a unit that is not registered."""
    for unit in units:
        if context.law.unit(unit) is None:
            raise UnknownUnit(unit)


UNPLAIN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Characters that a screen obeys instead of showing them."""


def is_plain(text: str) -> bool:
    """Tell whether a text that everybody is shown holds nothing that repaints a screen or turns what stands beside it."""
    return UNPLAIN.search(text) is None


def plain(*texts: str) -> None:
    """Refuse texts, shown to everybody, that hold what a screen obeys."""
    if not all(map(is_plain, texts)):
        raise TextNotPlain
