"""登记簿. What an archivist keeps beside the files: the year's register, the use register, what is over and to be appraised.

Numbers are read from the journals that gave them, so that one that is missing shows; everything else is folded from the
case that bears the number now.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from archive.fonds import Fonds
from archive.items import PERIODS
from archive.packet import plain
from domain.journals import NUMBERS, NumberGiven
from domain.law import Law
from domain.ledger import Ledger
from domain.matters.batches import Batch, BatchKind, DisposalProposed, PacketHandedOver, state_of
from domain.matters.inquiries import MaskedDossierReleased, MaskedDossierRequested
from domain.order import fold
from domain.refusals import Refusal
from domain.state import WorkOrder
from domain.steps.disposing import Opinion, held_by
from domain.steps.filing import DossierRendered, UseCopyIssued, retention_ends
from domain.stored import tag
from domain.terms import SHANGHAI, Entry, Word
from domain.units import day_start
from projections.answers import Projections

PAGE: Final = 32
"""Cases that are read in one round trip."""

INSTITUTION: Final = "institution"
SERIES: Final = tuple((kind, period) for kind in ("file", "register") for period in ("Y", "D30", "D10"))
"""The series of a year's numbers, in the order in which its register has them: files, then lines."""

MOST_PRINTED: Final = 3000
"""The most lines that one print of a register has: a hundred pages."""


class TooLongToPrint(Refusal):
    """登记簿过长，请按保管期限或起止号分册打印，或取表格。The register is too long to print: print one series of it, or take it as a table."""


class FileState(Word):
    """档案状态. Where a numbered file is now."""

    FILED = "filed", "已归档"
    SEALED = "sealed", "已封存"
    MOVED = "moved", "已移交"
    DISPOSED = "disposed", "已销毁"
    RENUMBERED = "renumbered", "已改号"
    UNKNOWN = "unknown", "无对应档案"


def file_state(order: WorkOrder) -> FileState:
    """Return where a case's file is."""
    held = order.filing
    if held.disposed is not None:
        return FileState.DISPOSED
    if held.moved is not None:
        return FileState.MOVED
    return FileState.FILED if held.sealed is None else FileState.SEALED


# --- 年度登记簿 --------------------------------------------------------------------------------------------------


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """登记簿的一行. One number of a year, and the case that it was given to."""

    number: str  # 档号
    file_number: str
    kind: str  # file: 案卷; register: 登记簿行
    period: str
    no: int
    record: str
    order_number: str = ""
    title: str = ""
    responsible: str = ""
    registered: date | None = None
    closed: date | None = None
    filed: date | None = None
    closure: str = ""
    pages: int = 0
    ends: date | None = None  # the first day after its retention; None: permanent
    state: FileState = FileState.UNKNOWN
    now: str = ""  # the number it bears now, where this one was given up


class Register(msgspec.Struct, kw_only=True):
    """登记簿. Lines of a year, with the numbers between them that nothing stands under."""

    year: int
    position: int
    lines: list[Line] = []
    missing: list[str] = []
    more: tuple[int, int] | None = None  # the series and the last number read, where there are more


async def register(
    ledger: Ledger,
    fonds: Fonds,
    year: int,
    *,
    only: Sequence[tuple[str, str]] = SERIES,
    after: tuple[int, int] | None = None,
    limit: int = 1 << 40,
) -> Register:
    """Return a year's register, from behind where a page ended."""
    position, _ = await ledger.head()
    found = Register(year=year, position=position)
    at, last = after or (0, 0)
    for nth, (kind, period) in list(enumerate(SERIES))[at:]:
        behind = last if nth == at else 0
        if (kind, period) not in only:
            continue
        journal = f"{NUMBERS}{kind}/{period}-{year}"
        while room := limit - len(found.lines):
            rows = await ledger.rows("stored_of_stream", journal, behind, 1 << 62, min(PAGE, room))
            if not rows:
                break
            given = [(int(row[1]), msgspec.json.decode(row[3], type=NumberGiven).to) for row in rows]
            for no, _ in given:
                found.missing += [_number(year, kind, period, lost) for lost in range(behind + 1, no)]
                behind = no
            found.lines += await _lines(ledger, fonds, year, kind, period, given)
        if len(found.lines) >= limit:
            found.more = (nth, behind)
            break
    return found


def _number(year: int, kind: str, period: str, no: int) -> str:
    return f"{year}-{period}-{'L' if kind == 'register' else ''}{no:04d}"


async def _lines(
    ledger: Ledger, fonds: Fonds, year: int, kind: str, period: str, given: Sequence[tuple[int, str]]
) -> list[Line]:
    *histories, laws = await ledger.histories([*(stream for _, stream in given), INSTITUTION])
    law: Law = ledger.fold_entries(INSTITUTION, laws)
    return [
        _line(fonds, law, _number(year, kind, period, no), (kind, period, no), stream, entries)
        for (no, stream), entries in zip(given, histories, strict=True)
    ]


def _line(
    fonds: Fonds, law: Law, number: str, series: tuple[str, str, int], stream: str, entries: Sequence[Entry]
) -> Line:
    kind, period, no = series
    line = Line(number=fonds.reference(number), file_number=number, kind=kind, period=period, no=no, record=stream)
    order = fold(list(entries))
    if order is None:
        return line
    held = order.filing
    kept = held.file_number == number
    unit = (order.episode.lead if order.episode is not None else "") or law.hotline_unit
    ends = retention_ends(order)
    known = number in (held.file_number, *held.earlier_numbers)
    state = file_state(order) if kept else FileState.RENUMBERED if known else FileState.UNKNOWN
    return msgspec.structs.replace(
        line,
        order_number=order.number,
        title=order.demand.title,
        responsible=law.unit_name(unit, order.registered.at) or unit,
        registered=_day(order.registered.at),
        closed=_day(held.closed.at) if held.closed is not None else None,
        filed=_day(held.filed.at) if held.filed is not None else None,
        closure=held.kind.zh if held.kind is not None else "",
        pages=pages_of(entries),
        ends=ends.astimezone(SHANGHAI).date() if ends is not None else None,
        state=state,
        now="" if kept else held.file_number,
    )


def _day(at: datetime) -> date:
    return at.astimezone(SHANGHAI).date()


def pages_of(entries: Sequence[Entry]) -> int:
    """Return the pages of the newest record copy of a case, in all its volumes."""
    shown = [e.event for e in entries if isinstance(e.event, DossierRendered) and e.event.edition == "full"]
    return sum(one.pages for one in shown[-1].volumes) if shown else 0


# --- 利用登记簿 --------------------------------------------------------------------------------------------------


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """利用登记. One copy that was made for somebody."""

    number: str
    no: int
    at: datetime
    receiver: str
    purpose: str
    edition: str
    digests: tuple[str, ...]  # of what was made; one a volume, none where it was given up
    by: str
    approver: str
    order: UUID | None
    order_number: str
    file_number: str
    upto: int
    record: str


class Uses(msgspec.Struct, kw_only=True):
    """利用登记簿. The copies of a year."""

    year: int
    position: int
    rows: list[Use] = []
    missing: list[str] = []
    more: int | None = None


OF_OVERSIGHT: Final = "oversight"
"""The purpose of a copy that an overseer asked for: the words of it are sealed with the inquiry."""


async def uses(ledger: Ledger, year: int, *, after: int = 0, limit: int = 1 << 40, order: UUID | None = None) -> Uses:
    """Return the use register of a year, of one case where one is named, from behind a number."""
    position, _ = await ledger.head()
    found, behind = Uses(year=year, position=position), after
    journal = f"{NUMBERS}use_copy/{year}"
    while rows := await ledger.rows("stored_of_stream", journal, behind, 1 << 62, PAGE):
        given = [(int(row[1]), msgspec.json.decode(row[3], type=NumberGiven).to) for row in rows]
        histories = dict(zip((s for _, s in given), await ledger.histories([s for _, s in given]), strict=True))
        for no, stream in given:
            found.missing += [f"{year}-{lost:06d}" for lost in range(behind + 1, no)]
            behind = no
            use = await _use(ledger, no, f"use_copy/{year}", stream, histories[stream])
            if use is not None and order in (None, use.order):
                found.rows.append(use)
                if len(found.rows) >= limit:
                    found.more = no
                    return found
    return found


async def _use(ledger: Ledger, no: int, journal: str, stream: str, entries: Sequence[Entry]) -> Use | None:
    nth = next((n for n, one in enumerate(entries) if no in one.numbers.get(journal, ()) and _is_copy(one)), None)
    if nth is None:
        return None
    entry = entries[nth]
    event: Any = entry.event
    if isinstance(event, MaskedDossierReleased):
        requests = [e.event.order for e in entries if isinstance(e.event, MaskedDossierRequested)]
        wanted = requests[event.request - 1] if 0 < event.request <= len(requests) else None
        order = await ledger.fold(f"order:{wanted}") if wanted is not None else None
        said = (OF_OVERSIGHT, "masked", (event.digest,), entry.actor.user, 0)
    else:
        order = fold(list(entries))
        said = (event.purpose, event.edition, _made_after(entries, nth, event.upto), event.approver, event.upto)
    purpose, edition, digests, approver, upto = said
    return Use(
        number=entry.numbered("use_copy"),
        no=no,
        at=entry.at.astimezone(SHANGHAI),
        receiver=event.receiver,
        purpose=purpose,
        edition=edition,
        digests=digests,
        by=entry.actor.user,
        approver=approver,
        order=order.id if order is not None else None,
        order_number=order.number if order is not None else "",
        file_number=order.filing.file_number if order is not None else "",
        upto=upto,
        record=stream,
    )


def _is_copy(entry: Entry) -> bool:
    return isinstance(entry.event, UseCopyIssued | MaskedDossierReleased)


def _made_after(entries: Sequence[Entry], nth: int, upto: int) -> tuple[str, ...]:
    """Return the digests of what was made under a number: masked files as far as it goes, before the next number."""
    found: list[str] = []
    for entry in entries[nth + 1 :]:
        if isinstance(entry.event, UseCopyIssued):
            break
        if isinstance(entry.event, DossierRendered) and entry.event.edition == "masked" and entry.event.upto <= upto:
            found += [one.digest for one in entry.event.volumes]
    return tuple(found)


# --- 到期鉴定 ----------------------------------------------------------------------------------------------------


class Expired(msgspec.Struct, frozen=True, kw_only=True):
    """到期档案. A file whose retention is over, what was thought of it, and what keeps it still."""

    number: str
    file_number: str
    order_number: str
    order: UUID
    title: str
    closed: date
    period: str
    ends: date
    pages: int
    opinion: str  # since its retention ended; empty: it is still to be appraised
    held: tuple[str, ...]
    record: str


class Over(msgspec.Struct, kw_only=True):
    """到期清单. What is over by a day."""

    by: date
    position: int
    rows: list[Expired] = []
    more: UUID | None = None


async def expired(
    ledger: Ledger, shown: Projections, fonds: Fonds, by: date, *, after: UUID | None = None, limit: int = 1 << 40
) -> Over:
    """Return the files whose retention has ended by a day: none that is permanent, was kept longer, handed over or destroyed."""
    position, _ = await ledger.head()
    found = Over(by=by, position=position)
    until = day_start(by + timedelta(days=1))
    async for orders, law in _archived(ledger, shown, until, after):
        for order, entries in orders:
            row = _over(order, entries, law, fonds, until)
            if row is not None:
                found.rows.append(row)
                if len(found.rows) >= limit:
                    found.more = order.id
                    return found
    return found


async def _archived(
    ledger: Ledger, shown: Projections, until: datetime, after: UUID | None
) -> AsyncIterator[tuple[list[tuple[WorkOrder, list[Entry]]], Law]]:
    """Yield filed cases that were closed so long ago that their retention may be over, a lot at a time."""
    latest = datetime(until.astimezone(SHANGHAI).year - 10, 1, 1, tzinfo=SHANGHAI)  # ten years is the shortest period
    while True:
        page = await shown.archived_before(latest, limit=500, after=after)
        streams = [row.stream for row in page.rows]
        for at in range(0, len(streams), PAGE):
            *histories, laws = await ledger.histories([*streams[at : at + PAGE], INSTITUTION])
            law: Law = ledger.fold_entries(INSTITUTION, laws)
            yield [(order, entries) for entries in histories if (order := fold(entries)) is not None], law
        if not page.more:
            return
        after = page.rows[-1].id


def _over(order: WorkOrder, entries: Sequence[Entry], law: Law, fonds: Fonds, until: datetime) -> Expired | None:
    held, ends = order.filing, retention_ends(order)
    if ends is None or ends > until or held.disposed is not None or held.moved is not None:
        return None
    return expired_row(order, entries, law, fonds)


def expired_row(order: WorkOrder, entries: Sequence[Entry], law: Law, fonds: Fonds) -> Expired:
    """Return a case of limited retention as the list of what is over has it."""
    held, ends = order.filing, retention_ends(order)
    assert ends is not None  # whoever asks left out what is permanent
    appraised = held.appraised is not None and held.appraised.at >= ends
    return Expired(
        number=fonds.reference(held.file_number),
        file_number=held.file_number,
        order_number=order.number,
        order=order.id,
        title=order.demand.title,
        closed=_day((held.closed or order.registered).at),
        period=held.period,
        ends=_day(ends),
        pages=pages_of(entries),
        opinion=held.opinion if appraised else "",
        held=held_by(order, law),
        record=order.stream,
    )


# --- 批次 --------------------------------------------------------------------------------------------------------


class BatchRow(msgspec.Struct, frozen=True, kw_only=True):
    """档案批次. One hand-over or list, and how far it is."""

    id: UUID
    what: BatchKind
    state: str
    number: str
    packet: str
    receiver: str
    digest: str
    cases: int
    refused: int
    receipt: str
    agreed: tuple[str, ...]
    opened: datetime
    by: str


async def batches(ledger: Ledger, shown: Projections, *, limit: int = 1000) -> list[BatchRow]:
    """Return the batches of a city, the newest first."""
    opened = await shown.beside("batch", [tag(PacketHandedOver), tag(DisposalProposed)])
    streams = [entry.stream for entry in reversed(opened.rows)][:limit]
    found: list[BatchRow] = []
    for at in range(0, len(streams), PAGE):
        for stream, entries in zip(
            streams[at : at + PAGE], await ledger.histories(streams[at : at + PAGE]), strict=True
        ):
            batch = ledger.fold_entries(stream, entries)
            if isinstance(batch, Batch):
                found.append(batch_row(batch))
    return found


def batch_row(batch: Batch) -> BatchRow:
    """Return a batch as lists show it."""
    return BatchRow(
        id=UUID(batch.stream.partition(":")[2]),
        what=batch.what,
        state=state_of(batch),
        number=batch.number,
        packet=batch.packet,
        receiver=batch.receiver,
        digest=batch.digest,
        cases=batch.cases,
        refused=len(batch.refused),
        receipt=batch.receipt,
        agreed=tuple(f"{role}: {user}" for role, user in batch.agreed),
        opened=batch.opened.at.astimezone(SHANGHAI),
        by=batch.opened_by,
    )


# --- 表格 --------------------------------------------------------------------------------------------------------

_BOM: Final = "\ufeff"

HEADINGS: Final = {
    Line: {
        "number": "档号", "order_number": "文号", "title": "题名", "responsible": "责任者", "registered": "登记日期",
        "closed": "办结日期", "filed": "归档日期", "closure": "办结方式", "period": "保管期限", "pages": "页数",
        "ends": "保管期满", "state": "状态", "now": "现档号",
    },
    Use: {
        "number": "利用件号", "at": "登记时间", "receiver": "利用人", "purpose": "利用目的", "edition": "版本",
        "digests": "摘要", "by": "经办人", "approver": "批准人", "order_number": "工单编号", "file_number": "档号",
    },
    Expired: {
        "number": "档号", "order_number": "文号", "title": "题名", "closed": "办结日期", "period": "保管期限",
        "ends": "保管期满", "pages": "页数", "opinion": "鉴定意见", "held": "暂不得销毁",
    },
}  # fmt: skip
"""The columns of each table, under the words that archivists use."""

EDITIONS: Final = {"texts": "含文字", "masked": "脱敏"}
HELD: Final = {
    "unsealed": "未封存",
    "handed_over": "已移交",
    "follow_up": "承诺未兑现",
    "notice": "督办文书未办结",
    "instruction": "批示未报告",
    "appeal": "考核申诉未裁定",
    "correction": "更正未批准",
    "citizen_reply": "并单诉求人未告知",
    "proposal": "提请未决定",
    "clock": "时限未了",
    "state": "未在归档状态",
}


def held_words(what: str) -> str:
    """Return what keeps a file in the words of officials: `督办文书未办结 notice 2`."""
    return f"{HELD[what.partition(' ')[0]]} {what}"


def table(kind: type[msgspec.Struct], rows: Sequence[msgspec.Struct]) -> bytes:
    """Return rows as a table that spreadsheets open, with a byte order mark."""
    return b"".join(parts(kind, rows))


def parts(kind: type[msgspec.Struct], rows: Sequence[msgspec.Struct]) -> Iterator[bytes]:
    """Yield a table line by line."""
    headings = HEADINGS[kind]
    yield (_BOM + _written(list(headings.values()))).encode()
    for row in rows:
        yield _written([plain(cell(name, getattr(row, name))) for name in headings]).encode()


def cell(name: str, value: Any) -> str:
    """Return a field as a table or a print has it."""
    match name, value:
        case _, None:
            return ""
        case "pages", 0:  # no copy of it was made
            return ""
        case "period", _:
            return PERIODS.get(f"{value}", f"{value}")
        case "opinion", _:
            return Opinion(value).zh if value else ""
        case "edition", _:
            return EDITIONS.get(f"{value}", f"{value}")
        case "held", _:
            return "；".join(map(held_words, value))
        case _, tuple():
            return "；".join(f"{one}" for one in value)
        case _, datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case _, Word():
            return value.zh
        case _:
            return f"{value}"


def _written(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()


def cells_of(table: bytes) -> Iterator[list[str]]:
    """Yield the lines of a table that was written so."""
    yield from csv.reader(io.StringIO(table.decode("utf-8-sig"), newline=""))


_ONLY = re.compile(r"(L-)?(Y|D30|D10)")


def series_of(said: str) -> tuple[str, str] | None:
    """Return the series that `D30` (files) or `L-D10` (lines) means; None for what means none."""
    found = _ONLY.fullmatch(said)
    return None if found is None else ("register" if found[1] else "file", found[2])
