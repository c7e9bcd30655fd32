"""The one engine that waits and obeys; it knows the world through `ports` alone."""

from .engine import Engine, EngineParts
from .passes import Records, Summary
from .result import CallResult

__all__ = ["CallResult", "Engine", "EngineParts", "Records", "Summary"]
