"""From a command and what was read for it to a proposal for the writer: fold, seal, decide. Nothing here waits."""

from __future__ import annotations

import typing
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from domain import guards, naming
from domain.context import Context, StreamKind
from domain.journals import is_journal
from domain.law import Law
from domain.leaves import canonical, rfc3339
from domain.recorder import Found, Want
from domain.refusals import (
    InstantAhead,
    NotForThisStream,
    NumberTooLarge,
    OccurredAtRequired,
    TextNotStorable,
    TimeGoesBack,
    VersionMoved,
)
from domain.sealing import (
    MASTER,
    Entropy,
    Keyring,
    Sealing,
    Survey,
    Unsealed,
    Work,
    is_identity,
    keyed_hash,
    mac_of,
    unwrap,
    wrap_for_two,
)
from domain.settling import Draft, Proposal
from domain.stored import Codec, StoredEntry, tag
from domain.terms import Act, Actor, Confidentiality, Entry, Fact, Number, Origin, Shred, Step, To

INSTITUTION = "institution"

MILLISECOND = timedelta(milliseconds=1)
"""What instants are stored to."""


class KnownLaw(NamedTuple):
    """The institution's fold, kept because every command needs it; keyed by its version."""

    version: int
    state: Any
    imported_at: datetime | None


class Kept(NamedTuple):
    """A stream as it was last read, kept because whoever commands a case now is likely to command it again."""

    version: int
    state: Any
    imported_at: datetime | None
    history: tuple[Entry, ...]


class Memory:
    """The streams read last, at most so many entries of them in all. Streams only grow, so that none is ever wrong."""

    def __init__(self, most: int = 20_000) -> None:
        self._most = most
        self._entries = 0
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def of(self, streams: Iterable[str]) -> dict[str, Kept]:
        """Return what is kept of streams."""
        found = {stream: self._kept[stream] for stream in streams if stream in self._kept}
        for stream in found:
            self._kept.move_to_end(stream)
        return found

    def keep(self, stream: str, kept: Kept) -> None:
        """Keep a stream, if it is newer than what is kept of it; forget those not asked for the longest."""
        before = self._kept.get(stream)
        if before is not None and before.version >= kept.version:
            return
        self._kept[stream] = kept
        self._kept.move_to_end(stream)
        self._entries += len(kept.history) - (len(before.history) if before is not None else 0)
        while self._entries > self._most:
            _, gone = self._kept.popitem(last=False)
            self._entries -= len(gone.history)

    def forget(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._entries = 0


class Request(msgspec.Struct, kw_only=True):
    """A command, or facts to record, with everything about it that its caller said."""

    command_id: str
    stream: str  # ends with a colon while its id is still to be drawn
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
    kept: Mapping[str, Kept] = {}  # what was kept of the streams it reads
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
    history: Sequence[Entry] = ()  # of the addressed stream


class Proposer:
    """Knows the kinds of streams, the ledger's secrets, and the law as it was last read."""

    def __init__(
        self, kinds: Iterable[StreamKind], *, keyring: Keyring, secrets: Mapping[str, bytes], entropy: Entropy
    ) -> None:
        self.kinds = {kind.name: kind for kind in kinds}
        self.codec = Codec(self.kinds.values())
        self.law = KnownLaw(0, None, None)
        self._memory = Memory()
        self._head = 0  # the last position heard of
        self.keyring = keyring  # read anew by each command
        self._secrets = secrets
        self._entropy = entropy

    def prepare(self, request: Request) -> None:
        """Check what a request says and compute its digest, which without the ledger's secret says nothing.

        Raises NotForThisStream, IdUnfit, CodeExpected, CitizenNamed, ActorUnfit, OccurredAtRequired, TextNotStorable,
        CommandTooLarge, NumberTooLarge, InstantUncountable, LimitUncountable.
        """
        self._addressed(request)
        if request.origin is not Origin.LIVE and request.occurred_at is None:
            raise OccurredAtRequired
        for instant in (request.occurred_at, *request.times):
            if instant is not None:
                guards.datable(instant)
        for fact in events_of(request.steps):
            guards.countable(fact)
        same: list[Any] = [
            request.stream,
            request.actor,
            type(request.act).__name__,
            request.act,
            request.steps,
            request.times,
            request.origin,
            request.occurred_at,
            request.on_behalf_of,
        ]
        free = [request.command_id, request.reason, request.correlation_id, request.causation_id, request.trace_id]
        try:
            text = canonical(same)
            _refuse_nul(text)
            _refuse_nul(canonical(free))
        except UnicodeEncodeError as error:
            raise TextNotStorable from error
        except OverflowError as error:
            raise NumberTooLarge from error
        naming.bounded(text, msgspec.json.decode)
        naming.ids(
            command_id=request.command_id,
            correlation_id=request.correlation_id,
            causation_id=request.causation_id,
            trace_id=request.trace_id,
        )
        naming.codes(reason=request.reason, on_behalf_of=request.on_behalf_of)
        naming.acting(request.actor)
        request.digest = self.digest(text)

    def digest(self, text: bytes) -> bytes:
        """Return what a commit keeps of what was asked: enough to know it again, nothing to learn from."""
        return keyed_hash(self._secrets["requests"], text)

    def _addressed(self, request: Request) -> None:
        """Check every stream that a request names itself. Raises NotForThisStream."""
        others = [step.stream for step in request.steps if isinstance(step, To)]
        naming.addressed(request.stream, may_be_drawn=True)
        for stream in others:
            naming.addressed(stream)
        for stream in (request.stream, *others):
            if stream.partition(":")[0] not in self.kinds and not is_journal(stream):
                raise NotForThisStream(stream)

    # --- reading -------------------------------------------------------------------------------------------------

    def went_back(self, found: Found) -> bool:
        """Tell whether the ledger ends before where it did: restored, or failed over with a loss. Then forget it all."""
        back = found.position < self._head
        self._head = found.position
        if back:
            self.law = KnownLaw(0, None, None)
            self._memory.forget()
        return back

    def want(self, request: Request, *, from_memory: bool = False) -> Want:
        """Return what must be read for a command: the addressed stream, those it names, the newest of the law.

        From memory, of the streams kept only what is newer.
        """
        named = () if request.act is None else getattr(request.act, "reads", tuple)()
        read = (request.stream, *(naming.readable(name) for name in named))
        folded = [s for s in dict.fromkeys(read) if _is_folded(s)]
        request.kept = self._memory.of(folded) if from_memory else {}
        streams = [(s, request.kept[s].version if s in request.kept else 0) for s in folded]
        if INSTITUTION in self.kinds:
            request.law = self.law
            streams.append((INSTITUTION, request.law.version))
        # Of a stream that is yet to be drawn nobody has a key.
        private = (request.survey.private or request.survey.informant) and not request.stream.endswith(":")
        macs = tuple(mac_of(self._secrets["subjects"], number) for number in request.survey.numbers())
        return Want(tuple(streams), request.command_id, (request.stream,) if private else (), macs)

    def view(self, request: Request, found: Found, want: Want) -> View:
        """Fold what was read for a command. Raises VersionMoved where the caller saw another version."""
        if request.stream.endswith(":"):
            request.stream += str(self.draw(found.now))
        versions: dict[str, int] = {} if is_journal(request.stream) else {request.stream: 0}
        states: dict[str, Any] = {}
        imported_at = None
        history: Sequence[Entry] = ()
        for (stream, _), rows in zip(want.streams, found.streams, strict=True):
            if stream == INSTITUTION:
                law = self.newer_law(request.law, rows)
                states[stream], versions[stream], last = law.state, law.version, law.imported_at
            else:
                kept = self._grown(stream, request.kept.get(stream), rows)
                states[stream], versions[stream], last = kept.state, kept.version, kept.imported_at
                if stream == request.stream:
                    history = kept.history
            if stream == request.stream:
                imported_at = last
        if request.expected not in (None, versions.get(request.stream, 0)):
            raise VersionMoved(request.stream, version=versions.get(request.stream, 0))
        now = found.now if request.not_before is None else max(found.now, request.not_before)
        if request.origin is not Origin.LIVE and request.occurred_at is not None:
            now = request.occurred_at
        own, law = states.get(request.stream), states.get(INSTITUTION)
        return View(own, law, states, versions, imported_at, found, now, history)

    def seen(self, stream: str, law: KnownLaw, found: Found) -> View:
        """Return what is decided about a stream from, where it and the news of the law are all that was read."""
        rows, news = found.streams
        entries = [self.codec.entry(row) for row in rows]
        newer = self.newer_law(law, news)
        versions = {stream: entries[-1].version if entries else 0, INSTITUTION: newer.version}
        state = self.fold(stream, entries)
        return View(state, newer.state, {}, versions, _last_imported(entries), found, found.now, entries)

    def _grown(self, stream: str, kept: Kept | None, rows: Sequence[StoredEntry]) -> Kept:
        """Return a stream with what came to it since it was kept, and keep it so."""
        if kept is not None and not rows:
            return kept
        entries = tuple(self.codec.entry(row) for row in rows)
        history = entries if kept is None else kept.history + entries
        kind = self.kinds.get(stream.partition(":")[0])
        if kept is None or kind is None or (kind.fold is not None and kind.refolds(history)):
            state = self.fold(stream, history)
        else:
            state = kept.state
            for entry in entries:
                state = kind.evolve(state, entry)
        imported_at = _last_imported(entries) or (kept.imported_at if kept is not None else None)
        grown = Kept(history[-1].version if history else 0, state, imported_at, history)
        if history:
            self._memory.keep(stream, grown)
        return grown

    def newer_law(self, law: KnownLaw, rows: Sequence[StoredEntry]) -> KnownLaw:
        """Fold what came to the institution since it was last read, and keep it."""
        if not rows:
            return law
        entries = [self.codec.entry(row) for row in rows]
        state = law.state
        for entry in entries:
            state = self.kinds[INSTITUTION].evolve(state, entry)
        newer = KnownLaw(entries[-1].version, state, _last_imported(entries) or law.imported_at)
        if newer.version > self.law.version:
            self.law = newer
        return newer

    def fold(self, stream: str, entries: Sequence[Entry]) -> Any:
        """Return the state that a stream's entries make; None where there is none."""
        kind = self.kinds.get(stream.partition(":")[0])
        if kind is None or not entries:
            return None
        if kind.fold is not None:  # where a correction changes what stands before it
            return kind.fold(entries)
        state = None
        for entry in entries:
            state = kind.evolve(state, entry)
        return state

    # --- deciding ------------------------------------------------------------------------------------------------

    def propose(self, request: Request, view: View) -> Proposal:
        """Seal and decide; return what is to be written. Raises what the rules refuse."""
        _refuse_disorder(request, view)
        act, steps, work, subject = self._sealed(request, view)
        fence = None
        if act is not None:
            steps, fence = self._decided(request, view, act, subject)
        times = request.times or [request.occurred_at] * len(steps)
        written = [_step(request.stream, step, time) for step, time in zip(steps, times, strict=True)]
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
            seen=view.found.since,
            work=self._rewrapped(request, view, work),
        )

    def _decided(
        self, request: Request, view: View, act: Act, subject: UUID | None
    ) -> tuple[Sequence[Step], datetime | None]:
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
            history=view.history,
            draw=lambda: self.draw(view.found.now),
            subject=subject,
            position=view.found.position,
            recording=view.found.now,
        )
        if isinstance(view.law, Law) and request.origin is Origin.LIVE:
            change = view.law.next_change(view.now)  # validity, peaks, units, roles: whatever a rule may ask
            context.until(change - MILLISECOND if change is not None else None)  # another answer from there on
        steps = kind.decide(view.state, act, context)
        return steps, context.fence if request.origin is Origin.LIVE else None

    def _sealed(self, request: Request, view: View) -> tuple[Act | None, Sequence[Step], Work | None, UUID | None]:
        if not request.survey.private:
            return request.act, request.steps, None, None
        # Whoever's case is an informant's stays protected in every later command, whether or not it says so again.
        if getattr(view.state, "confidentiality", None) is Confidentiality.INFORMANT:
            request.survey.informant = True
        sealing = Sealing(
            request.stream,
            request.survey,
            keys=view.found.keys,
            subjects=view.found.subjects,
            keyring=self.keyring,
            secret=self._secrets["subjects"],
            entropy=self._entropy,
            draw=lambda: self.draw(None),
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

    def _rewrapped(self, request: Request, view: View, work: Work | None) -> Work | None:
        """Hand the applicants' keys of a case over to two persons, where a command makes it an informant's."""
        rows = [row for row in view.found.keys if is_identity(row.holder) and row.wrap == MASTER]
        if not request.survey.informant or not rows:
            return work
        work = work or Work()
        for row in rows:
            work.used.add(row.id)
            data = unwrap(row, self.keyring)
            work.rewrapped.append(wrap_for_two(self.keyring, self._entropy, row[:3], data))
        return work

    def draw(self, now: datetime | None) -> UUID:
        """Return a UUIDv7 of the database's time; without a time, a random UUID that says nothing of when."""
        noise = int.from_bytes(self._entropy(16))
        version = 4
        if now is not None:
            noise, version = (int(now.timestamp() * 1000) << 80) | (noise & ((1 << 80) - 1)), 7
        return UUID(int=(noise & ~(0xF << 76) & ~(0x3 << 62)) | (version << 76) | (2 << 62))


def events_of(steps: Iterable[Step]) -> list[Fact]:
    """Return the events among steps, of whatever stream."""
    return [step.event if isinstance(step, To) else step for step in steps if isinstance(step, Fact | To)]


def _is_folded(stream: str) -> bool:
    """Tell whether a stream is read from its beginning: the institution is read on from where its fold stands."""
    return stream != INSTITUTION and not is_journal(stream) and not stream.endswith(":")


def _step(addressed: str, step: Step, occurred_at: datetime | None) -> Draft | Number | Shred:
    """Return a step as it will be stored. Raises TypeError for a rule that wrote private text in plain."""
    match step:
        case Number() | Shred():
            return step
        case To(stream, event):
            naming.addressed(stream)
        case Fact():
            stream, event = addressed, step
    if paths := Unsealed(event).paths:
        raise TypeError(f"{type(event).__name__} holds plain text where it must be sealed: {', '.join(paths)}")
    return Draft(stream, tag(type(event)), msgspec.json.encode(event), occurred_at)


def _expected(versions: Mapping[str, int], steps: Iterable[Draft | Number | Shred]) -> dict[str, int]:
    """Return the versions a proposal stands on; a stream it writes without having read it must not exist yet."""
    written = {step.stream: 0 for step in steps if isinstance(step, Draft) and not is_journal(step.stream)}
    return written | dict(versions)


def _last_imported(entries: Sequence[Entry]) -> datetime | None:
    return next((entry.at for entry in reversed(entries) if entry.origin is Origin.IMPORT), None)


def _refuse_disorder(request: Request, view: View) -> None:
    """What is backfilled has happened; what is imported comes in the order it happened, stream by stream.

    An import may lie ahead of the clock: case scripts are played over simulated time.
    """
    at = request.occurred_at
    if request.origin is Origin.BACKFILL and at is not None and at > view.found.now:
        raise InstantAhead(f"{rfc3339(at)} > {rfc3339(view.found.now)}")
    if request.origin is not Origin.IMPORT:
        return
    last = view.imported_at
    for time in request.times or (request.occurred_at,):
        if time is not None and last is not None and time < last:
            raise TimeGoesBack(f"{rfc3339(time)} < {rfc3339(last)}")
        last = time


def _refuse_nul(text: bytes) -> None:
    """PostgreSQL stores every character but this one; a backslash before `u0000` may also be an innocent text."""
    if b"\\u0000" in text and _holds_nul(msgspec.json.decode(text)):
        raise TextNotStorable


def _holds_nul(value: object) -> bool:
    if isinstance(value, dict):
        held = typing.cast("dict[str, object]", value)
        return any("\x00" in name or _holds_nul(one) for name, one in held.items())
    if isinstance(value, list):
        return any(_holds_nul(one) for one in typing.cast("list[object]", value))
    return isinstance(value, str) and "\x00" in value
