"""Environments that a wheel is tried in: made by uv, of the pins, or of the lowest versions.

Those that tests run in are kept (`.venv-release-*`), as they take a while; the wheel is put
into them anew each time. The others are empty, and gone afterwards.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from .bill import ROOT

PINS: Final = ROOT / "constraints.txt"
UV: Final = str(Path(sys.prefix) / "bin" / "uv")
_OWN: Final = ("WOLKVOX_", "PYTHON", "XDG_", "VIRTUAL_ENV")


class Failed(Exception):  # noqa: N818 - it is how a part went
    """A command failed; it has said why."""


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter of this machine: `minor` is such as 3.12."""

    minor: str
    path: str


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment, which is there."""

    path: Path

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.path / "bin" / "python")

    def variables(self, **more: str) -> dict[str, str]:
        """Return the variables for programs in it, without those that are somebody's own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}
        search = os.pathsep.join([str(self.path / "bin"), *os.get_exec_path()])
        return {**kept, "VIRTUAL_ENV": str(self.path), "PATH": search, **more}

    def install(self, *arguments: str) -> None:
        """Install with uv."""
        # Compiled once here, not by each of the processes that the tests start.
        options = ["--quiet", "--compile-bytecode", "--python", self.python]
        call([UV, "pip", "install", *options, *arguments])


def call(command: Sequence[str], folder: Path = ROOT, variables: Mapping[str, str] | None = None) -> None:
    """Run a command; raises `Failed` when it did not end well."""
    if subprocess.run(command, cwd=folder, env=variables, check=False).returncode:
        raise Failed(f"{Path(command[0]).name} failed (see above)")


def said(command: Sequence[str], folder: Path = ROOT, variables: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it wrote to standard output; raises `Failed` when it did not end well."""
    ran = subprocess.run(command, cwd=folder, env=variables, stdout=subprocess.PIPE, text=True, check=False)
    if ran.returncode:
        raise Failed(f"{Path(command[0]).name} failed (see above)")
    return ran.stdout


def say(text: str) -> None:
    """Say something, in its place among what the programs say."""
    print(text, flush=True)


@contextmanager
def empty(python: Python, *, has_pip: bool = False) -> Iterator[Environment]:
    """Have an environment with nothing in it (but pip) while the block lasts."""
    with TemporaryDirectory(prefix="release-") as folder:
        environment = Environment(Path(folder) / "venv")
        make = [python.path, "-m", "venv"] if has_pip else [UV, "venv", "--quiet", "--python", python.path]
        call([*make, str(environment.path)])
        yield environment


def of_pins(python: Python) -> Environment:
    """Have the environment in which the tests run, with all that is pinned and without the project."""
    return _kept(f".venv-release-{python.minor}", python, PINS.read_text(), ["--require-hashes"])


def of_floors(python: Python) -> Environment:
    """Have the same with the lowest versions that the project says it takes."""
    return _kept(".venv-release-floors", python, floors(python), [])


def _kept(name: str, python: Python, pins: str, options: Sequence[str]) -> Environment:
    environment = Environment(ROOT / name)
    stamp, made_from = environment.path / "made-from", hashlib.sha256(f"{python} {pins}".encode()).hexdigest()
    if not (stamp.is_file() and stamp.read_text() == made_from):
        call([UV, "venv", "--quiet", "--clear", "--python", python.path, str(environment.path)])
        listed = environment.path / "pins.txt"
        listed.write_text(pins)
        environment.install("--no-deps", *options, "-r", str(listed))
        stamp.write_text(made_from)
    return environment


def floors(python: Python) -> str:
    """Return pins with the lowest versions of what the project asks for itself, and the rest near the pins."""
    compiling = [UV, "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python-version", python.minor]
    compiling += ["--python", python.path, "--all-extras", "pyproject.toml"]
    with TemporaryDirectory(prefix="release-") as folder:
        lowest, pins = Path(folder) / "lowest.txt", Path(folder) / "pins.txt"
        lowest.write_text(said([*compiling, "--resolution", "lowest-direct"]))
        # What a file of that name holds already is what uv prefers.
        pins.write_text(without_hashes(PINS.read_text()))
        said([*compiling, "--group", "dev", "--constraint", str(lowest), "--output-file", str(pins)])
        return pins.read_text()


def without_hashes(pins: str) -> str:
    """Return pins as plain constraints."""
    return re.sub(r" *\\\n +--hash=\S+", "", pins)
