"""Orders between platforms: taken once for each reference, answered to whom they came from, handed over with a receipt."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api.access import OVERSEERS
from api.operations import OPERATIONS
from domain.terms import Role
from tests.api.conftest import DEMAND, Caller, Served, registered
from tests.api.test_sharing import AGREEMENT, PERSONS

BODY: dict[str, Any] = {
    "channel": "national_platform",
    "due": "2099-06-30T18:00:00+08:00",
    "title": "路灯不亮",
    "category": "市政/路灯",
    "attributes": {"demand_type": "help"},
    "content": "河滨路的路灯三天不亮。",
    "applicant": {"kind": "person", "name": PERSONS[0], "phone": PERSONS[1]},
}


def platform(served: Served, name: str | None = None, scope: str = "exchange", city: str = "api") -> Caller:
    name = name or f"national-{secrets.token_hex(4)}"
    token = served.token(name, "system", scope=scope, cities=(city,))
    return Caller(served.client, token, served.names[city])


def partner(served: Served) -> tuple[str, Caller]:
    """A platform with an agreement; its name as the hotline calls it."""
    account, name = f"cq-{secrets.token_hex(4)}", f"重庆12345-{secrets.token_hex(2)}"
    body = {**AGREEMENT, "consumer": account, "consumer_name": name}
    assert served.as_(Role.HOTLINE_MANAGER).post("/institution/publish_share_agreement", body).status == 201
    return name, platform(served, account)


def transferred(served: Served, to: str, **more: Any) -> str:
    order = registered(served, **more).body["id"]
    body = {"region": "重庆市", "platform": to, "words": "属渝北区"}
    assert served.as_(Role.DISPATCHER).post(f"/orders/{order}/transfer_region", body).status == 201
    return order


def reference() -> str:
    return f"GJ-{secrets.token_hex(6)}"


# --- handed to us ------------------------------------------------------------------------------------------------


def test_an_order_is_taken_once_for_each_reference_and_keeps_its_due(served: Served):
    national, name = platform(served), reference()
    first = national.post("/exchange/orders", {**BODY, "reference": name})
    again = national.post("/exchange/orders", {**BODY, "reference": name}, key="another key")
    assert (first.status, again.status) == (201, 200)
    assert first.body["id"] == again.body["id"]
    assert (first.body["replayed"], again.body["replayed"]) == (False, True)
    assert first.body["due"] == BODY["due"]
    order = served.as_(Role.AGENT).get(f"/orders/{first.body['id']}").body
    assert order["order"]["demand"]["external_ref"] == name
    assert order["order"]["demand"]["channel"] == "national_platform"
    assert [clock["due"] for clock in order["clocks"] if clock["name"] == "external"] == [BODY["due"]]


def test_other_words_under_the_same_reference_are_refused_and_another_platform_s_are_its_own(served: Served):
    national, name = platform(served), reference()
    first = national.post("/exchange/orders", {**BODY, "reference": name})
    changed = national.post("/exchange/orders", {**BODY, "reference": name, "content": "别的内容。"})
    assert (changed.status, changed.body["code"]) == (422, "command-id-reused")
    other = platform(served).post("/exchange/orders", {**BODY, "reference": name})
    assert other.status == 201
    assert other.body["id"] != first.body["id"]


def test_a_hundred_at_once_make_one_order(served: Served):
    national, name = platform(served), reference()
    with ThreadPoolExecutor(20) as threads:
        asked = threads.map(lambda _: national.post("/exchange/orders", {**BODY, "reference": name}), range(100))
        replies = list(asked)
    assert {reply.status for reply in replies} == {200, 201}
    assert [reply.status for reply in replies].count(201) == 1
    assert len({reply.body["id"] for reply in replies}) == 1


def test_a_platform_follows_what_it_handed_over_and_reads_the_answer_once_it_was_told(served: Served):
    national, name = platform(served), reference()
    order = national.post("/exchange/orders", {**BODY, "reference": name}).body["id"]
    want = {"purpose": "return-of-result", "reference": name}
    assert national.post("/exchange/open", want).body["code"] == "not-answered-yet"
    agent = served.as_(Role.AGENT)
    body = {"answer": "今晚修好。", "medium": "sms", "acknowledged": True, "knowledge_ref": "KB-1"}
    assert agent.post(f"/orders/{order}/answer_directly", body).status == 201
    stands = national.get("/exchange/orders", reference=name).body
    assert (stands["state"], stands["closed_as"], stands["answered"]) == ("closed", "direct", True)
    assert [stage["stage"] for stage in stands["stages"]] == ["order_registered", "direct_answered", "order_closed"]
    assert stands["due_status"] == "on_time"
    opened = national.post("/exchange/open", want)
    assert opened.body["fields"] == {"answer": "今晚修好。"}
    day = stands["registered_at"][:10]
    looks = served.as_(Role.SUPERVISOR).get(f"/access/{day}", limit=200).body["entries"]
    assert f"order:{order}" in {
        look["event"]["stream"] for look in looks if look["event"]["purpose"] == want["purpose"]
    }


def test_nobody_reads_what_another_platform_handed_over(served: Served):
    name = reference()
    platform(served).post("/exchange/orders", {**BODY, "reference": name})
    other = platform(served)
    assert other.get("/exchange/orders", reference=name).body["code"] == "unknown-order"
    assert other.post("/exchange/open", {"purpose": "x", "reference": name}).body["code"] == "unknown-order"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"channel": "phone"}, "channel"),
        ({"reference": ""}, "reference"),
        ({"applicant": None}, "applicant"),
        ({"content": None}, "content"),
        ({"due": "2099-06-30"}, "due"),
        ({"external_ref": "x"}, ""),
    ],
)
def test_what_a_platform_says_amiss_is_refused_and_nothing_is_taken(served: Served, body: dict[str, Any], field: str):
    national, name = platform(served), reference()
    reply = national.post("/exchange/orders", {**BODY, "reference": name, **body})
    assert reply.status == 422, reply
    assert reply.body.get("field", "").startswith(field)
    assert national.get("/exchange/orders", reference=name).status == 404


@pytest.mark.parametrize("role", list(Role))
def test_only_a_platform_exchanges(served: Served, role: Role):
    caller = served.as_(role, scope="" if role is Role.SYSTEM else "exchange")
    for path, body in (
        ("/exchange/orders", {**BODY, "reference": "x"}),
        ("/exchange/open", {"purpose": "x", "reference": "x"}),
        ("/exchange/receipts", {"order": "x", "taken": True}),
    ):
        reply = caller.post(path, body)
        why = "not-for-this-role" if role in OVERSEERS else "scope-missing"  # they have operations of their own
        assert (reply.status, reply.body["code"]) == (403, why), path
    assert caller.get("/exchange/orders", reference="x").status == 403


# --- handed over by us -------------------------------------------------------------------------------------------


def test_what_we_hand_over_is_read_by_the_platform_it_went_to_and_no_other(served: Served):
    name, chongqing = partner(served)
    order = transferred(served, name)
    told = chongqing.post("/exchange/open", {"purpose": "transfer", "order": order}).body["fields"]
    assert told["1.content"] == DEMAND["content"]
    assert {told["1.applicant.name"], told["1.applicant.phone"]} == set(PERSONS)
    _, elsewhere = partner(served)
    for caller, code in ((elsewhere, "unknown-order"), (platform(served), "no-share-agreement")):
        assert caller.post("/exchange/open", {"purpose": "transfer", "order": order}).body["code"] == code
    stayed = registered(served).body["id"]
    assert chongqing.post("/exchange/open", {"purpose": "x", "order": stayed}).body["code"] == "unknown-order"


def test_a_receipt_is_recorded_once_under_the_platform_s_reference(served: Served):
    name, chongqing = partner(served)
    order = transferred(served, name)
    body = {"order": order, "taken": True, "reference": reference()}
    first, again = chongqing.post("/exchange/receipts", body), chongqing.post("/exchange/receipts", body)
    assert (first.status, again.status, again.body["replayed"]) == (201, 200, True)
    history = served.as_(Role.SUPERVISOR).get(f"/orders/{order}/history").body["entries"]
    received = [entry for entry in history if entry["type"] == "order.transfer_receipt_recorded"]
    assert [(one["event"]["taken"], one["event"]["reference"]) for one in received] == [(True, body["reference"])]
    assert chongqing.post("/exchange/receipts", {"order": order, "taken": False}).status == 201  # sent back after all


def test_an_informant_s_order_is_not_opened_to_another_platform(served: Served):
    name, chongqing = partner(served)
    order = transferred(served, name, attributes={"demand_type": "report"}, confidentiality="informant")
    refused = chongqing.post("/exchange/open", {"purpose": "transfer", "order": order})
    assert (refused.status, refused.body["code"]) == (403, "approval-needed")


def test_either_a_reference_or_an_order_is_asked_for(served: Served):
    national = platform(served)
    for body in ({"purpose": "x"}, {"purpose": "x", "order": "a", "reference": "b"}):
        assert national.post("/exchange/open", body).status == 422
    assert national.get("/exchange/orders").body["field"] == "reference"


def test_the_examples_of_the_exchange_are_taken(served: Served):
    examples = {one.name: one.example for one in OPERATIONS if one.name.startswith("exchange_")}
    name, caller = partner(served)
    assert caller.post("/exchange/orders", examples["exchange_take"]).status == 201
    ref = examples["exchange_take"]["reference"]
    assert caller.get("/exchange/orders", reference=ref).status == 200
    assert caller.post("/exchange/open", examples["exchange_open"]).body["code"] == "not-answered-yet"
    order = transferred(served, name)
    assert caller.post("/exchange/receipts", {**examples["exchange_receipt"], "order": order}).status == 201
