"""JSON lines to a file, a pipe, a terminal or a socket: whole lines or nothing; and back."""

from .marks import marks
from .output import JsonLines, open_output
from .places import Place

__all__ = ["JsonLines", "Place", "marks", "open_output"]
