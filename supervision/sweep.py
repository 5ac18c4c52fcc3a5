"""巡检. One sweep: find the cases about which something comes about, ask the rules, and have the ledger do it.

A function of `now`. It keeps nothing: what was done is in the ledger, what is to be done is derived from it. So it may
be run twice, late, by several machines or after one that was killed, and nothing is done twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from domain.bulk import Commanded, Foreseen
from domain.law import Law
from domain.ledger import Ledger
from domain.proposing import View
from domain.refusals import (
    ClosedDoor,
    CommandIdReused,
    ConcurrencyConflict,
    MasterOpen,
    Refusal,
    Unavailable,
    VersionMoved,
)
from domain.settling import Written
from domain.state import WorkOrder
from domain.steps.oversight import EscalateNotice, IssueNotice
from domain.terms import Entry, NoticeKind, Origin, Role, Word
from projections.answers import DueOrder, Projections
from supervision.rules import TIMER, Deed, Plan, plan, reads

LOG = logging.getLogger("huiyin.supervision")

PAGE = 500
"""Orders found at a time."""

AT_ONCE = 64
"""Orders that are looked at, and acted on, together: they are read in one round trip and written in one batch."""

SIDE_BY_SIDE = 3
"""Such lots at a time: while one is decided, others are read and written."""

ROUNDS = 8
"""How often one order is looked at again in a sweep, after something was done about it or somebody was faster."""

BROKEN = "internal"
"""What an error inside the program is counted as."""


class Outcome(Word):
    """结果. What became of one thing that was to be done."""

    DONE = "done", "已办"
    WOULD = "would", "将办"
    AGAIN = "again", "他处已办"  # by another sweep, or by this one before it was killed
    REFUSED = "refused", "未办"
    LEFT = "left", "待人工"  # no rule lets the timer do it


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """巡检明细. One thing that was, would be, or may not be done, and what it rests on."""

    order_id: UUID
    number: str
    outcome: Outcome
    command: str
    kind: str = ""  # of the notice
    unit: str = ""
    clock: str = ""
    key: str = ""
    due: datetime | None = None
    since: datetime | None = None
    article: str = ""
    by: tuple[str, ...] = ()
    position: int = 0
    refusal: str = ""
    sentence: str = ""

    @property
    def what(self) -> str:
        """The command with the kind of its notice: what summaries count by."""
        return f"{self.command}:{self.kind}" if self.kind else self.command


class Swept(msgspec.Struct, kw_only=True):
    """巡检小结. Counts of one sweep; `position` is where the table stood that told which orders to look at."""

    now: datetime
    position: int = 0
    dry_run: bool = False
    looked: int = 0
    idle: int = 0  # orders about which nothing was to be done any more
    done: Counter[str] = msgspec.field(default_factory=Counter)
    again: Counter[str] = msgspec.field(default_factory=Counter)
    refused: Counter[str] = msgspec.field(default_factory=Counter)  # by code
    left: Counter[str] = msgspec.field(default_factory=Counter)

    @property
    def total(self) -> int:
        """How many commands it carried out, or would."""
        return sum(self.done.values())


class Manner(NamedTuple):
    """How a sweep goes about it. `simulated` records as imported at `now`, for cities that are only simulated."""

    dry_run: bool = False
    simulated: bool = False
    left: bool = False  # look also at orders where only a person has something to do
    page: int = PAGE
    at_once: int = AT_ONCE


async def sweep(
    ledger: Ledger,
    shown: Projections,
    now: datetime,
    manner: Manner = Manner(),  # noqa: B008  immutable
    tell: Callable[[Line], None] | None = None,
) -> Swept:
    """Do everything that comes about by itself by `now`, and return what was done; `tell` hears of each thing.

    Refusals are counted, never fatal. Raises Unavailable and ClosedDoor where the ledger cannot be asked at all; what
    was done until then is done, and the next sweep goes on.
    """
    return await _Sweep(ledger, shown, now, manner, tell or (lambda _: None)).run()


class Left(NamedTuple):
    """What waits for a person: at most a page, and where the next one begins."""

    position: int
    lines: tuple[Line, ...]
    after: tuple[datetime, UUID] | None


async def left(
    ledger: Ledger, shown: Projections, now: datetime, *, limit: int, after: tuple[datetime, UUID] | None = None
) -> Left:
    """Return what no rule lets the timer do about orders, and who may: those of one page, the longest waiting first."""
    found = await shown.due_for_sweep(now, left=True, limit=limit, after=after)
    lines: list[Line] = []
    for view in await ledger.views([f"order:{row.order_id}" for row in found.rows]):
        order: WorkOrder | None = view.state
        if order is not None and reads(order) is None:
            lines += [
                line_of(order, deed, Outcome.LEFT) for deed in plan(order, view.law, now).left if not deed.refusal
            ]
    return Left(found.position, tuple(lines), _end(found.rows) if found.more else None)


class _Case(NamedTuple):
    """One order as it was read, and what is to be done about it."""

    order: WorkOrder
    plan: Plan
    entries: list[Entry]
    law: Law


class _Sweep:
    def __init__(
        self, ledger: Ledger, shown: Projections, now: datetime, manner: Manner, tell: Callable[[Line], None]
    ) -> None:
        self._ledger = ledger
        self._shown = shown
        self._now = now
        self._manner = manner
        self._tell = tell
        self._side_by_side = asyncio.Semaphore(SIDE_BY_SIDE)
        self._children: set[UUID] = set()  # whose master was still open
        self._seen: set[UUID] = set()
        self.swept = Swept(now=now, dry_run=manner.dry_run)

    async def run(self) -> Swept:
        await self._walk(left=False)
        while self._children and not self._manner.dry_run:  # a master closed since lets its children close
            waiting, before = self._children, self.swept.total
            self._children = set()
            self.swept.refused[MasterOpen.code()] -= len(waiting)
            await self._all(waiting)
            if self.swept.total == before:
                break
        if self._manner.left:
            await self._walk(left=True)
        return self.swept

    async def _walk(self, *, left: bool) -> None:
        """Look at every order of the table, page by page; each once, however its row moves meanwhile."""
        after: tuple[datetime, UUID] | None = None
        more = True
        while more:
            found = await self._shown.due_for_sweep(self._now, left=left, limit=self._manner.page, after=after)
            self.swept.position = found.position
            fresh = {row.order_id for row in found.rows} - self._seen
            self._seen |= fresh
            await self._all(fresh)
            after, more = _end(found.rows), found.more

    async def _all(self, orders: set[UUID]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                many = sorted(orders)
                for first in range(0, len(many), self._manner.at_once):
                    group.create_task(self._together(many[first : first + self._manner.at_once]))
        except ExceptionGroup as gone:  # the first says it for all
            raise gone.exceptions[0] from gone

    async def _together(self, lot: Sequence[UUID]) -> None:
        """Look at some orders in one reading, and do in one writing what is to be done about them.

        What does not go through like that, because somebody was faster, say, is looked at alone.
        """
        async with self._side_by_side:
            self.swept.looked += len(lot)
            alone: list[UUID] = []
            while lot:
                streams = {f"order:{order_id}": order_id for order_id in lot}
                lot, difficult = ([], lot) if self._manner.dry_run else await self._in_one(streams)
                alone += difficult
            for order_id in alone:
                await self._one(order_id)

    async def _in_one(self, streams: Mapping[str, UUID]) -> tuple[Sequence[UUID], Sequence[UUID]]:
        """Carry out for many orders what nothing but the order decides.

        Return those about which there may be more to do now, and those that are to be looked at alone.
        """
        try:
            seen = dict(zip(streams, await self._ledger.views(list(streams)), strict=True))
            plans = {stream: self._simple(view) for stream, view in seen.items()}
            wanted = [(stream, deed) for stream, made in plans.items() if made is not None for deed in made.deeds]
            foreseen = await self._ledger.foresee([self._commanded(stream, deed) for stream, deed in wanted], seen)
            given = [one.proposal for one in foreseen if isinstance(one, Foreseen) and one.proposal is not None]
            outcomes = iter(await self._ledger.submit_all(given))
        except (Unavailable, ClosedDoor):
            raise
        except Refusal:  # the writer is busy, say: whether it still is, is found out one by one
            return (), tuple(streams.values())
        except Exception:  # one of them cannot be read, and will be told alone
            LOG.exception("sweep of %d orders together", len(streams))
            return (), tuple(streams.values())
        for stream, made in plans.items():
            if made is not None:
                self.swept.idle += made == Plan()
                self._tell_left(seen[stream].state, made)
        alone = {stream for stream, made in plans.items() if made is None}
        more: set[str] = set()
        for (stream, deed), one in zip(wanted, foreseen, strict=True):
            outcome = one if isinstance(one, Refusal) else next(outcomes)
            if isinstance(outcome, Written):
                self._say(seen[stream].state, deed, Outcome.DONE, position=outcome.rows[0].position)
                if not isinstance(deed.command, IssueNotice):  # of which nothing follows at once
                    more.add(stream)
            else:
                alone.add(stream)
        return [streams[s] for s in streams if s in more - alone], [streams[s] for s in streams if s in alone]

    def _simple(self, view: View) -> Plan | None:
        """Return what is to be done about an order; None where that takes more than a look at it alone."""
        order: WorkOrder | None = view.state
        if order is None:
            return Plan()
        made = plan(order, view.law, self._now) if reads(order) is None else None
        return None if made is not None and made.left and made.deeds else made

    def _commanded(self, stream: str, deed: Deed) -> Commanded:
        simulated = self._manner.simulated
        return Commanded(
            deed.command,
            stream,
            TIMER,
            deed.command_id,
            self._now if simulated else None,
            Origin.IMPORT if simulated else Origin.LIVE,
        )

    def _tell_left(self, order: WorkOrder, made: Plan) -> None:
        for deed in made.left:
            self._say(order, deed, Outcome.LEFT if deed.refusal is None else Outcome.REFUSED, deed.refusal)

    async def _one(self, order_id: UUID) -> None:
        try:
            await self._about(order_id)
        except (Unavailable, ClosedDoor):
            raise
        except Refusal as refusal:  # the case's pack is gone, the writer is busy: the next sweep looks again
            self.swept.refused[refusal.code()] += 1
        except Exception:  # one case that cannot be read keeps no other from being swept
            LOG.exception("sweep of order %s", order_id)
            self.swept.refused[BROKEN] += 1

    async def _about(self, order_id: UUID) -> None:
        """Do what is to be done about one order; again, until nothing is or nothing more can be."""
        case = await self._looked_at(order_id)
        if case is None or not (case.plan.deeds or case.plan.left):
            self.swept.idle += 1
            return
        done: set[str] = set()
        for _ in range(ROUNDS):
            wanted = [deed for deed in case.plan.deeds if deed.command_id not in done]
            if not wanted or self._manner.dry_run:
                break
            case = await self._carry_out(case, wanted, done) or await self._looked_at(order_id) or case
        for deed in case.plan.deeds if self._manner.dry_run else ():
            self._say(case.order, deed, Outcome.WOULD)
        self._tell_left(case.order, case.plan)

    async def _looked_at(self, order_id: UUID) -> _Case | None:
        """Read an order's stream, and ask the rules."""
        look = await self._ledger.look(f"order:{order_id}")
        return await self._case(look.entries, look.law)

    async def _case(self, entries: list[Entry], law: Law) -> _Case | None:
        order: WorkOrder | None = self._ledger.fold_entries(entries[0].stream, entries) if entries else None
        if order is None:
            return None
        master_id = reads(order)
        master = None if master_id is None else await self._ledger.fold(f"order:{master_id}")
        return _Case(order, plan(order, law, self._now, master), entries, law)

    async def _carry_out(self, case: _Case, deeds: list[Deed], done: set[str]) -> _Case | None:
        """Give commands about one order one after the other, and return what it is then; None: it has to be read again.

        Each says which version it was decided from: where somebody was faster, the rest is decided from how it stands.
        """
        order, entries = case.order, list(case.entries)
        for deed in deeds:
            try:
                receipt = await self._ledger.execute(
                    deed.command,
                    stream=order.stream,
                    actor=TIMER,
                    command_id=deed.command_id,
                    expected=entries[-1].version,
                    occurred_at=self._now if self._manner.simulated else None,
                    origin=Origin.IMPORT if self._manner.simulated else Origin.LIVE,
                )
            except (VersionMoved, ConcurrencyConflict):
                return None
            except CommandIdReused:  # simulated: done at another instant
                done.add(deed.command_id)
                self._say(order, deed, Outcome.AGAIN)
                continue
            except (Unavailable, ClosedDoor):
                raise
            except Refusal as refusal:
                done.add(deed.command_id)
                self._say(order, deed, Outcome.REFUSED, refusal)
                continue
            done.add(deed.command_id)
            if receipt.replayed:
                self._say(order, deed, Outcome.AGAIN)
                return None  # the version it came to may be long past
            entries += [entry for entry in receipt.events if entry.stream == order.stream]
            self._say(order, deed, Outcome.DONE, position=receipt.first_position)
        return await self._case(entries, case.law)

    def _say(
        self, order: WorkOrder, deed: Deed, outcome: Outcome, refusal: Refusal | None = None, position: int = 0
    ) -> None:
        line = line_of(order, deed, outcome, refusal, position)
        swept = self.swept
        match outcome:
            case Outcome.DONE | Outcome.WOULD:
                swept.done[line.what] += 1
            case Outcome.AGAIN:
                swept.again[line.what] += 1
            case Outcome.LEFT:
                swept.left[line.what] += 1
            case _:
                swept.refused[line.refusal] += 1
                if isinstance(refusal, MasterOpen):
                    self._children.add(order.id)
        self._tell(line)


def _end(found: tuple[DueOrder, ...]) -> tuple[datetime, UUID] | None:
    return (found[-1].at, found[-1].order_id) if found else None


def line_of(order: WorkOrder, deed: Deed, outcome: Outcome, refusal: Refusal | None = None, position: int = 0) -> Line:
    """Return what is told of one thing."""
    command, clock = deed.command, deed.clock
    kind: NoticeKind | str = ""
    unit = "" if clock is None else clock.unit
    if isinstance(command, IssueNotice):
        kind, unit = command.kind, command.unit
    elif isinstance(command, EscalateNotice):
        kind = command.to
    return Line(
        order_id=order.id,
        number=order.number,
        outcome=outcome,
        command=str(command.__struct_config__.tag),
        kind=str(kind),
        unit=unit,
        clock="" if clock is None else str(clock.name),
        key="" if clock is None else clock.key,
        due=None if clock is None else clock.due,
        since=deed.at,
        article=deed.basis.article,
        by=tuple(sorted(str(role) for role in deed.by if role is not Role.SYSTEM)),
        position=position,
        refusal="" if refusal is None else refusal.code(),
        sentence="" if refusal is None else refusal.sentence,
    )
