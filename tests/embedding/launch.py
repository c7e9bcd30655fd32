"""Serves a program of the guide as its users do, but for the vendor's address; tells what it leaves behind.

python launch.py INTERVAL BASE_URL SERVER ARGUMENT...
"""

from __future__ import annotations

import asyncio
import atexit
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import wolkvox_async


@asynccontextmanager
async def _opened(opening: Any, *arguments: Any, **options: Any) -> AsyncIterator[wolkvox_async.Engine]:
    async with opening(*arguments, **options) as engine:
        yield engine
    for task in asyncio.all_tasks():
        if "wolkvox_async" in repr(task.get_coro()) or "wolkvox_async" in task.get_name():
            _tell(task)


def _look() -> None:
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            _tell(thread)
    for link in Path("/proc/self/fd").iterdir():
        if link.is_symlink() and str(link.readlink()).startswith("socket:"):
            _tell(link.readlink())


def _tell(left: object) -> None:
    sys.stdout.write(f"left behind: {left}\n")


def _end(number: int, _frame: Any) -> None:
    raise SystemExit(128 + number)


def main(interval: str, base_url: str, server: str, *arguments: str) -> None:
    sys.path.insert(0, str(Path.cwd()))
    # uvicorn, once it has stopped, raises the signal again; its end would be the process's, and nobody could look.
    signal.signal(signal.SIGTERM, _end)
    atexit.register(_look)
    opening = partial(_opened, wolkvox_async.open_engine, base_url=base_url, interval=float(interval))
    setattr(wolkvox_async, "open_engine", opening)  # noqa: B010 - to mypy it is a function
    if server == "uvicorn":
        import uvicorn  # noqa: PLC0415 - a program needs one of them

        uvicorn.main(list(arguments))
    else:
        from aiohttp import web  # noqa: PLC0415 - as above

        web.main(list(arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
