"""The duty room at the terminal: handing a shift over, its book, paper slips of a reserved block; worklists of an office."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from scripts import embedded, wiring
from tests.test_cli import Deployment, deploy, registered, town_lines, write_script

EMERGENCY = {"demand_type": "help", "urgency": "emergency_life"}
PEOPLE = ("--as", "agent-1/agent")


@pytest.fixture(scope="module")
def room(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A town with an emergency that is open, and a lamp that is not."""
    town = deploy(postgres, tmp_path_factory.mktemp("room"))
    town.ok("init", "town", "--policy", "S0", "--name", "某市", "--code", "MS")
    lines = (
        *town_lines(),
        registered("a", "2025-03-03T09:00:00+08:00", title="燃气泄漏", attributes=EMERGENCY),
        registered("b", "2025-03-03T10:00:00+08:00", title="路灯不亮"),
    )
    script: Path = write_script(tmp_path_factory.mktemp("script") / "town.jsonl", *lines)
    town.ok("import", str(script), "--city", "town")
    return town


def test_a_shift_takes_every_open_emergency_along_and_the_book_names_both_persons(room: Deployment):
    shown = room.ok("shift", "show", "--city", "town").out
    assert re.search(r"未结紧急诉求 open emergencies 1\n.*燃气泄漏", shown)
    (emergency,) = room.ok("shift", "show", "--city", "town", "--json").data["emergencies"]
    refused = room.refused("shift", "hand-over", "白班", "agent-2", "--leave-out", emergency["number"], *PEOPLE)
    assert "未结紧急诉求不得遗漏" in refused
    assert "self-approval" in room.refused("shift", "hand-over", "白班", "agent-1", *PEOPLE, "--city", "town", "--json")
    told = room.ok("shift", "hand-over", "白班", "agent-2", *PEOPLE, "--city", "town", "--json").data
    (entry,) = told["events"]
    assert entry["event"]["open_emergencies"] == [emergency["id"]]
    today = f"{wiring.process_now():%Y-%m-%d}"
    book = room.ok("shift", "book", today, "--city", "town").out
    assert all(word in book for word in ("白班", "agent-1", "agent-2", emergency["number"]))
    assert "未接" in book
    assert "没有交给 agent-3 待接的班次" in room.refused(
        "shift", "take-over", "--as", "agent-3/agent", "--city", "town"
    )
    stranger = room.refused("shift", "take-over", told["stream"], "--as", "agent-3/agent", "--city", "town", "--json")
    assert "handed-to-another" in stranger
    second = ("--as", "agent-2/agent", "--city", "town", "--json")
    taken = room.ok("shift", "take-over", *second).data
    assert taken["stream"] == told["stream"]
    assert "shift-taken-over-already" in room.refused("shift", "take-over", told["stream"], *second)
    assert "未接" not in room.ok("shift", "book", today, "--city", "town").out
    assert "白班" not in room.ok("shift", "book", "2025-03-03", "--city", "town").out


def test_no_door_hands_a_shift_over_that_forgets_an_emergency_but_what_is_entered_afterwards_may(room: Deployment):
    given = ("do", "new", "hand_over_shift", "shift=白班", "to=agent-2", *PEOPLE, "--city", "town", "--json")
    assert "emergency-forgotten" in room.refused(*given)
    assert "emergency-forgotten" in room.refused(*given, "--dry-run")
    room.ok(*given, "--occurred-at", "2025-03-02T18:00:00+08:00")


def test_slips_of_a_block_are_printed_entered_voided_and_their_gap_is_shown(room: Deployment):
    manager = ("--as", "m/hotline_manager", "--city", "town")
    room.ok("do", "institution", "reserve_numbers", "count=3", "reason=drill", *manager)
    given = room.ok("slips", "check", "1", "--city", "town", "--json").data["missing"]
    assert len(given) == 3
    paper = room.ok("slips", "print", "1", "--city", "town").out
    assert all(f"编号 {number}" in paper for number in given)
    journal, ordinal = f"order/{given[0].rpartition('-')[0]}", int(given[0].rpartition("-")[2])
    room.ok(
        "do",
        "new",
        "register",
        "title=停电时的来电",
        "category=市政设施/照明",
        "channel=phone",
        "attributes.demand_type=consult",
        "content=手工登记",
        "applicant.kind=person",
        "applicant.phone=13800001111",
        "duplicates_seen=[]",
        f'reserved={{"journal":"{journal}","number":{ordinal}}}',
        "backfill_reason=系统中断期间手工登记",
        "--occurred-at",
        wiring.process_now().isoformat(),
        *PEOPLE,
        "--city",
        "town",
    )
    checked = room.ok("slips", "check", "1", "--city", "town", "--json").data
    assert [row["number"] for row in checked["entered"]] == given[:1]
    assert checked["missing"] == given[1:]
    assert given[0] not in room.ok("slips", "print", "1", "--city", "town").out
    assert given[1] in room.ok("shift", "show", "--city", "town").out
    assert "已补录" in room.refused("slips", "void", "1", given[0], *manager)
    room.ok("slips", "void", "1", *manager)
    checked = room.ok("slips", "check", "1", "--city", "town", "--json").data
    assert (checked["voided"], checked["missing"]) == (given[1:], [])
    assert "没有此号段" in room.refused("slips", "check", "9", "--city", "town")


def test_worklists_are_shown_and_written_as_tables(room: Deployment, tmp_path: Path):
    assert "没有申诉 appeals" in room.ok("appeals", "--city", "town").out
    assert "燃气" not in room.ok("clocks", "--city", "town", "--breached").out
    file = tmp_path / "matters.csv"
    room.ok("shift", "hand-over", "夜班", "agent-2", *PEOPLE, "--city", "town")
    room.ok("matters", "--kind", "shift", "--csv", str(file), "--city", "town")
    heads, *lines = csv.reader(io.StringIO(file.read_text(encoding="utf-8-sig"), newline=""))
    assert {line[heads.index("种类")] for line in lines} == {"值班交接"}
    assert "值班交接" in room.ok("matters", "--city", "town", COLUMNS="150").out
    assert "值班交接" in room.ok("matters", "--city", "town", COLUMNS="80").out
    assert "--from" in room.refused("matters", "--from", "2026-02-01", "--to", "2026-01-01", code=2)
