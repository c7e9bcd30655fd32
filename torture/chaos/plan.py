"""What happens to whom, and when: values that follow from a seed. Pure.

Every kind has its turn before any comes again. Nobody is met by two mishaps at once, and of
several brokers one at most is away, so that there is a majority. All of it is over by the end
of the plan, and what was killed is told to be there again.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What can happen."""

    KILL_MACHINE = "kill -9 of a machine"
    KILL_CHILD = "kill -9 of a machine's child"
    LEAVE = "SIGTERM for a machine"
    STOP_PARENT = "SIGSTOP of a machine's parent"
    STOP_CHILD = "SIGSTOP of a machine's child"
    STOP_BOTH = "SIGSTOP of parent and child"
    ORPHAN = "SIGSTOP of a child, whose parent is killed"
    CUT = "a wire to the broker swallows everything"
    CLOCK = "a machine's wall clock is off"
    KILL_BROKER = "kill -9 of a broker"
    STOP_BROKER = "SIGSTOP of a broker"
    LEADER = "another broker leads"
    FULL = "the stream is full"
    KILL_READER = "kill -9 of the reader"


@dataclass(frozen=True, slots=True)
class Mishap:
    """Something that begins `at` and lasts; `target` is the number of a machine or broker, `by` what a clock is off by.

    Seconds. What was killed is started again at the end.
    """

    at: float
    kind: Kind
    target: int
    seconds: float
    by: float = 0.0

    @property
    def end(self) -> float:
        """When it is over."""
        return self.at + self.seconds

    def __str__(self) -> str:
        off = f" by {self.by:+.1f} s" if self.by else ""
        return f"{self.at:7.2f} s  {self.kind}{off}, number {self.target}, for {self.seconds:.2f} s"


@dataclass(frozen=True, slots=True)
class Scene:
    """To whom it can happen: numbers of `machines` and `nodes` (brokers); times in seconds.

    Something happens every `every` on average. What lasts is shorter than the `lease`, or longer
    than `standstill`, after which others take over. Clocks are off by `off` at most. It is
    one of `kinds`.
    """

    machines: int
    nodes: int
    lease: float
    standstill: float
    every: float
    off: float
    kinds: frozenset[Kind] = frozenset(Kind)


OF_A_MACHINE: Final = frozenset(
    {
        Kind.KILL_MACHINE,
        Kind.KILL_CHILD,
        Kind.LEAVE,
        Kind.STOP_PARENT,
        Kind.STOP_CHILD,
        Kind.STOP_BOTH,
        Kind.ORPHAN,
        Kind.CUT,
        Kind.CLOCK,
    }
)
OF_A_BROKER: Final = frozenset({Kind.KILL_BROKER, Kind.STOP_BROKER, Kind.LEADER, Kind.FULL})

# In a bag: each kind once for a short time, and those that can last also for a long one.
_LASTING: Final = frozenset({Kind.STOP_PARENT, Kind.STOP_CHILD, Kind.STOP_BOTH, Kind.CUT, Kind.ORPHAN})
_ENDING: Final = OF_A_MACHINE - {Kind.CUT, Kind.CLOCK}
_STARTING: Final = 3.0  # seconds in which a machine that has ended is there again
_SHORTEST: Final = 0.2
_LONGER: Final = (0.5, 3.0)  # than a standstill
_OF_THE_LEASE: Final = 0.6
_LONGEST_OUTAGE: Final = 3.0


def plan(seed: int, seconds: float, scene: Scene) -> tuple[Mishap, ...]:
    """Return what happens within `seconds`, in order of time."""
    return tuple(sorted(_mishaps(random.Random(seed), seconds, scene), key=lambda mishap: mishap.at))


def _mishaps(chance: random.Random, seconds: float, scene: Scene) -> Iterator[Mishap]:
    machines, broker, reader = [0.0] * scene.machines, [0.0], [0.0]
    now, bag = 0.0, _bag(chance, scene)
    while (now := now + scene.every * chance.uniform(0.3, 1.7)) < seconds:
        kind, lasts = next(bag)
        free = machines if kind in OF_A_MACHINE else broker if kind in OF_A_BROKER else reader
        target = chance.choice([n for n, until in enumerate(free) if until <= now] or [free.index(min(free))])
        at = max(now, free[target])
        mishap = Mishap(at, kind, target, _length(chance, kind, scene, lasts=lasts), _off(chance, kind, scene))
        if mishap.end > seconds:
            continue
        free[target] = mishap.end + (_STARTING if kind in _ENDING else 0.0)
        if kind in OF_A_BROKER:
            mishap = Mishap(at, kind, chance.randrange(scene.nodes), mishap.seconds)
        yield mishap


def _bag(chance: random.Random, scene: Scene) -> Iterator[tuple[Kind, bool]]:
    kinds = [kind for kind in Kind if kind in scene.kinds and (kind is not Kind.LEADER or scene.nodes > 1)]
    turns = [*((kind, False) for kind in kinds), *((kind, True) for kind in kinds if kind in _LASTING)]
    while True:
        chance.shuffle(turns)
        yield from turns


def _length(chance: random.Random, kind: Kind, scene: Scene, *, lasts: bool) -> float:
    if lasts or kind is Kind.ORPHAN:
        return scene.standstill + chance.uniform(*_LONGER)
    most = _LONGEST_OUTAGE if kind in OF_A_BROKER else scene.lease * _OF_THE_LEASE
    return chance.uniform(_SHORTEST, most)


def _off(chance: random.Random, kind: Kind, scene: Scene) -> float:
    return chance.choice((-1, 1)) * chance.uniform(0.3, 1.0) * scene.off if kind is Kind.CLOCK else 0.0


def counted(mishaps: Sequence[Mishap]) -> dict[Kind, int]:
    """Return how often each kind happens, in their order."""
    return {kind: number for kind in Kind if (number := sum(mishap.kind is kind for mishap in mishaps))}
