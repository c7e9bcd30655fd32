"""Six ways to use a pass or a call, five of which end before their time, after any number of loop steps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import anyio

from wolkvox_async.engine import Engine

Use: TypeAlias = Callable[[Engine], Awaitable[None]]
Consumer: TypeAlias = Callable[[Use, Engine, int], Awaitable[None]]


class EnoughError(Exception):
    """What `use` raises when it has been told to break off."""


async def steps(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def full(use: Use, engine: Engine, _count: int) -> None:
    await use(engine)


async def moved_on(use: Use, engine: Engine, count: int) -> None:
    """`anyio.move_on_after`, its time over after `count` steps."""
    with anyio.move_on_after(3600) as scope:
        cancelling = asyncio.create_task(_after(count, scope.cancel))
        await use(engine)
    await _end(cancelling)


async def timed_out(use: Use, engine: Engine, count: int) -> None:
    """`asyncio.timeout`, its time over after `count` steps."""
    loop = asyncio.get_running_loop()
    cancelling = None
    try:
        async with asyncio.timeout(3600) as limit:
            cancelling = asyncio.create_task(_after(count, lambda: _expire(limit, loop.time())))
            await use(engine)
    except TimeoutError:
        pass
    if cancelling is not None:
        await _end(cancelling)


def _expire(limit: asyncio.Timeout, now: float) -> None:
    try:
        limit.reschedule(now)
    except RuntimeError:
        return  # it was left already


async def cancelled(use: Use, engine: Engine, count: int) -> None:
    """`task.cancel()` after `count` steps."""
    task = asyncio.ensure_future(use(engine))
    await steps(count)
    task.cancel()
    await asyncio.wait([task])


async def cancelled_twice(use: Use, engine: Engine, count: int) -> None:
    """`task.cancel()` after `count` steps, and again right after that."""
    task = asyncio.ensure_future(use(engine))
    await steps(count)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([task])


async def _after(count: int, do: Callable[[], object]) -> None:
    await steps(count)
    do()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


INTERRUPTED: Final[dict[str, Consumer]] = {
    "move_on_after": moved_on,
    "asyncio.timeout": timed_out,
    "task.cancel": cancelled,
    "task.cancel twice": cancelled_twice,
}


# --- what is used -------------------------------------------------------------------------


async def records(engine: Engine) -> None:
    async with engine.fetch() as found:
        async for _ in found:
            pass


async def lines(engine: Engine) -> None:
    async with engine.fetch() as found:
        async for _ in found.lines():
            await asyncio.sleep(0)


async def call(engine: Engine) -> None:
    await engine.call("t1/main", "interactions")


async def calls(engine: Engine) -> None:
    await asyncio.gather(*[engine.call(f"t{n}/main", "vision") for n in (0, 1, 1, 2)])


USES: Final[dict[str, Use]] = {"records": records, "lines": lines, "call": call, "calls": calls}


def breaking(after: int) -> Use:
    """Read so many records, then `break`."""

    async def use(engine: Engine) -> None:
        left = after
        async with engine.fetch() as found:
            async for _ in found:
                left -= 1
                if left <= 0:
                    break

    return use


def raising(after: int) -> Use:
    """Read so many pieces of lines, then raise."""

    async def use(engine: Engine) -> None:
        left = after
        async with engine.fetch() as found:
            async for _ in found.lines():
                left -= 1
                if left <= 0:
                    raise EnoughError

    return use
