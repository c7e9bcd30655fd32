"""What the state's thread is asked to do."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Generic, Literal, TypeAlias, TypeVar

from wolkvox_async.errors import RunError, StateError
from wolkvox_async.marks import Mark
from wolkvox_async.model import Call

from .clocks import Era
from .committer import Work
from .leases import Lease, LocalLeases
from .names import Naming, Namings
from .outcomes import NEVER, Row, Step, expecting, row_of, settling, take
from .runs import Runs, tally
from .slots import Slots, fresh_stamp
from .tokens import make_slots, token_number

Answer = TypeVar("Answer")
Done: TypeAlias = Callable[[StateError | None], None]


@dataclass(slots=True)
class Asked(Generic[Answer]):
    """Something that a task waits for; a `RunError` is an answer too."""

    work: Callable[[sqlite3.Connection], Answer]
    future: asyncio.Future[Answer]
    answer: Answer | RunError | None = None
    rows: ClassVar[int] = 1

    def apply(self, db: sqlite3.Connection) -> None:
        """Find the answer."""
        try:
            self.answer = self.work(db)
        except RunError as error:
            self.answer = error

    def told(self, failure: StateError | None) -> None:
        """Hand the answer over, unless nobody waits any more."""
        if self.future.done():
            return
        if failure is not None:
            self.future.set_exception(copied(failure))
        elif isinstance(self.answer, RunError):
            self.future.set_exception(self.answer)
        else:
            self.future.set_result(self.answer)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that nobody waits for; `heard` is called when it is committed."""

    work: Callable[[sqlite3.Connection], None]
    heard: Callable[[], None] | None = None
    rows: ClassVar[int] = 1

    def apply(self, db: sqlite3.Connection) -> None:
        """Write it."""
        self.work(db)

    def told(self, failure: StateError | None) -> None:
        """Tell whoever wanted to hear."""
        if failure is None and self.heard is not None:
            self.heard()


Entry: TypeAlias = tuple[Mark, int | None, float | None, Lease | None]
"""A settled mark, its token's slot, when its request left (CLOCK_BOOTTIME) if it was answered, and its lease."""


@dataclass(slots=True)
class Settling:
    """What one call of `settle` is about."""

    run: str
    entries: Sequence[Entry]
    position: int | None
    done: Done
    parts: SettlingParts

    @property
    def rows(self) -> int:
        """Return how many it writes."""
        return len(self.entries)

    def apply(self, db: sqlite3.Connection) -> None:
        """Do nothing: it is written together with others."""

    def told(self, failure: StateError | None) -> None:
        """Let go of tokens that wait for it, and call `done`."""
        if failure is None:
            for mark, _, _, lease in self.entries:
                if lease is not None:
                    self.parts.leases.committed(mark.token, lease)
        self.done(None if failure is None else copied(failure))


@dataclass(slots=True)
class _RunMarks:
    marks: list[Mark] = field(default_factory=list)
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Expecting:
    """Calls that `run` is about to make, planned `at` (UTC seconds); tokens without a slot are passed over."""

    run: str
    calls: Sequence[Call]
    slot_of: Callable[[str], int | None]
    at: float

    @property
    def rows(self) -> int:
        """Return how many it writes."""
        return len(self.calls)

    def apply(self, db: sqlite3.Connection) -> None:
        """Do nothing: it is made ready before."""

    def told(self, failure: StateError | None) -> None:
        """Do nothing: nobody waits for it."""


class _Expectation:
    def __init__(self, expecting_: Expecting) -> None:
        self._steps: Final = expecting(expecting_.calls, expecting_.slot_of, expecting_.run, expecting_.at)
        self.rows: Final = expecting_.rows

    def apply(self, db: sqlite3.Connection) -> None:
        """Write it."""
        take(db, self._steps)

    def told(self, failure: StateError | None) -> None:
        """Do nothing: nobody waits for it."""


class Settlement:
    """Several settlings as one: the statements of a group do not grow with its number.

    What can be made ready is, before the transaction: others wait for its end.
    """

    def __init__(self, settlings: Sequence[Settling]) -> None:
        self.rows: Final = sum(part.rows for part in settlings)
        self._parts: Final = settlings[0].parts
        self._now: Final = self._parts.era.moment(0.0)
        placed: list[Row] = []
        self._unplaced: Final[list[Entry]] = []
        self._shaken: Final[list[int]] = []
        runs: dict[str, _RunMarks] = {}
        for part in settlings:
            run = runs.get(part.run)
            if run is None:
                run = runs[part.run] = _RunMarks()
            if part.position is not None:
                run.position = part.position
            for entry in part.entries:
                mark = entry[0]
                run.marks.append(mark)
                if mark.outcome != "skipped":
                    self._add(entry, placed)
        self._steps: Final[list[Step]] = settling(placed)
        self._runs: Final = [(name, tally(run.marks), run.position) for name, run in runs.items()]

    def _add(self, entry: Entry, placed: list[Row]) -> None:
        mark, slot, asked, lease = entry
        if slot is None:
            self._unplaced.append(entry)
            return
        placed.append(self._row(mark, slot, asked))
        if lease is None:
            self._shaken.append(slot)

    def apply(self, db: sqlite3.Connection) -> None:
        """Write it."""
        take(db, self._steps)
        if self._unplaced:
            numbers = [token_number(mark.token) for mark, *_ in self._unplaced]
            places = make_slots(db, self._parts.slots, numbers)
            unplaced = zip(self._unplaced, numbers, strict=True)
            take(db, settling([self._row(mark, places[number], asked) for (mark, _, asked, _), number in unplaced]))
        for name, counted, position in self._runs:
            self._parts.runs.settle(db, name, counted, position)
        for slot in self._shaken:  # nothing else tells everybody about tokens that are not ours
            self._parts.slots.shake(slot, fresh_stamp())

    def _row(self, mark: Mark, slot: int, asked: float | None) -> Row:
        if asked is None:
            return row_of(mark, slot, NEVER)
        now = self._now
        return row_of(mark, slot, (now.boot, asked, now.wall - (now.elapsed - asked)))

    def told(self, failure: StateError | None) -> None:
        """Do nothing: each part is told."""


@dataclass(frozen=True, slots=True)
class SettlingParts:
    """What settling needs."""

    slots: Slots
    runs: Runs
    era: Era
    leases: LocalLeases


def combine(writes: Sequence[Work]) -> list[Work]:
    """Make one write of settlings that stand together, one of all names, and everything ready that can be."""
    combined: list[Work] = []
    together: list[Settling] = []
    namings: list[Naming] = []
    for write in (*writes, None):
        if isinstance(write, Settling):
            together.append(write)
            continue
        if isinstance(write, Naming):
            namings.append(write)  # nothing else in a group depends on names
            continue
        if together:
            combined.append(Settlement(together))
            together = []
        if write is not None:
            combined.append(_Expectation(write) if isinstance(write, Expecting) else write)
    if namings:
        combined.append(Namings(namings))
    return combined


@dataclass(frozen=True, slots=True)
class Servers:
    """Servers with what is left until some time in seconds, and those that were among them before."""

    left: Mapping[str, float]
    gone: Sequence[str]

    @classmethod
    def since(cls, before: Collection[str], left: Mapping[str, float]) -> Servers:
        """Return what has changed."""
        return cls(dict(left), sorted(set(before) - left.keys()))

    def write(self, db: sqlite3.Connection, table: Literal["servers", "short"], era: Era) -> None:
        """Note them."""
        db.executemany(f"DELETE FROM {table} WHERE server = ?", ((server,) for server in self.gone))  # noqa: S608
        ends = ((server, era.moment(-seconds)) for server, seconds in self.left.items())
        rows = ((server, end.boot, end.elapsed, end.wall) for server, end in ends)
        db.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?)", rows)  # noqa: S608


def note_servers(db: sqlite3.Connection, down: Servers, short: Servers, era: Era) -> None:
    """Note which servers are down and where retries are used up, and where that is over."""
    down.write(db, "servers", era)
    short.write(db, "short", era)


def copied(failure: StateError) -> StateError:
    """Return an error of its own for everybody who is told, so that no traceback grows."""
    return StateError(*failure.args)
