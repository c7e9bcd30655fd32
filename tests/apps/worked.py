"""Calls that ended, as workers deliver them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from wolkvox_async.catalog import Endpoint
from wolkvox_async.classify import error
from wolkvox_async.lines import call_lines
from wolkvox_async.marks import Mark, mark_of
from wolkvox_async.model import Empty, ErrorKind, Failed, Ok, Operation, Outcome, Skipped, Token
from wolkvox_async.planning import call
from wolkvox_async.settlements import Settlement

RUN: Final = "01M8094P7A81VQNPQ9ZYKSYNZV"
AT: Final = datetime(2026, 11, 21, 21, 43, 47, 733000, tzinfo=UTC)
LIKE_A_CALL: Final = {"type": "call", "outcome": "skipped", "text": '\n{"type":"call","outcome":"skipped"}'}

OK: Final = Ok([{"items": "1"}, LIKE_A_CALL], 200, 200, "found")
EMPTY: Final = Empty(404, 404, None)
FAILED: Final = Failed(error(ErrorKind.TIMEOUT, "no answer"))
HELD: Final = Skipped(error(ErrorKind.HELD, "not called"))
NOT_DUE: Final = Skipped(error(ErrorKind.NOT_DUE, "not called"), AT + timedelta(seconds=90))
LATER: Final = Skipped(error(ErrorKind.NOT_DUE, "not called"), AT + timedelta(seconds=120))


def settlements(*outcomes: Outcome) -> list[Settlement]:
    """Return calls of as many operations, which ended so."""
    operations = [Operation("acme", f"op{n}", "0010", Token(f"a-token-of-nobody-{n}")) for n in range(len(outcomes))]
    return [
        Settlement(call(operation, Endpoint("interactions"), run=RUN), outcome, 2, AT, 1.5, 1.25)
        for operation, outcome in zip(operations, outcomes, strict=True)
    ]


def delivered(*outcomes: Outcome) -> tuple[bytes, list[Mark]]:
    """Return the lines of such calls, and the marks of those that were made."""
    settled = settlements(*outcomes)
    marks = [mark_of(RUN, one) for one in settled if not isinstance(one.outcome, Skipped)]
    return b"".join(call_lines(RUN, one) for one in settled), marks


def fields(counts: Any) -> dict[str, Any]:
    """Return counts by name, without those that are nothing."""
    names = ("ok", "empty", "failed", "skipped", "held", "rows", "attempts", "not_due", "due")
    return {name: value for name, value in zip(names, counts, strict=True) if value}
