"""The composition root: from a tenants file and options to an open engine.

    async with open_engine(load_tenants("tenants.json")) as engine: ...

Everything that a service may want to bring along (transport, connector, clock, chance,
environment, hooks, its own token source) is a field of `Parts`; what it leaves out is
made here, and closed here.

Importing this costs what aiohttp and structlog cost: whoever does is about to run an
engine, and inside the event loop is the wrong moment to find that out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Unpack

import aiohttp

from wolkvox_async import __version__
from wolkvox_async.adapters.clock import LoopClock
from wolkvox_async.adapters.secrets import Secrets
from wolkvox_async.adapters.state import MemoryState, SqliteState
from wolkvox_async.adapters.telemetry import Hooks, LogHook, library_logger
from wolkvox_async.engine import Engine, EngineParts
from wolkvox_async.engine.crew import CrewParts
from wolkvox_async.engine.permits import Terms
from wolkvox_async.engine.regulation import Regulator
from wolkvox_async.errors import UsageError
from wolkvox_async.planning import Subscription
from wolkvox_async.ports import Clock, Hook, State, TokenSource, Transport
from wolkvox_async.scheduling.retry import RetryPolicy
from wolkvox_async.scheduling.scheduler import Scheduler
from wolkvox_async.spelling import did_you_mean, shown

from .changes import Changes
from .entries import Tenants
from .limits import choose_limits
from .options import Options
from .resolution import Guarded, References, exposed_files, resolve, secrets_of
from .tokens import shared_tokens
from .transports import make_transport


@dataclass(frozen=True, slots=True)
class Parts:
    """What a service brings along instead of ours; None means ours.

    `chance` gives numbers from 0 to below 1, for pauses and ids; `tokens` is asked after a
    refusal; `hooks` hear of everything, in their order. `transport` is closed together with
    the engine; `connector` is used for new connections and stays its owner's to close, and so
    does `state`; `environment` is where `env` references are looked up. `may_send` is asked, with
    a token's id, right before a request leaves (not by a `transport` of one's own).
    """

    transport: Transport | None = None
    connector: aiohttp.BaseConnector | None = None
    clock: Clock | None = None
    chance: Callable[[], float] | None = None
    environment: Mapping[str, str] | None = None
    tokens: TokenSource | None = None
    state: State | None = None
    hooks: tuple[Hook, ...] = ()
    may_send: Callable[[str], bool] | None = None


def open_engine(
    tenants: Tenants, options: Options | None = None, *, parts: Parts | None = None, **changes: Unpack[Changes]
) -> OpenEngine:
    """Return an engine over `tenants`, to be entered with `async with`.

    `changes` are single options (`max_in_flight=200`, `base_url=...`). Entering resolves
    every token reference; wrong options raise `ConfigurationError` at once, options that do not
    exist (and anything but `Tenants`) `TypeError`, everything else as `OpenEngine` says.
    """
    if not isinstance(tenants, Tenants):
        raise TypeError("open_engine() takes what load_tenants() returns: open_engine(load_tenants(...))")
    known = [one.name for one in fields(Options)]
    for name in changes:
        if name not in known:
            raise TypeError(f"open_engine() has no option {shown(name)}{did_you_mean(name, known)}")
    return OpenEngine(tenants, replace(options or Options(), **changes), parts or Parts())


class OpenEngine:
    """An engine that is being opened; a block, which is entered once.

    Entering raises `ConfigurationError` with every token reference that gives none, and `StateError`
    when the state folder cannot be used. Leaving gives up what is in flight, and when it is done no
    task, thread, timer or socket is left. It may be left in another task than it was entered in.
    """

    def __init__(self, tenants: Tenants, options: Options, parts: Parts) -> None:
        self._tenants: Final = tenants
        self._options: Final = options
        self._parts: Final = parts
        self._entered = False
        self._engine: Engine | None = None
        self._state: State | None = None  # ours to close

    async def __aenter__(self) -> Engine:
        if self._entered:
            raise UsageError("an engine is entered once: call open_engine() again")
        self._entered = True
        log = library_logger()
        secrets = secrets_of(self._tenants, self._parts.environment)
        subscriptions = await resolve_and_warn(self._tenants, self._options, secrets, log)
        clock = self._parts.clock or LoopClock()
        state = self._parts.state
        if state is None:
            state = self._state = await open_state(self._options, clock, log)
        try:
            if self._options.retry_refused:
                await state.forgive({subscription.operation.token.id for subscription in subscriptions})
            made = _Made(self._tenants, self._options, self._parts, secrets, log)
            self._engine = Engine(subscriptions, _engine_parts(made, clock, state))
            return await self._engine.__aenter__()
        except BaseException:
            await self._close_state()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._engine is None:
            return
        try:
            await self._engine.__aexit__(kind, error, trace)
        finally:
            await self._close_state()

    async def _close_state(self) -> None:
        state, self._state = self._state, None
        if state is not None:
            await state.close()


async def resolve_and_warn(tenants: Tenants, options: Options, secrets: Secrets, log: Any) -> list[Subscription]:
    """Resolve every token reference, and log what is odd about file and tokens; raises `ConfigurationError`."""
    subscriptions = await resolve(tenants, options.base_url, secrets)
    for message in (*map(str, tenants.warnings), *exposed_files(secrets)):
        log.warning(message)
    for message in shared_tokens(subscription.operation for subscription in subscriptions):
        log.warning(message)
    return subscriptions


def assemble(
    subscriptions: Iterable[Subscription],
    tenants: Tenants,
    options: Options,
    parts: Parts | None = None,
    *,
    most_in_flight: int | None = None,
) -> Engine:
    """Return an engine over operations whose tokens are resolved already; what it is made of is its own to close.

    `most_in_flight` is its part of what the system affords, where it has only a part.
    Of `tenants` only references, catalogue and path count. Without a state in `parts` it has one in memory.
    """
    parts = parts or Parts()
    clock = parts.clock or LoopClock()
    secrets = secrets_of(tenants, parts.environment)
    made = _Made(tenants, options, parts, secrets, library_logger(), most_in_flight)
    return Engine(subscriptions, _engine_parts(made, clock, parts.state or MemoryState(clock)))


async def open_state(options: Options, clock: Clock, log: Any) -> SqliteState | MemoryState:
    """Open the state folder that `options` name, or a state in memory; it is the caller's to close.

    Raises `StateError` when the folder cannot be used.
    """
    if options.state is None:
        return MemoryState(clock)
    state = await SqliteState.open(Path(options.state), durability=options.durability)
    for notice in state.notices:
        log.error(notice)
    return state


@dataclass(frozen=True, slots=True)
class _Made:
    """What an engine is made from."""

    tenants: Tenants
    options: Options
    parts: Parts
    secrets: Secrets
    log: Any
    most_in_flight: int | None = None


def _engine_parts(made: _Made, clock: Clock, state: State) -> EngineParts:
    tenants, options, parts, log = made.tenants, made.options, made.parts, made.log
    limits = choose_limits(options, now=clock.now(), log=log, most=made.most_in_flight)
    retry = RetryPolicy(options.max_attempts, options.backoff, patience=options.patience)
    scheduler = Scheduler(limits.first, retry, after_failure=options.after_failure)
    crew = CrewParts(
        scheduler=scheduler,
        transport=parts.transport or make_transport(options, parts.connector, log, may_send=parts.may_send),
        clock=clock,
        hook=Hooks((LogHook(log), *parts.hooks), log),
        chance=parts.chance or random.Random().random,  # noqa: S311 - for pauses and ids, not for secrets
        state=state,
        server_limit=options.server_limit,
        terms=Terms(options.hold, options.token_gap, options.wait, shared=options.connections == "shared"),
        regulator=None if limits.flow is None else Regulator(limits.flow, scheduler),
    )
    return EngineParts(
        crew,
        tokens=Guarded(parts.tokens, log) if parts.tokens else References(tenants.entries, made.secrets),
        catalog=tenants.catalog,
        limits=limits.most,
        max_attempts=options.max_attempts,
        version=__version__,
        interval=options.interval,
        timeout=options.timeout,
        tenants="" if tenants.path is None else str(tenants.path.resolve()),
    )
