"""Whoever may not give a command is refused by their role, and nothing happens (6.1.8, 4.1)."""

from random import Random

import pytest

from domain import order
from domain.kinds import COMMANDS, KINDS
from domain.refusals import Refusal, RoleNotAllowed
from domain.steps.registration import Register
from domain.terms import Act, Role
from tests.given import at
from tests.properties.aims import aims
from tests.properties.arbitrary import Maker
from tests.properties.town import MAIN, Deed, Town, founded, person

NOBODY_ELSE = {
    Role.ADMIN: {"institution"},
    Role.AUDITOR: {"publication"},  # what a verification found
    Role.DISCIPLINE: {"call"},
    Role.OVERSEER_NPC: {"inquiry", "call"},
    Role.OVERSEER_CPPCC: {"inquiry", "call"},
}
"""Roles that write to no case: the kinds of streams they may write to (4.1). Anybody may complain of a call."""

BY_THE_APPLICANT = frozenset(
    [
        "Register",
        "Supplement",
        "SetConfidentiality",
        "Inquire",
        "Urge",
        "Withdraw",
        "RecordRevisitConsent",
        "RefuseRevisit",
        "Evaluate",
        "RateService",
        "FileServiceComplaint",
    ]
)
"""What an applicant may do without an agent (4.1)."""

BY_THE_TIMER = frozenset(
    [
        "Register",
        "RecordExternalPush",
        "RecordTransferReceipt",
        "SampleRevisit",
        "Deem",
        "CloseAfter",
        "CloseMerged",
        "ProposeErasure",
        "Archive",
        "RecordDossier",
        "Seal",
        "IssueNotice",
        "WithdrawNotice",
        "CloseNotice",
        "Found",
        "LogCall",
        "RateService",
        "RecordPush",
        "ImportTelephonyStats",
        "ProposeSubjectErasure",
        "RecordVerification",
    ]
)
"""What needs no judgement (4.1)."""


def stream_for(kind_name: str) -> str:
    return "institution" if kind_name == "institution" else f"{kind_name}:00000000-0000-0000-0000-000000000001"


TABLE = [(kind.name, command) for kind in KINDS for command in kind.commands]


@pytest.mark.parametrize(("kind_name", "command"), TABLE, ids=[command.__name__ for _, command in TABLE])
def test_a_role_that_may_not_is_refused_whatever_the_command_says(kind_name: str, command: type[Act]):
    random = Random(command.__name__)
    town, maker = registered(), Maker(random)
    assert command.roles, "a command for nobody"
    for role in set(Role) - command.roles:
        act, actor = maker.make(command), person(role, random.choice(("H", "B", "")))
        with pytest.raises(RoleNotAllowed):
            town.decide(stream_for(kind_name), actor, act)


def registered() -> Town:
    """A city with one order."""
    town, random = founded("S0-CHUANYU", at("2025-06-16 09:00")), Random(7)
    maker = Maker(random, aims(town, MAIN, Register))
    for _ in range(100):
        try:
            return town.does(Deed(town.now, MAIN, person(Role.AGENT, "H"), maker.make(Register)))
        except Refusal:
            continue
    raise AssertionError("no order registered")


@pytest.mark.parametrize("role", NOBODY_ELSE)
def test_who_only_looks_writes_to_no_case(role: Role):
    for kind in KINDS:
        if kind.name not in NOBODY_ELSE[role]:
            may = [command.__name__ for command in kind.commands if role in command.roles]
            assert may == [], f"{role} on {kind.name}"


def test_what_the_applicant_may_do_is_this():
    assert {c.__name__ for c in COMMANDS if Role.CITIZEN in c.roles} == BY_THE_APPLICANT


def test_what_the_timer_may_do_is_this():
    assert {c.__name__ for c in COMMANDS if Role.SYSTEM in c.roles} == BY_THE_TIMER


def test_no_organizer_opens_refuses_dispatches_reviews_or_closes():
    """Only what is theirs: signing, handling, answering, objecting, proposing (4.1)."""
    hotline = [
        "Register",
        "Classify",
        "Reclassify",
        "Refuse",
        "AnswerDirectly",
        "Dispatch",
        "RecallDispatch",
        "DecideReturn",
        "RuleDispute",
        "ReviewReply",
        "JudgeSubstance",
        "OrderRedo",
        "Close",
        "DecideTermination",
        "Reopen",
        "Archive",
        "Seal",
        "IssueNotice",
        "ServeNotice",
        "AcceptNoticeReply",
        "RejectNoticeReply",
        "CloseNotice",
        "WithdrawNotice",
        "DecideAppeal",
        "CompleteRevisit",
    ]
    by_name = {c.__name__: c for c in order.COMMANDS}
    for name in hotline:
        assert not by_name[name].roles & {Role.ORG_HANDLER, Role.ORG_APPROVER}, name


def test_every_kind_of_stream_is_in_the_table():
    assert {name for name, _ in TABLE} == {
        "order",
        "institution",
        "matter",
        "call",
        "inquiry",
        "publication",
        "subject",
        "batch",
    }
    assert len(TABLE) == len(set(TABLE)) == len(COMMANDS)
