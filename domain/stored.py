"""The stored form of an event: JSON of its struct under a stable tag, never an import path.

The JSON carries its tag as `type` too, although the column `topic` says the same: a state that is copied out alone,
into a file or a dossier, still says what it is, and the leaf proves it. An event type may have a method `upcast`; what
it returns takes its place whenever it is read, so that old shapes stay readable for ever and rules know only new ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from domain import journals
from domain.context import StreamKind
from domain.refusals import UnknownTopic
from domain.terms import SHANGHAI, Actor, Entry, Fact, Origin


class StoredEntry(NamedTuple):
    """An event row with what its commit says of it, as a reader needs it."""

    stream: str
    position: int
    version: int
    topic: str
    state: str
    recorded_at: datetime
    occurred_at: datetime | None
    origin: str
    actor: str
    on_behalf_of: str
    reason: str
    numbers: str
    command_id: str
    correlation_id: str
    causation_id: str


_ACTORS = msgspec.json.Decoder(Actor)
_NUMBERS = msgspec.json.Decoder(dict[str, tuple[int, ...]])


@lru_cache(maxsize=4096)
def _actor(text: str) -> Actor:
    return _ACTORS.decode(text)


@lru_cache(maxsize=1024)
def _numbers(text: str) -> dict[str, tuple[int, ...]]:
    return _NUMBERS.decode(text) if text else {}


_ORIGINS = {origin.value: origin for origin in Origin}


def tag(event: type[Fact]) -> str:
    """Return the stable tag of an event type. Raises TypeError where it has none."""
    found = event.__struct_config__.tag
    if not isinstance(found, str):
        raise TypeError(f"{event.__name__} has no tag")
    return found


class Codec:
    """Turns stored rows into entries: every event type that can lie in the ledger, by its tag."""

    def __init__(self, kinds: Iterable[StreamKind]) -> None:
        self._decoders: dict[str, msgspec.json.Decoder[Any]] = {}
        self._old: set[str] = set()  # the tags of shapes that something else takes the place of
        events = dict.fromkeys(journals.EVENTS) | {event: None for kind in kinds for event in kind.events}
        for event in events:
            if tag(event) in self._decoders:
                raise ValueError(f"two events are tagged {tag(event)}")
            self._decoders[tag(event)] = msgspec.json.Decoder(event)
            if hasattr(event, "upcast"):
                self._old.add(tag(event))

    def entry(self, row: StoredEntry) -> Entry:
        """Return a stored row as an entry. Raises UnknownTopic."""
        return Entry(
            event=self.event(row.topic, row.state),
            stream=row.stream,
            version=row.version,
            position=row.position,
            # In Shanghai's time from here on: every due instant is counted there (K1), and once is cheaper than each time.
            recorded_at=row.recorded_at.astimezone(SHANGHAI),
            occurred_at=row.occurred_at.astimezone(SHANGHAI) if row.occurred_at is not None else None,
            origin=_ORIGINS[row.origin],
            actor=_actor(row.actor),
            on_behalf_of=row.on_behalf_of,
            reason=row.reason,
            numbers=_numbers(row.numbers),
            command_id=row.command_id,
            correlation_id=row.correlation_id,
            causation_id=row.causation_id,
        )

    def event(self, topic: str, state: str | bytes) -> Fact:
        """Return a stored event in its present shape. Raises UnknownTopic."""
        decoder = self._decoders.get(topic)
        if decoder is None:
            raise UnknownTopic(topic)
        event = decoder.decode(state)
        if topic in self._old:
            while (upcast := getattr(event, "upcast", None)) is not None:
                event = upcast()
        return event
