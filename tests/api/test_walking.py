"""The rule texts' case scripts, walked over HTTP by the people in them, with the same end as at the command line."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import Any

import pytest

from api.operations import OPERATIONS
from domain.clocks import clocks
from domain.kinds import KINDS
from domain.law import Law
from domain.ledger import Ledger
from domain.state import WorkOrder
from domain.terms import Role
from scripts import importing, wiring
from tests.api.conftest import Caller, Reply, Served
from tests.test_cases import TEXTS, expected, lines, row

PATHS = {operation.name: operation.path for operation in OPERATIONS if operation.command is not None}
COLLECTION = {"order": "orders", "matter": "matters", "call": "calls", "inquiry": "inquiries"}


class Walk:
    """A script on its way through the API: what its labels stand for."""

    def __init__(self, served: Served, text: str) -> None:
        self.served = served
        self.text = text
        self.labels: dict[str, str] = {}  # label -> stream
        self.head = 0
        self.tokens: dict[Any, Caller] = {}

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
        if "{record}" in path:
            stream = self.labels.get(label, "")
            own = not stream and line.stream is not None
            path = path.replace("{record}", "new" if own else stream.partition(":")[2])
        reply = self.caller(line).post(
            path,
            command,
            key=f"walk:{number}",
            Huiyin_Reason=line.reason or "script",
            Huiyin_Occurred_At=wiring.parse_instant(line.at).isoformat(),
            Huiyin_Origin="import",
        )
        if reply.status in (200, 201):
            self.learn(line, label, reply.body)
        return reply

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
