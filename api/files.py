"""附件. Files of a case over HTTP: given part by part, listed, and opened by whom the matrix names, after it is noted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from litestar.exceptions import HTTPException

from api import views
from api.access import Sight, may_open_file
from api.asking import UPLOADS_EACH, Answer, Ask
from api.callers import Purpose
from api.problems import BodyCut, BodySlow, BodyTooLarge, NotForThisRole, TooMany
from api.writing import sighted, stream_named
from domain import guards
from domain.attachments import LIMITS, named_in
from domain.ledger import Look
from domain.order import COMMANDS
from domain.refusals import Busy, Erased, Refusal, UnknownFile
from domain.state import WorkOrder
from domain.terms import Attachment, Entry, Role

ATTACHING = frozenset(
    role
    for command in COMMANDS
    if any("Attachment" in str(field.type) for field in msgspec.structs.fields(command))
    for role in command.roles
) - {Role.SYSTEM}
"""Who may give a command that names a file, and may therefore give the file."""

SILENCE = 30.0
"""Seconds that the next part of a file may be waited for."""


async def _case(ask: Ask) -> tuple[str, Look, WorkOrder, Sight]:
    name = ask.path("record")
    stream = await stream_named(ask, "order", name)
    look = await ask.city.ledger.look(stream)
    case = views.case_of(look.entries, name)
    return stream, look, case, await sighted(ask, case, name)


# --- giving ------------------------------------------------------------------------------------------------------


async def upload(ask: Ask) -> Answer:
    """Keep a file of a case, sealed with the case's key; return what a command then says of it."""
    if ask.who.role not in ATTACHING:
        raise NotForThisRole
    declared = (ask.headers.get("content-type") or "").partition(";")[0].strip().lower()
    stream, _, case, _ = await _case(ask)
    guards.unsealed(case)
    files, ledger = ask.city.files, ask.city.ledger
    key = await ledger.file_key(stream)
    async with _turn(ask):
        kept, new = await files.keep(stream, key, declared, _parts(ask, LIMITS.get(declared.partition("/")[0], 0)))
    if not await ledger.keys_left([key.id]):  # erased while it came
        files.remove(stream, kept.digest)
        raise Erased(stream)
    if not new:  # kept before, perhaps as another type that begins alike: a command names it as it is kept
        found = await ask.city.file(stream, kept.digest)
        found.close()
        kept = msgspec.structs.replace(kept, media_type=found.media_type)
    return Answer({"attachment": msgspec.to_builtins(kept), "new": new}, 201 if new else 200)


@asynccontextmanager
async def _turn(ask: Ask) -> AsyncIterator[None]:
    """Take one of the places for files that come, for as long as this one does. Raises Busy, TooMany."""
    house, who = ask.house, f"{ask.city.name}/{ask.who.claims.sub}"
    if house.giving[who] >= UPLOADS_EACH:
        raise TooMany(f"{UPLOADS_EACH}")
    if house.uploads.locked():
        raise Busy
    house.giving[who] += 1
    try:
        async with house.uploads:
            yield
    finally:
        house.giving[who] -= 1
        if not house.giving[who]:
            del house.giving[who]


async def _parts(ask: Ask, most: int) -> AsyncIterator[bytes]:
    """Yield the body part by part. Raises BodyTooLarge where it says at once that it is, BodyCut, BodySlow."""
    said = ask.headers.get("content-length") or ""
    if said.isdecimal() and int(said) > most:
        raise BodyTooLarge(f"> {most}")
    size = 0
    coming = aiter(ask.request.stream())
    while True:
        try:
            part = await asyncio.wait_for(anext(coming, None), SILENCE)
        except TimeoutError as error:
            raise BodySlow(f"{SILENCE:.0f} s") from error
        except HTTPException as error:  # whoever sent it is gone
            raise BodyCut from error
        if part is None:
            break
        size += len(part)
        yield part
    if said.isdecimal() and size < int(said):
        raise BodyCut


# --- reading -----------------------------------------------------------------------------------------------------


def _named(look: Look, seen: Sight) -> list[tuple[Entry, str, Attachment]]:
    """Return the files of the entries that somebody may know of."""
    return [(entry, path, one) for entry in views.order_entries(look.entries, seen) for path, one in named_in(entry)]


async def listed(ask: Ask) -> Answer:
    """Return the files that a case's entries name, and which of them the caller may open."""
    stream, look, case, seen = await _case(ask)
    rows: list[dict[str, Any]] = []
    for entry, path, one in _named(look, seen):
        rows.append(
            {
                "version": entry.version,
                "field": path,
                "at": entry.at,
                "digest": one.digest,
                "size": one.size,
                "media_type": one.media_type,
                "kept": ask.city.files.there(stream, one.digest),
                "may_open": _may(case, entry, path, seen) is None,
            }
        )
    body = {"attachments": rows, "position": look.position}
    return Answer(body, headers={"Ledger-Position": str(look.position), "ETag": f'"{case.version}"'})


def _may(case: WorkOrder, entry: Entry, path: str, seen: Sight) -> Refusal | None:
    try:
        may_open_file(case, entry, path, seen)
    except Refusal as refusal:
        return refusal
    return None


async def opened(ask: Ask) -> Answer:
    """Return what a file holds, after the access journal says who opened it and why."""
    ask.paced()
    said = await ask.said(Purpose)
    stream, look, case, seen = await _case(ask)
    digest = ask.path("digest")
    named = [(entry, path) for entry, path, one in _named(look, seen) if one.digest == digest]
    if not named:
        raise UnknownFile(ascii(digest[:80]))
    refused = [_may(case, entry, path, seen) for entry, path in named]
    if refused[0] is not None and None not in refused:
        raise refused[0]
    _, path = named[refused.index(None)]
    files, ledger = ask.city.files, ask.city.ledger
    key = await asyncio.to_thread(files.key_of, stream, digest)
    receipt = await ledger.note_access(
        (path,),
        stream=stream,
        viewer=ask.who.actor,
        purpose=said.purpose,
        command_id=ask.header("idempotency-key") or f"file:{ledger.fresh_id()}",
        keys=(key,),
        words=said.words,
    )
    found = await ask.city.file(stream, digest)
    headers = {
        "Content-Disposition": "attachment",
        "Content-Length": str(found.size),
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Ledger-Position": str(receipt.first_position),
    }
    return Answer(await found.parts(), headers=headers, media_type=found.media_type)
