"""规则: what is to be done about one case at an instant, under each rule text, and what is left to people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from domain import institution, refusals
from domain.clocks import clocks
from domain.effects import effects
from domain.policy import ref
from domain.state import Merge
from domain.steps.answering import ApplicantInformed, ReplySubmitted
from domain.steps.closing import CloseAfter, CloseMerged
from domain.steps.dispatch import Transfer
from domain.steps.evaluation import Deem, DeemedNotHandled, EvaluationRecorded, ReplySubstanceJudged
from domain.steps.extending import ExtensionApproved, ExtensionRequested
from domain.steps.filing import ArchivePackageSealed, OrderClosed
from domain.steps.handling import AssignmentSigned
from domain.steps.oversight import (
    CloseNotice,
    EscalateNotice,
    IssueNotice,
    ReplyNotice,
    SupervisionClosed,
    WithdrawNotice,
)
from domain.steps.returning import DisputeRaised
from domain.terms import (
    Act,
    ClockName,
    ClosureKind,
    Dimension,
    EvaluationSource,
    InformAbout,
    Informing,
    Limit,
    LimitUnit,
    Mark,
    Medium,
    NoticeGround,
    NoticeKind,
    NoticeWithdrawal,
    OrderState,
    Outcome,
    Rating,
    Role,
    Substance,
    Urgency,
)
from domain.units import UnitSucceeded
from supervision.rules import Plan, plan
from tests.given import APPROVER, BASIS, MANAGER, SUPERVISOR, SYSTEM, Case, approver, at, dispatched, given, working
from tests.test_projections import revised

S0, S1, S2, S4 = "S0-CHUANYU", "S1-CHENGDU", "S2-CHONGQING-MPT", "S4-BEIJING"
MASTER = UUID(int=77)


def asked(case: Case, when: str | datetime | None = None, **said: object) -> Plan:
    """What the rules say about a case, now or at another instant."""
    return plan(case.order, case.law, at(when) if when is not None else case.now, **said)  # type: ignore[arg-type]


def commands(case: Case, when: str | datetime | None = None) -> list[Act]:
    return [deed.command for deed in asked(case, when).deeds]


def notices(case: Case, when: str | datetime | None = None) -> list[tuple[NoticeKind, ClockName | None, str]]:
    return [(c.kind, c.clock, c.reminder or "") for c in commands(case, when) if isinstance(c, IssueNotice)]


def of(clock: ClockName, told: list[tuple[NoticeKind, ClockName | None, str]]) -> list[tuple[NoticeKind, str]]:
    return [(kind, code) for kind, name, code in told if name is clock]


def swept(case: Case, when: str | datetime | None = None) -> Case:
    """The case after everything that comes about by itself."""
    case = case.at(when) if when is not None else case
    for command in commands(case):
        case = case.does(command, by=SYSTEM)
    return case


def swept_hourly(case: Case, since: str, until: str) -> Case:
    when = at(since)
    while when <= at(until):
        case, when = swept(case, when), when + timedelta(hours=1)
    return case


def told(case: Case) -> Iterator[tuple[str, str, str, str]]:
    for n in case.order.oversight.notices:
        yield f"{n.issued.at:%m-%d %H:%M}", str(n.kind), str(n.clock or ""), n.reminder


def about_handle(case: Case) -> int:
    """The supervision notice about handling."""
    return next(
        n.no for n in case.order.oversight.notices if n.kind is NoticeKind.SYSTEM and n.clock is ClockName.HANDLE
    )


# --- reminders ---------------------------------------------------------------------------------------------------


def test_a_long_duty_is_reminded_of_three_times_each_at_its_moment_and_once():
    case = given(working(S0, "2025-06-16 09:00"))  # 15 working days end Mon 2025-07-07 24:00
    moments = {
        "2025-07-02 23:59": [],
        "2025-07-03 00:00": [(NoticeKind.REMINDER, "3 working_days")],
        "2025-07-05 00:00": [(NoticeKind.REMINDER, "1 working_days")],
        "2025-07-07 09:00": [(NoticeKind.REMINDER, "due day 09:00")],
    }
    for when, expected in moments.items():
        assert of(ClockName.HANDLE, notices(case, when)) == expected, when
        case = swept(case, when)
        assert of(ClockName.HANDLE, notices(case)) == []


def test_a_short_duty_in_days_is_reminded_of_on_the_morning_of_its_due_day():
    case = given(dispatched(S0, "2025-06-16 09:00", lead="D"))  # TRANSFER: 1 working day, 06-17 24:00
    assert of(ClockName.TRANSFER, notices(case, "2025-06-17 08:59:59")) == []
    assert of(ClockName.TRANSFER, notices(case, "2025-06-17 09:00")) == [(NoticeKind.REMINDER, "due day 09:00")]


@pytest.mark.parametrize(
    ("urgency", "clock", "moment", "code"),
    [
        (Urgency.GENERAL, ClockName.SIGN, "2025-06-17 04:12", "288 minutes"),  # 24 h: a fifth of it
        (Urgency.LIVELIHOOD, ClockName.SIGN, "2025-06-16 09:20", "10 minutes"),  # 30 min: ten minutes at least
    ],
)
def test_a_duty_by_the_clock_is_reminded_of_a_fifth_of_its_limit_ahead(
    urgency: Urgency, clock: ClockName, moment: str, code: str
):
    case = given(dispatched(S4, "2025-06-16 09:00", urgency=urgency))
    assert of(clock, notices(case, at(moment) - timedelta(seconds=1))) == []
    assert of(clock, notices(case, moment)) == [(NoticeKind.REMINDER, code)]


def test_of_reminders_that_were_missed_only_the_current_one_is_sent_and_none_after_the_due_instant():
    case = given(working(S0, "2025-06-16 09:00"))
    late = swept(case, "2025-07-07 10:00")
    assert [row for row in told(late) if row[2] == "handle"] == [("07-07 10:00", "reminder", "handle", "due day 09:00")]
    over = notices(case, "2025-07-08 00:00:00.001")
    assert of(ClockName.HANDLE, over) == [(NoticeKind.SYSTEM, "")]


def test_an_extended_duty_is_reminded_of_anew_and_each_reminder_says_of_which_day():
    case = swept(given(working(S0, "2025-06-16 09:00")), "2025-07-07 09:00").after(
        ExtensionRequested(assignment=1, unit="B", days=3, reason="雨季", due=at("2025-07-08 00:00"))
    )
    case = case.after(ExtensionApproved(extension=1, unit="B", days=3), by=MANAGER)
    assert of(ClockName.HANDLE, notices(case, "2025-07-10 08:59")) == [(NoticeKind.REMINDER, "1 working_days")]
    again = swept(case, "2025-07-10 09:00")
    assert [code for *_, clock, code in told(again) if clock == "handle"] == [
        "due day 09:00",
        "due day 09:00 2025-07-10 09:00",
    ]


def test_the_hotline_is_reminded_of_its_own_duties():
    waiting = given(dispatched(S4)).having(episodes=(), state=OrderState.AWAITING_DISPATCH)
    case = waiting.having(waits=(msgspec.structs.replace(waiting.order.waits[0], until=None, by=""),))
    due = case.clock(ClockName.DISPATCH).due
    assert due is not None
    told_of = [c for c in commands(case, due - timedelta(hours=4)) if isinstance(c, IssueNotice)]
    assert [(c.kind, c.unit, c.clock) for c in told_of] == [(NoticeKind.REMINDER, "H", ClockName.DISPATCH)]


def test_nobody_is_reminded_of_a_right():
    case = given(working(S0, "2025-06-16 09:00"))
    every = [at("2025-06-16 10:00") + timedelta(hours=h) for h in range(24 * 30)]
    assert all(of(ClockName.RETURN, notices(case, when)) == [] for when in every)


def test_a_matter_to_be_reported_at_any_time_is_asked_after_every_two_hours_and_missed_ones_are_not_made_up():
    case = given(working(S2, "2025-06-16 09:00", urgency=Urgency.EMERGENCY_LIFE))
    assert of(ClockName.PROGRESS, notices(case, "2025-06-16 10:59")) == []
    case = swept(case, "2025-06-16 11:00")
    assert of(ClockName.PROGRESS, notices(case, "2025-06-16 12:59")) == []
    case = swept(swept(case, "2025-06-16 13:00"), "2025-06-17 13:00")
    sent = [row for row in told(case) if row[2] == "progress"]
    assert [row[0] for row in sent] == ["06-16 11:00", "06-16 13:00", "06-17 13:00"]
    assert len({row[3] for row in sent}) == 3
    assert of(ClockName.PROGRESS, notices(case, "2025-06-17 14:59")) == []


# --- supervision -------------------------------------------------------------------------------------------------


def test_what_is_late_is_supervised_once_after_its_due_instant():
    case = given(working(S0, "2025-06-16 09:00"))
    assert of(ClockName.HANDLE, notices(case, "2025-07-08 00:00")) != [(NoticeKind.SYSTEM, "")]
    issued = asked(case, "2025-07-08 00:00:00.001").deeds[-1]
    assert isinstance(issued.command, IssueNotice)
    assert (issued.command.kind, issued.command.unit, issued.command.ground) == ("system", "B", "overdue")
    assert issued.command.article == issued.basis
    case = swept(case, "2025-07-08 08:00")
    assert commands(case) == []
    assert of(ClockName.HANDLE, notices(case, "2025-08-08 08:00")) == []


@pytest.mark.parametrize("when", ["2025-07-09 10:00", "2025-07-20 10:00"])
def test_whoever_is_told_late_has_the_full_time_to_reply(when: str):
    case = swept(given(working(S0, "2025-06-16 09:00")), when)
    clock = case.clock(ClockName.SUPV_REPLY)
    assert clock.start.at == at(when)
    assert clock.due == case.law.calendar().due(at(when), Limit(amount=1, unit=LimitUnit.WORKING_DAYS)).at


def test_a_notice_that_was_answered_and_struck_off_is_not_issued_again_for_the_same_delay():
    case = swept(given(working(S0, "2025-06-16 09:00")), "2025-07-08 08:00")
    no = about_handle(case)
    closed = case.after(SupervisionClosed(notice=no), by=SUPERVISOR)
    assert commands(closed, "2025-07-20 08:00") == []


def test_a_unit_that_got_the_late_order_afterwards_is_supervised_too():
    case = swept(given(dispatched(S0, "2025-06-16 09:00", lead="D")), "2025-07-08 08:00")
    assert [n.unit for n in case.order.oversight.notices if n.clock is ClockName.HANDLE] == ["D"]
    passed = case.at("2025-07-08 09:00").does(Transfer(unit="B"), by=approver("D"))
    after = swept(passed, "2025-07-08 10:00")
    assert [n.unit for n in after.order.oversight.notices if n.clock is ClockName.HANDLE] == ["D", "B"]


def test_whoever_took_over_the_unit_is_the_one_that_is_told():
    succeeded = UnitSucceeded(from_units=("B",), to_units=("B2",), at=at("2025-06-20 00:00"), basis=BASIS)
    case = given(working(S0, "2025-06-16 09:00")).decreed(succeeded)
    issued = [c for c in commands(case, "2025-07-08 08:00") if isinstance(c, IssueNotice)]
    assert {c.unit for c in issued} == {"B2"}


def test_what_was_done_late_before_anybody_looked_is_not_supervised_any_more():
    signed = (
        given(dispatched(S4, "2025-06-16 09:00")).at("2025-06-18 09:00").after(AssignmentSigned(assignment=1, unit="B"))
    )
    assert of(ClockName.SIGN, notices(signed, "2025-06-18 10:00")) == []


def test_an_extension_that_is_still_being_decided_keeps_supervision_away_until_its_grace_ends():
    due = at("2025-07-08 00:00")
    case = (
        given(working(S0, "2025-06-16 09:00"))
        .at("2025-07-07 16:00")
        .after(ExtensionRequested(assignment=1, unit="B", days=3, reason="雨季", due=due))
    )
    assert of(ClockName.HANDLE, notices(case, "2025-07-08 12:00")) == []
    assert of(ClockName.HANDLE, notices(case, "2025-07-09 00:00:00.001")) == [(NoticeKind.SYSTEM, "")]


def test_a_notice_is_withdrawn_when_an_extension_or_the_calendar_takes_the_delay_away():
    due = at("2025-07-08 00:00")
    case = (
        given(working(S0, "2025-06-16 09:00"))
        .at("2025-07-07 16:00")
        .after(ExtensionRequested(assignment=1, unit="B", days=3, reason="雨季", due=due))
    )
    noticed = swept(case, "2025-07-09 08:00")
    approved = noticed.at("2025-07-09 09:00").after(ExtensionApproved(extension=1, unit="B", days=3))
    no = about_handle(noticed)
    assert WithdrawNotice(notice=no, reason=NoticeWithdrawal.EXTENSION_APPROVED) in commands(approved)
    over = swept(approved)
    assert commands(over) == []
    late = swept(over, "2025-07-11 08:00")
    assert [row[1:3] for row in told(late)].count(("system", "handle")) == 2

    noticed = swept(given(working(S0, "2025-06-16 09:00")), "2025-07-08 08:00")
    moved = noticed.decreed(revised(2025, off="2025-07-07"))
    no = about_handle(noticed)
    assert WithdrawNotice(notice=no, reason=NoticeWithdrawal.CALENDAR_REVISED) in commands(moved)


def test_a_notice_that_asks_for_no_reply_is_struck_off_once_the_duty_is_done():
    case = swept(given(dispatched(S4, "2025-06-16 09:00")), "2025-06-17 10:00")
    assert case.order.oversight.notices[-1].limit is None
    signed = case.after(AssignmentSigned(assignment=1, unit="B"))
    assert CloseNotice(notice=case.order.oversight.notices[-1].no) in commands(signed)


def test_a_notice_that_asks_for_a_reply_is_left_to_the_supervisor():
    case = swept(given(working(S0, "2025-06-16 09:00")), "2025-07-08 08:00").at("2025-07-08 12:00")
    replied = case.does(
        ReplyNotice(notice=about_handle(case), cause="雨", new_date=at("2025-07-09 00:00").date()),
        by=APPROVER,
    )
    assert commands(replied) == []


def test_the_extension_nobody_was_told_of_is_reminded_of_after_its_time():
    due = at("2025-07-08 00:00")
    case = (
        given(working(S0, "2025-06-16 09:00"))
        .at("2025-07-01 09:00")
        .after(
            ExtensionRequested(assignment=1, unit="B", days=3, reason="雨季", due=due),
            ExtensionApproved(extension=1, unit="B", days=3),
        )
    )
    late = [c for c in commands(case, "2025-07-03 08:00") if isinstance(c, IssueNotice)]
    assert [(c.kind, c.ground, c.clock) for c in late if c.clock is ClockName.INFORM_EXTENSION] == [
        (NoticeKind.REMINDER, NoticeGround.EXT_NOT_INFORMED, ClockName.INFORM_EXTENSION)
    ]
    assert of(ClockName.INFORM_EXTENSION, notices(swept(case, "2025-07-03 08:00"), "2025-07-04 08:00")) == []


def test_a_breach_that_the_pack_only_measures_is_not_supervised():
    waiting = given(dispatched(S4)).having(episodes=(), state=OrderState.AWAITING_DISPATCH)
    waits = msgspec.structs.replace(waiting.order.waits[0], until=None, by="")
    case = waiting.having(waits=(waits,))
    assert case.clock(ClockName.DISPATCH).breached(at("2025-06-18 08:00"))
    assert of(ClockName.DISPATCH, notices(case, "2025-06-18 08:00")) == []


# --- what is left to people --------------------------------------------------------------------------------------


def test_written_supervision_that_the_pack_calls_for_is_left_to_the_supervisor():
    case = given(working(S2, "2025-06-16 09:00"))
    (left,) = asked(case, "2025-06-26 08:00").left
    assert isinstance(left.command, IssueNotice)
    assert (left.command.kind, left.by, left.refusal) == (NoticeKind.WRITTEN, frozenset({Role.SUPERVISOR}), None)
    assert "S2-29" in left.basis.article
    issued = case.at("2025-06-26 08:00").does(
        msgspec.structs.replace(left.command, limit=Limit(amount=3, unit=LimitUnit.WORKING_DAYS)), by=SUPERVISOR
    )
    assert asked(issued, "2025-06-26 09:00").left == ()


def test_an_ignored_notice_goes_one_step_up_the_ladder_and_no_step_is_skipped():
    case = swept(given(working(S0, "2025-06-16 09:00")), "2025-07-08 08:00")
    (left,) = asked(case, "2025-07-20 08:00").left
    no = about_handle(case)
    assert left.command == EscalateNotice(notice=no, to=NoticeKind.WRITTEN)
    assert left.by == {Role.SUPERVISOR}
    three = Limit(amount=3, unit=LimitUnit.WORKING_DAYS)
    written = case.at("2025-07-10 08:00").does(
        EscalateNotice(notice=no, to=NoticeKind.WRITTEN, limit=three), by=SUPERVISOR
    )
    assert asked(written, "2025-07-10 09:00").left == ()
    (left,) = asked(written, "2025-07-20 08:00").left
    assert left.command == EscalateNotice(notice=len(written.order.oversight.notices), to=NoticeKind.SPECIAL)
    assert left.by == {Role.HOTLINE_MANAGER}


def test_where_the_text_names_a_circular_it_is_the_next_step_after_a_written_notice():
    case = given(working(S4, "2025-06-16 09:00")).at("2025-06-24 08:00")
    three = Limit(amount=3, unit=LimitUnit.WORKING_DAYS)
    about = {"ground": NoticeGround.OVERDUE, "unit": "B", "clock": ClockName.HANDLE}
    written = swept(case).does(IssueNotice(kind=NoticeKind.WRITTEN, limit=three, **about), by=SUPERVISOR)
    steps = {
        (d.command.notice, d.command.to)
        for d in asked(written, "2025-07-20 08:00").left
        if isinstance(d.command, EscalateNotice)
    }
    last = written.order.oversight.notices[-1].no
    assert (last, NoticeKind.CIRCULAR) in steps
    assert (last - 1, NoticeKind.WRITTEN) in steps


# --- deeming, closing --------------------------------------------------------------------------------------------


def replied(pack: str, when: str = "2025-09-30 16:00", outcome: Outcome = Outcome.RESOLVED) -> Case:
    return (
        given(working(pack, "2025-09-22 09:00"))
        .at(when)
        .after(
            ReplySubmitted(assignment=1, unit="B", outcome=outcome, public_answer="已修复", informing=Informing.TOLD),
            ApplicantInformed(about=InformAbout.RESULT, medium=Medium.PHONE, unit="B", reached=True, reply=1),
        )
    )


def test_silence_is_deemed_satisfaction_after_the_window_however_late_the_sweep():
    case = replied(S1)  # the window ends Tue 2025-10-14 24:00
    assert Deem() not in commands(case, "2025-10-15 00:00")
    late = swept(case, "2025-10-16 08:00")
    assert late.order.state is OrderState.ARCHIVED
    assert late.order.quality.evaluations[0].at.at == at("2025-10-15 00:00")
    assert commands(late, "2025-12-16 08:00") == []


def test_a_rating_in_time_leaves_nothing_to_deem():
    rated = (
        replied(S1)
        .at("2025-10-14 23:59")
        .after(
            EvaluationRecorded(
                round=1,
                reply=1,
                source=EvaluationSource.CITIZEN_SELF,
                ratings={Dimension.RESULT: Rating.DISSATISFIED},
                resolution=None,
                medium=Medium.SMS,
            )
        )
    )
    assert asked(rated, "2025-10-16 08:00") == Plan()


def test_what_the_rule_cannot_deem_is_told_with_the_reason():
    disputed = replied(S1).after(DisputeRaised(unit="B", reason="职责不清", basis=BASIS))
    (left,) = asked(disputed, "2025-10-16 08:00").left
    assert isinstance(left.command, Deem)
    assert isinstance(left.refusal, refusals.DisputeOpen)


@pytest.mark.parametrize(
    ("pack", "kind"), [(S0, ClosureKind.COMPLETED), (S2, ClosureKind.COMPLETED), (S4, ClosureKind.COMPLETED)]
)
def test_what_nobody_evaluates_is_closed_after_its_time_where_the_pack_says_so(pack: str, kind: ClosureKind):
    case = replied(pack)
    due = case.clock(ClockName.CLOSE_AFTER).due
    assert due is not None
    assert CloseAfter() not in commands(case, due)
    assert CloseAfter() in commands(case, due + timedelta(milliseconds=1))
    closed = swept(case, due + timedelta(days=3))
    assert closed.order.filing.kind is kind


def test_a_pack_that_neither_deems_nor_closes_leaves_it_to_people():
    case = replied(S1).under(deem=False)
    assert commands(case, "2025-12-01 08:00") == []


def test_a_child_is_closed_once_its_master_is_and_its_applicant_was_told():
    master = given(working(S0)).order
    merge = Merge(master=MASTER, at=Mark(at("2025-06-16 10:00"), 3), state_before=OrderState.WORKING)
    child = given(dispatched(S0)).having(
        state=OrderState.MERGED, links=msgspec.structs.replace(given(dispatched(S0)).order.links, merge=merge)
    )
    assert not [d for d in asked(child, "2025-06-20 08:00", master=master).left if isinstance(d.command, CloseMerged)]
    links = msgspec.structs.replace(
        child.order.links, merge=msgspec.structs.replace(merge, told=Mark(at("2025-06-17 10:00"), 4))
    )
    heard = child.having(links=links)
    waiting = asked(heard, "2025-06-20 08:00", master=master)
    assert [type(d.refusal) for d in waiting.left if isinstance(d.command, CloseMerged)] == [refusals.MasterOpen]
    over = given(working(S0)).after(OrderClosed(kind=ClosureKind.SATISFIED)).order
    assert CloseMerged(master=MASTER) in [d.command for d in asked(heard, "2025-06-20 08:00", master=over).deeds]


# --- findings ----------------------------------------------------------------------------------------------------


def test_three_replies_without_anything_new_are_supervised_once():
    case = replied(S1, "2025-06-18 16:00").after(
        ReplySubstanceJudged(reply=1, substance=Substance.UNCHANGED, grounds="与上次相同"),
        DeemedNotHandled(unit="B", reply=1, streak=3),
    )
    issued = [c for c in commands(case) if isinstance(c, IssueNotice)]
    assert [(c.kind, c.ground, c.unit) for c in issued] == [(NoticeKind.SYSTEM, NoticeGround.DEEMED_NOT_HANDLED, "B")]
    after = swept(case)
    assert after.order.oversight.notices[-1].limit == Limit(amount=1, unit=LimitUnit.WORKING_DAYS)
    assert commands(after) == []


# --- whom it does not concern ------------------------------------------------------------------------------------


def test_a_sealed_file_and_a_history_under_an_assumed_pack_ask_for_nothing():
    case = given(working(S0, "2025-06-16 09:00"))
    assert commands(case, "2025-08-01 08:00")
    assert asked(case.having(assumed_policy=True), "2025-08-01 08:00") == Plan()
    assert asked(case.after(ArchivePackageSealed(verified_to=1)), "2025-08-01 08:00") == Plan()


def test_a_pack_without_consequences_has_nothing_done():
    case = given(working(S0, "2025-06-16 09:00"))
    bound = case.law.rules(case.order.policy).pack
    silent = msgspec.structs.replace(bound, consequences=())
    case = case.having(policy=ref(silent)).decreed(
        institution.PolicyPackPublished(pack=silent, digest=ref(silent).digest, valid_from=None)
    )
    every = [at("2025-06-16 10:00") + timedelta(hours=h) for h in range(24 * 40)]
    assert all(asked(case, when) == Plan() for when in every)


# --- ids ---------------------------------------------------------------------------------------------------------


def test_each_thing_has_an_id_of_its_own_and_the_same_thing_always_the_same():
    case = given(dispatched(S0, "2025-06-16 09:00", lead="D"))
    ids: dict[str, Act] = {}
    for hours in range(24 * 40):
        for deed in asked(case, at("2025-06-16 10:00") + timedelta(hours=hours)).deeds:
            assert ids.setdefault(deed.command_id, deed.command) == deed.command
            assert len(deed.command_id) <= 200
    assert len(ids) == 6  # TRANSFER and HANDLE: one reminder and three, and supervision of each
    assert len({msgspec.json.encode(command) for command in ids.values()}) == 6


def test_what_effects_there_are_does_not_depend_on_when_one_asks():
    case = given(dispatched(S0, "2025-06-16 09:00", lead="D"))
    made = effects(case.order, clocks(case.order, case.law), case.law)
    planned = {d.command_id for when in (e.at for e in made) for d in asked(case, when).deeds}
    assert len(planned) == len([e for e in made if e.by_itself]) == 6


# --- a month under each text -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pack", "expected"),
    [
        (
            S0,
            [
                ("06-17 09:00", "reminder", "transfer", "due day 09:00"),
                ("06-18 01:00", "system", "transfer", ""),
                ("07-03 00:00", "reminder", "handle", "3 working_days"),
                ("07-05 00:00", "reminder", "handle", "1 working_days"),
                ("07-07 09:00", "reminder", "handle", "due day 09:00"),
                ("07-08 01:00", "system", "handle", ""),
                ("07-09 09:00", "reminder", "supv_reply", "due day 09:00"),
            ],
        ),
        (
            S1,
            [
                ("06-17 09:00", "reminder", "sign", "due day 09:00"),
                ("06-18 01:00", "system", "sign", ""),
                ("06-21 00:00", "reminder", "handle", "3 working_days"),
                ("06-25 00:00", "reminder", "handle", "1 working_days"),
                ("06-25 09:00", "reminder", "handle", "due day 09:00"),
                ("06-26 01:00", "system", "handle", ""),
                ("06-27 09:00", "reminder", "supv_reply", "due day 09:00"),
            ],
        ),
        (
            S2,
            [
                ("06-21 00:00", "reminder", "handle", "3 working_days"),
                ("06-25 00:00", "reminder", "handle", "1 working_days"),
                ("06-25 09:00", "reminder", "handle", "due day 09:00"),
            ],
        ),
        (
            S4,
            [
                ("06-17 06:00", "reminder", "sign", "288 minutes"),
                ("06-17 11:00", "system", "sign", ""),
                ("06-19 00:00", "reminder", "handle", "3 working_days"),
                ("06-21 00:00", "reminder", "handle", "1 working_days"),
                ("06-23 09:00", "reminder", "handle", "due day 09:00"),
                ("06-24 01:00", "system", "handle", ""),
                ("06-25 09:00", "reminder", "supv_reply", "due day 09:00"),
            ],
        ),
    ],
)
def test_the_ladder_of_a_case_that_nobody_touches(pack: str, expected: list[tuple[str, str, str, str]]):
    case = given(dispatched(pack, "2025-06-16 10:00", lead="D"))
    assert [*told(swept_hourly(case, "2025-06-16 11:00", "2025-07-20 11:00"))] == expected


def test_a_notice_by_the_timer_never_moves_the_clock_it_is_about():
    case = given(dispatched(S0, "2025-06-16 10:00", lead="D"))
    after = swept_hourly(case, "2025-07-01 11:00", "2025-07-10 11:00")
    assert after.order.oversight.notices
    before = [c for c in clocks(case.order, case.law) if c.name is not ClockName.SUPV_REPLY]
    now = [c for c in clocks(after.order, after.law) if c.name is not ClockName.SUPV_REPLY]
    assert now == before
