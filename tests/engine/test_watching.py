"""Every slot of what is watched ends once: with a `call` record, or with a gap that says why."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from wolkvox_async.adapters.state import MemoryState
from wolkvox_async.errors import SelectionError
from wolkvox_async.model import Answer, Call, Operation, Token
from wolkvox_async.planning import DateRange, Subscription, Wanted
from wolkvox_async.ports import SlotMissed
from wolkvox_async.records import CallRecord, GapRecord, WatchRecord
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.scheduling.retry import RetryPolicy

from .stage import BUSY, CATALOG, DOWN, GOOD, QUOTA, REFUSED, LoopWall, Stage, many, subscription

pytestmark = pytest.mark.looptime

FIVE = 300.0
MINUTE = timedelta(minutes=1)


def moment(record: WatchRecord) -> datetime:
    slot = record["slot"] if record["type"] in ("row", "call", "gap") else None
    assert slot is not None
    return datetime.fromisoformat(slot)


def ends(records: Sequence[WatchRecord]) -> list[CallRecord | GapRecord]:
    return [record for record in records if record["type"] in ("call", "gap")]


def how(records: Sequence[WatchRecord]) -> Counter[str]:
    return Counter(one["outcome"] if one["type"] == "call" else one["reason"] for one in ends(records))


def due_times(records: Sequence[WatchRecord], api: str = "interactions") -> list[datetime]:
    return [moment(one) for one in ends(records) if one["api"] == api]


async def watched(stage: Stage, minutes: float, **options: object) -> list[WatchRecord]:
    """Watch for so long, stop, and return the records."""
    found: list[WatchRecord] = []
    async with stage.engine() as engine, engine.watch(**options) as records:  # type: ignore[arg-type]
        asyncio.get_running_loop().call_later(minutes * 60, engine.stop)
        found.extend([record async for record in records])
    return found


def stage(apis: Sequence[str] = ("interactions",), **options: object) -> Stage:
    return Stage([subscription(apis=apis)], interval=FIVE, **options)  # type: ignore[arg-type]


async def test_everything_is_asked_once_in_each_interval() -> None:
    there = Stage(many(3, ("interactions", "vision")), interval=FIVE)
    records = await watched(there, 60)
    assert how(records) == {"ok": 3 * 2 * 12}
    assert all(
        call["closing"] is False and call["slot"] is not None for call in ends(records) if call["type"] == "call"
    )


async def test_slots_are_an_interval_apart_at_a_phase_that_is_always_the_same() -> None:
    first, again = await watched(stage(), 30), await watched(stage(), 30)
    times = due_times(first)
    assert {later - one for one, later in itertools.pairwise(times)} == {timedelta(seconds=FIVE)}
    assert times == due_times(again)


async def test_every_slot_has_an_id_of_its_own_and_its_rows_say_which() -> None:
    records = await watched(stage(), 20)
    calls = [one for one in records if one["type"] == "call"]
    rows = [one for one in records if one["type"] == "row"]
    assert len({call["call"] for call in calls}) == len(calls) == 4
    assert [(row["call"], row["slot"]) for row in rows] == [(call["call"], call["slot"]) for call in calls]


async def test_a_run_of_watching_ends_as_stopped_and_counts_its_gaps() -> None:
    records = await watched(stage(server_limit=0.0, script=lambda _c, _n: DOWN, retry=RetryPolicy(1)), 21)
    (last,) = [one for one in records if one["type"] == "run" and one["event"] != "started"]
    gaps = sum(one["type"] == "gap" for one in records)
    assert last["event"] == "stopped"
    assert last.get("gaps", 0) == gaps


async def test_a_slow_call_makes_slots_drop_and_never_overlaps() -> None:
    async def slow(_call: Call, _number: int) -> Answer:
        await asyncio.sleep(700)
        return GOOD

    there = stage(script=slow)
    records = await watched(there, 60)
    assert there.scripted.overlaps == 0
    assert set(how(records)) == {"ok", "overrun"}
    times = due_times(records)
    assert times == sorted(times)
    assert len(set(times)) == len(times)


async def test_slots_of_a_server_that_is_down_end_as_failed_or_as_a_gap_that_says_so() -> None:
    there = Stage(many(20), lambda _c, _n: DOWN, interval=FIVE, server_limit=0.0)
    records = await watched(there, 31)
    assert set(how(records)) <= {"failed", "down", "stopped"}
    assert how(records)["down"] > 20
    for n in range(20):
        times = [moment(one) for one in ends(records) if one["tenant"] == f"t{n}"]
        assert {later - one for one, later in itertools.pairwise(times)} == {timedelta(seconds=FIVE)}


async def test_a_refused_token_leaves_gaps_and_is_not_called_again() -> None:
    there = stage(script=lambda _c, _n: REFUSED)
    records = await watched(there, 30)
    assert how(records) == {"failed": 1, "held": 5}
    assert len(there.scripted.calls) == 1


async def test_a_used_up_quota_leaves_gaps() -> None:
    records = await watched(stage(script=lambda _c, _n: QUOTA), 30)
    assert how(records) == {"failed": 1, "quota": 5}


async def test_a_failure_of_one_endpoint_holds_no_other() -> None:
    def script(call: Call, _number: int) -> object:
        return DOWN if call.api == "vision" else GOOD

    there = stage(("interactions", "vision"), script=script, retry=RetryPolicy(1), server_limit=0.0)
    records = await watched(there, 60)
    assert how([one for one in records if one["type"] != "run" and one["api"] == "interactions"]) == {"ok": 12}


async def test_while_another_process_uses_the_token_its_slots_are_gaps() -> None:
    clock = LoopWall()
    other = MemoryState(clock)
    there = stage(state=other.beside(), clock=clock)
    operation = there.subscriptions[0].operation
    await other.look((operation.token.id,))
    other.claim(operation.token.id)
    records = await watched(there, 30)
    assert set(how(records)) == {"busy"} or set(how(records)) == {"busy", "stopped"}


async def test_a_hook_is_told_of_every_gap_and_of_no_call_that_was_not_made() -> None:
    there = stage(script=lambda _c, _n: REFUSED)
    records = await watched(there, 30)
    missed = [event for event in there.ear.events if isinstance(event, SlotMissed)]
    assert [event.slot.at for event in missed] == [moment(one) for one in ends(records) if one["type"] == "gap"]
    assert len(there.ear.settled) == 1


async def test_more_than_may_be_in_flight_is_infeasible() -> None:
    async def slow(_call: Call, _number: int) -> Answer:
        await asyncio.sleep(250)
        return GOOD

    there = Stage(many(6), slow, interval=FIVE, limits=Limits(max_in_flight=2))
    records = await watched(there, 60)
    assert how(records)["infeasible"] > 0
    assert how(records)["ok"] > 0


async def test_the_time_without_the_program_becomes_gaps() -> None:
    clock = LoopWall()
    state = MemoryState(clock)
    first = await watched(stage(state=state, clock=clock), 20)
    await asyncio.sleep(3600)
    second = await watched(stage(state=state.beside(), clock=clock, seed=8), 20)
    times = due_times([*first, *second])
    assert {later - one for one, later in itertools.pairwise(times)} == {timedelta(seconds=FIVE)}
    assert how(second)["stopped"] == 12
    assert how(second)["ok"] == 4


async def test_without_a_reader_slots_are_gaps_because_of_it() -> None:
    there = Stage(many(8), interval=FIVE, limits=Limits(max_in_flight=1))
    found: list[WatchRecord] = []
    async with there.engine() as engine, engine.watch() as records:
        reading = aiter(records)
        found.append(await anext(reading))
        await asyncio.sleep(3600)
        asyncio.get_running_loop().call_later(600, engine.stop)
        found.extend([record async for record in reading])
    assert how(found)["sink"] > 0
    times = Counter((one["tenant"], one["slot"]) for one in ends(found))
    assert set(times.values()) == {1}


async def test_watching_needs_an_interval() -> None:
    async with Stage([subscription()], interval=0.0).engine() as engine:
        with pytest.raises(SelectionError, match="interval"):
            async with engine.watch():
                pass


async def test_only_changes_leaves_out_rows_that_are_as_before() -> None:
    records = await watched(stage(), 30, only_changes=True)
    assert how(records) == {"ok": 6}
    assert sum(one["type"] == "row" for one in records) == 1
    assert [one["rows"] for one in records if one["type"] == "call"] == [1, 0, 0, 0, 0, 0]


async def test_the_vendors_own_busy_answer_is_no_gap_but_a_failed_call() -> None:
    there = stage(script=lambda _c, _n: BUSY, retry=RetryPolicy(patience=30.0))
    assert set(how(await watched(there, 16))) == {"failed"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


BEFORE_THE_TURN = at("2026-12-01T04:30:00")  # half an hour before midnight in Bogotá
TURN = at("2026-12-01T05:00:00")


def near_the_turn(**options: object) -> Stage:
    return stage(clock=LoopWall(BEFORE_THE_TURN), **options)  # type: ignore[arg-type]


async def test_the_last_reading_of_a_month_is_taken_late() -> None:
    records = await watched(near_the_turn(), 60)
    (closing,) = [one for one in ends(records) if one["closing"]]
    assert closing["type"] == "call"
    assert TURN - timedelta(seconds=140) < moment(closing) < TURN
    assert how(records)["closing"] == 1
    assert len(ends(records)) == 12


async def test_a_closing_reading_tries_although_the_quota_is_used_up() -> None:
    there = near_the_turn(apis=("interactions", "vision"), script=lambda _c, _n: QUOTA)
    records = await watched(there, 60)
    closings = [one for one in ends(records) if one["closing"]]
    assert [one["type"] for one in closings] == ["call", "call"]
    asked = [call.slot.due for call in there.scripted.calls if call.slot is not None]
    assert len([due for due in asked if due < TURN.timestamp() * 1000]) == 1 + 2  # a new day has a new quota


async def test_a_closing_reading_that_could_not_be_taken_is_a_gap_that_says_so() -> None:
    there = Stage(
        [subscription(f"t{n}/main") for n in range(12)],
        lambda _c, _n: DOWN,
        clock=LoopWall(BEFORE_THE_TURN),
        interval=FIVE,
        server_limit=0.0,
    )
    records = await watched(there, 60)
    closings = [one for one in ends(records) if one["closing"]]
    assert len(closings) == 12
    assert all(one["type"] == "gap" or one["outcome"] == "failed" for one in closings)
    assert all(moment(one) < TURN for one in closings)


@pytest.mark.parametrize("seconds", [7200.0, 3600.0])
async def test_what_was_due_while_the_clock_jumped_is_suspended(seconds: float) -> None:
    clock = LoopWall()
    there = stage(clock=clock)
    found: list[WatchRecord] = []
    async with there.engine() as engine, engine.watch() as records:
        loop = asyncio.get_running_loop()
        loop.call_later(900, lambda: _jump(clock, seconds))
        loop.call_later(1800, engine.stop)
        found.extend([record async for record in records])
    times = due_times(found)
    assert {later - one for one, later in itertools.pairwise(times)} == {timedelta(seconds=FIVE)}
    assert abs(how(found)["suspended"] - seconds / FIVE) <= 1
    # What came due too early after the last reading, because the clock went ahead, had to give way.
    assert how(found)["overrun"] <= 1
    assert set(how(found)) <= {"ok", "suspended", "overrun"}


async def test_a_clock_that_is_set_back_repeats_no_slot() -> None:
    clock = LoopWall()
    there = stage(clock=clock)
    found: list[WatchRecord] = []
    async with there.engine() as engine, engine.watch() as records:
        loop = asyncio.get_running_loop()
        loop.call_later(900, lambda: _jump(clock, -600.0))
        loop.call_later(3600, engine.stop)
        found.extend([record async for record in records])
    times = due_times(found)
    assert {later - one for one, later in itertools.pairwise(times)} == {timedelta(seconds=FIVE)}
    assert how(found) == {"ok": 10}


def _jump(clock: LoopWall, seconds: float) -> None:
    clock._utc += timedelta(seconds=seconds)  # type: ignore[misc]


async def test_a_reload_neither_drops_nor_doubles_a_slot() -> None:
    before, after = many(3), [*many(5)[1:]]
    there = Stage(before, interval=FIVE)
    found: list[WatchRecord] = []
    async with there.engine() as engine, engine.watch() as records:

        async def change() -> None:
            for n in range(100):
                await asyncio.sleep(37)
                await records.replace(after if n % 2 == 0 else before)
            engine.stop()

        changing = asyncio.create_task(change())
        found.extend([record async for record in records])
        await changing
    for tenant in ("t1", "t2"):
        times = [moment(one) for one in ends(found) if one["tenant"] == tenant]
        assert {later - one for one, later in itertools.pairwise(times)} == {timedelta(seconds=FIVE)}
        assert len(times) == 12 or len(times) == 13
    seen = Counter((one["tenant"], one["slot"]) for one in ends(found))
    assert set(seen.values()) == {1}
    assert set(how(found)) <= {"ok", "stopped"}


async def test_it_ends_when_it_is_told_to_although_nothing_was_due_yet() -> None:
    there = stage()
    async with there.engine() as engine, engine.watch() as records:
        began = asyncio.get_running_loop().time()
        engine.stop()
        events = [record["event"] async for record in records if record["type"] == "run"]
        took = asyncio.get_running_loop().time() - began
    assert events == ["started", "stopped"]
    assert took < 1


class SlowSource:
    """A token source that takes a minute, and finds the same."""

    async def resolve(self, operation: Operation) -> Token:
        await asyncio.sleep(60)
        return Token(f"another-{operation.path}")


async def test_an_operation_may_go_while_its_refused_token_is_looked_for() -> None:
    def script(call: Call, _number: int) -> Answer:
        return REFUSED if call.operation.tenant == "t0" else GOOD

    there = Stage(many(2), script, interval=FIVE, tokens=SlowSource())
    found: list[WatchRecord] = []
    async with there.engine() as engine, engine.watch() as records:
        loop = asyncio.get_running_loop()

        async def remove() -> None:
            while not any(call.operation.tenant == "t0" for call in there.scripted.calls):
                await asyncio.sleep(1)
            await records.replace(many(2)[1:])

        removing = asyncio.create_task(remove())
        loop.call_later(1800, engine.stop)
        found.extend([record async for record in records])
        await removing
    assert how([one for one in ends(found) if one["tenant"] == "t0"]) == {"failed": 1}
    assert how([one for one in ends(found) if one["tenant"] == "t1"]) == {"ok": 6}


async def test_what_comes_back_after_hours_begins_with_its_next_slot() -> None:
    there = Stage(many(2), interval=FIVE)
    found: list[WatchRecord] = []
    async with there.engine() as engine, engine.watch() as records:

        async def change() -> None:
            await asyncio.sleep(1000)
            await records.replace(many(2)[1:])
            await asyncio.sleep(10_000)
            await records.replace(many(2))
            await asyncio.sleep(1000)
            engine.stop()

        changing = asyncio.create_task(change())
        found.extend([record async for record in records])
        await changing
    assert set(how([one for one in ends(found) if one["tenant"] == "t0"])) == {"ok"}


async def test_it_ends_at_once_when_it_was_told_to_before_it_began() -> None:
    there = stage()
    async with there.engine() as engine:
        engine.stop()
        began = asyncio.get_running_loop().time()
        async with engine.watch() as records:
            events = [record["event"] async for record in records if record["type"] == "run"]
        took = asyncio.get_running_loop().time() - began
    assert events == ["started", "stopped"]
    assert took < 1


async def test_a_reload_in_the_middle_of_a_call_leaves_one_call_and_its_gaps_in_order() -> None:
    async def slow(_call: Call, _number: int) -> Answer:
        await asyncio.sleep(700)
        return GOOD

    there = stage(script=slow)
    zones = [replace(there.subscriptions[0].operation, timezone=zone) for zone in ("Asia/Tokyo", "America/Bogota")]
    found: list[WatchRecord] = []
    async with there.engine() as engine, engine.watch() as records:

        async def change() -> None:
            for n in range(30):
                await asyncio.sleep(211)
                operation = replace(zones[n % 2], name=there.subscriptions[0].name)
                await records.replace([replace(there.subscriptions[0], operation=operation)] if n % 5 else many(1))
            engine.stop()

        changing = asyncio.create_task(change())
        found.extend([record async for record in records])
        await changing
    mine = [moment(one) for one in ends(found) if one["tenant"] == "acme"]
    assert mine == sorted(mine)
    assert len(set(mine)) == len(mine)
    assert there.scripted.overlaps == 0


async def test_what_goes_wrong_in_the_timekeeping_reaches_the_reader() -> None:
    class Forgetful(MemoryState):
        def refusal(self, token: str) -> None:  # noqa: ARG002 - the port's signature
            raise ValueError("made up")

    clock = LoopWall()
    with pytest.raises(ValueError, match="made up"):
        await watched(stage(state=Forgetful(clock), clock=clock), 20)


def dated(start: str) -> Stage:
    endpoint = CATALOG.get("gamification")
    assert endpoint is not None
    operation = subscription().operation
    return Stage([Subscription(operation, (Wanted(endpoint, DateRange(start)),))], interval=FIVE)


async def test_a_range_that_is_open_asks_for_more_in_every_slot_and_is_one_thing_to_the_state() -> None:
    there = dated("2026-11-20")
    records = await watched(there, 30, only_changes=True)
    asked = [one["window"] for one in records if one["type"] == "call"]
    assert len({window["to"] for window in asked if window is not None}) == 6
    assert len({call.question for call in there.scripted.calls}) == 1
    assert sum(one["type"] == "row" for one in records) == 1


async def test_a_range_may_begin_behind_slots_that_were_missed() -> None:
    clock = LoopWall()
    state = MemoryState(clock)
    first = replace(dated("2026-11-20"), state=state, clock=clock)
    before = await watched(first, 20)
    await asyncio.sleep(7200)
    second = replace(dated("2026-11-21T09:00:00"), state=state.beside(), clock=clock, seed=8)
    records = await watched(second, 20)
    times = due_times([*before, *records], "gamification")
    assert times == sorted(set(times))  # another range has another phase
    assert how(records)["stopped"] >= 23
    assert how(records)["ok"] >= 3


async def test_an_interval_that_goes_up_and_down_by_reloads_tells_no_slot_twice() -> None:
    endpoint = CATALOG.get("interactions")
    assert endpoint is not None
    there = stage()
    found: list[WatchRecord] = []
    async with there.engine() as engine, engine.watch() as records:

        async def change() -> None:
            for interval in (400.0, 900.0, 600.0, 300.0, 900.0, 400.0) * 4:
                await asyncio.sleep(517)
                wanted = (Wanted(replace(endpoint, interval=interval)),)
                await records.replace([replace(there.subscriptions[0], wanted=wanted)])
            engine.stop()

        changing = asyncio.create_task(change())
        found.extend([record async for record in records])
        await changing
    times = due_times(found)
    assert times == sorted(set(times))
    assert "stopped" not in how(found)
