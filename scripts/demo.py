"""The demo's walk: found a city, bring cases in, follow, and show what a hotline office asks every morning."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import click
import msgspec

from domain.clocks import clocks
from domain.explanation import explain
from domain.ledger import Ledger
from domain.order import fold
from domain.terms import SHANGHAI
from projections.answers import Projections
from scripts import embedded, importing, printing, simulate, wiring
from scripts.importing import Summary

MAILBOX = "mailbox_replies.csv"
CITY = "demo"


@click.command("demo")
@click.option(
    "--simulated", is_flag=True, help="即使有真实文件也用模拟 the simulation even where a real file is at hand."
)
@click.option("--seed", default=12345, show_default=True, help="模拟的种子 the simulation's seed.")
@click.option(
    "--orders",
    type=click.IntRange(1, 100_000),
    default=300,
    show_default=True,
    help="模拟的件数 how many cases are simulated.",
)
def demo_command(simulated: bool, seed: int, orders: int) -> None:
    """演示: found a city, import cases, show what became of them.

    Real mailbox messages are used where the file is present (HUIYIN_TRIAL_DATA), a seeded simulation otherwise. Each
    run makes a city of its own (demo, demo2, …); nothing else is touched.
    """
    database = wiring.database()
    mailbox = wiring.trial_data() / MAILBOX
    real = mailbox.is_file() and not simulated
    city = asyncio.run(_found(database))
    _say(f"1. 建账: 城市 {city}, 政策 S0-CHUANYU, 国家日历 2011–2026  (a city's ledger, its policy, its calendars)")
    source = str(mailbox) if real else f"模拟 a simulated month: {orders} 件, 种子 seed {seed}"
    _say(f"2. 导入 import: {source}")

    async def walk() -> None:
        async with await wiring.open_city(database, city) as ledger, Projections(database.app, city) as shown:
            summary, now = await (_mailbox(ledger, mailbox) if real else _month(ledger, seed, orders))
            _say_summary(summary)
            followed = await shown.follow_until()
            _say(f"3. 投影跟随到位置 {followed.position} (the tables have followed the ledger)")
            await _figures(shown, now)
            await _one_case(ledger, shown, now)
            findings = await ledger.verify_all()
            head, _ = await ledger.head()
            _say(f"6. 核验: {head} 个事件逐条重算, 不符 {len(findings)} 处 (every leaf computed again)")

    asyncio.run(walk())
    _say("接着试 next:")
    click.echo(f"  scripts/run list --city {city} --overdue      scripts/run show ORDER --city {city}")
    click.echo("  scripts/run due --policy S1 --clock return --class special --at '2025-04-03 11:00'")
    click.echo("  scripts/run --help")


def _say(text: str) -> None:
    printing.console().print(f"\n[bold cyan]{text}[/]")


async def _found(database: embedded.Database) -> str:
    there = set(await wiring.cities(database))
    names = (CITY if n == 1 else f"{CITY}{n}" for n in range(1, 10_000))
    city = next(name for name in names if name not in there)
    packs = [(wiring.completed("S0"), None), *((wiring.read_pack(o), None) for o in wiring.OVERLAYS)]
    await wiring.found_city(database, city, code="HY", name="演示市", packs=packs)
    return city


async def _mailbox(ledger: Ledger, path: Path) -> tuple[Summary, datetime]:
    """Import the real mailbox file; seen from the day after its last reply."""
    with tempfile.TemporaryDirectory() as folder:
        summary = await importing.import_table(
            ledger,
            path,
            importing.read_mapping("mailbox_replies"),
            assume="S0",
            rejects=Path(folder) / "rejects.jsonl",
        )
    return summary, datetime(2020, 3, 1, tzinfo=SHANGHAI)


async def _month(ledger: Ledger, seed: int, orders: int) -> tuple[Summary, datetime]:
    start = datetime(2025, 9, 1, tzinfo=SHANGHAI)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "month.jsonl"
        lines = simulate.month(seed, orders=orders, start=start)
        await asyncio.to_thread(script.write_bytes, msgspec.json.Encoder().encode_lines(lines))
        summary = await importing.import_script(ledger, script, rejects=Path(folder) / "rejects.jsonl")
    return msgspec.structs.replace(summary, file="模拟 simulation"), start + timedelta(days=35)


def _say_summary(summary: Summary) -> None:
    click.echo(
        f"   {summary.lines} 行 lines → {summary.events} 个事件 events, 退回 rejected {summary.rejected}"
        + (f" {summary.by_reason}" if summary.by_reason else "")
    )


async def _figures(shown: Projections, now: datetime) -> None:
    out = printing.console()
    _say(f"4. 截至 {printing.show_instant(now)} 的状况 (how things stand)")
    position, states = await shown.counts_by_state()
    rows = [(printing.state_words(state), count) for state, count in states.items()]
    out.print(printing.counts(f"按状态 orders by state (位置 {position})", rows, ("状态 state", "件数 orders")))
    by_unit = await shown.clock_counts_by_unit(now)
    busiest = sorted(by_unit.rows, key=lambda row: -(row.on_time + row.late + row.overdue + row.running))[:15]
    rows = [
        (
            row.unit or "热线",
            row.running,
            row.on_time,
            row.late + row.cancelled_late,
            row.overdue,
            row.lapsed,
            row.measured,
        )
        for row in busiest
    ]
    columns = (
        "责任单位 unit",
        "计时中 running",
        "按时 on time",
        "超期完成 late",
        "已超期 overdue",
        "期满 lapsed",
        "仅计时",
    )
    out.print(printing.counts("时限 clocks by unit", rows, columns))


async def _one_case(ledger: Ledger, shown: Projections, now: datetime) -> None:
    """Tell one case whole: a late one that was replied to, else the first."""
    found = await shown.list_orders(limit=500)
    told = [row for row in found.rows if row.replied_at is not None and row.handle_due is not None]
    late = [row for row in told if row.replied_at and row.handle_due and row.replied_at > row.handle_due]
    row = next(iter(late or told or found.rows), None)
    if row is None:
        return
    _say(f"5. 一件工单的全过程 one case in full: {row.number}")
    entries, law = await ledger.history(row.stream), await ledger.law()
    order = fold(entries)
    if order is None:
        return
    explained = [(clock, explain(clock, law)) for clock in clocks(order, law)]
    printing.console().print(printing.story(order, law.rules(order.policy).pack, entries, explained, now))
