"""Users and passwords of a broker: made once, kept in files that only their owner can read.

A file holds one line, `USER:PASSWORD`. That is what `--join-credentials file:PATH` reads on
the machines that join, so such a file is copied, and never typed. A password is no argument and
is not printed; the configuration that `nats-server` reads holds it, in a file of the same mode.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

_USER: Final = "wolkvox"
_STRENGTH: Final = 32  # random bytes
_LONGEST: Final = 512
_SHORTEST: Final = 16
_MODE: Final = 0o600
_OTHERS: Final = 0o077
_FORM: Final = (
    f"it has to hold one line, USER:PASSWORD, with a password of at least {_SHORTEST} visible ASCII characters, "
    f"{_LONGEST} in all"
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and his password, which shows itself nowhere."""

    user: str
    password: str = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        """Return the user with a new password."""
        return cls(_USER, secrets.token_urlsafe(_STRENGTH))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read `USER:PASSWORD`, with at most one newline behind it; None when it is something else."""
        line = text.removesuffix("\n").removesuffix("\r")
        user, _, password = line.partition(":")
        is_visible = line.isascii() and line.isprintable() and " " not in line
        if not user or not is_visible or len(password) < _SHORTEST or len(line) > _LONGEST:
            return None
        return cls(user, password)

    def line(self) -> str:
        """Return what a file holds: this is where the password is written."""
        return f"{self.user}:{self.password}\n"


def read_credentials(path: Path) -> Credentials | None:
    """Return what the file `path` holds; None when there is none.

    Raises `ValueError` that says what is wrong with it, and `OSError`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(descriptor).st_mode & _OTHERS:
            raise ValueError(f"{path}: others can read this file: chmod 600 it")
        found = Credentials.parse(file.read(_LONGEST + 3).decode("ascii", "replace"))
    if found is None:
        raise ValueError(f"{path}: {_FORM}")
    return found


def write_private(path: Path, text: str) -> None:
    """Write `text` to the file `path` for its owner alone, whole or not at all; raises `OSError`."""
    part = path.with_name(f"{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        os.fchmod(descriptor, _MODE)  # a file that was there before may have had another
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)  # a password that others have is not to be forgotten by a power cut
    finally:
        os.close(folder)
