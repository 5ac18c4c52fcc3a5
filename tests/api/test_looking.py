"""Who looked at me: every opening, copy and search by number, to whoever oversees it and, without names, to the applicant."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from domain import evidence
from domain.terms import Role
from tests.api.conftest import Served
from tests.api.test_applicants import knock, known
from tests.api.test_proving import policy
from tests.api.test_seeing import opened
from tests.test_cli import Deployment


def looked_at(served: Served, phone: str) -> tuple[str, dict[str, str]]:
    """Register an order and let several people look at it; return its id, and what its applicant was given."""
    shown = known(served, applicant={"kind": "person", "name": "张三丰", "phone": phone})
    order = served.as_(Role.SUPERVISOR).get(f"/orders/{shown['number']}").body["order"]["id"]
    assert opened(served.as_(Role.AGENT), order, "applicant.phone").status == 200
    assert opened(served.as_(Role.SUPERVISOR), order, "content").status == 200
    assert opened(served.as_(Role.ORG_HANDLER, "E"), order, "content").status == 404
    caller = {"phone": phone, "purpose": "call-back", "words": "回访"}
    assert served.as_(Role.AGENT).post("/callers", caller).status == 200
    copy = {"records": [order], "purpose": "audit", "format": "csv"}
    assert served.as_(Role.AUDITOR).post("/audit/copies", copy).status == 200
    served.as_(Role.AUDITOR).post("/log/heads")
    assert served.as_(Role.ARCHIVIST).get(f"/orders/{order}/evidence").status == 200
    return order, shown


LOOKS = [
    ("agent", ["applicant.phone"], "handling"),
    ("supervisor", ["content"], "handling"),
    ("agent", ["orders_by_phone"], "call-back"),
    ("auditor", ["export"], "audit"),
    ("archivist", ["evidence"], "evidence"),
]


def test_who_oversees_is_told_everybody_who_looked_and_nobody_else_is_told(served: Served):
    order, _ = looked_at(served, "13800002222")
    for role in (Role.SUPERVISOR, Role.AUDITOR, Role.ADMIN):
        entries = served.as_(role).get(f"/orders/{order}/access").body["entries"]
        told = [(e["actor"]["role"], e["event"]["fields"], e["event"]["purpose"]) for e in entries]
        assert told == LOOKS, role
        assert "回访" not in json.dumps(entries, ensure_ascii=False)
    one = served.as_(Role.AUDITOR).get(f"/orders/{order}/access", limit=2).body
    rest = served.as_(Role.AUDITOR).get(f"/orders/{order}/access", limit=200, cursor=one["next"]).body
    assert [len(one["entries"]), len(rest["entries"])] == [2, 3]
    for role, unit in ((Role.AGENT, "HOTLINE"), (Role.ORG_HANDLER, "D"), (Role.CITIZEN, ""), (Role.LEADER, "HOTLINE")):
        assert served.as_(role, unit).get(f"/orders/{order}/access").status == 403, role
    assert served.as_(Role.AUDITOR).get("/orders/HY20200101-000001/access").status == 404


def test_an_applicant_is_told_offices_and_purposes_and_no_official_by_name(served: Served):
    _, shown = looked_at(served, "13800003333")
    reply = knock(served, "access", shown)
    assert reply.status == 200
    told = [(one["role"], one["fields"], one["purpose"]) for one in reply.body["looks"]]
    assert told == [
        ("话务员", ["诉求人·电话"], "handling"),
        ("督办员", ["内容"], "handling"),
        ("话务员", ["按号码查工单"], "call-back"),
        ("审计员", ["取证复制"], "audit"),
        ("档案员", ["存证"], "evidence"),
    ]
    assert {one["unit"] for one in reply.body["looks"]} == {"某市12345热线管理机构"}
    assert "agent-hotline" not in json.dumps(reply.body)
    assert knock(served, "access", {**shown, "code": "0000-0000-0000"}).status == 404


def test_the_looks_at_another_are_nobody_else_s(served: Served):
    _, mine = looked_at(served, "13800004444")
    other = known(served, applicant={"kind": "person", "name": "李四", "phone": "13800005555"})
    assert knock(served, "access", other).body["looks"] == []
    assert len(knock(served, "access", mine).body["looks"]) == len(LOOKS)


def test_a_look_is_proved_like_everything_else(served: Served):
    """A day's journal is a record: its evidence holds under the signed head, and a line left out is noticed."""
    order, _ = looked_at(served, "13800006666")
    entry: dict[str, Any] = served.as_(Role.AUDITOR).get(f"/orders/{order}/access").body["entries"][0]
    believed = policy(served)
    with_log = served_evidence(served, entry["stream"])
    held = evidence.check(evidence.read(with_log), believed)
    assert held.first <= entry["position"] <= held.last
    plain = json.loads(with_log)
    plain["events"] = [one for one in plain["events"] if one["position"] != entry["position"]]
    with pytest.raises(evidence.Unproven):
        evidence.check(evidence.read(msgspec.json.encode(plain)), believed)


def served_evidence(served: Served, stream: str) -> bytes:
    """Return the evidence of a stream, as the command line gives it."""
    office = Deployment(served.home, served.database.superuser)
    return office.ok("proof", stream, "--city", served.names["api"]).out.encode()
