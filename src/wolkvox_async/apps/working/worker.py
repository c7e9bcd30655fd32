"""A worker: it calls what the parent gives it, and hands over what comes back.

It does what the parent says and nothing else: signals are the parent's business, and when the
parent is gone it is gone at the next turn of its loop, with nothing delivered. Each share is an
engine of its own with its part of the limits; a share of a worker that died comes on top.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from wolkvox_async.adapters.clock import LoopClock
from wolkvox_async.adapters.state import SqliteState
from wolkvox_async.apps import passing
from wolkvox_async.engine import Engine
from wolkvox_async.errors import StateError
from wolkvox_async.ports import OpenRun
from wolkvox_async.scheduling.queues import State
from wolkvox_async.settings.composition import assemble

from .desk import Desk, gathering
from .forking import BROKEN, confess
from .frames import Head, framed, read_frame, split_tails
from .job import Job, Share, read_share

ORPHANED: Final = 71
"""The exit status of a worker whose parent is gone."""

SEEN_EVERY: Final = 0.25
"""Seconds between two looks of the parent at what a worker is doing."""


async def work(job: Job, channel: socket.socket) -> None:
    """Work until the parent says that it is over; does not return when the parent is gone."""
    reader, writer = await asyncio.open_unix_connection(sock=channel)
    worker = _Worker(job, writer)
    while (frame := await read_frame(reader)) is not None:
        if await worker.obey(*frame):
            return
    # What is in flight is closed by its leases; nothing else is to be put in order.
    os._exit(ORPHANED)


class _Worker:
    def __init__(self, job: Job, writer: asyncio.StreamWriter) -> None:
        self._job: Final = job
        self._writer: Final = writer
        self._desks: Final[dict[int, Desk]] = {}
        self._engines: Final[dict[int, Engine]] = {}
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._state: SqliteState | None = None
        self._showing: asyncio.Task[None] | None = None
        self._is_stopping = self._is_abandoning = False

    def post(self, *head: Any, tail: bytes = b"") -> None:
        """Send a frame to the parent."""
        for part in framed(head, tail):
            self._writer.write(part)

    async def obey(self, head: Head, tail: bytes) -> bool:
        """Do what a frame says; True when it is over."""
        match head:
            case ["written", share]:
                self._desks[share].written()
            case ["settled", share]:
                self._desks[share].settled()
            case ["share", *rest]:
                await self._take_on(read_share(rest, tail))
            case ["stop"]:
                self._is_stopping = True
                self._tell(Engine.stop)
            case ["abandon"]:
                self._is_abandoning = self._is_stopping = True
                self._tell(Engine.abandon)
            case ["quit"]:
                await self._quit()
            case ["end"]:
                await self._end()
                return True
            case _:
                raise AssertionError(f"a worker does not know {head[:1]}")
        return False

    def _tell(self, tell: Callable[[Engine], None]) -> None:
        for engine in self._engines.values():
            tell(engine)

    # --- shares

    async def _take_on(self, share: Share) -> None:
        try:
            if self._state is None:
                options = self._job.terms.options
                self._state = await SqliteState.open(Path(options.state or ""), durability=options.durability)
                self._showing = asyncio.create_task(self._show())
        except StateError as error:
            self.post("broken", str(error))
            return
        opened = OpenRun(share.run, datetime.fromisoformat(share.at), settled=split_tails(share.ended))
        desk = Desk(share.number, opened, self._state, self.post, gathering(share.part))
        self._desks[share.number] = desk
        task = asyncio.create_task(self._fetch(share, desk))
        self._tasks.add(task)
        task.add_done_callback(self._over)

    async def _fetch(self, share: Share, desk: Desk) -> None:
        job = self._job
        subscriptions = job.subscriptions_of(share.places)
        parts = replace(job.terms.parts(), clock=LoopClock(), state=desk)
        options = job.options_of(share.part)
        tenants = job.tenants_of(share.places)
        engine = assemble(subscriptions, tenants, options, parts, most_in_flight=share.part.max_in_flight)
        async with engine:
            self._engines[share.number] = engine
            # What was said before there was an engine.
            if self._is_abandoning:
                engine.abandon()
            elif self._is_stopping:
                engine.stop()
            async with engine.fetch(dates=job.dates_of(subscriptions)) as records:
                passing.calm_collector()
                await records.write_to(desk)
        del self._engines[share.number]
        self.post("ended", share.number, records.stopped)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, StateError):
            self.post("broken", str(error))
        else:
            confess(error)
            os._exit(BROKEN)

    async def _quit(self) -> None:
        for desk in self._desks.values():
            desk.give_up()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _end(self) -> None:
        if self._showing is not None:
            self._showing.cancel()
        if self._state is not None:
            await self._state.close()

    # --- the display

    async def _show(self) -> None:
        told: list[Any] = []
        while True:
            seen = self._seen()
            if seen != told:
                self.post("seen", *seen)
                told = seen
            await asyncio.sleep(SEEN_EVERY)

    def _seen(self) -> list[Any]:
        in_flight, held_back = 0, 0
        waiting: dict[str, int] = {}
        for engine in self._engines.values():
            seen = engine.snapshot()
            in_flight += seen.in_flight
            held_back += seen.tokens.get(State.READY, 0) + seen.tokens.get(State.PARKED, 0)
            for kind, tokens in seen.waiting_after.items():
                waiting[kind.value] = waiting.get(kind.value, 0) + tokens
        return [in_flight, held_back, waiting]
