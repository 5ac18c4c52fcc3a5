"""Telephone counts: a file taken in once, the worst 24 hours exactly, complaints and ratings against what was asked."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from fractions import Fraction

import msgspec
import pytest

from domain.institution import OutageDeclared, OutageScope
from domain.matters.calls import (
    CallDisposition,
    CallLogged,
    ServiceComplaintFiled,
    ServiceComplaintVerified,
    ServiceRated,
    call_stream,
)
from domain.matters.publications import TelephonyStatsImported, telephony_stream
from domain.policy import Options
from domain.refusals import Refusal
from projections.answers import Projections
from projections.figures import Figure
from scripts import wiring
from supervision.telephony import DAY, FileUnfit, Intervals, LineUnfit, Window, read, take, telephony, worst
from tests.conftest import City
from tests.given import at
from tests.test_projections import BASIS, World, world

HEADER = "分中心,起,止,进入人工,人工接通,15秒内接通,放弃\n"


def an_hour(when: str, queued: int, answered: int, source: str = "市中心") -> TelephonyStatsImported:
    return TelephonyStatsImported(
        source=source,
        from_at=at(when),
        until=at(when) + timedelta(hours=1),
        queued=queued,
        answered=answered,
        answered_in_15s=answered,
        abandoned=queued - answered,
    )


def hours(since: str, count: int, queued: int = 10, answered: int = 10) -> list[TelephonyStatsImported]:
    return [an_hour(f"{at(since) + timedelta(hours=n):%Y-%m-%d %H:%M}", queued, answered) for n in range(count)]


def lowest(found: list[TelephonyStatsImported], since: str, until: str) -> tuple[datetime, int, int] | None:
    window = worst(found, at(since), at(until))
    return None if window is None else (window.since, window.above, window.below)


# --- the worst continuous 24 hours -------------------------------------------------------------------------------


def test_the_worst_window_rolls_across_midnight():
    found = hours("2025-09-01 00:00", 72)
    for n in range(18, 30):  # from the evening of the 1st to the morning of the 2nd
        found[n] = msgspec.structs.replace(found[n], answered=0)
    assert lowest(found, "2025-09-01 00:00", "2025-09-04 00:00") == (at("2025-09-01 06:00"), 120, 240)


def test_a_window_counts_in_the_month_in_which_it_ends():
    found = hours("2025-08-31 00:00", 72)
    found[23] = msgspec.structs.replace(found[23], answered=0)  # the last hour of August
    assert lowest(found, "2025-09-01 00:00", "2025-10-01 00:00") == (at("2025-08-31 01:00"), 230, 240)
    assert lowest(found, "2025-08-01 00:00", "2025-09-01 00:00") == (at("2025-08-31 00:00"), 230, 240)


def test_a_window_with_a_gap_in_it_does_not_count():
    assert lowest(hours("2025-09-01 00:00", 23), "2025-09-01 00:00", "2025-10-01 00:00") is None
    found = hours("2025-09-01 00:00", 48, 10, 9)
    del found[20]
    assert lowest(found, "2025-09-01 00:00", "2025-10-01 00:00") == (at("2025-09-01 21:00"), 216, 240)


def test_windows_are_compared_on_whole_numbers():
    low, lower = hours("2025-09-01 00:00", 24, 10**9, 10**9 - 1), hours("2025-09-02 00:00", 24, 10**9 - 1, 10**9 - 2)
    found = [*low, *lower]
    assert lowest(found, "2025-09-01 00:00", "2025-09-03 00:00") == (
        at("2025-09-02 00:00"),
        24 * (10**9 - 2),
        24 * (10**9 - 1),
    )


def test_an_interval_that_straddles_the_end_of_a_window_counts_where_it_begins():
    uneven = hours("2025-09-01 00:00", 23)
    last = msgspec.structs.replace(uneven[-1], from_at=at("2025-09-01 23:00"), until=at("2025-09-02 01:00"), answered=4)
    assert lowest([*uneven, last], "2025-09-01 00:00", "2025-09-02 00:00") == (at("2025-09-01 00:00"), 234, 240)
    assert lowest([*uneven, last], "2025-09-01 00:00", "2025-09-03 00:00") == (at("2025-09-01 01:00"), 224, 230)
    assert worst([], at("2025-09-01 00:00"), at("2025-10-01 00:00")) is None


def test_calls_given_up_at_once_may_be_left_out():
    found = [msgspec.structs.replace(one, answered=8, abandoned_in_5s=1) for one in hours("2025-09-01 00:00", 24)]
    month = (at("2025-09-01 00:00"), at("2025-10-01 00:00"))
    assert worst(found, *month) == Window("", at("2025-09-01 00:00"), at("2025-09-02 00:00"), 192, 240)
    assert worst(found, *month, short=False) == Window("", at("2025-09-01 00:00"), at("2025-09-02 00:00"), 192, 216)


async def test_what_was_counted_while_the_system_was_down_is_left_out_beside_the_figure_that_keeps_it(city: City):
    """Of 24 hours with 9 of 10 answered, nobody was reached in three; two of those were declared an outage."""
    rows = [
        f"市中心,2025-09-01 {n:02}:00,2025-09-01 {n + 1:02}:00,10,{0 if n in (6, 7, 8) else 9},0,{10 if n in (6, 7, 8) else 1}"
        for n in range(23)
    ]
    last = "市中心,2025-09-01 23:00,2025-09-02 00:00,10,9,0,1"
    month = (at("2025-09-01 00:00"), at("2025-10-01 00:00"))
    async with world(city) as here, here.projections() as p:
        assert (await taken(here, p, *rows, last))[0] == 24
        before = (await telephony(p, *month, options=Options())).figures
        assert of(before, "I1") == of(before, "I1o") == (189, 240)
        elsewhere = outage("2025-09-01 01:00", "2025-09-01 05:00", "B")
        await here.record("institution", "2025-09-02 08:00", elsewhere)
        await here.record("institution", "2025-09-02 09:00", outage("2025-09-01 06:30", "2025-09-01 08:00"))
        await p.follow_until()
        found = await telephony(p, *month, options=Options())
        assert of(found.figures, "I1") == (189, 240), "the figure itself keeps it"
        assert of(found.figures, "I1o") == (189, 220)
        assert [one.below for one in found.windows if not one.part] == [240]


def outage(since: str, until: str, *units: str) -> OutageDeclared:
    scope = OutageScope.UNITS if units else OutageScope.ALL
    return OutageDeclared(proposal=0, from_at=at(since), until=at(until), scope=scope, units=units, basis=BASIS)


Span = tuple[datetime, datetime]


def by_hand(found: list[TelephonyStatsImported], since: datetime, until: datetime, down: list[Span]) -> Window | None:
    """The lowest window, each looked at by itself, minute for minute."""
    windows: list[Window] = []
    for start in sorted({moment for one in found for moment in (one.from_at, one.until - DAY)}):
        end = start + DAY
        minutes = (start + timedelta(minutes=n) for n in range(24 * 60))
        whole = all(any(one.from_at <= minute < one.until for one in found) for minute in minutes)
        begun = [one for one in found if start <= one.from_at < end]
        inside = [one for one in begun if not any(one.from_at < up and gone < one.until for gone, up in down)]
        below = sum(one.queued for one in inside)
        if since < end <= until and whole and below:
            windows.append(Window("", start, end, sum(one.answered for one in inside), below))
    return min(windows, key=lambda one: Fraction(one.above, one.below), default=None)


@pytest.mark.parametrize("seed", range(6))
def test_the_worst_window_is_the_one_that_is_found_by_looking_at_every_one(seed: int):
    drawn = random.Random(seed)
    found: list[TelephonyStatsImported] = []
    for source in ("市中心", "西区"):
        moment = at("2025-09-01 00:00")
        while moment < at("2025-09-04 00:00"):
            until = moment + timedelta(minutes=drawn.choice((60, 90, 150)))
            queued = drawn.randrange(30)
            if drawn.random() > 0.02:  # else a gap
                one = an_hour(f"{moment:%Y-%m-%d %H:%M}", queued, drawn.randint(0, queued), source)
                found.append(msgspec.structs.replace(one, until=until))
            moment = until
    drawn.shuffle(found)
    month = (at("2025-09-02 06:00"), at("2025-09-03 18:00"))
    for down in (
        [],
        [(at("2025-09-02 10:00"), at("2025-09-02 11:15")), (at("2025-09-03 02:00"), at("2025-09-03 09:00"))],
    ):
        assert worst(found, *month, down=down) == by_hand(found, *month, down)


# --- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe", "UTF-8"),
        ("分中心,起\n".encode(), "缺少列"),
        (HEADER.replace("放弃", "放弃,备注").encode(), "未知列"),
        (HEADER.replace("放弃", "放弃,起").encode(), "列名重复"),
        ((HEADER + "市中心,\0").encode(), "U+0000"),
        (b"", "缺少列"),
    ],
)
def test_what_is_no_file_of_counts_is_refused_as_a_whole(content: bytes, says: str):
    with pytest.raises(FileUnfit, match=says.replace("+", r"\+")):
        read(content)


@pytest.mark.parametrize(
    "line",
    [
        "市中心,昨天,2025-09-01 01:00,1,1,1,0",
        "市中心,2025-09-01,2025-09-02,一,1,1,0",
        "市中心,2025-09-01",
        "市中心,2025-09-01,2025-09-02,-1,1,1,0",
    ],
)
def test_a_line_that_cannot_be_read_is_refused_by_itself(line: str):
    good = "市中心,2025-09-01 08:00,2025-09-01 09:00,10,9,8,1\n"
    first, second = read((HEADER + good + line + "\n").encode("utf-8-sig"))
    assert first.refused is None
    assert first.command is not None
    assert (first.command.queued, first.command.answered) == (10, 9)
    assert isinstance(second.refused, LineUnfit)
    assert second.line == 3


async def taken(here: World, shown: Projections, *lines: str, correct: bool = False) -> tuple[int, int, int, list[str]]:
    rows = read((HEADER + "\n".join(lines)).encode())
    found = await take(here.ledger, shown, rows, wiring.SYSTEM, correct=correct)
    return found.recorded, found.known, found.corrected, [code for _, code, _ in found.refused]


async def test_a_file_is_taken_in_once_and_corrected_only_on_purpose(city: City):
    first = "市中心,2025-09-01 08:00,2025-09-01 09:00,10,9,8,1"
    second = "西区,2025-09-01 08:00,2025-09-01 09:00,4,4,4,0"
    async with world(city) as here, here.projections() as p:
        assert await taken(here, p, first, second) == (2, 0, 0, [])
        head = await here.ledger.head()
        assert await taken(here, p, first, second) == (0, 2, 0, [])
        assert await here.ledger.head() == head, "the same file again changes nothing"
        other = first.replace(",9,8,1", ",8,8,2")
        assert await taken(here, p, other) == (0, 0, 0, ["already-imported"])
        assert await taken(here, p, other, correct=True) == (0, 0, 1, [])
        found = await telephony(p, at("2025-09-01 00:00"), at("2025-10-01 00:00"), options=Options())
        assert of(found.figures, "I1p") == (12, 14)
        assert of(found.figures, "I1p", "市中心") == (8, 10)
        assert of(found.figures, "I1p", "西区") == (4, 4)
        before = await telephony(p, at("2025-09-01 00:00"), at("2025-10-01 00:00"), options=Options(), cut_off=head[0])
        assert of(before.figures, "I1p") == (13, 14), "as it was said then"
        ever = await telephony(p, at("0001-01-01 00:00"), at("2025-10-01 00:00"), options=Options())
        assert of(ever.figures, "I1p") == (12, 14)


async def test_lines_that_disagree_are_refused_each_by_itself(city: City):
    async with world(city) as here, here.projections() as p:
        found = await taken(
            here,
            p,
            "市中心,2025-09-01 23:30,2025-09-02 00:30,10,9,8,1",
            "市中心,2025-09-02 00:00,2025-09-02 01:00,10,9,8,1",
            "市中心,2025-09-02 02:00,2025-09-02 01:00,10,9,8,1",
            "市中心,2025-09-02 03:00,2025-09-02 04:00,10,11,8,1",
            "市中心,2025-09-02 00:30,2025-09-02 01:00,10,9,8,1",
        )
        assert found == (2, 0, 0, ["intervals-overlap", "interval-empty", "counts-disagree"]), "across midnight too"


# --- figures -----------------------------------------------------------------------------------------------------


def of(found: tuple[Figure, ...], code: str, part: str = "") -> tuple[int, int | None]:
    return next((f.above, f.below) for f in found if (f.code, f.part) == (code, part))


async def a_call(here: World, number: int, when: str, *facts: msgspec.Struct, sub_centre: str = "") -> None:
    name = call_stream(f"C{number}")
    logged = CallLogged(
        call_id=f"C{number}",
        disposition=CallDisposition.INQUIRY,
        started_at=at(when),
        agent="wang",
        sub_centre=sub_centre,
    )
    for fact in (logged, *facts):
        await here.record(name, when, fact)  # type: ignore[arg-type]


def complaint(number: int) -> ServiceComplaintFiled:
    return ServiceComplaintFiled(call_id=f"C{number}", words="态度不好")


VALID, UNFOUNDED = (ServiceComplaintVerified(complaint=1, valid=v, finding="经查") for v in (True, False))


async def test_complaints_count_by_the_call_and_against_three_in_ten_thousand(city: City):
    month = (at("2025-09-01 00:00"), at("2025-10-01 00:00"))
    async with world(city) as here, here.projections() as p:
        await here.record(
            telephony_stream("市中心", date(2025, 9, 1)),
            "2025-09-02 00:00",
            an_hour("2025-09-01 08:00", 10_000, 10_000),
        )
        for number in range(1, 4):
            await a_call(here, number, "2025-09-30 23:59", complaint(number), VALID)
        await a_call(here, 4, "2025-08-31 23:59", complaint(4), VALID)
        await a_call(here, 5, "2025-09-01 00:00", complaint(5), UNFOUNDED)
        await a_call(here, 6, "2025-09-01 00:00", complaint(6))
        asked = Options(valid_complaints_per_10000=3, connect_rate_percent=95)
        found = await telephony(p, *month, options=asked)
        assert of(found.figures, "I20") == (3, 10_000)
        assert [t.met for t in found.thresholds if t.code == "I20"] == [True], "3 of 10000 is not more than 3 of 10000"
        assert [t.met for t in found.thresholds if t.code == "I1"] == [None, None], "no 24 hours are there"
        await here.record(call_stream("C6"), "2025-09-03 00:00", VALID)
        again = await telephony(p, *month, options=asked)
        assert of(again.figures, "I20") == (4, 10_000)
        assert [t.met for t in again.thresholds if t.code == "I20"] == [False]
        assert of(found.figures, "I1") == (0, 0)
        assert next(f.value for f in found.figures if f.code == "I1") is None


async def test_each_call_is_rated_once_by_its_first_rating(city: City):
    async with world(city) as here, here.projections() as p:
        for number, scores in enumerate([(5,), (4, 1), (3,), (1, 5)], 1):
            rated = [ServiceRated(call_id=f"C{number}", score=score, via="ivr") for score in scores]
            await a_call(here, number, "2025-09-10 10:00", *rated)
        found = await telephony(p, at("2025-09-01 00:00"), at("2025-10-01 00:00"), options=Options())
        assert of(found.figures, "I21") == (2, 4)
        assert of(found.figures, "I20") == (0, 0)


async def test_complaints_and_ratings_are_told_apart_by_the_sub_centre_that_answered(city: City):
    month = (at("2025-09-01 00:00"), at("2025-10-01 00:00"))
    async with world(city) as here, here.projections() as p:
        for centre, answered in (("市中心", 800), ("社保", 200)):
            counts = msgspec.structs.replace(an_hour("2025-09-01 08:00", 1000, answered), source=centre)
            await here.record(telephony_stream(centre, date(2025, 9, 1)), "2025-09-02 00:00", counts)
        five, two = (ServiceRated(call_id="x", score=score, via="ivr") for score in (5, 2))
        await a_call(here, 1, "2025-09-10 10:00", five, complaint(1), VALID, sub_centre="社保")
        await a_call(here, 2, "2025-09-10 10:00", two, sub_centre="市中心")
        await a_call(here, 3, "2025-09-10 10:00", five, sub_centre="税务")
        await a_call(here, 4, "2025-09-10 10:00", two)
        found = (await telephony(p, *month, options=Options())).figures
        assert [of(found, "I20", part) for part in ("", "市中心", "社保", "税务")] == [
            (1, 1000),
            (0, 800),
            (1, 200),
            (0, 0),
        ]
        assert [of(found, "I21", part) for part in ("", "市中心", "社保", "税务")] == [(2, 4), (0, 1), (1, 1), (1, 1)]
        await a_call(here, 5, "2025-09-11 10:00", complaint(5), VALID)
        found = (await telephony(p, *month, options=Options())).figures
        assert of(found, "I20") == (2, 1000)
        assert not [f for f in found if f.code == "I20" and f.part], "one may be any sub-centre's"


def test_the_newest_counts_of_an_interval_hold():
    held = Intervals()
    held.add(an_hour("2025-09-01 08:00", 10, 9))
    held.add(an_hour("2025-09-01 08:00", 12, 9))
    assert [one.queued for one in held.of("", at("2025-09-01 00:00"), at("2025-09-02 00:00"))] == [12]
    assert issubclass(FileUnfit, Refusal)
