"""The command line: what a newcomer, an official and a program meet. Every command, for real, on PostgreSQL.

Most commands run inside this process through `main`, as `huiyin` does; a few as processes of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import click
import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from rich.cells import cell_len

from domain import ledger as door
from domain.sealing import Keyring
from projections.answers import PROJECTIONS
from scripts import embedded, simulate, wiring
from scripts.huiyin import huiyin, main
from tests.conftest import City, as_superuser

CHECKOUT = Path(__file__).resolve().parent.parent
POLICIES = Path(__file__).parent / "policies"
ADMIN = {"user": "admin", "role": "admin", "unit": "HOTLINE"}
AGENT = {"user": "hotline-agent", "role": "agent", "unit": "HOTLINE"}
DISPATCHER = {"user": "hotline-dispatcher", "role": "dispatcher", "unit": "HOTLINE"}
AS_AGENT = ("--as", "hotline-agent/agent@HOTLINE")
AS_DISPATCHER = ("--as", "hotline-dispatcher/dispatcher@HOTLINE")


class Ran(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What a program reads: one JSON value on stdout, and nothing else."""
        return json.loads(self.out)

    @property
    def said(self) -> str:
        """Everything that was said, in one line."""
        return " ".join((self.out + self.err).split())


class Deployment(NamedTuple):
    """A data root and a database of their own."""

    home: Path
    url: str

    def environment(self, **more: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HUIYIN_", "COLUMNS"))}
        here = {"HUIYIN_HOME": str(self.home), "HUIYIN_DATABASE_URL": self.url, "HUIYIN_TRIAL_DATA": str(self.home)}
        return kept | here | more

    def run(self, *words: str, **settings: str) -> Ran:
        """Run a command inside this process."""
        out, err = io.StringIO(), io.StringIO()
        before = dict(os.environ)
        os.environ.clear()
        os.environ.update(self.environment(**settings))
        code: object = 0
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main(words)
        except SystemExit as stopped:
            code = stopped.code or 0
        finally:
            os.environ.clear()
            os.environ.update(before)
        assert isinstance(code, int)
        assert "Traceback" not in err.getvalue() + out.getvalue()
        return Ran(code, out.getvalue(), err.getvalue())

    def ok(self, *words: str, **settings: str) -> Ran:
        """Run a command that must do what it is asked."""
        ran = self.run(*words, **settings)
        assert ran.code == 0, ran
        return ran

    def refused(self, *words: str, code: int = 1, **settings: str) -> str:
        """Run a command that must be refused: a sentence on stderr, nothing on stdout, the exit code."""
        ran = self.run(*words, **settings)
        assert (ran.code, ran.out) == (code, ""), ran
        assert ran.err.strip()
        assert "HUIYIN_DEBUG" not in ran.err
        return " ".join(ran.err.split())

    def spawn(self, *words: str | bytes, **settings: str) -> Ran:
        """Run a command as a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "scripts.huiyin", *words],
            cwd=CHECKOUT,
            env=self.environment(**settings),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def deploy(postgres: embedded.Database, home: Path) -> Deployment:
    name = f"cli_{secrets.token_hex(6)}"
    with psycopg.connect(postgres.superuser, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return Deployment(home, make_conninfo(postgres.superuser, dbname=name))


@pytest.fixture(scope="module")
def deployment(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return deploy(postgres, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def nothing_yet(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A deployment without any city."""
    return deploy(postgres, tmp_path_factory.mktemp("empty"))


def write_script(path: Path, *lines: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


def town_lines() -> list[dict[str, Any]]:
    """The units and people of a town, as the lines of a case script."""
    return [*simulate.founding(wiring.parse_instant("2025-01-02"))]


def registered(label: str, at: str, **more: Any) -> dict[str, Any]:
    command = {
        "type": "register",
        "title": "路灯不亮",
        "category": "市政设施/照明",
        "channel": "phone",
        "attributes": {"demand_type": "consult"},
        "content": "住处门前路灯坏了三天, 请维修。",
        "applicant": {"kind": "person", "name": "甲某", "phone": "000-2025-0001"},
        "duplicates_seen": [],
        **more,
    }
    return {"order": label, "at": at, "by": AGENT, "command": command}


def dispatched(label: str, at: str, lead: str = "DQ-CG") -> dict[str, Any]:
    return {
        "order": label,
        "at": at,
        "by": DISPATCHER,
        "command": {"type": "dispatch", "kind": "ordinary", "lead": lead, "basis": "duty"},
    }


@pytest.fixture(scope="module")
def town(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The city `town` under S0: its units and people, and three orders, one of them with a signature."""
    deployment.ok("init", "town", "--policy", "S0", "--name", "某市", "--code", "MS")
    script = write_script(
        tmp_path_factory.mktemp("script") / "town.jsonl",
        *town_lines(),
        registered("A", "2025-03-04 09:00"),
        dispatched("A", "2025-03-04 10:00"),
        {
            "order": "A",
            "at": "2025-03-04 11:00",
            "by": simulate.person("org_handler", "DQ-CG"),
            "command": {"type": "sign"},
        },
        registered("B", "2025-03-05 09:00", title="小区停水", old_number="OLD-77"),
        registered("C", "2025-03-06 09:00", title="夜间施工噪声"),
        dispatched("C", "2025-03-06 10:00", "SJT"),
    )
    told = deployment.ok("import", str(script), "--city", "town", "--json").data
    assert told["rejected"] == 0, told
    return deployment


A, B, C = "MS20250304-000001", "MS20250305-000001", "MS20250306-000001"


# --- help --------------------------------------------------------------------------------------------------------


def every_command(
    command: click.Command = huiyin, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from every_command(inner, (*path, name))


COMMANDS = dict(every_command())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_every_option_explains_itself_chinese_first(deployment: Deployment, path: tuple[str, ...]):
    command = COMMANDS[path]
    shown = deployment.ok(*path, "--help").out
    assert re.match(r"Usage: huiyin\b", shown)
    assert re.match(r"[一-鿿]", command.help or ""), path
    assert re.search(r"[A-Za-z]{3}", command.help or ""), path
    assert not (command.get_short_help_str(limit=200)).endswith("...")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path} {parameter.name}"
            assert re.match(r"[一-鿿]", parameter.help) or parameter.help.startswith("JSON"), f"{path} {parameter.name}"


def test_the_first_page_names_every_command_in_a_line_that_is_not_cut_off(deployment: Deployment):
    shown = deployment.ok("--help").out
    for path in COMMANDS:
        if len(path) == 1:
            assert re.search(rf"^  {path[0]} +\S", shown, re.MULTILINE)
    assert "..." not in shown.partition("Commands")[2]
    assert max(cell_len(line) for line in shown.partition("Commands")[2].splitlines()) <= 80


def test_a_wrong_command_line_is_told_with_exit_code_2(deployment: Deployment):
    assert "No such command" in deployment.refused("nonsense", code=2)
    assert "Missing" in deployment.refused("init", code=2)
    assert "--policy" in deployment.refused("init", "x", code=2)
    assert "nope" in deployment.refused("list", "--state", "nope", code=2)
    assert "2100" in deployment.refused("calendar", "show", "9999", "--files", code=2)
    assert "--by-due" in deployment.refused("list", "--by-due", "--overdue", code=2)
    assert "does not exist" in deployment.refused("import", "/nothing/here.jsonl", code=2)


def test_a_process_of_its_own_says_the_same_and_no_trace_is_ever_shown(deployment: Deployment, town: Deployment):
    helped, shown, wrong = (
        deployment.spawn(*words) for words in (("--help",), ("list", "--city", "town", "--json"), ("show", "nothing"))
    )
    assert helped.code == 0
    assert "回音" in helped.out
    assert (shown.code, shown.err) == (0, "")
    assert {row["number"] for row in shown.data["rows"]} >= {A, B, C}
    assert (wrong.code, wrong.out) == (1, "")
    assert "unknown-order" in wrong.err
    assert "Traceback" not in wrong.err


def test_an_argument_that_is_not_utf8_is_told_so(deployment: Deployment):
    ran = deployment.spawn(b"show", b"\xff\xfe")
    assert (ran.code, ran.out) == (2, "")
    assert "UTF-8" in ran.err


def test_a_terminal_that_cannot_show_chinese_is_no_error(town: Deployment):
    ran = town.spawn("list", "--city", "town", PYTHONIOENCODING="latin-1")
    assert ran.code == 0
    assert A in ran.out


def test_a_reader_that_goes_away_makes_no_noise(town: Deployment):
    words = f"{sys.executable} -m scripts.huiyin commands | head -c 1"
    done = subprocess.run(["bash", "-c", words], cwd=CHECKOUT, env=town.environment(), capture_output=True, check=False)
    assert done.stderr == b""


def test_an_error_inside_the_program_is_a_sentence_unless_its_trace_is_asked_for(
    town: Deployment, monkeypatch: pytest.MonkeyPatch
):
    def broken(_: object) -> None:
        raise ZeroDivisionError("cannot be")

    monkeypatch.setattr(wiring, "database", lambda: broken(None))
    ran = town.run("list", "--city", "town")
    assert (ran.code, ran.out) == (70, "")
    assert "ZeroDivisionError" in ran.err
    assert "HUIYIN_DEBUG" in ran.err
    with pytest.raises(ZeroDivisionError):
        town.run("list", "--city", "town", HUIYIN_DEBUG="1")


def test_a_database_that_is_not_there_is_a_sentence(deployment: Deployment):
    nowhere = Deployment(deployment.home, "host=/nowhere/at/all user=postgres dbname=postgres")
    assert "HUIYIN_DATABASE_URL" in nowhere.refused("list")


# --- init --------------------------------------------------------------------------------------------------------


def test_without_a_city_the_way_to_one_is_told(nothing_yet: Deployment):
    assert "huiyin init CITY" in nothing_yet.refused("list")
    assert "huiyin init CITY" in nothing_yet.refused("status", "--city", "somewhere")


def test_a_city_is_founded_once(deployment: Deployment):
    said = deployment.ok("init", "once", "--policy", "S1", "--parent", "SC-2025", "--name", "成都").said
    assert "S1-CHENGDU" in said
    assert "once.key" in said
    assert (deployment.home / "keys" / "once.key").stat().st_mode & 0o777 == 0o600
    assert "ledger-exists" in deployment.refused("init", "once", "--policy", "S1")
    assert deployment.ok("status", "--city", "once", "--json").data["position"] > 20


@pytest.mark.parametrize(
    "name", ["Bad City", "UPPER", "1st", "", "a" * 42, "a-b", "pg_x", "public", "x_projections", "成都"]
)
def test_a_name_that_no_city_can_have_is_refused_and_makes_nothing(deployment: Deployment, name: str):
    assert repr(name) in deployment.refused("init", name, "--policy", "S0")
    assert not (deployment.home / "keys" / f"{name}.key").exists()


def test_what_init_cannot_use_is_named(deployment: Deployment, tmp_path: Path):
    bad = POLICIES / "unknown-clock.toml"
    assert "S9; 可用 available: " in deployment.refused("init", "x", "--policy", "S9")
    assert "unknown-clock.toml: [[clock]] #1" in deployment.refused("init", "x", "--policy", str(bad))
    assert "no-such.toml" in deployment.refused("init", "x", "--policy", str(tmp_path / "no-such.toml"))
    (tmp_path / "binary.toml").write_bytes(b"\xd0\xff\x00")
    assert "UTF-8" in deployment.refused("init", "x", "--policy", str(tmp_path / "binary.toml"))
    assert "'2025-13-01'" in deployment.refused("init", "x", "--policy", "S0", "--since", "2025-13-01")
    assert "'TOOLONGCODE'" in deployment.refused("init", "x", "--policy", "S0", "--code", "TOOLONGCODE")
    assert "CONSUMER" in deployment.refused("init", "x", "--policy", "CONSUMER")
    assert "COMMON" in deployment.refused("init", "x", "--policy", "COMMON")
    assert "sm2" in deployment.refused("init", "x", "--policy", "S0", "--hash", "sm2", code=2)
    assert not (deployment.home / "keys" / "x.key").exists()


def test_a_schema_that_is_no_ledger_is_left_alone(deployment: Deployment):
    with psycopg.connect(deployment.url, autocommit=True) as connection:
        connection.execute(b"CREATE SCHEMA taken")
    assert "no ledger: taken" in deployment.refused("init", "taken", "--policy", "S0")


def test_an_interrupted_founding_is_completed_by_giving_it_again(deployment: Deployment):
    key = secrets.token_bytes(32)
    where = deployment.home / "keys" / "half.key"
    where.parent.mkdir(exist_ok=True)
    where.write_text(key.hex() + "\n", encoding="ascii")
    creating = door.create(
        embedded.external(deployment.url).owner,
        "half",
        ledger_id=str(uuid4()),
        hash_algorithm="sha256",
        keyring=Keyring(key),
        entropy=secrets.token_bytes,
    )
    asyncio.run(creating)
    assert "huiyin init half" in deployment.refused("list", "--city", "half")
    assert deployment.ok("init", "half", "--policy", "S0", "--json").data["city"] == "half"
    assert "✓" in deployment.ok("verify", "--city", "half").out


def test_two_who_found_the_same_city_at_once_found_it_once(deployment: Deployment):
    words = ("init", "twins", "--policy", "S0")
    with ThreadPoolExecutor(2) as pool:
        ran = list(pool.map(lambda _: deployment.spawn(*words), range(2)))
    assert sorted(one.code for one in ran) == [0, 1], ran
    assert "ledger-exists" in "".join(one.err for one in ran)


def test_the_hash_is_chosen_at_the_founding(deployment: Deployment):
    deployment.ok("init", "sm", "--policy", "S0", "--hash", "sm3")
    first = deployment.ok("history", "institution", "--city", "sm", "--json").data[0]
    assert first["event"]["hash_algorithm"] == "sm3"
    assert deployment.ok("verify", "--city", "sm").code == 0


def test_a_policy_without_a_handling_limit_refuses_to_dispatch_until_a_parent_or_the_slip_brings_one(
    deployment: Deployment, tmp_path: Path
):
    deployment.ok("init", "alone", "--policy", "S1", "--code", "AL")
    script = write_script(tmp_path / "alone.jsonl", *town_lines(), registered("A", "2025-03-04 09:00"))
    deployment.ok("import", str(script), "--city", "alone")
    order = deployment.ok("list", "--city", "alone", "--json").data["rows"][0]["number"]
    words = ("do", order, "dispatch", "kind=ordinary", "lead=DQ-CG", "basis=duty", *AS_DISPATCHER, "--city", "alone")
    assert "limit-required" in deployment.refused(*words)
    limit = 'limits={"handle": {"amount": 5, "unit": "working_days"}}'
    assert "派单" in deployment.ok(*words, limit).out


def test_a_lost_master_key_is_asked_for(deployment: Deployment, town: Deployment, tmp_path: Path):
    elsewhere = Deployment(tmp_path, town.url)
    assert "town.key" in elsewhere.refused("list", "--city", "town")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "town.key").write_text(secrets.token_hex(32))
    assert "wrong-key" in elsewhere.refused("list", "--city", "town")
    (tmp_path / "keys" / "town.key").write_text("nothing of a key")
    assert "64 hex digits" in elsewhere.refused("list", "--city", "town")


def test_where_there_are_several_cities_one_is_named(town: Deployment, deployment: Deployment):
    deployment.ok("init", "second", "--policy", "S0")
    assert "--city" in town.refused("list")
    assert A in town.ok("list", HUIYIN_CITY="town").out
    said = town.refused("list", "--city", "nowhere")
    assert "nowhere" in said
    assert "town" in said


# --- show, history, list -----------------------------------------------------------------------------------------


def test_a_case_is_shown_with_its_history_and_every_deadline_explained(town: Deployment):
    shown = town.ok("show", A, "--city", "town").out
    for word in (
        A,
        "路灯不亮",
        "诉求登记",
        "派单",
        "签收",
        "办结答复 handle",
        "2025-03-11 24:00",
        "起算当日不计",
        "国办发明电",
    ):
        assert word in shown
    assert "甲某" not in shown
    brief = town.ok("show", A, "--city", "town", "--brief").out
    assert "2025-03-11 24:00" in brief
    assert "起算当日不计" not in brief


def test_a_case_is_found_by_its_number_its_old_number_and_its_id(town: Deployment):
    told = town.ok("show", "OLD-77", "--city", "town", "--json").data
    assert told["order"]["demand"]["old_number"] == "OLD-77"
    assert town.ok("show", told["order"]["id"], "--city", "town", "--json").data["order"]["number"] == B


def test_a_case_is_shown_as_it_was_and_as_it_was_known(town: Deployment):
    before = town.ok("show", A, "--city", "town", "--as-of", "2025-03-04 09:30", "--json").data
    assert [e["event"]["type"] for e in before["history"]] == ["order.order_registered"]
    assert before["order"]["state"] == "registered"
    assert "not registered by then" in town.refused("show", A, "--city", "town", "--as-of", "2025-03-04 08:00")
    assert "not registered by then" in town.refused("show", A, "--city", "town", "--as-recorded", "2025-03-05")
    late = town.ok("show", A, "--city", "town", "--as-of", "2025-03-12 09:00", "--json").data
    assert {c["clock"]: c["status"] for c in late["clocks"]}["handle"] == "overdue"
    assert "'yesterday'" in town.refused("show", A, "--city", "town", "--as-of", "yesterday")


def test_what_is_no_order_is_told_so(town: Deployment):
    assert "unknown-order" in town.refused("show", "MS20250304-999999", "--city", "town")
    assert "huiyin history institution" in town.refused("show", "institution", "--city", "town")


def test_every_record_has_a_history(town: Deployment):
    assert "建账" in town.ok("history", "institution", "--city", "town").out
    events = town.ok("history", A, "--city", "town", "--json").data
    assert [e["version"] for e in events] == [1, 2, 3]
    assert "numbers" in town.refused("history", "nonsense:1", "--city", "town")
    assert "unknown-stream" in town.refused("history", "matter:none", "--city", "town")
    assert "no events" in town.ok("history", "access:1999-01-01", "--city", "town").out


def test_a_whole_pack_or_calendar_is_one_line_of_a_history(town: Deployment):
    shown = town.ok("history", "institution", "--city", "town").out
    assert "2025年第1版" in shown
    assert len(shown.splitlines()) < 200


def test_orders_are_listed_by_state_unit_lateness_and_due(town: Deployment):
    rows = town.ok("list", "--city", "town", "--json").data["rows"]
    assert [row["number"] for row in rows] == [A, B, C]
    assert "旧号" in town.ok("list", "--city", "town").out
    assert "OLD-77" in town.ok("list", "--city", "town").out

    def numbers(*words: str) -> list[str]:
        return [row["number"] for row in town.ok("list", "--city", "town", *words, "--json").data["rows"]]

    assert numbers("--state", "registered") == [B]
    assert numbers("--state", "registered", "--state", "working") == [A, B]
    assert numbers("--unit", "SJT") == [C]
    assert numbers("--overdue", "--at", "2025-03-04 12:00") == []
    assert numbers("--overdue", "--at", "2025-03-12 12:00") == [A, C]
    assert len(numbers("--limit", "1")) == 1
    assert "--limit" in town.ok("list", "--city", "town", "--limit", "1").out
    assert set(numbers("--by-due")) == {A, C}


def test_an_empty_list_says_why_and_until_when(town: Deployment, deployment: Deployment):
    assert "no orders like that" in town.ok("list", "--city", "town", "--unit", "SJT", "--state", "merged").out
    for words in (["--overdue"], ["--by-due"], ["--as-of", "2025-03-05 00:00"], []):
        assert "没有此单位" in town.refused("list", "--city", "town", "--unit", "NOBODY", *words)
    deployment.ok("init", "empty", "--policy", "S0")
    assert "no orders yet" in deployment.ok("list", "--city", "empty").out


@pytest.mark.parametrize(
    "words", [("show", A), ("list",), ("history", A), ("calendar", "show", "2025"), ("policy", "list")]
)
def test_on_eighty_columns_nothing_is_wider_and_nothing_is_lost(town: Deployment, words: tuple[str, ...]):
    city = () if words[0] == "policy" else ("--city", "town")
    shown = town.ok(*words, *city, COLUMNS="80").out
    assert max(cell_len(line) for line in shown.splitlines()) <= 80
    if words[0] != "calendar" and words[0] != "policy":
        assert A in shown.replace("\n", "") or "诉求登记" in shown


def test_columns_of_chinese_text_are_aligned(town: Deployment):
    lines = town.ok("list", "--city", "town").out.splitlines()
    starts = {cell_len(line[: found.start()]) for line in lines if (found := re.search(r"2025-03-0\d \d\d:", line))}
    assert len(starts) == 1


# --- do ----------------------------------------------------------------------------------------------------------


REGISTER = (
    "do",
    "new",
    "register",
    "title=井盖缺失",
    "category=市政设施",
    "channel=phone",
    "attributes.demand_type=help",
    "content=人行道井盖缺失",
    "applicant.kind=person",
    "applicant.phone=13800000000",
    "duplicates_seen=[]",
    *AS_AGENT,
    "--city",
    "town",
)


def test_a_demand_is_registered_from_the_terminal_once_for_each_id(town: Deployment):
    first = town.ok(*REGISTER, "--id", "desk-1", "--json").data
    again = town.ok(*REGISTER, "--id", "desk-1", "--json").data
    assert (first["replayed"], again["replayed"]) == (False, True)
    assert first["stream"] == again["stream"]
    assert first["events"] == again["events"]
    other = [word.replace("井盖", "护栏") for word in REGISTER]
    assert "command-id-reused" in town.refused(*other, "--id", "desk-1")


def test_a_dry_run_decides_and_writes_nothing(town: Deployment):
    before = town.ok("status", "--city", "town", "--json").data["position"]
    assert "nothing written" in town.ok(*REGISTER, "--dry-run").out
    assert town.ok(*REGISTER, "--dry-run", "--json").data["dry_run"] is True
    assert "role-not-allowed" in town.refused(*[w.replace("/agent@", "/auditor@") for w in REGISTER], "--dry-run")
    assert town.ok("status", "--city", "town", "--json").data["position"] == before


def test_a_unit_states_nothing_about_what_nobody_found(town: Deployment):
    words = ("do", B, "state_finding", "finding=late-handle:e9", "words=x", "--as", "c/org_approver@DQ-CG")
    assert "unknown-finding" in town.refused(*words, "--city", "town")


def test_an_order_that_moved_on_is_a_conflict_for_whoever_names_its_version(town: Deployment):
    words = ("do", B, "classify", "attributes.demand_type=complaint", *AS_AGENT, "--city", "town")
    assert "version-moved" in town.refused(*words, "--if-version", "7")
    town.ok(*words, "--if-version", "1")
    assert "version-moved" in town.refused(*words, "--if-version", "1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("titel=x",), "no such field: 'titel'; 相近 near: title"),
        (("applicant.fone=x",), "applicant: 没有此字段 no such field: 'fone'"),
        (("channel=fax",), "channel: Invalid enum value 'fax'; 可选 one of: phone, "),
        (("attributes.urgency=high",), "attributes.urgency: Invalid enum value"),
        (("involved_units=many",), "involved_units: Expected `int`"),
        (("title",), "write it as field=value"),
        (("=x",), "write it as field=value"),
        (("happened_at=yesterday",), "not an instant: 'yesterday'"),
        (("title=a", "title=b"), "title: 写了两次"),
        (("applicant=x", "applicant.kind=person"), "applicant"),
        (("--json-fields", "[1]"), "one JSON object is wanted"),
        (("--json-fields", "{"), "not JSON"),
    ],
)
def test_what_does_not_fit_names_the_field_and_what_would(town: Deployment, words: tuple[str, ...], said: str):
    base = ("do", "new", "register", *AS_AGENT, "--city", "town")
    assert said in town.refused(*base, *words)


def test_what_is_missing_is_named(town: Deployment):
    assert "`title`" in town.refused("do", "new", "register", *AS_AGENT, "--city", "town")


def test_a_command_or_actor_that_nobody_knows_is_told_with_what_is_near(town: Deployment):
    assert "near: dispatch" in town.refused("do", A, "dispach", *AS_AGENT, "--city", "town")
    assert "org_handler" in town.refused("do", A, "sign", "--as", "somebody", "--city", "town")
    assert "not-for-this-stream" in town.refused("do", "new", "sign", "--as", "x/org_handler@CG", "--city", "town")


def test_a_refusal_is_a_sentence_with_its_code_and_basis(town: Deployment):
    said = town.refused(
        "do", A, "dispatch", "kind=ordinary", "lead=DQ-CG", "basis=duty", *AS_DISPATCHER, "--city", "town"
    )
    assert re.match(r"✗ \[wrong-state\] .*。.* basis: ", said)


def test_text_that_looks_like_a_number_stays_text(town: Deployment):
    told = town.ok(*REGISTER, "place=12345", "call_id=0012", "--dry-run", "--json").data
    event = told["events"][0]["event"]
    assert (event["place"], event["call_id"]) == ("12345", "0012")


def test_fields_may_be_words_lists_numbers_and_records(town: Deployment):
    told = town.ok(*REGISTER, "attributes.tags=mediation,mass_outage", "involved_units=2", "--dry-run", "--json").data
    event = told["events"][0]["event"]
    assert set(event["attributes"]["tags"]) == {"mediation", "mass_outage"}
    assert event["involved_units"] == 2
    whole = json.dumps({"kind": "ordinary", "lead": "DQ-CG", "basis": "duty"})
    said = town.ok("do", B, "dispatch", "--json-fields", whole, *AS_DISPATCHER, "--city", "town", "--dry-run").out
    assert "主办: DQ-CG" in said


def test_the_institution_and_other_records_take_commands_too(town: Deployment):
    admin = ("--as", "admin/admin@HOTLINE", "--city", "town")
    town.ok(
        "do",
        "institution",
        "register_unit",
        "unit=NEW",
        "name=新单位",
        "level=first",
        "kind=department",
        "parent=HOTLINE",
        *admin,
    )
    town.ok("do", "institution", "grant_role", "user=desk", "role=agent", "unit=NEW", *admin)
    assert "unit-exists" in town.refused(
        "do",
        "institution",
        "register_unit",
        "unit=NEW",
        "name=x",
        "level=first",
        "kind=department",
        "parent=HOTLINE",
        *admin,
    )
    call = ("call_id=C-1", "disposition=silent", "started_at=2025-03-04 09:00", "agent=hotline-agent")
    town.ok("do", "new", "log_call", *call, *AS_AGENT, "--city", "town")
    assert "C-1" in town.ok("history", "call:C-1", "--city", "town").out


def test_what_is_backfilled_keeps_when_it_happened(town: Deployment):
    words = ("--occurred-at", "2025-03-07 09:00", "backfill_reason=系统停机期间来电")
    told = town.run(*REGISTER, *words, "--dry-run", "--json", "--as", "hotline-supervisor/supervisor@HOTLINE")
    assert told.code == 0, told
    assert told.data["events"][0]["occurred_at"].startswith("2025-03-07T")


def test_commands_are_listed_with_who_may_and_explained_with_what_they_take(town: Deployment):
    listed = town.ok("commands").out
    assert re.search(r"^dispatch +派单", listed, re.MULTILINE)
    shown = town.ok("commands", "register").out
    for word in (
        "demand_type",
        "consult | help | complaint",
        "applicant.phone",
        "时刻 instant",
        "文字 text (密封 sealed)",
        "必填 required",
    ):
        assert word in shown
    for word in ("uuid.", "datetime.", "NoneType", "Optional", "domain."):
        assert word not in shown
    assert "near: dispatch" in town.refused("commands", "dispach")
    assert town.ok("commands", "register", "--json").data["schema"]
    assert len(town.ok("commands", "--json").data) > 100


# --- due and the law ---------------------------------------------------------------------------------------------


DUES = {
    "S0": ("handle", "consult", "2025-03-11 24:00"),
    "S1": ("sign", "ordinary", "2025-03-05 24:00"),
    "S2": ("handle", None, None),
    "S3": ("handle", None, None),
    "S4": ("sign", "emergency", "2025-03-04 10:15"),
    "SC-2025": ("handle", None, None),
    "SD-2020": ("handle", None, None),
    "CONSUMER": (None, None, None),
}


@pytest.mark.parametrize("policy", DUES)
def test_a_deadline_of_every_pack_is_explained_without_a_case(deployment: Deployment, policy: str):
    clock, of_class, due = DUES[policy]
    pack = wiring.completed(policy)
    clock = clock or pack.clocks[0].name
    of_class = of_class or pack.classes[0].name
    words = ("due", "--policy", policy, "--clock", clock, "--class", of_class, "--at", "2025-03-04 10:00")
    shown = deployment.ok(*words).out
    assert "依据 article" in shown
    assert due is None or due in shown
    told = deployment.ok(*words, "--json").data
    assert (told["clock"], told["policy"]["pack"] if "policy" in told else pack.id) == (clock, pack.id)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("--policy", "S9"), "no such policy: S9"),
        (("--clock", "nope"), "no such clock: 'nope'; S0-CHUANYU: dispatch, "),
        (("--class", "nope"), "no class 'nope' in S0-CHUANYU: consult, non_consult"),
        (("--at", "tomorrow"), "not an instant: 'tomorrow'"),
        (("--at", "2222-01-01"), "1990 to 2100"),
        (("--at", "0001-01-01 00:00"), "1990 to 2100"),
    ],
)
def test_a_deadline_nobody_can_count_says_what_there_is(deployment: Deployment, change: tuple[str, str], said: str):
    asked = {"--policy": "S0", "--clock": "handle", "--class": "consult", "--at": "2025-03-04 10:00"} | {
        change[0]: change[1]
    }
    assert said in deployment.refused("due", *(word for pair in asked.items() for word in pair))


def test_a_due_beyond_the_published_years_is_provisional(deployment: Deployment):
    shown = deployment.ok(
        "due", "--policy", "S0", "--clock", "handle", "--class", "consult", "--at", "2031-03-04 10:00"
    ).out
    assert "provisional" in shown


def test_policies_are_listed_shown_and_checked(deployment: Deployment):
    listed = deployment.ok("policy", "list", "--json").data
    assert {"S0-CHUANYU", "S1-CHENGDU", "S4-BEIJING", "SD-2020"} <= {p["id"] for p in listed}
    assert "None" not in deployment.ok("policy", "list").out
    shown = deployment.ok("policy", "show", "S4").out
    assert "办结" in shown
    assert deployment.ok("policy", "show", "S1", "--own", "--json").data["id"] == "S1-CHENGDU"
    assert "✓ S0-CHUANYU" in deployment.ok("policy", "check", "S0", "S1").out
    ran = deployment.run(
        "policy", "check", "S0", str(POLICIES / "limit-in-fortnights.toml"), str(POLICIES / "not-toml.toml")
    )
    assert ran.code == 1
    assert "[[clock]] #1 handle: limit: '5 fortnights'" in ran.err
    assert "line 4" in ran.err
    assert "✓ S0-CHUANYU" in ran.out


def test_a_calendar_is_shown_as_it_is_and_as_it_was_known(deployment: Deployment, town: Deployment):
    shown = deployment.ok("calendar", "show", "2026", "--files").out
    assert "工作日 working days: 248" in shown
    assert "not published" in deployment.ok("calendar", "show", "2026", "--files", "--known-at", "2020-01-01").out
    assert "not published" in deployment.ok("calendar", "show", "2031", "--files").out
    days = town.ok("calendar", "show", "2025", "--city", "town", "--json").data["days"]
    assert len(days) == 365


# --- what two persons do -----------------------------------------------------------------------------------------


def calendar_file(path: Path, year: int, *offs: str) -> Path:
    """Write a year's versions, one for each list of further days off."""
    path.write_text(
        "".join(calendar_version(year, number, off) for number, off in enumerate(offs, 1)), encoding="utf-8"
    )
    return path


def calendar_version(year: int, version: int, off: str) -> str:
    return f"""
[[calendar]]
year = {year}
version = {version}
known_from = {year - 1}-11-{version:02d}
off = [{{ holiday = "元旦", first = {year}-01-01, last = {year}-01-03 }}{off}]
makeup = []

[[calendar.basis]]
text = "关于{year}年部分节假日安排的通知(虚构)"
source = "试〔{year - 1}〕1号"
reading = "external"
note = "为试验而设"
"""


def test_a_years_publication_makes_a_provisional_due_firm_and_lists_what_moved(deployment: Deployment, tmp_path: Path):
    deployment.ok("init", "years", "--policy", "S0", "--code", "YR")
    script = write_script(
        tmp_path / "years.jsonl",
        *town_lines(),
        registered("A", "2026-12-28 09:00"),
        dispatched("A", "2026-12-28 10:00"),
    )
    city = ("--city", "years")
    order = deployment.ok("import", str(script), *city, "--json").data["orders"]["A"]

    def handle() -> tuple[str, bool]:
        told = deployment.ok("show", order, *city, "--json").data["clocks"]
        one = next(c for c in told if c["clock"] == "handle")
        return one["due_words"], one.get("provisional", False)

    assert handle() == ("2027-01-05 24:00 (Tue)", True)
    extra = ', { holiday = "春节", first = 2027-01-04, last = 2027-01-04 }'
    file = calendar_file(tmp_path / "2027.toml", 2027, extra)
    proposed = deployment.ok("calendar", "publish", str(file), "--as", "admin/admin@HOTLINE", *city).said
    assert "huiyin approve 1" in proposed
    assert handle()[1] is True
    assert "self-approval" in deployment.refused("approve", "1", "--as", "admin/admin@HOTLINE", *city)
    decided = deployment.ok("approve", "1", "--as", "admin2/admin@HOTLINE", *city).out
    assert "日历发布" in decided
    assert re.search(rf"{order}.*2027-01-05 24:00.*2027-01-06 24:00", decided)
    assert handle() == ("2027-01-06 24:00 (Wed)", False)
    nothing = deployment.refused("approve", "1", "--as", "admin2/admin@HOTLINE", *city)
    assert "nothing pending under 1" in nothing

    revision = calendar_file(tmp_path / "again.toml", 2027, extra, "")
    told = deployment.ok("calendar", "revise", str(revision), "--as", "admin/admin@HOTLINE", *city, "--json").data
    told = deployment.ok("approve", str(told["proposal"]), "--as", "admin2/admin@HOTLINE", *city, "--json").data
    assert [change["number"] for change in told["changed_dues"]] == [order]
    head = told["events"][-1]["position"]
    again = deployment.ok("changes", "--from", str(head), *city, "--json").data["changed_dues"]
    assert again == told["changed_dues"], "the list is made again from the events"
    (unit,) = {change["unit"] for change in again}
    assert f"{unit} 1" in deployment.ok("changes", "--from", str(head), "--unit", unit, *city).out
    assert "no order's due" in deployment.ok("changes", "--from", str(head), "--unit", "NOBODY", *city).out
    assert "没有工单" in deployment.ok("changes", "--from", "1", "--until", str(head), *city).out
    assert "positions" in deployment.refused("changes", "--from", str(head + 1), *city)
    assert handle() == ("2027-01-05 24:00 (Tue)", False)
    assert "calendar-version" in deployment.refused(
        "calendar", "revise", str(revision), "--as", "admin/admin@HOTLINE", *city
    )


def test_a_calendar_that_does_not_hold_together_is_refused_where_it_fails(town: Deployment, tmp_path: Path):
    who = ("--as", "admin/admin@HOTLINE", "--city", "town")
    (tmp_path / "no.toml").write_text("this is no toml")
    assert "no.toml" in town.refused("calendar", "publish", str(tmp_path / "no.toml"), *who)
    (tmp_path / "bin.toml").write_bytes(b"\xd0\xff")
    assert "UTF-8" in town.refused("calendar", "publish", str(tmp_path / "bin.toml"), *who)
    (tmp_path / "empty.toml").write_text("")
    assert "empty.toml" in town.refused("calendar", "publish", str(tmp_path / "empty.toml"), *who)
    odd = calendar_file(tmp_path / "odd.toml", 2027, ', { holiday = "x", first = 2028-01-01, last = 2028-01-02 }')
    assert "odd.toml" in town.refused("calendar", "publish", str(odd), *who)


def test_a_policy_is_published_by_two_and_a_rejection_leaves_everything_as_it_was(deployment: Deployment):
    deployment.ok("init", "law", "--policy", "S0", "--since", "2020-01-01")
    city = ("--city", "law")
    who, other = ("--as", "admin/admin@HOTLINE", *city), ("--as", "admin2/admin@HOTLINE", *city)
    assert "pack-overlap" in deployment.refused("policy", "publish", "S1", "--since", "2026-01-01", *who)
    assert "never published: S9" in deployment.refused("policy", "publish", "S1", "--replaces", "S9", *who)
    words = (
        "policy",
        "publish",
        "S1",
        "--parent",
        "SC-2025",
        "--since",
        "2026-01-01",
        "--replaces",
        "S0-CHUANYU",
        *who,
    )
    number = str(deployment.ok(*words, "--json").data["proposal"])
    assert "self-approval" in deployment.refused("approve", number, *who)
    assert "✓" in deployment.ok("approve", number, "--reject", "暂缓", *other).out
    number = str(deployment.ok(*words, "--json").data["proposal"])
    assert "政策发布" in deployment.ok("approve", number, *other).out


def test_an_outage_is_approved_the_same_way(town: Deployment):
    who = ("--city", "town")
    fields = json.dumps(
        {
            "from_at": "2025-03-10T00:00:00+08:00",
            "until": "2025-03-11T00:00:00+08:00",
            "scope": "all",
            "basis": {"text": "系统中断公告", "article": "一"},
        }
    )
    supervisor = ("--as", "hotline-supervisor/supervisor@HOTLINE")
    town.ok("do", "institution", "propose_outage", "--json-fields", fields, *supervisor, *who)
    number = str(json.loads(town.ok("history", "institution", *who, "--json").out)[-1]["event"]["proposal"])
    assert "✓" in town.ok("approve", number, "--as", "hotline-hotline-manager/hotline_manager@HOTLINE", *who).out


# --- running -----------------------------------------------------------------------------------------------------


def test_tables_are_made_again_and_come_out_the_same(town: Deployment):
    made = town.ok("rebuild", "--compare", "--city", "town", "--json").data
    assert {one["name"]: one["differences"] for one in made} == {p.name: 0 for p in PROJECTIONS}
    shown = town.ok("rebuild", "orders", "--jobs", "2", "--city", "town")
    assert re.match(r"✓ orders: \d+ 行 rows", shown.out)
    assert shown.err == ""
    assert "serving" in town.ok("status", "--city", "town").out


def test_one_goes_back_to_the_table_before_until_it_is_dropped(town: Deployment):
    town.ok("rebuild", "orders", "--city", "town")

    def versions() -> dict[int, bool]:
        found = town.ok("status", "--city", "town", "--json").data["projections"]
        return {one["version"]: one["active"] for one in found if one["name"] == "orders"}

    old, new = sorted(versions())
    assert f"v{old}" in town.ok("rollback", "orders", "--city", "town").out
    assert versions() == {old: True, new: False}
    town.ok("drop", "--city", "town")
    assert versions() == {old: True}
    assert "nothing-to-go-back-to" in town.refused("rollback", "orders", "--city", "town")


def test_what_was_changed_behind_the_ledgers_back_is_found_with_its_position(deployment: Deployment):
    deployment.ok("init", "tampered", "--policy", "S0")
    assert "✓" in deployment.ok("verify", "--city", "tampered").out
    database = embedded.external(deployment.url)
    city = City(database._replace(superuser=deployment.url), "tampered", Keyring(bytes(32)))
    as_superuser(city, "ALTER TABLE {}.events DISABLE TRIGGER ALL")
    as_superuser(city, "UPDATE {}.events SET state = replace(state, 'manager', 'mangler') WHERE position = 3")
    ran = deployment.run("verify", "--city", "tampered")
    assert ran.code == 1
    assert "position 3" in ran.out
    told = deployment.run("verify", "--city", "tampered", "--json")
    assert told.code == 1
    assert [f["position"] for f in told.data["findings"]] == [3]


def test_opening_what_is_sealed_is_recorded_before_it_is_shown(town: Deployment):
    words = ("open", A, "1", "--purpose", "handling", *AS_AGENT, "--city", "town")
    before = town.ok("status", "--city", "town", "--json").data["position"]
    told = town.ok(*words, "--json").data
    assert told["applicant.name"] == "甲某"
    assert "请维修" in told["content"]
    head = town.ok("status", "--city", "town", "--json").data
    assert head["position"] == before + 1
    day = wiring.parse_instant(head["recorded_at"])
    entry = town.ok("history", f"access:{day:%Y-%m-%d}", "--city", "town", "--json").data[-1]
    assert entry["position"] == head["position"]
    assert entry["actor"]["user"] == "hotline-agent"
    assert entry["event"]["purpose"] == "handling"
    assert set(entry["event"]["fields"]) == set(told)
    assert list(town.ok(*words, "content", "--json").data) == ["content"]
    assert "there are: " in town.refused(*words, "nothing")
    assert "no event 99" in town.refused("open", A, "99", "--purpose", "x", *AS_AGENT, "--city", "town")
    assert "--purpose" in town.refused("open", A, "1", *AS_AGENT, "--city", "town", code=2)


def test_an_informants_identity_needs_the_keys_of_two(deployment: Deployment, tmp_path: Path):
    deployment.ok("init", "informed", "--policy", "S0", "--code", "IN")
    city = ("--city", "informed")
    report = registered("R", "2025-03-04 09:00", attributes={"demand_type": "report"}, confidentiality="informant")
    script = write_script(tmp_path / "report.jsonl", *town_lines(), report)
    told = deployment.run("import", str(script), *city, "--json").data
    dry = deployment.run("import", str(script), *city, "--dry-run", "--json").data
    assert told["by_reason"] == {"two-persons-not-appointed": 1}
    assert dry["by_reason"] == told["by_reason"]
    one, two = tmp_path / "one.key", tmp_path / "two.key"
    assert "(1/2)" in deployment.ok("appoint", "keeper-1", "--key", str(one), *city).out
    assert "keeper-1" in deployment.refused("appoint", "keeper-1", "--key", str(two), *city)
    assert "exists" in deployment.refused("appoint", "keeper-2", "--key", str(one), *city)
    assert "(2/2)" in deployment.ok("appoint", "keeper-2", "--key", str(two), *city).out
    assert "appointed already" in deployment.refused("appoint", "keeper-3", "--key", str(tmp_path / "3.key"), *city)
    assert one.stat().st_mode & 0o777 == 0o600
    deployment.ok("import", str(script), *city)
    order = deployment.ok("list", *city, "--json").data["rows"][0]["number"]
    words = ("open", order, "1", "applicant.name", "--purpose", "investigation", *AS_AGENT, *city)
    assert "two-persons-needed" in deployment.refused(*words)
    assert "two-persons-needed" in deployment.refused(*words, "--consent", f"keeper-1={one}")
    assert "PERSON=FILE" in deployment.refused(*words, "--consent", "keeper-1")
    assert "no-such.key" in deployment.refused(*words, "--consent", "keeper-1=no-such.key")
    both = ("--consent", f"keeper-1={one}", "--consent", f"keeper-2={two}")
    assert "甲某" in deployment.ok(*words, *both).out


def test_the_demo_walks_from_founding_to_verification(nothing_yet: Deployment):
    shown = nothing_yet.ok("demo", "--orders", "25", "--seed", "3").out
    for word in (
        "1. 建账",
        "2. 导入",
        "模拟",
        "退回 rejected 0",
        "按状态",
        "时限 clocks by unit",
        "计日 days",
        "不符 0 处",
    ):
        assert word in shown
    assert "demo2" in nothing_yet.ok("demo", "--simulated", "--orders", "3").out


def test_the_demo_shows_real_messages_where_they_are_at_hand(nothing_yet: Deployment):
    real = wiring.trial_data()
    if not (real / "mailbox_replies.csv").is_file():
        pytest.skip("the real mailbox file is not here (HUIYIN_TRIAL_DATA)")
    shown = nothing_yet.ok("demo", HUIYIN_TRIAL_DATA=str(real)).out
    assert "2000 行 lines" in shown
    assert "不符 0 处" in shown


def test_a_deadline_under_rules_that_did_not_hold_that_day_says_so(nothing_yet: Deployment):
    early = nothing_yet.ok("due", "--policy", "S4", "--clock", "sign", "--class", "general", "--at", "2022-03-04 10:00")
    assert "不在规则施行期内" in early.out
    later = nothing_yet.ok("due", "--policy", "S4", "--clock", "sign", "--class", "general", "--at", "2025-03-04 10:00")
    assert "施行期" not in later.out


def test_a_policy_is_no_parent_of_itself(nothing_yet: Deployment):
    same = ("--policy", "S0", "--parent", "S0")
    assert "规则不是自己的上位规则" in nothing_yet.refused("init", "twice", *same)


def test_the_desk_finds_a_callers_orders_and_gives_their_code_again(
    nothing_yet: Deployment, monkeypatch: pytest.MonkeyPatch
):
    city = ("--city", "lines")
    nothing_yet.ok("init", "lines", "--policy", "S0")
    script = write_script(nothing_yet.home / "town.jsonl", *town_lines())
    nothing_yet.ok("import", str(script), *city)
    fields = {
        "title": "路灯不亮",
        "category": "市政/路灯",
        "channel": "phone",
        "attributes": {"demand_type": "help"},
        "content": "三天不亮",
        "applicant": {"kind": "person", "name": "甲某", "phone": "13900002222"},
        "duplicates_seen": [],
    }
    words = ("do", "new", "register", "--json-fields", json.dumps(fields), *AS_AGENT, *city)
    told = nothing_yet.ok(*words, "--json").data
    assert re.fullmatch(r"\d{4}-\d{4}-\d{4}", told["query_code"])
    assert "查询码" in nothing_yet.ok(*words).out
    again = nothing_yet.ok("code", told["stream"].partition(":")[2], "--purpose", "lost", *AS_AGENT, *city, "--json")
    assert again.data["query_code"] == told["query_code"]
    ask = ("callers", "--purpose", "on-the-line", *city)
    for line, found in (("+86 139-0000-2222\n", 2), ("13900003333\n", 0)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(line))
        assert len(nothing_yet.ok(*ask, *AS_AGENT, "--json").data["orders"]) == found
    monkeypatch.setattr(sys, "stdin", io.StringIO("13900002222\n"))
    assert "路灯不亮" in nothing_yet.ok(*ask, *AS_AGENT).out
    monkeypatch.setattr(sys, "stdin", io.StringIO("13900002222\n"))
    assert "not-for-this-role" in nothing_yet.refused(*ask, *AS_DISPATCHER)


def test_a_sandbox_is_made_and_reset_at_the_terminal_and_a_real_city_is_not(nothing_yet: Deployment):
    nothing_yet.ok("init", "earnest", "--policy", "S0")
    made = nothing_yet.ok("sandbox", "create", "training", "--policy", "S0", "--with", "s0", "--json").data
    assert (made["city"], made["turn"]) == ("training", 1)
    listed = nothing_yet.ok("list", "--city", "training", "--json").data
    assert listed["rows"][0]["number"].startswith(made["letters"])
    again = nothing_yet.ok("sandbox", "reset", "training", "--json").data
    assert again["turn"] == 2
    assert again["position"] == made["position"]
    assert again["ledger_id"] != made["ledger_id"]
    assert "第 3 次" in nothing_yet.ok("sandbox", "reset", "training").out
    assert "not-a-sandbox" in nothing_yet.refused("sandbox", "reset", "earnest")
    assert "ledger-exists" in nothing_yet.refused("sandbox", "create", "earnest", "--policy", "S0")
    assert "no such case script" in nothing_yet.refused("sandbox", "create", "x", "--policy", "S0", "--with", "nothing")
    assert "huiyin sandbox" in nothing_yet.refused("init", "training__9", "--policy", "S0")
    assert nothing_yet.ok("verify", "--files", "--city", "training", "--json").data["findings"] == []
