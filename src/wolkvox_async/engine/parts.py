"""What an engine is made of."""

from __future__ import annotations

from dataclasses import dataclass

from wolkvox_async.catalog import Catalog
from wolkvox_async.planning import RECOMMENDED_INTERVAL
from wolkvox_async.ports import TokenSource
from wolkvox_async.scheduling.decisions import Limits

from .crew import CrewParts


@dataclass(frozen=True, slots=True)
class EngineParts:
    """What an engine is made of; `interval` and `timeout` of attempts in seconds.

    `tenants` says where its operations come from.
    """

    crew: CrewParts
    tokens: TokenSource
    catalog: Catalog
    limits: Limits
    max_attempts: int
    version: str
    interval: float = RECOMMENDED_INTERVAL
    tenants: str = ""
    timeout: float = 65.0
