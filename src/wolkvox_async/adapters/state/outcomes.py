"""The last outcome of every question, as rows.

Many rows go into one statement: the interpreter's lock is let go once per statement, and
the event loop, which has it meanwhile, gives it back late.

What failed leaves the time of the last answer as it is, and when the next is due. A settled call is the latest by
nature; an adopted one need not be, and then changes nothing that is newer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final, TypeAlias

from wolkvox_async.marks import Mark

from .clocks import Era

Row: TypeAlias = tuple[Any, ...]

NEVER: Final[Row] = (None, None, None)

_KEY: Final = ("slot", "question", "tenant", "operation")
_OUTCOME: Final = ("server", "outcome", "kind", "message", "at", "rows", "attempts", "run")
_SENT: Final = ("sent_boot", "sent_elapsed", "sent_wall")
_LASTING: Final = ("due", *_SENT)
_COLUMNS: Final = (*_KEY, *_OUTCOME, *_LASTING)
_SIZES: Final = (64, 16, 4, 1)  # few, so that every statement stays compiled


def _statements(changes: Sequence[str]) -> dict[int, str]:
    row = f"({','.join('?' * len(_COLUMNS))})"
    conflict = f"ON CONFLICT ({','.join(_KEY)}) DO UPDATE SET {','.join(changes)}"
    return {
        size: f"INSERT INTO calls ({','.join(_COLUMNS)}) VALUES {','.join([row] * size)} {conflict}"  # noqa: S608
        for size in _SIZES
    }


_SETTLE: Final = _statements(
    [f"{name} = excluded.{name}" for name in _OUTCOME]
    + [f"{name} = ifnull(excluded.{name}, {name})" for name in _LASTING]
)
_ADOPT: Final = _statements(
    [f"{name} = iif(excluded.at >= at, excluded.{name}, {name})" for name in _OUTCOME]
    + [f"{name} = iif(excluded.sent_wall > ifnull(sent_wall, 0), excluded.{name}, {name})" for name in _LASTING]
)


def row_of(mark: Mark, slot: int, sent: Row) -> Row:
    """Return the row for a call that ended; `sent` is the moment if it was answered, else `NEVER`."""
    return (
        slot,
        mark.question,
        mark.tenant,
        mark.operation,
        mark.server,
        mark.outcome,
        mark.kind,
        None if mark.message is None else mark.message.encode(errors="replace").decode(),
        mark.at.timestamp(),
        mark.rows,
        mark.attempts,
        mark.run,
        None if mark.due is None or not mark.done else mark.due.timestamp(),
        *sent,
    )


def settle_rows(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Write what was just settled."""
    _write(db, rows, _SETTLE)


def adopt_rows(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Write what was read back, unless something newer is known."""
    _write(db, rows, _ADOPT)


def erase(db: sqlite3.Connection, marks: Sequence[Mark], slot_of: Callable[[Mark], int]) -> None:
    """Take back what was settled."""
    where = "slot = ? AND question = ? AND tenant = ? AND operation = ? AND run = ?"
    keys = [(slot_of(mark), mark.question, mark.tenant, mark.operation, mark.run) for mark in marks]
    db.executemany(f"DELETE FROM calls WHERE {where}", keys)  # noqa: S608 - nothing of anybody's is in it


def _write(db: sqlite3.Connection, rows: Sequence[Row], statements: dict[int, str]) -> None:
    start = 0
    while start < len(rows):
        size = next(size for size in _SIZES if size <= len(rows) - start)
        db.execute(statements[size], tuple(chain.from_iterable(rows[start : start + size])))
        start += size


def read_asked(db: sqlite3.Connection, slots: Sequence[int], era: Era, horizon: float) -> list[tuple[int, str, float]]:
    """Return (slot, question, CLOCK_BOOTTIME seconds) of what was asked within `horizon` seconds."""
    now = era.moment(0.0)
    # Of another boot only the wall clock is left; a time yet to come is now.
    age = "iif(sent_boot = ?, ? - sent_elapsed, max(? - sent_wall, 0))"
    places = ",".join("?" * len(slots))
    query = f"SELECT slot, question, ? - {age} FROM calls WHERE slot IN ({places}) AND {age} < ?"  # noqa: S608
    clock = (now.boot, now.elapsed, now.wall)
    return db.execute(query, (now.elapsed, *clock, *slots, *clock, horizon)).fetchall()
