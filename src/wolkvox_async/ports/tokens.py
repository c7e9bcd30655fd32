"""Where tokens come from."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Protocol

from wolkvox_async.model import Operation, Token


class TokenSource(Protocol):
    """Resolves an operation's token reference again, after the vendor refused the token."""

    async def resolve(self, operation: Operation) -> Token | None:
        """Return the token that the reference gives now; None when it gives none."""
        ...


class SecretPlugin(Protocol):
    """Finds tokens where this package does not know how to; an entry point of the group `wolkvox_async.secrets`.

    The entry point's name is the key of its references: with `{"vendor-x": {"path": "acme"}}` the
    plug-in `vendor-x` is called with `{"path": "acme"}`. It is called in a thread of its own, several
    times at once for several references, and has 30 s. An async function gets an event loop there.
    """

    def __call__(self, settings: Mapping[str, Any], /) -> str | Awaitable[str]:
        """Return the token's text, and nothing else; raise whatever says that there is none."""
        ...
