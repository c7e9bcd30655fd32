"""The output in turns: a file a day or a month, each finished with a manifest when its time is over.

- One write goes wholly into one file: the one of the period in which it is made.
- The program's state hears of a call after its lines are written. Were a file finished at
  once, a program that is killed in between would not find those lines again; so it is
  finished by the first write or `turn` that comes 10 s after the last write to it. For the
  same reason the files of former periods, left by an earlier process, are finished by the
  first write or `turn` and not by the opening: until then what they hold can be read.
- Finishing is done in the output's thread; writes wait for it.
- The next file is opened, and locked, before the last one is given up: of one template
  there is one writer at a time.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final, Self, cast

from wolkvox_async.ports import Clock

from .opening import opening_error
from .output import JsonLines
from .parts import Part, open_part, said_as_output
from .rotation import Period, Template

SETTLING: Final = 10.0
"""Seconds after the last write to a file before it is finished."""

_PORTION: Final = 10_000


def open_rotating(template: str | os.PathLike[str], clock: Clock, *, durable: bool = False) -> RotatingLines:
    """Return the output whose files `template` names, to be opened by `async with`.

    `{date}` or `{month}` in it, once, in the file's name or in a folder's, stands for the day
    (YYYY-MM-DD) or the month (YYYY-MM) in UTC; with `.zst` at its end files are compressed.

    `durable`: what was written survives a power cut as well as a killed process.

    Raises `ConfigurationError` when the template is not of that kind.
    """
    return RotatingLines(Template.of(os.fspath(template)), clock, durable=durable)


class RotatingLines(JsonLines):
    """A `Sink`, open for the length of an `async with` block; `place` and `position` are None.

    Opening takes up the file of the current period: what a killed writer left half is cut off,
    whole calls are kept. It raises `ConfigurationError` when a file cannot be opened or is none of ours
    (`OutputBusyError`: somebody else is writing), and `OutputError` when the disk is full or an
    fsync failed. Leaving the block leaves the current file a `.part`, to be taken up by the next.
    """

    __slots__ = ("_clock", "_template")

    def __init__(self, template: Template, clock: Clock, *, durable: bool = False) -> None:
        super().__init__(template.text, durable=durable)
        self._template = template
        self._clock = clock

    async def turn(self) -> None:
        """Finish files whose time is over; to be called from time to time, as writes may be rare.

        Raises `OutputError` when that cannot be done; the output has failed then.
        """
        due = self._rotation().due
        self._check()
        if due:
            await self.write(b"")

    def marks(self) -> Iterator[bytes]:
        """Yield the `call` and `gap` records that the files held when they were opened, as lines without their ends.

        These are the files of former periods that were not finished, the oldest first, then the
        current one. To be read before the first write. It blocks while it reads, 1 MiB of records at a time;
        memory: that, and the longest line. Raises `OutputError` when a file cannot be read.
        """
        return self._rotation().marks()

    async def portions(self) -> AsyncIterator[list[bytes]]:
        """Yield what `marks` does, at most 10,000 at a time, read in the output's thread."""
        marks, loop = self.marks(), asyncio.get_running_loop()
        while portion := await loop.run_in_executor(self._thread, _portion, marks):
            yield portion

    def _open(self) -> Rotation:
        return Rotation.open(self._template, self._clock, durable=self._durable)

    def _rotation(self) -> Rotation:
        return cast("Rotation", self._opened())  # what `_open` made


def _portion(marks: Iterator[bytes]) -> list[bytes]:
    return list(islice(marks, _PORTION))


class Rotation:
    """The outlet: the part that is written, and those that are still to be finished. Runs in the output's thread."""

    __slots__ = ("_clock", "_durable", "_leaving", "_part", "_standing", "_template", "_written", "name")

    is_stream: Final = False
    place: Final = None
    position: Final = None

    def __init__(self, template: Template, clock: Clock, parts: list[Part], *, durable: bool) -> None:
        self.name = template.text
        self._template = template
        self._clock = clock
        self._durable = durable
        self._standing = tuple(part.standing for part in parts)
        self._part = parts[-1]
        self._written = clock.now()
        # With the monotonic time from which each may be finished. Replaced and never changed: the
        # event loop looks at it.
        self._leaving = tuple((self._written, part) for part in parts[:-1])

    @classmethod
    def open(cls, template: Template, clock: Clock, *, durable: bool) -> Self:
        """Open the current period's part, and those of other periods that were not finished; raises as a part does."""
        parts: list[Part] = []
        with ExitStack() as opened:
            for period in _periods(template, clock.utc()):
                parts.append(open_part(template, period, durable=durable))
                opened.callback(parts[-1].close)
            opened.pop_all()
        return cls(template, clock, parts, durable=durable)

    @property
    def due(self) -> bool:
        """Whether a file is to be begun or finished now."""
        return not self._part.period.holds(self._clock.utc()) or self._finishable() is not None

    def write(self, lines: bytes) -> None:
        """Begin and finish what is due, then deliver `lines`; raises `OutputError`."""
        now = self._clock.utc()
        if not self._part.period.holds(now):
            self._go_over(self._template.period(now))
        while (part := self._finishable()) is not None:
            self._leaving = self._without(part)
            part.finish()
        if lines:
            self._part.write(lines)
            self._written = self._clock.now()

    def marks(self) -> Iterator[bytes]:
        """Yield the records that stood there at the opening."""
        for standing in self._standing:
            yield from standing.mark_lines()

    def abort(self) -> None:
        """Do nothing: a file has no reader to wait for."""

    def close(self) -> None:
        """Unlock and close; all of them stay parts."""
        for _, part in self._leaving:
            part.close()
        self._part.close()

    def _finishable(self) -> Part | None:
        now = self._clock.now()
        return next((part for ready, part in self._leaving if ready <= now), None)

    def _go_over(self, period: Period) -> None:
        """Have the file of `period` be the one that is written."""
        left = next((part for _, part in self._leaving if part.period == period), None)
        if left is None:
            with said_as_output(self._template.part(period)):
                left = open_part(self._template, period, durable=self._durable)
        self._leaving = (*self._without(left), (self._written + SETTLING, self._part))
        self._part = left

    def _without(self, part: Part) -> tuple[tuple[float, Part], ...]:
        return tuple(leaving for leaving in self._leaving if leaving[1] is not part)


def _periods(template: Template, now: datetime) -> list[Period]:
    """Return the periods that have a part, the oldest first, and last the one that is written `now`."""
    found = sorted(_parts(template), key=lambda period: period.start)
    current = next((period for period in reversed(found) if period.holds(now)), template.period(now))
    return [*(period for period in found if period != current), current]


def _parts(template: Template) -> list[Period]:
    try:
        entries = [entry.name for entry in Path(template.folder).iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise opening_error(error, template.folder) from error
    periods = (template.period_in(entry) for entry in entries)
    return [period for period in periods if period is not None and Path(template.part(period)).exists()]
