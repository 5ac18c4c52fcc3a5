"""业务量. What happened in a period, counted from every case as the ledger had it at a position; nobody is named in it.

A report states that position: the same one gives the same counts for ever. Indicators are quotients and lie in
`figures`; here are the plain counts that reports show beside them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from domain.clocks import WINDOWS
from domain.law import Law
from domain.order import fold, history
from domain.state import WorkOrder
from domain.terms import (
    ClockName,
    ClosureKind,
    DemandType,
    Entry,
    Mark,
    Outcome,
    Reasonableness,
    RefusalReason,
    Urgency,
)
from domain.units import day_of
from projections.case import Case

EARLIER = timedelta(days=7)
"""How long before a period the usual number of a category is taken from."""

NEXT_DAY = timedelta(days=1)
INSTANT = timedelta(milliseconds=1)

_NOBODYS = frozenset({*WINDOWS, ClockName.RETURN})


class Emergency(msgspec.Struct, frozen=True):
    """突发事件. One of the period, by its number and kind; who called is not said."""

    number: str
    at: datetime
    category: str
    district: str
    unit: str
    responded: datetime | None
    closed: datetime | None


class Appealed(msgspec.Struct, frozen=True):
    """考核申诉. Of a unit against a figure, as far as one order goes into it (8.11)."""

    order_id: UUID
    no: int  # of the order's appeals
    number: str
    unit: str
    indicator: str
    ground: str
    published_at: datetime
    filed: datetime
    decided: datetime | None
    upheld: bool | None
    exclusion: str


class Volumes(msgspec.Struct, kw_only=True):
    """业务量. `counts` by what is counted and of what; each kind of count is a row of `COUNTED`."""

    position: int
    since: datetime
    until: datetime
    counts: Counter[tuple[str, str]]
    emergencies: list[Emergency]
    appeals: list[Appealed]
    cases: int = 0
    assumed: int = 0  # left out: run under an assumed pack (8.15)

    def of(self, kind: str) -> dict[str, int]:
        """Return what was counted of a kind, the most first; the same numbers in the order of their names."""
        found = {part: number for (what, part), number in self.counts.items() if what == kind}
        return dict(sorted(found.items(), key=lambda row: (-row[1], row[0])))

    def sum(self, kind: str) -> int:
        """Return all of a kind together."""
        return sum(number for (what, _), number in self.counts.items() if what == kind)


COUNTED = {
    "channel": "登记, 按渠道",
    "type": "登记, 按诉求类型",
    "domain": "登记, 按领域",
    "district": "登记, 按区域",
    "category": "登记, 按类别",
    "day": "登记, 按日",
    "earlier": "前七日登记, 按类别",
    "suggestion": "建议, 按类别",
    "refused": "期内登记后不予受理, 按情形",
    "dispatched": "派单, 按主办单位",
    "presumed": "推定的派单(来源未载, 8.15), 按主办单位",
    "returned": "申请退单, 按单位",
    "disputed": "派单异议, 按单位",
    "extended": "申请延期, 按单位",
    "redone": "重办, 按单位",
    "closed": "办结, 按方式",
    "unit_closed": "办结, 按主办单位",
    "outcome": "答复结果",
    "unresolved": "未解决或无法解决, 按类别",
    "notice": "督办文书, 按种类",
    "unit_notice": "督办文书, 按单位",
    "exempt": "期内办结且免予满意度考核, 按情形",
    "unreasonable": "期内办结且认定不合理, 按程度",
    "instruction": "领导批示",
    "open_instruction": "期末未报告的批示",
    "open": "期末在办, 按主办单位",
    "overdue": "期末逾期的时限, 按责任单位",
    "due_next": "期末次日到期的时限, 按责任单位",
}
"""What each kind counts."""


def volumes(
    found: Iterable[list[Entry]], law: Law, since: datetime, until: datetime, *, position: int, assumed: bool
) -> Volumes:
    """Return what happened in [since, until), from every case's entries up to where they were read."""
    told = Volumes(position=position, since=since, until=until, counts=Counter(), emergencies=[], appeals=[])
    for entries in found:
        order = fold(entries)
        if order is None or (order.filing.refusal == RefusalReason.STATE_SECRET and order.demand.content is None):
            continue  # a stub of what may be a state secret counts nowhere
        told.cases += 1
        if order.assumed_policy and not assumed:
            told.assumed += 1
            continue
        _registered(order, told)
        _handled(order, told)
        _supervised(order, told)
        _judged(order, told)
        then = fold(history(entries, as_at=until - INSTANT)) if entries[-1].at >= until else order
        if then is not None:
            _at_the_end(Case(then, entries[-1].position, law), told)
    told.emergencies.sort(key=lambda one: (one.at, one.number))
    told.appeals.sort(key=lambda one: (one.filed, one.number))
    return told


def _registered(order: WorkOrder, told: Volumes) -> None:
    at, demand, add = order.registered.at, order.demand, told.counts.update
    if told.since - EARLIER <= at < told.since:
        add([("earlier", demand.category)])
    if not told.since <= at < told.until:
        return
    add(
        [
            ("channel", demand.channel),
            ("type", order.attributes.demand_type),
            ("domain", order.attributes.domain),
            ("district", demand.district),
            ("category", demand.category),
            ("day", f"{day_of(at)}"),
        ]
    )
    if order.attributes.demand_type is DemandType.SUGGESTION:
        add([("suggestion", demand.category)])
    if order.filing.refusal:
        add([("refused", order.filing.refusal)])
    if order.attributes.urgency is Urgency.EMERGENCY_LIFE:
        told.emergencies.append(_emergency(order, told))


def _emergency(order: WorkOrder, told: Volumes) -> Emergency:
    first = order.episodes[0] if order.episodes else None
    responded = None if first is None else first.initial_response
    return Emergency(
        number=order.number,
        at=order.registered.at,
        category=order.demand.category,
        district=order.demand.district,
        unit="" if order.episode is None else order.episode.lead,
        responded=None if responded is None or responded.at >= told.until else responded.at,
        closed=_by(order.filing.ended, told.until),
    )


def _by(mark: Mark | None, until: datetime) -> datetime | None:
    return mark.at if mark is not None and mark.at < until else None


def _handled(order: WorkOrder, told: Volumes) -> None:
    def within(mark: Mark | None) -> bool:
        return mark is not None and told.since <= mark.at < told.until

    add = told.counts.update
    for episode in order.episodes:
        if within(episode.begun) and not episode.reopened:
            add([("presumed" if episode.derived else "dispatched", episode.lead)])
        add(("returned", one.unit) for one in episode.returns if within(one.requested))
        add(("disputed", one.unit) for one in episode.disputes if within(one.raised))
        add(("extended", one.unit) for one in episode.extensions if within(one.requested))
    lead = "" if order.episode is None else order.episode.lead
    add(("redone", lead) for mark in order.quality.redo if within(mark))
    for mark, kind in order.filing.ends:
        if within(mark):
            add([("closed", kind)])
            if kind is not ClosureKind.MERGED:
                add([("unit_closed", lead)])
    for reply in order.replies:
        if within(reply.submitted) and reply.outcome is not None:
            add([("outcome", reply.outcome)])
            if reply.outcome in (Outcome.UNRESOLVED, Outcome.UNSOLVABLE):
                add([("unresolved", order.demand.category)])


def _supervised(order: WorkOrder, told: Volumes) -> None:
    for notice in order.oversight.notices:
        if told.since <= notice.issued.at < told.until:
            told.counts.update([("notice", notice.kind), ("unit_notice", notice.unit)])
    for one in order.oversight.instructions:
        if one.recorded is None or one.recorded.at >= told.until:
            continue
        if one.recorded.at >= told.since:
            told.counts.update([("instruction", one.unit)])
        if one.reported is None or one.reported.at >= told.until:
            told.counts.update([("open_instruction", one.unit)])


def _judged(order: WorkOrder, told: Volumes) -> None:
    """Count what the figures of assessment leave out, and the appeals that were filed or decided."""
    quality = order.quality
    if any(told.since <= mark.at < told.until for mark, _ in order.filing.ends):
        if quality.exempt:
            told.counts.update([("exempt", quality.exempt)])
        if quality.reasonable not in ("", Reasonableness.REASONABLE):
            told.counts.update([("unreasonable", quality.reasonable)])
    for one in order.oversight.appeals:
        decided = None if one.decided is None or one.decided.at >= told.until else one.decided.at
        if one.filed.at >= told.until or (decided or told.until) < told.since:
            continue
        upheld, exclusion = (one.upheld, one.exclusion) if decided is not None else (None, "")
        told.appeals.append(
            Appealed(
                order.id,
                one.no,
                order.number,
                one.unit,
                one.indicator,
                one.ground or "",
                one.published_at,
                one.filed.at,
                decided,
                upheld,
                exclusion,
            )
        )


def _at_the_end(case: Case, told: Volumes) -> None:
    """Count how a case stood when the period ended, by what the ledger knew at the position."""
    order, until = case.order, told.until
    if not order.is_open:
        return
    told.counts.update([("open", "" if order.episode is None else order.episode.lead)])
    for clock in case.clocks:
        if clock.due is None or clock.name in _NOBODYS or not clock.running:
            continue
        if clock.due < until:
            told.counts.update([("overdue", clock.unit)])
        elif clock.due <= until + NEXT_DAY:
            told.counts.update([("due_next", clock.unit)])
