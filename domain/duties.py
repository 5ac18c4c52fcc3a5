"""待办. What somebody has to do about a case next, of whatever kind, by when, and the command that does it.

Most duties are running clocks. Beside them stand the tasks that no rule text gives a time: a second person's decision,
a review, a notice to be served. `duties(order, found, law)` is the one list that a unit's desk works through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from domain.clocks import Clock
from domain.law import Law
from domain.matters import affairs
from domain.matters import notices as unit_notices
from domain.matters.matter import Matter, MatterKind, UnitNotice
from domain.policy import Rules
from domain.state import Notice, WorkOrder
from domain.steps import (
    answering,
    classifying,
    closing,
    coordinating,
    correcting,
    dispatch,
    evaluation,
    extending,
    filing,
    handling,
    oversight,
    recourse,
    returning,
    revisiting,
    triage,
)
from domain.terms import (
    Act,
    AssignmentState,
    ClockName,
    Fact,
    Mark,
    NoticeState,
    OrderState,
    Role,
    UnitId,
    UserId,
)
from domain.units import day_start


class Duty(msgspec.Struct, frozen=True):
    """待办事项. Something that a unit has to do; `command` names what does it, `roles` who may give it.

    `due` is None where no rule text gives a time. `clock` and `key` name the clock it is measured by, if any.
    """

    unit: UnitId  # empty: the hotline centre's
    command: type[Act]
    since: Mark
    due: datetime | None = None
    grace: datetime | None = None  # not late before that: an extension is being decided
    provisional: bool = False
    clock: ClockName | None = None
    key: str = ""
    not_by: UserId = ""  # decided by another person than this one (8.12)

    @property
    def roles(self) -> frozenset[Role]:
        """Who may give the command."""
        return self.command.roles

    @property
    def title(self) -> str:
        """What is to be done, in the field's term: the first words of the command's own account."""
        return title_of(self.command)


def title_of(kind: type[Act | Fact]) -> str:
    """Return the field's term for what a command does, or for what happened."""
    return (kind.__doc__ or kind.__name__).split(".")[0].split("。")[0].strip()


# --- duties with a clock -----------------------------------------------------------------------------------------


def _answer(order: WorkOrder, clock: Clock) -> type[Act]:
    """Return what stops HANDLE: the reply, or, where that is given, telling the applicant of it (R-31)."""
    reply = order.reply
    if clock.name is ClockName.EXTERNAL and order.running is None:
        return dispatch.Dispatch
    given = reply is not None and clock.key == f"e{reply.episode}" and reply.accepted is not False
    return answering.InformApplicant if given else answering.Reply


BY_CLOCK: Final[Mapping[ClockName, type[Act]]] = {
    ClockName.DISPATCH: dispatch.Dispatch,
    ClockName.SIGN: handling.Sign,
    ClockName.TRANSFER: dispatch.Transfer,
    ClockName.RETURN_REVIEW: returning.DecideReturn,
    ClockName.INIT_RESPONSE: handling.InitialResponse,
    ClockName.PROGRESS: handling.Progress,
    ClockName.HANDLE: answering.Reply,
    ClockName.STATUTORY: answering.InformApplicant,
    ClockName.EXTERNAL: answering.Reply,
    ClockName.CO_REPLY: answering.CoOpinion,
    ClockName.EXTENSION_DECISION: extending.DecideExtension,
    ClockName.INFORM_EXTENSION: extending.InformExtension,
    ClockName.CORRECTION: answering.Reply,
    ClockName.CITIZEN_REPLY: answering.InformApplicant,
    ClockName.FOLLOW_UP: answering.CompleteFollowUp,
    ClockName.SUPV_REPLY: oversight.ReplyNotice,
    ClockName.ARRIVE_SITE: handling.ArriveSite,
    ClockName.SITE_RECORD: handling.VerifySite,
    ClockName.WHISTLE: coordinating.RespondWhistle,
    ClockName.INSTRUCTION: recourse.ReportInstruction,
    ClockName.APPEAL_DECISION: recourse.DecideAppeal,
}
"""What stops each clock that is somebody's duty; windows and the right to return are not here."""


def _clocked(order: WorkOrder, found: Sequence[Clock]) -> Iterator[Duty]:
    for clock in found:
        command = BY_CLOCK.get(clock.name)
        if command is None or not clock.running:
            continue
        yield Duty(
            unit=clock.unit,
            command=_answer(order, clock) if command is answering.Reply else command,
            since=clock.start,
            due=clock.due,
            grace=clock.grace,
            provisional=clock.provisional,
            clock=clock.name,
            key=clock.key,
        )


# --- duties that no text gives a time ----------------------------------------------------------------------------

BY_PROPOSAL: Final[Mapping[str, type[Act]]] = {
    "lift_confidentiality": classifying.LiftConfidentiality,
    "refusal": triage.Refuse,
    "correction": correcting.ApproveCorrection,
    "erasure": correcting.ApproveErasure,
    "noted_closure": closing.ApproveNotedClosure,
    "termination": closing.DecideTermination,
    "reasonableness": evaluation.JudgeReasonableness,
    "satisfaction_exempt": evaluation.ExemptSatisfaction,
    "special_report": oversight.ApproveSpecialReport,
}
"""The second person's command for each kind of proposal (8.12)."""


def _second_persons(order: WorkOrder) -> Iterator[Duty]:
    for proposal in order.proposals:
        command = BY_PROPOSAL.get(proposal.about)
        if proposal.decided is None and command is not None:
            yield Duty("", command, proposal.proposed, key=f"p{proposal.no}", not_by=proposal.by)


def _handling(order: WorkOrder, clocked: frozenset[tuple[ClockName, str]]) -> Iterator[Duty]:
    episode = order.running
    if episode is None:
        return
    for a in episode.assignments:
        key = f"e{episode.no}.a{a.no}"
        if a.state is AssignmentState.PENDING_SIGN and a.ended is None and (ClockName.SIGN, key) not in clocked:
            yield Duty(a.unit, handling.Sign, a.given, key=key)
    for r in episode.returns:
        key = f"e{episode.no}.b{r.no}"
        if r.pending and (ClockName.RETURN_REVIEW, key) not in clocked:
            yield Duty("", returning.DecideReturn, r.requested, key=key, not_by=r.by)
    for escalation in episode.escalations:
        if escalation.decided is None:
            key = f"e{episode.no}.u{escalation.no}"
            yield Duty(escalation.to, returning.AcceptEscalation, escalation.raised, key=key, not_by=escalation.by)
    for dispute in episode.disputes:
        if dispute.ruled is None:
            yield Duty("", returning.RuleDispute, dispute.raised, key=f"e{episode.no}.d{dispute.no}", not_by=dispute.by)


def _reviewing(order: WorkOrder, rules: Rules) -> Iterator[Duty]:
    reply, visit = order.reply, order.revisit
    if order.state is OrderState.REPLIED and reply is not None and reply.accepted is None:
        yield Duty("", evaluation.ReviewReply, reply.submitted, key=f"r{reply.no}", not_by=reply.approved_by)
    told_by_hotline = rules.options.handle_stop == "reply_to_hotline"
    answered = order.state in (OrderState.REPLIED, OrderState.EVALUATING) and not order.demand.anonymous
    if reply is not None and answered and told_by_hotline and reply.informed is None and not reply.sent_back:
        yield Duty("", answering.InformApplicant, reply.submitted, key=f"r{reply.no}")
    wanted = visit is not None and (visit.sampled is not None or visit.scheduled is not None)
    if reply is not None and answered:
        everybody = rules.options.revisit_sampling == "all" and (visit is None or visit.over is None)
        if everybody or (wanted and visit is not None and visit.over is None):
            yield Duty("", revisiting.CompleteRevisit, reply.submitted, key=f"r{reply.no}")
    if order.state is OrderState.CLOSED and order.filing.closed is not None and order.filing.filed is None:
        yield Duty("", filing.Archive, order.filing.closed)


def _supervising(notice: Notice) -> Iterator[Duty]:
    key = f"n{notice.no}.{notice.turn}"
    if notice.state is NoticeState.ISSUED and notice.served is None:
        yield Duty("", oversight.ServeNotice, notice.issued, key=key)
    elif notice.state is NoticeState.REPLIED and notice.replied is not None:
        yield Duty("", oversight.AcceptNoticeReply, notice.replied, key=key, not_by=notice.replied_by)


def _promised(order: WorkOrder) -> Iterator[Duty]:
    for referral in order.referrals:
        if referral.follow_up_by is not None and referral.followed_up is None:
            end = day_start(referral.follow_up_by + timedelta(days=1))
            yield Duty("", triage.CompleteReferral, referral.referred, due=end, key=f"t{referral.no}")
    for instruction in order.oversight.instructions:
        if instruction.requested is not None and instruction.recorded is None:
            key, by = f"i{instruction.no}", instruction.requested_by
            yield Duty("", recourse.RecordInstruction, instruction.requested, key=key, not_by=by)
    for decided in order.oversight.decisions:
        if decided.reported is None:
            due = None if decided.by is None else day_start(decided.by + timedelta(days=1))
            yield Duty(decided.unit, coordinating.CarryOutDecision, decided.told, due=due, key=f"m{decided.no}")


def of_matter(matter: Matter, law: Law) -> tuple[Duty, ...]:
    """Return what has to be done about a matter that is no order: decisions, rectification, notices to a unit. Pure."""
    found = [*_drafted(matter), *_rectifying(matter)]
    if matter.what is MatterKind.SHIFT and matter.taken_over is None:
        found.append(Duty("", affairs.TakeOverShift, matter.opened, not_by=matter.opened_by))
    if matter.closed is None and matter.notice is not None:
        found += _noticed(matter, matter.notice, law)
    return tuple(sorted(found, key=_urgency))


def _drafted(matter: Matter) -> Iterator[Duty]:
    if matter.circular is None or matter.rejected is not None:
        return
    if matter.approved is None:
        yield Duty("", affairs.ApproveCircular, matter.opened, not_by=matter.opened_by)
    elif matter.published is None:
        yield Duty("", affairs.PublishCircular, matter.approved)


def _rectifying(matter: Matter) -> Iterator[Duty]:
    """Yield what units were told to put right or carry out; a circular binds once it is out."""
    since = matter.opened if matter.circular is None else matter.published
    if since is None:
        return
    for duty in matter.duties:
        key = f"d{duty.no}"
        if duty.reported is None:
            due = None if duty.by is None else day_start(duty.by + timedelta(days=1))
            yield Duty(duty.unit, affairs.ReportRectification, since, due=due, key=key)
        elif duty.accepted is None:
            yield Duty("", affairs.AcceptRectification, duty.reported, key=key, not_by=duty.reported_by)


def _noticed(matter: Matter, notice: UnitNotice, law: Law) -> Iterator[Duty]:
    unit, key = matter.units[0], f"n{notice.turn}"
    if notice.served is None:
        yield Duty("", unit_notices.ServeUnitNotice, matter.opened, key=key)
    if notice.arrive_by is not None and notice.arrived is None and notice.served is not None:
        yield Duty("", unit_notices.RecordUnitArrival, matter.opened, due=notice.arrive_by, key=key)
    if notice.replied is not None and notice.accepted is None:
        yield Duty("", unit_notices.AcceptUnitReply, notice.replied, key=key, not_by=notice.replied_by)
    elif notice.replied is None and notice.served is not None and notice.limit is not None:
        due = unit_notices.answer_due(notice, law)
        yield Duty(unit, unit_notices.ReplyUnitNotice, notice.served, due=due, key=key)


def duties(order: WorkOrder, found: Sequence[Clock], law: Law) -> tuple[Duty, ...]:
    """Return what has to be done about a case, what falls due first first; `found` are its clocks. Pure.

    Units are those that the duty was given to; who bears it now is `law.successor`.
    """
    rules = law.rules(order.policy)
    clocked = tuple(_clocked(order, found))
    timed = frozenset((duty.clock, duty.key) for duty in clocked if duty.clock is not None)
    untimed = [*_second_persons(order), *_handling(order, timed), *_reviewing(order, rules), *_promised(order)]
    for notice in order.oversight.notices:
        untimed += _supervising(notice)
    return tuple(sorted((*clocked, *untimed), key=_urgency))


def _urgency(duty: Duty) -> tuple[bool, datetime]:
    return duty.due is None, duty.due or duty.since.at
