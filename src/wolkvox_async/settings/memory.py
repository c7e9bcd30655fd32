"""How many calls in flight the memory of this machine, or of this container, has room for."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from wolkvox_async.scheduling.flow import affordable_in

MOST: Final = 10_000  # what `auto` never exceeds, however much memory there is

_AVAILABLE: Final = re.compile(r"^MemAvailable:\s*(\d+) kB$", re.MULTILINE)
_MACHINE: Final = Path("/proc/meminfo")
_CONTAINER: Final = Path("/sys/fs/cgroup")


def most_in_flight() -> int:
    """Return how many calls `auto` may have in flight, as far as memory is concerned."""
    free = [kib for kib in (machine_kib(), container_kib()) if kib is not None]
    return min(MOST, affordable_in(min(free))) if free else MOST


def machine_kib(meminfo: Path = _MACHINE) -> int | None:
    """Return the memory that is free on this machine, in KiB; None when nobody says."""
    try:
        found = _AVAILABLE.search(meminfo.read_text())
        return int(found[1]) if found else None
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return None


def container_kib(folder: Path = _CONTAINER) -> int | None:
    """Return the memory that this control group may still use, in KiB; None when it has no limit."""
    try:
        most, used = ((folder / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return max(0, int(most) - int(used)) // 1024
    except (OSError, ValueError):  # there is none, or its limit is the word "max"
        return None
