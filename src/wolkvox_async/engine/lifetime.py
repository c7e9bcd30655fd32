"""Waiting for a task to end, whatever cancels the one who waits."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio


async def outlast(task: asyncio.Task[Any]) -> None:
    """Return when `task` is done, with its exception still in it.

    A cancellation that comes meanwhile, from anyio or from asyncio, is raised once the
    task is done.
    """
    cancellation: asyncio.CancelledError | None = None
    # The shield is for anyio, which cancels again and again; asyncio cancels through it.
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError as error:
                cancellation = error
    if cancellation is not None:
        raise cancellation
