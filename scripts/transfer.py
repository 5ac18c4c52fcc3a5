"""How a city leaves as a file and comes back from it: every position, instant, salt and leaf as it was (DESIGN 4).

The file is JSON Lines: a head, the keys as they are wrapped, the subjects, every commit with its events, an end with
the digest of all lines before it. Nothing in it is open that is sealed in the ledger; without the master key, which
does not travel along, no sealed field in it can be read.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast
from uuid import UUID

import msgspec
import psycopg

from domain import leaves, recorder
from domain.journals import SHREDS, KeysShredded
from domain.leaves import FORM, CommitRow, EventRow, Imprint, Witnessed, canonical
from domain.ledger import Ledger
from domain.recorder import Connection, byteas, instants, ints, texts
from domain.refusals import LedgerExists, NotInitialised, Refusal, WrongKey
from domain.sealing import Keyring, KeyRow, intact
from domain.settling import Proposal, Written
from domain.terms import Entry, Origin, Shred
from scripts import wiring

SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
PAGE = 2000
"""Commits that are read or written at once."""

Progress = Callable[[int, int], None]
"""Told how many positions of how many are done."""


class BadExport(Exception):
    """The file cannot be restored; the message says where it does not hold. Nothing of it is left in the database."""


# --- the lines of the file ---------------------------------------------------------------------------------------


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A line. Bytes are base64, instants are UTC, `state` and `actor` are the very text that is stored."""


class Head(Record, frozen=True, tag="huiyin-export/1"):
    """卷首. Whose ledger it is, and up to which position."""

    city: str
    ledger_id: str
    hash: str
    form: str
    position: int
    recorded_at: datetime


class Key(Record, frozen=True, tag="key"):
    """密钥. Wrapped by the master key, or by those of two persons; never in plain."""

    id: str
    stream: str
    holder: str
    wrap: str
    wrapped: bytes


class Subject(Record, frozen=True, tag="subject"):
    """主体. By which a number finds its subject; the number itself is wrapped."""

    mac: bytes
    subject: UUID
    number: bytes


class Event(Record, frozen=True, kw_only=True):
    """事件. One of a commit; its instant of recording is the commit's."""

    position: int
    stream: str
    version: int
    topic: str
    state: str
    salt: bytes
    leaf: bytes
    occurred_at: datetime | None = None


class Commit(Record, frozen=True, kw_only=True, tag="commit"):
    """提交. A command's record with all its events."""

    first_position: int
    n: int
    command_id: str
    digest: bytes
    recorded_at: datetime
    occurred_at: datetime | None = None
    origin: str
    actor: str
    on_behalf_of: str = ""
    reason: str = ""
    numbers: str = ""
    correlation_id: str = ""
    causation_id: str = ""
    trace_id: str = ""
    salt: bytes
    events: tuple[Event, ...]

    def row(self) -> CommitRow:
        """Return it as a row of `commits`."""
        return CommitRow._make(getattr(self, name) for name in CommitRow._fields)

    def event_rows(self) -> list[EventRow]:
        """Return its events as rows of `events`."""
        return [
            EventRow(
                one.position,
                one.stream,
                one.version,
                one.topic,
                one.state.encode(),
                one.salt,
                one.leaf,
                self.first_position,
                self.recorded_at,
                one.occurred_at,
            )
            for one in self.events
        ]


class End(Record, frozen=True, tag="end"):
    """卷尾. What must have come before, and the SHA-256 of it all."""

    position: int
    commits: int
    keys: int
    subjects: int
    digest: str


_LINES = msgspec.json.Decoder(Head | Key | Subject | Commit | End)


class Carried(msgspec.Struct):
    """What was exported or restored."""

    city: str
    file: str
    position: int
    commits: int = 0
    keys: int = 0
    subjects: int = 0
    digest: str = ""
    ledger_id: str = ""  # below which the files of its cases lie; they travel apart
    dropped_keys: int = 0  # of what had been erased, and was in the file all the same
    erased_again: int = 0  # erasures made after the export


# --- leaving -----------------------------------------------------------------------------------------------------


async def export_city(dsn: str, city: str, path: Path, progress: Progress | None = None) -> Carried:
    """Write a city to a file (gzip where its name ends in .gz), as it stands at one instant; others may go on writing.

    Raises NotInitialised, and FileExistsError rather than to write over a file.
    """
    named = recorder.statements(SQL, city)
    async with await recorder.connect(dsn) as connection:
        await connection.execute(named["begin_export"])
        try:
            rows = await _rows(connection, named["head"])
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
            raise NotInitialised(city) from error
        if not rows:
            raise NotInitialised(city)
        imprint, position = rows[0][:3], rows[0][3]
        done = Carried(city=city, file=str(path), position=position, ledger_id=imprint[0])
        with _made_whole(path) as file:
            out = _Out(file)
            out.line(
                Head(
                    city=city,
                    ledger_id=imprint[0],
                    hash=imprint[1],
                    form=imprint[2],
                    position=position,
                    recorded_at=rows[0][4],
                )
            )
            for row in await _rows(connection, named["keys"]):
                out.line(Key(**dict(zip(Key.__struct_fields__, row, strict=True))))
                done.keys += 1
            for row in await _rows(connection, named["subjects"]):
                out.line(Subject(mac=row[0], subject=row[1], number=row[2]))
                done.subjects += 1
            async for commit in _commits(connection, named, position, progress):
                out.line(commit)
                done.commits += 1
            done.digest = out.digest.hexdigest()
            out.line(
                End(
                    position=position,
                    commits=done.commits,
                    keys=done.keys,
                    subjects=done.subjects,
                    digest=done.digest,
                )
            )
        await connection.execute(named["commit"])
    return done


async def _rows(connection: Connection, statement: bytes, *parameters: object) -> list[tuple[Any, ...]]:
    return await (await connection.execute(statement, list(parameters) or None, binary=True)).fetchall()


async def _commits(
    connection: Connection, named: Mapping[str, bytes], position: int, progress: Progress | None
) -> AsyncIterator[Commit]:
    after = 0
    while after < position:
        rows = [CommitRow._make(row) for row in await _rows(connection, named["commits"], after, PAGE)]
        if not rows:
            return  # the end will not fit its head, and says so when it is restored
        last = rows[-1].first_position + rows[-1].n - 1
        events = iter(await _rows(connection, named["events"], rows[0].first_position - 1, last))
        for row in rows:
            own = list(islice(events, row.n))  # too few of a damaged ledger: restoring says where
            yield Commit(
                **row._asdict(),
                events=tuple(
                    Event(
                        position=e[0],
                        stream=e[1],
                        version=e[2],
                        topic=e[3],
                        state=e[4],
                        salt=e[5],
                        leaf=e[6],
                        occurred_at=e[7],
                    )
                    for e in own
                ),
            )
        after = last
        if progress is not None:
            progress(after, position)


class _Out:
    def __init__(self, file: IO[bytes]) -> None:
        self.digest = hashlib.sha256()
        self._file = file
        self._encode = msgspec.json.Encoder().encode

    def line(self, record: Record) -> None:
        raw = self._encode(record) + b"\n"
        self.digest.update(raw)
        self._file.write(raw)


@contextmanager
def _made_whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for its owner alone, which gets its name only when it is whole."""
    if path.exists():
        raise FileExistsError(f"文件已存在 the file exists: {path}")
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    try:
        with gzip.open(draft, "wb", compresslevel=3) if path.suffix == ".gz" else draft.open("wb") as file:
            yield cast("IO[bytes]", file)
        os.link(draft, path)  # not over one that somebody made meanwhile
    finally:
        draft.unlink()


# --- coming back -------------------------------------------------------------------------------------------------


class Erasure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """销毁. Keys that were destroyed: a case's, a subject's everywhere, or a subject's in one case."""

    ledger_id: str
    version: int  # in the journal of destroyed keys
    position: int
    recorded_at: datetime
    stream: str = ""
    subject: UUID | None = None


async def restore_city(
    dsn: str,
    city: str,
    path: Path,
    keyring: Keyring,
    *,
    erasures: Sequence[Erasure] = (),
    progress: Progress | None = None,
) -> Carried:
    """Restore a city from its file, as owner, where no schema is or an empty one; all of it, or nothing.

    Every leaf is computed again. Keys that were destroyed by the file's own account, or by `erasures`, stay destroyed.
    Raises LedgerExists, WrongKey for another master key, and BadExport naming the line or position that does not hold.
    """
    named = recorder.statements(recorder.SQL, city) | recorder.statements(SQL, city)
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        reading = _Reading(cast("IO[bytes]", file), keyring)
        head = reading.head()
        foreign = [one for one in erasures if one.ledger_id != head.ledger_id]
        if foreign:
            raise BadExport(f"销毁清单属于另一账本 the list of erasures is another ledger's: {foreign[0].ledger_id}")
        done = Carried(city=city, file=str(path), position=head.position, ledger_id=head.ledger_id)
        try:
            async with await recorder.connect(dsn) as connection, connection.transaction():
                await connection.execute(named["patient"])
                for schema, clear in ((city, "clear"), (f"{city}_projections", "clear_projections")):
                    if await _rows(connection, named["schema_exists"], schema):
                        await connection.execute(named[clear])
                await psycopg.AsyncClientCursor(connection).execute(named["create"])
                await connection.execute(named["create_ledger"], [head.ledger_id, head.hash, head.form])
                await connection.execute(named["restore_head"], [head.position, head.recorded_at])
                await _restored(connection, named, reading, done, progress)
                shreds = [*reading.shreds, *(one for one in erasures if one.position > head.position)]
                done.dropped_keys = await _drop(connection, named, shreds)
        except (psycopg.errors.DependentObjectsStillExist, psycopg.errors.DuplicateSchema) as error:
            raise LedgerExists(city) from error
        except psycopg.errors.IntegrityError as error:
            raise BadExport(
                f"内容相互矛盾 its content contradicts itself: {error.diag.message_detail or error}"
            ) from error
    return done


async def _restored(
    connection: Connection, named: Mapping[str, bytes], reading: _Reading, done: Carried, progress: Progress | None
) -> None:
    """Take in every line after the head, page by page."""
    for page in reading.pages():
        keys = [KeyRow(one.id, one.stream, one.holder, one.wrap, one.wrapped) for one in page if isinstance(one, Key)]
        subjects = [one for one in page if isinstance(one, Subject)]
        commits = [one for one in page if isinstance(one, Commit)]
        if keys:
            await connection.execute(named["insert_keys"], recorder.key_columns(keys))
        if subjects:
            columns = [byteas(s.mac for s in subjects), texts(str(s.subject) for s in subjects)]
            await connection.execute(named["insert_subjects"], [*columns, byteas(s.number for s in subjects)])
        if commits:
            events = [row for one in commits for row in one.event_rows()]
            await connection.execute(named["restore_events"], _columns(events))
            await connection.execute(named["restore_commits"], _columns([one.row() for one in commits]))
        done.keys += len(keys)
        done.subjects += len(subjects)
        done.commits += len(commits)
        if progress is not None and commits:
            progress(reading.position, done.position)
    done.digest = reading.digest


def _columns(rows: Sequence[EventRow] | Sequence[CommitRow]) -> list[bytes]:
    """Return rows as array parameters, one a column."""
    return [_column(rows, place) for place in range(len(rows[0]))]


def _column(rows: Sequence[Any], place: int) -> bytes:
    column = [row[place] for row in rows]
    name = rows[0]._fields[place]
    if name in ("recorded_at", "occurred_at"):
        return instants(column)
    if name in ("salt", "leaf", "digest"):
        return byteas(column)
    return ints(column) if isinstance(column[0], int) else texts(column)


async def _drop(connection: Connection, named: Mapping[str, bytes], shreds: Sequence[Erasure]) -> int:
    if not shreds:
        return 0
    subjects = [str(one.subject or "") for one in shreds]
    columns = [ints(one.position for one in shreds), texts(one.stream for one in shreds), texts(subjects)]
    gone = await connection.execute(named["drop_shredded_keys"], columns)
    everywhere = [subject for one, subject in zip(shreds, subjects, strict=True) if subject and not one.stream]
    await connection.execute(named["drop_shredded_subjects"], [texts(everywhere)])
    return gone.rowcount


class _Reading:
    """Reads the lines of an export and holds each against those before it. Raises BadExport, WrongKey."""

    def __init__(self, file: IO[bytes], keyring: Keyring) -> None:
        self.position = 0
        self.shreds: list[Erasure] = []
        self.digest = ""
        self._file = file
        self._keyring = keyring
        self._line = 0
        self._hash = hashlib.sha256()
        self._said = {Key: 0, Subject: 0, Commit: 0}
        self._last: dict[str, tuple[int, bytes]] = {}
        self._since: datetime | None = None

    def head(self) -> Head:
        """Return the first line."""
        found = self._next()
        if not isinstance(found, Head):
            raise BadExport("不是导出文件: 首行不是卷首 not an export: the first line is no head")
        if found.form != FORM:
            raise BadExport(f"此格式不能恢复 a form that cannot be restored: {found.form}")
        self._head = found
        self._imprint = Imprint(found.ledger_id, found.hash)
        return found

    def pages(self) -> Iterator[list[Key | Subject | Commit]]:
        """Return the lines between head and end, page by page, each checked."""
        page: list[Key | Subject | Commit] = []
        while not isinstance(found := self._next(), End):
            match found:
                case Commit():
                    self._check(found)
                case Key():
                    self._check_key(found)
                case Subject():
                    pass
                case _:
                    raise BadExport(f"第 {self._line} 行: 此处不应有 has no place here: {type(found).__name__}")
            self._said[type(found)] += 1
            page.append(found)
            if len(page) >= PAGE:
                yield page
                page = []
        self._check_end(found)
        yield page

    def _next(self) -> Head | Key | Subject | Commit | End:
        before = self._hash.hexdigest()
        try:
            raw = self._file.readline()
        except (OSError, EOFError) as error:
            raise BadExport(f"{self._place()}: 文件在此中断 the file breaks off here: {error}") from error
        self._line += 1
        if not raw.endswith(b"\n"):
            raise BadExport(f"{self._place()}: 文件不完整, 在此中断 the file is cut off here")
        self._hash.update(raw)
        try:
            found = _LINES.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadExport(f"{self._place()}: {error}") from error
        if isinstance(found, End):
            self.digest = before
        return found

    def _place(self) -> str:
        return f"第 {self._line} 行, 位置 line {self._line}, position {self.position + 1}"

    def _check_key(self, key: Key) -> None:
        """See that a key was wrapped with this master key, or sealed with it as two persons hold it. Raises WrongKey."""
        if not intact(KeyRow(key.id, key.stream, key.holder, key.wrap, key.wrapped), self._keyring):
            raise WrongKey(key.id)

    def _check(self, commit: Commit) -> None:
        """Compute every leaf of a commit again, and see that it follows on what came before."""
        row, events = commit.row(), commit.event_rows()
        if len(events) != commit.n or commit.first_position != self.position + 1:
            raise BadExport(f"{self._place()}: 提交不连续 the commit does not follow on the one before")
        for event in events:
            before = self._last.get(event.stream)
            findings = [
                *leaves.check_order(self.position, self._since, [Witnessed(event, row, before)]),
                *leaves.check(self._imprint, [Witnessed(event, row, before)]),
            ]
            if findings:
                raise BadExport(f"{self._place()}: {event.stream}: 核验不符 {findings[0].what}")
            if before is not None and event.version != before[0] + 1:
                raise BadExport(
                    f"{self._place()}: {event.stream}: 版本不连续 the version does not follow: {event.version}"
                )
            self._last[event.stream] = (event.version, event.leaf)
            self.position, self._since = event.position, event.recorded_at
            if event.stream == SHREDS:
                done = msgspec.json.decode(event.state, type=KeysShredded)
                self.shreds.append(
                    _erasure(self._head.ledger_id, event.version, event.position, event.recorded_at, done)
                )

    def _check_end(self, end: End) -> None:
        counted = (self.position, self._said[Commit], self._said[Key], self._said[Subject])
        if counted != (end.position, end.commits, end.keys, end.subjects) or end.position != self._head.position:
            raise BadExport(f"{self._place()}: 卷尾所记与内容不符 the end counts otherwise than the file has")
        if end.digest != self.digest:
            raise BadExport("文件内容与其摘要不符 the file's content does not have its digest")
        if self._file.read(1):
            raise BadExport(f"第 {self._line + 1} 行: 卷尾之后还有内容 something follows on the end")


# --- what was erased stays erased --------------------------------------------------------------------------------


def _erasure(ledger_id: str, version: int, position: int, recorded_at: datetime, done: KeysShredded) -> Erasure:
    return Erasure(
        ledger_id=ledger_id,
        version=version,
        position=position,
        recorded_at=recorded_at,
        stream=done.stream,
        subject=done.subject,
    )


async def erasures_of(ledger: Ledger) -> list[Erasure]:
    """Return every destruction of keys that a ledger has recorded: random ids, and nothing about anybody."""
    entries: Iterable[Entry] = await ledger.history(SHREDS)
    return [
        _erasure(ledger.imprint.ledger_id, entry.version, entry.position, entry.recorded_at, entry.event)
        for entry in entries
    ]


def read_erasures(path: Path) -> list[Erasure]:
    """Return a list that `huiyin erasures` wrote. Raises BadExport."""
    try:
        return msgspec.json.Decoder(Erasure).decode_lines(path.read_bytes())
    except msgspec.DecodeError as error:
        raise BadExport(f"{path}: 不是销毁清单 not a list of erasures: {error}") from error


async def erase_again(ledger: Ledger, erasures: Iterable[Erasure]) -> int:
    """Destroy keys again that were destroyed after what was restored, and record it; return how many erasures."""
    there = await erasures_of(ledger)
    missing = [one for one in erasures if one not in there]
    if foreign := [one for one in missing if one.ledger_id != ledger.imprint.ledger_id]:
        raise BadExport(f"销毁清单属于另一账本 the list of erasures is another ledger's: {foreign[0].ledger_id}")
    again = 0
    for one in missing:
        outcome = await ledger.submit(
            Proposal(
                command_id=f"erased-again:{one.version}:{one.position}",
                digest=hashlib.sha256(canonical(one)).digest(),
                stream=SHREDS,
                now=await ledger.now(),
                actor=canonical(wiring.SYSTEM).decode(),
                origin=Origin.LIVE.value,
                reason="restored",
                steps=(Shred(stream=one.stream, subject=one.subject),),
            )
        )
        if isinstance(outcome, Refusal):
            raise outcome
        again += isinstance(outcome, Written)
    return again
