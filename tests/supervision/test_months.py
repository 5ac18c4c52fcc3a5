"""A simulated month under each rule text, swept morning and evening, against an oracle that walks the pack's rows itself."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec
import pytest

from api.commands import read_command
from domain.clocks import WINDOWS, Clock, clocks
from domain.law import Law
from domain.ledger import Ledger
from domain.refusals import Refusal
from domain.state import WorkOrder
from domain.terms import Actor, ClockName, NoticeKind, OrderState, Origin
from projections.answers import Projections
from scripts import embedded, simulate, wiring
from supervision.rules import TIMER
from supervision.sweep import Line, Manner, Outcome, sweep

BEGIN = wiring.parse_instant("2025-09-01 00:00")
DAYS = 30
OF_NOTICES = (ClockName.SUPV_REPLY, ClockName.ARRIVE_SITE, ClockName.SITE_RECORD)
ANSWERED = (OrderState.REPLIED, OrderState.EVALUATING)
OPEN_TO_PEOPLE = {"dispute-open", "decision-needed", "emergency-not-told"}
"""What keeps a case from being deemed or closed by itself until a person has seen to it."""
PACKS = {"S0": (), "S1": ("SC-2025",), "S2": (), "S4": ()}


class Month:
    """The lines of a simulated month, given when their instant comes; what a sweep was faster with is refused."""

    def __init__(self, ledger: Ledger, orders: int) -> None:
        self._ledger = ledger
        lines = simulate.month(7, orders=orders, start=BEGIN, days=20, after=DAYS)
        self._lines = sorted(lines, key=lambda line: wiring.parse_instant(line["at"]))
        self._next = 0
        self.streams: dict[str, str] = {}
        self.refused: Counter[str] = Counter()

    async def until(self, when: datetime) -> None:
        """Give every command whose instant has come."""
        while self._next < len(self._lines):
            line, number = self._lines[self._next], self._next
            at = wiring.parse_instant(line["at"])
            if at > when:
                return
            self._next += 1
            stream = line.get("stream") or self.streams.get(line["order"])
            try:
                receipt = await self._ledger.execute(
                    read_command(line["command"]),
                    stream=stream,
                    actor=msgspec.convert(line["by"], Actor),
                    command_id=f"month:{number}",
                    occurred_at=at,
                    origin=Origin.IMPORT,
                )
            except Refusal as refusal:
                self.refused[refusal.code()] += 1
                continue
            self.streams.setdefault(line.get("order", ""), receipt.stream)

    async def orders(self) -> list[WorkOrder]:
        """Every order, folded."""
        named = [stream for stream in self.streams.values() if stream.startswith("order:")]
        return [
            self._ledger.fold_entries(s, e) for s, e in zip(named, await self._ledger.histories(named), strict=True)
        ]


def says(order: WorkOrder, law: Law, clock: Clock, on: str) -> set[str]:
    """What the pack attaches to a clock: its own rows, else those for any; read row by row."""
    rules = law.rules(order.policy)
    kind = rules.class_of(order.attributes)
    assert kind is not None
    own: set[str] = set()
    common: set[str] = set()
    for row in rules.pack.consequences:
        if row.on == on and (not row.classes or kind.name in row.classes):
            if row.clock == clock.name:
                own.add(str(row.does))
            if row.clock is None:
                common.add(str(row.does))
    return own or common


def supervised(order: WorkOrder, law: Law, now: datetime) -> Iterator[tuple[str, str]]:
    """The clocks about which system supervision must have been issued by now: late, undone, and the pack says so."""
    for clock in clocks(order, law):
        if clock.name in WINDOWS or clock.name in OF_NOTICES or clock.name is ClockName.RETURN:
            continue
        if clock.running and clock.breached(now) and "supervise" in says(order, law, clock, "breach"):
            yield clock.name, clock.key


@pytest.mark.parametrize("policy", PACKS)
async def test_a_month_is_swept_as_the_pack_says_neither_more_nor_less(
    policy: str, postgres: embedded.Database, tmp_path: object, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HUIYIN_HOME", str(tmp_path))
    name, now = f"month{policy.lower()}{secrets.token_hex(4)}", BEGIN
    await wiring.found_city(
        postgres, name, code="MN", name="某市", packs=[(wiring.completed(policy, PACKS[policy]), None)]
    )
    async with await wiring.open_city(postgres, name) as ledger, Projections(postgres.app, name) as shown:
        month = Month(ledger, 40)
        seen: set[tuple[str, str, str, str]] = set()
        for half in range(2 * DAYS):
            now = BEGIN + timedelta(hours=12 * half + 9)
            await month.until(now)
            await shown.follow_until()
            lines: list[Line] = []
            swept = await sweep(ledger, shown, now, Manner(simulated=True), lines.append)
            assert set(+swept.refused) <= OPEN_TO_PEOPLE, swept.refused
            open_still = {line.order_id for line in lines if line.outcome is Outcome.REFUSED}
            for order in await month.orders():
                law = await ledger.law()
                told = [n for n in order.oversight.notices if n.kind is NoticeKind.SYSTEM and n.clock is not None]
                noticed = {(str(n.clock), n.clock_key) for n in told}
                assert set(supervised(order, law, now)) <= noticed
                for clock in clocks(order, law):
                    window = clock.name in (ClockName.EVAL_WINDOW, ClockName.CLOSE_AFTER)
                    if window and clock.running and clock.due is not None and order.state in ANSWERED:
                        assert clock.due >= now or order.id in open_still
                for n in told:
                    seen.add((order.stream, str(n.clock), n.clock_key, n.unit))
        assert seen if policy != "S2" else not seen
        await _said_once(ledger, await month.orders())
        await shown.follow_until()
        again = await sweep(ledger, shown, now, Manner(simulated=True))
        assert again.total == 0


async def _said_once(ledger: Ledger, orders: list[WorkOrder]) -> None:
    """Each notice stands about a delay, or ahead of one, and was said once to each unit."""
    law = await ledger.law()
    for order in orders:
        found = {(c.name, c.key): c for c in clocks(order, law)}
        said = Counter((n.kind, n.clock, n.clock_key, n.unit, n.reminder) for n in order.oversight.notices)
        assert set(said.values()) <= {1}, said
        for n in order.oversight.notices:
            assert n.issued_by == TIMER.user
            assert n.clock is not None
            due = found[n.clock, n.clock_key].due
            if due is not None:
                assert (n.issued.at > due) is (n.kind is NoticeKind.SYSTEM)
