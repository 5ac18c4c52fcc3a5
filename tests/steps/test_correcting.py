"""⑤ Correcting beside the record, releasing a summary to overseers, erasing and restricting personal data."""

from typing import Any

import msgspec
import pytest

from domain import order as whole
from domain import refusals
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
from domain.steps.dispatch import OrderDispatched
from domain.steps.filing import ArchivePackageSealed, OrderArchived, OrderClosed
from domain.steps.handling import AssignmentSigned
from domain.terms import Attributes, ClosureKind, DemandType, DispatchType, Entry, Fact, Shred
from domain.units import UnitSucceeded
from tests.given import (
    AGENT,
    APPROVER,
    ARCHIVIST,
    BASIS,
    DISPATCHER,
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

HELP = Attributes(demand_type=DemandType.HELP)
SIGNING = AssignmentSigned(assignment=1, unit="B")
AN_HOUR_EARLIER = ProposeCorrection(
    version=3,
    field="at",
    basis="签收时间登记有误",
    old="2025-06-16T10:00:00+08:00",
    new="2025-06-16T09:00:00+08:00",
)


def signed() -> Case:
    """Dispatched by the hotline at 09:00 (entry 2), signed for by the bureau at 10:00 (entry 3), days later."""
    case = given(registered()).at("2025-06-16 09:00")
    case = case.after(OrderDispatched(kind=DispatchType.ORDINARY, attributes=HELP, lead="B"), by=DISPATCHER)
    return case.at("2025-06-16 10:00").after(SIGNING, by=HANDLER).at("2025-06-20 10:00")


def proposed(case: Case | None = None) -> Case:
    case = case or signed()
    return case.when(AN_HOUR_EARLIER, by=HANDLER).then(CorrectionProposed)


class TestCorrecting:
    def test_a_supervisor_approves_what_another_proposed_and_both_values_stay(self):  # T84
        case = proposed().when(ApproveCorrection(correction=1), by=SUPERVISOR).then(CorrectionRecorded)
        made = case.order.corrections[0]
        assert (made.old, made.new) == (AN_HOUR_EARLIER.old, AN_HOUR_EARLIER.new)
        assert (made.version, made.field) == (3, "at")

    def test_nobody_approves_their_own_and_nothing_twice(self):
        medium = ProposeCorrection(version=2, field="medium", basis="x", new="written")
        case = signed().does(medium, by=SUPERVISOR)
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

    def test_what_was_corrected_meanwhile_is_not_corrected_from_what_it_was(self):
        case = proposed(proposed()).does(ApproveCorrection(correction=1), by=SUPERVISOR)
        case.when(ApproveCorrection(correction=2), by=SUPERVISOR).refused(refusals.CorrectionOldDiffers)
        further = msgspec.structs.replace(AN_HOUR_EARLIER, old=AN_HOUR_EARLIER.new, new="2025-06-16T09:30:00+08:00")
        case.when(further, by=HANDLER).then(CorrectionProposed)

    @pytest.mark.parametrize("new", ["yesterday", "2025-06-16T09:00:00", ""])
    def test_a_corrected_instant_is_one_with_its_zone(self, new: str):
        command = msgspec.structs.replace(AN_HOUR_EARLIER, new=new)
        signed().when(command, by=HANDLER).refused(refusals.CorrectionUnreadable)

    def test_it_has_come_and_keeps_its_place_among_the_entries(self):
        ahead = msgspec.structs.replace(AN_HOUR_EARLIER, new="2025-06-21T09:00:00+08:00")
        signed().when(ahead, by=HANDLER).refused(refusals.InstantAhead)
        for new in ("2025-06-16T08:59:59+08:00", "2025-06-18T09:00:00.001+08:00"):
            turned = msgspec.structs.replace(AN_HOUR_EARLIER, new=new)
            later = signed().at("2025-06-18 09:00").after(SIGNING, by=HANDLER).at("2025-06-20 10:00")
            later.when(turned, by=HANDLER).refused(refusals.CorrectionOutOfOrder)

    def test_it_names_an_entry_that_exists_and_says_something_new_of_a_field_it_has(self):
        case = signed()
        for version in (0, 4):
            unknown = msgspec.structs.replace(AN_HOUR_EARLIER, version=version)
            case.when(unknown, by=HANDLER).refused(refusals.UnknownVersion)

        def refused(refusal: type[refusals.Refusal], **said: Any) -> None:
            case.when(ProposeCorrection(**{"version": 2, "basis": "x", **said}), by=DISPATCHER).refused(refusal)

        refused(refusals.NothingChanged, field="medium", old="a", new="a")
        refused(refusals.CorrectionFieldUnknown, field="place", new="b")
        refused(refusals.CorrectionUnreadable, field="medium", new="b", new_text="c")
        refused(refusals.CorrectionUnreadable, field="medium", new_text="c")
        refused(refusals.CorrectionUnreadable, field="medium", new="pigeon")
        refused(refusals.CorrectionUnreadable, field="note", new="b")
        refused(refusals.CorrectionUnreadable, field="note", old_text="b")
        refused(refusals.CorrectionOldDiffers, field="medium", old="phone", new="written")
        case.when(ProposeCorrection(version=2, basis="x", field="note", new_text="附言有误"), by=DISPATCHER).then(
            CorrectionProposed
        )

    @pytest.mark.parametrize("field", ["lead", "lead_parent", "kind", "of_class", "limits", "instruction"])
    def test_whose_the_case_is_and_what_was_decided_is_not_changed_by_a_correction(self, field: str):
        wrong = (refusals.CorrectionNotAllowed, refusals.CorrectionUnreadable)
        with pytest.raises(wrong):
            signed().when(ProposeCorrection(version=2, field=field, basis="x", new="E"), by=DISPATCHER).decide()

    def test_the_side_that_recorded_an_entry_proposes(self):
        for who in (handler("E"), management("E"), PARENT, AGENT):
            signed().when(AN_HOUR_EARLIER, by=who).refused(refusals.NotYourUnit)
        for who in (HANDLER, APPROVER):
            signed().when(AN_HOUR_EARLIER, by=who).then(CorrectionProposed)

    def test_and_every_heir_of_it(self):
        succeeded = UnitSucceeded(from_units=("B",), to_units=("S", "E"), at=at("2025-06-18 00:00"), basis=BASIS)
        signed().decreed(succeeded).when(AN_HOUR_EARLIER, by=handler("E")).then(CorrectionProposed)

    def test_a_history_as_of_an_instant_is_corrected_once_and_by_the_latest(self):
        first = CorrectionRecorded(correction=1, version=3, field="at", basis="x", new="2025-06-16T09:10:00+08:00")
        latest = msgspec.structs.replace(first, correction=2, new="2025-06-16T09:20:00+08:00")
        case = signed().after(first).at("2025-06-25 10:00").after(latest)
        read = whole.history(case.entries, as_at=at("2025-06-21 00:00"))
        assert [e.at for e in read if e.version == 3] == [at("2025-06-16 09:20")]
        assert whole.corrected(read) == read

    def test_a_sealed_file_is_still_corrected_beside(self):
        archived = OrderArchived(keep="dossier", period="D30", basis=BASIS)
        case = signed().after(OrderClosed(kind=ClosureKind.COMPLETED), archived)
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
    def test_a_summary_is_released_by_another_than_who_wrote_the_entry(self):
        command = ReleaseTextForOversight(summary="某小区路灯不亮, 已修复", version=2)
        released = TextReleasedForOversight(summary=command.summary, author=DISPATCHER.user, version=2)
        assert signed().when(command, by=MANAGER).then(released).order.filing.text_released
        own = msgspec.structs.replace(MANAGER, user=DISPATCHER.user)
        signed().when(command, by=own).refused(refusals.SelfApproval)
        unknown = msgspec.structs.replace(command, version=9)
        signed().when(unknown, by=MANAGER).refused(refusals.UnknownVersion)


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
