"""Parts on their way to the parent: sent in company, and awaited until they are stored.

- A frame waits a moment for others, where many calls are in flight; one that comes alone does not.
- So many frames are unstored at most; who has more waits, and with him the engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from wolkvox_async.apps.working.frames import Post
from wolkvox_async.clustering.messages import Entry
from wolkvox_async.errors import StateError
from wolkvox_async.membership.bell import Bell

from .frames import packed
from .tenancies import Tenancy

Done: TypeAlias = Callable[[StateError | None], None]

_MOST: Final = 64  # frames


@dataclass(slots=True, eq=False)
class _Frame:
    touched: Sequence[Tenancy]
    done: Done | None = None


class Outgoing:
    """Frames of parts; `gathering` is the least time between two of them in seconds."""

    def __init__(self, post: Post, gathering: float) -> None:
        self._post: Final = post
        self._gathering: Final = gathering
        self._unstored: Final[dict[int, _Frame]] = {}  # by number
        self._number = 0
        self._next_at = 0.0  # by the event loop's clock
        self._bell: Final = Bell()

    @property
    def is_empty(self) -> bool:
        """Whether everything that was sent is stored."""
        return not self._unstored

    async def room(self) -> None:
        """Return when another frame may go."""
        if (pause := self._next_at - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(pause)
        await self._bell.until(lambda: len(self._unstored) < _MOST)

    def send(self, parts: Sequence[tuple[Sequence[Any], Entry]], touched: Sequence[Tenancy]) -> None:
        """Send parts, each with its partition and token; of `touched` they are unstored until `stored`."""
        self._next_at = asyncio.get_running_loop().time() + self._gathering
        labels, tail = packed(parts)
        self._post("parts", self._begun(touched), labels, tail=tail)

    def say(self, run: str, line: bytes) -> None:
        """Send a line about a run."""
        self._post("run", self._begun(()), run, tail=line)

    def settle(self, done: Done) -> None:
        """Have `done` called when what was sent last is stored; to be called in the same turn of the loop."""
        self._unstored[self._number].done = done

    def stored(self, number: int) -> None:
        """Hear that a frame is stored."""
        frame = self._unstored.pop(number)
        for tenancy in frame.touched:
            tenancy.unstored -= 1
        if frame.done is not None:
            frame.done(None)
        self._bell.ring()

    async def flush(self) -> None:
        """Return when all that was sent so far is stored."""
        last = self._number
        await self._bell.until(lambda: all(number > last for number in self._unstored))

    def _begun(self, touched: Sequence[Tenancy]) -> int:
        for tenancy in touched:
            tenancy.unstored += 1
        self._number += 1
        self._unstored[self._number] = _Frame(touched)
        return self._number
