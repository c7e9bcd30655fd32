"""One pass: what it calls, what it says, and how far it goes while nobody reads."""

from __future__ import annotations

import asyncio
from collections import Counter

import orjson
import pytest

from wolkvox_async.engine import Engine
from wolkvox_async.errors import OutputClosedError, OutputError, UsageError
from wolkvox_async.model import Answer, Call
from wolkvox_async.planning import DateRange
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.testing import ManualClock, ok_answer

from .stage import (
    BROKEN,
    EMPTY,
    GOOD,
    ROWS,
    UNKNOWN,
    Gate,
    Stage,
    ends,
    left,
    many,
    outcomes,
    read_all,
    settle_down,
    subscription,
)

THREE = ("interactions", "gamification", "ivr_calls")


# --- what comes out -----------------------------------------------------------------------


async def test_a_pass_is_a_start_the_calls_with_their_rows_first_and_an_end() -> None:
    stage = Stage([subscription("acme/bogota", THREE)], lambda _call, _n: ok_answer([{"items": "1"}, {"items": "2"}]))
    async with stage.engine() as engine:
        records = await read_all(engine)
    assert [record["type"] for record in records] == ["run", *["row", "row", "call"] * 3, "run"]
    assert (records[0]["type"] == "run" and records[0]["event"], records[0].get("calls")) == ("started", 3)
    assert [record["n"] for record in records if record["type"] == "row"] == [1, 2] * 3
    for first, second, end in zip(records[1::3], records[2::3], records[3::3], strict=False):
        assert first["type"] == second["type"] == "row"
        assert end["type"] == "call"
        assert first["call"] == second["call"] == end["call"]
    assert len({record["run"] for record in records}) == 1


async def test_the_last_record_counts_what_was() -> None:
    answers: dict[str, Answer] = {"t0/main": GOOD, "t1/main": EMPTY, "t2/main": UNKNOWN, "t3/main": GOOD}
    clock = ManualClock()

    def script(call: Call, number: int) -> Answer:
        clock.advance(0.25)
        return BROKEN if number == 1 and call.operation.path == "t3/main" else answers[call.operation.path]

    stage = Stage(many(4), script, clock=clock)
    async with stage.engine() as engine, engine.fetch() as records:
        reading = aiter(records)
        seen = [await anext(reading) for _ in range(5)]
        clock.advance(10)
        seen += [record async for record in reading]
        summary = records.summary()
    last = seen[-1]
    assert last["type"] == "run"
    figures = ("event", "ok", "empty", "failed", "skipped", "rows", "attempts")
    assert [last.get(key) for key in figures] == ["finished", 2, 1, 1, 0, 2, 5]
    assert last.get("seconds") == summary.seconds == 11.25
    assert (summary.run, summary.stopped) == (last["run"], False)


async def test_every_planned_call_ends_exactly_once() -> None:
    def script(call: Call, number: int) -> Answer:
        return (GOOD, EMPTY, BROKEN, UNKNOWN)[(ord(call.id[-1]) + number) % 4]

    stage = Stage(many(50, THREE, servers=3), script, clock=(clock := ManualClock()))
    async with stage.engine() as engine, engine.fetch() as records:
        planned = records.planned
        reading = asyncio.create_task(_ends_of(records.lines()))
        for _ in range(60):
            await settle_down(5)
            clock.advance(60)
        seen = await reading
    assert planned == len(seen) == len({end["call"] for end in seen}) == 150
    assert Counter(event.call.id for event in stage.ear.settled) == Counter(end["call"] for end in seen)


async def _ends_of(lines: object) -> list[dict[str, str]]:
    found = []
    async for piece in lines:  # type: ignore[attr-defined]
        found += [record for line in piece.splitlines() if (record := orjson.loads(line))["type"] == "call"]
    return found


async def test_lines_and_records_say_the_same() -> None:
    stage = Stage(many(7, THREE), clock=ManualClock())
    async with stage.engine() as engine, engine.fetch() as records:
        lines = b"".join([piece async for piece in records.lines()])
    async with Stage(many(7, THREE), clock=ManualClock()).engine() as engine:
        records_of_another = await read_all(engine)
    assert [orjson.loads(line) for line in lines.splitlines()] == records_of_another
    assert lines.endswith(b"\n")


async def test_a_piece_of_lines_has_whole_calls() -> None:
    rows = [{"operation": "A", "filler": "x" * 1_000}] * 100
    stage = Stage(many(20), lambda _call, _n: ok_answer(rows))
    async with stage.engine() as engine, engine.fetch() as records:
        await settle_down()
        pieces = [piece async for piece in records.lines()]
    assert all(orjson.loads(piece.splitlines()[-1])["type"] in ("run", "call") for piece in pieces)
    assert 8 <= len(pieces) <= 22, "two megabytes come in pieces of a quarter"


async def test_the_ids_of_calls_belong_to_the_run() -> None:
    stage = Stage(many(3), clock=ManualClock())
    async with stage.engine() as engine:
        first, second = await read_all(engine), await read_all(engine)
    ids = [{end["call"] for end in ends(records)} for records in (first, second)]
    assert not ids[0] & ids[1] or first[0]["run"] == second[0]["run"]


async def test_a_pass_may_be_narrowed_to_endpoints_and_operations() -> None:
    stage = Stage(many(5, THREE))
    async with stage.engine() as engine:
        records = await read_all(engine, apis=["ivr_calls", "gamification"], only=["t1", "t3/main"])
    assert {(end["tenant"], end["api"]) for end in ends(records)} == {
        (tenant, api) for tenant in ("t1", "t3") for api in ("gamification", "ivr_calls")
    }


async def test_dates_go_to_the_endpoints_that_take_them() -> None:
    stage = Stage([subscription("acme/bogota", THREE)])
    async with stage.engine() as engine:
        records = await read_all(engine, dates=DateRange("2026-10-15", "2026-11-14"))
    windows = {(end["api"], end["window"] and end["window"]["from"]) for end in ends(records)}
    assert windows == {
        ("interactions", None),
        ("ivr_calls", None),
        ("gamification", "20261015000000"),
        ("gamification", "20261101000000"),
    }


@pytest.mark.parametrize("subscriptions", [[], [subscription("acme/bogota", ())]], ids=["no operations", "no calls"])
async def test_a_pass_over_nothing_begins_and_ends(subscriptions: list[object]) -> None:
    stage = Stage(subscriptions)  # type: ignore[arg-type]
    async with stage.engine() as engine:
        records = await read_all(engine)
    assert [(record["type"], record.get("event")) for record in records] == [("run", "started"), ("run", "finished")]
    assert records[0].get("calls") == 0
    assert not stage.scripted.calls


async def test_records_come_as_the_calls_end() -> None:
    gate = Gate()
    stage = Stage(many(3), gate)
    async with stage.engine() as engine, engine.fetch() as records:
        reading = aiter(records)
        await anext(reading)
        await settle_down()
        gate.open(1)
        seen = [await anext(reading), await anext(reading)]
        assert [record["type"] for record in seen] == ["row", "call"]
        assert len(gate.arrived) == 3
        gate.open()
        assert len([record async for record in reading]) == 5


# --- back-pressure ------------------------------------------------------------------------


async def test_while_nobody_reads_at_most_twice_the_calls_in_flight_are_called() -> None:
    stage = Stage(many(100), limits=Limits(max_in_flight=5))
    async with stage.engine() as engine, engine.fetch() as records:
        await settle_down(200)
        assert len(stage.scripted.calls) == 10
        counted = len(ends([record async for record in records]))
    assert counted == 100


async def test_a_reader_makes_room_when_it_asks_for_more_and_not_before() -> None:
    stage = Stage(many(100), limits=Limits(max_in_flight=5))
    async with stage.engine() as engine, engine.fetch() as records:
        reading = aiter(records)
        await settle_down(200)
        for _ in range(21):  # the start, and all of the ten calls
            await anext(reading)
        await settle_down(200)
        assert len(stage.scripted.calls) == 10
        await anext(reading)
        await settle_down(200)
        assert len(stage.scripted.calls) == 20


async def test_a_slow_reader_stops_no_other_pass() -> None:
    stage = Stage(many(60, servers=3), limits=Limits(max_in_flight=5))
    async with stage.engine() as engine, engine.fetch(only=["t?", "t1?", "t2?"]) as unread:
        await settle_down(200)
        called = len(stage.scripted.calls)
        records = await read_all(engine, only=["t3?", "t4?", "t5?"])
        assert outcomes(records) == {"ok": 30}
        assert (await engine.call("t59/main", "interactions")).ok
        assert called == 10
        assert len(stage.scripted.calls) == called + 31
        assert not unread.finished


async def test_big_answers_count_by_their_size() -> None:
    answer = ok_answer([{"filler": "x" * (4 * 65_536)}])  # takes up five units of room
    stage = Stage(many(100), lambda _call, _n: answer, limits=Limits(max_in_flight=10))
    async with stage.engine() as engine, engine.fetch() as records:
        await settle_down(200)
        called = len(stage.scripted.calls)
        counted = len(ends([record async for record in records]))
    assert 4 <= called <= 4 + 10, "there is room for four of them, and as many as are in flight may find that out late"
    assert counted == 100


async def test_after_a_big_answer_its_worker_waits_for_the_reader_and_its_token_does_not() -> None:
    big = ok_answer([{"filler": "x" * 1_100_000}])
    stage = Stage(
        [subscription("acme/bogota", THREE)],
        lambda call, _n: big if call.api == "interactions" else GOOD,
        limits=Limits(max_in_flight=50),
    )
    async with stage.engine() as engine, engine.fetch() as records:
        await settle_down()
        assert [call.api for call in stage.scripted.calls] == list(THREE)
        assert engine.snapshot().in_flight == 0
        assert (await engine.call("acme/bogota", "vision")).ok
        assert outcomes([record async for record in records]) == {"ok": 3}
    assert stage.scripted.overlaps == 0


async def test_an_unread_big_answer_keeps_no_slot() -> None:
    big = ok_answer([{"filler": "x" * 1_100_000}])
    stage = Stage(many(8), lambda call, _n: big if call.operation.path < "t4" else GOOD, limits=Limits(max_in_flight=2))
    async with stage.engine() as engine, engine.fetch(only=["t0", "t1"]):
        await settle_down()
        assert outcomes(await read_all(engine, only=["t4", "t5", "t6", "t7"])) == {"ok": 4}
        assert len(stage.scripted.calls) == 6


# --- reading ------------------------------------------------------------------------------


async def test_a_pass_is_entered_once() -> None:
    async with Stage(many(1)).engine() as engine:
        records = engine.fetch()
        async with records:
            with pytest.raises(UsageError, match="entered once"):
                await records.__aenter__()
        with pytest.raises(UsageError, match="entered once"):
            await records.__aenter__()


async def test_a_pass_is_read_once() -> None:
    async with Stage(many(1)).engine() as engine, engine.fetch() as records:
        aiter(records)
        with pytest.raises(UsageError, match="read once"):
            aiter(records)
        with pytest.raises(UsageError, match="read once"):
            records.lines()


async def test_a_pass_is_read_inside_its_block() -> None:
    async with Stage(many(1)).engine() as engine:
        records = engine.fetch()
        with pytest.raises(UsageError, match="is a block"):
            aiter(records)
        async with records:
            reading = aiter(records)
            await anext(reading)
            await settle_down()
        assert records.finished
        with pytest.raises(UsageError, match="inside the block"):
            await anext(reading)


async def test_a_reader_in_another_task_learns_that_the_block_was_left() -> None:
    async with Stage(many(1), Gate()).engine() as engine:
        async with engine.fetch() as records:
            reading = asyncio.create_task(_drain(records))
            await settle_down()
        with pytest.raises(UsageError, match="inside the block"):
            await reading


async def _drain(records: object) -> None:
    async for _ in records:  # type: ignore[attr-defined]
        pass


async def test_two_tasks_do_not_share_a_reading() -> None:
    gate = Gate()
    async with Stage(many(2), gate).engine() as engine, engine.fetch() as records:
        reading = aiter(records)
        await anext(reading)
        first = asyncio.create_task(anext(reading))
        await settle_down()
        with pytest.raises(UsageError, match="one reader"):
            await anext(reading)
        gate.open()
        assert (await first)["type"] == "row"


async def test_a_cancelled_wait_for_a_record_loses_none() -> None:
    gate = Gate()
    async with Stage(many(3), gate).engine() as engine, engine.fetch() as records:
        reading = aiter(records)
        seen = [await anext(reading)]
        for _ in range(3):
            for steps in range(4):
                waiting = asyncio.create_task(anext(reading))
                await settle_down(steps)
                waiting.cancel()
                await asyncio.wait([waiting])
                if not waiting.cancelled():
                    seen.append(waiting.result())
            gate.open(1)
        seen += [record async for record in reading]
    assert outcomes(seen) == {"ok": 3}
    assert len(seen) == 8


# --- leaving early ------------------------------------------------------------------------


async def test_leaving_a_pass_forgets_what_was_not_called_and_finishes_what_was() -> None:
    gate = Gate()
    stage = Stage(many(20, THREE), gate, limits=Limits(max_in_flight=4))
    async with stage.engine() as engine:
        async with engine.fetch():
            await settle_down()
        assert engine.snapshot().queued == engine.snapshot().in_flight == 4
        gate.open()
        await settle_down()
        assert engine.snapshot().queued == 0
        assert len(stage.scripted.calls) == 4
    assert Counter(type(event.outcome).__name__ for event in stage.ear.settled) == {"Skipped": 56, "Ok": 4}
    assert stage.ear.settled_once


async def test_a_pass_that_was_left_tries_nothing_again() -> None:
    gate = Gate(BROKEN)
    stage = Stage(many(1, THREE), gate, clock=(clock := ManualClock()))
    async with stage.engine() as engine:
        async with engine.fetch():
            await settle_down()
        gate.open()
        await settle_down()
        clock.advance(600)
        await settle_down()
        assert engine.snapshot().queued == 0
    assert len(stage.scripted.calls) == 1


async def test_a_pass_left_while_its_calls_wait_leaves_no_timer() -> None:
    stage = Stage(many(10), lambda _call, _n: BROKEN)
    async with stage.engine() as engine:
        before = left().timers
        async with engine.fetch():
            await settle_down()
            assert left().timers == before + 1
        assert left().timers == before


async def test_a_pass_that_was_left_is_forgotten_once_its_calls_in_flight_have_ended() -> None:
    gate = Gate()
    async with Stage(many(1_200), gate, limits=Limits(max_in_flight=3)).engine() as engine:
        async with engine.fetch():
            pass
        entering = asyncio.create_task(engine.fetch().__aenter__())
        while not engine.snapshot().queued > 3:
            await asyncio.sleep(0)
        entering.cancel()
        await asyncio.wait([entering])
        assert entering.cancelled()
        assert engine._endings.passes
        for _ in range(3):
            gate.open()
            await settle_down()
        assert not engine._endings.passes


async def test_calls_behind_those_of_a_pass_that_was_left_go_on() -> None:
    stage = Stage(many(30), limits=Limits(max_in_flight=1))
    async with stage.engine() as engine:
        async with engine.fetch(only=["t0", "t1", "t2"]):
            await settle_down()
            assert stage.sent == ["t0/main", "t1/main"], "the room of an unread pass is two calls"
            behind = asyncio.create_task(engine.call("t2/main", "vision"))
            await settle_down()
        result = await behind
    assert result.ok
    assert [call.api for call in stage.scripted.calls] == ["interactions", "interactions", "vision"]


# --- a sink -------------------------------------------------------------------------------


class Pages:
    """A sink that fails after so many writes."""

    def __init__(self, good_for: int, error: Exception | None = None) -> None:
        self.written: list[bytes] = []
        self._good_for = good_for
        self._error = error or OutputError("the disk is full")

    async def write(self, lines: bytes) -> None:
        await asyncio.sleep(0)
        if len(self.written) == self._good_for:
            raise self._error
        self.written.append(lines)


async def test_a_sink_gets_every_record_and_the_summary_says_what_it_came_to() -> None:
    pages = Pages(10**9)
    async with Stage(many(30, THREE)).engine() as engine, engine.fetch() as records:
        summary = await records.write_to(pages)
    written = [orjson.loads(line) for line in b"".join(pages.written).splitlines()]
    assert outcomes(written) == {"ok": 90}
    assert (written[0]["event"], written[-1]["event"]) == ("started", "finished")
    assert summary.counters.ok == summary.counters.rows == written[-1]["ok"] == 90


async def test_progress_is_told_after_every_write() -> None:
    pages, told = Pages(10**9), list[int]()

    async def progress() -> None:
        told.append(len(pages.written))

    async with Stage(many(3)).engine() as engine, engine.fetch() as records:
        await records.write_to(pages, progress=progress)
    assert told == list(range(1, len(pages.written) + 1))


@pytest.mark.parametrize("good_for", range(4))
@pytest.mark.parametrize("error", [OutputError("the disk is full"), OutputClosedError("the reader went away")])
async def test_a_sink_that_fails_ends_the_pass_and_the_calling(good_for: int, error: OutputError) -> None:
    stage = Stage(many(100), _slowly, limits=Limits(max_in_flight=3))
    async with stage.engine() as engine:
        before = left()
        with pytest.raises(type(error)) as caught:
            async with engine.fetch() as records:
                await records.write_to(Pages(good_for, error))
        called = len(stage.scripted.calls)
        await settle_down(50)
        assert caught.value is error
        assert len(stage.scripted.calls) == called <= 12 + 3 * good_for
        assert engine.snapshot().queued == 0
        assert left().timers == before.timers
        assert await _is_usable(engine)


async def _slowly(_call: Call, _number: int) -> Answer:
    await asyncio.sleep(0)
    return ok_answer(ROWS)


async def _is_usable(engine: Engine) -> bool:
    return (await engine.call("t0/main", "interactions")).ok
