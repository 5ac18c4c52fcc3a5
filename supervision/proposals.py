"""拟办. What supervision proposes to people and never does by itself: where problems come together, and the next step.

What comes together is counted by pure functions over tables, against thresholds that the pack names; each proposal says
what was counted, against which figure, and who may act. What somebody has acted on since is not proposed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from domain.law import Law
from domain.ledger import Ledger
from domain.matters.affairs import ReferUnit
from domain.matters.matter import Matter, MatterKind
from domain.policy import Rules
from domain.refusals import NoPolicyInForce, UnknownPolicy
from domain.state import WorkOrder
from domain.steps.oversight import ISSUERS
from domain.terms import Citation, NoticeGround, NoticeKind, Role, UnitId
from projections.answers import Crowded, Projections, Rated, Returned
from projections.duties import DutyRow

AT_ONCE = 256
"""Cases that are read together."""

MATTERS = 1000
"""Matters, the newest, among which is looked for what was acted on."""

YEAR = timedelta(days=365)
"""How far back returns of an order are counted: no case in hand is older."""

_CASE = (NoticeKind.MEETING, NoticeKind.ONSITE)
_UNIT = (NoticeKind.SPECIAL, NoticeKind.ONSITE)


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """拟办. What was counted, and what a person may do about it; `order_id`, `matter` or `unit` says whom it is about."""

    key: str
    ground: NoticeGround
    kinds: tuple[NoticeKind, ...]  # of the notices that may follow; none: the unit is referred (refer_unit)
    by: tuple[Role, ...]  # who may issue one of them, or refer
    count: int
    threshold: int
    since: datetime  # from when it was counted
    last: datetime
    unit: str = ""
    order_id: UUID | None = None
    matter: UUID | None = None  # a circular, an inspection or a meeting whose written day went by
    number: str = ""
    category: str = ""
    of: int | None = None  # what `count` is a part of: evaluations
    orders: tuple[UUID, ...] = ()
    article: str = ""
    basis: Citation | None = None


class Tied(NamedTuple):
    """An order that was registered about the matter of another one."""

    order_id: UUID
    to: UUID
    merged: bool  # another caller's; else the same applicant's
    at: datetime


class Acted(NamedTuple):
    """What somebody did: about which order or unit, on what ground, when."""

    about: UUID | UnitId
    ground: NoticeGround | None  # None: a meeting
    at: datetime


class Together(NamedTuple):
    """What was read to find what comes together."""

    returned: Sequence[Returned] = ()
    crowded: Sequence[Crowded] = ()
    rated: Sequence[Rated] = ()
    tied: Sequence[Tied] = ()
    undone: Sequence[DutyRow] = ()
    unrectified: Sequence[tuple[DutyRow, Matter]] = ()
    cases: Mapping[UUID, WorkOrder] = {}
    acted: Sequence[Acted] = ()


def propose(found: Together, rules: Rules, now: datetime) -> tuple[Proposal, ...]:
    """Return what is to be proposed by a pack's thresholds; pure. What was acted on since is left out."""
    made = [
        *_circulating(found, rules, now),
        *_repeated(found, rules, now),
        *_mass(found, rules, now),
        *_undone(found),
        *_unrectified(found),
        *_concentrated(found, rules, now),
        *_low(found, rules, now),
    ]
    acted: dict[tuple[UUID | UnitId, NoticeGround], datetime] = {}
    for one in found.acted:
        for ground in [one.ground] if one.ground else NoticeGround:
            acted[one.about, ground] = max(one.at, acted.get((one.about, ground), one.at))
    return tuple(p for p in made if not _acted_on(p, acted.get((p.order_id or p.unit, p.ground))))


def _acted_on(proposal: Proposal, at: datetime | None) -> bool:
    """Tell whether somebody acted already: on a case since the last of what was counted, on a unit since it is counted."""
    return at is not None and at >= (proposal.since if proposal.order_id is None else proposal.last)


def _basis(rules: Rules, option: str) -> dict[str, Any]:
    basis = rules.bases.get(option)
    return {"basis": basis, "article": "" if basis is None else basis.article}


def _by(kinds: Iterable[NoticeKind]) -> tuple[Role, ...]:
    return tuple(sorted(frozenset[Role]().union(*(ISSUERS[kind] for kind in kinds))))


def _of_case(found: Together, order_id: UUID) -> dict[str, Any] | None:
    """Return how a case is named; None where it is over, and nobody is called together about it."""
    order = found.cases.get(order_id)
    if order is None or not order.is_open:
        return None
    last = order.episode
    return {
        "order_id": order_id,
        "number": order.number,
        "unit": "" if last is None else last.lead,
        "kinds": _CASE,
        "by": _by(_CASE),
    }


def _circulating(found: Together, rules: Rules, now: datetime) -> Iterable[Proposal]:
    threshold = rules.options.circulating
    for one in found.returned:
        named = _of_case(found, one.order_id)
        if named is not None and one.times >= threshold:
            back = (
                r.decided.at for e in found.cases[one.order_id].episodes for r in e.returns if r.approved and r.decided
            )
            yield Proposal(
                key=f"circulating:{one.order_id}",
                ground=NoticeGround.CIRCULATING,
                count=one.times,
                threshold=threshold,
                since=now - YEAR,
                last=max(back, default=one.last),
                orders=(one.order_id,),
                **named,
                **_basis(rules, "circulating"),
            )


def _groups(tied: Iterable[Tied], *, merged: bool) -> dict[UUID, list[Tied]]:
    """Return orders by the one that they all come back to."""
    own = {one.order_id: one for one in tied if one.merged is merged}
    groups: dict[UUID, list[Tied]] = {}
    for one in own.values():
        root, seen = one.to, {one.order_id}
        while root in own and root not in seen:
            seen.add(root)
            root = own[root].to
        groups.setdefault(root, []).append(one)
    return groups


def _repeated(found: Together, rules: Rules, now: datetime) -> Iterable[Proposal]:
    """The same applicant about the same matter, so many times within so many days (A-11): said of the newest open case."""
    options = rules.options
    since = now - timedelta(days=options.repeated_within_days)
    for root, group in sorted(_groups(found.tied, merged=False).items()):
        times = {one.order_id: one.at for one in group if one.at >= since}
        first = found.cases.get(root)
        if first is not None and first.registered.at >= since:
            times[root] = first.registered.at
        if len(times) < options.repeated:
            continue
        ordered = sorted(times, key=lambda one: times[one])
        named = next((n for one in reversed(ordered) if (n := _of_case(found, one)) is not None), _of_case(found, root))
        if named is not None:
            yield Proposal(
                key=f"repeated:{root}",
                ground=NoticeGround.REPEATED,
                count=len(times),
                threshold=options.repeated,
                since=since,
                last=max(times.values()),
                orders=tuple(ordered),
                **named,
                **_basis(rules, "repeated"),
            )


def _mass(found: Together, rules: Rules, now: datetime) -> Iterable[Proposal]:
    """Many callers about one matter: their orders were merged into one."""
    threshold = rules.options.mass
    for master, group in sorted(_groups(found.tied, merged=True).items()):
        named = _of_case(found, master)
        if threshold is not None and named is not None and len(group) + 1 >= threshold:
            yield Proposal(
                key=f"mass:{master}",
                ground=NoticeGround.HOT_ISSUE,
                count=len(group) + 1,
                threshold=threshold,
                since=now - timedelta(days=rules.options.repeated_within_days),
                last=max(one.at for one in group),
                orders=(master, *(one.order_id for one in group)),
                **named,
                **_basis(rules, "mass"),
            )


def _undone(found: Together) -> Iterable[Proposal]:
    """What a meeting decided and nobody reported by its day: the next step of 3.6 is the site, of a closed case too."""
    waiting: dict[tuple[UUID, UnitId], list[DutyRow]] = {}
    for row in found.undone:
        waiting.setdefault((row.order_id, row.unit), []).append(row)
    for (order_id, unit), own in waiting.items():
        yield Proposal(
            key=f"undone:{order_id}:{unit}",
            ground=NoticeGround.NOTICE_IGNORED,
            kinds=(NoticeKind.ONSITE,),
            by=_by((NoticeKind.ONSITE,)),
            count=len(own),
            threshold=1,
            since=min(row.since for row in own),
            last=max(
                max(row.due, row.since + timedelta.resolution) for row in own if row.due
            ),  # no meeting answers itself
            order_id=order_id,
            number=own[0].number,
            unit=unit,
            orders=(order_id,),
            article="S4-32, DOMAIN 3.6",
        )


_AFTER: Mapping[MatterKind, tuple[NoticeKind, ...]] = {
    MatterKind.MEETING: (NoticeKind.ONSITE,),
    MatterKind.INSPECTION: (NoticeKind.WRITTEN, NoticeKind.SPECIAL),
    MatterKind.CIRCULAR: (),  # the last step of the ladder: what follows is the supervisory organ (3.6)
}
"""What may follow where a unit lets a matter's written day go by."""


def _unrectified(found: Together) -> Iterable[Proposal]:
    """What a unit was to put right, carry out or state by a day that went by, until it reports or somebody acts."""
    for row, matter in found.unrectified:
        if matter.what not in _AFTER or row.due is None or matter.referred is not None:
            continue
        kinds = _AFTER[matter.what]
        yield Proposal(
            key=f"unrectified:{row.order_id}:{row.key}",
            ground=NoticeGround.NOTICE_IGNORED,
            kinds=kinds,
            by=_by(kinds) if kinds else tuple(sorted(ReferUnit.roles)),
            count=1,
            threshold=1,
            since=row.due,
            last=row.due,
            matter=row.order_id,
            number=row.number,
            unit=row.unit,
            orders=matter.orders,
            article="S4-34, DOMAIN 3.6" if not kinds else "DOMAIN 3.6",
        )


def _concentrated(found: Together, rules: Rules, now: datetime) -> Iterable[Proposal]:
    threshold = rules.options.concentrated
    for one in found.crowded:
        if threshold is not None and one.orders >= threshold:
            yield Proposal(
                key=f"concentrated:{one.unit}:{one.category}",
                ground=NoticeGround.CONCENTRATED,
                kinds=_UNIT,
                by=_by(_UNIT),
                count=one.orders,
                threshold=threshold,
                since=now - timedelta(days=rules.options.concentrated_within_days),
                last=one.last,
                unit=one.unit,
                category=one.category,
                **_basis(rules, "concentrated"),
            )


def _low(found: Together, rules: Rules, now: datetime) -> Iterable[Proposal]:
    options = rules.options
    percent = options.low_evaluation_percent
    for one in found.rated:
        enough = one.evaluated >= options.low_evaluation_from
        if percent is not None and enough and one.satisfied * 100 < percent * one.evaluated:
            yield Proposal(
                key=f"low_evaluation:{one.unit}",
                ground=NoticeGround.LOW_EVALUATION,
                kinds=_UNIT,
                by=_by(_UNIT),
                count=one.satisfied,
                of=one.evaluated,
                threshold=percent,
                since=now - timedelta(days=options.concentrated_within_days),
                last=one.last,
                unit=one.unit,
                **_basis(rules, "low_evaluation_percent"),
            )


# --- from the tables ---------------------------------------------------------------------------------------------


class Proposed(NamedTuple):
    """Proposals, and the position at which the tables stood."""

    position: int
    proposals: tuple[Proposal, ...]


async def proposed(ledger: Ledger, shown: Projections, now: datetime) -> Proposed:
    """Return what comes together now; nothing where no pack is in force."""
    law: Law = await ledger.law()
    try:
        rules = law.rules(law.policy_at(now))
    except (NoPolicyInForce, UnknownPolicy):
        return Proposed(0, ())
    options = rules.options
    returned = await shown.returned(now - YEAR, options.circulating)
    since = now - timedelta(days=options.concentrated_within_days)
    crowded = () if options.concentrated is None else (await shown.crowded(since, options.concentrated)).rows
    rated = (
        () if options.low_evaluation_percent is None else (await shown.rated(since, options.low_evaluation_from)).rows
    )
    undone = (await shown.late_duties("carry_out_decision", now)).rows
    unrectified = await _with_matters(ledger, (await shown.late_duties("report_rectification", now)).rows)
    tied_ids = (await shown.tied(now - timedelta(days=options.repeated_within_days))).rows
    named = {one.order_id for one in (*returned.rows, *undone)}
    cases = await _cases(ledger, {*tied_ids, *named})
    tied = [one for order_id in tied_ids for one in _tied(cases.get(order_id))]
    cases |= await _cases(ledger, {one.to for one in tied} - cases.keys())
    found = Together(
        returned.rows, crowded, rated, tied, undone, unrectified, cases, await _acted(ledger, cases.values())
    )
    return Proposed(returned.position, propose(found, rules, now))


async def _cases(ledger: Ledger, ids: Iterable[UUID]) -> dict[UUID, WorkOrder]:
    wanted = sorted(ids)
    found: dict[UUID, WorkOrder] = {}
    for first in range(0, len(wanted), AT_ONCE):
        streams = [f"order:{one}" for one in wanted[first : first + AT_ONCE]]
        for stream, entries in zip(streams, await ledger.histories(streams), strict=True):
            if (order := ledger.fold_entries(stream, entries)) is not None:
                found[order.id] = order
    return found


async def _with_matters(ledger: Ledger, rows: Sequence[DutyRow]) -> list[tuple[DutyRow, Matter]]:
    """Return late duties of matters, each with its matter."""
    streams = [f"matter:{row.order_id}" for row in rows]
    histories = await ledger.histories(streams) if streams else []
    found = [ledger.fold_entries(name, entries) for name, entries in zip(streams, histories, strict=True)]
    return [(row, matter) for row, matter in zip(rows, found, strict=True) if matter is not None]


def _tied(order: WorkOrder | None) -> Iterable[Tied]:
    if order is None:
        return
    links = order.links
    if (to := links.duplicate_of or links.previous) is not None:
        yield Tied(order.id, to, False, order.registered.at)
    if links.merge is not None and links.merge.undone is None:
        yield Tied(order.id, links.merge.master, True, order.registered.at)


async def _acted(ledger: Ledger, cases: Iterable[WorkOrder]) -> list[Acted]:
    """Return what people did about these cases, and about units: notices, meetings, matters."""
    done = [Acted(order.id, notice.ground, notice.issued.at) for order in cases for notice in order.oversight.notices]
    done += [Acted(order.id, None, held.at) for order in cases for held in order.oversight.meetings]
    streams = await ledger.streams("matter", MATTERS)
    for stream, entries in zip(streams, await ledger.histories(streams), strict=True):
        matter: Matter | None = ledger.fold_entries(stream, entries)
        if matter is None:
            continue
        ground = None if matter.notice is None else matter.notice.ground
        about = (*matter.orders, *(matter.units if ground is not None else ()))
        done += [Acted(one, ground, matter.opened.at) for one in about]
    return done
