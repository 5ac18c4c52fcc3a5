"""指标事实表. The facts that every indicator of a case counts (DOMAIN 5.2, 8.9): what happened, when, whose, and how.

A fact belongs to the period in which its `at` lies. `FACTS` says what `hit` and `also` mean for each kind; an indicator
is a quotient of such counts (`figures`), and the orders behind a figure are the rows behind it. Nothing here is rounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from domain.clocks import Clock, overdue_items
from domain.matters.matter import Matter
from domain.matters.notices import turns
from domain.policy import Options
from domain.state import Episode, Evaluation, Reply, Revisit, WorkOrder, effective
from domain.terms import (
    AssignmentRole,
    ClockName,
    ClosureKind,
    Dimension,
    EvaluationSource,
    Mark,
    Outcome,
    Rating,
    Reasonableness,
    RefusalReason,
    Resolution,
    ReturnGround,
)
from domain.units import day_of, day_start
from projections.case import Beside, Case, Projection, Row

RATED: Final[Mapping[Dimension, str]] = {d: f"rated_{d.value}" for d in Dimension if d is not Dimension.RESULT}
"""The kind of fact that counts how each dimension beside the result was rated (8.9)."""

BESIDE: Final = "unit_notice"
"""The one kind of fact that is of a matter and of no order."""

FACTS: Final[Mapping[str, str]] = {
    "registered": "登记 at registration; hit: linked as a duplicate of the same matter (I22); also: answered directly (I3)",
    "dispatched": "派单 at each dispatch, of who got it; hit: nobody had to correct it (I5); also: extended (I15)",
    "given_back": "派单 at each dispatch; hit: its return was asked for (I12a); also: approved (I12b)",
    "dispatch": "派单时限 at its due; hit: dispatched in time (I4)",
    "sign": "主办签收时限 at its due; hit: signed in time (I6)",
    "transfer": "转派时限 at its due; hit: passed on in time (I14)",
    "co_reply": "协办时限 at its due; hit: opinion in time (I26)",
    "handle": "办理时限 at its due; hit: answered in time (I10)",
    "response": "办理时限 of whose applicant can be reached, at its due; hit: responded in time (I7)",
    "overdue": "承办 at its due, else at the end of the time to return; hit: overdue, a late return with it (I11); seconds late",
    "return": "退单申请 at the request; hit: rejected or late (I13)",
    "extension": "延期申请 at the request; hit: approved (I15)",
    "first_reply": "首次答复审核 at the review of a round's first reply; hit: accepted at once (8.9)",
    "outcome": "答复结果 at a round's last reply; hit: resolved (I8, by the ledger)",
    "visit": "回访 at the end of a return visit; hit: completed (I18); also: refused",
    "replied": "答复 at a round's last reply; hit: sampled for a return visit (I18)",
    "resolved": "解决情况 at a completed visit that answered it; hit: resolved (I8)",
    "partly": "解决情况, where a pack says what partly resolved counts; `seconds`: hundredths that count (I8, A-12)",
    "contacted": "联系情况 at a completed visit that answered it; hit: was contacted (I7s)",
    "evaluated": "有效评价 at the evaluation that counts; hit: satisfied (I9); also: it is a deemed one",
    "rated_at_visit": "回访有效评价 at the evaluation that counts, given at a return visit; hit: satisfied (I9r)",
    **{kind: f"{d.zh} as the evaluation that counts rates it; hit: satisfied (I9)" for d, kind in RATED.items()},
    "deemed": "视为评价 at each, also where a return visit replaced it (I19)",
    "redo": "重办 at each order to do it again (I16)",
    "closing": "办结 at each closure, also one that was undone since (I16)",
    "not_handled": "视为未按规定办理 (I24)",
    "closed": "办结 at the closure that stands; hit: first round, one accepted reply (I17); seconds of handling (I25)",
    "age": "办结 at the closure that stands; seconds since registration (I25)",
    "told": "告知 at the closure of a case whose applicant can be reached; hit: told (I28)",
    "notice": "督办回复时限 at its due; hit: replied in time (I23)",
    "follow_up": "承诺兑现 at its due; hit: kept in time (I27)",
    BESIDE: "致单位督办回复时限 at its due, of a matter in the place of an order; hit: replied in time (I23)",
}
"""What each kind of fact counts, and when it happened."""

TIMED: Final[Mapping[ClockName, str]] = {
    ClockName.DISPATCH: "dispatch",
    ClockName.SIGN: "sign",
    ClockName.TRANSFER: "transfer",
    ClockName.CO_REPLY: "co_reply",
    ClockName.SUPV_REPLY: "notice",
    ClockName.FOLLOW_UP: "follow_up",
}
"""Clocks that are an indicator by themselves; HANDLE is several."""

NOT_HANDLED_HERE: Final = frozenset({ClosureKind.MERGED, ClosureKind.WITHDRAWN, ClosureKind.NOT_ACCEPTED})
"""Closures that say nothing of handling: the master's counts (R-29), a withdrawn one counts as intake alone (3.5)."""

_SPOKEN_TO: Final = frozenset({ClosureKind.DIRECT, ClosureKind.TRANSFERRED})
"""Closures while the applicant is on the line: who is answered or put through has been told."""

_BEFORE: Final[Mapping[str, int]] = {kind: n << 20 for n, kind in enumerate(FACTS)}
"""What a case's facts of each kind are numbered from: one more fact leaves the numbers of other kinds as they are."""

_FAMILY = re.compile(r"I\d+")

CALLED: Final[Mapping[str, str]] = {
    "直接答复率": "I3",
    "派单及时率": "I4",
    "派单准确率": "I5",
    "签收及时率": "I6",
    "响应率": "I7",
    "解决率": "I8",
    "满意率": "I9",
    "按时办结率": "I10",
    "超期率": "I11",
    "平均超期时长": "I11",
    "申请退单率": "I12",
    "退单率": "I12",
    "不当退单率": "I13",
    "转派及时率": "I14",
    "延期率": "I15",
    "延期同意率": "I15",
    "重办率": "I16",
    "一次办结率": "I17",
    "回访率": "I18",
    "回访成功率": "I18",
    "拒访率": "I18",
    "视为满意占比": "I19",
    "重复诉求率": "I22",
    "督办回复及时率": "I23",
    "未按规定办理件数": "I24",
    "平均办理时长": "I25",
    "中位办理时长": "I25",
    "平均工单存续": "I25",
    "中位工单存续": "I25",
    "协办及时率": "I26",
    "承诺兑现率": "I27",
    "告知率": "I28",
    "一次审核通过率": "I29",
}
"""What an indicator is called, whatever its variant: a unit that contests one may write that in the place of its code."""

_ONE: Final = timedelta(milliseconds=1)


def family(code: str) -> str:
    """Return the indicator that a code is a variant of: I9 of I9a, or of 满意率(含视为). Against one is against all of it."""
    found = _FAMILY.match(code)
    if found is not None:
        return found.group()
    name = re.split(r"[(（·]", code, maxsplit=1)[0].strip()
    return CALLED.get(name, code)


def counted_at(due: datetime) -> datetime:
    """Return the instant by which a due instant belongs to a period: 24:00 belongs to the day it ends (K4, K5)."""
    return due - _ONE if due == day_start(day_of(due)) else due


class FactRow(Row, frozen=True):
    """指标事实. `no` counts the case's facts of a kind, behind the kind's own number.

    `exempt` facts leave the rates of satisfaction and of doing again, and stay in those of time.
    """

    order_id: UUID  # of the order; of a notice to a unit, which is about no order, the matter's
    no: int
    kind: str
    at: datetime
    unit: str  # whose fact; empty: the hotline centre's
    hit: bool
    also: bool
    seconds: int | None
    exempt: bool
    excluded: str  # indicators it was taken out of, by commas: an upheld appeal, an unreasonable demand (8.11)
    provisional: bool  # a year without a published calendar had to be presumed: counts when it is published (5.1)
    settles: datetime | None  # an undecided extension keeps it open until then: counts in no period before (8.9)
    in_outage: bool  # fell due inside an outage: counts, unless the supervisor decides otherwise (8.11)
    assumed: bool  # of an order run under an assumed pack: enters no published report (8.15)
    demand_type: str
    category: str
    district: str


class Fact:
    """One fact before it is a row."""

    __slots__ = ("also", "at", "hit", "in_outage", "kind", "provisional", "seconds", "settles", "unit")

    def __init__(
        self,
        kind: str,
        at: datetime,
        unit: str = "",
        *,
        hit: bool = False,
        also: bool = False,
        seconds: int | None = None,
        of: Clock | None = None,
    ) -> None:
        self.kind = kind
        self.at = at
        self.unit = unit
        self.hit = hit
        self.also = also
        self.seconds = seconds
        self.provisional = of is not None and of.provisional
        self.in_outage = of is not None and of.during_outage
        self.settles = of.grace if of is not None and of.running else None


def derive(case: Case) -> tuple[FactRow, ...]:
    """Return a row a fact."""
    order = case.order
    if order.filing.refusal == RefusalReason.STATE_SECRET and order.demand.content is None:
        return ()  # a stub of what may be a state secret counts nowhere
    quality, attributes = order.quality, order.attributes
    options = case.law.rules(order.policy).options
    exempt = bool(quality.exempt) or (options.noted_exempt and order.filing.kind is ClosureKind.NOTED)
    leaves = _left_out(case, options)
    last = dict(_BEFORE)
    rows: list[FactRow] = []
    for part in (_desk(order), _episodes(case), _timed(case, options), _answers(order, options), _ends(case)):
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
                ",".join(leaves(fact)) if leaves is not None else "",
                fact.provisional,
                fact.settles,
                fact.in_outage,
                order.assumed_policy,
                attributes.demand_type,
                order.demand.category,
                order.demand.district,
            )
            rows.append(row)
    return tuple(rows)


# --- what is left out --------------------------------------------------------------------------------------------


class _Left:
    """Which indicators a fact leaves (8.11): by an upheld appeal of its unit, or because the demand was unreasonable."""

    def __init__(self, case: Case, always: Iterable[str]) -> None:
        self._always = frozenset(always)
        self._upheld = [a for a in case.order.oversight.appeals if a.upheld and a.decided is not None]
        self._law = case.law

    def __bool__(self) -> bool:
        return bool(self._always or self._upheld)

    def __call__(self, fact: Fact) -> list[str]:
        left = set(self._always)
        for appeal in self._upheld:
            # What was published is what is contested: a later fact of the same kind is another month's.
            own = fact.unit == appeal.unit or self._law.successor(fact.unit, appeal.filed.at) == appeal.unit
            if own and fact.at < appeal.published_at:
                left.add(family(appeal.indicator))
        return sorted(left)


def _left_out(case: Case, options: Options) -> _Left | None:
    unreasonable = case.order.quality.reasonable == Reasonableness.UNREASONABLE.value
    left = _Left(case, ("I8", "I9") if unreasonable and "excluded" in options.unreasonable_effect else ())
    return left or None


# --- the desk and its dispatches ---------------------------------------------------------------------------------


def _desk(order: WorkOrder) -> Iterator[Fact]:
    direct = any(kind is ClosureKind.DIRECT for _, kind in order.filing.closures)
    yield Fact("registered", order.registered.at, hit=order.links.duplicate_of is not None, also=direct)


def _follows(order: WorkOrder) -> bool:
    """Tell whether the order follows a master: handling counts masters alone (R-29)."""
    return order.links.merge is not None and order.links.merge.undone is None


def _episodes(case: Case) -> Iterator[Fact]:
    order = case.order
    windows = {c.key: c.due for c in case.clocks if c.name is ClockName.RETURN}
    for episode in order.episodes:
        if episode.reopened or episode.derived or _follows(order):
            continue
        given = [r for r in episode.returns if not r.co]  # a co-organizer's objection is no return of the dispatch
        wrong = any(r.approved and r.ground in _WRONG_UNIT for r in given)
        ruled = any(d.ruled is not None and d.ruled_unit != d.unit for d in episode.disputes)
        extended = any(x.approved for x in episode.extensions)
        unit = _dispatched_to(episode)
        yield Fact("dispatched", episode.begun.at, unit, hit=not (wrong or ruled), also=extended)
        yield Fact("given_back", episode.begun.at, unit, hit=bool(given), also=any(r.approved for r in given))
        for r in given:
            refused = r.decided is not None and not r.approved
            due = windows.get(f"e{episode.no}")
            late = due is not None and r.requested.at > due and not r.excusable
            yield Fact("return", r.requested.at, r.unit, hit=refused or late)
        for x in episode.extensions:
            yield Fact("extension", x.requested.at, x.unit, hit=x.approved)


_WRONG_UNIT: Final = frozenset({ReturnGround.NOT_OUR_DUTY, ReturnGround.RULED_ELSEWHERE})


def _dispatched_to(episode: Episode) -> str:
    """Return the unit that the hotline dispatched to, whoever it passed the order on to."""
    first = next((a for a in episode.assignments if a.role is AssignmentRole.LEAD), None)
    return episode.lead if first is None else first.unit


# --- by their clocks ---------------------------------------------------------------------------------------------


def _timed(case: Case, options: Options) -> Iterator[Fact]:
    order = case.order
    late_returns = {item.episode: item for item in overdue_items(case.clocks)}
    for clock in case.clocks:
        due, kind = clock.due, TIMED.get(clock.name)
        if due is None or not _stays(clock):
            continue
        stop = clock.stop
        in_time = stop is not None and stop.at <= due
        at = counted_at(due)
        if clock.name is ClockName.HANDLE:
            number = int(clock.key[1:])
            late_return = late_returns.pop(number, None)
            seconds = int((stop.at - due).total_seconds()) if stop is not None and not in_time else None
            yield Fact("handle", at, clock.unit, hit=in_time, of=clock)
            yield Fact("overdue", at, clock.unit, hit=not in_time or late_return is not None, seconds=seconds, of=clock)
            if not order.demand.anonymous:
                yield Fact("response", at, clock.unit, hit=_responded(case, clock, options), of=clock)
        elif kind is not None and (kind != "sign" or _of_lead(order, clock)):
            yield Fact(kind, at, clock.unit, hit=in_time, of=clock)
    for item in late_returns.values():  # returned, so that handling is over: what is left of it is that it was late
        yield Fact("overdue", counted_at(item.since), item.unit, hit=True)


def _stays(clock: Clock) -> bool:
    """Tell whether a clock counts: a cancelled one does not, unless it was late by then (5.1, K15)."""
    return clock.cancel is None or (clock.due is not None and clock.cancel.at > clock.due)


def _of_lead(order: WorkOrder, sign: Clock) -> bool:
    """Tell whether a signing is the lead's: handling counts lead assignments (5.1)."""
    episode, _, assignment = sign.key.partition(".")
    return order.episodes[int(episode[1:]) - 1].assignments[int(assignment[1:]) - 1].role is AssignmentRole.LEAD


def _responded(case: Case, handle: Clock, options: Options) -> bool:
    """Tell whether somebody reached the applicant, or tried as often as the pack asks, within the time to respond (I7)."""
    number = int(handle.key[1:])
    episode = case.order.episodes[number - 1]
    initial = next((c for c in case.clocks if c.name is ClockName.INIT_RESPONSE and c.key == handle.key), None)
    until = handle.due if initial is None or initial.due is None else initial.due
    assert until is not None
    if _before(episode.initial_response, until) or _before(episode.informed_result, until):
        return True
    tried = [c for c in episode.contacts if c.at.at <= until]
    if any(c.reached for c in tried):
        return True
    for reply in case.order.replies:
        to_hotline = options.handle_stop == "reply_to_hotline"
        if reply.episode == number and _before(reply.submitted if to_hotline else reply.counted_informed, until):
            return True
    return len(tried) >= options.attempts and len({day_of(c.at.at) for c in tried}) >= options.attempt_days


def _before(mark: Mark | None, until: datetime) -> bool:
    return mark is not None and mark.at <= until


# --- after the reply ---------------------------------------------------------------------------------------------


def _answers(order: WorkOrder, options: Options) -> Iterator[Fact]:
    rounds: dict[int, list[Reply]] = {}
    for reply in order.replies:
        rounds.setdefault(reply.round, []).append(reply)
    visits = {visit.round: visit for visit in order.quality.revisits}
    for number, replies in rounds.items():
        first, last = replies[0], replies[-1]
        if first.reviewed is not None:
            yield Fact("first_reply", first.reviewed.at, first.unit, hit=first.accepted is True)
        if last.outcome is not None:
            yield Fact("outcome", last.submitted.at, last.unit, hit=last.outcome is Outcome.RESOLVED)
        if not order.demand.anonymous:
            visit = visits.get(number)
            yield Fact("replied", last.submitted.at, last.unit, hit=visit is not None and visit.sampled is not None)
    if order.demand.anonymous:
        return  # outside I7–I9 (8.10)
    for number, visit in visits.items():
        yield from _visited(visit, _unit_of_round(order, number), options.partly_resolved_percent)
    for number in sorted({e.round for e in order.quality.evaluations}):
        yield from _evaluated(order, number)


def _unit_of_round(order: WorkOrder, number: int) -> str:
    """Return whose work a round is: who replied last in it, else who led it last."""
    replied = [reply.unit for reply in order.replies if reply.round == number]
    led = [episode.lead for episode in order.episodes if episode.round == number]
    return (replied or led or [""])[-1]


def _visited(visit: Revisit, unit: str, partly: int | None) -> Iterator[Fact]:
    if visit.over is None:
        return
    completed, refused = visit.completed, visit.completed is None and visit.refused is not None
    yield Fact("visit", visit.over.at, unit, hit=completed is not None, also=refused)
    if completed is not None and visit.resolution is not None:
        resolved = visit.resolution is Resolution.RESOLVED
        yield Fact("resolved", completed.at, unit, hit=resolved)
        if partly is not None:
            counts = 100 if resolved else partly if visit.resolution is Resolution.PARTIAL else 0
            yield Fact("partly", completed.at, unit, hit=counts > 0, seconds=counts)
    if completed is not None and visit.contacted is not None:
        yield Fact("contacted", completed.at, unit, hit=visit.contacted)


def _evaluated(order: WorkOrder, number: int) -> Iterator[Fact]:
    for e in order.quality.evaluations:
        if e.round == number and e.source is EvaluationSource.DEEMED and not e.voided:
            yield Fact("deemed", e.at.at, _rated_unit(order, e))
    counts = effective(order, number)
    if counts is None:
        return
    unit, at, source = _rated_unit(order, counts), counts.at.at, counts.source
    yield Fact("evaluated", at, unit, hit=counts.result.positive, also=source is EvaluationSource.DEEMED)
    if source is EvaluationSource.REVISIT:
        yield Fact("rated_at_visit", at, unit, hit=counts.result.positive)
    for dimension, kind in RATED.items():
        rating = counts.ratings.get(dimension, Rating.NOT_RATED)
        if rating is not Rating.NOT_RATED:
            yield Fact(kind, at, unit, hit=rating.positive)


def _rated_unit(order: WorkOrder, evaluation: Evaluation) -> str:
    """Return whose reply was rated."""
    if 0 < evaluation.reply <= len(order.replies):
        return order.replies[evaluation.reply - 1].unit
    return _unit_of_round(order, evaluation.round)


# --- the end -----------------------------------------------------------------------------------------------------


def _ends(case: Case) -> Iterator[Fact]:
    order = case.order
    for mark in order.quality.redo:
        yield Fact("redo", mark.at, _lead_before(order, mark))
    if order.quality.not_handled is not None:
        yield Fact("not_handled", order.quality.not_handled.at, order.quality.streak_unit)
    for mark, kind in order.filing.ends:
        if kind not in NOT_HANDLED_HERE:
            yield Fact("closing", mark.at, _lead_before(order, mark))
    closed, kind = order.filing.ended, order.filing.kind
    if closed is None or kind is None:
        return
    unit = _lead_before(order, closed)
    if not order.demand.anonymous and kind not in (ClosureKind.UNREACHABLE, ClosureKind.WITHDRAWN):
        yield Fact("told", closed.at, unit, hit=_told(order, kind))
    if kind in NOT_HANDLED_HERE:
        return
    standing = [reply for reply in order.replies if reply.accepted is not False]
    once = order.round == 1 and len(standing) == 1
    yield Fact("closed", closed.at, unit, hit=once, seconds=_handled_in(case, closed))
    yield Fact("age", closed.at, unit, seconds=int((closed.at - order.registered.at).total_seconds()))


def _told(order: WorkOrder, kind: ClosureKind) -> bool:
    """Tell whether the applicant was told what became of it, a merged one the master's result (R-29)."""
    merge = order.links.merge
    if kind is ClosureKind.MERGED and order.links.duplicate_of is not None:
        return True  # a repeated demand is linked by telling how the first one stands
    return (
        kind in _SPOKEN_TO
        or any(reply.informed is not None for reply in order.replies)
        or any(episode.informed_result is not None for episode in order.episodes)
        or (merge is not None and merge.told is not None)
    )


def _handled_in(case: Case, closed: Mark) -> int | None:
    """Return how long the last handling took, from its dispatch to its reply, whatever the limit (I25)."""
    stops = [
        (c.stop, c.start)
        for c in case.clocks
        if c.name is ClockName.HANDLE and c.stop is not None and not case.order.episodes[int(c.key[1:]) - 1].derived
    ]
    done = [(stop, start) for stop, start in stops if stop <= closed]
    if not done:
        return None
    stop, start = max(done)
    return int((stop.at - start.at).total_seconds())


def _lead_before(order: WorkOrder, mark: Mark) -> str:
    led = [episode.lead for episode in order.episodes if episode.begun <= mark]
    return led[-1] if led else ""


# --- beside the orders -------------------------------------------------------------------------------------------


def of_matters(record: Beside) -> tuple[FactRow, ...]:
    """Return a row a reply that a notice to a unit asked for; one dropped by its due asks for nothing (5.1, K15)."""
    matter: Matter = record.state
    asked = [t for t in turns(matter, record.law) if t.dropped is None or t.dropped.at > t.due.at]
    return tuple(
        FactRow(
            order_id=record.id,
            no=_BEFORE[BESIDE] + number,
            kind=BESIDE,
            at=counted_at(turn.due.at),
            unit=matter.units[0],
            hit=turn.replied is not None and turn.replied.at <= turn.due.at,
            also=False,
            seconds=None,
            exempt=False,
            excluded="",
            provisional=turn.due.provisional,
            settles=None,
            in_outage=record.law.outage_over(turn.due.at, matter.units[0]) is not None,
            assumed=False,
            demand_type="",
            category="",
            district="",
        )
        for number, turn in enumerate(asked, 1)
    )


def rows_of(record: Case | Beside) -> tuple[FactRow, ...]:
    """Return the facts of a record, of a kind that indicators count."""
    return derive(record) if isinstance(record, Case) else of_matters(record)


PROJECTION = Projection(
    "indicators", 6, FactRow, derive, Path(__file__).with_suffix(".sql"), beside={"matter": of_matters}
)
