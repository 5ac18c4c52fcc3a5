"""How cases come in from outside: case scripts (commands, every guard holds) and tables of old systems (facts).

A bad row never stops an import: it goes to the rejects file with its line number and the reason, and the summary
counts it. The same file imported again adds nothing: each line's command id is derived from the file's content.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Union
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from domain.journals import is_journal
from domain.kinds import COMMANDS, KINDS
from domain.law import Law
from domain.ledger import Ledger, Receipt
from domain.matters import calls, publications
from domain.refusals import ChainNotVerified, CommandIdReused, Refusal, TimeGoesBack
from domain.steps.registration import has_personal_data
from domain.terms import SHANGHAI, Act, Actor, Fact, Number, Origin, Period, PolicyRef, Role, Step
from scripts import wiring
from scripts.rehearsal import Rehearsal

AnyCommand = Union[COMMANDS]  # noqa: UP007  a union made from a tuple
FACTS: dict[str, type[Fact]] = {str(event.__struct_config__.tag): event for kind in KINDS for event in kind.events}

Progress = Callable[[int, int], None]


class Reject(msgspec.Struct):
    """A line that was not imported, and why."""

    line: int
    code: str
    reason: str
    content: Any = None


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
    orders: dict[str, str] = {}  # label or old number -> printed number or id
    rejects_file: str = ""
    dry_run: bool = False


class BadSource(Exception):
    """The file as a whole cannot be imported; the message says what to do."""


class Rejects:
    """The rejects file: JSON Lines beside the imported file unless named; made only when there is something to say."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[Reject] = []
        self.unreadable: list[int] = []  # lines that are not even lines of a script

    def add(self, line: int, error: Exception, content: Any = None) -> None:
        """Note a line that was not imported."""
        said = wiring.problem(error)
        reason = " · ".join(part for part in (said["sentence"], said["detail"], said.get("basis", "")) if part)
        self.rows.append(Reject(line=line, code=said["code"], reason=reason, content=content))

    def write(self) -> str:
        """Write what was noted; return the file's name, or nothing."""
        if not self.rows:
            return ""
        self.path.write_bytes(msgspec.json.Encoder().encode_lines(sorted(self.rows, key=lambda r: r.line)))
        return str(self.path)


class WasNotRefused(Refusal):
    """脚本写明应被拒绝的命令未被拒绝。The script says this command is refused, but it was carried out."""


class AnotherRefusal(Refusal):
    """命令被拒绝, 但不是脚本写明的理由。The command was refused, but not for the reason the script states."""


class TimeDisorder(Refusal):
    """时间先后矛盾。The times of this row contradict each other."""


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
_LABEL = re.compile(r"@([\w.:-]+)")


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
        if (own := _own_stream(command)) is not None:
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
            raise msgspec.ValidationError("a line names `order` or `stream`")
        command = msgspec.convert(self.resolve(line.command), AnyCommand)
        stream = self.stream_of(line, command)
        if stream is None and line.order is not None and getattr(command, "creates", None) is None:
            raise msgspec.ValidationError(f"order {line.order!r} has not been registered in this script")
        receipt = await self._ledger.execute(
            command,
            stream=stream,
            actor=line.by,
            command_id=f"script:{self._digest}:{number}",
            occurred_at=wiring.parse_instant(line.at),
            origin=Origin.IMPORT,
            reason=line.reason,
        )
        label = line.order or line.stream
        if label is not None and label not in self.labels and ":" in receipt.stream:
            self.labels[label] = receipt.stream
            if line.stream is not None:
                self.labels[line.stream.partition(":")[2]] = receipt.stream
        self._children(line, receipt)
        return receipt

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


def _own_stream(command: Act) -> str | None:
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
    """
    content = await asyncio.to_thread(path.read_bytes)
    digest = hashlib.sha256(content).hexdigest()[:16]
    door = Rehearsal(wiring.process_now(), ledger) if dry_run else ledger
    script, noted, done = Script(door, digest), Rejects(rejects), Summary(file=str(path), dry_run=dry_run)
    rows = content.splitlines()
    told = 0
    turn = asyncio.Semaphore(at_once)

    async def in_order(lines: list[tuple[int, bytes, Line]]) -> None:
        nonlocal told
        async with turn:
            for number, raw, line in lines:
                try:
                    await _one_line(script, number, line, done)
                except (Refusal, msgspec.ValidationError, wiring.SettingError) as error:
                    noted.add(number, error, _readable(raw))
                told += 1
                if progress is not None:
                    progress(told, len(rows))

    for together in _batches(_lines(rows, noted)):
        done.lines += sum(len(lines) for lines in together)
        await asyncio.gather(*(in_order(lines) for lines in together))
    done.lines += len(noted.unreadable)
    return await _finish(ledger, script.labels, noted, done)


def _lines(rows: Sequence[bytes], noted: Rejects) -> Iterator[tuple[int, bytes, Line]]:
    """Return the readable lines with their numbers; note the others."""
    for number, raw in enumerate(rows, 1):
        if not raw.strip() or raw.lstrip().startswith((b"#", b"//")):
            continue
        try:
            yield number, raw, _LINES.decode(raw)
        except msgspec.DecodeError as error:  # a ValidationError is one
            noted.unreadable.append(number)
            noted.add(number, error, _readable(raw))


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
        return json.loads(raw)
    except ValueError:
        return raw.decode("utf-8", "replace")


async def _one_line(script: Script, number: int, line: Line, done: Summary) -> None:
    try:
        await script.look_up(line)
        receipt = await script.carry_out(number, line)
    except CommandIdReused:
        if not _names_head(line.command):
            raise
        done.already += 1  # this very line, when the ledger's position was another
        return
    except Refusal as refusal:
        if line.refused is None:
            raise
        if done.already and isinstance(refusal, TimeGoesBack):
            done.already += 1  # the case went on from here when the file was imported before
            return
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
        if stream.startswith("order:") and not done.dry_run:
            order = await ledger.fold(stream)
            done.orders[label] = order.number if order is not None else stream
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
    required: list[str] = []


def read_mapping(name: str) -> Mapping:
    """Return a mapping by the name of a shipped one or from a TOML file. Raises BadSource, saying where it fails."""
    path = Path(name) if name.endswith(".toml") else wiring.MAPPINGS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in wiring.MAPPINGS.glob("*.toml")))
        raise BadSource(f"没有此映射 no such mapping: {name}; 可用 available: {known}")
    try:
        mapping = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Mapping)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadSource(f"{path}: {error}") from error
    for event in mapping.event:
        if event.fact not in FACTS:
            raise BadSource(f"{path}: no such event: {event.fact}")
    return mapping


class Table:
    """A table of an old system on its way into a ledger, read row by row through its mapping."""

    def __init__(self, mapping: Mapping, law: Law, assumed: PolicyRef | None) -> None:
        self.mapping = mapping
        self.law = law
        self.assumed = assumed  # a pack that history is run under outside its validity
        self._zone = SHANGHAI if mapping.zone == "Asia/Shanghai" else ZoneInfo(mapping.zone)

    def rows(self, content: bytes) -> Iterator[tuple[int, dict[str, str]]]:
        """Return each row with the line it begins on. Raises BadSource for a file of another form."""
        try:
            text = content.decode(self.mapping.encoding)
        except UnicodeDecodeError as error:
            raise BadSource(f"文件不是 the file is not {self.mapping.encoding}: {error}") from error
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=self.mapping.delimiter, strict=False)
        missing = [name for name in (self.mapping.key, *self.mapping.required) if name not in (reader.fieldnames or ())]
        if missing:
            raise BadSource(f"文件缺少列 the file lacks the columns: {', '.join(missing)}")
        line = reader.line_num + 1
        for row in reader:
            yield line, {name: (value or "").strip() for name, value in row.items() if isinstance(name, str)}
            line = reader.line_num + 1

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
            return self.instant(cell)
        if source.table is not None:
            table = self.mapping.tables[source.table]
            if cell not in table and source.otherwise is None:
                raise msgspec.ValidationError(f"{source.column}: {cell!r} 不在值表 not in the table {source.table!r}")
            return table.get(cell, source.otherwise)
        return cell

    def facts(self, row: dict[str, str]) -> list[tuple[Step, datetime]]:
        """Return the events that a row states, with when each occurred. Raises ValidationError or TimeDisorder."""
        found: list[tuple[Step, datetime]] = []
        first: dict[str, Any] = {}
        for event in self.mapping.event:
            if event.when is not None and not row.get(event.when):
                continue
            at = self.instant(row.get(event.at, ""))
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
            if source.derived:
                derived.append(path)
            _put(plain, path, value)
        if subject or event.fact == "order.order_registered":
            derived += self._title(plain, subject)
        if event.fact == "order.order_registered":
            # The pack in force when it was registered, unless the city chose to assume another.
            plain["policy"] = msgspec.to_builtins(self.assumed or self.law.policy_at(at))
            plain["old_number"] = row[self.mapping.key]
            plain["assumed_policy"] = self.assumed is not None
        if not first:
            first.update(plain)
        if derived:
            plain["derived"] = [self.mapping.name, *derived]
        return msgspec.convert({"type": event.fact, **plain}, FACTS[event.fact])

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


def _put(plain: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for name in parents:
        plain = plain.setdefault(name, {})
    plain[last] = value


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
    """
    content = await asyncio.to_thread(path.read_bytes)
    digest = hashlib.sha256(content).hexdigest()[:16]
    law: Law = await ledger.law()
    table, noted = Table(mapping, law, _assumed(law, assume)), Rejects(rejects)
    done = Summary(file=str(path), dry_run=dry_run)
    rows = list(table.rows(content))
    seen: set[str] = set()
    turn = asyncio.Semaphore(at_once)

    async def one(line: int, row: dict[str, str]) -> None:
        async with turn:
            try:
                facts = table.facts(row)
                key = row[mapping.key]
                _once(seen, mapping.key, key)
                _count(done, *await _record(ledger, mapping, digest, key, facts, dry_run=dry_run))
            except (Refusal, msgspec.ValidationError) as error:
                noted.add(line, error, row)

    for start in range(0, len(rows), 1024):
        page = rows[start : start + 1024]
        done.lines += len(page)
        await asyncio.gather(*(one(line, row) for line, row in page))
        if progress is not None:
            progress(start + len(page), len(rows))
    return await _finish(ledger, {}, noted, done)


def _once(seen: set[str], column: str, key: str) -> None:
    if not key or key in seen:
        raise msgspec.ValidationError(f"{column}: {key!r} 缺失或重复 missing, or twice in this file")
    seen.add(key)


async def _record(
    ledger: Ledger, mapping: Mapping, digest: str, key: str, facts: Sequence[tuple[Step, datetime]], *, dry_run: bool
) -> list[Receipt]:
    """Record a row: one commit an instant, since a commit's running numbers are of the day it happened on."""
    # The order's id follows from mapping and old number, so the same row from a corrected file is not a second order.
    stream = f"order:{order_id(mapping.name, key, facts[0][1])}"
    receipts: list[Receipt] = []
    for turn, (at, together) in enumerate(groupby(facts, key=lambda pair: pair[1])):
        steps = [fact for fact, _ in together]
        if dry_run and turn:
            break  # what builds on an order that was not written cannot be tried
        receipts.append(
            await ledger.record(
                steps,
                stream=stream,
                actor=Actor(user=f"import-{mapping.name}", role=Role.SYSTEM),
                command_id=f"table:{mapping.name}:{digest}:{key}:{turn}",
                occurred_at=at,
                dry_run=dry_run,
            )
        )
    return receipts


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
