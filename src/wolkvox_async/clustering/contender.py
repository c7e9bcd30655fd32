"""What whoever would like to have partitions sees of the keys, and when one may be taken. Pure.

Times are seconds of our own boot clock. The rules:

* What takes a right from others counts from *after*: what stands in a key was first seen when the
  answer had come, not when the read was sent. A read that was on its way for long shows
  what was written long after it was sent; counted from then, the time in which its holder
  may still begin would be counted as time in which it was silent.
* A partition may be taken when its key, its revision and what stands there, stood still for
  `length` and margin; the same holds for a key that is not there. Any change begins anew, back
  to what it was before, too. What stands there is compared as well, because a store that forgot
  writes gives their revisions again.
* Or when it was given back before our eyes: an earlier read of the same observation showed it held.
  A key that is free when first seen proves nothing: perhaps it was taken since, and the
  store forgot that.
* When a read fails, there is a new connection, or a clock jumped, the observation begins anew.
* A read counts only if it shows our own last confirmed beat, which was written in the same
  observation. So a read from a copy of the store that lags behind does not count, and
  everything that counts was read after the observation began. One beat and one read
  later than without is what it costs.

Whether it may be taken is decided by the store all the same: the write names the revision that was
seen. So it does not matter how long ago the last read was, nor what happened since. Why all
this is enough stands in `holder`.

A take-over of what stood still is *unclean*: the last holder may have called what nobody has a
record of. So tokens that look due wait for the longest interval: the `quarantine`, which is written
into the lease and handed on, so that a clean take-over in the middle of it does not end it. What stood
still free, or was never there, had nobody whose records might be missing: it begins none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from .leases import Lease, Reading, Worker, lease_key, worker_key, worker_of
from .terms import LeaseTerms


@dataclass(frozen=True, slots=True)
class Identity:
    """A worker's id, and the session of this life of it (new with every process)."""

    worker: str
    session: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What to write over which revision to take a partition; `clean`: it was given back before our eyes."""

    partition: int
    lease: Lease
    expected: int
    clean: bool


@dataclass(slots=True, eq=False)
class _Sight:
    """What a key holds, and since when as far as we know; `lease` is None where there is none that can be read."""

    revision: int
    value: bytes
    lease: Lease | None
    since: float
    turned_free: bool = False


@dataclass(slots=True, eq=False)
class _Sign:
    """The last sign of life of a worker, and when we first saw it."""

    value: bytes
    worker: Worker | None
    since: float


class Contender:
    """What one worker sees of all keys. A cycle: read, `observe`; act; `beat`, write it, `beaten`."""

    def __init__(self, terms: LeaseTerms, partitions: int, identity: Identity) -> None:
        """Begin without having seen anything."""
        self._terms: Final = terms
        self._identity: Final = identity
        self._keys: Final = tuple(lease_key(partition) for partition in range(partitions))
        self._own_key: Final = worker_key(identity.worker)
        self._sights: Final[dict[int, _Sight]] = {}
        self._signs: Final[dict[str, _Sign]] = {}
        self._claims = 0  # no two of ours are alike, or an old one would be taken for a new one
        self._own: Worker | None = None
        self._own_revision: int | None = None  # over which the next beat goes; None: a read has to tell
        self._beaten: Worker | None = None  # our last confirmed beat of this observation

    def observe(self, keys: Mapping[str, Reading], now: float) -> bool:
        """Take in a good read of all keys; `now` is the clock AFTER its answer had come.

        Returns whether it counts (see above); holders are told of those alone (`Holder.observe`).
        The first read of an observation never does.
        """
        own = keys.get(self._own_key)
        counts = self._counts(own)
        if counts or self._beaten is None:
            self._own_revision = 0 if own is None else own.revision
        if not counts:
            return False
        for partition, key in enumerate(self._keys):
            self._see(partition, keys.get(key), now)
        self._see_workers(keys, now)
        return True

    def blind(self) -> None:
        """Begin anew: a read failed, there is a new connection, or a clock jumped."""
        self._sights.clear()
        self._own_revision = self._beaten = None

    def claimable_at(self, partition: int) -> float | None:
        """Return from when on a partition may be taken, should nothing change; None: that is not known yet."""
        sight = self._sights.get(partition)
        if sight is None or (sight.revision and sight.lease is None):
            return None
        return sight.since if sight.turned_free else sight.since + self._terms.standstill

    def claimable(self, partition: int, now: float, quarantine: float) -> Claim | None:
        """Return what to write to take a partition, if it may be taken.

        `quarantine` (Unix seconds: now and the longest interval) is for an unclean take-over.
        """
        at = self.claimable_at(partition)
        if at is None or now < at:
            return None
        sight = self._sights[partition]
        epoch, running = (0, None) if sight.lease is None else (sight.lease.epoch, sight.lease.quarantine)
        is_held = sight.lease is not None and not sight.lease.free
        until = max(quarantine, running or quarantine) if is_held else running
        self._claims += 1
        lease = Lease(self._identity.worker, self._identity.session, 0, epoch + 1, until, claim=self._claims)
        return Claim(partition, lease, sight.revision, sight.turned_free)

    def beat(self, worker: Worker) -> tuple[Worker, int] | None:
        """Return a sign of life to write (`worker` with our session and the next counter), and over which revision.

        None: nothing was read yet in this observation.
        """
        counter = 0 if self._own is None else self._own.counter
        self._own = replace(worker, session=self._identity.session, counter=counter + 1)
        return None if self._own_revision is None else (self._own, self._own_revision)

    def beaten(self, revision: int) -> None:
        """Take in that the last beat was confirmed; one that was refused or not answered is not told."""
        self._beaten, self._own_revision = self._own, revision

    def workers(self, now: float) -> Mapping[str, Worker]:
        """Return the workers that gave a sign of late, able or not; we are one since our first `beat`."""
        found = {
            worker: sign.worker
            for worker, sign in self._signs.items()
            if sign.worker is not None and now - sign.since <= self._terms.silence
        }
        return found if self._own is None else {**found, self._identity.worker: self._own}

    def able(self, now: float) -> list[str]:
        """Return the ids of those of them that can call, in order."""
        return sorted(name for name, worker in self.workers(now).items() if worker.able)

    def leases(self) -> Mapping[int, Lease]:
        """Return the leases as they were last seen in this observation."""
        return {partition: sight.lease for partition, sight in self._sights.items() if sight.lease is not None}

    def _counts(self, own: Reading | None) -> bool:
        """Tell whether a read shows our last confirmed beat, or a later one of ours.

        By its counter: a revision might stand for a beat that the store forgot.
        """
        if self._beaten is None or own is None:
            return False
        shown = _worker(own.value)
        return shown is not None and shown.session == self._beaten.session and shown.counter >= self._beaten.counter

    def _see(self, partition: int, held: Reading | None, now: float) -> None:
        revision, value = (0, b"") if held is None else (held.revision, held.value)
        before = self._sights.get(partition)
        if before is not None and (before.revision, before.value) == (revision, value):
            return
        lease = _lease(value)
        was_held = before is not None and before.lease is not None and not before.lease.free
        self._sights[partition] = _Sight(revision, value, lease, now, was_held and lease is not None and lease.free)

    def _see_workers(self, keys: Mapping[str, Reading], now: float) -> None:
        present = {worker: held.value for key, held in keys.items() if (worker := worker_of(key)) is not None}
        for gone in self._signs.keys() - present.keys():
            del self._signs[gone]
        for worker, value in present.items():
            sign = self._signs.get(worker)
            if sign is None or sign.value != value:
                self._signs[worker] = _Sign(value, _worker(value), now)


def _lease(value: bytes) -> Lease | None:
    try:
        return Lease.decode(value)
    except ValueError:
        return None


def _worker(value: bytes) -> Worker | None:
    try:
        return Worker.decode(value)
    except ValueError:
        return None
