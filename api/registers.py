"""登记簿 over HTTP: the year's register, the use register, what is over; hand-overs, receipts and lists carried out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import date
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec

from api.access import READERS
from api.archiving import LOOKERS, archivists, packet_named
from api.asking import Answer, Ask, QueryUnfit, is_uuid, listing, next_page
from api.problems import BodyUnfit, NotForThisRole
from archive import custody, forms, registers
from archive.custody import Carried
from archive.registers import Expired, Line, TooLongToPrint, Use
from domain.calendar import FIRST_YEAR, LAST_YEAR
from domain.matters.batches import Batch, BatchKind
from domain.notes import Policy
from domain.refusals import UnknownStream
from domain.terms import SHANGHAI, Role, UserId

CSV = "text/csv"
PAGE = 500
"""Lines of a table that are read and sent at a time."""

AT_ONCE = 200
"""Cases that are carried out in one request; whoever asks again goes on."""


class Form(StrEnum):
    """As what a register is wanted."""

    JSON = "json"
    CSV = "csv"
    PDF = "pdf"


class To(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who receives a packet; nothing: the archives that the fonds names."""

    receiver: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] | None = None


class CarryingOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who watches files being destroyed (监销人); of a hand-over nobody."""

    witness: UserId | None = None


def _look(ask: Ask) -> None:
    if ask.who.role not in LOOKERS | {Role.LEADER}:
        raise NotForThisRole


def _form(ask: Ask) -> Form:
    accepted = ask.header("accept")
    found = ask.word("format", Form)
    return found or (Form.CSV if CSV in accepted else Form.PDF if "application/pdf" in accepted else Form.JSON)


def _year(said: str) -> int:
    if not (said.isascii() and said.isdecimal() and len(said) == 4 and 1900 <= int(said) <= 2999):
        raise QueryUnfit("year: 1900 … 2999", field="year")
    return int(said)


def _table(name: str, parts: AsyncIterator[bytes], position: int) -> Answer:
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Ledger-Position": str(position)}
    return Answer(parts, headers=headers, media_type=f"{CSV}; charset=utf-8")


async def register(ask: Ask) -> Answer:
    """Return a year's register: a page of it, or all of it as a table or a print."""
    _look(ask)
    ask.paced("archive_register")
    year, form = _year(ask.path("year")), _form(ask)
    said = ask.query("series")
    one = None if said is None else registers.series_of(said)
    if said is not None and one is None:
        raise QueryUnfit("series: D30, L-D10", field="series")
    only = registers.SERIES if one is None else (one,)
    ledger, fonds = ask.city.ledger, archivists(ask).fonds(ask.city.ledger.city)
    if form is Form.CSV:
        position, _ = await ledger.head()
        return _table(f"register-{year}", _lines(ask, year, only), position)
    if form is Form.PDF:
        found = await registers.register(ledger, fonds, year, only=only, limit=registers.MOST_PRINTED + 1)
        if len(found.lines) > registers.MOST_PRINTED:
            raise TooLongToPrint(f"> {registers.MOST_PRINTED}")
        html = forms.register(found, (await ledger.law()).city_name, fonds, await ledger.now())
        return Answer(await ask.house.printer.pdf(html), media_type="application/pdf")
    limit = ask.limit()
    found = await registers.register(ledger, fonds, year, only=only, after=ask.cursor(tuple[int, int]), limit=limit)
    answer = listing(ask, "lines", found.lines, found.position, next_page(*found.more) if found.more else "")
    return answer._replace(body={**answer.body, "year": year, "missing": found.missing})


async def _lines(ask: Ask, year: int, only: Sequence[tuple[str, str]]) -> AsyncIterator[bytes]:
    ledger, fonds = ask.city.ledger, archivists(ask).fonds(ask.city.ledger.city)
    yield registers.table(Line, [])
    after: tuple[int, int] | None = None
    while True:
        found = await registers.register(ledger, fonds, year, only=only, after=after, limit=PAGE)
        yield b"".join(list(registers.parts(Line, found.lines))[1:])
        after = found.more
        if after is None:
            return


async def uses(ask: Ask) -> Answer:
    """Return the use register of a year, or of one case."""
    _look(ask)
    ask.paced("archive_uses")
    now = (await ask.city.ledger.now()).astimezone(SHANGHAI)
    year, form = _year(ask.query("year") or f"{now.year}"), _form(ask)
    said = ask.query("order")
    order = (await ask.city.shown.order_by_number(said)).id if said is not None else None
    limit, held = (1 << 40, None) if form is Form.CSV else (ask.limit(), ask.cursor(tuple[int]))
    found = await registers.uses(ask.city.ledger, year, after=held[0] if held else 0, limit=limit, order=order)
    if form is Form.CSV:
        return _table(f"uses-{year}", _whole(registers.table(Use, found.rows)), found.position)
    answer = listing(ask, "uses", found.rows, found.position, next_page(found.more) if found.more else "")
    return answer._replace(body={**answer.body, "year": year, "missing": found.missing})


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def expired(ask: Ask) -> Answer:
    """Return the files whose retention is over by a day, with what was thought of each and what keeps it."""
    _look(ask)
    ask.paced("archive_expired")
    at = ask.instant("by") or await ask.city.ledger.now()
    by = at.astimezone(SHANGHAI).date()
    if not FIRST_YEAR < by.year < LAST_YEAR:
        raise QueryUnfit(f"by: {by}", field="by")
    if _form(ask) is Form.CSV:
        position, _ = await ask.city.ledger.head()
        return _table(f"expired-{by}", _expired(ask, by), position)
    held = ask.cursor(tuple[UUID])
    fonds = archivists(ask).fonds(ask.city.ledger.city)
    after = held[0] if held else None
    found = await registers.expired(ask.city.ledger, ask.city.shown, fonds, by, after=after, limit=ask.limit())
    return listing(ask, "files", found.rows, found.position, next_page(found.more) if found.more else "")


async def _expired(ask: Ask, by: date) -> AsyncIterator[bytes]:
    fonds, after = archivists(ask).fonds(ask.city.ledger.city), None
    yield registers.table(Expired, [])
    while True:
        found = await registers.expired(ask.city.ledger, ask.city.shown, fonds, by, after=after, limit=PAGE)
        yield b"".join(list(registers.parts(Expired, found.rows))[1:])
        after = found.more
        if after is None:
            return


# --- batches -----------------------------------------------------------------------------------------------------


async def batches(ask: Ask) -> Answer:
    """Return packets that were handed over and lists to be destroyed, the newest first."""
    if ask.who.role not in READERS["batch"]:
        raise NotForThisRole
    rows = await registers.batches(ask.city.ledger, ask.city.shown, limit=ask.limit())
    return listing(ask, "batches", rows, (await ask.city.ledger.head())[0])


async def files(ask: Ask) -> Answer:
    """Return the files of a list to be destroyed, as those who agree to it read it; its digest stands in the batch."""
    if ask.who.role not in READERS["batch"]:
        raise NotForThisRole
    batch = await custody.batch_of(ask.city.ledger, _stream(ask), BatchKind.DISPOSAL)
    cases = await custody.cases_of(ask.city.ledger, batch)
    law, fonds = await ask.city.ledger.law(), archivists(ask).fonds(ask.city.ledger.city)
    rows = [registers.expired_row(order, entries, law, fonds) for order, entries in cases]
    position, _ = await ask.city.ledger.head()
    if _form(ask) is Form.CSV:
        return _table(f"disposal-{batch.number}", _whole(registers.table(Expired, rows)), position)
    answer = listing(ask, "files", rows, position)
    return answer._replace(body={**answer.body, "batch": registers.batch_row(batch)})


def _stream(ask: Ask) -> str:
    said = ask.path("batch")
    if not is_uuid(said):
        raise UnknownStream(ascii(said[:60]))
    return f"batch:{said.lower()}"


async def hand_over(ask: Ask) -> Answer:
    """Hand over a packet that was made here: its digest is recorded, and that all in it is sealed was looked at."""
    packets, name, said = archivists(ask, alone=True), packet_named(ask), await ask.said(To)
    schema = ask.city.ledger.city
    receiver = said.receiver or packets.fonds(schema).archives
    if not receiver:
        raise BodyUnfit("receiver: huiyin archive fonds --archives", field="receiver")
    root = packets.root(schema) / name
    if not await asyncio.to_thread(root.is_dir):
        raise UnknownStream(name)
    log = ask.city.log
    assert log.key is not None  # whoever makes packets signs heads
    policy = Policy(log.key, log.witnesses)
    receipt = await custody.hand_over(ask.city.ledger, root, receiver, ask.who.actor, policy)
    batch = await custody.batch_of(ask.city.ledger, receipt.stream, BatchKind.HANDOVER)
    return Answer(
        {"batch": registers.batch_row(batch), "position": receipt.first_position}, 200 if receipt.replayed else 201
    )


async def carry_out(ask: Ask) -> Answer:
    """Carry out the next cases of a batch: record that they went, or destroy them; asked again it goes on."""
    archivists(ask, alone=True)
    said, stream, ledger = await ask.said(CarryingOut), _stream(ask), ask.city.ledger
    batch = await ledger.fold(stream)
    if not isinstance(batch, Batch):
        raise UnknownStream(stream)
    if batch.what is BatchKind.HANDOVER:
        done = await custody.move(ledger, stream, ask.who.actor, most=AT_ONCE)
    else:
        if said.witness is None:
            raise BodyUnfit("witness: 监销人", field="witness")
        done = await custody.dispose(ledger, stream, said.witness, ask.who.actor, most=AT_ONCE)
    return Answer(_done(done))


def _done(done: Carried) -> dict[str, object]:
    failed = [{"file_number": number, "why": why} for number, why in done.failed]
    return {**msgspec.to_builtins(done), "failed": failed}
