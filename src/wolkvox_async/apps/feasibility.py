"""What of watching cannot be met, whatever the engine does, and what would help. Pure.

Four things are counted, each against what there is of it:

* calls a day, against the vendor's licences x 1,000 for a token. A closing reading may be
  one call more than the grid has: it is reserved, for each endpoint, in the month's last day;
* a token's seconds: its calls are made one after the other, so in one second there is one;
* a server's, of which there are as many as calls may be in flight to it;
* those of all calls in flight.

Calls that fail and are made again come on top of all four.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil, fsum
from typing import Final

from wolkvox_async.adapters.state import Survey
from wolkvox_async.engine.spare import CALLS_PER_LICENCE
from wolkvox_async.model import ErrorKind
from wolkvox_async.scheduling.subjects import Double, Subject

from .delays import Closing
from .languages import translated
from .rehearsal import Scene

_DAY: Final = 86_400  # seconds
_LISTED: Final = 20  # of each sort
_LONGEST: Final = 32 * _DAY  # seconds: an interval that nobody would call watching


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What cannot be met, and what helps."""

    what: str
    advice: str


@dataclass(frozen=True, slots=True)
class Demand:
    """What a subject needs every `interval` seconds, of something of which there is a certain amount a second."""

    amount: float
    interval: float


def least_interval(demands: Sequence[Demand], capacity: float) -> int | None:
    """Return the least whole interval (s) for all with which `capacity` a second is enough.

    What has a longer one keeps it. None when that would be longer than a month.
    """
    low, high = 1, _LONGEST
    if _needed(demands, high) > capacity:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _needed(demands, middle) <= capacity else (middle + 1, high)
    return low


def _needed(demands: Iterable[Demand], interval: float = 0.0) -> float:
    return fsum(demand.amount / max(demand.interval, interval) for demand in demands)


def _whole(needed: float) -> int:
    """Return the least whole number that is enough; what floats lose counts for nothing."""
    return ceil(round(needed, 6))


@dataclass(frozen=True, slots=True)
class Watching:
    """What is to be watched, with what; `licences` by operation path, where they are known."""

    subjects: Sequence[Subject]
    doubles: Sequence[Double]
    scene: Scene
    licences: Mapping[str, int]


def obstacles(watching: Watching, closings: Iterable[Closing]) -> list[Obstacle]:
    """Return everything that cannot be met."""
    sorts = (
        _quotas(watching),
        _tokens(watching),
        _servers(watching),
        _in_all(watching),
        _closings(watching, closings),
        _doubles(watching),
    )
    return [obstacle for sort in sorts for obstacle in _some(sort)]


def _some(found: Iterator[Obstacle]) -> Iterator[Obstacle]:
    yield from islice(found, _LISTED)
    if rest := sum(1 for _ in found):
        yield Obstacle(
            translated("{number} more of this sort", number=rest), translated("the first ones say what helps")
        )


# --- the sorts ------------------------------------------------------------------------


def _quotas(watching: Watching) -> Iterator[Obstacle]:
    for subjects in _by_token(watching.subjects):
        # Entries with one token are one operation of the vendor's, and its licences count once.
        paths = dict.fromkeys(subject.operation.path for subject in subjects)
        licences = max((watching.licences.get(path, 0) for path in paths), default=0)
        demands = [Demand(_DAY, subject.interval) for subject in subjects]
        reserved = sum(subject.monthly for subject in subjects)
        calls, allowed = _whole(_needed(demands)), licences * CALLS_PER_LICENCE
        if licences and calls + reserved > allowed:
            yield Obstacle(
                f"{next(iter(paths))}: {_calls_a_day(calls, reserved)}, {_licences(licences, allowed)}",
                translated(
                    "{interval}, fewer endpoints, or {licences} licences",
                    interval=_interval(demands, allowed - reserved),
                    licences=ceil((calls + reserved) / CALLS_PER_LICENCE),
                ),
            )


def _tokens(watching: Watching) -> Iterator[Obstacle]:
    gap = watching.scene.limits.token_gap
    for subjects in _by_token(watching.subjects):
        demands = _work(subjects, watching.scene, gap)
        if (busy := _needed(demands)) > 1:
            first = subjects[0].operation
            yield Obstacle(
                translated(
                    "{path}: the token {token} is asked {endpoints} endpoints, one after the other: "
                    "{busy:.2f} seconds of calls a second",
                    path=first.path,
                    token=first.token.id,
                    endpoints=len(subjects),
                    busy=busy,
                ),
                translated("{interval}, or fewer endpoints", interval=_interval(demands, 1.0)),
            )


def _servers(watching: Watching) -> Iterator[Obstacle]:
    limit = watching.scene.limits.per_server
    by_server: defaultdict[str, list[Subject]] = defaultdict(list)
    for subject in watching.subjects:
        by_server[subject.operation.server].append(subject)
    for server, subjects in by_server.items():
        demands = _work(subjects, watching.scene)
        if (busy := _needed(demands)) > limit:
            yield Obstacle(
                translated(
                    "server {server}: {busy:.1f} calls in flight are needed, --per-server is {limit}",
                    server=server,
                    busy=busy,
                    limit=limit,
                ),
                translated(
                    "--per-server {needed} if the vendor bears it, {interval}, or fewer endpoints",
                    needed=_whole(busy),
                    interval=_interval(demands, limit),
                ),
            )


def _in_all(watching: Watching) -> Iterator[Obstacle]:
    limit = watching.scene.limits.max_in_flight
    demands = _work(watching.subjects, watching.scene)
    if (busy := _needed(demands)) > limit:
        needed, interval = _whole(busy), _interval(demands, limit)
        yield Obstacle(
            translated("{busy:.1f} calls in flight are needed, --max-in-flight is {limit}", busy=busy, limit=limit),
            translated("--max-in-flight {needed}, {interval}, or fewer endpoints", needed=needed, interval=interval),
        )


def _closings(watching: Watching, closings: Iterable[Closing]) -> Iterator[Obstacle]:
    for closing in closings:
        for number in closing.late:
            subject = watching.subjects[number]
            yield Obstacle(
                translated(
                    "{path}: the closing reading of {api} would come after the month's turn",
                    path=subject.operation.path,
                    api=subject.api,
                ),
                translated("fewer endpoints for its token, or higher limits of calls in flight"),
            )


def _doubles(watching: Watching) -> Iterator[Obstacle]:
    for double in dict.fromkeys(watching.doubles):  # one for each month that is asked for
        yield Obstacle(
            translated(
                "{path}: {api} asks the same of the same token as {first}, which alone is watched",
                path=double.path,
                api=double.api,
                first=double.first,
            ),
            translated("take it out of one of the two"),
        )


# --- what a state folder knows --------------------------------------------------------


def held_in_words(known: Survey | None, subjects: Iterable[Subject]) -> list[str]:
    """Say of how many operations every slot is a gap for now, because of what the vendor said of their tokens."""
    tokens = {} if known is None else known.tokens
    refused: dict[str, set[str]] = {"quota": set(), "held": set()}
    for subject in subjects:
        token = tokens.get(subject.operation.token.id)
        if token is not None and token.refusal is not None:
            reason = "quota" if token.refusal.kind is ErrorKind.QUOTA else "held"
            refused[reason].add(subject.operation.path)
    whys = {"quota": "their quota is used up", "held": "the vendor refused their tokens (--retry-refused)"}
    said = "for now gaps only ({reason}), operations: {number}: {why}"
    return [
        translated(said, reason=reason, number=len(paths), why=translated(whys[reason]))
        for reason, paths in refused.items()
        if paths
    ]


# --- how ------------------------------------------------------------------------------


def _by_token(subjects: Iterable[Subject]) -> Iterable[list[Subject]]:
    found: defaultdict[str, list[Subject]] = defaultdict(list)
    for subject in subjects:
        found[subject.operation.token.id].append(subject)
    return found.values()


def _work(subjects: Iterable[Subject], scene: Scene, gap: float = 0.0) -> list[Demand]:
    return [Demand(scene.seconds(subject.operation, subject.api) + gap, subject.interval) for subject in subjects]


def _interval(demands: Sequence[Demand], capacity: float) -> str:
    least = least_interval(demands, capacity)
    return translated("no --interval is long enough") if least is None else f"--interval {least}"


def _calls_a_day(calls: int, reserved: int) -> str:
    if not reserved:
        return translated("{calls} calls a day", calls=calls)
    if reserved == 1:
        return translated("{calls} calls a day and 1 closing reading", calls=calls)
    return translated("{calls} calls a day and {readings} closing readings", calls=calls, readings=reserved)


def _licences(number: int, allowed: int) -> str:
    if number == 1:
        return translated("but 1 licence allows {allowed}", allowed=allowed)
    return translated("but {licences} licences allow {allowed}", licences=number, allowed=allowed)
