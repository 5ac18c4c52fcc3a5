"""How commits reach PostgreSQL and how they are read again: the statements, the sessions, the stored rows.

Nothing here knows what an event means. The writing protocol itself (who comes when, who is told what) is `writer`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import psycopg
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.adapt import Dumper
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Format

from domain.exchange import EPOCH, Exchange, Parameter, Rows, Sent, tell
from domain.leaves import FORM, CommitRow, EventRow, Imprint, Witnessed
from domain.refusals import ClosedDoor, LedgerExists, NotInitialised, OutcomeUnknown, Unavailable
from domain.sealing import KeyRow
from domain.stored import StoredEntry

Connection = AsyncConnection[Any]
T = TypeVar("T")

CITY = re.compile(r"[a-z][a-z0-9_]{0,40}")
"""The shape of a city's name: it becomes the name of a schema, printed in file names and on paper."""

SESSION = {
    "timezone": "UTC",
    "jit": "off",
    # Every statement of the ledger is a walk along an index. A table that was just made has no statistics yet, and a
    # plan made then would read the whole of it, again and again.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_bitmapscan": "off",
    "plan_cache_mode": "force_generic_plan",
    # A client that vanished without a word must not hold the head for ever.
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "10s",
    "statement_timeout": "60s",
}
"""What each session of the ledger sets for itself; search_path is never among it."""

LOST = ("08", "57P", "53300", "55P03", "40", "25006", "57014")
"""SQLSTATEs after which the same batch may be tried again: connection, shutdown, fail-over, time-out."""


def statements(text: str, schema: str) -> dict[str, bytes]:
    """Return the named statements of a `.sql` text with the quoted schemas put in for `city.` and `projections.`.

    A statement begins with a line `-- name: word`. The projections of a city live beside its ledger, in the schema
    `<city>_projections`. Raises ValueError for a city's name of another shape than `CITY`.
    """
    if not CITY.fullmatch(schema):
        raise ValueError(f"a city's name is lower-case letters, digits and underscores: {schema!r}")
    quoted = {"city": f'"{schema}"', "projections": f'"{schema}_projections"'}
    found: dict[str, bytes] = {}
    for block in re.split(r"^-- name: ", text, flags=re.MULTILINE)[1:]:
        name, _, body = block.partition("\n")
        body = "\n".join(line for line in body.splitlines() if not line.lstrip().startswith("--"))
        body = re.sub(
            r"(?<=SCHEMA )(city|projections)\b|\b(city|projections)(?=\.)",
            lambda match: quoted[match.group()],
            body,
        )
        if name.strip() in found:
            raise ValueError(f"two statements are called {name.strip()}")
        found[name.strip()] = body.strip().encode()
    return found


SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")


# --- parameters in binary ----------------------------------------------------------------------------------------


class Array(bytes):
    """A one-dimensional array in PostgreSQL's binary form, built at once: psycopg would dump every element alone."""

    oid: int


class _Texts(Array):
    oid = 1009


class _Bytes(Array):
    oid = 1001


class _Ints(Array):
    oid = 1016


class _Instants(Array):
    oid = 1185


def _dumper(kind: type[Array]) -> type[Dumper]:
    class ArrayDumper(Dumper):
        format = Format.BINARY
        oid = kind.oid

        def dump(self, obj: Any) -> bytes:
            return obj

    return ArrayDumper


_LENGTH = struct.Struct(">i").pack
_HEAD = struct.Struct(">iiiii").pack
_NULL = b"\xff\xff\xff\xff"
_MICROSECOND = timedelta(microseconds=1)


def _head(oid: int, count: int, *, nulls: bool = False) -> bytes:
    return _HEAD(1, int(nulls), oid, count, 1) if count else struct.pack(">iii", 0, 0, oid)


def _pack(oid: int, items: Sequence[bytes]) -> bytes:
    lengths = set(map(len, items))
    if len(lengths) == 1:  # ids, salts, leaves, words: most columns
        length = _LENGTH(lengths.pop())
        return b"".join((_head(oid, len(items)), length, length.join(items)))
    pairs = zip(map(_LENGTH, map(len, items)), items, strict=True)
    return _head(oid, len(items)) + b"".join(itertools.chain.from_iterable(pairs))


def texts(items: Iterable[str | bytes]) -> Array:
    """Return a text[] parameter; bytes are taken as the UTF-8 they are."""
    return _Texts(_pack(25, [item if isinstance(item, bytes) else item.encode() for item in items]))


def byteas(items: Iterable[bytes]) -> Array:
    """Return a bytea[] parameter."""
    return _Bytes(_pack(17, list(items)))


def ints(items: Iterable[int]) -> Array:
    """Return a bigint[] parameter."""
    each = list(items)
    with_lengths = itertools.chain.from_iterable(zip(itertools.repeat(8), each, strict=False))
    return _Ints(_head(20, len(each)) + struct.pack(">" + "iq" * len(each), *with_lengths))


def instants(items: Iterable[datetime | None]) -> Array:
    """Return a timestamptz[] parameter; elements may be null."""
    each = list(items)
    parts = [_NULL if one is None else struct.pack(">iq", 8, (one - EPOCH) // _MICROSECOND) for one in each]
    return _Instants(_head(1184, len(each), nulls=None in each) + b"".join(parts))


# --- sessions ----------------------------------------------------------------------------------------------------


def session(dsn: str) -> dict[str, Any]:
    """Return the arguments of a session of the ledger: its settings beside those the dsn has, and signs of life."""
    options = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
    said = str(conninfo_to_dict(dsn).get("options") or "")
    return {
        "autocommit": True,
        "prepare_threshold": 0,
        "connect_timeout": 10,
        "options": f"{said} {options}".strip(),
        "application_name": "huiyin",
        "keepalives_idle": 10,
        "keepalives_interval": 3,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }


async def configure(connection: Connection) -> None:
    """Teach a session to send arrays as they are."""
    for kind in (_Texts, _Bytes, _Ints, _Instants):
        connection.adapters.register_dumper(kind, _dumper(kind))


async def connect(dsn: str) -> Connection:
    """Open a session of the ledger: its settings, binary parameters, every statement prepared."""
    connection: Connection = await AsyncConnection.connect(dsn, cursor_factory=AsyncRawCursor, **session(dsn))
    await configure(connection)
    return connection


def lost(error: BaseException, exchange: Exchange | None) -> bool:
    """Tell whether an error means that the session is gone or never was, so that a new one may do the same again.

    A server that begins no transaction that writes is a standby: the one to ask is yet to come, or to be found.
    """
    if isinstance(error, TimeoutError) or exchange is None or exchange.gone or exchange.failed == "begin":
        return True
    state = getattr(error, "sqlstate", None)
    return isinstance(error, OSError) if state is None else state.startswith(LOST)


LEAST = 0.5
"""Seconds that a session gets to answer in, however long the database has been away."""


class Line:
    """A session to one city's ledger, opened when it is needed and opened again when it was lost.

    A database that is away is tried again for `patience` seconds from when it went; after that, once for each who asks.
    """

    def __init__(self, dsn: str, named: Mapping[str, bytes], patience: float) -> None:
        self._dsn = dsn
        self._sql = named
        self._patience = patience
        self._exchange: Exchange | None = None
        self._away_since: float | None = None

    @property
    def exchange(self) -> Exchange | None:
        """The session, while one is open."""
        return self._exchange

    async def close(self) -> None:
        """End the session; the next who asks gets a new one."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            await exchange.close()

    def abandon(self) -> None:
        """Drop the session at once, with whatever is under way on it."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()

    async def ask(
        self, asking: Callable[[Exchange], Awaitable[T]], *, in_doubt: Callable[[], bool] = lambda: False
    ) -> T:
        """Return what is answered on the session, or on a new one where it is lost, until patience ends.

        Raises Unavailable; OutcomeUnknown instead where `in_doubt` says that something may have been committed; and the
        database's own error where another session would not help.
        """
        loop = asyncio.get_running_loop()
        began, pause = loop.time(), 0.01
        while True:
            until = (began if self._away_since is None else self._away_since) + self._patience
            try:
                async with asyncio.timeout_at(max(until, loop.time() + LEAST)):
                    if self._exchange is None:
                        self._exchange = Exchange(await connect(self._dsn), self._sql)
                    answer = await asking(self._exchange)
                    self._away_since = None
                    return answer
            except (psycopg.Error, OSError, TimeoutError) as error:
                again = lost(error, self._exchange)
                await self.close()
                if not again and not in_doubt():
                    raise
                if self._away_since is None:
                    self._away_since = began
                if not again or loop.time() + pause > until:
                    raise (OutcomeUnknown if in_doubt() else Unavailable)(type(error).__name__) from error
                await asyncio.sleep(pause)
                pause = min(pause * 2, 0.5)
            except BaseException:
                await self.close()  # whatever is still under way on it is nobody's answer
                raise


async def create_roles(dsn: str) -> None:
    """Create the two roles of every ledger in a cluster, where they are missing. Needs a role that may."""
    named = statements(SQL, "city")
    async with await connect(dsn) as connection:
        for role, statement in (("huiyin_owner", "create_owner"), ("huiyin_app", "create_app")):
            if not await (await connection.execute(named["has_role"], [role])).fetchone():
                with contextlib.suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
                    await connection.execute(named[statement])
        for (grant,) in await (await connection.execute(named["let_owner_create"])).fetchall():
            await connection.execute(grant.encode())


async def may_be_owner(dsn: str) -> bool:
    """Tell whether a login could take the owner's role, and with it undo what the database refuses the application."""
    named = statements(SQL, "city")
    async with await connect(dsn) as connection:
        return await (await connection.execute(named["may_be_owner"])).fetchone() == (True,)


async def create_ledger(dsn: str, city: str, imprint: Imprint, secrets: Sequence[KeyRow]) -> None:
    """Create a city's schema, tables and grants, as owner. Raises LedgerExists."""
    named = statements(SQL, city)
    async with await connect(dsn) as connection:
        try:
            async with connection.transaction():
                if await (await connection.execute(named["schema_exists"], [city])).fetchone():
                    raise LedgerExists(city)
                # More than one statement in a string goes without parameters and without preparing.
                await psycopg.AsyncClientCursor(connection).execute(named["create"])
                await psycopg.AsyncClientCursor(connection).execute(named["create_heads"])
                await connection.execute(named["create_head"])
                await connection.execute(named["create_ledger"], [imprint.ledger_id, imprint.hash, FORM])
                await connection.execute(named["insert_keys"], key_columns(secrets))
        except psycopg.errors.UniqueViolation as error:  # two at once: the other one was first
            raise LedgerExists(city) from error
        except psycopg.errors.DuplicateSchema as error:
            raise LedgerExists(city) from error


async def upgrade(dsn: str, city: str) -> None:
    """Give a ledger of an earlier release what it lacks, as owner; nothing where it lacks nothing."""
    async with await connect(dsn) as connection:
        await psycopg.AsyncClientCursor(connection).execute(statements(SQL, city)["create_heads"])


def key_columns(rows: Sequence[KeyRow]) -> list[Array]:
    """Return key rows as the parameters of `insert_keys`."""
    if not rows:
        return [texts(()), texts(()), texts(()), texts(()), byteas(())]
    ids, streams, holders, wraps, wrapped = zip(*rows, strict=True)
    return [texts(ids), texts(streams), texts(holders), texts(wraps), byteas(wrapped)]


# --- reading -----------------------------------------------------------------------------------------------------


class Known(NamedTuple):
    """A command that the ledger has carried out already."""

    command_id: str
    digest: bytes
    first_position: int
    n: int


class Want(NamedTuple):
    """What a caller wants read in one round trip: streams after a version, a command's commit, keys, subjects."""

    streams: tuple[tuple[str, int], ...] = ()
    command_id: str = ""
    keys_of: tuple[str, ...] = ()
    macs: tuple[bytes, ...] = ()


class Found(NamedTuple):
    """The answer to a Want. `now` is the database's clock, at or after every event among `streams`."""

    streams: tuple[list[StoredEntry], ...]
    known: Known | None
    keys: list[KeyRow]
    subjects: dict[bytes, UUID]
    position: int
    now: datetime
    since: int = -1  # the head before anything was read: all that had been written by then was seen


class Reader:
    """Reads for many callers at once: what is asked while a round trip is under way goes together in the next.

    At most `most` at a time, so that of many callers some decide while the database reads or writes for the others.
    """

    def __init__(self, dsn: str, named: Mapping[str, bytes], *, patience: float = 10.0, most: int = 64) -> None:
        self._line = Line(dsn, named, patience)
        self._most = most
        self._waiting: deque[tuple[Want, asyncio.Future[Found]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def read(self, want: Want) -> Found:
        """Return what was wanted. Raises ClosedDoor, and Unavailable after `patience` seconds without a database."""
        return await self.asked(want)

    def asked(self, want: Want) -> asyncio.Future[Found]:
        """Ask for what is wanted and return where the answer will be; for callers with many."""
        if self._closed:
            raise ClosedDoor
        answer: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self._waiting.append((want, answer))
        if self._task is None:
            self._task = asyncio.create_task(self._serve())
        return answer

    async def close(self) -> None:
        """Answer what was asked, then close the session."""
        self._closed = True
        if self._task is not None:
            await asyncio.shield(self._task)
        await self._line.close()

    async def _serve(self) -> None:
        turn: list[tuple[Want, asyncio.Future[Found]]] = []
        try:
            while self._waiting:
                await asyncio.sleep(0)  # lets every caller that is ready now come along
                count = min(self._most, len(self._waiting))
                turn = [one for one in (self._waiting.popleft() for _ in range(count)) if not one[1].done()]
                if turn:
                    await self._answer(turn)
        finally:
            self._task = None
            for _, answer in (*turn, *self._waiting):  # any left only where the loop itself is being stopped
                answer.cancel()

    async def _answer(self, turn: Sequence[tuple[Want, asyncio.Future[Found]]]) -> None:
        wants = [want for want, _ in turn]
        try:
            answers = await self._line.ask(lambda exchange: read(exchange, wants))
        except Exception as error:  # noqa: BLE001  whatever it is: a caller told nothing would wait for ever
            if len(turn) > 1 and not isinstance(error, Unavailable):
                for one in turn:  # one of them cannot be answered; it harms no other
                    await self._answer([one])
                return
            away: Sequence[tuple[Want, asyncio.Future[Found]]] = ()
            if isinstance(error, Unavailable):  # whoever waits behind has waited for the same, and would again
                away = tuple(self._waiting)
                self._waiting.clear()
            for _, answer in (*turn, *away):
                tell(answer, error)
            return
        for (_, answer), found in zip(turn, answers, strict=True):
            tell(answer, found)


def first(rows: Rows) -> tuple[Any, ...]:
    """Return the only row of a statement that always has one. Raises NotInitialised where a table is empty."""
    if not rows:
        raise NotInitialised
    return rows[0]


async def read(exchange: Exchange, wants: Sequence[Want]) -> list[Found]:
    """Answer several wants in one round trip."""
    streams = list(dict.fromkeys(pair for want in wants for pair in want.streams))
    commands = {want.command_id for want in wants if want.command_id}
    keyed = {stream for want in wants for stream in want.keys_of}
    macs = {mac for want in wants for mac in want.macs}
    exchange.say("read_position")
    if streams:
        exchange.say("read_streams", texts(s for s, _ in streams), ints(v for _, v in streams))
    if commands:
        exchange.say("known_commands", texts(commands))
    if keyed:
        exchange.say("read_keys", texts(keyed))
    if macs:
        exchange.say("subjects_there", byteas(macs))
    exchange.say("read_head")
    before, *answers, head = await exchange.hear()
    rows: list[list[StoredEntry]] = [[] for _ in streams]
    for row in answers.pop(0) if streams else ():
        place: int = row[0] - 1
        rows[place].append(StoredEntry(streams[place][0], *row[1:]))
    commits = {row[0]: Known(*row) for row in answers.pop(0)} if commands else {}
    keys_of: dict[str, list[KeyRow]] = {}
    for row in answers.pop(0) if keyed else ():
        keys_of.setdefault(row[1], []).append(KeyRow(*row))
    found: dict[bytes, UUID] = {row[0]: row[1] for row in answers.pop(0)} if macs else {}
    (since,), (position, recorded_at, clock) = first(before), first(head)
    by_stream = dict(zip(streams, rows, strict=True))
    return [
        Found(
            tuple(by_stream[pair] for pair in want.streams),
            commits.get(want.command_id),
            [row for stream in want.keys_of for row in keys_of.get(stream, ())],
            {mac: found[mac] for mac in want.macs if mac in found},
            position,
            max(recorded_at, clock),
            since,
        )
        for want in wants
    ]


class Pages:
    """Reads that are not on the way of a command: followers' pages, witnesses, single look-ups, on a few sessions."""

    def __init__(self, dsn: str, named: Mapping[str, bytes], *, sessions: int = 4, patience: float = 10.0) -> None:
        self._turns = asyncio.Semaphore(sessions)
        self._idle = [Line(dsn, named, patience) for _ in range(sessions)]
        self._closed = False

    async def close(self) -> None:
        """Close every session once it has answered."""
        self._closed = True
        for line in self._idle:
            await line.close()

    async def rows(self, name: str, *parameters: Parameter) -> Rows:
        """Return the rows of a named statement. Raises ClosedDoor, and Unavailable after patience without a database."""
        if self._closed:
            raise ClosedDoor

        async def ask(exchange: Exchange) -> Rows:
            exchange.say(name, *parameters)
            return (await exchange.hear())[0]

        async with self._turns:
            line = self._idle.pop()
            try:
                return await line.ask(ask)
            finally:
                self._idle.append(line)
                if self._closed:
                    await line.close()

    async def head(self) -> tuple[int, datetime]:
        """Return the last position and the instant it was recorded at."""
        rows = await self.rows("read_head")
        if not rows:
            raise NotInitialised
        return rows[0][0], rows[0][1]

    async def page(self, after: int, limit: int, upto: int | None = None) -> list[StoredEntry]:
        """Return up to `limit` entries after a position, in the order of positions, none later than `upto`."""
        rows = await self.rows("read_page", after, (1 << 62) if upto is None else upto, limit)
        return [StoredEntry(*row) for row in rows]

    async def witnesses(self, after: int, upto: int) -> list[Witnessed]:
        """Return the rows of positions (after, upto] with their commits and what came before each in its stream."""
        return [witnessed(row) for row in await self.rows("witness_page", after, upto)]

    async def witnesses_of(self, stream: str) -> list[Witnessed]:
        """Return the rows of one stream with their commits and what came before each."""
        return [witnessed(row) for row in await self.rows("witness_stream", stream)]

    async def imprint(self) -> Imprint:
        """Return the ledger's id and hash. Raises NotInitialised."""
        try:
            rows = await self.rows("imprint")
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
            raise NotInitialised from error
        if not rows:
            raise NotInitialised
        return Imprint(rows[0][0], rows[0][1])


def witnessed(row: Sequence[Any]) -> Witnessed:
    """Put a row of the `witness_…` statements together."""
    event = EventRow._make((*row[:4], row[4].encode(), *row[5:10]))
    return Witnessed(event, CommitRow._make(row[10:25]), None if row[26] is None else (row[25], row[26]))


# --- writing -----------------------------------------------------------------------------------------------------


class Head(NamedTuple):
    """The head as its holder sees it, and the database's clock at that moment."""

    position: int
    recorded_at: datetime
    clock: datetime


NOWHERE = Head(0, EPOCH, EPOCH)


class Asked(NamedTuple):
    """What a batch needs to know under the lock."""

    streams: tuple[str, ...]
    commands: tuple[str, ...]
    key_ids: tuple[str, ...] = ()
    key_places: tuple[tuple[str, str], ...] = ()  # (stream, holder) where a new key is to go
    macs: tuple[bytes, ...] = ()


class Locked(NamedTuple):
    """What a batch learnt under the lock."""

    head: Head
    last: dict[str, tuple[int, bytes]]  # stream -> version and leaf
    known: dict[str, Known]
    keys: dict[str, tuple[str, str]]  # id -> (stream, holder)
    subjects: dict[bytes, UUID]


class Batch:
    """All that one transaction writes."""

    def __init__(self, recorded_at: datetime) -> None:
        self.recorded_at = recorded_at
        self.events: list[EventRow] = []
        self.commits: list[CommitRow] = []
        self.keys: list[KeyRow] = []
        self.subjects: list[tuple[bytes, str, bytes]] = []  # mac, subject, wrapped number
        self.drop_keys: list[str] = []
        self.drop_streams: list[str] = []  # cases whose keys go
        self.drop_holders: list[str] = []  # subjects whose keys go
        self.drop_places: list[tuple[str, str]] = []  # a subject's key in one case
        self.drop_subjects: list[str] = []  # subjects whose rows go
        self.orphans: list[str] = []  # subjects whose rows go unless they have another case

    @property
    def destroys(self) -> bool:
        """Tell whether it takes keys or subjects away."""
        return any(
            (
                self.drop_keys,
                self.drop_streams,
                self.drop_holders,
                self.drop_places,
                self.drop_subjects,
                self.orphans,
            )
        )


HEAD_FROM = "move_head_from"
"""The statement that fails, and with it its transaction, where the head is not where it was supposed to be."""


async def lock(exchange: Exchange, asked: Asked) -> Locked:
    """Begin a transaction, take the head and read what the batch asks: the first of the two round trips."""
    exchange.say("begin")
    exchange.say("lock_head")
    _, head, *found = await _looked(exchange, asked)
    return _locked(Head(*first(head)), asked, found)


async def look_ahead(exchange: Exchange, asked: Asked) -> Locked:
    """Read without the lock: the head first, so that the rest is at least as new."""
    exchange.say("read_head")
    head, *found = await _looked(exchange, asked)
    return _locked(Head(*first(head)), asked, found)


async def landed(exchange: Exchange, said: Sent) -> datetime:
    """Return the database's clock at the beginning of what `write_ahead` sent, once that is committed."""
    _, moved, *_ = await exchange.heard(said)
    return first(moved)[1]


async def look(exchange: Exchange, asked: Asked) -> Locked:
    """Read, within the transaction that holds the head, what settling needs to know; without the head itself."""
    return _locked(NOWHERE, asked, await _looked(exchange, asked))


async def _looked(exchange: Exchange, asked: Asked) -> list[Rows]:
    exchange.say("last_of_streams", texts(asked.streams))
    exchange.say("known_commands", texts(asked.commands))
    if asked.key_ids or asked.key_places:
        streams, holders = texts(p[0] for p in asked.key_places), texts(p[1] for p in asked.key_places)
        exchange.say("keys_there", texts(asked.key_ids), streams, holders)
    if asked.macs:
        exchange.say("subjects_there", byteas(asked.macs))
    return await exchange.hear()


def _locked(head: Head, asked: Asked, found: Sequence[Rows]) -> Locked:
    last, known, *others = found
    keys = others.pop(0) if asked.key_ids or asked.key_places else []
    subjects = others.pop(0) if asked.macs else []
    return Locked(
        head,
        {row[0]: (row[1], row[2]) for row in last},
        {row[0]: Known(*row) for row in known},
        {row[0]: (row[1], row[2]) for row in keys},
        {row[0]: row[1] for row in subjects},
    )


async def write(exchange: Exchange, batch: Batch) -> None:
    """Send a batch and its COMMIT: the second round trip."""
    if batch.events:
        exchange.say("move_head", batch.events[-1].position, batch.recorded_at)
    for name, *parameters in _changes(batch):
        exchange.say(name, *parameters)
    exchange.say("commit")
    await exchange.hear()


def write_ahead(exchange: Exchange, after: Head, until: datetime, batch: Batch) -> Sent:
    """Send a whole transaction as one round trip.

    It fails at its first step where the head is not `after`, or its turn comes after `until`.
    """
    changes = list(_changes(batch))  # before anything is said: what cannot be sent leaves no half of it behind
    exchange.say("begin")
    exchange.say(HEAD_FROM, after.position, after.recorded_at, batch.events[-1].position, batch.recorded_at, until)
    for name, *parameters in changes:
        exchange.say(name, *parameters)
    exchange.say("commit")
    return exchange.send()


def _changes(batch: Batch) -> Iterator[tuple[str, *tuple[Parameter, ...]]]:
    """Yield the statements, with their parameters, of all that a batch writes but the head."""
    if batch.events:
        yield "insert_events", batch.recorded_at, *_event_columns(batch.events)
        yield "insert_commits", batch.recorded_at, *_commit_columns(batch.commits)
    for name, gone in (
        ("delete_keys", batch.drop_keys),
        ("delete_keys_of_streams", batch.drop_streams),
        ("delete_keys_of_subjects", batch.drop_holders),
        ("delete_subjects", batch.drop_subjects),
    ):
        if gone:
            yield name, texts(gone)
    if batch.drop_places:
        streams, holders = zip(*batch.drop_places, strict=True)
        yield "delete_keys_of_places", texts(streams), texts(holders)
    if batch.keys:
        yield "insert_keys", *key_columns(batch.keys)
    if batch.subjects:
        macs, subjects, numbers = zip(*batch.subjects, strict=True)
        yield "insert_subjects", byteas(macs), texts(subjects), byteas(numbers)
    if batch.orphans:
        yield "delete_subjects_left", texts(batch.orphans)


def _instants_said(items: Sequence[datetime | None]) -> Array:
    """Return a column of instants, empty where none is said: what is missing of a column is null, and most of it is."""
    return instants(items if any(items) else ())


def _event_columns(rows: Sequence[EventRow]) -> list[Array]:
    position, stream, version, topic, state, salt, leaf, commit, _, occurred_at = zip(*rows, strict=True)
    return [
        ints(position),
        texts(stream),
        ints(version),
        texts(topic),
        texts(state),
        byteas(salt),
        byteas(leaf),
        ints(commit),
        _instants_said(occurred_at),
    ]


def _commit_columns(rows: Sequence[CommitRow]) -> list[Array]:
    first_position, n, command, digest, _, occurred_at, *words, salt = zip(*rows, strict=True)
    return [
        ints(first_position),
        ints(n),
        texts(command),
        byteas(digest),
        _instants_said(occurred_at),
        *(texts(word if any(word) else ()) for word in words),
        byteas(salt),
    ]
