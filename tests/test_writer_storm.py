"""Callers who contend while sessions end: nothing is lost or doubled, and what was accepted stood on what was there."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from domain import memory
from domain.ledger import Ledger
from domain.recorder import Found, Want
from domain.refusals import OutcomeUnknown, Unavailable
from domain.sealing import KeyRow, Work
from domain.settling import Before, Proposal, Written
from domain.terms import Number, Period, Shred
from tests.conftest import City, as_superuser
from tests.test_ledger import cid, door
from tests.test_writer import held, noted

SLIPS = [f"slip:{number}" for number in range(12)]


def decided(dice: random.Random, streams: Sequence[str], found: Found) -> list[Proposal]:
    """Some commands for the first of the streams, each after the one before it, as whoever read them all decides them."""
    slip = streams[0]
    there = {stream: rows[-1].version if rows else 0 for stream, rows in zip(streams, found.streams, strict=True)}
    first = noted(slip)
    first.seen, first.now, first.expected = found.since, found.now, there
    if dice.random() < 0.3:
        first.steps = [*first.steps, Number(journal="paper", per=Period.YEAR)]
    if dice.random() < 0.2:
        first.fence = first.now + timedelta(milliseconds=dice.choice([0, 5, 2000]))
    if dice.random() < 0.05:
        first.steps = [*first.steps, Shred(stream=slip)]
    elif dice.random() < 0.5:
        used = {row.id for row in found.keys}
        first.work = Work(used=used, new_keys=[] if used else [KeyRow(cid(), slip, "", "master", b"x")])
    chain = [first]
    while dice.random() < 0.4:
        last = chain[-1]
        expected = {**there, slip: last.expected[slip] + 1}
        chain.append(msgspec.structs.replace(noted(slip, command_id=cid()), expected=expected, after=last.command_id))
        chain[-1].seen, chain[-1].now = found.since, found.now
    return chain


class Told:
    """What was asked for, and what its callers heard."""

    def __init__(self) -> None:
        self.asked: dict[str, Proposal] = {}
        self.answers: dict[str, list[Any]] = {}

    async def ask(self, dice: random.Random, ledger: Ledger) -> None:
        """Decide something and hand it in, now and then twice; now and then leave."""
        streams = dice.sample(SLIPS, dice.randint(1, 3))
        try:
            found = await ledger._reader.read(Want(tuple((one, 0) for one in streams), "", (streams[0],)))
        except Unavailable:
            return
        await asyncio.sleep(dice.choice([0, 0, 0.01]))
        proposals = decided(dice, streams, found)
        self.asked.update((one.command_id, one) for one in proposals)
        answers = [ledger._writer.queued(one) for one in proposals]
        if dice.random() < 0.05:
            answers[0].cancel()
        outcomes = await asyncio.gather(*answers, return_exceptions=True)
        if dice.random() < 0.1:
            again = msgspec.structs.replace(proposals[0], taken=False, sent=False)
            proposals.append(again)
            outcomes += await asyncio.gather(ledger.submit(again), return_exceptions=True)
        for proposal, outcome in zip(proposals, outcomes, strict=True):
            self.answers.setdefault(proposal.command_id, []).append(outcome)


async def harm(city: City, dice: random.Random) -> None:
    """End sessions, cancel statements and hold the head, until stopped."""
    whose = f"FROM pg_stat_activity WHERE application_name = 'huiyin' AND query LIKE '%{city.name}%'"
    while True:
        await asyncio.sleep(dice.random() * 0.15)
        match dice.randrange(3):
            case 0:
                as_superuser(city, f"SELECT pg_terminate_backend(pid) {whose} AND random() < 0.5")
            case 1:
                as_superuser(city, f"SELECT pg_cancel_backend(pid) {whose}")
            case _:
                async with held(city):
                    await asyncio.sleep(dice.random() * 0.3)


@pytest.mark.parametrize(("doors", "most"), [(1, 8), (1, 1 << 15), (2, 64)])
async def test_whatever_is_accepted_under_fire_stood_on_what_was_there(
    city: City, monkeypatch: pytest.MonkeyPatch, doors: int, most: int
):
    monkeypatch.setattr(memory, "MOST", most)
    dice, told = random.Random(most), Told()

    async def caller(ledger: Ledger) -> None:
        for _ in range(16):
            await told.ask(dice, ledger)

    async with door(city) as one, door(city) as two:
        harming = asyncio.create_task(harm(city, dice))
        await asyncio.gather(*(caller((one, two)[number % doors]) for number in range(24)))
        harming.cancel()
        await asyncio.gather(harming, return_exceptions=True)
        assert await one.verify_all() == []
        rows = await one.rows("read_page", 0, 1 << 62, 1 << 40)
    written: set[str] = set()
    versions: dict[str, int] = {}
    for stream, _, version, *_, command_id, _, _ in rows:
        if command_id not in written:
            written.add(command_id)
            expected = told.asked[command_id].expected
            assert expected == {name: versions.get(name, 0) for name in expected}
        assert version == versions.get(stream, 0) + 1  # of running numbers too
        versions[stream] = version
    for command_id, outcomes in told.answers.items():
        assert sum(isinstance(outcome, Written) for outcome in outcomes) <= 1
        if any(isinstance(outcome, Written | Before) for outcome in outcomes):
            assert command_id in written
        elif not any(isinstance(outcome, OutcomeUnknown | asyncio.CancelledError) for outcome in outcomes):
            assert command_id not in written
    assert len(written) > len(SLIPS)
