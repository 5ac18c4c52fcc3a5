"""What no type states: the headers that are said and answered, and the shapes of answers that views put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from domain.evidence import Evidence
from projections.answers import ClockState, DueChange, UnitLoad
from projections.appeals import AppealRow
from projections.duties import DutyRow
from projections.figures import Adjustment, Contested, Figure
from projections.indicators import FactRow
from projections.matters import MatterRow
from projections.notices import NoticeRow
from projections.orders import OrderRow
from supervision.disclosure import Sheet
from supervision.proposals import Proposal
from supervision.register import Registered
from supervision.replay import Moved, Shifted, Standing
from supervision.sampling import Checked, Sampled
from supervision.sweep import Line
from supervision.telling import Telling
from supervision.workbench import Difference, EntryRow

if TYPE_CHECKING:
    from api.operations import Operation

ROWS: tuple[type, ...] = (
    OrderRow,
    DutyRow,
    NoticeRow,
    ClockState,
    AppealRow,
    Contested,
    MatterRow,
    UnitLoad,
    Figure,
    Adjustment,
    FactRow,
    Registered,
    Proposal,
    Line,
    Evidence,
    DueChange,
    Sampled,
    Checked,
    Telling,
    Sheet,
    EntryRow,
    Difference,
    Standing,
    Moved,
    Shifted,
)
"""Rows of tables that lists show as they are."""

TEXT: dict[str, Any] = {"type": "string"}
WHOLE: dict[str, Any] = {"type": "integer", "minimum": 0}
BYTES: dict[str, Any] = {"type": "string", "format": "binary"}
YES: dict[str, Any] = {"type": "boolean"}
AT: dict[str, Any] = {"type": "string", "format": "date-time"}
THING: dict[str, Any] = {"type": "object"}
THINGS: dict[str, Any] = {"type": "array", "items": THING}
_CODE = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$"}


def _of(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _rows(name: str) -> dict[str, Any]:
    return {"type": "array", "items": _of(name)}


def _has(must: dict[str, Any], **may: Any) -> dict[str, Any]:
    """Return the shape of an object: what is always there, and what may be."""
    return {"type": "object", "required": list(must), "properties": {**must, **may}}


_PROBLEM = {
    "description": "RFC 9457. `type` is stable; `code` names the refusal, `article` what it rests on.",
    **_has(
        {"type": {"type": "string", "format": "uri"}, "title": TEXT, "status": WHOLE, "code": TEXT},
        title_zh=TEXT,
        detail=TEXT,
        article=TEXT,
        field=TEXT,
        instance=TEXT,
    ),
}
_ENTRY = _has(
    {"stream": TEXT, "version": WHOLE, "position": WHOLE, "type": TEXT, "at": AT, "event": THING},
    recorded_at=AT,
    occurred_at=AT,
    origin=TEXT,
    actor=THING,
    on_behalf_of=TEXT,
    reason=TEXT,
    numbers=THING,
)
_RECEIPT = _has(
    {
        "command_id": TEXT,
        "stream": TEXT,
        "version": WHOLE,
        "first_position": WHOLE,
        "events": _rows("_Entry"),
        "replayed": YES,
        "dry_run": YES,
    },
    id=TEXT,
    number=TEXT,
    recorded_at=AT,
    numbers=THING,
    state=TEXT,
    order=THING,
    clocks=_rows("_Clock"),
    record={},
    query_code=TEXT,
)
_CLOCK = _has(
    {"name": TEXT, "title": TEXT, "key": TEXT, "unit": TEXT, "start": AT, "status": TEXT, "provisional": YES},
    due=AT,
    stopped=AT,
    cancelled=AT,
    article=TEXT,
    explanation=THING,
)
_CLOUD_EVENT = _has(
    {"specversion": {"const": "1.0"}, "id": TEXT, "source": TEXT, "type": TEXT, "subject": TEXT, "time": AT},
    datacontenttype=TEXT,
    data=THING,
)


def schemas() -> dict[str, Any]:
    """Return the shapes that answers refer to."""
    return {
        "_Problem": _PROBLEM,
        "_Entry": _ENTRY,
        "_Receipt": _RECEIPT,
        "_Clock": _CLOCK,
        "_CloudEvent": _CLOUD_EVENT,
    }


_AT_POSITION = {"position": WHOLE}
_HISTORY = _has({"entries": _rows("_Entry"), **_AT_POSITION}, next=TEXT)
_SOME_ORDERS = {"anyOf": [_of("OrderRow"), _has({"id": TEXT, "number": TEXT, "state": TEXT})]}
"""A whole row, or what overseers see of one."""

_HANDED_OVER = _has(
    {"reference": TEXT, "id": TEXT, "number": TEXT, "state": TEXT, "stages": THINGS, "answered": YES, **_AT_POSITION},
    due=AT,
)
"""How an order stands that another platform handed over."""

_PACKET = _has(
    {"packet": TEXT, "state": {"enum": ["making", "ready", "stopped"]}},
    ready=YES,
    making=YES,
    done=WHOLE,
    of=WHOLE,
    left_out=THINGS,
)
"""How far a packet is."""

_SHAPES: dict[str, dict[str, Any]] = {
    "exchange_take": _HANDED_OVER,
    "exchange_order": _HANDED_OVER,
    "exchange_open": _has({"id": TEXT, "number": TEXT, "fields": THING}),
    "exchange_receipt": _has({"id": TEXT, "number": TEXT, "taken": YES, "replayed": YES}),
    "city": _has(
        {"city": TEXT, "code": TEXT, "sandbox": YES, "hotline": TEXT, "tables": THINGS, "you": THING, **_AT_POSITION}
    ),
    "ping": _has({"role": TEXT, "unit": TEXT}),
    "ping_post": _has({"role": TEXT, "unit": TEXT}),
    "orders": _has({"orders": {"type": "array", "items": _SOME_ORDERS}, **_AT_POSITION}, next=TEXT),
    "search": _has({"orders": {"type": "array", "items": _SOME_ORDERS}, **_AT_POSITION}, next=TEXT),
    "order": _has({"order": THING, "clocks": _rows("_Clock"), "seen_at": AT, **_AT_POSITION}),
    "order_history": _HISTORY,
    "order_clocks": _has({"clocks": _rows("_Clock"), "seen_at": AT, **_AT_POSITION}),
    "order_duties": _has({"duties": THINGS, **_AT_POSITION}),
    "duties": _has(
        {"duties": _rows("DutyRow"), **_AT_POSITION},
        next=TEXT,
        steps=_rows("supervision.sweep.Line"),
    ),
    "notices": _has({"notices": _rows("NoticeRow"), **_AT_POSITION}, next=TEXT, contacts=THING),
    "clocks": _has({"clocks": _rows("ClockState"), **_AT_POSITION}, next=TEXT),
    "appeals": _has({"appeals": _rows("AppealRow"), "figures": _rows("Contested"), **_AT_POSITION}, next=TEXT),
    "matters": _has({"matters": _rows("MatterRow"), **_AT_POSITION}, next=TEXT),
    "proposals": _has({"proposals": _rows("Proposal"), **_AT_POSITION}),
    "next_steps": _has({"steps": _rows("supervision.sweep.Line"), **_AT_POSITION}, next=TEXT),
    "changes": _has({"changes": _rows("DueChange"), **_AT_POSITION}, next=TEXT),
    "draw_sample": _of("Sampled"),
    "sample": {"allOf": [_of("Checked"), _has({"holds": YES})]},
    "inform_children": _of("Telling"),
    "units": _has({"units": _rows("UnitLoad"), **_AT_POSITION}),
    "indicators": _has(
        {
            "figures": _rows("Figure"),
            "from": AT,
            "until": AT,
            "counted_to": AT,
            "closed": YES,
            "closing": {"anyOf": [THING, {"type": "null"}]},
            "policies": THINGS,
            "headline": {"type": "array", "items": TEXT},
            "adjustments": _rows("Adjustment"),
            "windows": THINGS,
            "thresholds": THINGS,
            **_AT_POSITION,
        }
    ),
    "indicator_definitions": _has({"definitions": THINGS, "rules": {"type": "array", "items": TEXT}}),
    "indicator_orders": _has({"orders": _rows("FactRow"), **_AT_POSITION}, next=TEXT),
    "findings": _has({"findings": THINGS, "seen_at": AT, "cases": WHOLE, **_AT_POSITION}, next=TEXT),
    "order_findings": _has({"findings": THINGS, "seen_at": AT, **_AT_POSITION}),
    "policies": _has({"policies": THINGS}),
    "policy": _has({"policy": THING}),
    "calendar": _has({"year": WHOLE, "published": {"anyOf": [THING, {"type": "null"}]}, "days": THINGS}),
    "due": _has({"clock": THING}),
    "institution_history": _HISTORY,
    "access": _HISTORY,
    "order_access": _HISTORY,
    "applicant_access": _has({"looks": THINGS, **_AT_POSITION}),
    "audit_entries": _has({"entries": _rows("EntryRow"), **_AT_POSITION}, next=TEXT),
    "audit_orders": _has({"orders": THINGS, **_AT_POSITION}, next=TEXT),
    "audit_period": _has(
        {
            "orders": _rows("Standing"),
            "seen_at": AT,
            "cases": WHOLE,
            "states": THING,
            "clocks": THING,
            "figures": THINGS,
            **_AT_POSITION,
        },
        next=TEXT,
    ),
    "audit_period_difference": _has(
        {
            "orders": _rows("Moved"),
            "seen_at": {"type": "array", "items": AT},
            "cases": {"type": "array", "items": WHOLE},
            "moved": WHOLE,
            "law": THINGS,
            "figures": _rows("Shifted"),
            **_AT_POSITION,
        },
        next=TEXT,
    ),
    "order_difference": _has({"differences": _rows("Difference"), "by": TEXT, **_AT_POSITION}),
    "order_corrections": _has({"corrections": THINGS, **_AT_POSITION}),
    "callers": _has({"orders": THINGS, **_AT_POSITION}, next=TEXT),
    "oversight": _has(
        {
            "periods": THINGS,
            "years": THINGS,
            "not_closed": {"type": "array", "items": TEXT},
            "measures": THINGS,
            "purposes": THING,
            "office": THING,
            "you": THING,
            **_AT_POSITION,
        }
    ),
    "oversight_figures": _has(
        {
            "period": TEXT,
            "sheets": _rows("Sheet"),
            "names": THING,
            "office": THING,
            "method": {"type": "array", "items": TEXT},
            **_AT_POSITION,
        }
    ),
    "oversight_orders": _has({"orders": THINGS, "listed": WHOLE, "note": TEXT, **_AT_POSITION}, next=TEXT),
    "oversight_order": _has({"order": THING, "timeline": THING, "text_released": YES, "office": THING, **_AT_POSITION}),
    "oversight_text_asked": _has({"inquiry": TEXT, "number": TEXT, **_AT_POSITION}),
    "oversight_text": _has({"texts": THINGS}),
    "oversight_topics": _has({"period": TEXT, "topics": THINGS, "office": THING, **_AT_POSITION}),
    "oversight_matters": _has({"matters": THINGS, **_AT_POSITION}, next=TEXT),
    "oversight_matter": _has({"matter": THING, "text": {}, "answer": {}}),
    "oversight_submissions": _has({"submissions": THINGS, **_AT_POSITION}, next=TEXT),
    "oversight_queries": _has({"queries": THINGS, **_AT_POSITION}, next=TEXT),
    "reset": _has({"city": TEXT, "ledger": TEXT, "code": TEXT, **_AT_POSITION}),
    "instruments": _has({"instruments": _rows("Registered"), **_AT_POSITION}, next=TEXT),
    "reports": _has({"reports": THINGS, **_AT_POSITION}, next=TEXT),
    "archive_files": _has({"files": THINGS, **_AT_POSITION}, next=TEXT),
    "archive_filing": _has(
        {"state": {"enum": ["none", "running", "ended"]}},
        begun_at=AT,
        seen_at=AT,
        failures={"type": "array", "items": TEXT},
        **dict.fromkeys(("of", "done", "filed", "copies", "sealed", "incomplete", "waiting", "failed"), WHOLE),
    ),
    "archive_register": _has(
        {"lines": THINGS, "year": WHOLE, "missing": {"type": "array", "items": TEXT}, **_AT_POSITION}, next=TEXT
    ),
    "archive_uses": _has(
        {"uses": THINGS, "year": WHOLE, "missing": {"type": "array", "items": TEXT}, **_AT_POSITION}, next=TEXT
    ),
    "archive_expired": _has({"files": THINGS, **_AT_POSITION}, next=TEXT),
    "archive_batches": _has({"batches": THINGS, **_AT_POSITION}),
    "archive_batch_files": _has({"files": THINGS, "batch": THING, **_AT_POSITION}),
    "archive_hand_over": _has({"batch": THING, **_AT_POSITION}),
    "archive_carry_out": _has({"done": WHOLE, "before": WHOLE, "refused": WHOLE, "left": WHOLE, "failed": THINGS}),
    "archive_packet": _PACKET,
    "archive_start_packet": _PACKET,
    "log_consistency": _has({"from": WHOLE, "to": WHOLE, "hashes": {"type": "array", "items": TEXT}}),
    "log_cosign": _has({"taken": {"type": "array", "items": TEXT}}),
    "order_evidence": _of("Evidence"),
    "query_code": _has({"number": TEXT, "query_code": TEXT}),
}
"""Answers by operation; what is not said here is an object."""


def content(operation: Operation) -> dict[str, Any]:
    """Return what an operation answers where it refuses nothing."""
    if operation.name == "batch" or operation.name.endswith("_bundle"):
        return {"application/x-ndjson": {"schema": TEXT}}
    if operation.name == "audit_copies":
        return {"application/x-ndjson": {"schema": TEXT}, "text/csv": {"schema": TEXT}}
    if operation.name == "feed":
        batch = {"application/cloudevents-batch+json": {"schema": _rows("_CloudEvent")}}
        return {**batch, "text/event-stream": {"schema": TEXT}}
    if operation.name == "open_attachment":
        return {"*/*": {"schema": BYTES}}
    if operation.name in ("log_checkpoint", "log_sign"):
        return {"text/plain": {"schema": TEXT}}
    if operation.name == "archive_packet_content":
        return {"application/zip": {"schema": BYTES}}
    if operation.name == "log_tile":
        return {"application/octet-stream": {"schema": BYTES}}
    if operation.name.endswith("_instrument") or operation.name in ("applicant_sheet", "duty_book"):
        return {"text/html": {"schema": TEXT}, "application/pdf": {"schema": BYTES}}
    if operation.name == "archive_register":
        json = {"application/json": {"schema": _SHAPES[operation.name]}}
        return {**json, "text/csv": {"schema": TEXT}, "application/pdf": {"schema": BYTES}}
    if operation.name in ("oversight_dossier", "archive_dossier"):
        return {"application/pdf": {"schema": BYTES}}
    if operation.name == "report":
        return {"text/html": {"schema": TEXT}, "application/pdf": {"schema": BYTES}, "text/csv": {"schema": TEXT}}
    if operation.name.endswith("_instruments"):
        return {"application/json": {"schema": _has({"instruments": THINGS, **_AT_POSITION})}}
    found = _SHAPES.get(operation.name, THING)
    if operation.command is not None:
        found = _of("_Receipt")
    elif operation.name.startswith("open_"):
        found = _has({"version": WHOLE, "fields": THING})
    elif operation.kind:
        history = operation.name.endswith("_history")
        found = _HISTORY if history else _has({"record": THING, "version": WHOLE, **_AT_POSITION})
    answered = {"application/json": {"schema": found}}
    if any("csv" in query.words for query in operation.queries):
        answered["text/csv"] = {"schema": TEXT}
    return answered


# --- headers -----------------------------------------------------------------------------------------------------


def _header(name: str, says: str, form: dict[str, Any], *, needed: bool = False, example: Any = None) -> dict[str, Any]:
    found = {"name": name, "in": "header", "required": needed, "description": says, "schema": form}
    return found if example is None else {**found, "example": example}


HEADERS: dict[str, dict[str, Any]] = {
    "Role": _header("Huiyin-Role", "令牌有多个角色时指明一个 which of the token's roles: role@unit", TEXT),
    "Key": _header(
        "Idempotency-Key",
        "命令标识 the command's id: the same key is carried out once",
        {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[!-~]+$"},
        needed=True,
    ),
    "Match": _header(
        "If-Match",
        "预期版本 the version you saw, as its ETag",
        {"type": "string", "pattern": r'^(W/)?"[0-9]{1,9}"$|^\*$'},
    ),
    "Reason": _header("Huiyin-Reason", "理由代码 a code, kept with the commit", _CODE),
    "Behalf": _header("Huiyin-On-Behalf-Of", "代何人 for whom, as a code", _CODE),
    "Occurred": _header("Huiyin-Occurred-At", "补录时刻 backfilled: when it happened", AT),
    "Origin": _header(
        "Huiyin-Origin",
        "来源 backfill, or import by a token with that scope",
        {"type": "string", "enum": ["backfill", "import"]},
    ),
    "Correlation": _header(
        "Huiyin-Correlation",
        "关联标识 what this belongs to elsewhere, kept with the commit",
        {"type": "string", "maxLength": 200},
    ),
    "Trace": _header(
        "traceparent",
        "链路 W3C Trace Context; its trace is kept with the commit",
        {"type": "string", "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"},
    ),
    "Ledger": _header("Huiyin-Ledger", "培训演练城市的账本 of a sandbox: refuse if it has been reset since", TEXT),
    "Prefer": _header("Prefer", "简复 return=minimal: the receipt without the record as it is afterwards", TEXT),
}
WRITING = ("Key", "Match", "Reason", "Behalf", "Occurred", "Origin", "Correlation", "Trace", "Prefer")

PLACES: dict[str, tuple[str, dict[str, Any], str]] = {
    "city": ("城市 the city's name", {}, "chengdu"),
    "record": (
        "工单编号、旧编号或标识 an order's number, old number or id; of other records the id",
        {"minLength": 1},
        "HY20261121-000001",
    ),
    "packet": ("信息包 a packet's name", {"minLength": 1}, "X043-RX·2026-D30-0001_0200"),
    "pack": ("规则 a pack's id, or its digest", {"minLength": 1}, "S0-CHUANYU"),
    "code": ("指标 an indicator's code", {"pattern": "^I[0-9]+[a-z]?$"}, "I10"),
    "batch": ("档案批次标识 the id of a batch", {"format": "uuid"}, "01997000-0000-7000-8000-000000000001"),
    "year": ("年 the year", {"pattern": "^[0-9]{4}$"}, "2026"),
    "day": ("日 YYYY-MM-DD", {"format": "date"}, "2026-11-21"),
    "seed": (
        "抽样种子 a drawing's seed",
        {"minLength": 1},
        "20261101-20261107.p1200.r20.0123456789abcdef",
    ),
    "handle": (
        "可查工单 what /oversight/orders calls an order",
        {"pattern": "^[0-9]{4}Q[1-4]-[0-9]{1,9}$"},
        "2026Q3-1",
    ),
    "kind": ("报告种类 the kind of report", {"pattern": "^[a-z_]+$"}, "briefing"),
    "version": ("事件序号 the event's # in its record's history", {"pattern": "^[1-9][0-9]{0,8}$"}, "2"),
    "tile_path": (
        "哈希块 level and number of a tile, as C2SP tlog-tiles writes them",
        {"pattern": r"^[0-7]/(x[0-9]{3}/){0,3}[0-9]{3}(\.p/[1-9][0-9]{0,2})?$"},
        "0/000.p/1",
    ),
    "digest": ("附件摘要 a file's digest", {"pattern": "^sha256:[0-9a-f]{64}$"}, "sha256:" + "0" * 64),
}
"""The parts of a path: what they are, their form, an example."""


def _answered(says: str, form: dict[str, Any]) -> dict[str, Any]:
    return {"description": says, "schema": form}


_POSITION = _answered("真实到此位置 the position up to which it is true", WHOLE)
_ETAG = _answered('版本 the version, as `"7"`', {"type": "string", "pattern": '^"[0-9]+"$'})
_LEDGER = _answered("培训演练城市的账本 of a sandbox only: which ledger it is of, since a reset makes another", TEXT)
_RETRY = _answered("多少秒后再试 seconds to wait", {"type": "integer", "minimum": 1})

REFUSED: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": _answered("Bearer", TEXT)},
    405: {"Allow": _answered("此地址接受的方法 the methods that this address takes", TEXT)},
    429: {"Retry-After": _RETRY},
    503: {"Retry-After": _RETRY},
}
"""The headers of refusals, by status."""


def headers(operation: Operation) -> dict[str, Any]:
    """Return the headers of an operation's answer."""
    found = {"Ledger-Position": _POSITION, "Huiyin-Ledger": _LEDGER}
    if operation.command is not None:
        found |= {
            "ETag": _ETAG,
            "Location": _answered("读取此记录的地址 where the record is read", TEXT),
            "Idempotency-Replayed": _answered("此命令先前已执行 it was carried out before", {"const": "true"}),
        }
    elif operation.name.startswith("order") or operation.kind:
        found["ETag"] = _ETAG
    if operation.name == "exchange_take":
        found["Location"] = _answered("读取此记录的地址 where the record is read", TEXT)
    if operation.name == "feed" or any(query.name == "cursor" for query in operation.queries):
        found["Link"] = _answered('下一页 the next page, rel="next"', TEXT)
    return found
