"""A month of watching in virtual time: a vendor, an engine that dies now and then, and what befalls them.

`play` returns what was seen of a `Month`; the same month gives the same output, to the byte.
What befalls it is spread over the time before the turn, so that a day has it as well as
thirty. Records are read as lines, counted and hashed, and not kept.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final

from wolkvox_async.adapters.state import MemoryState, SqliteState
from wolkvox_async.catalog import BILLING, Catalog, Endpoint
from wolkvox_async.engine import Engine
from wolkvox_async.errors import OutputError, StateError
from wolkvox_async.planning import Subscription, Wanted
from wolkvox_async.scheduling.subjects import Subjects
from wolkvox_async.settings.composition import Parts, assemble
from wolkvox_async.settings.entries import Tenants
from wolkvox_async.settings.options import Options
from wolkvox_async.testing import InProcess, LogNormal, Profile, Verdict, VirtualClock, VirtualLoop, open_virtual_state
from wolkvox_async.testing.slot_audit import SlotAudit

from .mishaps import Mishaps

TURN: Final = datetime(2026, 12, 1, 5, tzinfo=UTC).timestamp()
"""When November is over in Bogota."""

DAY: Final = 86_400.0
SERVERS: Final = 10
LATENCY: Final = LogNormal(0.2, 0.6, 20.0)

_AFTER_TURN: Final = 2 / 15  # of a month
_INTERVAL: Final = 300.0
_FIRST: Final = "interactions"


@dataclass(frozen=True, slots=True)
class Month:
    """What is played: so many operations with so many endpoints each, and days with the turn of November among them.

    The state is in memory, or in `folder`. `with_mishaps` says whether all goes well.
    """

    operations: int = 100
    endpoints: int = 1
    days: float = 30.0
    seed: int = 1
    folder: Path | None = None
    with_mishaps: bool = False

    @property
    def begin(self) -> float:
        """When it begins (Unix seconds)."""
        return (TURN - self.days * DAY * (1 - _AFTER_TURN)) // 60 * 60

    @property
    def end(self) -> float:
        """When it is over (Unix seconds)."""
        return self.begin + self.days * DAY


@dataclass(frozen=True, slots=True)
class Played:
    """What was seen; CPU in seconds."""

    audit: SlotAudit
    verdict: Verdict
    lives: int
    cpu: float

    def complaints(self) -> list[str]:
        """Return what is wrong with it."""
        return [*map(str, self.verdict.details), *self.audit.complaints()]


def play(month: Month) -> Played:
    """Play a month. Blocks."""
    began = time.process_time()
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        stage = runner.run(_play(month))
    return Played(stage.audit, stage.vendor.verdict(), stage.lives, time.process_time() - began)


async def _play(month: Month) -> _Stage:
    stage = _Stage(month)
    await stage.run()
    return stage


class _Stage:
    """Vendor, clock, state and audit of a month, and the engine that lives at present."""

    def __init__(self, month: Month) -> None:
        self._month: Final = month
        self._clock: Final = VirtualClock(datetime.fromtimestamp(month.begin, UTC))
        profile = Profile(servers=SERVERS, operations=month.operations, seed=month.seed, latency=LATENCY)
        self.vendor: Final = InProcess(profile, self._clock)
        wanted = tuple(Wanted(endpoint) for endpoint in _endpoints()[: month.endpoints])
        self._subscriptions: Final = [Subscription(each.as_operation(), wanted) for each in self.vendor.operations]
        self._over: Final = asyncio.Event()
        self._mishaps: Final = Mishaps(self._clock, self.vendor, month.begin, TURN, month.endpoints)
        self.audit: Final = self._audit()
        self.lives = 0
        self._position = 0  # where the output ends, in bytes
        self._is_dead = False

    def _audit(self) -> SlotAudit:
        month = self._month
        subjects = Subjects(_INTERVAL).of(self._subscriptions, self._clock.utc())
        return SlotAudit(subjects, round(month.begin * 1000), round(month.end * 1000), self._mishaps.episodes)

    async def run(self) -> None:
        """Let engines live, one after the other, until the month is over."""
        self._clock.at(self._month.end, self._over.set)
        if self._month.with_mishaps:
            self._mishaps.arrange()
        state = await self._open(None)
        while not self._over.is_set():
            state = await self._live(state)

    async def _live(self, state: MemoryState | SqliteState) -> MemoryState | SqliteState:
        """Let an engine live until the month is over or it is killed; return the state of the next one."""
        self.lives, self._is_dead = self.lives + 1, False
        chance = Random(f"{self._month.seed} {self.lives}")
        parts = Parts(transport=self.vendor, clock=self._clock, chance=chance.random, state=state)
        engine = assemble(self._subscriptions, Tenants((), Catalog()), Options(interval=_INTERVAL), parts)
        life = asyncio.create_task(self._watch(engine))
        killed = asyncio.create_task(self._mishaps.killed.wait())
        over = asyncio.create_task(self._over.wait())
        await asyncio.wait([life, killed, over], return_when=asyncio.FIRST_COMPLETED)
        if life.done():
            await life
            raise RuntimeError("the watch ended by itself")
        if killed.done():
            over.cancel()
            await self._kill(life, state)
            return await self._open(state)
        killed.cancel()
        self._mishaps.end()
        engine.stop()
        await life
        await state.close()
        return state

    async def _kill(self, life: asyncio.Task[None], state: MemoryState | SqliteState) -> None:
        """End a life as SIGKILL does, and wait for the next one.

        Nothing more is written from this moment on, and connections and locks are let go by the
        system. What was told to the state before is committed already: in virtual time that takes none.
        """
        self._is_dead = True
        self.vendor.cut()
        await state.close()
        life.cancel()
        with suppress(asyncio.CancelledError, OutputError, StateError):
            await life
        await self._mishaps.revived()

    async def _watch(self, engine: Engine) -> None:
        async with engine, engine.watch(output="usage.jsonl") as records:
            await records.write_to(self)

    async def write(self, lines: bytes) -> int:
        """Take lines in, as a file does; they are looked at and not kept."""
        if self._is_dead:
            raise OutputError("the program was killed")
        self.audit.read(lines)
        self._position += len(lines)
        return self._position

    async def _open(self, before: MemoryState | SqliteState | None) -> MemoryState | SqliteState:
        if self._month.folder is not None:
            return await open_virtual_state(self._month.folder, self._clock)
        return before.beside() if isinstance(before, MemoryState) else MemoryState(self._clock)


def _endpoints() -> list[Endpoint]:
    """Return the endpoints that only know the current month, the one that everybody asks for first."""
    found = [endpoint for endpoint in BILLING if endpoint.monthly]
    return sorted(found, key=lambda endpoint: endpoint.name != _FIRST)
