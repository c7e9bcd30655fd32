"""The body of an answer, read in pieces as far as there is room for it; the rules are those of `room`."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import Final

from aiohttp import StreamReader

from .room import BIG, SMALL, Claim, Room
from .session_alarm import Alarm


class Intake:
    """What one answer takes up; `alarm` rings when its room is lost."""

    def __init__(self, room: Room, alarm: Alarm) -> None:
        self._room: Final = room
        self._alarm: Final = alarm
        self._pool: Claim | None = None
        self._lane: Claim | None = None
        self.was_too_slow = False

    @property
    def is_big(self) -> bool:
        """Whether a big body may be in memory."""
        return self._lane is not None

    async def read(self, content: StreamReader, *, length: int | None, most: int) -> bytes | None:
        """Read the whole body, of `length` bytes if that was told; None when it is larger than `most`."""
        if length is not None and length > most:
            return None
        body = BytesIO()  # gives away what it has collected without a copy
        await self._make_room(length or 0, wanted=length or 0)
        while piece := await content.readany():
            self._bring(len(piece))
            body.write(piece)
            if body.tell() > most:
                return None
            if length is None:
                await self._make_room(body.tell(), wanted=BIG)
        self._rest(keep=body.tell())
        return body.getvalue()

    async def hold_big(self) -> None:
        """Wait for the right to have a big body in memory, though none is being read."""
        if self._lane is None:
            self._lane = await self._room.lane.take(1, self._lose)
            self._lane.rest()

    def leave_pool(self) -> None:
        """Say that the body takes up no room in the pool any more."""
        if self._pool is not None:
            self._pool.give_back()
            self._pool = None

    def let_go(self) -> None:
        """Say that the body is not in memory any more."""
        self.leave_pool()
        if self._lane is not None:
            self._lane.give_back()
            self._lane = None

    async def _make_room(self, size: int, *, wanted: int) -> None:
        if self._lane is not None or size <= SMALL:
            return
        if size > BIG:
            await self._take_lane()
        elif self._pool is None:
            self._pool = await self._room.pool.take(wanted, self._lose)

    async def _take_lane(self) -> None:
        # Which may be long for no fault of the server's: meanwhile its time stands still.
        left = self._alarm.stop()
        if self._pool is not None:
            self._pool.rest()
        self._lane = await self._room.lane.take(1, self._lose)
        self.leave_pool()
        self._alarm.set(asyncio.get_running_loop().time() + left)

    def _bring(self, size: int) -> None:
        for claim in (self._pool, self._lane):
            if claim is not None:
                claim.bring(size)

    def _rest(self, *, keep: int) -> None:
        for claim in (self._pool, self._lane):
            if claim is not None:
                claim.rest()
        if self._pool is not None:
            self._pool.give_back(keep=keep)

    def _lose(self) -> None:
        self.was_too_slow = True
        self.let_go()
        self._alarm.ring()
