"""推送的来源. What happened, by position, for other systems: CloudEvents without personal data (pulled, in batches)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from api.access import FEEDING
from api.asking import LARGEST_PAGE, Answer, Ask
from api.problems import ScopeMissing
from domain.terms import Entry, Role

_KINDS = frozenset({"order", "institution", "matter", "inquiry", "publication"})
"""Streams that are told of. Who looked at what, who called, and whose data were erased, are nobody else's."""

MEDIA_TYPE = "application/cloudevents-batch+json"


async def feed(ask: Ask) -> Answer:
    """Return what happened after a position, in the order of positions; `wait`: seconds to wait for something new."""
    if not ask.who.claims.may(FEEDING) and ask.who.role not in (Role.SUPERVISOR, Role.AUDITOR):
        raise ScopeMissing(FEEDING)
    after = ask.number("after", 0) or 0
    limit = ask.limit(LARGEST_PAGE, most=1000)
    entries = await ask.city.ledger.read(after, limit)
    until = asyncio.get_running_loop().time() + (ask.number("wait", 0, most=20) or 0)
    while not entries and asyncio.get_running_loop().time() < until:
        await asyncio.sleep(0.1)
        entries = await ask.city.ledger.read(after, limit)
    last = entries[-1].position if entries else after
    told = [cloud_event(ask, entry) for entry in entries if entry.stream.partition(":")[0] in _KINDS]
    path = f"/v1/{ask.city.name}/feed?after={last}&limit={limit}"
    headers = {"Ledger-Position": str(last), "Link": f'<{path}>; rel="next"'}
    return Answer(msgspec.json.encode(told), headers=headers, media_type=MEDIA_TYPE)


def cloud_event(ask: Ask, entry: Entry) -> dict[str, Any]:
    """Return an entry as a CloudEvent: what, about which record, when; who it is about is pulled, with a reason."""
    return {
        "specversion": "1.0",
        "id": f"{entry.position}",
        "source": f"/v1/{ask.city.name}",
        "type": f"huiyin.{entry.event.__struct_config__.tag}",
        "subject": entry.stream,
        "time": entry.recorded_at.isoformat(),
        "datacontenttype": "application/json",
        "data": {
            "stream": entry.stream,
            "version": entry.version,
            "position": entry.position,
            "at": entry.at.isoformat(),
            "origin": entry.origin,
            "role": entry.actor.role,
            "unit": entry.actor.unit,
        },
    }
