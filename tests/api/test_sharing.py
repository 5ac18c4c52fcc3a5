"""What other systems are told: within their agreement, by nobody's name, as batches and as a stream that resumes."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cloudevents.core.formats.json import JSONFormat

from api.access import TO_OUTSIDE
from api.asking import LAW_LASTS
from api.operations import OPERATIONS
from domain.terms import Role
from tests.api.conftest import CHECKOUT, DEMAND, Caller, Served, dispatched, free_port, registered

PERSONS = ("张三丰", "13800001111")
TYPES = ["order.order_registered", "order.order_dispatched", "order.assignment_signed", "order.order_closed"]
AGREEMENT: dict[str, Any] = {
    "consumer_name": "某局业务系统",
    "purpose": "诉求联动处置",
    "basis": {"text": "国办发〔2020〕53号", "article": "建立统一的信息共享规则"},
    "event_types": TYPES,
    "until": "2099-12-31",
}


def agreed(served: Served, *, city: str = "api", **more: Any) -> tuple[str, Caller]:
    """Publish an agreement; return the consumer and its caller."""
    consumer = f"platform-{secrets.token_hex(4)}"
    body = {**AGREEMENT, "consumer": consumer, **more}
    reply = served.as_(Role.HOTLINE_MANAGER, city=city).post("/institution/publish_share_agreement", body)
    assert reply.status == 201, reply
    return consumer, listening(served, consumer)


def listening(served: Served, consumer: str, **more: Any) -> Caller:
    return Caller(served.client, served.token(consumer, "system", scope="feed", **more), served.names["api"])


def head(served: Served) -> int:
    return int(served.as_(Role.SUPERVISOR).get("").body["position"])


def batch(caller: Caller, after: int) -> list[dict[str, Any]]:
    return caller.raw("GET", f"/feed?after={after}&limit=1000").json()


@contextmanager
def stream(served: Served, caller: Caller, path: str = "/feed", **headers: str) -> Iterator[Iterator[dict[str, str]]]:
    """Listen to a stream; yields its events as they come."""
    said = {"Authorization": f"Bearer {caller.token}", "Accept": "text/event-stream", **headers}
    with (
        httpx.Client(base_url=served.url, timeout=30) as client,
        client.stream("GET", f"/v1/{caller.city}{path}", headers=said) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield events(answer.iter_lines())


def events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Read lines as a browser does: an event is what stands before an empty line and has data."""
    event: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value
        elif not line:
            yield event
            event = {}


# --- agreements --------------------------------------------------------------------------------------------------


def test_without_an_agreement_a_machine_is_told_nothing_and_what_to_do(served: Served):
    nobody = listening(served, "nobody-agreed")
    for accept in ("application/json", "text/event-stream"):
        answer = nobody.client.get(
            f"/v1/{nobody.city}/feed", headers={"Authorization": f"Bearer {nobody.token}", "Accept": accept}
        )
        assert (answer.status_code, answer.json()["code"]) == (403, "no-share-agreement")
        assert "热线管理机构" in answer.json()["title_zh"]


@pytest.mark.parametrize("scope", ["feed", "exchange", "feed exchange"])
def test_another_department_s_system_reads_what_its_agreement_gives_and_nothing_beside_it(served: Served, scope: str):
    order = registered(served).body["id"]
    consumer, _ = agreed(served)
    outside = Caller(served.client, served.token(consumer, "system", scope=scope), served.names["api"])
    asked = [operation for operation in OPERATIONS if operation.method == "GET" and operation.name not in TO_OUTSIDE]
    assert {"orders", "order", "order_history", "search", "duties", "units"} <= {operation.name for operation in asked}
    for operation in asked:
        path = operation.path.replace("{record}", order).replace("{day}", "2026-11-22")
        assert outside.get(path).body["code"] == "not-for-this-role", operation.name
    before = head(served)
    assert outside.post("/orders", DEMAND).body["code"] == "not-for-this-role"
    pushed = {"platform": "x", "about": "x"}
    assert outside.post(f"/orders/{order}/record_external_push", pushed).body["code"] == "not-for-this-role"
    assert outside.raw("POST", "/batch", b"", Content_Type="application/x-ndjson").status_code == 403
    assert head(served) == before
    assert outside.get("/policies").status == outside.get("/ping").status == 200
    machine = Caller(served.client, served.token("machine", "system"), served.names["api"])
    assert machine.get(f"/orders/{order}").status == 200


def test_what_other_systems_may_ask_for_is_there():
    assert {operation.name for operation in OPERATIONS} >= TO_OUTSIDE


def test_a_consumer_is_told_the_types_and_fields_of_its_agreement_and_no_others(served: Served):
    _, caller = agreed(served, event_types=["order.order_dispatched"], shared_fields=["lead", "kind"])
    before = head(served)
    order = dispatched(served, "D")
    told = batch(caller, before)
    assert [event["type"] for event in told] == ["huiyin.order.order_dispatched"]
    assert told[0]["data"]["fields"] == {"lead": "D", "kind": "ordinary"}
    assert told[0]["subject"] == f"order:{order}"
    assert "attributes" not in json.dumps(told)


def test_a_consumer_is_told_of_its_units_and_those_below_them_alone(served: Served):
    _, of_d = agreed(served, units=["D"])
    _, of_e = agreed(served, units=["E"])
    before = head(served)
    mine, below, other = dispatched(served, "D"), dispatched(served, "D-B"), dispatched(served, "E")
    subjects = {event["subject"] for event in batch(of_d, before)}
    assert subjects == {f"order:{mine}", f"order:{below}"}
    assert {event["subject"] for event in batch(of_e, before)} == {f"order:{other}"}
    assert "huiyin.order.order_registered" not in {event["type"] for event in batch(of_d, before)}


def test_an_ended_agreement_ends_what_is_told_at_once(served: Served):
    consumer, caller = agreed(served)
    assert caller.get("/feed").status == 200
    ended = served.as_(Role.SUPERVISOR).post(
        "/institution/end_share_agreement", {"consumer": consumer, "reason": "停用"}
    )
    assert ended.status == 201
    time.sleep(1.1)  # another worker's law is at most a second old
    assert caller.get("/feed").body["code"] == "no-share-agreement"


def test_a_person_s_data_are_in_no_agreement(served: Served):
    manager = served.as_(Role.HOTLINE_MANAGER)
    for field in ("applicant", "content", "address", "accused_persons", "handler", "call_id"):
        body = {**AGREEMENT, "consumer": "curious", "shared_fields": [field]}
        reply = manager.post("/institution/publish_share_agreement", body)
        assert (reply.status, reply.body["code"]) == (409, "field-not-shareable"), field


def test_an_informant_s_order_is_told_to_nobody_outside(served: Served):
    _, caller = agreed(served)
    before = head(served)
    report = registered(served, attributes={"demand_type": "report"}, confidentiality="informant").body["id"]
    later = registered(served).body["id"]
    raised = served.as_(Role.AGENT).post(f"/orders/{later}/set_confidentiality", {"confidentiality": "informant"})
    assert raised.status == 201, raised
    plain = registered(served).body["id"]
    assert {event["subject"] for event in batch(caller, before)} == {f"order:{plain}"}
    assert report not in json.dumps(batch(caller, 0))


def test_a_confidential_order_is_told_without_its_title_and_place(served: Served):
    _, caller = agreed(served, shared_fields=["title", "place", "category"])
    before = head(served)
    registered(served)
    registered(served, confidentiality="privacy")
    open_one, quiet = (event["data"]["fields"] for event in batch(caller, before))
    assert open_one == {"title": DEMAND["title"], "place": DEMAND["place"], "category": DEMAND["category"]}
    assert quiet == {"category": DEMAND["category"]}


def test_every_byte_of_the_feed_is_free_of_persons_whatever_is_agreed(served: Served):
    from domain import kinds, sharing  # noqa: PLC0415  the widest agreement there can be

    types, fields = sorted(kinds.TOLD), sorted(sharing.SHAREABLE)
    _, caller = agreed(served, event_types=types, shared_fields=fields)
    order = dispatched(served, "D")
    served.as_(Role.ORG_HANDLER, "D").post(f"/orders/{order}/progress", {"report": "已联系张三丰, 13800001111"})
    after, seen = 0, ""
    while True:
        answer = caller.raw("GET", f"/feed?after={after}&limit=1000")
        assert answer.status_code == 200
        seen += answer.text
        if answer.headers["ledger-position"] == str(after):
            break
        after = int(answer.headers["ledger-position"])
    assert f"order:{order}" in seen
    assert not [word for word in (*PERSONS, '"box"', "org-handler-d", "agent-hotline") if word in seen]


def test_the_cloudevents_sdk_reads_the_feed(served: Served):
    _, caller = agreed(served, shared_fields=["lead"])
    before = head(served)
    order = dispatched(served, "D")
    read = [JSONFormat().read(None, json.dumps(event)) for event in batch(caller, before)]
    assert [event.get_type() for event in read] == [f"huiyin.{name}" for name in TYPES[:2]]
    assert {event.get_subject() for event in read} == {f"order:{order}"}
    data = read[-1].get_data()
    assert isinstance(data, dict)
    assert data["fields"] == {"lead": "D"}


# --- as a stream -------------------------------------------------------------------------------------------------


def test_a_stream_tells_what_comes_and_goes_on_where_it_broke_off(served: Served):
    _, caller = agreed(served)
    before = head(served)
    first, second = registered(served).body["id"], registered(served).body["id"]
    with stream(served, caller, f"/feed?after={before}") as told:
        one = next(event for event in told if "data" in event)
    assert JSONFormat().read(None, one["data"]).get_subject() == f"order:{first}"
    with stream(served, caller, **{"Last-Event-ID": one["id"]}) as told:
        two = next(event for event in told if "data" in event)
        assert json.loads(two["data"])["subject"] == f"order:{second}"
        third = registered(served).body["id"]
        three = next(event for event in told if "data" in event)
        assert json.loads(three["data"])["subject"] == f"order:{third}"
        assert int(one["id"]) < int(two["id"]) < int(three["id"])


def test_a_stream_says_how_far_it_has_read_also_where_there_was_nothing_for_it(served: Served):
    _, caller = agreed(served, event_types=["order.order_closed"])
    before = head(served)
    with stream(served, caller, f"/feed?after={before}") as told:
        next(told)
        time.sleep(1.2)
        registered(served)
        said = next(event for event in told if "id" in event)
    assert "data" not in said
    assert int(said["id"]) > before


@pytest.mark.parametrize("said", ["-1", "x", "9" * 40, "１２"])
def test_a_position_that_is_none_is_refused(served: Served, said: str):
    _, caller = agreed(served)
    headers = [(b"Authorization", f"Bearer {caller.token}".encode()), (b"Accept", b"text/event-stream")]
    headers.append((b"Last-Event-ID", said.encode()))
    answer = caller.client.get(f"/v1/{caller.city}/feed", headers=headers)
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["field"].lower() == "last-event-id"


def test_a_stream_ends_with_its_agreement(served: Served):
    consumer, caller = agreed(served)
    with stream(served, caller, f"/feed?after={head(served)}") as told:
        next(told)
        served.as_(Role.HOTLINE_MANAGER).post(
            "/institution/end_share_agreement", {"consumer": consumer, "reason": "停用"}
        )
        assert [event for event in told if "data" in event] == []


def test_a_stream_ends_with_the_role_of_whoever_listens(served: Served):
    held = {"user": f"watching-{secrets.token_hex(4)}", "role": "supervisor", "unit": "HOTLINE"}
    admin = served.as_(Role.ADMIN)
    assert admin.post("/institution/grant_role", held).status == 201
    token = served.token(held["user"], "supervisor@HOTLINE")
    caller = Caller(served.client, token, served.names["api"])
    with stream(served, caller, f"/feed?after={head(served)}") as told:
        next(told)
        left = {**held, "no_open_tasks_checked_at_position": head(served)}
        assert admin.post("/institution/revoke_role", left).status == 201
        time.sleep(2 * LAW_LASTS)
        order = registered(served).body["id"]
        assert not any(order in event.get("data", "") for event in told)


def test_a_stream_ends_with_its_token(served: Served):
    consumer, _ = agreed(served)
    caller = listening(served, consumer, lasting=timedelta(seconds=2))
    with stream(served, caller, f"/feed?after={head(served)}") as told:
        assert [event for event in told if "data" in event] == []


def test_a_consumer_has_only_so_many_streams_and_a_closed_one_counts_no_more(served: Served):
    _, caller = agreed(served)
    path = f"/v1/{caller.city}/feed"
    said = {"Authorization": f"Bearer {caller.token}", "Accept": "text/event-stream"}
    with httpx.Client(base_url=served.url, timeout=30) as client:
        held = []
        for _ in range(8):
            answer = client.send(client.build_request("GET", path, headers=said), stream=True)
            assert answer.status_code == 200
            lines = answer.iter_lines()
            next(lines)
            held.append((answer, lines))  # lines that nobody holds close their stream
        refused = client.send(client.build_request("GET", path, headers=said), stream=True)
        assert refused.status_code == 429
        assert json.loads(refused.read())["code"] == "streams-exhausted"
        for answer, _ in held:
            answer.close()
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with httpx.Client(base_url=served.url, timeout=30) as client:
            answer = client.send(client.build_request("GET", path, headers=said), stream=True)
            answer.close()
        if answer.status_code == 200:
            return
        time.sleep(0.2)
    pytest.fail("closed streams still count")


def test_the_service_ends_while_streams_are_open(served: Served):
    _, caller = agreed(served)
    port = free_port()
    words = ["-m", "scripts.huiyin", "serve", "--port", str(port), f"--city={caller.city}"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONSAFEPATH": "1"}
    with (served.home / "ending.log").open("wb") as out:
        process = subprocess.Popen([sys.executable, *words], env=environment, stdout=out, stderr=out, cwd=served.home)
    other = served._replace(url=f"http://127.0.0.1:{port}")
    try:
        _ready(other)
        with stream(other, caller) as told:
            next(told)
            process.send_signal(signal.SIGTERM)
            for _ in told:
                pass  # ends, or the client would raise
        assert process.wait(20) == 0
    finally:
        process.kill()


def _ready(served: Served) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if httpx.get(f"{served.url}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail("the service does not start")
