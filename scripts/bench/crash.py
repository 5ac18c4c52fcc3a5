"""A campaign of kills: nothing acknowledged is lost or done twice, nothing is half-written, and how long recovery takes.

    python -m scripts.bench.crash [--rounds 200] [--seed 1] [--json]

Two processes lead real cases and one imports scripts, all into one city of a PostgreSQL of their own. Each round, at a
random moment, one of them, the whole server or one of its sessions is killed (SIGKILL) and started again. After each
round everything recorded since the last is looked at: positions dense, commits whole, every leaf computed again, each
acknowledged command where its receipt said. At the end everybody stops, and every command of every case is counted.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
import msgspec

from domain import leaves
from domain.leaves import Finding
from domain.ledger import Ledger
from domain.recorder import texts
from scripts import embedded
from scripts.bench import trial, worker
from scripts.bench.trial import City
from scripts.bench.worker import Acked
from scripts.lawbook import answer

VICTIMS = ("writer", "writer", "importer", "server", "session")
PATIENCE = 60.0
"""Seconds until a recovery has failed."""


class Recovery(msgspec.Struct):
    """What was killed, and the seconds until somebody's command was acknowledged again."""

    round: int
    victim: str
    seconds: float


class Outcome(msgspec.Struct):
    """What a campaign came to; every count but the first five is to be zero."""

    rounds: int
    commands: int  # acknowledged to those who led cases
    imported: int  # lines of scripts
    events: int
    recoveries: list[Recovery]
    lost: int = 0  # acknowledged, and not there as the receipt said
    twice: int = 0
    unheard: int = 0  # there, and nobody was told, although everybody was answered in the end
    findings: list[Finding] = []  # leaves, density, halves

    @property
    def sound(self) -> bool:
        """Tell whether every promise was kept."""
        return not (self.lost or self.twice or self.unheard or self.findings)


class Crowd:
    """The processes of a campaign, each in a slot; only these, and the server's own, are ever killed."""

    def __init__(self, city: City, folder: Path, patience: float = PATIENCE) -> None:
        self._city = city
        self._folder = folder
        self._patience = patience
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._read: dict[str, int] = {}
        self.slots = {"w1": "cases", "w2": "cases", "i1": "imports"}

    def log(self, slot: str) -> Path:
        """Return where a slot's acknowledgements lie."""
        return self._folder / f"{slot}.log"

    def start(self, slot: str) -> None:
        """Start a slot's process."""
        self._running[slot] = trial.launch(self._city, self.slots[slot], slot, self.log(slot))

    def kill(self, slot: str) -> None:
        """Kill a slot's process, without a word."""
        self._running[slot].kill()
        self._running.pop(slot).wait()

    def stop(self) -> None:
        """Let every process finish what is under way."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.wait(self._patience)
        self._running.clear()

    def end(self) -> None:
        """Kill whatever still runs."""
        for slot in list(self._running):
            self.kill(slot)

    def news(self, slots: Iterable[str]) -> list[Acked]:
        """Return what was acknowledged to slots since this was asked last."""
        found: list[Acked] = []
        for slot in slots:
            if self.log(slot).exists():
                content = self.log(slot).read_bytes()
                whole = content.rfind(b"\n") + 1
                lines = content[self._read.get(slot, 0) : whole].splitlines()
                found += [msgspec.json.decode(line, type=Acked) for line in lines]
                self._read[slot] = whole
        return found

    def size(self, slots: Iterable[str]) -> int:
        """Return how much was acknowledged to slots, in bytes."""
        return sum(self.log(slot).stat().st_size for slot in slots if self.log(slot).exists())

    def wait_for_more(self, slots: list[str]) -> None:
        """Wait until something more is acknowledged to slots. Raises TimeoutError."""
        before, until = self.size(slots), time.monotonic() + self._patience
        while self.size(slots) <= before:
            if time.monotonic() > until:
                raise TimeoutError(f"nothing was acknowledged to {slots} for {self._patience:.0f} s")
            for slot, process in self._running.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{slot} ended by itself: {process.returncode}")
            time.sleep(0.005)


def postmaster(home: Path) -> int:
    """Return the process of the campaign's own server."""
    return int((home / "data" / "postmaster.pid").read_text().split("\n", 1)[0])


def sessions(server: int) -> list[int]:
    """Return the processes that a server started for sessions of the ledger."""
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            said = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(said[1]) == server and b"huiyin_app" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except (OSError, ValueError):
            continue  # it ended while we looked
    return found


class Auditor:
    """Looks at everything recorded since it looked last."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._upto = 0
        self._owed = 0  # events of the last commit that are still to come
        self._since: Any = None
        self.findings: list[Finding] = []

    async def look(self, acked: Iterable[Acked]) -> int:
        """Check what is new in the ledger; return how many acknowledged commands are not there as was said."""
        async with await trial.open_city(self._city, patience=PATIENCE) as ledger:
            end, _ = await ledger.head()
            for after in range(self._upto, end, 2000):
                await self._page(ledger, after, min(after + 2000, end))
            self._upto = end
            behind = await ledger.rows("beyond_head")
            self.findings += [Finding(position, stream, "it lies beyond the head") for position, stream in behind]
            there = await commits(ledger, [one.id for one in acked])
            return sum(there.get(one.id, (0, 0)) != (one.position, one.count) for one in acked)

    async def _page(self, ledger: Ledger, after: int, upto: int) -> None:
        rows = await ledger.witnesses(after, upto)
        self.findings += leaves.check(ledger.imprint, rows)
        self.findings += leaves.check_order(after, self._since, rows)
        if len(rows) < upto - after:
            self.findings.append(Finding(upto, "", "positions are missing up to here"))
        for event, commit, _ in rows:
            begins = event.position == commit.first_position
            if begins != (self._owed == 0):
                self.findings.append(Finding(event.position, event.stream, "half of a commit is missing"))
            self._owed = (commit.n if begins else self._owed) - 1
        self._since = rows[-1].event.recorded_at if rows else self._since


async def commits(ledger: Ledger, ids: list[str]) -> dict[str, tuple[int, int]]:
    """Return where commands lie, and how many events each has."""
    found: dict[str, tuple[int, int]] = {}
    for start in range(0, len(ids), 5000):
        for command_id, _, first, count in await ledger.rows("known_commands", texts(ids[start : start + 5000])):
            found[command_id] = (first, count)
    return found


def strike(victim: str, crowd: Crowd, home: Path, chance: random.Random) -> float:
    """Kill a victim, start it again, and return the seconds until somebody who was hit is acknowledged something."""
    began = time.monotonic()
    match victim:
        case "writer" | "importer":
            slots = [chance.choice(("w1", "w2")) if victim == "writer" else "i1"]
            crowd.kill(slots[0])
            crowd.start(slots[0])
        case "server":
            slots = ["w1", "w2"]
            os.kill(postmaster(home), signal.SIGKILL)
            embedded.start(home)
        case _:
            slots = ["w1", "w2"]
            if there := sessions(postmaster(home)):
                os.kill(chance.choice(there), signal.SIGKILL)
    crowd.wait_for_more(slots)
    return time.monotonic() - began


def campaign(rounds: int, seed: int, *, told: Callable[[Recovery], None] = lambda _: None) -> Outcome:
    """Carry out a campaign in a database of its own, which is removed afterwards."""
    chance = random.Random(seed)  # noqa: S311  a campaign that can be repeated, not a secret
    with trial.directory() as root:
        home = root / "home"
        database = embedded.start(home)
        crowd = Crowd(city := trial.run(trial.founded_city(database)), root)
        auditor, recoveries, lost = Auditor(city), list[Recovery](), 0
        try:
            for slot in crowd.slots:
                crowd.start(slot)
            crowd.wait_for_more(["w1", "w2"])
            for number in range(1, rounds + 1):
                time.sleep(chance.uniform(0.02, 0.5))
                victim = chance.choice(VICTIMS)
                recoveries.append(Recovery(number, victim, strike(victim, crowd, home, chance)))
                told(recoveries[-1])
                lost += trial.run(auditor.look(crowd.news(("w1", "w2"))))
            crowd.stop()
            lost += trial.run(auditor.look(crowd.news(("w1", "w2"))))
            return trial.run(_counted(city, crowd, Outcome(rounds, 0, 0, 0, recoveries, lost, 0, 0, auditor.findings)))
        finally:
            crowd.end()
            embedded.stop(home, at_once=True)


async def _counted(city: City, crowd: Crowd, outcome: Outcome) -> Outcome:
    """Count every command of every case, and every line of every script, once all was answered."""
    async with await trial.open_city(city) as ledger:
        outcome.events, _ = await ledger.head()
        asked: list[str] = []
        for slot in ("w1", "w2"):
            acked = worker.read_log(crowd.log(slot))
            outcome.commands += len(acked)
            outcome.twice += len(acked) - len({one.id for one in acked})
            steps = len(trial.one_case())
            last = worker.newest(acked)
            for case in range(max(last, default=0) + 100):
                asked += [f"{slot}:{case}:{step}" for step in range(last[case].step + 1 if case in last else 0, steps)]
        outcome.unheard = len(await commits(ledger, asked))
        for one in worker.read_log(crowd.log("i1")):
            outcome.imported += one.count
            lines = len(Path(one.id).read_bytes().splitlines())
            digest = leaves.digest("sha256", Path(one.id).read_bytes()).hex()[:16]
            there = await commits(ledger, [f"script:{digest}:{number}" for number in range(1, lines + 1)])
            outcome.lost += abs(len(there) - one.count)
    return outcome


def rows_of(recoveries: list[Recovery]) -> list[tuple[str, ...]]:
    """Return how long recovery took, by what was killed."""
    by: dict[str, list[float]] = {}
    for one in recoveries:
        by.setdefault(one.victim, []).append(one.seconds)
    return [
        (victim, str(len(took)), f"{statistics.median(took):.2f}", f"{max(took):.2f}")
        for victim, took in sorted(by.items())
    ]


@click.command()
@click.option("--rounds", default=200, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(rounds: int, seed: int, as_json: bool) -> None:
    """Kill writers, importers and PostgreSQL at random moments under load, and look what became of it."""

    def told(one: Recovery) -> None:
        click.echo(f"{one.round:4} {one.victim:9} {one.seconds:6.2f} s", err=True)

    outcome = campaign(rounds, seed, told=told)
    if as_json:
        answer({**msgspec.structs.asdict(outcome), "sound": outcome.sound})
    else:
        trial.show(
            f"{outcome.rounds} rounds, {outcome.commands:,} commands, {outcome.imported:,} imported lines, "
            f"{outcome.events:,} events: lost {outcome.lost}, twice {outcome.twice}, unheard {outcome.unheard}, "
            f"findings {len(outcome.findings)}",
            ("killed", "times", "median s", "longest s"),
            rows_of(outcome.recoveries),
        )
    sys.exit(0 if outcome.sound else 1)


if __name__ == "__main__":
    main()
