"""集卷. From the ledger to a packet: the cases of a series of numbers, one after the other, each with what proves it.

Cases are read in small lots and written one at a time; how many there are costs time, not memory.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from archive import eep, fourfold, packet, sealedpart
from archive.filing import PDF, Maker
from archive.fonds import Fonds
from archive.fourfold import Report, Scanner
from archive.items import Item, Named, NotFiled, happened, item_of, named_files
from archive.packet import Done, Draft, Given, Plan, Written
from domain import evidence
from domain.attachments import CHUNK, Files, Opened
from domain.evidence import Evidence
from domain.journals import NUMBERS, NumberGiven
from domain.law import Law
from domain.ledger import Ledger
from domain.notes import Note, Policy, note_from
from domain.order import fold
from domain.refusals import FileChanged, Refusal, UnknownFile
from domain.state import WorkOrder
from domain.steps.disposing import FileDisposed
from domain.steps.filing import DossierRendered
from domain.terms import Actor, Confidentiality, Entry
from projections.transparency import Transparency

LOT: Final = 32
"""Cases that are read in one round trip."""

HEADS: Final = 1000
"""Heads, from the newest back, among which one is looked for that every witness has signed."""

PURPOSE: Final = "archive_packet"
"""What the access journal gives as the reason for which a packet opened a case's files."""

INSTITUTION: Final = "institution"

STANDALONE: Final = Path(__file__).with_name(packet.VERIFIER)


class Absent(Refusal):
    """该号无可入包的卷宗。There is no such file to be put into a packet."""


class Range(NamedTuple):
    """Numbers of one series: year, period, from the first to the last."""

    year: str
    period: str
    first: int
    last: int

    @property
    def journal(self) -> str:
        """The journal that gives them."""
        return f"{NUMBERS}file/{self.period}-{self.year}"


_SERIES = re.compile(r"(\d{4})-(Y|D30|D10)(?:-(\d{1,9}))?(?:\.\.(\d{1,9}))?", re.ASCII)


def range_of(said: str) -> Range | None:
    """Return the numbers that `2026-D30`, `2026-D30-7` or `2026-D30-1..200` means; None for what means none."""
    found = _SERIES.fullmatch(said)
    if found is None:
        return None
    first = int(found[3] or 1)
    last = int(found[4]) if found[4] else (first if found[3] else 10**9)
    return Range(found[1], found[2], first, last) if 0 < first <= last else None


async def witnessed(log: Transparency) -> Note:
    """Return the head that a packet is made under: the newest one that every witness has signed, else the newest."""
    newest = await log.sign()
    asked = {one.name for one in log.witnesses}
    for head in await log.newest_heads(HEADS):
        note = await log.head(head.checkpoint.size)
        if asked <= {one.name for one in note.signatures}:
            return note
    return await log.head(newest.checkpoint.size)


class House(NamedTuple):
    """What a packet is made from."""

    ledger: Ledger
    log: Transparency
    files: Files
    fonds: Fonds
    make: Maker | None = None  # makes a record copy again that does not lie here


Told = Callable[[Done], None]


async def given(ledger: Ledger, wanted: Range, behind: int, limit: int) -> list[tuple[int, str]]:
    """Return the next numbers of a series with the record each was given to."""
    rows = await ledger.rows("stored_of_stream", wanted.journal, behind, wanted.last, limit)
    return [(int(row[1]), msgspec.json.decode(row[3], type=NumberGiven).to) for row in rows]


async def planned(house: House, wanted: Range, note: Note, *, by: str, now: datetime) -> Plan:
    """Return what the packet of a range of numbers is; its last number is one that was given. Raises Absent."""
    rows = await house.ledger.rows("stored_of_stream_backwards", wanted.journal, wanted.first - 1, wanted.last, 1)
    if not rows:
        raise Absent(f"{wanted.year}-{wanted.period}-{wanted.first:04d}")
    last, head = int(rows[0][1]), note.checkpoint
    return Plan(
        name=packet.name_of(house.fonds, wanted.year, wanted.period, wanted.first, last),
        fonds=house.fonds,
        ledger=house.ledger.imprint.ledger_id,
        hash=house.ledger.imprint.hash,
        head=head.size,
        root=head.root.hex(),
        note=str(note),
        year=wanted.year,
        period=wanted.period,
        first=wanted.first,
        last=last,
        made_at=now,
        made_by=by,
    )


async def gather(house: House, draft: Draft, by: Actor, told: Told | None = None) -> None:
    """Write every case of a draft that is not in it yet."""
    plan = draft.plan
    wanted = Range(plan.year, plan.period, plan.first, plan.last)
    note = note_from(plan.note)
    while lot := await given(house.ledger, wanted, draft.behind, LOT):
        *histories, laws = await house.ledger.histories([*(stream for _, stream in lot), INSTITUTION])
        law = house.ledger.fold_entries(INSTITUTION, laws)
        for (no, stream), entries in zip(lot, histories, strict=True):
            try:
                ready = await _ready(house, no, stream, entries, law, note, by, plan)
                done = await asyncio.to_thread(ready.written, draft)
            except (NotFiled, Absent, packet.CopyChanged, UnknownFile, FileChanged) as refusal:
                number = house.fonds.reference(f"{plan.year}-{plan.period}-{no:04d}")
                done = draft.leave_out(no, number, f"{refusal}")
            if told is not None:
                told(done)


class _Ready(NamedTuple):
    """A case that can be written."""

    no: int
    item: Item
    given: list[Given]
    absent: list[tuple[Named, str]]
    events: Sequence[Entry]
    found: Evidence
    house: House
    note: Note
    plan: Plan
    names: dict[str, str]

    def written(self, draft: Draft) -> Done:
        return draft.add(self.no, self.item, self.given, self.wrapped)

    def wrapped(self, files: Sequence[Written]) -> bytes:
        """Return the wrapper of what was written."""
        documents = [
            eep.Document(
                name=one.name,
                title=one.title,
                format=one.format,
                digest=f"sha256:{file.digest}",
                size=file.size,
            )
            for one, file in zip(self.given, files, strict=True)
        ]
        documents += [
            eep.Document(name="", title=one.title, format=one.media_type, digest=one.digest, size=one.size, absent=why)
            for one, why in self.absent
        ]
        leaves, topics = evidence.leaves_of(self.found), [one.topic for one in self.found.events]
        acts = list(happened(self.events, leaves, topics, self.found.hash))
        return eep.wrapper(
            self.item,
            self.house.fonds,
            documents,
            acts,
            self.note,
            made_at=self.plan.made_at,
            software=packet.SOFTWARE,
            names=self.names,
        )


async def _ready(
    house: House, no: int, stream: str, entries: list[Entry], law: Law, note: Note, by: Actor, plan: Plan
) -> _Ready:
    """Return a case ready to be written. Raises NotFiled, Absent, UnknownFile, FileChanged."""
    known = [entry for entry in entries if entry.position <= plan.head]
    order = fold(known)
    if order is None:
        raise Absent(stream)
    if any(isinstance(entry.event, FileDisposed) for entry in entries):
        raise Absent(f"已销毁 destroyed: {order.filing.file_number}")
    item = item_of(order, known, law, house.fonds)
    if not item.file_number.endswith(f"-{no:04d}") or not item.file_number.startswith(f"{plan.year}-{plan.period}-"):
        raise Absent(f"改归 now filed as {item.file_number}")
    found = await house.log.evidence(house.ledger, stream, full=True, under=note)
    copies = list(item.copies())
    if item.sealed_part:
        copies.append((f"{item.number}{sealedpart.SUFFIX}.pdf", "密封件（举报人身份信息）", item.sealed_part))
    attached = named_files(known)
    opened = await _opened(house, stream, [digest for _, _, digest in copies] + [one.digest for one in attached], by)
    given: list[Given] = []
    for name, title, digest in copies:
        one = opened.get(digest)
        given.append(
            Given(name, title, PDF, chunks(one) if one is not None else [await _again(house, known, digest)], digest)
        )
    absent: list[tuple[Named, str]] = []
    for one in attached:
        held = opened.get(one.digest)
        if order.confidentiality is Confidentiality.INFORMANT or held is None:
            absent.append((one, _why(house, order, one)))
            if held is not None:
                held.close()
        else:
            given.append(Given(one.name, one.title, one.media_type, chunks(held), one.digest))
    said = msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"
    given.append(Given(f"{item.number}.evidence.json", "事件原始记录与证明", "application/json", [said]))
    given.append(Given(packet.PROOF, "存在证明", "text/plain", [found.proof.encode()]))
    units = dict.fromkeys(entry.actor.unit for entry in known if entry.actor.unit)
    names = {unit: law.unit_name(unit, order.registered.at) for unit in units}
    return _Ready(no, item, given, absent, known, found, house, note, plan, names)


async def _again(house: House, entries: Sequence[Entry], digest: str) -> bytes:
    """Make a record copy again that is not kept: of a case without any key. Raises UnknownFile."""
    if house.make is None:
        raise UnknownFile(digest)
    for entry in entries:
        if isinstance(entry.event, DossierRendered) and entry.event.edition == "full":
            digests = [one.digest for one in entry.event.volumes]
            if digest in digests:
                made = (await house.make(entries[0].stream, entry.event.upto)).volumes
                return made[min(digests.index(digest), len(made) - 1)]  # of another division: refused by its digest
    raise UnknownFile(digest)


def _why(house: House, order: WorkOrder, one: Named) -> str:
    if order.confidentiality is Confidentiality.INFORMANT:
        return "举报人保密，由形成单位密封保存"
    if house.files.there(order.stream, one.digest):
        return "密钥已依法销毁"
    return "不在本系统保存，账本只载其摘要"


async def _opened(house: House, stream: str, digests: Sequence[str], by: Actor) -> dict[str, Opened]:
    """Open the files of a case that are here, after the access journal says so."""
    there = [digest for digest in dict.fromkeys(digests) if house.files.there(stream, digest)]
    keys = {digest: house.files.key_of(stream, digest) for digest in there}
    await house.ledger.note_access(
        ("record_copy", "attachments"),
        stream=stream,
        viewer=by,
        purpose=PURPOSE,
        command_id=f"packet:{house.ledger.fresh_id()}",
        keys=sorted(set(keys.values())),
    )
    left = await house.ledger.keys_left(sorted(set(keys.values())))
    found = {digest: house.files.open(stream, digest, left.get) for digest in there}
    return {digest: one for digest, one in found.items() if one is not None}


def chunks(opened: Opened) -> Iterator[bytes]:
    """Yield what a file holds, and hold it against its digest. Raises FileChanged."""
    digest = hashlib.sha256()
    try:
        for number in range(-(-opened.size // CHUNK)):
            part = opened.chunk(number)
            digest.update(part)
            yield part
    finally:
        opened.close()
    if f"sha256:{digest.hexdigest()}" != opened.digest:
        raise FileChanged(opened.digest)


Form = Callable[[Plan, packet.Total, Report], Awaitable[list[tuple[str, bytes]]]]
"""Makes what lies beside the cases: the form of the hand-over, the report of the four-property check."""


async def made(
    house: House,
    target: Path,
    plan: Plan,
    by: Actor,
    form: Form,
    told: Told | None = None,
    scan: Scanner | None = None,
) -> tuple[Path, packet.Total]:
    """Make a packet, or go on with one that was begun; return where it lies and what it holds. Raises PacketExists."""
    draft = Draft(target, plan)
    try:
        await gather(house, draft, by, told)
        total = await asyncio.to_thread(draft.total)
        report = await asyncio.to_thread(_examined, house, draft, total, scan)
        more = await form(draft.plan, total, report)
        more.append((packet.VERIFIER, STANDALONE.read_bytes()))
        place = await asyncio.to_thread(draft.finish, more, packet.readme(draft.plan, total))
    finally:
        draft.close()
    return place, total


def _examined(house: House, draft: Draft, total: packet.Total, scan: Scanner | None) -> Report:
    plan, key = draft.plan, house.log.key
    assert key is not None  # whoever makes packets signs heads
    return fourfold.examine(
        draft.root,
        Policy(key, house.log.witnesses),
        (line.row for line in draft.lines() if line.row),
        packet=plan.name,
        stage=fourfold.Stage.ARCHIVING,
        at=plan.made_at,
        range_of=(plan.first, plan.last),
        explained=len(total.left_out),
        scan=scan,
    )
