"""Questions over HTTP: one case fresh from its stream, lists from the tables, the law and what it counts to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec

from api import views
from api.access import OVERSEERS, Data, Grade, Sight, Viewer, may_open, may_read, need, units_asked
from api.asking import LARGEST_PAGE, Answer, Ask, listing, next_page
from api.problems import NotForThisRole, QueryUnfit, UnknownEntry
from api.supervising import SUPERVISING
from api.writing import COLLECTIONS, sighted, stream_named
from domain.calendar import FIRST_YEAR, LAST_YEAR
from domain.clocks import Clock, clocks
from domain.duties import duties
from domain.explanation import explain
from domain.journals import access_of
from domain.law import Law
from domain.ledger import Look
from domain.order import history
from domain.policy import ClassRule, Rules
from domain.refusals import UnknownOrder, UnknownPolicy, UnknownStream, UnknownUnit
from domain.state import WorkOrder
from domain.terms import SHANGHAI, ClockName, Entry, Mark, OrderState, Role
from projections.duties import DutyRow
from supervision.sweep import left

T = TypeVar("T")

Ordinal = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]
"""The number of a part of a case, as tables hold it."""


# --- one case ----------------------------------------------------------------------------------------------------


async def _seen(ask: Ask, *, as_of: bool = False) -> tuple[Look, list[Entry], WorkOrder, Sight]:
    """Return an order's entries and fold, for who may know of it; as of an instant where one is asked for."""
    name = ask.path("record")
    stream = await stream_named(ask, "order", name)
    look = await ask.city.ledger.look(stream)
    seen = await sighted(ask, views.case_of(look.entries, name), name)
    if not as_of:
        return look, look.entries, views.case_of(look.entries, name), seen
    then, at = ask.instant("recorded_by"), ask.instant("as_at")
    entries = history(look.entries, recorded_by=then, as_at=at)
    return look._replace(now=at or then or look.now), entries, views.case_of(entries, name), seen


async def _gone(ask: Ask, entries: Sequence[Entry]) -> set[str]:
    """Return the keys that were destroyed of those that entries are sealed with: what they sealed is shown as gone."""
    return await ask.city.ledger.keys_missing(views.keys_of(entries))


def _fresh(look: Look, version: int, body: dict[str, Any]) -> Answer:
    headers = {"Ledger-Position": str(look.position), "ETag": f'"{version}"'}
    return Answer({**body, "position": look.position}, headers=headers)


async def order(ask: Ask) -> Answer:
    """Return one order with its clocks, as it is now or as of an instant."""
    look, _, case, seen = await _seen(ask, as_of=True)
    clocks = views.clock_views(case, look.law, look.now, seen)
    body = {
        "order": views.order_view(case, seen, await _gone(ask, look.entries)),
        "clocks": clocks,
        "seen_at": look.now.isoformat(),
    }
    answer = _fresh(look, case.version, body)
    if ask.headers.get("if-none-match") == answer.headers["ETag"] and not ask.request.query_params:
        return Answer(b"", 304, answer.headers)
    return answer


async def order_history(ask: Ask) -> Answer:
    """Return what happened to an order, in its order, a page at a time."""
    look, entries, case, seen = await _seen(ask, as_of=True)
    after = (ask.cursor(tuple[int]) or (0,))[0]
    limit = ask.limit(LARGEST_PAGE)
    rest = [
        view for view in views.order_history(entries, seen, await _gone(ask, look.entries)) if view["version"] > after
    ]
    cursor = next_page(rest[limit - 1]["version"]) if len(rest) > limit else ""
    answer = listing(ask, "entries", rest[:limit], look.position, cursor)
    return answer._replace(headers={**answer.headers, "ETag": f'"{case.version}"'})


async def order_clocks(ask: Ask) -> Answer:
    """Return the clocks of an order, each with every day counted and the article behind it."""
    look, _, case, seen = await _seen(ask, as_of=True)
    found = views.clock_views(case, look.law, look.now, seen, explained=True)
    return _fresh(look, case.version, {"clocks": found, "seen_at": look.now.isoformat()})


async def order_duties(ask: Ask) -> Answer:
    """Return what has to be done about an order."""
    look, _, case, seen = await _seen(ask)
    found = [
        {
            "unit": duty.unit,
            "command": str(duty.command.__struct_config__.tag),
            "title": duty.title,
            "roles": sorted(duty.roles),
            "since": duty.since.at,
            "due": duty.due,
            "clock": duty.clock,
            "key": duty.key,
            "not_by": duty.not_by,
        }
        for duty in duties(case, clocks(case, look.law), look.law)
        if _of_theirs(duty.unit, seen)
    ]
    return _fresh(look, case.version, {"duties": found})


def _of_theirs(unit: str, seen: Sight) -> bool:
    graded = seen.grade(Data.TIMELINE)
    return graded is Grade.FULL or (graded is Grade.OWN and unit in seen.who.below)


class Opening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be opened: fields of one entry, by their paths, and for which purpose (a code)."""

    version: int
    purpose: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    fields: tuple[str, ...] = ()  # without: every sealed field of the entry
    words: Annotated[str, msgspec.Meta(max_length=2000)] | None = None


async def open_sealed(ask: Ask) -> Answer:
    """Open sealed fields of one entry, after the access journal says who looked and why."""
    ask.paced()
    asked = await ask.said(Opening)
    kind = COLLECTIONS[ask.collection]
    stream = await stream_named(ask, kind, ask.path("record"))
    look = await ask.city.ledger.look(stream)
    entry = next((e for e in look.entries if e.version == asked.version), None)
    if kind == "order":
        case = views.case_of(look.entries, ask.path("record"))
        seen = await sighted(ask, case, ask.path("record"))
        visible = entry is not None and any(e.version == entry.version for e in views.order_entries(look.entries, seen))
        if entry is None or not visible:
            raise UnknownEntry(f"version: {asked.version}")
        for path in _chosen(entry, asked):
            may_open(case, entry, path, seen)
    elif ask.who.role not in (Role.SUPERVISOR, Role.HOTLINE_MANAGER):
        raise NotForThisRole(kind)
    if entry is None:
        raise UnknownEntry(f"version: {asked.version}")
    sealed = dict(views.sealed_fields(entry.event))
    fields = {name: sealed[name] for name in _chosen(entry, asked)}
    key = ask.header("idempotency-key")
    texts = await ask.opened(fields, stream=stream, purpose=asked.purpose, words=asked.words, key=key)
    headers = {"Cache-Control": "no-store", "Ledger-Position": str(look.position)}
    return Answer({"version": entry.version, "fields": texts}, headers=headers)


def _chosen(entry: Entry, asked: Opening) -> list[str]:
    there = dict(views.sealed_fields(entry.event))
    wanted = list(asked.fields) or list(there)
    if not wanted or any(name not in there for name in wanted):
        raise UnknownEntry(", ".join(name for name in wanted if name not in there) or "—", field="fields")
    return wanted


# --- other records -----------------------------------------------------------------------------------------------


async def record(ask: Ask) -> Answer:
    """Return one record that is no order, as it is now."""
    look, state = await _record(ask)
    version = look.entries[-1].version
    shown = views.plain(state, await _gone(ask, look.entries))
    if ask.who.role in OVERSEERS:
        shown = views.without_cases(shown)
    return _fresh(look, version, {"record": shown, "version": version})


async def record_history(ask: Ask) -> Answer:
    """Return what happened to one record that is no order."""
    look, _ = await _record(ask)
    return await _entries(ask, look)


async def _entries(ask: Ask, look: Look) -> Answer:
    after = (ask.cursor(tuple[int]) or (0,))[0]
    limit = ask.limit(LARGEST_PAGE)
    rest = [entry for entry in look.entries if entry.version > after]
    cursor = next_page(rest[limit - 1].version) if len(rest) > limit else ""
    named = ask.who.role not in OVERSEERS
    gone = await _gone(ask, rest[:limit])
    shown = [views.entry_view(entry, named=named, gone=gone) for entry in rest[:limit]]
    if ask.who.role in OVERSEERS:
        for one in shown:
            one["event"] = views.without_cases(one["event"])
    return listing(ask, "entries", shown, look.position, cursor)


async def _record(ask: Ask) -> tuple[Look, Any]:
    kind = COLLECTIONS[ask.collection]
    stream = await stream_named(ask, kind, ask.path("record"))
    look = await ask.city.ledger.look(stream)
    state = ask.city.ledger.fold_entries(stream, look.entries)
    if state is None or not may_read(kind, state, ask.who):
        raise UnknownStream(ask.path("record"))
    return look, state


async def access_journal(ask: Ask) -> Answer:
    """Return who opened what on a day, and why."""
    need(Data.ACCESS_LOG, ask.who, Grade.FULL)
    try:
        day = date.fromisoformat(ask.path("day"))
    except ValueError as error:
        raise QueryUnfit("YYYY-MM-DD", field="day") from error
    stream = access_of(datetime(day.year, day.month, day.day, tzinfo=SHANGHAI))
    return await _entries(ask, await ask.city.ledger.look(stream))


class Sort(StrEnum):
    """What a list is sorted by."""

    REGISTERED = "registered"
    DUE = "due"


# --- lists -------------------------------------------------------------------------------------------------------

STEPS = 20
"""Steps that take a person, the longest waiting, that stand with the duties of the hotline."""

_LISTERS = frozenset(Role) - {Role.CITIZEN, Role.ADMIN, Role.DISCIPLINE}


def lister(ask: Ask) -> Viewer:
    """Return who asks for a list. Raises NotForThisRole."""
    if ask.who.role not in _LISTERS:
        raise NotForThisRole
    return ask.who


async def known(ask: Ask, rows: Sequence[T], order_of: Callable[[T], UUID]) -> list[T]:
    """Return the rows of orders that the caller may know of. Tables do not say who is complained of: cases do.

    The page may be shorter for it, and the next one goes on behind it.
    """
    if not ask.who.of_unit:
        return list(rows)
    orders = list(dict.fromkeys(map(order_of, rows)))
    seen: set[UUID] = set()
    histories = await ask.city.ledger.histories([f"order:{one}" for one in orders])
    for one, entries in zip(orders, histories, strict=True):
        with contextlib.suppress(UnknownOrder):
            await sighted(ask, views.case_of(entries, str(one)), str(one))
            seen.add(one)
    return [row for row in rows if order_of(row) in seen]


async def orders(ask: Ask) -> Answer:
    """Return orders by registration, or by what is due next; of a unit its own."""
    who = lister(ask)
    unit = units_asked(who, ask.query("unit"))
    sort = ask.word("sort", Sort) or Sort.REGISTERED
    states, overdue, limit = ask.words("state", OrderState), ask.flag("overdue"), ask.limit()
    if sort is Sort.DUE and (states or overdue):
        raise QueryUnfit("sort=due 不与 state, overdue 同用 goes with neither state nor overdue", field="sort")
    await ask.caught_up()
    if sort is Sort.DUE:
        after = ask.cursor(tuple[datetime, UUID])
        found = await ask.city.shown.orders_by_due(unit=unit, limit=limit, after=after)
        last = (found.rows[-1].due, found.rows[-1].id) if found.rows else ()
    else:
        held = ask.cursor(tuple[UUID])
        found = await ask.city.shown.list_orders(
            states=states or None,
            unit=unit,
            overdue=ask.house.now() if overdue else None,
            limit=limit,
            after=held[0] if held else None,
        )
        last = (found.rows[-1].id,) if found.rows else ()
    rows = [views.row_view(row, who) for row in await known(ask, found.rows, lambda row: row.id)]
    return listing(ask, "orders", rows, found.position, next_page(*last) if found.more else "")


async def search(ask: Ask) -> Answer:
    """Return orders whose title, category, place or number has every word, the newest first; of a unit its own."""
    who, text, limit = lister(ask), ask.query("q") or "", ask.limit()
    if not 1 <= len(text) <= 100:
        raise QueryUnfit("q: 1 … 100", field="q")
    await ask.caught_up()
    before = (ask.cursor(tuple[UUID]) or (None,))[0]
    found = await ask.city.shown.search(text, limit=limit, before=before)
    rows = [row for row in found.rows if not who.of_unit or row.unit in who.below]
    # A unit's are picked from the page: it may be shorter than asked for, and the next one goes on behind it.
    cursor = next_page(found.rows[-1].id) if found.more and found.rows else ""
    rows = await known(ask, rows, lambda row: row.id)
    return listing(ask, "orders", [views.row_view(row, who) for row in rows], found.position, cursor)


async def duty_list(ask: Ask) -> Answer:
    """Return what a unit has to do next, of whatever kind; `mine`: what the caller's role may do, and they themselves.

    Who supervises reads with the hotline's own what takes a person, each step with its article: the rest is in /next-steps.
    """
    who = lister(ask)
    if who.role in OVERSEERS:
        raise NotForThisRole
    law = await ask.city.law()
    unit = units_asked(who, ask.query("unit"))
    if unit is not None and unit != "" and law.unit(unit) is None:
        raise UnknownUnit(unit, unit=unit)
    asked = "" if unit in (None, law.hotline_unit) else unit or ""
    mine = ask.flag("mine")
    roles = [who.role] if mine else ask.words("role", Role) or None
    await ask.caught_up()
    found = await ask.city.shown.duties(
        asked,
        roles=roles,
        user=who.actor.user if mine else None,
        limit=ask.limit(),
        after=_after_duty(ask),
    )
    last = found.rows[-1] if found.rows else None
    cursor = next_page(last.due, last.since, last.order_id, last.no) if found.more and last is not None else ""
    cases = [row for row in found.rows if row.kind == "order"]
    theirs = {row.order_id for row in await known(ask, cases, lambda row: row.order_id)}
    rows = [row for row in found.rows if row.kind != "order" or row.order_id in theirs]
    answer = listing(ask, "duties", rows, found.position, cursor)
    if asked or who.role not in SUPERVISING or ask.query("cursor") is not None:
        return answer
    waiting = await left(ask.city.ledger, ask.city.shown, ask.house.now(), limit=STEPS)
    steps = [step for step in waiting.lines if not roles or not set(roles).isdisjoint(step.by)]
    return answer._replace(body={**answer.body, "steps": steps})


def _after_duty(ask: Ask) -> DutyRow | None:
    held = ask.cursor(tuple[datetime | None, datetime, UUID, Ordinal])
    if held is None:
        return None
    due, since, order_id, no = held
    blank = dict.fromkeys(DutyRow.__struct_fields__, "")
    return DutyRow(**{**blank, "due": due, "since": since, "order_id": order_id, "no": no})


async def units(ask: Ask) -> Answer:
    """Return the units with what lies on their desks; to a unit itself and those below it."""
    _not_for_citizens(ask)
    who = ask.who
    await ask.caught_up()
    found = await ask.city.shown.units(ask.house.now())
    rows = [row for row in found.rows if not who.of_unit or row.unit in who.below]
    return listing(ask, "units", rows, found.position)


# --- the law -----------------------------------------------------------------------------------------------------


async def city(ask: Ask) -> Answer:
    """Return the city: its name, how far its ledger has come, and its tables."""
    law = await ask.city.law()
    position, at = await ask.city.ledger.head()
    tables = [{"name": row.name, "position": row.position} for row in await ask.city.shown.status() if row.active]
    body = {
        "city": ask.city.name,
        "code": law.city_code,
        "sandbox": law.sandbox,
        "hotline": law.hotline_unit,
        "policy": views.plain(law.policy_at(ask.house.now())),
        "position": position,
        "recorded_at": at.isoformat(),
        "tables": tables,
        "you": {"user": ask.who.actor.user, "role": ask.who.role, "unit": ask.who.actor.unit},
    }
    return Answer(body, headers={"Ledger-Position": str(position)})


async def ping(ask: Ask) -> Answer:
    """Answer that the token is taken and the role held; nothing else is read or written."""
    return Answer({"role": ask.who.role, "unit": ask.who.actor.unit})


def _not_for_citizens(ask: Ask) -> None:
    if ask.who.role is Role.CITIZEN:
        raise NotForThisRole


async def institution_history(ask: Ask) -> Answer:
    """Return what became law in this city: policies, calendars, units, roles."""
    _not_for_citizens(ask)
    return await _entries(ask, await ask.city.ledger.look("institution"))


async def _law(ask: Ask) -> tuple[Law, dict[str, str]]:
    """Return the law as it is now, and the position at which it is at least that new."""
    position, _ = await ask.city.ledger.head()
    return await ask.city.law(fresh=True), {"Ledger-Position": str(position)}


async def policies(ask: Ask) -> Answer:
    """Return the policies published here, in their order, with the days on which each is in force."""
    law, headers = await _law(ask)
    found = [
        {"pack": p.ref.pack, "digest": p.ref.digest, "title": p.pack.title, "version": p.pack.version}
        | {"overlay": p.pack.overlay, "first": p.first, "last": p.last, "assumed": p.assumed}
        for p in law.policies.publications
    ]
    return Answer({"policies": views.plain(found)}, headers=headers)


async def policy(ask: Ask) -> Answer:
    """Return a policy published here, whole: classes, clocks, options, each with its citation."""
    law, headers = await _law(ask)
    return Answer({"policy": views.plain(_pack(law, ask.path("pack"), ask.house.now()).pack)}, headers=headers)


def _pack(law: Law, name: str | None, now: datetime) -> Rules:
    if name is None:
        return law.rules(law.policy_at(now))
    for publication in reversed(law.policies.publications):
        if name in (publication.ref.pack, publication.ref.digest):
            return law.rules(publication.ref)
    raise UnknownPolicy(ascii(name[:80]))


async def calendar(ask: Ask) -> Answer:
    """Return a year day by day, as it is known now or was at an instant."""
    said = ask.path("year")
    if not (said.isascii() and said.isdecimal() and len(said) == 4 and FIRST_YEAR < int(said) < LAST_YEAR):
        raise QueryUnfit(f"{FIRST_YEAR} < year < {LAST_YEAR}", field="year")
    law, headers = await _law(ask)
    year, found = int(said), law.calendar(ask.instant("known_at"))
    first, end = (date(y, 1, 1).toordinal() for y in (year, year + 1))
    reasons = ((day, found.reason(day)) for day in map(date.fromordinal, range(first, end)))
    days = [{"day": day, "kind": reason.kind, "working": reason.working} for day, reason in reasons]
    return Answer(views.plain({"year": year, "published": found.published(year), "days": days}), headers=headers)


async def due(ask: Ask) -> Answer:
    """Return when a limit would end that begins at an instant, with every day counted; no order is needed."""
    (law, headers), start = await _law(ask), ask.instant("at")
    if start is None or not FIRST_YEAR < start.year < LAST_YEAR:
        raise QueryUnfit("at", field="at")
    rules = _pack(law, ask.query("policy"), ask.house.now())
    name = ask.word("clock", ClockName)
    rule = rules.clocks.get(name) if name is not None else None
    if name is None or rule is None:
        raise QueryUnfit(f"clock: {', '.join(rules.clocks)}", field="clock")
    of_class = _class(rules, ask.query("class"))
    limit = rules.limit(name, of_class, peak=ask.flag("peak"))
    mark = Mark(start, 0)
    if limit is None:
        clock = Clock(name, of_class.name, "", mark, None, None, rule, rules)
    else:
        end = law.calendar().due(start, limit, rules.kernel)
        clock = Clock(name, of_class.name, "", mark, limit, end.at, rule, rules, provisional=end.provisional)
    return Answer({"clock": views.plain(explain(clock, law))}, headers=headers)


def _class(rules: Rules, name: str | None) -> ClassRule:
    if name is None and len(rules.classes) == 1:
        return next(iter(rules.classes.values()))
    if name is None or name not in rules.classes:
        raise QueryUnfit(f"class: {', '.join(rules.classes)}", field="class")
    return rules.classes[name]
