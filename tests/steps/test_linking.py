"""① Duplicates, merging, and the applicant's further calls."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain import refusals
from domain.state import WorkOrder
from domain.steps.filing import OrderClosed
from domain.steps.linking import (
    ApplicantInquired,
    ApplicantUrged,
    ChildMerged,
    ChildUnmerged,
    DuplicateLinked,
    ExternalPushRecorded,
    Inquire,
    LinkDuplicate,
    Merge,
    OrdersMerged,
    OrderUnmerged,
    RecordExternalPush,
    Unmerge,
    Urge,
)
from domain.terms import ClockName, ClosureKind, Confidentiality, Mark, Medium, OrderState, To
from tests.given import AGENT, CITIZEN, DISPATCHER, ORDER, SYSTEM, Case, at, dispatched, given, registered, working

MASTER = UUID("019777c0-0000-7000-8000-000000000002")
STREAM = f"order:{MASTER}"


def first(order: WorkOrder | None = None, **changes: Any) -> dict[str, WorkOrder]:
    """The order that was first, as another stream to read."""
    return {STREAM: msgspec.structs.replace(order or working(), id=MASTER, stream=STREAM, **changes)}


def beside(order: WorkOrder, **changes: Any) -> Case:
    return given(order).beside(first(**changes))


AGAIN = LinkDuplicate(original=MASTER, new_facts=False, told=Medium.PHONE)


def test_a_repeated_demand_without_new_facts_follows_the_first_and_its_applicant_is_told():
    case = beside(registered())
    linked, merged, to = case.when(AGAIN, by=AGENT).decide()
    assert isinstance(linked, DuplicateLinked)
    assert isinstance(merged, OrdersMerged)
    assert to == To(STREAM, ChildMerged(child=ORDER))
    followed = case.does(AGAIN, by=AGENT)
    assert followed.order.state is OrderState.MERGED
    assert followed.order.links.duplicate_of == MASTER
    assert followed.clock(ClockName.DISPATCH).stop is not None
    case.when(msgspec.structs.replace(AGAIN, told=None), by=AGENT).refused(refusals.DuplicateNotTold)


def test_a_repeated_demand_whose_first_is_closed_is_closed_once_its_applicant_knows_the_end():
    ended = msgspec.structs.replace(working().filing, closed=Mark(at("2025-06-16 09:00"), 9))
    case = beside(registered(), filing=ended, state=OrderState.CLOSED)
    closed = case.when(AGAIN, by=AGENT).then(DuplicateLinked, OrderClosed)
    assert closed.order.filing.kind is ClosureKind.MERGED


def test_a_repeated_demand_with_new_facts_is_only_linked():
    case = beside(registered()).when(msgspec.structs.replace(AGAIN, new_facts=True), by=AGENT).then(DuplicateLinked)
    assert case.order.state is OrderState.AWAITING_DISPATCH


def test_an_order_is_no_duplicate_of_itself_or_of_nothing():
    case = given(registered())
    case.when(AGAIN, by=AGENT).refused(refusals.UnknownOrder)
    itself = LinkDuplicate(original=ORDER, new_facts=True)
    case.beside({f"order:{ORDER}": registered()}).when(itself, by=AGENT).refused(refusals.MergeWithItself)


def test_a_merged_order_stops_its_own_clocks_and_the_master_knows_it():
    case = beside(dispatched())
    merged = case.at("2025-06-16 10:00").when(Merge(master=MASTER), by=DISPATCHER).then(OrdersMerged, To)
    assert merged.order.state is OrderState.MERGED
    assert merged.clock(ClockName.HANDLE).cancel is not None
    master = given(working()).after(ChildMerged(child=ORDER), ChildMerged(child=ORDER))
    assert master.order.links.merged_children == (ORDER,)
    assert master.after(ChildUnmerged(child=ORDER)).order.links.merged_children == ()


@pytest.mark.parametrize("state", ["waiting", "dispatched"])
def test_an_order_that_goes_its_own_way_again_has_its_clocks_with_their_original_starts(state: str):
    order = registered("S4-BEIJING") if state == "waiting" else dispatched("S4-BEIJING")
    case = beside(order)
    merged = case.at("2025-06-16 10:00").does(Merge(master=MASTER), by=DISPATCHER)
    apart = merged.at("2025-06-16 12:00").when(Unmerge(master=MASTER, reason="并非同一事项"), by=DISPATCHER)
    again = apart.then(OrderUnmerged, To)
    assert again.order.state is order.state
    name = ClockName.DISPATCH if state == "waiting" else ClockName.HANDLE
    assert again.clock(name).running
    assert again.clock(name).due == case.clock(name).due
    assert again.order.episodes == order.episodes


def test_unmerging_names_the_master_and_a_reason_and_leaves_a_sealed_file_alone():
    merged = beside(registered()).does(Merge(master=MASTER), by=DISPATCHER)
    apart = Unmerge(master=MASTER, reason="并非同一事项")
    merged.when(msgspec.structs.replace(apart, master=ORDER), by=DISPATCHER).refused(refusals.NotTheMaster)
    merged.when(msgspec.structs.replace(apart, reason=""), by=DISPATCHER).refused(refusals.ReasonMissing)
    sealed = msgspec.structs.replace(working().filing, sealed=Mark(at("2025-06-16 09:00"), 9))
    merged.beside(first(filing=sealed)).when(apart, by=DISPATCHER).then(OrderUnmerged)
    given(registered()).when(apart, by=DISPATCHER).refused(refusals.WrongState)


def test_only_an_order_nobody_works_on_follows_and_only_one_that_is_open():
    beside(working()).when(Merge(master=MASTER), by=DISPATCHER).refused(refusals.WrongState)
    merge = Merge(master=MASTER)
    beside(registered(), state=OrderState.MERGED).when(merge, by=DISPATCHER).refused(refusals.MasterNotOpen)
    closed = msgspec.structs.replace(working().filing, closed=Mark(at("2025-06-16 09:00"), 9))
    beside(registered(), filing=closed).when(merge, by=DISPATCHER).refused(refusals.MasterNotOpen)


def test_an_order_does_not_follow_itself_and_history_may_undo_what_it_never_told():
    itself = given(registered()).beside({f"order:{ORDER}": registered()})
    itself.when(Merge(master=ORDER), by=DISPATCHER).refused(refusals.MergeWithItself)
    apart = OrderUnmerged(master=MASTER, reason="并非同一事项")
    assert given(registered()).after(apart).order.state is OrderState.AWAITING_DISPATCH


def test_a_protected_informants_order_is_never_merged_visibly():
    hidden = Confidentiality.INFORMANT
    beside(registered(confidentiality=hidden)).when(Merge(master=MASTER), by=DISPATCHER).refused(
        refusals.InformantNeverMerged
    )
    beside(registered(), confidentiality=hidden).when(AGAIN, by=AGENT).refused(refusals.InformantNeverMerged)


def test_asking_and_urging_change_neither_limit_nor_state():
    case = given(working())
    due = case.clock(ClockName.HANDLE).due
    asked = case.when(Inquire(answer="正在办理"), by=CITIZEN).then(ApplicantInquired)
    urged = asked.when(Urge(words="请尽快"), by=AGENT).then(ApplicantUrged)
    assert (urged.order.oversight.inquired, urged.order.oversight.urged) == (1, 1)
    assert urged.clock(ClockName.HANDLE).due == due
    assert urged.order.state is OrderState.WORKING
    closed = case.having(state=OrderState.CLOSED)
    closed.when(Inquire(), by=CITIZEN).refused(refusals.WrongState)
    closed.when(Urge(), by=CITIZEN).refused(refusals.WrongState)


def test_what_another_platform_was_told_stays_in_the_history():
    push = RecordExternalPush(platform="国家平台", about="dispatched", reference="G-1")
    case = given(working())
    assert case.when(push, by=SYSTEM).then(ExternalPushRecorded).order.state is OrderState.WORKING
    sealed = msgspec.structs.replace(case.order.filing, sealed=Mark(at("2025-06-16 09:00"), 9))
    case.having(filing=sealed).when(push, by=SYSTEM).refused(refusals.OrderSealed)
