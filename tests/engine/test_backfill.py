"""A backfill is in no hurry: what others ask of its tokens goes before its own calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

import pytest

from tests.engine.stage import GOOD, LoopWall, Stage, ends, outcomes, read_all, subscription, wanted
from wolkvox_async.adapters.state import MemoryState
from wolkvox_async.catalog import Catalog, Dates, Endpoint
from wolkvox_async.engine import Engine
from wolkvox_async.model import Answer, Call
from wolkvox_async.planning import DateRange, Subscription, Wanted
from wolkvox_async.records import Record
from wolkvox_async.scheduling.decisions import Limits

T = TypeVar("T")

MONTHS: Final = DateRange("2024-01-01", "2026-10-31")
CDR: Final = Endpoint("cdr_1", file="reports_manager", dates=Dates.REQUIRED)
DAILY: Final = Endpoint("agent_1", file="reports_manager", dates=Dates.REQUIRED, days=1)
CATALOG: Final = Catalog([CDR, DAILY])
WORKS: Final = 2.0  # seconds that the vendor takes for a report
ANSWERS: Final = 0.2  # and for a reading


def operations(count: int, **more: Any) -> list[Subscription]:
    asked = (*wanted(("interactions",)), Wanted(CDR))
    return [replace(subscription(f"t{n}/main"), wanted=asked, **more) for n in range(count)]


async def reports(engine: Engine, dates: DateRange = MONTHS) -> list[Record]:
    return await read_all(engine, dates=dates, apis=["reports_manager/cdr_1"])


async def vendor(call: Call, _number: int) -> Answer:
    await asyncio.sleep(WORKS if call.file == "reports_manager" else ANSWERS)
    return GOOD


async def beside(main: Coroutine[Any, Any, T], backfill: Callable[[], Coroutine[Any, Any, Any]] | None) -> T:
    """Return what `main` comes to, while a backfill goes on beside it."""
    if backfill is None:
        return await main
    task = asyncio.ensure_future(backfill())
    await asyncio.sleep(0.5)
    result = await main
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return result


async def waits(engine: Engine, count: int) -> list[float]:
    """Make a call of each of so many operations now and then; return how long each took."""
    loop, found = asyncio.get_running_loop(), []
    for turn in range(6):
        began = loop.time()
        await engine.call(f"t{turn % count}/main", "interactions")
        found.append(loop.time() - began)
        await asyncio.sleep(7.3)
    return found


@pytest.mark.looptime
@pytest.mark.parametrize(("count", "slots"), [(1, 32), (3, 32), (12, 2)])
async def test_a_single_call_waits_for_the_call_in_flight_and_for_no_more(count: int, slots: int) -> None:
    found = {}
    for is_beside in (False, True):
        stage = Stage(operations(count), vendor, limits=Limits(max_in_flight=100, per_server=slots), catalog=CATALOG)
        async with stage.engine() as engine:
            found[is_beside] = await beside(waits(engine, count), partial(reports, engine) if is_beside else None)
        assert stage.scripted.overlaps == 0
    assert max(found[False]) == pytest.approx(ANSWERS, abs=0.01)
    assert max(found[True]) <= WORKS + ANSWERS + 0.01


@pytest.mark.looptime
async def test_slots_that_are_watched_are_captured_beside_a_backfill() -> None:
    stage = Stage(operations(2), vendor, interval=30.0, catalog=CATALOG)
    seen: list[float] = []

    async def watch(engine: Engine) -> None:
        async with engine.watch(apis=["interactions"]) as records:
            async for record in records:
                if record["type"] == "gap":
                    raise AssertionError(record)
                if record["type"] == "call":
                    seen.append(record["seconds"])
                    if len(seen) == 8:
                        return

    async with stage.engine() as engine:
        await beside(watch(engine), partial(reports, engine))
    assert len(seen) == 8
    asked = [call for call in stage.scripted.calls if call.file == "reports_manager"]
    assert len(asked) > 40
    assert stage.scripted.overlaps == 0


@pytest.mark.looptime
async def test_a_pass_over_the_same_tokens_goes_before_a_backfill() -> None:
    stage = Stage(operations(5), vendor, limits=Limits(max_in_flight=2), catalog=CATALOG)
    async with stage.engine() as engine:
        loop = asyncio.get_running_loop()

        async def live() -> float:
            began = loop.time()
            assert outcomes(await read_all(engine, apis=["interactions"])) == {"ok": 5}
            return loop.time() - began

        took = await beside(live(), partial(reports, engine))
    assert took <= WORKS + 5 * ANSWERS


@pytest.mark.looptime
async def test_a_backfill_is_whole_whatever_goes_before_it() -> None:
    stage = Stage(operations(2), vendor, catalog=CATALOG)
    records: list[Record] = []

    async def backfill(engine: Engine) -> None:
        records.extend(await reports(engine))

    async with stage.engine() as engine, asyncio.TaskGroup() as group:
        group.create_task(backfill(engine))
        await asyncio.sleep(0.5)
        await waits(engine, 2)
    months = [end["window"]["from"][:6] for end in ends(records) if end["window"] and end["tenant"] == "t0"]
    assert outcomes(records) == {"ok": 2 * 34}
    assert months == sorted(months)


# --- several processes --------------------------------------------------------------------


@pytest.mark.looptime
@pytest.mark.parametrize("works", [0.05, WORKS])
async def test_a_backfill_leaves_its_token_to_another_process_that_waits_for_it(works: float) -> None:
    async def quick(call: Call, _number: int) -> Answer:
        await asyncio.sleep(works if call.file == "reports_manager" else ANSWERS)
        return GOOD

    state = MemoryState(LoopWall())
    one, other = (Stage(operations(1), quick, state=state.beside(), catalog=CATALOG) for _ in range(2))
    async with one.engine() as back, other.engine() as live:
        years = DateRange("2000-01-01", "2026-10-31")
        found = await beside(waits(live, 1), partial(reports, back, years))
    # One call that is in flight, and half a second until it is asked again whether the token is free.
    assert max(found) <= works + 0.5 + ANSWERS + 0.02
    assert len(one.scripted.calls) > 6


@pytest.mark.looptime
async def test_two_backfills_do_not_wait_for_each_other_in_turns_of_one_call() -> None:
    state = MemoryState(LoopWall())
    stages = [Stage(operations(1), vendor, state=state.beside(), seed=n, catalog=CATALOG) for n in range(2)]
    engines = [stage.engine() for stage in stages]
    async with engines[0], engines[1]:
        done = [reports(one, DateRange("2026-01-01", "2026-10-31")) for one in engines]
        first, second = await asyncio.gather(*done)
    assert [outcomes(first), outcomes(second)] == [{"ok": 10}, {"ok": 10}]
    assert sum(len(stage.scripted.turns) for stage in stages) <= 10


# --- quotas ---------------------------------------------------------------------------------


async def test_a_backfill_leaves_of_the_quota_what_watching_needs() -> None:
    def script(_call: Call, _number: int) -> Answer:
        return GOOD

    asked = (*wanted(("interactions", "vision", "ivr_calls")), Wanted(DAILY))
    one = replace(subscription(), wanted=asked, licences=1)
    stage = Stage([one], script, interval=300.0, catalog=CATALOG)
    async with stage.engine() as engine:
        records = await read_all(engine, dates=DateRange("2024-01-01", "2024-12-31"), apis=["reports_manager/agent_1"])
    # 1,000 a day; three endpoints every five minutes are 864, and the report itself 288 more.
    assert outcomes(records) == {"ok": 100, "skipped quota": 266}
    assert len(stage.scripted.calls) == 100


async def test_without_known_licences_a_backfill_has_no_bound() -> None:
    stage = Stage([replace(subscription(), wanted=(Wanted(CDR),))], lambda _call, _number: GOOD)
    async with stage.engine() as engine:
        assert outcomes(await read_all(engine, dates=MONTHS)) == {"ok": 34}
