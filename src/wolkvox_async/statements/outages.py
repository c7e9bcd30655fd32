"""What went wrong with many subjects at once, told once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from .spans import Span, Trouble
from .subjects import Key

NEAR: Final = 10 * 60_000
"""Spans of two subjects that are less apart than this (ms) have one cause."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Spans of the same trouble that lie together; times in Unix ms, `subjects` by operation and endpoint.

    `message` is one of theirs. `closing`: a reading that closes a month was among them.
    """

    trouble: Trouble
    reason: str
    first: int
    last: int
    count: int
    closing: bool
    message: str
    scattered: bool
    subjects: tuple[tuple[str, str], ...]


def outages(found: Iterable[tuple[Key, Span]]) -> tuple[Outage, ...]:
    """Put together what lies together; what concerns closing readings first, then by time."""
    ordered = sorted(found, key=lambda one: (one[1].trouble, one[1].reason, one[1].first))
    together = (
        _outage(group)
        for _, same in groupby(ordered, key=lambda one: (one[1].trouble, one[1].reason))
        for group in _groups(same)
    )
    return tuple(sorted(together, key=lambda one: (not one.closing, one.first, one.reason)))


def _groups(ordered: Iterable[tuple[Key, Span]]) -> Iterator[list[tuple[Key, Span]]]:
    group: list[tuple[Key, Span]] = []
    end = 0
    for one in ordered:
        if group and one[1].first > end + NEAR:
            yield group
            group = []
        end = max(end, one[1].last) if group else one[1].last
        group.append(one)
    if group:
        yield group


def _outage(group: list[tuple[Key, Span]]) -> Outage:
    spans = [span for _, span in group]
    return Outage(
        spans[0].trouble,
        spans[0].reason,
        min(span.first for span in spans),
        max(span.last for span in spans),
        sum(span.count for span in spans),
        any(span.closing for span in spans),
        next((span.message for span in spans if span.message), ""),
        any(span.scattered for span in spans),
        tuple(sorted({(key.operation, key.api) for key, _ in group})),
    )
