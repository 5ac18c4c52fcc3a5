"""Leaves: the lines that make any later change of an event visible.

Pure and without a database, so that a stranger's verifier can use the same code. What is written here is frozen by
the golden files in tests/golden: a ledger that runs keeps its leaves for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import NamedTuple

import msgspec

FORM = "huiyin/1"
"""The first line of every header: the form of all that follows."""

NOTHING = bytes(32)
"""The previous leaf of a stream's first event."""


class Imprint(NamedTuple):
    """What every leaf of one ledger shares: its id, and the hash chosen when it was made (`sha256` or `sm3`)."""

    ledger_id: str
    hash: str


class EventRow(NamedTuple):
    """A row of `events`, as stored. `state` is UTF-8 JSON; `commit` is the first position of its commit."""

    position: int
    stream: str
    version: int
    topic: str
    state: bytes
    salt: bytes
    leaf: bytes
    commit: int
    recorded_at: datetime
    occurred_at: datetime | None


class CommitRow(NamedTuple):
    """A row of `commits`, as stored. `actor` and `numbers` are canonical JSON; an unsaid text is empty."""

    first_position: int
    n: int
    command_id: str
    digest: bytes
    recorded_at: datetime
    occurred_at: datetime | None
    origin: str
    actor: str
    on_behalf_of: str
    reason: str
    numbers: str
    correlation_id: str
    causation_id: str
    trace_id: str
    salt: bytes


class Witnessed(NamedTuple):
    """An event row with its commit and with what the stream held just before it (None: nothing)."""

    event: EventRow
    commit: CommitRow
    before: tuple[int, bytes] | None  # version and leaf


class Finding(NamedTuple):
    """Something that does not add up, and where; what was expected there and what was found, where there is a value."""

    position: int
    stream: str
    what: str
    expected: str = ""
    found: str = ""


HASHES: Mapping[str, Callable[[bytes], hashlib._Hash]] = {  # pyright: ignore[reportPrivateUsage]
    "sha256": hashlib.sha256,
    "sm3": partial(hashlib.new, "sm3"),
}
"""What a ledger may be hashed with, by the word it is made with."""


def digest(name: str, data: bytes) -> bytes:
    """Return the 32 bytes of SHA-256 or SM3 over `data`."""
    return HASHES[name](data).digest()


def milliseconds(instant: datetime) -> datetime:
    """Return an instant as the ledger keeps it: what a leaf cannot prove is not kept."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


@lru_cache(maxsize=4096)
def rfc3339(instant: datetime | None) -> str:
    """Write an instant in UTC with milliseconds, as `2025-06-16T01:02:03.456Z`; an absent one as `-`."""
    if instant is None:
        return "-"
    said = instant.astimezone(UTC)
    day = f"{said.year:04d}-{_TWO[said.month]}-{_TWO[said.day]}"
    return f"{day}T{_TWO[said.hour]}:{_TWO[said.minute]}:{_TWO[said.second]}.{said.microsecond // 1000:03d}Z"


_TWO = [f"{number:02d}" for number in range(60)]
"""Numbers as clocks write them: a third of the time that `isoformat` takes, which every leaf waits for."""


def canonical(value: object) -> bytes:
    """Write a value as canonical JSON: UTF-8, members sorted by name, no white space."""
    return msgspec.json.encode(value, order="sorted")


class _Record(msgspec.Struct, gc=False):
    """The commit record; its members stand in the order of their names, and one that is unset is left out."""

    actor: msgspec.Raw
    causation_id: str | msgspec.UnsetType
    command_id: str
    correlation_id: str | msgspec.UnsetType
    digest: str
    first_position: int
    n: int
    numbers: msgspec.Raw | msgspec.UnsetType
    occurred_at: str | msgspec.UnsetType
    on_behalf_of: str | msgspec.UnsetType
    origin: str
    reason: str | msgspec.UnsetType
    recorded_at: str
    trace_id: str | msgspec.UnsetType


def commit_record(row: CommitRow) -> bytes:
    """Return the commit row as canonical JSON, without its salt.

    A member that is null or empty is left out, so that a column added in later years changes no old leaf. Instants
    are RFC 3339, the digest is hexadecimal, `actor` and `numbers` stand as the JSON they are.
    """
    unset = msgspec.UNSET
    record = _Record(
        actor=msgspec.Raw(row.actor.encode()),
        causation_id=row.causation_id or unset,
        command_id=row.command_id,
        correlation_id=row.correlation_id or unset,
        digest=row.digest.hex(),
        first_position=row.first_position,
        n=row.n,
        numbers=msgspec.Raw(row.numbers.encode()) if row.numbers else unset,
        occurred_at=unset if row.occurred_at is None else rfc3339(row.occurred_at),
        on_behalf_of=row.on_behalf_of or unset,
        origin=row.origin,
        reason=row.reason or unset,
        recorded_at=rfc3339(row.recorded_at),
        trace_id=row.trace_id or unset,
    )
    return msgspec.json.encode(record)


def header(
    imprint: Imprint,
    stream: str,
    version: int,
    topic: str,
    recorded_at: datetime,
    occurred_at: datetime | None,
    previous: bytes,
    record: bytes,
    state: bytes,
) -> str:
    """Return the header of an event: ten values, each on a line of its own that ends with a line feed.

    `record` is H(salt ‖ commit record), `state` is H(salt ‖ state), each with the salt of its own row.
    """
    return (
        f"{FORM}\n{imprint.ledger_id}\n{stream}\n{version}\n{topic}\n{rfc3339(recorded_at)}\n{rfc3339(occurred_at)}\n"
        f"{previous.hex()}\n{record.hex()}\n{state.hex()}\n"
    )


def leaf(imprint: Imprint, header_text: str) -> bytes:
    """Return H(0x00 ‖ header), the leaf of RFC 9162."""
    return digest(imprint.hash, b"\x00" + header_text.encode())


def leaf_of(imprint: Imprint, event: EventRow, record: bytes, previous: bytes) -> bytes:
    """Compute the leaf of an event row; `record` is H(salt ‖ commit record)."""
    state = digest(imprint.hash, event.salt + event.state)
    text = header(
        imprint,
        event.stream,
        event.version,
        event.topic,
        event.recorded_at,
        event.occurred_at,
        previous,
        record,
        state,
    )
    return leaf(imprint, text)


def salted_record(imprint: Imprint, commit: CommitRow) -> bytes:
    """Return H(salt ‖ commit record)."""
    return digest(imprint.hash, commit.salt + commit_record(commit))


def check(imprint: Imprint, rows: Iterable[Witnessed]) -> Iterator[Finding]:
    """Compute every leaf again from rows in the order of position or of version; yield what does not add up."""
    last, record = 0, b""
    for event, commit, before in rows:
        if commit.first_position != last:  # the events of one commit stand together
            last, record = commit.first_position, salted_record(imprint, commit)
        leaf = leaf_of(imprint, event, record, before[1] if before else NOTHING)
        if leaf != event.leaf:
            what = "the leaf does not follow from the row"
            yield Finding(event.position, event.stream, what, leaf.hex(), event.leaf.hex())
        if before is None and event.version > 1:
            what = "the version before it is missing"
            yield Finding(event.position, event.stream, what, f"{event.version - 1}", "—")
        end = commit.first_position + commit.n
        if not commit.first_position <= event.position < end:
            span = f"{commit.first_position} … {end - 1}"
            yield Finding(event.position, event.stream, "its commit does not cover it", span, f"{event.position}")
        if commit.recorded_at != event.recorded_at:
            said = rfc3339(commit.recorded_at), rfc3339(event.recorded_at)
            yield Finding(event.position, event.stream, "it was not recorded when its commit was", *said)
        if event.recorded_at.microsecond % 1000 or _too_fine(event.occurred_at) or _too_fine(commit.occurred_at):
            yield Finding(event.position, event.stream, "it says an instant more finely than its leaf can prove")


def _too_fine(instant: datetime | None) -> bool:
    return instant is not None and instant.microsecond % 1000 > 0


def check_order(after: int, since: datetime | None, rows: Iterable[Witnessed]) -> Iterator[Finding]:
    """Check that positions follow densely on `after` and that time never goes back; yield what does not add up."""
    expected = after + 1
    for event, _, _ in rows:
        if event.position != expected:
            what = f"it is missing: position {event.position} comes in its place"
            yield Finding(expected, "", what, f"{expected}", f"{event.position}")
        if since is not None and event.recorded_at < since:
            yield from backwards(event.position, event.stream, event.recorded_at, since)
        expected, since = event.position + 1, event.recorded_at


def backwards(position: int, stream: str, recorded_at: datetime, since: datetime) -> Iterator[Finding]:
    """Yield what is to be said of an event that was recorded before the one it follows."""
    said = f"≥ {rfc3339(since)}", rfc3339(recorded_at)
    yield Finding(position, stream, "recorded before the event it follows", *said)
