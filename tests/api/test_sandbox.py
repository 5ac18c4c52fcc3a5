"""A city to try things in: the same API, and a reset while it is served; a real one is never reset."""

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
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import httpx
import pytest

from api.problems import AnotherLedger, NotASandbox, PositionAhead, SandboxResetting
from domain.ledger import create
from domain.refusals import LedgerExists
from domain.terms import Role
from scripts import embedded, sandboxes, wiring
from scripts.sandboxes import Template
from scripts.wiring import SettingError
from tests.api.conftest import CHECKOUT, DEMAND, Caller, Served, _wait

SCRIPT = sandboxes.CASES / "s0.jsonl"


class Sandbox(NamedTuple):
    """A sandbox that is served, by two workers."""

    name: str
    url: str
    client: httpx.Client
    served: Served

    def as_(self, user: str, role: str) -> Caller:
        """Return a caller of the sandbox."""
        return Caller(self.client, self.served.token(user, role, cities=(self.name,)), self.name)


@pytest.fixture(scope="module")
def sandbox(served: Served) -> Iterator[Sandbox]:
    name = f"sand_{secrets.token_hex(3)}"
    template = Template(policy="S0", title="演练市", script=True)
    asyncio.run(sandboxes.make(served.database, name, template, SCRIPT))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = served.home / "sandbox.log"
    words = ["-m", "scripts.huiyin", "serve", "--port", str(port), "--workers", "2", "--city", name]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONSAFEPATH": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, *words], env=environment, stdout=out, stderr=out)
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, timeout=60) as client:
            _wait(client, process, log)
            yield Sandbox(name, url, client, served)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()[-3000:]


def admin(sandbox: Sandbox) -> Caller:
    return sandbox.as_("admin", "admin@HOTLINE")


def agent(sandbox: Sandbox) -> Caller:
    """Return somebody who registers: the machines' role needs no grant."""
    return sandbox.as_("system", "system")


def everywhere(sandbox: Sandbox, ledger: str) -> None:
    """Wait until every worker serves a ledger: each answers the same so many times in a row, on new connections."""
    seen, until = 0, time.monotonic() + 30
    while seen < 20:
        answer = httpx.get(
            f"{sandbox.url}/v1/{sandbox.name}/ping", headers={"Authorization": f"Bearer {admin(sandbox).token}"}
        )
        seen = seen + 1 if answer.headers.get("Huiyin-Ledger") == ledger and answer.status_code == 200 else 0
        assert time.monotonic() < until


def turned(sandbox: Sandbox) -> str:
    """Reset the sandbox, and return its ledger."""
    reply = admin(sandbox).post("/reset")
    assert reply.status == 200, reply
    everywhere(sandbox, reply.body["ledger"])
    return reply.body["ledger"]


def test_a_sandbox_has_the_api_of_a_city_and_says_what_it_is(sandbox: Sandbox):
    told = admin(sandbox).get("")
    assert (told.body["sandbox"], told.body["city"]) == (True, sandbox.name)
    assert UUID(told.headers["Huiyin-Ledger"])
    made = agent(sandbox).post("/orders", DEMAND)
    assert made.status == 201
    assert made.headers["Huiyin-Ledger"] == told.headers["Huiyin-Ledger"]
    real = sandbox.served.as_(Role.ADMIN).get("")
    assert real.body["sandbox"] is False
    assert "Huiyin-Ledger" not in real.headers


def test_after_a_reset_nothing_of_before_is_there_or_taken_for_what_is(sandbox: Sandbox):
    before = admin(sandbox).get("")
    made = agent(sandbox).post("/orders", DEMAND)
    order, number, code = (made.body[name] for name in ("id", "number", "query_code"))
    ledger = turned(sandbox)
    now = admin(sandbox).get("")
    assert now.headers["Huiyin-Ledger"] == ledger != before.headers["Huiyin-Ledger"]
    assert now.body["position"] < made.body["first_position"]
    supervisor = agent(sandbox)
    assert {supervisor.get(f"/orders/{name}").status for name in (order, number)} == {404}
    knock = sandbox.client.post(f"/v1/{sandbox.name}/applicant/view", json={"number": number, "code": code})
    assert knock.status_code == 404
    again = agent(sandbox).post("/orders", DEMAND)
    assert again.body["number"][:6] != number[:6], "the numbers of two turns begin otherwise"
    held = before.headers["Huiyin-Ledger"]
    refused = agent(sandbox).post("/orders", DEMAND, Huiyin_Ledger=held)
    assert (refused.status, refused.body["code"]) == (409, AnotherLedger.code())
    assert agent(sandbox).post("/orders", DEMAND, Huiyin_Ledger=ledger).status == 201
    beyond = made.body["first_position"] + 1000
    granted = {"user": "watch", "role": "supervisor", "unit": "HOTLINE"}
    assert admin(sandbox).post("/institution/grant_role", granted).status == 201
    feed = sandbox.as_("watch", "supervisor@HOTLINE")
    for reply in (feed.get("/feed", after=beyond), feed.get("/orders", min_position=beyond)):
        assert (reply.status, reply.body["code"]) == (409, PositionAhead.code())
    events = feed.get("/feed", after=0, limit=5).body
    schema = wiring.by_name(asyncio.run(wiring.cities(sandbox.served.database)))[sandbox.name]
    assert {event["source"] for event in events} == {f"/v1/{schema}"}, "each turn is a source of its own"


def test_a_city_in_earnest_is_never_reset(sandbox: Sandbox):
    real = sandbox.served.as_(Role.ADMIN)
    before = real.get("").body["position"]
    reply = real.post("/reset")
    assert (reply.status, reply.body["code"]) == (409, NotASandbox.code())
    assert real.get("").body["position"] == before
    with pytest.raises(NotASandbox):
        asyncio.run(sandboxes.reset(sandbox.served.database, real.city))
    with pytest.raises(SettingError):
        asyncio.run(sandboxes.reset(sandbox.served.database, "nowhere"))
    assert real.get("").body["position"] == before


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.ADMIN}))
def test_whoever_is_no_administrator_resets_nothing(sandbox: Sandbox, role: Role):
    before = admin(sandbox).get("").headers["Huiyin-Ledger"]
    said = str(role) if role in (Role.CITIZEN, Role.SYSTEM) else f"{role}@HOTLINE"
    assert sandbox.as_("manager", said).post("/reset").status == 403
    assert admin(sandbox).get("").headers["Huiyin-Ledger"] == before


def test_a_ledger_that_does_not_say_so_is_no_sandbox_whatever_its_name(served: Served):
    """Somebody gave a real city's schema the name that a sandbox's has: it is not reset all the same."""
    name = f"fake_{secrets.token_hex(3)}"
    schema = f"{name}__1"
    database: embedded.Database = served.database

    async def found() -> None:
        keyring = wiring.make_keyring(schema)
        ledger_id = str(uuid4())
        await create(
            database.owner, schema, ledger_id=ledger_id, hash_algorithm="sha256", keyring=keyring, entropy=os.urandom
        )
        act = wiring.founding_act(
            UUID(ledger_id), city_code="HY", city_name="某市", packs=[(wiring.completed("S0"), None)]
        )
        async with await wiring.open_city(database, schema, keyring) as ledger:
            await ledger.execute(act, stream="institution", actor=wiring.SYSTEM, command_id="found")

    asyncio.run(found())
    with pytest.raises(NotASandbox):
        asyncio.run(sandboxes.reset(database, name))
    assert schema in asyncio.run(wiring.cities(database))
    with pytest.raises(SettingError):
        wiring.check_city(schema)


def test_a_sandbox_is_not_made_over_a_city(served: Served):
    template = Template(policy="S0", title="演练市")
    with pytest.raises(LedgerExists):
        asyncio.run(sandboxes.make(served.database, served.names["other"], template, None))


def test_a_reset_amid_many_callers_loses_nothing_that_the_new_one_acknowledged(sandbox: Sandbox):
    """Forty register while it is reset twice: served, or told to wait; never an error, never a leaf that does not hold."""
    counts, told = asyncio.run(_amid_callers(sandbox))
    assert set(counts) <= {201, 409, 503}, counts
    assert counts[201] > 50
    last = admin(sandbox).get("").headers["Huiyin-Ledger"]
    everywhere(sandbox, last)
    mine = [order for ledger, order in told if ledger == last]
    assert mine
    caller = agent(sandbox)
    assert {caller.get(f"/orders/{order}").status for order in mine} == {200}
    others = [order for ledger, order in told if ledger != last]
    assert others
    assert {caller.get(f"/orders/{order}").status for order in others[-20:]} == {404}
    assert asyncio.run(_findings(sandbox)) == []
    metrics = sandbox.client.get("/metrics").text
    assert 'huiyin_refusals_total{code="broken"}' not in metrics


async def _findings(sandbox: Sandbox) -> list[Any]:
    database = sandbox.served.database
    schema = wiring.by_name(await wiring.cities(database))[sandbox.name]
    async with await wiring.open_city(database, schema) as ledger:
        return await ledger.verify_all()


async def _amid_callers(sandbox: Sandbox) -> tuple[Counter[int], list[tuple[str, str]]]:
    counts: Counter[int] = Counter()
    told: list[tuple[str, str]] = []
    done = asyncio.Event()
    token = agent(sandbox).token

    async def caller(client: httpx.AsyncClient) -> None:
        while not done.is_set():
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": secrets.token_hex(8)}
            answer = await client.post(f"/v1/{sandbox.name}/orders", json=DEMAND, headers=headers)
            counts[answer.status_code] += 1
            if answer.status_code == 201:
                told.append((answer.headers["Huiyin-Ledger"], answer.json()["id"]))
            elif answer.status_code == 503:
                assert answer.headers["Retry-After"] == "1"
                assert answer.json()["code"] == SandboxResetting.code(), answer.text
                await asyncio.sleep(0.05)

    async with httpx.AsyncClient(base_url=sandbox.url, timeout=60, limits=httpx.Limits(max_connections=50)) as client:
        callers = [asyncio.create_task(caller(client)) for _ in range(40)]
        for _ in range(2):
            await asyncio.sleep(1)
            await asyncio.to_thread(sandboxes_reset, sandbox)
        await asyncio.sleep(2)
        done.set()
        await asyncio.gather(*callers)
    return counts, told


def sandboxes_reset(sandbox: Sandbox) -> None:
    """Reset at the terminal, as an operator does."""
    words = ["-m", "scripts.huiyin", "sandbox", "reset", sandbox.name, "--json"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    ran = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_of_two_resets_at_once_one_is_told_to_wait_or_both_are_done_in_turn(sandbox: Sandbox):
    before = admin(sandbox).get("").headers["Huiyin-Ledger"]

    async def both() -> list[Any]:
        database = sandbox.served.database
        return await asyncio.gather(
            *(sandboxes.reset(database, sandbox.name) for _ in range(2)), return_exceptions=True
        )

    outcomes = asyncio.run(both())
    made = [one for one in outcomes if isinstance(one, sandboxes.Made)]
    refused = [one for one in outcomes if not isinstance(one, sandboxes.Made)]
    assert made
    assert all(isinstance(one, SandboxResetting) for one in refused), refused
    everywhere(sandbox, max(made, key=lambda one: one.turn).ledger_id)
    assert admin(sandbox).get("").headers["Huiyin-Ledger"] != before


def test_what_an_interrupted_reset_left_is_no_city_and_in_nobodys_way(sandbox: Sandbox):
    database = sandbox.served.database
    building = f"{sandbox.name}{wiring.BUILDING}"
    packs = [(wiring.completed("S0"), None)]
    asyncio.run(wiring.found_city(database, building, code="HY", name="半成", packs=packs, sandbox=True))
    assert building in asyncio.run(wiring.cities(database))
    assert building not in wiring.by_name(asyncio.run(wiring.cities(database))).values()
    turned(sandbox)
    schemas = asyncio.run(wiring.cities(database))
    assert building not in schemas
    assert len([schema for schema in schemas if schema.startswith(sandbox.name)]) == 1


def test_the_tables_follow_the_new_sandbox(sandbox: Sandbox):
    turned(sandbox)
    made = agent(sandbox).post("/orders", DEMAND)
    position = made.headers["Ledger-Position"]
    until = time.monotonic() + 40
    while True:  # the process that follows begins again
        listed = agent(sandbox).get("/orders", min_position=position, limit=200)
        if listed.status == 200:
            break
        assert (listed.status, time.monotonic() < until) == (503, True), listed
    assert made.body["id"] in {row["id"] for row in listed.body["orders"]}
