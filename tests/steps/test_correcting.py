"""⑤ Correcting beside the record, releasing a summary to overseers, erasing and restricting personal data."""

from typing import Any

import msgspec
import pytest

from domain import institution, refusals
from domain import order as whole
from domain.state import WorkOrder
from domain.steps.correcting import (
    ApproveCorrection,
    ApproveErasure,
    CorrectionProposed,
    CorrectionRecorded,
    CorrectionRejected,
    PersonalDataErased,
    PersonalDataErasureProposed,
    PersonalDataErasureRejected,
    PersonalDataRestricted,
    ProposeCorrection,
    ProposeErasure,
    RejectCorrection,
    RejectErasure,
    ReleaseTextForOversight,
    RestrictPersonalData,
    TextReleasedForOversight,
)
from domain.steps.filing import ArchivePackageSealed, OrderArchived, OrderClosed
from domain.steps.handling import AssignmentSigned
from domain.terms import ClosureKind, Entry, Fact, Shred
from domain.units import UnitSucceeded
from tests.given import (
    AGENT,
    APPROVER,
    ARCHIVIST,
    BASIS,
    HANDLER,
    MANAGER,
    PARENT,
    STREAM,
    SUPERVISOR,
    SYSTEM,
    Case,
    approver,
    at,
    dispatched,
    given,
    handler,
    management,
    registered,
    working,
)

AN_HOUR_EARLIER = ProposeCorrection(
    version=1,
    field="at",
    basis="签收时间登记有误",
    old="2025-06-16T10:00:00+08:00",
    new="2025-06-16T09:00:00+08:00",
)


def proposed(case: Case | None = None) -> Case:
    case = case or given(working()).at("2025-06-20 10:00")
    return case.when(AN_HOUR_EARLIER, by=HANDLER).then(CorrectionProposed)


class TestCorrecting:
    def test_a_supervisor_approves_what_another_proposed_and_both_values_stay(self):  # T84
        case = proposed().when(ApproveCorrection(correction=1), by=SUPERVISOR).then(CorrectionRecorded)
        made = case.order.corrections[0]
        assert (made.old, made.new) == (AN_HOUR_EARLIER.old, AN_HOUR_EARLIER.new)
        assert (made.version, made.field) == (1, "at")

    def test_nobody_approves_their_own_and_nothing_twice(self):
        case = given(working()).at("2025-06-20 10:00").does(AN_HOUR_EARLIER, by=SUPERVISOR)
        case.when(ApproveCorrection(correction=1), by=SUPERVISOR).refused(refusals.SelfApproval)
        case = proposed().does(ApproveCorrection(correction=1), by=SUPERVISOR)
        case.when(ApproveCorrection(correction=1), by=SUPERVISOR).refused(refusals.NoSuchProposal)
        proposed().when(ApproveCorrection(correction=2), by=SUPERVISOR).refused(refusals.NoSuchProposal)

    def test_a_rejected_one_changes_nothing(self):
        rejection = RejectCorrection(correction=1, words="与录音不符")
        case = proposed().when(rejection, by=SUPERVISOR).then(CorrectionRejected)
        assert case.order.corrections == ()

    def test_several_wait_beside_each_other_by_their_ordinals(self):
        case = proposed(proposed()).does(RejectCorrection(correction=1, words="x"), by=SUPERVISOR)
        case = case.does(ApproveCorrection(correction=2), by=SUPERVISOR)
        assert len(case.order.corrections) == 1

    @pytest.mark.parametrize("new", ["yesterday", "2025-06-16T09:00:00", "2025-06-21T09:00:00+08:00", ""])
    def test_a_corrected_instant_is_one_with_its_zone_and_lies_behind(self, new: str):
        command = msgspec.structs.replace(AN_HOUR_EARLIER, new=new)
        given(working()).at("2025-06-20 10:00").when(command, by=HANDLER).refused(refusals.CorrectionUnreadable)

    def test_it_names_an_entry_that_exists_and_says_something_new(self):
        case = given(working()).at("2025-06-20 10:00")
        for version in (0, 2):
            unknown = msgspec.structs.replace(AN_HOUR_EARLIER, version=version)
            case.when(unknown, by=HANDLER).refused(refusals.UnknownVersion)
        same = ProposeCorrection(version=1, field="place", basis="x", old="a", new="a")
        case.when(same, by=HANDLER).refused(refusals.NothingChanged)
        both = ProposeCorrection(version=1, field="place", basis="x", old="a", new="b", new_text="c")
        case.when(both, by=HANDLER).refused(refusals.CorrectionUnreadable)
        mixed = ProposeCorrection(version=1, field="place", basis="x", new="b", new_text="c")
        case.when(mixed, by=HANDLER).refused(refusals.CorrectionUnreadable)

    def test_a_units_side_is_a_unit_that_held_the_case_or_stands_above_it(self):
        case = given(working()).at("2025-06-20 10:00")
        case.when(AN_HOUR_EARLIER, by=handler("E")).refused(refusals.NotYourUnit)
        case.when(AN_HOUR_EARLIER, by=management("E")).refused(refusals.NotYourUnit)
        for who in (APPROVER, PARENT, AGENT):
            case.when(AN_HOUR_EARLIER, by=who).then(CorrectionProposed)

    def test_the_heir_of_a_unit_that_held_the_case_may_propose(self):
        case = given(working()).at("2025-06-20 10:00")
        succeeded = UnitSucceeded(from_units=("B",), to_units=("E",), at=at("2025-06-18 00:00"), basis=BASIS)
        entry = Entry(
            event=succeeded,
            stream="institution",
            version=case.law.version + 1,
            position=1,
            recorded_at=at("2025-06-17 00:00"),
            actor=SYSTEM,
        )
        case.law = institution.evolve(case.law, entry)
        case.when(AN_HOUR_EARLIER, by=handler("E")).then(CorrectionProposed)

    def test_a_sealed_file_is_still_corrected_beside(self):
        archived = OrderArchived(keep="dossier", period="D30", basis=BASIS)
        case = given(working()).after(OrderClosed(kind=ClosureKind.COMPLETED), archived)
        case = case.after(ArchivePackageSealed(verified_to=1)).at("2025-08-20 10:00")
        proposed(case).when(ApproveCorrection(correction=1), by=SUPERVISOR).then(CorrectionRecorded)

    def test_the_history_is_read_with_the_corrected_instant(self):
        def entry(version: int, event: Fact, when: str) -> Entry:
            return Entry(
                event=event, stream=STREAM, version=version, position=version, recorded_at=at(when), actor=HANDLER
            )

        signing = AssignmentSigned(assignment=1, unit="B")
        correction = CorrectionRecorded(
            correction=1, version=2, field="at", basis="x", old="", new="2025-06-16T09:00:00+08:00"
        )
        history = [entry(2, signing, "2025-06-16 10:00"), entry(3, correction, "2025-06-20 10:00")]
        order: WorkOrder | None = dispatched(when="2025-06-16 08:30")
        for one in whole.corrected(history):
            order = whole.evolve(order, one)
        assert order is not None
        signed = order.episodes[-1].assignments[0].signed
        assert signed is not None
        assert signed.at == at("2025-06-16 09:00")
        assert order.corrections[0].new == correction.new

    def test_a_sealed_text_is_shown_beside_and_changes_no_entry(self):
        text = CorrectionRecorded(correction=1, version=2, field="public_answer", basis="x", new_text="改")
        signing = AssignmentSigned(assignment=1, unit="B")
        entries = [
            Entry(event=e, stream=STREAM, version=v, position=v, recorded_at=at("2025-06-16 10:00"), actor=HANDLER)
            for v, e in ((2, signing), (3, text))
        ]
        assert whole.corrected(entries) == entries


class TestReleasing:
    def test_a_summary_is_released_by_another_than_its_author(self):
        command = ReleaseTextForOversight(summary="某小区路灯不亮, 已修复", author="h-agent")
        case = given(working()).when(command, by=MANAGER).then(TextReleasedForOversight)
        assert case.order.filing.text_released
        own = msgspec.structs.replace(command, author=MANAGER.user)
        given(working()).when(own, by=MANAGER).refused(refusals.SelfApproval)


PROPOSE = ProposeErasure(ground="applicant_request", basis=BASIS)


def ended(keep: Any = "not_filed", period: Any = "") -> Case:
    case = given(working()).at("2025-06-20 10:00").after(OrderClosed(kind=ClosureKind.COMPLETED))
    return case.after(OrderArchived(keep=keep, period=period, basis=BASIS, file_number="2025-D10-0001"))


class TestErasing:
    def test_two_persons_destroy_the_keys_of_a_case_that_need_not_be_kept(self):
        case = ended().when(PROPOSE, by=AGENT).then(PersonalDataErasureProposed)
        erased = PersonalDataErased(ground="applicant_request", basis=BASIS)
        case.when(ApproveErasure(), by=MANAGER).then(erased, Shred(stream=STREAM))
        done = case.does(ApproveErasure(), by=MANAGER)
        assert done.order.filing.erased is not None
        done.when(PROPOSE, by=AGENT).refused(refusals.WrongState)

    def test_a_period_that_runs_forbids_it(self):
        ended("dossier", "Y").at("2099-01-01").when(PROPOSE, by=AGENT).refused(refusals.RetentionRunning)
        ten = ended("dossier", "D10")  # closed in 2025: kept until the end of 2035
        ten.at("2036-01-01 00:00").when(PROPOSE, by=AGENT).refused(refusals.RetentionRunning)
        ten.at("2036-01-01 00:00:00.001").when(PROPOSE, by=AGENT).then(PersonalDataErasureProposed)

    def test_what_is_closed_and_awaits_filing_is_kept(self):
        case = given(working()).after(OrderClosed(kind=ClosureKind.COMPLETED))
        case.when(PROPOSE, by=AGENT).refused(refusals.RetentionRunning)
        given(working()).when(PROPOSE, by=AGENT).refused(refusals.WrongState)
        given(registered()).when(PROPOSE, by=AGENT).refused(refusals.WrongState)

    def test_it_is_decided_by_another_person_and_once(self):
        case = ended().does(PROPOSE, by=MANAGER)
        case.when(ApproveErasure(), by=MANAGER).refused(refusals.SelfApproval)
        case.when(PROPOSE, by=AGENT).refused(refusals.AlreadyProposed)
        refused = case.when(RejectErasure(words="x"), by=SUPERVISOR).then(PersonalDataErasureRejected)
        refused.when(ApproveErasure(), by=SUPERVISOR).refused(refusals.NoSuchProposal)

    def test_a_period_extended_meanwhile_stops_the_approval(self):
        case = ended().does(PROPOSE, by=AGENT)
        case = case.after(OrderArchived(keep="dossier", period="Y", basis=BASIS))
        case.when(ApproveErasure(), by=MANAGER).refused(refusals.RetentionRunning)

    def test_while_it_runs_the_data_can_be_restricted(self):
        command = RestrictPersonalData(basis=BASIS)
        case = ended("dossier", "D30").when(command, by=MANAGER).then(PersonalDataRestricted)
        assert case.order.filing.restricted
        case.when(command, by=MANAGER).refused(refusals.NothingChanged)
        given(working()).when(command, by=MANAGER).refused(refusals.WrongState)

    def test_the_archivist_or_the_timer_may_propose_it_when_the_period_ends(self):
        for who in (ARCHIVIST, SYSTEM):
            ended().when(PROPOSE, by=who).then(PersonalDataErasureProposed)
        ended().when(PROPOSE, by=approver("B")).refused(refusals.RoleNotAllowed)
