"""Two simulated months under each text, swept as they go, with every figure counted again from the raw events by hand."""

from __future__ import annotations

import secrets
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from api.commands import read_command
from domain.ledger import Ledger
from domain.matters.notices import UnitNoticeIssued, UnitNoticeRejected, UnitNoticeReplied, UnitNoticeWithdrawn
from domain.refusals import Refusal
from domain.steps.answering import ReplySubmitted
from domain.steps.correcting import CorrectionRecorded
from domain.steps.recourse import AppealDecided, AppealFiled
from domain.terms import (
    Actor,
    AppealGround,
    Entry,
    Limit,
    LimitUnit,
    NoticeGround,
    NoticeKind,
    NoticeWithdrawal,
    Origin,
    Role,
)
from projections.answers import Projections
from projections.figures import INDICATORS, Figure
from scripts import embedded, simulate, wiring
from supervision.sweep import Manner, sweep
from tests.supervision import oracle

BEGIN = wiring.parse_instant("2025-08-20 00:00")
MONTHS = [
    (wiring.parse_instant(f"2025-{month:02}-01 00:00"), wiring.parse_instant(f"2025-{month + 1:02}-01 00:00"))
    for month in (8, 9, 10, 11)
]
PACKS = {"S0": (), "S1": ("SC-2025",), "S2": (), "S4": ()}
SWEPT = 96
"""Hours between sweeps."""


async def lived(ledger: Ledger, shown: Projections, seed: int) -> Counter[str]:
    """Let the months happen: every command at its instant, sweeps between; return what rules refused."""
    lines = sorted(simulate.months(seed, orders=90, start=BEGIN), key=lambda line: wiring.parse_instant(line["at"]))
    ids: dict[str, str] = {}
    refused: Counter[str] = Counter()
    swept = BEGIN
    for number, line in enumerate(lines):
        at = wiring.parse_instant(line["at"])
        while swept + timedelta(hours=SWEPT) < at:
            swept += timedelta(hours=SWEPT)
            await shown.follow_until()
            await sweep(ledger, shown, swept, Manner(simulated=True))
        said: Any = line["command"]
        for field in ("original", "master"):
            if field in said:
                said = {**said, field: ids.get(said[field].removeprefix("@"), "order:x").removeprefix("order:")}
        stream = line.get("stream") or ids.get(line["order"])
        try:
            receipt = await ledger.execute(
                read_command(said),
                stream=stream,
                actor=msgspec.convert(line["by"], Actor),
                command_id=f"months:{number}",
                occurred_at=at,
                origin=Origin.IMPORT,
            )
        except (Refusal, msgspec.ValidationError) as refusal:
            refused[refusal.code() if isinstance(refusal, Refusal) else str(refusal)] += 1
            continue
        ids.setdefault(line.get("order", ""), receipt.stream)
    return refused


async def corrected_and_appealed(ledger: Ledger, entries: list[Entry]) -> None:
    """Correct the instant of some replies, and let units win appeals about some orders."""
    replies = [e for e in entries if isinstance(e.event, ReplySubmitted)]
    clerk = Actor(user="import", role=Role.SYSTEM)
    own = {name: [e.at for e in entries if e.stream == name] for name in {e.stream for e in replies}}
    for number, entry in enumerate(replies[::4]):
        later = entry.at + timedelta(days=6 if number % 2 else -1)
        between = sorted((entry.at, later))
        if any(between[0] < at < between[1] for at in own[entry.stream]):
            continue  # it cannot have happened before what led to it, nor after what followed
        fact = CorrectionRecorded(correction=90, version=entry.version, field="at", basis="误记", new=later.isoformat())
        await record(ledger, entry.stream, clerk, fact)
    contested = {e.stream: e for e in replies[2::5]}
    for entry in contested.values():
        unit, published = entry.event.unit, wiring.parse_instant("2025-12-20 00:00")
        for indicator, upheld in (("I10", True), ("I9a", True), ("I8", False)):
            filed = AppealFiled(
                unit=unit,
                indicator=indicator,
                ground=AppealGround.FORCE_MAJEURE,
                published_at=published,
                issuer="m",
                words="x",
            )
            await record(ledger, entry.stream, clerk, filed)
            number = {"I10": 1, "I9a": 2, "I8": 3}[indicator]
            decided = AppealDecided(appeal=number, upheld=upheld, words="x", exclusion=indicator)
            await record(ledger, entry.stream, clerk, decided)


async def noticed(ledger: Ledger, units: list[str]) -> None:
    """Ask units themselves for replies: in time, late, on the last day of a month, rejected, withdrawn in time, late."""
    clerk = Actor(user="import", role=Role.SYSTEM)
    withdrawn = UnitNoticeWithdrawn(reason=NoticeWithdrawal.ISSUED_IN_ERROR, words="x")
    limit, replied = Limit(amount=5, unit=LimitUnit.WORKING_DAYS), UnitNoticeReplied(report="x")
    again = UnitNoticeRejected(requirements="x", limit=limit, served_by_system=True)
    lives: list[list[tuple[str, Any]]] = [
        [("09-03 10:00", replied)],
        [("09-12 10:00", replied)],
        [("09-03 10:00", replied), ("09-04 09:00", again), ("09-25 09:00", replied)],
        [("09-02 10:00", withdrawn)],
        [("09-20 10:00", withdrawn)],
        [],
    ]
    asked = UnitNoticeIssued(
        kind=NoticeKind.SPECIAL,
        ground=NoticeGround.CONCENTRATED,
        unit="",
        facts="x",
        demand="x",
        limit=limit,
        served_by_system=True,
    )
    for number, life in enumerate((*lives, [("10-01 00:00", replied)])):
        began = "09-01 09:00" if number < len(lives) else "09-23 09:00"  # the last one falls due with the month
        stream = f"matter:{uuid4()}"
        issued = msgspec.structs.replace(asked, unit=units[number % len(units)])
        for at, fact in ((began, issued), *life):
            await record(ledger, stream, clerk, fact, f"2025-{at}")


async def record(ledger: Ledger, stream: str, actor: Actor, fact: Any, at: str = "2025-12-21 00:00") -> None:
    when = wiring.parse_instant(at)
    await ledger.record([fact], stream=stream, actor=actor, command_id=secrets.token_hex(8), occurred_at=when)


def differing(found: tuple[Figure, ...], wanted: oracle.Counted, period: str) -> list[str]:
    """Say which figures differ from what the oracle counted."""
    told: list[str] = []
    codes = {indicator.code for indicator in INDICATORS}
    held = {(f.part, f.code): (f.above, f.below) for f in found}
    for part in {part for part, _ in held} | {part for part, _ in wanted}:
        for code in sorted(codes):
            none = None if code == "I24" else 0
            ours, theirs = held.get((part, code), (0, none)), wanted.get((part, code), (0, none))
            if ours != theirs:
                told.append(f"{period} {part or 'all'} {code}: {ours}, by hand {theirs}")
    return told


@pytest.mark.parametrize("policy", PACKS)
async def test_every_figure_of_simulated_months_is_what_raw_events_count_to_by_hand(
    policy: str, postgres: embedded.Database, tmp_path: object, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HUIYIN_HOME", str(tmp_path))
    name = f"oracle{policy.lower()}{secrets.token_hex(4)}"
    await wiring.found_city(
        postgres, name, code="MN", name="某市", packs=[(wiring.completed(policy, PACKS[policy]), None)]
    )
    async with await wiring.open_city(postgres, name) as ledger, Projections(postgres.app, name) as shown:
        await lived(ledger, shown, 11)
        head, _ = await ledger.head()
        await corrected_and_appealed(ledger, await ledger.read(0, head))
        await noticed(
            ledger, sorted({e.event.unit for e in await ledger.read(0, head) if type(e.event) is ReplySubmitted})
        )
        await shown.follow_until()
        head, _ = await ledger.head()
        cases = oracle.cases(await ledger.read(0, head), policy)
        wrong: list[str] = []
        moved: Counter[str] = Counter()
        for since, until in MONTHS:
            for by in ("", "unit", "type", "area"):
                found = (await shown.indicators(since, until, by=by)).rows
                wanted = oracle.count(cases, since, until, by)
                again = (await shown.indicators(since, until, by=by, cut_off=head)).rows
                wrong += differing(again, wanted, f"{policy} {since:%Y-%m} at a position")
                wrong += differing(found, wanted, f"{policy} {since:%Y-%m}")
                if not by:
                    moved.update(code for (_, code), (above, below) in wanted.items() if above and below != above)
        assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong[:40])
        silent = oracle.ALWAYS - set(moved)
        assert not silent, f"nothing happened that these count: {silent}"
