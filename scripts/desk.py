"""The commands about cases: `show`, `history`, `list`, `do`, `commands`, each over one city's ledger."""

from __future__ import annotations

import asyncio
import getpass
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints
from uuid import UUID

import click
import msgspec
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from api.commands import too_deep
from api.views import sealed_fields
from domain.clocks import clocks
from domain.explanation import explain
from domain.journals import JOURNALS, is_journal
from domain.kinds import KINDS
from domain.ledger import Ledger, Receipt
from domain.matters.calls import call_stream
from domain.matters.publications import PublishReport
from domain.order import fold, history
from domain.refusals import UnknownOrder, UnknownStream
from domain.sealing import Consent
from domain.steps.recourse import StateFinding
from domain.steps.registration import Register
from domain.terms import SHANGHAI, Act, Actor, ClockName, Entry, OrderState, Origin, Role, Sealed
from projections.answers import Projections
from projections.orders import OrderRow
from scripts import embedded, importing, printing, wiring
from scripts.importing import BY_NAME, arms, structs_in, type_at, words_of
from scripts.lawbook import answer
from scripts.wiring import SettingError
from supervision.findings import refuse_unfound
from supervision.reports import refuse_early

T = TypeVar("T")
city_option = click.option(
    "--city", default=wiring.default_city, help="城市 the city (HUIYIN_CITY); without: the only one there is."
)
json_option = click.option("--json", "as_json", is_flag=True, help="供程序读取 JSON for programs.")
as_option = click.option(
    "--as", "actor", required=True, metavar="USER/ROLE[@UNIT]", help="操作人 who acts: wang/org_handler@D-B1"
)


who_option = click.option(
    "--as", "actor", metavar="USER/ROLE[@UNIT]", help="操作人 who takes it; without: this account, as an administrator."
)


def whoever(said: str | None) -> Actor:
    """Return who is said to act; else whose account it is at this terminal, as an administrator."""
    return parse_actor(said if said is not None else f"{getpass.getuser()}/{Role.ADMIN}")


def parse_actor(text: str) -> Actor:
    """Return the actor written as `user/role@unit`. Raises SettingError, listing the roles."""
    user, _, rest = text.partition("/")
    role, _, unit = rest.partition("@")
    if not user or role not in set(Role):
        raise SettingError(f"写作 write it as user/role@unit: {text!r}; 角色 roles: {', '.join(Role)}")
    return Actor(user=user, role=Role(role), unit=unit)


async def the_city(database: embedded.Database, said: str | None) -> str:
    """Return the schema of the city meant: the one said, or the only one. Raises SettingError."""
    schemas = wiring.by_name(await wiring.cities(database))
    return schemas[_meant(list(schemas), said)]


async def the_name(database: embedded.Database, said: str | None) -> str:
    """Return the name of the city meant, as it is asked under. Raises SettingError."""
    return _meant(list(wiring.by_name(await wiring.cities(database))), said)


def _meant(cities: Sequence[str], said: str | None) -> str:
    if said in cities or (not said and len(cities) == 1):
        return said or cities[0]
    if not cities:
        raise SettingError("还没有城市 no city yet; 请先 run first: huiyin init CITY --policy S0")
    if said:
        raise SettingError(f"没有此城市 no such city: {said}; 已有 there are: {', '.join(cities)}")
    raise SettingError(f"请指明城市 name one with --city: {', '.join(cities)}")


def with_city(said: str | None, work: Callable[[Ledger, Projections], Awaitable[T]], *, follow: bool = True) -> T:
    """Open a city, let its projections catch up, do `work` and close it."""
    database = wiring.database()  # before the loop runs: entering a database may need one of its own

    async def run() -> T:
        city = await the_city(database, said)
        async with await wiring.open_city(database, city) as ledger, Projections(database.app, city) as shown:
            if (await ledger.head())[0] == 0:
                raise SettingError(
                    f"{city} 的建账中断了 its founding was interrupted: 请再次 run again: huiyin init {city} …"
                )
            if follow:
                await caught_up(shown)
            return await work(ledger, shown)

    return run_async(run())


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run one coroutine to its end."""
    return asyncio.run(work)


async def caught_up(shown: Projections) -> None:
    """Let the tables catch up with the ledger; one that is blocked says so and keeps its last good rows."""
    followed = await shown.follow_until()
    for sentence in followed.blocked:
        click.echo(f"! {sentence}", err=True)


async def stream_of(shown: Projections, said: str) -> str:
    """Return the stream that a person means: an order by number, old number or id, or a stream by its own name.

    A call's is also meant by the telephone system's id. Raises UnknownOrder, SettingError.
    """
    kind, colon, name = said.partition(":")
    if kind == "institution" and not colon:
        return said
    if not colon or kind == "order":
        return (await shown.order_by_number(name or said)).stream
    known = sorted({*JOURNALS, *(one.name for one in KINDS)} - {"institution"})
    if kind not in known:
        raise SettingError(
            f"没有此类记录 no such kind of record: {kind!r}; 可用 there are: institution, {', '.join(known)}"
        )
    if kind == "call" and not _is_id(name):
        return call_stream(name)
    return said


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


# --- show --------------------------------------------------------------------------------------------------------


@click.command("show")
@click.argument("order")
@click.option("--as-of", "as_at", metavar="T", help="截至 what had happened by T, as is known now.")
@click.option("--as-recorded", "recorded_by", metavar="T", help="当时所知 what the ledger knew at T.")
@click.option("--brief", is_flag=True, help="时限只列一行 clocks in a line each, not explained.")
@city_option
@json_option
def show_command(
    order: str, as_at: str | None, recorded_by: str | None, brief: bool, city: str | None, as_json: bool
) -> None:
    """显示一件工单: its history, its clocks, and how each deadline came about.

    ORDER: number, old number or id.
    """
    at = wiring.parse_instant(as_at) if as_at else None
    known = wiring.parse_instant(recorded_by) if recorded_by else None

    async def work(ledger: Ledger, shown: Projections) -> None:
        stream = await stream_of(shown, order)
        if not stream.startswith("order:"):
            raise SettingError(f"show 只显示工单 shows orders; 请用 use: huiyin history {order}")
        entries = history(await ledger.history(stream), recorded_by=known, as_at=at)
        law = await ledger.law()
        case = fold(entries)
        if case is None:
            raise UnknownOrder(f"{order}: 该时刻尚未登记 not registered by then")
        now = at or known or wiring.process_now()
        explained = [(clock, explain(clock, law)) for clock in clocks(case, law)]
        if as_json:
            answer(
                {
                    "order": case,
                    "history": [as_data(entry) for entry in entries],
                    "clocks": [{**msgspec.to_builtins(told), "status": clock.status(now)} for clock, told in explained],
                    "seen_at": now,
                }
            )
            return
        pack = law.rules(case.policy).pack
        printing.console().print(printing.story(case, pack, entries, explained, now, brief=brief))

    with_city(city, work)


def as_data(entry: Entry) -> dict[str, Any]:
    """Return an entry for programs."""
    return {
        "version": entry.version,
        "position": entry.position,
        "at": entry.at,
        "recorded_at": entry.recorded_at,
        "occurred_at": entry.occurred_at,
        "origin": entry.origin,
        "actor": entry.actor,
        "numbers": entry.numbers,
        "command_id": entry.command_id,
        "event": entry.event,
    }


@click.command("history")
@click.argument("stream")
@city_option
@json_option
def history_command(stream: str, city: str | None, as_json: bool) -> None:
    """列出一件工单或一个记录的全部事件: every event of a record.

    STREAM: an order's number, or institution, call:ID, matter:ID, inquiry:ID, publication:ID, or a journal such as
    access:2025-03-04, shreds:all.
    """

    async def work(ledger: Ledger, shown: Projections) -> None:
        where = await stream_of(shown, stream)
        entries = await ledger.history(where)
        if not entries and not is_journal(where):
            raise UnknownStream(stream)
        if as_json:
            answer([as_data(entry) for entry in entries])
            return
        if not entries:
            click.echo("没有事件 no events")
            return
        printing.console().print(printing.timeline(entries))

    with_city(city, work)


# --- list --------------------------------------------------------------------------------------------------------


@click.command("list")
@click.option(
    "--state",
    "states",
    multiple=True,
    metavar="STATE",
    type=click.Choice([str(s) for s in OrderState]),
    help=f"状态 one of {', '.join(OrderState)} (repeatable).",
)
@click.option("--unit", metavar="UNIT", help="主办单位 the unit that leads, or led last.")
@click.option("--overdue", is_flag=True, help="只列超期 only those with a duty that is late.")
@click.option("--by-due", is_flag=True, help="最先到期在前 those with a running duty, the next due first.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="最多 at most so many.")
@click.option("--at", "at", metavar="T", help="以此时刻计超期 the instant lateness is judged at; without: now.")
@click.option("--as-of", "as_at", metavar="T", help="截至 as they were at T, as is known now; read from the events.")
@click.option("--as-recorded", "recorded_by", metavar="T", help="当时所知 as the ledger knew them at T.")
@city_option
@json_option
def list_command(
    states: tuple[str, ...],
    unit: str | None,
    overdue: bool,
    by_due: bool,
    limit: int,
    at: str | None,
    as_at: str | None,
    recorded_by: str | None,
    city: str | None,
    as_json: bool,
) -> None:
    """列出工单: orders by registration, or by what is due next; also as they were at an instant."""
    then = wiring.parse_instant(as_at) if as_at else None
    known = wiring.parse_instant(recorded_by) if recorded_by else None
    now = wiring.parse_instant(at) if at else then or known or wiring.process_now()

    async def work(_: Ledger, shown: Projections) -> None:
        wanted = [OrderState(state) for state in states] or None
        if then is not None or known is not None:
            found = await shown.orders_as_of(
                as_at=then, recorded_by=known, states=wanted, unit=unit, overdue=overdue, limit=limit
            )
        elif by_due:
            found = await shown.orders_by_due(unit=unit, limit=limit)
        else:
            found = await shown.list_orders(states=wanted, unit=unit, overdue=now if overdue else None, limit=limit)
        if not by_due:  # by id is by registration; of what was imported, by when it was brought in
            rows = sorted(found.rows, key=lambda row: (row.registered_at, row.number))
            found = msgspec.structs.replace(found, rows=tuple(rows))
        if as_json:
            answer(found)
            return
        if not found.rows:
            empty = (
                "账本中还没有工单 no orders yet"
                if (await shown.counts_by_state())[1] == {}
                else "没有符合条件的工单 no orders like that"
            )
            click.echo(f"{empty}, 截至位置 true at position {found.position}")
            return
        printing.console().print(orders_table(found.rows, now))
        more = ", 还有更多 and more (--limit)" if found.more else ""
        click.echo(f"{len(found.rows)} 件 orders{more}, 截至位置 true at position {found.position}")

    if by_due and (states or overdue or as_at or recorded_by):
        raise click.UsageError(
            "--by-due 不与 --state, --overdue, --as-of 同用 goes with none of --state, --overdue, --as-of"
        )
    if at and (as_at or recorded_by):
        raise click.UsageError(
            "--at 不与 --as-of 同用: 超期以该时刻计 with --as-of, lateness is judged at that instant"
        )
    with_city(city, work)


def orders_table(rows: Sequence[OrderRow], now: datetime) -> RenderableType:
    """Show orders, a line each; on a narrow terminal two: what it is, then where it stands."""
    old = any(row.old_number for row in rows)
    if printing.console().width < printing.NARROW:
        return Group(*(line for row in rows for line in _order_lines(row, now)))
    table = Table(box=None, pad_edge=False)
    columns = ("工单 order", "旧号 old", "标题 title", "状态 state", "主办 lead", "登记 registered", "到期 due", "")
    for column in columns:
        if old or not column.startswith("旧号"):
            table.add_column(column, overflow="fold", no_wrap=column in (columns[0], columns[5]))
    for row in rows:
        state = printing.state_words(row.state, row.closure_kind)
        table.add_row(
            row.number or str(row.id)[:13],
            *((escape(row.old_number),) if old else ()),
            escape(row.title),
            state,
            escape(row.unit) or "—",
            printing.show_instant(row.registered_at),
            _due(row),
            _late(row, now),
        )
    return table


def _order_lines(row: OrderRow, now: datetime) -> tuple[Text, Text]:
    state = printing.state_words(row.state, row.closure_kind)
    old = f" (旧号 {escape(row.old_number)})" if row.old_number else ""
    where = [state, escape(row.unit) or "—", f"{row.registered_at.astimezone(SHANGHAI):%Y-%m-%d}"]
    if row.due:
        where.append(f"到期 {_due(row)}")
    return (
        Text.from_markup(f"[bold]{row.number or str(row.id)[:13]}[/]{old}  {escape(row.title)}"),
        Text.from_markup("  " + " · ".join(where) + (f" {late}" if (late := _late(row, now)) else "")),
    )


def _due(row: OrderRow) -> str:
    return (f"{printing.show_end(row.due)} {ClockName(row.due_clock).zh}" if row.due else "—") + (
        " 暂定" if row.provisional else ""
    )


def _late(row: OrderRow, now: datetime) -> str:
    return "[red]超期 late[/]" if row.overdue_from is not None and row.overdue_from < now else ""


# --- do ----------------------------------------------------------------------------------------------------------


@click.command("do")
@click.argument("order")
@click.argument("command")
@click.argument("fields", nargs=-1, metavar="[FIELD=VALUE]…")
@as_option
@click.option("--json-fields", metavar="JSON", help="字段 the fields as one JSON object.")
@click.option("--id", "command_id", help="命令标识 the command's id: the same id is carried out once.")
@click.option("--if-version", type=int, help="预期版本 refuse if the order has moved on.")
@click.option("--reason", default="", help="理由代码 a code, kept with the commit.")
@click.option("--on-behalf-of", default="", help="代何人 for whom.")
@click.option("--occurred-at", metavar="T", help="补录时刻 backfilled: when it happened.")
@click.option("--dry-run", is_flag=True, help="只试不写 decide, write nothing.")
@city_option
@json_option
def do_command(
    order: str,
    command: str,
    fields: tuple[str, ...],
    actor: str,
    json_fields: str | None,
    command_id: str | None,
    if_version: int | None,
    reason: str,
    on_behalf_of: str,
    occurred_at: str | None,
    dry_run: bool,
    city: str | None,
    as_json: bool,
) -> None:
    """执行任何命令: give a command, about an order or another record.

    ORDER: number, old number or id; `new` for what begins a record of its own (register, log_call, issue_unit_notice …);
    or institution, matter:ID, call:ID.

    Fields are name=value, also within: attributes.urgency=general, applicant.phone=13800000000. A list or a record is
    written as JSON: co='[{"unit":"E"}]'. `huiyin commands NAME` shows what a command takes.
    """
    by = parse_actor(actor)
    act = importing.read_command(_fields(command, fields, json_fields))
    at = wiring.parse_instant(occurred_at) if occurred_at else None

    async def work(ledger: Ledger, shown: Projections) -> None:
        origin = Origin.LIVE if at is None else Origin.BACKFILL
        await shown.refuse_forgetting(act, origin)
        stream = importing.own_stream(act) or (None if order in ("new", "-") else await stream_of(shown, order))
        if isinstance(act, StateFinding) and stream is not None:
            (entries,) = await ledger.histories([stream])
            refuse_unfound(act, by.unit, entries, await ledger.law(), wiring.process_now())
        if isinstance(act, PublishReport):
            await refuse_early(act, ledger)
        receipt = await ledger.execute(
            act,
            stream=stream,
            actor=by,
            command_id=command_id or f"cli:{secrets.token_hex(12)}",
            origin=origin,
            occurred_at=at,
            expected=if_version,
            reason=reason,
            on_behalf_of=on_behalf_of,
            dry_run=dry_run,
        )
        code = ledger.query_code(receipt.stream) if isinstance(act, Register) and not dry_run else ""
        print_receipt(receipt, dry_run=dry_run, as_json=as_json, query_code=code)

    with_city(city, work)


def _fields(command: str, fields: tuple[str, ...], json_fields: str | None) -> dict[str, Any]:
    """Return the command's JSON from what was written. Raises SettingError where it was written otherwise."""
    name = command.replace("-", "_")
    if any(too_deep(text.encode("utf-8", "surrogateescape")) for text in (*fields, json_fields or "")):
        raise SettingError("嵌套过深 nested too deeply: 命令没有这样的字段 no command has such a field")
    try:
        plain: Any = json.loads(json_fields) if json_fields else {}
    except ValueError as error:
        raise SettingError(f"--json-fields: 不是 JSON not JSON: {error}") from error
    if not isinstance(plain, dict):
        raise SettingError("--json-fields: 须为一个 JSON 对象 one JSON object is wanted")
    act = BY_NAME.get(name)
    for pair in fields:
        path, sign, text = pair.partition("=")
        if not sign or not path:
            raise SettingError(f"写作 write it as field=value: {pair!r}")
        *parents, last = path.split(".")
        place = plain
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise SettingError(f"{path}: {parent} 已写作单个值 was given as a single value before")
        if last in place:
            raise SettingError(f"{path}: 写了两次 was given twice")
        place[last] = _value(text, None if act is None else type_at(act, path))
    return {**plain, "type": name}


def _value(text: str, kind: Any) -> Any:
    """Return what a written value means: text where the field holds text, JSON where it is that, else a word."""
    holds = arms(kind)
    if str in holds or UUID in holds:
        return None if text == "null" and NoneType in holds else text
    try:
        return json.loads(text)
    except ValueError:
        pass
    if datetime in holds:
        return wiring.parse_instant(text).isoformat()
    if any(get_origin(arm) in (tuple, list, frozenset) for arm in holds):
        return [word for word in re.split(r"[,，]\s*", text) if word]  # units=E,F
    return text


def print_receipt(receipt: Receipt, *, dry_run: bool, as_json: bool, query_code: str = "") -> None:
    """Show what a command came to; `query_code`: what the applicant of a new order is told."""
    if as_json:
        answer(
            {
                "command_id": receipt.command_id,
                "stream": receipt.stream,
                "version": receipt.version,
                "first_position": receipt.first_position,
                "numbers": receipt.numbers,
                "replayed": receipt.replayed,
                "dry_run": dry_run,
                "events": [as_data(entry) for entry in receipt.events],
                **({"query_code": query_code} if query_code else {}),
            }
        )
        return
    word = "试行, 未写入 dry run, nothing written" if dry_run else "已记录 recorded"
    if receipt.replayed:
        word = "此命令先前已执行 carried out before"
    click.echo(f"✓ {word}: {receipt.stream} v{receipt.version}")
    if query_code:
        click.echo(f"  查询码 query code: {query_code} (请告知诉求人 tell the applicant)")
    printing.console().print(printing.timeline([entry for entry in receipt.events if not is_journal(entry.stream)]))


# --- opening what is sealed --------------------------------------------------------------------------------------


@click.command("open")
@click.argument("stream")
@click.argument("version", type=int)
@click.argument("fields", nargs=-1, metavar="[FIELD]…")
@click.option("--purpose", required=True, help="用途 why, as a code: it is recorded before anything is opened.")
@click.option(
    "--consent", "consents", multiple=True, metavar="PERSON=FILE", help="双人开启 a private key (repeatable)."
)
@as_option
@city_option
@json_option
def open_command(
    stream: str,
    version: int,
    fields: tuple[str, ...],
    purpose: str,
    consents: tuple[str, ...],
    actor: str,
    city: str | None,
    as_json: bool,
) -> None:
    """开启密封字段: open what is sealed in an event, after recording who looked and why.

    STREAM: an order's number or another record; VERSION: the event's # in its history; FIELD: content, applicant.name …,
    without: all of them. An informant's identity needs the private keys of the two persons appointed.
    """
    by = parse_actor(actor)
    agreed = [consent_of(pair) for pair in consents]

    async def work(ledger: Ledger, shown: Projections) -> None:
        where = await stream_of(shown, stream)
        entries = [e for e in await ledger.history(where) if e.version == version]
        if not entries:
            raise SettingError(f"没有第 {version} 个事件 no event {version} in {stream}")
        sealed = dict(sealed_fields(entries[0].event))
        missing = [name for name in fields if name not in sealed]
        if missing or not sealed:
            raise SettingError(
                f"没有此密封字段 no such sealed field: {', '.join(missing) or '—'}; 有 there are: {', '.join(sealed) or '—'}"
            )
        chosen = {name: sealed[name] for name in fields or sealed}
        opened = await ledger.open_sealed(
            chosen,
            stream=where,
            viewer=by,
            purpose=purpose,
            command_id=f"cli:{secrets.token_hex(12)}",
            consents=agreed,
        )
        plain = {name: str(text) if not isinstance(text, str) else text for name, text in opened.items()}
        if as_json:
            answer(plain)
            return
        for name, text in plain.items():
            click.echo(f"{name}: {text}")

    with_city(city, work)


def consent_of(pair: str) -> Consent:
    """Return the consent that `PERSON=FILE` means: one of the two persons, with their private key. Raises SettingError."""
    person, sign, file = pair.partition("=")
    if not sign:
        raise SettingError(f"写作 write it as PERSON=FILE: {pair!r}")
    try:
        return Consent(person, bytes.fromhex(Path(file).read_text(encoding="ascii").strip()))
    except (OSError, ValueError) as error:
        raise SettingError(f"{file}: {error}") from error


@click.command("commands")
@click.argument("name", required=False)
@json_option
def commands_command(name: str | None, as_json: bool) -> None:
    """列出全部命令: all commands, or what one takes and who may give it."""
    if name is None:
        if as_json:
            answer([{"name": n, "roles": sorted(BY_NAME[n].roles), "says": _doc(BY_NAME[n])} for n in sorted(BY_NAME)])
            return
        table = Table(box=None, pad_edge=False)
        for column in ("命令 command", "说明", "角色 roles"):
            table.add_column(column, overflow="fold")
        for known in sorted(BY_NAME):
            said = _doc(BY_NAME[known]).partition("\n")[0]
            table.add_row(known, escape(said), ", ".join(sorted(BY_NAME[known].roles)))
        printing.console().print(table)
        return
    word = name.replace("-", "_")
    if word not in BY_NAME:
        importing.read_command({"type": word})  # says what is near
    act = BY_NAME[word]
    if as_json:
        answer({"name": word, "roles": sorted(act.roles), "says": _doc(act), "schema": msgspec.json.schema(act)})
        return
    out = printing.console()
    out.print(f"[bold]{word}[/]  {escape(_doc(act))}")
    out.print(f"角色 roles: {', '.join(sorted(act.roles))}")
    table = Table(box=None, pad_edge=False)
    for column in ("字段 field", "", "类型 type"):
        table.add_column(column, overflow="fold")
    for row in field_rows(act):
        table.add_row(*(escape(cell) for cell in row))
    out.print(table)


def _doc(act: type[Act]) -> str:
    return (act.__doc__ or "").strip()


def field_rows(kind: type[msgspec.Struct], within: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield the fields of a record: name, whether it must be there, type; records within it one level deep."""
    hints = get_type_hints(kind)
    for field in msgspec.structs.fields(kind):
        hint = hints[field.name]
        yield f"{within}{field.name}", "必填 required" if field.required else "", type_words(hint)
        many = any(get_origin(arm) is not None for arm in arms(hint))
        inner = structs_in(hint)
        if not within and len(inner) == 1 and len(msgspec.structs.fields(inner[0])) <= 12:
            yield from field_rows(inner[0], f"  {field.name}{'[…]' if many else ''}.")


_WORDS = {
    str: "文字 text",
    bool: "true | false",
    int: "整数 integer",
    float: "数 number",
    datetime: "时刻 instant",
    UUID: "标识 id",
}


def type_words(kind: Any) -> str:
    """Say a type as its JSON is written: words that may stand there, lists, records by their names."""
    said: list[str] = []
    for arm in arms(kind):
        inner = get_args(arm)
        if arm is NoneType or (arm is Sealed and str in arms(kind)):
            continue
        if words := words_of(arm) if get_origin(arm) is None else ():
            said.append(" | ".join(words))
        elif get_origin(arm) is dict:
            said.append(f"{{{type_words(inner[0])}: {type_words(inner[1])}}}")
        elif inner:
            said.append(f"[{type_words(inner[0])}, …]")
        elif arm is date:
            said.append("日期 date")
        else:
            said.append(_WORDS.get(arm, getattr(arm, "__name__", str(arm))))
    sealed = " (密封 sealed)" if Sealed in arms(kind) else ""
    return " | ".join(dict.fromkeys(said)) + sealed
