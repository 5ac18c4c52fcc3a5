"""The tree over a ledger and its signed heads: grown, signed once, kept outside, and whatever contradicts them found."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import secrets
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain import notes, recorder, tree
from domain.leaves import Finding
from domain.ledger import Ledger
from domain.notes import Note, Policy
from domain.refusals import NotInitialised, Unavailable
from domain.terms import Confidentiality
from domain.tree import Place, Span
from projections.checkers import Checkers
from projections.outside import Outside
from projections.transparency import (
    CosignatureUnfit,
    LedgerRewritten,
    LedgerTurnedBack,
    NoHeadYet,
    NothingToSign,
    Transparency,
)
from scripts.bench import tamper
from scripts.witnessing import Fetch, Refused, Witness
from tests import test_sealing as sealed
from tests.conftest import City, as_superuser
from tests.test_ledger import BurnSlip, do, door, opened

two, city_of_two = sealed.two, sealed.city_of_two

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NPC = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


@asynccontextmanager
async def log_of(city: City, ledger: Ledger, folder: Path, **said: Any) -> AsyncIterator[Transparency]:
    outside = Outside(folder, ledger.imprint.ledger_id)
    said = {"private": KEY, "witnesses": [notes.witness_key("npc.example", NPC)], **said}
    async with Transparency(city.database.app, city.name, ledger.imprint, outside, **said) as log:
        yield log


async def more(ledger: Ledger, count: int) -> None:
    await asyncio.gather(*(opened(ledger, title=f"第{n}件") for n in range(count)))


async def test_heads_are_signed_as_the_ledger_grows(city: City, tmp_path: Path):
    async with door(city) as ledger, log_of(city, ledger, tmp_path) as log:
        with pytest.raises(NothingToSign):
            await log.sign()
        with pytest.raises(NoHeadYet):
            await log.head()
        await more(ledger, 5)
        one = await log.sign()
        assert one.checkpoint.size == (await ledger.head())[0]
        assert log.key is not None
        assert one.by(log.key) == 0
        assert await log.sign() == one  # nothing came since
        await more(ledger, 300)
        two = await log.sign()
        sizes = [one.checkpoint.size, two.checkpoint.size]
        path = await log.consistency(*sizes)
        assert tree.consistent("sha256", sizes[0], one.checkpoint.root, sizes[1], two.checkpoint.root, path)
        assert [note.checkpoint.size for note in await log.heads()] == sizes
        assert await log.head(sizes[0] + 1) == two
        assert log.outside.heads() == [one, two]
        assert await log.check(ledger) == []


async def test_several_processes_find_what_one_finds_wherever_pages_end(city: City):
    async with door(city) as ledger:
        await more(ledger, 40)
        end, _ = await ledger.head()
        with Checkers(city.database.app, city.name, ledger.imprint, 2) as checkers:

            async def both(page: int) -> list[Finding]:
                alone = [looked async for looked in ledger.checked(page=page)]
                together = [looked async for looked in ledger.checked(checkers.look, page=page, ahead=checkers.ahead)]
                assert alone == together
                assert [leaf for looked in alone for leaf in looked.leaves] == [
                    row.event.leaf for row in await ledger.witnesses(0, end)
                ]
                return [finding for looked in alone for finding in looked.findings]

            assert [await both(page) for page in (1, 7, 16, 5000)] == [[]] * 4
            as_superuser(city, "UPDATE {}.events SET topic = topic || 'x' WHERE position IN (9, 10)")
            as_superuser(city, "UPDATE {}.events SET recorded_at = recorded_at - interval '1 hour' WHERE position = 17")
            as_superuser(city, "DELETE FROM {}.events WHERE position = 21")
            found = {page: await both(page) for page in (1, 7, 16, 5000)}
            assert {9, 10, 17, 21} <= {finding.position for finding in found[5000]}
            backwards = "recorded before the event it follows"
            assert [[f.position for f in some if f.what == backwards] for some in found.values()] == [[17]] * 4
            for process in multiprocessing.active_children():
                process.kill()
            with pytest.raises(Unavailable):
                await both(7)


async def test_every_event_is_proved_under_the_last_head(city: City, tmp_path: Path):
    async with door(city) as ledger, log_of(city, ledger, tmp_path) as log:
        await more(ledger, 20)
        await log.sign()
        await more(ledger, 1)
        policy = Policy(notes.log_key(log.origin, KEY))
        rows = await ledger.witnesses(0, (await ledger.head())[0])
        size = (await log.head()).checkpoint.size
        for row in rows[:size]:
            proof = notes.proof_from(str(await log.proof(row.event.position)))
            notes.believed(proof.note, policy)
            head = proof.note.checkpoint
            assert tree.included("sha256", row.event.leaf, proof.leaf, head.size, proof.path) == head.root
        with pytest.raises(NoHeadYet):
            await log.proof(size + 1)
        with pytest.raises(NoHeadYet):
            await log.proof(0)


async def test_what_lies_outside_is_enough_for_a_monitor(city: City, tmp_path: Path):
    async with door(city) as ledger, log_of(city, ledger, tmp_path) as log:
        for count in (3, 400, 200):
            await more(ledger, count)
            await log.sign()
        folder = log.outside.folder
        note = notes.note_from((folder / "checkpoint").read_bytes())
        size = note.checkpoint.size
        held = {place: (folder / tree.path_of(place, width)).read_bytes() for place, width in tree.tiles(size)}
        assert tree.root("sha256", Span(0, size), held) == note.checkpoint.root
        assert await log.tile(tree.Place(0, 0), 256) == held[tree.Place(0, 0)]
        assert await log.tile(tree.Place(0, 0), 17) == held[tree.Place(0, 0)][: 17 * 32]
        assert await log.tile(tree.Place(0, 9), 1) is None
        assert not list(folder.glob("tile/0/000.p"))  # what stood for a tile before it was full is gone


async def test_tiles_that_are_made_again_are_the_same(city: City, tmp_path: Path):
    async with door(city) as ledger, log_of(city, ledger, tmp_path) as log:
        await more(ledger, 300)
        one = await log.sign()
        await log.forget()
        assert await log.sign() == one
        assert await log.check(ledger) == []


async def test_two_who_sign_at_once_sign_one_head(city: City, tmp_path: Path):
    async with door(city) as ledger, log_of(city, ledger, tmp_path) as one, log_of(city, ledger, tmp_path) as two:
        for _ in range(5):
            await more(ledger, 3)
            signed = await asyncio.gather(*(log.sign() for log in (one, two) * 4))
            assert len({note.text for note in signed}) == 1
        assert len(await one.heads()) == len(one.outside.heads()) == 5


async def test_whoever_was_cut_off_after_signing_has_signed(city: City, tmp_path: Path):
    async with door(city) as ledger, log_of(city, ledger, tmp_path) as log:
        await more(ledger, 3)
        await log.follow()
        size = await log.size()
        async with log._locked() as (connection, _):
            (root,) = await log._roots(connection, [Span(0, size)])
            signed = notes.signed(notes.Checkpoint(log.origin, size, root), KEY)
            log.outside.sign(signed, (await ledger.head())[1])  # and then the power went away
        assert await log.heads() == []
        await more(ledger, 3)
        await log.sign()
        assert [note.checkpoint.size for note in await log.heads()] == [size, (await ledger.head())[0]]


async def test_an_older_copy_that_is_restored_signs_nothing_more(city: City, tmp_path: Path):
    async with door(city) as ledger, log_of(city, ledger, tmp_path) as log:
        await more(ledger, 5)
        early = await log.sign()
        await more(ledger, 5)
        late = await log.sign()
        last = early.checkpoint.size
        as_superuser(city, f"DELETE FROM {{}}.events WHERE position > {last}")
        as_superuser(city, f"DELETE FROM {{}}.commits WHERE first_position > {last}")
        as_superuser(city, f"DELETE FROM {{}}.heads WHERE size > {last}")
        as_superuser(
            city,
            f"UPDATE {{}}.head SET pos = {last}, recorded_at = (SELECT max(recorded_at) FROM {{}}.events)",
        )
        await log.forget()
        with pytest.raises(LedgerTurnedBack):
            await log.sign()
        lost = [(one.position, one.what) for one in await log.check(ledger)]
        assert lost == [
            (last + 1, f"a head was signed of {late.checkpoint.size} events, and there are {last}: lost from here on"),
            (last + 1, "from here on the ledger is another than was published outside it: lost or changed"),
        ]
    async with door(city) as ledger, log_of(city, ledger, tmp_path) as log:
        await more(ledger, 9)  # it goes on, past where it had been
        with pytest.raises(LedgerRewritten):
            await log.sign()
        assert [one.position for one in await log.check(ledger)] == [last + 1] * 2
    async with door(city) as ledger, log_of(city, ledger, tmp_path / "empty") as log:
        await log.sign()  # nobody here remembers: what a witness holds does
        assert [one.position for one in await log.check(ledger, [late])] == [last + 1]


async def test_a_key_that_was_deleted_is_found_and_one_that_was_destroyed_is_not(city: City, tmp_path: Path):
    async with door(city) as ledger, log_of(city, ledger, tmp_path) as log:
        orders = [(await opened(ledger, title=f"第{n}件", words="窗外施工")).stream for n in range(3)]
        await log.sign()
        (key,) = [key for (key,) in as_superuser(city, f"SELECT id FROM {{}}.keys WHERE stream = '{orders[0]}'")]
        await do(ledger, orders[1], BurnSlip())
        assert await log.check(ledger) == []
        as_superuser(city, f"DELETE FROM {{}}.keys WHERE stream = '{orders[0]}'")
        ((first,),) = as_superuser(city, f"SELECT min(position) FROM {{}}.events WHERE originator_id = '{orders[0]}'")
        (finding,) = await log.check(ledger)
        assert (finding.position, finding.stream, finding.expected, finding.found) == (first, orders[0], key, "—")


async def test_a_key_that_was_changed_is_found(city: City, tmp_path: Path):
    async with door(city) as ledger, log_of(city, ledger, tmp_path) as log:
        orders = [(await opened(ledger, title=f"第{n}件", words="窗外施工")).stream for n in range(3)]
        await log.sign()
        for order, wrong in ((orders[0], "'\\x00'::bytea || substr(wrapped, 2)"), (orders[1], "substr(wrapped, 1, 4)")):
            as_superuser(city, f"UPDATE {{}}.keys SET wrapped = {wrong} WHERE stream = '{order}'")
        as_superuser(city, f"UPDATE {{}}.keys SET holder = 'somebody' WHERE stream = '{orders[2]}'")
        found = await log.check(ledger)
        assert {one.stream for one in found} == set(orders)
        assert {one.what for one in found} == {"a key was changed: it opens nothing any more"}


_OTHERWISE = (  # of a key that two persons hold: a box, its end, whose it is; and an ordinary one said to be theirs
    "UPDATE {}.keys SET wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1) WHERE wrap = 'li,wang'",
    "UPDATE {}.keys SET wrapped = set_byte(wrapped, 170, get_byte(wrapped, 170) # 1) WHERE wrap = 'li,wang'",
    "UPDATE {}.keys SET wrapped = substr(wrapped, 1, 160) WHERE wrap = 'li,wang'",
    "UPDATE {}.keys SET wrap = 'li,zhao' WHERE wrap = 'li,wang'",
    "UPDATE {}.keys SET wrap = 'master' WHERE wrap = 'li,wang'",
    "UPDATE {}.keys SET wrap = 'li,wang' WHERE wrap = 'master' AND stream <> ''",
)


async def test_a_key_of_two_persons_that_was_changed_is_found_and_opens_nothing(
    city_of_two: City, two: sealed.Two, tmp_path: Path
):
    async with sealed.door(city_of_two) as ledger, log_of(city_of_two, ledger, tmp_path) as log:
        order = await sealed.filed(ledger, applicant=sealed.ZHANG, content="举报")
        (before,) = as_superuser(city_of_two, "SELECT * FROM {}.keys WHERE stream <> '' AND holder NOT LIKE '%:texts'")
        await do(ledger, order.stream, sealed.MarkFile(confidentiality=Confidentiality.INFORMANT))
        held = order.events[0].event.all.applicant.name
        opened_ = await sealed.read(ledger, order.stream, name=held, consents=two.both())
        assert (opened_, await log.check(ledger)) == ({"name": "张三"}, [])
        kept = as_superuser(city_of_two, "SELECT * FROM {}.keys WHERE stream <> ''")
        assert len(kept) == 2
        for change in _OTHERWISE:
            as_superuser(city_of_two, change)
            found = await log.check(ledger)
            assert {one.stream for one in found} == {order.stream}, change
            assert "a key was changed: it opens nothing any more" in {one.what for one in found}, change
            put_back(city_of_two, kept)
        assert await log.check(ledger) == []
        put_back(city_of_two, [before, *(row for row in kept if row[0] != before[0])])
        (finding,) = await log.check(ledger)  # as it lay before it became theirs: whole, and the door alone opens it
        assert (finding.stream, finding.what) == (
            order.stream,
            "the key of an informant is no more held by two persons",
        )


def put_back(city: City, rows: list[tuple[Any, ...]]) -> None:
    """Make the keys of a city as they were."""
    as_superuser(city, "DELETE FROM {}.keys WHERE stream <> ''")
    for row in rows:
        said = ", ".join(f"'{one}'" for one in row[:4])
        as_superuser(city, f"INSERT INTO {{}}.keys VALUES ({said}, '\\x{row[4].hex()}')")


_A_COMMIT = """
INSERT INTO {{}}.commits SELECT {at}, n, command_id || '+', digest, recorded_at, occurred_at, origin, actor, on_behalf_of,
    reason, numbers, correlation_id, causation_id, trace_id, salt FROM {{}}.commits ORDER BY first_position LIMIT 1
"""
_AN_EVENT = """
INSERT INTO {{}}.events SELECT {at}, originator_id, originator_version + 1, topic, state, salt, leaf, commit, recorded_at,
    occurred_at FROM {{}}.events ORDER BY position DESC LIMIT 1
"""


async def test_what_is_put_beside_the_positions_of_the_ledger_is_found(city: City, tmp_path: Path):
    async with door(city) as ledger, log_of(city, ledger, tmp_path) as log:
        await more(ledger, 5)
        await log.sign()
        ((inside,),) = as_superuser(city, "SELECT min(first_position) + 1 FROM {}.commits WHERE n > 1")
        for at, before in ((inside, "a commit to which"), (0, "it lies before"), (-5, "it lies before")):
            for said in (_A_COMMIT, _AN_EVENT) if at < 1 else (_A_COMMIT,):
                as_superuser(city, said.format(at=at))
                found = await log.check(ledger)
                wanted = "a commit to which" if said is _A_COMMIT else before
                assert [(one.position, one.what[: len(wanted)]) for one in found] == [(at, wanted)], (at, said)
                as_superuser(city, f"DELETE FROM {{}}.commits WHERE command_id LIKE '%+' AND first_position = {at}")
                as_superuser(city, "DELETE FROM {}.events WHERE position < 1")
        assert await log.check(ledger) == []
        as_superuser(city, "UPDATE {}.ledger SET form = 'huiyin/2'")
        (finding,) = await log.check(ledger)
        assert (finding.expected, finding.found) == ("huiyin/1", "huiyin/2")


async def test_what_was_erased_and_is_put_back_is_found(city: City, tmp_path: Path):
    async with sealed.door(city) as ledger, log_of(city, ledger, tmp_path) as log:
        burnt = await opened(ledger, applicant=sealed.ZHANG, words="窗外施工")
        erased = await sealed.filed(ledger, applicant=sealed.ZHANG, content="甲")
        as_superuser(city, "CREATE TABLE {}.kept_keys AS SELECT * FROM {}.keys WHERE stream <> ''")
        as_superuser(city, "CREATE TABLE {}.kept_subjects AS SELECT * FROM {}.subjects")
        await do(ledger, burnt.stream, BurnSlip())
        subject = f"subject:{sealed.subject_of(erased)}"
        await ledger.execute(sealed.Erase(), stream=subject, actor=sealed.AGENT, command_id=sealed.cid())
        await log.sign()
        assert await log.check(ledger) == []
        shreds = [at for (at,) in as_superuser(city, "SELECT position FROM {}.events WHERE topic = 'shreds.done'")]
        for stream, at in ((burnt.stream, shreds[0]), (erased.stream, shreds[1])):
            as_superuser(city, f"INSERT INTO {{}}.keys SELECT * FROM {{}}.kept_keys WHERE stream = '{stream}'")
            found = await log.check(ledger)
            assert {(one.position, one.stream, one.what) for one in found} == {
                (at, stream, "a key that was destroyed is there again")
            }
            as_superuser(city, f"DELETE FROM {{}}.keys WHERE stream = '{stream}'")
        as_superuser(city, "INSERT INTO {}.subjects SELECT * FROM {}.kept_subjects")
        (finding,) = await log.check(ledger)
        assert (finding.position, finding.stream) == (shreds[1], subject)


async def test_a_number_that_finds_somebody_else_is_found_and_a_secret_that_is_gone(city: City, tmp_path: Path):
    async with sealed.door(city) as ledger, log_of(city, ledger, tmp_path) as log:
        one = await sealed.filed(ledger, applicant=sealed.ZHANG, content="甲")
        other = msgspec.structs.replace(sealed.ZHANG, phone="13900139000")
        two = await sealed.filed(ledger, applicant=other, content="乙")
        await log.sign()
        subjects = [sealed.subject_of(receipt) for receipt in (one, two)]
        first = {f"subject:{who}": receipt.first_position for who, receipt in zip(subjects, (one, two), strict=True)}
        as_superuser(city, "CREATE TABLE {}.kept AS SELECT * FROM {}.subjects")
        whose = f"CASE subject WHEN '{subjects[0]}'::uuid THEN '{subjects[1]}'::uuid ELSE '{subjects[0]}'::uuid END"
        for change in (f"subject = {whose}", "number = set_byte(number, 20, get_byte(number, 20) # 1)",
                       "mac = set_byte(mac, 3, get_byte(mac, 3) # 1)", "number = substr(number, 1, 4)"):  # fmt: skip
            as_superuser(city, f"UPDATE {{}}.subjects SET {change}")
            assert {finding.stream: finding.position for finding in await log.check(ledger)} == first, change
            as_superuser(city, "TRUNCATE {}.subjects")
            as_superuser(city, "INSERT INTO {}.subjects SELECT * FROM {}.kept")
        assert await log.check(ledger) == []
        as_superuser(city, "DELETE FROM {}.keys WHERE id = 'secret/requests'")
    async with sealed.door(city) as ledger, log_of(city, ledger, tmp_path) as log:
        (finding,) = await log.check(ledger)
        assert finding.expected == "requests"


async def test_what_is_missing_or_changed_outside_the_database_is_found(city: City, tmp_path: Path):
    async with door(city) as ledger, log_of(city, ledger, tmp_path) as log:
        for count in (3, 200, 200):
            await more(ledger, count)
            await log.sign()
        assert await log.check(ledger) == []
        size = log.outside.published()
        paths = {place: log.outside.folder / tree.path_of(place, width) for place, width in tree.tiles(size)}
        for path in (paths[Place(1, 0)], paths[Place(0, 0)]):
            held = path.read_bytes()
            path.unlink()
            assert [(one.position, "is gone" in one.what) for one in await log.check(ledger)] == [(1, True)]
            path.write_bytes(bytes([held[0] ^ 1]) + held[1:])
            assert [one.position for one in await log.check(ledger)] == [1]
            path.write_bytes(held)
        _, middle, _ = [note.checkpoint.size for note in await log.heads()]
        as_superuser(city, f"DELETE FROM {{}}.heads WHERE size = {middle}")
        (finding,) = await log.check(ledger)
        assert (finding.position, "no more in the database" in finding.what) == (middle, True)


async def test_what_is_taken_from_the_folder_outside_is_found(city: City, tmp_path: Path):
    async with door(city) as ledger, log_of(city, ledger, tmp_path) as log:
        for count in (3, 20, 20):
            await more(ledger, count)
            await log.sign()
        first, middle, last = [note.checkpoint.size for note in await log.heads()]
        (month,) = (log.outside.folder / "heads").iterdir()
        lines, monitors = month.read_bytes().splitlines(keepends=True), log.outside.folder / "checkpoint"
        for held, wanted in (
            (lines[0] + lines[2], (middle, "a head that was signed is in the database and no more outside")),
            (lines[0] + lines[1], (last, "the head that monitors read is not listed outside")),
            (b"".join(lines)[:-9], (0, f"a head outside cannot be read: heads/{month.name}:3")),
            (b'{"head": ""}\n', (0, f"a head outside cannot be read: heads/{month.name}:1")),
        ):
            month.write_bytes(held)
            (finding,) = await log.check(ledger)
            assert (finding.position, finding.what[: len(wanted[1])]) == wanted
        month.write_bytes(b"".join(lines))
        assert await log.check(ledger) == []
        monitors.write_text(str((await log.heads())[0]))
        assert [one.position for one in await log.check(ledger)] == [first + 1]
        monitors.unlink()
        assert [one.position for one in await log.check(ledger)] == [1]


async def test_an_instant_that_no_clock_says_is_found_where_it_stands(city: City, tmp_path: Path):
    async with door(city) as ledger, log_of(city, ledger, tmp_path) as log:
        await more(ledger, 3)
        as_superuser(city, "CREATE TABLE {}.kept AS SELECT * FROM {}.events")
        ((end, at),) = as_superuser(city, "SELECT pos, recorded_at FROM {}.head")
        for column, said in (
            ("recorded_at", "infinity"),
            ("occurred_at", "-infinity"),
            ("occurred_at", "4000-01-01 BC"),
        ):
            as_superuser(city, f"UPDATE {{}}.events SET {column} = '{said}' WHERE position = 2")
            assert {one.position for one in await log.check(ledger)} == {2}, (column, said)
            as_superuser(city, "TRUNCATE {}.events")
            as_superuser(city, "INSERT INTO {}.events SELECT * FROM {}.kept")
        as_superuser(city, "UPDATE {}.head SET recorded_at = 'infinity'")
        assert [one.position for one in await log.check(ledger)] == [end]
        as_superuser(city, f"UPDATE {{}}.head SET recorded_at = '{at.isoformat()}'")
        as_superuser(city, "DELETE FROM {}_projections.tree".replace("{}_projections", f'"{city.name}_projections"'))
    async with door(city) as ledger, log_of(city, ledger, tmp_path) as log:
        await log.sign()  # what is derived is made again
        assert await log.check(ledger) == []


def test_a_witness_that_looks_twice_at_once_signs_one_of_two_histories(tmp_path: Path):
    origin = notes.origin_of("town", "sha256")
    witness = Witness(tmp_path, "npc.example", NPC, notes.log_key(origin, KEY))
    signed: list[Note] = []

    def history_of(last: bytes, meanwhile: threading.Thread | None = None) -> Fetch:
        leaves = [bytes(32), bytes(31) + b"1", last * 32]
        tiles = tree.grow("sha256", 0, {}, leaves)
        note = notes.signed(notes.Checkpoint(origin, 3, tree.root("sha256", Span(0, 3), tiles)), KEY)

        def fetch(path: str) -> bytes:
            if path == "checkpoint":
                return str(note).encode()
            if meanwhile is not None:
                meanwhile.start()
                meanwhile.join(1)  # as long as it may take, were it let in
            return tiles[Place(0, 0)]

        return fetch

    def other() -> None:
        with contextlib.suppress(Refused):
            signed.append(witness.look(history_of(b"b"), 1).note)

    thread = threading.Thread(target=other)
    signed.append(witness.look(history_of(b"a", thread), 1).note)
    thread.join()
    assert [str(note) for note in signed] == [str(witness.last)]
    assert [path.name for path in tmp_path.glob("refused-*")] == ["refused-3-3"]


async def test_a_cosignature_is_taken_from_known_witnesses_only(city: City, tmp_path: Path):
    async with door(city) as ledger, log_of(city, ledger, tmp_path) as log:
        await more(ledger, 3)
        note = await log.sign()
        line = notes.cosigned(note, "npc.example", NPC, 1_800_000_000)
        assert await log.cosign(notes.with_signatures(note, [line])) == ("npc.example",)
        assert await log.cosign(notes.with_signatures(note, [line])) == ("npc.example",)
        assert (await log.head()).by(notes.witness_key("npc.example", NPC)) == 1_800_000_000
        other = Ed25519PrivateKey.generate()
        forged = line._replace(said=line.said[:-1] + bytes([line.said[-1] ^ 1]))
        elsewhere = notes.signed(note.checkpoint._replace(size=2), KEY)
        for bad in (
            notes.with_signatures(note, [notes.cosigned(note, "someone.example", other, 1)]),
            notes.with_signatures(note, [forged]),
            notes.with_signatures(elsewhere, [notes.cosigned(elsewhere, "npc.example", NPC, 1)]),
            Note("no head\n", (line,)),
            note,
        ):
            with pytest.raises(CosignatureUnfit):
                await log.cosign(bad)
        assert await log.check(ledger) == []


async def test_who_has_no_key_signs_nothing(city: City, tmp_path: Path):
    async with door(city) as ledger, log_of(city, ledger, tmp_path, private=None) as log:
        await more(ledger, 3)
        assert await log.follow() > 0
        with pytest.raises(NotInitialised):
            await log.sign()


async def test_a_ledger_of_sm3_has_a_tree_of_sm3_and_says_so(city_of_sm3: City, tmp_path: Path):
    async with door(city_of_sm3) as ledger, log_of(city_of_sm3, ledger, tmp_path) as log:
        await more(ledger, 3)
        proof = await log.proof((await log.sign()).checkpoint.size)
        assert proof.note.checkpoint.origin.endswith("/sm3")
        (row,) = await ledger.witnesses(proof.leaf, proof.leaf + 1)
        head = proof.note.checkpoint
        assert tree.included("sm3", row.event.leaf, proof.leaf, head.size, proof.path) == head.root
        assert await log.check(ledger) == []


async def test_a_ledger_of_an_earlier_release_is_upgraded(city: City, tmp_path: Path):
    async with door(city) as ledger:
        as_superuser(city, "DROP TABLE {}.heads, {}.cosignatures")
        with pytest.raises(NotInitialised, match="upgrade"):
            async with log_of(city, ledger, tmp_path):
                pass
        for _ in range(2):
            await recorder.upgrade(city.database.owner, city.name)
        async with log_of(city, ledger, tmp_path) as log:
            await more(ledger, 3)
            await log.sign()
        with psycopg.connect(city.database.app, autocommit=True) as connection:
            for statement in ("UPDATE {}.heads SET size = 1", "DELETE FROM {}.cosignatures", "TRUNCATE {}.heads"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement.replace("{}", f'"{city.name}"').encode())


def test_whatever_a_superuser_changes_is_found_with_its_position(postgres: Any, tmp_path: Path):
    found = asyncio.run(tamper.measure(postgres, tmp_path, cases=100, changes=300, seed=secrets.randbelow(1 << 30)))
    assert found.missed == []
    assert found.named == found.made
    assert sum(found.made.values()) == 300
