"""Questions about figures: the indicators of a period, how each is counted, and which orders stand behind it."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec

from api.access import Data, Viewer, need, units_asked
from api.asking import Answer, Ask, listing, next_page
from api.problems import QueryUnfit, UnknownEntry
from api.reading import known, lister
from api.sheets import plain
from domain.calendar import LAST_YEAR
from domain.terms import SHANGHAI, DemandType
from projections.answers import Listing
from projections.figures import BY_CODE, Side
from projections.indicators import BESIDE, FactRow
from supervision import indicators
from supervision.indicators import BOM, Question
from supervision.telephony import TELEPHONY

CSV = "text/csv; charset=utf-8"


class Part(StrEnum):
    """What indicators are told apart by."""

    UNIT = "unit"
    TYPE = "type"
    AREA = "area"


class Format(StrEnum):
    """In which form figures are given."""

    JSON = "json"
    CSV = "csv"


def wants_table(ask: Ask) -> bool:
    """Tell whether a table is asked for: by `format`, else by what is accepted."""
    said = ask.word("format", Format)
    return said is Format.CSV or (said is None and "text/csv" in ask.header("accept"))


def _question(ask: Ask, who: Viewer) -> Question:
    since, until = ask.instant("from"), ask.instant("to")
    if since is None or until is None:
        raise QueryUnfit("from, to", field="from" if since is None else "to")
    if until.year >= LAST_YEAR:
        raise QueryUnfit(f"to: < {LAST_YEAR}", field="to")
    until += timedelta(days=1) if until.time() == datetime.min.time() else timedelta()
    if since >= until:
        raise QueryUnfit("from < to", field="to")
    kind = ask.word("type", DemandType)
    cut_off = ask.number("cut_off")
    if cut_off == 0:
        raise QueryUnfit("cut_off: 1 …", field="cut_off")
    return Question(
        since=since,
        until=until,
        by=str(ask.word("by", Part) or ""),
        unit=units_asked(who, ask.query("unit")),
        demand_type=None if kind is None else str(kind),
        district=ask.query("area"),
        cut_off=cut_off,
        current=ask.flag("current"),
    )


def _asks(ask: Ask) -> Viewer:
    who = lister(ask)
    need(Data.INDICATORS, who)
    if ask.query("cut_off"):
        ask.paced()  # every case is read again
    return who


async def figures(ask: Ask) -> Answer:
    """Return the indicators of a period, each with what stands above and below its line."""
    who = _asks(ask)
    question = _question(ask, who)
    only = ask.queries("only")
    for code in only:
        if code not in BY_CODE and code not in TELEPHONY:
            raise QueryUnfit(f"only: {code}", field="only")
    await ask.caught_up()
    found = await indicators.answer(ask.city.shown, question, ask.house.now())
    wanted = [figure for figure in found.figures if not only or figure.code in only]
    if wants_table(ask):
        headers = {
            "Ledger-Position": str(found.position),
            "Content-Disposition": 'attachment; filename="indicators.csv"',
        }
        return Answer(indicators.as_csv(found, wanted).encode(), headers=headers, media_type=CSV)
    answer = listing(ask, "figures", wanted, found.position)
    told = msgspec.structs.asdict(found)
    names = ("until", "counted_to", "closed", "closing", "policies", "headline", "windows", "thresholds")
    body = {"from": found.since, **{name: told[name] for name in names}, "adjustments": found.adjustments}
    return answer._replace(body={**answer.body, **body})


async def definitions(ask: Ask) -> Answer:
    """Return how each indicator is counted."""
    need(Data.INDICATORS, lister(ask))
    return Answer({"definitions": indicators.definitions(), "rules": indicators.RULES})


async def behind(ask: Ask) -> Answer:
    """Return the orders behind a figure; of a unit its own."""
    who = _asks(ask)
    code = ask.path("code")
    if code not in BY_CODE and code not in TELEPHONY:
        raise UnknownEntry(f"code: {code}", field="code")
    question, limit = _question(ask, who), ask.limit()
    side = ask.word("side", Side) or Side.ABOVE
    after = ask.cursor(tuple[datetime, UUID, int])
    await ask.caught_up()
    found = await indicators.behind(ask.city.shown, question, code, side, ask.house.now(), limit=limit, after=after)
    theirs = {
        row.order_id for row in await known(ask, [r for r in found.rows if r.kind != BESIDE], lambda r: r.order_id)
    }
    rows = [row for row in found.rows if row.kind == BESIDE or row.order_id in theirs]
    cursor = next_page(found.rows[-1].at, found.rows[-1].order_id, found.rows[-1].no) if found.more else ""
    if wants_table(ask):
        return _as_csv(found, rows, code, side, cursor)
    return listing(ask, "orders", rows, found.position, cursor)


def _as_csv(found: Listing[FactRow], rows: list[FactRow], code: str, side: Side, cursor: str) -> Answer:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["指标", "侧", "工单", "归属时刻", "单位", "事实", "是否", "秒", "截止位置"])
    for row in rows:
        at = row.at.astimezone(SHANGHAI).isoformat(timespec="seconds")
        hit = "是" if row.hit else "否"
        writer.writerow([code, side, row.order_id, at, plain(row.unit), row.kind, hit, row.seconds, found.position])
    headers = {"Ledger-Position": str(found.position)} | ({"Huiyin-Next": cursor} if cursor else {})
    return Answer((BOM + out.getvalue()).encode(), headers=headers, media_type=CSV)
