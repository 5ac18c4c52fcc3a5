"""What becomes of each decided command of a batch: its positions, its time and leaves, or why it is not written.

Pure but for salts: whoever knows the head and the last of every stream that a batch names can settle it in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from domain.journals import NUMBERS, SHREDS, KeysShredded, NumberGiven, series
from domain.leaves import NOTHING, CommitRow, EventRow, Imprint, canonical, digest, header, leaf, salted_record
from domain.recorder import Asked, Batch, Found, Head, Known, Locked, Want
from domain.refusals import CommandIdReused, Refusal
from domain.sealing import Entropy, KeyRow, Work, texts_of
from domain.stored import StoredEntry
from domain.terms import SHANGHAI, Number, Origin, Period, Shred

ABSENT = (0, NOTHING)
"""The version and the leaf before the first event of a stream."""

LIVE = Origin.LIVE.value


class Draft(NamedTuple):
    """An event on its way: where to, under which tag, its JSON, and when it occurred if not now."""

    stream: str
    topic: str
    state: bytes
    occurred_at: datetime | None = None
    version: int | None = None  # only where the caller insists on one


class Proposal(msgspec.Struct, kw_only=True):
    """One decided command, as the writer needs it."""

    command_id: str
    digest: bytes
    stream: str
    now: datetime  # the database's clock when it was decided
    actor: str  # canonical JSON
    origin: str
    occurred_at: datetime | None = None
    on_behalf_of: str = ""
    reason: str = ""
    correlation_id: str = ""
    causation_id: str = ""
    trace_id: str = ""
    steps: Sequence[Draft | Number | Shred]
    expected: Mapping[str, int] = {}  # the versions of every stream it read or writes; 0: does not exist
    fence: datetime | None = None
    seen: int = -1  # the position at or after which all that it rests on was read; -1: not known
    after: str = ""  # the command that it was foreseen to follow in its stream: without that, nothing it saw is there
    work: Work | None = None
    taken: bool = False  # a batch has it
    sent: bool = False  # a transaction with it may have been committed without our hearing of it

    def series(self, wish: Number) -> tuple[str, ...]:
        """Return the series a number may be taken from: that of the period it occurred in; live, the next one too."""
        if self.origin != LIVE and self.occurred_at is not None:
            return (series(wish, self.occurred_at),)
        following = self.now.astimezone(SHANGHAI)
        following = following.replace(year=following.year + 1, month=1, day=1) if wish.per is Period.YEAR else following
        return tuple(dict.fromkeys((series(wish, self.now), series(wish, following + timedelta(days=1)))))

    def at(self, recorded_at: datetime) -> datetime:
        """Return the instant the law looks at, given when it is recorded."""
        return recorded_at if self.origin == LIVE or self.occurred_at is None else self.occurred_at

    def stored(self, row: EventRow, numbers: Mapping[str, tuple[int, ...]]) -> StoredEntry:
        """Return a row of this commit as a reader gets it."""
        return StoredEntry(
            row.stream,
            row.position,
            row.version,
            row.topic,
            row.state.decode(),
            row.recorded_at,
            row.occurred_at,
            self.origin,
            self.actor,
            self.on_behalf_of,
            self.reason,
            canonical(numbers).decode() if numbers else "",
            self.command_id,
            self.correlation_id,
            self.causation_id,
        )

    def supposed(self, draft: Draft, version: int, now: datetime) -> StoredEntry:
        """Return an event of this commit as if it were written: at position 0, without numbers."""
        row = EventRow(0, draft.stream, version, draft.topic, draft.state, b"", b"", 0, now, draft.occurred_at)
        return self.stored(row, {})

    def size(self) -> int:
        """Return about how many bytes it adds to a batch."""
        size = 200
        for step in self.steps:
            if isinstance(step, Draft):
                size += len(step.state) + 200
        return size


class Insistence(msgspec.Struct, kw_only=True):
    """A command to be decided under the lock, where nobody can be faster: the last attempt of one that always lost."""

    want: Want
    decide: Callable[[Found], Proposal]  # pure; may raise Refusal
    taken: bool = False
    sent: bool = False

    def size(self) -> int:
        """Return about how many bytes it adds to a batch; that is not known before it is decided."""
        return 4096


class Written(NamedTuple):
    """It was recorded: its rows, and the numbers it was given."""

    rows: list[EventRow]
    numbers: dict[str, tuple[int, ...]]


class Before(NamedTuple):
    """It had been recorded before."""

    known: Known


class Moved(NamedTuple):
    """It was not: these streams, or keys it rests on, are no longer what it was decided from."""

    streams: tuple[str, ...]


class Late(NamedTuple):
    """It was not: its turn came after an instant at which its answer could change."""

    now: datetime


Outcome = Written | Before | Moved | Late | Refusal


# --- settling a batch in memory ----------------------------------------------------------------------------------


class Settlement:
    """What becomes of each proposal of a batch, settled under the lock in the order they came. Pure but for salts."""

    def __init__(self, locked: Locked, imprint: Imprint, entropy: Entropy) -> None:
        self._imprint = imprint
        self._entropy = entropy
        self._last = locked.last
        self._known = locked.known
        self._keys = locked.keys
        self._places = {place: key for key, place in locked.keys.items()}
        self._subjects = locked.subjects
        self._before = locked.head
        self._position = locked.head.position
        self.now = max(locked.head.recorded_at, locked.head.clock)
        self.batch = Batch(self.now)
        self.moved: dict[str, tuple[int, bytes]] = {}  # streams written: version and leaf
        self.made: dict[str, Known] = {}  # commands written

    @property
    def head(self) -> Head:
        """The head as it leaves it."""
        return Head(self._position, self.now if self.batch.events else self._before.recorded_at, self.now)

    def settle(self, proposal: Proposal) -> Outcome:
        """Settle the next proposal; what it writes is added to the batch and seen by those after it."""
        known = self._known.get(proposal.command_id)
        if known is not None:
            return Before(known) if known.digest == proposal.digest else CommandIdReused(proposal.command_id)
        moved = tuple([s for s, version in proposal.expected.items() if self._version(s) != version])
        if proposal.after and proposal.after not in self._known:
            moved = (*moved, proposal.stream)  # the version may be another's
        if moved or not self._insisted(proposal):
            return Moved(moved)
        if proposal.fence is not None and self.now > proposal.fence:
            return Late(self.now)
        if not self._in_time_for_numbers(proposal):
            return Late(self.now)
        if not proposal.steps:
            return Written([], {})
        if proposal.work is not None and not self._keys_as_found(proposal.work):
            return Moved(())
        return self._write(proposal)

    def _version(self, stream: str) -> int:
        return self._last.get(stream, ABSENT)[0]

    def _insisted(self, proposal: Proposal) -> bool:
        """Tell whether versions that a caller insists on are the next ones; a stream may start at 0 or at 1."""
        following: dict[str, int] = {}
        for step in proposal.steps:
            if isinstance(step, Draft) and step.version is not None:
                last = following.get(step.stream)
                if last is None and step.stream not in self._last:
                    fits = step.version in (0, 1)
                else:
                    fits = step.version == (self._version(step.stream) if last is None else last) + 1
                if not fits:
                    return False
                following[step.stream] = step.version
        return True

    def _in_time_for_numbers(self, proposal: Proposal) -> bool:
        for step in proposal.steps:
            if isinstance(step, Number) and series(step, proposal.at(self.now)) not in proposal.series(step):
                return False
        return True

    def _keys_as_found(self, work: Work) -> bool:
        return (
            all(key in self._keys for key in work.used)
            and all(self._subjects.get(mac) == subject for mac, subject in work.found.items())
            and not any((row.stream, row.holder) in self._places for row in work.new_keys)
            and not any(mac in self._subjects for mac, _, _ in work.new_subjects)
        )

    def _write(self, proposal: Proposal) -> Written:
        drafts, numbers = self._numbered(proposal)
        first = self._position + 1
        salts = self._entropy(16 * len(drafts) + 16)
        commit = CommitRow(
            first,
            len(drafts),
            proposal.command_id,
            proposal.digest,
            self.now,
            proposal.occurred_at,
            proposal.origin,
            proposal.actor,
            proposal.on_behalf_of,
            proposal.reason,
            canonical(numbers).decode() if numbers else "",
            proposal.correlation_id,
            proposal.causation_id,
            proposal.trace_id,
            salts[:16],
        )
        record = salted_record(self._imprint, commit)
        rows = [self._row(draft, first, record, salts[16 * i : 16 * i + 16]) for i, draft in enumerate(drafts, 1)]
        self.batch.events.extend(rows)
        self.batch.commits.append(commit)
        known = Known(proposal.command_id, proposal.digest, first, len(drafts))
        self._known[proposal.command_id] = self.made[proposal.command_id] = known
        if proposal.work is not None:
            self._add_keys(proposal.work)
        for step in proposal.steps:
            if isinstance(step, Shred):
                self._shred(step)
        return Written(rows, numbers)

    def _numbered(self, proposal: Proposal) -> tuple[list[Draft], dict[str, tuple[int, ...]]]:
        """Turn wishes for numbers, and for the destruction of keys, into entries of their journals."""
        drafts: list[Draft] = []
        numbers: dict[str, tuple[int, ...]] = {}
        counted: dict[str, int] = {}
        at = proposal.at(self.now)
        for step in proposal.steps:
            match step:
                case Draft():
                    drafts.append(step)
                case Number():
                    name = f"{step.journal}/{series(step, at)}"
                    journal = NUMBERS + name
                    last = counted.get(journal, self._version(journal))
                    given = tuple(range(last + 1, last + 1 + step.count))
                    state = canonical(NumberGiven(to=proposal.stream))
                    drafts += [Draft(journal, "numbers.given", state, proposal.occurred_at)] * step.count
                    numbers[name] = (*numbers.get(name, ()), *given)
                    counted[journal] = given[-1]
                case Shred():
                    state = canonical(KeysShredded(stream=step.stream, subject=step.subject))
                    drafts.append(Draft(SHREDS, "shreds.done", state, proposal.occurred_at))
        return drafts, numbers

    def _row(self, draft: Draft, first: int, record: bytes, salt: bytes) -> EventRow:
        stream, topic, state, occurred_at, version = draft
        last, previous = self._last.get(stream, ABSENT)
        if version is None:
            version = last + 1
        # As `leaf_of` does, but before there is a row that could be asked: a second one would cost as much as the leaf.
        salted = digest(self._imprint.hash, salt + state)
        text = header(self._imprint, stream, version, topic, self.now, occurred_at, previous, record, salted)
        made = leaf(self._imprint, text)
        self._last[stream] = self.moved[stream] = (version, made)
        self._position += 1
        return EventRow(self._position, stream, version, topic, state, salt, made, first, self.now, occurred_at)

    def _add_keys(self, work: Work) -> None:
        for row in work.new_keys:
            self._keys[row.id] = (row.stream, row.holder)
            self._places[row.stream, row.holder] = row.id
            self.batch.keys.append(row)
        for mac, subject, number in work.new_subjects:
            self._subjects[mac] = subject
            self.batch.subjects.append((mac, str(subject), number))
        for row in work.rewrapped:
            self._rewrap(row)

    def _rewrap(self, row: KeyRow) -> None:
        self.batch.keys[:] = [one for one in self.batch.keys if one.id != row.id]
        self.batch.drop_keys.append(row.id)
        self.batch.keys.append(row)
        self.batch.orphans.append(row.holder)

    def _shred(self, step: Shred) -> None:
        """Destroy keys: those of a case, of a subject everywhere, or of a subject in one case."""
        holder = str(step.subject) if step.subject else ""
        holders = (holder, texts_of(holder))

        def gone(stream: str, of: str) -> bool:
            return (not step.stream or stream == step.stream) and (not holder or of in holders)

        dropped = {key for key, place in self._keys.items() if gone(*place)}
        for key in dropped:
            self._places.pop(self._keys.pop(key), None)
        self.batch.keys[:] = [row for row in self.batch.keys if not gone(row.stream, row.holder)]
        if step.stream and holder:
            self.batch.drop_places += [(step.stream, one) for one in holders]
        elif step.stream:
            self.batch.drop_streams.append(step.stream)
        elif holder:
            self.batch.drop_holders += holders
            self._forget_subject(holder)

    def _forget_subject(self, subject: str) -> None:
        self.batch.subjects[:] = [row for row in self.batch.subjects if row[1] != subject]
        self.batch.drop_subjects.append(subject)
        for mac in [mac for mac, known in self._subjects.items() if str(known) == subject]:
            del self._subjects[mac]


def asked(batch: Sequence[Proposal]) -> Asked:
    """Return what must be read under the lock to settle a batch; of numbers, the journal of the next period too."""
    streams: dict[str, None] = {}
    keys: set[str] = set()
    places: set[tuple[str, str]] = set()
    macs: set[bytes] = set()
    for proposal in batch:
        streams.update(dict.fromkeys(proposal.expected))
        for step in proposal.steps:
            match step:
                case Draft():
                    streams[step.stream] = None
                case Shred():
                    streams[SHREDS] = None
                case Number():
                    streams.update({f"{NUMBERS}{step.journal}/{name}": None for name in proposal.series(step)})
        if work := proposal.work:
            keys |= work.used
            places |= {(row.stream, row.holder) for row in work.new_keys}
            macs |= work.found.keys() | {mac for mac, _, _ in work.new_subjects}
    commands = tuple(dict.fromkeys(one for proposal in batch for one in (proposal.command_id, proposal.after) if one))
    return Asked(tuple(streams), commands, tuple(keys), tuple(places), tuple(macs))
