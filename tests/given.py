"""A small city, and given / when / then for the rules of one order.

    given(dispatched("S0-CHUANYU")).at("2025-06-16 10:00").when(Sign(), by=HANDLER).then(AssignmentSigned)

The city: the hotline's unit `H`; department `E` with bureau `E1`; district `D` with bureaus `B`, `B2` and street `S`;
the government's office `G`. One person for each role, by the names below. `then` folds what was decided, so a chain
tells a whole story; `refused` ends it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from domain import institution
from domain.calendar import CalendarYear, load_calendar
from domain.clocks import Clock, clock_of
from domain.completion import complete
from domain.context import Context
from domain.journals import series
from domain.law import Law
from domain.packs import load_pack
from domain.policy import Option, Pack, ref
from domain.refusals import Refusal, RoleNotAllowed
from domain.state import Assignment, Demand, Episode, Wait, WorkOrder
from domain.terms import (
    SHANGHAI,
    Act,
    Actor,
    AssignmentRole,
    AssignmentState,
    Attachment,
    Attributes,
    Channel,
    Citation,
    ClockName,
    DemandType,
    DispatchType,
    Entry,
    Fact,
    Limit,
    Mark,
    Number,
    OrderState,
    Role,
    Step,
    To,
    UnitKind,
    UnitLevel,
    Urgency,
)
from domain.units import GrantRole, RegisterUnit, RoleGranted, UnitRegistered

DOMAIN = Path(__file__).resolve().parent.parent / "domain"
ORDER = UUID("019777c0-0000-7000-8000-000000000001")
STREAM = f"order:{ORDER}"
BASIS = Citation(text="办理依据", article="第一条")
PROOF = Attachment(digest="sha256:" + "0" * 64, size=1, media_type="image/jpeg")


def at(text: str | datetime) -> datetime:
    """Read `2025-06-16 09:00` as an instant in Shanghai."""
    return text if isinstance(text, datetime) else datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


# ── the people ──────────────────────────────────────────────────────────────────────────────────────────────────────

CITIZEN = Actor(user="citizen", role=Role.CITIZEN)
SYSTEM = Actor(user="system", role=Role.SYSTEM)
AGENT = Actor(user="h-agent", role=Role.AGENT, unit="H")
DISPATCHER = Actor(user="h-dispatcher", role=Role.DISPATCHER, unit="H")
MANAGER = Actor(user="h-manager", role=Role.HOTLINE_MANAGER, unit="H")
REVIEWER = Actor(user="h-reviewer", role=Role.QC_REVIEWER, unit="H")
REVISITOR = Actor(user="h-revisitor", role=Role.REVISITOR, unit="H")
SUPERVISOR = Actor(user="h-supervisor", role=Role.SUPERVISOR, unit="H")
ARCHIVIST = Actor(user="h-archivist", role=Role.ARCHIVIST, unit="H")
AUDITOR = Actor(user="h-auditor", role=Role.AUDITOR, unit="H")
ADMIN = Actor(user="h-admin", role=Role.ADMIN, unit="H")
COORDINATOR = Actor(user="g-coordinator", role=Role.COORDINATOR, unit="G")
LEADER = Actor(user="g-leader", role=Role.LEADER, unit="G")


def handler(unit: str = "B") -> Actor:
    """The unit's handler (承办人)."""
    return Actor(user=f"{unit.lower()}-handler", role=Role.ORG_HANDLER, unit=unit)


def approver(unit: str = "B") -> Actor:
    """The unit's approver (承办单位审核人)."""
    return Actor(user=f"{unit.lower()}-approver", role=Role.ORG_APPROVER, unit=unit)


def management(unit: str = "D") -> Actor:
    """Who decides for the units below (上一级管理单位)."""
    return Actor(user=f"{unit.lower()}-management", role=Role.MGMT_UNIT, unit=unit)


HANDLER, APPROVER, PARENT = handler("B"), approver("B"), management("D")

_UNITS = (
    ("G", "市政府办公厅", UnitLevel.FIRST, UnitKind.GOVERNMENT_OFFICE, "H"),
    ("E", "市城管委", UnitLevel.FIRST, UnitKind.DEPARTMENT, "H"),
    ("E1", "市政处", UnitLevel.SECOND, UnitKind.DEPARTMENT, "E"),
    ("D", "东区", UnitLevel.FIRST, UnitKind.DISTRICT_GOVERNMENT, "H"),
    ("B", "东区住建局", UnitLevel.SECOND, UnitKind.DEPARTMENT, "D"),
    ("B2", "东区水务局", UnitLevel.SECOND, UnitKind.DEPARTMENT, "D"),
    ("S", "河滨街道", UnitLevel.THIRD, UnitKind.STREET, "D"),
)
_STAFF = (AGENT, DISPATCHER, MANAGER, REVIEWER, REVISITOR, SUPERVISOR, ARCHIVIST, AUDITOR, ADMIN, COORDINATOR, LEADER)


# ── the law ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def packs() -> dict[str, Pack]:
    """Every pack the house ships, as written."""
    paths = sorted((DOMAIN / "policies").glob("*.toml"))
    return {pack.id: pack for pack in (load_pack(path.read_text(encoding="utf-8"), path.name) for path in paths)}


@cache
def pack(name: str) -> Pack:
    """A pack as a city publishes it: its gaps filled, S1's figures by the province's (R-09)."""
    if packs()[name].overlay:
        return packs()[name]
    parents = [packs()["SC-2025"]] if name == "S1-CHENGDU" else []
    return complete(packs()[name], *parents, packs()["COMMON"])


@cache
def calendars() -> tuple[CalendarYear, ...]:
    """Every calendar the house ships, in the order of their notices."""
    paths = sorted((DOMAIN / "calendars").glob("*.toml"))
    return tuple(year for path in paths for year in load_calendar(path.read_text(encoding="utf-8"), path.name))


def _founding() -> Iterator[Fact]:
    yield institution.CityFounded(
        ledger_id=UUID(int=1),
        city_code="CD",
        city_name="某市",
        hash_algorithm=institution.HashAlgorithm.SHA256,
        hotline_unit="H",
    )
    registered = ("H", "市12345热线", UnitLevel.HOTLINE, UnitKind.HOTLINE, "")
    for unit, name, level, kind, parent in (registered, *_UNITS):
        yield _fact(RegisterUnit(unit=unit, name=name, level=level, kind=kind, parent=parent))
    organizers = [role(unit) for unit, *_ in _UNITS for role in (handler, approver, management)]
    for who in (*_STAFF, *organizers):
        yield _fact(GrantRole(user=who.user, role=who.role, unit=who.unit))


def _fact(act: RegisterUnit | GrantRole) -> Fact:
    """The event of the same content: at a founding, what is not said since when holds always."""
    told = {name: getattr(act, name) for name in act.__struct_fields__}
    return UnitRegistered(**told) if isinstance(act, RegisterUnit) else RoleGranted(**told)


@cache
def law(*names: str) -> Law:
    """The law of a city with these packs, units and people; every calendar known."""
    made: Law | None = None
    events: list[Fact] = [*_founding()]
    for name in names:
        published = pack(name)
        events.append(institution.PolicyPackPublished(pack=published, digest=ref(published).digest, valid_from=None))
    for year in calendars():
        kind = institution.CalendarPublished if year.version == 1 else institution.CalendarRevised
        events.append(kind(calendar=year))
    for version, event in enumerate(events, 1):
        made = institution.evolve(
            made,
            Entry(
                event=event,
                stream="institution",
                version=version,
                position=version,
                recorded_at=at("2010-01-01 00:00"),
                actor=SYSTEM,
            ),
        )
    assert made is not None
    return made


# ── the steps ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _step(of: type) -> Any:
    """The step that an event or a command belongs to."""
    return sys.modules[of.__module__]


# ── orders to begin with ────────────────────────────────────────────────────────────────────────────────────────────


def registered(pack_name: str = "S0-CHUANYU", when: str = "2025-06-16 08:00", **said: Any) -> WorkOrder:
    """An order that waits for the hotline. `said` changes fields of the order, or of its demand, or its attributes."""
    mark = Mark(at(when), 1)
    about = {k: said.pop(k) for k in list(said) if k in Attributes.__struct_fields__}
    attributes = Attributes(**{"demand_type": DemandType.HELP, **about})
    demand = {k: said.pop(k) for k in list(said) if k in Demand.__struct_fields__}
    return WorkOrder(
        **{
            "id": ORDER,
            "stream": STREAM,
            "version": 1,
            "state": OrderState.AWAITING_DISPATCH,
            "registered": mark,
            "registered_by": AGENT.user,
            "number": "CD20250616-000001",
            "policy": ref(pack(pack_name)),
            "demand": Demand(
                **{
                    "title": "路灯不亮",
                    "category": "市政",
                    "channel": Channel.PHONE,
                    "attributes": attributes,
                    **demand,
                }
            ),
            "attributes": attributes,
            "waits": (Wait(since=mark, cause="registration"),),
            **said,
        }
    )


def dispatched(
    pack_name: str = "S0-CHUANYU",
    when: str = "2025-06-16 09:00",
    *,
    lead: str = "B",
    co: Sequence[str] = (),
    signed: bool = False,
    limit: Limit | None = None,
    reply_required: bool = True,
    **said: Any,
) -> WorkOrder:
    """An order just dispatched to `lead` (empty: the hotline leads itself) and its co-organizers, signed or not."""
    order = registered(pack_name, **said)
    mark = Mark(at(when), 2)
    roles = [(lead, AssignmentRole.LEAD)] * bool(lead) + [(unit, AssignmentRole.CO) for unit in co]
    held = tuple(
        Assignment(
            no=no,
            unit=unit,
            role=role,
            given=mark,
            state=AssignmentState.SIGNED if signed else AssignmentState.PENDING_SIGN,
            signed=mark if signed else None,
            signed_by=handler(unit).user if signed else "",
        )
        for no, (unit, role) in enumerate(roles, 1)
    )
    episode = Episode(
        no=len(order.episodes) + 1,
        round=order.round,
        type=DispatchType.ORDINARY,
        begun=mark,
        by=DISPATCHER.user,
        attributes=order.attributes,
        lead=lead,
        lead_parent=(law(pack_name).parent(lead, mark.at) or "") if lead else "",
        reply_required=reply_required,
        limits={} if limit is None else {ClockName.HANDLE: limit},
        assignments=held,
        first_signed=mark if signed else None,
    )
    waits = tuple(msgspec.structs.replace(w, until=w.until or mark, by=w.by or "dispatched") for w in order.waits)
    state = OrderState.WORKING if signed or not lead else OrderState.DISPATCHED
    return msgspec.structs.replace(order, state=state, waits=waits, episodes=(*order.episodes, episode))


def working(pack_name: str = "S0-CHUANYU", when: str = "2025-06-16 09:00", **said: Any) -> WorkOrder:
    """An order dispatched and signed for at the same moment."""
    return dispatched(pack_name, when, signed=True, **said)


def special(**said: Any) -> WorkOrder:
    """A special-urgent matter of S1 (特殊紧急), just dispatched."""
    return dispatched("S1-CHENGDU", urgency=Urgency.EMERGENCY_LIFE, **said)


# ── given, when, then ───────────────────────────────────────────────────────────────────────────────────────────────


class Case:
    """One order under the law of its pack, at an instant. Every method returns a new one, but for the last word."""

    def __init__(self, order: WorkOrder, law_: Law, now: datetime, *, position: int = 100) -> None:
        self.order = order
        self.law = law_
        self.now = now
        self.position = position
        self.others: dict[str, Any] = {}
        self.entries: tuple[Entry, ...] = ()  # what was folded here, for who names an entry

    def at(self, when: str | datetime) -> Case:
        """The same, later."""
        later = Case(self.order, self.law, at(when), position=self.position)
        later.others, later.entries = self.others, self.entries
        return later

    def beside(self, others: Mapping[str, Any]) -> Case:
        """The same, with other streams to read."""
        same = self.at(self.now)
        same.others = dict(others)
        return same

    def after(self, *events: Fact, by: Actor = SYSTEM, numbers: Mapping[str, tuple[int, ...]] | None = None) -> Case:
        """The same with events folded, all at this instant."""
        order, entries = self.order, self.entries
        for offset, event in enumerate(events, 1):
            entry = Entry(
                event=event,
                stream=order.stream,
                version=order.version + 1,
                position=self.position + offset,
                recorded_at=self.now,
                actor=by,
                numbers=dict(numbers or {}),
            )
            entries = (*entries, entry)
            fold = _step(type(event)).EVOLVES[type(event)]
            order = msgspec.structs.replace(fold(order, event, entry), version=order.version + 1)
        later = Case(order, self.law, self.now, position=self.position + len(events))
        later.others, later.entries = self.others, entries
        return later

    def having(self, **changes: Any) -> Case:
        """The same with fields of the order changed by hand."""
        same = self.at(self.now)
        same.order = msgspec.structs.replace(self.order, **changes)
        return same

    def under(self, **options: Any) -> Case:
        """The same, bound to its pack with these options changed."""
        bound = self.law.rules(self.order.policy).pack
        kept = [option for option in bound.options if option.name not in options]
        changed = [Option(name=name, value=value, basis=BASIS) for name, value in options.items()]
        made = msgspec.structs.replace(bound, options=(*kept, *changed))
        published = institution.PolicyPackPublished(pack=made, digest=ref(made).digest, valid_from=None)
        return self.having(policy=ref(made)).decreed(published)

    def decreed(self, *events: Fact) -> Case:
        """The same under a law changed by these events of the institution, as if recorded long ago."""
        same = self.at(self.now)
        for event in events:
            entry = Entry(
                event=event,
                stream="institution",
                version=same.law.version + 1,
                position=1,
                recorded_at=at("2010-01-02 00:00"),
                actor=SYSTEM,
            )
            same.law = institution.evolve(same.law, entry)
        return same

    def when(self, command: Act, *, by: Actor) -> When:
        """What the command makes happen."""
        return When(self, command, by)

    def does(self, command: Act, *, by: Actor) -> Case:
        """The same after the command, whatever it made happen."""
        return self.when(command, by=by).then()

    def clock(self, name: ClockName, key: str | None = None) -> Clock:
        """The newest clock of that name; there must be one."""
        found = clock_of(self.order, self.law, name, key)
        assert found is not None, f"no {name} clock"
        return found

    def no_clock(self, name: ClockName) -> bool:
        """Whether there is no clock of that name."""
        return clock_of(self.order, self.law, name) is None


class When:
    """A command on its way: what it makes happen, or how it is refused."""

    def __init__(self, case: Case, command: Act, by: Actor) -> None:
        self.case = case
        self.command = command
        self.by = by

    def decide(self) -> list[Step]:
        """What is decided. Raises Refusal."""
        if self.by.role not in self.command.roles:
            raise RoleNotAllowed(self.by.role)
        for stream in getattr(self.command, "reads", tuple)():
            self.case.others.setdefault(stream, None)
        drawn = count(7)
        context = Context(
            actor=self.by,
            now=self.case.now,
            law=self.case.law,
            stream=self.case.order.stream,
            others=self.case.others,
            history=self.case.entries,
            draw=lambda: UUID(int=next(drawn)),
            position=self.case.position,
        )
        return list(_step(type(self.command)).DECIDES[type(self.command)](self.case.order, self.command, context))

    def then(self, *expected: Step | type[Step]) -> Case:
        """Check what was decided, in order, by value or by kind (nothing said: anything), and fold it."""
        decided = self.decide()
        if expected:
            kinds = [type(step) for step in decided]
            assert len(decided) == len(expected), kinds
            for step, wanted in zip(decided, expected, strict=True):
                if isinstance(wanted, type):
                    assert isinstance(step, wanted), kinds
                else:
                    assert step == wanted
        own = [step for step in decided if isinstance(step, Fact)]
        numbers: dict[str, tuple[int, ...]] = {
            f"{step.journal}/{series(step, self.case.now)}": tuple(range(1, step.count + 1))
            for step in decided
            if isinstance(step, Number)
        }
        return self.case.after(*own, by=self.by, numbers=numbers)

    def elsewhere(self) -> list[To]:
        """What is decided for other streams."""
        return [step for step in self.decide() if isinstance(step, To)]

    def refused(self, refusal: type[Refusal]) -> None:
        """Check that the command is refused for exactly this reason."""
        try:
            decided = self.decide()
        except Refusal as raised:
            assert type(raised) is refusal, raised  # noqa: PT017  the kind, not a subclass
        else:
            raise AssertionError(f"not refused but {[type(step).__name__ for step in decided]}")


def given(order: WorkOrder, *events: Fact, by: Actor = SYSTEM) -> Case:
    """One order as it is, under the law of its pack and the consumer overlay, just dispatched or registered."""
    now = order.episodes[-1].begun.at if order.episodes else order.registered.at
    return Case(order, law(order.policy.pack, "CONSUMER-COMPLAINT"), now).after(*events, by=by)
