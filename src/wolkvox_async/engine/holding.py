"""Which tokens we hold, and for how many reasons.

A lease of the state has one reason less than we have: a token's turn, and each of its
answers that is not delivered and settled yet. It is given back when the last reason is
gone, so nobody else asks a question whose answer is still on its way to our output.
"""

from __future__ import annotations

from typing import Final

from wolkvox_async.ports import Claim, Granted, Leases, Unread


class Holder:
    """Counts the reasons to hold each token; by token id."""

    __slots__ = ("_held", "_leases")

    def __init__(self, leases: Leases) -> None:
        self._leases: Final = leases
        self._held: Final[dict[str, int]] = {}  # never 0

    def claim(self, token: str) -> Claim:
        """Ask for a token; when granted (or unread), there is one reason more to hold it."""
        if token in self._held:
            self._held[token] += 1
            return Granted()
        claim = self._leases.claim(token)
        if isinstance(claim, Granted | Unread):
            self._held[token] = 1
        return claim

    def keep(self, token: str) -> None:
        """Have one reason more for a token that we hold."""
        self._held[token] += 1

    def drop(self, token: str) -> None:
        """Have one reason less; the token is given back with the last one."""
        left = self._held[token] - 1
        if left:
            self._held[token] = left
        else:
            del self._held[token]
            self._leases.release(token)
