"""① Registering, completing, classifying, protecting and splitting demands."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain import institution, refusals
from domain.context import Context
from domain.institution import NumberBlockReserved
from domain.policy import ref
from domain.refusals import Refusal
from domain.state import WorkOrder
from domain.steps.classifying import (
    Classify,
    ConfidentialityLifted,
    ConfidentialityLiftProposed,
    ConfidentialityLiftRejected,
    ConfidentialitySet,
    LiftConfidentiality,
    OrderClassified,
    OrderReclassified,
    ProposeLiftConfidentiality,
    Reclassify,
    RejectLiftConfidentiality,
    SetConfidentiality,
)
from domain.steps.registration import (
    DECIDES,
    EVOLVES,
    OrderRegistered,
    OrderSplit,
    OrderSupplemented,
    Register,
    RegisterSecretStub,
    RequestSupplement,
    ReservedNumber,
    SecretStubRegistered,
    Split,
    SplitChild,
    Supplement,
    SupplementRequested,
    has_personal_data,
)
from domain.terms import (
    Act,
    Actor,
    Applicant,
    ApplicantKind,
    Attributes,
    Channel,
    ClockName,
    Complexity,
    Confidentiality,
    DemandType,
    Entry,
    Fact,
    Mark,
    Medium,
    Number,
    OrderState,
    Origin,
    Period,
    Role,
    Scale,
    Step,
    To,
    Urgency,
)
from tests.given import (
    AGENT,
    BASIS,
    CITIZEN,
    DISPATCHER,
    HANDLER,
    MANAGER,
    ORDER,
    PROOF,
    REVIEWER,
    STREAM,
    SUPERVISOR,
    at,
    dispatched,
    given,
    handler,
    law,
    pack,
    registered,
    working,
)

CALLER = Applicant(kind=ApplicantKind.PERSON, name="王小明", phone="13800000000")
HELP = Attributes(demand_type=DemandType.HELP)
CALL = Register(
    title="河滨路路灯不亮",
    category="市政",
    channel=Channel.PHONE,
    attributes=HELP,
    content="河滨路口的路灯三天不亮。",
    applicant=CALLER,
    duplicates_seen=(),
)
MONDAY = "2025-06-16 09:00"


def said(command: Register, **changes: Any) -> Register:
    """The call with something said otherwise."""
    return msgspec.structs.replace(command, **changes)


def decided(
    command: Act,
    *,
    by: Actor = AGENT,
    when: str = MONDAY,
    under: str = "S0-CHUANYU",
    origin: Origin = Origin.LIVE,
    recording: str | None = None,
    subject: UUID | None = None,
    others: dict[str, Any] | None = None,
    city: Any = None,
) -> Sequence[Step]:
    """What registering makes happen, in a city with that pack."""
    context = Context(
        actor=by,
        now=at(when),
        law=city or law(under, "CONSUMER-COMPLAINT"),
        stream=STREAM,
        origin=origin,
        others=others,
        subject=subject,
        recording=at(recording) if recording else None,
    )
    return DECIDES[type(command)](None, command, context)


def refused(command: Act, refusal: type[Refusal], **how: Any) -> None:
    with pytest.raises(refusal) as raised:
        decided(command, **how)
    assert type(raised.value) is refusal


def born(event: Fact, when: str = MONDAY, numbers: dict[str, tuple[int, ...]] | None = None, **how: Any) -> WorkOrder:
    """The order that one event makes of nothing."""
    entry = Entry(
        event=event,
        stream=STREAM,
        version=1,
        position=7,
        recorded_at=at(when),
        actor=AGENT,
        numbers=numbers or {},
        **how,
    )
    return EVOLVES[type(event)](None, event, entry)


# ── registering ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_demand_is_registered_with_a_number_of_its_day_and_bound_to_the_law_of_its_day():
    event, number = decided(CALL)
    assert isinstance(event, OrderRegistered)
    assert number == Number("order", "CD", Period.DAY)
    order = born(event, numbers={"order/CD20250616": (17,)})
    assert order.number == "CD20250616-000017"
    assert order.id == ORDER
    assert order.state is OrderState.REGISTERED
    assert order.policy == law("S0-CHUANYU").policy_at(at(MONDAY))
    assert order.registered == Mark(at(MONDAY), 7)
    assert [(w.since, w.cause, w.until) for w in order.waits] == [(Mark(at(MONDAY), 7), "registration", None)]


def test_the_applicant_becomes_the_subject_that_the_door_found():
    event = decided(CALL, subject=UUID(int=5))[0]
    assert isinstance(event, OrderRegistered)
    assert event.applicant is not None
    assert event.applicant.subject == UUID(int=5)


@pytest.mark.parametrize(
    "lacking",
    [
        {"content": " "},
        {"applicant": None},
        {"applicant": Applicant(kind=ApplicantKind.PERSON, name="王小明")},
        {"place_bound": True},
    ],
)
def test_a_registration_without_content_contact_or_place_is_refused(lacking: dict[str, Any]):
    refused(said(CALL, **lacking), refusals.RegistrationIncomplete)


def test_an_anonymous_demand_needs_no_contact_and_takes_no_name():
    event = decided(said(CALL, applicant=None, anonymous=True))[0]
    assert isinstance(event, OrderRegistered)
    assert event.anonymous
    refused(said(CALL, anonymous=True), refusals.AnonymousNamed)


def test_a_place_may_be_told_in_full_only_under_seal():
    assert decided(said(CALL, place_bound=True, address="河滨路88号2单元301"))
    assert decided(said(CALL, place_bound=True, place="河滨路"))


@pytest.mark.parametrize(
    "title",
    [
        "请回电13800000000",
        "请回电１３８ ０００ ０００ ００",
        "身份证11010119900101123X",
        "电话一三八零零零零零零零零",
        "联系 li@example.com",
        "车牌川A12345占道",
        "王先生家漏水",
        "李小红女士投诉",
    ],
)
def test_a_title_that_shows_personal_data_is_refused(title: str):
    assert has_personal_data(title)
    refused(said(CALL, title=title), refusals.TitleHasPersonalData)


@pytest.mark.parametrize(
    "title",
    ["河滨路88号路灯不亮", "2025年6月16日停水", "12345热线无人接听", "老先生反映公交站牌错误", "三十五路公交车晚点"],
)
def test_a_title_about_the_matter_is_taken(title: str):
    assert not has_personal_data(title)


@pytest.mark.parametrize("field", ["title", "category", "place", "district"])
def test_what_everybody_is_shown_repaints_no_screen_and_turns_no_writing(field: str):
    for trap in ("红\x1b[31m字", "响\x07", "反\u202e转", "换\n行"):
        refused(said(CALL, **{field: trap}), refusals.TextNotPlain)


def test_nor_does_what_is_said_of_it_later():
    case, trap, what = given(registered()), "市\x1b[2J政", Attributes(demand_type=DemandType.CONSULT)
    case.when(Supplement(place=trap), by=AGENT).refused(refusals.TextNotPlain)
    case.when(Classify(attributes=what, category=trap), by=AGENT).refused(refusals.TextNotPlain)
    case.when(Reclassify(attributes=what, reason="实为咨询", category=trap), by=MANAGER).refused(refusals.TextNotPlain)
    for field in ("title", "category", "place"):
        whole = SplitChild(title="噪声", category="环境", attributes=what, content="夜间施工")
        part = msgspec.structs.replace(whole, **{field: trap})
        case.when(Split(children=(part,), reason="两事"), by=DISPATCHER).refused(refusals.TextNotPlain)


def test_a_report_is_registered_only_with_its_informant_protected():
    report = said(CALL, attributes=Attributes(demand_type=DemandType.REPORT))
    refused(report, refusals.InformantUnprotected)
    event = decided(said(report, confidentiality=Confidentiality.INFORMANT))[0]
    assert born(event).confidentiality is Confidentiality.INFORMANT  # type: ignore[arg-type]


def test_nobody_registers_live_without_having_looked_for_duplicates():
    refused(said(CALL, duplicates_seen=None), refusals.DuplicateCheckMissing)
    assert decided(said(CALL, duplicates_seen=None), origin=Origin.IMPORT)
    event = decided(said(CALL, duplicates_seen=(UUID(int=3),)))[0]
    assert born(event).links.duplicates == (UUID(int=3),)  # type: ignore[arg-type]


def test_units_complained_of_and_orders_taken_up_again_must_exist():
    refused(said(CALL, accused=("NOWHERE",)), refusals.UnknownUnit)
    refused(said(CALL, previous=UUID(int=3)), refusals.UnknownOrder)
    before = {f"order:{UUID(int=3)}": registered()}
    assert said(CALL, previous=UUID(int=3)).reads() == tuple(before)
    assert CALL.reads() == ()
    event = decided(said(CALL, previous=UUID(int=3)), others=before)[0]
    assert born(event).links.previous == UUID(int=3)  # type: ignore[arg-type]


# ── backfilled and imported ─────────────────────────────────────────────────────────────────────────────────────────


def test_within_a_day_an_agent_backfills_with_a_reason():
    late = said(CALL, backfill_reason="系统中断, 纸质登记")
    assert decided(late, origin=Origin.BACKFILL, recording="2025-06-17 09:00")
    refused(CALL, refusals.BackfillReasonMissing, origin=Origin.BACKFILL, recording="2025-06-16 10:00")


def test_what_lies_further_back_is_backfilled_by_a_supervisor_who_registers_nothing_else():
    late = said(CALL, backfill_reason="系统中断, 纸质登记")
    how: dict[str, Any] = {"origin": Origin.BACKFILL, "recording": "2025-06-17 09:00:00.001"}
    refused(late, refusals.BackfillTooLate, **how)
    assert decided(late, by=SUPERVISOR, **how)
    refused(CALL, refusals.RoleNotAllowed, by=SUPERVISOR)


def test_a_backfilled_order_is_as_old_as_the_call():
    event = decided(said(CALL, backfill_reason="中断"), origin=Origin.BACKFILL, recording="2025-06-16 12:00")[0]
    order = born(
        event,  # type: ignore[arg-type]
        when="2025-06-16 12:00",
        occurred_at=at(MONDAY),
        origin=Origin.BACKFILL,
    )
    assert order.backfilled
    assert order.registered.at == at(MONDAY)


def test_a_paper_slip_keeps_the_number_reserved_for_it_and_takes_no_other():
    block = NumberBlockReserved(block=1, count=2, reason="outage")
    entry = Entry(
        event=block,
        stream="institution",
        version=99,
        position=99,
        recorded_at=at("2025-06-16 08:00"),
        actor=MANAGER,
        numbers={"order/CD20250616": (40, 41)},
    )
    city = institution.evolve(law("S0-CHUANYU"), entry)
    slip = said(CALL, reserved=ReservedNumber(journal="order/CD20250616", number=41), backfill_reason="中断")
    how: dict[str, Any] = {"origin": Origin.BACKFILL, "recording": "2025-06-16 12:00", "city": city}
    (event,) = decided(slip, **how)
    assert born(event).number == "CD20250616-000041"  # type: ignore[arg-type]
    unknown = said(slip, reserved=ReservedNumber(journal="order/CD20250616", number=42))
    refused(unknown, refusals.UnknownNumberBlock, **how)


def test_a_pack_is_assumed_only_for_imported_history():
    s4 = law("S0-CHUANYU").policy_at(at(MONDAY))
    refused(said(CALL, assume_policy=s4), refusals.AssumedPolicyLive)
    event = decided(said(CALL, assume_policy=s4), origin=Origin.IMPORT)[0]
    assert born(event).assumed_policy  # type: ignore[arg-type]


def test_an_imported_order_keeps_its_old_number_beside_ours_or_for_want_of_one():
    event = decided(said(CALL, old_number="12345-88"), origin=Origin.IMPORT)[0]
    ours = born(event, numbers={"order/CD20250616": (1,)})  # type: ignore[arg-type]
    assert (ours.number, ours.demand.old_number) == ("CD20250616-000001", "12345-88")
    assert born(event).number == "12345-88"  # type: ignore[arg-type]


def test_a_second_registration_in_the_same_stream_changes_nothing():
    event = decided(CALL)[0]
    order = born(event)  # type: ignore[arg-type]
    again = Entry(event=event, stream=STREAM, version=2, position=8, recorded_at=at(MONDAY), actor=AGENT)
    assert EVOLVES[OrderRegistered](order, event, again) is order


# ── what must not be written down ───────────────────────────────────────────────────────────────────────────────────


def test_a_secret_stub_keeps_reason_time_and_agent_and_nothing_else():
    stub = RegisterSecretStub(channel=Channel.PHONE, informed_at=at(MONDAY), informed_unit="市国家保密局")
    event, *numbers = decided(stub)
    assert isinstance(event, SecretStubRegistered)
    assert [n.journal for n in numbers if isinstance(n, Number)] == ["order", "non_acceptance"]
    order = born(event, numbers={"order/CD20250616": (3,)})
    assert order.state is OrderState.NOT_ACCEPTED
    assert order.filing.refusal == "state_secret"
    assert order.demand.content is None
    assert order.waits[0].by == "refused"
    assert not order.waits[0].cancelled
    refused(
        msgspec.structs.replace(stub, informed_at=at("2025-06-16 09:00:00.001")),
        refusals.InstantAhead,
    )


def test_a_city_that_lists_no_secrets_lets_the_agent_name_the_basis():
    bare = msgspec.structs.replace(pack("S0-CHUANYU"), refusals=())
    entry = Entry(
        event=institution.PolicyPackPublished(pack=bare, digest=ref(bare).digest, valid_from=None),
        stream="institution",
        version=99,
        position=99,
        recorded_at=at("2025-06-01 08:00"),
        actor=SUPERVISOR,
    )
    city = institution.evolve(law("S0-CHUANYU"), entry)
    stub = RegisterSecretStub(channel=Channel.PHONE, informed_at=at(MONDAY), informed_unit="市国家保密局")
    refused(stub, refusals.RefusalBasisMissing, city=city)
    assert decided(msgspec.structs.replace(stub, basis=BASIS), city=city)


# ── completing ──────────────────────────────────────────────────────────────────────────────────────────────────────

ASK = RequestSupplement(items=("address", "photo"), by=date(2025, 6, 18), medium=Medium.SMS)


def test_before_dispatch_the_order_waits_for_what_was_asked_and_goes_back_to_where_it_was():
    asked = given(registered()).when(ASK, by=AGENT).then(SupplementRequested)
    assert asked.order.state is OrderState.AWAITING_SUPPLEMENT
    part = asked.does(Supplement(items=("address",), place="河滨路"), by=CITIZEN)
    assert part.order.state is OrderState.AWAITING_SUPPLEMENT
    assert part.order.supplement == ("photo",)
    whole = part.when(Supplement(items=("photo",), attachments=(PROOF,)), by=AGENT).then(OrderSupplemented)
    assert whole.order.state is OrderState.AWAITING_DISPATCH
    assert whole.order.supplement_by is None


def test_after_dispatch_work_goes_on_while_the_applicant_is_asked():
    asked = given(working()).does(ASK, by=HANDLER)
    assert asked.order.state is OrderState.WORKING
    assert asked.order.supplement == ("address", "photo")


def test_a_request_for_nothing_or_by_yesterday_or_by_a_stranger_is_refused():
    case = given(working())
    case.when(msgspec.structs.replace(ASK, items=()), by=AGENT).refused(refusals.ItemsMissing)
    case.at("2025-06-19 00:00:00.001").when(ASK, by=AGENT).refused(refusals.DayHasPassed)
    case.at("2025-06-19 00:00").when(ASK, by=AGENT).then(SupplementRequested)
    case.when(ASK, by=handler("E")).refused(refusals.NotYourUnit)


def test_a_supplement_fills_gaps_and_overwrites_nothing():
    case = given(registered(place="滨江路", applicant=CALLER))
    other = Applicant(kind=ApplicantKind.PERSON, phone="13900000000")
    later = case.does(Supplement(place="河滨路", applicant=other), by=CITIZEN)
    assert later.order.demand.place == "滨江路"
    assert later.order.demand.applicant == CALLER
    case.when(Supplement(), by=AGENT).refused(refusals.NothingChanged)
    case.when(Supplement(content="补充"), by=HANDLER).refused(refusals.WrongState)
    case.having(state=OrderState.ARCHIVED).when(Supplement(content="补充"), by=AGENT).refused(refusals.OrderSealed)


def test_an_anonymous_demand_whose_applicant_comes_forward_is_anonymous_no_longer():
    case = given(registered(anonymous=True)).does(Supplement(applicant=CALLER), by=AGENT)
    assert not case.order.demand.anonymous


# ── classifying ─────────────────────────────────────────────────────────────────────────────────────────────────────

EMERGENCY = Attributes(demand_type=DemandType.HELP, urgency=Urgency.EMERGENCY_LIFE)
COMPLEX = Attributes(demand_type=DemandType.HELP, complexity=Complexity.COMPLEX)


def test_classifying_before_dispatch_shortens_the_hotlines_own_time_at_once():
    case = given(registered("S4-BEIJING")).at("2025-06-16 08:10")
    raised = case.when(Classify(attributes=EMERGENCY, category="燃气"), by=AGENT).then(OrderClassified)
    assert raised.order.demand.category == "燃气"
    assert raised.clock(ClockName.DISPATCH).due == at("2025-06-16 09:10")
    lowered = raised.at("2025-06-16 08:20").does(Classify(attributes=HELP), by=DISPATCHER)
    assert lowered.clock(ClockName.DISPATCH).due == at("2025-06-16 09:10")
    given(dispatched("S4-BEIJING")).when(Classify(attributes=EMERGENCY), by=AGENT).refused(refusals.WrongState)


def test_after_dispatch_only_the_management_reclassifies():
    case = given(working("S4-BEIJING"))
    change = Reclassify(attributes=EMERGENCY, reason="燃气泄漏")
    case.when(change, by=DISPATCHER).refused(refusals.NotHotlineManager)
    raised = case.at("2025-06-16 10:00").when(change, by=MANAGER).then(OrderReclassified)
    assert raised.clock(ClockName.HANDLE).due == at("2025-06-16 12:00")


def test_a_limit_gets_longer_only_in_time_and_where_the_management_says_so():
    case = given(working("S4-BEIJING"))
    longer = Reclassify(attributes=COMPLEX, reason="涉及多处管网", lengthens=True)
    in_time = case.at("2025-06-24 00:00").when(longer, by=MANAGER).then(OrderReclassified)
    assert in_time.clock(ClockName.HANDLE).due == at("2025-07-02 00:00")
    case.at("2025-06-24 00:00:00.001").when(longer, by=MANAGER).refused(refusals.ReclassifiedAfterDue)
    unsaid = case.does(msgspec.structs.replace(longer, lengthens=False), by=MANAGER)
    assert unsaid.clock(ClockName.HANDLE).due == at("2025-06-24 00:00")
    given(registered("S4-BEIJING")).when(longer, by=DISPATCHER).refused(refusals.NotHotlineManager)


def test_a_reclassification_gives_a_reason_and_changes_something():
    case = given(registered())
    case.when(Reclassify(attributes=COMPLEX, reason=""), by=AGENT).refused(refusals.ReasonMissing)
    case.when(Reclassify(attributes=HELP, reason="同前"), by=AGENT).refused(refusals.NothingChanged)
    unknown = Reclassify(attributes=COMPLEX, reason="新情况", accused=("NOWHERE",))
    case.when(unknown, by=AGENT).refused(refusals.UnknownUnit)
    added = case.does(Reclassify(attributes=HELP, reason="涉及单位", accused=("E",), involved_units=2), by=AGENT)
    assert (added.order.demand.accused, added.order.demand.involved_units) == (("E",), 2)
    assert added.order.changes == ()


def test_a_demand_that_turns_out_to_be_a_report_protects_its_informant_in_the_same_commit():
    report = Attributes(demand_type=DemandType.REPORT)
    case = given(registered())
    case.when(Classify(attributes=report), by=AGENT).refused(refusals.InformantUnprotected)
    protected = Classify(attributes=report, confidentiality=Confidentiality.INFORMANT)
    seen = case.when(protected, by=AGENT).then(OrderClassified, ConfidentialitySet)
    assert seen.order.confidentiality is Confidentiality.INFORMANT
    seen.when(Reclassify(attributes=HELP, reason="误判"), by=AGENT).then(OrderReclassified)


def test_a_mass_outage_is_special_and_a_single_one_is_not():
    mass = Attributes(demand_type=DemandType.HELP, urgency=Urgency.LIVELIHOOD, scale=Scale.MASS)
    case = given(dispatched("S1-CHENGDU", urgency=Urgency.LIVELIHOOD)).at("2025-06-16 10:00")
    assert case.no_clock(ClockName.INIT_RESPONSE)
    special = case.does(Reclassify(attributes=mass, reason="大面积停水"), by=MANAGER)
    assert special.clock(ClockName.INIT_RESPONSE).due == at("2025-06-16 12:00")


# ── protecting ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_protection_is_raised_by_one_and_lowered_by_two():
    case = given(working()).does(SetConfidentiality(confidentiality=Confidentiality.PRIVACY), by=CITIZEN)
    assert case.order.confidentiality is Confidentiality.PRIVACY
    lower = SetConfidentiality(confidentiality=Confidentiality.NORMAL)
    case.when(lower, by=REVIEWER).refused(refusals.ConfidentialityOnlyRaised)
    case.when(SetConfidentiality(confidentiality=Confidentiality.PRIVACY), by=AGENT).refused(refusals.NothingChanged)
    ask = ProposeLiftConfidentiality(confidentiality=Confidentiality.NORMAL, reason="诉求人同意公开")
    asked = case.when(ask, by=SUPERVISOR).then(ConfidentialityLiftProposed)
    asked.when(ask, by=REVIEWER).refused(refusals.ProposalPending)
    asked.when(LiftConfidentiality(), by=SUPERVISOR).refused(refusals.SelfApproval)
    lifted = asked.when(LiftConfidentiality(), by=MANAGER).then(ConfidentialityLifted)
    assert lifted.order.confidentiality is Confidentiality.NORMAL
    kept = asked.when(RejectLiftConfidentiality(words="仍有风险"), by=MANAGER).then(ConfidentialityLiftRejected)
    assert kept.order.confidentiality is Confidentiality.PRIVACY
    asked.when(RejectLiftConfidentiality(words=""), by=MANAGER).refused(refusals.ReasonMissing)
    kept.when(LiftConfidentiality(), by=MANAGER).refused(refusals.NoSuchProposal)


def test_a_proposal_to_lift_gives_a_reason_and_asks_for_less():
    case = given(registered(confidentiality=Confidentiality.PRIVACY))
    more = ProposeLiftConfidentiality(confidentiality=Confidentiality.INFORMANT, reason="举报")
    case.when(more, by=REVIEWER).refused(refusals.NothingChanged)
    mute = ProposeLiftConfidentiality(confidentiality=Confidentiality.NORMAL, reason=" ")
    case.when(mute, by=REVIEWER).refused(refusals.ReasonMissing)


def test_a_sealed_file_changes_its_protection_no_more():
    order = registered()
    sealed = msgspec.structs.replace(order.filing, sealed=Mark(at(MONDAY), 9))
    case = given(order).having(filing=sealed)
    raise_it = SetConfidentiality(confidentiality=Confidentiality.PRIVACY)
    case.when(raise_it, by=AGENT).refused(refusals.OrderSealed)


# ── splitting ───────────────────────────────────────────────────────────────────────────────────────────────────────

LAMP = SplitChild(title="路灯不亮", category="市政", attributes=HELP, content="路灯不亮")
WATER = SplitChild(title="停水", category="供水", attributes=HELP, content="停水两天", involved_units=1)


def test_the_parts_of_a_split_order_keep_its_registration_law_and_applicant_and_get_numbers_of_their_own():
    parent = registered("S4-BEIJING", applicant=CALLER, confidentiality=Confidentiality.PRIVACY)
    split = given(parent).at("2025-06-16 20:00").when(Split(children=(LAMP, WATER), reason="两件事"), by=DISPATCHER)
    own, first, second, number = split.decide()
    assert isinstance(own, OrderSplit)
    assert isinstance(first, To)
    assert isinstance(second, To)
    assert [first.stream, second.stream] == [f"order:{one}" for one in own.children]
    assert number == Number("order", "CD", Period.DAY, 2)
    event = second.event
    assert isinstance(event, OrderRegistered)
    order = born(event, when="2025-06-16 20:00", numbers={"order/CD20250616": (31, 32)})
    assert order.number == "CD20250616-000032"
    assert order.registered.at == order.waits[0].since.at == parent.registered.at
    assert order.waits[0].cause == "split"
    assert (order.policy, order.confidentiality) == (parent.policy, Confidentiality.PRIVACY)
    assert order.demand.applicant == CALLER
    assert order.links.parent == parent.id
    assert split.then().order.links.children == own.children
    assert given(order).clock(ClockName.DISPATCH).due == at("2025-06-17 08:00")


def test_a_part_that_is_a_report_is_split_off_only_once_the_informant_is_protected():
    report = msgspec.structs.replace(LAMP, attributes=Attributes(demand_type=DemandType.REPORT))
    apart = Split(children=(report,), reason="另有举报")
    given(registered()).when(apart, by=DISPATCHER).refused(refusals.InformantUnprotected)
    tos = given(registered(confidentiality=Confidentiality.INFORMANT)).when(apart, by=DISPATCHER).elsewhere()
    assert isinstance(tos[0].event, OrderRegistered)
    assert tos[0].event.confidentiality is Confidentiality.INFORMANT


def test_the_mayors_telephone_asks_for_name_and_number():  # S2-18
    nameless = said(CALL, applicant=Applicant(kind=ApplicantKind.PERSON, phone="13800000000"))
    decided(nameless)
    with pytest.raises(refusals.RegistrationIncomplete):
        decided(nameless, under="S2-CHONGQING-MPT")
    decided(CALL, under="S2-CHONGQING-MPT")
    decided(said(CALL, applicant=None, anonymous=True), under="S2-CHONGQING-MPT")


def test_the_parts_keep_an_informants_report_from_whom_it_is_about():
    parent = registered(confidentiality=Confidentiality.INFORMANT, accused=("D",), accused_persons="某科长")
    apart = Split(children=(msgspec.structs.replace(LAMP, accused=("E",)), LAMP), reason="两件事")
    first, second = (to.event for to in given(parent).when(apart, by=DISPATCHER).elsewhere())
    assert isinstance(first, OrderRegistered)
    assert isinstance(second, OrderRegistered)
    assert (first.accused, second.accused) == (("D", "E"), ("D",))
    assert first.accused_persons == second.accused_persons == "某科长"
    assert given(born(second)).order.demand.accused_persons == "某科长"


def test_splitting_names_parts_and_reason_and_comes_before_the_reply():
    case = given(registered())
    case.when(Split(children=(), reason="两件事"), by=DISPATCHER).refused(refusals.ChildrenMissing)
    case.when(Split(children=(LAMP,), reason=""), by=DISPATCHER).refused(refusals.ReasonMissing)
    named = msgspec.structs.replace(LAMP, title="电话13800000000")
    case.when(Split(children=(named,), reason="两件事"), by=DISPATCHER).refused(refusals.TitleHasPersonalData)
    replied = given(working()).having(state=OrderState.REPLIED)
    replied.when(Split(children=(LAMP,), reason="两件事"), by=DISPATCHER).refused(refusals.WrongState)


# ── who may ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_command_says_who_may_give_it():
    assert all(command.roles for command in DECIDES)
    assert Role.ADMIN not in set().union(*(command.roles for command in DECIDES))
