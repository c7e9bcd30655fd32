"""The tenants file as a document: from a path to parsed JSON, or to the reason why not.

Only a regular file of at most 64 MiB is read: a pipe could block for ever and a device
never end. JSON is read strictly (UTF-8, no NaN), a byte order mark is tolerated, and a
key that stands twice in one object is a mistake, because one of the two would silently
be lost.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any, Final, NoReturn

import orjson

from wolkvox_async.errors import ConfigurationError, Mistake
from wolkvox_async.spelling import is_a_token_by_looks, shown

from .places import Path, Places, place_of
from .syntax import explain_syntax

MAX_BYTES: Final = 64 * 1024 * 1024
"""The largest tenants file that is read; 100,000 operations take about 20 MiB."""

_BOM: Final = b"\xef\xbb\xbf"
_TOO_DEEP: Final = "the file is nested too deeply for a tenants file"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_OTHERS_READ: Final = stat.S_IRGRP | stat.S_IROTH
# The end of a file that has no more to give must not be waited for.
_OPEN: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Source:
    """Where a document came from; all of it says nothing when it came from no file.

    `file` is the path as the user wrote it, `exposed` tells that users other than its
    owner may read it.
    """

    file: str | None = None
    places: Places | None = field(default=None, repr=False)
    exposed: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """Parsed JSON; `doubled` holds the paths of keys that stand twice in their object."""

    value: Any = field(repr=False)
    source: Source = Source()
    doubled: tuple[Path, ...] = ()


class _RefusedError(Exception):
    """The file is not read any further; `mistake` says why."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__()
        self.mistake = mistake


def read_document(path: str) -> Document:
    """Read and parse the file at `path`.

    Raises `ConfigurationError` with one mistake when it cannot be read or is no JSON.
    """
    try:
        return _load(path)
    except _RefusedError as refused:
        mistake = refused.mistake
    if is_a_token_by_looks(path):  # somebody wrote it in the place of the file's name
        mistake = replace(mistake, file=shown(path))
    # Raised out here, so that no frame and no chained exception holds what the file holds.
    raise ConfigurationError([mistake])


def _load(path: str) -> Document:
    content, mode = _read(path)
    if content.startswith(_UTF16):
        _refuse(path, "the file is UTF-16: save it as UTF-8")
    text = content.removeprefix(_BOM)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _RefusedError(_syntax_mistake(path, text)) from None
    source = Source(path, Places(text), exposed=bool(mode & _OTHERS_READ))
    return Document(value, source, _doubled_keys(path, text))


def _read(path: str) -> tuple[bytes, int]:
    try:
        _check_readable(path, FilePath(path).stat())
        descriptor = os.open(path, _OPEN)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            _check_readable(path, found)
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        _refuse(path, _why_unreadable(error))
    _check_size(path, len(content))
    return content, found.st_mode


def _check_readable(path: str, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        _refuse(path, "this is a folder, not a file")
    if not stat.S_ISREG(found.st_mode):
        _refuse(path, "this is no regular file: pipes and devices are not read")
    _check_size(path, found.st_size)


def _check_size(path: str, size: int) -> None:
    if size > MAX_BYTES:
        _refuse(path, f"the file has {size / 2**20:.0f} MiB: a tenants file has at most {MAX_BYTES // 2**20} MiB")


def _why_unreadable(error: OSError | ValueError) -> str:
    match error:
        case FileNotFoundError():
            return "there is no such file"
        case PermissionError():
            return "the file may not be read (permission denied)"
        case OSError(strerror=str(reason)):
            return f"the file cannot be read: {reason}"
        case _:
            return "this cannot be the name of a file"


def _refuse(path: str, message: str) -> NoReturn:
    raise _RefusedError(Mistake(message, path))


def _syntax_mistake(path: str, content: bytes) -> Mistake:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        text, offset = content[: error.start].decode(), error.start
        place = place_of(text, len(text))
        return Mistake(f"the file is not UTF-8: byte 0x{content[offset]:02x}", path, place.line, place.column)
    offset, message = explain_syntax(text)
    place = place_of(text, offset)
    return Mistake(message, path, place.line, place.column)


class _KeyTwiceError(Exception):
    """An object has a key twice."""


def _doubled_keys(path: str, content: bytes) -> tuple[Path, ...]:
    """Return the paths of keys that stand twice; costs one more parse, and no memory."""
    text = content.decode()
    try:
        _parse_pairs(text, _refuse_doubles)
    except _KeyTwiceError:
        return _find_doubles(path, text)
    except RecursionError:
        _refuse(path, _TOO_DEEP)
    return ()


def _find_doubles(path: str, text: str) -> tuple[Path, ...]:
    try:
        return tuple(_doubles_in(_parse_pairs(text, _Pairs), ()))
    except RecursionError:
        _refuse(path, _TOO_DEEP)


def _parse_pairs(text: str, hook: Any) -> Any:
    # Numbers are left out: their length has a limit in the parser, and nobody looks at them.
    return json.loads(text, object_pairs_hook=hook, parse_int=_nothing, parse_float=_nothing)


def _nothing(_: str) -> None:
    return None


def _refuse_doubles(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) > 1 and len({key for key, _ in pairs}) < len(pairs):
        raise _KeyTwiceError


class _Pairs(list[tuple[str, Any]]):
    """An object's keys and values as they stand, so that it differs from a list."""


def _doubles_in(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, inner in value:
            if key in seen:
                yield (*path, key)
            seen.add(key)
            yield from _doubles_in(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _doubles_in(inner, (*path, number))
