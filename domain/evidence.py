"""存证. The history of one record in a form that a stranger can check with the log's public key alone.

It holds, of each event, what its leaf is computed from, and the proof that the last of these leaves lies under a signed
head. A leaf holds the one before it, so that one proof says all: the order, no gap, no change up to that event. An
edition may leave out what happened and by whom and give digests in their place; the same proof holds for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from domain import leaves, notes, tree
from domain.leaves import NOTHING, Imprint, Witnessed, digest, rfc3339
from domain.notes import Checkpoint, NotANote, Note, Policy, Proof

FORM: Final = "huiyin/evidence/1"


class Unproven(Exception):
    """Something does not hold: at which position, what was expected, and what was found."""

    def __init__(self, position: int, expected: str, found: str) -> None:
        super().__init__(f"position {position}: {expected}; {found}")
        self.position = position
        self.expected = expected
        self.found = found


class Told(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Something that a leaf holds salted: as it is with its salt, or its digest in its place."""

    salt: str = ""
    text: str = ""
    digest: str = ""

    def salted(self, hashed: str) -> bytes:
        """Return H(salt ‖ text). Raises ValueError for what is not hexadecimal in small letters."""
        said = self.salt or self.digest
        found = bytes.fromhex(said)
        if found.hex() != said or bool(self.salt) == bool(self.digest):
            raise ValueError(said[:80])
        return digest(hashed, found + self.text.encode()) if self.salt else found


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One event: the values of its header, and what is salted in it. `occurred_at` is `-` where nothing was said."""

    position: int
    version: int
    topic: str
    recorded_at: str
    occurred_at: str
    record: Told
    state: Told


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """存证. Every event of a stream up to one, and the proof that this one is in the ledger."""

    form: str
    ledger: str
    hash: str
    stream: str
    events: tuple[Event, ...]
    proof: str


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a check came to: which events, under which head, and who signed it, with the instant that they said."""

    stream: str
    events: int
    first: int  # positions
    last: int
    recorded_at: str  # of the last event
    head: int
    root: str
    witnesses: Mapping[str, str]
    open: int  # events that say what happened; of the others only digests


def made(imprint: Imprint, rows: Sequence[Witnessed], proof: Proof, *, full: bool) -> Evidence:
    """Return the evidence of a stream's events, from its first to that of the proof; not `full`: digests only."""
    return Evidence(
        form=FORM,
        ledger=imprint.ledger_id,
        hash=imprint.hash,
        stream=rows[0].event.stream,
        events=tuple(_event(imprint, row, full=full) for row in rows),
        proof=str(proof),
    )


def _event(imprint: Imprint, row: Witnessed, *, full: bool) -> Event:
    event, commit, _ = row
    record = Told(salt=commit.salt.hex(), text=leaves.commit_record(commit).decode())
    state = Told(salt=event.salt.hex(), text=event.state.decode())
    if not full:
        record, state = (Told(digest=one.salted(imprint.hash).hex()) for one in (record, state))
    return Event(
        position=event.position,
        version=event.version,
        topic=event.topic,
        recorded_at=rfc3339(event.recorded_at),
        occurred_at=rfc3339(event.occurred_at),
        record=record,
        state=state,
    )


def read(said: bytes) -> Evidence:
    """Return the evidence that bytes hold. Raises Unproven."""
    try:
        found = msgspec.json.decode(said, type=Evidence)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unproven(0, f"a file of the form {FORM}", str(error)) from error
    if found.form != FORM or found.hash not in leaves.HASHES or not found.events:
        raise Unproven(0, f"a file of the form {FORM}", f"{found.form}, {found.hash}, {len(found.events)} events")
    return found


def check(found: Evidence, policy: Policy | None) -> Held:
    """Return what evidence proves to whoever believes `policy`. Raises Unproven at the first thing that does not hold.

    Without a policy nothing is known of who signed: what is left is that the events, their leaves and the head that is
    named agree with each other. Whoever has the digest of the file from elsewhere needs no more.
    """
    leaf = leaves_of(found)[-1]
    last = found.events[-1]
    try:
        proof = notes.proof_from(found.proof)
        head = proof.note.checkpoint
        witnesses: Mapping[str, int] = {} if policy is None else notes.believed(proof.note, policy)
    except NotANote as error:
        raise Unproven(last.position, "a proof under a signed head", str(error)) from error
    if head.origin != notes.origin_of(found.ledger, found.hash):
        raise Unproven(last.position, f"a head of {notes.origin_of(found.ledger, found.hash)}", head.origin)
    if proof.leaf != last.position - 1:
        raise Unproven(last.position, f"the proof of position {last.position}", f"that of {proof.leaf + 1}")
    root = tree.included(found.hash, leaf, proof.leaf, head.size, proof.path)
    if root != head.root:
        raise Unproven(
            last.position, f"the root {head.root.hex()} that was signed", "-" if root is None else root.hex()
        )
    return Held(
        stream=found.stream,
        events=len(found.events),
        first=found.events[0].position,
        last=last.position,
        recorded_at=last.recorded_at,
        head=head.size,
        root=head.root.hex(),
        witnesses={name: rfc3339(datetime.fromtimestamp(at, UTC)) for name, at in witnesses.items()},
        open=sum(1 for event in found.events if event.state.salt),
    )


def leaves_of(found: Evidence) -> list[bytes]:
    """Return the leaf of each event, computed one on the other. Raises Unproven where they are not one history."""
    made: list[bytes] = []
    leaf, before = NOTHING, 0
    for number, event in enumerate(found.events, 1):
        if event.version != number:
            raise Unproven(event.position, f"version {number} of {found.stream}", f"version {event.version}")
        if event.position <= before:
            raise Unproven(event.position, f"a position after {before}", str(event.position))
        _commit_covers(event)
        leaf, before = _leaf(Imprint(found.ledger, found.hash), found.stream, event, leaf), event.position
        made.append(leaf)
    return made


def _leaf(imprint: Imprint, stream: str, event: Event, before: bytes) -> bytes:
    try:
        said = [None if at == "-" else datetime.fromisoformat(at) for at in (event.recorded_at, event.occurred_at)]
        recorded_at, occurred_at = said
        if recorded_at is None or [rfc3339(at) for at in said] != [event.recorded_at, event.occurred_at]:
            raise ValueError(f"{event.recorded_at} {event.occurred_at}")
        text = leaves.header(
            imprint,
            stream,
            event.version,
            event.topic,
            recorded_at,
            occurred_at,
            before,
            event.record.salted(imprint.hash),
            event.state.salted(imprint.hash),
        )
    except ValueError as error:
        raise Unproven(event.position, "instants and digests as a header writes them", str(error)) from error
    return leaves.leaf(imprint, text)


class _Record(msgspec.Struct):
    """What of a commit record has to agree with its event."""

    first_position: int
    n: int
    recorded_at: str


def _commit_covers(event: Event) -> None:
    """Refuse a commit, where it is open, that says another position or time than its event."""
    if not event.record.salt:
        return
    try:
        said = msgspec.json.decode(event.record.text, type=_Record)
    except msgspec.MsgspecError as error:
        raise Unproven(event.position, "a commit record", str(error)) from error
    if (
        not said.first_position <= event.position < said.first_position + said.n
        or said.recorded_at != event.recorded_at
    ):
        where = f"{said.first_position} … {said.first_position + said.n - 1}, {said.recorded_at}"
        raise Unproven(event.position, f"a commit that covers it, of {event.recorded_at}", where)


# --- excerpts ----------------------------------------------------------------------------------------------------

EXCERPT: Final = "huiyin/excerpt/1"


class Picked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One event of an excerpt: the leaf that its stream held before it, and the hashes up to the root."""

    event: Event
    previous: str
    path: tuple[str, ...]


class Excerpt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """节录. Some events of a stream, each with a proof of its own under one signed head; others may lie between them."""

    form: str
    ledger: str
    hash: str
    stream: str
    events: tuple[Picked, ...]
    note: str


def picked(imprint: Imprint, rows: Sequence[Witnessed], paths: Sequence[Sequence[bytes]], note: Note) -> Excerpt:
    """Return an excerpt of one stream, in full: rows in the order of versions, each with its path under a head."""
    events = [
        Picked(
            event=_event(imprint, row, full=True),
            previous=(row.before[1] if row.before is not None else NOTHING).hex(),
            path=tuple(one.hex() for one in path),
        )
        for row, path in zip(rows, paths, strict=True)
    ]
    stream = rows[0].event.stream
    return Excerpt(
        form=EXCERPT, ledger=imprint.ledger_id, hash=imprint.hash, stream=stream, events=tuple(events), note=str(note)
    )


def read_excerpt(said: bytes) -> Excerpt:
    """Return the excerpt that bytes hold. Raises Unproven."""
    try:
        found = msgspec.json.decode(said, type=Excerpt)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unproven(0, f"a file of the form {EXCERPT}", str(error)) from error
    if found.form != EXCERPT or found.hash not in leaves.HASHES or not found.events:
        raise Unproven(0, f"a file of the form {EXCERPT}", f"{found.form}, {found.hash}, {len(found.events)} events")
    return found


def check_excerpt(found: Excerpt, policy: Policy | None) -> Checkpoint:
    """Check each event of an excerpt, and return the head that they lie under. Raises Unproven."""
    imprint, before = Imprint(found.ledger, found.hash), (0, 0)
    try:
        note = notes.note_from(found.note)
        head = note.checkpoint
        if policy is not None:
            notes.believed(note, policy)
    except NotANote as error:
        raise Unproven(0, "a signed head", str(error)) from error
    if head.origin != notes.origin_of(found.ledger, found.hash):
        raise Unproven(0, f"a head of {notes.origin_of(found.ledger, found.hash)}", head.origin)
    for one in found.events:
        event = one.event
        if (event.version, event.position) <= before or event.position <= before[1]:
            raise Unproven(event.position, f"versions and positions after {before}", f"{event.version}")
        before = (event.version, event.position)
        _commit_covers(event)
        try:
            previous, path = bytes.fromhex(one.previous), [bytes.fromhex(step) for step in one.path]
        except ValueError as error:
            raise Unproven(event.position, "hashes in hexadecimal", str(error)) from error
        leaf = _leaf(imprint, found.stream, event, previous)
        root = tree.included(found.hash, leaf, event.position - 1, head.size, path)
        if root != head.root:
            raise Unproven(
                event.position, f"the root {head.root.hex()} that was signed", "-" if root is None else root.hex()
            )
    return head


# --- bundles -----------------------------------------------------------------------------------------------------

BUNDLE: Final = "huiyin/bundle/1"


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """卷首. The first line of a bundle: whose ledger, under which head, and how many events of each record follow."""

    form: str
    ledger: str
    hash: str
    head: int
    records: dict[str, int]


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """证据包. What a bundle held: its digest, and what each of its records proves."""

    digest: str
    head: int
    records: tuple[Held, ...]


def bundled(imprint: Imprint, head: int, parts: Sequence[Evidence]) -> bytes:
    """Return evidence of several records as one file: a line that says what follows, then a line a record."""
    records = {part.stream: len(part.events) for part in parts}
    index = Index(form=BUNDLE, ledger=imprint.ledger_id, hash=imprint.hash, head=head, records=records)
    return b"".join(msgspec.json.encode(line) + b"\n" for line in (index, *parts))


def digest_of(content: bytes) -> str:
    """Return a file's digest as a referral names it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def is_bundle(content: bytes) -> bool:
    """Tell whether bytes begin as a bundle does, rather than as the evidence of one record."""
    return content.startswith(b'{"form":"' + BUNDLE.encode() + b'"')


def check_bundle(content: bytes, policy: Policy | None = None, digest: str | None = None) -> Bundle:
    """Check a bundle: its digest, that it is whole, and each record by `check`. Raises Unproven."""
    if digest is not None and digest != digest_of(content):
        raise Unproven(0, f"摘要 the digest {digest}", f"摘要不符 {digest_of(content)}")
    first, *rest = content.splitlines() or [b""]
    try:
        index = msgspec.json.decode(first, type=Index)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unproven(0, f"a bundle of the form {BUNDLE}", str(error)) from error
    parts = [read(line) for line in rest]
    held = tuple(check(part, policy) for part in parts)
    told = {one.stream: one.events for one in held}
    if index.form != BUNDLE or told != index.records or len(told) != len(parts):
        raise Unproven(0, f"卷首所载 what the index names: {index.records}", f"{told}")
    for part, one in zip(parts, held, strict=True):
        if (part.ledger, part.hash, one.head) != (index.ledger, index.hash, index.head):
            raise Unproven(
                one.last, f"{index.ledger} {index.hash} {index.head}", f"{part.ledger} {part.hash} {one.head}"
            )
        if one.open != one.events:
            raise Unproven(one.last, f"全文 all {one.events} events of {one.stream} in full", f"{one.open}")
    return Bundle(digest=digest_of(content), head=index.head, records=held)
