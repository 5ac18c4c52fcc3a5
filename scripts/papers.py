"""Papers at the terminal: which instruments a record has, and one of them as HTML or PDF."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from archive.pdf import Printer
from domain.ledger import Ledger
from domain.refusals import Erased, Refusal
from domain.terms import Actor, Role
from projections.answers import Projections
from scripts import desk, printing, wiring
from scripts.desk import city_option, json_option, with_city
from scripts.lawbook import answer
from scripts.wiring import SettingError
from supervision import dutybook, register, sheets
from supervision.instruments import Shown, instruments
from supervision.reports import Report
from supervision.scheduler import LOG


@click.command("instrument")
@click.argument("record")
@click.argument("version", type=int, required=False)
@click.option("--to", "file", type=click.Path(dir_okay=False, path_type=Path), help="写入 a file: .pdf or .html.")
@click.option("--full", is_flag=True, help="全文版 with what is sealed opened: needs --as and --purpose.")
@click.option("--purpose", default="", help="用途 why, as a code: it is recorded before anything is opened.")
@click.option("--as", "actor", metavar="USER/ROLE[@UNIT]", help="操作人 who opens what is sealed.")
@city_option
@json_option
def instrument_command(
    record: str,
    version: int | None,
    file: Path | None,
    full: bool,
    purpose: str,
    actor: str | None,
    city: str | None,
    as_json: bool,
) -> None:
    """出具文书: list the instruments of a record, or print one of them.

    RECORD: an order's number, or matter:ID, inquiry:ID; VERSION: the event's # in its history, without: the list. The same event
    gives the same bytes whenever it is printed. Without --full what is sealed stays sealed.
    """
    if version is not None and (file is None or file.suffix not in (".pdf", ".html")):
        raise SettingError("--to: 写明 .pdf 或 .html 文件 name a .pdf or .html file")
    if full and not (actor and purpose):
        raise SettingError("--full 须同时给出 --as 与 --purpose: say who opens what is sealed, and why")
    by = desk.parse_actor(actor) if actor else None

    async def work(ledger: Ledger, shown: Projections) -> None:
        stream = await desk.stream_of(shown, record)
        if version is None or file is None:
            await _listed(ledger, stream, as_json=as_json)
            return
        html = sheets.instrument(
            await register.read(ledger, stream, version, _opener(ledger, by, purpose) if full else None)
        )
        await write(file, html)
        answer({"file": f"{file}"}) if as_json else click.echo(f"✓ {file}")

    with_city(city, work)


def _opener(ledger: Ledger, by: Actor | None, purpose: str) -> register.Opener:
    async def opened(shown: Sequence[Shown]) -> Mapping[str, str | Erased]:
        assert by is not None
        return await ledger.open_sealed(
            {one.name: one.sealed for one in shown},
            stream=shown[0].entry.stream,
            viewer=by,
            purpose=purpose,
            command_id=f"cli:paper:{wiring.fresh()}",
        )

    return opened


async def _listed(ledger: Ledger, stream: str, *, as_json: bool) -> None:
    entries = await ledger.history(stream)
    found = [(entry, kind) for entry, kind in instruments(entries)]
    if as_json:
        answer(
            [
                {"version": e.version, "kind": k, "number": e.numbered(k), "at": e.at, "position": e.position}
                for e, k in found
            ]
        )
        return
    if not found:
        click.echo("没有文书 no instruments")
        return
    table = Table(title="文书 instruments", title_justify="left", box=None, pad_edge=False)
    for column in ("#", "文书 kind", "登记编号 number", "时间 at", "位置 pos"):
        table.add_column(column, no_wrap=True)
    for entry, kind in found:
        cells = (
            str(entry.version),
            kind.zh,
            entry.numbered(kind),
            printing.show_instant(entry.at),
            str(entry.position),
        )
        table.add_row(*(escape(cell) for cell in cells))
    printing.console().print(table)


@click.command("dutybook")
@click.argument("day", metavar="DATE")
@click.option("--shift", default="", help="班次 of one shift alone: 白班, 夜班 …")
@click.option("--cut-off", type=click.IntRange(1), metavar="POSITION", help="截至账本此位置; without: now.")
@click.option(
    "--to", "file", required=True, type=click.Path(dir_okay=False, path_type=Path), help="写入 a file: .pdf or .html."
)
@click.option("--full", is_flag=True, help="全文版 with what is sealed opened: needs --as and --purpose.")
@click.option("--purpose", default="", help="用途 why, as a code: it is recorded before anything is opened.")
@click.option("--as", "actor", metavar="USER/ROLE[@UNIT]", help="操作人 who opens what is sealed.")
@city_option
@json_option
def duty_book_command(
    day: str,
    shift: str,
    cut_off: int | None,
    file: Path,
    full: bool,
    purpose: str,
    actor: str | None,
    city: str | None,
    as_json: bool,
) -> None:
    """值班记录簿: every call of a day or shift by its running number, also those that became no order."""
    if file.suffix not in (".pdf", ".html"):
        raise SettingError("--to: 写明 .pdf 或 .html 文件 name a .pdf or .html file")
    if full and not (actor and purpose):
        raise SettingError("--full 须同时给出 --as 与 --purpose: say who opens what is sealed, and why")
    by = desk.parse_actor(actor) if actor else None
    if full and (by is None or by.role not in BOOK_READERS):
        raise SettingError(f"--full: 限 only for {', '.join(sorted(BOOK_READERS))}")
    wanted = wiring.parse_instant(day).date()

    async def work(ledger: Ledger, shown: Projections) -> None:
        at = cut_off or (await ledger.head())[0]
        opener = _opener(ledger, by, purpose) if full else None
        found = await dutybook.book(shown, wanted, cut_off=at, shift=shift, opener=opener)
        await write(file, sheets.duty_book(found))
        if as_json:
            answer({"file": f"{file}", "calls": len(found.lines), "missing": found.missing, "cut_off": at})
            return
        gaps = f"；缺号 missing: {', '.join(found.missing)}" if found.missing else "，无缺号 none missing"
        click.echo(f"✓ {file}: 来电 calls {len(found.lines)}{gaps}")

    with_city(city, work)


BOOK_READERS = frozenset({Role.AGENT, Role.HOTLINE_MANAGER, Role.SUPERVISOR, Role.AUDITOR})
"""Who is shown callers by name: the duty room, and who checks it."""


async def files(
    made: Report, folder: Path, stem: str, printer: Printer, *, without: tuple[type[Refusal], ...] = ()
) -> list[Path]:
    """Write a report in every form, and the digests of the files beside them; the PDF may be wanting for a reason."""
    folder.mkdir(parents=True, exist_ok=True)
    html = sheets.report(made)
    contents = {".html": html.encode(), ".csv": made.csv()}
    try:
        contents[".pdf"] = await printer.pdf(html)
    except without as error:
        LOG.warning("%s: %s", stem, type(error).__name__)
    written: list[Path] = []
    for suffix, content in sorted(contents.items()):
        path = folder / f"{stem}{suffix}"
        path.write_bytes(content)
        written.append(path)
    lines = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in written)
    sums = folder / f"{stem}.sha256"
    sums.write_text(lines, encoding="utf-8")
    return [*written, sums]


async def write(file: Path, html: str) -> None:
    """Write a document as a file, as its name says: PDF or HTML."""
    if file.suffix == ".pdf":
        async with Printer() as printer:
            file.write_bytes(await printer.pdf(html))
    else:
        file.write_text(html, encoding="utf-8")


COMMANDS = (instrument_command, duty_book_command)
