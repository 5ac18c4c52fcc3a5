"""The way the `eventsourcing` library keeps tables: its `ProjectionRunner`, one event a transaction, on a sample."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from eventsourcing.application import Application
from eventsourcing.persistence import Mapper, StoredEvent, Tracking, Transcoder
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection as StockProjection
from eventsourcing.projection import ProjectionRunner
from psycopg import RawCursor
from psycopg.conninfo import conninfo_to_dict

from domain import order, recorder
from domain.kinds import KINDS
from domain.law import Law
from domain.state import WorkOrder
from domain.stored import Codec
from projections.case import Case, Projection
from projections.reading import entry_of
from scripts.bench.trial import City

SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
STATEMENTS = {"orders": ("delete_order", "insert_order"), "clocks": ("delete_clocks", "insert_clock")}


class _Envelope(msgspec.Struct):
    """An event with what the ledger keeps in its commit, as the library's table has no other place for it."""

    recorded_at: datetime
    occurred_at: datetime | None
    origin: str
    actor: str
    numbers: str
    event: msgspec.Raw


class _Mapper(Mapper[str]):
    """Hands events over as entries, put together as the engine puts them together."""

    def __init__(self) -> None:
        self._codec = Codec(KINDS)
        self._decoder = msgspec.json.Decoder(_Envelope)

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """Refuse: what is stored comes from the ledger."""
        raise NotImplementedError

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """Return the entry of a stored event."""
        said = self._decoder.decode(stored_event.state)
        about = (said.origin, said.actor, said.numbers)
        where = (stored_event.originator_id, stored_event.topic, bytes(said.event))
        return entry_of(
            self._codec, (0, stored_event.originator_version, said.recorded_at, said.occurred_at, *where, *about)
        )


class _Application(Application[str]):
    """The library's application over its own table of events."""

    def construct_mapper(self) -> Mapper[str]:
        """Return what knows the stored form."""
        return _Mapper()

    def construct_transcoder(self) -> Transcoder:
        """Refuse: the mapper needs none."""
        raise NotImplementedError


class _View(PostgresTrackingRecorder):
    """Rows and tracking, written in one transaction."""

    def show(
        self, named: Mapping[str, bytes], projections: Sequence[Projection], case: Case, tracking: Tracking
    ) -> None:
        """Write a case's rows."""
        with self.datastore.transaction(commit=True) as cursor, cursor.connection.pipeline():
            raw = RawCursor(cursor.connection)
            for projection in projections:
                delete, insert = STATEMENTS[projection.name]
                raw.execute(named[delete], [case.order.id])
                for row in projection.derive(case):
                    raw.execute(named[insert], msgspec.structs.astuple(row))
            self._insert_tracking(cursor, tracking)


def follow(city: City, law: Law, projections: Sequence[Projection], events: int) -> tuple[int, float]:
    """Let the library follow the first events of cases; return how many there were, and seconds.

    Each event is folded on the state that its case has in memory: what the library asks for, and nothing slower.
    """
    named = recorder.statements(SQL, city.name)
    with psycopg.connect(city.database.superuser, autocommit=True) as connection:
        for statement in named["create"].split(b";"):
            connection.execute(statement)
        raw = RawCursor(connection)
        found = raw.execute(named["sample"], [events]).fetchall()

    class Sample(_Application):
        """With tables of its own for each time."""

        name = f"sample_{len(projections)}"

    class Follower(StockProjection[_View]):
        """What the library calls for each event."""

        name = f"tracking_{len(projections)}"
        states: dict[str, WorkOrder | None] = {}

        def process_event(  # pyright: ignore[reportIncompatibleVariableOverride]  one function does for every event
            self, domain_event: Any, tracking: Tracking
        ) -> None:
            """Fold one event and write its case's rows."""
            state = self.states[domain_event.stream] = order.evolve(self.states.get(domain_event.stream), domain_event)
            if state is not None:
                self.view.show(named, projections, Case(state, tracking.notification_id, law), tracking)

    environment = _environment(city)
    with Sample(environment) as application:
        for start in range(0, len(found), 500):
            application.recorder.insert_events([_stored(row) for row in found[start : start + 500]])
    began = time.perf_counter()
    with ProjectionRunner(
        application_class=Sample, projection_class=Follower, view_class=_View, env=environment
    ) as runner:
        last = runner.app.recorder.max_notification_id()
        runner.wait(last, timeout=600)
    return len(found), time.perf_counter() - began


def _stored(row: Sequence[Any]) -> StoredEvent:
    stream, version, topic, state, recorded_at, occurred_at, origin, actor, numbers = row
    said = _Envelope(recorded_at, occurred_at, origin, actor, numbers, msgspec.Raw(state.encode()))
    return StoredEvent(stream, version, topic, msgspec.json.encode(said))


def _environment(city: City) -> dict[str, str]:
    said = conninfo_to_dict(city.database.superuser)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(said["dbname"]),
        "POSTGRES_HOST": str(said["host"]),
        "POSTGRES_PORT": str(said.get("port", "5432")),
        "POSTGRES_USER": str(said["user"]),
        "POSTGRES_PASSWORD": str(said.get("password", "") or "none"),
        "POSTGRES_SCHEMA": f"{city.name}_projections",
        "ORIGINATOR_ID_TYPE": "text",
    }
