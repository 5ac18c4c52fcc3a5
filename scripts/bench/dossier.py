"""How fast cases become files: one process warm, two at once, memory and size, beside Chromium's print of the same pages.

    python -m scripts.bench.dossier [--files 30] [--case TITLE]

A case of the walked rule texts is gathered once, in a city of its own that is removed afterwards; then its file is made again and
again by the one renderer. Chromium, where it is installed, is started once and prints the same HTML without what lies inside
the file. Both are warm; the first file of each process is not counted.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click

from archive.fonds import Fonds
from archive.material import Material
from archive.pdf import Done, Printer
from projections.answers import Projections
from scripts import dossiers, importing, wiring
from scripts.bench.papers import home

SCRIPT = Path(wiring.__file__).parent / "cases" / "s1.jsonl"
CITY = "bench"


async def gathered(title: str) -> tuple[Material, float]:
    """Found a city, bring the cases in, and gather one of them; also the seconds that gathering and setting took."""
    database = await asyncio.to_thread(wiring.database)
    packs = [(wiring.completed("S1", ("SC-2025",)), None), *((wiring.read_pack(o), None) for o in wiring.OVERLAYS)]
    await wiring.found_city(database, CITY, code="BE", name="某市", packs=packs)
    async with await wiring.open_city(database, CITY) as ledger, Projections(database.app, CITY) as shown:
        with tempfile.TemporaryDirectory() as folder:
            await importing.import_script(ledger, SCRIPT, rejects=Path(folder) / "rejects")
        await shown.follow_until()
        rows = (await shown.list_orders(limit=500)).rows
        row = next(row for row in rows if row.title == title)
        async with await wiring.open_log(database, ledger) as log, Printer() as printer:
            gatherer = dossiers.Gatherer(ledger, log, Fonds(), await printer.faces())
            keys = await ledger.hand_out_keys(
                row.stream, viewer=wiring.SYSTEM, purpose="benchmark", command_id="bench:keys"
            )
            await gatherer.gather(row.stream, "full", keys=keys)
            began = time.perf_counter()
            made = await gatherer.gather(row.stream, "full", keys=keys)
            dossiers.html(made)
            return made, time.perf_counter() - began


def _anew(made: Material) -> Material:
    """Return the same material with nothing derived from it yet."""
    return Material(told=made.told, case=made.case, law_events=made.law_events, keys=made.keys)


async def _repeated(made: Material, printer: Printer, files: int) -> Done:
    done = await dossiers.printed(_anew(made), printer)
    for _ in range(files - 1):
        done = await dossiers.printed(_anew(made), printer)
    return done


class Rate(NamedTuple):
    """Files a second, processor seconds a file, and the most memory that a process took (MB)."""

    files: float
    seconds: float
    memory: float


async def rate(made: Material, workers: int, files: int) -> tuple[Rate, Done]:
    """Return what so many processes come to, and one file."""
    async with contextlib.AsyncExitStack() as stack:
        printers = [await stack.enter_async_context(Printer()) for _ in range(workers)]
        await asyncio.gather(*(dossiers.printed(_anew(made), printer) for printer in printers))
        began, spent = time.perf_counter(), sum(map(_spent, _renderers()))
        done, *_ = await asyncio.gather(*(_repeated(made, printer, files // workers) for printer in printers))
        took = time.perf_counter() - began
        spent = sum(map(_spent, _renderers())) - spent
        peak = max(map(_peak, _renderers()))
    count = files // workers * workers
    return Rate(count / took, spent / count, peak), done


def _below(pid: int) -> list[int]:
    """Return a process and all below it."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = [int(one) for task in tasks for one in (task / "children").read_text(encoding="utf-8").split()]
    return [pid, *(one for child in children for one in _below(child))]


def _renderers() -> list[int]:
    return [pid for pid in _below(os.getpid()) if b"archive.rendering" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def _spent(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


# --- Chromium ----------------------------------------------------------------------------------------------------


class Chromium:
    """A browser without a window, spoken to over two pipes."""

    def __init__(self, binary: str, folder: Path) -> None:
        asked, self._to = os.pipe()
        self._from, answered = os.pipe()
        words = [
            binary,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder}",
            "--remote-debugging-pipe",
        ]
        shell = f'exec "$@" 3<&{asked} 4>&{answered}'
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", shell, "chromium", *words], pass_fds=(asked, answered), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(asked)
        os.close(answered)
        self._rest, self._number = b"", 0
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Page.enable")

    def ask(self, method: str, **said: Any) -> dict[str, Any]:
        """Return the answer to one request."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": said}
        if hasattr(self, "_session"):
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            pass
        return answer.get("result", {})

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._from, 1 << 20)
            if not part:
                raise EOFError("chromium")
            self._rest += part
        one, _, self._rest = self._rest.partition(b"\0")
        return json.loads(one)

    def pdf(self, page: Path) -> bytes:
        """Print a page."""
        self.ask("Page.navigate", url=page.as_uri())
        while self._next().get("method") != "Page.loadEventFired":
            pass
        said = self.ask("Page.printToPDF", preferCSSPageSize=True, printBackground=True, generateTaggedPDF=True)
        return base64.b64decode(said["data"])

    @property
    def spent(self) -> float:
        """Processor seconds of all its processes."""
        return sum(map(_spent, _below(self._process.pid)))

    def close(self) -> None:
        """End the browser."""
        os.close(self._to)
        self._process.terminate()
        self._process.wait()


@contextlib.contextmanager
def browser() -> Iterator[Chromium | None]:
    """Lend a warm Chromium; None where there is none."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    if binary is None:
        yield None
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        one = Chromium(binary, Path(folder))
        try:
            yield one
        finally:
            one.close()


def chromium_rate(html: str, files: int) -> tuple[Rate, int] | None:
    """Return what a warm Chromium comes to, and the size of one file."""
    with tempfile.TemporaryDirectory() as folder, browser() as one:
        if one is None:
            return None
        page = Path(folder) / "page.html"
        page.write_text(html, encoding="utf-8")
        made = one.pdf(page)
        began, spent = time.perf_counter(), one.spent
        for _ in range(files):
            made = one.pdf(page)
        return Rate(files / (time.perf_counter() - began), (one.spent - spent) / files, 0), len(made)


@click.command()
@click.option("--files", type=click.IntRange(4), default=30, show_default=True, help="多少件 how many files each.")
@click.option("--case", "title", default="社保转移接续咨询", show_default=True, help="哪一件 the case, by its title.")
def main(files: int, title: str) -> None:
    """Measure how fast cases become files."""
    with home():
        made, set_in = asyncio.run(gathered(title))
        one, done = asyncio.run(rate(made, 1, files))
        two, _ = asyncio.run(rate(made, 2, files))
    what = f"{done.pages} 页 pages, {len(made.entries)} 个事件 events, {len(done.pdf):,} 字节 bytes"
    click.echo(f"{what}; gathered and set in {set_in * 1000:.0f} ms")
    click.echo(f"one process    {_said(one)}")
    click.echo(f"two processes  {_said(two)}  ×{two.files / one.files:.2f}")
    found = chromium_rate(dossiers.html(made), files)
    if found is None:
        click.echo("chromium       not installed here")
        return
    other, size = found
    click.echo(f"chromium       {_said(other)}  {size:,} bytes, not archival, nothing inside")
    click.echo(
        f"ours           ×{one.files / other.files:.2f} in files, ×{other.seconds / one.seconds:.2f} by processor time"
    )


def _said(found: Rate) -> str:
    memory = f"  {found.memory:4.0f} MB" if found.memory else ""
    return f"{found.files:6.2f} files/s  {found.seconds * 1000:5.0f} ms of processor a file{memory}"


if __name__ == "__main__":
    main()
