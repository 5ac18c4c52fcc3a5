"""Dossiers at the terminal: one case gathered from the ledger, set as one file, and its making recorded."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from archive import dossier, filing, material, sealedpart, verify
from archive.contents import Paper
from archive.filing import Rendered
from archive.fonds import Fonds
from archive.material import APART, Edition, Material, Printed, Told, UseCopy
from archive.pdf import Done, Printer
from archive.verify import Verdict
from archive.wire import Failed, Reduced
from domain import evidence
from domain.attachments import Files, named_in
from domain.journals import is_journal
from domain.leaves import Witnessed
from domain.ledger import Ledger
from domain.notes import Note, Policy, Proof
from domain.refusals import Erased, FileChanged, Refusal, UnknownFile
from domain.sealing import Consent, KeyRow, shares_of
from domain.steps.filing import DossierRendered, IssueUseCopy, UseCopyIssued
from domain.stored import tag
from domain.terms import Actor, Attachment, Confidentiality, Entry, Role
from projections.answers import Projections
from projections.transparency import NoHeadYet, Transparency
from scripts import desk, embedded, wiring
from scripts.desk import city_option, json_option, with_city
from scripts.lawbook import answer
from scripts.wiring import SettingError
from supervision import instruments, sheets
from supervision.instruments import NotAnInstrument

INSTITUTION = "institution"

READERS = frozenset({Role.ARCHIVIST})
"""Who may make a file that shows what is sealed: whoever has to keep it."""


_OF_COPIES = frozenset({tag(DossierRendered), tag(UseCopyIssued)})
"""What says that files were made, and nothing of the case: they show it up to there."""


class NothingToFile(Refusal):
    """该工单没有可成卷的事件。The order has no event up to this version: ask for a version that it has."""


# --- gathering ---------------------------------------------------------------------------------------------------


MOST_PICTURES: int = 24
"""Pictures that one volume prints, so that none takes long or much memory."""

BYTES_OF_PICTURES: int = 4 << 20
"""Bytes of them together; each lies in the file twice, and a file of twenty megabytes is not kept."""

_KINDS = ("image/jpeg", "image/png")
ELSEWHERE = "原件不在本系统保存"


async def pictured(made: Material, files: Files, printer: Printer) -> Material:
    """Return a full edition with the pictures that its events name; of those that are not printed, why.

    An informant's are not looked at: they may show who it was. Where no picture is kept here, the index alone says it.
    """
    if made.told.edition != "full" or made.order.confidentiality is Confidentiality.INFORMANT:
        return made
    named: dict[str, tuple[int, Attachment]] = {}
    for entry in made.entries:
        for _, one in named_in(entry):
            if one.media_type.startswith("image/"):
                named.setdefault(one.digest, (entry.version, one))
    ends = [last for _, last in material.volumes(len(made.entries))]
    room = dict.fromkeys(ends, (MOST_PICTURES, BYTES_OF_PICTURES))
    told: list[Printed] = []
    contents: dict[str, bytes] = {}
    for version, one in named.values():
        last = next(end for end in ends if version <= end)
        count, left = room[last]
        found = await _picture(made, files, printer, one) if count else Failed("超出一卷印图数量，见原件")
        if isinstance(found, Reduced) and len(found.content) > left:
            found = Failed("超出一卷印图总量，见原件")
        if isinstance(found, Failed):
            told.append(Printed(digest=one.digest, version=version, why=found.why))
            continue
        room[last] = (count - 1, left - len(found.content))
        name = f"{material.PICTURE}{len(contents) + 1:03d}.{found.ending}"
        contents[name] = found.content
        told.append(Printed(digest=one.digest, version=version, file=name, original=found.original))
    if all(one.why == ELSEWHERE for one in told):
        return made
    return msgspec.structs.replace(
        made, told=msgspec.structs.replace(made.told, pictures=tuple(told)), pictures=contents
    )


async def _picture(made: Material, files: Files, printer: Printer, one: Attachment) -> Reduced | Failed:
    """Return one picture as it is printed, read whole and held against its digest; or why it is not printed."""
    stream = made.case.stream
    if one.media_type not in _KINDS:
        return Failed(f"{one.media_type} 不印，见原件")
    if not files.there(stream, one.digest):
        return Failed(ELSEWHERE)
    try:
        opened = files.open(stream, one.digest, made.keys.get)
        if opened is None:
            return Failed("密钥已依法销毁")
        content = b"".join([part async for part in await opened.parts()])
    except (FileChanged, UnknownFile):
        return Failed("原件已损坏，与账本所载摘要不符")
    if filing.digest_of(content) != one.digest:
        return Failed("原件已损坏，与账本所载摘要不符")
    return await printer.picture(content)


class Part(NamedTuple):
    """密封件 of a case, as far as an edition has to do with it: its digest, who opened it, its keys closed for two."""

    digest: str = ""
    opened_by: tuple[str, ...] = ()
    closed: tuple[KeyRow, ...] = ()


class Gatherer:
    """Reads cases out of one ledger with all that proves them; the institution is read once for many."""

    def __init__(self, ledger: Ledger, log: Transparency, fonds: Fonds, faces: tuple[str, ...]) -> None:
        self._ledger = ledger
        self._log = log
        self._fonds = fonds
        self._faces = faces
        self._laws: list[tuple[Entry, Witnessed]] = []

    async def gather(
        self,
        stream: str,
        edition: Edition = "masked",
        *,
        upto: int = 0,
        keys: Mapping[str, bytes] | None = None,
        two_persons: Sequence[str] = (),
        copy: UseCopy | None = None,
        part: Part | None = None,
    ) -> Material:
        """Return what a case's file is made of, up to a version; 0: all but that files were made."""
        rows = await self._shown(stream, upto)
        entries = await self._ledger.history(stream)
        last = rows[-1].event
        chosen = await self._law([e for e in entries if e.version <= last.version], last.position)
        note = await self._head(last.position)
        path, *paths = await self._log.paths([last.position, *(row.event.position for row in chosen)], note)
        imprint = self._ledger.imprint
        told = Told(
            edition=edition,
            template=dossier.TEMPLATE,
            templates=_templates(),
            renderer=_renderer(),
            fonts=self._faces,
            fonds=self._fonds,
            copy=copy,
            two_persons=tuple(two_persons),
            sealed_part=part.digest if part is not None else "",
            opened_by=part.opened_by if part is not None else (),
        )
        case = evidence.made(imprint, rows, Proof(last.position - 1, tuple(path), note), full=True)
        law_events = evidence.picked(imprint, chosen, paths, note)
        closed = part.closed if part is not None else ()
        return Material(told=told, case=case, law_events=law_events, keys=keys or {}, closed=closed)

    async def last(self, stream: str) -> int:
        """Return the version that a file of a case shows last, where none is said. Raises NothingToFile."""
        rows = await self._shown(stream, 0)
        return rows[-1].event.version

    async def _shown(self, stream: str, upto: int) -> list[Witnessed]:
        rows = await self._ledger.witnesses_of(stream)
        while rows and (rows[-1].event.version > upto if upto else rows[-1].event.topic in _OF_COPIES):
            rows.pop()
        if not rows or is_journal(stream):
            raise NothingToFile(stream)
        return rows

    async def _law(self, entries: Sequence[Entry], position: int) -> list[Witnessed]:
        """Return the institution's events that a case rests on, as recorded by its last event."""
        version = self._laws[-1][0].version if self._laws else 0
        if not self._laws or (await self._ledger.law()).version != version:
            laws = await self._ledger.history(INSTITUTION)
            rows = await self._ledger.witnesses_of(INSTITUTION)
            self._laws = list(zip(laws, rows[: len(laws)], strict=True))
        known = [pair for pair in self._laws if pair[0].position <= position]
        rests = {entry.version for entry in material.law_of(entries, [entry for entry, _ in known])}
        return [row for entry, row in known if entry.version in rests]

    async def _head(self, position: int) -> Note:
        """Return the first signed head that covers an event; signed now where there is none yet."""
        try:
            return await self._log.head(position)
        except NoHeadYet:
            await self._log.sign()
            return await self._log.head(position)


def _templates() -> str:
    """Return the digest of all templates that a file is set with: of the dossier, and of the papers in it."""
    both = dossier.templates_digest() + sheets.templates_digest()
    return f"sha256:{hashlib.sha256(both.encode()).hexdigest()}"


def _renderer() -> str:
    return f"weasyprint {importlib.metadata.version('weasyprint')}"


# --- setting -----------------------------------------------------------------------------------------------------


def papers(made: Material) -> dict[int, Paper]:
    """Return the papers of a case by the versions of their events, set as they were sent."""
    found: dict[int, Paper] = {}
    if made.told.edition in APART:
        return found
    for entry, _ in instruments.instruments(made.entries):
        if not made.shows(entry.version):
            continue
        leaf = f"{made.case.hash}:{made.leaves[entry.version - 1].hex()}"
        try:
            paper, shown = instruments.paper(made.entries, entry.version, made.laws, leaf=leaf)
        except NotAnInstrument:
            continue
        if made.keys and shown:
            opened: dict[str, str | Erased] = {one.name: made.text(one.sealed) for one in shown}
            paper, _ = instruments.paper(made.entries, entry.version, made.laws, leaf=leaf, opened=opened)
        found[entry.version] = Paper(paper.title, paper.number, paper.issuer, sheets.instrument_body(paper))
    return found


def html(made: Material) -> str:
    """Return the pages of a file."""
    return dossier.document(made, papers(made), sheets.instrument_style())


async def printed(made: Material, printer: Printer) -> Done:
    """Return a file: its pages, and what they are made of inside it."""
    return await printer.printed(html(made), made.files)


def bound(volumes: Sequence[Done]) -> Rendered:
    """Return the volumes of a file as the one thing that is recorded."""
    first, *rest = volumes
    fonts = tuple(sorted({font for one in volumes for font in one.fonts}))
    return Rendered(first.pdf, first.pages, fonts, dossier.TEMPLATE, tuple((one.pdf, one.pages) for one in rest))


class SetElsewhere(Refusal):
    """本件是用另一版本的模板、程序或字体成文的，此处不能逐字节重新生成；请在同一版本上核验，或以 --digest 给出登记的摘要。
    It was set with other templates, another renderer or other fonts: check it where they are the same, or name the
    recorded digest with --digest.
    """


def remaking(printer: Printer) -> verify.Remake:
    """Return what makes a file again here, from what lies in it. It raises SetElsewhere where that cannot be the same."""

    async def again(made: Material) -> bytes:
        told = made.told
        here = (dossier.TEMPLATE, _templates(), _renderer(), await printer.faces())
        if (told.template, told.templates, told.renderer, told.fonts) != here:
            raise SetElsewhere(f"{told.template}, {told.renderer}")
        return (await printed(made, printer)).pdf

    return again


# --- who an informant is -----------------------------------------------------------------------------------------


async def closed_part(
    gatherer: Gatherer, ledger: Ledger, stream: str, upto: int, *, by: Actor, purpose: str, printer: Printer
) -> tuple[Material, Done]:
    """Return an informant's sealed part (密封件), closed for the two persons: nobody opens anything for it.

    The access journal says first who takes it. Raises NothingForTwo.
    """
    command_id = f"cli:sealed:{wiring.fresh()}"
    rows = await ledger.closed_for_two(stream, viewer=by, purpose=purpose, command_id=command_id)
    return await part_of(gatherer, stream, upto, rows, printer)


async def part_of(
    gatherer: Gatherer, stream: str, upto: int, rows: Sequence[KeyRow], printer: Printer
) -> tuple[Material, Done]:
    """Return a sealed part with keys as they are closed for two persons, whoever they are."""
    two = sorted(row.id for row in rows)
    made = await gatherer.gather(
        stream, "sealed", upto=upto, two_persons=two, part=Part(closed=tuple(map(shares_of, rows)))
    )
    return made, await printed(made, printer)


async def opened_part(
    gatherer: Gatherer,
    ledger: Ledger,
    stream: str,
    upto: int,
    *,
    by: Actor,
    purpose: str,
    printer: Printer,
    consents: Sequence[Consent],
) -> tuple[Material, Done]:
    """Return an informant's sealed part opened by two persons, after the access journal names both and who looks.

    Raises NothingForTwo, TwoPersonsNeeded and WrongKey; the attempt stays in the journal.
    """
    command_id = f"cli:opened:{wiring.fresh()}"
    keys = await ledger.open_by_two(stream, viewer=by, purpose=purpose, command_id=command_id, consents=consents)
    both = tuple(sorted(consent.person for consent in consents))
    made = await gatherer.gather(
        stream, "identity", upto=upto, keys=keys, two_persons=sorted(keys), part=Part(opened_by=both)
    )
    return made, await printed(made, printer)


# --- commands ----------------------------------------------------------------------------------------------------


@click.command("dossier")
@click.argument("order")
@click.option("--to", "file", type=click.Path(dir_okay=False, path_type=Path), help="写入 a file; without: NUMBER.pdf.")
@click.option("--edition", type=click.Choice(["full", "texts", "masked"]), default="masked", show_default=True,
    help="版本 full 归档件 with all that is sealed opened, texts without who people are, masked with nothing opened.")  # fmt: skip
@click.option("--upto", type=click.IntRange(0), default=0, help="截至 the version that is shown last; without: all.")
@click.option(
    "--purpose", default="filing", show_default=True, help="用途 why, as a code: recorded before anything is opened."
)
@click.option(
    "--for", "receiver", help="利用者 make a numbered copy for use: for which office; needs --approved-by and --as."
)
@click.option("--approved-by", "approver", metavar="USER", help="批准人 who agreed to the copy: somebody else.")
@click.option("--as", "actor", metavar="USER/ROLE[@UNIT]", help="操作人 who files: with it the making is recorded.")
@city_option
@json_option
def dossier_command(
    order: str,
    file: Path | None,
    edition: Edition,
    upto: int,
    purpose: str,
    receiver: str | None,
    approver: str | None,
    actor: str | None,
    city: str | None,
    as_json: bool,
) -> None:
    """卷宗: one case as one PDF/A file that proves itself; with --as its digest is recorded in the ledger.

    ORDER: number, old number or id. `huiyin verify FILE.pdf --policy POLICY` checks it without database and network. The
    same case at the same version gives the same bytes. With --for it is a copy for use, entered in the use register.
    """
    by = desk.parse_actor(actor) if actor else None
    if (edition != "masked" or receiver) and (by is None or by.role not in READERS):
        raise SettingError(f"--edition {edition}: 须以 --as 指明档案员 say with --as which archivist opens it")
    if receiver and (not approver or edition == "full"):
        raise SettingError("--for: 利用件须有 --approved-by，且不得为全文 a copy for use is approved, and never full")

    database = wiring.database()  # before the loop runs: entering a database may need one of its own

    async def work(ledger: Ledger, shown: Projections) -> None:
        stream = await desk.stream_of(shown, order)
        used = None
        if receiver and approver and by is not None and edition in ("texts", "masked"):
            used = IssueUseCopy(receiver=receiver, purpose=purpose, upto=upto or 1, approver=approver, edition=edition)
        told: list[dict[str, object]] = []
        every = await _made(database, ledger, stream, edition, upto, purpose, by, used)
        volumes = [one for one in every if one[0].told.edition == edition]
        for some in ([one for one in every if one not in volumes], volumes):  # a sealed part first: the copy names it
            whole = bound([done for _, done in some]) if some else None
            recorded = by is not None and whole is not None and await record(ledger, some[0][0], whole, by)
        for made, done in every:
            path = file or Path(f"{made.order.number}.pdf")
            if made.told.edition == "sealed":
                path = path.with_stem(f"{path.stem}{sealedpart.SUFFIX}")
            if made.told.volumes > 1:
                path = path.with_stem(f"{path.stem}-{made.told.volume}")
            path.write_bytes(done.pdf)
            told.append(told_of(path, made, done, recorded=recorded))
            if not as_json:
                say_made(told[-1])
        if as_json:
            answer(told[0] if len(told) == 1 else told)

    with_city(city, work)


def told_of(path: Path, made: Material, done: Done, *, recorded: bool) -> dict[str, object]:
    """Return what a file came to, for programs."""
    return {
        "file": f"{path}",
        "digest": filing.digest_of(done.pdf),
        "edition": made.told.edition,
        "pages": done.pages,
        "bytes": len(done.pdf),
        "copy": made.told.copy.number if made.told.copy is not None else "",
        "volume": made.told.volume,
        "version": made.entries[-1].version,
        "position": made.entries[-1].position,
        "recorded": recorded,
    }


def say_made(told: Mapping[str, object]) -> None:
    copy = f"，利用件 {told['copy']}" if told["copy"] else ""
    click.echo(f"✓ {told['file']}: {told['pages']} 页 pages, {told['bytes']:,} 字节 bytes{copy}")
    click.echo(f"  {told['digest']}" + ("，已登记 recorded" if told["recorded"] else ""))


async def _made(
    database: embedded.Database,
    ledger: Ledger,
    stream: str,
    edition: Edition,
    upto: int,
    purpose: str,
    by: Actor | None,
    used: IssueUseCopy | None,
) -> list[tuple[Material, Done]]:
    """Gather a case and set it, volume by volume; a copy for use is entered in the register before anything is opened for it."""
    async with await wiring.open_log(database, ledger) as log, Printer() as printer:
        gatherer = Gatherer(ledger, log, wiring.read_fonds(ledger.city), await printer.faces())
        copy: UseCopy | None = None
        if used is not None and by is not None:
            last = upto or await gatherer.last(stream)
            act = msgspec.structs.replace(used, upto=last)
            receipt = await ledger.execute(act, stream=stream, actor=by, command_id=f"cli:copy:{wiring.fresh()}")
            entry = next(one for one in receipt.events if isinstance(one.event, UseCopyIssued))
            copy = UseCopy(
                number=entry.numbered("use_copy"), purpose=used.purpose, receiver=used.receiver, at=entry.recorded_at
            )
        keys: dict[str, bytes] = {}
        if edition != "masked":
            keys = await _keys(ledger, stream, by, purpose, identity=edition == "full")
        two = await ledger.keys_of_two(stream)
        part: list[tuple[Material, Done]] = []
        if two and edition == "full" and by is not None:
            part.append(await closed_part(gatherer, ledger, stream, upto, by=by, purpose=purpose, printer=printer))
        named = Part(filing.digest_of(part[0][1].pdf)) if part else None
        made = await gatherer.gather(stream, edition, upto=upto, keys=keys, two_persons=two, copy=copy, part=named)
        made = await pictured(made, wiring.files_of(ledger), printer)
        return [*part, *[(one, await printed(one, printer)) for one in material.split(made)]]


async def _keys(ledger: Ledger, stream: str, by: Actor | None, purpose: str, *, identity: bool) -> dict[str, bytes]:
    assert by is not None
    command_id = f"cli:dossier:{wiring.fresh()}"
    return await ledger.hand_out_keys(stream, viewer=by, purpose=purpose, command_id=command_id, identity=identity)


async def record(ledger: Ledger, made: Material, done: Rendered, by: Actor) -> bool:
    """Record that a file was made, with its digests, template and fonts; not twice what is recorded already."""
    stream, edition = made.case.stream, made.told.edition
    now = await ledger.fold(stream)
    full = edition == "full"
    known = now.filing.record_copies if full and now.filing.filed is not None else now.filing.dossiers
    if filing.digest_of(done.pdf) in known:
        return True
    upto, said = made.entries[-1].version, "masked" if edition == "texts" else edition
    act = await filing.kept(ledger, wiring.files_of(ledger), stream, done, upto, said)
    await ledger.execute(act, stream=stream, actor=by, command_id=f"cli:dossier:{wiring.fresh()}")
    return True


# --- the check ---------------------------------------------------------------------------------------------------

MARKS = {verify.Answer.HOLDS: "✓", verify.Answer.FAILS: "✗", verify.Answer.OPEN: "?"}


def checked(path: Path, policy: Policy, digest: str | None) -> Verdict:
    """Check a file that is a dossier, without a ledger."""

    async def work() -> Verdict:
        async with Printer() as printer:
            return await verify.verify(path.read_bytes(), policy, remaking(printer), digest)

    return desk.run_async(work())


def say(path: Path, verdict: Verdict) -> None:
    """Say in both languages what holds of a dossier, and what it does not prove."""
    shown = verdict.shown
    title = f"{shown['order']} {shown['title']} · {EDITION_WORDS[shown['edition']]}" if shown else ""
    title += f" · 第 {shown['volume']} 卷 volume" if "volume" in shown else ""
    click.echo(f"{'✓' if verdict.holds else '✗'} {path}: {title}".rstrip(": "))
    for one in verdict.findings:
        click.echo(f"  {MARKS[one.answer]} {one.zh}")
        click.echo(f"    {one.en}")
    click.echo("  不证明其后未再发生他事，亦不证明所记属实；公钥取自信任策略，不取自本文件")
    click.echo(
        "    it does not prove that nothing came later, nor that what was recorded is true; the keys are the policy's, "
        "none is taken from the file"
    )


EDITION_WORDS = {
    "full": "归档件 full",
    "texts": "利用件 texts",
    "masked": "利用件 masked",
    "sealed": "密封件 sealed part",
    "identity": "密封件（已开启） sealed part, opened",
}

COMMANDS = (dossier_command,)
