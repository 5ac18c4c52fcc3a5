"""The bundle of a referral: made and referred by one command, checked offline, and found changed wherever it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import embedded
from tests.test_cli import Deployment, deploy, dispatched, registered, town_lines, write_script

REFERRED = ("--to", "discipline", "--ground", "perfunctory", "--facts", "屡次敷衍", "--as", "m/hotline_manager")
TOWN = ("--city", "town")


@pytest.fixture(scope="module")
def town(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A town with two orders that lie with one unit."""
    made = deploy(postgres, tmp_path_factory.mktemp("evidence"))
    made.ok("init", "town", "--policy", "S0", "--name", "某市", "--code", "MS")
    lines = [
        line
        for name in "ab"
        for line in (
            registered(name, "2025-03-03T09:00:00+08:00", old_number=f"旧{name}"),
            dispatched(name, "2025-03-03T11:00:00+08:00"),
        )
    ]
    made.ok("import", str(write_script(tmp_path_factory.mktemp("script") / "t.jsonl", *town_lines(), *lines)), *TOWN)
    return made


def test_a_bundle_is_made_with_its_referral_and_holds_offline_until_a_byte_is_changed(town: Deployment, tmp_path: Path):
    file, said = tmp_path / "bundle.jsonl", ("DQ-CG", "旧a", "旧b")
    told = town.ok("evidence", "refer", *said, *REFERRED, "--file", str(file), *TOWN, "--json").data
    entry = next(one for one in told["events"] if "bundle" in one["event"])
    digest = entry["event"]["bundle"]
    for record in said[1:]:  # whoever took a record along is found with it
        (look,) = town.ok("trace", "looks", record, *TOWN, "--json").data
        assert (look["actor"]["user"], look["event"]["fields"], look["event"]["purpose"]) == (
            entry["actor"]["user"],
            ["bundle"],
            "referral",
        )
    content = file.read_text(encoding="utf-8")
    assert "住处门前路灯坏了三天" not in content, "what is sealed stays sealed"
    assert "000-2025-0001" not in content
    checked = town.ok("evidence", "check", str(file), "--digest", digest, "--json").data
    assert checked["digest"] == digest
    assert [(one["events"], one["open"]) for one in checked["records"]] == [(2, 2), (2, 2)]
    assert "完整且未经改动" in town.ok("evidence", "check", str(file), "--digest", digest).out
    assert "树头签名未验" in town.ok("evidence", "check", str(file)).out
    assert entry["event"]["head"] == checked["head"]
    (row,) = town.ok("matters", "--kind", "referral", *TOWN, "--json").data["rows"]
    assert (row["units"], row["orders"]) == (["DQ-CG"], 2)
    lines = content.splitlines(keepends=True)
    for changed in (content.replace("2025", "2024", 2), "".join(lines[:-1]), "".join(lines[:1] + lines[2:])):
        other = tmp_path / "changed.jsonl"
        other.write_text(changed, encoding="utf-8")
        ran = town.run("evidence", "check", str(other), "--digest", digest)
        assert ran.code == 1
        assert "摘要不符" in ran.err
        ran = town.run("evidence", "check", str(other))
        assert ran.code == 1, "nor does it hold without the letter"
    assert "已存在" in town.refused("evidence", "refer", *said, *REFERRED, "--file", str(file), *TOWN)


def test_a_referral_that_is_refused_leaves_no_bundle(town: Deployment, tmp_path: Path):
    file = tmp_path / "none.jsonl"
    refused = town.refused("evidence", "refer", "NOBODY", "旧a", *REFERRED, "--file", str(file), *TOWN)
    assert "not-responsible" in refused
    assert not file.exists()
    one = town.ok("evidence", "refer", "DQ-CG", "旧a", *REFERRED, "--file", str(file), *TOWN, "--json").data
    assert one["stream"].startswith("order:")
    file.write_text("{}", encoding="utf-8")
    assert "不是证据包" in town.refused("evidence", "check", str(file))
