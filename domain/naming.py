"""What a name may look like at the door: of a stream, of a command, of a reason, of whoever acts.

Names are stored in the open and for ever, so that free text has no place in them; and a name that the database cannot
index, or that a projection cannot read, must be stopped before it meets the commands of others.
"""

from __future__ import annotations

import re
import typing

from domain.journals import is_journal
from domain.refusals import (
    ActorUnfit,
    CitizenNamed,
    CodeExpected,
    CommandTooLarge,
    IdUnfit,
    NotForThisStream,
    NumberTooLarge,
    UnknownStream,
)
from domain.terms import Actor, Role

ROOM = 2 << 20
"""The most bytes of canonical JSON that one command may have."""

_STREAM = re.compile(r"[a-z_]{1,40}(:[^\s\x00-\x1f\x7f\ud800-\udfff]{1,200})?")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BY_UUID = frozenset({"order", "matter", "inquiry", "publication", "call", "subject", "batch"})
_BARE = frozenset({"institution"})
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_LONG_NUMBER = re.compile(rb"[\[:,-]\d{19}")  # as canonical JSON writes one: within a text it is looked at more closely


def well_named(stream: str, *, drawn: bool = True) -> bool:
    """Tell whether a stream can be called so; one still to be drawn is its kind and a colon."""
    kind, colon, name = stream.partition(":")
    if not _STREAM.fullmatch(stream if drawn else kind):
        return False
    if kind in _BARE:
        return not colon
    if not drawn:
        return bool(colon) and not name
    return kind not in _BY_UUID or _UUID.fullmatch(name) is not None


def readable(stream: str) -> str:
    """Return the name of a stream that is to be read. Raises UnknownStream for what none can be called."""
    if not well_named(stream):
        raise UnknownStream(ascii(stream[:80]))
    return stream


def addressed(stream: str, *, may_be_drawn: bool = False) -> None:
    """Check the name of a stream that is to be written. Raises NotForThisStream."""
    to_draw = may_be_drawn and stream.endswith(":") and not is_journal(stream)
    if not well_named(stream, drawn=not to_draw):
        raise NotForThisStream(ascii(stream[:80]))


def ids(**given: str) -> None:
    """Check ids that a caller chose: at most 200 printable characters. Raises IdUnfit, which names the first unfit."""
    for name, text in given.items():
        if len(text) > 200 or not text.isprintable() or (name == "command_id" and not text.strip()):
            raise IdUnfit(name, name=name)


def codes(**given: str) -> None:
    """Check what must be a code, or empty: words have no place where nothing is sealed. Raises CodeExpected."""
    for name, text in given.items():
        if text and not _CODE.fullmatch(text):
            raise CodeExpected(name, name=name)


def acting(actor: Actor) -> None:
    """Check who acts. Raises CitizenNamed, ActorUnfit."""
    if actor.role is Role.CITIZEN and actor.user != "citizen":
        raise CitizenNamed
    for text in (actor.user, actor.unit):
        if len(text) > 64 or not text.isprintable() or " " in text:
            raise ActorUnfit
    if not actor.user:
        raise ActorUnfit


def bounded(text: bytes, decode: typing.Callable[[bytes], object]) -> None:
    """Check a command's canonical JSON. Raises CommandTooLarge, and NumberTooLarge beyond 64 bits with a sign."""
    if len(text) > ROOM:
        raise CommandTooLarge(f"{len(text)} > {ROOM}")
    if _LONG_NUMBER.search(text) and _holds_giant(decode(text)):
        raise NumberTooLarge


def _holds_giant(value: object) -> bool:
    if isinstance(value, dict):
        return any(_holds_giant(one) for one in typing.cast("dict[str, object]", value).values())
    if isinstance(value, list):
        return any(_holds_giant(one) for one in typing.cast("list[object]", value))
    return isinstance(value, int) and not -(1 << 63) <= value < 1 << 63
