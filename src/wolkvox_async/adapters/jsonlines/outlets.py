"""Open descriptors, and how whole lines get into them. Runs in the output's thread.

- A regular file is locked while it is open, so its size is ours to know: a write that
  fails is taken back, and the file ends with the last whole write.
- What went into a pipe cannot be taken back. A piece of at most `PIPE_BUF` bytes goes in
  whole or not at all, and without waiting once there is room; so lines travel in such
  pieces, each ending with a line where it can. They are neither torn nor mixed with those
  of other writers, and a reader that stands still can be given up between two of them.
  Terminals and sockets promise less: they may take a part of a piece.
- An open file stays the same file. When somebody renames, deletes or replaces it, we go on
  writing to the one that we locked, as `logrotate` expects until it has us start anew; when
  somebody truncates it, we go on at its new end.
- A durable file is fsynced before a write returns, its size with it; as each write appends,
  fdatasync would save nothing (measured). Where it fails, nobody knows what is on the disk,
  and asking again would only hide that: the write is taken back and never tried again.
- Standard output belongs to others as well: the flags of its file description are never
  changed. Where it is non-blocking, `EAGAIN` means waiting for room.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from wolkvox_async.errors import OutputClosedError, OutputError

from .places import Place

MAYBE_LOST: Final = "what was written may be lost"

_LINE_END: Final = 0x0A
_RECHECK_MILLISECONDS: Final = 20
# A terminal that was closed answers EIO.
_READER_GONE: Final = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ESHUTDOWN, errno.EIO})
_ADVICE: Final[Mapping[int, str]] = MappingProxyType(
    {
        errno.ENOSPC: "the disk is full: free space, then run again",
        errno.EDQUOT: "the disk quota is used up: free space or have it raised, then run again",
        errno.EFBIG: "the file may not grow any more (ulimit -f): raise the limit or name another file, then run again",
        errno.ESTALE: "this was moved away, deleted or replaced by another file: leave it in its place, then run again",
        errno.EIO: "the device reports an input/output error: check the disk, then run again",
        errno.EMFILE: "this process may not open more files (ulimit -n): raise the limit, then run again",
        errno.ENFILE: "this machine may not open more files: close some, then run again",
    }
)


class Outlet(Protocol):
    """An open descriptor that takes whole lines."""

    name: str

    @property
    def is_stream(self) -> bool:
        """Whether delivery ends with the write: what went in can be neither found again nor taken back."""
        ...

    @property
    def place(self) -> Place | None:
        """Which file this is; None when it is not a file that was named."""
        ...

    @property
    def position(self) -> int | None:
        """Where that file ended when it was opened or, since then, after the last write."""
        ...

    def write(self, lines: bytes) -> int | None:
        """Deliver `lines` and return the new `position`; raises `OutputError` when they cannot be."""
        ...

    def abort(self) -> None:
        """Have a `write` that waits for its reader fail; called from another thread, at most once."""
        ...

    def close(self) -> None:
        """Give back what was opened; no `write` is in progress."""
        ...


class RegularFile:
    """A regular file under our lock: a write is in it wholly or not at all.

    Without a `place` it is standard output, which a shell redirected there.
    """

    __slots__ = ("_descriptor", "_durable", "name", "place", "position")

    is_stream: Final = False

    def __init__(self, descriptor: int, name: str, *, durable: bool, place: Place | None = None) -> None:
        self._descriptor = descriptor
        self._durable = durable
        self.name = name
        self.place = place
        self.position = None if place is None else self._size()

    def write(self, lines: bytes) -> int | None:
        """Append `lines`; when that fails, what was written of them is taken back."""
        view, start, sent = memoryview(lines), 0, 0
        try:
            start = self._size()
            while sent < len(view):
                sent += os.write(self._descriptor, view[sent:])
            end = self._size()
        except OSError as error:
            raise output_error(error, self.name, self._take_back(start, sent)) from error
        if self._durable:
            self._make_durable(start, sent)
        if self.place is not None:
            self.position = end
        return self.position

    def _size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def _make_durable(self, start: int, sent: int) -> None:
        try:
            to_disk(self._descriptor, self.name)
        except OutputError:
            # It can still be read, from memory: whoever reads it back must not take it for delivered.
            self._take_back(start, sent)
            raise

    def _take_back(self, start: int, sent: int) -> str:
        """Cut the file back to `start` and return what is to be said about its end."""
        try:
            # Standard error may go into the same file: what others wrote behind us is not ours to cut.
            if self._size() == start + sent:
                os.ftruncate(self._descriptor, start)
                os.lseek(self._descriptor, start, os.SEEK_SET)
                return "the file ends with the last whole line"
        except OSError:
            return "the file may end with a torn line"
        return "the file may hold a torn line"

    def abort(self) -> None:
        """Do nothing: a file has no reader to wait for."""

    def close(self) -> None:
        """Unlock and close."""
        # Closing alone does not unlock where others have the same file description (standard output).
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)


class Stream:
    """A pipe, terminal or device: written to piece by piece, when there is room."""

    is_stream: Final = True
    place: Final = None
    position: Final = None

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self.name = name
        # A byte in this pipe says, from then on, that the reader was given up; it is never taken out.
        self._given_up, self._give_up = os.pipe()
        self._poll_given_up = select.poll()
        self._poll_given_up.register(self._given_up, select.POLLIN)
        self._poll = select.poll()
        self._poll.register(self._given_up, select.POLLIN)
        self._poll.register(descriptor, select.POLLOUT)

    def write(self, lines: bytes) -> None:
        """Deliver `lines`, waiting for room before each piece."""
        view, sent = memoryview(lines), 0
        while sent < len(view):
            self._wait(between_lines=sent == 0 or view[sent - 1] == _LINE_END)
            try:
                sent += self._put(view[sent : _piece_end(lines, sent)])
            except BlockingIOError:
                self._pause()
            except OSError as error:
                if error.errno in _READER_GONE:
                    raise OutputClosedError(f"{self.name}: its reader went away") from error
                raise output_error(error, self.name) from error

    def _wait(self, *, between_lines: bool) -> None:
        ready = {descriptor for descriptor, _ in self._poll.poll()}
        if self._given_up in ready and (between_lines or self._descriptor not in ready):
            raise given_up(self.name)

    def _pause(self) -> None:
        # A terminal may report room and then take nothing: without a pause we would run in circles.
        if self._poll_given_up.poll(_RECHECK_MILLISECONDS):
            raise given_up(self.name)

    def _put(self, piece: memoryview) -> int:
        return os.write(self._descriptor, piece)

    def abort(self) -> None:
        """Wake `write` up if it waits for room."""
        os.write(self._give_up, b"\n")

    def close(self) -> None:
        """Close the descriptors."""
        for descriptor in (self._descriptor, self._given_up, self._give_up):
            os.close(descriptor)


class Socket(Stream):
    """A socket: told with each piece not to wait, because its flags may be others' too."""

    def __init__(self, descriptor: int, name: str) -> None:
        super().__init__(descriptor, name)
        self._socket = socket.socket(fileno=os.dup(descriptor))

    def _put(self, piece: memoryview) -> int:
        return self._socket.send(piece, socket.MSG_DONTWAIT)

    def close(self) -> None:
        """Close the descriptors."""
        self._socket.close()
        super().close()


def _piece_end(lines: bytes, start: int) -> int:
    """Return where the piece that begins at `start` ends: behind a line, unless that is too long."""
    limit = start + select.PIPE_BUF
    return lines.rfind(b"\n", start, limit) + 1 or min(limit, len(lines))


def to_disk(descriptor: int, name: str) -> None:
    """Return when the file's data and size are on the disk; raises `OutputError`."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise output_error(error, name, MAYBE_LOST) from error


def output_error(error: OSError, name: str, state: str = "") -> OutputError:
    """Say what happened to the output `name`, what `state` it is in, and what to do next."""
    advice = _ADVICE.get(error.errno or 0, error.strerror or str(error))
    return OutputError(f"{name}: {advice}" + (f" ({state})" if state else ""))


def given_up(name: str) -> OutputError:
    """Say that writing ended because somebody asked for it."""
    return OutputError(f"{name}: writing was stopped before everything was delivered")
