"""④ 回访. Drawing, planning, asking consent, visiting; what a finished visit says is also an evaluation.

A refusal is final for the round (S4-42), nobody visits for the unit that handled, and an anonymous applicant is not
visited. A visit is possible until the file is sealed, because what it finds replaces a deemed evaluation (8.9).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from domain import guards, refusals
from domain.context import Context
from domain.policy import Options
from domain.state import (
    Revisit,
    WorkOrder,
)
from domain.steps import filing
from domain.steps.evaluation import EvaluationRecorded, not_from_handling, rated
from domain.steps.filing import mark
from domain.terms import (
    SHANGHAI,
    Act,
    Attachment,
    ClockName,
    Code,
    Digest,
    Dimension,
    Entry,
    EvaluationSource,
    Fact,
    Medium,
    OrderState,
    Private,
    Rating,
    Resolution,
    RevisitMethod,
    Role,
    Step,
    UnitId,
)
from domain.units import Instant

_AFTER_REPLY = (*guards.ANSWERED, OrderState.CLOSED, OrderState.ARCHIVED)


# --- events -----------------------------------------------------------------------------------------------------------


class RevisitSampled(Fact, frozen=True, tag="order.revisit_sampled"):
    """回访抽样. The order was drawn for a return visit; seed and frame let anybody draw again (A-13)."""

    round: int
    seed: Code
    frame: Digest  # the list of orders that was drawn from
    frame_size: int
    stratum: UnitId = ""


class RevisitScheduled(Fact, frozen=True, tag="order.revisit_scheduled"):
    """回访安排."""

    round: int
    planned_at: Instant
    method: RevisitMethod


class RevisitConsentRecorded(Fact, frozen=True, tag="order.revisit_consent_recorded"):
    """回访同意. The applicant agreed to be called (S4-41)."""

    round: int
    medium: Medium
    call: Code | None = None
    words: Private | None = None


class RevisitRefused(Fact, frozen=True, tag="order.revisit_refused"):
    """拒绝回访. The applicant does not want to be called: final for this round (S4-42)."""

    round: int
    medium: Medium | None = None
    call: Code | None = None
    words: Private | None = None


class RevisitUnreachable(Fact, frozen=True, tag="order.revisit_unreachable"):
    """回访未接通. The applicant was tried as often as the rules ask, at these instants."""

    round: int
    attempts: tuple[Instant, ...]
    words: Private | None = None


class RevisitCompleted(Fact, frozen=True, tag="order.revisit_completed"):
    """回访完成. What the applicant answered, asked with a neutral script."""

    round: int
    method: RevisitMethod
    script_version: Code
    reply: int = 0  # the reply it was about; 0: there was none yet
    contacted: bool | None = None  # 是否联系群众
    informed: bool | None = None  # 是否告知办理结果
    consistent: bool | None = None  # 回复内容与办理结果是否一致
    attitude: Rating | None = None  # 工作人员服务态度
    resolution: Resolution | None = None  # 解决情况 (I8)
    words: Private | None = None
    call: Code | None = None
    recording: Attachment | None = None


# --- commands ---------------------------------------------------------------------------------------------------------


_REVISITOR: frozenset[Role] = frozenset({Role.REVISITOR, Role.COORDINATOR})
"""The hotline's visitors; in their stead the government's office, where the complaint is about the hotline."""


class SampleRevisit(Act, frozen=True, tag="sample_revisit"):
    """抽取回访."""

    roles: ClassVar[frozenset[Role]] = _REVISITOR | {Role.SYSTEM}

    seed: Code
    frame: Digest
    frame_size: int
    stratum: UnitId = ""


class ScheduleRevisit(Act, frozen=True, tag="schedule_revisit"):
    """安排回访."""

    roles: ClassVar[frozenset[Role]] = _REVISITOR

    planned_at: Instant
    method: RevisitMethod


class RecordRevisitConsent(Act, frozen=True, tag="record_revisit_consent"):
    """记录回访同意."""

    roles: ClassVar[frozenset[Role]] = _REVISITOR | {Role.CITIZEN}

    medium: Medium
    call: Code | None = None
    words: Private | None = None


class RefuseRevisit(Act, frozen=True, tag="refuse_revisit"):
    """拒绝回访."""

    roles: ClassVar[frozenset[Role]] = _REVISITOR | {Role.CITIZEN}

    medium: Medium | None = None
    call: Code | None = None
    words: Private | None = None


class RecordUnreachable(Act, frozen=True, tag="record_unreachable"):
    """记录回访未接通."""

    roles: ClassVar[frozenset[Role]] = _REVISITOR

    attempts: tuple[Instant, ...]
    words: Private | None = None


class CompleteRevisit(Act, frozen=True, tag="complete_revisit"):
    """完成回访. With `ratings` it also records the evaluation."""

    roles: ClassVar[frozenset[Role]] = _REVISITOR

    method: RevisitMethod
    script_version: Code
    contacted: bool | None = None
    informed: bool | None = None
    consistent: bool | None = None
    attitude: Rating | None = None
    resolution: Resolution | None = None
    ratings: dict[Dimension, Rating] = {}
    words: Private | None = None
    call: Code | None = None
    recording: Attachment | None = None


# --- deciding ---------------------------------------------------------------------------------------------------------


def _visiting(order: WorkOrder, context: Context) -> Revisit:
    """Return the round's return visit as it stands, if there may be one. Raises what S4-40…42 and 4.1 forbid."""
    guards.unsealed(order)
    guards.in_state(order, *guards.HANDLED, *_AFTER_REPLY)
    if order.demand.anonymous:
        raise refusals.AnonymousApplicant
    options = guards.binding(order, context).options
    reply = filing.reply_now(order)
    due = guards.due(order, context, ClockName.HANDLE)
    by_due = options.revisit_opens == "handle_due" and due is not None
    if not (reply is not None and (not by_due or reply.accepted)) and not (by_due and context.passed(due)):
        raise refusals.RevisitTooEarly(f"handle: {due}")
    visit = order.revisit or Revisit(round=order.round)
    if visit.refused is not None and options.revisit_refusal_final:
        raise refusals.RevisitRefusedFinal(f"round: {order.round}")
    if visit.completed is not None:
        raise refusals.RevisitAlreadyDone(f"round: {order.round}")
    if context.actor.role in _REVISITOR:
        not_from_handling(order, context)
    return visit


def sample_revisit(order: WorkOrder, command: SampleRevisit, context: Context) -> list[Step]:
    """Record the draw, once a round."""
    if _visiting(order, context).sampled is not None:
        raise refusals.RevisitAlreadySampled(f"round: {order.round}")
    return [
        RevisitSampled(
            round=order.round,
            seed=command.seed,
            frame=command.frame,
            frame_size=command.frame_size,
            stratum=command.stratum,
        )
    ]


def schedule_revisit(order: WorkOrder, command: ScheduleRevisit, context: Context) -> list[Step]:
    """Plan the visit."""
    _visiting(order, context)
    return [RevisitScheduled(round=order.round, planned_at=command.planned_at, method=command.method)]


def record_revisit_consent(order: WorkOrder, command: RecordRevisitConsent, context: Context) -> list[Step]:
    """Record that the applicant agreed."""
    _visiting(order, context)
    return [RevisitConsentRecorded(round=order.round, medium=command.medium, call=command.call, words=command.words)]


def refuse_revisit(order: WorkOrder, command: RefuseRevisit, context: Context) -> list[Step]:
    """Record that the applicant does not want a visit; they may say so before there is one."""
    guards.unsealed(order)
    guards.in_state(order, *guards.HANDLED, *_AFTER_REPLY)
    visit = order.revisit
    if visit is not None and visit.refused is not None:
        raise refusals.RevisitRefusedFinal(f"round: {order.round}")
    if visit is not None and visit.completed is not None:
        raise refusals.RevisitAlreadyDone(f"round: {order.round}")
    if context.actor.role in _REVISITOR:
        not_from_handling(order, context)
    return [RevisitRefused(round=order.round, medium=command.medium, call=command.call, words=command.words)]


def _often_enough(attempts: Iterable[datetime], options: Options) -> bool:
    """Tell whether somebody was tried so many times, on so many days, at different hours (A-05)."""
    local = {at.astimezone(SHANGHAI) for at in attempts}
    return (
        len(local) >= options.attempts
        and len({at.date() for at in local}) >= options.attempt_days
        and len({at.hour for at in local}) > 1
    )


def record_unreachable(order: WorkOrder, command: RecordUnreachable, context: Context) -> list[Step]:
    """Record that the applicant could not be reached, after the attempts that A-05 asks; none of them yet to come."""
    _visiting(order, context)
    for attempt in command.attempts:
        guards.not_ahead(context, attempt)
    if not _often_enough(command.attempts, guards.binding(order, context).options):
        raise refusals.AttemptsMissing(f"attempts: {len(command.attempts)}")
    return [RevisitUnreachable(round=order.round, attempts=command.attempts, words=command.words)]


def complete_revisit(order: WorkOrder, command: CompleteRevisit, context: Context) -> list[Step]:
    """Record the finished visit, and the evaluation if the applicant rated."""
    visit = _visiting(order, context)
    options = guards.binding(order, context).options
    if command.method is RevisitMethod.PHONE and options.revisit_consent and visit.consented is None:
        raise refusals.ConsentMissing
    unanswered = [name for name in options.revisit_questions if getattr(command, name, None) is None]
    if unanswered:
        raise refusals.RevisitQuestionsMissing(", ".join(unanswered), questions=unanswered)
    reply = filing.reply_now(order)
    completed = RevisitCompleted(
        round=order.round,
        method=command.method,
        script_version=command.script_version,
        reply=reply.no if reply is not None else 0,
        contacted=command.contacted,
        informed=command.informed,
        consistent=command.consistent,
        attitude=command.attitude,
        resolution=command.resolution,
        words=command.words,
        call=command.call,
        recording=command.recording,
    )
    if not command.ratings:
        return [completed]
    rated(command.ratings)
    return [
        completed,
        EvaluationRecorded(
            round=order.round,
            reply=completed.reply,
            source=EvaluationSource.REVISIT,
            ratings=command.ratings,
            resolution=command.resolution,
            call=command.call,
        ),
    ]


# --- folding ----------------------------------------------------------------------------------------------------------


def _visit(order: WorkOrder, round_: int, **changes: object) -> WorkOrder:
    visits = order.quality.revisits
    if all(v.round != round_ for v in visits):
        visits = (*visits, Revisit(round=round_))
    changed = tuple(msgspec.structs.replace(v, **changes) if v.round == round_ else v for v in visits)
    return msgspec.structs.replace(order, quality=msgspec.structs.replace(order.quality, revisits=changed))


def on_revisit_sampled(order: WorkOrder, event: RevisitSampled, entry: Entry) -> WorkOrder:
    """Fold the draw."""
    return _visit(order, event.round, sampled=mark(entry))


def on_revisit_scheduled(order: WorkOrder, event: RevisitScheduled, entry: Entry) -> WorkOrder:
    """Fold the plan."""
    return _visit(order, event.round, scheduled=mark(entry))


def on_revisit_consent_recorded(order: WorkOrder, event: RevisitConsentRecorded, entry: Entry) -> WorkOrder:
    """Fold the consent."""
    return _visit(order, event.round, consented=mark(entry))


def on_revisit_refused(order: WorkOrder, event: RevisitRefused, entry: Entry) -> WorkOrder:
    """Fold the refusal."""
    return _visit(order, event.round, refused=mark(entry))


def on_revisit_unreachable(order: WorkOrder, event: RevisitUnreachable, entry: Entry) -> WorkOrder:
    """Fold the vain attempts."""
    return _visit(order, event.round, unreachable=mark(entry))


def on_revisit_completed(order: WorkOrder, event: RevisitCompleted, entry: Entry) -> WorkOrder:
    """Fold the finished visit."""
    return _visit(order, event.round, completed=mark(entry), resolution=event.resolution, contacted=event.contacted)


EVOLVES: Mapping[type[Fact], Callable[[WorkOrder, Any, Entry], WorkOrder]] = {
    RevisitSampled: on_revisit_sampled,
    RevisitScheduled: on_revisit_scheduled,
    RevisitConsentRecorded: on_revisit_consent_recorded,
    RevisitRefused: on_revisit_refused,
    RevisitUnreachable: on_revisit_unreachable,
    RevisitCompleted: on_revisit_completed,
}


DECIDES: Mapping[type[Act], Callable[[WorkOrder, Any, Context], Sequence[Step]]] = {
    SampleRevisit: sample_revisit,
    ScheduleRevisit: schedule_revisit,
    RecordRevisitConsent: record_revisit_consent,
    RefuseRevisit: refuse_revisit,
    RecordUnreachable: record_unreachable,
    CompleteRevisit: complete_revisit,
}
