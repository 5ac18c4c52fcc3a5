"""Return visits over HTTP: who is drawn for one, by whom it takes; and any drawing drawn again, by whoever checks it."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Annotated

import msgspec

from api import sheets
from api.access import Data, Grade, need
from api.asking import Answer, Ask
from api.figuring import wants_table
from api.problems import NotForThisRole
from domain.steps.revisiting import SampleRevisit
from domain.terms import Role
from supervision.sampling import Checked, Manner, Member, Sampled, ShareMissing, check, sample, share

CHECKING = frozenset(
    {Role.REVISITOR, Role.COORDINATOR, Role.SUPERVISOR, Role.HOTLINE_MANAGER, Role.QC_REVIEWER, Role.AUDITOR}
)
"""Who draws a sample again: whoever draws, judges the visits, or oversees those who do."""

_TURN = asyncio.Semaphore(1)
"""Drawing again reads every order: one at a time in a worker."""


class Draw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """抽样. Days whose return visits are drawn, both included; `percent` of each unit's orders, without: as the pack says."""

    first: date
    last: date
    percent: Annotated[int, msgspec.Meta(ge=1, le=100)] | None = None
    dry_run: bool = False


class Row(Member, frozen=True):
    """抽中工单. One order that a seed draws, and whether it is on record as drawn."""

    recorded: bool = True


async def draw(ask: Ask) -> Answer:
    """Draw the sample of a period that is over, once; given again it is the same sample. Raises Behind."""
    if ask.who.role not in SampleRevisit.roles - {Role.SYSTEM}:
        raise NotForThisRole
    ask.paced()
    said = await ask.said(Draw)
    ledger = ask.city.ledger
    now = await ledger.now()
    percent = said.percent or await share(ledger, now)
    if percent is None:
        raise ShareMissing
    await ask.caught_up((await ledger.head())[0])  # the frame is read from them: nobody shall be missing from it
    made: Sampled = await sample(
        ledger,
        ask.city.shown,
        said.first,
        said.last,
        now=now,
        percent=percent,
        entropy=ask.house.entropy,
        manner=Manner(dry_run=said.dry_run, by=ask.who.actor),
    )
    return Answer(made, headers={"Ledger-Position": str((await ledger.head())[0])})


async def checked(ask: Ask) -> Answer:
    """Draw a recorded sample again from the ledger, and say whether it is what was recorded."""
    need(Data.EVALUATIONS, ask.who, Grade.FULL)
    if ask.who.role not in CHECKING:
        raise NotForThisRole
    ask.paced()
    async with _TURN:
        found: Checked = await check(ask.city.ledger, ask.city.shown, ask.path("seed"))
    headers = {"Ledger-Position": str((await ask.city.ledger.head())[0])}
    if not wants_table(ask):
        return Answer({**msgspec.to_builtins(found), "holds": found.holds}, headers=headers)
    missing = set(found.missing)
    rows = [Row(one.stream, one.round, one.unit, one.number, one.stream not in missing) for one in found.drawn]
    headers["Content-Disposition"] = f'attachment; filename="{ask.city.name}-sample.csv"'
    return Answer(sheets.table(Row, rows), headers=headers, media_type=f"{sheets.MEDIA}; charset=utf-8")
