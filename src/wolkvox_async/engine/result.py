"""How a single call ended, for the code that awaited it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wolkvox_async.fields import OutcomeName, outcome_name
from wolkvox_async.model import CallError, Failed, Ok, Skipped
from wolkvox_async.records import CallRecord, RowRecord, call_records
from wolkvox_async.settlements import Settlement


@dataclass(frozen=True, slots=True)
class CallResult:
    """A settled call: a value, whether it went well or not."""

    run: str
    settlement: Settlement

    @property
    def outcome(self) -> OutcomeName:
        """`ok`, `empty`, `failed` or `skipped`."""
        return outcome_name(self.settlement.outcome)

    @property
    def ok(self) -> bool:
        """Whether the vendor answered, be it with nothing."""
        return self.outcome in ("ok", "empty")

    @property
    def rows(self) -> list[Any]:
        """The vendor's rows, as sent; none unless the outcome is `ok`."""
        outcome = self.settlement.outcome
        return outcome.rows if isinstance(outcome, Ok) else []

    @property
    def truncated(self) -> bool:
        """Whether rows may be missing: there are as many as the vendor ever sends. `fetch` asks again, in parts."""
        return len(self.rows) >= self.settlement.call.most_rows

    @property
    def error(self) -> CallError | None:
        """Why the call failed or was skipped."""
        outcome = self.settlement.outcome
        return outcome.error if isinstance(outcome, Failed | Skipped) else None

    @property
    def at(self) -> datetime:
        """When the answer was complete, or it was clear that there would be none; UTC."""
        return self.settlement.at

    @property
    def due(self) -> datetime | None:
        """From when on the same may be asked again, UTC; None when the call failed, or its token is not to be used."""
        return self.settlement.due

    @property
    def attempts(self) -> int:
        """How many requests were made for it."""
        return self.settlement.attempts

    @property
    def records(self) -> list[RowRecord | CallRecord]:
        """The call as records: its rows, then its `call` record."""
        return list(call_records(self.run, self.settlement))
