"""Files of a case over HTTP: given, named, opened by whom the matrix says, recorded; nothing left of what broke off."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from api.asking import UPLOADS, UPLOADS_EACH
from api.files import ATTACHING
from api.problems import FileNotKept
from domain.attachments import Files
from domain.refusals import CaseWithoutKey, FileChanged
from domain.terms import Role
from scripts import files as looking_after
from scripts import wiring
from tests.api.conftest import CHECKOUT, DEMAND, Caller, Reply, Served, dispatched, erased, registered

PHOTO = b"\xff\xd8\xff\xe0 a picture of the lamp that is out " + bytes(range(256)) * 3000
WHY = {"purpose": "handling"}


def give(caller: Caller, order: str, content: bytes = PHOTO, media: str = "image/jpeg") -> Reply:
    answer = caller.raw("POST", f"/orders/{order}/attachments", content, Content_Type=media)
    return Reply(answer.status_code, answer.json(), answer.headers)


def take(caller: Caller, order: str, digest: str, **why: Any) -> Any:
    body = json.dumps({**WHY, **why}).encode()
    return caller.raw("POST", f"/orders/{order}/attachments/{digest}/open", body, Content_Type="application/json")


def attached(served: Served, order: str, by: Role = Role.AGENT, content: bytes = PHOTO, **name: str) -> str:
    """Return the digest of a file that was given and named in the case."""
    caller = served.as_(by, orders=(order,))
    kept = give(caller, order, content)
    assert kept.status in (200, 201), kept
    said = {"items": ["photo"], "attachments": [{**kept.body["attachment"], **name}]}
    reply = caller.post(f"/orders/{order}/supplement", said)
    assert reply.status == 201, reply
    return kept.body["attachment"]["digest"]


def folder(served: Served, order: str) -> Path:
    """Return where the files of an order lie."""
    (found,) = [path for path in (served.home / "files").iterdir() if (path / order).exists()] or [served.home]
    return found / order


def test_a_file_is_given_named_and_opened_again(served: Served):
    order = registered(served).body["id"]
    agent = served.as_(Role.AGENT)
    kept, again = give(agent, order), give(agent, order)
    assert (kept.status, again.status) == (201, 200)
    digest = "sha256:" + hashlib.sha256(PHOTO).hexdigest()
    assert kept.body["attachment"] == {"digest": digest, "size": len(PHOTO), "media_type": "image/jpeg"}
    assert take(agent, order, digest).status_code == 404  # nothing names it yet
    assert attached(served, order, name="我家门口.jpg") == digest
    opened = take(agent, order, digest)
    assert (opened.status_code, opened.content) == (200, PHOTO)
    assert opened.headers["content-type"] == "image/jpeg"
    assert opened.headers["content-disposition"] == "attachment"
    assert opened.headers["content-length"] == str(len(PHOTO))
    (row,) = agent.get(f"/orders/{order}/attachments").body["attachments"]
    assert (row["digest"], row["field"], row["kept"], row["may_open"]) == (digest, "attachments.0", True, True)
    assert "我家门口" not in str(row)


def test_a_file_given_again_as_another_type_is_told_of_as_it_is_kept(served: Served):
    order, content = registered(served).body["id"], b"\x1aE\xdf\xa3 the crane at night"
    agent = served.as_(Role.AGENT)
    kept, again = give(agent, order, content, "audio/webm"), give(agent, order, content, "video/webm")
    assert again.body == {"attachment": kept.body["attachment"], "new": False}
    named = agent.post(f"/orders/{order}/supplement", {"items": ["x"], "attachments": [again.body["attachment"]]})
    assert named.status == 201


def test_what_lies_on_the_disk_is_sealed(served: Served):
    order = registered(served).body["id"]
    digest = attached(served, order)
    path = folder(served, order) / digest.partition(":")[2]
    assert b"a picture of the lamp" not in path.read_bytes()
    assert path.parent.stat().st_mode & 0o077 == 0


def test_opening_a_file_is_recorded_before_with_who_and_why(served: Served):
    order = registered(served).body["id"]
    digest = attached(served, order)
    auditor = served.as_(Role.AUDITOR)
    before = auditor.get("").body
    assert take(served.as_(Role.SUPERVISOR), order, digest, purpose="complaint-17").status_code == 200
    assert take(served.as_(Role.DISPATCHER), order, digest).status_code == 403
    entries = auditor.get(f"/access/{before['recorded_at'][:10]}", limit=200).body["entries"]
    logged = [entry for entry in entries if entry["position"] > before["position"]]
    assert [(e["actor"]["user"], e["event"]["fields"], e["event"]["purpose"]) for e in logged] == [
        ("supervisor-hotline", ["attachments.0"], "complaint-17")
    ]


ROLES = {
    Role.HOTLINE_MANAGER: 200,
    Role.SUPERVISOR: 200,
    Role.ARCHIVIST: 200,
    Role.CITIZEN: 200,
    Role.AUDITOR: 403,
    Role.DISPATCHER: 403,
    Role.QC_REVIEWER: 403,
    Role.REVISITOR: 403,
    Role.COORDINATOR: 403,
    Role.LEADER: 403,
    Role.OVERSEER_NPC: 403,
    Role.OVERSEER_CPPCC: 403,
    Role.ADMIN: 403,
    Role.SYSTEM: 403,
    Role.DISCIPLINE: 404,
}


@pytest.mark.parametrize(("role", "status"), ROLES.items())
def test_a_file_is_opened_by_whom_the_matrix_names(served: Served, role: Role, status: int):
    order = dispatched(served, "D")
    digest = attached(served, order)
    answer = take(served.as_(role, orders=(order,)), order, digest)
    assert answer.status_code == status, answer.text[:300]
    assert (b"picture" in answer.content) == (status == 200)


def test_a_unit_sees_what_it_needs_of_its_case_and_another_unit_nothing(served: Served):
    order = dispatched(served, "D")
    digest = attached(served, order)
    handler = served.as_(Role.ORG_HANDLER, "D")
    assert take(handler, order, digest).status_code == 200
    assert take(served.as_(Role.ORG_HANDLER, "E"), order, digest).status_code == 404
    assert give(served.as_(Role.ORG_HANDLER, "E"), order).status == 404
    private = dispatched(served, "D", confidentiality="privacy")
    hidden = attached(served, private)
    assert take(handler, private, hidden).status_code == 403
    kept = give(handler, private, PHOTO + b"of the unit").body["attachment"]
    assert handler.post(f"/orders/{private}/sign", {"own_handling": True}).status == 201
    visit = {"report": "现场已看", "evidence": [kept]}
    assert handler.post(f"/orders/{private}/progress", visit).status == 201
    assert take(handler, private, kept["digest"]).status_code == 200


def test_what_an_informant_gave_is_opened_as_their_identity_is(served: Served):
    report = {"attributes": {"demand_type": "report"}, "confidentiality": "informant", "accused": ["E"]}
    order = dispatched(served, "D", **report)
    digest = attached(served, order)
    assert take(served.as_(Role.ORG_HANDLER, "D"), order, digest).status_code == 403
    refused = take(served.as_(Role.SUPERVISOR), order, digest)
    assert (refused.status_code, refused.json()["code"]) == (403, "approval-needed")
    assert take(served.as_(Role.AGENT), order, digest).status_code == 200  # their own call


def test_a_file_of_one_case_is_not_found_in_another(served: Served):
    order, other = registered(served).body["id"], registered(served).body["id"]
    digest = attached(served, order)
    agent = served.as_(Role.AGENT)
    assert take(agent, other, digest).status_code == 404
    assert take(agent, str(uuid4()), digest).status_code == 404
    assert take(agent, order, "sha256:..%2F..%2Fetc").status_code == 404


# --- what is named is there --------------------------------------------------------------------------------------


def test_a_command_names_only_files_that_are_kept_for_its_case(served: Served):
    order, other = registered(served).body["id"], registered(served).body["id"]
    agent = served.as_(Role.AGENT)
    kept = give(agent, order).body["attachment"]
    before = served.as_(Role.AUDITOR).get("").body["position"]
    for where, named in (
        (other, kept),
        (order, {**kept, "size": 1}),
        (order, {**kept, "media_type": "image/png"}),
        (order, {**kept, "digest": "sha256:" + "0" * 64}),
    ):
        reply = agent.post(f"/orders/{where}/supplement", {"attachments": [named]})
        assert (reply.status, reply.body["code"]) == (422, FileNotKept.code())
    assert registered_with(agent, kept).status == 422
    named = {"attachments": [{**kept, "digest": "sha256:" + "0" * 64}]}
    afterwards = {"Huiyin_Occurred_At": wiring.process_now().isoformat(), "Huiyin_Reason": "outage"}
    assert agent.post(f"/orders/{order}/supplement", named, **afterwards).body["code"] == FileNotKept.code()
    assert served.as_(Role.AUDITOR).get("").body["position"] == before


def registered_with(agent: Caller, kept: dict[str, Any]) -> Reply:
    """Try to register an order that names a file: it has no case yet in which a file could lie."""
    return agent.post("/orders", {**DEMAND, "attachments": [kept]})


@pytest.mark.parametrize(
    ("content", "media", "status", "code"),
    [
        (b"<script>", "text/html", 415, "file-type-unfit"),
        (b"MZ\x90", "image/png", 415, "file-type-unfit"),
        (b"", "image/png", 415, "file-type-unfit"),
        (b"x" * (1 << 20) + b"x", "text/plain", 413, "body-too-large"),
    ],
)
def test_what_is_not_taken_is_refused_and_nothing_is_left(
    served: Served, content: bytes, media: str, status: int, code: str
):
    order = registered(served).body["id"]
    reply = give(served.as_(Role.AGENT), order, content, media)
    assert (reply.status, reply.body["code"]) == (status, code)
    assert _left(served, order) == []


def _left(served: Served, order: str) -> list[str]:
    return [path.name for path in (served.home / "files").glob(f"*/{order}/*")]


@pytest.mark.parametrize("role", sorted(set(Role) - ATTACHING))
def test_whoever_names_no_files_gives_none(served: Served, role: Role):
    order = registered(served).body["id"]
    assert give(served.as_(role), order).status == 403
    assert _left(served, order) == []


def test_an_upload_that_breaks_off_leaves_nothing(served: Served):
    order = registered(served).body["id"]
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as line:
        head = (
            f"POST /v1/{served.names['api']}/orders/{order}/attachments HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {served.as_(Role.AGENT).token}\r\nContent-Type: image/jpeg\r\n"
            f"Content-Length: {len(PHOTO)}\r\n\r\n"
        )
        line.sendall(head.encode() + PHOTO[: len(PHOTO) // 2])
        _until(lambda: _left(served, order) != [])  # it has begun
    _until(lambda: _left(served, order) == [])
    assert give(served.as_(Role.AGENT), order).status == 201


def _until(true: Any) -> None:
    until = time.monotonic() + 30
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_whoever_gives_slowly_keeps_nobody_else_from_giving(served: Served):
    order = registered(served).body["id"]
    agent, there = served.as_(Role.AGENT), urlsplit(served.url)
    assert give(agent, order).status == 201
    head = (
        f"POST /v1/{agent.city}/orders/{order}/attachments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {agent.token}"
    )
    begun = f"{head}\r\nContent-Type: video/mp4\r\nContent-Length: 9999999\r\n\r\nx".encode()
    lines = [socket.create_connection((there.hostname, there.port)) for _ in range(UPLOADS)]
    try:
        for line in lines:
            line.sendall(begun)
        until = time.monotonic() + 20
        while len(list(folder(served, order).glob(".draft-*"))) < UPLOADS_EACH and time.monotonic() < until:
            time.sleep(0.05)
        own = give(agent, order)
        assert (own.status, own.body["code"]) == (429, "too-many")
        assert give(served.as_(Role.CITIZEN, orders=(order,)), order).status in (200, 201)
    finally:
        for line in lines:
            line.close()


def test_a_large_file_passes_in_bounded_memory(served: Served):
    """Sixty megabytes come in and go out; the service is not larger by what it has had in its hands."""
    order = registered(served).body["id"]
    agent = served.as_(Role.AGENT)
    content = b"\0\0\0\x18ftypmp42" + os.urandom(1 << 20) * 60
    before = _memory(served)
    kept = give(agent, order, content, "video/mp4")
    assert kept.status == 201, kept
    said = {"attachments": [kept.body["attachment"]]}
    assert agent.post(f"/orders/{order}/supplement", said).status == 201
    answer = take(agent, order, kept.body["attachment"]["digest"])
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(content).digest()
    assert _memory(served) - before < 40 << 20


def _memory(served: Served) -> int:
    """Return the bytes that the web workers hold."""
    workers = Path(f"/proc/{served.process}/task/{served.process}/children").read_text().split()
    sizes = [Path(f"/proc/{pid}/statm").read_text().split()[1] for pid in workers]
    return sum(int(size) for size in sizes) * os.sysconf("SC_PAGESIZE")


# --- erased, damaged, gone ---------------------------------------------------------------------------------------


def looked_after(served: Served, what: Any) -> Any:
    """Do something with the ledger of the city and its files, beside the service."""

    async def run() -> Any:
        async with await wiring.open_city(served.database, served.names["api"]) as ledger:
            return await what(ledger, wiring.files_of(ledger))

    return asyncio.run(run())


def test_erasing_a_case_erases_its_files(served: Served):
    order, kept = registered(served).body["id"], registered(served).body["id"]
    digest, other = attached(served, order), attached(served, kept)
    agent = served.as_(Role.AGENT)
    assert erased(served, order).status == 201
    gone = take(agent, order, digest)
    assert (gone.status_code, gone.json()["code"]) == (410, "erased")
    refused = give(agent, order, PHOTO + b"later")
    assert (refused.status, refused.body["code"]) == (409, CaseWithoutKey.code())
    assert _left(served, order) != []
    swept = looked_after(served, lambda ledger, files: looking_after.sweep(ledger, files, 0.0))
    assert swept >= 1
    assert _left(served, order) == []
    assert take(agent, kept, other).content == PHOTO


def test_a_look_at_all_files_finds_what_was_changed_or_is_not_there(served: Served):
    order = registered(served).body["id"]
    changed, gone = attached(served, order), attached(served, order, content=PHOTO + b"2")
    sound = looked_after(served, looking_after.check)
    assert not [finding for finding in sound.findings if order in finding]
    assert sound.kept >= 2
    place = folder(served, order)
    path = place / changed.partition(":")[2]
    path.write_bytes(path.read_bytes()[:-40] + bytes(40))
    (place / gone.partition(":")[2]).unlink()
    found = looked_after(served, looking_after.check)
    assert [changed in finding for finding in found.findings if order in finding] == [True]
    assert len([finding for finding in found.findings if gone in finding]) == 1
    damaged = take(served.as_(Role.AGENT), order, changed)
    assert (damaged.status_code, damaged.json()["code"]) == (500, FileChanged.code())
    words = ["-m", "scripts.huiyin", "verify", "--files", "--city", served.names["api"]]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    ran = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert changed in ran.stdout
    path.unlink()


def test_files_lie_apart_for_each_ledger(tmp_path: Path):
    assert Files(tmp_path, "a", os.urandom).root != Files(tmp_path, "b", os.urandom).root
