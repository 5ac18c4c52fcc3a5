"""诉求人自助. An applicant's own way in, by order number and query code: how it stands, the answer, urging, evaluating.

No token: the code is the proof. It shows stages and dates, and who they are to nobody; a reply's words only once the
applicant was told of it, or it was published under the code (8.10), and after the access journal says so.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import msgspec

from api import looking, views
from api.access import Sight, Viewer, sight
from api.asking import Answer, Ask
from api.papers import document, form_of
from api.problems import NotAnsweredYet, NumberAndCodeUnfit, UrgedToday
from domain.duties import title_of
from domain.leaves import canonical
from domain.ledger import Look, Receipt
from domain.refusals import CommandIdReused, Refusal
from domain.state import Reply, WorkOrder
from domain.steps.answering import ReplySubmitted
from domain.steps.evaluation import Evaluate
from domain.steps.extending import ExtensionRequested
from domain.steps.linking import Urge
from domain.terms import SHANGHAI, Act, Channel, Dimension, EvaluationSource, Rating, Resolution, Sealed
from supervision import sheets
from supervision.instruments import ERASED

Words = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]


class Knock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an applicant shows: the order's number, and the code they were given when it was registered."""

    number: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    code: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]


class Urging(Knock, frozen=True, forbid_unknown_fields=True):
    """催单."""

    words: Words | None = None


class Evaluating(Knock, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """评价."""

    ratings: dict[Dimension, Rating]
    resolution: Resolution | None = None
    words: Words | None = None


class Shown(NamedTuple):
    """What a code opened."""

    stream: str
    look: Look
    case: WorkOrder
    seen: Sight


# --- opening -----------------------------------------------------------------------------------------------------


async def _opened(ask: Ask, knock: Knock) -> Shown:
    """Return the order that number and code open. Raises NumberAndCodeUnfit, whichever of them is wrong; TooMany."""
    gate, address = ask.house.gate, ask.address()
    name = knock.number.strip()
    door = f"{ask.city.name}/{name.casefold()}"
    gate.enter(address, door)
    found = await _stream(ask, name)
    # Where there is no such order a code is compared all the same, so that both take as long.
    right = ask.city.ledger.opens(found or f"order:{name}", knock.code)
    if found is None or not right:
        gate.failed(address, door)
        raise NumberAndCodeUnfit
    gate.opened(address, door)
    look = await ask.city.ledger.look(found)
    who = ask.who
    mine = msgspec.structs.replace(who.claims, orders=(found.partition(":")[2],))
    case = views.case_of(look.entries)
    return Shown(found, look, case, sight(case, Viewer(who.actor, mine)))


async def _stream(ask: Ask, name: str) -> str | None:
    if not name.isprintable():
        return None
    try:
        row = await ask.city.shown.order_by_number(name)
    except Refusal:
        return None
    return row.stream if name in (row.number, str(row.id)) else None  # not by the beginning of an id


# --- asking ------------------------------------------------------------------------------------------------------


async def view(ask: Ask) -> Answer:
    """Return how an order stands, for its applicant."""
    shown = await _opened(ask, await ask.said(Knock))
    return _as_it_stands(shown, {})


def _as_it_stands(shown: Shown, more: dict[str, Any]) -> Answer:
    body = {**more, "order": _stands(shown), "position": shown.look.position, "seen_at": shown.look.now.isoformat()}
    return Answer(body, headers={"Ledger-Position": str(shown.look.position)})


def _stands(shown: Shown) -> dict[str, Any]:
    case, (_, law, _, now) = shown.case, shown.look
    unit = case.episode.lead or law.hotline_unit if case.episode is not None else law.hotline_unit
    handle = [clock for clock in views.clock_views(case, law, now, shown.seen) if clock["name"] == "handle"]
    stages = [
        {"at": entry.at, "stage": str(entry.event.__struct_config__.tag), "title": title_of(type(entry.event))}
        for entry in views.order_entries(shown.look.entries, shown.seen)
    ]
    return {
        "number": case.number,
        "title": case.demand.title,
        "state": case.state,
        "state_title": case.state.zh,
        "closed_as": None if case.filing.kind is None else case.filing.kind.zh,
        "registered_at": case.registered.at,
        "unit": {"unit": unit, "name": law.unit_name(unit, now)},
        "due": handle[-1].get("due") if handle else None,
        "provisional": bool(handle and handle[-1]["provisional"]),
        "stages": stages,
        "replies": [_reply(reply) for reply in case.replies],
        "evaluations": [
            {"reply": e.reply, "at": e.at.at, "source": e.source, "ratings": e.ratings, "late": e.late}
            for e in case.quality.evaluations
            if not e.voided and e.source is not EvaluationSource.ORGANIZER_SOLICITED
        ],
        "urged": case.oversight.urged,
    }


def _reply(reply: Reply) -> dict[str, Any]:
    told = reply.informed or reply.counted_informed
    return {
        "no": reply.no,
        "submitted_at": reply.submitted.at,
        "released": released(reply),
        "told_at": None if told is None else told.at,
        "outcome": reply.outcome if released(reply) else None,
    }


def released(reply: Reply) -> bool:
    """Tell whether the applicant was told of a reply, or would have been, had they been reached; and it still stands."""
    return (reply.informed or reply.counted_informed) is not None and not reply.sent_back


async def answer(ask: Ask) -> Answer:
    """Return the words of the newest reply that was released; the access journal says first that they were read."""
    shown = await _opened(ask, await ask.said(Knock))
    told = [reply.no for reply in shown.case.replies if released(reply)]
    if not told:
        raise NotAnsweredYet
    given = [entry for entry in shown.look.entries if isinstance(entry.event, ReplySubmitted)]
    event: ReplySubmitted = given[told[-1] - 1].event
    text: Any = event.public_answer
    if isinstance(text, Sealed):
        fields = {"public_answer": text}
        opened = await ask.opened(fields, stream=shown.stream, purpose="applicant")
        text = opened["public_answer"]
    return _as_it_stands(shown, {"reply": told[-1], "answer": text})


async def sheet(ask: Ask) -> Answer:
    """Return all that an applicant is told as a sheet to print; the access journal says first what was opened for it."""
    form = form_of(ask)
    shown = await _opened(ask, await ask.said(Knock))
    told = [reply.no for reply in shown.case.replies if released(reply)]
    fields: dict[str, Sealed] = {}
    texts: dict[str, Any] = {}
    if told:
        given = [entry for entry in shown.look.entries if isinstance(entry.event, ReplySubmitted)]
        _kept("answer", given[told[-1] - 1].event.public_answer, texts, fields)
    extensions = [one for episode in shown.case.episodes for one in episode.extensions if one.informed is not None]
    asked = {entry.position: entry.event for entry in shown.look.entries if isinstance(entry.event, ExtensionRequested)}
    for n, one in enumerate(extensions):
        _kept(f"reason.{n}", asked[one.requested.position].reason, texts, fields)
    if fields:
        texts |= await ask.opened(fields, stream=shown.stream, purpose="applicant")
    words = {name: text if isinstance(text, str) else ERASED for name, text in texts.items()}
    html = sheets.enquiry(
        {
            "order": _stands(shown),
            "extensions": [
                {
                    "no": n + 1,
                    "due": asked[one.requested.position].due,
                    "days": one.days,
                    "told_at": one.informed.at if one.informed is not None else None,
                    "reason": words[f"reason.{n}"],
                }
                for n, one in enumerate(extensions)
            ],
            "answer": words.get("answer", ""),
            "issuer": shown.look.law.unit_name(shown.look.law.hotline_unit, shown.look.now),
            "at": shown.look.now.astimezone(SHANGHAI),
            "position": shown.look.position,
            "link": f"/v1/{ask.city.name}/applicant/evaluate",
        }
    )
    named = f"enquiry-{shown.case.number}.{form}"
    return await document(ask, html, form, named=named, position=shown.look.position)


def _kept(name: str, said: Any, texts: dict[str, Any], fields: dict[str, Sealed]) -> None:
    if isinstance(said, Sealed):
        fields[name] = said
    else:
        texts[name] = said


async def access(ask: Ask) -> Answer:
    """Return who looked at an order and its applicant: when, in which role and office, what for, which fields."""
    shown = await _opened(ask, await ask.said(Knock))
    found = await looking.looks(ask.city.ledger, shown.stream)
    body = {"looks": [looking.told(entry, shown.look.law) for entry in found], "position": shown.look.position}
    return Answer(body, headers={"Ledger-Position": str(shown.look.position)})


# --- acting ------------------------------------------------------------------------------------------------------


async def urge(ask: Ask) -> Answer:
    """Urge, once a day: sent again it is the same urging, with other words it is refused. Raises UrgedToday."""
    said = await ask.said(Urging)
    shown = await _opened(ask, said)
    day = shown.look.now.astimezone(SHANGHAI).date()
    try:
        receipt = await _give(ask, shown, Urge(channel=Channel.WEB, words=said.words), f"urged:{shown.case.id}:{day}")
    except CommandIdReused as error:
        raise UrgedToday from error
    return await _given(ask, shown, receipt)


async def evaluate(ask: Ask) -> Answer:
    """Evaluate the newest reply; the same evaluation sent again is the same."""
    said = await ask.said(Evaluating)
    shown = await _opened(ask, said)
    act = Evaluate(ratings=said.ratings, resolution=said.resolution, words=said.words)
    same = ask.city.ledger.digest(canonical(act)).hex()[:24]
    receipt = await _give(ask, shown, act, f"evaluated:{shown.case.id}:{len(shown.case.replies)}:{same}")
    return await _given(ask, shown, receipt)


async def _give(ask: Ask, shown: Shown, act: Act, command_id: str) -> Receipt:
    return await ask.city.ledger.execute(
        act, stream=shown.stream, actor=ask.who.actor, command_id=command_id, trace_id=ask.trace()
    )


async def _given(ask: Ask, shown: Shown, receipt: Receipt) -> Answer:
    look = await ask.city.ledger.look(shown.stream)
    now = shown._replace(look=look, case=views.case_of(look.entries))
    told = _as_it_stands(now, {"recorded_at": receipt.recorded_at, "replayed": receipt.replayed})
    return told._replace(status=200 if receipt.replayed else 201)
