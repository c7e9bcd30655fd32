"""How many retries a server is worth: a budget that fills again, with traffic and with time.

Retries in vain are what a server in trouble needs least, so each of them is paid for. The
budget holds at most its reserve, and is full at first. A retry draws one. It gets it back
when its attempt ends well, or is not made: a server that is healthy again has no bound on
its retries, however many calls failed while it was not. What ended in another failure
comes back with use (one for every so many first attempts) and with time, whatever the
traffic: or calls would wait for good where there are no first attempts left.

The budget is one number, the time at which it will be full. A retry puts that off by the
time in which one comes back, everything else brings it nearer; one that is past is full.
"""

from __future__ import annotations

from math import inf
from typing import Final

from .retry import ServerPolicy


class Allowance:
    """One server's, which takes so many calls at once; times in monotonic seconds."""

    __slots__ = ("_each", "_full_at", "_per_call", "_span", "first_attempts")

    def __init__(self, policy: ServerPolicy, at_once: int) -> None:
        self._each: Final = policy.seconds_per_retry / at_once  # in which one retry comes back
        self._per_call: Final = self._each / policy.calls_per_retry
        self._span: Final = (policy.reserve * at_once - 1) * self._each  # in which all but one do
        self._full_at = -inf
        self.first_attempts = 0  # that have ended, and are not reckoned yet: nearly all need not be

    @property
    def next_at(self) -> float:
        """When a retry is allowed; past when one is."""
        return self._reckon() - self._span

    @property
    def each(self) -> float:
        """In how many seconds one retry comes back when nothing else brings it."""
        return self._each

    def draw(self, now: float) -> None:
        """Take in that a retry starts."""
        self._full_at = max(self._reckon(), now) + self._each

    def give_back(self) -> None:
        """Take in that a retry was not in vain, or was not made."""
        self._full_at -= self._each

    def _reckon(self) -> float:
        if self.first_attempts:
            self._full_at -= self.first_attempts * self._per_call
            self.first_attempts = 0
        return self._full_at
