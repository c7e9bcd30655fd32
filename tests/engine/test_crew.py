"""Limits, turns and connections, as the transport sees them; and what a defect costs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

import pytest

from wolkvox_async.classify import classify
from wolkvox_async.model import Answer, Breakdown, Call, Operation
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.scheduling.retry import RetryPolicy
from wolkvox_async.testing import ManualClock, ok_answer

from .stage import BROKEN, GOOD, Stage, ends, kind_of, left, many, outcomes, read_all, settle_down, subscription

THREE = ("interactions", "gamification", "ivr_calls")


@dataclass
class Watcher:
    """A script that counts what is in flight, in all and by server."""

    now: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)

    async def __call__(self, call: Call, _number: int) -> Answer:
        for name in ("all", call.operation.server):
            self.now[name] += 1
            self.most[name] = max(self.most[name], self.now[name])
        for _ in range(5):
            await asyncio.sleep(0)
        for name in ("all", call.operation.server):
            self.now[name] -= 1
        return GOOD


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        (Limits(max_in_flight=1, per_server=1), {"all": 1}),
        (Limits(max_in_flight=5, per_server=100), {"all": 5}),
        (Limits(max_in_flight=100, per_server=3), {"all": 12, "0000": 3, "0001": 3, "0002": 3, "0003": 3}),
        (Limits(max_in_flight=10, per_server=3), {"all": 10}),
    ],
)
async def test_no_more_calls_are_in_flight_than_the_limits_allow_and_no_fewer(
    limits: Limits, most: dict[str, int]
) -> None:
    watcher = Watcher()
    stage = Stage(many(80, servers=4), watcher, limits=limits)
    async with stage.engine() as engine:
        assert outcomes(await read_all(engine)) == {"ok": 80}
    assert {name: watcher.most[name] for name in most} == most
    assert max(watcher.most[f"{n:04}"] for n in range(4)) <= limits.per_server


async def test_a_turn_is_one_connection_for_the_tokens_calls_back_to_back() -> None:
    stage = Stage(many(4, THREE))
    async with stage.engine() as engine:
        await read_all(engine)
    assert [operation.path for operation in stage.scripted.turns] == [f"t{n}/main" for n in range(4)]


async def test_a_turn_has_so_many_calls_and_no_more() -> None:
    stage = Stage([subscription()], limits=Limits(turn_calls=4))
    async with stage.engine() as engine:
        await asyncio.gather(*[engine.call("acme/bogota", "vision") for _ in range(10)])
    assert len(stage.scripted.turns) == 3


async def test_one_token_under_two_entries_is_one_queue() -> None:
    stage = Stage(
        [subscription("acme/bogota", THREE, key="same"), subscription("globex/lima", THREE, key="same")],
        Watcher(),
    )
    async with stage.engine() as engine:
        records = await read_all(engine)
    assert outcomes(records) == {"ok": 6}
    assert stage.scripted.most_at_once == 1
    assert {(end["tenant"], end["api"]) for end in ends(records)} == {(t, a) for t in ("acme", "globex") for a in THREE}


async def test_one_token_on_two_servers_is_one_queue_and_no_turn_is_on_both() -> None:
    stage = Stage(
        [subscription("acme/bogota", THREE, key="same"), subscription("acme/quito", THREE, key="same", server="0042")],
        watcher := Watcher(),
    )
    turns: list[tuple[Operation, Call]] = []
    original = stage.scripted.play

    async def seen(call: Call) -> Answer | Breakdown:
        turns.append((stage.scripted.turns[-1], call))
        return await original(call)

    stage.scripted.play = seen  # type: ignore[method-assign]
    async with stage.engine() as engine:
        assert outcomes(await read_all(engine)) == {"ok": 6}
    assert watcher.most == {"all": 1, "0010": 1, "0042": 1}
    assert [turn.server for turn, _ in turns] == [call.operation.server for _, call in turns]
    assert len(stage.scripted.turns) == 2


@pytest.mark.looptime
async def test_between_two_attempts_on_a_token_there_is_its_gap() -> None:
    spans: list[tuple[float, float]] = []

    async def script(_call: Call, number: int) -> Answer:
        start = asyncio.get_running_loop().time()
        await asyncio.sleep(2)
        spans.append((start, start + 2))
        return BROKEN if number == 1 else GOOD

    stage = Stage([subscription("acme/bogota", THREE)], script, limits=Limits(token_gap=7.5), jitter=0.0)
    async with stage.engine() as engine:
        assert outcomes(await read_all(engine)) == {"ok": 3}
    assert [round(later[0] - earlier[1], 6) for earlier, later in pairwise(spans)] == [7.5] * 5


@pytest.mark.looptime
async def test_a_token_that_waits_costs_no_task_and_no_timer_of_its_own() -> None:
    stage = Stage(many(50), lambda _call, number: BROKEN if number == 1 else GOOD, limits=Limits(max_in_flight=4))
    async with stage.engine() as engine:
        before = left()
        async with engine.fetch() as records:
            reading = aiter(records)
            await anext(reading)
            await settle_down(300)
            now = left()
            assert engine.snapshot().queued == 50
            assert len(now.tasks) - len(before.tasks) <= 8
            assert now.timers == before.timers + 1
            assert outcomes([record async for record in reading]) == {"ok": 50}


async def test_workers_are_used_again() -> None:
    stage = Stage(many(500), Watcher(), limits=Limits(max_in_flight=10))
    async with stage.engine() as engine:
        before = len(left().tasks)
        await read_all(engine)
        assert len(left().tasks) - before <= 21


# --- defects ------------------------------------------------------------------------------


def _raise(error: Exception) -> Callable[[Call, int], Awaitable[Answer]]:
    async def script(call: Call, _number: int) -> Answer:
        await asyncio.sleep(0)
        if call.operation.path == "t1/main":
            raise error
        return GOOD

    return script


@pytest.mark.parametrize("error", [ValueError("made-up-token-t1/main"), RecursionError(), OSError(24, "x"), KeyError()])
async def test_a_defect_of_the_transport_costs_one_call_and_says_where_it_is(error: Exception) -> None:
    stage = Stage(many(3), _raise(error), retry=RetryPolicy(max_attempts=1))
    async with stage.engine() as engine:
        records = await read_all(engine)
        assert (await engine.call("t2/main", "interactions")).ok
    assert outcomes(records) == {"ok": 2, "failed protocol": 1}
    (failed,) = [end for end in ends(records) if end["outcome"] == "failed"]
    assert failed["error"] is not None
    assert f"{type(error).__name__} at test_crew.py:" in failed["error"]["message"]
    assert "made-up" not in failed["error"]["message"]
    assert [operation.path for operation in stage.scripted.distrusted] == ["t1/main"]


async def test_a_defect_in_judging_an_answer_costs_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    real = classify

    def stumbles(met: Answer | Breakdown, **more: object) -> object:
        if isinstance(met, Answer) and b"stumble" in met.body:
            raise ZeroDivisionError
        return real(met, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("wolkvox_async.engine.attempts.classify", stumbles)
    stage = Stage(many(3), lambda call, _n: ok_answer("stumble") if call.operation.path == "t1/main" else GOOD)
    async with stage.engine() as engine:
        records = await read_all(engine)
    assert outcomes(records) == {"ok": 2, "failed malformed": 1}


class BrokenClock(ManualClock):
    """A clock that may stop telling the time."""

    broken = False

    def utc(self) -> datetime:
        if self.broken:
            raise ZeroDivisionError("made up")
        return super().utc()


async def _slowly(_call: Call, _number: int) -> Answer:
    for _ in range(20):
        await asyncio.sleep(0)
    return GOOD


async def _break_down(stage: Stage, clock: BrokenClock) -> None:
    async with stage.engine() as engine, engine.fetch(only=["t0"]) as records:
        reading = aiter(records)
        await anext(reading)
        caller = asyncio.create_task(engine.call("t1/main", "interactions"))
        await settle_down(5)
        clock.broken = True
        with pytest.raises(RuntimeError, match="broke down"):
            await caller
        with pytest.raises(RuntimeError, match="broke down"):
            await anext(reading)
        clock.broken = False
        with pytest.raises(RuntimeError, match="broke down"):
            await engine.call("t2/main", "interactions")
        with pytest.raises(RuntimeError, match="broke down"):
            engine.fetch()


async def test_when_workers_break_down_nobody_waits_for_ever_and_leaving_says_why() -> None:
    clock = BrokenClock()
    stage = Stage(many(3), _slowly, clock=clock)
    with pytest.raises(ExceptionGroup) as caught:
        await _break_down(stage, clock)
    assert caught.group_contains(ZeroDivisionError)
    assert stage.scripted.closed
    assert len(left().tasks) == 1


# --- answers that are not believed --------------------------------------------------------


def _named(name: str) -> Answer:
    return ok_answer([{"operation": name, "items": "1"}])


@pytest.mark.looptime
async def test_an_answer_that_names_another_operation_is_asked_for_again_over_a_new_connection() -> None:
    def script(call: Call, number: int) -> Answer:
        return _named("GLOBEX LIM" if (call.api, number) == ("gamification", 1) else "ACME BOG")

    stage = Stage([subscription("acme/bogota", THREE)], script, jitter=0.0)
    async with stage.engine() as engine:
        began = asyncio.get_running_loop().time()
        records = await read_all(engine)
        took = asyncio.get_running_loop().time() - began
    assert outcomes(records) == {"ok": 3}
    assert {record["row"]["operation"] for record in records if record["type"] == "row"} == {"ACME BOG"}
    assert [end["attempts"] for end in ends(records)] == [1, 2, 1]
    assert len(stage.scripted.distrusted) == 1
    assert took == 60, "the vendor may still be at work on the question whose answer was not believed"


async def test_a_turn_that_goes_on_over_a_new_connection_begins_without_doubts() -> None:
    def script(call: Call, _number: int) -> Answer:
        return _named("ACME BOG" if call.api == "interactions" else "ACME BOGOTA")

    stage = Stage([subscription("acme/bogota", THREE)], script, server_limit=0.0, jitter=0.0, clock=ManualClock())
    async with stage.engine() as engine:
        records = await read_all(engine)
    assert [end["attempts"] for end in ends(records)] == [1, 2, 1]
    assert len(stage.scripted.turns) == len(stage.scripted.distrusted) == 1


@pytest.mark.looptime
async def test_a_name_that_really_changed_is_believed_the_second_time() -> None:
    def script(call: Call, _number: int) -> Answer:
        return _named("ACME BOG" if call.api == "interactions" else "ACME BOGOTA")

    stage = Stage([subscription("acme/bogota", THREE)], script)
    async with stage.engine() as engine:
        records = await read_all(engine)
    assert outcomes(records) == {"ok": 3}
    assert [end["attempts"] for end in ends(records)] == [1, 2, 1]
    assert [record["row"]["operation"] for record in records if record["type"] == "row"] == [
        "ACME BOG",
        "ACME BOGOTA",
        "ACME BOGOTA",
    ]


async def test_without_attempts_left_a_doubtful_answer_is_a_failure_that_holds_no_rows() -> None:
    def script(call: Call, _number: int) -> Answer:
        return _named("ACME BOG" if call.api == "interactions" else "GLOBEX LIM")

    stage = Stage([subscription("acme/bogota", THREE[:2])], script, retry=RetryPolicy(max_attempts=1))
    async with stage.engine() as engine:
        records = await read_all(engine)
    assert outcomes(records) == {"ok": 1, "failed protocol": 1}
    assert not any("GLOBEX" in str(record) for record in records)
    (failed,) = [end for end in ends(records) if end["outcome"] == "failed"]
    assert failed["error"] is not None
    assert (failed["rows"], failed["error"]["retryable"], kind_of(failed)) == (0, True, "protocol")


async def test_two_entries_with_one_token_may_have_two_names() -> None:
    stage = Stage(
        [subscription("acme/bogota", THREE, key="same"), subscription("acme/quito", THREE, key="same")],
        lambda call, _n: _named(call.operation.name.upper()),
    )
    async with stage.engine() as engine:
        assert outcomes(await read_all(engine)) == {"ok": 6}
    assert len(stage.scripted.turns) == 1
    assert not stage.scripted.distrusted


async def test_another_turn_is_another_connection_and_begins_without_doubts() -> None:
    names = iter(["ONE", "TWO", "THREE"])
    stage = Stage([subscription()], lambda _call, _n: _named(next(names)))
    async with stage.engine() as engine:
        for _ in range(3):
            assert (await engine.call("acme/bogota", "vision")).attempts == 1
    assert len(stage.scripted.turns) == 3
