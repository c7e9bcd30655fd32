"""The store in one file of SQLite: for the processes of one machine, and for one after another.

    store = await SqliteStore.open(path)
    ...
    await store.close()

A thread has the database, and does one thing after the other; the event loop never waits
for the disk. A write is one transaction, which survives a power cut when it is confirmed.
Somebody else who writes is waited for; whoever holds the file for longer than the deadline
makes the store unavailable, and nothing was written then. A forked process must open its own.

    keys(key, revision, value)                            the key's own number of writes
    messages(sequence, partition, token, payload)         nothing is ever removed
    tokens(partition, token, last)                        the sequence of the token's last message
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from wolkvox_async.errors import StateError, StoreUnavailableError
from wolkvox_async.ports.store import Append, Appended, Conflict, Full, Held, Message, Stored

_Answer = TypeVar("_Answer")

_APPLICATION: Final = 0x776B7873  # "wkxs"
_VERSION: Final = 1
_PAGE: Final = 1_024  # messages that are read at once
_LARGEST_TAIL: Final = 10_000
_WAITED_FOR: Final = ("SQLITE_BUSY", "SQLITE_LOCKED")

_SCHEMA: Final = f"""
    PRAGMA application_id = {_APPLICATION};
    PRAGMA user_version = {_VERSION};
    CREATE TABLE keys (key TEXT PRIMARY KEY, revision INTEGER NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE messages (
        sequence INTEGER PRIMARY KEY, partition INTEGER NOT NULL, token TEXT NOT NULL, payload BLOB NOT NULL
    );
    CREATE TABLE tokens (
        partition INTEGER NOT NULL, token TEXT NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (partition, token)
    ) WITHOUT ROWID;
"""
_LAST: Final = """
    SELECT sequence, messages.partition, messages.token, payload FROM tokens JOIN messages ON sequence = last
    WHERE tokens.partition = ? AND tokens.token {} ORDER BY tokens.token LIMIT {}
"""


class SqliteStore:
    """The `Store` of a file; use it in the event loop that opened it."""

    def __init__(self, path: Path, deadline: float) -> None:
        """Use `open`."""
        self._path: Final = path
        self._deadline: Final = deadline
        # One thread, so whatever is asked first is done first.
        self._thread: Final = ThreadPoolExecutor(1, thread_name_prefix="wolkvox-store")
        self._db: sqlite3.Connection | None = None

    @classmethod
    async def open(cls, path: Path, *, deadline: float = 5.0, most_bytes: int | None = None) -> SqliteStore:
        """Open the file, which is made if need be; raises `StateError`.

        Others are waited for `deadline` seconds; with `most_bytes` the file grows no larger than that.
        """
        store = cls(path, deadline)
        try:
            store._db = await store._run(lambda: _opened(path, deadline, most_bytes))
        except BaseException:
            store._thread.shutdown(wait=False)
            raise
        return store

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def keys(self) -> Mapping[str, Held]:
        """Return all keys, as they are now."""
        rows = await self._ask(lambda db: db.execute("SELECT key, revision, value FROM keys").fetchall())
        return {key: Held(revision, value) for key, revision, value in rows}

    async def cas(self, key: str, expected: int, value: bytes) -> Stored | Conflict:
        """Write a key whose revision is `expected` (0: it does not exist)."""
        return await self._ask(lambda db: _cas(db, key, expected, value))

    async def load(self, partition: int) -> AsyncIterator[Message]:
        """Yield the last message of each token of a partition."""
        query, behind = _LAST.format("> ?", _PAGE), ""
        while rows := await self._ask(lambda db: db.execute(query, (partition, behind)).fetchall()):  # noqa: B023
            for row in rows:
                yield Message(*row)
            behind = rows[-1][2]

    async def append(self, appends: Sequence[Append]) -> Sequence[Appended]:
        """Append messages; what became of each stands at its place."""
        return await self._ask(lambda db: _append(db, appends))

    async def last(self, partition: int, token: str) -> Message | None:
        """Return the last message of a token."""
        row = await self._ask(lambda db: db.execute(_LAST.format("= ?", 1), (partition, token)).fetchone())
        return None if row is None else Message(*row)

    async def tail(self, after: int, most: int) -> Sequence[Message]:
        """Return the messages behind the sequence `after`, at most so many."""
        query = "SELECT sequence, partition, token, payload FROM messages WHERE sequence > ? ORDER BY sequence LIMIT ?"
        rows = await self._ask(lambda db: db.execute(query, (after, min(most, _LARGEST_TAIL))).fetchall())
        return [Message(*row) for row in rows]

    async def close(self) -> None:
        """Do what was asked before, close the file and end the thread."""
        db, self._db = self._db, None
        if db is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, db.close)
            self._thread.shutdown()

    async def _ask(self, work: Callable[[sqlite3.Connection], _Answer]) -> _Answer:
        db = self._db
        if db is None:
            raise StateError("the store was closed")
        return await self._run(lambda: work(db))

    async def _run(self, work: Callable[[], _Answer]) -> _Answer:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            failure = _failure(self._path, self._deadline, error)
        raise failure


def _opened(path: Path, deadline: float, most_bytes: int | None) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=deadline, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        _make(db, path)
        if most_bytes is not None:
            size: int = db.execute("PRAGMA page_size").fetchone()[0]
            db.execute(f"PRAGMA max_page_count = {max(most_bytes // size, 1)}")
    except BaseException:
        db.close()
        raise
    return db


def _make(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables in a new file; raises `StateError` for a file that is something else."""
    with _Transaction(db):
        application: int = db.execute("PRAGMA application_id").fetchone()[0]
        version: int = db.execute("PRAGMA user_version").fetchone()[0]
        tables: int = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if (application, version, tables) == (0, 0, 0):
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
        elif application != _APPLICATION:
            raise StateError(f"{path}: this is no store of wolkvox-async: name another file")
        elif version != _VERSION:
            raise StateError(f"{path}: this store was written by another version of wolkvox-async (format {version})")


class _Transaction:
    """A transaction that has the lock for writing from its beginning."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db: Final = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:  # it failed, and a full disk has not ended it already
                self._db.execute("ROLLBACK")


def _cas(db: sqlite3.Connection, key: str, expected: int, value: bytes) -> Stored | Conflict:
    with _Transaction(db):
        row = db.execute("SELECT revision FROM keys WHERE key = ?", (key,)).fetchone()
        if (row[0] if row else 0) != expected:
            return Conflict()
        db.execute("INSERT OR REPLACE INTO keys VALUES (?, ?, ?)", (key, expected + 1, value))
    return Stored(expected + 1)


def _append(db: sqlite3.Connection, appends: Sequence[Append]) -> Sequence[Appended]:
    try:
        with _Transaction(db):
            return [_append_one(db, append) for append in appends]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname != "SQLITE_FULL":
            raise
    if len(appends) == 1:
        return [Full()]
    return [_append(db, [append])[0] for append in appends]  # there may be room for some


def _append_one(db: sqlite3.Connection, append: Append) -> Appended:
    place = (append.partition, append.token)
    row = db.execute("SELECT last FROM tokens WHERE partition = ? AND token = ?", place).fetchone()
    if (row[0] if row else 0) != append.expected:
        return Conflict()
    written = db.execute(
        "INSERT INTO messages (partition, token, payload) VALUES (?, ?, ?)", (*place, append.payload)
    ).lastrowid
    assert written is not None  # noqa: S101 - SQLite gives every row a number
    db.execute("INSERT OR REPLACE INTO tokens VALUES (?, ?, ?)", (*place, written))
    return Stored(written)


def _failure(path: Path, deadline: float, error: sqlite3.Error) -> StateError:
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if name.startswith(_WAITED_FOR):
        return StoreUnavailableError(f"{path}: another process kept the store locked for {deadline:g} s")
    if name == "SQLITE_FULL":
        return StoreUnavailableError(f"{path}: there is no room for the store")
    return StateError(f"{path}: the store cannot be used ({name})")
