"""Questions of supervisory offices: the clocks of a city, appeals against its figures, matters that are no orders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from api import sheets
from api.access import OVERSEERS, READERS, Data, Viewer, need, units_asked
from api.asking import Answer, Ask, listing, next_page
from api.figuring import wants_table
from api.problems import NotForThisRole, QueryUnfit
from api.reading import Ordinal, known, lister
from domain.clocks import Status
from domain.matters.matter import MatterKind
from domain.refusals import UnknownUnit
from domain.terms import ClockName, NoticeState, Role
from domain.units import DutyContact
from projections.answers import ClockState, DueChange, Listing
from projections.appeals import AppealRow
from projections.matters import MatterRow
from projections.notices import NoticeRow

MOST_LINES = 10_000
"""Lines of a table that is asked for without saying how many …"""

LINES_OF_UNIT = 2_000
"""… and of a unit's, for whom each case is looked at."""


class AppealState(StrEnum):
    """How far an appeal is."""

    OPEN = "open"
    UPHELD = "upheld"
    REJECTED = "rejected"


def limit(ask: Ask) -> int:
    """Return how many rows are wanted: of a table, where nobody says, as many as an office looks at."""
    wants_all = wants_table(ask) and ask.query("limit") is None
    if not wants_all:
        return ask.limit()
    return LINES_OF_UNIT if ask.who.of_unit else MOST_LINES


def answered(
    ask: Ask, name: str, kind: type[msgspec.Struct], rows: Sequence[Any], found: Listing[Any], cursor: str
) -> Answer:
    """Return a list as it was asked for: JSON, or a table whose next page is in `Link`."""
    answer = listing(ask, name, rows, found.position, cursor)
    if not wants_table(ask):
        return answer
    said = {**answer.headers, "Content-Disposition": f'attachment; filename="{ask.city.name}-{name}.csv"'}
    return Answer(sheets.table(kind, rows), headers=said, media_type=f"{sheets.MEDIA}; charset=utf-8")


# --- notices, clocks ---------------------------------------------------------------------------------------------


async def notices(ask: Ask) -> Answer:
    """Return notices about orders; of a unit its own and those of units below it."""
    who = lister(ask)
    need(Data.NOTICES, who)
    unit = units_asked(who, ask.query("unit"))
    await ask.caught_up()
    found = await ask.city.shown.list_notices(
        unit=unit,
        states=ask.words("state", NoticeState) or None,
        only_open=ask.flag("open"),
        limit=limit(ask),
        after=ask.cursor(tuple[UUID, Ordinal]),
    )
    last = found.rows[-1] if found.rows else None
    cursor = next_page(last.order_id, last.no) if found.more and last is not None else ""
    rows = await known(ask, found.rows, lambda row: row.order_id)
    answer = answered(ask, "notices", NoticeRow, rows, found, cursor)
    if not isinstance(answer.body, dict):
        return answer
    return answer._replace(body={**answer.body, "contacts": await _contacts(ask, rows)})


async def _contacts(ask: Ask, rows: Sequence[NoticeRow]) -> dict[str, DutyContact]:
    """Return where the units are reached that these notices have not reached yet."""
    law, now = await ask.city.law(), ask.house.now()
    units = sorted({row.unit for row in rows if row.served_at is None})
    return {unit: contact for unit in units if (contact := law.units.contact(unit, now)) is not None}


async def clocks(ask: Ask) -> Answer:
    """Return clocks by due instant, each as it stands now; of a unit its own and those of units below it."""
    who = _of_the_city(ask)
    unit = units_asked(who, ask.query("unit"))
    since, until = ask.instant("from"), ask.instant("to")
    if since is not None and until is not None and since >= until:
        raise QueryUnfit("from < to", field="to")
    await ask.caught_up()
    found = await ask.city.shown.list_clocks(
        ask.house.now(),
        unit=unit,
        names=ask.words("name", ClockName) or None,
        states=ask.words("state", Status) or None,
        since=since,
        until=until,
        breached=ask.flag("breached"),
        limit=limit(ask),
        after=ask.cursor(tuple[datetime, UUID, Ordinal]),
    )
    last = found.rows[-1] if found.rows else None
    cursor = ""
    if found.more and last is not None and last.due is not None:
        cursor = next_page(max(last.due, last.grace or last.due), last.order_id, last.no)
    rows = await known(ask, found.rows, lambda row: row.order_id)
    return answered(ask, "clocks", ClockState, rows, found, cursor)


def _of_the_city(ask: Ask) -> Viewer:
    who = lister(ask)
    if who.role in OVERSEERS:
        raise NotForThisRole
    return who


async def changes(ask: Ask) -> Answer:
    """Return the due instants that the institution's entries at these positions moved, unit by unit.

    A calendar, an outage: derived from the events, as often as it is asked for.
    """
    who = _of_the_city(ask)
    unit = units_asked(who, ask.query("unit"))
    head, _ = await ask.city.ledger.head()
    first = ask.number("from") or 0
    last = ask.number("to", first) or 0
    if not 0 < first <= last <= head:
        raise QueryUnfit(f"from, to: 1 … {head}", field="from" if first <= last else "to")
    size, held = limit(ask), ask.cursor(tuple[str, str, str, str])
    ask.paced()
    await ask.caught_up()
    law = await ask.city.law()
    if unit and law.unit(unit) is None and not who.of_unit:
        raise UnknownUnit(unit, unit=unit)
    wanted = who.below if who.of_unit and ask.query("unit") is None else {unit}
    found = await ask.city.shown.due_changes_at(first, last)
    moved = sorted(found.rows, key=_place)
    moved = [c for c in moved if unit is None or (c.unit or law.hotline_unit) in wanted]
    moved = [c for c in moved if held is None or _place(c) > held]
    cursor = next_page(*_place(moved[size - 1])) if len(moved) > size else ""
    rows = await known(ask, moved[:size], lambda row: row.order_id)
    return answered(ask, "changes", DueChange, rows, found, cursor)


def _place(change: DueChange) -> tuple[str, str, str, str]:
    return (change.unit, change.number, change.clock, change.key)


# --- appeals -----------------------------------------------------------------------------------------------------


async def appeals(ask: Ask) -> Answer:
    """Return appeals against figures, what was filed first first; of a unit its own and those of units below it."""
    who = _of_the_city(ask)
    need(Data.OPINIONS, who)
    unit = units_asked(who, ask.query("unit"))
    asked = ask.query("order")
    await ask.caught_up()
    order = None if asked is None else (await ask.city.shown.order_by_number(asked)).id
    found = await ask.city.shown.list_appeals(
        unit=unit,
        states=ask.words("state", AppealState) or None,
        indicators=ask.queries("indicator") or None,
        order=order,
        limit=limit(ask),
        after=ask.cursor(tuple[datetime, UUID, Ordinal]),
    )
    last = found.rows[-1] if found.rows else None
    cursor = next_page(last.filed_at, last.order_id, last.no) if found.more and last is not None else ""
    rows = await known(ask, found.rows, lambda row: row.order_id)
    answer = answered(ask, "appeals", AppealRow, rows, found, cursor)
    if isinstance(answer.body, dict):
        answer.body["figures"] = list(await ask.city.shown.contested(rows))
    return answer


# --- matters -----------------------------------------------------------------------------------------------------


async def matters(ask: Ask) -> Answer:
    """Return matters that are no orders, the newest first.

    A unit reads what is about it or those below it, once it is out; the supervisory organ what was referred to it.
    """
    who = ask.who
    if not (who.of_unit or who.role in READERS["matter"]):
        raise NotForThisRole
    kinds = ask.words("kind", MatterKind) or None
    since, until = ask.instant("from"), ask.instant("to")
    if since is not None and until is not None and since >= until:
        raise QueryUnfit("from < to", field="to")
    await ask.caught_up()
    found = await ask.city.shown.list_matters(
        unit=units_asked(who, ask.query("unit")),
        kinds=kinds,
        only_open=ask.flag("open"),
        told=who.of_unit,
        referred=who.role is Role.DISCIPLINE,
        late_at=ask.house.now() if ask.flag("late") else None,
        since=since,
        until=until,
        limit=limit(ask),
        after=ask.cursor(tuple[datetime, UUID]),
    )
    last = found.rows[-1] if found.rows else None
    cursor = next_page(last.opened_at, last.id) if found.more and last is not None else ""
    return answered(ask, "matters", MatterRow, found.rows, found, cursor)
