"""The archive over HTTP: what waits, a packet made while its archivist looks on, and the file that comes of it."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import subprocess
import sys
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api import archiving
from archive import packet
from archive.fonds import Fonds
from domain.terms import Role
from tests.api.conftest import CHECKOUT, Reply, Served, caught_up, registered

REFUSED = {"reason": "litigation", "medium": "phone", "words": "属法院执行程序。"}


def huiyin(served: Served, *words: str) -> str:
    """Run a command beside the service."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.huiyin", *words],
        cwd=CHECKOUT,
        env=dict(os.environ),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def closed(served: Served) -> str:
    """Return the number of an order that was refused."""
    order = registered(served).body
    said = {**REFUSED, "informed_at": order["recorded_at"] if "recorded_at" in order else datetime.now(UTC).isoformat()}
    reply = served.as_(Role.AGENT).post(f"/orders/{order['id']}/refuse", said)
    assert reply.status == 201, reply
    return served.as_(Role.AGENT).get(f"/orders/{order['id']}").body["order"]["number"]


def waiting(served: Served, **query: Any) -> list[dict[str, Any]]:
    reply = served.as_(Role.ARCHIVIST).get("/archive/files", limit=200, **query)
    assert reply.status == 200, reply
    return reply.body["files"]


def until_ready(served: Served, name: str) -> Reply:
    archivist = served.as_(Role.ARCHIVIST)
    until = time.monotonic() + 120
    while (reply := archivist.get(f"/archive/packets/{name}")).status == 202 and time.monotonic() < until:
        time.sleep(0.2)
    return reply


def test_a_packet_is_asked_for_made_and_taken_and_verifies_offline(served: Served, tmp_path: Path):
    city, archivist = served.names["api"], served.as_(Role.ARCHIVIST)
    number = closed(served)
    until = time.monotonic() + 60
    while number not in {row["number"] for row in waiting(served, stage="file")} and time.monotonic() < until:
        time.sleep(0.2)
    (row,) = [row for row in waiting(served) if row["number"] == number]
    assert (row["stage"], row["missing"], row["closed_as"]) == ("file", [], "not_accepted")
    year = f"{datetime.now(UTC).year}"
    refused = archivist.post("/archive/packets", {"numbers": f"{year}-D10"})
    assert (refused.status, refused.body["code"]) == (409, "fonds-unknown")
    huiyin(served, "archive", "fonds", "--code", "X043", "--name", "某市热线", "--city", city)
    huiyin(served, "archive", "run", number, "--city", city)
    assert number not in {one["number"] for one in waiting(served, stage="file")}
    course = archivist.get("/archive/filing").body
    shown = ("state", "of", "done", "filed", "copies", "failures")
    assert [course[name] for name in shown] == ["ended", 1, 1, 1, 1, []]
    begun = archivist.post("/archive/packets", {"numbers": f"{year}-D10"})
    assert begun.status in (200, 202), begun
    name = begun.body["packet"]
    assert name.startswith(f"X043-RX·{year}-D10-0001_")
    ready = until_ready(served, name)
    assert (ready.status, ready.body["state"]) == (200, "ready")
    assert archivist.post("/archive/packets", {"numbers": f"{year}-D10"}).body["state"] == "ready"
    taken = archivist.raw("GET", f"/archive/packets/{name}/content")
    assert taken.headers["content-type"] == "application/zip"
    looks = json.loads(huiyin(served, "trace", "looks", number, "--city", city, "--json"))
    assert [one["event"]["fields"] for one in looks][-2:] == [["record_copy", "attachments"], ["packet"]], "who took it"
    with zipfile.ZipFile(io.BytesIO(taken.content)) as packed:
        assert packed.testzip() is None
        packed.extractall(tmp_path)
    (tmp_path / "policy").write_text(huiyin(served, "head", "--policy", "--city", city), encoding="utf-8")
    assert "✓" in huiyin(served, "verify", str(tmp_path / name), "--policy", str(tmp_path / "policy"))


def test_a_packet_is_sent_as_the_file_that_anybody_makes_of_it(tmp_path: Path):
    packet = tmp_path / "X043-RX·2026-D10-0001_0002"
    for name, content in (("bagit.txt", b"1.0"), ("data/二/附件/1.jpg", b"x" * 700_000), ("data/一/一.pdf", b"")):
        path = packet / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    sent = b"".join(archiving.zipped(packet))
    assert sent == b"".join(archiving.zipped(packet))
    with zipfile.ZipFile(io.BytesIO(sent)) as read:
        assert read.testzip() is None
        contents = {info.filename.partition("/")[2]: read.read(info) for info in read.infolist()}
    there = {path.relative_to(packet).as_posix(): path.read_bytes() for path in packet.rglob("*") if path.is_file()}
    assert contents == there

    class Out(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    whole = Out()
    with zipfile.ZipFile(whole, "w") as plain:
        for name in contents:
            with plain.open(zipfile.ZipInfo(f"{packet.name}/{name}"), "w", force_zip64=True) as entry:
                entry.write(there[name])
    assert sent == whole.getvalue(), "only that the list of files waits on disk"


@pytest.mark.parametrize("role", [Role.AGENT, Role.ADMIN, Role.ORG_HANDLER, Role.CITIZEN])
def test_packets_are_the_archivists_and_what_waits_is_shown_to_who_files_leads_or_checks(served: Served, role: Role):
    other = served.as_(role, "D") if role is Role.ORG_HANDLER else served.as_(role)
    assert other.get("/archive/files").status == 403
    assert other.get("/archive/filing").status == 403
    assert other.post("/archive/packets", {"numbers": "2026-D10"}).status == 403
    assert other.get("/archive/packets/X043-RX·2026-D10-0001_0002").status == 403
    assert served.as_(Role.AUDITOR).get("/archive/files").status == 200
    assert served.as_(Role.AUDITOR).post("/archive/packets", {"numbers": "2026-D10"}).status == 403


def test_what_means_no_numbers_or_no_packet_is_refused(served: Served):
    archivist = served.as_(Role.ARCHIVIST)
    assert archivist.post("/archive/packets", {"numbers": "2026-D99"}).status == 422
    assert archivist.post("/archive/packets", {"numbers": "2026-D10-9..3"}).status == 422
    assert archivist.post("/archive/packets", {}).status == 422
    for name in ("X043-RX·2026-D10-9001_9002", "..", "%2e%2e%2fkeys", "X"):
        assert archivist.get(f"/archive/packets/{name}").status in (404, 405)
        assert archivist.get(f"/archive/packets/{name}/content").status in (404, 405)
    assert archivist.get("/archive/files", stage="nothing").status == 400


def test_a_packet_whose_maker_was_ended_is_not_said_to_be_in_the_making(served: Served):
    archivist, name = served.as_(Role.ARCHIVIST), "X043-RX·2026-D10-8001_8004"
    plan = packet.Plan(
        name=name, fonds=Fonds(), ledger="l", hash="sha256", head=1, root="00", note="", year="2026",
        period="D10", first=8001, last=8004, made_at=datetime(2026, 1, 1, tzinfo=UTC), made_by="x",
    )  # fmt: skip
    folder = served.home / "packets" / served.names["api"]
    folder.mkdir(parents=True, exist_ok=True)
    journal = folder / f".{name}.journal"
    journal.write_bytes(msgspec.json.encode(plan) + b"\n")
    seen = archivist.get(f"/archive/packets/{name}")
    assert (seen.status, seen.body["state"], seen.body["of"]) == (200, "stopped", 4)
    with journal.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        seen = archivist.get(f"/archive/packets/{name}")
    assert (seen.status, seen.body["state"]) == (202, "making")
    assert archivist.get(f"/archive/packets/{name}/content").body["code"] == "packet-not-ready"
    journal.unlink()


# --- one case's file ---------------------------------------------------------------------------------------------


def test_a_record_copy_and_a_copy_for_use_are_had_by_archivists_and_stand_in_journal_and_register(served: Served):
    city, archivist, number = served.names["api"], served.as_(Role.ARCHIVIST), closed(served)
    caught_up(served, archivist.get("").body["position"])
    order = served.as_(Role.SUPERVISOR).get(f"/orders/{number}").body["order"]["id"]
    path, why = f"/archive/files/{order}/dossier", {"purpose": "trial"}
    assert archivist.post(path, why).body["code"] == "no-record-copy"
    huiyin(served, "archive", "run", number, "--city", city)
    whole = archivist.post(path, why)
    assert (whole.status, whole.headers["content-type"]) == (200, "application/pdf")
    recorded = served.as_(Role.SUPERVISOR).get(f"/orders/{order}").body["order"]["filing"]["record_copies"]
    assert recorded == [f"sha256:{hashlib.sha256(whole.body).hexdigest()}"], "the bytes that the ledger named"
    assert served.as_(Role.HOTLINE_MANAGER).post(path, why).status == 403
    for wrong in ({"copy": "利用〔2026〕9999号"}, {"volume": 2}):
        assert archivist.post(path, {**why, **wrong}).body["code"] == "unknown-entry"
    for edition in ("masked", "texts"):
        asked = {"receiver": "市档案馆", "purpose": "study", "upto": 3, "approver": "manager", "edition": edition}
        issued = archivist.post(f"/orders/{order}/issue_use_copy", asked)
        assert issued.status == 201, issued
        line = archivist.every("/archive/uses", "uses", order=order)[-1]
        assert line["digests"] == []
        copy = archivist.post(path, {**why, "copy": line["number"]})
        assert copy.status == 200, copy
        digest = f"sha256:{hashlib.sha256(copy.body).hexdigest()}"
        for _ in range(2):
            lines = archivist.every("/archive/uses", "uses", order=order)
            assert next(one for one in lines if one["number"] == line["number"])["digests"] == [digest]
            assert archivist.post(path, {**why, "copy": line["number"]}).body == copy.body
    looks = served.as_(Role.AUDITOR).every(f"/orders/{order}/access", "entries", limit=200)
    assert sum("dossier" in one["event"].get("fields", ()) for one in looks) >= 4


# --- registers, hand-over, lists ---------------------------------------------------------------------------------


def test_a_packet_is_handed_over_and_its_receipt_lets_the_cases_go(served: Served):
    city, archivist = served.names["api"], served.as_(Role.ARCHIVIST)
    huiyin(
        served, "archive", "fonds", "--code", "X043", "--name", "某市热线", "--archives", "某市档案馆", "--city", city
    )
    number = closed(served)
    huiyin(served, "archive", "run", number, "--city", city)
    order = served.as_(Role.SUPERVISOR).get(f"/orders/{number}").body["order"]["id"]
    year, last = f"{datetime.now(UTC).year}", _file_number(served, order).rpartition("-")[2]
    name = archivist.post("/archive/packets", {"numbers": f"{year}-D10-{int(last)}"}).body["packet"]
    assert until_ready(served, name).status == 200
    path = f"/archive/packets/{name}/handover"
    assert served.as_(Role.HOTLINE_MANAGER).post(path, {}).status == 403
    assert archivist.post("/archive/packets/X043-RX·2026-D10-9001_9002/handover", {}).status == 404
    (root,) = served.home.rglob(name)
    (copy,) = root.glob("data/*/*.pdf")
    whole = copy.read_bytes()
    copy.write_bytes(whole[:-1] + b" ")
    assert archivist.post(path, {}).body["code"] == "packet-changed", "all of it is read before it goes out"
    copy.write_bytes(whole)
    unsealed = archivist.post(path, {})
    assert (unsealed.status, unsealed.body["code"]) == (409, "not-all-sealed")


def _file_number(served: Served, order: str) -> str:
    return served.as_(Role.SUPERVISOR).get(f"/orders/{order}").body["order"]["filing"]["file_number"]


def test_registers_are_pages_tables_and_prints_for_who_files_leads_or_checks(served: Served):
    city, year = served.names["api"], f"{datetime.now(UTC).year}"
    archivist, supervisor = served.as_(Role.ARCHIVIST), served.as_(Role.SUPERVISOR)
    numbers = [closed(served), closed(served)]
    huiyin(served, "archive", "run", *numbers, "--city", city)
    first = archivist.get(f"/archive/register/{year}", limit=1).body
    second = archivist.get(f"/archive/register/{year}", limit=1, cursor=first["next"]).body
    assert [page["lines"][0]["no"] for page in (first, second)] == [1, 2]
    whole = supervisor.get(f"/archive/register/{year}", limit=200).body
    assert set(numbers) <= {line["order_number"] for line in whole["lines"]}
    assert whole["missing"] == []
    as_table = archivist.raw("GET", f"/archive/register/{year}?format=csv")
    assert as_table.headers["content-type"].startswith("text/csv")
    assert as_table.content.decode().lstrip("\ufeff").splitlines()[0].startswith("档号,")
    assert len(as_table.content.decode().splitlines()) == len(whole["lines"]) + 1
    printed = archivist.raw("GET", f"/archive/register/{year}?format=pdf")
    assert printed.content.startswith(b"%PDF-")
    assert archivist.get("/archive/register/1", format="csv").status == 400
    assert archivist.get(f"/archive/register/{year}", series="D5").status == 400
    assert archivist.get(f"/archive/register/{year}", series="L-D10").body["lines"] == []
    order = supervisor.get(f"/orders/{numbers[0]}").body["order"]["id"]
    assert archivist.get("/archive/uses", year=year, order=order).body["uses"] == []
    assert archivist.raw("GET", "/archive/uses?format=csv").content.decode().startswith("\ufeff利用件号")
    assert archivist.get("/archive/expired").body["files"] == []
    assert archivist.get("/archive/expired", by=f"{int(year) + 10}-12-30").body["files"] == []
    over = archivist.get("/archive/expired", by=f"{int(year) + 11}-01-01", limit=1).body
    (row,) = over["files"]
    assert (row["ends"], row["opinion"]) == (f"{int(year) + 11}-01-01", "")
    assert "unsealed" in row["held"]
    more = archivist.get("/archive/expired", by=f"{int(year) + 11}-01-01", limit=200, cursor=over["next"]).body
    assert row["record"] not in {one["record"] for one in more["files"]}
    assert "未封存" in archivist.raw("GET", f"/archive/expired?by={int(year) + 11}-01-01&format=csv").content.decode()
    for path in (f"/archive/register/{year}", "/archive/uses", "/archive/expired", "/archive/batches"):
        assert served.as_(Role.AGENT).get(path).status == 403
        assert served.as_(Role.LEADER).get(path).status == 200


def test_no_batch_that_is_none_is_shown_or_carried_out(served: Served):
    archivist = served.as_(Role.ARCHIVIST)
    for batch in ("x", "00000000-0000-7000-8000-000000000009"):
        assert archivist.get(f"/archive/batches/{batch}/files").status == 404
        assert archivist.post(f"/archive/batches/{batch}/carry_out", {"witness": "w"}).status == 404
    nobody = served.as_(Role.SUPERVISOR).post("/archive/batches/x/carry_out", {"witness": "w"})
    assert nobody.status == 403
    order = registered(served).body["id"]
    listed = {
        "digest": "sha256:" + "0" * 64,
        "orders": [order],
        "basis": {"text": "档案法实施条例", "article": "第十九条"},
    }
    refused = archivist.post("/batches/new/propose_disposal", listed)
    assert (refused.status, refused.body["code"]) == (409, "file-held")
