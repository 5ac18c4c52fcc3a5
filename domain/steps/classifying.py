"""① 诉求分类与保密. What kind of demand it is, what it becomes, and how the applicant is protected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from domain import guards, refusals
from domain.context import Context
from domain.state import ClassChange, WorkOrder, pending, propose, settle
from domain.steps.filing import mark
from domain.terms import (
    Act,
    Attributes,
    Citation,
    ClockName,
    Code,
    Confidentiality,
    DemandType,
    Entry,
    Fact,
    Private,
    Role,
    Step,
    UnitId,
)

# --- events ------------------------------------------------------------------------------------------------------


class OrderClassified(Fact, frozen=True, tag="order.order_classified"):
    """诉求分类. What kind of demand it is, as the desk sees it before dispatch."""

    attributes: Attributes
    category: Code = ""  # empty: as registered
    involved_units: int = 0
    accused: tuple[UnitId, ...] = ()  # further units complained of
    words: Private | None = None


class OrderReclassified(Fact, frozen=True, tag="order.order_reclassified"):
    """变更分类. Running limits get shorter with it, but longer only where the hotline's management said so in time."""

    attributes: Attributes
    reason: Private
    lengthens: bool = False  # approved: running limits may get longer
    category: Code = ""
    involved_units: int = 0
    accused: tuple[UnitId, ...] = ()


class ConfidentialitySet(Fact, frozen=True, tag="order.confidentiality_set"):
    """保密设置. Protection raised, asked for by the applicant or ordered by a rule."""

    confidentiality: Confidentiality
    asked_by_applicant: bool = False
    words: Private | None = None
    basis: Citation | None = None


class ConfidentialityLiftProposed(Fact, frozen=True, tag="order.confidentiality_lift_proposed"):
    """提请降低保密类别. One of two persons."""

    confidentiality: Confidentiality
    reason: Private
    basis: Citation | None = None


class ConfidentialityLifted(Fact, frozen=True, tag="order.confidentiality_lifted"):
    """解除保密. The second person agreed."""

    confidentiality: Confidentiality
    words: Private | None = None


class ConfidentialityLiftRejected(Fact, frozen=True, tag="order.confidentiality_lift_rejected"):
    """不同意降低保密类别."""

    words: Private


# --- commands ----------------------------------------------------------------------------------------------------

_DESK = frozenset({Role.AGENT, Role.DISPATCHER, Role.HOTLINE_MANAGER})
_PUBLIC = frozenset({Role.AGENT, Role.CITIZEN})


class Classify(Act, frozen=True, tag="classify"):
    """诉求分类."""

    roles: ClassVar[frozenset[Role]] = _DESK

    attributes: Attributes
    category: Code = ""
    involved_units: int = 0
    accused: tuple[UnitId, ...] = ()
    confidentiality: Confidentiality | None = None  # of a demand that turns out to be a report: informant
    words: Private | None = None


class Reclassify(Act, frozen=True, tag="reclassify"):
    """变更分类. After dispatch, and wherever a running limit gets longer, the hotline's management decides."""

    roles: ClassVar[frozenset[Role]] = _DESK

    attributes: Attributes
    reason: Private
    lengthens: bool = False
    category: Code = ""
    involved_units: int = 0
    accused: tuple[UnitId, ...] = ()
    confidentiality: Confidentiality | None = None


class SetConfidentiality(Act, frozen=True, tag="set_confidentiality"):
    """保密设置."""

    roles: ClassVar[frozenset[Role]] = _PUBLIC | {Role.QC_REVIEWER}

    confidentiality: Confidentiality
    words: Private | None = None
    basis: Citation | None = None


class ProposeLiftConfidentiality(Act, frozen=True, tag="propose_lift_confidentiality"):
    """提请降低保密类别."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.QC_REVIEWER, Role.SUPERVISOR})

    confidentiality: Confidentiality
    reason: Private
    basis: Citation | None = None


class LiftConfidentiality(Act, frozen=True, tag="lift_confidentiality"):
    """解除保密, as proposed by another person."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.SUPERVISOR, Role.HOTLINE_MANAGER})

    words: Private | None = None


class RejectLiftConfidentiality(Act, frozen=True, tag="reject_lift_confidentiality"):
    """不同意降低保密类别."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.SUPERVISOR, Role.HOTLINE_MANAGER})

    words: Private


# --- deciding: classifying ---------------------------------------------------------------------------------------


def _protected(order: WorkOrder, command: Classify | Reclassify) -> list[Step]:
    """Return what protects the informant of a demand that turns out to be a report. Raises InformantUnprotected.

    The command says so itself, because the door wraps an informant's keys by what the command says.
    """
    report = command.attributes.demand_type is DemandType.REPORT
    if not report or order.confidentiality is Confidentiality.INFORMANT:
        return []
    if command.confidentiality is not Confidentiality.INFORMANT:
        raise refusals.InformantUnprotected
    return [ConfidentialitySet(confidentiality=Confidentiality.INFORMANT)]


def classify(order: WorkOrder, command: Classify, context: Context) -> list[Step]:
    """Say before dispatch what kind of demand it is; a lower class leaves running limits as they are (8.5)."""
    guards.in_state(order, *guards.UNDISPATCHED)
    guards.plain(command.category)
    guards.units_known(command.accused, context)
    classified = OrderClassified(
        attributes=command.attributes,
        category=command.category,
        involved_units=command.involved_units,
        accused=command.accused,
        words=command.words,
    )
    return [classified, *_protected(order, command)]


def reclassify(order: WorkOrder, command: Reclassify, context: Context) -> list[Step]:
    """Change the class. Raising it is possible at any time; lengthening a limit only in time and by the management."""
    guards.in_state(order, *guards.OPEN)
    manager = context.actor.role is Role.HOTLINE_MANAGER
    if not manager and (command.lengthens or order.state not in guards.UNDISPATCHED):
        raise refusals.NotHotlineManager
    if not guards.said(command.reason):
        raise refusals.ReasonMissing
    guards.plain(command.category)
    guards.units_known(command.accused, context)
    said_anew = command.category or command.involved_units or command.accused
    if command.attributes == order.attributes and not said_anew:
        raise refusals.NothingChanged
    if command.lengthens:
        dispatched = order.running is not None
        key = f"e{order.episodes[-1].no}" if dispatched else None
        running = guards.clock(order, context, ClockName.HANDLE if dispatched else ClockName.DISPATCH, key)
        if running is not None and running.running and context.passed(running.due):
            raise refusals.ReclassifiedAfterDue(f"due: {running.due}")
    reclassified = OrderReclassified(
        attributes=command.attributes,
        reason=command.reason,
        lengthens=command.lengthens,
        category=command.category,
        involved_units=command.involved_units,
        accused=command.accused,
    )
    return [reclassified, *_protected(order, command)]


# --- deciding: protecting ----------------------------------------------------------------------------------------


_PROTECTION = (
    Confidentiality.NORMAL,
    Confidentiality.PRIVACY,
    Confidentiality.TRADE_SECRET,
    Confidentiality.INFORMANT,
)


def set_confidentiality(order: WorkOrder, command: SetConfidentiality, context: Context) -> list[Step]:
    """Raise the protection; in any state, until the file is sealed."""
    guards.unsealed(order)
    if command.confidentiality is order.confidentiality:
        raise refusals.NothingChanged
    if _PROTECTION.index(command.confidentiality) < _PROTECTION.index(order.confidentiality):
        raise refusals.ConfidentialityOnlyRaised(f"{order.confidentiality} → {command.confidentiality}")
    return [
        ConfidentialitySet(
            confidentiality=command.confidentiality,
            asked_by_applicant=context.actor.role is Role.CITIZEN,
            words=command.words,
            basis=command.basis,
        )
    ]


def propose_lift(order: WorkOrder, command: ProposeLiftConfidentiality, context: Context) -> list[Step]:
    """Propose less protection; another person decides."""
    guards.unsealed(order)
    if _PROTECTION.index(command.confidentiality) >= _PROTECTION.index(order.confidentiality):
        raise refusals.NothingChanged(f"{order.confidentiality} → {command.confidentiality}")
    if pending(order, "lift_confidentiality") is not None:
        raise refusals.ProposalPending("lift_confidentiality")
    if not guards.said(command.reason):
        raise refusals.ReasonMissing
    return [
        ConfidentialityLiftProposed(confidentiality=command.confidentiality, reason=command.reason, basis=command.basis)
    ]


def _lift(order: WorkOrder, context: Context) -> ConfidentialityLiftProposed:
    proposal = pending(order, "lift_confidentiality")
    if proposal is None or not isinstance(proposal.content, ConfidentialityLiftProposed):
        raise refusals.NoSuchProposal("lift_confidentiality")
    guards.another_person(context, proposal.by)
    return proposal.content


def lift_confidentiality(order: WorkOrder, command: LiftConfidentiality, context: Context) -> list[Step]:
    """Agree to less protection."""
    guards.unsealed(order)
    proposed = _lift(order, context)
    return [ConfidentialityLifted(confidentiality=proposed.confidentiality, words=command.words)]


def reject_lift(order: WorkOrder, command: RejectLiftConfidentiality, context: Context) -> list[Step]:
    """Keep the protection."""
    guards.unsealed(order)
    _lift(order, context)
    if not guards.said(command.words):
        raise refusals.ReasonMissing
    return [ConfidentialityLiftRejected(words=command.words)]


# --- folding -----------------------------------------------------------------------------------------------------


def on_classified(order: WorkOrder, event: OrderClassified | OrderReclassified, entry: Entry) -> WorkOrder:
    """Fold the class; where it changed, since when and whether limits may get longer by it."""
    accused = tuple(dict.fromkeys((*order.demand.accused, *event.accused)))
    demand = msgspec.structs.replace(
        order.demand,
        category=event.category or order.demand.category,
        involved_units=event.involved_units or order.demand.involved_units,
        accused=accused,
    )
    changes = order.changes
    if event.attributes != order.attributes:
        lengthens = isinstance(event, OrderReclassified) and event.lengthens
        change = ClassChange(at=mark(entry), before=order.attributes, after=event.attributes, lengthens=lengthens)
        changes = (*changes, change)
    return msgspec.structs.replace(order, demand=demand, attributes=event.attributes, changes=changes)


def on_confidentiality_set(order: WorkOrder, event: ConfidentialitySet, entry: Entry) -> WorkOrder:
    """Fold the protection."""
    return msgspec.structs.replace(order, confidentiality=event.confidentiality)


def on_lift_proposed(order: WorkOrder, event: ConfidentialityLiftProposed, entry: Entry) -> WorkOrder:
    """Fold the proposal."""
    return propose(order, entry, "lift_confidentiality", content=event)


def on_confidentiality_lifted(order: WorkOrder, event: ConfidentialityLifted, entry: Entry) -> WorkOrder:
    """Fold the protection lowered."""
    order = settle(order, entry, "lift_confidentiality", approved=True)
    return msgspec.structs.replace(order, confidentiality=event.confidentiality)


def on_lift_rejected(order: WorkOrder, event: ConfidentialityLiftRejected, entry: Entry) -> WorkOrder:
    """Fold the protection kept."""
    return settle(order, entry, "lift_confidentiality", approved=False)


# --- the tables --------------------------------------------------------------------------------------------------

DECIDES: Mapping[type[Act], Callable[[Any, Any, Context], Sequence[Step]]] = {
    Classify: classify,
    Reclassify: reclassify,
    SetConfidentiality: set_confidentiality,
    ProposeLiftConfidentiality: propose_lift,
    LiftConfidentiality: lift_confidentiality,
    RejectLiftConfidentiality: reject_lift,
}

EVOLVES: Mapping[type[Fact], Callable[[Any, Any, Entry], WorkOrder]] = {
    OrderClassified: on_classified,
    OrderReclassified: on_classified,
    ConfidentialitySet: on_confidentiality_set,
    ConfidentialityLiftProposed: on_lift_proposed,
    ConfidentialityLifted: on_confidentiality_lifted,
    ConfidentialityLiftRejected: on_lift_rejected,
}
