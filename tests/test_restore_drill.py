"""The drill: an older copy of the database is put back, and the office goes on. Real processes, killed and started again."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from domain import notes
from domain.notes import Note
from scripts import embedded
from tests.api.conftest import running
from tests.test_cli import CHECKOUT, Deployment, deploy, registered, town_lines, write_script
from tests.test_proving import heads_of, policy_of

CITY = ("--city", "town")


class Drill(NamedTuple):
    """An office, its witness, and how its database is copied and put back."""

    office: Deployment
    superuser: str
    folder: Path

    def register(self, count: int) -> None:
        """Register so many orders more, by the command line."""
        number = len(list(self.folder.glob("*.jsonl")))
        days = (f"2025-03-{4 + number:02d} 09:{minute:02d}" for minute in range(count))
        script = write_script(self.folder / f"{number}.jsonl", *(registered(day, day) for day in days))
        assert self.office.ok("import", str(script), *CITY, "--json").data["rejected"] == 0

    def copy(self, source: str, target: str) -> None:
        """Make one database a copy of another, file by file."""
        with psycopg.connect(self.superuser, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(target)))
            copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
            connection.execute(copy.format(sql.Identifier(target), sql.Identifier(source)))

    @property
    def position(self) -> int:
        return self.office.ok("status", *CITY, "--json").data["position"]

    @property
    def name(self) -> str:
        return str(conninfo_to_dict(self.office.url)["dbname"])

    def witness(self, *more: str) -> Any:
        state = ("--name", "npc.example", "--state", str(self.folder / "npc"))
        return self.office.run("witness", *more, *state, "--json")

    def verify(self) -> list[dict[str, Any]]:
        """Return what the check finds, with the head that the witness holds."""
        told = self.office.run("verify", "--head", str(self.folder / "npc" / "last"), *CITY, "--json")
        findings = told.data["findings"]
        assert told.code == bool(findings)
        return findings

    def heads(self) -> list[Note]:
        """Return every head that was ever signed, as the folder outside has them."""
        lines = (
            line for file in (heads_of(self.office) / "heads").iterdir() for line in file.read_bytes().splitlines()
        )
        return [notes.note_from(json.loads(line)["note"]) for line in lines]


@pytest.fixture
def drill(postgres: embedded.Database, tmp_path: Path) -> Drill:
    office = deploy(postgres, tmp_path / "home")
    office.home.mkdir()
    office.ok("init", "town", "--policy", "S0", "--code", "HY", "--name", "某市")
    folder = tmp_path / "scripts"
    folder.mkdir()
    made = Drill(office, postgres.superuser, folder)
    people = write_script(tmp_path / "town.jsonl", *town_lines())
    assert office.ok("import", str(people), *CITY, "--json").data["rejected"] == 0
    return made


@contextmanager
def served(drill: Drill) -> Iterator[tuple[str, str]]:
    """Serve the office in processes of its own, and kill every one of them in the end; yields address and token file."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in drill.office.environment(HUIYIN_SWEEP="0").items():
            patched.setenv(name, value)
        token = drill.folder / "token"
        token.write_text(drill.office.ok("token", "manager/hotline_manager@HOTLINE", *CITY).out, encoding="utf-8")
        with running(drill.office.home, ["town"]) as (url, _, process, _client):
            try:
                yield f"{url}/v1/town/log", str(token)
            finally:
                for one in reversed(family(process)):
                    os.kill(one, signal.SIGKILL)
    until = time.monotonic() + 30
    while _sessions(drill) and time.monotonic() < until:
        time.sleep(0.05)


def family(process: int) -> list[int]:
    """Return a process and all below it."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *(one for child in children for one in family(int(child)))]


def _sessions(drill: Drill) -> int:
    with psycopg.connect(drill.superuser, autocommit=True) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
        return connection.execute(query, [drill.name]).fetchall()[0][0]


def signed(log: str, token: str) -> httpx.Response:
    """Have a head signed over HTTP."""
    words = Path(token).read_text(encoding="utf-8").strip()
    return httpx.post(f"{log}/heads", headers={"Authorization": f"Bearer {words}"}, timeout=30)


def test_after_an_older_copy_is_put_back_nothing_more_is_signed_and_the_check_says_from_where_history_was_lost(
    drill: Drill,
):
    drill.register(3)
    key = str(policy_of(drill.office, drill.folder / "policy").log)
    drill.office.ok("head", *CITY)
    drill.register(2)
    backup, kept = f"{drill.name}_backup", drill.position
    drill.copy(drill.name, backup)
    drill.register(5)
    with served(drill) as (log, token):
        assert signed(log, token).status_code == 200
        seen = drill.witness(log, "--token-file", token, "--log", key).data
        assert seen["size"] == drill.position > kept
    before = {note.text for note in drill.heads()}
    drill.copy(backup, drill.name)
    assert drill.position == kept
    assert {one["position"] for one in drill.verify()} == {kept + 1}
    with served(drill) as (log, token):
        drill.register(9)  # past where it had been
        assert drill.position > seen["size"]
        refused = signed(log, token)
        assert (refused.status_code, refused.json()["code"]) == (500, "ledger-rewritten")
        assert "ledger-rewritten" in drill.office.refused("head", *CITY)
        told = drill.witness(log, "--token-file", token)
        assert (told.code, "shorter" in told.err) == (1, True)
        assert list((drill.folder / "npc").glob("refused-*"))
    assert {note.text for note in drill.heads()} == before  # nobody signed anything since
    found = drill.verify()
    assert min(one["position"] for one in found) <= kept + 1
    exactly = [one for one in found if "published outside" in one["what"]]
    assert [one["position"] for one in exactly] == [kept + 1]
    assert all(one["expected"] and one["found"] for one in found)
    said = drill.office.run("verify", "--head", str(drill.folder / "npc" / "last"), *CITY).out
    assert f"位置 position {kept + 1}" in said


def test_where_the_folder_outside_was_put_back_too_the_witness_alone_remembers_and_refuses(drill: Drill):
    drill.register(3)
    key = str(policy_of(drill.office, drill.folder / "policy").log)
    drill.office.ok("head", *CITY)
    backup, kept = f"{drill.name}_backup", drill.position
    outside = heads_of(drill.office)
    drill.copy(drill.name, backup)
    shutil.copytree(outside, drill.folder / "outside")
    drill.register(4)
    drill.office.ok("head", *CITY)
    seen = drill.witness(str(outside), "--log", key).data
    drill.copy(backup, drill.name)
    shutil.rmtree(outside)
    shutil.copytree(drill.folder / "outside", outside)
    drill.office.ok("head", *CITY)  # nothing on this machine knows better
    assert "shorter" in drill.witness(str(outside)).err
    drill.register(9)
    drill.office.ok("head", *CITY)
    told = drill.witness(str(outside))
    assert (told.code, "changed" in told.err) == (1, True)
    assert len(list((drill.folder / "npc").glob("refused-*"))) == 2
    found = drill.verify()
    assert [one["position"] for one in found] == [kept + 1]
    assert str(seen["size"]) in found[0]["what"]


def test_whoever_is_killed_while_heads_are_signed_leaves_heads_that_agree(drill: Drill):
    chance = random.Random(20261122)
    for _ in range(4):
        drill.register(2)
        words = [sys.executable, "-m", "scripts.huiyin", "head", *CITY]
        one = subprocess.Popen(words, cwd=CHECKOUT, env=drill.office.environment(), stdout=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):  # it may be faster: then nothing is killed this time
            one.wait(chance.uniform(0.7, 1.3))
        one.kill()
        one.wait()
    drill.office.ok("head", *CITY)
    heads = {note.checkpoint for note in drill.heads()}
    assert len({head.size for head in heads}) == len(heads)
    assert drill.office.ok("verify", *CITY, "--json").data["findings"] == []
