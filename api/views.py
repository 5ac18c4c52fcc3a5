"""How records are shown: what the matrix leaves of them, as plain data. Nothing sealed is ever in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

import msgspec

from api.access import OVERSEERS, Data, Grade, Sight, Viewer, about, words
from domain import order as orders
from domain.clocks import Clock, clocks
from domain.explanation import explain
from domain.law import Law
from domain.refusals import UnknownOrder
from domain.sealing import keys_in
from domain.state import WorkOrder
from domain.terms import Entry, Fact, Role, Sealed
from projections.orders import OrderRow

SEALED = {"sealed": True}
"""What stands where a sealed text lies: it is opened by itself, with a reason."""

ERASED = {"sealed": True, "erased": True}
"""What stands where a sealed text lay whose key was destroyed: nobody opens it any more."""

_BOX = re.compile(rb'\{"key":"([^"]*)","box":"[^"]*"\}')
_PERSON = re.compile(rb',"subject":"[0-9a-f-]{36}"')
_PERSON_FIRST = re.compile(rb'"subject":"[0-9a-f-]{36}",?')
"""What is sealed, and the random id that ties a person's cases together, as msgspec writes them. Inside a text no
quotation mark stands without a backslash before it, so that nobody can write a text that looks like either. Each
begins with one word and no choice: what begins with a choice is looked for at every byte, ten times as slowly."""


def keys_of(entries: Iterable[Entry]) -> set[str]:
    """Return the keys that entries are sealed with."""
    return set(keys_in(msgspec.json.encode([entry.event for entry in entries])))


def plain(value: Any, gone: AbstractSet[str] = frozenset()) -> Any:
    """Return a value as plain data, the ids of persons left out.

    Every sealed text is replaced by `SEALED`, by `ERASED` where its key is among those that are `gone`.
    """
    written = msgspec.json.encode(value)
    if b'"box":"' in written:
        if gone:
            written = _BOX.sub(lambda box: _SEALED[box[1].decode() in gone], written)
        else:
            written = _BOX.sub(_SEALED[False], written)
    if b'"subject":"' in written:
        written = _PERSON_FIRST.sub(b"", _PERSON.sub(b"", written))
    return msgspec.json.decode(written)


_SEALED = {False: msgspec.json.encode(SEALED), True: msgspec.json.encode(ERASED)}


def sealed_fields(value: object, path: str = "") -> Iterator[tuple[str, Sealed]]:
    """Yield the sealed fields of an event, by their paths."""
    if isinstance(value, Sealed):
        yield path, value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from sealed_fields(getattr(value, name), f"{path}.{name}" if path else name)
    elif isinstance(value, tuple | list):
        for number, item in enumerate(value):
            yield from sealed_fields(item, f"{path}.{number}")


# --- entries -----------------------------------------------------------------------------------------------------


_CASES = frozenset({"order", "orders"})


def without_cases(view: dict[str, Any]) -> dict[str, Any]:
    """Return a record or an event without the ids of cases: when a case was registered can be read in its id."""
    told = {name: value for name, value in view.items() if name not in _CASES}
    if "dossiers" in told:
        told["dossiers"] = [without_cases(one) for one in told["dossiers"]]
    return told


def entry_view(entry: Entry, *, named: bool = True, gone: AbstractSet[str] = frozenset()) -> dict[str, Any]:
    """Return an entry: what happened, when, by whom; `named`: with the official who did it."""
    actor = {"role": entry.actor.role, "unit": entry.actor.unit}
    if named:
        actor["user"] = entry.actor.user
    found = {
        "stream": entry.stream,
        "version": entry.version,
        "position": entry.position,
        "type": str(entry.event.__struct_config__.tag),
        "at": entry.at,
        "recorded_at": entry.recorded_at,
        "occurred_at": entry.occurred_at,
        "origin": entry.origin,
        "actor": actor,
        "on_behalf_of": entry.on_behalf_of,
        "reason": entry.reason,
        "numbers": entry.numbers,
        "event": plain(entry.event, gone),
    }
    found["event"].pop("type", None)
    return {name: value for name, value in found.items() if value or value == 0 or name == "event"}


def order_entries(entries: Sequence[Entry], seen: Sight) -> Iterator[Entry]:
    """Yield the entries of a case that somebody may know of: of a unit's, what happened in its own episodes."""
    every = seen.grade(Data.TIMELINE)
    case: WorkOrder | None = None
    for entry in entries:
        if seen.who.of_unit and every is Grade.OWN:
            case = orders.evolve(case, entry)
        data = about(entry.event)
        graded = seen.grade(data)
        if graded in (Grade.NONE, Grade.AGGREGATE, Grade.APPROVED):
            continue
        if graded is Grade.OWN and not _own(entry, data, case, seen):
            continue
        yield entry


STAGES = frozenset(
    words(
        "order_registered order_supplemented supplement_requested order_dispatched assignment_signed reply_submitted"
        " applicant_informed extension_informed order_closed not_accepted direct_answered order_withdrawn"
        " evaluation_recorded initial_response_submitted progress_reported caller_referred order_reopened"
    )
)
"""What an applicant is shown of the way their case went (DOMAIN 4.3, public stages)."""


def _own(entry: Entry, data: Data, case: WorkOrder | None, seen: Sight) -> bool:
    if seen.who.role is Role.CITIZEN:
        return str(entry.event.__struct_config__.tag).partition(".")[2] in STAGES
    if entry.actor.unit in seen.who.below or _unit_of(entry.event) in seen.who.below:
        return True
    if data is not Data.TIMELINE:
        return False
    if case is None or case.episode is None:
        return True  # registration and what the desk did before anybody was asked
    return case.episode.no in seen.episodes


def _unit_of(event: Fact) -> str:
    return getattr(event, "unit", "") or ""


def order_history(entries: Sequence[Entry], seen: Sight, gone: AbstractSet[str] = frozenset()) -> list[dict[str, Any]]:
    """Return the history of a case as somebody may see it."""
    named = seen.who.role not in OVERSEERS and seen.who.role is not Role.CITIZEN
    return [_masked(entry_view(entry, named=named, gone=gone), seen) for entry in order_entries(entries, seen)]


def _masked(view: dict[str, Any], seen: Sight) -> dict[str, Any]:
    if seen.who.role in OVERSEERS or seen.who.role is Role.CITIZEN:
        view["event"] = {name: value for name, value in view["event"].items() if name not in _NOT_OUTSIDE}
        view.pop("on_behalf_of", None)
    elif seen.who.of_unit:
        view["event"].pop("accused", None)
    return view


_NOT_OUTSIDE = frozenset(
    words(
        "applicant accused accused_persons address place call_id external_ref old_number intake_number position caller"
        " approved_by drafted_by handler by signed_by people user"
    )
)
"""Fields of events that tell overseers and applicants who or where somebody is."""


# --- one case ----------------------------------------------------------------------------------------------------


def case_of(entries: Sequence[Entry], name: str = "") -> WorkOrder:
    """Return the case that entries make. Raises UnknownOrder."""
    case = orders.fold(entries)
    if case is None:
        raise UnknownOrder(name)
    return case


def order_view(case: WorkOrder, seen: Sight, gone: AbstractSet[str] = frozenset()) -> dict[str, Any]:
    """Return a case as somebody may see it."""
    view = plain(case, gone)
    for name in ("signers", "corrections" if not seen.full(Data.OPINIONS) else ""):
        view.pop(name, None)
    if not seen.full(Data.OPINIONS):
        view["proposals"] = [p for p in view.get("proposals", []) if seen.who.of_unit and p["unit"] in seen.who.below]
    for proposal in view.get("proposals", []):
        proposal.pop("content", None)
    _quality(view, seen)
    _oversight(view, seen)
    if seen.who.of_unit:
        view["demand"].pop("accused", None)
        if not seen.full(Data.TIMELINE):
            view["episodes"] = [e for e in view.get("episodes", []) if e["no"] in seen.episodes]
            view["replies"] = [r for r in view.get("replies", []) if r["episode"] in seen.episodes]
    if seen.who.role in OVERSEERS or seen.who.role is Role.CITIZEN:
        return _from_outside(view, seen)
    return view


def _quality(view: dict[str, Any], seen: Sight) -> None:
    graded = seen.grade(Data.EVALUATIONS)
    if graded is Grade.FULL or "quality" not in view:
        return
    if graded is Grade.OWN:
        quality = view["quality"]
        mine = {r["no"] for r in view.get("replies", []) if r["episode"] in seen.episodes}
        quality["evaluations"] = [e for e in quality.get("evaluations", []) if e["reply"] in mine]
        return
    view.pop("quality", None)


def _oversight(view: dict[str, Any], seen: Sight) -> None:
    over = view.get("oversight", {})
    for name, data in (
        ("notices", Data.NOTICES),
        ("instructions", Data.INSTRUCTIONS),
        ("appeals", Data.OPINIONS),
        ("whistles", Data.TIMELINE),
        ("decisions", Data.TIMELINE),
    ):
        graded = seen.grade(data)
        if graded is Grade.OWN and seen.who.of_unit:
            over[name] = [one for one in over.get(name, []) if one.get("unit") in seen.who.below]
        elif graded is Grade.MASKED:
            over[name] = [{k: one[k] for k in ("no", "kind", "state") if k in one} for one in over.get(name, [])]
        elif graded is not Grade.FULL:
            over.pop(name, None)


_OUTSIDE = ("id", "number", "state", "version", "registered", "attributes", "policy", "round", "links")


def _from_outside(view: dict[str, Any], seen: Sight) -> dict[str, Any]:
    """Return what overseers and applicants see: the way it went, figures and codes, never who."""
    demand = {k: view["demand"][k] for k in ("title", "category", "channel", "district") if k in view["demand"]}
    found = {name: view[name] for name in _OUTSIDE if name in view and name != "links"}
    found["demand"] = demand
    found["episodes"] = [
        {k: e[k] for k in ("no", "round", "type", "begun", "lead", "ended", "ended_as") if k in e}
        for e in view.get("episodes", [])
    ]
    found["replies"] = [
        {k: r[k] for k in ("no", "round", "unit", "submitted", "outcome", "informed") if k in r}
        for r in view.get("replies", [])
    ]
    found["filing"] = {k: v for k, v in view.get("filing", {}).items() if k in ("closed", "kind", "filed")}
    if seen.who.role in OVERSEERS:
        found["oversight"] = {"notices": view.get("oversight", {}).get("notices", [])}
    return found


def clock_views(
    case: WorkOrder, law: Law, now: datetime, seen: Sight, *, explained: bool = False
) -> list[dict[str, Any]]:
    """Return the clocks of a case as somebody may see them, with the articles behind them where `explained`."""
    return [_clock(clock, law, now, explained=explained) for clock in _clocks_seen(clocks(case, law), seen)]


def _clocks_seen(found: Iterable[Clock], seen: Sight) -> Iterator[Clock]:
    graded = seen.grade(Data.TIMELINE)
    for clock in found:
        if graded is Grade.NONE:
            continue
        if graded is not Grade.OWN or clock.unit in seen.who.below or clock.name == "handle":
            yield clock


def _clock(clock: Clock, law: Law, now: datetime, *, explained: bool) -> dict[str, Any]:
    found = {
        "name": clock.name,
        "title": clock.rule.title,
        "key": clock.key,
        "unit": clock.unit,
        "start": clock.start.at,
        "due": clock.due,
        "stopped": None if clock.stop is None else clock.stop.at,
        "cancelled": None if clock.cancel is None else clock.cancel.at,
        "status": clock.status(now),
        "provisional": clock.provisional,
        "article": clock.rule.basis.article,
    }
    if explained:
        found["explanation"] = plain(explain(clock, law))
    return {name: value for name, value in found.items() if value is not None}


# --- rows --------------------------------------------------------------------------------------------------------

_ROW_OUTSIDE = words(
    "id number title category district channel demand_type urgency complexity of_class state closure_kind is_open"
    " unit round registered_at dispatched_at replied_at closed_at filed_at handle_due version position"
)


def row_view(row: OrderRow, who: Viewer) -> OrderRow | dict[str, Any]:
    """Return a row of a worklist as somebody may see it: no table holds anything sealed."""
    if who.role in OVERSEERS:
        return {name: getattr(row, name) for name in _ROW_OUTSIDE}
    return row
