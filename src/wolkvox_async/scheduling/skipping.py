"""Why a call is not made: its lane was stopped, its token refused, or an earlier call of it failed."""

from __future__ import annotations

from typing import Final

from wolkvox_async.classify import error
from wolkvox_async.model import Call, ErrorKind, Failed, Skipped

from .queues import Lane, SerialQueue

STOPPING: Final = Skipped(error(ErrorKind.STOPPING, "the run was stopped before this call was made"))

# These failures are the call's own; they say nothing about the token's next one.
NEVER_HOLD: Final = frozenset({ErrorKind.UNKNOWN_API, ErrorKind.BAD_REQUEST, ErrorKind.TOO_LARGE, ErrorKind.MALFORMED})


def refusal(call: Call, lane: Lane, queue: SerialQueue, *, now: float) -> Skipped | None:
    """Say why `call` cannot be queued, if it cannot; a token whose time is over is open again."""
    if lane.closed:
        return STOPPING
    if queue.closed_by is not None and now < queue.open_at:
        return held_by(queue.closed_by)
    queue.closed_by = None
    failure = lane.held.get(call.operation.token)
    return None if failure is None else held_by(failure)


def held_by(failure: Failed) -> Skipped:
    """Say that an earlier failure is the reason."""
    if failure.error.kind is ErrorKind.QUOTA:
        return Skipped(error(ErrorKind.QUOTA, "not called: the token's daily quota is used up"))
    return Skipped(error(ErrorKind.HELD, f"not called: an earlier call of this token failed ({failure.error.kind})"))
