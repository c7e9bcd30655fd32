"""What a killed writer leaves behind, and where to cut it off.

A call's rows are written before its `call` record, and a write may end at any byte. So
behind the last mark (a `run`, `call` or `gap` record) a killed writer leaves at most
whole rows of one call and then a line without its end; nobody was told that any of it
was delivered. That is what is cut, and only that: a file that no writer of ours can
have left like this is somebody else's, or was changed by somebody, and stays untouched.

The file is read backwards, in blocks, and of a long line only its head: memory is bounded
however long a line is and however many there are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Final, TypeAlias

import orjson

from wolkvox_async.errors import ConfigurationError, Mistake

_BLOCK: Final = 1 << 18

# Longer lines are known by their head alone: parsing takes up to five times their length in memory.
_PARSED: Final = 1 << 20
_HEAD_SIZE: Final = 1 << 12
_HEAD: Final = re.compile(
    rb'\{"type":"(?:run|row|call|gap)",(?:"schema":\d+,)?"run":"[^"\\]*"(?:,"call":"[^"\\]*")?(?=,)'
)
_BEGINNINGS: Final = (
    b'{"type":"run","schema":',
    b'{"type":"row","run":"',
    b'{"type":"call","run":"',
    b'{"type":"gap","run":"',
)

_STRANGE_END: Final = "its last line is no record of this program, so nothing is appended: name another file"
_STRANGE_START: Final = "this is no file of records, so nothing is appended: name another file"
_STRANGE_ROWS: Final = (
    "it ends with rows that have no `call` record, behind a line that is no record: name another file, or repair it"
)
_MANY_CALLS: Final = (
    "it ends with rows of more than one call without their `call` records, which no interrupted run leaves: "
    "name another file, or restore what is missing"
)
_ROWS_ONLY: Final = "it holds rows and no other records, as a filtered copy does: name another file"


@dataclass(frozen=True, slots=True)
class _Mark:
    """A record behind which nothing is owed."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row, and the call whose `call` record must follow."""

    run: str
    call: object


_Found: TypeAlias = _Mark | _Row | None


def whole_end(descriptor: int, size: int, name: str) -> int:
    """Return where the file of `size` bytes ends without what a killed writer left.

    Raises `ConfigurationError` when it is not a file that a writer of ours can have left.
    """
    last: _Row | None = None
    for end, start in pairwise(chain(behind_line_ends(descriptor, size), (0,))):
        match _record(descriptor, start, end):
            case _Mark():
                return end
            case _Row() as row if last is None or row == last:
                last = row
            case _Row():
                raise _refusal(_MANY_CALLS, name)
            case None:
                raise _refusal(_STRANGE_END if last is None else _STRANGE_ROWS, name)
    if last is not None:
        raise _refusal(_ROWS_ONLY, name)
    if not _may_begin_a_record(descriptor, size):
        raise _refusal(_STRANGE_START, name)
    return 0


def _refusal(what: str, name: str) -> ConfigurationError:
    return ConfigurationError([Mistake(what, name)])


def behind_line_ends(descriptor: int, size: int) -> Iterator[int]:
    """Yield the offset behind every line end, the last one first."""
    stop = size
    while stop:
        start = max(0, stop - _BLOCK)
        block = os.pread(descriptor, stop - start, start)
        place = len(block)
        while (place := block.rfind(b"\n", 0, place)) >= 0:
            yield start + place + 1
        stop = start


def _record(descriptor: int, start: int, end: int) -> _Found:
    """Return what stands from `start` to `end`, a line or the whole of a file; None: no record of ours."""
    if end - start <= _PARSED:
        return _parsed(os.pread(descriptor, end - start, start))
    # Behind the bracket that closes the record comes its line end.
    head = _HEAD.match(os.pread(descriptor, _HEAD_SIZE, start))
    return _parsed(head[0] + b"}") if head and os.pread(descriptor, 1, end - 2) == b"}" else None


def _parsed(text: bytes) -> _Found:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    match found:
        case {"type": "run" | "call" | "gap", "run": str()}:
            return _Mark()
        case {"type": "row", "run": str(run)}:
            return _Row(run, found.get("call"))
        case _:
            return None


def _may_begin_a_record(descriptor: int, size: int) -> bool:
    """Say whether a file without any line end is what a writer of ours began."""
    start = os.pread(descriptor, _HEAD_SIZE, 0)
    if any(start.startswith(beginning) or beginning.startswith(start) for beginning in _BEGINNINGS):
        return True
    # As another program may have written it down again, with spaces say.
    return size <= _PARSED and _record(descriptor, 0, size) is not None
