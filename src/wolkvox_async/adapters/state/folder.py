"""The state folder: what is in it, where it is by default, and who is in it at present.

`lock` has two bytes that count: whoever opens the folder has the *gate* for itself while
it does, and everybody inside shares *inside*. So who opens can tell whether it is alone,
and only then mends, migrates or moves anything.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from wolkvox_async.errors import StateError

from .locks import HAS_OPEN_FILE_LOCKS, SPREAD, set_lock

_NAME: Final = "wolkvox-async"
_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_GATE: Final = 0
_INSIDE: Final = 1
_GATE_PATIENCE: Final = 30.0
_RECHECK: Final = 0.02

_ADVICE: Final[Mapping[int, str]] = MappingProxyType(
    {
        errno.EACCES: "permission denied: change its rights or name another folder with --state",
        errno.EPERM: "it may not be changed: change its attributes or name another folder with --state",
        errno.EROFS: "it is on a read-only file system: name another folder with --state",
        errno.ENOTDIR: "this is a file, or a part of the path is: name a folder with --state",
        errno.EEXIST: "this is a file: name a folder with --state",
        errno.ENOSPC: "the disk is full: free space, then run again",
        errno.EDQUOT: "the disk quota is used up: free space or have it raised, then run again",
        errno.EFBIG: "its files may not grow any more (ulimit -f): raise the limit, then run again",
        errno.EIO: "the device reports an input/output error: check the disk, then run again",
        errno.EMFILE: "this process may not open more files (ulimit -n): raise the limit, then run again",
        errno.ENFILE: "this machine may not open more files: close some, then run again",
        errno.ENOLCK: "files cannot be locked here: name a folder on a local disk with --state",
        errno.EOPNOTSUPP: "files cannot be locked here: name a folder on a local disk with --state",
        errno.EINVAL: "files cannot be locked or grown here: name a folder on a local disk with --state",
    }
)


def default_folder(environment: Mapping[str, str], platform: str) -> Path:
    """Return the user's folder for state; `platform` as `sys.platform` says it.

    Raises `StateError` when the environment names no home.
    """
    if platform != "darwin" and (base := environment.get("XDG_STATE_HOME", "")).startswith("/"):
        return Path(base) / _NAME
    home = environment.get("HOME", "")
    if not home.startswith("/"):
        raise StateError("there is no home to keep the state in (HOME is not set): name a folder with --state")
    return Path(home, *(("Library", "Application Support") if platform == "darwin" else (".local", "state")), _NAME)


def unusable(path: Path, error: OSError) -> StateError:
    """Say what is wrong with the folder or file at `path`, and what to do."""
    advice = _ADVICE.get(error.errno or 0, error.strerror or type(error).__name__)
    return StateError(f"the state folder cannot be used: {path}: {advice}")


class Folder:
    """Paths in a state folder."""

    __slots__ = ("root",)

    def __init__(self, root: Path) -> None:
        self.root: Final = root.absolute()

    @property
    def database(self) -> Path:
        """What is known of tokens, and runs."""
        return self.root / "state.db"

    @property
    def leases(self) -> Path:
        """Until when each token is closed."""
        return self.root / "leases"

    @property
    def lock(self) -> Path:
        """Who is in the folder."""
        return self.root / "lock"

    @property
    def run_locks(self) -> tuple[Path]:
        """Which runs are alive."""
        return (self.root / "locks.runs",)

    @property
    def token_locks(self) -> tuple[Path, ...]:
        """Which tokens are held."""
        return tuple(self.root / f"locks.{number}" for number in range(SPREAD))

    def make(self) -> None:
        """Make the folder if need be, for this user alone; raises `StateError`."""
        try:
            self.root.parent.mkdir(parents=True, exist_ok=True)
            self.root.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        except OSError as error:
            raise unusable(self.root, error) from error

    def set_aside(self, paths: tuple[Path, ...], stamp: str) -> Path:
        """Rename `paths`, where they are there, to names with `stamp`, and return the first; raises `OSError`."""
        for path in paths:
            if path.exists():
                path.rename(path.with_name(f"{path.name}.damaged-{stamp}"))
        return paths[0].with_name(f"{paths[0].name}.damaged-{stamp}")

    def copy_aside(self, path: Path, stamp: str) -> Path | None:
        """Keep a copy of `path` under a name with `stamp`; None when it is not there. Raises `OSError`."""
        copy = path.with_name(f"{path.name}.damaged-{stamp}")
        try:
            copy.touch(_FILE_MODE)
            shutil.copyfile(path, copy)
        except FileNotFoundError:
            copy.unlink()
            return None
        return copy

    def sync(self) -> None:
        """Have the folder's names survive a power cut; raises `OSError`."""
        descriptor = os.open(self.root, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Presence:
    """Our being in a folder, until `leave`."""

    __slots__ = ("_descriptor", "_folder", "alone")

    def __init__(self, folder: Folder) -> None:
        """Enter by the gate, which stays shut behind us until `settle_in`.

        Waits up to 30 s for others who are opening. Raises `StateError`.
        """
        self._folder: Final = folder
        folder.make()
        try:
            self._descriptor = os.open(folder.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        except OSError as error:
            raise unusable(folder.lock, error) from error
        try:
            self.alone = self._enter() if HAS_OPEN_FILE_LOCKS else self._enter_for_good()
        except BaseException:
            os.close(self._descriptor)
            raise

    def _enter(self) -> bool:
        pause, waited = threading.Event(), 0.0
        try:
            while not set_lock(self._descriptor, fcntl.F_WRLCK, _GATE):
                if waited >= _GATE_PATIENCE:
                    busy = f"another process has been opening it for {_GATE_PATIENCE:g} s: end or continue that one"
                    raise StateError(f"the state folder cannot be used: {self._folder.root}: {busy}")
                pause.wait(_RECHECK)
                waited += _RECHECK
            return set_lock(self._descriptor, fcntl.F_WRLCK, _INSIDE)
        except OSError as error:
            raise unusable(self._folder.lock, error) from error

    def _enter_for_good(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            busy = "another process uses it, and on this system only one at a time can: wait until it has ended"
            raise StateError(f"the state folder cannot be used: {self._folder.root}: {busy}") from None
        except OSError as error:
            raise unusable(self._folder.lock, error) from error
        return True

    def settle_in(self) -> None:
        """Let others in as well; raises `StateError`."""
        if not HAS_OPEN_FILE_LOCKS:
            return
        try:
            set_lock(self._descriptor, fcntl.F_RDLCK, _INSIDE)
            set_lock(self._descriptor, fcntl.F_UNLCK, _GATE)
        except OSError as error:
            raise unusable(self._folder.lock, error) from error

    def leave(self) -> None:
        """Be gone."""
        os.close(self._descriptor)
