"""The one writer of a city in a process: many callers, one transaction at a time, each caller its own answer.

A batch takes the head, learns what has moved, settles every proposal in memory in the order they came, writes once
and commits. Nothing collides, nothing is bisected, and a bad proposal harms no other. A lost connection means the
same batch again: the head's lock waits for the lost transaction to end, and `commits` says what it did.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
import psycopg

from domain import recorder
from domain.exchange import Exchange, tell
from domain.journals import NUMBERS, SHREDS, KeysShredded, NumberGiven, series
from domain.leaves import NOTHING, CommitRow, EventRow, Imprint, canonical, leaf_of, salted_record
from domain.recorder import Asked, Batch, Found, Head, Known, Line, Locked, Want
from domain.refusals import (
    Busy,
    ClockAhead,
    ClosedDoor,
    CommandIdReused,
    OutcomeUnknown,
    Refusal,
    StorageRefused,
    Unavailable,
)
from domain.sealing import Entropy, KeyRow, Work, texts_of
from domain.stored import StoredEntry
from domain.terms import SHANGHAI, Number, Origin, Period, Shred

AHEAD = timedelta(seconds=5)
"""How far the head may lie ahead of the database's clock before writing stops."""


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
    after: str = ""  # the command that it was foreseen to follow in its stream: without that, nothing it saw is there
    work: Work | None = None
    taken: bool = False  # a batch has it
    sent: bool = False  # a transaction with it may have been committed without our hearing of it

    def series(self, wish: Number) -> tuple[str, ...]:
        """Return the series a number may be taken from: that of the period it occurred in; live, the next one too."""
        if self.origin != Origin.LIVE.value and self.occurred_at is not None:
            return (series(wish, self.occurred_at),)
        following = self.now.astimezone(SHANGHAI)
        following = following.replace(year=following.year + 1, month=1, day=1) if wish.per is Period.YEAR else following
        return tuple(dict.fromkeys((series(wish, self.now), series(wish, following + timedelta(days=1)))))

    def at(self, recorded_at: datetime) -> datetime:
        """Return the instant the law looks at, given when it is recorded."""
        return recorded_at if self.origin == Origin.LIVE.value or self.occurred_at is None else self.occurred_at

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
        return 200 + sum(len(step.state) + 200 for step in self.steps if isinstance(step, Draft))


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
        self._position = locked.head.position
        self.now = max(locked.head.recorded_at, locked.head.clock)
        self.batch = Batch(self.now)

    def settle(self, proposal: Proposal) -> Outcome:
        """Settle the next proposal; what it writes is added to the batch and seen by those after it."""
        known = self._known.get(proposal.command_id)
        if known is not None:
            return Before(known) if known.digest == proposal.digest else CommandIdReused(proposal.command_id)
        moved = tuple(s for s, version in proposal.expected.items() if self._version(s) != version)
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
        last = self._last.get(stream)
        return last[0] if last else 0

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
            self._entropy(16),
        )
        record = salted_record(self._imprint, commit)
        rows = [self._row(draft, first, record) for draft in drafts]
        self.batch.events.extend(rows)
        self.batch.commits.append(commit)
        self._known[proposal.command_id] = Known(proposal.command_id, proposal.digest, first, len(drafts))
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

    def _row(self, draft: Draft, first: int, record: bytes) -> EventRow:
        last = self._last.get(draft.stream)
        version = draft.version if draft.version is not None else (last[0] + 1 if last else 1)
        self._position += 1
        bare = EventRow(
            self._position,
            draft.stream,
            version,
            draft.topic,
            draft.state,
            self._entropy(16),
            b"",
            first,
            self.now,
            draft.occurred_at,
        )
        leaf = leaf_of(self._imprint, bare, record, last[1] if last else NOTHING)
        self._last[draft.stream] = (version, leaf)
        return EventRow(*bare[:6], leaf, *bare[7:])

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


# --- the writer --------------------------------------------------------------------------------------------------


class _Waiting(NamedTuple):
    """A proposal, where its outcome goes, and the loop's time at which its caller stops waiting."""

    proposal: Proposal | Insistence
    answer: asyncio.Future[Outcome]
    until: float


WATCH = 0.1
"""Seconds between two looks for callers whose time is over."""

BY_ONE = ("22", "23", "54")
"""SQLSTATEs of what one proposal may have brought on the whole batch: data, uniqueness, limits of size."""


class Writer:
    """Takes proposals from any number of callers of one event loop and writes them in batches.

    `room` proposals may wait (then Busy); a batch holds at most `most` of them and about `most_bytes`. A database
    that cannot be reached is tried again for `patience` seconds.
    """

    def __init__(
        self,
        dsn: str,
        named: Mapping[str, bytes],
        imprint: Imprint,
        entropy: Entropy,
        *,
        room: int = 4096,
        most: int = 512,
        most_bytes: int = 4 << 20,
        patience: float = 20.0,
    ) -> None:
        self._line = Line(dsn, named, patience)
        self._imprint = imprint
        self._entropy = entropy
        self._room = room
        self._most = most
        self._most_bytes = most_bytes
        self._queue: deque[_Waiting] = deque()
        self._turn: list[_Waiting] = []  # what the present batch was made of
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def submit(self, proposal: Proposal | Insistence, *, until: float = math.inf) -> Outcome:
        """Return what became of a proposal, after its transaction was committed.

        Raises Busy, ClosedDoor, ClockAhead, Unavailable, StorageRefused or OutcomeUnknown. A caller who is cancelled,
        or whose time (`until`, of the loop's clock) is over, before a batch takes the proposal has written nothing and
        hears Busy; later, the batch goes on without the caller, who hears OutcomeUnknown.
        """
        return await self.queued(proposal, until=until)

    def queued(self, proposal: Proposal | Insistence, *, until: float = math.inf) -> asyncio.Future[Outcome]:
        """Put a proposal into the queue and return where its outcome will be; raises Busy and ClosedDoor at once.

        For callers with many: what they queue one after the other is settled in that order.
        """
        if self._closed:
            raise ClosedDoor
        if len(self._queue) >= self._room:
            raise Busy
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Outcome] = loop.create_future()
        self._queue.append(_Waiting(proposal, answer, until))
        if self._task is None:
            self._task = asyncio.create_task(self._serve())
        return answer

    async def close(self) -> None:
        """Take no more, write what waits, close the session."""
        self._closed = True
        if self._task is not None:
            await asyncio.shield(self._task)  # who closes may give up; what waits is written all the same
        await self._line.close()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        watch = loop.call_later(WATCH, self._watch)
        self._watching = watch
        try:
            while self._queue:
                await asyncio.sleep(0)  # lets every caller that is ready now come along
                self._turn = self._take()
                if self._turn:
                    await self._answer(self._turn)
        finally:
            self._watching.cancel()
            self._task = None
            for _, answer, _ in (*self._turn, *self._queue):  # any left only where the loop itself is being stopped
                answer.cancel()
            self._turn = []

    def _watch(self) -> None:
        """Tell callers whose time is over. One timer for all: one for each would cost as much as their commits."""
        loop = asyncio.get_running_loop()
        for proposal, answer, until in (*self._turn, *self._queue):
            if until <= loop.time():
                tell(answer, OutcomeUnknown() if proposal.taken else Busy())
        self._watching = loop.call_later(WATCH, self._watch)

    def _take(self) -> list[_Waiting]:
        turn: list[_Waiting] = []
        size = 0
        insisting = False
        while self._queue and len(turn) < self._most and (not turn or size < self._most_bytes):
            if isinstance(self._queue[0].proposal, Insistence):
                if insisting:
                    break  # one a batch: a second might move what the first was decided from
                insisting = True
            waiting = self._queue.popleft()
            if not waiting.answer.done():  # a caller who left before this took nothing along
                waiting.proposal.taken = True
                turn.append(waiting)
                size += waiting.proposal.size()
        return turn

    async def _answer(self, turn: Sequence[_Waiting]) -> None:
        batch = [waiting.proposal for waiting in turn]
        outcomes: Sequence[Outcome | Exception]
        try:
            outcomes = await self._line.ask(
                lambda exchange: self._transact(exchange, batch), in_doubt=lambda: any(one.sent for one in batch)
            )
        except Exception as error:  # noqa: BLE001  whatever it is: a caller told nothing would wait for ever
            if len(turn) > 1 and _may_be_one(error):
                half = len(turn) // 2
                await self._answer(turn[:half])  # nothing was committed, and one of them is why; it harms no other
                await self._answer(turn[half:])
                return
            outcomes = [StorageRefused(type(error).__name__) if isinstance(error, psycopg.Error) else error] * len(turn)
            if isinstance(error, Unavailable | OutcomeUnknown):
                self._give_up()
        for (_, answer, _), outcome in zip(turn, outcomes, strict=True):
            tell(answer, outcome)

    def _give_up(self) -> None:
        """Tell those who wait behind a batch that found no database: they have waited for the same, and would again."""
        for _, answer, _ in self._queue:
            tell(answer, Unavailable())
        self._queue.clear()

    async def _transact(self, exchange: Exchange, batch: Sequence[Proposal | Insistence]) -> list[Outcome]:
        """Write a batch in one transaction; of what may have been committed without our hearing, `sent` says so."""
        proposals = {i: one for i, one in enumerate(batch) if isinstance(one, Proposal)}
        insistences = {i: one for i, one in enumerate(batch) if isinstance(one, Insistence)}
        outcomes: dict[int, Outcome] = {}
        locked = await recorder.lock(exchange, asked(list(proposals.values())))
        _refuse_clock_ahead(locked.head)
        if insistences:
            decided = await self._decided(exchange, insistences, locked, outcomes)
            proposals = decided | proposals  # they come first: nobody may be faster this time
        settlement = Settlement(locked, self._imprint, self._entropy)
        before = [one.sent for one in batch]
        for i, proposal in proposals.items():
            outcomes[i] = settlement.settle(proposal)
            batch[i].sent = batch[i].sent or isinstance(outcomes[i], Written)
        try:
            await recorder.write(exchange, settlement.batch)
        except psycopg.Error:
            if exchange.failed not in ("", "commit"):  # the server said no, and never came to the COMMIT
                for one, was in zip(batch, before, strict=True):
                    one.sent = was
            raise
        return [outcomes[i] for i in range(len(batch))]

    async def _decided(
        self,
        exchange: Exchange,
        insistences: Mapping[int, Insistence],
        locked: Locked,
        outcomes: dict[int, Outcome],
    ) -> dict[int, Proposal]:
        """Decide under the lock, and learn what settling needs to know of what was decided."""
        wants = [one.want for one in insistences.values()]
        now = max(locked.head.recorded_at, locked.head.clock)
        proposals: dict[int, Proposal] = {}
        answers = await recorder.read(exchange, wants)
        for (i, insistence), found in zip(insistences.items(), answers, strict=True):
            try:
                proposals[i] = insistence.decide(found._replace(now=now))
            except Refusal as refusal:
                outcomes[i] = refusal
        more = await recorder.look(exchange, asked(list(proposals.values())))
        locked.last.update(more.last)
        locked.known.update(more.known)
        locked.keys.update(more.keys)
        locked.subjects.update(more.subjects)
        return proposals


def _may_be_one(error: Exception) -> bool:
    """Tell whether a batch may have failed for what one of its proposals holds: then the others are tried without it."""
    if isinstance(error, psycopg.Error):
        return (error.sqlstate or "").startswith(BY_ONE)
    return not isinstance(error, Refusal)


def _refuse_clock_ahead(head: Head) -> None:
    if head.recorded_at > head.clock + AHEAD:
        raise ClockAhead(f"{head.recorded_at.astimezone(UTC).isoformat()} > {head.clock.astimezone(UTC).isoformat()}")
