"""The machines: each a parent and its child, behind a wire of its own to every broker.

They are started again whenever they have ended, as a supervisor does it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from torture.processes import ROOT, environment

from .proxy import Wire

_AGAIN: Final = 0.5  # seconds until one that has ended is started again
_LATEST: Final = 30.0  # seconds
_LOOK_EVERY: Final = 0.05


class Machine:
    """One machine; `started` processes so far, whose exit codes are counted (minus the signal that ended one)."""

    def __init__(self, number: int, folder: Path, arguments: Sequence[str], conditions: Mapping[str, Any]) -> None:
        """`arguments` are those of the command but for `--join`; `conditions` the saboteur's."""
        self.number: Final = number
        self.wires: Final[list[Wire]] = []
        self.codes: Final[Counter[int]] = Counter()
        self.started = 0
        self.is_wanted = True  # else nobody starts it again
        self._log: Final = folder / f"machine-{number + 1}.log"
        self._clock: Final = folder / f"machine-{number + 1}.clock"
        self._arguments: Final = list(arguments)
        self._conditions: Final = dict(conditions)
        self._process: subprocess.Popen[bytes] | None = None
        self._child: int | None = None  # a descriptor of it, so that no other process is ever meant
        self._orphans: Final[list[int]] = []
        self._ended_at = 0.0
        self._last: int | None = None
        self.set_clock(0.0)

    # --- its life

    async def connect(self, ports: Sequence[int]) -> None:
        """Lay the wires to brokers."""
        for port in ports:
            wire = Wire(port)
            await wire.start()
            self.wires.append(wire)

    def start(self) -> None:
        """Start it."""
        join = ",".join(f"nats://127.0.0.1:{wire.port}" for wire in self.wires)
        conditions = json.dumps({"clock": str(self._clock), **self._conditions})
        with self._log.open("ab") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "torture.chaos.saboteur", conditions, *self._arguments, f"--join={join}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env=environment(),
                cwd=ROOT,
            )
        self.started += 1
        self._conditions.pop("gap", None)  # one child alone stands in it

    def tend(self) -> None:
        """Take note of its end, and start it again some time later."""
        if self._process is None:
            if self.is_wanted and time.monotonic() >= self._ended_at + _AGAIN:
                self.start()
            return
        if self._child is None:
            self._child = self._found_child()
        if (code := self._process.poll()) is not None:
            self._note(code)

    def is_running(self) -> bool:
        """Tell whether there is a process of it."""
        return self._process is not None and self._process.poll() is None

    async def end(self) -> int | None:
        """Have it end in order, and wait until that is noticed; return its exit code, None if it did not run."""
        self.is_wanted = False
        if self._process is None:
            return None
        self._process.send_signal(signal.SIGTERM)
        until = time.monotonic() + _LATEST
        while self.is_running():  # whoever tends it takes note
            if time.monotonic() > until:
                self.kill()
            await asyncio.sleep(_LOOK_EVERY)
        self.tend()
        return self._last

    async def close(self) -> None:
        """Leave nothing behind."""
        self.is_wanted = False
        self.resume()
        self.kill_child()
        self.kill()
        for orphan in self._orphans:
            _signal(orphan, signal.SIGKILL)
            os.close(orphan)
        for wire in self.wires:
            await wire.close()

    def _note(self, code: int) -> None:
        self.codes[code] += 1
        self._process, self._ended_at, self._last = None, time.monotonic(), code
        if self._child is not None:
            self._orphans.append(self._child)  # it may stand still, and is let go on when its time comes
            self._child = None

    def _found_child(self) -> int | None:
        if self._process is None:
            return None
        pid = self._process.pid
        with suppress(OSError, ValueError):
            first, *_ = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            return os.pidfd_open(int(first))
        return None

    # --- what is done to it

    def kill(self) -> None:
        """Kill the parent as nobody could prevent."""
        if self._process is not None:
            if self._child is None:
                self._child = self._found_child()
            self._process.kill()
            self._note(self._process.wait())

    def kill_child(self) -> None:
        """Kill the child as nobody could prevent."""
        self._send_child(signal.SIGKILL)

    def leave(self) -> None:
        """Ask it to end in order."""
        self._send_parent(signal.SIGTERM)

    def halt(self, *, parent: bool, child: bool) -> None:
        """Have one of them stand still, or both."""
        if parent:
            self._send_parent(signal.SIGSTOP)
        if child:
            self._send_child(signal.SIGSTOP)

    def resume(self) -> None:
        """Have everything go on, children without parents too."""
        self._send_parent(signal.SIGCONT)
        self._send_child(signal.SIGCONT)
        for orphan in self._orphans:
            _signal(orphan, signal.SIGCONT)

    def cut(self) -> None:
        """Cut its wires."""
        for wire in self.wires:
            wire.cut()

    def mend(self) -> None:
        """Mend its wires."""
        for wire in self.wires:
            wire.mend()

    def set_clock(self, off: float) -> None:
        """Have its wall clock be off by so many seconds."""
        mode = "r+b" if self._clock.exists() else "wb"
        with self._clock.open(mode) as file:
            file.write(struct.pack("=d", off))

    def _send_parent(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _send_child(self, number: signal.Signals) -> None:
        if self._child is None:
            self._child = self._found_child()
        if self._child is not None:
            _signal(self._child, number)


def _signal(descriptor: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, number)
