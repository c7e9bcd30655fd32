"""What stands in a file of records: how many of which kind, and where the last whole call ends.

A record begins with its type, and a line end never stands within one; so records are
told apart by their heads, without being parsed.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from operator import itemgetter
from typing import Final, Self

PIECE: Final = 1 << 20

_ROW: Final = b'{"type":"row'
_CALL: Final = b'{"type":"cal'
_GAP: Final = b'{"type":"gap'
_RUN: Final = b'{"type":"run'
_head = itemgetter(slice(len(_ROW)))
_OWNED_ROW: Final = re.compile(rb'\{"type":"row","run":"[^"\\]*","call":"[^"\\]*",')
_MARK: Final = re.compile(rb'\n(\{"type":"(?:call|gap)",[^\n]*)(?=\n)')


@dataclass(slots=True)
class Counts:
    """How many records there are of each type that a reader can check."""

    rows: int = 0
    calls: int = 0
    gaps: int = 0

    def add(self, lines: bytes) -> None:
        """Count whole lines as well."""
        self.add_heads(Counter(map(_head, lines.split(b"\n"))))

    def add_heads(self, heads: Counter[bytes]) -> None:
        """Count as many records as there are of each head."""
        self.rows += heads[_ROW]
        self.calls += heads[_CALL]
        self.gaps += heads[_GAP]


@dataclass(slots=True)
class Tally:
    """A text of records, told in pieces: what stands in it up to its last mark.

    A mark is a record behind which nothing is owed: every one but a row. Memory: a few pieces and the
    longest line.
    """

    counts: Counts = field(default_factory=Counts)
    # Where the last mark ends, and how much there is.
    end: int = 0
    size: int = 0
    # Whether there is what no writer of ours leaves: a line that is no record, or rows of several calls
    # that no mark follows.
    strange: bool = False
    # How many rows stand behind the last mark, and how those of their call begin.
    _owed: int = 0
    _owner: bytes = b""
    # What stands behind the last line end.
    _rest: bytes = b""

    @property
    def settled(self) -> bool:
        """Whether the text ends with a mark, or has not begun."""
        return self.end == self.size

    def copy(self) -> Self:
        """Return a tally that goes on from here by itself."""
        return replace(self, counts=replace(self.counts))

    def add(self, piece: bytes) -> None:
        """Go on with `piece`."""
        self.size += len(piece)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if lines:
            self._count(lines)

    def _count(self, lines: Sequence[bytes]) -> None:
        heads = Counter(map(_head, lines))
        self.strange |= heads[_ROW] + heads[_CALL] + heads[_GAP] + heads[_RUN] != len(lines)
        rows = list(takewhile(lambda line: line.startswith(_ROW), reversed(lines)))
        if len(rows) < len(lines):
            self.counts.rows += self._owed
            self._owed, self._owner = 0, b""
            self.end = self.size - len(self._rest) - sum(len(row) + 1 for row in rows)
        heads[_ROW] -= len(rows)
        self.counts.add_heads(heads)
        if rows:
            self._owe(rows)

    def _owe(self, rows: Sequence[bytes]) -> None:
        """Note rows that no mark follows."""
        if not self._owner:
            found = _OWNED_ROW.match(rows[-1])
            self._owner = found[0] if found else b"\n"
        self._owed += len(rows)
        self.strange |= not all(row.startswith(self._owner) for row in rows)


def pieces(descriptor: int, end: int) -> Iterator[bytes]:
    """Read a file up to `end`."""
    start = 0
    while start < end and (piece := os.pread(descriptor, min(PIECE, end - start), start)):
        start += len(piece)
        yield piece


def mark_lines(text: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the `call` and `gap` records of a text in pieces, as lines without their ends."""
    rest = b"\n"
    for piece in text:
        rest += piece
        for found in _MARK.finditer(rest):
            yield found[1]
        rest = rest[rest.rfind(b"\n") :]
