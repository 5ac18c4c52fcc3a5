"""查询限次. Who may try a query code how often: slow for whoever guesses, open for whoever knows, bounded in memory.

Twelve digits are what keeps strangers out; what is counted here keeps them from trying many. A wrong code is held
against the address it came from and, more strictly, against that address at that order. It is never held against the
order as such: an order's number is easily guessed, and nobody shall be able to lock its applicant out from elsewhere.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Generic, TypeVar

import msgspec

from api.problems import TooMany

REMEMBERED = 20_000
"""How many addresses and orders are remembered of each kind; the longest unused is forgotten first."""

BY_ADDRESS = 240  # requests a minute; many people stand behind one address of a mobile network
BY_ORDER = 60  # requests a minute with the right code

WRONG_HERE = 5  # wrong codes from one address for one order, until it has to wait
WRONG_ANYWHERE = 50  # … for whatever order
FIRST_WAIT = timedelta(minutes=1)  # doubled at every further wrong code
LONGEST_WAIT = timedelta(minutes=15)
FORGOTTEN = timedelta(hours=1)  # after the last wrong code

Networks = tuple[IPv4Network | IPv6Network, ...]
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Bounded(Generic[K, V]):
    """What is remembered by a key, as long as there is room."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        return self._held.get(key)

    def keep(self, key: K, value: V) -> None:
        self._held[key] = value
        self._held.move_to_end(key)
        while len(self._held) > self._most:
            self._held.popitem(last=False)

    def forget(self, key: K) -> None:
        self._held.pop(key, None)

    def __len__(self) -> int:
        return len(self._held)


class _Spent(msgspec.Struct):
    """What is left of a minute's requests, as it stood at an instant."""

    left: float
    at: datetime


class _Wrong(msgspec.Struct):
    """Wrong codes so far, the last of them, and until when nothing is heard."""

    count: int
    last: datetime
    until: datetime


class Gate:
    """Lets requests with a query code in, and keeps out who tries too often. Raises TooMany, which says for how long."""

    def __init__(self, now: Callable[[], datetime], most: int = REMEMBERED) -> None:
        self._now = now
        self._paces: _Bounded[tuple[str, str], _Spent] = _Bounded(most)
        self._wrongs: _Bounded[tuple[str, str], _Wrong] = _Bounded(most)

    def enter(self, address: str, order: str) -> None:
        """Let an address try a code at an order."""
        self._paced(("address", address), BY_ADDRESS)
        for key in ((address, order), (address, "")):
            wrong = self._wrongs.get(key)
            if wrong is not None and self._now() < wrong.until:
                raise _too_many(wrong.until - self._now())

    def opened(self, address: str, order: str) -> None:
        """Note that the code was right."""
        self._wrongs.forget((address, order))
        self._paced(("order", order), BY_ORDER)

    def failed(self, address: str, order: str) -> None:
        """Note that the code was wrong, or that there is no such order: both count alike."""
        self._count((address, order), WRONG_HERE)
        self._count((address, ""), WRONG_ANYWHERE)

    def _paced(self, key: tuple[str, str], per_minute: int) -> None:
        now = self._now()
        spent = self._paces.get(key)
        left = float(per_minute)
        if spent is not None:
            passed = max((now - spent.at).total_seconds(), 0)
            left = min(left, spent.left + passed * per_minute / 60)
        self._paces.keep(key, _Spent(left - 1 if left >= 1 else left, now))
        if left < 1:
            raise _too_many(timedelta(seconds=(1 - left) * 60 / per_minute))

    def _count(self, key: tuple[str, str], free: int) -> None:
        now = self._now()
        before = self._wrongs.get(key)
        count = 1 if before is None or now - before.last > FORGOTTEN else before.count + 1
        over = count - free
        wait = timedelta() if over < 0 else min(FIRST_WAIT * 2 ** min(over, 10), LONGEST_WAIT)
        self._wrongs.keep(key, _Wrong(count, now, now + wait))

    def remembered(self) -> int:
        """Return how much is remembered."""
        return len(self._paces) + len(self._wrongs)


def _too_many(wait: timedelta) -> TooMany:
    seconds = max(1, -int(-wait.total_seconds() // 1))
    return TooMany(f"{seconds} s", retry_after=seconds)


def address_of(peer: str, forwarded: str, proxies: Networks) -> str:
    """Return from where a request comes: its peer, or what our own proxies say of theirs, the nearest stranger first.

    What strangers wrote into X-Forwarded-For themselves stands before what our proxies added, and is not believed. Of
    IPv6 the network counts: whoever has one address of it has them all.
    """
    found = peer
    for said in reversed([peer] if not forwarded else [*forwarded.split(","), peer]):
        try:
            at = ip_address(said.strip())
        except ValueError:
            break
        if isinstance(at, IPv6Address) and at.ipv4_mapped is not None:
            at = at.ipv4_mapped
        found = str(IPv6Network((int(at) >> 64 << 64, 64))) if isinstance(at, IPv6Address) else str(at)
        if not any(at in network for network in proxies):
            break
    return found[:64]
