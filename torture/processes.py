"""The processes of the lab: the vendor, and clients that are the command line."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Self

from tests.judging.__main__ import setting_line
from tests.judging.facts import Fact, from_line
from tests.judging.vendor import Setting

ROOT: Final = Path(__file__).resolve().parent.parent
_PATIENCE: Final = 60.0
_SABOTEUR: Final = Path(__file__).with_name("saboteur.py")


class VendorProcess:
    """A vendor that listens from construction to `stop`."""

    def __init__(self, setting: Setting, journal: Path) -> None:
        self._process: Final = subprocess.Popen(
            [sys.executable, "-m", "tests.judging"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        self.halts: Final[queue.SimpleQueue[Fact]] = queue.SimpleQueue()
        self._journal: Final = journal
        self._facts: Final[list[Fact]] = []
        self._read = 0  # bytes of the journal
        into, self._from = _pipes(self._process)
        into.write(setting_line(setting, journal))
        into.flush()
        self._into: Final = into
        ready = json.loads(self._from.readline())
        self.port: Final[int] = ready["port"]
        self.servers: Final[list[str]] = ready["servers"]
        self.closed: Final[list[str]] = ready["closed"]
        self._listener: Final = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        for line in self._from:
            self.halts.put(from_line(line))

    def facts(self) -> list[Fact]:
        """Return what it saw so far; the list grows with every look."""
        with self._journal.open("rb") as file:
            file.seek(self._read)
            news = file.read()
        whole = news.rfind(b"\n") + 1
        self._read += whole
        self._facts.extend(map(from_line, news[:whole].splitlines()))
        return self._facts

    def stop(self) -> None:
        """Have it drop every connection and end."""
        self._into.close()
        self._process.wait(_PATIENCE)
        self._listener.join()
        self._from.close()


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise AssertionError("both are pipes")
    return process.stdin, process.stdout


@dataclass(frozen=True, slots=True)
class Done:
    """How a client ended: its exit code (minus the signal that ended it), what it said, when (monotonic seconds)."""

    code: int
    said: str
    at: float

    @property
    def was_killed(self) -> bool:
        """Whether it was ended by us, from outside or from within."""
        return self.code in (-signal.SIGKILL, -signal.SIGALRM)


class Client:
    """The command line as a process."""

    def __init__(self, arguments: Sequence[str], log: Path, *, stdout: int | None = None, **conditions: Any) -> None:
        """Start it; what it says goes into `log`. `conditions` are the saboteur's."""
        program = [sys.executable, "-P", str(_SABOTEUR), json.dumps(conditions)] if conditions else _PROGRAM
        self._log: Final = log
        with log.open("ab") as said:
            self._process: Final = subprocess.Popen(
                [*program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if stdout is None else stdout,
                stderr=said,
                env=environment(),
                cwd=log.parent,
            )
        self.started: Final = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def read(self, size: int) -> bytes:
        """Read from its standard output, which is a pipe."""
        assert self._process.stdout is not None  # noqa: S101 - whoever reads asked for the pipe
        return self._process.stdout.read(size)

    def hang_up(self) -> None:
        """Close our end of its standard output."""
        assert self._process.stdout is not None  # noqa: S101 - as above
        self._process.stdout.close()

    def wait(self, seconds: float = _PATIENCE) -> Done:
        """Wait until it has ended; after `seconds` it is killed, and its code is that of `timeout`."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            code = TOOK_TOO_LONG
        return Done(code, self._log.read_text(errors="replace"), time.monotonic())

    def kill(self) -> Done:
        """Kill it as nobody could prevent."""
        self._process.kill()
        return self.wait()


TOOK_TOO_LONG: Final = 124
_PROGRAM: Final = [sys.executable, "-m", "wolkvox_async"]


def environment() -> dict[str, str]:
    """Return our environment without what would change the client: its own options, and proxies."""
    unwanted = ("wolkvox_", "xdg_")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.lower().startswith(unwanted)
        and not name.lower().endswith("_proxy")
        and name != "PYTHONDONTWRITEBYTECODE"
    }
