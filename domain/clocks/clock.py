"""时钟. What a clock is: whose duty, from when, until when, what ended and what moved it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from domain.policy import ClockRule, LimitSource, Rules
from domain.terms import Citation, ClockName, Limit, Mark, Word

WINDOWS = frozenset({ClockName.EVAL_WINDOW, ClockName.CLOSE_AFTER, ClockName.SEAL, ClockName.APPEAL, ClockName.REVISIT})
"""Clocks that open a right or bring an effect: their lapse is nobody's breach."""

HANDLING = frozenset(
    {
        ClockName.DISPATCH,
        ClockName.SIGN,
        ClockName.TRANSFER,
        ClockName.RETURN,
        ClockName.RETURN_REVIEW,
        ClockName.INIT_RESPONSE,
        ClockName.PROGRESS,
        ClockName.HANDLE,
        ClockName.STATUTORY,
        ClockName.EXTERNAL,
        ClockName.CO_REPLY,
        ClockName.EXTENSION_DECISION,
        ClockName.INFORM_EXTENSION,
        ClockName.CORRECTION,
        ClockName.EVAL_WINDOW,
        ClockName.CLOSE_AFTER,
        ClockName.REVISIT,
        ClockName.ARRIVE_SITE,
        ClockName.SITE_RECORD,
        ClockName.WHISTLE,
    }
)
"""Clocks that closing the order cancels; the others run on (8.4)."""


class Why(Word):
    """What moved a due instant."""

    EXTENSION = "extension", "延期同意"
    RECLASSIFIED = "reclassified", "变更分类"
    SENT_BACK = "sent_back", "退回补正"
    OUTAGE = "outage", "系统中断"
    LEAD_MOVED = "lead_moved", "随主办提前"


class Move(msgspec.Struct, frozen=True):
    """顺延. One change of a running clock's due instant, and what it was counted from."""

    at: Mark
    why: Why
    before: datetime
    after: datetime
    counted_from: datetime
    limit: Limit
    anchored_at_due: bool = False  # counted from the old due day, not from an instant
    of_class: str = ""  # the class whose figure it brought
    basis: Citation | None = None  # where the move has an instrument of its own


class Status(StrEnum):
    """计时状态, as seen at an instant."""

    RUNNING = "running"  # 计时中
    PENDING_EXTENSION = "pending_extension"  # 延期审批中: past the old due, not counted overdue
    OVERDUE = "overdue"  # 已超期
    ON_TIME = "on_time"  # 按时
    LATE = "late"  # 超期完成
    CANCELLED = "cancelled"  # 已取消, excluded
    CANCELLED_LATE = "cancelled_late"  # 取消前已超期: the breach stays (K15)
    LAPSED = "lapsed"  # 期满: a window closed, an effect is due
    MEASURED = "measured"  # 仅计时: the rule text gives no figure


class Clock(msgspec.Struct, frozen=True, gc=False):
    """时钟. One clock of one case. `due` is None where the rule text gives no figure.

    `key` tells it from its sisters: e2 (episode 2), e2.a1 (its assignment 1), r3 (reply 3), n1.2 (notice 1, turn 2).
    """

    name: ClockName
    key: str
    unit: str  # whose duty; empty: the hotline centre's
    start: Mark
    limit: Limit | None
    due: datetime | None
    rule: ClockRule
    rules: Rules
    stop: Mark | None = None
    cancel: Mark | None = None
    cancelled_by: str = ""
    moves: tuple[Move, ...] = ()
    provisional: bool = False
    grace: datetime | None = None  # a pending extension keeps it from counting as overdue until then (8.9)
    note: str = ""
    of_class: str = ""  # the class whose figure the limit is
    peak: bool = False  # the figure for those registered in a peak
    source: LimitSource | None = None  # where the limit comes from, where not from the rule
    began: str = ""  # what really started and stopped it, where the rule's own word does not say it: a word of
    ended: str = ""  # `explanation.CAUSES`, as is `cancelled_by`
    during_outage: bool = False  # it falls due inside an outage of whoever bears it (8.11)

    @property
    def running(self) -> bool:
        """Tell whether it still runs."""
        return self.stop is None and self.cancel is None

    def breached(self, now: datetime) -> bool:
        """Tell whether the duty was, or is at `now`, late (K5: t > due); the lapse of a window is no breach."""
        due = self.due
        if due is None or self.name in WINDOWS:
            return False
        if self.stop is not None:
            return self.stop.at > due
        if self.name is ClockName.RETURN:
            return False  # a right not used in time is lost, not late
        if self.cancel is not None:
            return self.cancel.at > due
        return now > due and not (self.grace is not None and now <= self.grace)

    def late_by(self, now: datetime) -> timedelta | None:
        """Return how late it was, or is at `now`; None if it is not."""
        if not self.breached(now) or self.due is None:
            return None
        end = self.stop or self.cancel
        return (end.at if end is not None else now) - self.due

    def status(self, now: datetime) -> Status:
        """Return its state as seen at `now`."""
        if self.stop is not None:
            if self.due is None:
                return Status.MEASURED
            if self.stop.at <= self.due:
                return Status.ON_TIME
            return Status.LAPSED if self.name in WINDOWS else Status.LATE  # what a window's end brings comes after it
        window = self.name in WINDOWS or self.name is ClockName.RETURN
        if self.cancel is not None:
            if window and self.due is not None and self.cancel.at > self.due:
                return Status.LAPSED
            return Status.CANCELLED_LATE if self.breached(now) else Status.CANCELLED
        if self.due is None:
            return Status.MEASURED
        if now <= self.due:
            return Status.RUNNING
        if window:
            return Status.LAPSED
        return Status.PENDING_EXTENSION if self.grace is not None and now <= self.grace else Status.OVERDUE
