"""De-identified timelines: what is told of an order's steps, and that nobody and no text is in them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import pytest

from domain.clocks import clocks
from domain.kinds import KINDS
from domain.order import fold
from domain.steps.answering import ReplySubmitted
from domain.terms import ClockName, Hindrance, Sealed
from scripts import embedded
from supervision.timeline import TIMED, TOLD, timeline
from tests.test_cases import CASES, Town, founded, imported, opened

EVENTS = {
    str(event.__struct_config__.tag).partition(".")[2]: event
    for kind in KINDS
    if kind.name == "order"
    for event in kind.events
}


@pytest.fixture(scope="module")
def town(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Town:
    """The walk through the fourth text: notices, returns, redo, emergencies, instructions."""

    async def make() -> Town:
        script = tmp_path_factory.mktemp("timeline") / "s4.jsonl"
        script.write_bytes((CASES / "s4.jsonl").read_bytes())
        return await imported(await founded(postgres, "s4"), script, script.with_suffix(".rejects"))

    return asyncio.run(make())


def test_every_step_that_is_told_is_an_event_with_plain_codes():
    for name, fields in TOLD.items():
        kinds = {field.name: field.type for field in msgspec.structs.fields(EVENTS[name])}
        assert set(fields) <= set(kinds), name
        for field in fields:
            assert "Sealed" not in str(kinds[field]), (name, field)


def test_who_judged_rated_or_instructed_is_no_step():
    inside = (
        "evaluation",
        "revisit",
        "instruction",
        "correction",
        "appeal",
        "special_report",
        "personal_data",
        "handler",
    )
    assert not [name for name in TOLD if any(word in name for word in inside)]
    assert not TIMED & {ClockName.INSTRUCTION, ClockName.EVAL_WINDOW, ClockName.REVISIT, ClockName.APPEAL}


async def test_a_timeline_says_steps_units_and_days_and_nobody_of_every_case(town: Town):
    seen: set[str] = set()
    async with opened(town.city) as ledger:
        law = await ledger.law()
        assert law is not None
        for order in town.orders.values():
            entries = await ledger.history(f"order:{order.id}")
            if order.demand.content is None:
                continue
            case = fold(entries)
            assert case is not None
            at = entries[-1].at + timedelta(days=1)
            told = timeline(entries, law, at)
            seen |= {step.step for step in told.steps}
            said = msgspec.json.encode(told).decode()
            assert '"box"' not in said
            assert str(order.id) not in said
            assert order.number not in said
            assert f"{case.registered.at:%Y-%m-%d}" not in said
            people = {entry.actor.user for entry in entries if len(entry.actor.user) > 3}
            assert not [one for one in people if f'"{one}"' in said]
            assert [step.day for step in told.steps] == sorted(step.day for step in told.steps)
            assert told.steps[0].day == 1
            late = {clock.name for clock in clocks(case, law) if clock.name in TIMED and clock.breached(at)}
            assert late >= {limit.clock for limit in told.limits if limit.status == "late"}
            applicant = order.demand.applicant
            if applicant is not None and isinstance(applicant.name, Sealed):
                assert applicant.name.box not in said
    assert {"order_dispatched", "assignment_signed", "reply_submitted", "supervision_notice_issued"} <= seen


async def test_when_a_case_was_registered_is_not_reckoned_from_what_still_runs(town: Town):
    running = 0
    async with opened(town.city) as ledger:
        law = await ledger.law()
        assert law is not None
        for order in town.orders.values():
            entries = await ledger.history(f"order:{order.id}")
            if order.demand.content is None:
                continue
            ever = entries[-1].at + timedelta(
                days=600
            )  # the day of publication is known, and nothing is counted up to it
            for known in (entries, entries[: len(entries) // 2 + 1]):
                some, next_day = (timeline(known, law, ever + timedelta(days=n)) for n in (0, 1))
                assert some == next_day
                running += any(limit.status == "overdue" for limit in some.limits)
    assert running


async def test_why_a_demand_stays_unresolved_is_told_by_kind_and_never_in_its_words(town: Town):
    async with opened(town.city) as ledger:
        law = await ledger.law()
        assert law is not None
        histories = await ledger.histories([f"order:{order.id}" for order in town.orders.values()])
        entries = next(some for some in histories if any(isinstance(one.event, ReplySubmitted) for one in some))
        said = [
            msgspec.structs.replace(entry, event=msgspec.structs.replace(entry.event, hindrance=Hindrance.FUNDS))
            if isinstance(entry.event, ReplySubmitted)
            else entry
            for entry in entries
        ]
        told = timeline(said, law, entries[-1].at)
        (codes, *_) = [step.codes for step in told.steps if step.step == "reply_submitted"]
        assert codes["hindrance"] == "资金未落实"
        assert "reason" not in codes
