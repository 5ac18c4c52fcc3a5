"""An applicant's own way in, by number and query code: what it shows, what it takes, and whom it keeps out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import httpx
import pytest

from api import gate
from api.gate import Gate, Pace, Tallies, address_of
from api.operations import APPLICANTS
from api.problems import TooMany
from domain.sealing import plain_code, query_code
from domain.terms import Role
from tests.api.conftest import DEMAND, Reply, Served, caught_up, dispatched, registered

ANSWER = "路灯已于当晚修复。"


def knock(served: Served, what: str, body: dict[str, Any], *, city: str = "api", source: str = "") -> Reply:
    """Ask without a token; `source`: from where, as our proxy says."""
    headers = {"X-Forwarded-For": source} if source else {}
    answer = served.client.post(f"/v1/{served.names.get(city, city)}/applicant/{what}", json=body, headers=headers)
    said = answer.json() if "json" in answer.headers.get("content-type", "") else answer.content
    return Reply(answer.status_code, said, answer.headers)


def known(served: Served, **more: Any) -> dict[str, str]:
    """Register an order, wait until it is listed, and return what its applicant was given."""
    told = registered(served, **more)
    _listed(served, told)
    return {"number": told.body["number"], "code": told.body["query_code"]}


def _listed(served: Served, told: Reply) -> None:
    caught_up(served, told.headers["Ledger-Position"])


def given_code(served: Served, order: str) -> dict[str, str]:
    """Return number and code of an order, as the desk gives them again."""
    told = served.as_(Role.AGENT).post(f"/orders/{order}/query_code", {"purpose": "asked"})
    _listed(served, told)
    return {"number": told.body["number"], "code": told.body["query_code"]}


def answered(served: Served, **more: Any) -> dict[str, str]:
    """Return number and code of an order that was answered, and whose applicant was told."""
    order = dispatched(served, "D", **more)
    handler = served.as_(Role.ORG_HANDLER, "D")
    assert handler.post(f"/orders/{order}/sign", {"own_handling": True}).status == 201
    assert handler.post(f"/orders/{order}/inform_applicant", {"about": "result", "medium": "phone"}).status == 201
    body = {"public_answer": ANSWER, "outcome": "resolved", "handling_report": "内部记载"}
    reply = served.as_(Role.ORG_APPROVER, "D").post(f"/orders/{order}/reply", body)
    assert reply.status == 201, reply
    return given_code(served, order)


def test_registering_tells_the_query_code_and_telling_it_again_is_the_same(served: Served):
    agent = served.as_(Role.AGENT)
    told = agent.post("/orders", DEMAND, key=(key := uuid4().hex))
    again = agent.post("/orders", DEMAND, key=key)
    assert re.fullmatch(r"\d{4}-\d{4}-\d{4}", told.body["query_code"])
    assert again.body["query_code"] == told.body["query_code"]
    brief = agent.post("/orders", DEMAND, Prefer="return=minimal")
    assert brief.body["query_code"] not in (None, told.body["query_code"])
    tried = agent.post("/orders", DEMAND, query={"validate": "true"})
    assert "query_code" not in tried.body


def test_no_table_holds_a_query_code(served: Served):
    told = registered(served).body
    code, stream = told["query_code"], told["stream"]
    entries = json.dumps(served.as_(Role.AUDITOR).get(f"/orders/{told['id']}/history").body)
    assert code not in entries
    assert plain_code(code) not in entries
    assert query_code(b"another ledger's secret", stream) != code


def test_number_and_code_show_how_an_order_stands_and_who_it_is_about_to_nobody(served: Served):
    order = dispatched(served, "D")
    seen = knock(served, "view", given_code(served, order))
    assert seen.status == 200
    shown = seen.body["order"]
    assert (shown["title"], shown["state"], shown["state_title"]) == (DEMAND["title"], "dispatched", "待签收")
    assert shown["unit"] == {"unit": "D", "name": "东区"}
    assert shown["due"]
    assert [stage["stage"] for stage in shown["stages"]] == ["order.order_registered", "order.order_dispatched"]
    assert not [word for word in ("张三丰", "13800001111", "河滨", "agent-hotline", order) if word in str(seen.body)]


@pytest.mark.parametrize(
    "typed",
    [lambda code: code.replace("-", ""), lambda code: f" {code} ", lambda code: code.translate(_WIDE)],
    ids=["without dashes", "with blanks", "in wide digits"],
)
def test_a_code_is_taken_as_people_write_it(served: Served, typed: Any):
    shown = known(served)
    assert knock(served, "view", {**shown, "code": typed(shown["code"])}).status == 200


def test_an_applicant_prints_what_they_are_told_and_nobody_is_named_in_it(served: Served):
    shown = answered(served)
    url = f"/v1/{served.names['api']}/applicant/sheet"
    told = served.client.post(url, json=shown)
    assert told.status_code == 200, told.text
    assert told.headers["content-type"].startswith("text/html")
    assert all(
        word in told.text for word in (shown["number"], DEMAND["title"], ANSWER, "办理期限", "applicant/evaluate")
    )
    assert not [word for word in ("张三丰", "13800001111", shown["code"], "内部记载") if word in told.text]
    pdf = served.client.post(url, json=shown, headers={"Accept": "application/pdf"})
    assert (pdf.headers["content-type"], pdf.content[:8]) == ("application/pdf", b"%PDF-1.7")
    waiting = served.client.post(url, json=known(served))
    assert "尚未答复" in waiting.text
    wrong = served.client.post(url, json={**shown, "code": "0000-0000-0001"})
    assert (wrong.status_code, wrong.json()["code"]) == (404, "number-and-code-unfit")


def test_a_number_that_nobody_can_print_is_none(served: Served):
    shown = known(served)
    for number in ("\0", f"{shown['number']}\0"):
        reply = knock(served, "view", {**shown, "number": number})
        assert (reply.status, reply.body["code"]) == (404, "number-and-code-unfit")


_WIDE = {ord(str(n)): chr(0xFF10 + n) for n in range(10)}


def test_a_wrong_code_and_an_order_that_is_not_there_are_answered_alike(served: Served):
    shown = known(served)
    wrong = {**shown, "code": _another(shown["code"])}
    absent = {**shown, "number": shown["number"][:-6] + "999999"}
    partly = {**shown, "number": shown["number"][:-2]}
    others = known(served)
    replies = [knock(served, "view", body) for body in (wrong, absent, partly, {**shown, "code": others["code"]})]
    assert {reply.status for reply in replies} == {404}
    assert len({json.dumps(reply.body, sort_keys=True) for reply in replies}) == 1
    assert replies[0].body["code"] == "number-and-code-unfit"
    assert {k for reply in replies for k in reply.headers} == set(replies[0].headers)
    elsewhere = knock(served, "view", shown, city="other")
    assert (elsewhere.status, elsewhere.body["code"]) == (404, "number-and-code-unfit")
    assert knock(served, "view", shown, city="nowhere").body["code"] == "unknown-city"


def _another(code: str) -> str:
    return ("1" if code[0] != "1" else "2") + code[1:]


def test_a_code_opens_nothing_but_the_applicants_own_way(served: Served):
    shown = known(served)
    for path in ("/orders", f"/orders/{shown['number']}", f"/orders/{shown['number']}/history"):
        answer = served.client.get(
            f"/v1/{served.names['api']}{path}", headers={"Authorization": f"Bearer {shown['code']}"}
        )
        assert answer.status_code == 401, path


@pytest.mark.parametrize(
    ("what", "body", "status"),
    [
        ("view", {"number": "x"}, 422),
        ("view", {"number": "x", "code": 5}, 422),
        ("view", {"number": "x" * 101, "code": "1"}, 422),
        ("view", {"number": "' OR 1=1 --", "code": "'; DROP TABLE orders; --"}, 404),
        ("view", {"number": "x", "code": "１" * 41}, 422),
        ("urge", {"number": "x", "code": "1", "words": ""}, 422),
        ("evaluate", {"number": "x", "code": "1"}, 422),
        ("evaluate", {"number": "x", "code": "1", "ratings": {"result": "splendid"}}, 422),
    ],
)
def test_what_does_not_fit_is_refused_and_writes_nothing(served: Served, what: str, body: dict[str, Any], status: int):
    before = served.as_(Role.AUDITOR).get("").body["position"]
    assert knock(served, what, body).status == status
    assert served.as_(Role.AUDITOR).get("").body["position"] == before


# --- the answer --------------------------------------------------------------------------------------------------


def test_a_reply_is_read_after_the_applicant_was_told_and_the_journal_says_so(served: Served):
    shown = answered(served)
    seen = knock(served, "view", shown).body["order"]
    assert [(r["no"], r["released"]) for r in seen["replies"]] == [(1, True)]
    before = served.as_(Role.AUDITOR).get("").body["position"]
    read = knock(served, "answer", shown)
    assert (read.status, read.body["answer"]) == (200, ANSWER)
    assert "内部" not in str(read.body)
    day = read.body["seen_at"][:10]
    entries = served.as_(Role.AUDITOR).get(f"/access/{day}", limit=200).body["entries"]
    logged = [entry for entry in entries if entry["position"] > before]
    assert [(e["actor"]["role"], e["event"]["fields"], e["event"]["purpose"]) for e in logged] == [
        ("citizen", ["public_answer"], "applicant")
    ]


def test_what_was_not_answered_is_not_read(served: Served):
    reply = knock(served, "answer", known(served))
    assert (reply.status, reply.body["code"]) == (404, "not-answered-yet")


def test_whoever_gave_no_name_reads_the_answer_under_the_code(served: Served):
    order = dispatched(served, "D", anonymous=True, applicant=None)
    assert served.as_(Role.ORG_HANDLER, "D").post(f"/orders/{order}/sign", {"own_handling": True}).status == 201
    body = {"public_answer": ANSWER, "outcome": "resolved", "publish": True}
    reply = served.as_(Role.ORG_APPROVER, "D").post(f"/orders/{order}/reply", body)
    assert reply.status == 201, reply
    shown = given_code(served, order)
    assert knock(served, "answer", shown).body["answer"] == ANSWER


# --- urging and evaluating ---------------------------------------------------------------------------------------


def test_urging_counts_once_a_day_and_other_words_are_told_so(served: Served):
    shown = known(served)
    first = knock(served, "urge", {**shown, "words": "还没有人来"})
    same = knock(served, "urge", {**shown, "words": "还没有人来"})
    other = knock(served, "urge", {**shown, "words": "急"})
    assert (first.status, same.status, other.status) == (201, 200, 409)
    assert (first.body["replayed"], same.body["replayed"]) == (False, True)
    assert other.body["code"] == "urged-today"
    assert knock(served, "view", shown).body["order"]["urged"] == 1


def test_an_applicant_evaluates_once_for_a_reply(served: Served):
    shown = answered(served)
    rating = {**shown, "ratings": {"result": "satisfied"}, "words": "谢谢"}
    first, same = knock(served, "evaluate", rating), knock(served, "evaluate", rating)
    other = knock(served, "evaluate", {**rating, "ratings": {"result": "dissatisfied"}})
    assert (first.status, same.status, other.status) == (201, 200, 409)
    assert other.body["code"] == "already-rated"
    seen = knock(served, "view", shown).body["order"]["evaluations"]
    assert [(e["source"], e["ratings"]) for e in seen] == [("citizen_self", {"result": "satisfied"})]


def test_what_is_not_answered_is_not_evaluated(served: Served):
    reply = knock(served, "evaluate", {**known(served), "ratings": {"result": "satisfied"}})
    assert (reply.status, reply.body["code"]) == (409, "wrong-state")


def test_of_many_who_urge_with_one_code_one_is_recorded(served: Served):
    shown = known(served)

    async def race() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=100)
        path = f"/v1/{served.names['api']}/applicant/urge"
        async with httpx.AsyncClient(base_url=served.url, timeout=60, limits=limits) as client:
            return await asyncio.gather(*(client.post(path, json={**shown, "words": "催办"}) for _ in range(100)))

    answers = asyncio.run(race())
    counts = Counter(answer.status_code for answer in answers)
    assert set(counts) <= {200, 201, 429}
    assert counts[201] == 1
    assert counts[200] >= 50
    fresh = [answer.json()["replayed"] for answer in answers if answer.status_code < 300]
    assert fresh.count(False) == 1
    history = served.as_(Role.AGENT).get(f"/orders/{shown['number']}/history").body["entries"]
    assert [entry["type"] for entry in history].count("order.applicant_urged") == 1
    if counts[429]:
        assert {int(a.headers["Retry-After"]) for a in answers if a.status_code == 429} <= set(range(1, 61))


def test_the_examples_of_the_applicants_operations_are_taken(served: Served):
    """As the document shows them; only number and code are those of an order that is there."""
    shown = answered(served)
    for operation in APPLICANTS:
        reply = knock(served, operation.path.rpartition("/")[2], {**operation.example, **shown})
        assert reply.status in (200, 201), (operation.name, reply)


# --- who tries too often -----------------------------------------------------------------------------------------


def test_whoever_guesses_waits_and_the_applicant_elsewhere_does_not(served: Served):
    shown = known(served)
    wrong = {**shown, "code": _another(shown["code"])}
    tries = [knock(served, "view", wrong, source="203.0.113.7") for _ in range(gate.WRONG_HERE + 1)]
    assert [reply.status for reply in tries] == [404] * gate.WRONG_HERE + [429]
    assert 1 <= int(tries[-1].headers["Retry-After"]) <= 60
    assert knock(served, "view", shown, source="203.0.113.7").status == 429
    assert knock(served, "view", shown, source="198.51.100.1").status == 200
    assert knock(served, "view", known(served), source="203.0.113.7").status == 200


class Watch:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 22, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def paces(tmp_path: Path) -> Iterator[IO[bytes]]:
    """The file in which the workers of a machine count."""
    path = tmp_path / "paces"
    path.touch()
    with path.open("r+b", buffering=0) as file:
        yield file


@pytest.fixture
def tallies(paces: IO[bytes]) -> Tallies:
    """What one worker counts."""
    return Tallies(paces, os.urandom)


def _waits(door: Gate, watch: Watch, address: str, order: str) -> int:
    try:
        door.enter(address, order)
    except TooMany as error:
        waited = error.facts["retry_after"]
        assert isinstance(waited, int)
        watch.at += timedelta(seconds=waited)
        return waited
    return 0


def test_waiting_doubles_up_to_a_quarter_of_an_hour_and_trying_meanwhile_does_not_lengthen_it(tallies: Tallies):
    watch = Watch()
    door = Gate(watch, tallies)
    waits: list[int] = []
    for _ in range(12):
        waits.append(_waits(door, watch, "a", "1"))
        door.enter("a", "1")
        door.failed("a", "1")
    assert waits == [0] * gate.WRONG_HERE + [60, 120, 240, 480, 900, 900, 900]
    for _ in range(30):
        with pytest.raises(TooMany) as told:
            door.enter("a", "1")
        assert told.value.facts["retry_after"] == 900
        watch.at += timedelta(milliseconds=1)
    door.enter("b", "1")
    watch.at += timedelta(minutes=15)
    door.enter("a", "1")
    door.opened("a", "1")
    door.failed("a", "1")
    door.enter("a", "1")


def test_an_address_that_errs_at_many_orders_waits_at_all_of_them(tallies: Tallies):
    watch = Watch()
    door = Gate(watch, tallies)
    for number in range(gate.WRONG_ANYWHERE):
        door.enter("a", str(number))
        door.failed("a", str(number))
    with pytest.raises(TooMany):
        door.enter("a", "another")
    door.enter("b", "another")


def test_who_knows_the_code_is_heard_so_many_times_a_minute(tallies: Tallies):
    watch = Watch()
    door = Gate(watch, tallies)
    for _ in range(gate.BY_ORDER):
        door.opened("a", "1")
    with pytest.raises(TooMany):
        door.opened("b", "1")
    watch.at += timedelta(seconds=2)
    door.opened("b", "1")


def test_what_is_remembered_is_bounded(paces: IO[bytes]):
    watch = Watch()
    tallies = Tallies(paces, os.urandom, most=80)
    door = Gate(watch, tallies)
    for number in range(5000):
        watch.at += timedelta(milliseconds=1)
        door.enter(f"{number}", f"{number}")
        door.failed(f"{number}", f"{number}")
    assert tallies.remembered() == 160
    door.failed("4999", "4999")
    for _ in range(gate.WRONG_HERE - 2):
        door.failed("4999", "4999")
    with pytest.raises(TooMany):
        door.enter("4999", "4999")  # of the last the count still stands


def test_what_one_worker_counts_holds_at_the_others(paces: IO[bytes]):
    watch = Watch()
    with Path(paces.name).open("r+b", buffering=0) as other:
        here, there = Tallies(paces, os.urandom), Tallies(other, os.urandom)
        for _ in range(gate.WRONG_HERE + 1):
            Gate(watch, here).failed("a", "1")
        with pytest.raises(TooMany):
            Gate(watch, there).enter("a", "1")
        Gate(watch, there).enter("b", "1")
        opening = [Pace(3, watch, tallies) for tallies in (here, there)]
        for number in range(3):
            opening[number % 2].step("somebody")
        for pace in opening:
            with pytest.raises(TooMany):
                pace.step("somebody")
            pace.step("another")


def test_acts_are_so_many_in_any_minute_and_go_on_after_it(tallies: Tallies):
    watch = Watch()
    pace = Pace(60, watch, tallies)
    done = 0
    for _ in range(600):  # three minutes, of which each second half is as full as the first
        watch.at += timedelta(milliseconds=300)
        with contextlib.suppress(TooMany):
            pace.step("somebody")
            done += 1
    assert 150 <= done <= 180
    watch.at += timedelta(minutes=2)
    pace.step("somebody")


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.7", "", "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # a stranger's own words
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.66, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("::ffff:10.0.0.1", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
    ],
)
def test_an_address_is_what_our_own_proxies_say(peer: str, forwarded: str, found: str):
    assert address_of(peer, forwarded, (ip_network("10.0.0.0/8"),)) == found
