"""Auditors at the terminal: entries found across histories, states and corrections side by side, copies with proofs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from api import looking, sheets, views
from api.workbench import AUDITING, COLUMNS, paired
from domain.clocks import Status, clocks
from domain.explanation import STATUS_WORDS
from domain.law import Law
from domain.ledger import Ledger
from domain.order import fold, history
from domain.refusals import RoleNotAllowed
from domain.terms import Actor, ClockName, Entry, OrderState
from projections.answers import Listing, Projections
from projections.orders import OrderRow
from scripts import printing, wiring
from scripts.desk import as_option, city_option, json_option, parse_actor, stream_of, with_city
from scripts.lawbook import Commands, answer
from scripts.wiring import SettingError
from supervision import replay, workbench
from supervision.replay import Cause, Held, Moved, Replayed, Shifted, Span
from supervision.workbench import Difference, EntryRow, Wanted

purpose_option = click.option(
    "--purpose", default="audit", show_default=True, help="用途代码 what for; it is recorded."
)
csv_option = click.option(
    "--csv", "file", type=click.Path(dir_okay=False, path_type=Path), help="表格 a table for spreadsheets."
)


@click.group("trace", cls=Commands)
def trace_group() -> None:
    """查账: find entries in all histories, put states and corrections side by side, take copies with proofs."""


def _auditor(said: str) -> Actor:
    by = parse_actor(said)
    if by.role not in AUDITING:
        raise RoleNotAllowed(f"{by.role}; 可由 allowed: {', '.join(sorted(AUDITING))}")
    return by


async def _noted(ledger: Ledger, by: Actor, what: str, purpose: str, words: str, stream: str = "ledger") -> None:
    """Say in the access journal who looks, before they see anything."""
    command_id = f"cli:{what}:{wiring.fresh()}"
    await ledger.note_access((what,), stream=stream, viewer=by, purpose=purpose, command_id=command_id, words=words)


# --- entries -----------------------------------------------------------------------------------------------------


@trace_group.command("entries")
@click.option("--type", "types", multiple=True, metavar="TAG", help="事件 what happened: order.reply_submitted …")
@click.option("--user", default="", help="何人 who did it.")
@click.option("--role", default="", help="角色 in which role.")
@click.option("--unit", "units", multiple=True, help="单位 for which unit (repeatable).")
@click.option("--from", "since", metavar="T", help="发生时刻起 that happened from here on.")
@click.option("--to", "until", metavar="T", help="发生时刻止 and before this.")
@click.option("--late-hours", type=click.FloatRange(0), help="超期至少 that ended a clock so many hours late.")
@click.option(
    "--limit", type=click.IntRange(1, 1_000_000), default=200, show_default=True, help="最多 at most so many."
)
@csv_option
@purpose_option
@as_option
@city_option
@json_option
def entries_command(
    types: tuple[str, ...],
    user: str,
    role: str,
    units: tuple[str, ...],
    since: str | None,
    until: str | None,
    late_hours: float | None,
    limit: int,
    file: Path | None,
    purpose: str,
    actor: str,
    city: str | None,
    as_json: bool,
) -> None:
    """查找: entries of whatever record by what happened, who did it, when, and how late; the search is recorded."""
    by = _auditor(actor)
    wanted = Wanted(
        types=types,
        user=user,
        role=role,
        units=units,
        since=wiring.parse_instant(since) if since else None,
        until=wiring.parse_instant(until) if until else None,
        late=None if late_hours is None else int(late_hours * 3600),
    )

    async def work(ledger: Ledger, _: Projections) -> None:
        await _noted(ledger, by, "search", purpose, msgspec.json.encode(wanted).decode())
        law, rows, after = await ledger.law(), list[EntryRow](), 0
        while len(rows) < limit:
            page = await workbench.search(ledger, law, wanted, after=after, limit=min(1000, limit - len(rows)))
            rows, after = [*rows, *page.rows], page.last
            if not page.more:
                break
        if file is not None:
            file.write_bytes(sheets.table(EntryRow, rows, COLUMNS))
        if as_json:
            answer(rows)
            return
        if file is None:
            _print_entries(rows)
        click.echo(f"{len(rows)} 个事件 entries" + (f": {file}" if file is not None else ""))

    with_city(city, work, follow=False)


def _print_entries(rows: Sequence[EntryRow]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("位置 position", "时间 at", "记录 record", "事件 what", "何人 who", "超期 late"):
        table.add_column(column, overflow="fold")
    for row in rows:
        late = "" if row.late_seconds is None else f"{row.clock} {row.late_seconds / 3600:,.1f} 小时 h"
        who = f"{row.user}/{row.role}" + (f"@{row.unit}" if row.unit else "")
        record = row.number or row.stream
        table.add_row(
            str(row.position), printing.show_instant(row.at), escape(record), escape(row.title), escape(who), late
        )
    printing.console().print(table)


# --- side by side ------------------------------------------------------------------------------------------------


@trace_group.command("difference")
@click.argument("order", required=False)
@click.option(
    "--from", "first", required=True, metavar="T", help="前一时刻 the earlier instant; --by position: a position."
)
@click.option("--to", "last", required=True, metavar="T", help="后一时刻 the later one.")
@click.option(
    "--by",
    type=click.Choice(["happened", "recorded", "position"]),
    default="happened",
    show_default=True,
    help="按 what had happened, what was recorded, or positions.",
)
@click.option("--unit", help="单位 of a list: what this unit leads.")
@purpose_option
@as_option
@city_option
@json_option
def difference_command(
    order: str | None,
    first: str,
    last: str,
    by: str,
    unit: str | None,
    purpose: str,
    actor: str,
    city: str | None,
    as_json: bool,
) -> None:
    """两时点对比: what ORDER had otherwise; without ORDER, the orders of the list that were otherwise; recorded first.

    What is sealed is told as sealed.
    """
    who = _auditor(actor)
    if by == "position" and (order is None or not (first.isdecimal() and last.isdecimal())):
        raise SettingError("--by position: 须指明工单与两个位置 name an order, and two positions")

    async def work(ledger: Ledger, shown: Projections) -> None:
        stream, words = await stream_of(shown, order) if order is not None else "ledger", f"{by} {first} … {last}"
        await _noted(ledger, who, "difference", purpose, words, stream)
        if order is None:
            one, other = [await _list(shown, by, wiring.parse_instant(at), unit) for at in (first, last)]
            found = [paired(*pair) for pair in workbench.changed(one.rows, other.rows)]
            if as_json:
                answer(found)
                return
            for pair in found:
                click.echo(f"{pair['number']}{'  新 new' if pair['appeared'] else ''}")
                _print_differences(pair["differences"])
            click.echo(f"{len(found)} 件不同 orders were otherwise")
            return
        entries, law = await ledger.history(stream), await ledger.law()
        told = list(workbench.differences(*(_state(entries, law, by, at) for at in (first, last))))
        if as_json:
            answer(told)
            return
        _print_differences(told)
        click.echo(f"{len(told)} 处不同 differences")

    with_city(city, work)


def _state(entries: Sequence[Entry], law: Law, by: str, said: str) -> Any:
    """Return an order and its clocks as they were then; None before there was one."""
    if by == "position":
        told = [entry for entry in entries if entry.position <= int(said)]
        at = told[-1].recorded_at if told else entries[0].recorded_at
    else:
        at = wiring.parse_instant(said)
        then, known = (at, None) if by == "happened" else (None, at)
        told = history(entries, as_at=then, recorded_by=known)
    case = fold(told)
    if case is None:
        return None
    running = {f"{c.name}:{c.key}": {"unit": c.unit, "due": c.due, "status": c.status(at)} for c in clocks(case, law)}
    return views.plain({**msgspec.structs.asdict(case), "clocks": running})


async def _list(shown: Projections, by: str, at: datetime, unit: str | None) -> Listing[OrderRow]:
    if by == "happened":
        return await shown.orders_as_of(as_at=at, unit=unit, limit=1_000_000)
    return await shown.orders_as_of(recorded_by=at, unit=unit, limit=1_000_000)


def _print_differences(told: Sequence[Difference]) -> None:
    for one in told:
        click.echo(f"  {one.path or '工单 order'}: {_said(one.before)} → {_said(one.after)}")


def _said(value: Any) -> str:
    if value is None:
        return "—"
    if value == views.SEALED:
        return "密封 sealed"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


@trace_group.command("corrections")
@click.argument("order")
@purpose_option
@as_option
@city_option
@json_option
def corrections_command(order: str, purpose: str, actor: str, city: str | None, as_json: bool) -> None:
    """更正对照: what was corrected beside what had been recorded, with who proposed and who approved it; recorded first."""
    who = _auditor(actor)

    async def work(ledger: Ledger, shown: Projections) -> None:
        stream = await stream_of(shown, order)
        await _noted(ledger, who, "corrections", purpose, order, stream)
        found = views.plain(workbench.corrections(await ledger.history(stream)))
        if as_json:
            answer(found)
            return
        for one in found:
            later = "" if one["in_force"] else "  (后又更正 corrected again since)"
            click.echo(f"{one['no']}. 第 {one['version']} 项 {one['type']} · {one['field']}{later}")
            click.echo(f"   原 recorded {_said(one['old'])} → 改 corrected {_said(one['new'])}")
            click.echo(f"   提请 proposed {one['proposed_by']}, {one['proposed_at']}; 同意 approved {one['approved_by']}, "
                       f"{one['approved_at']}")  # fmt: skip
        if not found:
            click.echo("没有更正 nothing was corrected")

    with_city(city, work)


# --- replay ------------------------------------------------------------------------------------------------------


@trace_group.command("period")
@click.option("--from", "since", required=True, metavar="T", help="登记时刻起 orders registered from here on.")
@click.option("--to", "until", required=True, metavar="T", help="登记时刻止 and before this.")
@click.option("--at", "position", type=click.IntRange(1), help="位置 as of which position; without: now.")
@click.option("--and", "later", type=click.IntRange(1), help="后一位置 tell what is otherwise at this later position.")
@click.option("--unit", help="单位 orders that this unit leads.")
@purpose_option
@as_option
@city_option
@json_option
def period_command(
    since: str,
    until: str,
    position: int | None,
    later: int | None,
    unit: str | None,
    purpose: str,
    actor: str,
    city: str | None,
    as_json: bool,
) -> None:
    """重放: a period as it stood at a position; with --and, which orders, clocks and figures a later one has otherwise, and why.

    Read from the events under the law recorded by then; who asked is recorded first.
    """
    who = _auditor(actor)
    span = Span(wiring.parse_instant(since), wiring.parse_instant(until), unit)
    if span.since >= span.until:
        raise SettingError("--from 须早于 --to: the period ends before it begins")
    if later is not None and (position is None or later <= position):
        raise SettingError("--and 须大于 --at: name two positions, the earlier with --at")

    async def work(ledger: Ledger, shown: Projections) -> None:
        where = position if position is not None else (await ledger.head())[0]
        await _noted(ledger, who, "state", purpose, f"{since} … {until} @{where} {later or ''}".strip())
        found = await replay.replayed(ledger, shown, span, where)
        if later is None:
            answer(_as_data(found)) if as_json else _print_period(found)
            return
        other = await replay.replayed(ledger, shown, span, later)
        rows = await replay.explained(ledger, replay.moved(found, other), where, later)
        figures = replay.shifted(found.figures, other.figures)
        law = replay.causes(await ledger.history("institution"), where, later)
        if as_json:
            answer({"orders": rows, "figures": figures, "law": law, "positions": [where, later]})
            return
        _print_moved(rows, figures, law)

    with_city(city, work)


def _as_data(found: Replayed) -> dict[str, Any]:
    told = {name: getattr(found, name) for name in ("position", "orders", "states", "clocks", "figures")}
    return {**told, "seen_at": found.at}


def _print_period(found: Replayed) -> None:
    out = printing.console()
    states = [(f"{OrderState(name).zh} {name}", f"{count:,}") for name, count in found.states.items()]
    out.print(printing.counts("工单 orders", states, ("状态 state", "件 orders")))
    statuses = sorted({status for counts in found.clocks.values() for status in counts})
    rows = [
        (f"{ClockName(name).zh} {name}", *(f"{counts.get(status, 0):,}" for status in statuses))
        for name, counts in found.clocks.items()
    ]
    out.print(printing.counts("时限 clocks", rows, ("时限 clock", *(STATUS_WORDS[Status(one)][0] for one in statuses))))
    click.echo(
        f"✓ {len(found.orders):,} 件工单 orders, 位置 position {found.position}, "
        f"以 {printing.show_instant(found.at)} 计 seen then"
    )


def _print_moved(rows: Sequence[Moved], figures: Sequence[Shifted], law: Sequence[Cause]) -> None:
    for row in rows:
        before, after = row.state
        click.echo(f"{row.number}{'  新 new' if row.appeared else ''}  {_state_words(before)} → {_state_words(after)}")
        for turned in row.clocks:
            click.echo(
                f"  {ClockName(turned.clock).zh} {turned.clock}:{turned.key}  {_stood(turned.before)} → {_stood(turned.after)}"
            )
        for cause in row.by:
            click.echo(f"    位置 {cause.position}  {cause.title}  {cause.user}/{cause.role}")
        if not row.by:
            click.echo("    规则变更或时间经过 the law was changed, or time passed")
    for one in figures:
        click.echo(f"{one.code} {one.title} {one.part}: {_sides(one.before)} → {_sides(one.after)}")
    for cause in law:
        click.echo(f"规则 law: 位置 {cause.position}  {cause.title}")
    click.echo(f"{len(rows)} 件不同 orders, {len(figures)} 项指标不同 figures are otherwise")


def _state_words(state: str | None) -> str:
    return "—" if state is None else f"{OrderState(state).zh} {state}"


def _stood(held: Held | None) -> str:
    if held is None:
        return "—"
    return STATUS_WORDS[Status(held.status)][0] + (f" ({printing.show_end(held.due)})" if held.due is not None else "")


def _sides(sides: tuple[int, int | None] | None) -> str:
    return "—" if sides is None else "/".join(str(side) for side in sides if side is not None)


@trace_group.command("looks")
@click.argument("order")
@city_option
@json_option
def looks_command(order: str, city: str | None, as_json: bool) -> None:
    """查看记录: who looked at ORDER and its applicant, when, what for, and at which fields."""

    async def work(ledger: Ledger, shown: Projections) -> None:
        found = await looking.looks(ledger, await stream_of(shown, order), limit=100_000)
        if as_json:
            answer([views.entry_view(entry) for entry in found])
            return
        for entry in found:
            who = f"{entry.actor.user}/{entry.actor.role}" + (f"@{entry.actor.unit}" if entry.actor.unit else "")
            fields = "、".join(dict.fromkeys(looking.named(field) for field in entry.event.fields))
            click.echo(f"{printing.show_instant(entry.at)}  {who}  {entry.event.purpose}: {fields}")
        click.echo(f"{len(found)} 次 times")

    with_city(city, work)


# --- copies ------------------------------------------------------------------------------------------------------


@trace_group.command("copy")
@click.argument("orders", nargs=-1, required=True)
@click.option("--to", "copy", type=click.Path(dir_okay=False, path_type=Path), help="JSON Lines with proofs.")
@csv_option
@purpose_option
@as_option
@city_option
@json_option
def copy_command(
    orders: tuple[str, ...],
    copy: Path | None,
    file: Path | None,
    purpose: str,
    actor: str,
    city: str | None,
    as_json: bool,
) -> None:
    """取证: histories of ORDERs to take along, with proofs (--to) and as a table (--csv); each copy is recorded.

    What is sealed stays sealed. `huiyin verify FILE --policy POLICY` checks it without database or network.
    """
    by = _auditor(actor)
    if copy is None and file is None:
        raise SettingError("须指明 --to 或 --csv say where to: --to FILE or --csv FILE")
    database = wiring.database()

    async def work(ledger: Ledger, shown: Projections) -> None:
        streams = list(dict.fromkeys([await stream_of(shown, order) for order in orders]))
        for stream in streams:
            await _noted(ledger, by, "export", purpose, ", ".join(orders)[:2000], stream)
        if copy is not None:
            async with await wiring.open_log(database, ledger) as log:
                head = (await log.sign()).checkpoint.size
                copy.write_bytes(await log.bundle(ledger, streams, head))
        law = await ledger.law()
        rows = [row for stream in streams for row in await workbench.rows_of(ledger, law, stream)]
        if file is not None:
            file.write_bytes(sheets.table(EntryRow, rows, COLUMNS))
        if as_json:
            answer({"records": streams, "entries": len(rows)})
            return
        made = ", ".join(str(path) for path in (copy, file) if path is not None)
        click.echo(f"✓ {made}: {len(streams)} 件 records, {len(rows)} 个事件 entries")

    with_city(city, work)


COMMANDS = (trace_group,)
