"""The archive's registers at the terminal, and what goes out of it: hand-over and receipt, what is over, lists to be destroyed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from archive import custody, forms, registers
from archive.custody import Carried
from archive.pdf import Printer
from archive.registers import Expired, Line, Over, Register, TooLongToPrint, Use, Uses
from domain.ledger import Ledger, Receipt
from domain.matters.batches import (
    MOST_LISTED,
    BatchKind,
    BatchState,
    DisposalProposed,
    RecordPacketReceipt,
    RefusedPiece,
    handover_stream,
)
from domain.notes import Policy
from domain.steps.disposing import Opinion
from domain.terms import SHANGHAI, Citation, Role
from projections.answers import Projections
from scripts import desk, files, printing, wiring
from scripts.archiving import fonds_of
from scripts.desk import as_option, city_option, json_option, with_city
from scripts.lawbook import answer
from scripts.wiring import SettingError

csv_option = click.option(
    "--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="表格 write it as a table to a file."
)


def _day(said: str | None) -> date | None:
    try:
        return None if said is None else date.fromisoformat(said)
    except ValueError as error:
        raise SettingError(f"写作 write it as 2036-12-31: {said!r}") from error


def _written(file: Path, kind: type[msgspec.Struct], rows: Sequence[msgspec.Struct]) -> None:
    file.write_bytes(registers.table(kind, rows))
    click.echo(f"✓ {file}: {len(rows)}")


# --- 登记簿 ------------------------------------------------------------------------------------------------------


@click.command("register")
@click.argument("year", type=click.IntRange(1900, 2999))
@click.option("--series", help="只要一种 one series: D30 (案卷 files), L-D10 (登记簿行 lines).")
@csv_option
@click.option("--pdf", "pdf_file", type=click.Path(dir_okay=False, path_type=Path), help="打印 set it as a PDF.")
@city_option
@json_option
def register_command(
    year: int, series: str | None, csv_file: Path | None, pdf_file: Path | None, city: str | None, as_json: bool
) -> None:
    """年度登记簿: every file number and register line of a year, in order, with the gaps, retention and where each is."""
    only = registers.SERIES if series is None else (registers.series_of(series),)
    if only == (None,):
        raise SettingError(f"写作 write it as D30, L-D10: {series!r}")

    async def work(ledger: Ledger, _: Projections) -> Register:
        wanted = [one for one in only if one is not None]
        found = await registers.register(ledger, wiring.read_fonds(ledger.city), year, only=wanted)
        if pdf_file is not None:
            if len(found.lines) > registers.MOST_PRINTED:
                raise TooLongToPrint(f"{len(found.lines)} > {registers.MOST_PRINTED}")
            law = await ledger.law()
            html = forms.register(found, law.city_name, wiring.read_fonds(ledger.city), await ledger.now())
            async with Printer() as printer:
                pdf_file.write_bytes(await printer.pdf(html))
        return found

    found = with_city(city, work, follow=False)
    if csv_file is not None:
        _written(csv_file, Line, found.lines)
    if pdf_file is not None:
        click.echo(f"✓ {pdf_file}: {len(found.lines)}")
    if as_json:
        answer(found)
    elif csv_file is None and pdf_file is None:
        _shown(Line, found.lines, f"{year} 年度登记簿 register")
    if not as_json:
        gaps = "、".join(found.missing)
        click.echo(f"! 缺号 missing: {gaps}" if gaps else f"  {len(found.lines)} 号，无缺号 no gap")


def _shown(kind: type[msgspec.Struct], rows: Sequence[msgspec.Struct], title: str) -> None:
    if not rows:
        click.echo("没有 none")
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    headings = registers.HEADINGS[kind]
    last = list(headings)[-1]
    for name, heading in headings.items():
        table.add_column(
            heading, no_wrap=name in ("number", "closed", "ends"), overflow="fold" if name == last else "ellipsis"
        )
    for row in rows:
        table.add_row(*(escape(registers.cell(name, getattr(row, name))) for name in headings))
    printing.console().print(table)


@click.command("uses")
@click.argument("year", type=click.IntRange(1900, 2999), required=False)
@click.option("--order", help="只列此件 of one order alone.")
@csv_option
@city_option
@json_option
def uses_command(year: int | None, order: str | None, csv_file: Path | None, city: str | None, as_json: bool) -> None:
    """利用登记: copies that were made for use, of a year: for whom, what for, which edition, its digest, by whom."""

    async def work(ledger: Ledger, shown: Projections) -> Uses:
        of = (await shown.order_by_number(order)).id if order is not None else None
        now = (await ledger.now()).astimezone(SHANGHAI)
        return await registers.uses(ledger, year or now.year, order=of)

    found = with_city(city, work, follow=order is not None)
    if csv_file is not None:
        _written(csv_file, Use, found.rows)
    elif as_json:
        answer(found)
    else:
        _shown(Use, found.rows, f"{found.year} 年利用登记簿 use register")


# --- 移交与回执 --------------------------------------------------------------------------------------------------


@click.command("handover")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--receiver", help="接收单位 who receives it; without: the archives named with `archive fonds`.")
@as_option
@city_option
@json_option
def handover_command(folder: Path, receiver: str | None, actor: str, city: str | None, as_json: bool) -> None:
    """移交: record that a packet is handed over, by its digest, once all of it verifies and every case in it is sealed."""
    by = desk.parse_actor(actor)
    database = wiring.database()

    async def work(ledger: Ledger, _: Projections) -> Receipt:
        to = receiver or fonds_of(ledger.city).archives
        if not to:
            raise SettingError("未定接收单位 nobody receives it: --receiver, 或 or: huiyin archive fonds --archives")
        custody.parcel(folder.resolve(), to)  # whether it is a packet at all, before all of it is read
        async with await wiring.open_log(database, ledger) as log:
            assert log.key is not None
            return await custody.hand_over(ledger, folder.resolve(), to, by, Policy(log.key, log.witnesses))

    receipt = with_city(city, work, follow=False)
    desk.print_receipt(receipt, dry_run=False, as_json=as_json)
    if not as_json:
        click.echo(f"  批次 batch: {receipt.stream}")
        click.echo(
            f"  收到回执后 with the receipt: huiyin archive receipt {folder} --receipt 回执号 --received-by 何人 --on 日期 --cases 件数"
        )


@click.command("receipt")
@click.argument("packet", metavar="FOLDER|BATCH|DIGEST")
@click.option("--receipt", required=True, help="回执号 the archives' own number.")
@click.option("--received-by", required=True, help="接收人员 who took it there.")
@click.option("--on", "on", required=True, metavar="DATE", help="接收日期 when.")
@click.option("--cases", type=click.IntRange(min=0), required=True, help="件数 as the receipt says.")
@click.option("--digest", help="回执所载摘要 the digest on the receipt; without: that of FOLDER.")
@click.option("--refused", multiple=True, metavar="NUMBER=REASON", help="拒收 a case they did not take (repeatable).")
@click.option("--document", help="回执文件摘要 sha256:… of the receipt as it was signed.")
@as_option
@city_option
@json_option
def receipt_command(
    packet: str,
    receipt: str,
    received_by: str,
    on: str,
    cases: int,
    digest: str | None,
    refused: tuple[str, ...],
    document: str | None,
    actor: str,
    city: str | None,
    as_json: bool,
) -> None:
    """接收回执: record the archives' receipt, and of each case they took that it went. Ended in the middle, it goes on."""
    by, day = desk.parse_actor(actor), _day(on)
    assert day is not None
    pieces = tuple(_piece(one) for one in refused)

    async def work(ledger: Ledger, _: Projections) -> tuple[Receipt | None, Carried]:
        held = custody.parcel(Path(packet).resolve(), "-").digest if Path(packet).is_dir() else packet
        stream = packet if packet.startswith("batch:") else handover_stream(held)
        batch = await custody.batch_of(ledger, stream, BatchKind.HANDOVER)
        said = digest or (batch.digest if packet.startswith("batch:") else held)
        act = RecordPacketReceipt(
            receipt=receipt,
            received_by=received_by,
            received_on=day,
            digest=said,
            cases=cases,
            refused=pieces,
            document=document,
        )
        told = None
        if batch.received is None or batch.receipt != receipt:
            told = await ledger.execute(act, stream=stream, actor=by, command_id=f"cli:receipt:{wiring.fresh()}")
        return told, await moved(ledger, stream, batch.cases)

    async def moved(ledger: Ledger, stream: str, count: int) -> Carried:
        with printing.bar("移交 handing over") as bar:
            task = bar.add_task("", total=count)
            return await custody.move(
                ledger, stream, by, told=lambda done: bar.update(task, completed=done.done + done.before + done.refused)
            )

    told, done = with_city(city, work, follow=False)
    if as_json:
        answer({"batch": told.stream if told else "", **msgspec.to_builtins(done)})
    else:
        click.echo(f"✓ 已移交 handed over {done.done}, 先前 before {done.before}, 拒收 refused {done.refused}")
    _failed(done)


def _piece(said: str) -> RefusedPiece:
    number, _, reason = said.partition("=")
    if not number or not reason:
        raise SettingError(f"--refused: 写作 write it as 2026-D30-0007=附件缺失: {said!r}")
    return RefusedPiece(file_number=number, reason=reason)


def _failed(done: Carried) -> None:
    for number, why in done.failed:
        click.echo(f"✗ {number}: {why}", err=True)
    if done.failed:
        raise click.exceptions.Exit(1)


@click.command("batches")
@city_option
@json_option
def batches_command(city: str | None, as_json: bool) -> None:
    """档案批次: packets that were handed over and lists to be destroyed, the newest first, and how far each is."""

    async def work(ledger: Ledger, shown: Projections) -> list[registers.BatchRow]:
        return await registers.batches(ledger, shown)

    rows = with_city(city, work, follow=False)
    if as_json:
        answer(rows)
        return
    for row in rows:
        said = row.packet or f"{row.digest}"
        click.echo(f"{row.number}  {row.what.zh} {BatchState(row.state).zh}  {row.cases} 件 cases  {said}")
        signed = (f"{Role(role).zh} {user}" for role, _, user in (one.partition(": ") for one in row.agreed))
        agreed = f"，会签 agreed: {'、'.join(signed)}" if row.agreed else ""
        receipt = f"，回执 receipt {row.receipt}，拒收 refused {row.refused}" if row.receipt else ""
        click.echo(f"  batch:{row.id}{agreed}{receipt}")
    if not rows:
        click.echo("没有 none")


# --- 到期鉴定与销毁 ----------------------------------------------------------------------------------------------


@click.command("expired")
@click.option("--by", "by_day", metavar="DATE", help="截至 over by a day; without: today.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="件数 at most.")
@csv_option
@city_option
@json_option
def expired_command(by_day: str | None, limit: int, csv_file: Path | None, city: str | None, as_json: bool) -> None:
    """到期清单: files whose retention is over, what was thought of each since, and what still keeps it.

    An opinion: huiyin do ORDER appraise_file opinion=controlled basis.text=… basis.article=… (extended: until=2046-12-31)
    """
    found = with_city(city, lambda ledger, shown: _over(ledger, shown, _day(by_day), limit))
    if csv_file is not None:
        _written(csv_file, Expired, found.rows)
    elif as_json:
        answer(found)
    else:
        _shown(Expired, found.rows, f"截至 {found.by} 保管期满 over by then")


async def _over(ledger: Ledger, shown: Projections, by: date | None, limit: int) -> Over:
    today = (await ledger.now()).astimezone(SHANGHAI).date()
    return await registers.expired(ledger, shown, wiring.read_fonds(ledger.city), by or today, limit=limit)


@click.command("propose-disposal")
@click.argument("orders", nargs=-1, metavar="[ORDER]…")
@click.option("--basis", required=True, metavar="TEXT:ARTICLE", help="依据 the rule: 档案法实施条例:第十九条.")
@click.option("--words", help="说明 why they have no value any more.")
@csv_option
@as_option
@city_option
@json_option
def propose_command(
    orders: tuple[str, ...],
    basis: str,
    words: str | None,
    csv_file: Path | None,
    actor: str,
    city: str | None,
    as_json: bool,
) -> None:
    """提请销毁: propose a list of files, under its digest; without orders, all that are over, appraised and held by nothing.

    A manager, a leader and a supervisor, three persons, then agree: huiyin do batch:ID agree_disposal digest=…
    """
    by = desk.parse_actor(actor)
    text, _, article = basis.partition(":")

    async def work(ledger: Ledger, shown: Projections) -> tuple[Receipt, list[Expired]]:
        found = await _over(ledger, shown, None, 1_000_000)
        streams = [await desk.stream_of(shown, one) for one in orders]
        if not streams:
            free = [row for row in found.rows if row.opinion not in ("", Opinion.EXTENDED) and not row.held]
            streams = [row.record for row in free[:MOST_LISTED]]
        cited = Citation(text=text, article=article)
        receipt = await custody.propose(ledger, streams, cited, words, by)
        return receipt, [row for row in found.rows if row.record in set(streams)]

    receipt, rows = with_city(city, work)
    if csv_file is not None:
        _written(csv_file, Expired, rows)
    if as_json:
        desk.print_receipt(receipt, dry_run=False, as_json=True)
        return
    entry = receipt.events[0]
    event: DisposalProposed = entry.event
    click.echo(f"✓ 销毁清册 list {entry.numbered('disposal')}: {len(event.orders)} 件 cases")
    click.echo(f"  {event.digest}")
    click.echo(f"  会签 to agree: huiyin do {receipt.stream} agree_disposal digest={event.digest} --as …")


@click.command("dispose")
@click.argument("batch", metavar="BATCH")
@click.option("--witness", required=True, help="监销人 who watches it being done; not who does it.")
@as_option
@city_option
@json_option
def dispose_command(batch: str, witness: str, actor: str, city: str | None, as_json: bool) -> None:
    """销毁: destroy the files of an approved list: the keys of each case, and with them every copy kept here.

    What the ledger proves stays, with the list and the decision. Ended in the middle, the same command goes on. Packets
    and prints that left this house are not reached: destroy those yourselves.
    """
    by = desk.parse_actor(actor)

    async def work(ledger: Ledger, _: Projections) -> tuple[Carried, list[str]]:
        stream = batch if batch.startswith("batch:") else f"batch:{batch}"
        found = await custody.batch_of(ledger, stream, BatchKind.DISPOSAL)
        with printing.bar("销毁 destroying") as bar:
            task = bar.add_task("", total=found.cases)
            done = await custody.dispose(
                ledger, stream, witness, by, told=lambda d: bar.update(task, completed=d.done + d.before)
            )
        await files.sweep(ledger, wiring.files_of(ledger), wiring.process_now().timestamp())
        numbers = [one.filing.file_number for one, _ in await custody.cases_of(ledger, found) if one.filing.disposed]
        return done, custody.packets_with(wiring.packets_root(ledger.city), numbers)

    done, packets = with_city(city, work, follow=False)
    if as_json:
        answer({**msgspec.to_builtins(done), "packets": packets})
    else:
        click.echo(f"✓ 已销毁 destroyed {done.done}, 先前 before {done.before}")
        for one in packets:
            click.echo(
                f"! 信息包仍含已销毁的档案，请一并销毁 this packet still holds some of them, destroy it too: {one}"
            )
    _failed(done)


COMMANDS = (
    register_command,
    uses_command,
    handover_command,
    receipt_command,
    batches_command,
    expired_command,
    propose_command,
    dispose_command,
)
"""Commands of `huiyin archive`."""
