"""推进. How tables follow the ledger, are made again, and change places.

A projection has numbered versions, each a table `<name>_<version>` with a checkpoint of its own; `active` says which
one is read. A page of events is derived and written in one transaction with the checkpoint, which its row's lock lets
only one follower do; a page never cuts a commit in two. Versions that stand at the same position go on together, so
that a case is read and folded once for all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, Self
from uuid import UUID

import msgspec
import psycopg
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Format
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from domain import institution, order, recorder
from domain.kinds import KINDS
from domain.law import Law
from domain.refusals import NotInitialised, Refusal, Unavailable
from domain.stored import Codec, StoredEntry
from domain.terms import Entry
from projections.case import Case, Projection, Reach, reach

Connection = AsyncConnection[Any]
Progress = Callable[[int, int], None]
"""Told how many events of how many have been read."""

PAGE = 2000
BATCH = 500
"""Cases that are folded at once: what bounds memory, whatever a page or a change of law touches."""

CASES = f"{order.KIND.name}:"
AFTER_CASES = f"{order.KIND.name};"  # the character after the colon: every case's stream is before it
_COLUMNS: Mapping[Any, str] = {str: "text", int: "int8", bool: "bool", datetime: "timestamptz", UUID: "uuid"}


class ProjectionBlocked(Refusal):
    """投影停在无法解读的事件前，未跳过任何内容。A projection stands before an event it cannot take in; nothing was skipped."""


class ProjectionOutdated(Refusal):
    """数据表由另一版本的程序生成，请重建。The table was made by another release: run `huiyin rebuild`."""


class RebuildOvertaken(Refusal):
    """另一次重建已接手。Another rebuild of the same projection has begun and taken this one's place."""


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
    """One table as an operator sees it. `lag` counts events, `lag_seconds` from the checkpoint's to the last one's."""

    name: str
    version: int
    active: bool
    state: str
    position: int
    head: int
    lag: int
    lag_seconds: float
    blocked_at: int | None
    error: str
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


class _Poison(Exception):
    """Something between (after, upto] cannot be taken in; `at` is the position, where it is known."""

    def __init__(self, cause: BaseException, at: int | None = None) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}")
        self.at = at


@lru_cache(maxsize=256)
def named(path: Path, city: str, version: int = 0, other: int = 0) -> Mapping[str, bytes]:
    """Return the statements of a `.sql` file for a city and for one version of its table (`_M`: another one)."""
    text = path.read_text(encoding="utf-8").replace("_N", f"_{version}").replace("_M", f"_{other}")
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
                law = institution.evolve(law, entry_of(self._codec, stored))
            self._kept[count] = law
            for known in sorted(self._kept)[1:-4]:
                del self._kept[known]
        return law


def entry_of(codec: Codec, stored: StoredEntry) -> Entry:
    """Return a stored entry decoded. Raises _Poison with its position."""
    try:
        return codec.entry(stored)
    except Exception as error:
        raise _Poison(error, stored.position) from error


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
        self._work = pool(dsn, recorder.SESSION, 4)
        self._turn = asyncio.Lock()  # of those who follow; whoever makes again is kept apart by rows

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
        if not (await rows(connection, self._sql["exists"], f"{self.city}_projections"))[0][0]:
            try:
                await run(connection, self._sql["create"])
            except (psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedTable) as error:
                raise NotInitialised(self.city) from error
            except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateTable):
                await run(connection, self._sql["create"])  # two at once: the other one has made the first of them
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
        blocked = [*map(_sentence, (v for v in after if v.blocked_at is not None)), *self._outdated(after)]
        active = [v.position for v in after if v.active]
        return Followed(min(active, default=0), head, applied, tuple(blocked))

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
        behind.sort(key=lambda v: (v.position, v.blocked_at is not None, v.name, v.version))
        return [
            (key[0], list(group)) for key, group in groupby(behind, lambda v: (v.position, v.blocked_at is not None))
        ]

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
            try:
                async with connection.transaction():
                    return await self._take_in(connection, group, after, upto)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                raise
            except Exception as error:  # noqa: BLE001  whatever a fold or a row runs into is poison, and is shown
                if len(group) > 1:
                    return max([await self._advance(connection, [version], after, upto) for version in group])
                first = (await rows(connection, self._sql["whole_commits"], after, after + 1))[0][0]
                if first >= upto:
                    await self._block(connection, group[0], after, error)
                    return 0
                upto = max(first, (after + upto) // 2)

    async def _block(self, connection: Connection, version: Version, after: int, error: Exception) -> None:
        at = error.at if isinstance(error, _Poison) and error.at is not None and error.at > after else after + 1
        said = str(error) if isinstance(error, _Poison) else f"{type(error).__name__}: {error}"
        await run(connection, self._sql["block"], version.name, version.version, after, at, said[:1000])

    async def _take_in(self, connection: Connection, group: Sequence[Version], after: int, upto: int) -> int:
        held = [
            version
            for version in group
            if await rows(connection, self._sql["lock_to_follow"], version.name, version.version, after)
        ]
        if not held:
            return 0
        before, law = await self._laws.at(connection, after), await self._laws.at(connection, upto)
        touched = await rows(connection, self._sql["touched"], after, upto, CASES, AFTER_CASES)
        streams = {row[0] for row in touched}
        reached = reach(before, law)
        if reached:
            streams |= await self._reached(connection, held, reached, upto)
        for some in _batches(sorted(streams)):
            cases = await self._cases(connection, some, upto, law)
            ids = [UUID(stream.removeprefix(CASES)) for stream in some]
            for version in held:
                sql = self.sql_of(version.name, version.version)
                await run(connection, sql["delete"], ids)
                await self._copy(connection, version.name, sql["copy"], cases)
        for version in held:
            if await run(connection, self._sql["move"], version.name, version.version, after, upto) != 1:
                raise AssertionError("a locked checkpoint moved")
        return upto - after

    async def _reached(self, connection: Connection, held: Iterable[Version], reached: Reach, upto: int) -> set[str]:
        """Return the streams of the cases that a change of law reaches."""
        if reached.everything:
            return {stream async for some in self._all_cases(connection, upto) for stream in some}
        found: set[UUID] = set()
        for version in held:
            sql = self.sql_of(version.name, version.version)
            if reached.due_from is not None:
                found.update(row[0] for row in await rows(connection, sql["reached"], reached.due_from))
            if reached.outages and "reached_by_outages" in sql:
                since, until = zip(*reached.outages, strict=True)
                found.update(
                    row[0] for row in await rows(connection, sql["reached_by_outages"], list(since), list(until))
                )
        return {f"{CASES}{case}" for case in found}

    async def _all_cases(self, connection: Connection, upto: int) -> AsyncIterator[list[str]]:
        """Yield the streams of every case born by a position, in the order of ids."""
        last = CASES
        while True:
            found = await rows(connection, self._sql["cases_from"], last, AFTER_CASES, upto, BATCH)
            if not found:
                return
            yield [row[0] for row in found]
            last = found[-1][0]

    async def _cases(self, connection: Connection, streams: Sequence[str], upto: int, law: Law) -> list[Case]:
        """Return the cases of some streams as their entries up to a position make them."""
        found = await rows(connection, self._sql["read_cases"], list(streams), upto)
        cases: list[Case] = []
        for _, stored in groupby((StoredEntry(*row) for row in found), lambda entry: entry.stream):
            entries = [entry_of(self._codec, entry) for entry in stored]
            state = _folded(entries)
            if state is not None:
                cases.append(Case(state, entries[-1].position, law))
        return cases

    async def _copy(self, connection: Connection, name: str, statement: bytes, cases: Iterable[Case]) -> int:
        """Write the rows of some cases; return how many."""
        projection = self.projections[name]
        derived = [row for case in cases for row in _derived(projection, case)]
        if derived:
            async with AsyncRawCursor(connection).copy(statement) as copy:
                copy.set_types(column_types(projection))
                for row in derived:
                    await copy.write_row(msgspec.structs.astuple(row))
        return len(derived)

    # --- making again --------------------------------------------------------------------------------------------

    async def rebuild(
        self, *names: str, progress: Progress | None = None, compare: bool = False
    ) -> tuple[Rebuilt, ...]:
        """Make tables again from the first event, then switch to them; without names, all. The old ones serve meanwhile.

        With `compare`, rows that the old table had otherwise are counted before the switch: followed and made again
        must be the same. Raises ProjectionBlocked (the old tables stay), RebuildOvertaken.
        """
        chosen = [self.projections[name] for name in names or self.projections]
        async with session(self._work) as connection:
            head, _ = await self._head(connection)
            made: dict[str, int] = {}
            for projection in chosen:
                await self._drop_leftovers(connection, projection.name)
                made[projection.name] = await self._begin(connection, projection)
            cases, counts = await self._fill(connection, made, head, progress)
            for name, version in made.items():
                await self._finish(connection, name, version, head)
            results = [await self._switch(connection, name, version, compare) for name, version in made.items()]
        return tuple(
            Rebuilt(name, version, position, cases, counts[name], differences)
            for (name, version), (position, differences) in zip(made.items(), results, strict=True)
        )

    async def _drop_leftovers(self, connection: Connection, name: str) -> None:
        """Drop what an interrupted rebuild left and what is no longer read. What a reader still holds waits for the next."""
        with contextlib.suppress(psycopg.errors.LockNotAvailable):
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

    async def _fill(
        self, connection: Connection, made: Mapping[str, int], head: int, progress: Progress | None
    ) -> tuple[int, dict[str, int]]:
        """Write the rows of every case, each batch a short transaction; return how many cases, and rows a table."""
        law = await self._laws.at(connection, head)
        count, read, written = 0, 0, dict.fromkeys(made, 0)
        async for streams in self._all_cases(connection, head):
            try:
                async with connection.transaction():
                    cases = await self._cases(connection, streams, head, law)
                    for name, version in made.items():
                        if not await rows(connection, self._sql["lock_to_build"], name, version):
                            raise RebuildOvertaken(name)
                        written[name] += await self._copy(connection, name, self.sql_of(name, version)["copy"], cases)
            except _Poison as error:
                raise ProjectionBlocked(f"position {error.at}: {error}") from error
            count += len(cases)
            read += sum(case.order.version for case in cases)
            if progress is not None:
                progress(min(read, head), head)
        if progress is not None:
            progress(head, head)
        return count, written

    async def _finish(self, connection: Connection, name: str, version: int, position: int) -> None:
        async with connection.transaction():
            await run(connection, self._sql["no_time_limit"])
            await run(connection, self.sql_of(name, version)["index"])
            if await run(connection, self._sql["built"], name, version, position) != 1:
                raise RebuildOvertaken(name)

    async def _switch(self, connection: Connection, name: str, version: int, compare: bool) -> tuple[int, int | None]:
        """Follow with the new table until it has caught up with the old one, then read from it: one UPDATE."""
        while True:
            versions = {v.version: v for v in await self._versions(connection) if v.name == name}
            new, old = versions[version], next(v for v in versions.values() if v.active)
            compare = compare and old.blocked_at is None and self._current(old)
            if new.blocked_at is not None and new.position < old.position:
                raise ProjectionBlocked(_sentence(new), position=new.blocked_at)
            if new.position < old.position or (compare and new.position != old.position):
                behind = min(new, old, key=lambda v: v.position)
                upto = min(behind.position + self._page, max(new.position, old.position))
                if not await self._advance(connection, [behind], behind.position, upto):
                    await asyncio.sleep(0.02)  # another follower holds it
                continue
            async with connection.transaction():
                standing = [(await rows(connection, self._sql["lock"], name, v))[0][0] for v in (old.version, version)]
                if standing[1] < standing[0] or (compare and standing[0] != standing[1]):
                    continue
                differences = await self._differences(connection, name, version, old.version) if compare else None
                await run(connection, self._sql["activate"], name, version)
                await run(connection, self._sql["retire"], name, old.version)
            await self._drop_leftovers(connection, name)
            return standing[1], differences

    async def _differences(self, connection: Connection, name: str, version: int, other: int) -> int:
        await run(connection, self._sql["no_time_limit"])
        return (await rows(connection, self.sql_of(name, version, other)["differences"]))[0][0]

    # --- saying where it stands ----------------------------------------------------------------------------------

    async def status(self) -> tuple[Status, ...]:
        """Return where each table stands."""
        async with session(self._work) as connection:
            head, until = await self._head(connection)
            versions = [v for v in await self._versions(connection) if v.name in self.projections]
            positions = [v.position for v in versions]
            at = dict(await rows(connection, self._sql["recorded_at"], positions))
        return tuple(
            Status(
                name=v.name,
                version=v.version,
                active=v.active,
                state=v.state,
                position=v.position,
                head=head,
                lag=head - v.position,
                lag_seconds=max(0.0, (until - at[v.position]).total_seconds()) if v.position in at else 0.0,
                blocked_at=v.blocked_at,
                error=v.error,
                outdated=not self._current(v),
                moved_at=v.moved_at,
            )
            for v in versions
        )


def _sentence(version: Version) -> str:
    return f"{version.name}: blocked at position {version.blocked_at}: {version.error}"


def _batches(streams: Sequence[str]) -> Iterable[Sequence[str]]:
    return (streams[start : start + BATCH] for start in range(0, len(streams), BATCH))


def _folded(entries: Sequence[Entry]) -> Any:
    """Return the order that a stream makes. Raises _Poison with the position of the entry it fails at."""
    try:
        return order.fold(entries)
    except Exception as error:
        raise _Poison(error, _failing(entries)) from error


def _failing(entries: Sequence[Entry]) -> int | None:
    for count in range(1, len(entries) + 1):
        try:
            order.fold(entries[:count])
        except Exception:  # noqa: BLE001  it is known to fail; this finds where
            return entries[count - 1].position
    return None


def _derived(projection: Projection, case: Case) -> Sequence[msgspec.Struct]:
    try:
        return projection.derive(case)
    except Exception as error:
        raise _Poison(error, case.position) from error


@lru_cache(maxsize=64)
def column_types(projection: Projection) -> tuple[str, ...]:
    """Return the types of a table's columns as COPY needs them, from its row's fields."""
    return tuple(_column_type(field.type) for field in msgspec.structs.fields(projection.row))


def _column_type(hint: Any) -> str:
    members = [member for member in getattr(hint, "__args__", ()) if member is not type(None)]
    if getattr(hint, "__origin__", None) is list:
        return f"{_COLUMNS[members[0]]}[]"
    return _COLUMNS[members[0] if members else hint]
