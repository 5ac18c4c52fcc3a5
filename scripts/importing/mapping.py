"""How one old system's table is read: its mapping, a TOML file, and what is wrong with it."""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from api.commands import FACTS, near, type_at
from scripts import wiring
from scripts.importing.summary import BadSource


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


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the old system says whether a promise was kept: compared with our own clock, never taken over."""

    column: str
    in_time: list[str]  # its words for a promise that was kept
    late: list[str]


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
    kept: Verdict | None = None

    @property
    def columns(self) -> list[str]:
        """Every column that the mapping names, once."""
        named = [self.key, *self.required, self.state, self.kept.column if self.kept is not None else None]
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
        yield f"没有此事件 no such event of an order{near(event.fact, known)}"
        return
    names = fact.__struct_fields__
    given = GIVEN.get(event.fact, {"derived"})
    for path, source in event.fields.items():
        if type_at(fact, path) is None:
            yield f"{path}: 没有此字段 no such field{near(path.split('.')[0], names)}"
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
        yield f"没有此值表 no such table{near(source.table, mapping.tables)}"
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
