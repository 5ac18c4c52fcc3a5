"""Campaigns in small: kills under load, the history of many who contend, a reader at the tail. The large ones: `scripts/bench`."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec
import pytest

from domain.leaves import Finding
from scripts.bench import crash, tailing, trial
from scripts.bench.history import COUNTER, Op, contend, faults
from scripts.bench.trial import City
from tests.conftest import City as Made
from tests.conftest import as_superuser

pytestmark = pytest.mark.campaign


# --- kills -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [16])  # of its first kills, each kind of victim is one
def test_whatever_is_killed_under_load_no_acknowledged_command_is_lost_or_done_twice(seed: int):
    outcome = crash.campaign(6, seed)
    assert outcome.commands > 0
    assert {one.victim for one in outcome.recoveries} == set(crash.VICTIMS)
    assert outcome.sound, outcome


async def test_a_campaign_would_notice_what_it_looks_for(city: Made):
    there = City(*city)
    async with await trial.open_city(there, kinds=(COUNTER,)) as ledger:
        await contend([ledger], ["counter:1"], callers=2, seconds=20, most=10)
    end = as_superuser(city, "SELECT pos FROM {}.head")[0][0]
    acked = crash.Acked(1, 1, "never", "counter:1", 1, 1)
    auditor = crash.Auditor(there)
    assert await auditor.look([acked]) == 1
    assert auditor.findings == []
    as_superuser(city, "UPDATE {}.head SET pos = pos - 1")
    as_superuser(city, "UPDATE {}.commits SET n = 2 WHERE first_position = 3")
    as_superuser(city, f"DELETE FROM {{}}.events WHERE position = {end - 1}")
    again = crash.Auditor(there)
    await again.look([])
    assert Finding(end, "counter:1", "it lies beyond the head") in again.findings
    assert {finding.what for finding in again.findings} >= {
        "positions are missing up to here",
        "the leaf does not follow from the row",
        "half of a commit is missing",
    }


# --- histories ---------------------------------------------------------------------------------------------------


async def test_many_who_contend_for_few_records_through_several_doors_could_have_come_one_after_the_other(city: Made):
    streams = [f"counter:{number}" for number in range(3)]
    async with contextlib.AsyncExitStack() as stack:
        doors = [
            await stack.enter_async_context(await trial.open_city(City(*city), kinds=(COUNTER,))) for _ in range(3)
        ]
        ops = await contend(doors, streams, callers=48, seconds=120, most=50)
        assert faults(ops) == []
        accepted = [op for op in ops if op.kind == "count" and op.version is not None]
        assert sum(op.version is None for op in ops) > 10  # it was contended for
        assert len(ops) >= 48 * 50
        assert await doors[0].verify_all() == []
        assert (await doors[0].head())[0] == len(accepted)


def op(version: int | None, asked: float, answered: float, **said: int | str | None) -> Op:
    return msgspec.structs.replace(Op("counter:1", "count", asked, answered, version, (version or 1) - 1), **said)


ONE, TWO = op(1, 0, 1), op(2, 2, 3)


@pytest.mark.parametrize(
    ("ops", "fault"),
    [
        ([ONE, op(2, 2, 3), op(2, 2, 3)], "not dense"),
        ([ONE, op(3, 2, 3)], "not dense"),
        ([ONE, op(2, 2, 3, saw=0)], "decided from 0"),
        ([ONE, op(2, 2, 3, expected=0)], "expecting 0"),
        ([op(1, 2, 3), op(2, 0, 1)], "before an earlier version was asked"),
        ([ONE, TWO, op(1, 4, 5, kind="read")], "after version 2 had been answered"),
        ([ONE, TWO, op(2, 0, 1, kind="read")], "before it was asked for"),
        ([ONE, op(None, 2, 3, expected=1)], "none"),
        ([ONE, TWO, op(None, 0, 1, expected=1)], "none"),
    ],
)
def test_a_history_that_could_not_have_been_is_found(ops: list[Op], fault: str):
    assert faults([ONE, TWO, op(2, 2, 4, kind="read"), op(None, 1, 2, expected=1)]) == []
    assert len(found := faults(ops)) == 1
    assert fault in found[0]


# --- the tail ----------------------------------------------------------------------------------------------------


def test_a_reader_at_the_tail_of_four_writing_processes_misses_nothing_and_sees_no_gap(postgres, tmp_path: Path):
    seen = tailing.follow(postgres, tmp_path, 6000, 4, 16)
    assert (seen.events, seen.head, seen.gaps, seen.twice) == (6000, 6000, 0, 0)
