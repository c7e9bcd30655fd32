"""Planned calls are written down when they have not ended within a second."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from wolkvox_async.adapters.state.expected import SOON, Expected
from wolkvox_async.model import Call

from .houses import RUN, SECRET, mark, planned


class Pad:
    """What was written down, by run."""

    def __init__(self) -> None:
        self.written: list[tuple[str, list[str]]] = []

    def write(self, run: str, calls: Sequence[Call]) -> None:
        self.written.append((run, [call.operation.name for call in calls]))


@pytest.mark.looptime
async def test_what_has_not_ended_within_a_second_is_written_down_once() -> None:
    pad = Pad()
    expected = Expected(pad.write)
    expected.add(RUN, [planned(operation="bogota"), planned(operation="quito")])
    await asyncio.sleep(0.9 * SOON)
    assert pad.written == []
    await asyncio.sleep(0.2 * SOON)
    assert pad.written == [(RUN, ["bogota", "quito"])]
    await asyncio.sleep(5 * SOON)
    assert len(pad.written) == 1


@pytest.mark.looptime
async def test_what_has_ended_is_not_written_down() -> None:
    pad = Pad()
    expected = Expected(pad.write)
    call = planned(operation="quito")
    ended = mark()
    ended.call = call.id
    expected.add(RUN, [call])
    expected.add("another run", [call, planned(operation="lima")])
    expected.drop(RUN, [ended])
    expected.drop("a third run", [ended])
    await asyncio.sleep(2 * SOON)
    assert pad.written == [("another run", ["quito", "lima"])]


async def test_written_down_early_no_timer_is_left() -> None:
    pad = Pad()
    expected = Expected(pad.write)
    expected.add(RUN, [planned(token=SECRET)])
    expected.write_down()
    expected.write_down()
    assert pad.written == [(RUN, ["bogota"])]
    assert expected._timer is None
