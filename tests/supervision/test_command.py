"""`huiyin sweep` at the terminal: what it shows, what it does, and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import embedded
from tests.test_cli import Deployment, deploy, dispatched, registered, town_lines, write_script


@pytest.fixture
def office(postgres: embedded.Database, tmp_path: Path) -> Deployment:
    """A town under S2 and one under S0, each with an order that lies with an organizer since Monday 2025-03-03 11:00."""
    town = deploy(postgres, tmp_path / "office")
    script = write_script(
        tmp_path / "town.jsonl",
        *town_lines(),
        registered("a", "2025-03-03T10:00:00+08:00", title="水管漏水"),
        dispatched("a", "2025-03-03T11:00:00+08:00"),
    )
    for name, policy in (("town", "S0"), ("old", "S2")):
        town.ok("init", name, "--policy", policy, "--name", "某市", "--code", "MS")
        town.ok("import", str(script), "--city", name)
    return town


def test_a_sweep_shows_what_it_would_do_then_does_it_once(office: Deployment):
    ahead = ("sweep", "--city", "town", "--at", "2025-03-10 12:00")
    before = office.ok("list", "--city", "town", "--json").data["position"]
    shown = office.ok(*ahead, "--dry-run", COLUMNS="160").out
    assert "将办 would do: 催办 reminder 1 · 系统督办 system 1" in shown
    assert "转派" in shown
    assert "S0-T2" in shown
    assert office.ok("list", "--city", "town", "--json").data["position"] == before
    done = office.ok(*ahead, "--simulated", COLUMNS="80").out
    assert "已办 done: 催办 reminder 1 · 系统督办 system 1" in done
    again = office.ok(*ahead, "--simulated").out
    assert "已办 0" in again


def test_live_it_acts_at_the_databases_clock_and_programs_read_what_it_did(office: Deployment):
    said = office.ok("sweep", "--city", "town", "--json").data
    assert said["swept"]["done"] == {"issue_notice:system": 2}
    assert {(line["outcome"], line["kind"], line["clock"]) for line in said["lines"]} == {
        ("done", "system", "transfer"),
        ("done", "system", "handle"),
    }
    assert all(line["position"] for line in said["lines"])
    assert office.ok("sweep", "--city", "town", "--json").data["swept"]["done"] == {}


def test_what_a_person_has_to_do_is_listed_with_who(office: Deployment):
    shown = office.ok("sweep", "--city", "old", COLUMNS="160").out
    assert "待人工 for people: 书面督办 written 1" in shown
    assert "须由 by 督办员" in shown
    assert "S2-29" in shown


def test_what_takes_a_person_stands_with_the_duties_of_who_may_with_its_article(office: Deployment):
    shown = office.ok("duties", "--city", "old", COLUMNS="160").out
    assert "书面督办" in shown
    assert "S2-29" in shown
    assert "待人工 for people 1" in shown
    (step,) = office.ok("duties", "--city", "old", "--role", "supervisor", "--json").data["steps"]
    assert (step["kind"], step["by"], step["article"]) == ("written", ["supervisor"], "S2-29")
    assert office.ok("duties", "--city", "old", "--role", "agent", "--json").data["steps"] == []
    assert office.ok("duties", "DQ-CG", "--city", "old", "--json").data["steps"] == []


def test_an_instant_is_for_looking_or_for_simulated_cities_only(office: Deployment):
    assert "--dry-run" in office.refused("sweep", "--city", "town", "--at", "2025-03-10 12:00")
    assert "--at" in office.refused("sweep", "--city", "town", "--simulated")
    assert "不是时间" in office.refused("sweep", "--city", "town", "--dry-run", "--at", "gestern")


def test_what_is_proposed_to_people_is_listed_with_who_may(office: Deployment, tmp_path: Path):
    shown = office.ok("proposals", "--city", "old", COLUMNS="160").out
    assert "书面督办" in shown
    assert "须由 by 督办员" in shown
    assert "待人工 for people 1" in shown
    merged = [registered(name, f"2025-03-04T10:0{n}:00+08:00") for n, name in enumerate("pqrst")]
    dispatcher = {"user": "d", "role": "dispatcher", "unit": "HOTLINE"}
    for n, name in enumerate("qrst"):
        command = {"type": "merge", "master": "@p", "reason": "同一事项"}
        merged.append({"order": name, "at": f"2025-03-04T11:0{n}:00+08:00", "by": dispatcher, "command": command})
    office.ok("import", str(write_script(tmp_path / "mass.jsonl", *merged)), "--city", "town")
    at = ("--city", "town", "--at", "2025-03-10 12:00")
    (one,) = office.ok("proposals", *at, "--json").data["proposals"]
    assert (one["ground"], one["count"], one["by"]) == ("hot_issue", 5, ["coordinator", "hotline_manager"])
    assert "热点" in office.ok("proposals", *at, COLUMNS="160").out
