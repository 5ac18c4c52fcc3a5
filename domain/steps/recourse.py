"""批示、问责、申诉. What goes to a leader or the supervisory organ, and what a unit contests about its figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from domain import guards, refusals
from domain.context import Context
from domain.state import Appeal, FindingStatement, Instruction, WorkOrder, put
from domain.steps.oversight import bears_duty, mark, notice_of, seen
from domain.terms import (
    Act,
    AppealGround,
    Attachment,
    CitedText,
    ClockName,
    Code,
    Digest,
    Entry,
    Fact,
    Limit,
    NoticeGround,
    Number,
    Private,
    Role,
    Step,
    UnitId,
    UserId,
)

# --- events ----------------------------------------------------------------------------------------------------------


class LeadershipInstructionRequested(Fact, frozen=True, tag="order.leadership_instruction_requested"):
    """呈批. A leader is asked for an instruction; the number of the 呈批单 is the commit's."""

    leader: Code  # the office asked
    summary: Private
    proposal: Private | None = None


class LeadershipInstructionRecorded(Fact, frozen=True, tag="order.leadership_instruction_recorded"):
    """批示. Recorded verbatim: who gave it, when, its words and digest, whom it addresses, and by when to report."""

    giver: Code  # the office that gave it
    text: CitedText
    request: int | None = None
    unit: UnitId = ""  # who must report; empty: the hotline
    limit: Limit | None = None
    internal: bool = False  # not shown to overseers


class InstructionReported(Fact, frozen=True, tag="order.instruction_reported"):
    """批示办结报告."""

    instruction: int
    report: Private
    evidence: tuple[Attachment, ...] = ()


class AccountabilityReferred(Fact, frozen=True, tag="order.accountability_referred"):
    """移送问责. The case's evidence went to the supervisory organ; the number of the 移送函 is the commit's."""

    unit: UnitId
    to: Code
    ground: NoticeGround
    facts: Private
    bundle: Digest  # of the evidence handed over
    notices: tuple[int, ...] = ()
    evidence: tuple[Attachment, ...] = ()
    head: int = 0  # events under the signed head that the bundle rests on; 0: it was made elsewhere


class AppealFiled(Fact, frozen=True, tag="order.appeal_filed"):
    """考核申诉. A unit contests a published figure as far as this order goes into it (8.11)."""

    unit: UnitId
    indicator: Code
    ground: AppealGround
    published_at: datetime
    issuer: UserId  # who approved the figure: does not decide the appeal
    words: Private
    report: UUID | None = None
    late: bool = False
    evidence: tuple[Attachment, ...] = ()


class AppealDecided(Fact, frozen=True, tag="order.appeal_decided"):
    """申诉裁定. Upheld: the order leaves the indicator, shown with its ground in the next report."""

    appeal: int
    upheld: bool
    words: Private
    exclusion: Code | None = None  # what is left out


class FindingStated(Fact, frozen=True, tag="order.finding_stated"):
    """问题说明. A unit states what it has to say about something the audit found in its case, before it is published."""

    finding: Code  # the finding's name in this case: code and key
    unit: UnitId
    words: Private
    evidence: tuple[Attachment, ...] = ()


# --- folding ---------------------------------------------------------------------------------------------------------


def on_instruction_requested(order: WorkOrder, event: LeadershipInstructionRequested, entry: Entry) -> WorkOrder:
    """Fold the request."""
    asked = Instruction(
        no=len(order.oversight.instructions) + 1,
        requested=mark(entry),
        requested_by=entry.actor.user,
        number=entry.numbered("instruction_request"),
    )
    return seen(order, instructions=(*order.oversight.instructions, asked))


def on_instruction_recorded(order: WorkOrder, event: LeadershipInstructionRecorded, entry: Entry) -> WorkOrder:
    """Fold the instruction: the answer to a request, or one that came by itself."""
    given, at = order.oversight.instructions, mark(entry)
    if event.request is not None and 0 < event.request <= len(given):
        told = put(given, event.request, recorded=at, unit=event.unit, limit=event.limit)
        return seen(order, instructions=told)
    new = Instruction(no=len(given) + 1, recorded=at, unit=event.unit, limit=event.limit)
    return seen(order, instructions=(*given, new))


def on_instruction_reported(order: WorkOrder, event: InstructionReported, entry: Entry) -> WorkOrder:
    """Fold the report back."""
    given = order.oversight.instructions
    if not 0 < event.instruction <= len(given):
        return order
    return seen(order, instructions=put(given, event.instruction, reported=mark(entry)))


def on_accountability_referred(order: WorkOrder, event: AccountabilityReferred, entry: Entry) -> WorkOrder:
    """Fold the referral."""
    return seen(order, referred=mark(entry))


def on_appeal_filed(order: WorkOrder, event: AppealFiled, entry: Entry) -> WorkOrder:
    """Fold the appeal."""
    appeal = Appeal(
        no=len(order.oversight.appeals) + 1,
        unit=event.unit,
        indicator=event.indicator,
        published_at=event.published_at,
        filed=mark(entry),
        filed_by=entry.actor.user,
        issuer=event.issuer,
        ground=event.ground,
        report=event.report,
        late=event.late,
    )
    return seen(order, appeals=(*order.oversight.appeals, appeal))


def on_appeal_decided(order: WorkOrder, event: AppealDecided, entry: Entry) -> WorkOrder:
    """Fold the decision."""
    appeals = order.oversight.appeals
    if not 0 < event.appeal <= len(appeals):
        return order
    left_out = (event.exclusion or "") if event.upheld else ""
    decided = put(appeals, event.appeal, decided=mark(entry), upheld=event.upheld, exclusion=left_out)
    return seen(order, appeals=decided)


def on_finding_stated(order: WorkOrder, event: FindingStated, entry: Entry) -> WorkOrder:
    """Fold the statement: which finding, whose, and where its words are."""
    stated = FindingStatement(finding=event.finding, unit=event.unit, stated=mark(entry), version=entry.version)
    return seen(order, statements=(*order.oversight.statements, stated))


EVOLVES: Mapping[type[Fact], Callable[[WorkOrder, Any, Entry], WorkOrder]] = {
    LeadershipInstructionRequested: on_instruction_requested,
    LeadershipInstructionRecorded: on_instruction_recorded,
    InstructionReported: on_instruction_reported,
    AccountabilityReferred: on_accountability_referred,
    AppealFiled: on_appeal_filed,
    AppealDecided: on_appeal_decided,
    FindingStated: on_finding_stated,
}


# --- commands --------------------------------------------------------------------------------------------------------


class RequestInstruction(Act, frozen=True, tag="request_instruction"):
    """呈请领导批示."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.HOTLINE_MANAGER, Role.SUPERVISOR, Role.COORDINATOR})
    leader: Code
    summary: Private
    proposal: Private | None = None


class RecordInstruction(Act, frozen=True, tag="record_instruction"):
    """登记领导批示. By the leader, or by those who received it on paper."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.LEADER, Role.HOTLINE_MANAGER, Role.SUPERVISOR, Role.COORDINATOR})
    giver: Code
    text: CitedText
    request: int | None = None
    unit: UnitId = ""
    limit: Limit | None = None
    internal: bool = False


class ReportInstruction(Act, frozen=True, tag="report_instruction"):
    """报告批示办结. By the unit the instruction addresses, or by the hotline to the leader."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_APPROVER, Role.HOTLINE_MANAGER, Role.SUPERVISOR})
    instruction: int
    report: Private
    evidence: tuple[Attachment, ...] = ()


class ReferAccountability(Act, frozen=True, tag="refer_accountability"):
    """移送问责. With the bundle of evidence."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.HOTLINE_MANAGER})
    unit: UnitId
    to: Code
    ground: NoticeGround
    facts: Private
    bundle: Digest
    notices: tuple[int, ...] = ()
    evidence: tuple[Attachment, ...] = ()
    head: int = 0


class FileAppeal(Act, frozen=True, tag="file_appeal"):
    """提出考核申诉."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_APPROVER})
    indicator: Code
    ground: AppealGround
    published_at: datetime
    words: Private
    issuer: UserId = ""  # of a figure that stands in no report here; a report says itself who approved it
    report: UUID | None = None
    evidence: tuple[Attachment, ...] = ()

    def reads(self) -> tuple[str, ...]:
        """Name the report's stream."""
        return () if self.report is None else (f"publication:{self.report}",)


class DecideAppeal(Act, frozen=True, tag="decide_appeal"):
    """裁定考核申诉. Never by who approved the figure."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.SUPERVISOR, Role.HOTLINE_MANAGER})
    appeal: int
    upheld: bool
    words: Private
    exclusion: Code | None = None


class StateFinding(Act, frozen=True, tag="state_finding"):
    """说明问题. By the unit that the finding is about; that there is such a finding is looked up where it is shown."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.ORG_APPROVER})
    finding: Code
    words: Private
    evidence: tuple[Attachment, ...] = ()


# --- deciding --------------------------------------------------------------------------------------------------------


def request_instruction(order: WorkOrder, command: RequestInstruction, context: Context) -> list[Step]:
    """Ask a leader, and number the paper."""
    guards.unsealed(order)
    asked = LeadershipInstructionRequested(leader=command.leader, summary=command.summary, proposal=command.proposal)
    return [asked, Number("instruction_request")]


def record_instruction(order: WorkOrder, command: RecordInstruction, context: Context) -> list[Step]:
    """Record what a leader wrote: its words or the digest of the paper, and its date."""
    guards.unsealed(order)
    given = order.oversight.instructions
    no = command.request
    if no is not None and (not 0 < no <= len(given) or given[no - 1].recorded is not None):
        raise refusals.NoSuchInstruction(f"request: {no}")
    text = command.text
    if text.dated is None or not (text.digest is not None or guards.said(text.words)):
        raise refusals.InstructionTextMissing
    if command.unit:
        guards.active_unit(command.unit, context)
    return [
        LeadershipInstructionRecorded(
            giver=command.giver,
            text=text,
            request=no,
            unit=command.unit,
            limit=command.limit,
            internal=command.internal,
        )
    ]


def report_instruction(order: WorkOrder, command: ReportInstruction, context: Context) -> list[Step]:
    """Report back how an instruction was carried out."""
    given, no = order.oversight.instructions, command.instruction
    if not 0 < no <= len(given) or given[no - 1].recorded is None:
        raise refusals.NoSuchInstruction(f"instruction: {no}")
    told = given[no - 1]
    if told.reported is not None:
        raise refusals.AlreadyReported(f"instruction: {no}")
    if context.actor.role is Role.ORG_APPROVER:
        context.until(context.law.next_unit_change(context.now))
        heir = context.law.successor(told.unit, context.now) if told.unit else ""
        if not told.unit or context.actor.unit not in (told.unit, heir):
            raise refusals.NotYourUnit(f"unit: {context.actor.unit or '-'}", unit=context.actor.unit)
    return [InstructionReported(instruction=no, report=command.report, evidence=command.evidence)]


def refer_accountability(order: WorkOrder, command: ReferAccountability, context: Context) -> list[Step]:
    """Hand the evidence over to the supervisory organ; a sealed file may still be referred."""
    if not bears_duty(order, command.unit, context):
        raise refusals.NotResponsible(f"unit: {command.unit}", unit=command.unit)
    for no in command.notices:
        if notice_of(order, no) is None:
            raise refusals.NoSuchNotice(f"notice: {no}")
    referred = AccountabilityReferred(
        unit=command.unit,
        to=command.to,
        ground=command.ground,
        facts=command.facts,
        bundle=command.bundle,
        notices=command.notices,
        evidence=command.evidence,
        head=command.head,
    )
    return [referred, Number("referral")]


def file_appeal(order: WorkOrder, command: FileAppeal, context: Context) -> list[Step]:
    """Record an appeal against a published figure; after its time too, and marked so (R-25)."""
    unit = context.actor.unit
    if not unit or not bears_duty(order, unit, context):
        raise refusals.NotYourUnit(f"unit: {unit or '-'}", unit=unit)
    published_at, issuer = _published(command, context)
    contested = (unit, command.indicator, published_at)
    if any((a.unit, a.indicator, a.published_at) == contested for a in order.oversight.appeals):
        raise refusals.AlreadyAppealed
    rules = guards.binding(order, context)
    limit = rules.limit(ClockName.APPEAL, guards.class_now(order, context))
    until = context.law.calendar().due(published_at, limit, rules.kernel).at if limit else None
    return [
        AppealFiled(
            unit=unit,
            indicator=command.indicator,
            ground=command.ground,
            published_at=published_at,
            issuer=issuer,
            words=command.words,
            report=command.report,
            late=context.passed(until),
            evidence=command.evidence,
        )
    ]


def _published(command: FileAppeal, context: Context) -> tuple[datetime, UserId]:
    """Return when the figure was published and who approved it: as the report says, else as the appeal does.

    Raises UnknownStream, IssuerDiffers, IssuerMissing, InstantAhead.
    """
    if command.report is None:
        guards.not_ahead(context, command.published_at)
        if not command.issuer:
            raise refusals.IssuerMissing
        return command.published_at, command.issuer
    report = context.other(f"publication:{command.report}")
    if report is None or report.published is None:
        raise refusals.UnknownStream(f"publication:{command.report}")
    if command.issuer not in ("", report.approver):
        raise refusals.IssuerDiffers(command.issuer)
    return report.published.at, report.approver


def decide_appeal(order: WorkOrder, command: DecideAppeal, context: Context) -> list[Step]:
    """Decide an appeal; neither by who approved the figure nor by who contests it."""
    appeals, no = order.oversight.appeals, command.appeal
    if not 0 < no <= len(appeals) or appeals[no - 1].decided is not None:
        raise refusals.NoSuchAppeal(f"appeal: {no}")
    guards.another_person(context, appeals[no - 1].issuer, appeals[no - 1].filed_by)
    if command.upheld and command.exclusion is None:
        raise refusals.ExclusionMissing
    if command.upheld and appeals[no - 1].ground is AppealGround.OUTAGE and context.actor.role is not Role.SUPERVISOR:
        raise refusals.RoleNotAllowed(
            "中断期间的超期仅由督办员剔除 what an outage excuses the supervisor decides (8.11)"
        )
    return [AppealDecided(appeal=no, upheld=command.upheld, words=command.words, exclusion=command.exclusion)]


def state_finding(order: WorkOrder, command: StateFinding, context: Context) -> list[Step]:
    """Record what the unit states; once about each finding, so that what was shown beside it is not rewritten."""
    guards.unsealed(order)
    unit, over = context.actor.unit, order.oversight
    called = any(guards.acts_for(context, part.unit) for part in (*over.notices, *over.whistles))
    if not unit or not (called or bears_duty(order, unit, context)):
        raise refusals.NotYourUnit(f"unit: {unit or '-'}", unit=unit)
    if not guards.said(command.words):
        raise refusals.ReasonMissing
    if any(s.finding == command.finding and s.unit == unit for s in order.oversight.statements):
        raise refusals.AlreadyStated(command.finding)
    return [FindingStated(finding=command.finding, unit=unit, words=command.words, evidence=command.evidence)]


DECIDES: Mapping[type[Act], Callable[[WorkOrder, Any, Context], Sequence[Step]]] = {
    RequestInstruction: request_instruction,
    RecordInstruction: record_instruction,
    ReportInstruction: report_instruction,
    ReferAccountability: refer_accountability,
    FileAppeal: file_appeal,
    DecideAppeal: decide_appeal,
    StateFinding: state_finding,
}
