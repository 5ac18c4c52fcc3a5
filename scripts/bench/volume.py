"""A city with as many cases as wanted: some thousand that were really led through the door, and copies of those.

The first are simulated lives with what a hotline's year holds (direct answers, refusals, transfers, returns,
extensions, reclassifying, urging, notices with their replies, redo), each command sealed and decided by the real rules
and written by the real writer, over two years. A copy is a case of its own: its own id, numbers, salts and leaves, some minutes
later than its model; commits of all copies are mixed by time, as a city writes them, and every leaf holds. What a copy
does not have is keys: its sealed texts are those of its model and nobody can open them; nothing derived needs to.
Where more towns than one are asked for, a copy lies in one of them: units and a road of that town stand in the place of
its model's, so that a city has hundreds of units and words that few of its cases have.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import psycopg
from psycopg import AsyncRawCursor

from domain import leaves, recorder
from domain.institution import STREAM
from domain.journals import NUMBERS
from domain.leaves import CommitRow, EventRow, Imprint
from domain.ledger import Ledger
from domain.refusals import Refusal
from domain.terms import SHANGHAI, Origin
from domain.units import GrantRole, RegisterUnit
from scripts import embedded, simulate, wiring
from scripts.bench import trial
from scripts.bench.trial import City

SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
BEGIN = datetime(2024, 1, 2, tzinfo=SHANGHAI)
DAYS = 640
PIECE = 20_000
"""Events that are written at once."""

SYLLABLES = "文昌平安和兴广福永宁新华春光长江泰康金星东风青云翠竹明珠凤凰玉泉石桥柳林梅园荷塘松涛桂枝"
_UNIT = re.compile(rb'"(%s)(?=["-])' % "|".join((*simulate.DISTRICTS, *simulate.DEPARTMENTS)).encode())
_ROAD = "号路".encode()


def in_town(text: bytes, town: int) -> bytes:
    """Return a text with the units of another town in the place of its own; 0: as it is."""
    return _UNIT.sub(rb'"\g<1>%d' % town, text) if town else text


# --- lives -------------------------------------------------------------------------------------------------------


def life(number: int, chance: random.Random, until: datetime | None = None) -> list[simulate.Line]:
    """Return one case's lines: the plain simulated life, with what befalls one in so many woven in; none after `until`."""
    lines = _life(number, chance)
    return lines if until is None else [line for line in lines if datetime.fromisoformat(line["at"]) < until]


def _life(number: int, chance: random.Random) -> list[simulate.Line]:
    day = BEGIN + timedelta(days=chance.randrange(DAYS))
    at = day + timedelta(hours=min(23.0, max(0.0, chance.gauss(13, 4))), seconds=chance.randrange(3600))
    plain = simulate.case(number, at.replace(microsecond=0), at + timedelta(days=90), chance)
    lines: list[simulate.Line] = []
    for line in plain:
        kind = line["command"]["type"]
        if kind == "contact":
            lines += _while_handled(line, plain[0], chance)
        lines.append(line)
        if kind == "reply" and chance.random() < 0.09:
            return lines + _done_again(line, chance)
    return lines


def _after(line: simulate.Line, hours: float, by: simulate.Line, **command: Any) -> simulate.Line:
    at = datetime.fromisoformat(line["at"]) + timedelta(hours=hours)
    return {"order": line["order"], "at": at.isoformat(timespec="seconds"), "by": by, "command": command}


def _while_handled(contact: simulate.Line, birth: simulate.Line, chance: random.Random) -> list[simulate.Line]:
    unit, woven = contact["by"]["unit"], list[simulate.Line]()
    manager = {"user": "manager", "role": "hotline_manager", "unit": simulate.HOTLINE}
    system = {"user": "system", "role": "system"}
    if chance.random() < 0.15:
        citizen = {"user": "citizen", "role": "citizen"}
        woven.append(_after(contact, -0.9, citizen, type="urge", channel="phone", words="请尽快处理。"))
    if chance.random() < 0.04:
        attributes = {**birth["command"]["attributes"], "demand_type": "complaint"}
        reason = "实为投诉。"
        woven.append(_after(contact, -0.8, manager, type="reclassify", attributes=attributes, reason=reason))
    if chance.random() < 0.10:
        approver, above = simulate.person("org_approver", unit), _above(unit, manager)
        woven.append(_after(contact, -0.7, approver, type="request_extension", days=3, reason="需多部门会商。"))
        woven.append(_after(contact, -0.6, above, type="decide_extension", extension=1, approve=True))
    if chance.random() < 0.08:
        issue = {"type": "issue_notice", "kind": "reminder", "ground": "falling_due", "reminder": "due day 09:00"}
        woven.append(_after(contact, -0.5, system, **issue, unit=unit, clock="handle"))
    if chance.random() < 0.08:
        supervisor = simulate.person("supervisor", simulate.HOTLINE)
        approver = simulate.person("org_approver", unit)
        issue = {"type": "issue_notice", "kind": "system", "ground": "deemed_not_handled", "facts": "久未联系诉求人。"}
        woven.append(_after(contact, -0.4, supervisor, **issue, unit=unit, demand="说明原因, 提出整改。"))
        no = 1 + any(line["command"]["type"] == "issue_notice" for line in woven[:-1])
        answer = {"type": "reply_notice", "notice": no, "cause": "人手不足。", "measures": "当日联系。"}
        woven.append(_after(contact, -0.3, approver, **answer))
        woven.append(_after(contact, -0.2, supervisor, type="accept_notice_reply", notice=no))
    return woven


def _above(unit: str, manager: simulate.Line) -> simulate.Line:
    parent = unit.partition("-")[0]
    return simulate.person("mgmt_unit", parent) if parent != unit else manager


def _done_again(reply: simulate.Line, chance: random.Random) -> list[simulate.Line]:
    unit = reply["by"]["unit"]
    manager = {"user": "manager", "role": "hotline_manager", "unit": simulate.HOTLINE}
    handler, reviewer = simulate.person("org_handler", unit), simulate.person("qc_reviewer", simulate.HOTLINE)
    words = "查明反复原因, 再答复。"
    answer = {**reply["command"], "public_answer": "已再次核实处理。"}
    back = [_after(reply, 6, reviewer, type="review_reply", reply=1, accept=False, requirements=words)]
    if chance.random() < 0.5:
        limit, dispatcher = {"amount": 3, "unit": "working_days"}, simulate.person("dispatcher", simulate.HOTLINE)
        redo = {"type": "order_redo", "ground": "careless_reply", "requirements": words, "limit": limit}
        back = [
            _after(reply, 8, manager, **redo),
            _after(reply, 9, dispatcher, type="dispatch", kind="ordinary", lead=unit, basis="duty"),
            _after(reply, 20, handler, type="sign"),
        ]
    return [
        *back,
        _after(reply, 30, handler, type="contact", medium="phone", reached=True),
        _after(reply, 50, handler, type="inform_applicant", about="result", medium="phone"),
        _after(reply, 52, reply["by"], **answer),
        _after(reply, 60, reviewer, type="review_reply", reply=2, accept=True),
        _after(reply, 90, reviewer, type="close", kind="satisfied"),
    ]


async def founded(
    database: embedded.Database, policy: str = "S0", parents: Sequence[str] = (), *, towns: int = 1
) -> City:
    """Create a city's ledger whose law, units and persons are there from the beginning."""
    city = await trial.bare_city(database)
    packs = [wiring.completed(policy, parents), *(wiring.read_pack(overlay) for overlay in wiring.OVERLAYS)]
    told = [json.dumps(line, ensure_ascii=False).encode() for line in simulate.founding(BEGIN)]
    lines = [json.loads(in_town(line, town)) for town in range(towns) for line in told]
    said = [trial.spoken(line["by"], line["command"])[1] for line in lines]
    if towns > 1:  # nobody acts in the other towns: their units are enough
        said = [act for n, act in enumerate(said) if n < len(told) or isinstance(act, RegisterUnit)]
    act = wiring.founding_act(
        uuid4(),
        city_code="HY",
        city_name="某市",
        packs=[(pack, None) for pack in packs],
        units=[act for act in said if isinstance(act, RegisterUnit)],
        grants=[act for act in said if isinstance(act, GrantRole)],
    )
    async with await trial.open_city(city) as ledger:
        await ledger.execute(act, stream=STREAM, actor=wiring.SYSTEM, command_id="found")
    return city


async def lead(ledger: Ledger, seed: int, cases: int, until: datetime | None = None) -> Counter[str]:
    """Lead cases through the door, many side by side; return how often each command was refused, and why."""
    chance = random.Random(seed)  # noqa: S311  a simulation, not a secret
    return await lead_all(ledger, [life(number, chance, until) for number in range(1, cases + 1)])


async def lead_all(ledger: Ledger, told: Iterable[Sequence[simulate.Line]]) -> Counter[str]:
    """Lead these lives through the door, many side by side; return how often each command was refused, and why."""
    lives = iter(told)
    refused: Counter[str] = Counter()

    async def caller() -> None:
        for lines in lives:
            await _led(ledger, lines, refused)

    await asyncio.gather(*(caller() for _ in range(48)))
    return refused


async def _led(ledger: Ledger, lines: Sequence[simulate.Line], refused: Counter[str]) -> None:
    stream: str | None = None
    for line in lines:
        actor, act = trial.spoken(line["by"], line["command"])
        try:
            receipt = await ledger.execute(
                act,
                stream=stream,
                actor=actor,
                command_id=secrets.token_hex(12),
                occurred_at=datetime.fromisoformat(line["at"]),
                origin=Origin.IMPORT,
            )
        except Refusal as refusal:
            refused[f"{line['command']['type']}: {refusal.code()}"] += 1
            if stream is None:
                return
            continue
        stream = receipt.stream


# --- copies ------------------------------------------------------------------------------------------------------


class Model(NamedTuple):
    """A case that was really led: the commits that wrote it, each with its events."""

    stream: str
    born_at: datetime
    commits: tuple[tuple[CommitRow, tuple[EventRow, ...]], ...]


async def models(connection: psycopg.AsyncConnection[Any], city: str) -> list[Model]:
    """Return every case of a city as its commits have it."""
    named = recorder.statements(SQL, city)
    found = await (await AsyncRawCursor(connection).execute(named["events"])).fetchall()
    events = [event._replace(state=str(event.state).encode()) for event in (EventRow(*row) for row in found)]
    rows = await (await AsyncRawCursor(connection).execute(named["commits"])).fetchall()
    cases: dict[str, list[tuple[CommitRow, tuple[EventRow, ...]]]] = {}
    for commit in (CommitRow(*row) for row in rows):
        own = tuple(events[commit.first_position - 1 : commit.first_position - 1 + commit.n])
        streams = {event.stream for event in own if event.stream.startswith("order:")}
        if len(streams) == 1 and commit.occurred_at is not None:
            cases.setdefault(streams.pop(), []).append((commit, own))
    return [Model(stream, commits[0][0].occurred_at or BEGIN, tuple(commits)) for stream, commits in cases.items()]


def _id_of(at: datetime, chance: random.Random) -> UUID:
    born = int(at.timestamp() * 1000)
    return UUID(int=born << 80 | 7 << 76 | chance.getrandbits(12) << 64 | 2 << 62 | chance.getrandbits(62))


def drawn_id(chance: random.Random) -> UUID:
    """Return an id that a case of some day could have."""
    return _id_of(BEGIN + timedelta(days=chance.random() * DAYS), chance)


class _Copy:
    """One copy of a case on its way into the ledger: who it is, and the last leaf of its stream."""

    __slots__ = ("id", "later", "leaf", "model", "road", "stream", "town", "written")

    def __init__(self, model: Model, later: timedelta, chance: random.Random, towns: int) -> None:
        self.id = _id_of(model.born_at + later, chance)
        self.stream = f"order:{self.id}"
        self.model = model
        self.later = later
        self.leaf = leaves.NOTHING
        self.written = 0
        self.town = chance.randrange(towns) if towns > 1 else 0
        self.road = b"" if towns == 1 else "".join(chance.choices(SYLLABLES, k=2)).encode()

    def told(self, state: bytes) -> bytes:
        """Return what an event of the model says, said of the copy."""
        said = state.replace(self.model.stream[6:].encode(), str(self.id).encode())
        if self.road and _ROAD in said:
            said = said.replace(_ROAD, "号".encode() + self.road + "路".encode())
        return in_town(said, self.town)


class Copying:
    """Copies of cases, written behind what a ledger has: every position, number and leaf as the writer gives them."""

    def __init__(
        self, imprint: Imprint, position: int, recorded_at: datetime, chance: random.Random, towns: int
    ) -> None:
        self.position = position
        self.recorded_at = recorded_at
        self._towns = towns
        self._imprint = imprint
        self._chance = chance
        self._journals: dict[str, tuple[int, bytes]] = {}  # its last number and leaf

    def know(self, found: Iterable[Model]) -> None:
        """Take in how far the journals of numbers are."""
        for model in found:
            for _, events in model.commits:
                for event in events:
                    last = self._journals.get(event.stream, (0, b""))
                    if event.stream != model.stream and event.version > last[0]:
                        self._journals[event.stream] = event.version, event.leaf

    def plan(self, found: Sequence[Model], events: int) -> list[tuple[datetime, int, _Copy]]:
        """Return which commit of which copy comes when, until there are about so many events."""
        planned: list[tuple[datetime, int, _Copy]] = []
        left = events
        while left > 0:
            for model in found:
                made = _Copy(model, timedelta(seconds=self._chance.randrange(3600)), self._chance, self._towns)
                for commit, own in model.commits:
                    planned.append(((commit.occurred_at or BEGIN) + made.later, len(planned), made))
                    left -= len(own)
        planned.sort()  # no two have the same number
        return planned

    def write(self, copy: _Copy) -> tuple[CommitRow, list[EventRow]]:
        """Return the next commit of a copy with its events."""
        commit, own = copy.model.commits[copy.written]
        copy.written += 1
        first = self.position + 1
        numbers, said = commit.numbers, dict[str, int]()
        for event in own:
            if event.stream.startswith(NUMBERS):
                said[event.stream] = said.get(event.stream, self._journals[event.stream][0]) + 1
                name = event.stream.removeprefix(NUMBERS)
                numbers = numbers.replace(f'"{name}":[{event.version}]', f'"{name}":[{said[event.stream]}]')
        made = commit._replace(
            first_position=first,
            command_id=f"{self._chance.getrandbits(96):024x}",
            recorded_at=self.recorded_at,
            occurred_at=(commit.occurred_at or BEGIN) + copy.later,
            numbers=numbers,
            actor=in_town(commit.actor.encode(), copy.town).decode(),
            salt=self._chance.randbytes(16),
        )
        record = leaves.salted_record(self._imprint, made)
        return made, [self._event(copy, event, made, record) for event in own]

    def _event(self, copy: _Copy, event: EventRow, commit: CommitRow, record: bytes) -> EventRow:
        self.position += 1
        own = event.stream == copy.model.stream
        version, previous = (event.version - 1, copy.leaf) if own else self._journals[event.stream]
        row = event._replace(
            position=self.position,
            stream=copy.stream if own else event.stream,
            version=version + 1,
            state=copy.told(event.state),
            salt=self._chance.randbytes(16),
            commit=commit.first_position,
            recorded_at=commit.recorded_at,
            occurred_at=None if event.occurred_at is None else event.occurred_at + copy.later,
        )
        leaf = leaves.leaf_of(self._imprint, row, record, previous)
        if own:
            copy.leaf = leaf
        else:
            self._journals[event.stream] = version + 1, leaf
        return row._replace(leaf=leaf)


async def multiply(
    dsn: str,
    city: str,
    imprint: Imprint,
    events: int,
    *,
    seed: int = 1,
    towns: int = 1,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Copy a city's cases until its ledger has about so many events more; return the last position.

    `dsn` enters as the application, which may add and do nothing else.
    """
    named = recorder.statements(SQL, city)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        found = await models(connection, city)
        async with connection.transaction():
            position, recorded_at = (await (await connection.execute(named["lock"])).fetchall())[0]
            copying = Copying(imprint, position, recorded_at, random.Random(seed), towns)  # noqa: S311  a simulation
            copying.know(found)
            planned = copying.plan(found, events)
            for start in range(0, len(planned), PIECE):
                written = [copying.write(copy) for _, _, copy in planned[start : start + PIECE]]
                await _copy(connection, named["copy_events"], _EVENT, [e for _, own in written for e in own])
                await _copy(connection, named["copy_commits"], _COMMIT, [commit for commit, _ in written])
                if progress is not None:
                    progress(copying.position - position)
            move = AsyncRawCursor(connection)
            await move.execute(named["move_head"], [copying.position, recorded_at])
        return copying.position


_EVENT = ("int8", "text", "int8", "text", "text", "bytea", "bytea", "int8", "timestamptz", "timestamptz")
_COMMIT = ("int8", "int4", "text", "bytea", "timestamptz", "timestamptz", *["text"] * 8, "bytea")


async def _copy(
    connection: psycopg.AsyncConnection[Any], statement: bytes, types: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    async with AsyncRawCursor(connection).copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            await copy.write_row(
                [one.decode() if type(one) is bytes and t == "text" else one for one, t in zip(row, types, strict=True)]
            )
