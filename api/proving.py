"""Proofs over HTTP: the signed head, the tree's tiles, evidence of one order; and what witnesses sign, taken in."""

from __future__ import annotations

from api import views
from api.asking import Answer, Ask
from api.problems import NotForThisRole, QueryUnfit, UnknownEntry
from api.writing import COLLECTIONS, sighted, stream_named
from domain import evidence as evidences
from domain import notes, tree
from domain.matters.affairs import UnitReferred
from domain.notes import NotANote
from domain.refusals import Refusal, UnknownOrder, UnknownStream
from domain.steps.recourse import AccountabilityReferred
from domain.terms import Role
from projections.transparency import CosignatureUnfit

TEXT = "text/plain; charset=utf-8"

SIGNING = frozenset({Role.HOTLINE_MANAGER, Role.SUPERVISOR, Role.AUDITOR, Role.ARCHIVIST, Role.ADMIN})
"""Who has a head signed before its time."""

EVIDENCE = frozenset({Role.HOTLINE_MANAGER, Role.SUPERVISOR, Role.LEADER, Role.AUDITOR, Role.ARCHIVIST})
"""Who is given the evidence of an order: it names every kind of event there was, which others see only a part of."""

JSON_LINES = "application/x-ndjson"

_LARGEST = 1 << 16
_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}


async def checkpoint(ask: Ask) -> Answer:
    """Return the last signed head with its cosignatures, as a signed note."""
    return Answer(str(await ask.city.log.head()).encode(), media_type=TEXT)


async def sign(ask: Ask) -> Answer:
    """Sign what the ledger holds now, and return the head. Raises LedgerTurnedBack, LedgerRewritten."""
    if ask.who.role not in SIGNING:
        raise NotForThisRole
    return Answer(str(await ask.city.log.sign()).encode(), media_type=TEXT)


async def tile(ask: Ask) -> Answer:
    """Return a tile: its hashes, one after the other."""
    named = tree.place_of(ask.path("tile_path").removeprefix("/"))
    found = None if named is None else await ask.city.log.tile(*named)
    if found is None:
        raise UnknownEntry(ask.path("tile_path")[:60])
    return Answer(found, headers=_FOR_EVER, media_type="application/octet-stream")


async def consistency(ask: Ask) -> Answer:
    """Return the proof that the tree of one size begins with that of another (RFC 9162, 2.1.4)."""
    old, size = ask.number("from"), ask.number("to")
    if old is None or size is None or not 0 < old <= size:
        raise QueryUnfit("0 < from <= to", field="from")
    path = await ask.city.log.consistency(old, size)
    return Answer({"from": old, "to": size, "hashes": [one.hex() for one in path]})


async def cosign(ask: Ask) -> Answer:
    """Take the cosignatures of known witnesses on a head of this log. Raises CosignatureUnfit."""
    try:
        note = notes.note_from(await ask.bytes("text/plain", most=_LARGEST))
    except NotANote as error:
        raise CosignatureUnfit(str(error)) from error
    return Answer({"taken": list(await ask.city.log.cosign(note))}, 201)


async def evidence(ask: Ask) -> Answer:
    """Return the history of an order as digests, with the proof that it is in the ledger; that it was taken is recorded first."""
    if ask.who.role not in EVIDENCE:
        raise NotForThisRole
    name = ask.path("record")
    stream = await stream_named(ask, "order", name)
    ledger = ask.city.ledger
    await sighted(ask, views.case_of(await ledger.history(stream), name), name)
    said = await ask.city.log.evidence(ledger, stream)
    command_id = f"evidence:{ledger.fresh_id()}"
    await ledger.note_access(
        ("evidence",), stream=stream, viewer=ask.who.actor, purpose="evidence", command_id=command_id
    )
    return Answer(said)


class BundleElsewhere(Refusal):
    """该移送的证据包不由本系统生成，请向移送单位索取。The bundle of this referral was not made here: ask the office that referred it."""

    basis = "DOMAIN 8.13"


async def bundle(ask: Ask) -> Answer:
    """Return the bundle that a referral names, byte by byte as its letter says; that it was taken is recorded first.

    For the supervisory organ that it was referred to alone; where that is a unit here, for its people alone.
    """
    if ask.who.role is not Role.DISCIPLINE:
        raise NotForThisRole
    kind, ledger = COLLECTIONS[ask.collection], ask.city.ledger
    stream = await stream_named(ask, kind, ask.path("record"))
    history = await ledger.history(stream)
    law = await ask.city.law()
    told = [one for entry in history if isinstance(one := entry.event, AccountabilityReferred | UnitReferred)]
    mine = [one for one in told if law.unit(one.to) is None or one.to in ask.who.own]
    if not mine:
        raise (UnknownOrder if kind == "order" else UnknownStream)(ask.path("record")[:60])
    referral = mine[-1]
    if not referral.head:
        raise BundleElsewhere(referral.bundle)
    streams = [stream]
    if isinstance(referral, UnitReferred):
        streams = [f"order:{one}" for one in referral.orders] + [f"matter:{one}" for one in referral.matters]
    content = await ask.city.log.bundle(ledger, streams, referral.head)
    if evidences.digest_of(content) != referral.bundle:
        raise BundleElsewhere(f"{referral.bundle} ≠ {evidences.digest_of(content)}")
    await ledger.note_access(
        ("bundle",),
        stream=stream,
        viewer=ask.who.actor,
        purpose="referral",
        command_id=f"bundle:{ledger.fresh_id()}",
        words=referral.bundle,
    )
    return Answer(content, media_type=JSON_LINES)
