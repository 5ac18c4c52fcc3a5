"""The table of 8.4, one row a clock, and the matrix of 2.9, one row an event; each cell is played by a script.

What a cell says is looked up in the vectors `C-<clock>` and `M-<case>` (see `tests/vector_runner.py`): a cell nobody
plays fails, and so does a script that no cell speaks of.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import pytest

from domain.clocks import HANDLING
from domain.terms import ClockName
from tests import vector_runner as runner
from tests.vector_runner import Expect


class Row(NamedTuple):
    """What starts a clock, what stops it, what cancels it, what moves its due or leaves it, and when there is none."""

    starts: tuple[str, ...]
    stops: tuple[str, ...]
    cancelled: tuple[str, ...] = ()  # none: closing the order leaves it running, or nothing is left to cancel
    moved: tuple[str, ...] = ()
    unmoved: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


TABLE: dict[ClockName, Row] = {
    ClockName.DISPATCH: Row(
        starts=(
            "registered",
            "return approved",
            "redo ordered",
            "ruled for another",
            "reopened without a lead",
            "split off",
            "recalled: the old start",
        ),
        stops=("dispatched", "answered directly", "refused", "merged"),
        cancelled=("withdrawn",),
        moved=("reclassified",),
    ),
    ClockName.SIGN: Row(
        starts=("dispatched", "passed on"),
        stops=("passed on unsigned", "signed"),
        cancelled=("returned", "recalled", "withdrawn"),
        moved=("reclassified",),
    ),
    ClockName.TRANSFER: Row(
        starts=("dispatched",),
        stops=("transferred", "signed for its own handling", "return requested", "handled itself"),
        cancelled=("recalled",),
    ),
    ClockName.RETURN: Row(
        starts=("dispatched", "signed"),
        stops=("return requested",),
        cancelled=("replied", "ruled to stay", "recalled"),
        unmoved=("transferred inside",),
        gone=("designated: there is no window", "unsigned: not begun"),
    ),
    ClockName.RETURN_REVIEW: Row(
        starts=("return requested", "objection raised"),
        stops=("decided", "ruled"),
        cancelled=("return withdrawn", "order withdrawn"),
    ),
    ClockName.INIT_RESPONSE: Row(
        starts=("dispatched", "raised after dispatch"),
        stops=("first of it", "replied"),
        cancelled=("returned",),
        moved=("raised further",),
        gone=("ordinary: not asked for",),
    ),
    ClockName.PROGRESS: Row(
        starts=("dispatched", "raised after dispatch"),
        stops=("first of it", "replied"),
        cancelled=("returned",),
        moved=("raised further",),
        gone=("ordinary: not asked for",),
    ),
    ClockName.HANDLE: Row(
        starts=("dispatched", "redo dispatched", "reopened", "sent back: the old start"),
        stops=("replied and told",),
        cancelled=("returned", "withdrawn"),
        moved=("extended", "reclassified", "calendar published"),
        unmoved=("urged, supplement, meeting, dispute, return",),
    ),
    ClockName.STATUTORY: Row(
        starts=("dispatched",),
        stops=("told of acceptance", "told of the result"),
        cancelled=("returned",),
        unmoved=("extended",),
        gone=("not a consumer's complaint",),
    ),
    ClockName.EXTERNAL: Row(
        starts=("registered",), stops=("first reply", "closed"), gone=("nobody promised anything",)
    ),
    ClockName.CO_REPLY: Row(
        starts=("dispatched with it", "added"),
        stops=("first opinion",),
        cancelled=("removed", "recalled"),
        unmoved=("the lead's extension",),
    ),
    ClockName.EXTENSION_DECISION: Row(starts=("requested",), stops=("decided",), cancelled=("replied", "returned")),
    ClockName.INFORM_EXTENSION: Row(
        starts=("granted",), stops=("told",), cancelled=("withdrawn",), gone=("refused: nothing to tell",)
    ),
    ClockName.CORRECTION: Row(starts=("sent back",), stops=("replied again",), cancelled=("withdrawn",)),
    ClockName.EVAL_WINDOW: Row(
        starts=("replied and told",),
        stops=("rated",),
        cancelled=("redo ordered", "sent back", "closed"),
        moved=("outage at its end",),
    ),
    ClockName.CLOSE_AFTER: Row(
        starts=("replied and told", "accepted by a reviewer"),
        stops=("closed",),
        cancelled=("sent back", "redo ordered"),
    ),
    ClockName.REVISIT: Row(
        starts=("replied", "HANDLE's due"),
        stops=("visited", "refused", "not reached"),
        cancelled=("redo ordered", "closed"),
    ),
    ClockName.CITIZEN_REPLY: Row(
        starts=("merged",), stops=("told the master's result",), cancelled=("unmerged", "withdrawn")
    ),
    ClockName.FOLLOW_UP: Row(starts=("promised", "not accepted as kept: the old date"), stops=("kept",)),
    ClockName.SUPV_REPLY: Row(
        starts=("issued to the unit's system", "issued again", "served"),
        stops=("replied",),
        cancelled=("withdrawn", "escalated"),
        gone=("not served",),
    ),
    ClockName.ARRIVE_SITE: Row(starts=("served",), stops=("arrived",), cancelled=("order closed", "notice withdrawn")),
    ClockName.SITE_RECORD: Row(starts=("arrived",), stops=("recorded",), cancelled=("order closed",)),
    ClockName.WHISTLE: Row(starts=("blown",), stops=("responded",), cancelled=("recalled",)),
    ClockName.INSTRUCTION: Row(
        starts=("recorded",), stops=("reported back",), gone=("no limit in it, and none invented",)
    ),
    ClockName.OVERSIGHT_REPLY: Row(starts=("filed",), stops=("answered",)),
    ClockName.SEAL: Row(starts=("filed",), stops=("sealed",), gone=("reopened: not filed any more",)),
    ClockName.APPEAL: Row(starts=("figure published",), stops=("filed",)),
    ClockName.APPEAL_DECISION: Row(starts=("filed",), stops=("decided",)),
}

SHOWN_BY = {"starts": "start", "stops": "stop", "cancelled": "cancelled", "moved": "moved", "unmoved": "moved"}
"""The field of an expectation that a cell cannot do without; `gone` needs `none`."""

RUN_ON = {
    ClockName.FOLLOW_UP,
    ClockName.CITIZEN_REPLY,
    ClockName.SUPV_REPLY,
    ClockName.INSTRUCTION,
    ClockName.APPEAL,
    ClockName.APPEAL_DECISION,
    ClockName.SEAL,
    ClockName.OVERSIGHT_REPLY,
}
"""What closing the order does not cancel (8.4)."""

COLUMNS = (
    ClockName.DISPATCH,
    ClockName.SIGN,
    ClockName.TRANSFER,
    ClockName.RETURN,
    ClockName.INIT_RESPONSE,
    ClockName.PROGRESS,
    ClockName.HANDLE,
    ClockName.CO_REPLY,
    ClockName.EVAL_WINDOW,
    ClockName.SUPV_REPLY,
)

# Letters as in 2.9, amended by 8.4 and 8.5. Where a cell of 2.9 is missing, an earlier event has done it: a return
# requested has stopped TRANSFER before its approval, a redo has ended EVAL_WINDOW before the next dispatch; hours
# (DISPATCH, INIT_RESPONSE) know no calendar. Where there is one more: after a reply there is no return (3.3), and who
# replies handles the order itself (8.3).
MATRIX = """
                                            disp sign tran ret  init prog hand co   eval supv
OrderRegistered                             S    -    -    -    -    -    -    -    -    -
DirectAnswered / CallTransferred / NotAccepted / OrdersMerged / CallerReferred / CrossRegionTransferred / DuplicateLinked / EmergencyHandedOver  P    -    -    -    -    -    -    -    -    -
OrderDispatched                             P    S    S    S    S    S    S    S    -    -
DispatchRecalled                            R    X    X    X    X    X    X    X    -    -
AssignmentTransferred                       -    SP   P    -    -    -    -    -    -    -
AssignmentSigned                            -    P    P    S    -    -    -    -    -    -
ReturnRequested                             -    -    P    P    -    -    -    -    -    -
ReturnApproved                              S    X    -    -    X    X    X    X    -    -
ReturnRejected                              -    -    -    -    -    -    -    -    -    -
DisputeRaised / CoordinationMeetingHeld / SupplementRequested  -    -    -    -    -    -    -    -    -    -
DisputeRuled (same unit)                    -    -    -    X    -    -    -    -    -    -
DisputeRuled (other unit)                   S    X    X    X    X    X    X    X    -    -
ExtensionApproved                           -    -    -    -    -    -    M    -    -    -
OrderReclassified                           M    M    -    -    SM   SM   M    M    -    -
ReplySubmitted                              -    -    P    X    P    P    P    -    S    -
ReplyReviewed (sent back)                   -    -    -    -    -    -    R    -    X    -
ReplyReviewed (accepted)                    -    -    -    -    -    -    -    -    -    -
EvaluationRecorded                          -    -    -    -    -    -    -    -    P    -
RedoOrdered                                 S    -    -    -    -    -    -    -    X    -
OrderClosed / OrderWithdrawn                X    X    X    X    X    X    X    X    X    -
OrderReopened                               -    -    -    -    -    -    S    -    -    -
OrdersMerged (dispatched) / OrderUnmerged   R    XR   -    -    -    -    XR   XR   -    -
OrderSplit (the child)                      S    -    -    -    -    -    -    -    -    -
CoOrganizerAdded / CoOrganizerRemoved       -    SX   -    -    -    -    -    SX   -    -
SupervisionNoticeIssued / SupervisionReplySubmitted  -    -    -    -    -    -    -    -    -    SP
CalendarPublished / CalendarRevised         -    M    M    M    -    M    M    M    M    M
"""


def _matrix() -> dict[str, dict[ClockName, str]]:
    rows: dict[str, dict[ClockName, str]] = {}
    for line in MATRIX.strip("\n").splitlines()[1:]:
        event, *cells = line.rsplit(maxsplit=len(COLUMNS))
        rows[event] = dict(zip(COLUMNS, cells, strict=True))
    return rows


ROWS = _matrix()
CASES = [name for name in runner.names() if runner.vector(name).row]


def _said(clock: ClockName) -> dict[str, dict[str, Expect]]:
    """What the scripts of a clock show: by the kind of cell, its words."""
    said: dict[str, dict[str, Expect]] = defaultdict(dict)
    names = [n for n in runner.names() if n == f"C-{clock}" or n.startswith(f"C-{clock}-s")]
    for expect in (expect for name in names for expect in runner.vector(name).expect):
        kind, _, words = expect.say.partition(": ")
        if kind in Row._fields:
            assert expect.clock is clock
            said[kind][words] = expect
    return said


def test_every_clock_has_its_row():
    assert set(TABLE) == set(ClockName)
    assert len(TABLE) == 28


@pytest.mark.parametrize("clock", ClockName)
def test_every_cell_of_a_clocks_row_is_played_and_nothing_else(clock: ClockName):
    said = _said(clock)
    assert {kind: set(words) for kind, words in said.items()} == {
        kind: set(words) for kind, words in TABLE[clock]._asdict().items() if words
    }


@pytest.mark.parametrize("clock", ClockName)
def test_every_cell_shows_what_it_speaks_of(clock: ClockName):
    row = TABLE[clock]
    assert row.starts
    assert row.stops
    for kind, played in _said(clock).items():
        for words, expect in played.items():
            shown = expect.none if kind == "gone" else getattr(expect, SHOWN_BY[kind]) is not None
            assert shown, f"{clock}: {kind}: {words}"
            if kind in ("moved", "unmoved"):
                by_calendar = "calendar" in words
                assert bool(expect.moved) is (kind == "moved" and not by_calendar), f"{clock}: {kind}: {words}"


def test_closing_an_order_cancels_the_handling_clocks_and_no_other():
    assert set(ClockName) - HANDLING == RUN_ON
    never = {clock for clock, row in TABLE.items() if not any("closed" in w or "withdrawn" in w for w in row.cancelled)}
    of_their_own = {ClockName.SUPV_REPLY, ClockName.CITIZEN_REPLY}
    assert never >= RUN_ON - of_their_own, "the notice is withdrawn, not the order; who withdraws follows no master"


@pytest.mark.parametrize("name", CASES)
def test_an_event_does_to_the_clocks_what_its_case_says(name: str):
    assert runner.effects(name) == runner.vector(name).effect


def test_every_row_of_the_matrix_is_played_and_every_case_has_its_row():
    assert {runner.vector(name).row for name in CASES} == set(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_the_cases_of_an_event_make_its_row_of_the_matrix(row: str):
    seen: dict[ClockName, set[str]] = defaultdict(set)
    for name in (name for name in CASES if runner.vector(name).row == row):
        for clock, letters in runner.effects(name).items():
            seen[clock] |= set(letters)
    assert {clock: seen[clock] for clock in COLUMNS} == {
        clock: set(letters.replace("-", "")) for clock, letters in ROWS[row].items()
    }
