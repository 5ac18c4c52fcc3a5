"""推送. What happened goes to other systems as it happens: signed messages (Standard Webhooks) within an agreement.

A consumer is told in the order of positions, one message after the other, by one worker at a time. What does not
arrive is tried again, ever later, for a bounded time; then it is a dead letter, and the next one goes on.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import ipaddress
import logging
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import httpcore
import msgspec
import psycopg

from api import sharing
from api.sharing import Told
from domain.law import Law
from domain.ledger import Ledger
from domain.matters.publications import RecordPush, push_stream
from domain.refusals import CommandIdReused, Unavailable
from domain.sharing import Agreement
from domain.terms import SHANGHAI, Actor, Entry, Role
from projections.consumers import Consumers, Turn

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOG = logging.getLogger("huiyin.api")

_LONGEST_ANSWER = 65536

CONTENT_TYPE = "application/cloudevents+json"
PAGE = 200
SYSTEM = Actor(user="system", role=Role.SYSTEM)


class Endpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a consumer is told, and the secrets that messages are signed with, the newest first."""

    url: str
    secrets: tuple[str, ...]


class Manner(NamedTuple):
    """How patiently it is told."""

    timeout: float = 10.0  # seconds that one message may take
    first_pause: float = 5.0
    longest_pause: float = 3600.0
    give_up: timedelta = timedelta(hours=24)
    every: float = 60.0  # seconds after which what was delivered is written down in the ledger
    networks: tuple[Network, ...] = ()  # private ones that may be told, too

    @property
    def lease(self) -> float:
        """Seconds after which a worker that said nothing is taken for dead."""
        return self.timeout + 5.0


# --- where to ----------------------------------------------------------------------------------------------------


def unfit_url(url: str) -> str:
    """Return what is wrong with the address of an endpoint; empty: nothing that can be seen from it alone."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        return "须为 https 地址 an https address is wanted"
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "地址不得含有账号、口令或片段 no account, password or fragment in it"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "地址须为可打印的 ASCII write it in printable ASCII"
    return ""


def may_reach(address: str, *, plain: bool, networks: Iterable[Network]) -> bool:
    """Tell whether a message may go to an address: a public one, this machine, or a network that was allowed.

    `plain`: without TLS, which is for this machine and for allowed networks alone.
    """
    found: IPv4Address | IPv6Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if found.is_loopback or any(found.version == one.version and found in one for one in networks):
        return True
    return found.is_global and not found.is_multicast and not plain


class _Guarded(httpcore.AsyncNetworkBackend):
    """Connects to the very address that was looked at: a name that means another one a moment later gains nothing."""

    def __init__(self, *, plain: bool, networks: Iterable[Network]) -> None:
        self._inner = cast(httpcore.AsyncNetworkBackend, httpcore.AnyIOBackend())
        self._plain = plain
        self._networks = tuple(networks)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  as the library asks
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect, or raise ConnectError."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError("name not found") from error
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        if not addresses or not all(may_reach(a, plain=self._plain, networks=self._networks) for a in addresses):
            raise httpcore.ConnectError("address not allowed")
        return await self._inner.connect_tcp(addresses[0], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._inner.sleep(seconds)


# --- one message -------------------------------------------------------------------------------------------------


class Message(NamedTuple):
    """What goes over the wire, but for when: the same id and the same words, however often it is sent."""

    id: str
    body: bytes


def message(city: str, told: Told) -> Message:
    """Return an event as a message."""
    return Message(f"{city}-{told.position}", msgspec.json.encode(told.event))


def signature(secret: str, message_id: str, at: int, body: bytes) -> str:
    """Return a signature of Standard Webhooks, version 1."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    made = hmac.digest(key, b"%s.%d.%s" % (message_id.encode(), at, body), hashlib.sha256)
    return f"v1,{base64.b64encode(made).decode()}"


class Answered(NamedTuple):
    """What a consumer answered: nothing wrong, or what; and after how many seconds it wants to be told again."""

    error: str = ""
    after: float = 0.0


class Sender:
    """Sends messages; follows no redirect, and of an answer minds only the status."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        told = {"max_connections": 64, "keepalive_expiry": 30.0, "ssl_context": ssl.create_default_context()}
        guards = {p: _Guarded(plain=p, networks=manner.networks) for p in (True, False)}
        self._pools = {p: httpcore.AsyncConnectionPool(network_backend=guard, **told) for p, guard in guards.items()}

    async def close(self) -> None:
        """Close every connection."""
        for one in self._pools.values():
            await one.aclose()

    async def send(self, endpoint: Endpoint, said: Message, now: datetime) -> Answered:
        """Send a message once. Whatever goes wrong is answered, in words that name no content."""
        if wrong := unfit_url(endpoint.url):
            return Answered(wrong)
        at = int(now.timestamp())
        headers = {
            "Content-Type": CONTENT_TYPE,
            "User-Agent": "huiyin",
            "webhook-id": said.id,
            "webhook-timestamp": str(at),
            "webhook-signature": " ".join(signature(one, said.id, at, said.body) for one in endpoint.secrets),
            "Host": urlsplit(endpoint.url).netloc,
        }
        pool = self._pools[urlsplit(endpoint.url).scheme == "http"]
        try:
            async with (
                asyncio.timeout(self._manner.timeout),
                pool.stream("POST", endpoint.url, headers=list(headers.items()), content=said.body) as answer,
            ):
                status = answer.status
                size = 0
                async for part in answer.aiter_stream():  # to its end, or the connection could not be used again
                    size += len(part)
                    if size > _LONGEST_ANSWER:
                        break
                asked = {name.lower(): value for name, value in answer.headers}.get(b"retry-after", b"")
        except TimeoutError:
            return Answered("time-out")
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            return Answered(f"{type(error).__name__}: {error}"[:200])
        if 200 <= status < 300:
            return Answered()
        return Answered(f"HTTP {status}", float(asked) if asked.isdigit() and len(asked) < 7 else 0.0)


# --- all of them -------------------------------------------------------------------------------------------------


class Courier:
    """Tells the consumers of one city. Any number may run; each consumer is told by one of them."""

    def __init__(
        self,
        ledger: Ledger,
        consumers: Consumers,
        endpoints: Callable[[], Mapping[str, Endpoint]],
        *,
        holder: str,
        now: Callable[[], datetime],
        manner: Manner,
    ) -> None:
        self._ledger = ledger
        self._consumers = consumers
        self._endpoints = endpoints
        self._holder = holder
        self._now = now
        self._manner = manner
        self._sender = Sender(manner)
        self._law: Law | None = None
        # Where each consumer stood after its last turn, and when that was.
        self._seen: dict[str, tuple[int, float]] = {}

    async def keep_telling(self, idle: float = 0.2) -> None:
        """Tell while there is anybody to tell, each consumer at its own pace. A database that is away is waited for."""
        loop, running, resting = asyncio.get_running_loop(), dict[str, asyncio.Task[int]](), dict[str, float]()
        try:
            while self._endpoints():
                with contextlib.suppress(Unavailable, psycopg.Error):
                    for one, endpoint in await self._due():
                        name = one.consumer
                        if name not in running and loop.time() >= resting.get(name, 0.0):
                            running[name] = asyncio.create_task(self._tell(one, endpoint))
                if running:
                    await asyncio.wait(running.values(), timeout=idle, return_when=asyncio.FIRST_COMPLETED)
                else:
                    await asyncio.sleep(idle)
                for name in [name for name, task in running.items() if task.done()]:
                    if not _outcome(name, running.pop(name)):
                        resting[name] = loop.time() + idle
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)
            await self.close()
            with contextlib.suppress(Unavailable, psycopg.Error):
                await self._consumers.release(self._holder)

    async def close(self) -> None:
        """Close every connection."""
        await self._sender.close()

    async def tell(self) -> int:
        """Tell each consumer once what is new, at most a page; return how many positions were gone past."""
        turns = {one.consumer: asyncio.create_task(self._tell(one, endpoint)) for one, endpoint in await self._due()}
        if turns:
            await asyncio.wait(turns.values())
        return sum(_outcome(name, task) for name, task in turns.items())

    async def _due(self) -> list[tuple[Agreement, Endpoint]]:
        """Return the consumers that there is something to look at for."""
        endpoints = self._endpoints()
        self._law = await self._ledger.law() if endpoints else None
        if self._law is None:
            return []
        head, _ = await self._ledger.head()
        held = [self._law.agreements[name] for name in endpoints if name in self._law.agreements]
        due = [one for one in held if one.in_force(self._now()) and self._is_due(one.consumer, head)]
        return [(one, endpoints[one.consumer]) for one in due]

    def _holds(self, agreement: Agreement) -> bool:
        """Tell whether an agreement is still the one that holds, as far as is known by now."""
        held = self._law.agreements.get(agreement.consumer) if self._law is not None else None
        return held is not None and held.number == agreement.number and held.in_force(self._now())

    def _is_due(self, name: str, head: int) -> bool:
        """Tell whether there is anything to look at: something new, or a lease to be kept."""
        position, at = self._seen.get(name, (-1, 0.0))
        return position < head or asyncio.get_running_loop().time() - at > self._manner.lease / 3

    async def _tell(self, agreement: Agreement, endpoint: Endpoint) -> int:
        """Tell one consumer, in the order of positions, until something does not arrive or may no longer be told."""
        name, lease, law = agreement.consumer, self._manner.lease, self._law
        if law is None:
            return 0
        turn = await self._consumers.take(name, agreement.position, self._holder, lease)
        if turn is None:
            return 0
        turn = await self._written_down(name, turn)
        entries = await self._ledger.read(turn.position, PAGE)
        self._seen[name] = turn.position, asyncio.get_running_loop().time()
        told = await sharing.bounded(self._ledger, law, agreement, entries)
        at = {entry.position: entry for entry in entries}
        digest = turn.run_digest
        for one in told:
            if not self._holds(agreement):
                return 0
            said = message(self._ledger.city, one)
            answered = await self._sender.send(endpoint, said, self._now())
            if answered.error:
                await self._failed(name, turn, at[one.position], said, answered)
                return one.position - turn.position
            digest = _digest(digest, said.body)
            if not await self._consumers.delivered(name, turn.token, one.position, lease, digest):
                return 0  # another worker has it since
            turn = turn._replace(tries=0, failing_since=None)
        if entries:
            await self._consumers.move(name, turn.token, entries[-1].position, lease)
            self._seen[name] = entries[-1].position, asyncio.get_running_loop().time()
            return entries[-1].position - turn.position
        return 0

    async def _failed(self, name: str, turn: Turn, entry: Entry, said: Message, answered: Answered) -> None:
        """Let the consumer rest; after a bounded time keep the message as a dead letter, and say so in the ledger."""
        since = max(entry.recorded_at, turn.failing_since or turn.now)
        if turn.failing_since is None or turn.now - since < self._manner.give_up:
            pause = min(self._manner.first_pause * 2 ** min(turn.tries, 30), self._manner.longest_pause)
            pause = max(pause, min(answered.after, self._manner.longest_pause))
            await self._consumers.failed(name, turn.token, answered.error, pause)
            return
        failure = RecordPush(
            consumer=name,
            day=turn.now.astimezone(SHANGHAI).date(),
            from_position=entry.position,
            to_position=entry.position,
            events=1,
            digest=_digest("", said.body),
            failure=answered.error[:100],
        )
        await self._record(failure, f"push-failed:{name}:{entry.position}:{turn.failing_since.timestamp():.3f}")
        kind = str(entry.event.__struct_config__.tag)
        await self._consumers.given_up(name, turn.token, entry.position, kind, answered.error, turn.tries + 1)

    async def _written_down(self, name: str, turn: Turn) -> Turn:
        """Write down in the ledger what was delivered since the last time, once, if it is time; return what is left."""
        closing = turn.closing
        if closing is None:
            due = turn.run_since is not None and (turn.now - turn.run_since).total_seconds() >= self._manner.every
            if not due:
                return turn
            push = RecordPush(
                consumer=name,
                day=turn.now.astimezone(SHANGHAI).date(),
                from_position=turn.run_from,
                to_position=turn.position,
                events=turn.run_events,
                digest=turn.run_digest,
            )
            closing = msgspec.json.encode(push).decode()
            if not await self._consumers.closing(name, turn.token, closing):
                return turn
            turn = turn._replace(run_from=0, run_events=0, run_digest="", run_since=None)
        push = msgspec.json.decode(closing, type=RecordPush)
        await self._record(push, f"push:{name}:{push.from_position}:{push.to_position}:{push.digest[7:23]}")
        await self._consumers.closed(name, turn.token)
        return turn._replace(closing=None)

    async def _record(self, push: RecordPush, command_id: str) -> None:
        try:
            await self._ledger.execute(
                push, stream=push_stream(push.consumer, push.day), actor=SYSTEM, command_id=command_id
            )
        except CommandIdReused:  # written down already, in other words of the same failure
            return


def _outcome(name: str, turn: asyncio.Task[int]) -> int:
    """Return how far a turn went; what went wrong with one consumer keeps nobody else waiting."""
    error = turn.exception()
    if error is None:
        return turn.result()
    if not isinstance(error, Exception):
        raise error
    if not isinstance(error, Unavailable | psycopg.Error):
        LOG.error("telling %s: %s", name, type(error).__name__)
    return 0


def _digest(before: str, body: bytes) -> str:
    """Return the digest of what was sent, on from that of what was sent before."""
    return f"sha256:{hashlib.sha256(before.encode() + body).hexdigest()}"
