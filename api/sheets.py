"""表格. A list as CSV, as an office opens it: a byte order mark, Chinese headings, times of Shanghai, words for codes."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from domain.clocks import Status
from domain.matters.matter import MatterKind, MatterState
from domain.terms import (
    SHANGHAI,
    AppealGround,
    ClockName,
    NoticeGround,
    NoticeKind,
    NoticeState,
    OrderState,
    Role,
    Urgency,
    Word,
)

MEDIA = "text/csv"
MARK = "\ufeff"
"""Without it, spreadsheets take UTF-8 for something else."""

TITLES: Mapping[str, str] = {
    "at": "发生时间",
    "accepted_at": "认可时间",
    "arrive_by": "到场期限",
    "arrived_at": "到场时间",
    "cancel_position": "取消位置",
    "cancelled_at": "取消时间",
    "cancelled_by": "取消原因",
    "clock": "时限",
    "clock_key": "时限序号",
    "closed_at": "办结时间",
    "command": "命令",
    "decided_at": "裁定时间",
    "done": "已验收事项",
    "due": "到期时间",
    "during_outage": "系统中断期间",
    "duties": "议定整改事项",
    "duty": "是否责任时限",
    "episode": "办理轮次",
    "escalated_to": "升级至",
    "exclusion": "剔除内容",
    "filed_at": "提出时间",
    "filed_by": "提出人",
    "grace": "审批宽限至",
    "ground": "理由",
    "id": "标识",
    "indicator": "指标",
    "instruction": "批示",
    "is_open": "未结",
    "issued_at": "签发时间",
    "issuer": "数据签发人",
    "key": "序号",
    "kind": "种类",
    "late": "逾期提出",
    "late_seconds": "超期秒数",
    "late_after": "超期起算",
    "limit_words": "时限",
    "moves": "变更次数",
    "name": "时钟",
    "new_due": "现到期时间",
    "no": "序",
    "not_by": "回避人",
    "note": "备注",
    "notice_state": "督办状态",
    "number": "编号",
    "of_class": "类别",
    "old_due": "原到期时间",
    "opened_at": "立项时间",
    "opened_by": "立项人",
    "order_id": "记录标识",
    "orders": "涉及工单",
    "pack": "规则",
    "paper_number": "文号",
    "position": "截至位置",
    "provisional": "暂定",
    "published_at": "公布时间",
    "reason": "理由代码",
    "recorded": "已登记抽中",
    "recorded_at": "记录时间",
    "referred_at": "移送时间",
    "reminder": "提醒节点",
    "replied_at": "回复时间",
    "reply_due": "回复期限",
    "report": "报告",
    "role": "角色",
    "roles": "可办角色",
    "round": "轮次",
    "served_at": "送达时间",
    "since": "起始时间",
    "site_recorded_at": "现场记录时间",
    "special_report": "督办专报",
    "start_position": "起算位置",
    "starts_at": "起算时间",
    "state": "状态",
    "status": "计时状态",
    "stop_position": "停止位置",
    "stopped_at": "停止时间",
    "stream": "记录",
    "title": "标题",
    "turn": "次数",
    "type": "事件代码",
    "unit": "单位",
    "units": "单位",
    "upheld": "是否支持",
    "urgency": "紧急程度",
    "user": "经办人",
    "version": "版本",
    "waits_for": "待办单位",
}
"""The heading of each column of the lists that are given as tables."""

STATUS: Mapping[str, str] = {
    Status.RUNNING: "计时中",
    Status.PENDING_EXTENSION: "延期审批中",
    Status.OVERDUE: "已超期",
    Status.ON_TIME: "按时",
    Status.LATE: "超期完成",
    Status.CANCELLED: "已取消",
    Status.CANCELLED_LATE: "取消前已超期",
    Status.LAPSED: "期满",
    Status.MEASURED: "仅计时",
}
_WORDS: Mapping[str, tuple[type[Word], ...]] = {
    "clock": (ClockName,),
    "ground": (NoticeGround, AppealGround),
    "kind": (NoticeKind, MatterKind),
    "name": (ClockName,),
    "notice_state": (NoticeState,),
    "role": (Role,),
    "state": (OrderState, NoticeState, MatterState),
    "urgency": (Urgency,),
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would carry out instead of showing."""


def table(
    kind: type[msgspec.Struct], rows: Sequence[msgspec.Struct], otherwise: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """Return rows as a table; without rows, its headings. `otherwise`: what columns are called here alone."""
    names = kind.__struct_fields__
    out = io.StringIO(newline="")
    out.write(MARK)
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([otherwise.get(name) or TITLES[name] for name in names])
    writer.writerows([_cell(name, getattr(row, name)) for name in names] for row in rows)
    return out.getvalue().encode()


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, datetime):
        return value.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, (list, tuple)):
        return plain("、".join("热线" if one == "" else str(one) for one in value))
    said = _word(name, str(value)) if isinstance(value, (str, UUID)) else str(value)
    return plain(said) if isinstance(value, str) else said


def plain(said: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{said}" if said.startswith(_FORMULA) else said


def _word(name: str, code: str) -> str:
    if name == "status":
        return STATUS[code]
    for words in _WORDS.get(name, ()):
        if code in set(words):
            return words(code).zh
    return code
