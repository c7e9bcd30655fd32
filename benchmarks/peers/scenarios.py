"""What is compared, with what, and the figures that it must show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from .trial import Client, Load, Trial

NAIVE = "aiohttp-naive"

CLIENTS = (
    Client("engine", "engine", "wolkvox-async", "uvloop, wolkvox_async"),
    Client("engine-shared", "engine", "wolkvox-async, connections shared", "uvloop, wolkvox_async", ("shared",)),
    Client("engine-asyncio", "engine", "wolkvox-async without uvloop", "wolkvox_async", ("asyncio",)),
    Client("engine-command", "engine_command", "wolkvox-async, as a command", "uvloop, wolkvox_async", whole=True),
    Client(NAIVE, "aiohttp_naive", "aiohttp, as in its quick start", "aiohttp"),
    Client("aiohttp-isolated", "aiohttp_isolated", "aiohttp, a session per token", "aiohttp"),
    Client("aiohttp-tuned", "aiohttp_tuned", "aiohttp, every switch tuned", "aiohttp, uvloop, orjson"),
    Client("httpx", "httpx", "httpx", "httpx, uvloop", share=0.2),
    Client("niquests", "niquests", "niquests", "niquests, uvloop", share=0.4),
    Client("pycurl", "pycurl", "pycurl multi, perform", "pycurl"),
    Client("pycurl-socket", "pycurl", "pycurl multi, socket_action", "pycurl", ("socket",)),
    Client("scrapy", "scrapy", "Scrapy, a slot per token", "scrapy, uvloop", share=0.2),
    Client("pyreqwest", "pyreqwest", "pyreqwest", "pyreqwest.client, uvloop"),
)
EVERYBODY = tuple(client.name for client in CLIENTS)
WITH_TLS = ("engine", "engine-shared", NAIVE, "aiohttp-isolated", "aiohttp-tuned", "pycurl", "pyreqwest")
WITH_LATENCY = ("engine", "engine-shared", NAIVE, "aiohttp-tuned", "pycurl-socket", "pyreqwest")


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that must be at most so much: a ratio of CPU or wall, wall over the bound, peak MiB."""

    kind: Literal["CPU per call", "wall", "wall / bound", "peak MiB"]
    of: str
    most: float
    to: str = NAIVE

    def __str__(self) -> str:
        if self.kind in ("CPU per call", "wall"):
            return f"{self.kind}, {self.of} / {self.to}"
        return f"{self.kind}, {self.of}"

    def measured(self, rounds: Sequence[Round], load: Load) -> float | None:
        """Return the median over the rounds; None when somebody concerned did not take part."""
        found = [value for trials in rounds if (value := self._in(trials, load)) is not None]
        return median(found) if found else None

    def _in(self, trials: Round, load: Load) -> float | None:
        one, other = trials.get(self.of), trials.get(self.to)
        if one is None or other is None or one.faults:
            return None
        match self.kind:
            case "CPU per call":
                return one.per_call / other.per_call if other.per_call else None
            case "wall":
                return one.wall / other.wall if other.wall else None
            case "wall / bound":
                return one.wall / load.bound
            case "peak MiB":
                return one.peak_mib


Round = dict[str, Trial]
"""One trial of every client, one after the other."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One load, who takes part, what must be shown."""

    name: str
    title: str
    load: Load
    clients: tuple[str, ...] = EVERYBODY
    figures: tuple[Figure, ...] = ()

    def taking_part(self, only: Sequence[str]) -> Iterator[Client]:
        """Yield the clients; `only` keeps those named, and the one that ratios refer to."""
        wanted = {*only, NAIVE} if only else set(self.clients)
        yield from (client for client in CLIENTS if client.name in self.clients and client.name in wanted)


SCENARIOS = (
    Scenario(
        "rows-1",
        "1 row, 20 calls per token",
        Load(tokens=1000, calls_per_token=20, rows=1, in_flight=100),
        figures=(
            Figure("CPU per call", "engine", 1 / 3),
            Figure("CPU per call", "engine", 1.0, "pycurl"),
            Figure("CPU per call", "engine", 1.0, "pyreqwest"),
            Figure("CPU per call", "engine-asyncio", 1 / 2.5),
        ),
    ),
    Scenario(
        "rows-100",
        "100 rows, 20 calls per token",
        Load(tokens=200, calls_per_token=20, rows=100, in_flight=50),
        figures=(Figure("CPU per call", "engine", 1 / 5),),
    ),
    Scenario(
        "rows-10000",
        "10,000 rows, 5 calls per token",
        Load(tokens=8, calls_per_token=5, rows=10_000, in_flight=8),
        figures=(Figure("CPU per call", "engine", 1 / 4),),
    ),
    Scenario(
        "tls-3",
        "TLS, 1 row, 3 calls per token",
        Load(tokens=3000, calls_per_token=3, rows=1, in_flight=50, tls=True),
        WITH_TLS,
        (Figure("CPU per call", "engine-shared", 1 / 2), Figure("CPU per call", "engine", 1 / 2, "aiohttp-isolated")),
    ),
    Scenario(
        "tls-20",
        "TLS, 1 row, 20 calls per token",
        Load(tokens=500, calls_per_token=20, rows=1, in_flight=50, tls=True),
        WITH_TLS,
        (Figure("CPU per call", "engine", 0.6), Figure("CPU per call", "engine", 1 / 2, "aiohttp-isolated")),
    ),
    Scenario(
        "latency",
        "10,000 tokens, 3 calls each, 50 ms, 1,000 in flight",
        Load(tokens=10_000, calls_per_token=3, rows=1, in_flight=1000, latency=0.05),
        WITH_LATENCY,
        (Figure("wall", "engine", 1 / 2.5), Figure("wall / bound", "engine", 4.0), Figure("peak MiB", "engine", 100.0)),
    ),
)
