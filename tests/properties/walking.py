"""Random walks through whole cases: random commands by random people at random times, every answer looked at.

A walk keeps what was done as deeds. When a promise is broken, `shortened` leaves deeds out until none can be spared:
the shortest story that still breaks it is what the failure shows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

import msgspec

from domain import institution, order
from domain.clocks import clocks
from domain.refusals import Refusal
from domain.state import WorkOrder
from domain.steps.correcting import ProposeCorrection
from domain.steps.registration import Register, RegisterSecretStub
from domain.terms import Act, Citation, Role
from domain.units import ChangeUnit, RegisterUnit, SucceedUnits
from tests.given import at
from tests.properties.aims import UNITS, aims, correction, earlier_hands, somebody
from tests.properties.arbitrary import Maker
from tests.properties.path import Way, next_moves
from tests.properties.town import MAIN, PACKS, Answer, Deed, Town, founded, person
from tests.properties.twists import twists

OPTIONS: Sequence[tuple[str, Sequence[Any]]] = (
    ("roll_natural_days", (True,)),
    ("bind_policy_at", ("dispatch",)),
    ("lead_from", (1, 3)),
    ("accused_may_handle", (False,)),
    ("accused_may_judge", (True,)),
    ("return_needs_signature", (True, False)),
    ("return_scope", ("per_order",)),
    ("late_return", ("consent", "overdue_item", "measured")),
    ("ruled_final", (False,)),
    ("extension", ("parent_unit", "hotline_manager", "own_approver", "none")),
    ("extension_unit", ("natural_days",)),
    ("extension_decision", ("before_due",)),
    ("extension_max_count", (1,)),
    ("handle_stop", ("reply_to_hotline", "reply_and_informed")),
    ("reply_optional", (True,)),
    ("reply_review", ("none",)),
    ("reply_two_persons", (True,)),
    ("sent_back_due", ("correction",)),
    ("streak", (2,)),
    ("deem", (True,)),
    ("close_after", (True, False)),
    ("solicit", (True,)),
    ("redo_revisit", (True, False)),
    ("revisit_opens", ("handle_due", "reply")),
    ("emergency_handover_closes", (False,)),
    ("auto_file", (True,)),
)
_SELDOM = frozenset(
    [
        "Withdraw",
        "AnswerDirectly",
        "Refuse",
        "ReferCaller",
        "TransferRegion",
        "HandOverEmergency",
        "HoldThreeWayCall",
        "TransferCall",
        "RecordDossier",
        "ReleaseTextForOversight",
        "ProposeCorrection",
        "FileAppeal",
        "VerifyIncident",
        "RequestInstruction",
        "ReferAccountability",
        "RecordExternalPush",
        "DraftSpecialReport",
        "NotifyEmergency",
        "Archive",
        "Seal",
        "Expedite",
        "Inquire",
        "Urge",
        "Register",
        "RegisterSecretStub",
    ]
)
"""Ends, and what is never refused: tried less often, so that the middle of a case is long."""


class Broken(AssertionError):
    """A promise was broken; says which, and by what story."""


Promise = Callable[[Town, Deed, Answer, Town], None]
"""Looks at one accepted deed: the town before, the deed, the answer, the town after. Raises AssertionError."""


class Walk:
    """One city, one main order, others beside it, and whoever comes along."""

    def __init__(self, seed: int, *, promises: Sequence[Promise] = (), varied: bool = True) -> None:
        self.random = r = Random(seed)
        self.pack = r.choice(PACKS)
        chosen = r.sample(OPTIONS, r.choice((0, 0, 1, 3))) if varied else []
        self.options = tuple(sorted((name, r.choice(values)) for name, values in chosen))
        self.start = at("2025-01-06 09:00") + timedelta(minutes=r.randrange(60 * 24 * 700))
        self.town = founded(self.pack, self.start, self.options)
        self.maker = Maker(r)
        self.promises = promises
        self.deeds: list[Deed] = []
        self.done: Counter[str] = Counter()
        self.asked = 0
        self.weights = {c: r.choice((0, 0.3, 1, 1, 3)) * (0.1 if c.__name__ in _SELDOM else 1) for c in order.COMMANDS}
        self.sensible = r.choice((0.1, 0.3, 0.6))
        self.waiting = r.choice((0.2, 0.5, 0.8))

    def go(self, steps: int) -> None:
        """Take so many steps. Raises Broken, with the shortest story found."""
        for _ in range(steps):
            self.step()

    def step(self) -> None:
        """Let time pass perhaps, then let somebody do something that is not refused, if it is found soon."""
        r = self.random
        if self.deeds and r.random() < self.waiting:
            self.town = self.town.at(self._later())
        if MAIN in self.town.states and r.random() < 0.02:
            self._try("institution", r.choice(institution.COMMANDS))
            return
        stream = self._stream()
        if stream not in self.town.states:
            kind = RegisterSecretStub if r.random() < 0.02 else Register
            while not self._try(stream, kind):
                continue
            return
        if self.town.order(stream).filing.sealed is not None:
            for kind in r.sample(list(self.weights), 40):
                self._try(stream, kind)
            return
        if r.random() < self.sensible:
            for _ in range(4):
                self._sensible(stream)
            return
        for _ in range(5):
            weights = [w / (1 + self.done[c.__name__]) for c, w in self.weights.items()]
            kind = r.choices(list(self.weights), weights)[0]
            if any(self._try(stream, kind) for _ in range(5)):
                return

    def _stream(self) -> str:
        r, known = self.random, list(self.town.orders)
        if MAIN not in known:
            return MAIN
        if len(known) < 3 and r.random() < 0.04:
            return f"order:{'0' * 8}-0000-0000-0000-{len(known) + 90:012d}"
        return MAIN if r.random() < 0.8 else r.choice(known)

    def _later(self) -> datetime:
        r, now = self.random, self.town.now
        how = r.random()
        if how < 0.35:
            return now + timedelta(minutes=r.randrange(1, 90))
        if how < 0.55:
            return now + timedelta(hours=r.randrange(1, 30))
        if how < 0.7:
            return now + timedelta(days=r.randrange(1, 9), milliseconds=r.randrange(10**8))
        if how < 0.73:
            years = r.random() < 0.1 and now.year < 2040  # until nothing about a case need be kept any more
            return now + timedelta(weeks=r.choice((600, 1700) if years else (3, 10, 60)))
        ahead = [
            c.due
            for o in self.town.orders.values()
            for c in clocks(o, self.town.law)
            if c.due is not None and now <= c.due < now + timedelta(days=800)
        ]
        if not ahead:
            return now
        return r.choice(ahead) + r.choice((-1, 0, 0, 1)) * timedelta(milliseconds=1)

    def _sensible(self, stream: str) -> None:
        r = self.random
        if not self.town.order(stream).is_open and r.random() < 0.7:
            return
        straight = list(next_moves(self.town, stream, Way(r.random() < 0.8, r.random() < 0.9)))
        moves = list(twists(self.town, stream)) if r.random() < 0.7 else straight[: r.choice((1, 3, 10))]
        if moves:
            rare = [1 / (1 + self.done[type(m.act).__name__]) ** 2 for m in moves]
            move = r.choices(moves, rare)[0]
            self.town = self.town.at(move.after or self.town.now)
            actor = move.actor  # not the third person, who comes only to what is tried out afterwards
            if actor.user.endswith("3"):
                actor = person(actor.role, actor.unit, r.choice((1, 1, 2)))
            earlier = earlier_hands(self.town.order(stream))
            if actor.unit and earlier and r.random() < 0.2:  # who did the first half would do the second
                actor = msgspec.structs.replace(actor, user=r.choice(earlier))
            self._does(Deed(self.town.now, stream, actor, move.act))

    def _try(self, stream: str, kind: type[Act]) -> bool:
        r, town = self.random, self.town
        self.maker.now, self.maker.aims = town.now, aims(town, stream, kind)
        act = self._law(kind) if stream == "institution" else self.maker.make(kind, aimed=r.random() < 0.85)
        state = town.states.get(stream)
        known = state if isinstance(state, WorkOrder) else None
        actor = somebody(r, town, known, sorted(kind.roles))
        if kind is ProposeCorrection and r.random() < 0.8:
            act = correction(r, town, stream)
            unit = town.streams[stream][act.version - 1].actor.unit or "H"  # of the side that recorded it
            actor = person(Role.SUPERVISOR if unit == "H" else Role.ORG_APPROVER, unit, r.choice((1, 2)))
        return self._does(Deed(town.now, stream, actor, act))

    def _law(self, kind: type[Act]) -> Act:
        """Return a change of the law, aimed at the town's units: most others are refused."""
        r, now = self.random, self.town.now
        one, other = r.sample(UNITS, 2)
        if kind is SucceedUnits:
            return SucceedUnits(
                from_units=(one,),
                to_units=(other,),
                at=now + timedelta(hours=r.choice((-5, 0, 60))),
                basis=Citation(text="机构改革"),
            )
        if kind is ChangeUnit:
            return ChangeUnit(unit=one, parent=other)
        if kind is RegisterUnit and r.random() < 0.5:
            return RegisterUnit(unit="N", name="新区", level="first", kind="district_government")  # type: ignore[arg-type]
        return self.maker.make(kind, aimed=True)

    def _does(self, deed: Deed) -> bool:
        self.asked += 1
        try:
            after = judged(self.town, deed, self.promises)
        except Refusal:
            return False
        except Exception as error:
            self.deeds.append(deed)
            raise Broken(self.told(error)) from error
        self.deeds.append(deed)
        self.done[type(deed.act).__name__] += 1
        self.town = after
        return True

    def told(self, error: BaseException) -> str:
        """Tell what went wrong by the shortest story found."""
        short = shortened(self.beginning(), self.deeds, self.promises, kind_of(error))
        story = "\n".join(f"  {deed!r}" for deed in short)
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}\n{self.pack} {dict(self.options)} from {self.start}\n{story}"

    def beginning(self) -> Town:
        """Return the town as it was before anything was done."""
        return founded(self.pack, self.start, self.options)


def judged(town: Town, deed: Deed, promises: Sequence[Promise]) -> Town:
    """Return the town after a deed that keeps every promise. Raises Refusal, or what was broken."""
    before = town.at(deed.at)
    answer = before.decide(deed.stream, deed.actor, deed.act)
    after = before.after(deed.stream, deed.actor, answer.steps, deed.act)
    for promise in promises:
        promise(before, deed, answer, after)
    return after


def kind_of(error: BaseException) -> str:
    """Return what went wrong, without the figures of this one story."""
    return f"{type(error).__name__}: {re.sub(r'[0-9]+', '#', str(error).partition(chr(10))[0])}"


class _Story(NamedTuple):
    town: Town
    promises: Sequence[Promise]
    kind: str

    def breaks(self, deeds: Sequence[Deed]) -> bool:
        """Tell whether these deeds still end as the whole story did; what is refused on the way is passed over."""
        town = self.town
        for deed in deeds:
            try:
                town = judged(town, deed, self.promises)
            except Refusal:
                continue
            except Exception as error:  # noqa: BLE001  see Walk
                return kind_of(error) == self.kind
        return False


def shortened(town: Town, deeds: Sequence[Deed], promises: Sequence[Promise], kind: str) -> Sequence[Deed]:
    """Return the deeds without those that can be spared."""
    story, kept = _Story(town, promises, kind), list(deeds)
    if not story.breaks(kept):
        return kept
    size = max(1, len(kept) // 2)
    while True:
        place = 0
        while place < len(kept):
            shorter = kept[:place] + kept[place + size :]
            if story.breaks(shorter):
                kept = shorter
            else:
                place += size
        if size == 1:
            return simplified(story, kept)
        size //= 2


def simplified(story: _Story, deeds: list[Deed]) -> Sequence[Deed]:
    """Return the deeds with every field left out that can be."""
    for place, deed in enumerate(deeds):
        fields = (
            deed.act.__struct_fields__[-len(deed.act.__struct_defaults__) :] if deed.act.__struct_defaults__ else ()
        )
        for field, default in zip(fields, deed.act.__struct_defaults__, strict=True):
            value = default() if isinstance(default, type) and default in (dict, list) else default
            kept = deeds[place].act
            if getattr(kept, field) == value or type(value).__name__ == "Factory":
                continue
            plainer = deeds[place]._replace(act=msgspec.structs.replace(kept, **{field: value}))
            if story.breaks([*deeds[:place], plainer, *deeds[place + 1 :]]):
                deeds[place] = plainer
    return deeds
