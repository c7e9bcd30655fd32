"""Calls whose answers were cut off, and the parts that are asked for in their place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Final

from wolkvox_async.model import Call
from wolkvox_async.planning import is_divisible, left_of, parts

HOPELESS: Final = 100
"""Single seconds of a planned call whose answers were cut off, until the rest is not asked for in parts any more."""


class Cuts:
    """Those of one run."""

    def __init__(self) -> None:
        self.parts = 0  # that were added
        self.calls = 0  # in whose place they are
        self._full_seconds: Final[Counter[str]] = Counter()  # that were cut off, by planned call

    @property
    def grown(self) -> int:
        """By how many calls the run has become longer."""
        return self.parts - self.calls

    def allow(self, call: Call) -> bool:
        """Tell whether a call whose answer was cut off is asked for in parts; a single second is counted instead."""
        planned = None if call.reach is None else call.reach.part_of
        if is_divisible(call):
            return planned is None or self._full_seconds[planned] < HOPELESS
        if planned is not None:
            self._full_seconds[planned] += 1
        return False

    def cut(self, call: Call, run: str, settled: Collection[str]) -> list[Call]:
        """Take in that a call is replaced by its parts; return what of them a run has not `settled`."""
        left = [each for part in parts(call, run) for each in left_of(part, run, settled)]
        self.parts += len(left)
        self.calls += 1
        return left
