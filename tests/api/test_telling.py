"""Many callers and one answer, return visits drawn, due instants moved: asked for over HTTP by the roles that may."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from typing import Any

import msgspec

from domain.calendar import OffSpan
from domain.terms import SHANGHAI, Role
from scripts import wiring
from tests import given
from tests.api.conftest import DEMAND, Caller, Reply, Served, dispatched, registered


def table(reply: Reply) -> list[list[str]]:
    assert reply.headers["content-type"].startswith("text/csv"), reply
    return list(csv.reader(io.StringIO(reply.body.decode("utf-8-sig"), newline="")))


def told_to(served: Served, order: str) -> list[dict[str, Any]]:
    entries = served.as_(Role.SUPERVISOR).get(f"/orders/{order}/history").body["entries"]
    return [one["event"] for one in entries if one["type"] == "order.applicant_informed"]


# --- one answer to all -------------------------------------------------------------------------------------------


def a_mass_incident(served: Served) -> tuple[str, list[str], str]:
    """Return a master that was answered, two callers merged into it, and one of them who left no name."""
    master = registered(served).body["id"]
    callers = [registered(served).body["id"] for _ in range(2)]
    nameless = registered(served, applicant=None, anonymous=True, channel="web").body["id"]
    dispatcher = served.as_(Role.DISPATCHER)
    for one in (*callers, nameless):
        assert dispatcher.post(f"/orders/{one}/merge", {"master": master, "reason": "同一事项"}).status == 201
    body = {"lead": "D", "kind": "ordinary", "basis": "territory"}
    assert dispatcher.post(f"/orders/{master}/dispatch", body).status == 201
    return master, callers, nameless


def answer(served: Served, master: str) -> None:
    handler = served.as_(Role.ORG_HANDLER, "D")
    assert handler.post(f"/orders/{master}/sign", {"own_handling": True}).status == 201
    assert handler.post(f"/orders/{master}/inform_applicant", {"about": "result", "medium": "phone"}).status == 201
    body = {"public_answer": "路灯已修复。", "outcome": "resolved"}
    assert served.as_(Role.ORG_APPROVER, "D").post(f"/orders/{master}/reply", body).status == 201


def test_everybody_merged_into_an_order_is_told_its_answer_by_one_request_and_once(served: Served):
    master, callers, nameless = a_mass_incident(served)
    handler, path = served.as_(Role.ORG_HANDLER, "D"), f"/orders/{master}/inform_children"
    early = handler.post(path, {"medium": "sms"})
    assert (early.status, early.body["code"]) == (409, "master-not-replied")
    answer(served, master)
    by_phone = handler.post(path, {"medium": "phone"})
    assert (by_phone.status, by_phone.body["code"], by_phone.body["field"]) == (422, "one-by-one", "medium")
    shown = handler.post(path, {"medium": "sms", "dry_run": True})
    assert (shown.status, shown.body["counts"]) == (200, {"would": 2, "left": 1})
    assert not told_to(served, callers[0])
    told = handler.post(path, {"medium": "sms", "call": "SMS-1"})
    assert (told.body["counts"], told.body["reply"]) == ({"told": 2, "left": 1}, 1)
    (left,) = [one for one in told.body["callers"] if one["fate"] == "left"]
    assert (left["order_id"], left["why"]) == (nameless, "anonymous")
    again = served.as_(Role.AGENT).post(path, {"medium": "web"})
    assert again.body["counts"] == {"again": 2, "left": 1}
    for one in callers:
        (event,) = told_to(served, one)
        assert (event["about"], event["medium"], event["call"], event["master"]) == ("result", "sms", "SMS-1", master)
    assert not told_to(served, nameless)


def test_who_has_no_part_in_the_master_tells_nobody(served: Served):
    master, callers, _ = a_mass_incident(served)
    answer(served, master)
    path, body = f"/orders/{master}/inform_children", {"medium": "sms"}
    assert served.as_(Role.ORG_HANDLER, "E").post(path, body).status == 404
    assert served.as_(Role.SUPERVISOR).post(path, body).status == 403
    alone = dispatched(served, "D")
    none = served.as_(Role.AGENT).post(f"/orders/{alone}/inform_children", body)
    assert (none.status, none.body["code"]) == (409, "nobody-merged")
    assert not told_to(served, callers[0])


# --- return visits -----------------------------------------------------------------------------------------------


def test_a_sample_is_drawn_by_a_visitor_and_drawn_again_by_whoever_checks_it(served: Served):
    order = registered(served, applicant=DEMAND["applicant"]).body["id"]
    today = wiring.process_now().astimezone(SHANGHAI).date()
    days = {"first": str(today - timedelta(days=9)), "last": str(today - timedelta(days=8)), "percent": 50}
    visitor = served.as_(Role.REVISITOR)
    assert served.as_(Role.ORG_HANDLER, "D").post("/samples", days).status == 403
    assert served.as_(Role.SUPERVISOR).post("/samples", days).status == 403
    running = visitor.post("/samples", {**days, "last": str(today)})
    assert (running.status, running.body["code"]) == (422, "period-open")
    drawn = visitor.post("/samples", days)
    assert (drawn.status, drawn.body["frame_size"], drawn.body["drawn"]) == (200, 0, []), order
    lacking = visitor.post("/samples", {"first": days["first"], "last": days["last"]})
    assert (lacking.status, lacking.body["code"]) == (422, "share-missing")
    supervisor = served.as_(Role.SUPERVISOR)
    seed = drawn.body["seed"]
    checked = supervisor.get(f"/samples/{seed}")
    assert (checked.status, checked.body["frame"], checked.body["holds"]) == (200, drawn.body["frame"], False)
    assert table(supervisor.get(f"/samples/{seed}", format="csv")) == [["记录", "轮次", "单位", "编号", "已登记抽中"]]
    unknown = supervisor.get("/samples/20250901")
    assert (unknown.status, unknown.body["code"]) == (404, "drawing-unknown")
    assert served.as_(Role.ORG_APPROVER, "D").get(f"/samples/{seed}").status == 403


# --- changed dues ------------------------------------------------------------------------------------------------


def long_open(served: Served, unit: str) -> str:
    """Return an order of last year that nobody has answered, as an old system handed it over."""
    said = {"Huiyin_Origin": "import"}
    agent, dispatcher = (served.as_(role, city="other", scope="import") for role in (Role.AGENT, Role.DISPATCHER))
    told = agent.post("/orders", DEMAND, Huiyin_Occurred_At="2025-09-22T09:00:00+08:00", **said)
    order = told.body["id"]
    body = {"lead": unit, "kind": "ordinary", "basis": "territory"}
    path = f"/orders/{order}/dispatch"
    assert dispatcher.post(path, body, Huiyin_Occurred_At="2025-09-22T10:00:00+08:00", **said).status == 201
    return order


def another_day_off(served: Served) -> int:
    """Publish last year's calendar with one more day off; return the position that did."""
    newest = [one for one in given.calendars() if one.year == 2025][-1]
    day = date(2025, 9, 24)
    calendar = msgspec.structs.replace(
        newest,
        version=newest.version + 1,
        known_from=date(2025, 9, 1),
        off=tuple(sorted((*newest.off, OffSpan(holiday=newest.off[-1].holiday, first=day, last=day)), key=_first)),
    )
    body = {"calendar": msgspec.to_builtins(calendar)}
    proposed = served.as_(Role.ADMIN, city="other").post("/institution/propose_calendar", body)
    assert proposed.status == 201, proposed
    no = proposed.body["events"][0]["event"]["proposal"]
    second = served.token("another-admin", "admin@HOTLINE", cities=("other",), scope="import")
    second_person = Caller(served.client, second, served.names["other"])
    approved = second_person.post("/institution/approve_calendar", {"proposal": no})
    assert approved.status == 201, approved
    return approved.body["first_position"]


def _first(span: OffSpan) -> date:
    return span.first


def test_what_a_calendar_moved_is_listed_by_unit_to_whom_it_concerns_and_as_a_table(served: Served):
    mine, others = long_open(served, "D"), long_open(served, "E")
    supervisor = served.as_(Role.SUPERVISOR, city="other")
    position = another_day_off(served)
    asked = {"from": position, "min_position": position}
    told = supervisor.get("/changes", **asked, limit=1)
    moved = told.body["changes"]
    while "next" in told.body:
        told = supervisor.get("/changes", **asked, limit=1, cursor=told.body["next"])
        moved += told.body["changes"]
    assert {mine, others} <= {one["order_id"] for one in moved}
    assert [one["unit"] for one in moved] == sorted(one["unit"] for one in moved)
    assert all(one["old_due"] != one["new_due"] for one in moved)
    theirs = supervisor.get("/changes", **asked, unit="E").body["changes"]
    assert theirs == [one for one in moved if one["unit"] == "E"]
    own = served.as_(Role.ORG_APPROVER, "E", city="other").get("/changes", **asked).body["changes"]
    assert own == theirs
    assert served.as_(Role.ORG_APPROVER, "E", city="other").get("/changes", **asked, unit="D").status == 403
    heading, *rows = table(supervisor.get("/changes", **asked, format="csv"))
    assert len(rows) == len(moved)
    assert {"原到期时间", "现到期时间"} <= set(heading)
    assert supervisor.get("/changes", **{"from": position + 1, "to": position}).status == 400
    assert supervisor.get("/changes", **{"from": 10**12}).status == 400
    assert served.as_(Role.OVERSEER_NPC, city="other").get("/changes", **asked).status == 403
