"""立卷归档. What a closed case's file still needs, and one step after the other until it has it: number, record copy, seal.

Each step is a command of the domain under an id made of what it is about, decided from what the ledger says now: whoever
was killed, or runs beside another, does nothing twice and leaves nothing out. The record copy (归档件) lies beside the
ledger as every file of the case does, sealed with the case's key and named by the digest that the ledger recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from archive import material, verify
from archive.material import NoDossier
from domain import evidence, recorder
from domain.attachments import Files, named_in
from domain.clocks import Status, clocks
from domain.evidence import Unproven
from domain.law import Law
from domain.ledger import Ledger
from domain.notes import Note
from domain.order import fold
from domain.refusals import CaseWithoutKey, CommandIdReused, FileChanged, Refusal, UnknownFile
from domain.state import WorkOrder
from domain.steps import filing
from domain.steps.disposing import FileAppraised, FileDisposed
from domain.steps.filing import (
    Archive,
    ArchivePackageSealed,
    ArchiveTransferred,
    DossierRendered,
    OrderArchived,
    RecordDossier,
    Seal,
    UseCopyIssued,
    Volume,
)
from domain.terms import Act, Actor, ClockName, Entry, OrderState, Word
from projections.answers import Projections
from projections.transparency import Transparency

PDF: Final = "application/pdf"
INSTITUTION: Final = "institution"
PAGE: Final = 500
PART: Final = 1 << 16
"""Bytes of a copy that are sealed at once."""


class Stage(Word):
    """归档环节. What a case's file waits for."""

    FILE = "file", "待归档"
    COPY = "copy", "待成卷"
    SEAL = "seal", "待封存"
    INCOMPLETE = "incomplete", "不齐全"
    WAITS = "waits", "未到封存期"
    DONE = "done", "已毕"


class Rendered(NamedTuple):
    """A dossier as it was made: its bytes, its pages, what it was set with; a long case's second volume and those behind it."""

    pdf: bytes
    pages: int
    fonts: tuple[str, ...]
    template: str
    further: tuple[tuple[bytes, int], ...] = ()
    sealed: Rendered | None = None  # 密封件: who an informant is, closed for two persons

    @property
    def volumes(self) -> tuple[bytes, ...]:
        """The bytes of every volume."""
        return (self.pdf, *(pdf for pdf, _ in self.further))


Maker = Callable[[str, int], Awaitable[Rendered]]
"""Makes the full edition of a case's dossier as far as a version goes."""


def digest_of(pdf: bytes) -> str:
    """Return the digest by which the ledger knows a file."""
    return f"sha256:{hashlib.sha256(pdf).hexdigest()}"


async def kept(
    ledger: Ledger, files: Files, stream: str, made: Rendered, upto: int, edition: filing.DossierEdition = "full"
) -> RecordDossier:
    """Return what tells the ledger of a dossier; a record copy, or a sealed part, is first kept, sealed as all files of its case are."""
    for pdf in made.volumes if edition in ("full", "sealed") else ():
        with contextlib.suppress(CaseWithoutKey):  # nothing of it is sealed: it is made again where it is needed
            await files.keep(stream, await ledger.file_key(stream), PDF, _parts(pdf))
    return RecordDossier(
        digest=digest_of(made.pdf),
        template_version=made.template,
        fonts=made.fonts,
        upto=upto,
        pages=made.pages,
        edition=edition,
        further=tuple(Volume(digest=digest_of(pdf), pages=pages) for pdf, pages in made.further),
    )


async def _parts(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), PART):
        yield content[at : at + PART]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a case's file stands, and what it lacks."""

    stage: Stage
    missing: tuple[str, ...] = ()


class Case(msgspec.Struct, frozen=True):
    """A case of the archive's, as it was read, and where its file stands."""

    order: WorkOrder
    entries: tuple[Entry, ...]
    standing: Standing


CLOSED: Final = (OrderState.CLOSED, OrderState.NOT_ACCEPTED)
"""States of cases that are to be filed."""

_UNSEALED: Final = (Status.RUNNING, Status.OVERDUE, Status.LAPSED)
_LATER: Final = ["order.correction_recorded"]
"""What is appended to a sealed file, and needs a supplement (补卷)."""

LOT: Final = 32
"""Cases that are read, and filed, together."""


async def candidates(ledger: Ledger, shown: Projections) -> AsyncIterator[str]:
    """Yield the records about whose file there may be something to do: closed, filed and unsealed, corrected since."""
    after = None
    while True:
        page = await shown.list_orders(states=CLOSED, limit=PAGE, after=after)
        for row in page.rows:
            yield row.stream
        if not page.more:
            break
        after = page.rows[-1].id
    now, last = await ledger.now(), None
    while True:
        clocks_page = await shown.list_clocks(now, names=[ClockName.SEAL], states=_UNSEALED, limit=PAGE, after=last)
        for one in clocks_page.rows:
            yield f"order:{one.order_id}"
        if not clocks_page.more:
            break
        end = clocks_page.rows[-1]
        assert end.due is not None
        last = (end.due, end.order_id, end.no)
    head, _ = await ledger.head()
    position = 0
    while rows := await ledger.rows("stored_page", position, head, recorder.texts(_LATER), PAGE):
        for row in rows:
            yield str(row[1])
        position = int(rows[-1][0])


async def at_hand(ledger: Ledger, shown: Projections) -> AsyncIterator[list[Case]]:
    """Yield the cases about whose file something is to be done, or waits, a lot at a time, each once."""
    seen: set[str] = set()
    lot: list[str] = []
    async for stream in candidates(ledger, shown):
        if stream not in seen:
            seen.add(stream)
            lot.append(stream)
        if len(lot) == LOT:
            yield await cases(ledger, lot)
            lot = []
    if lot:
        yield await cases(ledger, lot)


async def cases(ledger: Ledger, streams: Sequence[str]) -> list[Case]:
    """Return cases as they are now, where each one's file stands; those that are done are not among them."""
    *histories, laws = await ledger.histories([*streams, INSTITUTION])
    law, now = ledger.fold_entries(INSTITUTION, laws), await ledger.now()
    found: list[Case] = []
    for entries in histories:
        order = fold(entries)
        if order is not None and (stands := standing(order, entries, law, now)).stage is not Stage.DONE:
            found.append(Case(order, tuple(entries), stands))
    return found


def standing(order: WorkOrder, entries: Sequence[Entry], law: Law, now: datetime) -> Standing:
    """Return what a case's file waits for. An open case waits for its closing, and is none of the archive's."""
    held = order.filing
    if held.disposed is not None:
        return Standing(stage=Stage.DONE)
    if order.state in (OrderState.CLOSED, OrderState.NOT_ACCEPTED):
        missing = filing.complete(order, law)
        return Standing(stage=Stage.INCOMPLETE if missing else Stage.FILE, missing=missing)
    if held.filed is None:
        return Standing(stage=Stage.WAITS)
    if lacks_copy(order, entries):
        return Standing(stage=Stage.COPY)
    if held.sealed is not None:
        return Standing(stage=Stage.DONE)
    due = next((one.due for one in clocks(order, law) if one.name is ClockName.SEAL), None)
    if due is not None and now <= due:
        return Standing(stage=Stage.WAITS)
    missing = filing.open_duties(order)
    return Standing(stage=Stage.INCOMPLETE if missing else Stage.SEAL, missing=missing)


_OF_THE_FILE = (DossierRendered, ArchivePackageSealed, ArchiveTransferred, UseCopyIssued, FileAppraised, FileDisposed)
"""What happens to a file after it was printed, and does not belong on its pages."""


def last_shown(entries: Sequence[Entry]) -> int:
    """Return the last version that belongs on a dossier's pages."""
    return max((entry.version for entry in entries if not isinstance(entry.event, _OF_THE_FILE)), default=0)


def lacks_copy(order: WorkOrder, entries: Sequence[Entry]) -> bool:
    """Tell whether a filed case has no record copy of all that happened; after the sealing: no supplement (补卷) of it."""
    if order.filing.keep != "dossier":
        return False
    shown = 0
    for entry in entries:
        if isinstance(entry.event, OrderArchived):
            shown = 0  # filed anew: another number stands on its cover
        elif isinstance(entry.event, DossierRendered) and entry.event.edition == "full":
            shown = max(shown, entry.event.upto)
    return shown < last_shown(entries)


class Tally(msgspec.Struct, kw_only=True):
    """What filing came to."""

    looked: int = 0
    done: int = 0  # of those looked at, whose turn is over
    filed: int = 0
    copies: int = 0
    sealed: int = 0
    incomplete: int = 0
    waiting: int = 0
    failed: list[tuple[str, str]] = []  # number of the order, why


COURSE: Final = ".filing.json"
"""The name of the file, beside the packets, that says how far filing is."""

NAMED: Final = 100
"""Cases that failed whose numbers are told; how many there are is told in any case."""


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """归档进度. How far a run of filing is, or was when it ended."""

    begun_at: datetime
    seen_at: datetime
    of: int  # files there was something to do about when it began
    done: int = 0
    filed: int = 0
    copies: int = 0
    sealed: int = 0
    incomplete: int = 0
    waiting: int = 0
    failed: int = 0
    failures: tuple[str, ...] = ()  # numbers of orders


@contextlib.contextmanager
def on_course(path: Path, of: int, now: Callable[[], datetime]) -> Iterator[Callable[[Tally], None] | None]:
    """Lend what writes down how far filing is, for whoever looks on; None where another run goes on, which says it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    begun_at = now()

    def say(tally: Tally) -> None:
        said = Course(
            begun_at=begun_at,
            seen_at=now(),
            of=of,
            done=tally.done,
            filed=tally.filed,
            copies=tally.copies,
            sealed=tally.sealed,
            incomplete=tally.incomplete,
            waiting=tally.waiting,
            failed=len(tally.failed),
            failures=tuple(number for number, _ in tally.failed[:NAMED]),
        )
        beside = path.with_suffix(".new")
        beside.write_bytes(msgspec.json.encode(said))
        beside.replace(path)

    with path.with_suffix(".lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
        else:
            say(Tally())
            yield say


def course_of(path: Path) -> tuple[Course, bool] | None:
    """Return how far filing is and whether it still goes on; None where none was ever begun here."""
    try:
        said = msgspec.json.decode(path.read_bytes(), type=Course)
        lock = path.with_suffix(".lock").open("rb")
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return said, True
    return said, False


class Archivist:
    """Takes cases through the steps of filing, as one actor; as many dossiers at a time as there are makers."""

    def __init__(self, ledger: Ledger, log: Transparency, files: Files, makers: Sequence[Maker], by: Actor) -> None:
        self.ledger = ledger
        self.log = log
        self.files = files
        self.by = by
        self._told: Callable[[Tally], None] = lambda _: None
        self._free: asyncio.Queue[Maker] = asyncio.Queue()
        for one in makers:
            self._free.put_nowait(one)

    async def run(
        self,
        lots: AsyncIterator[list[Case]],
        told: Callable[[Tally], None] | None = None,
        until: datetime | None = None,
        *,
        backwards: bool = False,
    ) -> Tally:
        """File, make copies, seal, as far as each case may go; what cannot be done is said, and keeps nothing up.

        `told` hears of every copy and of every lot; `until` is when no further lot is begun. What runs beside
        another goes `backwards` through each lot: they meet, and little is made twice to be thrown away. Raises
        LedgerTurnedBack, LedgerRewritten.
        """
        tally = Tally()
        self._told = told or self._told
        async for some in lots:
            lot = some
            tally.looked += len(lot)
            for stage, work in ((Stage.FILE, self._file), (Stage.COPY, self._copy), (Stage.SEAL, self._seal)):
                ready = [one for one in lot if one.standing.stage is stage][:: -1 if backwards else 1]
                if ready:
                    await self._all(ready, work, tally, await self.log.sign())
                    lot = await cases(self.ledger, [one.order.stream for one in lot])
            tally.incomplete += sum(one.standing.stage is Stage.INCOMPLETE for one in lot)
            tally.waiting += sum(one.standing.stage is Stage.WAITS for one in lot)
            tally.done = tally.looked
            self._told(tally)
            if until is not None and await self.ledger.now() >= until:
                break
        return tally

    async def _all(
        self, lot: Sequence[Case], work: Callable[[Case, Note, Tally], Awaitable[None]], tally: Tally, note: Note
    ) -> None:
        async def one(case: Case) -> None:
            try:
                await work(case, note, tally)
            except (Refusal, Unproven) as refusal:
                tally.failed.append((case.order.number, f"{refusal}"))

        await asyncio.gather(*map(one, lot))

    async def _file(self, case: Case, note: Note, tally: Tally) -> None:
        done = await self.file(case.order.stream, note, case.entries[-1].version)
        tally.filed += done

    async def _copy(self, case: Case, note: Note, tally: Tally) -> None:
        del note
        done = await self.copy(case.order.stream, last_shown(case.entries))
        tally.copies, tally.done = tally.copies + done, tally.done + 1
        self._told(tally)

    async def _seal(self, case: Case, note: Note, tally: Tally) -> None:
        done = await self.seal(case.order.stream, case.order, note)
        tally.sealed += done

    # --- one step of one case ---

    async def file(self, stream: str, note: Note, seen: int = 0) -> bool:
        """File a closed case that is complete, its chain verified under a head; tell whether it was not filed yet.

        `seen` is the version at which it was found to wait; whoever else found it then does the same under the same id.
        Raises FileIncomplete and Unproven.
        """
        upto = await self._proved(stream, note)
        return await self._done(Archive(verified_to=note.checkpoint.size), stream, f"archive:{stream}:{seen or upto}")

    async def _proved(self, stream: str, note: Note) -> int:
        """Check a case's whole chain under a head; return its last version. Raises Unproven."""
        found = await self.log.evidence(self.ledger, stream, under=note)
        evidence.check(found, None)
        return found.events[-1].version

    async def copy(self, stream: str, upto: int) -> bool:
        """Make the record copy of a filed case up to a version, keep it, and record it; tell whether it was not there yet."""
        make = await self._free.get()
        try:
            if await self._copied(stream):
                return False
            made = await make(stream, upto)
        finally:
            self._free.put_nowait(make)
        if made.sealed is not None:  # first: the record copy names it
            part = await kept(self.ledger, self.files, stream, made.sealed, upto, "sealed")
            await self._done(part, stream, f"sealed-part:{stream}:{upto}")
        act = await kept(self.ledger, self.files, stream, made, upto)
        done = await self._done(act, stream, f"dossier:{stream}:{upto}")
        await self._tidied(stream, upto)
        return done

    async def _copied(self, stream: str) -> bool:
        """Tell whether another made the copy while this one waited for its turn."""
        entries = await self.ledger.history(stream)
        order = fold(entries)
        return order is not None and not lacks_copy(order, entries)

    async def _tidied(self, stream: str, upto: int) -> None:
        """Remove copies of a version that are not the one recorded: of whoever was killed before that, or was slower.

        They differ where a witness signed in between, or the templates are new. Any other file is left where it is.
        """
        there = self.files.kept(stream)
        entries = await self.ledger.history(stream)
        named = {one.digest for entry in entries for _, one in named_in(entry)}
        for entry in entries:
            if isinstance(entry.event, DossierRendered):
                named |= {one.digest for one in entry.event.volumes}
        for digest in there:
            if digest not in named and await self._upto(stream, digest) == upto:
                self.files.remove(stream, digest)

    async def _upto(self, stream: str, digest: str) -> int:
        """Return the version that a file shows which is a record copy or a sealed part; 0 for any other file, and one that cannot be read."""
        try:
            left = await self.ledger.keys_left([self.files.key_of(stream, digest)])
            opened = self.files.open(stream, digest, left.get)
            if opened is None:
                return 0
            content = b"".join([part async for part in await opened.parts()])
            made = material.read(verify.attachments(content)) if verify.is_pdf(content) else None
        except (FileChanged, UnknownFile, NoDossier, Unproven):
            return 0
        return made.case.events[-1].version if made is not None and made.told.edition in ("full", "sealed") else 0

    async def seal(self, stream: str, order: WorkOrder, note: Note) -> bool:
        """Seal a filed case whose time has come, with the record copy that it has. Raises what `Seal` refuses."""
        await self._proved(stream, note)
        copies = order.filing.record_copies
        act = Seal(verified_to=note.checkpoint.size, dossier=copies[-1] if copies else None)
        return await self._done(act, stream, f"seal:{stream}")

    async def _done(self, act: Act, stream: str, command_id: str) -> bool:
        try:
            receipt = await self.ledger.execute(act, stream=stream, actor=self.by, command_id=command_id)
        except CommandIdReused:  # another was quicker, with a copy of its own
            return False
        return not receipt.replayed
