"""Random commands by random people at random times: no crash, no skipped guard, no duty that cannot be done, no dead end.

Each test walks through whole cases under every pack; what is promised after each deed stands in `promises`, how a case
comes to its end in `path`, who can stop which clock in `duties`. HUIYIN_HYPOTHESIS=thorough walks for an hour.
"""

from collections import Counter
from functools import cache

import pytest
from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

from domain import order
from domain.clocks import WINDOWS, clocks
from domain.steps import registration
from domain.terms import ClockName, OrderState
from tests.properties.duties import DUTIES, owned, stoppable
from tests.properties.path import DeadEnd, Way, to_the_end
from tests.properties.promises import PROMISES
from tests.properties.walking import Broken, Walk

SEEDS = st.integers(0, 2**63)
WAYS = (Way(), Way(reachable=False), Way(by_unit=False))

# A walk shortens its own failure, deed by deed, which says more than a smaller seed would.
as_found = settings(phases=(Phase.explicit, Phase.reuse, Phase.generate))


@as_found
@given(SEEDS)
def test_whatever_anybody_does_every_promise_to_a_case_is_kept(seed: int):
    Walk(seed, promises=PROMISES).go(40)


@as_found
@given(SEEDS, st.integers(1, 45))
def test_every_case_that_can_be_reached_can_be_closed_filed_and_sealed(seed: int, steps: int):
    walk = Walk(seed)
    walk.go(steps)
    for stream in walk.town.orders:
        for way in WAYS:
            try:
                to_the_end(walk.town, stream, way)
            except DeadEnd as found:
                note("\n".join(repr(deed) for deed in walk.deeds))
                raise AssertionError(f"{stream} under {walk.pack} {dict(walk.options)}: {found}") from found


@as_found
@given(SEEDS)
def test_whoever_owes_something_can_do_it_in_every_state_in_which_its_clock_runs(seed: int):
    walk = Walk(seed)
    for _ in range(30):
        before = len(walk.deeds)
        walk.step()
        if len(walk.deeds) == before:
            continue
        for stream, case in walk.town.orders.items():
            for clock in clocks(case, walk.town.law):
                if not clock.running or clock.name in WINDOWS or not owned(walk.town, case, clock):
                    continue
                done = stoppable(walk.town, stream, clock)
                if not done:
                    note("\n".join(repr(deed) for deed in walk.deeds))
                assert done, (
                    f"{clock.name} {clock.key} of {clock.unit or 'H'} runs in {case.state}, and nobody can stop it"
                )


# --- that the walks go anywhere ----------------------------------------------------------------------------------


@cache
def walked() -> tuple[Counter[str], set[OrderState], set[ClockName]]:
    """What sixty walks came to: the commands accepted, the states and the clocks seen."""
    done: Counter[str] = Counter()
    states: set[OrderState] = set()
    seen: set[ClockName] = set()
    for seed in range(60):
        walk = Walk(seed)
        for _ in range(60):
            walk.step()
            for case in walk.town.orders.values():
                states.add(case.state)
        for case in walk.town.orders.values():
            seen |= {clock.name for clock in clocks(case, walk.town.law)}
        done += walk.done
    return done, states, seen


def test_the_walks_come_to_every_state():
    assert walked()[1] == set(OrderState)


def test_the_walks_see_nearly_every_clock():
    of_orders = set(ClockName) - {ClockName.OVERSIGHT_REPLY}
    assert len(of_orders - walked()[2]) <= 5, of_orders - walked()[2]


def test_the_walks_give_nearly_every_command():
    never = [c.__name__ for c in order.COMMANDS if c.__name__ not in walked()[0]]
    assert len(never) <= len(order.COMMANDS) // 5, never


def test_every_duty_has_a_row_and_no_window_has():
    assert set(DUTIES) == set(ClockName) - WINDOWS - {ClockName.OVERSIGHT_REPLY}


def test_a_broken_promise_is_told_by_the_shortest_story():
    """What a failure shows: here, that nobody may register; one deed is enough to break it."""

    def nobody_registers(before, deed, answer, after):
        assert not isinstance(deed.act, registration.Register), "somebody registered"

    walk = Walk(1, promises=[nobody_registers])
    with pytest.raises(Broken) as found:
        walk.go(30)
    assert "AssertionError: somebody registered" in str(found.value)
    assert str(found.value).count("\n") == 2
