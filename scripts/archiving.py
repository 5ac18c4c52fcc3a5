"""The archive at the terminal: under what the archives keep the files, and packets of filed cases for them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from archive import filing, forms, gathering, material, packet
from archive.filing import Archivist, Case, Maker, Rendered, Tally
from archive.fonds import Fonds
from archive.fourfold import Report
from archive.gathering import House, Range
from archive.packet import Done, Plan, Total
from archive.pdf import Printer
from domain.ledger import Ledger
from domain.terms import SHANGHAI, Actor, Role
from projections.answers import Projections
from projections.transparency import Transparency
from scripts import desk, dossiers, embedded, lawbook, printing, wiring
from scripts.desk import as_option, city_option, json_option, with_city
from scripts.lawbook import answer
from scripts.wiring import SettingError
from supervision.scheduler import LOG


@click.group("archive", cls=lawbook.Commands)
def archive_group() -> None:
    """归档: what waits to be filed, and packets for the archives."""


# --- 全宗 --------------------------------------------------------------------------------------------------------


@archive_group.command("fonds")
@click.option("--code", help="全宗号 as the archives gave it: X043.")
@click.option("--name", help="全宗名称 who makes the files.")
@click.option("--category", help="门类代码 the code of the kind of archive (without: WS).")
@click.option("--section", help="机构或问题代码 the code of the section (without: RX).")
@click.option("--archives", help="档案馆名称 who receives the files.")
@click.option("--archives-code", help="档案馆代码 their code.")
@click.option("--separator", type=click.Choice(["·", "."]), help="档号间隔号 where their system refuses `·` in names.")
@city_option
@json_option
def fonds_command(city: str | None, as_json: bool, **said: str | None) -> None:
    """全宗: show or set under what the archives keep the city's files; they give the code, nobody makes one up."""
    schema = desk.run_async(desk.the_city(wiring.database(), city))
    fonds = wiring.read_fonds(schema)
    if given := {name: value for name, value in said.items() if value is not None}:
        fonds = msgspec.structs.replace(fonds, **given)
        wiring.write_fonds(schema, fonds)
    if as_json:
        answer(fonds)
        return
    click.echo(f"{'✓ ' if given else ''}全宗号 {fonds.code or '—'} · {fonds.name or '—'}")
    click.echo(f"  档号 number: {fonds.reference('2026-D30-0001') if fonds.code else '—'}")
    click.echo(f"  档案馆 archives: {fonds.archives or '—'} {fonds.archives_code}")
    click.echo(f"  {wiring.fonds_file(schema)}")


def fonds_of(city: str) -> Fonds:
    """Return under what the city's files are kept. Raises SettingError where nobody has told yet."""
    fonds = wiring.read_fonds(city)
    if fonds.unfit():
        raise SettingError(
            "未设全宗号 the archives' code of the fonds is not set: huiyin archive fonds --code X043 --name 单位名称"
        )
    return fonds


# --- 待归档 ------------------------------------------------------------------------------------------------------


@archive_group.command("ready")
@click.option("--incomplete", is_flag=True, help="只列不齐全的 only those that lack something.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=200, show_default=True, help="件数 how many at most.")
@city_option
@json_option
def ready_command(incomplete: bool, limit: int, city: str | None, as_json: bool) -> None:
    """待归档: closed cases whose file still waits for something, and what it lacks (齐全完整检查)."""

    async def work(ledger: Ledger, shown: Projections) -> list[Case]:
        found: list[Case] = []
        async for lot in filing.at_hand(ledger, shown):
            found += [one for one in lot if not incomplete or one.standing.missing]
            if len(found) >= limit:
                break
        return found[:limit]

    found = with_city(city, work)
    if as_json:
        answer([_standing(one) for one in found])
        return
    if not found:
        click.echo("没有待办 nothing waits" if not incomplete else "均齐全 nothing is incomplete")
        return
    table = Table(title="待归档 waiting files", title_justify="left", box=None, pad_edge=False)
    for column in ("工单 order", "环节 waits for", "档号 number", "所缺 lacks"):
        table.add_column(column, no_wrap=column != "所缺 lacks")
    for one in found:
        stage = one.standing.stage
        cells = (one.order.number, f"{stage.zh} {stage}", one.order.filing.file_number or "—")
        table.add_row(*(escape(cell) for cell in cells), escape("、".join(map(lacking, one.standing.missing)) or "—"))
    printing.console().print(table)


def _standing(one: Case) -> dict[str, object]:
    return {
        "order": one.order.number,
        "stream": one.order.stream,
        "stage": one.standing.stage,
        "missing": one.standing.missing,
        "file_number": one.order.filing.file_number,
    }


_LACKING = {
    "follow_up": "承诺未兑现",
    "notice": "督办文书未办结",
    "instruction": "批示未报告办理结果",
    "appeal": "考核申诉未裁定",
    "correction": "更正未批准",
    "citizen_reply": "并单诉求人未告知",
    "refusal_reason": "不予受理理由",
    "reply": "答复",
    "informed": "告知诉求人的记录",
    "emergency": "紧急事项未告知",
}


def lacking(what: str) -> str:
    """Return what a file lacks in the words of officials: `督办文书未办结 notice 2`."""
    return f"{_LACKING[what.partition(' ')[0]]} {what}"


# --- 立卷归档 ----------------------------------------------------------------------------------------------------


@archive_group.command("run")
@click.argument("orders", nargs=-1, metavar="[ORDER]…")
@click.option("--workers", type=click.IntRange(1, 32), help="进程 processes that set dossiers; without: HUIYIN_FILERS.")
@click.option("--as", "actor", metavar="USER/ROLE[@UNIT]", help="操作人 who files; without: the system.")
@city_option
@json_option
def run_command(
    orders: tuple[str, ...], workers: int | None, actor: str | None, city: str | None, as_json: bool
) -> None:
    """立卷归档: file closed cases that are complete, make and record their copies, seal those whose time has come.

    ORDER: only these. `serve` does it every night; ended in the middle, the next run goes on, and nothing is done twice.
    """
    by = desk.parse_actor(actor) if actor else wiring.SYSTEM
    if by.role not in {Role.ARCHIVIST, Role.SYSTEM}:
        raise SettingError(f"--as: 限 only for {Role.ARCHIVIST}")

    database, processes = wiring.database(), workers or wiring.filers()

    async def work(ledger: Ledger, shown: Projections) -> Tally:
        streams = list(dict.fromkeys([await desk.stream_of(shown, one) for one in orders]))
        lots = only(ledger, streams) if streams else filing.at_hand(ledger, shown)
        of = len(streams) or await waiting(ledger, shown)
        with printing.bar("立卷归档 filing") as bar, course(ledger.city, of) as say:
            task = bar.add_task("", total=of)

            def told(tally: Tally) -> None:
                if say is not None:
                    say(tally)
                bar.update(task, completed=tally.done)

            async with archivist_of(database, ledger, by, processes) as archivist:
                return await archivist.run(lots, told, backwards=say is None)

    tally = with_city(city, work)
    if as_json:
        answer(tally)
    else:
        click.echo(f"✓ 归档 filed {tally.filed}, 成卷 copies {tally.copies}, 封存 sealed {tally.sealed}")
        click.echo(f"  不齐全 incomplete {tally.incomplete}, 未到封存期 wait {tally.waiting}: huiyin archive ready")
        for number, why in tally.failed:
            click.echo(f"✗ {number}: {why}")
    if tally.failed:
        sys.exit(1)


async def waiting(ledger: Ledger, shown: Projections) -> int:
    """Return how many files there may be something to do about."""
    return len({one async for one in filing.candidates(ledger, shown)})


def course(city: str, of: int) -> AbstractContextManager[Callable[[Tally], None] | None]:
    """Lend what writes down how far the filing of a city is; None where another run does."""
    return filing.on_course(wiring.packets_root(city) / filing.COURSE, of, wiring.process_now)


async def only(ledger: Ledger, streams: Sequence[str]) -> AsyncIterator[list[Case]]:
    """Yield some cases as one lot."""
    yield await filing.cases(ledger, streams)


@asynccontextmanager
async def archivist_of(
    database: embedded.Database, ledger: Ledger, by: Actor, workers: int
) -> AsyncIterator[Archivist]:
    """Lend who files the cases of a city, with so many processes that set dossiers."""
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(await wiring.open_log(database, ledger))
        printers = [await stack.enter_async_context(Printer()) for _ in range(workers)]
        makers = [await maker(ledger, log, by, printer) for printer in printers]
        yield Archivist(ledger, log, wiring.files_of(ledger), makers, by)


async def maker(ledger: Ledger, log: Transparency, by: Actor, printer: Printer) -> Maker:
    """Return what makes record copies, each opening of a case's keys recorded first."""
    gatherer = dossiers.Gatherer(ledger, log, wiring.read_fonds(ledger.city), await printer.faces())

    async def make(stream: str, upto: int) -> Rendered:
        keys = await ledger.hand_out_keys(
            stream, viewer=by, purpose="filing", command_id=f"filing:{wiring.fresh()}", identity=True
        )
        two = await ledger.keys_of_two(stream)
        part: dossiers.Part | None = None
        closed: Rendered | None = None
        if two:
            made, done = await dossiers.closed_part(
                gatherer, ledger, stream, upto, by=by, purpose="filing", printer=printer
            )
            closed, part = dossiers.bound([done]), dossiers.Part(filing.digest_of(done.pdf))
        made = await gatherer.gather(stream, "full", upto=upto, keys=keys, two_persons=two, part=part)
        made = await dossiers.pictured(made, wiring.files_of(ledger), printer)
        whole = dossiers.bound([await dossiers.printed(one, printer) for one in material.split(made)])
        return whole._replace(sealed=closed)

    return make


NIGHT: Final = (1, 5)
"""Hours, in the city's own time, between which `serve` files."""


async def filed(ledger: Ledger, shown: Projections) -> None:
    """File what is to be filed, at night alone; what is left when the night ends is the next night's."""
    now = (await ledger.now()).astimezone(SHANGHAI)
    if not NIGHT[0] <= now.hour < NIGHT[1]:
        return
    until = now.replace(hour=NIGHT[1], minute=0, second=0, microsecond=0)
    database = await asyncio.to_thread(wiring.database)  # to enter one takes a loop of its own
    with course(shown.city, await waiting(ledger, shown)) as say:
        async with archivist_of(database, ledger, wiring.SYSTEM, wiring.filers()) as archivist:
            tally = await archivist.run(filing.at_hand(ledger, shown), say, until, backwards=say is None)
    LOG.info("filing", extra={"said": {"city": shown.city, **msgspec.to_builtins(tally)}})


# --- 归档信息包 --------------------------------------------------------------------------------------------------


def range_of(said: str) -> Range:
    """Return the numbers that are meant. Raises SettingError."""
    found = gathering.range_of(said)
    if found is None:
        raise SettingError(f"写作, 首号不大于末号 write it as 2026-D30, 2026-D30-7, 2026-D30-1..200: {said!r}")
    return found


@archive_group.command("packet")
@click.argument("series", metavar="NUMBERS")
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), help="位置 the folder it is made in.")
@as_option
@city_option
@json_option
def packet_command(series: str, folder: Path | None, actor: str, city: str | None, as_json: bool) -> None:
    """归档信息包: make a packet of filed cases for the archives (BagIt, DA/T 48), with what proves each of them.

    NUMBERS: 2026-D30 (year and period), 2026-D30-1..200. Ended in the middle, the same command goes on. Check it with
    `huiyin verify FOLDER --policy POLICY`, or with the verify_standalone.py inside it.
    """
    by, wanted = desk.parse_actor(actor), range_of(series)
    if by.role is not Role.ARCHIVIST:
        raise SettingError(f"--as: 限 only for {Role.ARCHIVIST}")
    database = wiring.database()

    async def work(ledger: Ledger, _: Projections) -> tuple[Path, Total, Plan]:
        fonds = fonds_of(ledger.city)
        async with await wiring.open_log(database, ledger) as log, Printer() as printer:
            house = House(ledger, log, wiring.files_of(ledger), fonds, await maker(ledger, log, by, printer))
            head = await gathering.witnessed(log)
            plan = await gathering.planned(house, wanted, head, by=by.user, now=await ledger.now())
            target = (folder or wiring.packets_root(ledger.city)) / plan.name

            async def form(plan: Plan, total: Total, report: Report) -> list[tuple[str, bytes]]:
                return await beside(printer, plan, total, report)

            with printing.bar("归档信息包 packet") as bar:
                task = bar.add_task("", total=plan.last - plan.first + 1)
                place, total = await gathering.made(
                    house, target, plan, by, form, _advancing(bar.advance, task), wiring.scanner()
                )
            return place, total, plan

    place, total, plan = with_city(city, work, follow=False)
    if as_json:
        answer({"folder": str(place), "name": plan.name, "head": plan.head, **msgspec.to_builtins(total)})
        return
    click.echo(f"✓ {place}: {total.items} 件 cases, {total.pages} 页 pages, {forms.size(total.bytes)}")
    for one in total.left_out:
        click.echo(f"  未入包 left out: {one}")


async def beside(printer: Printer, plan: Plan, total: Total, report: Report) -> list[tuple[str, bytes]]:
    """Return the forms that lie beside the cases of a packet."""
    return [
        (packet.HANDOVER, await printer.pdf(forms.handover(plan, total))),
        (f"{packet.FOURFOLD}.pdf", await printer.pdf(forms.fourfold(report, plan.fonds.name))),
        (f"{packet.FOURFOLD}.json", msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"),
    ]


def _advancing(advance: Callable[..., None], task: object) -> Callable[[Done], None]:
    return lambda _: advance(task)


COMMANDS = (archive_group,)
