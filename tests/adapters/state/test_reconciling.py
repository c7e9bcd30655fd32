"""An output that lost records: its runs become what it holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters.state.houses import NOON, OTHER, RUN, TOKEN, FolderHouse, mark
from tests.adapters.state.test_contract import OUTPUT, order, settle
from wolkvox_async.adapters.state import SqliteState
from wolkvox_async.counters import Counters
from wolkvox_async.errors import RunError
from wolkvox_async.marks import tail
from wolkvox_async.ports import Place

KEPT, GONE = mark(), mark(token=OTHER, rows=5)


@pytest.fixture
def folder(tmp_path: Path) -> FolderHouse:
    return FolderHouse(tmp_path / "state")


async def delivered(state: SqliteState, *, complete: bool = True, name: str | None = "november") -> None:
    """Have a run settle two calls, whose records end at 200."""
    await state.adopt(OUTPUT, [], 0)
    await state.open_run(order(1, name))
    await settle(state, KEPT, GONE, position=200)
    await state.close_run(RUN, complete=complete)


async def test_an_output_has_shrunk_when_it_is_shorter_than_known_or_another_file(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        assert not await state.has_shrunk(OUTPUT, 0)
        await delivered(state)
        assert [await state.has_shrunk(OUTPUT, end) for end in (199, 200, 201)] == [True, False, False]
        assert await state.has_shrunk(Place(OUTPUT.path, OUTPUT.device, 43), 200)


async def test_what_the_output_does_not_hold_is_as_if_never_called(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await delivered(state)
    async with await folder.open() as state:
        assert await state.adopt(OUTPUT, [KEPT], 100, shrunk=True) == 1
        assert not await state.has_shrunk(OUTPUT, 100)
        await state.look([TOKEN, OTHER])
        assert state.since(TOKEN, "interactions") is not None
        assert state.since(OTHER, "interactions") is None
        run = await state.open_run(order(2, "november"))
    assert run.settled == {tail(KEPT.call)}
    assert run.counters == Counters(ok=1, rows=3, attempts=2)


async def test_what_the_output_holds_is_settled_though_nobody_told(folder: FolderHouse) -> None:
    untold = mark(question="gamification")
    async with await folder.open() as state:
        await delivered(state)
        assert await state.adopt(OUTPUT, [KEPT, untold, KEPT], 100, shrunk=True) == 1
        run = await state.open_run(order(2, "november"))
    assert run.settled == {tail(KEPT.call), tail(untold.call)}
    assert run.counters == Counters(ok=2, rows=6, attempts=2)


async def test_a_complete_run_without_a_name_is_asked_anew_and_not_taken_up(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await delivered(state, name=None)
    async with await folder.open() as state:
        assert await state.adopt(OUTPUT, [], 0, shrunk=True) == 2
        await state.look([TOKEN, OTHER])
        assert {state.since(token, "interactions") for token in (TOKEN, OTHER)} == {None}
        with pytest.raises(RunError, match="no run to resume"):
            await state.open_run(order(2, resume=True))


async def test_runs_with_other_outputs_are_left_alone(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await delivered(state)
        assert await state.adopt(Place("/var/out/other.jsonl", 7, 44), [], 0, shrunk=True) == 0
        assert (await state.open_run(order(2, "november"))).counters == Counters(ok=2, rows=8, attempts=2)


async def test_a_run_that_somebody_works_on_is_not_brought_back(folder: FolderHouse) -> None:
    async with await folder.open() as state, await folder.open() as another:
        await delivered(state, complete=False)
        await another.open_run(order(2, "november"))
        with pytest.raises(RunError, match="november is alive"):
            await state.adopt(OUTPUT, [], 0, shrunk=True)
        assert await state.has_shrunk(OUTPUT, 0)
        await another.close_run(RUN, complete=False)
        assert len((await state.open_run(order(3, "november"))).settled) == 2


async def test_what_failed_last_keeps_the_time_of_the_answer_before_it(folder: FolderHouse) -> None:
    async with await folder.open() as state:
        await delivered(state)
        await settle(state, mark("failed", at=NOON), run="another")
    async with await folder.open() as state:
        await state.adopt(OUTPUT, [KEPT, GONE], 100, shrunk=True)
        await state.look([TOKEN])
        assert state.since(TOKEN, "interactions") is not None
