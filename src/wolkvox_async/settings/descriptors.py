"""How many connections the operating system lets us have."""

from __future__ import annotations

from typing import Any, Final

RESERVE: Final = 40  # descriptors for everything that is no connection
EACH: Final = 2  # descriptors of a call in flight: one connection may be closing while the next one opens


def affordable(wanted: int, log: Any) -> int:
    """Raise the limit of open files towards `wanted` connections; return how many there may be."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + RESERVE
    if soft != resource.RLIM_INFINITY and soft < needed:
        raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        if raised > soft:
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    possible = max(1, (soft - RESERVE) // EACH)
    log.warning("the limit of open files allows fewer calls in flight: raise it with ulimit -n", max_in_flight=possible)
    return possible
