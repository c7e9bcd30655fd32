"""Why a call is not made: something was stopped, refused, busy or down, or an earlier call failed."""

from __future__ import annotations

from typing import Final

from wolkvox_async.classify import error
from wolkvox_async.model import Call, ErrorKind, Failed, Skipped

from .queues import Lane, Past

STOPPING: Final = Skipped(error(ErrorKind.STOPPING, "the run was stopped before this call was made"))

BUSY: Final = Failed(
    error(
        ErrorKind.TOKEN_BUSY,
        "another process of this machine uses this token, and --patience is over: let it finish, then call again",
    )
)

# The vendor does not take the token; and whatever closes it for a while, a used-up quota included.
REFUSALS: Final = frozenset({ErrorKind.UNAUTHORIZED, ErrorKind.FORBIDDEN})
CLOSING: Final = REFUSALS | {ErrorKind.QUOTA}

# These failures are the call's own; they say nothing about the token's next one.
NEVER_HOLD: Final = frozenset({ErrorKind.UNKNOWN_API, ErrorKind.BAD_REQUEST, ErrorKind.TOO_LARGE, ErrorKind.MALFORMED})


def refusal(call: Call, lane: Lane, past: Past | None, *, now: float) -> Skipped | None:
    """Say why `call` cannot be queued, if it cannot; a token whose time is over is open again."""
    if lane.closed:
        return STOPPING
    if past is not None:
        past.reopen(now)
        if past.closed_by is not None:
            return held_by(past.closed_by)
    failure = lane.held.get(call.operation.token) if lane.held else None
    return None if failure is None else held_by(failure)


def held_by(failure: Failed) -> Skipped:
    """Say that an earlier failure is the reason."""
    if failure.error.kind is ErrorKind.QUOTA:
        return Skipped(error(ErrorKind.QUOTA, "not called: the token's daily quota is used up"))
    why = f"an earlier call of this token failed ({failure.error.kind})"
    if failure.error.kind in REFUSALS:
        why = f"the vendor refused this token ({failure.error.kind}): update its reference, or see --retry-refused"
    return Skipped(error(ErrorKind.HELD, f"not called: {why}"))


def unreachable(server: str, seconds: float) -> Failed:
    """Say that the call was never sent because its server has been down for so many seconds."""
    return Failed(
        error(
            ErrorKind.SERVER_DOWN,
            f"never sent: server {server} has been down for {seconds:.0f} s, and --patience is over: call again later",
        )
    )
