"""Signed heads in the forms of C2SP: as their examples have them, and signatures checked by `cryptography` alone."""

from __future__ import annotations

import base64
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from domain import notes
from domain.notes import Checkpoint, Key, NotANote, Policy, Proof

LOG, NPC, ARCHIVE = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3))
HEAD = Checkpoint("huiyin/l-1", 1234, bytes(range(32)))
SIGNED = notes.signed(HEAD, LOG)
LOG_KEY, NPC_KEY = notes.log_key("huiyin/l-1", LOG), notes.witness_key("npc.example", NPC)
BOTH = notes.with_signatures(SIGNED, [notes.cosigned(SIGNED, "npc.example", NPC, 1_700_000_000)])


def test_a_head_is_read_as_it_was_written():
    again = notes.note_from(str(BOTH).encode())
    assert again == BOTH
    assert again.checkpoint == HEAD
    assert again.by(LOG_KEY) == 0
    assert again.by(NPC_KEY) == 1_700_000_000
    assert again.by(notes.witness_key("archive.example", ARCHIVE)) is None


def test_signatures_are_those_of_the_standard():
    text, _, lines = str(BOTH).partition("\n\n")
    assert text == f"huiyin/l-1\n1234\n{base64.b64encode(bytes(range(32))).decode()}"
    one, two = (line.split(" ") for line in lines.splitlines())
    assert one[:2] == ["—", "huiyin/l-1"]
    LOG.public_key().verify(base64.b64decode(one[2])[4:], (text + "\n").encode())
    said = base64.b64decode(two[2])
    assert struct.unpack(">Q", said[4:12]) == (1_700_000_000,)
    public = Ed25519PublicKey.from_public_bytes(NPC_KEY.public)
    public.verify(said[12:], b"cosignature/v1\ntime 1700000000\n" + text.encode() + b"\n")


def test_the_note_of_the_standards_example_is_read():
    example = (
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "— example.com/behind-the-sofa "
        "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
        "— witness.example.com/w1 "
        "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
    )
    note = notes.note_from(example)
    assert str(note) == example
    assert note.checkpoint.size == 20852163
    assert [one.id.hex() for one in note.signatures] == ["033de0ae", "8d66cf3f"]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("1234\n", "1235\n"),
        lambda text: text.replace("huiyin/l-1\n", "huiyin/l-2\n", 1),
        lambda text: text.replace("AAEC", "BAEC"),
        lambda text: text.replace("1234\n", "01234\n"),
        lambda text: text.replace("\n\n", "\n"),
        lambda text: text.replace("— ", "- "),
        lambda text: text[:-1],
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + text.splitlines()[-2] + "\n",
        lambda text: text.replace("AAEC", "AAE\u00e9"),
        lambda text: "",
        lambda text: text * 5000,
    ],
)
def test_a_note_that_was_changed_is_not_believed(change):
    with pytest.raises(NotANote):
        notes.believed(notes.note_from(change(str(BOTH))), Policy(LOG_KEY, (NPC_KEY,), 1))


def test_a_policy_says_whom_one_believes():
    archive = notes.witness_key("archive.example", ARCHIVE)
    two = notes.policy_from(f"# 监督\nlog {LOG_KEY}\n\nwitness {NPC_KEY}  # 人大\nwitness {archive}\nquorum 2\n")
    assert notes.policy_from(notes.policy_text(two)) == two
    with pytest.raises(NotANote, match="1 witnesses of the 2"):
        notes.believed(BOTH, two)
    assert notes.believed(BOTH, two._replace(quorum=1)) == {"npc.example": 1_700_000_000}
    with pytest.raises(NotANote, match="another log"):
        notes.believed(BOTH, two._replace(log=notes.log_key("huiyin/l-9", LOG)))
    with pytest.raises(NotANote, match="not signed by the log"):
        notes.believed(BOTH, two._replace(log=notes.log_key("huiyin/l-1", ARCHIVE)))


@pytest.mark.parametrize(
    "text", ["", "witness x", f"log {NPC_KEY}", f"log {LOG_KEY}\nlog {LOG_KEY}", f"log {LOG_KEY}\nquorum 1", f"log {LOG_KEY}\ntrust me"]
)  # fmt: skip
def test_a_policy_that_says_nothing_is_refused(text: str):
    with pytest.raises(NotANote):
        notes.policy_from(text)


def test_a_key_is_read_as_it_is_told():
    assert notes.key_from(str(NPC_KEY)) == NPC_KEY
    name, number, public = str(NPC_KEY).split("+", 2)
    for bad in (f"{name}+{number}", f"{name}+00000000+{public}", f"+{number}+{public}", f"a b+{number}+{public}"):
        with pytest.raises(NotANote):
            notes.key_from(bad)
    with pytest.raises(NotANote):
        notes.key_from(str(Key("pq.example", 0x06, bytes(32))))


def test_a_proof_is_read_as_it_was_written():
    proof = Proof(17, (bytes(32), bytes([1]) * 32), BOTH)
    assert notes.proof_from(str(proof)) == proof
    assert notes.proof_from(str(proof).replace("\nindex", "\nextra aGk=\nindex", 1)) == proof
    for bad in ("index 17", "index 017"), (notes.PROOF, "c2sp.org/tlog-proof@v2"), ("AQEB", "AQE"):
        with pytest.raises(NotANote):
            notes.proof_from(str(proof).replace(*bad, 1))
