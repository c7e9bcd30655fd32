"""A transport that answers from a script."""

from __future__ import annotations

import asyncio

from wolkvox_async.classify import classify
from wolkvox_async.model import Answer, Breakdown, Call, Empty, ErrorKind, Failed, Ok, Operation, Token
from wolkvox_async.ports import Transport
from wolkvox_async.testing import ManualClock, ScriptedTransport, ok_answer, refusal

OPERATION = Operation("acme", "bogota", "0010", Token("made-up-token"))
OTHER = Operation("acme", "quito", "0010", Token("another-token"))


def call(name: str = "A", operation: Operation = OPERATION) -> Call:
    return Call(name, operation, "interactions", "billing", ())


async def test_a_script_is_told_the_call_and_how_often_it_was_tried() -> None:
    told: list[tuple[str, int]] = []

    def script(call: Call, number: int) -> Answer:
        told.append((call.id, number))
        return ok_answer([])

    transport: Transport = ScriptedTransport(script)
    async with transport.turn(OPERATION) as turn:
        for name in "ABAAB":
            await turn.attempt(call(name))
    assert told == [("A", 1), ("B", 1), ("A", 2), ("A", 3), ("B", 2)]


async def test_a_script_may_take_its_time_and_may_break_down() -> None:
    async def script(_call: Call, _number: int) -> Breakdown:
        await asyncio.sleep(0)
        return Breakdown(ErrorKind.TIMEOUT, "made up", 1.0)

    async with ScriptedTransport(script).turn(OPERATION) as turn:
        met = await turn.attempt(call())
    assert met == Breakdown(ErrorKind.TIMEOUT, "made up", 1.0)


async def test_it_notices_a_token_that_is_used_twice_at_once() -> None:
    async def script(_call: Call, _number: int) -> Answer:
        await asyncio.sleep(0)
        return ok_answer([])

    transport = ScriptedTransport(script)
    async with transport.turn(OPERATION) as one, transport.turn(OTHER) as other:
        await asyncio.gather(one.attempt(call()), other.attempt(call("B", OTHER)))
        assert (transport.overlaps, transport.most_at_once) == (0, 2)
        await asyncio.gather(one.attempt(call()), other.attempt(call()), one.attempt(call()))
    assert (transport.overlaps, transport.most_at_once) == (2, 3)


async def test_a_cancelled_attempt_gives_its_token_back() -> None:
    async def script(_call: Call, number: int) -> Answer:
        if number == 1:
            await asyncio.Event().wait()
        return ok_answer([])

    transport = ScriptedTransport(script)
    async with transport.turn(OPERATION) as turn:
        attempt = asyncio.create_task(turn.attempt(call()))
        await asyncio.sleep(0)
        attempt.cancel()
        await asyncio.wait([attempt])
        await turn.attempt(call())
    assert transport.overlaps == 0


async def test_it_remembers_calls_turns_distrust_and_its_end() -> None:
    transport = ScriptedTransport(lambda _call, _n: ok_answer([]))
    async with transport.turn(OPERATION) as turn:
        await turn.attempt(call())
        turn.distrust()
    assert not transport.closed
    await transport.close()
    assert ([each.id for each in transport.calls], transport.turns) == (["A"], [OPERATION])
    assert (transport.distrusted, transport.closed) == ([OPERATION], True)


def test_its_answers_mean_what_they_say() -> None:
    now = ManualClock().utc()
    assert isinstance(classify(ok_answer([{"items": "1"}]), now=now), Ok)
    assert isinstance(classify(ok_answer([], code="200"), now=now), Empty)
    refused = classify(refusal(403, "PLEASE VALIDATE TOKEN"), now=now)
    assert isinstance(refused, Failed)
    assert refused.error.kind == ErrorKind.FORBIDDEN
