"""Commands over HTTP: one way for each of them, made from the unions of `domain.kinds`; and many of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import psycopg

from api import views
from api.access import IMPORTING, OF_UNITS, SENSITIVE, Sight, Viewer, may_read, sight
from api.asking import (
    LONGEST_BATCH,
    Answer,
    Ask,
    City,
    is_uuid,
    read_instant,
    read_object,
)
from api.commands import BY_NAME, SERVED, own_stream, read_command
from api.problems import (
    BodyUnfit,
    FileNotKept,
    HeaderUnfit,
    KeyMissing,
    KeyUsed,
    ReasonNeeded,
    ScopeMissing,
    UnknownCommand,
    as_problem,
    status_of,
    unfit,
)
from domain.attachments import named_by
from domain.kinds import KINDS
from domain.ledger import Receipt
from domain.matters.calls import call_stream
from domain.matters.publications import PublishReport
from domain.refusals import (
    NotForThisStream,
    Refusal,
    RoleNotAllowed,
    Unavailable,
    UnknownOrder,
    UnknownStream,
)
from domain.state import WorkOrder
from domain.steps.recourse import StateFinding
from domain.steps.registration import Register
from domain.terms import Act, Entry, Origin, Role
from projections.answers import NumberAmbiguous
from supervision.findings import refuse_unfound
from supervision.reports import refuse_early

COLLECTIONS: Mapping[str, str] = {
    "orders": "order",
    "matters": "matter",
    "calls": "call",
    "inquiries": "inquiry",
    "publications": "publication",
    "subjects": "subject",
    "batches": "batch",
    "institution": "institution",
}
"""What the path calls each kind of stream."""

OF_KIND: Mapping[str, frozenset[str]] = {
    kind.name: frozenset(str(command.__struct_config__.tag) for command in kind.commands if command in SERVED)
    for kind in KINDS
}

KIND_OF: Mapping[str, str] = {name: kind for kind, names in OF_KIND.items() for name in names}

NEW = "new"
"""What the path says instead of an id, where a command begins a record of its own."""

LONGEST_LIST = 5000
"""The most lines of one batch."""


class Given(NamedTuple):
    """A command with everything that its caller said about it."""

    act: Act
    record: str  # what it is about, as the caller calls it; `new` where it begins something
    kind: str  # of the stream
    key: str
    expected: int | None = None
    reason: str = ""
    on_behalf_of: str = ""
    occurred_at: datetime | None = None
    origin: Origin = Origin.LIVE
    correlation: str = ""
    trace: str = ""
    dry_run: bool = False
    brief: bool = False  # the receipt alone


# --- one command -------------------------------------------------------------------------------------------------


async def register(ask: Ask) -> Answer:
    """Register an order."""
    return await _command(ask, "order", NEW, "register")


async def command(ask: Ask) -> Answer:
    """Give the command that the path names, about the record that it names."""
    kind = COLLECTIONS[ask.collection]
    return await _command(ask, kind, ask.path("record"), ask.path("command"))


async def institutional(ask: Ask) -> Answer:
    """Give a command of the institution."""
    return await _command(ask, "institution", "institution", ask.path("command"))


async def _command(ask: Ask, kind: str, record: str, name: str) -> Answer:
    act_type = command_type(kind, name, ask.who)
    key = ask.header("idempotency-key")
    if not key:
        raise KeyMissing
    reason = ask.header("huiyin-reason")
    if name in SENSITIVE and not reason:
        raise ReasonNeeded(name)
    occurred_at = read_instant("Huiyin-Occurred-At", ask.header("huiyin-occurred-at") or None)
    given = Given(
        act=_read(await ask.body(), name),
        record=record,
        kind=kind,
        key=key,
        expected=ask.expected(),
        reason=reason,
        on_behalf_of=ask.header("huiyin-on-behalf-of"),
        occurred_at=occurred_at,
        origin=_origin(ask.who, ask.header("huiyin-origin"), occurred_at),
        correlation=ask.header("huiyin-correlation"),
        trace=ask.trace(),
        dry_run=ask.flag("validate"),
        brief="return=minimal" in ask.header("prefer"),
    )
    assert isinstance(given.act, act_type)
    receipt, told = await carry_out(ask, given)
    position = receipt.first_position + len(receipt.events) - 1 if receipt.first_position else None
    headers = {"ETag": f'"{receipt.version}"', "Location": location(ask.city, receipt.stream)}
    if position is not None:
        headers["Ledger-Position"] = str(position)
    if receipt.replayed:
        headers["Idempotency-Replayed"] = "true"
    recorded = bool(receipt.first_position)
    return Answer(told, 201 if recorded else 200, headers)


def command_type(kind: str, name: str, who: Viewer) -> type[Act]:
    """Return a kind's command by name, for who may give it. Raises UnknownCommand and RoleNotAllowed."""
    if name not in OF_KIND[kind]:
        raise UnknownCommand(name[:60])
    act_type = BY_NAME[name]
    if who.role not in act_type.roles:
        allowed = ", ".join(sorted(act_type.roles))
        raise RoleNotAllowed(f"{who.role}; 可由 allowed: {allowed}", role=who.role)
    return act_type


def _read(plain: dict[str, Any], name: str) -> Act:
    if "type" in plain:
        raise BodyUnfit("type: 命令由地址写明 the path names the command", field="type")
    try:
        return read_command({**plain, "type": name})
    except msgspec.ValidationError as error:
        raise unfit(error) from error


def _origin(who: Viewer, said: str, occurred_at: datetime | None) -> Origin:
    """Return how a command comes in: now, backfilled, or told by an old system that vouches for it."""
    if said == Origin.IMPORT:
        if not who.claims.may(IMPORTING):
            raise ScopeMissing(IMPORTING)
        return Origin.IMPORT
    if said not in ("", Origin.BACKFILL):
        raise HeaderUnfit("Huiyin-Origin: backfill | import", field="Huiyin-Origin")
    return Origin.LIVE if occurred_at is None else Origin.BACKFILL


async def carry_out(ask: Ask, given: Given) -> tuple[Receipt, dict[str, Any]]:
    """Carry out a command once; return what it came to, and what its caller is told. Raises what refuses it."""
    stream = await _stream(ask, given)
    before = await _looked(ask, stream) if stream is not None and stream.startswith("order:") else None
    await _files_kept(ask, given, stream)
    await ask.city.shown.refuse_forgetting(given.act, given.origin)
    if isinstance(given.act, StateFinding) and given.origin is not Origin.IMPORT:
        refuse_unfound(given.act, ask.who.actor.unit, before or (), await ask.city.law(), ask.house.now())
    if isinstance(given.act, PublishReport):
        await refuse_early(given.act, ask.city.ledger)
    receipt = await ask.city.ledger.execute(
        given.act,
        stream=stream,
        actor=ask.who.actor,
        command_id=given.key,
        occurred_at=given.occurred_at,
        origin=given.origin,
        on_behalf_of=given.on_behalf_of,
        reason=given.reason,
        expected=given.expected,
        correlation_id=given.correlation,
        trace_id=given.trace,
        dry_run=given.dry_run,
    )
    if given.dry_run and receipt.first_position:  # of what is only tried nothing is recorded
        raise KeyUsed(f"{receipt.first_position}")
    if receipt.stream == "institution" and receipt.first_position:
        await ask.city.law(fresh=True)
    told = _told(receipt, given)
    if isinstance(given.act, Register) and not given.dry_run:
        told["query_code"] = ask.city.ledger.query_code(receipt.stream)  # for the applicant, who is told it now
    return receipt, {**told, **({} if given.brief else await _state(ask, receipt, before))}


async def _files_kept(ask: Ask, given: Given, stream: str | None) -> None:
    """Refuse what names files of a case that are not there: evidence that nobody can open is none. Raises FileNotKept.

    What other systems tell of, past or present, lies with them; what is entered afterwards was given here.
    """
    if given.kind != "order" or given.origin is Origin.IMPORT or ask.who.role is Role.SYSTEM:
        return
    for path, one in named_by(given.act):
        if stream is None or not await ask.city.keeps(stream, one):
            raise FileNotKept(one.digest, field=path)


async def _looked(ask: Ask, stream: str) -> list[Entry] | None:
    """Return an order's entries, for whom it must be asked whether they may know of it at all. Raises UnknownOrder."""
    if not ask.who.of_unit and ask.who.role not in (Role.CITIZEN, Role.DISCIPLINE):
        return None
    look = await ask.city.ledger.look(stream)
    await sighted(ask, views.case_of(look.entries, stream), stream)
    return look.entries


async def sighted(ask: Ask, case: WorkOrder, name: str) -> Sight:
    """Return how a caller sees a case. A unit sees what was merged into its own: it tells that applicant too.

    Raises UnknownOrder, NotForThisRole.
    """
    try:
        return sight(case, ask.who, name)
    except UnknownOrder:
        merge = case.links.merge
        if not ask.who.of_unit or merge is None or merge.undone is not None:
            raise
    entries = await ask.city.ledger.history(f"order:{merge.master}")
    return Sight(ask.who, sight(views.case_of(entries, name), ask.who, name).column)


async def _stream(ask: Ask, given: Given) -> str | None:
    """Return the stream that a command is about; None where one is to be drawn. Raises what says that there is none."""
    own = own_stream(given.act)
    if given.kind == "institution":
        return "institution"
    if given.record == NEW:
        if own is None and getattr(given.act, "creates", None) is None:
            raise NotForThisStream(NEW)
        return own
    stream = await stream_named(ask, given.kind, given.record)
    if own is not None and own != stream:
        raise NotForThisStream(given.record)
    return stream


async def stream_named(ask: Ask, kind: str, record: str) -> str:
    """Return the stream that a path means: an order by id, number or old number, a call by the telephone system's id.

    Raises UnknownOrder, UnknownStream, NumberAmbiguous.
    """
    if is_uuid(record):
        return f"{kind}:{record.lower()}"
    if kind == "order":
        if not 4 <= len(record) <= 100 or not record.isprintable():
            raise UnknownOrder(ascii(record[:100]))
        try:
            return (await ask.city.shown.order_by_number(record)).stream
        except NumberAmbiguous as error:  # which orders there are is told to whom may know of all of them
            if ask.who.role in (*OF_UNITS, Role.CITIZEN, Role.DISCIPLINE, Role.ADMIN):
                raise UnknownOrder(ascii(record[:100])) from error
            raise
    if kind == "call" and record.isprintable():
        return call_stream(record)
    raise UnknownStream(ascii(record[:100]))


def location(city: City, stream: str) -> str:
    """Return where a record is read."""
    kind, _, name = stream.partition(":")
    collection = next((c for c, of in COLLECTIONS.items() if of == kind), kind)
    return f"/v1/{city.name}/{collection}" + (f"/{name}" if name else "")


def _told(receipt: Receipt, given: Given) -> dict[str, Any]:
    return {
        "command_id": receipt.command_id,
        "stream": receipt.stream,
        "id": receipt.stream.partition(":")[2],
        "version": receipt.version,
        "first_position": receipt.first_position,
        "recorded_at": receipt.recorded_at,
        "numbers": receipt.numbers,
        "replayed": receipt.replayed,
        "dry_run": given.dry_run,
        "events": [views.entry_view(entry) for entry in receipt.events],
    }


async def _state(ask: Ask, receipt: Receipt, before: list[Entry] | None) -> dict[str, Any]:
    """Return the record as it is afterwards, for who may read it."""
    written = [entry for entry in receipt.events if entry.stream == receipt.stream]
    kind = receipt.stream.partition(":")[0]
    if kind == "institution" or not written:
        return {}
    entries = [*(before or ()), *written]
    if not receipt.first_position and before is None and written[0].version > 1:
        before = await ask.city.ledger.history(receipt.stream)  # a dry run: on top of what there is
        entries = [*before, *written]
    elif receipt.replayed or [entry.version for entry in entries] != list(range(1, len(entries) + 1)):
        entries = await ask.city.ledger.history(receipt.stream)
    if kind != "order":
        state = ask.city.ledger.fold_entries(receipt.stream, entries)
        return {"record": views.plain(state)} if may_read(kind, state, ask.who) else {}
    case = views.case_of(entries, receipt.stream)
    try:
        seen = await sighted(ask, case, case.number)
    except Refusal:
        return {"number": case.number}  # registered for somebody who may not read it
    return {"number": case.number, **_case(case, seen, await ask.city.law(), receipt)}


def _case(case: WorkOrder, seen: Any, law: Any, receipt: Receipt) -> dict[str, Any]:
    return {
        "state": case.state,
        "order": views.order_view(case, seen),
        "clocks": views.clock_views(case, law, receipt.recorded_at, seen),
    }


# --- many commands -----------------------------------------------------------------------------------------------


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a batch: a command with its `type`, the id it is carried out once under, and what it is about."""

    id: str
    command: dict[str, Any]
    record: str = NEW  # an order's id or number, a call's id …
    if_version: int | None = None
    reason: str = ""
    on_behalf_of: str = ""
    occurred_at: str = ""
    origin: str = ""


_LINES = msgspec.json.Decoder(Line)


async def batch(ask: Ask) -> Answer:
    """Carry out many commands, each for itself; answer a line for each, in their order.

    Lines about one record are carried out in their order, others together.
    """
    content = await ask.bytes("application/x-ndjson", "application/ndjson", most=LONGEST_BATCH)
    rows = [row for row in content.splitlines() if row.strip()]
    if len(rows) > LONGEST_LIST:
        raise BodyUnfit(f"{len(rows)} > {LONGEST_LIST}")
    dry_run = ask.flag("validate")
    turns: dict[str, asyncio.Lock] = {}
    at_once = asyncio.Semaphore(128)

    async def one(number: int, row: bytes) -> dict[str, Any]:
        line = _line(row)
        if isinstance(line, Refusal):
            return _refused(number, "", line)
        same = turns.setdefault(f"{line.record}" if line.record != NEW else f"new:{number}", asyncio.Lock())
        async with same, at_once:
            return await _one(ask, number, line, dry_run=dry_run)

    # Tasks ask for their record's turn in the order in which they are made.
    told = await asyncio.gather(*(one(number, row) for number, row in enumerate(rows, 1)))
    last = max((row.pop("last") for row in told if "last" in row), default=0)
    headers = {"Ledger-Position": str(last)} if last else {}
    return Answer(msgspec.json.Encoder().encode_lines(told), headers=headers, media_type="application/x-ndjson")


def _line(row: bytes) -> Line | Refusal:
    try:
        read_object(row)
        return _LINES.decode(row)
    except msgspec.ValidationError as error:
        return BodyUnfit(str(error))
    except Refusal as refusal:
        return refusal


_OF_A_LINE = ("stream", "id", "version", "first_position", "numbers", "replayed", "query_code")


async def _one(ask: Ask, number: int, line: Line, *, dry_run: bool) -> dict[str, Any]:
    try:
        receipt, told = await carry_out(ask, _given(ask, line, dry_run=dry_run))
    except Refusal as refusal:
        return _refused(number, line.id, refusal)
    except psycopg.Error:
        return _refused(number, line.id, Unavailable())
    return {
        "line": number,
        "status": 201 if receipt.first_position else 200,
        **{name: told[name] for name in _OF_A_LINE if name in told},
        "command_id": line.id,
        "last": receipt.first_position + len(receipt.events) - 1 if receipt.first_position else 0,
    }


def _given(ask: Ask, line: Line, *, dry_run: bool) -> Given:
    name = line.command.get("type")
    if not isinstance(name, str) or name not in KIND_OF:
        raise UnknownCommand(str(name)[:60])
    kind = KIND_OF[name]
    command_type(kind, name, ask.who)
    if not line.id:
        raise KeyMissing
    if name in SENSITIVE and not line.reason:
        raise ReasonNeeded(name)
    occurred_at = read_instant("occurred_at", line.occurred_at or None)
    plain = {key: value for key, value in line.command.items() if key != "type"}
    return Given(
        act=_read(plain, name),
        record=line.record,
        kind=kind,
        key=line.id,
        expected=line.if_version,
        reason=line.reason,
        on_behalf_of=line.on_behalf_of,
        occurred_at=occurred_at,
        origin=_origin(ask.who, line.origin, occurred_at),
        trace=ask.trace(),
        dry_run=dry_run,
        brief=True,
    )


def _refused(number: int, key: str, refusal: Refusal) -> dict[str, Any]:
    return {"line": number, "command_id": key, "status": status_of(refusal), "problem": as_problem(refusal)}
