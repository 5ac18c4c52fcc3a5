"""What a writer knows without asking: since a position nobody but it has written, and what it wrote since.

Positions are dense. Where the head lies at the end of what this writer wrote, nobody else wrote in between; what a
caller saw at the beginning, or later, still holds but for the writer's own events, which are kept here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from domain.exchange import EPOCH
from domain.journals import NUMBERS
from domain.leaves import NOTHING
from domain.recorder import Asked, Head, Known, Locked
from domain.sealing import Work
from domain.settling import Draft, Proposal, Settlement
from domain.terms import Number

MOST = 1 << 15
"""How many streams, and commands, one generation remembers."""


class _Generation:
    """What was written in a while: the streams' versions and leaves, the commands, the keys and subjects that are new."""

    def __init__(self, since: int, began: datetime) -> None:
        self.since = since
        self.began = began
        self.last: dict[str, tuple[int, bytes]] = {}
        self.known: dict[str, Known] = {}
        self.keys: dict[str, tuple[str, str]] = {}  # id -> (stream, holder)
        self.places: dict[tuple[str, str], str] = {}
        self.subjects: dict[bytes, UUID] = {}

    @property
    def full(self) -> bool:
        return max(len(self.last), len(self.known), len(self.keys)) >= MOST


class Memory:
    """What one writer remembers of its own batches. `tail` is the head as the last of them leaves it; None: not known.

    Two generations are kept: where the younger is full, the older one goes, and with it what was known since then.
    """

    def __init__(self) -> None:
        self.tail: Head | None = None
        self._old = self._young = _Generation(0, EPOCH)

    @property
    def empty(self) -> bool:
        """Tell whether nothing is known."""
        return self.tail is None

    @property
    def since(self) -> int:
        """The position after which nobody but this writer has written."""
        return self._old.since

    def forget(self) -> None:
        """Forget all: somebody else may have written."""
        self.tail = None

    def note(self, settlement: Settlement) -> None:
        """Remember what a batch writes, whose transaction was committed, or can be only on top of what is remembered."""
        batch, tail = settlement.batch, self.tail
        began = batch.events[0].position - 1 if batch.events else settlement.head.position
        if tail is None or tail.position != began or batch.destroys:
            # What callers saw of keys before some are destroyed no longer holds.
            since = settlement.head.position if batch.destroys else began
            self._old = self._young = _Generation(since, settlement.now)
        elif self._young.full:
            self._old, self._young = self._young, _Generation(began, settlement.now)
        self.tail = settlement.head
        young = self._young
        young.last.update(settlement.moved)
        young.known.update(settlement.made)
        for row in batch.keys:
            young.keys[row.id] = place = (row.stream, row.holder)
            young.places[place] = row.id
        for mac, subject, _ in batch.subjects:
            young.subjects[mac] = UUID(subject)

    def learn(self, asked: Asked, heard: Locked) -> None:
        """Remember what was heard of streams that this writer has not written."""
        for stream in asked.streams:
            if stream in heard.last:
                self._young.last.setdefault(stream, heard.last[stream])
            elif stream.startswith(NUMBERS):  # the journal of a period that is yet to come is asked for all the same
                self._young.last.setdefault(stream, (0, NOTHING))

    def recall(self, batch: Sequence[Proposal]) -> tuple[Locked, Asked]:
        """Return what is known of what a batch needs to know, and what is to be asked for. There must be a tail.

        Of a command no more is known than whether this writer wrote it; the database refuses one that is written twice.
        """
        assert self.tail is not None
        return _Recalling(self._old, self._young).recall(batch, self.tail)


class _Missing(NamedTuple):
    streams: dict[str, None]
    commands: dict[str, None]
    keys: set[str]
    places: set[tuple[str, str]]
    macs: set[bytes]


class _Recalling:
    """One batch, remembered proposal by proposal."""

    def __init__(self, old: _Generation, young: _Generation) -> None:
        self._oldest = old
        self._generations = (young, old)
        self._last: dict[str, tuple[int, bytes]] = {}
        self._known: dict[str, Known] = {}
        self._keys: dict[str, tuple[str, str]] = {}
        self._subjects: dict[bytes, UUID] = {}
        self._absent: set[str] = set()  # streams that do not exist before this batch
        self._missing = _Missing({}, {}, set(), set(), set())

    def recall(self, batch: Sequence[Proposal], tail: Head) -> tuple[Locked, Asked]:
        """Return what is known, and what is to be asked for."""
        writes = [_written(proposal) for proposal in batch]
        written = set[str]().union(*writes)  # by any of them: it needs the leaf of what another only reads
        for proposal, own in zip(batch, writes, strict=True):
            fresh = self._is_fresh(proposal, tail)
            for stream in own | proposal.expected.keys():
                if stream in self._last or stream in self._absent:
                    continue
                seen = proposal.expected.get(stream) if fresh else None
                self._stream(stream, seen, written=stream in written)
            self._command(proposal.command_id)
            if proposal.after and not self._command(proposal.after):
                self._missing.commands[proposal.after] = None
            if proposal.work is not None:
                self._work(proposal.work, fresh)
        streams, commands, keys, places, macs = self._missing
        seen = Locked(tail, self._last, self._known, self._keys, self._subjects)
        return seen, Asked(tuple(streams), tuple(commands), tuple(keys), tuple(places), tuple(macs))

    def _is_fresh(self, proposal: Proposal, tail: Head) -> bool:
        """Tell whether what it saw still holds; not if it was read of a ledger that ended elsewhere, before a fail-over."""
        return self._oldest.since <= proposal.seen <= tail.position and proposal.now >= self._oldest.began

    def _stream(self, stream: str, seen: int | None, *, written: bool) -> None:
        for generation in self._generations:
            if (last := generation.last.get(stream)) is not None:
                self._last[stream] = last
                return
        if seen == 0:
            self._absent.add(stream)
        elif seen is not None and not written:
            self._last[stream] = (seen, b"")  # its leaf is nobody's concern
        else:
            self._missing.streams[stream] = None

    def _command(self, command_id: str) -> bool:
        for generation in self._generations:
            if (known := generation.known.get(command_id)) is not None:
                self._known[command_id] = known
                return True
        return False

    def _work(self, work: Work, fresh: bool) -> None:
        used, places = work.used, {(row.stream, row.holder) for row in work.new_keys}
        macs = work.found.keys() | {mac for mac, _, _ in work.new_subjects}
        for generation in self._generations:
            self._keys.update((key, generation.keys[key]) for key in used if key in generation.keys)
            self._keys.update((generation.places[place], place) for place in places if place in generation.places)
            self._subjects.update((mac, generation.subjects[mac]) for mac in macs if mac in generation.subjects)
        if fresh:
            self._keys.update((key, ("", key)) for key in used if key not in self._keys)
            self._subjects.update((mac, work.found[mac]) for mac in work.found if mac not in self._subjects)
            return
        self._missing.keys.update(key for key in used if key not in self._keys)
        self._missing.places.update(places)
        self._missing.macs.update(mac for mac in macs if mac not in self._subjects)


def _written(proposal: Proposal) -> set[str]:
    """Return the streams it may write."""
    written: set[str] = set()
    for step in proposal.steps:
        if isinstance(step, Draft):
            written.add(step.stream)
        elif isinstance(step, Number):
            written.update(f"{NUMBERS}{step.journal}/{name}" for name in proposal.series(step))
    return written


def merged(known: Locked, heard: Locked) -> Locked:
    """Return what is known together with what was heard of what was not."""

    def both(of: dict[Any, Any], more: dict[Any, Any]) -> dict[Any, Any]:
        return more | of

    return Locked(
        known.head,
        both(known.last, heard.last),
        both(known.known, heard.known),
        both(known.keys, heard.keys),
        both(known.subjects, heard.subjects),
    )
