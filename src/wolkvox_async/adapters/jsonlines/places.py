"""Which file an output is.

A path may lead to another file from one moment to the next (a log rotation), and the
output's lock is on the file; so what was written is read back from the file, and the
path only leads there.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Place:
    """A regular file: its path, resolved, and the numbers that stay the same when it is renamed."""

    path: Path
    device: int
    inode: int

    @classmethod
    def of(cls, path: str | os.PathLike[str], descriptor: int) -> Self:
        """Return the place of the file that `descriptor` was opened on by `path`."""
        status = os.fstat(descriptor)
        return cls(Path(path).resolve(), status.st_dev, status.st_ino)


@contextmanager
def reading(target: str | os.PathLike[str] | Place) -> Iterator[int]:
    """Open `target` to read, for the length of the block; its lock, whoever has it, is no matter.

    Raises `OSError`: `ESTALE` when another file, or none, is at the `Place` by now.
    """
    # A pipe that took the file's place must not keep us waiting for a writer.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = _opened_at(target, flags) if isinstance(target, Place) else os.open(target, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _opened_at(place: Place, flags: int) -> int:
    try:
        descriptor = os.open(place.path, flags)
    except FileNotFoundError as error:
        raise _stale(place) from error
    status = os.fstat(descriptor)
    if (status.st_dev, status.st_ino) == (place.device, place.inode):
        return descriptor
    os.close(descriptor)
    raise _stale(place)


def _stale(place: Place) -> OSError:
    return OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(place.path))
