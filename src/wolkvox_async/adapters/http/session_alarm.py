"""The time that an attempt of a session has; its parts each have their own, and it may stand still."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

# Seconds by which it rings late only when the process, or its loop, stood still (SIGSTOP, a
# suspended machine): an answer that came meanwhile lies in the kernel, and there is time to read it.
_STOOD_STILL: Final = 0.25
_CATCHING_UP: Final = 1.0


class Alarm:
    """Ends its block with `TimeoutError` when it rings; `rang` tells that error from others of its kind."""

    def __init__(self) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._block: Final = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None
        self._at = 0.0
        self._was_late = False
        self.rang = False

    async def __aenter__(self) -> Self:
        await self._block.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        await self._block.__aexit__(kind, error, trace)

    def set(self, at: float) -> None:
        """Ring at `at` (monotonic seconds), and no more at another time."""
        self.stop()
        self._at = at
        self._timer = self._loop.call_at(at, self._due)

    def stop(self) -> float:
        """Do not ring any more; return the seconds that were left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return self._at - self._loop.time()

    def ring(self) -> None:
        """Ring now."""
        self.stop()
        if not self.rang:
            self.rang = True
            self._block.reschedule(self._loop.time())

    def _due(self) -> None:
        now = self._loop.time()
        if now - self._at > _STOOD_STILL and not self._was_late:
            self._was_late = True
            self._timer = self._loop.call_at(now + _CATCHING_UP, self.ring)
        else:
            self.ring()
