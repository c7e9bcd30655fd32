"""What the page needs to know of a running watch, as a Protocol: `engine.Watch` fulfils it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from wolkvox_async.model import GapReason
from wolkvox_async.scheduling.subjects import Subject


class Prospect(Protocol):
    """What a running watch tells to those who look in; times in Unix milliseconds."""

    @property
    def run(self) -> str:
        """The id of its run."""
        ...

    @property
    def started(self) -> int:
        """When it began."""
        ...

    @property
    def version(self) -> int:
        """A number that grows when the subjects change."""
        ...

    def subjects(self) -> Sequence[Subject]:
        """Return what is watched."""
        ...

    def next_due(self, key: str) -> int | None:
        """Return when a subject is due next."""
        ...

    def waits(self, key: str) -> GapReason | None:
        """Return what a subject's open call that is not in flight waits for."""
        ...

    def in_flight(self, key: str) -> bool:
        """Tell whether a subject is being asked at this moment."""
        ...
