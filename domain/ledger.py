"""The one door: read, decide, write; and what was written, read again.

Everything that comes to lie in a city's ledger comes through `Ledger.execute` or, for facts that another system
recorded, `Ledger.record`. Pure rules on one side, the writer on the other; nothing else decides here.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self
from uuid import UUID

import msgspec

from domain import leaves, naming, recorder
from domain.attachments import FileKey
from domain.bulk import Bulk, Commanded, Foreseen, Recording
from domain.checking import Looked, Looker, looked_at
from domain.context import StreamKind
from domain.exchange import Parameter, Rows
from domain.journals import SHREDS, AccessLogged, KeysShredded, access_of, is_journal
from domain.leaves import Finding, Imprint, Witnessed, milliseconds
from domain.proposing import INSTITUTION, Proposer, Request, View
from domain.recorder import Found, Known, Pages, Reader, Want
from domain.refusals import (
    Busy,
    CaseWithoutKey,
    ClosedDoor,
    CodeExpected,
    CommandIdReused,
    ConcurrencyConflict,
    Erased,
    NotForThisStream,
    NothingForTwo,
    OutcomeUnknown,
    Refusal,
    SealedElsewhere,
    Unavailable,
    VersionMoved,
    WrongKey,
)
from domain.sealing import (
    MASTER,
    Consent,
    Entropy,
    Keyring,
    KeyRow,
    Survey,
    intact,
    is_identity,
    mac_of,
    number_intact,
    opened,
    plain_code,
    plain_number,
    query_code,
    sealed_path,
    subjects_in,
    unwrap,
    wrap_for_master,
)
from domain.settling import Before, Draft, Insistence, Late, Moved, Outcome, Proposal, Written
from domain.stored import StoredEntry
from domain.terms import Act, Actor, Entry, Origin, Sealed, Step
from domain.writer import Writer

SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")

ATTEMPTS = 5
"""How often a command is decided at most; the last time under the lock, where nobody can be faster."""


class Receipt(NamedTuple):
    """What a command came to. `version` is that of the addressed stream afterwards; nothing happened: no events."""

    command_id: str
    stream: str
    version: int
    first_position: int  # 0: nothing was recorded
    events: tuple[Entry, ...]
    numbers: Mapping[str, tuple[int, ...]]
    recorded_at: datetime
    replayed: bool  # the same command had been carried out before


class Look(NamedTuple):
    """A stream as it was at one moment: its entries, and the law, the position and the instant to read them by."""

    entries: list[Entry]
    law: Any
    position: int
    now: datetime


SECRETS = ("requests", "subjects")
"""What a ledger has of its own, wrapped by the master key: digests of requests, and of numbers, are made with them."""


async def create(
    dsn: str, city: str, *, ledger_id: str, hash_algorithm: str, keyring: Keyring, entropy: Entropy
) -> Imprint:
    """Create a city's ledger as owner: its tables, its hash (`sha256` or `sm3`) and its secrets. Raises LedgerExists."""
    imprint = Imprint(ledger_id, hash_algorithm)
    leaves.digest(hash_algorithm, b"")  # refuses a hash that this machine lacks, before anything is made
    secrets = [wrap_for_master(keyring, entropy, (f"secret/{name}", "", name), entropy(32)) for name in SECRETS]
    await recorder.create_ledger(dsn, city, imprint, secrets)
    return imprint


class Ledger:
    """One city's ledger, in one process and one event loop."""

    def __init__(
        self,
        *,
        city: str,
        imprint: Imprint,
        proposer: Proposer,
        reader: Reader,
        bulk_reader: Reader,
        writer: Writer,
        pages: Pages,
        secrets: Mapping[str, bytes],
        patience: float,
    ) -> None:
        self.city = city
        self.imprint = imprint
        self.kinds = proposer.kinds
        self.codec = proposer.codec
        self._proposer = proposer
        self._reader = reader
        self._bulk_reader = bulk_reader
        self._writer = writer
        self._pages = pages
        self._secrets = secrets
        self._patience = patience
        self._turns: dict[str, _Turn] = {}

    @classmethod
    async def open(
        cls,
        dsn: str,
        city: str,
        *,
        kinds: Iterable[StreamKind],
        keyring: Keyring,
        entropy: Entropy,
        patience: float = 30.0,
    ) -> Self:
        """Open a city's ledger as the application. Raises NotInitialised, Unavailable, and WrongKey for the master key."""
        named = recorder.statements(recorder.SQL, city) | recorder.statements(SQL, city)
        pages = Pages(dsn, named, patience=patience / 2)
        try:
            imprint = await pages.imprint()
            rows = [KeyRow(*row) for row in await pages.rows("secrets")]
            secrets = {row.holder: unwrap(row, keyring) for row in rows}
        except BaseException:
            await pages.close()
            raise
        return cls(
            city=city,
            imprint=imprint,
            proposer=Proposer(kinds, keyring=keyring, secrets=secrets, entropy=entropy),
            secrets=secrets,
            reader=Reader(dsn, named, patience=patience / 2),
            bulk_reader=Reader(dsn, named, patience=patience / 2, most=2048),
            writer=Writer(dsn, named, imprint, entropy, patience=patience / 2),
            pages=pages,
            patience=patience,
        )

    def take(self, keyring: Keyring) -> None:
        """Go on with another keyring: two persons were appointed since. Raises WrongKey where the master key is another."""
        if keyring.master != self._proposer.keyring.master:
            raise WrongKey
        self._proposer.keyring = keyring

    async def close(self) -> None:
        """Write what waits, then close every session."""
        await self._writer.close()
        await self._reader.close()
        await self._bulk_reader.close()
        await self._pages.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- writing -------------------------------------------------------------------------------------------------

    async def execute(
        self,
        command: Act,
        *,
        stream: str | None = None,
        actor: Actor,
        command_id: str,
        occurred_at: datetime | None = None,
        origin: Origin = Origin.LIVE,
        on_behalf_of: str = "",
        reason: str = "",
        expected: int | None = None,
        correlation_id: str = "",
        causation_id: str = "",
        trace_id: str = "",
        dry_run: bool = False,
    ) -> Receipt:
        """Carry out a command once and return what it came to, after it was made durable.

        Without a stream, one of the kind that the command's class `creates` is drawn. `expected` is the version the
        caller saw of the addressed stream (If-Match). Raises whatever the rules refuse, and VersionMoved,
        ConcurrencyConflict, CommandIdReused, OutcomeUnknown, Busy, Unavailable and the door's other refusals.
        """
        request = Request(
            command_id=command_id,
            stream=stream or "",
            actor=actor,
            act=command,
            origin=origin,
            occurred_at=None if occurred_at is None else milliseconds(occurred_at),
            on_behalf_of=on_behalf_of,
            reason=reason,
            expected=expected,
            correlation_id=correlation_id,
            causation_id=causation_id,
            trace_id=trace_id,
            survey=Survey(command),
        )
        if stream is None:
            creates = getattr(command, "creates", None)
            if creates is None:
                raise NotForThisStream(type(command).__name__)
            request.stream = f"{creates}:"  # the id is drawn when the database has said what time it is
        return await self._carry_out(request, dry_run)

    async def record(
        self,
        facts: Sequence[Step],
        *,
        stream: str,
        actor: Actor,
        command_id: str,
        occurred_at: datetime | Sequence[datetime],
        origin: Origin = Origin.IMPORT,
        on_behalf_of: str = "",
        reason: str = "",
        expected: int | None = None,
        correlation_id: str = "",
        causation_id: str = "",
        dry_run: bool = False,
    ) -> Receipt:
        """Record in one commit facts that another system recorded: checked for shape and order, not for rules.

        `occurred_at` is one instant, or one for each fact in their order; a number is taken from the last one's period.
        """
        recording = Recording(
            facts,
            stream=stream,
            actor=actor,
            command_id=command_id,
            occurred_at=occurred_at,
            origin=origin,
            on_behalf_of=on_behalf_of,
            reason=reason,
            expected=expected,
            correlation_id=correlation_id,
            causation_id=causation_id,
        )
        return await self._carry_out(recording.request(), dry_run)

    async def views(self, streams: Sequence[str]) -> list[View]:
        """Return what many streams are and what commands about them are decided from, in one round trip."""
        law = self._proposer.law
        wants = [Want(((naming.readable(stream), 0), (INSTITUTION, law.version))) for stream in streams]
        found = await asyncio.gather(*map(self._bulk_reader.asked, wants))
        return [self._proposer.seen(stream, law, one) for stream, one in zip(streams, found, strict=True)]

    async def foresee(
        self, recordings: Sequence[Recording | Commanded], views: Mapping[str, View] = MappingProxyType({})
    ) -> list[Foreseen | Refusal]:
        """Return what each of many recordings would come to, one on top of the other; nothing is written.

        What comes after a refused one in its stream is told the same. The proposals may be written by `submit_all`, of
        this ledger or of the same city's in another process; whether anything has moved since is seen there. Commands
        are decided from `views` of their streams.
        """
        bulk = Bulk(self._proposer, recordings, views)
        asked = [self._bulk_reader.asked(want) for want in bulk.wants.values()]
        return bulk.decide(dict(zip(bulk.wants, await asyncio.gather(*asked), strict=True)))

    async def submit_all(self, proposals: Sequence[Proposal]) -> list[Outcome]:
        """Write many proposals, settled in their order, and return what became of each; of some it may be a refusal."""
        until = asyncio.get_running_loop().time() + self._patience
        answers = [self._writer.queued(proposal, until=until) for proposal in proposals]
        try:
            async with asyncio.timeout(self._patience):
                settled = await asyncio.gather(*answers, return_exceptions=True)
        except TimeoutError as error:
            raise (OutcomeUnknown if any(proposal.taken for proposal in proposals) else Busy) from error
        outcomes: list[Outcome] = []
        for outcome in settled:
            if isinstance(outcome, BaseException) and not isinstance(outcome, Refusal):
                raise outcome
            outcomes.append(outcome)
        return outcomes

    async def _carry_out(self, request: Request, dry_run: bool) -> Receipt:
        self._proposer.prepare(request)
        until = asyncio.get_running_loop().time() + self._patience
        async with self._turn(request.stream, until):
            for _ in range(ATTEMPTS - 1):
                want = self._proposer.want(request, from_memory=True)
                found = await self._reader.read(want)
                if self._proposer.went_back(found):
                    continue
                if found.known is not None:
                    return await self._replayed(request, found.known)
                view = self._proposer.view(request, found, want)
                proposal = self._proposer.propose(request, view)
                if dry_run or not proposal.steps:
                    return self._supposed(request, proposal, view)
                outcome = await self._writer.submit(proposal, until=until)
                if not isinstance(outcome, Moved | Late):
                    return await self._told(request, proposal, outcome)
                if isinstance(outcome, Late):
                    request.not_before = outcome.now
                elif request.expected is not None and request.stream in outcome.streams:
                    raise VersionMoved(request.stream)
            return await self._insist(request, until)

    async def _insist(self, request: Request, until: float) -> Receipt:
        """Have a command that was always too slow decided under the lock."""
        decided: list[tuple[Proposal, View]] = []

        want = self._proposer.want(request)

        def decide(found: Found) -> Proposal:
            if found.known is not None:
                raise _Known(found.known)
            view = self._proposer.view(request, found, want)
            decided.append((self._proposer.propose(request, view), view))
            return decided[-1][0]

        insistence = Insistence(want=want, decide=decide)
        try:
            outcome = await self._writer.submit(insistence, until=until)
        except _Known as error:
            return await self._replayed(request, error.known, replayed=not insistence.sent)
        proposal, view = decided[-1]
        if not proposal.steps:
            return self._supposed(request, proposal, view)
        if isinstance(outcome, Moved | Late):
            raise ConcurrencyConflict(request.stream)
        return await self._told(request, proposal, outcome)

    async def _told(self, request: Request, proposal: Proposal, outcome: Outcome) -> Receipt:
        match outcome:
            case Written(rows, numbers):
                return self._receipt(request, [proposal.stored(row, numbers) for row in rows], replayed=False)
            case Before(known):
                return await self._replayed(request, known, replayed=not proposal.sent)
            case Moved() | Late():
                raise ConcurrencyConflict(request.stream)
            case Refusal():
                raise outcome

    @contextlib.asynccontextmanager
    async def _turn(self, stream: str, until: float) -> AsyncGenerator[None]:
        """Let callers of this process who address the same stream take turns, instead of conflicting. Raises Busy."""
        if is_journal(stream) or stream.endswith(":"):  # a stream to be drawn is nobody else's
            yield
            return
        turn = self._turns.setdefault(stream, _Turn())
        turn.callers += 1
        try:
            if turn.lock.locked():
                try:
                    async with asyncio.timeout_at(until):
                        await turn.lock.acquire()
                except TimeoutError as error:
                    raise Busy from error
            else:
                await turn.lock.acquire()
            try:
                yield
            finally:
                turn.lock.release()
        finally:
            turn.callers -= 1
            if not turn.callers:
                del self._turns[stream]

    # --- receipts ------------------------------------------------------------------------------------------------

    async def _replayed(self, request: Request, known: Known, *, replayed: bool = True) -> Receipt:
        if known.digest != request.digest:
            raise CommandIdReused(request.command_id)
        try:
            rows = await self._pages.page(known.first_position - 1, known.n, known.first_position + known.n - 1)
        except (Unavailable, ClosedDoor) as error:  # it was recorded, and nobody may be told that it was not
            raise OutcomeUnknown(request.command_id) from error
        if not any(row.stream == request.stream for row in rows):
            kind = request.stream.partition(":")[0]
            request.stream = next((r.stream for r in rows if r.stream.partition(":")[0] == kind), rows[0].stream)
        return self._receipt(request, rows, replayed=replayed)

    def _receipt(self, request: Request, rows: Sequence[StoredEntry], *, replayed: bool) -> Receipt:
        entries = tuple(self.codec.entry(row) for row in rows)
        version = max((entry.version for entry in entries if entry.stream == request.stream), default=0)
        first = entries[0]
        return Receipt(
            request.command_id,
            request.stream,
            version,
            first.position,
            entries,
            first.numbers,
            first.recorded_at,
            replayed,
        )

    def _supposed(self, request: Request, proposal: Proposal, view: View) -> Receipt:
        """Return what would be recorded now: entries at position 0, without numbers."""
        versions = dict(view.versions)
        entries: list[Entry] = []
        for draft in proposal.steps:
            if isinstance(draft, Draft):
                versions[draft.stream] = versions.get(draft.stream, 0) + 1
                row = proposal.supposed(draft, versions[draft.stream], view.found.now)
                entries.append(self.codec.entry(row))
        version = versions.get(request.stream, 0)
        return Receipt(request.command_id, request.stream, version, 0, tuple(entries), {}, view.found.now, False)

    # --- opening -------------------------------------------------------------------------------------------------

    async def open_sealed(
        self,
        fields: Mapping[str, Sealed],
        *,
        stream: str,
        viewer: Actor,
        purpose: str,
        command_id: str,
        words: str | None = None,
        consents: Sequence[Consent] = (),
    ) -> dict[str, str | Erased]:
        """Return the texts of sealed fields by the names given, after the access journal says who looked and why.

        The journal names the fields as they were sealed, whatever the caller calls them, and `purpose` is a code. A
        field whose key was destroyed comes as `Erased`. Raises TwoPersonsNeeded for an informant's identity without
        the consents of both; the attempt stays in the journal. Raises UnknownStream, SealedElsewhere for a field of
        another record, and CodeExpected; then there is nothing to log.
        """
        ids = tuple(dict.fromkeys(sealed.key for sealed in fields.values()))
        _purposeful(stream, purpose)
        if any(row.stream != stream for row in (await self._keys(ids)).values()):
            raise SealedElsewhere(stream)
        logged = AccessLogged(
            stream=stream,
            fields=tuple(dict.fromkeys(sealed_path(sealed) for sealed in fields.values())),
            keys=ids,
            purpose=purpose,
            together=tuple(consent.person for consent in consents),
            words=words,
        )
        await self._note(logged, viewer, command_id)
        rows = await self._keys(ids)  # again: what was erased since is not opened
        keys = {row.id: unwrap(row, self._proposer.keyring, consents) for row in rows.values()}
        return {
            name: opened(sealed, stream, keys[sealed.key]) if sealed.key in rows else Erased(name)
            for name, sealed in fields.items()
        }

    async def note_access(
        self,
        what: Sequence[str],
        *,
        stream: str,
        viewer: Actor,
        purpose: str,
        command_id: str,
        keys: Sequence[str] = (),
        words: str | None = None,
    ) -> Receipt:
        """Say in the access journal that somebody looks at what is no sealed field, before they do.

        `purpose` is a code. Raises UnknownStream and CodeExpected; then there is nothing to log.
        """
        _purposeful(stream, purpose)
        logged = AccessLogged(stream=stream, fields=tuple(what), keys=tuple(keys), purpose=purpose, words=words)
        return await self._note(logged, viewer, command_id)

    async def _note(self, logged: AccessLogged, viewer: Actor, command_id: str) -> Receipt:
        """Say that somebody looks. Asked again under the same id they are shown again: that look has its own line."""
        receipt = await self._noted(logged, viewer, command_id)
        if receipt.replayed:
            return await self._noted(logged, viewer, f"again:{self.fresh_id()}", after=command_id)
        return receipt

    async def _noted(self, logged: AccessLogged, viewer: Actor, command_id: str, *, after: str = "") -> Receipt:
        request = Request(
            command_id=command_id,
            stream=access_of(await self.now()),
            actor=viewer,
            steps=(logged,),
            times=(None,),
            causation_id=after,
            survey=Survey(logged),
        )
        return await self._carry_out(request, dry_run=False)

    async def _keys(self, ids: Sequence[str]) -> dict[str, KeyRow]:
        rows = await self._pages.rows("read_keys_by_id", recorder.texts(ids))
        return {row[0]: KeyRow(*row) for row in rows}

    async def hand_out_keys(
        self, stream: str, *, viewer: Actor, purpose: str, command_id: str, identity: bool = True
    ) -> dict[str, bytes]:
        """Return the keys of a record's sealed fields by their ids, after the access journal says who takes them and why.

        A full copy of a record carries them; without `identity` only those of what was said, not of who people are. A key
        that two persons hold is never among them. Raises UnknownStream and CodeExpected; then there is nothing to log.
        """
        _purposeful(stream, purpose)

        async def rows() -> list[KeyRow]:
            found = await self._pages.rows("read_keys", recorder.texts([naming.readable(stream)]))
            every = [KeyRow(*row) for row in found]
            return [row for row in every if row.wrap == MASTER and (identity or not is_identity(row.holder))]

        what = AccessLogged(
            stream=stream,
            fields=("*",) if identity else ("texts",),
            keys=tuple(row.id for row in await rows()),
            purpose=purpose,
        )
        await self._note(what, viewer, command_id)
        return {
            row.id: unwrap(row, self._proposer.keyring) for row in await rows()
        }  # what was erased since is not there

    async def open_by_two(
        self, stream: str, *, viewer: Actor, purpose: str, command_id: str, consents: Sequence[Consent]
    ) -> dict[str, bytes]:
        """Return the keys of who an informant is by their ids, opened by the two persons who hold them together.

        The access journal says first who looks, why, and which persons gave their keys; an attempt of one stays there.
        Raises NothingForTwo, TwoPersonsNeeded, WrongKey, UnknownStream and CodeExpected.
        """
        _purposeful(stream, purpose)
        what = AccessLogged(
            stream=stream,
            fields=("identity",),
            keys=tuple(row.id for row in await self._held_by_two(stream)),
            purpose=purpose,
            together=tuple(consent.person for consent in consents),
        )
        await self._note(what, viewer, command_id)
        rows = await self._held_by_two(stream)  # again: what was erased since is not opened
        return {row.id: unwrap(row, self._proposer.keyring, consents) for row in rows}

    async def closed_for_two(self, stream: str, *, viewer: Actor, purpose: str, command_id: str) -> list[KeyRow]:
        """Return the keys of who an informant is as they are wrapped for two persons: nobody else reads anything of them.

        The access journal says first who takes them. Raises NothingForTwo, UnknownStream and CodeExpected.
        """
        _purposeful(stream, purpose)
        ids = tuple(row.id for row in await self._held_by_two(stream))
        what = AccessLogged(stream=stream, fields=("sealed_part",), keys=ids, purpose=purpose)
        await self._note(what, viewer, command_id)
        return await self._held_by_two(stream)

    async def _held_by_two(self, stream: str) -> list[KeyRow]:
        found = await self._pages.rows("read_keys", recorder.texts([naming.readable(stream)]))
        rows = sorted(row for row in map(KeyRow._make, found) if row.wrap != MASTER)
        if not rows:
            raise NothingForTwo(stream)
        return rows

    async def keys_of_two(self, stream: str) -> tuple[str, ...]:
        """Return the ids of a record's keys that two persons hold together: no copy of it carries them."""
        found = await self._pages.rows("read_keys", recorder.texts([naming.readable(stream)]))
        return tuple(sorted(row[0] for row in found if KeyRow(*row).wrap != MASTER))

    # --- the keys of its files -----------------------------------------------------------------------------------

    async def file_key(self, stream: str) -> FileKey:
        """Return the key that files of a case are sealed with: that of its texts. Raises CaseWithoutKey."""
        rows = await self._pages.rows("read_keys", recorder.texts([naming.readable(stream)]))
        found = [KeyRow(*row) for row in rows if not is_identity(row[2])]
        if not found:
            raise CaseWithoutKey(stream)
        row = max(found, key=lambda one: bool(one.holder))  # the applicant's texts, before those of nobody
        return FileKey(row.id, unwrap(row, self._proposer.keyring))

    async def keys_left(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Return keys of files by their ids; those that were destroyed are not among them."""
        return {name: unwrap(row, self._proposer.keyring) for name, row in (await self._keys(ids)).items()}

    # --- whose order it is ---------------------------------------------------------------------------------------

    def query_code(self, stream: str) -> str:
        """Return the code by which the applicant of an order asks after it; it is stored nowhere."""
        return query_code(self._secrets["requests"], stream)

    def opens(self, stream: str, said: str) -> bool:
        """Tell whether what somebody said is the code of an order, in a time that tells nothing of how near it came."""
        return hmac.compare_digest(plain_code(self.query_code(stream)).encode(), plain_code(said).encode())

    async def subject_of(self, number: str) -> UUID | None:
        """Return the subject that a telephone number finds; None where it finds nobody, or nobody any more."""
        mac = mac_of(self._secrets["subjects"], plain_number(number))
        rows = await self._pages.rows("subjects_there", recorder.byteas([mac]))
        return rows[0][1] if rows else None

    async def orders_of_subject(self, subject: UUID, limit: int, before: str = "") -> list[str]:
        """Return the orders in which a subject's identity lies, the newest first; none whose keys were destroyed."""
        return [row[0] for row in await self._pages.rows("orders_of_subject", str(subject), before, limit)]

    # --- reading -------------------------------------------------------------------------------------------------

    async def history(self, stream: str, *, recorded_by: datetime | None = None) -> list[Entry]:
        """Return a stream's entries in the order of versions, as the ledger knew them at `recorded_by`.

        What had happened by an instant is a question of corrections too: `domain.order.history` answers it. Raises
        UnknownStream for what no stream can be called.
        """
        found = await self._reader.read(Want(((naming.readable(stream), 0),)))
        entries = [self.codec.entry(row) for row in found.streams[0]]
        return [entry for entry in entries if recorded_by is None or entry.recorded_at <= recorded_by]

    async def histories(self, streams: Sequence[str]) -> list[list[Entry]]:
        """Return the entries of many streams in one round trip."""
        found = await self._bulk_reader.read(Want(tuple((naming.readable(stream), 0) for stream in streams)))
        return [[self.codec.entry(row) for row in rows] for rows in found.streams]

    async def streams(self, kind: str, limit: int) -> list[str]:
        """Return the streams of a kind, the newest first."""
        return [row[0] for row in await self._pages.rows("streams_of", kind, limit)]

    async def fold(self, stream: str) -> Any:
        """Return the present state of a stream; None where it does not exist."""
        return self.fold_entries(stream, await self.history(stream))

    def fold_entries(self, stream: str, entries: Sequence[Entry]) -> Any:
        """Return the state that entries of a stream make."""
        return self._proposer.fold(stream, entries)

    async def look(self, stream: str) -> Look:
        """Return a stream with all that its present state is derived from, in one round trip. Raises UnknownStream."""
        law = self._proposer.law
        found = await self._reader.read(Want(((naming.readable(stream), 0), (INSTITUTION, law.version))))
        rows, news = found.streams
        entries = [self.codec.entry(row) for row in rows]
        return Look(entries, self._proposer.newer_law(law, news).state, found.position, found.now)

    async def law(self) -> Any:
        """Return the institution's fold as it is now."""
        law = self._proposer.law
        found = await self._reader.read(Want(((INSTITUTION, law.version),)))
        return self._proposer.newer_law(law, found.streams[0]).state

    async def read(self, after: int, limit: int) -> list[Entry]:
        """Return up to `limit` entries after a position. None is ever missed: positions are dense, in commit order."""
        return [self.codec.entry(row) for row in await self._pages.page(after, limit)]

    async def search(
        self,
        after: int,
        upto: int,
        limit: int,
        *,
        topics: Iterable[str] = (),
        user: str = "",
        role: str = "",
        units: Iterable[str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Entry]:
        """Return entries of positions (after, upto] by what happened, who did it and when, up to `limit`."""
        said = ("" if at is None else at.isoformat() for at in (since, until))
        asked = (recorder.texts(topics), user, role, recorder.texts(units), *said, limit)
        found = await self._pages.rows("searched", after, upto, *asked)
        return [self.codec.entry(StoredEntry(*row)) for row in found]

    async def looks_at(self, streams: Iterable[str], since: datetime, *, after: int = 0, limit: int) -> list[Entry]:
        """Return what the access journal says of records from a day on, after a position, in the order of positions."""
        asked = (access_of(since), recorder.texts(streams), after, limit)
        return [self.codec.entry(StoredEntry(*row)) for row in await self._pages.rows("looks_at", *asked)]

    async def head(self) -> tuple[int, datetime]:
        """Return the last position, and when it was recorded."""
        return await self._pages.head()

    async def rows(self, name: str, *parameters: Parameter) -> Rows:
        """Return the rows of a named statement of `recorder.sql`."""
        return await self._pages.rows(name, *parameters)

    async def submit(self, proposal: Proposal) -> Outcome:
        """Write a proposal that no rule made: what the library's recorder suite, a benchmark or a restore needs."""
        until = asyncio.get_running_loop().time() + self._patience
        return await self._writer.queued(proposal, until=until)

    def digest(self, text: bytes) -> bytes:
        """Return what a commit keeps of what was asked, for proposals that no rule made."""
        return self._proposer.digest(text)

    def fresh_id(self) -> UUID:
        """Return a random id that says nothing of when it was drawn."""
        return self._proposer.draw(None)

    async def now(self) -> datetime:
        """Return the instant that a decision read now would be taken at: the database's clock, never before the head."""
        return (await self._reader.read(Want())).now

    async def verify_stream(self, stream: str) -> list[Finding]:
        """Compute every leaf of a stream again, and return what does not add up."""
        return list(leaves.check(self.imprint, await self.witnesses_of(stream)))

    async def witnesses_of(self, stream: str) -> list[Witnessed]:
        """Return the rows of one stream with their commits, in the order of versions."""
        return await self._pages.witnesses_of(naming.readable(stream))

    async def witnesses(self, after: int, upto: int) -> list[Witnessed]:
        """Return the rows of positions (after, upto] with their commits, as `leaves.check` takes them."""
        return await self._pages.witnesses(after, upto)

    async def checked(self, look: Looker | None = None, *, page: int = 2000, ahead: int = 2) -> AsyncIterator[Looked]:
        """Yield the ledger up to its head page by page, each computed again, with what does not add up.

        `look` computes pages elsewhere; `ahead` are under way at once, so that one is read while one is looked at.
        """
        end, recorded_at = await self.head()
        since = None
        async with contextlib.aclosing(self._looking(look or self._look, end, page, ahead)) as pages:
            async for looked in pages:
                findings: list[Finding] = []
                if looked.first is not None and since is not None and looked.first[2] < since:
                    findings += leaves.backwards(*looked.first, since)
                since = looked.last_at or since
                if looked.upto == end and since != recorded_at:
                    said = leaves.rfc3339(recorded_at), leaves.rfc3339(since)
                    what = "the head does not say when the last event was recorded"
                    findings.append(Finding(end, "", what, said[1], said[0]))
                yield looked._replace(findings=looked.findings + findings)
        behind = await self.rows("beyond_head")  # seen together with the head, so that no writer comes between
        found = [
            Finding(
                position, stream, "it lies beyond the head" if position > 0 else "it lies before the first position"
            )
            for position, stream in behind
        ]
        what = "a commit to which no event belongs"
        found += [Finding(first, "", what, "—", said) for first, said in await self.rows("commits_of_nothing")]
        for *_, form in await self.rows("imprint"):
            if form != leaves.FORM:
                found.append(Finding(0, "", "the ledger says that its leaves are of another form", leaves.FORM, form))
        yield Looked(end, [], None, None, {}, found)

    async def _look(self, after: int, upto: int) -> Looked:
        return looked_at(self.imprint, after, upto, await self.witnesses(after, upto))

    async def _looking(self, look: Looker, end: int, page: int, ahead: int) -> AsyncGenerator[Looked, None]:
        """Yield pages in their order while the next ones are under way."""
        under_way: deque[asyncio.Future[Looked]] = deque()
        begins = iter(range(0, end, page))
        try:
            while True:
                for after in islice(begins, ahead - len(under_way)):
                    under_way.append(asyncio.ensure_future(look(after, min(after + page, end))))
                if not under_way:
                    return
                await asyncio.sleep(0)  # lets them be asked for
                yield await under_way[0]
                under_way.popleft()
        finally:
            for one in under_way:
                one.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def keys_missing(self, used: Iterable[str]) -> set[str]:
        """Return those of the keys that are not there."""
        ids = list(used)
        return set(ids) - set(await self._keys(ids)) if ids else set()

    async def keys_amiss(self, used: Iterable[str]) -> tuple[set[str], set[str]]:
        """Return those of the keys that are not there, and those that somebody changed: they open nothing any more.

        Of what two persons hold nothing is opened: each such key has the seal of whoever wrapped it.
        """
        ids = set(used)
        if not ids:
            return set(), set()
        there, keyring = await self._keys(list(ids)), self._proposer.keyring
        return ids - there.keys(), {name for name, row in there.items() if not intact(row, keyring)}

    async def keys_of_one(self, informants: Iterable[str]) -> dict[str, str]:
        """Return the keys of informants that the master key alone opens, each with its record: two persons had held them."""
        streams = list(informants)
        found = await self._pages.rows("read_keys", recorder.texts(streams)) if streams else []
        every = [KeyRow(*row) for row in found]
        return {row.id: row.stream for row in every if row.wrap == MASTER and is_identity(row.holder)}

    async def keys_lost(self, missing: Mapping[str, tuple[int, str]]) -> list[Finding]:
        """Return the keys that are gone though nothing in the ledger says that they were destroyed.

        Each missing key comes with the position and stream of an event that was sealed with it.
        """
        shreds = await self._shreds()
        whole = {one.stream: position for position, one in shreds if one.subject is None}
        of_subjects: dict[tuple[str, str], int] = {
            (one.stream, str(one.subject)): position for position, one in shreds if one.subject is not None
        }
        lost = {key: place for key, place in missing.items() if whole.get(place[1], 0) < place[0]}
        findings: list[Finding] = []
        for stream in dict.fromkeys(stream for _, stream in lost.values()):
            subjects = {one for row in await self.witnesses_of(stream) for one in subjects_in(row.event.state)}
            told = max((of_subjects.get((where, one), 0) for one in subjects for where in (stream, "")), default=0)
            what = "a key was deleted, and no event says that it was destroyed"
            findings += [
                Finding(position, stream, what, key, "—")
                for key, (position, of) in lost.items()
                if of == stream and told < position
            ]
        return findings

    async def _shreds(self) -> list[tuple[int, KeysShredded]]:
        """Return what was destroyed, each with its position; what somebody made unreadable is found by its leaf."""
        found: list[tuple[int, KeysShredded]] = []
        for position, _, _, state in await self.rows("stored_of_stream", SHREDS, 0, 1 << 62, 1 << 62):
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                found.append((position, msgspec.json.decode(state, type=KeysShredded)))
        return found

    async def keys_again(self) -> list[Finding]:
        """Return the keys that were destroyed and are there, and the numbers that find nobody or somebody else."""
        shreds = await self._shreds()
        columns = (
            recorder.ints(position for position, _ in shreds),
            recorder.texts(one.stream for _, one in shreds),
            recorder.texts(str(one.subject or "") for _, one in shreds),
        )
        again = await self.rows("keys_there_again", *columns) if shreds else []
        what = "a key that was destroyed is there again"
        findings = [Finding(position, stream, what, "—", key) for key, stream, position in again]
        erased = {one.subject: position for position, one in shreds if one.subject is not None and not one.stream}
        return findings + await self._numbers_amiss(erased)

    async def _numbers_amiss(self, erased: Mapping[UUID, int]) -> list[Finding]:
        gone = [name for name in SECRETS if name not in self._secrets]
        if gone:
            return [Finding(0, "", "a secret of the ledger is gone: restore a copy of it", name, "—") for name in gone]
        findings: list[Finding] = []
        keyring, secret, last = self._proposer.keyring, self._secrets["subjects"], b""
        while page := await self.rows("subjects_page", last, 5000):
            last = page[-1][0]
            for mac, subject, number in page:
                if subject in erased:
                    what = "somebody who was erased is found by their number again"
                    findings.append(Finding(erased[subject], f"subject:{subject}", what, "—", mac.hex()))
                elif not number_intact((mac, subject, number), keyring, secret):
                    ((first,),) = await self.rows("first_of_subject", str(subject))
                    what = "a number finds somebody else than it did, or was changed"
                    findings.append(Finding(first, f"subject:{subject}", what, "", mac.hex()))
        return findings

    async def verify_all(self) -> list[Finding]:
        """Compute every leaf of the ledger again up to its head, and return what does not add up."""
        return [finding async for looked in self.checked() for finding in looked.findings]


def _purposeful(stream: str, purpose: str) -> None:
    naming.readable(stream)
    if not purpose:
        raise CodeExpected("purpose", name="purpose")
    naming.codes(purpose=purpose)


class _Turn:
    """Callers who address one stream."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.callers = 0


class _Known(Refusal):
    """This command had been carried out before."""

    def __init__(self, known: Known) -> None:
        super().__init__(known.command_id)
        self.known = known
