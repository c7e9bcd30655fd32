"""How many calls a minute watching makes, in all and to each server. Pure.

How many of them are in flight on average follows from Little's law: calls a second times
what each takes. What is in flight at most does not: that is rehearsed (see delays).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from wolkvox_async.scheduling.subjects import Subject

from .rehearsal import Seconds

_MINUTE: Final = 60_000  # milliseconds
_MOST_MINUTES: Final = 60


@dataclass(frozen=True, slots=True)
class Load:
    """Calls a minute, and calls in flight on average."""

    least: int
    mean: float
    most: int
    in_flight: float


@dataclass(frozen=True, slots=True)
class Loads:
    """Calls in each minute from `since` (Unix ms, a full minute) on, what that comes to in all, and by server."""

    since: int
    minutes: tuple[int, ...]
    in_all: Load
    servers: Mapping[str, Load]


def loads(subjects: Sequence[Subject], seconds: Seconds, now: int) -> Loads:
    """Count the calls of the longest interval there is, at most an hour, from the full minute of `now` on."""
    since = now - now % _MINUTE
    longest = max((subject.interval for subject in subjects), default=0.0)
    count = min(_MOST_MINUTES, max(1, ceil(longest / 60)))
    by_server: defaultdict[str, Counter[int]] = defaultdict(Counter)
    rates, busy = defaultdict[str, float](float), defaultdict[str, float](float)
    for subject in subjects:
        server, grid = subject.operation.server, subject.timetable.grid
        first = grid.before(since) + grid.interval
        by_server[server].update((at - since) // _MINUTE for at in range(first, since + count * _MINUTE, grid.interval))
        rates[server] += 60 / subject.interval
        busy[server] += seconds(subject.operation, subject.api) / subject.interval
    in_all = Counter[int]()
    for counted in by_server.values():
        in_all.update(counted)
    return Loads(
        since,
        tuple(in_all[minute] for minute in range(count)),
        _load(in_all, count, sum(rates.values()), sum(busy.values())),
        {server: _load(counted, count, rates[server], busy[server]) for server, counted in by_server.items()},
    )


def _load(counted: Counter[int], minutes: int, rate: float, busy: float) -> Load:
    numbers = [counted[minute] for minute in range(minutes)]
    return Load(min(numbers), rate, max(numbers), busy)
