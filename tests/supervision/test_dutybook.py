"""值班记录簿: every call by its number, of a day and a shift, sealed until somebody opens it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts import embedded
from tests.test_cli import Deployment, deploy, registered, town_lines, write_script

AGENT = {"user": "agent", "role": "agent", "unit": "HOTLINE"}


def call(no: int, at: str, disposition: str, shift: str = "白班", **more: object) -> dict[str, object]:
    said = {"type": "log_call", "call_id": f"C-{no}", "disposition": disposition, "started_at": at, "agent": "agent"}
    return {"stream": f"call:C-{no}", "at": at, "by": AGENT, "command": {**said, "shift": shift, **more}}


@pytest.fixture(scope="module")
def office(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    deployed = deploy(postgres, tmp_path_factory.mktemp("book"))
    deployed.ok("init", "town", "--policy", "S0", "--name", "某市", "--code", "MS")
    caller = {"kind": "person", "name": "李四光", "phone": "13900002222"}
    script = write_script(
        tmp_path_factory.mktemp("script") / "town.jsonl",
        *town_lines(),
        registered("a", "2025-03-03T09:00:00+08:00", title="路灯不亮"),
        call(1, "2025-03-03T09:10:00+08:00", "inquiry", caller=caller, content="公积金如何提取", disposal="已答复"),
        call(2, "2025-03-03T10:00:00+08:00", "silent"),
        call(3, "2025-03-03T20:00:00+08:00", "wrong", shift="夜班"),
        call(4, "2025-03-04T09:00:00+08:00", "abusive"),
    )
    deployed.ok("import", str(script), "--city", "town")
    return deployed


def printed(office: Deployment, file: Path, *words: str) -> tuple[dict[str, object], str]:
    said = office.ok("dutybook", "2025-03-03", "--to", str(file), *words, "--city", "town", "--json").out
    return json.loads(said), file.read_text(encoding="utf-8")


def test_the_book_of_a_day_has_every_call_without_a_gap_and_nobody_by_name(office: Deployment, tmp_path: Path):
    said, html = printed(office, tmp_path / "day.html")
    assert (said["calls"], said["missing"]) == (3, [])
    assert all(word in html for word in ("咨询1", "无声1", "误拨1", "骚扰0", "（密封）", "无缺号"))
    assert not any(word in html for word in ("李四光", "13900002222", "公积金"))
    _, again = printed(office, tmp_path / "again.html", "--cut-off", str(said["cut_off"]))
    assert again == html


def test_a_shift_has_its_own_book_and_the_numbers_of_others_are_no_gap(office: Deployment, tmp_path: Path):
    said, html = printed(office, tmp_path / "night.html", "--shift", "夜班")
    assert (said["calls"], said["missing"]) == (1, [])
    assert "夜班" in html


def test_names_are_opened_for_the_duty_room_and_the_journal_says_so(office: Deployment, tmp_path: Path):
    words = ("--full", "--purpose", "hand-over", "--as")
    _, html = printed(office, tmp_path / "full.html", *words, "manager/hotline_manager@HOTLINE")
    assert all(word in html for word in ("李四光", "13900002222", "公积金如何提取", "全文版"))
    refused = office.refused(
        "dutybook", "2025-03-03", "--to", str(tmp_path / "x.html"), *words, "d/org_handler@D", "--city", "town"
    )
    assert "only for" in refused
