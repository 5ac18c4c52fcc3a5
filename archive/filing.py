"""立卷归档. What a closed case's file still needs, and one step after the other until it has it: number, record copy, seal.

Each step is a command of the domain under an id made of what it is about, decided from what the ledger says now: whoever
was killed, or runs beside another, does nothing twice and leaves nothing out. The record copy (归档件) lies beside the
ledger as every file of the case does, sealed with the case's key and named by the digest that the ledger recorded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from domain import evidence
from domain.attachments import Files
from domain.clocks import clocks
from domain.law import Law
from domain.ledger import Ledger
from domain.notes import Note
from domain.order import fold
from domain.refusals import CommandIdReused
from domain.state import WorkOrder
from domain.steps import filing
from domain.steps.filing import (
    Archive,
    ArchivePackageSealed,
    ArchiveTransferred,
    DossierRendered,
    OrderArchived,
    RecordDossier,
    Seal,
)
from domain.terms import Act, Actor, ClockName, Entry, OrderState, Word
from projections.answers import Projections
from projections.transparency import Transparency

PDF: Final = "application/pdf"
INSTITUTION: Final = "institution"


class Stage(Word):
    """归档环节. What a case's file waits for."""

    FILE = "file", "待归档"
    COPY = "copy", "待成卷"
    SEAL = "seal", "待封存"
    INCOMPLETE = "incomplete", "不齐全"
    WAITS = "waits", "未到封存期"
    DONE = "done", "已毕"


class Rendered(NamedTuple):
    """A dossier as it was made: its bytes, its pages, what it was set with."""

    pdf: bytes
    pages: int
    fonts: tuple[str, ...]
    template: str


Maker = Callable[[str, int], Awaitable[Rendered]]
"""Makes the full edition of a case's dossier as far as a version goes."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a case's file stands, and what it lacks."""

    stage: Stage
    missing: tuple[str, ...] = ()


class Case(msgspec.Struct, frozen=True):
    """A case of the archive's, as it was read, and where its file stands."""

    order: WorkOrder
    entries: tuple[Entry, ...]
    standing: Standing


AT_HAND: Final = (OrderState.CLOSED, OrderState.NOT_ACCEPTED, OrderState.ARCHIVED)
"""States of cases that are the archive's."""

LOT: Final = 32
"""Cases that are read, and filed, together."""


async def at_hand(
    ledger: Ledger, shown: Projections, states: Sequence[OrderState] = AT_HAND
) -> AsyncIterator[list[Case]]:
    """Yield the cases of the archive's that are not done, a lot at a time, in the order of registration."""
    after = None
    while True:
        page = await shown.list_orders(states=states, limit=LOT, after=after)
        streams = [row.stream for row in page.rows]
        *histories, laws = await ledger.histories([*streams, INSTITUTION])
        law, now = ledger.fold_entries(INSTITUTION, laws), await ledger.now()
        found: list[Case] = []
        for entries in histories:
            order = fold(entries)
            if order is not None and (stands := standing(order, entries, law, now)).stage is not Stage.DONE:
                found.append(Case(order, tuple(entries), stands))
        yield found
        if not page.more:
            return
        after = page.rows[-1].id


def standing(order: WorkOrder, entries: Sequence[Entry], law: Law, now: datetime) -> Standing:
    """Return what a case's file waits for. An open case waits for its closing, and is none of the archive's."""
    held = order.filing
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


_OF_THE_FILE = (DossierRendered, ArchivePackageSealed, ArchiveTransferred)
"""What happens to a file after it was printed, and does not belong on its pages."""


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
    last = max((entry.version for entry in entries if not isinstance(entry.event, _OF_THE_FILE)), default=0)
    return shown < last


class Archivist:
    """Takes cases through the steps of filing, as one actor."""

    def __init__(self, ledger: Ledger, log: Transparency, files: Files, make: Maker, by: Actor) -> None:
        self.ledger = ledger
        self.log = log
        self.files = files
        self.make = make
        self.by = by

    async def file(self, stream: str, note: Note) -> bool:
        """File a closed case that is complete, its chain verified under a head; tell whether there was anything to do.

        Raises FileIncomplete and Unproven.
        """
        found = await self.log.evidence(self.ledger, stream, under=note)
        evidence.check(found, None)
        act = Archive(verified_to=note.checkpoint.size)
        return await self._done(act, stream, f"archive:{stream}:{found.events[-1].version}")

    async def copy(self, stream: str, upto: int) -> str:
        """Make the record copy of a filed case up to a version, keep it, and record its digest; return that."""
        made = await self.make(stream, upto)
        key = await self.ledger.file_key(stream)
        kept, _ = await self.files.keep(stream, key, PDF, _parts(made.pdf))
        act = RecordDossier(
            digest=kept.digest,
            template_version=made.template,
            fonts=made.fonts,
            upto=upto,
            pages=made.pages,
            edition="full",
        )
        await self._done(act, stream, f"dossier:{stream}:{upto}")
        return kept.digest

    async def seal(self, stream: str, order: WorkOrder, note: Note) -> bool:
        """Seal a filed case whose time has come, with the record copy that it has."""
        found = await self.log.evidence(self.ledger, stream, under=note)
        evidence.check(found, None)
        copies = order.filing.record_copies
        act = Seal(verified_to=note.checkpoint.size, dossier=copies[-1] if copies else None)
        return await self._done(act, stream, f"seal:{stream}")

    async def _done(self, act: Act, stream: str, command_id: str) -> bool:
        try:
            receipt = await self.ledger.execute(act, stream=stream, actor=self.by, command_id=command_id)
        except CommandIdReused:  # another was quicker, with a copy of its own
            return False
        return not receipt.replayed


async def _parts(content: bytes) -> AsyncIterator[bytes]:
    yield content
