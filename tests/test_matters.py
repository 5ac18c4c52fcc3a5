"""What is not about one order: circulars, notices to units, calls, inquiries of overseers, publications, subjects."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain import kinds, refusals
from domain.clocks import Status
from domain.context import Context, StreamKind
from domain.duties import of_matter
from domain.journals import series
from domain.matters import affairs, batches, calls, inquiries, publications, subjects
from domain.matters.affairs import (
    AcceptRectification,
    ApproveCircular,
    CircularApproved,
    CircularDrafted,
    CircularPublished,
    CircularRejected,
    DraftCircular,
    HandOverShift,
    InspectionRecorded,
    MeetingHeld,
    PublishCircular,
    RecordInspection,
    RecordMeeting,
    RectificationAccepted,
    RectificationRejected,
    RectificationReported,
    ReferUnit,
    RejectCircular,
    RejectRectification,
    ReportRectification,
    ShiftHandedOver,
    ShiftTakenOver,
    TakeOverShift,
    UnitReferred,
)
from domain.matters.calls import (
    CallDisposition,
    CallLogged,
    FileServiceComplaint,
    LogCall,
    RateService,
    ServiceComplaintFiled,
    ServiceComplaintVerified,
    ServiceRated,
    VerifyServiceComplaint,
    call_stream,
)
from domain.matters.inquiries import (
    AnswerInquiry,
    Body,
    FileInquiry,
    Inquiry,
    InquiryKind,
    MaskedDossierRefused,
    MaskedDossierReleased,
    MaskedDossierRequested,
    OversightInquiryAnswered,
    OversightInquiryFiled,
    OversightQueryExecuted,
    OversightSubmissionSent,
    RecordQuery,
    RefuseMaskedDossier,
    ReleaseMaskedDossier,
    RequestMaskedDossier,
    SendSubmission,
    inquiry_clock,
)
from domain.matters.matter import CircularKind, Decision
from domain.matters.notices import (
    AcceptUnitReply,
    CloseUnitNotice,
    EscalateUnitNotice,
    IssueUnitNotice,
    RecordUnitArrival,
    RejectUnitReply,
    ReplyUnitNotice,
    ServeUnitNotice,
    UnitArrived,
    UnitNoticeAccepted,
    UnitNoticeClosed,
    UnitNoticeEscalated,
    UnitNoticeIssued,
    UnitNoticeRejected,
    UnitNoticeReplied,
    UnitNoticeServed,
    UnitNoticeWithdrawn,
    WithdrawUnitNotice,
    answer_due,
)
from domain.matters.publications import (
    ChainVerified,
    DataPushed,
    ImportTelephonyStats,
    PrivacyClass,
    PublishReport,
    RecordPush,
    RecordVerification,
    ReportKind,
    ReportPublished,
    TelephonyStatsImported,
    push_stream,
    report_stream,
    telephony_stream,
)
from domain.matters.subjects import (
    ApproveSubjectErasure,
    ProposeSubjectErasure,
    RejectSubjectErasure,
    RestrictSubject,
    SubjectErased,
    SubjectErasureProposed,
    SubjectErasureRejected,
    SubjectRestricted,
    subject_stream,
)
from domain.refusals import Refusal
from domain.steps.filing import OrderArchived, OrderClosed
from domain.terms import (
    Act,
    Actor,
    Applicant,
    ApplicantKind,
    ClosureKind,
    Confidentiality,
    Entry,
    Fact,
    Limit,
    LimitUnit,
    Medium,
    NoticeGround,
    NoticeKind,
    NoticeState,
    NoticeWithdrawal,
    Number,
    Participant,
    Role,
    Shred,
    Step,
)
from tests.given import (
    AGENT,
    APPROVER,
    ARCHIVIST,
    AUDITOR,
    BASIS,
    COORDINATOR,
    DISPATCHER,
    LEADER,
    MANAGER,
    ORDER,
    REVIEWER,
    SUPERVISOR,
    SYSTEM,
    approver,
    at,
    given,
    law,
    working,
)

DIGEST = "sha256:" + "d" * 64
DEPUTY = Actor(user="deputy-1", role=Role.OVERSEER_NPC)
MEMBER = Actor(user="member-1", role=Role.OVERSEER_CPPCC)
BESIDE = (affairs.KIND, calls.KIND, inquiries.KIND, publications.KIND, subjects.KIND, batches.KIND)
FIVE_DAYS = Limit(amount=5, unit=LimitUnit.WORKING_DAYS)
MATTER = f"matter:{UUID(int=5)}"
INQUIRY = f"inquiry:{UUID(int=6)}"
PERSON = UUID(int=8)


class Stream:
    """One stream of a kind, at an instant, in the small city under the pack of Beijing."""

    def __init__(self, kind: StreamKind, stream: str, now: str | datetime, state: Any = None) -> None:
        self.kind = kind
        self.stream = stream
        self.now = at(now)
        self.state = state
        self.others: Mapping[str, Any] = {}

    def at(self, now: str) -> Stream:
        return Stream(self.kind, self.stream, now, self.state)

    def beside(self, others: Mapping[str, Any]) -> Stream:
        same = self.at(str(self.now.replace(tzinfo=None)))
        same.others = others
        return same

    def decide(self, command: Act, by: Actor) -> list[Step]:
        others = {name: self.others.get(name) for name in getattr(command, "reads", tuple)()}
        context = Context(
            actor=by, now=self.now, law=law("S4-BEIJING"), stream=self.stream, others=others, position=100
        )
        return list(self.kind.decide(self.state, command, context))

    def after(self, *events: Fact, by: Actor = SYSTEM, numbers: Mapping[str, tuple[int, ...]] | None = None) -> Stream:
        state = self.state
        for event in events:
            version = 1 if state is None else state.version + 1
            entry = Entry(
                event=event,
                stream=self.stream,
                version=version,
                position=version,
                recorded_at=self.now,
                actor=by,
                numbers=dict(numbers or {}),
            )
            state = self.kind.evolve(state, entry)
        later = self.at(str(self.now.replace(tzinfo=None)))
        later.state = state
        return later

    def does(self, command: Act, by: Actor, *expected: type[Step]) -> Stream:
        decided = self.decide(command, by)
        if expected:
            assert [type(step) for step in decided] == list(expected)
        numbers = {f"{s.journal}/{series(s, self.now)}": (7,) for s in decided if isinstance(s, Number)}
        return self.after(*(s for s in decided if isinstance(s, Fact)), by=by, numbers=numbers)

    def refuses(self, command: Act, by: Actor, refusal: type[Refusal]) -> None:
        with pytest.raises(Refusal) as raised:
            self.decide(command, by)
        assert raised.type is refusal, raised.value


def matter(now: str = "2025-07-01 09:00") -> Stream:
    return Stream(affairs.KIND, MATTER, now)


# ── every kind ──────────────────────────────────────────────────────────────────────────────────────────────────────


class TestTheKinds:
    def test_every_stored_tag_and_every_command_word_is_one_of_a_kind(self):
        tags = [event.__struct_config__.tag for kind in kinds.KINDS for event in kind.events]
        words = [command.__struct_config__.tag for kind in kinds.KINDS for command in kind.commands]
        assert len(tags) == len(set(tags))
        assert len(words) == len(set(words))

    @pytest.mark.parametrize("kind", BESIDE, ids=lambda kind: kind.name)
    def test_tags_are_the_stream_and_the_name_of_the_class(self, kind: StreamKind):
        for event in kind.events:
            snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in event.__name__).lstrip("_")
            assert event.__struct_config__.tag == f"{kind.name}.{snake}"
        for command in kind.commands:
            snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in command.__name__).lstrip("_")
            assert command.__struct_config__.tag == snake
            assert command.roles

    @pytest.mark.parametrize("kind", BESIDE, ids=lambda kind: kind.name)
    def test_a_history_without_its_beginning_folds_to_nothing(self, kind: StreamKind):
        stranger = OrderClosed(kind=ClosureKind.DIRECT)
        entry = Entry(event=stranger, stream="x", version=1, position=1, recorded_at=at("2025-07-01"), actor=SYSTEM)
        assert kind.evolve(None, entry) is None

    def test_who_may_not_ask_is_told_so_and_what_is_not_there_too(self):
        matter().refuses(ApproveCircular(), SYSTEM, refusals.RoleNotAllowed)
        matter().refuses(ApproveCircular(), LEADER, refusals.UnknownStream)


# ── circulars ───────────────────────────────────────────────────────────────────────────────────────────────────────

CRITICISM = DraftCircular(
    circular=CircularKind.CRITICISM,
    title="关于东区住建局的通报",
    facts="多次不回复督办",
    units=("B",),
    ground=NoticeGround.NOTICE_IGNORED,
    rectify_by=date(2025, 7, 10),
)
FIGURES = DraftCircular(
    circular=CircularKind.PERIODIC,
    title="六月情况通报",
    facts="各单位办理情况",
    units=("B", "E"),
    period_from=date(2025, 6, 1),
    period_until=date(2025, 6, 30),
)
OUT = PublishCircular(recipients=("各承办单位",), content_hash=DIGEST)


class TestCirculars:
    def drafted(self, draft: DraftCircular = CRITICISM) -> Stream:
        return matter().does(draft, SUPERVISOR, CircularDrafted)

    def test_criticism_is_approved_by_a_leader_and_published_with_a_number(self):
        drafted = self.drafted()
        drafted.refuses(ApproveCircular(), MANAGER, refusals.NotThisIssuer)
        drafted.refuses(OUT, MANAGER, refusals.NotApproved)
        out = drafted.does(ApproveCircular(), LEADER, CircularApproved).does(OUT, MANAGER, CircularPublished, Number)
        assert out.state.number == "2025-000007"
        out.refuses(OUT, MANAGER, refusals.AlreadyPublished)
        drafted.does(ApproveCircular(), LEADER).refuses(
            msgspec.structs.replace(OUT, recipients=()), MANAGER, refusals.RecipientsMissing
        )

    def test_figures_are_approved_by_the_management_other_than_the_drafter(self):
        drafted = self.drafted(FIGURES)
        drafted.refuses(ApproveCircular(), LEADER, refusals.NotThisIssuer)
        own = matter().does(FIGURES, MANAGER)
        own.refuses(ApproveCircular(), MANAGER, refusals.SelfApproval)
        out = drafted.does(ApproveCircular(), MANAGER).does(OUT, MANAGER)
        assert out.state.closed is not None

    def test_a_rejected_draft_is_at_its_end(self):
        rejected = self.drafted().does(RejectCircular(words="证据不足"), LEADER, CircularRejected)
        rejected.refuses(ApproveCircular(), LEADER, refusals.NoSuchProposal)
        rejected.refuses(OUT, MANAGER, refusals.NotApproved)

    @pytest.mark.parametrize(
        ("changes", "refusal"),
        [
            ({"units": ()}, refusals.UnitsMissing),
            ({"units": ("X",)}, refusals.UnknownUnit),
            ({"ground": None}, refusals.ReasonMissing),
            ({"rectify_by": date(2025, 6, 30)}, refusals.LimitInPast),
            ({"circular": CircularKind.PERIODIC}, refusals.PeriodMissing),
        ],
    )
    def test_a_draft_says_who_why_and_for_when(self, changes: dict[str, Any], refusal: type[Refusal]):
        matter().refuses(msgspec.structs.replace(CRITICISM, **changes), SUPERVISOR, refusal)

    def test_a_stream_holds_one_matter(self):
        self.drafted().refuses(CRITICISM, SUPERVISOR, refusals.MatterOpen)

    def test_rectification_is_reported_judged_and_ends_it(self):
        report = ReportRectification(duty=1, report="已整改")
        self.drafted().refuses(report, APPROVER, refusals.NoSuchDuty)  # not out yet
        out = self.drafted().does(ApproveCircular(), LEADER).does(OUT, MANAGER)
        out.refuses(report, approver("E"), refusals.NotYourUnit)
        out.refuses(AcceptRectification(duty=1), SUPERVISOR, refusals.NothingReplied)
        told = out.at("2025-07-20 09:00").does(report, APPROVER, RectificationReported)
        told.refuses(report, APPROVER, refusals.AlreadyReported)
        same = msgspec.structs.replace(SUPERVISOR, user=APPROVER.user)
        told.refuses(AcceptRectification(duty=1), same, refusals.SelfApproval)
        back = RejectRectification(duty=1, requirements="再报", by=date(2025, 7, 30))
        again = told.does(back, SUPERVISOR, RectificationRejected).does(report, APPROVER)
        assert again.state.duties[0].by == date(2025, 7, 30)
        done = again.does(AcceptRectification(duty=1), SUPERVISOR, RectificationAccepted)
        assert done.state.closed is not None
        done.refuses(report, APPROVER, refusals.NoSuchDuty)
        told.refuses(msgspec.structs.replace(back, by=date(2025, 7, 19)), SUPERVISOR, refusals.LimitInPast)


# ── notices to a unit ───────────────────────────────────────────────────────────────────────────────────────────────

SPECIAL = IssueUnitNotice(
    kind=NoticeKind.SPECIAL,
    ground=NoticeGround.LOW_EVALUATION,
    unit="B",
    facts="满意率连续两月垫底",
    demand="整改报告",
    limit=FIVE_DAYS,
)
ONSITE = IssueUnitNotice(
    kind=NoticeKind.ONSITE,
    ground=NoticeGround.CONCENTRATED,
    unit="B",
    facts="积水",
    demand="到场",
    arrive_by=at("2025-07-01 15:00"),
)
REPLY = ReplyUnitNotice(report="整改情况")


class TestNoticesToAUnit:
    def issued(self) -> Stream:
        return matter().does(SPECIAL, MANAGER, UnitNoticeIssued, Number)

    def test_special_supervision_of_a_unit_is_replied_accepted_and_struck_off(self):
        case = self.issued()
        case.refuses(CloseUnitNotice(), MANAGER, refusals.NoticeUnanswered)
        case.refuses(REPLY, approver("E"), refusals.NotYourUnit)
        replied = case.does(REPLY, APPROVER, UnitNoticeReplied)
        replied.refuses(REPLY, APPROVER, refusals.AlreadyReplied)
        case.refuses(AcceptUnitReply(), MANAGER, refusals.NothingReplied)
        done = replied.does(AcceptUnitReply(), MANAGER, UnitNoticeAccepted).does(
            CloseUnitNotice(), MANAGER, UnitNoticeClosed
        )
        assert done.state.notice.state is NoticeState.CLOSED
        done.refuses(REPLY, APPROVER, refusals.NoticeOver)

    def test_a_rejected_report_issues_it_again(self):
        replied = self.issued().does(REPLY, APPROVER)
        again = replied.does(RejectUnitReply(requirements="补充"), MANAGER, UnitNoticeRejected, Number)
        assert (again.state.notice.turn, again.state.notice.replied) == (2, None)
        past = RejectUnitReply(requirements="补充", limit=Limit(until=at("2025-06-01 00:00")))
        replied.refuses(past, MANAGER, refusals.LimitInPast)
        again.does(REPLY, APPROVER)

    @pytest.mark.parametrize(
        ("command", "by", "refusal"),
        [
            (SPECIAL, SUPERVISOR, refusals.NotThisIssuer),
            (msgspec.structs.replace(SPECIAL, kind=NoticeKind.SYSTEM), MANAGER, refusals.NoticeKindNotHere),
            (msgspec.structs.replace(SPECIAL, limit=None), MANAGER, refusals.LimitRequired),
            (msgspec.structs.replace(SPECIAL, unit="X"), MANAGER, refusals.UnknownUnit),
            (msgspec.structs.replace(ONSITE, arrive_by=None), MANAGER, refusals.LimitRequired),
            (msgspec.structs.replace(ONSITE, arrive_by=at("2025-06-01 00:00")), MANAGER, refusals.LimitInPast),
            (msgspec.structs.replace(ONSITE, participants=(Participant.MEDIA,)), MANAGER, refusals.PressSummaryMissing),
        ],
    )
    def test_each_kind_has_its_issuer_and_what_it_must_say(self, command: Act, by: Actor, refusal: type[Refusal]):
        matter().refuses(command, by, refusal)

    def test_it_is_served_by_the_system_or_later_with_a_name(self):
        paper = matter().does(msgspec.structs.replace(SPECIAL, on_paper=True), MANAGER)
        assert paper.state.notice.served is None
        paper.refuses(ServeUnitNotice(medium=Medium.PHONE), MANAGER, refusals.PersonMissing)
        served = paper.does(ServeUnitNotice(medium=Medium.PHONE, person="王科长"), MANAGER, UnitNoticeServed)
        served.refuses(ServeUnitNotice(medium=Medium.WRITTEN), MANAGER, refusals.AlreadyServed)

    def test_what_did_not_arrive_by_the_system_is_told_by_phone_and_the_time_begins_then(self):
        lost = ServeUnitNotice(medium=Medium.PHONE, person="王科长", undelivered="单位系统退回")
        sent = self.issued().at("2025-07-03 09:00")
        told = sent.does(lost, MANAGER, UnitNoticeServed)
        assert answer_due(told.state.notice, law("S4-BEIJING")) == at("2025-07-11 00:00")  # five working days
        told.refuses(lost, MANAGER, refusals.AlreadyServed)
        sent.does(REPLY, APPROVER).refuses(lost, MANAGER, refusals.AlreadyServed)
        again = sent.does(REPLY, APPROVER).does(RejectUnitReply(requirements="补充"), MANAGER)
        assert again.at("2025-07-04 09:00").does(lost, MANAGER).state.notice.served.at == at("2025-07-04 09:00")

    def test_nobody_is_late_who_was_not_called_and_what_came_too_late_is_issued_anew(self):
        called = matter().does(msgspec.structs.replace(ONSITE, on_paper=True), MANAGER)
        step = EscalateUnitNotice(to=NoticeKind.CIRCULAR, ground=NoticeGround.NOTICE_IGNORED)
        late = called.at("2025-07-01 15:30")
        late.refuses(step, MANAGER, refusals.NotIgnored)
        late.refuses(ServeUnitNotice(medium=Medium.WRITTEN), MANAGER, refusals.LimitInPast)
        assert [duty.command for duty in of_matter(late.state, law("S4-BEIJING"))] == [ServeUnitNotice]

    def test_arrival_is_recorded_late_or_not_and_closes(self):
        called = matter().does(ONSITE, MANAGER)
        called.refuses(CloseUnitNotice(), MANAGER, refusals.NoticeUnanswered)
        arrival = RecordUnitArrival(arrived_at=at("2025-07-01 15:20"))
        called.refuses(arrival, APPROVER, refusals.InstantAhead)
        there = called.at("2025-07-01 16:00")
        there.refuses(arrival, approver("E"), refusals.NotYourUnit)
        before = RecordUnitArrival(arrived_at=at("2025-06-01 09:00"))
        there.refuses(before, APPROVER, refusals.ArrivedBeforeCalled)  # else its own word would make it in time
        came = there.does(arrival, APPROVER, UnitArrived)
        came.refuses(arrival, MANAGER, refusals.AlreadyArrived)
        assert came.does(CloseUnitNotice(), MANAGER).state.closed is not None
        self.issued().at("2025-07-01 16:00").refuses(arrival, APPROVER, refusals.NoSuchNotice)

    def test_who_replied_does_not_judge_and_a_past_limit_is_not_written(self):
        same = msgspec.structs.replace(MANAGER, user=APPROVER.user)
        self.issued().does(REPLY, APPROVER).refuses(AcceptUnitReply(), same, refusals.SelfApproval)
        past = msgspec.structs.replace(SPECIAL, limit=Limit(until=at("2025-06-01 00:00")))
        matter().refuses(past, MANAGER, refusals.LimitInPast)
        came = matter().does(ONSITE, MANAGER).does(REPLY, APPROVER)
        came.refuses(RejectUnitReply(requirements="x"), MANAGER, refusals.LimitRequired)

    def test_a_new_turn_has_its_own_number(self):
        again = self.issued().does(REPLY, APPROVER).does(RejectUnitReply(requirements="补充"), MANAGER)
        assert again.state.number == "2025-000007"
        unnumbered = self.issued().after(UnitNoticeRejected(requirements="x", limit=FIVE_DAYS))
        assert unnumbered.state.number == "2025-000007"

    def test_what_was_not_served_or_was_replied_to_is_not_ignored(self):
        step = EscalateUnitNotice(to=NoticeKind.CIRCULAR, ground=NoticeGround.NOTICE_IGNORED)
        paper = matter().does(msgspec.structs.replace(SPECIAL, on_paper=True), MANAGER)
        paper.at("2025-09-01 09:00").refuses(step, MANAGER, refusals.NotIgnored)
        replied = self.issued().does(REPLY, APPROVER)
        replied.at("2025-09-01 09:00").refuses(step, MANAGER, refusals.NotIgnored)

    def test_ignored_it_goes_one_step_up_and_not_before(self):
        step = EscalateUnitNotice(to=NoticeKind.CIRCULAR, ground=NoticeGround.NOTICE_IGNORED)
        self.issued().at("2025-07-09 00:00").refuses(step, MANAGER, refusals.NotIgnored)  # five working days
        late = self.issued().at("2025-07-09 00:00:00.001")
        late.refuses(msgspec.structs.replace(step, to=NoticeKind.MEETING), MANAGER, refusals.StepSkipped)
        done = late.does(step, MANAGER, UnitNoticeEscalated)
        assert done.state.notice.state is NoticeState.ESCALATED
        called = matter().does(ONSITE, MANAGER).at("2025-07-01 15:00:00.001")
        called.does(step, MANAGER, UnitNoticeEscalated)

    def test_a_mistaken_one_is_withdrawn_with_words(self):
        bare = WithdrawUnitNotice(reason=NoticeWithdrawal.ISSUED_IN_ERROR)
        self.issued().refuses(bare, MANAGER, refusals.ReasonMissing)
        self.issued().does(msgspec.structs.replace(bare, words="误发"), MANAGER, UnitNoticeWithdrawn)
        matter().does(CRITICISM, SUPERVISOR).refuses(REPLY, APPROVER, refusals.NoSuchNotice)


# ── meetings, inspections, referrals, shifts ────────────────────────────────────────────────────────────────────────

MEETING = RecordMeeting(
    title="河滨片区积水会商",
    held_at=at("2025-06-30 15:00"),
    participants=("B", "E"),
    minutes=DIGEST,
    summary="明确分工",
    decisions=(Decision(unit="B", what="清淤", by=date(2025, 7, 5)), Decision(unit="E", what="改造")),
    orders=(ORDER,),
)


class TestOtherAffairs:
    def test_each_decision_of_a_meeting_is_a_duty_of_its_unit(self):
        held = matter().does(MEETING, COORDINATOR, MeetingHeld, Number)
        assert held.state.number == "2025-000007"
        done = held.does(ReportRectification(duty=1, report="已清淤"), APPROVER)
        done = done.does(AcceptRectification(duty=1), SUPERVISOR)
        assert done.state.closed is None
        last = done.does(ReportRectification(duty=2, report="已改造"), approver("E"))
        assert last.does(AcceptRectification(duty=2), SUPERVISOR).state.closed is not None

    def test_a_meeting_has_been_held_by_somebody(self):
        matter().refuses(msgspec.structs.replace(MEETING, participants=()), MANAGER, refusals.UnitsMissing)
        ahead = msgspec.structs.replace(MEETING, held_at=at("2025-07-02 09:00"))
        matter().refuses(ahead, MANAGER, refusals.InstantAhead)

    def test_an_inspection_with_a_date_leaves_something_to_put_right(self):
        command = RecordInspection(unit="B", inspected_on=date(2025, 6, 30), findings="值守缺人")
        assert matter().does(command, SUPERVISOR, InspectionRecorded).state.closed is not None
        dated = msgspec.structs.replace(command, rectify_by=date(2025, 7, 15))
        assert matter().does(dated, SUPERVISOR).state.duties[0].unit == "B"
        early = msgspec.structs.replace(command, rectify_by=date(2025, 6, 1))
        matter().refuses(early, SUPERVISOR, refusals.IntervalEmpty)

    def test_a_unit_is_referred_on_a_matter_or_by_itself(self):
        refer = ReferUnit(
            unit="B", to="市纪委监委", ground=NoticeGround.NOT_COOPERATING, facts="拒不整改", bundle=DIGEST
        )
        assert matter().does(refer, MANAGER, UnitReferred, Number).state.referred is not None
        ignored = matter().does(CRITICISM, SUPERVISOR)
        referred = ignored.does(refer, MANAGER)
        assert referred.state.circular is CircularKind.CRITICISM
        referred.refuses(refer, MANAGER, refusals.NotResponsible)
        ignored.refuses(msgspec.structs.replace(refer, unit="E"), MANAGER, refusals.NotResponsible)
        matter().refuses(msgspec.structs.replace(refer, unit="X"), MANAGER, refusals.UnknownUnit)

    def test_units_that_do_not_exist_decide_and_are_inspected_nowhere(self):
        strange = msgspec.structs.replace(MEETING, decisions=(Decision(unit="X", what="x"),))
        matter().refuses(strange, MANAGER, refusals.UnknownUnit)
        inspection = RecordInspection(unit="X", inspected_on=date(2025, 6, 30), findings="x")
        matter().refuses(inspection, SUPERVISOR, refusals.UnknownUnit)

    def test_what_is_no_circular_is_not_approved_as_one(self):
        matter().does(MEETING, MANAGER).refuses(ApproveCircular(), LEADER, refusals.NoSuchProposal)
        approved = matter().does(CRITICISM, SUPERVISOR).does(ApproveCircular(), LEADER)
        approved.refuses(ApproveCircular(), LEADER, refusals.NoSuchProposal)

    def test_one_stream_holds_one_affair(self):
        taken = matter().does(CRITICISM, SUPERVISOR)
        inspection = RecordInspection(unit="B", inspected_on=date(2025, 6, 30), findings="x")
        shift = HandOverShift(shift="早", to=DISPATCHER.user)
        for command, by in ((MEETING, MANAGER), (inspection, SUPERVISOR), (shift, AGENT), (SPECIAL, MANAGER)):
            taken.refuses(command, by, refusals.MatterOpen)

    def test_a_shift_is_handed_over_to_another_person(self):
        command = HandOverShift(shift="2025-07-01 早", to=DISPATCHER.user, open_emergencies=(ORDER,))
        over = matter().does(command, AGENT, ShiftHandedOver)
        assert over.state.orders == (ORDER,)
        (duty,) = of_matter(over.state, law("S4-BEIJING"))
        assert (duty.command, duty.unit, duty.not_by) == (TakeOverShift, "", AGENT.user)
        over.refuses(TakeOverShift(), AGENT, refusals.SelfApproval)
        over.refuses(TakeOverShift(), MANAGER, refusals.HandedToAnother)
        taken = over.does(TakeOverShift(words="已核对"), DISPATCHER, ShiftTakenOver)
        assert of_matter(taken.state, law("S4-BEIJING")) == ()
        taken.refuses(TakeOverShift(), DISPATCHER, refusals.ShiftTakenOverAlready)
        matter().does(MEETING, COORDINATOR).refuses(TakeOverShift(), DISPATCHER, refusals.NoShift)
        own = msgspec.structs.replace(command, to=AGENT.user)
        matter().refuses(own, AGENT, refusals.SelfApproval)


# ── calls ───────────────────────────────────────────────────────────────────────────────────────────────────────────

LOG = LogCall(call_id="C1", disposition=CallDisposition.SILENT, started_at=at("2025-06-01 09:58"), agent=AGENT.user)


class TestCalls:
    def call(self, now: str = "2025-06-01 10:00") -> Stream:
        return Stream(calls.KIND, call_stream("C1"), now)

    def test_every_call_is_a_numbered_line_of_the_duty_book_once(self):
        logged = self.call().does(LOG, AGENT, CallLogged, Number)
        assert logged.state.number == "2025-000007"
        logged.refuses(LOG, AGENT, refusals.AlreadyLogged)

    def test_the_stream_of_a_call_follows_from_its_id(self):
        assert call_stream("C1") == call_stream("C1") != call_stream("C2")
        other = msgspec.structs.replace(LOG, call_id="C2")
        self.call().refuses(other, AGENT, refusals.NotForThisStream)

    @pytest.mark.parametrize(
        ("changes", "refusal"),
        [
            ({"disposition": CallDisposition.ORDER}, refusals.OrderOfCallMissing),
            ({"started_at": at("2025-06-01 10:01")}, refusals.InstantAhead),
            ({"ended_at": at("2025-06-01 09:57")}, refusals.IntervalEmpty),
        ],
    )
    def test_a_line_of_the_duty_book_holds_together(self, changes: dict[str, Any], refusal: type[Refusal]):
        self.call().refuses(msgspec.structs.replace(LOG, **changes), AGENT, refusal)

    def test_the_duty_book_does_not_name_an_informant(self):
        became = msgspec.structs.replace(LOG, disposition=CallDisposition.ORDER, order=ORDER)
        named = msgspec.structs.replace(became, caller=Applicant(kind=ApplicantKind.PERSON, name="甲某"))
        report = {f"order:{ORDER}": working(confidentiality=Confidentiality.INFORMANT)}
        self.call().beside(report).refuses(named, AGENT, refusals.CallerProtected)
        self.call().beside(report).does(became, AGENT, CallLogged, Number)
        self.call().beside({f"order:{ORDER}": working()}).does(named, AGENT, CallLogged, Number)

    def test_a_call_is_rated_once_and_the_first_stands(self):  # T68
        rate = RateService(call_id="C1", score=5, via="ivr")
        rated = self.call("2025-06-01 10:00:05").does(rate, SYSTEM, ServiceRated)
        low = msgspec.structs.replace(rate, score=1)
        rated.at("2025-06-01 10:02").refuses(low, SYSTEM, refusals.AlreadyRated)
        assert [score for _, score in rated.state.ratings] == [5]

    def test_it_may_be_rated_before_it_is_logged(self):
        rated = self.call().does(RateService(call_id="C1", score=5, via="sms"), SYSTEM)
        assert rated.does(LOG, AGENT).state.ratings == rated.state.ratings

    def test_a_rating_or_complaint_belongs_to_the_stream_of_its_call(self):
        self.call().refuses(RateService(call_id="C2", score=5, via="ivr"), SYSTEM, refusals.NotForThisStream)
        self.call().refuses(FileServiceComplaint(call_id="C2", words="x"), AGENT, refusals.NotForThisStream)

    def test_a_complaint_is_judged_by_a_reviewer_other_than_whom_it_is_about(self):
        complain = FileServiceComplaint(call_id="C1", words="态度生硬")
        filed = self.call().does(LOG, AGENT).does(complain, AGENT, ServiceComplaintFiled)
        assert filed.state.complaints[0].about == AGENT.user
        verify = VerifyServiceComplaint(complaint=1, valid=True, finding="属实")
        own = msgspec.structs.replace(REVIEWER, user=AGENT.user)
        filed.refuses(verify, own, refusals.OwnService)
        judged = filed.does(verify, REVIEWER, ServiceComplaintVerified)
        assert judged.state.complaints[0].valid is True
        judged.refuses(verify, REVIEWER, refusals.AlreadyJudged)
        filed.refuses(msgspec.structs.replace(verify, complaint=2), REVIEWER, refusals.NoSuchComplaint)


# ── inquiries ───────────────────────────────────────────────────────────────────────────────────────────────────────

SUGGEST = FileInquiry(
    matter_kind=InquiryKind.DEPUTY_SUGGESTION, body=Body.NPC, title="关于路灯养护的建议", text="建议…"
)
ANSWER = AnswerInquiry(answer="答复…", letter=DIGEST, signed_by="市政府办公厅")


class TestInquiries:
    def inquiry(self, now: str = "2025-07-01 09:00") -> Stream:
        return Stream(inquiries.KIND, INQUIRY, now)

    def filed(self, **changes: Any) -> Stream:
        command = msgspec.structs.replace(SUGGEST, **changes)
        return self.inquiry().does(command, DEPUTY, OversightInquiryFiled, Number)

    @pytest.mark.parametrize(
        ("changes", "due"),
        [
            ({}, "2025-10-02 00:00"),  # three months: the first of October, its 24:00
            ({"difficult": True}, "2026-01-02 00:00"),
            ({"matter_kind": InquiryKind.LETTER}, None),
            ({"matter_kind": InquiryKind.LETTER, "limit": FIVE_DAYS}, "2025-07-09 00:00"),
        ],
    )
    def test_a_suggestion_is_answered_in_three_months_a_difficult_one_in_six(self, changes, due):
        clock = inquiry_clock(self.filed(**changes).state, law("S4-BEIJING"))
        assert clock is not None
        assert clock.due == (None if due is None else at(due))

    def test_the_answer_stops_its_clock_late_or_not(self):
        done = self.filed().at("2025-12-01 09:00").does(ANSWER, MANAGER, OversightInquiryAnswered, Number)
        clock = inquiry_clock(done.state, law("S4-BEIJING"))
        assert clock is not None
        assert clock.status(done.now) is Status.LATE
        done.refuses(ANSWER, MANAGER, refusals.AlreadyAnswered)

    def test_where_nothing_was_asked_no_clock_runs_and_nothing_is_answered(self):
        looked = self.inquiry().does(RecordQuery(query="overdue", cut_off=9, rows=3, suppressed=1), DEPUTY)
        assert inquiry_clock(looked.state, law("S4-BEIJING")) is None
        assert inquiry_clock(Inquiry(stream=INQUIRY), law("S4-BEIJING")) is None
        looked.refuses(ANSWER, MANAGER, refusals.NothingAsked)

    def test_the_stream_keeps_the_body_it_was_opened_by(self):
        looked = self.inquiry().does(RecordQuery(query="x", cut_off=9, rows=3, suppressed=1), MEMBER)
        assert looked.state.body is Body.CPPCC
        asked = self.inquiry().does(RequestMaskedDossier(order=ORDER, purpose="调研"), DEPUTY)
        assert asked.state.body is Body.NPC
        asked.refuses(RecordQuery(query="x", cut_off=9, rows=3, suppressed=1), MEMBER, refusals.RoleNotAllowed)
        kept = asked.after(
            OversightSubmissionSent(
                body=Body.CPPCC,
                period_from=date(2025, 1, 1),
                period_until=date(2025, 3, 31),
                content_hash=DIGEST,
                cut_off=1,
                template_version="1",
                recipients=("x",),
                medium=Medium.WRITTEN,
            )
        )
        assert kept.state.body is Body.NPC

    def test_each_body_asks_for_itself(self):
        self.inquiry().refuses(SUGGEST, MEMBER, refusals.RoleNotAllowed)
        self.inquiry().does(SUGGEST, MANAGER)
        self.filed().refuses(SUGGEST, DEPUTY, refusals.AlreadyFiled)
        past = msgspec.structs.replace(SUGGEST, limit=Limit(until=at("2025-06-01 00:00")))
        self.inquiry().refuses(past, DEPUTY, refusals.LimitInPast)

    def test_looking_up_is_recorded_with_the_overseers_body(self):
        command = RecordQuery(query="overdue_by_unit", cut_off=90, rows=12, suppressed=2, filters={"year": "2025"})
        decided = self.inquiry().decide(command, MEMBER)
        assert isinstance(decided[0], OversightQueryExecuted)
        assert decided[0].body is Body.CPPCC
        self.filed().refuses(command, MEMBER, refusals.RoleNotAllowed)

    def test_a_masked_dossier_is_released_or_refused_by_the_management(self):
        ask = RequestMaskedDossier(order=ORDER, purpose="调研")
        asked = self.inquiry().does(ask, DEPUTY, MaskedDossierRequested)
        release = ReleaseMaskedDossier(request=1, digest=DIGEST, receiver="市人大法工委")
        done = asked.does(release, MANAGER, MaskedDossierReleased, Number)
        assert done.state.dossiers[0].released
        done.refuses(release, MANAGER, refusals.NoSuchProposal)
        asked.does(RefuseMaskedDossier(request=1, words="举报件"), MANAGER, MaskedDossierRefused)
        asked.refuses(msgspec.structs.replace(release, request=2), MANAGER, refusals.NoSuchProposal)

    def test_a_submission_is_of_a_period_that_is_over_with_its_cut_off(self):
        send = SendSubmission(
            body=Body.NPC,
            period_from=date(2025, 4, 1),
            period_until=date(2025, 6, 30),
            content_hash=DIGEST,
            cut_off=100,
            template_version="1",
            recipients=("市人大常委会办公厅",),
            medium=Medium.WRITTEN,
        )
        self.inquiry().does(send, MANAGER, OversightSubmissionSent)
        running = msgspec.structs.replace(send, period_until=date(2025, 7, 1))
        self.inquiry().refuses(running, MANAGER, refusals.PeriodNotOver)
        self.inquiry("2025-06-30 23:59").refuses(send, MANAGER, refusals.PeriodNotOver)
        for changes, refusal in (
            ({"cut_off": 101}, refusals.CutOffAhead),
            ({"recipients": ()}, refusals.RecipientsMissing),
            ({"period_from": date(2025, 7, 1)}, refusals.IntervalEmpty),
        ):
            self.inquiry().refuses(msgspec.structs.replace(send, **changes), MANAGER, refusal)


# ── publications ────────────────────────────────────────────────────────────────────────────────────────────────────

JUNE = (date(2025, 6, 1), date(2025, 6, 30))
REPORT = PublishReport(
    report=ReportKind.ASSESSMENT,
    title="六月考评报告",
    period_from=JUNE[0],
    period_until=JUNE[1],
    cut_off=100,
    template_version="1",
    content_hash=DIGEST,
    prepared_by="h-analyst",
    recipients=("市政府绩效办",),
    privacy_class=PrivacyClass.GOVERNMENT,
)
COUNTS = ImportTelephonyStats(
    source="acd",
    day=date(2025, 6, 30),
    from_at=at("2025-06-30 00:00"),
    until=at("2025-06-30 12:00"),
    queued=100,
    answered=96,
    answered_in_15s=90,
    abandoned=4,
    abandoned_in_5s=1,
    abandoned_after_15s=2,
    rated=40,
)


class TestPublications:
    def report(self, now: str = "2025-07-01 09:00", command: PublishReport = REPORT) -> Stream:
        stream = report_stream(command.report, command.period_from, command.period_until, command.scope or "")
        return Stream(publications.KIND, stream, now)

    def test_a_period_is_published_once_with_its_cut_off_and_by_two_persons(self):
        out = self.report().does(REPORT, MANAGER, ReportPublished, Number)
        assert out.state.number == "2025-000007"
        out.refuses(REPORT, MANAGER, refusals.AlreadyPublished)
        own = msgspec.structs.replace(REPORT, prepared_by=MANAGER.user)
        self.report().refuses(own, MANAGER, refusals.SelfApproval)

    @pytest.mark.parametrize(
        ("changes", "refusal"),
        [
            ({"cut_off": 101}, refusals.CutOffAhead),
            ({"recipients": ()}, refusals.RecipientsMissing),
            ({"period_until": date(2025, 6, 29)}, refusals.NotForThisStream),
            ({"scope": "D"}, refusals.NotForThisStream),
        ],
    )
    def test_a_report_says_what_it_is_true_of(self, changes: dict[str, Any], refusal: type[Refusal]):
        self.report().refuses(msgspec.structs.replace(REPORT, **changes), MANAGER, refusal)

    def test_a_running_period_is_not_published(self):
        self.report("2025-07-01 00:00").refuses(REPORT, MANAGER, refusals.PeriodNotOver)
        self.report("2025-07-01 00:00:00.001").does(REPORT, MANAGER)

    def test_a_special_report_to_leaders_comes_when_it_is_needed(self):
        special = msgspec.structs.replace(
            REPORT, report=ReportKind.SPECIAL_INFO, period_until=date(2025, 7, 1), orders=(ORDER,)
        )
        somewhere = Stream(publications.KIND, f"publication:{UUID(int=3)}", "2025-07-01 09:00")
        somewhere.does(special, MANAGER, ReportPublished, Number)
        backwards = msgspec.structs.replace(special, period_until=date(2025, 5, 1))
        somewhere.refuses(backwards, MANAGER, refusals.IntervalEmpty)

    def test_what_was_pushed_is_recorded_and_a_failure_moves_nothing(self):
        day = date(2025, 7, 1)
        push = RecordPush(consumer="市住建局", day=day, from_position=1, to_position=50, events=9, digest=DIGEST)
        stream = Stream(publications.KIND, push_stream("市住建局", day), "2025-07-01 09:00")
        sent = stream.does(push, SYSTEM, DataPushed)
        failed = msgspec.structs.replace(push, from_position=51, to_position=80, failure="timeout")
        assert sent.does(failed, SYSTEM).state.pushed_to == 50
        stream.refuses(msgspec.structs.replace(push, to_position=101), SYSTEM, refusals.CutOffAhead)
        stream.refuses(msgspec.structs.replace(push, to_position=0), SYSTEM, refusals.IntervalEmpty)

    def test_a_push_belongs_to_the_stream_of_its_consumer_and_day(self):
        push = RecordPush(
            consumer="市住建局", day=date(2025, 7, 2), from_position=1, to_position=5, events=1, digest=DIGEST
        )
        stream = Stream(publications.KIND, push_stream("市住建局", date(2025, 7, 1)), "2025-07-01 09:00")
        stream.refuses(push, SYSTEM, refusals.NotForThisStream)

    def telephony(self) -> Stream:
        return Stream(publications.KIND, telephony_stream("acd", COUNTS.day), "2025-07-01 09:00")

    def test_the_counts_of_an_interval_are_taken_in_once_or_corrected(self):
        taken = self.telephony().does(COUNTS, SYSTEM, TelephonyStatsImported)
        taken.refuses(COUNTS, SYSTEM, refusals.AlreadyImported)
        fixed = taken.does(msgspec.structs.replace(COUNTS, replaces=True), SYSTEM)
        assert len(fixed.state.intervals) == 1
        overlapping = msgspec.structs.replace(COUNTS, from_at=at("2025-06-30 11:00"), until=at("2025-06-30 13:00"))
        taken.refuses(overlapping, SYSTEM, refusals.IntervalsOverlap)
        next_one = msgspec.structs.replace(COUNTS, from_at=at("2025-06-30 12:00"), until=at("2025-07-01 00:00"))
        assert len(taken.does(next_one, SYSTEM).state.intervals) == 2

    @pytest.mark.parametrize(
        ("changes", "refusal"),
        [
            ({"answered": 97}, refusals.CountsDisagree),
            ({"answered_in_15s": 97}, refusals.CountsDisagree),
            ({"abandoned_after_15s": 4}, refusals.CountsDisagree),
            ({"rated": 97}, refusals.CountsDisagree),
            ({"until": at("2025-06-30 00:00")}, refusals.IntervalEmpty),
            ({"until": at("2025-07-01 10:00")}, refusals.InstantAhead),
            ({"source": "other"}, refusals.NotForThisStream),
        ],
    )
    def test_counts_agree_with_themselves(self, changes: dict[str, Any], refusal: type[Refusal]):
        self.telephony().refuses(msgspec.structs.replace(COUNTS, **changes), SYSTEM, refusal)


class TestVerifications:
    COMMAND = RecordVerification(from_position=1, to_position=100, root=DIGEST, intact=True, method="huiyin verify 1")

    def test_what_a_verification_found_is_recorded(self):
        stream = Stream(publications.KIND, f"publication:{UUID(int=4)}", "2025-07-01 09:00")
        assert stream.does(self.COMMAND, AUDITOR, ChainVerified).state.verified_to == 100
        for changes, refusal in (
            ({"to_position": 101}, refusals.CutOffAhead),
            ({"from_position": 0}, refusals.IntervalEmpty),
            ({"intact": False}, refusals.ReasonMissing),
        ):
            stream.refuses(msgspec.structs.replace(self.COMMAND, **changes), AUDITOR, refusal)


# ── subjects ────────────────────────────────────────────────────────────────────────────────────────────────────────

ERASE = ProposeSubjectErasure(ground="applicant_request", basis=BASIS, orders=(ORDER,), found_at_position=99)
APPROVE = ApproveSubjectErasure(orders=(ORDER,))


def ended(keep: Any = "not_filed", period: Any = "") -> dict[str, Any]:
    archived = OrderArchived(keep=keep, period=period, basis=BASIS)
    order = given(working("S4-BEIJING")).after(OrderClosed(kind=ClosureKind.COMPLETED), archived).order
    return {f"order:{ORDER}": order}


class TestSubjects:
    def subject(self, others: Mapping[str, Any]) -> Stream:
        return Stream(subjects.KIND, subject_stream(PERSON), "2025-07-01 09:00").beside(others)

    def test_two_persons_destroy_a_subjects_keys(self):
        asked = self.subject(ended()).does(ERASE, AGENT, SubjectErasureProposed).beside(ended())
        decided = asked.decide(APPROVE, MANAGER)
        assert decided == [
            SubjectErased(ground="applicant_request", basis=BASIS, orders=(ORDER,)),
            Shred(subject=PERSON),
        ]
        erased = asked.does(APPROVE, MANAGER).beside(ended())
        erased.refuses(ERASE, AGENT, refusals.Erased)
        erased.refuses(RestrictSubject(basis=BASIS), MANAGER, refusals.Erased)

    def test_not_while_an_order_is_open_unknown_or_must_be_kept(self):
        self.subject({}).refuses(ERASE, AGENT, refusals.UnknownOrder)
        self.subject({f"order:{ORDER}": working("S4-BEIJING")}).refuses(ERASE, AGENT, refusals.WrongState)
        self.subject(ended("dossier", "D30")).refuses(ERASE, AGENT, refusals.RetentionRunning)
        asked = self.subject(ended()).does(ERASE, AGENT).beside(ended("dossier", "D30"))
        asked.refuses(APPROVE, MANAGER, refusals.RetentionRunning)

    def test_by_another_person_for_the_same_orders_once(self):
        asked = self.subject(ended()).does(ERASE, MANAGER).beside(ended())
        asked.refuses(APPROVE, MANAGER, refusals.SelfApproval)
        asked.refuses(ERASE, AGENT, refusals.AlreadyProposed)
        asked.refuses(ApproveSubjectErasure(orders=()), SUPERVISOR, refusals.DiffersFromProposed)
        refused = asked.does(RejectSubjectErasure(words="x"), SUPERVISOR, SubjectErasureRejected)
        refused.beside(ended()).refuses(APPROVE, SUPERVISOR, refusals.NoSuchProposal)

    def test_an_imported_erasure_folds_without_its_proposal(self):
        erased = self.subject({}).after(SubjectErased(ground="x", basis=BASIS, orders=()))
        assert erased.state.erased is not None
        restricted = self.subject({}).does(RestrictSubject(basis=BASIS), MANAGER)
        assert restricted.state.restricted is not None
        again = restricted.beside(ended()).does(ERASE, AGENT).after(SubjectRestricted(basis=BASIS))
        assert again.state.orders == (ORDER,)

    def test_restricting_is_what_is_left(self):
        asked = self.subject(ended()).does(ERASE, AGENT)
        kept = asked.does(RestrictSubject(basis=BASIS), MANAGER, SubjectRestricted)
        assert kept.state.proposed is None
        kept.refuses(RestrictSubject(basis=BASIS), MANAGER, refusals.NothingChanged)


# ── batches of the archives ─────────────────────────────────────────────────────────────────────────────────────────

PACKET = batches.HandOverPacket(
    packet="X043-RX·2026-D30-0001_0009",
    digest=DIGEST,
    inventory="sha256:" + "e" * 64,
    receiver="市档案馆",
    year=2026,
    period="D30",
    first=1,
    last=9,
    cases=8,
    pages=80,
    size=4096,
    left_out=(3,),
)
RECEIPT = batches.RecordPacketReceipt(
    receipt="接字第1号", received_by="接收科", received_on=date(2027, 3, 2), digest=DIGEST, cases=8
)


def sent(now: str = "2027-03-01 09:00") -> Stream:
    return Stream(batches.KIND, batches.handover_stream(DIGEST), now)


class TestHandedOver:
    def test_a_packet_goes_once_and_its_count_is_that_of_its_numbers(self):
        batch = sent().does(PACKET, ARCHIVIST, batches.PacketHandedOver, Number)
        assert batch.state.number.endswith("7")
        assert batches.state_of(batch.state) is batches.BatchState.SENT
        batch.refuses(PACKET, ARCHIVIST, refusals.AlreadyHandedOver)
        for wrong in ({"cases": 9}, {"left_out": (3, 3), "cases": 7}, {"left_out": (10,)}, {"cases": 0}):
            sent().refuses(msgspec.structs.replace(PACKET, **wrong), ARCHIVIST, refusals.PacketMiscounted)
        nothing = msgspec.structs.replace(PACKET, first=3, last=3, cases=0)
        sent().refuses(nothing, ARCHIVIST, refusals.PacketMiscounted)
        other = msgspec.structs.replace(PACKET, digest="sha256:" + "1" * 64)
        sent().refuses(other, ARCHIVIST, refusals.NotForThisStream)

    def test_a_receipt_is_for_what_was_handed_over_to_the_day_or_is_none(self):
        batch = sent().does(PACKET, ARCHIVIST).at("2027-03-03 09:00")
        two = (batches.RefusedPiece(file_number="2026-D30-0002", reason="附件缺失"),) * 2
        for wrong in (
            {"digest": "sha256:" + "0" * 64},
            {"cases": 9},
            {"received_on": date(2027, 2, 28)},
            {"received_on": date(2027, 3, 4)},
            {"refused": two},
        ):
            batch.refuses(msgspec.structs.replace(RECEIPT, **wrong), ARCHIVIST, refusals.ReceiptDiffers)
        for number in ("2026-D30-0003", "2026-D30-0010", "2025-D30-0002", "2026-D10-0002", "某号"):
            piece = batches.RefusedPiece(file_number=number, reason="x")
            batch.refuses(msgspec.structs.replace(RECEIPT, refused=(piece,)), ARCHIVIST, refusals.NotInPacket)
        received = batch.does(RECEIPT, ARCHIVIST, batches.PacketReceived)
        assert batches.state_of(received.state) is batches.BatchState.RECEIVED
        received.refuses(RECEIPT, ARCHIVIST, refusals.AlreadyReceived)

    def test_what_the_archives_did_not_take_is_named_with_the_reason(self):
        piece = batches.RefusedPiece(file_number="2026-D30-0002", reason="附件缺失")
        batch = sent().does(PACKET, ARCHIVIST).at("2027-03-03 09:00")
        batch = batch.does(msgspec.structs.replace(RECEIPT, refused=(piece,)), ARCHIVIST, batches.PacketReceived)
        assert batches.state_of(batch.state) is batches.BatchState.PARTLY
        assert (batch.state.why_refused("2026-D30-0002"), batch.state.why_refused("2026-D30-0001")) == ("附件缺失", "")

    def test_no_receipt_is_recorded_for_a_list_of_files_to_be_destroyed(self):
        proposed = batches.DisposalProposed(digest=DIGEST, orders=(UUID(int=1),), basis=BASIS)
        batch = Stream(batches.KIND, f"batch:{UUID(int=4)}", "2037-01-05 09:00").after(proposed, by=ARCHIVIST)
        batch.refuses(RECEIPT, ARCHIVIST, refusals.ReceiptDiffers)


class TestAListToBeDestroyed:
    def proposed(self) -> Stream:
        event = batches.DisposalProposed(digest=DIGEST, orders=(UUID(int=1),), basis=BASIS)
        stream = Stream(batches.KIND, f"batch:{UUID(int=4)}", "2037-01-05 09:00")
        return stream.after(event, by=ARCHIVIST, numbers={"disposal/2037": (3,)})

    def test_a_list_names_cases_once_and_not_too_many(self):
        stream = Stream(batches.KIND, f"batch:{UUID(int=4)}", "2037-01-05 09:00")
        for orders in ((), (UUID(int=1),) * 2, tuple(UUID(int=n) for n in range(batches.MOST_LISTED + 1))):
            command = batches.ProposeDisposal(digest=DIGEST, orders=orders, basis=BASIS)
            stream.refuses(command, ARCHIVIST, refusals.ListUnfit)
        unknown = batches.ProposeDisposal(digest=DIGEST, orders=(UUID(int=1),), basis=BASIS)
        stream.refuses(unknown, ARCHIVIST, refusals.UnknownOrder)
        self.proposed().refuses(unknown, ARCHIVIST, refusals.AlreadyProposed)

    def test_three_agree_each_in_one_role_and_none_of_them_proposed_it(self):
        agree, other = batches.AgreeDisposal(digest=DIGEST), batches.AgreeDisposal(digest="sha256:" + "0" * 64)
        stream = self.proposed()
        stream.refuses(other, MANAGER, refusals.DiffersFromProposed)
        stream.refuses(agree, msgspec.structs.replace(ARCHIVIST, role=Role.SUPERVISOR), refusals.SelfApproval)
        stream = stream.does(agree, MANAGER, batches.DisposalAgreed)
        stream.refuses(agree, msgspec.structs.replace(MANAGER, role=Role.LEADER), refusals.SelfApproval)
        stream.refuses(agree, msgspec.structs.replace(MANAGER, user="h-manager-2"), refusals.AlreadyAgreed)
        stream = stream.does(agree, LEADER, batches.DisposalAgreed)
        assert batches.state_of(stream.state) is batches.BatchState.PROPOSED
        stream = stream.does(agree, SUPERVISOR, batches.DisposalAgreed, batches.DisposalApproved)
        assert batches.state_of(stream.state) is batches.BatchState.APPROVED
        stream.refuses(agree, msgspec.structs.replace(SUPERVISOR, user="late"), refusals.NoSuchProposal)
        stream.refuses(batches.RejectDisposal(words="不"), LEADER, refusals.NoSuchProposal)

    def test_one_who_does_not_agree_ends_it(self):
        no = batches.RejectDisposal(words="请先会商。")
        stream = self.proposed().does(no, SUPERVISOR, batches.DisposalRejected)
        assert batches.state_of(stream.state) is batches.BatchState.REJECTED
        stream.refuses(batches.AgreeDisposal(digest=DIGEST), MANAGER, refusals.NoSuchProposal)
        handed = sent().does(PACKET, ARCHIVIST)
        handed.refuses(no, SUPERVISOR, refusals.NoSuchProposal)
