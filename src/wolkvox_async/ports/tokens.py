"""Where tokens come from."""

from __future__ import annotations

from typing import Protocol

from wolkvox_async.model import Operation, Token


class TokenSource(Protocol):
    """Resolves an operation's token reference again, after the vendor refused the token."""

    async def resolve(self, operation: Operation) -> Token | None:
        """Return the token that the reference gives now; None when it gives none."""
        ...
