"""What is wrong with cases, over HTTP: a stretch at a time, of one case, as CSV, and what its unit states about it."""

from __future__ import annotations

import csv
import io
from typing import Any

import msgspec
import pytest

from domain.terms import Role
from tests.api.conftest import DEMAND, Caller, Served

LONG_AGO = {"Huiyin_Origin": "import"}


@pytest.fixture(scope="module")
def late(served: Served) -> dict[str, Any]:
    """An order that another system had dispatched to D in March 2025, and nothing since."""
    agent = served.as_(Role.AGENT, scope="import")
    body = agent.post("/orders", DEMAND, Huiyin_Occurred_At="2025-03-03T10:00:00+08:00", **LONG_AGO).body
    dispatcher = served.as_(Role.DISPATCHER, scope="import")
    given = {"kind": "ordinary", "lead": "D", "basis": "duty"}
    reply = dispatcher.post(
        f"/orders/{body['id']}/dispatch", given, Huiyin_Occurred_At="2025-03-03T11:00:00+08:00", **LONG_AGO
    )
    assert reply.status == 201, reply
    return body


def all_of(caller: Caller, **query: Any) -> list[dict[str, Any]]:
    return caller.every("/findings", "findings", **query)


def about(found: list[dict[str, Any]], order: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in found if one["order"] == order["id"]}


def test_a_supervisor_is_shown_what_is_late_with_rule_clock_and_evidence(served: Served, late: dict[str, Any]):
    found = about(all_of(served.as_(Role.SUPERVISOR), cases=1000), late)["late-handle:e1"]
    assert (found["unit"], found["clock"], found["severity"]) == ("D", "handle", "serious")
    assert found["due"] == found["at"]
    assert found["rule"]["article"]
    assert [e["version"] for e in found["evidence"]] == [2]
    assert "running" in found["marks"]
    one = served.as_(Role.SUPERVISOR).get(f"/orders/{late['id']}/findings").body
    assert {f["id"] for f in one["findings"]} >= {"late-handle:e1"}


def test_pages_of_few_cases_come_to_the_same_as_one_of_many(served: Served, late: dict[str, Any]):
    caller = served.as_(Role.SUPERVISOR)
    asked = {"kind": "late-handle", "to": "2025-12-31T00:00:00+08:00"}
    few, many = all_of(caller, cases=7, **asked), all_of(caller, cases=1000, **asked)
    assert late["id"] in {f["order"] for f in many}
    assert sorted((f["order"], f["id"]) for f in few) == sorted((f["order"], f["id"]) for f in many)
    assert len(many) == len({(f["order"], f["id"]) for f in many})


def test_filters_leave_what_they_name(served: Served, late: dict[str, Any]):
    caller = served.as_(Role.SUPERVISOR)
    assert all(f["severity"] == "serious" for f in all_of(caller, cases=1000, severity="serious"))
    assert about(all_of(caller, cases=1000, family="rule"), late) == {}
    assert about(all_of(caller, cases=1000, unit="E"), late) == {}
    assert "late-handle:e1" in about(all_of(caller, cases=1000, unit="D"), late)
    for wrong in (
        {"kind": "late"},
        {"cases": 0},
        {"cursor": "W10"},
        {"unit": "NOBODY"},
        {"from": "2026-01-02", "to": "2026-01-01"},
    ):
        assert caller.get("/findings", **wrong).status in (404, 422, 400), wrong


def test_a_units_people_see_what_is_said_of_their_unit_and_those_below_alone(served: Served, late: dict[str, Any]):
    own = all_of(served.as_(Role.ORG_APPROVER, "D"), cases=1000)
    assert "late-handle:e1" in about(own, late)
    assert {f["unit"] for f in own} <= {"D", "D-B"}
    assert all_of(served.as_(Role.ORG_APPROVER, "E"), cases=1000) == []
    assert served.as_(Role.ORG_APPROVER, "E").get("/findings", unit="D").status == 403
    assert served.as_(Role.ORG_APPROVER, "E").get(f"/orders/{late['id']}/findings").status == 404
    assert served.as_(Role.AGENT).get("/findings").status == 403


def test_a_spreadsheet_opens_it(served: Served, late: dict[str, Any]):
    answer = served.as_(Role.SUPERVISOR).fetched("/findings?format=csv&cases=1000&kind=late-handle")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert any(row["工单标识"] == late["id"] and row["责任单位"] == "D" for row in rows)


def test_a_table_is_had_by_what_is_accepted_and_cites_rule_clock_positions_unit_and_how_late(
    served: Served, late: dict[str, Any]
):
    path = "/findings?cases=1000&kind=late-handle"
    by_query = served.as_(Role.SUPERVISOR).fetched(f"{path}&format=csv")
    by_header = served.as_(Role.SUPERVISOR).fetched(path, Accept="text/csv")
    assert by_header.headers["content-type"].startswith("text/csv")
    assert by_header.content.startswith(b"\xef\xbb\xbf")
    rows = [csv.DictReader(io.StringIO(one.content.decode("utf-8-sig"))) for one in (by_query, by_header)]
    asked, accepted = ([row for row in some if row["工单标识"] == late["id"]] for some in rows)
    assert [row["问题编号"] for row in asked] == [row["问题编号"] for row in accepted] == ["late-handle:e1"]
    assert all(accepted[0][name] for name in ("依据", "时限", "证据(版本@位置)", "责任单位", "超期秒数"))
    stays = served.as_(Role.SUPERVISOR).fetched(f"{path}&format=json", Accept="text/csv")
    assert stays.headers["content-type"].startswith("application/json")
    year = "from=2026-01-01&to=2026-12-31"
    for table in (f"/indicators?{year}", "/clocks", "/appeals", "/notices", "/matters"):
        answer = served.as_(Role.SUPERVISOR).fetched(table, Accept="text/csv")
        assert answer.headers["content-type"].startswith("text/csv"), table
        assert answer.content.startswith(b"\xef\xbb\xbf"), table


def test_the_unit_states_what_it_has_to_say_about_what_was_found_and_it_stands_beside_it(
    served: Served, late: dict[str, Any]
):
    path = f"/orders/{late['id']}/state_finding"
    said = {"finding": "late-handle:e1", "words": "等待设备到货。"}
    unit = served.as_(Role.ORG_APPROVER, "D")
    refused = unit.post(path, {**said, "finding": "late-handle:e9"})
    assert refused.body["code"] == "unknown-finding"
    line = {"id": "s1", "record": late["id"], "command": {"type": "state_finding", **said, "finding": "late-handle:e9"}}
    batch = unit.raw("POST", "/batch", msgspec.json.encode(line), Content_Type="application/x-ndjson")
    assert msgspec.json.decode(batch.content)["problem"]["code"] == "unknown-finding"
    assert served.as_(Role.ORG_APPROVER, "E").post(path, said).status == 404
    assert served.as_(Role.SUPERVISOR).post(path, said).status == 403
    assert unit.post(path, said).status == 201
    assert unit.post(path, said).body["code"] == "already-stated"
    found = served.as_(Role.SUPERVISOR).get(f"/orders/{late['id']}/findings").body["findings"]
    (statement,) = next(f for f in found if f["id"] == "late-handle:e1")["statements"]
    assert (statement["unit"], statement["version"]) == ("D", 3)
    assert "等待设备" not in str(found)
