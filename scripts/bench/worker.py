"""A process that loads a ledger for a benchmark; started by one, killed by one, never by hand.

    python -m scripts.bench.worker < task.json

It leads real `cases`, `imports` scripts, writes a `flood` of bare events, or has callers `contend` for few streams.
What it acknowledges it writes, line by line, into a file of its own, after the ledger did; a successor goes on from
there, with the same command ids. SIGTERM lets it finish what is under way.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from domain.kinds import KINDS
from domain.ledger import Ledger
from domain.refusals import Busy, ClockAhead, ConcurrencyConflict, OutcomeUnknown, Refusal, Unavailable
from domain.sealing import Keyring
from domain.settling import Draft, Proposal, Written
from scripts import importing, simulate
from scripts.bench import history, trial
from scripts.bench.trial import Task

AGAIN = (Busy, Unavailable, OutcomeUnknown, ClockAhead, ConcurrencyConflict)
"""Refusals after which the same command is sent again under the same id."""


class Acked(msgspec.Struct):
    """A line of the log: a step of a case (or a script) was acknowledged, and where it lies."""

    case: int
    step: int
    id: str
    stream: str
    position: int
    count: int


class Log:
    """What was acknowledged, in a file that survives whoever writes it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, acked: Acked) -> None:
        """Add a line, at once."""
        os.write(self._file, msgspec.json.encode(acked) + b"\n")


def read_log(path: Path) -> list[Acked]:
    """Return the whole lines of a log; its last may have been cut off."""
    if not path.exists():
        return []
    return [msgspec.json.decode(line, type=Acked) for line in path.read_bytes().split(b"\n")[:-1]]


def newest(acked: Iterable[Acked]) -> dict[int, Acked]:
    """Return the last step of each case."""
    found: dict[int, Acked] = {}
    for one in acked:
        if one.case not in found or found[one.case].step < one.step:
            found[one.case] = one
    return found


async def lead_cases(ledger: Ledger, task: Task, stopped: asyncio.Event) -> None:
    """Lead cases of the slot from where their log ends, each caller every so many of them."""
    last = newest(read_log(Path(task.log)))
    log = Log(Path(task.log))

    async def caller(number: int) -> None:
        case = number
        while not stopped.is_set():
            before = last.get(case)
            stream = before.stream if before else None
            steps = list(enumerate(trial.one_case(phone=f"{task.slot}{case:09d}")))
            for step, (actor, act) in steps[before.step + 1 if before else 0 :]:
                command_id = f"{task.slot}:{case}:{step}"
                while True:
                    try:
                        said = {"actor": actor, "command_id": command_id}
                        receipt = await ledger.execute(act, stream=stream, **said)
                        break
                    except AGAIN:
                        await asyncio.sleep(0.05)
                stream = receipt.stream
                count = len(receipt.events)
                log.note(Acked(case, step, command_id, stream, receipt.first_position, count))
                if stopped.is_set():
                    return
            case += task.callers

    async with asyncio.TaskGroup() as group:
        for number in range(task.callers):
            group.create_task(caller(number))


async def import_scripts(ledger: Ledger, task: Task, stopped: asyncio.Event) -> None:
    """Import one simulated month after the other; what a predecessor left half done first, from its beginning."""
    done = read_log(Path(task.log))
    log = Log(Path(task.log))
    seed = done[-1].case + 1 if done else 1
    while not stopped.is_set():
        lines = [line for line in simulate.month(seed, orders=task.orders) if "order" in line]
        script = Path(task.log).with_suffix(f".{seed}.jsonl")
        script.write_bytes(msgspec.json.Encoder().encode_lines(lines))
        try:
            summary = await importing.import_script(ledger, script, rejects=script.with_suffix(".rejects"))
        except (Refusal, importing.Stopped):
            await asyncio.sleep(0.05)
            continue
        if not summary.by_reason.keys() & {refusal.code() for refusal in AGAIN}:
            log.note(Acked(seed, 0, str(script), "", 0, summary.imported + summary.already))
            seed += 1


async def flood(ledger: Ledger, task: Task, stopped: asyncio.Event) -> None:
    """Write bare events of fresh streams, until there are as many as were asked for."""
    left = task.events

    async def caller() -> None:
        nonlocal left
        while left > 0 and not stopped.is_set():
            left -= 1
            proposal = bare(f"bench:{secrets.token_hex(12)}")
            while True:
                try:
                    if isinstance(await ledger.submit(proposal), Written):
                        break
                except AGAIN:
                    await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as group:
        for _ in range(task.callers):
            group.create_task(caller())


async def contend(ledger: Ledger, task: Task, _: asyncio.Event) -> None:
    """Count on few streams, and write down what was asked and answered."""
    ops = await history.contend([ledger], task.streams, callers=task.callers, seconds=task.seconds)
    Path(task.log).write_bytes(msgspec.json.encode(ops))


def bare(stream: str) -> Proposal:
    """Return one decided command: one event of a fresh stream."""
    return Proposal(
        command_id=secrets.token_hex(16),
        digest=bytes(32),
        stream=stream,
        now=datetime.now(UTC),
        actor='{"role":"system","user":"bench"}',
        origin="live",
        steps=(Draft(stream, "bench.appended", b'{"type":"bench.appended"}'),),
        expected={stream: 0},
    )


@asynccontextmanager
async def opened(task: Task) -> AsyncIterator[Ledger]:
    """Open the ledger, as soon as the database lets in."""
    city = trial.City(task.database, task.city, Keyring(bytes.fromhex(task.master)))
    kinds = (history.COUNTER,) if task.what == "contend" else KINDS
    while True:
        with suppress(Unavailable):
            ledger = await trial.open_city(city, kinds=kinds, patience=20.0)
            break
        await asyncio.sleep(0.05)
    async with ledger:
        yield ledger


async def work(task: Task) -> None:
    """Do the task until SIGTERM, or until it is done."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    doing: dict[str, Any] = {"cases": lead_cases, "imports": import_scripts, "flood": flood, "contend": contend}
    async with opened(task) as ledger:
        await doing[task.what](ledger, task, stopped)


if __name__ == "__main__":
    asyncio.run(work(msgspec.json.decode(sys.stdin.buffer.read(), type=Task)))
