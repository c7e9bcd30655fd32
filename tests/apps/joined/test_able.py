"""When a machine leaves its partitions to others because nothing gets through from it."""

from __future__ import annotations

import pytest

from wolkvox_async.apps.joined.able import Ability


def cut_off(ability: Ability, since: float, *, servers: int = 3, every: float = 5.0) -> float:
    """Have every attempt of a minute miss the vendor; return when it was over."""
    for number in range(13):
        ability.missed(f"{number % servers:04}", since + number * every)
    return since + 12 * every


def test_a_machine_from_which_nothing_gets_through_for_a_minute_is_not_able_for_a_while() -> None:
    ability = Ability()
    now = cut_off(ability, 100.0)
    assert not ability.is_able(now)
    assert not ability.is_able(now + 119.0)
    assert ability.is_able(now + 120.0)


def test_it_is_able_until_the_minute_is_over() -> None:
    ability = Ability()
    for number in range(30):
        ability.missed("0010", 100.0 + number)
        assert ability.is_able(100.0 + number)


def test_one_answer_is_enough() -> None:
    ability = Ability()
    cut_off(ability, 100.0)
    ability.reached()
    assert ability.is_able(161.0)


def test_a_few_attempts_at_one_server_say_nothing() -> None:
    ability = Ability()
    for number in range(5):
        ability.missed("0010", 100.0 + 15 * number)
    assert ability.is_able(161.0)


@pytest.mark.parametrize(("times", "pause"), [(1, 120), (2, 240), (4, 960), (6, 1800)])
def test_the_pause_grows_while_nothing_gets_through(times: int, pause: float) -> None:
    ability, now = Ability(), 0.0
    for _ in range(times):
        now = cut_off(ability, now + 5000.0)
        assert not ability.is_able(now)
    assert not ability.is_able(now + pause - 1)
    assert ability.is_able(now + pause)


def test_the_pause_is_short_again_after_an_answer() -> None:
    ability = Ability()
    assert not ability.is_able(cut_off(ability, 0.0))
    assert ability.is_able(1000.0)
    ability.reached()
    now = cut_off(ability, 1000.0)
    assert not ability.is_able(now)
    assert ability.is_able(now + 120.0)
