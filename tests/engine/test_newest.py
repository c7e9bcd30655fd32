"""Readings that are shared by all who ask."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from wolkvox_async.adapters.state import MemoryState
from wolkvox_async.engine.newest import FAILURE_LASTS, Newest
from wolkvox_async.engine.result import CallResult
from wolkvox_async.engine.roster import Asked
from wolkvox_async.errors import UsageError
from wolkvox_async.model import Answer, Call, Ok
from wolkvox_async.planning import DateRange
from wolkvox_async.planning import call as planned
from wolkvox_async.settlements import Settlement
from wolkvox_async.testing import ManualClock, ok_answer

from .stage import (
    BROKEN,
    CATALOG,
    GOOD,
    REFUSED,
    UNKNOWN,
    Gate,
    LoopWall,
    Stage,
    left,
    read_all,
    settle_down,
    soon_only,
    subscription,
)

BOGOTA = ("acme/bogota", "interactions")


async def test_all_who_ask_at_once_share_one_call() -> None:
    gate = Gate()
    async with Stage([subscription()], gate, interval=300).engine() as engine:
        asking = [asyncio.create_task(engine.read(*BOGOTA)) for _ in range(500)]
        await settle_down()
        assert len(gate.arrived) == 1
        gate.open()
        results = await asyncio.gather(*asking)
    assert len({id(result) for result in results}) == 1
    assert results[0].outcome == "ok"


@pytest.mark.looptime
async def test_a_reading_serves_until_the_same_may_be_asked_again() -> None:
    stage = Stage([subscription()], interval=300)
    async with stage.engine() as engine:
        first = await engine.read(*BOGOTA)
        await asyncio.sleep(299)
        assert await engine.read(*BOGOTA) is first
        assert first.due is not None
        assert (first.due - first.at).total_seconds() == 300
        await asyncio.sleep(1)
        second = await engine.read(*BOGOTA)
        assert second is not first
        assert (second.at - first.at).total_seconds() == 300
    assert len(stage.sent) == 2


@pytest.mark.looptime
async def test_a_reading_may_serve_longer_but_never_shorter_than_its_interval() -> None:
    stage = Stage([subscription()], interval=300)
    async with stage.engine() as engine:
        first = await engine.read(*BOGOTA, max_age=3600)
        await asyncio.sleep(200)
        assert await engine.read(*BOGOTA, max_age=1) is first
        await asyncio.sleep(3000)
        assert await engine.read(*BOGOTA, max_age=3600) is first
        assert await engine.read(*BOGOTA) is not first
    assert len(stage.sent) == 2


async def test_an_empty_answer_is_a_reading_too() -> None:
    stage = Stage([subscription()], lambda _call, _n: ok_answer([]), interval=300)
    async with stage.engine() as engine:
        assert [(await engine.read(*BOGOTA)).outcome for _ in range(3)] == ["empty"] * 3
    assert len(stage.sent) == 1


@pytest.mark.looptime
async def test_a_failure_lasts_for_a_moment_only() -> None:
    answers = iter([UNKNOWN, GOOD])
    stage = Stage([subscription()], lambda _call, _n: next(answers), interval=300)
    async with stage.engine() as engine:
        first = await engine.read(*BOGOTA, max_age=3600)
        await asyncio.sleep(FAILURE_LASTS - 1)
        assert await engine.read(*BOGOTA, max_age=3600) is first
        await asyncio.sleep(1)
        assert (await engine.read(*BOGOTA, max_age=3600)).outcome == "ok"
    assert first.outcome == "failed"
    assert len(stage.sent) == 2


@pytest.mark.looptime
async def test_what_a_pass_asked_a_moment_ago_is_not_asked_again() -> None:
    stage = Stage([subscription()], interval=300)
    async with stage.engine() as engine:
        await read_all(engine)
        skipped = await engine.read(*BOGOTA)
        assert (skipped.outcome, skipped.error and skipped.error.kind.value) == ("skipped", "not_due")
        assert skipped.due is not None
        await asyncio.sleep((skipped.due - skipped.at).total_seconds())
        assert (await engine.read(*BOGOTA)).outcome == "ok"
    assert len(stage.sent) == 2


@pytest.mark.looptime
async def test_what_is_due_soon_is_waited_for() -> None:
    stage = Stage([subscription()], interval=300, wait=10)
    async with stage.engine() as engine:
        await read_all(engine)
        await asyncio.sleep(295)
        assert (await engine.read(*BOGOTA)).outcome == "ok"
        assert asyncio.get_running_loop().time() == pytest.approx(300, abs=0.1)


async def test_what_was_read_counts_for_passes() -> None:
    stage = Stage([subscription()], interval=300)
    async with stage.engine() as engine:
        await engine.read(*BOGOTA)
        (end,) = [record for record in await read_all(engine) if record["type"] == "call"]
    assert end["outcome"] == "skipped"
    assert len(stage.sent) == 1


async def test_a_single_call_is_made_all_the_same() -> None:
    stage = Stage([subscription()], interval=300)
    async with stage.engine() as engine:
        await engine.read(*BOGOTA)
        assert (await engine.call(*BOGOTA)).outcome == "ok"
    assert len(stage.sent) == 2


async def test_different_questions_have_different_readings() -> None:
    def script(call: Call, _number: int) -> Answer:
        return ok_answer([{"operation": call.operation.path, "description": call.question}])

    stage = Stage([subscription(), subscription("acme/quito")], script, interval=300)
    november = DateRange("2026-11-01", "2026-11-05")
    async with stage.engine() as engine:
        asked = [
            engine.read("acme/bogota", "interactions"),
            engine.read("acme/quito", "interactions"),
            engine.read("acme/bogota", "gamification"),
            engine.read("acme/bogota", "gamification", dates=november),
        ]
        results = await asyncio.gather(*asked)
    found = [(result.rows[0]["operation"], result.rows[0]["description"]) for result in results]
    assert len(set(found)) == 4
    assert found[1] == ("acme/quito", "interactions")


async def test_who_goes_away_leaves_the_call_to_the_others_and_to_the_next() -> None:
    gate = Gate()
    stage = Stage([subscription()], gate, interval=300)
    async with stage.engine() as engine:
        going, staying = (asyncio.create_task(engine.read(*BOGOTA)) for _ in range(2))
        await settle_down()
        going.cancel()
        await asyncio.wait((going,))
        gate.open()
        assert (await staying).ok
        assert going.cancelled()

    gate = Gate()
    stage = Stage([subscription()], gate, interval=300)
    async with stage.engine() as engine:
        going = asyncio.create_task(engine.read(*BOGOTA))
        await settle_down()
        going.cancel()
        await asyncio.wait((going,))
        gate.open()
        assert (await engine.read(*BOGOTA)).ok
    assert len(gate.arrived) == 1


async def test_unknown_names_are_the_callers_mistake_and_remembered_by_nobody() -> None:
    stage = Stage([subscription()])
    async with stage.engine() as engine:
        for operation, api, said in (("acme/lima", "interactions", "acme/lima"), ("acme/bogota", "no_such", "no_such")):
            asking = [engine.read(operation, api) for _ in range(3)]
            found = await asyncio.gather(*asking, return_exceptions=True)
            assert [type(one) for one in found] == [UsageError] * 3
            with pytest.raises(UsageError, match=said):
                await engine.read(operation, api)
    assert stage.sent == []


@pytest.mark.parametrize("is_waited_for", [True, False])
async def test_leaving_the_engine_ends_what_is_under_way_and_leaves_nothing(is_waited_for: bool) -> None:
    before, gate = left(), Gate()
    async with Stage([subscription()], gate).engine() as engine:
        asking = asyncio.create_task(engine.read(*BOGOTA))
        await settle_down()
        if not is_waited_for:
            asking.cancel()
    (ended,) = await asyncio.gather(asking, return_exceptions=True)
    if is_waited_for:
        assert isinstance(ended, CallResult)
        assert ended.error is not None
        assert ended.error.kind.value == "stopping"
    else:
        assert isinstance(ended, asyncio.CancelledError)
    with pytest.raises(UsageError, match="not open"):
        await engine.read(*BOGOTA)
    assert await soon_only(before)


async def test_a_refused_token_is_asked_once(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage([subscription()], lambda _call, _n: REFUSED)
    async with stage.engine() as engine:
        assert {(await engine.read(*BOGOTA)).outcome for _ in range(10)} == {"failed"}
    assert len(stage.sent) == 1
    assert caplog.messages == []


@pytest.mark.looptime
async def test_a_call_that_is_tried_again_is_shared_until_it_ends() -> None:
    stage = Stage([subscription()], lambda _call, n: BROKEN if n == 1 else GOOD, interval=300)
    async with stage.engine() as engine:
        first = asyncio.create_task(engine.read(*BOGOTA))
        await asyncio.sleep(0)
        results = await asyncio.gather(first, *(engine.read(*BOGOTA) for _ in range(10)))
    assert {result.attempts for result in results} == {2}
    assert len(stage.sent) == 2


async def test_two_engines_over_one_state_ask_once() -> None:
    clock = LoopWall()
    state = MemoryState(clock)
    stages = [Stage([subscription()], interval=300, state=state, clock=clock) for _ in range(2)]
    async with stages[0].engine() as first:
        assert (await first.read(*BOGOTA)).outcome == "ok"
    async with stages[1].engine() as second:
        assert (await second.read(*BOGOTA)).outcome == "skipped"
    assert len(stages[0].sent) + len(stages[1].sent) == 1


async def test_so_many_rows_are_kept_and_what_was_not_read_for_longest_goes_first() -> None:
    asked: list[str] = []
    endpoint = CATALOG.get("interactions")
    assert endpoint is not None

    def one(path: str) -> Asked:
        return Asked(path, "interactions", (), None, endpoint)

    async def ask(question: Asked) -> CallResult:
        asked.append(question.path)
        wanted = planned(subscription(question.path).operation, endpoint, run="r", window=None, interval=300)
        rows: list[Any] = [{}] * int(question.path.partition("/")[2])
        return CallResult("r", Settlement(wanted, Ok(rows, 200, 200, ""), 1, datetime.now(UTC), 0.0))

    newest = Newest(ask, ManualClock(), most=10)
    for path in ("a/4", "b/4", "a/4", "c/4"):  # b was not read for longest
        await newest.read(one(path), 0)
    assert asked == ["a/4", "b/4", "c/4"]
    for path in ("a/4", "c/4", "b/4"):
        await newest.read(one(path), 0)
    assert asked == ["a/4", "b/4", "c/4", "b/4"]
    await newest.read(one("d/11"), 0)  # more than there is room for
    await newest.read(one("d/11"), 0)
    assert asked[4:] == ["d/11", "d/11"]
    await newest.read(one("b/4"), 0)
    assert asked[6:] == []
