"""The worked examples: each of the list in `vectors.json`, and our own for every paragraph of DOMAIN §8.

A vector is data (see `tests/vector_runner.py`). The list's prose stays beside it, so that nobody has to believe the
translation: every expectation of the list names what answers it, and a due instant must be the list's own.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import tomllib
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from domain import institution, refusals
from domain.clocks import clocks
from domain.kinds import KINDS
from domain.ledger import Ledger, Receipt
from domain.refusals import Refusal, VersionMoved
from domain.sealing import Keyring
from domain.state import WorkOrder
from domain.stored import tag
from domain.terms import Entry, Origin
from scripts import embedded, importing, wiring
from scripts.rehearsal import fold
from tests import vector_runner as runner
from tests.conftest import City, new_city
from tests.vector_runner import Expect, Vector

LIST: dict[str, dict[str, Any]] = {
    one["id"]: one for one in json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))
}
CODES: dict[str, str] = tomllib.loads((runner.VECTORS / "codes.toml").read_text(encoding="utf-8"))
REFUSALS = {
    kind.code(): kind for kind in vars(refusals).values() if isinstance(kind, type) and issubclass(kind, Refusal)
}
PARAGRAPHS = [f"8.{number}" for number in range(1, 16)]


# --- playing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", runner.names())
def test_a_vector_comes_out_as_it_says(name: str):
    one = runner.played(name)
    found = [said for expect in runner.vector(name).expect for said in runner.differences(one, expect)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "wrong",
    [
        {"clock": "handle", "key": "e1", "due": runner.FOUNDED},
        {"clock": "sign", "key": "e1.a1"},
        {"clock": "handle", "none": True},
        {"clock": "handle", "breached": True},
        {"clock": "handle", "late_by": "41 h"},
        {"clock": "handle", "month": "1999-01"},
        {"clock": "handle", "status": "late"},
        {"clock": "handle", "undue": True},
        {"clock": "handle", "owner": "F"},
        {"clock": "handle", "moved": ["extension"]},
        {"fact": "state", "is": "closed"},
        {"fact": "state", "missing": True},
        {"fact": "state"},
        {"event": "order.order_closed"},
        {"event": "order.order_dispatched", "count": 2},
        {"event": "order.order_dispatched", "happened": runner.FOUNDED},
        {"effective": {"source": "deemed", "result": "satisfied"}},
        {},
    ],
    ids=lambda wrong: " ".join(map(str, wrong)) or "nothing",
)
def test_what_did_not_come_out_is_noticed(wrong: dict[str, Any]):
    assert list(runner.differences(runner.played("T01"), msgspec.convert(wrong, Expect)))


def test_a_line_that_is_refused_for_another_reason_is_noticed():
    lines = runner.script("T38")
    assert any(line.refused == "not-signed" for _, line in lines)
    with pytest.raises(runner.NotAsWritten, match="not-signed"):
        _replay("T38", refused="return-undecided")
    with pytest.raises(runner.NotAsWritten, match="not refused"):
        _replay("T39", refused="not-signed")


def _replay(name: str, *, refused: str) -> None:
    """Play a script whose last line but one is to be refused for a reason that is not its own."""
    altered = [
        (number, msgspec.structs.replace(line, refused=refused if at == len(runner.script(name)) - 3 else line.refused))
        for at, (number, line) in enumerate(runner.script(name))
    ]
    runner.played_out(runner.play(runner.city_of(runner.vector(name)), name, altered))


# --- the list ----------------------------------------------------------------------------------------------------


def test_every_worked_example_of_the_list_is_played():
    assert not set(LIST) - set(runner.names())


@pytest.mark.parametrize("name", LIST)
def test_every_expectation_of_the_list_is_answered(name: str):
    one, listed = runner.vector(name), LIST[name]
    answered = {number for expect in one.expect for number in expect.answers}
    refused = {line.refused for _, line in runner.script(name) if line.refused}
    for number, wanted in enumerate(listed["expected"], 1):
        codes = {CODES[code] for code in _codes(wanted.get("expect", ""))} - {VersionMoved.code()}
        assert number in answered or (codes and codes <= refused), wanted
        assert codes <= refused, f"{codes - refused}: no line of the script is refused so"


def _codes(said: str) -> list[str]:
    found = re.findall(r"REJECTED ([A-Z_]+(?: / [A-Z_]+)*)", said)
    return [code for group in found for code in group.split(" / ")] + re.findall(r"CONCURRENCY_CONFLICT", said)


@pytest.mark.parametrize("name", [name for name, one in LIST.items() if any("due" in e for e in one["expected"])])
def test_a_due_instant_is_the_lists_own_or_says_why_not(name: str):
    for number, wanted in enumerate(LIST[name]["expected"], 1):
        if "due" not in wanted:
            continue
        saying = [e for e in runner.vector(name).expect if number in e.answers and e.due is not None]
        assert saying, wanted
        for expect in saying:
            same = expect.due == wiring.parse_instant(wanted["due"]) and expect.show in (None, wanted["show"])
            assert same is not bool(expect.overruled), wanted


@pytest.mark.parametrize("name", LIST)
def test_a_vector_of_the_list_is_played_under_the_lists_pack(name: str):
    assert LIST[name]["pack"] in ("any", runner.vector(name).pack.split("-")[0])


def test_every_code_of_the_list_means_a_refusal_that_exists():
    said = {code for one in LIST.values() for e in one["expected"] for code in _codes(e.get("expect", ""))}
    assert said <= set(CODES)
    assert set(CODES.values()) <= set(REFUSALS)


@pytest.mark.parametrize("paragraph", PARAGRAPHS)
def test_every_paragraph_of_section_8_has_vectors_of_its_own(paragraph: str):
    own = [name for name in runner.names() if name.startswith(f"P{paragraph}-")]
    assert own
    assert all(runner.vector(name).given for name in own)


def test_every_vector_expects_something_and_says_which_rule_it_is_about():
    for name in runner.names():
        one = runner.vector(name)
        assert one.expect or one.effect is not None, name
        assert one.rules, name


def test_every_vector_has_both_its_files_and_its_name():
    scripts = {path.stem for path in runner.VECTORS.glob("*.jsonl")} - {"city"}
    assert scripts == set(runner.names())
    assert all(runner.vector(name).id == name for name in runner.names())


# --- on the ledger -----------------------------------------------------------------------------------------------


@pytest.fixture
def city(postgres: embedded.Database) -> City:
    """A fresh ledger whose informants' key two persons hold: reports come up in vectors."""
    holders = {name: secrets.token_bytes(32) for name in ("first", "second")}
    return new_city(postgres, keyring=Keyring(secrets.token_bytes(32), holders))


@asynccontextmanager
async def opened(city: City) -> AsyncIterator[Ledger]:
    ledger = await Ledger.open(
        city.database.app, city.name, kinds=KINDS, keyring=city.keyring, entropy=secrets.token_bytes
    )
    async with ledger:
        yield ledger


async def found(ledger: Ledger, one: Vector) -> None:
    """Record the founding act of a vector's city, and the town that all of them play in."""
    act = wiring.founding_act(
        uuid4(), city_code="CD", city_name="某市", packs=[(pack, None) for pack in runner.packs_of(one)]
    )
    await ledger.execute(act, stream=institution.STREAM, actor=wiring.SYSTEM, command_id="found")
    await carry_out(ledger, "city")


async def carry_out(ledger: Ledger, name: str, *, until: int | None = None) -> importing.Script:
    """Carry out a script's lines, all or the first so many; refused ones must be refused as they say."""
    reading = importing.Script(ledger, name)
    for number, line in runner.script(name)[:until]:
        refused = None
        try:
            await reading.look_up(line)
            await reading.carry_out(number, line)
        except Refusal as refusal:
            refused = refusal.code()
        assert refused == line.refused, f"{name}.jsonl:{number}"
    return reading


def _groups() -> dict[str, list[str]]:
    """Vectors that may share a city: the same rules, and nothing that changes them."""
    shared: dict[str, list[str]] = defaultdict(list)
    for name in runner.names():
        one = runner.vector(name)
        alone = any(line.stream == institution.STREAM for _, line in runner.script(name))
        rules = " ".join((one.pack, *one.parents, *(f"{key}={value}" for key, value in one.options.items())))
        shared[name if alone else rules].append(name)
    return shared


GROUPS = _groups()


def _case(state: Any, law: Any, entries: list[Entry]) -> list[Any]:
    """What a case came to, without what only one ledger knows: ids, positions, seals."""
    made = [(tag(type(entry.event)), entry.at, entry.actor) for entry in entries]
    if not isinstance(state, WorkOrder):
        return made
    told = [
        (c.name, c.key, c.unit, c.start.at, c.due, c.stop and c.stop.at, c.cancel and c.cancel.at, c.provisional)
        for c in clocks(state, law)
    ]
    return [*made, *told, state.state, state.round, state.filing.kind, state.confidentiality]


@pytest.mark.parametrize("group", GROUPS)
async def test_what_a_script_makes_is_the_same_in_the_ledger(city: City, group: str):
    async with opened(city) as ledger:
        await found(ledger, runner.vector(GROUPS[group][0]))
        for name in GROUPS[group]:
            reading = await carry_out(ledger, name)
            one, law = runner.played(name), await ledger.law()
            assert reading.labels.keys() == one.labels.keys()
            for label, stream in reading.labels.items():
                entries = list(await ledger.history(stream))
                kept = one.memory.histories[one.labels[label]]
                here = _case(await ledger.fold(stream), law, entries)
                there = _case(fold(one.labels[label], kept), one.memory.law, kept)
                assert here == there, f"{name}: {label}"


def _command(ledger: Ledger, reading: importing.Script, line: importing.Line) -> dict[str, Any]:
    """How a line is asked of the ledger by a caller who names the version they saw."""
    return {
        "command": msgspec.convert(reading.resolve(line.command), importing.AnyCommand),
        "stream": reading.labels[line.order or "A"],
        "actor": line.by,
        "command_id": secrets.token_hex(8),
        "occurred_at": wiring.parse_instant(line.at),
        "origin": Origin.IMPORT,
    }


async def _at_once(city: City, name: str, lines: tuple[int, int], until: int) -> tuple[list[Any], list[Entry]]:
    """Play a script up to a line, then two of its lines from two processes' doors, both with the same version."""
    async with opened(city) as one, opened(city) as other:
        await found(one, runner.vector(name))
        reading = await carry_out(one, name, until=until)
        stream = reading.labels["A"]
        seen = len(await one.history(stream))
        script = runner.script(name)
        asked = [
            door.execute(expected=seen, **_command(door, reading, script[number][1]))
            for door, number in zip((one, other), lines, strict=True)
        ]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        return answers, list(await one.history(stream))


async def test_of_two_who_sign_at_once_exactly_one_is_told_it_is_signed(city: City):
    answers, entries = await _at_once(city, "T73", (2, 3), until=2)
    assert sorted(type(answer).__name__ for answer in answers) == ["Receipt", "VersionMoved"]
    assert sum(tag(type(entry.event)) == "order.assignment_signed" for entry in entries) == 1


async def test_of_a_return_and_a_reply_the_first_committed_wins(city: City):
    order = [n for n, (_, line) in enumerate(runner.script("T74")) if line.order == "A"]
    start = next(n for n in order if runner.script("T74")[n][1].command["type"] == "request_return")
    answers, entries = await _at_once(city, "T74", (start, start + 1), until=start)
    won = [answer for answer in answers if isinstance(answer, Receipt)]
    assert len(won) == 1
    assert [type(a) for a in answers if a is not won[0]] == [VersionMoved]
    assert entries[-1].event == won[0].events[-1].event


async def test_a_dispatch_sent_twice_is_carried_out_once(city: City):
    async with opened(city) as ledger:
        await found(ledger, runner.vector("T75"))
        reading = await carry_out(ledger, "T75", until=1)
        asked = _command(ledger, reading, runner.script("T75")[1][1])
        first, second = await ledger.execute(**asked), await ledger.execute(**asked)
        entries = await ledger.history(reading.labels["A"])
    assert not first.replayed
    assert second.replayed
    assert (second.first_position, second.events) == (first.first_position, first.events)
    assert sum(tag(type(entry.event)) == "order.order_dispatched" for entry in entries) == 1


async def test_the_evaluation_at_the_last_instant_wins_over_the_deeming_job(city: City):
    async with opened(city) as ledger:
        await found(ledger, runner.vector("T41"))
        reading = await carry_out(ledger, "T41", until=5)
        stream = reading.labels["A"]
        seen = len(await ledger.history(stream))
        rated, deemed = (line for _, line in runner.script("T41")[5:7])
        await ledger.execute(expected=seen, **_command(ledger, reading, rated))
        with pytest.raises(VersionMoved):
            await ledger.execute(expected=seen, **_command(ledger, reading, deemed))
        with pytest.raises(refusals.WindowOpen):
            await ledger.execute(**_command(ledger, reading, deemed))
        entries = await ledger.history(stream)
    assert [tag(type(entry.event)) for entry in entries[seen:]] == ["order.evaluation_recorded"]


def test_every_vector_about_more_than_one_writer_names_a_test_that_plays_it():
    named = {name: runner.vector(name).on_ledger for name in runner.names() if runner.vector(name).on_ledger}
    assert {"T41", "T73", "T74", "T75", "T77", "T78"} <= set(named)
    assert all(test in globals() for test in named.values())
