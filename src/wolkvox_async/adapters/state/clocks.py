"""The machine's clocks, as the state uses them, and what becomes of a moment that is written down.

- Leases count in CLOCK_MONOTONIC: one clock for all processes of a boot, which nobody can
  set and which stands still while the machine is suspended. So nothing shortens a lease.
- Pace and refusals count in CLOCK_BOOTTIME: as the other, but it goes on in suspend, so a
  clock that is set neither shortens nor lengthens them. Both begin anew with every boot:
  beyond it only the wall clock is left, and a time that it says is yet to come is now.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from wolkvox_async.errors import StateError

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_BOOT_NAMES: Final = (b"kern.bootsessionuuid", b"kern.boot_id")  # macOS, FreeBSD


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds of three clocks, and the name of the boot that the first two count from."""

    monotonic: Callable[[], float]
    boottime: Callable[[], float]
    wall: Callable[[], float]
    boot: str


def machine_clocks() -> Clocks:
    """Return the clocks of this machine; raises `StateError` where it does not say when it was booted."""
    running, elapsed = _numbers()
    read = time.clock_gettime
    return Clocks(partial(read, running), partial(read, elapsed), partial(read, time.CLOCK_REALTIME), _boot())


def _numbers() -> tuple[int, int]:
    """Return the numbers of the clock that stands still in suspend, and of the one that does not."""
    if sys.platform == "darwin":
        return time.CLOCK_UPTIME_RAW, time.CLOCK_MONOTONIC
    return time.CLOCK_MONOTONIC, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _boot() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        boot = _asked_for_boot()
    if not boot:
        raise StateError("this system does not say when it was started, so leases cannot be kept over a crash of it")
    return boot


def _asked_for_boot() -> str:
    sysctl = getattr(ctypes.CDLL(None), "sysctlbyname", None)
    if sysctl is None:
        return ""
    for name in _BOOT_NAMES:
        text = ctypes.create_string_buffer(64)
        if sysctl(name, text, ctypes.byref(ctypes.c_size_t(len(text))), None, 0) == 0:
            return text.value.decode("ascii", "replace")
    return ""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment as it is stored: the number of the boot, the seconds since that, and the wall clock's."""

    boot: int
    elapsed: float
    wall: float


@dataclass(frozen=True, slots=True)
class Era:
    """A boot, by its number in the state: translates between moments and seconds from now."""

    clocks: Clocks
    number: int

    def moment(self, seconds_ago: float) -> Moment:
        """Return the moment that was so long ago (less than 0: that is yet to come)."""
        return Moment(self.number, self.clocks.boottime() - seconds_ago, self.clocks.wall() - seconds_ago)

    def age(self, moment: Moment) -> float:
        """Return how many seconds ago `moment` was; less than 0 when it is yet to come."""
        if moment.boot == self.number:
            return self.clocks.boottime() - moment.elapsed
        return self.clocks.wall() - moment.wall
