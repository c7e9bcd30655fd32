"""The run of several workers, from its opening to its closing record."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final, Literal

from wolkvox_async import __version__
from wolkvox_async.adapters.jsonlines import JsonLines
from wolkvox_async.adapters.state import MemoryState, SqliteState
from wolkvox_async.apps import passing, progress
from wolkvox_async.engine import Summary
from wolkvox_async.errors import StateError
from wolkvox_async.identity import ulid
from wolkvox_async.lines import call_lines, line
from wolkvox_async.model import ErrorKind
from wolkvox_async.ports import Clock, OpenRun, RunOrder
from wolkvox_async.records import run_ended, run_started

from .foreman import Floor, Foreman
from .frames import split_tails
from .job import Job
from .links import Link
from .planned import how_many, left_over

_PIECE: Final = 262_144  # bytes that are written at once
_CHANCE_BITS: Final = 80


@dataclass(frozen=True, slots=True)
class RunParts:
    """What a run is made of."""

    order: passing.Order
    job: Job
    state: SqliteState | MemoryState
    sink: JsonLines
    clock: Clock


class Run:
    """One run; `fetch` is called once."""

    def __init__(self, parts: RunParts, links: Sequence[Link]) -> None:
        self.order: Final = parts.order
        self.sink: Final = parts.sink
        self._parts: Final = parts
        self._links: Final = links
        self._total = 0  # calls
        self._started_at = 0.0

    async def fetch(self, stage: passing.Stage) -> Summary:
        """Have the workers call; `stage` is what signals act on. Raises what a pass raises."""
        state, job = self._parts.state, self._parts.job
        opened = await state.open_run(self._run_order())
        complete = False
        try:
            self._total = how_many(job, opened.at)
            await self._open(opened)
            foreman = Foreman(self._floor(opened, stage), self._links, replace(opened.counters))
            with self._shown(foreman, opened):
                await self._work(foreman, stage)
            summary = await self._close(opened, foreman)
            complete = not (summary.stopped or summary.counters.failed or summary.counters.skipped)
        except StateError:
            # The ledger is gone with the rest of it: the first thing that is wrong is the one to be said.
            with suppress(StateError):
                await state.close_run(opened.id, complete=False)
            raise
        except BaseException:
            await state.close_run(opened.id, complete=False)
            raise
        await state.close_run(opened.id, complete=complete)
        return summary

    def _run_order(self) -> RunOrder:
        order, tenants, utc = self.order, self._parts.job.tenants, self._parts.clock.utc()
        return RunOrder(
            id=ulid(int(utc.timestamp() * 1000), secrets.randbits(_CHANCE_BITS)),
            at=utc,
            name=order.run,
            resume=order.resume,
            tenants="" if tenants.path is None else str(tenants.path.resolve()),
            output=passing.output_name(self.sink, order.output),
        )

    def _floor(self, opened: OpenRun, stage: passing.Stage) -> Floor:
        state = self._parts.state
        return Floor(
            run=opened.id,
            at=opened.at.isoformat(),
            settled="".join(opened.settled).encode("ascii"),
            tokens=self._parts.job.tokens,
            sink=self.sink,
            state=state,
            clock=self._parts.clock,
            wrote=stage.wrote,
            hold=self._parts.job.terms.options.hold,
        )

    async def _open(self, opened: OpenRun) -> None:
        clock = self._parts.clock
        self._started_at = clock.now()
        record = run_started(opened.id, clock.utc(), version=__version__, calls=self._total, resumed=opened.resumed)
        await self.sink.write(line(record))

    async def _work(self, foreman: Foreman, stage: passing.Stage) -> None:
        at_once = True
        try:
            for link in self._links:
                await link.open()
            stage.engine = foreman
            await foreman.work()
            at_once = False
        finally:
            await foreman.dismiss(at_once=at_once)

    async def _close(self, opened: OpenRun, foreman: Foreman) -> Summary:
        clock, counters = self._parts.clock, foreman.counters
        if foreman.deserted:
            await self._write_off(opened, foreman)
        seconds = clock.now() - self._started_at
        event: Literal["stopped", "finished"] = "stopped" if foreman.stopped else "finished"
        await self.sink.write(line(run_ended(opened.id, clock.utc(), event, counters, seconds)))
        return Summary(opened.id, counters, foreman.stopped, seconds)

    async def _write_off(self, opened: OpenRun, foreman: Foreman) -> None:
        done = opened.settled.union(*(split_tails(link.ended) for link in self._links))
        left = left_over(self._parts.job, opened.id, opened.at, done, self._parts.clock.utc())
        lines, size = [], 0
        for settlement in left:
            foreman.counters.count(settlement)
            lines.append(call_lines(opened.id, settlement))
            size += len(lines[-1])
            if size >= _PIECE:
                await self.sink.write(b"".join(lines))
                lines, size = [], 0
        await self.sink.write(b"".join(lines))

    # --- the display

    @contextmanager
    def _shown(self, foreman: Foreman, opened: OpenRun) -> Iterator[None]:
        if self.order.progress is False:
            yield
            return
        with progress.shown(lambda: self._picture(foreman, opened), live=sys.stderr.isatty()):
            yield

    def _picture(self, foreman: Foreman, opened: OpenRun) -> progress.Picture:
        seen = foreman.seen()
        waiting = {ErrorKind(kind): tokens for kind, tokens in seen.waiting.items()}
        elapsed = self._parts.clock.now() - self._started_at
        planned = self._total + opened.cut + foreman.cut
        moment = progress.Moment(planned, seen.in_flight, seen.held_back, waiting, elapsed, opened.done)
        return progress.picture_of(foreman.counters, moment)
