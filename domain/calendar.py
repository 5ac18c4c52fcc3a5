"""日历. Which days count, and when a limit falls due: the time kernel K1-K8, K11 and K14.

A calendar arrives as data: the days off and make-up days of one year, with the notice they come from,
published into the ledger whole. `Calendar` is the fold of the versions that are known; it never changes. A
year nobody has published yet is presumed (weekends and the fixed statutory days), and every due instant that
looked at such a year says so.

Days are handled as indexes into tables that begin on 1990-01-01, so that a due instant is two list look-ups.
"""

from __future__ import annotations

import tomllib
from calendar import monthrange
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from itertools import accumulate, compress, pairwise, repeat
from typing import Final, Literal, NamedTuple, assert_never

import msgspec

from domain.terms import SHANGHAI, Citation, Limit, LimitUnit, Struct

__all__ = [
    "DEFAULT",
    "BadCalendar",
    "BadLimit",
    "Calendar",
    "CalendarError",
    "CalendarYear",
    "DayKind",
    "DayReason",
    "DayStep",
    "Due",
    "InstantOutOfRange",
    "Kernel",
    "MakeupDay",
    "NaiveInstant",
    "OffSpan",
    "due_day",
    "faults",
    "known",
    "load_calendar",
    "show_due",
]

FIRST_YEAR: Final = 1990
LAST_YEAR: Final = 2100  # of a start; a limit that begins then may end in the year after


# --- errors -------------------------------------------------------------------------------------------------


class CalendarError(ValueError):
    """The base of everything this module refuses."""


class BadCalendar(CalendarError):
    """A calendar year that does not hold together: says in which file, where, and what is wrong."""


class NaiveInstant(CalendarError):
    """An instant without a zone: nobody can say which day it belongs to (K1)."""


class InstantOutOfRange(CalendarError):
    """An instant or a day outside the years 1990 to 2100, or a limit that runs past them."""


class BadLimit(CalendarError):
    """A limit that names no unit, or fewer than one day, or a negative time."""


# --- published years ----------------------------------------------------------------------------------------


class OffSpan(Struct, frozen=True, kw_only=True):
    """放假. Consecutive days off of one holiday, the first and the last included."""

    holiday: str
    first: date
    last: date

    def days(self) -> Iterator[date]:
        """Yield every day of the span."""
        for number in range((self.last - self.first).days + 1):
            yield self.first + timedelta(days=number)


class MakeupDay(Struct, frozen=True, kw_only=True):
    """调休上班. A Saturday or Sunday that is worked in exchange for a day off of the holiday named."""

    day: date
    holiday: str


class CalendarYear(Struct, frozen=True, kw_only=True):
    """年度放假安排. One version of one year, whole: what is published into the ledger.

    A notice may reach into the December before its own year; the year of that December then has a further
    version, which names both notices.
    """

    year: int
    version: int = 1  # 2 and more: the year as a later notice revised it
    known_from: date  # the day the notice was made public: nobody can have counted by it earlier
    basis: tuple[Citation, ...]
    off: tuple[OffSpan, ...]
    makeup: tuple[MakeupDay, ...] = ()


class _CalendarFile(Struct, frozen=True, kw_only=True):
    calendar: tuple[CalendarYear, ...]


def faults(year: CalendarYear) -> tuple[str, ...]:
    """Return what is wrong with one version of a year, a sentence a fault; empty when it may be published."""
    found = [*_faults_of_the_notice(year), *_faults_of_days_off(year)]
    off = {day: span.holiday for span in year.off for day in span.days()}
    holidays = {span.holiday for span in year.off}
    for makeup in year.makeup:
        name = f"makeup {makeup.day} ({makeup.holiday})"
        if makeup.day.year != year.year:
            found.append(f"{name}: is not a day of {year.year}")
        if makeup.day.weekday() < 5:
            found.append(f"{name}: is not a Saturday or Sunday")
        if makeup.day in off:
            found.append(f"{name}: is also a day off ({off[makeup.day]})")
        if makeup.holiday not in holidays:
            found.append(f"{name}: belongs to no holiday of this year")
    for before, after in pairwise(year.makeup):
        if after.day <= before.day:
            found.append(f"makeup {after.day}: is listed twice or out of order")
    return tuple(found)


def _faults_of_the_notice(year: CalendarYear) -> Iterator[str]:
    if not FIRST_YEAR <= year.year <= LAST_YEAR:
        yield f"year {year.year}: is outside {FIRST_YEAR} to {LAST_YEAR}"
    if year.version < 1:
        yield f"version {year.version}: versions are counted from 1"
    if not year.basis or any(not cited.text.strip() for cited in year.basis):
        yield "basis: a calendar without the notice it comes from is not law"
    if year.known_from.year not in (year.year - 1, year.year):
        yield f"known_from {year.known_from}: a notice is given in its own year or the year before"


def _faults_of_days_off(year: CalendarYear) -> Iterator[str]:
    if not year.off:
        yield "off: a year without a day off is a year nobody filled in"
    for span in year.off:
        name = f"off {span.first} to {span.last} ({span.holiday})"
        if not span.holiday.strip():
            yield f"{name}: names no holiday"
        if span.last < span.first:
            yield f"{name}: ends before it begins"
        if span.first.year != year.year or span.last.year != year.year:
            yield f"{name}: leaves {year.year}"
    for before, after in pairwise(year.off):
        if after.first <= before.last:
            yield f"off {after.first} ({after.holiday}): overlaps {before.holiday} or is out of order"


def load_calendar(text: str, where: str) -> tuple[CalendarYear, ...]:
    """Read the versions in one calendar file; `where` names the file in errors.

    Versions of a year are numbered 1, 2, ... in the order they became known. Raises BadCalendar.
    """
    try:
        years = msgspec.convert(tomllib.loads(text), _CalendarFile).calendar
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadCalendar(f"{where}: {error}") from error
    if not years:
        raise BadCalendar(f"{where}: holds no calendar")
    found = [f"{year.year} version {year.version}: {fault}" for year in years for fault in faults(year)]
    held: dict[int, CalendarYear] = {}
    for year in years:
        last = held.get(year.year)
        expected = last.version + 1 if last else 1
        if year.version != expected:
            found.append(f"{year.year} version {year.version}: expected version {expected}")
        if last and year.known_from < last.known_from:
            found.append(f"{year.year} version {year.version}: was known before the version it revises")
        held[year.year] = year
    if found:
        raise BadCalendar(f"{where}: " + "; ".join(found))
    return years


def known(years: Iterable[CalendarYear], at: datetime) -> tuple[CalendarYear, ...]:
    """Return the versions that were known at an instant (K11): known_from is that day or earlier."""
    day = _local(at).date()
    return tuple(year for year in years if year.known_from <= day)


# --- answers ------------------------------------------------------------------------------------------------


class Kernel(Struct, frozen=True, kw_only=True):
    """计时规则. The options of a pack; the defaults are what all packs use."""

    roll_natural_days: bool = False  # K7: natural days that end on a day off run to the next working day
    day_end: time | None = None  # K8: when the last day closes; None is 24:00
    mode: Literal["day_end", "rolling"] = "day_end"  # K14: rolling keeps the clock time (working days only)


DEFAULT: Final = Kernel()


class Due(msgspec.Struct, frozen=True, gc=False):
    """到期时刻. The last instant that is in time, and whether a year not yet published had to be presumed.

    D 24:00 is the first instant of the next day; on time means at or before `at` (K4, K5).
    """

    at: datetime
    provisional: bool = False


class DayKind(StrEnum):
    """Why a day is counted or not."""

    WEEKDAY = "weekday"  # 工作日
    MAKEUP = "makeup"  # 调休上班
    WEEKEND = "weekend"  # 周末
    HOLIDAY = "holiday"  # 放假
    PRESUMED_WEEKDAY = "presumed_weekday"  # 推定工作日 (日历未公布)
    PRESUMED_WEEKEND = "presumed_weekend"  # 推定周末 (日历未公布)
    PRESUMED_HOLIDAY = "presumed_holiday"  # 推定法定节假日 (日历未公布)
    START = "start"  # 起算当日，不计入 (K3)
    NATURAL_DAY = "natural_day"  # 自然日
    MONTHS = "months"  # 到期月的对应日
    CLOCK = "clock"  # 连续计时 (K2)
    WRITTEN = "written"  # 指定期限


class DayReason(Struct, frozen=True, kw_only=True):
    """Why a day counts, with the holiday it belongs to."""

    kind: DayKind
    holiday: str = ""

    @property
    def working(self) -> bool:
        """Tell whether the day is a working day for this reason."""
        return self.kind in _WORKING

    @property
    def presumed(self) -> bool:
        """Tell whether the day's year has no published calendar (K11)."""
        return self.kind in _PRESUMED


class DayStep(Struct, frozen=True, kw_only=True):
    """One line of an explanation: a day and its running number if counted; the last has the due instant."""

    day: date
    reason: DayReason
    number: int = 0  # 0: not counted
    ends: datetime | None = None


_WORKING: Final = frozenset({DayKind.WEEKDAY, DayKind.MAKEUP, DayKind.PRESUMED_WEEKDAY})
_PRESUMED: Final = frozenset({DayKind.PRESUMED_WEEKDAY, DayKind.PRESUMED_WEEKEND, DayKind.PRESUMED_HOLIDAY})
_REASON: Final = {kind: DayReason(kind=kind) for kind in DayKind}


# --- tables that no calendar changes ------------------------------------------------------------------------

_BASE: Final = date(FIRST_YEAR, 1, 1).toordinal()
_STARTS: Final = date(LAST_YEAR + 1, 1, 1).toordinal() - _BASE  # a start has an index below this
_DAYS: Final = date(LAST_YEAR + 2, 1, 1).toordinal() - _BASE

# Bound once: attribute look-ups on an Enum are too slow for the path every clock takes.
_MINUTES: Final = LimitUnit.MINUTES
_HOURS: Final = LimitUnit.HOURS
_NATURAL_DAYS: Final = LimitUnit.NATURAL_DAYS
_WORKING_DAYS: Final = LimitUnit.WORKING_DAYS
_ONE_MINUTE: Final = timedelta(minutes=1)
_ONE_HOUR: Final = timedelta(hours=1)
# Multiplying a timedelta costs five times as much as adding one, so the usual ones are kept.
_SPANS: Final = 241
_SPANS_OF_HOURS: Final = tuple(_ONE_HOUR * amount for amount in range(_SPANS))
_SPANS_OF_MINUTES: Final = tuple(_ONE_MINUTE * amount for amount in range(_SPANS))
_ONE_DAY: Final = timedelta(days=1)

# K11: what is off in every year whatever the notice says; the lunar holidays cannot be known before it.
_FIXED: Final = {
    (1, 1): "元旦",
    (5, 1): "劳动节",
    (5, 2): "劳动节",
    (10, 1): "国庆节",
    (10, 2): "国庆节",
    (10, 3): "国庆节",
}


class _Grid(NamedTuple):
    weekdays: bytes  # 1 for Monday to Friday
    presumed: bytes  # 1 for a working day of a year without a published calendar
    firm: list[Due]  # by index of a day D: D 24:00
    unsure: list[Due]  # the same, provisional


@cache
def _grid() -> _Grid:
    weekdays = (bytes([1, 1, 1, 1, 1, 0, 0]) * (_DAYS // 7 + 1))[:_DAYS]  # 1990-01-01 was a Monday
    presumed = bytearray(weekdays)
    for year in range(FIRST_YEAR, LAST_YEAR + 2):
        for month, day in _FIXED:
            presumed[date(year, month, day).toordinal() - _BASE] = 0
    first = datetime(FIRST_YEAR, 1, 2, tzinfo=SHANGHAI)
    ends = [first + timedelta(index) for index in range(_DAYS)]
    return _Grid(weekdays, bytes(presumed), list(map(Due, ends)), list(map(Due, ends, repeat(True))))


def _local(instant: datetime) -> datetime:
    """Return the instant in Shanghai's time (K1: convert before taking the date)."""
    if instant.tzinfo is SHANGHAI:
        return instant
    if instant.tzinfo is not UTC and instant.utcoffset() is None:
        raise NaiveInstant(f"{instant.isoformat()} has no zone")
    try:
        return instant.astimezone(SHANGHAI)
    except OverflowError as error:
        raise InstantOutOfRange(f"{instant.isoformat()} leaves the range of dates") from error


def _index(day: date, end: int = _STARTS) -> int:
    index = day.toordinal() - _BASE
    if not 0 <= index < end:
        raise InstantOutOfRange(
            f"{day.isoformat()} 超出{FIRST_YEAR}至{LAST_YEAR}年 lies outside the years {FIRST_YEAR} to {LAST_YEAR}"
        )
    return index


def _date(index: int) -> date:
    return date.fromordinal(_BASE + index)


def due_day(due: datetime) -> date:
    """Return the day a due instant belongs to: 00:00:00.000 is 24:00 of the day before (K5)."""
    return (_local(due) - timedelta(microseconds=1)).date()


def show_due(due: datetime) -> str:
    """Show a due instant as an office writes it: `2025-03-11 24:00 (Tue)`, `2026-01-01 00:40:00 (Thu)`."""
    local = _local(due)
    day = due_day(local)
    weekday = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[day.weekday()]
    if local.time() == time.min:
        return f"{day} 24:00 ({weekday})"
    fraction = f".{local.microsecond // 1000:03}" if local.microsecond else ""
    return f"{day} {local:%H:%M:%S}{fraction} ({weekday})"


# --- the calendar -------------------------------------------------------------------------------------------


class _Anchor(NamedTuple):
    """Where counting begins: the instant, and the index of the day it belongs to, which is not counted."""

    instant: datetime
    day: int


class Calendar:
    """日历. The fold of all versions known; immutable, so it may be shared and kept.

    Of several versions of a year the highest wins: hand in only those known at the instant asked about.
    """

    __slots__ = ("_firm", "_flags", "_gap", "_holidays", "_rank", "_told", "_unsure", "_wd", "_years")

    def __init__(self, years: Iterable[CalendarYear] = ()) -> None:
        newest: dict[int, CalendarYear] = {}
        for year in years:
            held = newest.get(year.year)
            if held is None or year.version > held.version:
                newest[year.year] = year
        grid = _grid()
        flags = bytearray(grid.presumed)
        holidays: dict[int, tuple[DayKind, str]] = {}
        for year in newest.values():
            _apply(year, flags, holidays, grid)
        self._years = newest
        self._flags = bytes(flags)
        self._holidays = holidays
        # The n-th working day after day i is _wd[_rank[i] + n]; place 0 is never reached, since n > 0.
        self._rank = list(accumulate(flags))
        self._wd = [-1, *compress(range(_DAYS), flags)]
        self._gap = _gaps(newest)
        self._firm = grid.firm
        self._unsure = grid.unsure
        self._told: dict[tuple[int, int, LimitUnit | None], tuple[DayStep, ...]] = {}

    def published(self, year: int) -> CalendarYear | None:
        """Return the version in force of a year, with its basis; None while nobody has published it."""
        return self._years.get(year)

    def is_working_day(self, day: date) -> bool:
        """Tell whether a day is a working day (K6); a year without a calendar is presumed (K11)."""
        return self._flags[_index(day, _DAYS)] == 1

    def working_days(self, after: date, through: date) -> int:
        """Count the working days after one day, up to and including another."""
        return self._rank[_index(through, _DAYS)] - self._rank[_index(after, _DAYS)]

    def reason(self, day: date) -> DayReason:
        """Return why a day is a working day or is not."""
        index = _index(day, _DAYS)
        if day.year in self._years:
            if named := self._holidays.get(index):
                return DayReason(kind=named[0], holiday=named[1])
            return _REASON[DayKind.WEEKDAY if day.weekday() < 5 else DayKind.WEEKEND]
        if holiday := _FIXED.get((day.month, day.day)):
            return DayReason(kind=DayKind.PRESUMED_HOLIDAY, holiday=holiday)
        return _REASON[DayKind.PRESUMED_WEEKDAY if day.weekday() < 5 else DayKind.PRESUMED_WEEKEND]

    # --- due ---

    def due(self, start: datetime, limit: Limit, kernel: Kernel = DEFAULT) -> Due:
        """Return when a limit that starts at an instant falls due (K2, K3, K4).

        `provisional` when a day of a year without a published calendar had to be judged. Raises NaiveInstant,
        InstantOutOfRange, BadLimit.
        """
        if start.tzinfo is not SHANGHAI:
            start = _local(start)
        # What nearly every clock asks, without any call or allocation it can spare; all else is general.
        if (
            limit.until is None
            and (amount := limit.amount) > 0
            and 0 <= (index := start.toordinal() - _BASE) < _STARTS
            and (kernel is DEFAULT or kernel == DEFAULT)
        ):
            unit = limit.unit
            try:
                if unit is _WORKING_DAYS:
                    last = self._wd[self._rank[index] + amount]
                    return self._firm[last] if last < self._gap[index] else self._unsure[last]
                if unit is _NATURAL_DAYS:
                    return self._firm[index + amount]
                if unit is _HOURS and amount < _SPANS:
                    return Due(start + _SPANS_OF_HOURS[amount])
                if unit is _MINUTES and amount < _SPANS:
                    return Due(start + _SPANS_OF_MINUTES[amount])
            except IndexError:
                raise _too_long(limit) from None
        return self._end(_Anchor(start, _index(start)), limit, kernel)

    def extend(self, due: datetime, limit: Limit, kernel: Kernel = DEFAULT) -> Due:
        """Return the due instant moved on by a limit, counted from the old due day (R-11).

        The next working or natural day counts 1. `provisional` speaks of the days added only.
        """
        return self._end(_anchor_of_due(due), limit, kernel)

    def before(self, due: datetime, limit: Limit, kernel: Kernel = DEFAULT) -> Due:
        """Return the instant a limit ahead of a due instant: reminders, a co-organizer's lead (A-08).

        Days are counted back from the due day: one working day before Monday 24:00 is Friday 24:00.
        """
        anchor = _anchor_of_due(due)
        index, amount = anchor.day, limit.amount
        match unit := _checked(limit):
            case LimitUnit.MINUTES:
                return _by_clock(anchor.instant, -amount, _ONE_MINUTE, limit)
            case LimitUnit.HOURS:
                return _by_clock(anchor.instant, -amount, _ONE_HOUR, limit)
            case LimitUnit.NATURAL_DAYS:
                return self._close(_within(index - amount, limit), kernel, provisional=False)
            case LimitUnit.MONTHS:
                day = _months_from(_date(index), -amount)
                return self._close(_index(day, _DAYS), kernel, provisional=False)
            case LimitUnit.WORKING_DAYS:
                place = self._rank[index] - self._flags[index] + 1 - amount
                if place < 1:
                    raise _too_long(limit)
                first = self._wd[place]
                return self._close_working_day(first, anchor, kernel, provisional=self._looked(first, index))
            case _:
                assert_never(unit)

    def _end(self, anchor: _Anchor, limit: Limit, kernel: Kernel) -> Due:
        if limit.until is not None:
            return Due(_local(limit.until))
        index, amount = anchor.day, limit.amount
        match unit := _checked(limit):
            case LimitUnit.MINUTES:
                return _by_clock(anchor.instant, amount, _ONE_MINUTE, limit)
            case LimitUnit.HOURS:
                return _by_clock(anchor.instant, amount, _ONE_HOUR, limit)
            case LimitUnit.WORKING_DAYS:
                place = self._rank[index] + amount
                if place >= len(self._wd):
                    raise _too_long(limit)
                last = self._wd[place]
                provisional = self._looked(index + 1, last + 1)
                return self._close_working_day(last, anchor, kernel, provisional=provisional)
            case LimitUnit.NATURAL_DAYS:
                return self._rolled(_within(index + amount, limit), kernel)
            case LimitUnit.MONTHS:
                return self._rolled(_index(_months_from(_date(index), amount), _DAYS), kernel)
            case _:
                assert_never(unit)

    def _rolled(self, last: int, kernel: Kernel) -> Due:
        if not kernel.roll_natural_days:
            return self._close(last, kernel, provisional=False)
        rolled = last if self._flags[last] else self._wd[self._rank[last] + 1]
        return self._close(rolled, kernel, provisional=self._looked(last, rolled + 1))

    def _looked(self, first: int, end: int) -> bool:
        """Tell whether a day from `first` up to, not including, `end` is of a year without a calendar."""
        return (self._gap[first - 1] if first else 0) < end

    def _close(self, last: int, kernel: Kernel, *, provisional: bool) -> Due:
        """Return the end of a last day: the pack's closing time, else 24:00 (K4, K8)."""
        closing = (self._unsure if provisional else self._firm)[last]
        if kernel.day_end is None or kernel.day_end == time.min:  # who writes 00:00 means the end of the day
            return closing
        return Due(datetime.combine(_date(last), kernel.day_end, SHANGHAI), provisional)

    def _close_working_day(self, last: int, anchor: _Anchor, kernel: Kernel, *, provisional: bool) -> Due:
        """Return the end of a last working day; a rolling limit ends at the clock time it began at (K14)."""
        if kernel.mode == "day_end":
            return self._close(last, kernel, provisional=provisional)
        # As far from the end of its day as the anchor was: 24:00 stays 24:00, and 00:00 stays 00:00.
        return Due(self._firm[last].at - (self._firm[anchor.day].at - anchor.instant), provisional)

    # --- explanations ---

    def explain(self, start: datetime, limit: Limit, kernel: Kernel = DEFAULT) -> tuple[DayStep, ...]:
        """Return every day that was counted or skipped, in order; the last step carries the due instant."""
        local = _local(start)
        return self._explain(_Anchor(local, _index(local)), limit, kernel)

    def explain_extension(self, due: datetime, limit: Limit, kernel: Kernel = DEFAULT) -> tuple[DayStep, ...]:
        """Return the days an extension counted; the first step is the old due day, not counted again."""
        return self._explain(_anchor_of_due(due), limit, kernel)

    def _explain(self, anchor: _Anchor, limit: Limit, kernel: Kernel) -> tuple[DayStep, ...]:
        # Under the usual kernel every limit in days that begins on a day is told alike, whatever the hour.
        if limit.until is not None or limit.in_hours or kernel != DEFAULT:
            return self._tell(anchor, limit, kernel)
        key = (anchor.day, limit.amount, limit.unit)
        told = self._told.get(key)
        if told is None:
            if len(self._told) >= 20_000:
                self._told.clear()
            told = self._told[key] = self._tell(anchor, limit, kernel)
        return told

    def _tell(self, anchor: _Anchor, limit: Limit, kernel: Kernel) -> tuple[DayStep, ...]:
        ends = self._end(anchor, limit, kernel).at
        if limit.until is not None:
            return (DayStep(day=due_day(ends), reason=_REASON[DayKind.WRITTEN], ends=ends),)
        if limit.in_hours:
            by_clock = _REASON[DayKind.CLOCK]
            return (DayStep(day=due_day(ends), reason=by_clock, number=limit.amount, ends=ends),)
        steps = [DayStep(day=_date(anchor.day), reason=_REASON[DayKind.START])]
        if limit.unit is _WORKING_DAYS:
            steps += self._count_working_days(anchor.day, limit.amount)
        elif limit.unit is _NATURAL_DAYS:
            steps += _count_natural_days(anchor.day, limit.amount)
        else:
            day = _months_from(_date(anchor.day), limit.amount)
            steps.append(DayStep(day=day, reason=_REASON[DayKind.MONTHS], number=limit.amount))
        if limit.unit is not _WORKING_DAYS and kernel.roll_natural_days:
            steps += self._roll_on(steps[-1].day)
        return (*steps[:-1], msgspec.structs.replace(steps[-1], ends=ends))

    def _count_working_days(self, index: int, amount: int) -> Iterator[DayStep]:
        # Walks day by day on purpose: an explanation that used the tables could not contradict them.
        number = 0
        while number < amount:
            index += 1
            reason = self.reason(_date(index))
            number += reason.working
            yield DayStep(day=_date(index), reason=reason, number=number if reason.working else 0)

    def _roll_on(self, day: date) -> Iterator[DayStep]:
        reason = self.reason(day)
        while not reason.working:
            day += _ONE_DAY
            reason = self.reason(day)
            yield DayStep(day=day, reason=reason)


def _apply(year: CalendarYear, flags: bytearray, holidays: dict[int, tuple[DayKind, str]], grid: _Grid) -> None:
    """Write one published year over the presumption."""
    if found := faults(year):
        raise BadCalendar(f"calendar {year.year} version {year.version}: " + "; ".join(found))
    first, end = _index(date(year.year, 1, 1)), _index(date(year.year + 1, 1, 1), _DAYS)
    flags[first:end] = grid.weekdays[first:end]
    for span in year.off:
        for day in span.days():
            flags[_index(day)] = 0
            holidays[_index(day)] = (DayKind.HOLIDAY, span.holiday)
    for makeup in year.makeup:
        flags[_index(makeup.day)] = 1
        holidays[_index(makeup.day)] = (DayKind.MAKEUP, makeup.holiday)


def _gaps(published: dict[int, CalendarYear]) -> list[int]:
    """Return, for each day, the first later day whose year has no published calendar."""
    gaps: list[int] = []
    for year in range(FIRST_YEAR, LAST_YEAR + 2):
        first, end = date(year, 1, 1).toordinal() - _BASE, date(year + 1, 1, 1).toordinal() - _BASE
        following = year + 1
        while following in published:
            following += 1
        gap = min(date(following, 1, 1).toordinal() - _BASE, _DAYS)  # nothing is looked at beyond the table
        gaps += repeat(gap, end - first) if year in published else (*range(first + 1, end), gap)
    return gaps


def _count_natural_days(index: int, amount: int) -> Iterator[DayStep]:
    for number in range(1, amount + 1):
        yield DayStep(day=_date(index + number), reason=_REASON[DayKind.NATURAL_DAY], number=number)


def _anchor_of_due(due: datetime) -> _Anchor:
    local = _local(due)
    return _Anchor(local, _index(due_day(local), _DAYS))


def _checked(limit: Limit) -> LimitUnit:
    """Return the limit's unit, or raise BadLimit."""
    if limit.unit is None:
        raise BadLimit("the limit names no unit")
    least = 0 if limit.unit is _MINUTES or limit.unit is _HOURS else 1
    if limit.amount < least:
        raise BadLimit(f"{limit.amount} {limit.unit.value}: at least {least}")
    return limit.unit


def _by_clock(instant: datetime, amount: int, unit: timedelta, limit: Limit) -> Due:
    try:
        return Due(instant + unit * amount)
    except OverflowError:
        raise _too_long(limit) from None


def _within(index: int, limit: Limit) -> int:
    if not 0 <= index < _DAYS:
        raise _too_long(limit)
    return index


def _too_long(limit: Limit) -> InstantOutOfRange:
    return InstantOutOfRange(f"{limit.amount} {limit.unit} leave the years {FIRST_YEAR} to {LAST_YEAR}")


def _months_from(day: date, months: int) -> date:
    """Return the corresponding day, or the last day of a month that has none (民法典202)."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not 1 <= year <= 9998:
        raise InstantOutOfRange(f"{months} months from {day} leave the years {FIRST_YEAR} to {LAST_YEAR}")
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
