"""Endpoints beyond billing while watching: every value of a list is a subject of its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.engine.stage import Stage, subscription
from wolkvox_async.catalog import Catalog, Dates, Endpoint
from wolkvox_async.errors import SelectionError
from wolkvox_async.lines import line
from wolkvox_async.marks import read_slot_mark, slot_mark
from wolkvox_async.model import GapReason, Operation, Slot
from wolkvox_async.planning import MonthWord, Wanted
from wolkvox_async.records import gap_record
from wolkvox_async.settlements import Gap

LISTED = Endpoint("detail", file="campaign", choices=(("campaign_id", ("7", "8")),))
DAILY = Endpoint("agent_1", file="reports_manager", dates=Dates.REQUIRED, days=1)
WHOLE = Endpoint("cdr_1", file="reports_manager", dates=Dates.REQUIRED, days=31)
CATALOG = Catalog([LISTED, DAILY, WHOLE])


@pytest.mark.looptime
async def test_every_value_of_a_list_has_slots_of_its_own() -> None:
    one = replace(subscription(), wanted=tuple(Wanted(LISTED).variants()))
    stage = Stage([one], interval=60.0, catalog=CATALOG)
    found = Counter[str]()
    async with stage.engine() as engine, engine.watch() as records:
        async for record in records:
            if record["type"] == "call" and record["params"] is not None:
                found[record["params"]["campaign_id"]] += 1
                if found.total() == 6:
                    break
    assert found == {"7": 3, "8": 3}
    assert stage.scripted.overlaps == 0


@pytest.mark.parametrize("word", ["current-month", "previous-month"])
async def test_a_month_that_is_asked_for_by_the_day_cannot_be_watched(word: MonthWord) -> None:
    stage = Stage([replace(subscription(), wanted=(Wanted(DAILY, word),))], interval=60.0, catalog=CATALOG)
    async with stage.engine() as engine:
        with pytest.raises(SelectionError, match="1 day at most"):
            async with engine.watch():
                raise AssertionError("it was entered")
    whole = Stage([replace(subscription(), wanted=(Wanted(WHOLE, word),))], interval=60.0, catalog=CATALOG)
    async with whole.engine() as engine, engine.watch() as records:
        assert records.size == 1


def test_the_slots_of_two_values_are_told_apart_from_their_gaps_too() -> None:
    whose: Operation = subscription().operation
    gaps = [
        Gap(whose, "campaign/detail", Slot(1000, 1000), GapReason.DOWN, params=(("campaign_id", value),))
        for value in ("7", "8")
    ]
    marks = [slot_mark(gap) for gap in gaps]
    assert marks[0] != marks[1]
    assert [read_slot_mark(line(gap_record("01K", gap))) for gap in gaps] == marks


async def test_a_single_call_of_a_list_says_that_it_would_be_several() -> None:
    stage = Stage([subscription()], catalog=CATALOG)
    async with stage.engine() as engine:
        with pytest.raises(ValueError, match="one call for each campaign_id"):
            await engine.call("acme/bogota", "campaign/detail")
        with pytest.raises(ValueError, match="one call covers 1 day:"):
            await engine.call("acme/bogota", "reports_manager/agent_1", dates="previous-month")
