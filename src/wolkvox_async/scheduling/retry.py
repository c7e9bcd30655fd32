"""When a failed call is tried again: the policy is one value, the decision another.

Two families of failures are retried. *Faults* (time-outs, dropped connections, 5xx, 429)
use up attempts and back off with full jitter. *Waits* (somebody else uses the token, a
maintenance window) say nothing about the call itself: they use up no attempts, and
patience bounds them. Everything else is final. `Retry-After` wins over either delay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, TypeAlias

from wolkvox_async.model import ErrorKind, Failed

# First pauses in seconds. A busy token may be free again at once; maintenance takes minutes.
WAITS: Final[Mapping[ErrorKind, float]] = MappingProxyType(
    {ErrorKind.TOKEN_BUSY: 1.0, ErrorKind.SERVER_DOWN: 1.0, ErrorKind.MAINTENANCE: 60.0}
)


# Patience with less left (s) is over: rounding can leave a rest too small to move the clock.
_MOMENT: Final = 0.001


@dataclass(frozen=True, slots=True)
class Trials:
    """What a call has been through: attempts that counted, waits, and how long it has waited (s)."""

    faults: int = 0
    waits: int = 0
    waited: float = 0.0
    waiting_since: float | None = None

    def after(self, kind: ErrorKind, *, now: float) -> Trials:
        """Return what it has been through one failure later."""
        if kind not in WAITS:
            return replace(self, faults=self.faults + 1)
        since = now if self.waiting_since is None else self.waiting_since
        return replace(self, waits=self.waits + 1, waited=now - since, waiting_since=since)


UNTRIED: Final = Trials()


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again, not before `delay` seconds from now."""

    delay: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The failure is final."""


Decision: TypeAlias = Retry | GiveUp


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Attempts per call, and delays in seconds."""

    max_attempts: int = 4
    backoff: float = 1.0
    longest: float = 60.0
    patience: float = 300.0

    def decide(self, failure: Failed, trials: Trials, *, jitter: float) -> Decision:
        """Decide about `failure`, which `trials` includes already; `jitter` lies in [0, 1)."""
        kind = failure.error.kind
        if not failure.error.retryable:
            return GiveUp()
        if kind in WAITS:
            return self._wait(WAITS[kind], failure.retry_after, trials, jitter)
        if trials.faults >= self.max_attempts:
            return GiveUp()
        if failure.retry_after is not None:
            return Retry(failure.retry_after) if failure.retry_after <= self.patience else GiveUp()
        return Retry(jitter * min(self.longest, self._doubled(self.backoff, trials.faults)))

    def _wait(self, first: float, asked: float | None, trials: Trials, jitter: float) -> Decision:
        left = self.patience - trials.waited
        if left < _MOMENT or (asked is not None and asked > left):
            return GiveUp()
        if asked is not None:
            return Retry(asked)
        # At least half of the pause: somebody who uses the token must get to finish.
        return Retry(min(left, self._doubled(first, trials.waits) * (1 + jitter) / 2))

    @staticmethod
    def _doubled(first: float, times: int) -> float:
        return first * 2.0 ** min(max(times - 1, 0), 30)
