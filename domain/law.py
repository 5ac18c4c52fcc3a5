"""法. Everything a decision, a clock or a report looks up that is not the case itself: the institution stream, folded.

`Law` and its parts are immutable and answer as of any instant; what publishes them is in `institution`. Where an answer
depends on the instant, `next_..._change` says from when on it may be another.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Final, Generic, TypeVar
from uuid import UUID

import msgspec

from domain import policy
from domain.calendar import Calendar, CalendarYear
from domain.policy import Pack, Rules
from domain.refusals import NoPolicyInForce, UnknownPolicy
from domain.sharing import Agreement
from domain.terms import Citation, Fact, PolicyRef, Role, UnitId, UserId
from domain.units import BEGINNING, Unit, Units, day_of, day_start

# --- answers: what changes with time -----------------------------------------------------------------------------

T = TypeVar("T")
_ONE_DAY: Final = timedelta(days=1)


class Timeline(Generic[T]):
    """A value that changes at known instants: `before` until the first, then each value from its instant on."""

    __slots__ = ("_starts", "_values")

    def __init__(self, before: T, changes: Iterable[tuple[datetime, T]]) -> None:
        self._starts: list[datetime] = []
        self._values = [before]
        for instant, value in changes:
            if value != self._values[-1]:
                self._starts.append(instant)
                self._values.append(value)

    def at(self, instant: datetime) -> T:
        """Return the value at an instant."""
        return self._values[bisect_right(self._starts, instant)]

    def next_change(self, instant: datetime) -> datetime | None:
        """Return the first instant after this one at which the value differs."""
        place = bisect_right(self._starts, instant)
        return self._starts[place] if place < len(self._starts) else None


def _earliest(*instants: datetime | None) -> datetime | None:
    return min((instant for instant in instants if instant is not None), default=None)


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """A published pack and the days it is in force, the last included; None: without end on that side."""

    ref: PolicyRef
    pack: Pack
    first: date | None
    last: date | None
    assumed: bool = False

    def meets(self, first: date | None, last: date | None) -> bool:
        """Tell whether the pack is in force on any of these days; an assumed pack is in force on none."""
        if self.assumed:
            return False
        latest_first = max(self.first or date.min, first or date.min)
        return latest_first <= min(self.last or date.max, last or date.max)

    def ended_by(self, first: date | None) -> Publication:
        """Return the publication as it is once another replaces it from a day on; None: it never was in force."""
        eve = first - _ONE_DAY if first is not None and first > date.min else date.min
        return msgspec.structs.replace(self, last=min(self.last or date.max, eve))


class Policies(msgspec.Struct, frozen=True, dict=True):
    """政策目录. Every published pack, in the order of publication."""

    publications: tuple[Publication, ...] = ()

    def with_publication(self, new: Publication, replaces: PolicyRef | None) -> Policies:
        """Return the list with one more publication, which ends the one it replaces on the eve of its first day."""
        held = [
            p.ended_by(new.first) if p.ref == replaces and p.meets(new.first, new.last) else p
            for p in self.publications
        ]
        return Policies(publications=(*held, new))

    @cached_property
    def prepared(self) -> dict[str, Rules]:
        """Packs ready for use, by digest; filled on first use."""
        return {}

    def prepare(self, ref: PolicyRef) -> Rules:
        """Return a pack ready for use and keep it so. Raises UnknownPolicy."""
        for publication in self.publications:
            if publication.ref == ref:
                return self.prepared.setdefault(ref.digest, policy.rules(publication.pack))
        raise UnknownPolicy(f"{ref.pack} {ref.digest}", pack=ref.pack)

    @cached_property
    def base(self) -> Timeline[PolicyRef | None]:
        """The pack in force; where history has two, the later published."""

        def on(day: date) -> PolicyRef | None:
            found = (p.ref for p in reversed(self.publications) if not p.pack.overlay and p.meets(day, day))
            return next(found, None)

        return Timeline(on(date.min), [(day_start(day), on(day)) for day in self._days])

    @cached_property
    def overlays(self) -> Timeline[tuple[Rules, ...]]:
        """The overlays in force, in the order of publication."""

        def on(day: date) -> tuple[Rules, ...]:
            found = (p.ref for p in self.publications if p.pack.overlay and p.meets(day, day))
            return tuple(self.prepare(ref) for ref in found)

        return Timeline(on(date.min), [(day_start(day), on(day)) for day in self._days])

    @cached_property
    def _days(self) -> list[date]:
        firsts = {p.first for p in self.publications if p.first is not None}
        ends = {p.last + _ONE_DAY for p in self.publications if p.last is not None and p.last < date.max}
        return sorted(firsts | ends)


class KnownYear(msgspec.Struct, frozen=True):
    """A version of a calendar year and the instant from which anybody could count by it."""

    since: datetime
    calendar: CalendarYear


Window = tuple[datetime, datetime | None, "Calendar"]
"""A span of instants, open where nothing later is known, and the calendar known in it."""


@lru_cache(maxsize=64)
def _calendar(years: tuple[CalendarYear, ...]) -> Calendar:
    return Calendar(years)  # tables of a century: made once for the same versions, whoever folds them


class Calendars(msgspec.Struct, frozen=True, dict=True):
    """日历目录. Every published version, and what was known of them at any instant."""

    versions: tuple[KnownYear, ...] = ()

    def latest(self, year: int) -> CalendarYear | None:
        """Return the highest version of a year."""
        found = (v.calendar for v in self.versions if v.calendar.year == year)
        return max(found, key=lambda calendar: calendar.version, default=None)

    @cached_property
    def newest(self) -> Calendar:
        """The calendar with everything published."""
        return self._knowing(len(self._cuts))

    @cached_property
    def last_cut(self) -> datetime:
        """The instant from which the newest calendar is the one known."""
        return self._cuts[-1] if self._cuts else BEGINNING

    def known(self, at: datetime) -> Calendar:
        """Return the calendar as it was known at an instant."""
        return self._knowing(bisect_right(self._cuts, at))

    def window(self, at: datetime) -> Window:
        """Return the calendar known at an instant, with the span of instants it was the one known."""
        place = bisect_right(self._cuts, at)
        since = self._cuts[place - 1] if place else BEGINNING
        until = self._cuts[place] if place < len(self._cuts) else None
        self._last[0] = found = since, until, self._knowing(place)
        return found

    @property
    def last_window(self) -> Window:
        """The window asked for last: cases read one after another mostly ended in the same one."""
        return self._last[0]

    @cached_property
    def _last(self) -> list[Window]:
        return [(self.last_cut, None, self.newest)]

    @cached_property
    def _cuts(self) -> list[datetime]:
        return sorted({version.since for version in self.versions})

    @cached_property
    def _made(self) -> dict[int, Calendar]:
        return {}

    def _knowing(self, cuts: int) -> Calendar:
        made = self._made.get(cuts)
        if made is None:
            known = tuple(v.calendar for v in self.versions if cuts and v.since <= self._cuts[cuts - 1])
            made = self._made[cuts] = _calendar(known)
        return made


class Peak(msgspec.Struct, frozen=True, kw_only=True):
    """话务集中时段. [from_at, until), and when its end was declared."""

    from_at: datetime
    until: datetime
    ended: datetime | None = None

    @property
    def ends(self) -> datetime:
        """The first instant that is not inside."""
        return self.until if self.ended is None else min(self.until, self.ended)


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """系统中断. [from_at, until) for all, or for the units named and those below them."""

    from_at: datetime
    until: datetime
    basis: Citation
    units: tuple[UnitId, ...] = ()  # empty: all
    number: int = 0  # the proposal it was approved from


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """提案. What waits for a second person, who proposed it and when."""

    content: Fact
    by: UserId
    at: datetime


class NumberBlock(msgspec.Struct, frozen=True, kw_only=True):
    """号段. Numbers reserved for paper slips, by journal, and those voided since."""

    at: datetime
    reason: str
    numbers: dict[str, tuple[int, ...]]
    voided: dict[str, frozenset[int]] = {}

    def usable(self, journal: str, number: int) -> bool:
        """Tell whether a number was reserved here and not voided."""
        return number in self.numbers.get(journal, ()) and number not in self.voided.get(journal, ())


# --- law ---------------------------------------------------------------------------------------------------------


class Law(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """法. The fold of the institution stream: everything a decision or a clock looks up that is not the case itself.

    Immutable. A new version shares all that did not change, so keeping one by its version costs nothing.
    """

    version: int = 0
    ledger_id: UUID | None = None
    city_code: str = ""
    sandbox: bool = False  # may be reset; said by the founding act, so that no city becomes one afterwards
    city_name: str = ""
    hash_algorithm: str = "sha256"
    policies: Policies = Policies()
    calendars: Calendars = Calendars()
    units: Units = Units()
    peaks: dict[int, Peak] = {}
    outages: tuple[Outage, ...] = ()
    pending: dict[int, Proposal] = {}
    proposals: int = 0  # the number of the last proposal
    blocks: dict[int, NumberBlock] = {}
    agreements: dict[str, Agreement] = {}  # by consumer

    @property
    def hotline_unit(self) -> UnitId:
        """The hotline's own unit, the root of all that handle."""
        return self.units.hotline

    # --- policies and calendars ---

    def rules(self, ref: PolicyRef) -> Rules:
        """Return a published pack ready for use. Raises UnknownPolicy."""
        found = self.policies.prepared.get(ref.digest)
        return found if found is not None else self.policies.prepare(ref)

    def policy_at(self, at: datetime) -> PolicyRef:
        """Return the pack in force on the Shanghai day of an instant. Raises NoPolicyInForce."""
        found = self.policies.base.at(at)
        if found is None:
            raise NoPolicyInForce(str(day_of(at)))
        return found

    def overlays(self, at: datetime) -> tuple[Rules, ...]:
        """Return the overlays in force on the Shanghai day of an instant."""
        return self.policies.overlays.at(at)

    def next_policy_change(self, at: datetime) -> datetime | None:
        """Return the first instant after `at` from which another pack or overlay is in force."""
        return _earliest(self.policies.base.next_change(at), self.policies.overlays.next_change(at))

    def calendar(self, known_at: datetime | None = None) -> Calendar:
        """Return the newest calendar, or the one known at an instant (K11: for a clock that stopped then)."""
        calendars = self.calendars
        if known_at is None or known_at >= calendars.last_cut:
            return calendars.newest
        return calendars.known(known_at)

    # --- peaks and outages ---

    @cached_property
    def _peaks(self) -> Timeline[bool]:
        spans = [(peak.from_at, peak.ends) for peak in self.peaks.values() if peak.from_at < peak.ends]
        edges = sorted({instant for span in spans for instant in span})
        inside = [(at, any(first <= at < end for first, end in spans)) for at in edges]
        return Timeline(False, inside)

    def peak_at(self, instant: datetime) -> bool:
        """Tell whether an order registered at an instant is registered inside a declared peak (R-01)."""
        return self._peaks.at(instant)

    def peak_during(self, from_at: datetime, to: datetime) -> bool:
        """Tell whether a wait from one instant to another, both included, meets a peak (option any_overlap).

        A wait that began before a peak was ended meets the peak as it was declared: the end never shortens it.
        """
        return any(peak.from_at <= to and from_at < peak.ends for peak in self.peaks.values())

    def next_peak_change(self, at: datetime) -> datetime | None:
        """Return the first instant after `at` at which a peak begins or ends."""
        return self._peaks.next_change(at)

    def outage_at(self, instant: datetime, unit: UnitId | None = None) -> Outage | None:
        """Return the outage an instant lies in: one for all, or one that covers `unit` by itself or from above."""
        found = (o for o in self.outages if o.from_at <= instant < o.until and self._covers(o, unit, instant))
        return next(found, None)

    def outage_over(self, due: datetime, unit: UnitId) -> Outage | None:
        """Return the outage a due instant falls in: 24:00 belongs to the day it ends (K5), so its end is inside."""
        found = (o for o in self.outages if o.from_at < due <= o.until and self._covers(o, unit, due))
        return next(found, None)

    def outages_of(self, unit: UnitId) -> tuple[Outage, ...]:
        """Return the outages that cover a unit: those for all, or for it by itself or from above."""
        return tuple(o for o in self.outages if self._covers(o, unit, o.from_at))

    def _covers(self, outage: Outage, unit: UnitId | None, at: datetime) -> bool:
        """Tell whether an outage is one for all, or for `unit` by itself or from above."""
        if not outage.units:
            return True
        return unit is not None and any(self.is_within(unit, above, at) for above in outage.units)

    # --- units and roles ---

    def unit(self, unit: UnitId) -> Unit | None:
        """Return a unit with all its versions."""
        return self.units.get(unit)

    def unit_name(self, unit: UnitId, at: datetime) -> str:
        """Return the name of the day; before the first version the first name, of an unknown unit its code."""
        return self.units.name(unit, at)

    def active(self, unit: UnitId, at: datetime) -> bool:
        """Tell whether a unit exists at an instant and has not been succeeded."""
        return self.units.active(unit, at)

    def parent(self, unit: UnitId, at: datetime) -> UnitId | None:
        """Return the next-higher unit at an instant, or its heir; None at a root and for an unknown unit (R-37)."""
        return self.units.parent(unit, at)

    def is_within(self, unit: UnitId, ancestor: UnitId, at: datetime) -> bool:
        """Tell whether a unit is `ancestor` or stands anywhere below it."""
        return self.units.is_within(unit, ancestor, at)

    def successor(self, unit: UnitId, at: datetime) -> UnitId:
        """Return the unit that bears the duties of `unit` at an instant: itself, or the last heir in the chain."""
        return self.units.successor(unit, at)

    def heirs(self, unit: UnitId, at: datetime) -> frozenset[UnitId]:
        """Return a unit and all that took over from it until an instant: whoever may not judge what it did."""
        return self.units.heirs(unit, at)

    def holders(self, role: Role, unit: UnitId, at: datetime) -> tuple[UserId, ...]:
        """Return who holds a role in a unit at an instant, in the order of their first grant."""
        return self.units.holders(role, unit, at)

    def has_role(self, user: UserId, role: Role, unit: UnitId, at: datetime) -> bool:
        """Tell whether a person holds a role in a unit at an instant."""
        return self.units.has_role(user, role, unit, at)

    def next_change(self, at: datetime) -> datetime | None:
        """Return the first instant after `at` from which any answer of the law may differ, if nothing is published."""
        return _earliest(self.next_policy_change(at), self.next_peak_change(at), self.next_unit_change(at))

    def next_unit_change(self, at: datetime) -> datetime | None:
        """Return the first instant after `at` from which any answer about units or roles may differ."""
        return self.units.next_change(at)

    # --- numbers ---

    def block_of(self, journal: str, number: int) -> int | None:
        """Return the block in which a number was reserved and not voided; None if there is none."""
        return next((n for n, block in self.blocks.items() if block.usable(journal, number)), None)
