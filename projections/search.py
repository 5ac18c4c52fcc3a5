"""检索表. What an order is found by: pairs of neighbouring characters of its title, category, place and numbers.

Chinese has no spaces to cut words at; two characters are mostly a word, and a longer one is the pairs it is made of.
Sealed text is not here: a table that held it would keep what an erasure destroys.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from uuid import UUID

from projections.case import Case, Projection, Row

_WORD = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]+|[a-z0-9]+")


class SearchRow(Row, frozen=True):
    """检索. `grams` are sorted and distinct."""

    order_id: UUID
    registered_at: datetime
    text: str  # what a hit is checked against: pairs of one word may stand apart in another
    grams: list[str]


def words(text: str) -> list[str]:
    """Return the words of a text: runs of Chinese characters, and Latin words and numbers in lower case."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


def grams(text: str) -> set[str]:
    """Return what a text is found by: pairs of Chinese characters (one alone is itself), other words whole."""
    found: set[str] = set()
    for word in words(text):
        if word[0].isascii():
            found.add(word)
        else:
            found.update(a + b for a, b in pairwise(word))
            if len(word) == 1:
                found.add(word)
    return found


def pairs_of(text: str) -> list[str]:
    """Return which grams whatever has the words of a text must have: one character may be a part of a pair there."""
    return sorted(gram for gram in grams(text) if gram[0].isascii() or len(gram) > 1)


def derive(case: Case) -> tuple[SearchRow]:
    """Return the order's row."""
    demand, order = case.order.demand, case.order
    said = (demand.title, demand.category, demand.place, demand.district, order.number, demand.old_number)
    text = " ".join(unicodedata.normalize("NFKC", part).lower() for part in said if part)
    return (SearchRow(order.id, order.registered.at, text, sorted(grams(text))),)


PROJECTION = Projection("search", 2, SearchRow, derive, Path(__file__).with_suffix(".sql"))
