"""Clocks of whole orders under another calendar, another moment, another class (6.1.2, K11, R-33, R-35)."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from domain import institution
from domain.calendar import CalendarYear, OffSpan
from domain.clocks import Clock, clock_of, clocks
from domain.law import Law
from domain.state import WorkOrder
from domain.steps.classifying import OrderReclassified
from domain.terms import Attributes, ClockName, Entry, Sealed
from tests import given as city
from tests.properties.aims import attributes
from tests.properties.town import PACKS
from tests.properties.walking import Walk

COUNTED_BACK = frozenset({ClockName.CO_REPLY})
"""A working day before the lead's due (A-08): a day off in between brings it forward, as it should."""


def with_day_off(law: Law, day: date, known: datetime) -> Law | None:
    """The law after a later notice gave one more day off; None where the day was off already."""
    held = law.calendars.latest(day.year)
    if held is None or not law.calendar().is_working_day(day):
        return None
    makeup = tuple(one for one in held.makeup if one.day != day)
    off = sorted((*held.off, OffSpan(holiday=held.off[0].holiday, first=day, last=day)), key=lambda span: span.first)
    year = msgspec.structs.replace(held, version=held.version + 1, off=tuple(off), makeup=makeup)
    return revised(law, year, known)


def revised(law: Law, year: CalendarYear, known: datetime) -> Law:
    """The law after a calendar was revised at an instant."""
    entry = Entry(
        event=institution.CalendarRevised(calendar=year, proposal=1),
        stream="institution",
        version=law.version + 1,
        position=1,
        recorded_at=known,
        actor=city.ADMIN,
    )
    return institution.evolve(law, entry)


def some_orders(seed: int, steps: int = 15) -> Iterator[tuple[WorkOrder, Law, datetime]]:
    walk = Walk(seed)
    walk.go(steps)
    for order in walk.town.orders.values():
        yield order, walk.town.law, walk.town.now


def paired(order: WorkOrder, one: Law, other: Law) -> Iterator[tuple[Clock, Clock]]:
    yield from zip(clocks(order, one), clocks(order, other), strict=True)


@given(st.integers(0, 2**63), st.integers(-20, 40))
def test_a_day_off_more_makes_nothing_fall_due_earlier(seed: int, ahead: int):
    for order, law, now in some_orders(seed):
        another = with_day_off(law, (now + timedelta(days=ahead)).date(), now)
        if another is None:
            continue
        for before, after in paired(order, law, another):
            if before.due is None or after.due is None or before.name in COUNTED_BACK:
                continue
            assert after.due >= before.due, f"{before.name} {before.key}: {before.due} → {after.due}"


@given(st.integers(0, 2**63), st.integers(-60, 5))
def test_a_calendar_revised_later_leaves_what_ended_before_as_it_was(seed: int, ahead: int):
    for order, law, now in some_orders(seed):
        another = with_day_off(law, (now + timedelta(days=ahead)).date(), now + timedelta(seconds=1))
        if another is None:
            continue
        for before, after in paired(order, law, another):
            if not before.running:
                assert (after.due, after.moves) == (before.due, before.moves), f"{before.name} {before.key}"


@given(st.integers(0, 2**63))
def test_the_same_history_and_law_give_the_same_clocks(seed: int):
    first, second = list(some_orders(seed)), list(some_orders(seed))
    for (order, law, _), (again, same, _) in zip(first, second, strict=True):
        assert order == again
        assert [(c.name, c.key, c.start, c.due, c.stop, c.cancel) for c in clocks(order, law)] == [
            (c.name, c.key, c.start, c.due, c.stop, c.cancel) for c in clocks(again, same)
        ]


# --- changes of class --------------------------------------------------------------------------------------------


class Changed(msgspec.Struct, frozen=True):
    """A change of class at an instant."""

    at: datetime
    to: Attributes
    lengthens: bool


def handled_since(pack: str, start: datetime, was: Attributes, changes: list[Changed]) -> WorkOrder:
    """An order dispatched at an instant, reclassified afterwards."""
    said = {name: getattr(was, name) for name in Attributes.__struct_fields__}
    case = city.given(city.dispatched(pack, f"{start:%Y-%m-%d %H:%M}", **said))
    for change in changes:
        event = OrderReclassified(attributes=change.to, reason=Sealed(key="k", box="b"), lengthens=change.lengthens)
        case = case.at(change.at).after(event, by=city.MANAGER)
    return case.order


@st.composite
def changes_after(draw: st.DrawFn, start: datetime) -> list[Changed]:
    hours = draw(st.lists(st.integers(0, 900), max_size=3))
    random = Random(draw(st.integers(0, 2**32)))
    return [Changed(start + timedelta(hours=hour), attributes(random), draw(st.booleans())) for hour in sorted(hours)]


def over_when_changed(order: WorkOrder, law: Law, clock: Clock) -> bool:
    """Tell whether a class came when its limit, counted from the start, was over: it is then given anew (R-35).

    An order that began a little later, whose limit was not yet over, keeps what is left of it and so may end first.
    """
    rules = law.rules(order.policy)
    for change in order.changes:
        of_class = rules.class_of(change.after)
        limit = rules.limit(clock.name, of_class) if of_class is not None else None
        if limit is not None and law.calendar().due(clock.start.at, limit, rules.kernel).at < change.at.at:
            return True
    return False


FIGURES = tuple(pack for pack in PACKS if pack != "S3-NATIONAL")
"""Packs with figures of their own; under S3 every dispatch writes its limit."""

NAMES = (ClockName.HANDLE, ClockName.SIGN, ClockName.PROGRESS, ClockName.INIT_RESPONSE)


@given(st.sampled_from(FIGURES), st.integers(0, 2**32), st.integers(0, 20_000), st.integers(0, 30_000), st.data())
def test_who_began_later_is_due_no_earlier_whatever_the_class_became(
    pack: str, seed: int, minutes: int, later: int, data: st.DataObject
):
    was = attributes(Random(seed))
    first = city.at("2025-09-22 09:00") + timedelta(minutes=minutes)
    second = first + timedelta(minutes=later)
    changes = data.draw(changes_after(second + timedelta(minutes=1)))
    law = city.law(pack, "CONSUMER-COMPLAINT")
    early, late = handled_since(pack, first, was, changes), handled_since(pack, second, was, changes)
    for name in NAMES:
        one, other = clock_of(early, law, name), clock_of(late, law, name)
        if one is None or other is None or one.due is None or other.due is None:
            continue
        if over_when_changed(early, law, one):
            continue
        assert one.due <= other.due, f"{name}: began {first} due {one.due}, began {second} due {other.due}"


@given(st.sampled_from(FIGURES), st.integers(0, 2**32), st.integers(0, 20_000), st.data())
def test_a_change_of_class_makes_nobody_late_afterwards(pack: str, seed: int, minutes: int, data: st.DataObject):
    was = attributes(Random(seed))
    start = city.at("2025-09-22 09:00") + timedelta(minutes=minutes)
    changes = data.draw(changes_after(start + timedelta(minutes=1)))
    law = city.law(pack, "CONSUMER-COMPLAINT")
    for upto in range(len(changes)):
        before = handled_since(pack, start, was, changes[:upto])
        after = handled_since(pack, start, was, changes[: upto + 1])
        change = changes[upto]
        held = {(c.name, c.key): c for c in clocks(before, law)}
        for clock in clocks(after, law):
            old = held.get((clock.name, clock.key))
            if old is None or old.due is None or clock.due is None:
                continue
            assert clock.due >= min(old.due, change.at), f"{clock.name} became late: {old.due} → {clock.due}"
            if not change.lengthens or change.at > old.due:
                assert clock.due <= old.due, f"{clock.name} was lengthened: {old.due} → {clock.due}"
