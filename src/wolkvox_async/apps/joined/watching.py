"""`watch --join`: the watch of a child, over what is ours at the moment."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Final

from wolkvox_async.adapters.telemetry import library_logger
from wolkvox_async.apps import progress
from wolkvox_async.apps.glance import glance
from wolkvox_async.apps.passing import Ending, calm_collector
from wolkvox_async.apps.rotation import CurrentReferences
from wolkvox_async.apps.serving.lookout import Lookout
from wolkvox_async.apps.watching import WatchOrder, reread_when_changed
from wolkvox_async.engine import Engine, Watch
from wolkvox_async.settings.composition import assemble

from . import several
from .dealing import Share
from .errand import Joining, Kind, Tools
from .labour import Outcome
from .quarantine import question_waits, watched


def run(order: WatchOrder, joining: Joining, workers: int = 1) -> Ending:
    """Watch as one of many machines, or as `workers` of them, until a signal comes.

    To be called where there is no event loop and no other thread. Raises `ConfigurationError` before
    anything is called, and `StateError` at any time.
    """

    def kind(share: Share) -> Kind:
        one = replace(order, options=share.options)
        if not share.is_first:
            one = replace(one, progress=False, window=None)
        if share.is_again:
            one = replace(one, hung_up=lambda: True)
        return _kind(one)

    return several.run(order, joining, workers, kind)


def _kind(order: WatchOrder) -> Kind:
    asks = watched(order.options.interval, order.dates)
    return Kind("watch", lambda tools: Watching(order, tools), asks, question_waits, rereads=True)


class _Nowhere:
    """What a watch whose records go elsewhere writes to: nothing."""

    async def write(self, lines: bytes) -> int | None:  # noqa: ARG002 - the port's signature
        """Do nothing."""
        return None


class Watching:
    """One watch, for as long as this machine is one of the cluster."""

    def __init__(self, order: WatchOrder, tools: Tools) -> None:
        self._order: Final = order
        self._tools: Final = tools
        self._engine: Engine | None = None
        self._records: Watch | None = None
        self._has_entered: Final = asyncio.Event()  # or will not
        self._is_stopping = self._is_abandoning = False
        # The supervisor started the parent. No state is asked whether it answers: while the broker is
        # down records wait in memory, and whoever is started again for that loses them.
        self._lookout: Final = Lookout(tools.clock, None, order.window, library_logger(), os.getppid())

    async def run(self) -> Outcome:
        """Watch until it is stopped."""
        order, tools, lookout = self._order, self._tools, self._lookout
        references = CurrentReferences(order.tenants)
        parts = tools.parts()
        parts = replace(parts, tokens=references, hooks=(*parts.hooks, *lookout.hooks, references))
        subscriptions = tools.errand.subscriptions
        try:
            most = tools.errand.most_in_flight
            async with assemble(subscriptions, order.tenants, order.options, parts, most_in_flight=most) as engine:
                self._open(engine)
                watch = engine.watch(
                    apis=order.apis, dates=order.dates, only_changes=order.only_changes, holds=tools.state.holds
                )
                async with watch as records, lookout.at(records, engine, _Nowhere()), AsyncExitStack() as stack:
                    self._records = records
                    self._has_entered.set()
                    rereading = stack.enter_context(
                        reread_when_changed(order, references, records, lookout, tools.know)
                    )
                    if order.hung_up():
                        rereading.ask()
                    calm_collector()
                    if order.progress is not False:
                        live = sys.stderr.isatty()
                        stack.enter_context(progress.shown(lambda: glance(engine, records, tools.clock), live=live))
                    summary = await records.hand_to(tools.state)
                    return Outcome(summary.stopped)
        finally:
            self._records = None
            self._has_entered.set()

    def _open(self, engine: Engine) -> None:
        self._engine = engine
        if self._is_abandoning:
            engine.abandon()
        elif self._is_stopping:
            engine.stop()

    async def rehold(self) -> None:
        """Watch what is ours now, and nothing else."""
        await self._has_entered.wait()
        if self._records is not None:
            await self._records.rehold()

    def is_drained(self) -> bool:
        """Tell whether everything that has ended is delivered."""
        return self._records is None or not self._records.backlog

    def stop(self) -> None:
        """Let nothing more come due."""
        self._is_stopping = True
        if self._engine is not None:
            self._engine.stop()

    def abandon(self) -> None:
        """Give up what is in flight."""
        self._is_abandoning = True
        if self._engine is not None:
            self._engine.abandon()

    def seen(self) -> Mapping[str, int]:
        """Return how many calls and gaps there were."""
        if self._records is None:
            return {}
        counters = self._records.counters
        return {"calls": counters.ok + counters.empty + counters.failed, "gaps": counters.gaps}

    def progress(self, done: Sequence[int], *, is_complete: bool) -> None:
        """Do nothing: there is no run in common."""

    def show(self, cluster: Mapping[str, Any]) -> None:
        """Show to whoever looks what is seen of the cluster."""
        self._lookout.show(cluster)
