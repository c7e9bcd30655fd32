"""What the program shows of itself while it runs: the loop's lag, and what takes its time over something.

Nothing in here decides anything: `health` does, about the `Vitals` that are read off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, Self

from wolkvox_async.errors import StateError
from wolkvox_async.ports import Alarm, Clock, Sink

from .health import Vitals
from .tallies import Distribution

LAGS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

SAMPLE_EVERY: Final = 0.5
ASK_EVERY: Final = 5.0


class LoopLag:
    """How late the event loop comes to what is due, tried twice a second for the length of a block."""

    def __init__(self, clock: Clock, every: float = SAMPLE_EVERY) -> None:
        self._clock: Final = clock
        self._every: Final = every
        self._alarm: Alarm | None = None
        self._due = 0.0
        self._last = 0.0
        self.lags: Final = Distribution(LAGS)

    def __enter__(self) -> Self:
        self._set()
        return self

    def __exit__(self, *_: object) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    @property
    def seconds(self) -> float:
        """By how much it was late the last time, or is by now."""
        late = 0.0 if self._alarm is None else self._clock.now() - self._due
        return max(self._last, late)

    def _set(self) -> None:
        self._due = self._clock.now() + self._every
        self._alarm = self._clock.alarm(self._due, self._ring)

    def _ring(self) -> None:
        self._last = max(0.0, self._clock.now() - self._due)
        self.lags.add(self._last)
        self._set()


class Pulse:
    """Since when something has been at work on what it was given, if it is."""

    def __init__(self, clock: Clock) -> None:
        self._clock: Final = clock
        self._since: float | None = None

    @property
    def seconds(self) -> float | None:
        """For how long it has been at work; None: it has nothing to do."""
        return None if self._since is None else self._clock.now() - self._since

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Take it to be at work for the length of the block."""
        self._since = self._clock.now()
        try:
            yield
        finally:
            self._since = None


class FeltSink:
    """A sink whose pulse is felt."""

    def __init__(self, sink: Sink, pulse: Pulse) -> None:
        self._sink: Final = sink
        self._pulse: Final = pulse

    async def write(self, lines: bytes) -> int | None:
        """Deliver whole lines, as the sink does."""
        with self._pulse.at_work():
            return await self._sink.write(lines)


class LifeSigns:
    """The signs of life of a program: its loop, its output, its state.

    A block, for whose length the loop's lag is sampled and `ask` is awaited every five
    seconds: it asks the state something (`state.flush`) and returns when that has answered.
    What it raises as `StateError` is a failure for good.
    """

    def __init__(self, clock: Clock, ask: Callable[[], Awaitable[None]] | None = None) -> None:
        self.loop: Final = LoopLag(clock)
        self.output: Final = Pulse(clock)
        self.state: Final = Pulse(clock)
        self._ask: Final = ask
        self._asking: asyncio.Task[None] | None = None
        self._failures: tuple[str, ...] = ()

    async def __aenter__(self) -> Self:
        self.loop.__enter__()
        if self._ask is not None:
            self._asking = asyncio.create_task(self._keep_asking(self._ask), name="wolkvox_async state pulse")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.loop.__exit__()
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait((self._asking,))
            if not self._asking.cancelled() and (breakdown := self._asking.exception()) is not None:
                raise breakdown

    def vitals(self) -> Vitals:
        """Return them as they are now."""
        if not self._failures and self._asking is not None and self._asking.done():
            self._failures = ("nobody asks the state any more",)
        return Vitals(self.loop.seconds, self.output.seconds, self.state.seconds, self._failures)

    async def _keep_asking(self, ask: Callable[[], Awaitable[None]]) -> None:
        try:
            while True:
                with self.state.at_work():
                    await ask()
                await asyncio.sleep(ASK_EVERY)
        except StateError as error:
            self._failures = (f"the state cannot be used: {error}",)
