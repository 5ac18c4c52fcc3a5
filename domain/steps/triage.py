"""① 分类处置. What the hotline does with a demand without an organizer: answer, connect, refer, hand over, refuse.

Each of these is allowed in every state in which the order waits for a dispatch (8.2), so that nothing is stuck; whoever
closes the order this way emits `OrderClosed` with it, and that is what ends the hotline's time to dispatch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, ClassVar

import msgspec

from domain import guards, refusals
from domain.context import Context
from domain.state import Referral, WorkOrder, pending, propose, put, settle
from domain.steps import filing
from domain.steps.filing import OrderClosed, mark
from domain.terms import (
    Act,
    Citation,
    ClosureKind,
    Code,
    EmergencyRecipient,
    EmergencyService,
    Entry,
    Fact,
    Medium,
    Number,
    OrderState,
    Private,
    RefusalReason,
    Role,
    Shred,
    Step,
    UnitId,
    Verified,
)

REVIEWED = frozenset({RefusalReason.STATE_SECRET, RefusalReason.TRADE_SECRET, RefusalReason.PRIVACY})
"""Reasons that a reviewer, not the agent alone, refuses for (DOMAIN 3.3)."""


# --- events: refusing --------------------------------------------------------------------------------------------


class RefusalProposed(Fact, frozen=True, tag="order.refusal_proposed"):
    """提请不予受理. An agent sees a secret or somebody's privacy in the demand; a reviewer decides."""

    reason: RefusalReason


class RefusalRejected(Fact, frozen=True, tag="order.refusal_rejected"):
    """不同意不予受理. The demand goes on like any other."""

    words: Private


class NotAccepted(Fact, frozen=True, tag="order.not_accepted"):
    """不予受理. The demand is refused, for a reason and on a basis that the caller was told (S0-11).

    A state secret leaves no words: `words` is empty and the case's keys are destroyed in the same commit (S0-9).
    """

    reason: RefusalReason
    basis: Citation
    informed_at: datetime
    medium: Medium
    words: Private | None = None
    unit_determinable: bool = False
    informed_unit: Code = ""  # the competent unit the caller was told of, and its office contact (S0-13)
    informed_contact: Code = ""
    petition_ref: Code = ""


# --- events: answering and connecting ----------------------------------------------------------------------------


class DirectAnswered(Fact, frozen=True, tag="order.direct_answered"):
    """直接答复. Answered at once from the knowledge base or a clear policy (S0-17, S2-19)."""

    answer: Private
    medium: Medium
    knowledge_ref: Code = ""
    basis: Citation | None = None
    call_id: Code = ""


class ThreeWayCallHeld(Fact, frozen=True, tag="order.three_way_call_held"):
    """三方通话. Applicant, agent and a unit or expert spoke together, with the applicant's consent (S0-18, S1-6)."""

    unit: UnitId
    outcome: Private
    resolved: bool = False
    expert_seat: Code = ""
    call_id: Code = ""
    seconds: int = 0


class CallTransferred(Fact, frozen=True, tag="order.call_transferred"):
    """电话转接. The call was passed to a unit or sub-centre, with the applicant's consent (S0-19, S1-5)."""

    unit: UnitId
    outcome: Private | None = None
    resolved: bool = False
    sub_centre: Code = ""
    call_id: Code = ""


class CallerReferred(Fact, frozen=True, tag="order.caller_referred"):
    """引导反映. The caller was told where to go; followed up where the hotline promised to (S2-20)."""

    unit: Code
    contact: Code = ""
    guidance: Private | None = None
    follow_up: bool = False
    follow_up_by: date | None = None


class ReferralFollowedUp(Fact, frozen=True, tag="order.referral_followed_up"):
    """跟踪反馈. The hotline looked whether the referral helped."""

    referral: int
    result: Private
    settled: bool = False


# --- events: emergencies and other regions -----------------------------------------------------------------------


class EmergencyHandedOver(Fact, frozen=True, tag="order.emergency_handed_over"):
    """紧急转接. Handed to 110, 119, 120 or 122 at once."""

    service: EmergencyService
    call_id: Code = ""
    receiver: Private | None = None  # who took it over, by name or number
    words: Private | None = None


class EmergencyNotified(Fact, frozen=True, tag="order.emergency_notified"):
    """应急联动通报. Territory, department, city operations or 110 were told of an emergency (S1-27, S1-28)."""

    recipient: EmergencyRecipient
    medium: Medium
    unit: UnitId | None = None
    person: Private | None = None  # who was told
    words: Private | None = None


class IncidentVerified(Fact, frozen=True, tag="order.incident_verified"):
    """突发情况核实. What a check of the reported incident found (S2-24)."""

    verified: Verified
    finding: Private
    source: Code = ""  # who verified: a unit, the command centre


class CrossRegionTransferred(Fact, frozen=True, tag="order.cross_region_transferred"):
    """跨区域转办. Handed to another region's hotline or the national platform (S0-5)."""

    region: Code
    platform: Code
    reference: Code = ""
    words: Private | None = None


class TransferReceiptRecorded(Fact, frozen=True, tag="order.transfer_receipt_recorded"):
    """跨区域转办回执. The other platform took the order over, or sent it back."""

    taken: bool = False
    reference: Code = ""
    words: Private | None = None


class OrderWithdrawn(Fact, frozen=True, tag="order.order_withdrawn"):
    """诉求撤回. The applicant takes the demand back; the fact remains, and so does the supervision of the unit."""

    words: Private | None = None
    medium: Medium | None = None
    call_id: Code = ""


# --- commands ----------------------------------------------------------------------------------------------------

_AGENT = frozenset({Role.AGENT})
_DESK = frozenset({Role.AGENT, Role.DISPATCHER, Role.HOTLINE_MANAGER})


class ProposeRefusal(Act, frozen=True, tag="propose_refusal"):
    """提请不予受理. For secrets and privacy, which a reviewer decides on."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.AGENT, Role.DISPATCHER})

    reason: RefusalReason


class RejectRefusal(Act, frozen=True, tag="reject_refusal"):
    """不同意不予受理."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.QC_REVIEWER})

    words: Private


class Refuse(Act, frozen=True, tag="refuse"):
    """不予受理. Without `basis` the article that the city's pack lists for this reason is cited."""

    roles: ClassVar[frozenset[Role]] = _DESK | {Role.QC_REVIEWER}

    reason: RefusalReason
    informed_at: datetime
    medium: Medium
    basis: Citation | None = None
    words: Private | None = None
    unit_determinable: bool = False
    informed_unit: Code = ""
    informed_contact: Code = ""
    petition_ref: Code = ""


class AnswerDirectly(Act, frozen=True, tag="answer_directly"):
    """直接答复."""

    roles: ClassVar[frozenset[Role]] = _AGENT

    answer: Private
    medium: Medium
    acknowledged: bool  # the applicant heard or was sent it; for an anonymous one: it is published
    knowledge_ref: Code = ""
    basis: Citation | None = None
    call_id: Code = ""


class HoldThreeWayCall(Act, frozen=True, tag="hold_three_way_call"):
    """三方通话. Unresolved, the order goes on."""

    roles: ClassVar[frozenset[Role]] = _AGENT

    unit: UnitId
    consent: bool
    resolved: bool
    outcome: Private
    expert_seat: Code = ""
    call_id: Code = ""
    seconds: int = 0


class TransferCall(Act, frozen=True, tag="transfer_call"):
    """电话转接. Unresolved, the order goes on."""

    roles: ClassVar[frozenset[Role]] = _AGENT

    unit: UnitId
    consent: bool
    resolved: bool
    outcome: Private | None = None
    sub_centre: Code = ""
    call_id: Code = ""


class ReferCaller(Act, frozen=True, tag="refer_caller"):
    """引导反映. With a follow-up the order stays open until it is done; without one it is closed."""

    roles: ClassVar[frozenset[Role]] = _AGENT

    unit: Code
    contact: Code = ""
    guidance: Private | None = None
    follow_up: bool = False
    follow_up_by: date | None = None


class CompleteReferral(Act, frozen=True, tag="complete_referral"):
    """跟踪反馈. Settled, it closes an order that waited for nothing else; otherwise the order still needs a dispatch."""

    roles: ClassVar[frozenset[Role]] = _DESK

    referral: int
    settled: bool
    result: Private


class HandOverEmergency(Act, frozen=True, tag="hand_over_emergency"):
    """紧急转接. Closes an undispatched order where the pack says so (8.14)."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.AGENT})

    service: EmergencyService
    call_id: Code = ""
    receiver: Private | None = None
    words: Private | None = None


class NotifyEmergency(Act, frozen=True, tag="notify_emergency"):
    """应急联动通报."""

    roles: ClassVar[frozenset[Role]] = _DESK

    recipient: EmergencyRecipient
    medium: Medium
    unit: UnitId | None = None
    person: Private | None = None
    words: Private | None = None


class VerifyIncident(Act, frozen=True, tag="verify_incident"):
    """突发情况核实."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.DISPATCHER, Role.HOTLINE_MANAGER})

    verified: Verified
    finding: Private
    source: Code = ""


class TransferRegion(Act, frozen=True, tag="transfer_region"):
    """跨区域转办."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.DISPATCHER})

    region: Code
    platform: Code
    reference: Code = ""
    words: Private | None = None


class RecordTransferReceipt(Act, frozen=True, tag="record_transfer_receipt"):
    """登记跨区域转办回执."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.DISPATCHER, Role.AGENT, Role.SYSTEM})

    taken: bool
    reference: Code = ""
    words: Private | None = None


class Withdraw(Act, frozen=True, tag="withdraw"):
    """诉求撤回. An agent checks first that it is the applicant who asks."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.CITIZEN, Role.AGENT})

    identity_checked: bool = False
    words: Private | None = None
    medium: Medium | None = None
    call_id: Code = ""


# --- deciding ----------------------------------------------------------------------------------------------------


def close(order: WorkOrder, context: Context, kind: ClosureKind) -> OrderClosed:
    """Return the closure of an order that no organizer handled. Raises EmergencyNotTold."""
    untold = filing.emergency_untold(order, context.law)
    if untold:
        raise refusals.EmergencyNotTold(", ".join(untold))
    return OrderClosed(kind=kind)


def propose_refusal(order: WorkOrder, command: ProposeRefusal, context: Context) -> list[Step]:
    """Hand a demand that may hold a secret to the reviewer."""
    guards.in_state(order, *guards.UNDISPATCHED)
    if command.reason not in REVIEWED:
        raise refusals.NoReviewNeeded(command.reason)
    if pending(order, "refusal") is not None:
        raise refusals.ProposalPending("refusal")
    return [RefusalProposed(reason=command.reason)]


def reject_refusal(order: WorkOrder, command: RejectRefusal, context: Context) -> list[Step]:
    """Find no secret in the demand."""
    guards.unsealed(order)
    proposal = pending(order, "refusal")
    if proposal is None:
        raise refusals.NoSuchProposal("refusal")
    guards.another_person(context, proposal.by)
    if not guards.said(command.words):
        raise refusals.ReasonMissing
    return [RefusalRejected(words=command.words)]


def refuse(order: WorkOrder, command: Refuse, context: Context) -> list[Step]:
    """Refuse a demand; what is refused as a state secret is made unreadable in the same commit."""
    guards.in_state(order, *guards.UNDISPATCHED)
    reason, secret = command.reason, command.reason is RefusalReason.STATE_SECRET
    if reason in REVIEWED:
        proposal = pending(order, "refusal")
        if context.actor.role is not Role.QC_REVIEWER:
            raise refusals.RefusalNeedsReview(reason)
        guards.another_person(context, order.registered_by, proposal.by if proposal is not None else "")
    if secret and command.words is not None:
        raise refusals.SecretTakesNoWords
    if not secret and not guards.said(command.words):
        raise refusals.RefusalNotExplained
    basis, other = command.basis, reason is RefusalReason.OTHER_LAW
    if basis is None and not other:
        basis = guards.binding(order, context).refusals.get(reason)
    if basis is None or (other and not basis.article):  # which other law it is, the city's list cannot say (S0-10)
        raise refusals.RefusalBasisMissing(reason)
    if command.unit_determinable and not command.informed_unit:
        raise refusals.CompetentUnitNotNamed
    if reason is RefusalReason.NOT_IDENTIFIABLE:
        _supplement_overdue(order, context)
    guards.not_ahead(context, command.informed_at)
    refused = NotAccepted(
        reason=reason,
        basis=basis,
        informed_at=command.informed_at,
        medium=command.medium,
        words=command.words,
        unit_determinable=command.unit_determinable,
        informed_unit=command.informed_unit,
        informed_contact=command.informed_contact,
        petition_ref=command.petition_ref,
    )
    steps: list[Step] = [refused, Number("non_acceptance", context.law.city_code)]
    return [*steps, Shred(stream=context.stream)] if secret else steps


def _supplement_overdue(order: WorkOrder, context: Context) -> None:
    """Refuse unless something asked for was not given by the date told (8.2)."""
    if not order.supplement or order.supplement_by is None or not guards.day_over(context, order.supplement_by):
        raise refusals.SupplementNotOverdue(f"{order.supplement_by or '-'}")


def answer_directly(order: WorkOrder, command: AnswerDirectly, context: Context) -> list[Step]:
    """Answer at once and close."""
    guards.in_state(order, *guards.UNDISPATCHED)
    if not command.knowledge_ref and command.basis is None:
        raise refusals.AnswerBasisMissing
    if not command.acknowledged:
        raise refusals.NotAcknowledged
    if not guards.said(command.answer):
        raise refusals.AnswerMissing
    answered = DirectAnswered(
        answer=command.answer,
        medium=command.medium,
        knowledge_ref=command.knowledge_ref,
        basis=command.basis,
        call_id=command.call_id,
    )
    return [answered, close(order, context, ClosureKind.DIRECT)]


def hold_three_way_call(order: WorkOrder, command: HoldThreeWayCall, context: Context) -> list[Step]:
    """Record a three-way call; closed by it if it settled the matter."""
    guards.in_state(order, *guards.UNDISPATCHED)
    _connectable(command.unit, command.consent, context)
    held = ThreeWayCallHeld(
        unit=command.unit,
        outcome=command.outcome,
        resolved=command.resolved,
        expert_seat=command.expert_seat,
        call_id=command.call_id,
        seconds=command.seconds,
    )
    return [held, close(order, context, ClosureKind.TRANSFERRED)] if command.resolved else [held]


def transfer_call(order: WorkOrder, command: TransferCall, context: Context) -> list[Step]:
    """Record that the call was passed on; closed by it if it settled the matter."""
    guards.in_state(order, *guards.UNDISPATCHED)
    _connectable(command.unit, command.consent, context)
    passed = CallTransferred(
        unit=command.unit,
        outcome=command.outcome,
        resolved=command.resolved,
        sub_centre=command.sub_centre,
        call_id=command.call_id,
    )
    return [passed, close(order, context, ClosureKind.TRANSFERRED)] if command.resolved else [passed]


def _connectable(unit: UnitId, consent: bool, context: Context) -> None:
    if not consent:
        raise refusals.ConsentMissing
    guards.active_unit(unit, context)


def refer_caller(order: WorkOrder, command: ReferCaller, context: Context) -> list[Step]:
    """Tell the caller where to go."""
    guards.in_state(order, *guards.UNDISPATCHED)
    if command.follow_up is not (command.follow_up_by is not None):
        raise refusals.FollowUpDateMissing
    if command.follow_up_by is not None and guards.day_over(context, command.follow_up_by):
        raise refusals.DayHasPassed(f"{command.follow_up_by}")
    referred = CallerReferred(
        unit=command.unit,
        contact=command.contact,
        guidance=command.guidance,
        follow_up=command.follow_up,
        follow_up_by=command.follow_up_by,
    )
    return [referred] if command.follow_up else [referred, close(order, context, ClosureKind.TRANSFERRED)]


def complete_referral(order: WorkOrder, command: CompleteReferral, context: Context) -> list[Step]:
    """Record what the follow-up found."""
    guards.unsealed(order)
    if not 0 < command.referral <= len(order.referrals) or order.referrals[command.referral - 1].followed_up:
        raise refusals.NoSuchReferral(f"{command.referral}")
    found = ReferralFollowedUp(referral=command.referral, result=command.result, settled=command.settled)
    others = [r for r in order.referrals if r.no != command.referral and r.followed_up is None]
    if command.settled and not others and order.state in guards.UNDISPATCHED:
        return [found, close(order, context, ClosureKind.TRANSFERRED)]
    return [found]


def hand_over_emergency(order: WorkOrder, command: HandOverEmergency, context: Context) -> list[Step]:
    """Record the hand-over; it closes where the pack says so and nobody handles the order yet."""
    guards.in_state(order, *guards.OPEN)
    handed = EmergencyHandedOver(
        service=command.service, call_id=command.call_id, receiver=command.receiver, words=command.words
    )
    if order.state in guards.UNDISPATCHED and guards.binding(order, context).options.emergency_handover_closes:
        return [handed, close(order, context, ClosureKind.TRANSFERRED)]
    return [handed]


def notify_emergency(order: WorkOrder, command: NotifyEmergency, context: Context) -> list[Step]:
    """Record who was told of an emergency; also late, never refused for lateness (R-25)."""
    guards.unsealed(order)
    if command.unit is not None and context.law.unit(command.unit) is None:
        raise refusals.UnknownUnit(command.unit)
    return [
        EmergencyNotified(
            recipient=command.recipient,
            medium=command.medium,
            unit=command.unit,
            person=command.person,
            words=command.words,
        )
    ]


def verify_incident(order: WorkOrder, command: VerifyIncident, context: Context) -> list[Step]:
    """Record what a check of the incident found."""
    guards.unsealed(order)
    return [IncidentVerified(verified=command.verified, finding=command.finding, source=command.source)]


def transfer_region(order: WorkOrder, command: TransferRegion, context: Context) -> list[Step]:
    """Hand the order to another region and close it here."""
    guards.in_state(order, *guards.UNDISPATCHED)
    handed = CrossRegionTransferred(
        region=command.region, platform=command.platform, reference=command.reference, words=command.words
    )
    return [handed, close(order, context, ClosureKind.TRANSFERRED)]


def record_transfer_receipt(order: WorkOrder, command: RecordTransferReceipt, context: Context) -> list[Step]:
    """Record the other platform's answer; one that does not take the order leaves reopening to the manager."""
    guards.unsealed(order)
    if not order.links.region:
        raise refusals.NotTransferred
    return [TransferReceiptRecorded(taken=command.taken, reference=command.reference, words=command.words)]


def withdraw(order: WorkOrder, command: Withdraw, context: Context) -> list[Step]:
    """Take the demand back."""
    guards.in_state(order, *guards.OPEN, OrderState.MERGED)
    if context.actor.role is not Role.CITIZEN and not command.identity_checked:
        raise refusals.ApplicantNotVerified
    withdrawn = OrderWithdrawn(words=command.words, medium=command.medium, call_id=command.call_id)
    return [withdrawn, OrderClosed(kind=ClosureKind.WITHDRAWN)]


# --- folding -----------------------------------------------------------------------------------------------------


def _oversight(order: WorkOrder, **changes: object) -> WorkOrder:
    return msgspec.structs.replace(order, oversight=msgspec.structs.replace(order.oversight, **changes))


def on_refusal_proposed(order: WorkOrder, event: RefusalProposed, entry: Entry) -> WorkOrder:
    """Fold the proposal."""
    return propose(order, entry, "refusal")


def on_refusal_rejected(order: WorkOrder, event: RefusalRejected, entry: Entry) -> WorkOrder:
    """Fold the reviewer's no."""
    return settle(order, entry, "refusal", approved=False)


SECRET_TITLE = "涉密, 不予受理"  # noqa: S105  a word, not a password
"""What stands in place of the title once a demand was refused as a state secret."""


def on_not_accepted(order: WorkOrder, event: NotAccepted, entry: Entry) -> WorkOrder:
    """Fold the end of a demand that is not accepted."""
    order = filing.closed(settle(order, entry, "refusal", approved=True), ClosureKind.NOT_ACCEPTED, entry)
    if event.reason is RefusalReason.STATE_SECRET:
        # What was plain is in the ledger for ever; no state, list or page repeats it (S0-9).
        blank = msgspec.structs.replace(order.demand, title=SECRET_TITLE, place="", district="")
        order = msgspec.structs.replace(order, demand=blank)
    return msgspec.structs.replace(order, filing=msgspec.structs.replace(order.filing, refusal=str(event.reason)))


def unchanged(order: WorkOrder, event: Fact, entry: Entry) -> WorkOrder:
    """Fold what no rule asks about: it stays in the history."""
    return order


def on_caller_referred(order: WorkOrder, event: CallerReferred, entry: Entry) -> WorkOrder:
    """Fold a follow-up that the hotline owes; a referral without one is closed by its closure."""
    if not event.follow_up:
        return order
    referral = Referral(
        no=len(order.referrals) + 1, unit=event.unit, referred=mark(entry), follow_up_by=event.follow_up_by
    )
    return msgspec.structs.replace(order, referrals=(*order.referrals, referral))


def on_referral_followed_up(order: WorkOrder, event: ReferralFollowedUp, entry: Entry) -> WorkOrder:
    """Fold the follow-up done."""
    if not 0 < event.referral <= len(order.referrals):
        return order
    done = put(order.referrals, event.referral, followed_up=mark(entry), settled=event.settled)
    return msgspec.structs.replace(order, referrals=done)


def on_emergency_notified(order: WorkOrder, event: EmergencyNotified, entry: Entry) -> WorkOrder:
    """Fold one more recipient told."""
    return _oversight(order, told=order.oversight.told | {str(event.recipient)})


def on_emergency_handed_over(order: WorkOrder, event: EmergencyHandedOver, entry: Entry) -> WorkOrder:
    """Fold the hand-over: whoever hands an emergency to 110 has told 110."""
    if event.service is not EmergencyService.POLICE:
        return order
    return _oversight(order, told=order.oversight.told | {str(EmergencyRecipient.POLICE_110)})


def on_incident_verified(order: WorkOrder, event: IncidentVerified, entry: Entry) -> WorkOrder:
    """Fold the verification."""
    return _oversight(order, incident_verified=mark(entry))


def on_cross_region_transferred(order: WorkOrder, event: CrossRegionTransferred, entry: Entry) -> WorkOrder:
    """Fold where the order went."""
    return msgspec.structs.replace(order, links=msgspec.structs.replace(order.links, region=event.region))


def on_transfer_receipt_recorded(order: WorkOrder, event: TransferReceiptRecorded, entry: Entry) -> WorkOrder:
    """Fold the other platform's answer."""
    received = mark(entry) if event.taken else None
    return msgspec.structs.replace(order, links=msgspec.structs.replace(order.links, region_received=received))


def on_order_withdrawn(order: WorkOrder, event: OrderWithdrawn, entry: Entry) -> WorkOrder:
    """Fold the withdrawal: a merged child no longer follows its master. The closure that comes with it ends the rest."""
    merge = order.links.merge
    if merge is None or merge.undone is not None:
        return order
    undone = msgspec.structs.replace(merge, undone=mark(entry))
    return msgspec.structs.replace(order, links=msgspec.structs.replace(order.links, merge=undone))


# --- the tables --------------------------------------------------------------------------------------------------

DECIDES: Mapping[type[Act], Callable[[WorkOrder, Any, Context], Sequence[Step]]] = {
    ProposeRefusal: propose_refusal,
    RejectRefusal: reject_refusal,
    Refuse: refuse,
    AnswerDirectly: answer_directly,
    HoldThreeWayCall: hold_three_way_call,
    TransferCall: transfer_call,
    ReferCaller: refer_caller,
    CompleteReferral: complete_referral,
    HandOverEmergency: hand_over_emergency,
    NotifyEmergency: notify_emergency,
    VerifyIncident: verify_incident,
    TransferRegion: transfer_region,
    RecordTransferReceipt: record_transfer_receipt,
    Withdraw: withdraw,
}

EVOLVES: Mapping[type[Fact], Callable[[WorkOrder, Any, Entry], WorkOrder]] = {
    RefusalProposed: on_refusal_proposed,
    RefusalRejected: on_refusal_rejected,
    NotAccepted: on_not_accepted,
    DirectAnswered: unchanged,
    ThreeWayCallHeld: unchanged,
    CallTransferred: unchanged,
    CallerReferred: on_caller_referred,
    ReferralFollowedUp: on_referral_followed_up,
    EmergencyHandedOver: on_emergency_handed_over,
    EmergencyNotified: on_emergency_notified,
    IncidentVerified: on_incident_verified,
    CrossRegionTransferred: on_cross_region_transferred,
    TransferReceiptRecorded: on_transfer_receipt_recorded,
    OrderWithdrawn: on_order_withdrawn,
}
