"""Opening an output: what cannot work is found before anything is called.

A named file is appended to and belongs to one writer at a time, by whatever name: the
lock is on the file itself. Under it, what a killed writer left is cut (see `remains`).

A durable output has the named file and its folder fsynced before anything is written, new or
not: whoever wrote to it before may have been killed before it could do so, and what is read
back from the file must not vanish with the power.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

from wolkvox_async.errors import ConfigurationError, Mistake, OutputBusyError, OutputError

from .outlets import MAYBE_LOST, Outlet, RegularFile, Socket, Stream, output_error, to_disk
from .places import Place, reading
from .remains import whole_end

EndOf: TypeAlias = Callable[[int, int, str], int]

_STDOUT: Final = 1
CREATED_MODE: Final = 0o644

# The environment's fault, not the input's: there is nothing to correct, only to free or to repair.
_ENVIRONMENT: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_ADVICE: Final[Mapping[int, str]] = MappingProxyType(
    {
        errno.ENOENT: "the folder that it should be in does not exist: create it first",
        errno.ENOTDIR: "a part of the path is a file, not a folder",
        errno.EISDIR: "this is a folder: name a file in it",
        errno.EACCES: "permission denied: change the rights or name another file",
        errno.EPERM: "this may not be written to: change its attributes or name another file",
        errno.EROFS: "this is on a read-only file system: name another file",
        errno.ENXIO: "nobody reads from this: start the reader first",
        errno.ESTALE: "this was moved away or replaced while it was being opened: run again",
        errno.ENOLCK: "files cannot be locked here, so that one process writes at a time: name one elsewhere",
        errno.EOPNOTSUPP: "files cannot be locked here, so that one process writes at a time: name one elsewhere",
    }
)


def standard_output(*, durable: bool) -> Outlet:
    """Return standard output.

    A file that a shell redirected it to is not ours to look into: nothing in it is cut.

    Raises `OutputError` when it is closed, `OutputBusyError` when it is a file that has
    another writer.
    """
    name = "standard output"
    # Python leaves None where it was closed at the start; another file may have its number by now.
    if sys.__stdout__ is None:
        raise _closed(name)
    try:
        descriptor = os.dup(_STDOUT)
    except OSError as error:
        raise (_closed(name) if error.errno == errno.EBADF else output_error(error, name)) from error
    if os.isatty(descriptor):
        descriptor = _reopened_terminal(descriptor)
    with opening(descriptor, name):
        if not is_regular(descriptor):
            return _stream(descriptor, name)
        lock(descriptor, name)
        return RegularFile(descriptor, name, durable=durable)


def named_output(path: str, *, durable: bool, end_of: EndOf = whole_end) -> Outlet:
    """Return the file, pipe or device at `path`; a file is created if need be.

    `end_of` finds where a file ends without what a killed writer left in it.

    Raises `ConfigurationError` (`OutputBusyError`: another writer has it) or, when the
    machine is short of something or an fsync failed, `OutputError`.
    """
    # A named pipe must not keep us waiting for its reader, nor a terminal become ours.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        descriptor = os.open(path, flags, CREATED_MODE)
    except ValueError as error:
        raise ConfigurationError([Mistake(f"this is no file name: {error}")]) from error
    except OSError as error:
        raise opening_error(error, path) from error
    with opening(descriptor, path):
        if not is_regular(descriptor):
            return _stream(descriptor, path)
        lock(descriptor, path)
        place = Place.of(path, descriptor)
        _cut_remains(place, path, descriptor, end_of)
        if durable:
            to_disk(descriptor, path)
            folder_to_disk(place.path)
        return RegularFile(descriptor, path, durable=durable, place=place)


def _closed(name: str) -> OutputError:
    return OutputError(f"{name} is closed: redirect it somewhere or name a file")


@contextmanager
def opening(descriptor: int, name: str) -> Iterator[None]:
    """Close `descriptor` when the block fails, and say why in our own words."""
    try:
        yield
    except OSError as error:
        os.close(descriptor)
        raise opening_error(error, name) from error
    except BaseException:
        os.close(descriptor)
        raise


def is_regular(descriptor: int) -> bool:
    """Tell whether this is a regular file."""
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def _stream(descriptor: int, name: str) -> Outlet:
    kind = Socket if stat.S_ISSOCK(os.fstat(descriptor).st_mode) else Stream
    return kind(descriptor, name)


def _reopened_terminal(descriptor: int) -> int:
    """Return a file description of our own, non-blocking, so that a stopped terminal (Ctrl-S) cannot hold us."""
    try:
        own = os.open(os.ttyname(descriptor), os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return descriptor
    os.close(descriptor)
    return own


def lock(descriptor: int, name: str) -> None:
    """Keep other writers out; raises `OutputBusyError` when there is one."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        busy = "another writer has this file: wait until it has ended, or name another file"
        raise OutputBusyError([Mistake(busy, name)]) from None


def opening_error(error: OSError, path: str) -> ConfigurationError | OutputError:
    """Say why a file could not be opened, and what to do."""
    if error.errno in _ENVIRONMENT:
        return output_error(error, path)
    advice = _ADVICE.get(error.errno or 0, error.strerror or str(error))
    return ConfigurationError([Mistake(advice, path)])


def _cut_remains(place: Place, path: str, descriptor: int, end_of: EndOf) -> None:
    """Have the file end with a mark, whatever a killed writer left behind it."""
    size = os.fstat(descriptor).st_size
    if not size:
        return
    with reading(place) as reader:
        end = end_of(reader, size, path)
    if end < size:
        os.ftruncate(descriptor, end)


def folder_to_disk(path: Path) -> None:
    """Have the name of a file survive a power cut; some file systems know no such thing."""
    name = str(path.parent)
    try:
        folder = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    except PermissionError as error:
        unreadable = "a new file survives a power cut only in a folder that may be read: change its rights"
        raise ConfigurationError([Mistake(unreadable, name)]) from error
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise output_error(error, name, MAYBE_LOST) from error
    finally:
        os.close(folder)
