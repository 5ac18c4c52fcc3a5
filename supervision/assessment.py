"""考评. A score of units by weights that the city's own pack sets and that are published with it: nothing is weighed here.

Weights differ by city and year, so that a pack without weights has no score. Points are counted in whole numbers and
fractions, and rounded when they are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from projections.figures import BY_CODE, Figure, Shape

FULL = 100

SCORED = frozenset({Shape.RATE, Shape.WEIGHED})
"""What is a share of a whole; numbers and lengths of time give no points."""


class Weighed(NamedTuple):
    """One indicator of a unit with its weight; no `share` where there is nothing to count, or no such rate."""

    code: str
    weight: int
    share: Fraction | None


class Score(NamedTuple):
    """What a unit came to, of a hundred; None where none of what gives points could be counted."""

    unit: str
    weighed: tuple[Weighed, ...]
    points: Fraction | None


def title_of(code: str) -> str:
    """Return what an indicator is called, and that a pack names one which gives no points."""
    if code not in BY_CODE:
        return f"{code}（无此按单位统计的指标，不计分）"
    title = BY_CODE[code].title
    return title if BY_CODE[code].shape in SCORED else f"{title}（不是比率，不计分）"


def scores(weights: Mapping[str, int], by_unit: Sequence[Figure]) -> tuple[Score, ...]:
    """Return the score of every unit, the best first, those without one last.

    A weight gives so many points of its rate, one below nothing takes them away. What a unit has nothing to count of
    is left out with its weight, and the rest stands for the whole.
    """
    of = {(figure.part, figure.code): figure for figure in by_unit}
    units = dict.fromkeys(figure.part for figure in by_unit if figure.part)
    found = [_scored(unit, weights, of) for unit in units]
    return tuple(sorted(found, key=lambda one: (one.points is None, -(one.points or 0), one.unit)))


def _scored(unit: str, weights: Mapping[str, int], of: Mapping[tuple[str, str], Figure]) -> Score:
    weighed = tuple(Weighed(code, weight, _share(of.get((unit, code)))) for code, weight in weights.items())
    counted = [one for one in weighed if one.share is not None]
    whole = sum(one.weight for one in counted if one.weight > 0)
    if not whole:
        return Score(unit, weighed, None)
    points = sum((one.weight * one.share for one in counted if one.share is not None), start=Fraction(0))
    return Score(unit, weighed, max(Fraction(0), FULL * points / whole))


def _share(figure: Figure | None) -> Fraction | None:
    if figure is None or not figure.below or BY_CODE[figure.code].shape not in SCORED:
        return None
    return Fraction(figure.above, figure.below)


def points_words(points: Fraction | None) -> str:
    """Say points as they are shown, rounded half up to two decimals."""
    if points is None:
        return "—"
    hundredths = (points * 200 + 1) // 2
    return f"{hundredths // 100}.{hundredths % 100:02}"
