"""When a failed call is tried again: the policy is one value, the decision another.

Three families of failures are retried. *Faults* (time-outs, dropped connections, 5xx, 429)
use up attempts and back off with full jitter. *Waits* (somebody else uses the token, a
maintenance window) say nothing about the call itself: they use up no attempts, and
patience bounds them. *Outages* (the call's server is down, see circuits) use up none
either, need no pause of their own, and patience bounds them too. Everything else is
final. `Retry-After` wins over every delay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, TypeAlias

from wolkvox_async.model import ErrorKind, Failed

# First pauses in seconds. A busy token may be free again at once; maintenance takes minutes.
WAITS: Final[Mapping[ErrorKind, float]] = MappingProxyType({ErrorKind.TOKEN_BUSY: 1.0, ErrorKind.MAINTENANCE: 60.0})


# Patience with less left (s) is over: rounding can leave a rest too small to move the clock.
_MOMENT: Final = 0.001


@dataclass(frozen=True, slots=True)
class Trials:
    """What a call has been through: attempts that counted, waits, and how long it has waited (s).

    `failure` is the last one. The next attempt is a retry that draws on its server's
    budget when it `owes`, because that failure was a fault. Since `busy_since` no attempt
    was made because another process had the token.
    """

    faults: int = 0
    waits: int = 0
    waited: float = 0.0
    waiting_since: float | None = None
    failure: Failed | None = None
    owes: bool = False
    busy_since: float | None = None

    def after(self, failure: Failed, *, now: float, outage: bool = False) -> Trials:
        """Return what it has been through one failure later; in an outage that is its server's alone."""
        if outage:
            return replace(self, failure=failure, owes=False, busy_since=None)
        if failure.error.kind not in WAITS:
            return replace(self, faults=self.faults + 1, failure=failure, owes=True, busy_since=None)
        since = now if self.waiting_since is None else self.waiting_since
        return replace(
            self,
            waits=self.waits + 1,
            waited=now - since,
            waiting_since=since,
            failure=failure,
            owes=False,
            busy_since=None,
        )

    def put_off(self, now: float) -> Trials:
        """Return what it has been through once its attempt was not made because another process has the token."""
        return self if self.busy_since is not None else replace(self, busy_since=now)


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
        return Retry(jitter * min(self.longest, doubled(self.backoff, trials.faults)))

    def outlast(self, failure: Failed, *, waited: float) -> Decision:
        """Decide about a failure of a server that is down, for which the call has waited so long (s)."""
        left = self.patience - waited
        asked = failure.retry_after or 0.0
        if not failure.error.retryable or left < _MOMENT or asked > left:
            return GiveUp()
        return Retry(asked)

    def is_over(self, waited: float) -> bool:
        """Tell whether patience ends with a wait of so many seconds."""
        return self.patience - waited < _MOMENT

    def _wait(self, first: float, asked: float | None, trials: Trials, jitter: float) -> Decision:
        left = self.patience - trials.waited
        if left < _MOMENT or (asked is not None and asked > left):
            return GiveUp()
        if asked is not None:
            return Retry(asked)
        # At least half of the pause: somebody who uses the token must get to finish.
        return Retry(min(left, doubled(first, trials.waits) * (1 + jitter) / 2))


@dataclass(frozen=True, slots=True)
class ServerPolicy:
    """When a server counts as down, how often it is probed then, and how many retries it is worth.

    After `failures` in a row it is down; probes pause from `first_pause` to `longest_pause`
    seconds. For each call that it may take at once it is worth a `reserve` of retries, of
    which one comes back every `seconds_per_retry`, and one with every `calls_per_retry`
    first attempts. So the parts of a server's limit are worth as much as the whole.

    With 32 calls at once that is 96 retries, and 11 a second: about a tenth of what 32 calls
    of a third of a second make, as a tenth of the first attempts is. All of them are back
    within those three seconds per reserve, 9 s.
    """

    failures: int = 3
    first_pause: float = 1.0
    longest_pause: float = 60.0
    reserve: int = 3
    seconds_per_retry: float = 3.0
    calls_per_retry: int = 10

    def pause(self, probes: int, *, jitter: float) -> float:
        """Return the pause in seconds after so many probes that failed; `jitter` lies in [0, 1)."""
        # At least half of it: many of us must not fall on a server that is just coming up.
        return min(self.longest_pause, doubled(self.first_pause, probes + 1)) * (1 + jitter) / 2


def doubled(first: float, times: int) -> float:
    """Return what `first` has become the `times`-th time, doubled from each to the next."""
    return first * 2.0 ** min(max(times - 1, 0), 30)
