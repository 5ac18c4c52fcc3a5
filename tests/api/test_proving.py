"""Proofs over HTTP: heads, tiles, evidence, and a witness that looks at the service as a stranger does."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain import evidence, notes, tree
from domain.evidence import Unproven
from domain.notes import Policy
from domain.terms import Role
from domain.tree import Span
from scripts import wiring
from scripts.witnessing import Refused, Unreachable, Witness, deliver, over
from tests.api.conftest import Served, dispatched


def schema(served: Served) -> str:
    return served.names["api"]


def policy(served: Served, *witnesses: notes.Key) -> Policy:
    head = notes.note_from(served.as_(Role.AUDITOR).post("/log/heads").body)
    key = notes.log_key(head.checkpoint.origin, wiring.log_key(schema(served)))
    return Policy(key, witnesses, len(witnesses))


def test_the_head_is_signed_and_its_tiles_lead_to_it(served: Served):
    dispatched(served, "D")
    auditor = served.as_(Role.AUDITOR)
    signed = auditor.post("/log/heads")
    assert signed.status == 200
    note = notes.note_from(auditor.get("/log/checkpoint").body)
    assert note.text == notes.note_from(signed.body).text
    notes.believed(note, policy(served))
    head = note.checkpoint
    held = {place: auditor.get(f"/log/{tree.path_of(place, width)}").body for place, width in tree.tiles(head.size)}
    assert tree.root("sha256", Span(0, head.size), held) == head.root
    old = head.size // 2
    path = [
        bytes.fromhex(one) for one in auditor.get("/log/consistency", **{"from": old, "to": head.size}).body["hashes"]
    ]
    assert tree.consistent("sha256", old, tree.root("sha256", Span(0, old), held), head.size, head.root, path)


@pytest.mark.parametrize("path", ["0/999.p/7", "9/000", "0/../../../etc/passwd", "x", "0/000.p/256", "0/x000/000"])
def test_what_is_no_tile_is_not_found(served: Served, path: str):
    assert served.as_(Role.AUDITOR).get(f"/log/tile/{path}").status == 404


@pytest.mark.parametrize(
    "said", [{}, {"from": 0, "to": 1}, {"from": 5, "to": 4}, {"from": 1}, {"from": 1, "to": 10**15}]
)
def test_sizes_that_there_are_not_are_refused(served: Served, said: dict[str, int]):
    assert served.as_(Role.AUDITOR).get("/log/consistency", **said).status in (400, 409)


def test_a_head_is_signed_for_those_who_answer_for_the_ledger(served: Served):
    for role, unit in ((Role.AGENT, "HOTLINE"), (Role.ORG_HANDLER, "D"), (Role.OVERSEER_NPC, "HOTLINE")):
        assert served.as_(role, unit).post("/log/heads").status == 403


def test_evidence_of_an_order_holds_offline_and_says_nothing(served: Served):
    order = dispatched(served, "D", title="路灯不亮")
    believed = policy(served)
    answer = served.as_(Role.SUPERVISOR).get(f"/orders/{order}/evidence")
    said = msgspec.json.encode(answer.body)
    held = evidence.check(evidence.read(said), believed)
    assert (held.events, held.open) == (2, 0)
    assert "路灯" not in said.decode()
    assert "agent" not in said.decode()
    for role, unit in ((Role.ORG_HANDLER, "D"), (Role.CITIZEN, ""), (Role.OVERSEER_NPC, "HOTLINE")):
        assert served.as_(role, unit).get(f"/orders/{order}/evidence").status == 403
    assert served.as_(Role.SUPERVISOR).get("/orders/HY20200101-000001/evidence").status == 404
    with pytest.raises(Unproven):
        evidence.check(evidence.read(said.replace(b"order.order_dispatched", b"order.order_withdrawn")), believed)


def test_a_witness_signs_what_only_grew_and_its_signature_is_shown(served: Served, tmp_path: Path):
    auditor = served.as_(Role.AUDITOR)
    source, token = f"{served.url}/v1/{auditor.city}/log", auditor.token
    witness = Witness(tmp_path, "npc.example", Ed25519PrivateKey.generate(), policy(served).log)
    first = witness.look(over(source, token), 1_800_000_000)
    dispatched(served, "D")
    auditor.post("/log/heads")
    second = witness.look(over(source, token), 1_800_000_060)
    assert second.before == first.note.checkpoint.size < second.note.checkpoint.size
    with pytest.raises(Unreachable, match="409"):
        deliver(source, second.note, token)  # the service does not know this witness
    refused = auditor.raw("POST", "/log/cosignatures", str(second.note).encode(), content_type="text/plain")
    assert refused.json()["code"] == "cosignature-unfit"
    for bad in (b"", b"\xff", b"not a note", b"x" * 70_000):
        assert auditor.raw("POST", "/log/cosignatures", bad, content_type="text/plain").status_code in (409, 413)


def test_a_log_that_forgets_is_refused_and_the_proof_kept(served: Served, tmp_path: Path):
    auditor = served.as_(Role.AUDITOR)
    fetch = over(f"{served.url}/v1/{auditor.city}/log", auditor.token)
    key = wiring.log_key(schema(served))
    witness = Witness(tmp_path, "npc.example", Ed25519PrivateKey.generate(), policy(served).log)
    last = witness.look(fetch, 1).note.checkpoint
    for head in (last._replace(size=last.size - 1), last._replace(root=bytes(32)), last._replace(size=last.size + 1)):
        lie = str(notes.signed(head, key)).encode()
        with pytest.raises((Refused, Unreachable)):  # of a longer one it has no tiles to show
            witness.look(lambda path, lie=lie: lie if path == "checkpoint" else fetch(path), 2)
    assert len(list(tmp_path.glob("refused-*"))) == 2
    assert witness.look(fetch, 3).before == last.size  # and the memory is what it was
    with pytest.raises(notes.NotANote):
        witness.look(lambda _: str(notes.signed(last, Ed25519PrivateKey.generate())).encode(), 4)
    with pytest.raises(Unreachable):
        witness.look(over("http://127.0.0.1:9/log"), 5)


def test_without_a_token_nothing_is_told(served: Served):
    for path in ("/log/checkpoint", "/log/tile/0/000.p/1"):
        assert served.client.get(f"/v1/{served.as_(Role.AUDITOR).city}{path}").status_code == 401
