"""并单告知 at the terminal: one master, many callers, one answer to all, and who has to be told otherwise."""

from __future__ import annotations

import click
import msgspec

from domain.ledger import Ledger
from domain.terms import Code, Medium
from projections.answers import Projections
from scripts import desk, printing
from scripts.desk import as_option, city_option, json_option, parse_actor, stream_of, with_city
from scripts.lawbook import answer
from scripts.wiring import SettingError
from supervision.telling import TO_MANY, Caller, Fate, Hindrance, Message, Telling, tell_all


@click.command("inform")
@click.argument("order")
@click.option(
    "--medium", type=click.Choice(sorted(str(one) for one in TO_MANY)), required=True, help="方式 how they are told."
)
@click.option("--call", default="", metavar="CODE", help="消息编号 the message as the system that sent it numbers it.")
@click.option("--dry-run", is_flag=True, help="只看不记 only show who would be told, and who has to be told otherwise.")
@as_option
@city_option
@json_option
def inform_command(
    order: str, medium: str, call: str, dry_run: bool, actor: str, city: str | None, as_json: bool
) -> None:
    """并单告知: tell every applicant whose order was merged into ORDER its answer, each once.

    Broken off, it is given again and goes on. Who left no contact is listed, to be told otherwise.
    """
    sent = msgspec.convert(call, Code) if call else ""
    message = Message(Medium(medium), parse_actor(actor), sent, dry_run)

    async def work(ledger: Ledger, shown: Projections) -> None:
        stream = await stream_of(shown, order)
        if not stream.startswith("order:"):
            raise SettingError(f"请指明工单 name an order: {order}")
        told = await tell_all(ledger, stream, message)
        if not dry_run:
            await desk.caught_up(shown)
        answer(told) if as_json else _say(told)

    with_city(city, work)


def _say(told: Telling) -> None:
    rest = [one for one in told.callers if one.fate in (Fate.LEFT, Fate.REFUSED)]
    if rest:
        rows = [(one.number or str(one.order_id)[:13], one.fate.zh, _why(one)) for one in rest]
        printing.console().print(
            printing.counts("须另行告知 to be told otherwise", rows, ("工单 order", "结果", "缘由 why"))
        )
    said = " · ".join(f"{fate.zh} {fate} {told.counts[fate]}" for fate in Fate if told.counts.get(fate))
    which = f"第{told.reply}次答复 reply {told.reply}" if told.reply else "办结结果 its end"
    click.echo(f"✓ {told.number} {which}, 并入 merged {len(told.callers)} 件: {said}")


def _why(one: Caller) -> str:
    if one.fate is Fate.LEFT:
        return f"{Hindrance(one.why).zh} {one.why}"
    return f"{one.why} {one.sentence}"


COMMANDS = (inform_command,)
