"""Oversight over HTTP: what a deputy may ask of closed quarters, who else may not, and that every question is on record."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from api.access import IMPORTING
from domain.matters.publications import ReportKind, report_stream
from domain.terms import Role
from supervision import reports
from tests.api.conftest import DEMAND, Served

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


@pytest.fixture(scope="module")
def closed(served: Served) -> Served:
    """A city whose second quarter of 2025 was reported on: 9 orders to one unit, 7 to another, 2 to a third."""
    for n in range(9):
        _case(served, "D", f"04-{n + 10}")
    for n in range(7):
        _case(served, "E", f"05-{n + 10}", district="西区", place="山前街")
    for n in range(2):
        _case(served, "D-B", f"06-1{n}", district="西区")
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
    assert _sheet(before, "registered")["count"] == 18


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
    found: list[Any] = []
    query: dict[str, Any] = {"limit": 200, **WHY}
    while True:
        page = served.as_(role, city=CITY).get("/oversight/queries", **query).body
        found += page["queries"]
        if "next" not in page:
            return found
        query["cursor"] = page["next"]


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
