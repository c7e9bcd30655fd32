"""Be the command line under a condition that cannot be had from outside.

    python -m torture.chaos.saboteur CONDITIONS watch ...

CONDITIONS is a JSON object. `clock` is a file of eight bytes, a number (native double): what the
wall clock is off by in seconds, at any moment. With `lawless` nobody goes by a lease. With
`unguarded` a parent does not kill a child that stands still. `gap` has the child stand still
between its last look and the sending of its `nth` request, whose token's id goes into `mark`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Final

_JOINED: Final = "wolkvox_async.apps.joined"


def main(conditions: dict[str, Any]) -> None:
    """Establish the conditions, then be the command line."""
    if "clock" in conditions:
        follow(Path(conditions["clock"]))
    if conditions.get("lawless"):
        have_no_rules()
    if conditions.get("unguarded") or conditions.get("lawless"):
        have_no_guard()
    if "gap" in conditions:
        stand_in_the_gap(**conditions["gap"])
    import_module("wolkvox_async.apps.cli").main()


def follow(path: Path) -> None:
    """Have the wall clock be off by what the file says; the others stay."""
    with path.open("rb") as file:
        cell = memoryview(mmap(file.fileno(), 8, access=ACCESS_READ)).cast("d")
    wall, gettime = time.time, time.clock_gettime
    time.time = lambda: wall() + cell[0]
    time.time_ns = lambda: int((wall() + cell[0]) * 1e9)
    time.clock_gettime = lambda clock: gettime(clock) + (cell[0] if clock == time.CLOCK_REALTIME else 0.0)
    clock = import_module("wolkvox_async.adapters.clock").LoopClock
    clock.utc = lambda _: datetime.now(UTC) + timedelta(seconds=cell[0])


def have_no_rules() -> None:
    """Let everybody always send, and take at once what ought to be his, and wait for nothing."""
    _change(f"{_JOINED}.board:LeaseBoard.may_begin", lambda *_: True)
    _change("wolkvox_async.clustering.holder:Holder.is_over", lambda *_: False)
    _change("wolkvox_async.clustering.contender:Contender.claimable_at", _at_once)
    _change(f"{_JOINED}.quarantine:Quarantine.apply", lambda *_: None)
    _change(f"{_JOINED}.parent:Parent.may_renew", lambda *_: True)


def _at_once(contender: Any, partition: int) -> float | None:
    sight = contender._sights.get(partition)  # noqa: SLF001 - the rules are within
    return None if sight is None else sight.since


def have_no_guard() -> None:
    """Have no parent kill a child that stands still."""

    async def sleep(_: object) -> None:
        await asyncio.Event().wait()

    _change(f"{_JOINED}.parent:Parent._guard", sleep)


def stand_in_the_gap(nth: int, mark: str) -> None:
    """Stop between the last look and the sending of the `nth` request that may be sent."""
    tools = import_module(f"{_JOINED}.errand").Tools
    parts_of, turns = tools.parts, itertools.count(1)

    def parts(its: Any) -> Any:
        found = parts_of(its)
        return replace(found, may_send=_stopping(found.may_send, lambda: next(turns) == nth, Path(mark)))

    tools.parts = parts


def _stopping(may_send: Callable[[str], bool], is_it: Callable[[], bool], mark: Path) -> Callable[[str], bool]:
    def look(token: str) -> bool:
        may = may_send(token)
        if may and is_it():
            mark.with_suffix(".part").write_text(token)
            mark.with_suffix(".part").replace(mark)
            os.kill(os.getpid(), signal.SIGSTOP)
        return may

    return look


def _change(seam: str, new: Callable[..., Any]) -> None:
    """Put `new` into the place of what `seam` (module:name) names; a name that is gone shows at once."""
    module, _, path = seam.partition(":")
    *parents, name = path.split(".")
    owner: Any = import_module(module)
    for parent in parents:
        owner = getattr(owner, parent)
    getattr(owner, name)
    setattr(owner, name, new)


if __name__ == "__main__":
    del sys.argv[0]
    main(json.loads(sys.argv[0]))
