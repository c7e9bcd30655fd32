"""Why a slot ended without a reading, from how its call ended that was never sent. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from wolkvox_async.model import ErrorKind, Failed, GapReason, Outcome, Skipped

_REASONS: Final[Mapping[ErrorKind, GapReason]] = MappingProxyType(
    {
        ErrorKind.SERVER_DOWN: GapReason.DOWN,
        ErrorKind.TOKEN_BUSY: GapReason.BUSY,
        ErrorKind.QUOTA: GapReason.QUOTA,
        ErrorKind.HELD: GapReason.HELD,
        ErrorKind.STOPPING: GapReason.STOPPED,
        ErrorKind.NOT_DUE: GapReason.OVERRUN,
    }
)


def waited_after(failure: Failed | None) -> GapReason:
    """Return why a call leaves a gap whose token waited until it was too late; after that `failure`, if any."""
    match None if failure is None else failure.error.kind:
        case ErrorKind.TOKEN_BUSY:
            return GapReason.BUSY
        case ErrorKind.MAINTENANCE | ErrorKind.SERVER_DOWN:
            return GapReason.DOWN
        case _:
            return GapReason.OVERRUN


def reason_of(outcome: Outcome) -> GapReason:
    """Return why a call that ended so without an attempt leaves a gap.

    A call that was not due came too late in its slot before: this one has to give way.
    """
    if isinstance(outcome, Failed | Skipped):
        return _REASONS.get(outcome.error.kind, GapReason.OVERRUN)
    raise ValueError("a call that was answered leaves no gap")
