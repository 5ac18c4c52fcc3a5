"""Questions of the supervisors: what is proposed to people, because no rule lets the timer do it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from api.access import Data, need
from api.asking import Answer, Ask, listing, next_page
from api.problems import NotForThisRole
from domain.terms import Role
from supervision.proposals import proposed
from supervision.sweep import left

SUPERVISING = frozenset({Role.SUPERVISOR, Role.HOTLINE_MANAGER, Role.COORDINATOR, Role.LEADER, Role.AUDITOR})
"""Who sees what the office might do about a unit before it does."""


def _supervises(ask: Ask) -> None:
    if ask.who.role not in SUPERVISING:
        raise NotForThisRole(f"{ask.who.role}")
    need(Data.NOTICES, ask.who)


async def proposals(ask: Ask) -> Answer:
    """Return where problems come together, by the pack's figures; each with what was counted and who may act."""
    _supervises(ask)
    await ask.caught_up()
    found = await proposed(ask.city.ledger, ask.city.shown, await ask.city.ledger.now())
    return listing(ask, "proposals", found.proposals, found.position)


async def next_steps(ask: Ask) -> Answer:
    """Return what has come about in orders and takes a person: a page of the longest waiting, each with who may."""
    _supervises(ask)
    await ask.caught_up()
    after = ask.cursor(tuple[datetime, UUID])
    found = await left(ask.city.ledger, ask.city.shown, await ask.city.ledger.now(), limit=ask.limit(), after=after)
    cursor = next_page(*found.after) if found.after is not None else ""
    return listing(ask, "steps", found.lines, found.position, cursor)
