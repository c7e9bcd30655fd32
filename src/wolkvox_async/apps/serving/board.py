"""What the page shows, kept up by what the engine tells as it happens. Pure.

An event names its operation, endpoint and slot. An endpoint whose dates span months, or
that is asked with several parameters, is watched in parts, each on a grid of its own: an
event is of the part on whose grid its slot stands.

Who shows it asks what changed since he last asked (`take_changes`), by the numbers of the
tracks. It holds no token: of an operation it keeps the names and the token's id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from wolkvox_async.fields import items_of
from wolkvox_async.identity import spelled
from wolkvox_async.model import Call, CallError, Empty, ErrorKind, Failed, GapReason, Ok, Operation, Slot
from wolkvox_async.ports import CallSettled, Clock, Event, SlotMissed, TokenClosed
from wolkvox_async.scheduling.subjects import Subject

from .looks import Prospect
from .machines import Cluster
from .months import Months
from .tracks import Closing, Gap, Gaps, Track

ADDED_ROWS: Final = 1_000  # of one answer; longer ones are not added up


@dataclass(frozen=True, slots=True)
class Place:
    """Whose something is: an operation by name, its server, its token's id, its timezone."""

    tenant: str
    operation: str
    server: str
    token: str
    timezone: str

    @classmethod
    def of(cls, operation: Operation) -> Place:
        """Return what may be shown of `operation`."""
        return cls(operation.tenant, operation.name, operation.server, operation.token.id, operation.timezone)

    @property
    def key(self) -> str:
        """A short name for addresses, the same at all times."""
        names = spelled(self.tenant) + spelled(self.operation)
        return blake2b(names.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


class Shut(NamedTuple):
    """A token out of use: why, and until when (Unix ms)."""

    kind: ErrorKind
    until: int


@dataclass(slots=True, eq=False)
class Post:
    """An operation on the board, with what is watched of it."""

    place: Place
    key: str
    tracks: list[Track] = field(default_factory=list)
    shut: Shut | None = None


@dataclass(slots=True)
class Totals:
    """What happened since the watch began."""

    ok: int = 0
    empty: int = 0
    failed: int = 0
    rows: int = 0
    closings_taken: int = 0
    closings_missed: int = 0
    gaps: dict[GapReason, int] = field(default_factory=lambda: dict.fromkeys(GapReason, 0))


class Outlook(NamedTuple):
    """What lies before a subject: next due (Unix ms), what its open call waits for, whether it is being asked."""

    due: int | None
    waits: GapReason | None
    in_flight: bool


_NO_OUTLOOK: Final = Outlook(None, None, False)


class Board:
    """Everything watched, and how it stands; empty until it follows a watch."""

    def __init__(self) -> None:
        self._prospect: Prospect | None = None
        self._version: int | None = None
        self._numbers = 0
        self._parts: dict[tuple[str, str, str], list[Track]] = {}
        self._changed: set[int] = set()  # at most as many as there are tracks
        self.months: Final = Months()
        self.totals: Final = Totals()
        self.cluster: Cluster | None = None  # that this machine has joined
        self.posts: dict[str, Post] = {}  # by the key of the place
        self.tracks: dict[int, Track] = {}  # by number
        self.owners: dict[int, Post] = {}  # by the number of a track
        self.layout = 0  # grows when tracks come and go

    def follow(self, prospect: Prospect, now: int) -> None:
        """Show what `prospect` watches from now on."""
        self._prospect, self._version = prospect, None
        self.refresh(now)

    @property
    def run(self) -> str | None:
        """The id of the watch's run."""
        return None if self._prospect is None else self._prospect.run

    @property
    def started(self) -> int | None:
        """When the watch began (Unix ms)."""
        return None if self._prospect is None else self._prospect.started

    def outlook(self, track: Track) -> Outlook:
        """Return what lies before `track`."""
        seen, key = self._prospect, track.key
        return _NO_OUTLOOK if seen is None else Outlook(seen.next_due(key), seen.waits(key), seen.in_flight(key))

    def gaps(self, post: Post, track: Track, now: int) -> Gaps | None:
        """Return the gaps of `track` in the month of `now`, if it has any."""
        return track.gaps_of(self.months.of(post.place.timezone, now).name)

    def take_changes(self) -> set[int]:
        """Return the numbers of the tracks that changed since this was asked last."""
        changed, self._changed = self._changed, set()
        return changed

    def refresh(self, now: int) -> None:
        """Take over what is watched, if that has changed; what stays keeps its track."""
        prospect = self._prospect
        if prospect is None or prospect.version == self._version:
            return
        self._version, watched = prospect.version, prospect.subjects()
        known = {track.key: track for track in self.tracks.values()}
        before, self.posts, self.tracks, self.owners, self._parts = self.posts, {}, {}, {}, {}
        for subject in watched:
            self._put(subject, known.get(subject.key) or self._new(subject, now), before)
        self._changed.clear()
        self.layout += 1

    def _new(self, subject: Subject, now: int) -> Track:
        self._numbers += 1
        interval = round(subject.interval * 1000)
        return Track(
            self._numbers, subject.key, subject.api, interval, subject.timetable.grid, subject.monthly, added=now
        )

    def _put(self, subject: Subject, track: Track, before: dict[str, Post]) -> None:
        place = Place.of(subject.operation)
        key = place.key
        post = self.posts.get(key)
        if post is None:
            known = before.get(key)
            shut = known.shut if known is not None and known.place == place else None
            post = self.posts[key] = Post(place, key, shut=shut)
        track.interval, track.grid = round(subject.interval * 1000), subject.timetable.grid
        post.tracks.append(track)
        self.tracks[track.number], self.owners[track.number] = track, post
        self._parts.setdefault((place.tenant, place.operation, track.api), []).append(track)

    def observe(self, event: Event, now: int) -> None:
        """Take notice of what the engine tells at `now` (Unix ms)."""
        if isinstance(event, CallSettled):  # by far the most
            if event.call.slot is not None:
                self._settled(event, event.call.slot, now)
        elif isinstance(event, SlotMissed):
            self._missed(event, now)
        elif isinstance(event, TokenClosed):
            post = self.posts.get(Place.of(event.operation).key)
            if post is not None:
                post.shut = Shut(event.kind, now + round(event.seconds * 1000))

    def _settled(self, event: CallSettled, slot: Slot, now: int) -> None:
        call, outcome = event.call, event.outcome
        track = self._track(call.operation, call.api, slot, now)
        if isinstance(outcome, Ok):
            self.totals.ok += 1
            self.totals.rows += len(outcome.rows)
        elif isinstance(outcome, Empty):
            self.totals.empty += 1
        elif isinstance(outcome, Failed):
            self.totals.failed += 1
        else:
            return
        if track is not None:
            _note(track, outcome, now)
            track.seconds = event.seconds
            self._changed.add(track.number)
        if slot.closing:
            self._closing(track, call, outcome, now)

    def _closing(self, track: Track | None, call: Call, outcome: Ok | Empty | Failed, now: int) -> None:
        trouble = outcome.error.kind.value if isinstance(outcome, Failed) else None
        if trouble is None:
            self.totals.closings_taken += 1
        else:
            self.totals.closings_missed += 1
        if track is not None and call.slot is not None:
            month = self.months.of(call.operation.timezone, call.slot.place).name
            track.closed(Closing(month, call.slot.due, None if trouble else now, trouble))

    def _missed(self, event: SlotMissed, now: int) -> None:
        slot = event.slot
        track = self._track(event.operation, event.api, slot, now)
        self.totals.gaps[event.reason] += 1
        self.totals.closings_missed += slot.closing
        if track is None:
            return
        month = self.months.of(event.operation.timezone, slot.place).name
        track.missed(Gap(slot.due, event.reason, slot.closing), month)
        if slot.closing:
            track.closed(Closing(month, slot.due, None, event.reason.value))
        self._changed.add(track.number)

    def _track(self, operation: Operation, api: str, slot: Slot, now: int) -> Track | None:
        key = (operation.tenant, operation.name, api)
        parts = self._parts.get(key)
        if parts is None:  # it may have been added a moment ago
            self.refresh(now)
            parts = self._parts.get(key) or []
        if len(parts) == 1:
            return parts[0]
        return next((part for part in parts if part.grid.has(slot)), None)


class BoardHook:
    """Tells the board what the engine tells, and when."""

    def __init__(self, board: Board, clock: Clock) -> None:
        self._board: Final = board
        self._clock: Final = clock

    def observe(self, event: Event) -> None:
        """Take notice of `event`."""
        self._board.observe(event, milliseconds(self._clock))


def milliseconds(clock: Clock) -> int:
    """Return the wall clock's time (Unix ms)."""
    return round(clock.utc().timestamp() * 1000)


def _note(track: Track, outcome: Ok | Empty | Failed, now: int) -> None:
    if isinstance(outcome, Ok):
        track.read(now, "ok", _items(outcome.rows), len(outcome.rows))
    elif isinstance(outcome, Empty):
        track.read(now, "empty", None, 0)
    else:
        error: CallError = outcome.error
        track.failed(now, error.kind, error.message)


def _items(rows: list[Any]) -> float | None:
    """Add up what rows say under `items`; None when they do not, or are too many to be added up in passing."""
    if len(rows) > ADDED_ROWS:
        return None
    found = [items for items in map(items_of, rows) if items is not None]
    return sum(found) if found else None
