"""Who is on the line: the orders of a telephone number, and the query code again; never before the journal says so."""

from __future__ import annotations

import secrets
from typing import Any
from uuid import uuid4

import pytest

from domain.terms import Role
from tests.api.conftest import Served, dispatched, erased, registered

ASKED = {"purpose": "caller-on-the-line", "words": "来电询问进度"}


def a_number() -> str:
    """Return a telephone number that nobody called from before."""
    return f"139{secrets.randbelow(10**8):08d}"


def called(served: Served, phone: str, **more: Any) -> str:
    """Return the id of an order that somebody registered from a number."""
    applicant = {"kind": "person", "name": "李四", "phone": phone}
    return registered(served, applicant=applicant, **more).body["id"]


def logged(served: Served, before: int) -> list[dict[str, Any]]:
    """Return what the feed says was looked at after a position."""
    entries = served.as_(Role.AUDITOR).get(f"/access/{_today(served)}", limit=200).body["entries"]
    return [entry for entry in entries if entry["position"] > before]


def _today(served: Served) -> str:
    return served.as_(Role.AUDITOR).get("").body["recorded_at"][:10]


def position(served: Served) -> int:
    return served.as_(Role.AUDITOR).get("").body["position"]


def test_a_number_finds_its_orders_however_it_is_written_and_no_others(served: Served):
    phone = a_number()
    mine = [called(served, phone), called(served, f"+86 {phone[:3]} {phone[3:7]} {phone[7:]}")]
    called(served, a_number())
    agent = served.as_(Role.AGENT)
    for written in (phone, f"0086{phone}", f"{phone[:3]}-{phone[3:7]}-{phone[7:]}"):
        found = agent.post("/callers", {"phone": written, **ASKED})
        assert found.status == 200
        assert [order["id"] for order in found.body["orders"]] == mine[::-1]
    assert found.body["orders"][0]["state_title"] == "已登记"
    assert "李四" not in str(found.body)
    assert phone not in str(found.body)
    assert agent.post("/callers", {"phone": a_number(), **ASKED}).body["orders"] == []


def test_that_somebody_looked_is_in_the_journal_also_where_nothing_was_found(served: Served):
    phone, before = a_number(), position(served)
    order = called(served, phone)
    agent = served.as_(Role.AGENT)
    assert agent.post("/callers", {"phone": phone, **ASKED}).body["orders"][0]["id"] == order
    agent.post("/callers", {"phone": a_number(), **ASKED})
    entries = logged(served, before)
    assert [e["event"]["fields"] for e in entries] == [["orders_by_phone"]] * 2
    assert {e["event"]["purpose"] for e in entries} == {"caller-on-the-line"}
    assert {e["actor"]["user"] for e in entries} == {"agent-hotline"}
    assert [e["event"]["stream"].partition(":")[0] for e in entries] == ["subject", "subjects"]
    assert phone not in str(entries)
    assert "来电" not in str(entries)


def test_pages_follow_one_on_the_other(served: Served):
    phone = a_number()
    mine = [called(served, phone) for _ in range(3)]
    agent = served.as_(Role.AGENT)
    first = agent.post("/callers", {"phone": phone, "limit": 2, **ASKED}).body
    second = agent.post("/callers", {"phone": phone, "limit": 2, "before": first["next"], **ASKED}).body
    assert [o["id"] for o in first["orders"]] + [o["id"] for o in second["orders"]] == mine[::-1]
    assert "next" not in second


@pytest.mark.parametrize(
    "body",
    [{"phone": "13800001111"}, {"phone": "1", **ASKED}, {"phone": "13800001111", "purpose": "why is that, please?"}],
    ids=["no purpose", "no number", "words for a code"],
)
def test_without_number_or_purpose_nothing_is_looked_up(served: Served, body: dict[str, Any]):
    before = position(served)
    assert served.as_(Role.AGENT).post("/callers", body).status in (400, 422)
    assert position(served) == before


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.AGENT, Role.HOTLINE_MANAGER, Role.SUPERVISOR}))
def test_whoever_is_not_of_the_desk_looks_up_nobody(served: Served, role: Role):
    unit = "D" if role in (Role.ORG_HANDLER, Role.ORG_APPROVER, Role.MGMT_UNIT) else "HOTLINE"
    before = position(served)
    caller = served.as_(role, unit)
    assert caller.post("/callers", {"phone": "13800001111", **ASKED}).status == 403
    order = registered(served).body["id"]
    assert caller.post(f"/orders/{order}/query_code", ASKED).status == 403
    assert position(served) == before + 2


def test_an_informant_is_never_found_and_a_confidential_order_by_whom_it_was_told(served: Served):
    phone = a_number()
    report = {"attributes": {"demand_type": "report"}, "confidentiality": "informant", "accused": ["E"]}
    called(served, phone, **report)
    private = called(served, phone, confidentiality="privacy")
    asked = {"phone": phone, **ASKED}
    own = served.as_(Role.AGENT).post("/callers", asked)
    assert [order["id"] for order in own.body["orders"]] == [private]
    assert [o["id"] for o in served.as_(Role.SUPERVISOR).post("/callers", asked).body["orders"]] == [private]
    granted = {"user": "agent-2", "role": "agent", "unit": "HOTLINE"}
    assert served.as_(Role.ADMIN).post("/institution/grant_role", granted).status in (201, 409)
    other = type(served.as_(Role.AGENT))(served.client, served.token("agent-2", "agent@HOTLINE"), served.names["api"])
    assert other.post("/callers", asked).body["orders"] == []


def test_a_case_whose_keys_were_destroyed_is_not_found_any_more(served: Served):
    phone = a_number()
    kept, secret = called(served, phone), called(served, phone)
    done = erased(served, secret)
    assert done.status == 201, done
    assert [o["id"] for o in served.as_(Role.AGENT).post("/callers", {"phone": phone, **ASKED}).body["orders"]] == [
        kept
    ]


def test_the_desk_gives_the_code_again_and_the_journal_says_to_whom(served: Served):
    told, before = registered(served).body, position(served)
    again = served.as_(Role.AGENT).post(f"/orders/{told['id']}/query_code", {"purpose": "lost-slip"})
    assert again.body["query_code"] == told["query_code"]
    assert [(e["event"]["fields"], e["event"]["stream"]) for e in logged(served, before)] == [
        (["query_code"], told["stream"])
    ]
    absent = served.as_(Role.AGENT).post(f"/orders/{uuid4()}/query_code", {"purpose": "lost-slip"})
    assert (absent.status, absent.body["code"]) == (404, "unknown-order")


def test_a_telephone_number_never_stands_in_an_address(served: Served):
    assert served.as_(Role.AGENT).get("/callers", phone="13800001111").status == 405
    assert dispatched(served)
