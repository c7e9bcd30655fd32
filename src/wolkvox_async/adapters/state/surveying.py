"""What a state folder knows, for people: read without disturbing anybody who works in it.

Nothing is locked, written or mended; a folder that may only be read will do. Asking the
kernel whether somebody has a lock (`F_OFD_GETLK`) takes none.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal

from wolkvox_async.counters import Counters
from wolkvox_async.errors import StateError
from wolkvox_async.ports import Refusal

from . import schema
from .clocks import Clocks, Era, Moment, machine_clocks
from .folder import Folder, unusable
from .locks import HAS_OPEN_FILE_LOCKS, KernelLocks
from .opening import damage_of
from .refusals import READ_REFUSALS, Closure
from .slots import Slots, Why
from .tokens import token_id

_PATIENCE: Final = 10.0  # seconds: whoever opens or closes the folder has it to himself for a moment
_CALLS: Final = """SELECT token, question, tenant, operation, server, outcome, kind, message, at, rows, attempts, run,
    due, sent_boot, sent_elapsed, sent_wall FROM calls JOIN tokens USING (slot) ORDER BY tenant, operation, question"""
_RUNS: Final = """SELECT number, run, name, tenants, output, at, complete, touched,
    ok, empty, failed, skipped, held, rows, attempts FROM runs ORDER BY number"""


class Closing(StrEnum):
    """Why nobody may use a token for a while."""

    IN_FLIGHT = "in_flight"
    """An attempt is going on."""
    LOST = "lost"
    """An attempt was going on when its process died: the vendor may still be at work."""
    AT_WORK = "at_work"
    """An attempt ended, and the vendor may still be at work on it (server limit)."""
    PAUSE = "pause"
    """An attempt ended, and so much time is to pass before the next (token gap)."""
    UNKNOWN = "unknown"
    """The machine crashed or a file was damaged: there may have been an attempt."""


@dataclass(frozen=True, slots=True)
class LastCall:
    """The last outcome of a question, or None: it was planned, and no call of it has ended yet.

    `noted` is when it ended, or else when it was planned last, and `run` the run that did so;
    `since` (s) and `sent` tell when the last answered request left.
    `due` is when it may be made again: what an answer said of it holds until the next answer.
    """

    tenant: str
    operation: str
    server: str
    token: str
    question: str
    outcome: str | None
    kind: str | None
    message: str | None
    noted: datetime
    rows: int
    attempts: int
    run: str
    due: datetime | None
    since: float | None
    sent: datetime | None

    @property
    def path(self) -> str:
        """The name by which its operation is addressed."""
        return f"{self.tenant}/{self.operation}"

    @property
    def at(self) -> datetime | None:
        """When it ended."""
        return None if self.outcome is None else self.noted


@dataclass(frozen=True, slots=True)
class TokenState:
    """A token: whether somebody holds it, for how many seconds nobody else may use it and why, its refusal."""

    held: bool = False
    closed_for: float = 0.0
    closing: Closing | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class RunState:
    """A run, and what it came to so far; `touched` is when something last happened in it."""

    id: str
    name: str | None
    tenants: str
    output: str
    at: datetime
    touched: datetime
    alive: bool
    complete: bool
    counters: Counters


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything a state folder knows; `damaged_for` is how many seconds ago it last lost its memory.

    Servers that are down with the seconds until their next probe, and those whose retries
    are used up with the seconds until all calls that wait for one have had it.
    """

    calls: tuple[LastCall, ...]
    tokens: Mapping[str, TokenState]
    runs: tuple[RunState, ...]
    servers_down: Mapping[str, float]
    damaged_for: float | None
    servers_short: Mapping[str, float] = field(default_factory=dict)


def survey(root: Path, clocks: Clocks | None = None) -> Survey:
    """Read the state folder `root`; raises `StateError` when there is none, or it cannot be read."""
    folder = Folder(root)
    try:
        if not folder.database.exists():
            raise _nothing(folder)
        with closing(_read(folder)) as db, ExitStack() as closing_all:
            return _Surveyor(folder, db, clocks or machine_clocks(), closing_all).survey()
    except OSError as error:
        raise unusable(Path(error.filename or root), error) from error
    except sqlite3.Error as error:
        raise schema.database_error(folder.database, error) from error


def _read(folder: Folder) -> sqlite3.Connection:
    """Open the database, to be read as it stands at this moment."""
    try:
        return _begun(folder, schema.connect(folder.database, read_only=True, patience=_PATIENCE))
    except sqlite3.OperationalError:
        # Where no file may be made, a log cannot be read without its index; with no log there is no need to.
        log = folder.database.with_name("state.db-wal")
        if os.access(folder.root, os.W_OK) or (log.exists() and log.stat().st_size):
            raise
    return _begun(folder, schema.connect(folder.database, immutable=True))


def _begun(folder: Folder, db: sqlite3.Connection) -> sqlite3.Connection:
    with ExitStack() as undo:
        undo.callback(db.close)
        db.execute("BEGIN")
        if not schema.verify(db, folder.database):
            raise _nothing(folder)
        undo.pop_all()
    return db


def _nothing(folder: Folder) -> StateError:
    return StateError(f"there is no state in {folder.root}: fetch first, or name another folder with --state")


class _Surveyor:
    def __init__(self, folder: Folder, db: sqlite3.Connection, clocks: Clocks, closing_all: ExitStack) -> None:
        self._db = db
        self._meta: Final = schema.read_meta(db)
        self._clocks: Final = clocks
        self._same_boot: Final[bool] = self._meta["boot"] == clocks.boot
        self._era: Final = Era(clocks, self._meta["boots"] + (not self._same_boot))
        self._is_held: Final = _asker(folder.token_locks, folder.lock, closing_all)
        self._is_alive: Final = _asker(folder.run_locks, folder.lock, closing_all)
        self._slots: Final = _slots(folder) if self._same_boot else None
        if self._slots is not None:
            closing_all.callback(self._slots.close)

    def survey(self) -> Survey:
        damaged = damage_of(self._meta)
        return Survey(
            calls=tuple(map(self._call, self._db.execute(_CALLS))),
            tokens=self._tokens(),
            runs=tuple(map(self._run, self._db.execute(_RUNS))),
            servers_down=self._servers("servers"),
            servers_short=self._servers("short") if schema.has_table(self._db, "short") else {},
            damaged_for=None if damaged is None else max(self._era.age(damaged), 0.0),
        )

    def _call(self, row: Sequence[Any]) -> LastCall:
        token, question, tenant, operation, server, outcome, kind, message, at, rows, attempts, run, due, *sent = row
        since = None if sent[0] is None else max(self._era.age(Moment(*sent)), 0.0)
        return LastCall(
            tenant=tenant,
            operation=operation,
            server=server,
            token=token_id(token),
            question=question,
            outcome=outcome,
            kind=kind,
            message=message,
            noted=_utc(at),
            rows=rows or 0,
            attempts=attempts or 0,
            run=run,
            due=None if due is None else _utc(due),
            since=since,
            sent=None if since is None else _utc(sent[2]),
        )

    def _tokens(self) -> dict[str, TokenState]:
        refusals = {slot: Closure.of_row(row).refusal(self._era) for slot, *row in self._db.execute(READ_REFUSALS)}
        return {
            token_id(token): self._token(slot, token, refusals.get(slot))
            for slot, token in self._db.execute("SELECT slot, token FROM tokens")
        }

    def _token(self, slot: int, token: int, refusal: Refusal | None) -> TokenState:
        held = self._is_held(token)
        busy, why = self._closure(slot)
        left = max(busy - self._clocks.monotonic(), 0.0)
        if not left:
            return TokenState(held=held, refusal=refusal)
        return TokenState(held, left, _closing(why, held=held), refusal)

    def _closure(self, slot: int) -> tuple[float, Why]:
        if self._slots is None:
            return self._meta["longest"], Why.UNKNOWN
        if slot >= self._slots.capacity:
            return 0.0, Why.NOTHING
        return self._slots.read(slot)[0], self._slots.why(slot)

    def _run(self, row: Sequence[Any]) -> RunState:
        number, run, name, tenants, output, at, complete, touched, *sums = row
        ok, empty, failed, skipped, held, rows, attempts = sums
        return RunState(
            id=run,
            name=name,
            tenants=tenants,
            output=output,
            at=datetime.fromisoformat(at),
            touched=_utc(touched),
            alive=self._is_alive(number),
            complete=bool(complete),
            counters=Counters(
                ok=ok, empty=empty, failed=failed, skipped=skipped, held=held, rows=rows, attempts=attempts
            ),
        )

    def _servers(self, table: Literal["servers", "short"]) -> dict[str, float]:
        rows = self._db.execute(f"SELECT server, end_boot, end_elapsed, end_wall FROM {table} ORDER BY server")  # noqa: S608
        left = {server: -self._era.age(Moment(*end)) for server, *end in rows}
        return {server: seconds for server, seconds in left.items() if seconds > 0}


def _asker(paths: Sequence[Path], lock: Path, closing_all: ExitStack) -> Callable[[int], bool]:
    """Return what tells whether a number is locked by anybody."""
    if not HAS_OPEN_FILE_LOCKS:
        inside = _is_inside(lock)
        return lambda _: inside
    descriptors: list[int] = []
    for path in paths:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return lambda _: False
        closing_all.callback(os.close, descriptor)
        descriptors.append(descriptor)
    return KernelLocks(descriptors).is_taken


def _slots(folder: Folder) -> Slots:
    try:
        return Slots(folder.leases, readable_only=True)
    except (FileNotFoundError, ValueError):
        damaged = "it is missing or damaged: fetch once more, and it is made anew"
        raise StateError(f"the state folder cannot be used: {folder.leases}: {damaged}") from None


def _closing(why: Why, *, held: bool) -> Closing:
    match why:
        case Why.IN_FLIGHT:
            return Closing.IN_FLIGHT if held else Closing.LOST
        case Why.AT_WORK:
            return Closing.AT_WORK
        case Why.PAUSE:
            return Closing.PAUSE
        case _:
            return Closing.UNKNOWN


def _is_inside(lock: Path) -> bool:
    """Tell whether a process has the folder for itself, where one has to."""
    descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
