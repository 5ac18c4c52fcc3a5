"""一次答复, 逐件告知. One master, many callers: everybody whose order was merged is told the one answer (R-29).

Each caller's order gets a commit of its own, under an id made of the master, of which of its answers is told, and of the
child. So a run that is killed in the middle and given again tells the rest, and nobody twice; two at once, likewise.
What is recorded is what the office sent: whom it reaches is shown first by a run that records nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import NamedTuple
from uuid import UUID

import msgspec

from domain import guards
from domain.ledger import Ledger
from domain.refusals import ClosedDoor, CommandIdReused, MasterNotReplied, Refusal, Unavailable
from domain.state import WorkOrder
from domain.steps.answering import InformApplicant
from domain.terms import Actor, Confidentiality, Entry, InformAbout, Mark, Medium, OrderState, Origin, Word

AT_ONCE = 64
"""Callers that are told side by side."""

TO_MANY = frozenset({Medium.SMS, Medium.WEB, Medium.WRITTEN, Medium.SYSTEM})
"""What can be sent to many at once; who was rung up or seen is recorded one by one, with the call or the words."""


class OneByOne(Refusal):
    """电话、当面告知须逐件登记，请用 inform_applicant；批量告知请选短信、网上、书面或系统。
    Who is told by telephone or in person is recorded one by one, by inform_applicant: to tell many, name sms, web, written or
    system.
    """

    basis = "DOMAIN 8.1"
    field = "medium"


class NobodyMerged(Refusal):
    """此工单没有并入的工单。No order was merged into this one."""

    basis = "R-29"


class Fate(Word):
    """结果. What became of one caller."""

    TOLD = "told", "已告知"
    WOULD = "would", "将告知"
    AGAIN = "again", "先前已告知"
    LEFT = "left", "须另行告知"
    REFUSED = "refused", "未告知"


class Hindrance(Word):
    """缘由. Why a caller is not told with the others."""

    ANONYMOUS = "anonymous", "匿名"
    NO_PHONE = "no_phone", "未留电话"
    NO_CONTACT = "no_contact", "未留联系方式"
    CONFIDENTIAL = "confidential", "保密"
    OVER = "over", "已办结"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """并入工单. One caller's order, and what became of telling them; `why`: a hindrance, or a refusal's code."""

    order_id: UUID
    number: str
    fate: Fate
    why: str = ""
    sentence: str = ""  # of the refusal
    position: int = 0


class Telling(msgspec.Struct, frozen=True, kw_only=True):
    """告知小结. Of which order, which of its answers (0: it ended without one), and every caller in the order merged."""

    order_id: UUID
    number: str
    reply: int
    dry_run: bool
    callers: tuple[Caller, ...]
    counts: dict[str, int]


class Message(NamedTuple):
    """How everybody is told, by whom."""

    medium: Medium
    actor: Actor
    call: str = ""  # the message as the system that sent it numbers it
    dry_run: bool = False


async def tell_all(ledger: Ledger, stream: str, message: Message) -> Telling:
    """Tell every applicant whose order was merged into the one of `stream` its answer, each once.

    Raises OneByOne, NobodyMerged, MasterNotReplied, and Unavailable and ClosedDoor where the ledger cannot be asked: what
    was recorded by then is.
    """
    if message.medium not in TO_MANY:
        raise OneByOne(message.medium)
    master: WorkOrder = await ledger.fold(stream)
    children = [f"order:{one}" for one in master.links.merged_children]
    if not children:
        raise NobodyMerged(master.number)
    no, since = _answer(master)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(child: str, entries: list[Entry]) -> Caller:
        async with gate:
            return await _tell(ledger, ledger.fold_entries(child, entries), master, no, since, message)

    told: list[Caller] = []
    for first in range(0, len(children), AT_ONCE):
        some = children[first : first + AT_ONCE]
        histories = await ledger.histories(some)
        told += await asyncio.gather(*map(one, some, histories))
    counts = Counter(str(caller.fate) for caller in told)
    return Telling(
        order_id=master.id,
        number=master.number,
        reply=no,
        dry_run=message.dry_run,
        callers=tuple(told),
        counts=dict(counts),
    )


def _answer(master: WorkOrder) -> tuple[int, Mark]:
    """Return which answer there is to tell, and since when: the newest reply that stands, else that the order ended."""
    stands = next((r for r in reversed(master.replies) if r.accepted is not False), None)
    if stands is not None:
        return stands.no, stands.submitted
    if master.filing.closed is None:
        raise MasterNotReplied(master.number)
    return 0, master.filing.closed


async def _tell(ledger: Ledger, child: WorkOrder, master: WorkOrder, no: int, since: Mark, message: Message) -> Caller:
    said = {"order_id": child.id, "number": child.number}
    merge = child.links.merge
    told = merge is not None and merge.told is not None and merge.told > since
    if told:
        return Caller(**said, fate=Fate.AGAIN)
    if (why := hindrance(child, message.medium)) is not None:
        return Caller(**said, fate=Fate.LEFT, why=str(why))
    act = InformApplicant(about=InformAbout.RESULT, medium=message.medium, call=message.call or None, master=master.id)
    try:
        receipt = await ledger.execute(
            act,
            stream=child.stream,
            actor=message.actor,
            command_id=f"told:{master.id}:r{no}:{child.id}",
            origin=Origin.LIVE,
            dry_run=message.dry_run,
        )
    except (Unavailable, ClosedDoor):
        raise
    except CommandIdReused:  # told by another run, by other means
        return Caller(**said, fate=Fate.AGAIN)
    except Refusal as refusal:
        return Caller(**said, fate=Fate.REFUSED, why=refusal.code(), sentence=refusal.sentence)
    if message.dry_run and not receipt.first_position:
        return Caller(**said, fate=Fate.WOULD)
    again = receipt.replayed or message.dry_run
    return Caller(**said, fate=Fate.AGAIN if again else Fate.TOLD, position=receipt.first_position)


def hindrance(child: WorkOrder, medium: Medium) -> Hindrance | None:
    """Return why an applicant is not told with the others; None where nothing hinders it. Pure."""
    who = child.demand.applicant
    if child.state is not OrderState.MERGED:
        return Hindrance.OVER
    if child.confidentiality is Confidentiality.INFORMANT:
        return Hindrance.CONFIDENTIAL
    if child.demand.anonymous:
        return Hindrance.ANONYMOUS
    if who is None or not (guards.said(who.phone) or guards.said(who.contact)):
        return Hindrance.NO_CONTACT
    if medium is Medium.SMS and not guards.said(who.phone):
        return Hindrance.NO_PHONE
    return None
