"""The partitions that a child has, and whether anything of them still goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from zlib import crc32


def partition_of(token: str, partitions: int) -> int:
    """Return in which partition a token (or a run) is, by its id."""
    return crc32(token.encode()) % partitions


@dataclass(slots=True, eq=False)
class Tenancy:
    """A partition that is ours, from when it was taken until it is given back; times in monotonic seconds."""

    partition: int
    epoch: int
    is_finishing: bool = False
    claimed: int = 0  # tokens in use
    unstored: int = 0  # frames with something of it that nobody else knows yet
    at_work_until: float = 0.0  # the vendor may be, on a call that was given up

    def is_quiet(self, now: float) -> bool:
        """Tell whether nothing of it is in flight or unstored."""
        return not self.claimed and not self.unstored and now >= self.at_work_until


class Tenancies:
    """By partition."""

    def __init__(self, partitions: int) -> None:
        self._partitions: Final = partitions
        self._ours: Final[dict[int, Tenancy]] = {}
        self._epochs: Final[dict[int, int]] = {}  # late records say under which lease they were made

    def __len__(self) -> int:
        return len(self._ours)

    def held(self) -> list[int]:
        """Return those that are ours, and not being given back."""
        return [partition for partition, one in self._ours.items() if not one.is_finishing]

    def take(self, partition: int, epoch: int) -> None:
        """Have a partition."""
        self._ours[partition] = Tenancy(partition, epoch)
        self._epochs[partition] = epoch

    def drop(self, partition: int) -> None:
        """Have it no more."""
        self._ours.pop(partition, None)

    def get(self, partition: int) -> Tenancy | None:
        """Return a partition that is ours."""
        return self._ours.get(partition)

    def epoch(self, partition: int) -> int:
        """Return that of the lease under which a partition was ours last; 0 if it never was."""
        return self._epochs.get(partition, 0)

    def partition(self, token: str) -> int:
        """Return the partition of a token or a run."""
        return partition_of(token, self._partitions)

    def of(self, token: str) -> Tenancy | None:
        """Return the partition of a token, if it is ours."""
        return self._ours.get(self.partition(token))
