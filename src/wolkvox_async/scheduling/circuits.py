"""Whether a server is down, told from how attempts on it end.

What an attempt says about its server is one of three. *Down*: no connection came about,
or a gateway answered in its place (502, 503, 504). *Up*: anything else that it answered,
refusals included, and a TLS handshake that broke. *Nothing*: a time-out, a connection
that dropped, an answer that is not HTTP, an attempt that we gave up. Such an attempt may
have met a server at work or a dying one, so it neither opens a circuit nor closes it,
and does not interrupt a row of failures.

So many failures in a row open the circuit. While it is open one attempt at a time goes
out as a probe; after each that fails or says nothing the pause to the next doubles. Any
answer closes it, whoever got it. Failures of attempts that were in flight when it opened
leave the pause as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from wolkvox_async.model import AttemptOutcome, ErrorKind, Failed

from .retry import ServerPolicy

GATEWAY: Final = frozenset({502, 503, 504})

_SAYS_NOTHING: Final = frozenset({ErrorKind.TIMEOUT, ErrorKind.DISCONNECTED, ErrorKind.PROTOCOL, ErrorKind.STOPPING})


class Sign(Enum):
    """What an attempt says about its server."""

    UP = auto()
    DOWN = auto()
    NOTHING = auto()


def sign(outcome: AttemptOutcome) -> Sign:
    """Return what `outcome` says about the server that it came from."""
    if not isinstance(outcome, Failed):
        return Sign.UP
    if outcome.error.kind is ErrorKind.CONNECT or outcome.status in GATEWAY:
        return Sign.DOWN
    if outcome.status is None and outcome.error.kind in _SAYS_NOTHING:
        return Sign.NOTHING
    return Sign.UP


@dataclass(slots=True, eq=False)
class Circuit:
    """One server's; times in monotonic seconds."""

    policy: ServerPolicy
    failures: int = 0  # in a row
    probes: int = 0  # that did not work since it opened
    opened_at: float | None = None
    probe_at: float = 0.0  # valid while it is open: no probe before this

    def take_in(self, told: Sign, *, probe: bool, now: float, jitter: float) -> None:
        """Note what an attempt said, whether or not it was the probe; `jitter` lies in [0, 1)."""
        if told is Sign.UP:
            self.failures, self.probes, self.opened_at = 0, 0, None
            return
        if told is Sign.DOWN:
            self.failures += 1
        if self.opened_at is None:
            if self.failures < self.policy.failures:
                return
            self.opened_at = now
        elif probe:
            self.probes += 1
        else:
            return
        self.probe_at = now + self.policy.pause(self.probes, jitter=jitter)
