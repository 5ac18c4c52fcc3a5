"""Webhooks: a real receiver gets what is agreed, signed, in order, once if all goes well and never less than once."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import stat
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from cloudevents.core.formats.json import JSONFormat
from psycopg import sql
from standardwebhooks import Webhook

from api.pushing import Answered, Courier, Endpoint, Manner, Message, Sender, may_reach, unfit_url
from domain.ledger import Ledger
from domain.matters.publications import DataPushed
from domain.terms import Role
from projections.consumers import Consumers, Standing
from scripts import serving, wiring
from scripts.huiyin import huiyin
from tests.api.conftest import DEMAND, Served
from tests.api.test_sharing import PERSONS, agreed

FAST = Manner(timeout=2.0, first_pause=0.02, longest_pause=0.1, every=3600.0)
SECRET = "whsec_" + "c2VjcmV0" * 5
OTHER = "whsec_" + "b3RoZXI0" * 5


class Received:
    """One request, as it came."""

    def __init__(self, headers: dict[str, str], body: bytes) -> None:
        self.headers = headers
        self.body = body

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def position(self) -> int:
        return int(self.id.rpartition("-")[2])


class Receiver:
    """A consumer's system: keeps what came, and answers what it is told to."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.answer: Callable[[Received], int] = lambda _: 204
        self.url = ""

    @property
    def positions(self) -> list[int]:
        return [one.position for one in self.requests]

    def wait(self, number: int, seconds: float = 60.0) -> None:
        until = time.monotonic() + seconds
        while len(self.requests) < number:
            assert time.monotonic() < until, f"{len(self.requests)} of {number} came"
            time.sleep(0.02)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Listen at this machine."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            one = Received({name.lower(): value for name, value in self.headers.items()}, body)
            receiver.requests.append(one)
            status = receiver.answer(one)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", receiver.url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's own
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


def registered(served: Served, times: int, city: str = "other") -> list[str]:
    """Register orders; return their streams."""
    agent = served.as_(Role.AGENT, city=city)
    found = [agent.post("/orders", DEMAND) for _ in range(times)]
    assert {one.status for one in found} == {201}
    return [f"order:{one.body['id']}" for one in found]


@asynccontextmanager
async def couriers(
    served: Served, endpoints: dict[str, Endpoint], manner: Manner, *, number: int = 1
) -> AsyncIterator[tuple[Ledger, Consumers, list[Courier]]]:
    """Open couriers of the other city, which nobody else's endpoints are in."""
    city = served.names["other"]
    async with (
        await wiring.open_city(served.database, city) as ledger,
        Consumers(served.database.app, city) as consumers,
    ):
        made = [
            Courier(ledger, consumers, lambda: endpoints, holder=f"h{n}", now=wiring.process_now, manner=manner)
            for n in range(number)
        ]
        try:
            yield ledger, consumers, made
        finally:
            for one in made:
                await one.close()


async def told(courier: Courier, until: Callable[[], bool], seconds: float = 60.0) -> None:
    """Let a courier tell until something is so."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "it does not come to that"
        await courier.tell()
        await asyncio.sleep(0.01)


async def standing(consumers: Consumers, consumer: str) -> Standing:
    return next(one for one in await consumers.standing() if one.consumer == consumer)


# --- through the service -----------------------------------------------------------------------------------------


def test_a_delivery_of_the_service_is_verified_by_the_standard_s_own_reader(served: Served):
    city = served.names["api"]
    consumer, _ = agreed(served, shared_fields=["category", "place"])
    with receiving() as receiver:
        secret = wiring.write_endpoint(city, consumer, receiver.url)
        [stream] = registered(served, 1, "api")
        receiver.wait(1)
        wiring.write_endpoint(city, consumer, None)
    one = receiver.requests[0]
    assert Webhook(secret).verify(one.body, one.headers)["subject"] == stream
    event = JSONFormat().read(None, one.body)
    assert event.get_type() == "huiyin.order.order_registered"
    data = event.get_data()
    assert isinstance(data, dict)
    assert data["fields"] == {"category": DEMAND["category"], "place": DEMAND["place"]}
    assert one.headers["content-type"] == "application/cloudevents+json"
    with pytest.raises(Exception, match="signature"):
        Webhook(OTHER).verify(one.body, one.headers)


def test_a_worker_killed_in_the_middle_of_a_delivery_leaves_nothing_out(served: Served):
    city = served.names["other"]
    consumer, _ = agreed(served, city="other")
    with receiving() as receiver:
        receiver.answer = lambda _: time.sleep(0.3) or 204
        streams = registered(served, 8)
        wiring.write_endpoint(city, consumer, receiver.url)
        process = multiprocessing.get_context("spawn").Process  # the service's own workers may take part, too
        first = process(target=serving.follow, args=([city], os.getpid()))
        first.start()
        receiver.wait(3)
        first.kill()
        first.join()
        second = process(target=serving.follow, args=([city], os.getpid()))
        second.start()
        try:
            until = time.monotonic() + 90
            while {json.loads(one.body)["subject"] for one in receiver.requests} < set(streams):
                assert time.monotonic() < until
                time.sleep(0.05)
        finally:
            second.terminate()
            second.join(30)
            wiring.write_endpoint(city, consumer, None)
    firsts = list(dict.fromkeys(receiver.positions))
    assert firsts == sorted(firsts)
    assert len(receiver.positions) - len(firsts) <= 2  # what was under way when the worker died comes again


# --- one courier -------------------------------------------------------------------------------------------------


async def test_what_fails_is_tried_again_under_the_same_id_and_the_next_waits_for_it(served: Served):
    consumer, _ = agreed(served, city="other")
    registered(served, 3)
    with receiving() as receiver:
        receiver.answer = lambda one: 204 if receiver.positions.count(one.position) > 2 else 500
        async with couriers(served, {consumer: Endpoint(receiver.url, (SECRET,))}, FAST) as (_, consumers, (courier,)):
            await told(courier, lambda: len(receiver.requests) == 9)
            assert (await standing(consumers, consumer)).delivered == 3
    a, b, c = dict.fromkeys(receiver.positions)
    assert receiver.positions == [a] * 3 + [b] * 3 + [c] * 3
    bodies = {one.id: one.body for one in receiver.requests}
    assert all(bodies[one.id] == one.body for one in receiver.requests)
    assert all(Webhook(SECRET).verify(one.body, one.headers) for one in receiver.requests)


async def test_a_consumer_that_rests_is_left_alone_and_says_why(served: Served):
    consumer, _ = agreed(served, city="other")
    registered(served, 1)
    slow = FAST._replace(first_pause=3600.0, longest_pause=3600.0)
    with receiving() as receiver:
        receiver.answer = lambda _: 503
        async with couriers(served, {consumer: Endpoint(receiver.url, (SECRET,))}, slow) as (_, consumers, (courier,)):
            for _ in range(5):
                await courier.tell()
            now = await standing(consumers, consumer)
            assert (len(receiver.requests), now.tries, now.error) == (1, 1, "HTTP 503")
            assert now.retry_at is not None
            assert await consumers.replay(consumer, now.position)  # an operator's word ends the rest
            receiver.answer = lambda _: 200
            await told(courier, lambda: len(receiver.requests) == 2, 30)


async def test_what_is_given_up_is_a_dead_letter_and_in_the_ledger_and_the_next_goes_on(served: Served):
    consumer, _ = agreed(served, city="other")
    lost, kept = registered(served, 2)
    giving_up = FAST._replace(give_up=timedelta())
    with receiving() as receiver:
        receiver.answer = lambda one: 500 if lost.encode() in one.body else 204
        async with couriers(served, {consumer: Endpoint(receiver.url, (SECRET,))}, giving_up) as (
            ledger,
            consumers,
            (courier,),
        ):
            await told(courier, lambda: any(kept.encode() in one.body for one in receiver.requests))
            [letter] = await consumers.dead(consumer)
            assert (letter.type, letter.error) == ("order.order_registered", "HTTP 500")
            pushed = [e.event for e in await ledger.read(letter.position, 1000) if isinstance(e.event, DataPushed)]
            mine = [event for event in pushed if event.consumer == consumer]
            assert [(event.from_position, event.failure) for event in mine] == [(letter.position, "HTTP 500")]
            receiver.answer = lambda _: 204
            before = len(receiver.requests)
            assert await consumers.replay(consumer, letter.position - 1)
            await told(courier, lambda: len(receiver.requests) == before + 2)
            assert receiver.requests[before].position == letter.position
            assert await consumers.dead(consumer) == ()
            assert [one.id for one in receiver.requests[before:]] == [
                receiver.requests[0].id,
                next(one.id for one in receiver.requests if kept.encode() in one.body),
            ]


async def test_of_two_workers_one_tells_and_each_message_goes_out_once(served: Served):
    consumer, _ = agreed(served, city="other")
    with receiving() as receiver:
        async with couriers(served, {consumer: Endpoint(receiver.url, (SECRET,))}, FAST, number=3) as (_, _, made):
            running = [asyncio.create_task(one.keep_telling(0.01)) for one in made]
            streams = await asyncio.to_thread(registered, served, 12)
            await asyncio.to_thread(receiver.wait, 12)
            await asyncio.sleep(0.3)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
    assert [json.loads(one.body)["subject"] for one in receiver.requests] == streams
    assert receiver.positions == sorted(set(receiver.positions))


async def test_a_consumer_that_is_slow_keeps_no_other_waiting(served: Served):
    slow, _ = agreed(served, city="other")
    quick, _ = agreed(served, city="other")
    registered(served, 5)
    with receiving() as dull, receiving() as bright:
        dull.answer = lambda _: time.sleep(1.0) or 204
        endpoints = {slow: Endpoint(dull.url, (SECRET,)), quick: Endpoint(bright.url, (SECRET,))}
        async with couriers(served, endpoints, FAST) as (_, _, (courier,)):
            running = asyncio.create_task(courier.keep_telling(0.01))
            await asyncio.to_thread(bright.wait, 5)
            behind = len(dull.requests)
            await asyncio.to_thread(registered, served, 1)
            await asyncio.to_thread(bright.wait, 6)
            assert max(behind, len(dull.requests)) < 6
            await asyncio.to_thread(dull.wait, 6)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_an_agreement_that_ends_in_the_middle_of_a_page_ends_it_there(served: Served):
    consumer, _ = agreed(served, city="other")
    registered(served, 6)
    body = {"consumer": consumer, "reason": "停用"}
    with receiving() as receiver:

        def end(one: Received) -> int:
            if len(receiver.requests) == 2:
                reply = served.as_(Role.SUPERVISOR, city="other").post("/institution/end_share_agreement", body)
                assert reply.status == 201
                time.sleep(0.5)
            return 204

        receiver.answer = end
        async with couriers(served, {consumer: Endpoint(receiver.url, (SECRET,))}, FAST) as (_, _, (courier,)):
            running = asyncio.create_task(courier.keep_telling(0.01))
            await asyncio.to_thread(receiver.wait, 2)
            await asyncio.sleep(1.5)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert len(receiver.requests) == 2


async def test_a_turn_that_breaks_is_noted_and_the_next_consumer_is_told(
    served: Served, caplog: pytest.LogCaptureFixture
):
    broken, _ = agreed(served, city="other")
    sound, _ = agreed(served, city="other")
    registered(served, 1)
    with receiving() as receiver:
        endpoints = {broken: Endpoint(receiver.url, ("whsec_x",)), sound: Endpoint(receiver.url, (SECRET,))}
        async with couriers(served, endpoints, FAST) as (_, consumers, (courier,)):
            await told(courier, lambda: len(receiver.requests) == 1)
            assert (await standing(consumers, sound)).delivered == 1
            assert (await standing(consumers, broken)).delivered == 0
    assert f"telling {broken}: Error" in caplog.text


async def test_what_was_delivered_is_written_down_once_with_what_it_was(served: Served):
    consumer, _ = agreed(served, city="other")
    registered(served, 4)
    often = FAST._replace(every=0.0)
    with receiving() as receiver:
        async with couriers(served, {consumer: Endpoint(receiver.url, (SECRET,))}, often) as (
            ledger,
            _,
            (courier,),
        ):
            await told(courier, lambda: len(receiver.requests) == 4)
            until = time.monotonic() + 30
            mine: list[DataPushed] = []
            while not mine:
                assert time.monotonic() < until
                registered(served, 1)
                await courier.tell()
                entries = await ledger.read(receiver.positions[0], 1000)
                mine = [e.event for e in entries if isinstance(e.event, DataPushed) and e.event.consumer == consumer]
    assert len(mine) == 1
    assert (mine[0].events, mine[0].from_position) == (4, receiver.positions[0])
    assert receiver.positions[3] <= mine[0].to_position
    assert mine[0].failure is None


async def test_nothing_that_is_pushed_names_anybody_nor_the_ledger_a_secret(served: Served):
    from domain import kinds, sharing  # noqa: PLC0415  the widest agreement there can be

    types, fields = sorted(kinds.TOLD), sorted(sharing.SHAREABLE)
    consumer, _ = agreed(served, city="other", event_types=types, shared_fields=fields)
    [stream] = registered(served, 1)
    record = stream.replace("order:", "/orders/")
    body = {"lead": "D", "kind": "ordinary", "basis": "territory", "note": "请联系张三丰 13800001111"}
    assert served.as_(Role.DISPATCHER, city="other").post(f"{record}/dispatch", body).status == 201
    progress = {"report": "已联系张三丰, 13800001111"}
    assert served.as_(Role.ORG_HANDLER, "D", city="other").post(f"{record}/progress", progress).status == 201
    with receiving() as receiver:
        async with couriers(served, {consumer: Endpoint(receiver.url, (SECRET,))}, FAST) as (_, consumers, (courier,)):
            await courier.tell()
            assert await consumers.replay(consumer, 0)  # all there is, from the first event
            head = int(served.as_(Role.SUPERVISOR, city="other").get("").body["position"])
            await told(courier, lambda: 1 in receiver.positions and receiver.positions[-1] > head - 20)
    pushed = b"".join(one.body + repr(one.headers).encode() for one in receiver.requests)
    assert len(receiver.requests) > 20
    assert stream.encode() in pushed
    for word in (*PERSONS, '"box"', "org-handler-d", "dispatcher-hotline", "whsec_"):
        assert word.encode() not in pushed, word
    with psycopg.connect(served.database.superuser) as connection:
        for table in ("events", "commits"):
            said = sql.SQL("SELECT count(*) FROM {} AS t WHERE t::text LIKE '%whsec%'")
            asked = said.format(sql.Identifier(served.names["other"], table))
            assert connection.execute(asked).fetchone() == (0,)


# --- where a message may go --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "plain", "allowed"),
    [
        ("8.8.8.8", False, True),
        ("8.8.8.8", True, False),
        ("127.0.0.1", True, True),
        ("::1", False, True),
        ("10.1.2.3", False, False),
        ("192.168.0.1", False, False),
        ("169.254.169.254", False, False),
        ("100.64.0.1", False, False),
        ("0.0.0.0", False, False),
        ("224.0.0.1", False, False),
        ("::ffff:10.1.2.3", False, False),
        ("fe80::1%eth0", False, False),
        ("fd00::1", False, False),
    ],
)
def test_a_message_goes_to_public_addresses_over_tls_and_to_this_machine(address: str, plain: bool, allowed: bool):
    assert may_reach(address, plain=plain, networks=()) is allowed


def test_a_private_network_is_told_where_the_settings_name_it():
    networks = [ip_network("10.20.0.0/16"), ip_network("fd00::/64")]
    assert may_reach("10.20.3.4", plain=True, networks=networks)
    assert may_reach("::ffff:10.20.3.4", plain=False, networks=networks)
    assert may_reach("fd00::1", plain=True, networks=networks)
    assert not may_reach("10.21.0.1", plain=False, networks=networks)


@pytest.mark.parametrize(
    "url",
    ["ftp://x/", "http:///x", "https://u:p@x/", "https://x:0/", "https://x/#a", "https://例.cn/", "x", "https://x:y/"],
)
def test_an_address_that_is_none_for_a_message_is_told_so(url: str):
    assert unfit_url(url)
    assert not unfit_url("https://hooks.example:8443/a?b=c")


async def _sent(url: str, manner: Manner = FAST) -> Answered:
    sender = Sender(manner)
    try:
        return await sender.send(Endpoint(url, (SECRET,)), Message("x-1", b"{}"), wiring.process_now())
    finally:
        await sender.close()


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/",
        "http://192.168.1.1/",
        "https://[::ffff:10.0.0.1]/",
        "http://169.254.169.254/latest",
        "HTTP://1.1.1.1/",
    ],
)
async def test_nothing_is_sent_to_where_it_may_not_go(url: str):
    assert "address not allowed" in (await _sent(url)).error


async def test_a_redirect_is_no_way_to_somewhere_else_and_slowness_ends():
    with receiving() as receiver:
        receiver.answer = lambda _: 302
        assert (await _sent(receiver.url)).error == "HTTP 302"
        assert len(receiver.requests) == 1
        receiver.answer = lambda _: time.sleep(1.0) or 204
        assert (await _sent(receiver.url, FAST._replace(timeout=0.2))).error == "time-out"


async def test_both_secrets_sign_while_a_consumer_changes_from_one_to_the_other():
    new = "whsec_" + "bmV3bmV3" * 4
    with receiving() as receiver:
        sender = Sender(FAST)
        message = Message("x-1", b'{"a": 1}')
        assert not (await sender.send(Endpoint(receiver.url, (new, SECRET)), message, wiring.process_now())).error
        await sender.close()
    one = receiver.requests[0]
    for secret in (new, SECRET):
        assert Webhook(secret).verify(one.body, one.headers) == {"a": 1}


# --- at the terminal ---------------------------------------------------------------------------------------------


def _run(*words: str) -> str:
    done = CliRunner().invoke(huiyin, list(words))
    assert done.exit_code == 0, done.output
    return done.output


def test_an_operator_sees_agreements_endpoints_deliveries_and_tells_again(served: Served):
    city = served.names["api"]
    consumer, _ = agreed(served)
    with receiving() as receiver:
        secret = _run("endpoint", consumer, receiver.url, "--city", city).splitlines()[-1]
        assert secret.startswith("whsec_")
        assert stat.S_IMODE(wiring.endpoints_file(city).stat().st_mode) == 0o600
        registered(served, 1, "api")
        receiver.wait(1)
        assert "推送" in _run("agreements", "--city", city)
        assert secret not in _run("agreements", "--city", city, "--json")
        [now] = json.loads(_run("pushes", consumer, "--city", city, "--json"))
        assert now["consumer"] == consumer
        position = receiver.requests[0].position
        _run("replay", consumer, "--after", str(position - 1), "--city", city)
        receiver.wait(2)
        assert receiver.requests[1].id == receiver.requests[0].id
        assert Webhook(secret).verify(receiver.requests[1].body, receiver.requests[1].headers)
        assert consumer in {
            one["consumer"] for one in json.loads(_run("status", "--city", city, "--json"))["consumers"]
        }
        assert "推送 pushes" in _run("status", "--city", city)
        assert "死信" in _run("pushes", "--dead", "--city", city)
        _run("endpoint", consumer, "--remove", "--city", city)
    assert consumer not in wiring.read_endpoints(city)


def test_what_an_operator_mistakes_is_said(served: Served):
    city = served.names["api"]
    for words in (
        ("endpoint", "x", "--city", city),
        ("endpoint", "x", "ftp://x/", "--city", city),
        ("replay", "nobody", "--after", "1", "--city", city),
        ("replay", "nobody", "--after", "999999999", "--city", city),
    ):
        done = CliRunner().invoke(huiyin, list(words))
        assert done.exit_code != 0, words
