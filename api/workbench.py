"""Questions of auditors and supervisors across histories: entries found, states and corrections side by side, exports.

Whoever searches or takes copies is in the access journal first: who, what for, and what was asked.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec

from api import sheets, views
from api.access import Data, Sight, Viewer, need, units_asked
from api.asking import Answer, Ask, listing, next_page
from api.commands import FACTS
from api.figuring import Format
from api.problems import NotForThisRole, QueryUnfit
from api.writing import sighted, stream_named
from domain.ledger import Look
from domain.order import fold, history
from domain.refusals import UnknownUnit
from domain.state import WorkOrder
from domain.terms import Entry, Role
from projections.answers import Listing
from projections.orders import OrderRow
from supervision import replay, workbench
from supervision.replay import Span
from supervision.workbench import EntryRow, Wanted

AUDITING = frozenset({Role.AUDITOR, Role.SUPERVISOR})
"""Who looks across all histories, and takes copies of them."""

_Position = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]

COLUMNS = {"position": "位置", "title": "事件", "stream": "记录标识", "number": "工单号"}
"""What the columns of a table of entries are called otherwise than elsewhere."""

MOST_RECORDS = 200
MOST_ORDERS = 1_000_000

_PURPOSE = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]


def auditor(ask: Ask) -> Viewer:
    """Return who asks. Raises NotForThisRole."""
    if ask.who.role not in AUDITING:
        raise NotForThisRole
    return ask.who


async def noted(ask: Ask, what: str, purpose: str, words: str, stream: str = "ledger") -> None:
    """Say in the access journal who looks across histories, before they see anything."""
    ledger = ask.city.ledger
    await ledger.note_access(
        (what,),
        stream=stream,
        viewer=ask.who.actor,
        purpose=purpose,
        command_id=f"{what}:{ledger.fresh_id()}",
        words=words[:2000] or None,
    )


# --- entries -----------------------------------------------------------------------------------------------------


async def entries(ask: Ask) -> Answer:
    """Return entries of whatever record by what happened, who did it, when, and how late; recorded first."""
    who = auditor(ask)
    wanted = await _wanted(ask, who)
    ask.paced()
    held = ask.cursor(tuple[_Position])
    limit = ask.limit()
    await noted(ask, "search", ask.query("purpose") or "audit", msgspec.json.encode(wanted).decode())
    found = await workbench.search(
        ask.city.ledger, await ask.city.law(), wanted, after=held[0] if held else 0, limit=limit
    )
    position, _ = await ask.city.ledger.head()
    cursor = next_page(found.last) if found.more else ""
    answer = listing(ask, "entries", found.rows, position, cursor)
    return answer if ask.word("format", Format) is not Format.CSV else _table(ask, found.rows, answer)


def _table(ask: Ask, rows: list[EntryRow], answer: Answer | None = None) -> Answer:
    said = {**(answer.headers if answer is not None else {})}
    said["Content-Disposition"] = f'attachment; filename="{ask.city.name}-entries.csv"'
    content = sheets.table(EntryRow, rows, COLUMNS)
    return Answer(content, headers=said, media_type=f"{sheets.MEDIA}; charset=utf-8")


async def _wanted(ask: Ask, who: Viewer) -> Wanted:
    types = tuple(ask.queries("type"))
    for one in types:
        if one not in FACTS and not one.startswith(("access.", "shreds.", "numbers.")):
            raise QueryUnfit(f"type: {one[:60]}", field="type")
    since, until = ask.instant("from"), ask.instant("to")
    if since is not None and until is not None and since >= until:
        raise QueryUnfit("from < to", field="to")
    unit, law = units_asked(who, ask.query("unit")), await ask.city.law()
    if unit and law.unit(unit) is None:
        raise UnknownUnit(unit, unit=unit)
    roles = ask.words("role", Role)
    return Wanted(
        types=types,
        user=ask.query("user") or "",
        role=str(roles[0]) if roles else "",
        units=(unit,) if unit else (),
        since=since,
        until=until,
        late=ask.number("late"),
    )


# --- side by side ------------------------------------------------------------------------------------------------


class By(StrEnum):
    """By which time two states are told apart."""

    HAPPENED = "happened"
    RECORDED = "recorded"
    POSITION = "position"


async def order_difference(ask: Ask) -> Answer:
    """Return what an order had otherwise at two instants or positions, and its clocks, as the caller sees it."""
    name, by = ask.path("record"), ask.word("by", By) or By.HAPPENED
    stream = await stream_named(ask, "order", name)
    look = await ask.city.ledger.look(stream)
    seen = await sighted(ask, views.case_of(look.entries, name), name)
    then, now = (_state(ask, look, seen, by, end) for end in ("from", "to"))
    body = {
        "differences": list(workbench.differences(then, now)),
        "by": by,
        "position": look.position,
    }
    return Answer(body, headers={"Ledger-Position": str(look.position)})


def _state(ask: Ask, look: Look, seen: Sight, by: By, end: Literal["from", "to"]) -> dict[str, Any] | None:
    """Return an order as it was then: with its clocks as they stood; None before there was one."""
    if by is By.POSITION:
        position = _position(ask, end)
        told = [entry for entry in look.entries if entry.position <= position]
        at = told[-1].recorded_at if told else look.now
    else:
        at = _instant(ask, end)
        then, known = (at, None) if by is By.HAPPENED else (None, at)
        told = history(look.entries, as_at=then, recorded_by=known)
    case = fold(told)
    if case is None:
        return None
    return _plain(case, look, at, seen)


def _plain(case: WorkOrder, look: Look, at: datetime, seen: Sight) -> dict[str, Any]:
    shown = views.clock_views(case, look.law, at, seen)
    return views.plain({**views.order_view(case, seen), "clocks": {f"{c['name']}:{c['key']}": c for c in shown}})


def _position(ask: Ask, end: str) -> int:
    said = ask.query(end) or ""
    if not (said.isascii() and said.isdecimal() and len(said) <= 18):
        raise QueryUnfit(f"{end}: 位置 a position", field=end)
    return int(said)


def _instant(ask: Ask, end: str) -> datetime:
    at = ask.instant(end)
    if at is None:
        raise QueryUnfit(f"{end}: 时刻 an instant", field=end)
    return at


async def orders_difference(ask: Ask) -> Answer:
    """Return the orders of a list that were otherwise at two instants, each beside itself; recorded first.

    Every case is read from its events, twice.
    """
    who, by = auditor(ask), ask.word("by", By) or By.HAPPENED
    if by is By.POSITION:
        raise QueryUnfit("by: happened | recorded", field="by")
    first, last, limit = _instant(ask, "from"), _instant(ask, "to"), ask.limit()
    unit, held = units_asked(who, ask.query("unit")), ask.cursor(tuple[str])
    ask.paced("orders_difference")
    await noted(ask, "search", ask.query("purpose") or "audit", str(ask.request.url.query))
    one, other = [await _list(ask, by, at, unit) for at in (first, last)]
    after = held[0] if held else ""
    found = [pair for pair in workbench.changed(one.rows, other.rows) if str((pair[0] or pair[1]).id) > after]
    rows = [paired(*pair) for pair in found[:limit]]
    cursor = next_page(rows[-1]["id"]) if len(found) > limit else ""
    return listing(ask, "orders", rows, other.position, cursor)


async def _list(ask: Ask, by: By, at: datetime, unit: str | None) -> Listing[OrderRow]:
    """Return every order as it was then."""
    shown = ask.city.shown
    if by is By.HAPPENED:
        return await shown.orders_as_of(as_at=at, unit=unit, limit=MOST_ORDERS)
    return await shown.orders_as_of(recorded_by=at, unit=unit, limit=MOST_ORDERS)


def paired(before: OrderRow | None, after: OrderRow | None) -> dict[str, Any]:
    """Return what a row of a list has otherwise; `appeared`: it was not there before."""
    one, other = (None if row is None else views.plain(row) for row in (before, after))
    named = other or one or {}
    told = list(workbench.differences(one, other)) if before is not None and after is not None else []
    return {"id": named["id"], "number": named["number"], "appeared": before is None, "differences": told}


# --- replay ------------------------------------------------------------------------------------------------------


async def period(ask: Ask) -> Answer:
    """Return a period as it stood at a position: its orders in states, their clocks, its figures; recorded first."""
    who = auditor(ask)
    span, limit, held = _span(ask, who), ask.limit(), ask.cursor(tuple[str])
    position = ask.number("position", (await ask.city.ledger.head())[0])
    if not position:
        raise QueryUnfit("position: 1 …", field="position")
    ask.paced("audit_period")
    await noted(ask, "state", ask.query("purpose") or "audit", str(ask.request.url.query))
    found = await replay.replayed(ask.city.ledger, ask.city.shown, span, position)
    behind = [one for one in found.orders if str(one.id) > (held[0] if held else "")]
    told = {
        "seen_at": found.at,
        "cases": len(found.orders),
        "states": found.states,
        "clocks": found.clocks,
        "figures": found.figures,
    }
    cursor = next_page(str(behind[limit - 1].id)) if len(behind) > limit else ""
    answer = listing(ask, "orders", behind[:limit], position, cursor)
    return answer._replace(body={**answer.body, **told})


async def period_difference(ask: Ask) -> Answer:
    """Return what a period has otherwise at two positions: orders, clocks and figures, and by which events; recorded first."""
    who = auditor(ask)
    span, limit, held = _span(ask, who), ask.limit(), ask.cursor(tuple[str])
    first, last = _position(ask, "before"), _position(ask, "after")
    if not 0 < first < last:
        raise QueryUnfit("0 < before < after", field="before")
    ask.paced("audit_period")
    await noted(ask, "state", ask.query("purpose") or "audit", str(ask.request.url.query))
    ledger, shown = ask.city.ledger, ask.city.shown
    later = await replay.replayed(ledger, shown, span, last)
    earlier = await replay.replayed(ledger, shown, span, first)
    every = replay.moved(earlier, later)
    behind = [pair for pair in every if str((pair[0] or pair[1]).id) > (held[0] if held else "")]  # type: ignore[union-attr]
    rows = await replay.explained(ledger, behind[:limit], first, last)
    cursor = next_page(str(rows[-1].id)) if len(behind) > limit else ""
    answer = listing(ask, "orders", rows, last, cursor)
    told = {
        "seen_at": [earlier.at, later.at],
        "cases": [len(earlier.orders), len(later.orders)],
        "moved": len(every),
        "law": replay.causes(await ledger.history("institution"), first, last),
        "figures": replay.shifted(earlier.figures, later.figures),
    }
    return answer._replace(body={**answer.body, **told})


def _span(ask: Ask, who: Viewer) -> Span:
    since, until = _instant(ask, "from"), _instant(ask, "to")
    if since >= until:
        raise QueryUnfit("from < to", field="to")
    return Span(since, until, units_asked(who, ask.query("unit")))


# --- corrections -------------------------------------------------------------------------------------------------


async def order_corrections(ask: Ask) -> Answer:
    """Return each correction of an order beside what it corrects, with who proposed and who approved it."""
    name = ask.path("record")
    stream = await stream_named(ask, "order", name)
    look = await ask.city.ledger.look(stream)
    seen = await sighted(ask, views.case_of(look.entries, name), name)
    if not seen.full(Data.OPINIONS):
        raise NotForThisRole(f"{Data.OPINIONS}: {seen.grade(Data.OPINIONS)}")
    gone = await ask.city.ledger.keys_missing(views.keys_of(look.entries))
    body = {"corrections": views.plain(workbench.corrections(look.entries), gone), "position": look.position}
    return Answer(body, headers={"Ledger-Position": str(look.position)})


# --- copies ------------------------------------------------------------------------------------------------------


class Copying(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """取证复制. Records by number or id, what for, and as what."""

    records: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=100)], ...],
        msgspec.Meta(min_length=1, max_length=MOST_RECORDS),
    ]
    purpose: _PURPOSE
    words: Annotated[str, msgspec.Meta(max_length=2000)] | None = None
    format: Literal["jsonl", "csv"] = "jsonl"


async def copies(ask: Ask) -> Answer:
    """Return the histories of orders: as JSON Lines with proofs, which anybody checks, or as a table; recorded first.

    What is sealed stays sealed. One line in the access journal for each record that is copied.
    """
    auditor(ask)
    need(Data.TIMELINE, ask.who)
    ask.paced()
    said = await ask.said(Copying)
    streams = list(dict.fromkeys([await stream_named(ask, "order", name) for name in said.records]))
    ledger, law = ask.city.ledger, await ask.city.law()
    for stream in streams:
        await _allowed(ask, stream)
    for stream in streams:
        await noted(ask, "export", said.purpose, said.words or "", stream)
    if said.format == "csv":
        return _table(ask, [row for stream in streams for row in await workbench.rows_of(ledger, law, stream)])
    head = (await ask.city.log.sign()).checkpoint.size
    content = await ask.city.log.bundle(ledger, streams, head)
    named = {
        "Content-Disposition": f'attachment; filename="{ask.city.name}-{head}.jsonl"',
        "Ledger-Position": f"{head}",
    }
    return Answer(content, headers=named, media_type="application/x-ndjson")


async def _allowed(ask: Ask, stream: str) -> None:
    entries: list[Entry] = await ask.city.ledger.history(stream)
    await sighted(ask, views.case_of(entries, stream), stream)
