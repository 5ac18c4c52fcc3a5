"""Reports over HTTP: which were published, and one made of a period as the ledger was at a position."""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec

from api.access import OVERSEERS, REPORT_MAKERS, REPORT_READERS, Viewer
from api.asking import Answer, Ask, listing, next_page
from api.problems import NotForThisRole, QueryUnfit
from domain.calendar import FIRST_YEAR, LAST_YEAR
from domain.matters.publications import PrivacyClass, ReportKind, ReportPublished
from domain.stored import tag
from domain.terms import SHANGHAI, Entry
from supervision import reports, sheets
from supervision.reports import FORMS, Report


class Form(StrEnum):
    """As what a report is answered."""

    HTML = "html"
    PDF = "pdf"
    CSV = "csv"


MEDIA = {Form.HTML: "text/html; charset=utf-8", Form.PDF: "application/pdf", Form.CSV: "text/csv; charset=utf-8"}

LONGEST = timedelta(days=366)

NAMED = 50
"""Cases that a special report names at most."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """已公布的报告. What was recorded when it went out."""

    report: ReportKind
    number: str
    title: str
    period_from: date
    period_until: date
    cut_off: int
    template_version: str
    content_hash: str
    privacy_class: PrivacyClass
    recipients: tuple[str, ...]
    orders: tuple[UUID, ...]
    record: str
    position: int


def _told(entry: Entry) -> Told:
    event: ReportPublished = entry.event
    return Told(
        report=event.report,
        number=entry.numbered(event.report),
        title=event.title,
        period_from=event.period_from,
        period_until=event.period_until,
        cut_off=event.cut_off,
        template_version=event.template_version,
        content_hash=event.content_hash,
        privacy_class=event.privacy_class,
        recipients=event.recipients,
        orders=event.orders,
        record=entry.stream,
        position=entry.position,
    )


async def _published(ask: Ask) -> tuple[int, list[Told]]:
    found = await ask.city.shown.beside("publication", [tag(ReportPublished)])
    rows = (_told(entry) for entry in found.rows)
    return found.position, [row for row in rows if ask.who.role in REPORT_READERS[row.privacy_class]]


async def listed(ask: Ask) -> Answer:
    """Return the reports that were published, for whom they are, the oldest first."""
    kind, limit = ask.word("kind", ReportKind), ask.limit()
    after = (ask.cursor(tuple[int]) or (0,))[0]
    position, rows = await _published(ask)
    rows = [row for row in rows if kind in (None, row.report) and row.position > after]
    if ask.who.role in OVERSEERS:
        rows = [msgspec.structs.replace(row, orders=()) for row in rows]
    cursor = next_page(rows[limit - 1].position) if len(rows) > limit else ""
    return listing(ask, "reports", rows[:limit], position, cursor)


def _day(ask: Ask, name: str) -> date:
    at = ask.instant(name)
    if at is None or not FIRST_YEAR < at.year < LAST_YEAR:
        raise QueryUnfit(name, field=name)
    return at.astimezone(SHANGHAI).date()


async def made(ask: Ask) -> Answer:
    """Return a report of a period: as it was published, or for who may have one made as of a position."""
    kind, form = _kind(ask), _form(ask)
    first, last = _day(ask, "from"), _day(ask, "to")
    if last < first or last - first > LONGEST:
        raise QueryUnfit("from … to: 1 … 366 日 days", field="to")
    wanted, orders = ask.number("cut_off"), _orders(ask)
    _, rows = await _published(ask)
    before = [r for r in rows if (r.report, r.period_from, r.period_until) == (kind, first, last)]
    before = [r for r in before if orders in ((), r.orders)]
    if wanted is None and before:
        wanted = before[0].cut_off
    meant = [row for row in before if row.cut_off == wanted]
    _may(ask.who, kind, published=bool(meant))
    orders = meant[0].orders if meant else orders
    ask.paced("report")
    cut_off = wanted if wanted is not None else (await ask.city.ledger.head())[0]
    if cut_off < 1:
        raise QueryUnfit("cut_off: 1 …", field="cut_off")
    made = await reports.made(ask.city.shown, kind, first, last, cut_off=cut_off, orders=orders)
    return await _answered(ask, made, form)


def _form(ask: Ask) -> Form:
    """Return as what a report is wanted: as the query says, else as the header does."""
    accepted = ask.header("accept")
    said = (form for form in (Form.PDF, Form.CSV) if MEDIA[form].partition(";")[0] in accepted)
    return ask.word("format", Form) or next(said, Form.HTML)


def _orders(ask: Ask) -> tuple[UUID, ...]:
    """Return the cases that a special report is to name."""
    said = ask.queries("order")
    if len(said) > NAMED:
        raise QueryUnfit(f"order: 1 … {NAMED}", field="order")
    try:
        return tuple(UUID(one) for one in said)
    except ValueError as error:
        raise QueryUnfit("order", field="order") from error


def _kind(ask: Ask) -> ReportKind:
    said = ask.path("kind")
    if said not in set(ReportKind):
        raise QueryUnfit(f"kind: {', '.join(ReportKind)}", field="kind")
    return ReportKind(said)


def _may(who: Viewer, kind: ReportKind, *, published: bool) -> None:
    """Refuse a report to whom it is not for: one of the same class if it was published, else only to those who make them."""
    if who.role in REPORT_MAKERS or (published and who.role in REPORT_READERS[FORMS[kind].privacy]):
        return
    raise NotForThisRole(kind)


async def _answered(ask: Ask, report: Report, form: Form) -> Answer:
    if form is Form.CSV:
        body = report.csv()
    else:
        html = sheets.report(report)
        body = html.encode() if form is Form.HTML else await ask.house.printer.pdf(html)
    named = f"{report.kind}-{report.period_from}-{report.period_until}.{form}"
    headers = {
        "Content-Disposition": f'{"attachment" if form is Form.CSV else "inline"}; filename="{named}"',
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
        "Ledger-Position": str(report.cut_off),
        "Content-Hash": report.content_hash,
    }
    return Answer(body, headers=headers, media_type=MEDIA[form])
