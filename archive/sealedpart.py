"""密封件. Who an informant is, as a file of its own beside the record copy: closed for two persons, or opened by them.

Closed, it holds the case's events as every copy does, and the key of the identity in two shares, each for one person's
private key; so it is made without anybody opening anything. Opened, it shows what was sealed, with the key to prove it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from archive.material import Material, NoDossier
from domain import fields
from domain.sealing import Consent, Entropy, Keyring, KeyRow, unwrap, wrap_for_two
from domain.terms import Sealed
from domain.wording import event_title, said, show_instant

SUFFIX: Final = "-密封件"
"""What the number of a sealed part, and the name of its file, end with."""


class Hidden(NamedTuple):
    """A field that tells who an informant is: where it stands, what it says in this edition."""

    version: int
    event: str
    at: str
    field: str
    text: str


def number(material: Material) -> str:
    """Return the number of a case's sealed part: that of the file, or of the order while it has none."""
    order = material.order
    return (material.told.fonds.reference(order.filing.file_number) or order.number) + SUFFIX


def hidden(material: Material) -> list[Hidden]:
    """Return what two persons hold together, in the order of the events."""
    return [
        Hidden(entry.version, event_title(entry.event), show_instant(entry.at), label, material.text(sealed))
        for entry in material.entries
        for label, sealed in _sealed(entry.event)
        if sealed.key in material.told.two_persons
    ]


def _sealed(record: msgspec.Struct) -> Iterator[tuple[str, Sealed]]:
    """Yield the sealed fields of a record, and of records within it."""
    for name, value in said(record).items():
        for one in value if isinstance(value, tuple | list | frozenset) else (value,):
            if isinstance(one, Sealed):
                yield fields.term(name), one
            elif isinstance(one, msgspec.Struct):
                yield from _sealed(one)


def keepers(material: Material) -> tuple[str, ...]:
    """Return the names of the persons for whom a sealed part is closed."""
    return tuple(dict.fromkeys(person for row in material.closed for person in row.wrap.split(",")))


def rewrapped(
    rows: Sequence[KeyRow], keys: dict[str, bytes], receivers: dict[str, bytes], entropy: Entropy
) -> list[KeyRow]:
    """Return keys that two persons opened, closed for two others: those of the archives that receive the part."""
    ring = Keyring(entropy(32), receivers)  # a master key that nothing is ever wrapped with
    return [wrap_for_two(ring, entropy, (row.id, row.stream, row.holder), keys[row.id]) for row in rows]


def opened(closed: Material, digest: str, consents: Sequence[Consent]) -> Material:
    """Return a sealed part opened by two persons; `digest` is that of the closed file.

    Raises NoDossier for any other file, TwoPersonsNeeded and WrongKey.
    """
    if closed.told.edition != "sealed" or not closed.closed:
        raise NoDossier("不是密封件 it is no sealed part")
    ring = Keyring(bytes(32))  # the office's master key opens nothing here
    keys = {row.id: unwrap(row, ring, consents) for row in closed.closed}
    told = msgspec.structs.replace(
        closed.told, edition="identity", sealed_part=digest, opened_by=tuple(sorted(one.person for one in consents))
    )
    return msgspec.structs.replace(closed, told=told, keys=keys, closed=())
