"""What a decision may look at, and nothing else: the actor, the instant, the law, the streams its command names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from domain.law import Law
from domain.terms import Act, Actor, Entry, Fact, Origin, Step


class Context:
    """The whole view of one decision.

    `now` is the instant the decision is taken at. Rules never compare with it directly but ask `passed`, so that the
    context learns its `fence`: the earliest later instant at which any answer it gave could change. Lookups in the
    law that depend on the instant (units, peaks, packs) go through methods here for the same reason.
    """

    def __init__(
        self,
        *,
        actor: Actor,
        now: datetime,
        law: Law,
        stream: str = "",
        origin: Origin = Origin.LIVE,
        others: Mapping[str, Any] | None = None,
        history: Sequence[Entry] = (),
        draw: Callable[[], UUID] | None = None,
        subject: UUID | None = None,
        position: int = 0,
        recording: datetime | None = None,
    ) -> None:
        self.actor = actor
        self.now = now
        self.law = law
        self.stream = stream
        self.origin = origin
        self.others = others or {}
        self.history = history  # the addressed stream's entries as they are stored, for who names one of them
        self.subject = subject  # of the applicant named in the command, found or drawn by the door
        self.position = position  # the ledger's position the decision was read at
        self.recording = recording or now  # when it is recorded: later than `now` where `now` is when it happened
        self.fence: datetime | None = None
        self._draw = draw

    def passed(self, instant: datetime | None) -> bool:
        """Tell whether `instant` lies before now (t > due, K5); an instant still ahead becomes part of the fence."""
        if instant is None:
            return False
        if self.now > instant:
            return True
        self.until(instant)
        return False

    def until(self, instant: datetime | None) -> None:
        """Note that an answer just used may change after `instant`."""
        if instant is not None and instant >= self.now and (self.fence is None or instant < self.fence):
            self.fence = instant

    def draw(self) -> UUID:
        """Return a fresh id, drawn by the door (time-ordered)."""
        if self._draw is None:
            raise RuntimeError("this decision was given no ids to draw from")
        return self._draw()

    def other(self, stream: str) -> Any:
        """Return the folded state of another stream the command named; None where it does not exist."""
        return self.others.get(stream)


class StreamKind(msgspec.Struct, frozen=True):
    """How streams of one kind are read and decided on. `name` is the part of a stream id before the colon."""

    name: str
    events: tuple[type[Fact], ...]
    commands: tuple[type[Act], ...]
    evolve: Callable[[Any, Entry], Any]  # (state or None, entry) -> state; pure, never refuses
    decide: Callable[[Any, Act, Context], Sequence[Step]]  # pure; raises Refusal
    fold: Callable[[Sequence[Entry]], Any] | None = None  # of a whole history, where later entries change earlier ones
    changes_earlier: tuple[type[Fact], ...] | None = None  # the events that do; None: any may

    def refolds(self, history: Sequence[Entry]) -> bool:
        """Tell whether a history must be folded from its beginning whenever it grows."""
        changing = self.changes_earlier
        return changing is None or any(isinstance(entry.event, changing) for entry in history)
