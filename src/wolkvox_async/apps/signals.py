"""SIGINT and SIGTERM: the first drains, the second stops at once.

A process that another one made may leave it to that one to hear them, and is told a byte for each:
terminals and init systems send theirs to all processes, and a second one would cut the drain short.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final, Protocol, Self

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_AT_ONCE: Final = 64  # bytes


@dataclass(frozen=True, slots=True)
class Reactions:
    """What the signals do: stop taking, give up what is in flight, stop at once."""

    stop: Callable[[], None]
    abandon: Callable[[], None]
    abort: Callable[[], None]


class Signals(Protocol):
    """Where signals come from, in the running loop."""

    def listen(self, number: int, hear: Callable[[], None]) -> None:
        """Call `hear` whenever that one comes."""
        ...

    def leave_off(self, number: int) -> None:
        """Do so no more."""
        ...


class OwnSignals:
    """Those that this process gets."""

    def listen(self, number: int, hear: Callable[[], None]) -> None:
        """Call `hear` whenever that one comes."""
        asyncio.get_running_loop().add_signal_handler(number, hear)

    def leave_off(self, number: int) -> None:
        """Do so no more."""
        asyncio.get_running_loop().remove_signal_handler(number)


class PassedSignals:
    """Those that another process passes on; `gone` is called when that one is there no more."""

    def __init__(self, channel: socket.socket, gone: Callable[[], None]) -> None:
        self._channel: Final = channel
        self._gone: Final = gone
        self._hearers: Final[dict[int, Callable[[], None]]] = {}

    def listen(self, number: int, hear: Callable[[], None]) -> None:
        """Call `hear` whenever that one comes, also if it came before."""
        if not self._hearers:
            asyncio.get_running_loop().add_reader(self._channel, self._read)
        self._hearers[number] = hear

    def leave_off(self, number: int) -> None:
        """Do so no more."""
        del self._hearers[number]
        if not self._hearers:
            asyncio.get_running_loop().remove_reader(self._channel)

    def _read(self) -> None:
        passed = self._channel.recv(_AT_ONCE)
        if not passed:
            self._gone()
        for number in passed:
            if (hear := self._hearers.get(number)) is not None:
                hear()


class StopSignals:
    """Listens for the length of a block; `received` is the first signal, if any came.

    `drain` is how many seconds the calls in flight have after the first one.
    """

    def __init__(self, reactions: Reactions, drain: float, signals: Signals | None = None) -> None:
        """Take where signals come from, if not to this process."""
        self._signals: Final = signals or OwnSignals()
        self._loop: Final = asyncio.get_running_loop()
        self._reactions: Final = reactions
        self._drain: Final = drain
        self._timer: asyncio.TimerHandle | None = None
        self.received: int | None = None

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            self._signals.listen(number, partial(self._receive, number))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in _SIGNALS:
            self._signals.leave_off(number)
        if self._timer is not None:
            self._timer.cancel()

    def _receive(self, number: int) -> None:
        if self.received is not None:
            self._reactions.abort()
            return
        self.received = number
        self._reactions.stop()
        self._timer = self._loop.call_later(self._drain, self._reactions.abandon)
