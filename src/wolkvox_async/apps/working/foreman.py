"""The parent at work: it writes what workers deliver, settles it, and deals out what dead ones leave.

- Frames are used in the order of their arrival, all that are there with one write. A worker is
  told when its frame is written, and again when it is settled: only then it lets go of tokens.
- Of a worker that died everything it handed over whole is written and committed before others
  get its operations, without the calls that ended; their share of its limits comes with them.
  Both wait until none of its calls can be running any more, as its leases say it: what runs
  at a server counts there, whoever asked for it, and the limits are totals. When the run is
  being stopped there is nothing to wait for, as nothing more is called.
- When the last worker has died there is nobody left to call, and none can be forked beside the
  threads that run by now: what is left ends as skipped, and the run can be taken up again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from wolkvox_async.adapters.telemetry import library_logger
from wolkvox_async.counters import Counters
from wolkvox_async.errors import OutputClosedError, StateError
from wolkvox_async.marks import CUT, Mark
from wolkvox_async.ports import Alarm, Clock, Sink, State

from .counting import add
from .forking import ended, in_words
from .frames import Head, read_frame, unpacked
from .job import Share
from .links import Link, Seen
from .shares import shares

_LEAVING: Final = 30.0  # seconds that workers have to end, when they are done
_LEAVING_AT_ONCE: Final = 5.0  # or when they are not
_IN_THE_PIPE: Final = 1.0  # seconds: what was written to a reader that went away within them did not arrive


@dataclass(frozen=True, slots=True)
class Floor:
    """What the parent works with: the run, planned as of `at`, and the tails of the calls that it had `settled`.

    `tokens` are the ids of all operations' tokens; `wrote` is called after every write. For so many
    seconds (`hold`) a call may be running of which nothing more is heard.
    """

    run: str
    at: str
    settled: bytes
    tokens: Sequence[str]
    sink: Sink
    state: State
    clock: Clock
    wrote: Callable[[], Awaitable[None]]
    hold: float


@dataclass(frozen=True, slots=True)
class _Frame:
    link: Link
    head: Head
    tail: bytes


class Foreman:
    """Has workers call, until every share of theirs has come to its end."""

    def __init__(self, floor: Floor, links: Sequence[Link], counters: Counters) -> None:
        self.counters: Final = counters  # of the whole run
        self.cut = 0  # calls that were replaced by their two parts
        self.stopped = False  # calls were left out
        self.deserted = False  # nobody is left to call
        self._floor: Final = floor
        self._links: Final = links
        self._shares = 0  # given out so far
        self._inbox: list[_Frame] = []
        self._arrived: Final = asyncio.Event()
        self._failure: Exception | None = None
        self._orders: Final[list[str]] = []  # that whoever gets a share later has to know as well
        self._in_the_pipe: Final[deque[tuple[float, Sequence[Mark]]]] = deque()
        self._listening: Final[list[asyncio.Task[None]]] = []
        self._estates: Final[dict[Link, Alarm]] = {}  # dead workers whose calls may be running

    async def work(self) -> None:
        """Return when all calls have ended, or nobody is left; raises `OutputError` and `StateError`."""
        for link in self._links:
            self._listening.append(asyncio.create_task(self._listen(link)))
            self._give(link, Share(self._shares, self._floor.run, self._floor.at, link.part, link.places, b""))
        while self._estates or any(link.open_shares for link in self._links):
            await self._arrived.wait()
            self._arrived.clear()
            if self._failure is not None:
                raise self._failure
            frames, self._inbox = self._inbox, []
            await self._take_in(frames)
        await self._floor.state.flush()

    def stop(self) -> None:
        """Have workers take nothing more."""
        self._order("stop")

    def abandon(self) -> None:
        """Have workers give up what is in flight."""
        self._order("abandon")

    async def dismiss(self, *, at_once: bool) -> None:
        """Send the workers home; `at_once`: whatever they are doing. Returns when they are gone, or should be."""
        for alarm in self._estates.values():
            alarm.cancel()
        for link in self._links:
            if at_once:
                link.post("quit")
            link.post("end")
        if self._listening:
            patience = _LEAVING_AT_ONCE if at_once else _LEAVING
            _, late = await asyncio.wait(self._listening, timeout=patience)
            for task in late:
                task.cancel()

    def seen(self) -> Seen:
        """Return what all workers together are doing."""
        waiting: dict[str, int] = {}
        alive = [link.seen for link in self._links if link.is_alive]
        for one in alive:
            for kind, tokens in one.waiting.items():
                waiting[kind] = waiting.get(kind, 0) + tokens
        return Seen(sum(one.in_flight for one in alive), sum(one.held_back for one in alive), waiting)

    def _order(self, word: str) -> None:
        self._orders.append(word)
        for link in self._links:
            link.post(word)
        for dead, alarm in self._estates.items():
            alarm.cancel()
            self._free_estate(dead)

    # --- what arrives

    async def _listen(self, link: Link) -> None:
        try:
            while (frame := await read_frame(link.reader)) is not None:
                self._arrive(_Frame(link, *frame))
            link.is_alive = False
            self._arrive(_Frame(link, ["died", await ended(link.pid)], b""))
        except Exception as error:  # noqa: BLE001 - whoever works the frames raises it
            self._fail(error)
        finally:
            link.close()

    def _arrive(self, frame: _Frame) -> None:
        if frame.head[0] == "seen":
            frame.link.seen = Seen(*frame.head[1:])
            return
        self._inbox.append(frame)
        self._arrived.set()

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._arrived.set()

    async def _take_in(self, frames: Sequence[_Frame]) -> None:
        # A worker's last lines come before its end.
        if lines := [frame for frame in frames if frame.head[0] == "lines"]:
            await self._deliver(lines)
        for frame in frames:
            match frame.head:
                case ["ended", share, stopped]:
                    frame.link.open_shares.discard(share)
                    self.stopped = self.stopped or stopped
                case ["died", code]:
                    await self._bury(frame.link, code)
                case ["estate"]:
                    self._hand_over(frame.link)
                case ["broken", message]:
                    raise StateError(message)
                case _:
                    pass

    # --- calls that ended

    async def _deliver(self, frames: Sequence[_Frame]) -> None:
        floor = self._floor
        try:
            position = await floor.sink.write(b"".join([frame.tail for frame in frames]))
        except OutputClosedError:
            self._take_back()
            raise
        await floor.wrote()
        marks: list[Mark] = []
        settling: list[tuple[Link, int]] = []
        for frame in frames:
            _, share, counts, packs, skipped = frame.head
            frame.link.post("written", share)
            add(self.counters, counts)
            frame.link.ended.extend("".join([pack[0] for pack in packs]).encode("ascii"))
            frame.link.ended.extend(skipped.encode("ascii"))
            if packs:
                made = unpacked(floor.run, packs)
                self.cut += sum(mark.outcome == CUT for mark in made)
                marks += made
                settling.append((frame.link, share))
        if marks:
            floor.state.settle(floor.run, marks, position, lambda error: self._settled(settling, error))
            if position is None:
                self._remember(marks)

    def _settled(self, settled: Sequence[tuple[Link, int]], error: StateError | None) -> None:
        if error is not None:
            self._fail(error)
            return
        for link, share in settled:
            link.post("settled", share)

    def _remember(self, marks: Sequence[Mark]) -> None:
        now = self._floor.clock.now()
        self._in_the_pipe.append((now, marks))
        while self._in_the_pipe[0][0] < now - _IN_THE_PIPE:
            self._in_the_pipe.popleft()

    def _take_back(self) -> None:
        since = self._floor.clock.now() - _IN_THE_PIPE
        marks = [mark for at, some in self._in_the_pipe if at >= since for mark in some]
        self._floor.state.unsettle(self._floor.run, marks)

    # --- workers that died

    async def _bury(self, dead: Link, code: int) -> None:
        had_work = bool(dead.open_shares)
        dead.open_shares.clear()
        if not had_work and not self._estates:
            return
        await self._floor.state.flush()
        how = f"worker {dead.number} (process {dead.pid}) {in_words(code)}"
        if not any(link.is_alive for link in self._links):
            self._desert(how)
        elif had_work:
            self._keep_estate(dead, how)

    def _keep_estate(self, dead: Link, how: str) -> None:
        """Keep what a dead worker had until no call of it can be running."""
        # Who only hears that it is to stop calls nothing.
        hold = 0.0 if self._orders else self._floor.hold
        when = f" in {hold:g} s, when those it was making cannot be running any more" if hold else ""
        library_logger().error(f"{how}: the others take up its calls{when}")
        clock = self._floor.clock
        self._estates[dead] = clock.alarm(clock.now() + hold, lambda: self._free_estate(dead))

    def _free_estate(self, dead: Link) -> None:
        self._arrive(_Frame(dead, ["estate"], b""))

    def _desert(self, how: str) -> None:
        self.stopped = self.deserted = True
        for alarm in self._estates.values():
            alarm.cancel()
        self._estates.clear()
        library_logger().error(f"{how}: none is left, so nothing more is called; --resume takes the run up again")

    def _hand_over(self, dead: Link) -> None:
        """Give what a dead worker had to those who are left, once."""
        if self._estates.pop(dead, None) is None:
            return
        heirs = [link for link in self._links if link.is_alive]
        if not heirs:
            self._desert("every worker has ended")
            return
        parts = dead.part.split(len(heirs))
        portion = shares(self._floor.tokens, dead.places, [link.number for link in heirs[: len(parts)]])
        for link, part in zip(heirs, parts, strict=False):
            places = portion[link.number]
            link.part += part
            link.places.extend(places)
            link.ended.extend(dead.ended)
            self._give(link, Share(self._shares, self._floor.run, self._floor.at, part, places, bytes(dead.ended)))
            for word in self._orders:
                link.post(word)

    def _give(self, link: Link, share: Share) -> None:
        self._shares += 1
        link.open_shares.add(share.number)
        head, tail = share.frame()
        link.post(*head, tail=tail + self._floor.settled)
