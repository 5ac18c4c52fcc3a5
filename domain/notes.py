"""签名树头. What an office says of its ledger and signs, in the forms of C2SP: checkpoint, signed note, cosignature, proof.

A checkpoint names the log, how many leaves it has and the root over them. A signed note is its text with a line for each
signature; lines of keys that nobody asked about are passed over. A witness signs the same text together with the time
at which it saw that the log had only grown. Nothing here knows a database or a clock.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from domain.tree import SIZE

LOG = 0x01
"""The kind of an Ed25519 signature by a log, over the text of the note."""

WITNESS = 0x04
"""The kind of an Ed25519 signature by a witness, over the time and the text."""

PROOF = "c2sp.org/tlog-proof@v1"
"""The first line of a proof."""

_DASH = "— "
_LARGEST = 1 << 20


class NotANote(ValueError):
    """Bytes that are no note, checkpoint, key or proof in the forms of C2SP; the message says where they are not."""


class Key(NamedTuple):
    """Whom a signature is by: a name, the kind of signature, and a public key of 32 bytes."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes by which a signature names its key."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes((self.kind,)) + self.public).digest()[:4]

    def __str__(self) -> str:
        """The key as one line, as verifiers are told of it."""
        return f"{self.name}+{self.id.hex()}+{_said(bytes((self.kind,)) + self.public)}"


class Checkpoint(NamedTuple):
    """树头. How many leaves a log has, and the root over them."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{_said(self.root)}\n"


class Signature(NamedTuple):
    """A line of a note: whose it says it is, and its bytes."""

    name: str
    id: bytes
    said: bytes

    def __str__(self) -> str:
        """The line as it stands in a note."""
        return f"{_DASH}{self.name} {_said(self.id + self.said)}\n"


class Note(NamedTuple):
    """签名文本. A text and its signatures, in the order of the note."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        """The note as it is written into a file."""
        return f"{self.text}\n{''.join(map(str, self.signatures))}"

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint that it is about. Raises NotANote."""
        lines = self.text.split("\n")
        if len(lines) < 4 or not all(lines[:-1]):
            raise NotANote("a checkpoint has an origin, a size and a root, each on a line of its own")
        size = lines[1]
        if not (size.isascii() and size.isdecimal()) or str(int(size[:20])) != size:
            raise NotANote(f"the size of a tree: {size[:20]!r}")
        root = _bytes(lines[2], "the root of a tree")
        if len(root) != SIZE:
            raise NotANote(f"the root of a tree has {SIZE} bytes: {len(root)}")
        return Checkpoint(lines[0], int(size), root)

    def by(self, key: Key) -> int | None:
        """Return when a key signed it, in seconds since 1970, 0 for a log's own; None where it did not.

        Raises NotANote where a signature names the key and is not by it.
        """
        found: int | None = None
        for one in self.signatures:
            if (one.name, one.id) != (key.name, key.id):
                continue
            if found is not None:
                raise NotANote(f"two signatures of one key: {key.name}")
            at, signed, said = 0, self.text.encode(), one.said
            if key.kind == WITNESS:
                if len(said) != 72:
                    raise NotANote(f"a cosignature has 72 bytes: {key.name}")
                at, said = struct.unpack(">Q", said[:8])[0], said[8:]
                signed = _cosigned(at, self.text)
            try:
                Ed25519PublicKey.from_public_bytes(key.public).verify(said, signed)
            except (InvalidSignature, ValueError) as error:
                raise NotANote(f"the signature is not by this key: {key.name}") from error
            found = at
        return found


class Proof(NamedTuple):
    """存在证明. That a leaf is in a log: its index, the hashes up to the root, and the signed head."""

    leaf: int
    path: tuple[bytes, ...]
    note: Note

    def __str__(self) -> str:
        """The proof as it is written into a file."""
        return "\n".join([PROOF, f"index {self.leaf}", *map(_said, self.path), "", str(self.note)])


def origin_of(ledger_id: str, hashed: str) -> str:
    """Return the name under which a ledger's heads are signed; another hash than SHA-256 stands in it."""
    return f"huiyin/{ledger_id}" + ("" if hashed == "sha256" else f"/{hashed}")


def hash_of(origin: str) -> str:
    """Return the hash that a log's name says."""
    return "sm3" if origin.endswith("/sm3") else "sha256"


def log_key(name: str, private: Ed25519PrivateKey) -> Key:
    """Return the public key of a log."""
    return Key(name, LOG, private.public_key().public_bytes_raw())


def witness_key(name: str, private: Ed25519PrivateKey) -> Key:
    """Return the public key of a witness."""
    return Key(name, WITNESS, private.public_key().public_bytes_raw())


def signed(checkpoint: Checkpoint, private: Ed25519PrivateKey) -> Note:
    """Return a checkpoint signed by its log."""
    key = log_key(checkpoint.origin, private)
    return Note(checkpoint.text, (Signature(key.name, key.id, private.sign(checkpoint.text.encode())),))


def cosigned(note: Note, name: str, private: Ed25519PrivateKey, at: int) -> Signature:
    """Return a witness's signature on a note: that at `at`, in seconds since 1970, the log had only grown."""
    said = struct.pack(">Q", at) + private.sign(_cosigned(at, note.text))
    return Signature(name, witness_key(name, private).id, said)


def _cosigned(at: int, text: str) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def with_signatures(note: Note, more: Iterable[Signature]) -> Note:
    """Return a note with further signatures, each once, those it has before the others."""
    return note._replace(signatures=tuple(dict.fromkeys((*note.signatures, *more))))


# --- reading -----------------------------------------------------------------------------------------------------


def key_from(line: str) -> Key:
    """Return the key that a line tells of. Raises NotANote."""
    name, plus, rest = line.strip().partition("+")
    said, also, public = rest.partition("+")
    body = _bytes(public, "a public key")
    if not plus or not also or not name or any(c.isspace() for c in name) or len(body) != 33:
        raise NotANote("a key is written name+id+key")
    found = Key(name, body[0], body[1:])
    if found.kind not in (LOG, WITNESS):
        raise NotANote(f"{name}: a kind of signature that is not known here: {found.kind:#04x}")
    if found.id.hex() != said.lower():
        raise NotANote(f"{name}: the id does not belong to the key")
    return found


def note_from(said: bytes | str) -> Note:
    """Return the note that bytes hold. Raises NotANote."""
    text = _text(said)
    body, gap, lines = text.rpartition("\n\n")
    if not gap or not body or not lines.endswith("\n"):
        raise NotANote("a note has a text, an empty line, and a line for each signature")
    return Note(body + "\n", tuple(map(signature_from, lines[:-1].split("\n"))))


def signature_from(line: str) -> Signature:
    """Return the signature that a line of a note is. Raises NotANote."""
    name, _, coded = line.rstrip("\n").removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not name or "+" in name:
        raise NotANote(f"the line of a signature: {line[:60]!r}")
    blob = _bytes(coded, "a signature")
    if len(blob) < 5:
        raise NotANote(f"a signature that is too short: {name}")
    return Signature(name, blob[:4], blob[4:])


def proof_from(said: bytes | str) -> Proof:
    """Return the proof that bytes hold. Raises NotANote."""
    head, gap, rest = _text(said).partition("\n\n")
    lines = head.split("\n")
    if not gap or lines[0] != PROOF:
        raise NotANote(f"a proof begins with the line {PROOF}")
    lines = lines[2:] if len(lines) > 1 and lines[1].startswith("extra ") else lines[1:]
    word, _, index = lines[0].partition(" ") if lines else ("", "", "")
    if word != "index" or not (index.isascii() and index.isdecimal()) or str(int(index[:20])) != index:
        raise NotANote("a proof says the index of its leaf")
    path = tuple(_bytes(line, "a hash of a proof") for line in lines[1:])
    if any(len(one) != SIZE for one in path) or len(path) > 63:
        raise NotANote(f"a proof has at most 63 hashes of {SIZE} bytes")
    return Proof(int(index), path, note_from(rest))


class Policy(NamedTuple):
    """信任策略. Whose heads are believed: a log's key, those of its witnesses, and how many of them have to have signed."""

    log: Key
    witnesses: tuple[Key, ...] = ()
    quorum: int = 0


def policy_from(text: str) -> Policy:
    """Return the policy that a file says: lines `log KEY`, `witness KEY`, `quorum N`; `#` begins a remark.

    Raises NotANote.
    """
    log: Key | None = None
    witnesses: list[Key] = []
    quorum = 0
    for line in text.splitlines():
        word, _, rest = line.partition("#")[0].strip().partition(" ")
        if word == "log" and log is None:
            log = key_from(rest)
        elif word == "witness":
            witnesses.append(key_from(rest))
        elif word == "quorum" and re.fullmatch("[0-9]{1,9}", rest.strip()):
            quorum = int(rest)
        elif word:
            raise NotANote(f"a policy has the lines log KEY (once), witness KEY, quorum N: {line.strip()[:60]!r}")
    if log is None or log.kind != LOG or any(one.kind != WITNESS for one in witnesses):
        raise NotANote("a policy names the key of one log, and those of witnesses")
    if quorum > len(witnesses):
        raise NotANote(f"quorum {quorum}: the policy names {len(witnesses)} witnesses")
    return Policy(log, tuple(witnesses), quorum)


def policy_text(policy: Policy) -> str:
    """Return a policy as a file says it."""
    lines = [f"log {policy.log}", *(f"witness {one}" for one in policy.witnesses), f"quorum {policy.quorum}"]
    return "\n".join(lines) + "\n"


def believed(note: Note, policy: Policy) -> Mapping[str, int]:
    """Return which witnesses of a policy signed a head that is its log's, and when. Raises NotANote, saying what lacks."""
    if note.checkpoint.origin != policy.log.name:
        raise NotANote(f"the head of another log: {note.checkpoint.origin}")
    if note.by(policy.log) is None:
        raise NotANote(f"not signed by the log: {policy.log.name}")
    found = {one.name: at for one in policy.witnesses if (at := note.by(one)) is not None}
    if len(found) < policy.quorum:
        raise NotANote(f"signed by {len(found)} witnesses of the {policy.quorum} that are asked for")
    return found


def _text(said: bytes | str) -> str:
    if len(said) > _LARGEST:
        raise NotANote(f"longer than {_LARGEST} bytes")
    try:
        text = said if isinstance(said, str) else said.decode()
    except UnicodeDecodeError as error:
        raise NotANote(f"not UTF-8 at byte {error.start}") from error
    if any(c < " " and c != "\n" for c in text):
        raise NotANote("a control character")
    return text


def _said(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str, what: str) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotANote(f"{what}, in Base 64: {text[:20]!r}") from error
    if _said(found) != text:
        raise NotANote(f"{what}, in Base 64 as it is written everywhere: {text[:20]!r}")
    return found
