"""The child: it calls what is ours, and hands over what comes back.

It does what the parent says and nothing else; when the parent is gone it is gone at the next turn of
its loop. What is in flight then is waited for by whoever takes the partitions over.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from wolkvox_async.adapters.clock import LoopClock
from wolkvox_async.apps.working.desk import GATHERING
from wolkvox_async.apps.working.forking import BROKEN, confess
from wolkvox_async.apps.working.frames import Head, framed, read_frame
from wolkvox_async.apps.working.worker import ORPHANED
from wolkvox_async.errors import ConfigurationError, StateError
from wolkvox_async.model import Empty, ErrorKind, Ok
from wolkvox_async.planning import Subscription
from wolkvox_async.ports import AttemptFailed, CallCut, CallSettled, Clock, Event, OpenRun
from wolkvox_async.settings.limits import in_flight_at_most

from .able import UNREACHED, Ability
from .errand import Errand, Shared, Tools
from .finishing import Finishing
from .frames import unpacked
from .labour import Labour
from .post import Outgoing
from .quarantine import Quarantine
from .state import Ground, JoinedState

BEAT_EVERY: Final = 0.5
"""Seconds between two signs of life."""

_GATHERING_EACH: Final = 0.0001  # seconds for every call that may be in flight


async def serve(errand: Errand, shared: Shared, channel: socket.socket) -> None:
    """Work until the parent says that it is over; does not return when the parent is gone."""
    reader, writer = await asyncio.open_unix_connection(sock=channel)
    child = Child(errand, shared, writer)
    async with asyncio.TaskGroup() as group:
        signs = group.create_task(child.show_life())
        while (frame := await read_frame(reader)) is not None:
            if await child.obey(*frame):
                signs.cancel()
                return
        os._exit(ORPHANED)


class Reach:
    """A hook that hears what becomes of attempts."""

    def __init__(self, clock: Clock) -> None:
        self._clock: Final = clock
        self._ability: Final = Ability()

    def observe(self, event: Event) -> None:
        """Take notice of `event`."""
        match event:
            case AttemptFailed(call=call, kind=kind) if kind in UNREACHED:
                self._ability.missed(call.operation.server, self._clock.now())
            case AttemptFailed(kind=kind) if kind is not ErrorKind.TOKEN_BUSY:
                self._ability.reached()
            case CallSettled(outcome=Ok() | Empty()) | CallCut():
                self._ability.reached()
            case _:
                pass

    def is_able(self) -> bool:
        """Tell whether there is a point in calling from here."""
        return self._ability.is_able(self._clock.now())


class Child:
    """Obeys the parent."""

    def __init__(self, errand: Errand, shared: Shared, writer: asyncio.StreamWriter) -> None:
        self._errand: Final = errand
        self._shared: Final = shared
        self._writer: Final = writer
        self._clock: Final = LoopClock()
        self._reach: Final = Reach(self._clock)
        self._task: asyncio.Task[None] | None = None
        self._outgoing: Outgoing
        self._state: JoinedState
        self._labour: Labour | None = None
        self._finishing: Finishing
        self._quarantine: Quarantine
        self._quarantined: Final[dict[int, float | None]] = {}  # by partition, until when it lasts or lasted

    def post(self, *head: Any, tail: bytes = b"") -> None:
        """Send a frame to the parent."""
        for part in framed(head, tail):
            self._writer.write(part)

    async def show_life(self) -> None:
        """Beat, and tell what others may like to know, for ever."""
        told: list[Any] = []
        while True:
            now = self._shared.boot()
            self._shared.board.beat(now)
            seen = [] if self._labour is None else [dict(self._labour.seen()), self._reach.is_able()]
            if seen != told:
                self.post("seen", *seen)
                told = seen
            await asyncio.sleep(BEAT_EVERY)

    async def obey(self, head: Head, tail: bytes) -> bool:  # noqa: C901, PLR0912 - one line for each word
        """Do what a frame says; True when it is over."""
        match head:
            case ["begin", *rest]:
                self._begin(*rest)
            case ["taken", partition, epoch, quarantine, labels]:
                await self._take(partition, epoch, quarantine, unpacked(labels, tail))
            case ["learned", labels]:
                for (_, token), entry in unpacked(labels, tail):
                    await self._state.learn(token, entry.state)
            case ["finish", partition]:
                self._finishing.finish(partition)
            case ["lost", partition]:
                self._state.tenancies.drop(partition)
                self._finishing.changed()
            case ["stored", number]:
                self._outgoing.stored(number)
            case ["stuck" | "moving" as word, token]:
                self._state.stuck(token, is_stuck=word == "stuck")
            case ["run", done, is_complete]:
                self._its_labour().progress(done, is_complete=is_complete)
            case ["cluster", view]:
                self._its_labour().show(view)
            case ["stop"]:
                self._its_labour().stop()
            case ["abandon"]:
                self._its_labour().abandon()
            case ["end"]:
                await self._end()
                return True
            case _:
                raise AssertionError(f"a child does not know {head[:1]}")
        return False

    def _its_labour(self) -> Labour:
        if self._labour is None:
            raise AssertionError("a child that was told nothing has nothing to do")
        return self._labour

    # --- beginning and ending

    def _begin(self, partitions: int, seconds: float, longest: float, run: Sequence[Any] | None, largest: int) -> None:
        errand, shared = self._errand, self._shared
        most = in_flight_at_most(errand.options)
        self._outgoing = Outgoing(self.post, min(GATHERING, most * _GATHERING_EACH))
        ground = Ground(
            shared.board, shared.boot, self._clock, seconds, partitions, largest, errand.options.retry_refused
        )
        self._state = JoinedState(ground, self._outgoing)
        if run is not None:
            self._state.run = OpenRun(run[0], datetime.fromisoformat(run[1]))
        self._quarantine = Quarantine(errand.kind.asks, errand.kind.suppose, partitions, longest)
        self._quarantine.know(errand.subscriptions)
        tools = Tools(errand, partitions, self._state, self._clock, self._reach, self._know, self.post)
        self._labour = errand.kind.labour(tools)
        self._finishing = Finishing(self._labour, self._state, self._clock, lambda one: self.post("released", one))
        self._finishing.start(self._broke)
        self._task = asyncio.create_task(self._work(self._labour), name="wolkvox-async labour")
        self._task.add_done_callback(self._worked)

    async def _work(self, labour: Labour) -> None:
        try:
            outcome = await labour.run()
            await self._state.flush()
        except ConfigurationError as error:
            self.post("refused", [str(mistake) for mistake in error.mistakes])
        except StateError as error:
            self.post("broken", str(error))
        else:
            self.post("ended", outcome.stopped, dict(outcome.counters))

    def _worked(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broke(error)

    def _broke(self, error: BaseException) -> None:
        confess(error)
        os._exit(BROKEN)

    async def _end(self) -> None:
        if self._task is not None:
            await self._finishing.close()
            self._task.cancel()
            await asyncio.wait([self._task])

    def _know(self, subscriptions: Iterable[Subscription]) -> None:
        """Have these be the operations."""
        self._quarantine.know(subscriptions)
        for partition, until in self._quarantined.items():
            self._quarantine.apply(partition, until, self._state, self._clock.utc())

    # --- partitions

    async def _take(self, partition: int, epoch: int, quarantine: float | None, known: Any) -> None:
        state = self._state
        for (token,), entry in known:
            await state.learn(token, entry.state)
        self._quarantined[partition] = quarantine
        self._quarantine.apply(partition, quarantine, state, self._clock.utc())
        state.tenancies.take(partition, epoch)
        self._finishing.changed()
