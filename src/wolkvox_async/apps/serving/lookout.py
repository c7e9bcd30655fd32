"""Everything that looks at a running watch: page, metrics, health, and whoever supervises the process.

    async with lookout.at(records, engine) as sink: ...

Its hooks hear what the engine tells from the beginning; the rest begins when there is a
watch to look at. Nothing of it decides anything: without it the watch is the same.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from wolkvox_async.engine import Engine, Watch
from wolkvox_async.errors import ConfigurationError
from wolkvox_async.model import Token
from wolkvox_async.ports import Clock, Hook, Sink, State

from .board import Board, BoardHook, milliseconds
from .freshness import Freshness
from .guard import Address, Guard
from .health import Health, liveness, readiness
from .machines import Cluster
from .metrics import Metrics
from .notify import Supervisor, Watchdog
from .pages import Probe, Site, no_metrics
from .server import serve
from .vitals import FeltSink, LifeSigns


@dataclass(frozen=True, slots=True)
class Window:
    """Where people may look in, and what those beyond this machine have to show.

    One that is not needed is done without where it cannot be had.
    """

    address: Address
    bearer: Token | None = None
    is_needed: bool = True

    def check(self) -> None:
        """Raise `ConfigurationError` when others could look in without showing anything."""
        Guard(self.address, self.bearer, lambda: 0.0)


class Lookout:
    """Looks at a watch; without a `window` only for whoever supervises the process.

    Without a `state` none is asked whether it answers. `pid` is the process that the supervisor
    knows, if that is another one: what it is told then counts only if it listens to all of them.
    """

    def __init__(
        self, clock: Clock, state: State | None, window: Window | None, log: Any, pid: int | None = None
    ) -> None:
        self._clock: Final = clock
        self._window: Final = window
        self._log: Final = log
        self._signs: Final = LifeSigns(clock, None if state is None else state.flush)
        self._freshness: Final = Freshness(clock)
        self._board: Final = Board()
        self._metrics: Final = self._made_metrics()
        self._supervisor: Final = Supervisor.of(os.environ, pid or os.getpid())

    @property
    def hooks(self) -> tuple[Hook, ...]:
        """What the engine is to tell."""
        if self._window is None:
            return ()
        others = () if self._metrics is None else (self._metrics,)
        return (self._freshness, BoardHook(self._board, self._clock), *others)

    @asynccontextmanager
    async def at(self, records: Watch, engine: Engine, sink: Sink) -> AsyncIterator[Sink]:
        """Look at a watch for the length of the block; returns the sink that it is to write to.

        Raises `ConfigurationError` when it cannot listen where it should.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._signs)
            if self._window is not None:
                self._follow(records, engine)
                await self._open(self._window, stack)
            stack.enter_context(self._supervisor)
            stack.enter_context(Watchdog(self._clock, self._supervisor, self._alive, lambda: _status(records)))
            self._supervisor.ready(_status(records))
            stack.callback(self._supervisor.stopping)
            yield FeltSink(sink, self._signs.output)

    async def _open(self, window: Window, stack: AsyncExitStack) -> None:
        site = self._site()
        try:
            served = await stack.enter_async_context(serve(site, window.address, bearer=window.bearer, log=self._log))
        except ConfigurationError as error:
            if window.is_needed:
                raise
            self._log.warning(f"nobody can look in here: {error}")
        else:
            self._log.info("listening", url=served.url)

    def show(self, view: Mapping[str, Any]) -> None:
        """Show what is seen of the cluster that this machine has joined (see `Cluster.told`)."""
        self._board.cluster = cluster = Cluster.told(view)
        if self._metrics is not None:
            self._metrics.show(cluster)

    def reloading(self) -> None:
        """Tell the supervisor that a reload begins; `reloaded` is to follow."""
        self._supervisor.reloading(self._clock.now())

    def reloaded(self, records: Watch) -> None:
        """Tell the supervisor that it is over."""
        self._supervisor.ready(_status(records))

    def _follow(self, records: Watch, engine: Engine) -> None:
        self._freshness.follow(records)
        self._board.follow(records, milliseconds(self._clock))
        if self._metrics is not None:
            self._metrics.follow(engine.snapshot, records.started)

    def _site(self) -> Site:
        metrics: Probe = no_metrics if self._metrics is None else self._metrics.answer
        return Site(self._board, self._clock, lambda: self._alive().answer(), self._ready, metrics)

    def _alive(self) -> Health:
        return liveness(self._signs.vitals())

    def _ready(self) -> tuple[int, str, bytes]:
        return readiness(self._freshness.silent(), self._freshness.now()).answer()

    def _made_metrics(self) -> Metrics | None:
        try:
            return Metrics(self._clock, self._freshness, self._signs)
        except ConfigurationError:  # the extra is not installed: /metrics says so
            return None


def _status(records: Watch) -> str:
    counters = records.counters
    return f"watching {records.size} endpoints: {counters.ok + counters.empty} answers, {counters.gaps} gaps"
