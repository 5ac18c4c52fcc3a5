"""Many at once: on one order, on one key, at the end of the service; exactly once, nothing lost, no 5xx."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from domain.terms import Role
from tests.api.conftest import CHECKOUT, DEMAND, Served, _wait, dispatched, registered

CLIENTS = 200


async def race(served: Served, token: str, path: str, bodies: list[Any], keys: list[str], **headers: str) -> list[Any]:
    """Send every request at once, each on a connection of its own."""
    limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=served.url, timeout=60, limits=limits) as client:
        said = {"Authorization": f"Bearer {token}", **headers}

        async def one(body: Any, key: str) -> httpx.Response:
            return await client.post(
                f"/v1/{served.names['api']}{path}", json=body, headers={**said, "Idempotency-Key": key}
            )

        return await asyncio.gather(*map(one, bodies, keys))


def test_many_on_one_order_write_one_after_the_other(served: Served):
    order = dispatched(served, "D")
    handler = served.as_(Role.ORG_HANDLER, "D")
    assert handler.post(f"/orders/{order}/sign", {"own_handling": True}).status == 201
    before = handler.get(f"/orders/{order}").body["order"]["version"]
    bodies = [{"report": f"进展 {n}"} for n in range(CLIENTS)]
    keys = [secrets.token_hex(8) for _ in bodies]
    answers = asyncio.run(race(served, handler.token, f"/orders/{order}/progress", bodies, keys))
    assert Counter(answer.status_code for answer in answers) == {201: CLIENTS}
    versions = sorted(answer.json()["version"] for answer in answers)
    assert versions == list(range(before + 1, before + CLIENTS + 1))


def test_of_many_who_sign_for_one_order_one_does(served: Served):
    order = dispatched(served, "D")
    handler = served.as_(Role.ORG_HANDLER, "D")
    before = handler.get(f"/orders/{order}").body["order"]["version"]
    keys = [secrets.token_hex(8) for _ in range(CLIENTS)]
    answers = asyncio.run(race(served, handler.token, f"/orders/{order}/sign", [{}] * CLIENTS, keys))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: CLIENTS - 1}
    assert {answer.json().get("code") for answer in answers} == {None, "already-signed"}
    assert handler.get(f"/orders/{order}").body["order"]["version"] == before + 1


def test_of_many_bodies_under_one_key_one_is_carried_out(served: Served):
    agent, key = served.as_(Role.AGENT), secrets.token_hex(8)
    before = served.as_(Role.AUDITOR).get("").body["position"]
    bodies = [{**DEMAND, "content": f"第{n}种说法。"} for n in range(CLIENTS)]
    answers = asyncio.run(race(served, agent.token, "/orders", bodies, [key] * CLIENTS))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 422: CLIENTS - 1}
    assert {answer.json().get("code") for answer in answers} == {None, "command-id-reused"}
    assert served.as_(Role.AUDITOR).get("").body["position"] == before + 2  # the order and its number


def test_of_many_with_one_if_match_one_wins(served: Served):
    order = dispatched(served, "D")
    handler = served.as_(Role.ORG_HANDLER, "D")
    version = handler.post(f"/orders/{order}/sign", {"own_handling": True}).body["version"]
    bodies = [{"report": "一"} for _ in range(CLIENTS)]
    keys = [secrets.token_hex(8) for _ in bodies]
    match = {"If-Match": f'"{version}"'}
    answers = asyncio.run(race(served, handler.token, f"/orders/{order}/progress", bodies, keys, **match))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 412: CLIENTS - 1}
    assert handler.get(f"/orders/{order}").body["order"]["version"] == version + 1


def test_of_many_with_one_key_all_hear_of_the_same_order(served: Served):
    agent, key = served.as_(Role.AGENT), secrets.token_hex(8)
    before = served.as_(Role.AUDITOR).get("").body["position"]
    answers = asyncio.run(race(served, agent.token, "/orders", [DEMAND] * CLIENTS, [key] * CLIENTS))
    assert Counter(answer.status_code for answer in answers) == {201: CLIENTS}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [answer.json()["replayed"] for answer in answers].count(False) == 1
    assert served.as_(Role.AUDITOR).get("").body["position"] == before + 2  # the order and its number


def test_numbers_on_paper_have_no_gap_when_many_register_at_once(served: Served):
    agent = served.as_(Role.AGENT)
    keys = [secrets.token_hex(8) for _ in range(CLIENTS)]
    answers = asyncio.run(race(served, agent.token, "/orders", [DEMAND] * CLIENTS, keys))
    numbers = sorted(answer.json()["number"] for answer in answers)
    assert len(set(numbers)) == CLIENTS
    series = {number.rpartition("-")[0] for number in numbers}
    if len(series) == 1:  # not across midnight
        counts = [int(number.rpartition("-")[2]) for number in numbers]
        assert counts == list(range(counts[0], counts[0] + CLIENTS))


def test_a_service_whose_processes_were_killed_goes_on(served: Served):
    """Killed at once, the web worker and the one that follows are started again; what was answered is there."""
    with beside(served, "killed.log") as (url, process):
        agent = served.as_(Role.AGENT)
        other = type(agent)(httpx.Client(base_url=url, timeout=30), agent.token, agent.city)
        told = other.post("/orders", DEMAND)
        assert told.status == 201
        children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        assert len(children) >= 2
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 60
        while True:
            try:
                again = other.post("/orders", DEMAND)
                seen = other.get("/orders", min_position=again.headers["Ledger-Position"], limit=1)
                if (again.status, seen.status) == (201, 200):
                    break
            except httpx.TransportError:
                pass
            assert time.monotonic() < until, "it does not come back"
            time.sleep(0.1)
        assert other.get(f"/orders/{told.body['id']}").status == 200
        other.client.close()
        while "following ended" not in (served.home / "killed.log").read_text():
            assert time.monotonic() < until, "the one that follows is not started again"
            time.sleep(0.1)


@contextmanager
def beside(served: Served, name: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Yield a second service over the same city, with its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = served.home / name
    words = ["-m", "scripts.huiyin", "serve", "--port", str(port), "--city", served.names["api"]]
    with log.open("wb") as out:
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONSAFEPATH": "1"}
        environment["HUIYIN_PROXIES"] = "127.0.0.1"
        process = subprocess.Popen([sys.executable, *words], env=environment, stdout=out, stderr=out, cwd=served.home)
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url) as client:
            _wait(client, process, log)
        yield url, process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()[-2000:]


def test_what_was_answered_is_there_after_the_service_was_told_to_end(served: Served):
    """Told to end amid a hundred callers, it writes what it accepted; whoever was answered finds it."""
    with beside(served, "ending.log") as (url, process):
        told = asyncio.run(_until_it_ends(url, served, process))
        process.wait(60)
    assert told
    auditor = served.as_(Role.AUDITOR)
    assert {auditor.get(f"/orders/{order}").status for order in told} == {200}


def test_limits_of_pace_hold_over_all_workers(served: Served):
    """A clerk who goes from one worker to the next opens no more than one who stays; so with wrong codes."""
    order, user = registered(served), f"u{secrets.token_hex(4)}"
    served.as_(Role.ADMIN).post("/institution/grant_role", {"user": user, "role": "agent", "unit": "HOTLINE"})
    token, city = served.token(user, "agent@HOTLINE"), served.names["api"]
    body = {"version": 1, "purpose": "handling", "fields": ["applicant.phone"]}
    knock = {"number": order.body["number"], "code": "000000000000"}
    address = {"X-Forwarded-For": f"203.0.113.{secrets.randbelow(250)}"}
    with beside(served, "pace.log") as (url, _), httpx.Client(base_url=url, timeout=30) as other:
        doors = (served.client, other)
        paths = (f"/v1/{city}/orders/{order.body['id']}/open", f"/v1/{city}/applicant/view")
        said = {"Authorization": f"Bearer {token}"}
        opened = [doors[n % 2].post(paths[0], json=body, headers=said).status_code for n in range(64)]
        guessed = [doors[n % 2].post(paths[1], json=knock, headers=address).status_code for n in range(8)]
    assert (opened[0], opened[-1], opened[-2]) == (200, 429, 429)
    assert (guessed[0], guessed[-1], guessed[-2]) == (404, 429, 429)


async def _until_it_ends(url: str, served: Served, process: subprocess.Popen[bytes]) -> list[str]:
    token, told = served.as_(Role.AGENT).token, []

    async def caller(client: httpx.AsyncClient) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        for _ in range(200):
            said = {**headers, "Idempotency-Key": secrets.token_hex(8)}
            try:
                answer = await client.post(f"/v1/{served.names['api']}/orders", json=DEMAND, headers=said)
            except httpx.TransportError:
                return
            if answer.status_code == 201:
                told.append(answer.json()["id"])
            if len(told) == 100:
                process.send_signal(signal.SIGTERM)

    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        await asyncio.gather(*(caller(client) for _ in range(50)))
    return told
