"""推送的来源. What happened, by position, for other systems: a batch of CloudEvents, or a stream of them.

A machine is told what its share agreement lets it know; supervisors and auditors, of everything, that it happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
import psycopg

from api import sharing
from api.access import FEEDING
from api.asking import LARGEST_PAGE, Answer, Ask
from api.problems import HeaderUnfit, NoShareAgreement, PositionAhead, ScopeMissing, StreamsExhausted
from api.sharing import Told
from domain.refusals import Refusal
from domain.sharing import Agreement
from domain.terms import Entry, Role

MEDIA_TYPE = "application/cloudevents-batch+json"
STREAM_TYPE = "text/event-stream"

MOST_STREAMS = 8
"""Streams that one consumer may have open in one worker."""

LONGEST_STREAM = 600.0
"""Seconds after which a stream ends; whoever listens comes again with the position it had."""

HEARTBEAT = 10.0
"""Seconds after which a stream without news says that it lives, and how far it has read."""


async def feed(ask: Ask) -> Answer:
    """Return what happened after a position, in the order of positions; `wait`: seconds to wait for something new.

    Where `text/event-stream` is accepted, as server-sent events that go on; `Last-Event-ID` is the position then.
    """
    await _agreement(ask)
    limit = ask.limit(LARGEST_PAGE, most=1000)
    if STREAM_TYPE in ask.header("accept"):
        return await _stream(ask, limit)
    after = ask.number("after", 0) or 0
    until = asyncio.get_running_loop().time() + (ask.number("wait", 0, most=20) or 0)
    entries = await ask.city.ledger.read(after, limit)
    if not entries:
        await _written(ask, after)
    while not entries and asyncio.get_running_loop().time() < until and not ask.house.closing.is_set():
        await asyncio.sleep(0.05)
        if await ask.city.tip() > after:
            entries = await ask.city.ledger.read(after, limit)
    last = entries[-1].position if entries else after
    told = [one.event for one in await _told(ask, entries)]
    path = f"/v1/{ask.city.name}/feed?after={last}&limit={limit}"
    headers = {"Ledger-Position": str(last), "Link": f'<{path}>; rel="next"'}
    return Answer(msgspec.json.encode(told), headers=headers, media_type=MEDIA_TYPE)


async def _written(ask: Ask, position: int) -> None:
    """Refuse a position that the ledger has not reached: nobody was told it, and what comes before would be missed.

    Raises PositionAhead. What has been seen is not asked for again: the ledger's end never goes back.
    """
    if position > await ask.city.tip() and position > (end := (await ask.city.ledger.head())[0]):
        raise PositionAhead(f"{position} > {end}")


async def _agreement(ask: Ask) -> Agreement | None:
    """Return what binds who asks; None for those who watch over all of it.

    Raises ScopeMissing, NoShareAgreement, and RoleNotHeldHere once a role was revoked: a stream outlasts many a role.
    """
    await ask.city.viewer(ask.who.claims, ask.header("huiyin-role"), ask.house.now())
    if ask.who.role in (Role.SUPERVISOR, Role.AUDITOR):
        return None
    if not ask.who.claims.may(FEEDING):
        raise ScopeMissing(FEEDING)
    consumer = ask.who.claims.sub
    law = await ask.city.law()
    found = law.agreements.get(consumer)
    if found is None or not found.in_force(ask.house.now()):
        law = await ask.city.law(fresh=True)  # published a moment ago, perhaps
        found = law.agreements.get(consumer)
    if found is None or not found.in_force(ask.house.now()):
        raise NoShareAgreement(consumer)
    return found


async def _told(ask: Ask, entries: Sequence[Entry]) -> list[Told]:
    agreement = await _agreement(ask)
    if agreement is None:
        return sharing.everything(ask.city.ledger.city, entries)
    return await sharing.bounded(ask.city.ledger, await ask.city.law(), agreement, entries)


# --- as a stream -------------------------------------------------------------------------------------------------


async def _stream(ask: Ask, limit: int) -> Answer:
    said = ask.header("last-event-id")
    if said and not (said.isascii() and said.isdecimal() and len(said) <= 18):
        raise HeaderUnfit("Last-Event-ID", field="Last-Event-ID")
    after = int(said) if said else ask.number("after", 0) or 0
    await _written(ask, after)
    who = f"{ask.city.name}/{ask.who.claims.sub}"
    if ask.house.streams[who] >= MOST_STREAMS:
        raise StreamsExhausted(f"{MOST_STREAMS}")
    headers = {"Ledger-Position": str(after), "X-Accel-Buffering": "no"}
    return Answer(_events(ask, who, after, limit), headers=headers, media_type=STREAM_TYPE)


async def _events(ask: Ask, who: str, after: int, limit: int) -> AsyncIterator[bytes]:
    """Yield events as they come. Ends with its time, its token, its agreement, or the service."""
    loop = asyncio.get_running_loop()
    ask.house.streams[who] += 1
    try:
        until = loop.time() + min(LONGEST_STREAM, ask.who.claims.exp - ask.house.now().timestamp())
        spoke = loop.time()
        yield b"retry: 2000\n\n"
        while ask.house.streams[who] <= MOST_STREAMS and loop.time() < until and not ask.house.closing.is_set():
            entries = await ask.city.ledger.read(after, limit) if await ask.city.tip() > after else []
            if entries:
                after = entries[-1].position
                parts = [_event(one) for one in await _told(ask, entries)]
                if parts or loop.time() - spoke > 1.0:  # also a position at which there is nothing for it to know
                    yield b"".join([*parts, b"id: %d\n\n" % after])
                    spoke = loop.time()
                continue
            await _agreement(ask)
            if loop.time() - spoke > HEARTBEAT:
                yield b": %d\n\nid: %d\n\n" % (after, after)
                spoke = loop.time()
            await _pause(ask)
    except (Refusal, psycopg.Error):  # told when they come again, as an answer that has a status
        return
    finally:
        ask.house.streams[who] -= 1
        if not ask.house.streams[who]:
            del ask.house.streams[who]


async def _pause(ask: Ask) -> None:
    """Wait a little, or until the service ends."""
    try:
        await asyncio.wait_for(ask.house.closing.wait(), 0.1)
    except TimeoutError:
        return


def _event(told: Told) -> bytes:
    body = msgspec.json.encode(told.event)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (told.position, told.event["type"].encode(), body)
