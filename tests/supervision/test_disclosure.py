"""Small numbers: whoever asks for everything that overseers may ask, and reckons, singles out no count below the least.

The attacker here has all sheets of a year and every order that is listed one by one, writes them down as equations over
every combination of month, unit, type, area and ending, and has a solver find how small and how large each count can be.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from itertools import accumulate, combinations, product
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from domain.matters.publications import ReportKind
from domain.terms import Hindrance, NoticeState, Outcome
from domain.units import day_start
from projections.indicators import FACTS, FactRow
from supervision.disclosure import (
    BY_CODE,
    LEAST,
    MEASURES,
    NOTICE,
    REPLY,
    Counted,
    Happened,
    Measure,
    Quarter,
    Sheet,
    Tally,
    counted,
    quarter_of,
    together,
    told_apart,
)
from supervision.indicators import Closing
from supervision.oversight import Candidate, Course, Label, labelled

QUARTERS = [Quarter(2025, n) for n in (1, 2, 3, 4)]
PARTS: Mapping[str, list[str]] = {
    "unit": ["U1", "U2", "U3", "U4", "U5", "U6"],
    "type": ["help", "complaint", "report"],
    "area": ["东区", "西区", "南区"],
    "category": ["路灯", "噪声", "停水", "其他"],
    "notice": ["urge", "supervise", "rectify"],
}
ENDS: Mapping[str, list[tuple[bool, bool]]] = {
    "registered": [(False, True), (True, False), (False, False)],
    "given_back": [(True, True), (True, False), (False, False)],
    "evaluated": [(True, True), (True, False), (False, False)],
}


def fact(order: UUID, kind: str, day: date, parts: Mapping[str, str], *, hit: bool, also: bool = False) -> FactRow:
    blank: dict[str, Any] = dict.fromkeys(FactRow.__struct_fields__)
    said = {
        "order_id": order,
        "no": list(FACTS).index(kind) << 20,
        "kind": kind,
        "at": day_start(day) + timedelta(hours=9),
        "unit": parts["unit"],
        "hit": hit,
        "also": also,
        "exempt": False,
        "excluded": "",
        "provisional": False,
        "in_outage": False,
        "assumed": False,
        "demand_type": parts["type"],
        "category": parts["category"],
        "district": parts["area"],
    }
    return FactRow(**{**blank, **said})


class Town(NamedTuple):
    """A year of a small town: its facts by quarter, and the orders closed in each."""

    facts: Mapping[str, list[FactRow]]
    candidates: Mapping[str, list[Candidate]]
    more: Mapping[str, list[Happened]]


def town(seed: int, orders: int) -> Town:
    """Return a year in which most numbers of most parts are small, and some are not."""
    chance = random.Random(seed)
    facts: dict[str, list[FactRow]] = {str(quarter): [] for quarter in QUARTERS}
    candidates: dict[str, list[Candidate]] = {str(quarter): [] for quarter in QUARTERS}
    more: dict[str, list[Happened]] = {str(quarter): [] for quarter in QUARTERS}
    for _ in range(orders):
        order = UUID(int=chance.getrandbits(128))
        parts = {by: chance.choices(some, [4**-n for n in range(len(some))])[0] for by, some in PARTS.items()}
        day = date(2025, 1, 1) + timedelta(days=chance.randrange(340))
        for kind in ("registered", "given_back", "sign", "overdue", "outcome", "evaluated", "closed"):
            if chance.random() < 0.08:
                break
            hit, also = chance.choices(
                ENDS.get(kind, [(False, False), (True, False)]), [1, 2, 9][-len(ENDS.get(kind, "12")) :]
            )[0]
            one = fact(order, kind, day, parts, hit=hit, also=also)
            facts[str(quarter_at(day))].append(one)
            if kind == "closed":
                label = Label(parts["unit"], parts["type"], parts["area"], parts["category"], "河滨路")
                candidates[str(quarter_at(day))].append(Candidate(order, label))
            day += timedelta(days=chance.randrange(6))
            if day.year > 2025:
                break
        else:
            for one in told_of(order, parts, day, chance):
                more[str(quarter_at(day))].append(one)
    return Town(facts, candidates, more)


OUTCOMES = {Outcome.RESOLVED: 9, Outcome.EXPLAINED: 4, Outcome.UNRESOLVED: 4, Outcome.UNSOLVABLE: 3, Outcome.PARTIAL: 1}
WHY = {Hindrance.FUNDS: 9, Hindrance.PLANNING: 6, Hindrance.TITLE_OR_DISPUTE: 2, Hindrance.LEGACY: 1, None: 1}
BECAME = {NoticeState.CLOSED: 6, NoticeState.ESCALATED: 2, NoticeState.ISSUED: 3, NoticeState.WITHDRAWN: 1}


def told_of(order: UUID, parts: Mapping[str, str], day: date, chance: random.Random) -> Iterable[Happened]:
    """Yield an order's reply, with why it is unresolved where it is, and now and then a notice about it."""
    at, of = day_start(day) + timedelta(hours=9), (parts["unit"], parts["type"], parts["area"], parts["category"])
    (outcome,) = chance.choices(list(OUTCOMES), list(OUTCOMES.values()))
    (why,) = chance.choices(list(WHY), list(WHY.values()))
    yield Happened(REPLY, outcome, at, order, *of, reason=why or "")
    if chance.random() < 0.4:
        (state,) = chance.choices(list(BECAME), list(BECAME.values()))
        yield Happened(NOTICE, state, at, order, *of, notice=parts["notice"])


def quarter_at(day: date) -> Quarter:
    return Quarter(day.year, (day.month + 2) // 3)


def closing(quarter: Quarter) -> Closing:
    first, last = quarter.since.date(), (quarter.until - timedelta(days=1)).date()
    return Closing(UUID(int=1), ReportKind.SUBMISSION, "1", first, last, 1, quarter.until, quarter.number)


def course_of(some: Town) -> Course:
    course = Course()
    for quarter in QUARTERS:
        name = str(quarter)
        course.close(quarter, closing(quarter), some.facts[name], some.candidates[name], more=some.more[name])
    return course


# --- the attacker ------------------------------------------------------------------------------------------------


class Equation(NamedTuple):
    """What somebody was told: a sum over a year's facts of one measure."""

    of: Callable[[str, Counted], bool]  # of which quarter's facts, by the quarter's name
    value: int


class Attacker:
    """Reckons with what was told of one measure: every combination of attributes is an unknown, each fact told an equation."""

    def __init__(self, measure: Measure, found: Mapping[str, list[Counted]], listed: set[UUID]) -> None:
        axes = [PARTS[by] for by in measure.by]
        self.measure = measure
        ends = range(max(1, len(measure.endings)))
        self.unknowns = [
            (name, Counted(UUID(int=0), month, end, dict(zip(measure.by, parts, strict=True)), why))
            for name in found
            for month in range(3)
            for end in ends
            for why in reasons_of(measure, end)
            for parts in product(*axes)
        ]
        self.found = found
        self.known = {name: [one for one in some if one.order in listed] for name, some in found.items()}
        self.rows: list[list[int]] = []
        self.values: list[int] = []

    def told(self, equations: Iterable[Equation]) -> Attacker:
        """Take in what was told; what is known of listed orders is no unknown any more."""
        for equation in equations:
            assert equation.value == sum(equation.of(name, one) for name, some in self.found.items() for one in some)
            self.rows.append([n for n, (name, one) in enumerate(self.unknowns) if equation.of(name, one)])
            known = sum(equation.of(name, one) for name, some in self.known.items() for one in some)
            self.values.append(equation.value - known)
        return self

    def bounds(self, of: Callable[[str, Counted], bool]) -> tuple[int, int]:
        """Return how small and how large a count can be, whole numbers of everything."""
        known = sum(of(name, one) for name, some in self.known.items() for one in some)
        goal = [float(of(name, one)) for name, one in self.unknowns]
        columns = [column for row in self.rows for column in row]
        edges = [0, *accumulate(len(row) for row in self.rows)]
        matrix = csr_array(([1.0] * len(columns), columns, edges), shape=(len(self.rows), len(goal)))
        values: Any = [float(value) for value in self.values]
        limits = LinearConstraint(matrix, values, values)
        ends: list[int] = []
        for sign in (1, -1):
            solved = milp(
                [sign * one for one in goal], constraints=limits, integrality=[1] * len(goal), bounds=Bounds(0, 10_000)
            )
            assert solved.success, solved.message
            ends.append(round(sign * solved.fun))
        return known + ends[0], known + ends[1]


def reasons_of(measure: Measure, ending: int) -> Iterable[int]:
    """Return which reasons what ended so may have."""
    if not measure.reasons or measure.endings[ending].code not in measure.reasoned:
        return (-1,)
    return [n for n, reason in enumerate(measure.reasons) if {*reason.words} & {str(why or "") for why in WHY}]


def of_sheet(measure: Measure, sheet: Sheet, names: frozenset[str]) -> Iterable[Equation]:
    """Yield what a sheet tells of some quarters: counts, months, endings, lines, what is left, and all their sums."""
    if sheet.count is None:
        return
    yield Equation(lambda name, _: name in names, sheet.count)
    for n, value in enumerate(sheet.months):
        yield Equation(lambda name, one, n=n: name in names and one.month == n, value)
    codes = [ending.code for ending in measure.endings]
    columns = [frozenset(codes.index(code) for code in share.endings) for share in sheet.outcomes]
    for ends, share in zip(columns, sheet.outcomes, strict=True):
        yield Equation(lambda name, one, ends=ends: name in names and one.ending in ends, share.count)
    whys = [reason.code for reason in measure.reasons]
    for share in sheet.reasons:
        why = frozenset(whys.index(code) for code in share.endings)
        yield Equation(lambda name, one, why=why: name in names and one.reason in why, share.count)
    for table in (one for one in sheet.tables if one.by in measure.by):
        by, told = table.by, frozenset(line.part for line in table.lines)
        yield Equation(lambda name, one, by=by, told=told: name in names and one.parts[by] not in told, table.rest)
        for line in table.lines:
            part = line.part
            yield Equation(lambda name, one, by=by, part=part: name in names and one.parts[by] == part, line.count)
            for ends, value in zip(columns, line.outcomes, strict=False):
                yield Equation(
                    lambda name, one, by=by, part=part, ends=ends: (
                        name in names and one.parts[by] == part and one.ending in ends
                    ),
                    value,
                )


def naive(measure: Measure, found: Mapping[str, list[Counted]]) -> Iterable[Equation]:
    """Yield what would be told if every count of five and more were told and every smaller one were not."""
    for names in [*({name} for name in found), set(found)]:
        for by in ("", *measure.by):
            counts: Counter[str] = Counter(one.parts.get(by, "") for name in names for one in found[name])
            for part, number in counts.items():
                if number >= LEAST:
                    yield Equation(
                        lambda name, one, by=by, part=part, names=names: (
                            name in names and one.parts.get(by, "") == part
                        ),
                        number,
                    )


def small_cells(
    measure: Measure, found: Mapping[str, list[Counted]]
) -> list[tuple[str, Callable[[str, Counted], bool]]]:
    """Return every count of one to four that somebody might ask for: by part, month, ending, and any two of them."""
    cells: list[tuple[str, Callable[[str, Counted], bool]]] = []
    axes: list[tuple[str, Callable[[Counted], Any], Iterable[Any]]] = [
        (by, lambda one, by=by: one.parts[by], PARTS[by]) for by in measure.by
    ]
    axes.append(("month", lambda one: one.month, range(3)))
    axes.append(("ending", lambda one: one.ending, range(max(1, len(measure.endings)))))
    if measure.reasons:
        axes.append(("reason", lambda one: one.reason, range(len(measure.reasons))))
    chosen = [(axis,) for axis in axes] + list(combinations(axes, 2))
    for name, some in found.items():
        for axis in chosen:
            counts = Counter(tuple(key(one) for _, key, _ in axis) for one in some)
            for values, number in counts.items():
                if number < LEAST:
                    cells.append(
                        (
                            f"{measure.code} {name} {values}: {number}",
                            lambda period, one, name=name, axis=axis, values=values: (
                                period == name and tuple(key(one) for _, key, _ in axis) == values
                            ),
                        )
                    )
    return cells


_RECKONED = {"answered": ("unit",)}
"""Of replies by unit alone: with why they are unresolved there are too many combinations of everything to reckon with."""


def attack(seed: int, orders: int, code: str, tried: int, *, told: str = "shown") -> list[tuple[str, int, int]]:
    """Return what the attacker learns of some small counts of one measure: each with its least and greatest value.

    `told` is what overseers are shown, or what a house that thinks less would show: every count of five and more by
    itself (`naive`), or besides what is shown every order that was closed (`all listed`).
    """
    some = town(seed, orders)
    course = course_of(some)
    measure = BY_CODE[code]._replace(by=_RECKONED.get(code, BY_CODE[code].by))
    found = {
        name: counted(some.facts[name], quarter, some.more[name])[code]
        for quarter in QUARTERS
        for name in (str(quarter),)
    }
    found = {name: of for name, of in found.items() if sheet_of(course.releases[name].sheets, code).count is not None}
    listed = {one.order for release in course.releases.values() for one in release.orders}
    if told == "naive":
        attacker = Attacker(measure, found, set()).told(naive(measure, found))
    else:
        every = {one.order for some in some.candidates.values() for one in some}
        attacker = Attacker(measure, found, every if told == "all listed" else listed)
        for name in found:
            attacker.told(of_sheet(measure, sheet_of(course.releases[name].sheets, code), frozenset({name})))
        attacker.told(of_sheet(measure, sheet_of(course.years["2025"].sheets, code), frozenset(found)))
    cells = small_cells(measure, found)
    chosen = random.Random(seed).sample(cells, min(tried, len(cells)))
    return [(name, *attacker.bounds(of)) for name, of in chosen]


def sheet_of(sheets: Iterable[Sheet], code: str) -> Sheet:
    return next(sheet for sheet in sheets if sheet.measure == code)


def narrow(learned: Iterable[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    return [one for one in learned if one[2] - one[1] < LEAST]


@pytest.mark.parametrize(
    ("seed", "orders", "code"),
    [
        (1, 150, "due"),
        (2, 400, "registered"),
        (2, 400, "rated"),
        (3, 1200, "due"),
        (4, 1200, "registered"),
        (5, 700, "closed"),
        (7, 900, "issued"),
        (8, 1200, "answered"),
    ],
)
def test_no_sequence_of_questions_tells_a_small_number(seed: int, orders: int, code: str):
    learned = attack(seed, orders, code, tried=30)
    assert len(learned) == 30
    assert not narrow(learned)


@pytest.mark.parametrize("told", ["naive", "all listed"])
def test_the_same_attacker_learns_small_numbers_where_less_is_held_back(told: str):
    """Counts of five and more each by itself, and orders listed as if the others were not counted, tell them."""
    learned = narrow(attack(2, 400, "due", tried=30, told=told))
    assert learned
    assert told != "naive" or any(low == high for _, low, high in learned)


# --- the two rules -----------------------------------------------------------------------------------------------


def _of(**counts: int) -> dict[str, Tally]:
    return {name: Tally(number, number) for name, number in counts.items()}


def test_a_small_number_takes_the_smallest_other_with_it_until_the_sum_tells_neither():
    assert together(_of(a=9, b=20), LEAST) == frozenset()
    assert together(_of(a=0, b=20), LEAST) == frozenset()
    assert together(_of(a=2, b=20, c=9), LEAST) == {"a", "c"}
    assert together(_of(a=4, b=4, c=9), LEAST) == {"a", "b"}
    assert together(_of(a=1, b=1, c=1, d=2, e=30, f=31), LEAST) == {"a", "b", "c", "d", "e"}  # of 5 each had one


def test_what_is_counted_of_orders_that_everybody_knows_protects_nobody():
    assert together({"a": Tally(30, 3), "b": Tally(20, 20), "c": Tally(40, 40)}, LEAST) == {"a", "b"}


def test_how_a_part_came_out_is_told_only_where_it_tells_nothing_of_another():
    def row(*counts: int) -> tuple[Tally, ...]:
        return tuple(Tally(number, number) for number in counts)

    left = row(0, 0)
    assert told_apart({"a": row(9, 8), "b": row(7, 6)}, left, LEAST) == {"a", "b"}
    assert told_apart({"a": row(9, 8), "b": row(7, 2), "c": row(30, 30)}, left, LEAST) == {"c"}  # 2 is not what is left
    assert told_apart({"a": row(9, 8), "b": row(7, 2)}, left, LEAST) == frozenset()
    assert told_apart({"a": row(9, 0), "b": row(7, 0)}, left, LEAST) == {"a", "b"}


def test_what_is_said_of_an_order_is_what_enough_others_share():
    orders = [UUID(int=n) for n in range(12)]
    street = [Label("D", "help", "东区", "路灯", "河滨路")] * 5
    district = [Label("D", "help", "东区", "路灯", f"街{n}") for n in range(5)]
    alone = [Label("E", "help", "西区", "路灯", "河滨路")] * 2
    told = labelled(dict(zip(orders, [*street, *district, *alone], strict=True)), LEAST)
    assert [told[order] for order in orders[:5]] == street
    assert {told[order] for order in orders[5:10]} == {Label("D", "help", "东区", "路灯")}
    assert not told.keys() & set(orders[10:])


def test_a_release_never_changes_by_what_is_released_after_it():
    some = town(6, 500)
    course, first = Course(), Course()
    for quarter in QUARTERS:
        name = str(quarter)
        course.close(quarter, closing(quarter), some.facts[name], some.candidates[name], more=some.more[name])
    name = str(QUARTERS[0])
    first.close(QUARTERS[0], closing(QUARTERS[0]), some.facts[name], some.candidates[name], more=some.more[name])
    assert first.releases[name] == course.releases[name]
    assert course.releases[name].orders


def test_no_two_measures_count_the_same_facts_and_every_ending_is_one():
    assert len({measure.kind for measure in MEASURES}) == len(MEASURES)
    for measure in MEASURES:
        if any(ending.words for ending in measure.endings):
            continue
        for hit, also in product((False, True), repeat=2):
            fits = [e for e in measure.endings if e.hit in (None, hit) and e.also in (None, also)]
            assert fits or not measure.endings


def test_a_quarter_is_known_by_its_first_and_last_day():
    assert quarter_of(date(2025, 10, 1), date(2025, 12, 31)) == Quarter(2025, 4)
    assert quarter_of(date(2025, 10, 1), date(2025, 12, 30)) is None
    assert quarter_of(date(2025, 10, 1), date(2025, 10, 31)) is None


def test_every_outcome_of_a_reply_and_state_of_a_notice_is_one_ending():
    for code, words in (("answered", Outcome), ("issued", NoticeState)):
        said = [word for ending in BY_CODE[code].endings for word in ending.words]
        assert sorted(said) == sorted(map(str, words))


def test_why_demands_stay_unresolved_is_told_by_kind_and_never_of_fewer_than_five():
    course = course_of(town(8, 1200))
    told = [sheet_of(release.sheets, "answered") for release in course.releases.values()]
    assert all(sheet.reasons for sheet in told)
    for sheet in told:
        unresolved = sum(one.count for one in sheet.outcomes if set(one.endings) <= {"unresolved", "unsolvable"})
        assert sum(share.count for share in sheet.reasons) == unresolved
        assert all(share.count >= LEAST for share in sheet.reasons)
    assert any(len(share.endings) > 1 for sheet in told for share in sheet.reasons), "small ones are counted together"
    few = course_of(town(8, 120))
    assert not any(sheet_of(release.sheets, "answered").reasons for release in few.releases.values())
