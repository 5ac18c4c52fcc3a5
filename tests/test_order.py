"""What is asked of every command about an order, before its step is: whose people may act, what a refusal cites."""

import msgspec
import pytest

from domain import institution, order, refusals
from domain.context import Context
from domain.policy import ref
from domain.refusals import Refusal
from domain.steps.handling import Sign
from domain.steps.returning import RequestReturn
from domain.terms import Actor, ReturnGround
from domain.units import UnitSucceeded
from tests.given import APPROVER, BASIS, HANDLER, Case, at, dispatched, given, handler
from tests.given import pack as shipped

NOT_OURS = RequestReturn(ground=ReturnGround.NOT_OUR_DUTY, reason="不属我局", basis=BASIS)


def refusal_of(case: Case, command: order.Act, by: Actor) -> Refusal:
    context = Context(actor=by, now=case.now, law=case.law, stream=case.order.stream, position=100)
    with pytest.raises(Refusal) as raised:
        order.decide(case.order, command, context)
    return raised.value


def test_the_people_of_a_unit_that_others_succeeded_act_no_more():
    succeeded = UnitSucceeded(from_units=("B",), to_units=("B2",), at=at("2025-06-16 10:00"), basis=BASIS)
    case = given(dispatched()).decreed(succeeded).at("2025-06-16 10:00")
    assert isinstance(refusal_of(case, Sign(), HANDLER), refusals.UnitInactive)
    context = Context(actor=handler("B2"), now=case.now, law=case.law, stream=case.order.stream, position=100)
    assert order.decide(case.order, Sign(), context)


def test_a_refusal_cites_the_words_of_the_orders_own_pack_and_else_what_the_house_rests_it_on():
    case = given(dispatched("S1-CHENGDU")).at("2025-06-16 10:00")
    cited = refusal_of(case, NOT_OURS, APPROVER)
    row = next(guard for guard in shipped("S1-CHENGDU").guards if guard.refusal == cited.code())
    assert cited.cited == row.basis
    assert row.basis.article in cited.grounds
    assert cited.grounds in str(cited)

    bound = case.law.rules(case.order.policy).pack
    bare = msgspec.structs.replace(bound, guards=tuple(g for g in bound.guards if g.refusal != row.refusal))
    published = institution.PolicyPackPublished(pack=bare, digest=ref(bare).digest, valid_from=None)
    silent = refusal_of(case.having(policy=ref(bare)).decreed(published), NOT_OURS, APPROVER)
    assert silent.code() == cited.code()
    assert silent.grounds == silent.basis != cited.grounds
