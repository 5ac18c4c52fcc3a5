"""Processes that decide pages while this one writes them: what is said to them, and what they answer.

A frame is a length and a pickle; both ends are this program. They end with whoever started them, however that ends:
their input is closed then.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from scripts.importing.deciding import Decided, Row
from scripts.importing.mapping import Mapping
from scripts.importing.summary import Stopped

CHECKOUT = Path(__file__).resolve().parents[2]


class Helpers:
    """Processes that decide pages while this one writes them, as many as asked for."""

    def __init__(self, city: str, mapping: Mapping, assume: str | None, count: int) -> None:
        self._task = (city, mapping, assume)
        self._count = count
        self._idle: asyncio.Queue[asyncio.subprocess.Process] = asyncio.Queue()
        self._all: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Self:
        for _ in range(self._count):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "scripts.importing.decider",
                cwd=CHECKOUT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for this process alone; the others end with their input
                env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
            )
            self._all.append(process)
            await _send(process, self._task)
            self._idle.put_nowait(process)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._all:
            if error is not None and process.returncode is None:
                process.kill()  # what it was asked is of no use any more
            elif process.stdin is not None:
                process.stdin.close()
        for process in self._all:
            await (
                process.communicate()
            )  # an answer that nobody waits for any more has to be read, or its end is not heard

    async def decide(self, rows: Sequence[Row]) -> list[Decided]:
        """Have a page decided by whoever is idle. Raises Stopped where that cannot be done."""
        process = await self._idle.get()
        try:
            await _send(process, rows)
            told = await _answer(process)
        finally:
            self._idle.put_nowait(process)
        if isinstance(told, str):
            raise Stopped(told)
        return told


_LENGTH = struct.Struct(">Q")


async def _send(process: asyncio.subprocess.Process, said: object) -> None:
    assert process.stdin is not None
    process.stdin.write(framed(said))
    try:
        await process.stdin.drain()
    except ConnectionError as error:
        raise Stopped("辅助进程已结束 a helping process ended") from error


async def _answer(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout is not None
    try:
        length = _LENGTH.unpack(await process.stdout.readexactly(_LENGTH.size))[0]
        return pickle.loads(await process.stdout.readexactly(length))  # noqa: S301  what our own process says
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise Stopped("辅助进程已结束 a helping process ended") from error


def framed(said: object) -> bytes:
    """Return what is said as it is sent."""
    content = pickle.dumps(said, protocol=5)
    return _LENGTH.pack(len(content)) + content


def heard(source: BinaryIO) -> Any:
    """Return what is said next; None at the end."""
    head = source.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    content = source.read(_LENGTH.unpack(head)[0])
    return pickle.loads(content)  # noqa: S301  what whoever started this process says
