"""What the engine needs from outside, as Protocols.

Adapters fulfil them for real, `wolkvox_async.testing` with doubles that one could ship,
and an embedding service with its own. No type of any library crosses a port.
"""

from .delivery import Place, Sink
from .events import AttemptFailed, CallSettled, Event, Hook, SlotMissed, TokenClosed
from .state import (
    Adopter,
    Claim,
    Closed,
    Diary,
    Granted,
    Knowledge,
    LastSlot,
    Leases,
    Ledger,
    Names,
    OpenRun,
    Refusal,
    RunOrder,
    SlotKey,
    State,
    Taken,
    Unread,
)
from .time import Alarm, Clock
from .tokens import TokenSource
from .transport import Transport, Turn

__all__ = [
    "Adopter",
    "Alarm",
    "AttemptFailed",
    "CallSettled",
    "Claim",
    "Clock",
    "Closed",
    "Diary",
    "Event",
    "Granted",
    "Hook",
    "Knowledge",
    "LastSlot",
    "Leases",
    "Ledger",
    "Names",
    "OpenRun",
    "Place",
    "Refusal",
    "RunOrder",
    "Sink",
    "SlotKey",
    "SlotMissed",
    "State",
    "Taken",
    "TokenClosed",
    "TokenSource",
    "Transport",
    "Turn",
    "Unread",
]
