"""核验进程. Pages of a ledger looked at in several processes, each with a session of its own."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import NamedTuple, Self

from domain import recorder
from domain.checking import Looked, looked_at
from domain.leaves import Imprint
from domain.recorder import Pages
from domain.refusals import Unavailable


class _Place(NamedTuple):
    """Where a process reads."""

    loop: asyncio.AbstractEventLoop
    pages: Pages
    imprint: Imprint


_here: list[_Place] = []  # of a process that looks: made once, when it begins


def _begin(dsn: str, city: str, imprint: Imprint) -> None:
    pages = Pages(dsn, recorder.statements(recorder.SQL, city), sessions=1)
    _here.append(_Place(asyncio.new_event_loop(), pages, imprint))
    gc.disable()  # a page is tens of thousands of rows and no ring of them: looking for rings is a third of reading it


def _look(after: int, upto: int) -> Looked | str:
    """Return what a page came to, or why it could not be read."""
    loop, pages, imprint = _here[0]
    try:
        return looked_at(imprint, after, upto, loop.run_until_complete(pages.witnesses(after, upto)))
    except Unavailable as error:
        return str(error)


class Checkers:
    """So many processes that look at pages of one ledger. They end with the block."""

    def __init__(self, dsn: str, city: str, imprint: Imprint, jobs: int) -> None:
        self.ahead = 2 * jobs
        self._pool = ProcessPoolExecutor(
            jobs,
            multiprocessing.get_context("spawn"),  # a forked child would share our sessions
            initializer=_begin,
            initargs=(dsn, city, imprint),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    async def look(self, after: int, upto: int) -> Looked:
        """Return what the positions (after, upto] came to. Raises Unavailable."""
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._pool, _look, after, upto)
        except BrokenProcessPool as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from error
        if isinstance(found, str):
            raise Unavailable(found)
        return found
