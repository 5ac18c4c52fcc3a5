"""The commands about cases: `show`, `history`, `list`, `do`, `commands`, each over one city's ledger."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, Union, get_type_hints

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from domain.clocks import clocks
from domain.explanation import explain
from domain.journals import is_journal
from domain.kinds import COMMANDS
from domain.ledger import Ledger, Receipt
from domain.order import fold, history
from domain.refusals import UnknownOrder
from domain.sealing import Consent
from domain.terms import Act, Actor, Entry, OrderState, Origin, Role, Sealed
from projections.answers import Projections
from projections.orders import OrderRow
from scripts import embedded, printing, wiring
from scripts.lawbook import answer
from scripts.wiring import SettingError

T = TypeVar("T")
BY_NAME: dict[str, type[Act]] = {str(command.__struct_config__.tag): command for command in COMMANDS}
AnyCommand = Union[COMMANDS]  # noqa: UP007  a union made from a tuple

city_option = click.option(
    "--city", default=wiring.default_city, help="城市 the city (HUIYIN_CITY); without: the only one there is."
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON for programs.")
as_option = click.option(
    "--as", "actor", required=True, metavar="USER/ROLE[@UNIT]", help="操作人 who acts: wang/org_handler@D-B1"
)


def parse_actor(text: str) -> Actor:
    """Return the actor written as `user/role@unit`. Raises SettingError, listing the roles."""
    user, _, rest = text.partition("/")
    role, _, unit = rest.partition("@")
    if not user or role not in set(Role):
        raise SettingError(f"写作 write it as user/role@unit: {text!r}; 角色 roles: {', '.join(Role)}")
    return Actor(user=user, role=Role(role), unit=unit)


async def the_city(database: embedded.Database, said: str | None) -> str:
    """Return the city meant: the one said, or the only one. Raises SettingError."""
    if said:
        return said
    cities = await wiring.cities(database)
    if len(cities) == 1:
        return cities[0]
    if not cities:
        raise SettingError("还没有城市 no city yet; 请先 run first: huiyin init CITY --policy S0")
    raise SettingError(f"请指明城市 name one with --city: {', '.join(cities)}")


def with_city(said: str | None, work: Callable[[Ledger, Projections], Awaitable[T]], *, follow: bool = True) -> T:
    """Open a city, let its projections catch up, do `work` and close it."""
    database = wiring.database()  # before the loop runs: entering a database may need one of its own

    async def run() -> T:
        city = await the_city(database, said)
        async with await wiring.open_city(database, city) as ledger, Projections(database.app, city) as shown:
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
    """Return the stream that a person means: an order by number, old number or id, or a stream by its own name."""
    if said == "institution" or (":" in said and not said.startswith("order:")):
        return said
    return (await shown.order_by_number(said.removeprefix("order:"))).stream


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
    """显示一件工单: its history, its clocks, and how each deadline came about. ORDER: number, old number or id."""
    at = wiring.parse_instant(as_at) if as_at else None
    known = wiring.parse_instant(recorded_by) if recorded_by else None

    async def work(ledger: Ledger, shown: Projections) -> None:
        entries = history(await ledger.history(await stream_of(shown, order)), recorded_by=known, as_at=at)
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
    """列出一件工单或一个记录流的全部事件. STREAM: an order, or institution, matter:…, call:…"""

    async def work(ledger: Ledger, shown: Projections) -> None:
        entries = await ledger.history(await stream_of(shown, stream))
        if as_json:
            for entry in entries:
                answer(as_data(entry))
            return
        if not entries:
            click.echo("没有事件 no events")
            return
        printing.console().print(printing.timeline(entries))

    with_city(city, work)


# --- list --------------------------------------------------------------------------------------------------------


@click.command("list")
@click.option(
    "--state", "states", multiple=True, type=click.Choice([str(s) for s in OrderState]), help="状态 (repeatable)."
)
@click.option("--unit", help="主办单位 the unit that leads, or led last.")
@click.option("--overdue", is_flag=True, help="只列超期 only those with a duty that is late.")
@click.option("--by-due", is_flag=True, help="最先到期在前 those with a running duty, the next due first.")
@click.option("--limit", default=50, show_default=True, help="最多 at most so many.")
@click.option("--at", "at", metavar="T", help="以此时刻计超期 the instant lateness is judged at; without: now.")
@city_option
@json_option
def list_command(
    states: tuple[str, ...],
    unit: str | None,
    overdue: bool,
    by_due: bool,
    limit: int,
    at: str | None,
    city: str | None,
    as_json: bool,
) -> None:
    """列出工单, in the order of registration."""
    now = wiring.parse_instant(at) if at else wiring.process_now()

    async def work(_: Ledger, shown: Projections) -> None:
        if by_due:
            found = await shown.orders_by_due(unit=unit, limit=limit)
        else:
            wanted = [OrderState(state) for state in states] or None
            found = await shown.list_orders(states=wanted, unit=unit, overdue=now if overdue else None, limit=limit)
        if as_json:
            answer(found)
            return
        if not found.rows:
            click.echo("没有符合条件的工单 no orders")
            return
        printing.console().print(_orders(found.rows, now))
        more = ", 还有更多 and more (--limit)" if found.more else ""
        click.echo(f"{len(found.rows)} 件 orders{more}, 截至位置 true at position {found.position}")

    with_city(city, work)


def _orders(rows: Iterable[OrderRow], now: datetime) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("工单 order", "标题 title", "状态 state", "主办 lead", "登记 registered", "到期 due", ""):
        table.add_column(column, no_wrap=column != "标题 title")
    for row in rows:
        late = row.overdue_from is not None and row.overdue_from < now
        due = f"{printing.show_end(row.due)} {row.due_clock}" if row.due else "—"
        state = row.state + (f"/{row.closure_kind}" if row.closure_kind else "")
        table.add_row(
            row.number or row.old_number or str(row.id)[:13],
            escape(row.title),
            state,
            row.unit or "—",
            printing.show_instant(row.registered_at),
            due + (" 暂定" if row.provisional else ""),
            "[red]超期 late[/]" if late else "",
        )
    return table


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
    """执行任何命令. ORDER: number, old number or id; `new` to register; or institution, matter:…, call:…

    Fields are name=value; a value that is JSON is taken as such: days=5, co='[{"unit":"E"}]', attributes.urgency=general.
    `huiyin commands NAME` shows what a command takes.
    """
    by, given = parse_actor(actor), _fields(command, fields, json_fields)
    act = msgspec.convert(given, AnyCommand)
    at = wiring.parse_instant(occurred_at) if occurred_at else None

    async def work(ledger: Ledger, shown: Projections) -> None:
        receipt = await ledger.execute(
            act,
            stream=None if order in ("new", "-") else await stream_of(shown, order),
            actor=by,
            command_id=command_id or f"cli:{secrets.token_hex(12)}",
            origin=Origin.BACKFILL if at is not None else Origin.LIVE,
            occurred_at=at,
            expected=if_version,
            reason=reason,
            on_behalf_of=on_behalf_of,
            dry_run=dry_run,
        )
        print_receipt(receipt, dry_run=dry_run, as_json=as_json)

    with_city(city, work)


def _fields(command: str, fields: tuple[str, ...], json_fields: str | None) -> dict[str, Any]:
    name = command.replace("-", "_")
    if name not in BY_NAME:
        near = [known for known in BY_NAME if name.split("_")[0] in known]
        raise SettingError(f"没有此命令 no such command: {command}; {'、'.join(near) or '见 see: huiyin commands'}")
    try:
        plain: dict[str, Any] = dict(json.loads(json_fields)) if json_fields else {}
    except (ValueError, TypeError) as error:
        raise SettingError(f"--json-fields: 不是 JSON 对象 not a JSON object: {error}") from error
    for pair in fields:
        path, sign, text = pair.partition("=")
        if not sign:
            raise SettingError(f"写作 write it as field=value: {pair!r}")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        *parents, last = path.split(".")
        place = plain
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return {**plain, "type": name}


def print_receipt(receipt: Receipt, *, dry_run: bool, as_json: bool) -> None:
    """Show what a command came to."""
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
            }
        )
        return
    word = "试行, 未写入 dry run, nothing written" if dry_run else "已记录 recorded"
    if receipt.replayed:
        word = "此命令先前已执行 carried out before"
    click.echo(f"✓ {word}: {receipt.stream} v{receipt.version}")
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
    """开启密封字段 of one event: all, or those named (content, applicant.name …). Every opening is recorded first.

    An informant's identity needs the private keys of the two persons appointed.
    """
    by = parse_actor(actor)
    agreed = [_consent(pair) for pair in consents]

    async def work(ledger: Ledger, shown: Projections) -> None:
        where = await stream_of(shown, stream)
        entries = [e for e in await ledger.history(where) if e.version == version]
        if not entries:
            raise SettingError(f"没有第 {version} 个事件 no event {version} in {stream}")
        sealed = dict(sealed_fields(entries[0].event))
        chosen = {name: sealed[name] for name in fields or sealed if name in sealed}
        if not chosen:
            raise SettingError(f"没有此密封字段 no such sealed field; 有 there are: {', '.join(sealed) or '—'}")
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


def _consent(pair: str) -> Consent:
    person, sign, file = pair.partition("=")
    if not sign:
        raise SettingError(f"写作 write it as PERSON=FILE: {pair!r}")
    try:
        return Consent(person, bytes.fromhex(Path(file).read_text(encoding="ascii").strip()))
    except (OSError, ValueError) as error:
        raise SettingError(f"{file}: {error}") from error


def sealed_fields(value: object, path: str = "") -> Iterator[tuple[str, Sealed]]:
    """Return the sealed fields of an event, by their paths."""
    if isinstance(value, Sealed):
        yield path, value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from sealed_fields(getattr(value, name), f"{path}.{name}" if path else name)
    elif isinstance(value, tuple | list):
        for number, item in enumerate(value):
            yield from sealed_fields(item, f"{path}.{number}")


@click.command("commands")
@click.argument("name", required=False)
def commands_command(name: str | None) -> None:
    """列出全部命令, or what one command takes and who may give it."""
    if name is None:
        table = Table(box=None, pad_edge=False)
        for column in ("命令 command", "角色 roles", "说明"):
            table.add_column(column, overflow="fold")
        for known in sorted(BY_NAME):
            act = BY_NAME[known]
            table.add_row(known, " ".join(sorted(act.roles)), escape((act.__doc__ or "").strip().split("\n")[0]))
        printing.console().print(table)
        return
    act = BY_NAME.get(name.replace("-", "_"))
    if act is None:
        raise SettingError(f"没有此命令 no such command: {name}; 见 see: huiyin commands")
    out = printing.console()
    out.print(f"[bold]{name}[/]  {escape((act.__doc__ or '').strip())}")
    out.print(f"角色 roles: {', '.join(sorted(act.roles))}")
    hints = get_type_hints(act, include_extras=False)
    table = Table(box=None, pad_edge=False)
    for column in ("字段 field", "类型 type", ""):
        table.add_column(column, overflow="fold")
    for field in msgspec.structs.fields(act):
        table.add_row(field.name, escape(type_words(hints[field.name])), "必填 required" if field.required else "")
    out.print(table)


def type_words(kind: Any) -> str:
    """Say a type as its JSON looks: enums by their words."""
    if isinstance(kind, type):
        if issubclass(kind, str) and hasattr(kind, "__members__"):
            return " | ".join(str(member.value) for member in kind.__members__.values())  # type: ignore[attr-defined]
        if issubclass(kind, datetime):
            return "instant"
        return kind.__name__
    return str(kind).replace("typing.", "").replace("domain.terms.", "").replace("domain.", "")
