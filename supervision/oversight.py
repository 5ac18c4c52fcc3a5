"""监督公开 (DOMAIN 4.3, S2-7 … 9, 8.14). What overseers are shown of each closed quarter, one after another, fixed for ever.

A quarter is closed by the first published report of exactly its days (8.14), and shown as the ledger was at that report's
cut-off. What is shown of one quarter depends on the orders listed one by one in those before it, and on nothing later.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID

import msgspec

from domain.law import Law
from domain.matters.publications import ReportKind
from domain.policy import Options
from domain.refusals import NoPolicyInForce, Refusal
from domain.state import WorkOrder
from domain.terms import SHANGHAI, Confidentiality, Entry, RefusalReason
from projections.answers import Projections
from projections.case import Case
from projections.indicators import FactRow, derive
from supervision.disclosure import (
    LEAST,
    MEASURES,
    NOTICE,
    REPLY,
    Block,
    Counted,
    Happened,
    Quarter,
    Rest,
    Sheet,
    counted,
    quarter_of,
    worked,
    year_of,
)
from supervision.indicators import Closing, closings


class PeriodNotClosed(Refusal):
    """该期间尚未公布，监督统计在公布后提供；请向热线管理机构询问公布时间。

    This period is not closed: it is shown once a report of exactly its days was published. Ask the hotline's office when.
    """


class Label(NamedTuple):
    """What is said of an order beside its steps: as much as enough others of the same release share."""

    unit: str
    demand_type: str = ""
    district: str = ""
    category: str = ""
    place: str = ""


class Candidate(NamedTuple):
    """An order that was closed in the quarter, before it is known whether it may be listed."""

    order: UUID
    label: Label


class Listed(msgspec.Struct, frozen=True):
    """可查工单. One order that overseers may follow step by step; `no` is what it is called, and tells nothing."""

    no: int
    order: UUID
    label: Label
    counted: frozenset[str] = frozenset()  # measures, and measure:ending, that it is counted in


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """一期公开. All that is ever told of a quarter."""

    period: str
    cut_off: int
    closing: Closing
    sheets: tuple[Sheet, ...]
    orders: tuple[Listed, ...]


class Annual(msgspec.Struct, frozen=True, kw_only=True):
    """全年公开. All that is told of a year beside its quarters."""

    period: str
    cut_off: int  # of the quarter that was closed last
    sheets: tuple[Sheet, ...]


class Course:
    """历期公开. The releases of a city in the order in which their quarters were closed, and what they leave to protect."""

    def __init__(self) -> None:
        self.releases: dict[str, Release] = {}
        self.years: dict[str, Annual] = {}
        self._rests: dict[str, list[Rest]] = {}
        self._listed: set[UUID] = set()
        self._secret: set[UUID] = set()
        self._blocks: dict[UUID, list[Block]] = defaultdict(list)
        self._kept: Counter[Block] = Counter()  # of each number that is told: how much of it is of orders never listed

    def close(
        self,
        quarter: Quarter,
        closing: Closing,
        facts: Iterable[FactRow],
        candidates: Iterable[Candidate],
        least: int = LEAST,
        more: Iterable[Happened] = (),
    ) -> Release:
        """Add the release of a quarter, and of its year where it is the last of four."""
        found = counted(facts, quarter, more)
        made = [worked(measure, quarter, found[measure.code], self._listed, least) for measure in MEASURES]
        for one in made:
            self._protect(one.blocks)
            self._secret |= one.secret
        self._rests[str(quarter)] = [one.rest for one in made]
        release = Release(
            period=str(quarter),
            cut_off=closing.cut_off,
            closing=closing,
            sheets=tuple(one.sheet for one in made),
            orders=self._list(candidates, str(quarter), _counted_in(found), least),
        )
        self.releases[release.period] = release
        self._close_year(quarter.year, least)
        return release

    def _close_year(self, year: int, least: int) -> None:
        names = [f"{year}Q{n}" for n in (1, 2, 3, 4)]
        if not all(name in self.releases for name in names):
            return
        sheets: list[Sheet] = []
        for n in range(len(MEASURES)):
            quarters = [(self.releases[name].sheets[n], self._rests[name][n]) for name in names]
            sheet, blocks = year_of(str(year), quarters, self._listed, least)
            self._protect(blocks)
            sheets.append(sheet)
        cut_off = max(self.releases[name].cut_off for name in names)
        self.years[str(year)] = Annual(period=str(year), cut_off=cut_off, sheets=tuple(sheets))

    def _protect(self, blocks: Mapping[UUID, Sequence[Block]]) -> None:
        for order, some in blocks.items():
            self._blocks[order].extend(some)
            if order not in self._listed:
                self._kept.update(some)

    # --- orders one by one ---------------------------------------------------------------------------------------

    def _list(
        self, candidates: Iterable[Candidate], period: str, counted_in: Mapping[UUID, set[str]], least: int
    ) -> tuple[Listed, ...]:
        """Return the orders that may be followed one by one: of each number told, enough stays with orders that may not."""
        taken: dict[UUID, Label] = {}
        for one in sorted(candidates, key=lambda one: _shuffled(one.order, period)):
            if one.order in self._secret or one.order in self._listed:
                continue
            blocks = Counter(self._blocks[one.order])
            if all(self._kept[block] - number >= least for block, number in blocks.items()):
                self._kept.subtract(blocks)
                taken[one.order] = one.label
        labels = labelled(taken, least)
        for order in taken.keys() - labels.keys():
            self._kept.update(self._blocks[order])
        self._listed |= labels.keys()
        ordered = sorted(labels, key=lambda order: _shuffled(order, period))
        return tuple(
            Listed(no, order, labels[order], frozenset(counted_in[order])) for no, order in enumerate(ordered, 1)
        )


def _counted_in(found: Mapping[str, Sequence[Counted]]) -> Mapping[UUID, set[str]]:
    """Return what each order is counted in, of the measures whose facts its steps show."""
    told: dict[UUID, set[str]] = defaultdict(set)
    for measure in MEASURES:
        for one in found[measure.code] if measure.shown else ():
            told[one.order].add(measure.code)
            if measure.endings:
                told[one.order].add(f"{measure.code}:{measure.endings[one.ending].code}")
    return told


def _shuffled(order: UUID, period: str) -> bytes:
    return hashlib.sha256(f"{period}/{order}".encode()).digest()


def labelled(orders: Mapping[UUID, Label], least: int) -> dict[UUID, Label]:
    """Return what is said of each order: the most that enough of them have in common; of the others nothing at all."""
    left = dict(orders)
    told: dict[UUID, Label] = {}
    for length in (5, 4, 3, 2, 1):
        of: dict[Label, list[UUID]] = defaultdict(list)
        for order, label in left.items():
            of[Label(*label[:length])].append(order)
        for label, some in of.items():
            if len(some) >= least and all(label[1:length]):
                told |= dict.fromkeys(some, label)
        left = {order: label for order, label in left.items() if order not in told}
    return told


# --- from the ledger ---------------------------------------------------------------------------------------------


class Overseen:
    """One city's releases, made when somebody asks and kept as long as the process lives: they never change."""

    def __init__(self, shown: Projections) -> None:
        self._shown = shown
        self._course = Course()
        self._turn = asyncio.Lock()

    async def course(self, cut_off: int | None = None) -> Course:
        """Return the releases of every quarter that was closed by now, or by a position."""
        async with self._turn:
            for closing in sorted(await closings(self._shown, cut_off), key=lambda one: one.position):
                await self._close(closing)
        return self._course

    async def with_quarter(self, quarter: Quarter, cut_off: int, at: datetime) -> Release | None:
        """Return the release of a quarter as it was closed by a position, or else as it would be closed at it.

        None where it was closed since as of another position: the two would differ by what came between them.
        """
        for closing in await closings(self._shown):
            if quarter_of(closing.period_from, closing.period_until) == quarter and closing.position > cut_off:
                if closing.cut_off != cut_off:
                    return None
                return (await self.course(closing.position)).releases[str(quarter)]
        course = await self.course(cut_off)
        if str(quarter) not in course.releases:
            last = quarter.until - timedelta(days=1)
            days = (quarter.since.astimezone(SHANGHAI).date(), last.astimezone(SHANGHAI).date())
            await self._close(Closing(UUID(int=0), ReportKind.SUBMISSION, "", *days, cut_off, at, cut_off))
        return course.releases[str(quarter)]

    async def _close(self, closing: Closing) -> None:
        quarter = quarter_of(closing.period_from, closing.period_until)
        if quarter is None or str(quarter) in self._course.releases:
            return
        law = await self._shown.law_at(closing.cut_off)
        found = await self._shown.every_case(closing.cut_off, partial(_read, quarter))
        facts = [one for one in found if isinstance(one, FactRow)]
        more = [one for one in found if isinstance(one, Happened)]
        candidates = [one for one in found if isinstance(one, Candidate)]
        least = least_of(law, quarter.until)
        await asyncio.to_thread(self._course.close, quarter, closing, facts, candidates, least, more)

    async def history(self, listed: Listed, release: Release) -> Sequence[Entry]:
        """Return the entries of a listed order, up to where its release was made."""
        return await self._shown.streams([f"order:{listed.order}"], release.cut_off)


def _read(quarter: Quarter, case: Case) -> Iterator[FactRow | Happened | Candidate]:
    """Yield what counts of a case in a quarter, and the case itself where it was closed then and may be listed."""
    facts = [fact for fact in derive(case) if quarter.since <= fact.at < quarter.until]
    yield from facts
    order = case.order
    if order.assumed_policy or (order.filing.refusal == RefusalReason.STATE_SECRET and order.demand.content is None):
        return
    yield from _replies(order)
    yield from _notices(order)
    closed = [fact.unit for fact in facts if fact.kind == "closed"]
    if closed and may_be_listed(order):
        yield Candidate(order.id, label_of(order, closed[-1]))


def _replies(order: WorkOrder) -> Iterator[Happened]:
    """Yield the last reply of each round with its outcome."""
    for reply in {reply.round: reply for reply in order.replies}.values():
        if reply.outcome is not None:
            one = _happened(order, REPLY, str(reply.outcome), reply.submitted.at, reply.unit)
            yield one._replace(reason=reply.hindrance)


def _notices(order: WorkOrder) -> Iterator[Happened]:
    for notice in order.oversight.notices:
        one = _happened(order, NOTICE, str(notice.state), notice.issued.at, notice.unit)
        yield one._replace(notice=str(notice.kind))


def _happened(order: WorkOrder, kind: str, word: str, at: datetime, unit: str) -> Happened:
    demand = order.demand
    return Happened(kind, word, at, order.id, unit, order.attributes.demand_type, demand.district, demand.category)


def may_be_listed(order: WorkOrder) -> bool:
    """Tell whether an order may ever be shown by itself: none that somebody asked to keep confidential, none of an informant."""
    return order.confidentiality is Confidentiality.NORMAL and not order.demand.accused and not order.filing.refusal


def label_of(order: WorkOrder, unit: str) -> Label:
    """Return all that might be said of an order."""
    demand = order.demand
    return Label(unit, order.attributes.demand_type, demand.district, demand.category, demand.place)


def least_of(law: Law, until: datetime) -> int:
    """Return the smallest count that is told of a period that ended then: the pack's, never less than `LEAST`."""
    try:
        options = law.rules(law.policy_at(until)).options
    except NoPolicyInForce:
        options = Options()
    return max(LEAST, options.small_cell)
