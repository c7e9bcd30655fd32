"""Tables for people, in a terminal: columns below one another, nothing too wide, nothing that a terminal would obey."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import click

_WIDEST: Final = 40  # cells of a column
_AT_ONCE: Final = 500  # lines


def plain(text: str) -> str:
    """Escape what a terminal would obey: others may have written it."""
    return "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in text)


def write(lines: Iterator[str]) -> None:
    """Write lines to standard output, many at once."""
    while some := list(islice(lines, _AT_ONCE)):
        click.echo("\n".join(some))


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Collection[str] = frozenset()
) -> Iterator[str]:
    """Yield the lines of a table; columns that are `numbers`, by their names, are aligned to the right."""
    lines = [tuple(head), *(tuple(_cut(plain(cell)) for cell in row) for row in rows)]
    widths = [max(_width(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        cells = zip(head, line, widths, strict=True)
        yield "  ".join(_aligned(cell, width, right=name in numbers) for name, cell, width in cells).rstrip()


def _cut(text: str) -> str:
    """Cut a text that is too wide for its column."""
    if _width(text) <= _WIDEST:
        return text
    while _width(text) > _WIDEST - 3:
        text = text[: -max(1, (_width(text) - _WIDEST) // 2)]
    return f"{text}..."


def _width(text: str) -> int:
    """Return how many cells of a terminal a text takes up."""
    if text.isascii():
        return len(text)
    return sum(_cells(sign) for sign in text)


def _cells(sign: str) -> int:
    if unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def _aligned(cell: str, width: int, *, right: bool) -> str:
    gap = " " * (width - _width(cell))
    return gap + cell if right else cell + gap
