"""透明日志. The tree over a city's leaves, grown as the ledger grows, and the heads that the city signs of it.

Tiles are derived and can be made again; what was signed cannot: heads are only ever added, and each is written outside
the database first (`outside`). Before a new one is signed, every last one known, wherever it lies, is computed again from
the tree: a ledger that was turned back or rewritten is refused, whoever restored or restarted it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg import AsyncConnection

from domain import evidence, notes, recorder, tree
from domain.evidence import Evidence
from domain.leaves import Finding, Imprint
from domain.ledger import Ledger
from domain.notes import Checkpoint, Key, NotANote, Note, Proof
from domain.refusals import NotInitialised, Refusal, UnknownStream
from domain.tree import Place, Roots, Span
from projections.checkers import Checkers
from projections.engine import MADE_MEANWHILE, Entered, rows, run, session
from projections.outside import Outside

SQL = Path(__file__).with_suffix(".sql")

PAGE = 10_000
"""Leaves that are taken in at once."""

_AT_ONCE = 256  # tiles that are read and written at once

Connection = AsyncConnection[Any]


class LedgerTurnedBack(Refusal):
    """台账少于已签名的树头：历史已丢失，未签新树头。请恢复较新的备份并核验。The ledger ends before a head that was signed: history was lost, and nothing more is signed. Restore a newer copy, then `huiyin verify`."""


class LedgerRewritten(Refusal):
    """台账与已签名的树头不一致：历史已被改动，未签新树头。请核验。The ledger does not begin with what a signed head says: its history was changed, and nothing more is signed. Run `huiyin verify`."""


class HeadUnreadable(Refusal):
    """库外保存的树头文件无法读取，未签新树头。请从副本恢复该文件。A head that is kept outside cannot be read: nothing more is signed. Put the file back from a copy."""


class NothingToSign(Refusal):
    """台账尚无事件。There is nothing in the ledger yet."""


class NoHeadYet(Refusal):
    """所问事件尚未列入已签名的树头，请稍后再试，或先签树头。No signed head covers this yet. Try again, or sign one: `huiyin head`."""


class CosignatureUnfit(Refusal):
    """见证签名不合格，未收下。The cosignature does not fit, and was not taken."""


class Transparency(Entered):
    """The transparency log of one city. Without a private key it grows and answers, and signs nothing."""

    def __init__(
        self,
        dsn: str,
        city: str,
        imprint: Imprint,
        outside: Outside,
        *,
        private: Ed25519PrivateKey | None = None,
        witnesses: Sequence[Key] = (),
    ) -> None:
        super().__init__(dsn, recorder.SESSION)
        self.city = city
        self.hash = imprint.hash
        self.origin = notes.origin_of(imprint.ledger_id, imprint.hash)
        self.outside = outside
        self.witnesses = tuple(witnesses)
        self._private = private
        self._sql = recorder.statements(SQL.read_text(encoding="utf-8"), city)

    async def _create(self) -> None:
        async with session(self._pool) as connection:
            if not (await rows(connection, self._sql["has_heads"], self.city))[0][0]:
                raise NotInitialised(f"{self.city}: huiyin upgrade")
            for _ in range(20):
                if (await rows(connection, self._sql["exists"], f"{self.city}_projections"))[0][0] and await rows(
                    connection, self._sql["size"]
                ):
                    return
                with contextlib.suppress(*MADE_MEANWHILE):
                    async with connection.transaction():
                        await run(connection, self._sql["create"])
                await asyncio.sleep(0.05)

    @property
    def key(self) -> Key | None:
        """The key that heads are signed with; None where this process may not sign."""
        return None if self._private is None else notes.log_key(self.origin, self._private)

    # --- growing -----------------------------------------------------------------------------------------------------

    async def follow(self, told: Callable[[int], None] | None = None) -> int:
        """Take in every leaf that there is now; return how many the tree has. Several may: one after the other does."""
        while True:
            async with self._locked() as (connection, size):
                taken = await self._grown(connection, size)
            if told is not None:
                told(taken)
            if taken < PAGE:
                return size + taken

    @contextlib.asynccontextmanager
    async def _locked(self) -> AsyncIterator[tuple[Connection, int]]:
        async with session(self._pool) as connection, connection.transaction():
            yield connection, (await rows(connection, self._sql["lock"]))[0][0]

    async def _grown(self, connection: Connection, size: int) -> int:
        found = await rows(connection, self._sql["leaves"], size, PAGE)
        if not found:
            return 0
        if found[-1][0] != size + len(found):  # positions are dense: what is missing was taken away
            raise LedgerRewritten(f"{size + 1} … {found[-1][0]}: {len(found)} 个事件 events")
        held = await self._held(connection, (place for place, _ in tree.edge(size)))
        changed = tree.grow(self.hash, size, held, [leaf for _, leaf in found])
        levels, numbers = zip(*changed, strict=True)
        await run(connection, self._sql["put_tiles"], list(levels), list(numbers), list(changed.values()))
        await run(connection, self._sql["grown"], size + len(found))
        return len(found)

    async def forget(self) -> None:
        """Drop the tiles, so that they are made again from the leaves; heads stay."""
        async with self._locked() as (connection, _):
            await run(connection, self._sql["forget"])

    async def _held(self, connection: Connection, places: Iterable[Place]) -> dict[Place, bytes]:
        wanted = list(places)
        if not wanted:
            return {}
        levels, numbers = zip(*wanted, strict=True)
        found = await rows(connection, self._sql["tiles"], list(levels), list(numbers))
        return {Place(level, number): hashes for level, number, hashes in found}

    async def _roots(self, connection: Connection, spans: Iterable[Span]) -> list[bytes]:
        wanted = list(spans)
        return tree.proof(self.hash, wanted, await self._held(connection, tree.needed(wanted)))

    # --- signing -----------------------------------------------------------------------------------------------------

    async def sign(self) -> Note:
        """Grow the tree to the ledger's end and return its signed head; the last one where nothing came since.

        Raises NothingToSign; HeadUnreadable; LedgerTurnedBack or LedgerRewritten where the tree does not begin with what was signed.
        """
        if self._private is None:
            raise NotInitialised("huiyin head")
        await self.follow()
        try:
            return await self._signed(self._private)
        except NotANote as error:
            raise HeadUnreadable(f"{self.outside.folder}: {error}") from error

    async def _signed(self, private: Ed25519PrivateKey) -> Note:
        async with self._locked() as (connection, size):
            note = await self._last(connection, size)
            if note is None or note.checkpoint.size < size:
                if not size:
                    raise NothingToSign(self.city)
                (root,) = await self._roots(connection, [Span(0, size)])
                note = notes.signed(Checkpoint(self.origin, size, root), private)
                ((now,),) = await rows(connection, self._sql["now"])
                await asyncio.to_thread(self.outside.sign, note, now)
                await self._keep(connection, note)
            await self._publish(connection, note)
        return note

    async def _last(self, connection: Connection, size: int) -> Note | None:
        """Return the last head that was signed, wherever it lies. Raises LedgerTurnedBack, LedgerRewritten."""
        kept = [notes.note_from(note) for (note,) in await rows(connection, self._sql["last_head"])]
        said = await asyncio.to_thread(self.outside.last)
        known = {note.checkpoint: note for note in (*kept, said) if note is not None}
        for head in known:
            if head.size > size:
                raise LedgerTurnedBack(f"{head.size} > {size}")
            if await self._roots(connection, [Span(0, head.size)]) != [head.root]:
                raise LedgerRewritten(f"1 … {head.size}")
        if said is not None and said.checkpoint not in [note.checkpoint for note in kept]:
            await self._keep(connection, said)  # whoever signed it was cut off before it was kept
        last = max(known, key=lambda head: head.size, default=None)
        return None if last is None else known[last]

    async def _keep(self, connection: Connection, note: Note) -> None:
        head = note.checkpoint
        await run(connection, self._sql["add_head"], head.size, head.root, str(note))

    async def _publish(self, connection: Connection, note: Note) -> None:
        """Write the tiles that a head rests on outside, then the head; under the lock, as everybody writes there."""
        size = note.checkpoint.size
        before = await asyncio.to_thread(self.outside.published)
        places = iter(tree.fresh(before, size))
        while some := dict(islice(places, _AT_ONCE)):
            held = await self._held(connection, some)
            cut = {place: held[place][: width * tree.SIZE] for place, width in some.items()}
            await asyncio.to_thread(self.outside.put, cut)
        if before < size:
            await asyncio.to_thread(self.outside.publish, note)

    # --- answering ---------------------------------------------------------------------------------------------------

    async def size(self) -> int:
        """Return how many leaves the tree has."""
        async with session(self._pool) as connection:
            return (await rows(connection, self._sql["size"]))[0][0]

    async def head(self, size: int = 0) -> Note:
        """Return the last signed head with its cosignatures, or the first one of at least `size` leaves.

        Raises NoHeadYet.
        """
        async with session(self._pool) as connection:
            found = await rows(connection, self._sql["head_from" if size else "last_head"], *([size] if size else []))
            if not found:
                raise NoHeadYet(f"{size}" if size else self.city)
            note = notes.note_from(found[0][0])
            lines = await rows(connection, self._sql["cosignatures"], note.checkpoint.size)
        return notes.with_signatures(note, [notes.signature_from(line) for (line,) in lines])

    async def heads(self, after: int = 0, limit: int = 1000) -> list[Note]:
        """Return signed heads of more than `after` leaves, the smallest first, without cosignatures."""
        async with session(self._pool) as connection:
            return [notes.note_from(note) for (note,) in await rows(connection, self._sql["heads"], after, limit)]

    async def newest_heads(self, limit: int) -> list[Note]:
        """Return the last signed heads, the newest first, without cosignatures."""
        async with session(self._pool) as connection:
            return [notes.note_from(note) for (note,) in await rows(connection, self._sql["newest_heads"], limit)]

    async def tile(self, place: Place, width: int) -> bytes | None:
        """Return so many hashes of a tile; None where the tree is not so far."""
        async with session(self._pool) as connection:
            found = (await self._held(connection, [place])).get(place, b"")[: width * tree.SIZE]
        return found if len(found) == width * tree.SIZE else None

    async def proof(self, position: int) -> Proof:
        """Return the proof that an event is in the ledger, under the last signed head. Raises NoHeadYet."""
        return await self._proof(position, await self.head())

    async def paths(self, positions: Sequence[int], note: Note) -> list[list[bytes]]:
        """Return, for each of some events, the hashes that lead from its leaf up to the root of a head. Raises NoHeadYet."""
        size = note.checkpoint.size
        if not all(0 < position <= size for position in positions):
            raise NoHeadYet(f"{max(positions)} > {size}")
        spans = [tree.inclusion(position - 1, size) for position in positions]
        wanted = list(dict.fromkeys(span for some in spans for span in some))
        async with session(self._pool) as connection:
            known = dict(zip(wanted, await self._roots(connection, wanted), strict=True))
        return [[known[span] for span in some] for some in spans]

    async def _proof(self, position: int, note: Note) -> Proof:
        size = note.checkpoint.size
        if not 0 < position <= size:
            raise NoHeadYet(f"{position} > {size}")
        async with session(self._pool) as connection:
            path = await self._roots(connection, tree.inclusion(position - 1, size))
        return Proof(position - 1, tuple(path), note)

    async def evidence(self, ledger: Ledger, stream: str, *, full: bool = False, under: Note | None = None) -> Evidence:
        """Return the evidence of a record as far as a head goes, the last signed one or that of `under`.

        Not `full`: digests of what happened. Raises UnknownStream, and NoHeadYet where the head does not cover even its
        first event.
        """
        rows = await ledger.witnesses_of(stream)
        if not rows:
            raise UnknownStream(stream)
        note = under or await self.head()
        size = note.checkpoint.size
        known = [row for row in rows if row.event.position <= size]
        if not known:
            raise NoHeadYet(f"{rows[0].event.position} > {size}")
        return evidence.made(ledger.imprint, known, await self._proof(known[-1].event.position, note), full=full)

    async def bundle(self, ledger: Ledger, streams: Sequence[str], size: int) -> bytes:
        """Return the evidence of several records in full, as one file, under the head of `size` leaves.

        The head is as it was signed, without what witnesses added since: asked again the same bytes come. Raises
        UnknownStream, and NoHeadYet where there is no such head or it does not cover a record's first event.
        """
        async with session(self._pool) as connection:
            found = await rows(connection, self._sql["head_from"], size)
        note = notes.note_from(found[0][0]) if found else None
        if note is None or note.checkpoint.size != size:
            raise NoHeadYet(f"{size}")
        parts: list[Evidence] = []
        for stream in streams:
            own = await ledger.witnesses_of(stream)
            if not own:
                raise UnknownStream(stream)
            known = [row for row in own if row.event.position <= size]
            if not known:
                raise NoHeadYet(f"{own[0].event.position} > {size}")
            proof = await self._proof(known[-1].event.position, note)
            parts.append(evidence.made(ledger.imprint, known, proof, full=True))
        return evidence.bundled(ledger.imprint, size, parts)

    async def consistency(self, old: int, size: int) -> list[bytes]:
        """Return the proof that the tree of `size` begins with that of `old`. Raises NoHeadYet."""
        if not 0 < old <= size <= await self.size():
            raise NoHeadYet(f"{old} … {size}")
        async with session(self._pool) as connection:
            return await self._roots(connection, tree.consistency(old, size))

    async def cosign(self, note: Note) -> tuple[str, ...]:
        """Take the cosignatures of known witnesses on a head of this log; return whose. Raises CosignatureUnfit."""
        try:
            head = note.checkpoint
            found = {one.name: one for one in self.witnesses if note.by(one) is not None}
        except NotANote as error:
            raise CosignatureUnfit(str(error)) from error
        async with session(self._pool) as connection:
            kept = await rows(connection, self._sql["head_from"], head.size)
            if not kept or notes.note_from(kept[0][0]).text != note.text:
                raise CosignatureUnfit(f"{head.origin} {head.size}: 不是本台账签名的树头 not a head of this log")
            if not found:
                raise CosignatureUnfit("没有已登记见证人的签名 none is by a witness that is known here")
            for name, key in found.items():
                line = next(str(one) for one in note.signatures if (one.name, one.id) == (name, key.id))
                await run(connection, self._sql["add_cosignature"], head.size, name, line)
        return tuple(found)

    # --- checking ----------------------------------------------------------------------------------------------------

    async def check(
        self,
        ledger: Ledger,
        more: Iterable[Note] = (),
        told: Callable[[int], None] | None = None,
        checkers: Checkers | None = None,
    ) -> list[Finding]:
        """Compute the ledger again, leaf by leaf, with the tree over it, and return what does not add up.

        In several processes with `checkers`. `told` is how many events were computed so far. It is held against every head that was signed: those of the database, those outside it, and `more`, a witness's;
        and against the tiles. A head that does not hold says between which positions the history was changed.
        """
        findings: list[Finding] = []
        kept = await self._kept(findings)
        outside: list[Note] = []
        try:
            outside = await asyncio.to_thread(self.outside.heads)
            listed = await asyncio.to_thread(self.outside.listed)
            published = await asyncio.to_thread(self.outside.published)
        except NotANote as error:
            findings.append(Finding(0, "", f"a head outside cannot be read: {error}"))
            return [*findings, *await check(ledger, [*kept, *more], told, checkers), *await self._tiles_differing()]
        findings += [*_unkept(kept, outside), *_gone_outside(kept, outside, listed, published)]
        for note in (*outside, *more):
            findings += self._unsigned(note)
            kept.append(note)
        findings += await check(ledger, kept, told, checkers)
        return [*findings, *await self._unpublished(), *await self._tiles_differing()]

    async def _kept(self, findings: list[Finding]) -> list[Note]:
        found: list[Note] = []
        async with session(self._pool) as connection:
            for size, root, text in await rows(connection, self._sql["all_heads"]):
                try:
                    note = notes.note_from(text)
                    if note.checkpoint[1:] != (size, root):
                        said = f"{note.checkpoint.size} {note.checkpoint.root.hex()}", f"{size} {root.hex()}"
                        findings.append(Finding(size, "", "a signed head is kept as another than it says", *said))
                except NotANote as error:
                    findings.append(Finding(size, "", f"a signed head cannot be read: {error}"))
                    continue
                findings += self._unsigned(note)
                found.append(note)
            for size, name, line in await rows(connection, self._sql["all_cosignatures"]):
                findings += self._cosignature_unfit(size, name, line, found)
        return found

    def _unsigned(self, note: Note) -> list[Finding]:
        try:
            size = note.checkpoint.size
            if self.key is None or note.by(self.key) is not None:
                return []
        except NotANote as error:
            return [Finding(0, "", f"a signed head is not as it was signed: {error}")]
        return [Finding(size, "", "a head is not signed by this log")]

    def _cosignature_unfit(self, size: int, name: str, line: str, heads: Iterable[Note]) -> list[Finding]:
        try:
            one = notes.signature_from(line)
            note = next((note for note in heads if note.checkpoint.size == size), None)
            key = next((key for key in self.witnesses if key.name == name), None)
            if note is None or one.name != name:
                return [Finding(size, "", f"a cosignature of {name} belongs to no head")]
            if key is None or Note(note.text, (one,)).by(key) is not None:
                return []
        except NotANote as error:
            return [Finding(size, "", f"a cosignature is not as it was made: {error}")]
        return [Finding(size, "", f"a cosignature is not by {name}")]

    async def _unpublished(self) -> list[Finding]:
        """Return from which position on the ledger is another than was published outside the database."""
        size = await asyncio.to_thread(self.outside.published)
        async with session(self._pool) as connection:
            for _, own in groupby(tree.tiles(size), lambda one: one[0].level):
                while some := list(islice(own, _AT_ONCE)):
                    outside = await asyncio.to_thread(self.outside.tiles, some)
                    held = await self._held(connection, (place for place, _ in some))
                    for (place, width), said in zip(some, outside, strict=True):
                        here = held.get(place, b"")[: width * tree.SIZE]
                        if said != here and (found := await self._otherwise(connection, place, width, said, here)):
                            return [found]
        return []

    async def _otherwise(
        self, connection: Connection, place: Place, width: int, said: bytes | None, held: bytes
    ) -> Finding | None:
        """Return what a published tile says otherwise than ours; None where only ours is wrong, which is looked at apart."""
        first = place.number * tree.WIDTH
        if said is None:
            at = (first << (tree.HEIGHT * place.level)) + 1
            return Finding(at, "", f"the tile {place.level}/{place.number} that was published outside is gone")
        if place.level:
            return _tile_differs(place, said, held, " outside")
        leaves = b"".join(leaf for _, leaf in await rows(connection, self._sql["leaves"], first, width))
        if said == leaves:
            return None
        at = next(_differing(said, leaves), 0)
        there, here = (one[at * tree.SIZE : (at + 1) * tree.SIZE].hex() or "—" for one in (said, leaves))
        what = "from here on the ledger is another than was published outside it: lost or changed"
        return Finding(first + at + 1, "", what, there, here)

    async def _tiles_differing(self) -> list[Finding]:
        """Compute each tile again from what is below it, and return those that differ."""
        found: list[Finding] = []
        async with session(self._pool) as connection:
            ((size,),) = await rows(connection, self._sql["size"])
            for level, own in groupby(tree.tiles(size), lambda one: one[0].level):
                while some := list(islice(own, 1 if level else _AT_ONCE)):  # what is below a tile of tiles is much
                    held = await self._held(connection, (place for place, _ in some))
                    below = await self._from_below(connection, level, some)
                    found += [
                        _tile_differs(place, held.get(place, b""), made)
                        for place, made in below
                        if held.get(place, b"") != made
                    ]
        return found

    async def _from_below(
        self, connection: Connection, level: int, wanted: Sequence[tuple[Place, int]]
    ) -> list[tuple[Place, bytes]]:
        """Return tiles of one level that follow one another, as what is below them makes them."""
        first, count = wanted[0][0].number * tree.WIDTH, sum(width for _, width in wanted)
        if level:
            under = [Place(level - 1, first + n) for n in range(count)]
            held = await self._held(connection, under)
            hashes = [tree.over(self.hash, held.get(one, b"")) for one in under]
        else:
            leaves = dict(await rows(connection, self._sql["leaves"], first, count))
            hashes = [leaves.get(first + n, b"") for n in range(1, count + 1)]
        every = iter(hashes)
        return [(place, b"".join(islice(every, width))) for place, width in wanted]


def _tile_differs(place: Place, held: bytes, below: bytes, where: str = "") -> Finding:
    """Return a finding that names the first position whose leaf is another than the tile says."""
    same = next(_differing(held, below), 0)
    first = ((place.number * tree.WIDTH + same) << (tree.HEIGHT * place.level)) + 1
    said = (one[same * tree.SIZE : (same + 1) * tree.SIZE].hex() or "—" for one in (below, held))
    return Finding(
        first, "", f"the tile {place.level}/{place.number}{where} does not follow from what is below it", *said
    )


def _unkept(kept: Iterable[Note], outside: Sequence[Note]) -> list[Finding]:
    """Return heads outside that were taken out of the database. Whoever signs the last one may just not have kept it yet."""
    known = {note.checkpoint.size for note in kept}
    sizes = sorted({note.checkpoint.size for note in outside})[:-1]
    what = "a head that was signed is outside and no more in the database"
    return [Finding(size, "", what, f"{size}", "—") for size in sizes if size not in known]


def _gone_outside(
    kept: Iterable[Note], outside: Sequence[Note], listed: Sequence[Note], published: int
) -> Iterator[Finding]:
    """Yield heads that were taken out of the folder outside. One that begins later than the database is a new folder's."""
    there = {note.checkpoint.size for note in listed}
    sizes = sorted({note.checkpoint.size for note in outside})
    for size in sorted({note.checkpoint.size for note in kept if sizes and sizes[0] < note.checkpoint.size} - {*sizes}):
        yield Finding(size, "", "a head that was signed is in the database and no more outside", f"{size}", "—")
    if published and published not in there:
        what = "the head that monitors read is not listed outside"
        yield Finding(published, "", what, f"{published}", "—")
    before = sizes[-2] if len(sizes) > 1 else 0  # of the last one whoever signed it may not have come so far
    if published < before:
        what = "monitors outside read an older head than was signed"
        yield Finding(published + 1, "", what, f"{before}", f"{published}")


def _differing(one: bytes, other: bytes) -> Iterator[int]:
    """Yield at which of their hashes two tiles differ."""
    for n in range(tree.WIDTH):
        if one[n * tree.SIZE : (n + 1) * tree.SIZE] != other[n * tree.SIZE : (n + 1) * tree.SIZE]:
            yield n


async def check(
    ledger: Ledger,
    heads: Iterable[Note],
    told: Callable[[int], None] | None = None,
    checkers: Checkers | None = None,
) -> list[Finding]:
    """Compute every leaf again, the tree over them, and hold it against signed heads; return what does not add up.

    Heads may come from anywhere: the database, the folder outside it, a witness. A head that does not hold says between
    which positions the history was changed: after the last one that holds.
    """
    waiting = sorted({note.checkpoint for note in heads}, key=lambda head: head.size, reverse=True)
    grown, findings, holds = Roots(ledger.imprint.hash), list[Finding](), 0
    origin = notes.origin_of(ledger.imprint.ledger_id, ledger.imprint.hash)
    findings += [
        Finding(0, "", f"a head of another ledger: {head.origin}") for head in waiting if head.origin != origin
    ]
    waiting = [head for head in waiting if head.origin == origin]
    roots = {head.size: head.root for head in waiting}
    twice = {head.size for head in waiting if roots[head.size] != head.root}
    findings += [Finding(size, "", f"two different heads were signed of {size} events") for size in sorted(twice)]
    keys = _Keys(ledger)
    pages = ledger.checked() if checkers is None else ledger.checked(checkers.look, ahead=checkers.ahead)
    async for looked in pages:
        findings += looked.findings
        await keys.look(looked.keys)
        for key, stream in (await ledger.keys_of_one(looked.informants)).items():
            what = "the key of an informant is no more held by two persons"
            findings.append(Finding(looked.informants[stream], stream, what, "2", f"1: {key}"))
        rest = looked.leaves
        grown_to = grown.size + len(rest)
        if told is not None:
            told(grown_to)
        while waiting and waiting[-1].size <= grown_to:
            head = waiting.pop()
            grown.take(rest[: (count := head.size - grown.size)])
            del rest[:count]
            if head.root == grown.root:
                holds = head.size
            else:
                changed = f"a head that was signed of {head.size} events does not hold: changed after position {holds}"
                findings.append(Finding(holds + 1, "", changed, head.root.hex(), grown.root.hex()))
        grown.take(rest)
    for head in reversed(waiting):
        lost = f"a head was signed of {head.size} events, and there are {grown.size}: lost from here on"
        findings.append(Finding(grown.size + 1, "", lost, f"{head.size}", f"{grown.size}"))
    what = "a key was changed: it opens nothing any more"
    findings += [Finding(position, stream, what, key, "—") for key, (position, stream) in keys.spoiled.items()]
    return [*findings, *await ledger.keys_lost(keys.missing), *await ledger.keys_again()]


_REMEMBERED = 200_000


class _Keys:
    """Looks whether the keys are there that events are sealed with."""

    def __init__(self, ledger: Ledger) -> None:
        self.missing: dict[str, tuple[int, str]] = {}  # where each was met first
        self.spoiled: dict[str, tuple[int, str]] = {}
        self._ledger = ledger
        self._there: set[str] = set()

    async def look(self, used: Mapping[str, tuple[int, str]]) -> None:
        """Look after the keys of a page, each with where it was met first."""
        fresh = used.keys() - self._there - self.missing.keys()
        gone, spoiled = await self._ledger.keys_amiss(fresh)
        self.missing |= {key: used[key] for key in gone}
        self.spoiled |= {key: used[key] for key in spoiled}
        if len(self._there) > _REMEMBERED:
            self._there.clear()
        self._there |= fresh - gone
