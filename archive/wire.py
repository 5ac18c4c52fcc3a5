"""渲染进程的往来. What is said between `archive.pdf` and the process that renders, and in which form."""

from __future__ import annotations

from typing import BinaryIO

import msgspec

LONGEST = 256 << 20
"""Bytes of one message; no document is that long."""


class Attached(msgspec.Struct, frozen=True):
    """附件. A file that a PDF carries; `at` is an instant (RFC 3339), so that the same document has the same bytes."""

    name: str
    content: bytes
    at: str
    description: str = ""
    relationship: str = "Supplement"  # a word of PDF 2.0: Source, Data, Alternative, Supplement


class Job(msgspec.Struct, frozen=True, tag=True):
    """A document to be rendered."""

    html: str
    attachments: tuple[Attached, ...] = ()


class Picture(msgspec.Struct, frozen=True, tag=True):
    """A picture that is to be made fit for printing."""

    content: bytes


class Done(msgspec.Struct, frozen=True, tag=True):
    """It was rendered."""

    pdf: bytes
    pages: int
    fonts: tuple[str, ...] = ()  # digests of the font files that it was set in


class Lacking(msgspec.Struct, frozen=True, tag=True):
    """No installed font has these characters."""

    characters: str


class Failed(msgspec.Struct, frozen=True, tag=True):
    """It could not be laid out."""

    why: str


class Reduced(msgspec.Struct, frozen=True, tag=True):
    """A picture as it is printed."""

    content: bytes
    ending: str  # of its file's name
    original: bool = False  # as it was given


Outcome = Done | Lacking | Failed | Reduced


def written(message: bytes) -> bytes:
    """Return a message as it goes over the pipe."""
    return len(message).to_bytes(4, "big") + message


def read_from(pipe: BinaryIO) -> bytes | None:
    """Return the next message; None where there is none any more."""
    head = pipe.read(4)
    return pipe.read(int.from_bytes(head, "big")) if len(head) == 4 else None
