"""Calendars and the time kernel K1-K8, K11, K14: real years, oracles, worked examples, one claim a test."""

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from pathlib import Path

import chinese_calendar
import holidays
import msgspec
import pytest

from domain.calendar import (
    BadCalendar,
    BadLimit,
    Calendar,
    CalendarYear,
    DayKind,
    InstantOutOfRange,
    Kernel,
    NaiveInstant,
    due_day,
    faults,
    known,
    load_calendar,
    show_due,
)
from domain.terms import SHANGHAI, Limit, LimitUnit

CALENDARS = Path(__file__).parent.parent / "domain" / "calendars"
VECTORS = {vector["id"]: vector for vector in json.loads((Path(__file__).parent / "vectors.json").read_text())}

YEARS = tuple(year for path in sorted(CALENDARS.glob("*.toml")) for year in load_calendar(path.read_text(), path.name))
CALENDAR = Calendar(YEARS)

# Days on which an oracle contradicts the notices, with the notice that decides. Empty: all three agree on every day.
CHINESE_CALENDAR_ERRS: dict[date, str] = {}
HOLIDAYS_ERRS: dict[date, str] = {}


def at(text: str) -> datetime:
    """Read `2025-03-04 10:00` as an instant in Shanghai."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def wd(amount: int) -> Limit:
    return Limit(amount=amount, unit=LimitUnit.WORKING_DAYS)


def nd(amount: int) -> Limit:
    return Limit(amount=amount, unit=LimitUnit.NATURAL_DAYS)


def hours(amount: int) -> Limit:
    return Limit(amount=amount, unit=LimitUnit.HOURS)


def minutes(amount: int) -> Limit:
    return Limit(amount=amount, unit=LimitUnit.MINUTES)


def months(amount: int) -> Limit:
    return Limit(amount=amount, unit=LimitUnit.MONTHS)


def due(start: str, limit: Limit, calendar: Calendar = CALENDAR, kernel: Kernel | None = None) -> str:
    """Say when a limit falls due, as an office writes it; `?` marks a provisional one."""
    found = calendar.due(at(start), limit, kernel or Kernel())
    return show_due(found.at) + ("?" if found.provisional else "")


def without(*years: int) -> Calendar:
    return Calendar(year for year in YEARS if year.year not in years)


# --- the years as published ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("year", range(2011, 2027))
def test_every_day_agrees_with_both_oracles(year: int):
    oracle = holidays.country_holidays("CN", years=year)
    day = date(year, 1, 1)
    while day.year == year:
        ours = CALENDAR.is_working_day(day)
        assert chinese_calendar.is_workday(day) == (ours ^ (day in CHINESE_CALENDAR_ERRS)), day
        assert oracle.is_working_day(day) == (ours ^ (day in HOLIDAYS_ERRS)), day
        day += timedelta(days=1)


@pytest.mark.parametrize("year", range(2011, 2027))
def test_a_file_names_its_year_and_every_version_names_its_notice(year: int):
    versions = load_calendar((CALENDARS / f"{year}.toml").read_text(), f"{year}.toml")
    assert {version.year for version in versions} == {year}
    for version in versions:
        assert len(version.basis) == version.version  # a revision rests on the first notice and the one that changed it
        for cited in version.basis:
            assert re.fullmatch(r"国务院(办公厅)?关于.*的通知", cited.text)
            assert re.fullmatch(r"国办?发明电〔20\d\d〕\d+号", cited.source)
        # The day known is the day the last notice was made public, as its note says.
        day = version.known_from
        assert f"{day.year}年{day.month}月{day.day}日" in version.basis[-1].note


def test_working_days_of_the_years_are_those_the_review_counted():
    counted = [
        CALENDAR.working_days(after=date(year - 1, 12, 31), through=date(year, 12, 31)) for year in range(2021, 2027)
    ]
    assert counted == [250, 249, 249, 251, 248, 248]


def test_the_years_that_were_revised_are_kept_in_both_versions():
    versions = {(year.year, year.version): year.known_from for year in YEARS if year.version > 1}
    assert versions == {
        (2011, 2): date(2011, 12, 6),  # the notice for 2012 made 2011-12-31 a working Saturday
        (2015, 2): date(2015, 5, 13),  # Victory Day, 3 to 5 September
        (2018, 2): date(2018, 12, 6),  # the notice for 2019 changed 29 to 31 December 2018
        (2019, 2): date(2019, 3, 22),  # Labour Day, four days in place of one
        (2020, 2): date(2020, 1, 27),  # Spring Festival extended
        (2022, 2): date(2022, 12, 8),  # the notice for 2023 named Saturday 2022-12-31 a day off
    }


@pytest.mark.parametrize(
    ("day", "before", "after"),
    [
        ("2011-12-31", "weekend", "makeup 元旦"),
        ("2015-09-04", "weekday", "holiday 中国人民抗日战争暨世界反法西斯战争胜利70周年纪念日"),
        ("2015-09-06", "weekend", "makeup 中国人民抗日战争暨世界反法西斯战争胜利70周年纪念日"),
        ("2018-12-29", "weekend", "makeup 元旦"),
        ("2018-12-31", "weekday", "holiday 元旦"),
        ("2019-05-02", "weekday", "holiday 劳动节"),
        ("2019-05-05", "weekend", "makeup 劳动节"),
        ("2020-01-31", "weekday", "holiday 春节"),
        ("2020-02-01", "makeup 春节", "holiday 春节"),
        ("2022-12-31", "weekend", "holiday 元旦"),
    ],
)
def test_a_revision_changes_the_reason_of_a_day(day: str, before: str, after: str):
    first = Calendar(year for year in YEARS if year.version == 1)
    for calendar, expected in ((first, before), (CALENDAR, after)):
        reason = calendar.reason(date.fromisoformat(day))
        assert f"{reason.kind} {reason.holiday}".strip() == expected


# --- worked examples: the vectors that are pure date arithmetic ----------------------------------------------------


@pytest.mark.parametrize(
    ("vector", "line", "start", "limit"),
    [
        ("T01", 0, "2025-03-04 10:00", wd(5)),
        ("T01", 1, "2025-03-04 10:00", wd(15)),
        ("T03", 0, "2025-03-08 11:00", wd(5)),
        ("T04", 0, "2025-01-27 15:00", wd(5)),
        ("T06", 0, "2025-01-29 09:00", wd(5)),
        ("T08", 0, "2025-09-26 16:00", wd(5)),
        ("T10", 0, "2025-12-29 09:30", wd(5)),
        ("T11", 0, "2024-12-30 09:30", wd(15)),
        ("T13", 0, "2025-05-30 16:00", wd(5)),
        ("T14", 0, "2026-04-30 20:00", wd(5)),
        ("T15", 0, "2026-02-10 09:00", wd(7)),
        ("T17", 0, "2026-12-21 09:00", wd(15)),
        ("T18", 0, "2026-04-03 09:00", wd(1)),
        ("T33", 0, "2025-09-26 17:50", wd(1)),
        ("T35", 0, "2025-12-31 23:40", hours(1)),
        ("T48", 1, "2025-09-01 09:00", wd(30)),
        ("T53", 1, "2025-10-01 02:50", minutes(15)),
        ("T55", 2, "2025-02-01 20:00", nd(7)),
        ("T60", 0, "2024-02-25 08:00", nd(7)),
        ("T61", 0, "2025-12-28 09:00", nd(7)),
        ("T61", 1, "2025-12-28 09:00", nd(15)),
    ],
)
def test_worked_example(vector: str, line: int, start: str, limit: Limit):
    expected = VECTORS[vector]["expected"][line]
    found = CALENDAR.due(at(start), limit)
    assert found.at == datetime.fromisoformat(expected["due"])
    assert show_due(found.at) == expected["show"]
    assert found.provisional == (vector == "T17")


# --- K1 ------------------------------------------------------------------------------------------------------------


class WithoutOffset(tzinfo):
    """A zone that does not know its own offset: Python calls its instants naive."""

    def utcoffset(self, dt: datetime | None, /) -> None:
        return None


def test_an_instant_is_converted_to_shanghai_before_its_date_is_taken():
    # 2025-03-10 17:00 UTC is already Tuesday the 11th in Shanghai.
    evening = datetime(2025, 3, 10, 17, 0, tzinfo=UTC)
    assert CALENDAR.due(evening, wd(1)).at == CALENDAR.due(at("2025-03-11 01:00"), wd(1)).at


def test_a_due_instant_is_in_shanghai_whatever_zone_the_start_came_in():
    for zone in (UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-11))):
        start = at("2025-03-11 01:00").astimezone(zone)
        for limit in (minutes(0), minutes(15), hours(24), nd(7), wd(5), months(1)):
            found = CALENDAR.due(start, limit).at
            assert found.utcoffset() == timedelta(hours=8)
            assert found == CALENDAR.due(at("2025-03-11 01:00"), limit).at


def test_milliseconds_of_a_start_are_kept_by_hours():
    assert due("2025-10-01 02:50:00.123", hours(2)) == "2025-10-01 04:50:00.123 (Wed)"


@pytest.mark.parametrize("zone", [None, WithoutOffset()])
def test_an_instant_without_a_zone_is_refused(zone: tzinfo | None):
    naive = datetime(2025, 3, 4, 10, 0, tzinfo=zone)
    acts: list[Callable[[], object]] = [
        lambda: CALENDAR.due(naive, wd(1)),
        lambda: CALENDAR.due(naive, hours(1)),
        lambda: CALENDAR.due(at("2025-03-04 10:00"), Limit(until=naive)),
        lambda: CALENDAR.extend(naive, wd(1)),
        lambda: CALENDAR.before(naive, wd(1)),
        lambda: CALENDAR.explain(naive, wd(1)),
        lambda: show_due(naive),
        lambda: due_day(naive),
        lambda: known(YEARS, naive),
    ]
    for act in acts:
        with pytest.raises(NaiveInstant):
            act()


# --- K2 ------------------------------------------------------------------------------------------------------------


def test_minutes_and_hours_run_through_nights_and_holidays():
    assert due("2025-10-01 02:50", minutes(15)) == "2025-10-01 03:05:00 (Wed)"
    assert due("2025-02-01 09:00", hours(24)) == "2025-02-02 09:00:00 (Sun)"
    assert due("2025-02-01 09:00", hours(480)) == "2025-02-21 09:00:00 (Fri)"
    for count in (240, 241, 1440):  # the usual spans are kept ready, the others are computed
        assert CALENDAR.due(at("2025-02-01 09:00"), minutes(count)).at == at("2025-02-01 09:00") + timedelta(
            minutes=count
        )
        assert CALENDAR.due(at("2025-02-01 09:00"), hours(count)).at == at("2025-02-01 09:00") + timedelta(hours=count)


def test_a_limit_of_no_time_is_due_at_its_start():
    assert due("2025-02-01 09:00", minutes(0)) == "2025-02-01 09:00:00 (Sat)"
    assert due("2025-02-01 09:00", hours(0)) == "2025-02-01 09:00:00 (Sat)"


# --- K3, K4, K5 ----------------------------------------------------------------------------------------------------


def test_the_start_day_is_not_counted_however_early_the_start():
    assert due("2025-03-04 00:00:00.001", wd(1)) == "2025-03-05 24:00 (Wed)"
    assert due("2025-03-04 23:59:59.999", wd(1)) == "2025-03-05 24:00 (Wed)"


def test_a_start_at_midnight_belongs_to_the_new_day():
    assert due("2025-03-05 00:00", wd(1)) == "2025-03-06 24:00 (Thu)"
    assert due("2025-03-05 00:00", nd(1)) == "2025-03-06 24:00 (Thu)"


def test_the_end_of_a_day_is_stored_as_the_first_instant_of_the_next():
    found = CALENDAR.due(at("2025-03-04 10:00"), wd(5)).at
    assert found == at("2025-03-12 00:00:00")
    assert due_day(found) == date(2025, 3, 11)


def test_a_due_at_midnight_belongs_to_the_month_it_ends():
    assert due_day(CALENDAR.due(at("2025-12-30 10:00"), wd(1)).at) == date(2025, 12, 31)
    assert due_day(at("2026-01-01 00:00:00.000001")) == date(2026, 1, 1)


# --- K6 ------------------------------------------------------------------------------------------------------------


def test_a_working_saturday_counts_and_a_weekday_off_does_not():
    assert [CALENDAR.is_working_day(date(2025, 10, day)) for day in (8, 9, 10, 11, 12)] == [
        False,  # Wednesday, 国庆节、中秋节
        True,
        True,
        True,  # Saturday, 调休上班
        False,
    ]


def test_working_days_are_counted_after_one_day_through_another():
    assert CALENDAR.working_days(after=date(2025, 9, 26), through=date(2025, 10, 10)) == 5
    assert CALENDAR.working_days(after=date(2025, 10, 1), through=date(2025, 10, 8)) == 0


# --- K7 ------------------------------------------------------------------------------------------------------------


def test_natural_days_ending_on_a_day_off_stay_there():
    assert due("2025-02-01 20:00", nd(7)) == "2025-02-08 24:00 (Sat)"  # a working Saturday
    assert due("2025-01-25 20:00", nd(7)) == "2025-02-01 24:00 (Sat)"


def test_natural_days_roll_to_the_next_working_day_where_the_pack_says_so():
    roll = Kernel(roll_natural_days=True)
    assert due("2025-01-25 20:00", nd(7), kernel=roll) == "2025-02-05 24:00 (Wed)"
    assert due("2025-02-01 20:00", nd(7), kernel=roll) == "2025-02-08 24:00 (Sat)"  # already a working day
    assert due("2025-02-01 20:00", hours(24), kernel=roll) == "2025-02-02 20:00:00 (Sun)"  # hours never roll


# --- K8 ------------------------------------------------------------------------------------------------------------


def test_the_last_day_closes_at_the_packs_closing_time():
    closing = Kernel(day_end=time(17, 30))
    assert due("2025-03-04 10:00", wd(5), kernel=closing) == "2025-03-11 17:30:00 (Tue)"
    assert due("2025-03-04 10:00", nd(5), kernel=closing) == "2025-03-09 17:30:00 (Sun)"
    assert due("2025-03-04 10:00", hours(5), kernel=closing) == "2025-03-04 15:00:00 (Tue)"
    assert due("2025-03-04 10:00", wd(5), kernel=Kernel(day_end=time(0, 0))) == "2025-03-11 24:00 (Tue)"


# --- K11 -----------------------------------------------------------------------------------------------------------


def test_a_due_in_a_year_without_calendar_is_provisional_and_skips_the_fixed_days():
    assert due("2026-12-30 09:00", wd(3)) == "2027-01-05 24:00 (Tue)?"  # 12-31, 01-04, 01-05; 01-01 is off
    assert due("2027-04-29 09:00", wd(2)) == "2027-05-03 24:00 (Mon)?"  # Saturday 05-01 and Sunday 05-02 are off
    assert due("2027-09-30 09:00", wd(1)) == "2027-10-04 24:00 (Mon)?"


def test_only_the_statutory_days_fixed_in_the_solar_calendar_are_presumed():
    days = [date(2028, 1, 1) + timedelta(days=number) for number in range(366)]
    presumed = [f"{day:%m-%d}" for day in days if CALENDAR.reason(day).kind is DayKind.PRESUMED_HOLIDAY]
    assert presumed == ["01-01", "05-01", "05-02", "10-01", "10-02", "10-03"]


@pytest.mark.parametrize("kernel", [Kernel(), Kernel(day_end=time(17, 0)), Kernel(mode="rolling")])
def test_a_due_is_provisional_from_the_first_unpublished_day_it_counts(kernel: Kernel):
    gap = without(2024)
    assert not gap.due(at("2023-12-28 17:00"), wd(1), kernel).provisional  # the last working day before the gap
    assert gap.due(at("2023-12-29 17:00"), wd(1), kernel).provisional
    assert gap.due(at("2024-12-30 17:00"), wd(1), kernel).provisional  # 2024-12-31
    assert not gap.due(at("2024-12-31 17:00"), wd(1), kernel).provisional  # only 2025 is counted


def test_a_start_in_an_unpublished_year_is_firm_if_only_published_days_are_counted():
    calendar = without(2025)
    assert due("2025-12-31 09:00", wd(1), calendar) == "2026-01-04 24:00 (Sun)"
    assert due("2025-12-30 09:00", wd(1), calendar) == "2025-12-31 24:00 (Wed)?"


def test_a_gap_between_published_years_makes_only_its_own_days_provisional():
    gap = without(2024)
    assert due("2023-12-27 09:00", wd(2), gap) == "2023-12-29 24:00 (Fri)"
    assert due("2023-12-27 09:00", wd(3), gap) == "2024-01-02 24:00 (Tue)?"
    assert due("2023-12-27 09:00", wd(300), gap).endswith("?")  # runs through the gap and out of it
    assert due("2025-03-04 10:00", wd(5), gap) == "2025-03-11 24:00 (Tue)"


def test_publishing_the_missing_year_makes_the_due_firm():
    assert due("2025-12-29 09:30", wd(5), without(2026)) == "2026-01-06 24:00 (Tue)?"
    assert due("2025-12-29 09:30", wd(5)) == "2026-01-06 24:00 (Tue)"


def test_natural_days_and_hours_are_never_provisional():
    assert due("2026-12-30 09:00", nd(7)) == "2027-01-06 24:00 (Wed)"
    assert due("2026-12-30 09:00", hours(72)) == "2027-01-02 09:00:00 (Sat)"
    assert due("2026-12-30 09:00", months(1)) == "2027-01-30 24:00 (Sat)"


def test_a_roll_that_judges_an_unpublished_day_is_provisional():
    roll = Kernel(roll_natural_days=True)
    assert due("2026-12-30 09:00", nd(7), kernel=roll) == "2027-01-06 24:00 (Wed)?"
    assert due("2026-12-24 09:00", nd(7), kernel=roll) == "2026-12-31 24:00 (Thu)"


def test_a_calendar_without_any_year_presumes_all_of_them():
    assert due("2025-01-27 15:00", wd(5), Calendar()) == "2025-02-03 24:00 (Mon)?"
    assert Calendar().published(2025) is None
    assert CALENDAR.published(2025) is YEARS[-2]


def test_the_spring_festival_of_2020_before_and_after_the_notice_of_26_january():
    before = Calendar(known(YEARS, at("2020-01-26 23:59:59.999")))
    after = Calendar(known(YEARS, at("2020-01-27 00:00")))
    # Running over Friday 2020-01-31 and Saturday 2020-02-01, both working days until the notice.
    assert due("2020-01-22 10:00", wd(5), before) == "2020-02-04 24:00 (Tue)"
    assert due("2020-01-22 10:00", wd(5), after) == "2020-02-06 24:00 (Thu)"
    assert not CALENDAR.is_working_day(date(2020, 1, 31))


def test_of_several_versions_the_highest_wins_in_any_order():
    versions = [year for year in YEARS if year.year == 2020]
    for order in (versions, versions[::-1]):
        assert Calendar(order).published(2020) is versions[1]
        assert not Calendar(order).is_working_day(date(2020, 1, 31))


def test_a_year_is_known_from_the_day_its_notice_was_made_public():
    before, after = (Calendar(known(YEARS, at(day))) for day in ("2025-11-03 23:59:59.999", "2025-11-04 00:00"))
    assert due("2025-11-03 09:00", wd(43), before) == "2026-01-02 24:00 (Fri)?"
    assert due("2025-11-03 09:00", wd(43), after) == "2026-01-04 24:00 (Sun)"


# --- K14 -----------------------------------------------------------------------------------------------------------


def test_a_rolling_limit_keeps_the_clock_time_of_its_start():
    rolling = Kernel(mode="rolling")
    assert due("2025-03-04 10:00:00.5", wd(5), kernel=rolling) == "2025-03-11 10:00:00.500 (Tue)"
    assert due("2025-03-08 11:00", wd(1), kernel=rolling) == "2025-03-10 11:00:00 (Mon)"
    assert due("2026-12-31 11:00", wd(1), kernel=rolling) == "2027-01-04 11:00:00 (Mon)?"
    assert due("2025-03-04 10:00", nd(5), kernel=rolling) == "2025-03-09 24:00 (Sun)"


def test_a_rolling_extension_of_a_due_at_24_ends_at_24():
    rolling = Kernel(mode="rolling")
    assert show_due(CALENDAR.extend(at("2025-03-12 00:00"), wd(1), rolling).at) == "2025-03-12 24:00 (Wed)"
    assert show_due(CALENDAR.extend(at("2025-03-11 10:00"), wd(1), rolling).at) == "2025-03-12 10:00:00 (Wed)"


# --- months (民法典202) ---------------------------------------------------------------------------------------------


def test_months_end_on_the_corresponding_day_or_the_months_last():
    assert due("2025-03-12 09:00", months(3)) == "2025-06-12 24:00 (Thu)"
    assert due("2025-01-31 09:00", months(1)) == "2025-02-28 24:00 (Fri)"
    assert due("2023-08-31 09:00", months(6)) == "2024-02-29 24:00 (Thu)"
    assert due("2025-12-15 09:00", months(1)) == "2026-01-15 24:00 (Thu)"
    assert due("2025-03-12 09:00", months(6), kernel=Kernel(roll_natural_days=True)) == "2025-09-12 24:00 (Fri)"


# --- extensions and leads ------------------------------------------------------------------------------------------


def test_an_extension_counts_from_the_old_due_day():
    old = CALENDAR.due(at("2025-09-15 09:00"), wd(15)).at
    assert show_due(old) == "2025-10-11 24:00 (Sat)"  # T25
    assert show_due(CALENDAR.extend(old, wd(10)).at) == "2025-10-24 24:00 (Fri)"
    assert show_due(CALENDAR.extend(old, nd(10)).at) == "2025-10-21 24:00 (Tue)"
    assert show_due(CALENDAR.extend(old, hours(12)).at) == "2025-10-12 12:00:00 (Sun)"
    assert show_due(CALENDAR.extend(old, months(1)).at) == "2025-11-11 24:00 (Tue)"


def test_extending_is_counting_on():
    for start in ("2025-01-27 15:00", "2025-09-26 16:00", "2026-12-21 09:00"):
        once = CALENDAR.due(at(start), wd(12))
        assert CALENDAR.extend(CALENDAR.due(at(start), wd(5)).at, wd(7)) == once


def test_an_extension_of_a_due_within_a_day_counts_from_that_day():
    assert show_due(CALENDAR.extend(at("2025-03-11 10:00"), wd(1)).at) == "2025-03-12 24:00 (Wed)"


def test_a_lead_is_counted_back_from_the_due_day():
    lead = at("2025-06-24 00:00")  # T82: 2025-06-23 24:00
    assert show_due(CALENDAR.before(lead, wd(1)).at) == "2025-06-20 24:00 (Fri)"
    assert show_due(CALENDAR.before(lead, wd(3)).at) == "2025-06-18 24:00 (Wed)"
    assert show_due(CALENDAR.before(lead, nd(1)).at) == "2025-06-22 24:00 (Sun)"
    assert show_due(CALENDAR.before(lead, hours(2)).at) == "2025-06-23 22:00:00 (Mon)"
    assert show_due(CALENDAR.before(lead, minutes(15)).at) == "2025-06-23 23:45:00 (Mon)"
    assert show_due(CALENDAR.before(at("2025-04-01 00:00"), months(1)).at) == "2025-02-28 24:00 (Fri)"
    assert show_due(CALENDAR.before(at("2025-06-23 00:00"), wd(1)).at) == "2025-06-20 24:00 (Fri)"  # a Sunday 24:00


def test_a_lead_that_judges_an_unpublished_day_is_provisional():
    assert CALENDAR.before(at("2027-01-05 00:00"), wd(1)).provisional
    assert not CALENDAR.before(at("2027-01-02 00:00"), nd(1)).provisional
    assert not CALENDAR.before(at("2026-12-31 00:00"), wd(1)).provisional
    gap = without(2024)
    assert not gap.before(at("2024-01-02 00:00"), wd(1)).provisional  # back from the gap into 2023
    assert gap.before(at("2024-01-04 00:00"), wd(1)).provisional
    assert not gap.before(at("2025-01-04 00:00"), wd(1)).provisional
    assert gap.before(at("2025-01-02 00:00"), wd(1)).provisional


def test_an_instant_a_person_wrote_is_the_due():
    written = datetime(2025, 6, 10, 7, 0, tzinfo=UTC)
    found = CALENDAR.due(at("2025-06-10 09:00"), Limit(until=written))
    assert show_due(found.at) == "2025-06-10 15:00:00 (Tue)"  # T71
    assert not found.provisional
    assert show_due(CALENDAR.extend(found.at, Limit(until=at("2025-06-11 00:00"))).at) == "2025-06-10 24:00 (Tue)"
    with pytest.raises(BadLimit):
        CALENDAR.before(found.at, Limit(until=written))


# --- explanations --------------------------------------------------------------------------------------------------


def told(calendar: Calendar, start: str, limit: Limit, kernel: Kernel | None = None) -> list[str]:
    steps = calendar.explain(at(start), limit, kernel or Kernel())
    lines = [f"{step.day:%m-%d} {step.reason.kind} {step.reason.holiday} {step.number or ''}" for step in steps]
    assert [step.ends for step in steps[:-1]] == [None] * (len(steps) - 1)
    assert steps[-1].ends == calendar.due(at(start), limit, kernel or Kernel()).at
    return [" ".join(line.split()) for line in lines]


def test_an_explanation_names_every_day_with_its_reason():
    assert told(CALENDAR, "2025-09-30 16:00", wd(3)) == [
        "09-30 start",
        *(f"10-0{day} holiday 国庆节、中秋节" for day in range(1, 9)),
        "10-09 weekday 1",
        "10-10 weekday 2",
        "10-11 makeup 国庆节、中秋节 3",
    ]


def test_an_explanation_says_where_a_year_was_presumed():
    assert told(CALENDAR, "2026-12-31 16:00", wd(1)) == [
        "12-31 start",
        "01-01 presumed_holiday 元旦",
        "01-02 presumed_weekend",
        "01-03 presumed_weekend",
        "01-04 presumed_weekday 1",
    ]


def test_natural_days_explain_their_roll():
    roll = Kernel(roll_natural_days=True)
    assert told(CALENDAR, "2025-05-01 16:00", nd(2), roll) == [
        "05-01 start",
        "05-02 natural_day 1",
        "05-03 natural_day 2",
        "05-04 holiday 劳动节",
        "05-05 holiday 劳动节",
        "05-06 weekday",
    ]
    assert told(CALENDAR, "2025-05-05 16:00", nd(1), roll) == ["05-05 start", "05-06 natural_day 1"]


def test_hours_months_and_written_instants_explain_themselves_in_a_line():
    assert told(CALENDAR, "2025-12-31 23:40", hours(1)) == ["01-01 clock 1"]
    assert told(CALENDAR, "2025-12-31 23:40", Limit(until=at("2026-01-03 00:00"))) == ["01-02 written"]
    assert told(CALENDAR, "2025-03-12 09:00", months(3)) == ["03-12 start", "06-12 months 3"]


def test_an_extension_explains_itself_from_the_old_due_day():
    steps = CALENDAR.explain_extension(at("2025-10-12 00:00"), wd(1))
    assert [(step.day.day, step.reason.kind, step.number) for step in steps] == [
        (11, DayKind.START, 0),
        (12, DayKind.WEEKEND, 0),
        (13, DayKind.WEEKDAY, 1),
    ]
    assert steps[-1].ends == CALENDAR.extend(at("2025-10-12 00:00"), wd(1)).at


def test_a_reason_knows_whether_it_works_and_whether_it_is_presumed():
    assert CALENDAR.reason(date(2025, 10, 11)).working
    assert not CALENDAR.reason(date(2025, 10, 12)).working
    assert not CALENDAR.reason(date(2025, 10, 12)).presumed
    assert CALENDAR.reason(date(2027, 10, 1)).presumed


# --- limits and instants that make no sense ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limit", [wd(0), wd(-1), nd(0), nd(-3), months(0), hours(-1), minutes(-1), Limit(), Limit(amount=3)]
)
def test_a_limit_without_sense_is_refused(limit: Limit):
    with pytest.raises(BadLimit):
        CALENDAR.due(at("2025-03-04 10:00"), limit)
    with pytest.raises(BadLimit):
        CALENDAR.extend(at("2025-03-04 10:00"), limit)
    with pytest.raises(BadLimit):
        CALENDAR.before(at("2025-03-04 10:00"), limit)
    with pytest.raises(BadLimit):
        CALENDAR.explain(at("2025-03-04 10:00"), limit)


@pytest.mark.parametrize("limit", [wd(1), nd(1), months(1), hours(1), minutes(0)])
@pytest.mark.parametrize(
    "start", ["1989-12-31 23:59:59.999", "2101-01-01 00:00", "0001-01-02 00:00", "9999-12-31 23:59"]
)
def test_a_start_outside_1990_to_2100_is_refused(start: str, limit: Limit):
    with pytest.raises(InstantOutOfRange):
        CALENDAR.due(at(start), limit)


def test_an_instant_that_leaves_the_range_of_dates_in_shanghai_is_refused():
    with pytest.raises(InstantOutOfRange):
        CALENDAR.due(datetime.max.replace(tzinfo=UTC), wd(1))


@pytest.mark.parametrize(
    "limit", [wd(60_000), nd(60_000), months(1_300), months(10**9), hours(10**10), minutes(10**13)]
)
def test_a_limit_that_runs_out_of_the_years_is_refused(limit: Limit):
    with pytest.raises(InstantOutOfRange):
        CALENDAR.due(at("2025-03-04 10:00"), limit)
    with pytest.raises(InstantOutOfRange):
        CALENDAR.extend(at("2025-03-04 10:00"), limit)
    with pytest.raises(InstantOutOfRange):
        CALENDAR.before(at("2025-03-04 10:00"), limit)


def test_the_first_and_the_last_day_of_the_range_count():
    assert due("1990-01-01 00:00", wd(1)) == "1990-01-02 24:00 (Tue)?"
    assert due("2100-12-31 23:00", nd(365)) == "2101-12-31 24:00 (Sat)"
    assert due("2100-12-31 23:00", wd(1)) == "2101-01-03 24:00 (Mon)?"
    assert CALENDAR.before(at("1990-01-03 00:00"), nd(1)).at == at("1990-01-02 00:00")


@pytest.mark.parametrize("kernel", [Kernel(), Kernel(day_end=time(17, 0))])
def test_a_limit_may_use_the_whole_range_and_not_a_day_more(kernel: Kernel):
    last = CALENDAR.working_days(after=date(2100, 12, 31), through=date(2101, 12, 31))
    end, first = at("2100-12-31 23:00"), at("1990-01-04 00:00")  # 1990-01-03 24:00, the second working day
    CALENDAR.due(end, wd(last), kernel)
    CALENDAR.due(end, nd(365), kernel)
    CALENDAR.before(first, wd(1), kernel)
    CALENDAR.before(first, nd(2), kernel)
    beyond: list[Callable[[], object]] = [
        lambda: CALENDAR.due(end, wd(last + 1), kernel),
        lambda: CALENDAR.due(end, nd(366), kernel),
        lambda: CALENDAR.before(first, wd(2), kernel),
        lambda: CALENDAR.before(first, nd(3), kernel),
    ]
    for act in beyond:
        with pytest.raises(InstantOutOfRange):
            act()


@pytest.mark.parametrize("day", [date(1989, 12, 31), date(2102, 1, 1)])
def test_a_day_outside_the_range_has_no_reason(day: date):
    with pytest.raises(InstantOutOfRange):
        CALENDAR.is_working_day(day)
    with pytest.raises(InstantOutOfRange):
        CALENDAR.reason(day)
    with pytest.raises(InstantOutOfRange):
        CALENDAR.working_days(after=day, through=date(2025, 1, 1))


# --- loading -------------------------------------------------------------------------------------------------------

GOOD = """
[[calendar]]
year = 2030
known_from = 2029-11-01
off = [
  { holiday = "元旦", first = 2030-01-01, last = 2030-01-01 },
  { holiday = "春节", first = 2030-02-02, last = 2030-02-09 },
]
makeup = [ { day = 2030-02-16, holiday = "春节" } ]
basis = [ { text = "a notice" } ]
"""
AGAIN = GOOD.replace("year = 2030", "year = 2030\nversion = 2")


def test_a_good_file_loads_and_survives_the_ledger():
    (year,) = load_calendar(GOOD, "2030.toml")
    assert year.version == 1
    assert faults(year) == ()
    assert msgspec.json.decode(msgspec.json.encode(year), type=CalendarYear) == year


def test_versions_of_a_year_load_in_the_order_they_became_known():
    assert [year.version for year in load_calendar(GOOD + AGAIN, "2030.toml")] == [1, 2]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("[[calendar]", "2030.toml: "),
        ("", "missing required field `calendar`"),
        ("calendar = []", "holds no calendar"),
        (GOOD.replace("known_from", "knwon_from"), "unknown field `knwon_from` - at `$.calendar[0]`"),
        (GOOD.replace("first = 2030-01-01", "first = 20300101"), "$.calendar[0].off[0].first"),
        (GOOD.replace("2030-01-01, last = 2030-01-01", "2029-12-31, last = 2030-01-01"), "leaves 2030"),
        (GOOD.replace("last = 2030-02-09", "last = 2031-01-01"), "leaves 2030"),
        (GOOD.replace("last = 2030-02-09", "last = 2030-02-01"), "ends before it begins"),
        (GOOD.replace("first = 2030-02-02", "first = 2030-01-01"), "overlaps 元旦 or is out of order"),
        (GOOD.replace('holiday = "元旦"', 'holiday = " "'), "names no holiday"),
        (GOOD.replace("day = 2030-02-16", "day = 2031-02-15"), "is not a day of 2030"),
        (GOOD.replace("day = 2030-02-16", "day = 2030-02-15"), "is not a Saturday or Sunday"),
        (GOOD.replace("day = 2030-02-16", "day = 2030-02-03"), "is also a day off (春节)"),
        (GOOD.replace('02-16, holiday = "春节"', '02-16, holiday = "中秋节"'), "belongs to no holiday of this year"),
        (GOOD.replace('"春节" } ]', '"春节" }, { day = 2030-02-16, holiday = "春节" } ]'), "listed twice"),
        (GOOD.replace('basis = [ { text = "a notice" } ]', "basis = []"), "is not law"),
        (GOOD.replace("a notice", ""), "is not law"),
        (re.sub(r"off = \[.*?\n\]\nmakeup.*?\n", "off = []\n", GOOD, flags=re.DOTALL), "nobody filled in"),
        (GOOD.replace("2029-11-01", "2025-11-01"), "known_from 2025-11-01"),
        (GOOD.replace("2030", "1989").replace("2029", "1988"), "year 1989: is outside 1990 to 2100"),
        (AGAIN, "expected version 1"),
        (GOOD.replace("year = 2030", "year = 2030\nversion = 0"), "versions are counted from 1"),
        (GOOD + GOOD, "expected version 2"),
        (GOOD + AGAIN.replace("2029-11-01", "2029-10-31"), "was known before the version it revises"),
    ],
)
def test_a_bad_file_says_where_and_what(bad: str, said: str):
    with pytest.raises(BadCalendar) as refused:
        load_calendar(bad, "2030.toml")
    assert str(refused.value).startswith("2030.toml: ")
    assert said in str(refused.value)


def test_a_year_that_was_never_checked_is_refused_by_the_calendar_too():
    (year,) = load_calendar(GOOD, "2030.toml")
    with pytest.raises(BadCalendar, match="calendar 2030 version 1: basis"):
        Calendar([msgspec.structs.replace(year, basis=())])
