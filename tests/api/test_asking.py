"""Questions over HTTP: fresh, paged, as of then, at a position; lists, the law, the feed; what an operator asks."""

from __future__ import annotations

import json
import re
import secrets
from datetime import datetime, timedelta
from urllib.parse import quote

import msgspec

from api import openapi
from api.commands import read_command
from api.operations import OPERATIONS
from domain.terms import Role
from tests.api.conftest import DEMAND, Served, caught_up, dispatched, registered


def test_an_order_is_found_by_id_and_by_its_number(served: Served):
    told = registered(served)
    caller = served.as_(Role.AGENT)
    by_id = caller.get(f"/orders/{told.body['id']}")
    caller.get("/orders", min_position=told.headers["Ledger-Position"])
    by_number = caller.get(f"/orders/{quote(told.body['number'])}")
    assert by_id.body["order"] == by_number.body["order"]
    assert int(by_id.headers["Ledger-Position"]) >= int(told.headers["Ledger-Position"])
    unchanged = caller.client.get(
        f"/v1/{caller.city}/orders/{told.body['id']}",
        headers={"Authorization": f"Bearer {caller.token}", "If-None-Match": by_id.headers["ETag"]},
    )
    assert (unchanged.status_code, unchanged.content) == (304, b"")


def test_an_order_is_shown_as_it_was_and_as_it_was_known(served: Served):
    order = registered(served).body["id"]
    dispatcher = served.as_(Role.DISPATCHER)
    known = dispatcher.get(f"/orders/{order}").body["order"]["registered"][0]
    body = {"kind": "ordinary", "lead": "D", "basis": "territory"}
    told = dispatcher.post(f"/orders/{order}/dispatch", body).body
    assert told["state"] == "dispatched"
    for name in ("as_at", "recorded_by"):
        then = dispatcher.get(f"/orders/{order}", **{name: known}).body
        assert (then["order"]["state"], then["order"]["version"]) == ("registered", 1)
        assert dispatcher.get(f"/orders/{order}/history", **{name: known}).body["entries"][-1]["version"] == 1
    before = datetime.fromisoformat(known) - timedelta(days=1)
    assert dispatcher.get(f"/orders/{order}", as_at=before.isoformat()).status == 404
    assert dispatcher.get(f"/orders/{order}", as_at="yesterday").body["field"] == "as_at"


def test_a_history_comes_in_pages_that_join(served: Served):
    order = dispatched(served, "D")
    handler = served.as_(Role.ORG_HANDLER, "D")
    for _ in range(3):
        handler.post(f"/orders/{order}/progress", {"report": "正在处理"})
    caller, seen, path = served.as_(Role.SUPERVISOR), [], f"/v1/{served.names['api']}/orders/{order}/history?limit=2"
    while path:
        answer = served.client.get(path, headers={"Authorization": f"Bearer {caller.token}"})
        seen += [entry["version"] for entry in answer.json()["entries"]]
        path = answer.links.get("next", {}).get("url", "")
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) >= 5


def test_clocks_come_with_every_day_and_article(served: Served):
    order = dispatched(served, "D")
    clocks = served.as_(Role.ORG_HANDLER, "D").get(f"/orders/{order}/clocks").body["clocks"]
    assert clocks
    handle = next(clock for clock in clocks if clock["name"] == "handle")
    assert handle["due"]
    assert handle["explanation"]


def test_a_list_waits_for_a_position_and_says_where_it_is_true(served: Served):
    told = registered(served)
    found = served.as_(Role.AGENT).get("/orders", min_position=told.headers["Ledger-Position"], limit=200)
    assert found.body["position"] >= int(told.headers["Ledger-Position"])
    late = served.as_(Role.AGENT).get("/orders", min_position=10**12)
    assert (late.status, late.body["code"]) == (503, "behind")
    assert late.headers["Retry-After"]


def test_lists_are_filtered_and_paged(served: Served):
    ids = [registered(served).body["id"] for _ in range(5)]
    position = served.as_(Role.AUDITOR).get("").body["position"]
    caller, seen = served.as_(Role.HOTLINE_MANAGER), []
    path = f"/v1/{caller.city}/orders?state=registered&limit=2&min_position={position}"
    for _ in range(500):
        answer = served.client.get(path, headers={"Authorization": f"Bearer {caller.token}"}).json()
        assert len(answer["orders"]) <= 2
        seen += [row["id"] for row in answer["orders"]]
        if "next" not in answer:
            break
        path = f"/v1/{caller.city}/orders?state=registered&limit=2&cursor={answer['next']}"
    assert set(ids) <= set(seen)
    assert len(seen) == len(set(seen))
    assert caller.get("/orders", state="gone").body["field"] == "state"
    assert caller.get("/orders", cursor="!!").body["field"] == "cursor"
    assert caller.get("/orders", limit=0).status == caller.get("/orders", limit=10**6).status == 400


def test_every_list_leads_to_its_next_page_by_link_and_by_cursor(served: Served):
    for _ in range(5):
        dispatched(served, "D")
    caller = served.as_(Role.SUPERVISOR)
    caller.get("/orders", min_position=caller.get("").body["position"])
    for path in (
        "/orders?state=dispatched",
        "/orders?sort=due",
        "/duties?unit=D",
        "/search?q=路灯",
        "/institution/history",
    ):
        said = "&" if "?" in path else "?"
        whole, seen = caller.raw("GET", f"{path}{said}limit=200").json(), []
        name = next(name for name, rows in whole.items() if isinstance(rows, list))
        where = f"/v1/{caller.city}{path}{said}limit=1"
        for _ in range(3):
            answer = served.client.get(where, headers={"Authorization": f"Bearer {caller.token}"})
            assert answer.status_code == 200, (path, answer.text)
            seen += answer.json()[name]
            link = answer.links["next"]["url"]
            assert quote(answer.json()["next"]) in link
            where = link
        assert [row.get("id") or row for row in seen] == [row.get("id") or row for row in whole[name][:3]], path


def test_duties_are_what_the_command_takes_and_paged(served: Served):
    for _ in range(3):
        dispatched(served, "D")
    position = served.as_(Role.AUDITOR).get("").body["position"]
    handler = served.as_(Role.ORG_HANDLER, "D")
    first = handler.get("/duties", mine="true", limit=2, min_position=position).body
    second = handler.get("/duties", mine="true", limit=2, cursor=first["next"]).body
    assert all("org_handler" in duty["roles"] for duty in first["duties"] + second["duties"])
    keys = [(duty["order_id"], duty["no"]) for duty in first["duties"] + second["duties"]]
    assert len(set(keys)) == len(keys)


def test_search_units_and_indicators_answer(served: Served):
    word = f"k{secrets.token_hex(3)}"  # no run of figures that could be a telephone number
    told = registered(served, title=f"噪声{word}")
    manager = served.as_(Role.HOTLINE_MANAGER)
    found = manager.get("/search", q=word, min_position=told.headers["Ledger-Position"]).body
    assert [row["id"] for row in found["orders"]] == [told.body["id"]]
    units = {row["unit"]: row for row in manager.get("/units").body["units"]}
    assert units["D-B"]["parent"] == "D"
    assert {row["unit"] for row in served.as_(Role.MGMT_UNIT, "D").get("/units").body["units"]} == {"D", "D-B"}
    figures = manager.get("/indicators", **{"from": "2026-01-01", "to": "2027-12-31", "by": "unit"}).body["figures"]
    assert figures
    assert served.as_(Role.AGENT).get("/indicators", **{"from": "2026-01-01", "to": "2026-12-31"}).status == 403


def test_every_answer_about_the_city_says_where_it_is_true(served: Served):
    order = dispatched(served, "D")
    caller = served.as_(Role.SUPERVISOR)
    at = {"clock": "handle", "at": "2025-01-27 15:00", "class": "consult"}
    paths = (
        "",
        "/orders",
        f"/orders/{order}",
        f"/orders/{order}/history",
        f"/orders/{order}/clocks",
        "/duties",
        "/units",
    )
    paths += (f"/orders/{order}/duties", "/notices", "/policies", "/policies/S0-CHUANYU", "/calendars/2026", "/feed")
    for path in ("/orders", "/duties", "/notices", "/units"):
        assert caller.get(path, min_position=1).status == 200  # a table may have to begin first
    for path in paths:
        assert int(caller.get(path).headers["Ledger-Position"]) > 0, path
    assert int(caller.get("/due", **at).headers["Ledger-Position"]) > 0


def test_the_law_is_read_and_counted_by(served: Served):
    agent = served.as_(Role.AGENT)
    packs = agent.get("/policies").body["policies"]
    assert packs[0]["pack"] == "S0-CHUANYU"
    assert agent.get("/policies/S0-CHUANYU").body["policy"]["clocks"]
    assert agent.get("/policies/nothing").body["code"] == "unknown-policy"
    year = agent.get("/calendars/2025").body
    assert len(year["days"]) == 365
    assert agent.get("/calendars/year").status == 400
    due = agent.get("/due", clock="handle", at="2025-01-27 15:00", **{"class": "consult"}).body["clock"]
    assert due["due"].startswith("2025-02-11T00:00") or due["due"].startswith("2025-02-10T")
    assert agent.get("/due", clock="handle", at="never").body["field"] == "at"
    assert agent.get("/institution/history", limit=1).body["entries"][0]["type"].startswith("institution.")


def test_the_feed_goes_on_from_a_position_and_names_nobody(served: Served):
    order = dispatched(served, "D")
    reader = served.as_(Role.AUDITOR)
    seen: list[dict] = []
    after = 0
    for _ in range(1000):
        answer = reader.raw("GET", f"/feed?after={after}&limit=500")
        assert answer.headers["content-type"] == "application/cloudevents-batch+json"
        if answer.headers["ledger-position"] == str(after):
            break
        seen += answer.json()
        after = int(answer.headers["ledger-position"])
    events = [event for event in seen if event["subject"] == f"order:{order}"]
    assert [event["type"] for event in events] == ["huiyin.order.order_registered", "huiyin.order.order_dispatched"]
    assert {event["specversion"] for event in seen} == {"1.0"}
    assert "agent-hotline" not in json.dumps(seen)
    assert not {event["subject"].partition(":")[0] for event in seen} & {"access", "subject", "numbers", "call"}
    assert served.as_(Role.AGENT).get("/feed").status == 403


def test_the_feed_goes_on_from_no_position_that_nobody_was_told(served: Served):
    reader = served.as_(Role.AUDITOR)
    end = registered(served).headers["Ledger-Position"]  # the very last: told a moment ago, and known at once
    assert reader.raw("GET", f"/feed?after={end}").json() == []
    beyond = int(reader.get("").body["position"]) + 1000
    accepting: list[dict[str, str]] = [{}, {"Accept": "text/event-stream"}]
    for headers in accepting:
        answer = reader.raw("GET", f"/feed?after={beyond}&wait=1", b"", **headers)
        assert (answer.status_code, answer.json()["code"]) == (409, "position-ahead")
    answer = reader.raw("GET", "/feed", Accept="text/event-stream", Last_Event_ID=f"{beyond}")
    assert answer.json()["code"] == "position-ahead"


def test_a_batch_answers_each_line_for_itself(served: Served):
    agent = served.as_(Role.AGENT)
    key = secrets.token_hex(6)
    lines = [{"id": f"{key}-{n}", "command": {"type": "register", **DEMAND}} for n in range(20)]
    lines += [
        {"id": f"{key}-x", "command": {"type": "register"}},
        {"id": f"{key}-y", "command": {"type": "dispatch", "kind": "ordinary"}},
        {"id": f"{key}-0", "command": {"type": "register", **DEMAND}},
        {"id": "", "command": {"type": "register", **DEMAND}},
        {"command": 3},
    ]
    content = b"\n".join(json.dumps(line).encode() for line in lines) + b"\nnonsense\n"
    answer = agent.raw("POST", "/batch", content, Content_Type="application/x-ndjson")
    told = [json.loads(row) for row in answer.content.splitlines()]
    assert [row["line"] for row in told] == list(range(1, len(lines) + 2))
    assert [row["status"] for row in told] == [201] * 20 + [422, 403, 201, 400, 422, 400]
    assert told[22]["replayed"]
    assert told[22]["id"] == told[0]["id"]
    assert len({row["id"] for row in told[:20]}) == 20


def test_lines_of_a_batch_about_one_record_keep_their_order(served: Served):
    order = dispatched(served, "D")
    handler = served.as_(Role.ORG_HANDLER, "D")
    key = secrets.token_hex(6)
    lines = [{"id": f"{key}-s", "record": order, "command": {"type": "sign", "own_handling": True}}]
    lines += [
        {"id": f"{key}-{n}", "record": order, "command": {"type": "progress", "report": f"进展 {n}"}} for n in range(30)
    ]
    answer = handler.raw(
        "POST", "/batch", msgspec.json.Encoder().encode_lines(lines), Content_Type="application/x-ndjson"
    )
    told = [json.loads(row) for row in answer.content.splitlines()]
    assert [row["version"] for row in told] == list(range(told[0]["version"], told[0]["version"] + 31))


def test_an_operator_is_told_what_lives_what_is_ready_and_what_was_counted(served: Served):
    registered(served)
    assert served.client.get("/health/live").json() == {"live": True}
    ready = served.client.get("/health/ready").json()
    assert ready["ready"]
    assert set(ready["cities"]) == set(served.names.values())
    text = served.client.get("/metrics").text
    assert 'huiyin_requests_total{operation="register",status="201"}' in text
    assert f'huiyin_ledger_position{{city="{served.names["api"]}"}}' in text


def test_the_log_has_a_line_for_each_request_and_nobodys_name(served: Served):
    trace = secrets.token_hex(16)
    agent = served.as_(Role.AGENT)
    agent.post("/orders", DEMAND, traceparent=f"00-{trace}-{'1' * 16}-01")
    agent.get("/search", q="张三丰")
    log = served.log.read_text(encoding="utf-8")
    line = next(json.loads(row) for row in log.splitlines() if trace in row)
    assert (line["operation"], line["status"], line["role"]) == ("register", 201, "agent")
    assert not [word for word in ("张三丰", "13800001111", "agent-hotline", "Bearer e") if word in log]


def test_the_document_describes_every_operation_and_is_served_with_a_page(served: Served):
    document = served.client.get("/openapi.json").json()
    assert document == json.loads(msgspec.json.encode(openapi.document()))
    assert document["openapi"] == "3.1.0"
    names = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    assert len(names) == len(set(names)) > 200
    references = set(_references(document))
    for reference in references:
        place = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
    body = document["components"]["schemas"]["Register"]
    assert "type" not in body["properties"]
    assert body["properties"]["content"]["x-sealed"]


def test_what_the_document_says_of_a_field_left_out_has_the_form_of_the_field():
    components = openapi.document()["components"]["schemas"]
    told = [
        (name, field, said)
        for name, schema in components.items()
        for field, said in schema.get("properties", {}).items()
        if isinstance(said.get("default"), str) and "minLength" in said
    ]
    assert not [one for one in told if len(one[2]["default"]) < one[2]["minLength"]]
    assert "minLength" in components["Dispatch"]["properties"]["directory"]


def test_the_document_has_a_page_that_shows_all_of_it_and_needs_nothing_from_elsewhere(served: Served):
    shown = served.client.get("/docs")
    assert shown.headers["content-type"].startswith("text/html")
    for methods in openapi.document()["paths"].values():
        for one in methods.values():
            assert f'id="{one["operationId"]}"' in shown.text
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!#|/openapi\.json)[^\s"'>)]""", shown.text)
    assert "fetch(" not in shown.text


def _references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for one in value.values():
            yield from _references(one)
    elif isinstance(value, list):
        for one in value:
            yield from _references(one)


def test_every_command_shows_an_example_of_its_form():
    for name, said in openapi.spoken().items():
        assert said.example is not None
        read_command({**said.example, "type": name})


ELSEWHERE = (
    *("batch", "upload_attachment", "open_attachment", "reset", "log_cosign", "order_bundle", "matter_bundle"),
    *("draw_sample", "sample", "inform_children", "audit_copies"),
    *("archive_batch", "batch_history", "open_batch", "archive_batch_files", "archive_carry_out", "archive_hand_over"),
    *("archive_start_packet", "archive_packet", "archive_packet_content", "archive_dossier"),
    *(
        f"oversight_{word}"
        for word in ("figures", "orders", "order", "text", "text_asked", "topics", "matter", "dossier")
    ),
    *(f"{word}{kind}_instrument" for word in ("", "open_") for kind in ("matter", "inquiry")),
)
"""Operations whose bodies are no JSON, or that need a file, a sandbox, a paper, a drawing, callers, orders by name, a packet or a closed quarter that are there: tried by tests of their own."""


def test_the_examples_of_every_question_are_taken(served: Served):
    """As the document shows them, all at once; only the record is one that is there."""
    order = dispatched(served, "D")
    made = {"order": order, **of_each_kind(served)}
    caller = served.as_(Role.SUPERVISOR)
    caught_up(served, caller.get("").body["position"])
    for operation in OPERATIONS:
        elsewhere = operation.by_code or operation.name in ELSEWHERE or operation.name.startswith("exchange_")
        if operation.command is not None or elsewhere:
            continue
        where = f"/v1/{{city}}{operation.path}"
        said = openapi.document()["paths"][where][operation.method.lower()]
        parts = {p["name"]: p["example"] for p in said["parameters"] if p.get("in") == "path"}
        query = {p["name"]: p.get("example") for p in said["parameters"] if p.get("in") == "query"}
        assert [name for name, value in query.items() if value is None] in ([], ["cursor"]), operation.name
        if "record" in parts:
            parts["record"] = made[operation.kind or "order"]
        past = {name: query.pop(name) for name in ("as_at", "recorded_by") if name in query}
        query.pop("cursor", None)
        if operation.name == "report":
            query.pop("order")  # special reports alone are about cases: tried in test_reports
        query |= {"order": order} if "order" in query else {}
        path = operation.path.format(**parts)
        if operation.method == "GET":
            reply = caller.get(path, **query)
            for name, value in past.items():  # nothing here is as old as the example
                assert caller.get(path, **{name: value}).status in (200, 404), (operation.name, name)
        else:
            body = said["requestBody"]["content"]["application/json"]["example"] if "requestBody" in said else {}
            giver = served.as_(Role.AGENT) if operation.name == "query_code" else caller
            reply = giver.post(path, body)
        assert reply.status == 200, (operation.name, query, reply)


def of_each_kind(served: Served) -> dict[str, str]:
    """Return a record of each kind that is no order, with something sealed in its first entry."""
    bodies = {name: said.example or {} for name, said in openapi.spoken().items()}
    call = secrets.token_hex(6)
    subject = f"00000000-0000-7000-8000-{call}"
    given = (
        ("matter", Role.AGENT, "/matters/new/hand_over_shift", {**bodies["hand_over_shift"], "pending_call_backs": []}),
        ("call", Role.AGENT, "/calls/new/log_call", {**bodies["log_call"], "call_id": call, "disposition": "inquiry"}),
        ("inquiry", Role.OVERSEER_NPC, "/inquiries/new/file_inquiry", bodies["file_inquiry"]),
        ("publication", Role.AUDITOR, "/publications/new/record_verification", bodies["record_verification"]),
        ("subject", Role.SUPERVISOR, f"/subjects/{subject}/restrict_subject", bodies["restrict_subject"]),
    )
    made: dict[str, str] = {}
    for kind, role, path, body in given:
        known = {name: value for name, value in body.items() if name != "order"}
        reply = served.as_(role).post(path, known, Huiyin_Reason="trial")
        assert reply.status == 201, (kind, reply)
        made[kind] = reply.body["id"]
    return made


def test_the_example_of_a_batch_is_taken(served: Served):
    order = dispatched(served, "D")
    line = next(operation.example for operation in OPERATIONS if operation.name == "batch")
    content = json.dumps({**line, "record": order}).encode()
    answer = served.as_(Role.AGENT).raw("POST", "/batch?validate=true", content, Content_Type="application/x-ndjson")
    assert [json.loads(row)["status"] for row in answer.content.splitlines()] == [200]


def test_the_orders_behind_a_figure_its_definition_and_a_spreadsheet(served: Served):
    manager, year = served.as_(Role.HOTLINE_MANAGER), {"from": "2026-01-01", "to": "2027-12-31"}
    position = [registered(served).headers["Ledger-Position"] for _ in range(3)][-1]
    told = manager.get("/indicators", **year, min_position=position).body
    assert (told["closed"], told["closing"]) == (False, None)
    assert told["headline"] == ["I7", "I8", "I9a"]
    assert told["policies"]
    figure = next(f for f in told["figures"] if f["code"] == "I3")
    behind = manager.get("/indicators/I3/orders", **year, side="below", limit="2")
    assert len(behind.body["orders"]) == min(2, figure["below"])
    found, page = len(behind.body["orders"]), behind.body
    while "next" in page:
        page = manager.get("/indicators/I3/orders", **year, side="below", limit="2", cursor=page["next"]).body
        found += len(page["orders"])
    assert found == figure["below"] > 2
    then = manager.get("/indicators", **year, cut_off="1").body
    assert (then["position"], next(f["below"] for f in then["figures"] if f["code"] == "I3")) == (1, 0)
    sheet = manager.get("/indicators", **year, format="csv", only="I3")
    assert sheet.body.startswith(b"\xef\xbb\xbf")
    assert len(sheet.body.splitlines()) == 2
    orders = manager.get("/indicators/I3/orders", **year, side="below", format="csv", limit="200")
    assert len(orders.body.splitlines()) == 1 + min(200, figure["below"])
    assert {d["code"] for d in manager.get("/indicators/definitions").body["definitions"]} >= {"I1", "I10", "I29"}
    for code, says in (("I99", "unknown-entry"), ("I1", "no-orders-behind")):
        assert manager.get(f"/indicators/{code}/orders", **year).body["code"] == says
    ahead = manager.get("/indicators", **year, cut_off="999999")
    assert (ahead.status, ahead.body["code"]) == (409, "cut-off-ahead")
    assert manager.get("/indicators", **year, cut_off="0").status == 400
    assert manager.get("/indicators", **{**year, "from": "0001-01-01"}).status == 200
    assert manager.get("/indicators", **year, only="I99").status == 400
