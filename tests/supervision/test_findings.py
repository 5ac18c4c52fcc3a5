"""Every kind of finding: a case that has it, and the nearest case that has not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import hypothesis
import msgspec
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st

from domain import institution
from domain.law import Law
from domain.order import fold
from domain.policy import ref
from domain.refusals import AlreadyStated, NotYourUnit, OrderSealed, ReasonMissing
from domain.steps.answering import (
    ApplicantInformed,
    ExplanationRecorded,
    FollowUpCommitted,
    ReplySubmitted,
)
from domain.steps.classifying import ConfidentialityLifted, ConfidentialityLiftProposed
from domain.steps.closing import NotedClosureProposed, TerminationProposed
from domain.steps.coordinating import CoordinationMeetingHeld, CoOrganizerAdded
from domain.steps.correcting import CorrectionRecorded
from domain.steps.dispatch import AssignmentTransferred, CoPart, OrderDispatched
from domain.steps.evaluation import (
    DeemedNotHandled,
    EvaluationDeemed,
    EvaluationRecorded,
    LateEvaluationRecorded,
    ReasonablenessJudged,
    ReasonablenessProposed,
    RedoOrdered,
    ReplyReviewed,
    ReplySubstanceJudged,
)
from domain.steps.extending import ExtensionApproved, ExtensionRequested
from domain.steps.filing import ArchivePackageSealed, DossierRendered, OrderArchived, OrderClosed
from domain.steps.handling import ApplicantContacted, AssignmentSigned
from domain.steps.linking import OrdersMerged
from domain.steps.oversight import SpecialReportApproved, SpecialReportDrafted, SupervisionNoticeIssued
from domain.steps.recourse import AppealDecided, AppealFiled, LeadershipInstructionRecorded, StateFinding
from domain.steps.registration import OrderRegistered, SupplementRequested
from domain.steps.returning import (
    DisputeRaised,
    DisputeRuled,
    LateReturnConsented,
    ReturnApproved,
    ReturnRejected,
    ReturnRequested,
    SuggestedDisposal,
)
from domain.steps.revisiting import RevisitCompleted, RevisitConsentRecorded, RevisitRefused, RevisitUnreachable
from domain.steps.triage import DirectAnswered, EmergencyNotified, NotAccepted
from domain.terms import (
    Actor,
    AppealGround,
    Applicant,
    ApplicantKind,
    Attributes,
    Channel,
    CitedText,
    ClockName,
    ClosureKind,
    Confidentiality,
    DemandType,
    Dimension,
    DispatchType,
    EmergencyRecipient,
    Entry,
    EvaluationSource,
    Fact,
    InformAbout,
    Informing,
    Limit,
    LimitUnit,
    Medium,
    NoteReason,
    NoticeGround,
    NoticeKind,
    Origin,
    Outcome,
    Participant,
    Rating,
    Reasonableness,
    RedoGround,
    RefusalReason,
    ReturnGround,
    RevisitMethod,
    Role,
    Substance,
    TerminationGround,
    UnitKind,
    UnitLevel,
    Urgency,
)
from domain.units import UnitChanged
from projections.case import Case
from projections.indicators import derive
from supervision.audit import Question
from supervision.catalogue import KINDS, Family
from supervision.findings import Exemption, Finding, findings, law_assuming
from tests.given import (
    BASIS,
    HANDLER,
    LEADER,
    MANAGER,
    PROOF,
    REVIEWER,
    STREAM,
    approver,
    at,
    working,
)
from tests.given import given as given_case
from tests.given import pack as shipped
from tests.properties.town import law_under
from tests.properties.walking import Walk

S0, S1, S2, S4 = "S0-CHUANYU", "S1-CHENGDU", "S2-CHONGQING-MPT", "S4-BEIJING"
HELP = Attributes(demand_type=DemandType.HELP)
OLD = Actor(user="import", role=Role.SYSTEM)
"""Who brings over what another system recorded."""
NOW = at("2025-12-01 09:00")
Said = Fact | tuple[str, Fact] | tuple[str, Fact, Actor]


def told(*said: Said, pack: str = S0, start: str = "2025-06-16 08:00", **about: Any) -> list[Entry]:
    """A case as another system recorded it: registered, then these facts, ten minutes apart where no time is said."""
    return history((registered(pack, **about), *said), start)


def registered(pack: str = S0, **about: Any) -> OrderRegistered:
    fields: dict[str, Any] = {
        "title": "路灯不亮",
        "category": "市政",
        "channel": Channel.PHONE,
        "attributes": HELP,
        "policy": ref(shipped(pack)),
        "applicant": Applicant(kind=ApplicantKind.PERSON, phone="000-1"),
        **about,
    }
    return OrderRegistered(**fields)


def history(said: Sequence[Said], start: str = "2025-06-16 08:00") -> list[Entry]:
    entries: list[Entry] = []
    when = at(start)
    for number, one in enumerate(said, 1):
        fact, actor = (one, OLD) if isinstance(one, Fact) else (one[1], one[2] if len(one) > 2 else OLD)
        when = when + timedelta(minutes=10) if isinstance(one, Fact) else at(one[0])
        entries.append(
            Entry(
                event=fact,
                stream=STREAM,
                version=number,
                position=100 + number,
                recorded_at=at("2025-12-01 08:00"),
                occurred_at=when,
                origin=Origin.IMPORT,
                actor=actor,
            )
        )
    return entries


def found(entries: Sequence[Entry], law: Law | None = None, now: datetime = NOW) -> tuple[Finding, ...]:
    return findings(entries, law or law_under(entries[0].event.policy.pack), now)


def codes(entries: Sequence[Entry], law: Law | None = None) -> set[str]:
    return {finding.code for finding in found(entries, law)}


# ── what happens to a case ──────────────────────────────────────────────────────────────────────────────────────────


def sent(lead: str = "B", **more: Any) -> OrderDispatched:
    return OrderDispatched(**{"kind": DispatchType.ORDINARY, "attributes": HELP, "lead": lead, **more})


def answer(**more: Any) -> ReplySubmitted:
    fields = {"assignment": 1, "unit": "B", "public_answer": "已修复", "outcome": Outcome.RESOLVED}
    return ReplySubmitted(**{**fields, "informing": Informing.TOLD, **more})


def tried(when: str, *, reached: bool = False) -> tuple[str, Fact]:
    return when, ApplicantContacted(unit="B", medium=Medium.PHONE, reached=reached, assignment=1)


def rated(rating: Rating = Rating.SATISFIED, source: EvaluationSource = EvaluationSource.CITIZEN_SELF, **more: Any):
    return EvaluationRecorded(
        **{"round": 1, "reply": 1, "source": source, "ratings": {Dimension.RESULT: rating}, **more}
    )


def returned(ground: ReturnGround = ReturnGround.NOT_OUR_DUTY, **more: Any) -> ReturnRequested:
    fields = {
        "assignment": 1,
        "unit": "B",
        "ground": ground,
        "reason": "不属本单位",
        "basis": BASIS,
        "suggested_unit": "E",
    }
    return ReturnRequested(**{**fields, **more})


def refused(reason: RefusalReason = RefusalReason.LITIGATION, **more: Any) -> NotAccepted:
    fields = {"reason": reason, "basis": BASIS, "informed_at": at("2025-06-16 08:05"), "medium": Medium.PHONE}
    return NotAccepted(**{**fields, "words": "已进入诉讼程序", **more})


def closing(kind: ClosureKind, **more: Any) -> OrderClosed:
    return OrderClosed(kind=kind, **more)


def visited(**more: Any) -> RevisitCompleted:
    fields: dict[str, Any] = {"round": 1, "method": RevisitMethod.FACE, "script_version": "1", "reply": 1}
    return RevisitCompleted(**{**fields, **more})


def asked_again(days: int = 3, **more: Any) -> ExtensionRequested:
    fields = {"assignment": 1, "unit": "B", "days": days, "reason": "施工", "due": at("2025-07-08 00:00")}
    return ExtensionRequested(**{**fields, **more})


def granted(days: int = 3, extension: int = 1) -> ExtensionApproved:
    return ExtensionApproved(extension=extension, unit="B", days=days)


def notice(kind: NoticeKind, **more: Any) -> SupervisionNoticeIssued:
    return SupervisionNoticeIssued(kind=kind, ground=NoticeGround.OVERDUE, unit="B", **more)


SENT, SIGNED = sent(), AssignmentSigned(assignment=1, unit="B")
TOLD = ApplicantInformed(about=InformAbout.RESULT, medium=Medium.PHONE, unit="B", reached=True)
WORKED: tuple[Said, ...] = (SENT, SIGNED)
ANSWERED: tuple[Said, ...] = (*WORKED, TOLD, answer())
ACCEPTED = ReplyReviewed(reply=1, accepted=True)
EXPLAINED = ExplanationRecorded(unit="B", points="已说明", reply=1)
THREE_TIMES = (tried("2025-06-17 10:00"), tried("2025-06-18 15:00"), tried("2025-06-19 19:00"))
FIVE = Limit(amount=5, unit=LimitUnit.WORKING_DAYS)
FORTY = Limit(amount=40, unit=LimitUnit.WORKING_DAYS)
CHANGED = ReplySubstanceJudged(reply=2, substance=Substance.CHANGED, grounds="已有进展")
AGAIN: tuple[Said, ...] = (*ANSWERED, ReplyReviewed(reply=1, accepted=False, requirements="补正"), TOLD, answer())
FILED = OrderArchived(keep="register_line", period="D10", basis=BASIS)
DISSATISFIED = rated(Rating.DISSATISFIED)
UNRESOLVED = {
    "outcome": Outcome.UNRESOLVED,
    "reason": "待立项",
    "next_measures": "列入计划",
    "implement_by": date(2025, 9, 1),
    "responsible_unit": "B",
}
PROMISED = FollowUpCommitted(reply=1, unit="B", implement_by=date(2025, 9, 1), measures="列入计划")
SPECIAL = Attributes(demand_type=DemandType.HELP, urgency=Urgency.EMERGENCY_LIFE)
EVERYBODY_TOLD = tuple(EmergencyNotified(recipient=r, medium=Medium.PHONE) for r in EmergencyRecipient)
INFORMANT = {"confidentiality": Confidentiality.INFORMANT}
REPORT = Attributes(demand_type=DemandType.REPORT)


class Pair(NamedTuple):
    """What breaks a rule, and the nearest history that does not. `options` change those of the pack."""

    code: str
    has: Sequence[Said]
    has_not: Sequence[Said]
    pack: str = S0
    about: dict[str, Any] = {}
    about_not: dict[str, Any] | None = None
    options: tuple[tuple[str, Any], ...] = ()


def _registration() -> list[Pair]:
    supplement = SupplementRequested(items=("地址",), by=date(2025, 6, 20), medium=Medium.SMS)
    return [
        Pair(
            "registration-incomplete",
            [],
            [],
            about={"applicant": None},
            about_not={"applicant": None, "anonymous": True},
        ),
        Pair(
            "informant-unprotected", [], [], about={"attributes": REPORT}, about_not={"attributes": REPORT, **INFORMANT}
        ),
        Pair(
            "informant-unprotected",  # what a mapping guessed from the title is held against nobody
            [],
            [],
            about={"attributes": REPORT},
            about_not={"attributes": REPORT, "derived": ("attributes.demand_type",)},
        ),
        Pair("title-has-personal-data", [], [], about={"title": "请联系13800138000"}),
        Pair("refusal-not-explained", [refused(words=None)], [refused()]),
        Pair(
            "refusal-basis-missing",
            [refused(RefusalReason.OTHER_LAW, basis=msgspec.structs.replace(BASIS, article=""))],
            [refused(RefusalReason.OTHER_LAW)],
        ),
        Pair(
            "competent-unit-not-named",
            [refused(unit_determinable=True)],
            [refused(unit_determinable=True, informed_unit="人民法院")],
        ),
        Pair(
            "refusal-needs-review",
            [("2025-06-16 09:00", refused(RefusalReason.PRIVACY), MANAGER)],
            [("2025-06-16 09:00", refused(RefusalReason.PRIVACY), REVIEWER)],
        ),
        Pair(
            "secret-takes-no-words",
            [refused(RefusalReason.STATE_SECRET)],
            [refused(RefusalReason.STATE_SECRET, words=None)],
        ),
        Pair(
            "supplement-not-overdue",
            [supplement, ("2025-06-20 23:59", refused(RefusalReason.NOT_IDENTIFIABLE))],
            [supplement, ("2025-06-21 00:00", refused(RefusalReason.NOT_IDENTIFIABLE))],
        ),
        Pair("instant-ahead", [("2025-06-16 08:04", refused())], [("2025-06-16 08:05", refused())]),
        Pair(
            "answer-basis-missing",
            [DirectAnswered(answer="x", medium=Medium.PHONE)],
            [DirectAnswered(answer="x", medium=Medium.PHONE, knowledge_ref="KB-1")],
        ),
        Pair(
            "informant-never-merged",
            [OrdersMerged(master=UUID(int=9))],
            [OrdersMerged(master=UUID(int=9))],
            about={"attributes": REPORT, **INFORMANT},
            about_not={},
        ),
    ]


def _dispatching() -> list[Pair]:
    against = {"attributes": REPORT, **INFORMANT, "accused": ("D",)}
    meeting = CoordinationMeetingHeld(units=("B",), minutes=CitedText(words="x"))
    instruction = LeadershipInstructionRecorded(giver="G", text=CitedText(words="x"), unit="B", limit=FIVE)
    ruled = DisputeRuled(dispute=1, unit="E", basis=BASIS, reason="x")
    disputed: tuple[Said, ...] = (*WORKED, DisputeRaised(unit="B", reason="x"), ruled)
    passed = AssignmentTransferred(assignment=1, from_unit="D", unit="B")
    return [
        Pair("accused-unit", [SENT], [sent("E")], about=against),
        Pair("limit-required", [SENT], [sent(limits={ClockName.HANDLE: FIVE})], pack="S3-NATIONAL"),
        Pair("limit-required", [SENT], [sent(derived=("派单时间",))], pack="S3-NATIONAL"),
        Pair("limit-required", [notice(NoticeKind.WRITTEN)], [notice(NoticeKind.WRITTEN, limit=FIVE)]),
        Pair("limit-required", [notice(NoticeKind.ONSITE)], [notice(NoticeKind.ONSITE, arrive_by=NOW)]),
        Pair(
            "limit-too-long", [sent(limits={ClockName.HANDLE: FORTY})], [sent(limits={ClockName.HANDLE: FIVE})], pack=S2
        ),
        Pair("meeting-missing", [sent(kind=DispatchType.TERRITORIAL)], [meeting, sent(kind=DispatchType.TERRITORIAL)]),
        Pair(
            "instruction-missing",
            [sent(kind=DispatchType.INSTRUCTION)],
            [instruction, sent(kind=DispatchType.INSTRUCTION, instruction=1)],
        ),
        Pair(
            "instruction-missing",
            [notice(NoticeKind.INSTRUCTION, limit=FIVE)],
            [instruction, notice(NoticeKind.INSTRUCTION, limit=FIVE, instruction=1)],
        ),
        Pair(
            "lead-missing", [sent(co=(CoPart(unit="E"),))], [sent(kind=DispatchType.DESIGNATED, co=(CoPart(unit="E"),))]
        ),
        Pair("ruled-elsewhere", [*disputed, sent("B2")], [*disputed, sent("E")]),
        Pair("reply-not-optional", [sent(reply_required=False)], [SENT]),
        Pair("not-a-descendant", [sent("D"), msgspec.structs.replace(passed, unit="E1")], [sent("D"), passed]),
        Pair("already-signed", [*WORKED, SIGNED], [*WORKED]),
        Pair("not-signed", [SENT, TOLD, answer()], [*ANSWERED], pack=S1),
        Pair("not-signed", [SENT, returned()], [*WORKED, returned()], pack=S1),
        Pair("not-signed", [SENT, TOLD, answer()], [sent(derived=("x",)), TOLD, answer()], pack=S1),
        Pair("wrong-state", [answer()], [*ANSWERED]),
        Pair("wrong-state", [*ANSWERED, ACCEPTED, rated(), closing(ClosureKind.SATISFIED), SENT], [*ANSWERED]),
        Pair(
            "media-not-admitted",
            [notice(NoticeKind.ONSITE, arrive_by=NOW, participants=(Participant.MEDIA,))],
            [notice(NoticeKind.ONSITE, arrive_by=NOW, participants=(Participant.MEDIA,))],
            about=INFORMANT,
            about_not={},
        ),
        Pair(
            "not-approved",
            [notice(NoticeKind.SPECIAL_REPORT_DOWN, limit=FIVE)],
            [
                SpecialReportDrafted(unit="B", ground=NoticeGround.OVERDUE, limit=FIVE, facts="x", demand="x"),
                ("2025-06-16 09:00", SpecialReportApproved(special_report=1), LEADER),
                notice(NoticeKind.SPECIAL_REPORT_DOWN, limit=FIVE),
            ],
        ),
    ]


def _returning() -> list[Pair]:
    ruled = DisputeRuled(dispute=1, unit="B", basis=BASIS, reason="x", stays=True)
    kept: tuple[Said, ...] = (*WORKED, DisputeRaised(unit="B", reason="x"), ruled)
    late = ("2025-06-20 09:00", returned(late=True))
    consent = LateReturnConsented(return_no=1, unit="B")
    approved = ReturnApproved(return_no=1)
    proposed = ConfidentialityLiftProposed(confidentiality=Confidentiality.NORMAL, reason="x")
    lifted = ConfidentialityLifted(confidentiality=Confidentiality.NORMAL)
    report = {"attributes": REPORT, **INFORMANT}
    return [
        Pair("ruled-final", [*kept, returned()], [*WORKED, returned()]),
        Pair(
            "return-after-reply",
            [*ANSWERED, ReplyReviewed(reply=1, accepted=False, requirements="x"), returned()],
            [*WORKED, returned()],
        ),
        Pair(
            "escalate-first",
            [sent("D"), AssignmentTransferred(assignment=1, from_unit="D", unit="B"), returned(assignment=2)],
            [sent("D"), returned(unit="D")],
        ),
        Pair("suggestion-missing", [*WORKED, returned(suggested_unit=None)], [*WORKED, returned()]),
        Pair(
            "suggestion-missing",
            [*WORKED, returned(ReturnGround.OUT_OF_SCOPE)],
            [
                *WORKED,
                returned(
                    ReturnGround.OUT_OF_SCOPE,
                    suggested_disposal=SuggestedDisposal(reason=RefusalReason.LITIGATION, turn_to="法院"),
                ),
            ],
        ),
        Pair("late-return-needs-consent", [*WORKED, late, approved], [*WORKED, late, consent, approved]),
        Pair(
            "self-approval",
            [*WORKED, ("2025-06-16 09:00", returned(), approver()), ("2025-06-16 10:00", approved, approver())],
            [*WORKED, ("2025-06-16 09:00", returned(), approver()), ("2025-06-16 10:00", approved, MANAGER)],
        ),
        Pair(
            "self-approval",
            [
                *WORKED,
                ("2025-06-16 09:00", returned(), approver()),
                ("2025-06-16 10:00", ReturnRejected(return_no=1, reason="x"), approver()),
            ],
            [*WORKED, returned(), ReturnRejected(return_no=1, reason="x")],
        ),
        Pair("no-such-proposal", [lifted], [proposed, ("2025-06-16 09:00", lifted, MANAGER)], about=report),
    ]


def _handling() -> list[Pair]:
    late, due = "2025-07-08 00:00:00.001", "2025-07-08 00:00"
    co = CoOrganizerAdded(unit="E", limit=FIVE)
    return [
        Pair("extension-after-due", [*WORKED, (late, asked_again())], [*WORKED, (due, asked_again())]),
        Pair("extension-after-due", [*WORKED, (late, granted())], [*WORKED, ("2025-07-01 09:00", granted())]),
        Pair("no-extension-rule", [*WORKED, asked_again()], [*WORKED], options=(("extension", "none"),)),
        Pair(
            "extension-over-cap",
            [sent(), SIGNED, asked_again(25), granted(25)],
            [sent(), SIGNED, asked_again(3), granted(3)],
            pack=S2,
        ),
        Pair(
            "extension-over-cap",
            [*WORKED, asked_again(), granted(), asked_again(), granted(extension=2)],
            [*WORKED, asked_again(), granted()],
            options=(("extension_max_count", 1),),
        ),
        Pair("legal-basis-missing", [*WORKED, asked_again()], [*WORKED, asked_again(legal_basis=BASIS)], pack=S4),
        Pair("informing-missing", [*WORKED, answer(informing=None)], [*WORKED, answer(informing=None, published=True)]),
        Pair("informing-missing", [*WORKED, answer()], [*ANSWERED]),
        Pair(
            "attempts-missing",
            [*WORKED, *THREE_TIMES[:2], answer(informing=Informing.TRIED)],
            [*WORKED, *THREE_TIMES, answer(informing=Informing.TRIED)],
        ),
        Pair("not-your-unit", [*WORKED, TOLD, answer(unit="E")], [*ANSWERED]),
        Pair(
            "return-pending",
            [*WORKED, returned(), TOLD, answer()],
            [*WORKED, returned(), ReturnRejected(return_no=1, reason="x"), TOLD, answer()],
        ),
        Pair("co-opinion-missing", [*WORKED, co, TOLD, answer()], [*WORKED, co, TOLD, answer(missing_co=("E",))]),
        Pair(
            "unresolved-fields-missing",
            [*WORKED, TOLD, answer(outcome=Outcome.UNRESOLVED)],
            [*WORKED, TOLD, answer(**UNRESOLVED)],
        ),
        Pair(
            "unsolvable-fields-missing",
            [*WORKED, TOLD, answer(outcome=Outcome.UNSOLVABLE, reason="x")],
            [*WORKED, TOLD, answer(outcome=Outcome.UNSOLVABLE, reason="x", research=False)],
        ),
        Pair(
            "promise-in-past",
            [*WORKED, TOLD, answer(**{**UNRESOLVED, "implement_by": date(2025, 6, 15)})],
            [*WORKED, TOLD, answer(**{**UNRESOLVED, "implement_by": date(2025, 6, 16)})],
        ),
        Pair(
            "two-hands-needed",
            [*WORKED, TOLD, ("2025-06-17 09:00", answer(drafted_by="b-approver"), approver())],
            [*WORKED, TOLD, ("2025-06-17 09:00", answer(drafted_by="b-handler"), approver())],
            options=(("reply_two_persons", True),),
        ),
    ]


def _evaluating() -> list[Pair]:
    back = ReplyReviewed(reply=1, accepted=False, requirements="x")
    deemed = EvaluationDeemed(round=1, reply=1, rating=Rating.BASICALLY_SATISFIED, effective_at=at("2025-06-24 00:00"))
    unchanged = [ReplySubstanceJudged(reply=n, substance=Substance.UNCHANGED, grounds="x") for n in (2, 3)]
    thrice: tuple[Said, ...] = (
        *AGAIN,
        unchanged[0],
        ReplyReviewed(reply=2, accepted=False, requirements="x"),
        TOLD,
        answer(),
    )
    solicited = EvaluationSource.ORGANIZER_SOLICITED
    judged = ReasonablenessJudged(proposal=1, finding=Reasonableness.UNREASONABLE, article=BASIS)
    proposed = ReasonablenessProposed(round=1, unit="B", words="x", evidence=(PROOF,))
    redo = RedoOrdered(round=2, ground=RedoGround.REASONABLE_DISSATISFACTION, requirements="x")
    four = {"contacted": True, "informed": True, "consistent": True, "attitude": Rating.SATISFIED}
    times = tuple(at(when) for when, _ in THREE_TIMES)
    return [
        Pair("requirements-missing", [*ANSWERED, ReplyReviewed(reply=1, accepted=False)], [*ANSWERED, back]),
        Pair(
            "review-window-over",
            [*ANSWERED, ("2025-06-24 00:00:00.001", back)],
            [*ANSWERED, ("2025-06-24 00:00", back)],
            pack=S1,
        ),
        Pair(
            "identity-not-checked",
            [*ANSWERED, ACCEPTED],
            [*ANSWERED, ReplyReviewed(reply=1, accepted=True, identity_checked=True)],
            about=INFORMANT,
        ),
        Pair(
            "reviewer-handled",
            [*WORKED, TOLD, ("2025-06-17 09:00", answer(), approver()), ("2025-06-17 10:00", ACCEPTED, approver())],
            [*WORKED, TOLD, ("2025-06-17 09:00", answer(), approver()), ("2025-06-17 10:00", ACCEPTED, REVIEWER)],
        ),
        Pair(
            "not-handled-unsaid",
            [*thrice, unchanged[1]],
            [*thrice, unchanged[1], DeemedNotHandled(unit="B", reply=3, streak=3)],
            pack=S1,
        ),
        Pair(
            "legal-basis-missing",
            [*AGAIN, ReplySubstanceJudged(reply=2, substance=Substance.JUSTIFIED, grounds="x")],
            [*AGAIN, ReplySubstanceJudged(reply=2, substance=Substance.JUSTIFIED, grounds="x", basis=BASIS)],
        ),
        Pair("no-deeming", [*ANSWERED, ACCEPTED, ("2025-06-24 00:01", deemed)], [*ANSWERED, ACCEPTED]),
        Pair(
            "window-open",
            [*ANSWERED, ACCEPTED, ("2025-06-24 00:00", deemed)],
            [*ANSWERED, ACCEPTED, ("2025-06-24 00:00:00.001", deemed)],
            pack=S1,
        ),
        Pair(
            "already-evaluated",
            [*ANSWERED, ACCEPTED, DISSATISFIED, ("2025-06-24 00:01", deemed)],
            [*ANSWERED, ACCEPTED, ("2025-06-24 00:01", deemed)],
            pack=S1,
        ),
        Pair("already-rated", [*ANSWERED, rated(), rated()], [*ANSWERED, rated(), rated(source=solicited)]),
        Pair(
            "evaluated-late",
            [*ANSWERED, ("2025-06-24 00:00:00.001", rated())],
            [*ANSWERED, ("2025-06-24 00:00", rated())],
            pack=S1,
        ),
        Pair(
            "evaluated-late",
            [*ANSWERED, rated(), closing(ClosureKind.SATISFIED), rated(source=solicited)],
            [*ANSWERED, rated(), closing(ClosureKind.SATISFIED)],
        ),
        Pair("soliciting-not-allowed", [*ANSWERED, rated(source=solicited)], [*ANSWERED, rated()], pack=S4),
        Pair(
            "rating-missing", [*ANSWERED, rated(ratings={Dimension.ATTITUDE: Rating.SATISFIED})], [*ANSWERED, rated()]
        ),
        Pair(
            "revisit-not-done",
            [*ANSWERED, rated(source=EvaluationSource.REVISIT)],
            [*ANSWERED, visited(), rated(source=EvaluationSource.REVISIT)],
        ),
        Pair("revisit-refused-final", [*ANSWERED, RevisitRefused(round=1), visited()], [*ANSWERED, visited()]),
        Pair(
            "anonymous-applicant",
            [*ANSWERED, visited()],
            [*ANSWERED, visited()],
            about={"anonymous": True, "applicant": None},
            about_not={},
        ),
        Pair(
            "consent-missing",
            [*ANSWERED, visited(method=RevisitMethod.PHONE)],
            [*ANSWERED, RevisitConsentRecorded(round=1, medium=Medium.PHONE), visited(method=RevisitMethod.PHONE)],
        ),
        Pair("revisit-questions-missing", [*ANSWERED, visited()], [*ANSWERED, visited(**four)], pack=S1),
        Pair(
            "revisitor-from-handling-unit",
            [*ANSWERED, ("2025-06-18 09:00", visited(), HANDLER)],
            [*ANSWERED, ("2025-06-18 09:00", visited(), REVIEWER)],
        ),
        Pair(
            "attempts-missing",
            [*ANSWERED, RevisitUnreachable(round=1, attempts=times[:2])],
            [*ANSWERED, RevisitUnreachable(round=1, attempts=times)],
        ),
        Pair("no-dissatisfaction", [*ANSWERED, rated(), redo], [*ANSWERED, DISSATISFIED, redo]),
        Pair("judged-unreasonable", [*ANSWERED, DISSATISFIED, proposed, judged, redo], [*ANSWERED, DISSATISFIED, redo]),
        Pair(
            "limit-required",
            [*ANSWERED, RedoOrdered(round=2, ground=RedoGround.NOT_DONE, requirements="x")],
            [*ANSWERED, RedoOrdered(round=2, ground=RedoGround.NOT_DONE, requirements="x", limit=FIVE)],
            pack=S2,
        ),
    ]


def _closing() -> list[Pair]:
    satisfied, completed = closing(ClosureKind.SATISFIED), closing(ClosureKind.COMPLETED)
    conforming = closing(ClosureKind.CONFORMING, article=BASIS)
    unsolvable = {"outcome": Outcome.UNSOLVABLE, "reason": "x", "research": False}
    hard = closing(ClosureKind.UNSOLVABLE_EXPLAINED)
    follow = closing(ClosureKind.UNRESOLVED_FOLLOW_UP)
    noted = closing(ClosureKind.NOTED, note_reason=NoteReason.BEYOND_LAW, facts_clear=True)
    ask = NotedClosureProposed(reason=NoteReason.BEYOND_LAW, facts_clear=True)
    dissatisfied: tuple[Said, ...] = (*ANSWERED, DISSATISFIED, EXPLAINED, ask)
    redone = RedoOrdered(round=2, ground=RedoGround.NOT_DONE, requirements="x")
    second: tuple[Said, ...] = (*ANSWERED, redone, SENT, SIGNED, TOLD, answer())
    unheard: tuple[Said, ...] = (*WORKED, answer(informing=None))
    dispute = DisputeRaised(unit="B", reason="x")
    stays = DisputeRuled(dispute=1, unit="B", basis=BASIS, reason="x", stays=True)
    ended: tuple[Said, ...] = (*ANSWERED, rated(), satisfied)
    sealed = ArchivePackageSealed(verified_to=1)
    term = closing(ClosureKind.TERMINATED, termination_ground=TerminationGround.UNREASONABLE, told=Medium.PHONE)
    dossier = OrderArchived(keep="dossier", period="D30", basis=BASIS)
    digest = "sha256:" + "1" * 64
    copy = DossierRendered(digest=digest, template_version="1", fonts=(), upto=5, pages=1, edition="full")
    late = "2025-09-01 09:00"
    return [
        Pair("reply-missing", [*WORKED, completed], [*ANSWERED, completed]),
        Pair("reply-missing", [completed], [*ANSWERED, completed]),
        Pair(
            "follow-up-result-missing",
            [sent(reply_required=False), completed],
            [sent(reply_required=False), closing(ClosureKind.COMPLETED, follow_up_result="x")],
            pack=S2,
        ),
        Pair("result-not-told", [*unheard, conforming], [*ANSWERED, conforming]),
        Pair(
            "result-not-told",
            [
                *WORKED,
                TerminationProposed(ground=TerminationGround.UNREASONABLE, words="x"),
                ("2025-06-18 09:00", msgspec.structs.replace(term, told=None), REVIEWER),
            ],
            [
                *WORKED,
                TerminationProposed(ground=TerminationGround.UNREASONABLE, words="x"),
                ("2025-06-18 09:00", term, REVIEWER),
            ],
        ),
        Pair(
            "no-such-proposal",
            [*WORKED, term],
            [*WORKED, TerminationProposed(ground=TerminationGround.UNREASONABLE, words="x"), term],
        ),
        Pair(
            "explanation-missing",
            [*WORKED, TOLD, answer(**unsolvable), hard],
            [*WORKED, TOLD, answer(**unsolvable), EXPLAINED, hard],
        ),
        Pair(
            "explanation-missing",
            [*WORKED, TOLD, answer(policy_fit=False), conforming],
            [*WORKED, TOLD, answer(policy_fit=False), EXPLAINED, conforming],
        ),
        Pair("explanation-missing", [*ANSWERED, DISSATISFIED, ask, noted], [*dissatisfied, noted]),
        Pair("not-satisfied", [*ANSWERED, satisfied], [*ANSWERED, rated(), satisfied]),
        Pair("article-missing", [*ANSWERED, closing(ClosureKind.CONFORMING)], [*ANSWERED, conforming]),
        Pair(
            "unresolved-needs-follow-up",
            [*WORKED, TOLD, answer(**UNRESOLVED), PROMISED, conforming],
            [*WORKED, TOLD, answer(**UNRESOLVED), PROMISED, follow],
        ),
        Pair(
            "follow-up-missing",
            [*WORKED, TOLD, answer(**UNRESOLVED), follow],
            [*WORKED, TOLD, answer(**UNRESOLVED), PROMISED, follow],
        ),
        Pair("outcome-differs", [*ANSWERED, PROMISED, follow], [*WORKED, TOLD, answer(**UNRESOLVED), PROMISED, follow]),
        Pair(
            "facts-not-clear",
            [*dissatisfied, msgspec.structs.replace(noted, facts_clear=False)],
            [*dissatisfied, noted],
        ),
        Pair("not-dissatisfied", [*ANSWERED, rated(), EXPLAINED, ask, noted], [*dissatisfied, noted]),
        Pair(
            "attempts-missing",
            [*WORKED, *THREE_TIMES[:2], answer(informing=None), closing(ClosureKind.UNREACHABLE)],
            [*WORKED, *THREE_TIMES, answer(informing=Informing.TRIED), closing(ClosureKind.UNREACHABLE)],
        ),
        Pair("already-evaluated", [*ANSWERED, rated(), completed], [*ANSWERED, completed]),
        Pair("revisit-missing", [*second, conforming], [*second, visited(round=2, reply=2), conforming]),
        Pair(
            "revisit-pending",
            [*ANSWERED, RevisitConsentRecorded(round=1, medium=Medium.PHONE), completed],
            [*ANSWERED, visited(), completed],
        ),
        Pair(
            "dispute-open",
            [*WORKED, dispute, TOLD, answer(), conforming],
            [*WORKED, dispute, stays, TOLD, answer(), conforming],
        ),
        Pair(
            "emergency-not-told",
            [*ANSWERED, conforming],
            [*ANSWERED, *EVERYBODY_TOLD, conforming],
            pack=S1,
            about={"attributes": SPECIAL},
        ),
        Pair("file-incomplete", [*WORKED, TOLD, answer(**UNRESOLVED), PROMISED, follow, FILED], [*ended, FILED]),
        Pair(
            "dossier-missing",
            [*ended, dossier, (late, sealed)],
            [*ended, dossier, copy, (late, msgspec.structs.replace(sealed, dossier=digest))],
        ),
        Pair("not-yet-due", [*ended, FILED, sealed], [*ended, FILED, (late, sealed)]),
        Pair("order-sealed", [*ended, FILED, (late, sealed), redone], [*ended, FILED, redone]),
    ]


def _judged() -> list[Pair]:
    hour = (tried("2025-06-17 10:00"), tried("2025-06-17 10:20"), tried("2025-06-17 10:59"))
    unchanged = ReplySubstanceJudged(reply=2, substance=Substance.UNCHANGED, grounds="x")
    conforming = closing(ClosureKind.CONFORMING, article=BASIS)
    back: tuple[Said, ...] = (SENT, SIGNED, returned(), ReturnApproved(return_no=1))
    deemed = EvaluationDeemed(round=1, reply=1, rating=Rating.BASICALLY_SATISFIED, effective_at=at("2025-06-24 00:00"))
    shut: tuple[Said, ...] = (
        *ANSWERED,
        ACCEPTED,
        ("2025-06-24 00:01", deemed),
        closing(ClosureKind.DEEMED_BASICALLY_SATISFIED),
    )

    def after(rating: Rating) -> LateEvaluationRecorded:
        return LateEvaluationRecorded(
            round=1, reply=1, source=EvaluationSource.CITIZEN_SELF, ratings={Dimension.RESULT: rating}
        )

    return [
        Pair(
            "attempts-in-one-hour",
            [*WORKED, *hour, answer(informing=None)],
            [*WORKED, *hour[:2], tried("2025-06-17 11:00"), answer(informing=None)],
        ),
        Pair("reply-unchanged", [*AGAIN, unchanged], [*AGAIN, CHANGED], pack=S1),
        Pair(
            "not-handled",
            [*AGAIN, unchanged, DeemedNotHandled(unit="B", reply=2, streak=2)],
            [*AGAIN, unchanged],
            pack=S1,
        ),
        Pair("reply-unjudged", [*AGAIN], [*AGAIN, CHANGED], pack=S1),
        Pair(
            "dissatisfied-unexplained",
            [*ANSWERED, DISSATISFIED, conforming],
            [*ANSWERED, DISSATISFIED, EXPLAINED, conforming],
        ),
        Pair(
            "dissatisfied-after-deeming", [*shut, after(Rating.DISSATISFIED)], [*shut, after(Rating.SATISFIED)], pack=S1
        ),
        Pair(
            "extended-again",
            [*WORKED, asked_again(), granted(), asked_again(), granted(extension=2)],
            [*WORKED, asked_again(), granted()],
        ),
        Pair("circulating", [*back, *back], [*back]),
    ]


PAIRS = (
    *_registration(),
    *_dispatching(),
    *_returning(),
    *_handling(),
    *_evaluating(),
    *_closing(),
    *_judged(),
)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.code)
def test_a_rule_is_found_broken_where_it_is_and_not_in_the_nearest_case_that_keeps_it(pair: Pair):
    law = law_under(pair.pack, pair.options)
    bound = {"policy": law.policy_at(at("2025-06-16 08:00"))}
    about_not = pair.about if pair.about_not is None else pair.about_not
    if pair.code == "title-has-personal-data":
        about_not = {}
    assert pair.code in codes(told(*pair.has, pack=pair.pack, **{**pair.about, **bound}), law)
    assert pair.code not in codes(told(*pair.has_not, pack=pair.pack, **{**about_not, **bound}), law)


def test_every_kind_that_no_clock_shows_has_its_pair():
    wanted = {code for code, kind in KINDS.items() if kind.family is not Family.CLOCK}
    assert wanted == {pair.code for pair in PAIRS}


# ── clocks, marks, names ────────────────────────────────────────────────────────────────────────────────────────────


def only(entries: Sequence[Entry], code: str, **how: Any) -> Finding:
    (one,) = [finding for finding in found(entries, **how) if finding.code == code]
    return one


def test_a_late_reply_cites_the_rule_the_clock_the_events_the_unit_and_how_late_it_was():
    entries = told(SENT, SIGNED, ("2025-07-08 09:00", TOLD), ("2025-07-08 10:00", answer()))
    late = only(entries, "late-handle")
    assert (late.id, late.unit, late.clock, late.key) == ("late-handle:e1", "B", ClockName.HANDLE, "e1")
    assert (late.due, late.done, late.late_seconds) == (at("2025-07-08 00:00"), at("2025-07-08 10:00"), 36_000)
    assert late.at == late.due  # it counts in the month of its due instant (K13, T85)
    assert late.rule.article.startswith("S0-28")
    assert [e.version for e in late.evidence] == [2, 5]
    assert [e.position for e in late.evidence] == [102, 105]
    assert late.marks == (Exemption.IMPORTED,)


def test_one_millisecond_decides():
    on_time, late = "2025-07-08 00:00", "2025-07-08 00:00:00.001"
    assert "late-handle" not in codes(told(SENT, SIGNED, TOLD, (on_time, answer())))
    assert only(told(SENT, SIGNED, TOLD, (late, answer())), "late-handle").late_seconds == 1


def test_what_still_runs_is_late_as_of_the_instant_it_is_asked_at():
    entries = told(SENT, SIGNED)
    late = only(entries, "late-handle", now=at("2025-07-09 00:00"))
    assert late.late_seconds == 86_400
    assert late.done is None
    assert Exemption.RUNNING in late.marks
    assert [f for f in found(entries, now=at("2025-07-08 00:00")) if f.code == "late-handle"] == []


def test_a_cancelled_clock_keeps_its_breach():
    late = ("2025-07-09 09:00", returned(late=True))
    gone = told(SENT, SIGNED, late, LateReturnConsented(return_no=1, unit="B"), ReturnApproved(return_no=1))
    assert Exemption.CANCELLED in only(gone, "late-handle").marks
    sooner = ("2025-06-17 09:00", returned())
    assert "late-handle" not in codes(told(SENT, SIGNED, sooner, ReturnApproved(return_no=1)))


def test_a_return_too_late_is_an_overdue_item_where_the_rules_call_it_so_and_a_late_return_elsewhere():
    late = ("2025-06-30 09:00", returned(late=True))
    assert only(told(*WORKED, late, pack=S1), "overdue-item").rule.article == "S1-20"
    assert "late-return" in codes(told(*WORKED, late))


def test_a_start_that_a_mapping_set_and_a_calendar_not_published_are_said_beside_it():
    derived = told(sent(derived=("派单时间",)), SIGNED)
    assert Exemption.DERIVED in only(derived, "late-handle").marks
    far = told(SENT, SIGNED, start="2031-12-20 09:00")
    assert Exemption.PROVISIONAL in only(far, "late-handle", now=at("2033-01-01 09:00")).marks


def test_a_breach_inside_an_outage_and_an_appeal_upheld_are_marked_and_stay():
    appeal = AppealFiled(
        unit="B", indicator="I10", ground=AppealGround.FORCE_MAJEURE, published_at=NOW, issuer="x", words="x"
    )
    entries = told(
        *WORKED, ("2025-11-01 09:00", appeal), AppealDecided(appeal=1, upheld=True, words="x", exclusion="I10")
    )
    assert Exemption.APPEAL_UPHELD in only(entries, "late-handle").marks
    outage = institution.OutageDeclared(
        proposal=1,
        scope=institution.OutageScope.ALL,
        from_at=at("2025-07-07 12:00"),
        until=at("2025-07-08 12:00"),
        basis=BASIS,
    )
    law = given_case(working()).decreed(outage).law
    assert Exemption.DURING_OUTAGE in only(told(*WORKED), "late-handle", law=law).marks


def test_the_same_case_under_another_pack_is_stamped_and_judged_by_that_ones_words():
    entries = told(SENT, SIGNED, TOLD, ("2025-06-30 09:00", answer()))
    assert "late-handle" not in codes(entries)
    law, policy = law_assuming(law_under(S0), shipped("SC-2025"))
    tried_under = findings(entries, law, NOW, assumed=policy)
    late = next(f for f in tried_under if f.code == "late-handle")
    assert late.pack == "SC-2025"
    assert Exemption.ASSUMED in late.marks
    assert late.due == at("2025-06-26 00:00")
    assert law_under(S0).policy_at(NOW).pack == S0  # nobody is bound by it


def test_a_correction_changes_what_is_found():
    entries = told(SENT, SIGNED, TOLD, ("2025-07-08 00:00:00.001", answer()))
    fixed = CorrectionRecorded(
        correction=1,
        version=5,
        field="at",
        old="2025-07-08T00:00:00.001+08:00",
        new="2025-07-08T00:00:00.000+08:00",
        basis="签收簿",
    )
    assert "late-handle" in codes(entries)
    assert "late-handle" not in codes(history([*zip_back(entries), ("2025-07-10 09:00", fixed)]))


def zip_back(entries: Sequence[Entry]) -> list[Said]:
    return [(entry.at.isoformat(sep=" ", timespec="milliseconds")[:23], entry.event) for entry in entries]


def test_findings_have_names_that_stay():
    first = {f.id for f in found(told(SENT, answer(informing=None)))}
    longer = {f.id for f in found(told(SENT, answer(informing=None), ACCEPTED))}
    assert "informing-missing:v3" in first & longer


def test_a_step_out_of_its_order_hides_nothing_else_that_is_wrong_with_it():
    assert codes(told(*WORKED, refused(words=None))) >= {"wrong-state", "refusal-not-explained"}
    assert "refusal-not-explained" not in codes(told(*WORKED, refused()))


# ── statements ──────────────────────────────────────────────────────────────────────────────────────────────────────

STATE = StateFinding(finding="late-handle:e1", words="等待上级批复")


@pytest.mark.parametrize(("changed", "found"), [(date(2025, 6, 16), False), (date(2025, 6, 15), True)])
def test_a_unit_moved_on_the_day_of_a_transfer_breaks_no_rule_of_it(changed: date, found: bool):
    passed = AssignmentTransferred(assignment=1, from_unit="D", unit="B", parent="D")
    place = {"level": UnitLevel.SECOND, "kind": UnitKind.DEPARTMENT, "parent": "E"}
    moved = UnitChanged(unit="B", name="东区住建局", valid_from=changed, **place)
    entry = Entry(
        event=moved,
        stream="institution",
        version=999,
        position=1,
        recorded_at=at("2025-06-16 18:00"),
        actor=OLD,
    )
    law = institution.evolve(law_under(S0), entry)
    assert ("not-a-descendant" in codes(told(sent("D"), ("2025-06-16 09:00", passed)), law)) is found


def test_the_units_statement_stands_beside_its_finding():
    stated = given_case(working()).does(STATE, by=approver())
    entries = [*told(SENT, SIGNED), msgspec.structs.replace(stated.entries[0], version=4, position=104)]
    late = only(entries, "late-handle")
    assert [(s.unit, s.version) for s in late.statements] == [("B", 4)]
    assert all(f.statements == () for f in found(entries) if f.id != late.id)


def test_a_statement_is_made_once_by_a_unit_that_had_a_part_and_says_something():
    case = given_case(working())
    case.when(STATE, by=approver("E")).refused(NotYourUnit)
    case.when(msgspec.structs.replace(STATE, words=" "), by=approver()).refused(ReasonMissing)
    case.does(STATE, by=approver()).when(STATE, by=approver()).refused(AlreadyStated)
    case.does(STATE, by=approver()).does(msgspec.structs.replace(STATE, finding="late-sign:e1.a1"), by=approver())


def test_nothing_is_added_to_a_sealed_file():
    case = given_case(working())
    sealed = msgspec.structs.replace(case.order.filing, sealed=case.order.registered)
    case.having(filing=sealed).when(STATE, by=approver()).refused(OrderSealed)


# ── a live city breaks no rule ──────────────────────────────────────────────────────────────────────────────────────


@settings(phases=(Phase.explicit, Phase.reuse, Phase.generate))
@hypothesis.given(st.integers(0, 2**63))
def test_what_was_only_commanded_is_late_at_most(seed: int):
    walk = Walk(seed)
    walk.go(40)
    for stream in walk.town.orders:
        entries = walk.town.streams[stream]
        if any(isinstance(entry.event, CorrectionRecorded) for entry in entries):
            continue  # a correction says that it was not as it had seemed when the rule was asked
        broken = [f for f in findings(entries, walk.town.law, walk.town.now) if f.family is Family.RULE]
        assert broken == [], "\n".join(repr(deed) for deed in walk.deeds)


# ── months ──────────────────────────────────────────────────────────────────────────────────────────────────────────

JUNE, JULY, AUGUST = at("2025-06-01 00:00"), at("2025-07-01 00:00"), at("2025-08-01 00:00")


@pytest.mark.parametrize(
    ("limit", "due", "month"),
    [
        (FIVE, "2025-07-01 00:00", (JUNE, JULY)),  # 30 June 24:00
        (Limit(until=at("2025-06-30 23:59")), "2025-06-30 23:59", (JUNE, JULY)),
        (Limit(until=at("2025-07-01 00:01")), "2025-07-01 00:01", (JULY, AUGUST)),
    ],
)
def test_a_breach_is_a_finding_of_the_month_in_which_the_figures_count_it(
    limit: Limit, due: str, month: tuple[datetime, datetime]
):
    entries = told(("2025-06-23 09:00", sent(limits={ClockName.HANDLE: limit})), start="2025-06-23 08:00")
    law = law_under(S0)
    (late,) = [f for f in found(entries, law) if f.code == "late-handle"]
    assert late.due == at(due)
    order = fold(entries)
    assert order is not None
    (fact,) = [f for f in derive(Case(order, entries[-1].position, law)) if f.kind == "handle"]
    for since, until in ((JUNE, JULY), (JULY, AUGUST)):
        asked = Question(NOW, since=since, until=until)
        assert asked.wants(late) is (since <= fact.at < until) is ((since, until) == month)
