"""A period's file while it is written: `NAME.part`, until it is finished and called `NAME`.

Whoever writes it has its lock, from before the first byte until it has its name. It is
taken up where it was left, also by another process; what is in its manifest is counted
as it is written, and anew when it is taken up.

Finishing ends the last frame, has the disk take the file, puts the manifest beside it, and renames it:
whoever sees the name finds the whole file and its manifest. A process that is
killed on the way leaves a `.part`, which is finished again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from wolkvox_async.errors import ConfigurationError, Mistake, OutputError

from .compression import Packer, frames
from .counts import Counts, mark_lines, pieces
from .manifest import Manifest, write_manifest
from .opening import CREATED_MODE, folder_to_disk, is_regular, lock, opening, opening_error
from .outlets import RegularFile, output_error, to_disk
from .places import Place, reading
from .recovery import recovered_packed, recovered_plain
from .rotation import Period, Template

_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW
_NO_FILE: Final = "this is no regular file: move it away, or name another output"


@dataclass(frozen=True, slots=True)
class Standing:
    """What stood in a part when it was taken up: its first `end` bytes."""

    place: Place
    end: int
    packed: bool

    def mark_lines(self) -> Iterator[bytes]:
        """Yield its `call` and `gap` records, as lines without their ends; raises `OutputError`."""
        try:
            with reading(self.place) as descriptor:
                if self.packed:
                    yield from mark_lines(text for text, _ in frames(descriptor, self.end))
                else:
                    yield from mark_lines(pieces(descriptor, self.end))
        except OSError as error:
            raise output_error(error, str(self.place.path)) from error


def open_part(template: Template, period: Period, *, durable: bool) -> Part:
    """Lock the file of `period`, made if need be, and cut it to what a killed writer completed.

    Raises as `named_output` does, and leaves a file that it refuses untouched.
    """
    path = template.part(period)
    try:
        _make_folder(Path(path).parent, durable=durable)
        descriptor = os.open(path, _FLAGS | os.O_CREAT, CREATED_MODE)
    except OSError as error:
        raise opening_error(error, path) from error
    with opening(descriptor, path):
        if not is_regular(descriptor):
            raise ConfigurationError([Mistake(_NO_FILE, path)])
        lock(descriptor, path)
        part = Part(descriptor, path, template, period, durable=durable)
        part.take_up()
        return part


class Part:
    """The file of a period, locked; lines go in wholly or not at all."""

    __slots__ = (
        "_counts",
        "_descriptor",
        "_durable",
        "_file",
        "_packer",
        "_place",
        "_sha256",
        "_size",
        "_sound",
        "_template",
        "period",
    )

    def __init__(self, descriptor: int, path: str, template: Template, period: Period, *, durable: bool) -> None:
        self.period = period
        self._template = template
        self._durable = durable
        self._descriptor = descriptor
        self._place = Place.of(path, descriptor)
        self._file = RegularFile(descriptor, path, durable=durable, place=self._place)
        self._packer = Packer() if template.packed else None
        # What there is, told again by the manifest.
        self._counts = Counts()
        self._sha256 = hashlib.sha256()
        self._size = 0
        # False from where an attempt to write began until it succeeded.
        self._sound = True

    @property
    def standing(self) -> Standing:
        """What stands in it by now."""
        return Standing(self._place, self._size, self._template.packed)

    def take_up(self) -> None:
        """Cut what is not complete, count what is, and go on behind it; raises as opening does."""
        recover = recovered_packed if self._template.packed else recovered_plain
        with reading(self._place) as reader:
            size = os.fstat(reader).st_size
            found = recover(reader, size, self._file.name)
            if found.end < size:
                os.ftruncate(self._descriptor, found.end)
            self._sha256 = hashlib.sha256()
            for piece in pieces(reader, found.end):
                self._sha256.update(piece)
        self._packer = Packer() if self._template.packed else None
        self._counts, self._size = found.counts, found.end
        self._append(found.ending)
        if found.saved:
            self._put(found.saved)
        if self._durable:
            to_disk(self._descriptor, self._file.name)
            folder_to_disk(self._place.path)

    def write(self, lines: bytes) -> None:
        """Append whole lines of whole calls; raises `OutputError`."""
        self._notice_changes()
        self._put(lines)

    def end(self) -> None:
        """Have no frame open; raises `OutputError`."""
        if self._packer is not None:
            self._append(self._packer.end())

    def finish(self) -> None:
        """Give it its manifest and its name, and close it, whatever happens; one without anything in it is removed.

        Raises `OutputError`.
        """
        try:
            self._notice_changes()
            self.end()
            with said_as_output(self._file.name), reading(self._place):  # it is still there, and still this one
                self._name()
                if self._durable:
                    folder_to_disk(self._place.path)
        finally:
            self._file.close()

    def close(self) -> None:
        """End the frame where that can be done (it can be later, too), and close; it stays a part."""
        if self._sound:
            with suppress(OutputError):
                self.end()
        self._file.close()

    def _put(self, lines: bytes) -> None:
        self._append(lines if self._packer is None else self._packer.pack(lines))
        self._counts.add(lines)

    def _append(self, content: bytes) -> None:
        if not content:
            return
        self._sound = False
        self._file.write(content)
        self._sha256.update(content)
        self._size += len(content)
        self._sound = True

    def _notice_changes(self) -> None:
        """Take the file up anew when somebody has cut it: a frame does not go on behind what is missing."""
        with said_as_output(self._file.name):
            if os.fstat(self._descriptor).st_size != self._size:
                self.take_up()

    def _name(self) -> None:
        if not self._size:
            self._place.path.unlink()
            return
        to_disk(self._descriptor, self._file.name)
        path = self._free_path()
        manifest = Manifest(path.name, self.period, self._counts, self._size, self._sha256.hexdigest())
        write_manifest(manifest, path.parent)
        self._place.path.rename(path)

    def _free_path(self) -> Path:
        names = (Path(self._template.name(self.period, copy)).name for copy in count(1))
        paths = map(self._place.path.with_name, names)
        return next(path for path in paths if not (path.exists() or path.is_symlink()))


@contextmanager
def said_as_output(name: str) -> Iterator[None]:
    """Raise as `OutputError` whatever goes wrong in the block: calling has begun, so it is not the input's fault."""
    try:
        yield
    except ConfigurationError as error:
        raise OutputError(str(error)) from error
    except OSError as error:
        raise output_error(error, name) from error


def _make_folder(folder: Path, *, durable: bool) -> None:
    """Make `folder` and those that it is in, as far as they are missing; raises `OSError`."""
    missing = [part for part in (folder, *folder.parents) if not part.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    if durable:
        for made in missing:
            folder_to_disk(made.resolve())
