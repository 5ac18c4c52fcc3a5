"""The recorder: the library's own suite, append-only by role, and the headers that every leaf is made of."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import msgspec
import psycopg
import pytest
from eventsourcing.application import AggregateNotFoundError
from eventsourcing.persistence import IntegrityError, StoredEvent
from eventsourcing.tests.persistence import ApplicationRecorderTestCase

from domain import leaves, recorder
from domain.blocking import BlockingLedger, LedgerRecorder
from domain.leaves import CommitRow, EventRow, Imprint
from domain.ledger import create
from domain.refusals import CommandIdReused, LedgerExists
from tests.conftest import City, as_superuser, new_city
from tests.test_ledger import AGENT, KINDS, NoteSlip, OpenSlip, SignSlip, cid, do, door, opened

GOLDEN = Path(__file__).parent / "golden"


# --- the library's suite -----------------------------------------------------------------------------------------


@pytest.fixture
def a_city_each(postgres: Any) -> None:
    """Let the suite, which knows no fixtures, make a fresh city for each of its recorders."""
    TestTheLibrarysOwnRecorderSuite.database = postgres


@pytest.mark.usefixtures("a_city_each")
class TestTheLibrarysOwnRecorderSuite(ApplicationRecorderTestCase[LedgerRecorder]):
    database: ClassVar[Any]
    EXPECT_CONTIGUOUS_NOTIFICATION_IDS = True

    def new_originator_id(self) -> str:
        return f"slip:{uuid4()}"

    def create_recorder(self) -> LedgerRecorder:
        city = new_city(self.database)
        blocking = BlockingLedger.open(
            city.database.app, city.name, kinds=KINDS, keyring=city.keyring, entropy=secrets.token_bytes
        )
        self.addCleanup(blocking.close)
        return LedgerRecorder(blocking)

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


def test_the_same_events_under_the_same_command_id_are_recorded_once(city: City):
    with BlockingLedger.open(
        city.database.app, city.name, kinds=KINDS, keyring=city.keyring, entropy=secrets.token_bytes
    ) as blocking:
        ours = LedgerRecorder(blocking)
        events = [StoredEvent("slip:1", version, "slip.noted", b'{"type":"slip.noted"}') for version in (1, 2)]
        assert ours.insert_events(events, command_id="c1") == [1, 2]
        assert ours.insert_events(events, command_id="c1") == [1, 2]
        with pytest.raises(CommandIdReused):
            ours.insert_events(events[:1], command_id="c1")
        with pytest.raises(IntegrityError):
            ours.insert_events(events, command_id="c2")
        assert ours.max_notification_id() == 2


def test_the_librarys_repository_folds_what_the_door_wrote(city: City):
    with BlockingLedger.open(
        city.database.app, city.name, kinds=KINDS, keyring=city.keyring, entropy=secrets.token_bytes
    ) as blocking:
        slip = blocking.execute(OpenSlip(title="井盖"), actor=AGENT, command_id=cid()).stream
        blocking.execute(NoteSlip(), stream=slip, actor=AGENT, command_id=cid())
        blocking.execute(SignSlip(), stream=slip, actor=AGENT, command_id=cid())
        with blocking.application() as application:
            assert application.get(slip) == blocking.fold(slip)
            assert application.get(slip).signed
            assert not application.get(slip, version=2).signed
            with pytest.raises(AggregateNotFoundError):
                application.get("slip:nowhere")
            assert [n.id for n in application.notification_log.select(1, 10)] == [1, 2, 3, 4]


# --- append-only -------------------------------------------------------------------------------------------------

FORBIDDEN = [
    "UPDATE {}.events SET state = 'x'",
    "DELETE FROM {}.events",
    "TRUNCATE {}.events",
    "UPDATE {}.commits SET actor = 'x'",
    "DELETE FROM {}.commits",
    "TRUNCATE {}.commits",
    "DELETE FROM {}.head",
    "INSERT INTO {}.head (one, pos, recorded_at) VALUES (false, 0, now())",
    "UPDATE {}.ledger SET id = 'other'",
    "UPDATE {}.keys SET wrapped = ''",
    "TRUNCATE {}.keys",
    "DROP TABLE {}.events",
    "ALTER TABLE {}.events DISABLE TRIGGER ALL",
    "CREATE TABLE {}.mine (x int)",
]


def refuse_all(city: City) -> None:
    for statement in FORBIDDEN:
        with psycopg.connect(city.database.app) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.replace("{}", f'"{city.name}"').encode())


async def test_the_applications_role_cannot_change_or_remove_what_was_written(city: City):
    async with door(city) as ledger:
        await opened(ledger)
    refuse_all(city)


async def test_the_applications_role_cannot_either_on_postgresql_15(city_15: City):
    async with door(city_15) as ledger:
        slip = (await opened(ledger, words="井盖丢失")).stream
        await do(ledger, slip, NoteSlip(words="已报修"))
        assert await ledger.verify_all() == []
    refuse_all(city_15)


async def test_the_application_owns_its_projections_and_nothing_else(city: City):
    with psycopg.connect(city.database.app, autocommit=True) as connection:
        connection.execute(f'CREATE TABLE "{city.name}_projections".seen (x int)'.encode())
        connection.execute(f'DROP TABLE "{city.name}_projections".seen'.encode())
    with psycopg.connect(city.database.superuser) as connection:
        owned = connection.execute(
            "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND pg_get_userbyid(c.relowner) <> 'huiyin_owner'",
            [city.name],
        )
        assert owned.fetchone() == (0,)


async def test_a_city_is_created_once(city: City):
    with pytest.raises(LedgerExists):
        await create(
            city.database.owner,
            city.name,
            ledger_id="again",
            hash_algorithm="sha256",
            keyring=city.keyring,
            entropy=secrets.token_bytes,
        )


# --- statements --------------------------------------------------------------------------------------------------


def test_statements_are_named_and_carry_the_quoted_schemas():
    named = recorder.statements("-- name: a\nSELECT 1 FROM city.t\n-- name: b\nSELECT x FROM projections.t;\n", "cd")
    assert named == {"a": b'SELECT 1 FROM "cd".t', "b": b'SELECT x FROM "cd_projections".t;'}


@pytest.mark.parametrize("name", ["", 'x"; DROP', "CD", "1st", "a" * 60])
def test_a_citys_name_that_is_no_plain_word_is_refused(name: str):
    with pytest.raises(ValueError, match="name"):
        recorder.statements("-- name: a\nSELECT 1", name)


def test_two_statements_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two statements"):
        recorder.statements("-- name: a\nSELECT 1\n-- name: a\nSELECT 2", "cd")


@pytest.mark.parametrize(
    ("make", "values", "kind"),
    [
        (recorder.texts, ["a", "好", "", 'x"{},\\'], "text[]"),
        (recorder.texts, [], "text[]"),
        (recorder.byteas, [b"", b"\x00\xff"], "bytea[]"),
        (recorder.ints, [0, -1, 1 << 60], "bigint[]"),
        (recorder.instants, [None, datetime(2025, 6, 16, 1, 2, 3, 4000, tzinfo=UTC)], "timestamptz[]"),
        (recorder.instants, [None, None], "timestamptz[]"),
        (recorder.instants, [datetime(1999, 1, 1, tzinfo=timezone(timedelta(hours=8)))], "timestamptz[]"),
    ],
)
def test_an_array_that_is_packed_here_is_the_array_postgresql_reads(postgres: Any, make: Any, values: Any, kind: str):
    async def back() -> Any:
        async with await recorder.connect(postgres.app) as connection:
            cursor = await connection.execute(f"SELECT $1::{kind}".encode(), [make(values)])
            return (await cursor.fetchall())[0][0]

    assert asyncio.run(back()) == values


# --- leaves ------------------------------------------------------------------------------------------------------

EVENT = EventRow(
    position=42,
    stream="order:01976f5c-0d2b-7c3e-8a51-3f6f1f0d9b10",
    version=3,
    topic="order.extension_approved",
    state='{"type":"order.extension_approved","days":5,"reason":"需协调产权单位"}'.encode(),
    salt=bytes(range(16)),
    leaf=b"",
    commit=41,
    recorded_at=datetime(2025, 6, 16, 1, 2, 3, 456000, tzinfo=UTC),
    occurred_at=None,
)
COMMIT = CommitRow(
    first_position=41,
    n=2,
    command_id="web-7f3a",
    digest=bytes(range(32)),
    recorded_at=datetime(2025, 6, 16, 1, 2, 3, 456000, tzinfo=UTC),
    occurred_at=None,
    origin="live",
    actor='{"role":"mgmt_unit","unit":"D","user":"李敏"}',
    on_behalf_of="",
    reason="",
    numbers='{"order/CD20250616":[17]}',
    correlation_id="",
    causation_id="",
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    salt=bytes(range(16, 32)),
)
LATER = {"occurred_at": datetime(2025, 6, 14, 23, 59, 59, 999000, tzinfo=timezone(timedelta(hours=8)))}
SAMPLES = {
    "headers-live": (EVENT, COMMIT, leaves.NOTHING),
    "headers-import": (EVENT._replace(**LATER), COMMIT._replace(**LATER, origin="import"), bytes(range(32, 64))),
}


def sample(name: str, algorithm: str) -> str:
    """Everything a leaf is made from, in the order it is made."""
    event, commit, previous = SAMPLES[name]
    imprint = Imprint("8d1f6a52-chengdu", algorithm)
    record = leaves.salted_record(imprint, commit)
    text = leaves.header(
        imprint,
        event.stream,
        event.version,
        event.topic,
        event.recorded_at,
        event.occurred_at,
        previous,
        record,
        leaves.digest(algorithm, event.salt + event.state),
    )
    assert leaves.leaf(imprint, text) == leaves.leaf_of(imprint, event, record, previous)
    return (
        f"# commit record\n{leaves.commit_record(commit).decode()}\n"
        f"# header\n{text}# leaf\n{leaves.leaf(imprint, text).hex()}\n"
    )


@pytest.mark.parametrize("algorithm", ["sha256", "sm3"])
@pytest.mark.parametrize("name", list(SAMPLES))
def test_a_header_and_its_leaf_are_what_they_were_from_the_first_day(name: str, algorithm: str):
    frozen = GOLDEN / f"{name}-{algorithm}.txt"
    assert sample(name, algorithm) == frozen.read_text(encoding="utf-8")


def test_a_column_of_later_years_that_is_empty_changes_no_old_record():
    assert b"reason" not in leaves.commit_record(COMMIT)
    assert b"reason" in leaves.commit_record(COMMIT._replace(reason="duplicate"))


def test_a_commit_record_with_every_member_said_is_canonical():
    words = dict.fromkeys(("on_behalf_of", "reason", "correlation_id", "causation_id", "trace_id"), 'ü"好\u007f')
    record = leaves.commit_record(COMMIT._replace(**words, numbers='{"order/CD":[1]}', occurred_at=COMMIT.recorded_at))
    assert len(msgspec.json.decode(record)) == 14
    assert record == leaves.canonical(msgspec.json.decode(record))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {}.events SET state = replace(state, '井盖', '路灯') WHERE position = 1",
        "UPDATE {}.events SET topic = 'slip.noted' WHERE position = 1",
        "UPDATE {}.events SET recorded_at = recorded_at - interval '1 day' WHERE position = 3",
        "UPDATE {}.events SET occurred_at = recorded_at WHERE position = 3",
        "UPDATE {}.events SET leaf = sha256(leaf) WHERE position = 3",
        "UPDATE {}.events SET salt = substr(sha256(salt), 1, 16) WHERE position = 3",
        "UPDATE {}.events SET originator_version = 9 WHERE position = 3",
        "UPDATE {}.commits SET actor = replace(actor, 'a1', 'a2') WHERE first_position = 3",
        "UPDATE {}.commits SET reason = 'other' WHERE first_position = 3",
        "UPDATE {}.commits SET numbers = replace(numbers, '[1]', '[2]') WHERE first_position = 1",
        "DELETE FROM {}.events WHERE position = 3",
    ],
)
async def test_whatever_is_changed_behind_the_ledgers_back_is_found(city: City, change: str):
    async with door(city) as ledger:
        slip = (await opened(ledger, title="井盖")).stream
        await do(ledger, slip, NoteSlip())
        await do(ledger, slip, SignSlip())
        assert await ledger.verify_all() == []
        assert await ledger.verify_stream(slip) == []
        as_superuser(city, change)
        assert await ledger.verify_all() != []
        assert await ledger.verify_stream(slip) != []


async def test_a_ledger_of_sm3_proves_itself_with_sm3(city_of_sm3: City):
    async with door(city_of_sm3) as ledger:
        await opened(ledger)
        assert ledger.imprint.hash == "sm3"
        assert await ledger.verify_all() == []
        [one, *_] = await ledger._pages.witnesses_of((await ledger.read(0, 1))[0].stream)
        other = Imprint(ledger.imprint.ledger_id, "sha256")
        assert (
            leaves.leaf_of(other, one.event, leaves.salted_record(other, one.commit), leaves.NOTHING) != one.event.leaf
        )
