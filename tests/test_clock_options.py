"""What a city may decide otherwise about its clocks: each option moves a due instant, and only as it says."""

from __future__ import annotations

from datetime import datetime

import msgspec

from domain.law import Law, Peak
from domain.state import Return, WorkOrder, put
from domain.steps.answering import ReplySubmitted
from domain.terms import ClockName, Informing, Mark, Outcome, ReturnGround
from tests.given import Case, at, dispatched, given, registered, working

S0, S1, S4 = "S0-CHUANYU", "S1-CHENGDU", "S4-BEIJING"


def due(case: Case, name: ClockName, key: str | None = None) -> datetime:
    found = case.clock(name, key).due
    assert found is not None
    return found


def with_peak(law: Law) -> Law:
    return msgspec.structs.replace(law, peaks={1: Peak(from_at=at("2025-06-16 20:00"), until=at("2025-06-17 20:00"))})


def seen(case: Case, law: Law) -> Case:
    return Case(case.order, law, case.now)


def test_a_peak_that_begins_while_an_order_waits_lengthens_nothing_by_default() -> None:
    case = given(registered(S4, "2025-06-16 08:00"))
    assert due(seen(case, with_peak(case.law)), ClockName.DISPATCH) == at("2025-06-17 08:00")


def test_a_peak_that_begins_while_an_order_waits_counts_where_any_overlap_does() -> None:
    case = given(registered(S4, "2025-06-16 08:00")).under(peak_basis="any_overlap")
    assert due(seen(case, with_peak(case.law)), ClockName.DISPATCH) == at("2025-06-18 08:00")


def test_a_peak_after_the_dispatch_overlaps_nothing() -> None:
    case = given(dispatched(S4, "2025-06-16 12:00")).under(peak_basis="any_overlap")
    assert due(seen(case, with_peak(case.law)), ClockName.DISPATCH) == at("2025-06-17 08:00")


def returned_once(order: WorkOrder) -> WorkOrder:
    """Give the order's first episode an end by return on 2025-06-17, and a second dispatch a day later."""
    first = order.episodes[0]
    asked, decided = Mark(at("2025-06-17 10:00"), 3), Mark(at("2025-06-17 15:00"), 4)
    request = Return(
        no=1,
        assignment=1,
        unit="B",
        by="b-approver",
        ground=ReturnGround.NOT_OUR_DUTY,
        requested=asked,
        decided=decided,
        approved=True,
    )
    ended = msgspec.structs.replace(first, returns=(request,), ended=decided, ended_as="returned")
    again = msgspec.structs.replace(first, no=2, begun=Mark(at("2025-06-18 09:00"), 5))
    return msgspec.structs.replace(order, episodes=(ended, again))


def test_each_unit_has_the_whole_window_for_returning_by_default() -> None:
    case = given(returned_once(dispatched(S0, "2025-06-16 09:00")))
    assert due(case, ClockName.RETURN, "e2") == at("2025-06-21 00:00")


def test_units_share_one_window_for_returning_where_the_city_counts_per_order() -> None:
    case = given(returned_once(dispatched(S0, "2025-06-16 09:00"))).under(return_scope="per_order")
    assert due(case, ClockName.RETURN, "e2") == at("2025-06-20 00:00")  # one working day was spent


def replied(pack: str) -> Case:
    reply = ReplySubmitted(
        assignment=1, unit="B", outcome=Outcome.RESOLVED, public_answer="已办", informing=Informing.TRIED
    )
    return given(working(pack, "2025-06-16 09:00")).at("2025-06-17 10:00").after(reply)


def test_without_having_been_told_nobody_has_a_window_to_evaluate_in() -> None:
    case = replied(S1)
    assert case.no_clock(ClockName.EVAL_WINDOW)


def test_a_city_may_let_the_window_run_from_the_reply_alone() -> None:
    case = replied(S1).under(deem_requires_informed=False)
    assert due(case, ClockName.EVAL_WINDOW) == at("2025-06-25 00:00")


def sent_back(**options: object) -> Case:
    case = replied(S0).under(**options)
    reviewed = Mark(at("2025-07-07 16:00"), 9)
    return case.having(replies=put(case.order.replies, 1, reviewed=reviewed, accepted=False))


def test_a_reply_sent_back_leaves_the_original_due_by_default() -> None:
    assert due(sent_back(), ClockName.HANDLE) == at("2025-07-08 00:00")


def test_a_city_may_give_time_for_correction() -> None:
    assert due(sent_back(sent_back_due="correction"), ClockName.HANDLE) == at("2025-07-09 00:00")


def test_an_office_that_closes_at_six_has_its_days_end_at_six() -> None:
    case = given(dispatched(S0, "2025-06-16 09:00")).under(day_end="18:00")
    assert due(case, ClockName.TRANSFER) == at("2025-06-17 18:00")


def test_natural_days_may_roll_to_the_next_working_day() -> None:
    plain = given(dispatched(S4, "2025-06-14 09:00"))
    assert due(plain, ClockName.HANDLE) == at("2025-06-22 00:00")  # 7 natural days, ending on a Saturday
    assert due(plain.under(roll_natural_days=True), ClockName.HANDLE) == at("2025-06-24 00:00")
