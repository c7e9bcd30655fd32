"""A clock that is moved by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from wolkvox_async.ports import Clock
from wolkvox_async.testing import ManualClock

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_it_stands_still_until_it_is_moved() -> None:
    clock: Clock = ManualClock(now=5.0, utc=NOON)
    assert (clock.now(), clock.utc()) == (5.0, NOON)
    assert (clock.now(), clock.utc()) == (5.0, NOON)


def test_both_times_move_together() -> None:
    clock = ManualClock(now=5.0, utc=NOON)
    clock.advance(90.5)
    assert (clock.now(), clock.utc()) == (95.5, NOON + timedelta(seconds=90.5))


def test_the_wall_clock_may_be_set_without_time_passing() -> None:
    clock = ManualClock(now=5.0, utc=NOON)
    clock.step_wall(-3600)
    assert (clock.now(), clock.utc()) == (5.0, NOON - timedelta(hours=1))


def test_alarms_ring_in_their_order_and_at_their_time() -> None:
    clock = ManualClock(now=0.0)
    rung: list[tuple[str, float]] = []
    for name, when in (("late", 9.0), ("early", 2.0), ("early too", 2.0), ("never", 11.0)):
        clock.alarm(when, lambda name=name: rung.append((name, clock.now())))  # type: ignore[misc]
    clock.advance(10)
    assert rung == [("early", 2.0), ("early too", 2.0), ("late", 9.0)]
    assert clock.now() == 10


def test_an_alarm_rings_once() -> None:
    clock = ManualClock(now=0.0)
    rung: list[float] = []
    clock.alarm(1.0, lambda: rung.append(clock.now()))
    clock.advance(2)
    clock.advance(2)
    assert rung == [1.0]


def test_a_cancelled_alarm_does_not_ring_and_a_rung_one_may_be_cancelled() -> None:
    clock = ManualClock(now=0.0)
    rung: list[str] = []
    cancelled = clock.alarm(1.0, lambda: rung.append("cancelled"))
    kept = clock.alarm(1.0, lambda: rung.append("kept"))
    cancelled.cancel()
    clock.advance(1)
    kept.cancel()
    assert rung == ["kept"]


def test_an_alarm_set_by_an_alarm_rings_on_the_way() -> None:
    clock = ManualClock(now=0.0)
    rung: list[float] = []

    def again() -> None:
        rung.append(clock.now())
        clock.alarm(clock.now() + 3, again)

    clock.alarm(1.0, again)
    clock.advance(8)
    assert rung == [1.0, 4.0, 7.0]


def test_an_alarm_in_the_past_rings_when_the_clock_moves_next() -> None:
    clock = ManualClock(now=10.0)
    rung: list[float] = []
    clock.alarm(3.0, lambda: rung.append(clock.now()))
    assert rung == []
    clock.advance(0)
    assert rung == [10.0]


def test_alarms_that_were_set_and_cancelled_are_not_kept() -> None:
    clock = ManualClock(now=0.0)
    for n in range(10_000):
        clock.alarm(100.0 + n, lambda: None).cancel()
    assert len(clock._alarms) < 10
