"""The clocks of a machine in virtual time, and the time of the world around it.

    clock = VirtualClock(datetime(2026, 11, 5, tzinfo=UTC))     # inside a VirtualLoop
    clock.at(clock.unix() + 86_400, lambda: clock.suspend(7_200))

A program reads `now` (monotonic) and `utc` (the wall clock). The world goes by `elapsed`
and `unix`, which neither stop nor jump. A machine that is suspended misses time; a process
that is stopped (`freeze`) does too, but its monotonic clock goes on; a wall clock that is
set (`step`) tells another time than the world's.

What is to happen in the world (`at`, `after`) happens at its time even while the machine
stands still, and before anything else runs there again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from math import inf, nextafter
from typing import Final

from .virtual_loop import VirtualLoop


class Happening:
    """Something that is going to happen in the world, `when` it has come to so many seconds elapsed."""

    __slots__ = ("_act", "_clock", "_timer", "when")

    def __init__(self, clock: VirtualClock, when: float, act: Callable[[], object]) -> None:
        self.when: Final = when
        self._clock: Final = clock
        self._act: Final = act
        self._timer: asyncio.TimerHandle | None = None

    def arm(self, machine: float) -> None:
        """Have it happen when the machine's loop comes to `machine` seconds."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.loop.call_at(machine, self.happen)

    def happen(self) -> None:
        """Do it now."""
        self.cancel()
        self._act()

    def cancel(self) -> None:
        """Have it not happen."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._clock.coming.pop(self, None)


class VirtualClock:
    """Fulfils `ports.Clock` in a `VirtualLoop`; `utc` is what it shows first."""

    def __init__(self, utc: datetime = datetime(2026, 11, 21, 12, tzinfo=UTC)) -> None:
        """To be called in the loop that it belongs to; raises `TypeError` in a loop of real time."""
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualLoop):
            raise TypeError("a virtual clock needs a virtual loop: asyncio.Runner(loop_factory=VirtualLoop)")
        self.loop: Final = loop
        self.now: Final = loop.time
        """Returns the monotonic seconds."""
        self.coming: Final[dict[Happening, None]] = {}
        self._missed = 0.0  # seconds of the world in which the monotonic clock stood still
        # What makes Unix seconds of the loop's: the world's, and the wall clock's.
        self._world = self._wall = utc.timestamp() - loop.time()
        self._told = (0.0, utc)  # what was asked for last, for time stands still a lot

    # --- what the program sees

    def utc(self) -> datetime:
        """Return the wall clock's time."""
        wall = self._wall + self.loop.seconds
        if self._told[0] != wall:
            self._told = (wall, datetime.fromtimestamp(wall, UTC))
        return self._told[1]

    def wall(self) -> float:
        """Return the wall clock's time in Unix seconds."""
        return self._wall + self.loop.seconds

    def alarm(self, when: float, ring: Callable[[], None]) -> asyncio.TimerHandle:
        """Have `ring` called once `now()` reaches `when`."""
        # By rounding the loop may come to a hair before a timer; whoever is called too early sets the same one again.
        return self.loop.call_at(nextafter(nextafter(when, inf), inf), ring)

    # --- the world

    def elapsed(self) -> float:
        """Return the seconds that the world has come to: as `now`, and what that missed."""
        return self.loop.seconds + self._missed

    def unix(self) -> float:
        """Return the true time in Unix seconds."""
        return self._world + self.loop.seconds

    def after(self, seconds: float, act: Callable[[], object]) -> Happening:
        """Have `act` done when the world is `seconds` further."""
        machine = self.loop.seconds + seconds
        happening = Happening(self, machine + self._missed, act)
        self.coming[happening] = None
        happening.arm(machine)
        return happening

    def at(self, unix: float, act: Callable[[], object]) -> Happening:
        """Have `act` done when the world comes to `unix`."""
        return self.after(unix - self.unix(), act)

    # --- what befalls the machine

    def step(self, seconds: float) -> None:
        """Set the wall clock forward (or back)."""
        self._wall += seconds

    def suspend(self, seconds: float) -> None:
        """Let the machine miss `seconds`: nothing runs there, and its monotonic clock stands still."""

        def miss(missed: float) -> None:
            self._missed += missed
            self._world += missed
            self._wall += missed

        self._pass(seconds, miss)
        for happening in self.coming:
            happening.arm(happening.when - self._missed)

    def freeze(self, seconds: float) -> None:
        """Let the process stand still for `seconds`: its monotonic clock goes on, and its timers are late."""
        self._pass(seconds, self.loop.skip)

    def _pass(self, seconds: float, move: Callable[[float], None]) -> None:
        end = self.elapsed() + seconds
        while self.coming:
            first = min(self.coming, key=lambda happening: happening.when)
            if first.when > end:
                break
            move(max(0.0, first.when - self.elapsed()))
            first.happen()
        move(max(0.0, end - self.elapsed()))
