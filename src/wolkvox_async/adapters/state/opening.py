"""Opening a state folder: made, looked through, mended; and the worst assumed where it lost its memory.

Everything that changes more than a row happens while nobody else is in the folder.

- After a boot the lease file means nothing. A call may have been lost right before the
  crash, so no token may be used before the machine has been up for the longest `hold`
  that was ever announced; that number is in the database and on the disk.
- A damaged database is moved aside with its lease file. A lease file that is damaged,
  missing or another database's is made anew from the database. Either way nothing may be
  sent with any token for the longest hold, and every question counts as asked just now.
- Whatever the moment a kill hits this at, the next opening does it again, or finds it done.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from wolkvox_async.errors import StateError

from . import schema
from .clocks import Clocks, Era, Moment
from .folder import Folder, Presence, unusable
from .locks import Locks, open_locks
from .pruning import prune
from .slots import Slots, read_longest, write_slots

DEFAULT_HOLD: Final = 130.0
"""Seconds that a lost call may be at work for, where nobody knows better."""

_MODE: Final = 0o600
_LOG_LIMIT: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Opened:
    """An open folder; `damaged` is when it last lost its memory, if it ever did."""

    folder: Folder
    presence: Presence
    token_locks: Locks
    run_locks: Locks
    slots: Slots
    era: Era
    damaged: Moment | None
    notices: tuple[str, ...]

    def close(self) -> None:
        """Give everything back."""
        self.slots.close()
        self.run_locks.close()
        self.token_locks.close()
        self.presence.leave()


def open_state(root: Path, clocks: Clocks, *, power: bool) -> tuple[Opened, sqlite3.Connection]:
    """Open the folder `root`, which is made if need be, and its database; raises `StateError`."""
    folder = Folder(root)
    with ExitStack() as undo:
        presence = Presence(folder)
        undo.callback(presence.leave)
        try:
            db, notices = _Opening(folder, clocks, undo).all() if presence.alone else (_join(folder, clocks, undo), ())
            schema.complete(db)
            opened = _opened(folder, presence, db, clocks, notices)
            undo.callback(opened.slots.close)
            _configure(db, power=power)
        except OSError as error:
            raise unusable(Path(error.filename or root), error) from error
        except sqlite3.Error as error:
            raise schema.database_error(folder.database, error) from error
        presence.settle_in()
        undo.pop_all()
    return opened, db


def _opened(
    folder: Folder, presence: Presence, db: sqlite3.Connection, clocks: Clocks, notices: tuple[str, ...]
) -> Opened:
    meta = schema.read_meta(db)
    with ExitStack() as undo:
        token_locks = open_locks(folder.token_locks)
        undo.callback(token_locks.close)
        run_locks = open_locks(folder.run_locks)
        undo.callback(run_locks.close)
        slots = _paired_slots(folder, meta)
        era = Era(clocks, meta["boots"])
        opened = Opened(folder, presence, token_locks, run_locks, slots, era, damage_of(meta), notices)
        undo.pop_all()
    return opened


def damage_of(meta: dict[str, Any]) -> Moment | None:
    """Return when the folder last lost its memory."""
    if "damaged_boot" not in meta:
        return None
    return Moment(meta["damaged_boot"], meta["damaged_elapsed"], meta["damaged_wall"])


def _paired_slots(folder: Folder, meta: dict[str, Any]) -> Slots:
    try:
        slots = Slots(folder.leases)
    except (FileNotFoundError, ValueError):
        raise _damaged_in_use(folder.leases) from None
    if slots.pair != meta["pair"]:
        slots.close()
        raise _damaged_in_use(folder.leases)
    return slots


def _damaged_in_use(path: Path) -> StateError:
    busy = "it is missing or damaged, and other processes use the folder: end them, then run again"
    return StateError(f"the state folder cannot be used: {path}: {busy}")


def _configure(db: sqlite3.Connection, *, power: bool) -> None:
    db.execute(f"PRAGMA synchronous = {'FULL' if power else 'NORMAL'}")
    db.execute(f"PRAGMA journal_size_limit = {_LOG_LIMIT}")


def _join(folder: Folder, clocks: Clocks, undo: ExitStack) -> sqlite3.Connection:
    """Open the database that others have open."""
    db = schema.connect(folder.database)
    undo.callback(db.close)
    try:
        if not schema.verify(db, folder.database):
            raise _damaged_in_use(folder.database)
    except sqlite3.Error as error:
        raise (_damaged_in_use(folder.database) if schema.is_damage(error) else error) from error
    if schema.read_meta(db).get("boot") != clocks.boot:
        elsewhere = "a process of another machine uses it: give every machine a folder of its own"
        raise StateError(f"the state folder cannot be used: {folder.root}: {elsewhere}")
    return db


class _Opening:
    """Opens the folder for somebody who is alone in it."""

    def __init__(self, folder: Folder, clocks: Clocks, undo: ExitStack) -> None:
        self._folder = folder
        self._clocks = clocks
        self._undo = undo
        self._notices: list[str] = []
        self._stamp = datetime.fromtimestamp(clocks.wall(), UTC).strftime("%Y%m%dT%H%M%SZ")

    def all(self) -> tuple[sqlite3.Connection, tuple[str, ...]]:
        """Return the database, mended where need be, and what is to be said about it."""
        db = self._database()
        db.execute("PRAGMA synchronous = FULL")
        meta = schema.read_meta(db)
        if meta["boot"] != self._clocks.boot:
            self._after_boot(db, meta)
        elif not self._has_leases(db, meta):
            self._without_leases(db, meta)
        prune(db, self._clocks.wall())
        return db, tuple(self._notices)

    def _database(self) -> sqlite3.Connection:
        db = self._connect()
        try:
            if schema.verify(db, self._folder.database):
                schema.check(db)
                return db
        except sqlite3.Error as error:
            if not schema.is_damage(error):
                raise
            return self._without_database(db)
        except schema.DamagedError:
            return self._without_database(db)
        if self._is_pristine():
            self._create(db, 0.0, 0.0)
        else:
            self._lost(db, f"{self._folder.database} is missing")
        return db

    def _connect(self) -> sqlite3.Connection:
        path = self._folder.database
        # Made by us, so that nobody else may ever read it; SQLite's other files get the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE))
        db = schema.connect(path)
        self._undo.callback(db.close)
        return db

    def _is_pristine(self) -> bool:
        """Tell whether nothing was ever remembered here, as opposed to forgotten."""
        try:
            slots = Slots(self._folder.leases)
        except FileNotFoundError:
            return True
        except ValueError:
            return False
        try:
            return slots.is_pristine()
        finally:
            slots.close()

    def _without_database(self, db: sqlite3.Connection) -> sqlite3.Connection:
        db.close()
        path = self._folder.database
        lost = (path, path.with_name("state.db-wal"), path.with_name("state.db-shm"))
        # First the new lease file: from then on every opening that is killed is continued as this one.
        aside = self._folder.copy_aside(self._folder.leases, self._stamp)
        longest = max(read_longest(self._folder.leases), DEFAULT_HOLD)
        write_slots(self._folder.leases, bytes(16), (), self._clocks.monotonic() + longest, longest)
        moved = self._folder.set_aside(lost, self._stamp)
        fresh = self._connect()
        self._lost(fresh, f"{path} was damaged and is now {moved.name}" + (f" (with {aside.name})" if aside else ""))
        return fresh

    def _lost(self, db: sqlite3.Connection, what: str) -> None:
        longest = max(read_longest(self._folder.leases), DEFAULT_HOLD)
        self._create(db, self._clocks.monotonic() + longest, longest)
        self._notices.append(_loud(what, longest))

    def _create(self, db: sqlite3.Connection, busy: float, longest: float) -> None:
        pair = secrets.token_bytes(16)
        write_slots(self._folder.leases, pair, (), busy, longest)
        damage = self._damage(1) if busy else {}
        db.execute("PRAGMA synchronous = FULL")
        schema.create(db, pair=pair, boot=self._clocks.boot, boots=1, longest=longest, **damage)
        self._folder.sync()

    def _damage(self, boots: int) -> dict[str, float]:
        now = Era(self._clocks, boots).moment(0.0)
        return {"damaged_boot": now.boot, "damaged_elapsed": now.elapsed, "damaged_wall": now.wall}

    def _after_boot(self, db: sqlite3.Connection, meta: dict[str, Any]) -> None:
        longest = max(meta["longest"], read_longest(self._folder.leases))
        write_slots(self._folder.leases, meta["pair"], _tokens(db), longest, longest)
        with schema.transaction(db):
            schema.write_meta(db, boot=self._clocks.boot, boots=meta["boots"] + 1, longest=longest)

    def _has_leases(self, db: sqlite3.Connection, meta: dict[str, Any]) -> bool:
        try:
            slots = Slots(self._folder.leases)
        except (FileNotFoundError, ValueError):
            return False
        try:
            return bool(slots.pair == meta["pair"]) and slots.is_sound(_tokens(db), self._clocks.monotonic())
        finally:
            slots.close()

    def _without_leases(self, db: sqlite3.Connection, meta: dict[str, Any]) -> None:
        leases = self._folder.leases
        aside = self._folder.copy_aside(leases, self._stamp)
        longest = max(meta["longest"], read_longest(leases), DEFAULT_HOLD)
        with schema.transaction(db):
            schema.write_meta(db, **self._damage(meta["boots"]))
        write_slots(leases, meta["pair"], _tokens(db), self._clocks.monotonic() + longest, longest)
        what = f"was damaged and is now {aside.name}" if aside else "was missing"
        self._notices.append(_loud(f"{leases} {what}", longest))


def _tokens(db: sqlite3.Connection) -> list[tuple[int, int]]:
    return db.execute("SELECT slot, token FROM tokens").fetchall()


def _loud(what: str, longest: float) -> str:
    return (
        f"STATE LOST: {what}. The worst is assumed: nothing is sent with any token for {longest:g} s, "
        "and every call counts as made just now"
    )
