"""Clocks beside handling: of merged cases, other platforms, the statutes, oversight, promises and the archive."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import msgspec

from domain.clocks.case import Case, between, class_at, ended_by, first_of, lead_at
from domain.clocks.clock import Clock, Move, Why
from domain.clocks.handling import handle_clock
from domain.policy import ClassRule, ClockRule, LimitSource, Rules
from domain.state import Episode, Merge, Notice, WorkOrder
from domain.terms import ClockName, Limit, Mark, OrderState, UnitId
from domain.units import day_start

# Bound once: looking a member up on its Enum costs more than a whole step of a clock's derivation.
_APPEAL: Final = ClockName.APPEAL
_APPEAL_DECISION: Final = ClockName.APPEAL_DECISION
_ARRIVE_SITE: Final = ClockName.ARRIVE_SITE
_CITIZEN_REPLY: Final = ClockName.CITIZEN_REPLY
_EXTERNAL: Final = ClockName.EXTERNAL
_FOLLOW_UP: Final = ClockName.FOLLOW_UP
_HANDLE: Final = ClockName.HANDLE
_INSTRUCTION: Final = ClockName.INSTRUCTION
_SEAL: Final = ClockName.SEAL
_SITE_RECORD: Final = ClockName.SITE_RECORD
_STATUTORY: Final = ClockName.STATUTORY
_SUPV_REPLY: Final = ClockName.SUPV_REPLY
_WHISTLE: Final = ClockName.WHISTLE
_RELATIVE: Final = LimitSource.RELATIVE


def merged_clocks(case: Case) -> None:
    """CITIZEN_REPLY of each time the order followed another: it keeps the due instant that it had (R-29).

    While it runs, that is read anew, as the due instant of its own handling would be (K11).
    """
    rule, links = case.rules.clocks.get(_CITIZEN_REPLY), case.order.links
    for number, merge in enumerate((*links.earlier_merges, links.merge), 1):
        if merge is None or rule is None:
            continue
        own = _own_handling(case, merge)
        cause = next((str(kind) for at, kind in case.order.filing.closures if at == merge.undone), "unmerged")
        if own is not None and own.due is not None:
            limit = Limit(until=own.due)
        else:
            of_class = class_at(case, merge.at)
            limit = case.rules.limit(_HANDLE, of_class) if of_class is not None else None
        key = f"m{number}"
        clock = case.make(rule, key, "", merge.at, limit, merge.told, merge.undone, cause, "", _RELATIVE)
        if own is not None and own.provisional:
            clock = msgspec.structs.replace(clock, provisional=True)
        case.found.append(clock)


def _own_handling(case: Case, merge: Merge) -> Clock | None:
    """Return the handling that a merge cut short, as if it had gone on; None where it cut none short."""
    for e in reversed(case.order.episodes):
        if e.begun < merge.at and (e.ended is None or e.ended >= merge.at):
            of_class = case.rules.class_of(e.attributes)
            if of_class is None:
                return None
            return handle_clock(case, e, of_class, case.rules.plan(of_class), merge.told, merge.undone)
    return None


def external_clock(case: Case) -> None:
    demand, rule = case.order.demand, case.rules.clocks.get(_EXTERNAL)
    until = demand.external_due or demand.promised_due
    if until is None or rule is None:
        return
    closed = case.closures[0][0] if case.closures else None
    stop = first_of(case.order.replies[0].submitted if case.order.replies else None, closed)
    if stop is None and case.order.state is OrderState.NOT_ACCEPTED and case.order.waits:
        stop = case.order.waits[-1].until
    # Whoever answered it, else who has it now, or had it when it ended: while nobody has it, the hotline.
    unit = case.order.replies[0].unit if case.order.replies else _holder(case.order, stop)
    case.add(rule, "x1", unit, case.order.registered, Limit(until=until), stop)


def _holder(order: WorkOrder, moment: Mark | None) -> UnitId:
    """Return who led the order at a moment; None: who leads it now."""
    if moment is None:
        return order.lead
    running = (e for e in order.episodes if e.begun <= moment and (e.ended is None or e.ended >= moment))
    return next((lead_at(e, moment) for e in running), "")


def statutory_clocks(case: Case) -> None:
    """The overlays that bind beside the city's pack (R-28); not movable by the hotline."""
    for overlay in case.law.overlays(case.order.registered.at):
        rule = overlay.clocks.get(_STATUTORY)
        if rule is None:
            continue
        told: Mark | None = None
        for e in case.order.episodes:
            if told is not None and told <= e.begun:
                break  # the statute asks that the applicant be told once; a new round asks it of nobody again
            told = e.informed_acceptance
            for no, (since, until, of_class) in enumerate(_spans(case, overlay, e), 1):
                if told is not None and told < since:
                    continue
                key = f"e{e.no}" if no == 1 else f"e{e.no}.{no}"
                stop = told if until is None or (told is not None and told <= until) else None
                cancel, cause = (e.ended, e.ended_as) if until is None else (until, "reclassification")
                stop, cancel = ended_by(stop, cancel)
                ended = "published" if any(r.submitted == stop for r in case.order.replies) else ""
                limit, name = overlay.limit(_STATUTORY, of_class), of_class.name
                unit = lead_at(e, stop or cancel)
                clock = case.make(rule, key, unit, e.begun, limit, stop, cancel, cause, name, None, "", ended)
                clock = msgspec.structs.replace(clock, rules=overlay)
                case.found.append(_not_before(case, clock, since))


def _spans(case: Case, overlay: Rules, e: Episode) -> list[tuple[Mark, Mark | None, ClassRule]]:
    """Return when an overlay applied to an episode: from and, where a reclassification ended it, until.

    It ends there and is not gone: what was late by then stays late (K15).
    """
    spans: list[tuple[Mark, Mark | None, ClassRule]] = []
    held, since = overlay.class_of(e.attributes), e.begun
    for change in between(case.changes, e.begun, e.ended):
        new = overlay.class_of(change.after)
        if (new is None) is (held is None):
            continue
        if held is not None:
            spans.append((since, change.at, held))
        held, since = new, change.at
    if held is not None:
        spans.append((since, None, held))
    return spans


def _not_before(case: Case, clock: Clock, since: Mark) -> Clock:
    """Return a clock that runs from the dispatch, due no sooner than anybody knew that it applies.

    Found out later, the statute still counts from when the department received the complaint; but where its limit had
    ended by then, it is counted from the finding: nobody becomes late retroactively (8.5).
    """
    if clock.due is None or clock.limit is None or clock.due >= since.at:
        return clock
    later = case.calendar(clock.stop or clock.cancel).due(since.at, clock.limit, case.kernel)
    move = Move(since, Why.RECLASSIFIED, clock.due, later.at, since.at, clock.limit, False, clock.of_class)
    return msgspec.structs.replace(clock, due=later.at, moves=(move,), provisional=later.provisional)


def _notices(case: Case) -> None:
    reply, arrive = case.rules.clocks.get(_SUPV_REPLY), case.rules.clocks.get(_ARRIVE_SITE)
    record = case.rules.clocks.get(_SITE_RECORD)
    for n in case.order.oversight.notices:
        turns = (*n.earlier, (n.served, n.replied, n.limit))
        if reply is not None:
            for turn, (served, replied, limit) in enumerate(turns, 1):
                if served is None or limit is None:
                    continue
                cancel = n.closed if replied is None and turn == len(turns) else None
                told_by = _since_told(limit, served)
                case.add(reply, f"n{n.no}.{turn}", n.unit, served, told_by, replied, cancel, str(n.state))
        told = next((served for served, _, _ in turns if served is not None), None)
        if arrive is not None and n.arrive_by is not None and told is not None:
            stop, cancel = ended_by(n.arrived, first_of(n.closed, case.closed_after(told)))
            limit = _since_told(Limit(until=n.arrive_by), told)
            cause = str(n.state) if cancel is n.closed else "closed"
            case.add(arrive, f"n{n.no}", n.unit, told, limit, stop, cancel, cause)
        if record is not None and n.arrived is not None:
            _site_record(case, record, n)


def _since_told(limit: Limit, told: Mark) -> Limit:
    """Return a written limit as it binds whoever is told of it: nobody is late before they were told (8.6)."""
    return limit if limit.until is None or limit.until >= told.at else Limit(until=told.at)


def _site_record(case: Case, rule: ClockRule, n: Notice) -> None:
    of_class = class_at(case, n.arrived) if n.arrived is not None else None
    if of_class is None or n.arrived is None:
        return
    limit = case.rules.limit(_SITE_RECORD, of_class)
    stop, cancel = ended_by(n.site_recorded, first_of(n.closed, case.closed_after(n.arrived)))
    cause = str(n.state) if cancel is n.closed else "closed"
    case.add(rule, f"n{n.no}", n.unit, n.arrived, limit, stop, cancel, cause, of_class.name)


def oversight_clocks(case: Case) -> None:
    seen, clocks = case.order.oversight, case.rules.clocks
    if seen.notices:
        _notices(case)
    whistle, instruct = clocks.get(_WHISTLE), clocks.get(_INSTRUCTION)
    for w in seen.whistles if whistle is not None else ():
        known = 0 < w.episode <= len(case.order.episodes)
        cancel, cause = None, ""
        if known:
            cancel, cause = case.order.episodes[w.episode - 1].ended, case.order.episodes[w.episode - 1].ended_as
        assert whistle is not None
        stop, cancel = ended_by(w.answered, cancel)
        case.add(whistle, f"h{w.no}", w.unit, w.blown, Limit(until=w.arrive_by), stop, cancel, cause)
    for i in seen.instructions if instruct is not None else ():
        if i.recorded is not None and i.limit is not None:
            assert instruct is not None
            case.add(instruct, f"i{i.no}", i.unit, i.recorded, i.limit, i.reported)
    for a in seen.appeals:
        of_class = class_at(case, a.filed)
        if of_class is None:
            continue
        window, decision = clocks.get(_APPEAL), clocks.get(_APPEAL_DECISION)
        if window is not None:
            start = Mark(a.published_at, a.filed.position)
            case.add(window, f"a{a.no}", a.unit, start, case.rules.limit(window.name, of_class), a.filed)
        if decision is not None:
            case.add(decision, f"a{a.no}", "", a.filed, case.rules.limit(decision.name, of_class), a.decided)


def later_clocks(case: Case) -> None:
    follow_up, seal = case.rules.clocks.get(_FOLLOW_UP), case.rules.clocks.get(_SEAL)
    for f in case.order.follow_ups if follow_up is not None else ():
        assert follow_up is not None
        end_of_day = day_start(f.implement_by + timedelta(days=1))  # the day of the city (K1)
        case.add(follow_up, f"f{f.no}", f.unit, f.promised, Limit(until=end_of_day), f.done)
    filing = case.order.filing
    if seal is not None and filing.filed is not None:
        of_class = class_at(case, filing.filed)
        if of_class is not None:
            case.add(seal, "s1", "", filing.filed, case.rules.limit(_SEAL, of_class), filing.sealed)
