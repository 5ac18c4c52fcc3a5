"""A reader at the tail while everybody writes: it misses nothing and sees no gap, and how far behind it is.

    python -m scripts.bench.tailing [--events 1000000] [--writers 4] [--callers 64] [--json]

So many processes write into one city as fast as they can; one reader asks for whatever lies after the last position it
has, again and again. Positions are dense and in the order of commits, so that a position is all a follower keeps.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from domain.ledger import Ledger
from domain.recorder import texts
from scripts import embedded
from scripts.bench import trial
from scripts.lawbook import answer

PAGE = 2000
EVERY = (1 << 62) - 1


class Seen(msgspec.Struct):
    """What a reader at the tail saw."""

    events: int
    seconds: float
    per_second: float
    pages: int
    behind_p50: int  # events between the head and the reader, page by page
    behind_p99: int
    gaps: int  # positions that did not follow on the one before
    twice: int  # ids that came again under another position
    head: int  # where the ledger stood in the end


async def tail(ledger: Ledger, events: int, *, alive: Callable[[], bool], patience: float = 60.0) -> Seen:
    """Read on until there were so many events; give up where nothing comes any more."""
    after = pages = gaps = 0
    ids: set[str] = set()
    behind: list[int] = []
    began = came = time.monotonic()
    while after < events and (alive() or time.monotonic() < came + 2) and time.monotonic() < came + patience:
        rows = await ledger.rows("stored_page", after, EVERY, texts(()), PAGE)
        for position, stream, *_ in rows:
            gaps += position != after + 1
            after = position
            ids.add(stream)
        if rows:
            came = time.monotonic()
            pages += 1
            if pages % 16 == 1:
                behind.append((await ledger.head())[0] - after)
        else:
            await asyncio.sleep(0.002)
    seconds = came - began
    behind.sort()
    return Seen(
        events=after,
        seconds=seconds,
        per_second=after / seconds if seconds else 0.0,
        pages=pages,
        behind_p50=behind[len(behind) // 2] if behind else 0,
        behind_p99=behind[len(behind) * 99 // 100] if behind else 0,
        gaps=gaps,
        twice=after - len(ids),
        head=(await ledger.head())[0],
    )


def follow(database: embedded.Database, folder: Path, events: int, writers: int, callers: int) -> Seen:
    """Have processes write so many events while one reader follows."""
    city = trial.run(trial.bare_city(database))
    each = [events // writers + (number < events % writers) for number in range(writers)]
    running = [
        trial.launch(city, "flood", f"f{number}", folder / f"f{number}", events=count, callers=callers)
        for number, count in enumerate(each)
    ]

    async def read() -> Seen:
        async with await trial.open_city(city) as ledger:
            return await tail(ledger, events, alive=lambda: any(process.poll() is None for process in running))

    try:
        seen = trial.run(read())
        for process in running:
            process.wait(60)
    finally:
        for process in running:
            process.kill()
            process.wait()
    return seen


@click.command()
@click.option("--events", default=1_000_000, show_default=True)
@click.option("--writers", default=4, show_default=True, help="processes.")
@click.option("--callers", default=64, show_default=True, help="of each process.")
@click.option("--json", "as_json", is_flag=True)
def main(events: int, writers: int, callers: int, as_json: bool) -> None:
    """Follow a ledger that several processes write to at once."""
    with trial.database() as database, trial.directory() as folder:
        seen = follow(database, folder, events, writers, callers)
    if as_json:
        answer(seen)
    else:
        cells = [(name.replace("_", " "), f"{value:,.0f}") for name, value in msgspec.structs.asdict(seen).items()]
        trial.show(f"{writers} processes, {callers} callers each", ("what the reader saw", ""), cells)
    sys.exit(0 if seen.events == seen.head == events and not seen.gaps and not seen.twice else 1)


if __name__ == "__main__":
    main()
