"""件. One filed case as the archives know it: its number, what its catalogue and its wrapper say of it, its files.

DA/T 22-2015 asks for the columns, DA/T 46-2009 for the elements. Everything is folded from the case's entries and the
law of the day; nothing is asked of anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from archive.fonds import Fonds
from domain import fields
from domain.attachments import named_in
from domain.law import Law
from domain.refusals import Refusal
from domain.state import WorkOrder
from domain.steps.filing import ArchivePackageSealed, DossierRendered, Volume
from domain.terms import SHANGHAI, Citation, Entry, Role

PERIODS: Final = {"Y": "永久", "D30": "30年", "D10": "10年"}
"""保管期限, by the code that stands in a number."""

COLUMNS: Final = ("序号", "档号", "文号", "责任者", "题名", "日期", "密级", "页数", "备注")
"""归档文件目录 (DA/T 22-2015)."""

EXTENSIONS: Final = {
    "image/jpeg": "jpg", "image/png": "png", "image/gif": "gif", "image/webp": "webp", "image/heic": "heic",
    "application/pdf": "pdf", "audio/amr": "amr", "audio/ogg": "ogg", "audio/flac": "flac", "audio/mpeg": "mp3",
    "audio/webm": "weba", "audio/wav": "wav", "audio/mp4": "m4a", "audio/3gpp": "3gp", "video/ogg": "ogv",
    "video/webm": "webm", "video/quicktime": "mov", "video/3gpp": "3gp", "video/mp4": "mp4", "text/plain": "txt",
}  # fmt: skip
"""The endings by which the types that are taken are opened."""

_NUMBER = re.compile(r"(\d{4})-(Y|D30|D10)-(\d{4,})")


class NotFiled(Refusal):
    """此件尚未立卷归档，或未形成归档卷宗。The case is not filed as a dossier, or no record copy of it was recorded yet: `huiyin archive run`."""

    basis = "DOMAIN 5.4"


def parted(file_number: str) -> tuple[str, str, str]:
    """Return year, period and running number of a dossier's number. Raises NotFiled for a line of the register."""
    found = _NUMBER.fullmatch(file_number)
    if found is None:
        raise NotFiled(file_number or "-")
    return found[1], found[2], found[3]


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """件. One file of a packet."""

    stream: str
    number: str  # 档号
    file_number: str  # its part that the ledger gave
    order_number: str  # 文号
    title: str
    responsible: str  # 责任者
    registered: datetime
    closed: datetime
    closure: str
    demand: str
    category: str
    district: str
    secrecy: str  # 密级
    control: str  # 控制标识
    dossier: tuple[Volume, ...]  # the volumes of the record copy (归档件)
    sealed_part: str = ""  # 密封件: the digest of who an informant is, closed for two persons
    supplements: tuple[tuple[Volume, ...], ...] = ()  # 补卷: those of what came after the sealing
    earlier_numbers: tuple[str, ...] = ()

    @property
    def pages(self) -> int:
        """页数 of all that was filed."""
        return sum(one.pages for copy in (self.dossier, *self.supplements) for one in copy)

    def copies(self) -> Iterator[tuple[str, str, str]]:
        """Yield every volume that was filed: its file's name, its title, its digest."""
        for n, copy in enumerate((self.dossier, *self.supplements)):
            name, title = (f"{self.number}-补{n}", f"补卷{n}") if n else (self.number, "卷宗（归档件）")
            for no, one in enumerate(copy, 1):
                which, said = (f"-卷{no}", f"第{no}卷") if no > 1 else ("", "")
                yield f"{name}{which}.pdf", f"{title}{said}", one.digest

    @property
    def day(self) -> str:
        """日期, as a catalogue has it."""
        return f"{self.closed.astimezone(SHANGHAI):%Y%m%d}"

    def row(self, ordinal: int) -> tuple[str, ...]:
        """Return its line of the catalogue."""
        remark = [f"补卷 {len(self.supplements)}"] if self.supplements else []
        remark += [f"分 {len(self.dossier)} 卷"] if len(self.dossier) > 1 else []
        remark += ["身份信息另行密封"] if self.sealed_part else []
        remark += [f"原档号 {one}" for one in self.earlier_numbers]
        cells = (self.number, self.order_number, self.responsible, self.title, self.day, self.secrecy)
        return (str(ordinal), *cells, str(self.pages), "; ".join(remark))


def item_of(order: WorkOrder, entries: Sequence[Entry], law: Law, fonds: Fonds) -> Item:
    """Return the item that a filed order is. Raises NotFiled where it is none, or its record copy was not recorded."""
    filing = order.filing
    rendered = _copies(entries)
    if filing.filed is None or filing.closed is None or filing.keep != "dossier" or not rendered:
        raise NotFiled(order.number or order.stream)
    sealed = next((e.event for e in reversed(entries) if isinstance(e.event, ArchivePackageSealed)), None)
    kept = next((n for n, one in enumerate(rendered) if sealed and one[0].digest == sealed.dossier), len(rendered) - 1)
    unit = (order.episode.lead if order.episode is not None else "") or law.hotline_unit
    return Item(
        stream=order.stream,
        number=fonds.reference(filing.file_number),
        file_number=filing.file_number,
        order_number=order.number,
        title=order.demand.title,
        responsible=law.unit_name(unit, filing.closed.at) or unit,
        registered=order.registered.at,
        closed=filing.closed.at,
        closure=filing.kind.zh if filing.kind is not None else "",
        demand=order.attributes.demand_type.zh,
        category=order.demand.category,
        district=order.demand.district,
        secrecy="",  # 密级 is given by law to state secrets alone, and those are never filed here
        control=order.confidentiality.zh,
        dossier=rendered[kept],
        sealed_part=sealed_part_of(entries),
        supplements=tuple(rendered[kept + 1 :]) if sealed else (),
        earlier_numbers=filing.earlier_numbers,
    )


def _copies(entries: Sequence[Entry]) -> list[tuple[Volume, ...]]:
    """Return the volumes of every full edition that was recorded, each once."""
    found = (e.event for e in entries if isinstance(e.event, DossierRendered))
    return list({one.digest: one.volumes for one in found if one.edition == "full"}.values())


def sealed_part_of(entries: Sequence[Entry]) -> str:
    """Return the digest of the sealed part that was closed last: for the office's two persons, or for those who receive it."""
    found = (e.event for e in reversed(entries) if isinstance(e.event, DossierRendered))
    return next((one.digest for one in found if one.edition == "sealed"), "")


class Named(msgspec.Struct, frozen=True):
    """附件. A file that an event names: what it is called in the packet."""

    name: str  # below the item's folder
    title: str
    digest: str
    size: int
    media_type: str
    version: int


def named_files(entries: Sequence[Entry]) -> list[Named]:
    """Return the files that a case's entries name, in their order, each once."""
    found: dict[str, Named] = {}
    for entry in entries:
        for path, one in named_in(entry):
            if one.digest in found:
                continue
            title = fields.TERMS.get(path.partition(".")[0], "附件")
            ending = EXTENSIONS.get(one.media_type, "bin")
            name = f"附件/{len(found) + 1:03d}_{title}.{ending}"
            found[one.digest] = Named(name, title, one.digest, one.size, one.media_type, entry.version)
    return list(found.values())


# --- what happened -----------------------------------------------------------------------------------------------


class Happened(msgspec.Struct, frozen=True):
    """业务实体 (DA/T 48). One event: who did what, when, on what ground, and where the ledger has it."""

    version: int
    who: str
    unit: str
    role: str
    what: str
    at: datetime
    basis: str
    topic: str
    position: int
    leaf: str


def happened(
    entries: Sequence[Entry], leaves: Sequence[bytes], topics: Sequence[str], hashed: str
) -> Iterator[Happened]:
    """Yield every event as a wrapper says it; `leaves` and `topics` as the ledger proves them."""
    for entry, leaf, topic in zip(entries, leaves, topics, strict=True):
        yield Happened(
            version=entry.version,
            who=entry.actor.user,
            unit=entry.actor.unit,
            role=Role(entry.actor.role).zh,
            what=title_of(entry.event),
            at=said_at(entry),
            basis=_basis(entry.event),
            topic=topic,
            position=entry.position,
            leaf=f"{hashed}:{leaf.hex()}",
        )


def said_at(entry: Entry) -> datetime:
    """Return when it happened as its header says: the instant stated, else that of recording."""
    return entry.occurred_at or entry.recorded_at


def title_of(event: object) -> str:
    """Return an event's official term: the first words of its docstring."""
    first = (type(event).__doc__ or type(event).__name__).strip().split("\n")[0]
    return first.split(".")[0].split("。")[0].strip()


def _basis(event: object) -> str:
    said = getattr(event, "basis", None) or getattr(event, "article", None)
    if not isinstance(said, Citation):
        return ""
    return f"《{said.text}》{said.article}"
