"""Whether a call may be made now, as far as its pace is concerned. Pure.

What was asked of a token and answered (ok or empty) is not asked again before its
interval is over: a call that is due within `wait` waits, a later one is not made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from wolkvox_async.classify import error
from wolkvox_async.model import Call, ErrorKind, Skipped

_MOMENT: Final = 0.001  # seconds: less than that is no time to wait for


@dataclass(frozen=True, slots=True)
class Go:
    """It may be made."""


GO: Final = Go()


@dataclass(frozen=True, slots=True)
class Later:
    """It may be made in so many seconds."""

    seconds: float


Verdict: TypeAlias = Go | Later | Skipped


def admission(call: Call, since: float, *, wait: float, now: Callable[[], datetime]) -> Verdict:
    """Decide about a call whose question left `since` seconds ago, and was answered.

    `now` tells the wall clock's time, for what people read.
    """
    due_in = call.interval - since
    if due_in <= _MOMENT:
        return GO
    if due_in <= wait:
        return Later(due_in)
    message = f"not called: the same was asked of this token {since:.0f} s ago, and --interval is {call.interval:g} s"
    return Skipped(error(ErrorKind.NOT_DUE, message), now() + timedelta(seconds=due_in))
