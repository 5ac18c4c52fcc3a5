"""③ 答复. Co-organizers' opinions, the reply, telling and explaining, and the promises a reply makes.

One reply for all organizers, by the lead (S1-13); who was told what, and how it counts, is decided here (R-31).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, ClassVar

import msgspec

from domain import guards, refusals, state
from domain.context import Context
from domain.state import (
    Episode,
    FollowUp,
    WorkOrder,
    latest_episode,
    put,
)
from domain.steps import filing
from domain.steps.filing import mark
from domain.steps.handling import (
    acted,
    attempted,
    hotline_leads,
    is_handler,
    is_late,
    signed,
    signers,
    with_assignment,
    worked,
    worked_on,
)
from domain.terms import (
    Act,
    AssignmentRole,
    AssignmentState,
    Attachment,
    Citation,
    ClockName,
    Code,
    Confidentiality,
    Entry,
    Fact,
    Hindrance,
    InformAbout,
    Informing,
    Mark,
    Medium,
    OrderId,
    OrderState,
    Outcome,
    Private,
    Role,
    Step,
    UnitId,
    UserId,
    Verified,
)

_AFTER_REPLY = (*guards.ANSWERED, OrderState.CLOSED, OrderState.ARCHIVED)


# --- events -----------------------------------------------------------------------------------------------------------


class CoOpinionSubmitted(Fact, frozen=True, tag="order.co_opinion_submitted"):
    """协办意见. A co-organizer's part: its result, or how far it is and why."""

    assignment: int
    unit: UnitId
    opinion: Private
    staged: bool = False  # 阶段性: not finished, for the reason given
    reason: Private | None = None
    evidence: tuple[Attachment, ...] = ()
    late: bool = False


class ReplySubmitted(Fact, frozen=True, tag="order.reply_submitted"):
    """答复. The lead's one reply for all organizers; its actor signed it off, `drafted_by` wrote it."""

    assignment: int  # 0: the hotline itself led
    unit: UnitId
    public_answer: Private  # to the applicant
    outcome: Outcome | None = None  # not said: another system's reply
    handling_report: Private | None = None  # inside the administration
    informing: Informing | None = None  # how the applicant counts as told; None: not said (other systems)
    verified: Verified | None = None
    drafted_by: UserId = ""
    policy_fit: bool | None = None  # 符合政策 (S2-15)
    published: bool = False  # under the query code, or by the source of an import
    co_opinions: tuple[UnitId, ...] = ()  # co-organizers whose opinions it rests on
    missing_co: tuple[UnitId, ...] = ()  # co-organizers that gave none
    reason: Private | None = None  # unresolved: the reason; unsolvable: reason or difficulty
    next_measures: Private | None = None
    implement_by: date | None = None
    responsible_unit: UnitId = ""
    research: bool | None = None  # unsolvable: whether there are research measures
    research_measures: Private | None = None
    evidence: tuple[Attachment, ...] = ()
    late: bool = False
    accepted: bool = False  # at once: here nobody reviews replies (8.3)
    derived: tuple[Code, ...] = ()  # what a mapping set because the source lacks it (8.15)
    hindrance: Hindrance | None = None  # of what kind the reason is, where it is unresolved or unsolvable


class ApplicantInformed(Fact, frozen=True, tag="order.applicant_informed"):
    """告知诉求人. The applicant was told, or an attempt to tell failed, which counts as an attempt to reach them."""

    about: InformAbout
    medium: Medium
    unit: UnitId
    reached: bool
    reply: int = 0  # the reply whose result was told; 0: before any
    words: Private | None = None  # how the applicant took it
    call: Code | None = None
    proof: Attachment | None = None
    master: OrderId | None = None  # 并单: the order whose result was told


class ExplanationRecorded(Fact, frozen=True, tag="order.explanation_recorded"):
    """解释说明. Why more could not be done was explained to the applicant (S1-38, S2-15)."""

    unit: UnitId
    points: Private
    reply: int = 0  # 0: before any reply
    legal_basis: Citation | None = None
    reaction: Private | None = None


class FollowUpCommitted(Fact, frozen=True, tag="order.follow_up_committed"):
    """后续承诺. What is not solved yet will be, by a day, by a unit (S4-27)."""

    reply: int
    unit: UnitId
    implement_by: date
    measures: Private


class FollowUpDone(Fact, frozen=True, tag="order.follow_up_done"):
    """承诺兑现. The promising unit reports the promise kept."""

    follow_up: int
    unit: UnitId
    result: Private
    evidence: tuple[Attachment, ...] = ()
    late: bool = False


class FollowUpRejected(Fact, frozen=True, tag="order.follow_up_rejected"):
    """承诺兑现不予认可. The hotline does not accept it as kept; the limit runs on as if nothing had been reported."""

    follow_up: int
    reason: Private


# --- commands ---------------------------------------------------------------------------------------------------------


_HANDLER: frozenset[Role] = frozenset({Role.ORG_HANDLER})


class CoOpinion(Act, frozen=True, tag="co_opinion"):
    """提交协办意见."""

    roles: ClassVar[frozenset[Role]] = _HANDLER

    opinion: Private
    staged: bool = False
    reason: Private | None = None
    evidence: tuple[Attachment, ...] = ()


class Reply(Act, frozen=True, tag="reply"):
    """答复. Signed off by the lead's approver; by the hotline's management where the hotline itself leads (S2-23)."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_APPROVER, Role.HOTLINE_MANAGER})

    outcome: Outcome
    public_answer: Private
    handling_report: Private | None = None
    verified: Verified | None = None
    drafted_by: UserId = ""
    policy_fit: bool | None = None
    publish: bool = False  # answer an anonymous applicant under the query code
    missing_co: tuple[UnitId, ...] = ()
    reason: Private | None = None
    next_measures: Private | None = None
    implement_by: date | None = None
    responsible_unit: UnitId = ""
    research: bool | None = None
    research_measures: Private | None = None
    explanation: Private | None = None  # explained to the applicant when they were told
    legal_basis: Citation | None = None  # of that explanation
    evidence: tuple[Attachment, ...] = ()
    hindrance: Hindrance | None = None  # of what kind the reason is


class InformApplicant(Act, frozen=True, tag="inform_applicant"):
    """告知诉求人."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_HANDLER, Role.AGENT})

    about: InformAbout
    medium: Medium
    reached: bool = True
    words: Private | None = None
    call: Code | None = None
    proof: Attachment | None = None
    master: OrderId | None = None  # needed to tell the applicant of a merged order the result

    def reads(self) -> tuple[str, ...]:
        """Name the master order."""
        return (f"order:{self.master}",) if self.master is not None else ()


class Explain(Act, frozen=True, tag="explain"):
    """解释说明. By the organizer; by the hotline where it leads itself."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_HANDLER, Role.AGENT, Role.HOTLINE_MANAGER})

    points: Private
    legal_basis: Citation | None = None
    reaction: Private | None = None


class CompleteFollowUp(Act, frozen=True, tag="complete_follow_up"):
    """报告承诺兑现."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_HANDLER, Role.ORG_APPROVER, Role.HOTLINE_MANAGER})

    follow_up: int
    result: Private
    evidence: tuple[Attachment, ...]


class RejectFollowUp(Act, frozen=True, tag="reject_follow_up"):
    """不予认可承诺兑现."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.QC_REVIEWER, Role.HOTLINE_MANAGER})

    follow_up: int
    reason: Private


# --- deciding ---------------------------------------------------------------------------------------------------------


def co_opinion(order: WorkOrder, command: CoOpinion, context: Context) -> list[Step]:
    """Submit a co-organizer's part; also after the lead's reply, while its own limit runs (R-32)."""
    guards.in_state(order, *guards.HANDLED, *guards.ANSWERED)
    held = guards.joining(order, context)
    if command.staged and not guards.said(command.reason):
        raise refusals.ReasonMissing
    key = f"e{guards.episode_of(order).no}.a{held.no}"
    submitted = CoOpinionSubmitted(
        assignment=held.no,
        unit=held.unit,
        opinion=command.opinion,
        staged=command.staged,
        reason=command.reason,
        evidence=command.evidence,
        late=is_late(order, context, ClockName.CO_REPLY, key),
    )
    return [*signed(order, context, held), submitted]


def _informing(order: WorkOrder, command: Reply, context: Context) -> Informing:
    """Return how the applicant counts as told of the result (R-31). Raises InformingMissing."""
    episode = guards.episode_of(order)
    told = episode.informed_result
    corrected = [r.reviewed for r in order.replies if r.episode == episode.no and r.sent_back and r.reviewed]
    if told is not None and all(told.position > back.position for back in corrected):
        return Informing.TOLD  # what was told before a reply was sent back is not the new result
    if command.publish and order.demand.anonymous:
        return Informing.PUBLISHED
    if guards.binding(order, context).options.handle_stop == "reply_to_hotline":
        return Informing.BY_HOTLINE
    if filing.tried(order, context.law):
        return Informing.TRIED
    raise refusals.InformingMissing(order.number)


def _outcome_complete(command: Reply, context: Context) -> None:
    """Refuse an outcome without what the rules want said about it (S4-27, S4-28); half a promise is none."""
    if command.outcome is Outcome.UNRESOLVED or command.implement_by is not None or command.responsible_unit:
        texts = {"next_measures": command.next_measures}
        if command.outcome is Outcome.UNRESOLVED:
            texts["reason"] = command.reason
        missing = [name for name, text in texts.items() if not guards.said(text)]
        missing += ["implement_by"] if command.implement_by is None else []
        missing += ["responsible_unit"] if not command.responsible_unit else []
        if missing:
            raise refusals.UnresolvedFieldsMissing(", ".join(missing), missing=missing)
    if command.outcome is Outcome.UNSOLVABLE and (
        not guards.said(command.reason)
        or command.research is None
        or (command.research and not guards.said(command.research_measures))
    ):
        raise refusals.UnsolvableFieldsMissing
    if command.hindrance is not None and command.outcome not in (Outcome.UNRESOLVED, Outcome.UNSOLVABLE):
        raise refusals.HindranceWithoutOne(command.outcome)
    if command.responsible_unit:
        guards.active_unit(command.responsible_unit, context)
    if command.implement_by is not None and guards.day_over(context, command.implement_by):
        raise refusals.PromiseInPast(f"implement_by: {command.implement_by}")


def _two_hands(order: WorkOrder, command: Reply, context: Context, unit: UnitId) -> None:
    """Refuse a reply that its signer drafted, where the rules want two persons (8.10)."""
    if not guards.binding(order, context).options.reply_two_persons:
        return
    if not command.drafted_by:
        raise refusals.TwoHandsNeeded
    guards.another_person(context, command.drafted_by)
    if not is_handler(context, command.drafted_by, unit):
        raise refusals.HandlerNotInUnit(f"{command.drafted_by}, {unit}")


def _co_organizers(episode: Episode, command: Reply) -> tuple[tuple[UnitId, ...], tuple[UnitId, ...]]:
    """Return the co-organizers with an opinion, and those without; each of the latter must be named (S1-13, R-32)."""
    asked = [a for a in episode.assignments if a.role is AssignmentRole.CO and (a.opinion or a.ended is None)]
    given = tuple(dict.fromkeys(a.unit for a in asked if a.opinion is not None))
    missing = tuple(dict.fromkeys(a.unit for a in asked if a.opinion is None))
    unnamed = [unit for unit in missing if unit not in command.missing_co]
    if unnamed:
        raise refusals.CoOpinionMissing(", ".join(unnamed), units=unnamed)
    return given, missing


def _replying(order: WorkOrder, context: Context) -> tuple[int, UnitId, list[Step]]:
    """Return the assignment (0: the hotline's own), the unit and the implied signature of whoever answers."""
    guards.in_state(order, *guards.HANDLED)
    if hotline_leads(order, context):
        return 0, context.actor.unit or context.law.hotline_unit, []
    held = guards.leading(order, context)
    if order.state is OrderState.RETURN_REVIEW:
        raise refusals.ReturnPending(order.number)
    return held.no, held.unit, signed(order, context, held)


def _needs_no_review(order: WorkOrder, context: Context) -> bool:
    """Tell whether a reply counts as accepted at once; an informant's is looked at for what gives them away (3.5)."""
    unreviewed = guards.binding(order, context).options.reply_review == "none"
    return unreviewed and order.confidentiality is not Confidentiality.INFORMANT


def reply(order: WorkOrder, command: Reply, context: Context) -> list[Step]:
    """Answer: once the applicant knows or was tried, co-organizers have spoken or are named, and the outcome is told."""
    assignment, unit, steps = _replying(order, context)
    if not guards.said(command.public_answer):
        raise refusals.AnswerMissing
    _two_hands(order, command, context, unit)
    _outcome_complete(command, context)
    given, missing = _co_organizers(guards.episode_of(order), command)
    informing = _informing(order, command, context)
    submitted = ReplySubmitted(
        assignment=assignment,
        unit=unit,
        outcome=command.outcome,
        public_answer=command.public_answer,
        handling_report=command.handling_report,
        informing=informing,
        verified=command.verified,
        drafted_by=command.drafted_by,
        policy_fit=command.policy_fit,
        published=informing is Informing.PUBLISHED,
        co_opinions=given,
        missing_co=missing,
        reason=command.reason,
        next_measures=command.next_measures,
        implement_by=command.implement_by,
        responsible_unit=command.responsible_unit,
        research=command.research,
        research_measures=command.research_measures,
        evidence=command.evidence,
        late=is_late(order, context, ClockName.HANDLE),
        hindrance=command.hindrance,
        accepted=_needs_no_review(order, context),
    )
    number = len(order.replies) + 1
    steps = [*steps, submitted]
    if command.implement_by is not None and command.responsible_unit and command.next_measures is not None:
        steps.append(
            FollowUpCommitted(
                reply=number,
                unit=command.responsible_unit,
                implement_by=command.implement_by,
                measures=command.next_measures,
            )
        )
    if command.explanation is not None:
        steps.append(
            ExplanationRecorded(unit=unit, points=command.explanation, reply=number, legal_basis=command.legal_basis)
        )
    return steps


def _told_by(order: WorkOrder, command: InformApplicant, context: Context) -> None:
    """Refuse units that had no part in the order, and a merged order's result before its master has one (R-29)."""
    handler = context.actor.role is Role.ORG_HANDLER
    if order.state is OrderState.MERGED:
        merge = order.links.merge
        master: WorkOrder | None = None
        if merge is not None and command.master == merge.master:
            master = context.other(f"order:{command.master}")
        if master is None:
            raise refusals.UnknownOrder("主单 the master order must be named")
        # Any end of the master is a result to tell: answered, transferred, refused, withdrawn, told by its own master.
        ended = master.filing.closed is not None or master.state is OrderState.NOT_ACCEPTED
        answered = ended or any(r.accepted is not False for r in master.replies)
        if command.about is InformAbout.RESULT and not answered:
            raise refusals.MasterNotReplied(master.number)  # and if it never will be: unmerge
        parts = master.episodes[-1].assignments if master.episodes else ()
    else:
        if not order.episodes:
            raise refusals.WrongState("尚未派单 not dispatched", state=order.state)
        parts = order.episodes[-1].assignments
    took_part = (a.unit for a in parts if a.role is not AssignmentRole.SUPERVISING)
    if handler and not any(guards.acts_for(context, unit) for unit in took_part):
        raise refusals.NotYourUnit(f"unit: {context.actor.unit or '-'}", unit=context.actor.unit)


def inform_applicant(order: WorkOrder, command: InformApplicant, context: Context) -> list[Step]:
    """Record that the applicant was told, or could not be; from the dispatch until the file is sealed."""
    guards.unsealed(order)
    _told_by(order, command, context)
    steps: list[Step] = []
    held = guards.held(order, context) if order.state in guards.HANDLED else []
    if held and context.actor.role is Role.ORG_HANDLER:
        steps = signed(order, context, held[0])
    answered = order.state in _AFTER_REPLY and order.reply is not None and not order.reply.sent_back
    about_reply = answered and command.about is InformAbout.RESULT
    told = ApplicantInformed(
        about=command.about,
        medium=command.medium,
        unit=context.actor.unit,
        reached=command.reached,
        reply=len(order.replies) if about_reply else 0,
        words=command.words,
        call=command.call,
        proof=command.proof,
        master=command.master if order.state is OrderState.MERGED else None,
    )
    return [*steps, told]


def explain(order: WorkOrder, command: Explain, context: Context) -> list[Step]:
    """Record what was explained to the applicant; after the reply it belongs to that reply."""
    guards.in_state(order, OrderState.WORKING, OrderState.RETURN_REVIEW, OrderState.DISPATCHED, *guards.ANSWERED)
    steps: list[Step] = []
    if not hotline_leads(order, context):
        steps = signed(order, context, guards.holding(order, context))
    explained = ExplanationRecorded(
        unit=context.actor.unit,
        points=command.points,
        reply=len(order.replies) if order.state in guards.ANSWERED else 0,
        legal_basis=command.legal_basis,
        reaction=command.reaction,
    )
    return [*steps, explained]


def _promise(order: WorkOrder, no: int) -> FollowUp:
    guards.unsealed(order)
    if not 0 < no <= len(order.follow_ups):
        raise refusals.NoSuchFollowUp(f"follow_up: {no}")
    return order.follow_ups[no - 1]


def complete_follow_up(order: WorkOrder, command: CompleteFollowUp, context: Context) -> list[Step]:
    """Report a promise kept, with evidence; by the unit that promised, or its successor."""
    promise = _promise(order, command.follow_up)
    if not guards.acts_for(context, promise.unit):
        raise refusals.NotYourUnit(f"unit: {promise.unit}", unit=promise.unit)
    if promise.done is not None:
        raise refusals.FollowUpAlreadyDone(f"follow_up: {promise.no}")
    if not command.evidence:
        raise refusals.EvidenceMissing
    return [
        FollowUpDone(
            follow_up=promise.no,
            unit=context.actor.unit,
            result=command.result,
            evidence=command.evidence,
            late=is_late(order, context, ClockName.FOLLOW_UP, f"f{promise.no}"),
        )
    ]


def reject_follow_up(order: WorkOrder, command: RejectFollowUp, context: Context) -> list[Step]:
    """Say that a promise was not kept though it was reported so."""
    promise = _promise(order, command.follow_up)
    if promise.done is None:
        raise refusals.FollowUpNotDone(f"follow_up: {promise.no}")
    guards.another_person(context, promise.done_by)
    if not guards.said(command.reason):
        raise refusals.ReasonMissing
    return [FollowUpRejected(follow_up=promise.no, reason=command.reason)]


# --- folding ----------------------------------------------------------------------------------------------------------


def on_co_opinion_submitted(order: WorkOrder, event: CoOpinionSubmitted, entry: Entry) -> WorkOrder:
    """Fold the opinion; the first stops the co-organizer's clock, later ones add to it."""
    order = worked(order, entry, event.assignment)
    if not order.episodes or not 0 < event.assignment <= len(order.episodes[-1].assignments):
        return order
    given = order.episodes[-1].assignments[event.assignment - 1].opinion or mark(entry)
    return with_assignment(order, event.assignment, opinion=given, state=AssignmentState.REPLIED)


_OPEN_TO_ALL = (Informing.TOLD, Informing.PUBLISHED)


def _counted(order: WorkOrder, event: ReplySubmitted, at: Mark) -> tuple[Mark | None, Mark | None]:
    """Return when informing counted for HANDLE, and when the applicant really was told (R-31, 8.3)."""
    told = order.episodes[-1].informed_result if order.episodes else None
    match event.informing:
        case Informing.TOLD:
            return told or at, told or at
        case Informing.TRIED | Informing.PUBLISHED:
            return at, None
        case Informing.BY_HOTLINE:
            return None, None
        case None:
            return (at if event.published else told), told


def on_reply_submitted(order: WorkOrder, event: ReplySubmitted, entry: Entry) -> WorkOrder:
    """Fold the reply: it ends a pending request for extension, and a new unit begins the count of R-15 anew."""
    at = mark(entry)
    counted, informed = _counted(order, event, at)
    given = state.Reply(
        no=len(order.replies) + 1,
        round=order.round,
        episode=len(order.episodes),
        unit=event.unit,
        submitted=at,
        outcome=event.outcome,
        approved_by=entry.actor.user,
        drafted_by=event.drafted_by,
        counted_informed=counted,
        informed=informed,
        reviewed=at if event.accepted else None,
        accepted=event.accepted or None,
        policy_fit=event.policy_fit,
        hindrance="" if event.hindrance is None else str(event.hindrance),
    )
    last, changes = order.episode, dict[str, object]()
    if last is not None:
        if any(x.pending for x in last.extensions):
            ended = [msgspec.structs.replace(x, ended=at) if x.pending else x for x in last.extensions]
            changes["extensions"] = tuple(ended)
        # Published under the query code, or told by the reply itself: the statute asks for no more (8.10, 8.14).
        if last.informed_acceptance is None and (event.published or event.informing in _OPEN_TO_ALL):
            changes["informed_acceptance"] = at
    quality = order.quality
    if quality.streak_unit != event.unit:
        quality = msgspec.structs.replace(quality, streak=1, streak_unit=event.unit)
    stays = order.state in (*guards.ENDED, OrderState.MERGED)
    return msgspec.structs.replace(
        order,
        replies=(*order.replies, given),
        episodes=worked_on(order, at, event.assignment, changes, own=True, becomes=AssignmentState.REPLIED),
        signers=signers(order, entry),
        quality=quality,
        state=order.state if stays else OrderState.EVALUATING if event.accepted else OrderState.REPLIED,
    )


def on_applicant_informed(order: WorkOrder, event: ApplicantInformed, entry: Entry) -> WorkOrder:
    """Fold the informing; a failed one is an attempt. Told later, the result counts for the reply it is about."""
    at = mark(entry)
    if not event.reached:
        return attempted(order, entry, event.unit, reached=False)
    merge = order.links.merge
    if event.about is InformAbout.RESULT and merge is not None and merge.undone is None:
        links = msgspec.structs.replace(order.links, merge=msgspec.structs.replace(merge, told=merge.told or at))
        return msgspec.structs.replace(order, links=links)
    result = event.about is InformAbout.RESULT
    if order.episodes and (result or event.about is InformAbout.ACCEPTANCE):
        last = order.episodes[-1]
        known = last.informed_acceptance or at
        order = latest_episode(order, informed_acceptance=known, informed_result=at if result else last.informed_result)
    if not result or not 0 < event.reply <= len(order.replies):
        return order
    about = order.replies[event.reply - 1]
    replies = put(order.replies, about.no, informed=about.informed or at, counted_informed=about.counted_informed or at)
    return msgspec.structs.replace(order, replies=replies)


def on_explanation_recorded(order: WorkOrder, event: ExplanationRecorded, entry: Entry) -> WorkOrder:
    """Fold the explanation, for the reply it belongs to; before the first reply it is 0, else the reply just before."""
    about = event.reply or len(order.replies)
    quality = msgspec.structs.replace(order.quality, explained=(*order.quality.explained, about))
    return msgspec.structs.replace(acted(order, entry), quality=quality)


def on_follow_up_committed(order: WorkOrder, event: FollowUpCommitted, entry: Entry) -> WorkOrder:
    """Fold the promise."""
    promise = FollowUp(
        no=len(order.follow_ups) + 1,
        reply=event.reply,
        unit=event.unit,
        promised=mark(entry),
        implement_by=event.implement_by,
    )
    return msgspec.structs.replace(order, follow_ups=(*order.follow_ups, promise))


def _follow_up(order: WorkOrder, no: int, **changes: object) -> WorkOrder:
    if not 0 < no <= len(order.follow_ups):
        return order
    return msgspec.structs.replace(order, follow_ups=put(order.follow_ups, no, **changes))


def on_follow_up_done(order: WorkOrder, event: FollowUpDone, entry: Entry) -> WorkOrder:
    """Fold the promise kept."""
    return _follow_up(order, event.follow_up, done=mark(entry), done_by=entry.actor.user)


def on_follow_up_rejected(order: WorkOrder, event: FollowUpRejected, entry: Entry) -> WorkOrder:
    """Fold the hotline's no: the promise is open again, under its old date."""
    if not 0 < event.follow_up <= len(order.follow_ups):
        return order
    rejected = (*order.follow_ups[event.follow_up - 1].rejected, mark(entry))
    return _follow_up(order, event.follow_up, done=None, done_by="", rejected=rejected)


EVOLVES: Mapping[type[Fact], Callable[[WorkOrder, Any, Entry], WorkOrder]] = {
    CoOpinionSubmitted: on_co_opinion_submitted,
    ReplySubmitted: on_reply_submitted,
    ApplicantInformed: on_applicant_informed,
    ExplanationRecorded: on_explanation_recorded,
    FollowUpCommitted: on_follow_up_committed,
    FollowUpDone: on_follow_up_done,
    FollowUpRejected: on_follow_up_rejected,
}


DECIDES: Mapping[type[Act], Callable[[WorkOrder, Any, Context], Sequence[Step]]] = {
    CoOpinion: co_opinion,
    Reply: reply,
    InformApplicant: inform_applicant,
    Explain: explain,
    CompleteFollowUp: complete_follow_up,
    RejectFollowUp: reject_follow_up,
}
