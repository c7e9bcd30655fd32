"""A partition is given back when the engine knows of it, and nothing of it goes on any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from wolkvox_async.adapters.clock import LoopClock
from wolkvox_async.apps.joined.finishing import Finishing
from wolkvox_async.apps.joined.labour import Outcome

from .desk import PARTITION, TOKEN, Desk

pytestmark = pytest.mark.looptime


@dataclass
class FakeLabour:
    """Takes a second to ask anew what is ours."""

    desk: Desk
    held: list[bool] = field(default_factory=list)
    drained: bool = True

    async def run(self) -> Outcome:
        return Outcome(stopped=False)

    async def rehold(self) -> None:
        self.held.append(self.desk.state.holds(TOKEN))
        await asyncio.sleep(1.0)

    def progress(self, done: Sequence[int], *, is_complete: bool) -> None:
        """Nothing is in common."""

    def is_drained(self) -> bool:
        return self.drained

    def stop(self) -> None:
        """There is nothing to stop."""

    def abandon(self) -> None:
        """There is nothing to give up."""

    def seen(self) -> Mapping[str, int]:
        return {}

    def show(self, cluster: Mapping[str, Any]) -> None:
        """Nobody looks."""


@dataclass
class Bench:
    """A desk with a partition, and what was given back."""

    desk: Desk
    labour: FakeLabour
    finishing: Finishing
    released: list[int]
    failures: list[BaseException]


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    desk = Desk()
    await desk.take(for_seconds=1000.0)
    labour, released, failures = FakeLabour(desk), list[int](), list[BaseException]()
    finishing = Finishing(labour, desk.state, LoopClock(), released.append)
    finishing.start(failures.append)
    try:
        yield Bench(desk, labour, finishing, released, failures)
    finally:
        await finishing.close()
    assert failures == []


async def test_it_is_given_back_once_the_engine_does_not_have_it_any_more() -> None:
    async with bench() as it:
        it.finishing.finish(PARTITION)
        await asyncio.sleep(0.9)
        assert it.released == []
        await asyncio.sleep(0.5)
        assert it.released == [PARTITION]
        assert it.labour.held == [False]
        assert it.desk.state.tenancies.get(PARTITION) is None


async def test_what_is_in_use_is_waited_for() -> None:
    async with bench() as it:
        it.desk.state.claim(TOKEN)
        it.finishing.finish(PARTITION)
        await asyncio.sleep(50.0)
        assert it.released == []
        it.desk.state.release(TOKEN)
        await asyncio.sleep(0.1)
        assert it.released == [PARTITION]


async def test_what_has_ended_and_is_not_delivered_or_not_stored_is_waited_for() -> None:
    async with bench() as it:
        it.labour.drained = False
        it.finishing.finish(PARTITION)
        await asyncio.sleep(50.0)
        assert it.released == []
        await it.desk.deliver(it.desk.settlement())
        it.labour.drained = True
        await asyncio.sleep(50.0)
        assert it.released == []
        it.desk.outgoing.stored(1)
        await asyncio.sleep(0.1)
        assert it.released == [PARTITION]


async def test_what_was_lost_meanwhile_is_not_given_back() -> None:
    async with bench() as it:
        it.desk.state.claim(TOKEN)
        it.finishing.finish(PARTITION)
        it.desk.state.tenancies.drop(PARTITION)
        it.desk.state.release(TOKEN)
        await asyncio.sleep(50.0)
        assert it.released == []


async def test_many_changes_are_one_question() -> None:
    async with bench() as it:
        for _ in range(100):
            it.finishing.changed()
        await asyncio.sleep(50.0)
        assert len(it.labour.held) == 1


async def test_a_failure_is_told() -> None:
    async with bench() as it:

        async def fail() -> None:
            raise ValueError("what is ours cannot be said")

        it.labour.rehold = fail  # type: ignore[method-assign]
        it.finishing.changed()
        await asyncio.sleep(1.0)
        assert [type(error) for error in it.failures] == [ValueError]
        it.failures.clear()
