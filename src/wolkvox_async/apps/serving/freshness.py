"""How old the last reading of everything watched is, and when its last slot ended.

What ends is told by the engine as it happens; what is watched is read off the running
watch, again whenever its version has changed. An endpoint whose dates span months is
watched in parts, each on a grid of its own: an event is of the part on whose grid its
slot stands.

All times are Unix seconds: slots are pinned to them, and a machine that was suspended is
as late as they say. Nothing is known of the time before this program began, so the age of
what was not read yet counts from there (or from when it was added).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from wolkvox_async.model import Empty, GapReason, Ok, Operation, Slot
from wolkvox_async.ports import CallSettled, Clock, Event, SlotMissed
from wolkvox_async.scheduling.subjects import Subject

from .health import BOUNDS, Bounds, Standing, is_silent
from .looks import Prospect
from .wallclock import WallClock

_Key: TypeAlias = tuple[str, str, str]


class Reading:
    """The last reading of a subject, and when its last slot ended; before there is any, when it was added."""

    __slots__ = ("ended_at", "has_ended", "interval", "read_at", "subject")

    def __init__(self, subject: Subject, since: float) -> None:
        self.subject = subject
        self.interval = subject.interval
        self.read_at = since
        self.ended_at = since
        self.has_ended = False

    def renew(self, subject: Subject) -> None:
        """Take in that the subject is another now, under the same key."""
        self.subject, self.interval = subject, subject.interval

    def age(self, now: float) -> float:
        """Return its age in seconds."""
        return max(0.0, now - self.read_at)


class Freshness:
    """Keeps when everything watched was read last; a hook, and idle until it follows a watch."""

    def __init__(self, clock: Clock) -> None:
        self.now: Final = WallClock(clock).now
        self._watch: Prospect | None = None
        self._version: int | None = None
        self._subjects: dict[str, Reading] = {}
        self._parts: dict[_Key, list[Reading]] = {}
        self.operations = 0

    def follow(self, watch: Prospect) -> None:
        """Keep to what `watch` watches from now on."""
        self._watch, self._version = watch, None
        self.refresh()

    def observe(self, event: Event) -> None:
        """Note that a slot ended, and whether it brought a reading."""
        if isinstance(event, CallSettled):
            call = event.call
            if call.slot is not None:
                self._ended(call.operation, call.api, call.slot, is_reading=isinstance(event.outcome, (Ok, Empty)))
        elif isinstance(event, SlotMissed):
            self._ended(event.operation, event.api, event.slot, is_reading=False)

    def refresh(self) -> None:
        """Read off what is watched, if that has changed."""
        watch = self._watch
        if watch is None or watch.version == self._version:
            return
        self._version, now, known = watch.version, self.now(), self._subjects
        self._subjects, self._parts = {}, {}
        for subject in watch.subjects():
            last = self._subjects[subject.key] = known.get(subject.key) or Reading(subject, now)
            last.renew(subject)
            self._parts.setdefault(_key(subject.operation, subject.api), []).append(last)
        self.operations = len({key[:2] for key in self._parts})

    def readings(self) -> list[Reading]:
        """Return the last reading of every endpoint of every operation: that of its oldest part."""
        self.refresh()
        return [
            parts[0] if len(parts) == 1 else min(parts, key=lambda part: part.read_at) for parts in self._parts.values()
        ]

    def silent(self, bounds: Bounds = BOUNDS) -> Iterator[Standing]:
        """Yield how those subjects stand of which nothing was heard for too long."""
        self.refresh()
        now = self.now()
        for key, last in self._subjects.items():
            if is_silent(last.ended_at, last.interval, now, bounds):
                due = None if last.has_ended else self._first_due(key)
                yield Standing(last.subject.operation.path, last.subject.api, last.interval, last.ended_at, due)

    def waiting(self) -> dict[GapReason, int]:
        """Count the subjects whose open call waits, by what it waits for."""
        self.refresh()
        counts = dict.fromkeys(GapReason, 0)
        if self._watch is not None:
            waits = self._watch.waits
            for key in self._subjects:
                if (reason := waits(key)) is not None:
                    counts[reason] += 1
        return counts

    def _first_due(self, key: str) -> float | None:
        due = None if self._watch is None else self._watch.next_due(key)
        return None if due is None else due / 1000

    def _ended(self, operation: Operation, api: str, slot: Slot, *, is_reading: bool) -> None:
        last = self._find(_key(operation, api), slot)
        if last is None:
            return
        last.ended_at = now = self.now()
        last.has_ended = True
        if is_reading:
            last.read_at = now

    def _find(self, key: _Key, slot: Slot) -> Reading | None:
        parts = self._parts.get(key)
        if parts is None:  # it may have been added a moment ago
            self.refresh()
            parts = self._parts.get(key, [])
        if len(parts) == 1:
            return parts[0]
        return next((part for part in parts if part.subject.timetable.grid.has(slot)), None)


def _key(operation: Operation, api: str) -> _Key:
    return operation.tenant, operation.name, api
