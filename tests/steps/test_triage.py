"""① What the desk does without an organizer: refuse, answer, connect, refer, hand over; and withdrawals."""

from datetime import date
from uuid import UUID

import msgspec
import pytest

from domain import refusals
from domain.state import Merge, WorkOrder
from domain.steps.filing import OrderClosed
from domain.steps.triage import (
    AnswerDirectly,
    CallerReferred,
    CallTransferred,
    CompleteReferral,
    CrossRegionTransferred,
    DirectAnswered,
    EmergencyHandedOver,
    EmergencyNotified,
    HandOverEmergency,
    HoldThreeWayCall,
    IncidentVerified,
    NotAccepted,
    NotifyEmergency,
    OrderWithdrawn,
    ProposeRefusal,
    RecordTransferReceipt,
    ReferCaller,
    ReferralFollowedUp,
    RefusalProposed,
    RefusalRejected,
    Refuse,
    RejectRefusal,
    ThreeWayCallHeld,
    TransferCall,
    TransferReceiptRecorded,
    TransferRegion,
    VerifyIncident,
    Withdraw,
)
from domain.terms import (
    Act,
    Citation,
    ClockName,
    ClosureKind,
    EmergencyRecipient,
    EmergencyService,
    Mark,
    Medium,
    Number,
    OrderState,
    RefusalReason,
    Shred,
    Urgency,
    Verified,
)
from tests.given import (
    AGENT,
    BASIS,
    CITIZEN,
    DISPATCHER,
    MANAGER,
    REVIEWER,
    STREAM,
    SYSTEM,
    at,
    given,
    registered,
    special,
    working,
)

UNDISPATCHED = (
    OrderState.REGISTERED,
    OrderState.AWAITING_SUPPLEMENT,
    OrderState.AWAITING_DISPATCH,
    OrderState.COORDINATING,
)
PETITION = Refuse(
    reason=RefusalReason.PETITION,
    informed_at=at("2025-06-16 08:00"),
    medium=Medium.PHONE,
    basis=BASIS,
    words="该事项已进入信访渠道",
    petition_ref="2025-0613",
)
SECRET = Refuse(reason=RefusalReason.STATE_SECRET, informed_at=at("2025-06-16 08:00"), medium=Medium.PHONE, basis=BASIS)
ANSWER = AnswerDirectly(answer="办理时间为九点至五点", medium=Medium.PHONE, acknowledged=True, knowledge_ref="K-17")
CALL = TransferCall(unit="E", consent=True, resolved=True)
THREE = HoldThreeWayCall(unit="E", consent=True, resolved=True, outcome="当场答复")
REGION = TransferRegion(region="重庆", platform="川渝互转")


def waiting(state: OrderState, pack: str = "S0-CHUANYU") -> WorkOrder:
    return registered(pack, state=state)


# ── wherever the order waits ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", UNDISPATCHED)
@pytest.mark.parametrize(
    "command", [ANSWER, CALL, THREE, REGION, ReferCaller(unit="市税务局")], ids=lambda c: type(c).__name__
)
def test_an_order_that_waits_can_always_be_closed_without_an_organizer(command: Act, state: OrderState):
    by = DISPATCHER if isinstance(command, TransferRegion) else AGENT
    case = given(waiting(state)).at("2025-06-16 08:06").does(command, by=by)
    assert case.order.state is OrderState.CLOSED
    assert case.clock(ClockName.DISPATCH).stop is not None
    given(working()).when(command, by=by).refused(refusals.WrongState)


# ── refusing ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", UNDISPATCHED)
def test_a_refused_demand_is_over_and_its_reason_stays(state: OrderState):
    case = given(waiting(state)).when(PETITION, by=AGENT).then(NotAccepted, Number)
    assert case.order.state is OrderState.NOT_ACCEPTED
    assert case.order.filing.refusal == "petition"
    assert case.clock(ClockName.DISPATCH).stop is not None
    assert not case.order.is_open


def test_a_refusal_is_explained_and_rests_on_something():
    case = given(registered())
    case.when(msgspec.structs.replace(PETITION, words=None), by=AGENT).refused(refusals.RefusalNotExplained)
    other = msgspec.structs.replace(PETITION, reason=RefusalReason.OTHER_LAW, basis=Citation(text="某条例"))
    case.when(other, by=AGENT).refused(refusals.RefusalBasisMissing)
    case.when(msgspec.structs.replace(other, basis=BASIS), by=AGENT).then(NotAccepted, Number)
    case.when(msgspec.structs.replace(other, basis=None), by=AGENT).refused(refusals.RefusalBasisMissing)


def test_the_citys_own_article_is_cited_where_none_is_named():
    case = given(registered())
    listed = case.law.rules(case.order.policy).refusals[RefusalReason.PETITION]
    decided = case.when(msgspec.structs.replace(PETITION, basis=None), by=AGENT).decide()[0]
    assert isinstance(decided, NotAccepted)
    assert decided.basis == listed


def test_who_was_told_when_lies_behind_and_the_competent_unit_is_named():
    case = given(registered())
    ahead = msgspec.structs.replace(PETITION, informed_at=at("2025-06-16 08:00:00.001"))
    case.when(ahead, by=AGENT).refused(refusals.InstantAhead)
    unnamed = msgspec.structs.replace(PETITION, unit_determinable=True)
    case.when(unnamed, by=AGENT).refused(refusals.CompetentUnitNotNamed)
    case.when(msgspec.structs.replace(unnamed, informed_unit="市信访局"), by=AGENT).then(NotAccepted, Number)


def test_a_demand_is_unidentifiable_only_once_what_was_asked_for_did_not_come_in_time():
    refuse = msgspec.structs.replace(
        PETITION, reason=RefusalReason.NOT_IDENTIFIABLE, informed_at=at("2025-06-16 08:00")
    )
    given(registered()).when(refuse, by=AGENT).refused(refusals.SupplementNotOverdue)
    asked = given(registered(supplement=("address",), supplement_by=date(2025, 6, 18)))
    asked.at("2025-06-19 00:00").when(refuse, by=AGENT).refused(refusals.SupplementNotOverdue)
    asked.at("2025-06-19 00:00:00.001").when(refuse, by=AGENT).then(NotAccepted, Number)


def test_secrets_and_privacy_are_refused_by_a_reviewer_who_did_not_propose_it():
    private = msgspec.structs.replace(PETITION, reason=RefusalReason.PRIVACY)
    case = given(registered())
    case.when(private, by=AGENT).refused(refusals.RefusalNeedsReview)
    case.when(ProposeRefusal(reason=RefusalReason.PETITION), by=AGENT).refused(refusals.NoReviewNeeded)
    asked = case.when(ProposeRefusal(reason=RefusalReason.PRIVACY), by=AGENT).then(RefusalProposed)
    asked.when(ProposeRefusal(reason=RefusalReason.PRIVACY), by=AGENT).refused(refusals.ProposalPending)
    own = msgspec.structs.replace(REVIEWER, user=AGENT.user)
    asked.when(private, by=own).refused(refusals.SelfApproval)
    asked.when(RejectRefusal(words="不涉隐私"), by=own).refused(refusals.SelfApproval)
    asked.when(RejectRefusal(words=""), by=REVIEWER).refused(refusals.ReasonMissing)
    refused = asked.when(private, by=REVIEWER).then(NotAccepted, Number)
    assert refused.order.proposals[0].approved
    goes_on = asked.when(RejectRefusal(words="不涉隐私"), by=REVIEWER).then(RefusalRejected)
    assert goes_on.order.state is OrderState.AWAITING_DISPATCH
    goes_on.when(RejectRefusal(words="不涉隐私"), by=REVIEWER).refused(refusals.NoSuchProposal)


def test_a_state_secret_leaves_no_words_and_the_keys_of_the_case_are_destroyed_in_the_same_commit():
    case = given(registered())
    case.when(msgspec.structs.replace(SECRET, words="内容"), by=REVIEWER).refused(refusals.SecretTakesNoWords)
    case.when(SECRET, by=REVIEWER).then(NotAccepted, Number, Shred(stream=STREAM))


# ── answering and connecting ────────────────────────────────────────────────────────────────────────────────────────


def test_a_direct_answer_closes_within_minutes_and_starts_no_clock_of_handling():
    case = given(registered()).at("2025-06-16 08:06").when(ANSWER, by=AGENT).then(DirectAnswered, OrderClosed)
    assert case.order.filing.kind is ClosureKind.DIRECT
    assert all(case.no_clock(name) for name in (ClockName.TRANSFER, ClockName.RETURN, ClockName.HANDLE))


def test_a_direct_answer_says_something_on_a_basis_that_the_applicant_received():
    case = given(registered())
    case.when(msgspec.structs.replace(ANSWER, answer=""), by=AGENT).refused(refusals.AnswerMissing)
    case.when(msgspec.structs.replace(ANSWER, knowledge_ref=""), by=AGENT).refused(refusals.AnswerBasisMissing)
    case.when(msgspec.structs.replace(ANSWER, acknowledged=False), by=AGENT).refused(refusals.NotAcknowledged)


def test_a_call_is_passed_on_or_joined_only_with_consent_and_to_a_unit_that_exists():
    case = given(registered())
    case.when(msgspec.structs.replace(CALL, consent=False), by=AGENT).refused(refusals.ConsentMissing)
    case.when(msgspec.structs.replace(THREE, consent=False), by=AGENT).refused(refusals.ConsentMissing)
    case.when(msgspec.structs.replace(CALL, unit="NOWHERE"), by=AGENT).refused(refusals.UnknownUnit)


def test_a_call_that_settled_nothing_leaves_the_order_where_it_was():
    for unsettled, event in ((CALL, CallTransferred), (THREE, ThreeWayCallHeld)):
        case = given(registered()).when(msgspec.structs.replace(unsettled, resolved=False), by=AGENT).then(event)
        assert case.order.state is OrderState.AWAITING_DISPATCH
        assert case.clock(ClockName.DISPATCH).running


def test_a_referral_with_a_follow_up_stays_open_until_it_helped_or_goes_to_dispatch():
    follow = ReferCaller(unit="市税务局", follow_up=True, follow_up_by=date(2025, 6, 20))
    case = given(registered()).when(follow, by=AGENT).then(CallerReferred)
    assert case.order.is_open
    helped = CompleteReferral(referral=1, settled=True, result="已办理")
    closed = case.when(helped, by=AGENT).then(ReferralFollowedUp, OrderClosed)
    assert closed.order.filing.kind is ClosureKind.TRANSFERRED
    goes_on = case.does(msgspec.structs.replace(helped, settled=False), by=AGENT)
    assert goes_on.order.state is OrderState.AWAITING_DISPATCH
    goes_on.when(helped, by=AGENT).refused(refusals.NoSuchReferral)
    goes_on.when(msgspec.structs.replace(helped, referral=2), by=AGENT).refused(refusals.NoSuchReferral)


def test_a_follow_up_of_nothing_folds_into_nothing():
    orphan = ReferralFollowedUp(referral=1, result="已办理")
    assert given(registered()).after(orphan).order.referrals == ()


def test_a_follow_up_has_a_date_that_lies_ahead():
    case = given(registered())
    case.when(ReferCaller(unit="税务局", follow_up=True), by=AGENT).refused(refusals.FollowUpDateMissing)
    case.when(ReferCaller(unit="税务局", follow_up_by=date(2025, 6, 20)), by=AGENT).refused(
        refusals.FollowUpDateMissing
    )
    past = ReferCaller(unit="税务局", follow_up=True, follow_up_by=date(2025, 6, 15))
    case.when(past, by=AGENT).refused(refusals.DayHasPassed)


# ── emergencies and other regions ───────────────────────────────────────────────────────────────────────────────────

FIRE = HandOverEmergency(service=EmergencyService.FIRE)


def test_handing_over_an_emergency_closes_the_order_except_where_the_city_still_dispatches_it():
    closed = given(registered("S0-CHUANYU")).when(FIRE, by=AGENT).then(EmergencyHandedOver, OrderClosed)
    assert closed.order.filing.kind is ClosureKind.TRANSFERRED
    stays = given(registered("S1-CHENGDU", urgency=Urgency.EMERGENCY_LIFE)).when(FIRE, by=AGENT)
    assert stays.then(EmergencyHandedOver).order.is_open
    assert given(working()).when(FIRE, by=AGENT).then(EmergencyHandedOver).order.state is OrderState.WORKING


def test_an_emergency_is_not_closed_at_the_desk_before_everybody_was_told():
    case = given(registered("S1-CHENGDU", urgency=Urgency.EMERGENCY_LIFE))
    case.when(ANSWER, by=AGENT).refused(refusals.EmergencyNotTold)
    for recipient in ("territory", "department", "city_ops"):
        tell = NotifyEmergency(recipient=EmergencyRecipient(recipient), medium=Medium.PHONE)
        case = case.when(tell, by=AGENT).then(EmergencyNotified)
    case = case.does(HandOverEmergency(service=EmergencyService.POLICE), by=AGENT)
    assert case.order.oversight.told == {"territory", "department", "city_ops", "police_110"}
    case.when(ANSWER, by=AGENT).then(DirectAnswered, OrderClosed)


def test_who_was_told_is_recorded_in_any_state_until_the_file_is_sealed():
    tell = NotifyEmergency(recipient=EmergencyRecipient.DEPARTMENT, medium=Medium.PHONE, unit="E")
    case = given(special())
    case.when(tell, by=DISPATCHER).then(EmergencyNotified)
    case.when(msgspec.structs.replace(tell, unit="NOWHERE"), by=AGENT).refused(refusals.UnknownUnit)
    verify = VerifyIncident(verified=Verified.TRUE, finding="属实")
    verified = case.when(verify, by=DISPATCHER).then(IncidentVerified)
    assert verified.order.oversight.incident_verified is not None
    sealed = msgspec.structs.replace(case.order.filing, sealed=Mark(at("2025-06-16 09:00"), 9))
    case.having(filing=sealed).when(verify, by=DISPATCHER).refused(refusals.OrderSealed)
    case.having(filing=sealed).when(tell, by=AGENT).refused(refusals.OrderSealed)


def test_an_order_handed_to_another_region_is_closed_and_its_receipt_comes_later():
    case = given(registered()).when(REGION, by=DISPATCHER).then(CrossRegionTransferred, OrderClosed)
    receipt = RecordTransferReceipt(taken=True, reference="YK-9")
    taken = case.when(receipt, by=SYSTEM).then(TransferReceiptRecorded)
    assert taken.order.links.region_received is not None
    assert case.does(msgspec.structs.replace(receipt, taken=False), by=SYSTEM).order.links.region_received is None
    given(registered()).when(receipt, by=SYSTEM).refused(refusals.NotTransferred)


# ── withdrawing ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_withdrawal_cancels_what_runs_and_counts_no_handling():
    case = given(working()).when(Withdraw(), by=CITIZEN).then(OrderWithdrawn, OrderClosed)
    assert case.order.filing.kind is ClosureKind.WITHDRAWN
    assert case.clock(ClockName.HANDLE).cancel is not None
    undispatched = given(registered()).does(Withdraw(), by=CITIZEN)
    assert undispatched.clock(ClockName.DISPATCH).cancel is not None


def test_an_agent_checks_who_withdraws():
    case = given(working())
    case.when(Withdraw(), by=AGENT).refused(refusals.ApplicantNotVerified)
    case.when(Withdraw(identity_checked=True), by=AGENT).then(OrderWithdrawn, OrderClosed)
    case.does(Withdraw(), by=CITIZEN).when(Withdraw(), by=CITIZEN).refused(refusals.WrongState)


def test_a_merged_order_that_is_withdrawn_follows_its_master_no_longer():
    order = registered(state=OrderState.MERGED)
    merge = Merge(master=UUID(int=9), at=Mark(at("2025-06-16 08:30"), 3), state_before=OrderState.REGISTERED)
    links = msgspec.structs.replace(order.links, merge=merge)
    case = given(order).having(links=links).does(Withdraw(), by=CITIZEN)
    assert case.order.links.merge is not None
    assert case.order.links.merge.undone is not None
    assert case.order.state is OrderState.CLOSED


def test_only_the_manager_and_the_desk_refuse():
    given(registered()).when(PETITION, by=CITIZEN).refused(refusals.RoleNotAllowed)
    given(registered()).when(PETITION, by=MANAGER).then(NotAccepted, Number)


def test_a_demand_refused_as_a_state_secret_is_shown_nowhere_by_its_title_or_place() -> None:
    told = NotAccepted(
        reason=RefusalReason.STATE_SECRET, basis=BASIS, informed_at=at("2025-06-16 09:00"), medium=Medium.PHONE
    )
    case = given(registered(title="某某机密地点", place="某某路", district="某区")).after(told)
    demand = case.order.demand
    assert "机密" not in demand.title
    assert (demand.place, demand.district) == ("", "")
