"""The table of 8.1: every event, and the commands or reads that produce it; no row is empty. And every refusal is real.

The rows are read from the rules themselves: which events a command's rule, and whatever it calls, can write. Playing
every script then shows that the rows are right (nothing is written that its row does not name) and that none of them
is idle (every event is written, every command given, by some script).
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import msgspec
import pytest
from psycopg import sql

from domain import institution, journals, order, recorder, refusals, settling, units
from domain.kinds import KINDS
from domain.ledger import Ledger
from domain.refusals import ConcurrencyConflict, Refusal, StorageRefused, UnknownTopic
from domain.stored import Codec, tag
from domain.terms import Act, Fact, Origin
from scripts import embedded, importing, wiring
from tests import test_vectors as played
from tests import vector_runner as runner
from tests.conftest import City, new_city

ROOT = Path(__file__).resolve().parent.parent
EVENTS = {event for kind in KINDS for event in kind.events}
COMMANDS = {command for kind in KINDS for command in kind.commands}
REFUSALS = {
    kind
    for kind in vars(refusals).values()
    if isinstance(kind, type) and issubclass(kind, Refusal) and kind is not Refusal
}

BY_THE_DOOR: Mapping[type[Fact], str] = {
    journals.NumberGiven: "a wish for a number on paper",
    journals.KeysShredded: "a wish that keys be destroyed",
    journals.AccessLogged: "a read that opens what is sealed",
}
"""The journals' events: no rule writes them, the door does."""


# --- what a rule can write ---------------------------------------------------------------------------------------


def _object(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """What a name, or a name in a module, stands for; None for anything else."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        holder = _object(node.value, names)
        return getattr(holder, node.attr, None) if isinstance(holder, ModuleType) else None
    return None


def _spoken(nodes: list[ast.stmt], names: Mapping[str, Any]) -> Iterator[Any]:
    """Everything that statements name, but for questions (`isinstance`), patterns and annotations."""
    waiting: list[ast.AST] = list(nodes)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            continue
        if isinstance(node, ast.pattern):
            continue
        if isinstance(node, ast.AnnAssign):
            waiting += [node.value] if node.value is not None else []
            continue
        if isinstance(node, ast.FunctionDef):
            waiting += node.body
            continue
        if isinstance(node, ast.expr) and (found := _object(node, names)) is not None:
            yield found
            continue
        waiting += ast.iter_child_nodes(node)


@cache
def _body(function: FunctionType) -> ast.FunctionDef:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    return tree


def _written_by(nodes: list[ast.stmt], names: Mapping[str, Any], seen: set[Any]) -> Iterator[type[Fact]]:
    """Yield the events that statements, and the domain's functions they name, can write."""
    for found in _spoken(nodes, names):
        if isinstance(found, type) and found in EVENTS:
            yield found
        elif isinstance(found, FunctionType) and found.__module__.startswith("domain.") and found not in seen:
            seen.add(found)
            yield from _written_by(_body(found).body, found.__globals__, seen)


def _of_rule(rule: Callable[..., Any]) -> set[type[Fact]]:
    assert isinstance(rule, FunctionType)
    return set(_written_by(_body(rule).body, rule.__globals__, {rule}))


def _of_match(decide: FunctionType) -> Iterator[tuple[type[Act], set[type[Fact]]]]:
    """Yield each command of a rule that is one `match`, or that asks `isinstance` first, with what its arm writes."""
    names = decide.__globals__
    for node in ast.walk(_body(decide)):
        if isinstance(node, ast.match_case):
            commands = [_object(p.cls, names) for p in ast.walk(node.pattern) if isinstance(p, ast.MatchClass)]
            written = set(_written_by(node.body, names, set()))
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Call):
            commands = [_object(argument, names) for argument in node.test.args[1:]]
            written = set(_written_by(node.body, names, set()))
        else:
            continue
        yield from ((command, written) for command in commands if command in COMMANDS)


def _rules() -> Iterator[tuple[type[Act], set[type[Fact]]]]:
    yield from ((command, _of_rule(rule)) for command, rule in order.DECIDES.items())
    yield from _of_match(institution.decide)
    yield from _of_match(units.decide)
    for kind in KINDS:
        told = inspect.getclosurevars(kind.decide).nonlocals
        for table in (told.get("opens", {}), told.get("decides", {})):
            yield from ((command, _of_rule(rule)) for command, rule in table.items())


@cache
def table() -> dict[type[Act], set[type[Fact]]]:
    """What each command can write."""
    found: dict[type[Act], set[type[Fact]]] = defaultdict(set)
    for command, written in _rules():
        found[command] |= written
    return dict(found)


def rows() -> dict[type[Fact], set[type[Act]]]:
    """The table of 8.1: the commands that produce each event."""
    return {event: {command for command, written in table().items() if event in written} for event in EVENTS}


# --- the table ---------------------------------------------------------------------------------------------------


def test_every_command_has_a_rule_that_writes_something():
    assert set(table()) == COMMANDS
    assert not [command.__name__ for command, written in table().items() if not written]


def test_no_row_of_the_table_of_events_is_empty():
    assert not [event.__name__ for event, commands in rows().items() if not commands]


def test_the_table_is_read_from_the_rules_and_not_made_up():
    by_name = {command.__name__: {event.__name__ for event in written} for command, written in table().items()}
    assert by_name["Sign"] == {"AssignmentSigned"}
    assert by_name["Merge"] == {"OrdersMerged", "ChildMerged"}
    assert {"ReplySubmitted", "FollowUpCommitted", "ExplanationRecorded"} <= by_name["Reply"]
    assert {"EvaluationDeemed", "OrderClosed", "OrderArchived", "ReplyReviewed"} <= by_name["Deem"]
    assert by_name["DeclarePeak"] == {"PeakModeDeclared"}
    assert by_name["GrantRole"] == {"RoleGranted"}
    assert "CityFounded" in by_name["Found"]
    assert by_name["DraftCircular"] == {"CircularDrafted"}


@cache
def _played() -> dict[type[Act], set[type[Fact]]]:
    """What each command wrote while every script was played."""
    kinds = {command.__struct_config__.tag: command for command in COMMANDS}
    seen: dict[type[Act], set[type[Fact]]] = defaultdict(set)
    for name in (*runner.names(), "city"):
        one = runner.played(name) if name != "city" else runner.played("T01")
        given = {f"script:{name}:{number}": kinds[line.command["type"]] for number, line in runner.script(name)}
        for entry in (entry for history in one.memory.histories.values() for entry in history):
            if entry.command_id in given:
                seen[given[entry.command_id]].add(type(entry.event))
            elif not entry.command_id:
                seen[institution.Found].add(type(entry.event))
    return dict(seen)


def test_no_script_writes_what_the_table_does_not_say():
    beyond = {
        command.__name__: {event.__name__ for event in written - table()[command]}
        for command, written in _played().items()
        if written - table()[command]
    }
    assert not beyond


def test_every_command_is_given_by_some_script():
    assert not {command.__name__ for command in COMMANDS - set(_played())}


def test_every_event_is_written_by_some_script():
    written = {event for events in _played().values() for event in events}
    assert not {event.__name__ for event in EVENTS - written}


def test_the_journals_events_are_written_by_the_door_alone():
    assert set(BY_THE_DOOR) == set(journals.EVENTS)
    assert not set(BY_THE_DOOR) & EVENTS
    text = "".join((ROOT / "domain" / name).read_text() for name in ("settling.py", "writer.py", "ledger.py"))
    assert all(event.__name__ in text or tag(event) in text for event in BY_THE_DOOR)


# --- refusals ----------------------------------------------------------------------------------------------------

_BY_NAME = {kind.__name__: kind for kind in REFUSALS}


def _refusals_in(nodes: ast.AST) -> Iterator[type[Refusal]]:
    for node in ast.walk(nodes):
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if name in _BY_NAME:
            yield _BY_NAME[name]


def _made() -> set[type[Refusal]]:
    """Refusals that the code raises, or makes to be raised by whoever asked."""
    found: set[type[Refusal]] = set()
    for room in ("domain", "scripts", "projections"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Raise) and node.exc is not None:
                    found.update(_refusals_in(node.exc))
                elif isinstance(node, ast.Call):
                    found.update(_refusals_in(node.func))
    return found


def _expected_by_tests() -> set[type[Refusal]]:
    """Refusals that a test names where it says what it expects; an import alone names nothing here."""
    paths = (ROOT / "tests").rglob("*.py")
    return {kind for path in paths for kind in _refusals_in(ast.parse(path.read_text(encoding="utf-8")))}


def _expected_by_scripts() -> set[type[Refusal]]:
    codes = {kind.code(): kind for kind in REFUSALS}
    return {codes[code] for name in runner.names() for code in runner.played(name).refused if code in codes}


def test_every_refusal_is_made_somewhere():
    assert not {kind.__name__ for kind in REFUSALS - _made()}


def test_every_refusal_is_reached_by_a_script_or_a_test():
    assert not {kind.__name__ for kind in REFUSALS - _expected_by_scripts() - _expected_by_tests()}


def test_most_refusals_are_reached_by_a_script_that_anybody_can_play():
    rules = {kind for kind in REFUSALS if kind.__module__ == "domain.refusals"}
    assert len(_expected_by_scripts() & rules) >= 230


def test_an_event_of_no_kind_that_is_known_is_refused():
    with pytest.raises(UnknownTopic):
        Codec(KINDS).event("order.never_heard_of", "{}")


@pytest.fixture
def city(postgres: embedded.Database) -> City:
    return new_city(postgres)


async def _first_line(ledger: Ledger, name: str) -> None:
    """Ask for the first line of a script."""
    _, line = runner.script(name)[0]
    await ledger.execute(
        msgspec.convert(line.command, importing.AnyCommand),
        actor=line.by,
        command_id="first line",
        occurred_at=wiring.parse_instant(line.at),
        origin=Origin.IMPORT,
    )


async def test_who_is_always_too_slow_is_told_so(city: City, monkeypatch: pytest.MonkeyPatch):
    async with played.opened(city) as ledger:
        await played.found(ledger, runner.vector("T01"))
        monkeypatch.setattr(settling.Settlement, "settle", lambda self, proposal: settling.Moved((institution.STREAM,)))
        with pytest.raises(ConcurrencyConflict):
            await _first_line(ledger, "T01")


async def test_a_database_that_lets_nobody_write_is_a_refusal_and_nothing_is_written(city: City):
    async with played.opened(city) as ledger:
        await played.found(ledger, runner.vector("T01"))
        before = await ledger.head()
        await _take_away_writing(city)
        with pytest.raises(StorageRefused):
            await _first_line(ledger, "T01")
        assert await ledger.head() == before


async def _take_away_writing(city: City) -> None:
    """Leave the application's role without the right to move the head."""
    connection = await recorder.connect(city.database.owner)
    try:
        await connection.execute(sql.SQL("REVOKE UPDATE ON {}.head FROM huiyin_app").format(sql.Identifier(city.name)))
        await connection.commit()
    finally:
        await connection.close()
