"""核验. A page of a ledger computed again: every leaf, the order of positions and times, the keys that are used.

A page can be looked at anywhere, and in any order; what joins pages is held together by whoever asks for them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from domain import leaves
from domain.leaves import Finding, Imprint, Witnessed
from domain.sealing import is_of_informant, keys_in


class Looked(NamedTuple):
    """What a page of positions (after, upto] came to."""

    upto: int
    leaves: list[bytes]  # as they are stored, in the order of position
    first: tuple[int, str, datetime] | None  # position, stream and time of its first event; None: there is none
    last_at: datetime | None
    keys: dict[str, tuple[int, str]]  # what its events are sealed with: where each key was met first
    findings: list[Finding]
    informants: dict[str, int] = {}  # records that became an informant's, and at which position


Looker = Callable[[int, int], Awaitable[Looked]]
"""Looks at the positions (after, upto]."""


def looked_at(imprint: Imprint, after: int, upto: int, rows: Sequence[Witnessed]) -> Looked:
    """Compute the rows of a page again; pure."""
    findings = [*leaves.check(imprint, rows), *leaves.check_order(after, None, rows)]
    last = rows[-1].event.position if rows else after
    if last < upto:
        findings.append(Finding(last + 1, "", "positions are missing from here on", f"{upto}", f"{last}"))
    keys: dict[str, tuple[int, str]] = {}
    informants: dict[str, int] = {}
    for event, _, _ in rows:
        if is_of_informant(event.state):
            informants.setdefault(event.stream, event.position)
        for key in keys_in(event.state):
            keys.setdefault(key, (event.position, event.stream))
    return Looked(
        upto=upto,
        leaves=[event.leaf for event, _, _ in rows],
        first=(rows[0].event.position, rows[0].event.stream, rows[0].event.recorded_at) if rows else None,
        last_at=rows[-1].event.recorded_at if rows else None,
        keys=keys,
        findings=findings,
        informants=informants,
    )
