"""SIGINT and SIGTERM: the first drains, the second stops at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Reactions:
    """What the signals do: stop taking, give up what is in flight, stop at once."""

    stop: Callable[[], None]
    abandon: Callable[[], None]
    abort: Callable[[], None]


class StopSignals:
    """Listens for the length of a block; `received` is the first signal, if any came.

    `drain` is how many seconds the calls in flight have after the first one.
    """

    def __init__(self, reactions: Reactions, drain: float) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._reactions: Final = reactions
        self._drain: Final = drain
        self._timer: asyncio.TimerHandle | None = None
        self.received: int | None = None

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            self._loop.add_signal_handler(number, self._receive, number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in _SIGNALS:
            self._loop.remove_signal_handler(number)
        if self._timer is not None:
            self._timer.cancel()

    def _receive(self, number: int) -> None:
        if self.received is not None:
            self._reactions.abort()
            return
        self.received = number
        self._reactions.stop()
        self._timer = self._loop.call_later(self._drain, self._reactions.abandon)
