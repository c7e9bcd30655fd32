"""What a run has come to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from .model import Empty, Failed, Ok, Skipped
from .settlements import Settlement


@dataclass(slots=True)
class Counters:
    """What a run has come to so far; `not_due` of the skipped come due until `due` (UTC).

    `gaps` are counted while watching: slots in which nothing was captured.
    """

    ok: int = 0
    empty: int = 0
    failed: int = 0
    skipped: int = 0
    held: int = 0
    rows: int = 0
    attempts: int = 0
    not_due: int = 0
    due: datetime | None = None
    gaps: int = 0

    def count(self, settlement: Settlement) -> None:
        """Add one settled call."""
        self.attempts += settlement.attempts
        if settlement.cut_id is not None:
            return
        match settlement.outcome:
            case Ok(rows=rows):
                self.ok += 1
                self.rows += len(rows)
            case Empty():
                self.empty += 1
            case Failed():
                self.failed += 1
            case Skipped(error=error, due=due):
                self.skipped += 1
                if error.kind != "not_due":
                    self.held += 1
                else:
                    self.not_due += 1
                    self.due = max(filter(None, (self.due, due)), default=None)
            case _ as never:
                assert_never(never)
