"""指标. The indicators of DOMAIN 5.2 and 8.9 that cases alone decide, as quotients of counted facts.

Numerator and denominator stay whole numbers: a threshold is tested on them, and a quotient is rounded when it is shown.
Telephone figures (I1, I2, I20, I21) are not facts of cases and come from their own streams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import add
from typing import Any, Final, NamedTuple

import msgspec


class Counts(NamedTuple):
    """What was counted of one kind of fact; zeros where there is none."""

    all: int = 0
    hit: int = 0
    also: int = 0
    both: int = 0
    timed: int = 0  # facts that say how long
    seconds: int = 0  # of all of them together

    def plus(self, other: Counts) -> Counts:
        """Return both together."""
        return Counts(*map(add, self, other))


_NOTHING = Counts()


class Tally:
    """The counts of a period and a part, by kind of fact; exempt facts apart."""

    __slots__ = ("_all", "_counted", "redone", "redone_or_closed")

    def __init__(self) -> None:
        self._all: dict[str, Counts] = {}
        self._counted: dict[str, Counts] = {}  # without the exempt
        self.redone = 0  # orders, each once (I16)
        self.redone_or_closed = 0

    def add(self, kind: str, counts: Counts, *, exempt: bool) -> None:
        """Add what was counted of a kind."""
        for into in (self._all,) if exempt else (self._all, self._counted):
            held = into.get(kind)
            into[kind] = counts if held is None else held.plus(counts)

    def of(self, kind: str, *, with_exempt: bool = True) -> Counts:
        """Return what was counted of a kind; without the exempt for the rates that they leave (5.1)."""
        return (self._all if with_exempt else self._counted).get(kind, _NOTHING)


Count = Callable[[Tally], int]


class Indicator(NamedTuple):
    """指标. What is counted above and below the line."""

    code: str
    title: str
    above: Count
    below: Count | None  # None: a number, not a rate


def _rate(code: str, title: str, kind: str, of: str = "hit", *, with_exempt: bool = True) -> Indicator:
    """Return the share of one kind's facts that are `of`."""

    def above(tally: Tally) -> int:
        return getattr(tally.of(kind, with_exempt=with_exempt), of)

    return Indicator(code, title, above, lambda tally: tally.of(kind, with_exempt=with_exempt).all)


def _satisfied(tally: Tally) -> Counts:
    return tally.of("evaluated", with_exempt=False)


INDICATORS: Final[Sequence[Indicator]] = (
    Indicator("I3", "直接答复率", lambda t: t.of("direct").all, lambda t: t.of("registered").all),
    _rate("I4", "派单及时率", "dispatch"),
    _rate("I5", "派单准确率", "dispatched"),
    _rate("I6", "签收及时率", "sign"),
    _rate("I7", "响应率", "handle", "also"),
    _rate("I8", "解决率(回访)", "resolved", with_exempt=False),
    _rate("I8l", "解决率(答复)", "outcome", with_exempt=False),
    _rate("I9a", "满意率(含视为)", "evaluated", with_exempt=False),
    Indicator(
        "I9b",
        "满意率(不含视为)",
        lambda t: _satisfied(t).hit - _satisfied(t).both,
        lambda t: _satisfied(t).all - _satisfied(t).also,
    ),
    _rate("I10", "按时办结率", "handle"),
    Indicator(
        "I11",
        "超期率",
        lambda t: t.of("handle").all - t.of("handle").hit + t.of("overdue_item").all,
        lambda t: t.of("handle").all + t.of("overdue_item").all,
    ),
    Indicator("I11s", "超期秒数", lambda t: t.of("handle").seconds, lambda t: t.of("handle").timed),
    Indicator("I12a", "申请退单率", lambda t: t.of("return").all, lambda t: t.of("dispatched").all),
    Indicator("I12b", "退单率", lambda t: t.of("return").also, lambda t: t.of("dispatched").all),
    _rate("I13", "不当退单率", "return"),
    _rate("I14", "转派及时率", "transfer"),
    _rate("I15a", "延期率", "dispatched", "also"),
    _rate("I15b", "延期同意率", "extension"),
    Indicator("I16", "重办率", lambda t: t.redone, lambda t: t.redone_or_closed),
    _rate("I17", "一次办结率", "closed"),
    _rate("I18a", "回访率", "replied"),
    _rate("I18b", "回访成功率", "visit"),
    _rate("I18c", "拒访率", "visit", "also"),
    Indicator("I19", "视为满意占比", lambda t: t.of("deemed").all, lambda t: t.of("evaluated").all),
    _rate("I22", "重复诉求率", "registered"),
    _rate("I23", "督办回复及时率", "notice"),
    Indicator("I24", "未按规定办理件数", lambda t: t.of("not_handled").all, None),
    Indicator("I25", "平均办理秒数", lambda t: t.of("closed").seconds, lambda t: t.of("closed").timed),
    _rate("I26", "协办及时率", "co_reply"),
    _rate("I27", "承诺兑现率", "follow_up"),
    _rate("I28", "告知率", "told"),
    _rate("I29", "一次审核通过率", "first_reply"),
)
"""In the order of DOMAIN 5.2; I29 is that of 8.9. Of I11s and I25 the quotient is a mean, in seconds."""


class Figure(msgspec.Struct, frozen=True):
    """指标值. `below` is None for a plain number; a rate with nothing below it has no value, neither 0 nor 1 (5.1)."""

    code: str
    title: str
    part: str  # the unit, type or area it is about; empty: all, or the hotline centre's own
    above: int
    below: int | None

    @property
    def value(self) -> float | None:
        """The quotient; None where nothing stands below it."""
        return None if not self.below else self.above / self.below


def figures(tallies: Iterable[tuple[str, Tally]]) -> tuple[Figure, ...]:
    """Return every indicator of every part, in the order of `INDICATORS`."""
    return tuple(
        Figure(i.code, i.title, part, i.above(tally), None if i.below is None else i.below(tally))
        for part, tally in tallies
        for i in INDICATORS
    )


def tallied(counted: Iterable[tuple[Any, ...]], redone: Iterable[tuple[Any, ...]]) -> dict[str, Tally]:
    """Return tallies by part from the rows of the statements `tally` and `redone`."""
    tallies: dict[str, Tally] = {}
    for kind, part, exempt, *numbers in counted:
        tallies.setdefault(part, Tally()).add(kind, Counts(*numbers), exempt=exempt)
    for part, again, either in redone:
        tally = tallies.setdefault(part, Tally())
        tally.redone += again
        tally.redone_or_closed += either
    return tallies
