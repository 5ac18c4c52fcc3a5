"""The institution stream and the law it folds to: founding, two persons, validity, peaks, outages, units, roles."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import institution, units
from domain import law as law_module
from domain.calendar import CalendarYear, known, load_calendar
from domain.completion import complete
from domain.institution import (
    COMMANDS,
    EVENTS,
    ApproveCalendar,
    ApproveOutage,
    ApprovePolicy,
    CalendarPublished,
    CalendarRevised,
    CityFounded,
    Command,
    DeclarePeak,
    EndPeak,
    Event,
    Found,
    HashAlgorithm,
    NumberBlockReserved,
    OutageDeclared,
    OutageScope,
    PeakModeDeclared,
    PeakModeEnded,
    PolicyPackProposed,
    PolicyPackPublished,
    PolicyPackRejected,
    ProposeCalendar,
    ProposeOutage,
    ProposePolicy,
    RejectCalendar,
    RejectOutage,
    RejectPolicy,
    ReserveNumbers,
    VoidNumbers,
    decide,
    evolve,
)
from domain.law import Law, Timeline
from domain.packs import load_pack
from domain.policy import Option, Pack, digest, ref
from domain.refusals import (
    AlreadyFounded,
    BeforeEffect,
    CalendarInvalid,
    CalendarVersion,
    DayHasPassed,
    IntervalEmpty,
    NoAdministrator,
    NoAgreementInForce,
    NoPolicyInForce,
    NoRetroactivePeak,
    NoSuchPeak,
    NotFounded,
    NothingChanged,
    OpenTasksUnchecked,
    OutageScopeUnclear,
    PackOverlap,
    ParentNotAllowed,
    PeakOverlap,
    PolicyInvalid,
    Refusal,
    RoleHeldAlready,
    RoleNotAllowed,
    RoleNotGrantable,
    RoleNotHeld,
    RootWithoutUsers,
    SelfApproval,
    SelfGrant,
    SuccessionUnclear,
    UnitCycle,
    UnitExists,
    UnitInactive,
    UnknownNumberBlock,
    UnknownPolicy,
    UnknownProposal,
    UnknownUnit,
    UseUnchecked,
    ValidityNotStated,
)
from domain.sharing import EndShareAgreement, PublishShareAgreement
from domain.terms import (
    SHANGHAI,
    Actor,
    Citation,
    Entry,
    Number,
    Origin,
    Period,
    PolicyRef,
    Role,
    Step,
    UnitKind,
    UnitLevel,
)
from domain.units import (
    ChangeUnit,
    GrantRole,
    RegisterUnit,
    RevokeRole,
    RoleGranted,
    RoleRevoked,
    SucceedUnits,
    UnitChanged,
    UnitRegistered,
    UnitSucceeded,
)

DOMAIN = Path(__file__).parent.parent / "domain"
YEARS = tuple(
    year
    for path in sorted((DOMAIN / "calendars").glob("*.toml"))
    for year in load_calendar(path.read_text(encoding="utf-8"), path.name)
)


def at(text: str) -> datetime:
    """Read `2025-03-04 10:00` as an instant in Shanghai."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def packed(name: str) -> Pack:
    def read(stem: str) -> Pack:
        return load_pack((DOMAIN / "policies" / f"{stem}.toml").read_text(encoding="utf-8"), stem)

    return complete(read(name), read("common"))


BASIS = Citation(text="市政府办公会议纪要")
S0, S4 = packed("s0-chuanyu"), packed("s4-beijing")
S0_NEXT = msgspec.structs.replace(S0, version="2", effective_from=date(2026, 1, 1))
COMMON = load_pack((DOMAIN / "policies" / "common.toml").read_text(encoding="utf-8"), "common")
OVERLAY = Pack(
    id="CONSUMER",
    version="1",
    title="消费投诉",
    display_name="消费投诉",
    basis=(BASIS,),
    effective_from=date(2025, 1, 1),
    effective_until=date(2025, 6, 30),
    overlay=True,
    classes=(packed("s0-chuanyu").classes[0],),
    options=(Option(name="attempts", value=3, basis=BASIS),),
)

LEDGER = UUID(int=1)
START = at("2025-03-03 08:00")
SYSTEM = Actor(user="init", role=Role.SYSTEM)
ADMIN = Actor(user="wang", role=Role.ADMIN, unit="hotline")
ADMIN_2 = Actor(user="zhao", role=Role.ADMIN, unit="hotline")
MANAGER = Actor(user="li", role=Role.HOTLINE_MANAGER, unit="hotline")
SUPERVISOR = Actor(user="sun", role=Role.SUPERVISOR, unit="hotline")

HOTLINE = RegisterUnit(unit="hotline", name="市12345热线", level=UnitLevel.HOTLINE, kind=UnitKind.HOTLINE)


def first(unit: str, **said: Any) -> RegisterUnit:
    return RegisterUnit(
        **{"unit": unit, "name": f"{unit}局", "level": UnitLevel.FIRST, "kind": UnitKind.DEPARTMENT, **said}
    )


def second(unit: str, parent: str, **said: Any) -> RegisterUnit:
    return first(unit, level=UnitLevel.SECOND, parent=parent, **said)


def grants(*named: tuple[str, Role, str]) -> tuple[GrantRole, ...]:
    return tuple(GrantRole(user=user, role=role, unit=unit) for user, role, unit in named)


FOUND = Found(
    ledger_id=LEDGER,
    city_code="CD",
    city_name="某市",
    hotline=HOTLINE,
    units=(first("water"), first("roads"), second("water-1", "water"), second("water-2", "water")),
    grants=grants(
        ("wang", Role.ADMIN, "hotline"),
        ("zhao", Role.ADMIN, "hotline"),
        ("li", Role.HOTLINE_MANAGER, "hotline"),
        ("qian", Role.ORG_HANDLER, "water"),
        ("zhou", Role.ORG_HANDLER, "water"),
    ),
    policies=(ProposePolicy(pack=S0),),
    calendars=tuple(year for year in YEARS if year.known_from <= START.date()),
)


def founded(**said: Any) -> Found:
    return msgspec.structs.replace(FOUND, **said)


class City:
    """One institution stream: commands at instants, folded as they are decided."""

    def __init__(self, found: Found = FOUND) -> None:
        self.law: Law | None = None
        self.entries: list[Entry] = []
        self.do(found, SYSTEM, START)

    @property
    def now(self) -> Law:
        assert self.law is not None
        return self.law

    def do(self, act: Command, by: Actor, when: datetime, numbers: dict[str, tuple[int, ...]] | None = None) -> Any:
        """Decide and fold; return the first event."""
        steps = decide(self.law, act, by, when)
        for event in events(steps):
            self.record(event, by, when, numbers or {})
        return events(steps)[0]

    def record(
        self, event: Event, by: Actor, when: datetime, numbers: dict[str, tuple[int, ...]] | None = None
    ) -> None:
        """Fold an event as it stands, as an import does."""
        entry = entered(event, len(self.entries) + 1, by, when, numbers or {})
        self.entries.append(entry)
        self.law = evolve(self.law, entry)


def events(steps: Iterable[Step]) -> list[Any]:
    return [step for step in steps if isinstance(step, EVENTS)]


def entered(
    event: Event, version: int, by: Actor, when: datetime, numbers: dict[str, tuple[int, ...]] | None = None
) -> Entry:
    return Entry(
        event=event,
        stream="institution",
        version=version,
        position=version,
        recorded_at=when,
        actor=by,
        numbers=numbers or {},
    )


def folded(entries: Iterable[Entry]) -> Law:
    law: Law | None = None
    for entry in entries:
        law = evolve(law, entry)
    assert law is not None
    return law


# --- founding ----------------------------------------------------------------------------------------------------


def test_the_founding_act_makes_a_city_its_policies_calendars_units_and_roles():
    law = City().now
    assert (law.ledger_id, law.city_code, law.city_name, law.hotline_unit) == (LEDGER, "CD", "某市", "hotline")
    assert law.policy_at(START) == ref(S0)
    assert law.rules(ref(S0)).pack == S0
    assert law.calendar().published(2025) is not None
    assert law.parent("water-1", START) == "water"
    assert law.parent("water", START) == "hotline"
    assert law.holders(Role.ADMIN, "hotline", START) == ("wang", "zhao")


def test_what_the_founding_act_says_without_a_date_has_always_been_so():
    law, long_ago = City().now, at("1999-12-31 12:00")
    assert law.policy_at(long_ago) == ref(S0)
    assert law.active("water", long_ago)
    assert law.has_role("wang", Role.ADMIN, "hotline", long_ago)


def test_what_the_founding_act_says_with_a_date_holds_from_that_day_even_before_the_act():
    dated = founded(
        units=(*FOUND.units, first("parks", valid_from=date(2024, 5, 1))),
        grants=(*FOUND.grants, GrantRole(user="wu", role=Role.AGENT, unit="hotline", valid_from=date(2024, 5, 1))),
    )
    law = City(dated).now
    for instant, holds in ((at("2024-04-30 23:59"), False), (at("2024-05-01 00:00"), True)):
        assert law.active("parks", instant) is holds
        assert law.has_role("wu", Role.AGENT, "hotline", instant) is holds


def test_the_founding_act_is_one_list_of_events_in_which_nothing_waits_for_a_second_person():
    made = events(decide(None, FOUND, SYSTEM, START))
    assert isinstance(made[0], CityFounded)
    assert made[0].hash_algorithm is HashAlgorithm.SHA256
    assert [e.proposal for e in made if isinstance(e, PolicyPackPublished)] == [0]
    assert not any(isinstance(e, PolicyPackProposed) for e in made)
    assert folded(City().entries).pending == {}


def test_every_event_of_a_founding_reads_back_from_its_stored_form():
    read = msgspec.json.Decoder(Event)
    made = events(decide(None, FOUND, SYSTEM, START))
    assert [read.decode(msgspec.json.encode(event)) for event in made] == made


def test_event_tags_and_command_tags_are_the_class_names_in_snake_case():
    def snake(name: str) -> str:
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()

    assert [e.__struct_config__.tag for e in EVENTS] == [f"institution.{snake(e.__name__)}" for e in EVENTS]
    assert [c.__struct_config__.tag for c in COMMANDS] == [snake(c.__name__) for c in COMMANDS]


# --- two persons -------------------------------------------------------------------------------------------------


def test_a_policy_is_law_only_once_a_second_person_approved_it():
    city = City()
    proposed = city.do(ProposePolicy(pack=S0_NEXT, replaces=ref(S0)), ADMIN, at("2025-11-01 09:00"))
    assert city.now.pending[proposed.proposal].by == "wang"
    assert city.now.policy_at(at("2026-02-01 12:00")) == ref(S0)
    with pytest.raises(UnknownPolicy):
        city.now.rules(ref(S0_NEXT))
    city.do(ApprovePolicy(proposal=proposed.proposal), ADMIN_2, at("2025-11-02 09:00"))
    assert city.now.pending == {}
    assert city.now.policy_at(at("2026-02-01 12:00")) == ref(S0_NEXT)
    assert city.now.rules(ref(S0_NEXT)).pack == S0_NEXT


def test_a_rejected_proposal_changes_nothing_but_is_decided():
    city = City()
    before = city.now.policies
    proposed = city.do(ProposePolicy(pack=S0_NEXT, replaces=ref(S0)), ADMIN, START)
    rejected = city.do(RejectPolicy(proposal=proposed.proposal, reason="缺少依据"), ADMIN_2, START)
    assert rejected == PolicyPackRejected(proposal=proposed.proposal, reason="缺少依据")
    assert (city.now.pending, city.now.policies) == ({}, before)
    with pytest.raises(UnknownProposal):
        city.do(ApprovePolicy(proposal=proposed.proposal), ADMIN_2, START)


def test_what_was_published_since_a_proposal_counts_when_it_is_approved():
    city = City()
    other = msgspec.structs.replace(S0_NEXT, version="2b")
    for pack in (S0_NEXT, other):
        city.do(ProposePolicy(pack=pack, replaces=ref(S0)), ADMIN, START)
    city.do(ApprovePolicy(proposal=1), ADMIN_2, START)
    with pytest.raises(PackOverlap):
        city.do(ApprovePolicy(proposal=2), ADMIN_2, START)


def test_proposals_of_all_kinds_share_one_count_and_each_is_decided_by_its_own_command():
    city = City()
    city.do(ProposePolicy(pack=S0_NEXT, replaces=ref(S0)), ADMIN, START)
    assert city.do(OUTAGE, SUPERVISOR, START).proposal == 2
    for act, by in ((ApproveOutage(proposal=1), MANAGER), (ApprovePolicy(proposal=2), ADMIN_2)):
        with pytest.raises(UnknownProposal):
            city.do(act, by, START)
    assert isinstance(city.do(ApproveOutage(proposal=2), MANAGER, START), OutageDeclared)
    assert list(city.now.pending) == [1]


# --- policies ----------------------------------------------------------------------------------------------------


def published(city: City, act: ProposePolicy, when: datetime = START) -> None:
    proposed = city.do(act, ADMIN, when)
    city.do(ApprovePolicy(proposal=proposed.proposal), ADMIN_2, when)


def test_a_policy_changes_at_midnight_in_shanghai_whatever_zone_the_question_is_asked_in():
    city = City()
    published(city, ProposePolicy(pack=S0_NEXT, replaces=ref(S0)))
    midnight = at("2026-01-01 00:00")
    assert city.now.policy_at((midnight - timedelta(milliseconds=1)).astimezone(UTC)) == ref(S0)
    assert city.now.policy_at(midnight.astimezone(UTC)) == ref(S0_NEXT)
    assert city.now.next_policy_change(START) == midnight
    assert city.now.next_policy_change(midnight) is None


def test_orders_bound_to_a_replaced_policy_still_find_its_rules():
    city = City()
    published(city, ProposePolicy(pack=S0_NEXT, replaces=ref(S0)))
    assert city.now.rules(ref(S0)).pack == S0


def test_a_policy_replaced_from_its_own_first_day_was_never_in_force():
    city = City()
    published(city, ProposePolicy(pack=S0_NEXT, replaces=ref(S0)))
    corrected = msgspec.structs.replace(S0_NEXT, version="3")
    published(city, ProposePolicy(pack=corrected, replaces=ref(S0_NEXT)))
    assert city.now.policy_at(at("2026-01-01 00:00")) == ref(corrected)
    assert city.now.policy_at(at("2025-12-31 23:59")) == ref(S0)


def test_a_policy_replaces_none_that_begins_after_it():
    city = City(founded(policies=(ProposePolicy(pack=S4),)))
    earlier = msgspec.structs.replace(S4, version="2022", effective_from=date(2022, 1, 1))
    with pytest.raises(PackOverlap):
        city.do(ProposePolicy(pack=earlier, replaces=ref(S4)), ADMIN, START)
    before = msgspec.structs.replace(earlier, effective_until=date(2022, 12, 31))
    published(city, ProposePolicy(pack=before))
    assert city.now.policy_at(at("2022-12-31 23:59")) == ref(before)


def test_a_policy_holds_through_its_last_day_and_then_none_is_in_force():
    ending = msgspec.structs.replace(S4, effective_until=date(2025, 6, 30))
    city = City(founded(policies=(ProposePolicy(pack=ending),)))
    assert city.now.policy_at(at("2025-06-30 23:59:59.999")) == ref(ending)
    for outside in (at("2025-07-01 00:00"), at("2022-12-31 23:59")):
        with pytest.raises(NoPolicyInForce):
            city.now.policy_at(outside)


def test_a_city_may_adopt_a_policy_later_than_its_text():
    city = City(founded(policies=()))
    published(city, ProposePolicy(pack=S4, valid_from=date(2025, 4, 1)))
    assert city.now.policy_at(at("2025-04-01 00:00")) == ref(S4)
    with pytest.raises(NoPolicyInForce):
        city.now.policy_at(at("2025-03-31 12:00"))


def test_a_city_may_say_the_day_that_the_text_says():
    city = City(founded(policies=()))
    published(city, ProposePolicy(pack=S4, valid_from=S4.effective_from))
    assert city.now.policy_at(at("2023-01-01 00:00")) == ref(S4)


def test_an_assumed_policy_is_known_but_in_force_on_no_day():
    city = City()
    published(city, ProposePolicy(pack=S4, assumed=True))
    assert city.now.rules(ref(S4)).pack == S4
    assert city.now.policy_at(at("2025-06-01 12:00")) == ref(S0)


def test_an_overlay_holds_beside_the_citys_policy_on_its_own_days_only():
    city = City()
    published(city, ProposePolicy(pack=OVERLAY))
    law = city.now
    assert [rules.pack for rules in law.overlays(at("2025-06-30 23:59"))] == [OVERLAY]
    assert law.overlays(at("2025-07-01 00:00")) == law.overlays(at("2024-12-31 23:59")) == ()
    assert law.policy_at(at("2025-06-01 12:00")) == ref(S0)
    assert law.next_policy_change(START) == at("2025-07-01 00:00")
    published(city, ProposePolicy(pack=S0_NEXT, replaces=ref(S0)))
    changes = [at("2024-06-01 00:00")]
    while (after := city.now.next_policy_change(changes[-1])) is not None:
        changes.append(after)
    assert changes[1:] == [at("2025-01-01 00:00"), at("2025-07-01 00:00"), at("2026-01-01 00:00")]


def test_overlays_of_different_matters_hold_side_by_side_and_one_of_the_same_matter_replaces():
    city = City()
    other = msgspec.structs.replace(OVERLAY, id="LETTERS")
    again = msgspec.structs.replace(OVERLAY, version="2", effective_from=date(2025, 4, 1))
    published(city, ProposePolicy(pack=OVERLAY))
    published(city, ProposePolicy(pack=other))
    with pytest.raises(PackOverlap):
        city.do(ProposePolicy(pack=again), ADMIN, START)
    published(city, ProposePolicy(pack=again, replaces=ref(OVERLAY)))
    assert [r.pack for r in city.now.overlays(at("2025-03-31 12:00"))] == [OVERLAY, other]
    assert [r.pack for r in city.now.overlays(at("2025-04-01 12:00"))] == [other, again]


def test_a_published_pack_is_stored_whole_under_the_digest_of_its_content():
    city = City()
    published(city, ProposePolicy(pack=S0_NEXT, replaces=ref(S0)))
    event = next(e.event for e in reversed(city.entries) if isinstance(e.event, PolicyPackPublished))
    stored = msgspec.json.decode(msgspec.json.encode(event), type=PolicyPackPublished)
    assert stored.pack == S0_NEXT
    assert stored.digest == digest(stored.pack)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12), st.booleans()), max_size=8), st.integers(-2, 55))
def test_the_policy_of_a_day_is_the_one_whose_days_it_lies_in(spans: list[tuple[int, int, bool]], asked: int):
    """Whatever is proposed, refused or replaced, the timeline answers as the publications read one by one do."""
    city = City(founded(policies=(), calendars=()))
    day = date(2025, 1, 1)
    for number, (begins, length, replacing) in enumerate(spans):
        pack = msgspec.structs.replace(
            S0,
            version=str(number),
            effective_from=day + timedelta(begins),
            effective_until=day + timedelta(begins + length),
        )
        held = [p for p in city.now.policies.publications if p.meets(pack.effective_from, pack.effective_until)]
        try:
            published(city, ProposePolicy(pack=pack, replaces=held[0].ref if held and replacing else None))
        except PackOverlap:
            assert held
    wanted = day + timedelta(asked)
    meant = [p.ref for p in city.now.policies.publications if p.meets(wanted, wanted)]
    instant = datetime(wanted.year, wanted.month, wanted.day, 12, tzinfo=SHANGHAI)
    assert len(meant) <= 1
    if meant:
        assert city.now.policy_at(instant) == meant[0]
    else:
        with pytest.raises(NoPolicyInForce):
            city.now.policy_at(instant)


# --- calendars ---------------------------------------------------------------------------------------------------


def test_the_revision_of_2020_is_known_from_the_day_of_its_notice_however_late_the_ledger_was_founded():
    law, monday = City().now, date(2020, 2, 3)
    before, after = at("2020-01-26 23:59:59.999"), at("2020-01-27 00:00")
    saturday = date(2020, 2, 1)
    assert law.calendar(before).is_working_day(saturday)
    assert not law.calendar(after).is_working_day(saturday)
    assert law.calendar(after).is_working_day(monday)
    first, second = law.calendar(before).published(2020), law.calendar().published(2020)
    assert first is not None
    assert second is not None
    assert (first.version, second.version) == (1, 2)


def test_at_every_cut_the_calendar_is_made_of_what_was_known_then():
    law = City().now
    for year in FOUND.calendars:
        for instant in (
            at(f"{year.known_from} 00:00"),
            at(f"{year.known_from} 00:00") - timedelta(milliseconds=1),
        ):
            versions: dict[int, int] = {}
            for seen in known(FOUND.calendars, instant):
                versions[seen.year] = max(seen.version, versions.get(seen.year, 0))
            calendar = law.calendar(instant)
            for each in FOUND.calendars:
                held = calendar.published(each.year)
                assert (held.version if held else None) == versions.get(each.year)


def test_a_calendar_published_later_than_its_notice_is_known_from_its_publication():
    city = City()
    year = next(y for y in YEARS if y.year == 2026 and y.version == 1)
    asked, decided = at("2026-02-01 09:00"), at("2026-02-02 10:00")
    city.do(ProposeCalendar(calendar=year), ADMIN, asked)
    assert isinstance(city.do(ApproveCalendar(proposal=1), ADMIN_2, decided), CalendarPublished)
    assert city.now.calendar(decided - timedelta(milliseconds=1)).published(2026) is None
    assert city.now.calendar(decided).published(2026) == year
    assert city.now.calendar().published(2026) == year


def test_a_published_year_is_revised_as_its_next_version():
    city = City()
    held = city.now.calendars.latest(2025)
    assert held is not None
    revised = msgspec.structs.replace(held, version=held.version + 1, known_from=date(2025, 3, 11))
    city.do(ProposeCalendar(calendar=revised), ADMIN, at("2025-03-11 09:00"))
    assert isinstance(city.do(ApproveCalendar(proposal=1), ADMIN_2, at("2025-03-11 10:00")), CalendarRevised)
    assert city.now.calendars.latest(2025) == revised


def test_a_calendar_is_made_once_for_all_instants_that_know_the_same():
    law = City().now
    assert law.calendar(at("2020-03-01 08:00")) is law.calendar(at("2020-10-01 08:00"))
    assert law.calendar() is law.calendar(at("2030-01-01 00:00")) is City().now.calendar()


def test_the_window_of_a_calendar_is_the_time_in_which_it_was_the_one_known():
    calendars = City().now.calendars
    since, until, calendar = calendars.window(at("2020-01-27 00:00"))
    assert (since, until) == (at("2020-01-27 00:00"), at("2020-11-25 00:00"))
    assert calendar is calendars.known(at("2020-11-24 23:59"))
    since, until, calendar = calendars.window(START)
    assert (since, until) == (calendars.last_cut, None)
    assert calendar is calendars.newest
    first_cut = at("2001-01-01 00:00")
    since, until, _ = calendars.window(first_cut)
    assert until is not None
    assert since < first_cut < until <= calendars.last_cut


def test_a_law_without_calendars_presumes_every_year():
    law = City(founded(calendars=())).now
    assert law.calendar().published(2025) is None
    assert law.calendar(START).is_working_day(date(2025, 3, 3))


# --- peaks -------------------------------------------------------------------------------------------------------

SHARING = PublishShareAgreement(
    consumer="ep",
    consumer_name="x",
    purpose="x",
    basis=Citation(text="x", article="1"),
    event_types=("order.order_closed",),
    until=date(2000, 1, 1),
)
PEAK = DeclarePeak(
    from_at=at("2025-07-10 08:00"), until=at("2025-07-12 08:00"), reason="暴雨", traffic_ref="话务日报0710"
)


def peaking(*, ended: str | None = None) -> City:
    city = City()
    city.do(PEAK, MANAGER, at("2025-07-10 07:30"))
    if ended:
        city.do(EndPeak(peak=1), MANAGER, at(ended))
    return city


def test_registrations_inside_the_declared_interval_are_in_the_peak_its_end_excluded():
    law = peaking().now
    inside = {
        "2025-07-10 07:59:59": False,
        "2025-07-10 08:00": True,
        "2025-07-12 07:59": True,
        "2025-07-12 08:00": False,
    }
    assert {text: law.peak_at(at(text)) for text in inside} == inside


def test_t57_ending_a_peak_early_counts_for_later_registrations_only():
    law = peaking(ended="2025-07-11 08:00").now
    assert law.peak_at(at("2025-07-10 20:00"))
    assert not law.peak_at(at("2025-07-11 09:00"))


def test_the_fence_of_a_peak_is_its_next_edge():
    law = peaking(ended="2025-07-11 08:00").now
    assert law.next_peak_change(at("2025-07-10 07:30")) == at("2025-07-10 08:00")
    assert law.next_peak_change(at("2025-07-10 08:00")) == at("2025-07-11 08:00")
    assert law.next_peak_change(at("2025-07-11 08:00")) is None


def test_a_peak_may_begin_at_once():
    city = City()
    declared = city.do(msgspec.structs.replace(PEAK, from_at=None), MANAGER, at("2025-07-10 09:00"))
    assert declared.from_at == at("2025-07-10 09:00")


def test_a_new_peak_may_begin_where_another_was_ended():
    city = peaking(ended="2025-07-11 08:00")
    city.do(msgspec.structs.replace(PEAK, from_at=at("2025-07-11 09:00")), MANAGER, at("2025-07-11 08:30"))
    assert not city.now.peak_at(at("2025-07-11 08:30"))
    assert city.now.peak_at(at("2025-07-11 09:00"))


def test_peaks_may_follow_each_other_without_a_gap_and_each_has_its_number():
    city = peaking()
    before = msgspec.structs.replace(PEAK, from_at=at("2025-07-10 07:45"), until=at("2025-07-10 08:00"))
    after = msgspec.structs.replace(PEAK, from_at=at("2025-07-12 08:00"), until=at("2025-07-13 08:00"))
    assert [city.do(peak, MANAGER, at("2025-07-10 07:40")).peak for peak in (before, after)] == [2, 3]
    assert city.now.next_peak_change(at("2025-07-10 07:45")) == at("2025-07-13 08:00")


def test_a_peak_that_was_called_off_is_in_nobodys_way():
    city = peaking(ended="2025-07-10 07:45")
    city.do(msgspec.structs.replace(PEAK, from_at=at("2025-07-10 07:50")), MANAGER, at("2025-07-10 07:50"))
    assert city.now.peak_at(at("2025-07-10 07:50"))


def test_a_peak_that_ran_out_cannot_be_ended_one_that_still_runs_can():
    last = at("2025-07-12 08:00")
    with pytest.raises(NoSuchPeak):
        peaking().do(EndPeak(peak=1), MANAGER, last)
    assert peaking().do(EndPeak(peak=1), MANAGER, last - timedelta(milliseconds=1)).peak == 1


def test_a_wait_that_began_before_the_end_was_declared_still_meets_the_peak_as_declared():
    law = peaking(ended="2025-07-10 07:45").now  # called off before it began
    assert not law.peak_at(at("2025-07-10 09:00"))
    assert law.peak_during(at("2025-07-10 07:40"), at("2025-07-11 07:40"))
    assert not law.peak_during(at("2025-07-10 07:50"), at("2025-07-11 07:50"))
    assert not law.peak_during(at("2025-07-09 07:00"), at("2025-07-10 07:00"))


def test_a_wait_meets_a_peak_that_begins_as_it_ends_but_none_that_ends_as_it_begins():
    law = peaking().now
    assert PEAK.from_at is not None
    assert law.peak_during(at("2025-07-10 07:00"), PEAK.from_at)
    assert not law.peak_during(PEAK.until, at("2025-07-13 07:00"))


def test_an_imported_peak_is_measured_against_the_instant_it_happened():
    old = msgspec.structs.replace(PEAK, from_at=at("2020-07-10 08:00"), until=at("2020-07-11 08:00"))
    assert isinstance(City().do(old, MANAGER, at("2020-07-10 07:00")), PeakModeDeclared)


# --- outages -----------------------------------------------------------------------------------------------------

OUTAGE = ProposeOutage(from_at=at("2025-05-01 10:00"), until=at("2025-05-01 14:00"), scope=OutageScope.ALL, basis=BASIS)


def outage(act: ProposeOutage = OUTAGE) -> Law:
    city = City()
    proposed = city.do(act, SUPERVISOR, at("2025-05-02 09:00"))
    assert city.now.outage_at(at("2025-05-01 12:00"), "water") is None
    city.do(ApproveOutage(proposal=proposed.proposal), MANAGER, at("2025-05-02 10:00"))
    return city.now


def test_an_outage_of_everything_covers_every_unit_from_its_beginning_to_before_its_end():
    law = outage()
    assert law.outage_at(at("2025-05-01 09:59:59"), "water") is None
    assert law.outage_at(at("2025-05-01 10:00")) is law.outage_at(at("2025-05-01 13:59"), "roads") is not None
    assert law.outage_at(at("2025-05-01 14:00"), "water") is None


def test_an_outage_of_units_covers_those_below_them_and_nobody_else():
    law = outage(msgspec.structs.replace(OUTAGE, scope=OutageScope.UNITS, units=("water",)))
    noon = at("2025-05-01 12:00")
    covered = {unit: law.outage_at(noon, unit) is not None for unit in ("water", "water-1", "roads", "hotline")}
    assert covered == {"water": True, "water-1": True, "roads": False, "hotline": False}
    assert law.outage_at(noon) is None


# --- units -------------------------------------------------------------------------------------------------------


def test_history_prints_the_name_of_the_day():
    city = City()
    city.do(ChangeUnit(unit="water", name="水务集团", valid_from=date(2025, 4, 1)), ADMIN, at("2025-03-20 09:00"))
    assert city.now.unit_name("water", at("2025-03-31 23:59")) == "water局"
    assert city.now.unit_name("water", at("2025-04-01 00:00")) == "水务集团"
    assert city.now.unit_name("nobody", START) == "nobody"
    assert city.now.next_unit_change(at("2025-03-20 09:00")) == at("2025-04-01 00:00")


def test_a_change_keeps_what_it_does_not_name_and_holds_from_today_where_no_day_is_said():
    city = City()
    changed = city.do(ChangeUnit(unit="water-1", name="东城水务所"), ADMIN, at("2025-03-20 09:00"))
    assert changed == UnitChanged(
        unit="water-1",
        name="东城水务所",
        level=UnitLevel.SECOND,
        kind=UnitKind.DEPARTMENT,
        parent="water",
        valid_from=date(2025, 3, 20),
    )


def test_a_unit_that_moves_stands_under_its_old_parent_before_that_day():
    city = City()
    city.do(ChangeUnit(unit="water-1", parent="roads", valid_from=date(2025, 4, 1)), ADMIN, START)
    assert city.now.is_within("water-1", "water", at("2025-03-31 12:00"))
    assert not city.now.is_within("water-1", "water", at("2025-04-01 12:00"))
    assert city.now.is_within("water-1", "hotline", at("2025-04-01 12:00"))


def test_a_change_keeps_the_duty_phone_unless_it_names_another():
    def phone(city: City) -> object:
        version = city.now.units.version("parks", at("2025-12-31 12:00"))
        assert version is not None
        return version.duty_phone

    city = City()
    city.do(first("parks", duty_phone="028-1"), ADMIN, START)
    city.do(ChangeUnit(unit="parks", name="园林局"), ADMIN, START)
    assert phone(city) == "028-1"
    city.do(ChangeUnit(unit="parks", duty_phone="028-2"), ADMIN, START)
    assert phone(city) == "028-2"


def test_a_unit_may_be_registered_and_staffed_for_a_day_ahead_below_a_parent_of_that_day():
    city, day = City(), date(2025, 6, 1)
    city.do(first("land", valid_from=day), ADMIN, START)
    city.do(second("land-1", "land", valid_from=day), ADMIN, START)
    city.do(GrantRole(user="wu", role=Role.ORG_HANDLER, unit="land-1", valid_from=day), ADMIN, START)
    assert city.now.holders(Role.ORG_HANDLER, "land-1", at("2025-06-01 00:00")) == ("wu",)


def test_the_units_above_are_named_the_nearest_first():
    assert list(City().now.units.ancestors("water-1", START)) == ["water", "hotline"]


def test_a_change_recorded_later_for_an_earlier_day_leaves_the_later_version_standing():
    city = City()
    city.do(ChangeUnit(unit="water", name="乙", valid_from=date(2025, 6, 1)), ADMIN, START)
    city.do(ChangeUnit(unit="water", name="甲", valid_from=date(2025, 4, 1)), ADMIN, START)
    assert [city.now.unit_name("water", at(f"2025-{m:02}-15 12:00")) for m in (3, 4, 6)] == ["water局", "甲", "乙"]


def test_a_unit_registered_after_the_founding_exists_from_today():
    city = City()
    city.do(first("parks"), ADMIN, at("2025-03-20 09:00"))
    assert not city.now.active("parks", at("2025-03-19 23:59"))
    assert city.now.active("parks", at("2025-03-20 00:00"))
    assert city.now.parent("parks", at("2025-03-20 09:00")) == "hotline"


def test_a_body_outside_the_hotline_may_stand_alone_and_have_units_below_once_somebody_decides_there():
    city = City()
    city.do(first("npc", level=UnitLevel.OTHER, kind=UnitKind.OTHER), ADMIN, START)
    below = first("npc-office", level=UnitLevel.OTHER, kind=UnitKind.OTHER, parent="npc")
    with pytest.raises(RootWithoutUsers):
        city.do(below, ADMIN, START)
    city.do(GrantRole(user="ma", role=Role.MGMT_UNIT, unit="npc"), ADMIN, START)
    city.do(below, ADMIN, START)
    with pytest.raises(RootWithoutUsers):
        city.do(RevokeRole(user="ma", role=Role.MGMT_UNIT, unit="npc", **CHECKED), ADMIN, START)


# --- succession --------------------------------------------------------------------------------------------------


def succeed(*pair: tuple[str, str], when: str = "2025-05-01 00:00") -> SucceedUnits:
    olds, news = zip(*pair, strict=True)
    return SucceedUnits(
        from_units=tuple(dict.fromkeys(olds)), to_units=tuple(dict.fromkeys(news)), at=at(when), basis=BASIS
    )


def test_duties_pass_along_a_chain_of_successions_as_of_the_instant_asked():
    city = City()
    city.do(first("land"), ADMIN, START)
    city.do(succeed(("water", "roads"), when="2025-05-01 00:00"), ADMIN, START)
    city.do(succeed(("roads", "land"), when="2025-09-01 00:00"), ADMIN, START)
    heirs = {"2025-04-30 23:59": "water", "2025-05-01 00:00": "roads", "2025-09-01 00:00": "land"}
    assert {text: city.now.successor("water", at(text)) for text in heirs} == heirs
    assert not city.now.active("water", at("2025-05-01 00:00"))
    assert city.now.active("roads", at("2025-08-31 23:59"))


def test_of_several_heirs_the_first_takes_the_open_work():
    city = City()
    city.do(first("land"), ADMIN, START)
    city.do(SucceedUnits(from_units=("water",), to_units=("land", "roads"), at=START, basis=BASIS), ADMIN, START)
    assert city.now.successor("water", START) == "land"
    water = city.now.unit("water")
    assert water is not None
    succession = water.succession
    assert succession is not None
    assert succession.to == ("land", "roads")


def test_units_below_a_succeeded_unit_stand_below_its_heir():
    city = City()
    city.do(succeed(("water", "roads")), ADMIN, START)
    assert city.now.parent("water-1", at("2025-04-30 12:00")) == "water"
    assert city.now.parent("water-1", at("2025-05-01 12:00")) == "roads"
    renamed = city.do(ChangeUnit(unit="water-1", name="一所"), ADMIN, at("2025-06-01 09:00"))
    assert renamed.parent == "roads"


def test_who_has_inherited_passes_on_only_afterwards():
    city = City()
    for unit in ("land", "parks"):
        city.do(first(unit), ADMIN, START)
    city.do(succeed(("roads", "water"), when="2025-06-01 00:00"), ADMIN, START)
    city.do(succeed(("parks", "water"), when="2025-05-01 00:00"), ADMIN, START)
    for too_early in ("2025-05-15 00:00", "2025-06-01 00:00"):
        with pytest.raises(UnitInactive):
            city.do(succeed(("water", "land"), when=too_early), ADMIN, START)
    city.do(succeed(("water", "land"), when="2025-06-02 00:00"), ADMIN, START)
    assert city.now.successor("parks", at("2025-06-02 00:00")) == "land"


UNITS = ("water", "roads", "land", "parks", "housing")
_PAIRS = st.tuples(st.sampled_from(UNITS), st.sampled_from(UNITS), st.integers(0, 6))


@given(st.lists(_PAIRS, max_size=12), st.integers(-1, 7))
def test_whatever_succeeds_whom_every_unit_has_one_active_heir_and_no_unit_stands_below_itself(
    pairs: list[tuple[str, str, int]], asked: int
):
    city = City(founded(policies=(), calendars=()))
    for unit in UNITS[2:]:
        city.do(first(unit), ADMIN, START)
    for old, new, day in pairs:
        try:
            city.do(succeed((old, new), when=f"2025-05-0{day + 1} 00:00"), ADMIN, START)
        except (UnitInactive, SuccessionUnclear):
            continue
    instant = at("2025-05-01 00:00") + timedelta(days=asked)
    for unit in (*UNITS, "water-1", "hotline"):
        assert city.now.active(city.now.successor(unit, instant), instant)
        assert unit not in list(city.now.units.ancestors(unit, instant))
        assert city.now.is_within(unit, "hotline", instant)


# --- roles -------------------------------------------------------------------------------------------------------

CHECKED: dict[str, Any] = {"no_open_tasks_checked_at_position": 5}


def test_a_role_is_held_from_its_grant_until_its_revocation():
    city, granted, ended = City(), at("2025-03-10 09:00"), at("2025-03-12 17:00")
    city.do(GrantRole(user="wu", role=Role.AGENT, unit="hotline"), ADMIN, granted)
    city.do(RevokeRole(user="wu", role=Role.AGENT, unit="hotline", **CHECKED), ADMIN, ended)
    moments = {
        granted - timedelta(milliseconds=1): False,
        granted: True,
        ended - timedelta(milliseconds=1): True,
        ended: False,
    }
    assert {m: city.now.has_role("wu", Role.AGENT, "hotline", m) for m in moments} == moments


def test_a_grant_dated_back_gives_nobody_a_role_before_it_was_granted():
    city, granted = City(), at("2025-03-10 09:00")
    city.do(GrantRole(user="wu", role=Role.AGENT, unit="hotline", valid_from=date(2025, 3, 1)), ADMIN, granted)
    assert not city.now.has_role("wu", Role.AGENT, "hotline", at("2025-03-05 09:00"))
    assert city.now.holders(Role.AGENT, "hotline", granted) == ("wu",)


def test_a_grant_and_a_revocation_may_name_a_later_day():
    city = City()
    city.do(GrantRole(user="wu", role=Role.AGENT, unit="hotline", valid_from=date(2025, 4, 1)), ADMIN, START)
    leave = RevokeRole(user="wu", role=Role.AGENT, unit="hotline", valid_from=date(2025, 7, 1), **CHECKED)
    city.do(leave, ADMIN, START)
    held = [city.now.has_role("wu", Role.AGENT, "hotline", at(f"2025-{m:02}-15 12:00")) for m in (3, 4, 6, 7)]
    assert held == [False, True, True, False]


def test_a_role_given_up_may_be_granted_again_and_the_time_between_stays_without_it():
    city = City()
    for hour, act in enumerate(
        (
            GrantRole(user="wu", role=Role.AGENT, unit="hotline"),
            RevokeRole(user="wu", role=Role.AGENT, unit="hotline", **CHECKED),
            GrantRole(user="wu", role=Role.AGENT, unit="hotline"),
        ),
        9,
    ):
        city.do(act, ADMIN, at(f"2025-03-10 {hour:02}:00"))
    held = [city.now.has_role("wu", Role.AGENT, "hotline", at(f"2025-03-10 {h:02}:30")) for h in (9, 10, 11)]
    assert held == [True, False, True]


def test_revoking_one_role_leaves_the_others():
    city = City()
    city.do(GrantRole(user="qian", role=Role.ORG_APPROVER, unit="water"), ADMIN, START)
    later = at("2025-03-04 09:00")
    city.do(REVOKE_QIAN, ADMIN, later)
    assert not city.now.has_role("qian", Role.ORG_HANDLER, "water", later)
    assert city.now.has_role("qian", Role.ORG_APPROVER, "water", later)


def test_only_the_last_who_decides_for_units_below_must_stay():
    city = City(founded(units=(first("npc", level=UnitLevel.OTHER), *FOUND.units)))
    for unit in ("npc", "water"):
        city.do(GrantRole(user="ma", role=Role.MGMT_UNIT, unit=unit), ADMIN, START)
        city.do(RevokeRole(user="ma", role=Role.MGMT_UNIT, unit=unit, **CHECKED), ADMIN, START)
    alone = City(founded(units=(), grants=FOUND.grants[:3]))
    with pytest.raises(RootWithoutUsers):
        alone.do(REVOKE_LI, ADMIN, START)


def test_open_tasks_may_pass_to_a_colleague_in_the_same_role():
    city = City()
    leave = RevokeRole(user="qian", role=Role.ORG_HANDLER, unit="water", open_tasks_passed_to="zhou")
    assert city.do(leave, ADMIN, START).open_tasks_passed_to == "zhou"


# --- numbers -----------------------------------------------------------------------------------------------------


def reserved() -> City:
    city = City()
    given = {"order/CD20250501": (17, 18, 19), "doc/2025": (3,)}
    city.do(ReserveNumbers(count=3, reason="停机检修"), MANAGER, at("2025-05-01 09:00"), given)
    return city


def test_a_reserved_block_asks_for_as_many_order_numbers_of_the_day():
    steps = decide(City().law, ReserveNumbers(count=3, reason="停机检修"), MANAGER, START)
    assert steps == [
        NumberBlockReserved(block=1, count=3, reason="停机检修"),
        Number("order", "CD", Period.DAY, 3),
    ]


def test_blocks_are_counted():
    city = reserved()
    more = ReserveNumbers(count=1, reason="停机检修")
    assert [city.do(more, MANAGER, START).block for _ in range(2)] == [2, 3]


def test_a_block_holds_the_order_numbers_its_commit_was_given_until_they_are_voided():
    city = reserved()
    assert city.now.block_of("order/CD20250501", 18) == 1
    assert city.now.block_of("order/CD20250501", 20) is city.now.block_of("doc/2025", 3) is None
    void = VoidNumbers(
        block=1, journal="order/CD20250501", numbers=(19, 18), reason="未使用", unused_checked_at_position=9
    )
    assert city.do(void, MANAGER, at("2025-05-02 09:00")).numbers == (18, 19)
    assert city.now.block_of("order/CD20250501", 18) is None
    assert city.now.block_of("order/CD20250501", 17) == 1
    with pytest.raises(UnknownNumberBlock):
        city.do(void, MANAGER, at("2025-05-02 09:00"))


# --- the fold ----------------------------------------------------------------------------------------------------


def lively() -> City:
    city = reserved()
    published(city, ProposePolicy(pack=S0_NEXT, replaces=ref(S0)))
    city.do(OUTAGE, SUPERVISOR, START)
    city.do(PEAK, MANAGER, START)
    city.do(succeed(("water", "roads")), ADMIN, START)
    city.do(ChangeUnit(unit="roads", name="城建局"), ADMIN, START)
    city.do(RevokeRole(user="qian", role=Role.ORG_HANDLER, unit="water", **CHECKED), ADMIN, START)
    return city


def test_the_same_entries_fold_to_the_same_law_at_every_version():
    city = lively()
    again: Law | None = None
    kept: list[tuple[Law, bytes]] = []
    for entry in city.entries:
        again = evolve(again, entry)
        assert again.version == entry.version
        kept.append((again, repr(again).encode()))
    assert again == city.now
    assert all(repr(law).encode() == seen for law, seen in kept)  # a later entry changes no law that was handed out


def test_the_law_looks_at_when_an_imported_entry_happened():
    happened = at("2019-06-01 09:00")
    city = peaking()
    ended = entered(PeakModeEnded(peak=1), len(city.entries) + 1, MANAGER, at("2025-07-13 09:00"))
    imported = msgspec.structs.replace(ended, occurred_at=at("2025-07-11 08:00"), origin=Origin.IMPORT)
    assert evolve(city.now, imported).peaks[1].ended == at("2025-07-11 08:00")
    assert evolve(None, msgspec.structs.replace(imported, occurred_at=happened)).peaks == {}


_CODES = st.sampled_from(("hotline", "water", "roads", "a", "b"))
_USERS = st.sampled_from(("li", "wang", "wu"))
_ROLES = st.sampled_from((Role.AGENT, Role.ADMIN, Role.HOTLINE_MANAGER, Role.MGMT_UNIT))
_DAYS = st.none() | st.dates(date(2024, 1, 1), date(2026, 12, 31))
_MOMENTS = st.integers(0, 3 * 365 * 24).map(lambda hours: at("2024-01-01 00:00") + timedelta(hours=hours))
_SMALL = st.integers(0, 3)
_UNIT_FIELDS: dict[str, Any] = {
    "unit": _CODES,
    "name": st.just("x"),
    "level": st.sampled_from(UnitLevel),
    "kind": st.just(UnitKind.OTHER),
    "parent": _CODES | st.just(""),
    "valid_from": _DAYS,
}
_RANDOM_EVENTS = st.one_of(
    st.builds(UnitRegistered, **_UNIT_FIELDS),
    st.builds(UnitChanged, **_UNIT_FIELDS),
    st.builds(
        UnitSucceeded,
        from_units=st.lists(_CODES, max_size=2).map(tuple),
        to_units=st.lists(_CODES, max_size=2).map(tuple),
        at=_MOMENTS,
        basis=st.just(BASIS),
    ),
    st.builds(RoleGranted, user=_USERS, role=_ROLES, unit=_CODES, valid_from=st.none() | _MOMENTS),
    st.builds(RoleRevoked, user=_USERS, role=_ROLES, unit=_CODES, valid_until=_MOMENTS),
    st.builds(
        PeakModeDeclared,
        peak=_SMALL,
        from_at=_MOMENTS,
        until=_MOMENTS,
        reason=st.just("x"),
        traffic_ref=st.just("x"),
    ),
    st.builds(PeakModeEnded, peak=_SMALL),
    st.builds(PolicyPackRejected, proposal=_SMALL, reason=st.just("x")),
    st.builds(
        PolicyPackPublished,
        pack=st.sampled_from((S0, S4, OVERLAY)),
        digest=st.just(digest(S0)),
        valid_from=_DAYS,
        replaces=st.sampled_from((None, ref(S0))),
        proposal=_SMALL,
    ),
    st.builds(
        OutageDeclared,
        proposal=_SMALL,
        from_at=_MOMENTS,
        until=_MOMENTS,
        scope=st.sampled_from(OutageScope),
        basis=st.just(BASIS),
        units=st.lists(_CODES, max_size=2).map(tuple),
    ),
)


@settings(max_examples=300)
@given(st.lists(st.tuples(_RANDOM_EVENTS, _MOMENTS), max_size=15), _MOMENTS)
def test_any_history_folds_even_one_nobody_could_have_commanded_and_every_question_has_an_answer(
    history: list[tuple[Event, datetime]], asked: datetime
):
    law = folded(
        entered(event, number, SYSTEM, when) for number, (event, when) in enumerate([(FOUNDED, START), *history], 1)
    )
    for unit in ("hotline", "water", "a", "nobody"):
        assert law.unit_name(unit, asked)
        assert law.successor(unit, asked) is not None
        assert law.is_within(unit, unit, asked)
        law.parent(unit, asked)
        law.outage_at(asked, unit)
        law.holders(Role.AGENT, unit, asked)
        law.units.loops(unit, asked)
        assert len(list(law.units.ancestors(unit, asked))) <= 6
    assert law.peak_at(asked) is any(p.from_at <= asked < p.ends for p in law.peaks.values())
    assert law.overlays(asked) is not None
    for change in (law.next_peak_change(asked), law.next_policy_change(asked), law.next_unit_change(asked)):
        assert change is None or change > asked


FOUNDED = CityFounded(
    ledger_id=LEDGER,
    city_code="CD",
    city_name="某市",
    hash_algorithm=HashAlgorithm.SM3,
    hotline_unit="hotline",
)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3)), max_size=20), st.integers(-1, 51))
def test_a_timeline_answers_as_a_walk_through_its_changes_does(changes: list[tuple[int, int]], asked: int):
    changes = sorted(dict(changes).items())
    timeline = Timeline(0, [(START + timedelta(hours=h), value) for h, value in changes])
    values = [0] * 53
    for hour, value in changes:
        values[hour + 1 :] = [value] * (53 - hour - 1)
    instant = START + timedelta(hours=asked)
    later = [h for h in range(asked + 1, 52) if values[h + 1] != values[asked + 1]]
    assert timeline.at(instant) == values[asked + 1]
    assert timeline.next_change(instant) == (START + timedelta(hours=later[0]) if later else None)


# --- refusals ----------------------------------------------------------------------------------------------------


def year(**said: Any) -> CalendarYear:
    held = next(y for y in YEARS if y.year == 2025)
    return msgspec.structs.replace(held, **said)


ELSEWHERE = PolicyRef(pack="S9", digest="sha256:" + "0" * 64)
TREE = City()
TREE.do(first("land", valid_from=date(2025, 6, 1)), ADMIN, START)
TREE.do(succeed(("roads", "land"), when="2025-08-01 00:00"), ADMIN, START)
TREE.do(first("street", level=UnitLevel.THIRD, parent="water"), ADMIN, START)
TREE.do(ChangeUnit(unit="water-2", parent="water-1", valid_from=date(2025, 6, 1)), ADMIN, START)
TREE.do(ProposeCalendar(calendar=year(version=2)), ADMIN, START)
TREE.do(OUTAGE, SUPERVISOR, START)
TREE.do(PEAK, MANAGER, START)
TREE.do(ReserveNumbers(count=1, reason="检修"), MANAGER, START, {"order/CD20250303": (1,)})
TREE.do(ProposePolicy(pack=S0_NEXT, replaces=ref(S0)), ADMIN, START)

VOID = VoidNumbers(block=1, journal="order/CD20250303", numbers=(1,), reason="未使用", unused_checked_at_position=4)
REVOKE_LI = RevokeRole(user="li", role=Role.HOTLINE_MANAGER, unit="hotline", **CHECKED)
REVOKE_QIAN = RevokeRole(user="qian", role=Role.ORG_HANDLER, unit="water", **CHECKED)

REFUSED: list[tuple[str, type[Refusal], Command, Actor]] = [
    ("founding again", AlreadyFounded, FOUND, SYSTEM),
    ("founding by an administrator", RoleNotAllowed, FOUND, ADMIN),
    ("approving one's own calendar", SelfApproval, ApproveCalendar(proposal=1), ADMIN),
    ("rejecting one's own calendar", SelfApproval, RejectCalendar(proposal=1, reason="x"), ADMIN),
    ("approving one's own outage", SelfApproval, ApproveOutage(proposal=2), SUPERVISOR),
    (
        "approving one's own outage in another role",
        SelfApproval,
        ApproveOutage(proposal=2),
        Actor(user="sun", role=Role.HOTLINE_MANAGER, unit="hotline"),
    ),
    ("rejecting one's own outage", SelfApproval, RejectOutage(proposal=2, reason="x"), SUPERVISOR),
    ("approving one's own policy", SelfApproval, ApprovePolicy(proposal=3), ADMIN),
    ("approving what nobody proposed", UnknownProposal, ApproveCalendar(proposal=9), ADMIN_2),
    (
        "a policy that says nothing",
        PolicyInvalid,
        ProposePolicy(pack=msgspec.structs.replace(S4, clocks=(), options=(), refusals=())),
        ADMIN,
    ),
    ("a base pack as law", PolicyInvalid, ProposePolicy(pack=COMMON, valid_from=date(2027, 1, 1)), ADMIN),
    ("a policy that meets another", PackOverlap, ProposePolicy(pack=S4), ADMIN),
    ("a policy without a date", ValidityNotStated, ProposePolicy(pack=msgspec.structs.replace(S0, version="9")), ADMIN),
    ("a policy before its text", BeforeEffect, ProposePolicy(pack=S4, valid_from=date(2022, 1, 1)), ADMIN),
    ("replacing an unknown policy", UnknownPolicy, ProposePolicy(pack=S0_NEXT, replaces=ELSEWHERE), ADMIN),
    (
        "a policy that ends before the city adopts it",
        IntervalEmpty,
        ProposePolicy(pack=OVERLAY, valid_from=date(2025, 7, 1)),
        ADMIN,
    ),
    ("a first version of a published year", CalendarVersion, ProposeCalendar(calendar=year()), ADMIN),
    ("a version that leaves one out", CalendarVersion, ProposeCalendar(calendar=year(version=3)), ADMIN),
    ("a calendar without days off", CalendarInvalid, ProposeCalendar(calendar=year(version=2, off=())), ADMIN),
    (
        "a revision older than what it revises",
        CalendarInvalid,
        ProposeCalendar(calendar=year(version=2, known_from=date(2024, 1, 1))),
        ADMIN,
    ),
    (
        "a calendar from a notice of tomorrow",
        CalendarInvalid,
        ProposeCalendar(calendar=year(version=2, known_from=date(2025, 3, 4))),
        ADMIN,
    ),
    (
        "a peak for time that has passed",
        NoRetroactivePeak,
        msgspec.structs.replace(PEAK, from_at=START - timedelta(milliseconds=1)),
        MANAGER,
    ),
    ("a peak that ends as it begins", IntervalEmpty, msgspec.structs.replace(PEAK, until=PEAK.from_at), MANAGER),
    ("a peak that meets another", PeakOverlap, msgspec.structs.replace(PEAK, from_at=START), MANAGER),
    ("ending an unknown peak", NoSuchPeak, EndPeak(peak=7), MANAGER),
    ("sharing until yesterday", DayHasPassed, SHARING, MANAGER),
    ("ending what is not shared", NoAgreementInForce, EndShareAgreement(consumer="ep", reason="x"), MANAGER),
    (
        "an outage that ends as it begins",
        IntervalEmpty,
        msgspec.structs.replace(OUTAGE, until=OUTAGE.from_at),
        SUPERVISOR,
    ),
    (
        "an outage of units that names none",
        OutageScopeUnclear,
        msgspec.structs.replace(OUTAGE, scope=OutageScope.UNITS),
        SUPERVISOR,
    ),
    (
        "an outage of all that names some",
        OutageScopeUnclear,
        msgspec.structs.replace(OUTAGE, units=("water",)),
        SUPERVISOR,
    ),
    (
        "an outage of an unknown unit",
        UnknownUnit,
        msgspec.structs.replace(OUTAGE, scope=OutageScope.UNITS, units=("x",)),
        SUPERVISOR,
    ),
    ("a code used already", UnitExists, first("water"), ADMIN),
    ("a second hotline", ParentNotAllowed, first("h2", level=UnitLevel.HOTLINE, parent="hotline"), ADMIN),
    ("a first-level unit elsewhere", ParentNotAllowed, first("x", parent="water"), ADMIN),
    ("a second-level unit without parent", ParentNotAllowed, second("x", ""), ADMIN),
    ("a parent of lower level", ParentNotAllowed, ChangeUnit(unit="water-1", parent="street"), ADMIN),
    ("the hotline under another", ParentNotAllowed, ChangeUnit(unit="hotline", parent="water"), ADMIN),
    ("an unknown parent", UnknownUnit, second("x", "nobody"), ADMIN),
    ("a parent that does not exist yet", UnitInactive, second("x", "land"), ADMIN),
    ("an unknown unit changed", UnknownUnit, ChangeUnit(unit="x", name="y"), ADMIN),
    ("a change that changes nothing", NothingChanged, ChangeUnit(unit="water", name="water局"), ADMIN),
    ("a unit that is its own parent", UnitCycle, ChangeUnit(unit="water-1", parent="water-1"), ADMIN),
    ("a unit that will stand below itself", UnitCycle, ChangeUnit(unit="water-1", parent="water-2"), ADMIN),
    ("an heir below the unit it succeeds", UnitCycle, succeed(("water", "water-1")), ADMIN),
    ("a unit that succeeds itself", SuccessionUnclear, succeed(("water", "water")), ADMIN),
    (
        "a succession to nobody",
        SuccessionUnclear,
        SucceedUnits(from_units=("water",), to_units=(), at=START, basis=BASIS),
        ADMIN,
    ),
    ("the hotline succeeded", SuccessionUnclear, succeed(("hotline", "water")), ADMIN),
    ("a unit succeeded twice", UnitInactive, succeed(("roads", "water"), when="2025-05-01 00:00"), ADMIN),
    ("an heir that is gone by then", UnitInactive, succeed(("water", "roads"), when="2025-09-01 00:00"), ADMIN),
    (
        "an heir that passes on before it inherits",
        UnitInactive,
        succeed(("land", "water"), when="2025-07-01 00:00"),
        ADMIN,
    ),
    ("an unknown unit succeeded", UnknownUnit, succeed(("x", "water")), ADMIN),
    ("a role for the timer", RoleNotGrantable, GrantRole(user="wu", role=Role.SYSTEM, unit="hotline"), ADMIN),
    ("a citizen by grant", RoleNotGrantable, GrantRole(user="wu", role=Role.CITIZEN, unit="hotline"), ADMIN),
    (
        "a manager of the hotline elsewhere",
        RoleNotGrantable,
        GrantRole(user="wu", role=Role.HOTLINE_MANAGER, unit="water"),
        ADMIN,
    ),
    ("a role for oneself", SelfGrant, GrantRole(user="wang", role=Role.SUPERVISOR, unit="hotline"), ADMIN),
    ("a role in an unknown unit", UnknownUnit, GrantRole(user="wu", role=Role.ORG_HANDLER, unit="x"), ADMIN),
    ("a role in a unit not yet there", UnitInactive, GrantRole(user="wu", role=Role.ORG_HANDLER, unit="land"), ADMIN),
    ("a role held already", RoleHeldAlready, GrantRole(user="qian", role=Role.ORG_HANDLER, unit="water"), ADMIN),
    ("revoking what is not held", RoleNotHeld, msgspec.structs.replace(REVOKE_QIAN, user="wu"), ADMIN),
    (
        "revoking without a look at open tasks",
        OpenTasksUnchecked,
        RevokeRole(user="qian", role=Role.ORG_HANDLER, unit="water"),
        ADMIN,
    ),
    (
        "passing tasks to oneself",
        OpenTasksUnchecked,
        msgspec.structs.replace(REVOKE_QIAN, open_tasks_passed_to="qian"),
        ADMIN,
    ),
    (
        "passing tasks to an outsider",
        OpenTasksUnchecked,
        msgspec.structs.replace(REVOKE_QIAN, open_tasks_passed_to="li"),
        ADMIN,
    ),
    ("the last manager leaving", RootWithoutUsers, REVOKE_LI, ADMIN),
    ("voiding numbers of an unknown block", UnknownNumberBlock, msgspec.structs.replace(VOID, block=2), MANAGER),
    ("voiding a number not reserved", UnknownNumberBlock, msgspec.structs.replace(VOID, numbers=(2,)), MANAGER),
    (
        "voiding without a look at their use",
        UseUnchecked,
        msgspec.structs.replace(VOID, unused_checked_at_position=None),
        MANAGER,
    ),
]


@pytest.mark.parametrize(("refusal", "act", "by"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
def test_refused(refusal: type[Refusal], act: Command, by: Actor):
    with pytest.raises(refusal) as refused:
        decide(TREE.law, act, by, START)
    assert type(refused.value) is refusal


UNFOUNDED: list[tuple[str, type[Refusal], Command, Actor]] = [
    ("a command before the founding", NotFounded, first("water"), ADMIN),
    ("a hotline without a manager", RootWithoutUsers, founded(grants=FOUND.grants[:2]), SYSTEM),
    ("a city without an administrator", NoAdministrator, founded(grants=FOUND.grants[2:]), SYSTEM),
    ("a role in a unit the founding does not name", UnknownUnit, founded(units=()), SYSTEM),
    ("a hotline that is not of its level", ParentNotAllowed, founded(hotline=first("hotline")), SYSTEM),
    ("policies that meet", PackOverlap, founded(policies=(ProposePolicy(pack=S0), ProposePolicy(pack=S4))), SYSTEM),
    ("a calendar version that leaves one out", CalendarVersion, founded(calendars=(year(version=2),)), SYSTEM),
]


@pytest.mark.parametrize(("refusal", "act", "by"), [pytest.param(*row[1:], id=row[0]) for row in UNFOUNDED])
def test_refused_at_the_founding(refusal: type[Refusal], act: Command, by: Actor):
    with pytest.raises(refusal) as refused:
        decide(None, act, by, START)
    assert type(refused.value) is refusal


def test_the_last_administrator_stays():
    city = City()
    city.do(RevokeRole(user="wang", role=Role.ADMIN, unit="hotline", **CHECKED), ADMIN_2, START)
    with pytest.raises(NoAdministrator):
        city.do(RevokeRole(user="zhao", role=Role.ADMIN, unit="hotline", **CHECKED), ADMIN_2, START)


def test_a_role_that_begins_later_is_not_revoked_before():
    city = City()
    city.do(GrantRole(user="wu", role=Role.AGENT, unit="hotline", valid_from=date(2025, 4, 1)), ADMIN, START)
    with pytest.raises(RoleNotHeld):
        city.do(RevokeRole(user="wu", role=Role.AGENT, unit="hotline", **CHECKED), ADMIN, START)


def test_every_refusal_these_files_can_give_is_given_in_some_test():
    named = {
        value
        for module in (institution, units, law_module)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Refusal)
    }
    elsewhere = {NoPolicyInForce}
    assert named - {row[1] for row in (*REFUSED, *UNFOUNDED)} == elsewhere


ALLOWED: dict[Role, set[type[Any]]] = {
    Role.SYSTEM: {Found},
    Role.HOTLINE_MANAGER: {
        *(DeclarePeak, EndPeak, ReserveNumbers, VoidNumbers),
        *(ProposeOutage, ApproveOutage, RejectOutage),
        *(PublishShareAgreement, EndShareAgreement),
    },
    Role.SUPERVISOR: {ProposeOutage, ApproveOutage, RejectOutage, EndShareAgreement},
    Role.ADMIN: {
        *(ProposePolicy, ApprovePolicy, RejectPolicy, ProposeCalendar, ApproveCalendar, RejectCalendar),
        *(RegisterUnit, ChangeUnit, SucceedUnits, GrantRole, RevokeRole),
    },
}


def test_each_command_is_open_to_the_roles_of_the_table_and_refused_to_all_others():
    for command in COMMANDS:
        assert command.roles == {role for role, commands in ALLOWED.items() if command in commands}
    acts = [FOUND, *(row[2] for row in REFUSED)]
    assert {type(act) for act in acts} | {ReserveNumbers, RejectPolicy} == set(COMMANDS)
    for act in acts:
        for role in set(Role) - act.roles:
            with pytest.raises(RoleNotAllowed):
                decide(TREE.law, act, Actor(user="anybody", role=role, unit="hotline"), START)
