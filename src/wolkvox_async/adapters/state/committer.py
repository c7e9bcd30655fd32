"""The state's thread: it alone uses the database, and commits what came together in one go.

- A commit costs as much as hundreds of rows, so the thread lets 20 ms pass before it takes
  what there is, unless somebody waits for it. What comes while it commits is the next group.
- All of a group is in the database when anybody is told, or none of it.
- The first failure is the last: everything queued and everything later fails with it.
- The lock for writing may be with a process that was stopped. Then what is to be written
  waits, for ten minutes at most, while reading goes on.
- The connection is a local variable of the thread's, so a forked process, which has no
  such thread, cannot touch it, be it by accident or at its exit.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final, Protocol, TypeAlias

from wolkvox_async.errors import StateError

from . import schema
from .folder import Folder, unusable

GATHERING: Final = 0.02
"""Seconds that a group gathers for."""

PATIENCE: Final = 600.0
"""Seconds that another process may keep the database locked for."""

_READ_PATIENCE: Final = 30.0
_RECHECK: Final = 0.05
_LARGEST_GROUP: Final = 2_000  # rows: nobody else can write meanwhile


class Work(Protocol):
    """Something to be done in the thread."""

    @property
    def rows(self) -> int:
        """Return about how many rows it writes."""
        ...

    def apply(self, db: sqlite3.Connection) -> None:
        """Do it; raises `sqlite3.Error`, `OSError` or `StateError`, with which everything fails."""
        ...

    def told(self, failure: StateError | None) -> None:
        """Hear, in the event loop, that it is done, or that it failed."""
        ...


Tell: TypeAlias = Callable[[Sequence[Work], StateError | None], None]


@dataclass(frozen=True, slots=True)
class _Reading:
    work: Work


class _Stop:
    """The last thing in the queue."""


class Committer:
    """The queue, and the thread's loop."""

    def __init__(self, folder: Folder, tell: Tell, combine: Callable[[Sequence[Work]], Sequence[Work]]) -> None:
        """`tell` is called in the thread with what is done; `combine` makes one work of several that can be one."""
        self._folder: Final = folder
        self._tell: Final = tell
        self._combine: Final = combine
        self._queue: Final[SimpleQueue[Work | _Reading | _Stop]] = SimpleQueue()
        self._hurry: Final = threading.Event()
        self._never: Final = threading.Event()
        self.failure: StateError | None = None  # never cleared

    def write(self, work: Work, *, hurry: bool = False) -> None:
        """Have `work` done in a transaction, in turn; with `hurry` at once."""
        self._queue.put(work)
        if hurry:
            self._hurry.set()

    def read(self, work: Work) -> None:
        """Have `work`, which only reads, done at once, ahead of what waits to be written."""
        self._queue.put(_Reading(work))
        self._hurry.set()

    def stop(self) -> None:
        """Have the thread end when everything queued is done."""
        self._queue.put(_Stop())
        self._hurry.set()

    def run(self, db: sqlite3.Connection) -> None:
        """Do what is queued until `stop`; this is the thread's."""
        writes: list[Work] = []
        waited = 0.0
        stopping = False
        while writes or not stopping:
            stopping = self._collect(db, writes) or stopping
            if not writes:
                continue
            if self._commit(db, writes, patient=waited < PATIENCE):
                writes, waited = [], 0.0
            else:
                self._never.wait(_RECHECK)
                waited += 2 * _RECHECK

    def _collect(self, db: sqlite3.Connection, writes: list[Work]) -> bool:
        """Take what is queued, waiting for some if there is nothing to write; True when there is an end to it."""
        if not writes:
            if self._take(db, self._queue.get(), writes):
                return True
            if writes:
                self._hurry.wait(GATHERING)
        self._hurry.clear()
        rows = sum(work.rows for work in writes)
        while rows < _LARGEST_GROUP:
            try:
                item = self._queue.get_nowait()
            except Empty:
                return False
            if self._take(db, item, writes):
                return True
            rows += item.rows if not isinstance(item, _Reading | _Stop) else 0
        return False

    def _take(self, db: sqlite3.Connection, item: Work | _Reading | _Stop, writes: list[Work]) -> bool:
        if isinstance(item, _Stop):
            return True
        if isinstance(item, _Reading):
            self._read(db, item.work)
        else:
            writes.append(item)
        return False

    def _read(self, db: sqlite3.Connection, work: Work) -> None:
        waited = 0.0
        while self._attempt(work.apply, db, patient=waited < _READ_PATIENCE):
            self._never.wait(_RECHECK)
            waited += 2 * _RECHECK
        self._tell((work,), self.failure)

    def _commit(self, db: sqlite3.Connection, writes: Sequence[Work], *, patient: bool) -> bool:
        """Write the group; False when that has to be tried again."""
        combined = self._combine(writes)

        def write(db: sqlite3.Connection) -> None:
            with schema.transaction(db):
                for work in combined:
                    work.apply(db)

        if self._attempt(write, db, patient=patient):
            return False
        self._tell(writes, self.failure)
        return True

    def _attempt(self, work: Callable[[sqlite3.Connection], None], db: sqlite3.Connection, *, patient: bool) -> bool:
        """Do `work` unless something has failed; True when it has to be tried again."""
        if self.failure is not None:
            return False
        try:
            work(db)
        except StateError as error:
            self.failure = error
        except OSError as error:
            self.failure = unusable(self._folder.root, error)
        except sqlite3.Error as error:
            if patient and schema.is_busy(error):
                return True
            self.failure = schema.database_error(self._folder.database, error)
        return False
