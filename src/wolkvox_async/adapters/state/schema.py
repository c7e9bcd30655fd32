"""The database: its tables, how it is opened, and how it is told from what is none of ours.

A moment takes three columns (see `clocks.Moment`). A token is known by its slot, a dense
number in the order of first sight, so that neighbours in a tenants file share pages.
Nothing in here is a token, only ids of them: 48 bits, as a number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from wolkvox_async.errors import StateError

from .diary import SLOTS

VERSION: Final = 1

_APPLICATION: Final = 0x776F6C6B  # "wolk"
_SHORTLY: Final = 0.1  # seconds

_TABLES: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE tokens (slot INTEGER PRIMARY KEY, token INTEGER NOT NULL UNIQUE)",
    # The last outcome of a question (none: it was only planned), and when the last such request left that was answered.
    """CREATE TABLE calls (
        slot INTEGER NOT NULL, question TEXT NOT NULL, tenant TEXT NOT NULL, operation TEXT NOT NULL,
        server TEXT, outcome TEXT, kind TEXT, message TEXT, at REAL, rows INTEGER, attempts INTEGER, run TEXT,
        due REAL, sent_boot INTEGER, sent_elapsed REAL, sent_wall REAL,
        PRIMARY KEY (slot, question, tenant, operation)) WITHOUT ROWID""",
    """CREATE TABLE refusals (
        slot INTEGER PRIMARY KEY, kind TEXT NOT NULL, message TEXT NOT NULL, seconds REAL NOT NULL,
        end_boot INTEGER, end_elapsed REAL, end_wall REAL)""",
    """CREATE TABLE runs (
        number INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, name TEXT UNIQUE, tenants TEXT NOT NULL,
        output TEXT NOT NULL, at TEXT NOT NULL, complete INTEGER NOT NULL DEFAULT 0, touched REAL NOT NULL,
        ok INTEGER NOT NULL DEFAULT 0, empty INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
        skipped INTEGER NOT NULL DEFAULT 0, held INTEGER NOT NULL DEFAULT 0, rows INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0)""",
    # Tails of calls, 16 characters each, that were settled (sign 1) or unsettled (-1), in this order.
    """CREATE TABLE settled (
        entry INTEGER PRIMARY KEY, run INTEGER NOT NULL, sign INTEGER NOT NULL, tails TEXT NOT NULL)""",
    "CREATE INDEX settled_by_run ON settled (run)",
    """CREATE TABLE outputs (
        path TEXT PRIMARY KEY, device INTEGER NOT NULL, inode INTEGER NOT NULL, position INTEGER NOT NULL,
        touched REAL NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE servers (
        server TEXT PRIMARY KEY, end_boot INTEGER, end_elapsed REAL, end_wall REAL) WITHOUT ROWID""",
)

# Hashes of what answers call a token's operations. Folders that were made before it was thought of lack it.
_NAMES: Final = """CREATE TABLE names (
    slot INTEGER NOT NULL, name INTEGER NOT NULL, PRIMARY KEY (slot, name)) WITHOUT ROWID"""

# Servers whose retries are used up, until when; not in older folders either.
_SHORT: Final = """CREATE TABLE short (
    server TEXT PRIMARY KEY, end_boot INTEGER, end_elapsed REAL, end_wall REAL) WITHOUT ROWID"""

_LATER: Final[Mapping[str, str]] = MappingProxyType({"names": _NAMES, "short": _SHORT, "slots": SLOTS})

_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_ADVICE: Final[Mapping[int, str]] = MappingProxyType(
    {
        sqlite3.SQLITE_FULL: "the disk is full: free space, then run again",
        sqlite3.SQLITE_READONLY: "it may not be written to: change its rights or name another folder with --state",
        sqlite3.SQLITE_CANTOPEN: "it cannot be opened: change its rights or name another folder with --state",
        sqlite3.SQLITE_IOERR: "the device reports an input/output error: check the disk, then run again",
        sqlite3.SQLITE_CORRUPT: "it is damaged: run again, and it is moved aside",
        sqlite3.SQLITE_NOTADB: "it is damaged: run again, and it is moved aside",
    }
)


class DamagedError(Exception):
    """The file is no database, or one that lost its shape."""


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether the file is to blame."""
    return _code(error) in _DAMAGED


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether another process is in the way."""
    return _code(error) in _BUSY


def database_error(path: Path, error: sqlite3.Error) -> StateError:
    """Say what is wrong with the database at `path`, and what to do."""
    return StateError(f"the state folder cannot be used: {path}: {_ADVICE.get(_code(error), str(error))}")


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extension


def connect(
    path: Path, *, read_only: bool = False, immutable: bool = False, patience: float = _SHORTLY
) -> sqlite3.Connection:
    """Open the database at `path`, in autocommit; raises `sqlite3.Error`.

    For `patience` seconds it is waited for others, whenever they have the database locked.
    """
    mode = "?mode=ro&immutable=1" if immutable else "?mode=ro" if read_only else "?mode=rw"
    return sqlite3.connect(f"{path.as_uri()}{mode}", uri=True, isolation_level=None, timeout=patience)


def verify(db: sqlite3.Connection, path: Path) -> bool:
    """Return whether the tables are there; False: the file is empty.

    Raises `DamagedError`, or `StateError` when the file is of a newer version or another program.
    """
    version, application = pragma(db, "user_version"), pragma(db, "application_id")
    if not version and not application:
        if db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            raise StateError(f"the state folder cannot be used: {path} is a database of another program: name another")
        return False
    if application != _APPLICATION:
        raise StateError(f"the state folder cannot be used: {path} is a database of another program: name another")
    if version > VERSION:
        newer = f"a newer wolkvox-async made it (schema {version}, this one knows {VERSION}): use that one"
        raise StateError(f"the state folder cannot be used: {path}: {newer}, or name another folder")
    return True


def check(db: sqlite3.Connection) -> None:
    """Look through the whole file; raises `DamagedError`."""
    try:
        found = [row[0] for row in db.execute("PRAGMA quick_check(1)")]
    except sqlite3.DatabaseError as error:
        raise DamagedError(str(error)) from error
    if found != ["ok"]:
        raise DamagedError(str(found[:1]))


def create(db: sqlite3.Connection, **meta: Any) -> None:
    """Make the tables in an empty file, and note `meta` with them."""
    db.execute("PRAGMA journal_mode = WAL")
    with transaction(db):
        for table in (*_TABLES, *_LATER.values()):
            db.execute(table)
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
        db.execute(f"PRAGMA user_version = {VERSION}")
        write_meta(db, **meta)


def complete(db: sqlite3.Connection) -> None:
    """Make the tables that an older folder lacks; raises `sqlite3.Error`."""
    if all(has_table(db, name) for name in _LATER):
        return
    with transaction(db):
        for name, table in _LATER.items():
            if not has_table(db, name):  # nobody else made it meanwhile
                db.execute(table)


def has_table(db: sqlite3.Connection, name: str) -> bool:
    """Tell whether a table is there; older folders lack some until they are used again."""
    found = db.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?", (name,)).fetchone()
    return bool(found[0])


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Have what happens in the block happen wholly or not at all; raises `sqlite3.Error`."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # A full disk may have rolled back already.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def checkpoint(db: sqlite3.Connection) -> None:
    """Move what is committed from the log into the file, and both onto the disk."""
    db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def pragma(db: sqlite3.Connection, name: str) -> Any:
    """Return the value of a pragma."""
    return db.execute(f"PRAGMA {name}").fetchone()[0]


def read_meta(db: sqlite3.Connection) -> dict[str, Any]:
    """Return what is noted of the folder itself."""
    return dict(db.execute("SELECT name, value FROM meta"))


def write_meta(db: sqlite3.Connection, **values: Any) -> None:
    """Note things of the folder itself."""
    db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())
