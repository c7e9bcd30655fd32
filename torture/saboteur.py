"""Run the command line under a condition that cannot be had from outside.

    python -P saboteur.py CONDITIONS fetch ...

CONDITIONS is a JSON object. `limits` are resource limits by name. `clock` is how many
seconds the wall clock is off by, and `clock_after` how long after the start (seconds) it
begins to be; the monotonic clock stays. `kill` names a function, dotted, at whose `nth`
call the process kills itself: `before` it, `after` it returned, or `during` it, `delay`
seconds after its beginning.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any


def main(conditions: dict[str, Any]) -> None:
    """Establish the conditions, then be the command line."""
    for name, limit in conditions.get("limits", {}).items():
        resource.setrlimit(getattr(resource, name), (limit, limit))
    if offset := conditions.get("clock"):
        step_clock(offset, conditions.get("clock_after", 0.0))
    if kill := conditions.get("kill"):
        arm(**kill)
    import_module("wolkvox_async.apps.cli").main()


def step_clock(offset: float, after: float) -> None:
    """Have the wall clock be off by `offset` seconds, `after` seconds from now on."""
    began, wall, gettime = time.monotonic(), time.time, time.clock_gettime

    def off() -> float:
        return offset if time.monotonic() - began >= after else 0.0

    time.time = lambda: wall() + off()
    time.time_ns = lambda: int((wall() + off()) * 1e9)
    time.clock_gettime = lambda clock: gettime(clock) + (off() if clock == time.CLOCK_REALTIME else 0.0)
    clock = import_module("wolkvox_async.adapters.clock").LoopClock
    clock.utc = lambda _: datetime.now(UTC) + timedelta(seconds=off())


def arm(seam: str, when: str, nth: int, delay: float = 0.0) -> None:
    """Have the process kill itself at the `nth` call of the function that `seam` (module:name) names."""
    module, _, path = seam.partition(":")
    *parents, name = path.split(".")
    owner: Any = import_module(module)
    for parent in parents:
        owner = getattr(owner, parent)
    turns = itertools.count(1)
    setattr(owner, name, _armed(getattr(owner, name), when, lambda: next(turns) == nth, delay))


def _armed(original: Callable[..., Any], when: str, is_it: Callable[[], bool], delay: float) -> Callable[..., Any]:
    def enter() -> bool:
        if not is_it():
            return False
        if when == "before":
            die()
        if when == "during":
            # Nobody handles it, so the kernel ends the process, wherever it is.
            signal.setitimer(signal.ITIMER_REAL, max(delay, 1e-6))
        return when == "after"

    @functools.wraps(original)
    async def waiting(*args: Any, **kwargs: Any) -> Any:
        dies = enter()
        result = await original(*args, **kwargs)
        if dies:
            die()
        return result

    @functools.wraps(original)
    def plain(*args: Any, **kwargs: Any) -> Any:
        dies = enter()
        result = original(*args, **kwargs)
        if dies:
            die()
        return result

    return waiting if inspect.iscoroutinefunction(original) else plain


def die() -> None:
    """Kill this process as nobody could prevent."""
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    del sys.argv[0]
    main(json.loads(sys.argv[0]))
