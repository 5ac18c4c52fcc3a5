"""Filing, by the command that does it: every closed case gets its number, its record copy and its seal, once."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from archive import dossier, filing, material
from domain.ledger import Ledger
from domain.refusals import Busy
from domain.steps.filing import RecordDossier
from domain.terms import Act
from projections.answers import Projections
from scripts import desk, embedded, wiring
from scripts.bench import filing as bench
from tests.test_cli import AS_AGENT, Deployment, deploy, registered, town_lines, write_script

TOWN = ("--city", "town")
AS = ("--as", "archivist/archivist@HOTLINE")
AGENT = {"user": "hotline-agent", "role": "agent", "unit": "HOTLINE"}


def refused(n: int, day: str = "2026-03-04") -> list[dict[str, Any]]:
    """Return the lines of a demand that was refused: closed, and complete."""
    words = {"type": "refuse", "reason": "litigation", "medium": "phone", "words": "属法院执行程序。"}
    told = {"informed_at": f"{day}T10:{n % 60:02d}:00+08:00"}
    return [
        registered(f"R{n}", f"{day} 09:{n % 60:02d}", title=f"法院执行问题{n}"),
        {"order": f"R{n}", "at": f"{day} 10:{n % 60:02d}", "by": AGENT, "command": {**words, **told}},
    ]


def found(
    postgres: embedded.Database,
    home: Path,
    *lines: dict[str, Any],
    policy: str = "S4",
    before: Callable[[Deployment], None] | None = None,
) -> Deployment:
    town = deploy(postgres, home)
    town.ok("init", "town", "--policy", policy, "--name", "某市", "--code", "MS")
    town.ok("archive", "fonds", "--code", "X043", "--name", "某市热线", "--archives", "某市档案馆", *TOWN)
    if before is not None:
        before(town)
    script = write_script(home / "town.jsonl", *town_lines(), *lines)
    assert town.ok("import", str(script), *TOWN, "--json").data["rejected"] == 0
    return town


def histories(town: Deployment) -> dict[str, list[dict[str, Any]]]:
    """Return the history of every order by its number."""
    rows = town.ok("list", *TOWN, "--limit", "500", "--json").data["rows"]
    return {row["number"]: town.ok("history", row["number"], *TOWN, "--json").data for row in rows}


def types(history: list[dict[str, Any]]) -> list[str]:
    return [entry["event"]["type"].partition(".")[2] for entry in history]


def test_what_was_closed_is_filed_printed_sealed_and_packed_and_both_verifiers_are_content(
    postgres: embedded.Database, tmp_path: Path
):
    town = found(postgres, tmp_path, *refused(1), *refused(2, "2026-01-05"), registered("O", "2026-03-05 09:00"))
    told = town.ok("archive", "run", *TOWN, "--json").data
    assert (told["filed"], told["copies"], told["failed"]) == (2, 2, [])
    again = town.ok("archive", "run", *TOWN, "--json").data
    assert (again["filed"], again["copies"], again["sealed"]) == (0, 0, 0)
    for number, history in histories(town).items():
        kinds = Counter(types(history))
        assert (kinds["order_archived"], kinds["dossier_rendered"]) == ((1, 1) if len(history) > 1 else (0, 0)), number
    head = town.ok("head", "--policy", *TOWN).out
    (tmp_path / "policy").write_text(head, encoding="utf-8")
    made = town.ok("archive", "packet", "2026-D10", *AS, *TOWN, "--to", str(tmp_path / "out"), "--json").data
    assert (made["items"], made["left_out"]) == (2, [])
    asked = ("verify", made["folder"], "--policy", str(tmp_path / "policy"))
    assert "2 件 cases" in town.ok(*asked).out
    assert alone(Path(made["folder"]), tmp_path / "policy") == 0
    for path in Path(made["folder"]).glob("data/*/*.pdf"):
        assert "✓" in town.ok("verify", str(path), "--policy", str(tmp_path / "policy")).out


def test_after_its_time_a_file_is_sealed_and_what_comes_later_is_a_supplement(
    postgres: embedded.Database, tmp_path: Path
):
    archivist = {"user": "hotline-archivist", "role": "archivist", "unit": "HOTLINE"}
    filed = {
        "order": "R1",
        "at": "2026-03-05 09:00",
        "by": archivist,
        "command": {"type": "archive", "verified_to": "@head"},
    }
    town = found(postgres, tmp_path, *refused(1), filed)
    told = town.ok("archive", "run", *TOWN, "--json").data
    assert (told["filed"], told["copies"], told["sealed"], told["failed"]) == (0, 1, 1, [])
    ((number, history),) = histories(town).items()
    assert types(history)[-3:] == ["order_archived", "dossier_rendered", "archive_package_sealed"]
    manager = ("--as", "hotline-manager/hotline_manager@HOTLINE", *TOWN)
    assert "order-sealed" in town.refused("do", number, "reopen", "ground=new_facts", "words=新情况", *manager)
    correction = ("version=1", "field=place", "basis=听写有误", "old=", "new=河滨路")
    town.ok("do", number, "propose_correction", *correction, *AS_AGENT, *TOWN)
    town.ok("do", number, "approve_correction", "correction=1", "--as", "s/supervisor@HOTLINE", *TOWN)
    told = town.ok("archive", "run", *TOWN, "--json").data
    assert (told["copies"], told["sealed"], told["failed"]) == (1, 0, [])
    assert town.ok("archive", "run", *TOWN, "--json").data["copies"] == 0
    made = town.ok("archive", "packet", "2026-D10-1", *AS, *TOWN, "--to", str(tmp_path / "out"), "--json").data
    (supplement,) = Path(made["folder"]).glob("data/*/*-补1.pdf")
    assert supplement.read_bytes() != supplement.with_name(supplement.name.replace("-补1", "")).read_bytes()
    (tmp_path / "policy").write_text(town.ok("head", "--policy", *TOWN).out, encoding="utf-8")
    asked = ("verify", made["folder"], "--policy", str(tmp_path / "policy"))
    assert town.ok(*asked).code == 0
    supplement.unlink()
    assert "补1.pdf" in town.run(*asked).out


def test_a_case_too_long_for_one_file_is_filed_in_volumes_which_hold_each_and_together(
    postgres: embedded.Database, tmp_path: Path
):
    told_more = [
        {"order": "R1", "at": f"2026-03-04 {9 + n // 60:02d}:{n % 60:02d}:30", "by": AGENT,
         "command": {"type": "supplement", "items": ["照片"], "content": f"补充说明{n}"}}
        for n in range(2, 152)
    ]  # fmt: skip
    opening, refusal = refused(1)
    refusal = {**refusal, "at": "2026-03-04 12:10"}
    town = found(postgres, tmp_path, opening, *told_more, refusal)
    told = town.ok("archive", "run", *TOWN, "--json").data
    assert (told["filed"], told["copies"], told["failed"]) == (1, 1, [])
    assert town.ok("archive", "run", *TOWN, "--json").data["copies"] == 0
    ((number, history),) = histories(town).items()
    (copy,) = (entry["event"] for entry in history if entry["event"]["type"] == "order.dossier_rendered")
    assert len(history) > material.VOLUME
    assert len(copy["further"]) == 1
    made = town.ok("archive", "packet", "2026-D10", *AS, *TOWN, "--to", str(tmp_path / "out"), "--json").data
    assert (made["items"], made["left_out"]) == (1, [])
    assert made["pages"] == copy["pages"] + copy["further"][0]["pages"]
    volumes = sorted(Path(made["folder"]).glob("data/*/*.pdf"), key=lambda path: len(path.name))
    digests = [f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in volumes]
    assert digests == [copy["digest"], copy["further"][0]["digest"]]
    policy = tmp_path / "policy"
    policy.write_text(town.ok("head", "--policy", *TOWN).out, encoding="utf-8")
    assert "第 2/2 卷" in town.ok("verify", str(volumes[1]), "--policy", str(policy)).out
    assert "1 件 cases" in town.ok("verify", made["folder"], "--policy", str(policy)).out
    assert alone(Path(made["folder"]), policy) == 0
    volumes[1].unlink()
    assert "-卷2.pdf" in town.run("verify", made["folder"], "--policy", str(policy)).out
    assert alone(Path(made["folder"]), policy) == 1
    words = ("dossier", number, "--edition", "full", *AS, "--to", str(tmp_path / "d.pdf"), *TOWN)
    assert [one["digest"] for one in town.ok(*words, "--json").data] == digests
    assert len(histories(town)[number]) == len(history), "what is recorded already is not recorded again"


def alone(packet: Path, policy: Path) -> int:
    """Return what the verifier that goes with a packet ends with."""
    words = [sys.executable, "-I", f"{packet}/data/verify_standalone.py", str(packet), "--policy", str(policy)]
    return subprocess.run(words, check=False, capture_output=True).returncode


def test_whoever_was_killed_while_filing_goes_on_also_beside_another_and_nothing_is_lost_or_there_twice(
    postgres: embedded.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    count = 20
    town = found(postgres, tmp_path, *(line for n in range(count) for line in refused(n)))
    words, course = bench.command("town", 2), tmp_path / "packets" / "town" / filing.COURSE
    killed, _ = bench.struck(words, town.environment(), course, target=4, wait=0.1)
    assert killed
    before = looked(town, monkeypatch)
    assert 4 <= before.copies < count
    tallies = bench.together(words, town.environment(), 2)
    assert sum(one["copies"] for one in tallies) == count - before.copies
    assert [one["failed"] for one in tallies] == [[], []]
    after = looked(town, monkeypatch)
    assert (after.filed, after.numbers, after.copies, after.findings) == (count, count, count, [])
    assert town.ok("verify", "--files", *TOWN).code == 0
    assert {row["stage"] for row in town.ok("archive", "ready", *TOWN, "--json").data} == {"waits"}
    one, other, *_ = sorted((tmp_path / "files").glob("*/*/*"))
    one.rename(other.with_name(one.name))
    said = looked(town, monkeypatch).findings
    assert [f"sha256:{one.name}" in line for line in said] == [True, True, True], (
        "gone, named by nothing, of another case"
    )


def looked(town: Deployment, monkeypatch: pytest.MonkeyPatch) -> bench.Look:
    """Hold ledger and files of a town against one another."""

    async def work(ledger: Ledger, shown: Projections) -> bench.Look:
        return await bench.look(ledger, shown, wiring.files_of(ledger))

    with monkeypatch.context() as patch:
        for name, value in town.environment().items():
            patch.setenv(name, value)
        return desk.with_city("town", work)


def test_a_copy_that_was_kept_and_never_recorded_goes_when_another_is(
    postgres: embedded.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    town = found(postgres, tmp_path, *refused(1))

    async def ends(archivist: filing.Archivist, act: Act, stream: str, command_id: str) -> bool:
        if isinstance(act, RecordDossier):
            raise Busy
        return await done(archivist, act, stream, command_id)

    done = filing.Archivist._done
    with monkeypatch.context() as patch:
        patch.setattr(dossier, "TEMPLATE", "dossier/earlier")
        patch.setattr(filing.Archivist, "_done", ends)
        assert town.run("archive", "run", *TOWN).code == 1
    (earlier,) = (tmp_path / "files").glob("*/*/*")
    upload = earlier.with_name("0" * 64)
    upload.write_bytes(b"what somebody sends just now")
    assert town.ok("archive", "run", *TOWN, "--json").data["copies"] == 1
    ((_, history),) = histories(town).items()
    (digest,) = (entry["event"]["digest"] for entry in history if "upto" in entry["event"])
    assert {path.name for path in earlier.parent.iterdir()} == {digest.removeprefix("sha256:"), upload.name}


def test_how_far_filing_is_stands_there_for_others_and_one_run_at_a_time_says_it(tmp_path: Path):
    path, now = tmp_path / "new" / filing.COURSE, partial(datetime.now, UTC)
    assert filing.course_of(path) is None
    with filing.on_course(path, 9, now) as say:
        assert say is not None
        say(filing.Tally(done=3, copies=2, failed=[(f"{n}", "why") for n in range(150)]))
        with filing.on_course(path, 1, now) as other:
            assert other is None
        found = filing.course_of(path)
        assert found is not None
        course, running = found
        assert (running, course.of, course.done, course.copies) == (True, 9, 3, 2)
        assert (course.failed, len(course.failures)) == (150, filing.NAMED)
    assert filing.course_of(path) == (course, False)
