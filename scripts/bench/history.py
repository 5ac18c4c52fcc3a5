"""Who saw what, when: many callers contend for few records, and the history of their answers is checked.

    python -m scripts.bench.history [--processes 3] [--callers 16] [--streams 4] [--seconds 10] [--json]

Every caller counts up or reads, with and without naming the version it saw (If-Match), and notes when it asked, when
it was answered, and what. The event says what the decision saw. Checked is that all of it could have happened one
after the other, each record by itself (linearizability):

- the versions of what was accepted are dense, and each was decided from exactly the version before it;
- whatever was answered before something else was asked comes before it;
- a read saw everything answered before it was asked, and nothing asked after it was answered;
- whoever heard that the record had moved on really was overtaken: the next version was asked for before they heard so.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from domain.context import Context, StreamKind
from domain.ledger import Ledger
from domain.refusals import VersionMoved
from domain.terms import Act, Entry, Fact, Step
from scripts import wiring
from scripts.bench import trial
from scripts.lawbook import answer


class Counted(Fact, frozen=True, tag="counter.counted"):
    """Somebody counted; `saw` is what they had counted on."""

    saw: int


class Count(Act, frozen=True, tag="count"):
    """Count one up."""


def _decide(state: int | None, act: Act, context: Context) -> Sequence[Step]:  # noqa: ARG001  as every rule is asked
    return [Counted(saw=state or 0)]


def _evolve(state: int | None, entry: Entry) -> int:  # noqa: ARG001  it counts, whatever was counted
    return (state or 0) + 1


COUNTER = StreamKind(name="counter", events=(Counted,), commands=(Count,), evolve=_evolve, decide=_decide)
"""A record whose state is how often it was counted on: its version."""


class Op(msgspec.Struct, frozen=True):
    """One question and its answer: the version it made or read; a conflict made none."""

    stream: str
    kind: str  # count, read
    asked: float  # the machine's monotonic clock, the same for all its processes
    answered: float
    version: int | None
    saw: int | None = None  # what the decision counted on
    expected: int | None = None


async def contend(
    ledgers: Sequence[Ledger], streams: Sequence[str], *, callers: int, seconds: float, most: int | None = None
) -> list[Op]:
    """Let callers count and read for so long, or until each did `most`; return the history."""
    ops: list[Op] = []
    until = time.monotonic() + seconds

    async def caller(number: int) -> None:
        chance = random.Random(secrets.randbits(64))  # noqa: S311  who does what next is no secret
        seen = dict.fromkeys(streams, 0)
        done = 0
        while time.monotonic() < until and (most is None or done < most):
            stream = chance.choice(streams)
            op = await _ask(ledgers[number % len(ledgers)], stream, seen[stream], chance.random())
            seen[stream] = max(seen[stream], op.version or 0)
            ops.append(op)
            if op.version is None:  # overtaken: look where it stands
                ops.append(await _read(ledgers[number % len(ledgers)], stream))
                seen[stream] = ops[-1].version or 0
            done += 1

    async with asyncio.TaskGroup() as group:
        for number in range(callers):
            group.create_task(caller(number))
    return ops


async def _ask(ledger: Ledger, stream: str, seen: int, drawn: float) -> Op:
    if drawn < 0.2:
        return await _read(ledger, stream)
    expected = seen if drawn < 0.7 else None
    asked = time.monotonic()
    try:
        receipt = await ledger.execute(
            Count(), stream=stream, actor=wiring.SYSTEM, command_id=secrets.token_hex(12), expected=expected
        )
    except VersionMoved:
        return Op(stream, "count", asked, time.monotonic(), None, expected=expected)
    [entry] = receipt.events
    saw = entry.event.saw if isinstance(entry.event, Counted) else None
    return Op(stream, "count", asked, time.monotonic(), receipt.version, saw, expected)


async def _read(ledger: Ledger, stream: str) -> Op:
    asked = time.monotonic()
    version = len(await ledger.history(stream))
    return Op(stream, "read", asked, time.monotonic(), version)


def faults(ops: Iterable[Op]) -> list[str]:
    """Return what could not have happened one after the other; nothing where all of it could."""
    by: dict[str, list[Op]] = {}
    for op in ops:
        by.setdefault(op.stream, []).append(op)
    return [f"{stream}: {fault}" for stream, of in by.items() for fault in _faults(of)]


def _faults(ops: Sequence[Op]) -> Iterable[str]:
    made = sorted((op for op in ops if op.kind == "count" and op.version is not None), key=lambda op: op.version or 0)
    if [op.version for op in made] != list(range(1, len(made) + 1)):
        yield "the versions that were accepted are not dense"
        return
    latest_asked = 0.0
    for op in made:
        before = (op.version or 0) - 1
        if op.saw != before or op.expected not in (None, before):
            yield f"version {op.version} was decided from {op.saw}, expecting {op.expected}"
        if op.answered < latest_asked:
            yield f"version {op.version} was answered before an earlier version was asked for"
        latest_asked = max(latest_asked, op.asked)
    yield from _reads(ops, made)
    for op in ops:
        overtaken = (op.expected or 0) < len(made) and made[op.expected or 0].asked <= op.answered
        if op.kind == "count" and op.version is None and not overtaken:
            yield f"who expected {op.expected} was told of a conflict that was none"


def _reads(ops: Sequence[Op], made: Sequence[Op]) -> Iterable[str]:
    ended = sorted((op.answered, op.version or 0) for op in made)
    at, least = 0, 0
    for op in sorted((op for op in ops if op.kind == "read"), key=lambda op: op.asked):
        while at < len(ended) and ended[at][0] < op.asked:
            least = max(least, ended[at][1])
            at += 1
        version = op.version or 0
        if version < least:
            yield f"a read saw {version} after version {least} had been answered"
        if version and (version > len(made) or made[version - 1].asked > op.answered):
            yield f"a read saw version {version} before it was asked for"


@click.command()
@click.option("--processes", default=3, show_default=True)
@click.option("--callers", default=16, show_default=True, help="of each process.")
@click.option("--streams", default=4, show_default=True)
@click.option("--seconds", default=10.0, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(processes: int, callers: int, streams: int, seconds: float, as_json: bool) -> None:
    """Let processes contend for few records, and check the history of their answers."""
    names = tuple(f"counter:{number}" for number in range(streams))
    with trial.database() as database, trial.directory() as folder:
        city = trial.run(trial.bare_city(database))
        logs = [folder / f"{number}.json" for number in range(processes)]
        said: dict[str, Any] = {"callers": callers, "streams": names, "seconds": seconds}
        running = [trial.launch(city, "contend", log.stem, log, **said) for log in logs]
        ends = [process.wait(seconds + 60) for process in running]
        if any(ends):
            raise click.ClickException("a process failed")
        ops = [op for log in logs for op in msgspec.json.decode(Path(log).read_bytes(), type=list[Op])]
    found = faults(ops)
    counts = Counter("conflict" if op.version is None else op.kind for op in ops)
    if as_json:
        answer({"processes": processes, "callers": callers, "streams": streams, **counts, "faults": found})
    else:
        cells = [(kind, f"{count:,}") for kind, count in sorted(counts.items())]
        title = f"{processes} processes, {callers} callers each, {streams} records: {len(found)} faults"
        trial.show(title, ("answers", "how many"), cells)
        for fault in found[:20]:
            click.echo(fault)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
