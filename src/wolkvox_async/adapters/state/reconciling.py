"""An output that lost records: its runs are brought back to what it holds.

An output is *shrunk* when it is shorter than the position that is known for it, or is
another file than the one that was known under its path. Then all its marks are read, and
for every run that writes to it

- the settled calls become those that ended ok or empty and stand in the output;
- what is known of a question from a call that does not stand there is forgotten, so that
  the interval does not keep it from being asked again.

Of a complete run without a name only the second is done: nobody takes it up again. And
not even that where another file stands under the path: the old one was moved away (a log
rotation), and what was asked a moment ago is not asked again.

A run that another process works on cannot be brought back: nothing is changed then.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from wolkvox_async.marks import Mark, tail
from wolkvox_async.ports import Place

from .outcomes import erase_answers
from .runs import TAIL, Runs, alive_elsewhere, read_settled
from .tokens import token_number

_Question: TypeAlias = tuple[int, str, str, str]


def has_shrunk(db: sqlite3.Connection, output: Place, end: int) -> bool:
    """Tell whether `output`, which ends at `end`, lost what it held; False for a path that nobody knows."""
    row = db.execute("SELECT device, inode, position FROM outputs WHERE path = ?", (output.path,)).fetchone()
    return row is not None and (row[:2] != (output.device, output.inode) or end < row[2])


@dataclass(slots=True)
class _Run:
    """A run of the output, and what stands there of it: by tail the outcome and its rows, and the questions."""

    number: int
    run: str
    name: str | None
    complete: bool
    calls: dict[str, tuple[str, int]] = field(default_factory=dict)
    questions: set[_Question] = field(default_factory=set)

    @property
    def forgotten(self) -> bool:
        """Whether its settled calls are not kept."""
        return self.complete and self.name is None


@dataclass(frozen=True, slots=True)
class _Change:
    """What is to become of a run: rows of `calls` to forget, and settled calls that are gone or new."""

    run: _Run
    rows: list[tuple[int, str, str, str, str]]
    gone: set[str]
    new: set[str]


class Reconciliation:
    """What is heard of an output's marks, and then done."""

    def __init__(self, runs: Runs, output: Place) -> None:
        self._states: Final = runs
        self._output: Final = output
        self._runs: dict[str, _Run] | None = None

    def runs(self, db: sqlite3.Connection) -> dict[str, _Run]:
        """Return the runs of the output, by their ids."""
        if self._runs is None:
            path = (self._output.path,)
            known = db.execute("SELECT device, inode FROM outputs WHERE path = ?", path).fetchone()
            moved_away = known != (self._output.device, self._output.inode)
            rows = db.execute("SELECT number, run, name, complete FROM runs WHERE output = ?", path)
            found = [_Run(number, run, name, bool(done)) for number, run, name, done in rows]
            self._runs = {run.run: run for run in found if not (moved_away and run.forgotten)}
        return self._runs

    def hear(self, db: sqlite3.Connection, marks: Iterable[Mark]) -> None:
        """Note that `marks` stand in the output."""
        runs = self.runs(db)
        for mark in marks:
            run = runs.get(mark.run)
            if run is None or not mark.done or len(end := tail(mark.call)) != TAIL:
                continue
            run.questions.add((token_number(mark.token), mark.question, mark.tenant, mark.operation))
            if not run.forgotten:
                run.calls[end] = (mark.outcome, mark.rows)

    def finish(self, db: sqlite3.Connection, wall: float) -> int:
        """Bring the runs back, and return how many calls were lost; raises `RunError` before anything is changed."""
        changes = [change for run in self.runs(db).values() if (change := _change(db, run)) is not None]
        for change in changes:
            if self._states.is_alive(change.run.run, change.run.number):
                raise alive_elsewhere(change.run.name or change.run.run)
        for change in changes:
            erase_answers(db, change.rows)
            if change.gone or change.new:
                _rewrite(db, change, wall)
        return sum(max(len(change.gone), len(change.rows)) for change in changes)


def _change(db: sqlite3.Connection, run: _Run) -> _Change | None:
    settled = set() if run.forgotten else read_settled(db, run.number)
    answered = "SELECT token, slot, question, tenant, operation FROM calls JOIN tokens USING (slot) WHERE run = ?"
    rows = [
        (slot, *question, run.run)
        for token, slot, *question in db.execute(f"{answered} AND outcome IN ('ok', 'empty', 'cut')", (run.run,))
        if (token, *question) not in run.questions
    ]
    change = _Change(run, rows, settled - run.calls.keys(), run.calls.keys() - settled)
    return change if rows or change.gone or change.new else None


def _rewrite(db: sqlite3.Connection, change: _Change, wall: float) -> None:
    run = change.run
    outcomes = Counter(outcome for outcome, _ in run.calls.values())
    rows = sum(rows for outcome, rows in run.calls.values() if outcome == "ok")
    sums = "UPDATE runs SET ok = ?, empty = ?, rows = ?, complete = ?, touched = ? WHERE number = ?"
    complete = run.complete and not change.gone
    db.execute(sums, (outcomes["ok"], outcomes["empty"], rows, complete, wall, run.number))
    db.execute("DELETE FROM settled WHERE run = ?", (run.number,))
    if run.calls:
        db.execute("INSERT INTO settled (run, sign, tails) VALUES (?, 1, ?)", (run.number, "".join(run.calls)))
