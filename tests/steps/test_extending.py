"""③ Asking for more time, granting it, telling the applicant."""

from typing import Any

import msgspec
import pytest

from domain import refusals
from domain.clocks import Status
from domain.state import Reply as ReplyOf
from domain.steps.answering import ReplySubmitted
from domain.steps.extending import (
    DecideExtension,
    ExtensionApproved,
    ExtensionInformed,
    ExtensionRejected,
    ExtensionRequested,
    InformExtension,
    RequestExtension,
)
from domain.steps.handling import AssignmentSigned
from domain.terms import (
    Actor,
    ClockName,
    Limit,
    LimitUnit,
    Mark,
    Medium,
    Number,
    OrderState,
    Outcome,
    Role,
    Urgency,
)
from tests.given import (
    AGENT,
    APPROVER,
    BASIS,
    DISPATCHER,
    HANDLER,
    MANAGER,
    PARENT,
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

ASK = RequestExtension(days=10, reason="需开挖路面")
GRANT = DecideExtension(extension=1, approve=True)
DENY = DecideExtension(extension=1, approve=False, reason="无需延期")
TELL = InformExtension(extension=1, medium=Medium.PHONE, progress="已开挖")
COLLEAGUE = Actor(user="b-deputy", role=Role.ORG_APPROVER, unit="B")


def t25() -> Case:
    """S0, non-consultation, dispatched Mon 2025-09-15; asked on Sat 2025-10-11 (a working day) at 23:50."""
    return given(working(when="2025-09-15 09:00")).at("2025-10-11 23:50").does(ASK, by=APPROVER)


def mayor(**said: Any) -> Case:
    return given(working("S2-CHONGQING-MPT", "2025-09-01 09:00", **said)).at("2025-09-02 09:00")


class TestTheOldDue:
    def test_what_was_answered_late_is_not_cured_by_an_extension(self):
        order = t25().order
        late = Mark(at("2025-10-14 09:00"), 90)  # the decision was due on 10-13
        reply = ReplyOf(
            no=1, round=1, episode=1, unit="B", submitted=late, outcome=Outcome.RESOLVED, counted_informed=late
        )
        case = given(order).having(replies=(reply,), state=OrderState.REPLIED).at("2025-10-14 10:00")
        case.when(DecideExtension(extension=1, approve=True), by=PARENT).refused(refusals.ExtensionAfterDue)

    def test_who_dispatched_the_order_does_not_decide_its_extension(self):  # 4.1
        case = mayor().does(RequestExtension(days=5, reason="需开挖路面"), by=APPROVER)
        same = msgspec.structs.replace(MANAGER, user=DISPATCHER.user)
        case.when(DecideExtension(extension=1, approve=True), by=same).refused(refusals.SelfApproval)
        case.when(DecideExtension(extension=1, approve=True), by=MANAGER).then(ExtensionApproved)


class TestAsking:
    def test_a_request_says_which_limit_it_wants_moved(self):
        case = given(working(when="2025-09-15 09:00")).at("2025-10-11 23:50").when(ASK, by=APPROVER)
        due = at("2025-10-12 00:00")
        case.then(ExtensionRequested(assignment=1, unit="B", days=10, reason="需开挖路面", due=due))

    def test_it_does_not_move_the_limit_but_keeps_it_from_being_overdue(self):
        case = t25().at("2025-10-12 10:00")
        assert case.clock(ClockName.HANDLE).due == at("2025-10-12 00:00")
        assert case.clock(ClockName.HANDLE).status(case.now) is Status.PENDING_EXTENSION

    def test_after_the_due_instant_it_is_refused(self):
        case = given(working(when="2025-09-15 09:00"))
        case.at("2025-10-12 00:00").when(ASK, by=APPROVER).then(ExtensionRequested)
        case.at("2025-10-12 00:00:00.001").when(ASK, by=APPROVER).refused(refusals.ExtensionAfterDue)

    def test_only_one_waits_at_a_time(self):
        t25().when(ASK, by=APPROVER).refused(refusals.ExtensionPending)

    def test_a_reason_is_stated(self):
        ask = RequestExtension(days=10, reason=" ")
        given(working()).when(ask, by=APPROVER).refused(refusals.ReasonMissing)

    def test_it_is_possible_while_a_return_is_pending(self):
        order = msgspec.structs.replace(working(), state=OrderState.RETURN_REVIEW)
        given(order).when(ASK, by=APPROVER).then(ExtensionRequested)

    def test_it_implies_the_signature_where_the_rules_know_none(self):
        given(dispatched()).when(ASK, by=APPROVER).then(AssignmentSigned, ExtensionRequested)

    def test_it_is_no_co_organizers_business(self):
        given(working(co=["B2"])).when(ASK, by=approver("B2")).refused(refusals.NotYourUnit)

    def test_a_handler_does_not_ask(self):
        given(working()).when(ASK, by=HANDLER).refused(refusals.RoleNotAllowed)

    def test_nothing_is_extended_before_a_dispatch_or_after_the_reply(self):
        given(registered()).when(ASK, by=APPROVER).refused(refusals.WrongState)
        order = msgspec.structs.replace(working(), state=OrderState.REPLIED)
        given(order).when(ASK, by=APPROVER).refused(refusals.WrongState)

    def test_a_pack_without_the_rule_refuses(self):
        case = given(working("S3-NATIONAL", limit=Limit(amount=5, unit=LimitUnit.WORKING_DAYS)))
        case.when(ASK, by=APPROVER).refused(refusals.NoExtensionRule)

    def test_without_a_limit_there_is_nothing_to_extend(self):
        mayor(reply_required=False).when(ASK, by=APPROVER).refused(refusals.NothingToExtend)

    def test_no_days_move_nothing(self):
        none = RequestExtension(days=0, reason="需开挖路面")
        given(working()).when(none, by=APPROVER).refused(refusals.ExtensionNotLater)

    def test_beijing_wants_the_law_named(self):
        case = given(working("S4-BEIJING"))
        case.when(ASK, by=APPROVER).refused(refusals.LegalBasisMissing)
        lawful = RequestExtension(days=10, reason="需鉴定", legal_basis=BASIS)
        case.when(lawful, by=APPROVER).then(ExtensionRequested)

    def test_a_limit_in_hours_can_be_extended_too(self):
        case = given(working("S4-BEIJING", urgency=Urgency.LIVELIHOOD)).at("2025-06-16 12:00")
        lawful = RequestExtension(days=1, reason="需鉴定", legal_basis=BASIS)
        case = case.does(lawful, by=APPROVER).does(GRANT, by=COLLEAGUE)
        due = case.clock(ClockName.HANDLE).due
        assert due is not None
        assert due > at("2025-06-17 09:00")


class TestDeciding:
    def test_the_next_higher_unit_grants_even_after_the_old_due(self):
        case = t25().at("2025-10-13 10:00").when(GRANT, by=PARENT)
        case = case.then(ExtensionApproved(extension=1, unit="B", days=10, after_due=True))
        assert case.clock(ClockName.HANDLE).due == at("2025-10-25 00:00")  # 10-24 24:00
        assert case.clock(ClockName.HANDLE).status(case.now) is Status.RUNNING

    def test_refused_after_the_old_due_the_order_is_overdue_from_it(self):
        case = t25().at("2025-10-13 10:00").when(DENY, by=PARENT)
        case = case.then(ExtensionRejected(extension=1, unit="B", reason="无需延期", after_due=True))
        late = case.clock(ClockName.HANDLE).late_by(at("2025-10-13 17:00"))
        assert late is not None
        assert late.total_seconds() == 41 * 3600

    def test_refusing_needs_a_reason(self):
        mute = DecideExtension(extension=1, approve=False)
        t25().when(mute, by=PARENT).refused(refusals.ReasonMissing)

    def test_the_approver_may_grant_fewer_days(self):
        fewer = DecideExtension(extension=1, approve=True, days=2)
        case = t25().when(fewer, by=PARENT).then(ExtensionApproved(extension=1, unit="B", days=2))
        assert case.clock(ClockName.HANDLE).due == at("2025-10-15 00:00")

    def test_the_requester_does_not_decide(self):
        case = t25()
        asker = Actor(user=APPROVER.user, role=Role.MGMT_UNIT, unit="D")
        case.when(GRANT, by=asker).refused(refusals.SelfApproval)
        case.when(GRANT, by=APPROVER).refused(refusals.SelfApproval)

    @pytest.mark.parametrize("by", [COLLEAGUE, management("B"), management("E"), MANAGER])
    def test_nobody_but_the_next_higher_unit_decides(self, by):
        t25().when(GRANT, by=by).refused(refusals.NotNextHigherUnit)

    def test_above_a_first_level_unit_stands_the_hotlines_management(self):
        case = given(working(lead="D")).does(ASK, by=approver("D"))
        case.when(GRANT, by=management("D")).refused(refusals.NotNextHigherUnit)
        case.when(GRANT, by=management("H")).refused(refusals.NotNextHigherUnit)
        case.when(GRANT, by=MANAGER).then(ExtensionApproved)

    def test_the_parent_recorded_at_the_dispatch_stays_the_approver(self):
        order = working(when="2025-09-15 09:00")
        episode = msgspec.structs.replace(order.episodes[0], lead_parent="E")
        case = given(msgspec.structs.replace(order, episodes=(episode,))).does(ASK, by=APPROVER)
        case.when(GRANT, by=PARENT).refused(refusals.NotNextHigherUnit)
        case.when(GRANT, by=management("E")).then(ExtensionApproved)

    def test_in_beijing_another_approver_of_the_unit_grants(self):
        lawful = RequestExtension(days=10, reason="需鉴定", legal_basis=BASIS)
        case = given(working("S4-BEIJING")).does(lawful, by=APPROVER)
        case.when(GRANT, by=APPROVER).refused(refusals.SelfApproval)
        case.when(GRANT, by=approver("B2")).refused(refusals.NotYourUnit)
        case.when(GRANT, by=PARENT).refused(refusals.NotYourUnit)
        case.when(GRANT, by=COLLEAGUE).then(ExtensionApproved)

    def test_only_the_newest_open_request_is_decided(self):
        t25().when(DecideExtension(extension=2, approve=True), by=PARENT).refused(refusals.NoSuchExtension)
        given(working()).when(GRANT, by=PARENT).refused(refusals.NoSuchExtension)
        t25().does(DENY, by=PARENT).when(GRANT, by=PARENT).refused(refusals.NoSuchExtension)

    def test_a_pack_that_lost_the_rule_grants_nothing(self):
        case = given(working("S3-NATIONAL", limit=Limit(amount=5, unit=LimitUnit.WORKING_DAYS)))
        asked = ExtensionRequested(assignment=1, unit="B", days=1, reason="x", due=at("2025-06-24 00:00"))
        case.after(asked, by=APPROVER).when(GRANT, by=PARENT).refused(refusals.NoExtensionRule)

    def test_nothing_is_granted_where_no_limit_runs(self):
        asked = ExtensionRequested(assignment=1, unit="B", days=1, reason="x", due=at("2025-06-24 00:00"))
        case = mayor(reply_required=False).after(asked, by=APPROVER)
        case.when(GRANT, by=MANAGER).refused(refusals.NothingToExtend)

    def test_a_reply_ends_the_request_but_not_the_right_to_decide_it(self):
        replied = ReplySubmitted(assignment=1, unit="B", outcome=Outcome.RESOLVED, public_answer="已修复")
        case = t25().at("2025-10-12 09:00").after(replied, by=APPROVER)
        assert case.order.state is OrderState.REPLIED
        assert not case.order.episodes[0].extensions[0].pending
        assert not case.clock(ClockName.EXTENSION_DECISION).running
        case.at("2025-10-13 10:00").when(GRANT, by=PARENT).then(ExtensionApproved)

    def test_where_nobody_reviews_accepting_the_reply_at_once_takes_nobodys_time(self):
        replied = ReplySubmitted(assignment=1, unit="B", outcome=Outcome.RESOLVED, public_answer="x", accepted=True)
        case = t25().at("2025-10-12 09:00").after(replied, by=APPROVER)
        assert case.order.state is OrderState.EVALUATING
        case.when(GRANT, by=PARENT).refused(refusals.WrongState)
        case.under(reply_review="none").when(GRANT, by=PARENT).then(ExtensionApproved)


class TestTheMayorsTelephone:
    def test_the_duty_room_consents_before_the_due_instant(self):
        case = mayor().does(ASK, by=APPROVER)
        case.when(GRANT, by=PARENT).refused(refusals.NotHotlineManager)
        case.at("2025-09-11 00:00:00.001").when(GRANT, by=MANAGER).refused(refusals.ExtensionAfterDue)
        case.at("2025-09-11 00:00:00.001").when(DENY, by=MANAGER).then(ExtensionRejected)
        case.at("2025-09-11 00:00").when(GRANT, by=MANAGER).then(ExtensionApproved)

    def test_several_extensions_stay_within_thirty_working_days_from_the_transfer(self):
        case = mayor()
        assert case.clock(ClockName.HANDLE).due == at("2025-09-11 00:00")  # 7 WD: 09-10 24:00
        more = RequestExtension(days=24, reason="需开挖路面")
        case.when(more, by=APPROVER).refused(refusals.ExtensionOverCap)
        case = case.does(ASK, by=APPROVER).does(GRANT, by=MANAGER)
        rest = RequestExtension(days=13, reason="雨天停工")
        case.when(RequestExtension(days=14, reason="雨天停工"), by=APPROVER).refused(refusals.ExtensionOverCap)
        case = case.does(rest, by=APPROVER).does(DecideExtension(extension=2, approve=True), by=MANAGER)
        assert case.clock(ClockName.HANDLE).due == at("2025-10-18 00:00")  # 30 WD: 10-17 24:00

    def test_the_approver_does_not_grant_beyond_the_cap_either(self):
        over = DecideExtension(extension=1, approve=True, days=24)
        mayor().does(ASK, by=APPROVER).when(over, by=MANAGER).refused(refusals.ExtensionOverCap)


class TestOtherBounds:
    def test_a_province_bounds_days_and_count(self):
        case = given(working("SD-2020"))
        options = case.law.rules(case.order.policy).options
        assert options.extension_max_days is not None
        over = RequestExtension(days=options.extension_max_days + 1, reason="需开挖路面")
        case.when(over, by=APPROVER).refused(refusals.ExtensionOverCap)

    def test_a_city_may_bound_the_count(self):
        case = given(working()).under(extension_max_count=1)
        case = case.does(ASK, by=APPROVER).does(GRANT, by=PARENT)
        case.when(ASK, by=APPROVER).refused(refusals.ExtensionOverCap)


class TestTelling:
    def test_the_applicant_is_told_and_the_slip_is_numbered(self):
        case = t25().does(GRANT, by=PARENT).at("2025-10-13 10:00")
        assert case.clock(ClockName.INFORM_EXTENSION).due == at("2025-10-14 00:00")
        told = ExtensionInformed(extension=1, unit="B", medium=Medium.PHONE, progress="已开挖")
        case = case.when(TELL, by=HANDLER).then(told, Number("extension_slip", "CD"))
        assert case.clock(ClockName.INFORM_EXTENSION).stop is not None
        assert case.order.episodes[0].extensions[0].slip

    def test_telling_late_is_recorded_as_late_and_only_the_first_counts(self):
        case = t25().does(GRANT, by=PARENT).at("2025-10-14 00:00:00.001")
        late = ExtensionInformed(extension=1, unit="B", medium=Medium.PHONE, progress="已开挖", late=True)
        case = case.when(TELL, by=HANDLER).then(late, Number)
        first = case.order.episodes[0].extensions[0].informed
        again = case.at("2025-10-15 10:00").does(TELL, by=HANDLER)
        assert again.order.episodes[0].extensions[0].informed == first

    def test_it_is_still_owed_after_the_reply(self):
        replied = ReplySubmitted(assignment=1, unit="B", outcome=Outcome.RESOLVED, public_answer="已修复")
        case = t25().does(GRANT, by=PARENT).after(replied, by=APPROVER)
        case.when(TELL, by=HANDLER).then(ExtensionInformed, Number)

    def test_what_was_not_granted_is_not_told(self):
        t25().when(TELL, by=HANDLER).refused(refusals.ExtensionNotApproved)
        t25().does(DENY, by=PARENT).when(TELL, by=HANDLER).refused(refusals.ExtensionNotApproved)
        second = InformExtension(extension=2, medium=Medium.PHONE, progress="已开挖")
        t25().does(GRANT, by=PARENT).when(second, by=HANDLER).refused(refusals.ExtensionNotApproved)

    def test_the_organizer_tells(self):
        case = t25().does(GRANT, by=PARENT)
        case.when(TELL, by=AGENT).refused(refusals.RoleNotAllowed)
        case.when(TELL, by=handler("B2")).refused(refusals.NotYourUnit)


class TestHistoryThatLacksSteps:
    def test_consent_to_a_request_that_history_lacks_moves_the_limit_all_the_same(self):
        granted = ExtensionApproved(extension=1, unit="B", days=10)
        case = given(working(when="2025-09-15 09:00")).at("2025-10-10 10:00").after(granted, by=PARENT)
        assert case.clock(ClockName.HANDLE).due == at("2025-10-25 00:00")

    @pytest.mark.parametrize(
        "event",
        [
            ExtensionRequested(assignment=2, unit="B", days=1, reason="x", due=at("2025-06-24 00:00")),
            ExtensionApproved(extension=0, unit="B", days=1),
            ExtensionApproved(extension=3, unit="B", days=1),
            ExtensionRejected(extension=3, unit="B", reason="x"),
            ExtensionInformed(extension=3, unit="B", medium=Medium.SMS, progress="x"),
        ],
    )
    def test_every_event_folds_all_the_same(self, event):
        given(registered(), event, by=APPROVER)
        given(dispatched(), event, by=APPROVER)
