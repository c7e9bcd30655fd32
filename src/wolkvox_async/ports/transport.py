"""How attempts are made: one attempt, one request on the wire."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from wolkvox_async.model import Answer, Breakdown, Call, Operation


class Turn(Protocol):
    """One token's turn: at most one connection, which serves no other token."""

    async def attempt(self, call: Call) -> Answer | Breakdown:
        """Make one attempt: at most one request on the wire, and the truth about it.

        `WITHHELD` when it was made no more, because the token may not be used any more.

        Never raises for anything the network does. When cancelled, the connection is
        closed; the request may have left.
        """
        ...

    def distrust(self) -> None:
        """Close the connection, if there is one: the next attempt opens another."""
        ...


class Transport(Protocol):
    """Opens turns; owns whatever they share (TLS context, resolver)."""

    def turn(self, operation: Operation) -> AbstractAsyncContextManager[Turn]:
        """Open a turn of `operation`'s token; leaving it closes its connection."""
        ...

    async def close(self) -> None:
        """Close everything; nothing is left behind when this returns."""
        ...
