"""What a killed writer leaves in a file that it was to go on with, and what is kept of it.

A file of plain lines is cut behind its last mark: a record behind which nothing is owed. In a compressed one

- frames that were ended end behind a mark, and are kept;
- the frame that was not ended is kept up to the last block behind which the text ends
  with a mark, and gets its ending there;
- whole calls that can still be unpacked behind that block are `saved`, to be written anew.

A file need not begin with a mark, as the output of one run does: when the period turned, its first
write may have been that of a call, with its rows.

Where the power failed, a file may end with zeros that nobody wrote: they are no part of it.
A file that no writer of ours can have left is somebody else's, or was changed by
somebody, and stays untouched.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from wolkvox_async.errors import ConfigurationError, Mistake

from .compression import ENDING, BrokenError, blocks, frames
from .counts import PIECE, Counts, Tally, pieces

_STRANGE: Final = (
    "it holds something that this program did not write, so nothing is appended: move it away, or name another file"
)
_BROKEN: Final = (
    "it cannot be unpacked to its end, and no interrupted run leaves it like that: restore it, or move it away"
)

# A block may end with a few zeros of its own, never with more.
_OWN_ZEROS: Final = 8


@dataclass(frozen=True, slots=True)
class Recovered:
    """What to keep of a file: the first `end` bytes, then `ending`, then `saved` lines, written anew.

    `counts` are those of what is kept; the saved lines are not among them.
    """

    end: int
    counts: Counts
    ending: bytes = b""
    saved: bytes = b""


class _StrangeError(Exception):
    """There is a line that is no record, or a frame that ends behind none."""


def recovered_plain(descriptor: int, size: int, name: str) -> Recovered:
    """Return what to keep of a file of lines; raises `ConfigurationError` when it is none of ours."""
    tally = Tally()
    for piece in pieces(descriptor, size):
        tally.add(piece)
    if tally.strange:
        raise ConfigurationError([Mistake(_STRANGE, name)])
    return Recovered(tally.end, tally.counts)


def recovered_packed(descriptor: int, size: int, name: str) -> Recovered:
    """Return what to keep of a compressed file; raises `ConfigurationError` when it is none of ours."""
    written = _end_of_zeros(descriptor, size)
    message = _BROKEN
    for end in (min(written + _OWN_ZEROS, size), written):
        try:
            return _recovered(descriptor, end)
        except BrokenError:
            message = _BROKEN
        except _StrangeError:
            message = _STRANGE
    raise ConfigurationError([Mistake(message, name)])


def _recovered(descriptor: int, size: int) -> Recovered:
    ended, end = _ended(descriptor, size)
    if end == size:
        return Recovered(end, ended.counts)
    return _torn(os.pread(descriptor, size - end, end), end, ended)


def _ended(descriptor: int, size: int) -> tuple[Tally, int]:
    """Return what stands in the frames that were ended, and where the last one ends."""
    end, ended, tally = 0, Tally(), Tally()
    for text, frame_end in frames(descriptor, size):
        tally.add(text)
        if frame_end is not None:
            if tally.strange or not tally.settled:
                raise _StrangeError
            end, ended = frame_end, tally.copy()
    return ended, end


def _torn(packed: bytes, start: int, tally: Tally) -> Recovered:
    """Return what to keep when the frame at `start` was not ended; `tally` is what stands before it."""
    kept, kept_counts, unkept = 0, tally.copy().counts, bytearray()
    for text, end in blocks(packed):
        before = tally.end
        tally.add(text)
        unkept += text
        if tally.strange:
            raise _StrangeError
        if end is not None and tally.settled and tally.end > before:
            kept, kept_counts = end, tally.copy().counts
            unkept.clear()
    saved = bytes(unkept[: len(unkept) - (tally.size - tally.end)])
    return Recovered(start + kept, kept_counts, ENDING if kept else b"", saved)


def _end_of_zeros(descriptor: int, size: int) -> int:
    """Return where the zeros begin that the file ends with."""
    end = size
    while end:
        start = max(0, end - PIECE)
        written = os.pread(descriptor, end - start, start).rstrip(b"\0")
        if written:
            return start + len(written)
        end = start
    return 0
