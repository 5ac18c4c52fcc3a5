"""Case scripts: commands at the instants they were given, line by line, every guard holding."""

from __future__ import annotations

import asyncio
import codecs
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from api.commands import own_stream, read_command, too_deep
from domain import recorder
from domain.ledger import Ledger, Receipt
from domain.refusals import ChainNotVerified, CommandIdReused, Refusal, TimeGoesBack
from domain.terms import Act, Actor, Origin
from scripts import wiring
from scripts.importing.summary import (
    STOPS,
    AnotherRefusal,
    Progress,
    RefusedBefore,
    Rejects,
    Summary,
    WasNotRefused,
    finish,
    side_by_side,
    tally,
)
from scripts.rehearsal import Rehearsal


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
            await side_by_side(in_order(same) for same in together)
    except BaseException:
        noted.write()
        raise
    return await finish(ledger, script.labels, noted, done)


def _lines(rows: Sequence[bytes], noted: Rejects) -> Iterator[tuple[int, bytes, Line]]:
    """Return the readable lines with their numbers; note the others."""
    for number, raw in enumerate(rows, 1):
        if not raw.strip() or raw.lstrip().startswith((b"#", b"//")):
            continue
        try:
            if too_deep(raw):
                raise msgspec.ValidationError("嵌套过深 nested too deeply")
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
    if too_deep(raw):
        return raw.decode("utf-8", "replace")
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
    tally(done, receipt)
