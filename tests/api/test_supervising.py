"""What is proposed to people, over HTTP: with what was counted and who may act, for the supervising roles alone."""

from __future__ import annotations

from domain.terms import Role
from tests.api.conftest import Served, registered
from tests.api.test_telling import long_open


def test_many_callers_about_one_matter_are_proposed_with_who_may_act(served: Served):
    master, *callers = (registered(served).body["id"] for _ in range(5))
    position = "0"
    for one in callers:
        merged = served.as_(Role.DISPATCHER).post(f"/orders/{one}/merge", {"master": master, "reason": "同一事项"})
        assert merged.status == 201, merged.body
        position = merged.headers["Ledger-Position"]
    told = served.as_(Role.SUPERVISOR).get("/proposals", min_position=position)
    assert told.status == 200
    (one,) = [one for one in told.body["proposals"] if one["order_id"] == master]
    assert (one["ground"], one["count"], one["threshold"]) == ("hot_issue", 5, 5)
    assert (one["kinds"], one["by"]) == (["meeting", "onsite"], ["coordinator", "hotline_manager"])
    assert one["article"]


def test_a_unit_learns_what_is_held_against_it_from_the_notice_and_not_before(served: Served):
    for path in ("/proposals", "/next-steps"):
        assert served.as_(Role.ORG_APPROVER, "D").get(path).status == 403
        assert served.as_(Role.HOTLINE_MANAGER).get(path).status == 200


def test_what_waits_for_a_person_comes_in_pages(served: Served):
    told = served.as_(Role.SUPERVISOR).get("/next-steps", limit=1)
    assert told.status == 200
    assert all(step["by"] for step in told.body["steps"])


def test_an_ignored_notice_stands_with_the_duties_of_who_takes_the_next_step(served: Served):
    order = long_open(served, "D")
    machine = served.as_(Role.SYSTEM, city="other", scope="import")
    notice = {"kind": "system", "ground": "overdue", "unit": "D", "clock": "handle"}
    when = {"Huiyin_Origin": "import", "Huiyin_Occurred_At": "2025-10-31T09:00:00+08:00"}
    issued = machine.post(f"/orders/{order}/issue_notice", notice, **when)
    assert issued.status == 201, issued
    asked = {"min_position": issued.headers["Ledger-Position"]}
    supervisor = served.as_(Role.SUPERVISOR, city="other")
    (step,) = [one for one in supervisor.get("/duties", **asked).body["steps"] if one["order_id"] == order]
    assert (step["command"], step["kind"], step["by"]) == ("escalate_notice", "written", ["supervisor"])
    assert step["article"]
    assert supervisor.get("/duties", mine="true", **asked).body["steps"]
    manager = served.as_(Role.HOTLINE_MANAGER, city="other")
    assert not [one for one in manager.get("/duties", mine="true").body["steps"] if one["order_id"] == order]
    assert "steps" not in supervisor.get("/duties", unit="D").body
    assert "steps" not in served.as_(Role.AGENT, city="other").get("/duties").body
