"""What a reader that was killed had written, and could not tell of any more.

It stands behind the bookmark and is the beginning of what comes next: it is compared, and not
written again. What is anything else was written by somebody else, and is left alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from wolkvox_async.errors import ConfigurationError, Mistake


class Remainder:
    """The bytes of a file from `start` to `end`, of which `start` grows to `end`."""

    def __init__(self, file: Path, start: int, end: int) -> None:
        self._file: Final = file
        self._end: Final = end
        self.start = start

    def __bool__(self) -> bool:
        return self.start < self._end

    def behind(self, lines: bytes) -> bytes:
        """Return what of `lines`, which come next, is not in the file yet.

        Raises `ConfigurationError` where something else is there.
        """
        there = self._read(min(len(lines), self._end - self.start))
        if not lines.startswith(there):
            complaint = (
                f"what stands behind its first {self.start} bytes is not what comes next in the stream: "
                "somebody else wrote to it; name another file"
            )
            raise ConfigurationError([Mistake(complaint, str(self._file))])
        self.start += len(there)
        return lines[len(there) :]

    def _read(self, size: int) -> bytes:
        descriptor = os.open(self._file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return os.pread(descriptor, size, self.start)
        except OSError as error:
            complaint = f"this file cannot be read: {(error.strerror or 'unknown').lower()}"
        finally:
            os.close(descriptor)
        raise ConfigurationError([Mistake(complaint, str(self._file))])
