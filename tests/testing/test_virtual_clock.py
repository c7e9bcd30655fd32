"""The clocks of a machine in virtual time, and the world's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from wolkvox_async.ports import Clock
from wolkvox_async.testing import VirtualClock, VirtualLoop

T = TypeVar("T")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


def test_all_clocks_go_together_as_long_as_nothing_befalls_the_machine() -> None:
    async def main() -> None:
        clock = VirtualClock(NOON)
        port: Clock = clock
        now, elapsed = clock.now(), clock.elapsed()
        await asyncio.sleep(90)
        assert (clock.now() - now, clock.elapsed() - elapsed) == (90.0, 90.0)
        assert port.utc() == NOON + timedelta(seconds=90)
        assert clock.unix() == clock.wall() == port.utc().timestamp()

    run(main)


def test_a_suspended_machine_misses_time_and_its_monotonic_clock_stands_still() -> None:
    async def main() -> None:
        clock, rung = VirtualClock(NOON), list[datetime]()
        now, elapsed = clock.now(), clock.elapsed()
        clock.alarm(now + 10, lambda: rung.append(clock.utc()))
        clock.suspend(7_200)
        assert (clock.now() - now, clock.elapsed() - elapsed) == (0.0, 7_200.0)
        await asyncio.sleep(11)
        assert rung == [NOON + timedelta(seconds=7_210)]

    run(main)


def test_a_frozen_process_misses_time_and_its_timers_are_late() -> None:
    async def main() -> None:
        clock, rung = VirtualClock(NOON), list[datetime]()
        now = clock.now()
        clock.alarm(now + 10, lambda: rung.append(clock.utc()))
        clock.freeze(1_200)
        assert clock.now() - now == 1_200.0
        await asyncio.sleep(0.5)
        assert rung == [NOON + timedelta(seconds=1_200)]

    run(main)


def test_a_wall_clock_that_is_set_is_nothing_to_the_world() -> None:
    async def main() -> None:
        clock = VirtualClock(NOON)
        unix, now = clock.unix(), clock.now()
        clock.step(-600)
        assert clock.utc() == NOON - timedelta(minutes=10)
        assert (clock.unix(), clock.now()) == (unix, now)

    run(main)


@pytest.mark.parametrize("miss", [VirtualClock.suspend, VirtualClock.freeze])
def test_what_happens_in_the_world_happens_at_its_time_while_the_machine_stands_still(
    miss: Callable[[VirtualClock, float], None],
) -> None:
    async def main() -> list[tuple[str, float]]:
        clock, seen = VirtualClock(NOON), list[tuple[str, float]]()
        began = clock.unix()

        def note(name: str) -> Callable[[], None]:
            return lambda: seen.append((name, round(clock.unix() - began, 3)))

        clock.after(300, note("third"))
        clock.after(100, note("first"))
        clock.at(began + 200, note("second"))
        clock.after(50, note("never")).cancel()
        await asyncio.sleep(10)
        miss(clock, 250)
        seen.append(("awake", clock.unix() - began))
        await asyncio.sleep(100)
        return seen

    assert run(main) == [("first", 100.0), ("second", 200.0), ("awake", 260.0), ("third", 300.0)]


async def test_a_loop_of_real_time_has_no_virtual_clock() -> None:
    with pytest.raises(TypeError, match="needs a virtual loop"):
        VirtualClock()


@pytest.mark.parametrize("tenths", range(0, 20_000, 997))
def test_an_alarm_rings_when_its_time_has_come_and_not_a_hair_before(tenths: int) -> None:
    async def main() -> None:
        clock, early = VirtualClock(NOON), list[bool]()
        await asyncio.sleep(tenths / 10)
        for n in range(100):
            when = clock.now() + n * 0.1
            clock.alarm(when, lambda when=when: early.append(clock.now() < when))  # type: ignore[misc]
        await asyncio.sleep(11)
        assert early == [False] * 100

    run(main)
