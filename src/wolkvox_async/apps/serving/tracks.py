"""What is remembered of one subject: its last reading, the slots before, the gaps of the month. Pure.

There may be tens of thousands of them, so everything in here has a bound: the last 48
slots are packed into one buffer (13 bytes each), gaps are counted and the latest five kept,
closing readings are those of three months, messages are cut. 1.5 kB is usual, 2.7 kB the
most, with what the board needs to find it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isnan, nan
from struct import Struct
from typing import Final, NamedTuple

from wolkvox_async.model import ErrorKind, GapReason
from wolkvox_async.scheduling.calendar import Grid

SLOTS: Final = 48
LATEST_GAPS: Final = 5
CLOSINGS: Final = 3
MESSAGE: Final = 160  # characters

REASONS: Final = tuple(GapReason)
ENDINGS: Final = ("ok", "empty", "failed", *(reason.value for reason in REASONS))
_CODES: Final = {ending: code for code, ending in enumerate(ENDINGS)}
_RANKS: Final = {reason: rank for rank, reason in enumerate(REASONS)}
_ENTRY: Final = Struct("<IBd")  # Unix seconds, how it ended, the sum of items


class Ended(NamedTuple):
    """How a slot ended: when (Unix seconds), `ok`, `empty`, `failed` or the reason of a gap, and the sum of `items`."""

    at: int
    ending: str
    items: float | None


class History:
    """The last 48 slots, the oldest first; `count` is how many there ever were."""

    __slots__ = ("_packed", "count")

    def __init__(self) -> None:
        self._packed: Final = bytearray(_ENTRY.size * SLOTS)
        self.count = 0

    def add(self, at: int, ending: str, items: float | None) -> None:
        """Remember how a slot ended at `at` (Unix ms), in place of the oldest one."""
        place = self.count % SLOTS * _ENTRY.size
        _ENTRY.pack_into(self._packed, place, at // 1000, _CODES[ending], nan if items is None else items)
        self.count += 1

    def __iter__(self) -> Iterator[Ended]:
        for number in range(max(0, self.count - SLOTS), self.count):
            yield self._at(number)

    @property
    def last(self) -> Ended | None:
        """The newest one."""
        return self._at(self.count - 1) if self.count else None

    def _at(self, number: int) -> Ended:
        at, code, items = _ENTRY.unpack_from(self._packed, number % SLOTS * _ENTRY.size)
        return Ended(at, ENDINGS[code], None if isnan(items) else items)


class Gap(NamedTuple):
    """A slot in which nothing was captured; `due` in Unix ms."""

    due: int
    reason: GapReason
    closing: bool


class Gaps:
    """The gaps of one calendar month: how many of each reason, and the latest five."""

    __slots__ = ("_counts", "_latest", "closing", "month")

    def __init__(self, month: str) -> None:
        self.month: Final = month
        self._counts: Final = array("I", bytes(4 * len(REASONS)))
        self._latest: Final = array("q")  # due, rank of the reason, closing: packed into one number each
        self.closing = False  # whether one of them was the closing reading

    def add(self, gap: Gap) -> None:
        """Count `gap`."""
        rank = _RANKS[gap.reason]
        self._counts[rank] += 1
        self._latest.append(gap.due << 8 | rank << 1 | gap.closing)
        del self._latest[:-LATEST_GAPS]
        self.closing |= gap.closing

    def latest(self) -> list[Gap]:
        """Return the latest five, the newest first."""
        return [Gap(one >> 8, REASONS[one >> 1 & 127], bool(one & 1)) for one in reversed(self._latest)]

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self._counts)

    def by_reason(self) -> dict[str, int]:
        """Return how many there are of each reason that has any."""
        return {reason.value: count for reason, count in zip(REASONS, self._counts, strict=True) if count}


class Closing(NamedTuple):
    """The closing reading of a month: due when, taken when (Unix ms; None: missed), and why it was missed."""

    month: str
    due: int
    taken: int | None
    trouble: str | None


@dataclass(slots=True, eq=False)
class Track:
    """What is known of one subject; times in Unix ms, `interval` too.

    `number` is its own for the life of the program. `at` is when its last call ended,
    `good_at` when the last one did that ended ok or empty. `gap` is why its last slot
    captured nothing, None when that one was a call. `error_kind` is that of the last call.
    """

    number: int
    key: str
    api: str
    interval: int
    grid: Grid
    monthly: bool
    added: int
    history: History = field(default_factory=History)
    at: int | None = None
    outcome: str | None = None
    items: float | None = None
    rows: int = 0
    seconds: float = 0.0
    good_at: int | None = None
    error_kind: ErrorKind | None = None
    error_message: str = ""
    gap: GapReason | None = None
    gaps: Gaps | None = None
    closings: tuple[Closing, ...] = ()

    def gaps_of(self, month: str) -> Gaps | None:
        """Return the gaps of `month`, if it has any."""
        return self.gaps if self.gaps is not None and self.gaps.month == month else None

    def read(self, at: int, outcome: str, items: float | None, rows: int) -> None:
        """Note a call that ended ok or empty."""
        self.at = self.good_at = at
        self.outcome, self.items, self.rows = outcome, items, rows
        self.error_kind, self.error_message, self.gap = None, "", None
        self.history.add(at, outcome, items)

    def failed(self, at: int, kind: ErrorKind, message: str) -> None:
        """Note a call that failed."""
        self.at, self.outcome, self.items, self.rows = at, "failed", None, 0
        self.error_kind, self.error_message, self.gap = kind, message[:MESSAGE], None
        self.history.add(at, "failed", None)

    def missed(self, gap: Gap, month: str) -> None:
        """Note a slot of `month` in which nothing was captured."""
        if self.gaps is None or self.gaps.month != month:
            self.gaps = Gaps(month)
        self.gaps.add(gap)
        self.gap = gap.reason
        self.history.add(gap.due, gap.reason.value, None)

    def closed(self, closing: Closing) -> None:
        """Note how the closing reading of a month went."""
        self.closings = (*self.closings, closing)[-CLOSINGS:]

    @property
    def closing_missed(self) -> bool:
        """Whether its latest closing reading was missed."""
        return bool(self.closings) and self.closings[-1].taken is None
