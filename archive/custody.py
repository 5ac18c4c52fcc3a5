"""移交与销毁. Batches carried out: a packet read and handed over, its cases after the receipt; a list's cases, one by one.

Each case is a command of its own under an id made of what it is about: whoever was ended in the middle does it again, and
nothing is done twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final, Literal
from uuid import UUID

import msgspec

from archive import gathering
from archive.gathering import Range
from archive.inspection import NoPacket, inspect
from archive.items import COLUMNS, sealed_part_of
from archive.packet import CATALOGUE, MANIFEST, TAGS
from archive.registers import PAGE, cells_of
from domain import recorder
from domain.ledger import Ledger, Receipt
from domain.matters.batches import (
    Batch,
    BatchKind,
    HandOverPacket,
    ProposeDisposal,
    handover_stream,
    list_digest,
)
from domain.notes import Policy
from domain.order import fold
from domain.refusals import DisposalNotApproved, ReceiptMissing, Refusal, UnknownStream
from domain.state import WorkOrder
from domain.steps.disposing import DisposeFile, FileDisposed
from domain.steps.filing import TransferArchive
from domain.stored import tag
from domain.terms import Act, Actor, Citation, Entry

_NAME = re.compile(r".*[·.](\d{4})-(Y|D30|D10)-(\d{4,9})_(\d{4,10})", re.DOTALL)
_FOLDER = re.compile(r".*-(\d{4,9})", re.DOTALL)
_PAGES: Final = COLUMNS.index("页数")
_PERIODS: Final[dict[str, Literal["Y", "D30", "D10"]]] = {"Y": "Y", "D30": "D30", "D10": "D10"}


class PacketChanged(Refusal):
    """信息包与其清单不符，不得移交，请核验：huiyin verify。The packet is not what its manifests say and is not handed over: verify it."""


class NotAllSealed(Refusal):
    """包内有尚未封存的档案，不得移交；请待封存期满，重新成包。
    Files in the packet are not sealed yet: wait until they are, and make the packet again.
    """

    basis = "DOMAIN 5.4"


class HoldsDestroyed(Refusal):
    """信息包内有已依法销毁的档案，不得移交或调取；请销毁此包，重新成包。
    Files in the packet were destroyed since: destroy the packet too, and make it again.
    """

    basis = "DOMAIN 5.4"


class Carried(msgspec.Struct, kw_only=True):
    """What carrying out a batch came to."""

    done: int = 0
    before: int = 0  # that were done already
    refused: int = 0  # that the archives did not take
    left: int = 0  # that were not looked at, where only so many were wanted
    failed: list[tuple[str, str]] = []  # the file's number, why


# --- 移交 --------------------------------------------------------------------------------------------------------


def parcel(root: Path, receiver: str) -> HandOverPacket:
    """Return a packet as it is handed over. Raises NoPacket, PacketChanged."""
    found = _NAME.fullmatch(root.name)
    try:
        tags, manifest = (root / TAGS).read_bytes(), _listed((root / MANIFEST).read_bytes())
        for path, digest in _listed(tags).items():
            if hashlib.sha256((root / path).read_bytes()).hexdigest() != digest:
                raise PacketChanged(path)
        catalogue = (root / "data" / f"{CATALOGUE}.csv").read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise NoPacket(root.name) from error
    if found is None:
        raise NoPacket(root.name)
    inventory = hashlib.sha256(catalogue).hexdigest()
    if manifest.get(f"data/{CATALOGUE}.csv") != inventory:
        raise PacketChanged(f"{CATALOGUE}.csv")
    rows = list(cells_of(catalogue))[1:]
    numbers = {int(folder[1]) for row in rows if (folder := _FOLDER.fullmatch(row[1]))}
    first, last = int(found[3]), int(found[4])
    digest = f"sha256:{hashlib.sha256(tags).hexdigest()}"
    size = sum(path.stat().st_size for path in (root / "data").rglob("*") if path.is_file())
    return HandOverPacket(
        packet=root.name,
        digest=digest,
        inventory=f"sha256:{inventory}",
        receiver=receiver,
        year=int(found[1]),
        period=_PERIODS[found[2]],
        first=first,
        last=last,
        cases=len(rows),
        pages=sum(int(row[_PAGES]) for row in rows),
        size=size,
        left_out=tuple(no for no in range(first, last + 1) if no not in numbers),
    )


def _listed(manifest: bytes) -> dict[str, str]:
    lines = (line.split("  ", 1) for line in manifest.decode().splitlines() if "  " in line)
    return {path: digest for digest, path in lines}


async def hand_over(ledger: Ledger, root: Path, receiver: str, by: Actor, policy: Policy) -> Receipt:
    """Hand a packet over that verifies wholly; every case in it is there still, and sealed.

    Raises NoPacket, PacketChanged, HoldsDestroyed, NotAllSealed and refusals.
    """
    act = await asyncio.to_thread(parcel, root, receiver)
    found = await asyncio.to_thread(inspect, root, policy)
    if found.findings:
        raise PacketChanged(f"{found.findings[0].path}: {found.findings[0].said}")
    await all_there(ledger, act)
    open_ones: list[str] = []
    async for lot in _cases(ledger, act):
        open_ones += [order.filing.file_number for order, _ in lot if order.filing.sealed is None]
    if open_ones:
        raise NotAllSealed(f"{len(open_ones)}: {'、'.join(open_ones[:10])}")
    command_id = f"handover:{act.digest}"
    return await ledger.execute(act, stream=handover_stream(act.digest), actor=by, command_id=command_id)


async def all_there(ledger: Ledger, act: HandOverPacket) -> None:
    """Refuse a packet with a case that was destroyed since: what was erased here is not handed out of it. Raises HoldsDestroyed."""
    head, _ = await ledger.head()
    destroyed, position = set[str](), 0
    while rows := await ledger.rows("stored_page", position, head, recorder.texts([tag(FileDisposed)]), PAGE):
        destroyed |= {str(row[1]) for row in rows}
        position = int(rows[-1][0])
    async for streams in streams_of(ledger, act):
        if gone := destroyed & set(streams):
            raise HoldsDestroyed(f"{act.packet}: {len(gone)}")


Case = tuple[WorkOrder, list[Entry]]
"""A case as it is now, and its entries."""


async def streams_of(ledger: Ledger, of: HandOverPacket | Batch) -> AsyncIterator[list[str]]:
    """Yield the records that are in a packet, a lot at a time."""
    wanted = Range(f"{of.year}", of.period, of.first, of.last)
    behind, left = of.first - 1, frozenset(of.left_out)
    while lot := await gathering.given(ledger, wanted, behind, PAGE):
        behind = lot[-1][0]
        yield [stream for no, stream in lot if no not in left]


async def _cases(ledger: Ledger, of: HandOverPacket | Batch) -> AsyncIterator[list[Case]]:
    """Yield the cases of a packet as they are now, a lot at a time."""
    async for streams in streams_of(ledger, of):
        histories = await ledger.histories(streams) if streams else []
        yield [(order, entries) for entries in histories if (order := fold(entries)) is not None]


async def batch_of(ledger: Ledger, stream: str, kind: BatchKind) -> Batch:
    """Return a batch. Raises UnknownStream for what is none of its kind."""
    found = await ledger.fold(stream)
    if not isinstance(found, Batch) or found.what is not kind:
        raise UnknownStream(stream)
    return found


Told = Callable[[Carried], None]


async def move(ledger: Ledger, stream: str, by: Actor, *, most: int = 1 << 40, told: Told | None = None) -> Carried:
    """Record of each case that the archives took that it went, with packet and receipt; at most so many at a time.

    Raises UnknownStream, ReceiptMissing.
    """
    batch = await batch_of(ledger, stream, BatchKind.HANDOVER)
    if batch.received is None:
        raise ReceiptMissing(batch.number)
    done, handover = Carried(), UUID(stream.partition(":")[2])
    act = TransferArchive(receiver=batch.receiver, batch=batch.packet, handover=handover)
    async for lot in _cases(ledger, batch):
        for order, entries in lot:
            if batch.why_refused(order.filing.file_number):
                done.refused += 1
            elif order.filing.moved is not None:
                done.before += 1
            elif done.done + len(done.failed) >= most:
                done.left += 1
            else:
                going = msgspec.structs.replace(act, sealed_part=sealed_part_of(entries) or None)
                await _one(ledger, going, order, by, f"transfer:{order.stream}:{handover}", done)
        if told is not None:
            told(done)
    return done


async def _one(ledger: Ledger, act: Act, order: WorkOrder, by: Actor, command_id: str, done: Carried) -> None:
    try:
        receipt = await ledger.execute(act, stream=order.stream, actor=by, command_id=command_id, reason="archive")
    except Refusal as refusal:
        done.failed.append((order.filing.file_number or order.number, f"{refusal}"))
    else:
        done.done += not receipt.replayed
        done.before += receipt.replayed


# --- 销毁 --------------------------------------------------------------------------------------------------------


async def cases_of(ledger: Ledger, batch: Batch) -> list[Case]:
    """Return the cases of a list, in its order, each with its entries."""
    found: list[Case] = []
    streams = [f"order:{order}" for order in batch.orders]
    for at in range(0, len(streams), PAGE):
        histories = await ledger.histories(streams[at : at + PAGE])
        found += [(order, entries) for entries in histories if (order := fold(entries)) is not None]
    return found


async def propose(ledger: Ledger, streams: Sequence[str], basis: Citation, words: str | None, by: Actor) -> Receipt:
    """Propose that cases be destroyed, as one list under its digest. Raises what `ProposeDisposal` refuses."""
    found = [order for entries in await ledger.histories(streams) if (order := fold(entries)) is not None]
    act = ProposeDisposal(digest=list_digest(found), orders=tuple(o.id for o in found), basis=basis, words=words)
    return await ledger.execute(act, actor=by, command_id=f"disposal:{ledger.fresh_id()}", reason="retention")


async def dispose(
    ledger: Ledger, stream: str, witness: str, by: Actor, *, most: int = 1 << 40, told: Told | None = None
) -> Carried:
    """Destroy the cases of an approved list, the keys of each in a commit of its own; at most so many at a time.

    Raises UnknownStream, DisposalNotApproved.
    """
    batch = await batch_of(ledger, stream, BatchKind.DISPOSAL)
    if batch.approved is None:
        raise DisposalNotApproved(batch.number)
    done, disposal = Carried(), UUID(stream.partition(":")[2])
    act = DisposeFile(disposal=disposal, witness=witness)
    for order, _ in await cases_of(ledger, batch):
        if order.filing.disposed is not None:
            done.before += 1
        elif done.done + len(done.failed) >= most:
            done.left += 1
        else:
            command_id = f"dispose:{order.stream}:{disposal}:{ledger.fresh_id()}"  # refused today, done tomorrow
            await _one(ledger, act, order, by, command_id, done)
            if told is not None:
                told(done)
    return done


def packets_with(root: Path, numbers: Sequence[str]) -> list[str]:
    """Return the packets below a folder whose numbers reach over cases that were destroyed: what left the ledger is not reached."""
    found: list[str] = []
    for path in sorted(root.iterdir()) if root.is_dir() else ():
        name = _NAME.fullmatch(path.name)
        if name is None or not path.is_dir():
            continue
        series = f"{name[1]}-{name[2]}-"
        held = (int(one.removeprefix(series)) for one in numbers if one.startswith(series) and "L" not in one)
        if any(int(name[3]) <= no <= int(name[4]) for no in held):
            found.append(str(path))
    return found
