"""查看记录. Who looked at an order and at its applicant, and what for: to those who oversee it, and to the applicant."""

from __future__ import annotations

from typing import Any

from api import views
from api.access import Data, Grade, need
from api.asking import LARGEST_PAGE, Answer, Ask, listing, next_page
from api.writing import stream_named
from domain.fields import TERMS
from domain.journals import AccessLogged
from domain.law import Law
from domain.ledger import Ledger
from domain.order import fold
from domain.refusals import UnknownOrder
from domain.state import WorkOrder
from domain.terms import Entry, Role

WHAT: dict[str, str] = {
    "orders_by_phone": "按号码查工单",
    "query_code": "重发查询码",
    "bundle": "移送证据包",
    "dossier": "脱敏卷宗",
    "record_copy": "存档卷宗",
    "packet": "档案信息包",
    "sealed_part": "密封件（未开启）",
    "identity": "举报人身份",
    "texts": "全部文字内容",
    "*": "全部密封内容",
    "timeline": "去标识办理过程",
    "evidence": "存证",
    "export": "取证复制",
    "search": "查账检索",
    "difference": "两时点对比",
    "corrections": "更正对照",
    "state": "某一位置的情况",
    "duty_book": "值班记录簿",
}
"""What was looked at that is no field, as it is told."""


def whose(case: WorkOrder) -> list[str]:
    """Return the streams whose looks are looks at an order: its own, and its applicant's, where one is known."""
    applicant = case.demand.applicant
    subject = None if applicant is None else applicant.subject
    return [case.stream] if subject is None else [case.stream, f"subject:{subject}"]


async def looks(ledger: Ledger, stream: str, *, after: int = 0, limit: int = LARGEST_PAGE) -> list[Entry]:
    """Return who looked at an order and its applicant since it was registered. Raises UnknownOrder."""
    entries = await ledger.history(stream)
    case = fold(entries)
    if case is None:
        raise UnknownOrder(stream)
    return await ledger.looks_at(whose(case), entries[0].recorded_at, after=after, limit=limit)


def told(entry: Entry, law: Law) -> dict[str, Any]:
    """Return a look as an applicant is told: when, which office and role, what for, what was seen; never which official."""
    event: AccessLogged = entry.event
    unit = entry.actor.unit
    by_themselves = entry.actor.role is Role.CITIZEN
    return {
        "at": entry.at,
        "role": entry.actor.role.zh,
        "unit": law.unit_name(unit, entry.at) if unit else "",
        "yourself": by_themselves,
        "purpose": event.purpose,
        "fields": list(dict.fromkeys(named(field) for field in event.fields)),
    }


def named(field: str) -> str:
    """Return what was looked at in the office's words."""
    parts = (part for part in field.split(".") if not part.isdecimal())
    return WHAT.get(field) or "·".join(TERMS.get(part, part) for part in parts)


async def order_access(ask: Ask) -> Answer:
    """Return who looked at an order and its applicant, a page at a time; nothing of what they saw."""
    need(Data.ACCESS_LOG, ask.who, Grade.FULL)
    stream = await stream_named(ask, "order", ask.path("record"))
    after = (ask.cursor(tuple[int]) or (0,))[0]
    limit = ask.limit(LARGEST_PAGE)
    found = await looks(ask.city.ledger, stream, after=after, limit=limit + 1)
    position, _ = await ask.city.ledger.head()
    cursor = next_page(found[limit - 1].position) if len(found) > limit else ""
    return listing(ask, "entries", [views.entry_view(entry) for entry in found[:limit]], position, cursor)
