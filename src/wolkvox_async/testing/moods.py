"""What befalls whole servers, and quotas that are used up, where the vendor is played without sockets. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from wolkvox_async.windows import DEFAULT_TIMEZONE

from .fault_catalog import FAULTS
from .faults import Cut, Drip, Endless, Fault, Silence, Whole

_ZONE: Final = ZoneInfo(DEFAULT_TIMEZONE)
_QUOTA: Final = FAULTS["quota"]


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A server that takes no connections: each attempt at one fails after so many `seconds`."""

    seconds: float = 0.0


Trouble: TypeAlias = Fault | Unreachable


def playable(fault: Fault | None) -> None:
    """Raise `ValueError` for a fault that is about the bytes of an answer."""
    if fault is None:
        return
    packed = fault.coding is not None or any(name.lower() == "content-encoding" for name, _ in fault.headers)
    if packed or not isinstance(fault.wire, Whole | Silence | Cut | Drip | Endless):
        raise ValueError(f"the fault {fault.name} needs a socket: use the Simulator")


class Moods:
    """Troubles by server; calls that were let pass by token, of those that have a quota."""

    def __init__(self) -> None:
        self._quotas: Final[dict[str, int]] = {}  # calls a day
        self._troubles: Final[dict[str, Trouble]] = {}
        self._used: Final[dict[str, tuple[int, int]]] = {}  # the day, and how many on it

    def set(self, server: str, trouble: Trouble | None) -> None:
        """Have a server in trouble, or (None) out of it; raises `ValueError` for what cannot be played."""
        if trouble is None:
            self._troubles.pop(server, None)
            return
        if isinstance(trouble, Fault):
            playable(trouble)
        self._troubles[server] = trouble

    def limit(self, token: str, calls: int | None) -> None:
        """Let a token have so many calls a day of the vendor's; None: any number."""
        if calls is None:
            self._quotas.pop(token, None)
        else:
            self._quotas[token] = calls

    def unreachable(self, server: str) -> Unreachable | None:
        """Tell whether a server takes no connections."""
        trouble = self._troubles.get(server)
        return trouble if isinstance(trouble, Unreachable) else None

    def fault(self, server: str, token: str, unix: float) -> Fault | None:
        """Return what is wrong with a call that came in at `unix`; one that is right counts."""
        trouble = self._troubles.get(server)
        if isinstance(trouble, Fault):
            return trouble
        most = self._quotas.get(token)
        return None if most is None else self._count(token, most, unix)

    def _count(self, token: str, most: int, unix: float) -> Fault | None:
        day = datetime.fromtimestamp(unix, _ZONE).toordinal()
        known, used = self._used.get(token, (day, 0))
        used = used if known == day else 0
        if used >= most:
            return _QUOTA
        self._used[token] = (day, used + 1)
        return None
