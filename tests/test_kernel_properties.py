"""Properties of the time kernel (DOMAIN 6.1) over any calendar, start and limit, against a slow and naive oracle."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path

from hypothesis import assume, given
from hypothesis import strategies as st

from domain.calendar import Calendar, CalendarYear, Due, Kernel, MakeupDay, OffSpan, due_day, faults, load_calendar
from domain.terms import SHANGHAI, Citation, Limit, LimitUnit

CALENDARS = Path(__file__).parent.parent / "domain" / "calendars"
DAY = timedelta(days=1)
FIRST, LAST = 2019, 2023  # the years that made-up calendars are about
FIXED = {(1, 1), (5, 1), (5, 2), (10, 1), (10, 2), (10, 3)}


@cache
def real_years() -> tuple[CalendarYear, ...]:
    return tuple(
        year for path in sorted(CALENDARS.glob("*.toml")) for year in load_calendar(path.read_text(), path.name)
    )


@lru_cache(maxsize=8)  # a calendar's tables are megabytes
def folded(years: tuple[CalendarYear, ...]) -> Calendar:
    return Calendar(years)


# --- what is drawn -------------------------------------------------------------------------------------------------


def made_up(year: int, off: set[date], makeup: set[date]) -> CalendarYear:
    """Write a year whose days off are the ones named; consecutive days become one span."""
    runs = groupby(enumerate(sorted(off)), key=lambda pair: pair[1].toordinal() - pair[0])
    spans = [[day for _, day in run] for _, run in runs]
    return CalendarYear(
        year=year,
        known_from=date(year, 1, 1),
        basis=(Citation(text="a made-up notice"),),
        off=tuple(OffSpan(holiday="假", first=days[0], last=days[-1]) for days in spans),
        makeup=tuple(MakeupDay(day=day, holiday="假") for day in sorted(makeup)),
    )


@st.composite
def calendar_years(draw: st.DrawFn, year: int) -> CalendarYear:
    days = st.dates(date(year, 1, 1), date(year, 12, 31))
    spans = draw(st.lists(st.tuples(days, st.integers(1, 10)), min_size=1, max_size=6))
    off = {first + DAY * number for first, length in spans for number in range(length)}
    off = {day for day in off if day.year == year}
    makeup = draw(st.sets(days, max_size=8))
    return made_up(year, off, {day for day in makeup if day.weekday() >= 5} - off)


@st.composite
def some_years(draw: st.DrawFn) -> tuple[CalendarYear, ...]:
    """Draw the real years, or made-up ones with gaps between them."""
    if draw(st.booleans()):
        return real_years()
    chosen = draw(st.sets(st.integers(FIRST, LAST)))
    return tuple(draw(calendar_years(year)) for year in sorted(chosen))


instants = st.datetimes(
    datetime(FIRST - 1, 11, 1),  # noqa: DTZ001  the zone is drawn beside it
    datetime(LAST, 12, 31),  # noqa: DTZ001
    timezones=st.sampled_from([SHANGHAI, UTC]),
).map(lambda instant: instant.replace(microsecond=instant.microsecond // 1000 * 1000))
dates = st.dates(date(FIRST - 1, 11, 1), date(LAST, 12, 31))
day_amounts = st.integers(1, 90)
working_days = st.builds(Limit, amount=day_amounts, unit=st.just(LimitUnit.WORKING_DAYS))
day_limits = st.builds(
    Limit, amount=day_amounts, unit=st.sampled_from([LimitUnit.WORKING_DAYS, LimitUnit.NATURAL_DAYS])
)
clock_limits = st.builds(Limit, amount=st.integers(0, 600), unit=st.sampled_from([LimitUnit.MINUTES, LimitUnit.HOURS]))
month_limits = st.builds(Limit, amount=st.integers(1, 12), unit=st.just(LimitUnit.MONTHS))
limits = st.one_of(day_limits, clock_limits, month_limits)
kernels = st.builds(
    Kernel,
    roll_natural_days=st.booleans(),
    day_end=st.one_of(st.none(), st.times().map(lambda at: at.replace(microsecond=0))),
    mode=st.sampled_from(["day_end", "rolling"]),
)


# --- the oracle: a day at a time, no tables ------------------------------------------------------------------------


def slow_working(years: tuple[CalendarYear, ...], day: date) -> tuple[bool, bool]:
    """Say whether a day is worked and whether that is presumed."""
    published = [year for year in years if year.year == day.year]
    if not published:
        return day.weekday() < 5 and (day.month, day.day) not in FIXED, True
    year = max(published, key=lambda one: one.version)
    if any(makeup.day == day for makeup in year.makeup):
        return True, False
    return day.weekday() < 5 and not any(span.first <= day <= span.last for span in year.off), False


def slow_due(years: tuple[CalendarYear, ...], start: datetime, limit: Limit, kernel: Kernel) -> Due:
    local = start.astimezone(SHANGHAI)
    if limit.unit in (LimitUnit.MINUTES, LimitUnit.HOURS):
        return Due(local + timedelta(minutes=limit.amount * (60 if limit.unit is LimitUnit.HOURS else 1)))
    day, left, provisional = local.date(), limit.amount, False
    if limit.unit is LimitUnit.MONTHS:
        wanted, month = day.day, (day.year * 12 + day.month - 1 + left)
        day = date(month // 12, month % 12 + 1, 1)
        while day.day < wanted and (day + DAY).month == day.month:
            day += DAY
        left = 0
    while left:
        day += DAY
        worked, presumed = slow_working(years, day)
        if limit.unit is LimitUnit.WORKING_DAYS:
            provisional |= presumed
            left -= worked
        else:
            left -= 1
    if limit.unit is not LimitUnit.WORKING_DAYS and kernel.roll_natural_days:
        worked, provisional = slow_working(years, day)
        while not worked:
            day += DAY
            worked, presumed = slow_working(years, day)
            provisional |= presumed
    if limit.unit is LimitUnit.WORKING_DAYS and kernel.mode == "rolling":
        return Due(datetime.combine(day, local.timetz()), provisional)
    if kernel.day_end not in (None, time.min):
        return Due(datetime.combine(day, kernel.day_end, SHANGHAI), provisional)
    return Due(datetime.combine(day + DAY, time.min, SHANGHAI), provisional)


@given(some_years(), instants, limits, kernels)
def test_the_tables_agree_with_counting_a_day_at_a_time(years, start, limit, kernel):
    assert folded(years).due(start, limit, kernel) == slow_due(years, start, limit, kernel)


@given(some_years(), instants, limits)
def test_the_tables_agree_with_counting_under_the_kernel_of_all_packs(years, start, limit):
    assert folded(years).due(start, limit) == slow_due(years, start, limit, Kernel())


@given(some_years(), dates)
def test_a_day_is_worked_for_a_reason(years, day):
    worked, presumed = slow_working(years, day)
    calendar = folded(years)
    assert calendar.is_working_day(day) == calendar.reason(day).working == worked
    assert calendar.reason(day).presumed == presumed


@given(some_years(), dates, st.integers(0, 400))
def test_working_days_are_counted_one_by_one(years, after, length):
    through = after + DAY * length
    counted = sum(slow_working(years, after + DAY * number)[0] for number in range(1, length + 1))
    assert folded(years).working_days(after, through) == counted


# --- monotonicity --------------------------------------------------------------------------------------------------


@given(some_years(), instants, instants, limits, kernels)
def test_a_later_start_is_never_due_earlier(years, one, other, limit, kernel):
    # A rolling limit is the exception: Friday 18:00 is due Monday 18:00, but Saturday 09:00 on Monday at 09:00.
    assume(kernel.mode == "day_end")
    calendar = folded(years)
    early, late = sorted((one, other))
    assert calendar.due(early, limit, kernel).at <= calendar.due(late, limit, kernel).at


@given(some_years(), instants, limits, kernels, st.integers(1, 30))
def test_a_larger_limit_is_due_later(years, start, limit, kernel, more):
    calendar = folded(years)
    larger = Limit(amount=limit.amount + more, unit=limit.unit)
    smaller, later = calendar.due(start, limit, kernel).at, calendar.due(start, larger, kernel).at
    if kernel.roll_natural_days and limit.unit in (LimitUnit.NATURAL_DAYS, LimitUnit.MONTHS):
        assert smaller <= later  # both may roll to the same working day
    else:
        assert smaller < later


@given(some_years(), dates, instants, working_days)
def test_adding_a_holiday_never_makes_a_working_day_limit_due_earlier(years, day, start, limit):
    held = [year for year in years if year.year == day.year]
    assume(held)
    newest = max(held, key=lambda year: year.version)
    off = {one for span in newest.off for one in span.days()} | {day}
    makeup = {one.day for one in newest.makeup} - {day}
    rest = tuple(year for year in years if year.year != day.year)
    more = Calendar((*rest, made_up(day.year, off, makeup)))
    assert more.due(start, limit).at >= folded(years).due(start, limit).at


@given(some_years(), instants, working_days)
def test_a_working_day_limit_ends_on_a_working_day_never_before_as_many_natural_days(years, start, limit):
    calendar = folded(years)
    found = calendar.due(start, limit).at
    assert calendar.is_working_day(due_day(found))
    assert found >= calendar.due(start, Limit(amount=limit.amount, unit=LimitUnit.NATURAL_DAYS)).at


# --- equivalence, determinism, composition -------------------------------------------------------------------------


@given(some_years(), instants, working_days)
def test_a_start_on_days_off_is_a_start_late_on_the_last_working_day_before(years, start, limit):
    calendar = folded(years)
    day = start.astimezone(SHANGHAI).date()
    while not calendar.is_working_day(day):
        day -= DAY
    evening = datetime.combine(day, time(23, 59), SHANGHAI)
    assert calendar.due(start, limit).at == calendar.due(evening, limit).at


@given(some_years(), instants, limits, kernels)
def test_the_same_question_has_one_answer_in_any_zone_and_any_copy_of_the_calendar(years, start, limit, kernel):
    answer = folded(years).due(start, limit, kernel)
    assert folded(years).due(start.astimezone(UTC), limit, kernel) == answer
    assert Calendar(reversed(years)).due(start.astimezone(SHANGHAI), limit, kernel) == answer


@given(some_years(), instants, working_days, working_days)
def test_an_extension_counts_on_where_the_limit_stopped(years, start, limit, more):
    calendar = folded(years)
    together = Limit(amount=limit.amount + more.amount, unit=limit.unit)
    for kernel in (Kernel(), Kernel(mode="rolling")):
        # Rolling from exactly 00:00 is left out: as a start it opens its day, as a due it closes the day before.
        assume(start.astimezone(SHANGHAI).time() != time.min)
        once = calendar.due(start, limit, kernel).at
        assert calendar.extend(once, more, kernel).at == calendar.due(start, together, kernel).at


@given(some_years(), instants, working_days, st.integers(1, 20))
def test_counting_back_undoes_counting_on(years, start, limit, more):
    calendar = folded(years)
    once = calendar.due(start, limit)
    lead = Limit(amount=more, unit=LimitUnit.WORKING_DAYS)
    assert calendar.before(calendar.extend(once.at, lead).at, lead).at == once.at


@given(some_years(), instants, working_days)
def test_a_lead_agrees_with_counting_back_a_day_at_a_time(years, due, limit):
    found = folded(years).before(due, limit)
    day, left, provisional = due_day(due), limit.amount, False
    while left:
        day -= DAY
        worked, presumed = slow_working(years, day)
        left -= worked
        provisional |= presumed
    assert (due_day(found.at), found.provisional) == (day, provisional)


# --- explanations --------------------------------------------------------------------------------------------------


@given(some_years(), instants, day_limits, kernels)
def test_an_explanation_agrees_with_the_due_it_explains(years, start, limit, kernel):
    calendar = folded(years)
    due = calendar.due(start, limit, kernel)
    steps = calendar.explain(start, limit, kernel)
    days = [step.day for step in steps]
    assert days[0] == start.astimezone(SHANGHAI).date()
    assert days == [days[0] + DAY * number for number in range(len(days))]  # no day left out
    assert [step.number for step in steps if step.number] == list(range(1, limit.amount + 1))
    assert steps[-1].ends == due.at
    if kernel.mode == "day_end" and kernel.day_end is None:
        assert days[-1] == due_day(due.at)
    if limit.unit is LimitUnit.WORKING_DAYS:
        assert any(step.reason.presumed for step in steps) == due.provisional
        assert [step.reason.working for step in steps[1:]] == [step.number > 0 for step in steps[1:]]


@given(some_years(), instants, st.one_of(clock_limits, month_limits), kernels)
def test_every_explanation_ends_with_its_due(years, start, limit, kernel):
    calendar = folded(years)
    steps = calendar.explain(start, limit, kernel)
    assert [step.ends for step in steps if step.ends] == [calendar.due(start, limit, kernel).at]
    assert steps[-1].ends
    assert sum(step.number for step in steps) == limit.amount


# --- the strategies themselves -------------------------------------------------------------------------------------


@given(some_years())
def test_the_calendars_drawn_here_could_be_published(years):
    assert [faults(year) for year in years] == [()] * len(years)
