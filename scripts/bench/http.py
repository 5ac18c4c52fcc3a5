"""How many requests a second the service answers, and how long each caller waits.

    python -m scripts.bench.http [--callers 1,16,64] [--seconds 3] [--rounds 3] [--orders 600] [--json]

Client, service (one web worker and the one that follows) and PostgreSQL share this machine. Side by side, turn by turn:

    no-op POST       authenticated, routed and answered by the same application; nothing read or written
    no-op GET        the same
    register         an order with its number, sealed, durable, answered with its clocks
    sign and reply   on orders that were dispatched before: sign, tell the applicant, reply
    read             one order, fresh from its stream, with its clocks
    worklist         a page of 50 rows

The client is a few lines over asyncio's streams, so that it costs as little as it can.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec

from api.tokens import mint
from domain.terms import Actor
from scripts import embedded, wiring
from scripts.bench import trial
from scripts.bench.trial import City, Figure, Run
from scripts.lawbook import answer

NOOP, NOOP_GET, REGISTER, HANDLE, READ, LIST = (
    "no-op POST",
    "no-op GET",
    "register",
    "sign and reply",
    "read",
    "worklist",
)


class Line:
    """One connection that stays open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Line:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, method: str, path: str, token: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send a request and return status and body of its answer."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nIdempotency-Key: {secrets.token_hex(8)}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answered = await self._reader.readuntil(b"\r\n\r\n")
        status = int(answered[9:12])
        at = answered.lower().index(b"content-length:") + 15
        return status, await self._reader.readexactly(int(answered[at : answered.index(b"\r\n", at)]))

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


class Bench(NamedTuple):
    """A running service and who may ask it what."""

    port: int
    city: str
    tokens: dict[Actor, str]
    case: list[tuple[Actor, str, bytes]]  # who, which command, its body


Way = Callable[[Line, Bench], Awaitable[int]]


# --- the ways ----------------------------------------------------------------------------------------------------


def _path(bench: Bench, rest: str) -> str:
    return f"/v1/{bench.city}{rest}"


async def ping(line: Line, bench: Bench) -> int:
    """Ask for nothing, as a write."""
    by, _, body = bench.case[0]
    return (await line.ask("POST", _path(bench, "/ping"), bench.tokens[by], body))[0]


async def ping_get(line: Line, bench: Bench) -> int:
    """Ask for nothing, as a read."""
    return (await line.ask("GET", _path(bench, "/ping"), bench.tokens[bench.case[0][0]]))[0]


async def register(line: Line, bench: Bench) -> int:
    """Register an order."""
    by, _, body = bench.case[0]
    return (await line.ask("POST", _path(bench, "/orders"), bench.tokens[by], body))[0]


def handling(orders: Iterator[str]) -> Way:
    """Return the way that takes the next order from its dispatch to its reply; three requests."""
    held: dict[int, tuple[str, int]] = {}

    async def way(line: Line, bench: Bench) -> int:
        order, step = held.get(id(line)) or (next(orders, ""), 0)
        if not order:
            return 0
        by, name, body = [one for one in bench.case if one[1] in ("sign", "inform_applicant", "reply")][step]
        status, _ = await line.ask("POST", _path(bench, f"/orders/{order}/{name}"), bench.tokens[by], body)
        held[id(line)] = (order, step + 1)
        if step == 2:
            held.pop(id(line))
        return status

    return way


def reading(orders: Iterator[str]) -> Way:
    """Return the way that reads one order after another."""

    async def way(line: Line, bench: Bench) -> int:
        token = bench.tokens[bench.case[0][0]]
        return (await line.ask("GET", _path(bench, f"/orders/{next(orders)}"), token))[0]

    return way


async def worklist(line: Line, bench: Bench) -> int:
    """Read a page of a worklist."""
    return (await line.ask("GET", _path(bench, "/orders?limit=50"), bench.tokens[bench.case[0][0]]))[0]


async def timed(bench: Bench, way: Way, callers: int, seconds: float) -> Run:
    """Run a way by so many callers for some seconds. Raises where an answer is no success."""
    waits: list[float] = []
    lines = [await Line.open(bench.port) for _ in range(callers)]
    begun = time.perf_counter()

    async def caller(line: Line) -> None:
        while time.perf_counter() - begun < seconds:
            asked = time.perf_counter()
            status = await way(line, bench)
            if not status:
                return  # nothing is left to be handled
            if status not in (200, 201):
                raise RuntimeError(f"answered {status}")
            waits.append(time.perf_counter() - asked)

    await asyncio.gather(*map(caller, lines))
    took = time.perf_counter() - begun
    for line in lines:
        line.close()
    return Run(took, waits)


# --- the service -------------------------------------------------------------------------------------------------


@contextmanager
def service(database: embedded.Database, city: City, home: Path) -> Iterator[Bench]:
    """Yield the service over a city."""
    os.environ |= {"HUIYIN_HOME": str(home), "HUIYIN_DATABASE_URL": database.superuser, "HUIYIN_LOG": "warning"}
    key = wiring.keyring_file(city.name)
    key.parent.mkdir(parents=True, exist_ok=True)
    key.write_text(city.keyring.master.hex())
    case = [
        (by, str(act.__struct_config__.tag), _body(act)) for by, act in trial.one_case() if act.__struct_config__.tag
    ]
    tokens = {by: _token(by, city.name) for by, _, _ in case}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["-m", "scripts.huiyin", "serve", "--city", city.name, "--port", str(port)]
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL)
    try:
        _wait(port, process)
        yield Bench(port, city.name, tokens, case)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _body(act: Any) -> bytes:
    return msgspec.json.encode({k: v for k, v in msgspec.to_builtins(act).items() if k != "type"})


def _token(by: Actor, city: str) -> str:
    roles = [f"{by.role}@{by.unit}"]
    key, now = wiring.issuer_key(), wiring.process_now()
    lasting = timedelta(hours=2)
    return mint(key, issuer=wiring.LOCAL_ISSUER, now=now, lasting=lasting, user=by.user, roles=roles, cities=[city])


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
            continue
        return
    raise RuntimeError("the service does not start")


async def dispatched(bench: Bench, count: int) -> list[str]:
    """Register and dispatch orders to be handled and read."""
    line, found = await Line.open(bench.port), []
    for _ in range(count):
        by, _, body = bench.case[0]
        _, told = await line.ask("POST", _path(bench, "/orders"), bench.tokens[by], body)
        order = msgspec.json.decode(told)["id"]
        by, name, body = bench.case[1]
        status, told = await line.ask("POST", _path(bench, f"/orders/{order}/{name}"), bench.tokens[by], body)
        if status != 201:
            raise RuntimeError(told.decode())
        found.append(order)
    line.close()
    return found


async def measure(bench: Bench, callers: int, seconds: float, rounds: int, orders: int) -> list[Figure]:
    """Measure every way, turn by turn."""
    runs: dict[str, list[Run]] = {}
    for _ in range(rounds):
        made = await dispatched(bench, orders)
        ways: dict[str, Way] = {
            NOOP: ping,
            NOOP_GET: ping_get,
            REGISTER: register,
            READ: reading(itertools.cycle(made)),
            HANDLE: handling(iter(made)),
            LIST: worklist,
        }
        for name, way in ways.items():
            runs.setdefault(name, []).append(await timed(bench, way, callers, seconds))
    return [trial.figure(name, callers, of) for name, of in runs.items()]


def _rows(figures: list[Figure]) -> Iterator[tuple[str, ...]]:
    for one in figures:
        base = next(f for f in figures if f.callers == one.callers and f.what == _against(one.what))
        share = f"{one.per_second / base.per_second:.2f}"
        yield one.what, str(one.callers), f"{one.per_second:,.0f}", f"{one.p50:.1f}", f"{one.p99:.1f}", share


def _against(what: str) -> str:
    return NOOP_GET if what in (NOOP_GET, READ, LIST) else NOOP


@click.command()
@click.option("--callers", default="1,16,64", show_default=True, help="how many at once, one figure each.")
@click.option("--seconds", default=3.0, show_default=True, help="how long each way is measured each round.")
@click.option("--rounds", default=3, show_default=True, help="how many turns each way gets.")
@click.option("--orders", default=600, show_default=True, help="how many are made to be handled, each round.")
@click.option("--json", "as_json", is_flag=True)
def main(callers: str, seconds: float, rounds: int, orders: int, as_json: bool) -> None:
    """Measure the service over HTTP."""
    figures: list[Figure] = []
    with trial.database() as database, trial.directory() as home:
        city = trial.run(trial.founded_city(database))
        with service(database, city, home) as bench:
            for number in callers.split(","):
                figures += trial.run(measure(bench, int(number), seconds, rounds, orders))
    if as_json:
        answer(figures)
        return
    trial.show(
        "requests over HTTP", ("way", "callers", "a second", "p50 ms", "p99 ms", "of the no-op"), [*_rows(figures)]
    )


if __name__ == "__main__":
    main()
