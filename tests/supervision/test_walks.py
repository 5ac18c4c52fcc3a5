"""督办走查: weeks of supervision, people acting by their commands and the timer by itself (scripts/cases, `walked`)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from domain.calendar import show_due
from domain.clocks import Status, clocks
from domain.state import Notice, WorkOrder
from domain.terms import SHANGHAI, ClockName, NoticeKind, Role
from scripts import embedded, wiring
from supervision.sweep import Outcome
from tests.supervision.walked import Walked, play, walk, walked
from tests.test_cases import CASES, Town, founded, imported, lines

SUPERVISED = "supervised"
SINCE, UNTIL = wiring.parse_instant("2025-06-16 10:00"), wiring.parse_instant("2025-08-15 09:00")
OF_NOTICES = frozenset({ClockName.SUPV_REPLY, ClockName.ARRIVE_SITE, ClockName.SITE_RECORD, ClockName.INSTRUCTION})


def as_written(postgres: embedded.Database, name: str, text: str, folder: Path) -> Town:
    """Return a city into which the whole script was imported, the timer's lines too."""

    async def made() -> Town:
        return await imported(await founded(postgres, text), CASES / f"{name}.jsonl", folder / "rejects.jsonl")

    town = asyncio.run(made())
    assert not town.summary.by_reason, (folder / "rejects.jsonl").read_text()
    return town


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers at once"])
def month(request: pytest.FixtureRequest, postgres: embedded.Database) -> Walked:
    """The script played with a timer that looks every hour."""

    async def made() -> Walked:
        city = await founded(postgres, "s0")
        async with walk(city, SUPERVISED, workers=request.param) as here:
            await play(here, SUPERVISED, since=SINCE, until=UNTIL)
            return await walked(here, city)

    return asyncio.run(made())


def shown(notice: Notice) -> tuple[object, ...]:
    """Return what a notice came to, but for who wrote it down and its running number: a script is no calendar."""
    return (
        notice.no,
        notice.kind,
        notice.ground,
        notice.unit,
        notice.clock,
        notice.clock_key,
        notice.issued.at,
        None if notice.served is None else notice.served.at,
        None if notice.closed is None else notice.closed.at,
        notice.state,
        notice.turn,
        notice.limit,
        notice.escalated_to,
        notice.reminder,
    )


def of_timer(name: str) -> list[tuple[str, ...]]:
    """Return what a script says that the timer did: when, about which order, what, about which of its clocks."""
    found = [line for line in lines(name).values() if line.by.role is Role.SYSTEM]
    return sorted(
        (
            f"{wiring.parse_instant(line.at):%m-%d %H:%M}",
            line.order or "",
            ":".join(filter(None, (line.command["type"], line.command.get("kind")))),
            line.command.get("clock", ""),
        )
        for line in found
    )


def by_timer(month: Walked) -> list[tuple[str, ...]]:
    """Return what the timer did, likewise."""
    labels = {order.number: label for label, order in month.orders.items()}
    asked = ("issue_notice",)
    return sorted(
        (
            f"{when.astimezone(SHANGHAI):%m-%d %H:%M}",
            labels[one.number],
            one.what,
            one.clock if one.command in asked else "",
        )
        for when, one in month.told
        if one.outcome is Outcome.DONE
    )


def test_the_timer_does_by_itself_just_what_the_script_writes_down_of_it(month: Walked):
    assert by_timer(month) == of_timer(SUPERVISED)


def test_with_the_timer_every_notice_order_and_clock_ends_as_the_script_has_it(
    month: Walked, postgres: embedded.Database, tmp_path: Path
):
    town = as_written(postgres, SUPERVISED, "s0", tmp_path)
    assert month.orders.keys() == town.orders.keys()
    for label, order in month.orders.items():
        written: WorkOrder = town.orders[label]
        assert [shown(n) for n in order.oversight.notices] == [shown(n) for n in written.oversight.notices], label
        assert (order.state, order.filing.kind) == (written.state, written.filing.kind), label
        ours, theirs = (
            [(c.name, c.key, c.unit, c.due, c.status(UNTIL)) for c in clocks(one, law)]
            for one, law in ((order, month.law), (written, town.law))
        )
        assert ours == theirs, label
    numbers = [(n.kind is NoticeKind.REMINDER, n.number) for o in month.orders.values() for n in o.oversight.notices]
    assert len(set(numbers)) == len(numbers)
    script = lines(SUPERVISED)
    assert month.refused == {no: line.refused for no, line in script.items() if line.refused is not None}
    assert town.summary.expected_refusals == len(month.refused) > 0


DUES = {
    "E": [("n3.1", "06-25 01:00", "2025-06-26 24:00 (Thu)", Status.CANCELLED)],  # withdrawn: the extension was approved
    "B": [
        ("n4.1", "07-08 01:00", "2025-07-09 24:00 (Wed)", Status.CANCELLED_LATE),  # one working day
        ("n6.1", "07-10 15:30", "2025-07-14 24:00 (Mon)", Status.ON_TIME),  # from the call: Friday and Monday
        ("n6.2", "07-14 15:30", "2025-07-16 24:00 (Wed)", Status.CANCELLED_LATE),  # sent back: the full two days
        ("n9.1", "07-17 09:30", "2025-07-22 24:00 (Tue)", Status.CANCELLED_LATE),  # Friday, Monday, Tuesday
    ],
    "I": [
        ("n1.1", "06-17 16:30", "2025-06-20 24:00 (Fri)", Status.CANCELLED_LATE),
        ("i1", "06-17 15:30", "2025-06-20 24:00 (Fri)", Status.LATE),
    ],
}
"""The duties of notices, counted by hand from their service (8.6)."""


def test_the_duty_of_each_notice_is_the_one_counted_by_hand(month: Walked):
    found = {
        label: [
            (c.key, f"{c.start.at.astimezone(SHANGHAI):%m-%d %H:%M}", show_due(c.due), c.status(UNTIL))
            for c in clocks(order, month.law)
            if c.name in OF_NOTICES and c.due is not None
        ]
        for label, order in month.orders.items()
    }
    assert {label: dues for label, dues in found.items() if dues} == DUES
