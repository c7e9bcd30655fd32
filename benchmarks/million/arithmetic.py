"""What was measured, and what ten times as many tokens would come to by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wolkvox_async.clustering.terms import PARTITIONS, LeaseTerms

ENDPOINTS: Final = 3
INTERVAL: Final = 300.0
ON_PAPER: Final = 10_000_000
_HOLD: Final = 70.0


@dataclass(frozen=True, slots=True)
class Measured:
    """Of a cluster of `tokens`; seconds, MiB, messages a second."""

    tokens: int
    broker_memory: float
    disk: float
    restart: float
    load: float  # of a partition, alone
    machine_memory: float  # per 1,000 tokens
    rate: float  # three replicas
    cpu: float  # microseconds of CPU a message, of all three together


def on_paper(seen: Measured, tokens: int) -> list[tuple[str, str]]:
    """Return what a cluster of so many tokens would need; what grows with tokens is taken to grow in step."""
    times = tokens / seen.tokens
    calls = tokens * ENDPOINTS / INTERVAL
    terms = LeaseTerms.default(_HOLD)
    return [
        ("tokens of a partition", f"{tokens / PARTITIONS:,.0f}"),
        (f"calls a second ({ENDPOINTS} endpoints, each {INTERVAL:.0f} s)", f"{calls:,.0f}"),
        ("of what three replicas took here", f"{calls / seen.rate:.1f} times"),
        ("cores of all three brokers", f"{calls * seen.cpu / 1e6:.1f}"),
        ("memory of a broker", f"{seen.broker_memory * times / 1024:.1f} GiB"),
        ("its files, one message a token", f"{seen.disk * times / 1024:.1f} GiB"),
        ("restart of a broker", f"{seen.restart * times:.0f} s"),
        ("reading a partition", f"{seen.load * times:.1f} s"),
        ("reading a tenth of all, by nine machines", f"{seen.load * times * PARTITIONS / 10 / 9:.0f} s each"),
        ("memory of ten machines for what they know", f"{seen.machine_memory * tokens / 1e4 / 1024:.1f} GiB each"),
        ("lease writes a second, at any size", f"{PARTITIONS / terms.renewal:.0f}"),
    ]
