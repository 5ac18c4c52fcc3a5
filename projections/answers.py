"""问答. What the tables are asked: worklists, counts, what is overdue; every answer with the position it is true at.

An answer is read in one snapshot with the checkpoint of its table. A unit bears what its predecessors were given:
succession is looked up in the law when a question is asked, and never written into rows.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

import msgspec
import psycopg
from psycopg import IsolationLevel

from domain.clocks import Clock, Status, clocks
from domain.law import Law
from domain.matters.affairs import HandOverShift
from domain.refusals import CutOffAhead, Refusal, Unavailable, UnknownOrder, UnknownPolicy, UnknownUnit
from domain.terms import Act, ClockName, Entry, OrderState, Origin, Role, UnitId, UserId
from domain.units import DutyContact
from projections import agenda as agenda_table
from projections import appeals as appeal_table
from projections import clocks as clock_table
from projections import duties as duty_table
from projections import figures, past
from projections import indicators as indicator_table
from projections import matters as matter_table
from projections import notices as notice_table
from projections import orders as order_table
from projections import search as search_table
from projections.appeals import AppealRow
from projections.case import ORDERS, Case, reach
from projections.clocks import ClockRow
from projections.duties import DutyRow
from projections.engine import (
    BATCH,
    Connection,
    Engine,
    ProjectionBlocked,
    ProjectionOutdated,
    pool,
    rows,
    session,
)
from projections.figures import Contested, Figure, Side
from projections.filling import Task
from projections.indicators import FactRow
from projections.matters import MatterRow
from projections.notices import NoticeRow
from projections.orders import OrderRow
from projections.reading import Poison, entry_of
from projections.volumes import Appealed, Volumes, volumes

PROJECTIONS = (
    order_table.PROJECTION,
    clock_table.PROJECTION,
    notice_table.PROJECTION,
    duty_table.PROJECTION,
    indicator_table.PROJECTION,
    search_table.PROJECTION,
    agenda_table.PROJECTION,
    appeal_table.PROJECTION,
    matter_table.PROJECTION,
)

ASKING = {
    "timezone": "UTC",
    "jit": "off",
    "plan_cache_mode": "force_custom_plan",
    "statement_timeout": "30s",
    "work_mem": "64MB",  # half a million facts of a month are counted in memory, not sorted on disk first
}
"""What a session that asks sets for itself."""

SHORTEST_PREFIX = 6
"""Hexadecimal digits of an id that are taken for its beginning."""

END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)
"""What sorts after every due instant: a duty that no rule text gives a time."""

NEWEST = 5000
"""Orders among which a page of a search is looked for before the index of pairs is asked."""
FACTS_KEPT = 200_000
"""Facts of past positions that are kept at hand: they never change, and to read them again takes all cases."""
FARTHER = 4
"""Times as many among which it is looked for where the first had some: to gather all that have it would take longer."""

R = TypeVar("R")
T = TypeVar("T")


class NumberAmbiguous(Refusal):
    """有多件工单符合，请写全。Several orders fit: write more of the number."""


class EmergencyForgotten(Refusal):
    """交接班遗漏未结紧急诉求，请全部列入。The hand-over leaves out an emergency that is open: name every one of them."""

    basis = "DOMAIN 8.13"


class Listing(msgspec.Struct, Generic[R], frozen=True):
    """Rows, the position they are true at, and whether there are more after them."""

    position: int
    rows: tuple[R, ...]
    more: bool = False


class Returned(NamedTuple):
    """An order that units gave back again and again."""

    order_id: UUID
    times: int
    last: datetime


class Crowded(NamedTuple):
    """A unit and a category that many orders have come together in."""

    unit: UnitId
    category: str
    orders: int
    last: datetime


class Rated(NamedTuple):
    """How a unit was evaluated."""

    unit: UnitId
    evaluated: int
    satisfied: int
    last: datetime


class UnitOrders(msgspec.Struct, frozen=True):
    """How many orders a unit leads or led last; empty `unit`: the hotline itself."""

    unit: str
    orders: int
    open: int
    overdue: int


class UnitClocks(msgspec.Struct, frozen=True):
    """A unit's clocks as seen at an instant, by the words of `domain.clocks.Status`; windows are not counted."""

    unit: str
    running: int = 0
    pending_extension: int = 0
    overdue: int = 0
    on_time: int = 0
    late: int = 0
    cancelled: int = 0
    cancelled_late: int = 0
    lapsed: int = 0
    measured: int = 0


class UnitLoad(msgspec.Struct, frozen=True):
    """单位概况. A unit as the registry has it, who bears its duties now, and what lies on its desk."""

    unit: str
    name: str
    level: str  # empty: not in the registry, an old system's name
    kind: str
    parent: str
    heir: str  # who bears its duties: itself, unless it was merged into another
    active: bool
    orders: int
    open: int
    overdue: int
    duties: int
    late_duties: int
    due_soon: int  # duties due within a day, not yet late
    contact: DutyContact | None = None  # where it is told and rung up


class ClockState(ClockRow, frozen=True):
    """时钟. A clock, and how it stands at the instant of the question: a word of `domain.clocks.Status`."""

    status: str


class DueOrder(msgspec.Struct, frozen=True):
    """An order that a sweep has to look at, and since when."""

    at: datetime
    order_id: UUID


class DueChange(msgspec.Struct, frozen=True):
    """A clock that runs and falls due otherwise under another law."""

    order_id: UUID
    number: str
    clock: str
    key: str
    unit: str
    old_due: datetime | None
    new_due: datetime | None
    provisional: bool  # the new one


class _Snapshot(NamedTuple):
    """A table's rows at one moment."""

    connection: Connection
    sql: Mapping[str, bytes]
    position: int

    async def ask(self, name: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of a named statement."""
        return await rows(self.connection, self.sql[name], *parameters)


class Projections(Engine):
    """The tables of one city: followed, made again, and asked."""

    def __init__(self, dsn: str, city: str, *, page: int = 2000, sessions: int = 4) -> None:
        super().__init__(dsn, city, PROJECTIONS, page=page)
        self._asking = pool(dsn, ASKING, sessions)
        self._past_facts: dict[tuple[int, datetime, datetime], Sequence[FactRow]] = {}

    async def open(self) -> None:
        """Open the sessions; make the tables that are missing. Raises NotInitialised where the city has no ledger."""
        await self._asking.open()
        await super().open()

    async def close(self) -> None:
        """Close every session."""
        await self._asking.close()
        await super().close()

    @contextlib.asynccontextmanager
    async def _snapshot(self, name: str) -> AsyncIterator[_Snapshot]:
        """Lend the active table of a projection. Raises ProjectionOutdated for one of another release."""
        async with session(self._asking) as connection:
            await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
            await connection.set_read_only(True)
            async with connection.transaction():
                version, form, position = (await rows(connection, self._sql["active"], name))[0]
                if form != self.projections[name].form:
                    raise ProjectionOutdated(name)
                yield _Snapshot(connection, self.sql_of(name, version), position)

    async def _ask(self, projection: str, name: str, *parameters: object) -> tuple[int, list[tuple[Any, ...]]]:
        """Return a table's position and the rows of one statement about it."""
        position, (found,) = await self._ask_together(projection, (name,), *parameters)
        return position, found

    async def _ask_together(
        self, projection: str, names: Sequence[str], *parameters: object
    ) -> tuple[int, list[list[tuple[Any, ...]]]]:
        """Return a table's position and the rows of several statements with the same parameters, of one moment."""
        for last in (False, True):
            try:
                async with self._snapshot(projection) as snapshot:
                    return snapshot.position, [await snapshot.ask(name, *parameters) for name in names]
            except psycopg.errors.UndefinedTable:  # switched away from and dropped after this snapshot began
                if last:
                    raise
        raise AssertionError

    # --- orders --------------------------------------------------------------------------------------------------

    async def list_orders(
        self,
        *,
        states: Iterable[OrderState] | None = None,
        unit: UnitId | None = None,
        overdue: datetime | None = None,
        limit: int = 50,
        after: UUID | None = None,
    ) -> Listing[OrderRow]:
        """Return orders in the order of their ids, which is that of registration.

        `unit` leads or led last (empty: the hotline itself); `overdue` is the instant at which some duty is late;
        `after` is the last id of the page before.
        """
        wanted = None if states is None else sorted({str(state) for state in states})
        units = await self._heirs_of(unit, overdue)
        every = wanted or [str(state) for state in OrderState]
        asked: tuple[Any, ...] = ("list", wanted, overdue, after)
        if units is not None and overdue is not None:
            asked = ("overdue_of_units", units, wanted, overdue, after)
        elif units is not None:
            asked = ("list_of_units", units, every, after)
        elif wanted is not None and overdue is None:
            asked = ("list_of_states", wanted, after)
        position, found = await self._ask("orders", *asked, limit + 1)
        return _listing(OrderRow, position, found, limit)

    async def archived_before(
        self, instant: datetime, *, limit: int = 50, after: UUID | None = None
    ) -> Listing[OrderRow]:
        """Return filed orders that were closed before an instant, in the order of their ids."""
        position, found = await self._ask("orders", "archived_before", instant, after, limit + 1)
        return _listing(OrderRow, position, found, limit)

    async def orders_of_numbers(self, numbers: Iterable[str]) -> Listing[OrderRow]:
        """Return the orders that have one of these printed numbers, by number."""
        position, found = await self._ask("orders", "of_numbers", list(numbers))
        return _listing(OrderRow, position, found)

    async def open_emergencies(self) -> Listing[OrderRow]:
        """Return the emergencies that are not closed, in the order of registration: what no shift may forget."""
        position, found = await self._ask("orders", "open_emergencies")
        return _listing(OrderRow, position, found)

    async def refuse_forgetting(self, act: Act, origin: Origin) -> None:
        """Refuse a hand-over of a shift that leaves out an open emergency. Raises EmergencyForgotten.

        Asked at every door that takes a command given now. What is entered afterwards or brought over from another
        system is exempt: which emergencies were open then, the tables of now do not say.
        """
        if not isinstance(act, HandOverShift) or origin is not Origin.LIVE:
            return
        told = set(act.open_emergencies)
        left = [row.number or str(row.id) for row in (await self.open_emergencies()).rows if row.id not in told]
        if left:
            raise EmergencyForgotten(", ".join(left))

    async def orders_by_due(
        self, *, unit: UnitId | None = None, limit: int = 50, after: tuple[datetime, UUID] | None = None
    ) -> Listing[OrderRow]:
        """Return orders with a running duty, the next due first; `unit` has that duty, `after` is (due, id)."""
        units = await self._heirs_of(unit, None)
        asked: tuple[Any, ...] = ("list_by_due",) if units is None else ("list_by_due_of_units", units)
        position, found = await self._ask("orders", *asked, *(after or (None, None)), limit + 1)
        return _listing(OrderRow, position, found, limit)

    async def find_orders(self, text: str, limit: int = 10) -> Listing[OrderRow]:
        """Return the orders of a printed number, of an old system's number, or of an id or its beginning."""
        text = text.strip().removeprefix(f"{ORDERS}:")
        position, found = await self._ask("orders", "by_number", text, limit + 1)
        if not found and (span := _id_span(text)) is not None:
            position, found = await self._ask("orders", "by_id", *span, limit + 1)
        return _listing(OrderRow, position, found, limit)

    async def order_by_number(self, text: str) -> OrderRow:
        """Return the one order that a number or the beginning of an id means. Raises UnknownOrder, NumberAmbiguous."""
        found = await self.find_orders(text)
        if not found.rows:
            raise UnknownOrder(text)
        first, *others = found.rows
        if others:
            numbers = ", ".join(row.number or str(row.id) for row in found.rows)
            raise NumberAmbiguous(numbers + (" …" if found.more else ""))
        return first

    async def counts_by_state(self) -> tuple[int, dict[str, int]]:
        """Return the position, and how many orders are in each state, in the order of the flow."""
        position, found = await self._ask("orders", "count_by_state")
        counts = dict(found)
        return position, {str(state): counts[state] for state in OrderState if state in counts}

    async def counts_by_unit(self, now: datetime) -> Listing[UnitOrders]:
        """Return how many orders each unit leads or led last, those of its predecessors with them."""
        position, found = await self._ask("orders", "count_by_unit", now)
        totals: dict[str, Counter[str]] = {}
        law = await self.law_at(position)
        for unit, *numbers in found:
            counts = dict(zip(("orders", "open", "overdue"), numbers, strict=True))
            totals.setdefault(law.successor(unit, now), Counter()).update(counts)
        return Listing(
            position, tuple(UnitOrders(unit, *(of[name] for name in _OF_ORDERS)) for unit, of in _sorted(totals))
        )

    async def search(self, text: str, *, limit: int = 50, before: UUID | None = None) -> Listing[OrderRow]:
        """Return orders whose title, category, place or number has every word of a text, the newest first.

        `before` is the last id of the page before. A text without any word finds nothing; of single characters alone
        no index knows, so that rare ones take a look at every order.
        """
        sought, pairs = search_table.words(text), search_table.pairs_of(text)
        if not sought:
            return Listing((await self._ask("search", "nothing"))[0], ())
        likes = [f"%{word}%" for word in sought]
        asked = (pairs, likes, before, limit + 1)
        position, found = await self._ask("search", "find_among_newest", *asked, NEWEST)
        if limit / FARTHER < len(found) <= limit:  # so many as these are found sooner a little farther back
            position, found = await self._ask("search", "find_among_newest", *asked, NEWEST * FARTHER)
        if len(found) <= limit:
            position, found = await self._ask("search", "find", *asked)
        ids = [order_id for (order_id,) in found[:limit]]
        told, rows_found = await self._ask("orders", "by_ids", ids)
        by_id = {row[0]: row for row in rows_found}
        return Listing(min(position, told), tuple(OrderRow(*by_id[i]) for i in ids if i in by_id), len(found) > limit)

    # --- past and otherwise --------------------------------------------------------------------------------------

    async def orders_as_of(
        self,
        *,
        as_at: datetime | None = None,
        recorded_by: datetime | None = None,
        states: Iterable[OrderState] | None = None,
        unit: UnitId | None = None,
        overdue: bool = False,
        limit: int = 50,
        progress: past.Progress | None = None,
    ) -> Listing[OrderRow]:
        """Return orders as they were, in the order of their ids: by what had happened, or by what was recorded, then.

        Read from the events, every case of them: seconds for each hundred thousand cases. `overdue` asks for that
        instant. Dues are counted by today's law, as `show --as-of` does.
        """
        wanted = None if states is None else {str(state) for state in states}
        then = as_at or recorded_by
        position, law, task = await self.of_all_cases()
        if unit:
            await self._refuse_unknown(unit, law)

        def kept() -> list[OrderRow]:
            read = past.histories(task, self._codec, progress)
            rows = past.orders_as_of(read, law, as_at=as_at, recorded_by=recorded_by)
            found = (
                row
                for row in rows
                if (wanted is None or row.state in wanted)
                and (unit is None or unit in (row.unit, law.successor(row.unit, then or row.registered_at)))
                and (not overdue or (row.overdue_from is not None and then is not None and row.overdue_from < then))
            )
            return list(islice(found, limit + 1))

        found = await at_length(kept)
        return Listing(position, tuple(found[:limit]), len(found) > limit)

    async def what_if(
        self,
        candidate: past.Candidate,
        now: datetime,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        progress: past.Progress | None = None,
    ) -> past.Tried:
        """Return how the duties of cases registered in [since, until) would have fared under a candidate; nothing is written.

        Who is late is judged at `now`, under both laws.
        """
        position, law, task = await self.of_all_cases()

        def made() -> tuple[int, tuple[past.Outcome, ...]]:
            read = past.histories(task, self._codec, progress)
            return past.tried(read, law, candidate, now, since=since, until=until)

        cases, outcomes = await at_length(made)
        return past.Tried(position, cases, outcomes)

    async def of_all_cases(self, position: int | None = None) -> tuple[int, Law, Task]:
        """Return the ledger's head, and the law and what to read up to it or up to a position before it."""
        async with session(self._work) as connection:
            head, _ = await self._head(connection)
        upto = head if position is None else min(position, head)
        statements = {name: text.decode() for name, text in self._sql.items()}
        return head, await self.law_at(upto), Task(self._dsn, statements, {}, upto)

    # --- duties --------------------------------------------------------------------------------------------------

    async def duties(
        self,
        unit: UnitId,
        *,
        roles: Iterable[Role] | None = None,
        user: UserId | None = None,
        limit: int = 50,
        after: DutyRow | None = None,
    ) -> Listing[DutyRow]:
        """Return what a unit has to do next (empty: the hotline centre), the next due first, those without due last.

        `roles` keeps what they may do, `user` leaves out what takes another person; `after` ended the page before.
        """
        units = await self._heirs_of(unit, None)
        wanted = None if roles is None else [str(role) for role in roles]
        last = (None, None, None, None)
        if after is not None:
            last = (after.due or END_OF_TIME, after.since, after.order_id, after.no)
        position, found = await self._ask("duties", "list", units, wanted, user, *last, limit + 1)
        return _listing(DutyRow, position, found, limit)

    async def duties_of(self, order: UUID) -> Listing[DutyRow]:
        """Return what has to be done about an order, the next due first."""
        position, found = await self._ask("duties", "of_order", order)
        return _listing(DutyRow, position, found)

    async def late_duties(self, command: str, now: datetime, limit: int = 1000) -> Listing[DutyRow]:
        """Return duties that one command does and whose written day is over, what stands longest first."""
        position, found = await self._ask("duties", "late", command, now, limit + 1)
        return _listing(DutyRow, position, found, limit)

    # --- indicators ----------------------------------------------------------------------------------------------

    async def indicators(
        self,
        since: datetime,
        until: datetime,
        *,
        by: str = "",
        unit: UnitId | None = None,
        demand_type: str | None = None,
        district: str | None = None,
        assumed: bool = True,
        cut_off: int | None = None,
        excluded: bool = True,
        progress: past.Progress | None = None,
    ) -> Listing[Figure]:
        """Return every indicator of a period [since, until), of all cases or by `unit`, `type` or `area`.

        With a `cut_off`, as the ledger was at that position: read from the events up to it, so the same for ever.
        `assumed` tells whether orders run under an assumed pack count too; `excluded`, of a past position, whether what
        appeals and judgements took out stays out.
        """
        units = await self._heirs_of(unit, until, cut_off)
        asked = figures.Asked(since, until, by, units, demand_type, district, assumed)
        if cut_off is None:
            position, found = await self._ask_together("indicators", ("tally", "redone", "medians"), *asked)
            tallies = figures.tallied(*found)
        else:
            position = cut_off
            facts = await self._facts_at(cut_off, since, until, progress)
            if not excluded:
                facts = [msgspec.structs.replace(fact, excluded="") if fact.excluded else fact for fact in facts]
            tallies = figures.counted(facts, asked)
        if not by:
            tallies.setdefault("", figures.Tally())  # a whole without facts has figures without value
        return Listing(position, figures.figures(sorted(tallies.items())))

    async def volumes(
        self, since: datetime, until: datetime, *, cut_off: int, assumed: bool, progress: past.Progress | None = None
    ) -> Volumes:
        """Return what happened in a period, as the ledger was at a position. Raises CutOffAhead."""
        head, law, task = await self.of_all_cases(cut_off)
        if cut_off > head:
            raise CutOffAhead(f"cut_off: {cut_off}")

        def read() -> Volumes:
            found = past.histories(task, self._codec, progress)
            return volumes(found, law, since, until, position=cut_off, assumed=assumed)

        return await at_length(read)

    async def behind(
        self,
        code: str,
        side: Side,
        since: datetime,
        until: datetime,
        *,
        unit: UnitId | None = None,
        demand_type: str | None = None,
        district: str | None = None,
        assumed: bool = True,
        cut_off: int | None = None,
        limit: int = 50,
        after: tuple[datetime, UUID, int] | None = None,
    ) -> Listing[FactRow]:
        """Return the facts that a side of a figure counts, the earliest first; `after` ended the page before.

        Raises KeyError for a code that is none of `figures.INDICATORS`.
        """
        indicator = figures.BY_CODE[code]
        units = await self._heirs_of(unit, until, cut_off)
        if cut_off is not None:
            asked = figures.Asked(since, until, "", units, demand_type, district, assumed)
            every = figures.behind(await self._facts_at(cut_off, since, until, None), asked, indicator, side)
            rest = [f for f in every if after is None or (f.at, f.order_id, f.no) > after]
            return Listing(cut_off, tuple(rest[:limit]), len(rest) > limit)
        wanted, unwanted = figures.terms(indicator, side)
        said = [
            list(column)
            for terms in (wanted, unwanted)
            for column in (zip(*terms, strict=True) if terms else ((),) * 3)
        ]
        once = (indicator.once, side is Side.MISSED)
        position, found = await self._ask(
            "indicators",
            "behind",
            *(since, until, units, demand_type, district, assumed, not indicator.counts_exempt),
            *said,
            *(figures.family(code), figures.is_long(indicator), *once),
            *(after or (None, None, None)),
            limit + 1,
        )
        return _listing(FactRow, position, found, limit)

    async def _facts_at(
        self, position: int, since: datetime, until: datetime, progress: past.Progress | None
    ) -> Sequence[FactRow]:
        """Return the facts of a period as the ledger was at a position; those asked for last are at hand."""
        key = (position, since, until)
        held = self._past_facts.pop(key, None)
        if held is None:
            head, law, task = await self.of_all_cases(position)
            if position > head:
                raise CutOffAhead(f"cut_off: {position}")

            def read() -> list[FactRow]:
                read = past.histories(task, self._codec, progress, indicator_table.PROJECTION.kinds)
                return past.facts(read, law, since, until)

            held = await at_length(read)
        if len(held) <= FACTS_KEPT:
            self._past_facts[key] = held
        while sum(map(len, self._past_facts.values())) > FACTS_KEPT:
            del self._past_facts[next(iter(self._past_facts))]
        return held

    async def every_case(self, cut_off: int, read: Callable[[Case], Iterable[T]]) -> list[T]:
        """Return what is read off every case, as the ledger was at a position. Raises CutOffAhead."""
        head, law, task = await self.of_all_cases(cut_off)
        if cut_off > head:
            raise CutOffAhead(f"cut_off: {cut_off}")
        return await at_length(lambda: list(past.of_cases(past.histories(task, self._codec), law, read)))

    async def left_out(self, since: datetime, until: datetime, limit: int = 1000) -> Listing[FactRow]:
        """Return what upheld appeals took out of a period's figures, and breaches inside an outage (8.11)."""
        position, found = await self._ask("indicators", "left_out", since, until, limit + 1)
        return _listing(FactRow, position, found, limit)

    async def beside(self, stream: str, topics: Sequence[str], cut_off: int | None = None) -> Listing[Entry]:
        """Return the entries of some topics in every stream of a kind that is no case, by position, up to one."""
        async with session(self._work) as connection:
            head, _ = await self._head(connection)
            position = head if cut_off is None else cut_off
            if position > head:
                raise CutOffAhead(f"cut_off: {position}")
            found = await rows(connection, self._sql["read_topics"], f"{stream}:", f"{stream};", list(topics), position)
        return Listing(position, tuple(entry_of(self._codec, row) for row in found))

    async def streams(self, names: Sequence[str], position: int) -> Sequence[Entry]:
        """Return every entry of some streams up to a position, stream by stream."""
        async with session(self._work) as connection:
            found = await rows(connection, self._sql["read_cases"], list(names), position)
        return [entry_of(self._codec, row) for row in found]

    # --- clocks --------------------------------------------------------------------------------------------------

    async def clocks_of(self, order: UUID) -> Listing[ClockRow]:
        """Return the clocks of an order, in the order of its life."""
        position, found = await self._ask("clocks", "of_order", order)
        return _listing(ClockRow, position, found)

    async def clock_counts_by_unit(self, now: datetime) -> Listing[UnitClocks]:
        """Return how each unit's clocks stand at an instant, those of its predecessors with them."""
        position, found = await self._ask("clocks", "count_by_unit", now)
        law = await self.law_at(position)
        totals: dict[str, Counter[str]] = {}
        for unit, status, count in found:
            totals.setdefault(law.successor(unit, now), Counter())[Status(status).value] += count
        return Listing(position, tuple(UnitClocks(unit, **of) for unit, of in _sorted(totals)))

    async def overdue(
        self,
        now: datetime,
        *,
        unit: UnitId | None = None,
        limit: int = 50,
        after: ClockRow | None = None,
    ) -> Listing[ClockRow]:
        """Return the running clocks that are late at an instant, the longest first; `after` ended the page before."""
        units = await self._heirs_of(unit, now)
        last = (None, None, None) if after is None else (after.late_after, after.order_id, after.no)
        asked: tuple[Any, ...] = ("overdue",) if units is None else ("overdue_of_units", units)
        position, found = await self._ask("clocks", *asked, now, *last, limit + 1)
        return _listing(ClockRow, position, found, limit)

    async def due_changes(self, before: Law, after: Law) -> Listing[DueChange]:
        """Return the running clocks that fall due otherwise under a second law: what a revised calendar moves.

        Cases are taken as they are where the table of clocks stands. Nothing is written.
        """
        async with session(self._work) as connection:
            active = next(v for v in await self._versions(connection) if v.name == "clocks" and v.active)
            streams = await self._reached(connection, [active], reach(before, after), active.position)
            changes: list[DueChange] = []
            ordered = sorted(streams)
            for start in range(0, len(ordered), BATCH):
                some = ordered[start : start + BATCH]
                for case in await self._cases(connection, some, active.position, after):
                    with contextlib.suppress(UnknownPolicy):  # what its pack was not yet published for fell due nowhere
                        old = {(clock.name, clock.key): clock for clock in clocks(case.order, before)}
                        changes += _changes(case.order.id, case.order.number, old, case.clocks)
        return Listing(active.position, tuple(changes))

    async def due_changes_at(self, first: int, last: int | None = None) -> Listing[DueChange]:
        """Return what the institution's entries at these positions moved, among the clocks that run now."""
        return await self.due_changes(await self.law_at(first - 1), await self.law_at(last or first))

    async def list_clocks(
        self,
        now: datetime,
        *,
        unit: UnitId | None = None,
        names: Iterable[ClockName] | None = None,
        states: Iterable[Status] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        breached: bool = False,
        limit: int = 50,
        after: tuple[datetime, UUID, int] | None = None,
    ) -> Listing[ClockState]:
        """Return clocks with a due instant in [since, until), the earliest due first, each as it stands at an instant.

        `breached`: only duties that are or were late. A due instant that waits for an extension sorts by the end of that
        wait, and so does `after`: (instant, order, no) of the last one of the page before.
        """
        units = await self._heirs_of(unit, now)
        wanted = (None if given is None else [str(one) for one in given] for given in (names, states))
        last = after or (None, None, None)
        asked = (now, units, *wanted, since, until, breached, *last, limit + 1)
        position, found = await self._ask("clocks", "list", *asked)
        return _listing(ClockState, position, found, limit)

    # --- notices -------------------------------------------------------------------------------------------------

    async def list_notices(
        self,
        *,
        unit: UnitId | None = None,
        states: Iterable[str] | None = None,
        only_open: bool = False,
        limit: int = 50,
        after: tuple[UUID, int] | None = None,
    ) -> Listing[NoticeRow]:
        """Return notices in the order of the orders they are about; `after` is the last (order_id, no) before."""
        units = await self._heirs_of(unit, None)
        wanted = None if states is None else [str(state) for state in states]
        last = after or (None, None)
        position, found = await self._ask("notices", "list", units, wanted, only_open, *last, limit + 1)
        return _listing(NoticeRow, position, found, limit)

    async def notices_of(self, order: UUID) -> Listing[NoticeRow]:
        """Return the notices of an order."""
        position, found = await self._ask("notices", "of_order", order)
        return _listing(NoticeRow, position, found)

    # --- appeals, matters ----------------------------------------------------------------------------------------

    async def list_appeals(
        self,
        *,
        unit: UnitId | None = None,
        states: Iterable[str] | None = None,
        indicators: Iterable[str] | None = None,
        order: UUID | None = None,
        limit: int = 50,
        after: tuple[datetime, UUID, int] | None = None,
    ) -> Listing[AppealRow]:
        """Return appeals in the order they were filed; `states`: open, upheld, rejected; `after` ended the page before."""
        units = await self._heirs_of(unit, None)
        wanted = (None if given is None else [str(one) for one in given] for given in (states, indicators))
        last = after or (None, None, None)
        position, found = await self._ask("appeals", "list", units, *wanted, order, *last, limit + 1)
        return _listing(AppealRow, position, found, limit)

    async def contested(
        self, appeals: Sequence[AppealRow | Appealed], *, assumed: bool = True, cut_off: int | None = None
    ) -> tuple[Contested, ...]:
        """Return, of each appeal that is not rejected, the month's figure with its order in it and without it.

        With a `cut_off`, as the ledger was at that position.
        """
        found: list[Contested] = []
        for row in appeals:
            if row.upheld is False:
                continue
            since, until = figures.month_before(row.published_at)
            units: Sequence[str] = [row.unit]
            with contextlib.suppress(UnknownUnit):  # brought over with a code that nothing else knows
                units = await self._heirs_of(row.unit, until, cut_off) or units
            if cut_off is None:
                _, told = await self._ask("indicators", "of_units", since, until, units)
                facts: Iterable[FactRow] = (FactRow(*fact) for fact in told)
            else:
                facts = await self._facts_at(cut_off, since, until, None)
            asked = figures.Asked(since, until, units=units, assumed=assumed)
            both = figures.contested(facts, asked, row.order_id, row.indicator)
            if both is not None:
                with_it, out = both
                sides = (with_it.above, with_it.below, out.above, out.below)
                found.append(Contested(row.order_id, row.no, with_it.code, since, until, *sides))
        return tuple(found)

    async def list_matters(
        self,
        *,
        unit: UnitId | None = None,
        kinds: Iterable[str] | None = None,
        only_open: bool = False,
        told: bool = False,
        referred: bool = False,
        late_at: datetime | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        after: tuple[datetime, UUID] | None = None,
    ) -> Listing[MatterRow]:
        """Return matters, the newest first: those that are about a unit, or that it owes something about.

        `told`: only what units are told of, which drafts and referrals are not. `referred`: only what was referred.
        `late_at`: those about which somebody is late at that instant. Opened in [since, until); `after` is (opened_at, id).
        """
        units = await self._heirs_of(unit, None)
        wanted = None if kinds is None else [str(kind) for kind in kinds]
        late = (late_at is not None, late_at)
        last = after or (None, None)
        position, found = await self._ask(
            "matters", "list", units, wanted, only_open, *late, since, until, *last, limit + 1, told, referred
        )
        return _listing(MatterRow, position, found, limit)

    # --- what a sweep finds --------------------------------------------------------------------------------------

    async def due_for_sweep(
        self,
        now: datetime,
        *,
        left: bool = False,
        limit: int = 500,
        after: tuple[datetime, UUID] | None = None,
    ) -> Listing[DueOrder]:
        """Return orders about which something comes about by itself by an instant, the longest waiting first.

        `left` asks for those where a person has to do it; `after` ended the page before. Each is to be folded anew.
        """
        asked = ("left" if left else "due", now, *(after or (None, None)), limit + 1)
        position, found = await self._ask("agenda", *asked)
        return _listing(DueOrder, position, found, limit)

    # --- what comes together ------------------------------------------------------------------------------------

    async def returned(self, since: datetime, times: int) -> Listing[Returned]:
        """Return orders that were given back with consent so many times since an instant."""
        position, found = await self._ask("indicators", "returned", since, times)
        return _listing(Returned, position, found)

    async def crowded(self, since: datetime, orders: int) -> Listing[Crowded]:
        """Return units that were given so many orders of one category since an instant."""
        position, found = await self._ask("indicators", "crowded", since, orders)
        return _listing(Crowded, position, found)

    async def rated(self, since: datetime, ratings: int) -> Listing[Rated]:
        """Return units that were evaluated so often since an instant, and how often they satisfied."""
        position, found = await self._ask("indicators", "rated", since, ratings)
        return _listing(Rated, position, found)

    async def tied(self, since: datetime) -> Listing[UUID]:
        """Return orders registered since an instant that repeat an earlier one or were merged into another."""
        position, linked = await self._ask("orders", "linked", since)
        _, duplicates = await self._ask("indicators", "duplicates", since)
        return Listing(position, tuple(dict.fromkeys(row[0] for row in (*linked, *duplicates))))

    # --- what a sample is drawn from -----------------------------------------------------------------------------

    async def visits_opened(self, since: datetime, until: datetime) -> Listing[UUID]:
        """Return orders whose return visit came to be possible in a period, as the tables have them."""
        position, found = await self._ask("clocks", "visits", since, until)
        return Listing(position, tuple(row[0] for row in found))

    async def registered_before(self, until: datetime) -> tuple[UUID, ...]:
        """Return every order that was registered before an instant."""
        _, found = await self._ask("orders", "registered_before", until)
        return tuple(row[0] for row in found)

    # --- units ---------------------------------------------------------------------------------------------------

    async def units(self, now: datetime) -> Listing[UnitLoad]:
        """Return every unit with what lies on its desk at an instant, by code; also those that only orders name."""
        position, orders = await self._ask("orders", "count_by_unit", now)
        _, duties = await self._ask("duties", "count", now, now + timedelta(days=1))
        law = await self.law_at(position)
        led: dict[str, Counter[str]] = {}
        for unit, *numbers in orders:
            led.setdefault(unit, Counter()).update(dict(zip(_OF_ORDERS, numbers, strict=True)))
        owed = {unit: numbers for unit, *numbers in duties}
        known = sorted({*law.units.by_id, *led, *owed} - {""})
        return Listing(position, tuple(_load(law, now, u, led, owed) for u in known))

    async def _heirs_of(
        self, unit: UnitId | None, now: datetime | None, position: int | None = None
    ) -> list[str] | None:
        """Return the unit and those whose duties it bears, as the law is or was; None for a question about all.

        Raises UnknownUnit for a code that neither the law nor an order brought over knows.
        """
        if not unit:
            return None if unit is None else [""]
        async with session(self._work) as connection:
            head, until = await self._head(connection)
        law = await self.law_at(head if position is None else min(position, head))
        await self._refuse_unknown(unit, law)
        at = now or until
        return [unit, *(u for u in law.units.by_id if u != unit and law.successor(u, at) == unit)]

    async def has_unit(self, unit: UnitId) -> bool:
        """Tell whether an order brought over knows a unit, registered or not."""
        return bool((await self._ask("orders", "has_unit", unit))[1])

    async def _refuse_unknown(self, unit: UnitId, law: Law) -> None:
        if law.unit(unit) is None and not await self.has_unit(unit):
            raise UnknownUnit(unit, unit=unit)


_OF_ORDERS = ("orders", "open", "overdue")


async def at_length(work: Callable[[], T]) -> T:
    """Return what a long reading of all cases comes to. Raises ProjectionBlocked, Unavailable."""
    try:
        return await asyncio.to_thread(work)
    except Poison as error:
        raise ProjectionBlocked(f"position {error.at}: {error}") from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise Unavailable(f"{type(error).__name__}: {error}") from error


def _load(
    law: Law, now: datetime, unit: UnitId, led: Mapping[str, Counter[str]], owed: Mapping[str, Sequence[int]]
) -> UnitLoad:
    held = law.units.get(unit)
    version = None if held is None else held.version(now) or held.versions[0]
    orders, (duties, _, late, soon) = led.get(unit, Counter()), owed.get(unit, (0, 0, 0, 0))
    return UnitLoad(
        unit=unit,
        name=law.units.name(unit, now),
        level="" if version is None else version.level,
        kind="" if version is None else version.kind,
        parent=law.units.parent(unit, now) or "",
        heir=law.successor(unit, now),
        active=law.units.active(unit, now),
        orders=orders["orders"],
        open=orders["open"],
        overdue=orders["overdue"],
        duties=duties,
        late_duties=late,
        due_soon=soon,
        contact=law.units.contact(unit, now),
    )


def _sorted(totals: Mapping[str, Counter[str]]) -> list[tuple[str, Counter[str]]]:
    return sorted(totals.items())


def _listing(kind: type[R], position: int, found: Sequence[tuple[Any, ...]], limit: int | None = None) -> Listing[R]:
    shown = found if limit is None else found[:limit]
    return Listing(position, tuple(kind(*row) for row in shown), len(found) > len(shown))


def _id_span(text: str) -> tuple[UUID, UUID] | None:
    """Return the first and last id that begin with a text; None where it is not the beginning of an id."""
    digits = text.lower().replace("-", "")
    if not SHORTEST_PREFIX <= len(digits) <= 32 or not set(digits) <= set("0123456789abcdef"):
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


def _changes(
    order: UUID, number: str, old: Mapping[tuple[ClockName, str], Clock], new: Iterable[Clock]
) -> Iterable[DueChange]:
    for clock in new:
        before = old.get((clock.name, clock.key))
        if clock.running and before is not None and before.due != clock.due:
            yield DueChange(order, number, clock.name, clock.key, clock.unit, before.due, clock.due, clock.provisional)
