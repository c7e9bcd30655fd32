"""The last outcome of every question, as rows.

Many rows go into one statement: the interpreter's lock is let go once per statement, and
the event loop, which has it meanwhile, gives it back late. In a transaction that is what
other processes wait for.

A question that was only planned so far has a row without an outcome; its `at` is when it
was planned last.

What failed leaves the time of the last answer as it is, and when the next is due. A settled call is the latest by
nature; an adopted one need not be, and then changes nothing that is newer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Final, TypeAlias

from wolkvox_async.marks import Mark
from wolkvox_async.model import Call

from .clocks import Era

Row: TypeAlias = tuple[Any, ...]

NEVER: Final[Row] = (None, None, None)

_KEY: Final = ("slot", "question", "tenant", "operation")
_OUTCOME: Final = ("server", "outcome", "kind", "message", "at", "rows", "attempts", "run")
_SENT: Final = ("sent_boot", "sent_elapsed", "sent_wall")
_LASTING: Final = ("due", *_SENT)
_COLUMNS: Final = (*_KEY, *_OUTCOME, *_LASTING)
_PLANNED: Final = (*_KEY, "server", "at", "run")
_SIZES: Final = (128, 64, 32, 16, 8, 4, 2, 1)  # few, so that every statement stays compiled
_MANY: Final = (500, 100, 20, 5, 1)


def _statements(
    changes: Sequence[str], columns: Sequence[str] = _COLUMNS, sizes: Sequence[int] = _SIZES
) -> dict[int, str]:
    """Return statements by how many rows they write, the largest first."""
    row = f"({','.join(map(_place, columns))})"
    conflict = f"ON CONFLICT ({','.join(_KEY)}) DO UPDATE SET {','.join(changes)}"
    return {
        size: f"INSERT INTO calls ({','.join(columns)}) VALUES {','.join([row] * size)} {conflict}"  # noqa: S608
        for size in sizes
    }


def _place(column: str) -> str:
    # Where nearly every row has none, an empty text stands for it: to the driver None is no
    # ordinary value, and it asks around how to convert it (3,300 instructions).
    return "nullif(?, '')" if column in ("kind", "message") else "?"


_PLAN: Final = _statements([f"{name} = excluded.{name}" for name in _PLANNED[len(_KEY) :]], _PLANNED, _MANY)
# Of most questions an outcome is known, and nothing is written.
_EXPECT: Final = {size: f"{statement} WHERE outcome IS NULL" for size, statement in _PLAN.items()}
_SETTLE: Final = _statements(
    [f"{name} = excluded.{name}" for name in _OUTCOME]
    + [f"{name} = ifnull(excluded.{name}, {name})" for name in _LASTING]
)
_ADOPT: Final = _statements(
    [f"{name} = iif(outcome IS NULL OR excluded.at >= at, excluded.{name}, {name})" for name in _OUTCOME]
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
        mark.kind or "",
        "" if mark.message is None else mark.message.encode(errors="replace").decode(),
        mark.at,
        mark.rows,
        mark.attempts,
        mark.run,
        mark.due if mark.done else None,
        *sent,
    )


Step: TypeAlias = tuple[str, Row]
"""A statement with its values, made ready before others are kept from writing."""


def settling(rows: Sequence[Row]) -> list[Step]:
    """Return what writes what was just settled."""
    return _steps(rows, _SETTLE)


def adopting(rows: Sequence[Row]) -> list[Step]:
    """Return what writes what was read back, unless something newer is known."""
    return _steps(rows, _ADOPT)


def expecting(calls: Sequence[Call], slot_of: Callable[[str], int | None], run: str, at: float) -> list[Step]:
    """Return what notes that `calls` are planned; those of tokens without a slot are passed over."""
    rows = []
    for call in calls:
        operation = call.operation
        if (slot := slot_of(operation.token.id)) is not None:
            key = (slot, call.question, operation.tenant, operation.name)
            rows.append((*key, operation.server, at, run))
    return _steps(rows, _EXPECT)


def take(db: sqlite3.Connection, steps: Sequence[Step]) -> None:
    """Do what was made ready."""
    for statement, values in steps:
        db.execute(statement, values)


def erase(db: sqlite3.Connection, marks: Sequence[Mark], slot_of: Callable[[Mark], int]) -> None:
    """Take back what was settled: it is planned, and was never called."""
    erase_answers(db, [(slot_of(mark), mark.question, mark.tenant, mark.operation, mark.run) for mark in marks])


def erase_answers(db: sqlite3.Connection, keys: Iterable[tuple[int, str, str, str, str]]) -> None:
    """Take back what is known by slot, question, tenant, operation and run."""
    nothing = ", ".join(f"{name} = NULL" for name in ("outcome", "kind", "message", "rows", "attempts", *_LASTING))
    where = "slot = ? AND question = ? AND tenant = ? AND operation = ? AND run = ?"
    db.executemany(f"UPDATE calls SET {nothing} WHERE {where}", keys)  # noqa: S608 - nothing of anybody's is in it


def _steps(rows: Sequence[Row], statements: dict[int, str]) -> list[Step]:
    steps, start = [], 0
    while start < len(rows):
        size = next(size for size in statements if size <= len(rows) - start)
        steps.append((statements[size], tuple(chain.from_iterable(rows[start : start + size]))))
        start += size
    return steps


def read_asked(db: sqlite3.Connection, slots: Sequence[int], era: Era, horizon: float) -> list[tuple[int, str, float]]:
    """Return (slot, question, CLOCK_BOOTTIME seconds) of what was asked within `horizon` seconds."""
    now = era.moment(0.0)
    # Of another boot only the wall clock is left; a time yet to come is now.
    age = "iif(sent_boot = ?, ? - sent_elapsed, max(? - sent_wall, 0))"
    places = ",".join("?" * len(slots))
    query = f"SELECT slot, question, ? - {age} FROM calls WHERE slot IN ({places}) AND {age} < ?"  # noqa: S608
    clock = (now.boot, now.elapsed, now.wall)
    return db.execute(query, (now.elapsed, *clock, *slots, *clock, horizon)).fetchall()
