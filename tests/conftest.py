"""PostgreSQL for the tests: one embedded server a run, Debian's 15 beside it, and a fresh city for each test."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import inspect
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from domain import ledger as door
from domain.sealing import Keyring
from scripts import embedded

HOME = "HUIYIN_TEST_HOME"
HANGING = 600.0
"""Seconds after which a test is taken to hang: a limit for the run, no measure of anything."""
DEBIAN = Path("/usr/lib/postgresql/15/bin")

# How long properties are tried. What nobody changed does not turn red, so the usual examples are the same every day;
# HUIYIN_HYPOTHESIS=thorough looks for others, for an hour.
_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
settings.register_profile("thorough", max_examples=4000, deadline=None, print_blob=True, suppress_health_check=_SLOW)
settings.register_profile("usual", parent=settings.get_profile("thorough"), max_examples=120, derandomize=True)
settings.load_profile(os.environ.get("HUIYIN_HYPOTHESIS", "usual"))


def pytest_configure(config: pytest.Config) -> None:
    """Choose where the run's servers live; the workers of a parallel run inherit it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts what runs in the background deaf to it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if HOME not in os.environ:
        root = Path(tempfile.mkdtemp(prefix="huiyin-tests-"))
        root.chmod(0o755)  # the database's own user must reach what lies below
        os.environ[HOME] = str(root)
        config.stash[_MADE] = root


_MADE: pytest.StashKey[Path] = pytest.StashKey()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what this run started, and nothing else."""
    root = config.stash.get(_MADE, None)
    if root is None:
        return
    if (root / "embedded").exists():
        embedded.stop(root / "embedded", at_once=True)
    if (root / "debian" / "data" / "postmaster.pid").exists():
        _as_postgres([DEBIAN / "pg_ctl", "-D", root / "debian" / "data", "-m", "immediate", "-w", "stop"])
    shutil.rmtree(root, ignore_errors=True)
    os.environ.pop(HOME, None)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test in a loop of its own; one that waits for what never comes ends, and says so."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    test = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    asyncio.run(asyncio.wait_for(test, HANGING))
    return True


@pytest.fixture(scope="session")
def postgres() -> embedded.Database:
    """The embedded PostgreSQL 18, started once for the run."""
    return embedded.start(Path(os.environ[HOME]) / "embedded")


@pytest.fixture(scope="session")
def postgres_15() -> embedded.Database:
    """Debian's PostgreSQL 15, where it is installed, used as an external database is."""
    if not DEBIAN.exists() or os.geteuid() != 0:
        pytest.skip("Debian's PostgreSQL 15 is not installed here, or this user may not start it")
    root = Path(os.environ[HOME]) / "debian"
    with _alone(root):
        if not (root / "data").exists():
            _start_debian(root)
    return embedded.external(f"host={root / 'run'} port=5432 user=postgres dbname=postgres")


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    root.mkdir(exist_ok=True)
    with (root / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _start_debian(root: Path) -> None:
    user = pwd.getpwnam("postgres")
    for name in ("draft", "run"):
        (root / name).mkdir(mode=0o700)
        os.chown(root / name, user.pw_uid, user.pw_gid)
    _as_postgres([DEBIAN / "initdb", "-D", root / "draft", "--auth=trust", "--encoding=UTF8", "--locale=C"])
    (root / "draft").rename(root / "data")
    options = f"-c listen_addresses='' -c unix_socket_directories={root / 'run'}"
    log = root / "run" / "log"
    _as_postgres([DEBIAN / "pg_ctl", "-D", root / "data", "-l", log, "-w", "-o", options, "start"])


def _as_postgres(arguments: list[str | Path]) -> None:
    user = pwd.getpwnam("postgres")
    words = [str(a) for a in arguments]
    who: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    # Not captured: a server that inherits a pipe keeps it open for as long as it runs.
    subprocess.run(words, check=True, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **who)


class City(NamedTuple):
    """A fresh ledger: how to enter its database, its name, and its keys."""

    database: embedded.Database
    name: str
    keyring: Keyring


def new_city(database: embedded.Database, *, hash_algorithm: str = "sha256", keyring: Keyring | None = None) -> City:
    """Create a city's ledger under a name that no other test uses."""
    name = f"t{secrets.token_hex(6)}"
    city = City(database, name, keyring or Keyring(secrets.token_bytes(32)))
    making = door.create(
        database.owner,
        name,
        ledger_id=f"{name}-ledger",
        hash_algorithm=hash_algorithm,
        keyring=city.keyring,
        entropy=secrets.token_bytes,
    )
    asyncio.run(making)
    return city


def as_superuser(city: City, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement behind the ledger's back; `{}` stands for the city's schema."""
    with psycopg.connect(city.database.superuser, autocommit=True) as connection:
        cursor = connection.execute(statement.replace("{}", f'"{city.name}"').encode())
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def city(postgres: embedded.Database) -> City:
    """A fresh ledger in the embedded PostgreSQL."""
    return new_city(postgres)


@pytest.fixture
def other_city(postgres: embedded.Database) -> City:
    """A second fresh ledger in the same PostgreSQL."""
    return new_city(postgres)


@pytest.fixture
def city_of_sm3(postgres: embedded.Database) -> City:
    """A fresh ledger whose leaves are SM3."""
    return new_city(postgres, hash_algorithm="sm3")


@pytest.fixture
def city_15(postgres_15: embedded.Database) -> City:
    """A fresh ledger in Debian's PostgreSQL 15."""
    return new_city(postgres_15)
