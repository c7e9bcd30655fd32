"""Opening an output: what cannot work is found before anything is called.

A named file is appended to and belongs to one writer at a time, by whatever name: the
lock is on the file itself. A writer that was killed may have left part of a line behind,
which the next line must not be glued to: a record that was cut short is removed, a
whole one gets its line end, and a file that ends in anything else is none of ours.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

import orjson

from wolkvox_async.errors import ConfigurationError, Mistake, OutputBusyError, OutputError

from .outlets import Outlet, outlet, output_error

_STDOUT: Final = 1
_CREATED_MODE: Final = 0o644
_RECORD_START: Final = b'{"type":"'
_FIRST_BLOCK: Final = 1 << 16
_LONGEST_TAIL: Final = 1 << 26

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
        errno.ENOLCK: "files cannot be locked here, so that one process writes at a time: name one elsewhere",
        errno.EOPNOTSUPP: "files cannot be locked here, so that one process writes at a time: name one elsewhere",
    }
)


def standard_output() -> Outlet:
    """Return standard output.

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
    with _opening(descriptor, name):
        if _is_regular(descriptor):
            _lock(descriptor, name)
        return outlet(descriptor, name)


def named_output(path: str) -> Outlet:
    """Return the file, pipe or device at `path`; a file is created if need be.

    Raises `ConfigurationError` (`OutputBusyError`: another writer has it) or, when the
    machine is short of something, `OutputError`.
    """
    # A named pipe must not keep us waiting for its reader, nor a terminal become ours.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        descriptor = os.open(path, flags, _CREATED_MODE)
    except ValueError as error:
        raise ConfigurationError([Mistake(f"this is no file name: {error}")]) from error
    except OSError as error:
        raise _opening_error(error, path) from error
    with _opening(descriptor, path):
        if _is_regular(descriptor):
            _lock(descriptor, path)
            _mend_end(descriptor, path)
        return outlet(descriptor, path)


def _closed(name: str) -> OutputError:
    return OutputError(f"{name} is closed: redirect it somewhere or name a file")


@contextmanager
def _opening(descriptor: int, name: str) -> Iterator[None]:
    """Close `descriptor` when the block fails, and say why in our own words."""
    try:
        yield
    except OSError as error:
        os.close(descriptor)
        raise _opening_error(error, name) from error
    except BaseException:
        os.close(descriptor)
        raise


def _is_regular(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def _reopened_terminal(descriptor: int) -> int:
    """Return a file description of our own, non-blocking, so that a stopped terminal (Ctrl-S) cannot hold us."""
    try:
        own = os.open(os.ttyname(descriptor), os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return descriptor
    os.close(descriptor)
    return own


def _lock(descriptor: int, name: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        busy = "another writer has this file: wait until it has ended, or name another file"
        raise OutputBusyError([Mistake(busy, name)]) from None


def _opening_error(error: OSError, path: str) -> ConfigurationError | OutputError:
    if error.errno in _ENVIRONMENT:
        return output_error(error, path)
    advice = _ADVICE.get(error.errno or 0, error.strerror or str(error))
    return ConfigurationError([Mistake(advice, path)])


def _mend_end(descriptor: int, path: str) -> None:
    """Have the file end with a whole line, whatever a killed writer left behind."""
    size = os.fstat(descriptor).st_size
    if not size or not (tail := _behind_last_line_end(path, size)):
        return
    if _is_record(tail):
        os.write(descriptor, b"\n")
    elif tail.startswith(_RECORD_START) or _RECORD_START.startswith(tail):
        os.ftruncate(descriptor, size - len(tail))
    else:
        strange = "this ends in the middle of a line that is no record: name another file, or end its last line"
        raise ConfigurationError([Mistake(strange, path)])


def _behind_last_line_end(path: str, size: int) -> bytes:
    """Return what stands behind the last line end, or the last 64 MiB when there is none in them."""
    with Path(path).open("rb") as file:
        length = _FIRST_BLOCK
        while True:
            file.seek(max(0, size - length))
            tail = file.read(length)
            if b"\n" in tail or length >= min(size, _LONGEST_TAIL):
                return tail[tail.rfind(b"\n") + 1 :]
            length *= 2


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False
