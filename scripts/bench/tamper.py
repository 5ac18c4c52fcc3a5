"""Whatever the database's superuser changes in a ledger is found by `huiyin verify`, with its position.

    python -m scripts.bench.tamper [--changes 10000] [--cases 100] [--seed 1] [--json]

A ledger of about a thousand events, whose heads were signed as it grew and whose last head a witness holds. One random
change at a time is made behind the ledger's back, the ledger is checked, and what was there is put back: bits and
values of every column of events and commits, rows that are taken away, put twice, exchanged or put into another order, a
tail that is cut off together with its heads, the head, signed heads and tiles, and a history computed again from an
event on: leaves, tiles and heads, signed with the log's own key, which only the witness's head contradicts.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain import leaves, notes, recorder
from domain.leaves import Finding, Witnessed
from domain.ledger import Ledger
from domain.notes import Checkpoint, Note
from domain.tree import Roots
from projections.outside import Outside
from projections.transparency import Transparency
from scripts import embedded
from scripts.bench import trial, volume
from scripts.bench.trial import City
from scripts.lawbook import answer

SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")

_OF_EVENTS = (
    "originator_id",
    "originator_version",
    "topic",
    "state",
    "salt",
    "leaf",
    "commit",
    "recorded_at",
    "occurred_at",
)
_OF_COMMITS = (
    "n",
    "command_id",
    "digest",
    "recorded_at",
    "occurred_at",
    "origin",
    "actor",
    "on_behalf_of",
    "reason",
    "numbers",
    "correlation_id",
    "causation_id",
    "trace_id",
    "salt",
)


class Change(NamedTuple):
    """One change: its kind, and the first position that is no longer what it was; None where it has none."""

    kind: str
    at: int | None


class Tried(msgspec.Struct, frozen=True):
    """What a run came to, by kind of change: how many were made, and how many of them named with their position."""

    events: int
    changes: int
    missed: list[str]
    made: dict[str, int]
    named: dict[str, int]
    seconds: float


class Superuser:
    """Who may do everything to a city's tables and to the folder beside them, and puts back what was there."""

    def __init__(self, city: City, log: Transparency, private: Ed25519PrivateKey, chance: random.Random) -> None:
        self._city = city.name
        self._sql = recorder.statements(SQL.replace("tampered", f"{city.name}_tampered"), city.name)
        self._connection = psycopg.connect(city.database.superuser, autocommit=True)
        self._log = log
        self._private = private
        self._chance = chance
        self._run("keep")
        self._commits = self._rows("commits")
        self.events = sum(n for _, n in self._commits)
        self._kept = {path: path.read_bytes() for path in self._files()}

    def close(self) -> None:
        """Forget what was kept."""
        self._run("forget")
        self._connection.close()

    def _files(self) -> list[Path]:
        return [path for path in self._log.outside.folder.rglob("*") if path.is_file()]

    def _run(self, name: str, **said: Any) -> int:
        changed = 0
        with self._connection.transaction():
            for one in self._sql[name].split(b";"):
                changed = self._connection.execute(one, said or None).rowcount
        return changed

    def _rows(self, name: str, **said: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(self._sql[name], said or None).fetchall()

    def put_back(self) -> None:
        """Make everything as it was."""
        self._run("put_back")
        for path in self._files():
            if path not in self._kept:
                path.unlink()
        for path, content in self._kept.items():
            if not path.exists() or path.read_bytes() != content:
                path.write_bytes(content)

    async def change(self, rows: list[Witnessed]) -> Change:
        """Change something, drawn by chance; what the tables themselves refuse, or changes nothing, is drawn again."""
        while True:
            way = self._chance.choices(tuple(_WAYS), tuple(_WAYS.values()))[0]
            try:
                made = way(self, rows)
            except (psycopg.errors.IntegrityError, psycopg.errors.DataError):
                continue
            if made is not None:
                return made

    # --- the ways ----------------------------------------------------------------------------------------------------

    def _any(self) -> int:
        return self._chance.randint(1, self.events)

    def _value(self, table: str, column: str, key: str, at: object) -> bool:
        """Change one value of a row; tell whether it is another one now."""
        words = {"TABLE": f"{self._city}.{table}", "COLUMN": column, "KEY": key}
        said = {name: self._sql[name].decode() for name in ("value", "set_value")}
        for word, by in words.items():
            said = {name: text.replace(word, by) for name, text in said.items()}
        found = self._connection.execute(said["value"].encode(), {"at": at}).fetchone()
        if found is None:
            return False
        other = changed(found[0], self._chance)
        if other == found[0]:
            return False
        return self._connection.execute(said["set_value"].encode(), {"at": at, "value": other}).rowcount == 1

    def value_of_event(self, _: list[Witnessed]) -> Change | None:
        """Change a value of an event."""
        at, column = self._any(), self._chance.choice(_OF_EVENTS)
        return Change(f"events.{column}", at) if self._value("events", column, "position", at) else None

    def value_of_commit(self, _: list[Witnessed]) -> Change | None:
        """Change a value of a commit."""
        at, column = self._chance.choice(self._commits)[0], self._chance.choice(_OF_COMMITS)
        return Change(f"commits.{column}", at) if self._value("commits", column, "first_position", at) else None

    def event_taken(self, _: list[Witnessed]) -> Change:
        """Take an event away."""
        at = self._any()
        self._run("take_event", at=at)
        return Change("event deleted", at)

    def commit_taken(self, _: list[Witnessed]) -> Change:
        """Take a commit away, and leave its events."""
        at = self._chance.choice(self._commits)[0]
        self._run("take_commit", at=at)
        return Change("commit deleted", at)

    def put_twice(self, _: list[Witnessed]) -> Change:
        """Put an event at the end that nobody recorded."""
        self._run("put_twice", at=self._any())
        return Change("event added", self.events + 1)

    def exchanged(self, _: list[Witnessed]) -> Change | None:
        """Exchange the places of two events."""
        one, two = self._any(), self._any()
        if one == two:
            return None
        for at, to in ((one, -1), (two, one), (-1, two)):
            self._run("move_event", at=at, to=to)
        return Change("events swapped", min(one, two))

    def reordered(self, _: list[Witnessed]) -> Change | None:
        """Put an event some places later, and those between one earlier each."""
        first = self._any()
        last = min(self.events, first + self._chance.randint(1, 9))
        if first == last:
            return None
        self._run("move_event", at=first, to=-1)
        for at in range(first + 1, last + 1):
            self._run("move_event", at=at, to=at - 1)
        self._run("move_event", at=-1, to=last)
        return Change("events re-ordered", first)

    def cut(self, _: list[Witnessed]) -> Change:
        """Cut a tail off between two commits, with the heads that were signed of it, as if it had never been."""
        at = self._chance.choice(self._commits[1:])[0]
        self._run("cut", at=at)
        return Change("tail truncated", at)

    def head_moved(self, _: list[Witnessed]) -> Change | None:
        """Move the head, or its time."""
        if self._chance.random() < 0.5:
            by = self._chance.choice([-1, 1, -self._chance.randint(2, self.events - 1), 1000])
            self._run("move_head", by=by)
            return Change("head.pos", self.events + by + 1 if by < 0 else self.events + 1)
        self._run("move_time", by=self._chance.choice([-0.001, 0.001, 3600.0, -86_400.0]))
        return Change("head.recorded_at", self.events)

    def signed_head(self, _: list[Witnessed]) -> Change | None:
        """Change a head that was signed, or a cosignature on it."""
        sizes = self._rows("sizes")
        size = self._chance.choice(sizes)[0]
        column = self._chance.choice(["size", "root", "note", "line"])
        table = "cosignatures" if column == "line" else "heads"
        return Change(f"{table}.{column}", None) if self._value(table, column, "size", size) else None

    def tile(self, _: list[Witnessed]) -> Change:
        """Flip a bit of a tile."""
        ((count,),) = self._rows("count_tiles")
        at = self._chance.randrange(count)
        self._run("flip_tile", at=at, bit=self._chance.randrange(256))
        return Change("tile", None)

    def computed_again(self, rows: list[Witnessed]) -> Change | None:
        """Change what happened and compute everything again: leaves, tiles, heads, with the log's own key, everywhere."""
        at = self._any()
        state = rows[at - 1].event.state
        other = state.replace(b'"', b'"\xe6\x94\xb9', 3) if b'"' in state else state
        imprint = leaves.Imprint(self._log.origin.split("/")[1], self._log.hash)
        last, fresh = dict[str, bytes](), Roots(self._log.hash)
        sizes = {size for (size,) in self._rows("sizes")}
        heads: list[Note] = []
        for event, commit, _ in rows:
            said = event._replace(state=other) if event.position == at else event
            before = last.get(event.stream, leaves.NOTHING)
            leaf = leaves.leaf_of(imprint, said, leaves.salted_record(imprint, commit), before)
            last[event.stream] = leaf
            fresh.take([leaf])
            if leaf != event.leaf:
                self._run("rewrite", at=event.position, state=said.state.decode(), leaf=leaf)
            if fresh.size in sizes:
                note = notes.signed(Checkpoint(self._log.origin, fresh.size, fresh.root), self._private)
                self._run("sign_again", size=fresh.size, root=fresh.root, note=str(note))
                heads.append(note)
        self._run("forget_tiles")
        for path in self._files():
            path.unlink()
        for note in heads:
            self._log.outside.sign(note, rows[-1].event.recorded_at)
        return Change("history computed again", None)


_WAYS: Mapping[Callable[[Superuser, list[Witnessed]], Change | None], int] = {
    Superuser.value_of_event: 40,
    Superuser.value_of_commit: 25,
    Superuser.event_taken: 5,
    Superuser.commit_taken: 3,
    Superuser.put_twice: 3,
    Superuser.exchanged: 5,
    Superuser.reordered: 5,
    Superuser.cut: 5,
    Superuser.head_moved: 3,
    Superuser.signed_head: 3,
    Superuser.tile: 2,
    Superuser.computed_again: 1,
}


def changed(value: Any, chance: random.Random) -> Any:
    """Return a value that is a little different, as somebody or something might change it."""
    if isinstance(value, bytes):
        at = chance.randrange(len(value))
        return value[:at] + bytes([value[at] ^ 1 << chance.randrange(8)]) + value[at + 1 :]
    if isinstance(value, str):
        if not value:
            return "x"
        at = chance.randrange(len(value))
        return value[:at] + chance.choice(["", "x", " ", "0", chr(ord(value[at]) ^ 1)]) + value[at + 1 :]
    if isinstance(value, int):
        return value + chance.choice([1, -1, 2, 1000])
    if isinstance(value, datetime):
        return value + chance.choice([timedelta(microseconds=1), timedelta(milliseconds=-1), timedelta(days=1)])
    return datetime(2026, 1, 1).astimezone()


async def tried(
    ledger: Ledger, log: Transparency, city: City, private: Ed25519PrivateKey, held: Note, changes: int, seed: int
) -> Tried:
    """Make so many changes, one at a time, each checked and put back. Raises AssertionError where the ledger is not whole."""
    chance = random.Random(seed)  # noqa: S311  which change, not a secret
    if findings := await log.check(ledger, [held]):
        raise AssertionError(findings[:3])
    rows = await ledger.witnesses(0, (await ledger.head())[0])
    superuser = Superuser(city, log, private, chance)
    made, named, missed = Counter[str](), Counter[str](), list[str]()
    began = time.perf_counter()
    try:
        for _ in range(changes):
            change = await superuser.change(rows)
            findings = await log.check(ledger, [held])
            superuser.put_back()
            made[change.kind] += 1
            named[change.kind] += _names(findings, change)
            if not findings:
                missed.append(f"{change.kind} {change.at}")
    finally:
        superuser.close()
    if findings := await log.check(ledger, [held]):
        raise AssertionError(findings[:3])
    seconds = time.perf_counter() - began
    return Tried(len(rows), changes, missed, dict(made.most_common()), dict(named), seconds)


def _names(findings: list[Finding], change: Change) -> bool:
    """Tell whether the position of a change is named, where it has one."""
    return change.at is None or any(one.position == change.at for one in findings)


async def grown(ledger: Ledger, log: Transparency, cases: int) -> Note:
    """Lead cases, sign a head now and then; return the last one with a witness's signature, as the witness holds it."""
    note = await log.sign()
    for seed in range(1, 5):
        await volume.lead(ledger, seed, cases // 4)
        note = await log.sign()
    witness = Ed25519PrivateKey.generate()
    line = notes.cosigned(note, "witness.example", witness, 1_700_000_000)
    log.witnesses = (notes.witness_key("witness.example", witness),)
    held = notes.with_signatures(note, [line])
    await log.cosign(held)
    return held


async def measure(database: embedded.Database, folder: Path, cases: int, changes: int, seed: int) -> Tried:
    """Return what a run comes to."""
    city = await volume.founded(database)
    private = Ed25519PrivateKey.generate()
    async with await trial.open_city(city) as ledger:
        outside = Outside(folder, ledger.imprint.ledger_id)
        async with Transparency(city.database.app, city.name, ledger.imprint, outside, private=private) as log:
            held = await grown(ledger, log, cases)
            return await tried(ledger, log, city, private, held, changes, seed)


@click.command()
@click.option("--changes", default=10_000, show_default=True)
@click.option("--cases", default=100, show_default=True, help="cases that the ledger is of.")
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(changes: int, cases: int, seed: int, *, as_json: bool) -> None:
    """Change a ledger behind its back, and count what is found."""
    with trial.database() as database, trial.directory() as folder:
        found = trial.run(measure(database, folder, cases, changes, seed))
    if as_json:
        answer(found)
    else:
        rows = [(kind, f"{count:,}", f"{found.named[kind]:,}") for kind, count in found.made.items()]
        title = f"{found.changes:,} changes of {found.events:,} events, {found.seconds:.0f} s; not found: {len(found.missed)}"
        trial.show(title, ("change", "made and found", "with its position"), rows)
    if found.missed:
        raise SystemExit(f"not found: {found.missed[:20]}")


if __name__ == "__main__":
    main()
