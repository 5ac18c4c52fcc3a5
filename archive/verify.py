"""卷宗核验. What a dossier proves to whoever believes a policy, from the file alone: no ledger, no network, no key of its own.

Four questions, each answered in plain words: is what lies in the file whole; are its events those of the ledger; is the law
it rests on too; and do its pages show just that. The last is answered by making the file again and comparing every byte.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec
import pikepdf

from archive import material
from archive.material import Material, NoDossier
from domain import evidence, notes
from domain.attachments import named_in
from domain.evidence import Unproven
from domain.notes import Policy
from domain.refusals import Refusal, WrongKey
from domain.terms import Confidentiality, PolicyRef, Sealed, Word
from domain.wording import said, show_instant

Remake = Callable[[Material], Awaitable[bytes]]
"""Makes a dossier again from its material; raises Refusal where this machine cannot."""


class Answer(Word):
    """核验结论 of one question."""

    HOLDS = "holds", "成立"
    FAILS = "fails", "不成立"
    OPEN = "open", "未核"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One question with its answer, in Chinese and English."""

    about: str
    answer: Answer
    zh: str
    en: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a check of one file came to."""

    digest: str
    findings: tuple[Finding, ...]
    shown: Mapping[str, str] = {}  # what it is: order, edition, version …

    @property
    def holds(self) -> bool:
        """Tell whether everything was asked and holds."""
        return all(one.answer is Answer.HOLDS for one in self.findings)

    @property
    def fails(self) -> bool:
        """Tell whether something does not hold."""
        return any(one.answer is Answer.FAILS for one in self.findings)


def is_pdf(content: bytes) -> bool:
    """Tell whether bytes begin as a PDF does."""
    return content.startswith(b"%PDF-")


LARGEST: Final = 128 << 20
"""Bytes of all that lies in one dossier: whoever packs more into one makes readers run out of memory."""


def attachments(content: bytes) -> dict[str, bytes]:
    """Return the files that lie in a PDF, by name. Raises NoDossier."""
    found: dict[str, bytes] = {}
    try:
        with pikepdf.open(io.BytesIO(content)) as pdf:
            for name in list(pdf.attachments):
                room = LARGEST - sum(map(len, found.values()))
                found[name] = _unpacked(pdf.attachments[name].get_file().obj, room)
    except (
        pikepdf.PdfError,
        pikepdf.PasswordError,
        zlib.error,
        KeyError,
        ValueError,
        TypeError,
        RuntimeError,
    ) as error:
        raise NoDossier(f"读不出 PDF 内的附件 what lies in the PDF cannot be read: {error}") from error
    return found


def _unpacked(stream: object, room: int) -> bytes:
    """Return what a stream holds, which is packed as dossiers are, or not at all. Raises ValueError, TypeError."""
    if not isinstance(stream, pikepdf.Stream):
        raise TypeError("/EF")
    said, packed = stream.read_raw_bytes(), stream.get("/Filter")
    if packed is not None:
        if packed != pikepdf.Name.FlateDecode or "/DecodeParms" in stream:
            raise ValueError(f"/Filter {packed!r}"[:80])
        said = zlib.decompressobj().decompress(said, room + 1)
    if len(said) > room:
        raise ValueError(f"> {LARGEST} 字节 bytes")
    return said


async def verify(content: bytes, policy: Policy, remake: Remake, digest: str | None = None) -> Verdict:
    """Check a dossier. `digest`: what it has to have, where it is known from elsewhere: the ledger, a letter, a manifest."""
    own = f"sha256:{hashlib.sha256(content).hexdigest()}"
    found: list[Finding] = []
    if digest is not None:
        found.append(_digest(own, digest))
    try:
        made = material.read(attachments(content))
    except (NoDossier, Unproven) as error:
        found.append(_fails("parts", f"附件不完整或被改动：{error}", f"what lies in the file is not whole: {error}"))
        return Verdict(digest=own, findings=tuple(found))
    found.append(_holds("parts", "附件齐全，与其摘要相符", "all that lies in the file is there, with its digests"))
    found += [_events(made, policy), _law(made, policy)]
    if not any(one.answer is Answer.FAILS for one in found):
        found += [*_extent(made), await _pages(content, made, remake, known=digest == own)]
        found += [*_left_out(made, known=digest == own), *_pictures(made, known=digest == own)]
    return Verdict(digest=own, findings=tuple(found), shown=_shown(made))


def _holds(about: str, zh: str, en: str) -> Finding:
    return Finding(about=about, answer=Answer.HOLDS, zh=zh, en=en)


def _fails(about: str, zh: str, en: str) -> Finding:
    return Finding(about=about, answer=Answer.FAILS, zh=zh, en=en)


def _digest(own: str, digest: str) -> Finding:
    if own == digest:
        return _holds("digest", f"全文件摘要与所给相符：{own}", "the whole file has the digest that was named")
    return _fails(
        "digest", f"全文件摘要不符：应为 {digest}，实为 {own}", f"another digest: expected {digest}, found {own}"
    )


def _events(made: Material, policy: Policy) -> Finding:
    try:
        held = evidence.check(made.case, policy)
        if held.open != held.events:
            raise Unproven(held.last, f"全部 {held.events} 项 all in full", f"{held.open}")
        entries = made.entries
        for entry in entries:
            _openable(made, entry.event)
    except (Unproven, NoDossier, RecursionError) as error:
        return _fails("events", f"事件不成立：{error}", f"the events do not hold: {error}")
    except WrongKey as error:
        return _fails("events", f"密封内容与台账所存不符：{error}", f"what is sealed does not open: {error}")
    witnesses = "、".join(held.witnesses) or "无见证人"
    zh = (
        f"{held.events} 项事件次序完整、无缺漏、未经改动，在 {held.head} 项事件的签名树头之下；最后一项记于 "
        f"{_local(held.recorded_at)}，位置 {held.last}；见证：{witnesses}"
    )
    en = (
        f"{held.events} events in their order, none missing, none changed, under a signed head of {held.head}; the last at "
        f"position {held.last}, {held.recorded_at}; witnesses: {', '.join(held.witnesses) or 'none'}"
    )
    return _holds("events", zh, en)


def _local(instant: str) -> str:
    return show_instant(datetime.fromisoformat(instant).astimezone(UTC))


def _openable(made: Material, record: msgspec.Struct) -> None:
    """Open every sealed field that the edition has a key of. Raises WrongKey."""
    for one in _sealed_in(record):
        made.text(one)


def _law(made: Material, policy: Policy) -> Finding:
    try:
        head = evidence.check_excerpt(made.law_events, policy)
        if made.law_events.ledger != made.case.ledger or made.law_events.stream != "institution":
            raise Unproven(0, f"事件属台账 of the ledger {made.case.ledger}", made.law_events.ledger)
        if head != made.proof.note.checkpoint:
            raise Unproven(0, f"同一树头 the same head {made.proof.note.checkpoint.size}", f"{head.size}")
        wanted = {made.order.policy, *(ref for e in made.entries if (ref := _policy(e.event)) is not None)}
        for ref in wanted:
            made.law.rules(ref)
    except (Unproven, NoDossier, notes.NotANote, RecursionError) as error:
        return _fails("law", f"政策与日历不成立：{error}", f"the law it rests on does not hold: {error}")
    except Refusal as error:
        return _fails("law", f"所附政策不是立案所依政策：{error}", f"not the policy that the case is bound to: {error}")
    count = len(made.law_events.events)
    return _holds(
        "law",
        f"所附政策、日历、单位共 {count} 项均在同一树头之下，政策摘要与立案所载相符",
        f"the {count} events of policies, calendars and units lie under the same head, the policy is the one that binds it",
    )


def _policy(event: msgspec.Struct) -> PolicyRef | None:
    found = getattr(event, "policy", None)
    return found if isinstance(found, PolicyRef) else None


async def _pages(content: bytes, made: Material, remake: Remake, *, known: bool) -> Finding:
    told = made.told
    beside = (
        "利用件所填编号、用途、利用者及全宗信息不在事件之内，以利用登记、归档登记为凭"
        if told.copy or told.fonds.code
        else ""
    )
    try:
        again = await remake(made)
    except (Refusal, NoDossier, Unproven, ValueError, KeyError) as error:
        answer, why = Answer.OPEN, str(error) or type(error).__name__
        zh, en = f"页面未能重新生成比对：{why}", f"the pages were not made again and compared: {why}"
    else:
        if again == content:
            return _holds(
                "pages",
                f"由所附事件重新生成，与本文件逐字节相同：页面所载即台账所存{'；' * bool(beside)}{beside}",
                "made again from its events, the file is the same, byte for byte: the pages show what the ledger holds"
                + ("; for whom the copy is, and the names of the fonds, rest on the registers" if beside else ""),
            )
        where = _first_difference(again, content)
        answer = Answer.FAILS
        zh = f"由所附事件重新生成的文件与本文件自第 {where} 字节起不同：页面被改动"
        en = f"made again from its events, the file differs from byte {where} on: it was changed"
    if known:  # whoever has the digest from elsewhere needs no more
        return Finding(about="pages", answer=Answer.HOLDS, zh=f"以全文件摘要为凭（{zh}）", en=f"by its digest ({en})")
    return Finding(about="pages", answer=answer, zh=zh, en=en)


def _extent(made: Material) -> list[Finding]:
    """Refuse a file that shows fewer events than its number among the volumes says."""
    told, events = made.told, len(made.case.events)
    if told.volumes == 1:
        right = (told.volume, told.first, told.last) == (1, 1, 0)
    else:
        parts = material.parted(events, told.volumes) if 1 < told.volumes <= events else []
        right = 1 <= told.volume <= len(parts) and parts[told.volume - 1] == (told.first, told.last)
    if right:
        return []
    zh = f"所示事件 {told.first} … {told.last or events} 不是第 {told.volume} 卷（共 {told.volumes} 卷）应示的：有事件未示"
    en = f"it shows events {told.first} … {told.last or events}, not those of volume {told.volume} of {told.volumes}"
    return [_fails("extent", zh, en)]


def _left_out(made: Material, *, known: bool) -> list[Finding]:
    """Say of a full edition what it shows as destroyed or held by two, though none of its events says that it is."""
    order, told = made.order, made.told
    if told.edition != "full" or order.filing.erased is not None or known:
        return []
    two = told.two_persons if order.confidentiality is Confidentiality.INFORMANT else ()
    lacking = {one.key for entry in made.entries for one in _sealed_in(entry.event)} - {*made.keys, *two}
    if not lacking:
        return []
    zh = f"{len(lacking)} 把密钥不在本归档件内，凭本文件不能证明其确已依法销毁：请以 --digest 给出台账登记的摘要"
    en = f"{len(lacking)} keys are not in this full edition, and nothing in it proves them destroyed: name the recorded digest with --digest"
    return [Finding(about="keys", answer=Answer.OPEN, zh=zh, en=en)]


def _sealed_in(record: msgspec.Struct) -> Iterator[Sealed]:
    """Yield every sealed field of a record, and of records within it."""
    for value in said(record).values():
        for one in value if isinstance(value, tuple | list | frozenset) else (value,):
            if isinstance(one, Sealed):
                yield one
            elif isinstance(one, msgspec.Struct):
                yield from _sealed_in(one)


def _pictures(made: Material, *, known: bool) -> list[Finding]:
    """Say of printed pictures whether they are those that the events name: by their digest, or that of the whole file."""
    told = [one for one in made.told.pictures if one.file]
    if not told:
        return []
    named = {attachment.digest for entry in made.entries for _, attachment in named_in(entry)}
    for one in made.told.pictures:
        held = f"sha256:{hashlib.sha256(made.pictures.get(one.file, b'')).hexdigest()}"
        if one.digest not in named or (one.original and held != one.digest):
            return [
                _fails("pictures", f"图片不是事件所载：{one.digest}", f"a picture is not the one named: {one.digest}")
            ]
    smaller = sum(not one.original for one in told)
    if not smaller:
        return [
            _holds(
                "pictures", f"{len(told)} 幅图片即事件所载原件", f"the {len(told)} pictures are those named, as given"
            )
        ]
    if known:
        return [
            _holds(
                "pictures",
                f"{smaller} 幅缩印图片以全文件摘要为凭",
                f"{smaller} made smaller, by the digest of the file",
            )
        ]
    zh = f"{smaller} 幅图片系缩印，凭本文件不能与原件核对：请以 --digest 给出台账登记的摘要，或在信息包内核验"
    en = f"{smaller} pictures were made smaller and cannot be held against what they were made of: name the recorded digest with --digest"
    return [Finding(about="pictures", answer=Answer.OPEN, zh=zh, en=en)]


def _first_difference(one: bytes, other: bytes) -> int:
    """Return the number of bytes that two files begin with alike."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _shown(made: Material) -> dict[str, str]:
    try:
        order = made.order
    except (NoDossier, Unproven, RecursionError):
        return {}
    return {
        "order": order.number,
        "title": order.demand.title,
        "edition": made.told.edition,
        "version": f"{made.entries[-1].version}",
        "file_number": order.filing.file_number,
        **({"volume": f"{made.told.volume}/{made.told.volumes}"} if made.told.volumes > 1 else {}),
    }
