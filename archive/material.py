"""卷宗材料. What a dossier is made of: the events as stored, the law they rest on, the proof, and the keys of one edition.

All of it lies inside the file as attachments, and the pages are made of these attachments alone. So whoever has the file
can make the pages again and hold them against those they were given, without the ledger and without us.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from typing import Final, Literal

import msgspec

from archive.fonds import Fonds
from archive.wire import Attached
from domain import evidence, institution, leaves
from domain.evidence import Evidence, Excerpt, Unproven
from domain.institution import (
    CalendarPublished,
    CalendarRevised,
    CityFounded,
    OutageDeclared,
    PeakModeDeclared,
    PeakModeEnded,
    PolicyPackPublished,
)
from domain.kinds import KINDS
from domain.law import Law
from domain.notes import NotANote, Proof, proof_from
from domain.order import fold
from domain.sealing import KeyRow, opened
from domain.state import WorkOrder
from domain.stored import Codec, StoredEntry
from domain.terms import Entry, Fact, Sealed
from domain.units import UnitChanged, UnitRegistered, UnitSucceeded
from domain.wording import UNITS, said

FORM: Final = "huiyin/dossier/1"

EVENTS, LAW, PROOF, KEYS, CLOSED, TOLD, README = (
    "events.json",
    "law.json",
    "ledger.tlog-proof",
    "keys.json",
    "sealed-keys.json",
    "dossier.json",
    "README-verify.txt",
)
"""The names under which the parts lie in the file."""

PICTURE: Final = "picture-"
"""What the names of pictures begin with, as they are printed; the rest is what `Printed.file` says."""

Edition = Literal["full", "texts", "masked", "sealed", "identity"]
"""归档件 full; 利用件: with the texts and without who people are, or with nothing that is sealed.

密封件 sealed: who an informant is, closed for two persons; identity: the same, opened by them.
"""

APART: Final = frozenset({"sealed", "identity"})
"""Editions that show who an informant is and nothing else of the case, closed or opened."""

MASK = "（内容密封）"
ERASED = "（已依法销毁）"
SEALED_PART = "（身份信息另行密封）"


class UseCopy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """利用件. For whom and for what a copy was made, under which number of the use register."""

    number: str
    purpose: str
    receiver: str
    at: datetime


class Printed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """图片. A picture that an event names: the file it is printed from, or why it is not."""

    digest: str  # of the original
    version: int  # of the first event that names it
    file: str = ""  # under which it lies here
    original: bool = False  # it lies here as it was given; else made smaller
    why: str = ""  # it is not printed


VOLUME = 150
"""Events that one file shows: a longer case has several volumes, so that none takes long or much memory."""


class Told(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """成文说明. How a file was asked for, what its pages were set with, and the digests of all that lies in it."""

    form: str = FORM
    edition: Edition
    template: str
    templates: str  # their digest
    renderer: str
    fonts: tuple[str, ...] = ()  # digests of the faces that it is set in; rare characters may take others
    fonds: Fonds = Fonds()
    copy: UseCopy | None = None
    volume: int = 1  # of so many; each carries every event, and shows those from `first` to `last`
    volumes: int = 1
    first: int = 1
    last: int = 0  # 0: to the end
    two_persons: tuple[str, ...] = ()  # keys of an informant's identity: in no edition but theirs
    sealed_part: str = ""  # digest of the file in which they lie closed for two persons
    opened_by: tuple[str, ...] = ()  # the two who opened that
    pictures: tuple[Printed, ...] = ()
    files: dict[str, str] = {}


class _Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key as it is wrapped for two persons, in the order and the words of `KeyRow`."""

    id: str
    stream: str
    holder: str
    wrap: str
    wrapped: str


class NoDossier(Exception):
    """A file is no dossier, or its parts do not agree with each other; the message says which and why."""


class Material(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What one dossier is made of."""

    told: Told
    case: Evidence
    law_events: Excerpt
    keys: Mapping[str, bytes] = {}
    closed: Sequence[KeyRow] = ()  # keys as they are wrapped for two persons
    pictures: Mapping[str, bytes] = {}  # by the name of the file

    @cached_property
    def entries(self) -> list[Entry]:
        """The case's history, up to the version that is shown."""
        return [_entry(self.case.stream, event) for event in self.case.events]

    @cached_property
    def laws(self) -> list[Entry]:
        """The institution's events that the case rests on."""
        return [_entry(self.law_events.stream, one.event) for one in self.law_events.events]

    @cached_property
    def law(self) -> Law:
        """The law as recorded by the last event that is shown."""
        law: Law | None = None
        for entry in self.laws:
            law = institution.evolve(law, entry)
        if law is None:
            raise NoDossier(f"{LAW}: 缺少建账事件 the founding of the city is missing")
        return law

    @cached_property
    def order(self) -> WorkOrder:
        """The case as it stands with its last event."""
        order = fold(self.entries)
        if order is None:
            raise NoDossier(f"{EVENTS}: 不是工单的记录 not the record of an order")
        return order

    @cached_property
    def leaves(self) -> list[bytes]:
        """The leaf of each event."""
        return evidence.leaves_of(self.case)

    @cached_property
    def proof(self) -> Proof:
        """The proof of the last event, under the signed head."""
        try:
            return proof_from(self.case.proof)
        except NotANote as error:
            raise NoDossier(f"{PROOF}: {error}") from error

    @property
    def now(self) -> datetime:
        """The instant that the file looks from: when its last event was recorded."""
        return self.entries[-1].recorded_at

    def shows(self, version: int) -> bool:
        """Tell whether an event stands in this volume."""
        return self.told.first <= version and (not self.told.last or version <= self.told.last)

    @property
    def closes(self) -> bool:
        """Tell whether this is the last volume: deadlines and the index of files stand there."""
        return self.told.volume == self.told.volumes

    def text(self, sealed: Sealed) -> str:
        """Return the text of a sealed field, or what stands in its place. Raises WrongKey where anything was changed."""
        key = self.keys.get(sealed.key)
        if key is not None:
            return opened(sealed, self.case.stream, key)
        if sealed.key in self.told.two_persons:
            return SEALED_PART
        return ERASED if self.told.edition == "full" else MASK

    # --- as files ------------------------------------------------------------------------------------------------

    @cached_property
    def files(self) -> tuple[Attached, ...]:
        """The parts as attachments, in the order of their names."""
        at = leaves.rfc3339(self.now)
        parts = {
            EVENTS: (msgspec.json.encode(self.case), "Source", "台账事件原文、盐值与存在证明 the events as stored, with salts and proof"),
            LAW: (msgspec.json.encode(self.law_events), "Data", "适用的政策、日历与单位 the policies, calendars and units in force"),
            PROOF: (self.case.proof.encode(), "Supplement", "存在证明与签名树头 the proof under the signed head"),
            README: (_README.encode(), "Supplement", "核验方法 how this file is verified"),
        }  # fmt: skip
        if self.keys:
            said = {name: key.hex() for name, key in sorted(self.keys.items())}
            parts[KEYS] = (msgspec.json.encode(said), "Supplement", "密封内容的密钥 the keys of what is sealed")
        if self.closed:
            rows = [_Closed(*row[:4], row.wrapped.hex()) for row in self.closed]
            parts[CLOSED] = (
                msgspec.json.encode(rows),
                "Supplement",
                "由两人分持的密钥密文 keys, wrapped for two persons",
            )
        for name in sorted({one.file for one in self.told.pictures if one.file}):
            parts[name] = (self.pictures[name], "Supplement", "卷内印出的图片 a picture as it is printed")
        digests = {name: _digest(content) for name, (content, _, _) in sorted(parts.items())}
        told = msgspec.structs.replace(self.told, files=digests)
        parts[TOLD] = (msgspec.json.encode(told), "Data", "成文说明 how this file was made")
        return tuple(
            Attached(name, content, at, description, relationship)
            for name, (content, relationship, description) in sorted(parts.items())
        )


def read(files: Mapping[str, bytes]) -> Material:
    """Return the material that attachments hold; each against its digest. Raises NoDossier, Unproven."""
    try:
        told = msgspec.json.decode(files.get(TOLD, b""), type=Told)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NoDossier(f"{TOLD}: {error}") from error
    if told.form != FORM:
        raise NoDossier(f"{TOLD}: {told.form}")
    there = {name: _digest(content) for name, content in files.items() if name != TOLD}
    if there != told.files:
        differing = sorted(name for name in {*there, *told.files} if there.get(name) != told.files.get(name))
        raise NoDossier(f"附件与说明不符 attachments are not those that {TOLD} names: {', '.join(differing)}")
    try:
        keys = msgspec.json.decode(files.get(KEYS, b"{}"), type=dict[str, str])
        held = {name: bytes.fromhex(key) for name, key in keys.items()}
    except (msgspec.MsgspecError, ValueError) as error:
        raise NoDossier(f"{KEYS}: {error}") from error
    try:
        rows = msgspec.json.decode(files.get(CLOSED, b"[]"), type=list[_Closed])
        closed = [KeyRow(one.id, one.stream, one.holder, one.wrap, bytes.fromhex(one.wrapped)) for one in rows]
    except (msgspec.MsgspecError, ValueError) as error:
        raise NoDossier(f"{CLOSED}: {error}") from error
    pictures = {one.file for one in told.pictures if one.file}
    if pictures - files.keys() or any(not one.startswith(PICTURE) for one in pictures):
        raise NoDossier(f"{TOLD}: {', '.join(sorted(pictures - files.keys()))}")
    case, law = evidence.read(files.get(EVENTS, b"")), evidence.read_excerpt(files.get(LAW, b""))
    if files.get(PROOF) != case.proof.encode():
        raise NoDossier(f"{PROOF}: 与 {EVENTS} 不符 not the proof of {EVENTS}")
    return Material(
        told=msgspec.structs.replace(told, files={}),
        case=case,
        law_events=law,
        keys=held,
        closed=closed,
        pictures={name: files[name] for name in pictures},
    )


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def volumes(events: int) -> list[tuple[int, int]]:
    """Return the first and last version of each volume of a case of so many events; alike in size."""
    return parted(events, -(-events // VOLUME) or 1)


def parted(events: int, count: int) -> list[tuple[int, int]]:
    """Return the first and last version of each of so many volumes."""
    edges = [events * n // count for n in range(count + 1)]
    return [(first + 1, last) for first, last in pairwise(edges)]


def split(made: Material) -> list[Material]:
    """Return a case volume by volume; nearly every case has one."""
    parts = volumes(len(made.case.events))
    if len(parts) == 1 or made.told.edition in APART:
        return [made]
    return [_volume(made, no, len(parts), first, last) for no, (first, last) in enumerate(parts, 1)]


def _volume(made: Material, no: int, count: int, first: int, last: int) -> Material:
    told = made.told
    pictures = tuple(one for one in told.pictures if first <= one.version <= last)
    there = msgspec.structs.replace(told, volume=no, volumes=count, first=first, last=last, pictures=pictures)
    return msgspec.structs.replace(made, told=there)


# --- entries from what is proven ---------------------------------------------------------------------------------


class _Commit(msgspec.Struct):
    """What of a commit record an entry says."""

    actor: msgspec.Raw
    command_id: str
    origin: str
    numbers: msgspec.Raw = msgspec.Raw(b"")
    on_behalf_of: str = ""
    reason: str = ""
    correlation_id: str = ""
    causation_id: str = ""


_COMMITS = msgspec.json.Decoder(_Commit)
_CODEC = Codec(KINDS)


def _entry(stream: str, event: evidence.Event) -> Entry:
    """Return an event of evidence as an entry. Raises Unproven where it does not say what happened."""
    try:
        commit = _COMMITS.decode(event.record.text)
        row = StoredEntry(
            stream=stream,
            position=event.position,
            version=event.version,
            topic=event.topic,
            state=event.state.text,
            recorded_at=datetime.fromisoformat(event.recorded_at),
            occurred_at=None if event.occurred_at == "-" else datetime.fromisoformat(event.occurred_at),
            origin=commit.origin,
            actor=bytes(commit.actor).decode(),
            on_behalf_of=commit.on_behalf_of,
            reason=commit.reason,
            numbers=bytes(commit.numbers).decode(),
            command_id=commit.command_id,
            correlation_id=commit.correlation_id,
            causation_id=commit.causation_id,
        )
        return _CODEC.entry(row)
    except (msgspec.MsgspecError, ValueError, KeyError) as error:
        raise Unproven(event.position, "an event as it is stored", str(error)) from error


# --- which law a case rests on -----------------------------------------------------------------------------------

_ALWAYS = (
    CityFounded,
    PolicyPackPublished,
    CalendarPublished,
    CalendarRevised,
    PeakModeDeclared,
    PeakModeEnded,
    OutageDeclared,
)


def law_of(entries: Iterable[Entry], laws: Sequence[Entry]) -> list[Entry]:
    """Return the institution's events that a case rests on: policies, calendars, peaks, outages, and its own units.

    Of units those that the case names, those above them, and whoever took over from them; of roles none.
    """
    named = {unit for entry in entries for unit in (*_units(entry.event), entry.actor.unit) if unit}
    units: list[tuple[frozenset[str], frozenset[str]]] = []  # whom an event is about, and whom it leads to
    for entry in laws:
        match entry.event:
            case UnitRegistered() | UnitChanged() as event:
                units.append((frozenset((event.unit,)), frozenset({event.unit, event.parent or event.unit})))
            case UnitSucceeded() as event:
                both = frozenset((*event.from_units, *event.to_units))
                units.append((both, both))
            case _:
                pass
    hotline = next((e.event.hotline_unit for e in laws if isinstance(e.event, CityFounded)), "")
    named |= {hotline}
    before = -1
    while before != len(named):
        before = len(named)
        for about, leads in units:
            if about & named:
                named |= leads
    return [entry for entry in laws if isinstance(entry.event, _ALWAYS) or _about(entry.event) & named]


def _about(event: Fact) -> frozenset[str]:
    match event:
        case UnitRegistered() | UnitChanged():
            return frozenset((event.unit,))
        case UnitSucceeded():
            return frozenset((*event.from_units, *event.to_units))
        case _:
            return frozenset()


def _units(record: msgspec.Struct) -> Iterable[str]:
    """Yield the codes of units that a record names, and those of records within it."""
    for name, value in said(record).items():
        for one in value if isinstance(value, list | tuple | frozenset) else (value,):
            if isinstance(one, msgspec.Struct):
                yield from _units(one)
            elif name in UNITS and isinstance(one, str):
                yield one


_README = """\
回音 Huiyin：卷宗核验说明  How this dossier is verified
====================================================

一、附件  What lies in this file
  events.json         本案全部事件的台账原文、盐值、提交记录，及最后一个事件的存在证明
                      every event of the case as stored, with its salts and commit records, and the proof of the last
  law.json            本案适用的政策、日历、单位等台账事件，每个各附存在证明
                      the policies, calendars and units it rests on, each with a proof of its own
  ledger.tlog-proof   同一存在证明（c2sp.org/tlog-proof）及签名树头、见证人签名
                      the same proof, with the signed head and its cosignatures
  keys.json           （全文版等）密封内容的密钥  in editions that show what is sealed: its keys
  sealed-keys.json    （仅密封件）举报人身份的密钥，由两人分持，缺一不可；开启：huiyin unseal 本文件.pdf
                      only in a sealed part: the key of who an informant is, in two shares for two persons
  picture-*           （仅全文版）卷内印出的图片；原件摘要见 events.json  pictures as they are printed
  dossier.json        本件如何生成，各附件的 SHA-256  how this file was made, and the digests of the above

二、步骤  Steps. H 为 SHA-256，或国密 SM3（见 events.json 的 hash）；‖ 为字节相接
  1  state  = H(盐 salt ‖ 文本 text)；record = H(盐 salt ‖ 提交记录文本 text of the commit record)，盐为十六进制字节
  2  事件头十行，各以换行结束 the header, ten lines, each ended by a line feed:
     huiyin/1 · ledger · stream · version · topic · recorded_at · occurred_at · 前一叶值 the leaf before (hex; 首个为 64 个 0)
     · record (hex) · state (hex)
  3  叶值 leaf = H(0x00 ‖ 事件头 header)；下一事件的事件头含本叶值，故次序、增删、改动均可发现
  4  自最后一叶按 RFC 9162 2.1.3.2 沿存在证明计算树根，须等于签名树头所载 the root must be the one that was signed
  5  树头签名为 C2SP signed note（Ed25519），公钥须另行取得，不得取自本文件
     the key of the log is to be had from elsewhere, never from this file
  6  law.json 的每个事件按 1 至 5 单独核验；其政策摘要须等于立案事件所载
  7  页面由上述附件生成；以同一程序、同一字体重新生成，须逐字节相同 the pages are made of these files alone:
     made again by the same program with the same fonts, the file is the same, byte for byte
  命令 command:  huiyin verify 本文件.pdf --policy 信任策略

三、不证明什么  What it does not prove
  不证明所记属实；不证明树头之后未再发生他事；不证明未录入台账之事不存在
  that what was recorded is true; that nothing came after the head; that nothing was left unrecorded
"""
