"""How fast a ledger's tree grows, proves and is checked; beside the bare hash and a bare read of the same rows.

    python -m scripts.bench.transparency [--leaves 1000000] [--proofs 10000000] [--events 300000] [--json]

One run on one PostgreSQL of its own, one process:

    a  hash         SHA-256 of two hashes one after the other, as every node of the tree is computed
    b  read         leaves read from a ledger's table in pages, and nothing done with them
    c  grow         the same leaves read, put into tiles, the tiles written and committed, page by page
    d  proofs       inclusion proofs from tiles at so many leaves, the tiles in memory as a server has them at hand;
                    each is checked, apart, and the time of that told
    e  verify       a ledger of simulated cases: every row read, every leaf, the tree and its heads computed again; in
                    this process, then in two more, whose start counts

The ledger of b and c has rows of random leaves, which is all that a tree reads; e is led through the door.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import msgspec
import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain import recorder, tree
from domain.leaves import digest
from domain.tree import Place, Span
from projections import transparency
from projections.checkers import Checkers
from projections.outside import Outside
from projections.transparency import Transparency
from scripts import embedded
from scripts.bench import trial, volume
from scripts.bench.trial import City
from scripts.lawbook import answer

SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")


class Figure(msgspec.Struct, frozen=True):
    """One measurement: how many a second, and of what."""

    what: str
    unit: str
    count: int
    seconds: float

    @property
    def rate(self) -> float:
        """How many a second."""
        return self.count / self.seconds


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def bare_hash(count: int) -> Figure:
    """Hash two hashes, so many times."""
    pair = os.urandom(2 * tree.SIZE)

    def work() -> None:
        for _ in range(count):
            digest("sha256", b"\x01" + pair)

    return Figure("a hash", "nodes", count, timed(work))


def leaves_of(city: City, count: int) -> None:
    """Fill a ledger's table with so many rows of random leaves."""
    with psycopg.connect(city.database.superuser, autocommit=True) as connection:
        connection.execute(recorder.statements(SQL, city.name)["fill"], {"count": count})


def bare_read(city: City, count: int) -> Figure:
    """Read the leaves in the pages that a tree reads."""
    statement = recorder.statements(SQL, city.name)["read"]
    with closing(psycopg.connect(city.database.app, autocommit=True)) as connection:

        def work() -> None:
            for after in range(0, count, transparency.PAGE):
                said = {"after": after, "limit": transparency.PAGE}
                psycopg.Cursor(connection).execute(statement, said, binary=True).fetchall()

        return Figure("b read", "leaves", count, timed(work))


async def grown(city: City, count: int, folder: Path) -> Figure:
    """Let a tree take in every leaf."""
    async with await trial.open_city(city) as ledger:
        outside = Outside(folder, ledger.imprint.ledger_id)
        async with Transparency(city.database.app, city.name, ledger.imprint, outside) as log:
            began = time.perf_counter()
            if await log.follow() != count:
                raise AssertionError("some leaves were not taken in")
            return Figure("c grow, tiles committed", "leaves", count, time.perf_counter() - began)


def proved(leaves: int, count: int = 5000) -> list[Figure]:
    """Make and check proofs of inclusion in a tree of so many leaves."""
    held: dict[Place, bytes] = {}
    seed = os.urandom(tree.SIZE)
    step = 1 << 16
    for size in range(0, leaves, step):
        fresh = [digest("sha256", seed + n.to_bytes(8, "big")) for n in range(size, min(size + step, leaves))]
        held |= tree.grow("sha256", size, {place: held[place] for place, _ in tree.edge(size)}, fresh)
    root = tree.root("sha256", Span(0, leaves), held)
    chance = random.Random(1)  # noqa: S311  which leaf, not a secret
    asked = [chance.randrange(leaves) for _ in range(count)]
    proofs: list[list[bytes]] = []
    made = timed(lambda: proofs.extend(tree.proof("sha256", tree.inclusion(n, leaves), held) for n in asked))
    said = [digest("sha256", seed + n.to_bytes(8, "big")) for n in asked]
    right: list[bool] = []
    checks = timed(
        lambda: right.extend(
            tree.included("sha256", leaf, n, leaves, path) == root
            for leaf, n, path in zip(said, asked, proofs, strict=True)
        )
    )
    if not all(right):
        raise AssertionError("a proof does not hold")
    return [
        Figure(f"d proofs at {leaves:,} leaves", "proofs", count, made),
        Figure(f"d their check, {len(proofs[0])} hashes", "proofs", count, checks),
    ]


async def verified(database: embedded.Database, events: int, folder: Path) -> list[Figure]:
    """Lead cases, multiply them, sign heads, and check the whole ledger, in this process and in two."""
    city = await volume.founded(database)
    async with await trial.open_city(city) as ledger:
        await volume.lead(ledger, 1, 300)
        await volume.multiply(city.database.app, city.name, ledger.imprint, events)
        outside = Outside(folder, ledger.imprint.ledger_id)
        private = Ed25519PrivateKey.generate()
        async with Transparency(city.database.app, city.name, ledger.imprint, outside, private=private) as log:
            await log.sign()
            end, _ = await ledger.head()
            found: list[Figure] = []
            for jobs in (1, 2):
                began = time.perf_counter()
                with Checkers(city.database.app, city.name, ledger.imprint, jobs) as several:
                    findings = await log.check(ledger, checkers=several if jobs > 1 else None)
                if findings:
                    raise AssertionError(findings[:3])
                found.append(Figure(f"e verify, jobs {jobs}", "events", end, time.perf_counter() - began))
            return found


async def measure(database: embedded.Database, folder: Path, leaves: int, proofs: int, events: int) -> list[Figure]:
    """Return every figure of one run."""
    city = await trial.bare_city(database)
    leaves_of(city, leaves)
    found = [bare_hash(500_000), bare_read(city, leaves), await grown(city, leaves, folder)]
    return [*found, *proved(proofs), *await verified(database, events, folder)]


@click.command()
@click.option("--leaves", default=1_000_000, show_default=True, help="leaves that a tree takes in.")
@click.option("--proofs", default=10_000_000, show_default=True, help="leaves of the tree that proofs are of.")
@click.option("--events", default=300_000, show_default=True, help="events of the ledger that is checked.")
@click.option("--json", "as_json", is_flag=True)
def main(leaves: int, proofs: int, events: int, *, as_json: bool) -> None:
    """Measure growing, proving and checking side by side."""
    with trial.database() as database, trial.directory() as folder:
        found = trial.run(measure(database, folder, leaves, proofs, events))
    if as_json:
        answer([{**msgspec.to_builtins(one), "rate": one.rate} for one in found])
        return
    rows = [(one.what, one.unit, f"{one.count:,}", f"{one.seconds:.2f}", f"{one.rate:,.0f}") for one in found]
    trial.show("the tree over a ledger", ("what", "of", "count", "seconds", "a second"), rows)


if __name__ == "__main__":
    main()
