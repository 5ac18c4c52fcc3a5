"""What nobody should send: refused clearly, nothing written, nothing leaked, never a trace and never a 5xx."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import secrets
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from litestar import Request

from api import asking
from api.asking import Ask, next_page
from api.problems import BodySlow, status_of
from domain.terms import Role
from tests.api.conftest import DEMAND, Served, registered

JSON = {"Content_Type": "application/json"}


def position(served: Served) -> int:
    return served.as_(Role.AUDITOR).get("").body["position"]


def refused(answer: Any, *statuses: int) -> dict[str, Any]:
    """Check that an answer is a problem and nothing more; return it."""
    assert answer.status_code in statuses, (answer.status_code, answer.text[:300])
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:huiyin:refusal:{problem['code']}"
    assert problem["status"] == answer.status_code
    assert "Traceback" not in answer.text
    assert ".py" not in answer.text
    return problem


DEEP = b'{"a":' * 40 + b"1" + b"}" * 40
ABYSS = b"[" * 200_000


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "body-unfit"),
        (b"{", 400, "body-unreadable"),
        (b'{"title": "x"', 400, "body-unreadable"),
        (b"[]", 422, "body-unfit"),
        (b"null", 422, "body-unfit"),
        (b'"register"', 422, "body-unfit"),
        (b'{"title": "\xff\xfe"}', 400, "body-unreadable"),
        (b"{'title': 1}", 400, "body-unreadable"),
        (DEEP, 400, "body-too-deep"),
        (ABYSS, 400, "body-too-deep"),
        (b'{"title": ' + b"9" * 5000 + b"}", 422, "body-unfit"),
        (b'{"__proto__": {}, "constructor": 1}', 422, "body-unfit"),
        (b"\xef\xbb\xbf{}", 400, "body-unreadable"),
        (b"\x00" * 100, 400, "body-unreadable"),
        (b"NaN", 400, "body-unreadable"),
        (json.dumps({**DEMAND, "title": ["x"]}).encode(), 422, "body-unfit"),
        (json.dumps({**DEMAND, "content": {"key": "k", "box": "b"}}).encode(), 422, "sealed-from-outside"),
        (json.dumps({**DEMAND, "attributes": {"demand_type": "wish"}}).encode(), 422, "body-unfit"),
        (json.dumps({**DEMAND, "title": "长" * 31}).encode(), 422, "body-unfit"),
        (json.dumps({**DEMAND, "title": "请致电13800001111"}).encode(), 422, "title-has-personal-data"),
        (json.dumps({**DEMAND, "content": "x\x00y"}).encode(), 422, "text-not-storable"),
        (json.dumps({**DEMAND, "content": "\ud800"}).encode(), 400, "body-unreadable"),
        (json.dumps({**DEMAND, "involved_units": 10**30}).encode(), 422, "number-too-large"),
    ],
)
def test_a_body_that_is_no_demand_is_refused_and_writes_nothing(served: Served, content: bytes, status: int, code: str):
    before = position(served)
    answer = served.as_(Role.AGENT).raw("POST", "/orders", content, Idempotency_Key="hostile", **JSON)
    assert refused(answer, status)["code"] == code
    assert position(served) == before


def test_too_much_is_refused_before_it_is_read(served: Served):
    agent, before = served.as_(Role.AGENT), position(served)
    huge = json.dumps({**DEMAND, "content": "长" * 600_000}).encode()
    assert refused(agent.raw("POST", "/orders", huge, Idempotency_Key="k", **JSON), 413)["code"] == "body-too-large"
    lines = b'{"id":"a","command":{"type":"register"}}\n' * 5001
    answer = agent.raw("POST", "/batch", lines, Content_Type="application/x-ndjson")
    assert refused(answer, 422)["code"] == "body-unfit"
    assert position(served) == before


def test_another_media_type_is_refused(served: Served):
    agent = served.as_(Role.AGENT)
    for media in (
        "text/plain",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
    ):
        answer = agent.raw("POST", "/orders", b"{}", Idempotency_Key="k", Content_Type=media)
        assert refused(answer, 415)["code"] == "media-unfit"
    assert refused(agent.raw("POST", "/batch", b"{}", **JSON), 415)


def test_a_coding_that_nobody_unpacks_is_refused(served: Served):
    agent, before = served.as_(Role.AGENT), position(served)
    packed = gzip.compress(json.dumps(DEMAND).encode())
    answer = agent.raw("POST", "/orders", packed, Idempotency_Key="k", Content_Encoding="gzip", **JSON)
    assert "Content-Encoding" in refused(answer, 415)["detail"]
    assert position(served) == before


def test_lines_of_a_batch_that_are_none_harm_no_other(served: Served):
    agent, before = served.as_(Role.AGENT), position(served)
    bad = (
        b"\xff\xfe",
        b"[" * 5000,
        DEEP,
        b"null",
        b'{"id": "x"}',
        b'{"id": 1, "command": {}}',
        b'{"id": "x", "command": {"type": "found"}}',
        b'{"id": "x", "command": {"type": ["register"]}}',
        b'{"id": "x", "command": {"type": "register", "title": "\xff"}}',
        b'{"id": "x", "command": {"type": "dispatch"}, "record": "../x"}',
        b'{"id": "x", "command": {"type": "register"}, "if_version": -1}',
        b'{"id": "x", "command": {"type": "register"}, "occurred_at": "soon"}',
        b'{"id": "\\u0000", "command": {"type": "register"}}',
    )
    good = json.dumps({"id": secrets.token_hex(8), "command": {"type": "register", **DEMAND}}).encode()
    answer = agent.raw("POST", "/batch", b"\n".join((*bad, good)), Content_Type="application/x-ndjson")
    told = [json.loads(row) for row in answer.content.splitlines()]
    assert [row["line"] for row in told] == list(range(1, len(bad) + 2))
    assert {row["status"] for row in told[:-1]} <= {400, 403, 404, 422}
    assert (told[-1]["status"], position(served)) == (201, before + 2)
    assert "Traceback" not in answer.text


def test_an_address_or_method_that_is_not_there_is_a_problem_too(served: Served):
    agent = served.as_(Role.AGENT)
    for path in (
        "/nothing",
        "/orders/a/b/c/d",
        "/../../etc/passwd",
        "/orders/%00",
        "/orders/%ff",
        "/orders/" + "x" * 3000,
    ):
        refused(agent.raw("GET", path), 400, 404)
    deleted = agent.raw("DELETE", "/orders")
    assert refused(deleted, 405)["code"] == "method-unfit"
    assert {"GET", "POST"} <= set(deleted.headers["allow"].split(", "))
    assert refused(agent.raw("PUT", "/orders/x"), 405)
    assert refused(served.client.get("/"), 404)
    assert refused(agent.raw("POST", "/orders/x/no_such_command", b"{}", **JSON), 404)["code"] == "unknown-command"
    assert refused(agent.raw("POST", "/calls/x/sign", b"{}", **JSON), 404)["code"] == "unknown-command"


SLY = (
    "'; DROP TABLE events; --",
    '" OR 1=1 --',
    "<script>alert(1)</script>",
    "{{7*7}}${7*7}",
    "../../etc/passwd",
    "%s%n{0}",
    "\u202e\u200bRTL",
    "👩‍👩‍👧‍👦" * 50,
    "\\x00\\u0000",
)


@pytest.mark.parametrize("text", SLY)
def test_sly_words_are_only_words(served: Served, text: str):
    agent = served.as_(Role.AGENT)
    demand = {**DEMAND, "content": text, "applicant": {"kind": "person", "name": text, "phone": "13800001111"}}
    told = agent.post("/orders", demand)
    assert told.status == 201, told
    opened = agent.post(f"/orders/{told.body['id']}/open", {"version": 1, "purpose": "handling", "fields": ["content"]})
    assert opened.status in (200, 429)
    if opened.status == 200:
        assert opened.body["fields"]["content"] == text
    assert agent.get("/search", q=text[:90]).status == 200
    for path in (f"/orders/{text[:40]}", "/orders?unit=" + text[:20]):
        answer = agent.client.get(f"/v1/{agent.city}{path}", headers={"Authorization": f"Bearer {agent.token}"})
        assert answer.status_code < 500
    assert agent.post("/orders", {**DEMAND, "title": text[:30], "category": text[:90]}).status in (201, 422)


def test_queries_and_headers_that_have_no_form_are_refused(served: Served):
    agent = served.as_(Role.AGENT)
    for query in (
        "limit=abc",
        "limit=-1",
        "limit=1e9",
        "limit=9999999999999999999999",
        "min_position=x",
        "cursor=%00",
        "cursor=W10",
        "overdue=maybe",
        "state=x",
        "sort=x",
        "limit=1&limit=2",
        "sort=due&state=closed",
        "overdu=true",
        "unit=",
        "state=&limit=1",
        "unit=%00",
    ):
        refused(agent.raw("GET", f"/orders?{query}"), 400)
    manager = served.as_(Role.HOTLINE_MANAGER)
    far = next_page("01a2012e-2ede-7060-896a-2e147bb56e8d", 1 << 40)
    for path in (
        f"/notices?cursor={far}",
        "/search?q=a%00",
        "/indicators?from=2026-01-01&to=9999-12-31",
        "/indicators?from=2026-01-01&to=2026-02-01&area=%00",
    ):
        refused(manager.raw("GET", path), 400)
    order = registered(served).body["id"]
    for name, value in (
        ("If_Match", '"999999999999"'),
        ("If_Match", "*, x"),
        ("Huiyin_Occurred_At", "soon"),
        ("Huiyin_Origin", "live"),
        ("Huiyin_Reason", "words with blanks"),
        ("Idempotency_Key", "x" * 201),
    ):
        said = {"Idempotency_Key": "k", **JSON, name: value}
        answer = served.as_(Role.DISPATCHER).raw(
            "POST", f"/orders/{order}/dispatch", b'{"kind":"ordinary","lead":"D","basis":"territory"}', **said
        )
        refused(answer, 400, 422)
    assert served.as_(Role.AUDITOR).get(f"/orders/{order}").body["order"]["version"] == 1


def test_a_dry_run_that_is_misspelt_writes_nothing(served: Served):
    agent, before = served.as_(Role.AGENT), position(served)
    for query in ("validat=true", "validate=yes", "validate", "Validate=true"):
        answer = agent.raw("POST", f"/orders?{query}", json.dumps(DEMAND).encode(), Idempotency_Key="k", **JSON)
        assert refused(answer, 400)["code"] == "query-unfit"
    assert position(served) == before


async def test_a_body_that_does_not_come_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch):
    """Ten bytes in time, then nothing: what a caller does who wants to keep our hands full."""
    monkeypatch.setattr(asking, "READING", 0.05)
    monkeypatch.setattr(asking, "SLOWEST", 1 << 40)
    begun = iter([{"type": "http.request", "body": b'{"title": ', "more_body": True}])

    async def receive() -> Any:
        return next(begun, None) or await asyncio.Event().wait()

    scope: Any = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}
    request: Any = Request(scope, receive)
    ask = Ask(*[None] * 3, request, {"content-type": "application/json"}, "")  # type: ignore[arg-type]
    with pytest.raises(BodySlow) as told:
        await ask.body()
    assert status_of(told.value) == 408


def test_a_body_cut_off_and_a_request_that_is_none_harm_nobody(served: Served):
    before = position(served)
    where = urlsplit(served.url)
    token = served.as_(Role.AGENT).token
    head = (
        f"POST /v1/{served.names['api']}/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        "Idempotency-Key: cut\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    ).encode()
    for sent in (head + b'{"title": "', b"\x16\x03\x01\x02\x00nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b""):
        with socket.create_connection((where.hostname or "", where.port or 0), timeout=10) as line:
            line.sendall(sent)
    assert position(served) == before
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)
    connection.request("GET", "/health/live")
    assert connection.getresponse().status == 200
    connection.close()
