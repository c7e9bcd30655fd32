"""What an engine in a worker delivers leaves as frames, and its tokens stay until the parent has settled them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.apps.worked import AT, EMPTY, FAILED, HELD, OK, RUN, delivered, fields
from wolkvox_async.adapters.clock import LoopClock
from wolkvox_async.adapters.state import MemoryState
from wolkvox_async.apps.working.desk import Desk, gathering
from wolkvox_async.apps.working.shares import Part
from wolkvox_async.errors import StateError
from wolkvox_async.model import Outcome
from wolkvox_async.ports import OpenRun

pytestmark = pytest.mark.looptime


@dataclass
class Wire:
    """What was posted, and which answers were settled."""

    frames: list[tuple[list[Any], bytes]] = field(default_factory=list)
    settled: list[StateError | None] = field(default_factory=list)

    def post(self, *head: Any, tail: bytes = b"") -> None:
        self.frames.append(([*head], tail))


def desk(wire: Wire, pause: float = 0.0) -> Desk:
    return Desk(7, OpenRun(RUN, AT), MemoryState(LoopClock()), wire.post, pause)


async def deliver(at: Desk, wire: Wire, *outcomes: Outcome) -> bytes:
    """Write lines and settle their marks, as an engine does."""
    lines, marks = delivered(*outcomes)
    await at.write(lines)
    if marks:
        at.settle(RUN, marks, 0, wire.settled.append)
    return lines


async def test_lines_and_marks_leave_as_one_frame() -> None:
    wire = Wire()
    lines = await deliver(desk(wire), wire, OK, FAILED, HELD)
    ((head, tail),) = wire.frames
    assert tail == lines
    assert head[:2] == ["lines", 7]
    assert fields(head[2]) == {"ok": 1, "failed": 1, "skipped": 1, "held": 1, "rows": 2, "attempts": 6}
    assert (len(head[3]), len(head[4])) == (2, 16)


async def test_a_third_frame_waits_until_the_first_one_is_written() -> None:
    wire = Wire()
    at = desk(wire)
    await deliver(at, wire, OK)
    await deliver(at, wire, OK)
    third = asyncio.ensure_future(deliver(at, wire, EMPTY))
    await asyncio.sleep(10)
    assert len(wire.frames) == 2
    at.written()
    await third
    assert len(wire.frames) == 3


async def test_calls_gather_between_two_frames() -> None:
    wire, loop = Wire(), asyncio.get_running_loop()
    at = desk(wire, 3.0)
    await deliver(at, wire, OK)
    at.written()
    await deliver(at, wire, OK)
    assert (loop.time(), len(wire.frames)) == (3.0, 2)


async def test_lines_that_fill_a_frame_do_not_wait_for_more() -> None:
    wire, loop = Wire(), asyncio.get_running_loop()
    at = desk(wire, 3.0)
    await deliver(at, wire, OK)
    at.written()
    await deliver(at, wire, *[OK] * 200)
    assert (loop.time(), len(wire.frames)) == (0.0, 2)


async def test_calls_that_were_all_skipped_leave_before_what_follows() -> None:
    wire = Wire()
    at = desk(wire)
    skipped = await deliver(at, wire, HELD)
    assert wire.frames == []
    await at.write(b'{"type":"run","event":"finished"}\n')
    assert [tail for _, tail in wire.frames] == [skipped]


async def test_the_engines_own_run_records_are_nobodys_business() -> None:
    wire = Wire()
    at = desk(wire)
    await at.write(b'{"type":"run","event":"started"}\n')
    await at.write(b'{"type":"run","event":"finished"}\n')
    await at.flush()
    assert wire.frames == []


async def test_an_answer_is_settled_when_the_parent_says_so_in_the_order_of_the_frames() -> None:
    wire = Wire()
    at = desk(wire)
    await deliver(at, wire, OK)
    at.written()
    await deliver(at, wire, EMPTY)
    flushing = asyncio.ensure_future(at.flush())
    at.settled()
    await asyncio.sleep(10)
    assert (wire.settled, flushing.done()) == ([None], False)
    at.settled()
    await flushing
    assert wire.settled == [None, None]


async def test_nobody_waits_for_a_parent_that_does_not_write_any_more() -> None:
    wire = Wire()
    at = desk(wire)
    await deliver(at, wire, OK)
    at.give_up()
    await at.flush()
    await at.write(b"")
    assert wire.settled == []


def test_few_calls_in_flight_gather_for_a_shorter_time() -> None:
    assert gathering(Part(1, 1)) < gathering(Part(10, 1)) < gathering(Part(1000, 32)) == 0.02
