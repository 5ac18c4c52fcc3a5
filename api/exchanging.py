"""互转. Other hotlines and the national platform: what they hand to us, what we handed to them, and the receipts.

A platform is an account of role `system` with the scope `exchange`. Its own reference names an order: told twice, it is
the same order. What we handed over is given to the platform that it went to, under an agreement, with a reason that is
recorded first (S0-4, S0-5).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec

from api import views
from api.access import EXCHANGING
from api.applicant import released
from api.asking import Answer, Ask
from api.problems import ApprovalNeeded, BodyUnfit, NoShareAgreement, NotAnsweredYet, QueryUnfit, ScopeMissing
from api.writing import Given, carry_out, location, stream_named
from domain.clocks import clocks
from domain.ledger import Look
from domain.recorder import texts
from domain.refusals import UnknownOrder
from domain.state import WorkOrder
from domain.steps.answering import ReplySubmitted
from domain.steps.registration import OrderRegistered, OrderSupplemented, Register
from domain.steps.triage import CrossRegionTransferred, DirectAnswered, RecordTransferReceipt
from domain.terms import (
    Applicant,
    Attributes,
    Channel,
    Citation,
    ClockName,
    Code,
    Confidentiality,
    Entry,
    Role,
    Sealed,
    Title,
)

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=20_000)]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
_CHANNELS = (Channel.NATIONAL_PLATFORM, Channel.CROSS_REGION)


class Inbound(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """转入诉求. A demand that another platform took in: its reference, its due, and what was registered there."""

    reference: Code
    channel: Channel
    title: Title
    category: Code
    attributes: Attributes
    content: Text
    due: Instant | None = None  # as the other platform set it
    applicant: Applicant | None = None
    anonymous: bool = False
    confidentiality: Confidentiality | None = None
    place: Code | None = None
    address: Text | None = None
    district: Code | None = None
    happened_at: Instant | None = None
    legal_basis: Citation | None = None


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a platform wants to read, and why: an order it handed to us, by its reference, or one we handed to it."""

    purpose: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    reference: Code | None = None
    order: Code | None = None
    words: Annotated[str, msgspec.Meta(max_length=2000)] | None = None


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """回执. Whether a platform took what we handed to it, under which reference of its own."""

    order: Code
    taken: bool
    reference: Code | None = None
    words: Annotated[str, msgspec.Meta(max_length=2000)] | None = None


def _platform(ask: Ask) -> str:
    if ask.who.role is not Role.SYSTEM or not ask.who.claims.may(EXCHANGING):
        raise ScopeMissing(EXCHANGING)
    return ask.who.claims.sub


def _key(platform: str, *names: str) -> str:
    """Return the command id that follows from what a platform calls something: told twice, it is carried out once."""
    named = hashlib.sha256("\n".join(names).encode()).hexdigest()[:40]
    return f"exchange:{hashlib.sha256(platform.encode()).hexdigest()[:12]}:{named}"


# --- handed to us ------------------------------------------------------------------------------------------------


async def take(ask: Ask) -> Answer:
    """Register an order that another platform hands over, once for each of its references."""
    platform = _platform(ask)
    said = await ask.said(Inbound)
    if said.channel not in _CHANNELS:
        raise BodyUnfit(f"channel: {', '.join(_CHANNELS)}", field="channel")
    told = {
        name: getattr(said, name)
        for name in said.__struct_fields__
        if name not in ("reference", "due") and getattr(said, name) is not None
    }
    act = Register(external_ref=said.reference, external_due=said.due, duplicates_seen=(), **told)
    key = _key(platform, "order", said.reference)
    receipt, answer = await carry_out(ask, Given(act, "new", "order", key, trace=ask.trace(), brief=True))
    look = await ask.city.ledger.look(receipt.stream)
    body = {**_stands(look, said.reference), "query_code": answer["query_code"], "replayed": receipt.replayed}
    headers = {"Location": location(ask.city, receipt.stream), "Ledger-Position": str(look.position)}
    return Answer(body, 200 if receipt.replayed else 201, headers)


async def order(ask: Ask) -> Answer:
    """Return how an order stands that a platform handed to us, by the platform's reference."""
    platform, reference = _platform(ask), ask.query("reference")
    if not reference:
        raise QueryUnfit("reference", field="reference")
    _, look = await _taken(ask, platform, reference)
    return Answer(_stands(look, reference), headers={"Ledger-Position": str(look.position)})


async def _taken(ask: Ask, platform: str, reference: str) -> tuple[str, Look]:
    """Return the order that a platform handed to us. Raises UnknownOrder."""
    rows = await ask.city.ledger.rows("known_commands", texts([_key(platform, "order", reference)]))
    if not rows:
        raise UnknownOrder(ascii(reference[:100]))
    entries = await ask.city.ledger.read(rows[0][2] - 1, rows[0][3])
    stream = next(entry.stream for entry in entries if isinstance(entry.event, OrderRegistered))
    return stream, await ask.city.ledger.look(stream)


def _stands(look: Look, reference: str) -> dict[str, Any]:
    case = views.case_of(look.entries)
    due = [clock for clock in clocks(case, look.law) if clock.name is ClockName.EXTERNAL]
    found = {
        "reference": reference,
        "id": str(case.id),
        "number": case.number,
        "state": case.state,
        "state_title": case.state.zh,
        "closed_as": case.filing.kind,
        "registered_at": case.registered.at,
        "due": due[-1].due if due else None,
        "due_status": due[-1].status(look.now) if due else None,
        "answered": bool(_answers(case, look.entries)),
        "stages": [
            {"stage": tag, "at": entry.at}
            for entry in look.entries
            if (tag := str(entry.event.__struct_config__.tag).partition(".")[2]) in views.STAGES
        ],
        "position": look.position,
    }
    return {name: value for name, value in found.items() if value is not None}


def _answers(case: WorkOrder, entries: list[Entry]) -> dict[str, Any]:
    """Return the words that the applicant was told, as they lie in the ledger; the newest."""
    told = [reply.no for reply in case.replies if released(reply)]
    if told:
        given = [entry.event for entry in entries if isinstance(entry.event, ReplySubmitted)]
        return {"answer": given[told[-1] - 1].public_answer}
    direct = [entry.event.answer for entry in entries if isinstance(entry.event, DirectAnswered)]
    return {"answer": direct[-1]} if direct else {}


# --- handed over by us -------------------------------------------------------------------------------------------


class _Handed(NamedTuple):
    stream: str
    look: Look
    case: WorkOrder


async def _handed(ask: Ask, platform: str, name: str) -> _Handed:
    """Return an order that went to this platform. Raises NoShareAgreement, and UnknownOrder for every other order."""
    law = await ask.city.law(fresh=True)
    agreement = law.agreements.get(platform)
    if agreement is None or not agreement.in_force(ask.house.now()):
        raise NoShareAgreement(platform)
    stream = await stream_named(ask, "order", name)
    look = await ask.city.ledger.look(stream)
    went = [entry.event for entry in look.entries if isinstance(entry.event, CrossRegionTransferred)]
    if not went or went[-1].platform not in (platform, agreement.name):
        raise UnknownOrder(ascii(name))
    return _Handed(stream, look, views.case_of(look.entries))


async def read(ask: Ask) -> Answer:
    """Open to a platform the answer to what it handed to us, or the demand that we handed to it; recorded first."""
    platform = _platform(ask)
    ask.paced(platform)
    said = await ask.said(Wanted)
    if (said.reference is None) is (said.order is None):
        raise BodyUnfit("reference | order", field="reference")
    if said.reference is not None:
        stream, look = await _taken(ask, platform, said.reference)
        case = views.case_of(look.entries)
        found = _answers(case, look.entries)
        if not found:
            raise NotAnsweredYet
    else:
        stream, look, case = await _handed(ask, platform, said.order or "")
        if case.confidentiality is Confidentiality.INFORMANT:
            raise ApprovalNeeded("informant")
        found = _demand(look.entries)
    body = {"id": str(case.id), "number": case.number, "fields": await _opened(ask, stream, found, said)}
    return Answer(body, headers={"Ledger-Position": str(look.position)})


def _demand(entries: list[Entry]) -> dict[str, Any]:
    """Return what the applicant asked and how they are reached, as it was registered and added to."""
    found: dict[str, Any] = {}
    for entry in entries:
        if isinstance(entry.event, OrderRegistered | OrderSupplemented):
            for path, text in views.sealed_fields(entry.event):
                if path.partition(".")[0] in ("content", "applicant", "address"):
                    found[f"{entry.version}.{path}"] = text
    return found


async def _opened(ask: Ask, stream: str, found: Mapping[str, Any], said: Wanted) -> dict[str, Any]:
    """Return texts open, after the access journal says who looked and why."""
    sealed = {name: text for name, text in found.items() if isinstance(text, Sealed)}
    if not sealed:
        return dict(found)
    key = ask.header("idempotency-key")
    opened = await ask.opened(sealed, stream=stream, purpose=said.purpose, words=said.words, key=key)
    return {**found, **opened}


async def receipt(ask: Ask) -> Answer:
    """Record whether a platform took what we handed to it; the same receipt is recorded once."""
    platform = _platform(ask)
    said = await ask.said(Receipt)
    stream, _, case = await _handed(ask, platform, said.order)
    act = RecordTransferReceipt(taken=said.taken, reference=said.reference or "", words=said.words)
    key = _key(platform, "receipt", stream, said.reference or "", str(said.taken))
    done, _ = await carry_out(ask, Given(act, stream.partition(":")[2], "order", key, trace=ask.trace(), brief=True))
    body = {"id": str(case.id), "number": case.number, "taken": said.taken, "replayed": done.replayed}
    position = done.first_position + len(done.events) - 1
    return Answer(body, 200 if done.replayed else 201, {"Ledger-Position": str(position)})
