"""A city leaves as a file and comes back the same; a file that does not hold leaves nothing behind."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from domain.journals import SHREDS
from domain.kinds import KINDS
from domain.ledger import Ledger
from domain.refusals import Erased, LedgerExists, WrongKey
from domain.sealing import Keyring
from domain.settling import Proposal, Written
from domain.steps.linking import ApplicantInquired
from domain.steps.registration import OrderRegistered
from domain.terms import Actor, Role, Sealed, Shred
from scripts import embedded, importing, simulate, transfer
from scripts.transfer import BadExport, Carried, Erasure
from scripts.wiring import SYSTEM, parse_instant
from tests.conftest import City, as_superuser
from tests.test_cli import Deployment, deploy, registered, town_lines, write_script
from tests.test_importing import WHOLE, Town, found, old_hotline, table


class Kept(NamedTuple):
    """A city and its export."""

    town: Town
    file: Path
    said: Carried

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_bytes().splitlines()]


def people(count: int) -> list[dict[str, Any]]:
    """Return registrations by callers, two of each number."""
    return [
        registered(
            f"P{n}",
            "2025-03-04 09:00",
            content=f"请修路灯 {n}",
            applicant={"kind": "person", "phone": f"1390000{n // 2:04d}"},
        )
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def kept(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A city with scripts, a table and an erasure in it, and its export."""
    town = found(postgres, tmp_path_factory.mktemp("kept"))
    month = [*simulate.month(3, orders=25)][len(town_lines()) :]
    assert town.script(*month, *people(8)).rejects == []
    assert town.table(table(*(WHOLE | {"编号": f"M{n}"} for n in range(30))), old_hotline(), assume="S0").rejects == []
    subject = next(iter(by_subject(town)))
    town.asked(lambda ledger: shred(ledger, subject))
    file = town.folder / "city.jsonl"
    return Kept(town, file, exported(town, file))


def by_subject(town: Town) -> dict[UUID, list[str]]:
    """Return the streams of each caller who has a number."""
    found: dict[UUID, list[str]] = {}
    for entry in town.events():
        match entry.event:
            case OrderRegistered(applicant=applicant) if applicant and applicant.subject and applicant.phone:
                found.setdefault(applicant.subject, []).append(entry.stream)
            case _:
                pass
    return {subject: streams for subject, streams in found.items() if len(streams) == 2}


async def shred(ledger: Ledger, subject: UUID) -> None:
    """Destroy a subject's keys, as an approved erasure does."""
    proposal = Proposal(
        command_id=f"erase:{subject}",
        digest=bytes(32),
        stream=SHREDS,
        now=await ledger.now(),
        actor='{"role":"system","user":"system"}',
        origin="live",
        steps=[Shred(subject=subject)],
    )
    assert isinstance(await ledger.submit(proposal), Written)


def exported(town: Town, file: Path) -> Carried:
    return asyncio.run(transfer.export_city(town.city.database.app, town.city.name, file))


def restored(town: Town, file: Path, *, erasures: Sequence[Erasure] = (), keyring: Keyring | None = None) -> Town:
    """Restore a file beside the city it came from, under a new name."""
    city = City(town.city.database, f"r{secrets.token_hex(6)}", keyring or town.city.keyring)
    asyncio.run(transfer.restore_city(city.database.owner, city.name, file, city.keyring, erasures=erasures))
    return Town(city, town.folder)


TABLES = {
    "head": "pos, recorded_at",
    "ledger": "id, hash, form",
    "events": "*",
    "commits": "*",
    "keys": "*",
    "subjects": "*",
}


def rows(town: Town) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything that a city's ledger holds."""
    return {
        name: as_superuser(town.city, f"SELECT {columns} FROM {{}}.{name} ORDER BY 1, 2")
        for name, columns in TABLES.items()
    }


# --- the same ----------------------------------------------------------------------------------------------------


def test_a_restored_city_has_the_same_positions_instants_leaves_keys_and_states(kept: Kept):
    again = restored(kept.town, kept.file)
    assert rows(again) == rows(kept.town)
    assert again.asked(lambda ledger: ledger.verify_all()) == []
    assert again.events() == kept.town.events()
    streams = sorted({e.stream for e in kept.town.events() if e.stream.partition(":")[0] in {k.name for k in KINDS}})
    states = [town.asked(lambda ledger: folded(ledger, streams)) for town in (kept.town, again)]
    assert states[0] == states[1]
    assert len(states[0]) > 60


async def folded(ledger: Ledger, streams: Sequence[str]) -> list[Any]:
    return [await ledger.fold(stream) for stream in streams]


def test_a_restored_city_goes_on_where_it_stood(kept: Kept):
    again = restored(kept.town, kept.file)
    assert again.script(*people(3), name="more.jsonl").rejects == []
    assert again.asked(lambda ledger: ledger.verify_all()) == []
    first = again.events()[kept.said.position]
    assert (first.position, again.position()) == (kept.said.position + 1, len(again.events()))
    assert again.table(table(WHOLE | {"编号": "M3"}), old_hotline(), assume="S0").summary.already == 1


def test_an_export_of_a_restored_city_is_the_same_file_but_for_its_name(kept: Kept, tmp_path: Path):
    again = restored(kept.town, kept.file)
    exported(again, tmp_path / "again.jsonl")
    ours, theirs = (file.read_bytes().splitlines() for file in (kept.file, tmp_path / "again.jsonl"))
    assert ours[1:-1] == theirs[1:-1]
    assert json.loads(ours[0]) | {"city": again.city.name} == json.loads(theirs[0])


def test_a_compressed_export_is_restored_as_any_other(kept: Kept, tmp_path: Path):
    said = exported(kept.town, tmp_path / "city.jsonl.gz")
    assert said.digest == kept.said.digest
    assert (tmp_path / "city.jsonl.gz").stat().st_size * 2 < kept.file.stat().st_size
    assert rows(restored(kept.town, tmp_path / "city.jsonl.gz")) == rows(kept.town)


def test_an_export_is_one_instants_whatever_is_written_meanwhile(postgres: embedded.Database, tmp_path: Path):
    town = found(postgres, tmp_path)
    month = [*simulate.month(4, orders=20)][len(town_lines()) :]
    file = tmp_path / "city.jsonl"

    async def run(ledger: Ledger) -> Carried:
        script = write_script(tmp_path / "s.jsonl", *month)
        writing = asyncio.create_task(_import(ledger, script, tmp_path / "rejects"))
        await asyncio.sleep(0.05)
        said = await transfer.export_city(town.city.database.app, town.city.name, file)
        await writing
        return said

    said = town.asked(run)
    again = restored(town, file)
    assert again.position() == said.position <= town.position()
    assert again.events() == town.events()[: said.position]


async def _import(ledger: Ledger, script: Path, rejects: Path) -> None:
    await importing.import_script(ledger, script, rejects=rejects)


# --- what was erased stays erased --------------------------------------------------------------------------------


def opened(town: Town, stream: str) -> dict[str, str | Erased]:
    """Open the caller's number in a case."""

    async def run(ledger: Ledger) -> dict[str, str | Erased]:
        event = (await ledger.history(stream))[0].event
        fields: dict[str, Sealed] = {"phone": event.applicant.phone, "content": event.content}
        viewer = Actor(user="mgr", role=Role.HOTLINE_MANAGER, unit="HOTLINE")
        return await ledger.open_sealed(
            fields, stream=stream, viewer=viewer, purpose="test", command_id=secrets.token_hex(8)
        )

    return town.asked(run)


def test_nothing_in_the_file_opens_without_the_master_key_which_is_not_in_it(kept: Kept):
    text = kept.file.read_bytes()
    master = kept.town.city.keyring.master
    for form in (master.hex().encode(), base64.b64encode(master), base64.urlsafe_b64encode(master), master):
        assert form not in text
    assert b"1390000" not in text
    assert "请修路灯".encode() not in text
    assert kept.file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(WrongKey):
        restored(kept.town, kept.file, keyring=Keyring(bytes(32)))


def test_an_erased_persons_case_stays_closed_after_restoring_and_others_open(kept: Kept):
    again = restored(kept.town, kept.file)
    gone = again.asked(lambda ledger: ledger.history(SHREDS))[0].event.subject
    cases = by_subject(again)
    assert all(isinstance(value, Erased) for value in opened(again, cases[gone][0]).values())
    other = next(subject for subject in cases if subject != gone)
    assert str(opened(again, cases[other][0])["phone"]).startswith("1390000")


def test_keys_that_somebody_puts_back_into_a_file_are_destroyed_again(kept: Kept, postgres: embedded.Database):
    """A file whose keys are of an older day than its events: what the events say was destroyed goes."""
    town = found(postgres, kept.town.folder)
    assert town.script(*people(4), name="old.jsonl").rejects == []
    subject, streams = next(iter(by_subject(town).items()))
    old, new = town.folder / "old.export", town.folder / "new.export"
    exported(town, old)
    town.asked(lambda ledger: shred(ledger, subject))
    exported(town, new)
    keys = [line for line in old.read_bytes().splitlines() if json.loads(line)["type"] in ("key", "subject")]
    others = [line for line in new.read_bytes().splitlines() if json.loads(line)["type"] not in ("key", "subject")]
    mixed = written(town.folder / "mixed.export", [others[0], *keys, *others[1:-1]])
    again = restored(town, mixed)
    assert rows(again) == rows(town)
    assert all(isinstance(value, Erased) for value in opened(again, streams[0]).values())


def test_erasures_made_after_the_export_are_made_again_and_recorded(postgres: embedded.Database, tmp_path: Path):
    town = found(postgres, tmp_path)
    assert town.script(*people(4)).rejects == []
    subject, streams = next(iter(by_subject(town).items()))
    before = tmp_path / "before.jsonl"
    exported(town, before)
    town.asked(lambda ledger: shred(ledger, subject))
    later = town.asked(transfer.erasures_of)
    assert [one.subject for one in later] == [subject]
    again = restored(town, before, erasures=later)
    assert all(isinstance(value, Erased) for value in opened(again, streams[0]).values())
    assert again.asked(lambda ledger: transfer.erase_again(ledger, later)) == 1
    assert again.asked(lambda ledger: transfer.erase_again(ledger, later)) == 0
    assert again.asked(lambda ledger: ledger.history(SHREDS))[0].event.subject == subject
    assert again.asked(lambda ledger: ledger.verify_all()) == []
    other = found(postgres, tmp_path)
    with pytest.raises(BadExport, match="another ledger's"):
        other.asked(lambda ledger: transfer.erase_again(ledger, later))


def test_a_key_made_after_an_erasure_is_kept(postgres: embedded.Database, tmp_path: Path):
    """A case whose keys were destroyed may get new texts; they are nobody's that was erased."""
    town = found(postgres, tmp_path)
    assert town.script(registered("A", "2025-03-04 09:00", content="第一次")).rejects == []
    stream = next(e.stream for e in town.events() if e.stream.startswith("order:"))

    async def shred_case(ledger: Ledger) -> None:
        proposal = Proposal(
            command_id="burn",
            digest=bytes(32),
            stream=SHREDS,
            now=await ledger.now(),
            actor='{"role":"system","user":"system"}',
            origin="live",
            steps=[Shred(stream=stream)],
        )
        assert isinstance(await ledger.submit(proposal), Written)

    town.asked(shred_case)
    fact, at = ApplicantInquired(words="第二次"), parse_instant("2025-03-05 09:00")
    town.asked(lambda ledger: ledger.record([fact], stream=stream, actor=SYSTEM, command_id="later", occurred_at=at))
    assert len(as_superuser(town.city, f"SELECT 1 FROM {{}}.keys WHERE stream = '{stream}'")) == 1
    exported(town, tmp_path / "city.jsonl")
    assert rows(restored(town, tmp_path / "city.jsonl")) == rows(town)


# --- what does not hold ------------------------------------------------------------------------------------------


def written(file: Path, lines: Sequence[bytes | dict[str, Any]], *, end: bool = True) -> Path:
    """Write lines as an export with an end that fits them, as somebody would who wants a change to go unseen."""
    raw = [line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode() for line in lines]
    content = b"".join(line + b"\n" for line in raw)
    kinds = [json.loads(line)["type"] for line in raw]
    last = [json.loads(line) for line in raw if json.loads(line)["type"] == "commit"]
    said = {
        "type": "end",
        "position": last[-1]["first_position"] + last[-1]["n"] - 1 if last else 0,
        "commits": kinds.count("commit"),
        "keys": kinds.count("key"),
        "subjects": kinds.count("subject"),
        "digest": hashlib.sha256(content).hexdigest(),
    }
    file.write_bytes(content + (json.dumps(said).encode() + b"\n" if end else b""))
    return file


def change(part: str, how: Callable[[dict[str, Any]], object]) -> Callable[[list[dict[str, Any]]], int]:
    """Return what changes the tenth commit, or its first event, and tells the position that must be named."""

    def tamper(lines: list[dict[str, Any]]) -> int:
        commit = [line for line in lines if line["type"] == "commit"][10]
        how(commit if part == "commit" else commit["events"][0])
        return commit["first_position"]

    return tamper


TAMPERED = {
    "a state": change("event", lambda e: e.update(state=e["state"].replace("{", '{"x":1,', 1))),
    "a leaf": change("event", lambda e: e.update(leaf=base64.b64encode(bytes(32)).decode())),
    "a salt": change("event", lambda e: e.update(salt=base64.b64encode(bytes(16)).decode())),
    "a topic": change("event", lambda e: e.update(topic="order.order_closed")),
    "a stream": change("event", lambda e: e.update(stream="order:00000000-0000-0000-0000-000000000000")),
    "a version": change("event", lambda e: e.update(version=e["version"] + 1)),
    "a position": change("event", lambda e: e.update(position=e["position"] + 1)),
    "an instant": change("commit", lambda c: c.update(recorded_at="2025-01-01T00:00:00Z")),
    "an actor": change("commit", lambda c: c.update(actor='{"role":"admin","user":"mallory"}')),
    "a command's id": change("commit", lambda c: c.update(command_id="other")),
    "an event left out": change("commit", lambda c: c.update(events=c["events"][1:])),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_tampered_line_is_refused_naming_its_position_and_nothing_stays(kept: Kept, what: str, tmp_path: Path):
    lines = kept.lines[:-1]
    position = TAMPERED[what](lines)
    with pytest.raises(BadExport, match=rf"position {position}\b"):
        restored(kept.town, written(tmp_path / "bad.jsonl", lines))
    assert schemas(kept) == []


def schemas(kept: Kept) -> list[Any]:
    """Return the schemas of restored cities that hold no ledger with a head."""
    names = as_superuser(
        kept.town.city,
        "SELECT n.nspname FROM pg_namespace AS n WHERE n.nspname LIKE 'r____________' AND NOT EXISTS "
        "(SELECT FROM pg_class AS c WHERE c.relnamespace = n.oid AND c.relname = 'head')",
    )
    return [name for (name,) in names]


def test_a_commit_left_out_or_moved_is_refused_at_its_position(kept: Kept, tmp_path: Path):
    lines = kept.lines[:-1]
    tenth = [line for line in lines if line["type"] == "commit"][10]
    without = [line for line in lines if line is not tenth]
    with pytest.raises(BadExport, match=rf"position {tenth['first_position']}\b"):
        restored(kept.town, written(tmp_path / "without.jsonl", without))
    place = lines.index(tenth)
    moved = [*lines[:place], lines[place + 1], tenth, *lines[place + 2 :]]
    with pytest.raises(BadExport, match=rf"position {tenth['first_position']}\b"):
        restored(kept.town, written(tmp_path / "moved.jsonl", moved))


def test_a_tail_left_out_is_refused_although_every_leaf_holds(kept: Kept, tmp_path: Path):
    with pytest.raises(BadExport, match="the end counts otherwise"):
        restored(kept.town, written(tmp_path / "short.jsonl", kept.lines[:-3]))


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_an_export_that_was_cut_off_is_refused(kept: Kept, part: float, tmp_path: Path):
    content = kept.file.read_bytes()
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(BadExport, match="cut off here"):
        restored(kept.town, cut)
    packed = tmp_path / "cut.jsonl.gz"
    whole = gzip.compress(content)
    packed.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(BadExport, match="breaks off here"):
        restored(kept.town, packed)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (lambda lines: lines[1:], "the first line is no head"),
        (lambda lines: [lines[0] | {"form": "huiyin/2"}, *lines[1:]], "a form that cannot be restored: huiyin/2"),
        (lambda lines: [lines[0], lines[0], *lines[1:]], "has no place here: Head"),
        (lambda lines: [lines[0], {"type": "secret"}, *lines[1:]], "Invalid value 'secret'"),
        (lambda lines: [lines[0], lines[1] | {"colour": "red"}, *lines[2:]], "unknown field `colour`"),
        (lambda lines: [*lines, *[line for line in lines if line["type"] == "key"][:1]], "contradicts itself"),
    ],
)
def test_a_file_of_another_form_is_refused(kept: Kept, lines: Any, said: str, tmp_path: Path):
    with pytest.raises(BadExport) as raised:
        restored(kept.town, written(tmp_path / "bad.jsonl", lines(kept.lines[:-1])))
    assert said in str(raised.value)


def test_a_change_that_no_leaf_covers_is_seen_by_the_digest(kept: Kept, tmp_path: Path):
    content = kept.file.read_bytes()
    (tmp_path / "bad.jsonl").write_bytes(
        content.replace(b'"type":"subject","mac":"', b'"type":"subject","mac":"AAAA', 1)
    )
    with pytest.raises(BadExport, match="does not have its digest"):
        restored(kept.town, tmp_path / "bad.jsonl")
    (tmp_path / "more.jsonl").write_bytes(content + b"{}\n")
    with pytest.raises(BadExport, match="something follows on the end"):
        restored(kept.town, tmp_path / "more.jsonl")


def test_a_key_that_was_exchanged_is_refused(kept: Kept, tmp_path: Path):
    lines = kept.lines[:-1]
    keys = [line for line in lines if line["type"] == "key"]
    keys[5]["wrapped"], keys[6]["wrapped"] = keys[6]["wrapped"], keys[5]["wrapped"]
    with pytest.raises(WrongKey):
        restored(kept.town, written(tmp_path / "bad.jsonl", lines))


def test_a_schema_that_is_there_is_refused_and_not_touched(kept: Kept, other_city: City):
    before = as_superuser(other_city, "SELECT pos FROM {}.head")
    restoring = transfer.restore_city(other_city.database.owner, other_city.name, kept.file, kept.town.city.keyring)
    with pytest.raises(LedgerExists):
        asyncio.run(restoring)
    assert as_superuser(other_city, "SELECT pos FROM {}.head") == before


def test_an_empty_schema_is_filled_and_one_with_anything_in_it_is_not(kept: Kept):
    names = [f"r{secrets.token_hex(6)}" for _ in range(2)]
    for name in names:
        for schema in (name, f"{name}_projections"):
            as_superuser(kept.town.city, f"CREATE SCHEMA {schema} AUTHORIZATION huiyin_owner")
    as_superuser(kept.town.city, f"CREATE TABLE {names[1]}_projections.something (x int)")
    for name, whole in zip(names, (True, False), strict=True):
        city = City(kept.town.city.database, name, kept.town.city.keyring)
        restoring = transfer.restore_city(city.database.owner, name, kept.file, city.keyring)
        if whole:
            assert asyncio.run(restoring).position == kept.said.position
            assert rows(Town(city, kept.town.folder)) == rows(kept.town)
            continue
        with pytest.raises(LedgerExists):
            asyncio.run(restoring)
    as_superuser(kept.town.city, f"DROP SCHEMA {names[1]}, {names[1]}_projections CASCADE")


def test_an_export_never_writes_over_a_file_and_leaves_no_half_one(kept: Kept, tmp_path: Path):
    before = kept.file.read_bytes()
    with pytest.raises(FileExistsError, match="the file exists"):
        exported(kept.town, kept.file)
    assert kept.file.read_bytes() == before
    assert [path.name for path in kept.file.parent.iterdir() if path.name.startswith(".")] == []


# --- the command line --------------------------------------------------------------------------------------------


@pytest.fixture
def deployment(postgres: embedded.Database, tmp_path: Path) -> Deployment:
    deployment = deploy(postgres, tmp_path)
    deployment.ok("init", "kept", "--policy", "S0", "--code", "KD")
    script = write_script(tmp_path / "month.jsonl", *simulate.month(5, orders=20))
    assert deployment.run("import", str(script), "--city", "kept").code == 0
    return deployment


def test_export_and_restore_from_the_terminal(deployment: Deployment, tmp_path: Path):
    file = tmp_path / "kept.jsonl"
    told = deployment.ok("export", str(file), "--city", "kept")
    assert "the master key is not in it" in told.said
    assert "the file exists" in deployment.refused("export", str(file), "--city", "kept")
    asked = ("trace", "entries", "--type", "access.logged", "--as", "he/auditor", "--city", "kept", "--json")
    taken = deployment.ok(*asked).data[0]
    assert (taken["role"], taken["stream"][:7]) == ("admin", "access:")
    assert "master key is missing" in deployment.refused("restore", str(file), "again")
    keys = deployment.home / "keys"
    (keys / "again.key").write_bytes((keys / "kept.key").read_bytes())
    back = deployment.ok("restore", str(file), "again", "--json").data
    assert back["digest"] == re_digest(told.out)
    assert deployment.ok("verify", "--city", "again").code == 0
    lists = [
        deployment.ok("list", "--city", city, "--limit", "100", "--json").data["rows"] for city in ("kept", "again")
    ]
    assert lists[0] == lists[1]
    assert "ledger-exists" in deployment.refused("restore", str(file), "again")
    assert deployment.ok("erasures", "--city", "kept").out == ""
    (tmp_path / "none").touch()
    assert "0" in deployment.ok("erasures", "--apply", str(tmp_path / "none"), "--city", "kept").out
    (tmp_path / "bad").write_text("nonsense\n")
    assert "not a list of erasures" in deployment.refused(
        "erasures", "--apply", str(tmp_path / "bad"), "--city", "kept"
    )
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(file.read_bytes()[:-100])
    (keys / "third.key").write_bytes((keys / "kept.key").read_bytes())
    assert "cut off here" in deployment.refused("restore", str(cut), "third")


def re_digest(out: str) -> str:
    return out.partition("sha256: ")[2].split()[0]


def test_what_a_restore_needs_is_named_in_its_help(deployment: Deployment):
    assert "master key" in deployment.ok("restore", "--help").said
    assert "huiyin erasures" in deployment.ok("restore", "--help").said
