"""What no clock may do: move after its end, contradict its explanation, or say a word that nobody can read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from itertools import pairwise

import msgspec
import pytest

from domain.calendar import OffSpan
from domain.clocks import Clock, clocks, overdue_items
from domain.explanation import CAUSES, cause_words, explain
from domain.law import Calendars, KnownYear, Law
from domain.policy import LimitSource
from domain.state import WorkOrder
from domain.steps.answering import InformApplicant, Reply
from domain.steps.classifying import Reclassify
from domain.steps.coordinating import Whistle, WhistleResponded
from domain.steps.triage import Withdraw
from domain.terms import ClockName, DemandType, InformAbout, LimitUnit, Medium, Outcome
from scripts import wiring
from tests import vector_runner as runner
from tests.given import AGENT, APPROVER, HANDLER, MANAGER, at, given, handler, working

LATER = wiring.parse_instant("2098-01-01 00:00")
"""When the revision becomes known: after all that any script tells of."""


def orders(name: str) -> Iterator[tuple[WorkOrder, Law]]:
    """Every order of a vector after its last line."""
    memory = runner.played(name).memory
    for stream, entries in memory.histories.items():
        state = runner.fold(stream, entries)
        if isinstance(state, WorkOrder):
            yield state, memory.law


@cache
def revised(calendars: Calendars) -> Calendars:
    """The same years, in each of which a later notice takes the weekdays of three weeks in four away."""
    held = {v.calendar.year: v.calendar for v in calendars.versions}
    added: list[KnownYear] = []
    for year, known in held.items():
        mondays = (date(year, 1, 5) + timedelta(days=7 * n) for n in range(50) if n % 4)
        taken = tuple(OffSpan(holiday="检验", first=day, last=day + timedelta(days=4)) for day in mondays)
        later = msgspec.structs.replace(known, version=known.version + 1, off=taken, makeup=())
        added.append(KnownYear(since=LATER, calendar=later))
    return Calendars(versions=(*calendars.versions, *added))


def pairs() -> Iterator[tuple[Clock, Clock]]:
    """Every clock of every vector, before and after the revision."""
    for name in runner.names():
        for order, law in orders(name):
            after = msgspec.structs.replace(law, calendars=revised(law.calendars))
            yield from zip(clocks(order, law), clocks(order, after), strict=True)


def test_a_clock_that_has_ended_keeps_its_due_instant_when_the_calendar_is_revised() -> None:
    moved = {(c.name, c.key) for c, later in pairs() if not c.running and c.due != later.due}
    assert not moved


DAYS = {
    name
    for names in runner.names()
    for order, law in orders(names)
    for name in (c.name for c in clocks(order, law) if c.limit is not None and c.limit.unit is LimitUnit.WORKING_DAYS)
}
"""The clocks that are counted in working days somewhere."""


@pytest.mark.parametrize("name", sorted(DAYS))
def test_of_each_working_day_clock_a_running_one_moves_with_a_revision_and_an_ended_one_stays(name: ClockName) -> None:
    of_name = [(c, later) for c, later in pairs() if c.name is name and c.due is not None]
    assert all(c.due == later.due for c, later in of_name if not c.running)
    counted = [c.due != later.due for c, later in of_name if c.running and c.limit and c.limit.unit]
    assert any(counted) or not counted


@pytest.mark.parametrize("name", runner.names())
def test_every_explanation_comes_to_the_due_instant_of_its_clock(name: str) -> None:
    for order, law in orders(name):
        for clock in clocks(order, law):
            told = explain(clock, law)
            first = clock.moves[0].before if clock.moves else clock.due
            assert told.first_due == first, f"{clock.name} {clock.key}"
            for move in told.moves:
                assert move.steps[-1].ends == move.after, f"{clock.name} {clock.key}"
            assert all(one.after == other.before for one, other in pairwise(told.moves))
            if told.moves:
                assert told.moves[-1].after == clock.due, f"{clock.name} {clock.key}"


@pytest.mark.parametrize("name", runner.names())
def test_every_cause_is_a_word_of_the_one_table_and_said_in_two_languages(name: str) -> None:
    for order, law in orders(name):
        for clock in clocks(order, law):
            causes = {clock.began, clock.ended, clock.cancelled_by if clock.cancel is not None else ""} - {""}
            assert causes <= CAUSES.keys(), f"{clock.name} {clock.key}: {causes - CAUSES.keys()}"
            assert clock.cancel is None or clock.cancelled_by, f"{clock.name} {clock.key}: nothing cancelled it"
            assert not clock.note or (not clock.note.isascii() and any(c.isascii() and c.isalpha() for c in clock.note))


def test_an_unknown_cause_stands_for_itself() -> None:
    assert cause_words("redo") == "重办 redo ordered"
    assert cause_words("whatever") == "whatever"


@pytest.mark.parametrize("name", runner.names())
def test_only_what_is_written_is_called_written(name: str) -> None:
    for order, law in orders(name):
        for clock in clocks(order, law):
            told, own = explain(clock, law), order.episodes[0].limits if order.episodes else {}
            if clock.name is ClockName.HANDLE and clock.key == "e1":
                assert told.written is (ClockName.HANDLE in own)
            if told.source is LimitSource.FIGURE:
                assert clock.limit in {*clock.rule.limit.values(), *clock.rule.peak.values()} or clock.moves


def test_an_extension_is_moved_by_the_words_of_the_pack_and_our_reading_is_a_note() -> None:
    moves = [
        (move, law.rules(order.policy))
        for name in ("C-handle", "R-lowered")
        for order, law in orders(name)
        for clock in clocks(order, law)
        for move in explain(clock, law).moves
        if move.why == "extension"
    ]
    assert moves
    for move, rules in moves:
        assert move.basis.article == rules.bases["extension"].article
        assert "R-11" in move.basis.note


def test_a_return_in_time_is_no_overdue_item_and_a_late_one_is_only_where_the_pack_calls_it_so() -> None:
    found = {
        (rules.options.late_return, bool(overdue_items(clocks(order, law))))
        for name in runner.names()
        for order, law in orders(name)
        if any(c.name is ClockName.RETURN and c.stop and c.due and c.stop.at > c.due for c in clocks(order, law))
        for rules in (law.rules(order.policy),)
    }
    assert ("overdue_item", True) in found
    assert ("overdue_item", False) not in found
    assert not any(item for option, item in found if option != "overdue_item")


# --- an end is an end ---------------------------------------------------------------------------------------------


def test_who_comes_after_the_case_was_closed_was_called_off_and_is_not_late() -> None:
    blown = Whistle(departments=("E",), arrive_by=at("2025-06-16 15:00"), matter="路面塌陷", place="河滨路口")
    case = given(working("S4-BEIJING", lead="S")).does(blown, by=handler("S")).at("2025-06-16 11:00")
    withdrawn = case.does(Withdraw(identity_checked=True, words="不需要了"), by=AGENT)
    called_off = withdrawn.clock(ClockName.WHISTLE)
    assert called_off.cancel is not None
    came = WhistleResponded(whistle=1, unit="E", arrived_at=at("2025-06-16 18:00"), result="已到")
    later = withdrawn.at("2025-06-16 18:00").after(came, by=handler("E"))
    assert later.clock(ClockName.WHISTLE) == called_off


def test_an_opinion_after_the_reply_reclassified_case_is_late_whenever_one_asks() -> None:
    """A co-organizer's due follows the lead's as it was when the lead ended, whatever was changed since."""
    case = given(working("S0-CHUANYU", co=("E",))).at("2025-06-17 10:00")
    case = case.does(InformApplicant(about=InformAbout.RESULT, medium=Medium.PHONE), by=HANDLER)
    answered = case.does(Reply(outcome=Outcome.RESOLVED, public_answer="已修好", missing_co=("E",)), by=APPROVER)
    due = answered.clock(ClockName.CO_REPLY).due
    attributes = msgspec.structs.replace(answered.order.attributes, demand_type=DemandType.CONSULT)
    shorter = answered.does(Reclassify(attributes=attributes, reason="实为咨询"), by=MANAGER)
    assert shorter.clock(ClockName.CO_REPLY).due == due
