"""督办: who issues which notice about what, how it is served, answered, escalated and struck off."""

from datetime import date
from typing import Any

import msgspec
import pytest

from domain import institution, refusals
from domain.clocks import Status, clocks
from domain.journals import series
from domain.state import Extension, Instruction, Notice, Reply
from domain.steps.filing import ArchivePackageSealed, OrderArchived, OrderClosed, complete
from domain.steps.handling import ArriveSite
from domain.steps.oversight import (
    AcceptNoticeReply,
    ApproveSpecialReport,
    CloseNotice,
    DraftSpecialReport,
    EscalateNotice,
    IssueNotice,
    RejectNoticeReply,
    RejectSpecialReport,
    ReplyNotice,
    ServeNotice,
    SpecialReportApproved,
    SpecialReportDrafted,
    SpecialReportRejected,
    SupervisionClosed,
    SupervisionEscalated,
    SupervisionNoticeIssued,
    SupervisionNoticeServed,
    SupervisionNoticeWithdrawn,
    SupervisionReplyAccepted,
    SupervisionReplyRejected,
    SupervisionReplySubmitted,
    WithdrawNotice,
)
from domain.terms import (
    Actor,
    ClockName,
    ClosureKind,
    Confidentiality,
    Entry,
    Limit,
    LimitUnit,
    Mark,
    Medium,
    NoticeGround,
    NoticeKind,
    NoticeState,
    NoticeWithdrawal,
    Number,
    Outcome,
    Participant,
    Role,
    Urgency,
)
from domain.units import UnitSucceeded
from tests.given import (
    APPROVER,
    BASIS,
    COORDINATOR,
    HANDLER,
    LEADER,
    MANAGER,
    SUPERVISOR,
    SYSTEM,
    Case,
    approver,
    at,
    dispatched,
    given,
    registered,
    working,
)

THREE_DAYS = Limit(amount=3, unit=LimitUnit.WORKING_DAYS)


def issue(kind: NoticeKind, ground: NoticeGround = NoticeGround.OVERDUE, **said: Any) -> IssueNotice:
    return IssueNotice(**{"kind": kind, "ground": ground, "unit": "B", **said})


def overdue() -> Case:
    """General matter of S4, dispatched Mon 2025-06-16 09:00: 7 natural days end 06-23 24:00."""
    return given(working("S4-BEIJING")).at("2025-06-24 09:00")


ABOUT_HANDLE = issue(NoticeKind.SYSTEM, clock=ClockName.HANDLE)
WRITTEN = issue(NoticeKind.WRITTEN, clock=ClockName.HANDLE, limit=THREE_DAYS, facts="超期", demand="说明原因")
DATED = ReplyNotice(notice=1, cause="施工受阻", new_date=date(2025, 6, 30))


def written() -> Case:
    return overdue().does(WRITTEN, by=SUPERVISOR)


def noticed(case: Case, no: int = 1) -> Notice:
    return case.order.oversight.notices[no - 1]


class TestWhoIssuesWhat:
    ALLOWED = (
        (NoticeKind.REMINDER, {Role.SYSTEM, Role.SUPERVISOR}),
        (NoticeKind.SYSTEM, {Role.SYSTEM, Role.SUPERVISOR}),
        (NoticeKind.WRITTEN, {Role.SUPERVISOR}),
        (NoticeKind.SPECIAL, {Role.HOTLINE_MANAGER}),
        (NoticeKind.INSTRUCTION, {Role.SUPERVISOR}),
        (NoticeKind.ONSITE, {Role.HOTLINE_MANAGER}),
        (NoticeKind.SPECIAL_REPORT_DOWN, {Role.SUPERVISOR}),
        (NoticeKind.MEETING, {Role.HOTLINE_MANAGER, Role.COORDINATOR}),
    )

    @pytest.mark.parametrize(("kind", "allowed"), ALLOWED)
    def test_each_kind_has_its_issuers(self, kind: NoticeKind, allowed: set[Role]):
        command = issue(kind, NoticeGround.OTHER, limit=THREE_DAYS)
        for actor in (SYSTEM, SUPERVISOR, MANAGER, COORDINATOR):
            if actor.role not in allowed:
                overdue().when(command, by=actor).refused(refusals.NotThisIssuer)

    def test_a_circular_is_not_about_one_case(self):
        overdue().when(issue(NoticeKind.CIRCULAR), by=MANAGER).refused(refusals.NoticeKindNotHere)

    def test_units_and_reviewers_issue_nothing(self):
        overdue().when(ABOUT_HANDLE, by=APPROVER).refused(refusals.RoleNotAllowed)


class TestAboutWhat:
    def test_a_breach_is_supervised_with_the_packs_time_to_reply(self):
        case = (
            overdue()
            .when(ABOUT_HANDLE, by=SYSTEM)
            .then(
                SupervisionNoticeIssued(
                    kind=NoticeKind.SYSTEM,
                    ground=NoticeGround.OVERDUE,
                    unit="B",
                    clock=ClockName.HANDLE,
                    clock_key="e1",
                    episode=1,
                    limit=Limit(amount=1, unit=LimitUnit.WORKING_DAYS),
                    served_by_system=True,
                ),
                Number("supervision"),
            )
        )
        clock = case.clock(ClockName.SUPV_REPLY)
        assert (clock.key, clock.unit, clock.due) == ("n1.1", "B", at("2025-06-26 00:00"))

    def test_hour_classes_reply_within_hours(self):
        case = given(working("S4-BEIJING", urgency=Urgency.EMERGENCY_LIFE)).at("2025-06-16 11:30")
        case = case.does(ABOUT_HANDLE, by=SYSTEM)
        assert case.clock(ClockName.SUPV_REPLY).due == at("2025-06-16 13:30")

    def test_a_duty_that_is_not_late_is_not_supervised_as_late(self):
        on_time = given(working("S4-BEIJING")).at("2025-06-24 00:00")
        on_time.when(ABOUT_HANDLE, by=SYSTEM).refused(refusals.NotOverdue)

    def test_a_duty_done_late_may_still_be_supervised_and_one_done_in_time_not(self):
        def answered(when: str) -> Case:
            mark = Mark(at(when), 5)
            reply = Reply(
                no=1,
                round=1,
                episode=1,
                unit="B",
                submitted=mark,
                outcome=Outcome.RESOLVED,
                counted_informed=mark,
            )
            return overdue().having(replies=(reply,))

        answered("2025-06-24 00:00:00.001").when(ABOUT_HANDLE, by=SYSTEM).then()
        answered("2025-06-24 00:00").when(ABOUT_HANDLE, by=SYSTEM).refused(refusals.NotOverdue)

    def test_a_pending_extension_keeps_it_from_being_supervised(self):
        case = given(working("S0-CHUANYU", "2025-09-15 09:00")).at("2025-10-12 09:00")  # T25: due 10-11 24:00
        asked = Extension(no=1, unit="B", by="b", days=10, requested=Mark(at("2025-10-11 23:50"), 4))
        episode = msgspec.structs.replace(case.order.episodes[-1], extensions=(asked,))
        pending = case.having(episodes=(episode,))
        assert pending.clock(ClockName.HANDLE).status(pending.now) is Status.PENDING_EXTENSION
        pending.when(ABOUT_HANDLE, by=SYSTEM).refused(refusals.NotOverdue)
        case.when(ABOUT_HANDLE, by=SYSTEM).then()
        pending.at("2025-10-15 09:00").when(ABOUT_HANDLE, by=SYSTEM).then()  # undecided past A-16

    def test_a_reminder_is_for_a_duty_still_ahead_and_each_of_its_steps_is_sent_once(self):
        def remind(step: str) -> IssueNotice:
            ground = NoticeGround.FALLING_DUE
            return issue(NoticeKind.REMINDER, ground, clock=ClockName.HANDLE, reminder=step)

        case = given(working("S4-BEIJING")).at("2025-06-18 09:00").does(remind("3 working_days"), by=SYSTEM)
        assert (noticed(case).state, noticed(case).open, noticed(case).limit) == (NoticeState.CLOSED, False, None)
        case.when(remind("3 working_days"), by=SYSTEM).refused(refusals.NoticeAlreadyOpen)
        case.at("2025-06-20 09:00").when(remind("1 working_days"), by=SYSTEM).then()
        overdue().when(remind("due day 09:00"), by=SYSTEM).refused(refusals.NotFallingDue)

    def test_the_unit_is_who_answers_for_the_clock(self):
        for unit in ("B2", "E", "H"):
            command = msgspec.structs.replace(ABOUT_HANDLE, unit=unit)
            overdue().when(command, by=SYSTEM).refused(refusals.NotResponsible)
        unknown = msgspec.structs.replace(ABOUT_HANDLE, unit="X")
        overdue().when(unknown, by=SYSTEM).refused(refusals.UnknownUnit)

    def test_dispatching_late_is_the_hotlines_own(self):
        case = given(registered("S4-BEIJING")).at("2025-06-17 09:00")
        command = issue(NoticeKind.SYSTEM, clock=ClockName.DISPATCH, unit="H")
        case = case.does(command, by=SYSTEM)
        assert noticed(case).limit is None  # listed daily, no reply demanded (8.14)
        wrong = msgspec.structs.replace(command, unit="B")
        given(registered("S4-BEIJING")).at("2025-06-17 09:00").when(wrong, by=SYSTEM).refused(refusals.NotResponsible)

    def test_a_clock_must_exist(self):
        for clock, key in ((ClockName.WHISTLE, ""), (ClockName.HANDLE, "e7")):
            command = issue(NoticeKind.SYSTEM, clock=clock, clock_key=key)
            overdue().when(command, by=SYSTEM).refused(refusals.NoSuchClock)

    def test_without_a_clock_the_unit_must_have_a_duty_in_the_case(self):
        command = issue(NoticeKind.WRITTEN, NoticeGround.CARELESS_REPLY, limit=THREE_DAYS)
        overdue().when(command, by=SUPERVISOR).then()
        stranger = msgspec.structs.replace(command, unit="E")
        overdue().when(stranger, by=SUPERVISOR).refused(refusals.NotResponsible)
        onsite = issue(NoticeKind.ONSITE, NoticeGround.UNCLEAR_OWNERSHIP, unit="E", arrive_by=at("2025-06-24 15:00"))
        overdue().when(onsite, by=MANAGER).then()

    def test_the_heir_of_a_unit_bears_its_duties(self):
        case = overdue()
        succeeded = UnitSucceeded(from_units=("B",), to_units=("B2",), at=at("2025-06-20 00:00"), basis=BASIS)
        entry = Entry(
            event=succeeded,
            stream="institution",
            version=case.law.version + 1,
            position=1,
            recorded_at=at("2025-06-17 00:00"),
            actor=SYSTEM,
        )
        case.law = institution.evolve(case.law, entry)
        case.when(msgspec.structs.replace(ABOUT_HANDLE, unit="B2"), by=SYSTEM).then()
        careless = issue(NoticeKind.WRITTEN, NoticeGround.CARELESS_REPLY, limit=THREE_DAYS, unit="B2")
        told = case.does(careless, by=SUPERVISOR)
        told.when(DATED, by=approver("B2")).then(SupervisionReplySubmitted)
        case.when(ABOUT_HANDLE, by=SYSTEM).refused(refusals.UnitInactive)

    def test_one_open_notice_of_a_kind_about_a_duty(self):
        case = overdue().does(ABOUT_HANDLE, by=SYSTEM)
        case.when(ABOUT_HANDLE, by=SYSTEM).refused(refusals.NoticeAlreadyOpen)
        case.when(WRITTEN, by=SUPERVISOR).then()
        withdrawn = case.does(WithdrawNotice(notice=1, reason=NoticeWithdrawal.OUTAGE), by=SYSTEM)
        withdrawn.when(ABOUT_HANDLE, by=SYSTEM).then()

    def test_without_a_clock_the_ground_tells_notices_apart(self):
        careless = issue(NoticeKind.WRITTEN, NoticeGround.CARELESS_REPLY, limit=THREE_DAYS)
        case = overdue().does(careless, by=SUPERVISOR)
        case.when(careless, by=SUPERVISOR).refused(refusals.NoticeAlreadyOpen)
        case.when(issue(NoticeKind.WRITTEN, NoticeGround.PREVARICATION, limit=THREE_DAYS), by=SUPERVISOR).then()

    def test_a_notice_never_changes_the_clock_it_is_about(self):
        before, after = overdue(), written()
        assert before.clock(ClockName.HANDLE) == after.clock(ClockName.HANDLE)

    def test_a_sealed_file_takes_no_notice(self):
        archived = OrderArchived(keep="dossier", period="D30", basis=BASIS)
        case = overdue().after(OrderClosed(kind=ClosureKind.COMPLETED), archived)
        case.when(ABOUT_HANDLE, by=SYSTEM).then()
        case.after(ArchivePackageSealed(verified_to=1)).when(ABOUT_HANDLE, by=SYSTEM).refused(refusals.OrderSealed)


class TestWhatEachKindCarries:
    def test_written_supervision_states_its_limit(self):
        bare = msgspec.structs.replace(WRITTEN, limit=None)
        overdue().when(bare, by=SUPERVISOR).refused(refusals.LimitRequired)
        past = msgspec.structs.replace(WRITTEN, limit=Limit(until=at("2025-06-24 08:00")))
        overdue().when(past, by=SUPERVISOR).refused(refusals.LimitInPast)

    def test_on_site_supervision_states_when_to_come(self):  # T71
        command = issue(NoticeKind.ONSITE, NoticeGround.DIFFICULT, place="河滨路口")
        case = overdue()
        case.when(command, by=MANAGER).refused(refusals.LimitRequired)
        for when, right in (("2025-06-24 08:59", False), ("2025-06-24 15:00", True)):
            dated = msgspec.structs.replace(command, arrive_by=at(when))
            asked = case.when(dated, by=MANAGER)
            asked.then() if right else asked.refused(refusals.LimitInPast)

    def test_twenty_minutes_late_at_the_site_is_a_breach_and_goes_to_a_circular(self):  # T71
        arrive_by = at("2025-06-24 15:00")
        command = issue(NoticeKind.ONSITE, NoticeGround.DIFFICULT, arrive_by=arrive_by)
        case = overdue().does(command, by=MANAGER).at("2025-06-24 15:20")
        case = case.does(ArriveSite(notice=1, place="河滨路口"), by=HANDLER)
        clock = case.clock(ClockName.ARRIVE_SITE)
        assert clock.late_by(case.now) == at("2025-06-24 15:20") - arrive_by
        step = EscalateNotice(notice=1, to=NoticeKind.CIRCULAR)
        case.when(step, by=MANAGER).then(SupervisionEscalated)

    def test_news_media_come_to_an_open_case_with_a_summary_for_them(self):
        command = issue(
            NoticeKind.ONSITE,
            NoticeGround.HOT_ISSUE,
            arrive_by=at("2025-06-24 15:00"),
            participants=(Participant.ORGANIZER, Participant.MEDIA),
        )
        overdue().when(command, by=MANAGER).refused(refusals.PressSummaryMissing)
        told = msgspec.structs.replace(command, press_summary="某路段路灯不亮")
        overdue().when(told, by=MANAGER).then()
        secret = overdue().having(confidentiality=Confidentiality.INFORMANT)
        secret.when(told, by=MANAGER).refused(refusals.MediaNotAdmitted)

    def test_supervision_by_instruction_cites_one_and_takes_its_limit(self):
        command = issue(NoticeKind.INSTRUCTION, NoticeGround.INSTRUCTION, instruction=1)
        overdue().when(command, by=SUPERVISOR).refused(refusals.InstructionMissing)
        told = Instruction(no=1, recorded=Mark(at("2025-06-20 09:00"), 4), unit="B", limit=THREE_DAYS)
        case = overdue()
        seen = msgspec.structs.replace(case.order.oversight, instructions=(told,))
        case = case.having(oversight=seen).does(command, by=SUPERVISOR)
        assert noticed(case).limit == THREE_DAYS
        unlimited = msgspec.structs.replace(seen, instructions=(msgspec.structs.replace(told, limit=None),))
        overdue().having(oversight=unlimited).when(command, by=SUPERVISOR).refused(refusals.LimitRequired)

    def test_reminders_and_papers_have_their_own_series(self):
        def of(case: Case, command: IssueNotice, by: Actor) -> str:
            wish = case.when(command, by=by).decide()[-1]
            assert isinstance(wish, Number)
            return f"{wish.journal}/{series(wish, case.now)}"

        remind = issue(NoticeKind.REMINDER, NoticeGround.EXT_NOT_INFORMED)
        assert of(overdue(), remind, SYSTEM) == "urging/2025"
        assert of(overdue(), WRITTEN, SUPERVISOR) == "supervision/2025"
        assert noticed(written()).number == "2025-000001"


class TestSpecialReports:
    DRAFT = DraftSpecialReport(
        unit="E", ground=NoticeGround.FUNCTIONAL_GAP, limit=THREE_DAYS, facts="职能空白", demand="明确牵头"
    )
    ISSUE = issue(
        NoticeKind.SPECIAL_REPORT_DOWN,
        NoticeGround.FUNCTIONAL_GAP,
        unit="E",
        limit=THREE_DAYS,
        special_report=1,
    )

    def drafted(self) -> Case:
        return overdue().when(self.DRAFT, by=SUPERVISOR).then(SpecialReportDrafted)

    def test_a_leader_approves_before_it_is_issued_once(self):
        case = self.drafted()
        case.when(self.ISSUE, by=SUPERVISOR).refused(refusals.NotApproved)
        case = case.when(ApproveSpecialReport(special_report=1), by=LEADER).then(SpecialReportApproved)
        case = case.does(self.ISSUE, by=SUPERVISOR)
        assert noticed(case).number == "2025-000001"
        case.when(self.ISSUE, by=SUPERVISOR).refused(refusals.NoticeAlreadyOpen)

    def test_it_says_what_was_approved(self):
        case = self.drafted().does(ApproveSpecialReport(special_report=1), by=LEADER)
        other = msgspec.structs.replace(self.ISSUE, unit="B")
        case.when(other, by=SUPERVISOR).refused(refusals.DiffersFromApproved)
        none = msgspec.structs.replace(self.ISSUE, special_report=None)
        case.when(none, by=SUPERVISOR).refused(refusals.NotApproved)

    def test_one_that_ended_is_not_issued_again(self):
        case = self.drafted().does(ApproveSpecialReport(special_report=1), by=LEADER).does(self.ISSUE, by=SUPERVISOR)
        case = case.does(WithdrawNotice(notice=1, reason=NoticeWithdrawal.OUTAGE), by=SUPERVISOR)
        case.when(self.ISSUE, by=SUPERVISOR).refused(refusals.NoticeAlreadyOpen)
        unknown = msgspec.structs.replace(self.ISSUE, special_report=2)
        case.when(unknown, by=SUPERVISOR).refused(refusals.NotApproved)

    def test_it_is_drafted_to_a_unit_that_exists_about_a_case_that_is_not_sealed(self):
        nowhere = msgspec.structs.replace(self.DRAFT, unit="X")
        overdue().when(nowhere, by=SUPERVISOR).refused(refusals.UnknownUnit)
        archived = OrderArchived(keep="dossier", period="D30", basis=BASIS)
        sealed = overdue().after(OrderClosed(kind=ClosureKind.COMPLETED), archived, ArchivePackageSealed(verified_to=1))
        sealed.when(self.DRAFT, by=SUPERVISOR).refused(refusals.OrderSealed)

    def test_who_drafted_does_not_approve_and_a_rejected_draft_is_not_issued(self):
        same = msgspec.structs.replace(LEADER, user=SUPERVISOR.user)
        self.drafted().when(ApproveSpecialReport(special_report=1), by=same).refused(refusals.SelfApproval)
        rejection = RejectSpecialReport(special_report=1, words="可协调")
        case = self.drafted().when(rejection, by=LEADER).then(SpecialReportRejected)
        case.when(self.ISSUE, by=SUPERVISOR).refused(refusals.NotApproved)
        case.when(ApproveSpecialReport(special_report=1), by=LEADER).refused(refusals.NoSuchProposal)
        past = msgspec.structs.replace(self.DRAFT, limit=Limit(until=at("2025-06-01 00:00")))
        overdue().when(past, by=SUPERVISOR).refused(refusals.LimitInPast)


class TestServing:
    def on_paper(self) -> Case:
        return overdue().does(msgspec.structs.replace(WRITTEN, on_paper=True), by=SUPERVISOR)

    def test_the_time_to_reply_begins_when_it_is_served(self):
        case = self.on_paper()
        assert case.no_clock(ClockName.SUPV_REPLY)
        serve = ServeNotice(notice=1, medium=Medium.PHONE, person="王科长")
        case = case.at("2025-06-25 09:00").when(serve, by=SUPERVISOR).then(SupervisionNoticeServed)
        assert case.clock(ClockName.SUPV_REPLY).due == at("2025-07-01 00:00")
        case.when(serve, by=SUPERVISOR).refused(refusals.AlreadyServed)

    def test_by_phone_with_the_name_of_the_person_told(self):
        for person in (None, " "):
            serve = ServeNotice(notice=1, medium=Medium.PHONE, person=person)
            self.on_paper().when(serve, by=SUPERVISOR).refused(refusals.PersonMissing)

    LOST = ServeNotice(notice=1, medium=Medium.PHONE, person="王科长", undelivered="单位系统退回")

    def test_what_did_not_arrive_by_the_system_is_told_by_phone_and_the_time_begins_then(self):
        case = written().at("2025-06-25 09:00")
        case.when(msgspec.structs.replace(self.LOST, undelivered=" "), by=SUPERVISOR).refused(refusals.AlreadyServed)
        told = case.when(self.LOST, by=SUPERVISOR).then(SupervisionNoticeServed)
        assert told.clock(ClockName.SUPV_REPLY).start.at == at("2025-06-25 09:00")
        assert told.clock(ClockName.SUPV_REPLY).due == at("2025-07-01 00:00")
        told.when(self.LOST, by=SUPERVISOR).refused(refusals.AlreadyServed)
        case.does(DATED, by=APPROVER).when(self.LOST, by=SUPERVISOR).refused(refusals.AlreadyServed)
        paper = self.on_paper().does(self.LOST, by=SUPERVISOR)
        assert noticed(paper).served is not None
        paper.when(self.LOST, by=SUPERVISOR).refused(refusals.AlreadyServed)

    def test_a_notice_sent_back_that_did_not_arrive_is_told_by_phone_too(self):
        back = RejectNoticeReply(notice=1, requirements="补充")
        case = written().at("2025-06-25 09:00").does(DATED, by=APPROVER).does(back, by=SUPERVISOR)
        told = case.at("2025-06-26 09:00").does(self.LOST, by=SUPERVISOR)
        found = {c.key: c for c in clocks(told.order, told.law) if c.name is ClockName.SUPV_REPLY}
        assert found["n1.1"].start.at == at("2025-06-24 09:00")  # the first turn stays as it was answered
        assert found["n1.2"].start.at == at("2025-06-26 09:00")

    def test_while_a_units_system_is_down_sending_is_no_service_but_of_a_reminder(self):
        down = institution.OutageDeclared(
            proposal=0,
            from_at=at("2025-06-24 08:00"),
            until=at("2025-06-24 12:00"),
            scope=institution.OutageScope.UNITS,
            units=("D",),  # and so of those below it
            basis=BASIS,
        )
        case = overdue()
        entry = Entry(
            event=down,
            stream="institution",
            version=900,
            position=900,
            recorded_at=at("2025-06-24 08:30"),
            actor=SYSTEM,
        )
        case.law = institution.evolve(case.law, entry)
        sent = case.does(WRITTEN, by=SUPERVISOR)
        assert noticed(sent).served is None
        assert sent.no_clock(ClockName.SUPV_REPLY)
        reminded = case.does(issue(NoticeKind.REMINDER, NoticeGround.EXT_NOT_INFORMED), by=SUPERVISOR)
        assert noticed(reminded).served is not None
        up = case.at("2025-06-24 12:00").does(WRITTEN, by=SUPERVISOR)
        assert noticed(up).served is not None

    def test_a_reminder_is_over_once_it_is_served(self):
        remind = issue(NoticeKind.REMINDER, NoticeGround.EXT_NOT_INFORMED, on_paper=True)
        case = overdue().does(remind, by=SUPERVISOR)
        assert noticed(case).open
        case = case.does(ServeNotice(notice=1, medium=Medium.WRITTEN), by=SUPERVISOR)
        assert not noticed(case).open


class TestReplying:
    def test_the_unit_replies_once_late_or_not(self):
        case = written().at("2025-09-01 09:00").when(DATED, by=APPROVER).then(SupervisionReplySubmitted)
        assert case.clock(ClockName.SUPV_REPLY).status(case.now) is Status.LATE
        case.when(DATED, by=APPROVER).refused(refusals.AlreadyReplied)

    def test_only_the_noticed_unit_replies(self):
        for who in (approver("B2"), MANAGER):
            written().when(DATED, by=who).refused(refusals.NotYourUnit)
        case = given(registered("S4-BEIJING")).at("2025-06-17 09:00")
        case = case.does(issue(NoticeKind.SYSTEM, clock=ClockName.DISPATCH, unit="H"), by=SYSTEM)
        case.when(DATED, by=MANAGER).then(SupervisionReplySubmitted)

    def test_about_a_duty_still_undone_it_says_by_when(self):
        case = overdue().does(ABOUT_HANDLE, by=SYSTEM)
        undated = msgspec.structs.replace(DATED, new_date=None)
        case.when(undated, by=APPROVER).refused(refusals.NewDateMissing)
        case.when(DATED, by=APPROVER).then()
        written().when(undated, by=APPROVER).then()

    def test_who_replies_has_been_served(self):
        case = overdue().does(msgspec.structs.replace(WRITTEN, on_paper=True), by=SUPERVISOR)
        case = case.does(DATED, by=APPROVER)
        assert noticed(case).served == noticed(case).replied

    def test_a_notice_that_does_not_exist_or_is_over_takes_no_reply(self):
        overdue().when(DATED, by=APPROVER).refused(refusals.NoSuchNotice)
        case = written().does(WithdrawNotice(notice=1, reason=NoticeWithdrawal.OUTAGE), by=SUPERVISOR)
        case.when(DATED, by=APPROVER).refused(refusals.NoticeOver)


class TestJudgingTheReply:
    def replied(self) -> Case:
        return written().at("2025-06-25 09:00").does(DATED, by=APPROVER)

    def test_accepted_it_can_be_struck_off(self):
        written().when(AcceptNoticeReply(notice=1), by=SUPERVISOR).refused(refusals.NothingReplied)
        written().when(CloseNotice(notice=1), by=SUPERVISOR).refused(refusals.NoticeUnanswered)
        case = self.replied().when(AcceptNoticeReply(notice=1), by=SUPERVISOR).then(SupervisionReplyAccepted)
        case.when(RejectNoticeReply(notice=1, requirements="x"), by=SUPERVISOR).refused(refusals.NothingReplied)
        case = case.when(CloseNotice(notice=1), by=SYSTEM).then(SupervisionClosed)
        assert (noticed(case).state, noticed(case).open) == (NoticeState.CLOSED, False)

    def test_rejected_it_is_issued_again_with_the_full_time(self):
        reject = RejectNoticeReply(notice=1, requirements="补充原因")
        case = self.replied().at("2025-06-26 09:00").when(reject, by=SUPERVISOR).then(SupervisionReplyRejected, Number)
        assert (noticed(case).turn, noticed(case).state) == (2, NoticeState.SERVED)
        first, second = (case.clock(ClockName.SUPV_REPLY, key) for key in ("n1.1", "n1.2"))
        assert first.stop is not None
        assert second.due == at("2025-07-02 00:00")
        case.when(DATED, by=APPROVER).then(SupervisionReplySubmitted)

    def test_a_written_instant_is_not_given_twice(self):
        until = Limit(until=at("2025-06-26 00:00"))
        case = overdue().does(msgspec.structs.replace(WRITTEN, limit=until), by=SUPERVISOR).does(DATED, by=APPROVER)
        reject = RejectNoticeReply(notice=1, requirements="x")
        case.at("2025-06-27 09:00").when(reject, by=SUPERVISOR).refused(refusals.LimitInPast)
        again = msgspec.structs.replace(reject, limit=THREE_DAYS)
        case.at("2025-06-27 09:00").when(again, by=SUPERVISOR).then(SupervisionReplyRejected, Number)

    def test_without_a_limit_there_is_nothing_to_give_again(self):
        case = given(registered("S4-BEIJING")).at("2025-06-17 09:00")
        case = case.does(issue(NoticeKind.SYSTEM, clock=ClockName.DISPATCH, unit="H"), by=SYSTEM)
        case = case.does(DATED, by=MANAGER)
        case.when(RejectNoticeReply(notice=1, requirements="x"), by=SUPERVISOR).refused(refusals.LimitRequired)

    def test_who_replied_does_not_judge(self):
        same = msgspec.structs.replace(SUPERVISOR, user=APPROVER.user)
        self.replied().when(AcceptNoticeReply(notice=1), by=same).refused(refusals.SelfApproval)


class TestEscalating:
    UP = EscalateNotice(notice=1, to=NoticeKind.WRITTEN, limit=THREE_DAYS, facts="未回复")

    def ignored(self) -> Case:
        return overdue().does(ABOUT_HANDLE, by=SYSTEM).at("2025-06-26 00:00:00.001")

    def test_an_ignored_notice_leads_to_the_next_kind_in_one_commit(self):
        case = self.ignored().when(self.UP, by=SUPERVISOR)
        case = case.then(SupervisionEscalated, SupervisionNoticeIssued, Number)
        old, new = case.order.oversight.notices
        assert (old.state, old.escalated_to, old.open) == (NoticeState.ESCALATED, 2, False)
        assert (new.kind, new.clock, new.clock_key, new.unit) == (NoticeKind.WRITTEN, ClockName.HANDLE, "e1", "B")
        assert case.clock(ClockName.SUPV_REPLY, "n1.1").status(case.now) is Status.CANCELLED_LATE

    def test_not_before_its_time_and_not_past_a_step(self):
        overdue().does(ABOUT_HANDLE, by=SYSTEM).at("2025-06-26 00:00").when(self.UP, by=SUPERVISOR).refused(
            refusals.NotIgnored
        )
        far = msgspec.structs.replace(self.UP, to=NoticeKind.CIRCULAR)
        self.ignored().when(far, by=MANAGER).refused(refusals.StepSkipped)

    def test_what_was_not_served_was_not_ignored(self):
        case = overdue().does(msgspec.structs.replace(ABOUT_HANDLE, on_paper=True), by=SUPERVISOR)
        case.at("2025-08-01 09:00").when(self.UP, by=SUPERVISOR).refused(refusals.NotIgnored)

    def test_a_unit_that_does_not_cooperate_is_escalated_by_judgement_with_the_facts(self):
        case = overdue().does(ABOUT_HANDLE, by=SYSTEM)
        judged = msgspec.structs.replace(self.UP, ground=NoticeGround.NOT_COOPERATING)
        case.when(judged, by=SUPERVISOR).then(SupervisionEscalated, SupervisionNoticeIssued, Number)
        bare = msgspec.structs.replace(judged, facts=None)
        case.when(bare, by=SUPERVISOR).refused(refusals.NotIgnored)

    def test_to_a_circular_by_the_management_only(self):
        case = written().at("2025-07-01 09:00")
        circular = EscalateNotice(notice=1, to=NoticeKind.CIRCULAR)
        case.when(circular, by=SUPERVISOR).refused(refusals.NotHotlineManager)
        case.when(circular, by=MANAGER).then(SupervisionEscalated)

    def test_the_next_kind_keeps_its_issuer(self):
        special = EscalateNotice(notice=1, to=NoticeKind.SPECIAL, limit=THREE_DAYS)
        case = written().at("2025-07-01 09:00")
        case.when(special, by=SUPERVISOR).refused(refusals.NotThisIssuer)
        case.when(special, by=MANAGER).then(SupervisionEscalated, SupervisionNoticeIssued, Number)


class TestEnding:
    def test_withdrawn_by_mistake_with_words_and_never_by_the_timer(self):
        mistaken = WithdrawNotice(notice=1, reason=NoticeWithdrawal.ISSUED_IN_ERROR)
        written().when(mistaken, by=SUPERVISOR).refused(refusals.ReasonMissing)
        worded = msgspec.structs.replace(mistaken, words="误发")
        written().when(worded, by=SYSTEM).refused(refusals.ReasonMissing)
        written().when(worded, by=SUPERVISOR).then(SupervisionNoticeWithdrawn)
        revised = WithdrawNotice(notice=1, reason=NoticeWithdrawal.CALENDAR_REVISED)
        written().when(revised, by=SYSTEM).then(SupervisionNoticeWithdrawn)

    def test_on_site_needs_the_record_of_the_site(self):
        command = issue(NoticeKind.ONSITE, NoticeGround.DIFFICULT, arrive_by=at("2025-06-24 15:00"))
        case = overdue().does(command, by=MANAGER)
        case.when(CloseNotice(notice=1), by=MANAGER).refused(refusals.NoticeUnanswered)
        done = msgspec.structs.replace(noticed(case), site_recorded=Mark(case.now, 9))
        seen = msgspec.structs.replace(case.order.oversight, notices=(done,))
        case.having(oversight=seen).when(CloseNotice(notice=1), by=MANAGER).then(SupervisionClosed)

    def test_an_instruction_is_reported_back_first(self):
        told = Instruction(no=1, recorded=Mark(at("2025-06-20 09:00"), 4), unit="B", limit=THREE_DAYS)
        case = overdue()
        seen = msgspec.structs.replace(case.order.oversight, instructions=(told,))
        command = issue(NoticeKind.INSTRUCTION, NoticeGround.INSTRUCTION, instruction=1)
        case = case.having(oversight=seen).does(command, by=SUPERVISOR).does(DATED, by=APPROVER)
        case = case.does(AcceptNoticeReply(notice=1), by=SUPERVISOR)
        case.when(CloseNotice(notice=1), by=SUPERVISOR).refused(refusals.NoticeUnanswered)

    def test_the_timer_strikes_off_what_was_satisfied_by_acting(self):
        case = given(registered("S4-BEIJING")).at("2025-06-17 09:00")
        case = case.does(issue(NoticeKind.SYSTEM, clock=ClockName.DISPATCH, unit="H"), by=SYSTEM)
        case.when(CloseNotice(notice=1), by=SYSTEM).refused(refusals.NoticeUnanswered)
        waits = dispatched("S4-BEIJING").waits
        case.having(waits=waits).when(CloseNotice(notice=1), by=SYSTEM).then(SupervisionClosed)

    def test_an_open_notice_keeps_the_file_open(self):
        case = written()
        assert "notice 1" in complete(case.order, case.law)


def test_every_event_folds_onto_an_order_that_lacks_the_notice():
    orphans = (
        SupervisionNoticeServed(notice=3, medium=Medium.PHONE),
        SupervisionReplySubmitted(notice=3, cause="x"),
        SupervisionReplyAccepted(notice=3),
        SupervisionReplyRejected(notice=3, requirements="x", limit=THREE_DAYS),
        SupervisionEscalated(notice=3, to=NoticeKind.CIRCULAR, ground=NoticeGround.OTHER),
        SupervisionNoticeWithdrawn(notice=3, reason=NoticeWithdrawal.OUTAGE),
        SupervisionClosed(notice=3),
        SpecialReportApproved(special_report=2),
        SpecialReportRejected(special_report=2, words="x"),
    )
    assert given(registered()).after(*orphans).order.oversight.notices == ()
