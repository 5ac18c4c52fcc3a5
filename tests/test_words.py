"""Every code and every field that an official may read has its Chinese term."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from enum import StrEnum

import msgspec
import pytest
from rich.panel import Panel
from rich.text import Text

from domain import fields
from domain.kinds import KINDS
from domain.steps.dispatch import OrderDispatched
from domain.terms import Attributes, ClockName, DemandType, DispatchType, Limit, LimitUnit, Sealed, Word
from scripts import printing


def parts(kind: object, seen: set[object]) -> Iterator[type[msgspec.Struct]]:
    """Yield a record and every record within it, once each."""
    if kind in seen:
        return
    seen.add(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
        for hint in typing.get_type_hints(kind, include_extras=True).values():
            yield from parts(hint, seen)
    for inner in typing.get_args(kind):
        yield from parts(inner, seen)


def records() -> list[type[msgspec.Struct]]:
    seen: set[object] = set()
    return [part for kind in KINDS for said in (*kind.events, *kind.commands) for part in parts(said, seen)]


def test_every_field_of_every_event_and_command_has_its_term():
    names = {name for record in records() for name in record.__struct_fields__}
    assert names - set(fields.TERMS) == set()
    assert all(re.search("[\u4e00-\u9fff]", term) for term in fields.TERMS.values())


def test_no_term_is_kept_for_a_field_that_nothing_has():
    names = {name for record in records() for name in record.__struct_fields__}
    assert set(fields.TERMS) - names == set()


@pytest.mark.parametrize("word", Word.__subclasses__())
def test_every_code_has_its_term(word: type[Word]):
    for member in word:
        assert re.search("[\u4e00-\u9fff]", member.zh), member
        assert msgspec.json.decode(msgspec.json.encode(member), type=word) is member
        assert str(member) == member.value


def test_no_code_of_an_event_is_without_a_term():
    seen: set[object] = set()

    def enums(kind: object) -> Iterator[type[StrEnum]]:
        if kind in seen:
            return
        seen.add(kind)
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            yield kind
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            for hint in typing.get_type_hints(kind, include_extras=True).values():
                yield from enums(hint)
        for inner in typing.get_args(kind):
            yield from enums(inner)

    used = [enum for kind in KINDS for event in kind.events for enum in enums(event)]
    assert len(used) > 30
    assert [enum.__name__ for enum in used if not issubclass(enum, Word)] == []


def test_what_was_written_elsewhere_repaints_no_screen():
    out = printing.console()
    with out.capture() as captured:
        out.print(Text("红\x1b[31m字\u202e反\x07"), Panel("\x1b[2J"))
    assert "\x1b" not in captured.get()
    assert "\u202e" not in captured.get()
    assert "红␦[31m字␦反" in captured.get()


def test_an_appeal_that_was_upheld_is_not_told_as_its_opposite():
    assert fields.term("upheld") == "申诉成立"


def test_an_event_is_told_in_terms_and_what_was_not_said_is_left_out():
    limits = {ClockName.HANDLE: Limit(amount=5, unit=LimitUnit.WORKING_DAYS)}
    note = Sealed(key="k", box="b")
    attributes = Attributes(demand_type=DemandType.COMPLAINT)
    dispatched = OrderDispatched(DispatchType.ORDINARY, attributes, lead="DQ-CG", limits=limits, note=note)
    told = printing.event_details(dispatched)
    assert told == "种类: 普通转办 · 分类: {诉求类型 投诉} · 主办: DQ-CG · 时限: {办结答复 5个工作日} · 说明: ▒▒▒"
