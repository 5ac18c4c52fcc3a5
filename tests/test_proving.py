"""Heads, evidence and witnesses at the terminal, as an office, an overseer and a stranger use them."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain import evidence, notes
from domain.evidence import Unproven
from scripts import embedded
from tests.test_cli import Deployment, deploy, registered, town_lines, write_script


@pytest.fixture(scope="module")
def office(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A city with its units and people."""
    found = deploy(postgres, tmp_path_factory.mktemp("office"))
    found.ok("init", "town", "--policy", "S0", "--code", "HY", "--name", "某市")
    script = write_script(tmp_path_factory.mktemp("script") / "town.jsonl", *town_lines())
    assert found.ok("import", str(script), "--city", "town", "--json").data["rejected"] == 0
    return found


def recorded(office: Deployment, tmp_path: Path) -> str:
    """Register an order, as an imported script does; return its number."""
    before = {one["number"] for one in orders(office)}
    line = registered("A", f"2025-03-04 09:{len(before):02d}")
    script = write_script(tmp_path / f"{len(before)}.jsonl", line)
    assert office.ok("import", str(script), "--city", "town", "--json").data["rejected"] == 0
    (number,) = {one["number"] for one in orders(office)} - before
    return number


def orders(office: Deployment) -> list[dict[str, Any]]:
    return office.ok("list", "--city", "town", "--json").data["rows"]


def last_birth(connection: psycopg.Connection[Any]) -> int:
    found = connection.execute(b"SELECT max(position) FROM town.events WHERE topic = 'order.order_registered'")
    return found.fetchall()[0][0]


def policy_of(office: Deployment, path: Path) -> notes.Policy:
    path.write_text(office.ok("head", "--policy", "--city", "town").out, encoding="utf-8")
    return notes.policy_from(path.read_text(encoding="utf-8"))


def heads_of(office: Deployment) -> Path:
    (folder,) = (office.home / "heads").iterdir()
    return folder


def test_a_head_is_signed_listed_and_kept_outside(office: Deployment, tmp_path: Path):
    recorded(office, tmp_path)
    said = office.ok("head", "--city", "town").out
    note = notes.note_from(said)
    assert office.ok("head", "--city", "town").out == said
    assert f"{note.checkpoint.size:,}" in office.ok("head", "--list", "--city", "town").out
    assert notes.note_from((heads_of(office) / "checkpoint").read_bytes()) == note
    assert (office.home / "keys" / "town.log.key").stat().st_mode & 0o777 == 0o600


def test_evidence_is_checked_by_a_stranger_without_a_database(office: Deployment, tmp_path: Path):
    order = recorded(office, tmp_path)
    policy = policy_of(office, tmp_path / "policy")
    file, full = tmp_path / "digests.json", tmp_path / "full.json"
    office.ok("proof", order, "--to", str(file), "--city", "town")
    office.ok("proof", order, "--to", str(full), "--full", "--city", "town")
    stranger = Deployment(tmp_path / "nowhere", "host=127.0.0.1 port=9 dbname=none")
    said = stranger.ok("verify", str(file), str(full), "--policy", str(tmp_path / "policy")).said
    assert said.count("✓") == 2
    assert "未经改动" in said
    assert "路灯不亮" not in file.read_text(encoding="utf-8")
    assert "路灯不亮" in full.read_text(encoding="utf-8")  # the title names nobody; what was sealed stays so
    assert "甲某" not in full.read_text(encoding="utf-8")
    assert "--policy" in stranger.refused("verify", str(file))
    told = json.loads(stranger.run("verify", str(full), "--policy", str(tmp_path / "policy"), "--json").out)
    assert [one["holds"] for one in told] == [True]
    assert evidence.check(evidence.read(full.read_bytes()), policy).open == 1


def test_who_takes_evidence_at_the_terminal_stands_in_the_journal_first(office: Deployment, tmp_path: Path):
    order = recorded(office, tmp_path)
    office.ok("proof", order, "--as", "he/auditor", "--purpose", "court", "--city", "town")
    office.ok("proof", order, "--full", "--city", "town")
    looks = json.loads(office.ok("trace", "looks", order, "--json", "--city", "town").out)
    told = [(one["actor"]["role"], one["event"]["fields"], one["event"]["purpose"]) for one in looks]
    assert told == [("auditor", ["evidence"], "court"), ("admin", ["evidence"], "evidence")]


def test_whatever_is_changed_in_evidence_is_found(office: Deployment, tmp_path: Path):
    order = recorded(office, tmp_path)
    policy = policy_of(office, tmp_path / "policy")
    full = tmp_path / "full.json"
    office.ok("proof", order, "--to", str(full), "--full", "--city", "town")
    said = full.read_bytes()
    right = evidence.read(said)
    chance = random.Random(20261122)
    for _ in range(400):
        at = chance.randrange(len(said))
        other = said[:at] + bytes([said[at] ^ 1 << chance.randrange(8)]) + said[at + 1 :]
        try:
            read = evidence.read(other)
            if read == right:
                continue  # white space: nothing was said otherwise
            held = evidence.check(read, policy)
        except Unproven:
            continue
        raise AssertionError((at, other[at - 20 : at + 20], held))


def test_a_witness_signs_what_grew_and_refuses_what_was_rewritten(office: Deployment, tmp_path: Path):
    policy = policy_of(office, tmp_path / "policy")
    recorded(office, tmp_path)
    office.ok("head", "--city", "town")
    where = str(heads_of(office))
    witness = ("witness", where, "--name", "npc.example", "--state", str(tmp_path / "npc"))
    assert "--log" in office.refused(*witness)
    seen = office.ok(*witness, "--log", str(policy.log), "--json").data
    office.ok("head", "--trust", seen["key"], "--city", "town")
    assert policy_of(office, tmp_path / "policy").quorum == 1
    recorded(office, tmp_path)
    office.ok("head", "--city", "town")
    assert office.ok(*witness, "--json").data["before"] == seen["size"]
    last = str(tmp_path / "npc" / "last")
    assert "✓" in office.ok("verify", "--head", last, "--city", "town").out
    with psycopg.connect(office.url, autocommit=True) as connection:
        connection.execute(
            b"UPDATE town.events SET topic = 'order.order_withdrawn' WHERE position = %s", [last_birth(connection)]
        )
    told = office.run("verify", "--head", last, "--city", "town")
    assert told.code == 1
    assert "位置 position" in told.out
    with psycopg.connect(office.url, autocommit=True) as connection:
        connection.execute(
            b"UPDATE town.events SET topic = 'order.order_registered' WHERE topic = 'order.order_withdrawn'"
        )
    assert office.ok("verify", "--head", last, "--city", "town").code == 0
    kept = heads_of(office) / "checkpoint"
    right = kept.read_bytes()
    kept.write_text(notes.policy_text(policy), encoding="utf-8")
    assert "note" in office.refused(*witness)
    assert "head-unreadable" in office.refused("head", "--city", "town")
    told = office.run("verify", "--head", last, "--city", "town", "--json")
    assert (told.code, [one["position"] for one in told.data["findings"]]) == (1, [0])
    kept.write_bytes(right)
    assert office.ok("verify", "--head", last, "--city", "town").code == 0


def test_what_is_no_key_policy_or_head_is_refused_with_a_sentence(office: Deployment, tmp_path: Path):
    bad = tmp_path / "bad"
    bad.write_text("log nobody\n", encoding="utf-8")
    key = str(policy_of(office, tmp_path / "policy").log)
    for words in (
        ("head", "--trust", "x", "--city", "town"),
        ("head", "--trust", key, "--city", "town"),
        ("verify", str(bad), "--policy", str(bad)),
        ("verify", "--head", str(bad), "--city", "town"),
        ("witness", str(tmp_path), "--name", "a b", "--state", str(tmp_path / "s"), "--log", key),
        ("witness", str(tmp_path / "none"), "--name", "a", "--state", str(tmp_path / "s"), "--log", key),
    ):
        assert office.refused(*words)
    told = office.run("verify", str(bad), "--policy", str(tmp_path / "policy"))
    assert (told.code, "✗" in told.out) == (1, True)


class Told:
    """Somebody elsewhere who is told of every head: keeps what came, and answers as a witness, or not at all."""

    def __init__(self) -> None:
        self.heads: list[notes.Note] = []
        self.answers = False
        self.private = Ed25519PrivateKey.generate()
        self.url = ""

    @property
    def key(self) -> notes.Key:
        return notes.witness_key("elsewhere.example", self.private)

    def answer(self, said: bytes) -> tuple[int, bytes]:
        if not self.answers:
            return 503, b""
        note = notes.note_from(said)
        self.heads.append(note)
        line = notes.cosigned(note, "elsewhere.example", self.private, 1_800_000_000)
        return 200, str(notes.with_signatures(note, [line])).encode()


@pytest.fixture
def elsewhere() -> Iterator[Told]:
    told = Told()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, body = told.answer(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's own
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_port}/heads"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield told
    server.shutdown()
    server.server_close()


def test_every_head_is_sent_elsewhere_until_it_is_taken_and_a_witness_may_answer(
    office: Deployment, tmp_path: Path, elsewhere: Told
):
    recorded(office, tmp_path)
    head = ("head", "--city", "town")
    assert "503" in office.ok(*head, HUIYIN_HEADS_TO=elsewhere.url).err
    elsewhere.answers = True
    office.ok("head", "--trust", str(elsewhere.key), "--city", "town")
    said = office.ok(*head, HUIYIN_HEADS_TO=f"{elsewhere.url} http://127.0.0.1:9/nobody")
    assert elsewhere.url not in said.err
    assert "127.0.0.1:9/nobody" in said.err
    note = notes.note_from(said.out)
    assert [one.checkpoint for one in elsewhere.heads] == [note.checkpoint]
    assert note.by(elsewhere.key) == 1_800_000_000
    office.ok(*head, HUIYIN_HEADS_TO=elsewhere.url)
    assert len(elsewhere.heads) == 1  # what was taken is not sent again
    recorded(office, tmp_path)
    office.ok(*head, HUIYIN_HEADS_TO=elsewhere.url)
    assert elsewhere.heads[-1].checkpoint.size > note.checkpoint.size
    for bad in ("ftp://example/heads", "https://user:word@example/heads", "nonsense"):
        assert "HUIYIN_HEADS_TO" in office.run(*head, HUIYIN_HEADS_TO=bad).err


def test_a_table_that_somebody_changed_by_hand_is_found_row_by_row_and_made_right(office: Deployment, tmp_path: Path):
    order = recorded(office, tmp_path)
    assert "查询表" in office.ok("verify", "--tables", "--city", "town").out
    with psycopg.connect(office.url, autocommit=True) as connection:
        query = "SELECT name, version FROM town_projections.active WHERE name = 'orders'"
        ((name, version),) = connection.execute(query).fetchall()
        connection.execute(f"UPDATE town_projections.{name}_{version} SET title = '路灯已亮'".encode())
    told = office.run("verify", "--tables", "--city", "town", "--json")
    assert told.code == 1
    first, *rows = [one for one in told.data["findings"] if one["stream"] == "orders"]
    assert int(first["found"]) == 2 * len(rows) > 0
    (mine,) = [one for one in rows if order in one["what"]]
    assert (json.loads(mine["expected"]), json.loads(mine["found"])) == ({"title": "路灯不亮"}, {"title": "路灯已亮"})
    assert mine["position"] > 0
    assert "路灯不亮" in office.ok("list", "--city", "town").out
    assert office.ok("verify", "--tables", "--city", "town", "--json").data["findings"] == []
