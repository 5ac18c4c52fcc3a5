"""重放. A period as it stood at a position: its orders, their clocks, its indicators; and what two positions have otherwise.

Everything is read from the events up to the position, under the law that was recorded by then. What is late is late at the
instant that the position was recorded at. So the answer comes out the same whenever it is asked for.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from domain.clocks import clocks
from domain.duties import title_of
from domain.ledger import Ledger
from domain.stored import tag
from domain.terms import Entry
from projections.answers import Projections
from projections.case import Case
from projections.figures import Figure
from projections.orders import derive
from supervision import indicators, workbench
from supervision.indicators import Question


class Span(NamedTuple):
    """Orders registered in [since, until), of one unit that leads them or of all; figures of the same period."""

    since: datetime
    until: datetime
    unit: str | None = None


class Held(msgspec.Struct, frozen=True):
    """时限. Of one order: whose it is, until when, and how it stands."""

    clock: str
    key: str
    unit: str
    due: datetime | None
    status: str


class Standing(msgspec.Struct, frozen=True):
    """一件工单当时的情况."""

    id: UUID
    number: str
    state: str
    unit: str
    clocks: tuple[Held, ...]


class Replayed(NamedTuple):
    """A period as it stood: at which position, when that was recorded, every order, the figures."""

    position: int
    at: datetime
    orders: Sequence[Standing]
    figures: Sequence[Figure]

    @property
    def states(self) -> Mapping[str, int]:
        """How many orders were in each state."""
        return dict(sorted(Counter(one.state for one in self.orders).items()))

    @property
    def clocks(self) -> Mapping[str, Mapping[str, int]]:
        """How many clocks of each name stood how."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for held in (held for one in self.orders for held in one.clocks):
            found[held.clock][held.status] += 1
        return {name: dict(sorted(counts.items())) for name, counts in sorted(found.items())}


async def replayed(ledger: Ledger, shown: Projections, span: Span, position: int) -> Replayed:
    """Return a period as it stood at a position. Raises CutOffAhead."""

    def read(case: Case) -> Iterator[Standing]:
        order = case.order
        row = derive(case)[0]
        if not span.since <= order.registered.at < span.until or (span.unit is not None and row.unit != span.unit):
            return
        held = (Held(c.name, c.key, c.unit, c.due, c.status(at)) for c in clocks(order, case.law))
        yield Standing(order.id, row.number, row.state, row.unit, tuple(held))

    found = await ledger.read(position - 1, 1)
    at = found[0].recorded_at if found else await ledger.now()  # a position ahead is refused by whoever reads up to it
    orders = await shown.every_case(position, read)
    orders.sort(key=lambda one: one.id)
    asked = Question(since=span.since, until=span.until, unit=span.unit, cut_off=position)
    figures = (await indicators.answer(shown, asked, at)).figures
    return Replayed(position, at, orders, figures)


# --- two positions -----------------------------------------------------------------------------------------------


class Cause(msgspec.Struct, frozen=True):
    """An entry between two positions."""

    position: int
    stream: str
    version: int
    type: str
    title: str
    user: str
    role: str


class Turned(msgspec.Struct, frozen=True):
    """One clock that stands otherwise; None: there was no such clock."""

    clock: str
    key: str
    before: Held | None
    after: Held | None


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """An order that stands otherwise. `by`: its own entries in between; none: time passed, or the law was changed."""

    id: UUID
    number: str
    appeared: bool
    state: tuple[str | None, str | None]
    unit: tuple[str | None, str | None]
    clocks: tuple[Turned, ...]
    by: tuple[Cause, ...]


class Shifted(msgspec.Struct, frozen=True):
    """A figure that comes out otherwise: above and below its line; None: it was not answered."""

    code: str
    title: str
    part: str
    before: tuple[int, int | None] | None
    after: tuple[int, int | None] | None


def moved(before: Replayed, after: Replayed) -> list[tuple[Standing | None, Standing | None]]:
    """Return the orders that stand otherwise, side by side, in the order of ids; None where there was none."""
    return list(workbench.changed(before.orders, after.orders))


async def explained(
    ledger: Ledger, pairs: Sequence[tuple[Standing | None, Standing | None]], first: int, last: int
) -> list[Moved]:
    """Return orders that stand otherwise with what made them so: their entries behind the first position up to the last."""
    named = [one if one is not None else other for one, other in pairs]
    streams = [f"order:{one.id}" for one in named if one is not None]
    found = await ledger.histories(streams)
    return [_moved(was, now, causes(entries, first, last)) for (was, now), entries in zip(pairs, found, strict=True)]


def _moved(was: Standing | None, now: Standing | None, by: tuple[Cause, ...]) -> Moved:
    one = now or was
    assert one is not None
    return Moved(
        id=one.id,
        number=one.number,
        appeared=was is None,
        state=(None if was is None else was.state, None if now is None else now.state),
        unit=(None if was is None else was.unit, None if now is None else now.unit),
        clocks=tuple(_turned(was, now)),
        by=by,
    )


def _turned(was: Standing | None, now: Standing | None) -> Iterator[Turned]:
    before, after = ({(c.clock, c.key): c for c in (one.clocks if one is not None else ())} for one in (was, now))
    for name, key in dict.fromkeys((*before, *after)):
        if before.get((name, key)) != after.get((name, key)):
            yield Turned(name, key, before.get((name, key)), after.get((name, key)))


def causes(entries: Iterable[Entry], first: int, last: int) -> tuple[Cause, ...]:
    """Return the entries behind the first position, up to the last."""
    return tuple(
        Cause(
            position=entry.position,
            stream=entry.stream,
            version=entry.version,
            type=tag(type(entry.event)),
            title=title_of(type(entry.event)),
            user=entry.actor.user,
            role=entry.actor.role,
        )
        for entry in entries
        if first < entry.position <= last
    )


def shifted(before: Sequence[Figure], after: Sequence[Figure]) -> list[Shifted]:
    """Return the figures that come out otherwise."""
    one, other = ({(figure.code, figure.part): figure for figure in some} for some in (before, after))
    found: list[Shifted] = []
    for name in dict.fromkeys((*one, *other)):
        was, now = one.get(name), other.get(name)
        if was != now:
            sides = tuple(None if figure is None else (figure.above, figure.below) for figure in (was, now))
            named = now or was
            assert named is not None
            found.append(Shifted(named.code, named.title, named.part, *sides))
    return found
