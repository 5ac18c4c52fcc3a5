"""A served deployment: `huiyin serve` in a process of its own, two cities with people in every role, and tokens."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import httpx
import pytest

from api.tokens import mint
from domain.terms import Role, UnitKind, UnitLevel
from domain.units import GrantRole, RegisterUnit
from scripts import embedded, wiring

CHECKOUT = Path(__file__).resolve().parents[2]
TEXTS = ("s0", "s1", "s2", "s3", "s4")
REFUSED = tuple(f"{text}r" for text in TEXTS)
"""Where a text's guards are violated."""

REST = "rest"
"""What no text walks."""

NOTICES = "notices"
"""Every kind of notice, walked and refused."""

SUPERVISED = {"supervised": "S0", "institutions": "S1"}
"""Weeks of supervision with what the timer does, and the text each is under."""

UNITS = (
    RegisterUnit(unit="D", name="东区", level=UnitLevel.FIRST, kind=UnitKind.DISTRICT_GOVERNMENT, parent="HOTLINE"),
    RegisterUnit(unit="D-B", name="东区住建局", level=UnitLevel.SECOND, kind=UnitKind.DEPARTMENT, parent="D"),
    RegisterUnit(unit="E", name="西区", level=UnitLevel.FIRST, kind=UnitKind.DISTRICT_GOVERNMENT, parent="HOTLINE"),
)
_HELD = [role for role in Role if role not in (Role.CITIZEN, Role.SYSTEM, Role.HOTLINE_MANAGER, Role.ADMIN)]
GRANTS = tuple(
    GrantRole(user=f"{role.replace('_', '-')}-{unit.lower()}", role=role, unit=unit)
    for unit in ("HOTLINE", "D", "D-B", "E")
    for role in _HELD
    if unit == "HOTLINE" or role in (Role.ORG_HANDLER, Role.ORG_APPROVER, Role.MGMT_UNIT)
)


def name_of(role: Role, unit: str = "HOTLINE") -> str:
    """Return the person who holds a role in a unit."""
    special = {Role.HOTLINE_MANAGER: "manager", Role.ADMIN: "admin", Role.SYSTEM: "system", Role.CITIZEN: "citizen"}
    return special.get(role) or f"{role.replace('_', '-')}-{unit.lower()}"


class Reply(NamedTuple):
    """What came back."""

    status: int
    body: Any
    headers: Mapping[str, str]


_Answer = TypeVar("_Answer", Reply, httpx.Response)


def _too_often(answer: Reply | httpx.Response) -> bool:
    return (answer.status if isinstance(answer, Reply) else answer.status_code) == 429


class Caller:
    """Somebody with a token, in one city."""

    def __init__(self, client: httpx.Client, token: str, city: str) -> None:
        self.client = client
        self.token = token
        self.city = city

    def get(self, path: str, **query: Any) -> Reply:
        return self.patiently(lambda: self._got(path, query))

    def every(self, path: str, name: str, /, **query: Any) -> list[Any]:
        """Return a list whole, page by page: in a run of all tests much lies in one city."""
        found: list[Any] = []
        while True:
            reply = self.get(path, **query)
            assert reply.status == 200, reply
            found += reply.body[name]
            if "next" not in reply.body:
                return found
            query["cursor"] = reply.body["next"]

    def patiently(self, ask: Callable[[], _Answer]) -> _Answer:
        """Ask again while it is too often: in a run of all tests one person asks for more than in an office."""
        until = time.monotonic() + 70
        while _too_often(reply := ask()) and time.monotonic() < until:
            time.sleep(1)
        return reply

    def fetched(self, path: str, **headers: str) -> httpx.Response:
        """Return what is read under such headers, as it came."""
        return self.patiently(lambda: self._asked("GET", path, headers))

    def _got(self, path: str, query: Mapping[str, Any]) -> Reply:
        return self._reply(self.client.get(f"/v1/{self.city}{path}", params=query, headers=self._headers({})))

    def post(self, path: str, body: Any = None, *, key: str | None = None, query: Any = None, **headers: str) -> Reply:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        said.setdefault("Idempotency-Key", key or secrets.token_hex(8))
        answer = self.client.post(
            f"/v1/{self.city}{path}", json={} if body is None else body, params=query, headers=self._headers(said)
        )
        return self._reply(answer)

    def raw(self, method: str, path: str, content: bytes = b"", **headers: str) -> httpx.Response:
        return self._asked(method, path, headers, content)

    def _asked(self, method: str, path: str, headers: Mapping[str, str], content: bytes = b"") -> httpx.Response:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.request(method, f"/v1/{self.city}{path}", content=content, headers=self._headers(said))

    def _headers(self, said: Mapping[str, str]) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", **said}

    def _reply(self, answer: httpx.Response) -> Reply:
        kind = answer.headers.get("content-type", "")
        return Reply(answer.status_code, answer.json() if "json" in kind else answer.content, answer.headers)


class Served(NamedTuple):
    """A running service."""

    url: str
    home: Path
    database: embedded.Database
    log: Path
    process: int
    client: httpx.Client
    names: Mapping[str, str]  # what each city is called in this run

    def token(self, user: str, *roles: str, cities: tuple[str, ...] = ("api",), **more: Any) -> str:
        lasting = more.pop("lasting", timedelta(hours=1))
        return mint(
            wiring.issuer_key(),
            issuer=wiring.LOCAL_ISSUER,
            now=wiring.process_now(),
            lasting=lasting,
            user=user,
            roles=roles,
            cities=[self.names.get(city, city) for city in cities],
            **more,
        )

    def as_(self, role: Role, unit: str = "HOTLINE", *, city: str = "api", **more: Any) -> Caller:
        """Return the caller who holds a role in a unit."""
        said = str(role) if role in (Role.CITIZEN, Role.SYSTEM) else f"{role}@{unit}"
        return Caller(self.client, self.token(name_of(role, unit), said, cities=(city,), **more), self.names[city])


def _found(database: embedded.Database, city: str, policy: str, *, people: bool) -> None:
    packs = [(wiring.completed(policy), None), *((wiring.read_pack(name), None) for name in wiring.OVERLAYS)]
    units, grants = (UNITS, GRANTS) if people else ((), ())
    founding = wiring.found_city(database, city, code="HY", name="某市", packs=packs, units=units, grants=grants)
    asyncio.run(founding)


@pytest.fixture(scope="session")
def served(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service, with a city `api`, another one, and one for each case script that is walked."""
    home = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HUIYIN_HOME", str(home))
        patched.setenv("HUIYIN_DATABASE_URL", postgres.superuser)
        patched.setenv("HUIYIN_SWEEP", "0")  # what is walked here is of years ago: nobody shall act on it meanwhile
        database = wiring.database()
        suffix = secrets.token_hex(3)
        walked = (*TEXTS, *REFUSED, REST, NOTICES, *SUPERVISED)
        names = {name: f"{name}_{suffix}" for name in (*walked, "api", "other")}
        for name, city in names.items():
            policy = name[:2].upper() if name[:2] in TEXTS else SUPERVISED.get(name, "S0")
            _found(database, city, policy, people=name in ("api", "other"))
            for person in ("keeper-1", "keeper-2"):
                wiring.appoint(city, person, home / f"{city}-{person}.key")
        with running(home, names.values()) as (url, log, process, client):
            yield Served(url, home, database, log, process, client, names)


@contextmanager
def running(home: Path, cities: Iterable[str], **settings: str) -> Iterator[tuple[str, Path, int, httpx.Client]]:
    """Run the service in a process of its own: where it is reached, its log, its id, and a client of it."""
    port = free_port()
    log = home / "log"
    words = ["-m", "scripts.huiyin", "serve", "--port", str(port), *(f"--city={city}" for city in cities)]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONSAFEPATH": "1", "HUIYIN_PROXIES": "127.0.0.1"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *words], env={**environment, **settings}, stdout=out, stderr=out, cwd=home
        )
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, timeout=30, limits=httpx.Limits(max_connections=50)) as client:
            _wait(client, process, log)
            yield url, log, process.pid, client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _wait(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            if client.get("/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail(f"the service does not start: {log.read_text(errors='replace')[-2000:]}")


DEMAND: dict[str, Any] = {
    "title": "路灯不亮",
    "category": "市政/路灯",
    "channel": "phone",
    "attributes": {"demand_type": "help"},
    "content": "河滨路的路灯三天不亮，晚上很危险。",
    "applicant": {"kind": "person", "name": "张三丰", "phone": "13800001111"},
    "place": "河滨路",
    "district": "东区",
    "duplicates_seen": [],
}


def registered(served: Served, **more: Any) -> Reply:
    """Register an order as the agent."""
    reply = served.as_(Role.AGENT).post("/orders", {**DEMAND, **more})
    assert reply.status == 201, reply
    return reply


def dispatched(served: Served, unit: str = "D", **more: Any) -> str:
    """Return the id of an order dispatched to a unit."""
    order = registered(served, **more).body["id"]
    body = {"lead": unit, "kind": "ordinary", "basis": "territory"}
    reply = served.as_(Role.DISPATCHER).post(f"/orders/{order}/dispatch", body)
    assert reply.status == 201, reply
    return order


def caught_up(served: Served, position: int | str) -> None:
    """Wait until the tables have reached a position: a service that has just begun has much to take in."""
    until = time.monotonic() + 60
    while (reply := served.as_(Role.AUDITOR).get("/orders", limit=1, min_position=position)).status == 503:
        assert time.monotonic() < until, reply
    assert reply.status == 200, reply


def erased(served: Served, order: str) -> Reply:
    """Refuse an order as what may be a state secret: its keys are destroyed in that commit."""
    body = {"reason": "state_secret", "medium": "phone", "informed_at": wiring.process_now().isoformat()}
    asked = served.as_(Role.AGENT).post(f"/orders/{order}/propose_refusal", {"reason": "state_secret"})
    assert asked.status == 201, asked
    return served.as_(Role.QC_REVIEWER).post(f"/orders/{order}/refuse", body)
