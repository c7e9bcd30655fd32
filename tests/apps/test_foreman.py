"""The parent at work, with workers that say and do what a test wants."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.apps.worked import AT, EMPTY, FAILED, HELD, OK, RUN, delivered
from wolkvox_async.adapters.clock import LoopClock
from wolkvox_async.adapters.state import MemoryState
from wolkvox_async.apps import progress
from wolkvox_async.apps.working.counting import count
from wolkvox_async.apps.working.foreman import Floor, Foreman
from wolkvox_async.apps.working.forking import Forked, in_words
from wolkvox_async.apps.working.frames import framed, packed, read_frame
from wolkvox_async.apps.working.links import Link
from wolkvox_async.apps.working.run import Run
from wolkvox_async.apps.working.shares import Part
from wolkvox_async.counters import Counters
from wolkvox_async.errors import OutputClosedError, OutputError, StateError
from wolkvox_async.marks import CUT
from wolkvox_async.model import ErrorKind, Outcome
from wolkvox_async.ports import Clock, OpenRun, RunOrder
from wolkvox_async.testing import ManualClock

TOKENS = [f"tk_{n:012x}" for n in range(8)]


@dataclass
class Paper:
    """A sink that keeps what is written."""

    lines: bytes = b""
    failure: OutputError | None = None

    async def write(self, lines: bytes) -> int | None:
        if self.failure is not None:
            raise self.failure
        self.lines += lines
        return None

    async def wrote(self) -> None:
        return None


class Puppet:
    """A worker's end of its sockets, and a process that can be killed."""

    def __init__(self, number: int) -> None:
        ours, self._theirs = socket.socketpair()
        self.process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        self.link = Link(Forked(number, self.process.pid, ours), Part(10, 4), array("I", range(number, 8, 2)))
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def open(self) -> None:
        await self.link.open()
        self.reader, self.writer = await asyncio.open_unix_connection(sock=self._theirs)

    def say(self, *head: Any, tail: bytes = b"", torn: int = 0) -> None:
        frame = b"".join(framed(head, tail))
        self.writer.write(frame[: len(frame) - torn])

    def deliver(self, share: int, *outcomes: Outcome, torn: int = 0) -> bytes:
        lines, marks = delivered(*outcomes)
        counts, skipped = count(marks, lines)
        self.say("lines", share, counts, [packed(mark) for mark in marks], skipped, tail=lines, torn=torn)
        return lines

    async def hears(self) -> list[Any]:
        frame = await read_frame(self.reader)
        return [] if frame is None else frame[0]

    def die(self) -> None:
        self.process.kill()
        self.writer.close()


@dataclass
class Shop:
    """A foreman at work on two puppets."""

    foreman: Foreman
    paper: Paper
    puppets: list[Puppet]
    state: MemoryState
    working: asyncio.Task[None] = field(init=False)


@asynccontextmanager
async def shop(hold: float = 0.0, clock: Clock | None = None) -> AsyncIterator[Shop]:
    clock, paper = clock or LoopClock(), Paper()
    state = MemoryState(clock)
    await state.open_run(RunOrder(RUN, AT))
    puppets = [Puppet(0), Puppet(1)]
    floor = Floor(RUN, AT.isoformat(), b"", TOKENS, paper, state, clock, paper.wrote, hold)
    for puppet in puppets:
        await puppet.open()
    at = Shop(Foreman(floor, [puppet.link for puppet in puppets], Counters()), paper, puppets, state)
    at.working = asyncio.create_task(at.foreman.work())
    try:
        assert [(await puppet.hears())[:2] for puppet in puppets] == [["share", 0], ["share", 1]]
        yield at
    finally:
        for puppet in puppets:
            puppet.die()
        await at.foreman.dismiss(at_once=True)
        await asyncio.wait([at.working])
        at.working.cancelled() or at.working.exception()
        for puppet in puppets:
            puppet.process.communicate()


async def test_what_workers_deliver_is_written_counted_and_answered() -> None:
    async with shop() as at:
        one, two = at.puppets
        lines = one.deliver(0, OK, HELD)
        assert (await one.hears(), await one.hears()) == (["written", 0], ["settled", 0])
        lines += two.deliver(1, FAILED)
        assert (await two.hears(), await two.hears()) == (["written", 1], ["settled", 1])
        one.say("ended", 0, False)
        two.say("ended", 1, True)
        await at.working
    counters = at.foreman.counters
    assert at.paper.lines == lines
    assert (counters.ok, counters.failed, counters.skipped, counters.rows) == (1, 1, 1, 2)
    assert at.foreman.stopped
    assert not at.foreman.deserted


async def test_a_call_that_was_cut_makes_one_more_to_be_done() -> None:
    whole = Run(cast("Any", SimpleNamespace(order=None, sink=None, clock=ManualClock())), [])
    whole._total = 3
    before = OpenRun(RUN, AT, settled=frozenset({"a", "b", "c"}), counters=Counters(ok=1, empty=1))
    async with shop() as at:
        one, _ = at.puppets
        lines, (cut, ok) = delivered(OK, OK)
        mark = packed(replace(cut, outcome=CUT))
        one.say("lines", 0, [1, 0, 0, 0, 0, 2, 4, 0, None], [mark, packed(ok)], "", tail=lines)
        assert (await one.hears(), await one.hears()) == (["written", 0], ["settled", 0])
        seen = whole._picture(at.foreman, before)
    assert (seen.done, seen.planned) == (1, 3 + 1 + 1)


async def test_of_a_dead_worker_whole_frames_are_used_and_a_torn_one_is_dropped() -> None:
    async with shop() as at:
        dead, heir = at.puppets
        lines = dead.deliver(0, OK, HELD)
        dead.deliver(0, OK, EMPTY, torn=9)
        dead.die()
        frame = await read_frame(heir.reader)
        assert frame is not None
        head, tail = frame
        assert head[:2] == ["share", 2]
        assert head[4] == [10, 4]
        # Its operations, and the tails of its two calls that ended.
        assert (array("I", tail[: head[5]]), len(tail) - head[5]) == (array("I", range(0, 8, 2)), 2 * 16)
        heir.say("ended", 1, False)
        heir.say("ended", 2, False)
        await at.working
    assert at.paper.lines == lines
    assert not at.foreman.stopped


async def test_an_heir_hears_what_was_ordered_before() -> None:
    async with shop() as at:
        at.foreman.stop()
        at.puppets[0].die()
        heir = at.puppets[1]
        assert [(await heir.hears())[0] for _ in range(3)] == ["stop", "share", "stop"]


async def test_what_a_dead_worker_had_is_kept_until_its_calls_cannot_be_running() -> None:
    clock = ManualClock()
    async with shop(70.0, clock) as at:
        dead, heir = at.puppets
        dead.die()
        while dead.link.open_shares:
            await asyncio.sleep(0)
        clock.advance(69.75)
        for _ in range(9):
            await asyncio.sleep(0)
        assert heir.link.part == Part(10, 4)
        clock.advance(0.25)
        assert (await heir.hears())[:2] == ["share", 2]
        assert heir.link.part == Part(20, 8)
        heir.say("ended", 1, False)
        heir.say("ended", 2, False)
        await at.working
    assert not at.foreman.stopped


async def test_the_work_is_not_over_while_something_is_kept() -> None:
    clock = ManualClock()
    async with shop(70.0, clock) as at:
        dead, heir = at.puppets
        heir.say("ended", 1, False)
        dead.die()
        while heir.link.open_shares or dead.link.open_shares:
            await asyncio.sleep(0)
        clock.advance(70.0)
        assert (await heir.hears())[:2] == ["share", 2]
        assert not at.working.done()
        heir.say("ended", 2, False)
        await at.working


@pytest.mark.parametrize("orders", [["stop"], ["stop", "abandon"]])
async def test_when_the_run_is_stopped_nothing_is_kept_and_everything_given_once(orders: list[str]) -> None:
    async with shop(hold=60.0) as at:
        dead, heir = at.puppets
        dead.die()
        while dead.link.open_shares:
            await asyncio.sleep(0)
        for order in orders:
            getattr(at.foreman, order)()
        heard = [(await heir.hears())[0] for _ in range(2 * len(orders) + 1)]
        assert heard == [*orders, "share", *orders]
        heir.say("ended", 1, True)
        heir.say("ended", 2, True)
        await at.working


async def test_when_the_heirs_die_before_they_inherit_the_work_is_over_and_that_is_known() -> None:
    async with shop(70.0, ManualClock()) as at:
        dead, heir = at.puppets
        heir.say("ended", 1, False)
        while heir.link.open_shares:
            await asyncio.sleep(0)
        dead.die()
        while dead.link.open_shares:
            await asyncio.sleep(0)
        heir.die()
        await at.working
    assert (at.foreman.deserted, at.foreman.stopped) == (True, True)


async def test_when_the_last_worker_has_died_the_work_is_over() -> None:
    async with shop() as at:
        for puppet in at.puppets:
            puppet.die()
        await at.working
    assert at.foreman.deserted
    assert at.foreman.stopped


async def test_a_worker_that_dies_when_it_is_done_is_missed_by_nobody() -> None:
    async with shop() as at:
        one, two = at.puppets
        one.say("ended", 0, False)
        two.say("ended", 1, False)
        one.die()
        await at.working
    assert not at.foreman.deserted


async def test_a_state_that_breaks_in_a_worker_breaks_the_run() -> None:
    async with shop() as at:
        at.puppets[0].say("broken", "the lease file is damaged")
        with pytest.raises(StateError, match="the lease file is damaged"):
            await at.working


async def test_a_reader_that_went_away_has_not_read_the_last_second() -> None:
    async with shop() as at:
        one = at.puppets[0]
        one.deliver(0, OK)
        await one.hears()
        at.paper.failure = OutputClosedError("the reader went away")
        one.deliver(0, EMPTY)
        with pytest.raises(OutputClosedError):
            await at.working
        await at.state.close_run(RUN, complete=False)
        again = await at.state.open_run(RunOrder("other", AT, resume=True))
    assert (again.id, again.settled) == (RUN, frozenset())


async def test_what_all_workers_are_doing_is_seen_as_one() -> None:
    async with shop() as at:
        at.puppets[0].say("seen", 3, 1, {"timeout": 2})
        at.puppets[1].say("seen", 4, 0, {"timeout": 1, "connect": 5})
        while at.foreman.seen().in_flight != 7:
            await asyncio.sleep(0)
        assert at.foreman.seen().held_back == 1
        assert at.foreman.seen().waiting == {"timeout": 3, "connect": 5}


def test_signals_are_named() -> None:
    assert in_words(-signal.SIGKILL) == "was killed by SIGKILL"
    assert in_words(70) == "ended with exit code 70"


def test_the_display_shows_what_the_run_came_to_and_what_all_workers_do() -> None:
    moment = progress.Moment(10, 7, 3, {ErrorKind.TIMEOUT: 2}, 2.0)
    seen = progress.picture_of(Counters(ok=3, failed=1, attempts=9), moment)
    assert seen.line() == (
        "4 of 10 calls | 2/s | ok 3, empty 0, failed 1, skipped 0 | 7 in flight | "
        "tokens waiting: 2 after a time-out, 3 for a free slot | about 3 s left"
    )
