"""Commands in their JSON form: read, and what does not fit said with what would."""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Iterable
from typing import Any, Union

import msgspec

from domain.institution import Found
from domain.kinds import COMMANDS, KINDS
from domain.matters import batches, calls, publications
from domain.terms import Act, Fact, Sealed

AnyCommand = Union[COMMANDS]  # noqa: UP007  a union made from a tuple
BY_NAME: dict[str, type[Act]] = {str(command.__struct_config__.tag): command for command in COMMANDS}
SERVED: tuple[type[Act], ...] = tuple(command for command in COMMANDS if command is not Found)
"""Every command that may come over HTTP: a city that is served was founded before, at the command line."""

FACTS: dict[str, type[Fact]] = {str(event.__struct_config__.tag): event for kind in KINDS for event in kind.events}


DEEP = 32
"""Levels that JSON of ours may be nested; a decoder that goes on for ever ends in the middle of somebody's work."""

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def too_deep(raw: bytes) -> bool:
    """Tell whether JSON is nested deeper than any command is, before anything tries to read it."""
    if raw.count(b"[") + raw.count(b"{") <= DEEP:
        return False
    depth = 0
    for bracket in re.findall(rb"[\[{}\]]", _STRINGS.sub(b"", raw)):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEEP:
            return True
    return False


def read_command(plain: dict[str, Any]) -> Act:
    """Return the command that JSON states. Raises ValidationError naming the field, and what would be right there."""
    name = plain.get("type")
    act = BY_NAME.get(name) if isinstance(name, str) else None
    if act is None:
        raise msgspec.ValidationError(f"没有此命令 no such command: {name!r}{near(str(name), BY_NAME)}")
    try:
        return msgspec.convert(plain, act)
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(_said(str(error), act, plain)) from None


AT = re.compile(r" - at `\$(?:\.|(?=\[))?(?P<path>.*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*?)`")


def _said(words: str, act: type[Act], plain: dict[str, Any]) -> str:
    """Say what does not fit, field first, with what would: names that are near, words that may stand there."""
    at = AT.search(words)
    path = at["path"] if at else ""
    words = words[: at.start()] if at else words
    place = f"{path}: " if path and path != "type" else ""
    if unknown := _UNKNOWN.fullmatch(words):
        names = [field.name for kind in structs_in(type_at(act, path)) for field in msgspec.structs.fields(kind)]
        return f"{place}没有此字段 no such field: {unknown['name']!r}{near(unknown['name'], names)}"
    if label := re.match(r"@[\w./:-]+$", str(_value_at(plain, path))):
        return f"{place}没有此标签 no such label in this script so far: {label[0]}"
    choices = words_of(type_at(act, path)) if "enum" in words else ()
    return f"{place}{words}" + (f"; 可选 one of: {', '.join(choices)}" if choices else "")


def near(word: str, known: Iterable[str]) -> str:
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
        case batches.HandOverPacket():
            return batches.handover_stream(command.digest)
        case _:
            return None
