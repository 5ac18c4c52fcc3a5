"""The one writer: every caller its own answer, an honest one, whatever becomes of the batch, the session or the caller."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from domain import memory, recorder
from domain.exchange import Exchange, Sent, tell
from domain.ledger import Ledger, Receipt
from domain.refusals import (
    Busy,
    CommandIdReused,
    OutcomeUnknown,
    StorageRefused,
    Unavailable,
)
from domain.settling import Before, Draft, Late, Moved, Proposal, Written
from domain.terms import Shred
from domain.writer import FLIGHTS, LEAST
from tests.conftest import City, as_superuser
from tests.test_ledger import AGENT, NoteSlip, OpenSlip, cid, do, door, opened


def noted(slip: str, *, expected: int | None = None, command_id: str = "", digest: bytes = bytes(32)) -> Proposal:
    """One decided command, as the door hands it to the writer."""
    return Proposal(
        command_id=command_id or cid(),
        digest=digest,
        stream=slip,
        now=recorder.EPOCH,
        actor='{"role":"agent","user":"a1"}',
        origin="live",
        steps=[Draft(slip, "slip.noted", b'{"type":"slip.noted"}')],
        expected={} if expected is None else {slip: expected},
    )


def shredding(slip: str) -> Proposal:
    """A decided command that destroys the keys of a record."""
    bare = noted(slip)
    bare.steps = [Shred(stream=slip)]
    return bare


@contextlib.asynccontextmanager
async def held(city: City) -> AsyncIterator[None]:
    """Somebody holds the head, so that whatever is handed in waits for one and the same batch."""
    async with await psycopg.AsyncConnection.connect(city.database.superuser) as holder:
        await holder.execute(f'SELECT 1 FROM "{city.name}".head FOR UPDATE'.encode())
        yield


async def in_one_batch(city: City, ledger: Ledger, *proposals: Proposal) -> list[Any]:
    """Hand in proposals while the writer waits with another batch: they are the next one, in this order."""
    async with held(city):
        first = asyncio.create_task(opened(ledger))
        await asyncio.sleep(0.1)
        answers = [ledger._writer.queued(proposal) for proposal in proposals]
    await first
    return await asyncio.gather(*answers, return_exceptions=True)


# --- one batch, many answers -------------------------------------------------------------------------------------


async def test_commands_for_one_record_in_one_batch_are_settled_in_their_order(city: City):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        again = cid()
        outcomes = await in_one_batch(
            city,
            ledger,
            noted(slip, expected=1),
            noted(slip, expected=1),  # what it was decided from was moved by the one before it
            noted(slip, expected=2, command_id=again),
            noted(slip, expected=2, command_id=again),  # the same once more: its receipt, no conflict
            noted(slip, expected=3, command_id=again, digest=bytes(31) + b"x"),
            noted(slip),
        )
        assert [type(outcome) for outcome in outcomes] == [Written, Moved, Written, Before, CommandIdReused, Written]
        assert outcomes[1] == Moved((slip,))
        assert outcomes[3].known.first_position == outcomes[2].rows[0].position
        assert [entry.version for entry in await ledger.history(slip)] == [1, 2, 3, 4]
        assert await ledger.verify_all() == []


async def test_what_one_proposal_brings_on_a_batch_is_found_by_halves(city: City):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        before = await transactions(city)
        bad = noted(slip, command_id="x" * 9000)  # longer than an index can hold, after all that was checked
        bad.command_id = secrets.token_hex(9000)
        proposals = [noted(f"slip:{number}") for number in range(128)]
        proposals[77] = bad
        outcomes = await in_one_batch(city, ledger, *proposals)
        assert [i for i, outcome in enumerate(outcomes) if not isinstance(outcome, Written)] == [77]
        assert isinstance(outcomes[77], StorageRefused)
        assert await transactions(city) - before < 40
        assert await ledger.verify_all() == []


async def transactions(city: City) -> int:
    """How many commits and rollbacks the cluster counted."""
    [[count]] = as_superuser(city, "SELECT pg_current_xact_id()::text::bigint")
    return count


# --- what the database refuses -----------------------------------------------------------------------------------


async def test_a_write_that_the_database_rejects_is_refused_and_not_unknown(city: City):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        as_superuser(city, "REVOKE INSERT ON {}.commits FROM huiyin_app")
        outcomes = await asyncio.gather(
            *(do(ledger, slip, NoteSlip()) for _ in range(3)), opened(ledger), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [StorageRefused] * 4
        as_superuser(city, "GRANT INSERT ON {}.commits TO huiyin_app")
        await do(ledger, slip, NoteSlip())
        assert [entry.version for entry in await ledger.history(slip)] == [1, 2]


@pytest.mark.parametrize("statement", ["insert_events", "insert_commits", "move_head"])
async def test_a_statement_cancelled_before_the_commit_leaves_no_doubt_and_is_tried_again(city: City, statement: str):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        async with await psycopg.AsyncConnection.connect(city.database.superuser) as holder:
            table = {"insert_events": "events", "insert_commits": "commits", "move_head": "events"}[statement]
            await holder.execute(f'LOCK TABLE "{city.name}".{table} IN SHARE MODE'.encode())
            proposal = noted(slip)
            answer = ledger._writer.queued(proposal)
            await asyncio.sleep(0.3)
            as_superuser(
                city,
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'huiyin'"
                f" AND wait_event_type = 'Lock' AND query LIKE '%{city.name}%'",
            )
            await asyncio.sleep(0.3)
            assert not answer.done()
        assert isinstance(await answer, Written)
        assert len(await ledger.history(slip)) == 2


@pytest.mark.parametrize("ahead", [False, True])
async def test_a_commit_that_nobody_heard_the_end_of_is_looked_up_and_told_as_their_own(
    city: City, monkeypatch: pytest.MonkeyPatch, ahead: bool
):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        if not ahead:
            ledger._writer._memory.forget()
        heard = Exchange.heard
        lost: list[bool] = []

        async def lose_the_answer(exchange: Exchange, said: Sent) -> list[Any]:
            answers = await heard(exchange, said)
            if "commit" in said and not lost:
                lost.append(recorder.HEAD_FROM in said)
                await exchange.close()
                raise psycopg.OperationalError("the line went dead behind the COMMIT")
            return answers

        monkeypatch.setattr(Exchange, "heard", lose_the_answer)
        receipt = await do(ledger, slip, NoteSlip())
        assert lost == [ahead]
        assert not receipt.replayed
        assert receipt.version == 2
        assert len(await ledger.history(slip)) == 2


# --- ahead of what is not committed yet ---------------------------------------------------------------------------


async def test_batches_are_sent_behind_each_other_and_each_sees_what_the_one_before_it_writes(city: City):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        writer = ledger._writer
        async with held(city):
            answers = [writer.queued(noted(slip, expected=1 + i)) for i in range(FLIGHTS * LEAST)]
            await asyncio.sleep(0.2)
            assert len(writer._flights) == FLIGHTS
            assert not any(answer.done() for answer in answers)
        outcomes: list[Any] = await asyncio.gather(*answers)
        assert [outcome.rows[0].version for outcome in outcomes] == [*range(2, 2 + FLIGHTS * LEAST)]
        assert await ledger.verify_all() == []


async def test_where_somebody_else_wrote_before_them_flights_are_settled_again_under_the_lock(city: City):
    async with door(city) as ledger, door(city) as other:
        slip, theirs = (await opened(ledger)).stream, (await opened(other)).stream
        for _ in range(4):  # whoever writes alone takes to it
            await opened(ledger)
        assert (ledger._writer._misses, ledger._writer._hold) == (0, 0)
        other._writer._memory.forget()  # it takes the lock first
        async with held(city):
            before = asyncio.create_task(do(other, theirs, NoteSlip()))
            await asyncio.sleep(0.2)
            again = cid()
            answers = [ledger._writer.queued(noted(slip, expected=1, command_id=again))]
            answers += [ledger._writer.queued(noted(slip)) for _ in range(2 * LEAST)]
            await asyncio.sleep(0.2)
            session = ledger._writer._line.exchange
        receipt = await before
        outcomes: list[Any] = await asyncio.gather(*answers)
        assert all(isinstance(outcome, Written) for outcome in outcomes)
        assert outcomes[0].rows[0].position == receipt.first_position + 1
        assert ledger._writer._misses == 1
        assert ledger._writer._line.exchange is session  # a guess that failed costs no session
        assert isinstance(await ledger._writer.submit(noted(slip, command_id=again)), Before)
        for _ in range(4):
            await do(ledger, slip, NoteSlip())
        assert ledger._writer._misses == 0  # it flies again
        assert await ledger.verify_all() == []


async def test_a_session_that_ends_under_flights_loses_and_doubles_nothing(city: City):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        async with held(city):
            answers = [ledger._writer.queued(noted(slip)) for _ in range(3 * LEAST)]
            await asyncio.sleep(0.2)
            as_superuser(
                city,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'huiyin'"
                f" AND wait_event_type = 'Lock' AND query LIKE '%{city.name}%'",
            )
        outcomes = await asyncio.gather(*answers)
        assert all(isinstance(outcome, Written) for outcome in outcomes)
        assert [entry.version for entry in await ledger.history(slip)] == [*range(1, 2 + 3 * LEAST)]
        assert await ledger.verify_all() == []


async def test_a_writer_whose_loop_stops_under_flights_leaves_no_half_heard_session(city: City):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        async with held(city):
            answer = ledger._writer.queued(noted(slip, command_id="c1"))
            await asyncio.sleep(0.1)
            assert ledger._writer._flights
            task = ledger._writer._task
            assert task is not None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert answer.cancelled()
        outcome = await ledger._writer.submit(noted(slip, command_id="c1"))
        assert isinstance(outcome, Written | Before)  # what was sent may have been carried out
        assert len(await ledger.history(slip)) == 2


async def test_who_stops_listening_to_flights_leaves_them_to_the_lock(city: City):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        async with held(city):
            answers = [ledger._writer.queued(noted(slip)) for _ in range(2 * LEAST)]
            await asyncio.sleep(0.2)
            assert ledger._writer._landing is not None
            ledger._writer._landing.cancel()
            await asyncio.sleep(0.1)
        outcomes = await asyncio.gather(*answers)
        assert all(isinstance(outcome, Written | Before) for outcome in outcomes)  # what was sent may be carried out
        assert len(await ledger.history(slip)) == 1 + 2 * LEAST
        assert await ledger.verify_all() == []


@pytest.mark.parametrize("reader_first", [True, False])
async def test_a_record_that_one_of_a_batch_reads_and_another_writes_keeps_its_chain(city: City, reader_first: bool):
    async with door(city) as other:
        theirs = (await opened(other)).stream
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        position, now = await ledger.head()
        reads, writes = noted(slip, expected=1), noted(theirs, expected=1)
        reads.expected = {slip: 1, theirs: 1}
        reads.seen, reads.now = position, now
        batch = (reads, writes) if reader_first else (writes, reads)
        outcomes = await asyncio.gather(*(ledger.submit(one) for one in batch))
        assert [type(one) for one in outcomes] == [Written, Written if reader_first else Moved]
        assert await ledger.verify_all() == []


async def test_what_comes_after_flights_that_fall_is_written_after_them(city: City):
    async with door(city) as ledger, door(city) as other:
        slip, theirs = (await opened(ledger)).stream, (await opened(other)).stream
        for _ in range(4):
            await opened(ledger)
        other._writer._memory.forget()  # it takes the lock first
        last = shredding("slip:none")  # never sent ahead
        last.steps, last.expected = [*last.steps, *noted(slip).steps], {slip: 2}
        async with held(city):
            before = asyncio.create_task(do(other, theirs, NoteSlip()))
            await asyncio.sleep(0.2)
            answers = [ledger._writer.queued(noted(slip, expected=1))]
            await asyncio.sleep(0.1)
            assert ledger._writer._flights
            answers.append(ledger._writer.queued(last))
            await asyncio.sleep(0.1)
        await before
        outcomes = await asyncio.gather(*answers)
        assert [type(outcome) for outcome in outcomes] == [Written, Written]


@pytest.mark.parametrize("where", ["stream", "reason"])
async def test_what_cannot_be_sent_ahead_harms_no_other(city: City, where: str):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        bad = noted("slip:\ud800" if where == "stream" else slip)
        bad.reason = "\ud800" if where == "reason" else ""
        outcomes = await asyncio.gather(
            ledger.submit(noted(slip)), ledger.submit(bad), ledger.submit(noted(slip)), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [Written, UnicodeEncodeError, Written]
        assert len(await ledger.history(slip)) == 3


async def test_who_comes_too_late_brings_down_no_flight(city: City):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        _, then = await ledger.head()
        late = noted(slip)
        late.fence = then - timedelta(milliseconds=1)
        outcomes = await asyncio.gather(ledger.submit(late), ledger.submit(noted(slip)))
        assert [type(outcome) for outcome in outcomes] == [Late, Written]
        assert ledger._writer._misses == 0


async def test_a_second_session_that_cannot_be_had_holds_nobody_up(city: City):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        ledger._writer._memory.forget()
        await opened(ledger)
        ledger._writer._scout._dsn = make_conninfo(city.database.app, host="/nonexistent")
        async with asyncio.timeout(8):  # less than the patience of whoever writes
            assert isinstance(await ledger.submit(noted(slip)), Written)
        assert ledger._writer._hold > LEAST


async def turned_back(city: City, ledger: Ledger) -> None:
    """Lose the last event of a ledger, as a fail-over to a copy that lay behind does."""
    position, _ = await ledger.head()
    as_superuser(city, f"DELETE FROM {{}}.events WHERE position = {position}")
    as_superuser(city, f"DELETE FROM {{}}.commits WHERE first_position = {position}")
    as_superuser(city, f"UPDATE {{}}.head SET pos = {position - 1}")


@pytest.mark.parametrize("lock_first", [False, True])
async def test_a_head_that_was_turned_back_and_came_as_far_again_is_not_taken_for_the_same(
    city: City, lock_first: bool
):
    async with door(city) as ledger, door(city) as other:
        slip = (await opened(ledger)).stream
        await do(ledger, slip, NoteSlip())
        await turned_back(city, ledger)
        await do(other, slip, NoteSlip())
        if lock_first:
            ledger._writer._hold = 1
            await opened(ledger)
        assert isinstance(await ledger.submit(noted(slip, expected=2)), Written)
        assert await ledger.verify_all() == []


async def test_what_was_seen_of_events_that_a_fail_over_lost_no_longer_holds(city: City):
    async with door(city) as ledger:
        slip, theirs = (await opened(ledger)).stream, (await opened(ledger)).stream
        await do(ledger, theirs, NoteSlip())
        position, now = await ledger.head()
        await turned_back(city, ledger)
        for _ in range(3):  # the ledger is as long as before, and longer
            await opened(ledger)
        stale = noted(slip, expected=1)
        stale.expected = {slip: 1, theirs: 2}
        stale.seen, stale.now = position, now
        ahead = noted(slip, expected=1)
        ahead.expected = {slip: 1, theirs: 2}
        ahead.seen, ahead.now = position + 10, (await ledger.head())[1]
        ledger._writer._memory._young.last.pop(theirs, None)
        ledger._writer._memory._old.last.pop(theirs, None)
        ledger._writer._hold = 0
        outcomes = await asyncio.gather(*(ledger.submit(one) for one in (stale, ahead, noted(slip))))
        assert [type(outcome) for outcome in outcomes] == [Moved, Moved, Written]


@pytest.mark.parametrize("then", ["away", "clock ahead"])
async def test_a_flight_of_which_nobody_knows_whether_it_left_is_never_called_unwritten(
    city: City, monkeypatch: pytest.MonkeyPatch, then: str
):
    async with door(city, patience=2.0) as ledger:
        slip = (await opened(ledger)).stream
        send = Exchange.send

        def lose_the_session(exchange: Exchange) -> Sent:
            said = send(exchange)
            if recorder.HEAD_FROM in said:
                if then == "away":
                    ledger._writer._line._dsn = make_conninfo(city.database.app, host="/nonexistent")
                else:
                    as_superuser(city, "UPDATE {}.head SET recorded_at = recorded_at + interval '1 hour'")
                raise psycopg.OperationalError("the line went dead behind the flight")
            return said

        monkeypatch.setattr(Exchange, "send", lose_the_session)
        with pytest.raises(OutcomeUnknown):
            await do(ledger, slip, NoteSlip())


async def test_what_a_writer_remembers_holds_after_keys_were_destroyed_and_across_generations(
    city: City, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(memory, "MOST", 8)
    async with door(city) as ledger:
        slips = [(await opened(ledger)).stream for _ in range(3)]
        for round_ in range(8):
            proposals = [noted(slip, expected=1 + round_) for slip in slips] + [
                noted(f"slip:{cid()}") for _ in range(5)
            ]
            outcomes = await asyncio.gather(*(ledger.submit(proposal) for proposal in proposals))
            assert all(isinstance(outcome, Written) for outcome in outcomes)
            if round_ == 4:
                await ledger.submit(shredding(slips[0]))
                assert ledger._writer._memory.since == (await ledger.head())[0]
        assert ledger._writer._memory.since > 30
        assert ledger._writer._misses == 0
        assert await ledger.verify_all() == []


# --- what callers are told, and when -----------------------------------------------------------------------------


async def test_nobody_waits_longer_than_their_patience_wherever_they_stand(city: City):
    async with door(city, patience=1.0) as ledger:
        slip = (await opened(ledger)).stream
        async with held(city):
            same = [asyncio.create_task(do(ledger, slip, NoteSlip(), command_id=f"same{i}")) for i in range(4)]
            others = [asyncio.create_task(opened(ledger)) for _ in range(4)]
            async with asyncio.timeout(8):
                outcomes = await asyncio.gather(*same, *others, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {OutcomeUnknown, Busy, Unavailable}
        receipts = [await do(ledger, slip, NoteSlip(), command_id=f"same{i}") for i in range(4)]
        assert sorted(receipt.version for receipt in receipts) == [2, 3, 4, 5]  # a batch may have gone on meanwhile
        assert len(await ledger.history(slip)) == 5


async def test_what_was_recorded_is_never_called_unrecorded_because_it_cannot_be_shown(
    city: City, monkeypatch: pytest.MonkeyPatch
):
    async with door(city) as ledger:
        await ledger.execute(OpenSlip(title="x"), actor=AGENT, command_id="c1")

        async def away(*_: object) -> list[Any]:
            raise Unavailable

        monkeypatch.setattr(ledger._pages, "page", away)
        with pytest.raises(OutcomeUnknown):
            await ledger.execute(OpenSlip(title="x"), actor=AGENT, command_id="c1")


async def test_where_the_database_stays_away_all_who_wait_hear_so_together(city: City):
    async with door(city, patience=2.0) as ledger:
        slip = (await opened(ledger)).stream
        nowhere = make_conninfo(city.database.app, host="/nonexistent")
        for line in (ledger._writer._line, ledger._reader._line):
            line._dsn = nowhere
            await line.close()
        async with asyncio.timeout(10):
            callers = (do(ledger, slip, NoteSlip()) if i % 2 else opened(ledger) for i in range(200))
            outcomes = await asyncio.gather(*callers, return_exceptions=True)
            proposals = (ledger.submit(noted(slip)) for _ in range(1200))
            outcomes += await asyncio.gather(*proposals, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {Unavailable, Busy}
        for line in (ledger._writer._line, ledger._reader._line):
            line._dsn = city.database.app
        await do(ledger, slip, NoteSlip())
        assert len(await ledger.history(slip)) == 2


async def test_who_closes_and_gives_up_leaves_nothing_unwritten(city: City):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        async with held(city):
            answers = [ledger._writer.queued(noted(slip)) for _ in range(700)]  # two batches
            await asyncio.sleep(0.05)
            closing = asyncio.create_task(ledger.close())
            await asyncio.sleep(0.05)
            closing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await closing
        outcomes = await asyncio.gather(*answers)
        assert all(isinstance(outcome, Written) for outcome in outcomes)
    async with door(city) as again:
        assert len(await again.history(slip)) == 701


async def test_a_caller_who_left_a_batch_that_went_on_finds_their_command_carried_out(city: City):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        async with held(city):
            caller = asyncio.create_task(do(ledger, slip, NoteSlip(), command_id="c1"))
            await asyncio.sleep(0.1)
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
        receipt = await do(ledger, slip, NoteSlip(), command_id="c1")
        assert receipt.version == 2
        assert len(await ledger.history(slip)) == 2


async def test_a_caller_who_is_cancelled_just_as_they_are_told_harms_nobody():
    for outcome in (1, Busy()):
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        answer.cancel()  # as a signal does, between any two steps
        tell(answer, outcome)
        assert answer.cancelled()


# --- sessions ----------------------------------------------------------------------------------------------------


async def test_an_exchange_answers_statement_by_statement_and_names_the_one_that_failed(city: City):
    named = recorder.statements(
        "-- name: one\nSELECT $1::bigint, $2::text\n-- name: none\nSELECT 1 WHERE false\n-- name: bad\nSELECT 1 / $1::bigint"
        "\n-- name: wide\nSELECT repeat('x', 100000) FROM generate_series(1, 100)",
        city.name,
    )
    exchange = Exchange(await recorder.connect(city.database.app), named)
    for _ in range(2):  # prepared, then as prepared
        exchange.say("one", 7, "好")
        exchange.say("none")
        exchange.say("wide")
        exchange.say("one", -1, "")
        one, none, wide, other = await exchange.hear()
        assert (one, none, other) == ([(7, "好")], [], [(-1, "")])
        assert len(wide) == 100
    exchange.say("one", 1, "x" * 3_000_000)  # more than a socket takes at once
    assert len((await exchange.hear())[0][0][1]) == 3_000_000
    exchange.say("one", 1, "a")
    exchange.say("bad", 0)
    exchange.say("one", 2, "b")
    with pytest.raises(psycopg.errors.DivisionByZero):
        await exchange.hear()
    assert exchange.failed == "bad"
    await exchange.close()
    await exchange.close()
    assert exchange.gone


async def test_a_session_ended_by_the_server_says_so_and_the_next_question_gets_a_new_one(city: City):
    async with door(city) as ledger:
        await opened(ledger)
        as_superuser(
            city,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'huiyin'"
            f" AND query LIKE '%{city.name}%'",
        )
        await asyncio.sleep(0.05)
        assert isinstance(await opened(ledger), Receipt)
        assert (await ledger.head())[0] == 4
