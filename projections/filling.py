"""重填. A table made again: every case read by ranges of ids, folded, and its rows copied in; in one process or several.

A range is read by one ordered COPY up to a fixed position, each case is folded and its clocks derived once for all
tables, and the rows of a range are written in one short transaction while the next one is read. So what is in memory
is two ranges, whatever the number of cases; and whoever appends waits for nobody.
"""

from __future__ import annotations

import gc
import multiprocessing
import queue
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from multiprocessing.connection import Connection as Channel
from typing import Any, NamedTuple, TypeVar

import psycopg
from psycopg import ClientCursor

from domain import institution, recorder
from domain.kinds import KINDS
from domain.law import Law
from domain.refusals import Refusal
from domain.stored import Codec, StoredEntry
from domain.terms import Entry
from projections.case import ORDERS, Beside, Case, Projection
from projections.packing import HEAD, TAIL, packer
from projections.reading import Poison, copied, entry_from, folded, kind_of, record_of

RANGE = 1500
"""Cases of a range: enough that a range costs what its rows cost, few enough that two of them are little memory."""

SESSION = {
    **recorder.SESSION,
    "enable_sort": "off",  # the ordered walk along the key of a stream needs none
    "max_parallel_workers_per_gather": "0",
    "synchronous_commit": "off",  # a table half made is thrown away; what makes it a whole one is committed for good
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "60s",
}


TOGETHER = 64
"""Cases whose rows are packed together: few enough that the processor still has them at hand."""

T = TypeVar("T")


def span_of(kind: str) -> tuple[str, str]:
    """Return what every stream of a kind lies between: the character after the colon ends it."""
    return f"{kind}:", f"{kind};"


class RebuildOvertaken(Refusal):
    """另一次重建已接手。Another rebuild of the same projection has begun and taken this one's place."""


class Broken(Exception):
    """A process of the rebuild ended without an answer."""


class Task(NamedTuple):
    """What is made again: which tables, from which events, in whose database."""

    dsn: str
    statements: Mapping[str, str]  # how to read, with the city's name in them
    tables: Mapping[str, tuple[Projection, int, bytes]]  # by name: what it is, its version, how rows are copied in
    head: int


class Done(NamedTuple):
    """What a range came to: the events read, and for each table the cases that it is about, and its rows."""

    events: int
    cases: Mapping[str, int]
    rows: Mapping[str, int]


Progress = Callable[[Done], None]


# --- one process -------------------------------------------------------------------------------------------------


def fill(task: Task, law: Law, codec: Codec, ranges: Iterable[tuple[str, str]], told: Progress) -> None:
    """Make the rows of some ranges of cases. Raises Poison, RebuildOvertaken and what the database answered.

    A thread of its own writes: while the server takes the rows of one range in, the next one is folded.
    """
    with closing(connect(task.dsn)) as reading, closing(connect(task.dsn)) as writing:
        ready: queue.Queue[tuple[Done, dict[str, bytes]] | None] = queue.Queue(maxsize=1)
        failed: list[BaseException] = []
        writer = threading.Thread(target=_write, args=(task, writing, ready, told, failed), daemon=True)
        writer.start()
        try:
            for first, last in ranges:
                made = _made(task, law, codec, reading, first, last)
                if failed:
                    break
                ready.put(made)
        finally:
            ready.put(None)
            writer.join()
        if failed:
            raise failed[0]


def connect(dsn: str) -> psycopg.Connection[Any]:
    arguments = {**recorder.session(dsn), "application_name": "huiyin rebuild", "connect_timeout": 10}
    arguments["options"] = " ".join(
        [arguments.get("options", ""), *(f"-c {name}={value}" for name, value in SESSION.items())]
    ).strip()
    arguments["cursor_factory"] = ClientCursor
    return psycopg.connect(dsn, **arguments)


def _made(
    task: Task, law: Law, codec: Codec, reading: psycopg.Connection[Any], first: str, last: str
) -> tuple[Done, dict[str, bytes]]:
    """Return the rows of a range, packed for each table, and what they come to."""
    kind = kind_of(first)
    tables = {name: of for name, (of, _, _) in task.tables.items() if kind in of.kinds}
    packed: dict[str, list[bytes]] = {name: [] for name in task.tables}
    rows, counts = dict.fromkeys(task.tables, 0), dict.fromkeys(task.tables, 0)
    events = 0
    for own in batched(histories(task, codec, reading, first, last), TOGETHER):
        events += sum(map(len, own))
        cases = [
            record_of(entries[0].stream, state, entries[-1].position, law)
            for entries in own
            if (state := folded(entries)) is not None
        ]
        for name, projection in tables.items():
            found = [row for case in cases for row in derived(projection, case)]
            packed[name].append(packer(projection.row).pack(found))
            rows[name] += len(found)
            counts[name] += len(cases)
    return Done(events, counts, rows), {name: b"".join(parts) for name, parts in packed.items()}


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield items by so many."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def histories(
    task: Task, codec: Codec, reading: psycopg.Connection[Any], first: str, last: str
) -> Iterator[list[Entry]]:
    """Yield the entries of each case of a range, up to the task's head. Raises Poison and what the database answered."""
    said = {"first": first, "last": last, "head": task.head}
    statement = ClientCursor(reading).mogrify(task.statements["copy_range"].encode(), said)
    return _streams(codec, copied(reading, statement.encode()))


def _streams(codec: Codec, rows: Iterable[bytes]) -> Iterator[list[Entry]]:
    """Yield the entries of each stream: those of one stand together."""
    own: list[Entry] = []
    stream = ""
    for row in rows:
        entry = entry_from(codec, row)
        if entry.stream != stream:
            if own:
                yield own
            own, stream = [], entry.stream
        own.append(entry)
    if own:
        yield own


def derived(projection: Projection, case: Case | Beside) -> Sequence[Any]:
    """Return a case's rows. Raises Poison with the position the case is at."""
    try:
        return projection.rows_of(case)
    except Exception as error:
        raise Poison(error, case.position) from error


def _write(
    task: Task,
    writing: psycopg.Connection[Any],
    ready: queue.Queue[tuple[Done, dict[str, bytes]] | None],
    told: Progress,
    failed: list[BaseException],
) -> None:
    while (made := ready.get()) is not None:
        if failed:
            continue  # what was made meanwhile is thrown away
        try:
            _written(task, writing, made[1])
            told(made[0])
        except BaseException as error:  # noqa: BLE001  told to the one who reads, who raises it
            failed.append(error)


def _written(task: Task, writing: psycopg.Connection[Any], packed: Mapping[str, bytes]) -> None:
    with writing.transaction():
        for name, (_, version, _) in task.tables.items():
            said = {"name": name, "version": version}
            if not writing.execute(task.statements["lock_to_build"].encode(), said).fetchall():
                raise RebuildOvertaken(name)
        for name, (_, _, statement) in task.tables.items():
            if packed[name]:
                with ClientCursor(writing).copy(statement) as copy:
                    for part in (HEAD, packed[name], TAIL):
                        copy.write(part)


# --- ranges ------------------------------------------------------------------------------------------------------


class Ranges:
    """The ranges of a city's cases in the order of ids, each handed out once, to whoever asks first.

    Records of other kinds come after the cases, where they are asked for.
    """

    def __init__(self, task: Task, size: int = RANGE, kinds: Iterable[str] = (ORDERS,)) -> None:
        self._task = task
        self._size = size
        self._kinds = sorted(kinds)  # the last one comes first
        self._last: str | None = None
        self._turn = threading.Lock()
        self._stopped = False
        self._connection = connect(task.dsn)

    def stop(self) -> None:
        """Hand out no more."""
        self._stopped = True

    def close(self) -> None:
        """End the session."""
        self._connection.close()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return self

    def __next__(self) -> tuple[str, str]:
        with self._turn:
            if self._stopped or (self._last is None and not self._kinds):
                raise StopIteration
            first = self._last or span_of(self._kinds.pop())[0]
            end = span_of(kind_of(first))[1]
            said = {"first": first, "last": end, "size": self._size}
            found = self._connection.execute(self._task.statements["range_end"].encode(), said).fetchone()
            self._last = None if found is None else found[0]
            return first, end if found is None else found[0]


# --- several processes -------------------------------------------------------------------------------------------


class _Failure(NamedTuple):
    """How a process tells what it could not go on from."""

    kind: str
    words: str
    at: int | None


def fill_all(task: Task, law: Law, codec: Codec, ranges: Ranges, jobs: int, told: Progress) -> None:
    """Make all rows, in this process or in several. Raises Poison, RebuildOvertaken, Broken, psycopg's errors."""
    if jobs <= 1:
        fill(task, law, codec, ranges, told)
        return
    context = multiprocessing.get_context("spawn")  # a forked child would share our sessions
    failed: list[BaseException] = []
    turn = threading.Lock()

    def tell(done: Done) -> None:
        with turn:
            told(done)

    def lead() -> None:
        here, there = context.Pipe()
        process = context.Process(target=serve, args=(there, task), daemon=True)
        process.start()
        there.close()
        try:
            _feed(here, ranges, tell)
        except BaseException as error:  # noqa: BLE001  raised where all of them are awaited
            failed.append(error)
            ranges.stop()
        finally:
            here.close()  # a process that hears nobody any more ends by itself
            process.join(10)
            process.kill()

    leading = [threading.Thread(target=lead, daemon=True) for _ in range(jobs)]
    for thread in leading:
        thread.start()
    for thread in leading:
        thread.join()
    if failed:
        raise failed[0]


def _feed(channel: Channel, ranges: Ranges, told: Progress) -> None:
    """Hand ranges to a process, the next one before it has done the last, and take in what it says."""
    over = False

    def hand() -> None:
        nonlocal over
        if not over:
            one = next(ranges, None)
            over = one is None
            channel.send(one)

    try:
        hand()
        hand()
        while (said := channel.recv()) is not None:
            if isinstance(said, _Failure):
                raise _as_error(said)
            told(said)
            hand()
    except (EOFError, OSError) as error:
        raise Broken from error


def serve(channel: Channel, task: Task) -> None:
    """Be one of the processes: make the ranges that are asked for, until there are no more or nobody asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever leads is interrupted, and says so
    codec = Codec(KINDS)

    def asked() -> Iterator[tuple[str, str]]:
        while (one := channel.recv()) is not None:
            yield one

    try:
        with closing(connect(task.dsn)) as connection:
            law = law_of(task, codec, connection)
        gc.freeze()
        gc.disable()  # what is folded refers to nothing that refers back
        fill(task, law, codec, asked(), channel.send)
        channel.send(None)
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:  # noqa: BLE001  said to whoever leads
        channel.send(_Failure(type(error).__name__, str(error), getattr(error, "at", None)))


def law_of(task: Task, codec: Codec, connection: psycopg.Connection[Any]) -> Law:
    """Return the law at the fixed position."""
    said = {"stream": institution.STREAM, "head": task.head}
    law = Law()
    for row in connection.execute(task.statements["read_institution"].encode(), said):
        law = institution.evolve(law, codec.entry(StoredEntry(*row)))
    return law


def _as_error(failure: _Failure) -> Exception:
    if failure.kind == Poison.__name__:
        return Poison(failure.words, failure.at)
    if failure.kind == RebuildOvertaken.__name__:
        return RebuildOvertaken(failure.words)
    kind = getattr(psycopg.errors, failure.kind, None) or getattr(psycopg, failure.kind, None)
    return (kind or Broken)(failure.words)
