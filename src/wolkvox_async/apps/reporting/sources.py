"""Where records come from: files, globs, standard input, packed or not. Read once, line by line.

- What is packed is known by its first bytes. A file that is still being written, or was cut off, gives what
  there is of it; that it ends in the middle is said.
- Files are read in the order of their first record, whatever they are called.
- A manifest beside a file says what must be in it: some that are cut off cannot be told otherwise.
"""

from __future__ import annotations

import glob
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from wolkvox_async.adapters.jsonlines.compression import BrokenError
from wolkvox_async.adapters.jsonlines.counts import Counts
from wolkvox_async.adapters.jsonlines.manifest import MANIFEST
from wolkvox_async.adapters.jsonlines.rotation import PART
from wolkvox_async.errors import ConfigurationError, Mistake
from wolkvox_async.spelling import shown

try:
    from compression import zstd  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    from backports import zstd

STANDARD_INPUT: Final = "-"

_PIECE: Final = 1 << 20
_LONGEST: Final = 64 << 20
_PACKED: Final = b"\x28\xb5\x2f\xfd"
_TOO_LONG: Final = "this is no file of records: 64 MiB of it are one line"


class Oddity(StrEnum):
    """Why what was read of a source may not be all there is."""

    STRANGE = "strange"
    TORN = "torn"
    CUT = "cut"
    DIFFERS = "differs"
    NEWER = "newer"


@dataclass(slots=True)
class Source:
    """A file of records, or standard input (without a path), and what was odd about it.

    `strange` lines are no records, the first of them is line `first_strange`; the last line is `unended`, and where it
    is no record either, `torn`; `cut`: what is packed ends in the middle; `differs`: its manifest says that it holds
    something else; `newer`: a later version wrote it, whose words may not be known here.
    """

    name: str
    path: Path | None
    lines: int = 0
    unended: bool = False
    strange: int = 0
    first_strange: int = 0
    torn: bool = False
    cut: bool = False
    differs: bool = False
    newer: bool = False
    counts: Counts | None = field(default=None, repr=False)

    @property
    def oddities(self) -> list[Oddity]:
        """Why what was read may not be all there is; a file that is still being written may end anywhere."""
        found = {
            Oddity.STRANGE: self.strange > 0,
            Oddity.TORN: self.torn,
            Oddity.CUT: self.cut and not self.is_growing,
            Oddity.DIFFERS: self.differs,
            Oddity.NEWER: self.newer,
        }
        return [oddity for oddity, holds in found.items() if holds]

    @property
    def is_odd(self) -> bool:
        """Whether what was read may not be all there is."""
        return bool(self.oddities)

    @property
    def is_growing(self) -> bool:
        """Whether it is a file that is still being written."""
        return self.name.endswith(PART)

    def passages(self) -> Iterator[list[bytes]]:
        """Yield its lines without their ends, many at a time; the last line may have had no end, and is alone.

        Raises `ConfigurationError` where it cannot be read or unpacked, or is no text in lines.
        """
        try:
            with self._opened() as file:
                yield from self._lines(self._unpacked(_pieces(file)))
        except OSError as error:
            raise self._refusal(f"this cannot be read: {(error.strerror or 'unknown').lower()}") from error
        except BrokenError as error:
            raise self._refusal("this cannot be unpacked: it is damaged, or no zstd") from error
        except _TooLongError as error:
            raise self._refusal(_TOO_LONG) from error

    def _opened(self) -> BinaryIO:
        return sys.stdin.buffer if self.path is None else self.path.open("rb")

    def _refusal(self, what: str) -> ConfigurationError:
        return ConfigurationError([Mistake(what, self.name)])

    def _unpacked(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        first = next(pieces, b"")
        while 0 < len(first) < len(_PACKED) and (more := next(pieces, b"")):
            first += more
        if not first.startswith(_PACKED):
            yield first
            yield from pieces
            return
        decoder = zstd.ZstdDecompressor()
        for piece in chain((first,), pieces):
            packed = piece
            while packed or not decoder.needs_input:
                if decoder.eof:
                    decoder = zstd.ZstdDecompressor()
                yield decoder.decompress(packed, _PIECE)
                packed = decoder.unused_data if decoder.eof else b""
                if decoder.eof and not packed:
                    break
        self.cut = not decoder.eof

    def _lines(self, pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
        rest = b""
        for piece in pieces:
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()
            if len(rest) > _LONGEST:
                raise _TooLongError
            if lines:
                yield lines
        self.unended = bool(rest)
        if rest:
            yield [rest]

    def place(self) -> tuple[bool, str]:
        """Return what sources are ordered by: standard input and pipes, which can be read only once, come last."""
        is_file = self.path is not None and self.path.is_file()
        return not is_file, self.first_moment() if is_file else ""

    def first_moment(self) -> str:
        """Return when a file's first record is of, as text that sorts."""
        head = Source(self.name, self.path)
        try:
            line = next((line for lines in head.passages() for line in lines if line), b"{}")
            record = orjson.loads(line)
            return str(record.get("at") or record.get("slot") or "")
        except (ConfigurationError, ValueError, AttributeError):
            return ""

    def read_manifest(self) -> dict[str, Any] | None:
        """Return what stands beside it, if anything readable does."""
        if self.path is None:
            return None
        try:
            found = orjson.loads(self.path.with_name(self.path.name + MANIFEST).read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None


class _TooLongError(Exception):
    """A line is longer than any record."""


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    read = getattr(file, "read1", file.read)  # a pipe gives what there is
    while piece := read(_PIECE):
        yield piece


def find(patterns: Iterable[str]) -> tuple[list[Source], list[Mistake]]:
    """Return the files that are meant, each once, in the order of their first records; and what is wrong."""
    mistakes: list[Mistake] = []
    found: dict[object, Source] = {}
    for pattern in patterns:
        for name in _expanded(pattern, mistakes):
            if (identity := _identity(name, mistakes)) is not None:
                found.setdefault(identity, Source(_spoken(name), None if name == STANDARD_INPUT else Path(name)))
    return sorted(found.values(), key=Source.place), mistakes


def _spoken(name: str) -> str:
    return "standard input" if name == STANDARD_INPUT else name


def _expanded(pattern: str, mistakes: list[Mistake]) -> list[str]:
    if pattern == STANDARD_INPUT or not glob.has_magic(pattern) or os.path.lexists(pattern):
        return [pattern]
    names = [name for name in glob.glob(pattern, recursive=True) if not name.endswith(MANIFEST)]  # noqa: PTH207 - as a shell
    files = sorted(name for name in names if not Path(name).is_dir())
    if not files:
        mistakes.append(Mistake(f"no file matches {shown(pattern)}"))
    return files


def _identity(name: str, mistakes: list[Mistake]) -> object | None:
    """Return what tells the file from others; None, with a mistake, where it cannot be read."""
    if name == STANDARD_INPUT:
        return name
    try:
        status = os.stat(name)  # noqa: PTH116 - a Path refuses less of what a user may type
        if stat.S_ISDIR(status.st_mode):
            mistakes.append(
                Mistake("this is a folder: name its files, or a pattern in quotes such as 'demo/*.jsonl'", name)
            )
            return None
        if not os.access(name, os.R_OK):
            mistakes.append(Mistake("the file may not be read (permission denied)", name))
            return None
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        mistakes.append(Mistake("there is no such file" if missing else "this cannot be read", name))
        return None
    return status.st_dev, status.st_ino
