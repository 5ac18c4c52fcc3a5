"""What remains to be done about a case: each duty names its unit, its time and the command that really discharges it."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from domain import steps
from domain.clocks import WINDOWS, clocks
from domain.duties import BY_CLOCK, BY_PROPOSAL, Duty, duties
from domain.refusals import Refusal, RoleNotHeld
from domain.state import WorkOrder
from domain.steps.answering import CompleteFollowUp, CoOpinion, InformApplicant, Reply
from domain.steps.coordinating import RespondWhistle
from domain.steps.dispatch import Dispatch
from domain.steps.evaluation import ReviewReply
from domain.steps.extending import DecideExtension, InformExtension
from domain.steps.filing import Archive
from domain.steps.handling import Sign
from domain.steps.oversight import AcceptNoticeReply, ReplyNotice, ServeNotice
from domain.steps.returning import DecideReturn, RequestReturn
from domain.steps.triage import ProposeRefusal, Refuse
from domain.terms import (
    SHANGHAI,
    Act,
    Actor,
    ClockName,
    InformAbout,
    Medium,
    Origin,
    Outcome,
    RefusalReason,
    ReturnGround,
    Role,
)
from scripts import importing, wiring
from scripts.rehearsal import Rehearsal
from tests.given import AGENT, BASIS, HANDLER, Case, approver, dispatched, given, registered, working
from tests.test_cases import expected, lines

SCRIPTS = ("s0", "s1", "s2", "s3", "s4")


def left(case: Case) -> list[Duty]:
    return list(duties(case.order, clocks(case.order, case.law), case.law))


def told(case: Case) -> list[tuple[type, str]]:
    return [(duty.command, duty.unit) for duty in left(case)]


def test_every_clock_that_is_somebodys_duty_has_the_command_that_stops_it():
    rights = {ClockName.RETURN, ClockName.OVERSIGHT_REPLY, *WINDOWS}  # a right; another stream's duty
    assert set(BY_CLOCK) == set(ClockName) - rights


def test_every_kind_of_proposal_has_the_command_that_decides_it():
    source = "".join(path.read_text() for path in Path(inspect.getfile(steps)).parent.glob("*.py"))
    named = set(re.findall(r'propose\(\s*order, entry, (\w+|"\w+")', source))
    constants = dict(re.findall(r'^(_\w+) = "(\w+)"$', source, re.MULTILINE))
    assert {name.strip('"') if name.startswith('"') else constants[name] for name in named} == set(BY_PROPOSAL)


def test_a_registered_case_waits_for_its_dispatch_and_a_dispatched_one_for_its_organizer():
    assert told(given(registered("S1-CHENGDU"))) == [(Dispatch, "")]
    assert told(given(dispatched("S1-CHENGDU"))) == [(Sign, "B"), (Reply, "B")]


def test_a_reply_given_to_the_hotline_leaves_the_review_and_the_telling_to_it():
    case = given(working("S0-CHUANYU")).under(handle_stop="reply_to_hotline").at("2025-06-17 10:00")
    assert (Reply, "B") in told(case)
    case = case.does(Reply(outcome=Outcome.RESOLVED, public_answer="已修好"), by=approver())
    assert told(case) == [(ReviewReply, ""), (InformApplicant, "")]
    review = next(duty for duty in left(case) if duty.command is ReviewReply)
    assert review.not_by == approver().user, "whoever signed the reply does not review it"
    case = case.does(InformApplicant(about=InformAbout.RESULT, medium=Medium.PHONE), by=AGENT)
    assert told(case) == [(ReviewReply, "")]


def test_a_return_waits_for_whoever_decides_it():
    asked = RequestReturn(ground=ReturnGround.NOT_OUR_DUTY, reason="无职责", basis=BASIS, suggested_unit="B2")
    case = given(working("S0-CHUANYU")).at("2025-06-16 10:00").does(asked, by=approver())
    waiting = next(duty for duty in left(case) if duty.command is DecideReturn)
    assert (waiting.unit, Role.HOTLINE_MANAGER in waiting.roles) == ("", True)


def test_a_second_person_is_waited_for_who_is_not_the_first():
    refused = ProposeRefusal(reason=RefusalReason.PRIVACY)
    case = given(registered()).at("2025-06-16 09:00").does(refused, by=AGENT)
    assert next(duty for duty in left(case) if duty.command is Refuse).not_by == AGENT.user


def test_a_title_is_the_fields_own_term():
    assert {duty.title for duty in left(given(dispatched("S1-CHENGDU")))} == {"签收", "答复"}


# --- over whole stories ------------------------------------------------------------------------------------------

ANNOUNCED = (
    AcceptNoticeReply,
    Archive,
    CoOpinion,
    CompleteFollowUp,
    DecideExtension,
    DecideReturn,
    Dispatch,
    InformExtension,
    ReplyNotice,
    RespondWhistle,
    ReviewReply,
    ServeNotice,
    Sign,
)
"""Commands that nobody gives but because the case waits for them."""


class Watched(Rehearsal):
    """A rehearsal that looks, before each command, whether the case's duties had announced it."""

    seen: Counter[str]
    unannounced: list[str]

    async def execute(self, command: Act, *, stream: str | None, actor: Actor, **said: Any) -> Any:
        """Look, then do."""
        was = self.state(stream) if stream in self.histories else None
        done = await super().execute(command, stream=stream, actor=actor, **said)
        if isinstance(was, WorkOrder) and isinstance(command, ANNOUNCED) and actor.role is not Role.SYSTEM:
            waiting = [d for d in duties(was, clocks(was, self.law), self.law) if d.command is type(command)]
            own = [d for d in waiting if not d.unit or self.law.successor(d.unit, said["occurred_at"]) == actor.unit]
            self.seen[type(command).__name__] += 1
            if not any(actor.role in duty.roles and actor.user != duty.not_by for duty in own):
                self.unannounced.append(f"{stream} {said['occurred_at']} {actor.role}@{actor.unit} {command}")
        return done


async def watched(text: str) -> Watched:
    city = Watched(datetime(2026, 7, 1, tzinfo=SHANGHAI))
    city.seen, city.unannounced = Counter(), []
    city.found([wiring.completed(expected(text).policy), *(wiring.read_pack(name) for name in wiring.OVERLAYS)])
    script = importing.Script(city, "test")
    for number, line in lines(text).items():
        with contextlib.suppress(Refusal):  # no ledger has verified anything here: nothing is sealed or handed over
            await script.carry_out(number, line)
    return city


@pytest.mark.parametrize("text", SCRIPTS)
async def test_in_a_story_of_each_text_nothing_is_done_that_was_not_a_duty(text: str):
    city = await watched(text)
    assert sum(city.seen.values()) > 5
    assert city.unannounced == []


@pytest.mark.parametrize("text", SCRIPTS)
async def test_what_a_desk_may_do_at_once_is_accepted(text: str):
    """Every signature and every decision of an extension or return that a story leaves waiting can be given."""
    city = await watched(text)
    for stream in [name for name in city.histories if name.startswith("order:")]:
        order = city.state(stream)
        for duty in duties(order, clocks(order, city.law), city.law):
            if duty.command is not Sign:
                continue
            actor = Actor(user="somebody", role=Role.ORG_HANDLER, unit=city.law.successor(duty.unit, city.now))
            with contextlib.suppress(RoleNotHeld):  # the story appoints nobody there
                await city.copied().execute(
                    Sign(),
                    stream=stream,
                    actor=actor,
                    command_id="try",
                    occurred_at=max(entry.at for entry in city.histories[stream]),
                    origin=Origin.IMPORT,
                )


def test_units_of_a_handler_see_only_their_own():
    found = left(given(dispatched("S1-CHENGDU", co=("B2",))))
    assert {duty.unit for duty in found if HANDLER.role in duty.roles} == {"B", "B2"}
