"""The newest readings, shared by all who ask for them.

A service is asked far more often than it may ask the vendor. So one request serves all
who ask at the same time, and its reading all who ask until the same may be asked again.
What is asked here keeps its interval as a pass does: where others have asked the token
meanwhile (a pass, another process), it is not called.

A failure is a reading too, but lasts for a moment only: long enough that nobody makes
the vendor hear the same question a hundred times a second.

A call goes on when those who wait for it go away, and is there for who asks next: it is
sent already, or about to be, and its answer must not be asked for twice. There is one task
for each different question, while it is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from wolkvox_async.model import Failed, Skipped
from wolkvox_async.ports import Clock

from .lifetime import outlast
from .result import CallResult
from .roster import Asked

MOST_ROWS: Final = 100_000
"""How many rows are kept in all; a reading without rows counts as one."""

FAILURE_LASTS: Final = 10.0
"""For how many seconds a failure is not tried again."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A reading, asked for at that time (monotonic seconds); it `lasts` so many seconds at least."""

    result: CallResult
    asked_at: float
    lasts: float

    @property
    def weight(self) -> int:
        return max(1, len(self.result.rows))


Ask: TypeAlias = Callable[[Asked], Awaitable[CallResult]]


class Newest:
    """Asks by `ask`, and keeps at most `most` rows: what was not read for longest goes first."""

    def __init__(self, ask: Ask, clock: Clock, most: int = MOST_ROWS) -> None:
        self._ask: Final = ask
        self._clock: Final = clock
        self._most: Final = most
        self._kept: Final[dict[Asked, _Kept]] = {}  # the one read last stands last
        self._rows = 0  # of what is kept
        self._under_way: Final[dict[Asked, asyncio.Task[CallResult]]] = {}

    async def read(self, asked: Asked, max_age: float) -> CallResult:
        """Return a reading that is not older than `max_age` (s) or, if that is longer, its interval."""
        kept = self._kept.get(asked)
        if kept is not None and self._lasts(kept, max_age):
            self._kept[asked] = self._kept.pop(asked)
            return kept.result
        task = self._under_way.get(asked)
        if task is None or task.done():  # done: it was cancelled before it began
            task = asyncio.create_task(self._read(asked), name="wolkvox_async reading")
            task.add_done_callback(_heard)
            self._under_way[asked] = task
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Return when nothing is under way any more; the engine has ended all calls."""
        for task in tuple(self._under_way.values()):
            await outlast(task)

    def _lasts(self, kept: _Kept, max_age: float) -> bool:
        failed = isinstance(kept.result.settlement.outcome, Failed)
        lasts = kept.lasts if failed else max(kept.lasts, max_age)
        return self._clock.now() - kept.asked_at < lasts

    async def _read(self, asked: Asked) -> CallResult:
        try:
            result = await self._ask(asked)
        finally:
            self._under_way.pop(asked, None)
        self._keep(asked, result)
        return result

    def _keep(self, asked: Asked, result: CallResult) -> None:
        settlement = result.settlement
        match settlement.outcome:
            case Skipped():  # asking again costs nobody anything
                return
            case Failed():
                kept = _Kept(result, self._clock.now(), FAILURE_LASTS)
            case _:
                kept = _Kept(result, self._clock.now() - settlement.ago, settlement.call.interval)
        self._drop(asked)
        if kept.weight > self._most:
            return
        self._kept[asked] = kept
        self._rows += kept.weight
        while self._rows > self._most:
            self._drop(next(iter(self._kept)))

    def _drop(self, asked: Asked) -> None:
        dropped = self._kept.pop(asked, None)
        if dropped is not None:
            self._rows -= dropped.weight


def _heard(task: asyncio.Task[CallResult]) -> None:
    """Have nobody told that an exception was never retrieved: whoever waited has gone."""
    if not task.cancelled():
        task.exception()
