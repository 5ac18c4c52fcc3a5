"""Tables of old systems: each row the events that its columns state, and nothing that they do not (8.15)."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, Self
from zoneinfo import ZoneInfo

import msgspec

from api.commands import AT, FACTS, type_at, words_of
from domain.guards import is_plain
from domain.law import Law
from domain.steps.registration import has_personal_data
from domain.terms import SHANGHAI, Fact, Number, Period, PolicyRef, Step
from scripts.importing.mapping import DISPATCHED, ORDINALS, REGISTERED, Event, Mapping, Source
from scripts.importing.summary import BadSource, TimeDisorder

_PLAIN = "%Y-%m-%d %H:%M:%S"
_IS_PLAIN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
"""What `strptime` would read by that form, a dozen times slower."""


class _Part(NamedTuple):
    """A field of an event as rows fill it."""

    path: str
    within: tuple[str, ...]
    name: str
    source: Source
    derived: bool

    @classmethod
    def of(cls, path: str, source: Source) -> Self:
        *within, name = path.split(".")
        return cls(path, tuple(within), name, source, source.derived and path not in ORDINALS)


class Table:
    """A table of an old system on its way into a ledger, read row by row through its mapping."""

    def __init__(self, mapping: Mapping, law: Law, assumed: PolicyRef | None) -> None:
        self.mapping = mapping
        self.law = law
        self.assumed = assumed  # a pack that history is run under outside its validity
        self._zone = SHANGHAI if mapping.zone == "Asia/Shanghai" else ZoneInfo(mapping.zone)
        self._columns = mapping.columns
        self._parts = [[_Part.of(path, source) for path, source in event.fields.items()] for event in mapping.event]
        self._lead = next(
            (e.fields["lead"] for e in mapping.event if e.fact == DISPATCHED and "lead" in e.fields), None
        )
        # An old system's instants come again: a row is opened and dispatched at one, many are promised for one.
        self.instant = lru_cache(maxsize=4096)(self._instant)

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

    def _instant(self, text: str) -> datetime:
        """Return the instant a cell states. Raises ValidationError."""
        for form in self.mapping.times:
            with suppress(ValueError):
                if form == _PLAIN and _IS_PLAIN.fullmatch(text):
                    return datetime.fromisoformat(text).replace(tzinfo=self._zone).astimezone(SHANGHAI)
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
        missing = [name for name in self._columns if name not in row]
        if missing:
            raise msgspec.ValidationError(f"列数少于表头 fewer cells than columns: {', '.join(missing)}")
        empty = [name for name in (self.mapping.key, *self.mapping.required) if not row[name]]
        if empty:
            raise msgspec.ValidationError(f"此列不能为空 must hold something: {', '.join(empty)}")
        whole = "".join(row.values())
        if "\0" not in whole and not _garbled(whole):
            return
        for name, cell in row.items():
            if _garbled(cell):
                raise msgspec.ValidationError(f"{name}: 不是此编码 not {self.mapping.encoding}")
            if "\0" in cell:
                raise msgspec.ValidationError(f"{name}: 含有 U+0000 holds U+0000")

    def facts(self, row: dict[str, str]) -> list[tuple[Step, datetime]]:
        """Return the events that a row states, with when each occurred. Raises ValidationError or TimeDisorder."""
        found: list[tuple[Step, datetime]] = []
        first: dict[str, Any] = {}
        for event, parts in zip(self.mapping.event, self._parts, strict=True):
            if event.when is not None and not row.get(event.when):
                continue
            try:
                at = self.instant(row.get(event.at, ""))
            except msgspec.ValidationError as error:
                raise msgspec.ValidationError(f"{event.at}: {error}") from None
            if found and at < found[-1][1]:
                raise TimeDisorder(f"{event.at} {at:%Y-%m-%d %H:%M:%S} < {found[-1][1]:%Y-%m-%d %H:%M:%S}")
            found.append((self._fact(event, parts, row, first, at), at))
            if event.number:
                found.append((Number(journal="order", prefix=event.number, per=Period.DAY), at))
        return found

    def _fact(
        self, event: Event, parts: Sequence[_Part], row: dict[str, str], first: dict[str, Any], at: datetime
    ) -> Fact:
        plain: dict[str, Any] = {}
        derived = [event.derived] if event.derived else []
        subject = ""
        for part in parts:
            source = part.source
            value = first.get(source.same) if source.same is not None else self.value(source, row)
            if source.title:
                subject = str(value or "")
                continue
            if value is None:
                continue
            if part.derived:
                derived.append(part.path)
            held = plain
            for name in part.within:
                held = held.setdefault(name, {})
            held[part.name] = value
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
        if subject and len(subject) <= 30 and is_plain(subject) and not has_personal_data(subject):
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
            month = self.instant(row.get(self.mapping.event[0].at, "")).isoformat()[:7]
        with suppress(msgspec.ValidationError):
            unit = str(self.value(self._lead, row) or "—") if self._lead is not None else "—"
        state = row.get(self.mapping.state, "") if self.mapping.state else ""  # cells beyond the columns have no name
        return month, unit, state or "—"


_GARBLED = re.compile("[\udc80-\udcff]")


def _garbled(text: str) -> bool:
    return _GARBLED.search(text) is not None


def _of_column(words: str, event: Event) -> str:
    """Say which column a value that does not fit came from."""
    at = AT.search(words)
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
