"""The OpenAPI document (3.1), made from the table of operations."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from api import problems
from api.access import SENSITIVE
from api.commands import SERVED
from api.operations import OPERATIONS, Operation, Query, Tag
from domain.attachments import TYPES

VERSION = "1.0.0"
_SPOKEN = Path(__file__).with_name("commands.json")
_REF = "#/components/schemas/{name}"


class Spoken(msgspec.Struct, frozen=True):
    """What is known of a command beside its fields: a body that was carried out, and the refusals its rule may give."""

    example: dict[str, Any] | None = None
    refusals: tuple[str, ...] = ()


@cache
def spoken() -> dict[str, Spoken]:
    """Return what `python -m scripts.docs` wrote down of every command: from the case scripts and from the rules."""
    return msgspec.json.decode(_SPOKEN.read_bytes(), type=dict[str, Spoken]) if _SPOKEN.exists() else {}


# --- schemas -----------------------------------------------------------------------------------------------------


_BODIES: tuple[type, ...] = (*SERVED, *dict.fromkeys(o.body for o in OPERATIONS if o.body is not None))
"""Everything that is said in a body: each command, and what questions by POST ask with."""


def _schemas() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return where the schema of each command's body is, in their order, and all schemas."""
    said, components = msgspec.json.schema_components(_BODIES, ref_template=_REF)
    tagged = {str(command.__struct_config__.tag) for command in SERVED}
    for schema in components.values():
        kind = schema.get("properties", {}).get("type", {})
        if kind.get("const") in tagged or set(kind.get("enum", ())) & tagged:
            schema["properties"].pop("type")  # the path names the command
            schema["required"] = [name for name in schema.get("required", []) if name != "type"]
    components = {name: _said_plainly(schema) for name, schema in components.items() if name != "Sealed"}
    return list(said), components


def _said_plainly(schema: Any) -> Any:
    """Return a schema as callers write it: a sealed field is written as text, and comes back sealed."""
    if isinstance(schema, list):
        return [_said_plainly(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    arms = schema.get("anyOf")
    if isinstance(arms, list) and {"$ref": _REF.format(name="Sealed")} in arms:
        left = [one for one in arms if one != {"$ref": _REF.format(name="Sealed")}]
        kept = {key: value for key, value in schema.items() if key != "anyOf"}
        joined = left[0] if len(left) == 1 else {"anyOf": left}
        return _said_plainly({**kept, **joined, "x-sealed": True})
    return {key: _said_plainly(value) for key, value in schema.items()}


_TEXT = {"type": "string"}
_WHOLE = {"type": "integer"}
_BYTES = {"type": "string", "format": "binary"}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `type` is stable; `code` names the refusal, `article` what it rests on.",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": _TEXT,
        "title_zh": _TEXT,
        "status": _WHOLE,
        "detail": _TEXT,
        "code": _TEXT,
        "article": _TEXT,
        "field": _TEXT,
        "instance": _TEXT,
    },
}
_ENTRY = {
    "type": "object",
    "required": ["stream", "version", "position", "type", "at", "event"],
    "properties": {
        "stream": _TEXT,
        "version": _WHOLE,
        "position": _WHOLE,
        "type": _TEXT,
        "at": {"type": "string", "format": "date-time"},
        "actor": {"type": "object"},
        "event": {"type": "object"},
    },
}
_RECEIPT = {
    "type": "object",
    "required": ["command_id", "stream", "version", "first_position", "events", "replayed", "dry_run"],
    "properties": {
        "command_id": _TEXT,
        "stream": _TEXT,
        "id": _TEXT,
        "number": _TEXT,
        "version": _WHOLE,
        "first_position": _WHOLE,
        "recorded_at": {"type": "string", "format": "date-time"},
        "numbers": {"type": "object"},
        "replayed": {"type": "boolean"},
        "dry_run": {"type": "boolean"},
        "events": {"type": "array", "items": {"$ref": "#/components/schemas/_Entry"}},
        "state": _TEXT,
        "order": {"type": "object"},
        "clocks": {"type": "array", "items": {"type": "object"}},
        "record": {},
    },
}

# --- operations --------------------------------------------------------------------------------------------------


def _header(name: str, says: str, *, needed: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": needed, "description": says, "schema": _TEXT}


_HEADERS = {
    "Role": _header("Huiyin-Role", "令牌有多个角色时指明一个 which of the token's roles: role@unit"),
    "Key": _header("Idempotency-Key", "命令标识 the command's id: the same key is carried out once", needed=True),
    "Match": _header("If-Match", "预期版本 the version you saw, as its ETag"),
    "Reason": _header("Huiyin-Reason", "理由代码 a code, kept with the commit"),
    "Behalf": _header("Huiyin-On-Behalf-Of", "代何人 for whom, as a code"),
    "Occurred": _header("Huiyin-Occurred-At", "补录时刻 backfilled: when it happened"),
    "Origin": _header("Huiyin-Origin", "来源 backfill, or import by a token with that scope"),
    "Trace": _header("traceparent", "链路 W3C Trace Context; its trace is kept with the commit"),
    "Prefer": _header("Prefer", "简复 return=minimal: the receipt without the record as it is afterwards"),
}
_WRITING = ("Key", "Match", "Reason", "Behalf", "Occurred", "Origin", "Trace", "Prefer")


def _parameter(query: Query) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": query.kind}
    if query.words:
        schema["enum"] = list(query.words)
    if query.many:
        schema = {"type": "array", "items": schema}
    found = {"name": query.name, "in": "query", "required": query.needed, "description": query.says, "schema": schema}
    return found if query.example is None else {**found, "example": query.example}


_PLACES = {
    "record": (
        "工单编号、旧编号或标识 an order's number, old number or id; of other records the id",
        "HY20261121-000001",
    ),
    "pack": ("规则 a pack's id, or its digest", "S0-CHUANYU"),
    "year": ("年", "2026"),
    "day": ("日 YYYY-MM-DD", "2026-11-21"),
    "digest": ("附件摘要 a file's digest", "sha256:" + "0" * 64),
}
"""What the parts of a path are, each with an example."""


def _place(name: str) -> dict[str, Any]:
    says, example = _PLACES[name]
    return {"name": name, "in": "path", "required": True, "description": says, "schema": _TEXT, "example": example}


def _answers(operation: Operation) -> dict[str, Any]:
    body: dict[str, Any] = {"type": "object"}
    media = "application/json"
    if operation.command is not None:
        body = {"$ref": "#/components/schemas/_Receipt"}
    elif operation.name == "batch":
        media, body = "application/x-ndjson", _TEXT
    elif operation.name == "feed":
        media, body = "application/cloudevents-batch+json", {"type": "array", "items": {"type": "object"}}
    elif operation.name == "open_attachment":
        media, body = "*/*", _BYTES
    fine = {"description": "OK", "content": {media: {"schema": body}}}
    answers: dict[str, Any] = {"200": fine}
    if operation.command is not None:
        answers["201"] = {"description": "已记录 recorded", "content": {media: {"schema": body}}}
        answers["200"] = {"description": "只试, 或无可记 tried, or nothing to record", "content": fine["content"]}
    if operation.name == "order":
        answers["304"] = {"description": "未变 as you have it"}
    statuses = [400, 401, 403, 404, 405, 409, 422, 500, 503]
    if operation.method == "POST":
        statuses += [412, 413, 415]
    if operation.name.startswith("open_"):
        statuses += [410, 429]
    if operation.by_code or operation.name in ("callers", "query_code"):
        statuses.append(429)
    if operation.name == "upload_attachment":
        statuses.append(410)
    if operation.name in ("applicant_urge", "applicant_evaluate", "upload_attachment"):
        answers["201"] = {"description": "已记录 recorded", "content": {media: {"schema": body}}}
    for status in statuses:
        answers[str(status)] = {"$ref": f"#/components/responses/{status}"}
    return dict(sorted(answers.items()))


def _chapter(operation: Operation) -> str:
    """Return what a reader looks under: of a command the step or record whose file says what it is about."""
    if operation.command is None:
        return "规则" if Tag.LAW in operation.tags else "系统" if Tag.MACHINES in operation.tags else "查询"
    return (sys.modules[operation.command.__module__].__doc__ or "").partition(".")[0]


def _operation(operation: Operation, schema: dict[str, Any] | None) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", operation.path)
    parameters: list[dict[str, Any]] = [{"$ref": "#/components/parameters/City"}]
    parameters += [_place(name) for name in names]
    parameters += [_parameter(query) for query in operation.queries]
    if not operation.by_code:
        parameters.append({"$ref": "#/components/parameters/Role"})
    found: dict[str, Any] = {
        "operationId": operation.name if operation.command is None else f"{operation.kind}.{operation.name}",
        "summary": operation.says,
        "tags": [str(tag) for tag in operation.tags],
        "x-chapter": _chapter(operation),
        "parameters": parameters,
        "responses": _answers(operation),
    }
    if operation.by_code:
        found["security"] = []
    if operation.command is not None:
        said = spoken().get(operation.name, Spoken())
        parameters += [{"$ref": f"#/components/parameters/{name}"} for name in _WRITING]
        found["description"] = " ".join((operation.command.__doc__ or "").split())
        found["x-roles"] = sorted(operation.command.roles)
        found["x-refusals"] = list(said.refusals)
        found["x-needs-reason"] = operation.name in SENSITIVE
        content = {"schema": schema, "example": said.example}
        found["requestBody"] = {"required": True, "content": {"application/json": content}}
    elif operation.name == "upload_attachment":
        found["requestBody"] = {"required": True, "content": {media: {"schema": _BYTES} for media in sorted(TYPES)}}
    elif operation.body is not None:
        content = {"schema": schema, "example": operation.example}
        found["requestBody"] = {"required": True, "content": {operation.media: content}}
    return found


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    said, components = _schemas()
    of_body = dict(zip(_BODIES, said, strict=True))
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        schema = of_body.get(operation.command or operation.body)  # type: ignore[arg-type]
        path = paths.setdefault(f"/v1/{{city}}{operation.path}", {})
        path[operation.method.lower()] = _operation(operation, schema)
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/_Problem"}}}
    answers = {
        str(status): {"description": problems.phrase(status), "content": problem}
        for status in (400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 422, 429, 500, 503)
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Huiyin 回音",
            "version": VERSION,
            "summary": "12345热线办件账本 the case ledger of a government hotline",
            "description": "Every answer says with Ledger-Position up to where it is true. A refusal is a problem with"
            " the type urn:huiyin:refusal:CODE; docs/commands.md lists them. Sealed fields are written as text and"
            " shown as {sealed: true}; they are opened by themselves, with a reason that is recorded first.",
        },
        "security": [{"token": []}],
        "tags": [{"name": str(tag)} for tag in Tag],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "schemas": {**components, "_Problem": _PROBLEM, "_Entry": _ENTRY, "_Receipt": _RECEIPT},
            "parameters": {**_HEADERS, "City": {"name": "city", "in": "path", "required": True, "schema": _TEXT}},
            "responses": answers,
        },
    }


def listed(tag: Tag) -> list[tuple[str, str, dict[str, Any]]]:
    """Return the operations that are first of all for some audience: path, method, operation."""
    return [
        (path, method, operation)
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
        if operation["tags"][:1] == [str(tag)]
    ]
