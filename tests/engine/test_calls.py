"""Single calls, from any number of tasks."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from wolkvox_async.model import Answer, Call, ErrorKind
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.testing import ManualClock, ok_answer

from .stage import (
    BROKEN,
    EMPTY,
    GOOD,
    REFUSED,
    ROWS,
    UNKNOWN,
    Gate,
    Stage,
    left,
    many,
    outcomes,
    read_all,
    settle_down,
    subscription,
)


async def test_a_call_brings_the_rows_as_they_were_sent() -> None:
    async with Stage([subscription()]).engine() as engine:
        result = await engine.call("acme/bogota", "interactions")
    assert (result.ok, result.outcome, result.rows, result.error, result.attempts) == (True, "ok", ROWS, None, 1)
    assert [record["type"] for record in result.records] == ["row", "call"]
    assert {record["run"] for record in result.records} == {result.run}


@pytest.mark.parametrize(
    ("answer", "outcome", "kind"),
    [(EMPTY, "empty", None), (UNKNOWN, "failed", ErrorKind.UNKNOWN_API), (REFUSED, "failed", ErrorKind.FORBIDDEN)],
)
async def test_how_a_call_ended_is_a_value(answer: Answer, outcome: str, kind: ErrorKind | None) -> None:
    async with Stage([subscription()], lambda _call, _n: answer).engine() as engine:
        result = await engine.call("acme/bogota", "interactions")
    assert (result.outcome, result.ok, result.rows) == (outcome, outcome == "empty", [])
    assert (result.error.kind if result.error else None) == kind


async def test_an_endpoint_may_be_called_that_the_tenants_file_does_not_ask_for() -> None:
    stage = Stage([subscription("acme/bogota", ("interactions",))])
    async with stage.engine() as engine:
        assert (await engine.call("acme/bogota", "billing/vision")).ok
    assert [call.api for call in stage.scripted.calls] == ["vision"]


async def test_a_thousand_tasks_at_once_keep_every_token_serial() -> None:
    async def script(_call: Call, _number: int) -> Answer:
        for _ in range(3):
            await asyncio.sleep(0)
        return GOOD

    stage = Stage(many(7, servers=2), script)
    async with stage.engine() as engine:
        results = await asyncio.gather(*[engine.call(f"t{n % 7}/main", "interactions") for n in range(1000)])
    assert Counter(result.outcome for result in results) == {"ok": 1000}
    assert (stage.scripted.overlaps, stage.scripted.most_at_once) == (0, 7)
    assert len({result.settlement.call.id for result in results}) == len(stage.scripted.calls) == 1000


async def test_a_tokens_calls_are_made_in_the_order_in_which_they_were_asked_for() -> None:
    apis = ("vision", "interactions", "nlp_ai", "tts_chars") * 10
    stage = Stage([subscription()], Gate(gate_answer := GOOD))
    gate = stage.script
    assert isinstance(gate, Gate)
    async with stage.engine() as engine:
        waiting = [asyncio.create_task(engine.call("acme/bogota", api)) for api in apis]
        while not all(task.done() for task in waiting):
            await settle_down(3)
            gate.open()
    assert gate_answer is GOOD
    assert tuple(call.api for call in stage.scripted.calls) == apis


async def test_passes_and_calls_share_the_tokens_queue() -> None:
    async def script(_call: Call, _number: int) -> Answer:
        await asyncio.sleep(0)
        return GOOD

    stage = Stage(many(5, ("interactions", "gamification")), script)
    async with stage.engine() as engine:
        one, other, *calls = await asyncio.gather(
            read_all(engine), read_all(engine), *[engine.call(f"t{n % 5}/main", "vision") for n in range(50)]
        )
    assert outcomes(one) == outcomes(other) == {"ok": 10}
    assert all(call.ok for call in calls)
    assert stage.scripted.overlaps == 0
    assert len(stage.scripted.calls) == 70


# --- a caller who is cancelled ------------------------------------------------------------


async def test_a_cancelled_caller_in_the_queue_is_forgotten() -> None:
    gate = Gate()
    stage = Stage([subscription()], gate)
    async with stage.engine() as engine:
        waiting = [asyncio.create_task(engine.call("acme/bogota", api)) for api in ("vision", "nlp_ai", "tts_chars")]
        await settle_down()
        waiting[1].cancel()
        for _ in range(2):
            await settle_down()
            gate.open()
        await asyncio.wait(waiting)
        assert engine.snapshot().queued == 0
        assert not engine._endings.callers
    assert [call.api for call in stage.scripted.calls] == ["vision", "tts_chars"]
    assert [task.cancelled() for task in waiting] == [False, True, False]


async def test_a_cancelled_caller_in_flight_is_finished_for_the_tokens_sake() -> None:
    gate = Gate()
    stage = Stage([subscription()], gate)
    async with stage.engine() as engine:
        first = asyncio.create_task(engine.call("acme/bogota", "vision"))
        await settle_down()
        first.cancel()
        second = asyncio.create_task(engine.call("acme/bogota", "nlp_ai"))
        await settle_down()
        assert (first.cancelled(), len(gate.arrived)) == (True, 1), "the token is not free yet"
        gate.open()
        await settle_down()
        gate.open()
        assert (await second).ok
    assert stage.scripted.overlaps == 0


async def test_a_cancelled_caller_whose_call_failed_is_not_tried_again() -> None:
    gate = Gate(BROKEN)
    stage = Stage([subscription()], gate, clock=(clock := ManualClock()))
    async with stage.engine() as engine:
        caller = asyncio.create_task(engine.call("acme/bogota", "vision"))
        await settle_down()
        caller.cancel()
        await settle_down()
        gate.open()
        await settle_down()
        clock.advance(600)
        await settle_down()
        assert engine.snapshot().queued == 0
    assert len(gate.arrived) == 1


async def test_a_caller_cancelled_between_two_attempts_leaves_no_timer() -> None:
    stage = Stage([subscription()], lambda _call, _n: BROKEN)
    async with stage.engine() as engine:
        before = left().timers
        caller = asyncio.create_task(engine.call("acme/bogota", "vision"))
        await settle_down()
        assert left().timers == before + 1
        caller.cancel()
        await settle_down()
        assert left().timers == before
        assert engine.snapshot().queued == 0


async def test_cancelled_callers_give_way_to_others_behind_the_limits() -> None:
    gate = Gate()
    stage = Stage(many(10), gate, limits=Limits(max_in_flight=1))
    async with stage.engine() as engine:
        callers = [asyncio.create_task(engine.call(f"t{n}/main", "vision")) for n in range(10)]
        await settle_down()
        for caller in callers[1:9]:
            caller.cancel()
        await settle_down()
        gate.open()
        await settle_down()
        gate.open()
        await asyncio.wait(callers)
        assert (await callers[9]).ok
    assert stage.sent == ["t0/main", "t9/main"]


async def test_a_time_limit_round_a_call_is_the_callers_own() -> None:
    gate = Gate()
    async with Stage([subscription()], gate).engine() as engine:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await engine.call("acme/bogota", "vision")
        after = asyncio.create_task(engine.call("acme/bogota", "nlp_ai"))
        for _ in range(2):
            await settle_down()
            gate.open()
        assert (await after).ok


async def test_a_big_answer_is_its_callers_and_keeps_nobody_waiting() -> None:
    big = ok_answer([{"filler": "x" * 1_100_000}])
    async with Stage([subscription()], lambda _call, _n: big).engine() as engine:
        results = await asyncio.gather(*[engine.call("acme/bogota", "vision") for _ in range(5)])
    assert [len(result.rows) for result in results] == [1] * 5
