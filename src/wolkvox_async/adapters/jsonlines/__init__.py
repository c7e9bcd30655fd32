"""JSON lines to a file, a pipe, a terminal or a socket: whole lines or nothing."""

from .output import JsonLines, open_output

__all__ = ["JsonLines", "open_output"]
