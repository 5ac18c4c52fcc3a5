"""Reports at the terminal: one of a period as files, published where that is asked for, and a quarter's submission at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import click

from archive.pdf import Printer
from domain.ledger import Ledger
from domain.matters.folding import id_of
from domain.matters.inquiries import Body, SendSubmission
from domain.matters.publications import (
    ON_EVENT,
    PublishReport,
    ReportKind,
    ReportPublished,
    report_stream,
)
from domain.terms import Actor, Medium
from projections.answers import Projections
from scripts import daily, desk, papers, wiring
from scripts.desk import as_option, city_option, json_option, with_city
from scripts.lawbook import answer
from scripts.wiring import SettingError
from supervision import reports, sheets
from supervision.reports import Report

SUFFIXES = (".html", ".pdf", ".csv")


class Published(NamedTuple):
    """What a publication came to."""

    report: Report
    stream: str
    number: str
    again: bool  # it had been published before


def _day(said: str) -> date:
    return wiring.parse_instant(said).date()


async def _one_file(made: Report, file: Path) -> None:
    html = sheets.report(made)
    if file.suffix == ".csv":
        file.write_bytes(made.csv())
    elif file.suffix == ".html":
        file.write_text(html, encoding="utf-8")
    else:
        async with Printer() as printer:
            file.write_bytes(await printer.pdf(html))


async def _before(ledger: Ledger, kind: ReportKind, period: tuple[date, date]) -> tuple[ReportPublished, str] | None:
    """Return the report of a period as it was published, where it was, with its number."""
    entries = await ledger.history(report_stream(kind, *period))
    told = [e for e in entries if isinstance(e.event, ReportPublished)]
    return (told[0].event, told[0].numbered(kind)) if told else None


async def _cut_off(ledger: Ledger, shown: Projections, kind: ReportKind, day: date) -> int:
    """Return the position of a new report: of a day's summary that which the morning's files were made at, else now."""
    made = daily.made_of(shown.city, day) if kind is ReportKind.DAILY_DUTY else None
    return made.cut_off if made is not None else (await ledger.head())[0]


async def _publish(
    ledger: Ledger,
    shown: Projections,
    made: Report,
    *,
    by: Actor,
    prepared_by: str,
    recipients: Sequence[str],
) -> Published:
    """Record that a report goes out: once for its period, by somebody other than who prepared it."""
    periodic = made.kind not in ON_EVENT
    period = (made.period_from, made.period_until)
    act = PublishReport(
        report=made.kind,
        title=made.title,
        period_from=made.period_from,
        period_until=made.period_until,
        cut_off=made.cut_off,
        template_version=made.template,
        content_hash=made.content_hash,
        prepared_by=prepared_by,
        recipients=tuple(recipients),
        privacy_class=made.privacy,
        policies=made.policies,
        orders=made.orders,
    )
    await reports.refuse_early(act, ledger)
    receipt = await ledger.execute(
        act,
        stream=report_stream(made.kind, *period) if periodic else None,
        actor=by,
        command_id=f"report:{made.kind}:{made.content_hash}",
    )
    number = next((e.numbered(made.kind) for e in receipt.events if isinstance(e.event, ReportPublished)), "")
    await desk.caught_up(shown)
    return Published(made, receipt.stream, number, receipt.replayed)


def _say(made: Report, files: Sequence[Path], number: str, *, as_json: bool) -> None:
    if as_json:
        answer(
            {
                "kind": made.kind,
                "title": made.title,
                "period": [made.period_from, made.period_until],
                "cut_off": made.cut_off,
                "template": made.template,
                "content_hash": made.content_hash,
                "number": number,
                "files": [f"{file}" for file in files],
            }
        )
        return
    click.echo(f"✓ {made.title} {made.period_from} … {made.period_until}" + (f"  № {number}" if number else ""))
    click.echo(f"  截至位置 cut-off: {made.cut_off} · 模板 template: {made.template}")
    click.echo(f"  内容摘要 content: {made.content_hash}")
    for file in files:
        click.echo(f"  {file}")


@click.command("report")
@click.argument("kind", type=click.Choice([str(kind) for kind in ReportKind]))
@click.option("--from", "since", required=True, metavar="DATE", help="期初 the first day.")
@click.option("--to", "until", metavar="DATE", help="期末 the last day, included; without: the first.")
@click.option(
    "--cut-off", type=click.IntRange(1), metavar="POSITION", help="截至账本此位置; without: as published, else now."
)
@click.option(
    "--out", "file", type=click.Path(dir_okay=False, path_type=Path), help="写入 a file: .html, .pdf or .csv."
)
@click.option("--assumed", is_flag=True, help="试算 count cases under an assumed pack too: never to be published.")
@click.option(
    "--order", "orders", multiple=True, metavar="ORDER", help="涉及工单 a case that a special report is about."
)
@click.option("--publish", is_flag=True, help="公布 record it as published: needs --as, --prepared-by and --recipient.")
@click.option("--as", "actor", metavar="USER/ROLE[@UNIT]", help="审签人 who approves it.")
@click.option("--prepared-by", metavar="USER", help="拟稿人 who prepared it: somebody else.")
@click.option("--recipient", "recipients", multiple=True, help="报送 who gets it (repeatable).")
@city_option
@json_option
def report_command(
    kind: str,
    since: str,
    until: str | None,
    cut_off: int | None,
    file: Path | None,
    assumed: bool,
    orders: tuple[str, ...],
    publish: bool,
    actor: str | None,
    prepared_by: str | None,
    recipients: tuple[str, ...],
    city: str | None,
    as_json: bool,
) -> None:
    """报告: a report of a period, from the ledger as it was at one position.

    The same kind, period and cut-off give the same report for ever. A period that was published is shown as it was.
    """
    if file is not None and file.suffix not in SUFFIXES:
        raise SettingError("--out: 写明 .html、.pdf 或 .csv 文件 name a .html, .pdf or .csv file")
    if publish and (assumed or not (actor and prepared_by and recipients)):
        raise SettingError(
            "--publish 须有 --as、--prepared-by、--recipient，且不得 --assumed: say who approves, who prepared it and who gets it"
        )
    by = desk.parse_actor(actor) if actor else None
    wanted = ReportKind(kind)
    period = (_day(since), _day(until or since))

    async def work(ledger: Ledger, shown: Projections) -> None:
        before = await _before(ledger, wanted, period)
        at = cut_off or (before[0].cut_off if before is not None else await _cut_off(ledger, shown, wanted, period[0]))
        named = [(await shown.order_by_number(one)).id for one in orders]
        made = await reports.made(shown, wanted, *period, cut_off=at, assumed=assumed, orders=named)
        number = before[1] if before is not None and before[0].content_hash == made.content_hash else ""
        if publish and by is not None and prepared_by is not None:
            number = (await _publish(ledger, shown, made, by=by, prepared_by=prepared_by, recipients=recipients)).number
        if file is not None:
            await _one_file(made, file)
        _say(made, [file] if file is not None else [], number, as_json=as_json)

    with_city(city, work)


@click.command("submission")
@click.argument("quarter")
@click.option("--prepared-by", required=True, metavar="USER", help="拟稿人 who prepared it: not who approves it.")
@click.option(
    "--to",
    "bodies",
    type=click.Choice([str(body) for body in Body]),
    multiple=True,
    default=[str(body) for body in Body],
    show_default=True,
    help="报送 to whom (repeatable).",
)
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="写入 the folder for the files."
)
@as_option
@city_option
@json_option
def submission_command(
    quarter: str,
    prepared_by: str,
    bodies: tuple[str, ...],
    folder: Path,
    actor: str,
    city: str | None,
    as_json: bool,
) -> None:
    """向人大、政协报送: a quarter's report made, recorded as published and sent, and written as files.

    QUARTER: 2026Q3. Given again it writes the same files again, and records nothing twice.
    """
    by = desk.parse_actor(actor)
    period = reports.quarter(quarter)

    async def work(ledger: Ledger, shown: Projections) -> None:
        kind = ReportKind.SUBMISSION
        before = await _before(ledger, kind, period)
        at = before[0].cut_off if before is not None else (await ledger.head())[0]
        made = await reports.made(shown, kind, *period, cut_off=at)
        recipients = [Body(body).zh for body in bodies]
        if before is None:
            published = await _publish(ledger, shown, made, by=by, prepared_by=prepared_by, recipients=recipients)
            number = published.number
        else:
            number = before[1]
            if before[0].content_hash != made.content_hash:
                raise SettingError(
                    f"本版程序的模板已变，已公布的内容摘要为 the published content was another, by template "
                    f"{before[0].template_version}: {before[0].content_hash}"
                )
        for body in bodies:
            await ledger.execute(_sent(made, Body(body)), actor=by, command_id=f"submission:{quarter.upper()}:{body}")
        async with Printer() as printer:
            files = await papers.files(made, folder, f"submission-{quarter.upper()}", printer)
        _say(made, files, number, as_json=as_json)

    with_city(city, work)


def _sent(made: Report, body: Body) -> SendSubmission:
    return SendSubmission(
        body=body,
        period_from=made.period_from,
        period_until=made.period_until,
        content_hash=made.content_hash,
        cut_off=made.cut_off,
        template_version=made.template,
        recipients=(body.zh,),
        medium=Medium.WRITTEN,
        report=id_of(report_stream(made.kind, made.period_from, made.period_until)),
    )


COMMANDS = (report_command, submission_command)
