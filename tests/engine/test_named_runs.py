"""Runs of a service: taken up by name, planned as they were, settled as far as they were read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.engine.stage import BROKEN, GOOD, Rotation, Stage, ends, many, outcomes, read_all, subscription
from wolkvox_async.adapters.clock import LoopClock
from wolkvox_async.adapters.state import MemoryState
from wolkvox_async.engine import Engine, RunName
from wolkvox_async.errors import OutputClosedError, OutputError, RunError
from wolkvox_async.planning import DateRange
from wolkvox_async.records import Record
from wolkvox_async.scheduling.retry import RetryPolicy

NOVEMBER = RunName("november")


def runs(records: list[Record]) -> list[Any]:
    return [record["event"] for record in records if record["type"] == "run"]


async def test_a_named_run_calls_again_only_what_failed() -> None:
    answers = {"t1/main": BROKEN}
    stage = Stage(many(3), lambda call, _n: answers.get(call.operation.path, GOOD), retry=RetryPolicy(max_attempts=1))
    async with stage.engine() as engine:
        first = await read_all(engine, run=NOVEMBER)
        answers.clear()
        second = await read_all(engine, run=NOVEMBER)
        third = await read_all(engine, run=NOVEMBER)
    assert outcomes(first) == {"ok": 2, "failed server_error": 1}
    assert [end["tenant"] for end in ends(second)] == ["t1"]
    assert ends(third) == []
    assert [runs(records) for records in (first, second, third)] == [
        ["started", "finished"],
        ["resumed", "finished"],
        ["resumed", "finished"],
    ]
    last = third[-1]
    assert last["type"] == "run"
    assert (last["ok"], last["failed"], last["rows"], last["attempts"]) == (3, 0, 3, 4)


async def test_what_was_read_is_settled_and_nothing_else() -> None:
    stage = Stage(many(5))
    async with stage.engine() as engine:
        async with engine.fetch(run=NOVEMBER) as records:
            seen = [record async for record in _until(records, calls=2)]
        rest = await read_all(engine, run=NOVEMBER)
    assert len(ends(seen)) == 2
    assert {end["call"] for end in ends(seen)}.isdisjoint(end["call"] for end in ends(rest))
    assert len(ends(rest)) == 3


async def test_a_record_whose_reader_stumbled_was_not_delivered() -> None:
    stage = Stage(many(5))
    async with stage.engine() as engine:
        with pytest.raises(LookupError):
            await _stumble(engine)
        assert len(ends(await read_all(engine, run=NOVEMBER))) == 5


async def _stumble(engine: Engine) -> None:
    async with engine.fetch(run=NOVEMBER) as records:
        async for record in records:
            if record["type"] == "call":
                raise LookupError("the warehouse is closed")


async def _until(records: Any, *, calls: int) -> Any:
    async for record in records:
        yield record
        calls -= record["type"] == "call"
        if not calls:
            return


class Pipe:
    """A sink whose reader goes away."""

    def __init__(self, writes: int, error: type[OutputError], position: int | None = None) -> None:
        self.lines: list[bytes] = []
        self._writes = writes
        self._error = error
        self._position = position

    async def write(self, lines: bytes) -> int | None:
        if len(self.lines) == self._writes:
            raise self._error("no more")
        self.lines.append(lines)
        return self._position


async def test_what_was_written_within_the_last_second_did_not_reach_a_reader_that_went_away() -> None:
    stage = Stage(many(1), clock=LoopClock(), interval=300)
    async with stage.engine() as engine:
        with pytest.raises(OutputClosedError):
            async with engine.fetch(run=NOVEMBER) as records:
                await records.write_to(Pipe(2, OutputClosedError))
        assert outcomes(await read_all(engine, run=NOVEMBER)) == {"ok": 1}


async def test_what_a_file_took_is_delivered_whatever_comes_then() -> None:
    stage = Stage(many(1), clock=LoopClock(), interval=300)
    async with stage.engine() as engine:
        with pytest.raises(OutputError):
            async with engine.fetch(run=NOVEMBER) as records:
                await records.write_to(Pipe(2, OutputError, position=7))
        assert ends(await read_all(engine, run=NOVEMBER)) == []


async def test_a_run_is_taken_up_by_one_at_a_time_and_belongs_to_one_output() -> None:
    stage = Stage(many(1))
    async with stage.engine() as engine, engine.fetch(run=NOVEMBER) as records:
        with pytest.raises(RunError):
            async with engine.fetch(run=NOVEMBER):
                raise AssertionError("entered twice")
        with pytest.raises(RunError):
            await read_all(engine, run=RunName("november", output="elsewhere.jsonl"))
        assert outcomes([record async for record in records]) == {"ok": 1}


async def test_the_newest_incomplete_run_is_resumed_or_there_is_none() -> None:
    broken = {"yes"}
    stage = Stage(many(2), lambda _c, _n: BROKEN if broken else GOOD, retry=RetryPolicy(max_attempts=1))
    async with stage.engine() as engine:
        with pytest.raises(RunError):
            await read_all(engine, run=RunName(resume=True))
        first = await read_all(engine)
        broken.clear()
        second = await read_all(engine, run=RunName(resume=True))
        with pytest.raises(RunError):
            await read_all(engine, run=RunName(resume=True))
    assert first[0]["run"] == second[0]["run"]
    assert outcomes(second) == {"ok": 2}


class Moving(LoopClock):
    """A clock whose wall time is what the test says."""

    at = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def utc(self) -> datetime:
        return self.at


async def test_until_now_is_when_the_run_began() -> None:
    clock, answers = Moving(), [BROKEN]
    stage = Stage(
        [subscription(apis=("gamification",))],
        lambda _c, _n: answers[0],
        clock=clock,
        state=MemoryState(clock),
        retry=RetryPolicy(max_attempts=1),
        tokens=Rotation(),
    )
    async with stage.engine() as engine:
        since = DateRange("2026-11-01")
        first = ends(await read_all(engine, run=NOVEMBER, dates=since))
        clock.at += timedelta(hours=3)
        answers[0] = GOOD
        second = ends(await read_all(engine, run=NOVEMBER, dates=since))
    assert [end["call"] for end in first] == [end["call"] for end in second]
    assert first[0]["window"] == second[0]["window"]
    assert second[0]["outcome"] == "ok"
