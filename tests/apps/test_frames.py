"""What a parent and a worker say to each other."""

from __future__ import annotations

import asyncio
from itertools import combinations_with_replacement
from typing import Any

import orjson
import pytest

from tests.apps.worked import EMPTY, FAILED, HELD, LATER, NOT_DUE, OK, RUN, delivered, settlements
from wolkvox_async.apps.working.counting import add, count
from wolkvox_async.apps.working.frames import framed, packed, read_frame, split_tails, unpacked
from wolkvox_async.counters import Counters
from wolkvox_async.marks import tail
from wolkvox_async.model import Outcome


async def read_all(data: bytes) -> list[tuple[list[Any], bytes]]:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    frames: list[tuple[list[Any], bytes]] = []
    while (frame := await read_frame(reader)) is not None:
        frames.append(frame)
    return frames


async def test_frames_arrive_as_they_were_sent() -> None:
    sent: list[tuple[list[Any], bytes]] = [
        (["lines", 1, [None, "ñ"]], b"a\nb\n"),
        (["stop"], b""),
        (["share", {}], b"\0" * 70_000),
    ]
    assert await read_all(b"".join(part for frame in sent for part in framed(*frame))) == sent


@pytest.mark.parametrize("missing", [1, 5, 12, 20])
async def test_a_frame_that_was_torn_is_dropped_and_those_before_it_are_not(missing: int) -> None:
    whole = b"".join(framed(["lines", 1], b"some lines"))
    assert await read_all(whole + whole[:-missing]) == [(["lines", 1], b"some lines")]


def test_marks_survive_the_way() -> None:
    _, marks = delivered(OK, EMPTY, FAILED)
    assert unpacked(RUN, orjson.loads(orjson.dumps([packed(mark) for mark in marks]))) == marks


@pytest.mark.parametrize("outcomes", [(), *combinations_with_replacement((OK, EMPTY, FAILED, HELD, NOT_DUE, LATER), 3)])
def test_a_frame_comes_to_what_its_calls_come_to(outcomes: tuple[Outcome, ...]) -> None:
    lines, marks = delivered(*outcomes)
    counts, skipped = count(marks, lines)
    counted, expected = Counters(), Counters()
    add(counted, counts)
    for settlement in settlements(*outcomes):
        expected.count(settlement)
    assert counted == expected
    tails = {tail(settlement.call.id) for settlement in settlements(*outcomes)}
    assert split_tails(skipped.encode()) | {tail(mark.call) for mark in marks} == tails


def test_counts_add_up_and_the_latest_moment_stays() -> None:
    total = Counters()
    for outcomes in ((OK, LATER), (NOT_DUE, FAILED)):
        lines, marks = delivered(*outcomes)
        add(total, count(marks, lines)[0])
    assert (total.ok, total.failed, total.skipped, total.not_due, total.due) == (1, 1, 2, 2, LATER.due)
