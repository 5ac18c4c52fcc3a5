"""The mailbox file as an office would print it, for looking at page by page: findings, circular, daily summary, instruments.

    python -m scripts.bench.papers --to DIR [--png]

The file is trial data (HUIYIN_TRIAL_DATA). It comes in under S0, which it is run under by assumption: everything counted
says 推演, a dispatch slip of it too. It is audited under S0 and under SC-2025. The instruments, one of each kind, are those of the case scripts,
which the file has none of but dispatch slips. Everything is made by the commands that an office gives, in a city of its own
that is removed afterwards. --png makes a picture of every page (pdftoppm).
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from domain.journals import is_journal
from domain.terms import Entry
from scripts import embedded, wiring
from supervision.instruments import InstrumentKind, instruments

CASES = Path(wiring.__file__).parent / "cases"
TEXTS: Mapping[str, str] = {"s4": "S4", "s2": "S2", "s1": "S1", "s0": "S0", "rest": "S0"}
"""Case scripts, and the pack that each is walked under."""

MONTH = ("--from", "2019-11-01", "--to", "2019-11-30")
YEAR = ("--from", "2019-01-01", "--to", "2019-12-31")
DAY = ("--from", "2019-11-05")
SEEN_AT = "2020-03-01 00:00"


def huiyin(*words: str | Path) -> None:
    """Give a command as an office does."""
    click.echo(f"  huiyin {' '.join(map(str, words))}")
    done = subprocess.run(
        [sys.executable, "-m", "scripts.huiyin", *map(str, words)], capture_output=True, text=True, check=False
    )
    if done.returncode and "imported" not in done.stdout + done.stderr:  # a table may have a row that is none
        raise click.ClickException(done.stderr.strip() or done.stdout.strip())


@contextlib.contextmanager
def home() -> Iterator[None]:
    """Lend a data root with a PostgreSQL of its own."""
    with tempfile.TemporaryDirectory(prefix="huiyin-papers-") as folder:
        Path(folder).chmod(0o755)  # the server runs as a user of its own
        os.environ["HUIYIN_HOME"] = folder
        os.environ.pop("HUIYIN_DATABASE_URL", None)
        try:
            yield
        finally:
            embedded.stop(Path(folder))


def mailbox(table: Path, to: Path, scratch: Path) -> None:
    """Print what the mailbox file comes to."""
    huiyin("init", "mail", "--policy", "S0", "--name", "某市", "--code", "MX")
    huiyin(
        "import", table, "--mapping", "mailbox_replies", "--assume-policy", "S0", "--rejects", scratch, "--city", "mail"
    )
    for pack in ("S0", "SC-2025"):
        name = f"findings-{pack}"
        words = ("--assume-policy", pack, "--at", SEEN_AT, "--limit", "60", "--city", "mail")
        huiyin("audit", *words, "--out", to / f"{name}.pdf", "--csv", to / f"{name}.csv")
    with table.open(encoding="utf-8-sig", newline="") as rows:
        first = next(csv.DictReader(rows))["留言编号"]
    huiyin("instrument", first, "2", "--to", to / "assumed-dispatch_slip.pdf", "--city", "mail")
    kinds = (("periodic_circular", MONTH), ("daily_duty", DAY), ("briefing", MONTH), ("public", YEAR))
    for kind, period in kinds:
        huiyin("report", kind, *period, "--assumed", "--out", to / f"{kind}.pdf", "--city", "mail")


async def _entries(city: str) -> list[Entry]:
    database = await asyncio.to_thread(wiring.database)
    async with await wiring.open_city(database, city) as ledger:
        return list(await ledger.read(0, 1_000_000))


def walked(to: Path, scratch: Path) -> None:
    """Print one instrument of each kind, and what the case scripts alone have: calls, inquiries, appeals."""
    left = set(InstrumentKind)
    for text, policy in TEXTS.items():
        huiyin("init", text, "--policy", policy, "--name", "某市", "--code", "HY")
        huiyin("import", CASES / f"{text}.jsonl", "--rejects", scratch, "--city", text)
        found: dict[str, list[Entry]] = {}
        for entry in asyncio.run(_entries(text)):
            if not is_journal(entry.stream):
                found.setdefault(entry.stream, []).append(entry)
        for stream, entries in found.items():
            for entry, kind in instruments(entries):
                if kind in left:
                    left.remove(kind)
                    file = to / f"instrument-{kind}.pdf"
                    words = ("--full", "--as", "manager/hotline_manager@HOTLINE", "--purpose", "printing")
                    huiyin("instrument", stream, str(entry.version), "--to", file, *words, "--city", text)
    if left:
        raise click.ClickException(f"没有出具 not printed: {', '.join(sorted(left))}")
    year = ("--from", "2025-01-01", "--to", "2025-12-31")
    huiyin("report", "assessment", *year, "--out", to / "assessment.pdf", "--city", "s4")
    spring = ("--from", "2021-04-01", "--to", "2021-06-30")
    huiyin("report", "submission", *spring, "--out", to / "submission.pdf", "--city", "s2")
    huiyin("dutybook", "2021-03-01", "--to", to / "dutybook.pdf", "--city", "s2")


@click.command()
@click.option("--to", "to", required=True, type=click.Path(file_okay=False, path_type=Path), help="写入 the folder.")
@click.option("--png", is_flag=True, help="另存图片 a picture of every page too (pdftoppm).")
def main(to: Path, png: bool) -> None:
    """Print the mailbox file, and one instrument of each kind."""
    table = wiring.trial_data() / "mailbox_replies.csv"
    if not table.exists():
        raise click.UsageError(f"没有此文件 no such file: {table} (HUIYIN_TRIAL_DATA)")
    to.mkdir(parents=True, exist_ok=True)
    with home(), tempfile.TemporaryDirectory() as scratch:
        mailbox(table, to, Path(scratch) / "rejects")
        walked(to, Path(scratch) / "rejects")
    files = sorted(to.glob("*.pdf"))
    if png:
        for file in files:
            subprocess.run(["pdftoppm", "-r", "60", "-png", file, file.with_suffix("")], check=True)
    click.echo(f"✓ {to}: {len(files)} PDF" + (f", {len(list(to.glob('*.png')))} 页 pages" if png else ""))


if __name__ == "__main__":
    main()
