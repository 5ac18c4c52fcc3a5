"""查询限次. Who may try a query code how often: slow for whoever guesses, open for whoever knows, bounded in memory.

Twelve digits are what keeps strangers out; what is counted here keeps them from trying many. A wrong code is held
against the address it came from and, more strictly, against that address at that order. It is never held against the
order as such: an order's number is easily guessed, and nobody shall be able to lock its applicant out from elsewhere.
"""

from __future__ import annotations

import fcntl
import math
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import IntEnum
from hashlib import blake2b
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from mmap import mmap
from typing import IO

from api.problems import TooMany

REMEMBERED = 20_000
"""How many addresses and orders are remembered of each kind, about; what was long unused is forgotten first."""

BY_ADDRESS = 240  # requests a minute; many people stand behind one address of a mobile network
BY_ORDER = 60  # requests a minute with the right code

WRONG_HERE = 5  # wrong codes from one address for one order, until it has to wait
WRONG_ANYWHERE = 50  # … for whatever order
FIRST_WAIT = 60.0  # seconds, doubled at every further wrong code
LONGEST_WAIT = 900.0
FORGOTTEN = 3600.0  # seconds after the last wrong code

Networks = tuple[IPv4Network | IPv6Network, ...]
Numbers = tuple[float, float, float]


class Kind(IntEnum):
    """What is counted, each in rows of its own: many addresses that come once push out no wrong code."""

    PACE = 0
    WRONG = 1
    OPENING = 2


_SALT = 16
_ROW = struct.Struct("=16s4d")  # whose, when it was used last, three numbers
_WAYS = 8  # rows among which a key finds its own
_TRIES = 50


class Tallies:
    """What is counted, by all workers of a machine together: a file that each of them maps, as large as it will ever be.

    Of each kind about `most` keys are remembered, by a keyed hash, so that nobody can choose what falls together; where
    a key finds its row's neighbours all taken, the one longest unused makes room. Each key holds three numbers.
    """

    def __init__(self, file: IO[bytes], entropy: Callable[[int], bytes], *, most: int = REMEMBERED) -> None:
        self._file = file  # kept, or its descriptor would be closed
        self._descriptor = file.fileno()
        self._buckets = max(1, most // _WAYS)
        self._region = self._buckets * _WAYS * _ROW.size
        size = _SALT + len(Kind) * self._region
        with self.turn():
            if os.fstat(self._descriptor).st_size < size:  # never cut: who maps what is gone dies of it
                os.ftruncate(self._descriptor, size)
            if os.pread(self._descriptor, _SALT, 0) == bytes(_SALT):
                os.pwrite(self._descriptor, entropy(_SALT), 0)
        self._held = mmap(self._descriptor, size)
        self._salt = self._held[:_SALT]

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keep the other workers from counting meanwhile. One that was stopped in the midst of it is not waited for."""
        held = False
        for _ in range(_TRIES):
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = True
                break
            except OSError:
                time.sleep(0.0002)
        try:
            yield
        finally:
            if held:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

    def get(self, kind: Kind, key: str) -> Numbers | None:
        """Return what is remembered of a key."""
        whose = self._hash(key)
        for place in self._places(kind, whose):
            name, _, *numbers = _ROW.unpack_from(self._held, place)
            if name == whose:
                return numbers[0], numbers[1], numbers[2]
        return None

    def keep(self, kind: Kind, key: str, numbers: Numbers, now: float) -> None:
        """Remember three numbers of a key."""
        whose = self._hash(key)
        there = [(place, *_ROW.unpack_from(self._held, place)[:2]) for place in self._places(kind, whose)]
        own = next((place for place, name, _ in there if name == whose), None)
        place = min(there, key=lambda row: row[2])[0] if own is None else own
        _ROW.pack_into(self._held, place, whose, now, *numbers)

    def forget(self, kind: Kind, key: str) -> None:
        """Forget a key."""
        whose = self._hash(key)
        for place in self._places(kind, whose):
            if self._held[place : place + len(whose)] == whose:
                _ROW.pack_into(self._held, place, b"", 0, 0, 0, 0)

    def remembered(self) -> int:
        """Return how many keys are remembered."""
        rows = range(_SALT, _SALT + len(Kind) * self._region, _ROW.size)
        return sum(self._held[place : place + 16] != bytes(16) for place in rows)

    def _hash(self, key: str) -> bytes:
        return blake2b(key.encode("utf-8", "replace"), digest_size=16, key=self._salt).digest()

    def _places(self, kind: Kind, whose: bytes) -> range:
        bucket = int.from_bytes(whose[:8]) % self._buckets
        first = _SALT + kind * self._region + bucket * _WAYS * _ROW.size
        return range(first, first + _WAYS * _ROW.size, _ROW.size)


class Pace:
    """So many acts a minute for each caller. Raises TooMany.

    Of the minute before this one that part counts which lies within sixty seconds: two numbers instead of every instant.
    """

    def __init__(self, most: int, now: Callable[[], datetime], tallies: Tallies) -> None:
        self._most = most
        self._now = now
        self._tallies = tallies

    def step(self, who: str) -> None:
        """Count one act of a caller."""
        now = self._now().timestamp()
        with self._tallies.turn():
            before, count, begun = self._tallies.get(Kind.OPENING, who) or (0.0, 0.0, now)
            if now - begun >= 60:
                before = count if now - begun < 120 else 0.0
                count, begun = 0.0, begun + (now - begun) // 60 * 60
            if before * (60 - (now - begun)) / 60 + count >= self._most:
                raise TooMany(f"{self._most} / min")
            self._tallies.keep(Kind.OPENING, who, (before, count + 1, begun), now)


class Gate:
    """Lets requests with a query code in, and keeps out who tries too often. Raises TooMany, which says for how long."""

    def __init__(self, now: Callable[[], datetime], tallies: Tallies) -> None:
        self._now = now
        self._tallies = tallies

    def enter(self, address: str, order: str) -> None:
        """Let an address try a code at an order."""
        with self._tallies.turn():
            self._paced(f"address {address}", BY_ADDRESS)
            for key in (_of(address, order), _of(address)):
                _, _, until = self._tallies.get(Kind.WRONG, key) or (0, 0, 0)
                if (wait := until - self._now().timestamp()) > 0:
                    raise _too_many(wait)

    def opened(self, address: str, order: str) -> None:
        """Note that the code was right."""
        with self._tallies.turn():
            self._tallies.forget(Kind.WRONG, _of(address, order))
            self._paced(f"order {order}", BY_ORDER)

    def failed(self, address: str, order: str) -> None:
        """Note that the code was wrong, or that there is no such order: both count alike."""
        with self._tallies.turn():
            self._count(_of(address, order), WRONG_HERE)
            self._count(_of(address), WRONG_ANYWHERE)

    def _paced(self, key: str, per_minute: int) -> None:
        """Take one of a minute's requests; what is left of them, and when that was so, is what is remembered."""
        now = self._now().timestamp()
        spent, at, _ = self._tallies.get(Kind.PACE, key) or (per_minute, now, 0)
        left = min(per_minute, spent + max(now - at, 0) * per_minute / 60)
        self._tallies.keep(Kind.PACE, key, (left - 1 if left >= 1 else left, now, 0), now)
        if left < 1:
            raise _too_many((1 - left) * 60 / per_minute)

    def _count(self, key: str, free: int) -> None:
        """Count a wrong code; how many, when the last was, and until when nothing is heard, is what is remembered."""
        now = self._now().timestamp()
        count, last, _ = self._tallies.get(Kind.WRONG, key) or (0, 0, 0)
        count = 1 if now - last > FORGOTTEN else count + 1
        over = int(count - free)
        wait = 0.0 if over < 0 else min(FIRST_WAIT * 2 ** min(over, 10), LONGEST_WAIT)
        self._tallies.keep(Kind.WRONG, key, (count, now, now + wait), now)


def _of(address: str, order: str = "") -> str:
    return f"{address} {order}"  # no address has a blank in it


def _too_many(wait: float) -> TooMany:
    seconds = max(1, math.ceil(wait))
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
