"""A broker's folder: its passwords, its configuration, its files, and the lock that keeps a second one out.

`nats-server` itself does not notice another one in the same files, and both would ruin
them. The lock is an open file that the server inherits: the kernel gives it back when that
process is gone, however it ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from wolkvox_async.errors import ConfigurationError, StateError

from .credentials import Credentials, read_credentials, write_private

_MODE: Final = 0o700
_NAME: Final = "wolkvox-async-broker"


class Folder:
    """Paths in a broker's folder, and what is done there; raises `StateError` when the folder cannot be used."""

    __slots__ = ("_lock", "root")

    def __init__(self, root: Path) -> None:
        self.root: Final = root.absolute()
        self._lock: int | None = None

    @property
    def credentials(self) -> Path:
        """What those show who join."""
        return self.root / "credentials"

    @property
    def routes(self) -> Path:
        """What the nodes of a cluster show each other."""
        return self.root / "routes"

    @property
    def config(self) -> Path:
        """What `nats-server` reads."""
        return self.root / "nats-server.conf"

    def enter(self) -> None:
        """Make the folder if need be and have it for ourselves; raises `ConfigurationError` when another has it."""
        with usable(self.root):
            self.root.parent.mkdir(parents=True, exist_ok=True)
            self.root.mkdir(mode=_MODE, exist_ok=True)
            self._lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.leave()
                raise ConfigurationError(
                    f"--data {str(self.root)!r}: a broker runs in this folder already: end that one, or name another"
                ) from None

    def leave(self) -> None:
        """Let another in."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def hand_over(self) -> None:
        """Have the lock outlive us, in the program that takes our place."""
        if self._lock is not None:
            os.set_inheritable(self._lock, True)

    def secret(self, path: Path, *, may_make: bool) -> Credentials | None:
        """Return what `path` holds, new credentials where there are none and it `may_make` them, else None.

        Raises `ConfigurationError` for a file that will not do.
        """
        with usable(path):
            try:
                found = read_credentials(path)
            except ValueError as error:
                complaint = str(error)
            else:
                if found is None and may_make:
                    found = Credentials.new()
                    write_private(path, found.line())
                return found
        raise ConfigurationError(complaint)

    def write_config(self, text: str) -> None:
        """Write the configuration, and remove what earlier servers said of their ports."""
        with usable(self.root):
            for stale in self.root.glob("*.ports"):
                stale.unlink(missing_ok=True)
            write_private(self.config, text)

    def stored(self) -> int:
        """Return how many bytes the server's files have at present."""
        sizes = 0
        for parent, _, names in os.walk(self.root / "jetstream"):
            for name in names:
                with usable(self.root):
                    sizes += os.lstat(Path(parent, name)).st_size
        return sizes


def default_folder(state: Path) -> Path:
    """Return the broker's folder of the user whose state folder is `state`."""
    return state.with_name(_NAME)


@contextmanager
def usable(path: Path) -> Iterator[None]:
    """Turn what the system says of `path` into `StateError`."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        advice = "free space, then start again" if error.errno == errno.ENOSPC else "name another one with --data"
        complaint = f"the broker's folder cannot be used: {path}: {reason}: {advice}"
    else:
        return
    raise StateError(complaint)
