"""Tokens in files: one by one, and in the folder of secrets that Docker, Kubernetes and systemd fill.

Kubernetes shows each secret as a link into `..data`, which is a link itself and is
exchanged as a whole. So a file is opened once and looked at through what was opened, and
one that is not there is looked for a second time: its folder may just have been exchanged.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from wolkvox_async.references import FileReference, SecretReference
from wolkvox_async.spelling import did_you_mean

from .found import LARGEST, Resolution, Unresolved, decoded, unresolved

# A pipe or a device in a secret's place must not be waited for.
_OPEN: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_LISTED: Final = 1000  # names of a folder that are compared with one that is not in it


def from_file(reference: FileReference | SecretReference, folder: Path, expose: Callable[[], None]) -> Resolution:
    """Return the token in a file that is relative to `folder`; `expose` is called when every user may read it."""
    written = reference.path if isinstance(reference, FileReference) else reference.name
    try:
        content, mode = _read(folder / written)
    except FileNotFoundError:
        return _missing(reference, folder)
    except PermissionError:
        return unresolved(reference, "may not be read: permission denied")
    except (OSError, ValueError) as error:
        return unresolved(reference, f"cannot be read: {reason(error)}")
    if content is None:
        return unresolved(reference, "is no regular file")
    if mode & stat.S_IROTH:
        expose()
    return decoded(reference, content)


def reason(error: OSError | ValueError) -> str:
    """Say what the system said; what an error holds beside is not shown."""
    return error.strerror or "no reason given" if isinstance(error, OSError) else "its name cannot be one"


def _read(path: Path) -> tuple[bytes | None, int]:
    """Return a file's content, up to one byte more than allowed, and its mode; no content when it is no file."""
    try:
        descriptor = os.open(path, _OPEN)
    except FileNotFoundError:
        descriptor = os.open(path, _OPEN)
    try:
        mode = os.fstat(descriptor).st_mode
        return (os.read(descriptor, LARGEST + 1) if stat.S_ISREG(mode) else None), mode
    finally:
        os.close(descriptor)


def _missing(reference: FileReference | SecretReference, folder: Path) -> Unresolved:
    if isinstance(reference, SecretReference) and not folder.is_dir():
        where = 'name it by --secrets-dir, or by "secrets_dir" in "defaults"'
        return unresolved(reference, f"is not there, because there is no folder {folder}: {where}")
    hint = ""
    if isinstance(reference, SecretReference):
        path = folder / reference.name
        hint = did_you_mean(path.name, _names(path.parent))
    return unresolved(reference, f"does not exist (looked for in {folder}){hint}")


def _names(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as found:
            for _, entry in zip(range(_LISTED), found, strict=False):
                if not entry.name.startswith("."):
                    yield entry.name
    except OSError:
        return
