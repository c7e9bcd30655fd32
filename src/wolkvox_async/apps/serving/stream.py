"""What changed, told to everybody who looks at the page: server-sent events.

Once a second what changed becomes one frame, made once for all who look. The last
frames are kept (120 of them, at most 8 MiB): whoever connects again says which he saw last
and goes on from there. Who has missed more is told to read the whole board anew (`reset`),
and so is everybody after a reload. Nothing is queued for anybody: each goes through the kept
frames at his own pace, and one who does not take a frame in ten seconds is dropped.

While nobody looks, no frames are made and no changes are kept.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

import orjson

from wolkvox_async.ports import Clock

from .board import Board, milliseconds
from .machines import Cluster, document
from .outlines import lines, totals

EVERY: Final = 1.0  # seconds between two frames
MOST_STREAMS: Final = 64
MOST_FRAMES: Final = 120
MOST_BYTES: Final = 8 << 20
LINGER: Final = 15.0  # seconds between reading the board and following it
SWEEP: Final = 2_000  # lines looked at in a second for what happens without an event
MOST_LINES: Final = 5_000  # in a frame; more is a reset


class Feed:
    """Makes the frames, and keeps the last ones; `step` is to be called once a second."""

    def __init__(self, board: Board, clock: Clock) -> None:
        self._board: Final = board
        self._clock: Final = clock
        self._layout = -1
        self._tick = 0
        self._frames: deque[bytes] = deque()  # the last of them is that of `_tick`
        self._bytes = 0
        self._readers = 0
        self._awake_until = 0.0
        self._sweep: Iterator[int] = iter(())
        self._ahead: Final[dict[int, int]] = {}  # a hash of what lay before each track when it was looked at
        self._told: dict[str, Any] = {}
        self._cluster: Cluster | None = None  # that was told last
        self._news = asyncio.Event()
        self.closed = False

    @property
    def mark(self) -> str:
        """Where the stream is: who has read the board at it follows from there."""
        return f"{self._board.run or 'none'}.{self._layout}.{self._tick}"

    @property
    def is_full(self) -> bool:
        """Whether nobody else can follow."""
        return self._readers >= MOST_STREAMS

    @contextmanager
    def reader(self) -> Iterator[None]:
        """Count one who follows, for the length of the block."""
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1
            self.linger()

    def linger(self) -> None:
        """Keep making frames for a moment: somebody has read the board, and is about to follow."""
        if not self._is_awake():
            self._forget()
        self._awake_until = self._clock.now() + LINGER

    def step(self) -> None:
        """Make the next frame, if anything changed and anybody looks."""
        now = milliseconds(self._clock)
        self._board.refresh(now)
        if self._board.layout != self._layout:
            self._forget()
            self._wake()
        elif self._is_awake():
            self._add(self._board.take_changes() | self._overlooked(), now)
        else:
            self._forget()

    def close(self) -> None:
        """Let everybody go."""
        self.closed = True
        self._wake()

    def news(self) -> asyncio.Event:
        """Return what is set at the next frame; to be asked for before `after`."""
        return self._news

    def after(self, mark: str) -> tuple[str, list[bytes]] | None:
        """Return the mark now and the frames since `mark`; None when they are not there any more."""
        head, _, tick = mark.rpartition(".")
        if head != self.mark.rpartition(".")[0] or not (tick.isascii() and tick.isdigit()):
            return None
        missing = self._tick - int(tick[:18])
        if not 0 <= missing <= len(self._frames):
            return None
        return self.mark, list(islice(self._frames, len(self._frames) - missing, None))

    def _is_awake(self) -> bool:
        return self._readers > 0 or self._clock.now() < self._awake_until

    def _forget(self) -> None:
        # Whoever has an older mark cannot follow from it: its number is passed, its frames are gone.
        # Whoever reads the board now has its totals and its cluster as well.
        self._layout, self._tick, self._told = self._board.layout, self._tick + 1, totals(self._board)
        self._cluster = self._board.cluster
        self._board.take_changes()
        self._frames.clear()
        self._ahead.clear()
        self._bytes, self._sweep = 0, iter(())

    def _add(self, numbers: set[int], now: int) -> None:
        told, cluster = totals(self._board), self._board.cluster
        if not numbers and told == self._told and cluster == self._cluster:
            return
        if len(numbers) > MOST_LINES:
            self._forget()
            self._wake()
            return
        changed = {"now": now / 1000, "totals": told, "lines": lines(self._board, numbers, now)}
        if cluster != self._cluster:
            changed["cluster"] = document(cluster)
        self._told, self._cluster = told, cluster
        self._tick += 1
        self._keep(b"id: %s\nevent: lines\ndata: %s\n\n" % (self.mark.encode(), orjson.dumps(changed)))
        self._wake()

    def _keep(self, frame: bytes) -> None:
        self._frames.append(frame)
        self._bytes += len(frame)
        while len(self._frames) > MOST_FRAMES or (self._bytes > MOST_BYTES and len(self._frames) > 1):
            self._bytes -= len(self._frames.popleft())

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _overlooked(self) -> set[int]:
        """Find tracks whose next due time or wait has changed without an event; a part of them each time."""
        found, board = set(), self._board
        for number in self._round():
            track = board.tracks.get(number)
            if track is None:
                continue
            ahead = hash(board.outlook(track))
            if self._ahead.get(number, ahead) != ahead:
                found.add(number)
            self._ahead[number] = ahead
        return found

    def _round(self) -> list[int]:
        part = list(islice(self._sweep, SWEEP))
        if len(part) < SWEEP:
            self._sweep = iter(list(self._board.tracks))
            part.extend(islice(self._sweep, SWEEP - len(part)) if len(self._board.tracks) > SWEEP else self._sweep)
        return part


def reset(mark: str) -> bytes:
    """Return what tells a page to read the board anew."""
    return b"id: %s\nevent: reset\ndata: {}\n\n" % mark.encode()


RETRY: Final = b"retry: 2000\n\n"
HEARTBEAT: Final = b": still here\nevent: beat\ndata: {}\n\n"  # what is but a comment, a page does not notice
HEARTBEAT_EVERY: Final = 15.0

Send = Callable[[bytes], Any]


async def follow(feed: Feed, mark: str | None, send: Send, is_welcome: Callable[[], bool]) -> None:
    """Send what changes since `mark` by `send`, until the feed is closed or whoever reads is not welcome any more.

    Raises whatever `send` does.
    """
    await send(RETRY)
    while not feed.closed and is_welcome():
        news = feed.news()
        found = None if mark is None else feed.after(mark)
        if found is None:
            mark = feed.mark
            await send(reset(mark))
            continue
        mark, frames = found
        for frame in frames:
            await send(frame)
        if frames:
            continue
        try:
            async with asyncio.timeout(HEARTBEAT_EVERY):
                await news.wait()
        except TimeoutError:
            await send(HEARTBEAT)
