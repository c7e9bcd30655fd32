"""What is known of a token, changed in place: there is one for each token, and an addition for each call.

What is added counts as `clustering.messages.merge` says: of each thing the latest. Texts that many
tokens have in common are kept once.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from sys import intern
from typing import Final

from wolkvox_async.clustering.messages import Refused, SlotKey, SlotTimes, TokenState, merge

_FEW: Final = 4
_AMPLE: Final = 2


class Remembered:
    """One token's; about 1,100 bytes where three endpoints are watched."""

    __slots__ = ("_ample", "_asked", "_names", "_refused", "_slots")

    def __init__(self) -> None:
        self._asked: dict[str, float] = {}
        self._slots: dict[SlotKey, SlotTimes] = {}
        self._refused: Refused | None = None
        self._names: frozenset[int] = frozenset()
        self._ample = _FEW  # times; where there are more, some may be over

    def add(self, state: TokenState) -> None:
        """Take in what is known besides."""
        asked, slots = self._asked, self._slots
        for question, at in state.asked.items():
            if at > asked.get(question, -inf):
                asked[question] = at
        for key, times in state.slots.items():
            known = slots.get(key)
            if known is None:
                slots[self._shared(key)] = times
            else:
                slots[key] = _later(known, times)
        if state.refused is not None or state.names:
            self._add_seldom(state)

    def state(self) -> TokenState:
        """Return it as a value, for the moment: the next addition changes that too."""
        return TokenState(self._asked, self._slots, self._refused, self._names)

    def copy(self) -> TokenState:
        """Return it as a value."""
        return TokenState(dict(self._asked), dict(self._slots), self._refused, self._names)

    def prune(self, prune: Callable[[TokenState], TokenState]) -> None:
        """Leave out what is over, when there has come so much that there may be something."""
        if len(self._asked) + len(self._slots) <= self._ample:
            return
        kept = prune(self.state())
        self._asked, self._slots = dict(kept.asked), dict(kept.slots)
        self._refused, self._names = kept.refused, kept.names
        self._ample = _AMPLE * (len(self._asked) + len(self._slots)) + _FEW

    def _add_seldom(self, state: TokenState) -> None:
        known = TokenState(refused=self._refused, names=self._names)
        both = merge(known, TokenState(refused=state.refused, names=state.names))
        self._refused, self._names = both.refused, both.names

    def _shared(self, key: SlotKey) -> SlotKey:
        tenant, operation, api, month = key
        for first, second, _, _ in self._slots:
            if (first, second) == (tenant, operation):
                tenant, operation = first, second
                break
        return tenant, operation, intern(api), intern(month)


def _later(one: SlotTimes, other: SlotTimes) -> SlotTimes:
    if one.closing is None or (other.closing is not None and other.closing > one.closing):
        closing = other.closing
    else:
        closing = one.closing
    return SlotTimes(max(one.due, other.due), closing)
