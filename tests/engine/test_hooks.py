"""What the engine tells those who listen."""

from __future__ import annotations

import pytest

from wolkvox_async.adapters.telemetry import Hooks, library_logger
from wolkvox_async.model import Answer, Call, ErrorKind, Ok, Skipped
from wolkvox_async.ports import CallSettled, Event
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.scheduling.retry import RetryPolicy

from .stage import (
    BROKEN,
    BUSY,
    GOOD,
    QUOTA,
    REFUSED,
    Ear,
    LoopWall,
    Rotation,
    Stage,
    many,
    outcomes,
    read_all,
    subscription,
    token,
)

THREE = ("interactions", "gamification", "ivr_calls")


async def test_the_end_of_every_call_is_told_once() -> None:
    stage = Stage(many(10, THREE))
    async with stage.engine() as engine:
        await read_all(engine)
        await engine.call("t0/main", "vision")
    assert len(stage.ear.settled) == 31
    assert stage.ear.settled_once
    assert all(isinstance(event.outcome, Ok) and event.attempts == 1 for event in stage.ear.settled)


async def test_calls_that_were_not_made_are_told_as_well() -> None:
    stage = Stage([subscription("acme/bogota", THREE)], lambda _call, _n: REFUSED)
    async with stage.engine() as engine:
        await read_all(engine)
    assert [type(event.outcome) is Skipped for event in stage.ear.settled] == [False, True, True]


@pytest.mark.looptime
async def test_a_failed_attempt_is_told_with_the_pause_before_the_next() -> None:
    stage = Stage([subscription()], lambda _call, _n: BROKEN, retry=RetryPolicy(max_attempts=3, backoff=4), jitter=0.5)
    async with stage.engine() as engine:
        await engine.call("acme/bogota", "vision")
    assert [(event.number, event.kind, event.retry_in) for event in stage.ear.failures] == [
        (1, ErrorKind.SERVER_ERROR, 2.0),
        (2, ErrorKind.SERVER_ERROR, 4.0),
        (3, ErrorKind.SERVER_ERROR, None),
    ]


@pytest.mark.parametrize(("answer", "kind", "seconds"), [(REFUSED, "forbidden", 3600), (QUOTA, "quota", 17 * 3600)])
async def test_a_closed_token_is_told_with_its_operation_and_for_how_long(
    answer: Answer, kind: str, seconds: float
) -> None:
    stage = Stage([subscription("acme/bogota", THREE)], lambda _call, _n: answer)
    async with stage.engine() as engine:
        await read_all(engine)
    (event,) = stage.ear.closed
    assert (event.operation.path, event.kind) == ("acme/bogota", kind)
    assert event.seconds == pytest.approx(seconds, abs=1)


async def test_a_call_that_goes_on_under_another_token_ends_once() -> None:
    def script(call: Call, _number: int) -> Answer:
        return GOOD if call.operation.token == token("new") else REFUSED

    stage = Stage([subscription("acme/bogota", THREE)], script, tokens=Rotation({"acme/bogota": ["new"]}))
    async with stage.engine() as engine:
        await read_all(engine)
    assert [type(event.outcome) for event in stage.ear.settled] == [Ok] * 3
    assert [event.kind for event in stage.ear.failures] == [ErrorKind.FORBIDDEN]


async def test_a_hook_that_raises_disturbs_neither_the_engine_nor_other_hooks() -> None:
    class Raising:
        heard = 0

        def observe(self, event: Event) -> None:
            self.heard += 1
            raise ValueError(str(event))

    raising, ear = Raising(), Ear()
    stage = Stage(many(5), hook=Hooks((raising, ear), library_logger()))
    async with stage.engine() as engine:
        assert outcomes(await read_all(engine)) == {"ok": 5}
    assert (raising.heard, len(ear.settled)) == (1, 5)


async def test_a_hook_may_stop_the_engine() -> None:
    class Stopping(Ear):
        def observe(self, event: Event) -> None:
            super().observe(event)
            if isinstance(event, CallSettled) and len(self.settled) == 3:
                engine.stop()

    hook = Stopping()
    stage = Stage(many(20), hook=hook, limits=Limits(max_in_flight=2))
    engine = stage.engine()
    async with engine:
        records = await read_all(engine)
    assert sum(outcomes(records).values()) == 20
    assert outcomes(records)["skipped stopping"] > 0
    assert hook.settled_once


@pytest.mark.looptime
async def test_waiting_tokens_can_be_seen_with_their_reason() -> None:
    stage = Stage(many(3), lambda call, _n: GOOD if call.operation.path == "t0/main" else BUSY, clock=LoopWall())
    async with stage.engine() as engine, engine.fetch() as records:
        reading = aiter(records)
        for _ in range(3):
            await anext(reading)
        seen = engine.snapshot()
        assert (seen.queued, seen.in_flight) == (2, 0)
        assert seen.waiting_after == {ErrorKind.TOKEN_BUSY: 2}
