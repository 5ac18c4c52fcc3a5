"""The one writer of a city in a process: many callers, one transaction after the other, each caller its own answer.

A batch takes the head, learns what has moved, settles every proposal in memory in the order they came, writes once
and commits. Nothing collides, nothing is bisected, and a bad proposal harms no other. A lost connection means the
same batch again: the head's lock waits for the lost transaction to end, and `commits` says what it did.

While nobody else writes, a batch need not wait for the one before it: it is settled on top of that one's outcome and
sent behind it, a flight, in one round trip that fails as a whole unless the head is where it was supposed to be. What
fails so was not written, and is settled again under the lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import psycopg

from domain import recorder
from domain.exchange import Exchange, Sent, tell
from domain.leaves import Imprint, milliseconds
from domain.memory import Memory, merged
from domain.recorder import Asked, Head, Line, Locked
from domain.refusals import Busy, ClockAhead, ClosedDoor, OutcomeUnknown, Refusal, StorageRefused, Unavailable
from domain.sealing import Entropy
from domain.settling import Insistence, Outcome, Proposal, Settlement, Written, asked

AHEAD = timedelta(seconds=5)
"""How far the head may lie ahead of the database's clock before writing stops."""

FLIGHTS = 2
"""How many batches are under way at once, at most, and in how many parts those who are ready are written then."""

LEAST = 8
"""Fewer than so many are not parted."""

HOLD = 64
"""After how many batches under the lock, at most, flights are tried again where somebody else was seen to write."""

SOON = timedelta(seconds=1)
"""How long after the time it bears a flight may be written at the latest."""

TRUSTED = 1.0
"""For how many seconds the database's clock is counted on from where it was heard, instead of asked for."""

BRIEF = 1.0
"""For how many seconds it is tried to look ahead; under the lock everything is found out all the same."""

WATCH = 0.1
"""Seconds between two looks for callers whose time is over."""

BY_ONE = ("22", "23", "54")
"""SQLSTATEs of what one proposal may have brought on the whole batch: data, uniqueness, limits of size."""


class _Waiting(NamedTuple):
    """A proposal, where its outcome goes, and the loop's time at which its caller stops waiting."""

    proposal: Proposal | Insistence
    answer: asyncio.Future[Outcome]
    until: float


class _Flight(NamedTuple):
    """A batch that was sent before the one before it was known to be committed."""

    turn: list[_Waiting]
    outcomes: list[Outcome]
    sent: list[bool]  # of each proposal, whether it had been sent before
    exchange: Exchange
    said: Sent


class Writer:
    """Takes proposals from any number of callers of one event loop and writes them in batches.

    `room` proposals may wait (then Busy); a batch holds at most `most` of them and about `most_bytes`. A database
    that cannot be reached is tried again for `patience` seconds.
    """

    def __init__(
        self,
        dsn: str,
        named: Mapping[str, bytes],
        imprint: Imprint,
        entropy: Entropy,
        *,
        room: int = 4096,
        most: int = 512,
        most_bytes: int = 4 << 20,
        patience: float = 20.0,
    ) -> None:
        self._line = Line(dsn, named, patience)
        self._scout = Line(dsn, named, min(patience, BRIEF))  # looks ahead while the line writes
        self._patience = patience
        self._imprint = imprint
        self._entropy = entropy
        self._room = room
        self._most = most
        self._most_bytes = most_bytes
        self._queue: deque[_Waiting] = deque()
        self._turn: list[_Waiting] = []  # what the present batch was made of
        self._memory = Memory()
        self._clock: tuple[datetime, float] | None = None  # the database's, and the loop's when it was heard
        self._flights: deque[_Flight] = deque()
        self._fallen: deque[list[_Waiting]] = deque()  # of what was under way and is to be written under the lock
        self._hold = self._misses = 0
        self._landing: asyncio.Task[None] | None = None
        self._stirred = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def submit(self, proposal: Proposal | Insistence, *, until: float = math.inf) -> Outcome:
        """Return what became of a proposal, after its transaction was committed.

        Raises Busy, ClosedDoor, ClockAhead, Unavailable, StorageRefused or OutcomeUnknown. A caller who is cancelled,
        or whose time (`until`, of the loop's clock) is over, before a batch takes the proposal has written nothing and
        hears Busy; later, the batch goes on without the caller, who hears OutcomeUnknown.
        """
        return await self.queued(proposal, until=until)

    def queued(self, proposal: Proposal | Insistence, *, until: float = math.inf) -> asyncio.Future[Outcome]:
        """Put a proposal into the queue and return where its outcome will be; raises Busy and ClosedDoor at once.

        For callers with many: what they queue one after the other is settled in that order.
        """
        if self._closed:
            raise ClosedDoor
        if len(self._queue) >= self._room:
            raise Busy
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Outcome] = loop.create_future()
        self._queue.append(_Waiting(proposal, answer, until))
        self._stirred.set()
        if self._task is None:
            self._task = asyncio.create_task(self._serve())
        return answer

    async def close(self) -> None:
        """Take no more, write what waits, close the session."""
        self._closed = True
        if self._task is not None:
            await asyncio.shield(self._task)  # who closes may give up; what waits is written all the same
        await self._line.close()
        await self._scout.close()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        watch = loop.call_later(WATCH, self._watch)
        self._watching = watch
        try:
            while self._queue or self._fallen or self._landing:
                if self._fallen and not self._landing:
                    self._turn = self._fallen.popleft()
                    await self._answer(self._turn)
                elif self._queue and not self._fallen and len(self._flights) < FLIGHTS:
                    await asyncio.sleep(0)  # lets every caller that is ready now come along
                    self._turn = self._take()
                    if self._turn and not await self._sent_ahead(self._turn):
                        self._fallen.append(self._turn)  # for when what was sent before it has ended
                else:
                    await self._stir()
                self._turn = []
        finally:
            self._watching.cancel()
            self._task = None
            if self._landing is not None:
                self._landing.cancel()
                self._memory.forget()
                self._line.abandon()
            for _, answer, _ in self._everybody():  # any left only where the loop itself is being stopped
                answer.cancel()
            self._turn = []
            self._flights.clear()
            self._fallen.clear()

    async def _stir(self) -> None:
        """Wait until somebody comes, or a flight ends."""
        self._stirred.clear()
        await self._stirred.wait()

    def _everybody(self) -> Iterator[_Waiting]:
        for flight in self._flights:
            yield from flight.turn
        for turn in self._fallen:
            yield from turn
        yield from self._turn
        yield from self._queue

    def _watch(self) -> None:
        """Tell callers whose time is over. One timer for all: one for each would cost as much as their commits."""
        loop = asyncio.get_running_loop()
        for proposal, answer, until in self._everybody():
            if until <= loop.time():
                tell(answer, OutcomeUnknown() if proposal.taken else Busy())
        self._watching = loop.call_later(WATCH, self._watch)

    def _take(self) -> list[_Waiting]:
        turn: list[_Waiting] = []
        size = 0
        insisting = False
        ready = len(self._queue) + sum(len(flight.turn) for flight in self._flights)
        most = min(self._most, max(LEAST, math.ceil(ready / FLIGHTS))) if self._memory.tail else self._most
        while self._queue and len(turn) < most and (not turn or size < self._most_bytes):
            if isinstance(self._queue[0].proposal, Insistence):
                if insisting:
                    break  # one a batch: a second might move what the first was decided from
                insisting = True
            waiting = self._queue.popleft()
            if not waiting.answer.done():  # a caller who left before this took nothing along
                waiting.proposal.taken = True
                turn.append(waiting)
                size += waiting.proposal.size()
        return turn

    # --- flights -------------------------------------------------------------------------------------------------

    async def _sent_ahead(self, turn: list[_Waiting]) -> bool:
        """Send a batch behind those under way, and tell whether it was; else it is to be written under the lock."""
        try:
            return await self._flies(turn)
        except Exception:  # noqa: BLE001  whatever it is: it is one of them, and the lock's holder finds out which
            return False

    async def _flies(self, turn: list[_Waiting]) -> bool:
        batch = [waiting.proposal for waiting in turn if isinstance(waiting.proposal, Proposal)]
        if self._hold or len(batch) < len(turn) or self._memory.empty:
            return False
        known, unknown = self._memory.recall(batch)
        now = self._now()
        if now is None or any(unknown):
            if (heard := await self._scouted(unknown)) is None:
                return False
            known, now = merged(known, heard), heard.head.clock
        exchange, tail = self._line.exchange, self._memory.tail
        if tail is None or exchange is None:
            return False  # what it would follow has fallen
        at = max(now, tail.recorded_at, *(proposal.now for proposal in batch))
        if _is_ahead(at, now):
            return False
        settlement = Settlement(known._replace(head=tail._replace(clock=at)), self._imprint, self._entropy)
        before = [proposal.sent for proposal in batch]
        outcomes = [settlement.settle(proposal) for proposal in batch]
        if not settlement.batch.events or settlement.batch.destroys:
            return False
        written = [one for one, outcome in zip(batch, outcomes, strict=True) if isinstance(outcome, Written)]
        until = min([at + SOON, *(proposal.fence for proposal in written if proposal.fence is not None)])
        try:
            said = recorder.write_ahead(exchange, tail, until, settlement.batch)
        except psycopg.Error:
            said = ()  # all of it may have left before the session ended: whoever listens will hear so
        for proposal in written:
            proposal.sent = True
        self._flights.append(_Flight(turn, outcomes, before, exchange, said))
        self._memory.note(settlement)
        if self._landing is None:
            self._landing = asyncio.create_task(self._land())
        return True

    async def _scouted(self, unknown: Asked) -> Locked | None:
        """Return what is not remembered, and the clock; None where somebody else writes, or nobody answers."""
        try:
            heard = await self._scout.ask(lambda exchange: recorder.look_ahead(exchange, unknown))
        except (psycopg.Error, Refusal):
            self._hold = HOLD  # the line will hear the same, or knows better
            return None
        self._set_clock(heard.head.clock)
        if (tail := self._memory.tail) is None:
            return None
        if not self._memory.since <= heard.head.position <= tail.position:
            self._miss()
            return None
        self._memory.learn(unknown, heard)
        return heard

    def _set_clock(self, clock: datetime) -> None:
        self._clock = (clock, asyncio.get_running_loop().time())

    def _now(self) -> datetime | None:
        """Return the database's clock, or what it shows at least; None where it was not heard of for long."""
        if self._clock is None:
            return None
        clock, heard = self._clock
        passed = asyncio.get_running_loop().time() - heard
        return milliseconds(clock + timedelta(seconds=passed)) if passed < TRUSTED else None

    async def _land(self) -> None:
        """Hear how each flight ended, and tell its callers."""
        ended = False
        try:
            try:
                while self._flights:
                    await self._land_next(self._flights[0])
            except Exception as error:  # noqa: BLE001  whatever it is: under the lock it is heard again, and told
                await self._fall(error)
            ended = True
        finally:
            if not ended:  # stopped in the midst of it: nobody knows what the session would say next
                self._ground()
                self._line.abandon()
            self._landing = None
            self._stirred.set()

    async def _land_next(self, flight: _Flight) -> None:
        async with asyncio.timeout(self._patience):
            self._set_clock(await recorder.landed(flight.exchange, flight.said))
        self._flights.popleft()
        self._misses = 0
        for (_, answer, _), outcome in zip(flight.turn, flight.outcomes, strict=True):
            tell(answer, outcome)
        self._stirred.set()

    def _ground(self) -> None:
        """Have what is under way written under the lock, before all that came after it."""
        self._memory.forget()
        self._fallen.extendleft(flight.turn for flight in reversed(self._flights))
        self._flights.clear()

    async def _fall(self, error: Exception) -> None:
        """Have what is under way written under the lock: the first of it failed, and all behind it does."""
        exchange = self._flights[0].exchange
        failed = exchange.failed
        for place, flight in enumerate(self._flights):
            if failed and (place or failed != "commit"):  # the server said no, and never came to the COMMIT
                for (proposal, _, _), was in zip(flight.turn, flight.sent, strict=True):
                    proposal.sent = was
        behind = [flight.said for flight in self._flights][1:]
        self._ground()
        if failed == recorder.HEAD_FROM:
            self._miss()
        heard = failed == recorder.HEAD_FROM and not isinstance(error, TimeoutError)  # to the end of what failed
        if not heard or not await self._taken_back(exchange, behind):
            await self._line.close()

    async def _taken_back(self, exchange: Exchange, behind: Sequence[Sent]) -> bool:
        """End a transaction that failed, and all that was sent behind it; tell whether the session goes on."""
        try:
            async with asyncio.timeout(self._patience):
                for said in behind:
                    with contextlib.suppress(psycopg.errors.InFailedSqlTransaction):
                        await exchange.heard(said)
                exchange.failed = ""
                exchange.say("rollback")
                await exchange.hear()
        except (psycopg.Error, OSError, TimeoutError):
            return False
        return True

    def _miss(self) -> None:
        """Note that somebody else writes, too: then taking the lock first is quicker."""
        self._misses = min(self._misses + 1, HOLD.bit_length())
        self._hold = min(2**self._misses, HOLD)

    # --- under the lock ------------------------------------------------------------------------------------------

    async def _answer(self, turn: Sequence[_Waiting]) -> None:
        batch = [waiting.proposal for waiting in turn]
        outcomes: Sequence[Outcome | Exception]
        self._hold = max(0, self._hold - 1)
        try:
            outcomes = await self._line.ask(
                lambda exchange: self._transact(exchange, batch), in_doubt=lambda: any(one.sent for one in batch)
            )
        except Exception as error:  # noqa: BLE001  whatever it is: a caller told nothing would wait for ever
            if len(turn) > 1 and _may_be_one(error):
                half = len(turn) // 2
                await self._answer(turn[:half])  # nothing was committed, and one of them is why; it harms no other
                await self._answer(turn[half:])
                return
            told = StorageRefused(type(error).__name__) if isinstance(error, psycopg.Error) else error
            outcomes = [OutcomeUnknown() if one.sent else told for one in batch]
            if isinstance(error, Unavailable | OutcomeUnknown):
                self._give_up()
        for (_, answer, _), outcome in zip(turn, outcomes, strict=True):
            tell(answer, outcome)

    def _give_up(self) -> None:
        """Tell those who wait behind a batch that found no database: they have waited for the same, and would again."""
        for _, answer, _ in self._queue:
            tell(answer, Unavailable())
        self._queue.clear()

    async def _transact(self, exchange: Exchange, batch: Sequence[Proposal | Insistence]) -> list[Outcome]:
        """Write a batch in one transaction; of what may have been committed without our hearing, `sent` says so."""
        proposals = {i: one for i, one in enumerate(batch) if isinstance(one, Proposal)}
        insistences = {i: one for i, one in enumerate(batch) if isinstance(one, Insistence)}
        outcomes: dict[int, Outcome] = {}
        wanted = asked(list(proposals.values()))
        locked = await recorder.lock(exchange, wanted)
        self._set_clock(locked.head.clock)
        if (tail := self._memory.tail) is not None and tail[:2] != locked.head[:2]:
            self._memory.forget()
        _refuse_clock_ahead(locked.head)
        if insistences:
            decided = await self._decided(exchange, insistences, locked, outcomes)
            proposals = decided | proposals  # they come first: nobody may be faster this time
        settlement = Settlement(locked, self._imprint, self._entropy)
        before = [one.sent for one in batch]
        for i, proposal in proposals.items():
            outcomes[i] = settlement.settle(proposal)
            batch[i].sent = batch[i].sent or isinstance(outcomes[i], Written)
        try:
            await recorder.write(exchange, settlement.batch)
        except Exception as error:
            unsent = not isinstance(error, psycopg.Error | OSError)
            if unsent or exchange.failed not in ("", "commit"):  # the server said no, and never came to the COMMIT
                for one, was in zip(batch, before, strict=True):
                    one.sent = was
            raise
        self._memory.note(settlement)
        self._memory.learn(wanted, locked)
        return [outcomes[i] for i in range(len(batch))]

    async def _decided(
        self,
        exchange: Exchange,
        insistences: Mapping[int, Insistence],
        locked: Locked,
        outcomes: dict[int, Outcome],
    ) -> dict[int, Proposal]:
        """Decide under the lock, and learn what settling needs to know of what was decided."""
        wants = [one.want for one in insistences.values()]
        now = max(locked.head.recorded_at, locked.head.clock)
        proposals: dict[int, Proposal] = {}
        answers = await recorder.read(exchange, wants)
        for (i, insistence), found in zip(insistences.items(), answers, strict=True):
            try:
                proposals[i] = insistence.decide(found._replace(now=now))
            except Refusal as refusal:
                outcomes[i] = refusal
        more = await recorder.look(exchange, asked(list(proposals.values())))
        locked.last.update(more.last)
        locked.known.update(more.known)
        locked.keys.update(more.keys)
        locked.subjects.update(more.subjects)
        return proposals


def _may_be_one(error: Exception) -> bool:
    """Tell whether a batch may have failed for what one of its proposals holds: then the others are tried without it."""
    if isinstance(error, psycopg.Error):
        return (error.sqlstate or "").startswith(BY_ONE)
    return not isinstance(error, Refusal)


def _is_ahead(recorded_at: datetime, now: datetime) -> bool:
    return recorded_at > now + AHEAD


def _refuse_clock_ahead(head: Head) -> None:
    if _is_ahead(head.recorded_at, head.clock):
        raise ClockAhead(f"{head.recorded_at.astimezone(UTC).isoformat()} > {head.clock.astimezone(UTC).isoformat()}")
