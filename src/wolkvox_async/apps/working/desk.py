"""Where a worker's engine delivers: the `Sink` and the `State` of one share.

Leases and what is known of tokens are the worker's own, in the folder that all share; the
ledger is the parent's. What the engine writes and then settles leaves as one frame, lines
and marks together: the parent has both or neither.

A call keeps its token until the parent has committed it, for only then does everybody know.
At most two frames per share are not written yet; while they are on their way, and for a moment
after each that is not full, calls gather for the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Final, TypeAlias

from wolkvox_async.errors import StateError
from wolkvox_async.marks import Mark
from wolkvox_async.model import Call
from wolkvox_async.ports import OpenRun, RunOrder, State

from .counting import count
from .frames import Post, packed
from .leasing import OwnTokens
from .shares import Part

Done: TypeAlias = Callable[[StateError | None], None]

GATHERING: Final = 0.02
"""Seconds between two frames that are not full, where many calls are in flight."""

_GATHERING_EACH: Final = 0.0001  # seconds for every call that may be in flight: few are not kept waiting
_AHEAD: Final = 2  # frames that may be on their way
_FULL: Final = 65_536  # bytes: lines that are worth a frame as they are
_RUN: Final = b'{"type":"run",'


def gathering(part: Part) -> float:
    """Return for how many seconds calls gather, with so many in flight."""
    return min(GATHERING, part.max_in_flight * _GATHERING_EACH)


class Desk(OwnTokens):
    """One share's; `state` is the worker's."""

    def __init__(self, share: int, opened: OpenRun, state: State, post: Post, gathering: float) -> None:
        """Take the number of the share, and the least time between two frames in seconds."""
        super().__init__(state)
        self._share: Final = share
        self._opened: Final = opened
        self._post: Final = post
        self._gathering: Final = gathering
        self._lines = b""  # delivered by the engine, and not sent yet
        self._unsettled: Final[deque[Done]] = deque()  # in the order of their frames
        self._is_calm: Final = asyncio.Event()  # nothing is unsettled, or nobody settles any more
        self._is_calm.set()
        self._unwritten = 0  # frames
        self._has_room: Final = asyncio.Event()  # for another frame
        self._has_room.set()
        self._next_at = 0.0  # by the event loop's clock
        self._is_closed = False

    # --- from the engine: lines

    async def write(self, lines: bytes) -> int:
        """Take lines, when there is room for their frame; they leave once they are settled."""
        self._send()
        await self._has_room.wait()
        loop = asyncio.get_running_loop()
        if len(lines) < _FULL and (pause := self._next_at - loop.time()) > 0:
            await asyncio.sleep(pause)
        # The parent opens and closes the run.
        self._lines = b"" if lines.startswith(_RUN) else lines
        return 0

    def _send(self, marks: Sequence[Mark] = ()) -> None:
        lines, self._lines = self._lines, b""
        if not (lines or marks):
            return
        counts, skipped = count(marks, lines)
        self._unwritten += 1
        if self._unwritten >= _AHEAD and not self._is_closed:
            self._has_room.clear()
        self._next_at = asyncio.get_running_loop().time() + self._gathering
        self._post("lines", self._share, counts, [packed(mark) for mark in marks], skipped, tail=lines)

    # --- from the parent

    def written(self) -> None:
        """Hear that a frame was written."""
        self._unwritten -= 1
        self._has_room.set()

    def settled(self) -> None:
        """Hear that the calls of the oldest frame that made any are settled for everybody."""
        self._unsettled.popleft()(None)
        if not self._unsettled:
            self._is_calm.set()

    def give_up(self) -> None:
        """Wait for the parent no longer."""
        self._is_closed = True
        self._is_calm.set()
        self._has_room.set()

    # --- the ledger

    async def open_run(self, order: RunOrder) -> OpenRun:  # noqa: ARG002 - the parent had the order
        """Return the run that the parent opened."""
        return self._opened

    def expect(self, run: str, calls: Collection[Call]) -> None:
        """Note what is about to be called."""
        self._state.expect(run, calls)

    def settle(self, run: str, marks: Sequence[Mark], position: int | None, done: Done) -> None:  # noqa: ARG002
        """Hand lines and marks over; `done` is called when the parent has settled them."""
        self._unsettled.append(done)
        if not self._is_closed:
            self._is_calm.clear()
        self._send(marks)

    def unsettle(self, run: str, marks: Sequence[Mark]) -> None:
        """Do nothing: what did not arrive is the parent's to know."""

    async def close_run(self, run: str, *, complete: bool) -> None:
        """Do nothing: the run goes on in others, and the parent closes it."""

    async def flush(self) -> None:
        """Return when everything handed over is settled; raises `StateError`."""
        self._send()
        await self._is_calm.wait()
        await self._state.flush()

    async def close(self) -> None:
        """Do nothing: the state is the worker's to close."""
