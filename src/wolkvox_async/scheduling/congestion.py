"""How many calls one server takes at once, told from how it answers.

The limit is at most what was allowed, and at least 1. It starts low and doubles, for what
is slow from the first call on can be told only by less. It goes down when the server says
that it is too much: with a refusal (429, 503, a busy token, a connection cut off), or by
becoming slow. By Little's law the seconds of the answered attempts, per second, are the
calls that it worked on at once: when it refuses, that is the new limit; when it is slow,
that without those that only queue. Never less than half in one go. Refusals count of
attempts that started under the limit in force, answers once those have had their time.

It comes up again by steps, the first of 1, each twice the one before, as far as one below
what was too much. That is tried again after a pause, which doubles each time in vain.

Not everything that looks like too much is. When a limit was lowered and the share of
refusals stayed (a token that is always busy, say), or latency did, the limit was not the
reason: it is lifted again, and that share, or that latency, counts as usual from then on.
Where latency neither lets the limit up nor brings it down for long, half of it is tried
for once: that shows what latency is without a queue. Latency counts against what all
servers have in common, which is our own doing (see level).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from wolkvox_async.model import AttemptOutcome, ErrorKind, Failed

STRAY: Final = 0.02  # refusals out of all attempts that mean nothing
ALLOWANCE: Final = 1.5  # times a share that turned out to be usual; above is more than usual
FADING: Final = 0.95  # what is usual fades so from decision to decision, back to what is stray
MOSTLY: Final = 0.5  # ... that mean too much, whatever was usual
SLOW: Final = 1.4  # latency over base, beyond what all servers have in common: from there the limit goes down
CALM: Final = 1.15  # ... below, it may go up
HEADROOM: Final = 1.10
FIRST: Final = 8  # where the limit starts: what is slow from the first call on can be told only by less
QUICK: Final = 0.1  # seconds from one decision to the next, during the first rise
BINDING: Final = 0.7  # of the limit at work: then it is the limit that holds calls back
ENOUGH: Final = 32  # answers that make a mean latency
PRUDENCE: Final = 0.25  # of the way down the base goes: the least of many means would be too little
FIRST_PAUSE: Final = 8  # decisions
LONGEST_PAUSE: Final = 64

_TOO_MUCH: Final = frozenset({ErrorKind.RATE_LIMITED, ErrorKind.TOKEN_BUSY, ErrorKind.DISCONNECTED})


class Load(Enum):
    """What an attempt says about how much its server has to do."""

    ANSWERED = auto()
    REFUSED = auto()  # too much
    UNKNOWN = auto()  # no answer: its seconds are those of a time-out, not of the server


def load(outcome: AttemptOutcome) -> Load:
    """Return what `outcome` says about the load of the server that it came from."""
    if not isinstance(outcome, Failed):
        return Load.ANSWERED
    kind = outcome.error.kind
    if kind in _TOO_MUCH or (outcome.status == 503 and kind is not ErrorKind.MAINTENANCE):
        return Load.REFUSED
    return Load.UNKNOWN if outcome.status is None else Load.ANSWERED


class Reason(Enum):
    """Why a limit was lowered."""

    REFUSALS = auto()
    LATENCY = auto()
    DOUBT = auto()  # whether latency without a queue is still what it was


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted: the share of refusals, answers per second, their seconds per second, and each (mean)."""

    share: float
    throughput: float
    at_once: float
    latency: float

    def binds(self, limit: int) -> bool:
        """Tell whether it was `limit` that held calls back."""
        return self.at_once > BINDING * limit


@dataclass(frozen=True, slots=True)
class Cut:
    """A lowered limit under judgement: what was before, and why."""

    limit: int
    cap: int
    tally: Tally
    reason: Reason

    def was_in_vain(self, limit: int, tally: Tally) -> bool:
        """Tell whether `limit` instead has made nothing better."""
        if not tally.binds(limit):
            return False
        if self.reason is not Reason.REFUSALS:
            # Nearer to what it was than to what a shorter queue would have made of it.
            return tally.latency > self.tally.latency * (1 + limit / self.limit) / 2
        return STRAY < tally.share < MOSTLY and tally.share > 0.8 * self.tally.share


class Congestion:
    """One server's limit; times in monotonic seconds."""

    __slots__ = (
        "_base",
        "_cap",
        "_cut",
        "_held",
        "_interval",
        "_most",
        "_patience",
        "_pause",
        "_safe",
        "_step",
        "_usual",
        "_wait",
        "answers",
        "began",
        "due",
        "least",
        "limit",
        "refusals",
        "seconds",
        "since",
    )

    def __init__(self, most: int, interval: float, *, now: float) -> None:
        self.limit = min(FIRST, most)
        self.least = min(QUICK, interval)  # seconds from the last decision to the next
        self._interval: Final = interval
        self._most: Final = most
        self._cap = most  # one below what was too much
        self._step = FIRST
        self._safe = 1  # the limit before it was last raised
        self._pause = FIRST_PAUSE
        self._wait = 0  # decisions until what was too much is tried again
        self._usual = STRAY
        self._held = 0  # decisions in a row in which latency let it go no further up
        self._patience = FIRST_PAUSE  # so many of them, and the base is doubted
        self._base: float | None = None  # latency when nothing queues, in seconds
        self._cut: Cut | None = None
        self.since = -math.inf  # refusals of attempts that started before do not count: there was another limit
        self._begin(now)

    def _begin(self, now: float) -> None:
        self.began = now
        self.answers, self.refusals, self.seconds = 0, 0, 0.0
        # During the first rise, which is short, a round is enough.
        self.due = self.limit if self.least < self._interval else max(self.limit, ENOUGH)

    def decide(self, *, strain: float, now: float) -> None:
        """Set the limit by what was counted; `strain` is how slow all servers have become, 1 for not at all."""
        tally, before = self._tally(now), self.limit
        cut, self._cut = self._cut, None
        if cut is not None and cut.was_in_vain(self.limit, tally):
            self._lift(cut, tally)
        elif cut is not None and cut.reason is Reason.DOUBT:
            self._patience = min(LONGEST_PAUSE, 2 * self._patience)
            self.limit, self._cap = cut.limit, cut.cap
        elif tally.share > min(MOSTLY, self._usual):
            self._lower(max(self._safe, tally.at_once), tally, Reason.REFUSALS)
        else:
            self._heed_latency(tally, self._slowness(tally) / strain)
        self._usual = max(STRAY, FADING * self._usual, min(self._usual, ALLOWANCE * tally.share))
        if self.limit == before:
            self._begin(now)
        else:
            self.since = now
            self._begin(now + tally.latency)  # until then what ends has started under the other limit

    def _tally(self, now: float) -> Tally:
        elapsed, attempts = max(now - self.began, 1e-9), self.answers + self.refusals
        return Tally(
            share=self.refusals / max(1, attempts),
            throughput=self.answers / elapsed,
            at_once=self.seconds / elapsed,
            latency=self.seconds / max(1, self.answers),
        )

    def _heed_latency(self, tally: Tally, slow: float) -> None:
        if slow < CALM or not tally.binds(self.limit):
            self._held = 0
            if slow < CALM:
                self._raise()
            return
        self._held += 1
        if slow > SLOW and self._held > 1:
            self._lower(HEADROOM * tally.at_once / slow, tally, Reason.LATENCY)
        elif self._held > self._patience:
            self._lower(self.limit / 2, tally, Reason.DOUBT)

    def _slowness(self, tally: Tally) -> float:
        if not self.answers:
            return 1.0
        if self._base is None:
            self._base = tally.latency
        if self.answers < ENOUGH:
            return 1.0
        if tally.latency < self._base:
            self._base += PRUDENCE * (tally.latency - self._base)
        return tally.latency / self._base

    # --- down -------------------------------------------------------------------------

    def _lower(self, wanted: float, tally: Tally, reason: Reason) -> None:
        self.least = self._interval
        if self.limit == 1:
            return
        self._cut = Cut(self.limit, self._cap, tally, reason)
        self._cap, self._step, self._safe, self._held = self.limit - 1, 1, 1, 0
        self._wait, self._pause = self._pause, min(LONGEST_PAUSE, 2 * self._pause)
        self.limit = max(math.ceil(self.limit / 2), min(self.limit - 1, math.ceil(wanted)))

    def _lift(self, cut: Cut, tally: Tally) -> None:
        self.limit, self._cap, self._pause = cut.limit, cut.cap, FIRST_PAUSE
        if cut.reason is Reason.REFUSALS:
            self._usual = ALLOWANCE * tally.share
        else:
            self._base, self._patience = tally.latency, FIRST_PAUSE

    # --- up ---------------------------------------------------------------------------

    def _raise(self) -> None:
        if self.limit == self._cap and not self._may_go_further():
            return
        self._safe, self.limit = self.limit, min(self._cap, self.limit + self._step)
        self._step *= 2

    def _may_go_further(self) -> bool:
        if self._cap == self._most:
            self._pause, self.least = FIRST_PAUSE, self._interval
            return False
        self._wait -= 1
        if self._wait > 0:
            return False
        self._cap = min(self._most, self._cap + self._step)
        return True
