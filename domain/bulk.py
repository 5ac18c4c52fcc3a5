"""Many recordings or commands at once: decided one on top of the other from one reading, and written in their order.

What a city brings over from an old system is tens of thousands of facts that no rule decides, and what comes about by
itself at midnight is thousands of notices; to ask and to answer for each of them alone costs more than to record it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from domain.journals import is_journal
from domain.leaves import milliseconds
from domain.proposing import INSTITUTION, Proposer, Request, View, events_of
from domain.recorder import Found, Want
from domain.refusals import CommandIdReused, OccurredAtRequired, Refusal, VersionMoved
from domain.sealing import KeyRow, Survey
from domain.settling import Draft, Proposal
from domain.terms import Act, Actor, Entry, Origin, Step


class Recording(NamedTuple):
    """Facts that another system recorded, to be recorded here in one commit.

    `occurred_at` is one instant, or one for each fact in their order; a number is taken from the last one's period.
    """

    facts: Sequence[Step]
    stream: str
    actor: Actor
    command_id: str
    occurred_at: datetime | Sequence[datetime]
    origin: Origin = Origin.IMPORT
    on_behalf_of: str = ""
    reason: str = ""
    expected: int | None = None
    correlation_id: str = ""
    causation_id: str = ""

    def request(self) -> Request:
        """Return it as the door's request. Raises OccurredAtRequired, SealedFromOutside, SubjectFromOutside."""
        said = self.occurred_at
        given = [said] * len(self.facts) if isinstance(said, datetime) else list(said)
        if len(given) != len(self.facts) or not given:
            raise OccurredAtRequired
        times = tuple(milliseconds(time) for time in given)
        return Request(
            command_id=self.command_id,
            stream=self.stream,
            actor=self.actor,
            steps=tuple(self.facts),
            times=times,
            origin=self.origin,
            occurred_at=times[-1],
            on_behalf_of=self.on_behalf_of,
            reason=self.reason,
            expected=self.expected,
            correlation_id=self.correlation_id,
            causation_id=self.causation_id,
            survey=Survey(*events_of(self.facts)),
        )


class Commanded(NamedTuple):
    """A command that is decided from a look at its stream: it must name no other stream and hold nothing to be sealed."""

    act: Act
    stream: str
    actor: Actor
    command_id: str
    occurred_at: datetime | None = None
    origin: Origin = Origin.LIVE

    def request(self) -> Request:
        """Return it as the door's request."""
        return Request(
            command_id=self.command_id,
            stream=self.stream,
            actor=self.actor,
            act=self.act,
            origin=self.origin,
            occurred_at=None if self.occurred_at is None else milliseconds(self.occurred_at),
            survey=Survey(self.act),
        )


class Foreseen(NamedTuple):
    """What a recording would come to now."""

    proposal: Proposal | None  # what is to be written; None: it is recorded already
    entries: tuple[Entry, ...]  # of streams that are folded: as they would be (at position 0), or as they are


class Bulk:
    """Recordings by their number: first what must be read for each, then what each would come to.

    Nothing is read for commands: `views` has what was seen of their streams.
    """

    def __init__(
        self,
        proposer: Proposer,
        recordings: Sequence[Recording | Commanded],
        views: Mapping[str, View] = MappingProxyType({}),
    ) -> None:
        self.wants: dict[int, Want] = {}
        self._proposer = proposer
        self._streams = [recording.stream for recording in recordings]
        self._requests: dict[int, Request] = {}
        self._refused: dict[int, Refusal] = {}
        self._ended: dict[str, Refusal] = {}  # streams in which something was refused
        self._views: dict[str, View] = dict(views)  # of streams after the last recording in each
        self._last: dict[str, str] = {}  # the commands that made them
        self._keys: dict[str, list[KeyRow]] = {}
        self._subjects: dict[bytes, UUID] = {}
        for number, recording in enumerate(recordings):
            try:
                request = recording.request()
                proposer.prepare(request)
                if isinstance(recording, Recording):
                    self.wants[number] = proposer.want(request)
                self._requests[number] = request
            except Refusal as refusal:
                self._refused[number] = refusal

    def decide(self, answers: Mapping[int, Found]) -> list[Foreseen | Refusal]:
        """Decide each recording from what was read for it and from those before it."""
        # What is decided for one may rest on what was read for another.
        since = min((found.since for found in answers.values()), default=-1)
        answers = {number: found._replace(since=since) for number, found in answers.items()}
        return [self._told(number, stream, answers) for number, stream in enumerate(self._streams)]

    def _told(self, number: int, stream: str, answers: Mapping[int, Found]) -> Foreseen | Refusal:
        if stream in self._ended:
            return self._ended[stream]
        try:
            if number in self._refused:
                raise self._refused[number]
            request = self._requests[number]
            if request.act is not None:
                return self._foreseen(request, self._after(request, self._views[stream], self._views[stream].found))
            return self._decided(request, self.wants[number], answers[number])
        except Refusal as refusal:
            if not stream.endswith(":"):  # a stream that is to be drawn is another each time
                self._ended[stream] = refusal
            return refusal

    def _decided(self, request: Request, want: Want, found: Found) -> Foreseen:
        if found.known is not None:
            if found.known.digest != request.digest:
                raise CommandIdReused(request.command_id)
            rows = dict(zip((stream for stream, _ in want.streams), found.streams, strict=True)).get(request.stream, ())
            there = (self._proposer.codec.entry(row) for row in rows if row.command_id == request.command_id)
            return Foreseen(None, tuple(there))
        found = self._with_keys(want, found)
        before = self._views.get(request.stream)
        view = self._proposer.view(request, found, want) if before is None else self._after(request, before, found)
        return self._foreseen(request, view)

    def _foreseen(self, request: Request, view: View) -> Foreseen:
        proposal = self._proposer.propose(request, view)
        proposal.after = self._last.get(request.stream, "")
        self._last[request.stream] = request.command_id
        return Foreseen(proposal, self._supposed(request, proposal, view))

    def _after(self, request: Request, before: View, found: Found) -> View:
        """Return what a recording is decided from that follows another one in its stream."""
        version = before.versions[request.stream]
        if request.expected not in (None, version):
            raise VersionMoved(request.stream, version=version)
        now = found.now if request.origin is Origin.LIVE or request.occurred_at is None else request.occurred_at
        grown = request.stream in self._last
        state = self._proposer.fold(request.stream, before.history) if grown else before.state
        return before._replace(state=state, found=found, now=now)

    def _with_keys(self, want: Want, found: Found) -> Found:
        """Return what was read, with the keys and subjects that recordings before this one bring."""
        keys = [row for stream in want.keys_of for row in self._keys.get(stream, ())]
        subjects = {mac: self._subjects[mac] for mac in want.macs if mac in self._subjects}
        if not keys and not subjects:
            return found
        return found._replace(keys=found.keys + keys, subjects=found.subjects | subjects, since=-1)

    def _supposed(self, request: Request, proposal: Proposal, view: View) -> tuple[Entry, ...]:
        versions = dict(view.versions)
        entries: list[Entry] = []
        for draft in proposal.steps:
            if isinstance(draft, Draft) and not is_journal(draft.stream):
                versions[draft.stream] = versions.get(draft.stream, 0) + 1
                row = proposal.supposed(draft, versions[draft.stream], view.found.now)
                entries.append(self._proposer.codec.entry(row))
        own = [entry for entry in entries if entry.stream == request.stream]
        if request.stream != INSTITUTION:  # whose fold is kept: what is only supposed must not come into it
            at = request.occurred_at if request.origin is Origin.IMPORT else view.imported_at
            history = [*view.history, *own]
            self._views[request.stream] = view._replace(versions=versions, imported_at=at, history=history)
        if proposal.work is not None:
            for row in proposal.work.new_keys:
                self._keys.setdefault(row.stream, []).append(row)
            self._subjects.update((mac, subject) for mac, subject, _ in proposal.work.new_subjects)
        return tuple(entries)
