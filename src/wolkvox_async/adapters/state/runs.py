"""Runs: which calls of each are settled, and what they came to.

A run is alive while its process has the kernel's lock on its number. The tails of settled
calls are stored as one text per group, 16 characters each, and once more for those that
are taken back; read in their order they give what is settled. They are not kept in memory:
who has the run open settles a call that ended ok or empty once. An adopted mark may be told
any number of times, so adoption reads them, and leaves runs alone that are open here.

What is settled under the id of a run that is not open here counts for its tokens only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from wolkvox_async.counters import Counters
from wolkvox_async.errors import RunError
from wolkvox_async.marks import Mark, tail
from wolkvox_async.ports import OpenRun, Place, RunOrder

from .clocks import Clocks
from .locks import Locks

Row: TypeAlias = tuple[Any, ...]

TAIL: Final = 16
_COUNTERS: Final = ("ok", "empty", "failed", "skipped", "held", "rows", "attempts")
_ADD: Final = f"UPDATE runs SET {', '.join(f'{name} = {name} + ?' for name in _COUNTERS)}, touched = ? WHERE number = ?"  # noqa: S608
_FIND: Final = "SELECT number, run, name, tenants, output, at, complete, ok, empty, rows, attempts FROM runs"


def other_output(run: str, output: str) -> RunError:
    """Say that the run has another output."""
    return RunError([f"run {run} writes to {output!r}: a run has one output, so give this one another name"])


def alive_elsewhere(run: str) -> RunError:
    """Say that somebody works on the run."""
    return RunError([f"run {run} is alive in another process: wait until that one has ended"])


def taken_id(run: str) -> RunError:
    """Say that a new run has an old one's id."""
    return RunError([f"there is a run {run} already"])


def no_run(name: str) -> RunError:
    """Say that there is no run of this name."""
    return RunError([f"there is no run {name} to resume"])


def nothing_to_resume() -> RunError:
    """Say that no run fits."""
    return RunError(["there is no run to resume: none over these tenants and this output is incomplete"])


def add(sums: Counters, counters: Counters) -> None:
    """Add `counters` to `sums`."""
    for name in _COUNTERS:
        setattr(sums, name, getattr(sums, name) + getattr(counters, name))


def count(counters: Counters, mark: Mark, sign: int = 1) -> None:
    """Add a mark to `counters`, or (`sign` -1) take it out."""
    counters.attempts += sign * mark.attempts
    match mark.outcome:
        case "ok":
            counters.ok += sign
            counters.rows += sign * mark.rows
        case "empty":
            counters.empty += sign
        case "failed":
            counters.failed += sign
        case "skipped":
            counters.skipped += sign
            counters.held += sign * (mark.kind != "not_due")


@dataclass(slots=True)
class Settled:
    """The tails of a run's settled calls, so that none counts twice: those `before`, and what changed since."""

    number: int
    output: str
    before: frozenset[str]
    added: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)

    def all(self) -> frozenset[str]:
        """Return everything that is settled."""
        return self.before - self.removed | self.added

    def add(self, tail: str) -> bool:
        """Add `tail`; False when it was there."""
        if tail in self.removed:
            self.removed.discard(tail)
            return True
        if tail in self.before or tail in self.added:
            return False
        self.added.add(tail)
        return True

    def remove(self, tail: str) -> bool:
        """Take `tail` out; False when it was not there."""
        if tail in self.added:
            self.added.discard(tail)
            return True
        if tail in self.removed or tail not in self.before:
            return False
        self.removed.add(tail)
        return True

    def count(self, marks: Iterable[Mark], sign: int = 1) -> Tally:
        """Settle `marks`, or (`sign` -1) take them back; returns what that changes."""
        change = self.add if sign > 0 else self.remove
        return tally([mark for mark in marks if not mark.remembered or change(tail(mark.call))], sign)


@dataclass(frozen=True, slots=True)
class Tally:
    """What marks come to, and the tails of those that end a call for good."""

    sums: Counters
    tails: str


def tally(marks: Iterable[Mark], sign: int = 1) -> Tally:
    """Add `marks` up; with `sign` -1 they are to be taken back."""
    sums, tails = Counters(), []
    for mark in marks:
        count(sums, mark, sign)
        if mark.remembered:
            tails.append(tail(mark.call))
    return Tally(sums, "".join(tails))


@dataclass(frozen=True, slots=True)
class _Alive:
    number: int
    output: str


class Runs:
    """The runs of a folder; in the state's thread only."""

    def __init__(self, locks: Locks, clocks: Clocks) -> None:
        self._locks: Final = locks
        self._clocks: Final = clocks
        self._open: Final[dict[str, _Alive]] = {}

    def open(self, db: sqlite3.Connection, order: RunOrder) -> OpenRun:
        """Begin or take up a run; raises `RunError` before anything is changed."""
        row = _wanted(db, order)
        if row is None:
            return self._begin(db, order)
        number, run, _name, _tenants, output, at, _complete, *sums = row
        if output != order.output:
            raise other_output(order.name or run, output)
        if run in self._open or not self._locks.take(number):
            raise alive_elsewhere(order.name or run)
        settled = frozenset(read_settled(db, number))
        self._open[run] = _Alive(number, output)
        ok, empty, rows, attempts = sums
        # What failed or was skipped is tried again, and then counts as it ends then.
        clear = "UPDATE runs SET complete = 0, failed = 0, skipped = 0, held = 0, touched = ? WHERE number = ?"
        db.execute(clear, (self._clocks.wall(), number))
        return OpenRun(
            id=run,
            at=datetime.fromisoformat(at),
            resumed=True,
            settled=settled,
            counters=Counters(ok=ok, empty=empty, rows=rows, attempts=attempts),
        )

    def _begin(self, db: sqlite3.Connection, order: RunOrder) -> OpenRun:
        row = (order.id, order.name, order.tenants, order.output, order.at.astimezone(UTC).isoformat())
        begin = "INSERT INTO runs (run, name, tenants, output, at, touched) VALUES (?, ?, ?, ?, ?, ?)"
        try:
            number = db.execute(begin, (*row, self._clocks.wall())).lastrowid or 0
        except sqlite3.IntegrityError:
            raise taken_id(order.id) from None
        self._locks.take(number)
        self._open[order.id] = _Alive(number, order.output)
        return OpenRun(id=order.id, at=order.at)

    def settle(self, db: sqlite3.Connection, run: str, counted: Tally, position: int | None) -> None:
        """Note what was delivered of the run, and where its output ends."""
        alive = self._open.get(run)
        if alive is None:
            return
        self._write(db, alive.number, counted, 1)
        if position is not None:
            moved = "UPDATE outputs SET position = ?, touched = ? WHERE path = ?"
            db.execute(moved, (position, self._clocks.wall(), alive.output))

    def unsettle(self, db: sqlite3.Connection, run: str, marks: Sequence[Mark]) -> None:
        """Take `marks` back."""
        alive = self._open.get(run)
        if alive is not None:
            self._write(db, alive.number, tally(marks, -1), -1)

    def close(self, db: sqlite3.Connection, run: str, *, complete: bool) -> None:
        """Let go of the run. A complete one without a name is never taken up again: its calls are forgotten."""
        alive = self._open.pop(run, None)
        if alive is None:
            return
        closing = "UPDATE runs SET complete = ?, touched = ? WHERE number = ? RETURNING name"
        (name,) = db.execute(closing, (complete, self._clocks.wall(), alive.number)).fetchone() or ("",)
        if complete and name is None:
            db.execute("DELETE FROM settled WHERE run = ?", (alive.number,))

    def let_go(self, numbers: Iterable[int]) -> None:
        """Unlock runs that are closed."""
        for number in numbers:
            self._locks.give(number)

    def is_alive(self, run: str, number: int) -> bool:
        """Tell whether the run is open, here or in another process."""
        return run in self._open or self._locks.is_taken(number)

    def number(self, run: str) -> int | None:
        """Return the number of a run that is open here."""
        alive = self._open.get(run)
        return None if alive is None else alive.number

    def find(self, db: sqlite3.Connection, run: str) -> Settled | None:
        """Return what is settled of a run; None: it is unknown, or open here, where it settles what it writes."""
        if run in self._open:
            return None
        row = db.execute(f"{_FIND} WHERE run = ?", (run,)).fetchone()
        return None if row is None else Settled(row[0], row[4], frozenset(read_settled(db, row[0])))

    def adopt(self, db: sqlite3.Connection, settled: Settled, marks: Sequence[Mark]) -> None:
        """Settle those of `marks` that are not."""
        self._write(db, settled.number, settled.count(marks), 1)

    def _write(self, db: sqlite3.Connection, number: int, counted: Tally, sign: int) -> None:
        sums = [getattr(counted.sums, name) for name in _COUNTERS]
        db.execute(_ADD, (*sums, self._clocks.wall(), number))
        if counted.tails:
            db.execute("INSERT INTO settled (run, sign, tails) VALUES (?, ?, ?)", (number, sign, counted.tails))


def _wanted(db: sqlite3.Connection, order: RunOrder) -> Row | None:
    """Return the row of the run to take up; None: a new one is to be begun."""
    if order.name is not None:
        row: Row | None = db.execute(f"{_FIND} WHERE name = ?", (order.name,)).fetchone()
        if row is None and order.resume:
            raise no_run(order.name)
        return row
    if not order.resume:
        return None
    newest = f"{_FIND} WHERE tenants = ? AND output = ? AND NOT complete ORDER BY number DESC LIMIT 1"
    row = db.execute(newest, (order.tenants, order.output)).fetchone()
    if row is None:
        raise nothing_to_resume()
    return row


def read_settled(db: sqlite3.Connection, number: int) -> set[str]:
    """Return the tails of the calls that are settled."""
    tails: set[str] = set()
    for sign, text in db.execute("SELECT sign, tails FROM settled WHERE run = ? ORDER BY entry", (number,)):
        some = (text[start : start + TAIL] for start in range(0, len(text), TAIL))
        if sign > 0:
            tails.update(some)
        else:
            tails.difference_update(some)
    return tails


def read_position(db: sqlite3.Connection, output: Place) -> int:
    """Return up to where the output was read, or written by us; 0 when another file stands there."""
    query = "SELECT position FROM outputs WHERE path = ? AND device = ? AND inode = ?"
    row = db.execute(query, (output.path, output.device, output.inode)).fetchone()
    return 0 if row is None else int(row[0])


def write_position(db: sqlite3.Connection, output: Place, position: int, wall: float) -> None:
    """Note up to where the output was read."""
    row = (output.path, output.device, output.inode, position, wall)
    db.execute("INSERT OR REPLACE INTO outputs VALUES (?, ?, ?, ?, ?)", row)
