"""The one door: read, fold, seal, decide, write; and what was written, read again.

Everything that comes to lie in a city's ledger comes through `Ledger.execute` or, for facts that another system
recorded, `Ledger.record`. Pure rules on one side, the writer on the other; nothing else decides here.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import re
import typing
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Self
from uuid import UUID

import msgspec

from domain import leaves, recorder
from domain.context import Context, StreamKind
from domain.journals import AccessLogged, access_of, is_journal
from domain.leaves import Finding, Imprint, canonical
from domain.recorder import Found, Known, Pages, Reader, Want
from domain.refusals import (
    Busy,
    CommandIdReused,
    ConcurrencyConflict,
    Erased,
    NotForThisStream,
    OccurredAtRequired,
    OutcomeUnknown,
    Refusal,
    TextNotStorable,
    TimeGoesBack,
    VersionMoved,
)
from domain.sealing import (
    MASTER,
    Consent,
    Entropy,
    Keyring,
    KeyRow,
    Sealing,
    Survey,
    Unsealed,
    Work,
    mac_of,
    opened,
    unwrap,
    wrap_for_master,
    wrap_for_two,
)
from domain.stored import Codec, StoredEntry, tag
from domain.terms import Act, Actor, Entry, Fact, Number, Origin, Sealed, Shred, Step, To
from domain.writer import Before, Draft, Insistence, Late, Moved, Outcome, Proposal, Writer, Written

INSTITUTION = "institution"

ATTEMPTS = 5
"""How often a command is decided before its caller is told that others were always faster."""

_STREAM = re.compile(r"[a-z_]{1,40}(:[^\s\x00-\x1f\x7f]{1,200})?")


class KnownLaw(NamedTuple):
    """The institution's fold, kept because every command needs it; keyed by its version."""

    version: int
    state: Any
    imported_at: datetime | None


class _Known(Refusal):
    """This command had been carried out before."""

    def __init__(self, known: Known) -> None:
        super().__init__(known.command_id)
        self.known = known


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


class Request(msgspec.Struct, kw_only=True):
    """A command, or facts to record, with everything about it that its caller said."""

    command_id: str
    stream: str
    actor: Actor
    act: Act | None = None
    steps: tuple[Step, ...] = ()  # facts to record, instead of an act to decide
    times: tuple[datetime | None, ...] = ()  # when each of them occurred
    origin: Origin = Origin.LIVE
    occurred_at: datetime | None = None
    on_behalf_of: str = ""
    reason: str = ""
    expected: int | None = None
    correlation_id: str = ""
    causation_id: str = ""
    trace_id: str = ""
    digest: bytes = b""
    survey: Survey = msgspec.field(default_factory=Survey)
    law: KnownLaw = KnownLaw(0, None, None)  # what was kept of it when the rest was read
    not_before: datetime | None = None  # the lock's time, where an earlier answer came too late


class View(NamedTuple):
    """What a command is decided from."""

    state: Any
    law: Any
    others: Mapping[str, Any]
    versions: Mapping[str, int]  # of every stream read
    imported_at: datetime | None  # the last imported instant of the addressed stream
    found: Found
    now: datetime


async def create(
    dsn: str, city: str, *, ledger_id: str, hash_algorithm: str, keyring: Keyring, entropy: Entropy
) -> Imprint:
    """Create a city's ledger as owner: its tables, its hash (`sha256` or `sm3`) and its secrets. Raises LedgerExists."""
    imprint = Imprint(ledger_id, hash_algorithm)
    leaves.digest(hash_algorithm, b"")  # refuses a hash that this machine lacks, before anything is made
    secrets = [
        wrap_for_master(keyring, entropy, (f"secret/{name}", "", name), entropy(32))
        for name in ("requests", "subjects")
    ]
    await recorder.create_ledger(dsn, city, imprint, secrets)
    return imprint


class Ledger:
    """One city's ledger, in one process and one event loop."""

    def __init__(
        self,
        *,
        city: str,
        kinds: Iterable[StreamKind],
        imprint: Imprint,
        secrets: Mapping[str, bytes],
        keyring: Keyring,
        entropy: Entropy,
        reader: Reader,
        writer: Writer,
        pages: Pages,
        patience: float,
    ) -> None:
        self.city = city
        self.kinds = {kind.name: kind for kind in kinds}
        self.imprint = imprint
        self.codec = Codec(self.kinds.values())
        self._secrets = secrets
        self._keyring = keyring
        self._entropy = entropy
        self._reader = reader
        self._writer = writer
        self._pages = pages
        self._patience = patience
        self._law = KnownLaw(0, None, None)
        self._turns: dict[str, list[Any]] = {}

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
        named = recorder.statements(recorder.SQL, city)
        pages = Pages(dsn, named)
        await pages.open()
        try:
            imprint = await pages.imprint()
            rows = [KeyRow(*row) for row in await pages.rows("secrets")]
            secrets = {row.holder: unwrap(row, keyring) for row in rows}
        except BaseException:
            await pages.close()
            raise
        return cls(
            city=city,
            kinds=kinds,
            imprint=imprint,
            secrets=secrets,
            keyring=keyring,
            entropy=entropy,
            reader=Reader(dsn, named, patience=patience / 2),
            writer=Writer(dsn, named, imprint, entropy, patience=patience / 2),
            pages=pages,
            patience=patience,
        )

    async def close(self) -> None:
        """Write what waits, then close every session."""
        await self._writer.close()
        await self._reader.close()
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
            occurred_at=_milliseconds(occurred_at),
            on_behalf_of=on_behalf_of,
            reason=reason,
            expected=expected,
            correlation_id=correlation_id,
            causation_id=causation_id,
            trace_id=trace_id,
            survey=Survey(command),
        )
        request.digest = self._digest(request)
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
        given = [occurred_at] * len(facts) if isinstance(occurred_at, datetime) else list(occurred_at)
        if len(given) != len(facts) or not given:
            raise OccurredAtRequired
        times = tuple(_milliseconds(time) for time in given)
        request = Request(
            command_id=command_id,
            stream=stream,
            actor=actor,
            steps=tuple(facts),
            times=times,
            origin=origin,
            occurred_at=times[-1],
            on_behalf_of=on_behalf_of,
            reason=reason,
            expected=expected,
            correlation_id=correlation_id,
            causation_id=causation_id,
            survey=Survey(*(_event(step) for step in facts if isinstance(step, Fact | To))),
        )
        request.digest = self._digest(request)
        return await self._carry_out(request, dry_run)

    async def _carry_out(self, request: Request, dry_run: bool) -> Receipt:
        if not _STREAM.fullmatch(request.stream.removesuffix(":")):
            raise NotForThisStream(request.stream)
        if request.origin is not Origin.LIVE and request.occurred_at is None:
            raise OccurredAtRequired
        async with self._turn(request.stream):
            for _ in range(ATTEMPTS - 1):
                want = self._want(request)
                found = await self._reader.read(want)
                if found.known is not None:
                    return await self._replayed(request, found.known)
                view = self._view(request, found, want)
                proposal = self._propose(request, view)
                if dry_run or not proposal.steps:
                    return self._supposed(request, proposal, view)
                outcome = await self._submit(proposal)
                if not isinstance(outcome, Moved | Late):
                    return await self._told(request, proposal, outcome)
                if isinstance(outcome, Late):
                    request.not_before = outcome.now
                elif request.expected is not None and request.stream in outcome.streams:
                    raise VersionMoved(request.stream)
            return await self._insist(request)

    async def _insist(self, request: Request) -> Receipt:
        """Have a command that was always too slow decided under the lock."""
        decided: list[tuple[Proposal, View]] = []

        want = self._want(request)

        def decide(found: Found) -> Proposal:
            if found.known is not None:
                raise _Known(found.known)
            view = self._view(request, found, want)
            decided.append((self._propose(request, view), view))
            return decided[-1][0]

        insistence = Insistence(want=want, decide=decide)
        try:
            outcome = await self._submit(insistence)
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
                return self._receipt(request, [_stored(row, proposal, numbers) for row in rows], replayed=False)
            case Before(known):
                return await self._replayed(request, known, replayed=not proposal.sent)
            case Moved() | Late():
                raise ConcurrencyConflict(request.stream)
            case Refusal():
                raise outcome

    async def _submit(self, proposal: Proposal | Insistence) -> Outcome:
        try:
            async with asyncio.timeout(self._patience):
                return await self._writer.submit(proposal)
        except TimeoutError as error:
            raise (OutcomeUnknown if proposal.taken else Busy) from error

    @contextlib.asynccontextmanager
    async def _turn(self, stream: str) -> AsyncGenerator[None]:
        """Let callers of this process who address the same stream take turns, instead of conflicting."""
        if is_journal(stream) or stream.endswith(":"):  # a stream to be drawn is nobody else's
            yield
            return
        turn = self._turns.setdefault(stream, [asyncio.Lock(), 0])
        turn[1] += 1
        try:
            async with turn[0]:
                yield
        finally:
            turn[1] -= 1
            if not turn[1]:
                self._turns.pop(stream, None)

    def _digest(self, request: Request) -> bytes:
        """Return the HMAC of what was asked; refuse what cannot be stored. Without the key it says nothing."""
        said: list[Any] = [
            request.stream,
            request.actor,
            type(request.act).__name__,
            request.act,
            request.steps,
            request.times,
            request.origin,
            request.occurred_at,
            request.on_behalf_of,
            request.command_id,
            request.reason,
            request.correlation_id,
            request.causation_id,
            request.trace_id,
        ]
        try:
            text = canonical(said)
        except UnicodeEncodeError as error:
            raise TextNotStorable from error
        if b"\\u0000" in text and _holds_nul(msgspec.json.decode(text)):
            raise TextNotStorable
        return hmac.digest(self._secrets["requests"], canonical(said[:9]), "sha256")

    # --- deciding ------------------------------------------------------------------------------------------------

    def _want(self, request: Request) -> Want:
        """Return what must be read for a command: the addressed stream, those it names, the newest of the law."""
        named = () if request.act is None else getattr(request.act, "reads", tuple)()
        streams = [(s, 0) for s in dict.fromkeys((request.stream, *named)) if _is_folded(s)]
        if INSTITUTION in self.kinds:
            request.law = self._law
            streams.append((INSTITUTION, request.law.version))
        private = request.survey.private or request.survey.informant
        macs = tuple(mac_of(self._secrets["subjects"], number) for number in request.survey.numbers())
        return Want(tuple(streams), request.command_id, (request.stream,) if private else (), macs)

    def _view(self, request: Request, found: Found, want: Want) -> View:
        """Fold what was read for a command. Raises VersionMoved where the caller saw another version."""
        if request.stream.endswith(":"):
            request.stream += str(self._draw(found.now))
        versions: dict[str, int] = {} if is_journal(request.stream) else {request.stream: 0}
        states: dict[str, Any] = {}
        imported_at = None
        for (stream, _), rows in zip(want.streams, found.streams, strict=True):
            if stream == INSTITUTION:
                law = self._newer_law(request.law, rows)
                states[stream], versions[stream], last = law.state, law.version, law.imported_at
            else:
                entries = [self.codec.entry(row) for row in rows]
                states[stream], versions[stream] = self._fold(stream, entries), entries[-1].version if entries else 0
                last = _last_imported(entries)
            if stream == request.stream:
                imported_at = last
        if request.expected not in (None, versions.get(request.stream, 0)):
            raise VersionMoved(request.stream, version=versions.get(request.stream, 0))
        now = found.now if request.not_before is None else max(found.now, request.not_before)
        if request.origin is not Origin.LIVE and request.occurred_at is not None:
            now = request.occurred_at
        return View(states.get(request.stream), states.get(INSTITUTION), states, versions, imported_at, found, now)

    def _newer_law(self, law: KnownLaw, rows: Sequence[StoredEntry]) -> KnownLaw:
        if not rows:
            return law
        entries = [self.codec.entry(row) for row in rows]
        state = law.state
        for entry in entries:
            state = self.kinds[INSTITUTION].evolve(state, entry)
        newer = KnownLaw(entries[-1].version, state, _last_imported(entries) or law.imported_at)
        if newer.version > self._law.version:
            self._law = newer
        return newer

    def _fold(self, stream: str, entries: Sequence[Entry]) -> Any:
        kind = self.kinds.get(stream.partition(":")[0])
        if kind is None:
            return None
        whole = getattr(kind, "fold", None)
        if whole is not None:
            return whole(entries)
        state = None
        for entry in entries:
            state = kind.evolve(state, entry)
        return state

    def _propose(self, request: Request, view: View) -> Proposal:
        """Seal and decide; return what is to be written."""
        _refuse_disorder(request, view)
        act, steps, work, subject = self._sealed(request, view)
        fence = None
        if act is not None:
            kind = self.kinds.get(request.stream.partition(":")[0])
            if kind is None or type(act) not in kind.commands:
                raise NotForThisStream(f"{type(act).__name__} → {request.stream}")
            context = Context(
                actor=request.actor,
                now=view.now,
                law=view.law,
                stream=request.stream,
                origin=request.origin,
                others=view.others,
                draw=lambda: self._draw(view.found.now),
                subject=subject,
                position=view.found.position,
            )
            steps = kind.decide(view.state, act, context)
            fence = context.fence if request.origin is Origin.LIVE else None
        times = request.times or [request.occurred_at] * len(steps)
        written = [self._step(request, step, time) for step, time in zip(steps, times, strict=True)]
        work = self._rewrapped(request, view, work)
        return Proposal(
            command_id=request.command_id,
            digest=request.digest,
            stream=request.stream,
            now=view.found.now,
            actor=canonical(request.actor).decode(),
            origin=request.origin.value,
            occurred_at=request.occurred_at,
            on_behalf_of=request.on_behalf_of,
            reason=request.reason,
            correlation_id=request.correlation_id,
            causation_id=request.causation_id,
            trace_id=request.trace_id,
            steps=written,
            expected=_expected(view.versions, written),
            fence=fence,
            work=work,
        )

    def _sealed(self, request: Request, view: View) -> tuple[Act | None, Sequence[Step], Work | None, UUID | None]:
        if not request.survey.private:
            return request.act, request.steps, None, None
        sealing = Sealing(
            request.stream,
            request.survey,
            keys=view.found.keys,
            subjects=view.found.subjects,
            keyring=self._keyring,
            secret=self._secrets["subjects"],
            entropy=self._entropy,
            draw=lambda: self._draw(None),
        )
        act = None if request.act is None else sealing.seal(request.act)
        steps: list[Step] = []
        for step in request.steps:
            match step:
                case Fact():
                    steps.append(sealing.seal(step))
                case To(stream, event):
                    steps.append(To(stream, sealing.seal(event)))
                case Number() | Shred():
                    steps.append(step)
        return act, steps, sealing.work, sealing.subject

    def _step(self, request: Request, step: Step, occurred_at: datetime | None) -> Draft | Number | Shred:
        match step:
            case Number() | Shred():
                return step
            case To(stream, event):
                if not _STREAM.fullmatch(stream):
                    raise ValueError(f"no stream can be called {stream!r}")
            case Fact():
                stream, event = request.stream, step
        if paths := Unsealed(event).paths:
            raise TypeError(f"{type(event).__name__} holds plain text where it must be sealed: {', '.join(paths)}")
        return Draft(stream, tag(type(event)), msgspec.json.encode(event), occurred_at)

    def _rewrapped(self, request: Request, view: View, work: Work | None) -> Work | None:
        """Hand the applicants' keys of a case over to two persons, where a command makes it an informant's."""
        rows = [row for row in view.found.keys if row.holder and row.wrap == MASTER]
        if not request.survey.informant or not rows:
            return work
        work = work or Work()
        for row in rows:
            data = unwrap(row, self._keyring)
            work.used.add(row.id)
            work.rewrapped.append(wrap_for_two(self._keyring, self._entropy, row[:3], data))
        return work

    def _draw(self, now: datetime | None) -> UUID:
        """Return a UUIDv7 of the database's time; without a time, a random UUID that says nothing of when."""
        noise = int.from_bytes(self._entropy(16))
        if now is None:
            return UUID(int=(noise & ~(0xF000 << 64) & ~(0xC000 << 48)) | (0x4000 << 64) | (0x8000 << 48))
        milliseconds = int(now.timestamp() * 1000)
        noise &= (1 << 80) - 1
        return UUID(int=(milliseconds << 80) | (noise & ~(0xF000 << 64) & ~(0xC000 << 48)) | (7 << 76) | (0x8000 << 48))

    # --- receipts ------------------------------------------------------------------------------------------------

    async def _replayed(self, request: Request, known: Known, *, replayed: bool = True) -> Receipt:
        if known.digest != request.digest:
            raise CommandIdReused(request.command_id)
        rows = await self._pages.page(known.first_position - 1, known.n, known.first_position + known.n - 1)
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
                row = _unwritten(draft, versions[draft.stream], proposal, view.found.now)
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

        A field whose key was destroyed comes as `Erased`. Raises TwoPersonsNeeded for an informant's identity without
        the consents of both; the attempt stays in the journal.
        """
        ids = tuple(dict.fromkeys(sealed.key for sealed in fields.values()))
        now = (await self._reader.read(Want())).now
        logged = AccessLogged(
            stream=stream,
            fields=tuple(fields),
            keys=ids,
            purpose=purpose,
            together=tuple(consent.person for consent in consents),
            words=words,
        )
        request = Request(
            command_id=command_id,
            stream=access_of(now),
            actor=viewer,
            steps=(logged,),
            times=(None,),
            survey=Survey(logged),
        )
        request.digest = self._digest(request)
        await self._carry_out(request, dry_run=False)
        rows = {row[0]: KeyRow(*row) for row in await self._pages.rows("read_keys_by_id", recorder.texts(ids))}
        keys = {row.id: unwrap(row, self._keyring, consents) for row in rows.values()}
        return {
            name: opened(sealed, rows[sealed.key], keys[sealed.key]) if sealed.key in rows else Erased(name)
            for name, sealed in fields.items()
        }

    # --- reading -------------------------------------------------------------------------------------------------

    async def history(self, stream: str, *, recorded_by: datetime | None = None) -> list[Entry]:
        """Return a stream's entries in the order of versions, as the ledger knew them at `recorded_by`.

        What had happened by an instant is a question of corrections too: `domain.order.history` answers it.
        """
        found = await self._reader.read(Want(((stream, 0),)))
        entries = [self.codec.entry(row) for row in found.streams[0]]
        return [entry for entry in entries if recorded_by is None or entry.recorded_at <= recorded_by]

    async def fold(self, stream: str) -> Any:
        """Return the present state of a stream; None where it does not exist."""
        return self._fold(stream, await self.history(stream))

    async def law(self) -> Any:
        """Return the institution's fold as it is now."""
        law = self._law
        found = await self._reader.read(Want(((INSTITUTION, law.version),)))
        return self._newer_law(law, found.streams[0]).state

    async def read(self, after: int, limit: int) -> list[Entry]:
        """Return up to `limit` entries after a position. None is ever missed: positions are dense, in commit order."""
        return [self.codec.entry(row) for row in await self._pages.page(after, limit)]

    async def head(self) -> tuple[int, datetime]:
        """Return the last position, and when it was recorded."""
        return await self._pages.head()

    async def verify_stream(self, stream: str) -> list[Finding]:
        """Compute every leaf of a stream again, and return what does not add up."""
        return list(leaves.check(self.imprint, await self._pages.witnesses_of(stream)))

    async def verify_all(self, page: int = 2000) -> list[Finding]:
        """Compute every leaf of the ledger again up to its head, and return what does not add up."""
        end, _ = await self.head()
        findings: list[Finding] = []
        since = None
        for after in range(0, end, page):
            rows = await self._pages.witnesses(after, min(after + page, end))
            findings += leaves.check(self.imprint, rows)
            findings += leaves.check_order(after, since, rows)
            if len(rows) < min(page, end - after):
                findings.append(Finding(after, "", "positions are missing from here on"))
            since = rows[-1].event.recorded_at if rows else since
        return findings


def _is_folded(stream: str) -> bool:
    """Tell whether a stream is read by its own version: the institution is, too, but from where its fold stands."""
    return stream != INSTITUTION and not is_journal(stream) and not stream.endswith(":")


def _event(step: Fact | To) -> Fact:
    return step.event if isinstance(step, To) else step


def _milliseconds(instant: datetime | None) -> datetime | None:
    """The ledger's instants have milliseconds: what a leaf cannot prove is not kept."""
    return None if instant is None else instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def _holds_nul(value: object) -> bool:
    if isinstance(value, dict):
        held = typing.cast("dict[str, object]", value)
        return any("\x00" in name or _holds_nul(one) for name, one in held.items())
    if isinstance(value, list):
        return any(_holds_nul(one) for one in typing.cast("list[object]", value))
    return isinstance(value, str) and "\x00" in value


def _last_imported(entries: Sequence[Entry]) -> datetime | None:
    return next((entry.at for entry in reversed(entries) if entry.origin is Origin.IMPORT), None)


def _refuse_disorder(request: Request, view: View) -> None:
    """What is imported comes in the order it happened, stream by stream."""
    if request.origin is not Origin.IMPORT:
        return
    last = view.imported_at
    for time in request.times or (request.occurred_at,):
        if time is not None and last is not None and time < last:
            raise TimeGoesBack(f"{leaves.rfc3339(time)} < {leaves.rfc3339(last)}")
        last = time


def _expected(versions: Mapping[str, int], steps: Iterable[Draft | Number | Shred]) -> dict[str, int]:
    """Return the versions a proposal stands on; a stream it writes without having read it must not exist yet."""
    written = {step.stream: 0 for step in steps if isinstance(step, Draft) and not is_journal(step.stream)}
    return written | dict(versions)


def _stored(row: leaves.EventRow, proposal: Proposal, numbers: Mapping[str, tuple[int, ...]]) -> StoredEntry:
    return StoredEntry(
        row.stream,
        row.position,
        row.version,
        row.topic,
        row.state.decode(),
        row.recorded_at,
        row.occurred_at,
        proposal.origin,
        proposal.actor,
        proposal.on_behalf_of,
        proposal.reason,
        canonical(numbers).decode() if numbers else "",
        proposal.command_id,
        proposal.correlation_id,
        proposal.causation_id,
    )


def _unwritten(draft: Draft, version: int, proposal: Proposal, now: datetime) -> StoredEntry:
    row = leaves.EventRow(0, draft.stream, version, draft.topic, draft.state, b"", b"", 0, now, draft.occurred_at)
    return _stored(row, proposal, {})
