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
from domain.institution import NumbersVoided
from domain.matters.affairs import CircularPublished, CircularRejected, UnitReferred
from domain.state import Notice, WorkOrder
from domain.steps.answering import ApplicantInformed
from domain.steps.oversight import JOURNALS
from domain.steps.recourse import AccountabilityReferred
from domain.terms import SHANGHAI, ClockName, ClosureKind, EvaluationSource, Reasonableness, Role
from projections.figures import Contested, Figure
from scripts import embedded, wiring
from supervision.audit import units_of
from supervision.findings import findings
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
        found.propose: (
            "06-17 10:00",
            "06-18 09:00",
            "06-20 23:00",
            "06-21 09:00",
            "06-24 09:00",
            "06-28 09:00",
            "07-03 09:00",
            "08-01 09:00",
            "08-01 10:00",
        ),
        found.lie: ("06-27 23:00", "06-28 08:00", "07-03 08:00"),
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
    ends_as_written(month.walked, as_written(postgres, SUPERVISED, "s0", tmp_path), SUPERVISED)


def ends_as_written(done: Walked, town: Town, name: str) -> None:
    """Assert that a script that was played, and one that was imported whole, came to the same."""
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
    script = lines(name)
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


def test_a_written_day_that_went_by_is_proposed_for_the_next_step_until_it_is_reported_or_referred(month: Month):
    """The circular bound by the end of 07-31 and was referred on 08-01 at 09:30; the inspection's day was 06-27."""
    circular, inspected = (month.walked.labels[one].partition(":")[2] for one in ("circular-2", "inspection"))
    told = {at: {key for key in keys if key.startswith("unrectified:")} for at, keys in month.proposed.items()}
    assert told["06-24 09:00"] == set()
    assert told["06-28 09:00"] == {f"unrectified:{inspected}:d1"}
    assert told["07-03 09:00"] == set()
    assert told["08-01 09:00"] == {f"unrectified:{circular}:d1"}
    assert told["08-01 10:00"] == set()


def test_an_inspections_date_is_a_duty_that_runs_late_and_is_over_once_reported(month: Month):
    assert month.late == {"06-27 23:00": [], "06-28 08:00": ["SW"], "07-03 08:00": []}


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


# --- the four institutions of 8.11 -------------------------------------------------------------------------------


INSTITUTIONS = "institutions"
DOWN = (instant("07-10 20:00"), instant("07-11 10:00"))


class Year(NamedTuple):
    """What the script came to, and what its tables say."""

    walked: Walked
    waiting: dict[
        str, set[tuple[str, str]]
    ]  # what the successor has to do, by the hour: command and unit it was given to
    by_day: dict[tuple[str, str], Figure]  # figures of June by code and unit of the day
    successor: dict[str, Figure]  # of the successor and those before it
    july: dict[str, Figure]
    contested: tuple[Contested, ...]


@pytest.fixture(scope="module")
def year(postgres: embedded.Database) -> Year:
    """The script played with a timer that looks every hour but while everything is out."""
    waiting: dict[str, set[tuple[str, str]]] = {}

    async def has_to_do(hour: str, here: Walk) -> None:
        found = await here.shown.duties("XC", limit=100)
        waiting[hour] = {(row.command, row.unit) for row in found.rows}

    meanwhile = {instant(hour): partial(has_to_do, hour) for hour in ("06-20 09:00", "07-01 09:00")}

    async def made() -> Year:
        city = await founded(postgres, "s1")
        async with walk(city, INSTITUTIONS) as here:
            await play(
                here,
                INSTITUTIONS,
                since=SINCE,
                until=UNTIL,
                down=lambda hour: DOWN[0] <= hour < DOWN[1],
                meanwhile=meanwhile,
            )
            june, july, august = (instant(f"{month}-01 00:00") for month in ("06", "07", "08"))
            each = await here.shown.indicators(june, july, by="unit")
            heirs = await here.shown.indicators(june, july, unit="XC")
            later = await here.shown.indicators(july, august, unit="DQ-CG")
            appeals = await here.shown.list_appeals()
            return Year(
                await walked(here, city),
                waiting,
                {(f.code, f.part): f for f in each.rows},
                {f.code: f for f in heirs.rows},
                {f.code: f for f in later.rows},
                await here.shown.contested(appeals.rows),
            )

    return asyncio.run(made())


def test_the_timer_does_its_part_in_the_four_institutions_and_all_ends_as_written(
    year: Year, postgres: embedded.Database, tmp_path: Path
):
    assert by_timer(year.walked) == of_timer(INSTITUTIONS)
    ends_as_written(year.walked, as_written(postgres, INSTITUTIONS, "s1", tmp_path), INSTITUTIONS)


def of(year: Year, label: str, name: ClockName, key: str) -> tuple[str, str, Status, bool]:
    """Return whose a clock is, when it falls due, how it stands, and whether that is in an outage."""
    found = next(c for c in clocks(year.walked.orders[label], year.walked.law) if (c.name, c.key) == (name, key))
    assert found.due is not None
    return found.unit, show_due(found.due), found.status(UNTIL), found.during_outage


def test_an_outage_moves_no_duty_but_the_time_to_evaluate_and_silence_is_deemed_after_that(year: Year):
    """The five working days from 07-03 end on 07-10 at 24:00; out until Friday 10:00, so on to the end of Monday."""
    silent, rated = (year.walked.orders[label] for label in ("O", "O1"))
    assert of(year, "O", ClockName.EVAL_WINDOW, "r1")[1] == "2025-07-14 24:00 (Mon)"
    assert [(e.source, e.at.at) for e in silent.quality.evaluations] == [
        (EvaluationSource.DEEMED, instant("07-15 00:00"))
    ]
    first = rated.quality.evaluations[0]
    assert (first.source, first.late, first.at.at) == (EvaluationSource.CITIZEN_SELF, False, instant("07-14 10:30"))
    assert rated.round == 2
    assert of(year, "O2", ClockName.SIGN, "e1.a1") == ("DQ-CG", "2025-07-10 24:00 (Thu)", Status.LATE, True)
    assert of(year, "O2", ClockName.HANDLE, "e1")[1:] == ("2025-07-16 24:00 (Wed)", Status.ON_TIME, False)


def test_what_fell_due_in_an_outage_leaves_the_rate_by_the_supervisors_decision_alone(year: Year):
    """Signing of O, O1, O3, W and both rounds of O1 was in time in July; that of O2 was late, and is taken out."""
    assert (year.july["I6"].above, year.july["I6"].below) == (5, 5)
    both = {c.code: (c.above, c.below, c.above_without, c.below_without) for c in year.contested}
    assert both["I6"] == (5, 6, 5, 5)


def test_a_paper_slip_is_entered_under_its_number_and_the_rest_of_the_block_is_void(year: Year):
    slip = year.walked.orders["O3"]
    assert (slip.number, slip.registered.at) == ("HY20250709-000002", instant("07-10 21:10"))
    assert of(year, "O3", ClockName.SIGN, "e1.a1")[2] is Status.ON_TIME
    (void,) = [e.event for e in year.walked.entries if isinstance(e.event, NumbersVoided)]
    assert void.numbers == (3, 4)


def test_nothing_is_served_by_a_system_that_is_down(year: Year):
    (notice, _) = year.walked.orders["W"].oversight.notices
    assert notice.served is not None
    assert (notice.issued.at, notice.served.at) == (instant("07-22 19:30"), instant("07-22 20:30"))
    assert of(year, "W", ClockName.SUPV_REPLY, "n1.1")[1:3] == ("2025-07-24 24:00 (Thu)", Status.ON_TIME)


def test_an_upheld_appeal_takes_the_order_out_of_the_figure_and_shows_it_before_and_after(year: Year):
    """In June the unit had P and P2 late and U in time; P was excused by the storm, P2's appeal was not upheld."""
    both = {c.code: (c.above, c.below, c.above_without, c.below_without) for c in year.contested}
    assert both["I10"] == (1, 3, 1, 2)
    assert len(year.contested) == 2
    (upheld,), (late,) = (year.walked.orders[label].oversight.appeals for label in ("P", "P2"))
    assert (upheld.upheld, upheld.late) == (True, False)
    assert (late.upheld, late.late) == (False, True)
    assert of(year, "P", ClockName.APPEAL_DECISION, "a1")[1:3] == ("2025-07-10 24:00 (Thu)", Status.ON_TIME)


def test_what_was_judged_unreasonable_is_closed_with_a_note_and_its_repetition_gets_the_standing_answer(year: Year):
    demand, again = (year.walked.orders[label] for label in ("U", "U2"))
    assert (demand.quality.reasonable, demand.filing.kind) == (Reasonableness.UNREASONABLE, ClosureKind.NOTED)
    assert demand.round == 1  # no redo
    assert (again.links.duplicate_of, again.filing.kind) == (demand.id, ClosureKind.MERGED)
    assert not again.episodes


def test_a_successor_has_what_was_left_to_do_and_history_stays_with_the_predecessor(year: Year):
    left_over = {"reply", "reply_notice", "sign", "complete_follow_up", "reply_unit_notice", "report_rectification"}
    assert {command for command, unit in year.waiting["06-20 09:00"] if unit == "SW"} >= left_over
    assert not [command for command, unit in year.waiting["07-01 09:00"] if unit == "SW"]
    orders = [year.walked.orders[label] for label in ("S", "T", "V")]
    assert {episode.lead for order in orders for episode in order.episodes} == {"SW"}
    told = [n for order in orders for n in order.oversight.notices if n.issued.at >= instant("06-20 00:00")]
    assert len(told) > 6
    assert {n.unit for n in told} == {"XC"}
    assert of(year, "S", ClockName.SUPV_REPLY, "n1.1") == ("SW", "2025-06-23 24:00 (Mon)", Status.ON_TIME, False)
    assert of(year, "T", ClockName.SIGN, "e1.a1") == ("SW", "2025-06-20 24:00 (Fri)", Status.LATE, False)
    assert of(year, "V", ClockName.FOLLOW_UP, "f1") == ("SW", "2025-06-27 24:00 (Fri)", Status.LATE, False)


def test_figures_are_the_units_of_the_day_or_its_successors_and_so_are_findings(year: Year):
    """In June S and V were signed in time and T was not; the successor signed T, and answers for all three."""
    signed = year.by_day["I6", "SW"]
    assert (signed.above, signed.below) == (2, 3)
    assert ("I6", "XC") not in year.by_day
    assert (year.successor["I6"].above, year.successor["I6"].below) == (2, 3)
    history = [e for e in year.walked.entries if e.stream == year.walked.labels["T"]]
    (late,) = [f for f in findings(history, year.walked.law, UNTIL) if f.id == "late-sign:e1.a1"]
    assert late.unit == "SW"
    assert late.unit in units_of(year.walked.law, "XC", UNTIL)
