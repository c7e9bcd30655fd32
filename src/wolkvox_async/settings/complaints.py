"""Mistakes while they are being collected: by path first, by line and column at the end.

A file with a mistake in every entry of 100,000 must not cost minutes: beyond the number
that is printed, mistakes are only counted, and nothing is proposed for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wolkvox_async.errors import MAX_MISTAKES, Mistake
from wolkvox_async.spelling import did_you_mean, looks_like_a_token

from .documents import Source
from .places import Path, Place


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something wrong at `path`; `first` is where the same thing stands already.

    `on_key` points at the key instead of the value.
    """

    path: Path
    message: str
    on_key: bool = False
    first: Path | None = None


class Complaints:
    """What is wrong with one document, in the order in which it was found, once each."""

    __slots__ = ("_listed", "unlisted")

    def __init__(self) -> None:
        self._listed: dict[Complaint, None] = {}
        self.unlisted = 0
        """How many there are beyond those listed."""

    def __len__(self) -> int:
        return len(self._listed) + self.unlisted

    @property
    def full(self) -> bool:
        """Whether more complaints will only be counted."""
        return len(self._listed) >= MAX_MISTAKES

    def add(self, path: Path, message: str, *, on_key: bool = False, first: Path | None = None) -> None:
        """Note a complaint."""
        if self.full:
            self.unlisted += 1
        else:
            self._listed[Complaint(path, message, on_key, first)] = None

    def propose(self, word: str, choices: Iterable[str]) -> str:
        """Return a "did you mean" for the end of a message, while messages are still listed."""
        return "" if self.full else did_you_mean(word, choices)

    def mistakes(self, source: Source) -> list[Mistake]:
        """Return the listed mistakes by place."""
        return place(source, self._listed)


def place(source: Source, complaints: Iterable[Complaint]) -> list[Mistake]:
    """Turn complaints into mistakes, each at its line and column, in the order of the text."""
    listed = list(complaints)
    if source.places is None:
        return [Mistake(f"{dotted(c.path)}: {c.message}" if c.path else c.message) for c in listed]
    paths = [path for c in listed for path in (c.path, c.first) if path is not None]
    found = source.places.locate(paths)
    return in_order(_mistake(c, source, found) for c in listed)


def in_order(mistakes: Iterable[Mistake]) -> list[Mistake]:
    """Sort mistakes by their place; those without one come last."""
    return sorted(mistakes, key=lambda m: (m.line is None, m.line or 0, m.column or 0))


def _mistake(complaint: Complaint, source: Source, found: dict[Path, tuple[Place, Place]]) -> Mistake:
    key, value = found[complaint.path]
    where = key if complaint.on_key else value
    message = complaint.message
    if complaint.first is not None:
        message += f" (first on line {found[complaint.first][1].line})"
    return Mistake(message, source.file, where.line, where.column)


def dotted(path: Path) -> str:
    """Write a path as Python people do, for documents without lines: `tenants[0].name`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_key(part)}" for part in path)
    return text.removeprefix(".")


def _key(part: str) -> str:
    return "(hidden)" if looks_like_a_token(part) or not part.isprintable() else part[:60]
