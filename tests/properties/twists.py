"""What makes a case interesting: returns, escalations, extensions, whistles, notices, doubts about a reply.

`next_moves` leads straight to the end; `twists` yields what may happen on the way, each by who may do it, so that
random walks come to states that pure chance would hardly find.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from domain import guards
from domain.state import Episode, WorkOrder, pending
from domain.steps import filing
from domain.steps.answering import CompleteFollowUp, CoOpinion, Explain, InformApplicant, RejectFollowUp, Reply
from domain.steps.closing import (
    ApproveNotedClosure,
    CloseAfter,
    CloseMerged,
    DecideTermination,
    ProposeNotedClosure,
    ProposeTermination,
    Reopen,
)
from domain.steps.coordinating import AddCo, RespondWhistle, Whistle
from domain.steps.correcting import ApproveErasure, ProposeErasure, RejectErasure
from domain.steps.dispatch import Dispatch, Transfer
from domain.steps.evaluation import Deem, Evaluate, JudgeSubstance, OrderRedo, ReviewReply
from domain.steps.extending import DecideExtension, InformExtension, RequestExtension
from domain.steps.handling import ArriveSite, VerifySite
from domain.steps.linking import Merge
from domain.steps.oversight import ApproveSpecialReport, DraftSpecialReport, EscalateNotice, IssueNotice
from domain.steps.recourse import ReportInstruction
from domain.steps.returning import (
    AcceptEscalation,
    ConsentLateReturn,
    DecideReturn,
    EscalateReturn,
    ObjectCo,
    RaiseDispute,
    RejectEscalation,
    RequestReturn,
    WithdrawReturn,
)
from domain.steps.triage import CompleteReferral, ReferCaller
from domain.terms import (
    Act,
    Actor,
    AssignmentRole,
    ClockName,
    Dimension,
    DispatchType,
    InformAbout,
    Medium,
    NoteReason,
    NoticeGround,
    NoticeKind,
    OrderState,
    Outcome,
    Rating,
    RedoGround,
    ReopenGround,
    ReturnGround,
    Role,
    Substance,
    TerminationGround,
)
from tests.given import BASIS, CITIZEN, PROOF, SYSTEM
from tests.properties.aims import UNITS
from tests.properties.path import (
    AGENT,
    ARCHIVIST,
    FIVE_DAYS,
    MANAGER,
    REVIEWER,
    SUPERVISOR,
    Move,
    lead_now,
    notices,
    who,
)
from tests.properties.town import Town


def twists(town: Town, stream: str) -> Iterator[Move]:
    """Yield what else may happen to an order now."""
    order = town.order(stream)
    for actor, act in _acts(town, order):
        yield Move(actor, act)
    for notice in order.oversight.notices:
        if notice.open:
            yield from notices(town, notice)


def _acts(town: Town, order: WorkOrder) -> Iterator[tuple[Actor, Act]]:
    if order.state in guards.HANDLED and order.episode is not None:
        yield from returning(town, order, order.episode)
        yield from extending(town, order, order.episode)
        yield from answering(town, order, order.episode)
    if order.state in guards.ANSWERED:
        yield from answered(town, order)
    if order.state in guards.UNDISPATCHED:
        yield from waiting(town, order)
    yield from overseen(town, order)
    yield from later(town, order)


def waiting(town: Town, order: WorkOrder) -> Iterator[tuple[Actor, Act]]:
    """Referred with a follow-up; merged with another."""
    for unit in UNITS:  # not designated, so that it may be returned
        limits = {ClockName.HANDLE: FIVE_DAYS} if order.policy.pack == "S3-NATIONAL" else {}
        yield who(Role.DISPATCHER), Dispatch(kind=DispatchType.ORDINARY, lead=unit, limits=limits)
    by = (town.now + timedelta(days=3)).date()
    yield AGENT, ReferCaller(unit="公安局", follow_up=True, follow_up_by=by)
    for referral in order.referrals:
        yield AGENT, CompleteReferral(referral=referral.no, settled=False, result="未解决")
    for other in town.orders.values():
        if other.id != order.id and other.is_open:
            yield MANAGER, Merge(master=other.id)


def returning(town: Town, order: WorkOrder, episode: Episode) -> Iterator[tuple[Actor, Act]]:
    """Passed on inside the organizer, reported upwards, returned, objected to, disputed."""
    for held in episode.assignments:
        if held.ended is not None or held.role is AssignmentRole.SUPERVISING:
            continue
        unit = town.law.successor(held.unit, town.now)
        approver = who(Role.ORG_APPROVER, unit)
        for below in UNITS:
            if below != unit and town.law.is_within(below, unit, town.now):
                yield approver, Transfer(unit=below)
        yield approver, EscalateReturn(reason="非本单位职责")
        yield approver, RaiseDispute(reason="职责不清")
        ground, other = ReturnGround.NOT_OUR_DUTY, "E" if unit != "E" else "D"
        if held.role is AssignmentRole.CO:
            yield approver, ObjectCo(ground=ground, reason="无关", basis=BASIS)
        else:
            yield approver, RequestReturn(ground=ground, reason="非本单位职责", basis=BASIS, suggested_unit=other)
        yield approver, WithdrawReturn()
    for asked in episode.escalations:
        unit = town.law.successor(asked.to, town.now)
        yield who(Role.MGMT_UNIT, unit), AcceptEscalation(escalation=asked.no)
        yield who(Role.MGMT_UNIT, unit), RejectEscalation(escalation=asked.no, reason="属你单位")
    for asked in episode.returns:
        parent = town.law.parent(town.law.successor(asked.unit, town.now), town.now) or "H"
        yield (
            who(Role.HOTLINE_MANAGER if parent == "H" else Role.MGMT_UNIT, parent),
            ConsentLateReturn(return_no=asked.no),
        )
        yield MANAGER, DecideReturn(return_no=asked.no, approve=True)


def extending(town: Town, order: WorkOrder, episode: Episode) -> Iterator[tuple[Actor, Act]]:
    """More time asked for, granted by whoever the rules name, the applicant told."""
    lead = lead_now(town, order)
    yield who(Role.ORG_APPROVER, lead), RequestExtension(days=5, reason="施工", legal_basis=BASIS)
    for asked in episode.extensions:
        yield from deciding(town, order, asked.no)
        yield who(Role.ORG_HANDLER, lead), InformExtension(extension=asked.no, medium=Medium.PHONE, progress="施工中")


def deciding(town: Town, order: WorkOrder, extension: int) -> Iterator[tuple[Actor, Act]]:
    """Yield the decision about an extension, by whoever might be the one the rules name."""
    lead, episode = lead_now(town, order), order.episode
    parent = (episode.lead_parent if episode is not None else "") or town.law.parent(lead, town.now) or "H"
    above = town.law.successor(parent, town.now)
    deciders = [MANAGER, who(Role.MGMT_UNIT, above), Actor(user="other", role=Role.ORG_APPROVER, unit=lead)]
    for decider in deciders:
        for approve in (True, False):
            yield decider, DecideExtension(extension=extension, approve=approve, reason="已核")


def answering(town: Town, order: WorkOrder, episode: Episode) -> Iterator[tuple[Actor, Act]]:
    """A whistle, a co-organizer, a reply that leaves something open."""
    lead = lead_now(town, order)
    yield (
        who(Role.ORG_HANDLER, lead),
        Whistle(departments=("E", "B"), arrive_by=town.now + timedelta(hours=5), matter="到场"),
    )
    for co in episode.assignments:
        if co.role is AssignmentRole.CO and co.ended is None:
            yield who(Role.ORG_HANDLER, town.law.successor(co.unit, town.now)), CoOpinion(opinion="已办")
    yield MANAGER, AddCo(unit="E1" if lead != "E1" else "S")
    missing = tuple(a.unit for a in episode.assignments if a.role is AssignmentRole.CO and a.opinion is None)
    answer = Reply(outcome=Outcome.EXPLAINED, public_answer="不符合政策", policy_fit=False, missing_co=missing)
    promise = Reply(
        outcome=Outcome.UNRESOLVED,
        public_answer="需改造",
        publish=order.demand.anonymous,
        missing_co=missing,
        reason="管线老化",
        next_measures="改造",
        implement_by=(town.now + timedelta(days=20)).date(),
        responsible_unit=lead,
    )
    for reply in (answer, promise):
        yield who(Role.ORG_APPROVER, lead) if lead else MANAGER, reply
    yield (
        who(Role.ORG_APPROVER, lead),
        ProposeTermination(ground=TerminationGround.NO_COOPERATION, words="拒绝配合", evidence=(PROOF,)),
    )


def answered(town: Town, order: WorkOrder) -> Iterator[tuple[Actor, Act]]:
    """A reply sent back, judged, rated badly, noted, done again, or left to time."""
    lead, no = lead_now(town, order), len(order.replies)
    yield REVIEWER, ReviewReply(reply=no, accept=False, requirements="补充依据")
    yield REVIEWER, ReviewReply(reply=no, accept=True, identity_checked=True)
    yield REVIEWER, JudgeSubstance(reply=no, substance=Substance.UNCHANGED, grounds="照抄")
    yield CITIZEN, Evaluate(ratings={Dimension.RESULT: Rating.DISSATISFIED})
    yield CITIZEN, Evaluate(ratings={Dimension.RESULT: Rating.SATISFIED})
    yield who(Role.ORG_HANDLER, lead) if lead else MANAGER, Explain(points="政策所限")
    proposer = who(Role.ORG_APPROVER, lead) if lead else REVIEWER
    yield proposer, ProposeNotedClosure(reason=NoteReason.POLICY_LIMIT, facts_clear=True)
    noted = ApproveNotedClosure(reason=NoteReason.POLICY_LIMIT, words="已解释", facts_clear=True)
    yield MANAGER, noted
    yield MANAGER, OrderRedo(ground=RedoGround.NOT_DONE, requirements="重新核实", limit=FIVE_DAYS)
    yield SYSTEM, Deem()
    yield SYSTEM, CloseAfter()
    if pending(order, "termination") is not None:
        yield REVIEWER, DecideTermination(approve=True, words="同意", told=Medium.PHONE)


def overseen(town: Town, order: WorkOrder) -> Iterator[tuple[Actor, Act]]:
    """Notices of every kind, and what follows them."""
    lead = lead_now(town, order) or "H"
    issued = {
        NoticeKind.SYSTEM: IssueNotice(
            kind=NoticeKind.SYSTEM, ground=NoticeGround.OVERDUE, unit=lead, clock=ClockName.HANDLE
        ),
        NoticeKind.WRITTEN: IssueNotice(
            kind=NoticeKind.WRITTEN, ground=NoticeGround.CARELESS_REPLY, unit=lead, limit=FIVE_DAYS
        ),
        NoticeKind.REMINDER: IssueNotice(
            kind=NoticeKind.REMINDER, ground=NoticeGround.REPEATED, unit=lead, on_paper=True
        ),
        NoticeKind.ONSITE: IssueNotice(
            kind=NoticeKind.ONSITE,
            ground=NoticeGround.DIFFICULT,
            unit="E",
            arrive_by=town.now + timedelta(hours=6),
            place="现场",
        ),
    }
    for kind, act in issued.items():
        yield MANAGER if kind is NoticeKind.ONSITE else SUPERVISOR, act
    yield (
        SUPERVISOR,
        DraftSpecialReport(
            unit="E", ground=NoticeGround.FUNCTIONAL_GAP, limit=FIVE_DAYS, facts="无主管", demand="明确"
        ),
    )
    reports = [p for p in order.proposals if p.about == "special_report"]
    for draft in reports:
        yield who(Role.LEADER, "G"), ApproveSpecialReport(special_report=draft.subject or 0)
        report = NoticeKind.SPECIAL_REPORT_DOWN
        yield (
            SUPERVISOR,
            IssueNotice(
                kind=report, ground=NoticeGround.FUNCTIONAL_GAP, unit="E", limit=FIVE_DAYS, special_report=draft.subject
            ),
        )
    for notice in order.oversight.notices:
        for to in (NoticeKind.WRITTEN, NoticeKind.CIRCULAR, NoticeKind.SPECIAL):
            actor = SUPERVISOR if to is NoticeKind.WRITTEN else MANAGER
            yield actor, EscalateNotice(notice=notice.no, to=to, limit=FIVE_DAYS)
        if notice.kind is NoticeKind.ONSITE:
            handler = who(Role.ORG_HANDLER, town.law.successor(notice.unit, town.now))
            yield handler, ArriveSite(notice=notice.no, place="现场")
            yield handler, VerifySite(notice=notice.no, findings="属实", responsible=("E",), division="各半")
    for called in order.oversight.whistles:
        yield (
            who(Role.ORG_HANDLER, town.law.successor(called.unit, town.now)),
            RespondWhistle(whistle=called.no, result="已到"),
        )


def later(town: Town, order: WorkOrder) -> Iterator[tuple[Actor, Act]]:
    """Promises kept or not, instructions reported, merged applicants told, keys destroyed, cases taken up again."""
    for promise in order.follow_ups:
        unit = town.law.successor(promise.unit, town.now)
        role = Role.HOTLINE_MANAGER if unit == "H" else Role.ORG_HANDLER
        yield who(role, unit), CompleteFollowUp(follow_up=promise.no, result="已兑现", evidence=(PROOF,))
        yield REVIEWER, RejectFollowUp(follow_up=promise.no, reason="未见效果")
    for given in order.oversight.instructions:
        yield MANAGER, ReportInstruction(instruction=given.no, report="已办")
    merge = order.links.merge
    if order.state is OrderState.MERGED and merge is not None:
        yield AGENT, InformApplicant(about=InformAbout.RESULT, medium=Medium.PHONE, master=merge.master)
        yield SYSTEM, CloseMerged(master=merge.master)
    if not order.is_open:
        yield MANAGER, Reopen(ground=ReopenGround.NEW_FACTS, words="新证据")
        yield ARCHIVIST, ProposeErasure(ground="applicant", basis=BASIS)
        if pending(order, "erasure") is not None:
            yield MANAGER, ApproveErasure()
            yield MANAGER, RejectErasure(words="保留")
        if filing.reply_now(order) is not None:
            yield MANAGER, OrderRedo(ground=RedoGround.CARELESS_REPLY, requirements="重办", limit=FIVE_DAYS)
