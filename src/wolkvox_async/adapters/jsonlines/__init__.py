"""JSON lines to a file, a pipe, a terminal or a socket: whole lines or nothing; and back."""

from .marks import marks, slot_ends
from .messages import Batch, MessageLines, Relay
from .output import JsonLines, open_output
from .places import Place
from .rotating import RotatingLines, open_rotating
from .rotation import is_rotating

__all__ = [
    "Batch",
    "JsonLines",
    "MessageLines",
    "Place",
    "Relay",
    "RotatingLines",
    "is_rotating",
    "marks",
    "open_output",
    "open_rotating",
    "slot_ends",
]
