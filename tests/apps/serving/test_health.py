"""Who is alive, who is ready, and what the program shows of itself while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.apps.serving.prospects import FAILED, NOW, Prospects, missed, operations, settled, subjects
from wolkvox_async.adapters.clock import LoopClock
from wolkvox_async.apps.serving.freshness import Freshness
from wolkvox_async.apps.serving.health import BOUNDS, MOST_REASONS, Health, Standing, Vitals, liveness, readiness
from wolkvox_async.apps.serving.vitals import ASK_EVERY, SAMPLE_EVERY, FeltSink, LifeSigns, LoopLag, Pulse
from wolkvox_async.errors import OutputError, StateError
from wolkvox_async.ports import Alarm
from wolkvox_async.testing import ManualClock

WELL = Vitals(loop_lag=0.01, output=1.0, state=None)
BOGOTA = Standing("acme/bogota", "interactions", 300.0, since=1_000.0)


# --- alive ------------------------------------------------------------------------------------


def test_who_does_his_work_is_alive() -> None:
    assert liveness(WELL) == Health()
    assert liveness(WELL).answer() == (200, "application/json", b'{"ok":true,"reasons":[]}')


def test_an_output_that_has_nothing_to_take_is_no_reason() -> None:
    assert liveness(replace(WELL, output=None)).ok


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"loop_lag": BOUNDS.loop_lag + 0.1}, "event loop"),
        ({"output": BOUNDS.output + 1}, "output"),
        ({"state": BOUNDS.state + 1}, "state"),
        ({"failures": ("the state cannot be used: made up",)}, "cannot be used"),
    ],
)
def test_each_bound_that_is_passed_is_a_reason_in_words(change: dict[str, object], word: str) -> None:
    health = liveness(replace(WELL, **change))  # type: ignore[arg-type]
    assert not health.ok
    (reason,) = health.reasons
    assert word in reason
    status, _, body = health.answer()
    assert status == 503
    assert orjson.loads(body) == {"ok": False, "reasons": [reason]}


def test_what_stands_at_its_bound_is_still_well() -> None:
    assert liveness(Vitals(BOUNDS.loop_lag, BOUNDS.output, BOUNDS.state)).ok


# --- ready ------------------------------------------------------------------------------------


@given(st.floats(0, 10_000), st.floats(1, 4_000))
def test_ready_is_who_had_a_call_or_a_gap_within_three_intervals_and_three_minutes(silent: float, every: float) -> None:
    standing = BOGOTA._replace(since=0.0, interval=every)
    assert readiness([standing], silent).ok == (silent <= max(3 * every, 180))


def test_who_watches_nothing_is_ready() -> None:
    assert readiness([], 0.0).ok


def test_what_is_not_due_for_the_first_time_yet_counts_as_ready() -> None:
    late = BOGOTA.since + 1_000
    assert readiness([BOGOTA._replace(first_due=late + 1)], late).ok
    assert not readiness([BOGOTA._replace(first_due=late - 1)], late).ok


def test_a_reason_names_the_operation_and_says_since_when_nothing_came() -> None:
    assert readiness([BOGOTA], BOGOTA.since + 1_000).reasons == (
        "acme/bogota interactions: no call and no gap for 1000 s (its interval is 300 s)",
    )


def test_only_the_longest_silences_are_listed_and_the_others_counted() -> None:
    standings = [BOGOTA._replace(operation=f"acme/{n}", since=float(n)) for n in range(MOST_REASONS + 7)]
    health = readiness(reversed(standings), 5_000.0)
    assert [reason.split()[0] for reason in health.reasons] == [f"acme/{n}" for n in range(MOST_REASONS)]
    assert orjson.loads(health.answer()[2])["unlisted"] == 7
    assert health.words().endswith("and 7 more")


# --- readiness of a watch ------------------------------------------------------------------------


def watched_for(seconds: float) -> tuple[ManualClock, Freshness, Prospects]:
    clock = ManualClock(utc=NOW)
    freshness, watch = Freshness(clock), Prospects(*subjects(operations(2)))
    freshness.follow(watch)
    clock.advance(seconds)
    return clock, freshness, watch


def ready(freshness: Freshness) -> Health:
    return readiness(freshness.silent(), freshness.now())


def test_a_watch_that_just_began_is_ready() -> None:
    _, freshness, _ = watched_for(1)
    assert ready(freshness).ok


def test_a_watch_that_says_nothing_for_three_intervals_is_not_ready() -> None:
    _, freshness, _ = watched_for(901)
    assert len(ready(freshness).reasons) == 2


def test_a_failed_call_and_a_gap_are_both_something() -> None:
    clock, freshness, watch = watched_for(800)
    first, second = watch.subjects()
    freshness.observe(settled(first, FAILED))
    freshness.observe(missed(second))
    clock.advance(899)
    assert ready(freshness).ok
    clock.advance(2)
    assert len(ready(freshness).reasons) == 2


def test_a_first_slot_far_away_is_waited_for() -> None:
    clock, freshness, watch = watched_for(901)
    in_an_hour = round(clock.utc().timestamp() * 1000) + 3_600_000
    watch.due = {subject.key: in_an_hour for subject in watch.subjects()}
    assert ready(freshness).ok
    clock.advance(3_601)
    assert not ready(freshness).ok


def test_what_is_added_by_a_reload_has_its_time() -> None:
    clock, freshness, watch = watched_for(800)
    new = subjects(operations(3))
    for subject in watch.subjects():
        freshness.observe(settled(subject))
    watch.watch(*new)
    clock.advance(200)
    assert ready(freshness).ok


def test_a_clock_set_back_makes_nothing_overdue() -> None:
    clock, freshness, watch = watched_for(10)
    for subject in watch.subjects():
        freshness.observe(settled(subject))
    clock.step_wall(-86_400)
    clock.advance(5)
    assert ready(freshness).ok
    assert {reading.age(freshness.now()) for reading in freshness.readings()} == {0.0}


def test_a_machine_that_was_suspended_is_not_ready_until_its_gaps_are_told() -> None:
    clock, freshness, watch = watched_for(10)
    for subject in watch.subjects():
        freshness.observe(settled(subject))
    clock.step_wall(7_200)
    clock.advance(1)
    assert not ready(freshness).ok
    for subject in watch.subjects():
        freshness.observe(missed(subject))
    assert ready(freshness).ok


# --- the loop ---------------------------------------------------------------------------------------


class LateClock(ManualClock):
    """Rings every alarm so many seconds late."""

    late = 0.0

    def alarm(self, when: float, ring: Callable[[], None]) -> Alarm:  # type: ignore[override]
        return super().alarm(when + self.late, ring)


def test_a_loop_that_is_on_time_has_no_lag() -> None:
    clock = LateClock()
    with LoopLag(clock) as lag:
        clock.advance(10 * SAMPLE_EVERY)
        assert lag.seconds == 0
    assert dict(lag.lags.buckets())["0.001"] == 10


def test_a_loop_that_comes_late_is_late_until_it_is_on_time_again() -> None:
    clock = LateClock()
    clock.late = 2.0
    with LoopLag(clock) as lag:
        clock.late = 0.0
        clock.advance(SAMPLE_EVERY + 2.0)
        assert lag.seconds == 2.0
        clock.advance(SAMPLE_EVERY)
        assert lag.seconds == 0.0


def test_a_lag_is_seen_before_it_is_over() -> None:
    clock = LateClock()
    clock.late = 100.0
    with LoopLag(clock) as lag:
        clock.advance(SAMPLE_EVERY + 7.0)
        assert lag.seconds == 7.0


def test_after_the_block_nothing_is_sampled() -> None:
    clock = LateClock()
    with LoopLag(clock) as lag:
        pass
    clock.advance(60)
    assert (lag.seconds, dict(lag.lags.buckets())["+Inf"]) == (0.0, 0)


# --- the output and the state ------------------------------------------------------------------------


class SlowSink:
    """Takes what it is given once it is let; refuses it if told so."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.taken = b""
        self.refuses = False

    async def write(self, lines: bytes) -> int | None:
        await self.let.wait()
        if self.refuses:
            raise OutputError("made up")
        self.taken += lines
        return len(self.taken)


async def test_a_sink_is_felt_while_it_takes_something() -> None:
    clock, sink = ManualClock(), SlowSink()
    pulse = Pulse(clock)
    felt = FeltSink(sink, pulse)
    writing = asyncio.create_task(felt.write(b"line\n"))
    await asyncio.sleep(0)
    clock.advance(30)
    assert pulse.seconds == 30
    sink.let.set()
    assert await writing == 5
    assert sink.taken == b"line\n"
    assert not pulse.seconds


async def test_a_sink_that_refuses_is_not_at_work_any_more() -> None:
    pulse, sink = Pulse(ManualClock()), SlowSink()
    sink.refuses = True
    sink.let.set()
    with pytest.raises(OutputError):
        await FeltSink(sink, pulse).write(b"line\n")
    assert pulse.seconds is None


@pytest.mark.looptime
async def test_a_state_that_does_not_answer_is_noticed_and_so_is_that_it_does_again() -> None:
    let, asked = asyncio.Event(), 0

    async def ask() -> None:
        nonlocal asked
        asked += 1
        await let.wait()

    async with LifeSigns(LoopClock(), ask) as signs:
        await asyncio.sleep(BOUNDS.state + 1)
        assert not liveness(signs.vitals()).ok
        let.set()
        await asyncio.sleep(2.5 * ASK_EVERY)
        assert liveness(signs.vitals()).ok
    assert asked == 3


@pytest.mark.looptime
async def test_a_state_that_cannot_be_used_is_a_failure_for_good() -> None:
    async def ask() -> None:
        raise StateError("the disk is full")

    async with LifeSigns(LoopClock(), ask) as signs:
        await asyncio.sleep(3 * ASK_EVERY)
        assert signs.vitals().failures == ("the state cannot be used: the disk is full",)


@pytest.mark.looptime
async def test_a_breakdown_of_the_question_is_seen_and_raised_in_the_end() -> None:
    async def ask() -> None:
        raise ZeroDivisionError

    signs = await LifeSigns(LoopClock(), ask).__aenter__()
    await asyncio.sleep(1)
    assert not liveness(signs.vitals()).ok
    with pytest.raises(ZeroDivisionError):
        await signs.__aexit__()


@pytest.mark.looptime
async def test_leaving_the_block_leaves_no_task_behind() -> None:
    async def ask() -> None:
        await asyncio.Event().wait()

    async with LifeSigns(LoopClock(), ask):
        await asyncio.sleep(1)
    assert asyncio.all_tasks() == {asyncio.current_task()}
