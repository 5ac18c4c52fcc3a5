"""A whole small ledger in memory: a city's law, its orders, and whoever acts on them, as the door would let them.

A `Town` is immutable; what happens makes another one. Texts are sealed before a rule sees them, numbers on paper are
given, positions are dense, and every event passes through its stored form on its way into the state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from functools import cache
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from domain import institution, order
from domain.context import Context
from domain.journals import series
from domain.kinds import KINDS
from domain.law import Law
from domain.policy import Option, Pack, ref
from domain.sealing import rewrite, walk_fields
from domain.state import WorkOrder
from domain.stored import Codec, tag
from domain.terms import Act, Actor, Applicant, Entry, Fact, Number, Role, Sealed, Step, To
from tests import given

PACKS = ("S0-CHUANYU", "S1-CHENGDU", "S2-CHONGQING-MPT", "S3-NATIONAL", "S4-BEIJING")
MAIN = f"order:{UUID(int=1)}"
CODEC = Codec(KINDS)
BY_NAME = {kind.name: kind for kind in KINDS}


class Deed(NamedTuple):
    """What somebody asked for, and when: all that is needed to tell a case again."""

    at: datetime
    stream: str
    actor: Actor
    act: Act

    def __repr__(self) -> str:
        who = f"{self.actor.role}:{self.actor.user}@{self.actor.unit}"
        return f"{self.at:%Y-%m-%d %H:%M:%S.%f} …{self.stream[-4:]} {who} {shown(self.act)}"


def shown(value: Any) -> str:
    """Show a value in few words: of a struct only what differs from its defaults."""
    match value:
        case msgspec.Struct():
            fields, defaults = value.__struct_fields__, value.__struct_defaults__
            known = dict(zip(fields[len(fields) - len(defaults) :], defaults, strict=True))
            said = [
                f"{f}={shown(v)}" for f in fields if (v := getattr(value, f)) != known.get(f, ...) and v not in ((), {})
            ]
            return f"{type(value).__name__}({', '.join(said)})"
        case Enum() | UUID() | date():
            return str(value)
        case tuple():
            return f"({', '.join(shown(one) for one in value)})"
        case dict():
            return f"{{{', '.join(f'{shown(k)}: {shown(v)}' for k, v in value.items())}}}"
        case _:
            return repr(value)


class Answer(NamedTuple):
    """What a deed made happen, and until when the decision would be the same."""

    steps: Sequence[Step]
    fence: datetime | None


class _Sealer:
    """Seals as the door does, without keys: what a rule reads of a text is that there is one."""

    def text(self, value: str | Sealed, path: str) -> str | Sealed:
        return Sealed(key="k", box=f"{path}:·")

    def applicant(self, value: Applicant, path: str) -> Applicant:
        return msgspec.structs.replace(walk_fields(value, path, self), subject=UUID(int=7))


@cache
def law_under(pack_name: str, options: tuple[tuple[str, Any], ...] = ()) -> Law:
    """Return the law of the city under a pack, with some of its options decided otherwise."""
    found = given.law(pack_name, "CONSUMER-COMPLAINT")
    if not options:
        return found
    pack = given.pack(pack_name)
    changed = {name: msgspec.to_builtins(value) for name, value in options}
    kept = [option for option in pack.options if option.name not in changed]
    made = msgspec.structs.replace(
        pack, options=(*kept, *(Option(name=n, value=v, basis=given.BASIS) for n, v in changed.items()))
    )
    return _published(found, made)


def _published(law: Law, pack: Pack) -> Law:
    event = institution.PolicyPackPublished(
        pack=pack, digest=ref(pack).digest, valid_from=None, replaces=law.policy_at(given.at("2025-01-01"))
    )
    return institution.evolve(
        law,
        Entry(
            event=event,
            stream="institution",
            version=law.version + 1,
            position=1,
            recorded_at=given.at("2010-01-02"),
            actor=given.SYSTEM,
        ),
    )


class Town(NamedTuple):
    """A ledger at an instant."""

    law: Law
    now: datetime
    position: int = 100
    drawn: int = 1000
    numbers: int = 1
    streams: Mapping[str, tuple[Entry, ...]] = {}
    states: Mapping[str, Any] = {}

    @property
    def orders(self) -> dict[str, WorkOrder]:
        """Every order there is, by stream."""
        return {stream: state for stream, state in self.states.items() if isinstance(state, WorkOrder)}

    def order(self, stream: str) -> WorkOrder:
        """Return one order."""
        found = self.states[stream]
        assert isinstance(found, WorkOrder)
        return found

    def at(self, when: datetime) -> Town:
        """The same, later; time does not go back."""
        return self._replace(now=max(self.now, when))

    def decide(self, stream: str, actor: Actor, act: Act, *, when: datetime | None = None) -> Answer:
        """Return what would happen. Raises Refusal."""
        act = rewrite(act, _Sealer())
        reads = getattr(act, "reads", tuple)()
        drawn = count(self.drawn)
        context = Context(
            actor=actor,
            now=when or self.now,
            law=self.law,
            stream=stream,
            history=self.streams.get(stream, ()),
            others={**dict.fromkeys(reads), **{s: self.states[s] for s in reads if s in self.states}},
            draw=lambda: UUID(int=next(drawn)),
            subject=UUID(int=7),
            position=self.position,
        )
        if stream == "institution":
            return Answer(BY_NAME[stream].decide(self.law, act, context), None)
        kind = BY_NAME[stream.partition(":")[0]]
        return Answer(kind.decide(self.states.get(stream), act, context), context.fence)

    def after(self, stream: str, actor: Actor, steps: Sequence[Step], command: Act | None = None) -> Town:
        """The same after these steps were written."""
        wishes = [step for step in steps if isinstance(step, Number)]
        numbers = {
            f"{wish.journal}/{series(wish, self.now)}": tuple(range(self.numbers, self.numbers + wish.count))
            for wish in wishes
        }
        town = self._replace(
            drawn=self.drawn + len(steps) + 5, numbers=self.numbers + max((w.count for w in wishes), default=0)
        )
        for step in steps:
            match step:
                case To():
                    town = town._written(step.stream, step.event, actor, numbers)
                case Fact():
                    town = town._written(stream, step, actor, numbers)
                case _:
                    pass
        return town

    def _written(self, stream: str, event: Fact, actor: Actor, numbers: dict[str, tuple[int, ...]]) -> Town:
        stored = CODEC.event(tag(type(event)), msgspec.json.encode(event))
        assert stored == event, f"{event} is stored as {stored}"
        if stream == "institution":
            entry = self._entry(stored, stream, self.law.version + 1, actor, numbers)
            return self._replace(law=institution.evolve(self.law, entry), position=self.position + 1)
        history = self.streams.get(stream, ())
        entry = self._entry(stored, stream, len(history) + 1, actor, numbers)
        whole = (*history, entry)
        if stream.startswith("order:") and any(type(e.event).__name__ == "CorrectionRecorded" for e in whole):
            state = order.fold(whole)
        else:
            state = BY_NAME[stream.partition(":")[0]].evolve(self.states.get(stream), entry)
        return self._replace(
            position=self.position + 1,
            streams={**self.streams, stream: whole},
            states={**self.states, stream: state},
        )

    def _entry(
        self, event: Fact, stream: str, version: int, actor: Actor, numbers: dict[str, tuple[int, ...]]
    ) -> Entry:
        return Entry(
            event=event,
            stream=stream,
            version=version,
            position=self.position + 1,
            recorded_at=self.now,
            actor=actor,
            numbers=numbers,
        )

    def does(self, deed: Deed) -> Town:
        """The same after a deed. Raises Refusal."""
        town = self.at(deed.at)
        return town.after(deed.stream, deed.actor, town.decide(deed.stream, deed.actor, deed.act).steps, deed.act)


def founded(pack_name: str, when: datetime, options: tuple[tuple[str, Any], ...] = ()) -> Town:
    """A city under one pack, with no order yet."""
    return Town(law=law_under(pack_name, options), now=when)


def person(role: Role, unit: str = "", which: int = 1) -> Actor:
    """One of the two people who hold a role in a unit; the first is who the law knows."""
    if role is Role.CITIZEN:
        return given.CITIZEN
    if role is Role.SYSTEM:
        return given.SYSTEM
    words = {Role.ORG_HANDLER: "handler", Role.ORG_APPROVER: "approver", Role.MGMT_UNIT: "management"}
    name = words.get(role, role.value.removeprefix("hotline_").removeprefix("qc_"))
    return Actor(user=f"{unit.lower()}-{name}{'' if which == 1 else which}", role=role, unit=unit)
