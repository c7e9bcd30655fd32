"""What a child does with the tokens that are ours: it watches them, or fetches from them once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended, and the counters of what was called here, by name."""

    stopped: bool
    counters: Mapping[str, Any] = field(default_factory=dict)


class Labour(Protocol):
    """One engine, or one after the other."""

    async def run(self) -> Outcome:
        """Work until it is over, or stopped, and everything is stored for everybody."""
        ...

    async def rehold(self) -> None:
        """Ask the state anew what is ours; when this returns nothing else is begun."""
        ...

    def progress(self, done: Sequence[int], *, is_complete: bool) -> None:
        """Take in which partitions of a common run are done, by whomever."""
        ...

    def is_drained(self) -> bool:
        """Tell whether the engine has delivered everything that has ended."""
        ...

    def stop(self) -> None:
        """Begin nothing more."""
        ...

    def abandon(self) -> None:
        """Give up what is in flight."""
        ...

    def seen(self) -> Mapping[str, int]:
        """Return what others may like to know, as counters."""
        ...

    def show(self, cluster: Mapping[str, Any]) -> None:
        """Take in what is seen of the cluster."""
        ...
