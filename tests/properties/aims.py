"""What would make sense in a case at hand: the ordinals it has, the units of the town, days and limits near now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

import msgspec

from domain.state import WorkOrder
from domain.steps.correcting import ProposeCorrection
from domain.steps.filing import RecordDossier
from domain.steps.registration import Register
from domain.terms import (
    SHANGHAI,
    Act,
    Actor,
    Applicant,
    ApplicantKind,
    AssignmentRole,
    Attributes,
    Citation,
    ClockName,
    Confidentiality,
    DemandType,
    Limit,
    LimitUnit,
    RefusalReason,
    Role,
)
from tests.properties.arbitrary import Aim, Maker, is_private, shape_of
from tests.properties.town import Town, person

UNITS = ("G", "E", "E1", "D", "B", "B2", "S")
_TAGS = ("consumer_complaint", "hot_issue", "mediation", "enforcement", "mass_outage", "unfair_competition")
_HOTLINE = frozenset(
    {
        Role.AGENT,
        Role.DISPATCHER,
        Role.HOTLINE_MANAGER,
        Role.QC_REVIEWER,
        Role.REVISITOR,
        Role.SUPERVISOR,
        Role.ARCHIVIST,
        Role.AUDITOR,
        Role.ADMIN,
    }
)


def units_of(order: WorkOrder | None) -> list[str]:
    """Return the units that have to do with a case, those that hold it now more than once."""
    if order is None:
        return []
    units = [a.unit for e in order.episodes for a in e.assignments]
    units += [a.unit for e in order.episodes[-1:] for a in e.assignments if a.ended is None] * 3
    units += [f.unit for f in order.follow_ups] + [n.unit for n in order.oversight.notices]
    units += [w.unit for w in order.oversight.whistles] + [i.unit for i in order.oversight.instructions if i.unit]
    units += [x.to for e in order.episodes[-1:] for x in e.escalations]
    units += [e.lead_parent for e in order.episodes[-1:] if e.lead_parent]
    return [unit for unit in units if unit]


def earlier_hands(order: WorkOrder | None) -> list[str]:
    """Return who did something that another person must decide, or that bars them from judging."""
    if order is None:
        return []
    users = [p.by for p in order.proposals if p.decided is None] * 2 + [user for user, _ in order.signers]
    for episode in order.episodes[-1:]:
        asked = (*episode.returns, *episode.extensions, *episode.disputes, *episode.escalations)
        users += [one.by for one in asked] * 2
    users += [n.replied_by for n in order.oversight.notices if n.open] + [f.done_by for f in order.follow_ups]
    return [user for user in users if user]


def somebody(random: Random, town: Town, order: WorkOrder | None, roles: Sequence[Role]) -> Actor:
    """Return who would give a command: mostly somebody who may, of a unit that has to do with the case."""
    role = random.choice(list(roles)) if roles and random.random() < 0.94 else random.choice(list(Role))
    if role in (Role.CITIZEN, Role.SYSTEM):
        return person(role)
    if role in _HOTLINE:
        known = units_of(order)
        unit = "H" if random.random() < 0.9 or not known else random.choice(known)
    elif role in (Role.COORDINATOR, Role.LEADER):
        unit = "G"
    else:
        known = units_of(order)
        unit = random.choice(known) if known and random.random() < 0.85 else random.choice((*UNITS, "H"))
        unit = town.law.successor(unit, town.now) if random.random() < 0.9 else unit
    if random.random() < 0.03:
        return Actor(user="omni", role=role, unit=unit)  # one who holds every role
    earlier = earlier_hands(order)
    if earlier and random.random() < 0.15:
        return Actor(user=random.choice(earlier), role=role, unit=unit)  # who did the first half of something
    return person(role, unit, 1 if random.random() < 0.75 else 2)


def aims(town: Town, stream: str, kind: type[Act]) -> Mapping[str | tuple[type, str], Aim]:
    """Return what to aim the fields of a command at."""
    state = town.states.get(stream)
    order = state if isinstance(state, WorkOrder) else None
    return {**_plain(town, kind), **_ordinals(town, order), **_of_case(town, order)}


def _last(count: int) -> Aim:
    """Aim at an ordinal: the last most of the time, any other sometimes, one there is not rarely."""

    def aim(random: Random) -> Any:
        if not count or random.random() < 0.05:
            return random.choice((0, 1, count + 1, -1))
        return count if random.random() < 0.7 else random.randrange(1, count + 1)

    return aim


def _maybe(aim: Aim) -> Aim:
    return lambda random: None if random.random() < 0.5 else aim(random)


def _ordinals(town: Town, order: WorkOrder | None) -> dict[str | tuple[type, str], Aim]:
    if order is None:
        return {"proposal": _last(town.law.proposals), "peak": _last(len(town.law.peaks)), "block": _last(1)}
    episode = order.episode
    seen = order.oversight
    return {
        "escalation": _last(len(episode.escalations) if episode else 0),
        "return_no": _last(len(episode.returns) if episode else 0),
        "dispute": _last(len(episode.disputes) if episode else 0),
        "extension": _last(len(episode.extensions) if episode else 0),
        "reply": _last(len(order.replies)),
        "follow_up": _last(len(order.follow_ups)),
        "referral": _last(len(order.referrals)),
        "whistle": _last(len(seen.whistles)),
        "notice": _last(len(seen.notices)),
        "notices": lambda r: tuple(n.no for n in seen.notices[:1]),
        "instruction": _last(len(seen.instructions)),
        "request": _maybe(_last(len(seen.instructions))),
        "decision": _last(len(seen.decisions)),
        "meeting": _maybe(_last(len(seen.meetings))),
        "appeal": _last(len(seen.appeals)),
        "proposal": _last(len(order.proposals)),
        "correction": _last(sum(p.about == "correction" for p in order.proposals)),
        "special_report": _last(sum(p.about == "special_report" for p in order.proposals)),
        "version": _last(order.version),
        "upto": _last(order.version),
        "verified_to": lambda r: town.position if r.random() < 0.95 else r.randrange(200),
        "dossier": lambda r: order.filing.dossiers[-1] if order.filing.dossiers else None,
        "clock": lambda r: r.choice((None, ClockName.HANDLE, r.choice(list(ClockName)))),
        "clock_key": lambda r: "",
        (RecordDossier, "edition"): lambda r: r.choice(("full", "full", "masked")),
    }


def _of_case(town: Town, order: WorkOrder | None) -> dict[str | tuple[type, str], Aim]:
    others = [o.id for o in town.orders.values() if order is None or o.id != order.id]

    def other(random: Random) -> Any:
        return random.choice(others) if others else UUID(int=3)

    def unit(random: Random) -> Any:
        known = units_of(order)
        return random.choice(known) if known and random.random() < 0.4 else random.choice((*UNITS, "H"))

    def few(random: Random) -> tuple[str, ...]:
        return tuple(dict.fromkeys(unit(random) for _ in range(random.choice((0, 0, 1, 2)))))

    def missing(random: Random) -> tuple[str, ...]:
        if order is None or order.episode is None:
            return ()
        return tuple(a.unit for a in order.episode.assignments if a.role is AssignmentRole.CO)

    merge = order.links.merge if order is not None else None
    master = [merge.master] if merge is not None else others
    corrected = _corrected(town, order)
    return {
        "unit": unit,
        "lead": lambda r: unit(r) if r.random() < 0.9 else None,
        "lead_by_hotline": lambda r: r.random() < 0.1,
        "suggested_unit": _maybe(unit),
        "responsible_unit": lambda r: unit(r) if r.random() < 0.6 else "",
        "units": few,
        "accused": lambda r: few(r) if r.random() < 0.3 else (),
        "departments": few,
        "others": few,
        "missing_co": missing,
        "original": other,
        "previous": _maybe(other),
        "duplicate_of": other,
        "master": lambda r: r.choice(master) if master else UUID(int=3),
        "handler": lambda r: person(Role.ORG_HANDLER, unit(r)).user,
        "drafted_by": lambda r: person(Role.ORG_HANDLER, unit(r)).user,
        "items": lambda r: order.supplement[:1] or ("地址",) if order is not None else ("地址",),
        "field": lambda r: r.choice(corrected[0]),
        "new": lambda r: r.choice(corrected[1]),
    }


def _corrected(town: Town, order: WorkOrder | None) -> tuple[list[str], list[str]]:
    """Return the fields and values that a correction may be about."""
    fields, values = ["at"], [town.now.isoformat(), (town.now - timedelta(days=3)).isoformat(), "1", "0", "99", "B", ""]
    if order is not None:
        for entry in town.streams[order.stream][-6:]:
            fields += list(entry.event.__struct_fields__)
    values += ["true", "1850-01-01T00:00:00+08:00", "9999-12-31", "H", "resolved", "nobody"]
    return fields, values


def correction(random: Random, town: Town, stream: str) -> ProposeCorrection:
    """Return a correction of what an entry really says, into something it could have said."""
    entries = town.streams[stream]
    place = random.randrange(len(entries))
    entry = entries[place]
    if random.random() < 0.4:
        first = entries[place - 1].at if place else entry.at - timedelta(days=2)
        last = entries[place + 1].at if place + 1 < len(entries) else town.now
        new = first + (last - first) * random.random()
        return ProposeCorrection(
            version=entry.version, field="at", basis="笔误", old=entry.at.isoformat(), new=new.isoformat()
        )
    field = random.choice(list(entry.event.__struct_fields__) or ["at"])
    value = msgspec.to_builtins(getattr(entry.event, field, None))
    old = value if isinstance(value, str) else "" if value is None else msgspec.json.encode(value).decode()
    maker = Maker(random)
    maker.now = town.now
    shape = next((f.type for f in shape_of(type(entry.event)).fields if f.name == field), None)
    if shape is not None and is_private(shape):
        return ProposeCorrection(version=entry.version, field=field, basis="笔误", old_text="误", new_text="正")
    made = msgspec.to_builtins(maker.value(shape)) if shape is not None else ""
    new = made if isinstance(made, str) else msgspec.json.encode(made).decode()
    return ProposeCorrection(version=entry.version, field=field, basis="笔误", old=old, new=new)


def _plain(town: Town, kind: type[Act]) -> dict[str | tuple[type, str], Aim]:
    def day(random: Random) -> Any:
        return (town.now + timedelta(days=random.choice((0, 1, 3, 10, 40, -1)))).date()

    def soon(random: Random) -> Any:
        return town.now + timedelta(minutes=random.choice((1, 30, 300, 3000, -1)))

    def past(random: Random) -> Any:
        return town.now - timedelta(minutes=random.choice((0, 1, 300, 9000, -1)))

    def attempts(random: Random) -> Any:
        hours = [random.randrange(1, 90) for _ in range(random.choice((3, 4, 2)))]
        return tuple(town.now - timedelta(hours=h) for h in hours)

    def code(random: Random) -> str:
        return random.choice(("K-1", "某处", "C1"))

    codes = ("knowledge_ref", "informed_unit", "exclusion", "task_force", "place", "reference")
    return {
        "by": day,
        "implement_by": day,
        "follow_up_by": day,
        "expected": day,
        "new_date": day,
        "arrive_by": soon,
        "planned_at": soon,
        "until": soon,
        "informed_at": past,
        "held_at": past,
        "arrived_at": past,
        "happened_at": past,
        "published_at": past,
        "external_due": soon,
        "promised_due": soon,
        "attempts": attempts,
        "limit": _limit(town),
        "limits": lambda r: {} if r.random() < 0.4 else {ClockName.HANDLE: _limit(town)(r)},
        "basis": lambda r: Citation(text="条例", article="第3条"),
        "legal_basis": lambda r: Citation(text="条例", article="第3条"),
        "article": lambda r: Citation(text="条例", article="第3条"),
        "attributes": attributes,
        "confidentiality": lambda r: (
            r.choice((Confidentiality.INFORMANT, None, *Confidentiality)) if kind is not Register else ...
        ),
        "involved_units": lambda r: r.choice((0, 0, 0, 1, 2)),
        **dict.fromkeys(codes, code),
        **dict.fromkeys(("consent", "acknowledged", "identity_checked", "reached", "facts_clear"), _mostly),
        **_of_registration(),
        "reason": lambda r: r.choice(list(RefusalReason)) if kind.__name__ in ("Refuse", "ProposeRefusal") else ...,
    }


def _of_registration() -> dict[str | tuple[type, str], Aim]:
    who = Applicant(kind=ApplicantKind.PERSON, name="王五", phone="13800000000")
    stranger = Applicant(kind=ApplicantKind.PERSON)
    return {
        (Register, "title"): lambda r: "路灯不亮",
        (Register, "content"): lambda r: "路灯已坏三天",
        (Register, "applicant"): lambda r: who if r.random() < 0.85 else r.choice((None, stranger)),
        (Register, "anonymous"): lambda r: r.random() < 0.12,
        (Register, "duplicates_seen"): lambda r: (),
        (Register, "reserved"): lambda r: None,
        (Register, "assume_policy"): lambda r: None,
        (Register, "place_bound"): lambda r: r.random() < 0.1,
        (Register, "confidentiality"): lambda r: r.choice((None, *Confidentiality)),
        (Register, "attributes"): attributes,
        (Register, "real_name_with_evidence"): lambda r: r.random() < 0.2,
    }


def _mostly(random: Random) -> bool:
    return random.random() < 0.85


def _limit(town: Town) -> Aim:
    def aim(random: Random) -> Limit:
        how = random.random()
        if how < 0.2:
            return Limit(until=(town.now + timedelta(hours=random.choice((1, 30, 300)))).astimezone(SHANGHAI))
        unit = random.choice((LimitUnit.WORKING_DAYS, LimitUnit.WORKING_DAYS, LimitUnit.NATURAL_DAYS, LimitUnit.HOURS))
        return Limit(amount=random.choice((1, 2, 5, 15)), unit=unit)

    return aim


def attributes(random: Random) -> Attributes:
    """Return attributes of a demand, an ordinary one more often than not."""
    made = Maker(random).make(Attributes)
    tags = (random.choice(_TAGS),) if random.random() < 0.25 else ()
    demand = made.demand_type
    if demand is DemandType.REPORT and random.random() < 0.6:
        demand = DemandType.COMPLAINT
    return Attributes(
        demand_type=demand,
        urgency=made.urgency,
        complexity=made.complexity,
        scale=made.scale,
        domain=made.domain,
        tags=tags,
    )
