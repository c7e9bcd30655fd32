"""Whatever happens, no two machines use a partition at once; and without any one of the rules, two do.

The controls leave out one rule each. If they found nothing, the simulation would prove nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wolkvox_async.clustering.contender import Claim, Contender
from wolkvox_async.clustering.holder import Holder
from wolkvox_async.clustering.leases import Reading
from wolkvox_async.clustering.terms import LeaseTerms

from .world import TERMS, Happening, OverlapError, Rules, World, happen

# What happens, the more often the more useful it is.
KINDS: Final = (
    *["cycle"] * 10,
    *["moment"] * 5,
    *["step"] * 4,
    *["wait"] * 4,
    *["fate"] * 2,
    *["lag", "leave", "forget", "deliver", "freeze"],
)
HAPPENINGS: Final = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 2), st.integers(0, 5)), min_size=20, max_size=70
)


def overlap(rules: Rules, happenings: Sequence[Happening]) -> str | None:
    """Return whose calls were at work at once."""
    try:
        world = World(rules)
        for happening in happenings:
            happen(world, happening)
    except OverlapError as error:
        return str(error)
    return None


def chance(seed: int, length: int = 60) -> list[Happening]:
    random = Random(seed)
    return [(random.choice(KINDS), random.randrange(3), random.randrange(6)) for _ in range(length)]


@settings(max_examples=150)
@given(HAPPENINGS)
def test_no_two_use_the_partition_at_once(happenings: list[Happening]) -> None:
    assert overlap(Rules(), happenings) is None


@pytest.mark.parametrize("seed", range(4))
def test_no_two_use_it_in_a_long_time_either(seed: int) -> None:
    assert overlap(Rules(), chance(seed, 800)) is None


def test_the_simulation_starts_with_one_that_uses_it_and_two_that_watch() -> None:
    world = World(Rules())
    first, *others = world.machines
    assert [calls.machine for calls in world.calls] == [first]
    assert all(machine.contender.leases()[0].owner == "m0" and machine.holder is None for machine in others)


def test_machines_take_the_partition_from_each_other_many_times() -> None:
    world = World(Rules())
    for happening in chance(1, 600):
        happen(world, happening)
    assert max(lease.epoch for machine in world.machines for lease in machine.contender.leases().values()) > 5


class NoStandstill(LeaseTerms):
    """Terms by which nothing has to stand still."""

    __slots__ = ()

    @property
    def standstill(self) -> float:
        return 0.0


class NeverAnew(Contender):
    """Counts from when it first saw a key, whatever was written since."""

    def _see(self, partition: int, held: Reading | None, now: float) -> None:
        before = self._sights.get(partition)
        super()._see(partition, held, now)
        if before is not None:
            self._sights[partition].since = before.since


class Credulous(Contender):
    """Believes every read, however old it is."""

    def _counts(self, own: Reading | None) -> bool:
        return own is not None or self._beaten is None


class Hasty(Contender):
    """Takes what is free, whoever may have had it since."""

    def claimable_at(self, partition: int) -> float | None:
        sight = self._sights.get(partition)
        free = sight is not None and sight.lease is not None and sight.lease.free
        return sight.since if sight is not None and free else super().claimable_at(partition)


class Forgetful(Contender):
    """Makes claims that are alike."""

    def claimable(self, partition: int, now: float, quarantine: float) -> Claim | None:
        claim = super().claimable(partition, now, quarantine)
        return claim and replace(claim, lease=replace(claim.lease, claim=claim.lease.epoch))


class Clinging(Holder):
    """Renews what has ended."""

    __slots__ = ()

    def _may_write(self, now: float) -> bool:
        return super()._may_write(min(now, self.valid_until))

    def is_over(self, now: float) -> bool:
        return super().is_over(min(now, self.valid_until))


CYCLE_0: Final = ("cycle", 0, 0)
CYCLE_1: Final = ("cycle", 1, 0)
CYCLE_2: Final = ("cycle", 2, 0)
MOMENT: Final = ("moment", 0, 0)

# A rule that is left out, and what happens then.
STORIES: Final[Mapping[str, tuple[Rules, Sequence[Happening]]]] = {
    "a key has to stand still": (Rules(terms=NoStandstill(20.0, 0.2, 3.0, 10.0)), [CYCLE_1]),
    "a change begins the count anew": (Rules(contender=NeverAnew), [MOMENT, ("wait", 0, 2), CYCLE_2, ("cycle", 0, 1)]),
    "a lost connection begins it anew": (
        Rules(blind=False),
        [("step", 1, 5), ("wait", 1, 4), ("wait", 2, 5), CYCLE_2, ("forget", 2, 3), CYCLE_1],
    ),
    "first seen is when the answer came": (
        Rules(first_seen_when_answered=False),
        [CYCLE_1, MOMENT, ("wait", 2, 1), CYCLE_2, ("step", 1, 3)],
    ),
    "writes die with their connections": (
        Rules(writes_die_with_connections=False),
        [MOMENT, CYCLE_0, ("forget", 0, 4), MOMENT, CYCLE_1],
    ),
    "a read has to show our last beat": (
        Rules(contender=Credulous),
        [("leave", 0, 0), MOMENT, CYCLE_0, CYCLE_0, ("lag", 1, 4), CYCLE_0, ("forget", 1, 5), CYCLE_1, ("step", 1, 4)],
    ),
    "what is free at first sight waits": (
        Rules(contender=Hasty),
        [("leave", 0, 0), MOMENT, CYCLE_0, CYCLE_2, ("forget", 0, 2), CYCLE_1, CYCLE_1],
    ),
    "what has ended is not renewed": (
        Rules(holder=Clinging),
        [("wait", 2, 5), ("wait", 1, 2), CYCLE_2, ("forget", 1, 3), CYCLE_0, CYCLE_0],
    ),
    "no two claims are alike": (
        Rules(contender=Forgetful),
        [
            *[CYCLE_2, MOMENT, CYCLE_2, ("wait", 2, 4), CYCLE_2, ("lag", 2, 1), CYCLE_1],
            *[MOMENT, MOMENT, CYCLE_2, CYCLE_1, CYCLE_2],
        ],
    ),
    "clocks are compared": (Rules(looks_at_clocks=False), [("freeze", 0, 2), MOMENT, CYCLE_1]),
}


@pytest.mark.parametrize("left_out", STORIES)
def test_without_any_one_rule_two_use_it_at_once(left_out: str) -> None:
    rules, happenings = STORIES[left_out]
    assert overlap(rules, happenings) is not None
    assert overlap(Rules(), happenings) is None


# These are found without knowing what to look for.
COARSE: Final = {
    "no margin while clocks differ by half a percent": Rules(terms=replace(TERMS, margin=0.0)),
    "nothing has to stand still": STORIES["a key has to stand still"][0],
    "a change does not begin the count anew": Rules(contender=NeverAnew),
    "a lost connection begins nothing anew": Rules(blind=False),
    "first seen when the read was sent": Rules(first_seen_when_answered=False),
}


@pytest.mark.parametrize("defect", COARSE)
def test_chance_finds_what_is_coarse(defect: str) -> None:
    assert any(overlap(COARSE[defect], chance(seed)) for seed in range(300))
