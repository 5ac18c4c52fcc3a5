"""The commands about tables: `rebuild`, `rollback`, `drop`, `follow`, `status`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Sequence
from functools import partial

import click

from domain.ledger import Ledger
from projections.answers import PROJECTIONS, Projections
from projections.consumers import Consumers
from projections.engine import Status
from scripts import jobs, printing, wiring
from scripts.consumers import print_standing
from scripts.desk import city_option, json_option, with_city
from scripts.lawbook import answer
from supervision.scheduler import scheduled

NAMES = click.Choice([projection.name for projection in PROJECTIONS])


@click.command("rebuild")
@click.argument("names", nargs=-1, type=NAMES)
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="进程数 in so many processes.")
@click.option("--compare", is_flag=True, help="比对 count the rows that the old table had otherwise.")
@city_option
@json_option
def rebuild_command(names: tuple[str, ...], jobs: int, compare: bool, city: str | None, as_json: bool) -> None:
    """重建投影: make tables again from the first event.

    All of them, or those named; then switch to the new ones. The old ones serve meanwhile and follow on afterwards, so
    that `huiyin rollback NAME` goes back to them, until `huiyin drop` or the next rebuild.
    """

    async def work(_: Ledger, shown: Projections) -> None:
        with printing.bar("重建 rebuilding") as bar:
            task = bar.add_task("", total=None)

            def progress(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)

            made = await shown.rebuild(*names, jobs=jobs, progress=progress, compare=compare)
        if as_json:
            answer(made)
            return
        for one in made:
            other = "" if one.differences is None else f", 与原表不同 differing from the old table: {one.differences}"
            click.echo(f"✓ {one.name}: {one.rows} 行 rows, 位置 position {one.position}{other}")

    with_city(city, work, follow=False)


@click.command("rollback")
@click.argument("name", type=NAMES)
@city_option
@json_option
def rollback_command(name: str, city: str | None, as_json: bool) -> None:
    """回退: read again from the table that a rebuild switched away from."""

    async def work(_: Ledger, shown: Projections) -> None:
        made = await shown.rollback(name)
        if as_json:
            answer({"name": made.name, "version": made.version, "position": made.position})
            return
        click.echo(f"✓ {made.name}: 在用 serving v{made.version}, 位置 position {made.position}")

    with_city(city, work, follow=False)


@click.command("drop")
@click.argument("names", nargs=-1, type=NAMES)
@city_option
def drop_command(names: tuple[str, ...], city: str | None) -> None:
    """清理: drop the tables that are only kept to go back to."""

    async def work(_: Ledger, shown: Projections) -> None:
        await shown.drop(*names)
        _print_tables(await shown.status())

    with_city(city, work, follow=False)


@click.command("follow")
@city_option
def follow_command(city: str | None) -> None:
    """跟进: keep the tables up to date until interrupted.

    One worker does it; further ones stand by, and one of them takes over within seconds when it dies. A blocked table,
    and a database that is away, are tried again after a pause that grows. Each sweeps the city too (HUIYIN_SWEEP).
    """
    database = wiring.database()
    holder = f"{socket.gethostname()}:{os.getpid()}:{wiring.fresh()[:8]}"

    async def work(_: Ledger, shown: Projections) -> None:
        at_times = jobs.jobs(database, [shown], wiring.sweep_every())
        task = asyncio.ensure_future(shown.keep_following(holder))
        for sign in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(sign, partial(task.cancel))
        click.echo(f"跟进中 following as {holder}", err=True)
        with contextlib.suppress(asyncio.CancelledError):
            async with scheduled(at_times, first=wiring.process_now()):
                await task

    with_city(city, work, follow=False)


@click.command("status")
@city_option
@json_option
def status_command(city: str | None, as_json: bool) -> None:
    """状态: where the ledger stands, how far each table followed and each consumer was told, and what stopped it."""
    database = wiring.database()

    async def work(ledger: Ledger, shown: Projections) -> None:
        position, at = await ledger.head()
        rows = await shown.status()
        async with Consumers(database.app, ledger.city) as consumers:
            told = await consumers.standing()
        if as_json:
            said = {"city": ledger.city, "position": position, "recorded_at": at}
            answer({**said, "projections": rows, "consumers": told})
            return
        click.echo(f"账本 ledger {ledger.city}: 位置 position {position}, {printing.show_instant(at)}")
        _print_tables(rows)
        if told:
            print_standing(list(told))

    with_city(city, work, follow=False)


def _print_tables(rows: Sequence[Status]) -> None:
    columns = ("表 table", "版 v", "状态 state", "位置 position", "落后 behind", "秒 s", "事件/秒 events/s", "由 by")
    shown = [
        (
            row.name,
            row.version,
            _word(row),
            row.position,
            row.lag,
            f"{row.lag_seconds:.0f}",
            f"{row.rate:,.0f}",
            row.holder or "—",
        )
        for row in rows
    ]
    printing.console().print(printing.counts("投影 tables", shown, columns))
    for row in rows:
        if row.error:
            click.echo(
                f"✗ {row.name} v{row.version}: 停在 blocked at {row.blocked_at}, 已试 tried {row.tries}: {row.error}"
            )


def _word(row: Status) -> str:
    if row.outdated:
        return "旧版 outdated: rebuild"
    if row.blocked_at is not None:
        return "受阻 blocked"
    return "在用 serving" if row.active else f"备用 {row.state}"
