"""One token, one call at a time: over engines that share a state, and after answers that never came."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.engine.stage import (
    GOOD,
    Gate,
    LoopWall,
    Stage,
    broke,
    ends,
    many,
    outcomes,
    read_all,
    settle_down,
    subscription,
)
from wolkvox_async.adapters.state import MemoryState
from wolkvox_async.errors import StateError
from wolkvox_async.model import Answer, Call, ErrorKind
from wolkvox_async.ports import Claim
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.scheduling.retry import RetryPolicy


@pytest.mark.looptime
async def test_two_engines_on_one_state_ask_every_question_once() -> None:
    state = MemoryState(LoopWall())
    operations = many(40, ("interactions", "gamification"), servers=4)

    async def slowly(_call: Call, _number: int) -> Answer:
        await asyncio.sleep(0.2)
        return GOOD

    stages = [
        Stage(operations, slowly, state=one, interval=300, limits=Limits(max_in_flight=8), seed=seed)
        for seed, one in enumerate((state, state.beside()))
    ]
    async with stages[0].engine() as first, stages[1].engine() as second:
        seen = await asyncio.gather(read_all(first), read_all(second))
    assert Counter(outcomes(seen[0]) + outcomes(seen[1])) == {"ok": 80, "skipped not_due": 80}
    asked = [(call.operation.path, call.api) for stage in stages for call in stage.scripted.calls]
    assert len(set(asked)) == len(asked) == 80
    assert min(outcomes(records)["ok"] for records in seen) > 0, "they share the work"


@pytest.mark.looptime
async def test_a_token_that_another_has_is_waited_for_and_holds_no_slot() -> None:
    state, gate = MemoryState(LoopWall()), Gate()
    holder = Stage([subscription()], gate, state=state)
    waiter = Stage([subscription(), subscription("other/one")], state=state.beside(), limits=Limits(max_in_flight=1))
    async with holder.engine() as first, waiter.engine() as second:
        holding = asyncio.create_task(first.call("acme/bogota", "interactions"))
        await settle_down()
        waiting = asyncio.create_task(second.call("acme/bogota", "interactions"))
        assert (await second.call("other/one", "interactions")).ok
        await asyncio.sleep(20)
        assert not waiting.done()
        gate.open()
        assert (await holding).ok
        assert (await waiting).attempts == 1


@pytest.mark.looptime
async def test_patience_with_a_token_that_another_has_comes_to_an_end() -> None:
    state, gate = MemoryState(LoopWall()), Gate()
    holder = Stage([subscription()], gate, state=state)
    waiter = Stage([subscription()], state=state.beside(), retry=RetryPolicy(patience=30))
    async with holder.engine() as first, waiter.engine() as second:
        holding = asyncio.create_task(first.call("acme/bogota", "interactions"))
        await settle_down()
        result = await second.call("acme/bogota", "interactions")
        assert asyncio.get_running_loop().time() == pytest.approx(30, abs=1)
        gate.open()
        await holding
    assert (result.outcome, result.attempts) == ("failed", 0)
    assert result.error is not None
    assert result.error.kind is ErrorKind.TOKEN_BUSY
    assert waiter.sent == []


@pytest.mark.looptime
async def test_after_a_time_out_others_wait_for_the_vendor_too() -> None:
    state = MemoryState(LoopWall())
    lost = Stage([subscription()], lambda _c, _n: broke(ErrorKind.TIMEOUT, asyncio.get_running_loop().time()),
                 state=state, retry=RetryPolicy(max_attempts=1))  # fmt: skip
    other = Stage([subscription()], state=state.beside())
    async with lost.engine() as first, other.engine() as second:
        assert not (await first.call("acme/bogota", "interactions")).ok
        assert (await second.call("acme/bogota", "interactions")).ok
        assert asyncio.get_running_loop().time() == pytest.approx(60, abs=0.1)


@pytest.mark.looptime
async def test_a_call_that_was_given_up_keeps_its_token_closed_for_others() -> None:
    state, gate = MemoryState(LoopWall()), Gate()
    left = Stage([subscription()], gate, state=state)
    other = Stage([subscription()], state=state.beside())
    async with other.engine() as second:
        async with left.engine() as first:
            giving_up = asyncio.create_task(first.call("acme/bogota", "interactions"))
            await settle_down()
        assert (await giving_up).error is not None
        assert (await second.call("acme/bogota", "interactions")).ok
    assert asyncio.get_running_loop().time() == pytest.approx(60, abs=0.1)


@pytest.mark.looptime
async def test_a_token_is_kept_until_its_answer_is_delivered() -> None:
    state = MemoryState(LoopWall())
    slow = Stage([subscription()], state=state, interval=300)
    other = Stage([subscription()], state=state.beside(), interval=300, seed=8)
    async with slow.engine() as first, other.engine() as second, first.fetch() as records:
        reading = aiter(records)
        await anext(reading)
        await settle_down()
        assert slow.sent == ["acme/bogota"]
        asking = asyncio.create_task(read_all(second))
        await asyncio.sleep(10)
        assert not asking.done(), "nobody knows yet that the question was asked"
        assert [record["type"] async for record in reading] == ["row", "call", "run"]
        assert outcomes(await asking) == {"skipped not_due": 1}
    assert other.sent == []


@pytest.mark.looptime
async def test_an_answer_that_nobody_read_is_asked_for_again() -> None:
    stage = Stage([subscription()], interval=300)
    async with stage.engine() as engine:
        async with engine.fetch():
            await settle_down()
        assert outcomes(await read_all(engine)) == {"ok": 1}
    assert len(stage.sent) == 2


class Failing(MemoryState):
    """A state whose folder goes away at the n-th claim."""

    claims = 0

    def claim(self, token: str) -> Claim:
        self.claims += 1
        if self.claims > 3:
            raise StateError("the state folder went away")
        return super().claim(token)


async def test_without_a_state_nothing_more_is_called_and_everybody_hears_why() -> None:
    stage = Stage(many(10), state=Failing(LoopWall()), limits=Limits(max_in_flight=1))
    async with stage.engine() as engine:
        with pytest.raises(StateError, match="went away"):
            await read_all(engine)
        with pytest.raises(StateError, match="went away"):
            await engine.call("t0/main", "interactions")
    assert len(stage.sent) == 3


async def test_a_single_call_is_made_whenever_it_is_asked_for() -> None:
    stage = Stage([subscription()], interval=300)
    async with stage.engine() as engine:
        assert [(await engine.call("acme/bogota", "interactions")).outcome for _ in range(3)] == ["ok"] * 3
        found = ends(await read_all(engine))
    assert [end["outcome"] for end in found] == ["skipped"]
