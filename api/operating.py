"""For whoever runs it: whether it lives, whether it is ready, what it counts, and a line in the log for each request.

Nothing here names a person: neither who asked nor about whom.
"""

from __future__ import annotations

import json
import logging
import traceback
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from api.asking import Answer, House
from domain.refusals import Refusal

LOG = logging.getLogger("huiyin.api")

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 30)


class Gauges:
    """What is counted: requests by route and status, how long they took, how far ledger and tables have come."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ("operation", "status")
        self._requests = Counter("huiyin_requests", "Requests answered", labels, registry=self._registry)
        self._seconds = Histogram(
            "huiyin_request_seconds", "How long they took", ("operation",), buckets=_SECONDS, registry=self._registry
        )
        self._held: dict[tuple[str, int], tuple[Counter, Histogram]] = {}  # finding them by their labels takes long
        self._refused = Counter("huiyin_refusals", "Refusals by code", ("code",), registry=self._registry)
        self._position = Gauge(
            "huiyin_ledger_position", "The ledger's last position", ("city",), registry=self._registry
        )
        self._behind = Gauge(
            "huiyin_table_behind", "Positions that a table lacks", ("city", "table"), registry=self._registry
        )
        self._blocked = Gauge(
            "huiyin_table_blocked", "1: a table met what it cannot take in", ("city", "table"), registry=self._registry
        )

    def count(self, operation: str, status: int, seconds: float, code: str) -> None:
        """Count one request."""
        held = self._held.get((operation, status))
        if held is None:
            held = self._requests.labels(operation, str(status)), self._seconds.labels(operation)
            self._held[operation, status] = held
        held[0].inc()
        held[1].observe(seconds)
        if code:
            self._refused.labels(code).inc()

    async def text(self, house: House) -> bytes:
        """Return everything in Prometheus' text format."""
        for city in house.cities.values():
            position, _ = await city.ledger.head()
            self._position.labels(city.name).set(position)
            for row in await city.shown.status():
                if row.active:
                    self._behind.labels(city.name, row.name).set(row.lag)
                    self._blocked.labels(city.name, row.name).set(bool(row.error))
        return generate_latest(self._registry)


async def ready(house: House) -> tuple[bool, dict[str, Any]]:
    """Tell whether every city answers, with what each one said."""
    told: dict[str, Any] = {}
    for city in house.cities.values():
        try:
            position, _ = await city.ledger.head()
            rows = [row for row in await city.shown.status() if row.active]
            told[city.name] = {"position": position, "behind": max((row.lag for row in rows), default=0)}
            told[city.name]["blocked"] = [row.name for row in rows if row.error]
        except (Refusal, psycopg.Error, OSError) as error:
            told[city.name] = {"error": error.code() if isinstance(error, Refusal) else type(error).__name__}
    return all("error" not in one for one in told.values()), told


def note(operation: str, method: str, answer: Answer, seconds: float, *, trace: str, role: str, code: str) -> None:
    """Write the line of one request."""
    line = {
        "operation": operation,
        "method": method,
        "status": answer.status,
        "ms": round(seconds * 1000, 2),
        "role": role,
        "code": code,
        "trace": trace,
    }
    LOG.info("request", extra={"said": {name: value for name, value in line.items() if value != ""}})


def note_error(error: BaseException, instance: str) -> None:
    """Write where an error inside the program came from; its words may hold what somebody said, and stay out."""
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames[-12:]]
    LOG.error("error", extra={"said": {"error": type(error).__name__, "where": where, "instance": instance}})


class Lines(logging.Formatter):
    """A JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line of JSON."""
        said = getattr(record, "said", None)
        line = {"at": datetime.fromtimestamp(record.created).astimezone().isoformat(), "level": record.levelname}
        if isinstance(said, dict):
            return json.dumps({**line, "what": record.msg, **said}, ensure_ascii=False)
        return json.dumps({**line, "what": record.getMessage()}, ensure_ascii=False)
