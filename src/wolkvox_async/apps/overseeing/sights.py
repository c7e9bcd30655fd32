"""What was seen of keys while somebody looked at them. Pure.

Whether a worker lives, and a lease is renewed, cannot be read: a beat and a lease look the same an
hour after their machine has died. What lives, changes what stands in its key; so keys are looked at several
times, and what is told is how long ago they were seen to change, on the clock of whoever looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from wolkvox_async.ports import Held


@dataclass(frozen=True, slots=True)
class Sight:
    """What stands in a key, and at which second it was seen to change (None: it has not changed while we looked)."""

    value: bytes
    revision: int
    changed_at: float | None = None


class Sights:
    """All keys, as they were at one look after the other; seconds are of any clock that runs evenly."""

    def __init__(self) -> None:
        self._sights: Final[dict[str, Sight]] = {}
        self._began: float | None = None
        self._ended = 0.0

    def look(self, keys: Mapping[str, Held], now: float) -> None:
        """Take in a look that was answered at `now`."""
        began = self._began is None
        for gone in self._sights.keys() - keys.keys():
            del self._sights[gone]
        for key, held in keys.items():
            before = self._sights.get(key)
            if before is None or (before.value, before.revision) != (held.value, held.revision):
                self._sights[key] = Sight(held.value, held.revision, None if began else now)
        self._began = now if self._began is None else self._began
        self._ended = now

    def forget(self) -> None:
        """Begin anew: the broker may have forgotten something meanwhile."""
        self._sights.clear()
        self._began = None

    @property
    def seconds(self) -> float:
        """For how long keys were looked at."""
        return 0.0 if self._began is None else self._ended - self._began

    def ago(self, sight: Sight) -> float | None:
        """Return how many seconds before the last look it was seen to change; None: it was not."""
        return None if sight.changed_at is None else self._ended - sight.changed_at

    def __iter__(self) -> Iterator[tuple[str, Sight]]:
        return iter(self._sights.items())

    def get(self, key: str) -> Sight | None:
        """Return what was seen of a key, if it is there."""
        return self._sights.get(key)
