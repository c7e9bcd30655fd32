"""A host and a port, as people write them and as they are shown."""

from __future__ import annotations

from dataclasses import dataclass

from wolkvox_async.settings.options import is_loopback


@dataclass(frozen=True, slots=True)
class HostPort:
    """A host and a port; port 0 is any that is free."""

    host: str
    port: int

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
