"""Stopping, giving up and leaving: every call ends, and nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import anyio
import pytest
import pytest_asyncio

from wolkvox_async.engine import CallResult, Engine
from wolkvox_async.model import Answer, Breakdown, Call, ErrorKind
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.testing import ManualClock, ok_answer

from .stage import BROKEN, GOOD, Gate, Stage, ends, kind_of, left, many, outcomes, read_all, settle_down, subscription

THREE = ("interactions", "gamification", "ivr_calls")


def ended(result: CallResult) -> str:
    return result.outcome if result.error is None else f"{result.outcome} {result.error.kind}"


# --- stop ---------------------------------------------------------------------------------


async def test_stopping_skips_what_waits_and_lets_what_is_in_flight_end() -> None:
    gate = Gate()
    stage = Stage(many(5, THREE), gate, limits=Limits(max_in_flight=2))
    async with stage.engine() as engine, engine.fetch() as records:
        calls = [asyncio.create_task(engine.call(f"t{n}/main", "vision")) for n in range(5)]
        await settle_down()
        engine.stop()
        await settle_down()
        gate.open()
        seen = [record async for record in records]
        results = [ended(await call) for call in calls]
        summary = records.summary()
    assert outcomes(seen) == {"ok": 2, "skipped stopping": 13}
    assert results == ["skipped stopping"] * 5
    assert len(gate.arrived) == 2
    assert (seen[-1].get("event"), summary.stopped) == ("stopped", True)
    assert stage.ear.settled_once


async def test_stopping_ends_a_tried_call_with_its_last_failure() -> None:
    stage = Stage(many(2, THREE[:1]), lambda _call, _n: BROKEN, clock=ManualClock())
    async with stage.engine() as engine, engine.fetch() as records:
        call = asyncio.create_task(engine.call("t0/main", "vision"))
        await settle_down()
        engine.stop()
        seen = [record async for record in records]
        result = await call
    assert outcomes(seen) == {"failed server_error": 2}
    assert [end["attempts"] for end in ends(seen)] == [1, 1]
    assert ended(result) == "skipped stopping", "it stood behind a call that was tried"


async def test_a_failure_after_stopping_is_not_tried_again() -> None:
    gate = Gate(BROKEN)
    stage = Stage(many(1), gate)
    async with stage.engine() as engine:
        call = asyncio.create_task(engine.call("t0/main", "vision"))
        await settle_down()
        engine.stop()
        gate.open()
        assert ended(await call) == "failed server_error"


async def test_after_stopping_new_calls_and_passes_end_as_skipped() -> None:
    stage = Stage(many(3))
    async with stage.engine() as engine:
        engine.stop()
        records = await read_all(engine)
        assert outcomes(records) == {"skipped stopping": 3}
        assert records[-1].get("event") == "stopped"
        assert ended(await engine.call("t0/main", "vision")) == "skipped stopping"
    assert not stage.scripted.calls


async def test_a_pass_that_had_ended_when_the_engine_was_stopped_is_finished() -> None:
    async with Stage(many(2)).engine() as engine, engine.fetch() as records:
        reading = aiter(records)
        first = await anext(reading)
        await settle_down()
        engine.stop()
        seen = [first, *[record async for record in reading]]
    assert seen[-1].get("event") == "finished"


async def test_stopping_twice_is_stopping() -> None:
    stage = Stage(many(4), Gate(), limits=Limits(max_in_flight=1))
    async with stage.engine() as engine, engine.fetch() as records:
        await settle_down()
        engine.stop()
        engine.stop()
        engine.abandon()
        engine.abandon()
        assert outcomes([record async for record in records]) == {"skipped stopping": 3, "failed stopping": 1}
    assert stage.ear.settled_once


async def test_stopping_in_the_middle_of_entering_a_pass_leaves_no_call_unended() -> None:
    stage = Stage(many(1_400), limits=Limits(max_in_flight=3))
    async with stage.engine() as engine:
        records = engine.fetch()
        entering = asyncio.create_task(records.__aenter__())
        while not engine.snapshot().queued:
            await asyncio.sleep(0)
        engine.stop()
        await entering
        seen = [record async for record in records]
        await records.__aexit__(None, None, None)
    assert sum(outcomes(seen).values()) == 1_400
    assert seen[-1].get("event") == "stopped"


# --- abandon ------------------------------------------------------------------------------


async def test_giving_up_ends_what_is_in_flight_as_failed() -> None:
    stage = Stage(many(3, THREE), Gate(), limits=Limits(max_in_flight=2))
    async with stage.engine() as engine, engine.fetch() as records:
        await settle_down()
        engine.abandon()
        seen = [record async for record in records]
        assert outcomes(seen) == {"failed stopping": 2, "skipped stopping": 7}
        assert engine.snapshot().in_flight == 0
        assert stage.scripted.most_at_once == 2
    assert [end["attempts"] for end in ends(seen) if kind_of(end) == "stopping" and end["outcome"] == "failed"] == [
        1,
        1,
    ]


async def test_giving_up_starts_nothing_that_was_about_to_start() -> None:
    big = ok_answer([{"filler": "x" * 1_100_000}])
    stage = Stage([subscription("acme/bogota", THREE)], lambda _call, _n: big)
    async with stage.engine() as engine, engine.fetch() as records:
        while not stage.scripted.calls:
            await asyncio.sleep(0)
        engine.abandon()
        called = len(stage.scripted.calls)
        seen = [record async for record in records]
    assert len(stage.scripted.calls) == called
    assert sum(outcomes(seen).values()) == 3


async def test_an_answer_that_was_there_already_may_count() -> None:
    gate = Gate()
    stage = Stage(many(1), gate)
    async with stage.engine() as engine:
        call = asyncio.create_task(engine.call("t0/main", "vision"))
        await settle_down()
        gate.open()
        engine.abandon()
        assert ended(await call) in ("ok", "failed stopping")
    assert stage.ear.settled_once


async def test_a_transport_that_takes_its_time_to_be_cancelled_is_waited_for() -> None:
    tidied = []

    async def script(call: Call, _number: int) -> Answer:
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(20):
                await asyncio.sleep(0)
            tidied.append(call)
        return GOOD

    stage = Stage(many(5), script)
    async with stage.engine() as engine:
        callers = [asyncio.create_task(engine.call(f"t{n}/main", "vision")) for n in range(5)]
        await settle_down()
    assert len(tidied) == 5
    assert [ended(await caller) for caller in callers] == ["failed stopping"] * 5
    assert stage.scripted.closed


# --- leaving ------------------------------------------------------------------------------


async def test_leaving_ends_the_calls_of_others_as_values() -> None:
    before = left()
    stage = Stage(many(4), Gate(), limits=Limits(max_in_flight=2))
    async with stage.engine() as engine:
        callers = [asyncio.create_task(engine.call(f"t{n}/main", "vision")) for n in range(4)]
        await settle_down()
    assert [ended(await caller) for caller in callers] == ["failed stopping"] * 2 + ["skipped stopping"] * 2
    assert left() == before


async def test_leaving_ends_the_passes_of_others_with_a_stopped_record() -> None:
    before = left()
    stage = Stage(many(30), Gate(), limits=Limits(max_in_flight=2))
    async with stage.engine() as engine:
        reading = [asyncio.create_task(read_all(engine)) for _ in range(3)]
        await settle_down()
    for task in reading:
        seen = await task
        assert sum(outcomes(seen).values()) == 30
        assert seen[-1].get("event") == "stopped"
    assert left() == before
    assert stage.scripted.closed


async def test_leaving_while_nobody_reads_a_big_answer_leaves_nothing() -> None:
    before = left()
    big = ok_answer([{"filler": "x" * 1_100_000}])
    stage = Stage(many(6, THREE), lambda _call, _n: big, limits=Limits(max_in_flight=3))
    async with stage.engine() as engine:
        records = engine.fetch()
        await records.__aenter__()
        await settle_down(100)
    seen = [record async for record in records]
    assert sum(outcomes(seen).values()) == 18
    assert seen[-1].get("event") == "stopped"
    assert left() == before


async def test_leaving_keeps_no_timer_of_tokens_that_wait() -> None:
    before = left()
    stage = Stage(many(10), lambda _call, _n: BROKEN)
    async with stage.engine() as engine:
        callers = [asyncio.create_task(engine.call(f"t{n}/main", "vision")) for n in range(10)]
        await settle_down()
        assert left().timers == before.timers + 1
    assert {ended(await caller) for caller in callers} == {"failed server_error"}
    assert left() == before


@pytest.mark.parametrize("error", [ValueError("made up"), KeyboardInterrupt(), SystemExit(3)])
async def test_what_leaves_the_block_is_what_was_raised_in_it(error: BaseException) -> None:
    async def use() -> None:
        async with Stage(many(3), Gate()).engine() as engine, engine.fetch() as records:
            async for _ in records:
                raise error

    before = left()
    with pytest.raises(type(error)) as caught:
        await use()
    assert caught.value is error
    assert left() == before


async def test_an_engine_may_be_left_in_another_task_than_it_was_entered_in() -> None:
    before = left()
    stage = Stage(many(3), Gate())
    engine = stage.engine()
    await asyncio.create_task(engine.__aenter__())
    call = asyncio.create_task(engine.call("t0/main", "vision"))
    await settle_down()
    await asyncio.create_task(engine.__aexit__(None, None, None))
    assert ended(await call) == "failed stopping"
    assert left() == before


@pytest_asyncio.fixture
async def engine_of_a_fixture() -> AsyncIterator[Engine]:
    async with Stage(many(2)).engine() as engine:
        yield engine


async def test_an_engine_may_be_a_fixture(engine_of_a_fixture: Engine) -> None:
    assert outcomes(await read_all(engine_of_a_fixture)) == {"ok": 2}


async def test_an_engine_may_be_entered_in_a_cancel_scope_that_ends_before_it() -> None:
    before = left()
    engine = Stage(many(2)).engine()
    with anyio.CancelScope() as scope:
        await engine.__aenter__()
        scope.cancel()
    assert (await engine.call("t0/main", "interactions")).ok
    await engine.__aexit__(None, None, None)
    assert left() == before


async def test_whoever_is_cancelled_while_leaving_waits_until_everything_is_closed() -> None:
    closing = asyncio.Event()

    async def script(_call: Call, _number: int) -> Answer | Breakdown:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            for _ in range(10):
                await asyncio.sleep(0)
            closing.set()
            raise
        raise AssertionError("nobody opens this")

    before = left()
    stage = Stage(many(2), script)

    async def use() -> None:
        async with stage.engine() as engine:
            await engine.call("t0/main", "vision")

    user = asyncio.create_task(use())
    await settle_down()
    user.cancel()
    await asyncio.sleep(0)
    for _ in range(5):
        user.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([user])
    assert user.cancelled()
    assert closing.is_set()
    assert stage.scripted.closed
    assert left() == before


async def slow_to_cancel(_call: Call, _number: int) -> Answer:
    """Wait for ever; when cancelled, take a second to close."""
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(1)
    raise AssertionError("nobody opens this")


@pytest.mark.looptime
async def test_a_cancellation_that_comes_while_leaving_is_raised_once_everything_is_closed() -> None:
    before = left()
    stage = Stage(many(2), slow_to_cancel)

    async def use() -> None:
        async with stage.engine() as engine:
            calls.append(asyncio.create_task(engine.call("t0/main", "vision")))
            await settle_down()

    calls: list[asyncio.Task[CallResult]] = []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await use()
    assert asyncio.get_running_loop().time() == 1
    assert ended(await calls[0]) == "failed stopping"
    assert stage.scripted.closed
    assert left() == before


@pytest.mark.looptime
async def test_a_scope_that_is_cancelled_waits_without_going_round_in_circles() -> None:
    before = left()
    stage = Stage(many(2), slow_to_cancel)
    with anyio.move_on_after(0.5) as scope:
        async with stage.engine() as engine:
            await engine.call("t0/main", "vision")
    assert scope.cancelled_caught
    assert asyncio.get_running_loop().time() == 1.5
    assert left() == before


async def test_an_engine_whose_block_does_nothing_leaves_nothing() -> None:
    before = left()
    stage = Stage(many(2))
    async with stage.engine():
        pass
    assert stage.scripted.closed
    assert left() == before
    assert stage.ear.events == []


async def test_the_kind_of_what_was_given_up_says_that_it_may_be_tried_again_elsewhere() -> None:
    stage = Stage(many(1), Gate())
    async with stage.engine() as engine:
        call = asyncio.create_task(engine.call("t0/main", "vision"))
        await settle_down()
    result = await call
    assert result.error is not None
    assert (result.error.kind, result.error.retryable) == (ErrorKind.STOPPING, False)
