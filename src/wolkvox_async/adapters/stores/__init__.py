"""Stores of one machine, behind the port of the store that machines share: in memory, and in one file."""

from .memory import MemoryStore
from .sqlite import SqliteStore

__all__ = ["MemoryStore", "SqliteStore"]
