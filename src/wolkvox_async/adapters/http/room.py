"""Room for the bodies that are being read: what bounds memory, whatever servers send.

A thousand connections may bring bodies at the same time, honest or not. What they may
take up together has four parts, none of which grows with what is sent:

- Every answer has `SMALL` bytes of its own, and one read on top. The vendor's ordinary
  answers fit, so they wait for nothing, whatever others do.
- An answer that needs more reserves its whole size from the pool of `POOL` bytes before
  its next byte is read: what its head tells (at most `BIG` and the head), or `BIG`. While
  the pool is used up it is not read, and the kernel holds its sender back.
- Beyond `BIG` a body needs the lane, which only one has at a time, from reading through
  decoding and parsing to delivery. It may grow to the largest size allowed, and its room
  in the pool is free again.
- Decoding is done in one go. What outgrows `BIG` while it is decoded is dropped and only
  measured: a bomb goes off without taking up room, and what may be as large as it is waits
  packed, to be decoded once more when the lane is its own.

Nobody gets stuck: whoever waits for the pool holds none of it, because all is reserved at
once. Whoever holds part of it waits for nothing but its server and the lane, and whoever
has the lane for nothing but its server and the delivery.

The lane is given out by age, the pool to who wants least, and by age among equals. By age
alone, an honest answer of 200 KB came behind hundreds of streams without end that want
`BIG` each, and was timed out. Who wants more than the others may so wait until its
deadline, but no longer, and is tried again.

Room cannot be kept from others for ever, either. A server that stops in the middle of
its answer, or goes on for ever at a trickle, could keep its room until its time-out, and
a few of these would keep everybody else from theirs. So room can be lost, but only when
somebody waits for it: a body that is being read and has fallen behind `PACE`, with
`GRACE` for pauses, is given up as one that took too long, the one furthest behind first.
At that pace a body of `BIG` bytes would not come whole within the default time-out. What
everybody waits because of one such body is little more than `GRACE`. Time in which we do
not read, because a body waits for the lane or is on its way out, is never held against it.
A body that behaves badly with nobody waiting has all of its time.

A first look at a slow body only makes it a suspect, the next one gives it up: when the
event loop was held up, what had long arrived is read in between.
"""

from __future__ import annotations

import asyncio
import itertools
from bisect import insort
from collections.abc import Callable
from contextlib import suppress
from typing import Final

SMALL: Final = 8_192
"""Bytes of an answer that are read in any case."""

BIG: Final = 1_048_576
"""Bytes of a body beyond which it is alone of its kind in memory."""

POOL: Final = 8 * BIG
"""Bytes that answers between `SMALL` and `BIG` may take up together."""

GRACE: Final = 3.0
"""Seconds that a body may pause while others wait; a fast beginning earns no more."""

PACE: Final = 16_384.0
"""Bytes a second that a body must bring while others wait."""

_LOOK_EVERY: Final = 0.25  # seconds

_ONE_READ: Final = 8_192
# A TLS record is at most 16 KiB: a smaller buffer could leave part of one where nobody looks.
_ONE_TLS_READ: Final = 16_384
_ONE_LARGE_READ: Final = 65_536


class Claim:
    """What a body has reserved of a store; `late_at` is when it will be too slow (monotonic seconds)."""

    __slots__ = ("_store", "amount", "give_up", "is_suspect", "late_at")

    def __init__(self, store: Store, amount: int, since: float, give_up: Callable[[], None]) -> None:
        self._store: Final = store
        self.amount = amount
        self.late_at = since + GRACE
        self.give_up: Final = give_up
        self.is_suspect = False

    def bring(self, size: int) -> None:
        """Say that `size` bytes were read."""
        self.late_at = min(self.late_at + size / PACE, asyncio.get_running_loop().time() + GRACE)

    def rest(self) -> None:
        """Say that the body is not being read any more: from now on it cannot be too slow."""
        self._store.unwatch(self)

    def give_back(self, keep: int = 0) -> None:
        """Give back all but `keep`; as often as one likes."""
        if keep < self.amount:
            given, self.amount = self.amount - keep, keep
            if not keep:
                self._store.unwatch(self)
            self._store.restock(given)


class Store:
    """Something of which there is only so much; who wants least is served first, who is too slow loses it."""

    def __init__(self, size: int) -> None:
        self.size: Final = size
        self.used = 0  # never more than `size`
        self._watched: Final[set[Claim]] = set()
        # By amount, then by age; empty unless the first does not fit.
        self._waiting: Final[list[tuple[int, int, asyncio.Future[None]]]] = []
        self._numbers: Final = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def take(self, amount: int, give_up: Callable[[], None]) -> Claim:
        """Wait for `amount`; `give_up` is called when the claim is lost, and must give it back."""
        claim = self.take_now(amount, give_up)
        if claim is None:
            await self._in_turn(amount)
            claim = self._claimed(amount, give_up)
        return claim

    def take_now(self, amount: int, give_up: Callable[[], None]) -> Claim | None:
        """Take `amount` if there is so much; None if not."""
        if self.used + amount > self.size:
            return None
        self.used += amount
        return self._claimed(amount, give_up)

    def unwatch(self, claim: Claim) -> None:
        """Have `claim` not be lost any more."""
        self._watched.discard(claim)

    def restock(self, amount: int) -> None:
        """Take `amount` back and give it to who waits."""
        self.used -= amount
        while self._waiting and self.used + self._waiting[0][0] <= self.size:
            wanted, _, turn = self._waiting.pop(0)
            if not turn.done():  # else it was cancelled, and its task has not run since
                self.used += wanted
                turn.set_result(None)
        self._look_again_if_needed()

    def _claimed(self, amount: int, give_up: Callable[[], None]) -> Claim:
        claim = Claim(self, amount, asyncio.get_running_loop().time(), give_up)
        self._watched.add(claim)
        return claim

    async def _in_turn(self, amount: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (amount, next(self._numbers), turn)
        insort(self._waiting, place)
        self._look_again_if_needed()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with suppress(ValueError):
                    self._waiting.remove(place)
                self.restock(0)
            else:  # it was given in the same moment
                self.restock(amount)
            raise

    def _look_again_if_needed(self) -> None:
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        elif self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_EVERY, self._look)

    def _look(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for claim in sorted(self._watched, key=lambda claim: claim.late_at):
            was_suspect, claim.is_suspect = claim.is_suspect, claim.late_at <= now
            if was_suspect and claim.is_suspect and self._waiting:
                claim.give_up()
        self._look_again_if_needed()


class Room:
    """What the connections of one transport share: pool, lane, and the buffer that all of them read into."""

    def __init__(self) -> None:
        self.pool: Final = Store(POOL)
        self.lane: Final = Store(1)
        self._buffer: Final = memoryview(bytearray(_ONE_LARGE_READ))
        self._small: Final = {False: self._buffer[:_ONE_READ], True: self._buffer[:_ONE_TLS_READ]}

    def buffer(self, *, large: bool, tls: bool) -> memoryview:
        """Return where the next read goes; it is taken out before anything else is read."""
        return self._buffer if large else self._small[tls]
