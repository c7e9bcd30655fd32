"""What a pass that machines make together is doing, for the person at one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wolkvox_async.apps.progress import Picture

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True)
class Together:
    """One moment of it: what was called here, and how many partitions are ours, done by anybody, and wanted."""

    here: Picture
    ours: int
    done: int
    wanted: int

    def line(self) -> str:
        """Say it in one line."""
        return f"{self.here.line()} | {self._partitions()}" if self.here.planned else self._partitions()

    def block(self) -> RenderableType:
        """Show it on a terminal."""
        from rich.console import Group  # noqa: PLC0415 - it takes longer than everything else a command needs
        from rich.text import Text  # noqa: PLC0415 - as above

        partitions = Text(self._partitions(), "" if self.ours else "yellow")
        return Group(self.here.block(), partitions) if self.here.planned else partitions

    def _partitions(self) -> str:
        all_of_them = f"partitions: {self.ours} here, {self.done} of {self.wanted} done by all machines"
        if self.ours or self.done == self.wanted:
            return all_of_them
        return f"{all_of_them} (waiting for leases to be given back, or to run out)"
