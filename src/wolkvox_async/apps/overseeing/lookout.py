"""Looking at a cluster for a few seconds: until everything that may change did, or time is up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from wolkvox_async.adapters import nats
from wolkvox_async.apps.languages import translated
from wolkvox_async.apps.reading.extent import last_sequence
from wolkvox_async.errors import StoreUnavailableError, one_line
from wolkvox_async.ports import Store

from .picture import Picture, is_settled, picture, terms_of
from .sights import Sights

_BETWEEN: Final = 0.25  # seconds from one look to the next
_SPARE: Final = 2.0  # seconds beside a renewal


async def seen(settings: nats.NatsSettings, seconds: float | None, say: Callable[[str], None]) -> Picture:
    """Look for so many seconds, or (None) as long as it takes to see everything renewed, a renewal and 2 s at most.

    Raises `StateError`, with `StoreUnavailableError` among them, and `ConfigurationError` without the extra.
    """
    store = await nats.NatsStore.open(replace(settings, makes=False))
    try:
        sights = await _looked(store, seconds, say)
        return picture(sights, await last_sequence(store))
    finally:
        await store.close()


async def _looked(store: Store, seconds: float | None, say: Callable[[str], None]) -> Sights:
    loop, sights = asyncio.get_running_loop(), Sights()
    began, told = loop.time(), False
    sights.look(await store.keys(), loop.time())
    until = began + _length(sights, seconds)
    while (left := until - loop.time()) > 0 and (seconds is not None or not is_settled(sights)):
        if not told:
            say(translated("looking for up to {seconds:g} s at what is renewed", seconds=until - began))
            told = True
        await asyncio.sleep(min(left, _BETWEEN))
        try:
            sights.look(await store.keys(), loop.time())
        except StoreUnavailableError as error:
            say(one_line(translated("beginning anew: {error}", error=error)))
            sights.forget()
            sights.look(await store.keys(), loop.time())
    return sights


def _length(sights: Sights, seconds: float | None) -> float:
    terms = terms_of(sights)
    if seconds is not None:
        return seconds
    return 0.0 if terms is None else terms.renewal + _SPARE
