"""Every command over HTTP: who may, what it comes to, once."""

from __future__ import annotations

import secrets
from uuid import uuid4

import msgspec
import psycopg
import pytest
from psycopg import sql

from api.access import SENSITIVE
from api.commands import BY_NAME, SERVED
from api.openapi import spoken
from api.operations import OPERATIONS
from api.problems import as_problem, known, sentences, status_of
from api.writing import COLLECTIONS
from domain.institution import Found
from domain.terms import Role
from tests.api.conftest import DEMAND, Served, dispatched, registered

COMMANDS = [operation for operation in OPERATIONS if operation.command is not None]


def test_every_command_of_the_domain_is_an_operation():
    assert {operation.command for operation in COMMANDS} == set(SERVED)
    assert set(BY_NAME.values()) - set(SERVED) == {Found}, "a city that is served was founded before"
    paths = [operation.path.split("/") for operation in OPERATIONS if operation.command is None]
    taken = {path[-1] for path in paths if path[1:2] and path[1] in COLLECTIONS}
    assert not taken & set(BY_NAME), "a question would hide a command of its name"


@pytest.mark.parametrize("role", list(Role))
def test_a_role_that_may_not_give_a_command_is_refused_and_nothing_is_written(served: Served, role: Role):
    caller = served.as_(role)
    auditor = served.as_(Role.AUDITOR)
    before = auditor.get("").body["position"]
    tried = 0
    for operation in COMMANDS:
        if operation.command is None or role in operation.command.roles:
            continue
        body = spoken()[operation.name].example
        reply = caller.post(operation.path.replace("{record}", str(uuid4())), body)
        assert (reply.status, reply.body["code"]) == (403, "role-not-allowed"), operation.name
        tried += 1
    assert tried > 50
    lines = [
        {"id": secrets.token_hex(8), "record": str(uuid4()), "reason": "trial", "command": {"type": one.name, **said}}
        for one in COMMANDS
        if one.command is not None
        and role not in one.command.roles
        and (said := spoken()[one.name].example) is not None
    ]
    content = b"\n".join(msgspec.json.encode(line) for line in lines)
    answer = caller.raw("POST", "/batch", content, Content_Type="application/x-ndjson")
    told = [msgspec.json.decode(row) for row in answer.content.splitlines()]
    assert [(row["status"], row["problem"]["code"]) for row in told] == [(403, "role-not-allowed")] * tried
    assert auditor.get("").body["position"] == before


def test_a_command_answers_with_what_it_wrote_and_what_the_order_is_now(served: Served):
    reply = registered(served)
    body = reply.body
    assert body["events"][0]["type"] == "order.order_registered"
    assert (body["state"], body["order"]["demand"]["title"]) == ("registered", DEMAND["title"])
    assert body["clocks"][0]["name"] == "dispatch"
    assert reply.headers["ETag"] == '"1"'
    assert reply.headers["Location"].endswith(f"/orders/{body['id']}")
    last = body["events"][-1]["position"]
    assert reply.headers["Ledger-Position"] == str(last)
    assert "张三丰" not in str(body)
    assert "13800001111" not in str(body)


def test_the_same_key_is_carried_out_once_and_another_command_under_it_is_refused(served: Served):
    agent, key = served.as_(Role.AGENT), secrets.token_hex(8)
    first, again = (agent.post("/orders", DEMAND, key=key) for _ in range(2))
    assert (first.status, again.status) == (201, 201)
    assert first.body["id"] == again.body["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    other = agent.post("/orders", {**DEMAND, "title": "井盖破损"}, key=key)
    assert (other.status, other.body["code"]) == (422, "command-id-reused")


def test_a_dry_run_writes_nothing(served: Served):
    order = registered(served).body["id"]
    dispatcher = served.as_(Role.DISPATCHER)
    body = {"kind": "ordinary", "lead": "D", "basis": "territory"}
    tried = dispatcher.post(f"/orders/{order}/dispatch", body, query={"validate": "true"})
    assert (tried.status, tried.body["dry_run"], tried.body["state"]) == (200, True, "dispatched")
    assert dispatcher.get(f"/orders/{order}").body["order"]["state"] == "registered"


def test_what_was_carried_out_is_not_tried_under_its_key(served: Served):
    agent, key = served.as_(Role.AGENT), secrets.token_hex(8)
    tried = agent.post("/orders", DEMAND, key=key, query={"validate": "true"})
    assert (tried.status, tried.body["dry_run"]) == (200, True)
    done = agent.post("/orders", DEMAND, key=key)
    assert done.status == 201
    again = agent.post("/orders", DEMAND, key=key, query={"validate": "true"})
    assert (again.status, again.body["code"], again.body["field"]) == (409, "key-used", "Idempotency-Key")
    line = msgspec.json.encode({"id": key, "command": {"type": "register", **DEMAND}})
    batch = agent.raw("POST", "/batch?validate=true", line, Content_Type="application/x-ndjson")
    assert msgspec.json.decode(batch.content)["problem"]["code"] == "key-used"


def test_if_match_refuses_what_moved(served: Served):
    order = registered(served).body["id"]
    dispatcher = served.as_(Role.DISPATCHER)
    body = {"kind": "ordinary", "lead": "D", "basis": "territory"}
    old = dispatcher.post(f"/orders/{order}/dispatch", body, If_Match='"7"')
    assert (old.status, old.body["code"]) == (412, "version-moved")
    assert dispatcher.post(f"/orders/{order}/dispatch", body, If_Match='"1"').status == 201
    unread = dispatcher.post(f"/orders/{order}/dispatch", body, If_Match="seven")
    assert (unread.status, unread.body["field"]) == (400, "If-Match")


def test_a_key_and_for_sensitive_commands_a_reason_must_be_there(served: Served):
    agent = served.as_(Role.AGENT)
    assert agent.raw("POST", "/orders", b"{}", Content_Type="application/json").json()["code"] == "key-missing"
    order = registered(served).body["id"]
    supervisor = served.as_(Role.SUPERVISOR)
    name = next(n for n in ("propose_correction", "propose_erasure") if Role.SUPERVISOR in BY_NAME[n].roles)
    refused = supervisor.post(f"/orders/{order}/{name}", {})
    assert (refused.status, refused.body["code"]) == (400, "reason-needed")


def test_every_command_that_touches_a_person_or_what_was_recorded_takes_a_reason(served: Served):
    auditor, before = served.as_(Role.AUDITOR), served.as_(Role.AUDITOR).get("").body["position"]
    paths = {operation.name: operation.path for operation in COMMANDS}
    for name in SENSITIVE:
        role = min(BY_NAME[name].roles - {Role.SYSTEM})
        caller = served.as_(role, "D" if role in (Role.MGMT_UNIT, Role.ORG_APPROVER, Role.ORG_HANDLER) else "HOTLINE")
        path = paths[name].replace("{record}", str(uuid4()))
        for said in ({}, {"Huiyin_Reason": ""}):
            refused = caller.post(path, spoken()[name].example, **said)
            assert (refused.status, refused.body["code"]) == (400, "reason-needed"), name
            assert refused.body["field"] == "Huiyin-Reason"
    assert auditor.get("").body["position"] == before


def test_what_a_caller_says_in_headers_is_kept_with_the_commit(served: Served):
    order, trace = registered(served).body["id"], secrets.token_hex(16)
    body = {"kind": "ordinary", "lead": "D", "basis": "territory"}
    said = {"Huiyin_Reason": "shift-plan", "Huiyin_On_Behalf_Of": "dispatcher-2", "Huiyin_Correlation": "call-7"}
    key = secrets.token_hex(8)
    dispatcher = served.as_(Role.DISPATCHER)
    told = dispatcher.post(f"/orders/{order}/dispatch", body, key=key, traceparent=f"00-{trace}-{'2' * 16}-01", **said)
    assert told.status == 201, told
    entry = dispatcher.get(f"/orders/{order}/history").body["entries"][-1]
    assert (entry["reason"], entry["on_behalf_of"]) == ("shift-plan", "dispatcher-2")
    assert kept(served, key) == (trace, "call-7", "shift-plan", "dispatcher-2")
    for number, unfit in enumerate(("nonsense", f"00-{trace}", f"00-{trace.upper()}-{'2' * 16}-01", "")):
        other = f"{key}-{number}"
        assert served.as_(Role.AGENT).post("/orders", DEMAND, key=other, traceparent=unfit).status == 201
        assert kept(served, other) == ("", "", "", "")


def kept(served: Served, key: str) -> tuple[str, ...]:
    """Return what the ledger keeps of a command beside its events."""
    table = sql.Identifier(served.names["api"], "commits")
    asked = sql.SQL("SELECT trace_id, correlation_id, reason, on_behalf_of FROM {} WHERE command_id = %s").format(table)
    with psycopg.connect(served.database.superuser) as line:
        row = line.execute(asked, (key,)).fetchone()
    assert row is not None
    return tuple(value or "" for value in row)


def test_an_order_goes_all_the_way_from_desk_to_organizer_and_back(served: Served):
    order = dispatched(served, "D-B")
    handler, approver = served.as_(Role.ORG_HANDLER, "D-B"), served.as_(Role.ORG_APPROVER, "D-B")
    assert handler.post(f"/orders/{order}/sign", {"own_handling": True}).body["state"] == "working"
    assert handler.post(f"/orders/{order}/inform_applicant", {"about": "result", "medium": "phone"}).status == 201
    body = {"outcome": "resolved", "public_answer": "灯已修复。", "drafted_by": "org-handler-d-b", "verified": "true"}
    replied = approver.post(f"/orders/{order}/reply", body)
    assert (replied.status, replied.body.get("state")) == (201, "replied"), replied
    history = served.as_(Role.SUPERVISOR).get(f"/orders/{order}/history").body["entries"]
    types = [entry["type"] for entry in history]
    assert types[:3] == ["order.order_registered", "order.order_dispatched", "order.assignment_signed"]
    assert [entry["version"] for entry in history] == list(range(1, len(history) + 1))
    assert {entry["actor"]["user"] for entry in history} >= {"agent-hotline", "org-handler-d-b", "org-approver-d-b"}


def test_a_refusal_of_a_rule_names_code_sentence_and_article(served: Served):
    order = dispatched(served, "D")
    handler = served.as_(Role.ORG_HANDLER, "D")
    assert handler.post(f"/orders/{order}/sign").status == 201
    again = handler.post(f"/orders/{order}/sign")
    assert again.status == 409
    problem = again.body
    assert problem["type"] == "urn:huiyin:refusal:already-signed"
    assert problem["title"].isascii()
    assert "。" in problem["title_zh"]


def test_every_refusal_has_a_status_a_type_and_two_sentences():
    codes = [kind.code() for kind in known()]
    assert len(codes) == len(set(codes)) > 250
    for kind in known():
        zh, en = sentences(kind)
        assert zh.endswith(("。", "！", "？")), kind
        assert en[0].isascii(), kind
        assert en.endswith("."), kind
        assert 400 <= status_of(kind) <= 503
        assert as_problem(kind())["type"].endswith(kind.code())


def test_institution_commands_change_who_may_at_once(served: Served):
    admin, user = served.as_(Role.ADMIN), f"u{secrets.token_hex(4)}"
    caller = served.as_(Role.AGENT)
    newcomer = type(caller)(served.client, served.token(user, "agent@HOTLINE"), caller.city)
    assert newcomer.post("/orders", DEMAND).body["code"] == "role-not-held-here"
    assert admin.post("/institution/grant_role", {"user": user, "role": "agent", "unit": "HOTLINE"}).status == 201
    assert newcomer.post("/orders", DEMAND).status == 201
    head = admin.get("").body["position"]
    gone = {"user": user, "role": "agent", "unit": "HOTLINE", "no_open_tasks_checked_at_position": head}
    assert admin.post("/institution/revoke_role", gone).status == 201
    assert newcomer.post("/orders", DEMAND).body["code"] == "role-not-held-here"


def test_records_that_are_no_orders_are_written_and_read(served: Served):
    agent, call = served.as_(Role.AGENT), f"c-{secrets.token_hex(6)}"
    body = {"call_id": call, "disposition": "inquiry", "started_at": "2026-01-05T09:00:00+08:00", "agent": "zhao"}
    logged = agent.post("/calls/new/log_call", body)
    assert logged.status == 201, logged
    found = agent.get(f"/calls/{call}")
    assert (found.status, found.body["record"]["call_id"]) == (200, call)
    assert served.as_(Role.ORG_HANDLER, "D").get(f"/calls/{call}").status == 404
    other = agent.post("/calls/somebody-else/log_call", {**body, "call_id": f"{call}x"})
    assert other.body["code"] == "not-for-this-stream"
