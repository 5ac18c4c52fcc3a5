"""档案 over HTTP: what waits to be filed and what it lacks; packets for the archives, made while the caller looks on."""

from __future__ import annotations

import asyncio
import os
import re
import struct
import tempfile
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Annotated, Any, Final, NamedTuple, TypeVar, cast

import msgspec

from api.asking import Answer, Ask, listing, next_page
from api.problems import BodyUnfit, NotForThisRole, UnknownEntry
from api.writing import stream_named
from archive import custody, filing, gathering, packet
from archive.filing import Case, Stage
from archive.fonds import Fonds
from archive.fourfold import Report, Scanner
from archive.gathering import House
from archive.material import UseCopy
from archive.packet import Plan, Total
from domain.order import fold
from domain.refusals import Refusal, UnknownStream
from domain.steps.filing import DossierRendered, UseCopyIssued
from domain.terms import Code, Entry, Role

LOOKERS = frozenset({Role.ARCHIVIST, Role.HOTLINE_MANAGER, Role.SUPERVISOR, Role.AUDITOR})
"""Who is shown what waits to be filed: who files, who leads, who checks."""

PART = 1 << 18
_NAME = re.compile(r"[0-9A-Za-z]{1,20}-[0-9A-Za-z]{1,20}[·.]\d{4}-(Y|D30|D10)-\d{4,9}_\d{4,10}")


class FondsUnknown(Refusal):
    """尚未登记全宗号，不能成包；请由系统管理员以 huiyin archive fonds 登记档案馆所给全宗号。
    The code of the fonds is not known, so no packet is made: have it set with `huiyin archive fonds`.
    """

    basis = "DA/T 22-2015"


class PacketNotReady(Refusal):
    """信息包尚未制成，请稍后再取。The packet is still being made: ask again when it is ready."""


Forms = Callable[[Plan, Total, Report], Awaitable[list[tuple[str, bytes]]]]


class Packets(NamedTuple):
    """Where packets are made, and with what: handed in by whoever knows the settings."""

    root: Callable[[str], Path]
    fonds: Callable[[str], Fonds]
    forms: Forms
    scan: Scanner | None = None


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which numbers are wanted: `2026-D30`, `2026-D30-7`, `2026-D30-1..200`."""

    numbers: Annotated[str, msgspec.Meta(min_length=6, max_length=40)]


# --- what waits --------------------------------------------------------------------------------------------------


async def waiting(ask: Ask) -> Answer:
    """Return cases whose file waits for something, in the order of registration, with what each lacks."""
    if ask.who.role not in LOOKERS:
        raise NotForThisRole
    ask.paced("archive_files")
    stage = ask.word("stage", Stage)
    limit, held = ask.limit(), ask.cursor(tuple[str])
    after = held[0] if held is not None else ""
    found: list[Case] = []
    last = ""
    async for lot in filing.at_hand(ask.city.ledger, ask.city.shown):
        for one in lot:
            last = one.order.stream
            if last > after and (stage is None or one.standing.stage is stage):
                found.append(one)
    found.sort(key=lambda one: one.order.stream)
    rows = [_row(one) for one in found[:limit]]
    position, _ = await ask.city.ledger.head()
    cursor = next_page(found[limit - 1].order.stream) if len(found) > limit else ""
    return listing(ask, "files", rows, position, cursor)


def _row(one: Case) -> dict[str, Any]:
    held = one.order.filing
    return {
        "number": one.order.number,
        "id": one.order.id,
        "stage": one.standing.stage,
        "missing": list(one.standing.missing),
        "file_number": held.file_number,
        "keep": held.keep,
        "period": held.period,
        "closed_as": held.kind,
    }


async def course(ask: Ask) -> Answer:
    """Return how far tonight's filing is, or how the last one ended; nobody's words, and of orders their numbers."""
    if ask.who.role not in LOOKERS:
        raise NotForThisRole
    assert ask.house.packets is not None
    path = ask.house.packets.root(ask.city.ledger.city) / filing.COURSE
    found = await asyncio.to_thread(filing.course_of, path)
    if found is None:
        return Answer({"state": "none"})
    said, running = found
    return Answer({"state": "running" if running else "ended", **msgspec.to_builtins(said)})


# --- one case's file ---------------------------------------------------------------------------------------------


class NoRecordCopy(Refusal):
    """尚无归档件，请待归档成卷后再取。There is no record copy yet: it is made when the case is filed."""


class Reading(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file is read for, and which: the record copy, or a copy for use by its number; of a long case's volumes."""

    purpose: Code
    copy: Annotated[str, msgspec.Meta(max_length=40)] = ""
    volume: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1


async def dossier(ask: Ask) -> Answer:
    """Return a case's record copy as it is kept, or a copy for use that was entered in the register; recorded first."""
    archivists(ask, alone=True)
    ask.paced()
    said, stream = await ask.said(Reading), await stream_named(ask, "order", ask.path("record"))
    entries = await ask.city.ledger.history(stream)
    return await (_use_copy if said.copy else _record_copy)(ask, said, stream, entries)


async def _record_copy(ask: Ask, said: Reading, stream: str, entries: Sequence[Entry]) -> Answer:
    ledger, order = ask.city.ledger, fold(entries)
    copies = order.filing.record_copies if order is not None else ()
    made = [e.event for e in entries if isinstance(e.event, DossierRendered) and e.event.digest in copies]
    if not made:
        raise NoRecordCopy(stream)
    digest = _volume(said, [one.digest for one in made[-1].volumes])
    key = await asyncio.to_thread(ask.city.files.key_of, stream, digest)
    await ledger.note_access(
        ("dossier",),
        stream=stream,
        viewer=ask.who.actor,
        purpose=said.purpose,
        command_id=f"dossier:{ledger.fresh_id()}",
        keys=(key,),
    )
    found = await ask.city.file(stream, digest)
    return _pdf(await found.parts(), said)


async def _use_copy(ask: Ask, said: Reading, stream: str, entries: Sequence[Entry]) -> Answer:
    """Make a copy for use, as often as it is asked for, and record its digest the first time."""
    ledger, who = ask.city.ledger, ask.who.actor
    issued = next(
        (e for e in entries if isinstance(e.event, UseCopyIssued) and e.numbered("use_copy") == said.copy), None
    )
    order = fold(entries)
    if issued is None or order is None:
        raise UnknownEntry(f"copy: {said.copy!a}", field="copy")
    event, fresh = issued.event, f"dossier:{ledger.fresh_id()}"
    assert isinstance(event, UseCopyIssued)
    keys: Mapping[str, bytes] = {}
    if event.edition == "texts":
        keys = await ledger.hand_out_keys(stream, viewer=who, purpose=said.purpose, command_id=fresh, identity=False)
    else:
        await ledger.note_access(("dossier",), stream=stream, viewer=who, purpose=said.purpose, command_id=fresh)
    copy = UseCopy(number=said.copy, purpose=event.purpose, receiver=event.receiver, at=issued.recorded_at)
    assert ask.house.masked is not None
    made = await ask.house.masked(ask.city, stream, event.upto, copy=copy, edition=event.edition, keys=keys)
    content = _volume(said, made.volumes)
    if filing.digest_of(made.pdf) not in order.filing.dossiers:
        act = await filing.kept(ledger, ask.city.files, stream, made, event.upto, "masked")
        await ledger.execute(act, stream=stream, actor=who, command_id=f"copied:{ledger.fresh_id()}")
    return _pdf(content, said)


_T = TypeVar("_T", str, bytes)


def _volume(said: Reading, volumes: Sequence[_T]) -> _T:
    if said.volume > len(volumes):
        raise UnknownEntry(f"volume: 1 … {len(volumes)}", field="volume")
    return volumes[said.volume - 1]


def _pdf(content: bytes | AsyncIterator[bytes], said: Reading) -> Answer:
    headers = {
        "Content-Disposition": f'attachment; filename="dossier-{said.volume}.pdf"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return Answer(content, headers=headers, media_type="application/pdf")


# --- packets -----------------------------------------------------------------------------------------------------


def archivists(ask: Ask, *, alone: bool = False) -> Packets:
    """Return what packets are made with; `alone`: to archivists and nobody else."""
    if alone and ask.who.role is not Role.ARCHIVIST:
        raise NotForThisRole
    assert ask.house.packets is not None
    return ask.house.packets


def _packets(ask: Ask) -> Packets:
    return archivists(ask, alone=True)


async def start(ask: Ask) -> Answer:
    """Begin a packet, or go on with it, and answer at once; whoever asks again is told how far it is."""
    packets, said = _packets(ask), await ask.said(Wanted)
    city = ask.city
    wanted = gathering.range_of(said.numbers)
    if wanted is None:
        raise BodyUnfit("numbers: 2026-D30, 2026-D30-7, 2026-D30-1..200", field="numbers")
    fonds = packets.fonds(city.ledger.city)
    if fonds.unfit():
        raise FondsUnknown(fonds.unfit())
    head = await gathering.witnessed(city.log)
    house = House(city.ledger, city.log, city.files, fonds)
    plan = await gathering.planned(house, wanted, head, by=ask.who.actor.user, now=await city.ledger.now())
    target = packets.root(city.ledger.city) / plan.name
    key = f"{city.name}/{plan.name}"
    there = await asyncio.to_thread(target.exists)
    if not there and key not in ask.house.making:

        async def work() -> None:
            await gathering.made(house, target, plan, ask.who.actor, packets.forms, scan=packets.scan)

        ask.house.making[key] = asyncio.create_task(work())
    return await _told(ask, packets, plan.name)


async def progress(ask: Ask) -> Answer:
    """Return how far a packet is: made so far, of how many, what was left out and why."""
    return await _told(ask, _packets(ask), packet_named(ask))


def packet_named(ask: Ask) -> str:
    """Return the name of the packet that a path means. Raises UnknownEntry."""
    name = ask.path("packet")
    if not _NAME.fullmatch(name):
        raise UnknownEntry(f"{name[:60]!a}")
    return name


async def _told(ask: Ask, packets: Packets, name: str) -> Answer:
    target = packets.root(ask.city.ledger.city) / name
    task = ask.house.making.get(f"{ask.city.name}/{name}")
    if task is not None and task.done():
        ask.house.making.pop(f"{ask.city.name}/{name}", None)
        failed = None if task.cancelled() else task.exception()
        if failed is not None and not isinstance(failed, packet.PacketBusy):  # another worker makes it
            raise failed
    found = await asyncio.to_thread(packet.standing, target)
    if found is None and task is None:
        raise UnknownStream(name)
    there = found or packet.Standing(ready=False)
    making = not there.ready and (there.making or (task is not None and not task.done()))
    state = "making" if making else "ready" if there.ready else "stopped"  # by a restart: asked for again it goes on
    return Answer(
        {"packet": name, **msgspec.to_builtins(there), "state": state, "making": making}, 202 if making else 200
    )


async def content(ask: Ask) -> Answer:
    """Return a packet that is ready as one ZIP file, part by part; that each case in it was taken is recorded first."""
    packets, name = _packets(ask), packet_named(ask)
    target = packets.root(ask.city.ledger.city) / name
    found = await asyncio.to_thread(packet.standing, target)
    if found is None:
        raise UnknownStream(name)
    if not found.ready:
        raise PacketNotReady(name)
    ledger, who = ask.city.ledger, ask.who.actor
    act = await asyncio.to_thread(custody.parcel, target, "-")
    await custody.all_there(ledger, act)
    async for streams in custody.streams_of(ledger, act):
        lines = (
            ledger.note_access(
                ("packet",),
                stream=stream,
                viewer=who,
                purpose=gathering.PURPOSE,
                command_id=f"packet:{ledger.fresh_id()}",
            )
            for stream in streams
        )
        await asyncio.gather(*lines)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{_encoded(name)}.zip"}
    return Answer(_later(zipped(target)), headers=headers, media_type="application/zip")


def _encoded(name: str) -> str:
    return name.replace("·", "%C2%B7")


async def _later(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (part := await asyncio.to_thread(next, parts, None)) is not None:
        yield part


class _Sink:
    """Takes what a ZIP file writes, until it is sent on."""

    def __init__(self) -> None:
        self.waiting = bytearray()
        self.beside: IO[bytes] | None = None  # takes what is too much to wait

    def write(self, said: bytes) -> int:
        """Take some bytes."""
        if self.beside is not None:
            return self.beside.write(said)
        self.waiting += said
        return len(said)

    def flush(self) -> None:
        """Nothing lies elsewhere."""

    def taken(self) -> bytes:
        """Return what came since the last time."""
        said = bytes(self.waiting)
        self.waiting.clear()
        return said


class _Listed:
    """What a ZIP file lists at its end, kept on disk until then: of half a million files the names alone fill a memory."""

    _SAID = struct.Struct("<QQQII")

    def __init__(self, spool: IO[bytes]) -> None:
        self._spool = spool
        self._count = 0

    def append(self, info: zipfile.ZipInfo) -> None:
        """Keep an entry that was written."""
        name = info.filename.encode()
        said = self._SAID.pack(info.header_offset, info.file_size, info.compress_size, info.CRC, len(name))
        self._spool.write(said + name)
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[zipfile.ZipInfo]:
        self._spool.seek(0)
        while said := self._spool.read(self._SAID.size):
            offset, size, packed, check, length = self._SAID.unpack(said)
            info = zipfile.ZipInfo(self._spool.read(length).decode())
            info.header_offset, info.file_size, info.compress_size, info.CRC = offset, size, packed, check
            info.flag_bits, info.external_attr = _STREAMED, 0o600 << 16
            info.create_version = info.extract_version = zipfile.ZIP64_VERSION
            yield info


_STREAMED: Final = 0x08
"""Says that sizes stand behind each file, as zipfile does where it cannot go back."""


class _Forgetful(dict[str, zipfile.ZipInfo]):
    """Keeps no entry: no two files of a folder have one name."""

    def __setitem__(self, name: str, info: zipfile.ZipInfo) -> None:
        """Forget it."""


def zipped(folder: Path) -> Iterator[bytes]:
    """Yield a folder as a ZIP file, stored as it is, the same bytes whenever it is asked for, in the memory of one file."""
    sink = _Sink()
    with (
        tempfile.TemporaryFile() as spool,
        tempfile.TemporaryFile() as end,
        zipfile.ZipFile(cast("IO[bytes]", sink), "w", zipfile.ZIP_STORED) as archive,
    ):
        archive.filelist = cast("list[zipfile.ZipInfo]", _Listed(spool))
        archive.NameToInfo = _Forgetful()
        for path in _below(folder):
            named = zipfile.ZipInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}")
            with path.open("rb") as file, archive.open(named, "w", force_zip64=True) as entry:
                while part := file.read(PART):
                    entry.write(part)
                    yield sink.taken()
        yield sink.taken()
        sink.beside = end
        archive.close()
        end.seek(0)
        while part := end.read(PART):
            yield part


def _below(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder, in the order of their names; one folder at a time is read."""
    with os.scandir(folder) as there:
        names = sorted(one.name for one in there)
    for name in names:
        path = folder / name
        if path.is_dir():
            yield from _below(path)
        elif path.is_file():
            yield path
