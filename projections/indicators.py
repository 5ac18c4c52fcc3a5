"""指标事实表. The facts that every indicator of a case counts (DOMAIN 5.2, 8.9): what happened, when, whose, and how.

A fact belongs to the period in which its `at` lies. `FACTS` says what `hit` and `also` mean for each kind; an indicator
is a quotient of such counts, and the orders behind a figure are the rows behind it. Nothing here is rounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from domain.clocks import Clock, overdue_items
from domain.policy import Options
from domain.state import Episode, Reply, WorkOrder, effective
from domain.terms import (
    ClockName,
    ClosureKind,
    EvaluationSource,
    Mark,
    Outcome,
    RefusalReason,
    Resolution,
    ReturnGround,
)
from domain.units import day_of
from projections.case import Case, Projection, Row

FACTS: Final[Mapping[str, str]] = {
    "registered": "登记 at registration; hit: linked as a duplicate of the same matter (I3, I22)",
    "dispatched": "派单 at each dispatch, of the lead; hit: nobody had to correct it (I5); also: extended (I15)",
    "dispatch": "派单时限 at its due; hit: dispatched in time (I4)",
    "sign": "签收时限 at its due; hit: signed in time (I6)",
    "transfer": "转派时限 at its due; hit: passed on in time (I14)",
    "co_reply": "协办时限 at its due; hit: opinion in time (I26)",
    "handle": "办理时限 at its due; hit: answered in time (I10); also: responded in time (I7); seconds late (I11)",
    "overdue_item": "超期办理件 at the end of the time to return; a late return counts as overdue (I11)",
    "return": "退单申请 at the request; hit: rejected or late (I13); also: approved (I12)",
    "extension": "延期申请 at the request; hit: approved (I15)",
    "first_reply": "首次答复审核 at the review of a round's first reply; hit: accepted at once (8.9)",
    "outcome": "答复结果 at a round's last reply; hit: resolved (I8, by the ledger)",
    "visit": "回访 at the end of a return visit; hit: completed (I18); also: refused",
    "replied": "答复 at a round's last reply; hit: sampled for a return visit (I18)",
    "resolved": "解决情况 at a completed visit that answered it; hit: resolved (I8)",
    "evaluated": "有效评价 at the evaluation that counts; hit: satisfied (I9); also: it is a deemed one",
    "deemed": "视为评价 at each, also where a return visit replaced it (I19)",
    "redo": "重办 at each order to do it again (I16)",
    "not_handled": "视为未按规定办理 (I24)",
    "closed": "办结 at closure; hit: first round, one reply, accepted (I17); seconds since dispatch (I25)",
    "told": "告知 at the closure of a case whose applicant can be reached; hit: told (I28)",
    "direct": "直接答复办结 at closure (I3)",
    "notice": "督办回复时限 at its due; hit: replied in time (I23)",
    "follow_up": "承诺兑现 at its due; hit: kept in time (I27)",
}
"""What each kind of fact counts, and when it happened."""

_TIMED: Final[Mapping[ClockName, str]] = {
    ClockName.DISPATCH: "dispatch",
    ClockName.SIGN: "sign",
    ClockName.TRANSFER: "transfer",
    ClockName.CO_REPLY: "co_reply",
    ClockName.HANDLE: "handle",
    ClockName.SUPV_REPLY: "notice",
    ClockName.FOLLOW_UP: "follow_up",
}


_BEFORE: Final[Mapping[str, int]] = {kind: n << 20 for n, kind in enumerate(FACTS)}
"""What a case's facts of each kind are numbered from: one more fact leaves the numbers of other kinds as they are."""


class FactRow(Row, frozen=True):
    """指标事实. `no` counts the case's facts of a kind, behind the kind's own number.

    `exempt` facts leave the rates of satisfaction and of doing again, and stay in those of time.
    """

    order_id: UUID
    no: int
    kind: str
    at: datetime
    unit: str  # whose fact; empty: the hotline centre's
    hit: bool
    also: bool
    seconds: int | None
    exempt: bool
    provisional: bool  # a year without a published calendar had to be presumed: counts when it is published (5.1)
    demand_type: str
    category: str
    district: str


class Fact:
    """One fact before it is a row."""

    __slots__ = ("also", "at", "hit", "kind", "provisional", "seconds", "unit")

    def __init__(
        self,
        kind: str,
        at: datetime,
        unit: str = "",
        *,
        hit: bool = False,
        also: bool = False,
        seconds: int | None = None,
        provisional: bool = False,
    ) -> None:
        self.kind = kind
        self.at = at
        self.unit = unit
        self.hit = hit
        self.also = also
        self.seconds = seconds
        self.provisional = provisional


def derive(case: Case) -> tuple[FactRow, ...]:
    """Return a row a fact."""
    order = case.order
    if order.filing.refusal == RefusalReason.STATE_SECRET and order.demand.content is None:
        return ()  # a stub of what may be a state secret counts nowhere
    quality, attributes = order.quality, order.attributes
    options = case.law.rules(order.policy).options
    exempt = bool(quality.exempt)
    last = dict(_BEFORE)
    rows: list[FactRow] = []
    for part in (_desk(order), _episodes(order), _timed(case, options), _answers(order), _ends(order)):
        for fact in part:
            last[fact.kind] += 1
            row = FactRow(
                order.id,
                last[fact.kind],
                fact.kind,
                fact.at,
                fact.unit,
                fact.hit,
                fact.also,
                fact.seconds,
                exempt,
                fact.provisional,
                attributes.demand_type,
                order.demand.category,
                order.demand.district,
            )
            rows.append(row)
    return tuple(rows)


def _desk(order: WorkOrder) -> Iterator[Fact]:
    yield Fact("registered", order.registered.at, hit=order.links.duplicate_of is not None)
    for at, kind in order.filing.closures:
        if kind is ClosureKind.DIRECT:
            yield Fact("direct", at.at)


def _episodes(order: WorkOrder) -> Iterator[Fact]:
    for episode in order.episodes:
        if episode.reopened or episode.derived:
            continue
        wrong = any(r.approved and r.ground is ReturnGround.NOT_OUR_DUTY for r in episode.returns)
        ruled = any(d.ruled is not None and d.ruled_unit != d.unit for d in episode.disputes)
        extended = any(x.approved for x in episode.extensions)
        yield Fact("dispatched", episode.begun.at, episode.lead, hit=not (wrong or ruled), also=extended)
        for r in episode.returns:
            refused = r.decided is not None and not r.approved
            yield Fact("return", r.requested.at, r.unit, hit=refused or r.late, also=r.approved)
        for x in episode.extensions:
            yield Fact("extension", x.requested.at, x.unit, hit=x.approved)


# --- by their clocks ---------------------------------------------------------------------------------------------


def _timed(case: Case, options: Options) -> Iterator[Fact]:
    for clock in case.clocks:
        kind = _TIMED.get(clock.name)
        if kind is None or clock.due is None or clock.cancel is not None:
            continue  # cancelled ones leave the rates (5.1)
        stop, due = clock.stop, clock.due
        in_time = stop is not None and stop.at <= due
        also, seconds = False, None
        if kind == "handle":
            also = _responded(case, clock, options)
            seconds = int((stop.at - due).total_seconds()) if stop is not None and not in_time else None
        yield Fact(kind, due, clock.unit, hit=in_time, also=also, seconds=seconds, provisional=clock.provisional)
    for item in overdue_items(case.clocks):
        yield Fact("overdue_item", item.since, item.unit)


def _responded(case: Case, handle: Clock, options: Options) -> bool:
    """Tell whether somebody reached the applicant, or tried as often as the pack asks, within the time to respond (I7)."""
    episode = case.order.episodes[int(handle.key[1:]) - 1]
    initial = next((c for c in case.clocks if c.name is ClockName.INIT_RESPONSE and c.key == handle.key), None)
    until = handle.due if initial is None or initial.due is None else initial.due
    assert until is not None
    if _before(episode.initial_response, until) or _before(episode.informed_result, until):
        return True
    tried = [c for c in episode.contacts if c.at.at <= until]
    if any(c.reached for c in tried):
        return True
    return len(tried) >= options.attempts and len({day_of(c.at.at) for c in tried}) >= options.attempt_days


def _before(mark: Mark | None, until: datetime) -> bool:
    return mark is not None and mark.at <= until


# --- after the reply ---------------------------------------------------------------------------------------------


def _answers(order: WorkOrder) -> Iterator[Fact]:
    rounds: dict[int, list[Reply]] = {}
    for reply in order.replies:
        rounds.setdefault(reply.round, []).append(reply)
    for number, replies in rounds.items():
        first, last = replies[0], replies[-1]
        visit = next((v for v in order.quality.revisits if v.round == number), None)
        if first.reviewed is not None:
            yield Fact("first_reply", first.reviewed.at, first.unit, hit=first.accepted is True)
        if last.outcome is not None:
            yield Fact("outcome", last.submitted.at, last.unit, hit=last.outcome is Outcome.RESOLVED)
        if not order.demand.anonymous:
            yield Fact("replied", last.submitted.at, last.unit, hit=visit is not None and visit.sampled is not None)
        if visit is not None and visit.over is not None:
            completed, refused = visit.completed is not None, visit.refused is not None
            yield Fact("visit", visit.over.at, last.unit, hit=completed, also=refused)
            if visit.completed is not None and visit.resolution is not None:
                resolved = visit.resolution is Resolution.RESOLVED
                yield Fact("resolved", visit.completed.at, last.unit, hit=resolved)
        yield from _evaluated(order, number, last)


def _evaluated(order: WorkOrder, number: int, last: Reply) -> Iterator[Fact]:
    for e in order.quality.evaluations:
        if e.round == number and e.source is EvaluationSource.DEEMED and not e.voided:
            yield Fact("deemed", e.at.at, last.unit)
    counts = effective(order, number)
    if counts is not None:
        deemed = counts.source is EvaluationSource.DEEMED
        yield Fact("evaluated", counts.at.at, last.unit, hit=counts.result.positive, also=deemed)


def _ends(order: WorkOrder) -> Iterator[Fact]:
    for mark in order.quality.redo:
        yield Fact("redo", mark.at, _lead_before(order, mark))
    if order.quality.not_handled is not None:
        yield Fact("not_handled", order.quality.not_handled.at, order.quality.streak_unit)
    closed, kind = order.filing.closed, order.filing.kind
    if closed is None or kind is ClosureKind.MERGED:
        return
    accepted = [reply for reply in order.replies if reply.accepted is not False]
    once = order.round == 1 and len(order.replies) == 1 and len(accepted) == 1
    told = any(reply.informed is not None for reply in order.replies) or kind is ClosureKind.DIRECT
    begun = _first_dispatch(order)
    seconds = None if begun is None else int((closed.at - begun.begun.at).total_seconds())
    yield Fact("closed", closed.at, _lead_before(order, closed), hit=once, seconds=seconds)
    if not order.demand.anonymous and kind is not ClosureKind.UNREACHABLE:
        yield Fact("told", closed.at, _lead_before(order, closed), hit=told)


def _first_dispatch(order: WorkOrder) -> Episode | None:
    return next((episode for episode in order.episodes if not episode.derived), None)


def _lead_before(order: WorkOrder, mark: Mark) -> str:
    led = [episode.lead for episode in order.episodes if episode.begun <= mark]
    return led[-1] if led else ""


PROJECTION = Projection("indicators", 2, FactRow, derive, Path(__file__).with_suffix(".sql"))
