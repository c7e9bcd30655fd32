"""`fetch --workers N`: from an order to its ending.

In this order: every token is resolved (all mistakes at once, and nothing was started), the
workers are forked, state and output are opened, the run is begun or taken up and its opening
record written, the workers call. The workers wait for their first word meanwhile, and end
without having done anything when it does not come.
"""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable, Sequence
from typing import Final

from wolkvox_async.adapters.clock import LoopClock
from wolkvox_async.adapters.telemetry import library_logger
from wolkvox_async.apps import passing
from wolkvox_async.apps.exits import Exit, of_pass, of_signal
from wolkvox_async.apps.signals import Reactions, StopSignals
from wolkvox_async.engine.roster import Roster
from wolkvox_async.errors import ConfigurationError, OutputClosedError, OutputError
from wolkvox_async.settings.composition import Parts, resolve_and_warn
from wolkvox_async.settings.limits import in_flight_at_most
from wolkvox_async.settings.resolution import secrets_of

from .forking import can_fork, dismiss, fork_workers
from .job import Job, Terms
from .links import Link
from .run import Run, RunParts
from .shares import Part, shares
from .worker import work

_NO_FORK: Final = "--workers: this system cannot fork processes that share a state folder: leave it out"


def run(order: passing.Order, parts: Callable[[], Parts] = Parts) -> passing.Ending:
    """Make the pass with `order.workers` processes, or fewer where the limits cannot be divided into as many.

    To be called where there is no event loop and no other thread. `parts` is called in each
    worker, once for each of its engines. Raises `ConfigurationError` before anything is called,
    and `StateError` at any time.
    """
    limits = Part(in_flight_at_most(order.options), order.options.per_server)
    most = len(limits.split(order.workers))
    if (shortage := limits.shortage(order.workers)) is not None:
        library_logger().warning(shortage)
    if most < 2:
        return passing.run(lambda: passing.run_pass(order, parts()))
    if not can_fork():
        raise ConfigurationError(_NO_FORK)
    job = passing.run(lambda: _prepare(order, parts))
    if isinstance(job, passing.Ending):
        return job
    gc.freeze()  # what all have in common stays common: no collector goes through it
    return _with_workers(order, job, limits, most)


async def _prepare(order: passing.Order, parts: Callable[[], Parts]) -> Job | passing.Ending:
    """Resolve the tokens, until a signal comes."""
    resolving = asyncio.ensure_future(_resolve(order, parts))

    def give_up() -> None:
        resolving.cancel()

    with StopSignals(Reactions(give_up, give_up, give_up), order.drain) as signals:
        try:
            return await resolving
        except asyncio.CancelledError:
            if signals.received is None:
                raise
            return passing.Ending(of_signal(signals.received))


async def _resolve(order: passing.Order, parts: Callable[[], Parts]) -> Job:
    tenants = order.tenants
    resolved = await resolve_and_warn(tenants, order.options, secrets_of(tenants), library_logger())
    roster = Roster(resolved, tenants.catalog, order.options.interval)
    chosen = roster.choose((), order.apis, order.dates)
    return Job.of(tenants, chosen, Terms(order.options, order.dates, parts))


def _with_workers(order: passing.Order, job: Job, limits: Part, most: int) -> passing.Ending:
    dealt = shares(job.tokens, range(len(job.tokens)), range(1, most + 1))
    # With few tokens some may have none: they would only keep their part of the limits from others.
    busy = [number for number, places in dealt.items() if places] or [1]
    forked = fork_workers(busy, lambda channel: _be_worker(job, channel))
    try:
        links = [
            Link(worker, part, dealt[worker.number])
            for worker, part in zip(forked, limits.split(len(busy)), strict=True)
        ]
        return passing.run(lambda: _fetch(order, job, links))
    finally:
        dismiss(forked)


def _be_worker(job: Job, channel: socket.socket) -> None:
    passing.run(lambda: work(job, channel))


async def _fetch(order: passing.Order, job: Job, links: Sequence[Link]) -> passing.Ending:
    clock = LoopClock()
    try:
        async with (
            passing.state_of(order.options, clock) as state,
            order.sink() as sink,
        ):
            await passing.take_over(state, sink)
            if order.options.retry_refused:
                await state.forgive(set(job.tokens))
            return await _until_signalled(Run(RunParts(order, job, state, sink, clock), links))
    except OutputClosedError:
        return passing.Ending(Exit.OUTPUT)
    except OutputError as error:
        return passing.Ending(Exit.OUTPUT, message=str(error))


async def _until_signalled(whole: Run) -> passing.Ending:
    order, stage = whole.order, passing.Stage(whole.sink)
    with StopSignals(Reactions(stage.stop, stage.abandon, stage.abort), order.drain) as signals:
        try:
            summary = await whole.fetch(stage)
        except asyncio.CancelledError:
            if signals.received is None:
                raise
            stage.recover()
            return passing.Ending(of_signal(signals.received))
    code = of_pass(summary.counters) if signals.received is None else of_signal(signals.received)
    return passing.Ending(code, summary, passing.not_due(summary.counters, order.options))
