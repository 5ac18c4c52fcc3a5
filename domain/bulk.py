"""Many recordings at once: decided one on top of the other from one reading, and written in their order.

What a city brings over from an old system is tens of thousands of facts that no rule decides; to ask and to answer for
each of them alone costs more than to record it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from domain.journals import is_journal
from domain.proposing import INSTITUTION, Proposer, Request, View, events_of
from domain.recorder import Found, Want
from domain.refusals import CommandIdReused, OccurredAtRequired, Refusal
from domain.sealing import KeyRow, Survey
from domain.stored import StoredEntry
from domain.terms import Actor, Origin, Step
from domain.writer import Draft, Proposal


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


def milliseconds(instant: datetime) -> datetime:
    """Return an instant as the ledger keeps it: what a leaf cannot prove is not kept."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


class Decided(NamedTuple):
    """A recording as it is to be written, and what it was decided from."""

    proposal: Proposal
    view: View


class Bulk:
    """Recordings by their number: first what must be read for them, then each refused, known before, or decided."""

    def __init__(self, proposer: Proposer, recordings: Sequence[Recording]) -> None:
        self._proposer = proposer
        self.requests: dict[int, Request] = {}
        self.wants: dict[int, Want] = {}
        self.refused: dict[int, Refusal] = {}
        self.known: dict[int, list[StoredEntry]] = {}  # what is there of them in the streams they address
        self.decided: dict[int, Decided] = {}
        self._ended: dict[str, Refusal] = {}  # streams in which something was refused
        self._rows: dict[str, list[StoredEntry]] = {}
        self._keys: dict[str, list[KeyRow]] = {}
        self._subjects: dict[bytes, UUID] = {}
        for number, recording in enumerate(recordings):
            try:
                request = recording.request()
                proposer.prepare(request)
                self.wants[number] = proposer.want(request)
            except Refusal as refusal:
                self.refuse(number, recording.stream, refusal)
            else:
                self.requests[number] = request

    def refuse(self, number: int, stream: str, refusal: Refusal) -> None:
        """Note that a recording is refused; what comes after it in its stream is not tried."""
        self.refused[number] = refusal if stream.endswith(":") else self._ended.setdefault(stream, refusal)

    def ended(self, number: int, stream: str) -> bool:
        """Tell whether something was refused in a stream before; then this recording is refused for the same reason."""
        if stream not in self._ended:
            return False
        self.refused[number] = self._ended[stream]
        return True

    def decide(self, answers: Mapping[int, Found]) -> None:
        """Decide each recording from what was read for it and from those before it."""
        for number, found in answers.items():
            request = self.requests[number]
            if self.ended(number, request.stream):
                continue
            try:
                self._decide(number, request, found)
            except Refusal as refusal:
                self.refuse(number, request.stream, refusal)

    def _decide(self, number: int, request: Request, found: Found) -> None:
        want = self.wants[number]
        if found.known is not None:
            if found.known.digest != request.digest:
                raise CommandIdReused(request.command_id)
            there = dict(zip((stream for stream, _ in want.streams), found.streams, strict=True))
            self.known[number] = [r for r in there.get(request.stream, ()) if r.command_id == request.command_id]
            return
        view = self._proposer.view(request, self._on_top(want, found), want)
        proposal = self._proposer.propose(request, view)
        self.decided[number] = Decided(proposal, view)
        self._suppose(proposal, view)

    def _on_top(self, want: Want, found: Found) -> Found:
        """Return what was read, with what the recordings before this one will have written of it."""
        return found._replace(
            streams=tuple(
                rows + self._rows.get(stream, []) for (stream, _), rows in zip(want.streams, found.streams, strict=True)
            ),
            keys=found.keys + [row for stream in want.keys_of for row in self._keys.get(stream, ())],
            subjects=found.subjects | {mac: self._subjects[mac] for mac in want.macs if mac in self._subjects},
        )

    def _suppose(self, proposal: Proposal, view: View) -> None:
        versions = dict(view.versions)
        for draft in proposal.steps:
            if isinstance(draft, Draft) and not is_journal(draft.stream) and draft.stream != INSTITUTION:
                versions[draft.stream] = versions.get(draft.stream, 0) + 1
                row = proposal.supposed(draft, versions[draft.stream], view.found.now)
                self._rows.setdefault(draft.stream, []).append(row)
        if proposal.work is not None:
            for row in proposal.work.new_keys:
                self._keys.setdefault(row.stream, []).append(row)
            self._subjects |= {mac: subject for mac, subject, _ in proposal.work.new_subjects}
