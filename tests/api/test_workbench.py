"""An auditor's work over HTTP: entries found across histories, states and corrections side by side, copies with proofs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domain import evidence
from domain.evidence import Unproven
from domain.terms import Role
from scripts import wiring
from tests.api.conftest import DEMAND, Caller, Reply, Served, caught_up
from tests.api.test_offices import table
from tests.api.test_proving import policy

LONG_AGO = {"Huiyin_Origin": "import"}
REGISTERED, DISPATCHED = "2025-03-03T10:00:00+08:00", "2025-03-12T11:00:00+08:00"
SIGNED = "2025-03-20T09:30:00+08:00"


@pytest.fixture(scope="module")
def late(served: Served) -> dict[str, Any]:
    """An order that another system had, kept by its unit days after it was to be passed on."""
    body = (
        served.as_(Role.AGENT, scope="import").post("/orders", DEMAND, Huiyin_Occurred_At=REGISTERED, **LONG_AGO).body
    )
    given = {"kind": "ordinary", "lead": "D", "basis": "duty"}
    reply = served.as_(Role.DISPATCHER, scope="import").post(
        f"/orders/{body['id']}/dispatch", given, Huiyin_Occurred_At=DISPATCHED, **LONG_AGO
    )
    assert reply.status == 201, reply
    signed = served.as_(Role.ORG_HANDLER, "D", scope="import").post(
        f"/orders/{body['id']}/sign", {"own_handling": True}, Huiyin_Occurred_At=SIGNED, **LONG_AGO
    )
    assert signed.status == 201, signed
    position = signed.body["events"][-1]["position"]
    caught_up(served, position)
    return body | {"dispatched": reply.body["events"][0]["position"], "signed": position}


def found(caller: Caller, **query: Any) -> list[dict[str, Any]]:
    """Return all that a search finds, page by page."""
    rows: list[dict[str, Any]] = []
    while True:
        reply = caller.get("/audit/entries", **query)
        assert reply.status == 200, reply
        rows += reply.body["entries"]
        if "next" not in reply.body:
            return rows
        query["cursor"] = reply.body["next"]


def journal(served: Served) -> list[dict[str, Any]]:
    """Return today's access journal, page by page: others wrote in it too."""
    today = f"{wiring.process_now().astimezone(wiring.SHANGHAI):%Y-%m-%d}"
    supervisor, rows, query = served.as_(Role.SUPERVISOR), list[dict[str, Any]](), {"limit": 200}
    while True:
        said = supervisor.get(f"/access/{today}", **query).body
        rows += said["entries"]
        if "next" not in said:
            return rows
        query["cursor"] = said["next"]


def looks(served: Served, since: int, **said: str) -> list[dict[str, Any]]:
    """Return what was looked at since a position."""
    auditor = served.as_(Role.AUDITOR)
    rows = found(auditor, type="access.logged")
    return [row for row in rows if row["position"] > since and said.items() <= row.items()]


def test_entries_are_found_by_what_who_when_and_how_late(served: Served, late: dict[str, Any]):
    auditor = served.as_(Role.AUDITOR)
    asked = {"type": "order.assignment_signed", "user": "org-handler-d", "late": 86_400}
    (row,) = [row for row in found(auditor, **asked, limit=1) if row["position"] == late["signed"]]
    assert (row["clock"], row["number"], row["title"]) == ("transfer", late["number"], "签收")
    assert row["late_seconds"] > 86_400
    for wrong in (
        {"user": "nobody"},
        {"type": "order.order_dispatched"},
        {"late": 10**9},
        {"role": "agent"},
        {"unit": "E"},
        {"to": REGISTERED},
        {"from": "2025-03-20T09:30:00.001+08:00", "to": "2025-03-21T00:00:00+08:00"},
    ):
        assert late["signed"] not in [one["position"] for one in found(auditor, **{**asked, **wrong})], wrong
    narrow = {"from": SIGNED, "to": "2025-03-20T09:30:01+08:00", "unit": "D"}
    assert late["signed"] in [one["position"] for one in found(auditor, **{**asked, **narrow})]
    rows = table(auditor.get("/audit/entries", **asked, format="csv"))
    assert "超期秒数" in rows[0]
    assert [str(late["signed"])] == [line[0] for line in rows[1:] if late["number"] in line]


def test_pages_of_a_search_come_to_the_same_as_one_of_many(served: Served, late: dict[str, Any]):
    supervisor = served.as_(Role.SUPERVISOR)
    asked = {"type": ["order.order_dispatched", "order.order_registered"], "to": "2025-12-31T00:00:00+08:00"}
    assert found(supervisor, **asked, limit=1) == found(supervisor, **asked, limit=200) != []


def test_a_search_is_on_record_before_it_is_answered(served: Served, late: dict[str, Any]):
    auditor = served.as_(Role.AUDITOR)
    before = auditor.get("").body["position"]
    found(auditor, user="whoever", purpose="complaint-7")
    last = journal(served)[-1]
    assert last["position"] > before
    assert (last["event"]["stream"], last["event"]["fields"], last["event"]["purpose"]) == (
        "ledger",
        ["search"],
        "complaint-7",
    )
    assert (last["actor"]["user"], last["event"]["words"]) == ("auditor-hotline", {"sealed": True})


def refusals(caller: Caller, order: str) -> list[Reply]:
    return [
        caller.get("/audit/entries"),
        caller.get("/audit/orders", **{"from": REGISTERED, "to": DISPATCHED}),
        caller.post("/audit/copies", {"records": [order], "purpose": "audit"}),
    ]


def test_only_who_audits_or_supervises_looks_across_histories(served: Served, late: dict[str, Any]):
    for role, unit in (
        (Role.AGENT, "HOTLINE"),
        (Role.ORG_HANDLER, "D"),
        (Role.OVERSEER_NPC, "HOTLINE"),
        (Role.CITIZEN, ""),
        (Role.ADMIN, "HOTLINE"),
        (Role.LEADER, "HOTLINE"),
    ):
        assert [one.status for one in refusals(served.as_(role, unit), late["id"])] == [403] * 3, role
    assert served.as_(Role.ORG_HANDLER, "D").get(f"/orders/{late['id']}/corrections").status == 403
    for wrong in (
        {"type": "no.such"},
        {"unit": "NO"},
        {"from": DISPATCHED, "to": REGISTERED},
        {"late": -1},
        {"role": "king"},
    ):
        assert served.as_(Role.AUDITOR).get("/audit/entries", **wrong).status in (400, 422), wrong


def test_two_states_of_an_order_are_put_side_by_side(served: Served, late: dict[str, Any]):
    auditor, path = served.as_(Role.AUDITOR), f"/orders/{late['id']}/difference"
    day = {"from": "2025-03-04T00:00:00+08:00", "to": "2025-03-13T00:00:00+08:00"}
    told = {one["path"]: (one["before"], one["after"]) for one in auditor.get(path, **day).body["differences"]}
    assert told["state"] == ("awaiting_dispatch", "dispatched") or told["state"][1] == "dispatched"
    assert any(one.startswith("clocks.transfer") for one in told)
    by_position = {"from": late["dispatched"] - 1, "to": late["dispatched"], "by": "position"}
    same = {one["path"] for one in auditor.get(path, **by_position).body["differences"]}
    assert "state" in same
    before = {"from": "2025-03-01T00:00:00+08:00", "to": DISPATCHED}
    (whole,) = auditor.get(path, **before).body["differences"]
    assert (whole["path"], whole["before"]) == ("", None)
    assert auditor.get(path, **{"from": "2025-03-13T00:00:00+08:00", "to": "2025-03-14T00:00:00+08:00"}).status == 200
    recorded = auditor.get(path, **day, by="recorded").body["differences"]
    assert recorded == []  # by what the ledger knew there was nothing yet on either day
    for wrong in ({}, {"from": REGISTERED}, {"from": "x", "to": "y"}, {**day, "by": "position"}, {**day, "by": "moon"}):
        assert auditor.get(path, **wrong).status == 400, wrong
    other = served.as_(Role.ORG_HANDLER, "E").get(path, **day)
    assert other.status == 404


def test_the_orders_of_a_list_that_were_otherwise_stand_beside_themselves(served: Served, late: dict[str, Any]):
    auditor = served.as_(Role.AUDITOR)
    told = auditor.get(
        "/audit/orders", **{"from": "2025-03-04T00:00:00+08:00", "to": "2025-03-13T00:00:00+08:00"}, limit=200
    )
    (mine,) = [one for one in told.body["orders"] if one["id"] == late["id"]]
    assert not mine["appeared"]
    assert {"state", "unit"} <= {one["path"] for one in mine["differences"]}
    new = auditor.get(
        "/audit/orders", **{"from": "2025-03-01T00:00:00+08:00", "to": "2025-03-04T00:00:00+08:00"}, limit=200
    )
    assert [one["appeared"] for one in new.body["orders"] if one["id"] == late["id"]] == [True]
    assert auditor.get("/audit/orders", **{"from": REGISTERED, "to": DISPATCHED}, by="position").status == 400


def test_a_correction_stands_beside_what_it_corrects_with_both_persons(served: Served, late: dict[str, Any]):
    handler = Caller(served.client, served.token("agent-hotline", "agent@HOTLINE"), served.names["api"])
    path = f"/orders/{late['id']}"
    for body in (
        {"version": 1, "field": "category", "basis": "登记有误", "old": DEMAND["category"], "new": "市政/照明"},
        {
            "version": 1,
            "field": "content",
            "basis": "听录音更正",
            "old_text": DEMAND["content"],
            "new_text": "河滨路东段路灯不亮。",
        },
    ):
        assert handler.post(f"{path}/propose_correction", body, Huiyin_Reason="typing_error").status == 201
    supervisor = served.as_(Role.SUPERVISOR)
    for number in (1, 2):
        said = supervisor.post(f"{path}/approve_correction", {"correction": number}, Huiyin_Reason="typing_error")
        assert said.status == 201, said
    plain, text = served.as_(Role.AUDITOR).get(f"{path}/corrections").body["corrections"]
    assert (plain["old"], plain["new"], plain["in_force"]) == (DEMAND["category"], "市政/照明", True)
    assert (plain["proposed_by"], plain["approved_by"]) == ("agent-hotline", "supervisor-hotline")
    assert (text["field"], text["old"], text["new"]) == ("content", {"sealed": True}, {"sealed": True})
    assert plain["type"] == "order.order_registered"
    assert served.as_(Role.AUDITOR).get(path).body["order"]["demand"]["category"] == "市政/照明"


def test_copies_are_checked_by_anybody_say_nothing_sealed_and_are_on_record(served: Served, late: dict[str, Any]):
    auditor, believed = served.as_(Role.AUDITOR), policy(served)
    before = auditor.get("").body["position"]
    body = {"records": [late["number"], late["id"]], "purpose": "audit-2026"}
    copy = auditor.raw("POST", "/audit/copies", json.dumps(body).encode(), Content_Type="application/json")
    assert copy.status_code == 200, copy.text
    (held,) = evidence.check_bundle(copy.content, believed).records
    assert held.stream == f"order:{late['id']}"
    assert held.open == held.events >= 2
    for words in (DEMAND["content"], DEMAND["applicant"]["name"], DEMAND["applicant"]["phone"]):
        assert words.encode() not in copy.content
    with pytest.raises(Unproven):
        evidence.check_bundle(copy.content.replace("市政".encode(), "市容".encode()), believed)
    (line,) = looks(served, before, user="auditor-hotline")[-1:]
    assert line["position"] > before
    last = [one["event"] for one in journal(served) if one["event"]["fields"] == ["export"]][-1]
    assert (last["stream"], last["purpose"]) == (f"order:{late['id']}", "audit-2026")
    rows = table(auditor.post("/audit/copies", {**body, "format": "csv"}))
    assert rows[0][0] == "位置"
    assert len(rows) == held.events + 1
    for wrong in ({"records": []}, {"records": ["HY20200101-000001"]}, {"records": [late["id"]], "purpose": ""}):
        assert auditor.post("/audit/copies", {"purpose": "audit", **wrong}).status in (404, 422), wrong


# --- replay ------------------------------------------------------------------------------------------------------

PERIOD = {"from": "2025-03-03T00:00:00+08:00", "to": "2025-03-04T00:00:00+08:00"}


def test_a_period_is_seen_as_it_stood_at_a_position_and_again_the_same(served: Served, late: dict[str, Any]):
    auditor = served.as_(Role.AUDITOR)
    asked = {**PERIOD, "position": late["dispatched"], "purpose": "replay-1"}
    told = auditor.get("/audit/period", **asked)
    assert told.status == 200, told
    (mine,) = [one for one in told.body["orders"] if one["id"] == late["id"]]
    clocks = {clock["clock"]: clock["status"] for clock in mine["clocks"]}
    assert (mine["state"], clocks["transfer"]) == ("dispatched", "overdue")
    assert told.body["states"]["dispatched"] >= 1
    assert told.body["clocks"]["transfer"]["overdue"] >= 1
    assert {figure["code"] for figure in told.body["figures"]} >= {"I1", "I3"}
    assert auditor.get("/audit/period", **asked).body == told.body
    before = auditor.get("/audit/period", **{**asked, "position": late["dispatched"] - 1}).body
    assert next(one for one in before["orders"] if one["id"] == late["id"])["state"] == "registered"
    assert [one["event"]["fields"] for one in journal(served) if one["event"]["purpose"] == "replay-1"] == [
        ["state"]
    ] * 3


def test_two_positions_of_a_period_differ_by_the_orders_that_moved_and_the_events_that_moved_them(
    served: Served, late: dict[str, Any]
):
    auditor = served.as_(Role.AUDITOR)
    asked = {**PERIOD, "before": late["dispatched"] - 1, "after": late["signed"]}
    told = auditor.get("/audit/period/difference", **asked)
    assert told.status == 200, told
    (mine,) = [one for one in told.body["orders"] if one["id"] == late["id"]]
    assert (mine["state"], mine["appeared"]) == (["registered", "working"], False)
    by = {one["position"]: one["type"] for one in mine["by"]}
    assert by[late["dispatched"]] == "order.order_dispatched"
    assert by[late["signed"]] == "order.assignment_signed"
    turned = {one["clock"]: (one["before"], one["after"]) for one in mine["clocks"]}
    assert turned["transfer"][0] is None
    assert turned["transfer"][1]["status"] == "late"
    assert told.body["moved"] >= len(told.body["orders"])
    unknown = {**asked, "before": late["events"][0]["position"] - 1}
    told = auditor.get("/audit/period/difference", **unknown)
    assert [one["appeared"] for one in told.body["orders"] if one["id"] == late["id"]] == [True]
    assert {one["code"] for one in told.body["figures"]} >= {"I3"}, "how many were registered"


def test_a_replay_is_for_who_audits_and_of_positions_that_there_are(served: Served, late: dict[str, Any]):
    auditor, head = served.as_(Role.AUDITOR), late["signed"] + 1_000_000
    two = {**PERIOD, "before": late["dispatched"], "after": late["signed"]}
    assert auditor.get("/audit/period", **PERIOD, position=head).body["code"] == "cut-off-ahead"
    assert auditor.get("/audit/period", **PERIOD, position=0).status == 400, "before anything there is no period"
    long = {"from": "0001-01-02T00:00:00+08:00", "to": "9999-12-30T00:00:00+08:00"}
    for one in ({**long, "position": late["signed"]}, {**PERIOD, "position": 1}, {**PERIOD, "to": long["to"]}):
        assert auditor.get("/audit/period", **one).status in (200, 400), one
    assert (
        auditor.get("/audit/period/difference", **{**two, "before": 1, "after": head}).body["code"] == "cut-off-ahead"
    )
    assert auditor.get("/audit/period", **PERIOD, unit="NOWHERE").status == 422
    assert auditor.get("/audit/period/difference", **{**two, "after": late["dispatched"]}).status == 400
    assert auditor.get("/audit/period", **{**PERIOD, "to": PERIOD["from"]}).status == 400
    for role, unit in ((Role.AGENT, "HOTLINE"), (Role.ORG_HANDLER, "D"), (Role.OVERSEER_NPC, "HOTLINE")):
        assert served.as_(role, unit).get("/audit/period", **PERIOD).status == 403, role
        assert served.as_(role, unit).get("/audit/period/difference", **two).status == 403, role
