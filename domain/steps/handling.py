"""③ 限时办理. Signing, contacting, responding, visiting the site, extending, answering, keeping promises.

An organizer's acts. Whatever would stop a running clock is allowed to that clock's owner in every state in which it
runs (8.3): the guards ask who holds the assignment and whether it is signed for, hardly ever for the order's state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, ClassVar

import msgspec

from domain import guards, refusals, state
from domain.context import Context
from domain.state import (
    Assignment,
    Episode,
    Extension,
    FollowUp,
    Notice,
    WorkOrder,
    latest_episode,
    put,
)
from domain.steps import filing
from domain.terms import (
    SHANGHAI,
    Act,
    AssignmentRole,
    AssignmentState,
    Attachment,
    Citation,
    ClockName,
    Code,
    Entry,
    Fact,
    InformAbout,
    Informing,
    Mark,
    Medium,
    NoticeKind,
    Number,
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

Days = Annotated[int, msgspec.Meta(ge=1, le=1000)]

_AFTER_REPLY = (*guards.ANSWERED, OrderState.CLOSED, OrderState.ARCHIVED)
_HOTLINE = (Role.AGENT, Role.HOTLINE_MANAGER)


# --- events: signing and working ---------------------------------------------------------------------------------


class AssignmentSigned(Fact, frozen=True, tag="order.assignment_signed"):
    """签收. The unit took the assignment over; once per assignment."""

    assignment: int
    unit: UnitId
    own_handling: bool = False  # 自办: a first-level unit will not pass it on (stops TRANSFER)
    implied: bool = False  # by the unit's first act, where the rules have no limit for signing (8.3)
    late: bool = False


class HandlerAssigned(Fact, frozen=True, tag="order.handler_assigned"):
    """指定承办人. A named person of the unit handles the assignment."""

    assignment: int
    unit: UnitId
    handler: UserId


class ApplicantContacted(Fact, frozen=True, tag="order.applicant_contacted"):
    """联系诉求人. One attempt to reach the applicant, successful or not (A-05, 响应率)."""

    unit: UnitId
    medium: Medium
    reached: bool
    assignment: int = 0  # 0: the hotline itself
    words: Private | None = None  # what was said, or why nobody was reached
    call: Code | None = None  # the call or message as the telephone system numbers it
    recording: Attachment | None = None


class InitialResponseSubmitted(Fact, frozen=True, tag="order.initial_response_submitted"):
    """初步响应意见. What the unit does first about a special matter (S1-15…18)."""

    assignment: int
    unit: UnitId
    response: Private
    late: bool = False


class ProgressReported(Fact, frozen=True, tag="order.progress_reported"):
    """进度反馈. How far the handling is."""

    assignment: int
    unit: UnitId
    report: Private
    expected: date | None = None  # when the unit expects to be done
    evidence: tuple[Attachment, ...] = ()
    late: bool = False


class SiteVisited(Fact, frozen=True, tag="order.site_visited"):
    """现场核实. Somebody went to see the place (S4-21)."""

    unit: UnitId
    place: Code
    findings: Private
    assignment: int = 0  # 0: not by an organizer
    people: Private | None = None
    position: Private | None = None  # coordinates
    evidence: tuple[Attachment, ...] = ()


class SiteArrived(Fact, frozen=True, tag="order.site_arrived"):
    """到场. The noticed unit arrived where on-site supervision called it (S4-3)."""

    notice: int
    unit: UnitId
    place: Code
    people: Private | None = None
    position: Private | None = None
    evidence: tuple[Attachment, ...] = ()
    late: bool = False


class SiteVerified(Fact, frozen=True, tag="order.site_verified"):
    """现场核查及责任划分记录. What was found at the site and who is responsible for what."""

    notice: int
    unit: UnitId
    findings: Private
    responsible: tuple[UnitId, ...]  # the units among whom responsibility was divided
    division: Private
    evidence: tuple[Attachment, ...] = ()
    late: bool = False


# --- events: extending -------------------------------------------------------------------------------------------


class ExtensionRequested(Fact, frozen=True, tag="order.extension_requested"):
    """延期申请. More time is asked for before the limit ends."""

    assignment: int
    unit: UnitId
    days: int  # counted from the due day at the decision, in the pack's kind of days
    reason: Private
    due: datetime  # the limit that was running when it was asked for
    legal_basis: Citation | None = None
    evidence: tuple[Attachment, ...] = ()


class ExtensionApproved(Fact, frozen=True, tag="order.extension_approved"):
    """延期同意. Who the rules name gave more time, for a stated reason."""

    extension: int
    unit: UnitId  # whose limit it is
    days: int  # as granted; counted from the old due day
    words: Private | None = None
    basis: Citation | None = None
    after_due: bool = False  # decided after the old limit had ended


class ExtensionRejected(Fact, frozen=True, tag="order.extension_rejected"):
    """延期不同意. The old limit stands."""

    extension: int
    unit: UnitId
    reason: Private
    after_due: bool = False


class ExtensionInformed(Fact, frozen=True, tag="order.extension_informed"):
    """延期告知. The applicant was told of the extension and of the stage reached (S0-31)."""

    extension: int
    unit: UnitId
    medium: Medium
    progress: Private
    call: Code | None = None
    late: bool = False


# --- events: answering -------------------------------------------------------------------------------------------


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
    outcome: Outcome
    public_answer: Private  # to the applicant
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


# --- commands ----------------------------------------------------------------------------------------------------

_HANDLER: frozenset[Role] = frozenset({Role.ORG_HANDLER})
_APPROVER: frozenset[Role] = frozenset({Role.ORG_APPROVER})


class Sign(Act, frozen=True, tag="sign"):
    """签收."""

    roles: ClassVar[frozenset[Role]] = _HANDLER

    own_handling: bool = False


class AssignHandler(Act, frozen=True, tag="assign_handler"):
    """指定承办人. By the unit's approver, or by the handler who passes the work to a colleague."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_APPROVER, Role.ORG_HANDLER})

    handler: UserId


class Contact(Act, frozen=True, tag="contact"):
    """联系诉求人. The hotline's own staff only where the hotline itself leads."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_HANDLER, Role.AGENT, Role.HOTLINE_MANAGER})

    medium: Medium
    reached: bool
    words: Private | None = None
    call: Code | None = None
    recording: Attachment | None = None


class InitialResponse(Act, frozen=True, tag="initial_response"):
    """初步响应. Also before signing."""

    roles: ClassVar[frozenset[Role]] = _HANDLER

    response: Private


class Progress(Act, frozen=True, tag="progress"):
    """进度反馈."""

    roles: ClassVar[frozenset[Role]] = _HANDLER

    report: Private
    expected: date | None = None
    evidence: tuple[Attachment, ...] = ()


class VisitSite(Act, frozen=True, tag="visit_site"):
    """现场核实."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_HANDLER, Role.SUPERVISOR})

    place: Code
    findings: Private
    people: Private | None = None
    position: Private | None = None
    evidence: tuple[Attachment, ...] = ()


class ArriveSite(Act, frozen=True, tag="arrive_site"):
    """到场. By the noticed unit, or as seen by the supervisor on the spot."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_HANDLER, Role.SUPERVISOR})

    notice: int
    place: Code
    people: Private | None = None
    position: Private | None = None
    evidence: tuple[Attachment, ...] = ()


class VerifySite(Act, frozen=True, tag="verify_site"):
    """现场核查及责任划分."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_HANDLER, Role.SUPERVISOR})

    notice: int
    findings: Private
    responsible: tuple[UnitId, ...]
    division: Private
    evidence: tuple[Attachment, ...] = ()


class RequestExtension(Act, frozen=True, tag="request_extension"):
    """申请延期."""

    roles: ClassVar[frozenset[Role]] = _APPROVER

    days: Days
    reason: Private
    legal_basis: Citation | None = None
    evidence: tuple[Attachment, ...] = ()


class DecideExtension(Act, frozen=True, tag="decide_extension"):
    """审批延期. By whom the rules name: the next-higher unit, the hotline's management, or the unit's own approver."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.MGMT_UNIT, Role.HOTLINE_MANAGER, Role.ORG_APPROVER})

    extension: int
    approve: bool
    reason: Private | None = None  # needed to refuse
    days: Days | None = None  # other than asked for
    basis: Citation | None = None


class InformExtension(Act, frozen=True, tag="inform_extension"):
    """告知延期."""

    roles: ClassVar[frozenset[Role]] = _HANDLER

    extension: int
    medium: Medium
    progress: Private
    call: Code | None = None


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


# --- deciding: signing and working -------------------------------------------------------------------------------


def implied_signature(
    order: WorkOrder, context: Context, assignment: Assignment, *, own_handling: bool = False
) -> list[Step]:
    """Return the signature that the unit's first act implies; nothing where it is signed or the rules want it said.

    A pack whose rules give the class no limit for signing knows no separate act of signing either (8.3).
    """
    rules = guards.binding(order, context)
    if assignment.signed is not None or rules.runs(ClockName.SIGN, guards.class_now(order, context)) is not None:
        return []
    return [AssignmentSigned(assignment=assignment.no, unit=assignment.unit, own_handling=own_handling, implied=True)]


def signed(order: WorkOrder, context: Context, held: Assignment) -> list[Step]:
    """Return the implied signature of an assignment about to be acted on. Raises NotSigned where it must be said."""
    steps = implied_signature(order, context, held)
    if held.signed is None and not steps:
        raise refusals.NotSigned(f"unit: {held.unit}")
    return steps


def _late(order: WorkOrder, context: Context, name: ClockName, key: str | None = None) -> bool:
    found = guards.clock(order, context, name, key)
    return found is not None and found.running and context.passed(found.due)


def _unsealed(order: WorkOrder) -> None:
    if order.filing.sealed is not None:
        raise refusals.OrderSealed(f"{order.number}")


def _said(text: Private | None) -> bool:
    return text is not None and text != ""


def _hotline_leads(order: WorkOrder, context: Context) -> bool:
    """Tell whether the actor is the hotline's and the hotline itself leads. Raises NotYourUnit for its staff else."""
    if context.actor.role not in _HOTLINE:
        return False
    if not order.episodes or not order.episodes[-1].led_by_hotline:
        raise refusals.NotYourUnit("热线未自行牵头 the hotline does not lead", unit=context.actor.unit)
    return True


def sign(order: WorkOrder, command: Sign, context: Context) -> list[Step]:
    """Sign for the assignment: once, in every state in which SIGN may run."""
    guards.in_state(order, *guards.HANDLED, *guards.ANSWERED)
    held = guards.holding(order, context)
    if held.signed is not None:
        raise refusals.AlreadySigned(f"assignment: {held.no}")
    key = f"e{guards.episode_of(order).no}.a{held.no}"
    return [
        AssignmentSigned(
            assignment=held.no,
            unit=held.unit,
            own_handling=command.own_handling,
            late=_late(order, context, ClockName.SIGN, key),
        )
    ]


def assign_handler(order: WorkOrder, command: AssignHandler, context: Context) -> list[Step]:
    """Name the handler, who must hold that role in the unit."""
    guards.in_state(order, *guards.HANDLED, *guards.ANSWERED)
    held = guards.holding(order, context)
    steps = signed(order, context, held)
    if not _is_handler(context, command.handler, held.unit):
        raise refusals.HandlerNotInUnit(f"{command.handler}, {held.unit}")
    return [*steps, HandlerAssigned(assignment=held.no, unit=held.unit, handler=command.handler)]


def _is_handler(context: Context, user: UserId, unit: UnitId) -> bool:
    law = context.law
    context.until(law.next_unit_change(context.now))
    return law.has_role(user, Role.ORG_HANDLER, unit, context.now)


def contact(order: WorkOrder, command: Contact, context: Context) -> list[Step]:
    """Record an attempt to reach the applicant, as often as there are attempts."""
    guards.in_state(order, *guards.HANDLED, *guards.ANSWERED)
    assignment, steps = 0, list[Step]()
    if not _hotline_leads(order, context):
        held = guards.holding(order, context)
        assignment, steps = held.no, signed(order, context, held)
    made = ApplicantContacted(
        unit=context.actor.unit,
        medium=command.medium,
        reached=command.reached,
        assignment=assignment,
        words=command.words,
        call=command.call,
        recording=command.recording,
    )
    return [*steps, made]


def initial_response(order: WorkOrder, command: InitialResponse, context: Context) -> list[Step]:
    """Submit the first response; an emergency does not wait for the signature."""
    guards.in_state(order, *guards.HANDLED)
    held = guards.leading(order, context)
    steps = implied_signature(order, context, held)
    awaited = guards.binding(order, context).runs(ClockName.INIT_RESPONSE, guards.class_now(order, context))
    if held.signed is None and not steps and awaited is None:
        raise refusals.NotSigned(f"unit: {held.unit}")
    late = _late(order, context, ClockName.INIT_RESPONSE)
    return [
        *steps,
        InitialResponseSubmitted(assignment=held.no, unit=held.unit, response=command.response, late=late),
    ]


def progress(order: WorkOrder, command: Progress, context: Context) -> list[Step]:
    """Report progress, as often as there is some."""
    guards.in_state(order, *guards.HANDLED)
    held = guards.holding(order, context)
    reported = ProgressReported(
        assignment=held.no,
        unit=held.unit,
        report=command.report,
        expected=command.expected,
        evidence=command.evidence,
        late=held.role is AssignmentRole.LEAD and _late(order, context, ClockName.PROGRESS),
    )
    return [*signed(order, context, held), reported]


def visit_site(order: WorkOrder, command: VisitSite, context: Context) -> list[Step]:
    """Record a visit to the place, by an organizer or a supervisor."""
    guards.in_state(order, *guards.HANDLED, *guards.ANSWERED)
    assignment, steps = 0, list[Step]()
    if context.actor.role is not Role.SUPERVISOR:
        held = guards.holding(order, context)
        assignment, steps = held.no, signed(order, context, held)
    visited = SiteVisited(
        unit=context.actor.unit,
        place=command.place,
        findings=command.findings,
        assignment=assignment,
        people=command.people,
        position=command.position,
        evidence=command.evidence,
    )
    return [*steps, visited]


def _summons(order: WorkOrder, context: Context, no: int) -> Notice:
    """Return the open on-site notice the actor may act on."""
    notices = order.oversight.notices
    if not 0 < no <= len(notices) or notices[no - 1].kind is not NoticeKind.ONSITE or not notices[no - 1].open:
        raise refusals.NoSuchNotice(f"notice: {no}")
    notice = notices[no - 1]
    if context.actor.role is not Role.SUPERVISOR and context.actor.unit != notice.unit:
        raise refusals.NotYourUnit(f"unit: {context.actor.unit or '-'}", unit=context.actor.unit)
    return notice


def arrive_site(order: WorkOrder, command: ArriveSite, context: Context) -> list[Step]:
    """Record the arrival at the site that the notice names."""
    _unsealed(order)
    notice = _summons(order, context, command.notice)
    if notice.arrived is not None:
        raise refusals.AlreadyArrived(f"notice: {command.notice}")
    return [
        SiteArrived(
            notice=notice.no,
            unit=notice.unit,
            place=command.place,
            people=command.people,
            position=command.position,
            evidence=command.evidence,
            late=_late(order, context, ClockName.ARRIVE_SITE, f"n{notice.no}"),
        )
    ]


def verify_site(order: WorkOrder, command: VerifySite, context: Context) -> list[Step]:
    """Record what was found and how responsibility was divided."""
    _unsealed(order)
    notice = _summons(order, context, command.notice)
    if notice.arrived is None:
        raise refusals.NotArrived(f"notice: {command.notice}")
    if notice.site_recorded is not None:
        raise refusals.AlreadyVerified(f"notice: {command.notice}")
    return [
        SiteVerified(
            notice=notice.no,
            unit=notice.unit,
            findings=command.findings,
            responsible=command.responsible,
            division=command.division,
            evidence=command.evidence,
            late=_late(order, context, ClockName.SITE_RECORD, f"n{notice.no}"),
        )
    ]


# --- deciding: extending -----------------------------------------------------------------------------------------


def _extended_due(order: WorkOrder, context: Context, granted: ExtensionApproved) -> datetime | None:
    """Return when HANDLE would fall due with that extension granted now: a dry run of the fold and of the clocks."""
    supposed = Entry(
        event=granted, stream=order.stream, version=0, position=0, recorded_at=context.now, actor=context.actor
    )
    return guards.due(on_extension_approved(order, granted, supposed), context, ClockName.HANDLE)


def _within_cap(order: WorkOrder, context: Context, granted: ExtensionApproved, due: datetime) -> None:
    """Refuse an extension that does not move the due instant, or moves it beyond what the rules allow."""
    rules = guards.binding(order, context)
    options = rules.options
    handle = guards.clock(order, context, ClockName.HANDLE)
    later = _extended_due(order, context, granted)
    if later is None or handle is None or later <= due:
        raise refusals.ExtensionNotLater(f"days: {granted.days}")
    approved = sum(x.approved for x in guards.episode_of(order).extensions)
    if options.extension_max_count is not None and approved >= options.extension_max_count:
        raise refusals.ExtensionOverCap(f"次数 count: {options.extension_max_count}", cap=options.extension_max_count)
    if options.extension_max_days is not None and granted.days > options.extension_max_days:
        raise refusals.ExtensionOverCap(f"天数 days: {options.extension_max_days}", cap=options.extension_max_days)
    if options.extension_cap is not None:
        cap = context.law.calendar().due(handle.start.at, options.extension_cap, rules.kernel).at
        if later > cap:
            raise refusals.ExtensionOverCap(f"总时限 total: {cap.isoformat()}", cap=cap)


def request_extension(order: WorkOrder, command: RequestExtension, context: Context) -> list[Step]:
    """Ask for more time, before the running limit ends (S0-29, R-14)."""
    guards.in_state(order, *guards.HANDLED)
    held = guards.leading(order, context)
    options = guards.binding(order, context).options
    if options.extension == "none":
        raise refusals.NoExtensionRule(order.policy.pack)
    handle = guards.clock(order, context, ClockName.HANDLE)
    if handle is None or handle.due is None or not handle.running:
        raise refusals.NothingToExtend(order.number)
    if context.passed(handle.due):
        raise refusals.ExtensionAfterDue(f"due: {handle.due.isoformat()}", due=handle.due)
    episode = guards.episode_of(order)
    if any(x.pending for x in episode.extensions):
        raise refusals.ExtensionPending(order.number)
    if not _said(command.reason):
        raise refusals.ReasonMissing
    if options.extension_needs_legal_basis and command.legal_basis is None:
        raise refusals.LegalBasisMissing
    steps = signed(order, context, held)
    requested = ExtensionRequested(
        assignment=held.no,
        unit=held.unit,
        days=command.days,
        reason=command.reason,
        due=handle.due,
        legal_basis=command.legal_basis,
        evidence=command.evidence,
    )
    asked = Entry(
        event=requested, stream=order.stream, version=0, position=0, recorded_at=context.now, actor=context.actor
    )
    granted = ExtensionApproved(extension=len(episode.extensions) + 1, unit=held.unit, days=command.days)
    _within_cap(on_extension_requested(order, requested, asked), context, granted, handle.due)
    return [*steps, requested]


def _next_higher(order: WorkOrder, context: Context, unit: UnitId) -> UnitId:
    """Return the next-higher unit: as recorded for the lead, else by law; for a first-level unit the hotline's (R-37)."""
    law, episode = context.law, order.episodes[-1]
    context.until(law.next_unit_change(context.now))
    recorded = episode.lead_parent if unit == episode.lead else ""
    parent = recorded or law.parent(unit, context.now) or law.hotline_unit
    return law.successor(parent, context.now)


def _may_decide(order: WorkOrder, context: Context, extension: Extension) -> None:
    """Refuse whoever is not the approver that the rules name. The requester never is."""
    guards.another_person(context, extension.by)
    actor = context.actor
    match guards.binding(order, context).options.extension:
        case "hotline_manager":
            if actor.role is not Role.HOTLINE_MANAGER:
                raise refusals.NotHotlineManager(f"role: {actor.role}")
        case "own_approver":
            if actor.role is not Role.ORG_APPROVER or actor.unit != extension.unit:
                raise refusals.NotYourUnit(f"unit: {actor.unit or '-'}", unit=actor.unit)
        case "parent_unit":
            parent = _next_higher(order, context, extension.unit)
            expected = Role.HOTLINE_MANAGER if parent == context.law.hotline_unit else Role.MGMT_UNIT
            if actor.role is not expected or actor.unit != parent:
                raise refusals.NotNextHigherUnit(f"unit: {parent}", unit=parent)
        case "none":
            raise refusals.NoExtensionRule(order.policy.pack)


def decide_extension(order: WorkOrder, command: DecideExtension, context: Context) -> list[Step]:
    """Grant or refuse the newest request; the reply ends its urgency, not the right to decide it (8.3)."""
    guards.in_state(order, *guards.HANDLED, OrderState.REPLIED)
    episode = guards.episode_of(order)
    newest = episode.extensions[-1] if episode.extensions else None
    if newest is None or newest.no != command.extension or newest.decided is not None:
        raise refusals.NoSuchExtension(f"extension: {command.extension}")
    _may_decide(order, context, newest)
    options = guards.binding(order, context).options
    handle = guards.clock(order, context, ClockName.HANDLE)
    if handle is None or handle.due is None:
        raise refusals.NothingToExtend(order.number)
    after_due = context.passed(handle.due)
    if not command.approve:
        if command.reason is None or not _said(command.reason):
            raise refusals.ReasonMissing
        return [ExtensionRejected(extension=newest.no, unit=newest.unit, reason=command.reason, after_due=after_due)]
    if after_due and options.extension_decision == "before_due":
        raise refusals.ExtensionAfterDue(f"due: {handle.due.isoformat()}", due=handle.due)
    granted = ExtensionApproved(
        extension=newest.no,
        unit=newest.unit,
        days=command.days if command.days is not None else newest.days,
        words=command.reason,
        basis=command.basis,
        after_due=after_due,
    )
    _within_cap(order, context, granted, handle.due)
    return [granted]


def inform_extension(order: WorkOrder, command: InformExtension, context: Context) -> list[Step]:
    """Tell the applicant of the extension; the slip (延期告知) gets its number."""
    guards.in_state(order, *guards.HANDLED, *guards.ANSWERED)
    held = guards.holding(order, context)
    extensions = guards.episode_of(order).extensions
    if not 0 < command.extension <= len(extensions) or not extensions[command.extension - 1].approved:
        raise refusals.ExtensionNotApproved(f"extension: {command.extension}")
    key = f"e{guards.episode_of(order).no}.x{command.extension}"
    told = ExtensionInformed(
        extension=command.extension,
        unit=held.unit,
        medium=command.medium,
        progress=command.progress,
        call=command.call,
        late=_late(order, context, ClockName.INFORM_EXTENSION, key),
    )
    return [told, Number("extension_slip", context.law.city_code)]


# --- deciding: answering -----------------------------------------------------------------------------------------


def co_opinion(order: WorkOrder, command: CoOpinion, context: Context) -> list[Step]:
    """Submit a co-organizer's part; also after the lead's reply, while its own limit runs (R-32)."""
    guards.in_state(order, *guards.HANDLED, *guards.ANSWERED)
    held = guards.holding(order, context)
    if held.role is not AssignmentRole.CO:
        raise refusals.NotCoOrganizer(f"unit: {held.unit}", unit=held.unit)
    if command.staged and not _said(command.reason):
        raise refusals.ReasonMissing
    key = f"e{guards.episode_of(order).no}.a{held.no}"
    submitted = CoOpinionSubmitted(
        assignment=held.no,
        unit=held.unit,
        opinion=command.opinion,
        staged=command.staged,
        reason=command.reason,
        evidence=command.evidence,
        late=_late(order, context, ClockName.CO_REPLY, key),
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
    """Refuse an outcome without what the rules want said about it (S4-27, S4-28)."""
    if command.outcome is Outcome.UNRESOLVED:
        texts = {"reason": command.reason, "next_measures": command.next_measures}
        missing = [name for name, text in texts.items() if not _said(text)]
        missing += ["implement_by"] if command.implement_by is None else []
        missing += ["responsible_unit"] if not command.responsible_unit else []
        if missing:
            raise refusals.UnresolvedFieldsMissing(", ".join(missing), missing=missing)
    if command.outcome is Outcome.UNSOLVABLE and (
        not _said(command.reason)
        or command.research is None
        or (command.research and not _said(command.research_measures))
    ):
        raise refusals.UnsolvableFieldsMissing
    if command.responsible_unit:
        context.until(context.law.next_unit_change(context.now))
        if context.law.unit(command.responsible_unit) is None:
            raise refusals.UnknownUnit(command.responsible_unit)
        if not context.law.active(command.responsible_unit, context.now):
            raise refusals.UnitInactive(command.responsible_unit)
    if command.implement_by is not None:
        midnight = datetime.combine(command.implement_by, datetime.min.time(), SHANGHAI) + timedelta(days=1)
        if context.passed(midnight):
            raise refusals.PromiseInPast(f"implement_by: {command.implement_by}")


def _two_hands(order: WorkOrder, command: Reply, context: Context, unit: UnitId) -> None:
    """Refuse a reply that its signer drafted, where the rules want two persons (8.10)."""
    if not guards.binding(order, context).options.reply_two_persons:
        return
    if not command.drafted_by:
        raise refusals.TwoHandsNeeded
    guards.another_person(context, command.drafted_by)
    if not _is_handler(context, command.drafted_by, unit):
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
    if _hotline_leads(order, context):
        return 0, context.actor.unit or context.law.hotline_unit, []
    held = guards.leading(order, context)
    if order.state is OrderState.RETURN_REVIEW:
        raise refusals.ReturnPending(order.number)
    return held.no, held.unit, signed(order, context, held)


def reply(order: WorkOrder, command: Reply, context: Context) -> list[Step]:
    """Answer: once the applicant knows or was tried, co-organizers have spoken or are named, and the outcome is told."""
    assignment, unit, steps = _replying(order, context)
    if not _said(command.public_answer):
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
        late=_late(order, context, ClockName.HANDLE),
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
        if command.about is InformAbout.RESULT and not any(r.accepted is not False for r in master.replies):
            raise refusals.MasterNotReplied(master.number)
        parts = master.episodes[-1].assignments if master.episodes else ()
    else:
        if not order.episodes:
            raise refusals.WrongState("尚未派单 not dispatched", state=order.state)
        parts = order.episodes[-1].assignments
    if handler and context.actor.unit not in {a.unit for a in parts if a.role is not AssignmentRole.SUPERVISING}:
        raise refusals.NotYourUnit(f"unit: {context.actor.unit or '-'}", unit=context.actor.unit)


def inform_applicant(order: WorkOrder, command: InformApplicant, context: Context) -> list[Step]:
    """Record that the applicant was told, or could not be; from the dispatch until the file is sealed."""
    _unsealed(order)
    _told_by(order, command, context)
    steps: list[Step] = []
    if order.state in guards.HANDLED and context.actor.role is Role.ORG_HANDLER:
        steps = signed(order, context, guards.holding(order, context))
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
    if not _hotline_leads(order, context):
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
    _unsealed(order)
    if not 0 < no <= len(order.follow_ups):
        raise refusals.NoSuchFollowUp(f"follow_up: {no}")
    return order.follow_ups[no - 1]


def complete_follow_up(order: WorkOrder, command: CompleteFollowUp, context: Context) -> list[Step]:
    """Report a promise kept, with evidence; by the unit that promised, or its successor."""
    promise = _promise(order, command.follow_up)
    context.until(context.law.next_unit_change(context.now))
    if context.actor.unit not in (promise.unit, context.law.successor(promise.unit, context.now)):
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
            late=_late(order, context, ClockName.FOLLOW_UP, f"f{promise.no}"),
        )
    ]


def reject_follow_up(order: WorkOrder, command: RejectFollowUp, context: Context) -> list[Step]:
    """Say that a promise was not kept though it was reported so."""
    promise = _promise(order, command.follow_up)
    if promise.done is None:
        raise refusals.FollowUpNotDone(f"follow_up: {promise.no}")
    guards.another_person(context, promise.done_by)
    if not _said(command.reason):
        raise refusals.ReasonMissing
    return [FollowUpRejected(follow_up=promise.no, reason=command.reason)]


# --- folding -----------------------------------------------------------------------------------------------------


def _mark(entry: Entry) -> Mark:
    return Mark(entry.at, entry.position)


def _acted(order: WorkOrder, entry: Entry) -> WorkOrder:
    """Remember who handled, in which role: they neither review nor judge it later."""
    signer = (entry.actor.user, entry.actor.role)
    if signer in order.signers:
        return order
    return msgspec.structs.replace(order, signers=(*order.signers, signer))


def _episode(order: WorkOrder, **changes: object) -> WorkOrder:
    return latest_episode(order, **changes) if order.episodes else order


def _assignment(order: WorkOrder, no: int, **changes: object) -> WorkOrder:
    """Return the order with an assignment of its newest episode changed; as it was where history lacks it."""
    if not order.episodes or not 0 < no <= len(order.episodes[-1].assignments):
        return order
    return latest_episode(order, assignments=put(order.episodes[-1].assignments, no, **changes))


def _leads(order: WorkOrder, no: int) -> bool:
    """Tell whether the assignment is the lead's; one that history lacks is taken for it."""
    if not order.episodes or not 0 < no <= len(order.episodes[-1].assignments):
        return True
    return order.episodes[-1].assignments[no - 1].role is AssignmentRole.LEAD


def _worked(order: WorkOrder, entry: Entry, assignment: int, *, own: bool = False) -> WorkOrder:
    """Return the order with a unit's act on record; own handling by the lead is what TRANSFER waits for."""
    order = _acted(_assignment(order, assignment, acted=True), entry)
    if own and order.episodes and order.episodes[-1].passed_on is None and _leads(order, assignment):
        order = latest_episode(order, passed_on=_mark(entry))
    return order


def on_assignment_signed(order: WorkOrder, event: AssignmentSigned, entry: Entry) -> WorkOrder:
    """Fold the signature: the lead's puts the order to work."""
    at = _mark(entry)
    order = _acted(order, entry)
    order = _assignment(
        order,
        event.assignment,
        signed=at,
        signed_by=entry.actor.user,
        implied=event.implied,
        state=AssignmentState.SIGNED,
    )
    if not _leads(order, event.assignment):
        return order
    if order.state in (*guards.UNDISPATCHED, OrderState.DISPATCHED):
        order = msgspec.structs.replace(order, state=OrderState.WORKING)
    if not order.episodes:
        return order
    episode = order.episodes[-1]
    passed_on = episode.passed_on or (at if event.own_handling else None)
    return latest_episode(order, first_signed=episode.first_signed or at, passed_on=passed_on)


def on_handler_assigned(order: WorkOrder, event: HandlerAssigned, entry: Entry) -> WorkOrder:
    """Fold the handler's name; naming one is own handling."""
    order = _worked(order, entry, event.assignment, own=True)
    return _assignment(order, event.assignment, handler=event.handler)


def on_applicant_contacted(order: WorkOrder, event: ApplicantContacted, entry: Entry) -> WorkOrder:
    """Fold the attempt."""
    return _attempted(_worked(order, entry, event.assignment), entry, event.unit, reached=event.reached)


def _attempted(order: WorkOrder, entry: Entry, unit: UnitId, *, reached: bool) -> WorkOrder:
    if not order.episodes:
        return order
    made = state.Contact(at=_mark(entry), reached=reached, unit=unit)
    return latest_episode(order, contacts=(*order.episodes[-1].contacts, made))


def on_initial_response_submitted(order: WorkOrder, event: InitialResponseSubmitted, entry: Entry) -> WorkOrder:
    """Fold the first response; the first counts."""
    order = _worked(order, entry, event.assignment, own=True)
    if not order.episodes or order.episodes[-1].initial_response is not None:
        return order
    return latest_episode(order, initial_response=_mark(entry))


def on_progress_reported(order: WorkOrder, event: ProgressReported, entry: Entry) -> WorkOrder:
    """Fold the report; the lead's is what PROGRESS waits for."""
    order = _worked(order, entry, event.assignment, own=True)
    if not order.episodes or not _leads(order, event.assignment):
        return order
    return latest_episode(order, progress=(*order.episodes[-1].progress, _mark(entry)))


def on_site_visited(order: WorkOrder, event: SiteVisited, entry: Entry) -> WorkOrder:
    """Fold the visit; a supervisor's is nobody's handling."""
    if not event.assignment:
        return order
    return _worked(order, entry, event.assignment, own=True)


def _notice(order: WorkOrder, no: int, **changes: object) -> WorkOrder:
    seen = order.oversight
    if not 0 < no <= len(seen.notices):
        return order
    notices = put(seen.notices, no, **changes)
    return msgspec.structs.replace(order, oversight=msgspec.structs.replace(seen, notices=notices))


def on_site_arrived(order: WorkOrder, event: SiteArrived, entry: Entry) -> WorkOrder:
    """Fold the arrival."""
    return _notice(order, event.notice, arrived=_mark(entry))


def on_site_verified(order: WorkOrder, event: SiteVerified, entry: Entry) -> WorkOrder:
    """Fold the record of the site."""
    return _notice(order, event.notice, site_recorded=_mark(entry))


def _extension(order: WorkOrder, no: int, **changes: object) -> WorkOrder:
    if not order.episodes or not 0 < no <= len(order.episodes[-1].extensions):
        return order
    return latest_episode(order, extensions=put(order.episodes[-1].extensions, no, **changes))


def on_extension_requested(order: WorkOrder, event: ExtensionRequested, entry: Entry) -> WorkOrder:
    """Fold the request."""
    order = _worked(order, entry, event.assignment, own=True)
    if not order.episodes:
        return order
    extensions = order.episodes[-1].extensions
    asked = Extension(
        no=len(extensions) + 1, unit=event.unit, by=entry.actor.user, days=event.days, requested=_mark(entry)
    )
    return latest_episode(order, extensions=(*extensions, asked))


def on_extension_approved(order: WorkOrder, event: ExtensionApproved, entry: Entry) -> WorkOrder:
    """Fold the consent, with the days as granted; consent to a request that history lacks is its own request."""
    if order.episodes and event.extension > len(order.episodes[-1].extensions):
        extensions = order.episodes[-1].extensions
        asked = Extension(no=len(extensions) + 1, unit=event.unit, by="", days=event.days, requested=_mark(entry))
        order = latest_episode(order, extensions=(*extensions, asked))
    no = min(event.extension, len(order.episodes[-1].extensions)) if order.episodes else 0
    return _extension(order, no, decided=_mark(entry), approved=True, decided_by=entry.actor.user, days=event.days)


def on_extension_rejected(order: WorkOrder, event: ExtensionRejected, entry: Entry) -> WorkOrder:
    """Fold the refusal."""
    return _extension(order, event.extension, decided=_mark(entry), approved=False, decided_by=entry.actor.user)


def on_extension_informed(order: WorkOrder, event: ExtensionInformed, entry: Entry) -> WorkOrder:
    """Fold the informing; the first counts."""
    order = _acted(order, entry)
    if not order.episodes or not 0 < event.extension <= len(order.episodes[-1].extensions):
        return order
    told = order.episodes[-1].extensions[event.extension - 1].informed or _mark(entry)
    return _extension(order, event.extension, informed=told)


def on_co_opinion_submitted(order: WorkOrder, event: CoOpinionSubmitted, entry: Entry) -> WorkOrder:
    """Fold the opinion; the first stops the co-organizer's clock, later ones add to it."""
    order = _worked(order, entry, event.assignment)
    if not order.episodes or not 0 < event.assignment <= len(order.episodes[-1].assignments):
        return order
    given = order.episodes[-1].assignments[event.assignment - 1].opinion or _mark(entry)
    return _assignment(order, event.assignment, opinion=given, state=AssignmentState.REPLIED)


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
    at = _mark(entry)
    order = _worked(order, entry, event.assignment, own=True)
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
        policy_fit=event.policy_fit,
    )
    order = _assignment(order, event.assignment, state=AssignmentState.REPLIED)
    if order.episodes:
        ended = tuple(msgspec.structs.replace(x, ended=at) if x.pending else x for x in order.episodes[-1].extensions)
        order = latest_episode(order, extensions=ended)
    quality = order.quality
    if quality.streak_unit != event.unit:
        quality = msgspec.structs.replace(quality, streak=1, streak_unit=event.unit)
    stays = order.state in (*guards.ENDED, OrderState.MERGED)
    return msgspec.structs.replace(
        order,
        replies=(*order.replies, given),
        quality=quality,
        state=order.state if stays else OrderState.REPLIED,
    )


def on_applicant_informed(order: WorkOrder, event: ApplicantInformed, entry: Entry) -> WorkOrder:
    """Fold the informing; a failed one is an attempt. Told later, the result counts for the reply it is about."""
    at = _mark(entry)
    if not event.reached:
        return _attempted(order, entry, event.unit, reached=False)
    merge = order.links.merge
    if event.about is InformAbout.RESULT and merge is not None and merge.undone is None:
        links = msgspec.structs.replace(order.links, merge=msgspec.structs.replace(merge, told=merge.told or at))
        return msgspec.structs.replace(order, links=links)
    if event.about in (InformAbout.ACCEPTANCE, InformAbout.RESULT) and order.episodes:
        order = latest_episode(order, informed_acceptance=order.episodes[-1].informed_acceptance or at)
    if event.about is not InformAbout.RESULT:
        return order
    order = _episode(order, informed_result=at)
    if not 0 < event.reply <= len(order.replies):
        return order
    about = order.replies[event.reply - 1]
    replies = put(order.replies, about.no, informed=about.informed or at, counted_informed=about.counted_informed or at)
    return msgspec.structs.replace(order, replies=replies)


def on_explanation_recorded(order: WorkOrder, event: ExplanationRecorded, entry: Entry) -> WorkOrder:
    """Fold the explanation, for the reply it belongs to; before the first reply it is 0, else the reply just before."""
    about = event.reply or len(order.replies)
    quality = msgspec.structs.replace(order.quality, explained=(*order.quality.explained, about))
    return msgspec.structs.replace(_acted(order, entry), quality=quality)


def on_follow_up_committed(order: WorkOrder, event: FollowUpCommitted, entry: Entry) -> WorkOrder:
    """Fold the promise."""
    promise = FollowUp(
        no=len(order.follow_ups) + 1,
        reply=event.reply,
        unit=event.unit,
        promised=_mark(entry),
        implement_by=event.implement_by,
    )
    return msgspec.structs.replace(order, follow_ups=(*order.follow_ups, promise))


def _follow_up(order: WorkOrder, no: int, **changes: object) -> WorkOrder:
    if not 0 < no <= len(order.follow_ups):
        return order
    return msgspec.structs.replace(order, follow_ups=put(order.follow_ups, no, **changes))


def on_follow_up_done(order: WorkOrder, event: FollowUpDone, entry: Entry) -> WorkOrder:
    """Fold the promise kept."""
    return _follow_up(order, event.follow_up, done=_mark(entry), done_by=entry.actor.user)


def on_follow_up_rejected(order: WorkOrder, event: FollowUpRejected, entry: Entry) -> WorkOrder:
    """Fold the hotline's no: the promise is open again, under its old date."""
    if not 0 < event.follow_up <= len(order.follow_ups):
        return order
    rejected = (*order.follow_ups[event.follow_up - 1].rejected, _mark(entry))
    return _follow_up(order, event.follow_up, done=None, done_by="", rejected=rejected)


EVOLVES: Mapping[type[Fact], Callable[[WorkOrder, Any, Entry], WorkOrder]] = {
    AssignmentSigned: on_assignment_signed,
    HandlerAssigned: on_handler_assigned,
    ApplicantContacted: on_applicant_contacted,
    InitialResponseSubmitted: on_initial_response_submitted,
    ProgressReported: on_progress_reported,
    SiteVisited: on_site_visited,
    SiteArrived: on_site_arrived,
    SiteVerified: on_site_verified,
    ExtensionRequested: on_extension_requested,
    ExtensionApproved: on_extension_approved,
    ExtensionRejected: on_extension_rejected,
    ExtensionInformed: on_extension_informed,
    CoOpinionSubmitted: on_co_opinion_submitted,
    ReplySubmitted: on_reply_submitted,
    ApplicantInformed: on_applicant_informed,
    ExplanationRecorded: on_explanation_recorded,
    FollowUpCommitted: on_follow_up_committed,
    FollowUpDone: on_follow_up_done,
    FollowUpRejected: on_follow_up_rejected,
}

DECIDES: Mapping[type[Act], Callable[[WorkOrder, Any, Context], Sequence[Step]]] = {
    Sign: sign,
    AssignHandler: assign_handler,
    Contact: contact,
    InitialResponse: initial_response,
    Progress: progress,
    VisitSite: visit_site,
    ArriveSite: arrive_site,
    VerifySite: verify_site,
    RequestExtension: request_extension,
    DecideExtension: decide_extension,
    InformExtension: inform_extension,
    CoOpinion: co_opinion,
    Reply: reply,
    InformApplicant: inform_applicant,
    Explain: explain,
    CompleteFollowUp: complete_follow_up,
    RejectFollowUp: reject_follow_up,
}
