"""The shortest stories that the walks found: each once broke a promise, and keeps it now."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain import order, refusals
from domain.clocks import WINDOWS, Clock, clock_of, clocks
from domain.explanation import explain
from domain.refusals import Refusal
from domain.steps.answering import CoOpinion, Explain, InformApplicant, Reply
from domain.steps.classifying import Reclassify
from domain.steps.closing import Close, Reopen
from domain.steps.coordinating import AddCo
from domain.steps.correcting import ApproveCorrection, ProposeCorrection
from domain.steps.dispatch import CoPart, Dispatch, RecallDispatch, Transfer
from domain.steps.evaluation import OrderRedo, ReviewReply
from domain.steps.extending import DecideExtension, InformExtension, RequestExtension
from domain.steps.filing import Archive
from domain.steps.handling import Contact, Sign
from domain.steps.linking import Merge
from domain.steps.oversight import IssueNotice, RejectNoticeReply, ReplyNotice, ServeNotice
from domain.steps.registration import Register, RegisterSecretStub
from domain.steps.returning import EscalateReturn, RaiseDispute, RequestReturn, RuleDispute
from domain.steps.triage import AnswerDirectly
from domain.terms import (
    Act,
    Actor,
    Applicant,
    ApplicantKind,
    Attributes,
    Channel,
    ClockName,
    ClosureKind,
    Confidentiality,
    DemandType,
    DispatchType,
    InformAbout,
    Limit,
    LimitUnit,
    Medium,
    NoticeGround,
    NoticeKind,
    OrderState,
    Outcome,
    RedoGround,
    ReopenGround,
    ReturnGround,
    Role,
    Urgency,
)
from domain.units import SucceedUnits
from tests.given import ADMIN, AGENT, ARCHIVIST, BASIS, MANAGER, REVIEWER, SUPERVISOR, approver, at, handler
from tests.properties.duties import stoppable
from tests.properties.path import Way, to_the_end
from tests.properties.town import MAIN, Deed, Town, founded

FIVE_DAYS = Limit(amount=5, unit=LimitUnit.WORKING_DAYS)
OTHER = f"order:{UUID(int=2)}"
REDO: dict[str, Any] = {"ground": RedoGround.NOT_DONE, "requirements": "重新核实", "limit": FIVE_DAYS}


class Story:
    """A case as it goes; every line is a new one."""

    def __init__(self, town: Town, stream: str = MAIN) -> None:
        self.town = town
        self.stream = stream

    def at(self, when: str | datetime) -> "Story":
        return Story(self.town.at(at(when)), self.stream)

    def does(self, act: Act, by: Actor) -> "Story":
        return Story(self.town.does(Deed(self.town.now, self.stream, by, act)), self.stream)

    def refuses(self, act: Act, by: Actor, refusal: type[Refusal]) -> None:
        with pytest.raises(refusal):
            self.does(act, by)

    def on(self, stream: str) -> "Story":
        return Story(self.town, stream)

    @property
    def order(self) -> Any:
        return self.town.order(self.stream)

    def clock(self, name: ClockName, key: str | None = None) -> Clock:
        found = clock_of(self.order, self.town.law, name, key)
        assert found is not None
        return found


def begun(pack: str = "S0-CHUANYU", *, town: Town | None = None, **said: Any) -> Story:
    """A demand registered on a Monday morning."""
    who = Applicant(kind=ApplicantKind.PERSON, name="王五", phone="13800000000")
    told: dict[str, Any] = {
        "title": "路灯不亮",
        "category": "市政",
        "channel": Channel.PHONE,
        "attributes": Attributes(demand_type=DemandType.COMPLAINT),
        "content": "路灯已坏三天",
        "applicant": who,
        "duplicates_seen": (),
    }
    return Story(town or founded(pack, at("2025-06-16 09:00"))).does(Register(**{**told, **said}), AGENT)


def given_to(story: Story, unit: str = "B", **said: Any) -> Story:
    return story.does(Dispatch(kind=DispatchType.DESIGNATED, lead=unit, **said), MANAGER)


def answered(story: Story, unit: str = "B") -> Story:
    told = InformApplicant(about=InformAbout.RESULT, medium=Medium.PHONE)
    answer = Reply(outcome=Outcome.RESOLVED, public_answer="已修好")
    return story.does(told, handler(unit)).does(answer, approver(unit))


# --- what nobody could read afterwards ---------------------------------------------------------------------------


def test_a_secret_stub_sent_to_an_order_does_not_end_it():
    stub = RegisterSecretStub(channel=Channel.PHONE, informed_at=at("2025-06-16 09:00"), informed_unit="保密局")
    begun().refuses(stub, AGENT, refusals.WrongState)


@pytest.mark.parametrize(
    "limit",
    [Limit(), Limit(amount=3), Limit(amount=0, unit=LimitUnit.MONTHS), Limit(amount=10**9, unit=LimitUnit.HOURS)],
)
def test_a_limit_of_nothing_or_of_ages_is_not_written(limit: Limit):
    notice = IssueNotice(kind=NoticeKind.WRITTEN, ground=NoticeGround.REPEATED, unit="H", limit=limit)
    begun().refuses(notice, SUPERVISOR, refusals.LimitUncountable)


@pytest.mark.parametrize("due", ["9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+00:00", "2025-06-20T09:00:00"])
def test_an_instant_that_no_clock_can_count_is_not_registered(due: str):
    with pytest.raises(refusals.InstantUncountable):
        begun(external_due=datetime.fromisoformat(due))


@pytest.mark.parametrize(
    ("field", "new"),
    [("at", "1850-01-01T00:00:00+08:00"), ("at", "2025-06-16T08:00:00"), ("happened_at", "2025-06-16T08:00:00")],
)
def test_a_correction_into_what_no_clock_can_count_changes_nothing(field: str, new: str):
    story = begun()
    correct = ProposeCorrection(version=1, field=field, basis="笔误", new=new)
    try:
        story = story.does(correct, AGENT).does(ApproveCorrection(correction=1), SUPERVISOR)
    except Refusal:
        return
    assert order.fold(story.town.streams[MAIN]).registered.at == at("2025-06-16 09:00")  # type: ignore[union-attr]
    assert [explain(clock, story.town.law) for clock in clocks(story.order, story.town.law)]


def test_a_sealed_text_is_corrected_only_sealed():
    plain = ProposeCorrection(version=1, field="content", basis="笔误", old="张三", new="李四")
    begun().refuses(plain, AGENT, refusals.CorrectionUnreadable)
    begun().does(msgspec.structs.replace(plain, old="", new="", old_text="张三", new_text="李四"), AGENT)


# --- clocks ------------------------------------------------------------------------------------------------------


def test_only_an_on_site_notice_calls_a_unit_to_a_place():
    notice = IssueNotice(
        kind=NoticeKind.MEETING, ground=NoticeGround.CIRCULATING, unit="E", arrive_by=at("2025-06-17 09:00")
    )
    begun().refuses(notice, MANAGER, refusals.ArrivalNotAsked)


def test_a_reply_sent_back_does_not_call_a_unit_to_the_site_anew():
    notice = IssueNotice(
        kind=NoticeKind.ONSITE,
        ground=NoticeGround.DIFFICULT,
        unit="E",
        arrive_by=at("2025-06-16 15:00"),
        place="河滨路",
    )
    story = begun().does(notice, MANAGER).does(ReplyNotice(notice=1, cause="人手不足"), approver("E"))
    again = story.at("2025-06-18 09:00").does(
        RejectNoticeReply(notice=1, requirements="写明措施", limit=FIVE_DAYS), SUPERVISOR
    )
    assert again.clock(ClockName.ARRIVE_SITE).start == story.clock(ClockName.ARRIVE_SITE).start
    assert again.clock(ClockName.ARRIVE_SITE).due == at("2025-06-16 15:00")


def test_a_notice_whose_time_is_over_is_not_served_but_issued_anew():
    limit = Limit(until=at("2025-06-17 09:00"))
    notice = IssueNotice(kind=NoticeKind.WRITTEN, ground=NoticeGround.REPEATED, unit="H", limit=limit, on_paper=True)
    late = begun().does(notice, SUPERVISOR).at("2025-06-18 09:00")
    late.refuses(ServeNotice(notice=1, medium=Medium.WRITTEN), SUPERVISOR, refusals.LimitInPast)
    replied = late.does(ReplyNotice(notice=1, cause="未收到"), MANAGER)
    assert not replied.clock(ClockName.SUPV_REPLY).breached(replied.town.now)


def test_who_joins_after_the_leads_limit_has_one_of_their_own():
    late = given_to(begun("S4-BEIJING")).at("2025-07-04 09:00")
    late.refuses(AddCo(unit="E1"), MANAGER, refusals.LimitRequired)
    joined = late.does(AddCo(unit="E1", limit=FIVE_DAYS), MANAGER)
    assert joined.clock(ClockName.CO_REPLY).due == at("2025-07-12 00:00")


def test_a_co_organizers_time_does_not_begin_anew_inside_its_organizer():
    story = given_to(begun(), "E", co=(CoPart(unit="D", limit=FIVE_DAYS),)).does(Sign(), handler("D"))
    due = story.clock(ClockName.CO_REPLY).due
    passed = story.at("2025-06-18 09:00").does(Transfer(unit="B"), approver("D"))
    assert passed.clock(ClockName.CO_REPLY).due == due


def test_a_class_changed_in_the_very_moment_of_waiting_is_a_change():
    livelihood = Attributes(demand_type=DemandType.HELP, urgency=Urgency.LIVELIHOOD)
    story = begun("S4-BEIJING", attributes=livelihood)
    due = story.clock(ClockName.DISPATCH).due
    lower = Reclassify(attributes=Attributes(demand_type=DemandType.HELP), reason="单户")
    assert story.does(lower, MANAGER).clock(ClockName.DISPATCH).due == due


def test_a_shorter_class_that_is_over_counts_from_the_change_and_says_so():
    complex_ = Attributes(demand_type=DemandType.HELP, complexity="complex")  # type: ignore[arg-type]
    story = given_to(begun("S4-BEIJING", attributes=complex_)).at("2025-06-28 10:00")
    plain = Reclassify(attributes=Attributes(demand_type=DemandType.HELP), reason="不复杂")
    clock = story.does(plain, MANAGER).clock(ClockName.HANDLE)
    told = explain(clock, story.town.law)
    last = (told.moves[-1].steps if told.moves else told.steps)[-1].ends
    assert last == clock.due


def test_another_platforms_limit_lies_on_whoever_has_the_order_now():
    story = begun(external_due=at("2025-07-01 09:00"))
    assert story.clock(ClockName.EXTERNAL).unit == ""
    assert given_to(story).clock(ClockName.EXTERNAL).unit == "B"
    recalled = given_to(story).does(RecallDispatch(reason="派错"), MANAGER)
    assert recalled.clock(ClockName.EXTERNAL).unit == ""


# --- who may -----------------------------------------------------------------------------------------------------


def informants(story: Story, accused: tuple[str, ...]) -> Story:
    report = Attributes(demand_type=DemandType.REPORT)
    change = Reclassify(
        attributes=report, reason="实为举报", accused=accused, confidentiality=Confidentiality.INFORMANT
    )
    return story.does(change, MANAGER)


def test_a_unit_found_to_be_complained_of_does_nothing_more_and_the_hotline_takes_the_case_back():
    held = given_to(begun()).does(Sign(), handler("B"))
    barred = informants(held, ("B",))
    barred.refuses(Contact(medium=Medium.PHONE, reached=True), handler("B"), refusals.AccusedUnit)
    barred.refuses(RaiseDispute(reason="不公"), approver("B"), refusals.AccusedUnit)
    assert barred.does(RecallDispatch(reason="被举报"), MANAGER).order.state is OrderState.AWAITING_DISPATCH


def test_a_case_is_taken_back_from_a_unit_complained_of_even_after_its_reply_was_sent_back():
    back = answered(given_to(begun()).does(Sign(), handler("B")))
    back = back.does(ReviewReply(reply=1, accept=False, requirements="补充"), REVIEWER)
    back.refuses(RecallDispatch(reason="重派"), MANAGER, refusals.WrongState)
    assert informants(back, ("B",)).does(RecallDispatch(reason="被举报"), MANAGER).order.state is (
        OrderState.AWAITING_DISPATCH
    )


def test_a_complaint_about_the_hotline_bars_no_unit_below_it():
    report = Attributes(demand_type=DemandType.REPORT)
    story = begun(attributes=report, accused=("H",), confidentiality=Confidentiality.INFORMANT)
    assert given_to(story).order.state is OrderState.DISPATCHED


def test_nobody_accepts_an_informants_reply_without_looking_for_what_gives_them_away():
    story = answered(given_to(begun(confidentiality=Confidentiality.INFORMANT)).does(Sign(), handler("B")))
    closing = Close(kind=ClosureKind.CONFORMING, article=BASIS)
    story.refuses(closing, REVIEWER, refusals.IdentityNotChecked)
    looked = story.does(ReviewReply(reply=1, accept=True, identity_checked=True), REVIEWER)
    assert looked.does(closing, REVIEWER).order.state is OrderState.CLOSED


def test_who_handled_a_case_does_not_close_it():
    story = answered(given_to(begun()).does(Sign(), handler("B")))
    both = Actor(user=handler("B").user, role=Role.QC_REVIEWER, unit="H")
    story.refuses(Close(kind=ClosureKind.CONFORMING, article=BASIS), both, refusals.ReviewerHandled)


def test_who_asked_for_a_return_does_not_decide_it_by_a_ruling():
    story = begun().does(Dispatch(kind=DispatchType.ORDINARY, lead="B"), MANAGER).does(Sign(), handler("B"))
    back = RequestReturn(ground=ReturnGround.NOT_OUR_DUTY, reason="非职责", basis=BASIS, suggested_unit="E")
    story = story.does(RaiseDispute(reason="不清"), Actor(user="second", role=Role.ORG_APPROVER, unit="B"))
    story = story.does(back, approver("B"))
    both = Actor(user=approver("B").user, role=Role.HOTLINE_MANAGER, unit="H")
    ruling = RuleDispute(dispute=1, unit="E", basis=BASIS, reason="属城管")
    story.refuses(ruling, both, refusals.SelfApproval)


# --- no dead ends ------------------------------------------------------------------------------------------------


def test_what_was_closed_after_trying_is_filed_though_nobody_could_be_told():
    story = given_to(begun("S2-CHONGQING-MPT")).does(Sign(), handler("B"))
    story = story.does(Reply(outcome=Outcome.RESOLVED, public_answer="已修好"), approver("B"))
    for when in ("2025-06-17 10:00", "2025-06-18 15:00", "2025-06-19 19:00"):
        told = InformApplicant(about=InformAbout.RESULT, medium=Medium.PHONE, reached=False)
        story = story.at(when).does(told, AGENT)
    closed = story.does(Close(kind=ClosureKind.CONFORMING, article=BASIS), REVIEWER)
    assert closed.does(Archive(verified_to=closed.town.position), ARCHIVIST).order.state is OrderState.ARCHIVED


def test_the_applicant_of_a_merged_order_is_told_the_direct_answer_to_the_other():
    story = begun()
    second = story.on(OTHER).does(
        Register(
            title="路灯不亮",
            category="市政",
            channel=Channel.WEB,
            attributes=Attributes(demand_type=DemandType.COMPLAINT),
            content="同一盏灯",
            anonymous=True,
            duplicates_seen=(UUID(int=1),),
        ),
        AGENT,
    )
    merged = second.does(Merge(master=UUID(int=1)), MANAGER)
    answer = AnswerDirectly(answer="今晚修复", medium=Medium.PHONE, acknowledged=True, knowledge_ref="K-1")
    done = merged.on(MAIN).does(answer, AGENT).on(OTHER)
    told = InformApplicant(about=InformAbout.RESULT, medium=Medium.PHONE, master=UUID(int=1))
    assert done.does(told, AGENT).order.links.merge.told is not None


def test_no_succession_puts_a_unit_above_itself():
    later = SucceedUnits(from_units=("E1",), to_units=("B2",), at=at("2025-07-01 00:00"), basis=BASIS)
    now = SucceedUnits(from_units=("D",), to_units=("E1",), at=at("2025-06-16 09:00"), basis=BASIS)
    Story(begun().town, "institution").does(later, ADMIN).refuses(now, ADMIN, refusals.UnitCycle)


def succeeded(story: Story, one: str, heir: str) -> Story:
    """The same after a unit passed its duties on."""
    act = SucceedUnits(from_units=(one,), to_units=(heir,), at=story.town.now, basis=BASIS)
    return Story(Story(story.town, "institution").does(act, ADMIN).town)


def test_an_heir_of_the_lead_that_joined_before_owes_both_parts_and_can_do_both():
    story = given_to(begun(), "B", co=(CoPart(unit="E1"),)).does(Sign(), handler("B"))
    heir = succeeded(story, "B", "E1").does(Sign(), handler("E1"))
    opinion = heir.does(CoOpinion(opinion="本单位部分已办"), handler("E1"))
    assert not opinion.clock(ClockName.CO_REPLY).running
    assert answered(opinion, "E1").order.state is OrderState.REPLIED


def test_an_heir_of_a_co_organizer_that_leads_signs_for_it_too():
    story = given_to(begun("S4-BEIJING"), "E1", co=(CoPart(unit="B"),)).does(Sign(), handler("E1"))
    heir = succeeded(story, "B", "E1").does(Sign(), handler("E1"))
    assert not heir.clock(ClockName.SIGN, "e1.a2").running
    assert not heir.does(CoOpinion(opinion="已办"), handler("E1")).clock(ClockName.CO_REPLY).running


def test_the_heirs_own_handlers_draft_its_replies():
    town = founded("S0-CHUANYU", at("2025-06-16 09:00"), (("reply_two_persons", True),))
    story = given_to(begun(town=town)).does(Sign(), handler("B"))
    told = InformApplicant(about=InformAbout.RESULT, medium=Medium.PHONE)
    heir = succeeded(story, "B", "E").does(told, handler("E"))
    answer = Reply(outcome=Outcome.RESOLVED, public_answer="已修好", drafted_by=handler("E").user)
    assert heir.does(answer, approver("E")).order.state is OrderState.REPLIED


def test_telling_of_an_extension_lies_on_whoever_the_order_was_passed_on_to():
    story = given_to(begun(), "D").does(Sign(), handler("D"))
    asked = story.does(RequestExtension(days=5, reason="施工", legal_basis=BASIS), approver("D"))
    other = Actor(user="second", role=Role.HOTLINE_MANAGER, unit="H")
    granted = asked.does(DecideExtension(extension=1, approve=True), other)
    passed = granted.does(Transfer(unit="B"), approver("D")).does(Sign(), handler("B"))
    assert granted.clock(ClockName.INFORM_EXTENSION).unit == "D"
    assert passed.clock(ClockName.INFORM_EXTENSION).unit == "B"
    told = InformExtension(extension=1, medium=Medium.PHONE, progress="施工中")
    assert not passed.does(told, handler("B")).clock(ClockName.INFORM_EXTENSION).running


def test_what_goes_up_step_by_step_comes_to_somebody_who_may_send_it_back():
    story = given_to(begun(), "D").does(Sign(), handler("D")).does(Transfer(unit="B"), approver("D"))
    up = story.does(Sign(), handler("B")).does(EscalateReturn(reason="非职责"), approver("B"))
    assert up.order.episode.escalations[-1].to == "D"


def test_a_case_done_again_is_visited_by_a_unit_that_had_no_part_where_the_hotline_may_not():
    """Complained of are the hotline and a bureau; another was taken over by that bureau, two more handled the case."""
    closed = answered(given_to(begun("S4-BEIJING", accused=("H", "B")), "G").does(Sign(), handler("G")), "G")
    office = Actor(user="g2-coordinator", role=Role.COORDINATOR, unit="G")
    again = closed.does(Close(kind=ClosureKind.CONFORMING, article=BASIS), office)
    again = again.does(Reopen(ground=ReopenGround.NEW_FACTS, words="新证据"), MANAGER)
    merged = SucceedUnits(from_units=("E",), to_units=("B",), at=again.town.now, basis=BASIS)
    again = again.on("institution").does(merged, ADMIN).on(MAIN)
    for way in (Way(), Way(reachable=False)):
        visits = [deed.actor.unit for deed in to_the_end(again.town, MAIN, way) if deed.actor.role is Role.REVISITOR]
        assert visits == ["D"], visits


def test_what_a_unit_found_to_be_complained_of_had_answered_is_done_again_by_another():
    """It may not explain what it answered, and unexplained nothing closes that is not within the policy."""
    refused = Reply(outcome=Outcome.EXPLAINED, public_answer="不符合政策", policy_fit=False)
    case = given_to(begun("S2-CHONGQING-MPT", accused=("S",)), "S").does(refused, approver("S"))
    report = Reclassify(
        attributes=Attributes(demand_type=DemandType.REPORT),
        reason="实为举报",
        confidentiality=Confidentiality.INFORMANT,
    )
    case = case.does(report, MANAGER)
    case.refuses(Explain(points="政策所限"), handler("S"), refusals.AccusedUnit)
    deeds = to_the_end(case.town, MAIN)
    assert [deed.act.lead for deed in deeds if isinstance(deed.act, Dispatch)] != ["S"]
    assert any(isinstance(deed.act, OrderRedo) for deed in deeds)


def test_of_the_hotline_the_office_judges_that_took_over_from_the_governments():
    case = answered(given_to(begun(accused=("H",)), "D").does(Sign(), handler("D")), "D")
    merged = SucceedUnits(from_units=("G",), to_units=("E",), at=case.town.now, basis=BASIS)
    case = case.on("institution").does(merged, ADMIN).on(MAIN)
    closers = [deed.actor.unit for deed in to_the_end(case.town, MAIN) if isinstance(deed.act, Close)]
    assert closers == ["E"]


def test_who_gave_no_name_finds_the_answer_of_a_second_round_under_the_query_code():
    """The unit answered the hotline; nobody can be tried or visited, so the hotline publishes what it was told."""
    case = given_to(begun("S2-CHONGQING-MPT", applicant=None, anonymous=True)).does(Sign(), handler("B"))
    reply = Reply(outcome=Outcome.RESOLVED, public_answer="已修好")
    case = case.does(reply, approver("B")).does(OrderRedo(**REDO), MANAGER)
    case = given_to(case, limits={ClockName.HANDLE: FIVE_DAYS}).does(Sign(), handler("B")).does(reply, approver("B"))
    conforming = Close(kind=ClosureKind.CONFORMING, article=BASIS)
    case.refuses(conforming, REVIEWER, refusals.RevisitMissing)
    case.does(InformApplicant(about=InformAbout.RESULT, medium=Medium.WEB), AGENT).does(conforming, REVIEWER)
    for way in (Way(), Way(reachable=False)):
        to_the_end(case.town, MAIN, way)


def test_an_heir_signs_for_its_own_part_and_then_for_the_one_it_took_over():
    case = given_to(begun()).does(AddCo(unit="E1", duty="供电"), MANAGER)
    merged = SucceedUnits(from_units=("E1",), to_units=("B",), at=case.town.now, basis=BASIS)
    case = case.on("institution").does(merged, ADMIN).on(MAIN)
    for clock in clocks(case.order, case.town.law):
        assert not clock.running or clock.name in WINDOWS or stoppable(case.town, MAIN, clock), clock.key
    case = case.does(Sign(), handler("B")).does(Sign(), handler("B"))
    assert all(a.signed is not None for a in case.order.episode.assignments)
    case.refuses(Sign(), handler("B"), refusals.AlreadySigned)
