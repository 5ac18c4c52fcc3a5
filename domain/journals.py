"""日志. Streams that are never folded: running numbers on paper, who looked at what, which keys were destroyed.

The writer gives a journal's next version under its lock, so that journals never conflict and have no gap: the version
is the running number.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.terms import SHANGHAI, Fact, Number, Period, Private

JOURNALS = frozenset({"numbers", "calls", "access", "pushes", "telephony", "shreds"})
"""The kinds of streams that are journals: the part of a stream's id before its colon."""

NUMBERS = "numbers:"
"""What the id of a journal of numbers begins with; `<journal>/<series>` follows."""

SHREDS = "shreds:all"
"""The journal of destroyed keys: what a restored copy of the ledger destroys again before it serves."""


class NumberGiven(Fact, frozen=True, tag="numbers.given"):
    """编号. A running number on paper was given; the version of this entry in its journal is the number."""

    to: str  # the stream it was given to


class KeysShredded(Fact, frozen=True, tag="shreds.done"):
    """密钥销毁. Keys were destroyed in this commit."""

    stream: str = ""  # the case; empty: every case
    subject: UUID | None = None  # None: every key of the case


class AccessLogged(Fact, frozen=True, tag="access.logged"):
    """查看记录. Sealed fields were opened, or somebody tried to; the actor of the entry is who."""

    stream: str
    fields: tuple[str, ...]
    keys: tuple[str, ...]
    purpose: str  # a code
    together: tuple[str, ...] = ()  # the persons who gave their keys, for an informant
    words: Private | None = None


EVENTS: tuple[type[Fact], ...] = (NumberGiven, KeysShredded, AccessLogged)


def is_journal(stream: str) -> bool:
    """Tell whether a stream is a journal."""
    return stream.partition(":")[0] in JOURNALS


def series(wish: Number, at: datetime) -> str:
    """Return the name of the series a number is taken from: the prefix and the period, in the city's own time."""
    local = at.astimezone(SHANGHAI)
    match wish.per:
        case Period.DAY:
            return f"{wish.prefix}{local.year}{local.month:02}{local.day:02}"  # strftime takes four microseconds
        case Period.YEAR:
            return f"{wish.prefix}{local.year}"
        case Period.NEVER:
            return wish.prefix


def access_of(day: datetime) -> str:
    """Return the access journal of a day."""
    return f"access:{day.astimezone(SHANGHAI):%Y-%m-%d}"
