"""单位. The registry of units and of the people who hold roles in them; the part of the institution stream about it.

`Units` is immutable: every change returns a new registry that shares what did not change. It answers as of any
instant, records what it is told and refuses nothing; `decide` says what may be told.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Annotated, ClassVar, Final, assert_never

import msgspec

from domain.refusals import (
    NoAdministrator,
    NothingChanged,
    OpenTasksUnchecked,
    ParentNotAllowed,
    RoleHeldAlready,
    RoleNotGrantable,
    RoleNotHeld,
    RootWithoutUsers,
    SelfGrant,
    SuccessionUnclear,
    UnitCycle,
    UnitExists,
    UnitInactive,
    UnknownUnit,
)
from domain.terms import (
    SHANGHAI,
    Act,
    Actor,
    Citation,
    Code,
    Fact,
    Medium,
    Private,
    Role,
    Struct,
    UnitId,
    UnitKind,
    UnitLevel,
    UserId,
)

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""An instant with its zone."""

Position = Annotated[int, msgspec.Meta(ge=1)]
"""A position of the ledger."""

BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
"""Before everything: where `valid_from = null` (always) begins."""


def day_start(day: date) -> datetime:
    """Return 00:00 of a day in Shanghai: the first instant at which something valid from that day is valid."""
    return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI)


def day_of(instant: datetime) -> date:
    """Return the day an instant lies in, in Shanghai (K1)."""
    return instant.astimezone(SHANGHAI).date()


# --- events ------------------------------------------------------------------------------------------------------


class DutyContact(Struct, frozen=True):
    """值班联系人. The post of a unit that notices go to: an office, its channel and its telephone, of no private person."""

    post: Code  # 岗位: 值班室
    channel: Medium | None = None  # how papers reach it
    phone: Code | None = None  # of the office, rung up where the channel fails (8.6)

    @property
    def line(self) -> str:
        """The contact as one line."""
        return " ".join(filter(None, (self.post, self.channel and self.channel.zh, self.phone)))


class UnitRegistered(Fact, frozen=True, tag="institution.unit_registered"):
    """单位登记."""

    unit: UnitId
    name: str
    level: UnitLevel
    kind: UnitKind
    parent: UnitId = ""  # empty: a root
    duty_phone: Private | None = None
    valid_from: date | None = None  # None: always
    duty_contact: DutyContact | None = None


class UnitChanged(Fact, frozen=True, tag="institution.unit_changed"):
    """单位变更. What the unit is from a day on, whole; earlier history keeps the name of its day."""

    unit: UnitId
    name: str
    level: UnitLevel
    kind: UnitKind
    parent: UnitId = ""
    duty_phone: Private | None = None
    valid_from: date | None = None  # None: always
    duty_contact: DutyContact | None = None


class UnitSucceeded(Fact, frozen=True, tag="institution.unit_succeeded"):
    """单位承继. Open assignments, notices and promises pass on with clocks unchanged (8.11)."""

    from_units: tuple[UnitId, ...]
    to_units: tuple[UnitId, ...]  # the first takes the open work
    at: Instant
    basis: Citation


class RoleGranted(Fact, frozen=True, tag="institution.role_granted"):
    """授权. Held from an instant on, which after the founding never lies before the grant; None: always."""

    user: UserId
    role: Role
    unit: UnitId
    valid_from: Instant | None = None


class RoleRevoked(Fact, frozen=True, tag="institution.role_revoked"):
    """撤销授权. Held until an instant, which never lies before the revocation."""

    user: UserId
    role: Role
    unit: UnitId
    valid_until: Instant
    open_tasks_passed_to: UserId | None = None
    no_open_tasks_checked_at_position: Position | None = None


UnitEvent = UnitRegistered | UnitChanged | UnitSucceeded | RoleGranted | RoleRevoked


# --- commands ----------------------------------------------------------------------------------------------------

_ADMIN: Final = frozenset({Role.ADMIN})


class RegisterUnit(Act, frozen=True, tag="register_unit"):
    """登记单位. A first-level unit stands under the hotline's unit, also where no parent is said (R-37)."""

    roles: ClassVar[frozenset[Role]] = _ADMIN

    unit: UnitId
    name: Code
    level: UnitLevel
    kind: UnitKind
    parent: UnitId = ""
    duty_phone: Private | None = None
    valid_from: date | None = None  # None: today; at the founding: always
    duty_contact: DutyContact | None = None


class ChangeUnit(Act, frozen=True, tag="change_unit"):
    """变更单位. What is not said stays as it is on that day."""

    roles: ClassVar[frozenset[Role]] = _ADMIN

    unit: UnitId
    name: Code | None = None
    level: UnitLevel | None = None
    kind: UnitKind | None = None
    parent: UnitId | None = None
    duty_phone: Private | None = None
    valid_from: date | None = None  # None: today
    duty_contact: DutyContact | None = None


class SucceedUnits(Act, frozen=True, tag="succeed_units"):
    """单位承继. Units pass their duties to others; of several heirs the first takes the open work."""

    roles: ClassVar[frozenset[Role]] = _ADMIN

    from_units: tuple[UnitId, ...]
    to_units: tuple[UnitId, ...]
    at: Instant
    basis: Citation


class GrantRole(Act, frozen=True, tag="grant_role"):
    """授权."""

    roles: ClassVar[frozenset[Role]] = _ADMIN

    user: UserId
    role: Role
    unit: UnitId
    valid_from: date | None = None  # None: at once; at the founding: always


class RevokeRole(Act, frozen=True, tag="revoke_role"):
    """撤销授权. Who takes over the open tasks, or where in the ledger none were found, is looked up by the caller."""

    roles: ClassVar[frozenset[Role]] = _ADMIN

    user: UserId
    role: Role
    unit: UnitId
    valid_from: date | None = None  # None: at once
    open_tasks_passed_to: UserId | None = None
    no_open_tasks_checked_at_position: Position | None = None


UnitCommand = RegisterUnit | ChangeUnit | SucceedUnits | GrantRole | RevokeRole


# --- the registry ------------------------------------------------------------------------------------------------


class UnitVersion(msgspec.Struct, frozen=True, kw_only=True):
    """What a unit is called and where it stands, from an instant on."""

    since: datetime | None  # None: always
    name: str
    level: UnitLevel
    kind: UnitKind
    parent: UnitId = ""
    duty_phone: Private | None = None
    duty_contact: DutyContact | None = None


class Succession(msgspec.Struct, frozen=True, kw_only=True):
    """单位承继. Where the duties of a unit went; the first heir takes its open work."""

    at: datetime
    to: tuple[UnitId, ...]
    basis: Citation


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """单位. All versions of one unit, the earliest first."""

    id: UnitId
    versions: tuple[UnitVersion, ...]
    succession: Succession | None = None

    def version(self, at: datetime) -> UnitVersion | None:
        """Return the version valid at an instant; None before the first."""
        for version in reversed(self.versions):
            if version.since is None or version.since <= at:
                return version
        return None

    def active(self, at: datetime) -> bool:
        """Tell whether the unit exists at an instant and has not been succeeded."""
        first = self.versions[0].since
        return (first is None or first <= at) and (self.succession is None or at < self.succession.at)

    def revised(self, version: UnitVersion) -> Unit:
        """Return the unit with one more version; of two from the same instant the later recorded stays."""
        kept = [held for held in self.versions if held.since != version.since]
        versions = sorted([*kept, version], key=lambda held: held.since or BEGINNING)
        return msgspec.structs.replace(self, versions=tuple(versions))


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """授权. A role that a person holds in a unit, from an instant (None: always) until another (None: still)."""

    user: UserId
    role: Role
    unit: UnitId
    since: datetime | None
    until: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Tell whether the role is held at an instant."""
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


class Units(msgspec.Struct, frozen=True, dict=True):
    """单位名录. Every unit by its code, and every grant by unit and person."""

    hotline: UnitId = ""
    by_id: dict[UnitId, Unit] = {}
    grants: dict[UnitId, dict[UserId, tuple[Grant, ...]]] = {}

    # --- units ---

    def get(self, unit: UnitId) -> Unit | None:
        """Return a unit by its code."""
        return self.by_id.get(unit)

    def version(self, unit: UnitId, at: datetime) -> UnitVersion | None:
        """Return what a unit was at an instant; None where it was not."""
        held = self.by_id.get(unit)
        return held.version(at) if held is not None else None

    def name(self, unit: UnitId, at: datetime) -> str:
        """Return the name of the day; before the first version the first name, of an unknown unit its code."""
        held = self.by_id.get(unit)
        if held is None:
            return unit
        return (held.version(at) or held.versions[0]).name

    def contact(self, unit: UnitId, at: datetime) -> DutyContact | None:
        """Return where a unit is reached at an instant: of a succeeded one its heir; None where nobody said."""
        version = self.version(self.successor(unit, at), at)
        return None if version is None else version.duty_contact

    def active(self, unit: UnitId, at: datetime) -> bool:
        """Tell whether a unit exists at an instant and has not been succeeded."""
        held = self.by_id.get(unit)
        return held is not None and held.active(at)

    def parent(self, unit: UnitId, at: datetime) -> UnitId | None:
        """Return the unit above at an instant, or the heir of that unit; None at a root and for an unknown unit."""
        version = self.version(unit, at)
        if version is None or not version.parent:
            return None
        return self.successor(version.parent, at)

    def ancestors(self, unit: UnitId, at: datetime) -> Iterator[UnitId]:
        """Yield the units above, the nearest first; each once, even where a damaged import made them a circle."""
        seen: set[UnitId] = set()
        above = self.parent(unit, at)
        while above is not None and above not in seen:
            yield above
            seen.add(above)
            above = self.parent(above, at)

    def is_within(self, unit: UnitId, ancestor: UnitId, at: datetime) -> bool:
        """Tell whether a unit is `ancestor` or stands anywhere below it at an instant."""
        return unit == ancestor or ancestor in self.ancestors(unit, at)

    def successor(self, unit: UnitId, at: datetime) -> UnitId:
        """Return the unit that bears the duties of `unit` at an instant: itself, or the last heir in the chain."""
        seen: set[UnitId] = set()
        while True:
            held = self.by_id.get(unit)
            passed = held.succession if held is not None else None
            if passed is None or at < passed.at or unit in seen or not passed.to:
                return unit
            seen.add(unit)
            unit = passed.to[0]

    def heirs(self, unit: UnitId, at: datetime) -> frozenset[UnitId]:
        """Return a unit and everybody who took over from it until an instant, every heir of a division included."""
        found: set[UnitId] = set()
        waiting = [unit]
        while waiting:
            one = waiting.pop()
            found.add(one)
            held = self.by_id.get(one)
            passed = held.succession if held is not None else None
            if passed is not None and at >= passed.at:
                waiting += [heir for heir in passed.to if heir not in found]
        return frozenset(found)

    def heir_from(self, unit: UnitId) -> datetime | None:
        """Return the last instant at which this unit took over another; None if it never did."""
        into = (u.succession.at for u in self.by_id.values() if u.succession and unit in u.succession.to)
        return max(into, default=None)

    def loops(self, unit: UnitId, since: datetime) -> bool:
        """Tell whether a unit comes to stand above itself at any instant from `since` on."""
        changes = self._placements
        instants = [since, *changes[bisect_right(changes, since) :]]
        return any(unit in self.ancestors(unit, at) for at in instants)

    def is_root(self, unit: UnitId, at: datetime) -> bool:
        """Tell whether a unit stands at the top with others below it; the hotline's own always does."""
        if unit == self.hotline:
            return True
        return self.parent(unit, at) is None and any(self.parent(other, at) == unit for other in self.by_id)

    def deciding_role(self, unit: UnitId) -> Role:
        """Return the role that decides in a unit on behalf of those below it (R-37)."""
        return Role.HOTLINE_MANAGER if unit == self.hotline else Role.MGMT_UNIT

    # --- people ---

    def holders(self, role: Role, unit: UnitId, at: datetime) -> tuple[UserId, ...]:
        """Return who holds a role in a unit at an instant, in the order of their first grant."""
        people = self.grants.get(unit, {})
        return tuple(u for u, held in people.items() if any(g.role is role and g.holds(at) for g in held))

    def has_role(self, user: UserId, role: Role, unit: UnitId, at: datetime) -> bool:
        """Tell whether a person holds a role in a unit at an instant."""
        held = self.grants.get(unit, {}).get(user, ())
        return any(grant.role is role and grant.holds(at) for grant in held)

    def anybody(self, role: Role, at: datetime) -> bool:
        """Tell whether anybody in any unit holds a role at an instant."""
        return any(self.holders(role, unit, at) for unit in self.grants)

    def open_grant(self, user: UserId, role: Role, unit: UnitId) -> Grant | None:
        """Return the grant that nobody has ended yet."""
        held = self.grants.get(unit, {}).get(user, ())
        return next((g for g in held if g.role is role and g.until is None), None)

    # --- time ---

    @cached_property
    def boundaries(self) -> list[datetime]:
        """Every instant at which an answer changes: versions, successions, grants; ascending."""
        found = set(self._placements)
        for people in self.grants.values():
            for held in people.values():
                for grant in held:
                    found.update(instant for instant in (grant.since, grant.until) if instant is not None)
        return sorted(found)

    @cached_property
    def _placements(self) -> list[datetime]:
        found: set[datetime] = set()
        for unit in self.by_id.values():
            found.update(version.since for version in unit.versions if version.since is not None)
            if unit.succession is not None:
                found.add(unit.succession.at)
        return sorted(found)

    def next_change(self, at: datetime) -> datetime | None:
        """Return the first instant after `at` from which any answer about units or roles may differ."""
        place = bisect_right(self.boundaries, at)
        return self.boundaries[place] if place < len(self.boundaries) else None

    # --- changes ---

    def with_version(self, unit: UnitId, version: UnitVersion) -> Units:
        """Return the registry with a unit's first or further version."""
        held = self.by_id.get(unit)
        revised = held.revised(version) if held is not None else Unit(id=unit, versions=(version,))
        return msgspec.structs.replace(self, by_id={**self.by_id, unit: revised})

    def with_succession(self, units: tuple[UnitId, ...], succession: Succession) -> Units:
        """Return the registry in which `units` have passed on their duties."""
        passed = {
            unit: msgspec.structs.replace(self.by_id[unit], succession=succession)
            for unit in units
            if unit in self.by_id
        }
        return msgspec.structs.replace(self, by_id={**self.by_id, **passed})

    def with_grant(self, grant: Grant) -> Units:
        """Return the registry with one more grant."""
        people = self.grants.get(grant.unit, {})
        held = (*people.get(grant.user, ()), grant)
        return self._granted(grant.unit, grant.user, held)

    def without_grant(self, user: UserId, role: Role, unit: UnitId, until: datetime) -> Units:
        """Return the registry in which a person's open grant of a role ends at an instant."""
        held = tuple(
            msgspec.structs.replace(g, until=until) if g.role is role and g.until is None else g
            for g in self.grants.get(unit, {}).get(user, ())
        )
        return self._granted(unit, user, held)

    def _granted(self, unit: UnitId, user: UserId, held: tuple[Grant, ...]) -> Units:
        people = {**self.grants.get(unit, {}), user: held}
        return msgspec.structs.replace(self, grants={**self.grants, unit: people})


# --- evolve ------------------------------------------------------------------------------------------------------


def evolve(units: Units, event: UnitEvent) -> Units:
    """Return the registry after one more event. Refuses nothing."""
    match event:
        case UnitRegistered() | UnitChanged():
            return units.with_version(event.unit, _version_of(event))
        case UnitSucceeded():
            succession = Succession(at=event.at, to=event.to_units, basis=event.basis)
            return units.with_succession(event.from_units, succession)
        case RoleGranted():
            granted = Grant(user=event.user, role=event.role, unit=event.unit, since=event.valid_from)
            return units.with_grant(granted)
        case RoleRevoked():
            return units.without_grant(event.user, event.role, event.unit, event.valid_until)
        case _:
            assert_never(event)


def _version_of(event: UnitRegistered | UnitChanged) -> UnitVersion:
    return UnitVersion(
        since=day_start(event.valid_from) if event.valid_from else None,
        name=event.name,
        level=event.level,
        kind=event.kind,
        parent=event.parent,
        duty_phone=event.duty_phone,
        duty_contact=event.duty_contact,
    )


# --- decide ------------------------------------------------------------------------------------------------------

_RANK: Final = {UnitLevel.HOTLINE: 0, UnitLevel.FIRST: 1, UnitLevel.SECOND: 2, UnitLevel.THIRD: 3}


def decide(units: Units, act: UnitCommand, actor: Actor, now: datetime) -> UnitEvent:
    """Return what follows from a command about units or roles. What has no `valid_from` is valid from today."""
    match act:
        case RegisterUnit():
            return register(units, act, act.valid_from or day_of(now), now)
        case ChangeUnit():
            return _change(units, act, now)
        case SucceedUnits():
            return _succeed(units, act)
        case GrantRole():
            since = max(day_start(act.valid_from), now) if act.valid_from else now
            return grant(units, act, since, actor, now)
        case RevokeRole():
            return _revoke(units, act, now)
        case _:
            assert_never(act)


def register(units: Units, act: RegisterUnit, valid_from: date | None, now: datetime) -> UnitRegistered:
    """Register a unit; None: it has always been there, which only the founding act says."""
    if units.get(act.unit) is not None:
        raise UnitExists(act.unit, unit=act.unit)
    parent = act.parent or (units.hotline if act.level is UnitLevel.FIRST else "")
    event = UnitRegistered(
        unit=act.unit,
        name=act.name,
        level=act.level,
        kind=act.kind,
        parent=parent,
        duty_phone=act.duty_phone,
        duty_contact=act.duty_contact,
        valid_from=valid_from,
    )
    _check_place(units, event, now)
    return event


def _change(units: Units, act: ChangeUnit, now: datetime) -> UnitChanged:
    valid_from = act.valid_from or day_of(now)
    start = day_start(valid_from)
    held = _active(units, act.unit, start).version(start)
    if held is None:
        raise AssertionError("an active unit has a version")
    event = UnitChanged(
        unit=act.unit,
        name=held.name if act.name is None else act.name,
        level=held.level if act.level is None else act.level,
        kind=held.kind if act.kind is None else act.kind,
        parent=units.successor(held.parent, start) if act.parent is None else act.parent,
        duty_phone=held.duty_phone if act.duty_phone is None else act.duty_phone,
        duty_contact=held.duty_contact if act.duty_contact is None else act.duty_contact,
        valid_from=valid_from,
    )
    if msgspec.structs.replace(_version_of(event), since=held.since) == held:
        raise NothingChanged(act.unit)
    _check_place(units, event, now)
    return event


def _check_place(units: Units, event: UnitRegistered | UnitChanged, now: datetime) -> None:
    """Refuse a unit that would stand where its level does not belong (R-37), or below itself."""
    rank = _RANK.get(event.level)
    if event.unit == units.hotline:
        if event.level is not UnitLevel.HOTLINE or event.parent:
            raise ParentNotAllowed("热线管理机构 the hotline's unit is the root", unit=event.unit)
        return
    if event.level is UnitLevel.HOTLINE:
        raise ParentNotAllowed("热线管理机构只有一个 there is one hotline unit", unit=event.unit)
    if event.level is UnitLevel.FIRST and event.parent != units.hotline:
        raise ParentNotAllowed("一级承办单位的上级为热线管理机构 first level: under the hotline", unit=event.unit)
    if not event.parent:
        if rank is not None:
            raise ParentNotAllowed("须有上级单位 a parent is needed", unit=event.unit)
        return
    start = day_start(event.valid_from) if event.valid_from else now
    when = max(start, now)
    above = _active(units, event.parent, when).version(when)
    if above is not None and rank is not None and _RANK.get(above.level, 0) > rank:
        raise ParentNotAllowed(f"{above.level} < {event.level}", unit=event.unit)
    if isinstance(event, UnitChanged):  # nothing stands below a unit that was not there before
        changed = units.with_version(event.unit, _version_of(event))
        if changed.loops(event.unit, start):
            raise UnitCycle(f"{event.unit} → {event.parent}", unit=event.unit)
    check_root(units, event.parent, when)


def check_root(units: Units, unit: UnitId, at: datetime) -> None:
    """Refuse to hang a unit below a root in which nobody decides (R-37). Raises RootWithoutUsers."""
    if units.parent(unit, at) is None and not units.holders(units.deciding_role(unit), unit, at):
        raise RootWithoutUsers(f"{unit}: {units.deciding_role(unit)}", unit=unit)


def _succeed(units: Units, act: SucceedUnits) -> UnitSucceeded:
    named = (*act.from_units, *act.to_units)
    if not act.from_units or not act.to_units or len(set(named)) != len(named):
        raise SuccessionUnclear("from_units, to_units")
    if units.hotline in act.from_units:
        raise SuccessionUnclear("热线管理机构变更用 change_unit the hotline's unit is changed, not succeeded")
    for unit in act.from_units:
        held = _active(units, unit, act.at)
        taken = units.heir_from(unit)
        if held.succession is not None or (taken is not None and taken >= act.at):
            raise UnitInactive(f"{unit}: 另有承继 already part of another succession", unit=unit)
    for unit in act.to_units:
        _active(units, unit, act.at)
    succession = Succession(at=act.at, to=act.to_units, basis=act.basis)
    after = units.with_succession(act.from_units, succession)
    for unit in after.by_id:  # also where the heir passes its duties on later, to a unit that stands below it then
        if after.loops(unit, act.at):
            raise UnitCycle(f"{unit}: 先变更隶属关系 move it from below first", unit=unit)
    return UnitSucceeded(from_units=act.from_units, to_units=act.to_units, at=act.at, basis=act.basis)


def grant(units: Units, act: GrantRole, since: datetime | None, actor: Actor, now: datetime) -> RoleGranted:
    """Grant a role; None: it has always been held, which only the founding act says."""
    if act.role in (Role.SYSTEM, Role.CITIZEN):
        raise RoleNotGrantable(act.role, role=act.role)
    if act.role is Role.HOTLINE_MANAGER and act.unit != units.hotline:
        raise RoleNotGrantable(f"{act.role}: 只在热线管理机构 in the hotline's unit only", role=act.role)
    if act.user == actor.user:
        raise SelfGrant(act.user)
    _active(units, act.unit, max(since or now, now))
    if units.open_grant(act.user, act.role, act.unit) is not None:
        raise RoleHeldAlready(f"{act.user} {act.role} {act.unit}")
    return RoleGranted(user=act.user, role=act.role, unit=act.unit, valid_from=since)


def _revoke(units: Units, act: RevokeRole, now: datetime) -> RoleRevoked:
    held = units.open_grant(act.user, act.role, act.unit)
    if held is None:
        raise RoleNotHeld(f"{act.user} {act.role} {act.unit}")
    end = max(day_start(act.valid_from), now) if act.valid_from else now
    if held.since is not None and end < held.since:
        raise RoleNotHeld(f"{act.user} {act.role} {act.unit}: {day_of(held.since)}")
    heir, position = act.open_tasks_passed_to, act.no_open_tasks_checked_at_position
    if heir is None and position is None:
        raise OpenTasksUnchecked(act.user)
    if heir is not None and (heir == act.user or not units.has_role(heir, act.role, act.unit, end)):
        raise OpenTasksUnchecked(f"{heir}: 没有此角色 does not hold this role", user=heir)
    left = units.without_grant(act.user, act.role, act.unit, end)
    if act.role is units.deciding_role(act.unit) and units.is_root(act.unit, end):
        check_root(left, act.unit, end)
    if act.role is Role.ADMIN and not left.anybody(Role.ADMIN, end):
        raise NoAdministrator(act.user)
    return RoleRevoked(
        user=act.user,
        role=act.role,
        unit=act.unit,
        valid_until=end,
        open_tasks_passed_to=heir,
        no_open_tasks_checked_at_position=position,
    )


def _active(units: Units, unit: UnitId, at: datetime) -> Unit:
    held = units.get(unit)
    if held is None:
        raise UnknownUnit(unit, unit=unit)
    if not held.active(at):
        raise UnitInactive(f"{unit} {day_of(at)}", unit=unit)
    return held
