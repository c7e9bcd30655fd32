"""What the engine needs from outside, as Protocols.

Adapters fulfil them for real, `wolkvox_async.testing` with doubles that one could ship,
and an embedding service with its own. No type of any library crosses a port.
"""

from .delivery import Desk, Place, Sink
from .events import AttemptFailed, CallCut, CallSettled, Event, Hook, SlotMissed, TokenClosed
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
from .store import Append, Appended, Conflict, Full, Held, Message, Store, Stored
from .time import Alarm, Clock
from .tokens import SecretPlugin, TokenSource
from .transport import Transport, Turn

__all__ = [
    "Adopter",
    "Alarm",
    "Append",
    "Appended",
    "AttemptFailed",
    "CallCut",
    "CallSettled",
    "Claim",
    "Clock",
    "Closed",
    "Conflict",
    "Desk",
    "Diary",
    "Event",
    "Full",
    "Granted",
    "Held",
    "Hook",
    "Knowledge",
    "LastSlot",
    "Leases",
    "Ledger",
    "Message",
    "Names",
    "OpenRun",
    "Place",
    "Refusal",
    "RunOrder",
    "SecretPlugin",
    "Sink",
    "SlotKey",
    "SlotMissed",
    "State",
    "Store",
    "Stored",
    "Taken",
    "TokenClosed",
    "TokenSource",
    "Transport",
    "Turn",
    "Unread",
]
