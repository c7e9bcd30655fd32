"""Whether the service is alive, and whether it is ready: rules, and their results in words. Pure.

*Alive* is a matter of the program: its event loop comes to its turn, the output takes what
it is given (or is given nothing), the state answers. Who is not alive is restarted.

*Ready* is a matter of its work: every endpoint that is watched had a call or a gap within
three of its intervals (or three minutes: a call may take one). A gap counts: it says that
nothing was captured and why, and a restart would not bring it back. What was added a
moment ago is ready until then, and in any case until it first comes due.

Reasons name operations, never tokens.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

MOST_REASONS: Final = 20


@dataclass(frozen=True, slots=True)
class Bounds:
    """Up to where things are well: times in seconds.

    So many intervals may pass without a call or a gap, and so many seconds in any case.
    """

    loop_lag: float = 5.0
    output: float = 120.0
    state: float = 60.0
    intervals: float = 3.0
    silence: float = 180.0


BOUNDS: Final = Bounds()


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the program shows of itself; times in seconds.

    By how much the event loop was late the last time; for how long the output has been at
    what it was given, and the state at what it was asked (None: at nothing); and what went
    wrong for good, in words.
    """

    loop_lag: float = 0.0
    output: float | None = None
    state: float | None = None
    failures: tuple[str, ...] = ()


class Standing(NamedTuple):
    """How a watched endpoint stands: times in Unix seconds, `interval` in seconds.

    `since` is when its last slot ended, or, before any has ended, when it was added;
    `first_due` is when its first one comes, as long as none has ended.
    """

    operation: str
    api: str
    interval: float
    since: float
    first_due: float | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """A verdict: well, unless there are reasons; `unlisted` are those that are not named."""

    reasons: tuple[str, ...] = ()
    unlisted: int = 0

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return not self.reasons

    @property
    def status(self) -> int:
        """The HTTP status that says so."""
        return 200 if self.ok else 503

    def words(self) -> str:
        """Say it in one line."""
        more = (f"and {self.unlisted} more",) if self.unlisted else ()
        return "; ".join((*self.reasons, *more)) or "well"

    def answer(self) -> tuple[int, str, bytes]:
        """Return what `/healthz` or `/readyz` answers: status, content type, JSON."""
        said: dict[str, object] = {"ok": self.ok, "reasons": self.reasons}
        if self.unlisted:
            said["unlisted"] = self.unlisted
        return self.status, "application/json", orjson.dumps(said)


def liveness(vitals: Vitals, bounds: Bounds = BOUNDS) -> Health:
    """Judge whether the program is alive."""
    reasons = list(vitals.failures)
    if vitals.loop_lag > bounds.loop_lag:
        reasons.append(f"the event loop is {vitals.loop_lag:.1f} s late (at most {bounds.loop_lag:g} s)")
    if vitals.output is not None and vitals.output > bounds.output:
        reasons.append(f"the output has taken nothing for {vitals.output:.0f} s (at most {bounds.output:g} s)")
    if vitals.state is not None and vitals.state > bounds.state:
        reasons.append(f"the state has not answered for {vitals.state:.0f} s (at most {bounds.state:g} s)")
    return Health(tuple(reasons))


def is_silent(since: float, interval: float, now: float, bounds: Bounds = BOUNDS) -> bool:
    """Tell whether `since` is so long ago that something should have been heard of what is asked every `interval`."""
    return now - since > max(bounds.silence, bounds.intervals * interval)


def readiness(standings: Iterable[Standing], now: float, bounds: Bounds = BOUNDS) -> Health:
    """Judge at `now` (Unix seconds) whether nothing that is watched is overdue."""
    overdue = [standing for standing in standings if _is_overdue(standing, now, bounds)]
    listed = sorted(overdue, key=lambda one: one.since)[:MOST_REASONS]
    return Health(tuple(_overdue(one, now) for one in listed), len(overdue) - len(listed))


def _is_overdue(standing: Standing, now: float, bounds: Bounds) -> bool:
    if standing.first_due is not None and standing.first_due > now:
        return False
    return is_silent(standing.since, standing.interval, now, bounds)


def _overdue(standing: Standing, now: float) -> str:
    silent = f"no call and no gap for {now - standing.since:.0f} s"
    return f"{standing.operation} {standing.api}: {silent} (its interval is {standing.interval:g} s)"
