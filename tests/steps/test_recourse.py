"""Leaders' instructions, referral for accountability, appeals against published figures."""

from datetime import date
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain import refusals
from domain.matters.publications import Publication
from domain.steps.filing import ArchivePackageSealed, OrderArchived, OrderClosed, complete
from domain.steps.recourse import (
    AccountabilityReferred,
    AppealDecided,
    AppealFiled,
    DecideAppeal,
    FileAppeal,
    InstructionReported,
    LeadershipInstructionRecorded,
    LeadershipInstructionRequested,
    RecordInstruction,
    ReferAccountability,
    ReportInstruction,
    RequestInstruction,
)
from domain.terms import AppealGround, CitedText, ClockName, ClosureKind, Limit, LimitUnit, Mark, NoticeGround, Number
from tests.given import APPROVER, BASIS, LEADER, MANAGER, SUPERVISOR, Case, approver, at, given, registered, working

ASK = RequestInstruction(leader="分管副市长", summary="多部门职责交叉")
WORDS = CitedText(dated=date(2025, 6, 18), words="请住建局牵头, 三日内报告")
GIVE = RecordInstruction(
    giver="分管副市长", text=WORDS, request=1, unit="B", limit=Limit(amount=3, unit=LimitUnit.WORKING_DAYS)
)
REPORT = ReportInstruction(instruction=1, report="已办结")


def case() -> Case:
    return given(working("S4-BEIJING")).at("2025-06-18 09:00")


class TestInstructions:
    def test_asked_for_recorded_and_reported_back(self):
        asked = case().when(ASK, by=MANAGER).then(LeadershipInstructionRequested, Number("instruction_request"))
        assert asked.order.oversight.instructions[0].number == "2025-000001"
        told = asked.when(GIVE, by=LEADER).then(LeadershipInstructionRecorded)
        assert told.clock(ClockName.INSTRUCTION).due == at("2025-06-24 00:00")
        assert "instruction 1" in complete(told.order, told.law)
        done = told.at("2025-06-20 09:00").when(REPORT, by=APPROVER).then(InstructionReported)
        assert done.clock(ClockName.INSTRUCTION).stop is not None
        done.when(REPORT, by=APPROVER).refused(refusals.AlreadyReported)

    def test_one_may_come_unasked(self):
        unasked = msgspec.structs.replace(GIVE, request=None)
        told = case().does(unasked, by=SUPERVISOR)
        assert told.order.oversight.instructions[0].requested is None

    def test_a_request_is_answered_once_and_must_exist(self):
        case().when(GIVE, by=LEADER).refused(refusals.NoSuchInstruction)
        told = case().does(ASK, by=MANAGER).does(GIVE, by=LEADER)
        told.when(GIVE, by=LEADER).refused(refusals.NoSuchInstruction)

    @pytest.mark.parametrize(
        "text",
        [CitedText(words="x"), CitedText(dated=date(2025, 6, 18)), CitedText(dated=date(2025, 6, 18), words=" ")],
    )
    def test_it_is_recorded_verbatim_with_its_date(self, text: CitedText):
        unsaid = msgspec.structs.replace(GIVE, request=None, text=text)
        case().when(unsaid, by=LEADER).refused(refusals.InstructionTextMissing)

    def test_the_unit_it_addresses_or_the_hotline_reports(self):
        told = case().does(ASK, by=MANAGER).does(GIVE, by=LEADER)
        told.when(REPORT, by=approver("E")).refused(refusals.NotYourUnit)
        told.when(REPORT, by=SUPERVISOR).then(InstructionReported)
        case().when(REPORT, by=SUPERVISOR).refused(refusals.NoSuchInstruction)
        case().does(ASK, by=MANAGER).when(REPORT, by=SUPERVISOR).refused(refusals.NoSuchInstruction)
        nowhere = msgspec.structs.replace(GIVE, request=None, unit="X")
        case().when(nowhere, by=LEADER).refused(refusals.UnknownUnit)

    def test_a_sealed_file_takes_no_instruction(self):
        archived = OrderArchived(keep="dossier", period="D30", basis=BASIS)
        sealed = case().after(OrderClosed(kind=ClosureKind.COMPLETED), archived, ArchivePackageSealed(verified_to=1))
        sealed.when(ASK, by=MANAGER).refused(refusals.OrderSealed)
        unasked = msgspec.structs.replace(GIVE, request=None)
        sealed.when(unasked, by=LEADER).refused(refusals.OrderSealed)


class TestReferral:
    COMMAND = ReferAccountability(
        unit="B", to="市纪委监委", ground=NoticeGround.NOT_COOPERATING, facts="多次不回复", bundle="sha256:" + "b" * 64
    )

    def test_the_evidence_goes_with_a_numbered_letter(self):
        done = case().when(self.COMMAND, by=MANAGER).then(AccountabilityReferred, Number("referral"))
        assert done.order.oversight.referred is not None

    def test_about_a_unit_with_a_duty_in_the_case_and_notices_that_exist(self):
        stranger = msgspec.structs.replace(self.COMMAND, unit="E")
        case().when(stranger, by=MANAGER).refused(refusals.NotResponsible)
        citing = msgspec.structs.replace(self.COMMAND, notices=(1,))
        case().when(citing, by=MANAGER).refused(refusals.NoSuchNotice)


class TestAppeals:
    FILE = FileAppeal(
        indicator="I9",
        ground=AppealGround.WRONG_EVALUATION,
        published_at=at("2025-07-01 09:00"),
        issuer=MANAGER.user,
        words="评价对象有误",
    )

    def filed(self, when: str = "2025-07-08 23:00", **said: Any) -> Case:
        return case().at(when).when(msgspec.structs.replace(self.FILE, **said), by=APPROVER).then(AppealFiled)

    def test_five_working_days_from_publication_and_late_ones_are_marked(self):
        in_time = self.filed("2025-07-09 00:00")  # 07-02, 03, 04, 07, 08 24:00
        assert in_time.clock(ClockName.APPEAL).due == at("2025-07-09 00:00")
        for when, late in (("2025-07-09 00:00", False), ("2025-07-09 00:00:00.001", True)):
            decided = case().at(when).when(self.FILE, by=APPROVER).decide()[0]
            assert isinstance(decided, AppealFiled)
            assert decided.late is late

    def test_decided_within_five_working_days_by_neither_issuer_nor_appellant(self):
        filed = self.filed()
        assert filed.clock(ClockName.APPEAL_DECISION).due == at("2025-07-16 00:00")
        uphold = DecideAppeal(appeal=1, upheld=True, words="评价误记", exclusion="I9")
        filed.when(uphold, by=MANAGER).refused(refusals.SelfApproval)
        same = msgspec.structs.replace(SUPERVISOR, user=APPROVER.user)
        filed.when(uphold, by=same).refused(refusals.SelfApproval)
        done = filed.when(uphold, by=SUPERVISOR).then(AppealDecided)
        assert done.order.oversight.appeals[0].upheld is True
        done.when(uphold, by=SUPERVISOR).refused(refusals.NoSuchAppeal)

    def test_who_approved_the_report_is_what_the_report_says(self):
        number = UUID(int=9)
        published = Publication(
            stream=f"publication:{number}", published=Mark(at("2025-07-01 09:00"), 1), approver=SUPERVISOR.user
        )
        known = case().at("2025-07-08 23:00").beside({published.stream: published})
        named = msgspec.structs.replace(self.FILE, issuer="", report=number, published_at=at("2025-07-08 09:00"))
        filed = known.when(named, by=APPROVER).then(AppealFiled).order.oversight.appeals[0]
        assert (filed.issuer, filed.published_at) == (SUPERVISOR.user, at("2025-07-01 09:00"))
        other = msgspec.structs.replace(named, issuer=MANAGER.user)
        known.when(other, by=APPROVER).refused(refusals.IssuerDiffers)
        case().at("2025-07-08 23:00").when(named, by=APPROVER).refused(refusals.UnknownStream)
        bare = msgspec.structs.replace(self.FILE, issuer="")
        case().at("2025-07-08 23:00").when(bare, by=APPROVER).refused(refusals.IssuerMissing)

    def test_upheld_it_says_what_is_left_out(self):
        bare = DecideAppeal(appeal=1, upheld=True, words="x")
        self.filed().when(bare, by=SUPERVISOR).refused(refusals.ExclusionMissing)
        self.filed().when(DecideAppeal(appeal=1, upheld=False, words="x"), by=SUPERVISOR).then(AppealDecided)

    def test_what_an_outage_excuses_the_supervisor_alone_takes_out(self):
        filed = self.filed(ground=AppealGround.OUTAGE, indicator="I10")
        upheld = DecideAppeal(appeal=1, upheld=True, words="x", exclusion="I10")
        other = msgspec.structs.replace(MANAGER, user="another-manager")
        filed.when(upheld, by=other).refused(refusals.RoleNotAllowed)
        filed.when(upheld, by=SUPERVISOR).then(AppealDecided)

    def test_once_a_figure_by_a_unit_of_the_case_about_what_was_published(self):
        filed = self.filed()
        filed.when(self.FILE, by=APPROVER).refused(refusals.AlreadyAppealed)
        filed.when(msgspec.structs.replace(self.FILE, indicator="I10"), by=APPROVER).then(AppealFiled)
        case().at("2025-07-02 09:00").when(self.FILE, by=approver("E")).refused(refusals.NotYourUnit)
        case().at("2025-06-30 09:00").when(self.FILE, by=APPROVER).refused(refusals.InstantAhead)

    def test_an_open_appeal_keeps_the_file_open(self):
        filed = self.filed()
        assert "appeal 1" in complete(filed.order, filed.law)


def test_every_event_folds_onto_an_order_that_lacks_what_it_answers():
    orphans = (
        LeadershipInstructionRecorded(giver="市长", text=WORDS, request=4),
        InstructionReported(instruction=7, report="x"),
        AppealDecided(appeal=2, upheld=False, words="x"),
    )
    order = given(registered()).after(*orphans).order
    assert len(order.oversight.instructions) == 1
    assert order.oversight.appeals == ()
