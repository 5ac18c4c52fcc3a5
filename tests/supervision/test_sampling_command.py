"""`huiyin sample` at the terminal: drawn once, shown by unit, and drawn again by anybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import embedded, simulate
from tests.test_cli import Deployment, deploy, write_script


@pytest.fixture
def office(postgres: embedded.Database, tmp_path: Path) -> Deployment:
    """A month of a simulated city; the pack gives no share."""
    town = deploy(postgres, tmp_path / "office")
    script = write_script(tmp_path / "month.jsonl", *simulate.month(7, orders=40))
    town.ok("init", "town", "--policy", "S0", "--name", "某市", "--code", "MS")
    town.ok("import", str(script), "--city", "town")
    return town


def test_a_months_visits_are_drawn_once_and_drawn_again(office: Deployment):
    month = ("sample", "--city", "town", "--from", "2025-09-01", "--until", "2025-09-30", "--percent", "20")
    shown = office.ok(*month, "--dry-run", "--numbers", COLUMNS="80").out
    assert "将抽 would draw" in shown
    said = office.ok(*month, "--json").data
    assert said["counts"]["drawn"] == len(said["drawn"]) > 0
    assert office.ok(*month, "--json").data["counts"] == {"again": len(said["drawn"])}
    assert "✓ 与账本相符" in office.ok("sample", "--city", "town", "--check", said["seed"]).out
    assert "没有此抽样" in office.refused("sample", "--city", "town", "--check", "20250901")


def test_what_the_pack_leaves_open_is_asked_for(office: Deployment):
    assert "--percent" in office.refused("sample", "--city", "town")
    assert "--at" in office.refused("sample", "--city", "town", "--simulated", "--percent", "5")
    assert "--at" in office.refused("sample", "--city", "town", "--percent", "5", "--at", "2025-10-01 09:00")
