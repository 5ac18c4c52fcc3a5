"""Papers over HTTP: who sees which, sealed or whole, and as what."""

from __future__ import annotations

from typing import Any

import pytest

from domain.terms import Role
from supervision.instruments import MASK
from tests.api.conftest import Served, dispatched, registered
from tests.api.test_asking import openapi

PRINTING = {"purpose": "printing"}
CONTENT = "河滨路的路灯三天不亮"


def slip(served: Served, **more: Any) -> str:
    return f"/orders/{dispatched(served, 'D', **more)}/instruments"


def test_a_dispatch_slip_is_listed_shown_sealed_and_opened_whole_for_its_unit(served: Served):
    path = slip(served)
    unit = served.as_(Role.ORG_APPROVER, "D")
    listed = unit.get(path)
    assert [(row["version"], row["kind"]) for row in listed.body["instruments"]] == [(2, "dispatch_slip")]
    sealed = unit.get(f"{path}/2")
    assert sealed.headers["content-type"] == "text/html; charset=utf-8"
    assert sealed.headers["content-security-policy"].startswith("default-src 'none'")
    html = sealed.body.decode()
    assert MASK in html
    assert CONTENT not in html
    whole = unit.post(f"{path}/2/open", PRINTING).body.decode()
    assert CONTENT in whole
    assert "张三丰" not in whole
    assert "13800001111" not in whole
    day = served.as_(Role.AUDITOR).get(f"/access/{_today(served)}").body["entries"]
    assert any(one["event"]["purpose"] == "printing" and path.split("/")[2] in one["event"]["stream"] for one in day)


def _today(served: Served) -> str:
    order = registered(served).body
    return order["recorded_at"][:10] if "recorded_at" in order else order["events"][0]["at"][:10]


def test_the_same_paper_has_the_same_bytes_as_html_and_as_pdf(served: Served):
    path = slip(served)
    supervisor = served.as_(Role.SUPERVISOR)
    first = supervisor.get(f"{path}/2", format="pdf")
    assert first.headers["content-type"] == "application/pdf"
    assert first.body.startswith(b"%PDF-1.7")
    served.as_(Role.ORG_HANDLER, "D").post(f"{path.removesuffix('/instruments')}/sign")
    assert supervisor.get(f"{path}/2", format="pdf").body == first.body
    accepted = supervisor.raw("GET", f"{path}/2", Accept="application/pdf")
    assert accepted.content == first.body
    assert supervisor.get(f"{path}/2").body == supervisor.get(f"{path}/2", format="html").body


@pytest.mark.parametrize(
    ("role", "unit", "status"),
    [
        (Role.ORG_HANDLER, "E", 404),  # another unit knows of no such order
        (
            Role.OVERSEER_NPC,
            "HOTLINE",
            403,
        ),  # told of notices by list and outcome: papers are no question of theirs at all
        (Role.ADMIN, "HOTLINE", 403),
        (Role.SUPERVISOR, "HOTLINE", 200),
        (Role.AUDITOR, "HOTLINE", 200),
        (Role.ORG_HANDLER, "D", 200),
    ],
)
def test_a_paper_is_seen_by_those_who_may(served: Served, role: Role, unit: str, status: int):
    assert served.as_(role, unit).get(f"{slip(served)}/2").status == status


def test_an_informants_slip_is_not_opened_for_the_unit_that_handles_it(served: Served):
    attributes = {"demand_type": "report"}
    path = slip(served, confidentiality="informant", attributes=attributes)
    unit = served.as_(Role.ORG_APPROVER, "D")
    assert unit.get(f"{path}/2").status == 200
    assert unit.post(f"{path}/2/open", PRINTING).status == 403
    assert CONTENT in served.as_(Role.SUPERVISOR).post(f"{path}/2/open", PRINTING).body.decode()


def test_an_applicant_has_the_letters_that_are_addressed_to_them_and_no_others(served: Served):
    order = registered(served).body["id"]
    citizen = served.as_(Role.CITIZEN, orders=(order,))
    body = {"lead": "D", "kind": "ordinary", "basis": "territory"}
    assert served.as_(Role.DISPATCHER).post(f"/orders/{order}/dispatch", body).status == 201
    assert citizen.get(f"/orders/{order}/instruments").body["instruments"] == []
    assert citizen.get(f"/orders/{order}/instruments/2").status == 404


def test_what_has_no_paper_and_what_is_no_version_are_not_found(served: Served):
    path = slip(served)
    for version in ("1", "99", "0", "x", "2.0", "٢"):
        reply = served.as_(Role.SUPERVISOR).get(f"{path}/{version}")
        assert (reply.status, reply.body["code"]) == (404, "unknown-entry"), version
    assert served.as_(Role.SUPERVISOR).get(f"{path}/2", format="docx").status == 400


def test_a_letter_no_font_has_is_told_by_its_name(served: Served):
    order = registered(served, content="地名\ue123路").body["id"]
    body = {"lead": "D", "kind": "ordinary", "basis": "territory"}
    assert served.as_(Role.DISPATCHER).post(f"/orders/{order}/dispatch", body).status == 201
    opened = served.as_(Role.SUPERVISOR).post(f"/orders/{order}/instruments/2/open", PRINTING, query={"format": "pdf"})
    assert (opened.status, opened.body["code"]) == (422, "glyphs-lacking")
    assert "U+E123" in opened.body["detail"]


def test_the_register_lists_papers_by_number_to_each_what_they_may_know_of(served: Served):
    path = slip(served)
    order = path.split("/")[2]
    supervisor = served.as_(Role.SUPERVISOR)
    rows: list[dict[str, Any]] = []
    query: dict[str, Any] = {"kind": "dispatch_slip", "limit": 200}
    while True:
        page = supervisor.get("/instruments", **query).body
        rows += page["instruments"]
        if "next" not in page:
            break
        query["cursor"] = page["next"]
    assert [row["no"] for row in rows] == list(range(1, len(rows) + 1))
    mine = next(row for row in rows if row["record"] == f"order:{order}")
    assert mine["number"].startswith("HY交办〔")
    assert mine["to"] == ["东区"]
    theirs = served.as_(Role.ORG_HANDLER, "E").get("/instruments", kind="dispatch_slip", limit=200).body["instruments"]
    assert mine["record"] not in {row["record"] for row in theirs}
    assert all(
        row["to"] == ["东区"]
        for row in supervisor.get("/instruments", kind="dispatch_slip", unit="D", limit=200).body["instruments"]
    )
    assert supervisor.get("/instruments").status == 400
    assert supervisor.get("/instruments", kind="circular", year=1999).body["instruments"] == []
    assert served.as_(Role.OVERSEER_CPPCC).get("/instruments", kind="circular").status == 403


def test_a_circular_is_printed_for_the_unit_it_is_about(served: Served):
    said = {name: one.example for name, one in openapi.spoken().items()}
    manager, leader = served.as_(Role.HOTLINE_MANAGER), served.as_(Role.LEADER)
    draft = {
        **{k: v for k, v in (said["draft_circular"] or {}).items() if k not in ("orders", "report", "rectify_by")},
        "circular": "criticism",
        "ground": "not_cooperating",
        "article": {"text": "热线管理办法", "article": "第三十条"},
        "units": ["D"],
        "facts": "三次不配合协调。",
    }
    made = manager.post("/matters/new/draft_circular", draft)
    assert made.status == 201, made
    matter = f"/matters/{made.body['id']}"
    assert leader.post(f"{matter}/approve_circular", {}).status == 201
    sent = {"recipients": ["各区"], "content_hash": "sha256:" + "0" * 64}
    assert manager.post(f"{matter}/publish_circular", sent).status == 201
    unit, other = served.as_(Role.ORG_APPROVER, "D"), served.as_(Role.ORG_APPROVER, "E")
    whole = unit.post(f"{matter}/instruments/3/open", PRINTING)
    assert "三次不配合协调。" in whole.body.decode()
    assert 'class="red"' in whole.body.decode()
    assert other.get(f"{matter}/instruments/3").status == 404
    assert [row["kind"] for row in manager.get(f"{matter}/instruments").body["instruments"]] == ["circular"]
