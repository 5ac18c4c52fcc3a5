"""Whoever is on the line, at the terminal: their other orders by telephone number, and their query code again."""

from __future__ import annotations

import sys

import click
import msgspec

from api import callers
from domain.ledger import Ledger
from projections.answers import Projections
from scripts import desk, printing, wiring
from scripts.desk import as_option, city_option, json_option, with_city
from scripts.lawbook import answer

_PURPOSE = click.option(
    "--purpose", required=True, help="用途 why, as a code: it is recorded before anything is shown."
)


@click.command("callers")
@_PURPOSE
@click.option("--limit", type=click.IntRange(1, 50), default=20, show_default=True, help="最多 at most so many.")
@as_option
@city_option
@json_option
def callers_command(purpose: str, limit: int, actor: str, city: str | None, as_json: bool) -> None:
    """来电人的工单: the orders of whoever calls from a number, the newest first.

    The number is asked for, or read from stdin: on the command line, others could read it.
    """
    by = desk.parse_actor(actor)
    number = click.prompt("电话 number", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline().strip()
    plain = {"phone": number, "purpose": purpose, "limit": limit}
    said = msgspec.convert(plain, callers.Caller)

    async def work(ledger: Ledger, _: Projections) -> None:
        found = await callers.orders_of(ledger, said, by, f"cli:callers:{wiring.fresh()}")
        law, now = await ledger.law(), wiring.process_now()
        rows = [callers.row(case, law, now) for case in found.cases]
        if as_json:
            answer({"orders": rows, "next": found.next})
            return
        if not rows:
            click.echo("没有找到 nothing found")
            return
        cells = [
            (r["number"], r["title"], r["state_title"], printing.show_instant(r["registered_at"]), r["unit"] or "热线")
            for r in rows
        ]
        columns = ("工单 order", "标题 title", "状态 state", "登记 registered", "主办 lead")
        printing.console().print(printing.counts("来电人的工单 the caller's orders", cells, columns))

    with_city(city, work, follow=False)


@click.command("code")
@click.argument("order")
@_PURPOSE
@as_option
@city_option
@json_option
def code_command(order: str, purpose: str, actor: str, city: str | None, as_json: bool) -> None:
    """重发查询码: the query code of an order again, for an applicant whom you have made sure of."""
    by = desk.parse_actor(actor)
    said = msgspec.convert({"purpose": purpose}, callers.Purpose)

    async def work(ledger: Ledger, shown: Projections) -> None:
        stream = await desk.stream_of(shown, order)
        number, code = await callers.code_again(ledger, stream, said, by, f"cli:code:{wiring.fresh()}")
        answer({"number": number, "query_code": code}) if as_json else click.echo(
            f"{number}  查询码 query code: {code}"
        )

    with_city(city, work)


COMMANDS = (callers_command, code_command)
