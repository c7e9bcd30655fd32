"""How good the last reading of something watched still is: the colours of the page. Pure.

Age counts in intervals since the last call that ended ok or empty; before the first one,
since it was added. A slot that is dropped behind a closing reading is one interval in
which nothing was to be read. Why nothing comes is said before how long it has not come: what the
vendor refuses and what failed last is so called at any age.

The page counts on by itself between two messages, by the same rule (`conditionOf` in `page.js`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from wolkvox_async.model import ErrorKind, GapReason

from .tracks import Track

LATE: Final = 1.5  # intervals
STALE: Final = 3.0

_REFUSALS: Final = frozenset({ErrorKind.UNAUTHORIZED, ErrorKind.FORBIDDEN, ErrorKind.HELD})


class Condition(StrEnum):
    """What the last reading is worth, the worst first.

    `refused`: the vendor does not take the token; `never`: nothing was read for one and a
    half intervals since it was added; `stale`: not for three intervals, `late`: not for one and
    a half; `failed`: the last call failed; `pending`: the first reading is still to come.
    """

    REFUSED = "refused"
    NEVER = "never"
    STALE = "stale"
    FAILED = "failed"
    LATE = "late"
    PENDING = "pending"
    FRESH = "fresh"


SEVERITY: Final = {condition: rank for rank, condition in enumerate(Condition)}  # 0 is the worst


def condition(track: Track, waits: GapReason | None, now: int) -> Condition:
    """Return the condition of `track`, whose open call `waits` for that, at `now` (Unix ms)."""
    if GapReason.HELD in (waits, track.gap) or track.error_kind in _REFUSALS:
        return Condition.REFUSED
    if track.error_kind is not None:
        return Condition.FAILED
    good_at = track.good_at
    intervals = (now - (track.added if good_at is None else good_at)) / track.interval
    if track.gap is GapReason.CLOSING:
        intervals -= 1
    if good_at is None:
        return Condition.PENDING if intervals < LATE else Condition.NEVER
    if intervals < LATE:
        return Condition.FRESH
    return Condition.LATE if intervals < STALE else Condition.STALE
