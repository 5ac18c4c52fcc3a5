"""`huiyin audit` over a whole city: what it finds, filters, prints and writes."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from scripts import embedded
from tests.test_cli import Deployment, deploy, dispatched, registered, town_lines, write_script

AT = ("--at", "2025-04-30 12:00")
MAPPING = """
name     = "old"
title    = "旧系统"
key      = "号"
encoding = "utf-8"
zone     = "Asia/Shanghai"
times    = ["%Y-%m-%d %H:%M:%S"]
required = ["号", "登记", "题"]

[[event]]
fact   = "order.order_registered"
at     = "登记"
number = "LD"

[event.fields]
title    = { column = "题", title = true }
content  = { constant = "路灯不亮" }
category = { constant = "市政" }
channel  = { constant = "phone" }
"applicant.kind"    = { constant = "person" }
"applicant.contact" = { column = "电话" }
"attributes.demand_type" = { constant = "help" }

[[event]]
fact = "order.order_closed"
at   = "办结"
when = "办结"

[event.fields]
kind = { constant = "completed" }
"""


@pytest.fixture
def office(postgres: embedded.Database, tmp_path: Path) -> Deployment:
    """A town under S0 with one order late since March, and two that an old system closed without a reply."""
    town = deploy(postgres, tmp_path / "office")
    script = write_script(
        tmp_path / "town.jsonl",
        *town_lines(),
        registered("a", "2025-03-03T10:00:00+08:00", title="水管漏水"),
        dispatched("a", "2025-03-03T11:00:00+08:00"),
    )
    town.ok("init", "town", "--policy", "S0", "--name", "某市", "--code", "MS")
    town.ok("import", str(script), "--city", "town")
    (tmp_path / "old.toml").write_text(MAPPING, encoding="utf-8")
    rows = "号,登记,电话,办结,题\n1,2025-04-01 09:00:00,000-1,2025-04-02 09:00:00,路灯不亮\n2,2025-04-01 10:00:00,000-2,2025-04-03 09:00:00,井盖破损\n"
    (tmp_path / "old.csv").write_text(rows, encoding="utf-8")
    town.ok("import", str(tmp_path / "old.csv"), "--mapping", str(tmp_path / "old.toml"), "--city", "town")
    return town


def codes(said: dict) -> dict[str, int]:
    return said["kinds"]


def test_an_audit_finds_what_is_late_and_what_was_brought_over_broken(office: Deployment):
    said = office.ok("audit", "--city", "town", *AT, "--json").data
    assert said["cases"] == 3
    assert codes(said)["late-handle"] == 1
    assert codes(said)["reply-missing"] == 2
    shown = office.ok("audit", "--city", "town", *AT, COLUMNS="160").out
    assert "无答复办结" in shown
    assert "办结答复超期" in shown
    narrow = office.ok("audit", "--city", "town", *AT, COLUMNS="80").out
    assert "S0-27" in narrow


def test_several_processes_find_what_one_does(office: Deployment):
    one = office.ok("audit", "--city", "town", *AT, "--json", "--limit", "100").data
    assert office.ok("audit", "--city", "town", *AT, "--json", "--limit", "100", "--jobs", "2").data == one


def test_filters_leave_what_they_name(office: Deployment):
    def asked(*how: str) -> dict[str, int]:
        return codes(office.ok("audit", "--city", "town", *AT, "--json", *how).data)

    assert set(asked("--family", "rule")) == {"reply-missing"}
    assert asked("--kind", "reply-missing", "--from", "2025-04-02", "--to", "2025-04-02") == {"reply-missing": 1}
    # due at 24:00 of March 10th, that is at 00:00 of the 11th: it counts on the day it ends
    assert asked("--kind", "late-handle", "--from", "2025-03-10", "--to", "2025-03-10") == {"late-handle": 1}
    assert asked("--kind", "late-handle", "--from", "2025-03-11") == {}
    everything, serious = asked(), asked("--severity", "serious")
    assert set(serious) < set(everything)
    assert "no such kind" in office.refused("audit", "--city", "town", "--kind", "late", code=2)
    assert "no such unit" in office.refused("audit", "--city", "town", "--unit", "NOBODY")


def test_a_unit_is_shown_with_those_below_it(office: Deployment):
    said = office.ok("audit", "--city", "town", *AT, "--json").data
    unit = next(f["unit"] for f in said["findings"] if f["code"] == "late-handle")
    own = office.ok("audit", "--city", "town", *AT, "--json", "--unit", unit).data
    assert {f["unit"] for f in own["findings"]} == {unit}
    hotline = office.ok("audit", "--city", "town", *AT, "--json", "--unit", "HOTLINE").data
    assert {f["unit"] for f in hotline["findings"]} == {""}


def test_csv_opens_in_a_spreadsheet_and_holds_every_finding(office: Deployment, tmp_path: Path):
    target = tmp_path / "found.csv"
    said = office.ok("audit", "--city", "town", *AT, "--csv", str(target), "--limit", "1", "--json").data
    written = target.read_bytes()
    assert written.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(written.decode("utf-8-sig"))))
    assert len(rows) == said["total"] > len(said["findings"]) == 1
    late = next(row for row in rows if row["问题编号"] == "late-handle:e1")
    assert late["到期"] == "2025-03-11 00:00:00"
    assert "S0-27" in late["依据"]


def test_a_printed_list_cites_everything_and_what_the_unit_stated_before_it(office: Deployment, tmp_path: Path):
    def printed() -> str:
        office.ok("audit", "--city", "town", *AT, "--kind", "late-handle", "--out", str(tmp_path / "f.html"))
        return (tmp_path / "f.html").read_text(encoding="utf-8")

    before = printed()
    found = office.ok("audit", "--city", "town", *AT, "--kind", "late-handle", "--json").data["findings"]
    (late,) = found
    for said in ("S0-27", f"{late['evidence'][0]['position']}", "证据位置", "说明</th>"):
        assert said in before
    assert "已说明" not in before
    words = ("finding=late-handle:e1", "words=等待设备")
    office.ok("do", late["order"], "state_finding", *words, "--as", f"u/org_approver@{late['unit']}", "--city", "town")
    after = printed()
    assert "已说明（第" in after
    assert "等待设备" not in after, "the words stay sealed in the case"


def test_up_to_a_position_an_audit_comes_out_the_same_whatever_follows(office: Deployment, tmp_path: Path):
    before = office.ok("audit", "--city", "town", "--json").data
    upto = ("audit", "--city", "town", "--as-of", str(before["position"]), "--json")
    first = office.ok(*upto).data
    more = write_script(tmp_path / "more.jsonl", registered("z", "2025-04-20T10:00:00+08:00"))
    office.ok("import", str(more), "--city", "town")
    assert office.ok(*upto).data == first
    assert office.ok("audit", "--city", "town", "--json").data["cases"] == before["cases"] + 1


def test_another_pack_is_assumed_and_said_so(office: Deployment):
    said = office.ok("audit", "--city", "town", *AT, "--json", "--assume-policy", "SC-2025", "--limit", "100").data
    late = next(f for f in said["findings"] if f["code"] == "late-handle")
    assert late["pack"] == "SC-2025"
    assert late["due"] == "2025-03-07T00:00:00+08:00"
    assert "assumed" in late["marks"]
    assert "不得公布" in office.ok("audit", "--city", "town", *AT, "--assume-policy", "SC-2025").out


def test_programs_learn_by_the_exit_code_whether_anything_was_found(office: Deployment):
    office.ok("audit", "--city", "town", *AT)
    found = office.run("audit", "--city", "town", *AT, "--exit-code", "--json")
    assert (found.code, "reply-missing" in found.out) == (1, True)
    office.ok("audit", "--city", "town", "--from", "2024-01-01", "--to", "2024-01-31", "--exit-code")
