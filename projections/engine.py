"""推进. How tables follow the ledger, are made again, and change places.

A projection has numbered versions, each a table `<name>_<version>` with a checkpoint of its own; `active` says which
one is read. A page of events is derived and written in one transaction with the checkpoint, which its lease lets only
one follower do; a page never cuts a commit in two. Versions that stand at the same position go on together, so that a
case is read and folded once for all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar
from uuid import UUID

import msgspec
import psycopg
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Format
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from domain import institution, recorder
from domain.kinds import KINDS
from domain.law import Law
from domain.refusals import NotInitialised, Refusal, Unavailable
from domain.stored import Codec, StoredEntry
from domain.terms import Entry
from projections.case import ORDERS, Beside, Case, Projection, Reach, reach
from projections.filling import (
    RANGE,
    Broken,
    Done,
    Ranges,
    RebuildOvertaken,
    Task,
    derived,
    fill_all,
    span_of,
)
from projections.keeping import Keeping, Kept, Written, goes_on, may_go_on
from projections.packing import HEAD, TAIL, packer
from projections.reading import Poison, entry_of, folded, folded_on, kind_of, record_of

Connection = AsyncConnection[Any]
Progress = Callable[[int, int], None]
"""Told how many events of how many have been read."""

PAGE = 6000
BATCH = 500
"""Cases that are written at once: what bounds memory, whatever a page or a change of law touches."""

LEASE = 4.0
"""Seconds after which a worker that said nothing is taken for dead."""
LONGEST_PAUSE = 10.0
AWAKE = 2.0
"""Seconds after which a session is spoken to that waits for a fold."""

T = TypeVar("T")


class ProjectionBlocked(Refusal):
    """投影停在无法解读的事件前，未跳过任何内容。A projection stands before an event it cannot take in; nothing was skipped."""


class ProjectionOutdated(Refusal):
    """数据表由另一版本的程序生成，请重建。The table was made by another release: run `huiyin rebuild`."""


class RebuildBroken(Refusal):
    """重建进程意外终止，原表照常使用。A process of the rebuild ended without a word; the old tables serve on. Run it again."""


class NothingToGoBackTo(Refusal):
    """没有可回退的旧表。No earlier table of this projection follows any more: it was dropped, or is of another release."""


class Version(NamedTuple):
    """One table of a projection and where it stands."""

    name: str
    version: int
    form: int
    position: int
    state: str  # building, following, retired
    active: bool
    blocked_at: int | None
    error: str
    moved_at: datetime


class Status(msgspec.Struct, frozen=True):
    """One table as an operator sees it.

    `lag` counts events; `lag_seconds` is how long ago the first of them was recorded. `rate` is how many events a second
    it took in lately while it worked, `holder` the worker whose lease it is, empty where nobody has one.
    """

    name: str
    version: int
    active: bool
    state: str
    position: int
    head: int
    lag: int
    lag_seconds: float
    rate: float
    blocked_at: int | None
    error: str
    tries: int
    holder: str
    outdated: bool
    moved_at: datetime


class Followed(msgspec.Struct, frozen=True):
    """What one turn of following came to. `position` is where every active table stands at least."""

    position: int
    head: int
    applied: int  # events that this turn took in
    blocked: tuple[str, ...]  # a sentence a table that cannot go on


class Rebuilt(msgspec.Struct, frozen=True):
    """What a rebuild came to. `differences` counts rows that the old table had otherwise; None: not compared."""

    name: str
    version: int
    position: int
    cases: int
    rows: int
    differences: int | None


class _Lease(NamedTuple):
    """A table that is followed now, and the token without which its checkpoint does not move."""

    name: str
    version: int
    token: int
    written: Written


class _Change(NamedTuple):
    """What is to be written to one table: cases whose rows go, single rows that go, rows that come."""

    sql: Mapping[str, bytes]
    cases: list[UUID]
    ids: list[UUID]
    numbers: list[int]
    packed: bytes


_Told = tuple[Kept | None, Sequence[Entry]]
"""A case before its fresh entries, where it is at hand, and those entries."""


@lru_cache(maxsize=256)
def named(path: Path, city: str, version: int = 0, other: int = 0, table: str = "") -> Mapping[str, bytes]:
    """Return the statements of a `.sql` file for a city and for one version of its table (`_M`: another one)."""
    text = path.read_text(encoding="utf-8")
    text = text.replace("TABLE_N", f"{table}_{version}").replace("TABLE_M", f"{table}_{other}")
    text = text.replace("_N", f"_{version}").replace("_M", f"_{other}")
    return recorder.statements(text, city)


SQL = Path(__file__).with_suffix(".sql")


# --- sessions ----------------------------------------------------------------------------------------------------


def pool(dsn: str, settings: Mapping[str, str], sessions: int) -> AsyncConnectionPool[Connection]:
    """Return a pool, not yet open, whose sessions have these settings."""
    said = conninfo_to_dict(dsn).get("options") or ""
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    arguments = {
        "autocommit": True,
        "cursor_factory": AsyncRawCursor,
        "options": f"{said} {options}".strip(),
        "application_name": "huiyin projections",
        "connect_timeout": 10,
    }
    return AsyncConnectionPool(dsn, min_size=0, max_size=sessions, open=False, timeout=10, kwargs=arguments)


@contextlib.asynccontextmanager
async def session(of: AsyncConnectionPool[Connection]) -> AsyncIterator[Connection]:
    """Lend a session. Raises Unavailable where there is no database to ask."""
    try:
        async with of.connection() as connection:
            yield connection
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
        raise Unavailable(f"{type(error).__name__}: {error}") from error


class Entered:
    """What has sessions of its own, and is entered once the tables are there that it keeps."""

    def __init__(self, dsn: str, settings: Mapping[str, str], sessions: int = 4) -> None:
        self._pool = pool(dsn, settings, sessions)

    async def __aenter__(self) -> Self:
        await self._pool.open()
        try:
            await self._create()
        except BaseException:
            await self._pool.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    async def _create(self) -> None:
        """Make what is missing; several may at once."""


async def rows(connection: Connection, statement: bytes, *parameters: object) -> list[tuple[Any, ...]]:
    """Return the rows of a statement."""
    cursor = AsyncRawCursor(connection)
    cursor.format = Format.BINARY
    return await (await cursor.execute(statement, parameters or None)).fetchall()


async def run(connection: Connection, statement: bytes, *parameters: object) -> int:
    """Run a statement that returns no rows, or several of them without parameters; return how many rows it changed."""
    if parameters:
        return (await AsyncRawCursor(connection).execute(statement, parameters)).rowcount
    changed = 0
    for one in statement.split(b";"):
        changed = (await AsyncRawCursor(connection).execute(one)).rowcount
    return changed


# --- the law of a position ---------------------------------------------------------------------------------------


class _Laws:
    """The institution's fold at any position. Kept at the few positions asked for last: pages ask in order."""

    def __init__(self, codec: Codec, statement: bytes) -> None:
        self._codec = codec
        self._read = statement
        self._stored: list[StoredEntry] = []
        self._positions: list[int] = []
        self._complete = 0  # up to this position nothing is missing
        self._kept: dict[int, Law] = {0: Law()}  # by the number of entries folded
        self._turn = asyncio.Lock()

    async def at(self, connection: Connection, position: int) -> Law:
        """Return the law as the entries up to a position make it; the same object while it does not change."""
        async with self._turn:
            await self._read_on(connection, position)
        return self._folded(bisect_right(self._positions, position))

    async def _read_on(self, connection: Connection, position: int) -> None:
        if position > self._complete:
            found = await rows(connection, self._read, [institution.STREAM], [len(self._stored)])
            self._stored += (StoredEntry(institution.STREAM, *row[1:]) for row in found)
            self._positions = [entry.position for entry in self._stored]
            self._complete = max(position, self._positions[-1] if self._positions else 0)

    def _folded(self, count: int) -> Law:
        law = self._kept.get(count)
        if law is None:
            start = max(known for known in self._kept if known <= count)
            law = self._kept[start]
            for stored in self._stored[start:count]:
                law = institution.evolve(law, _entry(self._codec, stored))
            self._kept[count] = law
            for known in sorted(self._kept)[1:-4]:
                del self._kept[known]
        return law


def _entry(codec: Codec, stored: StoredEntry) -> Entry:
    try:
        return codec.entry(stored)
    except Exception as error:
        raise Poison(error, stored.position) from error


# --- the engine --------------------------------------------------------------------------------------------------


class Engine:
    """The projections of one city, in one process and one event loop."""

    def __init__(self, dsn: str, city: str, projections: Iterable[Projection], *, page: int = PAGE) -> None:
        self.city = city
        self.projections = {projection.name: projection for projection in projections}
        self._page = page
        self._sql = named(SQL, city)
        self._ledger = recorder.statements(recorder.SQL, city)
        self._codec = Codec(KINDS)
        self._laws = _Laws(self._codec, self._ledger["read_streams"])
        # Following walks along indexes, as the ledger does, and must not be planned on a table's first, empty days.
        self._work = pool(dsn, recorder.SESSION, 8)
        self._dsn = dsn
        self._turn = asyncio.Lock()  # of those who follow; whoever makes again is kept apart by rows
        self._range = RANGE
        self._keeping = Keeping()
        self._holder = ""  # the worker that this is, while it is one
        self._said_at = 0.0
        self._tries: dict[tuple[str, int, int], tuple[int, float]] = {}  # of blocked tables: how often, and when again

    async def open(self) -> None:
        """Open the sessions; make the tables that are missing. Raises NotInitialised where the city has no ledger."""
        await self._work.open()
        try:
            async with session(self._work) as connection:
                await self._found(connection)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close every session."""
        await self._work.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def sql_of(self, name: str, version: int, other: int = 0) -> Mapping[str, bytes]:
        """Return the statements of one version of a projection's table."""
        return named(self.projections[name].sql, self.city, version, other)

    async def _found(self, connection: Connection) -> None:
        """Make what is missing. Of those who come at once one makes each thing; the others look again."""
        for _ in range(20):
            with contextlib.suppress(*MADE_MEANWHILE):
                await self._make(connection)
                return
            await asyncio.sleep(0.05)
        await self._make(connection)

    async def _make(self, connection: Connection) -> None:
        if not (await rows(connection, self._sql["exists"], f"{self.city}_projections"))[0][0]:
            try:
                await run(connection, self._sql["create"])
            except (psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedTable) as error:
                raise NotInitialised(self.city) from error
        if not (await rows(connection, self._sql["keeps_leases"], f"{self.city}_projections"))[0][0]:
            async with connection.transaction():
                await run(connection, self._sql["keep_leases"])
        known = {version.name for version in await self._versions(connection)}
        for projection in self.projections.values():
            if projection.name in known:
                continue
            async with connection.transaction():
                if await rows(connection, self._sql["begin_first"], projection.name, projection.form):
                    await self._create_table(connection, projection.name, 1)
                    await run(connection, self.sql_of(projection.name, 1)["index"])
                    await run(connection, self._sql["activate"], projection.name, 1)

    async def _create_table(self, connection: Connection, name: str, version: int) -> None:
        await run(connection, self.sql_of(name, version)["create"])

    async def _versions(self, connection: Connection) -> list[Version]:
        return sorted(Version(*row) for row in await rows(connection, self._sql["versions"]))

    async def _head(self, connection: Connection) -> tuple[int, datetime]:
        try:
            found = await rows(connection, self._ledger["read_head"])
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
            raise NotInitialised(self.city) from error
        if not found:
            raise NotInitialised(self.city)
        return found[0][0], found[0][1]

    async def law_at(self, position: int) -> Law:
        """Return the law as the ledger had it at a position."""
        async with session(self._work) as connection:
            return await self._laws.at(connection, position)

    # --- following -----------------------------------------------------------------------------------------------

    async def follow_once(self) -> Followed:
        """Take in one page for each table that is behind. Tables that another follower holds are left to it.

        A table that cannot take in an event says so, in `versions` and in the answer; the others go on.
        """
        applied = 0
        async with self._turn, session(self._work) as connection:
            head, _ = await self._head(connection)
            for start, group in self._groups(await self._versions(connection), head):
                limit = 1 if any(version.blocked_at is not None for version in group) else self._page
                applied += await self._advance(connection, group, start, min(start + limit, head))
            after = [v for v in await self._versions(connection) if v.name in self.projections]
        active = [v for v in after if v.active]
        blocked = [*map(_sentence, (v for v in active if v.blocked_at is not None)), *self._outdated(after)]
        return Followed(min((v.position for v in active), default=0), head, applied, tuple(blocked))

    async def keep_following(self, holder: str, *, idle: float = 0.2) -> None:
        """Follow until cancelled, as the one worker whom others leave the tables to while it lives.

        `holder` names it, and nobody else. A database that is away, and a table that is blocked, are tried again after
        a pause that doubles up to a bound; a worker that starts anew tries a blocked table at once.
        """
        self._holder, pause = holder, idle
        try:
            while True:
                try:
                    followed = await self.follow_once()
                    if not followed.applied:
                        await self._keep_leases()
                    # Who has caught up rests: a page of three events costs about what one of a hundred does.
                    if not followed.applied or followed.position >= followed.head:
                        await asyncio.sleep(idle)
                    pause = idle
                except Unavailable:
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE)
        finally:
            self._holder = ""
            with contextlib.suppress(Unavailable):
                async with session(self._work) as connection:
                    await run(connection, self._sql["release"], holder)

    async def _keep_leases(self) -> None:
        """Say that the worker lives: often enough that nobody takes it for dead, and no oftener."""
        now = asyncio.get_running_loop().time()
        if now > self._said_at + LEASE / 4:
            async with session(self._work) as connection:
                await run(connection, self._sql["keep"], self._holder, LEASE)
            self._said_at = now

    async def follow_until(self, position: int | None = None, progress: Progress | None = None) -> Followed:
        """Follow until every active table has reached a position; wait for one that is not yet written.

        Raises ProjectionBlocked or ProjectionOutdated for a table that cannot reach it. Without a position, follow to
        what is now the ledger's end, each table as far as it can; the answer says which one stopped.
        """
        promised, end = position is not None, position
        while True:
            followed = await self.follow_once()
            end = followed.head if end is None else end
            if progress is not None:
                progress(min(followed.position, end), end)
            if followed.position >= end:
                return followed
            if followed.blocked:
                async with session(self._work) as connection:
                    behind = [v for v in await self._versions(connection) if self._is_behind(v, end)]
                if promised:
                    self._refuse_stopped(behind)
                elif all(v.blocked_at is not None or not self._current(v) for v in behind):
                    return followed
            if not followed.applied:
                await asyncio.sleep(0.02)

    def _is_behind(self, version: Version, position: int) -> bool:
        return version.active and version.position < position and version.name in self.projections

    def _refuse_stopped(self, behind: Iterable[Version]) -> None:
        for version in behind:
            if not self._current(version):
                raise ProjectionOutdated(version.name)
            if version.blocked_at is not None:
                raise ProjectionBlocked(_sentence(version), position=version.blocked_at)

    def _groups(self, versions: Sequence[Version], head: int) -> list[tuple[int, list[Version]]]:
        """Return the tables that are behind, together where they stand at the same position and none is blocked."""
        behind = [v for v in versions if v.state == "following" and v.position < head and self._current(v)]
        behind = [v for v in behind if v.blocked_at is None or self._is_due(v)]
        behind.sort(key=lambda v: (v.position, v.blocked_at is not None, v.name, v.version))
        return [
            (key[0], list(group)) for key, group in groupby(behind, lambda v: (v.position, v.blocked_at is not None))
        ]

    def _is_due(self, version: Version) -> bool:
        """Tell whether a blocked table is tried again; who comes once always tries, a worker waits ever longer."""
        if not self._holder:
            return True
        now = asyncio.get_running_loop().time()
        tries, due = self._tries.get((version.name, version.version, version.position), (0, now))
        if now < due:
            return False
        pause = min(0.5 * 2**tries, LONGEST_PAUSE * 6)
        self._tries[version.name, version.version, version.position] = tries + 1, now + pause
        return True

    def _current(self, version: Version) -> bool:
        known = self.projections.get(version.name)
        return known is not None and known.form == version.form

    def _outdated(self, versions: Iterable[Version]) -> list[str]:
        return [
            f"{v.name}: {ProjectionOutdated().sentence}"
            for v in versions
            if v.active and v.name in self.projections and not self._current(v)
        ]

    async def _advance(self, connection: Connection, group: Sequence[Version], after: int, upto: int) -> int:
        """Take in a page, or as much of it as can be; return how many events. What cannot be taken in blocks its table.

        A failing page is tried table by table, then in halves, down to the one commit that fails.
        """
        while True:
            upto = (await rows(connection, self._sql["whole_commits"], after, upto))[0][0]
            kept: dict[str, Kept] = {}
            try:
                async with connection.transaction():
                    leases = await self._take(connection, group, after)
                    if leases:
                        await self._take_in(connection, leases, kept, after, upto)
                if not leases:
                    return 0
                self._keeping.committed([lease.written for lease in leases], upto, kept)
                return upto - after
            except (psycopg.OperationalError, psycopg.InterfaceError):
                raise
            except Exception as error:  # whatever a fold or a row runs into is poison, and is shown
                if connection.closed or connection.broken:  # whatever it says, it is the session that failed
                    raise psycopg.OperationalError(str(error)) from error
                if len(group) > 1:
                    return max([await self._advance(connection, [version], after, upto) for version in group])
                first = (await rows(connection, self._sql["whole_commits"], after, after + 1))[0][0]
                if first >= upto:
                    await self._block(connection, group[0], after, error)
                    return 0
                upto = max(first, (after + upto) // 2)

    async def _block(self, connection: Connection, version: Version, after: int, error: Exception) -> None:
        at = error.at if isinstance(error, Poison) and error.at is not None and error.at > after else after + 1
        said = str(error) if isinstance(error, Poison) else f"{type(error).__name__}: {error}"
        await run(connection, self._sql["block"], version.name, version.version, after, at, said[:1000])

    async def _take(self, connection: Connection, group: Sequence[Version], after: int) -> list[_Lease]:
        """Take the leases of tables that stand at a position; those that another one has are left to it."""
        names, versions = [version.name for version in group], [version.version for version in group]
        found = await rows(connection, self._sql["take"], names, versions, after, self._holder)
        return [_Lease(n, v, token, self._keeping.written(n, v, after)) for n, v, token in sorted(found)]

    async def _take_in(
        self, connection: Connection, leases: Sequence[_Lease], kept: dict[str, Kept], after: int, upto: int
    ) -> None:
        """Write what a page changes, and move the checkpoints. What is written goes out while the next is folded."""
        loop = asyncio.get_running_loop()
        began, writing = loop.time(), asyncio.create_task(_nothing())
        async with session(self._work) as reading:
            before, law = await self._laws.at(reading, after), await self._laws.at(reading, upto)
            kinds = frozenset[str]().union(*(self.projections[lease.name].kinds for lease in leases))
            fresh = await self._page_of(reading, kinds, after, upto)
            streams, reached = set(fresh), reach(before, law)
            if reached:
                streams |= await self._reached(reading, leases, reached, upto)
            try:
                for some in _batches(sorted(streams)):
                    changing = asyncio.create_task(self._changed(reading, leases, kept, some, fresh, upto, law))
                    changes = await self._awake(connection, changing, writing)
                    await writing
                    writing = asyncio.create_task(self._write(connection, changes))
                await writing
            except asyncio.CancelledError:
                writing.cancel()
                raise
            finally:
                await asyncio.wait([writing])  # the session is no one else's until then
        moving = [[lease[part] for lease in leases] for part in range(3)]
        held = LEASE if self._holder else 0.0
        rate = (upto - after) / max(loop.time() - began, 1e-6)
        if await run(connection, self._sql["move"], *moving, after, upto, held, rate) != len(leases):
            raise AssertionError("a leased checkpoint moved")

    async def _awake(self, connection: Connection, changing: asyncio.Task[T], writing: asyncio.Task[None]) -> T:
        """Return what a thread makes meanwhile; a session whose transaction idles for long would be ended."""
        try:
            while not (await asyncio.wait([changing], timeout=AWAKE))[0]:
                if writing.done():
                    await rows(connection, self._sql["awake"])
        except asyncio.CancelledError:
            changing.cancel()
            raise
        return changing.result()

    async def _page_of(
        self, connection: Connection, kinds: Iterable[str], after: int, upto: int
    ) -> dict[str, list[Entry]]:
        """Return the entries of cases, and of other records that tables are about, in a page, by stream."""
        found = await rows(connection, self._sql["read_page"], after, upto, sorted(kinds))
        fresh: dict[str, list[Entry]] = {}
        for entry in await asyncio.to_thread(lambda: [entry_of(self._codec, row) for row in found]):
            fresh.setdefault(entry.stream, []).append(entry)
        return fresh

    async def _changed(
        self,
        reading: Connection,
        leases: Sequence[_Lease],
        kept: dict[str, Kept],
        streams: Sequence[str],
        fresh: Mapping[str, Sequence[Entry]],
        upto: int,
        law: Law,
    ) -> list[_Change]:
        """Return what some streams change in each table; folded in a thread, so that the rows before go out meanwhile."""
        told = {stream: self._told(fresh.get(stream, ())) for stream in streams}
        unread = [stream for stream, at_hand in told.items() if at_hand is None]
        found = await rows(reading, self._sql["read_cases"], unread, upto) if unread else []
        new = {stream for stream, own in fresh.items() if own[0].version == 1}
        written = [await self._written(reading, lease, told, new) for lease in leases]

        def made() -> list[_Change]:
            cases = dict[str, Case | Beside]()
            read = [(None, own) for own in self._by_stream(found)]
            for before, own in (*(one for one in told.values() if one is not None), *read):
                state = folded(own) if before is None else folded_on(before.state, own)
                if state is not None:
                    cases[own[0].stream] = record_of(own[0].stream, state, own[-1].position, law)
                    if may_go_on(own):
                        kept[own[0].stream] = Kept(state, own[-1].version, {})
            return [self._change(*one, kept, cases, new) for one in zip(leases, written, strict=True)]

        return await asyncio.to_thread(made)

    async def _written(
        self, reading: Connection, lease: _Lease, told: Mapping[str, _Told | None], new: AbstractSet[str]
    ) -> dict[str, Sequence[Any]] | None:
        """Return the rows that a table has of some streams; None where they say which entry their case is at."""
        projection, sql = self.projections[lease.name], self.sql_of(lease.name, lease.version)
        if "of_orders" not in sql:
            return None
        had: dict[str, Sequence[Any]] = {}
        theirs = {stream: at_hand for stream, at_hand in told.items() if kind_of(stream) in projection.kinds}
        for stream, at_hand in theirs.items():
            before = None if at_hand is None else at_hand[0]
            if stream in new:
                had[stream] = ()
            elif before is not None and lease.written in before.rows:
                had[stream] = before.rows[lease.written]
        asked = {UUID(stream.partition(":")[2]): stream for stream in theirs if stream not in had}
        if asked:
            read: dict[str, list[Any]] = {stream: [] for stream in asked.values()}
            for row in await rows(reading, sql["of_orders"], list(asked)):
                read[asked[row[0]]].append(projection.row(*row))
            had.update(read)
        return had

    def _told(self, own: Sequence[Entry]) -> _Told | None:
        """Return what a case is before its fresh entries, with them; None where its stream has to be read."""
        before = self._keeping.before(own[0].stream, own[0]) if own and goes_on(own) else None
        return (before, own) if before is not None or (own and own[0].version == 1) else None

    def _change(
        self,
        lease: _Lease,
        written: Mapping[str, Sequence[Any]] | None,
        kept: dict[str, Kept],
        cases: Mapping[str, Case | Beside],
        new: AbstractSet[str],
    ) -> _Change:
        """Return what some cases change in one table: only the rows that differ from what is written."""
        projection = self.projections[lease.name]
        change = _Change(self.sql_of(lease.name, lease.version), [], [], [], b"")
        coming = list[Any]()
        for stream, case in cases.items():
            if kind_of(stream) not in projection.kinds:
                continue
            made: Sequence[Any] = derived(projection, case)
            if written is None:
                change.cases.extend(() if stream in new else (case.id,))
                coming += made
                continue
            if stream in kept:
                kept[stream] = kept[stream]._replace(rows={**kept[stream].rows, lease.written: made})
            there, wanted = _by_no(written[stream]), _by_no(made)
            gone = [no for no, row in there.items() if wanted.get(no) != row]
            change.numbers.extend(gone)
            change.ids.extend([case.id] * len(gone))
            coming += [row for no, row in wanted.items() if there.get(no) != row]
        return change._replace(packed=packer(projection.row).pack(coming))

    async def _write(self, connection: Connection, changes: Iterable[_Change]) -> None:
        for change in changes:
            if change.cases:
                await run(connection, change.sql["delete"], change.cases)
            if change.ids:
                await run(connection, change.sql["delete_rows"], change.ids, change.numbers)
            if change.packed:
                await self._copy(connection, change.sql["copy"], change.packed)

    async def _copy(self, connection: Connection, statement: bytes, packed: bytes) -> None:
        async with AsyncRawCursor(connection).copy(statement) as copy:
            for part in (HEAD, packed, TAIL):
                await copy.write(part)

    async def _reached(
        self, connection: Connection, held: Iterable[Version | _Lease], reached: Reach, upto: int
    ) -> set[str]:
        """Return the streams of the cases, and other records, that a change of law reaches."""
        kinds = frozenset[str]().union(*(self.projections[version.name].kinds for version in held))
        if reached.everything:
            return {s for kind in kinds async for some in self._all_of(connection, kind, upto) for s in some}
        found: set[tuple[str, UUID]] = set()  # what a table says no kind of is a case
        for version in held:
            sql = self.sql_of(version.name, version.version)
            for since, kept in ((reached.due_from, kinds), (reached.beside_from, kinds - {ORDERS})):
                if since is not None and kept:
                    due = await rows(connection, sql["reached"], since)
                    found.update(one for row in due if (one := (next(iter(row[1:]), ORDERS), row[0]))[0] in kept)
            if reached.units and "reached_by_units" in sql:
                found.update((ORDERS, row[0]) for row in await rows(connection, sql["reached_by_units"]))
            if reached.outages and "reached_by_outages" in sql:
                began, ended = zip(*reached.outages, strict=True)
                met = await rows(connection, sql["reached_by_outages"], list(began), list(ended))
                found.update((next(iter(row[1:]), ORDERS), row[0]) for row in met)
        return {f"{kind}:{record}" for kind, record in found}

    async def _all_of(self, connection: Connection, kind: str, upto: int) -> AsyncIterator[list[str]]:
        """Yield the streams of a kind that were born by a position, in the order of ids."""
        last, end = span_of(kind)
        while True:
            found = await rows(connection, self._sql["cases_from"], last, end, upto, BATCH)
            if not found:
                return
            yield [row[0] for row in found]
            last = found[-1][0]

    async def _cases(self, connection: Connection, streams: Sequence[str], upto: int, law: Law) -> list[Case]:
        """Return the cases of some streams as their entries up to a position make them."""
        found = await rows(connection, self._sql["read_cases"], list(streams), upto)
        whole = self._by_stream(found)
        return [Case(state, own[-1].position, law) for own in whole if (state := folded(own)) is not None]

    def _by_stream(self, found: Iterable[Sequence[Any]]) -> list[list[Entry]]:
        """Return the entries of rows that lie in the order of streams."""
        entries = (entry_of(self._codec, row) for row in found)
        return [list(own) for _, own in groupby(entries, lambda entry: entry.stream)]

    # --- making again --------------------------------------------------------------------------------------------

    async def rebuild(
        self, *names: str, jobs: int = 1, progress: Progress | None = None, compare: bool = False
    ) -> tuple[Rebuilt, ...]:
        """Make tables again from the first event, then switch to them; without names, all. The old ones serve meanwhile.

        With `jobs`, in several processes. With `compare`, rows that the old table had otherwise are counted before the
        switch: followed and made again must be the same. The old table follows on, for `rollback`, until it is dropped.
        Raises ProjectionBlocked (the old tables stay), RebuildOvertaken, RebuildBroken, Unavailable.
        """
        chosen = [self.projections[name] for name in names or self.projections]
        made: dict[str, int] = {}
        async with session(self._work) as connection:
            head, _ = await self._head(connection)
            for projection in chosen:
                await self._drop_leftovers(connection, projection.name)
                made[projection.name] = await self._begin(connection, projection)
        filled = await self._fill(made, head, jobs, progress)
        turns = asyncio.Semaphore(jobs)

        async def finish(name: str, version: int) -> None:
            async with turns, session(self._work) as connection:
                await self._finish(connection, name, version, head)

        await asyncio.gather(*(finish(name, version) for name, version in made.items()))
        async with session(self._work) as connection:
            results = [await self._switch(connection, name, version, compare) for name, version in made.items()]
        return tuple(
            Rebuilt(name, version, position, filled.cases[name], filled.rows[name], differences)
            for (name, version), (position, differences) in zip(made.items(), results, strict=True)
        )

    async def rollback(self, name: str) -> Rebuilt:
        """Read again from the table that was switched away from last, as soon as it stands where the present one does.

        The present one follows on. Raises NothingToGoBackTo, ProjectionBlocked.
        """
        async with session(self._work) as connection:
            versions = [v for v in await self._versions(connection) if v.name == name and v.state == "following"]
            others = [v for v in versions if not v.active and self._current(v)]
            if not others:
                raise NothingToGoBackTo(name)
            position, _ = await self._switch(connection, name, others[-1].version, compare=False)
        return Rebuilt(name, others[-1].version, position, 0, 0, None)

    async def drop(self, *names: str) -> None:
        """Drop the tables that are kept to go back to, and what an interrupted rebuild left; without names, of all."""
        async with session(self._work) as connection:
            for name in names or self.projections:
                await self._drop_leftovers(connection, name)

    async def _drop_leftovers(self, connection: Connection, name: str) -> None:
        """Drop what an interrupted rebuild left and what is no longer read. What a reader still holds waits for the next."""
        with contextlib.suppress(psycopg.errors.LockNotAvailable):
            async with connection.transaction():  # which table is read is looked at when nobody can switch any more
                await rows(connection, self._sql["lock"], name)
                await run(connection, self._sql["retire_others"], name)
            async with connection.transaction():
                await run(connection, self._sql["short_wait"])
                for (version,) in await rows(connection, self._sql["leftovers"], name):
                    await run(connection, self.sql_of(name, version)["drop"])
                    await run(connection, self._sql["dropped"], name, version)

    async def _begin(self, connection: Connection, projection: Projection) -> int:
        async with connection.transaction():
            found = await rows(connection, self._sql["begin_version"], projection.name, projection.form)
            await self._create_table(connection, projection.name, found[0][0])
            return found[0][0]

    async def _fill(self, made: Mapping[str, int], head: int, jobs: int, progress: Progress | None) -> Done:
        """Write the rows of every case; return how many there are."""
        law = await self.law_at(head)
        tables = {n: (self.projections[n], v, self.sql_of(n, v)["copy"]) for n, v in made.items()}
        task = Task(self._dsn, {name: self._sql[name].decode() for name in _OF_FILLING}, tables, head)
        so_far = [Done(0, dict.fromkeys(made, 0), dict.fromkeys(made, 0))]

        def told(done: Done) -> None:
            before = so_far[0]
            cases, rows = (
                {name: one[name] + more[name] for name in made}
                for one, more in ((before.cases, done.cases), (before.rows, done.rows))
            )
            so_far[0] = Done(before.events + done.events, cases, rows)
            if progress is not None:
                progress(min(so_far[0].events, head), head)

        ranges: Ranges | None = None
        try:
            kinds = frozenset[str]().union(*(self.projections[name].kinds for name in made))
            ranges = await asyncio.to_thread(Ranges, task, self._range, kinds)
            working = asyncio.ensure_future(asyncio.to_thread(fill_all, task, law, self._codec, ranges, jobs, told))
            try:
                await asyncio.shield(working)
            except asyncio.CancelledError:
                ranges.stop()
                await asyncio.wait([working])
                raise
        except Poison as error:
            raise ProjectionBlocked(f"position {error.at}: {error}") from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from error
        except Broken as error:
            raise RebuildBroken from error
        finally:
            if ranges is not None:
                ranges.close()
        if progress is not None:
            progress(head, head)
        return so_far[0]

    async def _finish(self, connection: Connection, name: str, version: int, position: int) -> None:
        async with connection.transaction():
            await run(connection, self._sql["no_time_limit"])
            await run(connection, self._sql["much_memory"])
            await run(connection, self.sql_of(name, version)["index"])
            await run(connection, named(SQL, self.city, version, table=name)["analyze"])
            if await run(connection, self._sql["built"], name, version, position) != 1:
                raise RebuildOvertaken(name)

    async def _switch(self, connection: Connection, name: str, version: int, compare: bool) -> tuple[int, int | None]:
        """Follow with the new table until it has caught up with the old one, then read from it: one UPDATE."""
        while True:
            versions = {v.version: v for v in await self._versions(connection) if v.name == name}
            if version not in versions or versions[version].state != "following":
                raise RebuildOvertaken(name)
            new, old = versions[version], next(v for v in versions.values() if v.active)
            sound = old.blocked_at is None and self._current(old)
            compare = compare and sound
            if new.blocked_at is not None and new.position < old.position:
                raise ProjectionBlocked(_sentence(new), position=new.blocked_at)
            if new.position < old.position or (compare and new.position != old.position):
                behind = min(new, old, key=lambda v: v.position)
                upto = min(behind.position + self._page, max(new.position, old.position))
                if not await self._advance(connection, [behind], behind.position, upto):
                    await asyncio.sleep(0.02)  # another follower holds it
                continue
            differences: int | None = None
            try:
                async with connection.transaction():
                    await rows(connection, self._sql["lock"], name)
                    versions = {v.version: v for v in await self._versions(connection) if v.name == name}
                    if version not in versions or versions[version].state != "following":
                        raise RebuildOvertaken(name)
                    new, stood = versions[version], versions.get(old.version)
                    if stood is None or not stood.active or new.position < stood.position:
                        continue  # somebody else switched or followed meanwhile
                    if compare and new.position != stood.position:
                        continue
                    if compare:
                        differences = await self._differences(connection, name, version, old.version)
                    await run(connection, self._sql["activate"], name, version)
                    if not sound:  # nobody could go back to it
                        await run(connection, self._sql["retire"], name, old.version)
            except psycopg.errors.LockNotAvailable:
                continue  # a follower is at a page that takes long
            return new.position, differences

    async def _differences(self, connection: Connection, name: str, version: int, other: int) -> int:
        await run(connection, self._sql["no_time_limit"])
        return (await rows(connection, self.sql_of(name, version, other)["differences"]))[0][0]

    async def differing(self, name: str, most: int = 20) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Return rows that the table which is read has otherwise than the one kept beside it, side by side; `{}`: none.

        Raises NothingToGoBackTo where there is none beside it.
        """
        async with session(self._work) as connection:
            versions = [v for v in await self._versions(connection) if v.name == name and v.state == "following"]
            read = next((v.version for v in versions if v.active), 0)
            beside = [v.version for v in versions if not v.active]
            if not beside or not read:
                raise NothingToGoBackTo(name)
            await run(connection, self._sql["no_time_limit"])
            found = await rows(connection, named(SQL, self.city, read, beside[-1], name)["differing"], most)
        pairs: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for is_read, row in found:
            key = tuple(row.get(column) for column in _NAMING)
            pairs.setdefault(key, [{}, {}])[0 if is_read else 1] = row
        return [(one, other) for one, other in pairs.values()]

    # --- saying where it stands ----------------------------------------------------------------------------------

    async def status(self) -> tuple[Status, ...]:
        """Return where each table stands; the same is in the view `progress`, for whoever has only SQL."""
        async with session(self._work) as connection:
            await self._head(connection)
            found = await rows(connection, self._sql["progress"])
        return tuple(self._status(*row) for row in found if row[0] in self.projections)

    def _status(
        self,
        name: str,
        version: int,
        active: bool,
        state: str,
        position: int,
        lag: int,
        lag_seconds: float,
        rate: float,
        blocked_at: int | None,
        error: str,
        tries: int,
        form: int,
        holder: str,
        held: bool,
        moved_at: datetime,
    ) -> Status:
        return Status(
            name=name,
            version=version,
            active=active,
            state=state,
            position=position,
            head=position + lag,
            lag=lag,
            lag_seconds=max(0.0, lag_seconds),
            rate=rate,
            blocked_at=blocked_at,
            error=error,
            tries=tries,
            holder=holder if held else "",
            outdated=self.projections[name].form != form,
            moved_at=moved_at,
        )


_NAMING = ("id", "order_id", "record_id", "matter_id", "stream", "kind", "unit", "no", "name", "key")
"""Columns that tell rows of one table apart, where it has them."""

MADE_MEANWHILE = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.DuplicateTable,
    psycopg.errors.DuplicateObject,
    psycopg.errors.InternalError_,  # a row of the catalogue was changed at the same time
    psycopg.errors.DeadlockDetected,
    psycopg.errors.LockNotAvailable,  # the one who makes it takes long
)
_OF_FILLING = ("copy_range", "range_end", "lock_to_build", "read_institution")


async def _nothing() -> None:
    """Be what is awaited before anything is written."""


def _sentence(version: Version) -> str:
    return f"{version.name}: blocked at position {version.blocked_at}: {version.error}"


def _by_no(rows: Iterable[Any]) -> dict[int, Any]:
    """Return a case's rows by their number; a table of one row a case has none."""
    return {getattr(row, "no", 1): row for row in rows}


def _batches(streams: Sequence[str]) -> Iterable[Sequence[str]]:
    return (streams[start : start + BATCH] for start in range(0, len(streams), BATCH))


def column_types(projection: Projection) -> tuple[str, ...]:
    """Return the types of a table's columns, from its row's fields."""
    return packer(projection.row).types
