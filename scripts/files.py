"""Looking after the files of cases: are they what the ledger says, and is gone what was erased."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import msgspec

from domain.attachments import Files, named_in
from domain.journals import SHREDS
from domain.ledger import Ledger
from domain.refusals import CaseWithoutKey, FileChanged, UnknownFile
from domain.terms import Origin, Role

PAGE = 2000
LEFT_BEHIND = 3600.0
"""Seconds after which what is half written was left behind by a process that was killed."""


class Checked(msgspec.Struct):
    """What a look at all files came to. `elsewhere`: named by what other systems told of, and not kept here."""

    kept: int = 0
    erased: int = 0
    elsewhere: int = 0
    findings: list[str] = []


async def check(ledger: Ledger, files: Files) -> Checked:
    """Open every file wholly and hold it against its digest, and every file that an event names against what is here."""
    done = Checked()
    there: dict[tuple[str, str], tuple[int, str]] = {}
    for stream, digests in files.cases():
        keys = {digest: _key_of(files, stream, digest) for digest in digests}
        left = await ledger.keys_left(sorted({key for key in keys.values() if key is not None}))
        for digest in digests:
            try:
                found = await asyncio.to_thread(_whole, files, stream, digest, left)
            except (FileChanged, UnknownFile):
                done.findings.append(f"{stream} {digest}: {FileChanged().sentence}")
                continue
            if found is None:
                done.erased += 1
            else:
                done.kept += 1
                there[stream, digest] = found
    await _named(ledger, there, done)
    return done


def _whole(files: Files, stream: str, digest: str, left: dict[str, bytes]) -> tuple[int, str] | None:
    found = files.open(stream, digest, left.get)
    if found is None:
        return None
    try:
        found.whole()
    finally:
        found.close()
    return found.size, found.media_type


def _key_of(files: Files, stream: str, digest: str) -> str | None:
    try:
        return files.key_of(stream, digest)
    except (FileChanged, UnknownFile):
        return None


async def _named(ledger: Ledger, there: dict[tuple[str, str], tuple[int, str]], done: Checked) -> None:
    """Hold what events name against what is here; a case that was erased names what is rightly gone."""
    missing: dict[str, list[str]] = defaultdict(list)
    after = 0
    while entries := await ledger.read(after, PAGE):
        after = entries[-1].position
        for entry in entries:
            for path, one in named_in(entry):
                where = f"位置 position {entry.position} {path}: {one.digest}"
                found = there.get((entry.stream, one.digest))
                if found is not None and found != (one.size, one.media_type):
                    done.findings.append(f"{where}: 大小或类型不符 of another size or type than is kept")
                elif found is None and _ours(entry.stream, entry.origin, entry.actor.role):
                    missing[entry.stream].append(where)
                else:
                    done.elsewhere += found is None
    for stream, places in missing.items():
        try:
            await ledger.file_key(stream)
        except CaseWithoutKey:
            continue
        done.findings += [f"{where}: 附件不在 the file is not here" for where in places]


def _ours(stream: str, origin: Origin, role: Role) -> bool:
    return stream.startswith("order:") and origin is Origin.LIVE and role is not Role.SYSTEM


async def sweep(ledger: Ledger, files: Files, now: float) -> int:
    """Remove files whose keys were destroyed, and what was left half written; return how many.

    Only where the ledger says that keys were destroyed: a ledger that came back without its last hour has lost keys too,
    and must not take the files along that the next backup would open.
    """
    gone = files.remove_drafts(now - LEFT_BEHIND)
    shreds = [entry.event for entry in await ledger.history(SHREDS)]
    everywhere = any(not shred.stream for shred in shreds)
    cases = {shred.stream for shred in shreds}
    for stream, digests in files.cases():
        if not everywhere and stream not in cases:
            continue
        keys = {digest: _key_of(files, stream, digest) for digest in digests}
        left = await ledger.keys_left(sorted({key for key in keys.values() if key is not None}))
        known = bool(await ledger.history(stream))
        for digest, key in keys.items():
            if known and key is not None and key not in left:
                files.remove(stream, digest)
                gone += 1
    return gone
