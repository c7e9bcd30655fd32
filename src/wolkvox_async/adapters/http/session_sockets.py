"""The sockets of an attempt of a session, so that none of them outlives it.

A session closes politely, which over TLS takes until the other side has said goodbye.
What an attempt has opened is cut as soon as it is over.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Final, Self

from aiohttp import AddrInfoType

_CLOSING_ROUNDS: Final = 100


class Sockets:
    """Those that are opened while it is entered, by the task that entered it and by tasks of that one."""

    def __init__(self) -> None:
        self._opened: Final[list[socket.socket]] = []

    async def __aenter__(self) -> Self:
        _CURRENT.set(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _CURRENT.set(None)
        await self.cut()

    def open(self, where: AddrInfoType) -> socket.socket:
        """Make a socket of the kind that is wanted."""
        family, kind, protocol, _, _ = where
        made = socket.socket(family, kind, protocol)
        self._opened.append(made)
        return made

    async def cut(self) -> None:
        """End the connections, and wait until the event loop has closed their sockets."""
        for each in self._opened:
            with suppress(OSError):  # it was never connected, or is closed
                each.shutdown(socket.SHUT_RDWR)
        for _ in range(_CLOSING_ROUNDS):
            if all(each.fileno() < 0 for each in self._opened):
                return
            await asyncio.sleep(0)


_CURRENT: Final[ContextVar[Sockets | None]] = ContextVar("sockets of the attempt under way", default=None)


def open_socket(where: AddrInfoType) -> socket.socket:
    """Make a socket for the attempt under way; a connector calls it."""
    current = _CURRENT.get()
    return socket.socket(*where[:3]) if current is None else current.open(where)
