"""Return visits at the terminal: `huiyin sample` draws them, shows what it would draw, or draws again what is recorded."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

import click

from domain.ledger import Ledger
from domain.terms import SHANGHAI
from projections.answers import Projections
from scripts import desk, printing, wiring
from scripts.desk import city_option, json_option, with_city
from scripts.lawbook import answer
from scripts.wiring import SettingError
from supervision.sampling import Checked, Lot, Manner, Sampled, check, sample, share
from supervision.scheduler import LOG

BACK = 4
"""Days that the worker makes up: a longer absence is made up by `huiyin sample --from --until`."""

_day = click.DateTime(["%Y-%m-%d"])


@click.command("sample")
@click.option("--from", "first", type=_day, help="首日 the first day (without: yesterday).")
@click.option("--until", "last", type=_day, help="末日 the last day, included (without: the first).")
@click.option("--percent", type=click.IntRange(1, 100), help="比例 of each unit's orders (without: as the pack says).")
@click.option("--check", "seed", metavar="SEED", help="复核 draw a recorded sample again; exit code 1 if it differs.")
@click.option("--dry-run", is_flag=True, help="只看不抽 only show what would be drawn.")
@click.option("--simulated", is_flag=True, help="模拟 record it as imported at T: for cities that are only simulated.")
@click.option("--at", metavar="T", help="以此时刻 as of this instant: with --dry-run or --simulated.")
@click.option("--numbers", is_flag=True, help="列出工单 list the orders that are drawn.")
@city_option
@json_option
def sample_command(
    first: datetime | None,
    last: datetime | None,
    percent: int | None,
    seed: str | None,
    dry_run: bool,
    simulated: bool,
    at: str | None,
    numbers: bool,
    city: str | None,
    as_json: bool,
) -> None:
    """回访抽样: draw who is to be visited, of each unit its share, once a period.

    Seed and frame are recorded with each order, so that anybody can draw again what was drawn: --check SEED.
    """
    if (simulated and at is None) or (at is not None and not (dry_run or simulated)):
        raise SettingError(
            "--at 须与 --dry-run 或 --simulated 同用 --at goes with --dry-run or --simulated, which needs it"
        )

    async def work(ledger: Ledger, shown: Projections) -> int:
        if seed is not None:
            checked = await check(ledger, shown, seed)
            answer(checked) if as_json else _say_checked(checked)
            return 0 if checked.holds else 1
        now = wiring.parse_instant(at) if at is not None else await ledger.now()
        begin = first.date() if first is not None else now.astimezone(SHANGHAI).date() - timedelta(days=1)
        part = percent or await share(ledger, now)
        if part is None:
            raise SettingError("本地规则未写抽样比例 the pack gives no share (revisit_percent): 请写明 say --percent")
        sampled = await sample(
            ledger,
            shown,
            begin,
            last.date() if last is not None else begin,
            now=now,
            percent=part,
            entropy=os.urandom,
            manner=Manner(dry_run=dry_run, simulated=simulated),
        )
        if not dry_run:
            await desk.caught_up(shown)
        answer(sampled) if as_json else _say(sampled, numbers=numbers)
        return 0

    if with_city(city, work):
        raise SystemExit(1)


def _say(sampled: Sampled, *, numbers: bool) -> None:
    drawing = sampled.drawing
    rows = [(one.unit, str(one.size), str(one.drawn)) for one in sampled.strata]
    rows.append(("合计 all", str(sampled.frame_size), str(len(sampled.drawn))))
    title = f"回访抽样 return visits {drawing.first} … {drawing.last}, {drawing.percent}%"
    printing.console().print(printing.counts(title, rows, ("单位 unit", "抽样框 frame", "抽中 drawn")))
    if numbers:
        for one in sampled.drawn:
            click.echo(f"  {one.number or one.stream}  {one.unit}")
    click.echo(f"种子 seed: {sampled.seed}")
    click.echo(f"抽样框摘要 frame: {sampled.frame}")
    words = {Lot.DRAWN: "新抽 drawn", Lot.AGAIN: "早已抽中 drawn before", Lot.WOULD: "将抽 would draw"}
    said = " · ".join(f"{word} {sampled.counts[lot]}" for lot, word in words.items() if sampled.counts.get(lot))
    refused = "".join(f" · 未抽 not drawn {n} × {code}" for code, n in sorted(sampled.refused.items()))
    click.echo(f"✓ {said or '无可抽 nothing to draw'}{refused}")


def _say_checked(checked: Checked) -> None:
    click.echo(
        f"抽样框 frame {checked.frame_size}, 应抽中 drawn {len(checked.drawn)}, 在册 recorded {checked.recorded}"
    )
    for sentence, streams in (
        ("应抽中而未登记 drawn and not recorded", checked.missing),
        ("登记而不应抽中 recorded and not drawn", checked.strange),
        ("抽样框摘要不符 recorded with another frame", checked.other_frame),
    ):
        for stream in streams:
            click.echo(f"✗ {sentence}: {stream}")
    click.echo("✓ 与账本相符 as the ledger has it" if checked.holds else "✗ 与账本不符 not as the ledger has it")


# --- in the worker -----------------------------------------------------------------------------------------------


async def sampled(ledger: Ledger, shown: Projections) -> None:
    """Draw the samples of the days just over, where the pack says what share; what was drawn before stays as it is."""
    now = await ledger.now()
    percent = await share(ledger, now)
    if percent is None:
        return
    today = now.astimezone(SHANGHAI).date()
    for days in range(BACK, 0, -1):
        day = today - timedelta(days=days)
        made = await sample(ledger, shown, day, day, now=now, percent=percent, entropy=os.urandom)
        if made.counts.get(Lot.DRAWN) or made.refused:
            said = {"city": shown.city, "seed": made.seed, "counts": made.counts, "refused": made.refused}
            LOG.info("sample", extra={"said": said})


COMMANDS = (sample_command,)
