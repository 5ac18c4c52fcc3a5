"""How cases come in: whatever a line or a row is, it is imported once, or it is in the rejects file with its reason."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
import pytest

from domain import institution
from domain.clocks import clocks
from domain.explanation import explain
from domain.kinds import KINDS
from domain.ledger import Ledger
from domain.order import fold
from domain.refusals import OutcomeUnknown, Unavailable
from domain.terms import ClockName, Entry, OrderState
from projections.answers import Projections
from scripts import embedded, importing, simulate, wiring
from scripts.importing import BadSource, Mapping, Reject, Stopped, Summary
from tests.conftest import City, as_superuser, new_city
from tests.test_cli import CHECKOUT, Deployment, deploy, dispatched, registered, town_lines, write_script

MAPPINGS = Path(__file__).parent / "mappings"
ADMIN = {"user": "admin", "role": "admin", "unit": "HOTLINE"}


class Came(NamedTuple):
    """What an import came to."""

    summary: Summary
    rejects: list[Reject]


class Town(NamedTuple):
    """A founded city to import into."""

    city: City
    folder: Path

    async def opened(self) -> Ledger:
        keys, dsn = self.city.keyring, self.city.database.app
        return await Ledger.open(dsn, self.city.name, kinds=KINDS, keyring=keys, entropy=os.urandom)

    def asked(self, ask: Callable[[Ledger], Any]) -> Any:
        """Ask something of the ledger."""

        async def run() -> Any:
            async with await self.opened() as ledger:
                return await ask(ledger)

        return asyncio.run(run())

    def file(self, content: bytes | str, name: str = "source") -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def script(self, *lines: dict[str, Any] | bytes | str, name: str = "script.jsonl", **how: Any) -> Came:
        """Import a case script: lines as records, or as they stand."""
        rows = [json.dumps(line, ensure_ascii=False) if isinstance(line, dict) else line for line in lines]
        content = b"".join((row if isinstance(row, bytes) else row.encode()) + b"\n" for row in rows)
        return self.import_script(self.file(content, name), **how)

    def import_script(self, path: Path, **how: Any) -> Came:
        where = self.folder / "rejects.jsonl"
        return self._came(self.asked(lambda ledger: importing.import_script(ledger, path, rejects=where, **how)), where)

    def table(self, content: bytes | str, mapping: Mapping, *, assume: str | None = None, **how: Any) -> Came:
        path, where = self.file(content, "table.csv"), self.folder / "rejects.jsonl"

        async def run(ledger: Ledger) -> Summary:
            return await importing.import_table(ledger, path, mapping, assume=assume, rejects=where, **how)

        return self._came(self.asked(run), where)

    def _came(self, summary: Summary, where: Path) -> Came:
        rows = where.read_bytes().splitlines() if where.exists() else []
        assert bool(rows) == bool(summary.rejects_file)
        return Came(summary, [msgspec.json.decode(row, type=Reject) for row in rows])

    def position(self) -> int:
        return self.asked(lambda ledger: ledger.head())[0]

    def events(self) -> list[Entry]:
        return self.asked(lambda ledger: ledger.read(0, 1_000_000))

    def order(self, number: str) -> Any:
        """Return an order by its printed or its old number."""

        async def run(ledger: Ledger) -> Any:
            async with Projections(self.city.database.app, self.city.name) as shown:
                await shown.follow_until()
                return await ledger.fold((await shown.order_by_number(number)).stream)

        return self.asked(run)


def found(postgres: embedded.Database, folder: Path, *, policy: str = "S0", since: str | None = None) -> Town:
    """Found a city with a town's units and people."""
    town = Town(new_city(postgres), folder)
    start = wiring.parse_instant(since) if since else None
    act = wiring.founding_act(UUID(int=1), city_code="CD", city_name="某市", packs=[(wiring.completed(policy), start)])
    town.asked(lambda ledger: ledger.execute(act, stream=institution.STREAM, actor=wiring.SYSTEM, command_id="found"))
    assert town.script(*town_lines(), name="town.jsonl").rejects == []
    return town


@pytest.fixture
def town(postgres: embedded.Database, tmp_path: Path) -> Town:
    return found(postgres, tmp_path)


# --- case scripts: what is imported ------------------------------------------------------------------------------


def test_lines_of_a_label_make_one_order_in_their_order(town: Town):
    came = town.script(
        registered("A", "2025-03-04 09:00"),
        registered("B", "2025-03-04 09:00"),
        dispatched("A", "2025-03-04 10:00"),
        dispatched("B", "2025-03-04 10:00", "SJT"),
        {
            "order": "A",
            "at": "2025-03-04 11:00",
            "by": simulate.person("org_handler", "DQ-CG"),
            "command": {"type": "sign"},
        },
    )
    assert came.rejects == []
    assert came.summary.imported == came.summary.lines == 5
    assert set(came.summary.orders) == {"A", "B"}
    assert town.order(came.summary.orders["A"]).state is OrderState.WORKING
    assert town.order(came.summary.orders["B"]).episode.lead == "SJT"


def test_a_label_stands_for_the_id_of_what_it_made(town: Town):
    came = town.script(
        registered("A", "2025-03-04 09:00"),
        registered("B", "2025-03-05 09:00", duplicates_seen=["@A"], previous="@A"),
    )
    assert came.rejects == []
    first, second = (town.order(came.summary.orders[label]) for label in "AB")
    assert second.links.previous == first.id


def test_comments_empty_lines_a_byte_order_mark_and_carriage_returns_are_no_lines(town: Town):
    lines = [json.dumps(registered("A", "2025-03-04 09:00")), "", "// a comment", "# another", "   "]
    content = b"\xef\xbb\xbf" + "\r\n".join([*lines, json.dumps(dispatched("A", "2025-03-04 10:00"))]).encode()
    came = town.import_script(town.file(content))
    assert (came.summary.lines, came.summary.imported, came.rejects) == (2, 2, [])


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"// nothing but words\n"])
def test_a_file_without_lines_is_imported_as_such(town: Town, content: bytes):
    came = town.import_script(town.file(content))
    assert (came.summary.lines, came.summary.imported, came.summary.rejected) == (0, 0, 0)


def test_a_line_of_a_megabyte_is_taken(town: Town):
    came = town.script(registered("A", "2025-03-04 09:00", content="字" * 350_000))
    assert came.rejects == []


# --- case scripts: what is refused -------------------------------------------------------------------------------

GOOD = registered("Z", "2025-03-04 09:00")


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        (b'{"order": "A", "at"', "invalid", "not a line of a script: "),
        (b"[5]", "invalid", "not a line of a script: Expected `object`"),
        (b"[" * 200_000, "invalid", "not a line of a script: 嵌套过深 nested too deeply"),
        (b'{"order": "A", "x": ' + b"[" * 400 + b"]" * 400 + b"}", "invalid", "嵌套过深 nested too deeply"),
        (b'\xff\xfe{"order"', "invalid", "not a line of a script: "),
        (GOOD | {"order": "\ud800"}, "invalid", "not a line of a script: "),
        (GOOD | {"extra": 1}, "invalid", "unknown field `extra`"),
        (GOOD | {"at": 5}, "invalid", "$.at"),
        (GOOD | {"at": "yesterday"}, "invalid", "not an instant: 'yesterday'"),
        (GOOD | {"by": {"user": "x", "role": "mayor"}}, "invalid", "$.by.role"),
        (GOOD | {"command": {"type": "regster"}}, "invalid", "no such command: 'regster'; 相近 near: register"),
        (GOOD | {"command": {}}, "invalid", "no such command: None"),
        ({k: v for k, v in GOOD.items() if k != "order"}, "invalid", "`order` or `stream`"),
        (registered("Z", "2025-03-04 09:00", colour="red"), "invalid", "no such field: 'colour'"),
        (registered("Z", "2025-03-04 09:00", titel="x"), "invalid", "near: title"),
        (registered("Z", "2025-03-04 09:00", title=5), "invalid", "title: Expected `str`"),
        (
            registered("Z", "2025-03-04 09:00", channel="fax"),
            "invalid",
            "channel: Invalid enum value 'fax'; 可选 one of: phone",
        ),
        (
            registered("Z", "2025-03-04 09:00", previous="@nobody"),
            "invalid",
            "no such label in this script so far: @nobody",
        ),
        (
            registered("Z", "2025-03-04 09:00", duplicates_seen=["@no/1"]),
            "invalid",
            "duplicates_seen[0]: 没有此标签 no such label",
        ),
        (dispatched("nobody", "2025-03-04 09:00"), "invalid", "no such label in this script so far: order 'nobody'"),
        (registered("Z", "2025-03-04 09:00", content="x\0y"), "text-not-storable", "U+0000"),
        (GOOD | {"by": {"user": "x", "role": "auditor"}}, "role-not-allowed", "auditor"),
        (
            {"stream": "matter:none", "at": "2025-03-04", "by": ADMIN, "command": {"type": "close_unit_notice"}},
            None,
            "",
        ),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_bad_line_is_rejected_with_its_number_code_reason_and_content_and_stops_nothing(
    shared_town: Town, line: Any, code: str | None, reason: str, dry_run: bool
):
    town = shared_town
    before = town.position()
    good = registered(f"G{before}", "2025-03-04 09:00")
    rows = [
        line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=True).encode(),
        json.dumps(good).encode(),
    ]
    came = town.import_script(town.file(b"\n".join(rows)), dry_run=dry_run)
    assert (came.summary.lines, came.summary.imported, came.summary.rejected) == (2, 1, 1)
    (reject,) = came.rejects
    assert reject.line == 1
    assert code is None or reject.code == code
    assert reason in reject.reason
    assert came.summary.by_reason == {reject.code: 1}
    assert reject.content
    assert (town.position() == before) is dry_run


@pytest.fixture(scope="module")
def shared_town(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Town:
    return found(postgres, tmp_path_factory.mktemp("shared"))


def test_time_never_goes_backwards_within_a_record(town: Town):
    came = town.script(
        registered("A", "2025-03-04 09:00"),
        dispatched("A", "2025-03-04 08:59"),
        registered("B", "2025-03-01 09:00"),
        dispatched("A", "2025-03-04 10:00"),
    )
    assert [(r.line, r.code) for r in came.rejects] == [(2, "time-goes-back")]
    assert came.summary.imported == 3


def test_a_refusal_the_script_states_is_expected_and_another_is_not(town: Town):
    sign = {
        "order": "A",
        "at": "2025-03-04 09:30",
        "by": simulate.person("org_handler", "DQ"),
        "command": {"type": "sign"},
    }
    came = town.script(
        registered("A", "2025-03-04 09:00"),
        sign | {"refused": "wrong-state"},
        sign | {"refused": "not-your-unit"},
        dispatched("A", "2025-03-04 10:00") | {"refused": "wrong-state"},
    )
    assert came.summary.expected_refusals == 1
    assert [(r.line, r.code) for r in came.rejects] == [(3, "another-refusal"), (4, "was-not-refused")]


def test_the_rejects_file_is_its_owners_alone_and_goes_when_nothing_is_rejected_any_more(town: Town):
    town.script("nonsense")
    where = town.folder / "rejects.jsonl"
    assert where.stat().st_mode & 0o777 == 0o600
    town.script(registered("A", "2025-03-04 09:00"))
    assert not where.exists()


def test_a_rejects_file_that_cannot_be_written_is_told_before_anything_is_imported(town: Town):
    script = write_script(town.folder / "s.jsonl", registered("A", "2025-03-04 09:00"))
    before = town.position()
    for where in (town.folder / "no" / "such" / "folder.jsonl", town.folder, script):
        with pytest.raises(BadSource, match="reject"):
            town.asked(lambda ledger, where=where: importing.import_script(ledger, script, rejects=where))
    assert town.position() == before
    assert script.stat().st_size > 0


def test_a_refusal_that_says_nothing_about_the_line_stops_the_import(town: Town, monkeypatch: pytest.MonkeyPatch):
    real, told = Ledger.execute, Counter[str]()

    async def execute(self: Ledger, *given: Any, **named: Any) -> Any:
        told["asked"] += 1
        if told["asked"] == 3:
            raise OutcomeUnknown
        return await real(self, *given, **named)

    lines = [registered(f"N{n}", "2025-03-04 09:00") for n in range(100)]
    monkeypatch.setattr(Ledger, "execute", execute)
    with pytest.raises(Stopped, match="outcome-unknown"):
        town.script(*lines)
    monkeypatch.undo()
    came = town.script(*lines)
    assert came.rejects == []
    assert came.summary.imported + came.summary.already == 100
    assert len({e.stream for e in town.events() if e.stream.startswith("order:")}) == 100


# --- case scripts: again, dry, at once, interrupted --------------------------------------------------------------


def month(orders: int, seed: int = 5) -> list[dict[str, Any]]:
    return [*simulate.month(seed, orders=orders)][len(town_lines()) :]


def test_a_script_imported_again_adds_nothing_whatever_was_refused(town: Town):
    refused = dispatched("A", "2025-03-04 09:30") | {"by": ADMIN}
    lines = [
        registered("A", "2025-03-04 09:00"),
        refused,
        refused | {"refused": "role-not-allowed"},
        dispatched("A", "2025-03-04 10:00"),
        *month(10),
    ]
    first = town.script(*lines)
    before = town.position()
    again, dry = town.script(*lines), town.script(*lines, dry_run=True)
    assert [(r.line, r.code) for r in first.rejects] == [(2, "role-not-allowed")]
    assert [(r.line, r.code) for r in again.rejects] == [(2, "refused-before")]
    assert (again.summary.imported, again.summary.events) == (0, 0)
    assert again.summary.orders == first.summary.orders
    assert town.position() == before
    assert dry.summary == msgspec.structs.replace(again.summary, dry_run=True)


def test_what_was_refused_for_want_of_law_is_not_slipped_in_later(town: Town):
    """A line refused because a later one grants the role stays refused when the file is given again."""
    grant = {
        "stream": "institution",
        "at": "2025-03-04 08:00",
        "by": ADMIN,
        "command": {"type": "grant_role", "user": "late", "role": "agent", "unit": "LATE"},
    }
    unit = {
        "stream": "institution",
        "at": "2025-03-04 08:00",
        "by": ADMIN,
        "command": {
            "type": "register_unit",
            "unit": "LATE",
            "name": "晚来单位",
            "level": "first",
            "kind": "department",
            "parent": "HOTLINE",
        },
    }
    first = town.script(grant, unit)
    before = town.position()
    again = town.script(grant, unit)
    assert [r.code for r in first.rejects] == ["unknown-unit"]
    assert [r.code for r in again.rejects] == ["refused-before"]
    assert town.position() == before


def test_a_dry_run_writes_nothing_and_says_what_the_real_run_says(town: Town):
    lines = [*month(25), "nonsense", dispatched("S1", "2025-01-01"), registered("X", "2025-03-04", title="")]
    before = town.position()
    dry = town.script(*lines, dry_run=True)
    assert town.position() == before
    real = town.script(*lines)
    same = msgspec.structs.replace(dry.summary, dry_run=False, orders=real.summary.orders)
    assert same == real.summary
    assert dry.rejects == real.rejects
    assert real.summary.imported > 100


def all_once(town: Town, lines: list[dict[str, Any]]) -> None:
    """Assert that every line is in the ledger, each once, and every leaf holds."""
    entries = town.events()
    ids = [e.command_id for e in entries if e.command_id.startswith("script:")]
    by_script = Counter(command_id.split(":")[1] for command_id in set(ids))
    assert len(lines) in by_script.values()
    orders = {e.stream for e in entries if e.stream.startswith("order:")}
    assert len(orders) == len({line["order"] for line in lines if "order" in line})
    assert town.asked(lambda ledger: ledger.verify_all()) == []


def test_the_same_script_imported_by_two_at_once_is_imported_once(town: Town):
    lines = month(30)
    path = write_script(town.folder / "twice.jsonl", *lines)

    async def both() -> list[Summary]:
        async def one(number: int) -> Summary:
            async with await town.opened() as ledger:
                where = town.folder / f"rejects-{number}.jsonl"
                return await importing.import_script(ledger, path, rejects=where)

        return list(await asyncio.gather(one(1), one(2)))

    told = asyncio.run(both())
    assert [one.rejected for one in told] == [0, 0]
    assert sum(one.imported for one in told) == len(lines)
    all_once(town, lines)


def test_two_scripts_at_once_into_one_city_both_come_in_whole(town: Town):
    lines = [month(30, seed=6), [line | {"order": f"T{line['order']}"} for line in month(30, seed=7)]]
    paths = [write_script(town.folder / f"{n}.jsonl", *some) for n, some in enumerate(lines)]

    async def both() -> list[Summary]:
        async def one(path: Path) -> Summary:
            async with await town.opened() as ledger:
                return await importing.import_script(ledger, path, rejects=path.with_suffix(".rejects"))

        return list(await asyncio.gather(*(one(path) for path in paths)))

    told = asyncio.run(both())
    assert [(one.imported, one.rejected) for one in told] == [(len(some), 0) for some in lines]


# --- interrupted: a process of its own, killed -------------------------------------------------------------------


@pytest.fixture
def deployment(postgres: embedded.Database, tmp_path: Path) -> Deployment:
    deployment = deploy(postgres, tmp_path)
    deployment.ok("init", "killed", "--policy", "S0", "--code", "KD")
    return deployment


def started(deployment: Deployment, script: Path, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start importing in a process of its own; yield it with the ledger's position, as it grows."""
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.huiyin", "import", str(script), "--city", "killed", *words],
        cwd=CHECKOUT,
        env=deployment.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with psycopg.connect(deployment.url, autocommit=True) as connection:
        while process.poll() is None:
            row = connection.execute(b"SELECT pos FROM killed.head").fetchone()
            yield process, row[0] if row else 0
            time.sleep(0.005)


@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_an_interrupted_import_goes_on_where_it_stopped(deployment: Deployment, tmp_path: Path, how: int, code: int):
    lines = [*simulate.month(5, orders=120)]
    script = write_script(tmp_path / "month.jsonl", *lines)
    process = None
    for process, position in started(deployment, script):
        if position > 300:
            process.send_signal(how)
            break
    assert process is not None
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    if how == signal.SIGINT:
        assert "give the same command to go on" in said.decode()
        assert "Traceback" not in said.decode()
    there = deployment.ok("status", "--city", "killed", "--json").data["position"]
    told = deployment.ok("import", str(script), "--city", "killed", "--json").data
    assert told["imported"] + told["already"] == len(lines)
    assert told["already"] > 50
    assert told["imported"] > 50, f"it was through before it could be interrupted, at {there}"
    again = deployment.ok("import", str(script), "--city", "killed", "--json").data
    assert (again["imported"], again["already"]) == (0, len(lines))
    orders = deployment.ok("list", "--city", "killed", "--limit", "1000", "--json").data["rows"]
    assert len(orders) == 120
    assert deployment.ok("verify", "--city", "killed").code == 0


def old_rows(count: int) -> list[dict[str, str]]:
    """Return rows of an old system; each caller has three of them, far apart."""
    return [WHOLE | {"编号": f"R{n}", "电话": f"1390000{n % (count // 3):04d}"} for n in range(count)]


@pytest.mark.parametrize("jobs", ["0", "2"])
@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_an_interrupted_table_goes_on_where_it_stopped_and_no_row_comes_twice(
    deployment: Deployment, tmp_path: Path, how: int, code: int, jobs: str
):
    rows = old_rows(2400)
    path = tmp_path / "old.csv"
    path.write_text(table(*rows), encoding="utf-8")
    words = ("--mapping", str(OLD), "--assume-policy", "S0", "--jobs", jobs)
    process, helpers = None, set[int]()
    for process, position in started(deployment, path, *words):
        if position > 1500:
            helpers = children(process.pid)
            process.send_signal(how)
            break
    assert process is not None
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert len(helpers) == int(jobs)
    if how == signal.SIGINT:
        assert "give the same command to go on" in said.decode()
        assert "Traceback" not in said.decode()
    there = deployment.ok("status", "--city", "killed", "--json").data["position"]
    told = deployment.ok("import", str(path), "--city", "killed", "--json", *words).data
    assert told["imported"] + told["already"] == len(rows)
    assert told["imported"] > 100, f"it was through before it could be interrupted, at {there}"
    assert told["already"] > 100
    again = deployment.ok("import", str(path), "--city", "killed", "--json", *words).data
    assert (again["imported"], again["already"]) == (0, len(rows))
    each_row_once(deployment, rows)
    assert deployment.ok("verify", "--city", "killed").code == 0
    gone = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in helpers):
        assert time.monotonic() < gone, "a helping process outlived whom it helped"
        time.sleep(0.05)


def test_an_import_whose_helping_process_dies_stops_and_can_be_taken_up(deployment: Deployment, tmp_path: Path):
    rows = old_rows(2400)
    path = tmp_path / "old.csv"
    path.write_text(table(*rows), encoding="utf-8")
    words = ("--mapping", str(OLD), "--assume-policy", "S0", "--jobs")
    process = None
    for process, position in started(deployment, path, *words, "2"):
        if position > 1500:
            for pid in children(process.pid):
                os.kill(pid, signal.SIGKILL)
            break
    assert process is not None
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "a helping process ended" in said.decode()
    assert "give the same command to go on" in said.decode()
    told = deployment.ok("import", str(path), "--city", "killed", "--json", *words, "0").data
    assert told["imported"] + told["already"] == len(rows)
    each_row_once(deployment, rows)


def test_a_refusal_that_says_nothing_about_the_row_stops_a_table_too(town: Town, monkeypatch: pytest.MonkeyPatch):
    real, told = Ledger.submit_all, Counter[str]()

    async def submit_all(self: Ledger, *given: Any) -> Any:
        told["asked"] += 1
        if told["asked"] == 2:
            raise OutcomeUnknown
        return await real(self, *given)

    rows = many(400)
    monkeypatch.setattr(Ledger, "submit_all", submit_all)
    with pytest.raises(Stopped, match="outcome-unknown"):
        town.table(table(*rows), old_hotline(), assume="S0")
    monkeypatch.undo()
    came = town.table(table(*rows), old_hotline(), assume="S0")
    assert came.rejects == []
    assert came.summary.imported + came.summary.already == len(rows)
    assert came.summary.already > 0
    assert town.asked(lambda ledger: ledger.verify_all()) == []


def test_what_came_in_is_told_even_where_the_tables_cannot_follow(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def away(_: Projections) -> None:
        raise Unavailable("gone")

    path = tmp_path / "old.csv"
    path.write_text(table(*old_rows(30)), encoding="utf-8")
    monkeypatch.setattr(Projections, "follow_until", away)
    words = ("--city", "killed", "--mapping", str(OLD), "--assume-policy", "S0")
    told = deployment.ok("import", str(path), *words)
    assert "imported 30" in told.said
    assert "the tables will follow later" in told.err


def children(pid: int) -> set[int]:
    """Return the processes that a process started and that run."""
    told = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return {int(word) for word in told.split()}


def each_row_once(deployment: Deployment, rows: list[dict[str, str]]) -> None:
    """Assert that each row is one order, numbered without gap, and each number one caller."""
    with psycopg.connect(deployment.url, autocommit=True) as connection:
        registered = connection.execute(
            b"SELECT originator_id, state::json ->> 'old_number', state::json -> 'applicant' ->> 'subject' "
            b"FROM killed.events WHERE topic = 'order.order_registered'"
        ).fetchall()
        numbers = connection.execute(
            b"SELECT originator_version FROM killed.events WHERE topic = 'numbers.given' ORDER BY position"
        ).fetchall()
    assert sorted(old for _, old, _ in registered) == sorted(row["编号"] for row in rows)
    assert len({stream for stream, _, _ in registered}) == len(rows)
    assert [number for (number,) in numbers] == [*range(1, len(rows) + 1)]
    assert len({subject for _, _, subject in registered}) == len(rows) // 3


def test_two_imports_of_one_table_at_once_bring_each_row_once(deployment: Deployment, tmp_path: Path):
    rows = old_rows(900)
    path = tmp_path / "old.csv"
    path.write_text(table(*rows), encoding="utf-8")
    words = ("import", str(path), "--city", "killed", "--json", "--mapping", str(OLD), "--assume-policy", "S0")
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "scripts.huiyin", *words, "--rejects", str(tmp_path / f"rejects-{number}")],
            cwd=CHECKOUT,
            env=deployment.environment(),
            stdout=subprocess.PIPE,
        )
        for number in range(2)
    ]
    told = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert [one["rejected"] for one in told] == [0, 0]
    assert [one["imported"] + one["already"] for one in told] == [len(rows)] * 2
    assert sum(one["imported"] for one in told) >= len(rows)  # two may bring one row over together, a commit each
    each_row_once(deployment, rows)
    assert deployment.ok("verify", "--city", "killed").code == 0


def test_a_table_is_reconciled_with_what_the_ledger_holds(deployment: Deployment, tmp_path: Path):
    rows = old_rows(30)
    path, more = tmp_path / "old.csv", tmp_path / "more.csv"
    path.write_text(table(*rows), encoding="utf-8")
    more.write_text(table(*rows[1:], WHOLE | {"编号": "NEW"}), encoding="utf-8")
    deployment.ok("import", str(path), "--city", "killed", "--mapping", str(OLD), "--assume-policy", "S0")
    whole = deployment.ok("reconcile", str(path), "--city", "killed", "--mapping", str(OLD))
    assert "have an order 30" in whole.said
    assert "已答复 → replied 30 30" in whole.said
    other = deployment.run("reconcile", str(more), "--city", "killed", "--mapping", str(OLD), "--json")
    assert other.code == 1
    assert (other.data["missing"], other.data["foreign"], other.data["orders"]) == (["NEW"], ["R0"], 29)
    assert {"by": "state", "name": "已答复 → 无工单 no order", "rows": 1, "orders": 0} in other.data["reconciliation"]


def seen_on_a_terminal(deployment: Deployment, *words: str) -> str:
    """Return what stderr shows where it is a terminal."""
    ours, theirs = pty.openpty()
    words = (sys.executable, "-m", "scripts.huiyin", *words)
    environment = deployment.environment(TERM="xterm", COLUMNS="100")
    process = subprocess.Popen(words, cwd=CHECKOUT, env=environment, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # how a terminal says that nobody writes any more
        while more := os.read(ours, 4096):
            shown += more
    process.wait()
    os.close(ours)
    return shown.decode()


# --- the command line --------------------------------------------------------------------------------------------


def test_the_command_says_what_it_imported_and_where_the_rejects_are(deployment: Deployment, tmp_path: Path):
    script = write_script(tmp_path / "few.jsonl", *town_lines(), registered("A", "2025-03-04 09:00"), {"bad": 1})
    dry = deployment.run("import", str(script), "--city", "killed", "--dry-run")
    real = deployment.run("import", str(script), "--city", "killed")
    assert dry.code == real.code == 1
    assert "nothing written" in dry.out
    assert "A → KD20250304-000001" in real.out
    assert "few.jsonl.rejects.jsonl" in real.out
    assert (tmp_path / "few.jsonl.rejects.jsonl").exists()
    assert (dry.err, real.err) == ("", "")
    told = deployment.run("import", str(script), "--city", "killed", "--json")
    assert (told.code, told.data["already"], told.data["rejected"]) == (1, len(town_lines()) + 1, 1)
    assert "importing few.jsonl" in seen_on_a_terminal(deployment, "import", str(script), "--city", "killed")
    said = deployment.refused("import", str(script), "--city", "killed", "--rejects", "/no/such/folder/r.jsonl")
    assert "nothing was imported" in said
    assert "--mapping" in deployment.refused("import", str(script), "--assume-policy", "S0", code=2)
    assert "no such mapping" in deployment.refused("import", str(script), "--mapping", "nope", "--city", "killed")


# --- tables: mappings --------------------------------------------------------------------------------------------

OLD = MAPPINGS / "old_hotline.toml"


def old_hotline() -> Mapping:
    return importing.read_mapping(str(OLD))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            '"order.reply_submitted"',
            '"order.reply_submited"',
            "[[event]] #5 order.reply_submited: 没有此事件 no such event",
        ),
        ('"order.reply_submitted"', '"institution.unit_registered"', "no such event of an order"),
        (
            'fact   = "order.order_registered"',
            'fact   = "order.order_dispatched"',
            "the first event is order.order_registered",
        ),
        ("public_answer =", "publick_answer =", "publick_answer: 没有此字段 no such field; 相近 near: public_answer"),
        ('"applicant.phone"', '"applicant.fone"', "applicant.fone: 没有此字段"),
        ("public_answer =", "late =", "fields are missing: public_answer"),
        ('table = "kind"', 'table = "knd"', "no such table; 相近 near: kind"),
        ('same = "attributes"', 'same = "attribs"', "the first event has no field 'attribs'"),
        ('{ column = "答复" }', '{ column = "答复", extract = "(" }', "public_answer: '('"),
        ('{ column = "答复" }', '{ column = "答复", extract = "x" }', "a group in parentheses"),
        ('{ column = "答复" }', '{ column = "答复", colour = "red" }', "unknown field `colour`"),
        ('{ column = "答复" }', "{ }", "name one of column, constant, same"),
        ('{ column = "答复" }', '{ table = "kind", constant = "x" }', "name the column"),
        (
            'place    = { column = "地点" }',
            'policy = { column = "地点" }',
            "policy: 不由映射填写 not for a mapping to set",
        ),
        ('key      = "编号"', 'key      = "编号"\nencoding = "utf-9"', "no such encoding"),
        ('key      = "编号"', 'key      = "编号"\nzone = "Asia/Nowhere"', "no such zone"),
        ('key      = "编号"', 'key      = "编号"\ndelimiter = ";;"', "one character"),
        ('times    = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"]', "times = []", "state how times are written"),
        ('key      = "编号"', "", "missing required field `key`"),
        ("[[event]]", "[[event", "old_hotline.toml: "),
        (
            'when = "签收时间"',
            'when = "签收时间"\nderived = "签收时间: 以派单时间计"',
            "nothing is derived for such an event (8.15): 签收时间",
        ),
        (
            'medium  = { column = "告知方式", table = "medium" }',
            'medium  = { constant = "phone" }',
            "nothing is derived for such an event (8.15): medium",
        ),
    ],
)
def test_a_mapping_that_does_not_hold_together_says_where_before_any_row_is_read(
    tmp_path: Path, old: str, new: str, said: str
):
    text = OLD.read_text(encoding="utf-8")
    assert old in text
    bad = tmp_path / "old_hotline.toml"
    bad.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BadSource) as raised:
        importing.read_mapping(str(bad))
    assert said in str(raised.value)


def test_every_mapping_that_ships_holds_together():
    for path in wiring.MAPPINGS.glob("*.toml"):
        assert importing.read_mapping(path.stem).name == path.stem


# --- tables: rows ------------------------------------------------------------------------------------------------

COLUMNS = re.split(
    ",",
    "编号,标题,内容,类别,地点,电话,类型,登记时间,承诺时限,派单时间,承办单位,签收时间,告知时间,告知事项,告知方式,已告知,答复,答复时间,状态",
)
WHOLE = {
    "编号": "OLD-1",
    "标题": "路灯不亮",
    "内容": "门前路灯坏了",
    "类别": "照明",
    "地点": "一号路",
    "电话": "000-1",
    "类型": "咨询",
    "登记时间": "2019-04-01 09:00:00",
    "承诺时限": "2019-04-20 00:00:00",
    "派单时间": "2019-04-01 10:00:00",
    "承办单位": "城管局",
    "签收时间": "2019-04-01 11:00",
    "告知时间": "2019-04-03 09:00:00",
    "告知事项": "result",
    "告知方式": "电话",
    "已告知": "是",
    "答复": "已修复。",
    "答复时间": "2019-04-03 10:00:00",
    "状态": "已答复",
}


def table(*rows: dict[str, str], columns: list[str] = COLUMNS) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, extrasaction="ignore", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def test_a_row_yields_the_events_its_columns_state_and_no_others(town: Town):
    bare = {"编号": "OLD-2", "标题": "小区停水", "类别": "供水", "类型": "求助", "登记时间": "2019-05-01 09:00:00"}
    came = town.table(table(WHOLE, bare), old_hotline(), assume="S0")
    assert came.rejects == []
    assert (came.summary.imported, came.summary.events) == (2, 6)
    events = [e for e in town.events() if e.actor.user == "import-old_hotline" and e.stream.startswith("order:")]
    kinds = Counter(type(e.event).__name__ for e in events)
    assert kinds == {
        "OrderRegistered": 2,
        "OrderDispatched": 1,
        "AssignmentSigned": 1,
        "ApplicantInformed": 1,
        "ReplySubmitted": 1,
    }
    assert {e.origin for e in events} == {"import"}
    whole, bare_order = town.order("OLD-1"), town.order("OLD-2")
    assert (whole.state, bare_order.state) == (OrderState.REPLIED, OrderState.REGISTERED)
    assert whole.number == "OH20190401-000001"
    assert whole.assumed_policy
    assert whole.episode.lead == "城管局"
    assert whole.demand.derived == ("old_hotline", "channel", "applicant.kind")


def test_what_the_old_system_promised_is_the_external_clock(town: Town):
    town.table(table(WHOLE, WHOLE | {"编号": "OLD-3", "答复": "", "告知时间": ""}), old_hotline(), assume="S0")

    def external(number: str) -> Any:
        async def ask(ledger: Ledger) -> Any:
            law = await ledger.law()
            case = town.order
            return law, case

        law, _ = town.asked(ask)
        (clock,) = [c for c in clocks(town.order(number), law) if c.name is ClockName.EXTERNAL]
        return explain(clock, law), clock

    told, answered = external("OLD-1")
    assert told.due_words == "2019-04-19 24:00 (Fri)"
    assert answered.stop is not None
    assert answered.start.at == wiring.parse_instant("2019-04-01 09:00")
    assert external("OLD-3")[1].stop is None


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        ({"登记时间": "2019年4月1日"}, "invalid", "登记时间: 不是时间 not an instant: '2019年4月1日'"),
        ({"登记时间": ""}, "invalid", "must hold something: 登记时间"),
        ({"登记时间": "2019-02-30 09:00:00"}, "invalid", "not an instant"),
        ({"承诺时限": "soon"}, "invalid", "承诺时限: "),
        ({"编号": ""}, "invalid", "must hold something: 编号"),
        ({"标题": ""}, "invalid", "must hold something: 标题"),
        ({"派单时间": "2019-03-31 10:00:00"}, "time-disorder", "派单时间 2019-03-31 10:00:00 < 2019-04-01 09:00:00"),
        ({"答复时间": "2019-04-02 10:00:00"}, "time-disorder", "答复时间"),
        ({"答复时间": ""}, "invalid", "答复时间: "),
        ({"类型": "表扬"}, "invalid", "类型: '表扬' 不在值表 not in the table 'kind'"),
        ({"类型": ""}, "invalid", "attributes: 缺失 missing; 列为空 the column is empty: 类型"),
        ({"告知事项": "everything"}, "invalid", "告知事项 → about: Invalid enum value 'everything'; 可选 one of: "),
        ({"内容": "a\0b"}, "invalid", "内容: 含有 U+0000"),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_bad_row_is_rejected_with_its_line_and_reason_and_stops_nothing(
    shared_town: Town, change: dict[str, str], code: str, reason: str, dry_run: bool
):
    town, before = shared_town, shared_town.position()
    good = WHOLE | {"编号": f"GOOD-{before}"}
    bad = WHOLE | {"编号": f"BAD-{before}"} | change
    came = town.table(table(bad, good), old_hotline(), assume="S0", dry_run=dry_run)
    assert (came.summary.lines, came.summary.imported, came.summary.rejected) == (2, 1, 1)
    (reject,) = came.rejects
    assert (reject.line, reject.code) == (2, code)
    assert reason in reject.reason
    assert reject.content["标题"] == bad["标题"]
    assert (town.position() == before) is dry_run


def test_the_line_of_a_reject_is_the_files_even_after_cells_of_several_lines(town: Town):
    rows = (WHOLE | {"内容": "一\n二\n三"}, WHOLE | {"编号": "X", "类型": "?"})
    came = town.table(table(*rows), old_hotline(), assume="S0")
    assert [r.line for r in came.rejects] == [5]


def test_ragged_and_doubled_rows_are_rejected(town: Town):
    lines = table(WHOLE, WHOLE, WHOLE | {"编号": "OLD-8"}, WHOLE | {"编号": "OLD-9"}).splitlines()
    lines[3] += ",one cell too many"
    lines[4] = lines[4].rpartition(",")[0]
    came = town.table("\n".join(lines), old_hotline(), assume="S0")
    assert [(r.line, r.reason.split(" · ")[1][:12]) for r in came.rejects] == [
        (3, "编号: 'OLD-1' "[:12]),
        (4, "列数多于表头 more "[:12]),
        (5, "列数少于表头 fewer"[:12]),
    ]
    assert came.summary.imported == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            table(WHOLE, columns=[c for c in COLUMNS if c != "答复"]),
            "the file lacks the columns: 答复; 现有 there are: 编号, ",
        ),
        ("", "lacks the columns: 编号"),
        (table(WHOLE).encode("gb18030"), "the file is not utf-8-sig"),
        (table(WHOLE).encode("utf-16"), "the file is not utf-8-sig"),
        (table(WHOLE).replace("地点", "标题", 1), "lacks the columns: 地点"),
        (table(WHOLE, columns=[*COLUMNS, "多", "多"]), "columns that are there twice: 多"),
        (table(WHOLE) + '"OLD-2,never closed,,,\nx,y\n', "the quote that opens on line 3 is never closed"),
    ],
)
def test_a_file_of_another_form_is_refused_whole_and_imports_nothing(
    shared_town: Town, content: bytes | str, said: str
):
    before = shared_town.position()
    with pytest.raises(BadSource) as raised:
        shared_town.table(content, old_hotline(), assume="S0")
    assert said in str(raised.value)
    assert shared_town.position() == before


def test_a_single_byte_of_another_encoding_costs_its_row_alone(town: Town):
    rows = [WHOLE | {"编号": f"B{n}"} for n in range(30)]
    content = table(*rows).encode().replace("门前路灯坏了".encode(), b"\xff", 1)
    came = town.table(content, old_hotline(), assume="S0")
    assert [(r.line, r.reason.split(" · ")[1]) for r in came.rejects] == [(2, "内容: 不是此编码 not utf-8-sig")]
    assert came.summary.imported == 29


def test_a_title_with_personal_data_is_sealed_and_made_up_of_category_and_place(town: Town):
    phone = WHOLE | {"标题": "请回电13812345678"}
    long = WHOLE | {"编号": "OLD-2", "标题": "很长" * 20}
    assert town.table(table(phone, long), old_hotline(), assume="S0").rejects == []
    for number in ("OLD-1", "OLD-2"):
        order = town.order(number)
        assert order.demand.title == "照明 · 一号路"
        assert "title" in order.demand.derived
    stored = as_superuser(town.city, "SELECT string_agg(state, ' ') FROM {}.events")[0][0]
    assert "13812345678" not in stored
    assert "很长" not in stored


# --- tables: which policy ----------------------------------------------------------------------------------------


def test_without_an_assumed_pack_the_one_in_force_on_the_day_binds_and_before_it_no_row_comes_in(
    postgres: embedded.Database, tmp_path: Path
):
    town = found(postgres, tmp_path, since="2019-04-10")
    later = (
        WHOLE
        | {"编号": "OLD-2"}
        | {k: v.replace("2019-04-0", "2019-05-0") for k, v in WHOLE.items() if k[-2:] == "时间"}
    )
    came = town.table(table(WHOLE, later), old_hotline())
    assert [(r.line, r.code) for r in came.rejects] == [(2, "no-policy-in-force")]
    assert not town.order("OLD-2").assumed_policy
    assert town.table(table(WHOLE), old_hotline(), assume="S0").rejects == []
    assert town.order("OLD-1").assumed_policy
    with pytest.raises(BadSource, match=r"S4.*S0-CHUANYU"):
        town.table(table(WHOLE), old_hotline(), assume="S4")


# --- tables: again, dry, compared --------------------------------------------------------------------------------


def many(count: int) -> list[dict[str, str]]:
    return [WHOLE | {"编号": f"M{n}", "承办单位": f"单位{n % 3}"} for n in range(count)]


def test_a_table_imported_again_adds_nothing_and_a_corrected_one_only_what_was_missing(town: Town):
    rows = many(20)
    bad = [*rows[:5], rows[5] | {"类型": "?"}, *rows[6:]]
    first = town.table(table(*bad), old_hotline(), assume="S0")
    before = town.position()
    assert (first.summary.imported, first.summary.rejected) == (19, 1)
    again = town.table(table(*bad), old_hotline(), assume="S0")
    assert (again.summary.imported, again.summary.already, again.summary.rejected) == (0, 19, 1)
    assert town.position() == before
    corrected = town.table(table(*rows), old_hotline(), assume="S0")
    assert (corrected.summary.imported, corrected.summary.already, corrected.rejects) == (1, 19, [])


def test_a_row_that_was_changed_after_its_import_is_told_so(town: Town):
    town.table(table(WHOLE), old_hotline(), assume="S0")
    before = town.position()
    for change in ({"内容": "改过"}, {"登记时间": "2019-04-01 08:00:00"}, {"答复": "改过。"}):
        came = town.table(table(WHOLE | change), old_hotline(), assume="S0")
        assert [r.code for r in came.rejects] == ["row-changed"]
    assert town.position() == before


def test_a_dry_run_of_a_table_says_what_the_real_run_says(town: Town):
    rows = [*many(30), WHOLE | {"编号": "BAD", "类型": "?"}, WHOLE | {"编号": "M3"}]
    before = town.position()
    dry = town.table(table(*rows), old_hotline(), assume="S0", dry_run=True)
    assert town.position() == before
    real = town.table(table(*rows), old_hotline(), assume="S0")
    assert msgspec.structs.replace(dry.summary, dry_run=False) == real.summary
    assert dry.rejects == real.rejects
    twice = town.table(table(*rows), old_hotline(), assume="S0", dry_run=True)
    assert (twice.summary.imported, twice.summary.already) == (0, 30)


def test_old_and_new_are_compared_by_month_unit_and_state(town: Town):
    rows = [*many(3), WHOLE | {"编号": "BAD", "类型": "?", "登记时间": "2019-03-01 09:00:00"}]
    came = town.table(table(*rows), old_hotline(), assume="S0")
    compared = {(one.by, one.name): (one.rows, one.orders) for one in came.summary.reconciliation}
    assert compared == {
        ("month", "2019-03"): (1, 0),
        ("month", "2019-04"): (3, 3),
        ("unit", "单位0"): (1, 1),
        ("unit", "单位1"): (1, 1),
        ("unit", "单位2"): (1, 1),
        ("unit", "城管局"): (1, 0),
        ("state", "已答复 → replied"): (3, 3),
        ("state", "已答复 → 退回 rejected"): (1, 0),
    }


# --- tables: promises --------------------------------------------------------------------------------------------


def promising(**words: str) -> Mapping:
    """Return the old system's mapping, with a column that says whether a promise was kept."""
    verdict = importing.Verdict(column="状态", in_time=["按期"], late=["逾期"])
    return msgspec.structs.replace(old_hotline(), kept=verdict)


def test_the_old_systems_word_on_a_promise_is_held_against_our_clock_and_never_taken_over(town: Town):
    late = {"承诺时限": "2019-04-02 00:00:00"}
    rows = [
        WHOLE | {"编号": "K1", "状态": "按期"},
        WHOLE | {"编号": "K2", "状态": "逾期"} | late,
        WHOLE | {"编号": "K3", "状态": "按期"} | late,
        WHOLE | {"编号": "K4", "状态": "逾期"},
        WHOLE | {"编号": "K5", "状态": ""},
        WHOLE | {"编号": "OPEN", "状态": "逾期", "答复": "", "答复时间": "", "告知时间": ""} | late,
        WHOLE | {"编号": "NONE", "状态": "逾期", "承诺时限": ""},
    ]
    kept = town.table(table(*rows), promising(), assume="S0").summary.kept
    assert kept is not None
    assert (kept.compared, kept.agreed) == (5, 2)
    assert [(one.number, one.old, one.ours) for one in kept.differing] == [
        ("K3", "按期", "超期 late"),
        ("K4", "逾期", "按时 on time"),
        ("K5", "—", "按时 on time"),
    ]
    stored = as_superuser(town.city, "SELECT string_agg(state, ' ') FROM {}.events")[0][0]
    assert "逾期" not in stored


def test_an_open_order_comes_over_with_its_old_number_and_what_was_promised(town: Town):
    open_row = {
        key: WHOLE[key] for key in ("编号", "标题", "类别", "类型", "登记时间", "承诺时限", "派单时间", "承办单位")
    }
    assert town.table(table(open_row), old_hotline(), assume="S0").rejects == []
    order, law = town.order("OLD-1"), town.asked(lambda ledger: ledger.law())
    assert (order.state, order.demand.old_number) == (OrderState.DISPATCHED, "OLD-1")
    (clock,) = [c for c in clocks(order, law) if c.name is ClockName.EXTERNAL]
    assert clock.due == order.demand.promised_due == wiring.parse_instant("2019-04-20 00:00")
    assert clock.running


def test_the_words_of_a_verdict_must_be_in_a_column_that_is_there(town: Town):
    verdict = importing.Verdict(column="按期否", in_time=["是"], late=["否"])
    with pytest.raises(BadSource, match="lacks the columns: 按期否"):
        town.table(table(WHOLE), msgspec.structs.replace(old_hotline(), kept=verdict), assume="S0")


# --- the real files ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def boston() -> Path:
    path = wiring.trial_data() / "boston311_2011q3.csv"
    if not path.is_file():
        pytest.skip("the real requests of Boston are not here (HUIYIN_TRIAL_DATA)")
    return path


def test_a_citys_real_requests_come_in_with_their_promises_and_our_clocks_agree_with_its_own_verdicts(
    town: Town, boston: Path
):
    with boston.open(encoding="utf-8-sig", newline="") as file:
        rows = [*csv.DictReader(file)]
    came = town.table(boston.read_bytes(), importing.read_mapping("boston311"), assume="S0", jobs=0)
    assert (came.summary.lines, came.summary.imported) == (20_000, 19_999)
    assert [reject.content["department"] for reject in came.rejects] == ["No Q"]  # no unit's code: it holds a space
    imported = [row for row in rows if row["department"] != "No Q"]
    promised = [row for row in imported if row["target_dt"] and row["closed_dt"]]
    kept = came.summary.kept
    assert kept is not None
    assert kept.compared == len(promised)
    assert kept.rate is not None
    assert kept.rate >= 0.996
    assert {one.number for one in kept.differing} == {row["case_enquiry_id"] for row in promised if not row["ontime"]}
    states = {one.name: one.orders for one in came.summary.reconciliation if one.by == "state"}
    assert states["Open → dispatched"] == sum(not row["closed_dt"] for row in imported)
    assert states["Closed → closed"] == sum(bool(row["closed_dt"]) for row in imported)
    number = next(row["case_enquiry_id"] for row in imported if not row["closed_dt"] and row["target_dt"])
    order = town.order(number)
    assert order.demand.old_number == number
    assert order.demand.promised_due is not None
    assert town.asked(lambda ledger: ledger.verify_all()) == []


@pytest.fixture(scope="module")
def mailbox() -> Path:
    path = wiring.trial_data() / "mailbox_replies.csv"
    if not path.is_file():
        pytest.skip("the real mailbox file is not here (HUIYIN_TRIAL_DATA)")
    return path


def test_real_messages_come_in_and_are_the_same_in_number_as_an_independent_count_says(town: Town, mailbox: Path):
    mapping = importing.read_mapping("mailbox_replies")
    begun = time.perf_counter()
    came = town.table(mailbox.read_bytes(), mapping, assume="S0")
    took = time.perf_counter() - begun
    assert took < 60
    assert came.summary.lines == 2000
    assert came.summary.imported >= 1999
    assert came.summary.imported + came.summary.rejected == 2000
    rejected = {reject.content["留言编号"] for reject in came.rejects}
    with mailbox.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["留言编号"] not in rejected]
    by_year = Counter(int(row["留言时间"][:4]) for row in rows)
    streams: dict[str, list[Entry]] = {}
    for entry in town.events():
        if entry.stream.startswith("order:"):
            streams.setdefault(entry.stream, []).append(entry)
    orders = [fold(entries) for entries in streams.values()]
    assert Counter(int(order.number[2:6]) for order in orders if order) == by_year
    assert {order.demand.old_number for order in orders if order} == {row["留言编号"] for row in rows}
    assert all(order.assumed_policy for order in orders if order)
    nothing_private_is_stored_in_plain(town, rows)


def nothing_private_is_stored_in_plain(town: Town, rows: list[dict[str, str]]) -> None:
    """Assert that no message, reply or sender can be read in what is stored; what is sealed is letters of base64."""
    stored = as_superuser(town.city, "SELECT string_agg(state, ' ') FROM {}.events")[0][0]
    stored += as_superuser(town.city, "SELECT string_agg(c::text, ' ') FROM {}.commits AS c")[0][0]
    assert not {row["留言用户"] for row in rows} & set(re.findall(r"\w+", stored))
    chinese = "\n".join(dict.fromkeys(re.findall(r"[^\x00-\x7f]+", stored)))
    titles = "\n".join(row["留言主题"] for row in rows)  # what may be shown may be stored
    looked = 0
    for row in rows:
        for column in ("留言详情", "答复意见"):
            pieces = (piece[:40] for piece in re.findall(r"[^\x00-\x7f]{8,}", row[column]))
            for piece in [piece for piece in pieces if piece not in titles][:5]:
                assert piece not in chinese, f"{row['留言编号']} {column}"
                looked += 1
    assert looked > 3 * len(rows)
    assert any(row["留言主题"] in chinese for row in rows)  # it would have been found
