"""The rule texts' case scripts, walked over HTTP by the people in them, with the same end as at the command line."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from api import openapi
from api.access import OF_UNITS
from api.asking import is_uuid
from api.commands import BY_NAME, arms, type_at
from api.operations import OPERATIONS
from domain.calendar import show_due
from domain.clocks import clocks
from domain.kinds import KINDS
from domain.law import Law
from domain.ledger import Ledger
from domain.state import WorkOrder
from domain.terms import SHANGHAI, Act, Role, Sealed
from scripts import docs, importing, wiring
from tests.api.conftest import NOTICES, REST, SUPERVISED, Caller, Reply, Served
from tests.supervision import test_walks
from tests.test_cases import TEXTS, expected, lines, row
from tests.test_notices import DUES, ENDS, shown

PATHS = {operation.name: operation.path for operation in OPERATIONS if operation.command is not None}
COLLECTION = {"order": "orders", "matter": "matters", "call": "calls", "inquiry": "inquiries"}


SLY = "'; DROP TABLE events; -- <script>alert(1)</script> {{7*7}} ../../etc/passwd %s \u202e"


def with_sly_words(body: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a body once for each text in it, with sly words in its place, and where that is."""
    if isinstance(body, str):
        yield place, SLY
    elif isinstance(body, dict):
        for name, value in body.items():
            for where, changed in with_sly_words(value, f"{place}.{name}" if place else name):
                yield where, {**body, name: changed}
    elif isinstance(body, list):
        for number, value in enumerate(body):
            for where, changed in with_sly_words(value, f"{place}[{number}]"):
                yield where, [*body[:number], changed, *body[number + 1 :]]


def sealed(act: type[Act], field: str) -> bool:
    """Tell whether a field is sealed: any words may stand in it."""
    return Sealed in arms(type_at(act, field))


class Walk:
    """A script on its way through the API: what its labels stand for."""

    def __init__(self, served: Served, text: str) -> None:
        self.served = served
        self.text = text
        self.labels: dict[str, str] = {}  # label -> stream
        self.head = 0
        self.tokens: dict[Any, Caller] = {}
        self.examples = {(one.script, one.line): name for name, one in docs.examples().items()}
        self.tried: set[str] = set()
        self.sealed = 0  # texts that were tried with sly words in them

    def caller(self, line: importing.Line) -> Caller:
        """Return whoever gives a line's command; an import vouches for those who acted then."""
        by = line.by
        if by not in self.tokens:
            role = f"{by.role}@{by.unit}" if by.unit else str(by.role)
            orders = [stream.partition(":")[2] for stream in self.labels.values()] if by.role == Role.CITIZEN else []
            token = self.served.token(by.user, role, cities=(self.text,), scope="import", orders=orders)
            caller = Caller(self.served.client, token, self.served.names[self.text])
            if by.role == Role.CITIZEN:  # whose token names the orders there are by now
                return caller
            self.tokens[by] = caller
        return self.tokens[by]

    def resolve(self, value: Any) -> Any:
        if value == "@head":
            return self.head
        if isinstance(value, str) and value.startswith("@") and value[1:] in self.labels:
            return self.labels[value[1:]].partition(":")[2]
        if isinstance(value, dict):
            return {name: self.resolve(one) for name, one in value.items()}
        return [self.resolve(one) for one in value] if isinstance(value, list) else value

    def give(self, number: int, line: importing.Line) -> Reply:
        """Give a line's command."""
        command = self.resolve(line.command)
        name = command.pop("type")
        label = line.order or line.stream or ""
        path = PATHS[name]
        stream = self.labels.get(label, "")
        if stream and ("/new/" in path or name == "register"):  # begun a second time
            path = f"/{path.split('/')[1]}/{{record}}/{name}"
        if "{record}" in path:
            named = (line.stream or "").partition(":")[2]
            if not stream and line.stream is not None and not is_uuid(named):
                named = "new"
            path = path.replace("{record}", stream.partition(":")[2] or named)
        said = {
            "Huiyin_Reason": line.reason or "script",
            "Huiyin_Occurred_At": wiring.parse_instant(line.at).isoformat(),
            "Huiyin_Origin": "import",
        }
        if (self.text, number) in self.examples:
            self.try_out(self.examples[self.text, number], line, path, command, said)
        reply = self.caller(line).post(path, command, key=f"walk:{number}", **said)
        if reply.status in (200, 201):
            self.learn(line, label, reply.body)
        return reply

    def try_out(self, name: str, line: importing.Line, path: str, command: Any, said: dict[str, str]) -> None:
        """Try what the document shows as an example of a command; it is this line's, but for the ids."""
        shown = openapi.document()["paths"][f"/v1/{{city}}{PATHS[name]}"]["post"]["requestBody"]["content"]
        plain = {field: value for field, value in line.command.items() if field != "type"}
        assert shown["application/json"]["example"] == docs.exemplary(plain)
        tried = self.caller(line).post(path, command, query={"validate": "true"}, **said)
        assert (tried.status, tried.body.get("dry_run")) == (200, True), (name, tried)
        for field, changed in with_sly_words(command):
            answer = self.caller(line).post(path, changed, query={"validate": "true"}, **said)
            assert answer.status in (200, 400, 403, 404, 409, 422), (name, field, answer)
            assert answer.status != 400 or field == "call_id", (name, field, answer)
            if sealed(BY_NAME[name], field):
                assert answer.status == 200, (name, field, answer)
                assert "DROP TABLE" not in str(answer.body), (name, field)
                self.sealed += 1
        self.tried.add(name)

    def learn(self, line: importing.Line, label: str, body: dict[str, Any]) -> None:
        if label and label not in self.labels and ":" in body["stream"]:
            self.labels[label] = body["stream"]
            if line.stream is not None:
                self.labels[line.stream.partition(":")[2]] = body["stream"]
        others = dict.fromkeys(e["stream"] for e in body["events"] if e["stream"] != body["stream"])
        made = [s for s in others if s.startswith("order:") and s not in self.labels.values()]
        for count, stream in enumerate(made, 1):
            self.labels[f"{line.order}/{count}"] = stream
        if body["events"]:
            self.head = max(event["position"] for event in body["events"])


@pytest.mark.parametrize("text", [*TEXTS, REST])
def test_every_example_of_a_command_is_a_line_of_a_walk(text: str):
    """Walked below, each is first tried: what the document shows was taken, by the role and in the state it needs."""
    of_text = {name: one for name, one in docs.examples().items() if one.script == text}
    given = lines(text)
    assert of_text
    assert {given[one.line].command["type"] for one in of_text.values()} == of_text.keys()


def test_every_command_has_an_example():
    assert {name for name, one in docs.examples().items() if one.script in (*TEXTS, REST)} == PATHS.keys()


def test_what_no_text_walks_is_walked_over_http(served: Served):
    walk = Walk(served, REST)
    for number, line in lines(REST).items():
        reply = walk.give(number, line)
        assert reply.status in (200, 201), (number, line.command["type"], reply.status, reply.body)
    assert walk.tried == {name for name, one in docs.examples().items() if one.script == REST}
    assert walk.sealed > 30
    _batches_carried_out(walk)


def _batches_carried_out(walk: Walk) -> None:
    """What was handed over and destroyed one by one above is seen as done, and who agrees reads the list they name."""
    by = {actor.role: caller for actor, caller in walk.tokens.items()}
    archivist, leader = by[Role.ARCHIVIST], by[Role.LEADER]
    rows = {row["id"]: row for row in leader.get("/archive/batches").body["batches"]}
    sent, refused, done = (walk.labels[name].partition(":")[2] for name in ("sent", "list1", "list2"))
    assert [rows[one]["state"] for one in (sent, refused, done)] == ["received", "rejected", "approved"]
    moved = archivist.post(f"/archive/batches/{sent}/carry_out", {}).body
    assert (moved["done"], moved["before"], moved["failed"]) == (0, 1, [])
    assert archivist.post(f"/archive/batches/{done}/carry_out", {}).status == 422
    gone = archivist.post(f"/archive/batches/{done}/carry_out", {"witness": "auditor"}).body
    assert (gone["done"], gone["before"], gone["failed"]) == (0, 1, [])
    assert archivist.post(f"/archive/batches/{refused}/carry_out", {"witness": "auditor"}).status == 409
    listed = leader.get(f"/archive/batches/{done}/files").body
    assert listed["batch"]["digest"] == rows[done]["digest"]
    assert [row["opinion"] for row in listed["files"]] == ["controlled"]
    assert leader.raw("GET", f"/archive/batches/{done}/files?format=csv").content.startswith(b"\xef\xbb\xbf")
    assert by[Role.AGENT].get(f"/archive/batches/{done}/files").status == 403


@pytest.mark.parametrize("text", TEXTS)
def test_every_violation_of_a_text_is_refused_over_http_for_the_same_reason(served: Served, text: str):
    walk, told = Walk(served, f"{text}r"), {}
    for number, line in lines(f"{text}-refused").items():
        reply = walk.give(number, line)
        if line.refused is None:
            assert reply.status in (200, 201), (number, line.command["type"], reply.body)
            continue
        assert 400 <= reply.status < 500, (number, reply)
        told[number] = (line.refused, reply.body["code"])
        # A unit is told of a case that it may not know of as if there were none, before any rule is asked.
        unknown = line.by.role in OF_UNITS and reply.body["code"] == "unknown-order"
        assert unknown or reply.body["code"] == line.refused, (number, reply.body)
    assert sum(code == "unknown-order" for _, code in told.values()) < len(told) / 4


async def _folded(walk: Walk) -> tuple[dict[str, WorkOrder], Law]:
    """Return the orders as the ledger has them."""
    city = walk.served.names[walk.text]
    keyring = wiring.read_keyring(city)
    opening = Ledger.open(walk.served.database.app, city, kinds=KINDS, keyring=keyring, entropy=os.urandom)
    async with await opening as ledger:
        orders = {
            label: s for label, s in walk.labels.items() if s.startswith("order:") and not label.startswith("order:")
        }
        return {label: await ledger.fold(stream) for label, stream in orders.items()}, await ledger.law()


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_walked_over_http_ends_as_it_does_at_the_command_line(served: Served, text: str):
    walk, wanted = Walk(served, text), expected(text)
    for number, line in lines(text).items():
        reply = walk.give(number, line)
        assert reply.status in (200, 201), (number, line.command["type"], reply.status, reply.body)
    assert walk.tried == {name for name, one in docs.examples().items() if one.script == text}
    found, law = asyncio.run(_folded(walk))
    assert found.keys() == wanted.orders.keys()
    supervisor = Caller(
        served.client,
        served.token("supervisor", "supervisor@HOTLINE", cities=(text,), scope="import", lasting=timedelta(hours=1)),
        served.names[text],
    )
    for label, order in wanted.orders.items():
        case = found[label]
        assert (case.state, case.filing.kind) == (order.state, order.closure), label
        assert [row(clock, wanted.now) for clock in clocks(case, law)] == [*order.clocks], label
        shown = supervisor.get(f"/orders/{case.id}", as_at=wanted.now.isoformat()).body
        assert shown["order"]["state"] == order.state
        told = [(one["name"], one["key"], one["unit"], one["status"]) for one in shown["clocks"]]
        assert told == [(name, key, unit, status) for name, key, unit, _, status in order.clocks]


def refused_alike(walk: Walk) -> None:
    """Give every line of a script; what it says is refused, and nothing else, is refused for that reason."""
    for number, line in lines(walk.text).items():
        reply = walk.give(number, line)
        if line.refused is None:
            assert reply.status in (200, 201), (number, line.command["type"], reply.status, reply.body)
            continue
        # A unit is told of a record that it may not know of as if there were none; a role is told so before any rule.
        first = {"unknown-order", "unknown-stream"} if line.by.role in OF_UNITS else set[str]()
        assert 400 <= reply.status < 500, (number, reply)
        assert reply.body["code"] in {line.refused, *first}, (number, reply.body)


@pytest.mark.parametrize("name", SUPERVISED)
def test_weeks_of_supervision_are_walked_over_http_to_the_same_end_as_at_the_command_line(served: Served, name: str):
    walk = Walk(served, name)
    refused_alike(walk)
    found, law = asyncio.run(_folded(walk))
    assert len(found) > 10
    assert all(case.filing.closed is not None for label, case in found.items() if label != "O1")
    now = wiring.parse_instant("2025-08-15 09:00")
    if name == "supervised":
        told = {
            label: [
                (c.key, f"{c.start.at.astimezone(SHANGHAI):%m-%d %H:%M}", show_due(c.due), c.status(now))
                for c in clocks(case, law)
                if c.name in test_walks.OF_NOTICES and c.due is not None
            ]
            for label, case in found.items()
        }
        assert {label: dues for label, dues in told.items() if dues} == test_walks.DUES


def test_every_kind_of_notice_is_walked_over_http_with_the_same_dues_and_refusals(served: Served):
    walk = Walk(served, NOTICES)
    refused_alike(walk)
    found, law = asyncio.run(_folded(walk))
    assert {label: shown(clocks(case, law)) for label, case in found.items()} == DUES
    ended = {label: [(n.kind.value, n.state.value) for n in case.oversight.notices] for label, case in found.items()}
    assert ended == ENDS
