"""督办文书: every kind of notice (DOMAIN 3.6), from issue to its end, walked over simulated time with its refusals.

The script `scripts/cases/notices.jsonl` is imported as `huiyin import` does it; over HTTP it is walked beside the others.
The due instants below are counted by hand from when each notice was served (8.6).
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import pytest

from domain.calendar import show_due
from domain.clocks import Clock, Status, clocks
from domain.matters.affairs import CircularKind, CircularPublished
from domain.matters.matter import Matter
from domain.matters.notices import UnitNoticeEscalated, UnitNoticeIssued, answer_due
from domain.matters.publications import ReportKind, ReportPublished
from domain.order import fold as fold_order
from domain.steps.oversight import SupervisionNoticeServed
from domain.terms import SHANGHAI, ClockName, Medium, NoticeKind, NoticeState
from scripts import embedded
from tests.test_cases import CASES, Town, founded, imported, lines, opened

NOTICES = "notices"
NOW = datetime(2025, 8, 1, tzinfo=SHANGHAI)
OF_NOTICES = frozenset({ClockName.SUPV_REPLY, ClockName.ARRIVE_SITE, ClockName.SITE_RECORD, ClockName.INSTRUCTION})
DUES = {
    "R": [("supv_reply", "n2.1", "07-08 00:05", "2025-07-09 24:00 (Wed)", "on_time")],  # one working day
    "W": [
        (
            "supv_reply",
            "n1.1",
            "06-18 10:00",
            "2025-06-20 24:00 (Fri)",
            "on_time",
        ),  # told by phone a day after its issue
        (
            "supv_reply",
            "n1.2",
            "06-19 15:00",
            "2025-06-23 24:00 (Mon)",
            "cancelled_late",
        ),  # sent back: the full two days
        ("supv_reply", "n2.1", "06-24 09:10", "2025-06-27 24:00 (Fri)", "cancelled_late"),
        ("arrive_site", "n3", "06-30 09:05", "2025-06-30 15:00:00 (Mon)", "late"),
        (
            "site_record",
            "n3",
            "06-30 16:00",
            "2025-07-01 24:00 (Tue)",
            "on_time",
        ),  # one working day from the arrival
    ],
    "I": [
        ("supv_reply", "n1.1", "06-17 16:00", "2025-06-20 24:00 (Fri)", "cancelled"),
        ("supv_reply", "n2.1", "06-18 09:00", "2025-06-23 24:00 (Mon)", "on_time"),  # the instruction's three days
        ("instruction", "i1", "06-17 15:00", "2025-06-20 24:00 (Fri)", "on_time"),
    ],
    "D": [("supv_reply", "n1.1", "06-18 09:00", "2025-06-23 24:00 (Mon)", "on_time")],  # handed over on Wednesday
    "M": [
        ("supv_reply", "n1.1", "06-17 09:10", "2025-06-19 24:00 (Thu)", "cancelled_late"),
        ("arrive_site", "n2", "06-20 11:00", "2025-06-20 15:00:00 (Fri)", "on_time"),  # from when the paper was told
        ("site_record", "n2", "06-20 14:30", "2025-06-23 24:00 (Mon)", "on_time"),
    ],
}
ENDS = {
    "R": [("reminder", "closed"), ("system", "closed")],
    "W": [("written", "escalated"), ("special", "escalated"), ("onsite", "escalated")],
    "I": [("instruction", "withdrawn"), ("instruction", "closed")],
    "D": [("special_report_down", "closed")],
    "M": [("meeting", "escalated"), ("onsite", "closed")],
}
"""How each notice of each order ends."""


def shown(found: tuple[Clock, ...]) -> list[tuple[str, str, str, str, str]]:
    """Return the clocks of an order's notices as they are written above."""
    return [
        (c.name, c.key, f"{c.start.at.astimezone(SHANGHAI):%m-%d %H:%M}", show_due(c.due), c.status(NOW))
        for c in found
        if c.name in OF_NOTICES and c.due is not None
    ]


@pytest.fixture(scope="module")
def town(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A city under S0 in which every kind of notice was walked."""
    rejects = tmp_path_factory.mktemp("notices") / "rejects.jsonl"

    async def made() -> Town:
        return await imported(await founded(postgres, "s0"), CASES / f"{NOTICES}.jsonl", rejects)

    made_town = asyncio.run(made())
    assert not made_town.summary.by_reason, Path(rejects).read_text()
    return made_town


def test_the_duty_of_each_notice_runs_from_its_service_and_ends_as_it_was_counted_by_hand(town: Town):
    assert {label: shown(clocks(order, town.law)) for label, order in town.orders.items()} == DUES


def test_each_notice_ends_as_its_story_says_and_no_step_of_the_ladder_is_skipped(town: Town):
    ended = {
        label: [(n.kind.value, n.state.value) for n in order.oversight.notices] for label, order in town.orders.items()
    }
    assert ended == ENDS
    ladder = town.orders["W"].oversight.notices
    assert [n.escalated_to for n in ladder] == [2, 3, None]  # the last one to a circular, which is a matter of its own
    assert ladder[0].turn == 2
    assert ladder[0].number != ladder[1].number


def test_every_kind_of_notice_circular_and_special_information_is_issued(town: Town):
    kinds = {n.kind for order in town.orders.values() for n in order.oversight.notices}
    kinds |= {entry.event.kind for entry in town.entries if isinstance(entry.event, UnitNoticeIssued)}
    assert kinds == set(NoticeKind) - {NoticeKind.CIRCULAR}
    matters = [entry.stream for entry in town.entries if isinstance(entry.event, CircularPublished)]
    assert len(set(matters)) == len(CircularKind) == 2
    published = [entry.event.report for entry in town.entries if isinstance(entry.event, ReportPublished)]
    assert published == [ReportKind.SPECIAL_INFO]


def test_papers_are_served_by_every_channel_and_by_phone_with_the_name_of_the_person_told(town: Town):
    served = [entry.event for entry in town.entries if isinstance(entry.event, SupervisionNoticeServed)]
    assert {event.medium for event in served} == {Medium.PHONE, Medium.WRITTEN, Medium.FACE}
    assert all(event.person is not None for event in served if event.medium is Medium.PHONE)


STEPS = frozenset(
    [
        "issue_notice",
        "serve_notice",
        "reply_notice",
        "accept_notice_reply",
        "reject_notice_reply",
        "escalate_notice",
        "withdraw_notice",
        "close_notice",
        "issue_unit_notice",
        "serve_unit_notice",
        "reply_unit_notice",
        "accept_unit_reply",
        "reject_unit_reply",
        "escalate_unit_notice",
        "withdraw_unit_notice",
        "close_unit_notice",
        "record_unit_arrival",
        "arrive_site",
        "verify_site",
        "draft_circular",
        "approve_circular",
        "publish_circular",
        "report_rectification",
        "accept_rectification",
        "publish_report",
    ]
)


def test_every_step_is_walked_and_refused_and_what_is_refused_writes_nothing(town: Town):
    script = lines(NOTICES)
    violations = {no: line for no, line in script.items() if line.refused is not None}
    assert town.summary.expected_refusals == len(violations) > 50
    assert {line.command["type"] for line in violations.values()} >= STEPS
    assert {line.command["type"] for no, line in script.items() if no not in violations} >= STEPS
    wrote = {int(entry.command_id.rpartition(":")[2]) for entry in town.entries if "script:" in entry.command_id}
    assert wrote == script.keys() - violations.keys()


def test_of_each_kind_some_issue_is_refused():
    refused = {line.command["kind"] for line in lines(NOTICES).values() if line.refused and "kind" in line.command}
    drafts = {
        line.command["circular"] for line in lines(NOTICES).values() if line.refused and "circular" in line.command
    }
    onto = {line.command["to"] for line in lines(NOTICES).values() if line.refused and "to" in line.command}
    assert refused | onto >= {str(kind) for kind in NoticeKind}
    assert drafts == {str(kind) for kind in CircularKind}


async def test_a_unit_has_the_full_time_from_service_and_again_when_its_report_is_sent_back(town: Town):
    escalated = next(e for e in town.entries if isinstance(e.event, UnitNoticeEscalated))
    own = [e for e in town.entries if e.stream == escalated.stream]
    async with opened(town.city) as ledger:
        after_service: Matter = ledger.fold_entries(escalated.stream, own[:2])
        sent_back: Matter = ledger.fold_entries(escalated.stream, own[:-1])
    assert after_service.notice is not None
    assert sent_back.notice is not None
    first, second = (answer_due(one.notice, town.law) for one in (after_service, sent_back) if one.notice)
    assert first is not None
    assert second is not None
    assert show_due(first) == "2025-06-26 24:00 (Thu)"
    assert (sent_back.notice.turn, show_due(second)) == (2, "2025-06-27 24:00 (Fri)")


def test_before_it_is_served_a_paper_brings_no_duty(town: Town):
    stream = town.orders["W"].stream
    own = [entry for entry in town.entries if entry.stream == stream]
    served = next(n for n, entry in enumerate(own) if isinstance(entry.event, SupervisionNoticeServed))
    before = fold_order(own[:served])
    assert before is not None
    assert before.oversight.notices[0].state is NoticeState.ISSUED
    assert not shown(clocks(before, town.law))
    then = fold_order(own[: served + 1])
    assert then is not None
    assert [c.status(NOW) for c in clocks(then, town.law) if c.name is ClockName.SUPV_REPLY] == [Status.OVERDUE]
