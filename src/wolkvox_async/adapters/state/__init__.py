"""What outlives a process: leases, pace, refusals and runs, in a folder or in memory."""

from .clocks import Clocks, machine_clocks
from .folder import default_folder
from .memory import MemoryState
from .sqlite import Durability, SqliteState
from .surveying import Closing, LastCall, RunState, Survey, TokenState, survey

__all__ = [
    "Clocks",
    "Closing",
    "Durability",
    "LastCall",
    "MemoryState",
    "RunState",
    "SqliteState",
    "Survey",
    "TokenState",
    "default_folder",
    "machine_clocks",
    "survey",
]
