"""How cases come in from outside: case scripts (commands, every guard holds) and tables of old systems (facts).

A bad row never stops an import: it goes to the rejects file with its line number and the reason, and the summary
counts it. The same file imported again adds nothing: each line's command id is derived from the file's content.
"""

from __future__ import annotations

import asyncio
import codecs
import csv
import difflib
import hashlib
import io
import json
import os
import re
import tomllib
import types
import typing
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Union
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from domain import recorder
from domain.journals import is_journal
from domain.kinds import COMMANDS, KINDS
from domain.law import Law
from domain.ledger import Ledger, Receipt
from domain.matters import calls, publications
from domain.order import fold
from domain.refusals import (
    Busy,
    ChainNotVerified,
    ClockAhead,
    ClosedDoor,
    CommandIdReused,
    ConcurrencyConflict,
    OutcomeUnknown,
    Refusal,
    TimeGoesBack,
    Unavailable,
)
from domain.state import WorkOrder
from domain.steps.registration import has_personal_data
from domain.terms import SHANGHAI, Act, Actor, Entry, Fact, Number, Origin, Period, PolicyRef, Role, Sealed, Step
from scripts import wiring
from scripts.rehearsal import Rehearsal

AnyCommand = Union[COMMANDS]  # noqa: UP007  a union made from a tuple
BY_NAME: dict[str, type[Act]] = {str(command.__struct_config__.tag): command for command in COMMANDS}
FACTS: dict[str, type[Fact]] = {str(event.__struct_config__.tag): event for kind in KINDS for event in kind.events}

Progress = Callable[[int, int], None]

STOPS = (Busy, ClockAhead, ClosedDoor, ConcurrencyConflict, OutcomeUnknown, Unavailable)
"""Refusals that say nothing about the line: the import stops there, and goes on when it is given again."""


class Reject(msgspec.Struct):
    """A line that was not imported, and why."""

    line: int
    code: str
    reason: str
    content: Any = None


class Reconciled(msgspec.Struct):
    """One line of the reconciliation of a table: how many rows the old system has, and how many orders came of them."""

    by: str  # month, unit or state
    name: str  # of the state: the old system's word → ours
    rows: int
    orders: int


class Summary(msgspec.Struct):
    """What an import did."""

    file: str
    lines: int = 0
    imported: int = 0
    events: int = 0
    already: int = 0
    expected_refusals: int = 0
    rejected: int = 0
    by_reason: dict[str, int] = {}
    orders: dict[str, str] = {}  # label -> printed number or id
    reconciliation: list[Reconciled] = []
    rejects_file: str = ""
    dry_run: bool = False


class BadSource(Exception):
    """The file as a whole cannot be imported; the message says what to do."""


class Stopped(Exception):
    """The import could not go on to its end; what was imported stays, and the same command goes on from there."""


class Rejects:
    """The rejects file: JSON Lines beside the imported file unless named; made only when there is something to say."""

    def __init__(self, path: Path, source: Path) -> None:
        """Make sure of the file before anything is imported. Raises BadSource where nothing could be written to it."""
        self.path = path
        self.rows: list[Reject] = []
        self.unreadable: list[int] = []  # lines that are not even lines of a script
        if path.exists() and path.samefile(source):
            raise BadSource(f"退回文件不能是导入文件本身 the rejects file cannot be the imported file: {path}")
        try:
            with path.open("ab") as file:
                empty = file.tell() == 0
            if empty:
                path.unlink()
        except OSError as error:
            raise BadSource(
                f"无法写入退回文件, 尚未导入任何内容 cannot write the rejects file, nothing was imported: {path}: "
                f"{error.strerror}; 另指一处 name another: --rejects FILE"
            ) from error

    def add(self, line: int, error: Exception, content: Any = None) -> None:
        """Note a line that was not imported."""
        said = wiring.problem(error)
        reason = " · ".join(part for part in (said["sentence"], said["detail"], said.get("basis", "")) if part)
        self.rows.append(Reject(line=line, code=said["code"], reason=reason, content=content))

    def write(self) -> str:
        """Write what was noted, for its owner's eyes: rows hold what people wrote. Return the file's name, or nothing."""
        if not self.rows:
            self.path.unlink(missing_ok=True)  # of an earlier run: none of it is true any more
            return ""
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_bytes(msgspec.json.Encoder().encode_lines(sorted(self.rows, key=lambda r: r.line)))
        draft.replace(self.path)
        return str(self.path)


class WasNotRefused(Refusal):
    """脚本写明应被拒绝的命令未被拒绝。The script says this command is refused, but it was carried out."""


class AnotherRefusal(Refusal):
    """命令被拒绝, 但不是脚本写明的理由。The command was refused, but not for the reason the script states."""


class RefusedBefore(Refusal):
    """此行在先前导入时已被拒绝, 其后各行已经执行。Refused when this file was imported before; the lines after it were carried out."""


class RowChanged(Refusal):
    """此行先前已导入, 而内容、映射或政策与当时不同; 请在账本中更正。This row was imported before, from other content, by another mapping or under another policy: correct it in the ledger."""


class TimeDisorder(Refusal):
    """时间先后矛盾。The times of this row contradict each other."""


async def _together(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do several things at once. The first that cannot go on ends the others, and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as several:
        first = several.exceptions[0]
        raise Stopped(str(first)) if isinstance(first, STOPS) else first from None


# --- commands in their JSON form ---------------------------------------------------------------------------------


def read_command(plain: dict[str, Any]) -> Act:
    """Return the command that JSON states. Raises ValidationError naming the field, and what would be right there."""
    name = plain.get("type")
    act = BY_NAME.get(name) if isinstance(name, str) else None
    if act is None:
        raise msgspec.ValidationError(f"没有此命令 no such command: {name!r}{_near(str(name), BY_NAME)}")
    try:
        return msgspec.convert(plain, act)
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(_said(str(error), act, plain)) from None


_AT = re.compile(r" - at `\$(?:\.|(?=\[))?(?P<path>.*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*?)`")


def _said(words: str, act: type[Act], plain: dict[str, Any]) -> str:
    """Say what does not fit, field first, with what would: names that are near, words that may stand there."""
    at = _AT.search(words)
    path = at["path"] if at else ""
    words = words[: at.start()] if at else words
    place = f"{path}: " if path and path != "type" else ""
    if unknown := _UNKNOWN.fullmatch(words):
        names = [field.name for kind in structs_in(type_at(act, path)) for field in msgspec.structs.fields(kind)]
        return f"{place}没有此字段 no such field: {unknown['name']!r}{_near(unknown['name'], names)}"
    if label := re.match(r"@[\w./:-]+$", str(_value_at(plain, path))):
        return f"{place}没有此标签 no such label in this script so far: {label[0]}"
    choices = words_of(type_at(act, path)) if "enum" in words else ()
    return f"{place}{words}" + (f"; 可选 one of: {', '.join(choices)}" if choices else "")


def _near(word: str, known: Iterable[str]) -> str:
    """Return the names that were perhaps meant, else all of a few."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=4, cutoff=0.6)
    close += [name for name in known if name not in close and word and word.partition("_")[0] in name.split("_")][:4]
    if close:
        return f"; 相近 near: {', '.join(close)}"
    return f"; 可用 there are: {', '.join(known) or '—'}" if len(known) <= 40 else ""


def _value_at(plain: Any, path: str) -> Any:
    for part in re.findall(r"[^.\[\]]+", path):
        if isinstance(plain, list):
            plain = plain[int(part)] if part.isdecimal() and int(part) < len(plain) else None
        else:
            plain = plain.get(part) if isinstance(plain, dict) else None
    return plain


def arms(kind: Any) -> tuple[Any, ...]:
    """Return what a type may be: the members of a union, else the type alone; annotations left away."""
    if typing.get_origin(kind) is typing.Annotated:
        return arms(typing.get_args(kind)[0])
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is Union:
        return tuple(arm for member in typing.get_args(kind) for arm in arms(member))
    return (kind,)


def structs_in(kind: Any) -> list[type[msgspec.Struct]]:
    """Return the records that a type may be, or be a list of."""
    found: list[type[msgspec.Struct]] = []
    for arm in arms(kind):
        if isinstance(arm, type) and issubclass(arm, msgspec.Struct) and arm is not Sealed:
            found.append(arm)
        elif typing.get_origin(arm) in (tuple, list, set, frozenset):
            found += structs_in(typing.get_args(arm)[0])
        elif typing.get_origin(arm) is dict:
            found += structs_in(typing.get_args(arm)[1])
    return found


def words_of(kind: Any) -> tuple[str, ...]:
    """Return the words that a type admits, where it is an enumeration of words."""
    for arm in arms(kind):
        if isinstance(arm, type) and issubclass(arm, str) and hasattr(arm, "__members__"):
            return tuple(str(member.value) for member in arm.__members__.values())  # type: ignore[attr-defined]
        if typing.get_origin(arm) in (tuple, list, frozenset, dict) and (inner := words_of(typing.get_args(arm)[0])):
            return inner
    return ()


def type_at(kind: Any, path: str) -> Any:
    """Return the type of what lies at a path (`attributes.urgency`, `co[0].unit`); None where nothing does."""
    for part in re.findall(r"[^.\[\]]+", path):
        if part.isdecimal() or part == "...":
            inner = [typing.get_args(arm) for arm in arms(kind) if typing.get_args(arm)]
            kind = inner[0][-1 if typing.get_origin(kind) is dict else 0] if inner else None
            continue
        holder = next((s for s in structs_in(kind) if part in s.__struct_fields__), None)
        kind = None if holder is None else typing.get_type_hints(holder)[part]
    return kind


# --- case scripts ------------------------------------------------------------------------------------------------


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """One line of a case script: who commands what at which instant, of which order or stream."""

    at: str
    by: Actor
    command: dict[str, Any]
    order: str | None = None
    stream: str | None = None
    reason: str = ""
    refused: str | None = None  # the code of the refusal that this line is there to show
    note: str | None = None  # for the reader of the script


_LINES = msgspec.json.Decoder(Line)
_LABEL = re.compile(r"@([\w./:-]+)")


class Before:
    """What an earlier import of the very same script came to: which of its lines are in the ledger."""

    def __init__(self, ledger: Ledger, digest: str, lines: Iterable[tuple[int, Line]] = ()) -> None:
        self._ledger = ledger
        self._digest = digest
        self._labels = {number: line.order or line.stream or "" for number, line in lines}
        self._places: dict[int, tuple[int, int]] = {}  # line -> first position, how many events
        self._last: dict[str, int] = {}  # label -> its last line that is there

    def command_id(self, number: int) -> str:
        """Return the id of a line's command: the same file gives the same line the same id."""
        return f"script:{self._digest}:{number}"

    async def look(self) -> None:
        """Look which lines are there."""
        numbers = list(self._labels)
        for start in range(0, len(numbers), 5000):
            ids = tuple(self.command_id(number) for number in numbers[start : start + 5000])
            for command_id, _, first, count in await self._ledger.rows("known_commands", recorder.texts(ids)):
                number = int(command_id.rpartition(":")[2])
                self._places[number] = (first, count)
                label = self._labels[number]
                self._last[label] = max(number, self._last.get(label, 0))

    async def receipt(self, number: int) -> Receipt | None:
        """Return what a line came to when it was imported; None where it was not."""
        if number not in self._places:
            return None
        first, count = self._places[number]
        entries = tuple(await self._ledger.read(first - 1, count))
        kind = self._labels[number].partition(":")[0] if ":" in self._labels[number] else "order"
        told = next((e for e in entries if e.stream.partition(":")[0] == kind), entries[0])
        version = max(e.version for e in entries if e.stream == told.stream)
        numbers, at = entries[0].numbers, entries[0].recorded_at
        return Receipt(self.command_id(number), told.stream, version, first, entries, numbers, at, replayed=True)

    def passed(self, number: int) -> bool:
        """Tell whether the record went on beyond a line that is not there: it was refused then."""
        return number not in self._places and self._last.get(self._labels.get(number, ""), 0) > number


class Script:
    """A case script on its way into a ledger: the labels it has given so far."""

    def __init__(self, ledger: Ledger | Rehearsal, digest: str) -> None:
        self._ledger = ledger
        self._digest = digest
        self.labels: dict[str, str] = {}  # label -> stream
        self.head = 0  # what `@head` stands for

    async def look_up(self, line: Line) -> None:
        """Let `@head` stand for the ledger's position, up to which the line's own chain was verified just now.

        Raises ChainNotVerified: nobody files what does not add up.
        """
        if not _names_head(line.command):
            return
        self.head, _ = await self._ledger.head()
        stream = self.labels.get(line.order or line.stream or "")
        findings = await self._ledger.verify_stream(stream) if stream is not None else []
        if findings:
            raise ChainNotVerified(f"{findings[0].position}: {findings[0].what}")

    def resolve(self, value: Any) -> Any:
        """Return `value` with `@head` and every `@label` replaced, a label by the id of what it created."""
        if value == "@head":
            return self.head
        if isinstance(value, str):
            found = _LABEL.fullmatch(value)
            if found is None or found[1] not in self.labels:
                return value
            return self.labels[found[1]].split(":", 1)[-1]
        if isinstance(value, dict):
            return {key: self.resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        return value

    def stream_of(self, line: Line, command: Act) -> str | None:
        """Return the stream a line addresses; None where the command opens a new one."""
        if line.order is not None:
            return self.labels.get(line.order)
        if line.stream is None:
            return None
        if (own := own_stream(command)) is not None:
            return own
        kind, _, label = line.stream.partition(":")
        if line.stream in self.labels:
            return self.labels[line.stream]
        creates = getattr(command, "creates", None)
        if creates == kind and creates != "call":
            return None
        return self.resolve("@" + label) if "@" + label in self.labels else line.stream

    async def carry_out(self, number: int, line: Line) -> Receipt:
        """Carry out one line. Raises whatever refuses it."""
        if line.order is None and line.stream is None:
            raise msgspec.ValidationError("须写明 order 或 stream: a line names `order` or `stream`")
        command = read_command(self.resolve(line.command))
        stream = self.stream_of(line, command)
        if stream is None and line.order is not None and getattr(command, "creates", None) is None:
            raise msgspec.ValidationError(
                f"本脚本尚未登记此工单 no such label in this script so far: order {line.order!r}"
            )
        receipt = await self._ledger.execute(
            command,
            stream=stream,
            actor=line.by,
            command_id=f"script:{self._digest}:{number}",
            occurred_at=wiring.parse_instant(line.at),
            origin=Origin.IMPORT,
            reason=line.reason,
        )
        self.learn(line, receipt)
        return receipt

    def learn(self, line: Line, receipt: Receipt) -> None:
        """Keep what a line's label, and the labels of the orders it made, stand for."""
        label = line.order or line.stream
        if label is not None and label not in self.labels and ":" in receipt.stream:
            self.labels[label] = receipt.stream
            if line.stream is not None:
                self.labels[line.stream.partition(":")[2]] = receipt.stream
        self._children(line, receipt)

    def _children(self, line: Line, receipt: Receipt) -> None:
        """Give the orders that a split made their labels: `A/1`, `A/2` …"""
        others = dict.fromkeys(e.stream for e in receipt.events if e.stream != receipt.stream and ":" in e.stream)
        for count, stream in enumerate((s for s in others if s not in self.labels.values()), 1):
            if stream.startswith("order:"):
                self.labels[f"{line.order}/{count}"] = stream


def _names_head(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_names_head(item) for item in value.values())
    if isinstance(value, list):
        return any(_names_head(item) for item in value)
    return value == "@head"


def own_stream(command: Act) -> str | None:
    """Return the stream of a command whose content says which it is: a call's, a period's, a day's."""
    match command:
        case calls.LogCall() | calls.RateService() | calls.FileServiceComplaint():
            return calls.call_stream(command.call_id)
        case publications.PublishReport() if command.report not in publications.ON_EVENT:
            period = (command.period_from, command.period_until)
            return publications.report_stream(command.report, *period, command.scope or "")
        case publications.RecordPush():
            return publications.push_stream(command.consumer, command.day)
        case publications.ImportTelephonyStats():
            return publications.telephony_stream(command.source, command.day)
        case _:
            return None


async def import_script(
    ledger: Ledger,
    path: Path,
    *,
    rejects: Path,
    dry_run: bool = False,
    progress: Progress | None = None,
    at_once: int = 32,
) -> Summary:
    """Carry out a case script (JSON Lines). A refused line goes to the rejects file; a line that states its refusal
    (`refused`) is expected to be refused for just that reason.

    Lines of one stream are carried out in their order; different streams go on together, `at_once` of them, but
    never past a line of the institution or one that names another's label. A dry run rehearses the whole script in
    memory, on top of what the ledger holds: every line is decided as it would be, and nothing is written.
    Raises BadSource, and Stopped where the ledger takes no more.
    """
    noted = Rejects(rejects, path)
    content = await asyncio.to_thread(path.read_bytes)
    digest = hashlib.sha256(content).hexdigest()[:16]
    rows = content.removeprefix(codecs.BOM_UTF8).splitlines()
    lines = list(_lines(rows, noted))
    before = Before(ledger, digest, ((number, line) for number, _, line in lines))
    await before.look()
    door = Rehearsal(wiring.process_now(), ledger) if dry_run else ledger
    script, done = Script(door, digest), Summary(file=str(path), dry_run=dry_run)
    told = len(noted.unreadable)
    turn = asyncio.Semaphore(at_once)

    async def in_order(together: list[tuple[int, bytes, Line]]) -> None:
        nonlocal told
        async with turn:
            for number, raw, line in together:
                try:
                    await _one_line(script, before, number, line, done)
                except STOPS:
                    raise
                except (Refusal, msgspec.ValidationError, wiring.SettingError) as error:
                    noted.add(number, error, _readable(raw))
                told += 1
                if progress is not None:
                    progress(told, len(lines) + len(noted.unreadable))

    done.lines = len(lines) + len(noted.unreadable)
    try:
        for together in _batches(lines):
            await _together(in_order(same) for same in together)
    except BaseException:
        noted.write()
        raise
    return await _finish(ledger, script.labels, noted, done)


def _lines(rows: Sequence[bytes], noted: Rejects) -> Iterator[tuple[int, bytes, Line]]:
    """Return the readable lines with their numbers; note the others."""
    for number, raw in enumerate(rows, 1):
        if not raw.strip() or raw.lstrip().startswith((b"#", b"//")):
            continue
        try:
            yield number, raw, _LINES.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:  # a ValidationError is one
            noted.unreadable.append(number)
            noted.add(
                number, msgspec.ValidationError(f"不是脚本的一行 not a line of a script: {error}"), _readable(raw)
            )


def _batches(lines: Iterable[tuple[int, bytes, Line]]) -> Iterator[list[list[tuple[int, bytes, Line]]]]:
    """Return what may go on together: a list of streams, each with its lines in order."""
    streams: dict[str, list[tuple[int, bytes, Line]]] = {}
    held = 0
    for number, raw, line in lines:
        label = line.order or line.stream or ""
        alone = label == "institution" or b'"@' in raw
        if (alone or held >= 4096) and streams:
            yield list(streams.values())
            streams, held = {}, 0
        if alone:
            yield [[(number, raw, line)]]
            continue
        streams.setdefault(label, []).append((number, raw, line))
        held += 1
    if streams:
        yield list(streams.values())


def _readable(raw: bytes) -> Any:
    try:
        content = json.loads(raw.decode("utf-8", "strict"))
        msgspec.json.encode(content)
    except ValueError:  # no JSON, not even UTF-8, or a half of a surrogate pair, which no file holds
        return raw.decode("utf-8", "replace")
    return content


async def _one_line(script: Script, before: Before, number: int, line: Line, done: Summary) -> None:
    if (receipt := await before.receipt(number)) is not None:
        script.learn(line, receipt)
        done.already += 1
        return
    if before.passed(number):
        if line.refused is None:
            raise RefusedBefore
        done.already += 1
        return
    try:
        await script.look_up(line)
        receipt = await script.carry_out(number, line)
    except STOPS:
        raise
    except Refusal as refusal:
        if isinstance(refusal, CommandIdReused) and _names_head(line.command):
            done.already += 1  # another import of the same file was faster, when the ledger's position was another
            return
        if isinstance(refusal, TimeGoesBack):
            await before.look()
            if before.passed(number) and line.refused is not None:
                done.already += 1  # another import of the same file is ahead of this one
                return
        if line.refused is None:
            raise
        if refusal.code() != line.refused:
            raise AnotherRefusal(f"{refusal.code()} ≠ {line.refused}: {refusal}") from refusal
        done.expected_refusals += 1
        return
    if line.refused is not None:
        raise WasNotRefused(line.refused)
    _count(done, receipt)


def _count(done: Summary, *receipts: Receipt) -> None:
    new = [receipt for receipt in receipts if not receipt.replayed]
    done.imported += bool(new)
    done.already += not new
    done.events += sum(not is_journal(entry.stream) for receipt in new for entry in receipt.events)


async def _finish(ledger: Ledger, labels: dict[str, str], noted: Rejects, done: Summary) -> Summary:
    for label, stream in labels.items():
        if stream.startswith("order:") and (order := await ledger.fold(stream)) is not None:
            done.orders[label] = order.number or stream
    done.rejected = len(noted.rows)
    done.by_reason = dict(Counter(row.code for row in noted.rows))
    done.rejects_file = noted.write()
    return done


# --- tables of old systems ---------------------------------------------------------------------------------------


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a field's value comes from: a column, a pattern in it, a constant; through a value table if named."""

    column: str | None = None
    constant: Any = None
    same: str | None = None  # what the row's first event has in this field
    table: str | None = None
    patterns: list[tuple[str, Any]] = []  # the first pattern found in the column decides
    extract: str | None = None  # the first group of this pattern in the column
    otherwise: Any = None
    instant: bool = False
    title: bool = False  # a subject line: category and place stand in where it fails the title rule (8.15)

    @property
    def derived(self) -> bool:
        """Tell whether the value is not simply what the source says (8.15)."""
        if self.same is not None:
            return False  # said so where it was derived
        return self.column is None or bool(self.patterns) or self.extract is not None


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One event that a row states. `derived` says what the source lacks, and is shown wherever the event is."""

    fact: str
    at: str  # a column with an instant
    fields: dict[str, Source]
    when: str | None = None  # a column that must hold something
    derived: str = ""
    number: str = ""  # the prefix of the running number it is given on paper


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one old system's table is read; a city writes one to bring its cases over."""

    name: str
    title: str
    key: str  # the column with the old number
    event: list[Event]
    encoding: str = "utf-8-sig"
    delimiter: str = ","
    zone: str = "Asia/Shanghai"
    times: tuple[str, ...] = ("%Y-%m-%d %H:%M:%S",)
    tables: dict[str, dict[str, Any]] = {}
    required: list[str] = []  # columns that hold something in every row
    state: str | None = None  # the column with the old system's state, for the reconciliation

    @property
    def columns(self) -> list[str]:
        """Every column that the mapping names, once."""
        named = [self.key, *self.required, self.state]
        for event in self.event:
            named += [event.at, event.when, *(source.column for source in event.fields.values())]
        return [name for name in dict.fromkeys(named) if name is not None]


REGISTERED = "order.order_registered"
DISPATCHED = "order.order_dispatched"
GIVEN = {REGISTERED: {"title", "policy", "old_number", "assumed_policy", "derived"}}
"""Fields that no mapping sets: they follow from the key column, the law and the title rule."""
ORDINALS = frozenset({"assignment", "round", "reply", "return_no", "extension", "notice", "follow_up", "co"})
"""Fields that name a part of the order by its ordinal: what a constant says there is not made up."""


def read_mapping(name: str) -> Mapping:
    """Return a mapping by the name of a shipped one or from a TOML file. Raises BadSource, saying where it fails."""
    path = Path(name) if name.endswith(".toml") else wiring.MAPPINGS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in wiring.MAPPINGS.glob("*.toml")))
        raise BadSource(f"没有此映射 no such mapping: {name}; 可用 available: {known}")
    try:
        mapping = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Mapping)
        for fault in faults(mapping):
            raise BadSource(f"{path}: {fault}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise BadSource(f"{path}: {error}") from error
    return mapping


def faults(mapping: Mapping) -> Iterator[str]:
    """Yield what is wrong with a mapping, before any row is read with it."""
    try:
        codecs.lookup(mapping.encoding)
    except LookupError:
        yield f"encoding: {mapping.encoding!r} 没有此编码 no such encoding"
    try:
        ZoneInfo(mapping.zone)
    except (ZoneInfoNotFoundError, ValueError):
        yield f"zone: {mapping.zone!r} 没有此时区 no such zone"
    if len(mapping.delimiter) != 1:
        yield f"delimiter: {mapping.delimiter!r} 应为一个字符 one character is wanted"
    if not mapping.times:
        yield "times: 须写明时间格式 state how times are written"
    if not mapping.event or mapping.event[0].fact != REGISTERED:
        yield f"[[event]] #1: 首个事件应为 the first event is {REGISTERED}"
    for number, event in enumerate(mapping.event, 1):
        yield from (f"[[event]] #{number} {event.fact}: {fault}" for fault in _faults_of_event(mapping, event))


def _faults_of_event(mapping: Mapping, event: Event) -> Iterator[str]:
    fact = FACTS.get(event.fact)
    if fact is None or not event.fact.startswith("order."):
        known = [name for name in FACTS if name.startswith("order.")]
        yield f"没有此事件 no such event of an order{_near(event.fact, known)}"
        return
    names = fact.__struct_fields__
    given = GIVEN.get(event.fact, {"derived"})
    for path, source in event.fields.items():
        if type_at(fact, path) is None:
            yield f"{path}: 没有此字段 no such field{_near(path.split('.')[0], names)}"
        elif path.split(".")[0] in given and not source.title:
            yield f"{path}: 不由映射填写 not for a mapping to set"
        yield from (f"{path}: {fault}" for fault in _faults_of_source(mapping, source))
    stated = {path.split(".")[0] for path in event.fields} | given
    missing = [field.name for field in msgspec.structs.fields(fact) if field.required and field.name not in stated]
    if missing:
        yield f"缺少字段 fields are missing: {', '.join(missing)}"
    derived = [path for path, source in event.fields.items() if source.derived and path not in ORDINALS]
    if "derived" not in names and (event.derived or derived):
        what = event.derived or ", ".join(derived)
        yield f"此类事件不得推定 nothing is derived for such an event (8.15): {what}"


def _faults_of_source(mapping: Mapping, source: Source) -> Iterator[str]:
    said = [name for name in ("column", "constant", "same") if getattr(source, name) is not None]
    if len(said) != 1:
        yield "须写明且只写明一个来源 name one of column, constant, same"
    if source.column is None and (source.table or source.patterns or source.extract or source.instant or source.title):
        yield "须写明列 name the column"
    if source.table is not None and source.table not in mapping.tables:
        yield f"没有此值表 no such table{_near(source.table, mapping.tables)}"
    if source.same is not None and source.same not in {path.split(".")[0] for path in mapping.event[0].fields}:
        yield f"首个事件没有此字段 the first event has no field {source.same!r}"
    for pattern in [*(pattern for pattern, _ in source.patterns), *([source.extract] if source.extract else [])]:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            yield f"{pattern!r}: {error}"
            continue
        if pattern == source.extract and not groups:
            yield f"{pattern!r}: 须有一个括号组 a group in parentheses says what is taken"


class Table:
    """A table of an old system on its way into a ledger, read row by row through its mapping."""

    def __init__(self, mapping: Mapping, law: Law, assumed: PolicyRef | None) -> None:
        self.mapping = mapping
        self.law = law
        self.assumed = assumed  # a pack that history is run under outside its validity
        self._zone = SHANGHAI if mapping.zone == "Asia/Shanghai" else ZoneInfo(mapping.zone)

    def rows(self, content: bytes) -> Iterator[tuple[int, dict[str, str]]]:
        """Return each row with the line it begins on. Raises BadSource for a file of another form."""
        text = self._text(content)
        csv.field_size_limit(max(len(text), 131072))
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=self.mapping.delimiter)
        names = next(reader, [])
        self._check_head(names, text)
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                row = {name: cell.strip() for name, cell in zip(names, cells, strict=False)}
                if len(cells) > len(names):
                    row[""] = self.mapping.delimiter.join(cells[len(names) :])
                yield line, row
            line = reader.line_num + 1

    def _text(self, content: bytes) -> str:
        """Return the file's text; single bytes that are not of its encoding are left for their row to say so."""
        encoding = self.mapping.encoding
        try:
            return content.decode(encoding)
        except UnicodeDecodeError as error:
            with suppress(UnicodeDecodeError):
                text = content.decode(encoding, "surrogateescape")
                if not _garbled(text.partition("\n")[0]) and len(_GARBLED.findall(text)) * 100 < len(text):
                    return text
            raise BadSource(f"文件不是此编码 the file is not {encoding}: {error.reason}, byte {error.start}") from error

    def _check_head(self, names: Sequence[str], text: str) -> None:
        missing = [name for name in self.mapping.columns if name not in names]
        if missing:
            there = ", ".join(names) if names else "—"
            raise BadSource(f"文件缺少列 the file lacks the columns: {', '.join(missing)}; 现有 there are: {there}")
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise BadSource(f"列名重复 columns that are there twice: {', '.join(twice)}")
        strict = csv.reader(io.StringIO(text, newline=""), delimiter=self.mapping.delimiter, strict=True)
        opened = 1
        try:
            for _ in strict:
                opened = strict.line_num + 1
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise BadSource(
                    f"第 {opened} 行的引号没有结束 the quote that opens on line {opened} is never closed: "
                    "其后各行都会并入其中 all that follows would be part of it"
                ) from error

    def instant(self, text: str) -> datetime:
        """Return the instant a cell states. Raises ValidationError."""
        for form in self.mapping.times:
            with suppress(ValueError):
                return datetime.strptime(text, form).replace(tzinfo=self._zone).astimezone(SHANGHAI)
        raise msgspec.ValidationError(f"不是时间 not an instant: {text!r}; 应如 expected like {self.mapping.times[0]}")

    def value(self, source: Source, row: dict[str, str]) -> Any:
        """Return what a field is to hold; None where the row says nothing."""
        if source.column is None:
            return source.constant
        cell = row.get(source.column, "")
        if not cell:
            return source.otherwise
        if source.patterns:
            return next((value for pattern, value in source.patterns if re.search(pattern, cell)), source.otherwise)
        if source.extract is not None:
            found = re.search(source.extract, cell)
            return found[1] if found else source.otherwise
        if source.instant:
            try:
                return self.instant(cell)
            except msgspec.ValidationError as error:
                raise msgspec.ValidationError(f"{source.column}: {error}") from None
        if source.table is not None:
            table = self.mapping.tables[source.table]
            if cell not in table and source.otherwise is None:
                raise msgspec.ValidationError(f"{source.column}: {cell!r} 不在值表 not in the table {source.table!r}")
            return table.get(cell, source.otherwise)
        return cell

    def check(self, row: dict[str, str]) -> None:
        """Refuse a row of another shape. Raises ValidationError."""
        if row.get("", ""):
            raise msgspec.ValidationError(f"列数多于表头 more cells than columns: {row['']!r}")
        missing = [name for name in self.mapping.columns if name not in row]
        if missing:
            raise msgspec.ValidationError(f"列数少于表头 fewer cells than columns: {', '.join(missing)}")
        empty = [name for name in (self.mapping.key, *self.mapping.required) if not row[name]]
        if empty:
            raise msgspec.ValidationError(f"此列不能为空 must hold something: {', '.join(empty)}")
        for name, cell in row.items():
            if _garbled(cell):
                raise msgspec.ValidationError(f"{name}: 不是此编码 not {self.mapping.encoding}")
            if "\0" in cell:
                raise msgspec.ValidationError(f"{name}: 含有 U+0000 holds U+0000")

    def facts(self, row: dict[str, str]) -> list[tuple[Step, datetime]]:
        """Return the events that a row states, with when each occurred. Raises ValidationError or TimeDisorder."""
        found: list[tuple[Step, datetime]] = []
        first: dict[str, Any] = {}
        for event in self.mapping.event:
            if event.when is not None and not row.get(event.when):
                continue
            try:
                at = self.instant(row.get(event.at, ""))
            except msgspec.ValidationError as error:
                raise msgspec.ValidationError(f"{event.at}: {error}") from None
            if found and at < found[-1][1]:
                raise TimeDisorder(f"{event.at} {at:%Y-%m-%d %H:%M:%S} < {found[-1][1]:%Y-%m-%d %H:%M:%S}")
            found.append((self._fact(event, row, first, at), at))
            if event.number:
                found.append((Number(journal="order", prefix=event.number, per=Period.DAY), at))
        return found

    def _fact(self, event: Event, row: dict[str, str], first: dict[str, Any], at: datetime) -> Fact:
        plain: dict[str, Any] = {}
        derived = [event.derived] if event.derived else []
        subject = ""
        for path, source in event.fields.items():
            value = first.get(source.same) if source.same is not None else self.value(source, row)
            if source.title:
                subject = str(value or "")
                continue
            if value is None:
                continue
            if source.derived and path not in ORDINALS:
                derived.append(path)
            _put(plain, path, value)
        if event.fact == REGISTERED:
            derived += self._title(plain, subject)
            # The pack in force when it was registered, unless the city chose to assume another.
            plain["policy"] = msgspec.to_builtins(self.assumed or self.law.policy_at(at))
            plain["old_number"] = row[self.mapping.key]
            plain["assumed_policy"] = self.assumed is not None
        if not first:
            first.update(plain)
        if derived:
            plain["derived"] = [self.mapping.name, *derived]
        try:
            # What a cell says is text: a number or a yes is read from it.
            return msgspec.convert({"type": event.fact, **plain}, FACTS[event.fact], strict=False)
        except msgspec.ValidationError as error:
            raise msgspec.ValidationError(_of_column(str(error), event)) from None

    def _title(self, plain: dict[str, Any], subject: str) -> list[str]:
        """Put the title in: the subject line where it may be shown, else category and place, the subject sealed."""
        if subject and len(subject) <= 30 and not has_personal_data(subject):
            plain["title"] = subject
            return []
        if subject:
            plain["content"] = "\n".join((subject, str(plain.get("content", ""))))
        words = [str(plain[name]) for name in ("category", "place", "district") if plain.get(name)]
        plain["title"] = " · ".join(words)[:30]
        return ["title"]

    def seen(self, row: dict[str, str]) -> tuple[str, str, str]:
        """Return what the old system says of a row for the reconciliation: month, unit, state; — where it says nothing."""
        month = unit = "—"
        with suppress(msgspec.ValidationError):
            month = f"{self.instant(row.get(self.mapping.event[0].at, '')):%Y-%m}"
        for event in self.mapping.event:
            if event.fact == DISPATCHED and "lead" in event.fields:
                with suppress(msgspec.ValidationError):
                    unit = str(self.value(event.fields["lead"], row) or "—")
        return month, unit, row.get(self.mapping.state or "", "") or "—"


_GARBLED = re.compile("[\udc80-\udcff]")


def _garbled(text: str) -> bool:
    return _GARBLED.search(text) is not None


def _of_column(words: str, event: Event) -> str:
    """Say which column a value that does not fit came from."""
    at = _AT.search(words)
    if missing := re.match(r"Object missing required field `(.*?)`", words):
        path = f"{at['path']}." if at else ""
        columns = [s.column for name, s in event.fields.items() if f"{name}.".startswith(f"{path}{missing[1]}.")]
        empty = ", ".join(dict.fromkeys(column for column in columns if column))
        return f"{path}{missing[1]}: 缺失 missing" + (f"; 列为空 the column is empty: {empty}" if empty else "")
    if at is None:
        return words
    path = at["path"]
    source = event.fields.get(path)
    column = f"{source.column} → " if source is not None and source.column else ""
    choices = words_of(type_at(FACTS[event.fact], path)) if "enum" in words else ()
    told = f"; 可选 one of: {', '.join(choices)}" if choices else ""
    return f"{column}{path}: {words[: at.start()]}{told}"


def _put(plain: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for name in parents:
        plain = plain.setdefault(name, {})
    plain[last] = value


class Reconciliation:
    """Old against new: what the rows of a table came to, by month, unit and state (8.15)."""

    def __init__(self) -> None:
        self._rows: Counter[tuple[str, str]] = Counter()
        self._orders: Counter[tuple[str, str]] = Counter()

    def row(self, month: str, unit: str) -> None:
        """Count a row of the file."""
        self._rows.update((("month", month), ("unit", unit)))

    def refused(self, state: str) -> None:
        """Count a row of which no order came."""
        self._rows["state", f"{state} → 退回 rejected"] += 1

    def order(self, order: WorkOrder, state: str) -> None:
        """Count what became of a row."""
        lead = order.episode.lead if order.episode is not None else ""
        became = ("state", f"{state} → {order.state}")
        self._rows[became] += 1
        registered = order.registered.at.astimezone(SHANGHAI)
        self._orders.update((("month", f"{registered:%Y-%m}"), ("unit", lead or "—"), became))

    def table(self) -> list[Reconciled]:
        """Return it, by month, unit, state."""
        names = sorted(
            self._rows.keys() | self._orders.keys(), key=lambda name: ("month", "unit", "state").index(name[0])
        )
        by_month = sorted((name for name in names if name[0] == "month"), key=lambda name: name[1])
        others = [name for name in names if name[0] != "month"]
        others.sort(key=lambda name: (name[0] == "state", -self._rows[name]))
        return [Reconciled(*name, self._rows[name], self._orders[name]) for name in (*by_month, *others)]


async def import_table(
    ledger: Ledger,
    path: Path,
    mapping: Mapping,
    *,
    assume: str | None,
    rejects: Path,
    dry_run: bool = False,
    progress: Progress | None = None,
    at_once: int = 64,
) -> Summary:
    """Record the rows of an old system's table as facts, each row one order, `at_once` rows under way together.

    `assume` names a published pack that history is run under outside its validity; each order is stamped so (8.15).
    A row is known by its old number: a corrected file brings in only what was not there yet.
    Raises BadSource, and Stopped where the ledger takes no more.
    """
    noted = Rejects(rejects, path)
    content = await asyncio.to_thread(path.read_bytes)
    law: Law = await ledger.law()
    table = Table(mapping, law, _assumed(law, assume))
    done, compared = Summary(file=str(path), dry_run=dry_run), Reconciliation()
    rows = list(table.rows(content))
    seen: set[str] = set()
    told = 0
    turn = asyncio.Semaphore(at_once)

    async def one(line: int, row: dict[str, str]) -> None:
        nonlocal told
        async with turn:
            told += 1
            if progress is not None:
                progress(told, len(rows))
            month, unit, state = table.seen(row)
            compared.row(month, unit)
            try:
                table.check(row)
                _once(seen, mapping.key, row[mapping.key])
                receipts = await _record(ledger, mapping, row[mapping.key], table.facts(row), dry_run=dry_run)
            except STOPS:
                raise
            except (Refusal, msgspec.ValidationError) as error:
                compared.refused(state)
                noted.add(line, error, {name: _shown(cell) for name, cell in row.items()})
                return
            _count(done, *receipts)
            order = fold([entry for receipt in receipts for entry in _of_the_order(receipt)])
            if order is not None:
                compared.order(order, state)

    try:
        for start in range(0, len(rows), 1024):
            page = rows[start : start + 1024]
            done.lines += len(page)
            await _together(one(line, row) for line, row in page)
    except BaseException:
        noted.write()
        raise
    done.reconciliation = compared.table()
    return await _finish(ledger, {}, noted, done)


def _of_the_order(receipt: Receipt) -> list[Entry]:
    return [entry for entry in receipt.events if entry.stream == receipt.stream]


def _shown(cell: str) -> str:
    return cell.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _once(seen: set[str], column: str, key: str) -> None:
    if key in seen:
        raise msgspec.ValidationError(f"{column}: {key!r} 在本文件中重复 is in this file twice")
    seen.add(key)


async def _record(
    ledger: Ledger, mapping: Mapping, key: str, facts: Sequence[tuple[Step, datetime]], *, dry_run: bool
) -> list[Receipt]:
    """Record a row: one commit an instant, since a commit's running numbers are of the day it happened on.

    Raises RowChanged where the row was imported before with other content.
    """
    # The order's id follows from mapping and old number, so the same row from a corrected file is not a second order.
    stream = f"order:{order_id(mapping.name, key, facts[0][1])}"
    receipts: list[Receipt] = []
    turns = [list(together) for _, together in groupby(facts, key=lambda pair: pair[1])]
    for turn, together in enumerate(turns):
        name = f"table:{mapping.name}:{key}:{turn}"
        receipt = await _commit(ledger, stream, mapping, name, together, dry_run=dry_run)
        if dry_run and not receipt.replayed and turn + 1 < len(turns):
            # What follows builds on what was not written: the rest of the row is tried as one.
            rest = [pair for later in turns[turn:] for pair in later]
            receipts.append(await _commit(ledger, stream, mapping, f"{name}:dry", rest, dry_run=True))
            break
        receipts.append(receipt)
    return receipts


async def _commit(
    ledger: Ledger,
    stream: str,
    mapping: Mapping,
    command_id: str,
    facts: Sequence[tuple[Step, datetime]],
    *,
    dry_run: bool,
) -> Receipt:
    try:
        return await ledger.record(
            [fact for fact, _ in facts],
            stream=stream,
            actor=Actor(user=f"import-{mapping.name}", role=Role.SYSTEM),
            command_id=command_id,
            occurred_at=[at for _, at in facts],
            dry_run=dry_run,
        )
    except CommandIdReused as error:
        raise RowChanged(command_id) from error


def order_id(mapping: str, key: str, at: datetime) -> UUID:
    """Return the id of an imported order: a UUIDv7 of its registration, the rest from mapping and old number."""
    millis = int(at.timestamp() * 1000)
    tail = int.from_bytes(hashlib.sha256(f"{mapping}\n{key}".encode()).digest()[:10])
    value = (millis & (1 << 48) - 1) << 80 | tail
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def _assumed(law: Law, name: str | None) -> PolicyRef | None:
    """Return the pack to assume. Raises BadSource where it was never published in this city."""
    if name is None:
        return None
    wanted = name.upper()
    for publication in law.policies.publications:
        if wanted in (publication.pack.id, publication.pack.id.split("-")[0]):
            return publication.ref
    known = ", ".join(p.pack.id for p in law.policies.publications)
    raise BadSource(f"本城市未公布此政策 this city has not published {name}; 已公布 published: {known}")
