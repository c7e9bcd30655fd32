"""What went wrong with a subject, as spans of time: slots without a reading, calls that failed. Pure.

What happens again and again for one reason, with no reading in between, is one span. A
subject that fails and recovers by the minute would have thousands of them in a month: beyond
50, what comes is added to the last span of its reason, which is then `scattered`: there are
readings within it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MOST_SPANS: Final = 50
MESSAGE: Final = 160  # characters


class Trouble(StrEnum):
    """What is missing: a slot without a reading, a call that failed, a call that was not made."""

    GAP = "gap"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(slots=True, eq=False)
class Span:
    """`count` times the same trouble for the same reason, from `first` to `last` (Unix ms).

    `closing`: the reading that closes the month was among them. `message` is that of the last one.
    """

    trouble: Trouble
    reason: str
    first: int
    last: int
    count: int = 1
    closing: bool = False
    message: str = ""
    scattered: bool = False

    def is_of(self, other: Span) -> bool:
        """Whether both are the same trouble for the same reason."""
        return self.trouble is other.trouble and self.reason == other.reason

    def extend(self, other: Span) -> None:
        """Add `other`, which is of the same."""
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.count += other.count
        self.closing |= other.closing
        self.message = other.message or self.message


def add_span(spans: list[Span], new: Span, ongoing: Span | None) -> Span | None:
    """Put `new` among the `spans` of a month and return the one that it is in.

    It belongs to `ongoing` if it is of the same and there was no reading since. None: it was told of before.
    """
    if ongoing is not None and new.is_of(ongoing) and new.first > ongoing.last:
        ongoing.extend(new)
        return ongoing
    same = [span for span in spans if new.is_of(span)]
    if any(span.first <= new.first <= span.last for span in same):
        return None
    if len(spans) >= MOST_SPANS and same:
        same[-1].extend(new)
        same[-1].scattered = True
        return same[-1]
    spans.append(new)
    return new


def counted(spans: Iterable[Span], trouble: Trouble) -> int:
    """Return how many times there was this trouble."""
    return sum(span.count for span in spans if span.trouble is trouble)
