"""Metrics for a monitoring system to fetch, by the extra `metrics` (prometheus-client).

Counting (`tallies`) needs no library; only exposing does, in a registry of its own, so that
nothing of a host's is in it. What is exposed stands in `families`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from wolkvox_async.errors import ConfigurationError
from wolkvox_async.ports import Clock, Event
from wolkvox_async.scheduling.decisions import Snapshot

from .freshness import Freshness
from .machines import Cluster
from .tallies import Tallies
from .vitals import LifeSigns

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

EXTRA: Final = "metrics"


class Metrics:
    """Counts what the engine tells (a hook), and exposes it together with what can be seen.

    `freshness` is a hook of its own and has to be told as well. Raises `ConfigurationError`
    where the extra is not installed.
    """

    def __init__(self, clock: Clock, freshness: Freshness, signs: LifeSigns) -> None:
        try:
            from prometheus_client import CollectorRegistry, ProcessCollector, exposition  # noqa: PLC0415 - an extra

            from .families import Families, Sources  # noqa: PLC0415 - it needs the extra
        except ImportError:
            missing = f"metrics need the extra {EXTRA!r}: pip install 'wolkvox-async[{EXTRA}]'"
            raise ConfigurationError([missing]) from None
        self._tallies: Final = Tallies(clock)
        self._sources: Final = Sources(self._tallies, freshness, signs)
        self._choose_encoder: Final = exposition.choose_encoder
        self.registry: Final[CollectorRegistry] = CollectorRegistry(auto_describe=False)
        self.registry.register(Families(self._sources))
        ProcessCollector(registry=self.registry)

    def observe(self, event: Event) -> None:
        """Count `event`."""
        self._tallies.observe(event)

    def follow(self, snapshot: Callable[[], Snapshot], started: int) -> None:
        """Expose what the scheduler shows too, of a watch that `started` then (Unix milliseconds)."""
        self._sources.snapshot, self._sources.started = snapshot, started / 1000

    def show(self, cluster: Cluster | None) -> None:
        """Expose how the machines stand that share the work."""
        self._sources.cluster = cluster

    def answer(self) -> tuple[int, str, bytes]:
        """Return what `/metrics` answers: status, content type, text."""
        encode, content_type = self._choose_encoder("")
        return 200, content_type, encode(self.registry)
