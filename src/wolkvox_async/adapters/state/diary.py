"""The last slot that ended of everything that is watched, as rows.

A slot never comes again, so the last one says it all: what lies between it and now was
missed. Months stand apart where dates are asked for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, MutableMapping
from typing import Final

from wolkvox_async.marks import SlotMark
from wolkvox_async.ports import LastSlot, SlotKey

SLOTS: Final = """CREATE TABLE slots (
    tenant TEXT NOT NULL, operation TEXT NOT NULL, api TEXT NOT NULL, month TEXT NOT NULL,
    due INTEGER NOT NULL, closing INTEGER, PRIMARY KEY (tenant, operation, api, month)) WITHOUT ROWID"""

_WRITE: Final = """INSERT INTO slots VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    due = max(due, excluded.due), closing = max(ifnull(closing, excluded.closing), ifnull(excluded.closing, closing))"""


def write_slots(db: sqlite3.Connection, marks: Iterable[SlotMark]) -> None:
    """Note slots that ended, in whatever order."""
    db.executemany(
        _WRITE, ((m.tenant, m.operation, m.api, m.month, m.due, m.due if m.closing else None) for m in marks)
    )


def read_slots(db: sqlite3.Connection) -> dict[SlotKey, LastSlot]:
    """Return the last slots."""
    rows = db.execute("SELECT tenant, operation, api, month, due, closing FROM slots")
    return {
        (tenant, operation, api, month): LastSlot(due, closing) for tenant, operation, api, month, due, closing in rows
    }


def erase_slots(db: sqlite3.Connection, before: float) -> None:
    """Forget what was due before that (Unix seconds)."""
    db.execute("DELETE FROM slots WHERE due < ?", (before * 1000,))


def note(known: MutableMapping[SlotKey, LastSlot], marks: Iterable[SlotMark]) -> None:
    """Note slots that ended in memory, as `write_slots` does."""
    for mark in marks:
        key = (mark.tenant, mark.operation, mark.api, mark.month)
        last = known.get(key)
        due, closing = (mark.due, None) if last is None else (max(last.due, mark.due), last.closing)
        if mark.closing:
            closing = max(closing or 0, mark.due)
        known[key] = LastSlot(due, closing)
