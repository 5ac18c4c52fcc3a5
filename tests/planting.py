"""Plants recognisable people in every personal field of every command, and finds them again wherever they come out.

Which fields are personal is read from the types: a new command or field is planted without a word here.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import msgspec
import pikepdf
from msgspec import inspect as shapes

from domain.kinds import COMMANDS
from domain.refusals import Refusal
from domain.terms import Act
from scripts import importing
from tests.properties.arbitrary import Maker, is_private, shape_of

_BURIED = re.compile(r"欧阳甲(\d{4})|1397000(\d{4})|51010719700307(\d{4})|桂花巷(\d{4})号")


def fields(shape: shapes.Type, path: str = "", within: frozenset[type] = frozenset()) -> Iterator[str]:
    """Yield the paths of the personal fields of a type; what lies in a list without its place there."""
    if is_private(shape):
        yield path
        return
    match shape:
        case shapes.UnionType():
            for one in shape.types:
                yield from fields(one, path, within)
        case shapes.VarTupleType():
            yield from fields(shape.item_type, path, within)
        case shapes.DictType():
            yield from fields(shape.value_type, path, within)
        case shapes.StructType() if shape.cls not in within:
            for field in shape.fields:
                yield from fields(field.type, f"{path}.{field.name}".strip("."), within | {shape.cls})
        case _:
            return


def name_of(command: type[Act]) -> str:
    """Return what a command is called."""
    return str(command.__struct_config__.tag)


PLACES: dict[str, tuple[str, str]] = {
    f"{number:04d}": place
    for number, place in enumerate(
        sorted({(name_of(command), path) for command in COMMANDS for path in fields(shape_of(command))})
    )
}
"""Every personal field of every command: by the number that is planted in it, the command and the field."""

NUMBER = {place: number for number, place in PLACES.items()}
"""The number that is planted in a field."""


def words(number: str, path: str) -> str:
    """Return what is planted in a field: a person, by name, telephone, identity card and address."""
    if path.endswith("phone"):
        return f"1397000{number}"
    return f"欧阳甲{number} 1397000{number} 51010719700307{number} 桂花巷{number}号"


def buried(text: str) -> set[tuple[str, str]]:
    """Return the fields whose plants show in a text, however JSON or a form of one escapes them."""
    plain = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    return {PLACES[next(filter(None, found.groups()))] for found in _BURIED.finditer(plain)}


def buried_in(content: bytes) -> set[tuple[str, str]]:
    """Return the same of bytes, whatever they are."""
    return buried(content.decode("utf-8", "replace"))


def inside(pdf: bytes) -> list[bytes]:
    """Return all that a PDF file holds: what is drawn on its pages, what is attached, its words where they can be read."""
    with pikepdf.open(io.BytesIO(pdf)) as file:
        found = [one.read_bytes() for one in file.objects if isinstance(one, pikepdf.Stream)]
        found += [one.get_file().read_bytes() for one in file.attachments.values()]
    if shutil.which("pdftotext"):
        found.append(subprocess.run(["pdftotext", "-", "-"], input=pdf, capture_output=True, check=True).stdout)
    return found


class Planter:
    """Plants a command. `filling`: optional fields too; `making`: also the records that hold them, where there are none."""

    def __init__(self, *, filling: bool, making: bool) -> None:
        self.filling = filling
        self.making = making
        self.maker = Maker(Random(7))
        self.maker.countable = True
        self.planted: set[tuple[str, str]] = set()

    def plant(self, act: Act) -> Act:
        """Return the command with plants in its personal fields."""
        return self._struct(name_of(type(act)), "", act)

    def _struct(self, name: str, path: str, value: Any) -> Any:
        changed: dict[str, Any] = {}
        for field in shape_of(type(value)).fields:
            where = f"{path}.{field.name}".strip(".")
            before = getattr(value, field.name)
            after = self._value(name, where, before, field.type)
            if after is not before:
                changed[field.name] = after
        return msgspec.structs.replace(value, **changed) if changed else value

    def _value(self, name: str, path: str, value: Any, shape: shapes.Type) -> Any:
        if is_private(shape):
            if value is None and not self.filling:
                return value
            self.planted.add((name, path))
            return words(NUMBER[name, path], path)
        if value is None and (made := self._missing(shape)) is not None:
            value = made
        if isinstance(value, msgspec.Struct):
            return self._struct(name, path, value)
        if isinstance(value, tuple):
            held = value or self._made(shape)
            return tuple(
                self._struct(name, path, one) if isinstance(one, msgspec.Struct) else self._word(name, path, one, shape)
                for one in held
            )
        return value

    def _word(self, name: str, path: str, value: Any, shape: shapes.Type) -> Any:
        if isinstance(shape, shapes.VarTupleType) and is_private(shape.item_type):
            return self._value(name, path, value, shape.item_type)
        return value

    def _missing(self, shape: shapes.Type) -> Any:
        """Return a record for a field that has none, where one with personal fields may stand there."""
        if not self.making or not isinstance(shape, shapes.UnionType):
            return None
        held = [one for one in shape.types if isinstance(one, shapes.StructType) and any(fields(one))]
        return self.maker.value(held[0], aimed=True) if held else None

    def _made(self, shape: shapes.Type) -> tuple[Any, ...]:
        if not self.making or not isinstance(shape, shapes.VarTupleType) or not any(fields(shape)):
            return ()
        return (self.maker.value(shape.item_type, aimed=True),)


WAYS = ((True, True), (True, False), (False, False))
"""How a line of a script is planted: first all of it, then less, where a rule takes no more."""


async def walk(
    ledger: Any, lines: dict[int, importing.Line], spoilt: Callable[[int, Refusal], None]
) -> tuple[set[tuple[str, str]], importing.Script]:
    """Carry out a case script with plants in it; return the fields that were planted, and the script with its labels.

    `spoilt` is told of a line that no way of planting let through.
    """
    script = importing.Script(ledger, "planted")
    planted: set[tuple[str, str]] = set()
    for number, line in lines.items():
        await script.look_up(line)
        act = importing.read_command(script.resolve(line.command))
        refused: Refusal | None = None
        for filling, making in WAYS if line.refused is None else WAYS[-1:]:
            planter = Planter(filling=filling, making=making)
            said = msgspec.to_builtins(planter.plant(act))
            try:
                await script.carry_out(number, msgspec.structs.replace(line, command=said))
            except Refusal as refusal:
                refused = refusal
                continue
            planted |= planter.planted
            refused = None
            break
        if refused is not None:
            spoilt(number, refused)
    return planted, script
