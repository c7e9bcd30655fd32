"""Exit codes: the first that applies, in this order."""

from __future__ import annotations

import signal
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wolkvox_async.counters import Counters


class Exit(IntEnum):
    """What the process tells its caller."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    NOTHING_WORKED = 3
    OUTPUT = 4
    STATE = 5
    INTERRUPTED = 128 + signal.SIGINT
    TERMINATED = 128 + signal.SIGTERM


def of_signal(number: int) -> Exit:
    """Return the exit code after having been stopped by a signal."""
    return Exit.TERMINATED if number == signal.SIGTERM else Exit.INTERRUPTED


def of_pass(counters: Counters) -> Exit:
    """Return the exit code of a pass that ran to its end."""
    troubled = counters.failed + counters.held
    if not troubled:
        return Exit.OK
    return Exit.SOME_FAILED if counters.ok + counters.empty else Exit.NOTHING_WORKED
