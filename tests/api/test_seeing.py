"""Who sees what over HTTP: units and their trees, informants, overseers, applicants, openings and their journal."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import OKPAlgorithm

from api import openapi
from api.access import COLUMN_OF, MATRIX, Data, Grade
from domain.terms import SHANGHAI, Role
from scripts import wiring
from tests.api.conftest import DEMAND, Caller, Reply, Served, dispatched, registered

SECRETS = ("张三丰", "13800001111", "河滨路的路灯三天不亮")


def test_the_matrix_has_a_grade_for_every_line_and_every_role():
    assert set(MATRIX) == set(Data)
    assert set(COLUMN_OF) == set(Role)
    for line in MATRIX.values():
        assert set(COLUMN_OF.values()) <= set(line)
    assert {MATRIX[Data.CONTENT][column] for column in ("admin", "overseer", "system", "accused")} == {Grade.NONE}
    assert Grade.FULL not in {grade for column, grade in MATRIX[Data.INFORMANT].items() if column != "citizen"}


@pytest.mark.parametrize("path", ["", "/history", "/clocks", "/duties"])
def test_another_units_order_is_as_one_that_does_not_exist(served: Served, path: str):
    order = dispatched(served, "D")
    stranger = served.as_(Role.ORG_HANDLER, "E")
    hidden, absent = stranger.get(f"/orders/{order}{path}"), stranger.get(f"/orders/{uuid4()}{path}")
    assert hidden.status == absent.status == 404
    assert hidden.body["code"] == absent.body["code"] == "unknown-order"
    assert served.as_(Role.ORG_HANDLER, "D").get(f"/orders/{order}{path}").status == 200


@pytest.mark.parametrize("command", ["sign", "progress", "assign_handler"])
def test_another_units_order_takes_no_command_and_tells_nothing(served: Served, command: str):
    order = dispatched(served, "D")
    stranger = served.as_(Role.ORG_HANDLER, "E")
    before = served.as_(Role.AUDITOR).get("").body["position"]
    body = {"progress": {"report": "x"}, "assign_handler": {"handler": "org-handler-e"}}.get(command, {})
    reply = stranger.post(f"/orders/{order}/{command}", body)
    assert (reply.status, reply.body["code"]) == (404, "unknown-order")
    assert served.as_(Role.AUDITOR).get("").body["position"] == before


def test_a_district_sees_its_children_and_a_child_not_its_sisters(served: Served):
    order = dispatched(served, "D-B")
    assert served.as_(Role.ORG_HANDLER, "D-B").get(f"/orders/{order}").status == 200
    assert served.as_(Role.MGMT_UNIT, "D").get(f"/orders/{order}").status == 200
    assert served.as_(Role.MGMT_UNIT, "E").get(f"/orders/{order}").status == 404
    parents = dispatched(served, "D")
    assert served.as_(Role.ORG_HANDLER, "D-B").get(f"/orders/{parents}").status == 404


def test_a_units_lists_hold_only_its_own(served: Served):
    order = dispatched(served, "D")
    position = served.as_(Role.AUDITOR).get("").body["position"]
    own = served.as_(Role.ORG_APPROVER, "D").get("/orders", min_position=position, limit=200)
    assert order in {row["id"] for row in own.body["orders"]}
    others = served.as_(Role.ORG_APPROVER, "E").get("/orders", min_position=position, limit=200)
    assert order not in {row["id"] for row in others.body["orders"]}
    assert served.as_(Role.ORG_APPROVER, "E").get("/orders", unit="D").status == 403
    assert served.as_(Role.ORG_APPROVER, "E").get("/duties", unit="D").status == 403
    found = served.as_(Role.ORG_HANDLER, "E").get("/search", q="路灯", limit=200)
    assert order not in {row["id"] for row in found.body["orders"]}
    duties = served.as_(Role.ORG_HANDLER, "D").get(f"/orders/{order}/duties").body["duties"]
    assert "sign" in {duty["command"] for duty in duties}
    listed = served.as_(Role.ORG_HANDLER, "E").get("/duties", limit=200, min_position=position).body["duties"]
    assert order not in {duty["order_id"] for duty in listed}


def test_another_citys_order_and_city_are_as_if_they_were_not(served: Served):
    order = registered(served).body["id"]
    elsewhere = served.as_(Role.AGENT, city="other")
    assert elsewhere.get(f"/orders/{order}").body["code"] == "unknown-order"
    trespasser = Caller(served.client, elsewhere.token, served.names["api"])
    for reply in (trespasser.get(f"/orders/{order}"), trespasser.post("/orders", DEMAND)):
        assert (reply.status, reply.body["code"]) == (404, "unknown-city")
    nowhere = Caller(served.client, served.token("x", "agent@HOTLINE", cities=("*",)), "nowhere")
    assert nowhere.get("/orders").body["code"] == "unknown-city"


@pytest.mark.parametrize("role", list(Role))
def test_nothing_that_any_role_reads_holds_a_sealed_word(served: Served, role: Role):
    order = dispatched(served, "D")
    unit = "D" if role in (Role.ORG_HANDLER, Role.ORG_APPROVER, Role.MGMT_UNIT) else "HOTLINE"
    caller = served.as_(role, unit, orders=(order,))
    paths = [f"/orders/{order}{part}" for part in ("", "/history", "/clocks", "/duties")]
    paths += ["/orders", "/duties", "/units", "/notices", "/institution/history", "/feed?after=0&limit=1000"]
    for path in paths:
        reply = caller.raw("GET", path)
        assert reply.status_code in (200, 403, 404), (path, reply.text)
        assert not [word for word in SECRETS if word in reply.text], path
        assert '"box"' not in reply.text
        assert '"subject":"' not in reply.text or "feed" in path, path  # a person's random id ties their cases together


def test_an_administrator_reads_no_case(served: Served):
    order = registered(served).body["id"]
    admin = served.as_(Role.ADMIN)
    assert {admin.get(path).status for path in (f"/orders/{order}", "/orders", "/duties", "/search?q=路灯")} == {403}


def test_an_overseer_follows_no_order_that_is_not_listed_for_them(served: Served):
    order = dispatched(served, "D")
    deputy = served.as_(Role.OVERSEER_NPC)
    for path in (f"/orders/{order}", f"/orders/{order}/history"):
        refused = deputy.get(path)
        assert (refused.status, refused.body["code"], refused.body["detail"]) == (
            403,
            "not-for-this-role",
            "/oversight",
        )


def test_an_applicant_sees_their_own_order_and_its_public_stages_only(served: Served):
    order = dispatched(served, "D")
    citizen = served.as_(Role.CITIZEN, orders=(order,))
    assert citizen.get(f"/orders/{order}").status == 200
    assert {entry["type"] for entry in citizen.get(f"/orders/{order}/history").body["entries"]} == {
        "order.order_registered",
        "order.order_dispatched",
    }
    other = registered(served).body["id"]
    assert citizen.get(f"/orders/{other}").status == 404
    assert citizen.post(f"/orders/{other}/urge").status == 404
    assert citizen.get("/orders").status == 403
    assert citizen.post(f"/orders/{order}/urge").status == 201


def test_a_number_that_several_orders_share_tells_a_unit_nothing(served: Served):
    told = [registered(served) for _ in range(2)]
    ids = sorted(reply.body["id"] for reply in told)
    position = told[-1].headers["Ledger-Position"]
    shared = ids[0][:8]  # both were drawn in the same minute
    if not ids[1].startswith(shared):
        return
    served.as_(Role.AGENT).get("/orders", min_position=position)
    assert served.as_(Role.AGENT).get(f"/orders/{shared}").body["code"] == "number-ambiguous"
    assert served.as_(Role.ORG_HANDLER, "E").get(f"/orders/{shared}").body["code"] == "unknown-order"


def test_what_one_overseer_asked_is_not_read_by_another(served: Served):
    deputy, member = served.as_(Role.OVERSEER_NPC), served.as_(Role.OVERSEER_CPPCC)
    body = {"kind": "deputy_suggestion", "title": "照明问题", "text": "建议加强照明维护。", "body": "npc"}
    filed = deputy.post("/inquiries/new/file_inquiry", openapi.spoken()["file_inquiry"].example or body)
    assert filed.status == 201, filed
    path = f"/inquiries/{filed.body['id']}"
    assert (deputy.get(path).status, member.get(path).status) == (200, 404)


# --- opening -----------------------------------------------------------------------------------------------------


def opened(caller: Caller, order: str, *fields: str, version: int = 1, key: str | None = None, **more: str) -> Reply:
    body = {"version": version, "purpose": "handling", "fields": list(fields), **more}
    return caller.post(f"/orders/{order}/open", body, key=key)


def last_looks(served: Served) -> list[dict[str, Any]]:
    """Return the last page of today's access journal."""
    supervisor = served.as_(Role.SUPERVISOR)
    today = wiring.process_now().astimezone(SHANGHAI).date().isoformat()
    page = supervisor.get(f"/access/{today}", limit=200).body
    while "next" in page:
        page = supervisor.get(f"/access/{today}", limit=200, cursor=page["next"]).body
    return page["entries"]


def test_sealed_words_are_opened_to_whom_the_matrix_names_and_the_journal_says_so(served: Served):
    order = dispatched(served, "D")
    handler = served.as_(Role.ORG_HANDLER, "D")
    told = opened(handler, order, "applicant.phone", "content")
    assert told.body["fields"] == {"applicant.phone": "13800001111", "content": DEMAND["content"]}
    assert told.headers["Cache-Control"] == "no-store"
    last = last_looks(served)[-1]
    assert (last["actor"]["user"], last["event"]["purpose"]) == ("org-handler-d", "handling")
    assert last["event"]["fields"] == ["applicant.phone", "content"]
    assert served.as_(Role.AGENT).get(f"/access/{last['at'][:10]}").status == 403


@pytest.mark.parametrize(
    ("role", "unit", "field", "status"),
    [
        (Role.AGENT, "HOTLINE", "applicant.phone", 200),
        (Role.SUPERVISOR, "HOTLINE", "applicant.name", 200),
        (Role.DISPATCHER, "HOTLINE", "applicant.phone", 403),
        (Role.DISPATCHER, "HOTLINE", "content", 200),
        (Role.MGMT_UNIT, "D", "applicant.phone", 403),
        (Role.ORG_HANDLER, "E", "applicant.phone", 404),
        (Role.LEADER, "HOTLINE", "applicant.phone", 403),
        (Role.OVERSEER_NPC, "HOTLINE", "content", 403),
        (Role.ARCHIVIST, "HOTLINE", "applicant.phone", 403),
        (Role.AUDITOR, "HOTLINE", "applicant.phone", 403),
        (Role.ADMIN, "HOTLINE", "content", 403),
        (Role.SYSTEM, "", "content", 403),
        (Role.DISCIPLINE, "HOTLINE", "content", 404),
    ],
)
def test_each_role_opens_what_its_column_says(served: Served, role: Role, unit: str, field: str, status: int):
    order = dispatched(served, "D")
    reply = opened(served.as_(role, unit), order, field)
    assert reply.status == status, reply
    assert (status == 200) == ("fields" in reply.body)


def test_an_informants_identity_is_opened_to_nobody_here_and_units_read_no_words_of_theirs(served: Served):
    demand = {"attributes": {"demand_type": "report"}, "confidentiality": "informant", "accused": ["E"]}
    order = dispatched(served, "D", **demand)
    for role, unit in ((Role.SUPERVISOR, "HOTLINE"), (Role.HOTLINE_MANAGER, "HOTLINE"), (Role.QC_REVIEWER, "HOTLINE")):
        reply = opened(served.as_(role, unit), order, "applicant.name")
        assert (reply.status, reply.body["code"]) == (403, "approval-needed")
    for field in ("applicant.name", "content"):
        assert opened(served.as_(Role.ORG_HANDLER, "D"), order, field).status == 403
    accused = served.as_(Role.ORG_APPROVER, "E")
    assert accused.get(f"/orders/{order}").status == 404
    assert accused.post(f"/orders/{order}/reply_notice", {}).status in (404, 422)
    shown = served.as_(Role.ORG_HANDLER, "D").raw("GET", f"/orders/{order}").text
    assert '"accused"' not in shown


def test_whoever_is_appointed_for_informants_takes_part_while_it_is_served(served: Served):
    appointed = wiring.informant_file(served.names["other"])
    said, agent = appointed.read_bytes(), served.as_(Role.AGENT, city="other")
    demand = {**DEMAND, "attributes": {"demand_type": "report"}, "confidentiality": "informant", "accused": ["E"]}

    def until(status: int) -> Reply:
        end = time.monotonic() + 60
        while (reply := agent.post("/orders", demand)).status != status and time.monotonic() < end:
            time.sleep(0.1)
        return reply

    appointed.unlink()
    try:
        assert until(503).body["code"] == "two-persons-not-appointed"
        appointed.write_text("{")  # nobody can read it: whoever was appointed stays so, here nobody
        assert agent.post("/orders", demand).body["code"] == "two-persons-not-appointed"
        assert agent.post("/orders", DEMAND).status == 201
    finally:
        appointed.write_bytes(said)
    assert until(201).body["order"]["confidentiality"] == "informant"


def test_a_unit_that_is_complained_of_meanwhile_is_shown_the_order_in_no_list(served: Served):
    other, order = dispatched(served, "D"), dispatched(served, "D")
    unit = served.as_(Role.ORG_APPROVER, "D")

    def listed() -> set[str]:
        found: set[str] = set()
        for path, rows, key, query in (
            ("/orders", "orders", "id", {"sort": "due", "limit": "200"}),
            ("/orders", "orders", "id", {"limit": "200"}),
            ("/search", "orders", "id", {"q": "路灯", "limit": "200"}),
            ("/duties", "duties", "order_id", {"limit": "200"}),
        ):
            told = unit.get(path, **query)
            assert told.status == 200, told
            shown = {row[key] for row in told.body[rows]}
            assert other in shown or told.body.get("next"), path
            found |= shown
        return found

    head = served.as_(Role.SUPERVISOR).get("").headers["Ledger-Position"]
    for path in ("/orders", "/search", "/duties"):
        unit.get(path, min_position=head, **({"q": "路灯"} if path == "/search" else {}))
    assert order in listed()
    report = {"attributes": {"demand_type": "report"}, "confidentiality": "informant", "accused": ["D"]}
    changed = {**report, "reason": "举报其本单位"}
    told = served.as_(Role.HOTLINE_MANAGER).post(f"/orders/{order}/reclassify", changed, Huiyin_Reason="accused")
    assert told.status == 201, told
    assert unit.get(f"/orders/{order}").status == 404
    assert order not in listed()


def test_openings_are_few_a_minute_for_each_person(served: Served):
    order = registered(served).body["id"]
    user = f"u{secrets.token_hex(4)}"
    served.as_(Role.ADMIN).post("/institution/grant_role", {"user": user, "role": "agent", "unit": "HOTLINE"})
    agent = Caller(served.client, served.token(user, "agent@HOTLINE"), served.names["api"])
    statuses = [opened(agent, order, "applicant.phone").status for _ in range(64)]
    assert statuses[0] == 200
    assert statuses[-1] == 429


def test_each_look_under_the_same_key_has_its_line_and_another_look_under_it_is_refused(served: Served):
    order = registered(served).body["id"]
    agent, auditor, key = served.as_(Role.AGENT), served.as_(Role.AUDITOR), secrets.token_hex(8)

    def looked(field: str) -> Reply:
        return opened(agent, order, field, key=key)

    before = auditor.get("").body["position"]
    looks = [looked("content") for _ in range(3)]
    assert {look.status for look in looks} == {200}
    assert len({look.body["fields"]["content"] for look in looks}) == 1
    assert auditor.get("").body["position"] == before + 3
    assert [look["event"]["fields"] for look in last_looks(served)[-3:]] == [["content"]] * 3
    other = looked("applicant.phone")
    assert (other.status, other.body["code"]) == (422, "command-id-reused")
    assert auditor.get("").body["position"] == before + 3


def test_an_entry_or_field_that_is_not_there_opens_nothing(served: Served):
    order = registered(served).body["id"]
    agent = served.as_(Role.AGENT)
    assert opened(agent, order, "content", version=9).status == 404
    assert opened(agent, order, "title").status == 404
    assert agent.post(f"/orders/{order}/open", {"version": 1}).status == 422


# --- tokens ------------------------------------------------------------------------------------------------------


def test_a_token_that_is_forged_expired_or_of_another_issuer_opens_nothing(served: Served):
    good = served.token("agent-hotline", "agent@HOTLINE")
    head, body, signature = good.split(".")
    late = served.token("agent-hotline", "agent@HOTLINE", lasting=timedelta(minutes=-5))
    other = served.token("agent-hotline", "agent@HOTLINE", audience="elsewhere")
    unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + body + "."
    for token in (f"{head}.{body}.{'A' * len(signature)}", late, other, unsigned, "nonsense", "a.b.c", "x" * 9000):
        reply = Caller(served.client, token, served.names["api"]).get("/orders")
        assert (reply.status, reply.body["code"]) == (401, "token-unfit")
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert served.client.get(f"/v1/{served.names['api']}/orders").json()["code"] == "token-missing"


def forged(served: Served) -> dict[str, str]:
    """Return tokens that somebody made who has not the issuer's key, by what is wrong with them."""
    key, own = wiring.issuer_key(), Ed25519PrivateKey.generate()
    good = served.token("agent-hotline", "agent@HOTLINE")
    header, claims = jwt.get_unverified_header(good), jwt.decode(good, options={"verify_signature": False})
    public = key.public_key()
    raw = public.public_bytes_raw()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    kid, mine = header["kid"], OKPAlgorithm.to_jwk(own.public_key(), as_dict=True)

    def by_hand(said: dict[str, Any], sign: Callable[[bytes], bytes], body: dict[str, Any] = claims) -> str:
        parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (said, body))
        unsigned = b".".join(parts)
        return (unsigned + b"." + base64.urlsafe_b64encode(sign(unsigned)).rstrip(b"=")).decode()

    def mac(secret: bytes) -> Callable[[bytes], bytes]:
        return lambda text: hmac.digest(secret, text, "sha256")

    shared = {"alg": "HS256", "typ": "JWT", "kid": kid}
    grown = {**claims, "roles": ["supervisor@HOTLINE"]}
    return {
        "no signature": by_hand({"alg": "none", "typ": "JWT"}, lambda _: b""),
        "no signature, with the key's name": by_hand({"alg": "none", "kid": kid}, lambda _: b""),
        "nOnE": by_hand({"alg": "nOnE", "kid": kid}, lambda _: b""),
        "public key as a shared secret": by_hand(shared, mac(raw)),
        "public key as a shared secret, as PEM": by_hand(shared, mac(pem)),
        "empty secret": by_hand(shared, mac(b"")),
        "another key under its name": jwt.encode(claims, own, algorithm="EdDSA", headers={"kid": kid}),
        "a key of its own in the header": jwt.encode(claims, own, algorithm="EdDSA", headers={"jwk": mine}),
        "a key elsewhere": jwt.encode(claims, own, algorithm="EdDSA", headers={"jku": "http://127.0.0.1/", "kid": "x"}),
        "a name that is a path": jwt.encode(claims, own, algorithm="EdDSA", headers={"kid": "../../dev/null"}),
        "roles changed": by_hand(header, lambda _: base64.urlsafe_b64decode(good.rpartition(".")[2] + "=="), grown),
        "another issuer": jwt.encode({**claims, "iss": "elsewhere"}, key, algorithm="EdDSA", headers={"kid": kid}),
        "no issuer": jwt.encode(
            {name: value for name, value in claims.items() if name != "iss"},
            key,
            algorithm="EdDSA",
            headers={"kid": kid},
        ),
        "without end": jwt.encode(
            {name: value for name, value in claims.items() if name != "exp"},
            key,
            algorithm="EdDSA",
            headers={"kid": kid},
        ),
        "not yet": jwt.encode({**claims, "nbf": claims["exp"]}, key, algorithm="EdDSA", headers={"kid": kid}),
        "endless": jwt.encode({**claims, "exp": 10**400}, key, algorithm="EdDSA", headers={"kid": kid}),
        "for another": served.token("agent-hotline", "agent@HOTLINE", audience="elsewhere"),
    }


def test_a_token_that_somebody_forged_writes_nothing_and_reads_nothing(served: Served):
    auditor, order = served.as_(Role.AUDITOR), registered(served).body["id"]
    before = auditor.get("").body["position"]
    for what, token in forged(served).items():
        caller = Caller(served.client, token, served.names["api"])
        for reply in (caller.post("/orders", DEMAND), caller.get(f"/orders/{order}"), caller.get("/duties")):
            assert (reply.status, reply.body["code"]) == (401, "token-unfit"), (what, reply)
            assert set(reply.body) <= {"type", "title", "title_zh", "status", "code"}, what
    assert auditor.get("").body["position"] == before


def test_a_role_must_be_in_the_token_and_held_in_the_registry(served: Served):
    city = served.names["api"]
    nobody = Caller(served.client, served.token("nobody", "supervisor@HOTLINE"), city)
    assert (nobody.get("/orders").status, nobody.get("/orders").body["code"]) == (403, "role-not-held-here")
    two = Caller(served.client, served.token("org-handler-d", "org_handler@D", "org_handler@E"), city)
    assert two.get("/orders").body["code"] == "role-unclear"
    said = served.client.get(
        f"/v1/{city}/orders",
        headers={"Authorization": f"Bearer {two.token}", "Huiyin-Role": "org_handler@D"},
    )
    assert said.status_code == 200
    for role, code in (("org_handler@E", "role-not-held-here"), ("admin@HOTLINE", "role-not-in-token")):
        headers = {"Authorization": f"Bearer {two.token}", "Huiyin-Role": role}
        assert served.client.get(f"/v1/{city}/orders", headers=headers).json()["code"] == code
    for roles in ((), ("king@HOTLINE",), ("agent@" + "x" * 99,)):
        assert Caller(served.client, served.token("agent-hotline", *roles), city).get("/orders").status in (401, 403)


def test_only_an_importing_token_tells_what_others_did_long_ago(served: Served):
    agent = served.as_(Role.AGENT)
    at = "2025-03-04T10:00:00+08:00"
    refused = agent.post("/orders", DEMAND, Huiyin_Occurred_At=at, Huiyin_Origin="import")
    assert (refused.status, refused.body["code"]) == (403, "scope-missing")
    vouching = served.as_(Role.AGENT, scope="import")
    told = vouching.post("/orders", DEMAND, Huiyin_Occurred_At=at, Huiyin_Origin="import")
    assert told.body["events"][0]["origin"] == "import"
    backfilled = agent.post("/orders", DEMAND, Huiyin_Occurred_At=at)
    assert backfilled.body["code"] == "backfill-reason-missing"


def test_the_journal_of_openings_is_on_disk_before_the_words_are_out(served: Served):
    order = registered(served).body["id"]
    before = served.as_(Role.AUDITOR).get("").body["position"]
    assert opened(served.as_(Role.AGENT), order, "content").status == 200
    assert served.as_(Role.AUDITOR).get("").body["position"] == before + 1
