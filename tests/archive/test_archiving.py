"""The archive at the terminal: the fonds, packets, and the check of one by whoever has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain import notes
from scripts import embedded
from tests.archive.filed import Office, within
from tests.test_cli import Deployment, deploy, registered, town_lines, write_script

TOWN = ("--city", "town")
AS = ("--as", "archivist/archivist@HOTLINE")


@pytest.fixture(scope="module")
def town(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A town with its units and people."""
    made = deploy(postgres, tmp_path_factory.mktemp("town"))
    made.ok("init", "town", "--policy", "S4", "--name", "某市", "--code", "MS")
    made.ok("import", str(write_script(tmp_path_factory.mktemp("script") / "t.jsonl", *town_lines())), *TOWN)
    return made


def test_the_fonds_is_told_once_and_nothing_of_it_is_made_up(town: Deployment):
    assert "—" in town.ok("archive", "fonds", *TOWN).out
    assert "huiyin archive fonds --code" in town.refused("archive", "packet", "2026-D30", *AS, *TOWN)
    assert "全宗名称" in town.refused("archive", "fonds", "--code", "X043", *TOWN)
    assert "字母" in town.refused("archive", "fonds", "--code", "X/43", "--name", "某市热线", *TOWN)
    said = town.ok("archive", "fonds", "--code", "X043", "--name", "某市热线", "--archives", "某市档案馆", *TOWN).out
    assert "X043-WS·2026-D30-RX-0001" in said
    town.ok("archive", "fonds", "--separator", ".", *TOWN)
    shown = town.ok("archive", "fonds", *TOWN, "--json").data
    assert (shown["code"], shown["category"], shown["archives"], shown["separator"]) == (
        "X043",
        "WS",
        "某市档案馆",
        ".",
    )
    town.ok("archive", "fonds", "--separator", "·", *TOWN)


def test_a_packet_is_asked_for_by_numbers_that_there_are_and_by_an_archivist(town: Deployment):
    town.ok("archive", "fonds", "--code", "X043", "--name", "某市热线", *TOWN)
    assert "absent" in town.refused("archive", "packet", "2026-D30", *AS, *TOWN)
    assert "2026-D30" in town.refused("archive", "packet", "2026", *AS, *TOWN)
    assert "首号" in town.refused("archive", "packet", "2026-D30-9..3", *AS, *TOWN)
    assert "archivist" in town.refused("archive", "packet", "2026-D30", "--as", "a/agent@HOTLINE", *TOWN)


def test_how_many_processes_set_dossiers_is_a_number_that_a_machine_has(town: Deployment):
    for wrong in ("0", "33", "viele", "-1"):
        assert "HUIYIN_FILERS" in town.refused("archive", "run", *TOWN, HUIYIN_FILERS=wrong)
    assert town.ok("archive", "run", *TOWN, "--json", HUIYIN_FILERS="2").data["failed"] == []


def test_whoever_has_a_packet_checks_it_without_a_database(postgres: embedded.Database, tmp_path: Path):
    async def work(there: Office) -> Path:
        await there.filed(2)
        (tmp_path / "policy").write_text(notes.policy_text(there.policy), encoding="utf-8")
        return await there.packet(tmp_path)

    root = within(postgres, tmp_path, work)
    stranger = Deployment(tmp_path / "nowhere", "host=127.0.0.1 port=9 dbname=none")
    asked = ("verify", str(root), "--policy", str(tmp_path / "policy"))
    said = stranger.ok(*asked).said
    assert "✓" in said
    assert "2 件 cases" in said
    assert "npc.example" in said
    (told,) = stranger.ok(*asked, "--json").data
    assert (told["holds"], told["items"], told["findings"]) == (True, 2, [])
    path = next((root / "data").glob("*-0002")) / "ledger.tlog-proof"
    path.write_bytes(path.read_bytes() + b"\n")
    ran = stranger.run(*asked)
    assert ran.code == 1
    assert "ledger.tlog-proof" in ran.out
    assert "不可采信" in ran.out
    assert "no-packet" not in ran.err


def test_what_waits_for_its_file_is_listed_with_what_it_lacks(town: Deployment, tmp_path: Path):
    agent = {"user": "hotline-agent", "role": "agent", "unit": "HOTLINE"}
    refused = {
        "order": "R",
        "at": "2025-03-04 10:00",
        "by": agent,
        "command": {
            "type": "refuse",
            "reason": "litigation",
            "informed_at": "2025-03-04T09:58:00+08:00",
            "medium": "phone",
            "words": "属法院执行程序。",
        },
    }
    script = write_script(tmp_path / "r.jsonl", registered("R", "2025-03-04 09:50", title="法院执行"), refused)
    assert town.ok("import", str(script), *TOWN, "--json").data["rejected"] == 0
    (row,) = town.ok("archive", "ready", *TOWN, "--json").data
    assert (row["stage"], row["missing"], row["file_number"]) == ("file", [], "")
    assert "待归档" in town.ok("archive", "ready", *TOWN).out
    assert "均齐全" in town.ok("archive", "ready", "--incomplete", *TOWN).out
