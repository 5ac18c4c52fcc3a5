"""What was destroyed is shown as destroyed, by whoever asks; what happened is still proved, and nothing is found missing."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from domain import evidence
from domain.terms import Role
from tests.api.conftest import DEMAND, Served, erased, registered
from tests.api.test_proving import policy
from tests.api.test_seeing import opened
from tests.test_cli import Deployment

GONE = {"sealed": True, "erased": True}


@pytest.fixture(scope="module")
def destroyed(served: Served) -> dict[str, Any]:
    """An order whose category was corrected and whose keys were destroyed; with its evidence of before."""
    order = registered(served).body["id"]
    agent = served.as_(Role.AGENT)
    texts = {"old_text": DEMAND["content"], "new_text": "河滨路东段路灯不亮。"}
    said = {"version": 1, "field": "content", "basis": "听录音", **texts}
    assert agent.post(f"/orders/{order}/propose_correction", said, Huiyin_Reason="typing_error").status == 201
    supervisor = served.as_(Role.SUPERVISOR)
    fix = supervisor.post(f"/orders/{order}/approve_correction", {"correction": 1}, Huiyin_Reason="typing_error")
    assert fix.status == 201, fix
    supervisor.post("/log/heads")
    before = supervisor.get(f"/orders/{order}/evidence").body
    kept = supervisor.get(f"/orders/{order}").body["order"]
    assert kept["demand"]["content"] == {"sealed": True}
    assert erased(served, order).status == 201
    return {"order": order, "before": before}


def test_a_case_its_history_and_its_corrections_say_what_was_destroyed(served: Served, destroyed: dict[str, Any]):
    supervisor, path = served.as_(Role.SUPERVISOR), f"/orders/{destroyed['order']}"
    order = supervisor.get(path).body["order"]
    assert order["demand"]["content"] == GONE
    assert order["demand"]["applicant"]["phone"] == GONE
    first = supervisor.get(f"{path}/history").body["entries"][0]
    assert (first["event"]["content"], first["event"]["title"]) == (GONE, DEMAND["title"])
    (correction,) = supervisor.get(f"{path}/corrections").body["corrections"]
    assert (correction["old"], correction["new"]) == (GONE, GONE)
    text = opened(served.as_(Role.AGENT), destroyed["order"], "content")
    assert (text.status, text.body["fields"]["content"]) == (200, {"erased": True})


def test_another_case_of_the_same_office_is_shown_as_it_was(served: Served, destroyed: dict[str, Any]):
    other = registered(served).body["id"]
    assert served.as_(Role.SUPERVISOR).get(f"/orders/{other}").body["order"]["demand"]["content"] == {"sealed": True}


def test_proofs_made_before_and_after_hold_and_copies_show_nothing(served: Served, destroyed: dict[str, Any]):
    supervisor, believed = served.as_(Role.AUDITOR), policy(served)
    supervisor.post("/log/heads")
    after = supervisor.get(f"/orders/{destroyed['order']}/evidence").body
    for said in (destroyed["before"], after):
        held = evidence.check(evidence.read(msgspec.json.encode(said)), believed)
        assert held.stream == f"order:{destroyed['order']}"
    assert len(after["events"]) > len(destroyed["before"]["events"])
    copy = supervisor.raw(
        "POST",
        "/audit/copies",
        json.dumps({"records": [destroyed["order"]], "purpose": "audit"}).encode(),
        Content_Type="application/json",
    )
    (held,) = evidence.check_bundle(copy.content, believed).records
    assert held.open == held.events
    for word in (DEMAND["content"], DEMAND["applicant"]["phone"]):
        assert word.encode() not in copy.content


def test_the_check_of_the_whole_ledger_takes_no_destroyed_key_for_a_deleted_one(
    served: Served, destroyed: dict[str, Any]
):
    office = Deployment(served.home, served.database.superuser)
    assert office.ok("verify", "--city", served.names["api"], "--json").data["findings"] == []
