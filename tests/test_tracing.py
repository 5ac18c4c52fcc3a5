"""An auditor at the terminal: what was searched, compared, copied, and the trace that it leaves."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from scripts import simulate
from tests.test_cli import Deployment, registered
from tests.test_proving import office as office
from tests.test_proving import orders, policy_of, write_script

AUDITOR = ("--as", "auditor/auditor@HOTLINE", "--city", "town")


def corrected(office: Deployment, tmp_path: Path) -> str:
    """Register an order, and correct its category by two persons; return its number."""
    before = {one["number"] for one in orders(office)}
    at = f"2025-03-05 10:{len(before):02d}"
    agent = registered("A", at)["by"]
    fix = {"type": "propose_correction", "version": 1, "field": "category", "basis": "登记有误"}
    lines: list[dict[str, Any]] = [
        registered("A", at),
        {"order": "A", "at": "2025-03-06 10:00", "by": agent, "reason": "typing_error",
         "command": {**fix, "old": "市政设施/照明", "new": "市政/照明"}},
        {"order": "A", "at": "2025-03-06 11:00", "by": simulate.person("supervisor", "HOTLINE"),
         "reason": "typing_error", "command": {"type": "approve_correction", "correction": 1}},
    ]  # fmt: skip
    script = write_script(tmp_path / f"{len(before)}.jsonl", *lines)
    assert office.ok("import", str(script), "--city", "town", "--json").data["rejected"] == 0
    (number,) = {one["number"] for one in orders(office)} - before
    return number


def test_what_is_found_is_listed_and_the_search_is_on_record(office: Deployment, tmp_path: Path):
    number = corrected(office, tmp_path)
    said = ("trace", "entries", "--type", "order.correction_recorded", "--user", "hotline-supervisor")
    rows = office.ok(*said, *AUDITOR, "--json").data
    assert [row["number"] for row in rows] == [number]
    assert number in office.ok(*said, *AUDITOR).out
    assert office.ok(*said, "--to", "2025-03-06", *AUDITOR, "--json").data == []
    assert office.ok(*said, "--late-hours", "1", *AUDITOR, "--json").data == []
    office.ok(*said, "--csv", str(tmp_path / "found.csv"), *AUDITOR)
    content = (tmp_path / "found.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    assert [line["工单号"] for line in csv.DictReader(io.StringIO(content.decode("utf-8-sig")))] == [number]
    looked = office.ok("trace", "entries", "--type", "access.logged", *AUDITOR, "--json").data
    assert len(looked) >= 5
    assert {row["user"] for row in looked} == {"auditor"}
    assert "role-not-allowed" in office.refused(*said, "--as", "agent/agent@HOTLINE", "--city", "town")


def test_two_states_and_what_was_corrected_stand_beside_each_other(office: Deployment, tmp_path: Path):
    number = corrected(office, tmp_path)
    times = ("--from", "2025-03-05 12:00", "--to", "2025-03-06 12:00", *AUDITOR)
    told = {one["path"] for one in office.ok("trace", "difference", number, *times, "--json").data}
    assert "corrections.0" in told
    assert "demand.category" not in told  # what is known today of both days is the corrected one
    assert "corrections.0" in office.ok("trace", "difference", number, *times).out
    (one,) = office.ok("trace", "corrections", number, *AUDITOR, "--json").data
    assert (one["old"], one["new"], one["approved_by"]) == ("市政设施/照明", "市政/照明", "hotline-supervisor")
    assert "市政设施/照明 → " in office.ok("trace", "corrections", number, *AUDITOR).out
    positions = [row["position"] for row in office.ok("history", number, "--city", "town", "--json").data]
    by = ("--from", str(positions[0]), "--to", str(positions[-1]), "--by", "position", *AUDITOR)
    assert office.ok("trace", "difference", number, *by, "--json").data
    days = ("--from", "2025-03-05 00:00", "--to", "2025-03-07 00:00", *AUDITOR)
    listed = office.ok("trace", "difference", *days, "--json").data
    assert [one["appeared"] for one in listed if one["number"] == number] == [True]
    assert number in office.ok("trace", "difference", *days).out
    assert "--by position" in office.refused("trace", "difference", *times, "--by", "position")
    looks = office.ok("trace", "looks", number, "--city", "town", "--json").data
    assert [one["event"]["fields"] for one in looks] == [["difference"]] * 2 + [["corrections"]] * 2 + [["difference"]]
    for said in (("difference", number, *times[:4]), ("corrections", number)):
        assert "role-not-allowed" in office.refused("trace", *said, "--as", "agent/agent@HOTLINE", "--city", "town")


def test_copies_are_verified_by_a_stranger_and_are_on_record(office: Deployment, tmp_path: Path):
    number = corrected(office, tmp_path)
    policy_of(office, tmp_path / "policy")
    copy, table = str(tmp_path / "copy.jsonl"), str(tmp_path / "copy.csv")
    office.ok("trace", "copy", number, "--to", copy, "--csv", table, "--purpose", "complaint-7", *AUDITOR)
    stranger = Deployment(tmp_path / "nowhere", "host=127.0.0.1 port=9 dbname=none")
    assert "✓" in stranger.ok("verify", copy, "--policy", str(tmp_path / "policy")).out
    spoilt = Path(copy).read_bytes().replace("照明".encode(), "路灯".encode())
    Path(copy).write_bytes(spoilt)
    assert stranger.run("verify", copy, "--policy", str(tmp_path / "policy")).code == 1
    assert "住处门前" not in spoilt.decode()
    assert len(Path(table).read_text(encoding="utf-8-sig").splitlines()) == 4
    last = office.ok("trace", "entries", "--type", "access.logged", *AUDITOR, "--json").data[-2]
    (entry,) = [one for one in office.ok("history", last["stream"], "--city", "town", "--json").data
                if one["position"] == last["position"]]  # fmt: skip
    assert (entry["event"]["fields"], entry["event"]["purpose"]) == (["export"], "complaint-7")
    assert "--to" in office.refused("trace", "copy", number, *AUDITOR)


def test_a_period_is_replayed_at_a_position_and_told_apart_from_another(office: Deployment, tmp_path: Path):
    number = corrected(office, tmp_path)
    first, _, last = [row["position"] for row in office.ok("history", number, "--city", "town", "--json").data]
    said = ("trace", "period", "--from", "2025-03-05 00:00", "--to", "2025-03-06 00:00", *AUDITOR)
    told = office.ok(*said, "--at", str(first), "--json").data
    (mine,) = [one for one in told["orders"] if one["number"] == number]
    assert (mine["state"], told["position"]) == ("registered", first)
    assert "registered" in office.ok(*said, "--at", str(first)).out
    moved = office.ok(*said, "--at", str(first - 1), "--and", str(last), "--json").data
    (mine,) = [one for one in moved["orders"] if one["number"] == number]
    assert mine["appeared"]
    assert [one["type"] for one in mine["by"]] == [
        "order.order_registered",
        "order.correction_proposed",
        "order.correction_recorded",
    ]
    shown = office.ok(*said, "--at", str(first - 1), "--and", str(last)).out
    assert f"{number}  新 new" in shown
    assert "--and" in office.refused(*said, "--at", str(last), "--and", str(first))
    assert "role-not-allowed" in office.refused(*said[:-4], "--as", "agent/agent@HOTLINE", "--city", "town")
