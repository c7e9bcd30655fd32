"""The right to use a token: the kernel's lock on it, and beside the lock its slot in the lease file.

Whether what we know of a token is still true is told by the slot's stamp (see `slots`):
it is when nobody else has used the token since we read of it. A token that is given back
while something about it is still to be committed stays locked until that has happened,
so that whoever has it next reads the truth.

Who waits for a token has a lock as well (a *wish*), on another byte, which who has the token
can see. It is given back when the token is had, or when it was not asked for again for a
while: at the next look at any token, at the latest when the process ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from wolkvox_async.errors import StateError, UsageError
from wolkvox_async.ports import Claim, Closed, Granted, Taken, Unread

from .knowledge import Memory
from .locks import Locks
from .slots import LONGEST_BUSY, Slots, Why, fresh_stamp
from .tokens import token_number

_GRANTED: Final = Granted()
_UNREAD: Final = Unread()
_TAKEN: Final = Taken()
_NO_SLOT: Final = 0
_PREFIX: Final = len("tk_")
WISH_LASTS: Final = 2.0  # seconds
_COARSE: Final = 10.0  # seconds: the longest hold is rounded up, so that it seldom changes


@dataclass(slots=True)
class Lease:
    """A token that is locked by us.

    `stamp`: that of the slot as we left or found it; `known`: what we know of the token
    is true; `pending`: what is still to be committed; `leaving`: it goes then.
    """

    number: int
    slot: int
    stamp: int = 0
    known: bool = False
    used: bool = False
    pending: int = 0
    leaving: bool = False


class LocalLeases:
    """The tokens that this state holds."""

    __slots__ = ("_announced", "_held", "_locks", "_longer", "_memory", "_monotonic", "_next", "_slots", "_wishes")

    def __init__(
        self,
        locks: Locks,
        slots: Slots,
        memory: Memory,
        monotonic: Callable[[], float],
        longer: Callable[[float], None],
    ) -> None:
        """`longer` is called when a hold is longer than any before."""
        self._locks: Final = locks
        self._slots: Final = slots
        self._memory: Final = memory
        self._monotonic: Final = monotonic
        self._longer: Final = longer
        self._held: Final[dict[str, Lease]] = {}
        self._wishes: Final[dict[int, float]] = {}  # numbers of tokens, until when they count
        self._next = fresh_stamp()
        self._announced = 0.0  # seconds: no hold of ours was longer

    @property
    def held(self) -> Mapping[str, Lease]:
        """By token id."""
        return self._held

    def claim(self, token: str) -> Claim:
        """Ask for `token`; see the port. Raises `StateError`."""
        if self._wishes:
            self._drop_wishes(self._monotonic())
        lease = self._held.get(token)
        if lease is not None:
            return self._claim_again(lease) if lease.leaving else _TAKEN
        slot = self._memory.slots.get(token, _NO_SLOT)
        number = int(token[_PREFIX:], 16) if slot else token_number(token)
        if not self._take(number):
            return _TAKEN
        lease = Lease(number, slot)
        claim = self._judge(lease, slot or self._slots.find(number))
        if claim is _GRANTED or claim is _UNREAD:
            self._held[token] = lease
            if self._wishes.pop(number, None) is not None:
                self._locks.wish(number, is_on=False)
        else:
            self._locks.give(number)
        return claim

    def want(self, token: str) -> None:
        """Have a wish for `token`."""
        number = token_number(token)
        self._wishes[number] = self._monotonic() + WISH_LASTS
        self._locks.wish(number, is_on=True)

    def is_wanted(self, token: str) -> bool:
        """Tell whether another has a wish for `token`."""
        return self._locks.is_wished(token_number(token))

    def _drop_wishes(self, now: float) -> None:
        for number in [number for number, until in self._wishes.items() if until <= now]:
            del self._wishes[number]
            self._locks.wish(number, is_on=False)

    def _take(self, number: int) -> bool:
        try:
            return self._locks.take(number)
        except OSError as error:
            raise StateError(f"a lease cannot be taken: {error.strerror}") from error

    def _claim_again(self, lease: Lease) -> Claim:
        busy, _ = self._slots.read(lease.slot)
        if busy and (left := self._left(busy)):
            return Closed(left)
        lease.leaving = False
        return _GRANTED if lease.known else _UNREAD

    def _judge(self, lease: Lease, slot: int | None) -> Claim:
        if slot is None:  # nobody has ever used it
            return _UNREAD
        busy, stamp = self._slots.read(slot)
        if busy and (left := self._left(busy)):
            return Closed(left)
        lease.stamp = stamp
        lease.known = lease.slot != _NO_SLOT and stamp == self._memory.noted(slot)
        return _GRANTED if lease.known else _UNREAD

    def _left(self, busy: float) -> float:
        """Return for how many seconds a token is closed that is `busy` until then."""
        left = busy - self._monotonic()
        if left <= 0:
            return 0.0
        if left <= LONGEST_BUSY:
            return left
        raise self._slots.spoil()  # no number at all, or none that was ever written

    def begin(self, token: str, hold: float) -> None:
        """Note that an attempt begins."""
        lease = self._held[token]
        if not lease.slot:
            raise UsageError("a token was claimed that nothing is known of: look before anything is sent")
        if not lease.used:
            self._use(lease)
        if hold > self._announced:
            hold = min(hold, LONGEST_BUSY)
            self._announce(hold)
        self._slots.begin(lease.slot, self._monotonic() + hold, lease.stamp)

    def _announce(self, hold: float) -> None:
        self._announced = math.ceil(hold / _COARSE) * _COARSE
        if self._announced > self._slots.longest:
            self._slots.longest = self._announced
            self._longer(self._announced)

    def end(self, token: str, at_work: float, pause: float) -> None:
        """Note how an attempt ended."""
        lease = self._held.get(token)
        if lease is None or not lease.slot:  # the state was closed meanwhile
            return
        if not lease.used:
            self._use(lease)
        if at_work <= 0 and pause <= 0:
            self._slots.end(lease.slot, 0.0, lease.stamp, Why.NOTHING)
            return
        until = self._monotonic() + min(max(at_work, pause), LONGEST_BUSY)
        self._slots.end(lease.slot, until, lease.stamp, Why.AT_WORK if at_work >= pause else Why.PAUSE)

    def release(self, token: str) -> None:
        """Give the token back, as soon as all that came of it is committed."""
        lease = self._held.get(token)
        if lease is None:
            return
        lease.leaving = True
        if not lease.pending:
            self._give(token, lease)

    def await_commit(self, token: str) -> Lease | None:
        """Keep the token locked until `committed`; returns its lease, None when it is not ours."""
        lease = self._held.get(token)
        if lease is not None:
            lease.pending += 1
            if lease.slot and not lease.used:
                self._use(lease)
                self._slots.shake(lease.slot, lease.stamp)
        return lease

    def committed(self, token: str, lease: Lease) -> None:
        """Note that what was to be committed is."""
        lease.pending -= 1
        if lease.leaving and not lease.pending and self._held.get(token) is lease:
            self._give(token, lease)

    def learn(self, token: str, lease: Lease | None, slot: int, stamp: int) -> None:
        """Note that the token was looked up under `stamp`, while we had `lease`."""
        current = self._held.get(token)
        if current is None:
            if lease is None:
                self._memory.note(slot, stamp)
        elif current is lease:
            current.slot = slot
            current.known = True
            if not current.used:
                current.stamp = stamp

    def drop(self) -> None:
        """Forget all: the locks are gone."""
        self._held.clear()
        self._wishes.clear()

    def _use(self, lease: Lease) -> None:
        lease.used = True
        lease.stamp = self._new_stamp() | 1

    def _new_stamp(self) -> int:
        self._next += 2
        return self._next

    def _give(self, token: str, lease: Lease) -> None:
        if lease.slot:
            self._sign(lease)
        self._locks.give(lease.number)
        del self._held[token]

    def _sign(self, lease: Lease) -> None:
        stamp = self._slots.read(lease.slot)[1]
        trusted = lease.known and stamp == lease.stamp
        if trusted and stamp & 1:
            stamp = self._new_stamp()
            self._slots.sign(lease.slot, stamp)
        self._memory.note(lease.slot, stamp if trusted else 1)
