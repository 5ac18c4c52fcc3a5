"""版式文件. The one renderer: HTML in, PDF/A-3a and PDF/UA-1 out, the same bytes whenever and wherever it is made.

A process of its own lays documents out: no event loop waits for it, no document brings others down, and it is ended
when it takes too long. It reaches neither network nor files; a document carries all that it shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec

from archive.wire import LONGEST, Attached, Done, Failed, Job, Lacking, Outcome, Picture, Reduced, written
from domain.refusals import Refusal

__all__ = ["Attached", "CannotBeLaidOut", "Done", "GlyphsLacking", "Printer", "PrinterAbsent", "PrintingTooLong"]

PATIENCE = 60.0
"""Seconds that one document may take; a dossier of forty pages takes two."""

_FACES = """<!doctype html><html lang="zh-Hans"><head><title>字</title></head>
<body style="font-family: 'Noto Serif CJK SC', serif">回音<b>回音</b></body></html>"""

_CHECKOUT = Path(__file__).resolve().parent.parent


class GlyphsLacking(Refusal):
    """已装字体不含这些字，或是各处字形不同的自造字（私用区），版式文件不予生成，请安装含这些字的字体或改用通用字。
    No installed font has these characters, or they are for private use and look different everywhere, so no PDF is made:
    install a font that has them, or use characters that mean the same to all.
    """

    basis = "ISO 19005-3 6.2.11.8"


class PrintingTooLong(Refusal):
    """版式文件生成超时，已中止；请缩小范围或稍后再试。
    Making the PDF took too long and was ended: ask for less, or try again later.
    """


class CannotBeLaidOut(Refusal):
    """文件无法排版，版式文件不予生成。The document cannot be laid out, so no PDF is made."""


class PrinterAbsent(Refusal):
    """排版程序无法启动，请安装 libpango-1.0-0、libpangoft2-1.0-0、libharfbuzz-subset0。
    The renderer does not start: install libpango-1.0-0, libpangoft2-1.0-0 and libharfbuzz-subset0.
    """


class Printer:
    """Renders one document at a time, in a process that is started with the first."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._faces: tuple[str, ...] = ()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def pdf(self, html: str, attachments: Sequence[Attached] = ()) -> bytes:
        """Return a document as PDF. Raises GlyphsLacking, CannotBeLaidOut, PrintingTooLong and PrinterAbsent."""
        return (await self.printed(html, attachments)).pdf

    async def printed(self, html: str, attachments: Sequence[Attached] = ()) -> Done:
        """Return a document as PDF with the number of its pages and the fonts it was set in; raises as `pdf` does."""
        outcome = await self._asked(Job(html, tuple(attachments)))
        match outcome:
            case Done():
                return outcome
            case Lacking():
                said = "、".join(f"{one} (U+{ord(one):04X})" for one in outcome.characters)
                raise GlyphsLacking(said, characters=outcome.characters)
            case Failed():
                raise CannotBeLaidOut(outcome.why[:300])
            case Reduced():
                raise CannotBeLaidOut("a picture")

    async def picture(self, content: bytes) -> Reduced | Failed:
        """Return a picture as it is printed, or why it is not. Raises PrinterAbsent where the process does not start."""
        try:
            outcome = await self._asked(Picture(content))
        except PrintingTooLong:
            return Failed("图片处理超时")
        return outcome if isinstance(outcome, Reduced | Failed) else Failed("图片无法处理")

    async def _asked(self, what: Job | Picture) -> Outcome:
        job = written(msgspec.msgpack.encode(what))
        async with self._turn:
            try:
                async with asyncio.timeout(self._patience):
                    return await self._carried_out(job)
            except TimeoutError as error:
                await self._end()
                raise PrintingTooLong(f"> {self._patience:g} s") from error
            except (OSError, EOFError) as error:
                await self._end()
                raise PrinterAbsent(str(error)) from error
            except BaseException:  # whoever asked is gone: the answer to their document is nobody else's
                await self._end()
                raise

    async def faces(self) -> tuple[str, ...]:
        """Return the digests of the font files that plain and bold text is set in here."""
        if not self._faces:
            self._faces = (await self.printed(_FACES)).fonts
        return self._faces

    async def _carried_out(self, job: bytes) -> Outcome:
        process = self._process
        if process is None or process.returncode is not None:
            process = self._process = await _started()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(job)
        await process.stdin.drain()
        length = int.from_bytes(await process.stdout.readexactly(4), "big")
        return msgspec.msgpack.decode(await process.stdout.readexactly(min(length, LONGEST)), type=Outcome)

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def close(self) -> None:
        """End the process, if there is one."""
        async with self._turn:
            await self._end()


async def _started() -> asyncio.subprocess.Process:
    """Start the process: of the environment only what Python and the fonts need to be found."""
    environment = {"PYTHONPATH": str(_CHECKOUT), "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1", "PATH": "/usr/bin:/bin"}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "archive.rendering",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
        limit=1 << 20,
    )
