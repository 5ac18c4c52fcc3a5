"""回访抽样. Which orders are drawn for a return visit, so that anybody can draw them again from the ledger (A-13).

A drawing names its period, the position up to which the ledger was read, the share and a nonce: all of that is its seed,
recorded in every `RevisitSampled` with the hash of the frame. The frame is every order whose return visit came to be
possible in the period, as the ledger had it at that position. Of each unit's orders in it, those with the smallest
SHA-256 of seed, stream and round are drawn. Nothing else decides: `sha256sum` is enough to check it.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import NamedTuple, Self
from uuid import UUID

import msgspec

from domain import order as orders
from domain.calendar import FIRST_YEAR, LAST_YEAR
from domain.clocks import clocks
from domain.context import Context
from domain.law import Law
from domain.ledger import Ledger
from domain.refusals import (
    ClosedDoor,
    CommandIdReused,
    NoPolicyInForce,
    Refusal,
    RevisitAlreadySampled,
    Unavailable,
    UnknownPolicy,
)
from domain.sealing import Entropy
from domain.state import WorkOrder
from domain.steps import filing
from domain.steps.revisiting import RevisitSampled, SampleRevisit
from domain.terms import Actor, ClockName, ClosureKind, Origin
from domain.units import day_start
from projections.answers import Projections
from supervision.rules import TIMER

AT_ONCE = 64
"""Orders that are read, and drawn, side by side."""

_SEED = re.compile(r"(\d{8})-(\d{8})\.p(\d+)\.r(\d+)\.([0-9a-f]{16})")
_NOBODYS = frozenset({ClosureKind.WITHDRAWN, ClosureKind.MERGED})


class PeriodOpen(Refusal):
    """统计期尚未结束。The period is not over yet: give days that are, the first one before the last."""

    field = "last"


class ShareMissing(Refusal):
    """本地规则未写抽样比例，请写明 percent。The pack in force gives no share (revisit_percent): say percent."""

    field = "percent"


class DrawingUnknown(Refusal):
    """没有此抽样。No drawing is called that in this ledger: give the seed as an order's sampling has it."""

    field = "seed"


def counted_days(first: date, last: date) -> bool:
    """Tell whether days follow on each other within the years that can be counted."""
    return first.year > FIRST_YEAR and first <= last and last.year < LAST_YEAR


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """抽样方案. Everything a sample is made of but the ledger itself."""

    first: date  # of the days in which a visit came to be possible
    last: date
    position: int  # up to which the ledger was read
    percent: int  # of each unit's orders, rounded up
    nonce: str

    @property
    def period(self) -> str:
        """The days, as seeds begin."""
        return f"{self.first:%Y%m%d}-{self.last:%Y%m%d}."

    @property
    def seed(self) -> str:
        """What the drawing is called, and all that it needs."""
        return f"{self.period}p{self.position}.r{self.percent}.{self.nonce}"

    @property
    def since(self) -> datetime:
        """The beginning of the first day."""
        return day_start(self.first)

    @property
    def until(self) -> datetime:
        """The end of the last day: the instant at which everything is judged."""
        return day_start(date.fromordinal(self.last.toordinal() + 1))

    @classmethod
    def read(cls, seed: str) -> Self:
        """Return the drawing that a seed names. Raises DrawingUnknown."""
        said = _SEED.fullmatch(seed)
        try:
            if said is None:
                raise ValueError(seed)
            first, last = (datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).date() for day in said.group(1, 2))
            position, percent = int(said[3]), int(said[4])
            if not (counted_days(first, last) and 1 <= percent <= 100):
                raise ValueError(seed)
        except ValueError as error:
            raise DrawingUnknown(seed) from error
        return cls(first=first, last=last, position=position, percent=percent, nonce=said[5])


class Member(msgspec.Struct, frozen=True, order=True):
    """抽样框一行. An order whose return visit came to be possible in the period, under the unit that answered."""

    stream: str
    round: int
    unit: str
    number: str = ""

    @property
    def line(self) -> str:
        """What the frame's hash is made of."""
        return f"{self.stream} {self.round} {self.unit}\n"


class Frame(msgspec.Struct, frozen=True):
    """抽样框. Every order that could be drawn, in the order of their ids."""

    drawing: Drawing
    members: tuple[Member, ...]

    @property
    def digest(self) -> str:
        """The hash that is recorded with each order that is drawn."""
        return "sha256:" + hashlib.sha256("".join(one.line for one in self.members).encode()).hexdigest()

    @property
    def drawn(self) -> tuple[Member, ...]:
        """Those that the seed draws: of each unit its share, rounded up."""
        by_unit: dict[str, list[Member]] = {}
        for one in self.members:
            by_unit.setdefault(one.unit, []).append(one)
        seed, share = self.drawing.seed, self.drawing.percent
        taken: list[Member] = []
        for unit in sorted(by_unit):
            own = sorted(by_unit[unit], key=lambda one: rank(seed, one))
            taken += own[: math.ceil(len(own) * share / 100)]
        return tuple(sorted(taken))


def rank(seed: str, one: Member) -> str:
    """Return what the orders of a unit are put in order by."""
    return hashlib.sha256(f"{seed} {one.stream} {one.round}".encode()).hexdigest()


def member(order: WorkOrder, law: Law, drawing: Drawing) -> Member | None:
    """Return the order as a frame has it; None where no return visit came to be possible in the period, or is any more."""
    reply = filing.reply_now(order)
    if reply is None or order.assumed_policy or order.filing.kind in _NOBODYS:
        return None
    key = f"r{reply.no}"
    opened = next((c for c in clocks(order, law) if c.name is ClockName.REVISIT and c.key == key), None)
    if opened is None or opened.stop is not None or not drawing.since <= opened.start.at < drawing.until:
        return None
    if order.revisit is not None and (order.revisit.sampled is not None or order.revisit.over is not None):
        return None
    asked = SampleRevisit(seed="-", frame="sha256:" + "0" * 64, frame_size=0)
    try:
        orders.decide(order, asked, Context(actor=TIMER, now=drawing.until, law=law, stream=order.stream))
    except Refusal:
        return None
    return Member(order.stream, order.round, reply.unit, order.number)


# --- from the ledger ---------------------------------------------------------------------------------------------


class _Read(NamedTuple):
    """What was read of candidates: who could be drawn, and what was recorded of drawings, by stream."""

    members: list[Member]
    recorded: dict[str, list[RevisitSampled]]


async def _read(ledger: Ledger, law: Law, drawing: Drawing, candidates: Sequence[UUID]) -> _Read:
    members: list[Member] = []
    recorded: dict[str, list[RevisitSampled]] = {}
    for first in range(0, len(candidates), AT_ONCE):
        streams = [f"order:{one}" for one in candidates[first : first + AT_ONCE]]
        for stream, history in zip(streams, await ledger.histories(streams), strict=True):
            if said := [entry.event for entry in history if isinstance(entry.event, RevisitSampled)]:
                recorded[stream] = said
            order = orders.fold([entry for entry in history if entry.position <= drawing.position])
            if order is not None and (found := member(order, law, drawing)) is not None:
                members.append(found)
    return _Read(sorted(members), recorded)


async def _law(ledger: Ledger, shown: Projections, position: int) -> Law:
    """Return the law as it was at a position. Raises DrawingUnknown where the ledger does not reach so far."""
    head, _ = await ledger.head()
    if not 0 < position <= head:
        raise DrawingUnknown(f"position: {position} > {head}", position=position)
    return await shown.law_at(position)


class Lot(StrEnum):
    """What became of an order that is drawn."""

    DRAWN = "drawn"
    WOULD = "would"
    AGAIN = "again"
    REFUSED = "refused"


class Stratum(msgspec.Struct, frozen=True):
    """层. A unit's part of the frame, and of the sample."""

    unit: str
    size: int
    drawn: int


class Sampled(msgspec.Struct, kw_only=True):
    """抽样小结. What one run drew."""

    drawing: Drawing
    seed: str
    frame: str
    frame_size: int
    strata: tuple[Stratum, ...]
    drawn: tuple[Member, ...]
    counts: dict[str, int] = {}
    refused: dict[str, int] = {}  # by code


def summary(made: Frame) -> Sampled:
    """Return a frame and its sample by unit."""
    drawn = made.drawn
    size = {one.unit: 0 for one in made.members}
    taken = dict(size)
    for one in made.members:
        size[one.unit] += 1
    for one in drawn:
        taken[one.unit] += 1
    return Sampled(
        drawing=made.drawing,
        seed=made.drawing.seed,
        frame=made.digest,
        frame_size=len(made.members),
        strata=tuple(Stratum(unit, size[unit], taken[unit]) for unit in sorted(size)),
        drawn=drawn,
    )


class Manner(NamedTuple):
    """How a sample is drawn, and by whom. `simulated` records it as imported at `now`."""

    dry_run: bool = False
    simulated: bool = False
    by: Actor = TIMER


async def share(ledger: Ledger, now: datetime) -> int | None:
    """Return what share of each unit's orders the pack in force has sampled; None where it says nothing."""
    law = await ledger.law()
    try:
        options = law.rules(law.policy_at(now)).options
    except (NoPolicyInForce, UnknownPolicy):
        return None
    return 100 if options.revisit_sampling == "all" else options.revisit_percent


async def sample(
    ledger: Ledger,
    shown: Projections,
    first: date,
    last: date,
    *,
    now: datetime,
    percent: int,
    entropy: Entropy,
    manner: Manner = Manner(),  # noqa: B008  immutable
) -> Sampled:
    """Draw the sample of a period that is over, once; where that was begun before, end it with the seed it has.

    Raises PeriodOpen, and Unavailable and ClosedDoor where the ledger cannot be asked.
    """
    if not counted_days(first, last):
        raise PeriodOpen(f"{first} … {last}")
    found = await shown.visits_opened(day_start(first), day_start(date.fromordinal(last.toordinal() + 1)))
    drawing = Drawing(first=first, last=last, position=found.position, percent=percent, nonce=entropy(8).hex())
    if now < drawing.until:
        raise PeriodOpen(f"{first} … {last}")
    read = await _read(ledger, await _law(ledger, shown, drawing.position), drawing, found.rows)
    made = Frame(drawing, tuple(read.members))
    begun = {e.seed: e.frame for said in read.recorded.values() for e in said if e.seed.startswith(drawing.period)}
    if begun:
        made = await _again(ledger, shown, min(begun), found.rows, begun[min(begun)])
    sampled = summary(made)
    if manner.dry_run:
        sampled.counts = {Lot.WOULD.value: len(sampled.drawn)}
        return sampled
    gate = asyncio.Semaphore(AT_ONCE)
    lots = await asyncio.gather(*(_record(ledger, sampled, one, now, manner, gate) for one in sampled.drawn))
    for lot, code in lots:
        sampled.counts[lot.value] = sampled.counts.get(lot.value, 0) + 1
        if code:
            sampled.refused[code] = sampled.refused.get(code, 0) + 1
    return sampled


async def _again(ledger: Ledger, shown: Projections, seed: str, candidates: Sequence[UUID], digest: str) -> Frame:
    """Return the frame of a drawing that was begun: from what is a candidate now, unless that is not the same any more."""
    drawing = Drawing.read(seed)
    law = await _law(ledger, shown, drawing.position)
    made = Frame(drawing, tuple((await _read(ledger, law, drawing, candidates)).members))
    if made.digest == digest:
        return made
    read = await _read(ledger, law, drawing, await shown.registered_before(drawing.until))
    return Frame(drawing, tuple(read.members))


async def _record(
    ledger: Ledger, sampled: Sampled, one: Member, now: datetime, manner: Manner, gate: asyncio.Semaphore
) -> tuple[Lot, str]:
    command = SampleRevisit(seed=sampled.seed, frame=sampled.frame, frame_size=sampled.frame_size, stratum=one.unit)
    async with gate:
        try:
            receipt = await ledger.execute(
                command,
                stream=one.stream,
                actor=manner.by,
                command_id=f"sample:{one.stream}:{one.round}",  # of a round, once, whatever the drawing
                occurred_at=now if manner.simulated else None,
                origin=Origin.IMPORT if manner.simulated else Origin.LIVE,
            )
        except (Unavailable, ClosedDoor):
            raise
        except (CommandIdReused, RevisitAlreadySampled):
            return Lot.AGAIN, ""
        except Refusal as refusal:
            return Lot.REFUSED, refusal.code()
    return (Lot.AGAIN if receipt.replayed else Lot.DRAWN), ""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """复核. A sample drawn again from the ledger, beside what was recorded under its seed."""

    seed: str
    frame: str
    frame_size: int
    drawn: tuple[Member, ...]
    recorded: int  # orders of which the ledger says that the seed drew them
    missing: tuple[str, ...]  # drawn, and not recorded
    strange: tuple[str, ...]  # recorded, and not drawn
    other_frame: tuple[str, ...]  # recorded with the hash of another frame

    @property
    def holds(self) -> bool:
        """Whether what is recorded is what the seed draws: nothing else, and nothing less."""
        return bool(self.recorded) and not (self.missing or self.strange or self.other_frame)


async def check(ledger: Ledger, shown: Projections, seed: str) -> Checked:
    """Draw a sample again, and compare it with what was recorded. Raises DrawingUnknown."""
    drawing = Drawing.read(seed)
    law = await _law(ledger, shown, drawing.position)
    read = await _read(ledger, law, drawing, await shown.registered_before(drawing.until))
    made = Frame(drawing, tuple(read.members))
    recorded = {stream: e.frame for stream, said in read.recorded.items() for e in said if e.seed == seed}
    drawn = {one.stream for one in made.drawn}
    return Checked(
        seed=seed,
        frame=made.digest,
        frame_size=len(made.members),
        drawn=made.drawn,
        recorded=len(recorded),
        missing=tuple(sorted(drawn - recorded.keys())),
        strange=tuple(sorted(recorded.keys() - drawn)),
        other_frame=tuple(sorted(stream for stream, digest in recorded.items() if digest != made.digest)),
    )
