"""The parent's side of the board: what it permits, and by when a child that stands still has to be gone.

A child looks at the board and sends a request in one go. If it has given a sign of life since
a permit was revoked, nothing that goes back to that permit is sent any more. If it has not, it may
stand between the look and the sending, whatever the board says by now.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from .board import LeaseBoard


class Permits:
    """Writes the board; `boot` is its clock."""

    def __init__(self, board: LeaseBoard, boot: Callable[[], float]) -> None:
        self._board: Final = board
        self._boot: Final = boot
        self._permitted: Final[dict[int, float]] = {}  # by partition, when it ends
        self._revoked: Final[dict[int, tuple[float, float]]] = {}  # when it ends, and when it was revoked

    def permit(self, partition: int, valid_until: float) -> None:
        """Let calls begin that are certain to be over by `valid_until`."""
        self._permitted[partition] = valid_until
        self._board.permit(partition, valid_until)

    def revoke(self, partition: int) -> None:
        """Let no call begin any more."""
        self._board.revoke(partition)
        until = self._permitted.pop(partition, None)
        if until is not None:
            self._revoked[partition] = (until, self._boot())

    def earliest_end(self) -> float:
        """Return when the first permit ends that the child may yet act upon; infinity where there is none."""
        seen = self._board.last_beat
        for partition in [partition for partition, (_, at) in self._revoked.items() if at < seen]:
            del self._revoked[partition]
        revoked = min((until for until, _ in self._revoked.values()), default=inf)
        return min(min(self._permitted.values(), default=inf), revoked)
