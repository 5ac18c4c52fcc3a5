"""The commands that carry cases in and out: import, reconcile, export, restore, erasures."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import click
import msgspec
import psycopg

from domain.ledger import Ledger
from domain.refusals import Refusal
from projections.answers import Projections
from scripts import desk, importing, printing, transfer, wiring
from scripts.desk import city_option, json_option, with_city
from scripts.lawbook import answer


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--mapping", help="映射 a shipped mapping or a TOML file; without: a case script (JSON Lines).")
@click.option(
    "--assume-policy", "assume", metavar="PACK", help="推定适用 run history under a pack outside its validity."
)
@click.option(
    "--rejects",
    type=click.Path(path_type=Path),
    help="退回文件 where refused rows go; without: FILE.rejects.jsonl beside it.",
)
@click.option("--dry-run", is_flag=True, help="只试不写 check every row, write nothing.")
@click.option(
    "--jobs",
    type=click.IntRange(0, 16),
    help="并行 processes that decide a table's rows beside the one that writes; without: as is worth it.",
)
@city_option
@json_option
def import_command(
    file: Path,
    mapping: str | None,
    assume: str | None,
    rejects: Path | None,
    dry_run: bool,
    jobs: int | None,
    city: str | None,
    as_json: bool,
) -> None:
    """导入: bring cases in, from a case script or an old system's table.

    A case script (JSON Lines) holds commands, and every guard holds; a table (CSV, with --mapping) holds facts that
    another system recorded. A bad row never stops it: it goes to the rejects file with line number and reason.
    Importing the same file again adds nothing, so an interrupted import goes on when it is given again. A table's row
    is known by its old number: a corrected table brings in only what was not there yet; a corrected script is another
    script.
    """
    where = rejects or file.with_name(f"{file.name}.rejects.jsonl")
    if assume is not None and mapping is None:
        raise click.UsageError("--assume-policy 只用于 --mapping goes with --mapping only")
    read = importing.read_mapping(mapping) if mapping is not None else None
    told = [0, 0]
    began = time.monotonic()

    async def work(ledger: Ledger, shown: Projections) -> importing.Summary:
        with printing.bar(f"导入 importing {file.name}") as bar:
            task = bar.add_task("", total=None)

            def progress(done: int, total: int) -> None:
                told[:] = done, total
                bar.update(task, completed=done, total=total)

            if read is None:
                summary = await importing.import_script(ledger, file, rejects=where, dry_run=dry_run, progress=progress)
            else:
                summary = await importing.import_table(
                    ledger,
                    file,
                    read,
                    assume=assume,
                    rejects=where,
                    dry_run=dry_run,
                    progress=progress,
                    jobs=jobs,
                )
        await _followed(shown)
        return summary

    try:
        summary = with_city(city, work, follow=False)
    except (KeyboardInterrupt, asyncio.CancelledError):
        _say_resumable(told, "已中断 interrupted")
        sys.exit(130)
    except importing.Stopped as error:
        _say_resumable(told, str(error))
        sys.exit(1)
    if as_json:
        answer(summary)
    else:
        print_summary(summary, time.monotonic() - began)
    if summary.rejected:
        sys.exit(1)


async def _followed(shown: Projections) -> None:
    """Let the tables follow. What came in is in the ledger and is told of, even where they cannot just now."""
    try:
        await desk.caught_up(shown)
    except (Refusal, psycopg.Error) as error:
        click.echo(
            f"! 数据已入账, 各表稍后跟上 all is in the ledger; the tables will follow later: {error}; huiyin follow",
            err=True,
        )


def _say_resumable(told: Sequence[int], why: str) -> None:
    done, total = told
    click.echo(f"✗ {why}: 已处理 done {done}/{total or '?'} 行 lines", err=True)
    click.echo(
        "  已导入的保留不变; 再次执行同一命令即可接续 what was imported stays: give the same command to go on", err=True
    )


def print_summary(summary: importing.Summary, seconds: float) -> None:
    """Say what an import did, and of a long one how long it took."""
    word = "试行, 未写入 dry run, nothing written" if summary.dry_run else "已导入 imported"
    click.echo(
        f"{'✓' if not summary.rejected else '!'} {summary.file}: {summary.lines} 行 lines, {word} {summary.imported}"
        f" ({summary.events} 个事件 events), 先前已导入 already there {summary.already},"
        f" 退回 rejected {summary.rejected}"
        + (
            f", 按脚本被拒绝 refused as the script says {summary.expected_refusals}"
            if summary.expected_refusals
            else ""
        )
    )
    if seconds >= LONG:
        click.echo(f"  用时 took {seconds:.0f} 秒 s, 每秒 a second {summary.events / seconds:,.0f} 个事件 events")
    for code, count in sorted(summary.by_reason.items(), key=lambda pair: -pair[1]):
        click.echo(f"  {count:6d}  {code}")
    for label, number in list(summary.orders.items())[:20]:
        click.echo(f"  {label} → {number}")
    if len(summary.orders) > 20:
        click.echo(f"  … 共 {len(summary.orders)} 件 orders in all; 见 see: huiyin list")
    print_reconciliation(summary.reconciliation, summary.kept)
    if summary.rejects_file:
        click.echo(f"  退回文件 rejects: {summary.rejects_file}")


def _by_year(rows: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    years = [(year, [*same]) for year, same in groupby(rows, key=lambda row: row[0].partition("-")[0] or "—")]
    return [(year, sum(row[1] for row in same), sum(row[2] for row in same)) for year, same in years]


def print_reconciliation(compared: Sequence[importing.Reconciled], kept: importing.Kept | None) -> None:
    """Say how the old system's rows and our orders compare: whole by month and state, the largest units."""
    months, units, states = (
        [(one.name, one.rows, one.orders) for one in compared if one.by == by] for by in ("month", "unit", "state")
    )
    if len(months) > 24:
        months = _by_year(months)
    if len(units) > 12:
        rest = units[11:]
        others = (f"其余 {len(rest)} 个 others", sum(row[1] for row in rest), sum(row[2] for row in rest))
        units = [*units[:11], others]
    told = {"按时间 by time": months, "按单位 by unit": units, "按状态 by state: 原 old → 现 new": states}
    for title, rows in told.items():
        if rows:
            columns = ("", "原系统 old rows", "本账本 orders here")
            printing.console().print(printing.counts(f"对账 {title}", rows, columns))
    if kept is not None:
        _print_kept(kept)


def _print_kept(kept: importing.Kept) -> None:
    """Say how often our clocks and the old system's word on its promises agree, and list where they do not."""
    if kept.rate is None:
        click.echo("对账 按承诺 promises kept: 无已办结且有承诺时限的工单 nothing promised has ended")
        return
    click.echo(
        f"对账 按承诺 promises kept: {kept.compared} 件有承诺时限且已办结 promised and ended, "
        f"与原系统一致 both agree on {kept.agreed} ({kept.rate:.2%})"
    )
    if silent := sum(one.old == importing.SILENT for one in kept.differing):
        click.echo(f"  其余 {len(kept.differing)} 件中原系统未载结论 of the others, it says nothing of {silent}")
    rows = [
        (one.number, printing.show_end(one.due), printing.show_instant(one.ended), one.old, one.ours)
        for one in kept.differing[:SHOWN]
    ]
    if rows:
        columns = (
            "原编号 old number",
            "承诺 promised",
            "办结 ended",
            "原系统 the old system says",
            "本账本 our clock says",
        )
        printing.console().print(printing.counts("不一致 where they differ", rows, columns))
    if len(kept.differing) > SHOWN:
        click.echo(f"  … 共 {len(kept.differing)} 件 in all; 全部见 all of them: huiyin reconcile … --json")


LONG = 2
"""Seconds from which on it is said how long an import took, with the tables that follow it."""

SHOWN = 50
"""Disagreements that are printed; `--json` has all."""


# --- reconcile ---------------------------------------------------------------------------------------------------


@click.command("reconcile")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--mapping", required=True, help="映射 the mapping that the table came in by.")
@city_option
@json_option
def reconcile_command(file: Path, mapping: str, city: str | None, as_json: bool) -> None:
    """对账: compare an old system's table with the orders that came of it.

    Orders are read in the ledger as they are now. By month, unit and state; where the table says whether promises
    were kept, that is held against our clocks, and what differs is listed. Exit code 1 if a row has no order.
    """
    read = importing.read_mapping(mapping)

    async def work(ledger: Ledger, _: Projections) -> importing.Review:
        with printing.bar(f"对账 reconciling {file.name}") as bar:
            task = bar.add_task("", total=None)
            return await importing.review_table(
                ledger, file, read, progress=lambda done, total: bar.update(task, completed=done, total=total)
            )

    found = with_city(city, work, follow=False)
    if as_json:
        answer(found)
    else:
        whole = not found.missing
        click.echo(
            f"{'✓' if whole else '!'} {found.file}: {found.rows} 行 rows, 已有工单 have an order {found.orders}, "
            f"没有工单 have none {len(found.missing)}; 文件所无的工单 orders the file lacks {len(found.foreign)}"
        )
        for name, numbers in (("没有工单 no order", found.missing), ("文件所无 not in the file", found.foreign)):
            if numbers:
                click.echo(f"  {name}: {', '.join(numbers[:10])}{' …' if len(numbers) > 10 else ''}")
        print_reconciliation(found.reconciliation, found.kept)
    if found.missing:
        sys.exit(1)


# --- export, restore ---------------------------------------------------------------------------------------------


@click.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@desk.who_option
@click.option("--purpose", default="backup", show_default=True, help="用途代码 what for; it is recorded.")
@city_option
@json_option
def export_command(file: Path, actor: str | None, purpose: str, city: str | None, as_json: bool) -> None:
    """导出: write a city to a file, as it stands at one instant.

    JSON Lines, compressed where the name ends in .gz: every commit with its events, salts and leaves, keys as they
    are wrapped. Sealed fields stay sealed; the master key is not in it and travels apart. Others may go on writing.
    Who took it stands in the access journal first.
    """
    database, by = wiring.database(), desk.whoever(actor)

    async def run() -> transfer.Carried:
        name = await desk.the_city(database, city)
        async with await wiring.open_city(database, name) as ledger:
            command_id = f"cli:export:{wiring.fresh()}"
            await ledger.note_access(("export",), stream="ledger", viewer=by, purpose=purpose, command_id=command_id)
        with printing.bar(f"导出 exporting {name}") as bar:
            task = bar.add_task("", total=None)
            return await transfer.export_city(
                database.app,
                name,
                file,
                lambda done, total: bar.update(task, completed=done, total=total),
            )

    done = desk.run_async(run())
    if as_json:
        answer(done)
        return
    click.echo(
        f"✓ {done.city} → {done.file}: 位置 position {done.position}, {done.commits} 个提交 commits, "
        f"密钥 keys {done.keys} (已加封 wrapped), 主体 subjects {done.subjects}"
    )
    click.echo(f"  摘要 digest sha256: {done.digest}")
    click.echo(
        f"  主密钥不在其中, 请分开保管 the master key is not in it, keep it apart: {wiring.keyring_file(done.city)}"
    )
    _say_files(done.ledger_id)


def _say_files(ledger_id: str) -> None:
    """Say that the files of cases travel apart, and how to see whether they are all there."""
    where = wiring.files_root() / ledger_id
    click.echo(f"  附件不在其中, 请一并复制 files of cases are not in it, copy them too: {where}")
    click.echo("  复制后 afterwards: huiyin verify --files")


@click.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("city")
@click.option(
    "--erasures",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="销毁清单 what was erased after the export (huiyin erasures); it stays erased.",
)
@json_option
def restore_command(file: Path, city: str, erasures: Path | None, as_json: bool) -> None:
    """恢复: make a city again from its export.

    Under the name CITY, where no schema is or an empty one. Positions, instants, salts and leaves are those of the file; every
    leaf is computed again, and a file that does not hold leaves nothing behind. The master key must lie in its place.
    """
    wiring.check_city(city)
    keyring, database = wiring.read_keyring(city), wiring.database()
    later = transfer.read_erasures(erasures) if erasures is not None else []

    async def run() -> transfer.Carried:
        with printing.bar(f"恢复 restoring {city}") as bar:
            task = bar.add_task("", total=None)
            done = await transfer.restore_city(
                database.owner,
                city,
                file,
                keyring,
                erasures=later,
                progress=lambda some, total: bar.update(task, completed=some, total=total),
            )
        async with await wiring.open_city(database, city, keyring) as ledger, Projections(database.app, city) as shown:
            done.erased_again = await transfer.erase_again(ledger, later)
            await _followed(shown)
        return done

    done = desk.run_async(run())
    if as_json:
        answer(done)
        return
    click.echo(
        f"✓ {done.file} → {done.city}: 位置 position {done.position}, {done.commits} 个提交逐条核验无误 commits, every leaf "
        f"holds; 密钥 keys {done.keys}, 主体 subjects {done.subjects}"
    )
    click.echo(f"  摘要 digest sha256: {done.digest}")
    _say_files(done.ledger_id)
    if done.dropped_keys or done.erased_again:
        click.echo(
            f"  销毁的仍为销毁 what was erased stays erased: 密钥 keys {done.dropped_keys}, "
            f"补记销毁 erasures recorded again {done.erased_again}"
        )


@click.command("erasures")
@click.option(
    "--apply",
    "listed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="再次销毁 erase again what a list says, after an older backup was put back.",
)
@city_option
def erasures_command(listed: Path | None, city: str | None) -> None:
    """销毁清单: list every destruction of keys, as JSON Lines.

    It holds random ids only. Keep it with the backups: whatever an older one brings back, `--apply` destroys again.
    """

    async def work(ledger: Ledger, _: Projections) -> None:
        if listed is None:
            for one in await transfer.erasures_of(ledger):
                click.echo(msgspec.json.encode(one).decode())
            return
        count = await transfer.erase_again(ledger, transfer.read_erasures(listed))
        click.echo(f"✓ 再次销毁 erased again: {count}")

    with_city(city, work, follow=False)
