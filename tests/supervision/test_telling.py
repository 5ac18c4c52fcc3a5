"""并单告知: one answer goes to every caller, each once, however often it is begun, and who is told otherwise is named."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from domain.refusals import MasterNotReplied
from domain.steps.answering import ApplicantInformed
from domain.steps.evaluation import ReplyReviewed
from domain.steps.linking import ChildMerged, OrdersMerged
from domain.terms import Actor, Applicant, ApplicantKind, ClosureKind, InformAbout, Medium, OrderState, Role
from scripts import embedded, simulate
from supervision.sweep import sweep
from supervision.telling import Fate, Hindrance, Message, NobodyMerged, OneByOne, tell_all
from tests.conftest import City
from tests.test_cli import deploy, town_lines, write_script
from tests.test_cli import dispatched as sent
from tests.test_cli import registered as one_order
from tests.test_projections import (
    INFORMED,
    NUMBER,
    REPLIED,
    SIGNED,
    WORDS,
    World,
    dispatched,
    order_id,
    registered,
    stream,
    world,
)

CHECKOUT = Path(__file__).resolve().parent.parent.parent
AGENT = Actor(user="agent", role=Role.AGENT, unit="H")
SMS = Message(Medium.SMS, AGENT, "SMS-1")
REACHABLE = Applicant(kind=ApplicantKind.PERSON, phone=WORDS)
MASTER = 1


async def master(here: World, *, answered: bool = True) -> None:
    await here.record(stream(MASTER), "2025-06-16 09:00", registered(applicant=REACHABLE), NUMBER)
    await here.record(stream(MASTER), "2025-06-16 10:00", dispatched())
    await here.record(stream(MASTER), "2025-06-16 11:00", SIGNED)
    if answered:
        await here.record(stream(MASTER), "2025-06-17 10:00", REPLIED, INFORMED)


async def merged(here: World, number: int, **said: Any) -> None:
    about: dict[str, Any] = {"applicant": REACHABLE, **said}
    await here.record(stream(number), "2025-06-16 09:30", registered(**about), NUMBER)
    await here.record(stream(number), "2025-06-17 12:00", OrdersMerged(master=order_id(MASTER)))
    await here.record(stream(MASTER), "2025-06-17 12:00", ChildMerged(child=order_id(number)))


async def informed(here: World) -> Counter[tuple[str, Any]]:
    """How often each caller was told, and of which order."""
    head, _ = await here.ledger.head()
    told: Counter[tuple[str, Any]] = Counter()
    for entry in await here.ledger.read(0, head):
        if isinstance(entry.event, ApplicantInformed) and entry.event.master is not None:
            assert entry.event.about is InformAbout.RESULT
            told[entry.stream, entry.event.master] += 1
    return told


async def test_every_caller_is_told_once_and_who_cannot_be_is_named_with_why(city: City):
    async with world(city) as here:
        await master(here)
        for number in (2, 3, 4):
            await merged(here, number)
        await merged(here, 5, applicant=None, anonymous=True)
        await merged(here, 6, applicant=Applicant(kind=ApplicantKind.PERSON, name=WORDS))
        await merged(here, 7, applicant=Applicant(kind=ApplicantKind.PERSON, contact=WORDS))
        shown = await tell_all(here.ledger, stream(MASTER), SMS._replace(dry_run=True))
        assert shown.counts == {"would": 3, "left": 3}
        assert not await informed(here), "a dry run records nothing"
        told = await tell_all(here.ledger, stream(MASTER), SMS)
        assert (told.reply, told.counts) == (1, {"told": 3, "left": 3})
        why = {one.order_id: one.why for one in told.callers if one.fate is Fate.LEFT}
        assert why == {
            order_id(5): Hindrance.ANONYMOUS,
            order_id(6): Hindrance.NO_CONTACT,
            order_id(7): Hindrance.NO_PHONE,
        }
        by_letter = await tell_all(here.ledger, stream(MASTER), Message(Medium.WRITTEN, AGENT))
        assert by_letter.counts == {"again": 3, "told": 1, "left": 2}
        assert await informed(here) == {(stream(number), order_id(MASTER)): 1 for number in (2, 3, 4, 7)}
        child = await here.ledger.fold(stream(2))
        assert child.state is OrderState.MERGED
        assert child.links.merge.told is not None


async def test_told_the_one_answer_every_caller_is_closed_by_the_timer_with_the_master_and_who_was_not_told_is_not(
    city: City,
):
    async with world(city) as here, here.projections() as p:
        await master(here)
        for number in (2, 3, 4, 5):
            await merged(here, number)
        await merged(here, 6, applicant=None, anonymous=True)
        assert (await tell_all(here.ledger, stream(MASTER), SMS)).counts == {"told": 4, "left": 1}
        await p.follow_until()
        swept = await sweep(here.ledger, p, await here.ledger.now())
        assert (swept.done["close_after"], swept.done["close_merged"]) == (1, 4)
        kinds = [(await here.ledger.fold(stream(number))).filing.kind for number in range(1, 7)]
        assert kinds == [ClosureKind.COMPLETED, *[ClosureKind.MERGED] * 4, None]
        await p.follow_until()
        again = await sweep(here.ledger, p, await here.ledger.now())
        assert again.done["close_merged"] == 0


async def test_a_second_answer_is_told_to_everybody_again(city: City):
    async with world(city) as here:
        await master(here)
        await merged(here, 2)
        await tell_all(here.ledger, stream(MASTER), SMS)
        now = await here.ledger.now()
        await here.record(stream(MASTER), now, ReplyReviewed(reply=1, accepted=False, requirements=WORDS))
        with pytest.raises(MasterNotReplied):
            await tell_all(here.ledger, stream(MASTER), SMS)
        await here.record(stream(MASTER), await here.ledger.now(), REPLIED)
        told = await tell_all(here.ledger, stream(MASTER), SMS)
        assert (told.reply, told.counts) == (2, {"told": 1})
        assert (await tell_all(here.ledger, stream(MASTER), SMS)).counts == {"again": 1}
        assert (await informed(here))[stream(2), order_id(MASTER)] == 2


async def test_what_nobody_can_be_told_is_refused(city: City):
    async with world(city) as here:
        await master(here, answered=False)
        with pytest.raises(NobodyMerged):
            await tell_all(here.ledger, stream(MASTER), SMS)
        await merged(here, 2)
        with pytest.raises(MasterNotReplied):
            await tell_all(here.ledger, stream(MASTER), SMS)
        with pytest.raises(OneByOne):
            await tell_all(here.ledger, stream(MASTER), SMS._replace(medium=Medium.PHONE))
        await here.record(stream(MASTER), "2025-06-18 10:00", REPLIED)
        strange = Actor(user="x", role=Role.ORG_HANDLER, unit="C")
        told = await tell_all(here.ledger, stream(MASTER), Message(Medium.SMS, strange))
        assert [(one.fate, one.why) for one in told.callers] == [(Fate.REFUSED, "not-your-unit")]
        assert not await informed(here)


TELLER = """
import asyncio, secrets, sys
from domain.kinds import KINDS
from domain.ledger import Ledger
from domain.sealing import Keyring
from domain.terms import Actor, Medium, Role
from supervision import telling

async def main(dsn, city, master, stream):
    keyring = Keyring(bytes.fromhex(master))
    telling.AT_ONCE = 2
    async with await Ledger.open(dsn, city, kinds=KINDS, keyring=keyring, entropy=secrets.token_bytes) as ledger:
        actor = Actor(user="agent", role=Role.AGENT, unit="H")
        await telling.tell_all(ledger, stream, telling.Message(Medium.SMS, actor, "SMS-1"))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_telling_that_is_killed_is_ended_by_the_next_one_and_two_at_once_tell_nobody_twice(city: City):
    async with world(city) as here:
        await master(here)
        for number in range(2, 82):
            await merged(here, number)
        before, _ = await here.ledger.head()
        arguments = (city.database.app, city.name, city.keyring.master.hex(), stream(MASTER))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", TELLER, *arguments),
            cwd=CHECKOUT,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            stdout=subprocess.DEVNULL,
        )
        while (await here.ledger.head())[0] < before + 6:
            assert process.returncode is None
            await asyncio.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        done = await informed(here)
        assert 0 < len(done) < 80
        one, other = await asyncio.gather(*(tell_all(here.ledger, stream(MASTER), SMS) for _ in range(2)))
        assert one.counts["again"] + one.counts.get("told", 0) == 80
        assert one.counts.get("told", 0) + other.counts.get("told", 0) >= 80 - len(done)
        told = await informed(here)
        assert (len(told), set(told.values())) == (80, {1})
        assert await here.ledger.verify_all() == []


def test_at_the_terminal_whom_it_would_reach_is_shown_first(postgres: embedded.Database, tmp_path: Path):
    town = deploy(postgres, tmp_path / "office")
    handler, approver = (simulate.person(role, "DQ-CG") for role in ("org_handler", "org_approver"))
    merge = {"type": "merge", "master": "@a", "reason": "同一事项"}
    inform = {"type": "inform_applicant", "about": "result", "medium": "phone"}
    reply = {"type": "reply", "outcome": "resolved", "public_answer": "路灯已修复。"}
    script = write_script(
        tmp_path / "town.jsonl",
        *town_lines(),
        *(one_order(label, f"2025-03-03 10:0{minute}") for minute, label in enumerate("abc")),
        one_order("d", "2025-03-03 10:04", applicant=None, anonymous=True, channel="web"),
        *(
            {"order": label, "at": "2025-03-03 10:30", "by": simulate.person("dispatcher", "HOTLINE"), "command": merge}
            for label in "bcd"
        ),
        sent("a", "2025-03-03 11:00"),
        {"order": "a", "at": "2025-03-03 11:30", "by": handler, "command": {"type": "sign", "own_handling": True}},
        {"order": "a", "at": "2025-03-03 12:00", "by": handler, "command": inform},
        {"order": "a", "at": "2025-03-03 12:10", "by": approver, "command": reply},
    )
    town.ok("init", "town", "--policy", "S0", "--name", "某市", "--code", "MS")
    town.ok("import", str(script), "--city", "town")
    number = min(row["number"] for row in town.ok("list", "--city", "town", "--json").data["rows"])
    told = ("inform", number, "--city", "town", "--as", "li/agent@HOTLINE", "--medium", "sms")
    shown = town.ok(*told, "--dry-run", COLUMNS="100").out
    assert "将告知 would 2" in shown
    assert "匿名 anonymous" in shown
    assert "已告知 told 2" in town.ok(*told).out
    assert town.ok(*told, "--json").data["counts"] == {"again": 2, "left": 1}
