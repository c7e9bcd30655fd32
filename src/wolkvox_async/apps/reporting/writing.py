"""Files for people: whole or not at all, and never in place of something else.

What is written goes to a name beside the file and takes its place at the end. A file is only replaced by
its like: a mistyped name must not cost the records that the report is made of.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from wolkvox_async.errors import Mistake, OutputClosedError, OutputError

STANDARD_OUTPUT: Final = "-"

_HEAD: Final = 64
# Where an environment names the output of `fetch` and `watch`, ours is not meant.
_OF_RECORDS: Final = (".jsonl", ".zst", ".part")


def complaint(target: str, option: str, begins: bytes, inputs: Iterable[Path | None]) -> Mistake | None:
    """Say why `target` is no place for a file that `begins` like that; None where it is one."""
    if not target or "\0" in target:
        return Mistake(f"{option}: this is no name of a file")
    if target.endswith(_OF_RECORDS) or "{" in target:
        return Mistake(f"{option}: this is a name for records: name another file", target)
    try:
        wrong = None if target == STANDARD_OUTPUT else _unfit(Path(target), begins, inputs)
    except OSError:
        return None  # whoever writes to it will say
    return None if wrong is None else Mistake(f"{option}: {wrong}", target)


def _unfit(path: Path, begins: bytes, inputs: Iterable[Path | None]) -> str | None:
    if not path.exists():
        return None
    if path.is_dir():
        return "this is a folder: name a file in it"
    if any(one is not None and path.samefile(one) for one in inputs):
        return "this is what is read, which the report would destroy: name another file"
    return "there is another kind of file here already: name another one" if not _is_like(path, begins) else None


def _is_like(path: Path, beginning: bytes) -> bool:
    if not path.is_file():
        return True
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return not head or head.startswith(beginning)


def look_for_room(targets: Iterable[str]) -> None:
    """Raise `OutputError` where it is plain, before anything is read, that a target cannot be written."""
    for target in targets:
        with _speaking(target):
            if target != STANDARD_OUTPUT and not Path(target).exists():
                _look_into(target, Path(target).resolve().parent)


def _look_into(target: str, folder: Path) -> None:
    if not folder.is_dir():
        raise OutputError(f"{target}: this cannot be written: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{target}: this cannot be written: permission denied")


def write_all(outputs: Iterable[tuple[str, Iterable[str]]]) -> None:
    """Write texts in pieces to their targets, all of them or none; raises `OutputError`."""
    with _together() as renames:
        for target, pieces in outputs:
            with _speaking(target):
                if target == STANDARD_OUTPUT:
                    _to_stream(pieces)
                elif _is_special(target):
                    _fill(Path(target), pieces, os.O_WRONLY)
                else:
                    _beside(Path(target).resolve(), pieces, renames)
        for unfinished, path in renames:
            with _speaking(str(path)):
                unfinished.replace(path)


@contextmanager
def _together() -> Iterator[list[tuple[Path, Path]]]:
    renames: list[tuple[Path, Path]] = []
    try:
        yield renames
    finally:
        for unfinished, _ in renames:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)


@contextmanager
def _speaking(target: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise OutputClosedError(f"{target}: its reader went away") from error
    except OSError as error:
        raise OutputError(f"{target}: this cannot be written: {(error.strerror or 'unknown').lower()}") from error


def _is_special(target: str) -> bool:
    """Say whether it is something that must not be replaced: a device, a pipe."""
    try:
        return not stat.S_ISREG(Path(target).stat().st_mode)
    except FileNotFoundError:
        return False


def _beside(path: Path, pieces: Iterable[str], renames: list[tuple[Path, Path]]) -> None:
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    renames.append((unfinished, path))
    _fill(unfinished, pieces, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)


def _fill(path: Path, pieces: Iterable[str], flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o666)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        file.writelines(pieces)


def _to_stream(pieces: Iterable[str]) -> None:
    if sys.__stdout__ is None:
        raise OutputError("standard output is closed: name a file with --output")
    stream = sys.stdout.buffer
    for piece in pieces:
        stream.write(piece.encode())
    stream.flush()
