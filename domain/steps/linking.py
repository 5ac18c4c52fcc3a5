"""① 重复与并单. The same matter again: linked, merged, asked after, urged; and what other platforms were told of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from domain import guards, refusals
from domain.context import Context
from domain.state import Merge as Following
from domain.state import WorkOrder, latest_episode, waited
from domain.steps import triage
from domain.steps.filing import mark
from domain.terms import (
    Act,
    Channel,
    ClosureKind,
    Code,
    Confidentiality,
    Digest,
    Entry,
    Fact,
    Medium,
    OrderState,
    Private,
    Role,
    Step,
    To,
)

# --- events ------------------------------------------------------------------------------------------------------


class DuplicateLinked(Fact, frozen=True, tag="order.duplicate_linked"):
    """重复关联. The same matter is on record; without new facts the applicant is told how that one stands (R-30)."""

    original: UUID
    new_facts: bool = False
    told: Medium | None = None
    words: Private | None = None


class OrdersMerged(Fact, frozen=True, tag="order.orders_merged"):
    """并单. This order follows another about the same matter; its applicant is told that one's result (R-29)."""

    master: UUID
    reason: Private | None = None


class ChildMerged(Fact, frozen=True, tag="order.child_merged"):
    """并入子单. Another order follows this one."""

    child: UUID


class OrderUnmerged(Fact, frozen=True, tag="order.order_unmerged"):
    """撤销并单. The order goes its own way again, its clocks with their original starts (8.4)."""

    master: UUID
    reason: Private


class ChildUnmerged(Fact, frozen=True, tag="order.child_unmerged"):
    """撤销并入. A child goes its own way again."""

    child: UUID


class ApplicantInquired(Fact, frozen=True, tag="order.applicant_inquired"):
    """诉求人查询. Asked how it stands; limit and count unchanged."""

    channel: Channel | None = None
    call_id: Code = ""
    words: Private | None = None
    answer: Private | None = None


class ApplicantUrged(Fact, frozen=True, tag="order.applicant_urged"):
    """催单. The applicant presses; shown on the unit's list."""

    channel: Channel | None = None
    call_id: Code = ""
    words: Private | None = None


class ExternalPushRecorded(Fact, frozen=True, tag="order.external_push_recorded"):
    """数据推送. Another platform was told of a step of this order (S0-4, S3-9)."""

    platform: Code
    about: Code  # the step told of
    reference: Code = ""
    digest: Digest | None = None  # of what was sent
    failed: Code = ""  # why it did not arrive; empty: it did


# --- commands ----------------------------------------------------------------------------------------------------


_PUBLIC = frozenset({Role.AGENT, Role.CITIZEN})


class LinkDuplicate(Act, frozen=True, tag="link_duplicate"):
    """重复关联. With new facts only a link; without, the applicant is told and the order follows the first or closes."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.AGENT})

    original: UUID
    new_facts: bool
    told: Medium | None = None
    words: Private | None = None

    def reads(self) -> tuple[str, ...]:
        """Return the order that was first."""
        return (f"order:{self.original}",)


class Merge(Act, frozen=True, tag="merge"):
    """并单. Addressed to the order that is to follow."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.DISPATCHER, Role.HOTLINE_MANAGER})

    master: UUID
    reason: Private | None = None

    def reads(self) -> tuple[str, ...]:
        """Return the order to follow."""
        return (f"order:{self.master}",)


class Unmerge(Act, frozen=True, tag="unmerge"):
    """撤销并单."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.DISPATCHER, Role.HOTLINE_MANAGER})

    master: UUID
    reason: Private

    def reads(self) -> tuple[str, ...]:
        """Return the order that was followed."""
        return (f"order:{self.master}",)


class Inquire(Act, frozen=True, tag="inquire"):
    """诉求人查询."""

    roles: ClassVar[frozenset[Role]] = _PUBLIC

    channel: Channel | None = None
    call_id: Code = ""
    words: Private | None = None
    answer: Private | None = None


class Urge(Act, frozen=True, tag="urge"):
    """催单."""

    roles: ClassVar[frozenset[Role]] = _PUBLIC

    channel: Channel | None = None
    call_id: Code = ""
    words: Private | None = None


class RecordExternalPush(Act, frozen=True, tag="record_external_push"):
    """登记数据推送."""

    roles: ClassVar[frozenset[Role]] = frozenset({Role.SYSTEM, Role.DISPATCHER})

    platform: Code
    about: Code
    reference: Code = ""
    digest: Digest | None = None
    failed: Code = ""


# --- deciding ----------------------------------------------------------------------------------------------------


def _other(stream_of: UUID, context: Context) -> WorkOrder:
    found: WorkOrder | None = context.other(f"order:{stream_of}")
    if found is None:
        raise refusals.UnknownOrder(f"{stream_of}")
    return found


def link_duplicate(order: WorkOrder, command: LinkDuplicate, context: Context) -> list[Step]:
    """Tie a repeated demand to the first; without new facts it follows that one, or is closed once told its end."""
    guards.in_state(order, *guards.UNDISPATCHED)
    original = _other(command.original, context)
    if original.id == order.id:
        raise refusals.MergeWithItself
    linked = DuplicateLinked(original=original.id, new_facts=command.new_facts, told=command.told, words=command.words)
    if command.new_facts:
        return [linked]
    if command.told is None:
        raise refusals.DuplicateNotTold
    if original.is_open:
        return [linked, *_merged(order, original, None)]
    _mergeable(order, original)
    return [linked, triage.close(order, context, ClosureKind.MERGED)]


def _mergeable(child: WorkOrder, master: WorkOrder) -> None:
    if Confidentiality.INFORMANT in (child.confidentiality, master.confidentiality):
        raise refusals.InformantNeverMerged


def _merged(child: WorkOrder, master: WorkOrder, reason: Private | None) -> list[Step]:
    if child.id == master.id:
        raise refusals.MergeWithItself
    _mergeable(child, master)
    if not master.is_open or master.state is OrderState.MERGED:
        raise refusals.MasterNotOpen(f"{master.state}")
    return [OrdersMerged(master=master.id, reason=reason), To(f"order:{master.id}", ChildMerged(child=child.id))]


def merge(order: WorkOrder, command: Merge, context: Context) -> list[Step]:
    """Let an order that nobody works on yet follow another about the same matter."""
    guards.in_state(order, *guards.UNDISPATCHED, OrderState.DISPATCHED)
    return _merged(order, _other(command.master, context), command.reason)


def unmerge(order: WorkOrder, command: Unmerge, context: Context) -> list[Step]:
    """Let a merged order go its own way again."""
    guards.in_state(order, OrderState.MERGED)
    merge = order.links.merge
    if merge is None or merge.undone is not None or merge.master != command.master:
        raise refusals.NotTheMaster
    if not guards.said(command.reason):
        raise refusals.ReasonMissing
    undone = OrderUnmerged(master=command.master, reason=command.reason)
    master = _other(command.master, context)
    if master.filing.sealed is not None:  # a sealed file takes no more events; the child's own says it all
        return [undone]
    return [undone, To(f"order:{command.master}", ChildUnmerged(child=order.id))]


def inquire(order: WorkOrder, command: Inquire, context: Context) -> list[Step]:
    """Record that the applicant asked how it stands."""
    guards.in_state(order, *guards.OPEN, OrderState.MERGED)
    return [
        ApplicantInquired(channel=command.channel, call_id=command.call_id, words=command.words, answer=command.answer)
    ]


def urge(order: WorkOrder, command: Urge, context: Context) -> list[Step]:
    """Record that the applicant pressed."""
    guards.in_state(order, *guards.OPEN, OrderState.MERGED)
    return [ApplicantUrged(channel=command.channel, call_id=command.call_id, words=command.words)]


def record_external_push(order: WorkOrder, command: RecordExternalPush, context: Context) -> list[Step]:
    """Record what another platform was told."""
    guards.unsealed(order)
    return [
        ExternalPushRecorded(
            platform=command.platform,
            about=command.about,
            reference=command.reference,
            digest=command.digest,
            failed=command.failed,
        )
    ]


# --- folding -----------------------------------------------------------------------------------------------------


def _links(order: WorkOrder, **changes: object) -> WorkOrder:
    return msgspec.structs.replace(order, links=msgspec.structs.replace(order.links, **changes))


def on_duplicate_linked(order: WorkOrder, event: DuplicateLinked, entry: Entry) -> WorkOrder:
    """Fold the link."""
    return _links(order, duplicate_of=event.original)


def on_orders_merged(order: WorkOrder, event: OrdersMerged, entry: Entry) -> WorkOrder:
    """Fold that the order follows another: what ran for it is cancelled, and kept so that it can run again."""
    at = mark(entry)
    merge = Following(master=event.master, at=at, state_before=order.state)
    order = msgspec.structs.replace(order, waits=waited(order, "merged", at))
    last = order.episode
    if last is not None and last.ended is None:
        held = tuple(a if a.ended is not None else msgspec.structs.replace(a, ended=at) for a in last.assignments)
        order = latest_episode(order, ended=at, ended_as="merged", assignments=held)
    before = order.links.merge
    earlier = order.links.earlier_merges if before is None else (*order.links.earlier_merges, before)
    return msgspec.structs.replace(_links(order, merge=merge, earlier_merges=earlier), state=OrderState.MERGED)


def on_child_merged(order: WorkOrder, event: ChildMerged, entry: Entry) -> WorkOrder:
    """Fold one more order that follows."""
    if event.child in order.links.merged_children:
        return order
    return _links(order, merged_children=(*order.links.merged_children, event.child))


def on_order_unmerged(order: WorkOrder, event: OrderUnmerged, entry: Entry) -> WorkOrder:
    """Fold that the order goes its own way again, as it was: waiting and episode run from their original starts."""
    merge = order.links.merge
    if merge is None or merge.undone is not None:
        return order
    waits = tuple(
        msgspec.structs.replace(w, until=None, by="") if w.by == "merged" and w.until == merge.at else w
        for w in order.waits
    )
    order = _links(order, merge=msgspec.structs.replace(merge, undone=mark(entry)))
    order = msgspec.structs.replace(order, waits=waits, state=merge.state_before)
    last = order.episode
    if last is None or last.ended_as != "merged" or last.ended != merge.at:
        return order
    held = tuple(msgspec.structs.replace(a, ended=None) if a.ended == merge.at else a for a in last.assignments)
    return latest_episode(order, ended=None, ended_as="", assignments=held)


def on_child_unmerged(order: WorkOrder, event: ChildUnmerged, entry: Entry) -> WorkOrder:
    """Fold that one order less follows."""
    return _links(order, merged_children=tuple(c for c in order.links.merged_children if c != event.child))


def on_applicant_inquired(order: WorkOrder, event: ApplicantInquired, entry: Entry) -> WorkOrder:
    """Fold one more inquiry."""
    seen = msgspec.structs.replace(order.oversight, inquired=order.oversight.inquired + 1)
    return msgspec.structs.replace(order, oversight=seen)


def on_applicant_urged(order: WorkOrder, event: ApplicantUrged, entry: Entry) -> WorkOrder:
    """Fold one more urging."""
    seen = msgspec.structs.replace(order.oversight, urged=order.oversight.urged + 1)
    return msgspec.structs.replace(order, oversight=seen)


# --- the tables --------------------------------------------------------------------------------------------------

DECIDES: Mapping[type[Act], Callable[[WorkOrder, Any, Context], Sequence[Step]]] = {
    LinkDuplicate: link_duplicate,
    Merge: merge,
    Unmerge: unmerge,
    Inquire: inquire,
    Urge: urge,
    RecordExternalPush: record_external_push,
}

EVOLVES: Mapping[type[Fact], Callable[[WorkOrder, Any, Entry], WorkOrder]] = {
    DuplicateLinked: on_duplicate_linked,
    OrdersMerged: on_orders_merged,
    ChildMerged: on_child_merged,
    OrderUnmerged: on_order_unmerged,
    ChildUnmerged: on_child_unmerged,
    ApplicantInquired: on_applicant_inquired,
    ApplicantUrged: on_applicant_urged,
    ExternalPushRecorded: triage.unchanged,
}
