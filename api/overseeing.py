"""Questions of NPC deputies, CPPCC members and their offices (DOMAIN 4.3, S2-7, S2-8): each recorded before it is answered.

What is told of closed quarters and years is fixed (`supervision.oversight`), so that here nothing is left to decide about
small numbers: a question chooses among what is told already.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any

import msgspec

from api import views
from api.access import OVERSEERS, Data, Grade, Viewer, may_read, need
from api.asking import Answer, Ask, listing, next_page
from api.figuring import CSV, wants_table
from api.problems import (
    DossierNotAtHand,
    DossierNotReleased,
    NotForThisRole,
    QueryUnfit,
    SummaryNotReleased,
    UnknownEntry,
)
from api.writing import stream_named
from archive import filing
from domain.law import Law
from domain.matters.folding import derived, id_of
from domain.matters.inquiries import (
    Body,
    FileInquiry,
    Inquiry,
    InquiryKind,
    MaskedDossierReleased,
    OversightInquiryAnswered,
    OversightInquiryFiled,
    OversightQueryExecuted,
    OversightSubmissionSent,
    RecordQuery,
    RequestMaskedDossier,
)
from domain.refusals import UnknownStream
from domain.steps.filing import DossierRendered
from domain.stored import tag
from domain.terms import SHANGHAI, DemandType, Entry, Medium, NoticeKind, Role, UnitId, UserId, Word
from domain.units import BEGINNING
from supervision import reports
from supervision.disclosure import BY_CODE, DIMENSIONS, MEASURES, Line, Quarter, Sheet
from supervision.indicators import BOM
from supervision.oversight import Annual, Course, Listed, PeriodNotClosed, Release
from supervision.reports import Inquired
from supervision.timeline import released_text, timeline

SEEING = frozenset({*OVERSEERS, Role.HOTLINE_MANAGER, Role.SUPERVISOR, Role.LEADER, Role.AUDITOR})
"""Who reads what overseers are shown: they themselves, and who answers for it."""

WHOLE_CITY = "全市"
REST = "其余合并"
UNTOLD = "合并或不足，不列"


class QueryPurpose(Word):
    """查询目的. What an overseer looks something up for."""

    SUPERVISION = "supervision", "日常监督"
    SESSION = "session", "会议审议"
    INSPECTION = "inspection", "视察、执法检查"
    RESEARCH = "research", "专题调研"
    SUGGESTION = "suggestion", "准备建议、提案"
    FOLLOW_UP = "follow_up", "跟踪办理"


class By(Word):
    """分项."""

    UNIT = "unit", "单位"
    TYPE = "type", "诉求类型"
    AREA = "area", "区域"
    CATEGORY = "category", "类别"
    NOTICE = "notice", "文书种类"


class Counts(Word):
    """统计项."""

    REGISTERED = "registered", "登记"
    DISPATCHED = "dispatched", "派单"
    SIGNED = "signed", "签收到期"
    DUE = "due", "办理到期"
    EXTENSION = "extension", "延期申请"
    ANSWERED = "answered", "答复"
    VISITED = "visited", "回访解决情况"
    RATED = "rated", "有效评价"
    REDONE = "redone", "重办"
    CLOSED = "closed", "办结"
    NOTICED = "noticed", "督办回复到期"
    ISSUED = "issued", "督办文书"
    PROMISED = "promised", "承诺到期"


def seeing(ask: Ask) -> Viewer:
    """Return who asks. Raises NotForThisRole, and QueryUnfit for an overseer who does not say what for."""
    if ask.who.role not in SEEING:
        raise NotForThisRole
    if ask.word("purpose", QueryPurpose) is None and ask.who.role in OVERSEERS:
        raise QueryUnfit(f"purpose: {', '.join(QueryPurpose)}", field="purpose")
    return ask.who


async def recorded(ask: Ask, query: str, *, cut_off: int, rows: int, hidden: int = 0) -> None:
    """Record what an overseer looks up, for what and out of which unit, before they are shown it (S2-7)."""
    if ask.who.role not in OVERSEERS:
        return
    said = {name: "、".join(ask.queries(name)) for name in sorted(set(ask.request.query_params))}
    said |= {f"path.{name}": str(value) for name, value in ask.request.path_params.items() if name != "city"}
    today = ask.house.now().astimezone(SHANGHAI).date()
    await ask.city.ledger.execute(
        RecordQuery(query=query, cut_off=cut_off, rows=rows, suppressed=hidden, filters=said),
        stream=derived("inquiry", "queries", ask.who.role, ask.who.actor.user, today),
        actor=ask.who.actor,
        command_id=f"oversight:{ask.city.ledger.fresh_id()}",
        trace_id=ask.trace(),
    )


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """监督查询记录. What an overseer looked up: who, out of which unit, what for and of what."""

    at: datetime
    body: Body
    user: UserId
    unit: UnitId
    query: str
    filters: dict[str, str]
    cut_off: int
    rows: int
    hidden: int
    position: int


async def queries(ask: Ask) -> Answer:
    """Return what was looked up, the earliest first: an overseer's own, and everybody's to who keeps the access log."""
    who = seeing(ask)
    own = who.role in OVERSEERS
    if not own:
        need(Data.ACCESS_LOG, who, Grade.FULL)
    limit, after = ask.limit(), (ask.cursor(tuple[int]) or (0,))[0]
    found = await ask.city.shown.beside("inquiry", [tag(OversightQueryExecuted)])
    rows = [_looked(entry) for entry in found.rows if entry.position > after]
    rows = [row for row in rows if not own or (row.user, row.body) == (who.actor.user, BODY_OF[who.role])]
    cursor = next_page(rows[limit - 1].position) if len(rows) > limit else ""
    await recorded(ask, "queries", cut_off=found.position, rows=len(rows[:limit]))
    return listing(ask, "queries", rows[:limit], found.position, cursor)


def _looked(entry: Entry) -> Looked:
    event: OversightQueryExecuted = entry.event
    return Looked(
        at=entry.at,
        body=event.body,
        user=entry.actor.user,
        unit=entry.actor.unit,
        query=event.query,
        filters=event.filters,
        cut_off=event.cut_off,
        rows=event.rows,
        hidden=event.suppressed,
        position=entry.position,
    )


BODY_OF = {Role.OVERSEER_NPC: Body.NPC, Role.OVERSEER_CPPCC: Body.CPPCC}


# --- figures -----------------------------------------------------------------------------------------------------


async def overview(ask: Ask) -> Answer:
    """Return which periods are closed, what is counted of each, and which office answers for it."""
    who = seeing(ask)
    course, law = await ask.city.overseen.course(), await ask.city.law()
    today = ask.house.now().astimezone(SHANGHAI).date()
    periods = [_period(release) for release in course.releases.values()]
    body = {
        "periods": periods,
        "years": [{"period": annual.period, "cut_off": annual.cut_off} for annual in course.years.values()],
        "not_closed": [str(one) for one in _ended(today) if str(one) not in course.releases],
        "measures": [
            {
                "measure": measure.code,
                "title": measure.title,
                "english": measure.english,
                "endings": {ending.code: ending.title for ending in measure.endings},
                "reasons": {reason.code: reason.title for reason in measure.reasons},
                "by": {by: DIMENSIONS[by] for by in measure.by},
                "orders": measure.shown,
            }
            for measure in MEASURES
        ],
        "purposes": {str(purpose): purpose.zh for purpose in QueryPurpose},
        "office": _office(law, "", ask),
        "you": {"role": who.role, "unit": who.actor.unit},
    }
    position, _ = await ask.city.ledger.head()
    await recorded(ask, "overview", cut_off=position, rows=len(periods))
    return Answer({**body, "position": position}, headers={"Ledger-Position": str(position)})


def _ended(today: date, last: int = 4) -> list[Quarter]:
    """Return the quarters that ended last: those without a release wait for the office to publish a report of them."""
    year, number = today.year, (today.month + 2) // 3
    found: list[Quarter] = []
    for _ in range(last):
        year, number = (year, number - 1) if number > 1 else (year - 1, 4)
        found.append(Quarter(year, number))
    return found


def _period(release: Release) -> dict[str, Any]:
    closing = release.closing
    return {
        "period": release.period,
        "cut_off": release.cut_off,
        "closed_at": closing.published_at.astimezone(SHANGHAI),
        "report": closing.kind,
        "number": closing.number,
        "orders": len(release.orders),
    }


def _office(law: Law, unit: str, ask: Ask) -> dict[str, Any]:
    """Return the office that answers for a figure: a unit for its own, the hotline's for the city's."""
    now, unit = ask.house.now(), unit or law.hotline_unit
    contact = law.units.contact(unit, now)
    found = {"unit": unit, "name": law.unit_name(unit, now)}
    return found if contact is None else {**found, "contact": contact}


def period_of(course: Course, said: str | None) -> Release | Annual:
    """Return what is told of a quarter or a year. Raises QueryUnfit, PeriodNotClosed."""
    if said is None or not (said[:4].isascii() and said[:4].isdecimal() and said[4:] in ("", "Q1", "Q2", "Q3", "Q4")):
        raise QueryUnfit("period: 2026Q3 | 2026", field="period")
    found = course.releases.get(said) or course.years.get(said)
    if found is None:
        raise PeriodNotClosed(said)
    return found


async def figures(ask: Ask) -> Answer:
    """Return what is told of a quarter or a year: totals, and by unit, type, area or category."""
    seeing(ask)
    course, law = await ask.city.overseen.course(), await ask.city.law()
    told = period_of(course, ask.query("period"))
    measures, parts = ask.words("measure", Counts), ask.words("by", By)
    sheets = [sheet for sheet in told.sheets if not measures or sheet.measure in measures]
    shown = [_sheet(sheet, parts) for sheet in sheets]
    lines = sum(len(table.lines) for sheet in shown for table in sheet.tables)
    await recorded(
        ask, "figures", cut_off=told.cut_off, rows=lines + len(shown), hidden=sum(sheet.hidden for sheet in shown)
    )
    headers = {"Ledger-Position": str(told.cut_off)}
    if wants_table(ask):
        headers["Content-Disposition"] = f'attachment; filename="oversight-{told.period}.csv"'
        return Answer(as_csv(told.period, told.cut_off, shown, law, ask).encode(), headers=headers, media_type=CSV)
    body = {
        "period": told.period,
        "sheets": shown,
        "names": _names(shown, law, ask),
        "office": _office(law, "", ask),
        "method": METHOD,
        "position": told.cut_off,
    }
    return Answer(body, headers=headers)


METHOD = (
    "只列不小于5的数；较小的各项合并为“其余”，合并数同样不小于5或为零。 Counts below 5 are not told: small parts are counted together.",
    "数值以公布该期报告时的账本位置为准，不再变动。 Figures are those of the report that closed the period, and never change.",
    "全年数为各季度之和；在部分季度单列的项不列全年数。 A year is the sum of its quarters; a part told in some of them only has no year.",
    "未解决和客观无法解决的原因只列全市各类别数，原文经批准后提供。 Why demands stayed unresolved is told by kind, of the whole city.",
    "办理类统计归主办单位，区域按诉求所在区县。 Handling counts by the lead unit, areas by the district of the matter.",
)


def _sheet(sheet: Sheet, parts: Sequence[By]) -> Sheet:
    tables = tuple(table for table in sheet.tables if not parts or table.by in parts)
    return msgspec.structs.replace(sheet, tables=tables)


def _names(sheets: Iterable[Sheet], law: Law, ask: Ask) -> dict[str, Any]:
    """Return what each unit in the tables is called and where it is reached: it answers for its own figures."""
    units = {line.part for sheet in sheets for table in sheet.tables if table.by == "unit" for line in table.lines}
    return {unit: _office(law, unit, ask) for unit in sorted(units)}


def part_title(by: str, part: str, law: Law, ask: Ask) -> str:
    """Return what a part is called."""
    if by == "unit":
        return law.unit_name(part or law.hotline_unit, ask.house.now())
    if by == "type" and part in set(DemandType):
        return DemandType(part).zh
    if by == "notice" and part in set(NoticeKind):
        return NoticeKind(part).zh
    return part or "未注明"


def as_csv(period: str, cut_off: int, sheets: Sequence[Sheet], law: Law, ask: Ask) -> str:
    """Return sheets as CSV with BOM, a number a line: the same numbers as on the page, and no others."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["期间", "统计项", "分项", "项", "结果", "件数", "截止位置"])

    def line(sheet: Sheet, by: str, part: str, ending: str, count: int | None) -> None:
        told = UNTOLD if count is None else count
        writer.writerow([period, sheet.title, by, _plain(part), ending, told, cut_off])

    for sheet in sheets:
        line(sheet, "", WHOLE_CITY, "", sheet.count)
        for number, count in enumerate(sheet.months, 1):
            line(sheet, "", f"{WHOLE_CITY}第{number}月", "", count)
        for share in sheet.outcomes:
            line(sheet, "", WHOLE_CITY, share.title, share.count)
        for share in sheet.reasons:
            line(sheet, "", f"{WHOLE_CITY}未解决原因", share.title, share.count)
        for table in sheet.tables:
            by = DIMENSIONS[table.by]
            for one in table.lines:
                part = part_title(table.by, one.part, law, ask)
                line(sheet, by, part, "", one.count)
                for share, count in zip(sheet.outcomes, one.outcomes, strict=False):
                    line(sheet, by, part, share.title, count)
            line(sheet, by, REST, "", table.rest)
    return BOM + out.getvalue()


def _plain(text: str) -> str:
    return f"'{text}" if text[:1] in tuple("=+-@\t\r") else text


# --- orders one by one -------------------------------------------------------------------------------------------


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """可查工单. What is said of a listed order: as much of it as enough others share."""

    handle: str
    unit: str
    unit_name: str
    demand_type: str
    district: str
    category: str
    place: str


def _shown(listed: Listed, release: Release, law: Law, ask: Ask) -> Shown:
    label = listed.label
    return Shown(
        handle=f"{release.period}-{listed.no}",
        unit=label.unit,
        unit_name=law.unit_name(label.unit or law.hotline_unit, ask.house.now()),
        demand_type=label.demand_type,
        district=label.district,
        category=label.category,
        place=label.place,
    )


async def orders(ask: Ask) -> Answer:
    """Return the orders closed in a quarter that may be followed one by one, by what is counted of them and how it ended."""
    seeing(ask)
    course, law = await ask.city.overseen.course(), await ask.city.law()
    release = period_of(course, ask.query("period"))
    if not isinstance(release, Release):
        raise QueryUnfit("period: 2026Q3", field="period")
    asked = {by: ask.query(name) for by, name in _LABELS.items()}
    counted = _counted_in(ask)
    limit, after = ask.limit(), (ask.cursor(tuple[int]) or (0,))[0]
    rows = [
        one
        for one in release.orders
        if (not counted or counted in one.counted)
        and all(said in (None, getattr(one.label, by)) for by, said in asked.items())
    ]
    page = [one for one in rows if one.no > after]
    cursor = next_page(page[limit - 1].no) if len(page) > limit else ""
    await recorded(ask, "orders", cut_off=release.cut_off, rows=len(page[:limit]))
    shown = [_shown(one, release, law, ask) for one in page[:limit]]
    answer = listing(ask, "orders", shown, release.cut_off, cursor)
    return answer._replace(body={**answer.body, "listed": len(rows), "note": LISTED})


LISTED = "所列为可逐件查看的部分，不是全部，不能据此计数。 These are those that may be followed one by one, never all: they count nothing."
_LABELS = {"unit": "unit", "demand_type": "type", "district": "area", "category": "category"}


def _counted_in(ask: Ask) -> str:
    """Return what the orders asked for are counted in. Raises QueryUnfit for what no steps show."""
    code, ending = ask.word("measure", Counts), ask.query("ending")
    if code is None:
        if ending is not None:
            raise QueryUnfit("ending: 与 measure 同用 goes with measure", field="ending")
        return ""
    measure = BY_CODE[code]
    if not measure.shown:
        raise QueryUnfit(f"measure: {', '.join(one.code for one in MEASURES if one.shown)}", field="measure")
    endings = [one.code for one in measure.endings]
    if ending is not None and ending not in endings:
        raise QueryUnfit(f"ending: {', '.join(endings)}", field="ending")
    return f"{code}:{ending}" if ending is not None else str(code)


async def _listed(ask: Ask) -> tuple[Release, Listed]:
    """Return the listed order that a path names. Raises UnknownEntry."""
    name = ask.path("handle")
    period, _, no = name.partition("-")
    release = (await ask.city.overseen.course()).releases.get(period)
    if release is not None and no.isascii() and no.isdecimal() and 0 < int(no[:9]) <= len(release.orders):
        return release, release.orders[int(no) - 1]
    raise UnknownEntry(ascii(name[:40]), field="handle")


async def order(ask: Ask) -> Answer:
    """Return how a listed order went: steps, units, codes and days, up to where its period was closed."""
    who = seeing(ask)
    release, listed = await _listed(ask)
    law = await ask.city.law()
    entries = await ask.city.overseen.history(listed, release)
    told = timeline(entries, law, release.closing.published_at)
    await recorded(ask, "order", cut_off=release.cut_off, rows=len(told.steps))
    if who.role in OVERSEERS:
        await ask.city.ledger.note_access(
            ["timeline"],
            stream=f"order:{listed.order}",
            viewer=who.actor,
            purpose=f"oversight.{ask.query('purpose')}",
            command_id=f"oversight:{ask.city.ledger.fresh_id()}",
        )
    now = await ask.city.ledger.history(f"order:{listed.order}")
    body = {
        "order": _shown(listed, release, law, ask),
        "timeline": told,
        "text_released": bool(released_text(now)),
        "office": _office(law, listed.label.unit, ask),
        "position": release.cut_off,
    }
    return Answer(body, headers={"Ledger-Position": str(release.cut_off)})


class Asking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an overseer wants of an order: why, in words that are sealed; and whether it is the masked dossier (8.14)."""

    words: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    dossier: bool = False


async def ask_text(ask: Ask) -> Answer:
    """Ask the hotline's office to release a summary of a listed order's text: a letter of inquiry, with the time for one.

    Or its masked dossier, for a committee's office: the request is made for who has the order's handle alone.
    """
    if ask.who.role not in OVERSEERS:
        raise NotForThisRole
    release, listed = await _listed(ask)
    asked = await ask.said(Asking)
    handle = f"{release.period}-{listed.no}"
    key = ask.header("idempotency-key") or f"oversight:{ask.city.ledger.fresh_id()}"
    receipt = await ask.city.ledger.execute(
        FileInquiry(
            matter_kind=InquiryKind.LETTER,
            body=BODY_OF[ask.who.role],
            title="请求调阅脱敏卷宗" if asked.dossier else "请求公开办件摘要",
            text=asked.words,
            reference=handle,
            orders=(listed.order,),
        ),
        actor=ask.who.actor,
        command_id=key,
        trace_id=ask.trace(),
    )
    if asked.dossier:
        await ask.city.ledger.execute(
            RequestMaskedDossier(order=listed.order, purpose=asked.words),
            stream=receipt.stream,
            actor=ask.who.actor,
            command_id=f"dossier:{receipt.stream}",
            trace_id=ask.trace(),
        )
    _, _, name = receipt.stream.partition(":")
    body = {"inquiry": name, "number": receipt.events[0].numbered("inquiry"), "position": receipt.first_position}
    return Answer(body, 201)


class OpeningText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a released summary is read for."""

    purpose: QueryPurpose


async def text(ask: Ask) -> Answer:
    """Return the summaries of a listed order that the hotline's office released, after it is recorded who reads them."""
    if ask.who.role not in OVERSEERS:
        raise NotForThisRole
    ask.paced()
    _, listed = await _listed(ask)
    asked = await ask.said(OpeningText)
    stream = f"order:{listed.order}"
    found = released_text(await ask.city.ledger.history(stream))
    if not found:
        raise SummaryNotReleased
    fields = {str(entry.version): entry.event.summary for entry in found}
    opened = await ask.opened(fields, stream=stream, purpose=f"oversight.{asked.purpose}")
    told = [{"released_at": entry.at, "text": opened[str(entry.version)]} for entry in found]
    return Answer({"texts": told})


# --- what overseers asked before, and were sent ------------------------------------------------------------------


class Matter(msgspec.Struct, frozen=True, kw_only=True):
    """监督事项. What was asked, until when it is to be answered, and what became of it."""

    id: str
    number: str
    kind: InquiryKind
    title: str
    filed_at: datetime
    mine: bool
    due: datetime | None
    answered_at: datetime | None
    late: bool
    orders_done: bool | None  # whether every order that it names is closed; None where it names none


async def matters(ask: Ask) -> Answer:
    """Return what overseers asked, with its clock and its answer: of an overseer's own body; of both to the office."""
    who = seeing(ask)
    kinds, only_open, law = ask.words("kind", InquiryKind), ask.flag("open"), await ask.city.law()
    limit, after = ask.limit(), (ask.cursor(tuple[str]) or ("",))[0]
    position, _ = await ask.city.ledger.head()
    found = await reports.inquired(ask.city.shown, law, BEGINNING, ask.house.now() + ONE_DAY, position)
    rows = [
        _matter(one, who, ask.house.now())
        for one in found
        if who.role not in OVERSEERS or one.inquiry.body is BODY_OF[who.role]
    ]
    rows = [row for row in rows if (not kinds or row.kind in kinds) and not (only_open and row.answered_at)]
    start = next((n + 1 for n, row in enumerate(rows) if row.id == after), 0)
    page = rows[start : start + limit]
    cursor = next_page(page[-1].id) if len(rows) > start + limit else ""
    await recorded(ask, "matters", cut_off=position, rows=len(page))
    return listing(ask, "matters", page, position, cursor)


ONE_DAY = timedelta(days=1)


def _matter(one: Inquired, who: Viewer, now: datetime) -> Matter:
    inquiry = one.inquiry
    assert inquiry.filed is not None
    assert inquiry.matter_kind is not None
    answered = None if inquiry.answered is None else inquiry.answered.at
    return Matter(
        id=str(id_of(inquiry.stream)),
        number=inquiry.number,
        kind=inquiry.matter_kind,
        title=one.title,
        filed_at=inquiry.filed.at,
        mine=inquiry.filed_by == who.actor.user,
        due=one.due,
        answered_at=answered,
        late=one.due is not None and (answered or now) > one.due,
        orders_done=all(not order.is_open for order in one.orders) if one.orders else None,
    )


async def matter(ask: Ask) -> Answer:
    """Return what an overseer asked themselves and the answer to it, open, after it is recorded who reads it."""
    if ask.who.role not in OVERSEERS:
        raise NotForThisRole
    ask.paced()
    asked = await ask.said(OpeningText)
    name = ask.path("record")
    stream = await stream_named(ask, "inquiry", name)
    look = await ask.city.ledger.look(stream)
    state = ask.city.ledger.fold_entries(stream, look.entries)
    if state is None or not may_read("inquiry", state, ask.who):
        raise UnknownStream(name)
    fields = {
        said: getattr(entry.event, said)
        for entry in look.entries
        for kind, said in ((OversightInquiryFiled, "text"), (OversightInquiryAnswered, "answer"))
        if isinstance(entry.event, kind)
    }
    opened = await ask.opened(fields, stream=stream, purpose=f"oversight.{asked.purpose}")
    return Answer(
        {"matter": views.without_cases(views.plain(state)), **{name: opened.get(name) for name in ("text", "answer")}}
    )


class OpeningDossier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a released dossier is read for, and which: of several requests, and of a long case's volumes."""

    purpose: QueryPurpose
    request: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    volume: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1


async def dossier(ask: Ask) -> Answer:
    """Return the masked dossier that an overseer asked for themselves and the office released, after it is recorded who reads it.

    It is made again from the ledger, and is handed out where its bytes are those that were released.
    """
    if ask.who.role not in OVERSEERS:
        raise NotForThisRole
    ask.paced()
    asked = await ask.said(OpeningDossier)
    name = ask.path("record")
    stream = await stream_named(ask, "inquiry", name)
    entries = await ask.city.ledger.history(stream)
    state: Inquiry | None = ask.city.ledger.fold_entries(stream, entries)
    wanted = next((one for one in state.dossiers if one.no == asked.request), None) if state is not None else None
    if state is None or wanted is None or wanted.by != ask.who.actor.user or state.body is not BODY_OF[ask.who.role]:
        raise UnknownStream(name)
    given = [entry for entry in entries if isinstance(entry.event, MaskedDossierReleased)]
    released = next((entry for entry in given if entry.event.request == asked.request), None)
    if released is None:
        raise DossierNotReleased
    order = f"order:{wanted.order}"
    made = await _rendered(ask, order, released.event.digest)
    if asked.volume > len(made.volumes):
        raise UnknownEntry(f"volume: 1 … {len(made.volumes)}", field="volume")
    receipt = await ask.city.ledger.note_access(
        ["dossier"],
        stream=order,
        viewer=ask.who.actor,
        purpose=f"oversight.{asked.purpose}",
        command_id=f"oversight:{ask.city.ledger.fresh_id()}",
    )
    assert ask.house.masked is not None
    volumes = (await ask.house.masked(ask.city, order, made.upto)).volumes
    digests = [filing.digest_of(pdf) for pdf in volumes]
    if digests != [volume.digest for volume in made.volumes]:
        raise DossierNotAtHand(f"{released.event.digest}")
    headers = {
        "Content-Disposition": f'attachment; filename="dossier-{asked.request}-{asked.volume}.pdf"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Ledger-Position": str(receipt.first_position),
    }
    return Answer(volumes[asked.volume - 1], headers=headers, media_type="application/pdf")


async def _rendered(ask: Ask, order: str, digest: str) -> DossierRendered:
    """Return how a released file was made. Raises DossierNotAtHand."""
    for entry in await ask.city.ledger.history(order):
        event = entry.event
        if isinstance(event, DossierRendered) and event.edition == "masked" and event.digest == digest:
            return event
    raise DossierNotAtHand(digest)


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """报送. What was sent to overseers: of which period, by its digest and the position its figures are true at."""

    sent_at: datetime
    body: Body
    period_from: date
    period_until: date
    medium: Medium
    recipients: tuple[str, ...]
    content_hash: str
    cut_off: int
    read: str  # where the report is read
    position: int


async def submissions(ask: Ask) -> Answer:
    """Return what was sent to overseers, the earliest first: to their own body, or to both."""
    who = seeing(ask)
    limit, after = ask.limit(), (ask.cursor(tuple[int]) or (0,))[0]
    found = await ask.city.shown.beside("inquiry", [tag(OversightSubmissionSent)])
    rows = [_sent(entry, ask) for entry in found.rows if entry.position > after]
    rows = [row for row in rows if who.role not in OVERSEERS or row.body is BODY_OF[who.role]]
    rows.sort(key=lambda row: row.position)
    cursor = next_page(rows[limit - 1].position) if len(rows) > limit else ""
    await recorded(ask, "submissions", cut_off=found.position, rows=len(rows[:limit]))
    return listing(ask, "submissions", rows[:limit], found.position, cursor)


def _sent(entry: Entry, ask: Ask) -> Sent:
    event: OversightSubmissionSent = entry.event
    period = f"from={event.period_from}&to={event.period_until}"
    return Sent(
        sent_at=entry.at,
        body=event.body,
        period_from=event.period_from,
        period_until=event.period_until,
        medium=event.medium,
        recipients=event.recipients,
        content_hash=event.content_hash,
        cut_off=event.cut_off,
        read=f"/v1/{ask.city.name}/reports/submission?{period}",
        position=entry.position,
    )


# --- topics ------------------------------------------------------------------------------------------------------


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """热点. A category beside what was told of it for the quarter before, and how its replies came out."""

    category: str
    registered: int
    before: int | None  # None: not told by itself then
    answered: int | None
    outcomes: dict[str, int]  # none where they cannot be told


async def topics(ask: Ask) -> Answer:
    """Return what people asked about most in a quarter: of what is told of it and of the one before, nothing else."""
    seeing(ask)
    course = await ask.city.overseen.course()
    release = period_of(course, ask.query("period"))
    if not isinstance(release, Release):
        raise QueryUnfit("period: 2026Q3", field="period")
    year, number = int(release.period[:4]), int(release.period[5:])
    earlier = course.releases.get(str(Quarter(year, number - 1) if number > 1 else Quarter(year - 1, 4)))
    before = {} if earlier is None else {line.part: line for line in _categories(earlier, "registered")[1]}
    replies, answered = _categories(release, "answered")
    of = {line.part: line for line in answered}
    rows: list[Topic] = []
    for line in _categories(release, "registered")[1]:
        reply = of.get(line.part)
        told = () if reply is None else zip(replies.outcomes, reply.outcomes, strict=False)
        rows.append(
            Topic(
                category=line.part or "未注明",
                registered=line.count,
                before=before[line.part].count if line.part in before else None,
                answered=None if reply is None else reply.count,
                outcomes={share.title: count for share, count in told},
            )
        )
    await recorded(ask, "topics", cut_off=release.cut_off, rows=len(rows))
    body = {"period": release.period, "topics": rows, "office": _office(await ask.city.law(), "", ask)}
    return Answer({**body, "position": release.cut_off}, headers={"Ledger-Position": str(release.cut_off)})


def _categories(release: Release, code: str) -> tuple[Sheet, Sequence[Line]]:
    sheet = next(sheet for sheet in release.sheets if sheet.measure == code)
    return sheet, next((table.lines for table in sheet.tables if table.by == By.CATEGORY), ())
