"""8.15: facts of another system are taken as they are; history under a pack outside its validity says so."""

from __future__ import annotations

import asyncio
from uuid import UUID

import msgspec
import pytest

from domain import institution, refusals
from domain.clocks import Status
from domain.policy import ref
from domain.state import WorkOrder
from domain.steps.answering import ApplicantInformed, ReplySubmitted
from domain.steps.registration import Register
from domain.terms import (
    Applicant,
    ApplicantKind,
    Attributes,
    Channel,
    ClockName,
    DemandType,
    InformAbout,
    Informing,
    Medium,
    Origin,
    Outcome,
)
from scripts import wiring
from scripts.rehearsal import Rehearsal
from tests.given import AGENT, Case, at, dispatched, given
from tests.vector_runner import FOUNDED


def replied(case: Case, *, published: bool, informing: Informing | None = None) -> Case:
    """The case with a reply as a mapping records it."""
    answer = ReplySubmitted(
        assignment=1,
        unit="B",
        outcome=Outcome.RESOLVED,
        public_answer="已处理。",
        informing=informing,
        published=published,
    )
    return case.at("2025-06-20 10:00").after(answer)


class TestAReplyOfAnotherSystem:
    def test_that_was_published_counts_as_informed(self):
        case = replied(given(dispatched()), published=True)
        handle = case.clock(ClockName.HANDLE)
        assert handle.stop is not None
        assert handle.stop.at == at("2025-06-20 10:00")
        assert case.clock(ClockName.CLOSE_AFTER).start.at == at("2025-06-20 10:00")

    def test_of_which_nothing_is_said_stops_no_limit_until_somebody_was_told(self):
        case = replied(given(dispatched()), published=False)
        assert case.clock(ClockName.HANDLE).running
        assert case.no_clock(ClockName.CLOSE_AFTER)
        told = ApplicantInformed(about=InformAbout.RESULT, medium=Medium.PHONE, unit="B", reached=True, reply=1)
        case = case.at("2025-06-23 09:00").after(told)
        handle = case.clock(ClockName.HANDLE)
        assert handle.stop is not None
        assert handle.stop.at == at("2025-06-23 09:00")

    def test_derives_no_signature(self):
        case = replied(given(dispatched("S4-BEIJING")), published=True)
        assert case.order.episodes[0].assignments[0].signed is None


class TestAnAssumedPolicy:
    """A city under S0 brings over years that it lived under S2."""

    S0, S2 = wiring.completed("S0"), wiring.completed("S2")

    def city(self) -> Rehearsal:
        act = wiring.founding_act(UUID(int=1), city_code="CD", city_name="某市", packs=[(self.S0, None)])
        assumed = institution.ProposePolicy(pack=self.S2, assumed=True)
        act = msgspec.structs.replace(act, policies=(*act.policies, assumed))
        memory = Rehearsal(FOUNDED)
        memory.begin(act)
        return memory

    def register(self, memory: Rehearsal, origin: Origin) -> WorkOrder:
        command = Register(
            title="路灯不亮",
            category="市政",
            channel=Channel.PHONE,
            attributes=Attributes(demand_type=DemandType.HELP),
            content="路灯不亮。",
            applicant=Applicant(kind=ApplicantKind.PERSON, phone="000-0000001"),
            duplicates_seen=(),
            assume_policy=ref(self.S2),
        )
        when = at("2015-06-16 08:00")
        receipt = asyncio.run(
            memory.execute(command, stream=None, actor=AGENT, command_id="1", occurred_at=when, origin=origin)
        )
        return memory.state(receipt.stream)

    def test_binds_imported_history_and_stamps_it(self):
        order = self.register(self.city(), Origin.IMPORT)
        assert order.policy == ref(self.S2)
        assert order.assumed_policy

    def test_is_in_force_on_no_day(self):
        law = self.city().law
        assert law.policy_at(at("2015-06-16 08:00")) == ref(self.S0)
        assert law.policy_at(at("2035-06-16 08:00")) == ref(self.S0)

    def test_is_not_for_what_happens_now(self):
        with pytest.raises(refusals.AssumedPolicyLive):
            self.register(self.city(), Origin.LIVE)


def test_an_overdue_promise_of_the_old_system_is_late_under_its_own_clock_alone():
    case = given(dispatched(promised_due=at("2025-06-18 12:00")))
    external = case.clock(ClockName.EXTERNAL)
    assert external.status(at("2025-06-18 12:00")) is Status.RUNNING
    assert external.status(at("2025-06-18 12:01")) is Status.OVERDUE
    assert case.clock(ClockName.HANDLE).status(at("2025-06-18 12:01")) is Status.RUNNING
