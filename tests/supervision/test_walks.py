"""督办走查: weeks of supervision, people acting by their commands and the timer by itself (scripts/cases, `walked`)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

import pytest

from domain.calendar import show_due
from domain.clocks import Status, clocks
from domain.matters.affairs import CircularPublished, CircularRejected, UnitReferred
from domain.state import Notice, WorkOrder
from domain.steps.answering import ApplicantInformed
from domain.steps.oversight import JOURNALS
from domain.steps.recourse import AccountabilityReferred
from domain.terms import SHANGHAI, ClockName, ClosureKind, Role
from scripts import embedded, wiring
from supervision.proposals import proposed
from supervision.sweep import Line, Outcome, left
from tests.supervision.walked import Walk, Walked, play, walk, walked
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


class Month(NamedTuple):
    """What the script came to, and what was looked at as it went: by the hour, as `06-17 10:00`."""

    walked: Walked
    left: dict[str, list[Line]]  # what waits for a person
    proposed: dict[str, set[str]]
    late: dict[str, list[str]]  # units whose rectification is late

    async def leave(self, hour: str, here: Walk) -> None:
        """Look what is left to people."""
        found = await left(here.ledger, here.shown, instant(hour), limit=100)
        self.left[hour] = list(found.lines)

    async def propose(self, hour: str, here: Walk) -> None:
        """Look what is proposed to people."""
        found = await proposed(here.ledger, here.shown, instant(hour))
        self.proposed[hour] = {one.key for one in found.proposals}

    async def lie(self, hour: str, here: Walk) -> None:
        """Look who is late in putting right what an inspection found."""
        found = await here.shown.late_duties("report_rectification", instant(hour))
        inspected = here.script.labels["inspection"].partition(":")[2]
        self.late[hour] = [row.unit for row in found.rows if str(row.order_id) == inspected]


def instant(hour: str) -> datetime:
    """Return an instant of the script's year."""
    return wiring.parse_instant(f"2025-{hour}")


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers at once"])
def month(request: pytest.FixtureRequest, postgres: embedded.Database) -> Month:
    """The script played with a timer that looks every hour."""
    found = Month(cast(Walked, None), {}, {}, {})
    looks: dict[Callable[[str, Walk], Awaitable[None]], tuple[str, ...]] = {
        found.leave: ("07-10 09:00", "07-11 09:00", "07-17 09:00", "07-18 09:00", "07-24 09:00", "07-25 09:00"),
        found.propose: ("06-17 10:00", "06-18 09:00", "06-20 23:00", "06-21 09:00", "06-24 09:00"),
        found.lie: ("06-27 23:00", "06-28 09:00", "07-03 09:00"),
    }
    meanwhile = {instant(hour): partial(look, hour) for look, hours in looks.items() for hour in hours}

    async def made() -> Month:
        city = await founded(postgres, "s0")
        async with walk(city, SUPERVISED, workers=request.param) as here:
            await play(here, SUPERVISED, since=SINCE, until=UNTIL, meanwhile=meanwhile)
            return found._replace(walked=await walked(here, city))

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


def by_timer(done: Walked) -> list[tuple[str, ...]]:
    """Return what the timer did, likewise."""
    labels = {order.number: label for label, order in done.orders.items()}
    asked = ("issue_notice",)
    return sorted(
        (
            f"{when.astimezone(SHANGHAI):%m-%d %H:%M}",
            labels[one.number],
            one.what,
            one.clock if one.command in asked else "",
        )
        for when, one in done.told
        if one.outcome is Outcome.DONE
    )


def test_the_timer_does_by_itself_just_what_the_script_writes_down_of_it(month: Month):
    assert by_timer(month.walked) == of_timer(SUPERVISED)


def test_with_the_timer_every_notice_order_and_clock_ends_as_the_script_has_it(
    month: Month, postgres: embedded.Database, tmp_path: Path
):
    done = month.walked
    town = as_written(postgres, SUPERVISED, "s0", tmp_path)
    assert done.orders.keys() == town.orders.keys()
    for label, order in done.orders.items():
        written: WorkOrder = town.orders[label]
        assert [shown(n) for n in order.oversight.notices] == [shown(n) for n in written.oversight.notices], label
        assert (order.state, order.filing.kind) == (written.state, written.filing.kind), label
        ours, theirs = (
            [(c.name, c.key, c.unit, c.due, c.status(UNTIL)) for c in clocks(one, law)]
            for one, law in ((order, done.law), (written, town.law))
        )
        assert ours == theirs, label
    numbers = [(JOURNALS.get(n.kind), n.number) for o in done.orders.values() for n in o.oversight.notices]
    assert len(set(numbers)) == len(numbers)
    script = lines(SUPERVISED)
    assert done.refused == {no: line.refused for no, line in script.items() if line.refused is not None}
    assert town.summary.expected_refusals == len(done.refused) > 0


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
    "C": [("n1.1", "06-20 10:30", "2025-06-24 24:00 (Tue)", Status.ON_TIME)],  # not from what never arrived on 06-18
    "D": [("n1.1", "06-18 15:30", "2025-06-23 24:00 (Mon)", Status.CANCELLED_LATE)],
    "M": [
        ("n1", "06-23 10:30", "2025-06-23 16:00:00 (Mon)", Status.ON_TIME),
        ("n1", "06-23 15:30", "2025-06-24 24:00 (Tue)", Status.ON_TIME),  # the record, from the arrival
    ],
    "H": [
        ("n1", "06-17 10:30", "2025-06-17 16:00:00 (Tue)", Status.ON_TIME),
        ("n1", "06-17 15:30", "2025-06-18 24:00 (Wed)", Status.ON_TIME),
    ],
}
"""The duties of notices, counted by hand from their service (8.6)."""


def test_the_duty_of_each_notice_is_the_one_counted_by_hand(month: Month):
    found = {
        label: [
            (c.key, f"{c.start.at.astimezone(SHANGHAI):%m-%d %H:%M}", show_due(c.due), c.status(UNTIL))
            for c in clocks(order, month.walked.law)
            if c.name in OF_NOTICES and c.due is not None
        ]
        for label, order in month.walked.orders.items()
    }
    assert {label: dues for label, dues in found.items() if dues} == DUES


def test_what_takes_a_person_is_listed_for_whoever_may_take_the_next_step_of_the_ladder(month: Month):
    """Before each escalation of order B: to whom it falls; after it, to nobody until the next notice is ignored."""
    own = {at: [line for line in lines if line.number.endswith("-000002")] for at, lines in month.left.items()}
    steps = {at: [(one.what, one.by) for one in lines] for at, lines in own.items()}
    assert steps == {
        "07-10 09:00": [("escalate_notice:written", ("supervisor",))],
        "07-11 09:00": [],
        "07-17 09:00": [("escalate_notice:special", ("hotline_manager",))],
        "07-18 09:00": [],
        "07-24 09:00": [("escalate_notice:circular", ("hotline_manager",))],
        "07-25 09:00": [],
    }


def test_an_ignored_decision_an_ignored_date_and_many_callers_are_proposed_until_somebody_acts(month: Month):
    master, met = (month.walked.labels[one].partition(":")[2] for one in ("H", "M"))
    mass, undone = f"mass:{master}", f"undone:{met}:DQ-CG"
    assert mass in month.proposed["06-17 10:00"]
    assert mass not in month.proposed["06-18 09:00"]  # on-site supervision was issued
    assert undone not in month.proposed["06-20 23:00"]  # its day is not over
    assert undone in month.proposed["06-21 09:00"]
    assert undone not in month.proposed["06-24 09:00"]
    assert not [key for key in month.proposed["06-24 09:00"] if key.startswith("undone:") and key.endswith(":SW")]


def test_an_inspections_date_is_a_duty_that_runs_late_and_is_over_once_reported(month: Month):
    assert month.late == {"06-27 23:00": [], "06-28 09:00": ["SW"], "07-03 09:00": []}


def test_one_master_was_answered_every_caller_told_once_and_all_were_closed_with_it(month: Month):
    master, *callers = (month.walked.orders[one] for one in ("H", "H1", "H2", "H3", "H4"))
    told = Counter(e.stream for e in month.walked.entries if isinstance(e.event, ApplicantInformed) and e.event.master)
    assert told == {one.stream: 1 for one in callers}
    assert master.filing.closed is not None
    assert {one.filing.kind for one in callers} == {ClosureKind.MERGED}
    assert {one.filing.closed.at for one in callers if one.filing.closed} == {master.filing.closed.at}


def test_criticism_that_is_ignored_ends_before_the_supervisory_organ(month: Month):
    entries, labels = month.walked.entries, month.walked.labels
    (matter,) = [e for e in entries if isinstance(e.event, UnitReferred)]
    (case,) = [e for e in entries if isinstance(e.event, AccountabilityReferred)]
    assert (matter.stream, case.stream) == (labels["circular-2"], labels["B"])
    published = next(e for e in entries if e.stream == matter.stream and isinstance(e.event, CircularPublished))
    assert published.at < matter.at
    refused = [e.stream for e in entries if isinstance(e.event, CircularRejected)]
    assert refused == [labels["circular-1"]]
