"""The rule texts, walked: each text's own route from registration to filing, and each of its guards violated.

The scripts in `scripts/cases` are imported as `huiyin import` does it, into a fresh city on PostgreSQL. What must come
of one stands beside it, in `NAME.expected.toml`: of every order its state, how it was closed, and all of its clocks.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from domain import institution, refusals
from domain.calendar import show_due
from domain.clocks import Clock, clocks
from domain.kinds import KINDS
from domain.law import Law
from domain.ledger import Ledger
from domain.matters.inquiries import Inquiry, inquiry_clock
from domain.policy import Does, LimitSource
from domain.refusals import Refusal
from domain.sealing import Keyring
from domain.state import WorkOrder
from domain.stored import tag
from domain.terms import ClockName, ClosureKind, Entry, EvaluationSource, NoticeKind, NoticeState, OrderState
from scripts import embedded, importing, printing, wiring
from scripts.huiyin import huiyin
from tests import vector_runner
from tests.conftest import City, new_city

CASES = Path(wiring.__file__).parent / "cases"
TEXTS = tuple(sorted(path.name.removesuffix(".expected.toml") for path in CASES.glob("*.expected.toml")))
REFUSALS = {
    kind.code(): kind for kind in vars(refusals).values() if isinstance(kind, type) and issubclass(kind, Refusal)
}


# --- what a script must come to ----------------------------------------------------------------------------------


class ExpectedOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one order stands in the end. A clock: its name, key, unit (empty: the hotline), due instant and status."""

    state: OrderState
    clocks: tuple[tuple[ClockName, str, str, str, str], ...]
    closure: ClosureKind


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a text names, and what its script comes to."""

    policy: str
    now: datetime  # the instant that the statuses are seen at
    clocks: frozenset[ClockName]  # that the text's tables name
    events: frozenset[str]
    orders: dict[str, ExpectedOrder]


def expected(text: str) -> Expected:
    return msgspec.convert(tomllib.loads((CASES / f"{text}.expected.toml").read_text(encoding="utf-8")), Expected)


def lines(name: str) -> dict[int, importing.Line]:
    """Return the lines of a script by their numbers."""
    decoder = msgspec.json.Decoder(importing.Line)
    rows = enumerate((CASES / f"{name}.jsonl").read_bytes().splitlines(), 1)
    return {number: decoder.decode(row) for number, row in rows if row.strip() and not row.startswith(b"//")}


# --- a city that the script is imported into ---------------------------------------------------------------------


class Town(NamedTuple):
    """A founded city after its import."""

    city: City
    summary: importing.Summary
    entries: list[Entry]
    orders: dict[str, WorkOrder]  # by their labels
    inquiries: list[Inquiry]
    law: Law


def keys() -> Keyring:
    """Return the keys of a city in which two persons were appointed for informants."""
    persons = (X25519PrivateKey.generate() for _ in range(2))
    appointed = {f"keeper-{no}": key.public_key().public_bytes_raw() for no, key in enumerate(persons, 1)}
    return Keyring(secrets.token_bytes(32), appointed)


async def founded(database: embedded.Database, text: str) -> City:
    """Return a city founded under a text's policy."""
    city = await asyncio.to_thread(new_city, database, keyring=keys())
    packs = (wiring.completed(expected(text).policy), *(wiring.read_pack(name) for name in wiring.OVERLAYS))
    act = wiring.founding_act(UUID(int=1), city_code="HY", city_name="某市", packs=[(pack, None) for pack in packs])
    async with opened(city) as ledger:
        await ledger.execute(act, stream=institution.STREAM, actor=wiring.SYSTEM, command_id="found")
    return city


@asynccontextmanager
async def opened(city: City) -> AsyncIterator[Ledger]:
    making = Ledger.open(city.database.app, city.name, kinds=KINDS, keyring=city.keyring, entropy=secrets.token_bytes)
    async with await making as ledger:
        yield ledger


async def imported(city: City, script: Path, rejects: Path) -> Town:
    """Import a script into a founded city."""
    async with opened(city) as ledger:
        summary = await importing.import_script(ledger, script, rejects=rejects)
        entries = await ledger.read(0, 1_000_000)
        streams = dict.fromkeys(entry.stream for entry in entries if entry.stream.startswith("order:"))
        by_number = {order.number: order for order in [await ledger.fold(stream) for stream in streams]}
        orders = {label: by_number[number] for label, number in summary.orders.items()}
        asked = dict.fromkeys(entry.stream for entry in entries if entry.stream.startswith("inquiry:"))
        inquiries = [await ledger.fold(stream) for stream in asked]
        return Town(city, summary, entries, orders, inquiries, await ledger.law())


def made(database: embedded.Database, text: str, script: Path, folder: Path) -> Town:
    """Return a fresh city into which a script was imported."""

    async def make() -> Town:
        return await imported(await founded(database, text), script, folder / "rejects.jsonl")

    return asyncio.run(make())


@pytest.fixture(scope="module", params=TEXTS)
def text(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def town(text: str, postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A city in which a text was walked."""
    return made(postgres, text, CASES / f"{text}.jsonl", tmp_path_factory.mktemp("walked"))


# --- walked ------------------------------------------------------------------------------------------------------


def test_a_text_is_walked_without_a_line_refused(town: Town):
    assert not town.summary.by_reason
    assert town.summary.expected_refusals == 0


def row(clock: Clock, now: datetime) -> tuple[str, ...]:
    due = show_due(clock.due) if clock.due is not None else ""
    return (clock.name, clock.key, clock.unit, due, clock.status(now).value)


def test_each_case_ends_filed_with_just_the_clocks_it_should_have(text: str, town: Town):
    wanted = expected(text)
    found = {
        label: {
            "state": order.state,
            "closure": order.filing.kind,
            "clocks": [row(clock, wanted.now) for clock in clocks(order, town.law)],
        }
        for label, order in town.orders.items()
    }
    for label, order in wanted.orders.items():
        assert found.get(label) == {"state": order.state, "closure": order.closure, "clocks": [*order.clocks]}, label
    assert found.keys() == wanted.orders.keys()
    assert {order.state for order in town.orders.values()} == {OrderState.ARCHIVED}


def test_every_clock_and_every_event_that_the_text_names_occurs(text: str, town: Town):
    wanted = expected(text)
    ran = {clock.name for order in town.orders.values() for clock in clocks(order, town.law)}
    ran |= {clock.name for inquiry in town.inquiries if (clock := inquiry_clock(inquiry, town.law)) is not None}
    happened = {tag(type(entry.event)) for entry in town.entries}
    assert not wanted.clocks - ran
    assert not wanted.events - happened


_BY_NOTICE = {
    NoticeKind.REMINDER: Does.REMIND,
    NoticeKind.SYSTEM: Does.SUPERVISE,
    NoticeKind.WRITTEN: Does.WRITTEN_NOTICE,
}


def effects(order: WorkOrder, law: Law, now: datetime) -> Iterator[tuple[Does, ClockName | None]]:
    """Yield what followed in one case, and from which clock."""
    for clock in clocks(order, law):
        if clock.breached(now):
            yield Does.MEASURE, clock.name
    for notice in order.oversight.notices:
        if notice.kind in _BY_NOTICE:
            yield _BY_NOTICE[notice.kind], notice.clock
        if notice.state is NoticeState.ESCALATED and notice.escalated_to is None:
            ignored = ClockName.ARRIVE_SITE if notice.kind is NoticeKind.ONSITE else ClockName.SUPV_REPLY
            yield Does.CIRCULAR, ignored
    if any(asked.late for episode in order.episodes for asked in episode.returns):
        yield Does.OVERDUE_ITEM, ClockName.RETURN
    if any(said.source is EvaluationSource.DEEMED for said in order.quality.evaluations):
        yield Does.DEEM, ClockName.EVAL_WINDOW
        yield Does.CLOSE, ClockName.EVAL_WINDOW
        yield Does.FILE, ClockName.EVAL_WINDOW
    if order.quality.not_handled is not None:
        yield Does.DEEM_NOT_HANDLED, None


def test_every_consequence_that_the_text_names_came_about(text: str, town: Town):
    wanted = expected(text)
    pack = wiring.read_pack(wanted.policy)
    figureless = {rule.name for rule in pack.clocks if rule.source is LimitSource.MEASURED}
    named = {(one.does, one.clock) for one in pack.consequences}
    named -= {(Does.MEASURE, name) for name in figureless}  # without a figure nothing is ever late
    assert named
    assert not named - {one for order in town.orders.values() for one in effects(order, town.law, wanted.now)}


def test_each_case_is_shown_with_every_deadline(town: Town, tmp_path: Path):
    master = tmp_path / "master.key"
    master.write_text(town.city.keyring.master.hex())
    settings = {
        "HUIYIN_DATABASE_URL": town.city.database.superuser,
        "HUIYIN_MASTER_KEY_FILE": str(master),
        "HUIYIN_CITY": town.city.name,
    }
    for order in town.orders.values():
        shown = CliRunner().invoke(huiyin, ["show", order.number], env=settings)
        assert shown.exit_code == 0, shown.output
        dues = {printing.show_end(clock.due) for clock in clocks(order, town.law) if clock.due is not None}
        assert order.demand.title in shown.output
        assert not [due for due in dues if due not in shown.output]


# --- refused -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def refused(text: str, postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A city in which the guards of a text were violated."""
    return made(postgres, text, CASES / f"{text}-refused.jsonl", tmp_path_factory.mktemp("refused"))


def violations(text: str) -> dict[int, str]:
    """Return the codes of the lines that are there to be refused, by their numbers."""
    return {number: line.refused for number, line in lines(f"{text}-refused").items() if line.refused is not None}


def test_every_violation_is_refused_for_its_reason_and_writes_nothing(text: str, refused: Town):
    assert not refused.summary.by_reason
    assert refused.summary.expected_refusals == len(violations(text))
    wrote = {int(found[1]) for entry in refused.entries if (found := re.match(r"script:\w+:(\d+)", entry.command_id))}
    assert not wrote & violations(text).keys()
    assert wrote == lines(f"{text}-refused").keys() - violations(text).keys()
    assert {order.state for order in refused.orders.values()} == {OrderState.ARCHIVED}


def named_codes(text: str) -> Iterator[str]:
    """Yield the codes of the guards that the text's pack names, and of the worked examples under it."""
    pack = wiring.read_pack(expected(text).policy)
    yield from (guard.refusal for guard in pack.guards)
    for name in vector_runner.names():
        if name.startswith("T") and vector_runner.vector(name).pack == pack.id:
            yield from (line.refused for _, line in vector_runner.script(name) if line.refused is not None)


def test_every_guard_that_the_text_or_a_worked_example_names_is_violated(text: str):
    assert not set(named_codes(text)) - set(violations(text).values())


def test_who_is_refused_reads_the_sentence_of_the_refusal(text: str, postgres: embedded.Database, tmp_path: Path):
    unaware = tmp_path / "unaware.jsonl"
    content = (CASES / f"{text}-refused.jsonl").read_text(encoding="utf-8")
    unaware.write_text(re.sub(r', "refused": "[a-z0-9-]+"', "", content), encoding="utf-8")
    told_off = made(postgres, text, unaware, tmp_path)
    told: list[dict[str, Any]] = [
        msgspec.json.decode(row) for row in (tmp_path / "rejects.jsonl").read_bytes().splitlines()
    ]
    assert {row["line"]: row["code"] for row in told} == violations(text)
    assert told_off.summary.rejected == len(told)
    for row in told:
        sentence = " ".join((REFUSALS[row["code"]].__doc__ or "").split())
        assert row["reason"].startswith(sentence)
        assert re.search("[一-鿿].*。.*[A-Za-z]{2}", sentence), sentence


def test_a_script_imported_again_adds_nothing(text: str, town: Town, refused: Town, tmp_path: Path):
    for before, name in ((town, text), (refused, f"{text}-refused")):
        again = asyncio.run(imported(before.city, CASES / f"{name}.jsonl", tmp_path / "rejects.jsonl"))
        assert (again.summary.events, again.summary.by_reason) == (0, {})
        assert again.entries == before.entries
