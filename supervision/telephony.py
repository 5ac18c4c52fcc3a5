"""话务. The telephone system's counts: a file of them taken in line by line, and the figures I1, I2, I20 and I21.

An interval belongs to the period, and to the window of 24 hours, in which it begins; nothing is divided. Sub-centres are
told apart by the name they report under; all together are the hotline.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final, NamedTuple

import msgspec

from domain.ledger import Ledger
from domain.matters.calls import (
    CallLogged,
    ServiceComplaintFiled,
    ServiceComplaintVerified,
    ServiceRated,
)
from domain.matters.publications import ImportTelephonyStats, TelephonyStatsImported, telephony_stream
from domain.policy import Options
from domain.refusals import AlreadyImported, IntervalsOverlap, Refusal
from domain.terms import SHANGHAI, Actor, Entry
from domain.units import BEGINNING, day_of
from projections.answers import Projections
from projections.figures import Figure

DAY: Final = timedelta(hours=24)

TELEPHONY: Final[Mapping[str, tuple[str, str]]] = {
    "I1": ("接通率(最低连续24小时)", "人工接通 ÷ 进入人工队列, 取期内结束的任意连续 24 小时中最低者"),
    "I1x": ("接通率(不计5秒内放弃)", "同上, 分母减去 5 秒内放弃的"),
    "I1o": ("接通率(不计系统中断)", "同 I1, 不计与热线系统中断重叠的统计区段"),
    "I1p": ("接通率(全期)", "期内人工接通 ÷ 期内进入人工队列"),
    "I2": ("15秒接听率", "15 秒内接听 ÷ (人工接通 + 15 秒后放弃)"),
    "I20": ("有效投诉率", "认定有效的服务质量投诉(按通话日期) ÷ 人工接通的服务"),
    "I21": ("服务好评率", "4 分、5 分的评价 ÷ 评价, 一次通话计一次"),
}
"""Title and formula of each, in the order of 5.2."""


class FileUnfit(Refusal):
    """话务统计文件不合要求。The file of telephone counts cannot be read: see docs/operating.md for its columns."""


class LineUnfit(Refusal):
    """该行不合要求，请按说明改正后重新导入。The line cannot be taken in: put it right and import the file again."""


# --- a file ------------------------------------------------------------------------------------------------------

COLUMNS: Final[Mapping[str, str]] = {
    "source": "分中心",
    "from_at": "起",
    "until": "止",
    "queued": "进入人工",
    "answered": "人工接通",
    "answered_in_15s": "15秒内接通",
    "abandoned": "放弃",
    "abandoned_in_5s": "5秒内放弃",
    "abandoned_after_15s": "15秒后放弃",
    "self_service": "自助",
    "rated": "评价",
}
"""The columns of a file by their names, each also by its Chinese one; the last four may be left out."""

_NEEDED: Final = ("source", "from_at", "until", "queued", "answered", "answered_in_15s", "abandoned")
_COUNTS: Final = tuple(name for name in COLUMNS if name not in ("source", "from_at", "until"))
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)


class Row(NamedTuple):
    """One line of a file, read; or why it could not be."""

    line: int
    command: ImportTelephonyStats | None
    refused: Refusal | None = None


def read(content: bytes) -> list[Row]:
    """Return the lines of a CSV file in UTF-8, with a header. Raises FileUnfit for what is no such file."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileUnfit(f"UTF-8 (byte {error.start})") from error
    if "\0" in text:
        raise FileUnfit("U+0000")
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    lines = csv.reader(io.StringIO(text, newline=""))
    by_title = {title: name for name, title in COLUMNS.items()}
    header = [by_title.get(cell.strip(), cell.strip()) for cell in next(lines, [])]
    missing = [f"{name} ({COLUMNS[name]})" for name in _NEEDED if name not in header]
    strange = [cell for cell in header if cell not in COLUMNS]
    if missing or strange or len(set(header)) < len(header):
        words = [f"缺少列 missing: {', '.join(missing)}"] if missing else []
        words += [f"未知列 unknown: {', '.join(strange)}"] if strange else []
        raise FileUnfit("; ".join(words) or "列名重复 a column twice")
    found: list[Row] = []
    try:
        found.extend(
            _row(lines.line_num, header, cells, digest) for cells in lines if any(cell.strip() for cell in cells)
        )
    except csv.Error as error:
        raise FileUnfit(f"第 {lines.line_num} 行 line: {error}") from error
    return found


def _row(line: int, header: Sequence[str], cells: Sequence[str], digest: str) -> Row:
    try:
        if len(cells) != len(header):
            raise LineUnfit(f"{len(cells)} 列, 应为 cells instead of {len(header)}")
        said = dict(zip(header, cells, strict=True))
        counts = {name: _count(name, said[name]) for name in _COUNTS if name in said}
        since, until = _instant("from_at", said["from_at"]), _instant("until", said["until"])
        told = {
            "source": said["source"].strip(),
            "day": day_of(since),
            "from_at": since,
            "until": until,
            "file": digest,
        }
        return Row(line, msgspec.convert({**told, **counts, "type": "import_telephony_stats"}, ImportTelephonyStats))
    except msgspec.ValidationError as error:
        return Row(line, None, LineUnfit(str(error)))
    except Refusal as refusal:
        return Row(line, None, refusal)


def _count(name: str, said: str) -> int:
    text = said.strip() or "0"
    if not _NUMBER.fullmatch(text):
        raise LineUnfit(f"{COLUMNS[name]} {name}: 须为整数 a whole number is wanted: {said[:40]!r}")
    return int(text)


def _instant(name: str, said: str) -> datetime:
    try:
        at = datetime.fromisoformat(said.strip().replace("/", "-"))
        return at.replace(tzinfo=SHANGHAI) if at.tzinfo is None else at.astimezone(SHANGHAI)
    except (ValueError, OverflowError) as error:
        raise LineUnfit(f"{COLUMNS[name]} {name}: 写作 write 2025-09-01 08:00: {said[:40]!r}") from error


class Taken(msgspec.Struct, frozen=True):
    """导入结果. How many lines were recorded, known already or corrected, and those refused, each with why."""

    recorded: int
    known: int
    corrected: int
    refused: tuple[tuple[int, str, str], ...]  # line, code, words
    position: int


async def take(
    ledger: Ledger, shown: Projections, rows: Iterable[Row], actor: Actor, *, correct: bool = False
) -> Taken:
    """Record what a file says and is not known yet; a line that another contradicts only where it is to `correct` it.

    The same line again changes nothing. An interval that overlaps another of its sub-centre is refused, whatever day
    either lies in.
    """
    listed = await shown.beside("publication", [_tag(TelephonyStatsImported)])
    held = Intervals(listed.rows)
    counts = {"recorded": 0, "known": 0, "corrected": 0}
    refused: list[tuple[int, str, str]] = []
    position = listed.position
    for line, command, wrong in rows:
        try:
            if wrong is not None or command is None:
                raise wrong or LineUnfit
            before = held.same(command)
            if before is not None and _values(before) == _values(command):
                counts["known"] += 1
                continue
            if before is not None and not correct:
                raise AlreadyImported(f"{command.from_at:%Y-%m-%d %H:%M}; 更正请用 to correct it: --correct")
            if over := held.over(command):
                raise IntervalsOverlap(f"{over.from_at:%Y-%m-%d %H:%M} – {over.until:%Y-%m-%d %H:%M}")
            said = msgspec.structs.replace(command, replaces=before is not None)
            stream = telephony_stream(command.source, command.day)
            named = hashlib.sha256(msgspec.json.encode((_values(said), None if before is None else _values(before))))
            command_id = f"telephony:{stream}:{command.from_at.isoformat()}:{named.hexdigest()[:24]}"
            receipt = await ledger.execute(said, stream=stream, actor=actor, command_id=command_id)
            held.add(said)
            position = max(position, receipt.first_position)
            counts["recorded" if before is None else "corrected"] += 1
        except Refusal as refusal:
            refused.append((line, refusal.code(), str(refusal)))
    return Taken(**counts, refused=tuple(refused), position=position)


Counts = ImportTelephonyStats | TelephonyStatsImported


def _values(one: Counts) -> tuple[int, ...]:
    return tuple(getattr(one, name) for name in _COUNTS)


# --- intervals ---------------------------------------------------------------------------------------------------


class Intervals:
    """What is known of the telephone system's counts: the newest of each interval."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._held: dict[str, dict[tuple[datetime, datetime], Counts]] = {}
        for entry in entries:
            self.add(entry.event)

    def add(self, one: Counts) -> None:
        """Know one more, or one anew."""
        self._held.setdefault(one.source, {})[one.from_at, one.until] = one

    def same(self, one: Counts) -> Counts | None:
        """Return what is known of exactly this interval."""
        return self._held.get(one.source, {}).get((one.from_at, one.until))

    def over(self, one: Counts) -> Counts | None:
        """Return another interval of the same sub-centre that this one overlaps."""
        span = (one.from_at, one.until)
        others = self._held.get(one.source, {}).items()
        return next((o for (f, u), o in others if f < one.until and one.from_at < u and (f, u) != span), None)

    @property
    def sources(self) -> list[str]:
        """The sub-centres that reported, by name."""
        return sorted(self._held)

    def of(self, source: str, since: datetime, until: datetime) -> list[Counts]:
        """Return what began in [since, until) of a sub-centre, or of all (empty), the earliest first."""
        names = [source] if source else self.sources
        found = [one for name in names for one in self._held.get(name, {}).values() if since <= one.from_at < until]
        return sorted(found, key=lambda one: (one.from_at, one.source))


class Window(msgspec.Struct, frozen=True):
    """连续24小时. What was answered of what was queued in one window."""

    part: str
    since: datetime
    until: datetime
    above: int
    below: int


def worst(
    found: Sequence[Counts],
    since: datetime,
    until: datetime,
    *,
    short: bool = True,
    down: Sequence[tuple[datetime, datetime]] = (),
) -> Window | None:
    """Return the window of 24 hours with the lowest share answered, of those that end in (since, until]; exactly.

    A window begins where an interval begins, or ends where one ends, and counts only where counts are there for the
    whole of it. `short`: calls given up within 5 seconds count among the queued. What an interval counts that reaches
    into a time when the hotline was `down` is left out. None where there is none.
    """
    spans = _covered(found)
    begun = [first for first, _ in spans]
    told = sorted(found, key=lambda one: one.from_at)
    times = [one.from_at for one in told]
    stands = [not any(one.from_at < up and gone < one.until for gone, up in down) for one in told]
    sums = [
        (one.answered, one.queued - (0 if short else one.abandoned_in_5s)) if counts else (0, 0)
        for one, counts in zip(told, stands, strict=True)
    ]
    answered, queued = (list(accumulate((pair[n] for pair in sums), initial=0)) for n in (0, 1))
    lowest: Window | None = None
    for start in sorted({*times, *(one.until - DAY for one in told)}):
        end = start + DAY
        span = bisect_right(begun, start) - 1
        if not since < end <= until or span < 0 or end > spans[span][1]:
            continue
        first, last = bisect_left(times, start), bisect_left(times, end)
        above, below = answered[last] - answered[first], queued[last] - queued[first]
        if below and (lowest is None or above * lowest.below < lowest.above * below):
            lowest = Window("", start, end, above, below)
    return lowest


def _covered(found: Iterable[Counts]) -> list[tuple[datetime, datetime]]:
    """Return the spans for which there are counts without a gap."""
    spans: list[tuple[datetime, datetime]] = []
    for one in sorted(found, key=lambda one: one.from_at):
        if spans and one.from_at <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], one.until))
        else:
            spans.append((one.from_at, one.until))
    return spans


# --- figures -----------------------------------------------------------------------------------------------------


class Threshold(msgspec.Struct, frozen=True):
    """标准. Whether a figure meets what the city's pack asks, tested on whole numbers; None: nothing to test."""

    code: str
    part: str
    asks: str
    met: bool | None


class Telephony(msgspec.Struct, frozen=True):
    """话务指标. The figures of a period, of the hotline and of each sub-centre, with the worst windows."""

    position: int
    figures: tuple[Figure, ...]
    windows: tuple[Window, ...]
    thresholds: tuple[Threshold, ...]


async def telephony(
    shown: Projections, since: datetime, until: datetime, *, options: Options, cut_off: int | None = None
) -> Telephony:
    """Return the telephone figures of a period, as the ledger is or was at a position. Raises CutOffAhead."""
    told = await shown.beside("publication", [_tag(TelephonyStatsImported)], cut_off)
    held, position = Intervals(told.rows), told.position
    law = await shown.law_at(position)
    down = [(outage.from_at, outage.until) for outage in law.outages_of(law.hotline_unit)]
    rated, valid = await _services(shown, position, since, until)
    figures: list[Figure] = []
    windows: list[Window] = []
    thresholds: list[Threshold] = []
    for part in ("", *sorted({*held.sources, *(c for c, _ in rated), *valid} - {""})):
        own, made = _of_part(held, part, since, until, down)
        windows += made
        services = sum(one.answered for one in held.of(part, since, until))
        complaints = sum(n for centre, n in valid.items() if part in ("", centre))
        good, every = (sum(n for (c, s), n in rated.items() if part in ("", c) and s >= least) for least in (4, 1))
        if (
            not part or "" not in valid
        ):  # a complaint of no known sub-centre may be any one's: none is said to have none
            own.append(_figure("I20", part, complaints, services))
        own.append(_figure("I21", part, good, every))
        thresholds += _valid_share(complaints, services, options) if not part else ()
        thresholds += _connected(part, own[0], options)
        figures += own
    return Telephony(position, tuple(figures), tuple(windows), tuple(thresholds))


def _tag(kind: type[msgspec.Struct]) -> str:
    return str(kind.__struct_config__.tag)


def _figure(code: str, part: str, above: int, below: int) -> Figure:
    return Figure(code, TELEPHONY[code][0], part, above, below)


def _of_part(
    held: Intervals, part: str, since: datetime, until: datetime, down: Sequence[tuple[datetime, datetime]]
) -> tuple[list[Figure], list[Window]]:
    reaching = held.of(part, max(since, BEGINNING + DAY) - DAY, until)
    own = held.of(part, since, until)
    figures: list[Figure] = []
    windows: list[Window] = []
    for code, short, left_out in (("I1", True, ()), ("I1x", False, ()), ("I1o", True, down)):
        lowest = worst(reaching, since, until, short=short, down=left_out)
        figures.append(_figure(code, part, *((lowest.above, lowest.below) if lowest else (0, 0))))
        if lowest is not None and code == "I1":
            windows.append(msgspec.structs.replace(lowest, part=part))
    answered = sum(one.answered for one in own)
    figures.append(_figure("I1p", part, answered, sum(one.queued for one in own)))
    in_15s, given_up = sum(one.answered_in_15s for one in own), sum(one.abandoned_after_15s for one in own)
    figures.append(_figure("I2", part, in_15s, answered + given_up))
    return figures, windows


def _connected(part: str, figure: Figure, options: Options) -> Iterator[Threshold]:
    per_cent, below = options.connect_rate_percent, figure.below
    if per_cent is not None:
        met = figure.above * 100 >= per_cent * below if below else None
        yield Threshold("I1", part, f"≥ {per_cent}%", met)


def _valid_share(valid: int, services: int, options: Options) -> Iterator[Threshold]:
    most = options.valid_complaints_per_10000
    if most is not None:
        yield Threshold("I20", "", f"≤ {most}/10000", valid * 10_000 <= most * services if services else None)


async def _services(
    shown: Projections, position: int, since: datetime, until: datetime
) -> tuple[Counter[tuple[str, int]], Counter[str]]:
    """Return the ratings of a period by sub-centre and score, and the complaints found valid by sub-centre.

    A call is rated once, by its first rating (S4-38). A complaint is of the call's date, else of its own. Which sub-centre
    answered, the duty book says; a call of which it does not counts for the hotline alone.
    """
    told = await shown.beside("call", [_tag(ServiceRated), _tag(ServiceComplaintVerified)], position)
    first: dict[str, tuple[datetime, int]] = {}
    found: set[tuple[str, int]] = set()
    for entry in told.rows:
        if isinstance(entry.event, ServiceRated):
            first.setdefault(entry.stream, (entry.at, entry.event.score))
        elif entry.event.valid:
            found.add((entry.stream, entry.event.complaint))
    scores = {stream: score for stream, (at, score) in first.items() if since <= at < until}
    called: dict[str, CallLogged] = {}
    filed: dict[str, list[datetime]] = {}
    for entry in await shown.streams(sorted({*scores, *(stream for stream, _ in found)}), position):
        if isinstance(entry.event, CallLogged):
            called[entry.stream] = entry.event
        elif isinstance(entry.event, ServiceComplaintFiled):
            filed.setdefault(entry.stream, []).append(entry.at)

    def centre(stream: str) -> str:
        return called[stream].sub_centre if stream in called else ""

    def when(stream: str, number: int) -> datetime | None:
        made = filed.get(stream, [])
        return called[stream].started_at if stream in called else made[number - 1] if 0 < number <= len(made) else None

    dated = ((stream, when(stream, number)) for stream, number in found)
    return (
        Counter((centre(stream), score) for stream, score in scores.items()),
        Counter(centre(stream) for stream, at in dated if at is not None and since <= at < until),
    )
