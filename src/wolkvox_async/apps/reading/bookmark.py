"""Up to where a file of records was read: a small file beside it, `FILE.bookmark`.

Lines go into the file first, then the bookmark is replaced, whole or not at all. So whatever
kills the reader, and at whatever byte, the bookmark tells of no more than the file has; what stands
in the file behind it was written by a reader that could not tell of it any more, and is the beginning
of what comes next in the stream. The next reader compares, and writes what is missing of it
(`remainder`). It needs no line to be cut, and no line is read twice by `tail -f`.

The digest of the last message tells whether a stream is the one that was read: another one, or one
that forgot its last messages, numbers other messages alike.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

import orjson

from wolkvox_async.errors import ConfigurationError, Mistake, OutputError
from wolkvox_async.ports import Message

_SCHEMA: Final = 1
_MODE: Final = 0o644
_LARGEST: Final = 4_096


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A file's first `size` bytes are all lines up to the message `sequence`, whose payload has this digest.

    `digest` is empty where nobody has seen that message: at the beginning, and where a person said where to begin.
    """

    sequence: int
    size: int
    digest: str = ""

    @classmethod
    def behind(cls, message: Message, size: int) -> Self:
        """Return the one behind `message`."""
        return cls(message.sequence, size, digest_of(message))

    @classmethod
    def decode(cls, text: bytes) -> Self | None:
        """Read one; None when it is none."""
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError:
            return None
        match found:
            case {"schema": 1, "sequence": int(sequence), "size": int(size), "digest": str(digest)}:
                return cls(sequence, size, digest) if sequence >= 0 and size >= 0 else None
        return None

    def encode(self) -> bytes:
        """Write it."""
        fields = {"schema": _SCHEMA, "sequence": self.sequence, "size": self.size, "digest": self.digest}
        return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


def digest_of(message: Message) -> str:
    """Return what tells a message from another of the same sequence."""
    return sha256(message.payload).hexdigest()[:32]


def path_of(output: Path) -> Path:
    """Return where the bookmark of a file is."""
    return output.with_name(f"{output.name}.bookmark")


def read_bookmark(output: Path) -> Bookmark | None:
    """Return the bookmark of a file, if it has one; raises `ConfigurationError` when it cannot be read."""
    path = path_of(output)
    try:
        with path.open("rb") as file:
            found = Bookmark.decode(file.read(_LARGEST))
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = (error.strerror or "unknown").lower()
        raise ConfigurationError([Mistake(f"this bookmark cannot be read: {reason}", str(path))]) from error
    if found is None:
        complaint = "this is no bookmark: remove it, and read into another file (or say --from)"
        raise ConfigurationError([Mistake(complaint, str(path))])
    return found


def write_bookmark(output: Path, bookmark: Bookmark, *, durable: bool) -> None:
    """Replace the bookmark of a file; `durable`: it survives a power cut. Raises `OutputError`."""
    path = path_of(output)
    part = path.with_name(f"{path.name}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(bookmark.encode())
            if durable:
                file.flush()
                os.fsync(descriptor)
        part.replace(path)
        if durable:
            _folder_to_disk(path.parent)
    except OSError as error:
        raise OutputError(f"{path}: {(error.strerror or 'unknown').lower()}") from error


def _folder_to_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
