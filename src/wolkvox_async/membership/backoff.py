"""Pauses that grow while something goes on failing."""

from __future__ import annotations

from typing import Final


class Backoff:
    """Each pause is twice as long as the one before, up to the longest; all in seconds."""

    __slots__ = ("_first", "_longest", "_next")

    def __init__(self, first: float, longest: float) -> None:
        self._first: Final = first
        self._longest: Final = longest
        self._next = first

    def pause(self) -> float:
        """Return how long to wait now."""
        pause, self._next = self._next, min(2 * self._next, self._longest)
        return pause

    def reset(self) -> None:
        """Begin with the shortest one again."""
        self._next = self._first
