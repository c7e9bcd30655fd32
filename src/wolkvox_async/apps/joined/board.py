"""What parent and child look at without asking one another: until when calls may go on, and a heartbeat.

It is a piece of memory that both have since they parted. Each cell is one aligned number of eight
bytes, so whoever reads it has it whole. Times are seconds of the boot clock; 0 means never.
"""

from __future__ import annotations

from mmap import mmap
from typing import Final

MOST_PARTITIONS: Final = 16_384
_CELL: Final = 8  # bytes
_BEAT: Final = 0
_FIRST: Final = 1


class LeaseBoard:
    """One parent writes leases, one child its heartbeat; to be made before they part."""

    def __init__(self, partitions: int = MOST_PARTITIONS) -> None:
        self._cells: Final = memoryview(mmap(-1, _CELL * (_FIRST + partitions))).cast("d")

    # --- leases, written by the parent

    def permit(self, partition: int, valid_until: float) -> None:
        """Let calls begin that are certain to be over by `valid_until`."""
        self._cells[_FIRST + partition] = valid_until

    def revoke(self, partition: int) -> None:
        """Let no call begin any more."""
        self._cells[_FIRST + partition] = 0.0

    def may_begin(self, partition: int, now: float, seconds: float) -> bool:
        """Tell whether something that begins now, and takes so many seconds, is over in time."""
        return now + seconds <= self._cells[_FIRST + partition]

    # --- the heartbeat, written by the child

    def beat(self, now: float) -> None:
        """Show that the child is alive."""
        self._cells[_BEAT] = now

    @property
    def last_beat(self) -> float:
        """When it showed that last."""
        return self._cells[_BEAT]
