"""Tokens that the vendor refused, or whose quota is used up: until when, and why."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from wolkvox_async.model import ErrorKind
from wolkvox_async.ports import Refusal

from .clocks import Era, Moment

READ_REFUSALS: Final = "SELECT slot, kind, message, seconds, end_boot, end_elapsed, end_wall FROM refusals"


@dataclass(frozen=True, slots=True)
class Closure:
    """A refusal, and the moment at which it is forgotten, `seconds` after it was noted."""

    kind: str
    message: str
    seconds: float
    end: Moment

    @classmethod
    def of(cls, refusal: Refusal, era: Era) -> Self:
        """Return the closure for a refusal that was met now."""
        return cls(refusal.kind.value, refusal.message, refusal.seconds, era.moment(-refusal.seconds))

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> Self:
        """Return the closure that a row of the database holds, behind its slot."""
        kind, message, seconds, boot, elapsed, wall = row
        return cls(kind, message, seconds, Moment(boot, elapsed, wall))

    def refusal(self, era: Era) -> Refusal | None:
        """Return what is left of it; None when it is over."""
        # A clock that was set back must not make it longer than it ever was.
        left = min(-era.age(self.end), self.seconds)
        return Refusal(ErrorKind(self.kind), self.message, left) if left > 0 else None


def write_refusal(db: sqlite3.Connection, slot: int, closure: Closure) -> None:
    """Remember that the token with `slot` was refused."""
    end = closure.end
    row = (slot, closure.kind, closure.message, closure.seconds, end.boot, end.elapsed, end.wall)
    db.execute("INSERT OR REPLACE INTO refusals VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def erase_refusals(db: sqlite3.Connection, slots: Iterable[int]) -> None:
    """Forget that these tokens were refused."""
    db.executemany("DELETE FROM refusals WHERE slot = ?", ((slot,) for slot in slots))
