"""When a watched endpoint of a token is due: its slots, in Unix milliseconds. Pure.

The grid. Places are `interval` apart, at a phase from a hash of what is asked of which
token. Both are pinned to absolute time: load is spread, and phases survive restarts, other
machines and a tenants file in another order.

The closing slot. What counts within a month can be read until the month turns, and never
again. So the month's last reading is taken late: `lead` before the turn, which is as much
as its token needs for all of its closing readings, and to fail once on the way. The slot
at the last place before that moment is moved there. What stands behind it within one
interval is dropped: nothing is asked twice within an interval.

    grid      |    .    |    .    |    .    |    .    |
    asked     |    .    |    .       C       (x) .    |      C = turn - lead, x is dropped
                                        ^ turn

Every place is one slot. Which one follows from the slot before it and from the lead as it
is then, so a lead that changes (latency is measured) neither doubles a slot nor loses one,
and a month is closed once. Whoever has been away goes on from the last slot that he knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from hashlib import blake2b
from typing import Final

from wolkvox_async.model import Slot
from wolkvox_async.windows import next_month_start

_MILLISECONDS: Final = 1_000
_DAY: Final = 86_400_000
_FIRST_DAY: Final = 2  # of a month in UTC: by then it has begun everywhere
_LAST_DAY: Final = 26  # nowhere on earth does a month turn on it or on the day after


@dataclass(frozen=True, slots=True)
class Grid:
    """Places `interval` apart; the first of 1970 is `phase`, which is less than that."""

    interval: int
    phase: int

    @classmethod
    def of(cls, key: str, interval: int) -> Grid:
        """Return the grid of what `key` says: the same at all times and everywhere."""
        digest = blake2b(key.encode(), digest_size=8).digest()
        return cls(interval, int.from_bytes(digest) % interval)

    def has(self, slot: Slot) -> bool:
        """Tell whether a slot stands on one of its places."""
        return slot.place % self.interval == self.phase

    def before(self, moment: int) -> int:
        """Return the last place before `moment`."""
        return moment - 1 - (moment - 1 - self.phase) % self.interval


@dataclass(frozen=True, slots=True)
class Timetable:
    """The slots of one endpoint of a token; `zone` is where its month turns, None for what can be read later too."""

    grid: Grid
    zone: tzinfo | None = None

    def first(self, since: int, lead: int) -> Slot:
        """Return the first slot that is due at `since` or later, for what was never watched before."""
        # The place before it may be that of a closing slot, which is due later.
        slot = self._at(self.grid.before(since), None, lead)
        return slot if slot.due >= since else self._at(slot.place + self.grid.interval, None, lead)

    def after(self, slot: Slot, since: int, lead: int) -> Slot:
        """Return the first slot behind `slot` that is due at `since` or later."""
        following = self.next(slot, lead)
        if following.due < since:
            following = self._at(self.grid.before(since), slot.closed, lead)
        return (
            following if following.due >= since else self._at(following.place + self.grid.interval, slot.closed, lead)
        )

    def next(self, slot: Slot, lead: int) -> Slot:
        """Return the slot that follows `slot`, with closing readings `lead` (at least 1) before the turn."""
        place = slot.place + self.grid.interval
        if slot.closing and place < slot.due + self.grid.interval:
            return Slot(place, place, dropped=True, closed=slot.closed)
        return self._at(place, slot.closed, lead)

    def resumed(self, due: int, closing: int | None) -> Slot:
        """Return the last slot that is known of, and due then; its last closing slot was due at `closing`.

        The grid may be another by now.
        """
        closed = None if closing is None else self.turn(closing)
        return Slot(self.grid.before(due + 1), due, closing=due == closing, closed=closed)

    def _at(self, place: int, closed: int | None, lead: int) -> Slot:
        if self._is_amid_the_month(place, lead):
            return Slot(place, place, closed=closed)
        turn = self.turn(place)
        if turn is None or turn == closed or place + self.grid.interval <= turn - lead:
            return Slot(place, place, closed=closed)
        return Slot(place, max(place, turn - lead), closing=True, closed=turn)

    def _is_amid_the_month(self, place: int, lead: int) -> bool:
        """Tell quickly that no month turns anywhere within the next day; most places are such."""
        day = datetime.fromtimestamp(place // _MILLISECONDS, UTC).day
        return _FIRST_DAY <= day <= _LAST_DAY and lead + self.grid.interval < _DAY

    def turn(self, moment: int) -> int | None:
        """Return when the month of `moment` turns; None for what is not read by the month."""
        if self.zone is None:
            return None
        local = datetime.fromtimestamp(moment / _MILLISECONDS, UTC).astimezone(self.zone)
        return round(next_month_start(local).timestamp() * _MILLISECONDS)
