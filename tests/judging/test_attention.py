"""A vendor that stands still says so, and for how long what it read may have lain there."""

from __future__ import annotations

from itertools import pairwise

from tests.judging.attention import CAUGHT_UP, EVERY, LATE, Attention
from tests.judging.facts import StoodStill


def told(*ticks: float) -> list[StoodStill]:
    attention = Attention(ticks[0])
    return [still for tick in ticks[1:] if (still := attention.tick(tick)) is not None]


def in_time(since: float, number: int) -> list[float]:
    return [since + EVERY * (n + 1) for n in range(number)]


def test_ticks_in_time_say_nothing() -> None:
    assert told(0.0, *in_time(0.0, 100)) == []


def test_a_tick_that_is_a_little_late_says_nothing() -> None:
    assert told(0.0, EVERY + LATE * 0.9, *in_time(EVERY + LATE * 0.9, 10)) == []


def test_a_pause_lasts_from_the_last_tick_in_time_until_all_that_lay_there_was_read() -> None:
    ticks = [0.0, EVERY, 2.0, *in_time(2.0, 10)]
    (still,) = told(*ticks)
    assert still == StoodStill(2.0 + EVERY * CAUGHT_UP, EVERY)


def test_late_ticks_in_a_row_are_one_pause() -> None:
    ticks = [0.0, 1.0, 1.0 + EVERY, 2.0, 3.0, *in_time(3.0, 10)]
    (still,) = told(*ticks)
    assert (still.since, still.at) == (0.0, 3.0 + EVERY * CAUGHT_UP)


def test_the_next_pause_begins_after_the_last_one() -> None:
    ticks = [0.0, 1.0, *in_time(1.0, 10)]
    ticks += [ticks[-1] + 5.0, *in_time(ticks[-1] + 5.0, 10)]
    stills = told(*ticks)
    assert len(stills) == 2
    assert all(before.at <= after.since for before, after in pairwise(stills))
