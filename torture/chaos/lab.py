"""The lab: broker, machines, reader and vendor in one folder, for the length of a block.

The folder is gone afterwards, unless something was broken: then it stays, and is named.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.judging.evidence import Terms
from tests.judging.facts import Answered, Asked, Effect, Fact
from tests.judging.manners import Plan
from tests.judging.outputs import Output, read_output
from tests.judging.vendor import Setting
from torture.figures import Figures
from torture.population import Population
from torture.processes import VendorProcess

from .brokers import Brokers
from .machines import Machine
from .reading import Reader

TEND_EVERY: Final = 0.05
ON_THE_WAY: Final = 1.0  # seconds by which a vendor may hear of a request late, on a busy machine
IN_FLIGHT: Final = 64
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder that is made there is its maker's alone
BASE_URL: Final = "http://127.0.0.1:{server}"


@dataclass(frozen=True, slots=True)
class Pace:
    """The machines' options that have to do with time, in seconds."""

    timeout: float = 2.0
    connect_timeout: float = 0.5
    server_limit: float = 2.0
    interval: float = 3.0
    lease: float = 7.0
    margin: float = 0.5
    """What the program makes of so short a lease."""

    @property
    def standstill(self) -> float:
        """After which partitions are taken over."""
        return self.lease + self.margin

    def options(self) -> list[str]:
        """Return them as they are written on a command line."""
        return [
            f"--timeout={self.timeout:g}",
            f"--connect-timeout={self.connect_timeout:g}",
            f"--server-limit={self.server_limit:g}",
            f"--interval={self.interval:g}",
            f"--lease={self.lease:g}",
            "--backoff=0.1",
            "--drain=2",
        ]


@dataclass(frozen=True, slots=True)
class Size:
    """How many there are of everything."""

    population: Population
    machines: int = 3
    nodes: int = 1
    partitions: int = 16


class Lab:
    """Everything, for the length of a block; `conditions` are the saboteur's, for each machine."""

    def __init__(
        self, figures: Figures, size: Size, plan: Plan, pace: Pace, conditions: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        self.figures: Final = figures
        self.size: Final = size
        self.pace: Final = pace
        self.limit: Final = pace.server_limit - ON_THE_WAY
        self.folder: Final = Path(tempfile.mkdtemp(prefix="chaos-"))
        # The vendor writes as it goes, and must not stand still because a disk is busy.
        self._memory: Final = Path(tempfile.mkdtemp(prefix="chaos-", dir=_MEMORY if _MEMORY.is_dir() else None))
        self.journal_path: Final = self._memory / "journal.jsonl"
        self.brokers: Final = Brokers(self.folder, size.nodes)
        self.machines: Final = [
            Machine(number, self.folder, self._arguments(), conditions[number] if conditions else {})
            for number in range(size.machines)
        ]
        population = size.population
        setting = Setting(population.tokens, population.servers, limit=self.limit, plan=plan)
        self.vendor: Final = VendorProcess(setting, self.journal_path)
        population.write(self.folder / "tenants.json", self.vendor.servers)
        self.reader: Final = Reader(self.folder, [node.port for node in self.brokers.nodes], self.brokers.credentials)
        self._tending: asyncio.Task[None] | None = None
        self._has_vendor = True
        self.is_tidy = False  # nothing broke

    def _arguments(self) -> list[str]:
        return [
            "watch",
            f"--join-credentials=file:{self.brokers.credentials}",
            f"--tenants={self.folder / 'tenants.json'}",
            f"--base-url={BASE_URL}",
            f"--partitions={self.size.partitions}",
            f"--replicas={self.size.nodes}",
            f"--max-in-flight={IN_FLIGHT}",
            "--listen=off",
            "--no-progress",
            "--log-format=json",
            *self.pace.options(),
        ]

    async def __aenter__(self) -> Self:
        await self.brokers.start()
        for machine in self.machines:
            await machine.connect([node.port for node in self.brokers.nodes])
            machine.start()
        self.reader.start()
        self._tending = asyncio.create_task(self._tend())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.gather(self._tending, return_exceptions=True)
        for machine in self.machines:
            await machine.close()
        self.reader.close()
        self.brokers.stop()
        self.dismiss_vendor()
        if self.is_tidy and self.figures.kept:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            shutil.copy(self.journal_path, self.folder)
            self.figures.note("kept for inspection", self.folder)
        shutil.rmtree(self._memory, ignore_errors=True)

    async def _tend(self) -> None:
        while True:
            for machine in self.machines:
                machine.tend()
            self.reader.tend()
            await asyncio.sleep(TEND_EVERY)

    def dismiss_vendor(self) -> None:
        """Have the vendor end: the journal is complete then."""
        if self._has_vendor:
            self._has_vendor = False
            self.vendor.stop()

    # --- what happened

    def write_down(self, text: str) -> None:
        """Add a line to the timeline, for whoever looks into the folder."""
        with (self.folder / "timeline.log").open("a") as file:
            file.write(f"{datetime.now(UTC):%H:%M:%S.%f} {text}\n")

    def journal(self) -> Sequence[Fact]:
        """Return what the vendor saw so far; the list grows with every look."""
        return self.vendor.facts()

    def asked(self) -> int:
        """Count the requests so far."""
        return sum(isinstance(fact, Asked) for fact in self.journal())

    async def await_calls(self, number: int, seconds: float) -> bool:
        """Wait until so many requests were made; False when that takes longer than so many seconds."""
        until = time.monotonic() + seconds
        while self.asked() < number:
            if time.monotonic() > until:
                return False
            await asyncio.sleep(0.1)
        return True

    async def await_everybody(self, seconds: float) -> int:
        """Wait until every question was answered from now on; return how many were not within so many seconds."""
        since, until = time.monotonic(), time.monotonic() + seconds
        while missing := len(self.size.population.planned - self._answered(since)):
            if time.monotonic() > until:
                break
            await asyncio.sleep(0.2)
        return missing

    def _answered(self, since: float) -> set[tuple[str, str, str]]:
        journal = self.journal()
        good = {
            fact.request
            for fact in reversed(journal)
            if isinstance(fact, Answered) and fact.at >= since and fact.effect in (Effect.OK, Effect.EMPTY)
        }
        asked = (fact for fact in journal if isinstance(fact, Asked) and fact.request in good)
        return {(fact.token, fact.api, fact.query) for fact in asked}

    def output(self) -> Output:
        """Return the records that were read."""
        return read_output(self.reader.output)

    def deaths(self) -> int:
        """Count the processes that ended without having been told to in order."""
        return sum(
            number for machine in self.machines for code, number in machine.codes.items() if code not in (0, 143)
        )

    def terms(self, losses: int) -> Terms:
        """Return what machines are measured by; each of so many `losses` may have cost the records of two slots."""
        population = self.size.population
        owners = population.owners(self.vendor.servers)
        return Terms(self.limit, owners, self.pace.interval, repeats=2 * len(population.planned) * losses)
