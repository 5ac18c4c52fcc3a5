"""A night's filing that is killed again and again: nothing is lost, nothing is there twice, and how fast it goes on.

    python -m scripts.bench.filing [--cases 2000] [--kills 5] [--workers 2] [--batches 2] [--stand-ins] [--seed 1] [--json]

A city of its own gets simulated cases, most of them closed. `huiyin archive run` files them as processes of its own, which are
killed together (SIGKILL) at random instants and started again, the last time several beside each other. Then ledger and
files are held against one another: every closed case has its number and one record copy whose bytes are there, no number
is missing or given twice, and no file lies there that the ledger does not name. With --stand-ins the same steps are taken with
a few bytes in the place of each dossier: thousands of cases in minutes, nothing rendered.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from archive import filing
from archive.filing import Archivist, Rendered, Stage, Tally
from domain.attachments import Files, named_in
from domain.ledger import Ledger
from domain.refusals import Refusal
from domain.steps.filing import ArchivePackageSealed, DossierRendered, OrderArchived
from domain.terms import SHANGHAI, Entry
from projections.answers import Projections
from scripts import archiving, embedded, importing, simulate, wiring
from scripts.bench import trial
from scripts.lawbook import answer

CITY = "filed"
BEGINNING = datetime(2026, 3, 2, tzinfo=SHANGHAI)
PAGE = 2000
PATIENCE = 600.0
"""Seconds in which a run that is to be killed has to come as far as it shall."""


class Look(msgspec.Struct, kw_only=True):
    """What ledger and files hold of what was filed."""

    filed: int = 0
    copies: int = 0
    volumes: int = 0
    sealed: int = 0
    numbers: int = 0
    drafts: int = 0  # half written when somebody was killed; `serve` removes them after an hour
    findings: list[str] = []


class Struck(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was killed, or ended: how long it took, and how many copies there were behind it."""

    killed: bool
    seconds: float
    copies: int


class Outcome(msgspec.Struct, kw_only=True):
    """What a campaign came to."""

    cases: int
    runs: list[Struck]
    look: Look
    tallies: list[Mapping[str, Any]]  # of the batches that went on beside each other to the end

    @property
    def per_second(self) -> float:
        """Copies a second, whatever was killed and begun again counted in."""
        return self.look.copies / sum(one.seconds for one in self.runs)


# --- what there is -----------------------------------------------------------------------------------------------


async def look(ledger: Ledger, shown: Projections, files: Files) -> Look:
    """Hold ledger and files against one another once nothing is under way any more."""
    done = Look()
    found = _Filed(done)
    after = 0
    while entries := await ledger.read(after, PAGE):
        after = entries[-1].position
        for entry in entries:
            found.saw(entry)
    found.judge()
    await shown.follow_until()
    async for lot in filing.at_hand(ledger, shown):
        for one in lot:
            if one.standing.stage in (Stage.FILE, Stage.COPY, Stage.SEAL):
                done.findings.append(f"{one.order.number}: {one.standing.stage.zh} left {one.standing.stage}")
    await _kept(ledger, files, found, done)
    return done


class _Filed:
    """What the ledger says of files, as far as it was read."""

    def __init__(self, done: Look) -> None:
        self.done = done
        self.given: dict[str, list[int]] = defaultdict(list)
        self.archived: Counter[str] = Counter()
        self.rendered: Counter[tuple[str, int]] = Counter()
        self.copies: dict[str, list[str]] = defaultdict(list)
        self.named: dict[str, set[str]] = defaultdict(set)

    def saw(self, entry: Entry) -> None:
        self.named[entry.stream].update(one.digest for _, one in named_in(entry))
        match entry.event:
            case OrderArchived():
                self.archived[entry.stream] += 1
                self.done.filed += 1
                for series, numbers in entry.numbers.items():
                    if series.startswith(("file/", "register/")):
                        self.given[series] += numbers
            case DossierRendered(edition="full") as event:
                self.rendered[entry.stream, event.upto] += 1
                self.copies[entry.stream] += [one.digest for one in event.volumes]
                self.done.copies += 1
                self.done.volumes += len(event.volumes)
            case ArchivePackageSealed():
                self.done.sealed += 1
            case _:
                pass

    def judge(self) -> None:
        """Find numbers that are missing or there twice, and what was done twice."""
        for series, numbers in self.given.items():
            self.done.numbers += len(numbers)
            if sorted(numbers) != list(range(1, len(numbers) + 1)):
                self.done.findings.append(f"{series}: 号不连续或重复 numbers with a gap, or twice")
        for stream, times in self.archived.items():
            if times > 1:
                self.done.findings.append(f"{stream}: 归档 filed {times} times")
        for (stream, upto), times in self.rendered.items():
            if times > 1:
                self.done.findings.append(f"{stream}: {times} 个归档件 copies of version {upto}")


async def _kept(ledger: Ledger, files: Files, found: _Filed, done: Look) -> None:
    """Hold the bytes that are kept against the digests that were recorded."""
    there = dict(files.cases())
    done.drafts = sum(1 for _ in files.root.glob("*/.draft-*"))
    for stream, digests in found.copies.items():
        for digest in digests:
            if digest not in there.get(stream, ()):
                done.findings.append(f"{stream}: 归档件不在 the copy is not here: {digest}")
    for stream, digests in there.items():
        keys = await ledger.keys_left(sorted({files.key_of(stream, digest) for digest in digests}))
        for digest in digests:
            if digest not in found.named[stream] and digest not in found.copies[stream]:
                done.findings.append(f"{stream}: 无主文件 a file that nothing names: {digest}")
            try:
                opened = files.open(stream, digest, keys.get)
                if opened is not None:
                    opened.whole()
                    opened.close()
            except Refusal as refusal:
                done.findings.append(f"{stream} {digest}: {refusal.sentence}")


# --- the campaign ------------------------------------------------------------------------------------------------


def command(city: str, workers: int, *, stand_ins: bool = False) -> list[str]:
    """Return the command that an office files with; or the one that does the same with stand-ins for dossiers."""
    if stand_ins:
        return [sys.executable, "-m", "scripts.bench.filing", "--batch-of", city, "--workers", str(workers)]
    words = ("archive", "run", "--city", city, "--workers", str(workers), "--json")
    return [sys.executable, "-m", "scripts.huiyin", *words]


async def _stand_in(stream: str, upto: int) -> Rendered:
    said = f"%PDF-1.7\n{stream} {upto}\n".encode() * 400
    return Rendered(said, 1, (f"sha256:{'f' * 64}",), "stand-in/1")


async def _batch(database: embedded.Database, city: str, workers: int) -> Tally:
    """File with stand-ins for dossiers, as `archive run` does with dossiers."""
    async with await wiring.open_city(database, city) as ledger, Projections(database.app, city) as shown:
        await shown.follow_until()
        with archiving.course(city, await archiving.waiting(ledger, shown)) as say:
            async with await wiring.open_log(database, ledger) as log:
                archivist = Archivist(ledger, log, wiring.files_of(ledger), [_stand_in] * workers, wiring.SYSTEM)
                return await archivist.run(filing.at_hand(ledger, shown), say, backwards=say is None)


def struck(
    words: Sequence[str], environment: Mapping[str, str], course: Path, target: int, wait: float
) -> tuple[bool, float]:
    """Start a run, kill it and all below it once it has made so many copies; tell whether it was, and after how long."""
    began = time.monotonic()
    running = subprocess.Popen(
        words, env=dict(environment), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while running.poll() is None and time.monotonic() < began + PATIENCE:
            found = filing.course_of(course)
            if found is not None and found[1] and found[0].copies >= target:
                break
            time.sleep(0.02)
        time.sleep(wait)
        return running.poll() is None, time.monotonic() - began
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def together(words: Sequence[str], environment: Mapping[str, str], batches: int) -> list[Mapping[str, Any]]:
    """Let several runs go on beside each other to their end; return what each came to. Raises ClickException."""
    running = [
        subprocess.Popen(words, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(batches)
    ]
    tallies: list[Mapping[str, Any]] = []
    for one in running:
        out, err = one.communicate()
        if one.returncode:
            raise click.ClickException((out + err).decode(errors="replace"))
        tallies.append(msgspec.json.decode(out))
    return tallies


async def _brought_in(database: embedded.Database, cases: int, seed: int, folder: Path) -> int:
    """Found a city and bring simulated cases in, until so many wait to be filed; return how many do."""
    await wiring.found_city(database, CITY, code="BE", name="某市", packs=[(wiring.completed("S0"), None)])
    script = folder / "cases.jsonl"
    lines = simulate.month(seed, orders=cases * 5 // 3, start=BEGINNING, after=60)
    script.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    async with await wiring.open_city(database, CITY) as ledger, Projections(database.app, CITY) as shown:
        await importing.import_script(ledger, script, rejects=folder / "rejects")
        await shown.follow_until()
        return len({one async for one in filing.candidates(ledger, shown)})


async def _looked(database: embedded.Database) -> Look:
    async with await wiring.open_city(database, CITY) as ledger, Projections(database.app, CITY) as shown:
        return await look(ledger, shown, wiring.files_of(ledger))


def campaign(
    folder: Path, cases: int, kills: int, words: Sequence[str], batches: int, seed: int, told: Callable[[Struck], None]
) -> Outcome:
    """File a city's cases, killed so many times, and look at what became of it."""
    chance = random.Random(seed)  # noqa: S311  a campaign that can be repeated, not a secret
    database = wiring.database()
    waiting = asyncio.run(_brought_in(database, cases, seed, folder))
    runs: list[Struck] = []
    course = wiring.packets_root(CITY) / filing.COURSE
    for left in range(kills, 0, -1):
        ahead = waiting * 3 // 4 - (runs[-1].copies if runs else 0)  # register lines have no copy
        target = chance.randint(1, max(ahead * 3 // (2 * left + 2), 2))
        killed, seconds = struck(words, os.environ, course, target, chance.random())
        runs.append(Struck(killed=killed, seconds=seconds, copies=asyncio.run(_looked(database)).copies))
        told(runs[-1])
    began = time.monotonic()
    tallies = together(words, os.environ, batches)
    found = asyncio.run(_looked(database))
    runs.append(Struck(killed=False, seconds=time.monotonic() - began, copies=found.copies))
    return Outcome(cases=waiting, runs=runs, look=found, tallies=tallies)


@click.command()
@click.option("--cases", type=click.IntRange(10), default=2000, show_default=True)
@click.option("--kills", type=click.IntRange(0, 50), default=5, show_default=True)
@click.option("--workers", type=click.IntRange(1, 32), default=2, show_default=True)
@click.option("--batches", type=click.IntRange(1, 8), default=2, show_default=True)
@click.option("--stand-ins", is_flag=True, help="Nothing is rendered: a few bytes stand for each dossier.")
@click.option("--seed", default=1, show_default=True)
@click.option("--batch-of", "city", hidden=True, help="Be one of the batches.")
@click.option("--json", "as_json", is_flag=True)
def main(
    cases: int, kills: int, workers: int, batches: int, stand_ins: bool, seed: int, city: str | None, as_json: bool
) -> None:
    """Kill the filing of a city's cases at random instants, and look what became of it."""
    if city is not None:
        answer(asyncio.run(_batch(wiring.database(), city, workers)))
        return
    with trial.directory() as root:
        os.environ["HUIYIN_HOME"] = str(root / "home")
        os.environ.pop("HUIYIN_DATABASE_URL", None)

        def told(one: Struck) -> None:
            click.echo(
                f"{'killed' if one.killed else 'ended'} after {one.seconds:.1f} s: {one.copies} copies", err=True
            )

        try:
            words = command(CITY, workers, stand_ins=stand_ins)
            outcome = campaign(root, cases, kills, words, batches, seed, told)
        finally:
            embedded.stop(root / "home", at_once=True)
    if as_json:
        answer({**msgspec.to_builtins(outcome), "per_second": outcome.per_second})
    else:
        _print(outcome)
    sys.exit(1 if outcome.look.findings else 0)


def _print(outcome: Outcome) -> None:
    rows: list[tuple[str, ...]] = []
    before = 0
    for one in outcome.runs:
        made = one.copies - before
        name = "killed" if one.killed else "went on to the end"
        rows.append((name, f"{before:,}", f"{one.copies:,}", f"{one.seconds:.1f}", f"{made / one.seconds:.2f}"))
        before = one.copies
    found = outcome.look
    click.echo(f"{outcome.cases:,} cases, {outcome.per_second:.2f} copies a second over all")
    click.echo(
        f"  {found.filed:,} filed, {found.numbers:,} numbers, {found.copies:,} copies in {found.volumes:,} volumes, "
        f"{found.sealed:,} sealed; {len(found.findings)} findings, {found.drafts} half-written files"
    )
    trial.show("", ("run", "resumed at", "came to", "seconds", "a second"), rows)
    for one in outcome.tallies:
        said = (f"{one[name]} {name}" for name in ("filed", "copies", "sealed", "incomplete", "waiting"))
        click.echo(f"  a batch of the last: {', '.join(said)}, {len(one['failed'])} failed")
    for one in found.findings[:50]:
        click.echo(f"✗ {one}")


if __name__ == "__main__":
    main()
