"""What an office does over several days, walked over HTTP by the people it takes: who may, who may not, what comes of it."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

from domain import evidence
from domain.terms import SHANGHAI, Role
from scripts import wiring
from tests.api.conftest import Caller, Reply, Served, dispatched, registered
from tests.api.test_seeing import last_looks


def told(caller: Caller, path: str, body: dict[str, Any]) -> Reply:
    """Give a command that is carried out."""
    reply = caller.post(path, body)
    assert reply.status == 201, reply
    return reply


def refused(caller: Caller, path: str, body: dict[str, Any]) -> tuple[int, str]:
    """Give a command that is not; return the status and the code."""
    reply = caller.post(path, body)
    return reply.status, reply.body["code"]


def day(after: int) -> str:
    return f"{(wiring.process_now().astimezone(SHANGHAI) + timedelta(days=after)).date()}"


# --- meetings ----------------------------------------------------------------------------------------------------


def test_what_a_meeting_about_an_order_decided_lies_on_the_named_units_desk_until_it_reports(served: Served):
    order = dispatched(served, "D")
    unit, other = served.as_(Role.ORG_APPROVER, "E"), served.as_(Role.ORG_APPROVER, "D")
    assert unit.get(f"/orders/{order}").status == 404, "it was not the unit's business"
    body = {
        "units": ["D", "E"],
        "minutes": {"number": "会纪〔2026〕1号", "dated": day(0)},
        "decisions": [{"unit": "E", "what": "西侧护栏由西区修复", "by": day(-1)}, {"unit": "D", "what": "东侧自修"}],
    }
    assert refused(other, f"/orders/{order}/hold_meeting", body) == (403, "role-not-allowed")
    position = told(served.as_(Role.COORDINATOR), f"/orders/{order}/hold_meeting", body).headers["Ledger-Position"]

    def desk(caller: Caller, **query: Any) -> list[dict[str, Any]]:
        found = caller.every("/duties", "duties", limit=200, **query)
        return [d for d in found if d["order_id"] == order and d["command"] == "carry_out_decision"]

    (duty,) = desk(unit, min_position=position)
    assert (duty["title"], duty["due"][:10], duty["clock"]) == (
        unit.get(f"/orders/{order}").body["order"]["demand"]["title"],
        day(0),
        "",
    )
    assert [d["due"] for d in desk(other)] == [None]
    office = served.as_(Role.SUPERVISOR)
    (one,) = [p for p in office.get("/proposals").body["proposals"] if p["order_id"] == order]
    assert (one["unit"], one["kinds"], one["by"]) == ("E", ["onsite"], ["hotline_manager"])
    report = {"decision": 1, "report": "护栏已修复"}
    assert refused(other, f"/orders/{order}/carry_out_decision", report) == (403, "not-your-unit")
    done = told(unit, f"/orders/{order}/carry_out_decision", report)
    assert done.body["events"][0]["event"]["late"] is True
    assert desk(unit, min_position=done.headers["Ledger-Position"]) == []
    assert [p for p in office.get("/proposals").body["proposals"] if p["order_id"] == order] == []
    assert refused(unit, f"/orders/{order}/carry_out_decision", report) == (409, "decision-carried-out-already")


# --- shifts ------------------------------------------------------------------------------------------------------


def test_a_shift_is_over_when_the_second_person_has_taken_it_over_and_no_door_forgets_an_emergency(served: Served):
    agent, next_one = served.as_(Role.AGENT), served.as_(Role.DISPATCHER)
    urgent = registered(served, title="燃气泄漏", attributes={"demand_type": "help", "urgency": "emergency_life"})
    agent.get("/orders", min_position=urgent.headers["Ledger-Position"])
    given: dict[str, Any] = {"shift": "白班", "to": "dispatcher-hotline"}
    lines = [{"id": "forgets", "command": {"type": "hand_over_shift", **given}}]
    lines.append({**lines[0], "id": "afterwards", "occurred_at": "2026-01-05T18:00:00+08:00"})
    content = "\n".join(json.dumps(line) for line in lines).encode()
    answer = agent.raw("POST", "/batch", content, Content_Type="application/x-ndjson")
    first, second = [json.loads(row) for row in answer.content.splitlines()]
    assert (first["status"], first["problem"]["code"]) == (409, "emergency-forgotten")
    assert second["status"] == 201, "which emergencies were open then, nobody asks now"
    open_now = agent.post("/matters/new/hand_over_shift", given).body["detail"].split(", ")
    ids = [agent.get(f"/orders/{number}").body["order"]["id"] for number in open_now]
    over = told(agent, "/matters/new/hand_over_shift", {**given, "open_emergencies": ids})
    record = over.body["stream"].partition(":")[2]

    def waits(caller: Caller, position: str) -> bool:
        found = caller.every("/duties", "duties", limit=200, min_position=position)
        return record in {d["order_id"] for d in found if d["command"] == "take_over_shift"}

    assert waits(next_one, over.headers["Ledger-Position"])
    assert refused(agent, f"/matters/{record}/take_over_shift", {}) == (403, "self-approval")
    manager = served.as_(Role.HOTLINE_MANAGER)
    assert refused(manager, f"/matters/{record}/take_over_shift", {}) == (403, "handed-to-another")
    taken = told(next_one, f"/matters/{record}/take_over_shift", {"words": "已逐件核对"})
    assert not waits(next_one, taken.headers["Ledger-Position"])
    assert refused(next_one, f"/matters/{record}/take_over_shift", {}) == (409, "shift-taken-over-already")


# --- accountability ----------------------------------------------------------------------------------------------


def referral(served: Served, order: str) -> tuple[dict[str, Any], bytes]:
    """Return what refers a unit over an order, with the bundle as the terminal makes it."""

    async def made() -> tuple[int, bytes]:
        city = served.names["api"]
        ledger = await wiring.open_city(served.database, city)
        async with ledger, await wiring.open_log(served.database, ledger) as log:
            head = (await log.sign()).checkpoint.size
            return head, await log.bundle(ledger, [f"order:{order}"], head)

    head, content = asyncio.run(made())
    told = {"unit": "D", "to": "discipline", "ground": "perfunctory", "facts": "屡次敷衍", "head": head}
    return {**told, "bundle": evidence.digest_of(content)}, content


def test_the_supervisory_organ_downloads_what_was_referred_to_it_and_nobody_else_does(served: Served):
    order, organ = dispatched(served, "D"), served.as_(Role.DISCIPLINE)
    manager = served.as_(Role.HOTLINE_MANAGER)
    assert organ.get(f"/orders/{order}/bundle").status == 404, "it was not referred"
    body, content = referral(served, order)
    told(manager, f"/orders/{order}/refer_accountability", body)
    answer = organ.raw("GET", f"/orders/{order}/bundle")
    assert answer.content == content, "byte by byte as the letter says, though the record has gone on since"
    held = evidence.check_bundle(answer.content, digest=body["bundle"])
    assert [one.stream for one in held.records] == [f"order:{order}"]
    for role in (Role.HOTLINE_MANAGER, Role.SUPERVISOR, Role.AUDITOR, Role.AGENT, Role.LEADER):
        assert served.as_(role).get(f"/orders/{order}/bundle").status == 403, role
    assert served.as_(Role.ORG_APPROVER, "D").get(f"/orders/{order}/bundle").status == 403
    several = {**body, "orders": [order]}
    record = told(manager, "/matters/new/refer_unit", several).body["stream"].partition(":")[2]
    assert organ.raw("GET", f"/matters/{record}/bundle").content == content
    elsewhere = told(manager, "/matters/new/refer_unit", {**several, "head": 0}).body["stream"].partition(":")[2]
    assert organ.get(f"/matters/{elsewhere}/bundle").body["code"] == "bundle-elsewhere"
    another = told(manager, "/matters/new/refer_unit", {**several, "to": "E"}).body["stream"].partition(":")[2]
    assert organ.get(f"/matters/{another}/bundle").status == 404, "it was referred to another organ"
    looks = [one["event"] for one in last_looks(served) if one["event"].get("purpose") == "referral"]
    assert [one["stream"] for one in looks[-2:]] == [f"order:{order}", f"matter:{record}"]
