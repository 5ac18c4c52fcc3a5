"""值班日报 in the morning: made as files for the day before, once, and for the last days that were missed. A person publishes.

A day's files lie in a folder of their own, which appears whole or not at all: whoever makes it too finds it there and
leaves it. What was made states the position that it is true at, and `huiyin report` publishes it as of that one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final

import msgspec

from archive.pdf import Printer, PrinterAbsent
from domain.ledger import Ledger
from domain.matters.publications import ReportKind
from domain.terms import SHANGHAI
from projections.answers import Projections
from scripts import embedded, papers
from supervision import reports
from supervision.scheduler import LOG

MORNING: Final = time(6)
"""From when on the day before is reported."""

BACK: Final = 7
"""Days that are made up after an absence; of a longer one it is said how many were left out."""

_ONE_DAY: Final = timedelta(days=1)
_KIND: Final = ReportKind.DAILY_DUTY
SAID: Final = "report.json"


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What was made of a day, as it lies beside its files."""

    kind: ReportKind
    day: date
    cut_off: int
    template: str
    content_hash: str
    made_at: datetime


def folder(city: str) -> Path:
    """Return where a city's daily summaries lie, a folder a day."""
    return embedded.home(os.environ) / "reports" / city / str(_KIND)


def made_of(city: str, day: date) -> Made | None:
    """Return what was made of a day; None where nothing was, or not whole."""
    try:
        return msgspec.json.decode((folder(city) / f"{day}" / SAID).read_bytes(), type=Made)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def wanted(now: datetime, made: Iterator[date], founded: date) -> tuple[list[date], int]:
    """Return the days that are to be made, and how many days before them were left out for good.

    Where none was ever made, it begins with the day before.
    """
    local = now.astimezone(SHANGHAI)
    last = local.date() - _ONE_DAY * (1 if local.time() >= MORNING else 2)
    before = max(made, default=last - _ONE_DAY)
    first = max(before + _ONE_DAY, last - _ONE_DAY * (BACK - 1), founded)
    days = [first + _ONE_DAY * n for n in range((last - first).days + 1)]
    return days, max(0, (first - before).days - 1)


async def summarised(ledger: Ledger, shown: Projections) -> None:
    """Make the daily summaries that are due and not there."""
    now = await ledger.now()
    days, missed = wanted(now, _there(shown.city), (await ledger.read(0, 1))[0].at.astimezone(SHANGHAI).date())
    for day in days:
        cut_off, _ = await ledger.head()
        made = await reports.made(shown, _KIND, day, day, cut_off=cut_off)
        said = Made(
            kind=_KIND,
            day=day,
            cut_off=cut_off,
            template=made.template,
            content_hash=made.content_hash,
            made_at=now,
        )
        if await _kept(shown.city, made, said):
            told = {"city": shown.city, "day": f"{day}", "cut_off": cut_off, "missed": missed}
            LOG.info("daily", extra={"said": told})


def _there(city: str) -> Iterator[date]:
    place = folder(city)
    for one in place.iterdir() if place.exists() else ():
        try:
            yield date.fromisoformat(one.name)
        except ValueError:
            continue  # being made


async def _kept(city: str, made: reports.Report, said: Made) -> bool:
    """Lay down a day's files whole; tell whether they were not there before."""
    place = folder(city)
    place.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix="making-", dir=place))
    try:
        async with Printer() as printer:
            await papers.files(made, making, f"{_KIND}-{said.day}", printer, without=(PrinterAbsent,))
        (making / SAID).write_bytes(msgspec.json.format(msgspec.json.encode(said), indent=1))
        making.chmod(0o755)
        try:
            making.rename(place / f"{said.day}")
        except OSError:  # another worker was quicker
            if not (place / f"{said.day}").exists():
                raise
            return False
        return True
    finally:
        shutil.rmtree(making, ignore_errors=True)
