"""Files that appear whole and never in the place of another, or change all at once.

Where a file system has no links, a new file is written under its name at once: then it is
still never in the place of another, but a machine that dies that moment leaves a part of it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from wolkvox_async.errors import ConfigurationError, Mistake

_ANYBODY: Final = 0o666  # less what the umask takes away, as for every file
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Say in our words, as a `ConfigurationError`, what cannot be done with the file."""
    try:
        yield
    except FileExistsError:
        complaint = "this is there already, and stays as it is"
    except OSError as error:
        complaint = f"this cannot be written: {(error.strerror or 'unknown').lower()}"
    else:
        return
    raise ConfigurationError([Mistake(complaint, str(path))])


def appear(path: Path, text: str) -> None:
    """Have a new file be at `path`; raises `FileExistsError` where something is, `OSError` where none can be."""
    with _beside(path, text, _ANYBODY) as whole:
        try:
            os.link(whole, path)
        except FileExistsError:
            raise
        except OSError:  # there are file systems without links
            write_new(path, text.encode(), _ANYBODY)


def change(path: Path, text: str) -> None:
    """Have a file that is there hold `text`, with the mode it has; raises `OSError` and leaves it as it was."""
    mode = stat.S_IMODE(path.stat().st_mode)
    with _beside(path, text, mode) as whole:
        whole.chmod(mode)
        whole.replace(path)


def write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file where there is none; raises `FileExistsError` where something is. What fails is gone again."""
    descriptor = os.open(path, _NEW, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def _beside(path: Path, text: str, mode: int) -> Iterator[Path]:
    """Write `text` into a file that is beside `path` for the length of the block."""
    with TemporaryDirectory(dir=path.parent, prefix=".wolkvox-") as folder:
        whole = Path(folder) / path.name
        write_new(whole, text.encode(), mode)
        yield whole
