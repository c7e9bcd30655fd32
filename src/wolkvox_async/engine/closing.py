"""How long nothing may be sent with a token after one of its attempts. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from wolkvox_async.model import Answer, AttemptOutcome, Breakdown, ErrorKind, Failed, Operation
from wolkvox_async.windows import next_midnight, timezone

REFUSED_FOR: Final = 3600.0  # seconds that a refused token stays closed


@dataclass(frozen=True, slots=True)
class Span:
    """When an attempt began and ended, in monotonic seconds, and the moment (UTC) of its end."""

    started: float
    ended: float
    at: datetime


def closed_until(
    operation: Operation, met: Answer | Breakdown, outcome: AttemptOutcome, span: Span, *, server_limit: float
) -> float:
    """Return the monotonic time before which nothing may be sent with the operation's token.

    `server_limit` is how many seconds the vendor may work on an attempt that was given up.
    """
    since = met.unanswered_since if isinstance(met, Breakdown) else None
    at_work_until = 0.0 if since is None else _sent_at(since, span) + server_limit
    refused_for = _refused_for(operation, outcome, span.at)
    return max(at_work_until, span.ended + refused_for if refused_for else 0.0)


def _refused_for(operation: Operation, outcome: AttemptOutcome, at: datetime) -> float:
    if not isinstance(outcome, Failed):
        return 0.0
    match outcome.error.kind:
        case ErrorKind.UNAUTHORIZED | ErrorKind.FORBIDDEN:
            return REFUSED_FOR
        case ErrorKind.QUOTA:
            return _until_midnight(operation, at)
        case _:
            return 0.0


def _sent_at(unanswered_since: float, span: Span) -> float:
    # A transport tells its own time. What lies outside the attempt was told by another
    # clock than ours, and then nothing is known but that the request has left by now.
    return unanswered_since if span.started <= unanswered_since <= span.ended else span.ended


def _until_midnight(operation: Operation, at: datetime) -> float:
    # GUESS: the quota's day ends at midnight in the operation's timezone.
    midnight = next_midnight(at.astimezone(timezone(operation.timezone)))
    # In UTC, because the difference of two local times leaves out a change of the clocks between them.
    return (midnight.astimezone(UTC) - at).total_seconds()
