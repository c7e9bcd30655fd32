"""Waiting until something is so that changes now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final


class Bell:
    """Rings when something has changed; whoever waits looks then."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: Final[set[asyncio.Future[None]]] = set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when `condition` holds; it is looked at now, and whenever the bell rings."""
        while not condition():
            rung = asyncio.get_running_loop().create_future()
            self._waiting.add(rung)
            try:
                await rung
            finally:
                self._waiting.discard(rung)

    def ring(self) -> None:
        """Have all look."""
        for rung in self._waiting:
            if not rung.done():
                rung.set_result(None)
