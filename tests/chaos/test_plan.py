"""Mishaps: they follow from the seed, and leave somebody to judge by."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from torture.chaos.plan import OF_A_BROKER, OF_A_MACHINE, Kind, Mishap, Scene, counted, plan

SCENE = Scene(machines=3, nodes=3, lease=6.0, standstill=6.5, every=1.0, off=0.8)

seeds = st.integers(0, 2**32)


def test_the_same_seed_brings_the_same_mishaps() -> None:
    assert plan(7, 60.0, SCENE) == plan(7, 60.0, SCENE)
    assert plan(7, 60.0, SCENE) != plan(8, 60.0, SCENE)


@given(seeds, st.floats(1.0, 300.0))
def test_everything_is_in_order_and_over_in_time(seed: int, seconds: float) -> None:
    mishaps = plan(seed, seconds, SCENE)
    assert [one.at for one in mishaps] == sorted(one.at for one in mishaps)
    assert all(one.seconds > 0 and one.end <= seconds for one in mishaps)


@given(seeds)
def test_nobody_is_met_by_two_mishaps_at_once(seed: int) -> None:
    for kinds in (OF_A_MACHINE, frozenset({Kind.KILL_READER})):
        for one, other in combinations([one for one in plan(seed, 90.0, SCENE) if one.kind in kinds], 2):
            assert one.target != other.target or one.end <= other.at


@given(seeds)
def test_one_broker_at_most_is_away(seed: int) -> None:
    away = [one for one in plan(seed, 90.0, SCENE) if one.kind in OF_A_BROKER]
    assert all(one.end <= other.at for one, other in combinations(away, 2))
    assert all(one.target < SCENE.nodes for one in away)


@given(seeds)
def test_every_kind_has_its_turn(seed: int) -> None:
    assert counted(plan(seed, 300.0, SCENE)).keys() == set(Kind)


@given(seeds)
def test_pauses_are_shorter_than_a_lease_and_longer_than_a_take_over(seed: int) -> None:
    pauses = [one.seconds for one in plan(seed, 600.0, SCENE) if one.kind is Kind.STOP_BOTH]
    assert any(pause < SCENE.lease for pause in pauses)
    assert any(pause > SCENE.standstill for pause in pauses)
    assert not any(SCENE.lease <= pause <= SCENE.standstill for pause in pauses)


@given(seeds)
def test_one_broker_alone_is_followed_by_no_other(seed: int) -> None:
    mishaps = plan(seed, 200.0, replace(SCENE, nodes=1))
    assert Kind.LEADER not in counted(mishaps)
    assert all(one.target == 0 for one in mishaps if one.kind in OF_A_BROKER)


@given(seeds)
def test_clocks_alone_are_off_and_by_little(seed: int) -> None:
    for one in plan(seed, 200.0, SCENE):
        assert (one.by != 0) is (one.kind is Kind.CLOCK)
        assert abs(one.by) <= SCENE.off


def test_a_mishap_says_what_it_is() -> None:
    assert str(Mishap(1.0, Kind.CLOCK, 2, 3.0, -0.5)) == (
        "   1.00 s  a machine's wall clock is off by -0.5 s, number 2, for 3.00 s"
    )
