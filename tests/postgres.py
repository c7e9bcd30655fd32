"""A real PostgreSQL for tests: a server for each process that tests, a database for each test.

    def test_rows_arrive(database: Database) -> None:
        with database.connect() as connection:            # psycopg; committed when the block ends
            connection.execute("create table rows (n integer)")
        assert database.rows("select count(*) from rows") == [(0,)]

`database.url` is for other programs (`postgresql://USER:PASSWORD@127.0.0.1:PORT/NAME`), as are its
fields by themselves; `database.run("-c", "...")` runs `psql` on it. Whatever is left in a database goes
with it. The fixtures are there for every test (`tests/conftest.py`); for type hints:
`from tests.postgres import Database`.

The server comes from PATH, from where systems put it, or from a wheel in `.venv-targets`; where there is
none, tests that ask for a database are skipped, and say so. It listens on 127.0.0.1 only, with a password,
keeps everything in a temporary folder, and writes nothing to the disk for good (no fsync). PostgreSQL
refuses to be root's: then it is `nobody`'s.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    import psycopg

_ROOT: Final = Path(__file__).parent.parent
_PLACES: Final = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # Red Hat
    "/usr/libexec/postgresql*",  # Alpine
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    f"{_ROOT}/.venv-targets*/lib/python*/site-packages/*/pginstall/bin",
)
_USER: Final = "wolkvox"
_SETTINGS: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "shared_buffers": "16MB",
    "max_connections": "40",
    "listen_addresses": "127.0.0.1",
}
_TRIES: Final = 3  # somebody else may take a free port first
_PATIENCE: Final = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class Database:
    """A database of a server that runs; `tools` is where its programs are."""

    name: str
    port: int
    password: str
    tools: Path
    user: str = _USER
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        """Where it is, as programs take it."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{self.name}"

    def connect(self, *, autocommit: bool = False) -> psycopg.Connection[Any]:
        """Return a new connection, to be used as a block."""
        import psycopg  # noqa: PLC0415 - most tests need none

        return psycopg.connect(self.url, autocommit=autocommit)

    def rows(self, query: Any, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        with self.connect() as connection:
            return connection.execute(query, parameters).fetchall()

    def run(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run `psql` with it, stopping at the first error, and return what it prints."""
        program = shutil.which("psql", path=os.pathsep.join((str(self.tools), os.environ["PATH"])))
        assert program is not None, "this PostgreSQL has no psql"
        command = [program, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", self.url, *arguments]
        ran = subprocess.run(command, input=stdin, capture_output=True, check=False)
        assert ran.returncode == 0, ran.stderr.decode()
        return ran.stdout.decode()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Database]:
    """Run a server for all tests of this process; this is its `postgres` database."""
    tools = _find()
    if tools is None:
        pytest.skip("NOT TESTED, no PostgreSQL: install it (Debian, Ubuntu: apt install postgresql)")
    with _served(tools) as server:
        yield server


@pytest.fixture
def database(postgres: Database) -> Iterator[Database]:
    """Make an empty database for this test."""
    name = f"test_{secrets.token_hex(4)}"
    with postgres.connect(autocommit=True) as connection:
        connection.execute(f"create database {name}")
        try:
            yield replace(postgres, name=name)
        finally:
            connection.execute(f"drop database {name} with (force)")


def _find() -> Path | None:
    """Return the folder with the programs of a server."""
    on_path = [Path(found).resolve().parent for found in [shutil.which("postgres")] if found]
    for folder in [*on_path, *(path for place in _PLACES for path in sorted(Path("/").glob(place[1:]), reverse=True))]:
        if all(os.access(folder / program, os.X_OK) for program in ("initdb", "postgres")):
            return folder
    return None


@contextmanager
def _served(tools: Path) -> Iterator[Database]:
    folder = Path(tempfile.mkdtemp(prefix="wolkvox-pg-"))  # not below pytest's, which is closed to others
    owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    try:
        if owner is not None:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        password = _initialised(tools, folder, owner)
        server, port = _started(tools, folder, owner)
        try:
            yield Database("postgres", port, password, tools)
        finally:
            server.send_signal(signal.SIGQUIT)  # at once: nothing is to be kept
            server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _initialised(tools: Path, folder: Path, owner: pwd.struct_passwd | None) -> str:
    """Make the files of a server, and return the password of its user."""
    password = secrets.token_hex(16)
    said = folder / "password"
    said.write_text(password)
    if owner is not None:
        os.chown(said, owner.pw_uid, owner.pw_gid)
    form = ["--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"]
    files = ["--pgdata", str(folder / "data"), "--username", _USER, "--pwfile", str(said)]
    with _start([str(tools / "initdb"), *form, *files], folder, owner) as made:
        if made.wait():
            pytest.skip(f"NOT TESTED, PostgreSQL cannot be set up here: {_log(folder)}")
    return password


def _started(tools: Path, folder: Path, owner: pwd.struct_passwd | None) -> tuple[subprocess.Popen[bytes], int]:
    """Start a server and return it with its port, once it answers."""
    settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
    for _ in range(_TRIES):
        port = _free_port()
        place = ["-D", str(folder / "data"), "-p", str(port), "-k", str(folder)]
        server = _start([str(tools / "postgres"), *place, *settings], folder, owner)
        if _is_ready(server, folder / "data" / "postmaster.pid"):
            return server, port
        server.kill()
        server.wait()
    pytest.skip(f"NOT TESTED, PostgreSQL does not start here: {_log(folder)}")


def _start(command: list[str], folder: Path, owner: pwd.struct_passwd | None) -> subprocess.Popen[bytes]:
    identity: dict[str, Any] = {}
    if owner is not None:
        identity = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env=environment, **identity
        )


def _is_ready(server: subprocess.Popen[bytes], status: Path) -> bool:
    """Wait until the server says that it takes connections; False when it ended instead."""
    deadline = time.monotonic() + _PATIENCE
    while server.poll() is None and time.monotonic() < deadline:
        try:
            if status.read_text().rstrip().endswith("ready"):
                return True
        except FileNotFoundError:
            pass
        time.sleep(0.02)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _log(folder: Path) -> str:
    return (folder / "log").read_text(errors="replace")[-1000:]
