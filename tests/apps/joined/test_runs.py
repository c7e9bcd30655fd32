"""Machines agree on one run, whoever comes first, and it is complete when all its partitions are done."""

from __future__ import annotations

import asyncio

import pytest

from wolkvox_async.adapters.stores.memory import MemoryStore
from wolkvox_async.apps.joined.runs import CommonRun, Runs
from wolkvox_async.errors import RunError

AT = "2026-11-22T15:00:00+00:00"


def new(id_: str, name: str = "", tenants: str = "ours") -> CommonRun:
    return CommonRun(id_, AT, name, tenants)


@pytest.mark.parametrize("name", ["", "tonight"])
async def test_of_two_that_come_at_once_one_begins_the_run_and_the_other_takes_part(name: str) -> None:
    store = MemoryStore()
    found = await asyncio.gather(Runs(store).open(new("one", name)), Runs(store.beside()).open(new("other", name)))
    assert len({run.id for run, _ in found}) == 1
    assert sorted(is_new for _, is_new in found) == [False, True]


async def test_a_run_is_complete_when_everything_wanted_is_done_and_one_hears_that_it_was_the_last() -> None:
    store = MemoryStore()
    runs, others = Runs(store), Runs(store.beside())
    run, _ = await runs.open(new("one"))
    run, was_last = await runs.add(run, [1, 2], {"ok": 5, "failed": 1}, [1, 2, 4])
    assert (run.complete, was_last) == (False, False)
    theirs, was_last = await others.add(run, [4, 2], {"ok": 2}, [1, 2, 4])
    assert (theirs.complete, was_last) == (True, True)
    assert theirs.counts == {"ok": 7, "failed": 1}
    assert await runs.read(run) == theirs
    assert await runs.add(run, [1], {}, [1, 2, 4]) == (theirs, False)


async def test_without_a_name_a_new_run_follows_a_complete_one() -> None:
    runs = Runs(MemoryStore())
    run, _ = await runs.open(new("one"))
    await runs.add(run, [1], {}, [1])
    assert (await runs.open(new("two")))[0].id == "two"


async def test_a_named_run_is_taken_up_again_as_what_it_was() -> None:
    runs = Runs(MemoryStore())
    run, _ = await runs.open(new("one", "tonight"))
    await runs.add(run, [1], {"ok": 1}, [1])
    again, is_new = await runs.open(new("two", "tonight"))
    assert (again, is_new) == (new("one", "tonight"), True)


async def test_a_run_over_other_tenants_is_not_taken_part_in() -> None:
    runs = Runs(MemoryStore())
    await runs.open(new("one", "tonight"))
    with pytest.raises(RunError, match="--run tonight"):
        await runs.open(new("two", "tonight", tenants="theirs"))
    assert (await runs.open(new("two", tenants="theirs")))[1]
