"""Slots of which this process knows something newer than the database holds."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final


class Unwritten:
    """What is read of such a slot does not count.

    What was read before a commit may be taken in after the commit was told: whoever waits
    for it has been woken by then, and runs in the next round of the event loop. So a slot
    counts as unwritten until that round is over.
    """

    def __init__(self) -> None:
        self._slots: Final[Counter[int]] = Counter()

    def __contains__(self, slot: int) -> bool:
        return slot in self._slots

    def add(self, slot: int) -> None:
        """Note that something of `slot` is to be written."""
        self._slots[slot] += 1

    def written(self, slot: int) -> None:
        """Note, in the event loop, that something of `slot` was."""
        asyncio.get_running_loop().call_soon(self._remove, slot)

    def _remove(self, slot: int) -> None:
        self._slots[slot] -= 1
        if not self._slots[slot]:
            del self._slots[slot]
