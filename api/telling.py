"""并单告知 over HTTP: everybody whose order was merged into one is told its answer, by whom it takes."""

from __future__ import annotations

import msgspec

from api import views
from api.asking import Answer, Ask
from api.problems import NotForThisRole
from api.writing import sighted, stream_named
from domain.steps.answering import InformApplicant
from domain.terms import Code, Medium
from supervision.telling import Message, tell_all


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How they are told; `call`: the message as the system that sent it numbers it. `dry_run` says who would be told."""

    medium: Medium
    call: Code | None = None
    dry_run: bool = False


async def inform_children(ask: Ask) -> Answer:
    """Tell every applicant whose order was merged into this one its answer, each once, each in a commit of its own.

    Given again it goes on where it was broken off; who is told otherwise (anonymous, no contact) is listed with why.
    """
    if ask.who.role not in InformApplicant.roles:
        raise NotForThisRole
    ask.paced()
    said = await ask.said(Wanted)
    name = ask.path("record")
    ledger, stream = ask.city.ledger, await stream_named(ask, "order", name)
    await sighted(ask, views.case_of(await ledger.history(stream), name), name)
    told = await tell_all(ledger, stream, Message(said.medium, ask.who.actor, said.call or "", said.dry_run))
    return Answer(told, headers={"Ledger-Position": str((await ledger.head())[0])})
