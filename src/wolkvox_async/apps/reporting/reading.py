"""From sources to books."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import orjson

from wolkvox_async.adapters.jsonlines.counts import Counts
from wolkvox_async.statements import Books, NewerError

from .sources import Source

_NO_RECORD: Final = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError)


def read(sources: Iterable[Source], books: Books) -> None:
    """Read everything; what is odd about a source is noted on it. Raises `ConfigurationError`."""
    for source in sources:
        _read(source, books)
        books.end()


def _read(source: Source, books: Books) -> None:
    manifest = source.read_manifest()
    source.counts = counts = None if manifest is None else Counts()
    failed_last = False
    for lines in source.passages():
        if counts is not None:
            counts.add(b"\n".join(lines))
        failed_last = _take(lines, source, books)
    if failed_last and source.unended:
        source.strange -= 1
        source.torn = True
    if manifest is not None and counts is not None:
        told = (manifest.get("rows"), manifest.get("calls"), manifest.get("gaps"))
        source.differs = told != (counts.rows, counts.calls, counts.gaps)


def _take(lines: list[bytes], source: Source, books: Books) -> bool:
    """Take lines in, and say whether the last one was no record."""
    loads, add, failed = orjson.loads, books.add, False
    for number, line in enumerate(lines, source.lines + 1):
        failed = False
        try:
            add(loads(line))
        except NewerError:
            source.newer = True
        except _NO_RECORD:
            failed = bool(line.strip())
            if failed:
                source.strange += 1
                source.first_strange = source.first_strange or number
    source.lines += len(lines)
    return failed
