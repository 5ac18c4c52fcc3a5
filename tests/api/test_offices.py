"""What supervisory offices list over HTTP: clocks, appeals, matters, notices; allowed, denied, and as tables."""

from __future__ import annotations

import csv
import io
import typing
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from api import sheets
from domain.terms import Role
from projections.answers import ClockState
from projections.appeals import AppealRow
from projections.matters import MatterRow
from projections.notices import NoticeRow
from scripts import wiring
from tests.api.conftest import Caller, Reply, Served, dispatched, registered

MINUTES = "sha256:" + "0" * 64


def posted(caller: Caller, path: str, body: dict[str, Any], *, reason: str = "") -> Reply:
    headers = {"Huiyin_Reason": reason} if reason else {}
    reply = caller.post(path, body, **headers)
    assert reply.status == 201, reply
    return reply


def table(reply: Reply) -> list[list[str]]:
    assert reply.headers["content-type"].startswith("text/csv"), reply
    assert reply.body.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(reply.body.decode("utf-8-sig"), newline="")))


def meeting(served: Served, *, unit: str = "D", by: str = "2030-01-10", title: str = "占道经营会商") -> Reply:
    body = {
        "title": title,
        "held_at": (wiring.process_now() - timedelta(hours=2)).isoformat(),
        "participants": ["D", "E"],
        "minutes": MINUTES,
        "summary": "两区分段负责。",
        "decisions": [{"unit": unit, "what": "清理占道", "by": by}],
    }
    return posted(served.as_(Role.COORDINATOR), "/matters/new/record_meeting", body)


def id_of(reply: Reply) -> str:
    return reply.body["stream"].partition(":")[2]


# --- appeals -----------------------------------------------------------------------------------------------------


def appealed(served: Served, unit: str = "D") -> str:
    order = dispatched(served, unit)
    body = {
        "indicator": "I8",
        "ground": "wrong_evaluation",
        "published_at": (wiring.process_now() - timedelta(hours=1)).isoformat(),
        "issuer": "manager",
        "words": "评价记录有误",
    }
    posted(served.as_(Role.ORG_APPROVER, unit), f"/orders/{order}/file_appeal", body)
    return order


def test_an_appeal_stands_on_the_worklist_with_its_time_until_another_person_decided_it(served: Served):
    order = appealed(served)
    supervisor = served.as_(Role.SUPERVISOR)
    position = supervisor.get("").body["position"]
    (row,) = supervisor.get("/appeals", order=order, min_position=position).body["appeals"]
    assert (row["unit"], row["indicator"], row["ground"], row["late"]) == ("D", "I8", "wrong_evaluation", False)
    assert row["due"] is not None
    duties = supervisor.get(f"/orders/{order}/duties").body["duties"]
    assert [d["due"] for d in duties if d["command"] == "decide_appeal"] == [row["due"]]
    decided = {"appeal": 1, "upheld": True, "words": "记录确有误", "exclusion": "I8"}
    by_issuer = served.as_(Role.HOTLINE_MANAGER).post(f"/orders/{order}/decide_appeal", decided)
    assert by_issuer.body["code"] == "self-approval"
    told = posted(supervisor, f"/orders/{order}/decide_appeal", decided)
    asked = {"order": order, "min_position": told.headers["Ledger-Position"]}
    assert supervisor.get("/appeals", state="open", **asked).body["appeals"] == []
    (row,) = supervisor.get("/appeals", state="upheld", **asked).body["appeals"]
    assert (row["upheld"], row["exclusion"]) == (True, "I8")
    (both,) = supervisor.get("/appeals", **asked).body["figures"]
    assert (both["order_id"], both["code"], both["above"]) == (order, "I8", both["above_without"])
    assert row["decided_at"] is not None


def test_a_units_people_read_their_own_appeals_and_nobody_elses(served: Served):
    own, others = appealed(served), appealed(served, "E")
    approver = served.as_(Role.ORG_APPROVER, "D")
    position = served.as_(Role.SUPERVISOR).get("").body["position"]
    rows = approver.get("/appeals", limit=200, min_position=position).body["appeals"]
    assert own in {row["order_id"] for row in rows}
    assert others not in {row["order_id"] for row in rows}
    assert {row["unit"] for row in rows} <= {"D", "D-B"}
    assert approver.get("/appeals", unit="E").body["code"] == "not-for-this-role"
    for role in (Role.AGENT, Role.DISPATCHER, Role.OVERSEER_NPC, Role.ADMIN, Role.DISCIPLINE):
        assert served.as_(role).get("/appeals").status == 403, role
    assert served.as_(Role.SUPERVISOR).get("/appeals", state="gone").body["field"] == "state"


# --- matters -----------------------------------------------------------------------------------------------------


def test_what_a_meeting_decided_is_a_duty_of_its_unit_until_it_is_accepted(served: Served):
    told = meeting(served, title="河滨路会商")
    record, position = id_of(told), told.headers["Ledger-Position"]
    unit, office = served.as_(Role.ORG_APPROVER, "D"), served.as_(Role.SUPERVISOR)
    (row,) = [
        r
        for r in office.get("/matters", kind="meeting", limit=200, min_position=position).body["matters"]
        if r["id"] == record
    ]
    assert (row["state"], row["waits_for"], row["duties"], row["done"]) == ("open", ["D"], 1, 0)
    assert row["due"].startswith("2030-01-11T00:00")
    (duty,) = [d for d in unit.get("/duties", limit=200).body["duties"] if d["order_id"] == record]
    assert (duty["kind"], duty["command"], duty["title"]) == ("matter", "report_rectification", "河滨路会商")
    assert (
        served.as_(Role.ORG_APPROVER, "E")
        .post(f"/matters/{record}/report_rectification", {"duty": 1, "report": "已办"})
        .body["code"]
        == "not-your-unit"
    )
    posted(unit, f"/matters/{record}/report_rectification", {"duty": 1, "report": "已清理"})
    told = posted(office, f"/matters/{record}/accept_rectification", {"duty": 1})
    found = office.get("/matters", open="true", limit=200, min_position=told.headers["Ledger-Position"])
    assert record not in {r["id"] for r in found.body["matters"]}


def test_a_rectification_that_is_late_is_found_as_late(served: Served):
    today = wiring.process_now().date()
    body = {
        "unit": "E",
        "inspected_on": (today - timedelta(days=9)).isoformat(),
        "findings": "台账不全",
        "rectify_by": (today - timedelta(days=2)).isoformat(),
    }
    told = posted(served.as_(Role.SUPERVISOR), "/matters/new/record_inspection", body)
    meeting(served)
    asked = {
        "late": "true",
        "unit": "E",
        "limit": 200,
        "min_position": served.as_(Role.AUDITOR).get("").body["position"],
    }
    rows = served.as_(Role.HOTLINE_MANAGER).get("/matters", **asked).body["matters"]
    assert id_of(told) in {row["id"] for row in rows}
    assert {row["kind"] for row in rows} == {"inspection"}


def test_a_draft_that_criticises_is_not_shown_to_whom_it_criticises(served: Served):
    body = {
        "circular": "criticism",
        "title": "关于某区的通报",
        "facts": "三次逾期",
        "units": ["D"],
        "ground": "overdue",
    }
    told = posted(served.as_(Role.SUPERVISOR), "/matters/new/draft_circular", body)
    record, unit = id_of(told), served.as_(Role.ORG_APPROVER, "D")

    def listed(caller: Caller) -> set[str]:
        position = served.as_(Role.AUDITOR).get("").body["position"]
        rows = caller.get("/matters", limit=200, min_position=position).body["matters"]
        return {row["id"] for row in rows}

    assert record in listed(served.as_(Role.HOTLINE_MANAGER))
    assert record not in listed(unit)
    assert unit.get(f"/matters/{record}").status == unit.get(f"/matters/{record}/history").status == 404
    posted(served.as_(Role.LEADER), f"/matters/{record}/approve_circular", {})
    out = {"recipients": ["D"], "content_hash": MINUTES}
    posted(served.as_(Role.HOTLINE_MANAGER), f"/matters/{record}/publish_circular", out, reason="circular")
    assert record in listed(unit)
    assert unit.get(f"/matters/{record}").status == 200


def test_the_supervisory_organ_reads_what_was_referred_to_it_and_nobody_of_the_unit_does(served: Served):
    body = {"unit": "D", "to": "discipline", "ground": "perfunctory", "facts": "屡次敷衍", "bundle": MINUTES}
    told = posted(served.as_(Role.HOTLINE_MANAGER), "/matters/new/refer_unit", body, reason="referral")
    held = meeting(served)
    position = held.headers["Ledger-Position"]
    organ, unit = served.as_(Role.DISCIPLINE), served.as_(Role.ORG_APPROVER, "D")
    seen = {row["id"] for row in organ.get("/matters", limit=200, min_position=position).body["matters"]}
    assert id_of(told) in seen
    assert id_of(held) not in seen
    assert organ.get(f"/matters/{id_of(told)}").status == 200
    assert organ.get(f"/matters/{id_of(held)}").status == 404
    assert unit.get(f"/matters/{id_of(told)}").status == 404
    assert id_of(told) not in {row["id"] for row in unit.get("/matters", limit=200).body["matters"]}
    for role in (Role.AGENT, Role.REVISITOR, Role.OVERSEER_CPPCC, Role.ADMIN):
        assert served.as_(role).get("/matters").status == 403, role


# --- clocks ------------------------------------------------------------------------------------------------------


def test_clocks_are_filtered_by_name_unit_state_and_due_and_go_on_from_page_to_page(served: Served):
    orders = {dispatched(served) for _ in range(3)}
    caller = served.as_(Role.SUPERVISOR)
    now = wiring.process_now()
    asked = {
        "unit": "D",
        "name": "handle",
        "state": "running",
        "from": now.isoformat(),
        "to": (now + timedelta(days=60)).isoformat(),
        "min_position": caller.get("").body["position"],
    }
    whole = caller.every("/clocks", "clocks", limit=200, **asked)
    assert orders <= {row["order_id"] for row in whole}
    assert {(row["name"], row["status"], row["unit"]) for row in whole} == {("handle", "running", "D")}
    dues = [row["due"] for row in whole]
    assert dues == sorted(dues)
    assert [(row["order_id"], row["no"]) for row in caller.every("/clocks", "clocks", limit=2, **asked)] == [
        (row["order_id"], row["no"]) for row in whole
    ]
    assert caller.get("/clocks", breached="true", state="running").body["clocks"] == []
    unit = served.as_(Role.ORG_HANDLER, "E")
    assert unit.get("/clocks", unit="D").body["code"] == "not-for-this-role"
    assert not orders & {row["order_id"] for row in unit.every("/clocks", "clocks", limit=200)}
    assert served.as_(Role.OVERSEER_NPC).get("/clocks").status == 403
    assert caller.get("/clocks", **{"from": "2026-02-01", "to": "2026-01-01"}).body["field"] == "to"


# --- tables ------------------------------------------------------------------------------------------------------


def test_lists_are_given_as_tables_that_a_spreadsheet_opens(served: Served):
    order = appealed(served)
    meeting(served, title="=1+1 会商")
    caller = served.as_(Role.SUPERVISOR)
    notice = {
        "kind": "written",
        "ground": "careless_reply",
        "unit": "D",
        "facts": "答复敷衍",
        "demand": "重新答复",
        "limit": {"amount": 3, "unit": "working_days"},
    }
    posted(caller, f"/orders/{order}/issue_notice", notice)
    position = caller.get("").body["position"]
    for path, title in (("/appeals", "指标"), ("/clocks", "到期时间"), ("/matters", "待办单位"), ("/notices", "文号")):
        heads, *lines = table(caller.get(path, format="csv", min_position=position))
        assert title in heads
        assert lines
        assert {len(line) for line in lines} == {len(heads)}
    heads, *lines = table(caller.get("/appeals", format="csv", order=order))
    assert dict(zip(heads, lines[0], strict=True))["理由"] == "评价记录有误"
    titles = {line[heads_of(caller).index("标题")] for line in table(caller.get("/matters", format="csv"))[1:]}
    assert "'=1+1 会商" in titles
    assert caller.get("/notices", format="xls").body["field"] == "format"
    paged = caller.get("/clocks", format="csv", limit=1)
    assert 'rel="next"' in paged.headers["Link"]


def heads_of(caller: Caller) -> list[str]:
    return table(caller.get("/matters", format="csv"))[0]


def test_a_list_within_a_cell_is_no_formula_either():
    first = sheets.table(MatterLike, [MatterLike(units=("=1+1", "B"), not_by=("@wang",), late=-3)])
    assert first.decode().splitlines()[1] == "'=1+1、B,'@wang,-3"


class MatterLike(msgspec.Struct, frozen=True):
    """Columns that hold several words, and a number."""

    units: tuple[str, ...]
    not_by: tuple[str, ...]
    late: int


@pytest.mark.parametrize("row", [AppealRow, ClockState, MatterRow, NoticeRow])
def test_every_column_has_its_chinese_heading(row: type):
    assert set(typing.get_type_hints(row)) <= set(sheets.TITLES)


# --- shifts ------------------------------------------------------------------------------------------------------


def test_a_shift_that_forgets_an_open_emergency_is_not_handed_over(served: Served):
    urgent = {"demand_type": "help", "urgency": "emergency_life"}
    told = registered(served, title="燃气泄漏", attributes=urgent)
    agent = served.as_(Role.AGENT)
    agent.get("/orders", min_position=told.headers["Ledger-Position"])
    refused = agent.post("/matters/new/hand_over_shift", {"shift": "白班", "to": "agent-2"})
    assert (refused.status, refused.body["code"]) == (409, "emergency-forgotten")
    assert told.body["number"] in refused.body["detail"]
    open_now = refused.body["detail"].split(", ")
    ids = [agent.get(f"/orders/{number}").body["order"]["id"] for number in open_now]
    posted(agent, "/matters/new/hand_over_shift", {"shift": "白班", "to": "agent-2", "open_emergencies": ids})


# --- where a unit is reached -------------------------------------------------------------------------------------


def test_where_a_notice_has_to_be_served_the_units_duty_contact_is_at_hand(served: Served):
    contact = {"post": "值班室", "channel": "written", "phone": "000-6110000"}
    posted(served.as_(Role.ADMIN), "/institution/change_unit", {"unit": "E", "duty_contact": contact})
    order = dispatched(served, "E")
    supervisor = served.as_(Role.SUPERVISOR)
    notice = {"kind": "written", "ground": "prevarication", "unit": "E", "limit": {"amount": 2, "unit": "working_days"}}
    told = posted(supervisor, f"/orders/{order}/issue_notice", {**notice, "on_paper": True})
    asked = {"min_position": told.headers["Ledger-Position"]}
    assert supervisor.get("/notices", open="true", **asked).body["contacts"]["E"] == contact
    units = {one["unit"]: one for one in supervisor.get("/units", **asked).body["units"]}
    assert units["E"]["contact"] == contact
    assert units["D-B"].get("contact") is None
    nameless = supervisor.post(f"/orders/{order}/serve_notice", {"notice": 1, "medium": "phone"})
    assert (nameless.body["code"], nameless.body["detail"]) == ("person-missing", "E: 值班室 书面 000-6110000")
    posted(supervisor, f"/orders/{order}/serve_notice", {"notice": 1, "medium": "phone", "person": "值班员庚某"})
    posted(served.as_(Role.ADMIN), "/institution/change_unit", {"unit": "E", "name": "西区人民政府"})
    (unit,) = [one for one in supervisor.get("/units").body["units"] if one["unit"] == "E"]
    assert unit["contact"] == contact, "what is not said stays"
