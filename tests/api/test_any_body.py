"""Whatever has the form that the document gives it is answered as the document says: never with a 5xx."""

from __future__ import annotations

import random
import secrets
from collections import Counter
from typing import Any

import pytest

from api import openapi
from api.operations import OPERATIONS
from domain.kinds import KINDS
from domain.terms import Role
from tests.api.conftest import Served, dispatched, registered

DOCUMENT = openapi.document()
UNITS = (Role.ORG_HANDLER, Role.ORG_APPROVER, Role.MGMT_UNIT)
_DAYS = ("2026-11-30", "1999-02-28", "0001-01-01", "9999-12-31")
_INSTANTS = ("2026-11-30T10:00:00+08:00", "2026-11-30T10:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
_IDS = ("00000000-0000-7000-8000-000000000000", "D", "org-approver-d", "E", "HOTLINE")


class Body:
    """Makes what has the form of a schema, at random from a seed."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)

    def of(self, schema: dict[str, Any], depth: int = 0) -> Any:
        if "$ref" in schema:
            return self.of(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]], depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        if "anyOf" in schema:
            return self.of(self.random.choice(schema["anyOf"]), depth)
        match schema.get("type"):
            case "object":
                return self.thing(schema, depth)
            case "array":
                count = 0 if depth > 3 else self.random.choice((schema.get("minItems", 0), 1, 2))
                return [self.of(schema.get("items", {"type": "string"}), depth + 1) for _ in range(count)]
            case "integer":
                low = schema.get("minimum", -2)
                return self.random.choice((low, low + 1, min(schema.get("maximum", 1 << 40), 1 << 40), 1))
            case "number":
                return self.random.choice((0.5, 1, -1, 1e300))
            case "boolean":
                return self.random.random() < 0.5
            case "null":
                return None
            case _:
                return self.text(schema)

    def thing(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        needed = set(schema.get("required", ()))
        made = {
            name: self.of(one, depth + 1)
            for name, one in schema.get("properties", {}).items()
            if name in needed or (depth < 4 and self.random.random() < 0.5)
        }
        more = schema.get("additionalProperties")
        if isinstance(more, dict) and depth < 4:
            names = self.of(schema.get("propertyNames", {"type": "string"}), depth)
            made[str(names)] = self.of(more, depth + 1)
        return made

    def text(self, schema: dict[str, Any]) -> str:
        form = schema.get("format")
        if form in ("date", "date-time", "uuid"):
            return self.random.choice({"date": _DAYS, "date-time": _INSTANTS, "uuid": _IDS[:1]}[form])
        if "pattern" in schema and "sha256" in schema["pattern"]:
            return "sha256:" + "0" * 64
        if "pattern" in schema and "/" in schema["pattern"]:
            return "image/png"
        said = self.random.choice((*_IDS, "文字", "x" * 500, "'\"<&%{}\\", "\u2028"))
        said = said[: schema.get("maxLength", 500)]
        return said if "pattern" not in schema else self.random.choice(_IDS)


def answers(path: str, method: str) -> set[int]:
    """Return the statuses that the document gives an operation."""
    return {int(status) for status in DOCUMENT["paths"][path][method]["responses"]}


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_every_command_answers_as_the_document_says(served: Served, kind: str):
    statuses: Counter[int] = Counter()
    orders = [registered(served).body["id"], dispatched(served, "D"), dispatched(served, "D-B")]
    for operation in OPERATIONS:
        if operation.command is None or operation.kind != kind:
            continue
        path = f"/v1/{{city}}{operation.path}"
        schema = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        for attempt in range(6):
            body = Body(f"{operation.name}/{attempt}")
            role = body.random.choice(sorted(operation.command.roles))
            record = body.random.choice(orders)
            caller = served.as_(role, "D" if role in UNITS else "HOTLINE", orders=tuple(orders))
            said = body.of(schema)
            reply = caller.post(
                operation.path.replace("{record}", record),
                said,
                Huiyin_Reason="trial",
                query={"validate": "true"} if attempt % 2 or kind == "institution" else None,
            )
            assert reply.status in answers(path, "post"), (operation.name, said, reply)
            assert reply.status < 500 or reply.body["code"] == "two-persons-not-appointed", (operation.name, reply)
            statuses[reply.status] += 1
    assert len(statuses) > 1 or kind == "subject", statuses


def test_every_question_answers_as_the_document_says(served: Served):
    order, seen = dispatched(served, "D"), Counter[int]()
    for operation in OPERATIONS:
        if operation.method != "GET":
            continue
        path = f"/v1/{{city}}{operation.path}"
        for attempt, role in enumerate(
            (Role.SUPERVISOR, Role.ORG_HANDLER, Role.OVERSEER_NPC, Role.ADMIN, Role.CITIZEN)
        ):
            body = Body(f"{operation.name}/{attempt}")
            query = {
                one["name"]: body.of(one["schema"])
                for one in DOCUMENT["paths"][path]["get"]["parameters"]
                if one.get("in") == "query"
                and body.random.random() < 0.6
                and one["name"] not in ("wait", "min_position")
            }
            where = operation.path.replace("{record}", order).replace("{pack}", "S0-CHUANYU").replace("{year}", "2026")
            caller = served.as_(role, "D" if role in UNITS else "HOTLINE", orders=(order,))
            reply = caller.get(where.replace("{day}", "2026-11-21"), **query)
            assert reply.status in answers(path, "get") - {500, 503}, (operation.name, query, reply)
            seen[reply.status] += 1
    assert seen[200] > 30


def test_a_key_never_carries_out_two_commands(served: Served):
    key = secrets.token_hex(8)
    order = registered(served).body["id"]
    first = served.as_(Role.AGENT).post(f"/orders/{order}/inquire", {"words": "何时办结"}, key=key)
    second = served.as_(Role.CITIZEN, orders=(order,)).post(f"/orders/{order}/urge", key=key)
    assert first.status == 201, first
    assert (second.status, second.body["code"]) == (422, "command-id-reused")
