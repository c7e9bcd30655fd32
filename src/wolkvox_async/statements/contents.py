"""What an answer said: its rows, and the one number that they come to. Pure.

- The number is the sum of the rows' `items`. A row that is the vendor's own total, by its
  description or its operation (`TOTAL`, `Total general`, ...), is not added to the others:
  it is compared with their sum. Where it is alone it is the row; where another row has
  no number, it is the number.
- A row without a number makes the sum unknown. It is not taken for 0, and neither is an
  empty answer.
- Numbers are whole or decimal, never binary fractions: `34.64` stays 34.64.
- Of a long answer the first 1,000 rows are kept, the others as one sum.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias

Number: TypeAlias = int | Decimal

KEPT_ROWS: Final = 1_000

_LABEL: Final = 200  # characters kept of what the vendor calls a row
_SENT: Final = 40
_TOTAL: Final = re.compile(r"\W*(?:grand |gran |sub ?)?total(?:es|s)?(?: general| geral)?\W*", re.IGNORECASE)


class Lack(StrEnum):
    """Why an answer comes to no number."""

    EMPTY = "empty"
    NOT_A_NUMBER = "not_a_number"
    NOT_COUNTED = "not_counted"
    UNSEEN = "unseen"
    INCOMPLETE = "incomplete"


class Row(NamedTuple):
    """A row: what the vendor calls it, its `items`, and what stood there if that is no number."""

    label: str
    items: Number | None
    sent: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """An answer: its number, or what it lacks; `count` rows of which `rows` are kept.

    `total` is the vendor's own, where it has one and it is not the sum of the others.
    """

    value: Number | None
    lack: Lack | None = None
    rows: tuple[Row, ...] = ()
    count: int = 0
    total: Number | None = None


EMPTY: Final = Content(None, Lack.EMPTY)
"""The vendor had nothing to say, which is not 0."""

UNSEEN: Final = Content(None, Lack.UNSEEN)
"""The same as before, and what was before is not in these records."""

INCOMPLETE: Final = Content(None, Lack.INCOMPLETE)
"""Rows are missing from these records."""


class _Piece(NamedTuple):
    owner: str
    label: str
    items: Number | None
    sent: str
    counted: bool


class Gathering:
    """The rows of a call whose `call` record has not come yet."""

    __slots__ = ("_kept", "_rest", "_rest_known", "_total", "call", "count", "run")

    def __init__(self, run: str, call: str) -> None:
        self.run: Final = run
        self.call: Final = call
        self.count = 0
        self._kept: Final[list[_Piece]] = []
        self._rest: Number = 0
        self._rest_known = True
        self._total: Number | None = None

    def add(self, record: Mapping[str, Any]) -> None:
        """Take a `row` record."""
        self.count += 1
        piece = _piece(record["row"], record["items"])
        if self.count <= KEPT_ROWS:
            self._kept.append(piece)
        elif _is_total(piece):
            self._total = piece.items
        elif piece.items is None:
            self._rest_known = False
        else:
            self._rest += piece.items

    def content(self) -> Content:
        """Return what the rows come to."""
        if self.count == 1:
            return _alone(self._kept[0])
        pieces = [piece for piece in self._kept if not _is_total(piece)]
        total = next((piece.items for piece in self._kept if _is_total(piece)), self._total)
        rows = _rows(pieces or self._kept)
        if self.count > KEPT_ROWS:
            rows = (*rows, Row("...", self._rest if self._rest_known else None))
        return _together(rows, self.count, total, counted=any(piece.counted for piece in self._kept))


def _piece(row: Any, items: Any) -> _Piece:
    number: Number | None = items if type(items) is int else Decimal(repr(items)) if type(items) is float else None
    if not isinstance(row, dict):
        return _Piece("", "", number, _cut(row), counted=False)
    counted = "items" in row
    sent = _cut(row["items"]) if number is None and counted else ""
    return _Piece(_text(row.get("operation")), _text(row.get("description")), number, sent, counted)


def _text(value: Any) -> str:
    # The same few texts come millions of times.
    return sys.intern(value.strip()[:_LABEL]) if isinstance(value, str) else ""


def _cut(value: Any) -> str:
    text = value if isinstance(value, str) else "" if value is None else str(value)[: _SENT + 1]
    return text if len(text) <= _SENT else text[:_SENT] + "..."


def _is_total(piece: _Piece) -> bool:
    return any(_TOTAL.fullmatch(text) is not None for text in (piece.label, piece.owner) if "otal" in text.casefold())


def _alone(piece: _Piece) -> Content:
    rows = (Row(piece.label, piece.items, piece.sent),)
    if piece.items is not None:
        return Content(piece.items, None, rows, 1)
    return Content(None, Lack.NOT_A_NUMBER if piece.counted else Lack.NOT_COUNTED, rows if piece.counted else (), 1)


def _rows(pieces: Sequence[_Piece]) -> tuple[Row, ...]:
    several = len({piece.owner for piece in pieces}) > 1
    return tuple(Row(_label(piece, with_owner=several), piece.items, piece.sent) for piece in pieces)


def _label(piece: _Piece, *, with_owner: bool) -> str:
    return " \N{MIDDLE DOT} ".join(filter(None, (piece.owner, piece.label))) if with_owner else piece.label


def _together(rows: tuple[Row, ...], count: int, total: Number | None, *, counted: bool) -> Content:
    numbers = [row.items for row in rows if row.items is not None]
    if len(numbers) == len(rows):
        value: Number = sum(numbers)
        return Content(value, None, rows, count, None if total is None or total == value else total)
    if total is not None:
        return Content(total, None, rows, count)
    return Content(None, Lack.NOT_A_NUMBER, rows, count) if counted else Content(None, Lack.NOT_COUNTED, (), count)
