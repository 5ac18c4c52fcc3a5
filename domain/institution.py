"""本市. The slow stream of a city: its policies, calendars, peaks, outages, units, roles and share agreements.

One ledger has one such stream. Its fold is `Law`: what every decision, clock and report looks up. Policies, calendars
and outages are acts of two persons (8.12): proposed, then published or rejected; `Law` sees only what is published.
Acts on the case never write here, and nothing here writes into cases: succession, outage, calendar and peak work by
being read.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, ClassVar, Final, assert_never, get_args
from uuid import UUID

import msgspec

from domain import packs, policy, sharing, units
from domain.calendar import CalendarYear, faults
from domain.law import Calendars, KnownYear, Law, NumberBlock, Outage, Peak, Proposal, Publication
from domain.policy import Pack, PolicyError
from domain.refusals import (
    AlreadyFounded,
    BeforeEffect,
    CalendarInvalid,
    CalendarVersion,
    IntervalEmpty,
    NoAdministrator,
    NoRetroactivePeak,
    NoSuchPeak,
    NotFounded,
    OutageScopeUnclear,
    PackOverlap,
    PeakOverlap,
    PolicyInvalid,
    RoleNotAllowed,
    SelfApproval,
    UnknownNumberBlock,
    UnknownPolicy,
    UnknownProposal,
    UnknownUnit,
    UseUnchecked,
    ValidityNotStated,
)
from domain.sharing import (
    EndShareAgreement,
    PublishShareAgreement,
    ShareAgreementEnded,
    ShareAgreementPublished,
    SharingCommand,
    SharingEvent,
)
from domain.terms import (
    Act,
    Actor,
    Citation,
    Code,
    Digest,
    Entry,
    Fact,
    Number,
    Period,
    PolicyRef,
    Private,
    Role,
    Step,
    UnitId,
    Word,
)
from domain.units import GrantRole, Instant, Position, RegisterUnit, UnitCommand, UnitEvent, day_of, day_start

__all__ = ["COMMANDS", "EVENTS", "Command", "Event", "Law", "decide", "evolve"]

STREAM: Final = "institution"


class HashAlgorithm(Word):
    """摘要算法. How the ledger's leaves are hashed; chosen once, at its founding."""

    SHA256 = "sha256", "国际通用算法"
    SM3 = "sm3", "国密算法"  # GB/T 32905


class OutageScope(Word):
    """中断范围."""

    ALL = "all", "全市"
    UNITS = "units", "所列单位"  # the units named, and those below them


# --- events ------------------------------------------------------------------------------------------------------


class CityFounded(Fact, frozen=True, tag="institution.city_founded"):
    """建账. The founding act: whose ledger this is and what its numbers begin with."""

    ledger_id: UUID
    city_code: str
    city_name: str
    hash_algorithm: HashAlgorithm
    hotline_unit: UnitId
    sandbox: bool = False  # for training and for developers: nothing in it concerns anybody, and it may be reset


class PolicyPackProposed(Fact, frozen=True, tag="institution.policy_pack_proposed"):
    """政策提案. A pack, whole, waits for a second person."""

    proposal: int
    pack: Pack
    digest: Digest
    valid_from: date | None = None  # None: always
    replaces: PolicyRef | None = None
    assumed: bool = False


class PolicyPackPublished(Fact, frozen=True, tag="institution.policy_pack_published"):
    """政策发布. A pack, whole, is law here from a day on; an assumed one is known but in force on no day (8.15)."""

    pack: Pack
    digest: Digest
    valid_from: date | None = None  # None: always
    replaces: PolicyRef | None = None  # ends on the eve of `valid_from`
    assumed: bool = False
    proposal: int = 0  # 0: founding act


class PolicyPackRejected(Fact, frozen=True, tag="institution.policy_pack_rejected"):
    """政策提案不予通过."""

    proposal: int
    reason: Private


class CalendarProposed(Fact, frozen=True, tag="institution.calendar_proposed"):
    """日历提案. One version of a year, whole, waits for a second person."""

    proposal: int
    calendar: CalendarYear


class CalendarPublished(Fact, frozen=True, tag="institution.calendar_published"):
    """日历发布. The first version of a year, whole (K11)."""

    calendar: CalendarYear
    proposal: int = 0  # 0: founding act


class CalendarRevised(Fact, frozen=True, tag="institution.calendar_revised"):
    """日历修订. A year as a later notice has it, whole: open clocks follow, stopped ones keep what they knew (K11)."""

    calendar: CalendarYear
    proposal: int = 0  # 0: founding act


class CalendarRejected(Fact, frozen=True, tag="institution.calendar_rejected"):
    """日历提案不予通过."""

    proposal: int
    reason: Private


class PeakModeDeclared(Fact, frozen=True, tag="institution.peak_mode_declared"):
    """话务集中. Orders registered inside [from_at, until) have the longer dispatch limit (R-01)."""

    peak: int
    from_at: Instant
    until: Instant
    reason: Code
    traffic_ref: Code


class PeakModeEnded(Fact, frozen=True, tag="institution.peak_mode_ended"):
    """话务集中结束. Counts for registrations from now on; never shortens a running clock (R-01)."""

    peak: int
    reason: Code = ""


class OutageProposed(Fact, frozen=True, tag="institution.outage_proposed"):
    """中断提案. An outage waits for a second person."""

    proposal: int
    from_at: Instant
    until: Instant
    scope: OutageScope
    basis: Citation
    units: tuple[UnitId, ...] = ()


class OutageDeclared(Fact, frozen=True, tag="institution.outage_declared"):
    """系统中断. Dues inside it do not move; breaches inside it carry `duringOutage` (8.11)."""

    proposal: int
    from_at: Instant
    until: Instant
    scope: OutageScope
    basis: Citation
    units: tuple[UnitId, ...] = ()


class OutageRejected(Fact, frozen=True, tag="institution.outage_rejected"):
    """中断提案不予通过."""

    proposal: int
    reason: Private


class NumberBlockReserved(Fact, frozen=True, tag="institution.number_block_reserved"):
    """预留号段. Order numbers for paper slips while the system is down; the commit carries the numbers given."""

    block: int
    count: int
    reason: Code


class NumbersVoided(Fact, frozen=True, tag="institution.numbers_voided"):
    """号码作废. Reserved numbers that no slip used."""

    block: int
    journal: str
    numbers: tuple[int, ...]
    reason: Code
    unused_checked_at_position: int


Event = (
    CityFounded
    | PolicyPackProposed
    | PolicyPackPublished
    | PolicyPackRejected
    | CalendarProposed
    | CalendarPublished
    | CalendarRevised
    | CalendarRejected
    | PeakModeDeclared
    | PeakModeEnded
    | OutageProposed
    | OutageDeclared
    | OutageRejected
    | NumberBlockReserved
    | NumbersVoided
    | SharingEvent
    | UnitEvent
)

EVENTS: Final[tuple[type[Fact], ...]] = get_args(Event)


# --- commands ----------------------------------------------------------------------------------------------------

_ADMIN: Final = frozenset({Role.ADMIN})
_MANAGER: Final = frozenset({Role.HOTLINE_MANAGER})
_MANAGER_OR_SUPERVISOR: Final = frozenset({Role.HOTLINE_MANAGER, Role.SUPERVISOR})


class ProposePolicy(Act, frozen=True, tag="propose_policy"):
    """提出政策. Propose a pack for publication."""

    roles: ClassVar[frozenset[Role]] = _ADMIN

    pack: Pack
    valid_from: date | None = None  # where the text does not say, or the city adopts it later
    replaces: PolicyRef | None = None
    assumed: bool = False


class ApprovePolicy(Act, frozen=True, tag="approve_policy"):
    """同意政策提案."""

    roles: ClassVar[frozenset[Role]] = _ADMIN

    proposal: int


class RejectPolicy(Act, frozen=True, tag="reject_policy"):
    """不同意政策提案."""

    roles: ClassVar[frozenset[Role]] = _ADMIN

    proposal: int
    reason: Private


class ProposeCalendar(Act, frozen=True, tag="propose_calendar"):
    """提出日历. Propose a year's calendar, or the next version of one already published."""

    roles: ClassVar[frozenset[Role]] = _ADMIN

    calendar: CalendarYear


class ApproveCalendar(Act, frozen=True, tag="approve_calendar"):
    """同意日历提案."""

    roles: ClassVar[frozenset[Role]] = _ADMIN

    proposal: int


class RejectCalendar(Act, frozen=True, tag="reject_calendar"):
    """不同意日历提案."""

    roles: ClassVar[frozenset[Role]] = _ADMIN

    proposal: int
    reason: Private


class DeclarePeak(Act, frozen=True, tag="declare_peak"):
    """宣布话务集中."""

    roles: ClassVar[frozenset[Role]] = _MANAGER

    until: Instant
    reason: Code
    traffic_ref: Code  # the traffic figures it rests on
    from_at: Instant | None = None  # None: now


class EndPeak(Act, frozen=True, tag="end_peak"):
    """结束话务集中."""

    roles: ClassVar[frozenset[Role]] = _MANAGER

    peak: int
    reason: Code = ""


class ProposeOutage(Act, frozen=True, tag="propose_outage"):
    """提出中断. Propose that an outage be declared."""

    roles: ClassVar[frozenset[Role]] = _MANAGER_OR_SUPERVISOR

    from_at: Instant
    until: Instant
    scope: OutageScope
    basis: Citation
    units: tuple[UnitId, ...] = ()


class ApproveOutage(Act, frozen=True, tag="approve_outage"):
    """同意中断提案."""

    roles: ClassVar[frozenset[Role]] = _MANAGER_OR_SUPERVISOR

    proposal: int


class RejectOutage(Act, frozen=True, tag="reject_outage"):
    """不同意中断提案."""

    roles: ClassVar[frozenset[Role]] = _MANAGER_OR_SUPERVISOR

    proposal: int
    reason: Private


class ReserveNumbers(Act, frozen=True, tag="reserve_numbers"):
    """预留号段. Reserve order numbers for paper slips (8.11)."""

    roles: ClassVar[frozenset[Role]] = _MANAGER

    count: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    reason: Code


class VoidNumbers(Act, frozen=True, tag="void_numbers"):
    """作废号码. Void reserved numbers that no slip used; that none was used is looked up by the caller."""

    roles: ClassVar[frozenset[Role]] = _MANAGER

    block: int
    journal: str
    numbers: tuple[int, ...]
    reason: Code
    unused_checked_at_position: Position | None = None


class Found(Act, frozen=True, tag="found"):
    """建账. The founding act by SYSTEM: exempt from the second person, null validity means always (8.12)."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.SYSTEM})

    ledger_id: UUID
    city_code: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2,6}$")]  # what order numbers begin with
    city_name: Code
    hotline: RegisterUnit
    hash_algorithm: HashAlgorithm = HashAlgorithm.SHA256
    units: tuple[RegisterUnit, ...] = ()  # parents before children
    grants: tuple[GrantRole, ...] = ()
    policies: tuple[ProposePolicy, ...] = ()
    calendars: tuple[CalendarYear, ...] = ()
    sandbox: bool = False


Command = (
    Found
    | ProposePolicy
    | ApprovePolicy
    | RejectPolicy
    | ProposeCalendar
    | ApproveCalendar
    | RejectCalendar
    | DeclarePeak
    | EndPeak
    | ProposeOutage
    | ApproveOutage
    | RejectOutage
    | ReserveNumbers
    | VoidNumbers
    | SharingCommand
    | UnitCommand
)

COMMANDS: Final[tuple[type[Act], ...]] = get_args(Command)

Proposed = PolicyPackProposed | CalendarProposed | OutageProposed
Approve = ApprovePolicy | ApproveCalendar | ApproveOutage
Reject = RejectPolicy | RejectCalendar | RejectOutage

_DECIDES: Final[dict[type[Act], type[Proposed]]] = {
    ApprovePolicy: PolicyPackProposed,
    RejectPolicy: PolicyPackProposed,
    ApproveCalendar: CalendarProposed,
    RejectCalendar: CalendarProposed,
    ApproveOutage: OutageProposed,
    RejectOutage: OutageProposed,
}


# --- evolve ------------------------------------------------------------------------------------------------------


def evolve(law: Law | None, entry: Entry) -> Law:
    """Return the law after one more entry of the institution stream. Refuses nothing, looks nothing up elsewhere."""
    event: Event = entry.event
    changed = _evolve(law if law is not None else Law(), event, entry)
    return msgspec.structs.replace(changed, version=entry.version)


def _evolve(law: Law, event: Event, entry: Entry) -> Law:
    replace = msgspec.structs.replace
    match event:
        case CityFounded():
            return replace(
                law,
                ledger_id=event.ledger_id,
                city_code=event.city_code,
                city_name=event.city_name,
                hash_algorithm=event.hash_algorithm,
                sandbox=event.sandbox,
                units=replace(law.units, hotline=event.hotline_unit),
            )
        case PolicyPackProposed() | CalendarProposed() | OutageProposed():
            proposal = Proposal(content=event, by=entry.actor.user, at=entry.at)
            pending = {**law.pending, event.proposal: proposal}
            return replace(law, pending=pending, proposals=max(law.proposals, event.proposal))
        case PolicyPackRejected() | CalendarRejected() | OutageRejected():
            return _decided(law, event.proposal)
        case PolicyPackPublished():
            new = Publication(
                ref=PolicyRef(pack=event.pack.id, digest=event.digest),
                pack=event.pack,
                first=event.valid_from,
                last=event.pack.effective_until,
                assumed=event.assumed,
            )
            policies = law.policies.with_publication(new, event.replaces)
            return replace(_decided(law, event.proposal), policies=policies)
        case CalendarPublished() | CalendarRevised():
            since = day_start(event.calendar.known_from)
            if event.proposal:  # not a founding act: nobody here could count by it before it was published
                since = max(since, entry.at)
            versions = (*law.calendars.versions, KnownYear(since, event.calendar))
            return replace(_decided(law, event.proposal), calendars=Calendars(versions=versions))
        case OutageDeclared():
            outage = Outage(
                from_at=event.from_at,
                until=event.until,
                basis=event.basis,
                units=event.units,
                number=event.proposal,
            )
            return replace(_decided(law, event.proposal), outages=(*law.outages, outage))
        case PeakModeDeclared():
            return replace(law, peaks={**law.peaks, event.peak: Peak(from_at=event.from_at, until=event.until)})
        case PeakModeEnded():
            peak = law.peaks.get(event.peak)
            if peak is None:
                return law
            return replace(law, peaks={**law.peaks, event.peak: replace(peak, ended=entry.at)})
        case NumberBlockReserved() | NumbersVoided():
            return replace(law, blocks=_blocks(law.blocks, event, entry))
        case ShareAgreementPublished() | ShareAgreementEnded():
            return replace(law, agreements=sharing.evolve(law.agreements, event, entry))
        case _:
            return replace(law, units=units.evolve(law.units, event))


def _decided(law: Law, proposal: int) -> Law:
    pending = {number: waiting for number, waiting in law.pending.items() if number != proposal}
    return msgspec.structs.replace(law, pending=pending)


def _blocks(
    blocks: dict[int, NumberBlock], event: NumberBlockReserved | NumbersVoided, entry: Entry
) -> dict[int, NumberBlock]:
    if isinstance(event, NumberBlockReserved):
        numbers = {journal: given for journal, given in entry.numbers.items() if journal.startswith("order/")}
        block = NumberBlock(at=entry.at, reason=event.reason, numbers=numbers)
        return {**blocks, event.block: block}
    held = blocks.get(event.block)
    if held is None:
        return blocks
    voided = held.voided.get(event.journal, frozenset()) | frozenset(event.numbers)
    held = msgspec.structs.replace(held, voided={**held.voided, event.journal: voided})
    return {**blocks, event.block: held}


# --- decide ------------------------------------------------------------------------------------------------------


def decide(law: Law | None, act: Command, actor: Actor, now: datetime) -> list[Step]:
    """Return what follows from a command, or refuse it. `now` is when it was decided or, if imported, happened."""
    if actor.role not in act.roles:
        raise RoleNotAllowed(f"role: {actor.role}", role=actor.role)
    if isinstance(act, Found):
        if law is not None:
            raise AlreadyFounded(law.city_name)
        return _found(act, actor, now)
    if law is None:
        raise NotFounded
    match act:
        case ProposePolicy():
            return [_policy_proposal(law, act)]
        case ProposeCalendar():
            _check_calendar(law, act.calendar, now)
            return [CalendarProposed(proposal=law.proposals + 1, calendar=act.calendar)]
        case ProposeOutage():
            return [_propose_outage(law, act)]
        case ApprovePolicy() | ApproveCalendar() | ApproveOutage():
            return [_approve(law, act, actor, now)]
        case RejectPolicy() | RejectCalendar() | RejectOutage():
            return [_reject(law, act, actor)]
        case DeclarePeak():
            return [_declare_peak(law, act, now)]
        case EndPeak():
            return [_end_peak(law, act, now)]
        case ReserveNumbers():
            return _reserve_numbers(law, act)
        case VoidNumbers():
            return [_void_numbers(law, act)]
        case PublishShareAgreement():
            return [sharing.publish(law.agreements, act, law.units, now)]
        case EndShareAgreement():
            return [sharing.end(law.agreements, act, now)]
        case _:
            return [units.decide(law.units, act, actor, now)]


def _found(act: Found, actor: Actor, now: datetime) -> list[Step]:
    """Check each part of the founding act against what the parts before it made true."""
    law = Law()
    steps: list[Step] = []

    def add(event: Event) -> None:
        nonlocal law
        law = evolve(law, _supposed(law, event, actor, now))
        steps.append(event)

    add(
        CityFounded(
            ledger_id=act.ledger_id,
            city_code=act.city_code,
            city_name=act.city_name,
            hash_algorithm=act.hash_algorithm,
            hotline_unit=act.hotline.unit,
            sandbox=act.sandbox,
        )
    )
    for unit in (act.hotline, *act.units):
        add(units.register(law.units, unit, unit.valid_from, now))
        for grant in act.grants:
            if grant.unit == unit.unit:
                since = day_start(grant.valid_from) if grant.valid_from else None
                add(units.grant(law.units, grant, since, actor, now))
    for grant in act.grants:
        if law.unit(grant.unit) is None:
            raise UnknownUnit(grant.unit, unit=grant.unit)
    units.check_root(law.units, act.hotline.unit, now)
    if not law.units.anybody(Role.ADMIN, now):
        raise NoAdministrator
    for proposed in act.policies:
        add(_publish_policy(_policy_proposal(law, proposed, founding=True)))
    for year in act.calendars:
        _check_calendar(law, year, now)
        add(_publish_calendar(year, 0))
    return steps


def _supposed(law: Law, event: Event, actor: Actor, now: datetime) -> Entry:
    return Entry(event=event, stream=STREAM, version=law.version + 1, position=0, recorded_at=now, actor=actor)


# --- two persons ---


def _policy_proposal(law: Law, act: ProposePolicy, *, founding: bool = False) -> PolicyPackProposed:
    event = PolicyPackProposed(
        proposal=0 if founding else law.proposals + 1,
        pack=act.pack,
        digest=policy.digest(act.pack),
        valid_from=_valid_from(act, founding=founding),
        replaces=act.replaces,
        assumed=act.assumed,
    )
    _check_policy(law, event)
    return event


def _valid_from(act: ProposePolicy, *, founding: bool) -> date | None:
    """Return since when a pack is law here: as its text says, or later; as the city says where the text does not."""
    stated = act.pack.effective_from
    if stated is None:
        if act.valid_from is None and not founding and not act.assumed:
            raise ValidityNotStated(act.pack.id, pack=act.pack.id)
        return act.valid_from
    if act.valid_from is not None and act.valid_from < stated:
        raise BeforeEffect(f"{act.pack.id}: {stated}", pack=act.pack.id)
    return act.valid_from or stated


def _check_policy(law: Law, event: PolicyPackProposed) -> None:
    """Refuse a pack that does not hold together, or that meets another on any day it would be in force."""
    pack, last = event.pack, event.pack.effective_until
    try:
        packs.check(pack, pack.id)
    except PolicyError as error:
        raise PolicyInvalid(str(error), pack=pack.id) from error
    if pack.base:
        raise PolicyInvalid(f"{pack.id}: 只补足其他规则包 a base only fills other packs", pack=pack.id)
    if last is not None and event.valid_from is not None and last < event.valid_from:
        raise IntervalEmpty(f"{pack.id}: {event.valid_from}–{last}")
    if event.replaces is not None and not any(p.ref == event.replaces for p in law.policies.publications):
        raise UnknownPolicy(event.replaces.pack, pack=event.replaces.pack)
    if event.assumed:
        return
    for other in law.policies.publications:
        rivals = other.pack.overlay == pack.overlay and (not pack.overlay or other.pack.id == pack.id)
        # What is replaced must begin no later than its successor: its eve would lie before it.
        ended = other.ref == event.replaces and (other.first or date.min) <= (event.valid_from or date.min)
        if rivals and not ended and other.meets(event.valid_from, last):
            raise PackOverlap(f"{other.ref.pack} {other.first or ''}–{other.last or ''}", pack=other.ref.pack)


def _publish_policy(proposed: PolicyPackProposed) -> PolicyPackPublished:
    return PolicyPackPublished(
        pack=proposed.pack,
        digest=proposed.digest,
        valid_from=proposed.valid_from,
        replaces=proposed.replaces,
        assumed=proposed.assumed,
        proposal=proposed.proposal,
    )


def _check_calendar(law: Law, year: CalendarYear, now: datetime) -> None:
    """Refuse a version that does not hold together, is not the next of its year, or comes from a later notice."""
    if found := faults(year):
        raise CalendarInvalid("; ".join(found), year=year.year)
    held = law.calendars.latest(year.year)
    expected = held.version + 1 if held is not None else 1
    if year.version != expected:
        raise CalendarVersion(f"{year.year}: {expected}", year=year.year, expected=expected)
    if held is not None and year.known_from < held.known_from:
        raise CalendarInvalid(f"known_from {year.known_from} < {held.known_from}", year=year.year)
    if year.known_from > day_of(now):
        raise CalendarInvalid(f"known_from {year.known_from}: 尚未公布 not public yet", year=year.year)


def _publish_calendar(year: CalendarYear, proposal: int) -> CalendarPublished | CalendarRevised:
    if year.version == 1:
        return CalendarPublished(calendar=year, proposal=proposal)
    return CalendarRevised(calendar=year, proposal=proposal)


def _propose_outage(law: Law, act: ProposeOutage) -> OutageProposed:
    if act.until <= act.from_at:
        raise IntervalEmpty(f"{act.from_at.isoformat()}–{act.until.isoformat()}")
    if (act.scope is OutageScope.ALL) == bool(act.units):
        raise OutageScopeUnclear(act.scope)
    for unit in act.units:
        if law.unit(unit) is None:
            raise UnknownUnit(unit, unit=unit)
    return OutageProposed(
        proposal=law.proposals + 1,
        from_at=act.from_at,
        until=act.until,
        scope=act.scope,
        basis=act.basis,
        units=act.units,
    )


def _waiting(law: Law, act: Approve | Reject, actor: Actor) -> Proposed:
    """Return what a proposal of the kind the command means contains. Raises UnknownProposal, SelfApproval."""
    waiting = law.pending.get(act.proposal)
    if waiting is None or not isinstance(waiting.content, _DECIDES[type(act)]):
        raise UnknownProposal(str(act.proposal))
    if waiting.by == actor.user:
        raise SelfApproval(f"user: {actor.user}", user=actor.user)
    return waiting.content


def _approve(law: Law, act: Approve, actor: Actor, now: datetime) -> Event:
    """Publish a proposal, checked again: what was published since counts too."""
    proposed = _waiting(law, act, actor)
    match proposed:
        case PolicyPackProposed():
            _check_policy(law, proposed)
            return _publish_policy(proposed)
        case CalendarProposed():
            _check_calendar(law, proposed.calendar, now)
            return _publish_calendar(proposed.calendar, proposed.proposal)
        case OutageProposed():
            return OutageDeclared(
                proposal=proposed.proposal,
                from_at=proposed.from_at,
                until=proposed.until,
                scope=proposed.scope,
                basis=proposed.basis,
                units=proposed.units,
            )
        case _:
            assert_never(proposed)


def _reject(law: Law, act: Reject, actor: Actor) -> Event:
    proposed = _waiting(law, act, actor)
    match proposed:
        case PolicyPackProposed():
            return PolicyPackRejected(proposal=act.proposal, reason=act.reason)
        case CalendarProposed():
            return CalendarRejected(proposal=act.proposal, reason=act.reason)
        case OutageProposed():
            return OutageRejected(proposal=act.proposal, reason=act.reason)
        case _:
            assert_never(proposed)


# --- peaks and numbers ---


def _declare_peak(law: Law, act: DeclarePeak, now: datetime) -> PeakModeDeclared:
    first = act.from_at or now
    if first < now:
        raise NoRetroactivePeak(first.isoformat())
    if act.until <= first:
        raise IntervalEmpty(f"{first.isoformat()}–{act.until.isoformat()}", field="until")
    for number, peak in law.peaks.items():
        if first < peak.ends and peak.from_at < act.until and peak.from_at < peak.ends:
            raise PeakOverlap(f"{number}: {peak.from_at.isoformat()}–{peak.ends.isoformat()}", peak=number)
    return PeakModeDeclared(
        peak=max(law.peaks, default=0) + 1,
        from_at=first,
        until=act.until,
        reason=act.reason,
        traffic_ref=act.traffic_ref,
    )


def _end_peak(law: Law, act: EndPeak, now: datetime) -> PeakModeEnded:
    peak = law.peaks.get(act.peak)
    if peak is None or peak.ended is not None or now >= peak.until:
        raise NoSuchPeak(str(act.peak))
    return PeakModeEnded(peak=act.peak, reason=act.reason)


def _reserve_numbers(law: Law, act: ReserveNumbers) -> list[Step]:
    block = NumberBlockReserved(block=max(law.blocks, default=0) + 1, count=act.count, reason=act.reason)
    return [block, Number("order", law.city_code, Period.DAY, act.count)]


def _void_numbers(law: Law, act: VoidNumbers) -> NumbersVoided:
    block = law.blocks.get(act.block)
    if block is None or not act.numbers:
        raise UnknownNumberBlock(str(act.block))
    for number in act.numbers:
        if not block.usable(act.journal, number):
            raise UnknownNumberBlock(f"{act.journal} {number}", number=number)
    if act.unused_checked_at_position is None:
        raise UseUnchecked
    return NumbersVoided(
        block=act.block,
        journal=act.journal,
        numbers=tuple(sorted(set(act.numbers))),
        reason=act.reason,
        unused_checked_at_position=act.unused_checked_at_position,
    )
