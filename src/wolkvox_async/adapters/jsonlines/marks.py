"""Reading back which calls an output holds, or which slots ended, as one does after a kill.

Only `call` (and `gap`) records are read; rows are passed over without a look at what is in
them. A line end never stands within a record, so a line end and the first bytes of such a
record are found together or not at all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from .outlets import output_error
from .places import Place, reading

_BLOCK: Final = 1 << 20
_BEGINNING: Final = b'\n{"type":"call"'
_MESSAGE: Final = b'\n{"type":"RECORD","stream":"calls",'
_ENDING: Final = re.compile(rb'\n\{"type":"(?:call|gap)"')

_Find: TypeAlias = Callable[[bytes, int], int]


def marks(target: str | os.PathLike[str] | Place, start: int, end: int) -> Iterator[bytes]:
    """Yield the `call` records between two offsets, as lines without their ends.

    A line counts when its end stands before `end`. `start` is where a line begins that was
    not read yet; where none can begin (beyond `end`, or not behind a line end), the
    file is another one than was thought, and everything from 0 is read. Memory: a block and the
    longest `call` record. It blocks, and it may be called while an output is open on the file.

    Raises `OutputError` when the file cannot be read or, where `target` is a `Place`, has
    vanished from there or was replaced.
    """
    yield from _found(target, start, end, _find_call)


def slot_ends(target: str | os.PathLike[str] | Place, start: int, end: int) -> Iterator[bytes]:
    """Yield the `call` and `gap` records between two offsets; otherwise as `marks`."""
    yield from _found(target, start, end, _find_end)


def call_messages(target: str | os.PathLike[str] | Place, start: int, end: int) -> Iterator[bytes]:
    """Yield the Singer messages of `call` records between two offsets; otherwise as `marks`."""
    yield from _found(target, start, end, _find_message)


def _find_message(text: bytes, place: int) -> int:
    return text.find(_MESSAGE, place)


def _find_call(text: bytes, place: int) -> int:
    return text.find(_BEGINNING, place)


def _find_end(text: bytes, place: int) -> int:
    found = _ENDING.search(text, place)
    return -1 if found is None else found.start()


def _found(target: str | os.PathLike[str] | Place, start: int, end: int, find: _Find) -> Iterator[bytes]:
    try:
        with reading(target) as descriptor:
            yield from _between(descriptor, _line_start(descriptor, start, end), end, find)
    except OSError as error:
        raise output_error(error, str(target.path if isinstance(target, Place) else target)) from error


def _line_start(descriptor: int, start: int, end: int) -> int:
    """Return `start`, or 0 when no line can begin there."""
    return start if 0 < start <= end and os.pread(descriptor, 1, start - 1) == b"\n" else 0


def _between(descriptor: int, start: int, end: int, find: _Find) -> Iterator[bytes]:
    # `text` always begins with the end of a line, or with a part of a line that is not wanted.
    text = b"\n"
    while start < end and (block := os.pread(descriptor, min(_BLOCK, end - start), start)):
        start += len(block)
        text += block
        place = 0
        while (begin := find(text, place)) >= 0 and (stop := text.find(b"\n", begin + 1)) >= 0:
            yield text[begin + 1 : stop]
            place = stop
        # What is kept is a record of those whose end is yet to come, or what may be the start of one.
        text = text[begin if begin >= 0 else max(place, len(text) - len(_MESSAGE) + 1) :]
