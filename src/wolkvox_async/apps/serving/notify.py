"""What systemd is told: that the service is ready, reloads, stops, is alive, and how it is.

Messages are datagrams to the socket that `NOTIFY_SOCKET` names (see sd_notify(3)); where
there is none, telling does nothing. The watchdog's message is sent only while the service
is alive by its own rules, so a service that is not is started again.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Final, Self

from wolkvox_async.ports import Alarm, Clock

from .health import Health

_PATIENCE: Final = 0.5  # seconds for a message; it takes microseconds unless the machine is in trouble
_STATUS_EVERY: Final = 10.0


class Supervisor:
    """Tells the init system; each message returns whether it went out.

    `watchdog` is within how many seconds it wants to hear that the service is alive, None
    if it does not. Raises nothing: that nobody listens is no reason to stop.
    """

    def __init__(self, address: str | None = None, watchdog: float | None = None) -> None:
        self.watchdog: Final = watchdog
        self._address: Final = None if address is None else _address(address)
        self._socket: socket.socket | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str], pid: int) -> Self:
        """Return the supervisor that the environment of process `pid` names, or one that nobody hears."""
        wanted = environment.get("WATCHDOG_USEC", "")
        is_meant = environment.get("WATCHDOG_PID", str(pid)) == str(pid)
        microseconds = int(wanted) if wanted.isascii() and wanted.isdecimal() and is_meant else 0
        return cls(environment.get("NOTIFY_SOCKET") or None, microseconds / 1e6 or None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @property
    def is_there(self) -> bool:
        """Whether somebody is to be told."""
        return self._address is not None

    def ready(self, status: str = "") -> bool:
        """Say that the service is up, or that it has reloaded."""
        return self._tell("READY=1", *_status(status))

    def reloading(self, now: float) -> bool:
        """Say that a reload has begun, at `now` (monotonic seconds); `ready` says that it is over."""
        return self._tell("RELOADING=1", f"MONOTONIC_USEC={round(now * 1e6)}")

    def stopping(self, status: str = "") -> bool:
        """Say that the service is about to end."""
        return self._tell("STOPPING=1", *_status(status))

    def alive(self) -> bool:
        """Say that the service is alive."""
        return self._tell("WATCHDOG=1")

    def status(self, text: str) -> bool:
        """Say in one line how the service is."""
        return self._tell(*_status(text))

    def _tell(self, *assignments: str) -> bool:
        if self._address is None or not assignments:
            return False
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._socket.settimeout(_PATIENCE)
            self._socket.sendto("\n".join(assignments).encode("utf-8", "backslashreplace"), self._address)
        except OSError:
            return False
        return True


class Watchdog:
    """Says for the length of a block that the service is alive, as long as `alive` says so, and how it is.

    It does so twice as often as the supervisor wants to hear it. `status` says in one line
    how things are when all is well.
    """

    def __init__(
        self, clock: Clock, supervisor: Supervisor, alive: Callable[[], Health], status: Callable[[], str]
    ) -> None:
        self._clock: Final = clock
        self._supervisor: Final = supervisor
        self._alive: Final = alive
        self._status: Final = status
        self._every: Final = _STATUS_EVERY if supervisor.watchdog is None else supervisor.watchdog / 2
        self._said = ""
        self._alarm: Alarm | None = None

    def __enter__(self) -> Self:
        if self._supervisor.is_there:
            self._look()
        return self

    def __exit__(self, *_: object) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _look(self) -> None:
        self._alarm = self._clock.alarm(self._clock.now() + self._every, self._look)
        health = self._alive()
        if health.ok and self._supervisor.watchdog is not None:
            self._supervisor.alive()
        said = self._status() if health.ok else f"not alive: {health.words()}"
        if said != self._said and self._supervisor.status(said):
            self._said = said


def _address(text: str) -> str:
    """Return the socket's address; an abstract one is written with an @."""
    return "\0" + text[1:] if text.startswith("@") else text


def _status(text: str) -> tuple[str, ...]:
    return (f"STATUS={' '.join(text.splitlines())}",) if text else ()
