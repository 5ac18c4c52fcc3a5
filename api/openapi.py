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
from api.shapes import BYTES, HEADERS, PLACES, REFUSED, ROWS, TEXT, WRITING, content, headers, schemas
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
    said, components = msgspec.json.schema_components((*_BODIES, *ROWS), ref_template=_REF)
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
    if schema.get("default") == "" and schema.get("minLength"):
        schema = {key: value for key, value in schema.items() if key != "default"}  # left out it may be, never empty
    arms = schema.get("anyOf")
    if isinstance(arms, list) and {"$ref": _REF.format(name="Sealed")} in arms:
        left = [one for one in arms if one != {"$ref": _REF.format(name="Sealed")}]
        kept = {key: value for key, value in schema.items() if key != "anyOf"}
        joined = left[0] if len(left) == 1 else {"anyOf": left}
        return _said_plainly({**kept, **joined, "x-sealed": True})
    return {key: _said_plainly(value) for key, value in schema.items()}


# --- operations --------------------------------------------------------------------------------------------------


def _parameter(query: Query) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": query.kind, **query.form}
    if query.words:
        schema["enum"] = list(query.words)
    if query.many:
        schema = {"type": "array", "items": schema}
    found = {"name": query.name, "in": "query", "required": query.needed, "description": query.says, "schema": schema}
    return found if query.example is None else {**found, "example": query.example}


def _place(name: str) -> dict[str, Any]:
    says, form, example = PLACES[name]
    schema = {"type": "string", **form}
    return {"name": name, "in": "path", "required": True, "description": says, "schema": schema, "example": example}


def _answers(operation: Operation) -> dict[str, Any]:
    fine = {"description": "OK", "headers": headers(operation), "content": content(operation)}
    answers: dict[str, Any] = {"200": fine}
    if operation.command is not None:
        answers["201"] = {**fine, "description": "已记录 recorded"}
        answers["200"] = {**fine, "description": "只试, 或无可记 tried, or nothing to record"}
    if operation.name in ("archive_start_packet", "archive_packet"):
        answers["202"] = {**fine, "description": "制作中 being made"}
    if operation.name == "order":
        answers["304"] = {"description": "未变 as you have it", "headers": headers(operation)}
    statuses = [400, 401, 403, 404, 405, 409, 422, 500, 503]
    if operation.method == "POST":
        statuses += [408, 412, 413, 415]
    if operation.by_code or operation.paced or operation.name in ("feed", "upload_attachment"):
        statuses.append(429)
    if operation.name.startswith("open_") or operation.name == "upload_attachment":
        statuses.append(410)
    if operation.name in (
        "applicant_urge",
        "applicant_evaluate",
        "upload_attachment",
        "exchange_take",
        "exchange_receipt",
        "log_cosign",
    ):
        answers["201"] = {**fine, "description": "已记录 recorded"}
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
        parameters += [{"$ref": f"#/components/parameters/{name}"} for name in ("Role", "Ledger")]
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
        parameters += [{"$ref": f"#/components/parameters/{name}"} for name in WRITING]
        found["description"] = " ".join((operation.command.__doc__ or "").split())
        found["x-roles"] = sorted(operation.command.roles)
        found["x-refusals"] = list(said.refusals)
        found["x-needs-reason"] = operation.name in SENSITIVE
        asked = {"schema": schema, "example": said.example}
        found["requestBody"] = {"required": True, "content": {"application/json": asked}}
    elif operation.name == "upload_attachment":
        found["requestBody"] = {"required": True, "content": {media: {"schema": BYTES} for media in sorted(TYPES)}}
    elif operation.media == "text/plain":
        found["requestBody"] = {
            "required": True,
            "content": {"text/plain": {"schema": TEXT, "example": operation.example}},
        }
    elif operation.body is not None:
        asked = {"schema": schema, "example": operation.example}
        found["requestBody"] = {"required": True, "content": {operation.media: asked}}
    return found


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    said, components = _schemas()
    shapes = schemas()
    of_body = dict(zip(_BODIES, said, strict=False))
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        schema = of_body.get(operation.command or operation.body)  # type: ignore[arg-type]
        path = paths.setdefault(f"/v1/{{city}}{operation.path}", {})
        path[operation.method.lower()] = _operation(operation, schema)
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/_Problem"}}}
    answers = {
        str(status): {"description": problems.phrase(status), "headers": REFUSED.get(status, {}), "content": problem}
        for status in (400, 401, 403, 404, 405, 408, 409, 410, 412, 413, 415, 422, 429, 500, 503)
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
            "schemas": {**components, **shapes},
            "parameters": {**HEADERS, "City": _place("city")},
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
