"""共享. What a consumer is told of what happened, as CloudEvents: bounded by its agreement, and about nobody by name.

Without an agreement only that it happened, to which record and when. What is confidential about an order keeps the
whole order back, whenever it became so: an informant's, a suspected state secret's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from api.access import units_of
from api.views import sealed_fields
from domain import order as orders
from domain.kinds import TOLD
from domain.law import Law
from domain.ledger import Ledger
from domain.sharing import Agreement
from domain.state import WorkOrder
from domain.steps.registration import SecretStubRegistered
from domain.terms import Confidentiality, Entry, RefusalReason

KINDS = frozenset(name.partition(".")[0] for name in TOLD)
"""Streams that are told of. Who looked at what, who called, and whose data were erased, are nobody else's."""


class Told(NamedTuple):
    """One event as it goes out, and the position it stands at."""

    position: int
    event: dict[str, Any]


def envelope(city: str, entry: Entry) -> dict[str, Any]:
    """Return an entry as a CloudEvent: what, about which record, when; who it is about is pulled, with a reason."""
    return {
        "specversion": "1.0",
        "id": f"{entry.position}",
        "source": f"/v1/{city}",
        "type": f"huiyin.{_tag(entry)}",
        "subject": entry.stream,
        "time": entry.recorded_at.isoformat(),
        "datacontenttype": "application/json",
        "data": {
            "stream": entry.stream,
            "version": entry.version,
            "position": entry.position,
            "at": entry.at.isoformat(),
            "origin": entry.origin,
            "role": entry.actor.role,
            "unit": entry.actor.unit,
        },
    }


def _tag(entry: Entry) -> str:
    return str(entry.event.__struct_config__.tag)


def everything(city: str, entries: Sequence[Entry]) -> list[Told]:
    """Return what those are told who watch over all of it: that it happened, and nothing of its content."""
    return [Told(e.position, envelope(city, e)) for e in entries if e.stream.partition(":")[0] in KINDS]


async def bounded(ledger: Ledger, law: Law, agreement: Agreement, entries: Sequence[Entry]) -> list[Told]:
    """Return what a consumer is told of entries under its agreement."""
    meant = [entry for entry in entries if _tag(entry) in agreement.event_types and _tag(entry) in TOLD]
    streams = list(dict.fromkeys(entry.stream for entry in meant if entry.stream.startswith("order:")))
    histories = dict(zip(streams, await ledger.histories(streams), strict=True)) if streams else {}
    told: list[Told] = []
    for stream, history in histories.items():
        case = orders.fold(history)
        if case is None or _kept_back(case, history):
            continue
        fields = agreement.shared_fields - (_WHERE if case.confidentiality is Confidentiality.PRIVACY else frozenset())
        wanted = [entry for entry in meant if entry.stream == stream]
        concerned = _concerned(history, wanted, law, agreement)
        told += (_told(ledger.city, agreement, entry, fields) for entry in concerned)
    for entry in meant:
        if not entry.stream.startswith("order:") and _of_units(entry, law, agreement):
            told.append(_told(ledger.city, agreement, entry, agreement.shared_fields))
    return sorted(told, key=lambda one: one.position)


_WHERE = frozenset({"title", "place"})
"""Fields that stay here where the applicant asked for confidentiality (工单保密)."""


def _told(city: str, agreement: Agreement, entry: Entry, shared: frozenset[str]) -> Told:
    """Return an entry with those of its fields that may go along; what is sealed never does."""
    event = envelope(city, entry)
    fields: dict[str, Any] = {}
    for name in entry.event.__struct_fields__:
        value = getattr(entry.event, name)
        if name in shared and value not in (None, "", ()) and not any(sealed_fields(value)):
            fields[name] = msgspec.to_builtins(value)
    event["data"]["agreement"] = agreement.number
    if fields:
        event["data"]["fields"] = fields
    return Told(entry.position, event)


def _kept_back(case: WorkOrder, history: Sequence[Entry]) -> bool:
    """Tell whether an order is told to nobody outside: an informant's, or what is or may be a state secret."""
    return (
        isinstance(history[0].event, SecretStubRegistered)
        or case.confidentiality is Confidentiality.INFORMANT
        or case.filing.refusal == RefusalReason.STATE_SECRET
        or any(getattr(e.event, "confidentiality", None) is Confidentiality.INFORMANT for e in history)
    )


def _concerned(history: Sequence[Entry], wanted: Sequence[Entry], law: Law, agreement: Agreement) -> list[Entry]:
    """Return those of an order's entries by which the agreement's units had it: as it stood then, not as it is now."""
    if not agreement.units:
        return list(wanted)
    found: list[Entry] = []
    case: WorkOrder | None = None
    versions = {entry.version for entry in wanted}
    for entry in history:
        case = orders.evolve(case, entry)
        if entry.version in versions and case is not None and _within(units_of(case), entry, law, agreement):
            found.append(entry)
    return found


def _of_units(entry: Entry, law: Law, agreement: Agreement) -> bool:
    """Tell whether what is not about one order is about the agreement's units."""
    if not agreement.units:
        return True
    named = {getattr(entry.event, "unit", ""), *getattr(entry.event, "units", ())} - {"", None}
    return _within(named, entry, law, agreement)


def _within(units: set[str] | frozenset[str], entry: Entry, law: Law, agreement: Agreement) -> bool:
    return any(law.is_within(unit, above, entry.at) for unit in units for above in agreement.units)
