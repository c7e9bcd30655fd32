"""What watching comes to: when, how much a minute, how late, and what cannot be met. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from wolkvox_async.scheduling.leads import Leads

from .delays import Closing, Delays, closings, steady, worst_by_operation
from .feasibility import Obstacle, Watching, obstacles
from .loads import Loads, loads
from .timetables import turns


@dataclass(frozen=True, slots=True)
class Almanac:
    """What there is to say; `turns` (Unix ms) with how many closing readings each has.

    `late` is how late a slot begins at most, in s by path: as a rule, and while closing readings are taken.
    """

    watching: Watching
    by_api: tuple[tuple[str, int], ...]
    turns: Mapping[int, int]
    loads: Loads
    steady: Delays
    closings: tuple[Closing, ...]
    late: Mapping[str, tuple[float, float]]
    cannot: tuple[Obstacle, ...]


def almanac(watching: Watching, leads: Leads, now: int) -> Almanac:
    """Work out what watching comes to from `now` (Unix ms) on; takes about 0.2 ms a subject."""
    subjects, scene = watching.subjects, watching.scene
    ordinary = steady(subjects, scene, now)
    closed = tuple(closings(subjects, scene, leads, now))
    closing = worst_by_operation(subjects, (found.delays for found in closed))
    return Almanac(
        watching,
        by_api=tuple(Counter(subject.api for subject in subjects).most_common()),
        turns={turn: len(numbers) for turn, numbers in turns(subjects, now).items()},
        loads=loads(subjects, scene.seconds, now),
        steady=ordinary,
        closings=closed,
        late={path: (late, closing[path]) for path, late in worst_by_operation(subjects, (ordinary,)).items()},
        cannot=tuple(obstacles(watching, closed)),
    )
