"""The commands about other systems that are told: `agreements`, `endpoint`, `pushes`, `replay`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from domain.law import Law
from domain.ledger import Ledger
from projections.answers import Projections
from projections.consumers import Consumers, Standing
from scripts import desk, printing, wiring
from scripts.desk import city_option, json_option, with_city
from scripts.lawbook import answer
from scripts.wiring import SettingError

T = TypeVar("T")


def _told(said: str | None, work: Callable[[Ledger, Consumers], Awaitable[T]]) -> T:
    """Open a city with its consumers, and do `work`."""
    database = wiring.database()

    async def inside(ledger: Ledger, _: Projections) -> T:
        async with Consumers(database.app, ledger.city) as consumers:
            return await work(ledger, consumers)

    return with_city(said, inside, follow=False)


@click.command("agreements")
@city_option
@json_option
def agreements_command(city: str | None, as_json: bool) -> None:
    """共享协议: what other systems may be told, under which article and until when."""

    async def work(ledger: Ledger, _: Consumers) -> None:
        law: Law = await ledger.law()
        endpoints = wiring.read_endpoints(ledger.city)
        now = wiring.process_now()
        if as_json:
            answer([{"agreement": one, "in_force": one.in_force(now)} for one in law.agreements.values()])
            return
        rows = [
            (
                one.consumer,
                one.name,
                one.purpose,
                f"{one.basis.text} {one.basis.article}",
                len(one.event_types),
                " ".join(sorted(one.shared_fields)) or "—",
                " ".join(one.units) or "全部 all",
                f"{one.until}" if one.in_force(now) else "已终止 ended",
                "推送 pushed" if one.consumer in endpoints else "自取 pulled",
            )
            for one in law.agreements.values()
        ]
        columns = ("接收方", "单位", "用途", "依据", "类别", "字段", "所及单位", "至 until", "方式")
        printing.console().print(printing.counts("共享协议 agreements", rows, columns))

    _told(city, work)


@click.command("endpoint")
@click.argument("consumer")
@click.argument("url", required=False)
@click.option("--remove", is_flag=True, help="停用 push nothing more to it.")
@city_option
def endpoint_command(consumer: str, url: str | None, remove: bool, city: str | None) -> None:
    """推送地址: where a consumer is told, and a fresh secret for its signatures, shown once.

    Said again, the secret before it signs too, until the time after that.
    """
    if remove is (url is not None):
        raise SettingError("写明地址, 或 --remove: name an address, or --remove")
    name = desk.run_async(desk.the_city(wiring.database(), city))
    secret = wiring.write_endpoint(name, consumer, url)
    if not secret:
        click.echo(f"✓ {consumer}: 不再推送 nothing more is pushed")
        return
    click.echo(f"✓ {consumer}: {url}", err=True)
    click.echo(secret)


@click.command("pushes")
@click.argument("consumer", default="")
@click.option("--dead", is_flag=True, help="死信 what was given up.")
@city_option
@json_option
def pushes_command(consumer: str, dead: bool, city: str | None, as_json: bool) -> None:
    """推送: how far each consumer has been told, what failed, and what was given up."""

    async def work(_: Ledger, consumers: Consumers) -> None:
        letters = await consumers.dead(consumer) if dead else ()
        standing = [one for one in await consumers.standing() if consumer in ("", one.consumer)]
        if as_json:
            answer(letters if dead else standing)
            return
        if not dead:
            print_standing(standing)
            return
        rows = [
            (one.consumer, one.position, one.type, one.tries, one.error, printing.show_instant(one.dead_at))
            for one in letters
        ]
        columns = ("接收方", "位置", "类别", "次数", "原因", "放弃于")
        printing.console().print(printing.counts("死信 dead letters", rows, columns))
        if rows:
            click.echo("重推 tell again: huiyin replay CONSUMER --after POSITION")

    _told(city, work)


def print_standing(standing: list[Standing]) -> None:
    """Show how far each consumer has been told."""
    rows = [
        (one.consumer, one.position, one.behind, one.delivered, one.dead, one.holder or "—", one.error or "—")
        for one in standing
    ]
    columns = ("接收方", "位置 position", "落后 behind", "已送 delivered", "死信 dead", "由 by", "原因 error")
    printing.console().print(printing.counts("推送 pushes", rows, columns))


@click.command("replay")
@click.argument("consumer")
@click.option(
    "--after", type=click.IntRange(0), required=True, metavar="POSITION", help="位置 tell what came after it."
)
@city_option
def replay_command(consumer: str, after: int, city: str | None) -> None:
    """重推: tell a consumer again what came after a position; every message keeps its id."""

    async def work(ledger: Ledger, consumers: Consumers) -> None:
        head, _ = await ledger.head()
        if after > head:
            raise SettingError(f"--after: 账本只到 the ledger ends at {head}")
        if not await consumers.replay(consumer, after):
            raise SettingError(f"尚未推送过 never told so far: {consumer}; 见 see: huiyin pushes")
        click.echo(f"✓ {consumer}: 从位置 {after} 之后重推 told again from behind position {after}")

    _told(city, work)


COMMANDS = (agreements_command, endpoint_command, pushes_command, replay_command)
