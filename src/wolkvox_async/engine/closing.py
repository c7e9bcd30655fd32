"""How long nothing may be sent with a token after one of its attempts. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from wolkvox_async.model import Answer, AttemptOutcome, Breakdown, ErrorKind, Failed, Operation
from wolkvox_async.windows import next_midnight, timezone

REFUSED_FOR: Final = 3600.0  # seconds that a refused token stays closed
_NEW_DAY: Final = 2  # hours of a new day in which a used-up quota says that the day is not so new


@dataclass(slots=True)
class Span:
    """When an attempt began and ended, in monotonic seconds, and the moment (UTC) of its end."""

    started: float
    ended: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Closing:
    """Before these monotonic times nothing may be sent with a token; 0 where there is no such reason."""

    at_work_until: float  # the vendor may still be at work on the attempt
    refused_until: float  # the vendor refused the token, or its quota is used up
    until: float  # the later of the two


OPEN: Final = Closing(0.0, 0.0, 0.0)


def closing(
    operation: Operation, met: Answer | Breakdown, outcome: AttemptOutcome, span: Span, *, server_limit: float
) -> Closing:
    """Return how long the operation's token is closed after an attempt.

    `server_limit` is how many seconds the vendor may work on an attempt that was given up.
    """
    if not isinstance(outcome, Failed):
        return OPEN
    since = met.unanswered_since if isinstance(met, Breakdown) else None
    at_work_until = 0.0 if since is None else _within(since, span) + server_limit
    refused_for = _refused_for(operation, outcome.error.kind, span.at)
    if not (at_work_until or refused_for):
        return OPEN
    refused_until = span.ended + refused_for if refused_for else 0.0
    return Closing(at_work_until, refused_until, max(at_work_until, refused_until))


def sent_at(met: Answer | Breakdown, span: Span) -> float:
    """Return when the request of an answered attempt had left; where the transport does not say, when it began."""
    told = met.sent_at if isinstance(met, Answer) else None
    return span.started if told is None else _within(told, span)


def _refused_for(operation: Operation, kind: ErrorKind, at: datetime) -> float:
    match kind:
        case ErrorKind.UNAUTHORIZED | ErrorKind.FORBIDDEN:
            return REFUSED_FOR
        case ErrorKind.QUOTA:
            return _until_midnight(operation, at)
        case _:
            return 0.0


def _within(told: float, span: Span) -> float:
    # A transport tells its own time. What lies outside the attempt was told by another
    # clock than ours, and then nothing is known but that the request has left by now.
    return told if span.started <= told <= span.ended else span.ended


def _until_midnight(operation: Operation, at: datetime) -> float:
    # GUESS: the quota's day ends at midnight in the operation's timezone.
    local = at.astimezone(timezone(operation.timezone))
    if local.hour < _NEW_DAY:  # then it ends later than guessed, or our clock is ahead: ask again before the next day
        return REFUSED_FOR
    midnight = next_midnight(local)
    # In UTC, because the difference of two local times leaves out a change of the clocks between them.
    return (midnight.astimezone(UTC) - at).total_seconds()
