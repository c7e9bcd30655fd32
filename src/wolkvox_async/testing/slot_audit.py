"""Whether every slot of a watch ended exactly once, and why there are gaps. Pure.

    audit = SlotAudit(subjects, since, until)
    audit.read(lines)           # of all runs, in the order of the output
    assert not audit.complaints()

Which slots there are is worked out anew, from the grid alone: of each subject one in every
interval from `since` on, and none twice. Where a closing reading was moved to does not
matter, for it keeps its place. What stands in the output of a subject is expected in order.

A gap is *named right* when something happened that explains it: an `Episode`. Gaps for
`closing` explain themselves, behind a closing reading and nowhere else.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from wolkvox_async.model import GapReason
from wolkvox_async.scheduling.subjects import Subject

_MOST_DETAILS: Final = 5  # of each kind
_ROW: Final = b'{"type":"row"'


@dataclass(frozen=True, slots=True)
class Episode:
    """What explains gaps for `reasons`, and failed calls if `fails`, in slots due from `since` to `until` (Unix ms).

    It befell the operations at `paths`, or (None) all.
    """

    name: str
    since: int
    until: int
    reasons: frozenset[GapReason]
    paths: frozenset[str] | None = None
    fails: bool = False

    def befell(self, path: str, due: int) -> bool:
        """Tell whether a slot of an operation was due in it."""
        return self.since <= due <= self.until and (self.paths is None or path in self.paths)


@dataclass(frozen=True, slots=True)
class Closing:
    """How a closing reading ended: a `call` record's outcome, or a gap's reason; when (Unix ms) it was due and over."""

    path: str
    api: str
    due: int
    at: int | None
    end: str


@dataclass(slots=True)
class _Column:
    """What came of one subject so far: its next place, and until when a closing reading keeps the next one away."""

    subject: Subject
    next: int
    closed_until: int = 0


@dataclass(slots=True)
class SlotAudit:
    """Reads lines; `calls` counts `call` records by outcome, `gaps` gaps by reason."""

    subjects: Iterable[Subject]
    since: int
    until: int
    episodes: Sequence[Episode] = ()
    calls: Counter[str] = field(default_factory=Counter)
    gaps: Counter[str] = field(default_factory=Counter)
    explained: Counter[tuple[str, str]] = field(default_factory=Counter)
    closings: list[Closing] = field(default_factory=list)
    rows: int = 0
    lines: int = 0
    expected: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    _columns: dict[tuple[str, str, str], _Column] = field(default_factory=dict)
    _details: list[str] = field(default_factory=list)
    _hash: Any = field(default_factory=hashlib.sha256)

    def __post_init__(self) -> None:
        for subject in self.subjects:
            grid, operation = subject.timetable.grid, subject.operation
            first = grid.before(self.since) + grid.interval
            self._columns[operation.tenant, operation.name, subject.api] = _Column(subject, first)
            self.expected += (grid.before(self.until + 1) - first) // grid.interval + 1

    @property
    def sha256(self) -> str:
        """The digest of everything read."""
        return str(self._hash.hexdigest())

    @property
    def ends(self) -> int:
        """How many slots ended."""
        return self.calls.total() + self.gaps.total()

    def read(self, lines: bytes) -> None:
        """Take in whole lines."""
        self._hash.update(lines)
        for line in lines.splitlines():
            self.lines += 1
            if line.startswith(_ROW):
                self.rows += 1
            else:
                self._take(orjson.loads(line))

    def _take(self, record: dict[str, Any]) -> None:
        match record["type"]:
            case "call":
                self.calls[record["outcome"]] += 1
                self._end(record, record["outcome"])
            case "gap":
                self.gaps[record["reason"]] += 1
                self._end(record, record["reason"])

    def _end(self, record: dict[str, Any], end: str) -> None:
        column = self._columns.get((record["tenant"], record["operation"], record["api"]))
        if column is None or record["slot"] is None:
            self._blame("ends of nothing that is watched", record)
            return
        due, grid = milliseconds(record["slot"]), column.subject.timetable.grid
        place = grid.before(due + 1)
        if place != column.next:
            self._blame("missing" if place > column.next else "twice", record)
        column.next = max(column.next, place + grid.interval)
        path = column.subject.operation.path
        if record["closing"]:
            at = milliseconds(record["at"]) if record["type"] == "call" else None
            self.closings.append(Closing(path, record["api"], due, at, end))
        elif due != place:
            self._blame("off the grid", record)
        self._explain(column, path, due, record)
        if record["closing"]:
            column.closed_until = due + grid.interval

    def _explain(self, column: _Column, path: str, due: int, record: dict[str, Any]) -> None:
        if record["type"] == "call":
            if record["outcome"] == "failed" and not self._explained("failed", path, due):
                self._blame("failed for no reason", record)
        elif record["reason"] == GapReason.CLOSING:
            if due >= column.closed_until:
                self._blame("closed by nothing", record)
        elif not self._explained(record["reason"], path, due):
            self._blame("gaps named wrong", record)

    def _explained(self, end: str, path: str, due: int) -> bool:
        for episode in self.episodes:
            if episode.befell(path, due) and (episode.fails if end == "failed" else end in episode.reasons):
                self.explained[episode.name, end] += 1
                return True
        return False

    def _blame(self, what: str, record: dict[str, Any]) -> None:
        self.wrong[what] += 1
        if self.wrong[what] <= _MOST_DETAILS:
            told = {
                name: record.get(name)
                for name in ("type", "tenant", "operation", "server", "slot", "outcome", "reason")
            }
            self._details.append(f"{what}: {orjson.dumps(told).decode()}")

    def complaints(self) -> list[str]:
        """Return what is wrong, the first of it in detail; to be called once everything was read."""
        return [*(f"{count} {what}" for what, count in self.wrong.items()), *self._unfinished(), *self._details]

    def _unfinished(self) -> Iterator[str]:
        short = [
            column
            for column in self._columns.values()
            if column.next
            != column.subject.timetable.grid.before(self.until + 1) + column.subject.timetable.grid.interval
        ]
        if short:
            last = datetime.fromtimestamp(short[0].next / 1000, UTC)
            yield f"{len(short)} subjects do not end where they should: the first one's next slot would be at {last}"


def milliseconds(text: str) -> int:
    """Return the Unix milliseconds of a time in a record."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)
