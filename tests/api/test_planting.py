"""Nothing planted in a personal field comes out anywhere: tables, files, answers, feeds, papers, reports, logs, errors.

Every command of the case scripts is carried out with recognisable people in each of its personal fields, optional ones
too. Then whatever leaves the system is searched for them. What a role opens with a reason is told apart from it: there
only what the matrix gives that role may show.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psycopg
import pytest
from psycopg import sql

from api.access import OVERSEERS
from api.commands import BY_NAME
from api.operations import OPERATIONS, Operation
from api.tokens import mint
from domain.kinds import TOLD
from domain.matters.publications import ReportKind
from domain.refusals import Refusal
from domain.steps.correcting import ApproveCorrection, ProposeCorrection
from domain.terms import SHANGHAI, Actor, Role
from domain.units import RegisterUnit, UnitKind, UnitLevel
from scripts import embedded, wiring
from tests import planting
from tests.api.conftest import Caller, running
from tests.api.test_pushing import receiving
from tests.planting import PLACES, buried, buried_in
from tests.test_cases import lines
from tests.test_cli import Deployment, deploy

SCRIPTS = {"s0": "S0", "s1": "S1", "s2": "S2", "s3": "S3", "s4": "S4", "rest": "S0", "notices": "S0"}
FULLEST = "rest"
UNTRIED = {("found", "hotline.duty_phone"): "a city is founded without one; that of its units is planted"}
PERIOD = {"from": "2025-06-01", "to": "2025-06-30"}

SPOILT = ("found", "hotline.duty_phone")
"""A field that is planted nowhere: its number stands in what a test writes behind the ledger's back."""


class Planted(NamedTuple):
    """Cities full of plants, served; `records` are the streams of each city, `planted` the fields that were reached."""

    deployment: Deployment
    cities: dict[str, str]  # script -> schema
    records: dict[str, list[str]]
    planted: set[tuple[str, str]]
    client: Any
    log: Path

    def as_(self, role: Role, unit: str = "HOTLINE", *, city: str = FULLEST, **more: Any) -> Caller:
        """Return somebody new in a role: the token vouches for them, and nobody is asked too often."""
        said = str(role) if role in (Role.CITIZEN, Role.SYSTEM) else f"{role}@{unit}"
        claims = {
            "issuer": wiring.LOCAL_ISSUER,
            "now": wiring.process_now(),
            "lasting": timedelta(hours=1),
            "user": f"reader-{secrets.token_hex(4)}",
            "roles": (said,),
            "cities": ["*"],
            "scope": "import",
            **more,
        }
        token = mint(wiring.issuer_key(), **claims)
        return Caller(self.client, token, self.cities[city])


async def _planted(cities: dict[str, str], home: Path) -> tuple[set[tuple[str, str]], dict[str, list[str]]]:
    database = await asyncio.to_thread(wiring.database)
    reached: set[tuple[str, str]] = set()
    records: dict[str, list[str]] = {}
    for script, city in cities.items():
        unit = RegisterUnit(
            unit="PLANTED",
            name="值班单位",
            level=UnitLevel.FIRST,
            kind=UnitKind.DEPARTMENT,
            parent="HOTLINE",
            duty_phone=planting.words(planting.NUMBER["found", "units.duty_phone"], "duty_phone"),
        )
        packs = [(wiring.completed(SCRIPTS[script]), None), *((wiring.read_pack(o), None) for o in wiring.OVERLAYS)]
        await wiring.found_city(database, city, code="HY", name="某市", packs=packs, units=[unit])
        reached.add(("found", "units.duty_phone"))
        for person in ("keeper-1", "keeper-2"):
            wiring.appoint(city, person, home / f"{city}-{person}.key")
        given, spoilt = lines(script), list[tuple[int, str]]()

        def told(number: int, refusal: Refusal, given: Any = given, spoilt: Any = spoilt) -> None:
            if given[number].refused is None:
                spoilt.append((number, str(refusal)))

        async with await wiring.open_city(database, city) as ledger:
            planted, walked = await planting.walk(ledger, given, told)
            assert not spoilt
            reached |= planted
            if script == FULLEST:
                reached |= await _corrected(ledger, walked.labels["A"])
            entries = await ledger.read(0, 100_000)
            records[script] = list(dict.fromkeys(entry.stream for entry in entries))
    return reached, records


async def _corrected(ledger: Any, stream: str) -> set[tuple[str, str]]:
    """Correct a sealed text of a case, which no script does."""
    by = Actor(user="agent", role=Role.AGENT, unit="HOTLINE")
    planter = planting.Planter(filling=True, making=True)
    act = planter.plant(ProposeCorrection(version=1, field="content", basis="x"))
    await ledger.execute(act, stream=stream, actor=by, command_id="correct", reason="typing_error")
    proposals = (await ledger.fold(stream)).proposals
    number = next(one.subject for one in proposals if one.about == "correction" and one.decided is None)
    over = Actor(user="supervisor", role=Role.SUPERVISOR, unit="HOTLINE")
    await ledger.execute(
        ApproveCorrection(correction=number), stream=stream, actor=over, command_id="approve", reason="typing_error"
    )
    return planter.planted


@pytest.fixture(scope="module")
def cities(postgres: embedded.Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    """A city for each script, walked with plants, and served."""
    home = tmp_path_factory.mktemp("planted")
    deployment = deploy(postgres, home)
    names = {script: f"{script}_{secrets.token_hex(3)}" for script in SCRIPTS}
    with pytest.MonkeyPatch.context() as patched:
        for name in [one for one in os.environ if one.startswith("HUIYIN_") and "TEST" not in one]:
            patched.delenv(name)
        patched.setenv("HUIYIN_HOME", str(home))
        patched.setenv("HUIYIN_DATABASE_URL", deployment.url)
        patched.setenv("HUIYIN_SWEEP", "0")
        planted, records = asyncio.run(_planted(names, home))
        with running(home, names.values(), HUIYIN_LOG="debug") as (_, log, _, client):
            yield Planted(deployment, names, records, planted, client, log)


# --- what was planted --------------------------------------------------------------------------------------------


def test_every_personal_field_of_every_command_was_planted(cities: Planted):
    assert set(PLACES.values()) - cities.planted == set(UNTRIED)


def test_a_plant_is_found_however_it_is_written():
    place = ("register", "content")
    word = planting.words(planting.NUMBER[place], "content")
    for said in (word, json.dumps(word), f"x{word}y", word.split()[1], word.split()[2]):
        assert buried(said) == {place}
    assert not buried("欧阳甲 139700012 桂花巷12号")


# --- at rest -----------------------------------------------------------------------------------------------------


def tables(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    found = connection.execute(
        "SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'm', 'p', 'v') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
        " AND n.nspname NOT LIKE 'pg_toast%'"
    )
    return [(schema, name) for schema, name in found]


def test_no_table_of_the_database_shows_anybody(cities: Planted):
    looked = 0
    with psycopg.connect(cities.deployment.url, autocommit=True) as connection:
        for schema, name in tables(connection):
            query = sql.SQL("SELECT to_jsonb(t)::text FROM {} AS t").format(sql.Identifier(schema, name))
            for (row,) in connection.execute(query):
                assert not buried(row), (schema, name, row[:300])
                for column in json.loads(row).values():
                    if isinstance(column, str) and column.startswith("\\x"):
                        assert not buried_in(bytes.fromhex(column[2:])), (schema, name)
                looked += 1
    assert looked > 3000


def test_no_file_of_the_database_shows_anybody(cities: Planted, postgres: embedded.Database):
    """Not its journal, not its log, not what it sorts in."""
    root = Path(os.environ["HUIYIN_TEST_HOME"]) / "embedded"
    files = [path for path in root.rglob("*") if path.is_file()]
    assert any("pg_wal" in str(path) for path in files)
    for path in files:
        with contextlib.suppress(FileNotFoundError):  # the server made another of it meanwhile
            assert buried_in(path.read_bytes()) <= {SPOILT}, path


def test_no_file_of_the_service_shows_anybody(cities: Planted):
    _client_reads(cities, Role.SUPERVISOR, cities.records[FULLEST][:20])
    files = [path for path in cities.deployment.home.rglob("*") if path.is_file()]
    assert cities.log in files
    for path in files:
        assert not buried_in(path.read_bytes()), path


# --- asked for ---------------------------------------------------------------------------------------------------

COLLECTIONS = {"order": "orders", "matter": "matters", "call": "calls", "inquiry": "inquiries"}
COLLECTIONS |= {"publication": "publications", "subject": "subjects", "batch": "batches"}
OF_RECORDS = [one for one in OPERATIONS if one.method == "GET" and "{record}" in one.path]
OF_CITIES = [one for one in OPERATIONS if one.method == "GET" and "{record}" not in one.path]
WORDS = {
    "day": f"{datetime.now(SHANGHAI):%Y-%m-%d}",
    "pack": "S0-CHUANYU",
    "year": "2025",
    "code": "I10",
    "tile_path": "0/000.p/1",
}


def asked(operation: Operation) -> list[dict[str, Any]]:
    """Return the queries to ask an operation with: what it needs, in each of its formats."""
    said = {query.name: query.example for query in operation.queries if query.needed}
    known = {query.name: query for query in operation.queries}
    if "from" in said and "to" in said and known["from"].kind == "string":
        said |= PERIOD
    said |= {"limit": 200} if "limit" in known else {}
    words = known["format"].words if "format" in known else ()
    return [{**said, "format": word} for word in words if word != "pdf"] or [said]


def _client_reads(cities: Planted, role: Role, records: list[str], city: str = FULLEST, unit: str = "HOTLINE") -> int:
    """Read records by every operation that there is for them; return how many answers had something."""
    shown = 0
    orders = [one.partition(":")[2] for one in records if one.startswith("order:")]
    caller = cities.as_(role, unit, city=city, orders=orders)
    for stream in records:
        kind, _, record = stream.partition(":")
        for operation in OF_RECORDS:
            if not operation.path.startswith(f"/{COLLECTIONS.get(kind)}/"):
                continue
            path = operation.path.replace("{record}", record)
            paths = [path]
            if "{version}" in path:
                papers = caller.get(path.rpartition("/")[0]).body
                paths = [path.replace("{version}", str(one["version"])) for one in papers.get("instruments", ())]
            for one in paths:
                for query in asked(operation):
                    answer = caller.get(one, **query)
                    assert answer.status < 500, (operation.name, role, answer)
                    content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                    assert not buried_in(content), (operation.name, role, stream)
                    shown += answer.status == 200
    return shown


def unit_of(cities: Planted, city: str) -> str:
    """Return the unit that most was dispatched to, once the table of orders has caught up."""
    supervisor = cities.as_(Role.SUPERVISOR, city=city)
    for _ in range(1000):
        units = [row["unit"] for row in supervisor.get("/orders", limit=200).body["orders"] if row.get("unit")]
        if units:
            return max(units, key=units.count)
        time.sleep(0.1)
    raise AssertionError(f"{city}: nothing was dispatched")


@pytest.mark.parametrize("role", [Role.SUPERVISOR, Role.ORG_APPROVER, Role.OVERSEER_NPC, Role.CITIZEN])
@pytest.mark.parametrize("city", SCRIPTS)
def test_no_record_shows_anybody_to_anybody_who_reads_it(cities: Planted, city: str, role: Role):
    unit = unit_of(cities, city) if role is Role.ORG_APPROVER else "HOTLINE"
    shown = _client_reads(cities, role, cities.records[city], city, unit)
    assert shown > 0 or role in OVERSEERS  # whose operations name no record but their own inquiry


@pytest.mark.parametrize("role", sorted(Role))
def test_no_list_report_or_feed_shows_anybody(cities: Planted, role: Role):
    unit = unit_of(cities, FULLEST) if role in (Role.ORG_HANDLER, Role.ORG_APPROVER, Role.MGMT_UNIT) else "HOTLINE"
    shown = 0
    for operation in OF_CITIES:
        paths = [re.sub(r"\{(\w+)\}", lambda part: WORDS.get(part[1], "x"), operation.path)]
        if (
            "{kind}" in operation.path
        ):  # all of them for who supervises: they are made of every case, and take their time
            kinds = list(ReportKind) if role is Role.SUPERVISOR else [ReportKind.BRIEFING, ReportKind.DAILY_DUTY]
            paths = [operation.path.format(kind=kind) for kind in kinds]
        for path in paths:
            for query in asked(operation):
                answer = cities.as_(role, unit).get(path, **query)
                assert answer.status < 500, (path, query, answer)
                content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                assert not buried_in(content), (path, role)
                shown += answer.status == 200
    assert shown > 0


@pytest.mark.parametrize("path", ["/metrics", "/openapi.json", "/docs", "/health/ready", "/health/live", "/nothing"])
def test_what_anybody_may_ask_shows_nobody(cities: Planted, path: str):
    answer = cities.client.get(path)
    assert answer.content
    assert not buried_in(answer.content)


# --- told --------------------------------------------------------------------------------------------------------


def test_neither_feed_nor_webhook_tells_of_anybody_whatever_was_agreed(cities: Planted):
    consumer = f"c-{secrets.token_hex(3)}"
    fields = [field.name for field in msgspec.structs.fields(BY_NAME["publish_share_agreement"])]
    body = {
        "consumer": consumer,
        "consumer_name": "某局",
        "purpose": "联动",
        "basis": {"text": "国办发〔2020〕53号", "article": "信息共享"},
        "event_types": sorted(TOLD),
        "until": "2099-12-31",
    }
    assert set(body) <= set(fields)
    agreed = cities.as_(Role.HOTLINE_MANAGER, user="manager").post("/institution/publish_share_agreement", body)
    assert agreed.status == 201, agreed
    caller = cities.as_(Role.SYSTEM, user=consumer, scope="feed")
    told = caller.get("/feed", after=0, limit=1000).body
    assert len(told) > 100
    assert not buried(json.dumps(told))
    with receiving() as receiver:
        wiring.write_endpoint(cities.cities[FULLEST], consumer, receiver.url)
        assert caller.get("/feed", after=0, limit=1).status == 200
        agent = cities.as_(Role.AGENT, user="agent")
        plant = planting.words(planting.NUMBER["register", "content"], "content")
        demand = {**next(one.command for one in lines(FULLEST).values() if one.command["type"] == "register")}
        demand = {name: value for name, value in demand.items() if name != "type"} | {"content": plant}
        demand["applicant"] = {"kind": "person", "name": plant, "phone": plant.split()[1]}
        assert agent.post("/orders", {**demand, "duplicates_seen": []}).status == 201
        receiver.wait(1)
        wiring.write_endpoint(cities.cities[FULLEST], consumer, None)
        for one in receiver.requests:
            assert not buried_in(one.body + json.dumps(one.headers).encode())


# --- refused -----------------------------------------------------------------------------------------------------


def bodies() -> dict[str, Any]:
    """Return a planted body of every command that the scripts carry out."""
    found: dict[str, Any] = {}
    for script in SCRIPTS:
        for line in lines(script).values():
            name = line.command["type"]
            if name in found or "@" in json.dumps(line.command):
                continue
            act = planting.Planter(filling=True, making=False).plant(msgspec.convert(line.command, BY_NAME[name]))
            found[name] = {field: v for field, v in msgspec.to_builtins(act).items() if field != "type"}
    return found


@pytest.mark.parametrize("role", [Role.AGENT, Role.SUPERVISOR, Role.ADMIN, Role.CITIZEN])
def test_no_refusal_says_what_was_said(cities: Planted, role: Role):
    order = next(one for one in cities.records[FULLEST] if one.startswith("order:")).partition(":")[2]
    paths = {one.name: one.path.replace("{record}", order) for one in OPERATIONS if one.command is not None}
    refused = 0
    caller = cities.as_(role, orders=[order])
    for name, body in bodies().items():
        for said in (body, {**body, "nonsense": 1}, {field: [value] for field, value in body.items()}):
            answer = caller.post(paths[name], said, query={"validate": "true"}, Huiyin_Reason="try")
            assert answer.status < 500, (name, answer)
            assert not buried(json.dumps(answer.body)), (name, said, answer.body)
            refused += answer.status >= 400
    assert refused > 100
    assert not buried_in(cities.log.read_bytes())


def test_an_error_inside_the_program_shows_nobody_in_answer_or_log(cities: Planted):
    """Somebody made an event unreadable behind the ledger's back, and then somebody sends a body about that case."""
    city = cities.cities["s3"]
    stream = next(one for one in cities.records["s3"] if one.startswith("order:"))
    with psycopg.connect(cities.deployment.url, autocommit=True) as connection:
        table = sql.Identifier(city, "events")
        spoil = sql.SQL("UPDATE {} SET state = %s WHERE originator_id = %s AND originator_version = 1")
        plant = planting.words(planting.NUMBER[SPOILT], "content")
        ((was,),) = connection.execute(
            sql.SQL("SELECT state FROM {} WHERE originator_id = %s AND originator_version = 1").format(table), [stream]
        )
        broken = was.replace('"phone"', json.dumps(plant, ensure_ascii=False))
        assert broken != was
        connection.execute(spoil.format(table), [broken, stream])
        body = {"words": planting.words(planting.NUMBER["urge", "words"], "words"), "channel": "phone"}
        record = stream.partition(":")[2]
        answer = cities.as_(Role.AGENT, city="s3").post(f"/orders/{record}/urge", body)
        read = cities.as_(Role.SUPERVISOR, city="s3").get(f"/orders/{record}")
        connection.execute(spoil.format(table), [was, stream])
    assert (answer.status, read.status) == (500, 500)
    assert answer.body["instance"].startswith("urn:huiyin:error:")
    assert not buried(json.dumps([answer.body, read.body]))
    log = cities.log.read_bytes()
    assert answer.body["instance"].encode() in log
    assert not buried_in(log)


# --- written to files --------------------------------------------------------------------------------------------


def test_no_export_list_or_bundle_shows_anybody(cities: Planted, tmp_path: Path):
    run, city = cities.deployment.ok, ("--city", cities.cities[FULLEST])
    run("export", str(tmp_path / "all.jsonl.gz"), *city)
    assert not buried_in(gzip.decompress((tmp_path / "all.jsonl.gz").read_bytes()))
    rows = run("list", *city, "--json").data["rows"]
    numbers = [row["number"] for row in rows]
    handled = next(row for row in rows if row["unit"])
    said = [run("list", *city).out, run("erasures", *city).out, run("head", *city).out]
    for number in numbers:
        said += [run(words, number, *city).out for words in ("show", "history", "instrument")]
        run("proof", number, "--full", "--to", str(tmp_path / f"{number}.json"), *city)
    for name in ("clocks", "appeals", "matters"):
        said.append(run(name, *city).out)
        run(name, "--csv", str(tmp_path / f"{name}.csv"), *city)
    run("audit", "--csv", str(tmp_path / "findings.csv"), *city)
    for name in ("duties", "units", "proposals", "status", "pushes", "agreements"):
        said.append(run(name, *city).out)
    dated = ("--from", PERIOD["from"], "--to", PERIOD["to"])
    said.append(run("indicators", *dated, *city).out)
    run("evidence", "refer", handled["unit"], handled["number"], "--to", "discipline", "--ground", "not_cooperating",
        "--facts", planting.words("0000", "facts"), "--file", str(tmp_path / "bundle"),
        "--as", "manager/hotline_manager@HOTLINE", *city)  # fmt: skip
    assert not buried("".join(said))
    files = list(tmp_path.iterdir())
    assert len(files) > 6
    for path in files:
        assert not buried_in(path.read_bytes()), path


def test_the_masked_edition_of_a_case_shows_nobody_in_its_pages_nor_in_what_is_attached(
    cities: Planted, tmp_path: Path
):
    run, city = cities.deployment.ok, ("--city", cities.cities[FULLEST])
    for number, row in enumerate(run("list", *city, "--json").data["rows"][:3]):
        made = tmp_path / f"{number}.pdf"
        run("dossier", row["number"], "--to", str(made), *city)
        held = planting.inside(made.read_bytes())
        assert any(b"order.order_registered" in one for one in held)
        assert not shutil.which("pdftotext") or row["number"].encode() in held[-1]
        for one in held:
            assert not buried_in(one)


# --- opened with a reason ----------------------------------------------------------------------------------------

OPENERS = (
    Role.AGENT,
    Role.DISPATCHER,
    Role.SUPERVISOR,
    Role.HOTLINE_MANAGER,
    Role.LEADER,
    Role.ARCHIVIST,
    Role.AUDITOR,
    Role.OVERSEER_NPC,
    Role.DISCIPLINE,
    Role.ADMIN,
)
WHOLE = (Role.SUPERVISOR, Role.HOTLINE_MANAGER, Role.LEADER, Role.ARCHIVIST, Role.AUDITOR)
"""Who opens every field that a dispatch slip or a notice shows; whoever may not open one of them gets no paper whole."""
NEVER = (Role.OVERSEER_NPC, Role.ADMIN)


@pytest.mark.parametrize("role", OPENERS)
@pytest.mark.parametrize("city", ["rest", "notices"])
def test_a_paper_opened_whole_shows_a_role_only_what_it_may_open_field_by_field(cities: Planted, city: str, role: Role):
    shown: set[tuple[str, str]] = set()
    for stream in cities.records[city]:
        if not stream.startswith("order:"):
            continue
        record = stream.partition(":")[2]
        papers = cities.as_(role, city=city).get(f"/orders/{record}/instruments").body.get("instruments", ())
        if not papers:
            continue
        may: set[tuple[str, str]] = set()
        entries = cities.as_(role, city=city).get(f"/orders/{record}/history", limit=200).body["entries"]
        for entry in entries:
            for field in _sealed(entry["event"]):
                body = {"version": entry["version"], "purpose": "trial", "fields": [field]}
                may |= buried(json.dumps(cities.as_(role, city=city).post(f"/orders/{record}/open", body).body))
        for paper in papers:
            path = f"/orders/{record}/instruments/{paper['version']}/open"
            answer = cities.as_(role, city=city).post(path, {"purpose": "trial"})
            assert answer.status in (200, 403, 409), (path, answer)
            content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            shown |= buried_in(content)
            assert buried_in(content) <= may, (role, path)
    assert shown or role not in WHOLE
    assert not shown or role not in NEVER


def _sealed(value: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of what a view shows as sealed."""
    if value == {"sealed": True}:
        yield path
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _sealed(one, f"{path}.{name}".strip("."))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _sealed(one, f"{path}.{number}")
