"""What a transport is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where requests go and how much they may take; times in seconds, sizes in bytes.

    `connections` says whether a connection serves one token, for its turn, or, after checks,
    any token of its server. `may_send` is asked, with the id of its token, right before a
    request leaves: when it says no, nothing does.
    """

    base_url: str = "https://wv{server}.wolkvox.com"
    timeout: float = 65.0
    connect_timeout: float = 10.0
    max_body: int = 16_777_216
    ca_file: str | None = None
    proxy: str | None = field(default=None, repr=False)  # may hold a password
    user_agent: str = "wolkvox-async"
    connections: Literal["token", "shared"] = "token"
    may_send: Callable[[str], bool] | None = None
