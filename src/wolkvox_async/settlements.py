"""How a call ended and, while watching, that there was none: what a reader gets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from .model import Call, Failed, GapReason, Operation, Outcome, Params, Skipped, Slot
from .windows import Window


@dataclass(slots=True)
class Settlement:
    """How a call ended: `at` (UTC) the answer was complete, `seconds` the last attempt took.

    `ago` seconds before `at` its request had left: from there the interval counts. A call that
    was replaced by its parts has no records; that it was is remembered under `cut_id`.
    """

    call: Call
    outcome: Outcome
    attempts: int
    at: datetime
    seconds: float
    ago: float = 0.0
    cut_id: str | None = None

    @property
    def due(self) -> datetime | None:
        """The moment (UTC) from which the call may be made again, where it was made or came too early."""
        outcome = self.outcome
        if isinstance(outcome, Skipped):
            return outcome.due
        if isinstance(outcome, Failed):
            return None
        return self.at + timedelta(0, self.call.interval - self.ago)


@dataclass(frozen=True, slots=True)
class Gap:
    """A slot in which nothing was captured; `window` and `params` are what would have been asked for."""

    operation: Operation
    api: str
    slot: Slot
    reason: GapReason
    window: Window | None = None
    params: Params = ()


Item: TypeAlias = Settlement | Gap
"""What a reader gets: how a call ended or, while watching, that there was none."""
