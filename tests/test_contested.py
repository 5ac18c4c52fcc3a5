"""An appeal shows what it changes: the month's figure with the order in it and without it, dry while it is open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts import embedded
from tests.test_cli import Deployment, deploy, dispatched, registered, town_lines, write_script

TOWN = ("--city", "town")
MONTH = ("--from", "2025-03-01", "--to", "2025-03-31", "--unit", "DQ-CG")


@pytest.fixture
def town(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A town with two orders that one unit never answered."""
    made = deploy(postgres, tmp_path_factory.mktemp("contested"))
    made.ok("init", "town", "--policy", "S0", "--name", "某市", "--code", "MS")
    lines = [
        line
        for name in "ab"
        for line in (
            registered(name, "2025-03-03T09:00:00+08:00", old_number=f"旧{name}"),
            dispatched(name, "2025-03-03T11:00:00+08:00"),
        )
    ]
    script: Path = write_script(tmp_path_factory.mktemp("script") / "t.jsonl", *town_lines(), *lines)
    made.ok("import", str(script), *TOWN)
    return made


def figure(town: Deployment, code: str) -> tuple[int, int | None]:
    found: Any = town.ok("indicators", *MONTH, *TOWN, "--json").data
    (one,) = [row for row in found["figures"] if row["code"] == code]
    return one["above"], one["below"]


def test_a_figure_is_shown_with_an_order_and_without_it_before_and_after_the_appeal_is_upheld(town: Deployment):
    whole = figure(town, "I10")
    unit, office = ("--as", "u/org_approver@DQ-CG", *TOWN), ("--as", "s/supervisor", *TOWN)
    said = (
        "indicator=I10",
        "ground=wrong_unit",
        "published_at=2025-04-02T09:00:00+08:00",
        "issuer=m",
        "words=单位有误",
    )
    town.ok("do", "旧a", "file_appeal", *said, *unit)
    shown = town.ok("appeals", *TOWN).out
    assert f"含本件 with it {whole[0]}/{whole[1]}, 若支持 if upheld" in shown
    town.ok("do", "旧a", "decide_appeal", "appeal=1", "upheld=true", "words=属实", "exclusion=I10", *office)
    stands = figure(town, "I10")
    assert stands[1] == (whole[1] or 0) - 1, "one order of two is left"
    assert (
        f"2025-03: 含本件 with it {whole[0]}/{whole[1]}, 剔除后 without {stands[0]}/{stands[1]}"
        in town.ok("appeals", *TOWN).out
    )
    town.ok("do", "旧b", "file_appeal", *said, *unit)
    town.ok("do", "旧b", "decide_appeal", "appeal=1", "upheld=false", "words=不实", *office)
    assert town.ok("appeals", "--state", "rejected", *TOWN).out.count("含本件") == 0
