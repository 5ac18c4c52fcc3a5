"""⑤ 办结. The ways of closing an answered order, each with its guards, and reopening what was closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal
from uuid import UUID

import msgspec

from domain import guards, refusals
from domain.context import Context
from domain.state import (
    Assignment,
    Episode,
    Reply,
    WorkOrder,
    begin_wait,
    effective,
    pending,
    propose,
    settle,
)
from domain.steps.filing import (
    OrderClosed,
    closable,
    explained,
    file_at_closing,
    mark,
    reply_now,
    second_person,
    told,
    tried,
)
from domain.terms import (
    Act,
    AssignmentRole,
    AssignmentState,
    Attachment,
    Citation,
    ClockName,
    ClosureKind,
    DispatchType,
    Entry,
    Fact,
    Limit,
    Medium,
    NoteReason,
    OrderState,
    Outcome,
    Private,
    ReopenGround,
    Role,
    Step,
    TerminationGround,
    UnitId,
)

Keep = Literal["dossier", "register_line", "not_filed"]
"""归档范围: 一事一卷, a line of the yearly register, or not filed (8.13)."""

Retention = Literal["Y", "D30", "D10", ""]
"""保管期限: 永久, 30年, 10年; empty where nothing is filed."""


# --- events ----------------------------------------------------------------------------------------------------------


class NotedClosureProposed(Fact, frozen=True, tag="order.noted_closure_proposed"):
    """提请备注办结. The unit asks for closure with a note: facts clear, explained, objectively limited (S1-38/39)."""

    reason: NoteReason
    facts_clear: bool = False
    article: Citation | None = None
    words: Private | None = None
    evidence: tuple[Attachment, ...] = ()


class NotedClosureRejected(Fact, frozen=True, tag="order.noted_closure_rejected"):
    """不同意备注办结."""

    words: Private


class TerminationProposed(Fact, frozen=True, tag="order.termination_proposed"):
    """提请终止办理. The unit shows that the applicant does not cooperate or demands the unreasonable (8.2)."""

    ground: TerminationGround
    words: Private
    article: Citation | None = None
    evidence: tuple[Attachment, ...] = ()


class TerminationRejected(Fact, frozen=True, tag="order.termination_rejected"):
    """不同意终止办理."""

    words: Private


class OrderReopened(Fact, frozen=True, tag="order.order_reopened"):
    """恢复办理. A closed order is worked on again, in a new round: by its last lead, or after a new dispatch."""

    ground: ReopenGround
    words: Private
    lead: UnitId = ""  # empty: the order waits for a dispatch
    lead_parent: UnitId = ""
    limit: Limit | None = None  # shorter than the class's, where one is written
    evidence: tuple[Attachment, ...] = ()


# --- folding ---------------------------------------------------------------------------------------------------------


def on_noted_closure_proposed(order: WorkOrder, event: NotedClosureProposed, entry: Entry) -> WorkOrder:
    """Fold the proposal."""
    return propose(order, entry, "noted_closure", content=event)


def on_noted_closure_rejected(order: WorkOrder, event: NotedClosureRejected, entry: Entry) -> WorkOrder:
    """Fold the decision."""
    return settle(order, entry, "noted_closure", approved=False)


def on_termination_proposed(order: WorkOrder, event: TerminationProposed, entry: Entry) -> WorkOrder:
    """Fold the proposal."""
    return propose(order, entry, "termination", content=event)


def on_termination_rejected(order: WorkOrder, event: TerminationRejected, entry: Entry) -> WorkOrder:
    """Fold the decision."""
    return settle(order, entry, "termination", approved=False)


def on_order_reopened(order: WorkOrder, event: OrderReopened, entry: Entry) -> WorkOrder:
    """Fold the new round: work with the last lead, or waiting for a dispatch."""
    at = mark(entry)
    filing = msgspec.structs.replace(
        order.filing, closed=None, kind=None, closed_by="", filed=None, reopened=(*order.filing.reopened, at)
    )
    links = order.links
    if links.merge is not None and links.merge.undone is None:  # no longer follows its master
        links = msgspec.structs.replace(links, merge=msgspec.structs.replace(links.merge, undone=at))
    # Written for the dispatch that follows; what an earlier redo wrote is over with its round.
    quality = msgspec.structs.replace(order.quality, redo_limit=None if event.lead else event.limit)
    order = msgspec.structs.replace(order, filing=filing, links=links, quality=quality, round=order.round + 1)
    if not event.lead:
        return begin_wait(order, "reopening", at)
    lead = Assignment(
        no=1,
        unit=event.lead,
        role=AssignmentRole.LEAD,
        given=at,
        state=AssignmentState.SIGNED,
        signed=at,
        implied=True,
    )
    last = order.episode
    episode = Episode(
        no=len(order.episodes) + 1,
        round=order.round,
        type=last.type if last is not None else DispatchType.ORDINARY,
        begun=at,
        by=entry.actor.user,
        attributes=order.attributes,
        lead=event.lead,
        lead_parent=event.lead_parent,
        limits={} if event.limit is None else {ClockName.HANDLE: event.limit},
        reopened=True,
        assignments=(lead,),
        first_signed=at,
        passed_on=at,
        taken_up=at,
    )
    return msgspec.structs.replace(order, state=OrderState.WORKING, episodes=(*order.episodes, episode))


EVOLVES: Mapping[type[Fact], Callable[[WorkOrder, Any, Entry], WorkOrder]] = {
    NotedClosureProposed: on_noted_closure_proposed,
    NotedClosureRejected: on_noted_closure_rejected,
    TerminationProposed: on_termination_proposed,
    TerminationRejected: on_termination_rejected,
    OrderReopened: on_order_reopened,
}


# --- commands --------------------------------------------------------------------------------------------------------

_INSTEAD = frozenset({Role.COORDINATOR})
"""Who judges in the hotline's stead where the complaint is about the hotline (`guards.instead_of_hotline`)."""

_CLOSERS = frozenset({Role.QC_REVIEWER, Role.HOTLINE_MANAGER}) | _INSTEAD


class Close(Act, frozen=True, tag="close"):
    """办结. Close an answered order in one of the ways a reviewer or the hotline's management decides."""

    roles: ClassVar[frozenset[Role]] = _CLOSERS
    kind: ClosureKind
    article: Citation | None = None
    words: Private | None = None
    follow_up_result: Private | None = None


class CloseAfter(Act, frozen=True, tag="close_after"):
    """自动办结. Nobody evaluated and nobody objected until the time for it had passed (A-22)."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.SYSTEM})


class CloseMerged(Act, frozen=True, tag="close_merged"):
    """并单办结. The master is closed and this applicant was told its result (8.4)."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.SYSTEM})
    master: UUID

    def reads(self) -> tuple[str, ...]:
        """Name the master's stream."""
        return (f"order:{self.master}",)


class ProposeNotedClosure(Act, frozen=True, tag="propose_noted_closure"):
    """提请备注办结. By the lead; where the hotline itself leads, by a reviewer."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_APPROVER, Role.QC_REVIEWER})
    reason: NoteReason
    facts_clear: bool = False
    article: Citation | None = None
    words: Private | None = None
    evidence: tuple[Attachment, ...] = ()


class ApproveNotedClosure(Act, frozen=True, tag="approve_noted_closure"):
    """同意备注办结. Only the hotline's management; the others may ask in order to be told so in words (T46)."""

    roles: ClassVar[frozenset[Role]] = frozenset(
        {Role.HOTLINE_MANAGER, Role.QC_REVIEWER, Role.ORG_HANDLER, Role.ORG_APPROVER, *_INSTEAD}
    )
    reason: NoteReason
    words: Private
    facts_clear: bool = False
    article: Citation | None = None


class RejectNotedClosure(Act, frozen=True, tag="reject_noted_closure"):
    """不同意备注办结."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.HOTLINE_MANAGER}) | _INSTEAD
    words: Private


class ProposeTermination(Act, frozen=True, tag="propose_termination"):
    """提请终止办理. By the lead, with evidence."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_APPROVER})
    ground: TerminationGround
    words: Private
    article: Citation | None = None
    evidence: tuple[Attachment, ...] = ()


class DecideTermination(Act, frozen=True, tag="decide_termination"):
    """审定终止办理. With how the applicant was told, if it is granted."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.QC_REVIEWER}) | _INSTEAD
    approve: bool
    words: Private
    told: Medium | None = None


class Reopen(Act, frozen=True, tag="reopen"):
    """恢复办理. New facts, or a closure that was wrong; until the file is sealed."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.HOTLINE_MANAGER})
    ground: ReopenGround
    words: Private
    limit: Limit | None = None
    evidence: tuple[Attachment, ...] = ()


# --- deciding --------------------------------------------------------------------------------------------------------

_BY_JUDGEMENT = frozenset(
    {
        ClosureKind.SATISFIED,
        ClosureKind.CONFORMING,
        ClosureKind.UNRESOLVED_FOLLOW_UP,
        ClosureKind.UNSOLVABLE_EXPLAINED,
        ClosureKind.UNREACHABLE,
        ClosureKind.COMPLETED,
    }
)


def close(order: WorkOrder, command: Close, context: Context) -> list[Step]:
    """Close in the way a person chose, if the facts bear it."""
    kind, manager = command.kind, guards.manages(order, context)
    if kind is ClosureKind.NOTED and not manager:
        raise refusals.NotHotlineManager
    if kind not in _BY_JUDGEMENT:
        raise refusals.ClosureNotHere(kind)
    episode = order.episode
    if episode is not None and not episode.reply_required and order.state in guards.HANDLED:
        return _close_unanswered(order, command, context)
    guards.in_state(order, *guards.ANSWERED)
    reply = reply_now(order)
    if reply is None:
        raise refusals.ReplyMissing
    guards.judging(order, context)
    closable(order, context)
    _bears(order, reply, command, context)
    return [OrderClosed(kind=kind, accepts_reply=reply.accepted is None, article=command.article, words=command.words)]


def _bears(order: WorkOrder, reply: Reply, command: Close, context: Context) -> None:
    """Refuse a way of closing that the reply and its evaluation do not bear."""
    kind, counts = command.kind, effective(order)
    if reply.outcome is Outcome.UNRESOLVED and kind not in (
        ClosureKind.UNRESOLVED_FOLLOW_UP,
        ClosureKind.UNREACHABLE,
    ):
        raise refusals.UnresolvedNeedsFollowUp
    match kind:
        case ClosureKind.SATISFIED:
            if counts is None or not counts.result.positive:
                raise refusals.NotSatisfied
            return
        case ClosureKind.CONFORMING:
            if command.article is None:
                raise refusals.ArticleMissing
        case ClosureKind.UNRESOLVED_FOLLOW_UP:
            _promised(order, reply)
        case ClosureKind.UNSOLVABLE_EXPLAINED:
            if reply.outcome is not Outcome.UNSOLVABLE:
                raise refusals.OutcomeDiffers(str(reply.outcome))
            if not explained(order):
                raise refusals.ExplanationMissing
        case ClosureKind.UNREACHABLE:
            if context.actor.role is not Role.QC_REVIEWER and not guards.instead_of_hotline(order, context):
                raise refusals.NotQcReviewer
            if reply.informed is not None or not tried(order, context.law):
                raise refusals.AttemptsMissing
            return
        case _:  # COMPLETED: nobody evaluated, and nobody will be asked to
            if counts is not None:
                raise refusals.AlreadyEvaluated(counts.source)
            _no_visit_pending(order)
    if not (told(order) or tried(order, context.law)):
        raise refusals.ResultNotTold


def _promised(order: WorkOrder, reply: Reply) -> None:
    if reply.outcome is not Outcome.UNRESOLVED:
        raise refusals.OutcomeDiffers(str(reply.outcome))
    if not any(f.reply == reply.no for f in order.follow_ups):
        raise refusals.FollowUpMissing


def _no_visit_pending(order: WorkOrder) -> None:
    visit = order.revisit
    if visit is not None and visit.over is None and not order.demand.anonymous:
        raise refusals.RevisitPending


def _close_unanswered(order: WorkOrder, command: Close, context: Context) -> list[Step]:
    """Close an order that asked for no reply, with what following it up brought to light (S2-25, 8.3)."""
    if not guards.manages(order, context):
        raise refusals.NotHotlineManager
    guards.judging(order, context)
    guards.in_state(order, OrderState.DISPATCHED, OrderState.WORKING)
    if command.kind is not ClosureKind.COMPLETED:
        raise refusals.ReplyMissing
    if command.follow_up_result is None:
        raise refusals.FollowUpResultMissing
    closable(order, context)
    return [
        OrderClosed(
            kind=command.kind,
            article=command.article,
            words=command.words,
            follow_up_result=command.follow_up_result,
        )
    ]


def close_after(order: WorkOrder, command: CloseAfter, context: Context) -> list[Step]:
    """Close what nobody evaluated once its time has passed; what needs judgement is left to people."""
    guards.in_state(order, *guards.ANSWERED)
    reply = reply_now(order)
    if reply is None:
        raise refusals.ReplyMissing
    waiting = guards.clock(order, context, ClockName.CLOSE_AFTER, f"r{reply.no}")
    if waiting is None or waiting.due is None or not context.passed(waiting.due):
        raise refusals.NotYetDue(f"close_after: {waiting.due if waiting is not None else '-'}")
    closable(order, context)
    _no_visit_pending(order)
    kind = _kind_by_itself(order, reply)
    steps: list[Step] = [OrderClosed(kind=kind, accepts_reply=reply.accepted is None, effective_at=waiting.due)]
    if guards.binding(order, context).options.auto_file:
        steps += file_at_closing(order, context, kind)
    return steps


def _kind_by_itself(order: WorkOrder, reply: Reply) -> ClosureKind:
    """Return the way of closing that follows without judgement from what was answered and evaluated."""
    counts = effective(order)
    if counts is not None and counts.result.negative:
        raise refusals.DecisionNeeded
    if reply.outcome is Outcome.UNRESOLVED:
        _promised(order, reply)
        return ClosureKind.UNRESOLVED_FOLLOW_UP
    if counts is not None:
        return ClosureKind.SATISFIED
    if reply.outcome is Outcome.UNSOLVABLE and explained(order):
        return ClosureKind.UNSOLVABLE_EXPLAINED
    return ClosureKind.COMPLETED


def close_merged(order: WorkOrder, command: CloseMerged, context: Context) -> list[Step]:
    """Close a child whose master is closed and whose applicant was told."""
    guards.in_state(order, OrderState.MERGED)
    merge = order.links.merge
    if merge is None or merge.undone is not None or merge.master != command.master:
        raise refusals.NotItsMaster
    master: WorkOrder | None = context.other(f"order:{command.master}")
    if master is None:
        raise refusals.UnknownOrder
    if master.is_open:
        raise refusals.MasterOpen
    if merge.told is None:
        raise refusals.ResultNotTold
    return [OrderClosed(kind=ClosureKind.MERGED, master=command.master)]


def _leads(order: WorkOrder, context: Context) -> bool:
    """Tell whether the actor's unit leads, or has taken over from the unit that led."""
    episode, unit = order.episode, context.actor.unit
    if episode is None or not episode.lead or not unit:
        return False
    context.until(context.law.next_unit_change(context.now))
    return unit in (episode.lead, context.law.successor(episode.lead, context.now))


def propose_noted_closure(order: WorkOrder, command: ProposeNotedClosure, context: Context) -> list[Step]:
    """Ask for closure with a note."""
    guards.in_state(order, *guards.ANSWERED)
    by_hotline = order.episode is not None and order.episode.led_by_hotline
    if (context.actor.role is Role.QC_REVIEWER) != by_hotline or not (by_hotline or _leads(order, context)):
        raise refusals.NotYourUnit(f"unit: {context.actor.unit or '-'}")
    if pending(order, "noted_closure") is not None:
        raise refusals.AlreadyProposed
    return [
        NotedClosureProposed(
            reason=command.reason,
            facts_clear=command.facts_clear,
            article=command.article,
            words=command.words,
            evidence=command.evidence,
        )
    ]


def approve_noted_closure(order: WorkOrder, command: ApproveNotedClosure, context: Context) -> list[Step]:
    """Close with a note: dissatisfied, explained, and the facts clear (R-19, 8.9)."""
    if not guards.manages(order, context):
        raise refusals.NotHotlineManager
    guards.in_state(order, *guards.ANSWERED)
    second_person(order, context, "noted_closure")
    guards.judging(order, context)
    reply, counts = reply_now(order), effective(order)
    if reply is None:
        raise refusals.ReplyMissing
    if not explained(order):
        raise refusals.ExplanationMissing
    if not command.facts_clear:
        raise refusals.FactsNotClear
    if counts is None or not counts.result.negative:
        raise refusals.NotDissatisfied
    closable(order, context)
    return [
        OrderClosed(
            kind=ClosureKind.NOTED,
            accepts_reply=reply.accepted is None,
            note_reason=command.reason,
            facts_clear=True,
            article=command.article,
            words=command.words,
        )
    ]


def reject_noted_closure(order: WorkOrder, command: RejectNotedClosure, context: Context) -> list[Step]:
    """Refuse the note; handling goes on as it stood."""
    guards.unsealed(order)
    second_person(order, context, "noted_closure")
    guards.judging(order, context)
    return [NotedClosureRejected(words=command.words)]


def propose_termination(order: WorkOrder, command: ProposeTermination, context: Context) -> list[Step]:
    """Ask for the end of handling."""
    guards.in_state(order, *guards.HANDLED, *guards.ANSWERED)
    if not _leads(order, context):
        raise refusals.NotYourUnit(f"unit: {context.actor.unit or '-'}")
    if not command.evidence:
        raise refusals.EvidenceMissing
    if pending(order, "termination") is not None:
        raise refusals.AlreadyProposed
    return [
        TerminationProposed(
            ground=command.ground, words=command.words, article=command.article, evidence=command.evidence
        )
    ]


def decide_termination(order: WorkOrder, command: DecideTermination, context: Context) -> list[Step]:
    """Decide about the end of handling; granting it needs the applicant told."""
    guards.unsealed(order)
    proposal = second_person(order, context, "termination")
    guards.judging(order, context)
    if not command.approve:
        return [TerminationRejected(words=command.words)]
    guards.in_state(order, *guards.HANDLED, *guards.ANSWERED)
    if command.told is None:
        raise refusals.ResultNotTold
    closable(order, context, terminating=True)
    asked = proposal.content
    ground = asked.ground if isinstance(asked, TerminationProposed) else TerminationGround.NO_COOPERATION
    article = asked.article if isinstance(asked, TerminationProposed) else None
    return [
        OrderClosed(
            kind=ClosureKind.TERMINATED,
            termination_ground=ground,
            article=article,
            words=command.words,
            told=command.told,
        )
    ]


def reopen(order: WorkOrder, command: Reopen, context: Context) -> list[Step]:
    """Begin a new round with the last lead, or the heir of it; else wait for a dispatch."""
    guards.unsealed(order)
    guards.in_state(order, OrderState.CLOSED, OrderState.ARCHIVED)
    if order.filing.kind is ClosureKind.NOT_ACCEPTED or order.filing.erased is not None:
        raise refusals.WrongState(f"{order.filing.kind}")
    law, now = context.law, context.now
    context.until(law.next_unit_change(now))
    last = order.episode.lead if order.episode is not None else ""
    lead = law.successor(last, now) if last else ""
    if lead and (not law.active(lead, now) or guards.accused(order, context, lead)):
        lead = ""  # gone, or complained of meanwhile: whoever gets it is to be decided anew
    if command.limit is not None:
        guards.shorter_limit(order, command.limit, context)
    elif lead:
        rules, of_class = guards.binding(order, context), guards.class_now(order, context)
        if rules.needs_limit(of_class) and rules.limit(ClockName.HANDLE, of_class) is None:
            raise refusals.LimitRequired(of_class.title)
    return [
        OrderReopened(
            ground=command.ground,
            words=command.words,
            lead=lead,
            lead_parent=(law.parent(lead, now) or "") if lead else "",
            limit=command.limit,
            evidence=command.evidence,
        )
    ]


DECIDES: Mapping[type[Act], Callable[[WorkOrder, Any, Context], Sequence[Step]]] = {
    Close: close,
    CloseAfter: close_after,
    CloseMerged: close_merged,
    ProposeNotedClosure: propose_noted_closure,
    ApproveNotedClosure: approve_noted_closure,
    RejectNotedClosure: reject_noted_closure,
    ProposeTermination: propose_termination,
    DecideTermination: decide_termination,
    Reopen: reopen,
}
