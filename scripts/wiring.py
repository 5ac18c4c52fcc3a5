"""Settings and wiring: what the environment says, where the files lie, and the ledger they open.

The only place that reads the environment, the process clock and entropy; everything below is handed what it needs.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import subprocess
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from api.gate import Networks, Tallies
from api.pushing import Endpoint, Manner, unfit_url
from api.tokens import AUDIENCE, Issuer, public_keys
from archive.fonds import Fonds
from domain import institution, recorder
from domain.attachments import Files
from domain.calendar import CalendarYear, load_calendar
from domain.completion import complete
from domain.institution import Found, HashAlgorithm
from domain.kinds import KINDS
from domain.law import Law
from domain.ledger import Ledger, Receipt, create
from domain.notes import Key, NotANote, key_from
from domain.packs import load_pack
from domain.policy import Pack, PolicyError
from domain.refusals import LedgerExists, Refusal
from domain.sealing import Keyring
from domain.terms import SHANGHAI, Actor, Entry, Origin, Role, UnitKind, UnitLevel
from domain.units import GrantRole, RegisterUnit
from projections.outside import Outside
from projections.transparency import Transparency
from scripts import embedded

DOMAIN = Path(institution.__file__).resolve().parent
POLICIES = DOMAIN / "policies"
CALENDARS = DOMAIN / "calendars"
MAPPINGS = Path(__file__).resolve().parent / "mappings"

SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")

BASE = "common"  # the pack of named assumptions that fills what a city's own leaves open
OVERLAYS = ("CONSUMER-COMPLAINT",)
SYSTEM = Actor(user="system", role=Role.SYSTEM)
HOTLINE = "HOTLINE"


class SettingError(Exception):
    """Something in the environment or on the command line cannot be used; the message says what to do."""


def trial_data() -> Path:
    """Return where real files for trials lie: HUIYIN_TRIAL_DATA, else beside the checkout. They may be absent."""
    return Path(os.environ.get("HUIYIN_TRIAL_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


def database_url() -> str | None:
    """Return the external PostgreSQL's address (HUIYIN_DATABASE_URL); None: the embedded one."""
    return os.environ.get("HUIYIN_DATABASE_URL") or None


def process_now() -> datetime:
    """Return the process's clock; only for showing what is running, never for what is recorded."""
    return datetime.now(UTC).astimezone(SHANGHAI)


def read_packs() -> dict[str, Pack]:
    """Return every shipped pack by id, as its file has it (gaps not yet filled)."""
    found: dict[str, Pack] = {}
    for path in sorted(POLICIES.glob("*.toml")):
        pack = load_pack(path.read_text(encoding="utf-8"), str(path.name))
        found[pack.id] = pack
    return found


def read_pack(name: str) -> Pack:
    """Return a pack by id, by the short name before its first hyphen (S0), or from a TOML file.

    Raises SettingError where there is none, PolicyError where the file does not load.
    """
    path = Path(name)
    if path.suffix == ".toml":
        return load_pack(read_text(path), str(path))
    packs = read_packs()
    wanted = name.upper()
    for pack_id, pack in packs.items():
        if wanted in (pack_id, pack_id.split("-")[0]):
            return pack
    raise SettingError(f"没有此政策 no such policy: {name}; 可用 available: {', '.join(sorted(packs))}")


def read_text(path: Path) -> str:
    """Return a file's text. Raises SettingError where it is not there, not readable or not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingError(f"文件不是 UTF-8 the file is not UTF-8: {path} (byte {error.start})") from error
    except OSError as error:
        raise SettingError(f"无法读取文件 the file cannot be read: {path}: {error.strerror}") from error


def completed(name: str, parents: Iterable[str] = ()) -> Pack:
    """Return a pack with its gaps filled by its parents and by the pack of named assumptions."""
    pack = read_pack(name)
    if pack.overlay:  # applies beside others: it neither fills nor is filled
        if list(parents):
            raise SettingError(f"{pack.id}: 叠加规则不由上位规则补足 an overlay is not filled by a parent")
        return pack
    base = read_packs()[BASE.upper()]
    above = [read_pack(parent) for parent in parents]
    if any(one.id == pack.id for one in above):
        raise SettingError(f"{pack.id}: 规则不是自己的上位规则 a policy is no parent of itself")
    filled = complete(pack, *above)
    return filled if filled.id == base.id else complete(filled, base)


def read_calendars(folder: Path = CALENDARS) -> tuple[CalendarYear, ...]:
    """Return every published version of every year that ships with the software, oldest first."""
    found: list[CalendarYear] = []
    for path in sorted(folder.glob("*.toml")):
        found.extend(load_calendar(path.read_text(encoding="utf-8"), path.name))
    return tuple(found)


def founding_act(
    ledger_id: UUID,
    *,
    city_code: str,
    city_name: str,
    packs: Iterable[tuple[Pack, datetime | None]],
    grants: Iterable[GrantRole] = (),
    units: Iterable[RegisterUnit] = (),
    hash_algorithm: HashAlgorithm = HashAlgorithm.SHA256,
    sandbox: bool = False,
) -> Found:
    """Return the founding act of a city: its hotline, its packs and every shipped calendar.

    A pack whose validity its text does not state comes with the day the city states, or holds always.
    """
    return Found(
        ledger_id=ledger_id,
        city_code=city_code,
        city_name=city_name,
        hotline=RegisterUnit(
            unit=HOTLINE,
            name=f"{city_name}12345热线管理机构",
            level=UnitLevel.HOTLINE,
            kind=UnitKind.HOTLINE,
        ),
        units=tuple(units),
        grants=(
            GrantRole(user="manager", role=Role.HOTLINE_MANAGER, unit=HOTLINE),
            GrantRole(user="admin", role=Role.ADMIN, unit=HOTLINE),
            GrantRole(user="admin2", role=Role.ADMIN, unit=HOTLINE),
            *grants,
        ),
        policies=tuple(
            institution.ProposePolicy(pack=pack, valid_from=since.date() if since is not None else None)
            for pack, since in packs
        ),
        calendars=read_calendars(),
        hash_algorithm=hash_algorithm,
        sandbox=sandbox,
    )


def law_from_files(pack: Pack) -> Law:
    """Return the law of a city that has just this pack, from files alone: for questions asked without a ledger."""
    overlays = [read_pack(name) for name in OVERLAYS] if not pack.overlay else []
    act = founding_act(
        UUID(int=0),
        city_code="XX",
        city_name="—",
        packs=[(pack, None), *((o, None) for o in overlays)],
    )
    at = process_now()
    law: Law | None = None
    for number, event in enumerate(institution.decide(None, act, SYSTEM, at), 1):
        law = institution.evolve(
            law,
            Entry(
                event=event,
                stream=institution.STREAM,
                version=number,
                position=number,
                recorded_at=at,
                origin=Origin.LIVE,
                actor=SYSTEM,
            ),
        )
    if law is None:
        raise AssertionError("a founding act founds")
    return law


_ZONED = re.compile(r"(Z|[+-]\d\d:?\d\d)$")


def parse_instant(text: str) -> datetime:
    """Return the instant a person wrote: `2025-06-16 09:00`, ISO 8601 with or without zone; without: Shanghai's.

    Raises SettingError naming what was written.
    """
    try:
        at = datetime.fromisoformat(text.strip().replace("/", "-"))
        return at.replace(tzinfo=SHANGHAI) if at.tzinfo is None else at.astimezone(SHANGHAI)
    except (ValueError, OverflowError) as error:
        raise SettingError(f"不是时间 not an instant: {text!r}; 写作 write it like 2025-06-16 09:00") from error


def problem(error: Exception) -> dict[str, str]:
    """Return an error as data: code, sentence, detail; for machines and for rejects files."""
    if isinstance(error, Refusal):
        return {"code": error.code(), "sentence": error.sentence, "detail": error.detail, "basis": error.grounds}
    if isinstance(error, msgspec.ValidationError):
        return {
            "code": "invalid",
            "sentence": "内容不合格式。The content does not have its form.",
            "detail": str(error),
        }
    if isinstance(error, PolicyError | SettingError):
        return {"code": "invalid", "sentence": str(error), "detail": ""}
    return {"code": type(error).__name__, "sentence": str(error), "detail": ""}


# --- cities ------------------------------------------------------------------------------------------------------


_CITY = re.compile(r"[a-z][a-z0-9_]{0,40}")

BUILDING = "__building"
"""How the schema of a sandbox ends while it is being made."""

_TURN = re.compile(r"(?P<name>.+)__(?P<turn>[1-9]\d{0,8})")


def turn_of(schema: str) -> tuple[str, int]:
    """Return the name of a city by its schema, and for a sandbox which reset it is of; 0 for a real one.

    Each reset of a sandbox has a schema of its own: what was opened before it finds nothing to write to any more.
    """
    found = _TURN.fullmatch(schema)
    return (found["name"], int(found["turn"])) if found else (schema, 0)


def by_name(schemas: Iterable[str]) -> dict[str, str]:
    """Return schemas by the names that cities are asked under; of a sandbox the newest, none that is being made."""
    found: dict[str, str] = {}
    for schema in sorted(schemas, key=lambda one: turn_of(one)[1]):
        if not schema.endswith(BUILDING):
            found[turn_of(schema)[0]] = schema
    return dict(sorted(found.items()))


def check_city(city: str, *, sandbox: bool = False) -> str:
    """Return the name of a city that is to be founded. Raises SettingError for one that PostgreSQL or we keep back."""
    if not _CITY.fullmatch(city):
        raise SettingError(
            f"城市代号只用小写字母、数字和下划线, 以字母开头 write a city's name in lower-case letters, digits and "
            f"underscores, a letter first, at most 41: {city!r}; 名称另以 --name 写明 its proper name goes into --name"
        )
    if not sandbox and (turn_of(city)[1] or city.endswith(BUILDING)):
        raise SettingError(
            f"此代号留给培训演练城市 names that end so are the sandboxes': {city!r}; huiyin sandbox create NAME"
        )
    if city.startswith("pg_") or city.endswith("_projections") or city in ("public", "information_schema"):
        raise SettingError(f"此代号已由数据库占用 the database keeps this name for itself: {city!r}")
    return city


def default_city() -> str | None:
    """Return the city that HUIYIN_CITY names, if any."""
    return os.environ.get("HUIYIN_CITY") or None


def keyring_file(city: str) -> Path:
    """Return where the city's master key lies: HUIYIN_MASTER_KEY_FILE, else below the data root."""
    said = os.environ.get("HUIYIN_MASTER_KEY_FILE")
    return Path(said) if said else embedded.home(os.environ) / "keys" / f"{city}.key"


@contextmanager
def tallies() -> Iterator[Tallies]:
    """Lend what the web workers of this machine count together, in a file below the data root."""
    path = embedded.home(os.environ) / "paces"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    with path.open("r+b", buffering=0) as file:
        yield Tallies(file, os.urandom)


def informant_file(city: str) -> Path:
    """Return where the public keys of the two persons lie who together open an informant's identity."""
    return keyring_file(city).with_suffix(".informant.json")


def read_keyring(city: str) -> Keyring:
    """Return the city's keys. Raises SettingError where a file is missing or holds no keys."""
    path = keyring_file(city)
    try:
        master = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except FileNotFoundError as error:
        raise SettingError(
            f"没有 {city} 的主密钥 the city's master key is missing: {path}; "
            "请从备份放回, 或设 HUIYIN_MASTER_KEY_FILE put it back from its copy, or set HUIYIN_MASTER_KEY_FILE"
        ) from error
    except ValueError as error:
        raise SettingError(f"主密钥文件不合格 not a master key (64 hex digits): {path}") from error
    appointed = read_appointed(city)
    try:
        return Keyring(master, appointed if len(appointed) == 2 else {})
    except ValueError as error:
        raise SettingError(f"{path}: {error}") from error


def read_appointed(city: str) -> dict[str, bytes]:
    """Return who was appointed so far, by name, with their public keys. Raises SettingError."""
    path = informant_file(city)
    if not path.exists():
        return {}
    try:
        return {name: bytes.fromhex(key) for name, key in json.loads(path.read_text(encoding="utf-8")).items()}
    except (ValueError, AttributeError) as error:
        raise SettingError(f"双人密钥文件不合格 not the public keys of two persons: {path}") from error


def appoint(city: str, person: str, private: Path) -> int:
    """Appoint one of the two persons: write their private key to a file of their own, keep the public one.

    Returns how many are appointed. Raises SettingError where two are already, or the file exists.
    """
    appointed = read_appointed(city)
    if person in appointed or len(appointed) >= 2:
        raise SettingError(f"已指定 appointed already: {', '.join(sorted(appointed))}")
    appointed[person] = _new_pair(private)
    text = json.dumps({name: public.hex() for name, public in appointed.items()}, ensure_ascii=False, indent=1)
    _write_secret(informant_file(city), text + "\n", replace=True)
    return len(appointed)


def make_keeper(private: Path, public: Path) -> None:
    """Make a pair of keys for a person who opens sealed parts elsewhere. Raises SettingError where a file exists."""
    if public.exists():
        raise SettingError(f"文件已存在 the file exists: {public}")
    public.write_text(_new_pair(private).hex() + "\n", encoding="ascii")


def _new_pair(private: Path) -> bytes:
    """Write a new private key to a file of its own; return the public one. Raises SettingError where the file exists."""
    if private.exists():
        raise SettingError(f"文件已存在 the file exists: {private}")
    key = X25519PrivateKey.from_private_bytes(os.urandom(32))
    _write_secret(private, key.private_bytes_raw().hex() + "\n")
    return key.public_key().public_bytes_raw()


def _write_secret(path: Path, text: str, *, replace: bool = False) -> None:
    # Made whole under another name first: a key half written would lock the city for ever.
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="utf-8")
    if replace:
        draft.replace(path)
        return
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


def endpoints_file(city: str) -> Path:
    """Return where the endpoints of the city's consumers lie, with the secrets that messages are signed with."""
    return keyring_file(city).with_suffix(".endpoints.json")


def read_endpoints(city: str) -> dict[str, Endpoint]:
    """Return where each consumer is told. Raises SettingError."""
    path = endpoints_file(city)
    if not path.exists():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Endpoint])
    except (msgspec.MsgspecError, OSError) as error:
        raise SettingError(f"推送地址文件不合格 not the endpoints of consumers: {path}: {error}") from error


def write_endpoint(city: str, consumer: str, url: str | None) -> str:
    """Keep where a consumer is told and return its new secret; without an address forget it.

    The secret before it signs too, until the next one is made, so that a consumer may change when it likes.
    """
    held = read_endpoints(city)
    before = held.pop(consumer, None)
    secret = ""
    if url is not None:
        if wrong := unfit_url(url):
            raise SettingError(f"{url}: {wrong}")
        secret = "whsec_" + base64.b64encode(os.urandom(32)).decode()
        held[consumer] = Endpoint(url, (secret, *(before.secrets[:1] if before is not None else ())))
    _write_secret(endpoints_file(city), msgspec.json.encode(held).decode() + "\n", replace=True)
    return secret


def manner() -> Manner:
    """Return how patiently consumers are told (HUIYIN_PUSH_GIVE_UP: hours; HUIYIN_PUSH_NETWORKS: private networks)."""
    said = os.environ.get("HUIYIN_PUSH_GIVE_UP") or "24"
    try:
        hours = float(said)
        networks = tuple(ip_network(one) for one in (os.environ.get("HUIYIN_PUSH_NETWORKS") or "").split(",") if one)
    except ValueError as error:
        raise SettingError(f"HUIYIN_PUSH_GIVE_UP, HUIYIN_PUSH_NETWORKS: {error}") from error
    if not 0 <= hours <= 24 * 30:
        raise SettingError(f"HUIYIN_PUSH_GIVE_UP: 0 … 720 小时 hours: {said}")
    return Manner(give_up=timedelta(hours=hours), networks=networks)


def sweep_every() -> timedelta | None:
    """Return how often a worker sweeps (HUIYIN_SWEEP: seconds, 60 unless said); None where 0 turns it off."""
    said = os.environ.get("HUIYIN_SWEEP") or "60"
    try:
        seconds = float(said)
    except ValueError as error:
        raise SettingError(f"HUIYIN_SWEEP: 秒 seconds: {said!r}") from error
    if seconds and not 1 <= seconds <= 86_400:
        raise SettingError(f"HUIYIN_SWEEP: 0, 1 … 86400 秒 seconds: {said}")
    return timedelta(seconds=seconds) if seconds else None


def make_keyring(city: str) -> Keyring:
    """Return the city's keys, made and written (mode 600) where there are none yet."""
    path = keyring_file(city)
    if not path.exists():
        _write_secret(path, os.urandom(32).hex() + "\n")
    return read_keyring(city)


def database() -> embedded.Database:
    """Return the database of this deployment, started if it is the embedded one."""
    return embedded.database(os.environ)


async def cities(database: embedded.Database) -> list[str]:
    """Return the cities that have a ledger in this database, by name."""
    statement = recorder.statements(SQL, "any")["cities"]
    connection = await recorder.connect(database.app)
    try:
        found = await (await connection.execute(statement)).fetchall()
    finally:
        await connection.close()
    return [row[0] for row in found]


async def open_city(database: embedded.Database, city: str, keyring: Keyring | None = None) -> Ledger:
    """Open a city's ledger as the application; close it after use."""
    return await Ledger.open(database.app, city, kinds=KINDS, keyring=keyring or read_keyring(city), entropy=os.urandom)


# --- archives ----------------------------------------------------------------------------------------------------


def fonds_file(city: str) -> Path:
    """Return where it stands whose archives a city's files belong to: beside its keys."""
    return keyring_file(city).with_suffix(".fonds.toml")


def read_fonds(city: str) -> Fonds:
    """Return what the archives office told of a city's files: nothing where there is no file. Raises SettingError."""
    path = fonds_file(city)
    if not path.exists():
        return Fonds()
    try:
        return msgspec.toml.decode(read_text(path), type=Fonds)
    except msgspec.MsgspecError as error:
        raise SettingError(f"全宗文件不合格 not a fonds file: {path}: {error}") from error


def write_fonds(city: str, fonds: Fonds) -> None:
    """Keep what the archives told of a city. Raises SettingError."""
    if wrong := fonds.unfit():
        raise SettingError(f"全宗设置不合格 not a fonds: {wrong}")
    said = msgspec.to_builtins(fonds)
    lines = "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in said.items())
    _write_secret(fonds_file(city), lines, replace=True)


def packets_root(city: str) -> Path:
    """Return where packets of filed cases are made: HUIYIN_PACKETS, else below the data root."""
    said = os.environ.get("HUIYIN_PACKETS")
    return (Path(said) if said else embedded.home(os.environ) / "packets") / city


def filers() -> int:
    """Return how many processes set dossiers (HUIYIN_FILERS; unless said one a processor but one). Raises SettingError."""
    said = os.environ.get("HUIYIN_FILERS") or f"{min(max((os.cpu_count() or 1) - 1, 1), 32)}"
    if not said.isdecimal() or not 1 <= int(said) <= 32:
        raise SettingError(f"HUIYIN_FILERS: 1 … 32 个进程 processes: {said!r}")
    return int(said)


def scanner() -> Callable[[Path], str] | None:
    """Return what looks through a packet for harmful code (HUIYIN_SCANNER: `clamscan -r -i --no-summary`); None unset.

    The folder is its last word; an exit code other than 0 is a finding, what it printed says which.
    """
    words = shlex.split(os.environ.get("HUIYIN_SCANNER") or "")
    if not words:
        return None

    def scan(folder: Path) -> str:
        done = subprocess.run([*words, str(folder)], capture_output=True, check=False)
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        return "" if done.returncode == 0 else f"{words[0]} {done.returncode}: {said[:300]}"

    return scan


# --- signed heads ------------------------------------------------------------------------------------------------


def heads_root() -> Path:
    """Return where signed heads and tiles are kept outside the database: HUIYIN_HEADS, else below the data root."""
    said = os.environ.get("HUIYIN_HEADS")
    return Path(said) if said else embedded.home(os.environ) / "heads"


def told_of_heads() -> tuple[str, ...]:
    """Return the addresses that every signed head is sent to: HUIYIN_HEADS_TO, with spaces between. Raises SettingError."""
    found = tuple(os.environ.get("HUIYIN_HEADS_TO", "").split())
    for address in found:
        if wrong := unfit_url(address):
            raise SettingError(f"HUIYIN_HEADS_TO: {address}: {wrong}")
    return found


def log_key(city: str) -> Ed25519PrivateKey:
    """Return the key that the city's heads are signed with, made and written (mode 600) where there is none yet."""
    return signing_key(keyring_file(city).with_suffix(".log.key"))


def signing_key(path: Path) -> Ed25519PrivateKey:
    """Return the key that a file holds, made and written (mode 600) where there is no file. Raises SettingError."""
    if not path.exists():
        _write_secret(path, os.urandom(32).hex() + "\n")
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text(encoding="ascii").strip()))
    except ValueError as error:
        raise SettingError(f"签名密钥文件不合格 not a key to sign with (64 hex digits): {path}") from error


def witnesses_file(city: str) -> Path:
    """Return where the public keys of the witnesses lie whose cosignatures are taken, a line each."""
    return keyring_file(city).with_suffix(".witnesses")


def read_witnesses(city: str) -> tuple[Key, ...]:
    """Return whose cosignatures are taken. Raises SettingError."""
    path = witnesses_file(city)
    if not path.exists():
        return ()
    try:
        return tuple(key_from(line) for line in read_text(path).splitlines() if line.strip())
    except NotANote as error:
        raise SettingError(f"见证人公钥文件不合格 not the public keys of witnesses: {path}: {error}") from error


def add_witness(city: str, key: Key) -> None:
    """Take cosignatures of one more witness. Raises SettingError where another one has the name."""
    known = read_witnesses(city)
    if any(one.name == key.name and one != key for one in known):
        raise SettingError(f"已有同名见证人 there is a witness of this name with another key: {key.name}")
    if key not in known:
        _write_secret(witnesses_file(city), "".join(f"{one}\n" for one in (*known, key)), replace=True)


async def open_log(database: embedded.Database, ledger: Ledger) -> Transparency:
    """Return the transparency log of a ledger, to be entered; one of an earlier release gets its tables first."""
    await recorder.upgrade(database.owner, ledger.city)
    return Transparency(
        database.app,
        ledger.city,
        ledger.imprint,
        Outside(heads_root(), ledger.imprint.ledger_id),
        private=log_key(ledger.city),
        witnesses=read_witnesses(ledger.city),
    )


# --- files -------------------------------------------------------------------------------------------------------


def files_root() -> Path:
    """Return where the cities' files lie: HUIYIN_FILES, else below the data root."""
    said = os.environ.get("HUIYIN_FILES")
    return Path(said) if said else embedded.home(os.environ) / "files"


def files_of(ledger: Ledger) -> Files:
    """Return the files of a ledger."""
    return Files(files_root(), ledger.imprint.ledger_id, os.urandom)


async def found_city(
    database: embedded.Database,
    city: str,
    *,
    code: str,
    name: str,
    packs: Iterable[tuple[Pack, datetime | None]],
    hash_algorithm: HashAlgorithm = HashAlgorithm.SHA256,
    units: Iterable[RegisterUnit] = (),
    grants: Iterable[GrantRole] = (),
    sandbox: bool = False,
) -> Receipt:
    """Create a city's ledger and record its founding act. An interrupted founding is completed, never begun twice.

    Raises LedgerExists, and SettingError where the name is taken by something else.
    """
    keyring = make_keyring(check_city(city, sandbox=sandbox))
    with suppress(LedgerExists):
        await create(
            database.owner,
            city,
            ledger_id=str(uuid4()),
            hash_algorithm=hash_algorithm.value,
            keyring=keyring,
            entropy=os.urandom,
        )
    if city not in await cities(database):
        raise SettingError(
            f"数据库中已有同名模式, 但不是台账 the database has a schema of this name that is no ledger: {city}"
        )
    async with await open_city(database, city, keyring) as ledger:
        if await ledger.law() is not None:
            raise LedgerExists(city)
        act = founding_act(
            UUID(ledger.imprint.ledger_id),
            city_code=code,
            city_name=name,
            packs=packs,
            units=units,
            grants=grants,
            hash_algorithm=hash_algorithm,
            sandbox=sandbox,
        )
        receipt = await ledger.execute(act, stream=institution.STREAM, actor=SYSTEM, command_id=f"found:{city}")
        if receipt.replayed:  # another founding was faster
            raise LedgerExists(city)
        return receipt


# --- tokens ------------------------------------------------------------------------------------------------------

LOCAL_ISSUER = "huiyin-local"


def issuer_key() -> Ed25519PrivateKey:
    """Return the local issuer's key, made and written (mode 600) where there is none yet."""
    return signing_key(embedded.home(os.environ) / "keys" / "issuer.key")


def issuer() -> Issuer:
    """Return whose tokens are taken: the city's own sign-on (HUIYIN_ISSUER, HUIYIN_JWKS), else the local issuer."""
    name, where = os.environ.get("HUIYIN_ISSUER"), os.environ.get("HUIYIN_JWKS")
    audience = os.environ.get("HUIYIN_AUDIENCE") or AUDIENCE
    if not name:
        key = issuer_key()
        return Issuer(LOCAL_ISSUER, lambda: public_keys(key), audience)
    if not where:
        raise SettingError(
            "HUIYIN_ISSUER 须与 HUIYIN_JWKS 同设: set HUIYIN_JWKS to its key set, a file or an https address"
        )
    return Issuer(name, lambda: _key_set(where), audience)


def _key_set(where: str) -> dict[str, object]:
    if not where.startswith("https://"):
        return json.loads(read_text(Path(where)))
    with urllib.request.urlopen(where, timeout=10) as answer:  # noqa: S310  https, and of the operator's own choosing
        return json.loads(answer.read(1 << 20))


def proxies() -> Networks:
    """Return our own proxies (HUIYIN_PROXIES, networks with commas): what they say of where a request comes from counts.

    Without the setting the peer's own address counts. Raises SettingError.
    """
    said = os.environ.get("HUIYIN_PROXIES") or ""
    try:
        return tuple(ip_network(one.strip()) for one in said.split(",") if one.strip())
    except ValueError as error:
        raise SettingError(f"HUIYIN_PROXIES: 10.0.0.0/8,127.0.0.1: {error}") from error


def fresh() -> str:
    """Return a word that nobody used before."""
    return os.urandom(12).hex()


def environment() -> dict[str, str]:
    """Return the process's environment."""
    return dict(os.environ)


def log_level() -> str:
    """Return from which level on the service logs (HUIYIN_LOG): INFO has a line for each request."""
    said = (os.environ.get("HUIYIN_LOG") or "INFO").upper()
    if said not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        raise SettingError(f"HUIYIN_LOG: debug, info, warning, error, critical: {said!r}")
    return said


def debugging() -> bool:
    """Tell whether whoever runs this wants traces of errors inside the program (HUIYIN_DEBUG)."""
    return bool(os.environ.get("HUIYIN_DEBUG"))
