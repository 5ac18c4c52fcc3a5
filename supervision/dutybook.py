"""值班记录簿 (5.3, 8.13). Every call to the hotline by its running number, of a day or shift, also those that became no order.

The numbers have no gap: one that no call stands under is named at the foot. Who called, and what was said, stays sealed
unless it was opened for whoever prints the book.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime

import msgspec

from domain.law import Law
from domain.matters.calls import CallDisposition, CallLogged
from domain.order import fold
from domain.refusals import Erased
from domain.stored import tag
from domain.terms import SHANGHAI, Entry, Private
from domain.units import day_of, day_start
from projections.answers import Projections
from supervision.instruments import Shown, Texts
from supervision.register import Opener

MASK = "（密封）"
SERIES = "calls"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """一行. One call."""

    number: str
    at: datetime
    caller: str
    organisation: str
    phone: str
    content: str
    disposal: str
    disposition: CallDisposition
    order: str  # its number
    agent: str
    shift: str


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """值班记录簿 of a day, or of one shift of it, as the ledger was at a position."""

    city: str
    issuer: str
    day: date
    shift: str
    cut_off: int
    masked: bool
    lines: tuple[Line, ...]
    missing: tuple[str, ...]  # numbers among them that no call stands under

    @property
    def counts(self) -> tuple[tuple[str, int], ...]:
        """How many calls came to what, in the order of the words."""
        found = Counter(line.disposition for line in self.lines)
        return tuple((one.zh, found[one]) for one in CallDisposition)


async def book(shown: Projections, day: date, *, cut_off: int, shift: str = "", opener: Opener | None = None) -> Book:
    """Return the book of a day; without an opener what is sealed stays so. Raises CutOffAhead."""
    every = (await shown.beside("call", [tag(CallLogged)], cut_off)).rows
    wanted = [entry for entry in every if _is_of(entry.event, day, shift)]
    wanted.sort(key=lambda entry: (_number(entry), entry.position))
    orders = await _numbers_of_orders(shown, wanted, cut_off)
    law = await shown.law_at(cut_off)
    masked = Texts()
    lines = [_line(entry, orders, masked, {}) for entry in wanted]
    if opener is not None:
        lines = [await _opened(entry, orders, opener) for entry in wanted]
    return Book(
        city=law.city_name,
        issuer=_issuer(law, day),
        day=day,
        shift=shift,
        cut_off=cut_off,
        masked=opener is None,
        lines=tuple(lines),
        missing=tuple(_missing(wanted, every)),
    )


def _issuer(law: Law, day: date) -> str:
    return law.unit_name(law.hotline_unit, day_start(day))


def _is_of(event: CallLogged, day: date, shift: str) -> bool:
    return day_of(event.started_at) == day and shift in ("", event.shift)


def _number(entry: Entry) -> tuple[str, int]:
    series, _, number = entry.numbered(SERIES).rpartition("-")
    return series, int(number or 0)


def _missing(wanted: Sequence[Entry], every: Sequence[Entry]) -> list[str]:
    """Return the numbers between the first and the last of each series that no call at all has."""
    there = {_number(entry) for entry in every}
    found: list[str] = []
    for series in dict.fromkeys(_number(entry)[0] for entry in wanted):
        own = [_number(entry)[1] for entry in wanted if _number(entry)[0] == series]
        gaps = (n for n in range(min(own), max(own)) if (series, n) not in there)
        found += [f"{series}-{n:06d}" if series else f"{n:06d}" for n in gaps]
    return found


async def _numbers_of_orders(shown: Projections, calls: Sequence[Entry], cut_off: int) -> dict[str, str]:
    """Return the numbers of the orders that calls became, by stream."""
    streams = list(dict.fromkeys(f"order:{entry.event.order}" for entry in calls if entry.event.order is not None))
    first: dict[str, list[Entry]] = {}
    for entry in await shown.streams(streams, cut_off) if streams else ():
        first.setdefault(entry.stream, []).append(entry)
    folded = {stream: fold(entries) for stream, entries in first.items()}
    return {stream: case.number for stream, case in folded.items() if case is not None}


async def _opened(entry: Entry, orders: Mapping[str, str], opener: Opener) -> Line:
    texts = Texts()
    line = _line(entry, orders, texts, {})
    if not texts.shown:
        return line
    return _line(entry, orders, Texts(), await opener(list(texts.shown.values())))


def _line(entry: Entry, orders: Mapping[str, str], texts: Texts, opened: Mapping[str, str | Erased]) -> Line:
    event: CallLogged = entry.event

    def said(path: str, value: Private | None) -> str:
        text = texts(entry, path, value)
        found = texts.shown.get(f"{entry.version}:{path}")
        if not isinstance(found, Shown):
            return text
        told = opened.get(found.name, MASK)
        return "（已依法销毁）" if isinstance(told, Erased) else told

    caller = event.caller
    return Line(
        number=entry.numbered(SERIES),
        at=event.started_at.astimezone(SHANGHAI),
        caller=said("caller.name", caller.name) if caller is not None else "",
        organisation=said("caller.organisation", caller.organisation) if caller is not None else "",
        phone=said("caller.phone", caller.phone) if caller is not None else "",
        content=said("content", event.content),
        disposal=said("disposal", event.disposal),
        disposition=event.disposition,
        order=orders.get(f"order:{event.order}", "") if event.order is not None else "",
        agent=event.agent,
        shift=event.shift or "",
    )
