"""Which runs are not known to be complete: they began in these records, and do not end in them. Pure.

A run without an end is still going on, or was killed. Of passes that is said in red, for what
they did not get to is told of nowhere. A watch that was killed is followed by one that tells of the gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MOST_RUNS: Final = 1_000


@dataclass(slots=True)
class Run:
    """A run that has not ended so far; moments in Unix ms.

    `calls` are planned; `told` records of calls and slots are about what the report is about.
    """

    id: str
    began: int
    calls: int | None
    told: int = 0
    last: int = 0
    watching: bool = False


class Runs:
    """The runs that have begun and not ended; beyond 1,000 the oldest are only counted."""

    __slots__ = ("_open", "dropped")

    def __init__(self) -> None:
        self._open: Final[dict[str, Run]] = {}
        self.dropped = 0

    def event(self, run: str, event: str, at: int, calls: int | None) -> None:
        """Note a `run` record."""
        if event not in ("started", "resumed"):
            self._open.pop(run, None)
            return
        self._open.setdefault(run, Run(run, at, calls)).last = at
        if len(self._open) > MOST_RUNS:
            del self._open[next(iter(self._open))]
            self.dropped += 1

    def touch(self, run: str, at: int, *, watching: bool) -> None:
        """Note a record that the report is about."""
        found = self._open.get(run)
        if found is not None:
            found.told += 1
            found.last = max(found.last, at)
            found.watching |= watching

    def __iter__(self) -> Iterator[Run]:
        return (run for run in self._open.values() if run.told)
