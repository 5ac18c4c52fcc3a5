"""Papers over HTTP: which instruments there are, and one of them as HTML or PDF, whole only for whom it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from api import views
from api.access import OVERSEERS, Sight, Viewer, may_open, may_read
from api.asking import Answer, Ask, listing, next_page
from api.callers import Purpose
from api.problems import NotForThisRole, QueryUnfit, UnknownEntry
from api.writing import COLLECTIONS, sighted, stream_named
from domain.refusals import Erased, UnknownOrder, UnknownStream
from domain.terms import SHANGHAI, Confidentiality, Entry, Role
from supervision import dutybook, register, sheets
from supervision.instruments import InstrumentKind, Paper, Shown, instruments
from supervision.instruments import paper as paper_of

Ordinal = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]


class Format(StrEnum):
    """As what a document is answered."""

    HTML = "html"
    PDF = "pdf"


MEDIA = {Format.HTML: "text/html; charset=utf-8", Format.PDF: "application/pdf"}

FOR_APPLICANTS = frozenset({InstrumentKind.NON_ACCEPTANCE, InstrumentKind.EXTENSION_SLIP})
"""Papers that are addressed to the applicant: the others are the offices' own."""

_NOBODY = frozenset({*OVERSEERS, Role.ADMIN, Role.SYSTEM})
"""Who sees no papers: overseers are told of notices by list and outcome, machines by the feed."""


# --- one record's ------------------------------------------------------------------------------------------------


class _Record(msgspec.Struct, frozen=True):
    """A record with what the caller sees of it."""

    stream: str
    entries: list[Entry]
    papers: tuple[tuple[Entry, InstrumentKind], ...]
    position: int
    seen: Sight | None = None  # of an order


async def _record(ask: Ask) -> _Record:
    """Return the record that a path means, with its papers that the caller may know of."""
    kind, name = COLLECTIONS[ask.collection], ask.path("record")
    stream = await stream_named(ask, kind, name)
    look = await ask.city.ledger.look(stream)
    if kind == "order":
        seen = await sighted(ask, views.case_of(look.entries, name), name)
        return _Record(stream, look.entries, _of_case(look.entries, seen), look.position, seen)
    state = ask.city.ledger.fold_entries(stream, look.entries)
    if state is None or not may_read(kind, state, ask.who):
        raise UnknownStream(name)
    return _Record(stream, look.entries, _of_record(look.entries, ask.who), look.position)


def _of_case(entries: Sequence[Entry], seen: Sight) -> tuple[tuple[Entry, InstrumentKind], ...]:
    if seen.who.role in _NOBODY:
        return ()
    visible = {entry.version for entry in views.order_entries(entries, seen)}
    found = ((entry, kind) for entry, kind in instruments(entries) if entry.version in visible)
    if seen.who.role is Role.CITIZEN:
        return tuple((entry, kind) for entry, kind in found if kind in FOR_APPLICANTS)
    return tuple(found)


def _of_record(entries: Sequence[Entry], who: Viewer) -> tuple[tuple[Entry, InstrumentKind], ...]:
    return () if who.role in _NOBODY else tuple(instruments(entries))


async def listed(ask: Ask) -> Answer:
    """Return the papers of one record."""
    record = await _record(ask)
    rows = [
        {"version": e.version, "kind": k, "title": k.zh, "number": e.numbered(k), "at": e.at, "position": e.position}
        for e, k in record.papers
    ]
    headers = {"Ledger-Position": str(record.position), "ETag": f'"{record.entries[-1].version}"'}
    return Answer({"instruments": rows, "position": record.position}, headers=headers)


def _version(ask: Ask, record: _Record) -> int:
    said = ask.path("version")
    known = {f"{entry.version}" for entry, _ in record.papers}
    if said not in known:
        raise UnknownEntry(f"version: {said[:20]!a}")
    return int(said)


async def shown(ask: Ask) -> Answer:
    """Return one paper with what is sealed left sealed."""
    record = await _record(ask)
    form = form_of(ask)
    return await _printed(ask, await register.read(ask.city.ledger, record.stream, _version(ask, record)), form)


async def opened(ask: Ask) -> Answer:
    """Return one paper whole, after the access journal says who opened it and why."""
    ask.paced()
    said = await ask.said(Purpose)
    record = await _record(ask)
    version, form = _version(ask, record), form_of(ask)
    ledger = ask.city.ledger
    laws = await ledger.history(register.INSTITUTION)
    made, _ = paper_of(record.entries, version, laws)

    async def open_them(fields: Sequence[Shown]) -> Mapping[str, str | Erased]:
        for one in fields:
            _may(ask, record, made, one)
        sealed = {one.name: one.sealed for one in fields}
        return await ledger.open_sealed(
            sealed,
            stream=record.stream,
            viewer=ask.who.actor,
            purpose=said.purpose,
            command_id=ask.header("idempotency-key") or f"paper:{ledger.fresh_id()}",
            words=said.words,
        )

    return await _printed(ask, await register.read(ledger, record.stream, version, open_them), form)


def _may(ask: Ask, record: _Record, made: Paper, one: Shown) -> None:
    """Refuse to open what a paper shows to whom it is not for. What is addressed to a unit, it reads whole."""
    addressed = not ask.who.own.isdisjoint(made.units) and one.path != "content"
    if record.seen is None:
        if not addressed and ask.who.role not in (Role.SUPERVISOR, Role.HOTLINE_MANAGER):
            raise NotForThisRole(one.path)
        return
    case = views.case_of(record.entries)
    if addressed and case.confidentiality is not Confidentiality.INFORMANT:
        return
    if ask.who.role is Role.CITIZEN:  # a paper to the applicant is theirs
        return
    may_open(case, one.entry, one.path, record.seen)


def form_of(ask: Ask) -> Format:
    """Return as what a document is wanted: as the query says, else as the header does."""
    said = ask.word("format", Format)
    return said or (Format.PDF if "application/pdf" in ask.header("accept") else Format.HTML)


async def _printed(ask: Ask, made: Paper, form: Format) -> Answer:
    named = f"{made.kind}-{made.position}.{form}"
    return await document(ask, sheets.instrument(made), form, named=named, position=made.position)


async def document(ask: Ask, html: str, form: Format, *, named: str, position: int) -> Answer:
    """Return a document as HTML or PDF."""
    body = html.encode() if form is Format.HTML else await ask.house.printer.pdf(html)
    headers = {
        "Content-Disposition": f'inline; filename="{named}"',
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
        "Ledger-Position": str(position),
    }
    return Answer(body, headers=headers, media_type=MEDIA[form])


# --- the duty record book ------------------------------------------------------------------------------------------

BOOK_READERS = frozenset(
    {Role.AGENT, Role.DISPATCHER, Role.HOTLINE_MANAGER, Role.QC_REVIEWER, Role.SUPERVISOR, Role.LEADER, Role.AUDITOR}
)
"""Who reads the duty record book: the duty room, who leads it, who checks it. Who called stays sealed here."""


async def duty_book(ask: Ask) -> Answer:
    """Return the calls of a day or shift by their running numbers, with what is sealed left sealed."""
    if ask.who.role not in BOOK_READERS:
        raise NotForThisRole
    form, at = form_of(ask), ask.instant("day")
    if at is None:
        raise QueryUnfit("day", field="day")
    ask.paced("duty_book")
    day = at.astimezone(SHANGHAI).date()
    cut_off = ask.number("cut_off") or (await ask.city.ledger.head())[0]
    found = await dutybook.book(ask.city.shown, day, cut_off=cut_off, shift=ask.query("shift") or "")
    named = f"duty_book-{day}.{form}"
    return await document(ask, sheets.duty_book(found), form, named=named, position=cut_off)


# --- the register ------------------------------------------------------------------------------------------------


async def registered(ask: Ask) -> Answer:
    """Return the papers of a kind and year by their running numbers; of a unit those that it may know of."""
    who = ask.who
    if who.role in (*_NOBODY, Role.CITIZEN, Role.DISCIPLINE):
        raise NotForThisRole
    kind = ask.word("kind", InstrumentKind)
    if kind is None:
        raise QueryUnfit(f"kind: {', '.join(InstrumentKind)}", field="kind")
    today = ask.house.now().astimezone(SHANGHAI).date()
    year = ask.number("year", today.year, most=date.max.year) or today.year
    law = await ask.city.law()
    after = ask.cursor(tuple[Ordinal, Ordinal])
    unit = ask.query("unit")
    rows: list[Any] = []
    page = await register.numbered(
        ask.city.ledger, kind, [f"{year}", f"{law.city_code}{year}"], after=after, limit=ask.limit()
    )
    for row, units, entries in page.rows:
        if (unit is None or unit in units) and await _known(ask, row, entries):
            rows.append(row)
    position, _ = await ask.city.ledger.head()
    return listing(ask, "instruments", rows, position, next_page(*page.more) if page.more is not None else "")


async def _known(ask: Ask, row: register.Registered, entries: Sequence[Entry]) -> bool:
    kind = row.record.partition(":")[0]
    if kind != "order":
        state = ask.city.ledger.fold_entries(row.record, entries)
        return may_read(kind, state, ask.who)
    try:
        seen = await sighted(ask, views.case_of(entries, row.record), row.record)
    except UnknownOrder:
        return False
    return any(entry.version == row.version for entry, _ in _of_case(entries, seen))
