"""Statements: a month of a tenant, line by line, with what is missing. Pure.

A line is an endpoint of an operation. Its number is the month's last reading. Where that came to no number,
the line has none either, and says which number was the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from wolkvox_async.catalog import Kind

from .contents import Content, Lack, Number
from .outages import Outage
from .pages import Fall, Reading
from .runs import Run
from .subjects import Key
from .tariffs import Charge


class State(StrEnum):
    """What a line's number is worth.

    `closing`: it closes its month; `last`: the month is over, and the endpoint needs no closing reading;
    `open`: the month is not over; `unclosed`: the month is over, and its closing reading is missing;
    `none`: there is no reading at all.
    """

    CLOSING = "closing"
    LAST = "last"
    OPEN = "open"
    UNCLOSED = "unclosed"
    NONE = "none"


class Basis(StrEnum):
    """What a number is compared with: the whole month before, or its first days, as many."""

    MONTH = "month"
    DAYS = "days"


@dataclass(frozen=True, slots=True)
class Line:
    """An endpoint of an operation in a month.

    `reading` is the last one, `number` the last one that came to a number. `days` has a value for each day of the
    month; on `covered` of `wanted` days there was a reading. `previous` is what it is compared with.
    `left` (ms) lay between the last reading and the end of the month, `astride` answers were under way
    when it turned. `rows` has of each row of the answer its number in the month before.
    """

    key: Key
    kind: Kind
    state: State
    reading: Reading | None
    number: Reading | None
    days: tuple[float | None, ...]
    covered: int
    wanted: int
    readings: int
    left: int
    previous: Number | None
    basis: Basis
    rows: tuple[Number | None, ...]
    fall: Fall | None
    astride: int
    gaps: int
    failed: int
    skipped: int
    charge: Charge | None

    @property
    def content(self) -> Content | None:
        """What the last reading said."""
        return None if self.reading is None else self.reading.content

    @property
    def value(self) -> Number | None:
        """Its number, if it has one."""
        return None if self.reading is None else self.reading.content.value

    @property
    def change(self) -> Number | None:
        """By how much it is more than what it is compared with."""
        return None if self.value is None or self.previous is None else self.value - self.previous

    @property
    def is_missing(self) -> bool:
        """Whether its number may not be that of the whole month."""
        return self.state in (State.UNCLOSED, State.NONE)

    @property
    def is_wanting(self) -> bool:
        """Whether there should be a number, and is none: an empty answer where there was a number before is one too."""
        if self.value is not None:
            return False
        told = self.content is not None and self.content.lack in (Lack.EMPTY, Lack.NOT_COUNTED)
        return not told or self.number is not None


@dataclass(frozen=True, slots=True)
class Section:
    """An operation in a month; `amount` adds up what its lines cost, None without prices."""

    operation: str
    server: str
    lines: tuple[Line, ...]
    amount: Decimal | None


@dataclass(frozen=True, slots=True)
class Statement:
    """A tenant in a month; `is_over` says whether the month is."""

    tenant: str
    month: int
    is_over: bool
    sections: tuple[Section, ...]
    outages: tuple[Outage, ...]
    amount: Decimal | None

    @property
    def lines(self) -> Iterator[Line]:
        """Every line."""
        return (line for section in self.sections for line in section.lines)

    def troubled(self) -> tuple[int, int, int, int]:
        """Return how many lines miss their closing reading, slots are gaps, calls failed, calls were not made."""
        lines = list(self.lines)
        return (
            sum(line.is_missing for line in lines) if self.is_over else 0,
            sum(line.gaps for line in lines),
            sum(line.failed for line in lines),
            sum(line.skipped for line in lines),
        )

    @property
    def without(self) -> int:
        """How many lines have no number where there should be one, beside those that miss their closing reading."""
        return sum(line.is_wanting and not (line.is_missing and self.is_over) for line in self.lines)

    @property
    def is_troubled(self) -> bool:
        """Whether anything is missing in it."""
        return bool(self.outages) or any(line.is_missing or line.is_wanting for line in self.lines)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything: statements by tenant, the newest month first; `as_of` is the moment (Unix ms) it is of."""

    statements: tuple[Statement, ...]
    months: tuple[int, ...]
    runs: tuple[Run, ...]
    dropped_runs: int
    unmarked: int
    as_of: int
