"""值班日报 in the morning: once for a day, made up after an absence, whole or not at all."""

from __future__ import annotations

import asyncio
import json
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from domain.matters.publications import ReportKind
from domain.terms import SHANGHAI
from projections.answers import Projections
from scripts import daily, embedded
from supervision import reports
from tests.test_cases import founded, opened

D = date(2026, 11, 21)


def at(day: date, hour: int) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("now", "made", "days", "missed"),
    [
        (at(D, 7), [], 1, 0),  # never before: the day before alone
        (at(D, 7), [date(2026, 11, 20)], 0, 0),
        (at(D, 5), [date(2026, 11, 19)], 0, 0),  # not yet morning
        (at(D, 7), [date(2026, 11, 18)], 2, 0),
        (at(D, 7), [date(2026, 11, 1)], 7, 12),
    ],
)
def test_a_day_is_due_in_the_morning_after_it_and_the_last_missed_ones_are_made_up(
    now: datetime, made: list[date], days: int, missed: int
):
    found, left = daily.wanted(now, iter(made), date(2020, 1, 1))
    assert (len(found), left) == (days, missed)
    if found:
        assert found[-1] == D - timedelta(days=1)


async def test_a_day_is_made_once_by_whoever_comes_first_and_stays_as_it_was(
    postgres: embedded.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HUIYIN_HOME", str(tmp_path))
    city = await founded(postgres, "s4")
    async with opened(city) as ledger, Projections(city.database.app, city.name) as shown:
        await shown.follow_until()
        yesterday = (await ledger.now()).astimezone(SHANGHAI).date() - timedelta(days=1)
        monkeypatch.setattr(daily, "MORNING", at(D, 0).timetz().replace(tzinfo=None))
        monkeypatch.setattr(daily, "wanted", lambda *_: ([yesterday], 0))
        await asyncio.gather(daily.summarised(ledger, shown), daily.summarised(ledger, shown))
        place = daily.folder(city.name) / f"{yesterday}"
        first = {path.name: path.read_bytes() for path in place.iterdir()}
        suffixes = sorted(name.rpartition(".")[2] for name in first)
        assert suffixes == ["csv", "html", "json", "pdf", "sha256"]
        assert [one.name for one in place.parent.iterdir()] == [f"{yesterday}"]
        await daily.summarised(ledger, shown)
        assert {path.name: path.read_bytes() for path in place.iterdir()} == first
        made = daily.made_of(city.name, yesterday)
        assert made is not None
        again = await reports.made(shown, ReportKind.DAILY_DUTY, yesterday, yesterday, cut_off=made.cut_off)
        assert again.content_hash == made.content_hash == json.loads(first["report.json"])["content_hash"]
