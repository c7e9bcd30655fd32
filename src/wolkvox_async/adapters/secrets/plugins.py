"""Tokens that plug-ins find: entry points of the group `wolkvox_async.secrets`.

Which ones are installed is looked up when a reference names one, and a plug-in's code is
imported when such a reference is resolved: what nobody names costs nothing and runs
nothing. See `ports.SecretPlugin` for what a plug-in is.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from typing import Any, Final, assert_never

import orjson

from wolkvox_async.references import PluginReference

from .found import Resolution, handed_over, unresolved
from .threads import Came, Raised, Silent, Stuck, Threads

GROUP: Final = "wolkvox_async.secrets"


def installed_plugins() -> tuple[str, ...]:
    """Return the names of all plug-ins that are installed, sorted; reads every distribution's metadata."""
    # It takes longer to import than everything else here, and few name a plug-in.
    from importlib import metadata  # noqa: PLC0415

    return tuple(sorted({point.name for point in metadata.entry_points(group=GROUP)}))


class _NotOneError(Exception):
    """There is no plug-in of that name, or more than one."""


class _UnloadableError(Exception):
    """Importing it failed."""


class _NoFunctionError(Exception):
    """What the entry point names cannot be called."""


async def from_plugin(reference: PluginReference, threads: Threads, seconds: float) -> Resolution:
    """Return the token that a plug-in finds."""
    match await threads.run(lambda: _asked(reference, seconds), seconds):
        case Came(value=value):
            return handed_over(reference, value)
        case Raised() as raised:
            return unresolved(reference, _failure(raised, seconds))
        case Silent():
            return unresolved(reference, f"did not answer within {seconds:g} s")
        case Stuck(many=many):
            return unresolved(reference, f"was not asked: it has not answered {many} earlier questions")
        case _ as never:
            assert_never(never)


def _asked(reference: PluginReference, seconds: float) -> object:
    """Call the plug-in; to be called in a thread."""
    found = _load(reference.plugin)(orjson.loads(reference.settings))
    return asyncio.run(_awaited(found, seconds)) if inspect.isawaitable(found) else found


async def _awaited(found: Awaitable[object], seconds: float) -> object:
    # What waits can be ended; only what blocks has to be left to itself.
    async with asyncio.timeout(seconds):
        return await found


def _load(name: str) -> Any:
    from importlib import metadata  # noqa: PLC0415 - as above

    points = {point.value: point for point in metadata.entry_points(group=GROUP, name=name)}
    if len(points) != 1:
        raise _NotOneError
    (point,) = points.values()
    try:
        plugin = point.load()
    except BaseException:  # noqa: BLE001 - its module may raise anything, SystemExit included
        plugin = None
        failed = True
    else:
        failed = False
    if failed:
        raise _UnloadableError
    if not callable(plugin):
        raise _NoFunctionError
    return plugin


def _failure(raised: Raised, seconds: float) -> str:
    match raised.kind:
        case "_NotOneError":
            return "is not installed, or two packages bring one of that name"
        case "_UnloadableError":
            return "cannot be imported: is what it needs installed?"
        case "_NoFunctionError":
            return "is no function: its entry point has to name something that can be called"
        case "TimeoutError":
            return f"did not answer within {seconds:g} s"
        case kind:
            return f"failed ({kind}); what it said is not shown, because it may hold the token"
