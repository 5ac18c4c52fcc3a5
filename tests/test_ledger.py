"""The door: exactly once, in order, from what was read; numbers without gap; what was sealed stays sealed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from domain.context import Context, StreamKind
from domain.ledger import Ledger, Receipt
from domain.proposing import Kept, Memory
from domain.recorder import Want, may_be_owner
from domain.refusals import (
    ActorUnfit,
    Busy,
    CitizenNamed,
    ClockAhead,
    ClosedDoor,
    CodeExpected,
    CommandIdReused,
    CommandTooLarge,
    IdUnfit,
    InstantAhead,
    NotForThisStream,
    NotInitialised,
    NumberTooLarge,
    OccurredAtRequired,
    OutcomeUnknown,
    SealedFromOutside,
    StorageRefused,
    SubjectFromOutside,
    TextNotStorable,
    TimeGoesBack,
    Unavailable,
    UnknownStream,
    WrongKey,
    WrongState,
)
from domain.sealing import Keyring
from domain.settling import Draft, Proposal
from domain.terms import (
    Act,
    Actor,
    Applicant,
    ApplicantKind,
    Entry,
    Fact,
    Number,
    Origin,
    Period,
    Private,
    Role,
    Sealed,
    Shred,
    Step,
    To,
)
from tests.conftest import City, as_superuser

AGENT = Actor(user="a1", role=Role.AGENT, unit="hotline")


# --- a small world: a slip that is opened, noted on, and signed once ---------------------------------------------


class SlipOpened(Fact, frozen=True, tag="slip.opened"):
    title: str
    applicant: Applicant | None = None
    words: Private | None = None


class SlipNoted(Fact, frozen=True, tag="slip.noted"):
    words: Private | None = None


class SlipSigned(Fact, frozen=True, tag="slip.signed"):
    under: str
    late: bool = False


class OpenSlip(Act, frozen=True, tag="open_slip"):
    creates: ClassVar[str] = "slip"
    title: str
    applicant: Applicant | None = None
    words: Private | None = None
    count: int = 1


class NoteSlip(Act, frozen=True, tag="note_slip"):
    words: Private | None = None


class SignSlip(Act, frozen=True, tag="sign_slip"):
    due: datetime | None = None


class MergeSlip(Act, frozen=True, tag="merge_slip"):
    into: str

    def reads(self) -> tuple[str, ...]:
        return (self.into,)


class BurnSlip(Act, frozen=True, tag="burn_slip"):
    pass


class RuleSet(Fact, frozen=True, tag="institution.rule_set"):
    name: str


class SetRule(Act, frozen=True, tag="set_rule"):
    name: str


class Slip(msgspec.Struct, frozen=True):
    title: str
    notes: int = 0
    signed: bool = False


def evolve_slip(slip: Slip | None, entry: Entry) -> Slip | None:
    match entry.event:
        case SlipOpened(title=title):
            return Slip(title)
        case SlipNoted():
            assert slip is not None
            return msgspec.structs.replace(slip, notes=slip.notes + 1)
        case SlipSigned():
            assert slip is not None
            return msgspec.structs.replace(slip, signed=True)
        case _:
            return slip


def decide_slip(slip: Slip | None, act: Act, context: Context) -> Sequence[Step]:
    match act:
        case OpenSlip(title=title, applicant=applicant, words=words, count=count):
            opened = SlipOpened(title=title, applicant=applicant, words=words)
            return [opened, Number("slip", "CD", Period.DAY, count)]
        case NoteSlip(words=words) if slip is not None:
            return [SlipNoted(words=words)]
        case SignSlip(due=due) if slip is not None and not slip.signed:
            late = context.passed(due)
            return [SlipSigned(under=str(context.law), late=late)]
        case MergeSlip(into=into) if context.other(into) is not None:
            return [SlipNoted(), To(into, SlipNoted())]
        case BurnSlip():
            return [SlipNoted(), Shred(stream=context.stream)]
        case _:
            raise WrongState


SLIP = StreamKind(
    name="slip",
    events=(SlipOpened, SlipNoted, SlipSigned),
    commands=(OpenSlip, NoteSlip, SignSlip, MergeSlip, BurnSlip),
    evolve=evolve_slip,
    decide=decide_slip,
)
INSTITUTION = StreamKind(
    name="institution",
    events=(RuleSet,),
    commands=(SetRule,),
    evolve=lambda law, entry: entry.event.name,
    decide=lambda law, act, context: [RuleSet(name=act.name)] if isinstance(act, SetRule) else [],
)
KINDS = (SLIP, INSTITUTION)


def cid() -> str:
    return secrets.token_hex(8)


@contextlib.asynccontextmanager
async def door(city: City, **settings: Any) -> AsyncIterator[Ledger]:
    ledger = await Ledger.open(
        city.database.app, city.name, kinds=KINDS, keyring=city.keyring, entropy=secrets.token_bytes, **settings
    )
    async with ledger:
        yield ledger


async def opened(ledger: Ledger, title: str = "路灯不亮", **fields: Any) -> Receipt:
    return await ledger.execute(OpenSlip(title=title, **fields), actor=AGENT, command_id=cid())


async def do(ledger: Ledger, stream: str, act: Act, **said: Any) -> Receipt:
    return await ledger.execute(act, **{"stream": stream, "actor": AGENT, "command_id": cid()} | said)


# --- exactly once ------------------------------------------------------------------------------------------------


async def test_a_command_is_recorded_with_its_numbers_and_read_again_as_it_was(city: City):
    async with door(city) as ledger:
        receipt = await opened(ledger)
        assert receipt.stream.startswith("slip:")
        assert receipt.version == 1
        assert not receipt.replayed
        (series, given), *_ = receipt.numbers.items()
        assert given == (1,)
        assert series.startswith("slip/CD2")
        history = await ledger.history(receipt.stream)
        assert history == [receipt.events[0]]
        assert history[0].event == SlipOpened(title="路灯不亮")
        assert history[0].actor == AGENT
        assert await ledger.verify_all() == []


async def test_the_same_command_id_and_content_returns_the_receipt_it_was_given_first(city: City):
    async with door(city) as ledger:
        said = {"actor": AGENT, "command_id": "c1"}
        first = await ledger.execute(OpenSlip(title="噪声"), **said)
        again = await ledger.execute(OpenSlip(title="噪声"), **said)
        assert again == first._replace(replayed=True)
        assert (await ledger.head())[0] == len(first.events)


async def test_the_same_command_id_with_another_content_is_refused(city: City):
    async with door(city) as ledger:
        await ledger.execute(OpenSlip(title="噪声"), actor=AGENT, command_id="c1")
        with pytest.raises(CommandIdReused):
            await ledger.execute(OpenSlip(title="扬尘"), actor=AGENT, command_id="c1")


async def test_one_command_sent_many_times_at_once_is_carried_out_once(city: City):
    async with door(city) as ledger:
        said = {"actor": AGENT, "command_id": "c1"}
        receipts = await asyncio.gather(*(ledger.execute(OpenSlip(title="噪声"), **said) for _ in range(20)))
        assert len({(r.stream, r.first_position) for r in receipts}) == 1
        assert sum(not r.replayed for r in receipts) == 1


# --- who was first -----------------------------------------------------------------------------------------------


async def test_of_two_who_sign_one_slip_at_once_exactly_one_does_and_the_other_is_told(city: City):
    async with door(city) as one, door(city) as two:
        slip = (await opened(one)).stream
        outcomes = await asyncio.gather(
            *(do(ledger, slip, SignSlip()) for ledger in (one, two, one, two)), return_exceptions=True
        )
        assert sum(isinstance(o, Receipt) for o in outcomes) == 1
        assert sum(isinstance(o, WrongState) for o in outcomes) == 3
        assert len(await one.history(slip)) == 2


async def test_of_two_who_name_the_version_they_saw_the_second_is_told_that_it_moved(city: City):
    async with door(city) as one, door(city) as two:
        slip = (await opened(one)).stream
        outcomes = await asyncio.gather(
            *(do(ledger, slip, NoteSlip(), expected=1) for ledger in (one, two)), return_exceptions=True
        )
        assert sorted(type(o).__name__ for o in outcomes) == ["Receipt", "VersionMoved"]


async def test_notes_on_one_slip_from_several_processes_are_all_kept_in_one_order(city: City):
    async with door(city) as one, door(city) as two:
        slip = (await opened(one)).stream
        receipts = await asyncio.gather(*(do((one, two)[i % 2], slip, NoteSlip()) for i in range(40)))
        assert sorted(r.version for r in receipts) == list(range(2, 42))
        assert (await one.fold(slip)).notes == 40


async def test_a_moved_institution_is_decided_again_and_never_a_conflict_for_the_caller(city: City):
    async with door(city) as one, door(city) as two:
        slips = [(await opened(one)).stream for _ in range(10)]
        rule = do(two, "institution", SetRule(name="new"))
        receipts = await asyncio.gather(rule, *(do(one, slip, SignSlip(), expected=1) for slip in slips))
        for receipt in receipts[1:]:
            under_new = receipt.events[0].event.under == "new"
            assert under_new == (receipt.events[0].position > receipts[0].first_position)


async def test_a_command_that_read_another_slip_writes_to_it_only_as_it_read_it(city: City):
    async with door(city) as one, door(city) as two:
        into = (await opened(one)).stream
        slips = [(await opened(one)).stream for _ in range(6)]
        await asyncio.gather(*(do((one, two)[i % 2], slip, MergeSlip(into=into)) for i, slip in enumerate(slips)))
        assert (await one.fold(into)).notes == 6
        with pytest.raises(WrongState):
            await do(one, slips[0], MergeSlip(into="slip:nowhere"))


# --- positions, times, numbers -----------------------------------------------------------------------------------


async def test_positions_are_dense_and_times_never_go_back_whatever_is_refused(city: City):
    async with door(city) as one, door(city) as two:

        async def caller(i: int) -> None:
            slip = (await opened((one, two)[i % 2])).stream
            await asyncio.gather(*(do(ledger, slip, SignSlip()) for ledger in (one, two, one)), return_exceptions=True)

        await asyncio.gather(*(caller(i) for i in range(40)))
        entries = await one.read(0, 10_000)
        assert [e.position for e in entries] == list(range(1, 40 * 3 + 1))
        assert [e.recorded_at for e in entries] == sorted(e.recorded_at for e in entries)
        assert await one.head() == (120, entries[-1].recorded_at)
        assert await one.verify_all() == []


async def test_numbers_have_no_gap_and_no_double_under_64_callers(city: City):
    async with door(city) as one, door(city) as two:
        receipts = await asyncio.gather(*(opened((one, two)[i % 2]) for i in range(256)))
        by_series: dict[str, list[int]] = {}
        for receipt in receipts:
            for series, given in receipt.numbers.items():
                by_series.setdefault(series, []).extend(given)
        for given in by_series.values():
            assert sorted(given) == list(range(1, len(given) + 1))


async def test_a_reserved_block_is_that_many_entries_of_its_journal(city: City):
    async with door(city) as ledger:
        first, second = await opened(ledger, count=5), await opened(ledger)
        assert list(first.numbers.values()) == [(1, 2, 3, 4, 5)]
        assert list(second.numbers.values()) == [(6,)]


async def test_the_number_of_an_imported_slip_is_of_the_period_it_occurred_in(city: City):
    async with door(city) as ledger:
        occurred = datetime(2024, 12, 31, 16, 30, tzinfo=UTC)  # past midnight in the city
        receipt = await ledger.execute(
            OpenSlip(title="旧单"), actor=AGENT, command_id=cid(), origin=Origin.IMPORT, occurred_at=occurred
        )
        assert receipt.numbers == {"slip/CD20250101": (1,)}
        assert receipt.events[0].at == occurred
        assert receipt.events[0].recorded_at > occurred


# --- time --------------------------------------------------------------------------------------------------------


async def test_a_decision_whose_turn_comes_after_its_fence_is_decided_again_with_the_locks_time(city: City):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        # Somebody holds the head while the due instant passes: decided before it, written after it.
        async with await psycopg.AsyncConnection.connect(city.database.superuser) as holder:
            row = await holder.execute(f'SELECT clock_timestamp() FROM "{city.name}".head FOR UPDATE'.encode())
            due = (await row.fetchall())[0][0] + timedelta(milliseconds=400)
            signing = asyncio.create_task(do(ledger, slip, SignSlip(due=due)))
            await asyncio.sleep(0.8)
        receipt = await signing
        assert receipt.recorded_at > due
        assert receipt.events[0].event.late


async def test_a_decision_in_time_is_not_late(city: City):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        receipt = await do(ledger, slip, SignSlip(due=datetime.now(UTC) + timedelta(hours=1)))
        assert not receipt.events[0].event.late


async def test_a_backfilled_decision_is_judged_by_when_it_occurred(city: City):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        past = datetime(2025, 6, 16, 9, tzinfo=UTC)
        receipt = await do(
            ledger, slip, SignSlip(due=past + timedelta(hours=1)), origin=Origin.BACKFILL, occurred_at=past
        )
        assert not receipt.events[0].event.late
        assert receipt.events[0].at == past


async def test_what_is_not_live_needs_the_instant_it_occurred_at(city: City):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        with pytest.raises(OccurredAtRequired):
            await do(ledger, slip, NoteSlip(), origin=Origin.BACKFILL)


async def test_imports_into_one_stream_never_go_back_in_time(city: City):
    async with door(city) as ledger:
        later, earlier = datetime(2025, 6, 16, tzinfo=UTC), datetime(2025, 6, 15, tzinfo=UTC)
        opening = {"stream": "slip:old", "actor": AGENT}
        facts = [SlipOpened(title="旧单"), SlipNoted()]
        await ledger.record(facts, **opening, command_id="i1", occurred_at=[earlier, later])
        with pytest.raises(TimeGoesBack):
            await ledger.record([SlipNoted()], **opening, command_id="i2", occurred_at=earlier)
        with pytest.raises(TimeGoesBack):
            await ledger.record([SlipNoted()] * 2, **opening, command_id="i3", occurred_at=[later, earlier])
        assert [entry.at for entry in await ledger.history("slip:old")] == [earlier, later]


async def test_what_has_not_happened_yet_is_not_backfilled(city: City):
    async with door(city) as ledger:
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        slip = (await opened(ledger)).stream
        with pytest.raises(InstantAhead):
            await do(ledger, slip, NoteSlip(), origin=Origin.BACKFILL, occurred_at=tomorrow)


async def test_recorded_facts_are_written_once_and_ask_no_rule(city: City):
    async with door(city) as ledger:
        said = {
            "stream": "slip:old",
            "actor": AGENT,
            "command_id": "i1",
            "occurred_at": datetime(2024, 1, 1, tzinfo=UTC),
        }
        first = await ledger.record([SlipSigned(under="1999"), Number("slip")], **said)
        again = await ledger.record([SlipSigned(under="1999"), Number("slip")], **said)
        assert again == first._replace(replayed=True)
        assert first.numbers == {"slip/2024": (1,)}
        assert first.events[0].origin is Origin.IMPORT


async def test_a_head_that_lies_ahead_of_the_databases_clock_stops_writes_and_says_so(city: City):
    async with door(city) as ledger:
        await opened(ledger)
        as_superuser(city, "UPDATE {}.head SET recorded_at = now() + interval '7 seconds'")
        with pytest.raises(ClockAhead):
            await opened(ledger)
        as_superuser(city, "UPDATE {}.head SET recorded_at = now() + interval '3 seconds'")
        ahead = await opened(ledger)  # a little ahead: time stands still until the clock has come up
        assert (await opened(ledger)).recorded_at == ahead.recorded_at


async def test_what_was_known_at_an_instant_can_be_asked(city: City):
    async with door(city) as ledger:
        first = await opened(ledger)
        await asyncio.sleep(0.01)
        await do(ledger, first.stream, NoteSlip())
        assert len(await ledger.history(first.stream)) == 2
        assert await ledger.history(first.stream, recorded_by=first.recorded_at) == [first.events[0]]


# --- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("title", ["a\x00b", "半个\ud83d"])
async def test_text_that_cannot_be_stored_is_refused_and_nothing_is_written(city: City, title: str):
    async with door(city) as ledger:
        with pytest.raises(TextNotStorable):
            await opened(ledger, title=title)
        with pytest.raises(TextNotStorable):
            await opened(ledger, words=title)
        with pytest.raises(TextNotStorable):
            await ledger.execute(OpenSlip(title="x"), actor=AGENT, command_id=f"c{title}")
        assert (await ledger.head())[0] == 0


async def test_a_backslash_before_u0000_is_only_text(city: City):
    async with door(city) as ledger:
        receipt = await opened(ledger, title="a\\u0000b")
        assert (await ledger.history(receipt.stream))[0].event.title == "a\\u0000b"


async def test_what_only_the_door_may_give_is_not_taken_from_outside(city: City):
    async with door(city) as ledger:
        with pytest.raises(SealedFromOutside):
            await opened(ledger, words=Sealed(key="k", box="b"))
        person = Applicant(kind=ApplicantKind.PERSON, name="张三", subject=UUID(int=1))
        with pytest.raises(SubjectFromOutside):
            await opened(ledger, applicant=person)
        assert (await ledger.head())[0] == 0


async def test_a_command_for_another_kind_of_stream_is_refused(city: City):
    async with door(city) as ledger:
        for stream in ("institution", "nothing:1", "slip:a b", "", "slip:\n", "slip"):
            with pytest.raises((NotForThisStream, WrongState)):
                await do(ledger, stream, NoteSlip())
        with pytest.raises(NotForThisStream):
            await ledger.execute(NoteSlip(), actor=AGENT, command_id=cid())


@pytest.mark.parametrize(
    "stream", ["order:\ud800", "slip:\x00", "order:张三13900001111", "order:", "slip:" + "x" * 201, "?"]
)
async def test_a_name_that_no_stream_can_have_is_refused_wherever_it_is_read(city: City, stream: str):
    async with door(city) as ledger:
        for reading in (ledger.history, ledger.fold, ledger.verify_stream):
            with pytest.raises(UnknownStream):
                await reading(stream)
        slip = (await opened(ledger)).stream
        with pytest.raises((UnknownStream, TextNotStorable)):
            await do(ledger, slip, MergeSlip(into=stream))


@pytest.mark.parametrize("stream", ["order:\ud800", "order:\x00"])
async def test_a_read_that_cannot_be_answered_fails_alone(city: City, stream: str):
    async with door(city) as ledger:
        bad = ledger._reader.read(Want(((stream, 0),)))
        outcomes = await asyncio.gather(
            *(opened(ledger) for _ in range(10)), bad, *(opened(ledger) for _ in range(10)), return_exceptions=True
        )
        assert [i for i, outcome in enumerate(outcomes) if not isinstance(outcome, Receipt)] == [10]
        assert isinstance(outcomes[10], Exception)
        await opened(ledger)


@pytest.mark.parametrize("command_id", [base64.b64encode(secrets.token_bytes(6000)).decode(), "half a pair \ud800"])
async def test_a_proposal_that_cannot_be_stored_is_refused_alone_and_the_others_are_told_what_they_came_to(
    city: City, command_id: str
):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        bad = Proposal(
            command_id=command_id,
            digest=bytes(32),
            stream=slip,
            now=await ledger.now(),
            actor="{}",
            origin="live",
            steps=[Draft(slip, "slip.noted", b"{}")],
        )
        outcomes = await asyncio.gather(
            *(opened(ledger) for _ in range(10)),
            ledger.submit(bad),
            *(opened(ledger) for _ in range(10)),
            return_exceptions=True,
        )
        assert [i for i, outcome in enumerate(outcomes) if not isinstance(outcome, Receipt)] == [10]
        assert isinstance(outcomes[10], StorageRefused | UnicodeEncodeError)
        assert not any(outcome.replayed for outcome in outcomes if isinstance(outcome, Receipt))
        assert len(await ledger.history(slip)) == 1
        assert await ledger.verify_all() == []


ORDER = StreamKind(name="order", events=(), commands=SLIP.commands, evolve=evolve_slip, decide=decide_slip)


@pytest.mark.parametrize(
    "stream", ["order:not-a-uuid", "order:张三13900001111", "order", "order:0197-1", "institution:1", "nothing:1"]
)
async def test_a_record_bears_the_name_of_its_kind_or_is_not_written(city: City, stream: str):
    async with door(city) as ledger:
        ledger._proposer.kinds["order"] = ORDER
        title = OpenSlip(title="x")
        with pytest.raises(NotForThisStream):
            await do(ledger, stream, title)
        past = {"actor": AGENT, "command_id": cid(), "occurred_at": datetime(2024, 1, 1, tzinfo=UTC)}
        with pytest.raises(NotForThisStream):
            await ledger.record([SlipNoted()], stream=stream, **past)
        with pytest.raises(NotForThisStream):
            await ledger.record([To(stream, SlipNoted())], stream="slip:old", **past)
        assert (await ledger.head())[0] == 0
        await do(ledger, f"order:{UUID(int=7)}", title)


@pytest.mark.parametrize("name", ["command_id", "correlation_id", "causation_id", "trace_id"])
@pytest.mark.parametrize("text", ["x" * 201, "a\nb", "\u202e", "\t"])
async def test_an_id_is_a_bounded_line_of_visible_characters(city: City, name: str, text: str):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        with pytest.raises(IdUnfit):
            await do(ledger, slip, NoteSlip(), **{name: text})
        if name == "command_id":
            with pytest.raises(IdUnfit):
                await do(ledger, slip, NoteSlip(), command_id="")


@pytest.mark.parametrize("text", ["当事人张三要求", "a b", "-x", "x" * 65, "13800001111\n"])
async def test_a_reason_is_a_code_and_no_place_for_words(city: City, text: str):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        for name in ("reason", "on_behalf_of"):
            with pytest.raises(CodeExpected):
                await do(ledger, slip, NoteSlip(), **{name: text})
        await do(ledger, slip, NoteSlip(), reason="A-20:outage.1", on_behalf_of="D-B1")


async def test_a_citizen_acts_under_no_name_of_their_own(city: City):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        with pytest.raises(CitizenNamed):
            await do(ledger, slip, NoteSlip(), actor=Actor(user="13800001111", role=Role.CITIZEN))
        for user, unit in (("a b", ""), ("x" * 65, ""), ("", ""), ("a1", "\u202e")):
            with pytest.raises(ActorUnfit):
                await do(ledger, slip, NoteSlip(), actor=Actor(user=user, role=Role.AGENT, unit=unit))
        await do(ledger, slip, NoteSlip(), actor=Actor(user="citizen", role=Role.CITIZEN))


async def test_a_command_too_large_or_with_a_number_too_large_is_refused(city: City):
    async with door(city) as ledger:
        with pytest.raises(CommandTooLarge):
            await opened(ledger, words="长" * (1 << 20))
        for count in (1 << 63, 1 << 64, -(1 << 63) - 1, 1 << 200):
            with pytest.raises(NumberTooLarge):
                await opened(ledger, count=count)
        await opened(ledger, title="9" * 40)


async def test_a_city_without_a_ledger_says_so(city: City):
    with pytest.raises(NotInitialised):
        async with door(city._replace(name="nowhere")):
            pass


async def test_the_wrong_master_key_is_noticed_at_once(city: City):
    with pytest.raises(WrongKey):
        async with door(city._replace(keyring=Keyring(bytes(32)))):
            pass


async def test_a_dry_run_says_what_would_happen_and_writes_nothing(city: City):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        before = await ledger.head()
        supposed = await do(ledger, slip, SignSlip(), dry_run=True)
        assert supposed.version == 2
        assert [(e.version, e.position) for e in supposed.events] == [(2, 0)]
        assert await ledger.head() == before
        with pytest.raises(WrongState):
            await do(ledger, "slip:none", SignSlip(), dry_run=True)


# --- faults ------------------------------------------------------------------------------------------------------


async def test_killing_the_ledgers_sessions_under_load_loses_nothing_and_doubles_nothing(city: City):
    async with door(city) as ledger:
        receipts: list[Receipt] = []

        async def caller() -> None:
            receipts.extend([await opened(ledger) for _ in range(40)])

        async def killer() -> None:
            async with await psycopg.AsyncConnection.connect(city.database.superuser, autocommit=True) as connection:
                for _ in range(20):
                    await asyncio.sleep(0.03)
                    await connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE application_name = 'huiyin' AND query LIKE %s",
                        [f"%{city.name}%"],
                    )

        killing = asyncio.create_task(killer())
        await asyncio.gather(*(caller() for _ in range(16)))
        await killing
        assert len({r.stream for r in receipts}) == 16 * 40
        assert await ledger.head() == (2 * 16 * 40, max(r.recorded_at for r in receipts))
        assert sorted(n for r in receipts for given in r.numbers.values() for n in given) == list(range(1, 641))
        assert await ledger.verify_all() == []


async def test_a_caller_who_gives_up_harms_nobody_else(city: City):
    async with door(city) as ledger:
        callers = [asyncio.create_task(opened(ledger)) for _ in range(60)]
        await asyncio.sleep(0.005)
        for caller in callers[::3]:
            caller.cancel()
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
        assert all(isinstance(o, Receipt | asyncio.CancelledError) for o in outcomes)
        assert sum(isinstance(o, Receipt) for o in outcomes) >= 40
        await opened(ledger)
        assert await ledger.verify_all() == []


async def test_more_callers_than_there_is_room_for_are_told_so_at_once(city: City):
    async with door(city) as ledger:
        ledger._writer._room = 10
        outcomes = await asyncio.gather(*(opened(ledger) for _ in range(100)), return_exceptions=True)
        assert {type(o) for o in outcomes} == {Receipt, Busy}
        assert (await ledger.head())[0] == 2 * sum(isinstance(o, Receipt) for o in outcomes)


async def test_closing_the_door_writes_what_waits_and_takes_no_more(city: City):
    async with door(city) as ledger:
        callers = [asyncio.create_task(opened(ledger)) for _ in range(300)]
        await asyncio.wait(callers, return_when=asyncio.FIRST_COMPLETED)
        await ledger.close()
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
        written = sum(isinstance(o, Receipt) for o in outcomes)
        assert {type(o) for o in outcomes} <= {Receipt, ClosedDoor}
        assert written > 0
    async with door(city) as again:
        assert (await again.head())[0] == 2 * written


async def test_an_outcome_that_nobody_heard_of_is_unknown_and_the_same_id_asks_for_it(city: City):
    async with door(city, patience=0.6) as ledger:
        slip = (await opened(ledger)).stream
        said = {"stream": slip, "actor": AGENT, "command_id": "c1"}
        async with await psycopg.AsyncConnection.connect(city.database.superuser) as holder:
            await holder.execute(f'SELECT 1 FROM "{city.name}".head FOR UPDATE'.encode())
            with pytest.raises((OutcomeUnknown, Unavailable)):
                await ledger.execute(NoteSlip(), **said)
        receipt = await ledger.execute(NoteSlip(), **said)
        assert receipt.version == 2
        assert len(await ledger.history(slip)) == 2


async def test_what_lies_beyond_the_head_is_found(city: City):
    async with door(city) as ledger:
        await opened(ledger)
        end, _ = await ledger.head()
        as_superuser(city, "UPDATE {}.head SET pos = pos - 1")
        assert [(f.position, f.what) for f in await ledger.verify_all()] == [(end, "it lies beyond the head")]
        as_superuser(city, "UPDATE {}.head SET pos = pos + 1")
        assert await ledger.verify_all() == []


async def test_a_login_of_the_applications_own_cannot_undo_what_it_is_refused(city: City):
    login = f"service_{city.name}"
    for statement in (
        f"CREATE ROLE {login} LOGIN PASSWORD 'x' NOSUPERUSER NOCREATEROLE NOINHERIT",
        f"GRANT huiyin_app TO {login}",
        f"ALTER ROLE {login} SET role = 'huiyin_app'",
    ):
        as_superuser(city, statement)
    own = make_conninfo(city.database.superuser, user=login, password="x")
    assert await may_be_owner(city.database.superuser)
    assert not await may_be_owner(own)
    async with door(city._replace(database=city.database._replace(app=own))) as ledger:
        await opened(ledger)
    async with await psycopg.AsyncConnection.connect(own, autocommit=True) as connection:
        for statement in ("SET ROLE huiyin_owner", "SET ROLE postgres", f'DELETE FROM "{city.name}".events'):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(statement.encode())


async def test_two_cities_of_one_process_know_nothing_of_each_other(city: City, other_city: City):
    async with door(city) as one, door(other_city) as two:
        await asyncio.gather(*(opened(ledger) for ledger in (one, two) for _ in range(20)))
        assert (await one.head())[0] == (await two.head())[0] == 40
        slip = (await opened(one)).stream
        assert await two.history(slip) == []
        assert await two.verify_all() == []


# --- what the door remembers -------------------------------------------------------------------------------------


async def test_a_stream_that_was_read_is_read_on_from_where_it_stood_whoever_wrote_since(city: City):
    async with door(city) as one, door(city) as two:
        asked: list[Want] = []
        read = one._reader.read

        async def noted(want: Want) -> Any:
            asked.append(want)
            return await read(want)

        one._reader.read = noted
        slip = (await opened(one)).stream
        for ledger in (one, two, two, one, one):
            await do(ledger, slip, NoteSlip())
        assert [dict(want.streams)[slip] for want in asked if slip in dict(want.streams)] == [0, 1, 4]
        assert (await one.fold(slip)).notes == 5
        assert one._proposer._memory.of([slip])[slip].state == Slip("路灯不亮", notes=4)


async def test_a_ledger_that_goes_back_is_read_anew_and_the_command_carried_out_on_what_is_there(city: City):
    async with door(city) as ledger:
        slip = (await opened(ledger)).stream
        await ledger.execute(SetRule(name="old"), stream="institution", actor=AGENT, command_id=cid())
        await ledger.execute(SetRule(name="lost"), stream="institution", actor=AGENT, command_id=cid())
        await do(ledger, slip, NoteSlip())
        await do(ledger, slip, NoteSlip())
        # A copy of yesterday takes the place of today: its last three commits never were.
        as_superuser(city, "DELETE FROM {}.events WHERE position > 3")
        as_superuser(city, "DELETE FROM {}.commits WHERE first_position > 3")
        as_superuser(city, "UPDATE {}.head SET pos = 3")
        receipt = await do(ledger, slip, SignSlip())
        assert (receipt.version, receipt.first_position) == (2, 4)
        assert receipt.events[0].event.under == "old"
        assert await ledger.verify_all() == []


def test_what_is_remembered_is_bounded_and_the_longest_unasked_is_forgotten_first():
    memory = Memory(most=10)
    entry: Any = object()
    for number in range(8):
        memory.keep(f"slip:{number}", Kept(3, number, None, (entry,) * 3))
        memory.of(["slip:0"])
    assert set(memory.of(f"slip:{number}" for number in range(8))) == {"slip:0", "slip:6", "slip:7"}
    memory.keep("slip:7", Kept(2, "older", None, (entry,) * 2))
    assert memory.of(["slip:7"])["slip:7"].state == 7
    memory.keep("slip:9", Kept(99, 9, None, (entry,) * 99))  # larger than all there is room for
    assert memory.of(f"slip:{number}" for number in range(10)) == {}
    memory.keep("slip:1", Kept(3, 1, None, (entry,) * 3))
    assert set(memory.of(["slip:1"])) == {"slip:1"}
