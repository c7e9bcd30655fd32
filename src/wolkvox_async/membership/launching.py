"""When messages are sent: at once where nothing is on its way, else in company.

- While a batch is on its way, messages gather for the next: until there are enough to fill it, for
  2 ms at the most. A message that comes alone waits for nobody.
- So many batches are on their way at once, and no more; what comes then waits for one to return.
- When the store does not answer, all wait. After a pause, which grows, one batch is sent to see; the
  others follow when it has come back.
- What was put off goes before what came later.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from .backoff import Backoff
from .strands import Strand


@dataclass(frozen=True, slots=True)
class Pace:
    """How messages are sent; times are in seconds.

    `batch`: messages in one; `gathering`: for how long one waits for others; `flights`: batches on
    their way at once; `pause`: after the first answer that did not come, and the longest one;
    `full_pause`: the same after the store said that it is full.
    """

    batch: int = 100
    gathering: float = 0.002
    flights: int = 8
    pause: tuple[float, float] = (0.1, 5.0)
    full_pause: tuple[float, float] = (1.0, 30.0)


Fly: TypeAlias = Callable[[list[Strand]], Coroutine[Any, Any, None]]


class Launcher:
    """The queue of strands that have something to send, and the batches on their way."""

    def __init__(self, pace: Pace, fly: Fly) -> None:
        """`fly` sends the next message of each strand, and returns when it is known what became of them."""
        self._pace: Final = pace
        self._fly: Final = fly
        self._ready: Final[deque[Strand]] = deque()
        self._flights: Final[set[asyncio.Task[None]]] = set()
        self._backoff: Final = Backoff(*pace.pause)
        self._coming: asyncio.Handle | None = None  # the next look, in this turn of the loop
        self._gathering: asyncio.TimerHandle | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._is_gathered = False  # the first one that is ready has waited for long enough
        self._is_failing = False  # the last answer did not come
        self._is_halted = False

    @property
    def is_failing(self) -> bool:
        """Whether the store gave no answer, the last time it was asked."""
        return self._is_failing

    def add(self, strand: Strand) -> None:
        """Have the next message of `strand` sent."""
        self._ready.append(strand)
        if self._coming is None:
            self._coming = asyncio.get_running_loop().call_soon(self._look)

    def add_first(self, strands: Iterable[Strand]) -> None:
        """Have these sent before any other."""
        self._ready.extendleft(reversed(list(strands)))
        if self._coming is None:
            self._coming = asyncio.get_running_loop().call_soon(self._look)

    def put_off(self, strands: Iterable[Strand]) -> None:
        """Have these sent again after a pause: the store did not answer."""
        self._is_failing = True
        if self._pause is None and not self._is_halted:
            self._pause = asyncio.get_running_loop().call_later(self._backoff.pause(), self._resume)
        self.add_first(strands)

    def answered(self) -> None:
        """Take in that the store answers."""
        self._is_failing = False
        self._backoff.reset()

    def halt(self) -> None:
        """Send nothing more."""
        self._is_halted = True
        self._ready.clear()
        for timer in (self._coming, self._gathering, self._pause):
            if timer is not None:
                timer.cancel()

    async def stop(self) -> None:
        """Send nothing more, and give up what is on its way."""
        self.halt()
        for flight in self._flights:
            flight.cancel()
        await asyncio.gather(*self._flights, return_exceptions=True)

    # --- when

    def _look(self) -> None:
        self._coming = None
        while self._ready and self._may_go():
            self._go()
        if self._ready and self._gathering is None and self._may_gather():
            self._gathering = asyncio.get_running_loop().call_later(self._pace.gathering, self._gathered)

    def _may_go(self) -> bool:
        if self._is_halted or self._pause is not None:
            return False
        if not self._flights or self._is_failing:
            return not self._flights
        enough = self._is_gathered or len(self._ready) >= self._pace.batch
        return enough and len(self._flights) < self._pace.flights

    def _may_gather(self) -> bool:
        """Tell whether it is only company that is waited for."""
        is_held_up = self._is_halted or self._is_failing or self._pause is not None
        return not is_held_up and 0 < len(self._flights) < self._pace.flights

    def _gathered(self) -> None:
        self._gathering = None
        self._is_gathered = bool(self._ready)
        self._look()

    def _resume(self) -> None:
        self._pause = None
        self._look()

    def _go(self) -> None:
        ready = self._ready
        batch = [ready.popleft() for _ in range(min(len(ready), self._pace.batch))]
        if not ready:
            self._is_gathered = False
        flight = asyncio.create_task(self._fly(batch))
        self._flights.add(flight)
        flight.add_done_callback(self._landed)

    def _landed(self, flight: asyncio.Task[None]) -> None:
        if len(self._flights) == self._pace.flights:
            self._is_gathered = bool(self._ready)  # what is ready has waited for this
        self._flights.discard(flight)
        self._look()
