"""Who uses what: locks that the kernel gives back when a process dies, and keeps while it is stopped.

A token's lock is one byte of a file, at the token's number. It belongs to the open file,
not to the process (`F_OFD_SETLK`): two engines of one process exclude each other as two
processes do, and nothing that another library closes gives ours away. The kernel walks
through the locks of a file one by one, hence several files: with 1,000 locks held,
locking and unlocking costs 15 us in one file, 3.5 in eight and 2.7 in sixteen.

Where the system has no such locks, a folder belongs to one process at a time, and what
the process holds is for itself to know.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

HAS_OPEN_FILE_LOCKS: Final = hasattr(fcntl, "F_OFD_SETLK")
SPREAD: Final = 16
"""Files over which the tokens' locks are spread: the same for all who share a folder."""

_WISHES: Final = 1 << 60  # what a wish's byte is behind its number; numbers are smaller than 1 << 48

_FLOCK: Final = struct.Struct("hhqqi4x")  # Linux's `struct flock`: type, whence, start, length, process
_SET: Final = getattr(fcntl, "F_OFD_SETLK", 0)
_LOCK: Final = fcntl.F_WRLCK
_UNLOCK: Final = fcntl.F_UNLCK
_FROM_START: Final = os.SEEK_SET
_control: Final = fcntl.fcntl
_pack: Final = _FLOCK.pack
_OPEN: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
_MODE: Final = 0o600
_BUSY: Final = frozenset({errno.EAGAIN, errno.EACCES})


class Locks(Protocol):
    """Exclusive locks on numbers, and wishes for them, which exclude nobody."""

    def take(self, number: int) -> bool:
        """Lock `number` without waiting; False when another has it. Raises `OSError`."""
        ...

    def give(self, number: int) -> None:
        """Unlock `number`."""
        ...

    def is_taken(self, number: int) -> bool:
        """Tell whether another has `number` locked."""
        ...

    def wish(self, number: int, *, is_on: bool) -> None:
        """Let others see that we wait for `number`, or do not any more."""
        ...

    def is_wished(self, number: int) -> bool:
        """Tell whether another waits for `number`."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


class KernelLocks:
    """Locks that everybody sees who opens the same files."""

    __slots__ = ("_descriptors", "_spread")

    def __init__(self, descriptors: Sequence[int]) -> None:
        self._descriptors: Final = tuple(descriptors)
        self._spread: Final = len(self._descriptors)

    def take(self, number: int) -> bool:
        """Lock `number` without waiting."""
        return set_lock(self._descriptors[number % self._spread], _LOCK, number)

    def give(self, number: int) -> None:
        """Unlock `number`."""
        set_lock(self._descriptors[number % self._spread], _UNLOCK, number)

    def is_taken(self, number: int) -> bool:
        """Tell whether another has `number` locked."""
        return self._is_locked(number, number)

    def wish(self, number: int, *, is_on: bool) -> None:
        """Have a lock that others may have as well."""
        kind = fcntl.F_RDLCK if is_on else _UNLOCK
        # A wish that cannot be had costs patience, and nothing else.
        with suppress(OSError):
            set_lock(self._descriptors[number % self._spread], kind, _WISHES + number)

    def is_wished(self, number: int) -> bool:
        """Tell whether another has such a lock."""
        return self._is_locked(number, _WISHES + number)

    def _is_locked(self, number: int, byte: int) -> bool:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
        answer = fcntl.fcntl(self._descriptors[number % self._spread], fcntl.F_OFD_GETLK, asked)
        return int(_FLOCK.unpack(answer)[0]) != fcntl.F_UNLCK

    def close(self) -> None:
        """Give everything back."""
        for descriptor in self._descriptors:
            os.close(descriptor)


class SoleLocks:
    """Locks of a process that has the folder for itself: nobody else is there to have any."""

    __slots__ = ()

    def take(self, number: int) -> bool:  # noqa: ARG002 - the port's signature
        """Have it."""
        return True

    def give(self, number: int) -> None:
        """Do nothing."""

    def is_taken(self, number: int) -> bool:  # noqa: ARG002 - the port's signature
        """Have it."""
        return False

    def wish(self, number: int, *, is_on: bool) -> None:
        """Do nothing."""

    def is_wished(self, number: int) -> bool:  # noqa: ARG002 - the port's signature
        """Return False."""
        return False

    def close(self) -> None:
        """Do nothing."""


def open_locks(paths: Sequence[Path]) -> Locks:
    """Return the locks that are spread over the files `paths`, made where they are not there; raises `OSError`."""
    if not HAS_OPEN_FILE_LOCKS:
        return SoleLocks()
    descriptors: list[int] = []
    try:
        descriptors.extend(os.open(path, _OPEN, _MODE) for path in paths)
    except OSError:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return KernelLocks(descriptors)


def set_lock(descriptor: int, kind: int, number: int) -> bool:
    """Set the lock on byte `number` to `kind` (`fcntl.F_WRLCK`, ...); False when another's is in the way."""
    try:
        _control(descriptor, _SET, _pack(kind, _FROM_START, number, 1, 0))
    except OSError as error:
        if error.errno in _BUSY:
            return False
        raise
    return True
