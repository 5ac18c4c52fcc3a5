"""Oversight over HTTP: what a deputy may ask of closed quarters, who else may not, and that every question is on record."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from api.access import IMPORTING, TO_OVERSEERS
from api.operations import OPERATIONS
from domain.matters.publications import ReportKind, report_stream, telephony_stream
from domain.terms import SHANGHAI, Role
from scripts import wiring
from supervision import reports
from tests import planting
from tests.api.conftest import DEMAND, Served, name_of
from tests.test_cli import Deployment

WHY = {"purpose": "session"}
CITY = "other"


def _import(served: Served, role: Role, path: str, body: Any, at: str, unit: str = "HOTLINE") -> Any:
    caller = served.as_(role, unit, city=CITY, scope=IMPORTING)
    told = caller.post(path, body, Huiyin_Origin="import", Huiyin_Occurred_At=f"2025-{at}+08:00")
    assert told.status == 201, told
    return told.body


def _case(served: Served, unit: str, day: str, **more: Any) -> str:
    order = _import(served, Role.AGENT, "/orders", {**DEMAND, **more}, f"{day}T09:00:00")["id"]
    given = {"lead": unit, "kind": "ordinary", "basis": "territory"}
    _import(served, Role.DISPATCHER, f"/orders/{order}/dispatch", given, f"{day}T10:00:00")
    return order


def _answered(served: Served, day: str) -> None:
    order = _import(served, Role.AGENT, "/orders", DEMAND, f"{day}T09:00:00")["id"]
    said = {"answer": "河滨路三号的路灯昨晚修好了。", "medium": "phone", "acknowledged": True, "knowledge_ref": "K-1"}
    _import(served, Role.AGENT, f"/orders/{order}/answer_directly", said, f"{day}T09:10:00")


@pytest.fixture(scope="module")
def closed(served: Served) -> Served:
    """A city whose second quarter of 2025 was reported on: 9 orders to one unit, 7 to another, 2 to a third, 16 answered."""
    for n in range(9):
        _case(served, "D", f"04-{n + 10}")
    for n in range(7):
        _case(served, "E", f"05-{n + 10}", district="西区", place="山前街")
    for n in range(2):
        _case(served, "D-B", f"06-1{n}", district="西区")
    for n in range(16):
        _answered(served, f"04-{n + 11}")
    _publish(served)
    return served


def _publish(served: Served, kind: str = "briefing") -> None:
    first, last = "2025-04-01", "2025-06-30"
    manager = served.as_(Role.HOTLINE_MANAGER, city=CITY)
    made = manager.get(f"/reports/{kind}", **{"from": first, "to": last})
    assert made.status == 200, made
    body = {
        "report": kind,
        "title": "工作简报",
        "period_from": first,
        "period_until": last,
        "cut_off": int(made.headers["ledger-position"]),
        "template_version": reports.TEMPLATE,
        "content_hash": made.headers["content-hash"],
        "prepared_by": "li",
        "recipients": ["市政府"],
        "privacy_class": "government",
    }
    stream = report_stream(ReportKind(kind), date.fromisoformat(first), date.fromisoformat(last)).partition(":")[2]
    told = manager.post(f"/publications/{stream}/publish_report", body)
    assert told.status == 201, told


def _sheet(body: Any, measure: str) -> Any:
    return next(sheet for sheet in body["sheets"] if sheet["measure"] == measure)


def test_a_deputy_reads_a_closed_quarter_without_its_small_numbers(closed: Served):
    deputy = closed.as_(Role.OVERSEER_NPC, city=CITY)
    told = deputy.get("/oversight/figures", period="2025Q2", **WHY)
    assert told.status == 200, told
    sheet = _sheet(told.body, "dispatched")
    assert (sheet["count"], sheet["months"]) == (18, [])
    units = next(table for table in sheet["tables"] if table["by"] == "unit")
    assert [(line["part"], line["count"]) for line in units["lines"]] == [("D", 9)]
    assert units["rest"] == 9  # two of one unit, and the seven that keep them from being told
    assert told.body["names"]["D"]["name"] == "东区"
    assert told.body["office"]["unit"] == "HOTLINE"
    assert _sheet(told.body, "redone")["count"] is None


def test_the_table_for_spreadsheets_says_no_more_than_the_page(closed: Served):
    deputy = closed.as_(Role.OVERSEER_NPC, city=CITY)
    query = {"period": "2025Q2", "measure": "dispatched", "by": "unit", **WHY}
    page, table = deputy.get("/oversight/figures", **query), deputy.get("/oversight/figures", **query, format="csv")
    lines = table.body.decode().removeprefix("\ufeff").splitlines()[1:]
    numbers = sorted(int(line.split(",")[5]) for line in lines)
    sheet = _sheet(page.body, "dispatched")
    units = sheet["tables"][0]
    told = [sheet["count"], units["rest"], *(share["count"] for share in sheet["outcomes"])]
    told += [line["count"] for line in units["lines"]] + [n for line in units["lines"] for n in line["outcomes"]]
    assert numbers == sorted([*told, *sheet["months"]])


def test_a_closed_quarter_says_the_same_after_more_has_happened(closed: Served):
    member = closed.as_(Role.OVERSEER_CPPCC, city=CITY)
    query = {"period": "2025Q2", **WHY}
    before = member.get("/oversight/figures", **query).body
    _case(closed, "D", "04-20")
    _publish(closed, "assessment")  # a second report of the same days closes nothing
    assert member.get("/oversight/figures", **query).body == before
    assert _sheet(before, "registered")["count"] == 34


def test_what_is_not_closed_is_not_told_and_the_overview_says_who_is_to_close_it(closed: Served):
    deputy = closed.as_(Role.OVERSEER_NPC, city=CITY)
    refused = deputy.get("/oversight/figures", period="2025Q3", **WHY)
    assert (refused.status, refused.body["code"]) == (409, "period-not-closed")
    assert deputy.get("/oversight/figures", period="2025", **WHY).status == 409
    for unfit in ("2025Q5", "2025-04", "q", "２０２５"):
        assert deputy.get("/oversight/figures", period=unfit, **WHY).body["field"] == "period"
    told = deputy.get("/oversight", **WHY).body
    assert [period["period"] for period in told["periods"]] == ["2025Q2"]
    assert len(told["not_closed"]) == 4
    assert {"unit", "name"} <= told["office"].keys()


def test_overseers_say_what_for_and_each_question_is_on_record_before_the_answer(closed: Served):
    deputy = closed.as_(Role.OVERSEER_NPC, city=CITY)
    assert deputy.get("/oversight/figures", period="2025Q2").body["field"] == "purpose"
    assert deputy.get("/oversight/figures", period="2025Q2", purpose="curiosity").status == 400
    before = _looked_up(closed)
    told = deputy.get("/oversight/figures", period="2025Q2", by="unit", measure="due", purpose="research")
    deputy.get("/oversight", **WHY)
    lines = _looked_up(closed)[len(before) :]
    assert [line["query"] for line in lines] == ["figures", "overview"]
    first = lines[0]
    assert (first["body"], first["user"], first["unit"]) == ("npc", "overseer-npc-hotline", "HOTLINE")
    assert first["filters"] == {"purpose": "research", "period": "2025Q2", "by": "unit", "measure": "due"}
    assert first["cut_off"] == told.body["position"]


def test_an_overseer_reads_what_they_looked_up_themselves_and_nobody_elses(closed: Served):
    member = closed.as_(Role.OVERSEER_CPPCC, city=CITY)
    member.get("/oversight", **WHY)
    own = _looked_up(closed, Role.OVERSEER_CPPCC)
    assert {line["user"] for line in own} == {"overseer-cppcc-hotline"}
    assert {line["user"] for line in _looked_up(closed)} > {"overseer-cppcc-hotline"}
    assert closed.as_(Role.LEADER, city=CITY).get("/oversight/queries").status == 403


def _looked_up(served: Served, role: Role = Role.AUDITOR) -> list[Any]:
    """Return what overseers looked up, the first first."""
    return served.as_(role, city=CITY).every("/oversight/queries", "queries", limit=200, **WHY)


def test_who_answers_for_it_reads_what_overseers_read_and_nobody_else(closed: Served):
    for role in (Role.HOTLINE_MANAGER, Role.SUPERVISOR, Role.LEADER, Role.AUDITOR):
        assert closed.as_(role, city=CITY).get("/oversight/figures", period="2025Q2").status == 200, role
    for role, unit in ((Role.AGENT, "HOTLINE"), (Role.ORG_HANDLER, "D"), (Role.ADMIN, "HOTLINE")):
        assert closed.as_(role, unit, city=CITY).get("/oversight/figures", period="2025Q2", **WHY).status == 403, role


def test_a_deputy_of_one_city_knows_of_no_other(closed: Served):
    deputy = closed.as_(Role.OVERSEER_NPC, city="api")
    asked = f"/v1/{closed.names[CITY]}/oversight/figures?period=2025Q2&purpose=session"
    answer = closed.client.get(asked, headers={"Authorization": f"Bearer {deputy.token}"})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-city")


# --- orders one by one -------------------------------------------------------------------------------------------


def _listed(served: Served, role: Role = Role.OVERSEER_NPC, **query: str) -> Any:
    told = served.as_(role, city=CITY).get("/oversight/orders", period="2025Q2", **{**WHY, **query})
    assert told.status == 200, told
    return told.body


def test_some_orders_are_followed_one_by_one_and_never_so_many_that_the_others_are_known(closed: Served):
    told = _listed(closed, limit="200")
    assert 5 <= told["listed"] <= 16 - 5
    assert len(told["orders"]) == told["listed"]
    first = told["orders"][0]
    assert (first["unit"], first["demand_type"], first["district"], first["place"]) == ("", "help", "东区", "河滨路")
    assert "不能据此计数" in told["note"]
    pages = [_listed(closed, limit="3")]
    while "next" in pages[-1]:
        pages.append(_listed(closed, limit="3", cursor=pages[-1]["next"]))
    assert [row for page in pages for row in page["orders"]] == told["orders"]
    assert _listed(closed, measure="closed", ending="once")["listed"] in (0, told["listed"])
    assert _listed(closed, measure="due")["listed"] == 0
    assert _listed(closed, area="西区")["orders"] == []
    deputy = closed.as_(Role.OVERSEER_NPC, city=CITY)
    for unfit in ({"measure": "rated"}, {"ending": "late"}, {"measure": "due", "ending": "x"}, {"period": "2025"}):
        assert deputy.get("/oversight/orders", **{"period": "2025Q2", **WHY, **unfit}).status in (400, 409), unfit


def test_a_timeline_tells_steps_units_and_days_and_nobody(closed: Served):
    deputy = closed.as_(Role.OVERSEER_NPC, city=CITY)
    handle = _listed(closed)["orders"][0]["handle"]
    told = deputy.get(f"/oversight/orders/{handle}", **WHY)
    assert told.status == 200, told
    steps = told.body["timeline"]["steps"]
    assert [(step["day"], step["step"]) for step in steps] == [
        (1, "order_registered"),
        (1, "direct_answered"),
        (1, "order_closed"),
    ]
    assert told.body["timeline"]["title"] == DEMAND["title"]
    said = json.dumps(told.body, ensure_ascii=False)
    for word in ("张三丰", "13800001111", "agent-", "2025-04", "order:", "HY2025", "河滨路三号", "很危险"):
        assert word not in said, word
    for nothing in ("2025Q2-999", "2025Q2-0", "2025Q1-1", "x", "2025Q2-"):
        assert deputy.get(f"/oversight/orders/{nothing}", **WHY).status == 404, nothing


def test_who_followed_an_order_stands_in_the_access_journal(closed: Served):
    deputy = closed.as_(Role.OVERSEER_NPC, city=CITY)
    handle = _listed(closed)["orders"][0]["handle"]
    deputy.get(f"/oversight/orders/{handle}", purpose="follow_up")
    today = f"{wiring.process_now().astimezone(SHANGHAI):%Y-%m-%d}"
    entries = closed.as_(Role.AUDITOR, city=CITY).get(f"/access/{today}", limit=200).body["entries"]
    mine = [one for one in entries if one["actor"]["role"] == "overseer_npc"]
    assert mine[-1]["event"]["purpose"] == "oversight.follow_up"
    assert mine[-1]["event"]["fields"] == ["timeline"]
    assert mine[-1]["event"]["stream"].startswith("order:")


def test_a_text_is_asked_for_released_by_another_than_its_author_and_read_on_record(closed: Served):
    deputy = closed.as_(Role.OVERSEER_NPC, city=CITY)
    handle = _listed(closed)["orders"][0]["handle"]
    path = f"/oversight/orders/{handle}"
    assert deputy.post(f"{path}/text", {"purpose": "research"}).body["code"] == "summary-not-released"
    asked = deputy.post(f"{path}/ask", {"words": "请公开该件的办理摘要。"})
    assert asked.status == 201, asked
    manager = closed.as_(Role.HOTLINE_MANAGER, city=CITY)
    filed = manager.get(f"/inquiries/{asked.body['inquiry']}/history").body["entries"][0]["event"]
    assert (filed["matter_kind"], filed["reference"]) == ("letter", handle)
    order = filed["orders"][0]
    mine = f"/inquiries/{asked.body['inquiry']}"
    opened = deputy.post(f"/oversight/matters/{asked.body['inquiry']}/open", {"purpose": "research"})
    for told in (deputy.get(mine), deputy.get(f"{mine}/history"), opened):
        assert told.status in (200, 201), told
        assert order not in json.dumps(told.body)  # an id tells when its case was registered
    body = {"summary": "一处路灯损坏，当日修复。", "version": 2}
    told = manager.post(f"/orders/{order}/release_text_for_oversight", body, Huiyin_Reason="oversight")
    assert told.status == 201, told
    read = deputy.post(f"{path}/text", {"purpose": "research"})
    assert [one["text"] for one in read.body["texts"]] == ["一处路灯损坏，当日修复。"]
    assert deputy.get(path, **WHY).body["text_released"] is True
    assert closed.as_(Role.SUPERVISOR, city=CITY).post(f"{path}/text", {"purpose": "research"}).status == 403
    assert closed.as_(Role.SUPERVISOR, city=CITY).post(f"{path}/ask", {"words": "x"}).status == 403


def test_a_masked_dossier_is_asked_for_by_handle_and_decided_by_the_hotline(closed: Served):
    deputy, manager = closed.as_(Role.OVERSEER_NPC, city=CITY), closed.as_(Role.HOTLINE_MANAGER, city=CITY)
    handle = _listed(closed)["orders"][0]["handle"]
    asked = deputy.post(f"/oversight/orders/{handle}/ask", {"words": "请调阅脱敏卷宗。", "dossier": True})
    assert asked.status == 201, asked
    path = f"/inquiries/{asked.body['inquiry']}"
    (wanted,) = manager.get(path).body["record"]["dossiers"]
    assert len(wanted["order"]) == 36
    refused = manager.post(f"{path}/refuse_masked_dossier", {"request": 1, "words": "请先看办理过程。"})
    assert refused.status == 201, refused
    (told,) = deputy.get(path).body["record"]["dossiers"]
    assert "order" not in told
    assert told["decided"]


def test_a_released_masked_dossier_is_fetched_by_who_asked_and_nobody_else_and_shows_nothing_sealed(
    closed: Served, tmp_path: Path
):
    deputy, manager = closed.as_(Role.OVERSEER_NPC, city=CITY), closed.as_(Role.HOTLINE_MANAGER, city=CITY)
    handle = _listed(closed)["orders"][0]["handle"]
    asked = deputy.post(f"/oversight/orders/{handle}/ask", {"words": "请调阅脱敏卷宗。", "dossier": True}).body[
        "inquiry"
    ]
    path, why = f"/oversight/matters/{asked}/dossier", {"purpose": "inspection"}
    assert deputy.post(path, why).body["code"] == "dossier-not-released"
    (wanted,) = manager.get(f"/inquiries/{asked}").body["record"]["dossiers"]
    file = tmp_path / "masked.pdf"
    desk = Deployment(closed.home, closed.database.superuser)
    where = ("--city", closed.names[CITY])
    keeper = ("--as", f"{name_of(Role.ARCHIVIST, 'HOTLINE')}/archivist@HOTLINE")
    made = desk.ok("dossier", wanted["order"], "--to", str(file), *keeper, *where, "--json").data
    released = {"request": 1, "digest": made["digest"], "receiver": "npc-office"}
    assert manager.post(f"/inquiries/{asked}/release_masked_dossier", released, Huiyin_Reason="oversight").status == 201
    told = deputy.post(path, why)
    assert (told.status, told.headers["content-type"]) == (200, "application/pdf"), told
    assert told.body == file.read_bytes()
    held = planting.inside(told.body)
    assert any(b"order.order_registered" in one for one in held)
    for word in ("张三丰", "13800001111", "河滨路三号", "昨晚修好了"):
        assert not any(word.encode() in one for one in held), word
    other = closed.as_(Role.OVERSEER_CPPCC, city=CITY)
    assert other.post(path, why).body["code"] == "unknown-stream"
    assert closed.as_(Role.SUPERVISOR, city=CITY).post(path, why).status == 403
    assert deputy.post(path, {**why, "volume": 2}).body["code"] == "unknown-entry"
    assert deputy.post(path, {**why, "request": 2}).body["code"] == "unknown-stream"
    entries = closed.as_(Role.AUDITOR, city=CITY).get(f"/orders/{wanted['order']}/access", limit=200).body["entries"]
    (seen,) = [one for one in entries if one["event"]["fields"] == ["dossier"]]
    assert (seen["event"]["purpose"], seen["actor"]["role"]) == ("oversight.inspection", "overseer_npc")


def test_a_dossier_that_was_released_and_never_recorded_is_not_handed_out(closed: Served):
    deputy, manager = closed.as_(Role.OVERSEER_NPC, city=CITY), closed.as_(Role.HOTLINE_MANAGER, city=CITY)
    handle = _listed(closed)["orders"][1]["handle"]
    asked = deputy.post(f"/oversight/orders/{handle}/ask", {"words": "请调阅脱敏卷宗。", "dossier": True}).body[
        "inquiry"
    ]
    released = {"request": 1, "digest": f"sha256:{'0' * 64}", "receiver": "npc-office"}
    assert manager.post(f"/inquiries/{asked}/release_masked_dossier", released, Huiyin_Reason="oversight").status == 201
    told = deputy.post(f"/oversight/matters/{asked}/dossier", {"purpose": "inspection"})
    assert told.body["code"] == "dossier-not-at-hand"


def test_whatever_else_tells_of_cases_and_numbers_is_closed_to_overseers(closed: Served):
    order = _case(closed, "D", "07-03")
    year = {"from": "2025-01-01", "to": "2025-12-31"}
    for role in (Role.OVERSEER_NPC, Role.OVERSEER_CPPCC):
        caller = closed.as_(role, city=CITY)
        for path in ("", "/history", "/clocks", "/duties", "/findings", "/evidence"):
            assert caller.get(f"/orders/{order}{path}").status == 403, path
        for path in ("/orders", "/notices", "/clocks", "/units", "/findings", "/search?q=路灯"):
            assert caller.get(path).status == 403, path
        assert caller.get("/indicators", **year).status == 403
        assert caller.get("/indicators/I3/orders", **year).status == 403
        assert {caller.get(path).status for path in ("", "/policies", "/reports", "/indicators/definitions")} == {200}


def test_every_operation_is_for_overseers_or_is_not():
    names = {operation.name for operation in OPERATIONS if operation.command is None}
    assert names & TO_OVERSEERS >= TO_OVERSEERS - {"command", "register"}
    ours = {operation.name for operation in OPERATIONS if operation.path.startswith("/oversight")}
    assert ours <= TO_OVERSEERS


# --- what they asked, and were sent ------------------------------------------------------------------------------


def _filed(served: Served, role: Role, body: str, kind: str = "deputy_suggestion") -> Any:
    said = {"matter_kind": kind, "body": body, "title": "关于加强照明维护的建议", "text": "城南的路灯常坏，请统筹。"}
    told = served.as_(role, city=CITY).post("/inquiries/new/file_inquiry", said)
    assert told.status == 201, told
    return told.body


def test_what_was_asked_is_listed_with_its_clock_and_what_became_of_it(closed: Served):
    asked = _filed(closed, Role.OVERSEER_NPC, "npc")
    other = _filed(closed, Role.OVERSEER_CPPCC, "cppcc", "proposal")
    deputy, manager = closed.as_(Role.OVERSEER_NPC, city=CITY), closed.as_(Role.HOTLINE_MANAGER, city=CITY)
    mine = {row["id"]: row for row in deputy.get("/oversight/matters", limit=200, **WHY).body["matters"]}
    assert other["id"] not in mine
    assert (mine[asked["id"]]["kind"], mine[asked["id"]]["mine"]) == ("deputy_suggestion", True)
    assert (mine[asked["id"]]["answered_at"], mine[asked["id"]]["late"]) == (None, False)
    both = {row["id"] for row in manager.get("/oversight/matters", limit=200).body["matters"]}
    assert {asked["id"], other["id"]} <= both
    letter = {"answer": "已列入计划。", "letter": f"sha256:{'0' * 64}", "signed_by": "OFFICE"}
    assert manager.post(f"/inquiries/{asked['id']}/answer_inquiry", letter).status == 201
    rows = deputy.get("/oversight/matters", kind="deputy_suggestion", limit=200, **WHY).body["matters"]
    assert next(row for row in rows if row["id"] == asked["id"])["answered_at"]
    still = deputy.get("/oversight/matters", open="true", limit=200, **WHY).body["matters"]
    assert asked["id"] not in {row["id"] for row in still}
    pages, query = [], {"limit": 1, **WHY}
    while True:
        page = deputy.get("/oversight/matters", **query).body
        pages += page["matters"]
        if "next" not in page:
            break
        query["cursor"] = page["next"]
    assert [row["id"] for row in pages] == [
        row["id"] for row in deputy.get("/oversight/matters", limit=200, **WHY).body["matters"]
    ]


def test_what_somebody_asked_and_the_answer_are_open_to_them_alone_on_record(closed: Served):
    asked = _filed(closed, Role.OVERSEER_NPC, "npc")
    manager = closed.as_(Role.HOTLINE_MANAGER, city=CITY)
    letter = {"answer": "已列入计划。", "letter": f"sha256:{'0' * 64}", "signed_by": "OFFICE"}
    path, why = f"/oversight/matters/{asked['id']}/open", {"purpose": "follow_up"}
    deputy = closed.as_(Role.OVERSEER_NPC, city=CITY)
    assert deputy.post(path, why).body["answer"] is None
    assert manager.post(f"/inquiries/{asked['id']}/answer_inquiry", letter).status == 201
    told = deputy.post(path, why)
    assert (told.body["text"], told.body["answer"]) == ("城南的路灯常坏，请统筹。", "已列入计划。")
    assert closed.as_(Role.OVERSEER_CPPCC, city=CITY).post(path, why).status == 404
    assert manager.post(path, why).status == 403
    assert deputy.post("/oversight/matters/nothing/open", why).status == 404
    today = f"{wiring.process_now().astimezone(SHANGHAI):%Y-%m-%d}"
    entries = closed.as_(Role.AUDITOR, city=CITY).get(f"/access/{today}", limit=200).body["entries"]
    looked = [one["event"] for one in entries if one["event"]["stream"] == f"inquiry:{asked['id']}"]
    assert [(one["purpose"], len(one["fields"])) for one in looked] == [
        ("oversight.follow_up", 1),
        ("oversight.follow_up", 2),
    ]


def test_what_was_sent_is_listed_for_whom_it_was_sent_to(closed: Served):
    body = {
        "body": "npc",
        "period_from": "2025-04-01",
        "period_until": "2025-06-30",
        "content_hash": f"sha256:{'1' * 64}",
        "cut_off": 5,
        "template_version": reports.TEMPLATE,
        "recipients": ["人大监察和司法委"],
        "medium": "written",
    }
    manager = closed.as_(Role.HOTLINE_MANAGER, city=CITY)
    assert manager.post("/inquiries/new/send_submission", body).status == 201
    told = closed.as_(Role.OVERSEER_NPC, city=CITY).get("/oversight/submissions", **WHY).body["submissions"]
    assert told[-1]["content_hash"] == body["content_hash"]
    assert told[-1]["read"].endswith("/reports/submission?from=2025-04-01&to=2025-06-30")
    assert closed.as_(Role.OVERSEER_CPPCC, city=CITY).get("/oversight/submissions", **WHY).body["submissions"] == []
    assert manager.get("/oversight/submissions").body["submissions"] == told


def test_topics_are_those_told_of_the_quarter_and_the_one_before(closed: Served):
    told = closed.as_(Role.OVERSEER_NPC, city=CITY).get("/oversight/topics", period="2025Q2", **WHY)
    assert told.status == 200, told
    (topic,) = told.body["topics"]
    assert (topic["category"], topic["registered"], topic["before"]) == ("市政/路灯", 34, None)
    assert told.body["office"]["unit"] == "HOTLINE"


def test_counts_of_what_was_pushed_or_imported_are_no_reading_for_overseers(closed: Served):
    stream = telephony_stream("pbx", date(2025, 7, 1)).partition(":")[2]
    body = {
        "source": "pbx",
        "day": "2025-07-01",
        "from_at": "2025-07-01T09:00:00+08:00",
        "until": "2025-07-01T10:00:00+08:00",
        **dict.fromkeys(("queued", "answered", "answered_in_15s"), 2),
        "abandoned": 0,
    }
    manager = closed.as_(Role.HOTLINE_MANAGER, city=CITY)
    told = manager.post(f"/publications/{stream}/import_telephony_stats", body)
    assert told.status == 201, told
    assert manager.get(f"/publications/{stream}").status == 200
    for path in ("", "/history"):
        assert closed.as_(Role.OVERSEER_NPC, city=CITY).get(f"/publications/{stream}{path}").status == 404


def test_a_submission_as_of_another_position_than_the_quarter_was_closed_at_prints_no_other_numbers(closed: Served):
    manager = closed.as_(Role.HOTLINE_MANAGER, city=CITY)
    closing = manager.get("/oversight").body["periods"][0]["cut_off"]
    query = {"from": "2025-04-01", "to": "2025-06-30", "format": "csv"}
    other = manager.get("/reports/submission", **query, cut_off=closing - 1).body.decode()
    assert ",派单," not in other
    same = manager.get("/reports/submission", **query, cut_off=closing).body.decode()
    assert ",各单位办理情况,派单," in same


def test_a_submission_prints_the_numbers_that_overseers_are_told_and_no_others(closed: Served):
    manager = closed.as_(Role.HOTLINE_MANAGER, city=CITY)
    query = {"from": "2025-04-01", "to": "2025-06-30", "format": "csv"}
    printed = manager.get("/reports/submission", **query).body.decode()
    sheet = _sheet(manager.get("/oversight/figures", period="2025Q2").body, "dispatched")
    units = next(table for table in sheet["tables"] if table["by"] == "unit")
    lines = [line.split(",")[4:] for line in printed.splitlines() if ",各单位办理情况,派单," in line]
    told = {line[2]: line[4] for line in lines if line[3] == "件数"}
    assert told == {"东区": f"{units['lines'][0]['count']}", "其余合并": f"{units['rest']}"}
    outside = manager.get("/reports/submission", **{**query, "to": "2025-05-31"}).body.decode()
    assert ",派单," not in outside
