"""Plays a case script in memory by the rules the door uses, and compares what it made with what a vector expects.

A vector is two files in `tests/vectors/`: `T25.jsonl`, a case script as `huiyin import` takes it, and `T25.toml`, what
must come of it. `city.jsonl` is the town that all of them play in. A script's `refused` lines are expectations too.
"""

from __future__ import annotations

import tomllib
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec

from domain import institution, order
from domain.calendar import due_day, show_due
from domain.clocks import Clock, Status, clocks, overdue_items
from domain.explanation import explain
from domain.law import Law
from domain.ledger import Ledger
from domain.matters.inquiries import Inquiry, inquiry_clock
from domain.policy import Option, Pack
from domain.refusals import Refusal
from domain.state import WorkOrder, effective
from domain.stored import tag
from domain.terms import Citation, ClockName, Entry
from scripts import importing, wiring
from scripts.rehearsal import Rehearsal, fold

VECTORS = Path(__file__).resolve().parent / "vectors"
FOUNDED = wiring.parse_instant("2026-07-01 00:00")  # after the last calendar that ships was made public


# --- what a vector expects ---------------------------------------------------------------------------------------


class Expect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One expectation. What is not said is not asked; `as_of` looks at the case as it stood, and as the law stood."""

    say: str = ""
    answers: tuple[int, ...] = ()  # which expectations of the list of worked examples, counted from 1
    overruled: str = ""  # why the list's own figure is not what is right
    order: str = "A"
    stream: str = ""  # another stream than an order, by its label
    as_of: datetime | None = None
    now: datetime | None = None  # the instant looked from; else `as_of`, else that of the last line
    # a clock
    clock: ClockName | None = None
    key: str | None = None
    none: bool = False  # there is no such clock
    start: datetime | None = None
    due: datetime | None = None
    undue: bool = False  # measured: nothing falls due
    show: str | None = None
    status: Status | None = None
    breached: bool | None = None
    late_by: str | None = None
    stop: datetime | None = None
    cancelled: datetime | None = None
    owner: str | None = None
    month: str | None = None  # the month it is counted in: that of the due day
    provisional: bool | None = None
    moved: tuple[str, ...] | None = None
    note: str | None = None  # words in it
    cause: str | None = None  # what cancelled it
    source: str | None = None  # where its explanation says the limit comes from
    article: str | None = None  # the article it says it rests on
    began: str | None = None  # what it says really began and stopped it
    ended: str | None = None
    during_outage: bool | None = None
    overdue_items: tuple[str, ...] | None = None  # 超期办理件: `e1 E`; none: there is none
    # a fact of the order, of a stream, or of an event
    event: str | None = None  # an event's tag; its newest occurrence
    count: int | None = None  # how often it happened
    happened: datetime | None = None  # the instant of that event
    fact: str | None = None  # a path: episodes.0.returns.0.late; `count` is a length
    is_: Any = msgspec.field(default=msgspec.UNSET, name="is")  # `@B`: what that label created
    missing: bool = False  # the fact is not there
    # the evaluation that counts
    effective: Mapping[str, str] | None = None  # source and result; empty: none counts
    of_round: int | None = None


class Vector(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vector: under which rules its script is played, and what must come of it."""

    id: str
    title: str
    pack: str
    parents: tuple[str, ...] = ()
    options: dict[str, Any] = {}  # what the city decided otherwise
    given: str = ""
    note: str = ""
    rules: tuple[str, ...] = ()  # the rules it is about: "8.5", "R-33"
    on_ledger: str = ""  # the test that plays it against PostgreSQL, because it is about more than one writer
    expect: tuple[Expect, ...] = ()
    # what the last line does to the clocks of an order, in the letters of 2.9: a row of that matrix
    row: str = ""
    effect: dict[ClockName, str] | None = None
    effect_of: str = "A"


def names() -> list[str]:
    """Every vector by its name, in order."""
    return sorted(path.stem for path in VECTORS.glob("*.toml") if path.stem != "codes")


@cache
def vector(name: str) -> Vector:
    """One vector."""
    return msgspec.convert(tomllib.loads((VECTORS / f"{name}.toml").read_text(encoding="utf-8")), Vector)


@cache
def script(name: str) -> tuple[tuple[int, importing.Line], ...]:
    """The lines of a script with their numbers."""
    decoder = msgspec.json.Decoder(importing.Line)
    rows = enumerate((VECTORS / f"{name}.jsonl").read_bytes().splitlines(), 1)
    return tuple((number, decoder.decode(row)) for number, row in rows if row.strip() and not row.startswith(b"//"))


# --- the city ----------------------------------------------------------------------------------------------------


@cache
def packs(name: str, parents: tuple[str, ...], options: str) -> tuple[Pack, ...]:
    """The city's pack with its gaps filled and its own decisions, and the overlay that applies beside it."""
    made = wiring.completed(name, parents)
    said = msgspec.json.decode(options)
    if said:
        basis = Citation(text="本市决定", article="检验用例")
        own = tuple(Option(name=key, value=value, basis=basis) for key, value in said.items())
        kept = tuple(option for option in made.options if option.name not in said)
        made = msgspec.structs.replace(made, options=(*kept, *own))
    return made, *(wiring.read_pack(overlay) for overlay in wiring.OVERLAYS)


def rules_of(one: Vector) -> tuple[str, tuple[str, ...], str]:
    """What names a vector's rules: pack, parents, the city's own decisions."""
    return one.pack, one.parents, msgspec.json.encode(one.options, order="deterministic").decode()


def packs_of(one: Vector) -> tuple[Pack, ...]:
    """The packs that a vector's city publishes at its founding."""
    return packs(*rules_of(one))


# --- playing -----------------------------------------------------------------------------------------------------


class Played(NamedTuple):
    """A script after its last line: the memory it left, its labels, its last instant, what was refused."""

    memory: Rehearsal
    labels: Mapping[str, str]
    end: datetime
    refused: tuple[str, ...]


class NotAsWritten(AssertionError):
    """A line of a script did not come out as the script says."""


async def play(memory: Rehearsal, name: str, lines: Iterable[tuple[int, importing.Line]] | None = None) -> Played:
    """Carry out a script's lines, or others in their place. Raises NotAsWritten."""
    reading = importing.Script(cast(Ledger, memory), name)
    end, refused = FOUNDED, list[str]()
    for number, line in script(name) if lines is None else lines:
        end = wiring.parse_instant(line.at)
        try:
            await reading.look_up(line)
            await reading.carry_out(number, line)
        except Refusal as refusal:
            if refusal.code() != line.refused:
                raise NotAsWritten(f"{name}.jsonl:{number}: {refusal}") from refusal
            refused.append(refusal.code())
            continue
        except msgspec.ValidationError as error:
            raise NotAsWritten(f"{name}.jsonl:{number}: {error}") from error
        if line.refused is not None:
            raise NotAsWritten(f"{name}.jsonl:{number}: not refused ({line.refused})")
    return Played(memory, reading.labels, end, tuple(refused))


def played_out(playing: Coroutine[Any, Any, Played]) -> Played:
    """Run what never waits: in memory there is nothing to wait for, and a loop may be running already."""
    try:
        playing.send(None)
    except StopIteration as over:
        return over.value
    raise AssertionError("a script in memory waits for nothing")


@cache
def _founded(name: str, parents: tuple[str, ...], options: str) -> Rehearsal:
    memory = Rehearsal(FOUNDED)
    memory.found(packs(name, parents, options))
    played_out(play(memory, "city"))
    return memory


def city_of(one: Vector) -> Rehearsal:
    """Return a fresh city under a vector's rules, with the town in it."""
    return _founded(*rules_of(one)).copied()


@cache
def played(name: str) -> Played:
    """Play a vector's script in a fresh city under its rules."""
    return played_out(play(city_of(vector(name)), name))


# --- comparing ---------------------------------------------------------------------------------------------------

_UNITS = {"ms": timedelta(milliseconds=1), "s": timedelta(seconds=1), "min": timedelta(minutes=1)}
_UNITS |= {"h": timedelta(hours=1), "d": timedelta(days=1)}


def span(text: str) -> timedelta:
    """Read `41 h`, `20 min`, `1 ms`."""
    amount, unit = text.split()
    return int(amount) * _UNITS[unit]


def look(value: Any, path: str) -> Any:
    """Return what lies at a path in a struct; None where it leads nowhere."""
    found: Any = msgspec.to_builtins(value, builtin_types=(datetime, date))
    for part in path.split("."):
        if isinstance(found, (list, tuple)):
            if part == "count":
                return len(found)
            found = found[int(part)] if -len(found) <= int(part) < len(found) else None
        elif isinstance(found, dict):
            found = found.get(part)
        else:
            return None
    return found


class Seen(NamedTuple):
    """What an expectation looks at: a stream's entries up to its instant, what they make, and the law."""

    entries: Sequence[Entry]
    state: Any
    law: Law
    now: datetime
    labels: Mapping[str, str]


def seen(one: Played, expect: Expect) -> Seen:
    """Return what an expectation looks at."""
    stream = one.labels.get(expect.stream, expect.stream) if expect.stream else one.labels[expect.order]
    entries: Sequence[Entry] = one.memory.histories[stream]
    if expect.as_of is not None:
        entries = order.history(entries, as_at=expect.as_of)
    law = one.memory.law_at(expect.as_of)
    state = law if stream == institution.STREAM else fold(stream, entries)
    return Seen(entries, state, law, expect.now or expect.as_of or one.end, one.labels)


def differences(one: Played, expect: Expect) -> Iterator[str]:
    """Yield, in a sentence each, where the case is not as expected."""
    case = seen(one, expect)
    asked = 0
    for group, compare in (
        (expect.clock is not None, _clock),
        (expect.event is not None, _event),
        (expect.overdue_items is not None, _overdue_items),
        (expect.effective is not None, _effective),
        (expect.fact is not None and expect.event is None, _fact),
    ):
        if group:
            asked += 1
            yield from compare(case, expect)
    if not asked:
        yield "the expectation asks nothing"


def _differ(what: str, wanted: Any, found: Any) -> Iterator[str]:
    if wanted != found:
        yield f"{what}: {found}, expected {wanted}"


def clock_seen(case: Seen, expect: Expect) -> Clock | None:
    """Return the newest clock of that name and key."""
    if isinstance(case.state, Inquiry):
        running = inquiry_clock(case.state, case.law)
        all_of_it = () if running is None else (running,)
    else:
        assert isinstance(case.state, WorkOrder)
        all_of_it = clocks(case.state, case.law)
    found = [clock for clock in all_of_it if clock.name is expect.clock and expect.key in (None, clock.key)]
    return found[-1] if found else None


def _clock(case: Seen, expect: Expect) -> Iterator[str]:
    clock = clock_seen(case, expect)
    if clock is None or expect.none:
        yield from _differ(f"{expect.clock} {expect.key or ''}", None if expect.none else "a clock", clock)
        return
    said: list[tuple[str, Any, Any]] = [
        ("start", expect.start, clock.start.at),
        ("due", expect.due, clock.due),
        ("status", expect.status, clock.status(case.now)),
        ("breached", expect.breached, clock.breached(case.now)),
        ("late by", span(expect.late_by) if expect.late_by else None, clock.late_by(case.now)),
        ("stopped", expect.stop, clock.stop.at if clock.stop else None),
        ("cancelled", expect.cancelled, clock.cancel.at if clock.cancel else None),
        ("owner", expect.owner, clock.unit or case.law.hotline_unit),
        ("provisional", expect.provisional, clock.provisional),
        ("moved", expect.moved, tuple(move.why for move in clock.moves)),
        ("shown", expect.show, show_due(clock.due) if clock.due else None),
        ("month", expect.month, f"{due_day(clock.due):%Y-%m}" if clock.due else None),
        ("during an outage", expect.during_outage, clock.during_outage),
        ("cause", expect.cause, clock.cancelled_by),
        *_told(case, expect, clock),
    ]
    for what, wanted, found in said:
        if wanted is not None:
            yield from _differ(f"{clock.name} {clock.key}: {what}", wanted, found)
    if expect.undue:
        yield from _differ(f"{clock.name} {clock.key}: due", None, clock.due)


def _told(case: Seen, expect: Expect, clock: Clock) -> Iterator[tuple[str, Any, Any]]:
    """What the explanation of a clock says, and that it comes to the same due instants as the clock."""
    told = explain(clock, case.law)
    yield "first due explained", clock.moves[0].before if clock.moves else clock.due, told.first_due
    yield "source", expect.source, told.source
    yield "article", expect.article, told.article.article
    yield "began", expect.began, told.began
    yield "ended", expect.ended, told.ended
    yield "note", expect.note, expect.note if expect.note is not None and expect.note in told.note else told.note


def _overdue_items(case: Seen, expect: Expect) -> Iterator[str]:
    found = tuple(f"e{item.episode} {item.unit}" for item in overdue_items(clocks(case.state, case.law)))
    yield from _differ("overdue items", expect.overdue_items, found)


def _event(case: Seen, expect: Expect) -> Iterator[str]:
    found = [entry for entry in case.entries if tag(type(entry.event)) == expect.event]
    if expect.count is not None:
        yield from _differ(f"{expect.event}: how often", expect.count, len(found))
    if not found:
        if expect.count != 0:
            yield f"{expect.event}: never happened"
        return
    if expect.happened is not None:
        yield from _differ(f"{expect.event}: at", expect.happened, found[-1].at)
    if expect.fact is not None:
        yield from _value(found[-1].event, expect, case.labels)


def _fact(case: Seen, expect: Expect) -> Iterator[str]:
    yield from _value(case.state, expect, case.labels)


def _value(value: Any, expect: Expect, labels: Mapping[str, str]) -> Iterator[str]:
    found = look(value, expect.fact or "")
    if isinstance(expect.is_, str) and expect.is_.startswith("@"):
        yield from _differ(str(expect.fact), labels[expect.is_[1:]].partition(":")[2], found)
        return
    if expect.missing:
        yield from _differ(str(expect.fact), None, found)
    elif expect.is_ is msgspec.UNSET:
        yield f"{expect.fact}: nothing is expected of it"
    else:
        yield from _differ(str(expect.fact), expect.is_, found)


def _effective(case: Seen, expect: Expect) -> Iterator[str]:
    counts = effective(case.state, expect.of_round)
    found = {} if counts is None else {"source": str(counts.source), "result": str(counts.result)}
    yield from _differ("effective evaluation", expect.effective, found)


# --- what one line does to the clocks ----------------------------------------------------------------------------

_LETTERS = "SPXMR"


def effects(name: str) -> dict[ClockName, str]:
    """Return what the last line of a script did to an order's clocks: S start, P stop, X cancel, M move, R re-open.

    A clock that there is no more was cancelled. Several clocks of one name may fare differently: both letters are said.
    """
    one, (number, last) = played(name), script(name)[-1]
    stream = one.labels[vector(name).effect_of]
    whole = one.memory.histories[stream]
    earlier = [entry for entry in whole if entry.command_id.rpartition(":")[2] != str(number)]
    law = one.memory.laws[-2][1] if last.stream == institution.STREAM else one.memory.law
    before = {(c.name, c.key): c for c in _clocks_of(stream, earlier, law)}
    after = {(c.name, c.key): c for c in _clocks_of(stream, whole, one.memory.law)}
    found: dict[ClockName, set[str]] = {}
    for key in before.keys() | after.keys():
        for letter in _fate(before.get(key), after.get(key)):
            found.setdefault(key[0], set()).add(letter)
    return {clock: "".join(sorted(letters, key=_LETTERS.index)) for clock, letters in found.items()}


def _clocks_of(stream: str, entries: Sequence[Entry], law: Law) -> tuple[Clock, ...]:
    state = fold(stream, entries)
    return () if state is None else clocks(state, law)


def _fate(before: Clock | None, after: Clock | None) -> str:
    if before is None:
        return "S"
    if after is None:
        return "X" if before.running else ""
    if before.running and not after.running:
        return "P" if after.stop is not None else "X"
    if after.running and not before.running:
        return "R"
    return "M" if after.due != before.due else ""
