"""A ledger in memory, for trying things out: a case script before it is imported, a rule before it is law.

It decides by the same rules as the door, but seals nothing, keeps nothing and promises nothing.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import msgspec

from domain import institution, order
from domain.context import Context
from domain.journals import series
from domain.kinds import KINDS
from domain.law import Law
from domain.leaves import rfc3339
from domain.ledger import Ledger, Receipt
from domain.policy import Pack
from domain.proposing import events_of
from domain.refusals import NotForThisStream, Refusal, TextNotStorable, TimeGoesBack, TwoPersonsNotAppointed
from domain.sealing import Survey
from domain.terms import Act, Actor, Entry, Fact, Number, Origin, Step, To
from scripts import wiring

_IDS = UUID("6f0c1e52-8a43-5c1c-9d1e-52a0c1e8a43f")
_KINDS = {kind.name: kind for kind in KINDS}


class Rehearsal:
    """A ledger in memory: folds, decides and numbers as the door does, and forgets.

    With a `source` it begins where that ledger stands: what it does not have in memory is read from there, and nothing
    is ever written back. `now` is what it takes for the instant of recording.
    """

    def __init__(self, now: datetime, source: Ledger | None = None) -> None:
        self.now = now
        self.source = source
        self.histories: dict[str, list[Entry]] = {}
        self.laws: list[tuple[datetime, Law]] = []  # since when each was law
        self.position = 0
        self.given: Counter[str] = Counter()
        self.drawn = 0

    @property
    def law(self) -> Law:
        """The law as it stands."""
        return self.laws[-1][1]

    def law_at(self, at: datetime | None) -> Law:
        """The law as it stood; the founding holds from the beginning."""
        if at is None:
            return self.law
        return next((law for since, law in reversed(self.laws[1:]) if since <= at), self.laws[0][1])

    def copied(self) -> Rehearsal:
        """The same, to be written on."""
        same = copy.copy(self)
        same.histories = {stream: [*entries] for stream, entries in self.histories.items()}
        same.laws, same.given = [*self.laws], Counter(self.given)
        return same

    def found(self, published: Sequence[Pack]) -> None:
        """Record the founding act of a city with these packs."""
        self.begin(
            wiring.founding_act(
                UUID(int=1), city_code="CD", city_name="某市", packs=[(pack, None) for pack in published]
            )
        )

    def begin(self, act: institution.Found) -> None:
        """Record a city's founding act."""
        steps = institution.decide(None, act, wiring.SYSTEM, self.now)
        self._write(institution.STREAM, steps, wiring.SYSTEM, self.now, origin=Origin.LIVE)

    def state(self, stream: str) -> Any:
        """Return the present state of a stream; None where it does not exist."""
        return fold(stream, self.histories.get(stream, ()))

    async def fold(self, stream: str) -> Any:
        """Return the present state of a stream, as the ledger's own `fold` does."""
        await self._have(stream)
        return self.state(stream)

    async def _have(self, *streams: str) -> None:
        """Bring into memory what the source has of these streams."""
        if self.source is None:
            return
        if not self.laws:
            self.laws.append((self.now, await self.source.law()))
            self.position, _ = await self.source.head()
        for stream in streams:
            if stream not in self.histories:
                self.histories[stream] = await self.source.history(stream)

    async def execute(
        self,
        command: Act,
        *,
        stream: str | None,
        actor: Actor,
        command_id: str,
        occurred_at: datetime,
        origin: Origin = Origin.IMPORT,
        reason: str = "",  # noqa: ARG002  as the ledger is asked
    ) -> Receipt:
        """Decide a command and keep what it makes happen. Raises Refusal, and nothing has happened."""
        if stream is None:
            stream = f"{getattr(command, 'creates', '')}:{self._draw()}"
        named = getattr(command, "reads", tuple)()
        await self._have(stream, *named)
        await self._sealable(command, stream, actor, command_id, occurred_at)
        kind = _KINDS.get(stream.partition(":")[0])
        if kind is None or type(command) not in kind.commands:
            raise NotForThisStream(f"{type(command).__name__} → {stream}")
        history = self.histories.get(stream, ())
        last = max((entry.at for entry in history if entry.origin is Origin.IMPORT), default=occurred_at)
        if last > occurred_at:
            raise TimeGoesBack(f"{rfc3339(occurred_at)} < {rfc3339(last)}")
        phone = getattr(getattr(command, "applicant", None), "phone", None)
        context = Context(
            actor=actor,
            now=occurred_at,
            law=self.law,
            stream=stream,
            origin=origin,
            others={other: self.state(other) for other in named},
            history=history,
            draw=self._draw,
            subject=uuid5(_IDS, phone) if isinstance(phone, str) else None,
            position=self.position,
            recording=max(self.now, occurred_at),
        )
        state = self.law if stream == institution.STREAM else self.state(stream)
        steps = kind.decide(state, command, context)
        return self._write(stream, steps, actor, occurred_at, origin=origin, command_id=command_id)

    async def _sealable(self, command: Act, stream: str, actor: Actor, command_id: str, occurred_at: datetime) -> None:
        """Ask the source's door about what nothing is decided by here: what it can store, and whom it can protect.

        Raises TextNotStorable, TwoPersonsNotAppointed.
        """
        if self.source is None:
            return
        if not Survey(command).informant and b"\\u0000" not in msgspec.json.encode(command):
            return
        try:
            await self.source.execute(
                command,
                stream=stream,
                actor=actor,
                command_id=command_id,
                occurred_at=occurred_at,
                origin=Origin.IMPORT,
                dry_run=True,
            )
        except (TextNotStorable, TwoPersonsNotAppointed):
            raise
        except Refusal:
            return  # it does not know what was only rehearsed

    async def head(self) -> tuple[int, datetime]:
        """Return the last position, and when it was recorded."""
        return self.position, self.now

    async def verify_stream(self, stream: str) -> list[Any]:  # noqa: ARG002  as the ledger is asked
        """Find nothing: what lies in memory has no leaves."""
        return []

    def _draw(self) -> UUID:
        self.drawn += 1
        return uuid5(_IDS, str(self.drawn))

    def _write(
        self,
        stream: str,
        steps: Sequence[Step],
        actor: Actor,
        at: datetime,
        *,
        origin: Origin,
        command_id: str = "",
    ) -> Receipt:
        numbers: dict[str, tuple[int, ...]] = {}
        for wish in (step for step in steps if isinstance(step, Number)):
            name = f"{wish.journal}/{series(wish, at)}"
            first = self.given[name] + 1
            self.given[name] += wish.count
            numbers[name] = (*numbers.get(name, ()), *range(first, first + wish.count))
        first_position = self.position + 1
        written: list[Entry] = []
        for step in steps:
            where, event = (step.stream, step.event) if isinstance(step, To) else (stream, step)
            if not isinstance(event, Fact):
                continue
            history = self.histories.setdefault(where, [])
            self.position += 1
            entry = Entry(
                event=event,
                stream=where,
                version=len(history) + 1,
                position=self.position,
                recorded_at=at if origin is Origin.LIVE else self.now,
                occurred_at=None if origin is Origin.LIVE else at,
                origin=origin,
                actor=actor,
                numbers=numbers,
                command_id=command_id,
            )
            history.append(entry)
            written.append(entry)
            if where == institution.STREAM:
                law = institution.evolve(self.laws[-1][1] if self.laws else None, entry)
                founding = len(self.laws) == 1 and origin is Origin.LIVE
                self.laws[len(self.laws) - founding :] = [(at, law)]
        self.position += len(events_of(steps)) - len(written)
        version = len(self.histories.get(stream, ()))
        return Receipt(command_id, stream, version, first_position, tuple(written), numbers, self.now, replayed=False)


def fold(stream: str, entries: Sequence[Entry]) -> Any:
    """Return the state that a stream's entries make, corrections applied."""
    name = stream.partition(":")[0]
    if name == order.KIND.name:
        return order.fold(entries)
    state = None
    for entry in entries:
        state = _KINDS[name].evolve(state, entry)
    return state
