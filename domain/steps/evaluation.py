"""④ 回访评价. Reviewing the reply, rating, deeming, ordering a redo, judging reasonableness, leaving out of the count.

An evaluation belongs to a round and a reply; sending the reply back voids it (8.9). Which one of a round counts is
`domain.state.effective`. Nobody judges what they handled, and no unit judges a complaint about itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from domain import guards, refusals
from domain.clocks import Clock
from domain.context import Context
from domain.state import (
    Evaluation,
    Reply,
    WorkOrder,
    begin_wait,
    effective,
    end_episode,
    latest_episode,
    pending,
    propose,
    put,
    settle,
)
from domain.steps import filing
from domain.steps.filing import OrderClosed, mark
from domain.terms import (
    Act,
    AssignmentRole,
    AssignmentState,
    Attachment,
    Citation,
    ClockName,
    ClosureKind,
    Code,
    Confidentiality,
    Dimension,
    Entry,
    EvaluationSource,
    ExemptCategory,
    Fact,
    Limit,
    Mark,
    Medium,
    OrderState,
    Outcome,
    Private,
    Rating,
    Reasonableness,
    RedoGround,
    Resolution,
    Role,
    Step,
    Substance,
    UnitId,
)
from domain.units import Instant

_AFTER_REPLY = (*guards.ANSWERED, OrderState.CLOSED, OrderState.ARCHIVED)


# --- events: reviewing -------------------------------------------------------------------------------------------


class ReplyReviewed(Fact, frozen=True, tag="order.reply_reviewed"):
    """答复审核. A reviewer accepted the reply or sent it back; SYSTEM accepts what nobody sent back in time (8.3)."""

    reply: int
    accepted: bool
    requirements: Private | None = None  # 退回补正要求
    opinion: Private | None = None
    identity_checked: bool = False  # nothing in it gives an informant away


class ReplySubstanceJudged(Fact, frozen=True, tag="order.reply_substance_judged"):
    """实质性变化认定. A person judged the reply against the one before it (R-15)."""

    reply: int
    substance: Substance
    grounds: Private
    basis: Citation | None = None  # the law, policy or other reason that justifies no change


class DeemedNotHandled(Fact, frozen=True, tag="order.deemed_not_handled"):
    """视为未按规定办理. So many replies of one unit in a row brought nothing new (S1-37)."""

    unit: UnitId
    reply: int
    streak: int


# --- events: evaluating ------------------------------------------------------------------------------------------


class EvaluationRecorded(Fact, frozen=True, tag="order.evaluation_recorded"):
    """满意度评价."""

    round: int
    reply: int
    source: EvaluationSource
    ratings: dict[Dimension, Rating]
    resolution: Resolution | None = None
    medium: Medium | None = None
    words: Private | None = None
    call: Code | None = None


class LateEvaluationRecorded(Fact, frozen=True, tag="order.late_evaluation_recorded"):
    """逾期评价. Given after the window, the deeming or the closure: on record, but not what counts (R-17)."""

    round: int
    reply: int
    source: EvaluationSource
    ratings: dict[Dimension, Rating]
    resolution: Resolution | None = None
    medium: Medium | None = None
    words: Private | None = None
    call: Code | None = None


class EvaluationDeemed(Fact, frozen=True, tag="order.evaluation_deemed"):
    """视为基本满意. Nobody evaluated within the window; holds from the window's end, whenever it was recorded (K13)."""

    round: int
    reply: int
    rating: Rating
    effective_at: Instant


class RedoOrdered(Fact, frozen=True, tag="order.redo_ordered"):
    """重办. The order goes out again in a new round, with what is wanted and by when."""

    round: int  # the new one
    ground: RedoGround
    requirements: Private
    limit: Limit | None = None
    unit: UnitId = ""  # whose reply was not good enough
    article: Citation | None = None


class SatisfactionExemptProposed(Fact, frozen=True, tag="order.satisfaction_exempt_proposed"):
    """提请不计满意率. After an evaluation this takes two persons."""

    category: ExemptCategory
    article: Citation
    words: Private | None = None


class SatisfactionExemptSet(Fact, frozen=True, tag="order.satisfaction_exempt_set"):
    """不计满意率. Satisfaction is not what this matter is measured by (S1-40); response and time still count."""

    category: ExemptCategory
    article: Citation
    late: bool = False  # after an evaluation that counts
    words: Private | None = None


class SatisfactionExemptRejected(Fact, frozen=True, tag="order.satisfaction_exempt_rejected"):
    """不同意不计满意率."""

    words: Private


class ReasonablenessProposed(Fact, frozen=True, tag="order.reasonableness_proposed"):
    """提请认定不合理诉求. The unit shows why the demand, or the dissatisfaction, is not reasonable (8.11)."""

    round: int
    unit: UnitId
    words: Private
    evidence: tuple[Attachment, ...]
    article: Citation | None = None


class ReasonablenessJudged(Fact, frozen=True, tag="order.reasonableness_judged"):
    """诉求合理性认定."""

    proposal: int
    finding: Reasonableness
    article: Citation
    words: Private | None = None


# --- commands ----------------------------------------------------------------------------------------------------

_REVIEWER: frozenset[Role] = frozenset({Role.QC_REVIEWER})
_MANAGER: frozenset[Role] = frozenset({Role.HOTLINE_MANAGER})
_INSTEAD: frozenset[Role] = frozenset({Role.COORDINATOR})
"""Who judges in the hotline's stead where the complaint is about the hotline (`guards.instead_of_hotline`)."""


class ReviewReply(Act, frozen=True, tag="review_reply"):
    """审核答复."""

    roles: ClassVar[frozenset[Role]] = _REVIEWER | _INSTEAD

    reply: int
    accept: bool
    requirements: Private | None = None
    opinion: Private | None = None
    identity_checked: bool = False


class JudgeSubstance(Act, frozen=True, tag="judge_substance"):
    """认定实质性变化."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.QC_REVIEWER, Role.SUPERVISOR})

    reply: int
    substance: Substance
    grounds: Private
    basis: Citation | None = None


class Evaluate(Act, frozen=True, tag="evaluate"):
    """评价. The role says the source: the applicant's own, of the return visit, or asked for by the organizer."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.CITIZEN, Role.REVISITOR, Role.ORG_HANDLER})

    ratings: dict[Dimension, Rating]
    resolution: Resolution | None = None
    medium: Medium | None = None
    words: Private | None = None
    call: Code | None = None


class Deem(Act, frozen=True, tag="deem"):
    """视为评价. The window ended without an evaluation (S1-33)."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.SYSTEM})


class OrderRedo(Act, frozen=True, tag="order_redo"):
    """重办."""

    roles: ClassVar[frozenset[Role]] = _MANAGER | _INSTEAD

    ground: RedoGround
    requirements: Private
    limit: Limit | None = None
    article: Citation | None = None


class ExemptSatisfaction(Act, frozen=True, tag="exempt_satisfaction"):
    """不计满意率. After an evaluation the reviewer's command proposes, and the management's decides."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.DISPATCHER, Role.QC_REVIEWER, Role.HOTLINE_MANAGER})

    category: ExemptCategory
    article: Citation
    words: Private | None = None


class RejectExemption(Act, frozen=True, tag="reject_exemption"):
    """不同意不计满意率."""

    roles: ClassVar[frozenset[Role]] = _MANAGER

    words: Private


class ProposeReasonableness(Act, frozen=True, tag="propose_reasonableness"):
    """提请认定不合理诉求."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_APPROVER})

    words: Private
    evidence: tuple[Attachment, ...]
    article: Citation | None = None


class JudgeReasonableness(Act, frozen=True, tag="judge_reasonableness"):
    """认定诉求合理性."""

    roles: ClassVar[frozenset[Role]] = _REVIEWER

    proposal: int
    finding: Reasonableness
    article: Citation
    words: Private | None = None


# --- who may judge -----------------------------------------------------------------------------------------------


def _reply(order: WorkOrder, no: int) -> Reply:
    if not 0 < no <= len(order.replies):
        raise refusals.NoSuchReply(f"reply: {no}")
    return order.replies[no - 1]


# --- deciding: reviewing -----------------------------------------------------------------------------------------


def review_reply(order: WorkOrder, command: ReviewReply, context: Context) -> list[Step]:
    """Accept the newest reply or send it back with what is wanted, before its time to be sent back is over (8.3)."""
    guards.in_state(order, *guards.ANSWERED)
    reply = _reply(order, command.reply)
    if reply.accepted is not None or reply.no != len(order.replies):
        raise refusals.AlreadyReviewed(f"reply: {reply.no}")
    guards.judging(order, context)
    if not command.accept:
        if not guards.said(command.requirements):
            raise refusals.RequirementsMissing
        for name in (ClockName.EVAL_WINDOW, ClockName.CLOSE_AFTER):
            window = guards.clock(order, context, name, f"r{reply.no}")
            if window is not None and context.passed(window.due):
                raise refusals.ReviewWindowOver(f"{name}: {window.due}", due=window.due)
    elif order.confidentiality is Confidentiality.INFORMANT and not command.identity_checked:
        raise refusals.IdentityNotChecked
    return [
        ReplyReviewed(
            reply=reply.no,
            accepted=command.accept,
            requirements=command.requirements,
            opinion=command.opinion,
            identity_checked=command.identity_checked,
        )
    ]


def judge_substance(order: WorkOrder, command: JudgeSubstance, context: Context) -> list[Step]:
    """Judge a reply against the unit's one before it; the count that the pack names has its consequence."""
    guards.in_state(order, *guards.ANSWERED)
    reply = _reply(order, command.reply)
    guards.judging(order, context)
    if reply.substance:
        raise refusals.AlreadyJudged(f"reply: {reply.no}")
    if reply.no == 1 or order.replies[reply.no - 2].unit != reply.unit:
        raise refusals.NothingToCompare(f"reply: {reply.no}")
    if command.substance is Substance.JUSTIFIED and command.basis is None:
        raise refusals.LegalBasisMissing
    judged = ReplySubstanceJudged(
        reply=reply.no, substance=command.substance, grounds=command.grounds, basis=command.basis
    )
    limit = guards.binding(order, context).options.streak
    after = _streaks(put(order.replies, reply.no, substance=str(command.substance)))
    run = _run(after, reply.no - 1)
    if limit is None or max(after[run]) < limit or max(_streaks(order.replies)[run]) >= limit:
        return [judged]  # not so many, or found before of this very row
    hit = run.start + after[run].index(limit)
    return [judged, DeemedNotHandled(unit=reply.unit, reply=hit + 1, streak=limit)]


def _streaks(replies: Sequence[Reply]) -> list[int]:
    """Return, for each reply in their order, how many in a row brought nothing new, it counted (R-15).

    A row begins anew with another unit, with what was changed or justified, and with what nobody has judged yet.
    """
    counts: list[int] = []
    for place, reply in enumerate(replies):
        goes_on = place > 0 and replies[place - 1].unit == reply.unit and reply.substance == Substance.UNCHANGED.value
        counts.append(counts[-1] + 1 if goes_on else 1)
    return counts


def _run(counts: Sequence[int], place: int) -> slice:
    """Return the row that a reply stands in."""
    end = next((i for i in range(place + 1, len(counts)) if counts[i] == 1), len(counts))
    return slice(place - counts[place] + 1, end)


def not_from_handling(order: WorkOrder, context: Context) -> None:
    guards.judging(order, context)
    units = {
        a.unit
        for e in order.episodes
        if e.round == order.round
        for a in e.assignments
        if a.role is not AssignmentRole.SUPERVISING
    }
    if any(guards.acts_for(context, unit) for unit in units):
        raise refusals.RevisitorFromHandlingUnit(f"unit: {context.actor.unit}", unit=context.actor.unit)


# --- deciding: evaluating ----------------------------------------------------------------------------------------


def rated(ratings: Mapping[Dimension, Rating]) -> None:
    if Dimension.RESULT not in ratings:
        raise refusals.RatingMissing


def _source(order: WorkOrder, context: Context, reply: Reply | None) -> EvaluationSource:
    """Return whose evaluation it is. Raises what each source may not do."""
    match context.actor.role:
        case Role.REVISITOR:
            if order.revisit is None or order.revisit.completed is None:
                raise refusals.RevisitNotDone(f"round: {order.round}")
            not_from_handling(order, context)
            return EvaluationSource.REVISIT
        case Role.ORG_HANDLER:
            if not guards.binding(order, context).options.solicit:
                raise refusals.SolicitingNotAllowed(order.policy.pack)
            if reply is None or not guards.acts_for(context, reply.unit):
                raise refusals.NotYourUnit(f"unit: {context.actor.unit or '-'}", unit=context.actor.unit)
            return EvaluationSource.ORGANIZER_SOLICITED
        case _:
            return EvaluationSource.CITIZEN_SELF


def _is_late(order: WorkOrder, context: Context, source: EvaluationSource, reply: Reply | None) -> bool:
    """Tell whether an evaluation given now comes too late to count; a return visit before sealing never does (8.9).

    Silence that was deemed before an outage was declared, which its window runs beyond, takes nobody's time (8.11).
    """
    if source is EvaluationSource.REVISIT:
        return False
    window = guards.clock(order, context, ClockName.EVAL_WINDOW, f"r{reply.no}") if reply is not None else None
    if order.state in guards.ENDED and not _deemed_before(order, window):
        return True
    return window is not None and context.passed(window.due)


def _deemed_before(order: WorkOrder, window: Clock | None) -> bool:
    """Tell whether what ended an order was a deeming, at an instant before the window's end as it is known now."""
    counts = effective(order)
    if window is None or window.due is None or counts is None or counts.source is not EvaluationSource.DEEMED:
        return False
    return counts.at.at < window.due


def evaluate(order: WorkOrder, command: Evaluate, context: Context) -> list[Step]:
    """Record a rating: one for each source of a reply, late after the window or the closure, until sealed."""
    guards.unsealed(order)
    guards.in_state(order, *_AFTER_REPLY, OrderState.MERGED)
    reply = filing.reply_now(order)
    if order.state is OrderState.MERGED:
        if order.links.merge is None or order.links.merge.told is None:
            raise refusals.ResultNotTold
    elif reply is None:
        raise refusals.WrongState("没有答复 no reply", state=order.state)
    source = _source(order, context, reply)
    rated(command.ratings)
    about = reply.no if reply is not None else 0
    if any(
        e.source is source and (e.round, e.reply) == (order.round, about) and not e.voided
        for e in order.quality.evaluations
    ):
        raise refusals.AlreadyRated(f"{source}, reply: {about}")
    kind = LateEvaluationRecorded if _is_late(order, context, source, reply) else EvaluationRecorded
    return [
        kind(
            round=order.round,
            reply=about,
            source=source,
            ratings=command.ratings,
            resolution=command.resolution,
            medium=command.medium,
            words=command.words,
            call=command.call,
        )
    ]


def deem(order: WorkOrder, command: Deem, context: Context) -> list[Step]:
    """Deem the applicant basically satisfied, close and, where the file is complete, file: effective at the window's end.

    A later explicit evaluation, a redo or a sending back ends the window, so that it is no longer running.
    """
    guards.in_state(order, *guards.ANSWERED)
    options = guards.binding(order, context).options
    reply = filing.reply_now(order)
    if not options.deem or order.demand.anonymous:
        raise refusals.NoDeeming(order.policy.pack)
    if reply is None:
        raise refusals.WrongState("没有答复 no reply", state=order.state)
    window = guards.clock(order, context, ClockName.EVAL_WINDOW, f"r{reply.no}")
    if window is None:
        raise refusals.ResultNotTold  # the window begins when the applicant really was told
    if not window.running or window.due is None or not context.passed(window.due):
        raise refusals.WindowOpen(f"due: {window.due}", due=window.due)
    counts = effective(order)
    if counts is not None:  # `not_rated` is none: it neither counts nor keeps the window from ending
        raise refusals.AlreadyEvaluated(counts.source)
    filing.closable(order, context)
    steps: list[Step] = []
    if reply.accepted is None:
        steps.append(ReplyReviewed(reply=reply.no, accepted=True))
    # An unresolved demand closes only with its promise tracked, however it is evaluated (3.5).
    unresolved = reply.outcome is Outcome.UNRESOLVED
    kind = ClosureKind.UNRESOLVED_FOLLOW_UP if unresolved else ClosureKind.DEEMED_BASICALLY_SATISFIED
    steps += [
        EvaluationDeemed(round=order.round, reply=reply.no, rating=Rating.BASICALLY_SATISFIED, effective_at=window.due),
        OrderClosed(kind=kind, effective_at=window.due),
    ]
    if options.auto_file:
        steps += filing.file_at_closing(order, context, kind)
    return steps


def order_redo(order: WorkOrder, command: OrderRedo, context: Context) -> list[Step]:
    """Send the order out again; the hotline's management alone decides that, until the file is sealed (S1-34)."""
    guards.unsealed(order)
    guards.in_state(order, *_AFTER_REPLY)
    reply = filing.reply_now(order)
    if reply is None:
        raise refusals.WrongState("没有答复 no reply", state=order.state)
    guards.judging(order, context)
    if not guards.said(command.requirements):
        raise refusals.RequirementsMissing
    rules = guards.binding(order, context)
    if command.limit is not None:
        guards.shorter_limit(order, command.limit, context)
    elif rules.options.redo_needs_limit:
        raise refusals.LimitRequired
    if command.ground is RedoGround.REASONABLE_DISSATISFACTION:
        _dissatisfied(order)
    return [
        RedoOrdered(
            round=order.round + 1,
            ground=command.ground,
            requirements=command.requirements,
            limit=command.limit,
            unit=reply.unit,
            article=command.article,
        )
    ]


def _dissatisfied(order: WorkOrder) -> None:
    """Refuse dissatisfaction as a ground where none is on record, late ones included, or where it was judged so."""
    said = (e for e in order.quality.evaluations if e.round == order.round and not e.voided)
    if not any(e.result.negative or e.resolution is Resolution.UNRESOLVED for e in said):
        raise refusals.NoDissatisfaction
    if order.quality.reasonable == Reasonableness.UNREASONABLE.value:
        raise refusals.JudgedUnreasonable


# --- deciding: what counts ---------------------------------------------------------------------------------------

_EXEMPTION = "satisfaction_exempt"


def exempt_satisfaction(order: WorkOrder, command: ExemptSatisfaction, context: Context) -> list[Step]:
    """Leave the order out of satisfaction: one person before an evaluation counts, two afterwards (8.1)."""
    guards.unsealed(order)
    if order.quality.exempt:
        raise refusals.AlreadyExempt(order.quality.exempt)
    if all(effective(order, number) is None for number in range(1, order.round + 1)):
        return [SatisfactionExemptSet(category=command.category, article=command.article, words=command.words)]
    waiting = pending(order, _EXEMPTION)
    if waiting is not None and context.actor.role is Role.HOTLINE_MANAGER:
        guards.another_person(context, waiting.by)
        proposed = waiting.content
        if isinstance(proposed, SatisfactionExemptProposed) and proposed.category is not command.category:
            raise refusals.ExemptionLate(f"category: {proposed.category}")
        return [
            SatisfactionExemptSet(category=command.category, article=command.article, late=True, words=command.words)
        ]
    if context.actor.role is not Role.QC_REVIEWER or waiting is not None:
        raise refusals.ExemptionLate
    guards.judging(order, context)
    return [SatisfactionExemptProposed(category=command.category, article=command.article, words=command.words)]


def reject_exemption(order: WorkOrder, command: RejectExemption, context: Context) -> list[Step]:
    """Say no to what the reviewer proposed."""
    guards.unsealed(order)
    waiting = pending(order, _EXEMPTION)
    if waiting is None:
        raise refusals.NoSuchProposal(_EXEMPTION)
    guards.another_person(context, waiting.by)
    return [SatisfactionExemptRejected(words=command.words)]


def propose_reasonableness(order: WorkOrder, command: ProposeReasonableness, context: Context) -> list[Step]:
    """Show why the demand is not reasonable; an organizer of the present round, with evidence."""
    guards.unsealed(order)
    guards.in_state(order, *guards.HANDLED, *_AFTER_REPLY)
    units = {a.unit for e in order.episodes if e.round == order.round for a in e.assignments}
    if not any(guards.acts_for(context, unit) for unit in units):
        raise refusals.NotYourUnit(f"unit: {context.actor.unit or '-'}", unit=context.actor.unit)
    if not command.evidence:
        raise refusals.EvidenceMissing
    if pending(order, "reasonableness") is not None:
        raise refusals.ProposalPending("reasonableness")
    return [
        ReasonablenessProposed(
            round=order.round,
            unit=context.actor.unit,
            words=command.words,
            evidence=command.evidence,
            article=command.article,
        )
    ]


def judge_reasonableness(order: WorkOrder, command: JudgeReasonableness, context: Context) -> list[Step]:
    """Judge what the unit showed; what follows from it is the pack's."""
    guards.unsealed(order)
    waiting = pending(order, "reasonableness")
    if waiting is None or waiting.no != command.proposal:
        raise refusals.NoSuchProposal(f"proposal: {command.proposal}")
    guards.another_person(context, waiting.by)
    guards.judging(order, context)
    return [
        ReasonablenessJudged(proposal=waiting.no, finding=command.finding, article=command.article, words=command.words)
    ]


# --- folding -----------------------------------------------------------------------------------------------------


def _quality(order: WorkOrder, **changes: object) -> WorkOrder:
    return msgspec.structs.replace(order, quality=msgspec.structs.replace(order.quality, **changes))


def on_reply_reviewed(order: WorkOrder, event: ReplyReviewed, entry: Entry) -> WorkOrder:
    """Fold the review: an accepted reply waits for its evaluation, one sent back for its correction."""
    if not 0 < event.reply <= len(order.replies):
        return order
    at, by = mark(entry), entry.actor
    again = at if event.accepted and by.role is not Role.SYSTEM else None
    replies = put(
        order.replies,
        event.reply,
        reviewed=at,
        accepted=event.accepted,
        accepted_by=by.user if event.accepted else "",
        accepted_again=again,
    )
    if not event.accepted:
        return _sent_back(msgspec.structs.replace(order, replies=replies), event.reply)
    state = OrderState.EVALUATING if order.state is OrderState.REPLIED else order.state
    return msgspec.structs.replace(order, replies=replies, state=state)


def _sent_back(order: WorkOrder, reply: int) -> WorkOrder:
    """Return the order at work again: what was said about that reply is void, and a new visit may follow the new one."""
    evaluations = tuple(
        msgspec.structs.replace(e, voided=True) if e.reply == reply and e.round == order.round else e
        for e in order.quality.evaluations
    )
    revisits = tuple(
        msgspec.structs.replace(v, completed=None, unreachable=None) if v.round == order.round else v
        for v in order.quality.revisits
    )
    order = _quality(order, evaluations=evaluations, revisits=revisits)
    leading = order.episodes[-1].leading if order.episodes else None
    if leading is not None:
        held = put(order.episodes[-1].assignments, leading.no, state=AssignmentState.SIGNED)
        order = latest_episode(order, assignments=held)
    if order.state not in guards.ANSWERED:
        return order
    return msgspec.structs.replace(order, state=OrderState.WORKING)


def on_reply_substance_judged(order: WorkOrder, event: ReplySubstanceJudged, entry: Entry) -> WorkOrder:
    """Fold the judgement into the count of R-15."""
    if not 0 < event.reply <= len(order.replies):
        return order
    replies = put(order.replies, event.reply, substance=str(event.substance))
    order = _quality(order, streak=_streaks(replies)[-1], streak_unit=replies[-1].unit)
    return msgspec.structs.replace(order, replies=replies)


def on_deemed_not_handled(order: WorkOrder, event: DeemedNotHandled, entry: Entry) -> WorkOrder:
    """Fold the finding."""
    return _quality(order, not_handled=mark(entry))


def on_evaluation_recorded(
    order: WorkOrder, event: EvaluationRecorded | LateEvaluationRecorded, entry: Entry
) -> WorkOrder:
    """Fold the rating, late or not."""
    said = Evaluation(
        no=len(order.quality.evaluations) + 1,
        round=event.round,
        reply=event.reply,
        source=event.source,
        ratings=event.ratings,
        at=mark(entry),
        late=isinstance(event, LateEvaluationRecorded),
        resolved=None if event.resolution is None else event.resolution is Resolution.RESOLVED,
        resolution=event.resolution,
    )
    return _quality(order, evaluations=(*order.quality.evaluations, said))


def on_evaluation_deemed(order: WorkOrder, event: EvaluationDeemed, entry: Entry) -> WorkOrder:
    """Fold the deemed rating, at the instant from which it holds (K13)."""
    deemed = Evaluation(
        no=len(order.quality.evaluations) + 1,
        round=event.round,
        reply=event.reply,
        source=EvaluationSource.DEEMED,
        ratings={Dimension.RESULT: event.rating},
        at=Mark(event.effective_at, entry.position),
    )
    return _quality(order, evaluations=(*order.quality.evaluations, deemed))


def on_redo_ordered(order: WorkOrder, event: RedoOrdered, entry: Entry) -> WorkOrder:
    """Fold the new round: the episode is over, the closure undone, the order waits for its dispatch."""
    at = mark(entry)
    order = end_episode(order, "redo", AssignmentState.DONE, at)
    order = _quality(order, redo=(*order.quality.redo, at), redo_limit=event.limit)
    on_file = msgspec.structs.replace(order.filing, closed=None, kind=None, closed_by="", filed=None)
    order = msgspec.structs.replace(order, round=max(order.round + 1, event.round), filing=on_file)
    return begin_wait(order, "redo", at)


def on_satisfaction_exempt_proposed(order: WorkOrder, event: SatisfactionExemptProposed, entry: Entry) -> WorkOrder:
    """Fold the proposal."""
    return propose(order, entry, _EXEMPTION, content=event)


def on_satisfaction_exempt_set(order: WorkOrder, event: SatisfactionExemptSet, entry: Entry) -> WorkOrder:
    """Fold the exemption."""
    order = settle(order, entry, _EXEMPTION, approved=True)
    return _quality(order, exempt=str(event.category), exempt_late=event.late)


def on_satisfaction_exempt_rejected(order: WorkOrder, event: SatisfactionExemptRejected, entry: Entry) -> WorkOrder:
    """Fold the refusal."""
    return settle(order, entry, _EXEMPTION, approved=False)


def on_reasonableness_proposed(order: WorkOrder, event: ReasonablenessProposed, entry: Entry) -> WorkOrder:
    """Fold the proposal."""
    return propose(order, entry, "reasonableness", content=event)


def on_reasonableness_judged(order: WorkOrder, event: ReasonablenessJudged, entry: Entry) -> WorkOrder:
    """Fold the finding."""
    agreed = event.finding is not Reasonableness.REASONABLE
    order = settle(order, entry, "reasonableness", approved=agreed)
    return _quality(order, reasonable=str(event.finding))


EVOLVES: Mapping[type[Fact], Callable[[WorkOrder, Any, Entry], WorkOrder]] = {
    ReplyReviewed: on_reply_reviewed,
    ReplySubstanceJudged: on_reply_substance_judged,
    DeemedNotHandled: on_deemed_not_handled,
    EvaluationRecorded: on_evaluation_recorded,
    LateEvaluationRecorded: on_evaluation_recorded,
    EvaluationDeemed: on_evaluation_deemed,
    RedoOrdered: on_redo_ordered,
    SatisfactionExemptProposed: on_satisfaction_exempt_proposed,
    SatisfactionExemptSet: on_satisfaction_exempt_set,
    SatisfactionExemptRejected: on_satisfaction_exempt_rejected,
    ReasonablenessProposed: on_reasonableness_proposed,
    ReasonablenessJudged: on_reasonableness_judged,
}

DECIDES: Mapping[type[Act], Callable[[WorkOrder, Any, Context], Sequence[Step]]] = {
    ReviewReply: review_reply,
    JudgeSubstance: judge_substance,
    Evaluate: evaluate,
    Deem: deem,
    OrderRedo: order_redo,
    ExemptSatisfaction: exempt_satisfaction,
    RejectExemption: reject_exemption,
    ProposeReasonableness: propose_reasonableness,
    JudgeReasonableness: judge_reasonableness,
}
