"""Tokens that the vendor refuses, and tokens whose quota is used up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from wolkvox_async.model import Answer, Call, ErrorKind, Operation, Token
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.scheduling.retry import RetryPolicy
from wolkvox_async.testing import ManualClock, refusal

from .stage import (
    GOOD,
    QUOTA,
    REFUSED,
    Gate,
    LoopWall,
    Rotation,
    Stage,
    ends,
    many,
    outcomes,
    read_all,
    settle_down,
    subscription,
    token,
)

THREE = ("interactions", "gamification", "ivr_calls")
NO_TOKEN = refusal(401, "PLEASE ENTER THE WOLKVOX-TOKEN", error="UNAUTHORIZED")


def refusing(*names: str, answer: Answer = REFUSED) -> Callable[[Call, int], Answer]:
    """Return a script that refuses the tokens called so."""
    refused = {token(name) for name in names}
    return lambda call, _n: answer if call.operation.token in refused else GOOD


def used(stage: Stage) -> list[Token]:
    return [call.operation.token for call in stage.scripted.calls]


@pytest.mark.parametrize(("answer", "kind"), [(REFUSED, "forbidden"), (NO_TOKEN, "unauthorized")])
async def test_after_a_refusal_nothing_more_is_sent_with_that_token(answer: Answer, kind: str) -> None:
    stage = Stage([subscription("acme/bogota", THREE), *many(3, THREE)], refusing("acme/bogota", answer=answer))
    async with stage.engine() as engine:
        records = await read_all(engine)
        assert outcomes(records) == {f"failed {kind}": 1, "skipped held": 2, "ok": 9}
        again = await read_all(engine, only=["acme"])
        assert outcomes(again) == {"skipped held": 3}
        assert (await engine.call("acme/bogota", "vision")).outcome == "skipped"
    assert used(stage).count(token("acme/bogota")) == 1


async def test_with_continue_a_refused_token_is_held_all_the_same() -> None:
    stage = Stage([subscription("acme/bogota", THREE)], refusing("acme/bogota"), after_failure="continue")
    async with stage.engine() as engine:
        assert outcomes(await read_all(engine)) == {"failed forbidden": 1, "skipped held": 2}


async def test_a_refusal_ends_the_calls_of_everybody_who_waits_for_that_token() -> None:
    gate = Gate(REFUSED)
    stage = Stage([subscription("acme/bogota", THREE), subscription("globex/lima", key="acme/bogota")], gate)
    async with stage.engine() as engine:
        others = asyncio.create_task(engine.call("globex/lima", "interactions"))
        one = asyncio.create_task(read_all(engine, only=["acme"]))
        two = asyncio.create_task(read_all(engine))
        await settle_down()
        gate.open()
        assert outcomes(await one) == {"skipped held": 3}
        assert outcomes(await two) == {"skipped held": 4}
        assert (await others).outcome == "failed"
    assert len(stage.scripted.calls) == 1


async def test_a_refused_token_is_tried_again_after_an_hour() -> None:
    stage = Stage([subscription()], refusing("acme/bogota"), clock=(clock := ManualClock()))
    async with stage.engine() as engine:
        outcomes_by_hour = []
        for seconds in (0, 3599, 2):
            clock.advance(seconds)
            outcomes_by_hour.append((await engine.call("acme/bogota", "vision")).outcome)
    assert outcomes_by_hour == ["failed", "skipped", "failed"]


# --- a reference that gives another token by now ------------------------------------------


async def test_when_the_reference_gives_another_token_the_calls_go_on_under_it() -> None:
    rotation = Rotation({"acme/bogota": ["new"]})
    stage = Stage([subscription("acme/bogota", THREE)], refusing("acme/bogota"), tokens=rotation)
    async with stage.engine() as engine:
        async with engine.fetch() as records:
            seen = [record async for record in records]
        assert outcomes(seen) == {"ok": 3}
        assert [operation.token for operation in engine.operations()] == [token("new")]
    assert [end["api"] for end in ends(seen)] == list(THREE), "the call that was refused keeps its place"
    assert [call.id for call in stage.scripted.calls] == [ends(seen)[0]["call"], *[end["call"] for end in ends(seen)]]
    assert [end["attempts"] for end in ends(seen)] == [2, 1, 1]
    assert {end["token"] for end in ends(seen)} == {token("new").id}
    assert used(stage) == [token("acme/bogota"), *[token("new")] * 3]
    assert rotation.asked == ["acme/bogota"]


async def test_a_single_call_goes_on_under_the_new_token_too() -> None:
    stage = Stage([subscription()], refusing("acme/bogota"), tokens=Rotation({"acme/bogota": ["new"]}))
    async with stage.engine() as engine:
        first = await engine.call("acme/bogota", "vision")
        second = await engine.call("acme/bogota", "vision")
    assert (first.ok, first.attempts, second.ok, second.attempts) == (True, 2, True, 1)
    assert used(stage) == [token("acme/bogota"), token("new"), token("new")]


@pytest.mark.parametrize("given", [[], ["acme/bogota"]], ids=["nothing", "the same"])
async def test_a_reference_that_gives_no_other_token_changes_nothing(given: list[str]) -> None:
    stage = Stage(
        [subscription("acme/bogota", THREE)], refusing("acme/bogota"), tokens=Rotation({"acme/bogota": given})
    )
    async with stage.engine() as engine:
        assert outcomes(await read_all(engine)) == {"failed forbidden": 1, "skipped held": 2}
    assert len(stage.scripted.calls) == 1


async def test_a_call_is_tried_with_at_most_so_many_tokens_as_it_has_attempts() -> None:
    names = [f"new{n}" for n in range(50)]
    stage = Stage(
        [subscription("acme/bogota", THREE)],
        lambda _call, _n: REFUSED,
        tokens=Rotation({"acme/bogota": names}),
        retry=RetryPolicy(max_attempts=4),
    )
    async with stage.engine() as engine:
        records = await read_all(engine)
    assert [(end["outcome"], end["attempts"]) for end in ends(records)] == [("failed", 4)] * 3
    assert len(used(stage)) == len(set(used(stage))) == 12, "every token was used once"


async def test_a_reference_that_goes_back_to_a_refused_token_sends_nothing_with_it() -> None:
    rotation = Rotation({"acme/bogota": ["new", "acme/bogota"]})
    stage = Stage([subscription()], lambda _call, _n: REFUSED, tokens=rotation)
    async with stage.engine() as engine:
        result = await engine.call("acme/bogota", "vision")
    assert result.error is not None
    assert (result.outcome, result.error.kind, result.attempts) == ("failed", ErrorKind.FORBIDDEN, 2)
    assert used(stage) == [token("acme/bogota"), token("new")]


async def test_a_call_that_was_refused_and_then_stopped_ends_as_refused() -> None:
    gate = Gate()
    stage = Stage(
        [subscription("acme/bogota"), subscription("acme/quito", key="new")],
        lambda call, n: REFUSED if call.operation.token == token("acme/bogota") else gate(call, n),
        tokens=Rotation({"acme/bogota": ["new"]}),
    )
    async with stage.engine() as engine:
        before = asyncio.create_task(engine.call("acme/quito", "interactions"))
        await settle_down()
        waiting = asyncio.create_task(engine.call("acme/bogota", "vision"))
        await settle_down()
        engine.stop()
        result = await waiting
        gate.open()
        assert (await before).ok
    assert result.error is not None
    assert (result.outcome, result.error.kind, result.attempts) == ("failed", ErrorKind.FORBIDDEN, 1)


async def test_entries_that_shared_a_refused_token_go_separate_ways() -> None:
    stage = Stage(
        [subscription("acme/bogota", THREE, key="same"), subscription("globex/lima", THREE, key="same")],
        refusing("same"),
        tokens=Rotation({"globex/lima": ["new"]}),
    )
    async with stage.engine() as engine:
        records = await read_all(engine)
    assert outcomes(end for end in records if end["type"] == "call" and end["tenant"] == "globex") == {"ok": 3}
    assert outcomes(end for end in records if end["type"] == "call" and end["tenant"] == "acme") == {
        "failed forbidden": 1,
        "skipped held": 2,
    }
    assert used(stage).count(token("same")) == 1


class SlowSource:
    """A token source that is asked for a while, like a command."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer: asyncio.Future[Token | None] = asyncio.get_running_loop().create_future()

    async def resolve(self, _operation: Operation) -> Token | None:
        self.asked.set()
        return await asyncio.shield(self.answer)


async def test_while_a_reference_is_looked_up_other_tokens_go_on() -> None:
    source = SlowSource()
    stage = Stage([subscription(), *many(20)], refusing("acme/bogota"), tokens=source, limits=Limits(max_in_flight=1))
    async with stage.engine() as engine:
        refused = asyncio.create_task(engine.call("acme/bogota", "vision"))
        await source.asked.wait()
        assert outcomes(await read_all(engine, only=["t*"])) == {"ok": 20}
        assert not refused.done()
        source.answer.set_result(token("new"))
        assert (await refused).ok


async def test_calls_planned_before_the_token_changed_go_out_with_the_new_one() -> None:
    source = SlowSource()
    both = [subscription("acme/bogota"), subscription("acme/quito", key="acme/bogota")]
    stage = Stage([*many(1_400), *both], refusing("acme/bogota"), tokens=source)
    async with stage.engine() as engine:
        refused = asyncio.create_task(engine.call("acme/bogota", "vision"))
        await source.asked.wait()
        records = engine.fetch()
        entering = asyncio.create_task(records.__aenter__())
        await settle_down(2)
        source.answer.set_result(token("new"))
        await entering
        seen = outcomes([record async for record in records])
        await records.__aexit__(None, None, None)
        assert (await refused).ok
    assert seen == {"ok": 1_401, "skipped held": 1}, "acme/quito has the refused token still"
    assert used(stage).count(token("acme/bogota")) == 1


async def test_a_cancelled_caller_whose_token_was_replaced_while_it_waited_is_forgotten() -> None:
    gate = Gate()
    stage = Stage(
        [subscription("acme/bogota"), subscription("acme/quito", key="new")],
        lambda call, n: REFUSED if call.operation.token == token("acme/bogota") else gate(call, n),
        tokens=Rotation({"acme/bogota": ["new"]}),
    )
    async with stage.engine() as engine:
        before = asyncio.create_task(engine.call("acme/quito", "interactions"))
        await settle_down()
        waiting = asyncio.create_task(engine.call("acme/bogota", "vision"))
        await settle_down()
        assert engine.snapshot().queued == 2
        waiting.cancel()
        await settle_down()
        assert engine.snapshot().queued == 1
        gate.open()
        assert (await before).ok
        await settle_down()
    assert [call.api for call in gate.arrived] == ["interactions"]


async def test_stopping_while_a_reference_is_looked_up_ends_the_calls_as_they_are() -> None:
    source = SlowSource()
    stage = Stage([subscription("acme/bogota", THREE)], refusing("acme/bogota"), tokens=source)
    async with stage.engine() as engine, engine.fetch() as records:
        await source.asked.wait()
        engine.stop()
        source.answer.set_result(token("new"))
        seen = [record async for record in records]
    assert outcomes(seen) == {"failed forbidden": 1, "skipped held": 2}
    assert used(stage) == [token("acme/bogota")]


async def test_a_caller_whose_token_is_looked_up_when_the_engine_stops_gets_the_refusal() -> None:
    source = SlowSource()
    stage = Stage([subscription()], refusing("acme/bogota"), tokens=source)
    async with stage.engine() as engine:
        call = asyncio.create_task(engine.call("acme/bogota", "vision"))
        await source.asked.wait()
        engine.stop()
        source.answer.set_result(token("new"))
        result = await call
    assert result.error is not None
    assert (result.outcome, result.error.kind, result.attempts) == ("failed", ErrorKind.FORBIDDEN, 1)
    assert used(stage) == [token("acme/bogota")]


async def test_after_stopping_no_reference_is_looked_up() -> None:
    gate, rotation = Gate(REFUSED), Rotation({"acme/bogota": ["new"]})
    stage = Stage([subscription()], gate, tokens=rotation)
    async with stage.engine() as engine:
        call = asyncio.create_task(engine.call("acme/bogota", "vision"))
        await settle_down()
        engine.stop()
        gate.open()
        assert (await call).outcome == "failed"
    assert rotation.asked == []


async def test_leaving_while_a_reference_is_looked_up_waits_for_nobody() -> None:
    source = SlowSource()
    stage = Stage([subscription("acme/bogota", THREE)], refusing("acme/bogota"), tokens=source)
    async with stage.engine() as engine:
        call = asyncio.create_task(engine.call("acme/bogota", "vision"))
        one = asyncio.create_task(read_all(engine))
        await source.asked.wait()
    assert (await call).outcome in ("failed", "skipped")
    assert sum(outcomes(await one).values()) == 3
    assert not source.answer.done()


# --- quota --------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_a_used_up_quota_closes_the_token_until_local_midnight() -> None:
    quota = [QUOTA]
    stage = Stage(
        [subscription("acme/bogota", THREE, timezone="America/Bogota")],
        lambda _call, _n: quota.pop() if quota else GOOD,
        clock=LoopWall(),
    )
    async with stage.engine() as engine:
        assert outcomes(await read_all(engine)) == {"failed quota": 1, "skipped quota": 2}
        await asyncio.sleep(17 * 3600 - 1)  # from noon in UTC, which is 7 in Bogota
        assert outcomes(await read_all(engine)) == {"skipped quota": 3}
        await asyncio.sleep(1)
        assert outcomes(await read_all(engine)) == {"ok": 3}
    assert len(stage.scripted.calls) == 4


async def test_a_quota_is_no_reason_to_look_for_another_token() -> None:
    rotation = Rotation({"acme/bogota": ["new"]})
    stage = Stage([subscription()], lambda _call, _n: QUOTA, tokens=rotation)
    async with stage.engine() as engine:
        result = await engine.call("acme/bogota", "vision")
    assert result.error is not None
    assert (result.error.kind, rotation.asked) == (ErrorKind.QUOTA, [])
