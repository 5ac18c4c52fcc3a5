"""The synchronous face: the same door for callers without an event loop, and the contracts of `eventsourcing`.

A thread runs the loop; nothing is decided or written in another way than through `Ledger`. The command line and the
tests use this; a web handler never does. `LedgerApplication` is the library's Application over it: its Repository
folds orders with `projector_func`, its recorder passes the library's own suite.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self, TypeVar, cast
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.persistence import (
    ApplicationRecorder,
    InfrastructureFactory,
    IntegrityError,
    Mapper,
    Notification,
    StoredEvent,
    Subscription,
)
from eventsourcing.utils import Environment, EnvType

from domain.context import StreamKind
from domain.leaves import canonical
from domain.ledger import Ledger, Receipt
from domain.recorder import texts
from domain.refusals import ClosedDoor
from domain.sealing import Entropy, Keyring
from domain.settling import Before, Draft, Proposal, Written
from domain.terms import Act, Actor, Entry, Fact, Origin, Role

T = TypeVar("T")


class BlockingLedger:
    """A ledger whose every call waits for its answer; any number of threads may share it."""

    def __init__(self, opening: Callable[[], Coroutine[Any, Any, Ledger]]) -> None:
        self._loop = asyncio.new_event_loop()
        self._door = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._loop.run_forever, name="ledger", daemon=True)
        self._thread.start()
        try:
            self.ledger = self.wait(opening())
        except BaseException:
            self._end()
            raise

    @classmethod
    def open(
        cls, dsn: str, city: str, *, kinds: Iterable[StreamKind], keyring: Keyring, entropy: Entropy, **settings: Any
    ) -> Self:
        """Open a city's ledger as `Ledger.open` does."""
        return cls(lambda: Ledger.open(dsn, city, kinds=kinds, keyring=keyring, entropy=entropy, **settings))

    def wait(self, doing: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the ledger's loop and return what it returns. Raises ClosedDoor once it was closed."""
        with self._door:  # nothing may be handed to a loop that nobody runs any more: it would never answer
            if self._closed:
                doing.close()
                raise ClosedDoor
            answer = asyncio.run_coroutine_threadsafe(doing, self._loop)
        try:
            return answer.result()
        except CancelledError as error:
            raise ClosedDoor from error

    def execute(self, command: Act, **said: Any) -> Receipt:
        """Carry out a command: `Ledger.execute`."""
        return self.wait(self.ledger.execute(command, **said))

    def record(self, facts: Sequence[Fact], **said: Any) -> Receipt:
        """Record facts of another system: `Ledger.record`."""
        return self.wait(self.ledger.record(facts, **said))

    def history(self, stream: str, *, recorded_by: datetime | None = None) -> list[Entry]:
        """Return a stream's entries: `Ledger.history`."""
        return self.wait(self.ledger.history(stream, recorded_by=recorded_by))

    def fold(self, stream: str) -> Any:
        """Return a stream's state: `Ledger.fold`."""
        return self.wait(self.ledger.fold(stream))

    def read(self, after: int, limit: int) -> list[Entry]:
        """Return entries after a position: `Ledger.read`."""
        return self.wait(self.ledger.read(after, limit))

    def head(self) -> tuple[int, datetime]:
        """Return the last position and its time: `Ledger.head`."""
        return self.wait(self.ledger.head())

    def application(self) -> LedgerApplication:
        """Return the library's Application over this ledger."""
        return LedgerApplication(self)

    def close(self) -> None:
        """Write what waits, close the ledger, tell those who still wait, then end the thread."""
        if not self._closed:
            try:
                self.wait(self.ledger.close())
            finally:
                self._end()

    def _end(self) -> None:
        with self._door:
            self._closed = True
        asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


# --- the contracts of eventsourcing ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recorded:
    """An entry as the library's Repository hands it to a `projector_func`."""

    originator_id: str
    originator_version: int
    entry: Entry


@dataclass(frozen=True)
class StoredRecord(StoredEvent):
    """A stored event that keeps its entry, because an event alone does not say who did it, or when."""

    entry: Entry


class LedgerRecorder(ApplicationRecorder):
    """The library's ApplicationRecorder over the ledger's writer: ids are positions, dense from 1.

    Streams have text ids; a stream may start at version 0 or 1. States must be UTF-8 text.
    """

    def __init__(self, blocking: BlockingLedger, *, actor: Actor | None = None) -> None:
        self._blocking = blocking
        self._actor = actor or Actor(user="recorder", role=Role.SYSTEM)

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Record events in one commit at exactly the versions they name; IntegrityError where one is not next.

        With a `command_id`, once: the same events again return the positions they were given.
        """
        if not stored_events:
            return None
        return self._blocking.wait(self._insert(stored_events, kwargs))

    async def _insert(self, stored_events: Sequence[StoredEvent], said: Mapping[str, Any]) -> list[int]:
        drafts = [
            Draft(str(event.originator_id), event.topic, event.state, version=event.originator_version)
            for event in stored_events
        ]
        ledger = self._blocking.ledger
        proposal = Proposal(
            command_id=said.get("command_id") or str(ledger.fresh_id()),
            digest=ledger.digest(canonical([draft[:5] for draft in drafts])),
            stream=drafts[0].stream,
            now=await ledger.now(),
            actor=canonical(self._actor).decode(),
            origin=Origin.LIVE.value,
            steps=drafts,
        )
        match await ledger.submit(proposal):
            case Written(rows):
                return [row.position for row in rows]
            case Before(known):
                return list(range(known.first_position, known.first_position + known.n))
            case _:
                raise IntegrityError(f"not the next version: {[draft[:2] for draft in drafts]}")

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Return a stream's events with versions in (gt, lte]."""
        rows = self._blocking.wait(
            self._blocking.ledger.rows(
                "stored_of_stream_backwards" if desc else "stored_of_stream",
                str(originator_id),
                -1 if gt is None else gt,
                _ALL if lte is None else lte,
                _ALL if limit is None else limit,
            )
        )
        return [StoredEvent(str(originator_id), row[1], row[2], row[3].encode()) for row in rows]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Return events by position."""
        after = (start or 0) - int(inclusive_of_start and start is not None)
        rows = self._blocking.wait(
            self._blocking.ledger.rows("stored_page", after, _ALL if stop is None else stop, texts(topics), limit)
        )
        return [Notification(row[1], row[2], row[3], row[4].encode(), row[0]) for row in rows]

    def max_notification_id(self) -> int | None:
        """Return the last position, or None."""
        return self._blocking.head()[0] or None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        """Return a subscription that asks again every little while: the ledger has no NOTIFY on its write path."""
        return PollingSubscription(self, gt, topics)


_ALL = (1 << 62) - 1


class PollingSubscription(Subscription[ApplicationRecorder]):
    """Yields notifications for ever; waits a little where there is none."""

    pause = 0.05
    page = 500

    def __init__(self, recorder: ApplicationRecorder, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder, gt, topics)
        self._stopped = threading.Event()
        self._held: list[Notification] = []

    def stop(self) -> None:
        """End the iteration."""
        super().stop()
        self._stopped.set()

    def __next__(self) -> Notification:
        while not self._stopped.is_set():
            if not self._held:
                self._held = list(
                    self._recorder.select_notifications(
                        self._last_notification_id or 0, self.page, topics=self._topics, inclusive_of_start=False
                    )
                )
            if self._held:
                notification = self._held.pop(0)
                self._last_notification_id = notification.id
                return notification
            self._stopped.wait(self.pause)
        raise StopIteration


class EntryMapper(Mapper[str]):
    """The library's Mapper over the ledger's stored form."""

    def __init__(self, ledger: Ledger) -> None:
        self._codec = ledger.codec

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """Refuse: events come from decisions, through `execute` or `record`, and from nowhere else."""
        raise NotImplementedError("events are recorded through Ledger.execute or Ledger.record")

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """Return the entry of a stored record, as a `projector_func` takes it."""
        entry = cast("StoredRecord", stored_event).entry
        return Recorded(str(stored_event.originator_id), stored_event.originator_version, entry)


class _EntryRecorder(LedgerRecorder):
    """Reads entries, not bare events: an entry knows its actor and its instants."""

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        entries = self._blocking.history(str(originator_id))
        chosen = [e for e in entries if (gt is None or e.version > gt) and (lte is None or e.version <= lte)]
        chosen = list(reversed(chosen)) if desc else chosen
        return [StoredRecord(e.stream, e.version, "", b"", e) for e in chosen[:limit]]


class _Factory(InfrastructureFactory[Any]):
    """Hands the library the ledger's own parts."""

    def __init__(self, blocking: BlockingLedger) -> None:
        super().__init__(Environment("ledger", {}))
        self._blocking = blocking

    def mapper(self, *_: Any, **__: Any) -> Mapper[Any]:
        return EntryMapper(self._blocking.ledger)

    def application_recorder(self) -> ApplicationRecorder:
        return _EntryRecorder(self._blocking)

    def aggregate_recorder(self, purpose: str = "events") -> ApplicationRecorder:
        raise NotImplementedError(f"no {purpose} beside the ledger: nothing is kept that can be folded")

    def tracking_recorder(self, tracking_recorder_class: Any = None) -> Any:
        raise NotImplementedError("followers keep their own checkpoints")

    def process_recorder(self) -> Any:
        raise NotImplementedError("followers keep their own checkpoints")


class LedgerApplication(Application[str]):
    """The library's Application: `repository.get(stream, projector_func=…)` and the notification log."""

    def __init__(self, blocking: BlockingLedger) -> None:
        self._blocking = blocking
        super().__init__()

    def construct_env(self, name: str, env: EnvType | None = None) -> Environment:
        """Take nothing from the process's environment."""
        return Environment(name, dict(env or {}))

    def construct_factory(self, env: Environment) -> InfrastructureFactory[Any]:  # noqa: ARG002
        """Return the ledger's own parts."""
        return _Factory(self._blocking)

    def get(self, stream: str, *, version: int | None = None) -> Any:
        """Return the state of a stream, or as it was at a version. Raises the library's AggregateNotFoundError."""

        def project(_: Any, events: Iterable[Recorded]) -> Any:
            return self._blocking.ledger.fold_entries(stream, [event.entry for event in events])

        return self.repository.get(stream, version=version, projector_func=cast("Any", project))
