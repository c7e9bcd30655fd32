"""The one engine that waits and obeys; it knows the world through `ports` alone."""

from .engine import Engine
from .orders import RunName
from .parts import EngineParts
from .passes import Records, Summary
from .result import CallResult
from .watching import Watch

__all__ = ["CallResult", "Engine", "EngineParts", "Records", "RunName", "Summary", "Watch"]
