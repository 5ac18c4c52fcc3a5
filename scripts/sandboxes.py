"""培训演练. Cities in which nothing concerns anybody: made, reset, and never mistaken for one in earnest.

A sandbox says in its founding act that it is one. Every reset gives it a schema, keys, a ledger id and letters before its
numbers of its own: whoever still holds the old one open finds nothing there to read or write, and no number, id or
position of the old one means anything in the new. The new one is made beside the old and takes its place in one
transaction, so that at no instant there is none or half of one.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click
import msgspec
import psycopg

from api.problems import NotASandbox, SandboxResetting
from domain import recorder
from domain.recorder import Connection
from domain.refusals import LedgerExists
from projections.answers import Projections
from scripts import desk, embedded, importing, wiring
from scripts.desk import json_option
from scripts.lawbook import Commands, answer
from scripts.wiring import BUILDING, SettingError

SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
CASES = Path(__file__).with_name("cases")
ATTEMPTS = 10


class Template(msgspec.Struct, frozen=True):
    """What a sandbox is made of, each time again: its policy, its name, and the case script that is played in it."""

    policy: str
    title: str
    parents: tuple[str, ...] = ()
    script: bool = False


class Made(msgspec.Struct, frozen=True):
    """A sandbox as it stands after it was made or reset."""

    city: str
    ledger_id: str
    turn: int
    position: int
    letters: str


def _folder() -> Path:
    return embedded.home(wiring.environment()) / "sandboxes"


def _template(name: str) -> Template:
    try:
        return msgspec.json.decode((_folder() / f"{name}.json").read_bytes(), type=Template)
    except FileNotFoundError as error:
        raise NotASandbox(name) from error
    except msgspec.MsgspecError as error:
        raise SettingError(f"{_folder() / name}.json: {error}") from error


def letters_of(name: str, turn: int) -> str:
    """Return what a sandbox's numbers begin with: letters of its name, and two that tell its resets apart."""
    known = ("".join(letter for letter in name.upper() if "A" <= letter <= "Z") + "XX")[:4]
    return known + "".join(chr(ord("A") + place) for place in (turn // 26 % 26, turn % 26))


# --- making ------------------------------------------------------------------------------------------------------


async def make(database: embedded.Database, name: str, template: Template, script: Path | None) -> Made:
    """Make a sandbox. Raises LedgerExists where there is a city of this name, SandboxResetting."""
    if name in wiring.by_name(await wiring.cities(database)):
        raise LedgerExists(name)
    folder = _folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if script is not None:
        await asyncio.to_thread(shutil.copyfile, script, folder / f"{name}.jsonl")
    (folder / f"{name}.json").write_bytes(msgspec.json.encode(template))
    return await _anew(database, name, template, None)


async def reset(database: embedded.Database, name: str) -> Made:
    """Make a sandbox anew, as it was when it was made. Raises NotASandbox for a real city, SandboxResetting."""
    schema = wiring.by_name(await wiring.cities(database)).get(name)
    if schema is None:
        raise SettingError(f"没有此城市 no such city: {name}")
    if not wiring.turn_of(schema)[1]:
        raise NotASandbox(name)
    async with await wiring.open_city(database, schema) as ledger:
        law = await ledger.law()
        if law is None or not law.sandbox:
            raise NotASandbox(name)
    return await _anew(database, name, _template(name), schema)


async def _anew(database: embedded.Database, name: str, template: Template, old: str | None) -> Made:
    building = f"{name}{BUILDING}"
    named = recorder.statements(SQL, name)
    async with await recorder.connect(database.owner) as connection:
        if not (await _answer(connection, named["alone"], name)):
            raise SandboxResetting(name)
        now = wiring.by_name(await wiring.cities(database)).get(name)
        if now != old:  # somebody was faster
            raise SandboxResetting(name)
        await _run(connection, named["drop"], building)  # what an interrupted one left
        await _run(connection, named["drop"], f"{building}_projections")
        for left in _keys_of(building):
            left.unlink(missing_ok=True)
        turn = wiring.turn_of(old)[1] + 1 if old is not None else 1
        made = await _built(database, building, name, template, turn)
        schema = f"{name}__{turn}"
        _keys_moved(building, schema)
        old_ledger = await _ledger_id(database, old) if old is not None else None
        await _swapped(connection, named, building, schema, old)
    for left in [*_keys_of(building), *(_keys_of(old) if old is not None else ())]:
        left.unlink(missing_ok=True)
    if old_ledger is not None:
        await asyncio.to_thread(shutil.rmtree, wiring.files_root() / old_ledger, ignore_errors=True)
    return made


async def _built(database: embedded.Database, building: str, name: str, template: Template, turn: int) -> Made:
    """Found a sandbox under the name that it has while it is made, play its script, let its tables follow."""
    packs = [(wiring.completed(template.policy, template.parents), None)]
    packs += [(wiring.read_pack(overlay), None) for overlay in wiring.OVERLAYS]
    letters = letters_of(name, turn)
    await wiring.found_city(database, building, code=letters, name=template.title, packs=packs, sandbox=True)
    for person in ("keeper-1", "keeper-2"):
        key = _folder() / f"{name}-{person}.key"
        key.unlink(missing_ok=True)
        wiring.appoint(building, person, key)
    async with await wiring.open_city(database, building) as ledger, Projections(database.app, building) as shown:
        if template.script:
            script = _folder() / f"{name}.jsonl"
            rejects = _folder() / f"{name}.rejects.jsonl"
            rejects.unlink(missing_ok=True)
            played = await importing.import_script(ledger, script, rejects=rejects)
            if played.rejected:
                raise SettingError(f"案例脚本有退回 the case script has rejected lines: {rejects}")
        await desk.caught_up(shown)
        return Made(name, ledger.imprint.ledger_id, turn, (await ledger.head())[0], letters)


async def _ledger_id(database: embedded.Database, schema: str) -> str:
    async with await wiring.open_city(database, schema) as ledger:
        return ledger.imprint.ledger_id


async def _swapped(
    connection: Connection, named: dict[str, bytes], building: str, schema: str, old: str | None
) -> None:
    """Let the new one take the place of the old, in one transaction; whoever is at work there is waited for."""
    for attempt in range(ATTEMPTS):
        try:
            async with connection.transaction():
                await connection.execute(named["waiting"])
                for part in ("", "_projections"):
                    if old is not None:
                        await _run(connection, named["drop"], old + part)
                    await _run(connection, named["rename"], building + part, schema + part)
            return
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
            if attempt == ATTEMPTS - 1:
                raise SandboxResetting(schema) from error
            await asyncio.sleep(0.2)


async def _answer(connection: Connection, statement: bytes, *parameters: str) -> object:
    rows = await (await connection.execute(statement, list(parameters))).fetchall()
    return rows[0][0]


async def _run(connection: Connection, statement: bytes, *names: str) -> None:
    """Run the statement that another one answers."""
    said = await _answer(connection, statement, *names)
    await connection.execute(str(said).encode())


def _keys_of(schema: str) -> Sequence[Path]:
    """Return the key files of a sandbox, where they are its own."""
    if wiring.environment().get("HUIYIN_MASTER_KEY_FILE"):
        return ()
    return wiring.keyring_file(schema), wiring.informant_file(schema), wiring.endpoints_file(schema)


def _keys_moved(building: str, schema: str) -> None:
    for before, after in zip(_keys_of(building), _keys_of(schema), strict=True):
        after.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            os.link(before, after)


# --- commands ----------------------------------------------------------------------------------------------------


@click.group("sandbox", cls=Commands)
def sandbox_group() -> None:
    """培训演练城市: make one, reset it."""


@sandbox_group.command("create")
@click.argument("name")
@click.option("--policy", required=True, help="政策 S0 … S4, SC-2025, SD-2020, or a TOML file.")
@click.option("--parent", "parents", multiple=True, help="上位规则 a policy whose content fills the gaps (repeatable).")
@click.option("--title", help="名称 its name as printed; without: 演练 NAME.")
@click.option("--with", "script", metavar="SCRIPT", help="案例脚本 a case script to begin with: s0 … s4, or a file.")
@json_option
def create_command(
    name: str, policy: str, parents: tuple[str, ...], title: str | None, script: str | None, as_json: bool
) -> None:
    """新建: make a sandbox. It has the same API as a city, and may be reset.

    NAME: lower-case letters, digits and underscores. Its people are those of the script, and manager, admin and admin2.
    """
    wiring.check_city(name)
    wiring.completed(policy, parents)
    path = None if script is None else _script(script)
    template = Template(policy=policy, title=title or f"演练{name}", parents=parents, script=path is not None)
    _told(desk.run_async(make(wiring.database(), name, template, path)), as_json=as_json)


def _script(said: str) -> Path:
    shipped = CASES / f"{said.lower()}.jsonl"
    path = shipped if shipped.is_file() else Path(said)
    if not path.is_file():
        raise SettingError(f"没有此案例脚本 no such case script: {said}")
    return path


@sandbox_group.command("reset")
@click.argument("name")
@json_option
def reset_command(name: str, as_json: bool) -> None:
    """重置: make a sandbox anew, while it is served. A real city is never reset."""
    _told(desk.run_async(reset(wiring.database(), name)), as_json=as_json)


def _told(made: Made, *, as_json: bool) -> None:
    if as_json:
        answer(made)
        return
    click.echo(
        f"✓ {made.city}: 第 {made.turn} 次 turn {made.turn}, {made.position} 个事件 events, 编号 numbers {made.letters}…"
    )
    click.echo(f"  账本 ledger: {made.ledger_id}")
