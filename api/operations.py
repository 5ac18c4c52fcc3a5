"""Every operation of the API: a table of questions, and one operation for each command of the domain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from api import (
    applicant,
    archiving,
    auditing,
    callers,
    exchanging,
    feeding,
    figuring,
    files,
    looking,
    offices,
    overseeing,
    papers,
    proving,
    reading,
    registers,
    reports,
    sandbox,
    supervising,
    telling,
    visits,
    workbench,
    writing,
)
from api.asking import LARGEST_PAGE, Answer, Ask
from api.commands import SERVED
from api.reading import Opening
from api.writing import COLLECTIONS, NEW
from archive.filing import Stage
from domain.clocks import Status
from domain.duties import title_of
from domain.kinds import KINDS
from domain.matters.inquiries import InquiryKind
from domain.matters.matter import MatterKind
from domain.matters.publications import ReportKind
from domain.terms import Act, ClockName, DemandType, NoticeState, OrderState, Role
from projections.figures import Side
from supervision.catalogue import KINDS as FINDINGS
from supervision.catalogue import Family, Severity
from supervision.instruments import InstrumentKind

Run = Callable[[Ask], Awaitable[Answer]]


class Tag(StrEnum):
    """Who an operation is for."""

    DESK = "desk 热线"
    ORGANIZERS = "organizers 承办单位"
    SUPERVISION = "supervision 督办"
    CITIZENS = "citizens 诉求人"
    OVERSIGHT = "oversight 人大政协"
    LAW = "law 规则"
    MACHINES = "machines 系统"


class Query(NamedTuple):
    """A query parameter: its name, what it is, the words it may be, whether it may be said several times.

    `example` is taken together with those of the operation's other parameters.
    """

    name: str
    says: str
    words: tuple[str, ...] = ()
    kind: Literal["string", "integer", "boolean"] = "string"
    many: bool = False
    needed: bool = False
    example: Any = None
    form: Mapping[str, Any] = {}  # what of its schema the kind does not say


class Operation(NamedTuple):
    """One operation. `path` is below the city; `command` and `kind` where it gives a command."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    says: str
    run: Run
    tags: tuple[Tag, ...]
    queries: tuple[Query, ...] = ()
    command: type[Act] | None = None
    kind: str = ""
    body: type | None = None
    media: str = "application/json"
    example: Any = None  # of a body that is no command's: theirs come from the case scripts
    by_code: bool = False  # without a token: number and query code are shown in the body
    paced: bool = False  # asked so often a minute and no oftener: `ask.paced` counts, once it is known that they may


_WHOLE = {"minimum": 0, "maximum": 10**18 - 1}
_POSITION = {"minimum": 1, "maximum": 10**18 - 1}
_INSTANT = {"format": "date-time"}

CURSOR = Query("cursor", "从上一页的 next 取得 from `next` of the page before")
"""What a page before gave: nobody makes one up, so there is no example of it."""
LIMIT = Query("limit", f"1 … {LARGEST_PAGE}", kind="integer", example=50, form={"minimum": 1, "maximum": LARGEST_PAGE})
WAIT = Query(
    "min_position", "等到查询表跟上此位置 wait until the tables have reached it", kind="integer", example=1, form=_WHOLE
)
AS_AT = Query(
    "as_at",
    "截至此时已发生的 what had happened by then, as is known now",
    example="2026-11-21T09:30:00+08:00",
    form=_INSTANT,
)
RECORDED = Query(
    "recorded_by", "当时所知 what the ledger knew then", example="2026-11-21T09:30:00+08:00", form=_INSTANT
)
UNIT = Query("unit", "单位代码 a unit's code; a unit's own people: theirs, or one below", example="D")
PAGED = (LIMIT, CURSOR)
OPEN = Query("open", "只列未结 only those still open", kind="boolean", example=True)
FORMAT = Query(
    "format",
    "格式: csv 为表格, 不写则依 Accept csv: as a table, for spreadsheets; without: as Accept says",
    ("json", "csv"),
    example="json",
)
_PROVING = (Tag.OVERSIGHT, Tag.MACHINES)
_EVERYBODY = (Tag.DESK, Tag.ORGANIZERS, Tag.SUPERVISION)


def _words(kind: type[StrEnum]) -> tuple[str, ...]:
    return tuple(str(one) for one in kind)


def _ask(
    path: str, name: str, says: str, run: Run, tags: tuple[Tag, ...], *queries: Query, paced: bool = False
) -> Operation:
    return Operation("GET", path, name, says, run, tags, queries, paced=paced)


_FOUND = (Tag.ORGANIZERS, Tag.SUPERVISION, Tag.OVERSIGHT)
_FIGURED = (Tag.DESK, Tag.ORGANIZERS, Tag.SUPERVISION, Tag.OVERSIGHT)
PERIOD = (
    Query("from", "期初 its first day", needed=True, example="2026-11-01", form={"format": "date"}),
    Query("to", "期末 its last day, included", needed=True, example="2026-11-30", form={"format": "date"}),
)
PARTS = (
    UNIT,
    Query("type", "诉求类型", _words(DemandType), example="help"),
    Query("area", "区县", example="东区"),
)
AS_OF_POSITION = (
    Query("cut_off", "截至账本此位置 as the ledger was then", kind="integer", example=1, form=_WHOLE),
    Query("current", "已公布的期间也按现况 as it is now, though closed", kind="boolean", example=False),
)

QUESTIONS: tuple[Operation, ...] = (
    _ask("", "city", "城市 the city, how far its ledger has come, and who you are in it", reading.city, (Tag.LAW,)),
    _ask("/ping", "ping", "试连 whether the token is taken and the role held", reading.ping, (Tag.MACHINES,)),
    Operation("POST", "/ping", "ping_post", "试连 the same, as a write would come", reading.ping, (Tag.MACHINES,)),
    _ask(
        "/orders",
        "orders",
        "工单列表 orders by registration, or by what is due next",
        reading.orders,
        _EVERYBODY,
        Query("state", "状态 states", _words(OrderState), many=True, example=("registered", "dispatched")),
        UNIT,
        Query("overdue", "只列超期 only those with a duty that is late", kind="boolean", example=False),
        Query("sort", "排序", ("registered", "due"), example="registered"),
        *PAGED,
        WAIT,
    ),
    _ask(
        "/orders/{record}",
        "order",
        "工单 one order with its clocks; its number, old number or id",
        reading.order,
        (*_EVERYBODY, Tag.CITIZENS, Tag.OVERSIGHT),
        AS_AT,
        RECORDED,
    ),
    _ask(
        "/orders/{record}/history",
        "order_history",
        "全过程 what happened to an order",
        reading.order_history,
        (*_EVERYBODY, Tag.OVERSIGHT),
        AS_AT,
        RECORDED,
        *PAGED,
    ),
    _ask(
        "/orders/{record}/clocks",
        "order_clocks",
        "时限说明 its clocks, every counted and skipped day with the article behind it",
        reading.order_clocks,
        _EVERYBODY,
        AS_AT,
        RECORDED,
    ),
    _ask(
        "/orders/{record}/duties", "order_duties", "待办 what is to be done about it", reading.order_duties, _EVERYBODY
    ),
    _ask(
        "/duties",
        "duties",
        "待办 what a unit has to do next, the next due first; to who supervises, with the steps that take a person",
        reading.duty_list,
        _EVERYBODY,
        UNIT,
        Query("mine", "只列本人可办 only what you may do yourself", kind="boolean", example=False),
        Query("role", "角色 roles", _words(Role), many=True, example=("org_handler",)),
        *PAGED,
        WAIT,
    ),
    _ask(
        "/search",
        "search",
        "检索 orders whose title, category, place or number has every word; a page may be shorter than asked for",
        reading.search,
        _EVERYBODY,
        Query("q", "词 words", needed=True, example="路灯", form={"minLength": 1, "maxLength": 100}),
        *PAGED,
        WAIT,
    ),
    _ask(
        "/notices",
        "notices",
        "督办文书 notices about orders",
        offices.notices,
        _EVERYBODY,
        UNIT,
        Query("state", "状态 states", _words(NoticeState), many=True, example=("issued",)),
        OPEN,
        FORMAT,
        *PAGED,
        WAIT,
    ),
    _ask(
        "/clocks",
        "clocks",
        "时钟 clocks by due instant, each as it stands now; a page may be shorter than asked for",
        offices.clocks,
        _EVERYBODY,
        UNIT,
        Query("name", "时钟 clocks", _words(ClockName), many=True, example=("handle",)),
        Query("state", "计时状态 how they stand", _words(Status), many=True, example=("overdue", "late")),
        Query("from", "到期起 due from", example="2026-11-01T00:00:00+08:00", form=_INSTANT),
        Query("to", "到期止 due before", example="2026-12-01T00:00:00+08:00", form=_INSTANT),
        Query("breached", "只列超期 only duties that are or were late", kind="boolean", example=True),
        FORMAT,
        *PAGED,
        WAIT,
    ),
    _ask(
        "/appeals",
        "appeals",
        "考核申诉 appeals against published figures, with the time to decide them",
        offices.appeals,
        _EVERYBODY,
        UNIT,
        Query("state", "状态 states", _words(offices.AppealState), many=True, example=("open",)),
        Query("indicator", "指标 indicators", many=True, example=("I8",)),
        Query("order", "工单 an order's number, old number or id", example="HY20261121-000001"),
        FORMAT,
        *PAGED,
        WAIT,
    ),
    _ask(
        "/matters",
        "matters",
        "督办事项 circulars, notices to units, meetings, inspections, referrals, shifts handed over",
        offices.matters,
        (Tag.ORGANIZERS, Tag.SUPERVISION),
        UNIT,
        Query("kind", "种类 kinds", _words(MatterKind), many=True, example=("meeting", "inspection")),
        OPEN,
        Query("late", "只列逾期 only those about which somebody is late", kind="boolean", example=False),
        Query("from", "立项起 opened from", example="2026-11-01T00:00:00+08:00", form=_INSTANT),
        Query("to", "立项止 opened before", example="2026-12-01T00:00:00+08:00", form=_INSTANT),
        FORMAT,
        *PAGED,
        WAIT,
    ),
    _ask(
        "/proposals",
        "proposals",
        "拟办 where problems come together: proposed to people, never done by itself",
        supervising.proposals,
        (Tag.SUPERVISION,),
        WAIT,
    ),
    _ask(
        "/next-steps",
        "next_steps",
        "待人工 what has come about and takes a person, with who may; a page may be shorter than asked for",
        supervising.next_steps,
        (Tag.SUPERVISION,),
        *PAGED,
        WAIT,
    ),
    _ask(
        "/changes",
        "changes",
        "到期改变 the due instants that a calendar or an outage moved, by unit, among the clocks that run now",
        offices.changes,
        (Tag.ORGANIZERS, Tag.SUPERVISION),
        Query("from", "首个位置 the first position", kind="integer", needed=True, example=1, form=_POSITION),
        Query("to", "末个位置 the last one; without: the first", kind="integer", example=2, form=_POSITION),
        UNIT,
        FORMAT,
        *PAGED,
        WAIT,
        paced=True,
    ),
    Operation(
        "POST",
        "/samples",
        "draw_sample",
        "回访抽样 draw who is to be visited, of each unit its share; a period that is over is drawn once",
        visits.draw,
        (Tag.DESK, Tag.SUPERVISION),
        body=visits.Draw,
        example={"first": "2026-11-01", "last": "2026-11-07", "percent": 20, "dry_run": True},
        paced=True,
    ),
    _ask(
        "/samples/{seed}",
        "sample",
        "抽样复核 a drawing drawn again from the ledger, beside what is recorded under its seed",
        visits.checked,
        (Tag.DESK, Tag.SUPERVISION),
        FORMAT,
        paced=True,
    ),
    _ask("/units", "units", "单位 units with what lies on their desks", reading.units, _EVERYBODY, WAIT),
    _ask(
        "/indicators",
        "indicators",
        "指标 the indicators of a period, each with what stands above and below its line; of a closed one as published",
        figuring.figures,
        _FIGURED,
        *PERIOD,
        Query("by", "分组", ("unit", "type", "area"), example="unit"),
        *PARTS,
        *AS_OF_POSITION,
        Query("only", "只列 these alone", many=True, example=("I10",)),
        FORMAT,
        WAIT,
        paced=True,
    ),
    _ask(
        "/indicators/definitions",
        "indicator_definitions",
        "统计口径 how each indicator is counted, from which article, and what is left out",
        figuring.definitions,
        _FIGURED,
    ),
    _ask(
        "/indicators/{code}/orders",
        "indicator_orders",
        "指标明细 the orders behind a figure: above its line, below it, or below and not above",
        figuring.behind,
        _FIGURED,
        *PERIOD,
        Query("side", "分子、分母或未达", _words(Side), example="missed"),
        *PARTS,
        *AS_OF_POSITION,
        FORMAT,
        *PAGED,
        WAIT,
        paced=True,
    ),
    _ask(
        "/findings",
        "findings",
        "问题清单 what is wrong with the next so many cases by their own packs; a page may hold nothing, and go on",
        auditing.city_findings,
        _FOUND,
        UNIT,
        Query(
            "from",
            "计入时刻起 that count from here on: due, or broken, then",
            example="2025-01-01T00:00:00+08:00",
            form=_INSTANT,
        ),
        Query("to", "计入时刻止 and before this", example="2027-01-01T00:00:00+08:00", form=_INSTANT),
        Query("kind", "问题种类", tuple(sorted(FINDINGS)), many=True, example=("late-handle",)),
        Query("family", "大类", _words(Family), many=True, example=("clock",)),
        Query("severity", "轻重", _words(Severity), many=True, example=("serious",)),
        Query(
            "cases",
            "本页查看的工单数 cases that this page looks at",
            kind="integer",
            example=100,
            form={"minimum": 1, "maximum": auditing.MOST_CASES},
        ),
        Query(
            "format",
            "csv: 带 BOM, 供表格软件, 不写则依 Accept for spreadsheets; without: as Accept says",
            ("json", "csv"),
            example="json",
        ),
        CURSOR,
        paced=True,
    ),
    _ask(
        "/orders/{record}/findings",
        "order_findings",
        "问题 what is wrong with one order by its own pack, with what its unit stated",
        auditing.order_findings,
        _FOUND,
    ),
    _ask("/policies", "policies", "政策 the policies published here", reading.policies, (Tag.LAW,)),
    _ask("/policies/{pack}", "policy", "政策 one of them, whole", reading.policy, (Tag.LAW,)),
    _ask(
        "/calendars/{year}",
        "calendar",
        "日历 a year day by day",
        reading.calendar,
        (Tag.LAW,),
        Query("known_at", "当时所知 as it was known then", example="2026-01-01T00:00:00+08:00", form=_INSTANT),
    ),
    _ask(
        "/due",
        "due",
        "计算时限 when a limit would end, every day counted; without a case",
        reading.due,
        (Tag.LAW,),
        Query("policy", "政策; without: the one in force", example="S0-CHUANYU"),
        Query("clock", "时限", _words(ClockName), needed=True, example="handle"),
        Query("class", "类别; without: the only one", example="consult"),
        Query("at", "起算时刻 the starting instant", needed=True, example="2025-01-27T15:00:00+08:00", form=_INSTANT),
        Query("peak", "话务集中 registered in a peak", kind="boolean", example=False),
    ),
    _ask(
        "/institution/history",
        "institution_history",
        "机构沿革 what became law here: policies, calendars, units, roles",
        reading.institution_history,
        (Tag.LAW,),
        *PAGED,
    ),
    _ask(
        "/access/{day}",
        "access",
        "查看记录 who opened what on a day, and why",
        reading.access_journal,
        (Tag.SUPERVISION,),
        *PAGED,
    ),
    _ask(
        "/feed",
        "feed",
        "事件流 what happened after a position, as CloudEvents within a share agreement; text/event-stream goes on",
        feeding.feed,
        (Tag.MACHINES,),
        Query("after", "位置 the last position you have", kind="integer", example=0, form=_WHOLE),
        Query("limit", "1 … 1000", kind="integer", example=100, form={"minimum": 1, "maximum": 1000}),
        Query(
            "wait",
            "等待秒数 seconds to wait for something new, at most 20",
            kind="integer",
            example=0,
            form={"minimum": 0, "maximum": 20},
        ),
    ),
)


def _of_records() -> Iterator[Operation]:
    """Yield what is asked of a record of each kind."""
    for collection, kind in COLLECTIONS.items():
        if kind == "institution":
            continue
        path = f"/{collection}/{{record}}"
        if kind != "order":
            says = next(k for k in KINDS if k.name == kind).name
            name = "archive_batch" if kind == "batch" else kind  # `batch` is many commands at once, for machines
            yield Operation(
                "GET", path, name, f"记录 one record: {says}", reading.record, (Tag.SUPERVISION,), (), kind=kind
            )
            yield Operation(
                "GET",
                f"{path}/history",
                f"{kind}_history",
                f"全过程 what happened to it: {says}",
                reading.record_history,
                (Tag.SUPERVISION,),
                PAGED,
                kind=kind,
            )
        says = "开启密封字段 open sealed fields of one entry; who looked and why is recorded first"
        tags = _EVERYBODY if kind == "order" else (Tag.SUPERVISION,)
        yield Operation(
            "POST",
            f"{path}/open",
            f"open_{kind}",
            says,
            reading.open_sealed,
            tags,
            kind=kind,
            body=Opening,
            example={"version": 1, "purpose": "handling"},
            paced=True,
        )


VALIDATE = Query("validate", "只试不写 decide, write nothing", kind="boolean", example=True)

BATCH = Operation(
    "POST",
    "/batch",
    "batch",
    "批量 many commands, a line each; answered a line each",
    writing.batch,
    (Tag.MACHINES,),
    (VALIDATE,),
    body=writing.Line,
    media="application/x-ndjson",
    example={
        "id": "2026-11-21/0001",
        "command": {"type": "inquire", "words": "何时办结"},
        "record": "HY20261121-000001",
    },
)


_FORMAT = Query("format", "格式; without: as Accept says, else HTML", ("html", "pdf"), example="html")

_KNOCK = {"number": "HY20261121-000001", "code": "0000-0000-0000"}
_WHY = {"purpose": "caller-on-the-line", "words": "来电询问进度"}


def _by_code(name: str, says: str, run: Run, body: type, **more: Any) -> Operation:
    return Operation(
        "POST",
        f"/applicant/{name}",
        f"applicant_{name}",
        says,
        run,
        (Tag.CITIZENS,),
        body=body,
        example={**_KNOCK, **more},
        by_code=True,
    )


APPLICANTS: tuple[Operation, ...] = (
    _by_code("view", "查询 how an order stands; by number and query code", applicant.view, applicant.Knock),
    _by_code(
        "answer", "查看答复 the words of the reply; that they were read is recorded", applicant.answer, applicant.Knock
    ),
    _by_code(
        "sheet",
        "查询单 all that an applicant is told, to print, as HTML or PDF; what is opened for it is recorded",
        applicant.sheet,
        applicant.Knock,
    )._replace(queries=(_FORMAT,)),
    _by_code(
        "access",
        "查看记录 who looked at the order and its applicant: when, which office and role, what for, which fields",
        applicant.access,
        applicant.Knock,
    ),
    _by_code("urge", "催单 urge, once a day", applicant.urge, applicant.Urging, words="还没有人来"),
    _by_code(
        "evaluate",
        "评价 evaluate the newest reply",
        applicant.evaluate,
        applicant.Evaluating,
        ratings={"result": "satisfied"},
        words="谢谢",
    ),
)

DESK: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/callers",
        "callers",
        "来电人的工单 a caller's orders, by telephone number; who asked and why is recorded first",
        callers.callers,
        (Tag.DESK,),
        body=callers.Caller,
        example={"phone": "13800001111", **_WHY, "limit": 20},
        paced=True,
    ),
    Operation(
        "POST",
        "/orders/{record}/query_code",
        "query_code",
        "重发查询码 the query code again, for an applicant known to you; recorded first",
        callers.query_code,
        (Tag.DESK,),
        body=callers.Purpose,
        example=_WHY,
        paced=True,
    ),
    Operation(
        "POST",
        "/orders/{record}/inform_children",
        "inform_children",
        "并单告知 every applicant whose order was merged into it is told its answer, once; who is told otherwise is listed",
        telling.inform_children,
        (Tag.DESK, Tag.ORGANIZERS),
        body=telling.Wanted,
        example={"medium": "sms", "call": "SMS-20261121-1", "dry_run": True},
        paced=True,
    ),
)


_REFERENCE = "GJ-2026-000001"

EXCHANGE: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/exchange/orders",
        "exchange_take",
        "转入 an order that another platform hands over, once for each of its references",
        exchanging.take,
        (Tag.MACHINES,),
        body=exchanging.Inbound,
        example={
            "reference": _REFERENCE,
            "channel": "national_platform",
            "due": "2026-11-28T18:00:00+08:00",
            "title": "路灯不亮",
            "category": "市政/路灯",
            "attributes": {"demand_type": "help"},
            "content": "河滨路的路灯三天不亮。",
            "applicant": {"kind": "person", "name": "张三", "phone": "13800001111"},
        },
    ),
    _ask(
        "/exchange/orders",
        "exchange_order",
        "转入办理情况 how an order stands that a platform handed to us",
        exchanging.order,
        (Tag.MACHINES,),
        Query("reference", "对方编号 the platform's own reference", needed=True, example=_REFERENCE),
    ),
    Operation(
        "POST",
        "/exchange/open",
        "exchange_open",
        "互转查阅 the answer to what a platform handed to us, or the demand we handed to it; recorded first",
        exchanging.read,
        (Tag.MACHINES,),
        body=exchanging.Wanted,
        example={"purpose": "exchange", "reference": _REFERENCE},
        paced=True,
    ),
    Operation(
        "POST",
        "/exchange/receipts",
        "exchange_receipt",
        "转出回执 whether a platform took what we handed to it",
        exchanging.receipt,
        (Tag.MACHINES,),
        body=exchanging.Receipt,
        example={"order": "HY20261121-000001", "taken": True, "reference": "CQ-1"},
    ),
)


FILES: tuple[Operation, ...] = (
    _ask(
        "/orders/{record}/attachments",
        "attachments",
        "附件 the files that an order's entries name",
        files.listed,
        _EVERYBODY,
    ),
    Operation(
        "POST",
        "/orders/{record}/attachments",
        "upload_attachment",
        "上传附件 keep a file of an order, sealed; a command then names it by what is answered",
        files.upload,
        (*_EVERYBODY, Tag.CITIZENS),
        media="*/*",
    ),
    Operation(
        "POST",
        "/orders/{record}/attachments/{digest}/open",
        "open_attachment",
        "开启附件 what a file holds; who opened it and why is recorded first",
        files.opened,
        _EVERYBODY,
        body=callers.Purpose,
        example=_WHY,
        paced=True,
    ),
)


_TWO = (
    Query("from", "前一时刻或位置 the earlier instant, or position", needed=True, example="2026-11-01T00:00:00+08:00"),
    Query("to", "后一时刻或位置 the later one", needed=True, example="2026-11-21T00:00:00+08:00"),
)
_WHAT_FOR = Query("purpose", "用途代码 what for, as a code; it is recorded", example="audit")

_REGISTERED = (
    Query(
        "from", "登记时刻起 registered from here on", needed=True, example="2025-01-01T00:00:00+08:00", form=_INSTANT
    ),
    Query("to", "登记时刻止 and before this", needed=True, example="2027-01-01T00:00:00+08:00", form=_INSTANT),
)

AUDITS: tuple[Operation, ...] = (
    _ask(
        "/audit/entries",
        "audit_entries",
        "查账 entries of all histories by what, who, when, how late; recorded; a page may hold nothing, and go on",
        workbench.entries,
        (Tag.SUPERVISION,),
        Query("type", "事件 what happened: tags of events", many=True, example=("order.reply_submitted",)),
        Query("user", "何人 who did it", example="handler-1"),
        Query("role", "角色 in which role", _words(Role), example="org_handler"),
        UNIT,
        Query("from", "发生时刻起 that happened from here on", example="2025-01-01T00:00:00+08:00", form=_INSTANT),
        Query("to", "发生时刻止 and before this", example="2027-01-01T00:00:00+08:00", form=_INSTANT),
        Query(
            "late",
            "超期至少秒数 that ended a clock so many seconds late, at least",
            kind="integer",
            example=0,
            form=_WHOLE,
        ),
        _WHAT_FOR,
        FORMAT,
        *PAGED,
        paced=True,
    ),
    _ask(
        "/audit/orders",
        "audit_orders",
        "两时点对比 the orders that were otherwise at two instants, each beside itself; recorded",
        workbench.orders_difference,
        (Tag.SUPERVISION,),
        *_TWO,
        Query("by", "按发生或按记录 by what happened, or was recorded", ("happened", "recorded"), example="happened"),
        UNIT,
        _WHAT_FOR,
        *PAGED,
        paced=True,
    ),
    _ask(
        "/orders/{record}/difference",
        "order_difference",
        "两时点对比 what an order had otherwise at two instants, or positions, and its clocks",
        workbench.order_difference,
        _EVERYBODY,
        *_TWO,
        Query("by", "按发生、记录或位置 told apart by", _words(workbench.By), example="happened"),
    ),
    _ask(
        "/orders/{record}/access",
        "order_access",
        "查看记录 who looked at an order and its applicant, what for, and at which fields; nothing of what they saw",
        looking.order_access,
        (Tag.SUPERVISION,),
        *PAGED,
    ),
    _ask(
        "/orders/{record}/corrections",
        "order_corrections",
        "更正对照 what was corrected, beside what had been recorded; who proposed, who approved",
        workbench.order_corrections,
        (Tag.SUPERVISION,),
    ),
    _ask(
        "/audit/period",
        "audit_period",
        "重放 a period as it stood at a position: orders, clocks and figures; who asked is recorded first",
        workbench.period,
        (Tag.SUPERVISION,),
        *_REGISTERED,
        Query("position", "位置 as of which; without: now", kind="integer", example=1, form=_POSITION),
        UNIT,
        _WHAT_FOR,
        *PAGED,
        paced=True,
    ),
    _ask(
        "/audit/period/difference",
        "audit_period_difference",
        "两位置对比 what a period has otherwise at two positions, order by order, and by which events",
        workbench.period_difference,
        (Tag.SUPERVISION,),
        *_REGISTERED,
        Query("before", "前一位置 the earlier position", kind="integer", needed=True, example=1, form=_POSITION),
        Query("after", "后一位置 the later one", kind="integer", needed=True, example=2, form=_POSITION),
        UNIT,
        _WHAT_FOR,
        *PAGED,
        paced=True,
    ),
    Operation(
        "POST",
        "/audit/copies",
        "audit_copies",
        "取证 histories of orders to take along: JSON Lines with proofs (`huiyin verify`), or a table; recorded first",
        workbench.copies,
        (Tag.SUPERVISION,),
        body=workbench.Copying,
        example={"records": ["HY20261121-000001"], "purpose": "audit", "format": "jsonl"},
        paced=True,
    ),
)


PROOFS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/log/heads",
        "log_sign",
        "签署树头 sign what the ledger holds now, before the minute is over",
        proving.sign,
        _PROVING,
    ),
    _ask(
        "/log/checkpoint",
        "log_checkpoint",
        "签名树头 the last signed head of the ledger with its cosignatures: a checkpoint of C2SP",
        proving.checkpoint,
        _PROVING,
    ),
    _ask(
        "/log/tile/{tile_path}",
        "log_tile",
        "哈希块 the hashes of a tile, in the layout of C2SP tlog-tiles: for monitors and witnesses",
        proving.tile,
        _PROVING,
    ),
    _ask(
        "/log/consistency",
        "log_consistency",
        "一致性证明 that the ledger of one size begins with that of another",
        proving.consistency,
        _PROVING,
        Query("from", "较早的事件数 events of the earlier one", kind="integer", needed=True, example=1, form=_WHOLE),
        Query("to", "较晚的事件数 events of the later one", kind="integer", needed=True, example=1, form=_WHOLE),
    ),
    Operation(
        "POST",
        "/log/cosignatures",
        "log_cosign",
        "见证签名 take what known witnesses signed of a head: the note with their lines",
        proving.cosign,
        _PROVING,
        media="text/plain",
        example="huiyin/LEDGER\n1\nAAAA…\n\n— witness.example …\n",
    ),
    _ask(
        "/orders/{record}/evidence",
        "order_evidence",
        "存证 the history of an order as digests, with the proof that it is in the ledger: `huiyin verify` checks it offline",
        proving.evidence,
        (Tag.SUPERVISION, Tag.OVERSIGHT),
    ),
    *(
        _ask(
            f"/{collection}/{{record}}/bundle",
            f"{COLLECTIONS[collection]}_bundle",
            "证据包 what a referral rests on, as its letter names it, for the organ referred to; each download is recorded",
            proving.bundle,
            (Tag.OVERSIGHT,),
        )._replace(kind=COLLECTIONS[collection])
        for collection in ("orders", "matters")
    ),
)


def _of_papers() -> Iterator[Operation]:
    """Yield what is asked of the papers of records, and of their register."""
    yield _ask(
        "/instruments",
        "instruments",
        "文书登记簿 the papers of a kind and year by their running numbers; a page may be shorter than asked for",
        papers.registered,
        _EVERYBODY,
        Query("kind", "文书种类", _words(InstrumentKind), needed=True, example="dispatch_slip"),
        Query("year", "年; without: this one", kind="integer", example=2026, form={"minimum": 0, "maximum": 9999}),
        Query("unit", "发往单位 a unit that it is for", example="D"),
        *PAGED,
    )
    yield _ask(
        "/duty_book",
        "duty_book",
        "值班记录簿 every call of a day or shift by its running number, as HTML or PDF; who called stays sealed",
        papers.duty_book,
        (Tag.DESK, Tag.SUPERVISION),
        Query("day", "日 the day", needed=True, example="2026-11-21", form={"format": "date"}),
        Query("shift", "班次 one shift alone", example="白班"),
        Query("cut_off", "截至账本此位置; without: now", kind="integer", example=1, form=_WHOLE),
        _FORMAT,
        paced=True,
    )
    for collection in ("orders", "matters", "inquiries"):
        kind = COLLECTIONS[collection]
        path = f"/{collection}/{{record}}/instruments"
        tags = _EVERYBODY if kind == "order" else (Tag.SUPERVISION,)
        listed = _ask(path, f"{kind}_instruments", "文书 the papers of one record", papers.listed, tags)
        yield listed._replace(kind=kind)
        says = "文书 one of them as HTML or PDF; what is sealed stays so. The same bytes whenever it is asked for"
        one = _ask(f"{path}/{{version}}", f"{kind}_instrument", says, papers.shown, tags, _FORMAT)
        yield one._replace(kind=kind)
        yield Operation(
            "POST",
            f"{path}/{{version}}/open",
            f"open_{kind}_instrument",
            "文书全文 one of them whole; who opened it and why is recorded first",
            papers.opened,
            tags,
            (_FORMAT,),
            kind=kind,
            body=callers.Purpose,
            example={"purpose": "printing"},
            paced=True,
        )


REPORTS: tuple[Operation, ...] = (
    _ask(
        "/reports",
        "reports",
        "已公布的报告 the reports that were published, with cut-off, template and digest",
        reports.listed,
        (Tag.SUPERVISION, Tag.OVERSIGHT),
        Query("kind", "报告种类", _words(ReportKind), example="submission"),
        *PAGED,
    ),
    _ask(
        "/reports/{kind}",
        "report",
        "报告 one of a period as HTML, PDF or CSV: as published, or as the ledger was at a position; the same for ever",
        reports.made,
        (Tag.SUPERVISION, Tag.OVERSIGHT),
        Query("from", "期初 its first day", needed=True, example="2026-11-01", form={"format": "date"}),
        Query("to", "期末 its last day, included", needed=True, example="2026-11-30", form={"format": "date"}),
        Query("cut_off", "截至账本此位置; without: as published, else now", kind="integer", example=1, form=_WHOLE),
        Query(
            "order",
            "专报涉及的工单 cases that a special report is about, by id",
            many=True,
            example=("01990000-0000-7000-8000-000000000000",),
            form={"format": "uuid"},
        ),
        Query("format", "格式; without: as Accept says, else HTML", ("html", "pdf", "csv"), example="html"),
        paced=True,
    ),
)


PURPOSE = Query(
    "purpose",
    "查询目的, 代表委员须写明 what it is for; overseers must say",
    _words(overseeing.QueryPurpose),
    example="session",
)
_OVERSEEN = (Tag.OVERSIGHT, Tag.SUPERVISION)
OVERSIGHT: tuple[Operation, ...] = (
    _ask(
        "/oversight",
        "oversight",
        "监督公开 the periods that are closed, what is counted of each, and which office answers for it",
        overseeing.overview,
        _OVERSEEN,
        PURPOSE,
    ),
    _ask(
        "/oversight/figures",
        "oversight_figures",
        "监督统计 a closed quarter or year by unit, type, area and category; small numbers are counted together",
        overseeing.figures,
        _OVERSEEN,
        PURPOSE,
        Query(
            "period",
            "季度或年度 a quarter or a year",
            needed=True,
            example="2026Q3",
            form={"pattern": "^[0-9]{4}(Q[1-4])?$"},
        ),
        Query("measure", "统计项 what is counted", _words(overseeing.Counts), many=True, example=("due",)),
        Query("by", "分项 by what", _words(overseeing.By), many=True, example=("unit",)),
        FORMAT,
    ),
    _ask(
        "/oversight/orders",
        "oversight_orders",
        "可查工单 orders closed in a quarter that may be followed one by one; never all of them",
        overseeing.orders,
        _OVERSEEN,
        PURPOSE,
        Query("period", "季度 a quarter", needed=True, example="2026Q3", form={"pattern": "^[0-9]{4}Q[1-4]$"}),
        Query("measure", "统计项 counted in this", _words(overseeing.Counts), example="due"),
        Query("ending", "结果 and came out so", example="late"),
        UNIT,
        Query("type", "诉求类型", _words(DemandType), example="help"),
        Query("area", "区县", example="东区"),
        Query("category", "类别", example="市政/路灯"),
        *PAGED,
    ),
    _ask(
        "/oversight/orders/{handle}",
        "oversight_order",
        "去标识办理过程 how one of them went: steps, units, codes and days; who looked is recorded",
        overseeing.order,
        _OVERSEEN,
        PURPOSE,
    ),
    Operation(
        "POST",
        "/oversight/orders/{handle}/ask",
        "oversight_text_asked",
        "请求公开摘要或调阅脱敏卷宗 ask the hotline's office to release a summary of its text, or its masked dossier",
        overseeing.ask_text,
        (Tag.OVERSIGHT,),
        body=overseeing.Asking,
        example={"words": "请公开该件的办理摘要，用于专题调研。"},
    ),
    Operation(
        "POST",
        "/oversight/orders/{handle}/text",
        "oversight_text",
        "已公开的摘要 the summaries that were released; who reads them is recorded first",
        overseeing.text,
        (Tag.OVERSIGHT,),
        body=overseeing.OpeningText,
        example={"purpose": "research"},
        paced=True,
    ),
    _ask(
        "/oversight/topics",
        "oversight_topics",
        "热点 what people asked about most in a quarter, beside the one before, and how it was answered",
        overseeing.topics,
        _OVERSEEN,
        PURPOSE,
        Query("period", "季度 a quarter", needed=True, example="2026Q3", form={"pattern": "^[0-9]{4}Q[1-4]$"}),
    ),
    _ask(
        "/oversight/matters",
        "oversight_matters",
        "监督事项 what overseers asked, by kind, with the time to answer and what became of it",
        overseeing.matters,
        _OVERSEEN,
        PURPOSE,
        Query("kind", "类别 kinds", _words(InquiryKind), many=True, example=("deputy_suggestion",)),
        OPEN,
        *PAGED,
    ),
    Operation(
        "POST",
        "/oversight/matters/{record}/open",
        "oversight_matter",
        "所提意见及答复 what you asked yourself and the answer; who reads it is recorded first",
        overseeing.matter,
        (Tag.OVERSIGHT,),
        body=overseeing.OpeningText,
        example={"purpose": "follow_up"},
        paced=True,
    ),
    Operation(
        "POST",
        "/oversight/matters/{record}/dossier",
        "oversight_dossier",
        "已同意调阅的脱敏卷宗 the masked dossier that was released to you, as PDF; who reads it is recorded first",
        overseeing.dossier,
        (Tag.OVERSIGHT,),
        body=overseeing.OpeningDossier,
        example={"purpose": "inspection"},
        paced=True,
    ),
    _ask(
        "/oversight/submissions",
        "oversight_submissions",
        "收到的报送 what was sent to overseers, with digest, cut-off and where it is read",
        overseeing.submissions,
        _OVERSEEN,
        PURPOSE,
        *PAGED,
    ),
    _ask(
        "/oversight/queries",
        "oversight_queries",
        "监督查询记录 what was looked up, by whom, out of which unit and what for; to an overseer their own",
        overseeing.queries,
        _OVERSEEN,
        PURPOSE,
        *PAGED,
    ),
)


ARCHIVE: tuple[Operation, ...] = (
    _ask(
        "/archive/files",
        "archive_files",
        "待归档 closed cases whose file waits for its number, its record copy or its seal, and what each lacks",
        archiving.waiting,
        (Tag.DESK, Tag.SUPERVISION),
        Query("stage", "环节 what it waits for", _words(Stage), example="incomplete"),
        *PAGED,
        paced=True,
    ),
    _ask(
        "/archive/filing",
        "archive_filing",
        "归档进度 how far the filing of closed cases is, or how the last run of it ended",
        archiving.course,
        (Tag.DESK, Tag.SUPERVISION),
    ),
    Operation(
        "POST",
        "/archive/files/{record}/dossier",
        "archive_dossier",
        "取卷宗 a filed case's record copy as PDF, or a copy for use by its number in the register; who reads it is recorded first",
        archiving.dossier,
        (Tag.DESK,),
        body=archiving.Reading,
        example={"purpose": "lending"},
        paced=True,
    ),
    Operation(
        "POST",
        "/archive/packets",
        "archive_start_packet",
        "制作归档信息包 make a packet of filed cases for the archives; answered at once, asked again how far it is",
        archiving.start,
        (Tag.DESK,),
        body=archiving.Wanted,
        example={"numbers": "2026-D30-1..200"},
    ),
    _ask(
        "/archive/packets/{packet}",
        "archive_packet",
        "信息包进度 how far a packet is, and what was left out; one that stopped goes on when it is asked for again",
        archiving.progress,
        (Tag.DESK,),
    ),
    _ask(
        "/archive/packets/{packet}/content",
        "archive_packet_content",
        "取信息包 a packet that is ready, as a ZIP file; `huiyin verify` and the program in it check it offline",
        archiving.content,
        (Tag.DESK,),
    ),
    Operation(
        "POST",
        "/archive/packets/{packet}/handover",
        "archive_hand_over",
        "移交信息包 hand a packet over by its digest; every file in it is sealed",
        registers.hand_over,
        (Tag.DESK,),
        body=registers.To,
        example={"receiver": "市档案馆"},
    ),
    _ask(
        "/archive/register/{year}",
        "archive_register",
        "年度登记簿 every file number and register line of a year, in order, with gaps, retention and where each file is",
        registers.register,
        (Tag.DESK, Tag.SUPERVISION),
        Query("series", "只要一种 one series: D30 (案卷), L-D10 (登记簿行)", example="D10"),
        Query(
            "format", "格式; 不写则依 Accept without: as Accept says, else JSON", ("json", "csv", "pdf"), example="json"
        ),
        *PAGED,
        paced=True,
    ),
    _ask(
        "/archive/uses",
        "archive_uses",
        "利用登记 copies made for use, of a year or a case: for whom, what for, which edition, its digest, by whom",
        registers.uses,
        (Tag.DESK, Tag.SUPERVISION),
        Query("year", "年度; 不写则为今年 without: this year", example="2026"),
        Query("order", "工单编号或标识 of one order alone: its number or id", example="HY20261121-000001"),
        FORMAT,
        *PAGED,
        paced=True,
    ),
    _ask(
        "/archive/expired",
        "archive_expired",
        "到期清单 files whose retention is over by a day, what was thought of each since, and what still keeps it",
        registers.expired,
        (Tag.DESK, Tag.SUPERVISION),
        Query("by", "截至; 不写则为今日 without: today", example="2026-11-21"),
        FORMAT,
        *PAGED,
        paced=True,
    ),
    _ask(
        "/archive/batches",
        "archive_batches",
        "档案批次 packets that were handed over and lists to be destroyed, the newest first, and how far each is",
        registers.batches,
        (Tag.DESK, Tag.SUPERVISION),
        LIMIT,
    ),
    _ask(
        "/archive/batches/{batch}/files",
        "archive_batch_files",
        "销毁清册 the files of a list to be destroyed, for those who agree to its digest",
        registers.files,
        (Tag.DESK, Tag.SUPERVISION),
        FORMAT,
    ),
    Operation(
        "POST",
        "/archive/batches/{batch}/carry_out",
        "archive_carry_out",
        "办理批次 record that the next files went, or destroy them as was agreed; asked again until nothing is left",
        registers.carry_out,
        (Tag.DESK,),
        body=registers.CarryingOut,
        example={"witness": "jianxiao-01"},
    ),
)

RESET = Operation(
    "POST",
    "/reset",
    "reset",
    "重置培训演练城市 make a sandbox anew; a city in earnest is never reset",
    sandbox.reset,
    (Tag.LAW,),
)


def _of_commands() -> Iterator[Operation]:
    """Yield an operation for each command."""
    collection_of = {kind: collection for collection, kind in COLLECTIONS.items()}
    for kind in KINDS:
        for command in kind.commands:
            if command not in SERVED:
                continue
            name = str(command.__struct_config__.tag)
            begins = getattr(command, "creates", None) is not None
            path = f"/{collection_of[kind.name]}/{NEW if begins else '{record}'}/{name}"
            if kind.name == "institution":
                path = f"/institution/{name}"
            if name == "register":
                path = "/orders"
            yield Operation(
                "POST",
                path,
                name,
                title_of(command),
                _run_of(name, kind.name),
                audiences(command),
                (VALIDATE,),
                command=command,
                kind=kind.name,
            )


def _run_of(name: str, kind: str) -> Run:
    if name == "register":
        return writing.register
    return writing.institutional if kind == "institution" else writing.command


_HOTLINE = frozenset({Role.AGENT, Role.DISPATCHER, Role.HOTLINE_MANAGER, Role.QC_REVIEWER, Role.REVISITOR})
_UNITS = frozenset({Role.ORG_HANDLER, Role.ORG_APPROVER, Role.MGMT_UNIT})
_OVER = frozenset({Role.SUPERVISOR, Role.COORDINATOR, Role.LEADER, Role.DISCIPLINE, Role.ARCHIVIST, Role.AUDITOR})


def audiences(command: type[Act]) -> tuple[Tag, ...]:
    """Return who a command is for, from who may give it."""
    found = (
        (Tag.DESK, _HOTLINE),
        (Tag.ORGANIZERS, _UNITS),
        (Tag.SUPERVISION, _OVER),
        (Tag.CITIZENS, frozenset({Role.CITIZEN})),
        (Tag.OVERSIGHT, frozenset({Role.OVERSEER_NPC, Role.OVERSEER_CPPCC})),
        (Tag.LAW, frozenset({Role.ADMIN})),
        (Tag.MACHINES, frozenset({Role.SYSTEM})),
    )
    return tuple(tag for tag, roles in found if roles & command.roles)


OPERATIONS: tuple[Operation, ...] = (
    *QUESTIONS,
    *_of_records(),
    *APPLICANTS,
    *DESK,
    *EXCHANGE,
    *FILES,
    *_of_papers(),
    *REPORTS,
    *AUDITS,
    *PROOFS,
    *ARCHIVE,
    *OVERSIGHT,
    RESET,
    BATCH,
    *_of_commands(),
)
"""All of them."""
