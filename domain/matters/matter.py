"""督办事项的状态. What one matter about a unit or several orders is now, and what every command on one asks."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import msgspec

from domain import refusals
from domain.context import Context
from domain.matters.folding import Folded, mark
from domain.terms import (
    Act,
    Entry,
    Fact,
    Limit,
    Mark,
    NoticeGround,
    NoticeKind,
    NoticeState,
    Private,
    Struct,
    UnitId,
    UserId,
    Word,
)


class CircularKind(Word):
    """通报种类 (R-24)."""

    PERIODIC = "periodic", "情况通报"
    CRITICISM = "criticism", "通报批评"


class MatterKind(Word):
    """督办事项种类. What a matter about units or several orders is."""

    CIRCULAR = "circular", "通报"
    NOTICE = "notice", "致单位督办"
    MEETING = "meeting", "会商"
    INSPECTION = "inspection", "检查"
    REFERRAL = "referral", "移送问责"
    SHIFT = "shift", "值班交接"


class Decision(Struct, frozen=True):
    """议定事项. What a meeting decided a unit does, and by which day."""

    unit: UnitId
    what: Private
    by: date | None = None


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """整改事项. What a unit has to do after a circular, an inspection or a meeting, and how far it is."""

    no: int
    unit: UnitId
    by: date | None
    reported: Mark | None = None
    reported_by: UserId = ""
    accepted: Mark | None = None


class UnitNotice(msgspec.Struct, frozen=True, kw_only=True):
    """致单位的督办."""

    kind: NoticeKind
    ground: NoticeGround
    limit: Limit | None = None
    arrive_by: datetime | None = None
    state: NoticeState = NoticeState.ISSUED
    turn: int = 1
    served: Mark | None = None
    by_system: bool = False  # its service was the sending itself
    arrived: Mark | None = None
    replied: Mark | None = None
    replied_by: UserId = ""
    accepted: Mark | None = None
    earlier: tuple[tuple[Mark | None, Mark | None, Limit | None], ...] = ()  # served, replied, limit of earlier turns


class Matter(Folded, frozen=True, kw_only=True):
    """督办事项."""

    what: MatterKind
    opened: Mark
    opened_by: UserId
    title: str = ""
    units: tuple[UnitId, ...] = ()
    orders: tuple[UUID, ...] = ()
    number: str = ""
    circular: CircularKind | None = None
    approved: Mark | None = None
    rejected: Mark | None = None
    published: Mark | None = None
    notice: UnitNotice | None = None
    duties: tuple[Duty, ...] = ()
    closed: Mark | None = None
    referred: Mark | None = None
    to: UserId = ""  # who takes a shift over
    taken_over: Mark | None = None


class MatterState(Word):
    """督办事项状态."""

    DRAFTED = "drafted", "拟稿待签批"
    APPROVED = "approved", "已签批待印发"
    REJECTED = "rejected", "不予签批"
    OPEN = "open", "办理中"
    CLOSED = "closed", "已办结"


def state_of(matter: Matter) -> MatterState:
    """Return how far a matter is."""
    if matter.rejected is not None:
        return MatterState.REJECTED
    if matter.closed is not None:
        return MatterState.CLOSED
    if matter.circular is not None and matter.published is None:
        return MatterState.DRAFTED if matter.approved is None else MatterState.APPROVED
    return MatterState.CLOSED if matter.what is MatterKind.REFERRAL else MatterState.OPEN


def opened(what: MatterKind, matter: Matter | None, entry: Entry, number: str = "", **changes: object) -> Matter:
    """Return the matter that an event opens, or the one there is, with its number and what else the event says."""
    fresh = Matter(stream=entry.stream, what=what, opened=mark(entry), opened_by=entry.actor.user)
    return msgspec.structs.replace(matter or fresh, number=number, **changes)


def copied(fact: type[Fact], command: Act, **more: object) -> Fact:
    """Return the event with the fields that the command names alike."""
    told = {n: getattr(command, n) for n in fact.__struct_fields__ if n in command.__struct_fields__}
    return fact(**told, **more)


def new(matter: Matter | None) -> None:
    """Refuse to open a matter in a stream that has one."""
    if matter is not None:
        raise refusals.MatterOpen


def ahead(limit: Limit | None, context: Context) -> None:
    """Refuse a written instant that has passed. Raises LimitInPast."""
    if limit is not None and context.passed(limit.until):
        raise refusals.LimitInPast(f"{limit.until}")


def of_unit(unit: UnitId, context: Context) -> None:
    """Refuse who does not answer for the unit the matter is about, or for the heir of it."""
    law, own = context.law, context.actor.unit
    context.until(law.next_unit_change(context.now))
    if not own or own not in (unit, law.successor(unit, context.now)):
        raise refusals.NotYourUnit(f"unit: {own or '-'}", unit=own)
