"""What all connections of a transport share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .deadlines import Deadlines
from .heads import KnownHeads
from .room import Room

if TYPE_CHECKING:
    from .wire import Wire


@dataclass(frozen=True, slots=True)
class Shared:
    """Limits, as messages name them too, and what has to be of one piece; `wires` are all that are open."""

    max_body: int  # bytes
    timeout: float  # seconds
    deadlines: Deadlines
    room: Room
    wires: set[Wire]
    heads: KnownHeads = field(default_factory=KnownHeads)
