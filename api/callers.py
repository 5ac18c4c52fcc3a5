"""来电人. What the desk asks about whoever is on the line: their other orders, and their query code again.

A telephone number comes in a body, never in an address, and is looked up by its HMAC; that somebody looked, and why, is
in the access journal before anything is shown. What says who somebody is, is not shown here: it is opened by itself.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec

from api import views
from api.asking import Answer, Ask
from api.problems import NotForThisRole
from api.writing import stream_named
from domain.law import Law
from domain.ledger import Ledger
from domain.state import WorkOrder
from domain.terms import Actor, Confidentiality, Role

_DESK = frozenset({Role.AGENT, Role.HOTLINE_MANAGER, Role.SUPERVISOR})
_GIVING = frozenset({Role.AGENT, Role.HOTLINE_MANAGER})

T = TypeVar("T")
Code = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Words = Annotated[str, msgspec.Meta(max_length=2000)]


class Purpose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why somebody looks: a code, and words that are sealed."""

    purpose: Code
    words: Words | None = None


class Caller(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose orders are wanted, and why; `before`: the id of the last order of the page before."""

    phone: Annotated[str, msgspec.Meta(min_length=3, max_length=40)]
    purpose: Code
    words: Words | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=50)] = 20
    before: Annotated[str, msgspec.Meta(max_length=36)] = ""


async def _said(ask: Ask, kind: type[T], roles: frozenset[Role]) -> T:
    if ask.who.role not in roles:
        raise NotForThisRole
    ask.paced()
    return await ask.said(kind)


async def callers(ask: Ask) -> Answer:
    """Return the orders of whoever calls from a number, the newest first; none of an informant is ever among them."""
    said = await _said(ask, Caller, _DESK)
    ledger = ask.city.ledger
    key = ask.header("idempotency-key") or f"callers:{ledger.fresh_id()}"
    found = await orders_of(ledger, said, ask.who.actor, key)
    law, now = await ask.city.law(), ask.house.now()
    position, _ = await ledger.head()
    body: dict[str, Any] = {"orders": [row(case, law, now) for case in found.cases], "position": position}
    if found.next:
        body["next"] = found.next
    return Answer(body, headers={"Ledger-Position": str(position)})


class Found(NamedTuple):
    """A page of a caller's orders; `next`: behind which the next one begins."""

    cases: list[WorkOrder]
    next: str


async def orders_of(ledger: Ledger, said: Caller, viewer: Actor, command_id: str) -> Found:
    """Return the orders of whoever calls from a number, after the access journal says who looked and why."""
    if viewer.role not in _DESK:
        raise NotForThisRole
    subject = await ledger.subject_of(said.phone)
    await ledger.note_access(
        ("orders_by_phone",),
        stream="subjects" if subject is None else f"subject:{subject}",
        viewer=viewer,
        purpose=said.purpose,
        command_id=command_id,
        words=said.words,
    )
    if subject is None:
        return Found([], "")
    before = f"order:{said.before}" if said.before else ""
    streams = await ledger.orders_of_subject(subject, said.limit + 1, before)
    found = [views.case_of(entries) for entries in await ledger.histories(streams[: said.limit])]
    more = streams[said.limit - 1].partition(":")[2] if len(streams) > said.limit else ""
    return Found([case for case in found if _told_of(case, viewer)], more)


def row(case: WorkOrder, law: Law, now: datetime) -> dict[str, Any]:
    """Return a line of a caller's orders: which, how it stands, with whom; nothing that says who they are."""
    unit = case.episode.lead if case.episode is not None else ""
    return {
        "id": case.id,
        "number": case.number,
        "title": case.demand.title,
        "category": case.demand.category,
        "state": case.state,
        "state_title": case.state.zh,
        "registered_at": case.registered.at,
        "unit": unit,
        "unit_name": law.unit_name(unit, now) if unit else "",
        "urged": case.oversight.urged,
    }


def _told_of(case: WorkOrder, viewer: Actor) -> bool:
    """Tell whether a caller's order may be named: one under 工单保密 only to whom took the call, or oversees them all."""
    match case.confidentiality:
        case Confidentiality.INFORMANT:
            return False
        case Confidentiality.PRIVACY:
            return viewer.role is not Role.AGENT or case.registered_by == viewer.user
        case _:
            return True


async def query_code(ask: Ask) -> Answer:
    """Return the query code of an order again, to read out to an applicant whom the desk has made sure of."""
    said = await _said(ask, Purpose, _GIVING)
    ledger, name = ask.city.ledger, ask.path("record")
    stream = await stream_named(ask, "order", name)
    key = ask.header("idempotency-key") or f"query-code:{ledger.fresh_id()}"
    number, code = await code_again(ledger, stream, said, ask.who.actor, key)
    return Answer({"number": number, "query_code": code}, headers={"Ledger-Position": str((await ledger.head())[0])})


async def code_again(ledger: Ledger, stream: str, said: Purpose, viewer: Actor, command_id: str) -> tuple[str, str]:
    """Return an order's number and query code, after the access journal says who asked for it and why."""
    if viewer.role not in _GIVING:
        raise NotForThisRole
    case = views.case_of(await ledger.history(stream), stream)
    if case.confidentiality is Confidentiality.INFORMANT and case.registered_by != viewer.user:
        raise NotForThisRole("informant")
    await ledger.note_access(
        ("query_code",),
        stream=stream,
        viewer=viewer,
        purpose=said.purpose,
        command_id=command_id,
        words=said.words,
    )
    return case.number, ledger.query_code(stream)
