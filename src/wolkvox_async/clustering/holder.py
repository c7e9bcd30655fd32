"""What the holder of a partition knows of its lease, and why nobody else uses the partition meanwhile. Pure.

Times are seconds of our own boot clock, which counts suspends. No other clock takes part: neither
the store's, nor the moment at which a connection ends.

The rules:

* What gives us a right counts from *before*: a write is good for `length` from the clock right
  before it was sent. It counts once we know that it was made: it was confirmed, or a read shows it.
* A write that nobody answered changes nothing. One that was refused means that we begin nothing
  until a read says whose the lease is: perhaps an unanswered write of ours was made after all.
* When the end has passed, the lease is neither renewed nor given back: it is over.
* An attempt begins only if `hold` and the margin fit in before the end.
* After a failed read or a new connection, nothing is written until a read shows the lease.

Why that is enough. Let the lease be counted from s (when we sent the write), the write made at
a >= s. Somebody else takes the partition with a write that names a revision, at a time c.

1. The store forgot nothing between a and c. Then c names a revision not older than ours, and the
   contender first saw it *after* it was made, so after a, so after s. It saw it stand still for
   `length` and margin (see `contender`): so by its clock more has passed since s than by ours
   at our end, and as the rates of the clocks differ by less than margin : length, c is after our end.
   All we began was over by then, a margin before the end, which also bears how our clock's
   rate differs from that of the vendor's. If the lease was given back instead, nothing was
   in flight, and this holder begins and writes nothing any more.
2. The store forgot writes at a time f between a and c, ours perhaps, and perhaps uses their revisions
   again. Everybody loses the connection, so the contender began anew after f >= a >= s, and waited
   for `length` and margin from then: the same as above. What it sees *turn* free was given back
   by a holder that read the key after f and was not at its end at f, so nobody else had the partition
   then (that is why a lease at its end is not given back, and why a read that may be from before f
   does not count).

And the other way round: can we renew when somebody else has it? Only with a write that names our
own revision, so only if the store forgot theirs. They wrote after our end, it was forgotten after
that, and we read the key after that: so we renew after our end, which we do not do.

That leaves writes that are on their way while the store forgets: sent before, made after, over a
revision that means something else by then, or over a lease that was forgotten. No clock helps
against them. So the store promises that they do not exist: **a write is sent only over the connection
that brought the last good read, and dies with it.** (See `tests/clustering/test_protocol.py`: without
that promise the same simulation finds overlaps.)

The process may stand still at any point: the clock goes on, and whoever looks, looks at the clock
again. What cannot be helped here is a pause between the last look and the sending.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Final

from .leases import Lease, Reading
from .terms import LeaseTerms


class Holder:
    """One partition that we have, or have just asked for.

    Made right before its first write (the claim) is sent, so that it may be found out later what
    became of it: `sent_at` is the clock right before. Writes are sent one after the other.
    """

    __slots__ = (
        "_blind",
        "_claimed_at",
        "_doubted",
        "_expected",
        "_given_up",
        "_leaving",
        "_revision",
        "_sent",
        "_terms",
        "lease",
        "valid_until",
    )

    lease: Lease
    """What was written last, confirmed or not; its epoch and quarantine are those of all its calls."""

    valid_until: float
    """Until when nobody else has it, by our clock; minus infinity as long as the claim is not confirmed."""

    def __init__(self, terms: LeaseTerms, lease: Lease, expected: int, sent_at: float) -> None:
        """Begin with a claim that is about to be sent, over the revision `expected`."""
        self._terms: Final = terms
        self._expected: Final = expected
        self._claimed_at: Final = sent_at
        self._sent = {lease.counter: sent_at}  # by counter, what was not answered yet; not more than fit into a length
        self._revision: int | None = None  # of our last write that we know was made; None: a read has to tell
        self._blind = self._doubted = self._leaving = self._given_up = False
        self.lease = lease
        self.valid_until = -inf

    @property
    def expected(self) -> int:
        """Over which revision the claim goes, or the next write."""
        return self._expected if self._revision is None else self._revision

    def next(self, now: float) -> Lease | None:
        """Return what to write now, over `expected`, to renew it; `now` is the clock right before it is sent.

        None: not now. It is over, or a read has to show it first, or it is going to be given
        back and that leaves time enough.
        """
        if not self._may_write(now) or (self._leaving and self.valid_until - now > self._terms.length / 2):
            return None
        return self._write(now)

    def stored(self, revision: int) -> None:
        """Take in that the last write was confirmed."""
        self._revision = None if self._blind else revision
        self._count(self.lease.counter)

    def conflicted(self) -> None:
        """Take in that the last write was refused."""
        self._revision, self._doubted = None, True

    def observe(self, held: Reading | None) -> None:
        """Take in what stands in its key, by a read that counts (`Contender.observe`)."""
        self._blind, lease = False, self._ours(held)
        if held is not None and lease is not None:
            if self._revision is None or held.revision > self._revision:
                self._revision, self._doubted = held.revision, False
                self._count(lease.counter)
        elif self._revision is None or (held is not None and held.revision > self._revision):
            self._given_up = True

    def blind(self) -> None:
        """Take in that a read failed, or that there is a new connection."""
        self._revision, self._blind = None, True

    def may_begin(self, now: float) -> bool:
        """Tell whether an attempt that begins `now` is certain to be over in time."""
        terms = self._terms
        return (
            not (self._given_up or self._leaving or self._doubted)
            and now + terms.hold + terms.margin <= self.valid_until
        )

    @property
    def may_go_on(self) -> bool:
        """Whether there will be more to begin: it is ours for all we know, and not going to be given back."""
        return not (self._given_up or self._leaving or self._doubted)

    def is_over(self, now: float) -> bool:
        """Tell whether it is ours no more: lost, given back, at its end, or never confirmed."""
        until = self._claimed_at + self._terms.length if self.valid_until == -inf else self.valid_until
        return self._given_up or now > until

    def leave(self) -> None:
        """Begin nothing more."""
        self._leaving = True

    def freed(self, now: float) -> Lease | None:
        """Return what to write over `expected` to give it back; nothing may be in flight or unstored any more.

        From then on it is over, whatever becomes of that write. None: not now (see `next`); ask
        again behind the next read, until it `is_over`. `now` is the clock right before it is sent.
        """
        if not self._may_write(now):
            return None
        freed = replace(self._write(now), free=True)
        self._given_up = True
        return freed

    def _may_write(self, now: float) -> bool:
        return not self._given_up and self._revision is not None and now <= self.valid_until

    def _write(self, now: float) -> Lease:
        self.lease = replace(self.lease, counter=self.lease.counter + 1)
        self._sent[self.lease.counter] = now
        return self.lease

    def _count(self, counter: int) -> None:
        sent_at = self._sent.get(counter)
        if sent_at is not None:
            self.valid_until = max(self.valid_until, sent_at + self._terms.length)
        self._sent = {later: at for later, at in self._sent.items() if later > counter}

    def _ours(self, held: Reading | None) -> Lease | None:
        """Return what the key says, if this holder wrote it."""
        if held is None:
            return None
        try:
            lease = Lease.decode(held.value)
        except ValueError:
            return None
        ours = (lease.session, lease.claim) == (self.lease.session, self.lease.claim)
        return lease if ours and not lease.free else None


class ClockWatch:
    """Notices that the boot clock stood still, which it does not do in a suspend but may in a frozen machine.

    The wall clock cannot say that in time, but it can say it. When both part by more than half a margin
    within a lease's length, nothing that was counted can be relied upon: all leases are lost, and
    whoever contends begins anew. A wall clock that was set does the same, which is harmless.
    """

    __slots__ = ("_anchors", "_terms")

    def __init__(self, terms: LeaseTerms) -> None:
        """Take no look yet: the first one is what the next ones are compared with."""
        self._terms: Final = terms
        self._anchors: list[tuple[float, float]] = []  # boot, wall minus boot: one look per length, the last two

    def look(self, boot: float, wall: float) -> bool:
        """Tell whether both clocks (seconds) counted alike for a lease's length; looks are many in a renewal."""
        apart = wall - boot
        if any(abs(apart - anchored) > self._terms.margin / 2 for _, anchored in self._anchors):
            self._anchors = [(boot, apart)]
            return False
        if not self._anchors or boot - self._anchors[-1][0] >= self._terms.length:
            self._anchors = [*self._anchors[-1:], (boot, apart)]
        return True
