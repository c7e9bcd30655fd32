"""What is forgotten, so that the database does not grow without end.

A run that nobody touched for 40 days (a named one: 400), what is known of a question that
nobody asked for 400 days (40, when it was only ever planned), and how far an output was read 400 days ago. Days count
back from the last thing that was done, or from now where that is earlier: a clock that is
wrong for a moment makes nobody forget. Tokens stay: they take some 70 bytes each, and
20 for every name that they are known by.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from . import schema
from .diary import erase_slots

UNNAMED_DAYS: Final = 40
DAYS: Final = 400

_DAY: Final = 86_400.0


def prune(db: sqlite3.Connection, now: float) -> None:
    """Forget what is old, at most once a day; `now` is the wall clock's. Raises `sqlite3.Error`."""
    newest = db.execute("SELECT max(touched) FROM runs").fetchone()[0]
    today = min(now, newest or 0.0)
    pruned = schema.read_meta(db).get("pruned", 0.0)
    if pruned <= today < pruned + _DAY:
        return
    with schema.transaction(db):
        db.execute("DELETE FROM runs WHERE touched < ? AND name IS NULL", (today - UNNAMED_DAYS * _DAY,))
        db.execute("DELETE FROM runs WHERE touched < ?", (today - DAYS * _DAY,))
        db.execute("DELETE FROM settled WHERE run NOT IN (SELECT number FROM runs)")
        db.execute("DELETE FROM calls WHERE at < ?", (today - DAYS * _DAY,))
        db.execute("DELETE FROM calls WHERE at < ? AND outcome IS NULL", (today - UNNAMED_DAYS * _DAY,))
        erase_slots(db, today - DAYS * _DAY)
        db.execute("DELETE FROM outputs WHERE touched < ?", (today - DAYS * _DAY,))
        schema.write_meta(db, pruned=today)
